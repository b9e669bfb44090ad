//! Service accounts: the four operations of the contract, and ours beside them.

use super::answer::{Answer, Reply, Wait, list};
use super::requests;
use super::tokens::rotation;
use super::wire::{Effective, Revocation, ServiceAccount, Shown};
use crate::body::Body;
use crate::caller::{Allowed, Demand, ServiceAccountsRead, ServiceAccountsWrite, TokensWrite};
use crate::failure::Failure;
use crate::fields::{self, Fields, future};
use crate::precondition::if_match;
use crate::query::{self, Query};
use actix_web::{delete, get, patch, post};
use symbolon_app::{Replayed, Revealed, ServiceAccountFilter, ServiceAccountRecord};
use symbolon_domain::account::ExpiryRequest;
use symbolon_domain::issue::{Limits, NewServiceAccount, ServiceAccountPatch};
use symbolon_domain::limits::NOTE_MAX;
use symbolon_domain::retire::Because;
use symbolon_domain::{AccountId, ServiceAccountId, Timestamp};

/// Lists an account's service accounts, newest first. Without `limit` and `cursor` the whole list, up to
/// 1,000; the header `Link` leads on whenever there is more.
#[utoipa::path(
    tag = "service accounts",
    params(
        ("include_revoked" = Option<bool>, Query, description = "Default: false."),
        ("q" = Option<String>, Query, description = "Part of the name, in any case."),
        ("status" = Option<String>, Query, description = "active, suspended or revoked; the last implies include_revoked."),
        ("environment_id" = Option<String>, Query, format = "uuid"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "From the header Link of the page before."),
    ),
    responses((status = 200, body = Vec<ServiceAccount>)),
    security(("bearer" = ["symbolon:service-accounts:read"])),
)]
#[get("/public/accounts/{account_id}/auth/service-accounts")]
pub async fn list_service_accounts(caller: Allowed<ServiceAccountsRead>) -> Answer {
    let account: AccountId = caller.id("account_id")?;
    let mut query = Query::of(&caller.request)?;
    let page = query.page(ServiceAccountId);
    let include_revoked = query.optional("include_revoked", query::boolean);
    let q = query.optional("q", query::search).flatten();
    let status = query.optional("status", query::one_of(&["active", "suspended", "revoked"]));
    let filter = ServiceAccountFilter {
        include_revoked: include_revoked.unwrap_or(false) || status == Some("revoked"),
        q,
        status: status.map(str::to_owned),
        environment_id: query.optional("environment_id", query::id),
    };
    query.finish()?;
    let slice = caller
        .app
        .list_service_accounts(&caller.actor, account, filter, page)
        .await?;
    list::<_, _, ServiceAccount>(&caller.request, caller.app.public_url(), &slice, |id| id.0)
}

/// Creates a service account with its primary token, which this answer alone shows. A contact, or the
/// account's ops addresses, is asked to confirm by mail.
#[utoipa::path(
    tag = "service accounts",
    request_body = requests::NewServiceAccount,
    responses((status = 201, body = requests::ServiceAccountWithToken)),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[post("/public/accounts/{account_id}/auth/service-accounts")]
pub async fn create_service_account(mut caller: Allowed<ServiceAccountsWrite>) -> Answer {
    let account: AccountId = caller.id("account_id")?;
    let body = caller.body().await?;
    let mut fields = body.required()?;
    let new = new_service_account(&mut fields, caller.app.now());
    let new = fields.finish(new)?;
    let call = caller.once("create_service_account", &body);
    let made = caller
        .app
        .create_service_account(&call, account, new)
        .await?;
    let id = made.record.it.id;
    let url = caller.app.public_url();
    let location = format!("{url}/v1/public/accounts/{account}/auth/service-accounts/{id}");
    reveal(Reply::created().location(location), &made, None)
}

/// Reads one service account.
#[utoipa::path(
    tag = "service accounts",
    responses((status = 200, body = ServiceAccount)),
    security(("bearer" = ["symbolon:service-accounts:read"])),
)]
#[get("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}")]
pub async fn get_service_account(caller: Allowed<ServiceAccountsRead>) -> Answer {
    let (account, id) = place(&caller)?;
    caller.no_query()?;
    let found = caller
        .app
        .find_service_account(&caller.actor, account, id)
        .await?;
    show(Reply::ok(), &found)
}

