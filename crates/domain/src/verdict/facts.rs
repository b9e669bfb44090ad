//! What has to be known about a credential and its owners for a verdict.

use crate::account::{Account, AccountStatus};
use crate::authority::Reach;
use crate::credential::{Credential, CredentialKind, CredentialStatus, Owner, RevokeReason};
use crate::id::{AccountId, CredentialId, EnvironmentId, ServiceAccountId};
use crate::label::Name;
use crate::network::AllowedNetworks;
use crate::rate::RateLimit;
use crate::scope::{Permission, Scope, ScopeSet};
use crate::secret::Digest;
use crate::service_account::{ServiceAccount, ServiceAccountStatus};
use crate::time::Timestamp;
use crate::token_text::PublicId;
use std::sync::Arc;
use std::time::Duration;

/// What is known about a credential: facts, never verdicts.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub credential: &'a CredentialFacts,
    pub service_account: Option<&'a ServiceAccountFacts>,
    pub account: &'a AccountFacts,
}

/// What of a credential's status matters to a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialState {
    Active,
    Suspended,
    Revoked,
    /// Revoked by a rotation: the request that replaced it may be repeated for a while.
    Replaced,
}

impl From<&CredentialStatus> for CredentialState {
    fn from(status: &CredentialStatus) -> Self {
        match status {
            CredentialStatus::Active => Self::Active,
            CredentialStatus::Suspended { .. } => Self::Suspended,
            CredentialStatus::Revoked {
                reason: RevokeReason::Rotated,
                ..
            } => Self::Replaced,
            CredentialStatus::Revoked { .. } => Self::Revoked,
        }
    }
}

fn replaced_at(status: &CredentialStatus) -> Option<Timestamp> {
    match status {
        CredentialStatus::Revoked {
            at,
            reason: RevokeReason::Rotated,
            ..
        } => Some(*at),
        _ => None,
    }
}

/// A time that may be missing, in the room of one: facts are kept by the hundred thousand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OptionalTime(i64);

impl OptionalTime {
    /// No time that anybody can write.
    pub const NONE: Self = Self(i64::MIN);

    pub fn get(self) -> Option<Timestamp> {
        (self != Self::NONE).then_some(Timestamp::from_micros(self.0))
    }
}

impl From<Option<Timestamp>> for OptionalTime {
    fn from(time: Option<Timestamp>) -> Self {
        time.map_or(Self::NONE, |time| Self(time.as_micros()))
    }
}

impl std::fmt::Debug for OptionalTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

/// A quarter of a million of these are kept in memory: what several have in common is shared.
#[derive(Debug, Clone)]
pub struct CredentialFacts {
    pub id: CredentialId,
    pub kind: CredentialKind,
    pub owner: Owner,
    pub public_id: PublicId,
    pub digest: Digest,
    pub state: CredentialState,
    /// When a rotation revoked it.
    pub replaced_at: OptionalTime,
    pub scopes: Arc<ScopeSet>,
    /// It may do whatever its service account may; `scopes` is empty then.
    pub inherits_scopes: bool,
    pub allowed_networks: AllowedNetworks,
    pub rate_limit: Option<RateLimit>,
    pub not_before: OptionalTime,
    pub ends_at: OptionalTime,
    pub retires_at: OptionalTime,
    pub created_at: Timestamp,
    pub version: i64,
}

impl CredentialFacts {
    /// The facts of a credential whose digest was unsealed. `None` where its public id is none.
    pub fn of(it: &Credential, digest: Digest) -> Option<Self> {
        Some(Self {
            id: it.id,
            kind: it.kind,
            owner: it.owner,
            public_id: PublicId::parse(&it.public_id)?,
            digest,
            state: CredentialState::from(&it.status),
            replaced_at: replaced_at(&it.status).into(),
            scopes: Arc::new(it.scopes.clone()),
            inherits_scopes: it.inherits_scopes,
            allowed_networks: it.allowed_networks.clone(),
            rate_limit: it.rate_limit,
            not_before: it.not_before.into(),
            ends_at: it.ends_at().into(),
            retires_at: it.retires_at.into(),
            created_at: it.created_at,
            version: it.version,
        })
    }

    /// Rotated, and in its grace.
    pub fn is_retiring(&self, now: Timestamp) -> bool {
        let revoked = matches!(
            self.state,
            CredentialState::Revoked | CredentialState::Replaced
        );
        !revoked && self.retires_at.get().is_some_and(|end| now < end)
    }
}

