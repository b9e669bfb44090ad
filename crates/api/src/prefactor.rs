//! The Prefactor door: API tokens of an account, whatever they belong to. See `prefactor/README.md`.

mod api_tokens;
mod convert;
mod document;
mod error;
pub mod pfid;
mod requests;
mod routes;
mod wire;

use crate::door::Door;
use std::sync::LazyLock;

pub static DOOR: Door = Door {
    name: "prefactor",
    prefix: "/api/v1",
    takes_raw: false,
    takes_basic: false,
    routes: routes::routes,
    render: error::render,
    document: LazyLock::new(document::document),
};
