//! Reading the audit log.

use crate::App;
use crate::actor::Actor;
use crate::change::{PageRequest, Slice};
use crate::error::Result;
use symbolon_domain::event::{Event, EventKind};
use symbolon_domain::{
    AccountId, Code, CredentialId, EventId, Permission, ServiceAccountId, Timestamp,
};
use symbolon_store::EventQuery;

#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub kind: Option<EventKind>,
    pub service_account_id: Option<ServiceAccountId>,
    pub credential_id: Option<CredentialId>,
    pub actor_id: Option<uuid::Uuid>,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

impl App {
    /// Newest first. Who reaches one environment sees what happened there.
    pub async fn list_events(
        &self,
        actor: &Actor,
        account: AccountId,
        filter: EventFilter,
        page: PageRequest<EventId>,
    ) -> Result<Slice<Event, EventId>> {
        actor.enter_to_read(account, Permission::EventsRead)?;
        let query = EventQuery {
            kind: filter.kind,
            environment: actor.authority().reach.environment(),
            service_account: filter.service_account_id,
            credential: filter.credential_id,
            actor: filter.actor_id,
            since: filter.since,
            until: filter.until,
        };
        let found = self
            .store()
            .list_events(account, &query, page.to_store(|id| id.0))
            .await?;
        if found.is_empty() && self.store().find_account(account).await?.is_none() {
            return Err(Code::NotFound.into());
        }
        Ok(page.slice(found, |it| it.id))
    }
}
