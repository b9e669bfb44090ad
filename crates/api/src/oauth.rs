//! The token endpoint (RFC 6749): an assertion that a key has signed (RFC 7523) in, an access token (RFC
//! 9068) out. It stands at two paths, which are different audiences of assertions. See `oauth/README.md`.

mod client;
mod error;
mod form;
mod token;
mod wire;

use crate::docs::Draft;
use crate::door::Door;
use std::sync::LazyLock;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::service_config::ServiceConfig;

/// `/oauth2/token`, which is always there.
pub static AT_NATIVE: Door = at("/oauth2", || document(&AT_NATIVE));

/// `/api/auth/oauth/token`, which clients of the Neowit door know.
pub static AT_NEOWIT: Door = at("/api/auth/oauth", || document(&AT_NEOWIT));

/// What the endpoint adds to its door's prefix.
const TOKEN: &str = "/token";

const fn at(prefix: &'static str, document: fn() -> OpenApi) -> Door {
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

fn routes(cfg: &mut ServiceConfig<'_>) {
    cfg.service(token::issue_access_token);
}

/// The endpoint by itself; the documents of other doors take it in.
fn document(door: &'static Door) -> OpenApi {
    let nothing_more = |_: &crate::docs::Route, _: &mut _| {};
    Draft::of(door, "Symbolon: the token endpoint", "").finish::<wire::OAuthError>(
        "application/json",
        &[],
        nothing_more,
    )
}
