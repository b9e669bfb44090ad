//! Service accounts: list, create, update, delete, and what one may do.

use super::answer::{Answer, created, deleted, number, shown};
use super::convert;
use super::wire::{self, Pat, ServiceAccount, ServiceAccounts};
use crate::body::Json;
use crate::caller::{Allowed, Demand, ServiceAccountsRead, ServiceAccountsWrite};
use crate::failure::Failure;
use crate::fields::{self, Fields, Read};
use actix_web::{delete, get, post, put};
use std::collections::HashMap;
use symbolon_app::{CredentialRecord, ServiceAccountRecord};
use symbolon_domain::issue::{NewServiceAccount, ServiceAccountPatch};
use symbolon_domain::label::Username;
use symbolon_domain::retire::Because;
use symbolon_domain::{AccountId, Code, FieldCode, Name, Permission, RootRole};
use uuid::Uuid;

/// How often a change is thought out anew because somebody else's came first.
const ATTEMPTS: usize = 5;

/// List the service accounts of the caller's account, oldest first.
#[utoipa::path(
    tag = "Service Accounts",
    operation_id = "getServiceAccounts",
    responses((status = 200, body = ServiceAccounts)),
    security(("bearer" = ["symbolon:service-accounts:read"])),
)]
#[get("")]
pub async fn get_service_accounts(caller: Allowed<ServiceAccountsRead>) -> Answer {
    list(caller).await
}

pub async fn list(caller: Allowed<ServiceAccountsRead>) -> Answer {
    let account = caller.own_account()?;
    let found = caller
        .app
        .all_service_accounts(&caller.actor, account)
        .await?;
    let service_accounts = converted(&caller, account, &found).await?;
    shown(&ServiceAccounts {
        root_roles: convert::roles(&service_accounts),
        service_accounts,
    })
}

/// Create a service account with the permissions of a root role, and no token yet. The account's ops
/// addresses are asked by mail to confirm it.
#[utoipa::path(
    tag = "Service Accounts",
    operation_id = "createServiceAccount",
    request_body = wire::CreateServiceAccount,
    responses((
        status = 201,
        body = ServiceAccount,
        headers(("location" = String, description = "The address of the new service account."))
    )),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[post("")]
pub async fn create_service_account(caller: Allowed<ServiceAccountsWrite>) -> Answer {
    create(caller).await
}

pub async fn create(mut caller: Allowed<ServiceAccountsWrite>) -> Answer {
    let body = caller.typed_body().await?;
    let mut fields = body.required()?;
    let new = new_service_account(&mut fields);
    let mut new = fields.finish_leniently(new)?;
    let is_reserved = |it: &Username| convert::is_reserved(it.as_str());
    if new.username.as_ref().is_some_and(is_reserved) {
        return Err(Code::UsernameTaken.into());
    }
    new.environment_id = caller.actor.authority().reach.environment();
    let account = caller.own_account()?;
    let call = caller.once("create_service_account", &body);
    let made = caller
        .app
        .create_service_account(&call, account, new)
        .await?;
    let body = one(&caller, account, made.record).await?;
    created(&caller, &body.id.to_string(), made.replayed, &body)
}

/// Update a service account's name or root role. The username stays.
#[utoipa::path(
    tag = "Service Accounts",
    operation_id = "updateServiceAccount",
    request_body = wire::UpdateServiceAccount,
    responses((status = 200, body = ServiceAccount)),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[put("/{id}")]
pub async fn update_service_account(mut caller: Allowed<ServiceAccountsWrite>) -> Answer {
    let mut fields = caller.typed_body().await?.required()?;
    let change = change(&mut fields);
    let (name, role) = fields.finish_leniently(Some(change))?;
    let account = caller.own_account()?;
    for _ in 0..ATTEMPTS {
        let found = named(&caller, account).await?.it;
        let patch = ServiceAccountPatch {
            name: name.clone(),
            scopes: role.map(|role| role.replace_in(&found.scopes)),
            ..ServiceAccountPatch::default()
        };
        let changed = caller
            .app
            .update_service_account(
                &caller.call(),
                account,
                found.id,
                patch,
                Some(found.version),
            )
            .await;
        match changed {
            // The scopes that its role was to replace may be others by now.
            Err(error) if error.code() == Code::VersionMismatch => {}
            changed => return shown(&one(&caller, account, changed?.record).await?),
        }
    }
    Err(Code::VersionMismatch.into())
}

/// Delete a service account with all its tokens. Its username is free again.
#[utoipa::path(
    tag = "Service Accounts",
    operation_id = "deleteServiceAccount",
    responses((status = 200, description = "Deleted. The answer has no body.")),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[delete("/{id}")]
