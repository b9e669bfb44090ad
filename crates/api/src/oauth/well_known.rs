//! What is published for everybody: the authorization server's metadata (RFC 8414), and the public halves of
//! the keys that sign tokens (RFC 7517, RFC 8037), so that others can verify them without asking us.

use super::wire::{JwkSet, Metadata, OAuthError};
use crate::failure::Failure;
use actix_web::http::header::{CACHE_CONTROL, ETag, EntityTag, IfNoneMatch};
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, get};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use symbolon_app::App;
use symbolon_domain::Code;
use symbolon_domain::signing::JWKS_MAX_AGE;

/// Below the door's prefix; the metadata of an issuer whose URL has a path stands behind it.
const METADATA: &str = "/.well-known/oauth-authorization-server";
pub const OF_A_PATH: &str = "/oauth-authorization-server/{path:.*}";

/// The authorization server's metadata (RFC 8414). Where the issuer's URL has a path, they also stand at this
/// path with that one behind it.
#[utoipa::path(
    tag = "access tokens",
    responses(
        (status = 200, body = Metadata, description = "Where the endpoints are, and what they take."),
        (status = 500, body = OAuthError, description = "Our mistake."),
    ),
)]
#[get("/oauth-authorization-server")]
pub async fn get_metadata(app: Data<App>) -> HttpResponse {
    metadata(&app)
}

/// RFC 8414 §3.1.
pub async fn get_metadata_of_a_path(
    request: HttpRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let path = request.path().strip_prefix(METADATA);
    match path {
        Some(path) if path == path_of(app.public_url()) => Ok(metadata(&app)),
        _ => Err(Code::NotFound.into()),
    }
}

fn metadata(app: &App) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, max_age()))
        .json(Metadata::of(app.public_url()))
}

/// The public keys that verify the tokens which this service signs (RFC 7517, RFC 8037).
#[utoipa::path(
    tag = "access tokens",
    responses(
        (status = 200, body = JwkSet, content_type = "application/jwk-set+json", description = "The key that signs, the one that will, and those whose last token has not ended."),
        (status = 304, description = "It is as the ETag in If-None-Match says."),
        (status = 500, body = OAuthError, description = "Our mistake."),
        (status = 503, body = OAuthError, description = "Not at the moment; Retry-After says when to try again."),
    ),
)]
#[get("/jwks.json")]
pub async fn get_jwks(request: HttpRequest, app: Data<App>) -> Result<HttpResponse, Failure> {
    let keys = app.published_keys().await?;
    let body = serde_json::to_vec(&JwkSet::of(&keys)).map_err(|_| Code::Internal)?;
    let digest = Sha256::digest(&body);
    let tag = EntityTag::new_strong(BASE64_URL_SAFE_NO_PAD.encode(&digest[..16]));
    let is_known = match request.get_header() {
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(known)) => known.iter().any(|it| it.weak_eq(&tag)),
        None => false,
    };
    let mut answer = match is_known {
        true => HttpResponse::NotModified(),
        false => HttpResponse::Ok(),
    };
    answer
        .insert_header((CACHE_CONTROL, max_age()))
        .insert_header(ETag(tag));
    Ok(match is_known {
        true => answer.finish(),
        false => answer.content_type("application/jwk-set+json").body(body),
    })
}

fn max_age() -> String {
    format!("public, max-age={}", JWKS_MAX_AGE.as_secs())
}

/// The path of a URL that ends with no slash: empty, or with its slash before it.
fn path_of(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let path = url[authority..].find('/');
    path.map_or("", |at| &url[authority + at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_issuers() {
        for (url, path) in [
            ("https://example.com", ""),
            ("https://example.com:8443", ""),
            ("http://[::1]:80", ""),
            ("https://example.com/a", "/a"),
            ("https://example.com/a/b", "/a/b"),
        ] {
            assert_eq!(path_of(url), path, "{url}");
        }
    }
}