/// Changes what the body names. A new contact waits beside the old one until it is confirmed.
#[utoipa::path(
    tag = "service accounts",
    request_body = requests::ServiceAccountChange,
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses((status = 200, body = ServiceAccount)),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[patch("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}")]
pub async fn update_service_account(mut caller: Allowed<ServiceAccountsWrite>) -> Answer {
    let (account, id) = place(&caller)?;
    let version = if_match(&caller.request)?;
    let (body, wait) = body_and_wait(&mut caller).await?;
    let mut fields = body.required()?;
    let patch = service_account_patch(&mut fields);
    let patch = fields.finish(Some(patch))?;
    let changed = caller
        .app
        .update_service_account(&caller.call(), account, id, patch, version)
        .await?;
    let effective = wait.until_effective(&caller.app, changed.position).await;
    repeatable(Reply::ok(), &changed, effective)
}

/// Revokes a service account with all its tokens, for good. Again: nothing changes.
#[utoipa::path(
    tag = "service accounts",
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses(
        (status = 200, body = Revocation, description = "Revoked, and asked how far that has come."),
        (status = 204, description = "Revoked, now or before."),
    ),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[delete("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}")]
pub async fn revoke_service_account(caller: Allowed<ServiceAccountsWrite>) -> Answer {
    let (account, id) = place(&caller)?;
    let wait = Wait::of(&caller.request)?;
    caller
        .app
        .revoke_service_account(&caller.call(), account, id, Because::default())
        .await?;
    wait.revoked(&caller.app).await
}

/// Replaces the primary token; this answer alone shows the new one. The old one ends at once, or after
/// `grace`. No body is needed.
#[utoipa::path(
    tag = "service accounts",
    request_body = Option<requests::Rotation>,
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses((status = 200, body = requests::ServiceAccountWithToken)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/rotate")]
pub async fn rotate_service_account(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, id) = place(&caller)?;
    let (body, wait) = body_and_wait(&mut caller).await?;
    let rotation = rotation(body.optional()?, caller.app.now())?;
    let call = caller.once("rotate_service_account", &body);
    let made = caller
        .app
        .rotate_service_account(&call, account, id, rotation)
        .await?;
    let effective = wait.until_effective(&caller.app, made.position).await;
    reveal(Reply::ok(), &made, effective)
}

/// Suspends a service account: none of its tokens works until it is activated.
#[utoipa::path(
    tag = "service accounts",
    request_body = Option<requests::Because>,
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses((status = 200, body = ServiceAccount)),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[post("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/suspend")]
pub async fn suspend_service_account(mut caller: Allowed<ServiceAccountsWrite>) -> Answer {
    let (account, id) = place(&caller)?;
    let (body, wait) = body_and_wait(&mut caller).await?;
    let because = because(body.optional()?)?;
    let call = caller.once("suspend_service_account", &body);
    let done = caller
        .app
        .suspend_service_account(&call, account, id, because)
        .await?;
    let effective = wait.until_effective(&caller.app, done.position).await;
    repeatable(Reply::ok(), &done, effective)
}

/// Activates a suspended service account.
#[utoipa::path(
    tag = "service accounts",
    request_body = Option<requests::Because>,
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses((status = 200, body = ServiceAccount)),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[post("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/activate")]
pub async fn activate_service_account(mut caller: Allowed<ServiceAccountsWrite>) -> Answer {
    let (account, id) = place(&caller)?;
    let (body, wait) = body_and_wait(&mut caller).await?;
    let because = because(body.optional()?)?;
    let call = caller.once("activate_service_account", &body);
    let done = caller
        .app
        .activate_service_account(&call, account, id, because)
        .await?;
    let effective = wait.until_effective(&caller.app, done.position).await;
    repeatable(Reply::ok(), &done, effective)
}

/// Mails the confirmation again: at most once a minute and ten times a day. No body is needed.
#[utoipa::path(
    tag = "service accounts",
    responses((status = 202, body = ServiceAccount)),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[post("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/confirmation")]
pub async fn resend_confirmation(mut caller: Allowed<ServiceAccountsWrite>) -> Answer {
    let (account, id) = place(&caller)?;
    let body = caller.body().await?;
    body.optional()?.finish(Some(()))?;
    let call = caller.once("resend_confirmation", &body);
    let done = caller.app.resend_confirmation(&call, account, id).await?;
    repeatable(Reply::accepted(), &done, None)
}

/// Reports that mail to the contact does not arrive.
#[utoipa::path(
    tag = "service accounts",
    request_body = Option<requests::Undeliverable>,
    responses((status = 200, body = ServiceAccount)),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[post(
    "/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/contact/undeliverable"
)]
pub async fn report_undeliverable(mut caller: Allowed<ServiceAccountsWrite>) -> Answer {
    let (account, id) = place(&caller)?;
    let body = caller.body().await?;
    let mut fields = body.optional()?;
    let detail = fields
        .nullable("detail", fields::note(NOTE_MAX))
        .flatten()
        .flatten();
    let detail = fields.finish(Some(detail))?;
    let call = caller.once("report_undeliverable", &body);
    let done = caller
        .app
        .report_undeliverable(&call, account, id, detail)
        .await?;
    repeatable(Reply::ok(), &done, None)
}

