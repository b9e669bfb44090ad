//! Handlers: tokens of an account, and whose the presented one is.

use super::pfid::{Partition, Pfid, RefType};
use super::requests::{self, NewApiToken, Scope, Stretch};
use super::wire::{Created, Page, Ping, Shown};
use super::{convert, wire};
use crate::body::Body;
use crate::caller::{Allowed, Anyone, Demand, TokensRead, TokensWrite};
use crate::failure::Failure;
use crate::idempotency::REPLAYED;
use actix_web::{HttpResponse, HttpResponseBuilder, delete, get, post, routes};
use std::time::Duration;
use symbolon_app::{AccountToken, Replayed};
use symbolon_domain::account::ExpiryRequest;
use symbolon_domain::issue::{Grant, NewToken};
use symbolon_domain::{
    AccountId, Code, CredentialId, CredentialKind, EnvironmentId, FieldCode, Refusal,
};
use uuid::Uuid;

type Answer = Result<HttpResponse, Failure>;

/// What a token gets whose request and whose account's policy say nothing.
const DEFAULT_LIFE: Duration = Duration::from_secs(365 * 86_400);

/// List API tokens
///
/// Those of the whole account, of its environments and of its service accounts, revoked ones too; newest
/// first unless `sorting` says otherwise.
#[utoipa::path(
    tag = "api_token",
    params(
        ("account_id" = Option<wire::AccountRef>, Query, description = "Default: the token's account."),
        ("sorting" = Option<String>, Query, description = "inserted_at, updated_at, expires_at or status; a \
            leading - turns the order round. Default: -inserted_at."),
        ("sorting[field]" = Option<wire::SortField>, Query, description = "The older form."),
        ("sorting[direction]" = Option<wire::Direction>, Query, description = "The older form. Default: asc."),
        ("pagination[offset]" = Option<u64>, Query, description = "How many to leave out. Default: 0."),
        ("pagination[page_size]" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Default: 20."),
    ),
    responses((status = 200, body = Page)),
    security(("bearer" = ["symbolon:tokens:read"])),
)]
#[routes]
#[get("/api_token")]
#[get("/api_token/")]
pub async fn query_api_tokens(caller: Allowed<TokensRead>) -> Answer {
    let stretch = Stretch::read(&caller.request)?;
    let account = account(&caller, stretch.account)?;
    let (tokens, total) = caller
        .app
        .page_account_tokens(
            &caller.actor,
            account,
            stretch.sort,
            stretch.descending,
            stretch.offset,
            stretch.page_size,
        )
        .await?;
    Ok(HttpResponse::Ok().json(Page {
        pagination: convert::pagination(stretch.offset, stretch.page_size, tokens.len(), total),
        sorting: stretch.sorting(),
        status: "success",
        summaries: tokens.iter().map(convert::summary).collect(),
    }))
}

/// Create a new API token
///
/// It may do in its account or environment what the caller may. This answer alone shows it.
#[utoipa::path(
    tag = "api_token",
    request_body = requests::CreateBody,
    responses((status = 200, body = Created<'_>, description = "Success")),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[routes]
#[post("/api_token")]
#[post("/api_token/")]
pub async fn create_api_token(mut caller: Allowed<TokensWrite>) -> Answer {
    let (body, _) = caller.body_and_query().await?;
    let own_environment = caller.actor.authority().reach.environment();
    let new = NewApiToken::read(&body, own_environment.is_some(), caller.app.now())?;
    let key = requests::agreed_key(&caller.request, new.idempotency_key)?;
    let account = account(&caller, new.account)?;
    let environment = match new.scope {
        Scope::Account => None,
        Scope::Environment(Some(named)) => Some(environment(named, account)?),
        Scope::Environment(None) => own_environment,
    };
    let call = caller.once_with_key("create_api_token", &body, key);
    let token = NewToken {
        kind: CredentialKind::Jwt,
        grant: Grant::Only(caller.actor.authority().account_permissions()),
        expiry: new
            .expires_at
            .map_or(ExpiryRequest::DefaultOr(DEFAULT_LIFE), ExpiryRequest::At),
        ..NewToken::default()
    };
    let made = caller
        .app
        .issue_direct_token(&call, account, environment, token)
        .await?;
    Ok(ok(made.replayed).json(Created {
        details: convert::details(&made.record),
        status: "success",
        token: made.secret.as_ref().map(|secret| secret.reveal()),
    }))
}

/// Retrieve an API token
#[utoipa::path(
    tag = "api_token",
    params(("account_id" = Option<wire::AccountRef>, Query, description = "Default: the token's account.")),
    responses((status = 200, body = Shown)),
    security(("bearer" = ["symbolon:tokens:read"])),
)]
#[get("/api_token/{api_token_id}")]
pub async fn get_api_token(caller: Allowed<TokensRead>) -> Answer {
    let (account, id) = named_token(&caller)?;
    let found = caller
        .app
        .find_account_token(&caller.actor, account, id)
        .await?;
    Ok(HttpResponse::Ok().json(Shown::new(convert::details(&found))))
}

/// Suspend an API token
///
/// It is refused from now on, until it is activated.
#[utoipa::path(
    tag = "api_token",
    params(("account_id" = Option<wire::AccountRef>, Query, description = "Default: the token's account.")),
    request_body = Option<requests::Action>,
    responses((status = 200, body = Shown)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post("/api_token/{api_token_id}/suspend")]
