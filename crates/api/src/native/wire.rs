//! The native door's answers as they travel. Bodies of requests are in `requests`.

mod accounts;
mod events;
mod limits;
mod verification;

pub use accounts::Account;
pub use events::Event;
pub use limits::{Effective, OwnEnd, RateLimit, Revocation, Uses};
pub use verification::{Verification, verification, write_scopes};

use crate::secret::Secret;
use serde::Serialize;
use symbolon_app::{CredentialRecord, ServiceAccountRecord, WhoAmI};
use symbolon_domain::credential::CredentialStatus;
use symbolon_domain::service_account::ServiceAccountStatus;
use symbolon_domain::{self as domain, Minted, Reach, ScopeSet};
use utoipa::ToSchema;

fn show(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn scope_texts(scopes: &ScopeSet) -> Vec<String> {
    scopes
        .iter()
        .map(|scope| scope.as_str().to_owned())
        .collect()
}

/// A named machine identity. `token_*`, `expires_at`, `last_used_at`, `allowed_networks` and `rate_limit` are
/// those of its primary token; without one the texts are empty.
#[derive(Serialize, ToSchema)]
pub struct ServiceAccount {
    #[schema(format = "uuid")]
    pub account_id: String,
    #[schema(format = "date-time")]
    pub created_at: String,
    #[schema(format = "uuid")]
    pub id: String,
    #[schema(min_length = 1, max_length = 120)]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub token: Option<Shown>,
    pub token_last4: String,
    pub token_prefix: String,
    pub token_public_id: String,
    #[schema(format = "date-time")]
    pub updated_at: String,
    /// Null unless a user made it; tokens make service accounts too.
    #[schema(required, format = "uuid")]
    pub created_by_user_id: Option<String>,
    #[schema(required, format = "date-time")]
    pub expires_at: Option<String>,
    #[schema(required, format = "date-time")]
    pub last_used_at: Option<String>,
    #[schema(required, format = "date-time")]
    pub revoked_at: Option<String>,
    #[schema(required, format = "uuid")]
    pub revoked_by_user_id: Option<String>,
    #[schema(required)]
    pub description: Option<String>,
    /// The address in force; null means the account's `ops_addresses`.
    #[schema(required, format = "email")]
    pub contact_email: Option<String>,
    /// A new address that waits for its confirmation, while the old one stays in force.
    #[schema(required, format = "email")]
    pub pending_contact_email: Option<String>,
    #[schema(value_type = ContactLanguage)]
    pub contact_language: &'static str,
    #[schema(value_type = ContactState)]
    pub contact_state: &'static str,
    #[schema(required, format = "uuid")]
    pub environment_id: Option<String>,
    pub scopes: Vec<String>,
    pub basic_auth_enabled: bool,
    /// From where its primary token may be used; empty means from everywhere.
    pub allowed_networks: Vec<String>,
    /// How often its primary token may be used; null means ever so often.
    #[schema(required)]
    pub rate_limit: Option<RateLimit>,
    #[schema(value_type = ServiceAccountState)]
    pub status: &'static str,
    /// In answers to `?wait=` alone; null: nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Effective>)]
    pub effective: Option<Option<Effective>>,
}

impl From<&ServiceAccountRecord> for ServiceAccount {
    fn from(record: &ServiceAccountRecord) -> Self {
        let (it, primary) = (&record.it, record.primary.as_ref());
        let (revoked_at, revoked_by) = match it.status {
            ServiceAccountStatus::Revoked { at, by } => (Some(at), by.user()),
            _ => (None, None),
        };
        Self {
            account_id: it.account_id.to_string(),
            created_at: it.created_at.to_string(),
            id: it.id.to_string(),
            name: it.name.as_str().to_owned(),
            token: None,
            token_last4: primary.map(|token| token.last4.clone()).unwrap_or_default(),
            token_prefix: primary
                .map(|token| token.prefix.clone())
                .unwrap_or_default(),
            token_public_id: primary
                .map(|token| token.public_id.clone())
                .unwrap_or_default(),
            updated_at: it.updated_at.to_string(),
            created_by_user_id: show(it.created_by.user()),
            expires_at: show(primary.and_then(|token| token.expires_at)),
            last_used_at: show(record.last_used_at),
            revoked_at: show(revoked_at),
            revoked_by_user_id: show(revoked_by),
            description: it.description.clone(),
            contact_email: address(&it.contact_email),
            pending_contact_email: address(&it.pending_contact_email),
            contact_language: it.contact_language.as_str(),
            contact_state: it.contact_state.as_str(),
            environment_id: show(it.environment_id),
            scopes: scope_texts(&it.scopes),
            basic_auth_enabled: it.basic_auth_enabled,
            allowed_networks: primary
                .map(|token| limits::networks(&token.allowed_networks))
                .unwrap_or_default(),
            rate_limit: primary
                .and_then(|token| token.rate_limit)
                .map(RateLimit::from),
            status: it.status.as_str(),
            effective: None,
        }
    }
}

fn address(email: &Option<domain::EmailAddress>) -> Option<String> {
    email.as_ref().map(|email| email.as_str().to_owned())
}

/// A secret on its way into the one answer that shows it; null in a repeat that came when it was gone.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Shown(Option<Secret>);

impl From<Option<&Minted>> for Shown {
    fn from(secret: Option<&Minted>) -> Self {
        Self(secret.map(Secret::from))
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(ToSchema)]
        #[schema(rename_all = "snake_case")]
        #[expect(dead_code, reason = "documents the words that the domain writes")]
        pub enum $name { $($variant),* }
    )*};
}

