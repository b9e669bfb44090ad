//! The token endpoint: a key's client credentials or its assertion in, an access token out.

use super::TOKEN;
use super::client::Client;
use super::error::{Fault, refuse, unkept};
use super::form::Form;
use super::wire::{AccessToken, OAuthError, TokenRequest};
use crate::door::Door;
use crate::failure::Failure;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, post};
use symbolon_app::{App, AssertionGrant, IssuedAccessToken, Wanted};
use symbolon_domain::{Presented, ScopeSet};
use symbolon_web::origin;

pub const CLIENT_CREDENTIALS: &str = "client_credentials";
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Issues an access token to a key: for its id and secret (RFC 6749 §4.4), or for an assertion that it has
/// signed (RFC 7523).
#[utoipa::path(
    tag = "access tokens",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = AccessToken, description = "A new access token. It ends with its key."),
        (status = 400, body = OAuthError, description = "`error` says what is wrong: with the assertion, `invalid_grant`."),
        (status = 401, body = OAuthError, description = "The client credentials are not those of a key in force, or not of the one that signed the assertion."),
        (status = 408, body = OAuthError, description = "The request took too long to arrive."),
        (status = 413, body = OAuthError, description = "The request is too large."),
        (status = 429, body = OAuthError, description = "The key's rate limit; Retry-After says when to try again."),
        (status = 500, body = OAuthError, description = "Our mistake."),
        (status = 503, body = OAuthError, description = "Not at the moment; Retry-After says when to try again."),
    ),
)]
#[post("/token")]
pub async fn issue_access_token(
    request: HttpRequest,
    payload: Payload,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    match exchange(&request, payload, &app).await {
        Ok(issued) => Ok(unkept(HttpResponse::Ok()).json(AccessToken::from(&issued))),
        Err(fault) => refuse(fault),
    }
}

async fn exchange(
    request: &HttpRequest,
    payload: Payload,
    app: &App,
) -> Result<IssuedAccessToken, Fault> {
    let form = Form::read(request, payload).await?;
    let grant_type = form.one("grant_type", "grant_type was sent twice.")?;
    match grant_type.ok_or(Fault::InvalidRequest("grant_type is missing."))? {
        CLIENT_CREDENTIALS => {
            let Client::Proving(client) = Client::of(request, &form)? else {
                return Err(Fault::InvalidClient);
            };
            let wanted = wanted(request, &form)?;
            Ok(app
                .exchange_client_credentials(client.evidence(), wanted)
                .await?)
        }
        JWT_BEARER => {
            let assertion = form.one("assertion", "assertion was sent twice.")?;
            let assertion = assertion.ok_or(Fault::InvalidRequest("assertion is missing."))?;
            let client = Client::of(request, &form)?;
            let wanted = wanted(request, &form)?;
            if !client.may_hold(assertion) {
                return Err(Fault::InvalidGrant(
                    "client_id is not the id of the key that signed the assertion.",
                ));
            }
            let grant = AssertionGrant {
                assertion: &Presented::new(assertion),
                endpoint_path: &format!("{}{TOKEN}", Door::of(request).prefix),
                client: match client {
                    Client::Proving(credentials) => Some(credentials),
                    Client::Unnamed | Client::Named(_) => None,
                },
                wanted,
            };
            Ok(app.exchange_assertion(grant).await?)
        }
        _ => Err(Fault::UnsupportedGrantType),
    }
}

/// What the token is to be good for.
fn wanted(request: &HttpRequest, form: &Form) -> Result<Wanted, Fault> {
    let scope = form.one("scope", "scope was sent twice.")?;
    // Blanks name no scope: as if it had been left out.
    let scope = scope.filter(|it| !it.trim().is_empty());
    Ok(Wanted {
        scopes: scope
            .map(ScopeSet::parse)
            .transpose()
            .map_err(|_| Fault::InvalidScope)?,
        resources: form.all("resource").map(str::to_owned).collect(),
        client_ip: origin(request).client_ip,
    })
}
