//! Credentials, and what a change may write to one.

use super::{actor_text, bad, parse_actor, time, ts};
use crate::error::Result;
use crate::schema::credentials;
use crate::types::{Ts, Uid};
use diesel::prelude::*;
use std::time::Duration;
use symbolon_domain::secret::Sealed;
use symbolon_domain::{
    AccountId, AllowedNetworks, Credential, CredentialId, CredentialKind, CredentialStatus,
    EnvironmentId, Owner, RateLimit, RevokeReason, ScopeSet, ServiceAccountId,
};

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
    pub allowed_networks: Option<String>,
    pub rate_limit: Option<i32>,
    pub rate_period_s: Option<i32>,
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
    pub allowed_networks: Option<String>,
    pub rate_limit: Option<i32>,
    pub rate_period_s: Option<i32>,
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

/// Both parts of a rate limit are bounded far below this.
fn small(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

impl From<CredentialRow> for CredentialChange {
    fn from(row: CredentialRow) -> Self {
        Self {
            description: row.description,
            scopes: row.scopes,
            allowed_networks: row.allowed_networks,
            rate_limit: row.rate_limit,
            rate_period_s: row.rate_period_s,
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
            allowed_networks: (!it.allowed_networks.is_empty())
                .then(|| it.allowed_networks.to_string()),
            rate_limit: it.rate_limit.map(|it| small(it.limit().get())),
            rate_period_s: it.rate_limit.map(|it| small(it.period().as_secs())),
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
        let rate_limit = match (self.rate_limit, self.rate_period_s) {
            (None, None) => None,
            (Some(limit), Some(seconds)) => {
                let period = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                Some(RateLimit::new(limit.into(), period).map_err(|_| bad("rate_limit"))?)
            }
            _ => return Err(bad("rate_limit")),
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
            allowed_networks: AllowedNetworks::parse(&self.allowed_networks.unwrap_or_default())
                .ok_or_else(|| bad("allowed_networks"))?,
            rate_limit,
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
