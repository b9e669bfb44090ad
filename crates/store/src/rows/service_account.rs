//! Service accounts.

use super::{actor_text, bad, parse_actor, time, ts};
use crate::error::Result;
use crate::schema::service_accounts;
use crate::types::{Ts, Uid};
use diesel::prelude::*;
use symbolon_domain::{
    AccountId, ContactState, EmailAddress, EnvironmentId, Language, Name, ScopeSet, ServiceAccount,
    ServiceAccountId, ServiceAccountStatus, Username,
};

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
