//! The native door: a superset of the Hybridbox contract. See `native/README.md`.

mod accounts;
mod answer;
mod authorize;
#[cfg(feature = "bare")]
mod bare;
mod document;
mod environments;
mod error;
mod events;
mod keys;
mod own;
mod refusal;
mod requests;
mod routes;
mod service_accounts;
mod tokens;
mod verify;
mod wire;

use crate::door::Door;
#[cfg(test)]
use crate::fields::described;
use std::sync::LazyLock;

pub static DOOR: Door = Door {
    name: "native",
    prefix: "/v1",
    takes_raw: false,
    takes_basic: true,
    routes: routes::routes,
    render: error::render,
    document: LazyLock::new(document::document),
};
