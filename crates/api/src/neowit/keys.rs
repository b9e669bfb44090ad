//! The keys of a service account: create, list, delete.

use super::wire::{KeyWithSecret, Keys, requests};
use super::{convert, place};
use crate::caller::{Allowed, TokensRead, TokensWrite};
use crate::failure::Failure;
use crate::idempotency::REPLAYED;
use actix_web::{HttpResponse, delete, get, post};
use symbolon_domain::retire::Because;
use symbolon_domain::{Code, CredentialKind};

type Answer = Result<HttpResponse, Failure>;

/// Lists the keys of a service account, oldest first; never their secrets.
#[utoipa::path(
    tag = "keys",
    responses((status = 200, body = Keys)),
    security(("bearer" = ["symbolon:tokens:read"])),
)]
#[get("/service-account/{id}/key")]
pub async fn list_keys(caller: Allowed<TokensRead>) -> Answer {
    list(caller).await
}

/// Creates a new serviceAccount key, whose secret this answer alone shows. No body is needed.
#[utoipa::path(
    tag = "keys",
    request_body = Option<requests::NewKey>,
    responses((status = 201, body = KeyWithSecret, description = "ServiceAccount key created")),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post("/service-account/{id}/key")]
pub async fn create_key(caller: Allowed<TokensWrite>) -> Answer {
    create(caller).await
}

/// Deletes a serviceAccount key, and with it the access tokens that it was exchanged for.
#[utoipa::path(
    path = "/service-account/{id}/key/{key-id}",
    tag = "keys",
    responses((status = 204, description = "ServiceAccount key deleted")),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[delete("/service-account/{id}/key/{key_id}")]
pub async fn delete_key(caller: Allowed<TokensWrite>) -> Answer {
    // Both ids are looked at before either is looked up.
    let key_id = place::key_id(&caller)?;
    let (account, owner) = place::named(&caller).await?;
    let owner = owner.it.id;
    let key = caller
        .app
        .find_key(&caller.actor, account, owner, &key_id)
        .await?;
    if key.it.is_revoked() {
        return Err(Code::NotFound.into());
    }
    caller
        .app
        .revoke_token(
            &caller.call(),
            account,
            owner,
            key.it.id,
            Because::default(),
        )
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) async fn list(caller: Allowed<TokensRead>) -> Answer {
    let (account, owner) = place::named(&caller).await?;
    let id = owner.it.id;
    let mut found = caller.app.tokens_of(&caller.actor, account, &[id]).await?;
    let found = found.remove(&id).unwrap_or_default();
    let keys = found
        .iter()
        .filter(|record| record.it.kind == CredentialKind::Key);
    Ok(HttpResponse::Ok().json(Keys {
        keys: keys.map(|record| convert::key(&record.it)).collect(),
    }))
}

pub(super) async fn create(mut caller: Allowed<TokensWrite>) -> Answer {
    let account = place::organisation(&caller)?;
    let owner = place::service_account_id(&caller)?;
    let (body, _) = caller.body_and_query().await?;
    body.optional()?.finish_leniently(Some(()))?;
    let call = caller.once("create_key", &body);
    let made = caller
        .app
        .issue_token(&call, account, owner, convert::new_key())
        .await
        .map_err(place::gone)?;
    let mut answer = HttpResponse::Created();
    if made.replayed {
        answer.insert_header((REPLAYED, "true"));
    }
    Ok(answer.json(convert::key_with_secret(&made)))
}
