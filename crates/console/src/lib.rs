//! Pages for people: confirming a contact, setting the first password, and what a browser finds at the root.
//! Server-rendered, one stylesheet, no script, in the reader's language and direction.

mod assets;
mod confirmation;
mod failure;
mod form;
mod home;
mod page;
mod response;
mod setup;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{HttpServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::guard;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{Error, HttpRequest, Resource, Route};
use symbolon_web::RequestTag;

/// Adds the pages. Expects `Data<symbolon_app::App>` in the application data.
pub fn mount(cfg: &mut ServiceConfig) {
    cfg.service(guarded(
        web::resource("/")
            .route(get().to(home::show))
            .default_service(web::to(only_get)),
    ))
    .service(guarded(
        web::resource(assets::STYLESHEET_PATH)
            .route(get().to(assets::stylesheet))
            .default_service(web::to(only_get)),
    ))
    .service(guarded(
        web::resource("/confirm/{link}")
            .route(get().to(confirmation::show))
            .route(web::post().to(confirmation::decide))
            .default_service(web::to(only_get_and_post)),
    ))
    .service(guarded(
        web::resource("/setup/{link}")
            .route(get().to(setup::show))
            .route(web::post().to(setup::set))
            .default_service(web::to(only_get_and_post)),
    ));
}

/// GET, and HEAD for those who look before they load.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn only_get(request: HttpRequest) -> actix_web::HttpResponse {
    failure::method_not_allowed(&request, "GET, HEAD")
}

async fn only_get_and_post(request: HttpRequest) -> actix_web::HttpResponse {
    failure::method_not_allowed(&request, "GET, HEAD, POST")
}

/// The page for an address that nothing answers at; for the default service of the whole application.
pub async fn not_found(request: HttpRequest) -> actix_web::HttpResponse {
    failure::refused(
        &request,
        actix_web::http::StatusCode::NOT_FOUND,
        "not-found",
    )
}

fn guarded(resource: Resource) -> impl HttpServiceFactory + 'static {
    resource.wrap(from_fn(panics_become_pages))
}

async fn panics_become_pages<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let lang = symbolon_web::language(request.request()).unwrap_or_default();
    let tag = RequestTag::of(request.request());
    match symbolon_web::catch_panic(next.call(request)).await {
        Some(answer) => answer.map(ServiceResponse::map_into_boxed_body),
        None => {
            tracing::error!(request_id = %tag.shown, "a page panicked");
            let page = failure::internal(lang, tag.shown.to_string());
            // The request is gone with the panic, so the page travels as an error.
            Err(InternalError::from_response("a page panicked", page).into())
        }
    }
}

#[cfg(test)]
mod tests;
