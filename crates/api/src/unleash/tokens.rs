//! The tokens of a service account: list, create, delete.

use super::answer::{Answer, created, deleted, number, shown};
use super::convert;
use super::service_accounts::named;
use super::wire::{self, Pat, Pats};
use crate::caller::{Allowed, TokensRead, TokensWrite};
use crate::fields::{self, Fields};
use crate::secret::Secret;
use actix_web::{delete, get, post};
use symbolon_domain::account::ExpiryRequest;
use symbolon_domain::issue::{Grant, Limits, NewToken};
use symbolon_domain::retire::Because;
use symbolon_domain::token_text::TokenPrefix;
use symbolon_domain::{Code, CredentialKind, FieldCode, Refusal, Timestamp};
use uuid::Uuid;

/// List the tokens of a service account, oldest first; never their secrets.
#[utoipa::path(
    tag = "Service Accounts",
    operation_id = "getServiceAccountTokens",
    responses((status = 200, body = Pats)),
    security(("bearer" = ["symbolon:tokens:read"])),
)]
#[get("/{id}/token")]
pub async fn get_service_account_tokens(caller: Allowed<TokensRead>) -> Answer {
    list(caller).await
}

pub async fn list(caller: Allowed<TokensRead>) -> Answer {
    let (app, account) = (&caller.app, caller.own_account()?);
    let owner = named(&caller, account).await?.it.id;
    let found = app.tokens_of(&caller.actor, account, &[owner]).await?;
    let tokens = || {
        found
            .values()
            .flatten()
            .filter(|it| convert::is_pat(&it.it))
    };
    let of_tokens = tokens().map(|token| token.it.id.0);
    let ids: Vec<Uuid> = of_tokens.chain([owner.0]).collect();
    let numbers = app.numbers(&ids).await?;
    let number = |id: Uuid| numbers.get(&id).copied().unwrap_or_default();
    let pats = tokens()
        .map(|token| convert::pat(token, number(token.it.id.0), number(owner.0), app.now()));
    shown(&Pats {
        pats: convert::in_order(pats, |pat| pat.id),
    })
}

/// Create a token for a service account. It may do what the service account may at the time; this answer
/// alone shows its text.
#[utoipa::path(
    tag = "Service Accounts",
    operation_id = "createServiceAccountToken",
    request_body = wire::CreatePat,
    responses((
        status = 201,
        body = Pat,
        headers(("location" = String, description = "The address of the new token."))
    )),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[post("/{id}/token")]
pub async fn create_service_account_token(caller: Allowed<TokensWrite>) -> Answer {
    create(caller).await
}

pub async fn create(mut caller: Allowed<TokensWrite>) -> Answer {
    let body = caller.typed_body().await?;
    let mut fields = body.required()?;
    let asked = new_token(&mut fields);
    let (description, end) = fields.finish_leniently(asked)?;
    let account = caller.own_account()?;
    let owner = named(&caller, account).await?.it.id;
    let Some(description) = description else {
        return Err(Refusal::field("/description", FieldCode::TooShort { min: 1 }).into());
    };
    // A past end, too many tokens, a description in use: refused by the use case, in this order.
    let new = NewToken {
        kind: CredentialKind::Opaque,
        description: Some(description),
        description_is_exclusive: true,
        expiry: ExpiryRequest::At(end),
        not_before: None,
        grant: Grant::Inherit,
        limits: Limits::default(),
        prefix: Some(TokenPrefix::user()),
    };
    let (app, call) = (&caller.app, caller.once("create_token", &body));
    let made = app.issue_token(&call, account, owner, new).await?;
    let id = made.record.it.id;
    let numbers = app.numbers(&[id.0, owner.0]).await?;
    let number = |id: Uuid| numbers.get(&id).copied().unwrap_or_default();
    let body = Pat {
        secret: made.secret.as_ref().map(Secret::from),
        ..convert::pat(&made.record, number(id.0), number(owner.0), app.now())
    };
    let path = format!("{}/token/{}", body.user_id, body.id);
    created(&caller, &path, made.replayed, &body)
}

/// Delete a token of a service account.
#[utoipa::path(
    tag = "Service Accounts",
    operation_id = "deleteServiceAccountToken",
    responses((status = 200, description = "Deleted. The answer has no body.")),
    security(("bearer" = ["symbolon:tokens:write"])),
)]
#[delete("/{id}/token/{tokenId}")]
pub async fn delete_service_account_token(caller: Allowed<TokensWrite>) -> Answer {
    let (app, account) = (&caller.app, caller.own_account()?);
    let owner = named(&caller, account).await?.it.id;
    let token = app
        .token_of_number(&caller.actor, account, owner, number(&caller, "tokenId")?)
        .await?
        .it;
    if !convert::is_pat(&token) {
        return Err(Code::NotFound.into());
    }
    app.revoke_token(&caller.call(), account, owner, token.id, Because::default())
        .await?;
    deleted()
}

/// The description is `None` where it is empty.
fn new_token(fields: &mut Fields) -> Option<(Option<String>, Timestamp)> {
    let description = fields.required("description", fields::description);
    let end = fields.required("expiresAt", fields::time);
    Some((description?, end?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::described;

    #[test]
    fn what_is_read_is_what_is_described() {
        described::<wire::CreatePat>(|fields| drop(new_token(fields)));
    }
}