/// What of a service account's status matters to a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerState {
    Active,
    Suspended,
    Revoked,
}

impl From<&ServiceAccountStatus> for OwnerState {
    fn from(status: &ServiceAccountStatus) -> Self {
        match status {
            ServiceAccountStatus::Active => Self::Active,
            ServiceAccountStatus::Suspended { .. } => Self::Suspended,
            ServiceAccountStatus::Revoked { .. } => Self::Revoked,
        }
    }
}

#[derive(Debug, Clone)]
pub struct ServiceAccountFacts {
    pub id: ServiceAccountId,
    pub name: Name,
    pub state: OwnerState,
    pub environment_id: Option<EnvironmentId>,
    pub scopes: Arc<ScopeSet>,
    pub basic_auth_enabled: bool,
    pub contact_ever_confirmed: bool,
    pub version: i64,
}

impl From<&ServiceAccount> for ServiceAccountFacts {
    fn from(it: &ServiceAccount) -> Self {
        Self {
            id: it.id,
            name: it.name.clone(),
            state: OwnerState::from(&it.status),
            environment_id: it.environment_id,
            scopes: Arc::new(it.scopes.clone()),
            basic_auth_enabled: it.basic_auth_enabled,
            contact_ever_confirmed: it.contact_confirmed_at.is_some(),
            version: it.version,
        }
    }
}

#[derive(Debug, Clone)]
pub struct AccountFacts {
    pub id: AccountId,
    pub status: AccountStatus,
    pub max_lifetime: Option<Duration>,
    pub require_confirmed_contact: bool,
    pub version: i64,
}

impl From<&Account> for AccountFacts {
    fn from(it: &Account) -> Self {
        Self {
            id: it.id,
            status: it.status,
            max_lifetime: it.policy.max_lifetime,
            require_confirmed_contact: it.policy.require_confirmed_contact,
            version: it.version,
        }
    }
}

impl<'a> Facts<'a> {
    pub fn environment(&self) -> Option<EnvironmentId> {
        let owner = self.service_account;
        self.credential
            .owner
            .environment()
            .or_else(|| owner.and_then(|it| it.environment_id))
    }

    /// Where it stands: what an asker's reach has to contain.
    pub fn place(&self) -> Reach {
        Reach::of(self.account.id, self.environment())
    }

    /// How far the credential's own word goes: an operator's everywhere.
    pub fn reach(&self) -> Reach {
        if self.allows(Permission::Instance) {
            Reach::Instance
        } else {
            self.place()
        }
    }

    /// The set that its scopes are in, and the set that bounds them where that may be a smaller one.
    fn granted(&self) -> (&'a ScopeSet, Option<&'a ScopeSet>) {
        let own = &self.credential.scopes;
        match self.service_account {
            Some(owner) if self.credential.inherits_scopes => (&owner.scopes, None),
            Some(owner) if !Arc::ptr_eq(own, &owner.scopes) => (own, Some(&owner.scopes)),
            _ => (own, None),
        }
    }

    /// What it may do: its own scopes, as far as its service account still has them.
    pub fn scopes(&self) -> impl Iterator<Item = &'a Scope> + use<'a> {
        let (own, bound) = self.granted();
        own.iter()
            .filter(move |scope| bound.is_none_or(|bound| bound.covers(scope)))
    }

    /// Whether what it may do implies this permission.
    pub fn allows(&self, permission: Permission) -> bool {
        let (own, bound) = self.granted();
        let held = own.permissions();
        bound
            .map_or(held, |bound| held.and(bound.permissions().implied()))
            .allow(permission)
    }

    pub fn covers(&self, wanted: &Scope) -> bool {
        let (own, bound) = self.granted();
        own.covers(wanted) && bound.is_none_or(|bound| bound.covers(wanted))
    }

    /// When it stops by itself, its account's policy considered: the instant itself is too late.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let max = self.account.max_lifetime;
        let policy_end = max.map(|max| self.credential.created_at.plus(max));
        match (self.credential.ends_at.get(), policy_end) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// Facts just read, before they are shared.
#[derive(Debug, Clone)]
pub struct LoadedFacts {
    pub credential: CredentialFacts,
    pub service_account: Option<ServiceAccountFacts>,
    pub account: AccountFacts,
}

impl LoadedFacts {
    pub fn view(&self) -> Facts<'_> {
        Facts {
            credential: &self.credential,
            service_account: self.service_account.as_ref(),
            account: &self.account,
        }
    }
}
