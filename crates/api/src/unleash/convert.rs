//! From our records to Unleash's shapes. Pure: numbers and time are passed in.

use super::wire::{
    Overview, OverviewPermission, Pat, Permission, Role, ServiceAccount, ServiceAccountPermissions,
};
use std::time::Duration;
use symbolon_app::CredentialRecord;
use symbolon_domain::{self as domain, CredentialKind, RootRole, ScopeSet, Timestamp};

/// How far away an end lies that there is not: what Unleash's console sends for "never".
const NEVER: Duration = Duration::from_secs(365_242 * 86_400);
/// The end is near within this, in the second half of a token's life.
const SOON: Duration = Duration::from_secs(7 * 86_400);
/// Every role and permission here is one of the whole account.
const ROOT: &str = "root";

/// `tokens` are left out for a caller who may not see them.
pub fn service_account(
    it: &domain::ServiceAccount,
    number: i64,
    tokens: Option<Vec<Pat>>,
) -> ServiceAccount {
    ServiceAccount {
        id: number,
        is_api: false,
        name: it.name.as_str().to_owned(),
        username: username(it, number),
        image_url: "",
        invite_link: "",
        login_attempts: 0,
        email_sent: false,
        root_role: RootRole::of(&it.scopes).map(RootRole::id),
        seen_at: None,
        created_at: it.created_at.to_string(),
        tokens,
    }
}

/// One that was made at another door has none: it is called by its number, which no other has. Nobody is
/// given such a username ([`is_reserved`]).
fn username(it: &domain::ServiceAccount, number: i64) -> String {
    match &it.username {
        Some(username) => username.as_str().to_owned(),
        None => format!("{RESERVED}{number}"),
    }
}

const RESERVED: &str = "service-account-";

/// Whether a username is one of those that service accounts of other doors are shown with.
pub fn is_reserved(username: &str) -> bool {
    let lower = username.to_lowercase();
    let number = lower.strip_prefix(RESERVED);
    number.is_some_and(|it| !it.is_empty() && it.bytes().all(|c| c.is_ascii_digit()))
}

/// By their numbers, which is the order in which they were made.
pub fn in_order<T>(items: impl Iterator<Item = T>, number: impl Fn(&T) -> i64) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_by_key(number);
    items
}

/// Keys and JWTs are no personal access tokens.
pub fn is_pat(it: &domain::Credential) -> bool {
    it.kind == CredentialKind::Opaque
}

/// A token without its secret; `owner` is its service account's number.
pub fn pat(record: &CredentialRecord, number: i64, owner: i64, now: Timestamp) -> Pat {
    let it = &record.it;
    let end = it.ends_at().unwrap_or(it.created_at.plus(NEVER));
    Pat {
        id: number,
        secret: None,
        created_at: it.created_at.to_string(),
        seen_at: record.last_used_at.map(|at| at.to_string()),
        user_id: owner,
        description: it
            .description
            .clone()
            .unwrap_or_else(|| format!("{}{}", it.prefix, it.public_id)),
        expires_at: end.to_string(),
        expiry_warning: expiry_warning(it.created_at, end, now),
    }
}

fn expiry_warning(start: Timestamp, end: Timestamp, now: Timestamp) -> Option<&'static str> {
    if now >= end {
        return Some("expired");
    }
    let left = end.since(now);
    (left <= SOON && left <= now.since(start)).then_some("expires-soon")
}

pub fn role(role: RootRole) -> Role {
    Role {
        id: role.id(),
        r#type: ROOT,
        name: role.name(),
        description: role.description(),
    }
}

/// The roles that these service accounts refer to, each once.
pub fn roles(of: &[ServiceAccount]) -> Vec<Role> {
    RootRole::ALL
        .into_iter()
        .filter(|role| of.iter().any(|it| it.root_role == Some(role.id())))
        .map(self::role)
        .collect()
}

pub fn permissions(
    scopes: &ScopeSet,
    service_account: ServiceAccount,
) -> ServiceAccountPermissions {
    let all = domain::Permission::ALL.iter().copied();
    let root = all.clone().map(|it| OverviewPermission {
        name: it.as_str(),
        display_name: display_name(it),
        r#type: ROOT,
        has_permission: scopes.allows(it),
    });
    let held = all.filter(|it| scopes.allows(*it)).map(|it| Permission {
        permission: it.as_str(),
    });
    ServiceAccountPermissions {
        overview: Overview {
            root: root.collect(),
            project: Vec::new(),
            environment: Vec::new(),
        },
        project_roles: Vec::new(),
        root_role: RootRole::of(scopes).map(role),
        service_account,
        permissions: held.collect(),
    }
}

const fn display_name(permission: domain::Permission) -> &'static str {
    match permission {
        domain::Permission::ServiceAccountsRead => "See service accounts",
        domain::Permission::ServiceAccountsWrite => "Make, change and end service accounts",
        domain::Permission::TokensRead => "See tokens",
        domain::Permission::TokensWrite => "Make and end tokens",
        domain::Permission::TokensVerify => "Ask whether tokens are good",
        domain::Permission::EventsRead => "Read the audit log",
        domain::Permission::Admin => "Everything in the account",
        domain::Permission::Instance => "Everything in the instance",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_of_other_doors_are_reserved() {
        for reserved in ["service-account-7", "Service-Account-07"] {
            assert!(is_reserved(reserved), "{reserved}");
        }
        for free in [
            "service-account-",
            "service-account-x",
            "service-7",
            "a service-account-7",
        ] {
            assert!(!is_reserved(free), "{free}");
        }
    }

    #[test]
    fn warnings_come_in_the_last_week_of_the_second_half() {
        let day = |n: i64| Timestamp::from_micros(n * 86_400_000_000);
        let warning = |life: i64, now: i64| expiry_warning(day(0), day(life), day(now));
        assert_eq!(warning(30, 22), None);
        assert_eq!(warning(30, 23), Some("expires-soon"));
        assert_eq!(warning(30, 29), Some("expires-soon"));
        assert_eq!(warning(30, 30), Some("expired"));
        assert_eq!(warning(30, 31), Some("expired"));
        // Of a short life only the second half warns.
        assert_eq!(warning(4, 1), None);
        assert_eq!(warning(4, 2), Some("expires-soon"));
        assert_eq!(warning(365_242, 400), None);
    }
}
