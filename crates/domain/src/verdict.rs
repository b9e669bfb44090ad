//! One verdict: whether a credential is good, for this, now. Used by every path that needs to know.

use crate::account::AccountStatus;
use crate::authority::Reach;
use crate::credential::{CredentialKind, CredentialStatus, Owner};
use crate::id::{AccountId, CredentialId, EnvironmentId, ServiceAccountId};
use crate::scope::{Scope, ScopeSet};
use crate::secret::Digest;
use crate::service_account::ServiceAccountStatus;
use crate::time::Timestamp;
use std::time::Duration;

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
    /// An access token under our own signature, found right before.
    AccessToken(&'a AccessToken),
}

/// What an access token says (RFC 9068), once its signature was found right; and whether it was revoked.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// Its `jti`.
    pub id: uuid::Uuid,
    pub audience: Vec<String>,
    pub scopes: ScopeSet,
    pub expires_at: Timestamp,
    pub revoked: bool,
}

/// How a credential was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presentation {
    Bearer,
    Basic,
}

/// What is known about a credential: facts, never verdicts.
#[derive(Debug, Clone)]
pub struct Facts {
    pub credential: CredentialFacts,
    pub service_account: Option<ServiceAccountFacts>,
    pub account: AccountFacts,
}

#[derive(Debug, Clone)]
pub struct CredentialFacts {
    pub id: CredentialId,
    pub kind: CredentialKind,
    pub owner: Owner,
    pub public_id: String,
    pub digest: Digest,
    pub status: CredentialStatus,
    pub scopes: ScopeSet,
    /// It may do whatever its service account may; `scopes` is empty then.
    pub inherits_scopes: bool,
    pub not_before: Option<Timestamp>,
    pub ends_at: Option<Timestamp>,
    pub retires_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub version: i64,
}

#[derive(Debug, Clone)]
pub struct ServiceAccountFacts {
    pub id: ServiceAccountId,
    pub status: ServiceAccountStatus,
    pub environment_id: Option<EnvironmentId>,
    pub scopes: ScopeSet,
    pub basic_auth_enabled: bool,
    pub contact_ever_confirmed: bool,
}

#[derive(Debug, Clone)]
pub struct AccountFacts {
    pub id: AccountId,
    pub status: AccountStatus,
    pub max_lifetime: Option<Duration>,
    pub require_confirmed_contact: bool,
}

impl Facts {
    pub fn environment(&self) -> Option<EnvironmentId> {
        self.credential.owner.environment().or_else(|| {
            self.service_account
                .as_ref()
                .and_then(|it| it.environment_id)
        })
    }

    /// How far the credential's own word goes: an operator's everywhere.
    pub fn reach(&self) -> Reach {
        if self.scopes().allows(crate::scope::Permission::Instance) {
            Reach::Instance
        } else {
            Reach::of(self.account.id, self.environment())
        }
    }

    /// What it may do: its own scopes, as far as its service account still has them.
    pub fn scopes(&self) -> ScopeSet {
        match &self.service_account {
            Some(owner) if self.credential.inherits_scopes => owner.scopes.clone(),
            Some(owner) => self.credential.scopes.within(&owner.scopes),
            None => self.credential.scopes.clone(),
        }
    }

    /// The same credential, where it speaks for these scopes only.
    pub fn narrowed(mut self, to: &ScopeSet) -> Self {
        self.credential.scopes = to
            .iter()
            .filter(|scope| self.covers(scope))
            .cloned()
            .collect();
        self.credential.inherits_scopes = false;
        self
    }

    pub fn covers(&self, wanted: &Scope) -> bool {
        (self.credential.inherits_scopes || self.credential.scopes.covers(wanted))
            && self
                .service_account
                .as_ref()
                .is_none_or(|owner| owner.scopes.covers(wanted))
    }
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
    pub scopes: &'a [Scope],
}

