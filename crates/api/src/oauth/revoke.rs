//! Revocation (RFC 7009): whoever holds a token, and may, ends it. What is over, foreign or nothing at all is
//! as good as revoked.

use super::client::caller;
use super::error::{Fault, refuse, unkept};
use super::form::Form;
use super::wire::{OAuthError, RevocationRequest};
use crate::failure::Failure;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, post};
use symbolon_app::{App, Evidence};
use symbolon_web::origin;

/// Revokes the token that is sent (RFC 7009): an access token ends by itself, every other text ends its
/// credential. The caller authenticates with a token as Bearer, or as a client with a key's id and secret. Its
/// own credential and that one's access tokens it may always revoke; others take `symbolon:tokens:write`.
#[utoipa::path(
    tag = "access tokens",
    request_body(content = RevocationRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "It is not good any more, or never was."),
        (status = 400, body = OAuthError, description = "A parameter is missing or repeated, or the client may not revoke this."),
        (status = 401, body = OAuthError, description = "The caller's credentials are missing, not good, or not enough."),
        (status = 408, body = OAuthError, description = "The request took too long to arrive."),
        (status = 413, body = OAuthError, description = "The request is too large."),
        (status = 429, body = OAuthError, description = "The caller's rate limit; Retry-After says when to try again."),
        (status = 500, body = OAuthError, description = "Our mistake."),
        (status = 503, body = OAuthError, description = "Not at the moment; Retry-After says when to try again. The token is to be taken as good still."),
    ),
)]
#[post("/revoke")]
pub async fn revoke_presented_token(
    request: HttpRequest,
    payload: Payload,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    match revoke(&request, payload, &app).await {
        Ok(()) => Ok(unkept(HttpResponse::Ok()).finish()),
        Err(fault) => refuse(fault),
    }
}

async fn revoke(request: &HttpRequest, payload: Payload, app: &App) -> Result<(), Fault> {
    let form = Form::read(request, payload).await?;
    let (caller, way) = caller(request, &form)?;
    let origin = origin(request);
    let actor = app
        .authenticate_as(caller.evidence(), way.presentation(), origin)
        .await
        .map_err(|error| way.fault(error))?;
    let token = form.one("token", "token was sent twice.")?;
    let token = token.ok_or(Fault::InvalidRequest("token is missing."))?;
    let evidence = Evidence::of_text(token);
    let revoked = app.revoke_presented(&actor, origin, evidence).await;
    revoked.map_err(|error| way.fault(error))
}