fn place<P: Demand>(caller: &Allowed<P>) -> Result<(AccountId, ServiceAccountId), Failure> {
    Ok((caller.id("account_id")?, caller.id("service_account_id")?))
}

/// What was waited for ([`Wait::until_effective`]).
type Waited = Option<Option<Effective>>;

/// The body of an action, and for how long its answer may wait.
pub(super) async fn body_and_wait<P: Demand>(
    caller: &mut Allowed<P>,
) -> Result<(Body, Wait), Failure> {
    let body = caller.body_before_query().await?;
    Ok((body, Wait::of(&caller.request)?))
}

fn show(reply: Reply, record: &ServiceAccountRecord) -> Answer {
    reply
        .version(record.it.version)
        .json(&ServiceAccount::from(record))
}

fn repeatable(reply: Reply, done: &Replayed<ServiceAccountRecord>, effective: Waited) -> Answer {
    let body = ServiceAccount {
        effective,
        ..ServiceAccount::from(&done.record)
    };
    let reply = reply.version(done.record.it.version);
    reply.replayed(done.replayed).json(&body)
}

fn reveal(reply: Reply, made: &Revealed<ServiceAccountRecord>, effective: Waited) -> Answer {
    let body = ServiceAccount {
        token: Some(Shown::from(made.secret.as_ref())),
        effective,
        ..ServiceAccount::from(&made.record)
    };
    let reply = reply
        .version(made.record.it.version)
        .replayed(made.replayed);
    reply.json(&body)
}

pub(super) fn because(mut fields: Fields) -> Result<Because, Failure> {
    let because = Because {
        reason: fields
            .nullable("reason", fields::note(NOTE_MAX))
            .flatten()
            .flatten(),
        note: fields
            .nullable("note", fields::note(NOTE_MAX))
            .flatten()
            .flatten(),
    };
    fields.finish(Some(because))
}

/// `expires_at`: a time ahead; null and absent are the default.
pub(super) fn expiry(fields: &mut Fields, now: Timestamp) -> ExpiryRequest {
    match fields.nullable("expires_at", future(now)) {
        Some(Some(end)) => ExpiryRequest::At(end),
        _ => ExpiryRequest::Default,
    }
}

/// `allowed_networks` and `rate_limit` of what is being made.
pub(super) fn limits(fields: &mut Fields) -> Limits {
    let networks = fields.optional("allowed_networks", fields::networks);
    Limits {
        allowed_networks: networks.unwrap_or_default(),
        rate_limit: fields.nullable("rate_limit", fields::rate_limit).flatten(),
    }
}

fn new_service_account(fields: &mut Fields, now: Timestamp) -> Option<NewServiceAccount> {
    let name = fields.required("name", fields::name);
    let expiry = expiry(fields, now);
    let description = fields
        .nullable("description", fields::description)
        .flatten();
    let contact_email = fields.nullable("contact_email", fields::email).flatten();
    let contact_language = fields.optional("contact_language", fields::language);
    let environment_id = fields.nullable("environment_id", fields::id).flatten();
    let scopes = fields.optional("scopes", fields::scopes);
    let basic_auth_enabled = fields.optional("basic_auth_enabled", fields::boolean);
    let limits = limits(fields);
    Some(NewServiceAccount {
        description: description.flatten(),
        contact_email,
        contact_language: contact_language.unwrap_or_default(),
        environment_id,
        scopes: scopes.unwrap_or_default(),
        basic_auth_enabled: basic_auth_enabled.unwrap_or(false),
        expiry,
        limits,
        ..NewServiceAccount::named(name?)
    })
}

fn service_account_patch(fields: &mut Fields) -> ServiceAccountPatch {
    ServiceAccountPatch {
        name: fields.optional("name", fields::name),
        description: fields
            .nullable("description", fields::description)
            .map(Option::flatten),
        contact_email: fields.nullable("contact_email", fields::email),
        contact_language: fields.optional("contact_language", fields::language),
        environment_id: fields.nullable("environment_id", fields::id),
        scopes: fields.optional("scopes", fields::scopes),
        basic_auth_enabled: fields.optional("basic_auth_enabled", fields::boolean),
        allowed_networks: fields.optional("allowed_networks", fields::networks),
        rate_limit: fields.nullable("rate_limit", fields::rate_limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::described;

    #[test]
    fn what_is_read_is_what_is_described() {
        let now = Timestamp::from_micros(0);
        described::<requests::NewServiceAccount>(|fields| drop(new_service_account(fields, now)));
        described::<requests::ServiceAccountChange>(|fields| drop(service_account_patch(fields)));
    }
}
