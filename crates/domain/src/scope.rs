//! Scopes: what a credential may do. `symbolon:` scopes are management permissions and enumerated;
//! all others belong to the applications that ask us to verify.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

pub const SCOPE_MAX: usize = 200;
pub const SCOPES_MAX: usize = 100;
const SEGMENTS_MAX: usize = 4;

/// 1 to 4 segments of `[a-z0-9_-]+` joined by `:`; `*` only as the last segment, where it stands for one
/// or more segments. Nothing outside `symbolon:` matches inside it, and inside it only the permissions
/// listed in [`Permission`] exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(String);

impl Scope {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a management permission.
    pub fn is_management(&self) -> bool {
        self.0 == "symbolon" || self.0.starts_with("symbolon:")
    }

    /// Whether a holder of `self` may do `wanted`.
    pub fn covers(&self, wanted: &Scope) -> bool {
        if self == wanted {
            return true;
        }
        if self.is_management() || wanted.is_management() {
            return match (Permission::from_scope(self), Permission::from_scope(wanted)) {
                (Some(held), Some(wanted)) => held.implies(wanted),
                _ => false,
            };
        }
        match self.0.strip_suffix('*') {
            Some("") => true,
            Some(stem) => wanted.0.starts_with(stem),
            None => false,
        }
    }
}

impl FromStr for Scope {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |s: &str| {
            !s.is_empty()
                && s.bytes().all(|c| {
                    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'_' | b'-')
                })
        };
        let (before, last) = text
            .rsplit_once(':')
            .map_or((None, text), |(a, b)| (Some(a), b));
        let legal = text.len() <= SCOPE_MAX
            && text.split(':').count() <= SEGMENTS_MAX
            && (plain(last) || last == "*")
            && before.is_none_or(|before| before.split(':').all(plain));
        if !legal {
            return Err("1 to 4 segments of a-z 0-9 _ - joined by ':', '*' only as the last");
        }
        let scope = Self(text.to_owned());
        if scope.is_management() && Permission::from_scope(&scope).is_none() {
            return Err("not one of the symbolon: permissions");
        }
        Ok(scope)
    }
}

impl TryFrom<String> for Scope {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0
    }
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// What the management doors ask for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission {
            $($(#[$doc])* $name),*
        }

        impl Permission {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

permissions! {
    /// See service accounts, environments and the account itself.
    ServiceAccountsRead = "symbolon:service-accounts:read",
    /// Create, change, suspend, activate and revoke service accounts.
    ServiceAccountsWrite = "symbolon:service-accounts:write",
    /// See credentials.
    TokensRead = "symbolon:tokens:read",
    /// Make, rotate, suspend, activate and revoke credentials; grant application scopes.
    TokensWrite = "symbolon:tokens:write",
    /// Ask whether other people's credentials are good.
    TokensVerify = "symbolon:tokens:verify",
    /// Read the audit log.
    EventsRead = "symbolon:events:read",
    /// All of the account.
    Admin = "symbolon:admin",
    /// All of the instance: an operator.
    Instance = "symbolon:instance:*",
}

impl Permission {
    pub fn from_scope(scope: &Scope) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|permission| permission.as_str() == scope.0)
    }

    pub fn scope(self) -> Scope {
        Scope(self.as_str().to_owned())
    }

    /// An operator may do everything in every account; an admin everything in the account.
    pub fn implies(self, wanted: Self) -> bool {
        self == wanted
            || self == Self::Instance
            || (self == Self::Admin && wanted != Self::Instance)
    }
}

/// Management permissions as one number, so that asking for one compares no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions(u8);

impl Permissions {
    const fn only(it: Permission) -> Self {
        Self(1 << it as u8)
    }

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// These, and whatever they imply.
    pub fn implied(self) -> Self {
        let all = Permission::ALL.iter().copied();
        let implied = all.filter(|it| self.allow(*it)).map(Self::only);
        implied.fold(Self::default(), |all, one| Self(all.0 | one.0))
    }

    /// Whether one of these implies what is wanted.
    pub fn allow(self, wanted: Permission) -> bool {
        let all = Permission::ALL.iter().copied();
        all.filter(|held| self.0 & Self::only(*held).0 != 0)
            .any(|held| held.implies(wanted))
    }
}

/// A sorted set of scopes. Empty means: nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct ScopeSet {
    scopes: Vec<Scope>,
    /// Those of them that are permissions.
    permissions: Permissions,
}

impl ScopeSet {
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    pub fn len(&self) -> usize {
        self.scopes.len()
    }

