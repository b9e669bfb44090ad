//! One verdict: whether a credential is good, for this, now. Used by every path that needs to know.

mod facts;

pub use facts::{
    AccountFacts, CredentialFacts, CredentialState, Facts, LoadedFacts, OptionalTime, OwnerState,
    ServiceAccountFacts,
};

use crate::account::AccountStatus;
use crate::authority::Reach;
use crate::credential::CredentialKind;
use crate::id::EnvironmentId;
use crate::scope::{Scope, ScopeSet};
use crate::secret::Digest;
use crate::time::Timestamp;
use std::net::IpAddr;

/// Why a credential is refused, in the order in which the reasons are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    Malformed,
    /// No such id, outside the asker's reach, or a wrong secret: one outcome.
    Unknown,
    Revoked,
    /// The credential, its service account or its account.
    Suspended,
    NotYetValid,
    /// At or past its end, or beyond the policy's maximum lifetime.
    Expired,
    PresentationNotAllowed,
    WrongEnvironment,
    WrongAudience,
    ContactUnconfirmed,
    IpNotAllowed,
    InsufficientScope,
    RateLimited,
}

impl Reason {
    pub const ALL: [Self; 13] = [
        Self::Malformed,
        Self::Unknown,
        Self::Revoked,
        Self::Suspended,
        Self::NotYetValid,
        Self::Expired,
        Self::PresentationNotAllowed,
        Self::WrongEnvironment,
        Self::WrongAudience,
        Self::ContactUnconfirmed,
        Self::IpNotAllowed,
        Self::InsufficientScope,
        Self::RateLimited,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::PresentationNotAllowed => "presentation_not_allowed",
            Self::WrongEnvironment => "wrong_environment",
            Self::WrongAudience => "wrong_audience",
            Self::ContactUnconfirmed => "contact_unconfirmed",
            Self::IpNotAllowed => "ip_not_allowed",
            Self::InsufficientScope => "insufficient_scope",
            Self::RateLimited => "rate_limited",
        }
    }

    /// Up to and including `expired`, the holder at our own doors learns nothing but 401.
    pub fn is_unauthenticated(self) -> bool {
        self <= Self::Expired
    }
}

/// What proves that the holder is the credential's.
#[derive(Debug, Clone, Copy)]
pub enum Proof<'a> {
    /// A secret, whose digest has to be the credential's.
    Secret(Digest),
    /// An assertion signed with the key's secret, found right before.
    Assertion,
    /// An access token under our own signature, found right before; and whether it was revoked.
    AccessToken {
        token: &'a AccessToken,
        revoked: bool,
    },
}

/// What an access token says (RFC 9068), once its signature was found right.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// Its `jti`.
    pub id: uuid::Uuid,
    pub audience: Vec<String>,
    pub scopes: ScopeSet,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// How a credential was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presentation {
    Bearer,
    Basic,
    /// A key's id and secret at an OAuth endpoint, as RFC 6749 §2.3.1 has clients prove themselves. It opens
    /// nothing else, so it needs no leave as Basic does.
    Client,
}

/// What is asked about a credential.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    pub now: Timestamp,
    pub proof: Proof<'a>,
    pub presentation: Presentation,
    /// How far the asker may see.
    pub reach: Reach,
    pub environment: Option<EnvironmentId>,
    /// Whom an access token has to be meant for.
    pub audience: Option<&'a str>,
    /// From where it was presented.
    pub client_ip: Option<IpAddr>,
    pub scopes: &'a [Scope],
}

/// The reasons that depend on time and state alone: what lists show and sweeps record.
pub fn standing(facts: Facts<'_>, now: Timestamp) -> Result<(), Reason> {
    standing_of(facts, None, now)
}

fn standing_of(
    facts: Facts<'_>,
    token: Option<(&AccessToken, bool)>,
    now: Timestamp,
) -> Result<(), Reason> {
    use CredentialState::{Replaced, Revoked, Suspended};
    let (it, owner) = (facts.credential, facts.service_account);
    if token.is_some_and(|(_, revoked)| revoked)
        || matches!(it.state, Revoked | Replaced)
        || owner.is_some_and(|owner| owner.state == OwnerState::Revoked)
    {
        return Err(Reason::Revoked);
    }
    if it.state == Suspended
        || owner.is_some_and(|owner| owner.state == OwnerState::Suspended)
        || facts.account.status == AccountStatus::Suspended
    {
        return Err(Reason::Suspended);
    }
    if it.not_before.get().is_some_and(|start| now < start) {
        return Err(Reason::NotYetValid);
    }
    if token.is_some_and(|(token, _)| now >= token.expires_at)
        || facts.ends_at().is_some_and(|end| now >= end)
    {
        return Err(Reason::Expired);
    }
    Ok(())
}

/// Which proof and presentation a kind of credential takes: a key's secret is no bearer token.
fn is_presentable(facts: Facts<'_>, question: &Question<'_>) -> bool {
    use CredentialKind::{Jwt, Key, Opaque};
    let owner = facts.service_account;
    match (facts.credential.kind, question.proof, question.presentation) {
        (Opaque | Jwt, Proof::Secret(_), Presentation::Bearer) => true,
        (Key, Proof::Secret(_), Presentation::Basic) => {
            owner.is_some_and(|owner| owner.basic_auth_enabled)
        }
        (Key, Proof::Secret(_), Presentation::Client) => true,
        (Key, Proof::Assertion | Proof::AccessToken { .. }, Presentation::Bearer) => true,
        _ => false,
    }
}

/// Whether the credential is good for what is asked. The digest is compared before any state is looked at.
/// What is good may still have been used too often: that is counted, and so no matter of facts.
pub fn verdict(facts: Facts<'_>, question: &Question<'_>) -> Result<(), Reason> {
    let it = facts.credential;
    let (proven, token) = match question.proof {
        Proof::Secret(presented) => (it.digest == presented, None),
        Proof::Assertion => (it.kind == CredentialKind::Key, None),
        Proof::AccessToken { token, revoked } => {
            (it.kind == CredentialKind::Key, Some((token, revoked)))
        }
    };
    if !proven || !question.reach.contains(facts.place()) {
        return Err(Reason::Unknown);
    }
    standing_of(facts, token, question.now)?;
    let token = token.map(|(token, _)| token);
    if !is_presentable(facts, question) {
        return Err(Reason::PresentationNotAllowed);
    }
    if let (Some(wanted), Some(bound)) = (question.environment, facts.environment())
        && wanted != bound
    {
        return Err(Reason::WrongEnvironment);
    }
    if let (Some(token), Some(wanted)) = (token, question.audience)
        && !token.audience.iter().any(|meant| meant == wanted)
    {
        return Err(Reason::WrongAudience);
    }
    if facts.account.require_confirmed_contact
        && facts
            .service_account
            .is_some_and(|owner| !owner.contact_ever_confirmed)
    {
        return Err(Reason::ContactUnconfirmed);
    }
    if !it.allowed_networks.allows(question.client_ip) {
        return Err(Reason::IpNotAllowed);
    }
    let covers =
        |scope| facts.covers(scope) && token.is_none_or(|token| token.scopes.covers(scope));
    if !question.scopes.iter().all(covers) {
        return Err(Reason::InsufficientScope);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
