//! Tokens: those of a service account, and those that belong to the account or an environment directly.

use super::answer::{Answer, Reply, list, no_content};
use super::requests;
use super::service_accounts::{because, expiry};
use super::wire::{Shown, Token};
use crate::caller::{Allowed, Demand, TokensRead, TokensWrite};
use crate::failure::Failure;
use crate::fields::{self, Fields};
use crate::query::{self, Query};
use actix_web::{delete, get, post};
use symbolon_app::{CredentialRecord, Replayed, Revealed, TokenFilter};
use symbolon_domain::issue::{Grant, NewToken, Rotation};
use symbolon_domain::retire::Because;
use symbolon_domain::{AccountId, CredentialId, ServiceAccountId, Timestamp};

/// Lists a service account's tokens, newest first.
#[utoipa::path(
    tag = "tokens",
    params(
        ("include_revoked" = Option<bool>, Query, description = "Default: false."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "From the header Link of the page before."),
    ),
    responses((status = 200, body = Vec<Token>)),
    security(("bearer" = ["symbolon:tokens:read"])),
)]
#[get("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/tokens")]
pub async fn list_tokens(caller: Allowed<TokensRead>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let mut query = Query::of(&caller.request)?;
    let page = query.page(CredentialId);
    let include_revoked = query
        .optional("include_revoked", query::boolean)
        .unwrap_or(false);
    query.finish()?;
    let filter = TokenFilter {
        include_revoked,
        kind: None,
    };
    let slice = caller
        .app
        .list_tokens(&caller.actor, account, owner, filter, page)
        .await?;
    list::<_, _, Token>(&caller.request, caller.app.public_url(), &slice, |id| id.0)
}

/// Makes a further token, which this answer alone shows. Its scopes lie within the service account's.
#[utoipa::path(
    tag = "tokens",
    request_body = Option<requests::NewToken>,
    responses((status = 201, body = requests::TokenWithSecret)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/tokens")]
pub async fn create_token(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let body = caller.body().await?;
    let mut fields = body.optional()?;
    let new = new_token(&mut fields, caller.app.now());
    let new = fields.finish(Some(new))?;
    let call = caller.once("create_token", &body);
    let made = caller.app.issue_token(&call, account, owner, new).await?;
    let (url, id) = (caller.app.public_url(), made.record.it.id);
    let path = format!("/v1/public/accounts/{account}/auth/service-accounts/{owner}/tokens/{id}");
    reveal(Reply::created().location(format!("{url}{path}")), &made)
}

/// Reads one token; never its text.
#[utoipa::path(
    tag = "tokens",
    responses((status = 200, body = Token)),
    security(("bearer" = ["symbolon:tokens:read"])),
)]
#[get("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/tokens/{token_id}")]
pub async fn get_token(caller: Allowed<TokensRead>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let id = caller.id("token_id")?;
    caller.no_query()?;
    let found = caller
        .app
        .find_token(&caller.actor, account, owner, id)
        .await?;
    show(Reply::ok(), &found)
}

/// Replaces a token; this answer alone shows the new one. No body is needed.
#[utoipa::path(
    tag = "tokens",
    request_body = Option<requests::Rotation>,
    responses((status = 200, body = requests::TokenWithSecret)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post(
    "/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/tokens/{token_id}/rotate"
)]
pub async fn rotate_token(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let id = caller.id("token_id")?;
    let body = caller.body().await?;
    let rotation = rotation(body.optional()?, caller.app.now())?;
    let call = caller.once("rotate_token", &body);
    let made = caller
        .app
        .rotate_token(&call, account, owner, id, rotation)
        .await?;
    reveal(Reply::ok(), &made)
}

/// Suspends a token until it is activated.
#[utoipa::path(
    tag = "tokens",
    request_body = Option<requests::Because>,
    responses((status = 200, body = Token)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post(
    "/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/tokens/{token_id}/suspend"
)]
pub async fn suspend_token(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let id = caller.id("token_id")?;
    let body = caller.body().await?;
    let because = because(body.optional()?)?;
    let call = caller.once("suspend_token", &body);
    let done = caller
        .app
        .suspend_token(&call, account, owner, id, because)
        .await?;
    repeatable(&done)
}

