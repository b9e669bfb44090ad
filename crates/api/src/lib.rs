//! The gateway: the doors that programs use, and the documentation of all of them. Each dialect is a folder
//! (`native` and those beside it) that plugs in as `door.rs` says. Handlers call use cases and nothing
//! below them.

mod body;
mod caller;
mod data_plane;
mod docs;
mod door;
mod envelope;
mod failure;
mod fields;
mod idempotency;
mod native;
mod neowit;
mod oauth;
mod precondition;
mod prefactor;
mod query;
mod quota;
mod routing;
mod secret;
mod status;
#[cfg(test)]
mod tests;
mod unleash;
mod written;

pub use door::Doors;
pub use status::status;

use actix_web::web::ServiceConfig;
use utoipa::openapi::OpenApi;

/// Mounts the doors that are open, `/openapi.json`, `/openapi/<door>.json` and `/docs`. Expects `Data<App>`
/// in the application data; takes `Data<symbolon_web::BodyLimits>` and `Data<symbolon_web::TrustedProxies>`
/// from there too.
pub fn mount(cfg: &mut ServiceConfig, doors: &Doors) {
    for door in doors.open() {
        cfg.service(door.scope());
    }
    cfg.service(oauth::AT_NATIVE.scope())
        .service(oauth::WELL_KNOWN.scope());
    if doors.neowit {
        cfg.service(oauth::AT_NEOWIT.scope());
    }
    docs::mount(cfg, *doors);
}

/// The whole document of one door, without the address of a server; `None` where no door is called so.
pub fn openapi(name: &str) -> Option<OpenApi> {
    let door = door::DOORS.iter().find(|door| door.name == name)?;
    Some(door.document.clone())
}

/// The names of all doors, open or not.
pub fn door_names() -> impl Iterator<Item = &'static str> {
    door::DOORS.iter().map(|door| door.name)
}
