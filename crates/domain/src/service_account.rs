//! The named machine identity: its state, its transitions, what may be changed about it.

use crate::authority::ActorRef;
use crate::id::{AccountId, EnvironmentId, ServiceAccountId};
use crate::label::{EmailAddress, Language, Name, Username};
use crate::refusal::{Code, Refusal};
use crate::scope::ScopeSet;
use crate::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceAccountStatus {
    Active,
    Suspended { at: Timestamp },
    Revoked { at: Timestamp, by: ActorRef },
}

impl ServiceAccountStatus {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended { .. } => "suspended",
            Self::Revoked { .. } => "revoked",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactState {
    None,
    Pending,
    Confirmed,
    Undeliverable,
}

impl ContactState {
    pub const ALL: [Self; 4] = [
        Self::None,
        Self::Pending,
        Self::Confirmed,
        Self::Undeliverable,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Undeliverable => "undeliverable",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    pub id: ServiceAccountId,
    pub account_id: AccountId,
    pub environment_id: Option<EnvironmentId>,
    pub name: Name,
    /// No two in force in an account share the name where both have this set.
    pub name_is_exclusive: bool,
    /// Unique among those in force in the account.
    pub username: Option<Username>,
    pub description: Option<String>,
    /// The address in force; `None` means the account's ops addresses.
    pub contact_email: Option<EmailAddress>,
    /// A new address, waiting beside the one in force for its confirmation.
    pub pending_contact_email: Option<EmailAddress>,
    pub contact_language: Language,
    pub contact_state: ContactState,
    /// When a contact was last confirmed, ever.
    pub contact_confirmed_at: Option<Timestamp>,
    /// The confirmation mails asked for: when last, and how many since `resend_window_at`.
    pub resent_at: Option<Timestamp>,
    pub resend_window_at: Option<Timestamp>,
    pub resends: i32,
    /// What its credentials may be granted.
    pub scopes: ScopeSet,
    pub basic_auth_enabled: bool,
    pub status: ServiceAccountStatus,
    pub created_at: Timestamp,
    pub created_by: ActorRef,
    pub updated_at: Timestamp,
    /// Grows with each change of it or its primary token; uses do not touch it.
    pub version: i64,
}

impl ServiceAccount {
    pub fn is_revoked(&self) -> bool {
        matches!(self.status, ServiceAccountStatus::Revoked { .. })
    }

    /// Refuses whatever needs a service account that is not revoked.
    pub fn ensure_not_revoked(&self) -> Result<(), Refusal> {
        if self.is_revoked() {
            Err(Code::ServiceAccountRevoked.into())
        } else {
            Ok(())
        }
    }

    /// Refuses whatever makes or changes credentials of a service account that is not in force.
    pub fn ensure_active(&self) -> Result<(), Refusal> {
        match self.status {
            ServiceAccountStatus::Active => Ok(()),
            ServiceAccountStatus::Suspended { .. } => Err(Code::ServiceAccountSuspended.into()),
            ServiceAccountStatus::Revoked { .. } => Err(Code::ServiceAccountRevoked.into()),
        }
    }

    pub fn suspend(&mut self, at: Timestamp) -> Result<(), Refusal> {
        match self.status {
            ServiceAccountStatus::Active => {
                self.status = ServiceAccountStatus::Suspended { at };
                Ok(())
            }
            ServiceAccountStatus::Suspended { .. } => Err(Code::InvalidAction.into()),
            ServiceAccountStatus::Revoked { .. } => Err(Code::ServiceAccountRevoked.into()),
        }
    }

    pub fn activate(&mut self) -> Result<(), Refusal> {
        match self.status {
            ServiceAccountStatus::Suspended { .. } => {
                self.status = ServiceAccountStatus::Active;
                Ok(())
            }
            ServiceAccountStatus::Active => Err(Code::InvalidAction.into()),
            ServiceAccountStatus::Revoked { .. } => Err(Code::ServiceAccountRevoked.into()),
        }
    }

    /// `false` when it was revoked before; then nothing changes.
    pub fn revoke(&mut self, at: Timestamp, by: ActorRef) -> bool {
        if self.is_revoked() {
            return false;
        }
        self.status = ServiceAccountStatus::Revoked { at, by };
        true
    }

    pub fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.version += 1;
    }
}
