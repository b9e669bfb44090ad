//! The native door over HTTP, with a real application on SQLite.

use crate::docs::openapi;
use crate::native::error::envelope;
use crate::routing::operations;
use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{self, Data};
use actix_web::{App as Server, Error, HttpResponse};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use symbolon_app::App;
use symbolon_web::edge;

mod envelopes;
mod instance;
mod lifecycle;
mod lists;

use instance::Instance;

/// What came back.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The code of a problem document, after a look at the rest of it.
    fn problem(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"], self.header("x-request-id"));
        let code = body["code"].as_str().unwrap().to_owned();
        assert_eq!(body["type"], format!("urn:symbolon:problem:{code}"));
        for name in ["title", "detail", "instance"] {
            assert!(
                body[name].as_str().is_some_and(|text| !text.is_empty()),
                "{name}"
            );
        }
        code
    }
}

/// A server's service, and a request that is being built for it.
struct Ask<'s, S> {
    service: &'s S,
    request: TestRequest,
}

impl<'s, S, B> Ask<'s, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    fn new(service: &'s S, method: Method, path: &str) -> Self {
        let request = TestRequest::with_uri(path).method(method);
        Self { service, request }
    }

    fn get(service: &'s S, path: &str) -> Self {
        Self::new(service, Method::GET, path)
    }

    fn post(service: &'s S, path: &str) -> Self {
        Self::new(service, Method::POST, path)
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.request = self.request.append_header((name, value));
        self
    }

    fn by(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    fn body(mut self, content_type: &str, body: impl Into<web::Bytes>) -> Self {
        self.request = self.request.set_payload(body);
        self.with("content-type", content_type)
    }

    fn sends(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    async fn got(self) -> Got {
        let (status, headers, body) = match self.service.call(self.request.to_request()).await {
            Ok(answer) => {
                let answer = answer.map_into_boxed_body().into_parts().1;
                (
                    answer.status(),
                    answer.headers().clone(),
                    answer.into_body(),
                )
            }
            // What the server makes of an error that left the outermost service.
            Err(error) => {
                let answer = error.error_response();
                (
                    answer.status(),
                    answer.headers().clone(),
                    answer.into_body(),
                )
            }
        };
        let bytes = to_bytes(body).await.ok().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Got {
            status,
            headers,
            text,
        }
    }
}

/// Everything as a server mounts it.
macro_rules! serve {
    ($app:expr) => {
        init_service(
            Server::new()
                .app_data(Data::new($app.clone()))
                .wrap(from_fn(edge))
                .configure(crate::mount),
        )
        .await
    };
}
use serve;
