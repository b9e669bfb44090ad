//! Reading the audit log.

use crate::backend::read;
use crate::error::Result;
use crate::rows::EventRow;
use crate::schema::events;
use crate::types::{Ts, Uid};
use crate::{Page, Store};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use symbolon_domain::event::{Event, EventKind};
use symbolon_domain::{AccountId, CredentialId, EnvironmentId, ServiceAccountId, Timestamp};

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    pub kind: Option<EventKind>,
    pub environment: Option<EnvironmentId>,
    pub service_account: Option<ServiceAccountId>,
    pub credential: Option<CredentialId>,
    pub actor: Option<uuid::Uuid>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl Store {
    /// Newest first, strictly older than the page's start.
    pub async fn list_events(
        &self,
        account: AccountId,
        query: &EventQuery,
        page: Page,
    ) -> Result<Vec<Event>> {
        let rows: Vec<EventRow> = read!(self, |c| {
            let mut select = events::table
                .filter(events::account_id.eq(Uid(account.0)))
                .select(EventRow::as_select())
                .order(events::id.desc())
                .limit(page.limit)
                .into_boxed();
            if let Some(kind) = query.kind {
                select = select.filter(events::kind.eq(kind.as_str()));
            }
            if let Some(id) = query.environment {
                select = select.filter(events::environment_id.eq(Uid(id.0)));
            }
            if let Some(id) = query.service_account {
                select = select.filter(events::service_account_id.eq(Uid(id.0)));
            }
            if let Some(id) = query.credential {
                select = select.filter(events::credential_id.eq(Uid(id.0)));
            }
            if let Some(id) = query.actor {
                select = select.filter(events::actor_id.eq(Uid(id)));
            }
            if let Some(at) = query.since {
                select = select.filter(events::at.ge(Ts(at)));
            }
            if let Some(at) = query.until {
                select = select.filter(events::at.lt(Ts(at)));
            }
            if let Some(after) = page.after {
                select = select.filter(events::id.lt(Uid(after)));
            }
            select.load(c).await
        })?;
        rows.into_iter().map(EventRow::value).collect()
    }
}