/// The reasons that depend on time and state alone: what lists show and sweeps record.
pub fn standing(facts: &Facts, now: Timestamp) -> Result<(), Reason> {
    standing_of(facts, None, now)
}

fn standing_of(facts: &Facts, token: Option<&AccessToken>, now: Timestamp) -> Result<(), Reason> {
    let owner = facts.service_account.as_ref();
    if token.is_some_and(|token| token.revoked)
        || matches!(facts.credential.status, CredentialStatus::Revoked { .. })
        || owner.is_some_and(|owner| matches!(owner.status, ServiceAccountStatus::Revoked { .. }))
    {
        return Err(Reason::Revoked);
    }
    if matches!(facts.credential.status, CredentialStatus::Suspended { .. })
        || owner.is_some_and(|owner| matches!(owner.status, ServiceAccountStatus::Suspended { .. }))
        || facts.account.status == AccountStatus::Suspended
    {
        return Err(Reason::Suspended);
    }
    if facts.credential.not_before.is_some_and(|start| now < start) {
        return Err(Reason::NotYetValid);
    }
    let policy_end = facts
        .account
        .max_lifetime
        .map(|max| facts.credential.created_at.plus(max));
    if token.is_some_and(|token| now >= token.expires_at)
        || facts.credential.ends_at.is_some_and(|end| now >= end)
        || policy_end.is_some_and(|end| now >= end)
    {
        return Err(Reason::Expired);
    }
    Ok(())
}

/// Which proof and presentation a kind of credential takes: a key's secret is no bearer token.
fn is_presentable(facts: &Facts, question: &Question<'_>) -> bool {
    use CredentialKind::{Jwt, Key, Opaque};
    let owner = facts.service_account.as_ref();
    match (facts.credential.kind, question.proof, question.presentation) {
        (Opaque | Jwt, Proof::Secret(_), Presentation::Bearer) => true,
        (Key, Proof::Secret(_), Presentation::Basic) => {
            owner.is_some_and(|owner| owner.basic_auth_enabled)
        }
        (Key, Proof::Assertion | Proof::AccessToken(_), Presentation::Bearer) => true,
        _ => false,
    }
}

