//! The endpoint itself.

use super::TOKEN;
use super::client::Client;
use super::error::{Fault, refuse};
use super::form::Form;
use super::wire::{AccessToken, OAuthError, TokenRequest};
use crate::body::{media_type, receive};
use crate::door::Door;
use crate::failure::Failure;
use actix_web::http::header::{CACHE_CONTROL, PRAGMA};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, post};
use symbolon_app::{App, AssertionGrant, IssuedAccessToken};
use symbolon_domain::{Presented, ScopeSet};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Exchanges an assertion for an access token (RFC 7523).
#[utoipa::path(
    tag = "access tokens",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = AccessToken, description = "A new access token. It ends with its key."),
        (status = 400, body = OAuthError, description = "`error` says what is wrong: with the assertion, `invalid_grant`."),
        (status = 401, body = OAuthError, description = "Client credentials were sent that are not the key's."),
        (status = 408, body = OAuthError, description = "The request took too long to arrive."),
        (status = 413, body = OAuthError, description = "The request is too large."),
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
        Ok(issued) => Ok(HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((PRAGMA, "no-cache"))
            .json(AccessToken::from(&issued))),
        Err(fault) => refuse(fault),
    }
}

async fn exchange(
    request: &HttpRequest,
    payload: Payload,
    app: &App,
) -> Result<IssuedAccessToken, Fault> {
    let is_form = media_type(request).as_deref() == Some("application/x-www-form-urlencoded");
    let form = Form::parse(&receive(request, payload.into_inner(), is_form).await?)?;
    let grant_type = form.one("grant_type", "grant_type was sent twice.")?;
    match grant_type {
        Some(JWT_BEARER) => {}
        Some(_) => return Err(Fault::UnsupportedGrantType),
        None => return Err(Fault::InvalidRequest("grant_type is missing.")),
    }
    let assertion = form.one("assertion", "assertion was sent twice.")?;
    let assertion = assertion.ok_or(Fault::InvalidRequest("assertion is missing."))?;
    let scope = form.one("scope", "scope was sent twice.")?;
    // Blanks name no scope: as if it had been left out.
    let scope = scope.filter(|it| !it.trim().is_empty());
    let client = Client::of(request, &form)?;
    let scopes = scope.map(ScopeSet::parse).transpose();
    let scopes = scopes.map_err(|_| Fault::InvalidScope)?;
    if !client.may_hold(assertion) {
        return Err(Fault::InvalidGrant(
            "client_id is not the id of the key that signed the assertion.",
        ));
    }
    let assertion = Presented::new(assertion);
    let endpoint_path = format!("{}{TOKEN}", Door::of(request).prefix);
    let grant = AssertionGrant {
        assertion: &assertion,
        endpoint_path: &endpoint_path,
        scopes,
        resources: form.all("resource").map(str::to_owned).collect(),
        client: match client {
            Client::Proving(credentials) => Some(credentials),
            Client::Unnamed | Client::Named(_) => None,
        },
    };
    Ok(app.exchange_assertion(grant).await?)
}
