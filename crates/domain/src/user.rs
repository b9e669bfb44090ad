//! Humans: an e-mail address, a password they chose, and a role in each account.

use crate::id::{AccountId, UserId};
use crate::label::{EmailAddress, Language};
use crate::scope::{Permission, ScopeSet};
use crate::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Viewer,
    Member,
    Admin,
    Owner,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Member, Self::Admin, Self::Owner];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// What the role may do in its account.
    pub fn scopes(self) -> ScopeSet {
        let permissions: &[Permission] = match self {
            Self::Viewer => &[Permission::ServiceAccountsRead, Permission::TokensRead],
            Self::Member => &[
                Permission::ServiceAccountsRead,
                Permission::TokensRead,
                Permission::ServiceAccountsWrite,
                Permission::TokensWrite,
                Permission::EventsRead,
            ],
            Self::Admin | Self::Owner => &[Permission::Admin],
        };
        permissions
            .iter()
            .map(|permission| permission.scope())
            .collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub email: EmailAddress,
    /// An argon2id string (PHC); `None` until the set-up link was used.
    pub password_hash: Option<String>,
    pub language: Language,
    /// The set-up link that works, counted; 0 when none does. A newer link ends the older ones.
    pub setup_generation: i32,
    pub setup_expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: i64,
}

/// A user's place in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub account_id: AccountId,
    pub user_id: UserId,
    pub role: Role,
}
