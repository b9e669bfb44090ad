//! A door: one dialect of the gateway, its prefix, its envelope, and the credentials that it takes.
//!
//! # How a dialect plugs in
//! 1. A folder beside `native` with `routes`, `wire`, `convert`, `error` and `README.md`.
//! 2. In its `mod` file `pub static DOOR: Door = Door { … document: LazyLock::new(document) }`, where
//!    - `routes` mounts the handlers: `fn routes(cfg: &mut ServiceConfig<'_>) { cfg.service(create); … }`;
//!    - `render` makes its error answers: status from its own table, [`Asked::answer`] for the headers that
//!      all doors share, [`Asked::detail`] and [`Asked::field`] for prose;
//!    - `document` ends a [`crate::docs::Draft`] with the schema of its errors and the statuses it gives.
//! 3. One line in [`DOORS`], and `mod` in `lib.rs`.
//!
//! Handlers take [`crate::caller::Allowed`] and return `Result<HttpResponse, Failure>`; whatever goes wrong
//! below the prefix, an unknown path too, comes out through `render`.

use crate::envelope::{Asked, envelope};
use crate::failure::Failure;
use crate::native;
use crate::neowit;
use crate::prefactor;
use crate::routing::no_route;
use crate::unleash;
use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, web};
use std::sync::LazyLock;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::OpenApiFactory;
use utoipa_actix_web::service_config::ServiceConfig;

/// Every door there is, in the order in which the documentation lists them.
pub static DOORS: &[&Door] = &[
    &native::DOOR,
    &unleash::DOOR,
    &prefactor::DOOR,
    &neowit::DOOR,
];

pub struct Door {
    /// In paths of documents, and the `door` of idempotency claims: never to be changed.
    pub name: &'static str,
    /// What all its paths begin with; no slash at the end.
    pub prefix: &'static str,
    /// `Authorization` may be the bare text of a token.
    pub takes_raw: bool,
    /// `Authorization: Basic` with a key's id and secret.
    pub takes_basic: bool,
    /// Mounts the routes below `prefix`; mounting one documents it.
    pub routes: fn(&mut ServiceConfig<'_>),
    /// Puts a failure into the dialect's envelope.
    pub render: fn(&Asked, &Failure) -> HttpResponse,
    /// The OpenAPI document, without the address of a server.
    pub document: LazyLock<OpenApi>,
}

impl Door {
    /// The door through which a request came.
    pub fn of(request: &HttpRequest) -> &'static Self {
        request
            .app_data::<&'static Self>()
            .expect("every door's scope carries it")
    }

    /// Everything below the prefix, answers for unknown paths there included.
    pub fn scope(&'static self) -> impl HttpServiceFactory + OpenApiFactory + 'static {
        utoipa_actix_web::scope(self.prefix)
            .app_data(self)
            .wrap(from_fn(envelope))
            .configure(self.routes)
            .default_service(web::to(no_route))
    }
}

/// Which of the compatibility doors are open. The native door always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doors {
    pub unleash: bool,
    pub prefactor: bool,
    pub neowit: bool,
}

impl Default for Doors {
    fn default() -> Self {
        Self {
            unleash: true,
            prefactor: true,
            neowit: true,
        }
    }
}

impl Doors {
    /// The doors that are open.
    pub fn open(self) -> impl Iterator<Item = &'static Door> {
        DOORS.iter().copied().filter(move |door| match door.name {
            "unleash" => self.unleash,
            "prefactor" => self.prefactor,
            "neowit" => self.neowit,
            _ => true,
        })
    }
}
