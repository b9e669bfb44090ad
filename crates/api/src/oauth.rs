//! OAuth 2.0: access tokens for keys (RFC 6749, 7523, 9068), introspection (RFC 7662), revocation (RFC
//! 7009), and what others need to know to use all that (RFC 8414, 7517). The token endpoint stands at two
//! paths, which are different audiences of assertions. See `oauth/README.md`.

mod client;
mod error;
mod form;
mod introspect;
mod revoke;
mod token;
mod well_known;
mod wire;

use crate::docs::Draft;
use crate::door::Door;
use std::sync::LazyLock;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::service_config::ServiceConfig;

/// All three endpoints, which are always there.
pub static AT_NATIVE: Door = at("/oauth2", every_endpoint, || document(&AT_NATIVE));

/// The token endpoint that clients of the Neowit door know.
pub static AT_NEOWIT: Door = at("/api/auth/oauth", token_endpoint, || document(&AT_NEOWIT));

/// What is published about them (RFC 8615).
pub static WELL_KNOWN: Door = at("/.well-known", published, || document(&WELL_KNOWN));

/// What the endpoints add to their door's prefix.
const TOKEN: &str = "/token";
const INTROSPECT: &str = "/introspect";
const REVOKE: &str = "/revoke";

const fn at(
    prefix: &'static str,
    routes: fn(&mut ServiceConfig<'_>),
    document: fn() -> OpenApi,
) -> Door {
    Door {
        name: "oauth",
        prefix,
        takes_raw: false,
        takes_basic: true,
        routes,
        render: error::render,
        document: LazyLock::new(document),
    }
}

fn every_endpoint(cfg: &mut ServiceConfig<'_>) {
    cfg.service(token::issue_access_token)
        .service(introspect::introspect_token)
        .service(revoke::revoke_presented_token);
}

fn token_endpoint(cfg: &mut ServiceConfig<'_>) {
    cfg.service(token::issue_access_token);
}

fn published(cfg: &mut ServiceConfig<'_>) {
    cfg.service(well_known::get_metadata)
        .service(well_known::get_jwks)
        .route(
            well_known::OF_A_PATH,
            actix_web::web::get().to(well_known::get_metadata_of_a_path),
        );
}

/// The endpoints by themselves; the documents of other doors take them in.
fn document(door: &'static Door) -> OpenApi {
    let nothing_more = |_: &crate::docs::Route, _: &mut _| {};
    Draft::of(door, "Symbolon: OAuth 2.0", "").finish::<wire::OAuthError>(
        "application/json",
        &[],
        nothing_more,
    )
}
