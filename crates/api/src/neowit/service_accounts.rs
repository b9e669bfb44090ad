//! Service accounts: create, list, read, change, delete.

use super::wire::{ServiceAccount, ServiceAccounts, requests};
use super::{convert, place};
use crate::caller::{Allowed, Demand, ServiceAccountsRead, ServiceAccountsWrite};
use crate::failure::Failure;
use crate::idempotency::REPLAYED;
use actix_web::{HttpResponse, delete, get, patch, post, put};
use std::collections::HashMap;
use symbolon_app::{CredentialRecord, ServiceAccountRecord};
use symbolon_domain::retire::Because;
use symbolon_domain::{AccountId, Permission, ServiceAccountId};

type Answer = Result<HttpResponse, Failure>;

/// Lists the service accounts with their keys, oldest first.
#[utoipa::path(
    tag = "service accounts",
    responses((status = 200, body = ServiceAccounts)),
    security(("bearer" = ["symbolon:service-accounts:read"])),
)]
#[get("/service-account")]
pub async fn list_service_accounts(caller: Allowed<ServiceAccountsRead>) -> Answer {
    list(caller).await
}

/// Creates a new serviceAccount and sends an email confirmation request to the supplied email, else to the
/// account's ops addresses. It has no key yet.
#[utoipa::path(
    tag = "service accounts",
    request_body = requests::NewServiceAccount,
    responses((status = 201, body = ServiceAccount, description = "ServiceAccount created")),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[post("/service-account")]
pub async fn create_service_account(caller: Allowed<ServiceAccountsWrite>) -> Answer {
    create(caller).await
}

/// Reads one service account. Takes `symbolon:tokens:read`, too: its keys come with it.
#[utoipa::path(
    tag = "service accounts",
    responses((status = 200, body = ServiceAccount)),
    security(("bearer" = ["symbolon:service-accounts:read"])),
)]
#[get("/service-account/{id}")]
pub async fn get_service_account(caller: Allowed<ServiceAccountsRead>) -> Answer {
    demand_keys(&caller)?;
    let (account, found) = place::named(&caller).await?;
    show(&caller, account, &found).await
}

/// Changes what the body names.
#[utoipa::path(
    tag = "service accounts",
    request_body = requests::ServiceAccountChange,
    responses((status = 200, body = ServiceAccount)),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[patch("/service-account/{id}")]
pub async fn update_service_account(caller: Allowed<ServiceAccountsWrite>) -> Answer {
    update(caller).await
}

/// As PATCH: what the body does not name stays as it is.
#[utoipa::path(
    tag = "service accounts",
    request_body = requests::ServiceAccountChange,
    responses((status = 200, body = ServiceAccount)),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[put("/service-account/{id}")]
pub async fn put_service_account(caller: Allowed<ServiceAccountsWrite>) -> Answer {
    update(caller).await
}

/// Deletes a service account with its keys; nothing authenticates as it from then on.
#[utoipa::path(
    tag = "service accounts",
    responses((status = 204, description = "ServiceAccount deleted")),
    security(("bearer" = ["symbolon:service-accounts:write"])),
)]
#[delete("/service-account/{id}")]
pub async fn delete_service_account(caller: Allowed<ServiceAccountsWrite>) -> Answer {
    let (account, found) = place::named(&caller).await?;
    caller
        .app
        .revoke_service_account(&caller.call(), account, found.it.id, Because::default())
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) async fn list(caller: Allowed<ServiceAccountsRead>) -> Answer {
    demand_keys(&caller)?;
    let account = place::organisation(&caller)?;
    let found = caller
        .app
        .all_service_accounts(&caller.actor, account)
        .await?;
    let keys = keys_of(&caller, account, &found).await?;
    let show = |record: &ServiceAccountRecord| {
        let keys = keys.get(&record.it.id).map(Vec::as_slice);
        convert::service_account(&record.it, keys.unwrap_or_default())
    };
    Ok(HttpResponse::Ok().json(ServiceAccounts {
        service_accounts: found.iter().map(show).collect(),
    }))
}

pub(super) async fn create(mut caller: Allowed<ServiceAccountsWrite>) -> Answer {
    let account = place::organisation(&caller)?;
    let (body, _) = caller.body_and_query().await?;
    let mut fields = body.required()?;
    let new = convert::new_service_account(&mut fields, caller.actor.authority());
    let new = fields.finish_leniently(new)?;
    let call = caller.once("create_service_account", &body);
    let made = caller
        .app
        .create_service_account(&call, account, new)
        .await?;
    let mut answer = HttpResponse::Created();
    if made.replayed {
        answer.insert_header((REPLAYED, "true"));
    }
    // A repeat shows it as it is by now, with the keys that it got meanwhile.
    let sees_keys = caller.actor.authority().allows(Permission::TokensRead);
    let keys = match made.replayed && sees_keys {
        true => keys_of(&caller, account, std::slice::from_ref(&made.record)).await?,
        false => HashMap::new(),
    };
    let keys = keys.get(&made.record.it.id).map(Vec::as_slice);
    Ok(answer.json(convert::service_account(
        &made.record.it,
        keys.unwrap_or_default(),
    )))
}

async fn update(mut caller: Allowed<ServiceAccountsWrite>) -> Answer {
    demand_keys(&caller)?;
    let account = place::organisation(&caller)?;
    let id = place::service_account_id(&caller)?;
    let (body, _) = caller.body_and_query().await?;
    let mut fields = body.required()?;
    let patch = convert::service_account_patch(&mut fields);
    let patch = fields.finish_leniently(Some(patch))?;
    let changed = caller
        .app
        .update_service_account(&caller.call(), account, id, patch, None)
        .await
        .map_err(place::gone)?;
    show(&caller, account, &changed.record).await
}

async fn show<P: Demand>(
    caller: &Allowed<P>,
    account: AccountId,
    record: &ServiceAccountRecord,
) -> Answer {
    let keys = keys_of(caller, account, std::slice::from_ref(record)).await?;
    let keys = keys.get(&record.it.id).map(Vec::as_slice);
    let shown = convert::service_account(&record.it, keys.unwrap_or_default());
    Ok(HttpResponse::Ok().json(shown))
}

async fn keys_of<P: Demand>(
    caller: &Allowed<P>,
    account: AccountId,
    of: &[ServiceAccountRecord],
) -> Result<HashMap<ServiceAccountId, Vec<CredentialRecord>>, Failure> {
    let ids: Vec<_> = of.iter().map(|record| record.it.id).collect();
    Ok(caller.app.tokens_of(&caller.actor, account, &ids).await?)
}

/// An object with its keys left out would say that it has none. Asked before anything is done.
fn demand_keys<P: Demand>(caller: &Allowed<P>) -> Result<(), Failure> {
    Ok(caller.actor.demand(Permission::TokensRead)?)
}
