//! Who asks, and what that entitles to: reach (instance ⊃ account ⊃ environment), permissions, minting.

use crate::id::{AccountId, CredentialId, EnvironmentId, ServiceAccountId, UserId};
use crate::refusal::{Code, Refusal};
use crate::scope::{Permission, ScopeSet};

/// How far a credential's word goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Instance,
    Account(AccountId),
    Environment(AccountId, EnvironmentId),
}

impl Reach {
    pub fn of(account: AccountId, environment: Option<EnvironmentId>) -> Self {
        environment.map_or(Self::Account(account), |environment| {
            Self::Environment(account, environment)
        })
    }

    pub fn contains(self, other: Self) -> bool {
        match (self, other) {
            (Self::Instance, _) => true,
            (Self::Account(mine), Self::Account(theirs) | Self::Environment(theirs, _)) => {
                mine == theirs
            }
            (Self::Environment(..), Self::Environment(..)) => self == other,
            _ => false,
        }
    }

    pub fn account(self) -> Option<AccountId> {
        match self {
            Self::Instance => None,
            Self::Account(account) | Self::Environment(account, _) => Some(account),
        }
    }

    pub fn environment(self) -> Option<EnvironmentId> {
        match self {
            Self::Environment(_, environment) => Some(environment),
            _ => None,
        }
    }
}

/// Who did it, as the audit log and `created_by` keep it: ids, never names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorRef {
    Credential {
        id: CredentialId,
        service_account: Option<ServiceAccountId>,
    },
    User(UserId),
    /// Whoever can run `symbolon` commands on the machine.
    Operator,
    /// The product itself, on schedule.
    Schedule,
    /// Whoever holds a link that was mailed.
    LinkHolder,
}

impl ActorRef {
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Credential { .. } => "credential",
            Self::User(_) => "user",
            Self::Operator => "operator",
            Self::Schedule => "schedule",
            Self::LinkHolder => "link_holder",
        }
    }

    pub fn user(self) -> Option<UserId> {
        match self {
            Self::User(id) => Some(id),
            _ => None,
        }
    }
}

/// Permissions within a reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    pub reach: Reach,
    pub scopes: ScopeSet,
}

impl Authority {
    /// All of the instance: the operator at the machine, and the schedules.
    pub fn instance() -> Self {
        Self {
            reach: Reach::Instance,
            scopes: [Permission::Instance.scope()].into_iter().collect(),
        }
    }

    pub fn allows(&self, permission: Permission) -> bool {
        self.scopes.allows(permission)
    }

    pub fn demand(&self, permission: Permission) -> Result<(), Refusal> {
        if self.allows(permission) {
            Ok(())
        } else {
            Err(Refusal::with(
                Code::PermissionMissing,
                [("permission", permission.as_str().into())],
            ))
        }
    }

    /// What a credential made in one's own name may do in the account: an admin's all of it, else what
    /// management permissions are held; an operator's power over the instance is not passed on.
    pub fn account_permissions(&self) -> ScopeSet {
        if self.allows(Permission::Admin) {
            [Permission::Admin.scope()].into_iter().collect()
        } else {
            self.scopes.management().cloned().collect()
        }
    }

    /// Whether the one who asks may bring about a credential with `scopes` in `reach`: it must hold every
    /// `symbolon:` scope of the result and its reach. A reach outside one's own looks like nothing there.
    pub fn may_mint(&self, scopes: &ScopeSet, reach: Reach) -> Result<(), Refusal> {
        if !self.reach.contains(reach) {
            return Err(if self.reach.account() == reach.account() {
                Refusal::new(Code::ReachExceeded)
            } else {
                Refusal::new(Code::NotFound)
            });
        }
        match scopes.management().find(|scope| !self.scopes.covers(scope)) {
            Some(scope) => Err(Refusal::with(
                Code::MintExceedsAuthority,
                [("scope", scope.as_str().into())],
            )),
            None => Ok(()),
        }
    }

    /// Whether the one who asks may grant `scopes` newly: minting, and `symbolon:tokens:write` for
    /// application scopes.
    pub fn may_grant(&self, scopes: &ScopeSet, reach: Reach) -> Result<(), Refusal> {
        self.may_mint(scopes, reach)?;
        if scopes.application().next().is_some() {
            self.demand(Permission::TokensWrite)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dice::SeededDice, time::Timestamp};
    use proptest::prelude::*;

    fn reaches() -> Vec<Reach> {
        let mut dice = SeededDice::new(7);
        let now = Timestamp::from_micros(1);
        let (a, b) = (
            AccountId::new(now, &mut dice),
            AccountId::new(now, &mut dice),
        );
        let (e, f) = (
            EnvironmentId::new(now, &mut dice),
            EnvironmentId::new(now, &mut dice),
        );
        vec![
            Reach::Instance,
            Reach::Account(a),
            Reach::Account(b),
            Reach::Environment(a, e),
            Reach::Environment(a, f),
            Reach::Environment(b, e),
        ]
    }

    fn permissions(mask: u8) -> ScopeSet {
        Permission::ALL
            .iter()
            .enumerate()
            .filter(|(at, _)| mask & (1 << at) != 0)
            .map(|(_, p)| p.scope())
            .collect()
    }

    proptest! {
        /// Nobody mints `symbolon:` scopes or reach beyond their own.
        #[test]
        fn minting_never_exceeds(held: u8, wanted: u8, mine in 0usize..6, theirs in 0usize..6) {
            let reaches = reaches();
            let authority = Authority { reach: reaches[mine], scopes: permissions(held) };
            let (scopes, reach) = (permissions(wanted), reaches[theirs]);
            if authority.may_mint(&scopes, reach).is_ok() {
                prop_assert!(authority.reach.contains(reach));
                // The minted can do nothing its maker could not.
                for permission in Permission::ALL {
                    prop_assert!(!scopes.allows(*permission) || authority.allows(*permission));
                }
                for other in &reaches {
                    prop_assert!(!reach.contains(*other) || authority.reach.contains(*other));
                }
            }
        }
    }

    #[test]
    fn application_scopes_need_tokens_write() {
        let reach = reaches()[1];
        let scopes: ScopeSet = ["invoices:read".parse().unwrap()].into_iter().collect();
        let weak = Authority {
            reach,
            scopes: permissions(0b10),
        };
        assert_eq!(
            weak.may_grant(&scopes, reach).unwrap_err().code,
            Code::PermissionMissing
        );
        let strong = Authority {
            reach,
            scopes: [Permission::TokensWrite.scope()].into_iter().collect(),
        };
        assert!(strong.may_grant(&scopes, reach).is_ok());
    }
}
