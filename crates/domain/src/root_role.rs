//! The root roles of the Unleash dialect, and the table from them to our management scopes.

use crate::scope::{Permission, ScopeSet};

/// What a service account may do at the Unleash door, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootRole {
    Admin,
    Editor,
    Viewer,
}

impl RootRole {
    pub const ALL: [Self; 3] = [Self::Admin, Self::Editor, Self::Viewer];

    /// The number that stands for it on the wire.
    pub const fn id(self) -> i64 {
        match self {
            Self::Admin => 1,
            Self::Editor => 2,
            Self::Viewer => 3,
        }
    }

    pub fn from_id(id: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.id() == id)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::Editor => "Editor",
            Self::Viewer => "Viewer",
        }
    }

    pub const fn description(self) -> &'static str {
        match self {
            Self::Admin => "May do everything in the account.",
            Self::Editor => {
                "May see everything in the account, ask whether tokens are good, and make and end tokens."
            }
            Self::Viewer => "May see everything in the account, and change nothing.",
        }
    }

    pub const fn permissions(self) -> &'static [Permission] {
        match self {
            Self::Admin => &[Permission::Admin],
            Self::Editor => &[
                Permission::ServiceAccountsRead,
                Permission::TokensRead,
                Permission::TokensWrite,
                Permission::TokensVerify,
                Permission::EventsRead,
            ],
            Self::Viewer => &[
                Permission::ServiceAccountsRead,
                Permission::TokensRead,
                Permission::EventsRead,
            ],
        }
    }

    pub fn scopes(self) -> ScopeSet {
        self.permissions().iter().map(|it| it.scope()).collect()
    }

    /// The strongest role that lies within these scopes; none where not even the weakest does.
    pub fn of(scopes: &ScopeSet) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|role| role.permissions().iter().all(|it| scopes.allows(*it)))
    }

    /// These scopes with the role's permissions instead of the present ones; application scopes stay.
    pub fn replace_in(self, scopes: &ScopeSet) -> ScopeSet {
        self.permissions()
            .iter()
            .map(|it| it.scope())
            .chain(scopes.application().cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let rows: Vec<String> = RootRole::ALL
            .iter()
            .map(|role| format!("{} {}: {}", role.id(), role.name(), role.scopes()))
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn a_role_is_found_again_in_its_scopes_and_in_more() {
        for role in RootRole::ALL {
            assert_eq!(RootRole::of(&role.scopes()), Some(role));
            assert_eq!(RootRole::from_id(role.id()), Some(role));
        }
        let scopes = |text: &str| ScopeSet::parse(text).unwrap();
        assert_eq!(
            RootRole::of(&scopes("symbolon:instance:*")),
            Some(RootRole::Admin)
        );
        assert_eq!(
            RootRole::of(&scopes("symbolon:tokens:write invoices:read")),
            None
        );
        assert_eq!(RootRole::from_id(4), None);
        assert_eq!(
            RootRole::Viewer.replace_in(&scopes("invoices:read symbolon:admin")),
            scopes(
                "invoices:read symbolon:events:read symbolon:service-accounts:read symbolon:tokens:read"
            )
        );
    }
}
