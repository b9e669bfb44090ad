//! Accounts: made and listed by operators, read and changed by their admins too.

use super::answer::{Answer, Reply, list};
use super::requests;
use super::service_accounts::body_and_wait;
use super::wire::Account;
use crate::caller::{Admin, Allowed, Instance};
use crate::fields::{self, Fields, Read};
use crate::precondition::if_match;
use crate::query::{self, Query};
use actix_web::{get, patch, post};
use symbolon_domain::account::{AccountPatch, AccountStatus};
use symbolon_domain::limits::OPS_ADDRESSES_MAX;
use symbolon_domain::token_text::TokenPrefix;
use symbolon_domain::{self as domain, AccountId, FieldCode, Name};

/// Lists accounts, newest first: all for an operator, its own for an admin.
#[utoipa::path(
    tag = "accounts",
    params(
        ("q" = Option<String>, Query, description = "Part of the name, in any case."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "From the header Link of the page before."),
    ),
    responses((status = 200, body = Vec<Account>)),
    security(("bearer" = ["symbolon:admin"])),
)]
#[get("/public/accounts")]
pub async fn list_accounts(caller: Allowed<Admin>) -> Answer {
    let mut query = Query::of(&caller.request)?;
    let page = query.page(AccountId);
    let q = query.optional("q", query::search).flatten();
    query.finish()?;
    let slice = caller.app.list_accounts(&caller.actor, q, page).await?;
    list::<_, _, Account>(&caller.request, caller.app.public_url(), &slice, |id| id.0)
}

/// Creates an account.
#[utoipa::path(
    tag = "accounts",
    request_body = requests::NewAccount,
    responses((status = 201, body = Account)),
    security(("bearer" = ["symbolon:instance:*"])),
)]
#[post("/public/accounts")]
pub async fn create_account(mut caller: Allowed<Instance>) -> Answer {
    let body = caller.body().await?;
    let mut fields = body.required()?;
    let new = new_account(&mut fields);
    let (name, patch) = fields.finish(new)?;
    let call = caller.once("create_account", &body);
    let made = caller.app.create_account(&call, name, patch).await?;
    let (url, id) = (caller.app.public_url(), made.record.id);
    let reply = Reply::created()
        .location(format!("{url}/v1/public/accounts/{id}"))
        .replayed(made.replayed);
    show(reply, &made.record)
}

/// Reads one account.
#[utoipa::path(
    tag = "accounts",
    responses((status = 200, body = Account)),
    security(("bearer" = ["symbolon:admin"])),
)]
#[get("/public/accounts/{account_id}")]
pub async fn get_account(caller: Allowed<Admin>) -> Answer {
    let id = caller.id("account_id")?;
    caller.no_query()?;
    let found = caller.app.find_account(&caller.actor, id).await?;
    show(Reply::ok(), &found)
}

/// Changes what the body names. `status` and `scope_ceiling` are the operators' to change.
#[utoipa::path(
    tag = "accounts",
    request_body = requests::AccountChange,
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses((status = 200, body = Account)),
    security(("bearer" = ["symbolon:admin"])),
)]
#[patch("/public/accounts/{account_id}")]
pub async fn update_account(mut caller: Allowed<Admin>) -> Answer {
    let id = caller.id("account_id")?;
    let version = if_match(&caller.request)?;
    let (body, wait) = body_and_wait(&mut caller).await?;
    let mut fields = body.required()?;
    let patch = account_patch(&mut fields);
    let patch = fields.finish(Some(patch))?;
    let changed = caller
        .app
        .update_account(&caller.call(), id, patch, version)
        .await?;
    let body = Account {
        effective: wait.until_effective(&caller.app, changed.position).await,
        ..Account::from(&changed.record)
    };
    Reply::ok().version(changed.record.version).json(&body)
}

fn show(reply: Reply, account: &domain::Account) -> Answer {
    reply.version(account.version).json(&Account::from(account))
}

fn new_account(fields: &mut Fields) -> Option<(Name, AccountPatch)> {
    let name = fields.required("name", fields::name);
    let patch = settings(fields);
    Some((name?, patch))
}

fn account_patch(fields: &mut Fields) -> AccountPatch {
    let name = fields.optional("name", fields::name);
    let status = fields.optional("status", status);
    AccountPatch {
        name,
        status,
        ..settings(fields)
    }
}

/// The fields that a new account and a changed one have in common.
fn settings(fields: &mut Fields) -> AccountPatch {
    let mut patch = AccountPatch {
        scope_ceiling: fields.nullable("scope_ceiling", fields::scopes),
        ops_addresses: fields.optional(
            "ops_addresses",
            fields::list(OPS_ADDRESSES_MAX, fields::email),
        ),
        token_prefix: fields.optional("token_prefix", prefix),
        ..AccountPatch::default()
    };
    if let Some(mut policy) = fields.enter("policy") {
        read_policy(&mut policy, &mut patch);
        fields.leave(policy);
    }
    patch
}

fn read_policy(policy: &mut Fields, patch: &mut AccountPatch) {
    patch.default_lifetime = policy.nullable("default_lifetime", fields::span);
    patch.max_lifetime = policy.nullable("max_lifetime", fields::span);
    patch.require_confirmed_contact = policy.optional("require_confirmed_contact", fields::boolean);
    patch.tokens_per_service_account =
        policy.optional("tokens_per_service_account", fields::integer);
}

fn status(json: &crate::body::Json) -> Read<AccountStatus> {
    let allowed = || {
        [AccountStatus::Active, AccountStatus::Suspended]
            .map(AccountStatus::as_str)
            .join(", ")
    };
    let status = AccountStatus::parse(fields::text(json)?);
    Ok(status.ok_or_else(|| FieldCode::NotAllowed { allowed: allowed() })?)
}

fn prefix(json: &crate::body::Json) -> Read<TokenPrefix> {
    Ok(TokenPrefix::parse(fields::text(json)?).ok_or(FieldCode::NotAPrefix)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::described;

    #[test]
    fn what_is_read_is_what_is_described() {
        described::<requests::NewAccount>(|fields| drop(new_account(fields)));
        described::<requests::AccountChange>(|fields| drop(account_patch(fields)));
        described::<requests::PolicyChange>(|fields| {
            read_policy(fields, &mut AccountPatch::default());
        });
    }
}