    pub fn covers(&self, wanted: &Scope) -> bool {
        if wanted.is_management() {
            return Permission::from_scope(wanted).is_some_and(|it| self.permissions.allow(it));
        }
        self.scopes.iter().any(|held| held.covers(wanted))
    }

    pub fn covers_all(&self, wanted: &ScopeSet) -> bool {
        wanted.iter().all(|scope| self.covers(scope))
    }

    /// Those of these that `owner` covers.
    pub fn within(&self, owner: &ScopeSet) -> ScopeSet {
        self.iter()
            .filter(|scope| owner.covers(scope))
            .cloned()
            .collect()
    }

    pub fn permissions(&self) -> Permissions {
        self.permissions
    }

    pub fn allows(&self, permission: Permission) -> bool {
        self.permissions.allow(permission)
    }

    pub fn management(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.iter().filter(|scope| scope.is_management())
    }

    pub fn application(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.iter().filter(|scope| !scope.is_management())
    }

    /// Space-separated, as RFC 6749 §3.3 writes scopes and as the database keeps them.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        text.split_ascii_whitespace().map(Scope::from_str).collect()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort();
        scopes.dedup();
        let permissions = scopes.iter().filter_map(Permission::from_scope);
        let permissions = permissions.map(Permissions::only);
        Self {
            permissions: permissions
                .fold(Permissions::default(), |all, it| Permissions(all.0 | it.0)),
            scopes,
        }
    }
}

impl From<Vec<Scope>> for ScopeSet {
    fn from(scopes: Vec<Scope>) -> Self {
        scopes.into_iter().collect()
    }
}

impl From<ScopeSet> for Vec<Scope> {
    fn from(set: ScopeSet) -> Self {
        set.scopes
    }
}

impl std::fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, scope) in self.scopes.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&scope.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    #[test]
    fn grammar() {
        for good in [
            "invoices:read",
            "a",
            "*",
            "a:*",
            "a:b:c:d",
            "a:b:c:*",
            "symbolon:admin",
            "symbolon:instance:*",
            "my-app:x_1",
        ] {
            assert!(Scope::from_str(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ":",
            "a:",
            "A",
            "a:b:c:d:e",
            "*:a",
            "a:*:b",
            "a*",
            "a b",
            "symbolon:*",
            "symbolon",
            "symbolon:nope",
            "symbolon:service-accounts:*",
        ] {
            assert!(Scope::from_str(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn covering() {
        assert!(scope("*").covers(&scope("a:b")));
        assert!(scope("a:*").covers(&scope("a:b:c")));
        assert!(scope("a:*").covers(&scope("a:b:*")));
        assert!(!scope("a:*").covers(&scope("a")));
        assert!(!scope("a:*").covers(&scope("ab:c")));
        assert!(!scope("a:b").covers(&scope("a:*")));
        assert!(scope("symbolon:admin").covers(&scope("symbolon:tokens:verify")));
        assert!(!scope("symbolon:admin").covers(&scope("symbolon:instance:*")));
        assert!(!scope("symbolon:admin").covers(&scope("invoices:read")));
        assert!(scope("symbolon:instance:*").covers(&scope("symbolon:admin")));
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        let permission = proptest::sample::select(Permission::ALL).prop_map(Permission::scope);
        let other = "[ab](:[ab]){0,2}(:\\*)?|\\*".prop_map(|text| text.parse().unwrap());
        prop_oneof![permission, other]
    }

    proptest! {
        /// A set covers what one of its scopes covers, and allows what one of its permissions implies.
        #[test]
        fn sets_say_what_their_scopes_say(
            scopes in proptest::collection::vec(any_scope(), 0..5),
            wanted in any_scope(),
            permission in proptest::sample::select(Permission::ALL),
        ) {
            let set: ScopeSet = scopes.iter().cloned().collect();
            prop_assert_eq!(set.covers(&wanted), scopes.iter().any(|it| it.covers(&wanted)));
            let held = scopes.iter().filter_map(Permission::from_scope);
            let allowed = held.clone().any(|it| it.implies(permission));
            prop_assert_eq!(set.allows(permission), allowed);
            prop_assert_eq!(set.permissions().implied().allow(permission), allowed);
            let text = serde_json::to_string(&set).unwrap();
            prop_assert_eq!(serde_json::from_str::<ScopeSet>(&text).unwrap(), set);
        }

        #[test]
        fn nothing_outside_symbolon_matches_inside(text in "[a-z0-9_-]{1,8}(:[a-z0-9_-]{1,8}){0,2}(:\\*)?") {
            if let Ok(held) = Scope::from_str(&text) && !held.is_management() {
                for permission in Permission::ALL {
                    prop_assert!(!held.covers(&permission.scope()));
                }
            }
        }
    }
}
