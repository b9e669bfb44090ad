use super::*;
use crate::credential::Owner;
use crate::dice::SeededDice;
use crate::id::{AccountId, CredentialId, ServiceAccountId};
use crate::label::Name;
use crate::network::AllowedNetworks;
use crate::scope::{Permission, ScopeSet};
use crate::token_text::PublicId;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const T: i64 = 1_800_000_000_000_000;

fn at(offset: i64) -> Timestamp {
    Timestamp::from_micros(T + offset)
}

fn verdict(it: &LoadedFacts, question: &Question<'_>) -> Result<(), Reason> {
    super::verdict(it.view(), question)
}

fn facts() -> LoadedFacts {
    let mut dice = SeededDice::new(3);
    LoadedFacts {
        credential: CredentialFacts {
            id: CredentialId::new(at(0), &mut dice),
            kind: CredentialKind::Opaque,
            owner: Owner::Account,
            public_id: PublicId::parse("0123456789abcdef").unwrap(),
            digest: Digest::of("secret"),
            state: CredentialState::Active,
            replaced_at: OptionalTime::NONE,
            scopes: Arc::new(["a:b".parse().unwrap()].into_iter().collect()),
            inherits_scopes: false,
            allowed_networks: AllowedNetworks::default(),
            rate_limit: None,
            not_before: OptionalTime::NONE,
            ends_at: OptionalTime::NONE,
            retires_at: OptionalTime::NONE,
            created_at: at(-10_000_000),
            version: 1,
        },
        service_account: Some(ServiceAccountFacts {
            id: ServiceAccountId::new(at(0), &mut dice),
            name: Name::parse("ci").unwrap(),
            state: OwnerState::Active,
            environment_id: None,
            scopes: Arc::new(["a:*".parse().unwrap()].into_iter().collect()),
            basic_auth_enabled: false,
            contact_ever_confirmed: false,
            version: 1,
        }),
        account: AccountFacts {
            id: AccountId::new(at(0), &mut dice),
            status: AccountStatus::Active,
            max_lifetime: None,
            require_confirmed_contact: false,
            version: 1,
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
        client_ip: None,
        scopes: &[],
    }
}

proptest! {
    #[test]
    fn each_boundary_to_the_microsecond(offset in -1i64..=1) {
        let now = at(offset);
        let mut it = facts();
        it.credential.ends_at = Some(at(0)).into();
        prop_assert_eq!(verdict(&it, &ask(now)).err(), (offset >= 0).then_some(Reason::Expired));
        let mut it = facts();
        it.credential.not_before = Some(at(0)).into();
        prop_assert_eq!(verdict(&it, &ask(now)).err(), (offset < 0).then_some(Reason::NotYetValid));
        let mut it = facts();
        it.account.max_lifetime = Some(Duration::from_secs(10));
        prop_assert_eq!(verdict(&it, &ask(now)).err(), (offset >= 0).then_some(Reason::Expired));
    }

    /// With any set of faults present, the first in the order is the answer.
    #[test]
    fn the_first_reason_in_order_wins(mask in 0u16..1024) {
        let mut it = facts();
        let mut question = ask(at(0));
        let mut expected = Vec::new();
        let scopes = ["other".parse().unwrap()];
        let mut fault = |bit: u16, reason: Reason| { let on = mask & (1 << bit) != 0; if on { expected.push(reason); } on };
        if fault(0, Reason::Unknown) { question.proof = Proof::Secret(Digest::of("wrong")); }
        if fault(1, Reason::Revoked) { it.credential.state = CredentialState::Revoked; }
        if fault(2, Reason::Suspended) { it.account.status = AccountStatus::Suspended; }
        if fault(3, Reason::NotYetValid) { it.credential.not_before = Some(at(1)).into(); }
        if fault(4, Reason::Expired) { it.credential.ends_at = Some(at(0)).into(); }
        if fault(5, Reason::PresentationNotAllowed) { question.presentation = Presentation::Basic; }
        if fault(6, Reason::WrongEnvironment) {
            let mut dice = SeededDice::new(9);
            it.service_account.as_mut().unwrap().environment_id = Some(EnvironmentId::new(at(0), &mut dice));
            question.environment = Some(EnvironmentId::new(at(0), &mut dice));
        }
        if fault(7, Reason::ContactUnconfirmed) { it.account.require_confirmed_contact = true; }
        if fault(8, Reason::IpNotAllowed) { it.credential.allowed_networks = AllowedNetworks::parse("10.0.0.0/8").unwrap(); }
        if fault(9, Reason::InsufficientScope) { question.scopes = &scopes; }
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
    it.service_account.as_mut().unwrap().scopes = Arc::default();
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
    assert_eq!(it.view().scopes().count(), 0);
}

#[test]
fn reasons_are_in_the_designs_order() {
    assert!(Reason::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(
        Reason::Expired.is_unauthenticated()
            && !Reason::PresentationNotAllowed.is_unauthenticated()
    );
}

fn key() -> LoadedFacts {
    let mut it = facts();
    it.credential.kind = CredentialKind::Key;
    it
}

fn access_token() -> AccessToken {
    AccessToken {
        id: uuid::Uuid::from_u128(1),
        audience: vec!["https://us".into()],
        scopes: ["a:b".parse().unwrap()].into_iter().collect(),
        issued_at: at(0),
        expires_at: at(1),
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
    for proof in [
        Proof::Assertion,
        Proof::AccessToken {
            token: &token,
            revoked: false,
        },
    ] {
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
    let ask_of =
        |it: &LoadedFacts, token: &AccessToken, revoked, now, audience, scopes: &[Scope]| {
            let question = Question {
                proof: Proof::AccessToken { token, revoked },
                audience,
                scopes,
                ..ask(now)
            };
            verdict(it, &question)
        };
    let judge = |it: &LoadedFacts, token: &AccessToken, now, audience, scopes: &[Scope]| {
        ask_of(it, token, false, now, audience, scopes)
    };
    let (it, token) = (key(), access_token());
    assert_eq!(judge(&it, &token, at(0), Some("https://us"), &[]), Ok(()));
    assert_eq!(
        judge(&it, &token, at(0), Some("https://them"), &[]),
        Err(Reason::WrongAudience)
    );
    assert_eq!(judge(&it, &token, at(1), None, &[]), Err(Reason::Expired));
    assert_eq!(
        ask_of(&it, &token, true, at(9), None, &[]),
        Err(Reason::Revoked)
    );
    let mut wide = key();
    wide.credential.inherits_scopes = true;
    let wanted = ["a:c".parse().unwrap()];
    assert!(wide.view().covers(&wanted[0]));
    assert_eq!(
        judge(&wide, &token, at(0), None, &wanted),
        Err(Reason::InsufficientScope)
    );
}

fn set(mask: u8) -> Arc<ScopeSet> {
    let all = [
        "a:b",
        "a:*",
        "b",
        "symbolon:tokens:verify",
        "symbolon:admin",
        "symbolon:instance:*",
    ];
    let held = all
        .iter()
        .enumerate()
        .filter(|(at, _)| mask & (1 << at) != 0);
    Arc::new(held.map(|(_, scope)| scope.parse().unwrap()).collect())
}

proptest! {
    /// What it may do is what one of its own scopes covers that its service account covers, too; or, where
    /// it inherits, what the service account's cover. That the two share a set changes nothing.
    #[test]
    fn scopes_are_bounded_by_the_service_account(own in 0u8..64, owner in 0u8..64, inherits: bool, alone: bool) {
        let mut it = facts();
        it.credential.scopes = set(own);
        it.credential.inherits_scopes = inherits;
        it.service_account.as_mut().unwrap().scopes = set(owner);
        if alone {
            it.service_account = None;
        }
        let bound = it.service_account.as_ref().map(|it| it.scopes.clone());
        let expected: Vec<&Scope> = match &bound {
            Some(bound) if inherits => bound.iter().collect(),
            bound => {
                let covered = |scope: &&Scope| bound.as_ref().is_none_or(|bound| bound.covers(scope));
                it.credential.scopes.iter().filter(covered).collect()
            }
        };
        let view = it.view();
        prop_assert_eq!(view.scopes().collect::<Vec<_>>(), expected.clone());
        for permission in Permission::ALL {
            let held = expected.iter().filter_map(|scope| Permission::from_scope(scope));
            prop_assert_eq!(view.allows(*permission), held.clone().any(|it| it.implies(*permission)));
        }
        for wanted in ["a:b", "a:c", "b", "c", "symbolon:tokens:read", "symbolon:instance:*"] {
            let wanted: Scope = wanted.parse().unwrap();
            let covered = match &bound {
                Some(bound) if inherits => bound.covers(&wanted),
                bound => {
                    it.credential.scopes.covers(&wanted)
                        && bound.as_ref().is_none_or(|bound| bound.covers(&wanted))
                }
            };
            prop_assert_eq!(view.covers(&wanted), covered);
        }
        let shared = it.service_account.as_mut().filter(|owner| owner.scopes == it.credential.scopes);
        if let Some(owner) = shared {
            owner.scopes = it.credential.scopes.clone();
            prop_assert_eq!(it.view().scopes().collect::<Vec<_>>(), expected);
        }
    }
}