/// Whether the credential is good for what is asked. The digest is compared before any state is looked at.
pub fn verdict(facts: &Facts, question: &Question<'_>) -> Result<(), Reason> {
    let (proven, token) = match question.proof {
        Proof::Secret(presented) => (facts.credential.digest == presented, None),
        Proof::Assertion => (facts.credential.kind == CredentialKind::Key, None),
        Proof::AccessToken(token) => (facts.credential.kind == CredentialKind::Key, Some(token)),
    };
    if !proven
        || !question
            .reach
            .contains(Reach::of(facts.account.id, facts.environment()))
    {
        return Err(Reason::Unknown);
    }
    standing_of(facts, token, question.now)?;
    let owner = facts.service_account.as_ref();
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
        && owner.is_some_and(|owner| !owner.contact_ever_confirmed)
    {
        return Err(Reason::ContactUnconfirmed);
    }
    let covers =
        |scope| facts.covers(scope) && token.is_none_or(|token| token.scopes.covers(scope));
    if !question.scopes.iter().all(covers) {
        return Err(Reason::InsufficientScope);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::ActorRef;
    use crate::credential::RevokeReason;
    use crate::dice::SeededDice;
    use proptest::prelude::*;

    const T: i64 = 1_800_000_000_000_000;

    fn at(offset: i64) -> Timestamp {
        Timestamp::from_micros(T + offset)
    }

    fn facts() -> Facts {
        let mut dice = SeededDice::new(3);
        Facts {
            credential: CredentialFacts {
                id: CredentialId::new(at(0), &mut dice),
                kind: CredentialKind::Opaque,
                owner: Owner::Account,
                public_id: "p".into(),
                digest: Digest::of("secret"),
                status: CredentialStatus::Active,
                scopes: ["a:b".parse().unwrap()].into_iter().collect(),
                inherits_scopes: false,
                not_before: None,
                ends_at: None,
                retires_at: None,
                created_at: at(-10_000_000),
                version: 1,
            },
            service_account: Some(ServiceAccountFacts {
                id: ServiceAccountId::new(at(0), &mut dice),
                status: ServiceAccountStatus::Active,
                environment_id: None,
                scopes: ["a:*".parse().unwrap()].into_iter().collect(),
                basic_auth_enabled: false,
                contact_ever_confirmed: false,
            }),
            account: AccountFacts {
                id: AccountId::new(at(0), &mut dice),
                status: AccountStatus::Active,
                max_lifetime: None,
                require_confirmed_contact: false,
            },
        }
    }

    fn ask<'a>(now: Timestamp) -> Question<'a> {
        Question {
            now,
            proof: Proof::Secret(Digest::of("secret")),
            presentation: Presentation::Bearer,
            reach: Reach::Instance,
            environment: None,
            audience: None,
            scopes: &[],
        }
    }

    proptest! {
        #[test]
        fn each_boundary_to_the_microsecond(offset in -1i64..=1) {
            let now = at(offset);
            let mut it = facts();
            it.credential.ends_at = Some(at(0));
            prop_assert_eq!(verdict(&it, &ask(now)).err(), (offset >= 0).then_some(Reason::Expired));
            let mut it = facts();
            it.credential.not_before = Some(at(0));
            prop_assert_eq!(verdict(&it, &ask(now)).err(), (offset < 0).then_some(Reason::NotYetValid));
            let mut it = facts();
            it.account.max_lifetime = Some(Duration::from_secs(10));
            prop_assert_eq!(verdict(&it, &ask(now)).err(), (offset >= 0).then_some(Reason::Expired));
        }

        /// With any set of faults present, the first in the order is the answer.
        #[test]
        fn the_first_reason_in_order_wins(mask in 0u16..512) {
            let mut it = facts();
            let mut question = ask(at(0));
            let mut expected = Vec::new();
            let scopes = ["other".parse().unwrap()];
            let mut fault = |bit: u16, reason: Reason| { let on = mask & (1 << bit) != 0; if on { expected.push(reason); } on };
            if fault(0, Reason::Unknown) { question.proof = Proof::Secret(Digest::of("wrong")); }
            if fault(1, Reason::Revoked) { it.credential.status = CredentialStatus::Revoked { at: at(0), by: ActorRef::Operator, reason: RevokeReason::Requested }; }
            if fault(2, Reason::Suspended) { it.account.status = AccountStatus::Suspended; }
            if fault(3, Reason::NotYetValid) { it.credential.not_before = Some(at(1)); }
            if fault(4, Reason::Expired) { it.credential.ends_at = Some(at(0)); }
            if fault(5, Reason::PresentationNotAllowed) { question.presentation = Presentation::Basic; }
            if fault(6, Reason::WrongEnvironment) {
                let mut dice = SeededDice::new(9);
                it.service_account.as_mut().unwrap().environment_id = Some(EnvironmentId::new(at(0), &mut dice));
                question.environment = Some(EnvironmentId::new(at(0), &mut dice));
            }
            if fault(7, Reason::ContactUnconfirmed) { it.account.require_confirmed_contact = true; }
            if fault(8, Reason::InsufficientScope) { question.scopes = &scopes; }
            prop_assert_eq!(verdict(&it, &question).err(), expected.into_iter().min());
        }
    }

    #[test]
    fn outside_the_reach_is_unknown() {
        let it = facts();
        let other = AccountId::new(at(1), &mut SeededDice::new(8));
        assert_eq!(
            verdict(
                &it,
                &Question {
                    reach: Reach::Account(other),
                    ..ask(at(0))
                }
            ),
            Err(Reason::Unknown)
        );
        assert_eq!(
            verdict(
                &it,
                &Question {
                    reach: Reach::Account(it.account.id),
                    ..ask(at(0))
                }
            ),
            Ok(())
        );
    }

    #[test]
    fn a_scope_must_be_the_credentials_and_the_service_accounts() {
        let mut it = facts();
        let wanted = ["a:b".parse().unwrap()];
        assert_eq!(
            verdict(
                &it,
                &Question {
                    scopes: &wanted,
                    ..ask(at(0))
                }
            ),
            Ok(())
        );
        it.service_account.as_mut().unwrap().scopes = ScopeSet::default();
        assert_eq!(
            verdict(
                &it,
                &Question {
                    scopes: &wanted,
                    ..ask(at(0))
                }
            ),
            Err(Reason::InsufficientScope)
        );
        assert!(it.scopes().is_empty());
    }

    #[test]
    fn reasons_are_in_the_designs_order() {
        assert!(Reason::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(
            Reason::Expired.is_unauthenticated()
                && !Reason::PresentationNotAllowed.is_unauthenticated()
        );
    }

    fn key() -> Facts {
        let mut it = facts();
        it.credential.kind = CredentialKind::Key;
        it
    }

    fn access_token() -> AccessToken {
        AccessToken {
            id: uuid::Uuid::from_u128(1),
            audience: vec!["https://us".into()],
            scopes: ["a:b".parse().unwrap()].into_iter().collect(),
            expires_at: at(1),
            revoked: false,
        }
    }

    #[test]
    fn a_key_is_good_by_basic_while_enabled_by_assertion_and_by_access_token() {
        let basic = Question {
            presentation: Presentation::Basic,
            ..ask(at(0))
        };
        let mut it = key();
        assert_eq!(verdict(&it, &basic), Err(Reason::PresentationNotAllowed));
        it.service_account.as_mut().unwrap().basic_auth_enabled = true;
        assert_eq!(verdict(&it, &basic), Ok(()));
        assert_eq!(
            verdict(&it, &ask(at(0))),
            Err(Reason::PresentationNotAllowed)
        );
        let token = access_token();
        for proof in [Proof::Assertion, Proof::AccessToken(&token)] {
            let question = Question {
                proof,
                ..ask(at(0))
            };
            assert_eq!(verdict(&it, &question), Ok(()));
            // Nothing but a key vouches for these.
            assert_eq!(verdict(&facts(), &question), Err(Reason::Unknown));
        }
        let mut opaque = facts();
        opaque.service_account.as_mut().unwrap().basic_auth_enabled = true;
        assert_eq!(
            verdict(&opaque, &basic),
            Err(Reason::PresentationNotAllowed)
        );
    }

    #[test]
    fn an_access_token_ends_narrows_and_names_its_audience() {
        let judge = |it: &Facts, token: &AccessToken, now, audience, scopes: &[Scope]| {
            verdict(
                it,
                &Question {
                    proof: Proof::AccessToken(token),
                    audience,
                    scopes,
                    ..ask(now)
                },
            )
        };
        let (it, token) = (key(), access_token());
        assert_eq!(judge(&it, &token, at(0), Some("https://us"), &[]), Ok(()));
        assert_eq!(
            judge(&it, &token, at(0), Some("https://them"), &[]),
            Err(Reason::WrongAudience)
        );
        assert_eq!(judge(&it, &token, at(1), None, &[]), Err(Reason::Expired));
        let revoked = AccessToken {
            revoked: true,
            ..access_token()
        };
        assert_eq!(judge(&it, &revoked, at(9), None, &[]), Err(Reason::Revoked));
        let mut wide = key();
        wide.credential.inherits_scopes = true;
        let wanted = ["a:c".parse().unwrap()];
        assert!(wide.covers(&wanted[0]));
        assert_eq!(
            judge(&wide, &token, at(0), None, &wanted),
            Err(Reason::InsufficientScope)
        );
        let narrowed = wide.narrowed(&token.scopes);
        assert_eq!(narrowed.scopes(), token.scopes);
        assert!(!narrowed.covers(&wanted[0]));
    }
}
