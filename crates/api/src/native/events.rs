//! The audit log of an account.

use super::answer::{Answer, list};
use super::wire::Event;
use crate::caller::{Allowed, EventsRead};
use crate::query::{self, Query};
use actix_web::get;
use symbolon_app::EventFilter;
use symbolon_domain::event::EventKind;
use symbolon_domain::{AccountId, EventId, FieldCode};

/// Lists what happened in an account, newest first.
#[utoipa::path(
    tag = "events",
    params(
        ("kind" = Option<String>, Query, description = "Such as token.rotated."),
        ("service_account_id" = Option<String>, Query, format = "uuid"),
        ("token_id" = Option<String>, Query, format = "uuid"),
        ("actor_id" = Option<String>, Query, format = "uuid", description = "The id of the token or the user who did it."),
        ("since" = Option<String>, Query, format = "date-time", description = "From this time on."),
        ("until" = Option<String>, Query, format = "date-time", description = "Before this time."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "From the header Link of the page before."),
    ),
    responses((status = 200, body = Vec<Event>)),
    security(("bearer" = ["symbolon:events:read"])),
)]
#[get("/public/accounts/{account_id}/events")]
pub async fn list_events(caller: Allowed<EventsRead>) -> Answer {
    let account: AccountId = caller.id("account_id")?;
    let mut query = Query::of(&caller.request)?;
    let page = query.page(EventId);
    let filter = EventFilter {
        kind: query.optional("kind", kind),
        service_account_id: query.optional("service_account_id", query::id),
        credential_id: query.optional("token_id", query::id),
        actor_id: query.optional("actor_id", query::id),
        since: query.optional("since", query::time),
        until: query.optional("until", query::time),
    };
    query.finish()?;
    let slice = caller
        .app
        .list_events(&caller.actor, account, filter, page)
        .await?;
    list::<_, _, Event>(&caller.request, caller.app.public_url(), &slice, |id| id.0)
}

fn kind(text: &str) -> Result<EventKind, FieldCode> {
    EventKind::parse(text).ok_or_else(|| {
        let all: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        FieldCode::NotAllowed {
            allowed: all.join(", "),
        }
    })
}