words! {
    /// The language of mails to the contact.
    ContactLanguage { En, Ar }
    ContactState { None, Pending, Confirmed, Undeliverable }
    ServiceAccountState { Active, Suspended, Revoked }
    AccountState { Active, Suspended }
    /// `retiring`: replaced by a rotation, and good until `retires_at`. Whether a token has expired is a
    /// matter of time, not of status: look at `expires_at`.
    TokenStatus { Active, Suspended, Revoked, Retiring }
    TokenKind { Opaque, Jwt, Key }
    WhyRevoked { Requested, Rotated }
    ReachKind { Instance, Account, Environment }
    ActorKind { Credential, User, Operator, Schedule, LinkHolder }
    UseStateWord { Used, Never, NotTrackedYet }
    /// The reasons in the order in which they are looked at.
    VerdictCode {
        Valid, Malformed, Unknown, Revoked, Suspended, NotYetValid, Expired, PresentationNotAllowed,
        WrongEnvironment, WrongAudience, ContactUnconfirmed, IpNotAllowed, InsufficientScope, RateLimited,
    }
}

#[derive(Serialize, ToSchema)]
pub struct Token {
    #[schema(format = "uuid")]
    pub id: String,
    /// Null: it belongs to the account or an environment directly.
    #[schema(required, format = "uuid")]
    pub service_account_id: Option<String>,
    #[schema(required, format = "uuid")]
    pub environment_id: Option<String>,
    #[schema(format = "uuid")]
    pub account_id: String,
    #[schema(value_type = TokenKind)]
    pub kind: &'static str,
    #[schema(required)]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub token: Option<Shown>,
    pub token_prefix: String,
    pub token_public_id: String,
    pub token_last4: String,
    /// Of one that inherits: its service account's at the time.
    pub scopes: Vec<String>,
    /// It may do whatever its service account may at the time.
    pub inherits_scopes: bool,
    /// From where it may be used: networks in CIDR notation; empty means from everywhere.
    pub allowed_networks: Vec<String>,
    /// How often it may be used; null means ever so often.
    #[schema(required)]
    pub rate_limit: Option<RateLimit>,
    #[schema(value_type = TokenStatus)]
    pub status: &'static str,
    /// The one whose fields the service account shows as its own.
    pub primary: bool,
    #[schema(required, format = "date-time")]
    pub not_before: Option<String>,
    #[schema(required, format = "date-time")]
    pub expires_at: Option<String>,
    #[schema(required, format = "date-time")]
    pub retires_at: Option<String>,
    #[schema(required, format = "date-time")]
    pub last_used_at: Option<String>,
    #[schema(required, format = "date-time")]
    pub revoked_at: Option<String>,
    #[schema(required, value_type = Option<WhyRevoked>)]
    pub revoke_reason: Option<&'static str>,
    #[schema(format = "date-time")]
    pub created_at: String,
    #[schema(format = "date-time")]
    pub updated_at: String,
    /// The id of the first token of its line of rotations.
    #[schema(format = "uuid")]
    pub family_id: String,
    pub available_actions: AvailableActions,
    /// In answers to `?wait=` alone; null: nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Effective>)]
    pub effective: Option<Option<Effective>>,
}

/// A key: a token by whose secret nobody is Bearer, with its id beside it.
#[derive(Serialize, ToSchema)]
pub struct Key {
    #[serde(flatten)]
    pub token: Token,
    /// What Basic calls the user, and assertions call `kid`: its `token_public_id`.
    pub key_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub secret: Option<Shown>,
}

impl From<&CredentialRecord> for Key {
    fn from(record: &CredentialRecord) -> Self {
        Self {
            token: Token::from(record),
            key_id: record.it.public_id.clone(),
            secret: None,
        }
    }
}

