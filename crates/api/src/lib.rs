//! The gateway: the doors that programs use. The native one, and the documentation of all of them;
//! compatibility doors are folders beside `native`. Handlers call use cases and nothing below them.

mod body;
mod caller;
mod docs;
mod failure;
mod fields;
mod idempotency;
mod native;
mod precondition;
mod query;
mod routing;
mod status;
#[cfg(test)]
mod tests;

pub use docs::openapi;
pub use status::status;

use actix_web::web::ServiceConfig;

/// Mounts the doors below `/v1`, `/openapi.json` and `/docs`. Expects `Data<App>` in the application
/// data; takes `Data<symbolon_web::BodyLimits>` and `Data<symbolon_web::TrustedProxies>` from there too.
pub fn mount(cfg: &mut ServiceConfig) {
    cfg.service(native::routes::scope())
        .service(docs::get_openapi)
        .service(docs::to_docs)
        .service(docs::get_docs);
}
