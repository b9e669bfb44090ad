//! Rows ↔ domain values. A stored value that no longer parses names its table, column and row.

mod account;
mod credential;
mod service_account;

pub(crate) use account::{AccountRow, EnvironmentRow, MemberRow, UserRow};
pub(crate) use credential::{CredentialChange, CredentialRow};
pub(crate) use service_account::ServiceAccountRow;

use crate::error::{Error, Result};
use crate::schema::*;
use crate::types::{Doc, Ts, Uid};
use diesel::prelude::*;
use symbolon_domain::authority::ActorRef;
use symbolon_domain::confirmation::{Confirmation, ConfirmationState};
use symbolon_domain::event::{Event, EventKind};
use symbolon_domain::{
    AccountId, ConfirmationId, CredentialId, EmailAddress, EnvironmentId, EventId, Language,
    RequestId, ServiceAccountId, Timestamp, UserId,
};
use uuid::Uuid;

fn bad(table: &'static str, column: &'static str, id: Uid) -> Error {
    Error::Broken(format!("{table}.{column} of {} does not parse", id.0))
}

fn ts(value: Option<Timestamp>) -> Option<Ts> {
    value.map(Ts)
}

fn time(value: Option<Ts>) -> Option<Timestamp> {
    value.map(|it| it.0)
}

/// `credential:<id>[:<service account>]`, `user:<id>`, or the bare kind.
pub(crate) fn actor_text(actor: ActorRef) -> String {
    match actor {
        ActorRef::Credential {
            id,
            service_account: Some(owner),
        } => format!("credential:{id}:{owner}"),
        ActorRef::Credential {
            id,
            service_account: None,
        } => format!("credential:{id}"),
        ActorRef::User(id) => format!("user:{id}"),
        other => other.kind().to_owned(),
    }
}

fn parse_actor(text: &str) -> Option<ActorRef> {
    let mut parts = text.split(':');
    let (kind, id, owner) = (parts.next()?, parts.next(), parts.next());
    actor_of(
        kind,
        id.map(Uuid::parse_str).transpose().ok()?,
        owner.map(Uuid::parse_str).transpose().ok()?,
    )
}

fn actor_of(kind: &str, id: Option<Uuid>, service_account: Option<Uuid>) -> Option<ActorRef> {
    Some(match (kind, id) {
        ("credential", Some(id)) => ActorRef::Credential {
            id: CredentialId(id),
            service_account: service_account.map(ServiceAccountId),
        },
        ("user", Some(id)) => ActorRef::User(UserId(id)),
        ("operator", None) => ActorRef::Operator,
        ("schedule", None) => ActorRef::Schedule,
        ("link_holder", None) => ActorRef::LinkHolder,
        _ => return None,
    })
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = confirmations, treat_none_as_null = true)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct ConfirmationRow {
    pub id: Uid,
    pub account_id: Uid,
    pub service_account_id: Uid,
    pub email: String,
    pub language: String,
    pub is_fallback: bool,
    pub state: String,
    pub generation: i32,
    pub key_version: i32,
    pub created_at: Ts,
    pub expires_at: Ts,
    pub decided_at: Option<Ts>,
    pub version: i64,
}

impl From<&Confirmation> for ConfirmationRow {
    fn from(it: &Confirmation) -> Self {
        Self {
            id: Uid(it.id.0),
            account_id: Uid(it.account_id.0),
            service_account_id: Uid(it.service_account_id.0),
            email: it.email.as_str().into(),
            language: it.language.as_str().into(),
            is_fallback: it.is_fallback,
            state: it.state.as_str().into(),
            generation: it.generation,
            key_version: it.key_version,
            created_at: Ts(it.created_at),
            expires_at: Ts(it.expires_at),
            decided_at: ts(it.decided_at),
            version: it.version,
        }
    }
}

impl ConfirmationRow {
    pub fn value(self) -> Result<Confirmation> {
        let bad = |column| bad("confirmations", column, self.id);
        Ok(Confirmation {
            id: ConfirmationId(self.id.0),
            account_id: AccountId(self.account_id.0),
            service_account_id: ServiceAccountId(self.service_account_id.0),
            language: Language::parse(&self.language).ok_or_else(|| bad("language"))?,
            state: ConfirmationState::parse(&self.state).ok_or_else(|| bad("state"))?,
            email: EmailAddress::trusted(self.email),
            is_fallback: self.is_fallback,
            generation: self.generation,
            key_version: self.key_version,
            created_at: self.created_at.0,
            expires_at: self.expires_at.0,
            decided_at: time(self.decided_at),
            version: self.version,
        })
    }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = events)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct EventRow {
    pub id: Uid,
    pub account_id: Uid,
    pub at: Ts,
    pub kind: String,
    pub actor_kind: String,
    pub actor_id: Option<Uid>,
    pub actor_service_account_id: Option<Uid>,
    pub environment_id: Option<Uid>,
    pub service_account_id: Option<Uid>,
    pub credential_id: Option<Uid>,
    pub request_id: Option<Uid>,
    pub client_ip: Option<String>,
    pub data: Doc,
}

impl From<&Event> for EventRow {
    fn from(it: &Event) -> Self {
        let (actor_id, actor_service_account_id) = match it.actor {
            ActorRef::Credential {
                id,
                service_account,
            } => (Some(Uid(id.0)), service_account.map(|id| Uid(id.0))),
            ActorRef::User(id) => (Some(Uid(id.0)), None),
            _ => (None, None),
        };
        Self {
            id: Uid(it.id.0),
            account_id: Uid(it.account_id.0),
            at: Ts(it.at),
            kind: it.kind.as_str().into(),
            actor_kind: it.actor.kind().into(),
            actor_id,
            actor_service_account_id,
            environment_id: it.environment_id.map(|id| Uid(id.0)),
            service_account_id: it.service_account_id.map(|id| Uid(id.0)),
            credential_id: it.credential_id.map(|id| Uid(id.0)),
            request_id: it.request_id.map(|id| Uid(id.0)),
            client_ip: it.client_ip.map(|ip| ip.to_string()),
            data: Doc(it.data.clone()),
        }
    }
}

impl EventRow {
    pub fn value(self) -> Result<Event> {
        let id = self.id;
        let bad = |column| bad("events", column, id);
        let owner = self.actor_service_account_id.map(|id| id.0);
        Ok(Event {
            id: EventId(id.0),
            account_id: AccountId(self.account_id.0),
            at: self.at.0,
            kind: EventKind::parse(&self.kind).ok_or_else(|| bad("kind"))?,
            actor: actor_of(&self.actor_kind, self.actor_id.map(|id| id.0), owner)
                .ok_or_else(|| bad("actor_kind"))?,
            environment_id: self.environment_id.map(|id| EnvironmentId(id.0)),
            service_account_id: self.service_account_id.map(|id| ServiceAccountId(id.0)),
            credential_id: self.credential_id.map(|id| CredentialId(id.0)),
            request_id: self.request_id.map(|id| RequestId(id.0)),
            client_ip: self
                .client_ip
                .map(|text| text.parse())
                .transpose()
                .map_err(|_| bad("client_ip"))?,
            data: self.data.0,
        })
    }
}