/// What may be done to a token in its present status.
#[derive(Debug, Serialize, ToSchema)]
pub struct AvailableActions {
    pub activate: bool,
    pub suspend: bool,
    pub revoke: bool,
    pub rotate: bool,
}

/// Active with an end after a rotation is `retiring`, also once that end has passed.
fn token_status(it: &domain::Credential) -> &'static str {
    match it.status {
        CredentialStatus::Active if it.retires_at.is_some() => "retiring",
        _ => it.status.as_str(),
    }
}

impl From<&CredentialRecord> for Token {
    fn from(record: &CredentialRecord) -> Self {
        let it = &record.it;
        let (revoked_at, reason) = match it.status {
            CredentialStatus::Revoked { at, reason, .. } => (Some(at), Some(reason.as_str())),
            _ => (None, None),
        };
        let actions = it.available_actions();
        Self {
            id: it.id.to_string(),
            service_account_id: show(it.owner.service_account()),
            environment_id: show(it.owner.environment()),
            account_id: it.account_id.to_string(),
            kind: it.kind.as_str(),
            description: it.description.clone(),
            token: None,
            token_prefix: it.prefix.clone(),
            token_public_id: it.public_id.clone(),
            token_last4: it.last4.clone(),
            scopes: scope_texts(&it.scopes),
            inherits_scopes: it.inherits_scopes,
            allowed_networks: limits::networks(&it.allowed_networks),
            rate_limit: it.rate_limit.map(RateLimit::from),
            status: token_status(it),
            primary: it.is_primary,
            not_before: show(it.not_before),
            expires_at: show(it.expires_at),
            retires_at: show(it.retires_at),
            last_used_at: show(record.last_used_at),
            revoked_at: show(revoked_at),
            revoke_reason: reason,
            created_at: it.created_at.to_string(),
            updated_at: it.updated_at.to_string(),
            family_id: it.family_id.to_string(),
            available_actions: AvailableActions {
                activate: actions.activate,
                suspend: actions.suspend,
                revoke: actions.revoke,
                rotate: token_status(it) == "active",
            },
            effective: None,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Environment {
    #[schema(format = "uuid")]
    pub id: String,
    #[schema(format = "uuid")]
    pub account_id: String,
    pub name: String,
    #[schema(format = "date-time")]
    pub created_at: String,
}

impl From<&domain::Environment> for Environment {
    fn from(it: &domain::Environment) -> Self {
        Self {
            id: it.id.to_string(),
            account_id: it.account_id.to_string(),
            name: it.name.as_str().to_owned(),
            created_at: it.created_at.to_string(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Named {
    #[schema(format = "uuid")]
    pub id: String,
    pub name: String,
}

/// Who the presented token is, and what it may do.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    pub account: Named,
    #[schema(required, format = "uuid")]
    pub environment_id: Option<String>,
    #[schema(required)]
    pub service_account: Option<Named>,
    pub token: MyToken,
    pub scopes: Vec<String>,
    #[schema(value_type = ReachKind)]
    pub reach: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MyToken {
    #[schema(format = "uuid")]
    pub id: String,
    pub token_public_id: String,
    #[schema(required, format = "date-time")]
    pub expires_at: Option<String>,
    #[schema(required, format = "date-time")]
    pub retires_at: Option<String>,
    #[schema(value_type = TokenStatus)]
    pub status: &'static str,
}

impl From<&WhoAmI> for Me {
    fn from(me: &WhoAmI) -> Self {
        Self {
            account: Named {
                id: me.account.id.to_string(),
                name: me.account.name.as_str().to_owned(),
            },
            environment_id: show(me.environment_id),
            service_account: me.service_account.as_ref().map(|it| Named {
                id: it.id.to_string(),
                name: it.name.as_str().to_owned(),
            }),
            token: MyToken {
                id: me.credential.id.to_string(),
                token_public_id: me.credential.public_id.clone(),
                expires_at: show(me.credential.expires_at),
                retires_at: show(me.credential.retires_at),
                status: token_status(&me.credential),
            },
            scopes: scope_texts(&me.scopes),
            reach: match me.reach {
                Reach::Instance => "instance",
                Reach::Account(_) => "account",
                Reach::Environment(..) => "environment",
            },
        }
    }
}

/// An error (RFC 9457). `code` is stable; `title` and `detail` are for people, in the language of
/// `Accept-Language`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    pub r#type: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub instance: String,
    pub code: &'static str,
    pub request_id: String,
    /// Where the syntax of the body breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// All fields that are refused, at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<FieldProblem>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer into the body (RFC 6901), or `?` and a query parameter's name.
    pub pointer: String,
    pub code: &'static str,
    pub detail: String,
}
