//! Tokens and keys: the states they can be in and the only ways from one to another.

use crate::authority::ActorRef;
use crate::id::{AccountId, CredentialId, EnvironmentId, ServiceAccountId};
use crate::network::AllowedNetworks;
use crate::rate::RateLimit;
use crate::refusal::{Code, Refusal};
use crate::scope::ScopeSet;
use crate::secret::Sealed;
use crate::service_account::{ServiceAccount, ServiceAccountStatus};
use crate::time::Timestamp;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    Opaque,
    Jwt,
    Key,
}

impl CredentialKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opaque => "opaque",
            Self::Jwt => "jwt",
            Self::Key => "key",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Opaque, Self::Jwt, Self::Key]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// What a credential belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    ServiceAccount(ServiceAccountId),
    Account,
    Environment(EnvironmentId),
}

impl Owner {
    pub fn service_account(self) -> Option<ServiceAccountId> {
        match self {
            Self::ServiceAccount(id) => Some(id),
            _ => None,
        }
    }

    pub fn environment(self) -> Option<EnvironmentId> {
        match self {
            Self::Environment(id) => Some(id),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeReason {
    /// Somebody asked for it.
    Requested,
    /// A rotation replaced it.
    Rotated,
}

impl RevokeReason {
    pub const ALL: [Self; 2] = [Self::Requested, Self::Rotated];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Rotated => "rotated",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// Active ⇄ suspended, and from both to revoked, which is final. Expired is no status but a fact about time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialStatus {
    Active,
    Suspended {
        at: Timestamp,
    },
    Revoked {
        at: Timestamp,
        by: ActorRef,
        reason: RevokeReason,
    },
}

impl CredentialStatus {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended { .. } => "suspended",
            Self::Revoked { .. } => "revoked",
        }
    }
}

/// What may be done to a credential, by its status alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AvailableActions {
    pub activate: bool,
    pub delete: bool,
    pub revoke: bool,
    pub suspend: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub id: CredentialId,
    pub account_id: AccountId,
    pub owner: Owner,
    pub kind: CredentialKind,
    pub public_id: String,
    pub prefix: String,
    pub last4: String,
    /// The digest of the whole text, sealed under the key file.
    pub sealed: Sealed,
    /// The secret itself, of a key only: its holder signs assertions with it.
    pub sealed_secret: Option<Sealed>,
    pub description: Option<String>,
    /// What it was granted; empty where it inherits.
    pub scopes: ScopeSet,
    /// It may do whatever its service account may at the time.
    pub inherits_scopes: bool,
    /// The one whose fields the service account shows as its own.
    /// From where it may be used.
    pub allowed_networks: AllowedNetworks,
    pub rate_limit: Option<RateLimit>,
    pub is_primary: bool,
    /// The id of the first credential of a line of rotations.
    pub family_id: CredentialId,
    pub status: CredentialStatus,
    pub not_before: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// The end of its grace after a rotation: it is retiring while this lies ahead.
    pub retires_at: Option<Timestamp>,
    /// When the sweep recorded that it had ended.
    pub end_recorded_at: Option<Timestamp>,
    /// When it was deleted at a door that knows deletion, and is hidden there since.
    pub deleted_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub created_by: ActorRef,
    pub updated_at: Timestamp,
    pub version: i64,
}

impl Credential {
    /// When it stops by itself: the earlier of expiry and end of grace. The instant itself is too late.
    pub fn ends_at(&self) -> Option<Timestamp> {
        match (self.expires_at, self.retires_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at().is_some_and(|end| now >= end)
    }

    pub fn is_revoked(&self) -> bool {
        matches!(self.status, CredentialStatus::Revoked { .. })
    }

    /// Rotated, and in its grace.
    pub fn is_retiring(&self, now: Timestamp) -> bool {
        !self.is_revoked() && self.retires_at.is_some_and(|end| now < end)
    }

    /// Counts against the limit of its service account: neither ended nor on its way out.
    pub fn counts(&self, now: Timestamp) -> bool {
        !self.is_revoked() && !self.has_ended(now) && self.retires_at.is_none()
    }

    /// What it may do under a service account with these scopes.
    pub fn granted(&self, owner: Option<&ScopeSet>) -> ScopeSet {
        match owner {
            Some(owner) if self.inherits_scopes => owner.clone(),
            Some(owner) => self.scopes.within(owner),
            None => self.scopes.clone(),
        }
    }

    /// As it is shown: one that inherits with what its service account may do now, and revoked where that
    /// is.
    pub fn seen_under(mut self, owner: Option<&ServiceAccount>) -> Self {
        let Some(owner) = owner else {
            return self;
        };
        if self.inherits_scopes {
            self.scopes = owner.scopes.clone();
        }
        if let (false, ServiceAccountStatus::Revoked { at, by }) =
            (self.is_revoked(), &owner.status)
        {
            self.status = CredentialStatus::Revoked {
                at: *at,
                by: *by,
                reason: RevokeReason::Requested,
            };
        }
        self
    }

    pub fn lifetime(&self) -> Option<Duration> {
        self.expires_at.map(|end| end.since(self.created_at))
    }

    /// Its status under a service account, which revokes its credentials with itself.
    pub fn status_under(&self, owner_is_revoked: bool) -> &'static str {
        if self.is_revoked() || owner_is_revoked {
            "revoked"
        } else {
            self.status.as_str()
        }
    }

