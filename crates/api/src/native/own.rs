//! What any live credential may do with itself.

use super::answer::{Answer, Reply};
use super::requests;
use super::service_accounts::{because, body_and_wait};
use super::tokens::{repeatable, reveal, rotation};
use super::wire::{Me, OwnEnd};
use crate::caller::{Allowed, Anyone};
use actix_web::{get, post};

/// Says who the presented token is and what it may do.
#[utoipa::path(
    tag = "own token",
    responses((status = 200, body = Me)),
    security(("bearer" = [])),
)]
#[get("/public/whoami")]
pub async fn whoami(caller: Allowed<Anyone>) -> Answer {
    caller.no_query()?;
    let me = caller.app.whoami(&caller.actor).await?;
    Reply::ok().json(&Me::from(&me))
}

/// Replaces the presented token. With an `Idempotency-Key` the identical request may be repeated with the
/// old token for ten minutes, should the answer get lost.
#[utoipa::path(
    tag = "own token",
    request_body = Option<requests::Rotation>,
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses((status = 200, body = requests::TokenWithSecret)),
    security(("bearer" = [])),
)]
#[post("/public/self/rotate")]
pub async fn rotate_self(mut caller: Allowed<Anyone>) -> Answer {
    let (body, wait) = body_and_wait(&mut caller).await?;
    let rotation = rotation(body.optional()?, caller.app.now())?;
    let call = caller.once("rotate_self", &body);
    let made = caller.app.rotate_self(&call, rotation).await?;
    let effective = wait.until_effective(&caller.app, made.position).await;
    reveal(Reply::ok(), &made, effective)
}

/// Revokes the presented token. An access token ends by itself alone; its key goes on.
#[utoipa::path(
    tag = "own token",
    request_body = Option<requests::Because>,
    params(("wait" = Option<u32>, Query, minimum = 0, maximum = 10_000, description = "Milliseconds to wait until all processes have applied it; `effective` says how many have.")),
    responses(
        (status = 200, body = OwnEnd, description = "The token as it is now; of an access token, what `wait` asked for."),
        (status = 204, description = "The access token is revoked."),
    ),
    security(("bearer" = [])),
)]
#[post("/public/self/revoke")]
pub async fn revoke_self(mut caller: Allowed<Anyone>) -> Answer {
    let (body, wait) = body_and_wait(&mut caller).await?;
    let because = because(body.optional()?)?;
    let call = caller.once("revoke_self", &body);
    let done = caller.app.revoke_self(&call, because).await?;
    if caller.actor.is_access_token() {
        return wait.revoked(&caller.app).await;
    }
    let effective = wait.until_effective(&caller.app, done.position).await;
    repeatable(&done, effective)
}
