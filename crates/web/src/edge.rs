//! The outermost middleware: names the request, keeps panics from the worker, adds the headers every
//! answer carries, and writes the access log.

use crate::access_log::Line;
use crate::panics::catch_panic;
use crate::request_id::{self, NEEDS_APP, RequestTag};
use crate::security_headers;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};
use symbolon_app::App;

/// Wraps the whole application: `App::wrap(middleware::from_fn(symbolon_web::edge))`.
pub async fn edge<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let app = request.app_data::<Data<App>>().expect(NEEDS_APP);
    let is_https = app.public_url().starts_with("https://");
    let tag = RequestTag::assign(&request);
    let line = Line::begin(&request, &tag);
    let finish = |headers: &mut HeaderMap| {
        security_headers::add(headers, is_https);
        if let Some(id) = tag.shown.header() {
            headers.insert(HeaderName::from_static(request_id::HEADER), id);
        }
    };
    match catch_panic(async move { next.call(request).await }).await {
        Some(Ok(response)) => {
            let mut response = response.map_into_boxed_body();
            finish(response.headers_mut());
            let size = response.response().body().size();
            line.end(&response, length(size));
            Ok(response)
        }
        // The request is gone, so the answer travels as an error that carries it.
        failed => {
            let mut response = match failed {
                Some(Err(error)) => error.error_response(),
                _ => bare_failure(&tag),
            };
            finish(response.headers_mut());
            line.write(response.status(), length(response.body().size()));
            Err(InternalError::from_response("answered already", response).into())
        }
    }
}

/// For a panic that no door caught in its own envelope.
fn bare_failure(tag: &RequestTag) -> HttpResponse {
    tracing::error!(request_id = %tag.shown, "a request's service panicked");
    HttpResponse::InternalServerError()
        .content_type("text/plain; charset=utf-8")
        .body(format!("Internal error. Request id: {}\n", tag.shown))
}

fn length(size: BodySize) -> Option<u64> {
    match size {
        BodySize::None => Some(0),
        BodySize::Sized(bytes) => Some(bytes),
        BodySize::Stream => None,
    }
}