pub async fn suspend_api_token(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, id) = named_token(&caller)?;
    let (body, key) = action(&mut caller).await?;
    let call = caller.once_with_key("suspend_api_token", &body, key);
    shown(caller.app.suspend_account_token(&call, account, id).await?)
}

/// Activate a suspended API token
#[utoipa::path(
    tag = "api_token",
    params(("account_id" = Option<wire::AccountRef>, Query, description = "Default: the token's account.")),
    request_body = Option<requests::Action>,
    responses((status = 200, body = Shown)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post("/api_token/{api_token_id}/activate")]
pub async fn activate_api_token(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, id) = named_token(&caller)?;
    let (body, key) = action(&mut caller).await?;
    let call = caller.once_with_key("activate_api_token", &body, key);
    shown(
        caller
            .app
            .activate_account_token(&call, account, id)
            .await?,
    )
}

/// Revoke an API token, for good
#[utoipa::path(
    tag = "api_token",
    params(("account_id" = Option<wire::AccountRef>, Query, description = "Default: the token's account.")),
    request_body = Option<requests::Action>,
    responses((status = 200, body = Shown)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post("/api_token/{api_token_id}/revoke")]
pub async fn revoke_api_token(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, id) = named_token(&caller)?;
    let (body, key) = action(&mut caller).await?;
    let call = caller.once_with_key("revoke_api_token", &body, key);
    shown(caller.app.end_account_token(&call, account, id).await?)
}

/// Delete a revoked API token
///
/// It is not found here any more. The answer shows what it was.
#[utoipa::path(
    tag = "api_token",
    params(("account_id" = Option<wire::AccountRef>, Query, description = "Default: the token's account.")),
    responses((status = 200, body = Shown)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[delete("/api_token/{api_token_id}")]
pub async fn delete_api_token(caller: Allowed<TokensWrite>) -> Answer {
    let (account, id) = named_token(&caller)?;
    let call = caller.call();
    shown(caller.app.delete_account_token(&call, account, id).await?)
}

/// Verify the presented token
#[utoipa::path(
    tag = "ping",
    responses((status = 200, body = Ping)),
    security(("bearer" = [])),
)]
#[get("/ping")]
pub async fn ping(caller: Allowed<Anyone>) -> Answer {
    let me = caller.app.whoami(&caller.actor).await?;
    Ok(HttpResponse::Ok().json(convert::ping(&me)))
}

fn ok(replayed: bool) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    if replayed {
        answer.insert_header((REPLAYED, "true"));
    }
    answer
}

fn shown(done: Replayed<AccountToken>) -> Answer {
    Ok(ok(done.replayed).json(Shown::new(convert::details(&done.record))))
}

/// The body of an action, which holds a key at most, and the key.
async fn action(caller: &mut Allowed<TokensWrite>) -> Result<(Body, Option<String>), Failure> {
    let (body, _) = caller.body_and_query().await?;
    let key = requests::agreed_key(&caller.request, requests::action(&body)?)?;
    Ok((body, key))
}

/// The account that is named, else the caller's. Which of them the caller may enter is for the use cases.
fn account<P: Demand>(caller: &Allowed<P>, named: Option<Pfid>) -> Result<AccountId, Failure> {
    let Some(named) = named else {
        return caller.own_account();
    };
    let account = AccountId(named.id());
    // An account's id lies in its own partition.
    let partition = Partition::of(account);
    if named.partition == partition && named.ref_type() == Some(RefType::Account) {
        return Ok(account);
    }
    match in_account(named, RefType::Account, caller.own_account()?) {
        Err(Stray::OfAnotherType) => Err(wrong_type("/account_id")),
        _ => Err(Code::NotFound.into()),
    }
}

/// An environment of another account looks like one that does not exist.
fn environment(named: Pfid, account: AccountId) -> Result<EnvironmentId, Failure> {
    let found = in_account(named, RefType::Environment, account);
    found.map(EnvironmentId).map_err(|stray| match stray {
        Stray::Foreign => Refusal::field("/environment_id", FieldCode::NotFound).into(),
        Stray::OfAnotherType => wrong_type("/environment_id"),
    })
}

/// The token in the path, and the account at hand.
fn named_token<P: Demand>(caller: &Allowed<P>) -> Result<(AccountId, CredentialId), Failure> {
    let account = account(caller, requests::named_account(&caller.request)?)?;
    let named = caller.id("api_token_id")?;
    match in_account(named, RefType::ApiToken, account) {
        Ok(id) => Ok((account, CredentialId(id))),
        Err(Stray::Foreign) => Err(Code::NotFound.into()),
        // No field is wrong: the request as a whole is.
        Err(Stray::OfAnotherType) => Err(wrong_type("")),
    }
}

/// Why an id is none of what is wanted here.
enum Stray {
    Foreign,
    OfAnotherType,
}

/// The id of something of this type in this account. Whatever lies elsewhere is only foreign.
fn in_account(named: Pfid, wanted: RefType, account: AccountId) -> Result<Uuid, Stray> {
    if named.partition != Partition::of(account) {
        Err(Stray::Foreign)
    } else if named.ref_type() != Some(wanted) {
        Err(Stray::OfAnotherType)
    } else {
        Ok(named.id())
    }
}

fn wrong_type(pointer: &str) -> Failure {
    Refusal::field(pointer, FieldCode::UnexpectedRefType).into()
}
