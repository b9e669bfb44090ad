//! The Neowit door: service accounts and their keys, as its REST API has them. See `neowit/README.md`.

mod convert;
mod document;
mod error;
mod keys;
mod place;
mod routes;
mod service_accounts;
mod wire;

use crate::door::Door;
use std::sync::LazyLock;

pub static DOOR: Door = Door {
    name: "neowit",
    prefix: "/api/service-account/v1",
    takes_raw: false,
    takes_basic: true,
    routes: routes::routes,
    render: error::render,
    document: LazyLock::new(document::document),
};
