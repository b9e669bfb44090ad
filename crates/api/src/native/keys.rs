//! Keys: credentials whose secret signs assertions (`crate::oauth`), or is Basic's password. They are tokens
//! of another kind: `…/tokens` lists them too, and suspends, activates and rotates them.

use super::answer::{Answer, Reply, Wait, list};
use super::requests;
use super::service_accounts::{expiry, limits};
use super::tokens::{TokenChange, owner};
use super::wire::{Key, Revocation, Shown, Uses};
use crate::caller::{Allowed, TokensRead, TokensWrite};
use crate::fields::{self, Fields};
use crate::query::{self, Query};
use actix_web::{delete, get, patch, post};
use symbolon_app::TokenFilter;
use symbolon_domain::issue::{Grant, NewToken};
use symbolon_domain::retire::Because;
use symbolon_domain::{CredentialId, CredentialKind, FieldCode, Timestamp};

/// Lists a service account's keys, newest first.
#[utoipa::path(
    tag = "keys",
    params(
        ("include_revoked" = Option<bool>, Query, description = "Default: false."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "From the header Link of the page before."),
    ),
    responses((status = 200, body = Vec<Key>)),
    security(("bearer" = ["symbolon:tokens:read"])),
)]
#[get("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/keys")]
pub async fn list_keys(caller: Allowed<TokensRead>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let mut query = Query::of(&caller.request)?;
    let page = query.page(CredentialId);
    let include_revoked = query
        .optional("include_revoked", query::boolean)
        .unwrap_or(false);
    query.finish()?;
    let filter = TokenFilter {
        include_revoked,
        kind: Some(CredentialKind::Key),
    };
    let slice = caller
        .app
        .list_tokens(&caller.actor, account, owner, filter, page)
        .await?;
    list::<_, _, Key>(&caller.request, caller.app.public_url(), &slice, |id| id.0)
}

/// Makes a key, whose secret this answer alone shows. Its scopes lie within the service account's.
#[utoipa::path(
    tag = "keys",
    request_body = Option<requests::NewKey>,
    responses((status = 201, body = requests::KeyWithSecret)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/keys")]
pub async fn create_key(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let body = caller.body().await?;
    let mut fields = body.optional()?;
    let new = new_key(&mut fields, caller.app.now());
    let new = fields.finish(Some(new))?;
    let call = caller.once("create_key", &body);
    let made = caller.app.issue_token(&call, account, owner, new).await?;
    let shown = Key {
        secret: Some(Shown::from(made.secret.as_ref())),
        ..Key::from(&made.record)
    };
    let (url, id) = (caller.app.public_url(), &shown.key_id);
    let path = format!("/v1/public/accounts/{account}/auth/service-accounts/{owner}/keys/{id}");
    Reply::created()
        .location(format!("{url}{path}"))
        .version(made.record.it.version)
        .replayed(made.replayed)
        .json(&shown)
}

/// Reads one key; never its secret.
#[utoipa::path(
    tag = "keys",
    responses((status = 200, body = Key)),
    security(("bearer" = ["symbolon:tokens:read"])),
)]
#[get("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/keys/{key_id}")]
pub async fn get_key(caller: Allowed<TokensRead>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let key_id: String = caller.id("key_id")?;
    caller.no_query()?;
    let found = caller
        .app
        .find_key(&caller.actor, account, owner, &key_id)
        .await?;
    Reply::ok()
        .version(found.it.version)
        .json(&Key::from(&found))
}

/// Changes what the body names: what a key is called, and from where and how often it may be used.
#[utoipa::path(
    tag = "keys",
    request_body = requests::TokenChange,
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses((status = 200, body = Key)),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[patch("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/keys/{key_id}")]
pub async fn update_key(mut caller: Allowed<TokensWrite>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let key_id: String = caller.id("key_id")?;
    let change = TokenChange::read(&mut caller).await?;
    let found = caller
        .app
        .find_key(&caller.actor, account, owner, &key_id)
        .await?;
    let (call, id) = (caller.call(), found.it.id);
    let changed = caller
        .app
        .update_token(&call, account, owner, id, change.patch, change.version)
        .await?;
    let waited = change.wait.until_effective(&caller.app, changed.position);
    let mut key = Key::from(&changed.record);
    key.token.effective = waited.await;
    Reply::ok().version(changed.record.it.version).json(&key)
}

/// Says how often and when a key was used, day by day; the uses of its access tokens count, too.
#[utoipa::path(
    tag = "keys",
    responses((status = 200, body = Uses)),
    security(("bearer" = ["symbolon:tokens:read"])),
)]
#[get(
    "/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/keys/{key_id}/uses"
)]
pub async fn get_key_uses(caller: Allowed<TokensRead>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let key_id: String = caller.id("key_id")?;
    caller.no_query()?;
    let actor = &caller.actor;
    let found = caller.app.find_key(actor, account, owner, &key_id).await?;
    let uses = caller.app.token_uses(actor, account, owner, found.it.id);
    Reply::ok().json(&Uses::from(&uses.await?))
}

/// Revokes a key, and with it the access tokens that it was exchanged for. Again: nothing changes.
#[utoipa::path(
    tag = "keys",
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses(
        (status = 200, body = Revocation, description = "Revoked, and asked how far that has come."),
        (status = 204, description = "Revoked, now or before."),
    ),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[delete("/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/keys/{key_id}")]
pub async fn revoke_key(caller: Allowed<TokensWrite>) -> Answer {
    let (account, owner) = owner(&caller)?;
    let key_id: String = caller.id("key_id")?;
    let wait = Wait::of(&caller.request)?;
    let found = caller
        .app
        .find_key(&caller.actor, account, owner, &key_id)
        .await?;
    let (call, id) = (caller.call(), found.it.id);
    caller
        .app
        .revoke_token(&call, account, owner, id, Because::default())
        .await?;
    wait.revoked(&caller.app).await
}

fn new_key(fields: &mut Fields, now: Timestamp) -> NewToken {
    let description = fields.nullable("description", fields::description);
    let expiry = expiry(fields, now);
    let not_before = fields.nullable("not_before", fields::time).flatten();
    let scopes = fields.optional("scopes", fields::scopes);
    let inherits = fields.optional("inherit_scopes", |json| match fields::boolean(json)? {
        true if scopes.is_some() => {
            let allowed = "false".to_owned();
            Err(FieldCode::NotAllowed { allowed }.into())
        }
        value => Ok(value),
    });
    let limits = limits(fields);
    NewToken {
        kind: CredentialKind::Key,
        description: description.flatten().flatten(),
        expiry,
        not_before,
        grant: match inherits {
            Some(true) => Grant::Inherit,
            _ => Grant::Only(scopes.unwrap_or_default()),
        },
        limits,
        ..NewToken::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::described;

    #[test]
    fn what_is_read_is_what_is_described() {
        let now = Timestamp::from_micros(0);
        described::<requests::NewKey>(|fields| drop(new_key(fields, now)));
    }
}