pub async fn delete_service_account(caller: Allowed<ServiceAccountsWrite>) -> Answer {
    let account = caller.own_account()?;
    let found = named(&caller, account).await?;
    caller
        .app
        .revoke_service_account(&caller.call(), account, found.it.id, Because::default())
        .await?;
    deleted()
}

/// Show what a service account may do. There are no projects and environments here, so `project` and
/// `environment` change nothing.
#[utoipa::path(
    tag = "Service Accounts",
    operation_id = "getServiceAccountPermissions",
    params(
        ("project" = Option<String>, Query, description = "Ignored."),
        ("environment" = Option<String>, Query, description = "Ignored."),
    ),
    responses((status = 200, body = wire::ServiceAccountPermissions)),
    security(("bearer" = ["symbolon:service-accounts:read"])),
)]
#[get("/{id}/permissions")]
pub async fn get_service_account_permissions(caller: Allowed<ServiceAccountsRead>) -> Answer {
    let account = caller.own_account()?;
    let found = named(&caller, account).await?;
    let scopes = found.it.scopes.clone();
    let service_account = one(&caller, account, found).await?;
    shown(&convert::permissions(&scopes, service_account))
}

/// The service account that the path names.
pub(super) async fn named<P: Demand>(
    caller: &Allowed<P>,
    account: AccountId,
) -> Result<ServiceAccountRecord, Failure> {
    let number = number(caller, "id")?;
    let found = caller
        .app
        .service_account_of_number(&caller.actor, account, number)
        .await?;
    Ok(found)
}

async fn one<P: Demand>(
    caller: &Allowed<P>,
    account: AccountId,
    record: ServiceAccountRecord,
) -> Result<ServiceAccount, Failure> {
    let mut shown = converted(caller, account, &[record]).await?;
    Ok(shown.pop().ok_or(Code::Internal)?)
}

/// Service accounts with their tokens, the latter only for a caller who may see tokens.
async fn converted<P: Demand>(
    caller: &Allowed<P>,
    account: AccountId,
    records: &[ServiceAccountRecord],
) -> Result<Vec<ServiceAccount>, Failure> {
    let (app, now) = (&caller.app, caller.app.now());
    let ids: Vec<_> = records.iter().map(|record| record.it.id).collect();
    let sees_tokens = caller.actor.authority().allows(Permission::TokensRead);
    let tokens = match sees_tokens {
        true => app.tokens_of(&caller.actor, account, &ids).await?,
        false => HashMap::new(),
    };
    let of_tokens = tokens.values().flatten().map(|token| token.it.id.0);
    let all: Vec<Uuid> = ids.iter().map(|id| id.0).chain(of_tokens).collect();
    let numbers = app.numbers(&all).await?;
    let number = |id: Uuid| numbers.get(&id).copied().unwrap_or_default();
    let convert = |record: &ServiceAccountRecord| {
        let it = &record.it;
        let owner = number(it.id.0);
        let pat = |token: &CredentialRecord| convert::pat(token, number(token.it.id.0), owner, now);
        let pats = || -> Vec<Pat> {
            let tokens = tokens.get(&it.id).into_iter().flatten();
            let pats = tokens.filter(|token| convert::is_pat(&token.it)).map(pat);
            convert::in_order(pats, |pat| pat.id)
        };
        convert::service_account(it, owner, sees_tokens.then(pats))
    };
    Ok(convert::in_order(records.iter().map(convert), |it| it.id))
}

fn new_service_account(fields: &mut Fields) -> Option<NewServiceAccount> {
    let name = fields.required("name", fields::name);
    let username = fields.required("username", username);
    let role = fields.required("rootRole", root_role);
    Some(NewServiceAccount {
        username: Some(username?),
        first_token: false,
        scopes: role?.scopes(),
        ..NewServiceAccount::named(name?)
    })
}

fn change(fields: &mut Fields) -> (Option<Name>, Option<RootRole>) {
    (
        fields.optional("name", fields::name),
        fields.optional("rootRole", root_role),
    )
}

fn username(json: &Json) -> Read<Username> {
    Ok(Username::parse(fields::text(json)?)?)
}

fn root_role(json: &Json) -> Read<RootRole> {
    let Json::Integer(id) = json else {
        let wanted = "integer".to_owned();
        return Err(FieldCode::WrongType { wanted }.into());
    };
    let ids = || RootRole::ALL.map(|role| role.id().to_string()).join(", ");
    Ok(RootRole::from_id(*id).ok_or_else(|| FieldCode::NotAllowed { allowed: ids() })?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::described;

    #[test]
    fn what_is_read_is_what_is_described() {
        described::<wire::CreateServiceAccount>(|fields| drop(new_service_account(fields)));
        described::<wire::UpdateServiceAccount>(|fields| drop(change(fields)));
    }
}
