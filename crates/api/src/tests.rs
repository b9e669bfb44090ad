//! The doors over HTTP, with a real application on a fresh database. Every answer is held to the OpenAPI
//! document of its door.

use crate::door::{DOORS, Doors};
use crate::envelope::envelope;
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

mod authorize;
mod basic;
mod conformance;
mod envelopes;
mod instance;
mod keys;
mod lifecycle;
mod limits;
mod lists;
mod neowit;
mod oauth;
mod prefactor;
mod transcript;
mod unleash;
mod verify;

use instance::Instance;
use transcript::Transcript;

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

/// A request as a test writes it.
#[derive(Clone)]
struct Request {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: web::Bytes,
}

impl Request {
    fn to_test(&self) -> TestRequest {
        let mut request = TestRequest::with_uri(&self.path).method(self.method.clone());
        for (name, value) in &self.headers {
            request = request.append_header((*name, value.as_str()));
        }
        match self.body.is_empty() {
            true => request,
            false => request.set_payload(self.body.clone()),
        }
    }
}

/// A server's service, and a request that is being built for it.
struct Ask<'s, S> {
    service: &'s S,
    request: Request,
}

impl<'s, S, B> Ask<'s, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    fn new(service: &'s S, method: Method, path: &str) -> Self {
        let request = Request {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: web::Bytes::new(),
        };
        Self { service, request }
    }

    fn get(service: &'s S, path: &str) -> Self {
        Self::new(service, Method::GET, path)
    }

    fn post(service: &'s S, path: &str) -> Self {
        Self::new(service, Method::POST, path)
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers.push((name, value.to_owned()));
        self
    }

    fn by(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    fn body(mut self, content_type: &str, body: impl Into<web::Bytes>) -> Self {
        self.request.body = body.into();
        self.with("content-type", content_type)
    }

    fn sends(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// The answer, which is as documented.
    async fn got(self) -> Got {
        let request = self.request.clone();
        let got = self.got_from_elsewhere().await;
        if let Err(difference) = conformance::check(&request, &got) {
            panic!("{difference}");
        }
        got
    }

    /// The answer of a route that no door has.
    async fn got_from_elsewhere(self) -> Got {
        let request = self.request.to_test().to_request();
        let (status, headers, body) = match self.service.call(request).await {
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

/// Everything as a server mounts it, with all doors open or those that are named.
macro_rules! serve {
    ($app:expr) => {
        serve!($app, crate::door::Doors::default())
    };
    ($app:expr, $doors:expr) => {
        init_service(
            Server::new()
                .app_data(Data::new($app.clone()))
                .wrap(from_fn(edge))
                .configure(|cfg| crate::mount(cfg, &$doors)),
        )
        .await
    };
}
use serve;

/// Expands each test, which takes an [`Instance`], into one on SQLite and one on PostgreSQL. Snapshots
/// within need names of their own, so that both are held to the same.
#[allow(
    unused_macros,
    reason = "the dialects' transcripts are what needs both"
)]
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {$(
            #[actix_web::test]
            async fn $name() {
                super::$name(crate::tests::instance::Instance::start().await).await;
            }
        )*}
        mod postgres {$(
            #[actix_web::test]
            async fn $name() {
                match crate::tests::instance::Instance::on_postgres().await {
                    Some(instance) => super::$name(instance).await,
                    None => symbolon_tests::not_run(
                        concat!(module_path!(), "::", stringify!($name)),
                        "no PostgreSQL",
                    ),
                }
            }
        )*}
    };
}
use on_both;