/// Activates a suspended token.
#[utoipa::path(
    tag = "tokens",
    request_body = Option<requests::Because>,
    responses((status = 200, body = Token)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post(
    "/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/tokens/{token_id}/activate"
)]
pub async fn activate_token(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let id = caller.id("token_id")?;
    let body = caller.body().await?;
    let because = because(body.optional()?)?;
    let call = caller.once("activate_token", &body);
    let done = caller
        .app
        .activate_token(&call, account, owner, id, because)
        .await?;
    repeatable(&done)
}

/// Revokes a token, for good. Again: nothing changes.
#[utoipa::path(
    tag = "tokens",
    responses((status = 204, description = "Revoked, now or before.")),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[delete(
    "/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/tokens/{token_id}"
)]
pub async fn revoke_token(caller: Allowed<TokensWrite>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let id = caller.id("token_id")?;
    caller.no_query()?;
    caller
        .app
        .revoke_token(&caller.call(), account, owner, id, Because::default())
        .await?;
    no_content()
}

/// Lists the tokens that belong to the account or an environment directly, newest first.
#[utoipa::path(
    tag = "tokens",
    params(
        ("include_revoked" = Option<bool>, Query, description = "Default: false."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "From the header Link of the page before."),
    ),
    responses((status = 200, body = Vec<Token>)),
    security(("bearer" = ["symbolon:tokens:read"])),
)]
#[get("/public/accounts/{account_id}/auth/tokens")]
pub async fn list_direct_tokens(caller: Allowed<TokensRead>) -> Answer {
    let account: AccountId = caller.id("account_id")?;
    let mut query = Query::of(&caller.request)?;
    let page = query.page(CredentialId);
    let include_revoked = query
        .optional("include_revoked", query::boolean)
        .unwrap_or(false);
    query.finish()?;
    let slice = caller
        .app
        .list_direct_tokens(&caller.actor, account, include_revoked, page)
        .await?;
    list::<_, _, Token>(&caller.request, caller.app.public_url(), &slice, |id| id.0)
}

/// Revokes a token that belongs to the account or an environment directly. Again: nothing changes.
#[utoipa::path(
    tag = "tokens",
    responses((status = 204, description = "Revoked, now or before.")),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[delete("/public/accounts/{account_id}/auth/tokens/{token_id}")]
pub async fn revoke_direct_token(caller: Allowed<TokensWrite>) -> Answer {
    let (account, id) = (caller.id("account_id")?, caller.id("token_id")?);
    caller.no_query()?;
    caller
        .app
        .revoke_direct_token(&caller.call(), account, id, Because::default())
        .await?;
    no_content()
}

pub(super) fn owner<P: Demand>(
    caller: &Allowed<P>,
) -> Result<(AccountId, ServiceAccountId), Failure> {
    Ok((caller.id("account_id")?, caller.id("service_account_id")?))
}

fn show(reply: Reply, record: &CredentialRecord) -> Answer {
    reply.json(&Token::from(record))
}

pub(super) fn repeatable(done: &Replayed<CredentialRecord>) -> Answer {
    show(Reply::ok().replayed(done.replayed), &done.record)
}

pub(super) fn reveal(reply: Reply, made: &Revealed<CredentialRecord>) -> Answer {
    let body = Token {
        token: Some(Shown::from(made.secret.as_ref())),
        ..Token::from(&made.record)
    };
    reply.replayed(made.replayed).json(&body)
}

fn new_token(fields: &mut Fields, now: Timestamp) -> NewToken {
    NewToken {
        description: fields
            .nullable("description", fields::description)
            .flatten()
            .flatten(),
        expiry: expiry(fields, now),
        not_before: fields.nullable("not_before", fields::time).flatten(),
        grant: Grant::Only(
            fields
                .optional("scopes", fields::scopes)
                .unwrap_or_default(),
        ),
        ..NewToken::default()
    }
}

/// The body of every rotation; no body is the plain one.
pub(super) fn rotation(mut fields: Fields, now: Timestamp) -> Result<Rotation, Failure> {
    let rotation = read_rotation(&mut fields, now);
    fields.finish(Some(rotation))
}

fn read_rotation(fields: &mut Fields, now: Timestamp) -> Rotation {
    Rotation {
        grace: fields.optional("grace", fields::span).unwrap_or_default(),
        expiry: expiry(fields, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::described;

    #[test]
    fn what_is_read_is_what_is_described() {
        let now = Timestamp::from_micros(0);
        described::<requests::NewToken>(|fields| drop(new_token(fields, now)));
        described::<requests::Rotation>(|fields| {
            read_rotation(fields, now);
        });
    }
}