    /// As [`Self::available_actions`], under such a service account.
    pub fn available_actions_under(&self, owner_is_revoked: bool) -> AvailableActions {
        if self.is_revoked() || owner_is_revoked {
            return AvailableActions {
                delete: self.deleted_at.is_none(),
                ..Default::default()
            };
        }
        self.available_actions()
    }

    pub fn available_actions(&self) -> AvailableActions {
        match self.status {
            CredentialStatus::Active => AvailableActions {
                suspend: true,
                revoke: true,
                ..Default::default()
            },
            CredentialStatus::Suspended { .. } => AvailableActions {
                activate: true,
                revoke: true,
                ..Default::default()
            },
            CredentialStatus::Revoked { .. } => AvailableActions {
                delete: self.deleted_at.is_none(),
                ..Default::default()
            },
        }
    }

    pub fn suspend(&mut self, at: Timestamp) -> Result<(), Refusal> {
        if !self.available_actions().suspend {
            return Err(self.no_way(Code::InvalidAction));
        }
        self.status = CredentialStatus::Suspended { at };
        self.touch(at);
        Ok(())
    }

    pub fn activate(&mut self, at: Timestamp) -> Result<(), Refusal> {
        if !self.available_actions().activate {
            return Err(self.no_way(Code::InvalidAction));
        }
        self.status = CredentialStatus::Active;
        self.touch(at);
        Ok(())
    }

    /// `false` when it was revoked before; then nothing changes.
    pub fn revoke(&mut self, at: Timestamp, by: ActorRef, reason: RevokeReason) -> bool {
        if !self.available_actions().revoke {
            return false;
        }
        self.status = CredentialStatus::Revoked { at, by, reason };
        // Nothing is signed with it any more, so nobody need be able to read it.
        self.sealed_secret = None;
        self.touch(at);
        true
    }

    /// Refuses whatever needs it neither suspended nor revoked.
    pub fn ensure_active(&self) -> Result<(), Refusal> {
        match self.status {
            CredentialStatus::Active => Ok(()),
            _ => Err(self.no_way(Code::TokenSuspended)),
        }
    }

    fn no_way(&self, otherwise: Code) -> Refusal {
        if self.is_revoked() {
            Code::TokenRevoked.into()
        } else {
            otherwise.into()
        }
    }

    pub fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.version += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::SeededDice;
    use proptest::prelude::*;

    fn credential() -> Credential {
        let mut dice = SeededDice::new(1);
        let now = Timestamp::from_micros(0);
        let id = CredentialId::new(now, &mut dice);
        Credential {
            id,
            account_id: AccountId::new(now, &mut dice),
            owner: Owner::Account,
            kind: CredentialKind::Opaque,
            public_id: "p".into(),
            prefix: "sym_".into(),
            last4: "abcd".into(),
            sealed: Sealed {
                key_version: 1,
                bytes: vec![],
            },
            description: None,
            sealed_secret: None,
            scopes: ScopeSet::default(),
            inherits_scopes: false,
            allowed_networks: AllowedNetworks::default(),
            rate_limit: None,
            is_primary: false,
            family_id: id,
            status: CredentialStatus::Active,
            not_before: None,
            expires_at: None,
            retires_at: None,
            end_recorded_at: None,
            deleted_at: None,
            created_at: now,
            created_by: ActorRef::Operator,
            updated_at: now,
            version: 1,
        }
    }

    proptest! {
        /// Whatever is tried in whatever order: what the available actions say is what happens, and no
        /// path leads from revoked back.
        #[test]
        fn transitions_follow_the_available_actions(steps in proptest::collection::vec(0u8..3, 0..40)) {
            let mut it = credential();
            let mut was_revoked = false;
            for (at, step) in steps.into_iter().enumerate() {
                let now = Timestamp::from_micros(at as i64);
                let (actions, version) = (it.available_actions(), it.version);
                let (allowed, done) = match step {
                    0 => (actions.suspend, it.suspend(now).is_ok()),
                    1 => (actions.activate, it.activate(now).is_ok()),
                    _ => (actions.revoke, it.revoke(now, ActorRef::Operator, RevokeReason::Requested)),
                };
                prop_assert_eq!(allowed, done);
                prop_assert_eq!(it.version, version + i64::from(done));
                prop_assert!(!was_revoked || it.is_revoked());
                was_revoked |= it.is_revoked();
            }
        }
    }

    #[test]
    fn the_earlier_end_counts_and_the_instant_is_too_late() {
        let at = Timestamp::from_micros;
        let mut it = credential();
        assert!(!it.has_ended(at(i64::MAX)));
        it.expires_at = Some(at(10));
        it.retires_at = Some(at(5));
        assert_eq!(it.ends_at(), Some(at(5)));
        assert!(
            !it.has_ended(at(4))
                && it.has_ended(at(5))
                && it.is_retiring(at(4))
                && !it.is_retiring(at(5))
        );
        assert!(!it.counts(at(0)));
    }
}
