//! Rows ↔ domain values. A stored value that no longer parses names its table, column and row.

use crate::error::{Error, Result};
use crate::schema::*;
use crate::types::{Doc, Ts, Uid};
use diesel::prelude::*;
use std::time::Duration;
use symbolon_domain::account::{Account, AccountStatus, Environment, Policy};
use symbolon_domain::authority::ActorRef;
use symbolon_domain::confirmation::{Confirmation, ConfirmationState};
use symbolon_domain::credential::{
    Credential, CredentialKind, CredentialStatus, Owner, RevokeReason,
};
use symbolon_domain::event::{Event, EventKind};
use symbolon_domain::scope::ScopeSet;
use symbolon_domain::secret::Sealed;
use symbolon_domain::service_account::{ContactState, ServiceAccount, ServiceAccountStatus};
use symbolon_domain::token_text::TokenPrefix;
use symbolon_domain::user::{Member, Role, User};
use symbolon_domain::{
    AccountId, ConfirmationId, CredentialId, EmailAddress, EnvironmentId, EventId, Language, Name,
    RequestId, ServiceAccountId, Timestamp, UserId, Username,
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

fn micros(span: Option<Duration>) -> Option<i64> {
    span.map(|span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

fn span(micros: Option<i64>) -> Option<Duration> {
    micros.map(|it| Duration::from_micros(u64::try_from(it).unwrap_or(0)))
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
#[diesel(table_name = accounts, treat_none_as_null = true)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct AccountRow {
    pub id: Uid,
    pub name: String,
    pub name_key: String,
    pub status: String,
    pub scope_ceiling: Option<String>,
    pub ops_addresses: Doc,
    pub token_prefix: String,
    pub default_lifetime_us: Option<i64>,
    pub max_lifetime_us: Option<i64>,
    pub require_confirmed_contact: bool,
    pub tokens_per_service_account: i32,
    pub created_at: Ts,
    pub created_by: String,
    pub updated_at: Ts,
    pub version: i64,
}

impl From<&Account> for AccountRow {
    fn from(it: &Account) -> Self {
        let addresses = it
            .ops_addresses
            .iter()
            .map(EmailAddress::as_str)
            .collect::<Vec<_>>();
        Self {
            id: Uid(it.id.0),
            name: it.name.as_str().into(),
            name_key: it.name.key(),
            status: it.status.as_str().into(),
            scope_ceiling: it.scope_ceiling.as_ref().map(ToString::to_string),
            ops_addresses: Doc(addresses.into()),
            token_prefix: it.token_prefix.as_str().into(),
            default_lifetime_us: micros(it.policy.default_lifetime),
            max_lifetime_us: micros(it.policy.max_lifetime),
            require_confirmed_contact: it.policy.require_confirmed_contact,
            tokens_per_service_account: it.policy.tokens_per_service_account,
            created_at: Ts(it.created_at),
            created_by: actor_text(it.created_by),
            updated_at: Ts(it.updated_at),
            version: it.version,
        }
    }
}

impl AccountRow {
    pub fn value(self) -> Result<Account> {
        let id = self.id;
        let bad = |column| bad("accounts", column, id);
        Ok(Account {
            id: AccountId(id.0),
            name: Name::trusted(self.name),
            status: AccountStatus::parse(&self.status).ok_or_else(|| bad("status"))?,
            scope_ceiling: self
                .scope_ceiling
                .map(|text| ScopeSet::parse(&text))
                .transpose()
                .map_err(|_| bad("scope_ceiling"))?,
            ops_addresses: serde_json::from_value(self.ops_addresses.0)
                .map_err(|_| bad("ops_addresses"))?,
            token_prefix: TokenPrefix::parse(&self.token_prefix)
                .ok_or_else(|| bad("token_prefix"))?,
            policy: Policy {
                default_lifetime: span(self.default_lifetime_us),
                max_lifetime: span(self.max_lifetime_us),
                require_confirmed_contact: self.require_confirmed_contact,
                tokens_per_service_account: self.tokens_per_service_account,
            },
            created_at: self.created_at.0,
            created_by: parse_actor(&self.created_by).ok_or_else(|| bad("created_by"))?,
            updated_at: self.updated_at.0,
            version: self.version,
        })
    }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = environments)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct EnvironmentRow {
    pub id: Uid,
    pub account_id: Uid,
    pub name: String,
    pub name_key: String,
    pub created_at: Ts,
}

impl From<&Environment> for EnvironmentRow {
    fn from(it: &Environment) -> Self {
        Self {
            id: Uid(it.id.0),
            account_id: Uid(it.account_id.0),
            name: it.name.as_str().into(),
            name_key: it.name.key(),
            created_at: Ts(it.created_at),
        }
    }
}

impl EnvironmentRow {
    pub fn value(self) -> Environment {
        Environment {
            id: EnvironmentId(self.id.0),
            account_id: AccountId(self.account_id.0),
            name: Name::trusted(self.name),
            created_at: self.created_at.0,
        }
    }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = users, treat_none_as_null = true)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct UserRow {
    pub id: Uid,
    pub email: String,
    pub email_key: String,
    pub password_hash: Option<String>,
    pub language: String,
    pub setup_generation: i32,
    pub setup_expires_at: Option<Ts>,
    pub created_at: Ts,
    pub updated_at: Ts,
    pub version: i64,
}

impl From<&User> for UserRow {
    fn from(it: &User) -> Self {
        Self {
            id: Uid(it.id.0),
            email: it.email.as_str().into(),
            email_key: it.email.key(),
            password_hash: it.password_hash.clone(),
            language: it.language.as_str().into(),
            setup_generation: it.setup_generation,
            setup_expires_at: ts(it.setup_expires_at),
            created_at: Ts(it.created_at),
            updated_at: Ts(it.updated_at),
            version: it.version,
        }
    }
}

impl UserRow {
    pub fn value(self) -> Result<User> {
        Ok(User {
            id: UserId(self.id.0),
            email: EmailAddress::trusted(self.email),
            password_hash: self.password_hash,
            language: Language::parse(&self.language)
                .ok_or_else(|| bad("users", "language", self.id))?,
            setup_generation: self.setup_generation,
            setup_expires_at: time(self.setup_expires_at),
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
            version: self.version,
        })
    }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = members)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct MemberRow {
    pub account_id: Uid,
    pub user_id: Uid,
    pub role: String,
}

impl From<&Member> for MemberRow {
    fn from(it: &Member) -> Self {
        Self {
            account_id: Uid(it.account_id.0),
            user_id: Uid(it.user_id.0),
            role: it.role.as_str().into(),
        }
    }
}

impl MemberRow {
    pub fn value(self) -> Result<Member> {
        Ok(Member {
            account_id: AccountId(self.account_id.0),
            user_id: UserId(self.user_id.0),
            role: Role::parse(&self.role).ok_or_else(|| bad("members", "role", self.user_id))?,
        })
    }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = service_accounts, treat_none_as_null = true)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct ServiceAccountRow {
    pub id: Uid,
    pub account_id: Uid,
    pub environment_id: Option<Uid>,
    pub name: String,
    pub name_key: String,
    pub name_is_exclusive: bool,
    pub username: Option<String>,
    pub username_key: Option<String>,
    pub description: Option<String>,
    pub contact_email: Option<String>,
    pub pending_contact_email: Option<String>,
    pub contact_language: String,
    pub contact_state: String,
    pub contact_confirmed_at: Option<Ts>,
    pub resent_at: Option<Ts>,
    pub resend_window_at: Option<Ts>,
    pub resends: i32,
    pub scopes: String,
    pub basic_auth_enabled: bool,
    pub status: String,
    pub suspended_at: Option<Ts>,
    pub revoked_at: Option<Ts>,
    pub revoked_by: Option<String>,
    pub created_at: Ts,
    pub created_by: String,
    pub updated_at: Ts,
    pub version: i64,
}

impl From<&ServiceAccount> for ServiceAccountRow {
    fn from(it: &ServiceAccount) -> Self {
        let (suspended_at, revoked_at, revoked_by) = match it.status {
            ServiceAccountStatus::Active => (None, None, None),
            ServiceAccountStatus::Suspended { at } => (Some(Ts(at)), None, None),
            ServiceAccountStatus::Revoked { at, by } => (None, Some(Ts(at)), Some(actor_text(by))),
        };
        Self {
            id: Uid(it.id.0),
            account_id: Uid(it.account_id.0),
            environment_id: it.environment_id.map(|id| Uid(id.0)),
            name: it.name.as_str().into(),
            name_key: it.name.key(),
            name_is_exclusive: it.name_is_exclusive,
            username: it.username.as_ref().map(|name| name.as_str().into()),
            username_key: it.username.as_ref().map(Username::key),
            description: it.description.clone(),
            contact_email: it.contact_email.as_ref().map(|email| email.as_str().into()),
            pending_contact_email: it
                .pending_contact_email
                .as_ref()
                .map(|email| email.as_str().into()),
            contact_language: it.contact_language.as_str().into(),
            contact_state: it.contact_state.as_str().into(),
            contact_confirmed_at: ts(it.contact_confirmed_at),
            resent_at: ts(it.resent_at),
            resend_window_at: ts(it.resend_window_at),
            resends: it.resends,
            scopes: it.scopes.to_string(),
            basic_auth_enabled: it.basic_auth_enabled,
            status: it.status.as_str().into(),
            suspended_at,
            revoked_at,
            revoked_by,
            created_at: Ts(it.created_at),
            created_by: actor_text(it.created_by),
            updated_at: Ts(it.updated_at),
            version: it.version,
        }
    }
}

impl ServiceAccountRow {
    pub fn status(&self) -> Result<ServiceAccountStatus> {
        let by = || self.revoked_by.as_deref().and_then(parse_actor);
        match (self.status.as_str(), self.suspended_at, self.revoked_at) {
            ("active", ..) => Ok(ServiceAccountStatus::Active),
            ("suspended", Some(at), _) => Ok(ServiceAccountStatus::Suspended { at: at.0 }),
            ("revoked", _, Some(at)) => Ok(ServiceAccountStatus::Revoked {
                at: at.0,
                by: by().ok_or_else(|| bad("service_accounts", "revoked_by", self.id))?,
            }),
            _ => Err(bad("service_accounts", "status", self.id)),
        }
    }

    pub fn value(self) -> Result<ServiceAccount> {
        let id = self.id;
        let bad = |column| bad("service_accounts", column, id);
        Ok(ServiceAccount {
            id: ServiceAccountId(id.0),
            account_id: AccountId(self.account_id.0),
            environment_id: self.environment_id.map(|id| EnvironmentId(id.0)),
            status: self.status()?,
            name: Name::trusted(self.name),
            name_is_exclusive: self.name_is_exclusive,
            username: self.username.map(Username::trusted),
            description: self.description,
            contact_email: self.contact_email.map(EmailAddress::trusted),
            pending_contact_email: self.pending_contact_email.map(EmailAddress::trusted),
            contact_language: Language::parse(&self.contact_language)
                .ok_or_else(|| bad("contact_language"))?,
            contact_state: ContactState::parse(&self.contact_state)
                .ok_or_else(|| bad("contact_state"))?,
            contact_confirmed_at: time(self.contact_confirmed_at),
            resent_at: time(self.resent_at),
            resend_window_at: time(self.resend_window_at),
            resends: self.resends,
            scopes: ScopeSet::parse(&self.scopes).map_err(|_| bad("scopes"))?,
            basic_auth_enabled: self.basic_auth_enabled,
            created_at: self.created_at.0,
            created_by: parse_actor(&self.created_by).ok_or_else(|| bad("created_by"))?,
            updated_at: self.updated_at.0,
            version: self.version,
        })
    }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = credentials)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct CredentialRow {
    pub id: Uid,
    pub account_id: Uid,
    pub service_account_id: Option<Uid>,
    pub environment_id: Option<Uid>,
    pub kind: String,
    pub public_id: String,
    pub prefix: String,
    pub last4: String,
    pub sealed: Vec<u8>,
    pub sealed_secret: Option<Vec<u8>>,
    pub key_version: i32,
    pub description: Option<String>,
    pub scopes: String,
    pub inherits_scopes: bool,
    pub is_primary: bool,
    pub family_id: Uid,
    pub status: String,
    pub suspended_at: Option<Ts>,
    pub revoked_at: Option<Ts>,
    pub revoked_by: Option<String>,
    pub revoke_reason: Option<String>,
    pub not_before: Option<Ts>,
    pub expires_at: Option<Ts>,
    pub retires_at: Option<Ts>,
    pub ends_at: Option<Ts>,
    pub end_recorded_at: Option<Ts>,
    pub deleted_at: Option<Ts>,
    pub created_at: Ts,
    pub created_by: String,
    pub updated_at: Ts,
    pub version: i64,
}

/// What a change may write to a credential. The seal belongs to the re-sealing job and the recorded end
/// to the sweep: a change that read them earlier must not put them back.
#[derive(Debug, Clone, AsChangeset)]
#[diesel(table_name = credentials, treat_none_as_null = true)]
pub(crate) struct CredentialChange {
    pub description: Option<String>,
    pub scopes: String,
    pub is_primary: bool,
    pub status: String,
    pub suspended_at: Option<Ts>,
    pub revoked_at: Option<Ts>,
    pub revoked_by: Option<String>,
    pub revoke_reason: Option<String>,
    pub retires_at: Option<Ts>,
    pub ends_at: Option<Ts>,
    pub deleted_at: Option<Ts>,
    pub updated_at: Ts,
    pub version: i64,
}

impl From<CredentialRow> for CredentialChange {
    fn from(row: CredentialRow) -> Self {
        Self {
            description: row.description,
            scopes: row.scopes,
            is_primary: row.is_primary,
            status: row.status,
            suspended_at: row.suspended_at,
            revoked_at: row.revoked_at,
            revoked_by: row.revoked_by,
            revoke_reason: row.revoke_reason,
            retires_at: row.retires_at,
            ends_at: row.ends_at,
            deleted_at: row.deleted_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

impl From<&Credential> for CredentialRow {
    fn from(it: &Credential) -> Self {
        let (mut suspended_at, mut revoked_at, mut revoked_by, mut revoke_reason) =
            (None, None, None, None);
        match it.status {
            CredentialStatus::Active => {}
            CredentialStatus::Suspended { at } => suspended_at = Some(Ts(at)),
            CredentialStatus::Revoked { at, by, reason } => {
                revoked_at = Some(Ts(at));
                revoked_by = Some(actor_text(by));
                revoke_reason = Some(reason.as_str().into());
            }
        }
        Self {
            id: Uid(it.id.0),
            account_id: Uid(it.account_id.0),
            service_account_id: it.owner.service_account().map(|id| Uid(id.0)),
            environment_id: it.owner.environment().map(|id| Uid(id.0)),
            kind: it.kind.as_str().into(),
            public_id: it.public_id.clone(),
            prefix: it.prefix.clone(),
            last4: it.last4.clone(),
            sealed: it.sealed.bytes.clone(),
            sealed_secret: it.sealed_secret.as_ref().map(|it| it.bytes.clone()),
            // Both are sealed together, and again together.
            key_version: it.sealed.key_version,
            description: it.description.clone(),
            scopes: it.scopes.to_string(),
            inherits_scopes: it.inherits_scopes,
            is_primary: it.is_primary,
            family_id: Uid(it.family_id.0),
            status: it.status.as_str().into(),
            suspended_at,
            revoked_at,
            revoked_by,
            revoke_reason,
            not_before: ts(it.not_before),
            expires_at: ts(it.expires_at),
            retires_at: ts(it.retires_at),
            ends_at: ts(it.ends_at()),
            end_recorded_at: ts(it.end_recorded_at),
            deleted_at: ts(it.deleted_at),
            created_at: Ts(it.created_at),
            created_by: actor_text(it.created_by),
            updated_at: Ts(it.updated_at),
            version: it.version,
        }
    }
}

impl CredentialRow {
    pub fn value(self) -> Result<Credential> {
        let id = self.id;
        let bad = |column| bad("credentials", column, id);
        let status = match (self.status.as_str(), self.suspended_at, self.revoked_at) {
            ("active", ..) => CredentialStatus::Active,
            ("suspended", Some(at), _) => CredentialStatus::Suspended { at: at.0 },
            ("revoked", _, Some(at)) => CredentialStatus::Revoked {
                at: at.0,
                by: self
                    .revoked_by
                    .as_deref()
                    .and_then(parse_actor)
                    .ok_or_else(|| bad("revoked_by"))?,
                reason: self
                    .revoke_reason
                    .as_deref()
                    .and_then(RevokeReason::parse)
                    .ok_or_else(|| bad("revoke_reason"))?,
            },
            _ => return Err(bad("status")),
        };
        let owner = match (self.service_account_id, self.environment_id) {
            (Some(id), _) => Owner::ServiceAccount(ServiceAccountId(id.0)),
            (None, Some(id)) => Owner::Environment(EnvironmentId(id.0)),
            (None, None) => Owner::Account,
        };
        Ok(Credential {
            id: CredentialId(id.0),
            account_id: AccountId(self.account_id.0),
            owner,
            kind: CredentialKind::parse(&self.kind).ok_or_else(|| bad("kind"))?,
            public_id: self.public_id,
            prefix: self.prefix,
            last4: self.last4,
            sealed: Sealed {
                key_version: self.key_version,
                bytes: self.sealed,
            },
            sealed_secret: self.sealed_secret.map(|bytes| Sealed {
                key_version: self.key_version,
                bytes,
            }),
            description: self.description,
            scopes: ScopeSet::parse(&self.scopes).map_err(|_| bad("scopes"))?,
            inherits_scopes: self.inherits_scopes,
            is_primary: self.is_primary,
            family_id: CredentialId(self.family_id.0),
            status,
            not_before: time(self.not_before),
            expires_at: time(self.expires_at),
            retires_at: time(self.retires_at),
            end_recorded_at: time(self.end_recorded_at),
            deleted_at: time(self.deleted_at),
            created_at: self.created_at.0,
            created_by: parse_actor(&self.created_by).ok_or_else(|| bad("created_by"))?,
            updated_at: self.updated_at.0,
            version: self.version,
        })
    }
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
