//! Environments: the subdivisions of an account.

use super::answer::{Answer, Reply, list};
use super::requests;
use super::wire::Environment;
use crate::caller::{Admin, Allowed, ServiceAccountsRead};
use crate::fields;
use crate::query::Query;
use actix_web::{get, post};
use symbolon_domain::{AccountId, EnvironmentId};

/// Lists an account's environments.
#[utoipa::path(
    tag = "environments",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "From the header Link of the page before."),
    ),
    responses((status = 200, body = Vec<Environment>)),
    security(("bearer" = ["symbolon:service-accounts:read"])),
)]
#[get("/public/accounts/{account_id}/environments")]
pub async fn list_environments(caller: Allowed<ServiceAccountsRead>) -> Answer {
    let account: AccountId = caller.id("account_id")?;
    let mut query = Query::of(&caller.request)?;
    let page = query.page(EnvironmentId);
    query.finish()?;
    let slice = caller
        .app
        .list_environments(&caller.actor, account, page)
        .await?;
    list::<_, _, Environment>(&caller.request, caller.app.public_url(), &slice, |id| id.0)
}

/// Creates an environment. Names are unique within the account.
#[utoipa::path(
    tag = "environments",
    request_body = requests::NewEnvironment,
    responses((status = 201, body = Environment)),
    security(("bearer" = ["symbolon:admin"])),
)]
#[post("/public/accounts/{account_id}/environments")]
pub async fn create_environment(mut caller: Allowed<Admin>) -> Answer {
    let account: AccountId = caller.id("account_id")?;
    let body = caller.body().await?;
    let mut fields = body.required()?;
    let name = fields.required("name", fields::name);
    let name = fields.finish(name)?;
    let call = caller.once("create_environment", &body);
    let made = caller.app.create_environment(&call, account, name).await?;
    let reply = Reply::created().replayed(made.replayed);
    reply.json(&Environment::from(&made.record))
}
