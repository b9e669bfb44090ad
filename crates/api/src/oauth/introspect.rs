//! Introspection (RFC 7662): whether a token is good, and what it stands for. Whatever is not, and whatever
//! the caller cannot see, gets one and the same answer.

use super::client::caller;
use super::error::{Fault, refuse, unkept};
use super::form::Form;
use super::wire::{Introspection, IntrospectionRequest, OAuthError};
use crate::failure::Failure;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, post};
use std::net::IpAddr;
use symbolon_app::{App, Evidence};
use symbolon_domain::Permission;
use symbolon_web::{HotPath, origin};

/// Says whether a token is good, and what it stands for (RFC 7662). The caller authenticates with a token as
/// Bearer, or as a client with a key's id and secret; either needs `symbolon:tokens:verify`.
#[utoipa::path(
    tag = "access tokens",
    request_body(content = IntrospectionRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = Introspection, description = "What there is to know; for every token that is not good, `{\"active\":false}`."),
        (status = 400, body = OAuthError, description = "A parameter is missing or repeated, or the client may not ask."),
        (status = 401, body = OAuthError, description = "The caller's credentials are missing, not good, or not enough."),
        (status = 408, body = OAuthError, description = "The request took too long to arrive."),
        (status = 413, body = OAuthError, description = "The request is too large."),
        (status = 429, body = OAuthError, description = "The caller's rate limit; Retry-After says when to try again."),
        (status = 500, body = OAuthError, description = "Our mistake."),
        (status = 503, body = OAuthError, description = "Not at the moment; Retry-After says when to try again."),
    ),
)]
#[post("/introspect")]
pub async fn introspect_token(
    request: HttpRequest,
    payload: Payload,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    HotPath::mark(&request);
    match introspect(&request, payload, &app).await {
        Ok(known) => Ok(unkept(HttpResponse::Ok()).json(known)),
        Err(fault) => refuse(fault),
    }
}

async fn introspect(
    request: &HttpRequest,
    payload: Payload,
    app: &App,
) -> Result<Introspection, Fault> {
    let form = Form::read(request, payload).await?;
    let (caller, way) = caller(request, &form)?;
    let asker = app
        .admit(
            caller.evidence(),
            way.presentation(),
            origin(request),
            Permission::TokensVerify,
        )
        .await
        .map_err(|error| way.fault(error))?;
    let token = form.one("token", "token was sent twice.")?;
    let token = token.ok_or(Fault::InvalidRequest("token is missing."))?;
    let client_ip = form.one("client_ip", "client_ip was sent twice.")?;
    let client_ip = client_ip.map(str::parse::<IpAddr>).transpose();
    let client_ip = client_ip.map_err(|_| Fault::InvalidRequest("client_ip is no address."))?;
    let evidence = Evidence::of_text(token);
    let verified = app.introspect(&asker, evidence, client_ip).await;
    let verified = verified.map_err(Failure::from)?;
    Ok(Introspection::of(&verified, app.public_url()))
}
