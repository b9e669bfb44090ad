//! The Unleash door: its service accounts and their tokens. See `unleash/README.md`.

mod answer;
mod convert;
mod document;
mod error;
mod routes;
mod service_accounts;
mod tokens;
mod wire;

use crate::door::Door;
use std::sync::LazyLock;

pub static DOOR: Door = Door {
    name: "unleash",
    prefix: "/api/admin/service-account",
    takes_raw: true,
    takes_basic: false,
    routes: routes::routes,
    render: error::render,
    document: LazyLock::new(document::document),
};
