//! Tokens: those of a service account, and those that belong to the account or an environment directly.

use super::answer::{Answer, Reply, Wait, list};
use super::requests;
use super::service_accounts::{because, body_and_wait, expiry, limits};
use super::wire::{Effective, Revocation, Shown, Token, Uses};
use crate::caller::{Allowed, Demand, TokensRead, TokensWrite};
use crate::failure::Failure;
use crate::fields::{self, Fields};
use crate::precondition::if_match;
use crate::query::{self, Query};
use actix_web::{delete, get, patch, post};
use symbolon_app::{CredentialRecord, Replayed, Revealed, TokenFilter};
use symbolon_domain::issue::{Grant, NewToken, Rotation, TokenPatch};
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
    reveal(
        Reply::created().location(format!("{url}{path}")),
        &made,
        None,
    )
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

/// Changes what the body names: what a token is called, and from where and how often it may be used.
#[utoipa::path(
    tag = "tokens",
    request_body = requests::TokenChange,
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses((status = 200, body = Token)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[patch(
    "/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/tokens/{token_id}"
)]
pub async fn update_token(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let id = caller.id("token_id")?;
    let change = TokenChange::read(&mut caller).await?;
    let call = caller.call();
    let changed = caller
        .app
        .update_token(&call, account, owner, id, change.patch, change.version)
        .await?;
    let waited = change.wait.until_effective(&caller.app, changed.position);
    repeatable(&changed, waited.await)
}

/// Says how often and when a token was used, day by day.
#[utoipa::path(
    tag = "tokens",
    responses((status = 200, body = Uses)),
    security(("bearer" = ["symbolon:tokens:read"])),
)]
#[get(
    "/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/tokens/{token_id}/uses"
)]
pub async fn get_token_uses(caller: Allowed<TokensRead>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let id = caller.id("token_id")?;
    caller.no_query()?;
    let uses = caller
        .app
        .token_uses(&caller.actor, account, owner, id)
        .await?;
    Reply::ok().json(&Uses::from(&uses))
}

/// Replaces a token; this answer alone shows the new one. No body is needed.
#[utoipa::path(
    tag = "tokens",
    request_body = Option<requests::Rotation>,
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses((status = 200, body = requests::TokenWithSecret)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post(
    "/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/tokens/{token_id}/rotate"
)]
pub async fn rotate_token(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let id = caller.id("token_id")?;
    let (body, wait) = body_and_wait(&mut caller).await?;
    let rotation = rotation(body.optional()?, caller.app.now())?;
    let call = caller.once("rotate_token", &body);
    let made = caller
        .app
        .rotate_token(&call, account, owner, id, rotation)
        .await?;
    let effective = wait.until_effective(&caller.app, made.position).await;
    reveal(Reply::ok(), &made, effective)
}

/// Suspends a token until it is activated.
#[utoipa::path(
    tag = "tokens",
    request_body = Option<requests::Because>,
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses((status = 200, body = Token)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post(
    "/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/tokens/{token_id}/suspend"
)]
pub async fn suspend_token(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let id = caller.id("token_id")?;
    let (body, wait) = body_and_wait(&mut caller).await?;
    let because = because(body.optional()?)?;
    let call = caller.once("suspend_token", &body);
    let done = caller
        .app
        .suspend_token(&call, account, owner, id, because)
        .await?;
    let effective = wait.until_effective(&caller.app, done.position).await;
    repeatable(&done, effective)
}

/// Activates a suspended token.
#[utoipa::path(
    tag = "tokens",
    request_body = Option<requests::Because>,
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses((status = 200, body = Token)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post(
    "/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/tokens/{token_id}/activate"
)]
pub async fn activate_token(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let id = caller.id("token_id")?;
    let (body, wait) = body_and_wait(&mut caller).await?;
    let because = because(body.optional()?)?;
    let call = caller.once("activate_token", &body);
    let done = caller
        .app
        .activate_token(&call, account, owner, id, because)
        .await?;
    let effective = wait.until_effective(&caller.app, done.position).await;
    repeatable(&done, effective)
}

/// Revokes a token, for good. Again: nothing changes.
#[utoipa::path(
    tag = "tokens",
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses(
        (status = 200, body = Revocation, description = "Revoked, and asked how far that has come."),
        (status = 204, description = "Revoked, now or before."),
    ),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[delete(
    "/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/tokens/{token_id}"
)]
pub async fn revoke_token(caller: Allowed<TokensWrite>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let id = caller.id("token_id")?;
    let wait = Wait::of(&caller.request)?;
    caller
        .app
        .revoke_token(&caller.call(), account, owner, id, Because::default())
        .await?;
    wait.revoked(&caller.app).await
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
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses(
        (status = 200, body = Revocation, description = "Revoked, and asked how far that has come."),
        (status = 204, description = "Revoked, now or before."),
    ),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[delete("/public/accounts/{account_id}/auth/tokens/{token_id}")]
pub async fn revoke_direct_token(caller: Allowed<TokensWrite>) -> Answer {
    let (account, id) = (caller.id("account_id")?, caller.id("token_id")?);
    let wait = Wait::of(&caller.request)?;
    caller
        .app
        .revoke_direct_token(&caller.call(), account, id, Because::default())
        .await?;
    wait.revoked(&caller.app).await
}

pub(super) fn owner<P: Demand>(
    caller: &Allowed<P>,
) -> Result<(AccountId, ServiceAccountId), Failure> {
    Ok((caller.id("account_id")?, caller.id("service_account_id")?))
}

fn show(reply: Reply, record: &CredentialRecord) -> Answer {
    reply.version(record.it.version).json(&Token::from(record))
}

pub(super) fn repeatable(
    done: &Replayed<CredentialRecord>,
    effective: Option<Option<Effective>>,
) -> Answer {
    let body = Token {
        effective,
        ..Token::from(&done.record)
    };
    let reply = Reply::ok().version(done.record.it.version);
    reply.replayed(done.replayed).json(&body)
}

pub(super) fn reveal(
    reply: Reply,
    made: &Revealed<CredentialRecord>,
    effective: Option<Option<Effective>>,
) -> Answer {
    let body = Token {
        token: Some(Shown::from(made.secret.as_ref())),
        effective,
        ..Token::from(&made.record)
    };
    let reply = reply.version(made.record.it.version);
    reply.replayed(made.replayed).json(&body)
}

/// A `PATCH` of a token or key.
pub(super) struct TokenChange {
    pub patch: TokenPatch,
    /// What its client saw last.
    pub version: Option<i64>,
    pub wait: Wait,
}

impl TokenChange {
    pub async fn read(caller: &mut Allowed<TokensWrite>) -> Result<Self, Failure> {
        let version = if_match(&caller.request)?;
        let (body, wait) = body_and_wait(caller).await?;
        let mut fields = body.required()?;
        let patch = token_patch(&mut fields);
        Ok(Self {
            patch: fields.finish(Some(patch))?,
            version,
            wait,
        })
    }
}

fn token_patch(fields: &mut Fields) -> TokenPatch {
    let description = fields.nullable("description", fields::description);
    TokenPatch {
        description: description.map(Option::flatten),
        allowed_networks: fields.optional("allowed_networks", fields::networks),
        rate_limit: fields.nullable("rate_limit", fields::rate_limit),
    }
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
        limits: limits(fields),
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
        described::<requests::TokenChange>(|fields| drop(token_patch(fields)));
        described::<requests::Rotation>(|fields| {
            read_rotation(fields, now);
        });
    }
}
