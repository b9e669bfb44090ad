//! Tokens seen from their account: made directly, paged, and strict about what their status allows.

use crate::harness::*;
use symbolon_app::{AccountToken, Actor, TokenSort};
use symbolon_domain::account::{AccountPatch, ExpiryRequest};
use symbolon_domain::credential::AvailableActions;
use symbolon_domain::issue::{Grant, NewToken, Rotation};
use symbolon_domain::retire::Because;
use symbolon_domain::{
    AccountId, AccountStatus, Code, CredentialId, CredentialKind, EnvironmentId, FieldCode, Owner,
};

on_both!(
    a_jwt_is_found_by_its_id_and_judged_by_its_state,
    a_jwts_text_says_what_it_is,
    what_the_actions_say_is_what_happens,
    a_service_accounts_tokens_are_there_too,
    a_revoked_service_accounts_token_may_only_be_deleted,
    pages_are_sorted_and_counted,
    a_jwt_replaces_itself,
    a_repeated_create_or_action_is_the_same,
);

pub fn jwt(granted: &str) -> NewToken {
    NewToken {
        kind: CredentialKind::Jwt,
        ..token(granted)
    }
}

/// A token of the account or environment, with its text.
pub async fn direct(
    world: &World,
    environment: Option<EnvironmentId>,
    new: NewToken,
) -> (AccountToken, String) {
    let admin = world.admin().await;
    let made = world
        .app()
        .issue_direct_token(&call(&admin), world.account, environment, new)
        .await
        .unwrap();
    let text = made.secret.unwrap().reveal().to_owned();
    (made.record, text)
}

pub async fn environment(world: &World, label: &str) -> EnvironmentId {
    let admin = world.admin().await;
    let made = world
        .app()
        .create_environment(&call(&admin), world.account, name(label))
        .await;
    made.unwrap().record.id
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Suspend,
    Activate,
    End,
    Delete,
}

pub const ACTS: [Act; 4] = [Act::Suspend, Act::Activate, Act::End, Act::Delete];

impl Act {
    pub fn of(self, actions: AvailableActions) -> bool {
        match self {
            Self::Suspend => actions.suspend,
            Self::Activate => actions.activate,
            Self::End => actions.revoke,
            Self::Delete => actions.delete,
        }
    }
}

pub async fn act(
    world: &World,
    actor: &Actor,
    account: AccountId,
    id: CredentialId,
    what: Act,
) -> Result<AccountToken, Code> {
    let (app, by) = (world.app(), call(actor));
    let done = match what {
        Act::Suspend => app.suspend_account_token(&by, account, id).await,
        Act::Activate => app.activate_account_token(&by, account, id).await,
        Act::End => app.end_account_token(&by, account, id).await,
        Act::Delete => app.delete_account_token(&by, account, id).await,
    };
    done.map(|it| it.record).map_err(|error| error.code())
}

async fn a_jwt_is_found_by_its_id_and_judged_by_its_state(world: World) {
    let admin = world.admin().await;
    let (made, text) = direct(&world, None, jwt("a symbolon:tokens:read")).await;
    let id = made.record.it.id;
    let actor = world.actor(&text).await.unwrap();
    assert_eq!(actor.authority().scopes, scopes("a symbolon:tokens:read"));
    assert_eq!(actor.owner(), Some(Owner::Account));
    let mut flipped = text.clone();
    let at = flipped.len() - 10;
    let letter = if &flipped[at..=at] == "A" { "B" } else { "A" };
    flipped.replace_range(at..=at, letter);
    assert!(!world.is_live(&flipped).await);
    for (what, live) in [
        (Act::Suspend, false),
        (Act::Activate, true),
        (Act::End, false),
        (Act::Delete, false),
    ] {
        let done = act(&world, &admin, world.account, id, what).await.unwrap();
        assert_eq!(world.is_live(&text).await, live, "{what:?}");
        assert_eq!(done.environment(), None);
    }
    let (_, text) = direct(&world, None, jwt("")).await;
    let suspended = AccountPatch {
        status: Some(AccountStatus::Suspended),
        ..AccountPatch::default()
    };
    let operator = Actor::operator_cli();
    world
        .app()
        .update_account(&call(&operator), world.account, suspended, None)
        .await
        .unwrap();
    assert!(!world.is_live(&text).await);
}

async fn a_jwts_text_says_what_it_is(world: World) {
    let app = world.app();
    world.advance(SECOND / 2);
    let at = environment(&world, "prod").await;
    let (start, end) = (app.now().plus(HOUR), app.now().plus(2 * HOUR));
    let new = NewToken {
        not_before: Some(start),
        expiry: ExpiryRequest::At(end),
        ..jwt("b a")
    };
    let (made, text) = direct(&world, Some(at), new).await;
    let (header, claims) = read_jws(&text);
    assert_eq!(header["typ"], "api-token+jwt");
    let it = made.record.it;
    assert_eq!(it.owner, Owner::Environment(at));
    assert_eq!(it.last4, text[text.len() - 4..]);
    let expected = serde_json::json!({
        "iss": app.public_url(), "sub": at, "account_id": world.account, "environment_id": at,
        "jti": it.public_id, "scope": "a b", "iat": app.now().as_seconds(),
        // Later at the start and earlier at the end than the row, by less than a second.
        "nbf": start.as_seconds() + 1, "exp": end.as_seconds(),
    });
    assert_eq!(claims, expected);
    assert!(!world.is_live(&text).await);
    world.advance(HOUR);
    assert!(world.is_live(&text).await);
    world.advance(HOUR);
    assert!(!world.is_live(&text).await);
    // More scopes than a header could carry are refused before anything is made.
    let many: Vec<String> = (0..100)
        .map(|at| format!("{}{at}", "x".repeat(100)))
        .collect();
    let admin = world.admin().await;
    let refused = app
        .issue_direct_token(&call(&admin), world.account, None, jwt(&many.join(" ")))
        .await
        .unwrap_err();
    let field = &refused.refusal().unwrap().fields[0];
    assert!(matches!(field.code, FieldCode::TooLong { .. }));
}

async fn what_the_actions_say_is_what_happens(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let account = world.account;
    let made = world.make(service_account("billing", "a")).await;
    for of_service_account in [false, true] {
        for status in ["active", "suspended", "revoked"] {
            for what in ACTS {
                let id = if of_service_account {
                    let issued = app
                        .issue_token(&call(&admin), account, made.id, token("a"))
                        .await;
                    issued.unwrap().record.it.id
                } else {
                    direct(&world, None, jwt("a")).await.0.record.it.id
                };
                let way: &[Act] = match status {
                    "active" => &[],
                    "suspended" => &[Act::Suspend],
                    _ => &[Act::Suspend, Act::Activate, Act::End],
                };
                for step in way {
                    act(&world, &admin, account, id, *step).await.unwrap();
                }
                let found = app.find_account_token(&admin, account, id).await.unwrap();
                assert_eq!(found.status(), status);
                let allowed = what.of(found.actions());
                let done = act(&world, &admin, account, id, what).await;
                match &done {
                    Ok(_) => assert!(allowed, "{what:?} of {status}"),
                    Err(code) => {
                        assert!(!allowed, "{what:?} of {status}");
                        assert_eq!(*code, Code::InvalidAction);
                    }
                }
                let found = app.find_account_token(&admin, account, id).await;
                if what == Act::Delete && allowed {
                    assert_eq!(code(found), Code::NotFound);
                    for again in ACTS {
                        let gone = act(&world, &admin, account, id, again).await;
                        assert_eq!(gone.unwrap_err(), Code::NotFound);
                    }
                } else {
                    let found = found.unwrap();
                    let expected = done.as_ref().map_or(status, AccountToken::status);
                    assert_eq!(found.status(), expected);
                }
                // Room for the next, within the limit of the service account.
                let _ = act(&world, &admin, account, id, Act::End).await;
            }
        }
    }
    let events = world.events(account).await;
    assert_eq!(
        events.iter().filter(|it| **it == "token.deleted").count(),
        2
    );
}

async fn a_service_accounts_tokens_are_there_too(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let account = world.account;
    let at = environment(&world, "prod").await;
    let mut new = service_account("billing", "a");
    new.environment_id = Some(at);
    let made = world.make(new).await;
    let found = app
        .find_account_token(&admin, account, made.primary)
        .await
        .unwrap();
    assert_eq!(found.environment(), Some(at));
    assert_eq!(found.owner.as_ref().unwrap().id, made.id);
    let inherits = NewToken {
        grant: Grant::Inherit,
        ..token("")
    };
    let issued = app
        .issue_token(&call(&admin), account, made.id, inherits)
        .await
        .unwrap();
    let found = app
        .find_account_token(&admin, account, issued.record.it.id)
        .await
        .unwrap();
    assert_eq!(found.record.it.scopes, scopes("a"));
    // Keys are no tokens.
    let key = world.key(made.id, "a").await;
    let missing = app.find_account_token(&admin, account, key.id).await;
    assert_eq!(code(missing), Code::NotFound);
    for what in ACTS {
        let missing = act(&world, &admin, account, key.id, what).await;
        assert_eq!(missing.unwrap_err(), Code::NotFound);
    }
    let text = issued.secret.unwrap().reveal().to_owned();
    act(&world, &admin, account, issued.record.it.id, Act::Suspend)
        .await
        .unwrap();
    assert!(!world.is_live(&text).await && world.is_live(&made.token).await);
}

async fn a_revoked_service_accounts_token_may_only_be_deleted(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let account = world.account;
    let made = world.make(service_account("billing", "a")).await;
    app.revoke_service_account(&call(&admin), account, made.id, Because::default())
        .await
        .unwrap();
    let found = app
        .find_account_token(&admin, account, made.primary)
        .await
        .unwrap();
    assert_eq!(found.status(), "revoked");
    for what in [Act::Suspend, Act::Activate, Act::End] {
        assert!(!what.of(found.actions()));
        let refused = act(&world, &admin, account, made.primary, what).await;
        assert_eq!(refused.unwrap_err(), Code::InvalidAction, "{what:?}");
    }
    assert!(found.actions().delete);
    let deleted = act(&world, &admin, account, made.primary, Act::Delete).await;
    assert_eq!(deleted.unwrap().status(), "revoked");
}

async fn pages_are_sorted_and_counted(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let account = world.account;
    let mut made = Vec::new();
    for days in [3, 1, 2] {
        world.advance(SECOND);
        let new = NewToken {
            expiry: ExpiryRequest::At(app.now().plus(days * DAY)),
            ..jwt("")
        };
        made.push(direct(&world, None, new).await.0.record.it.id);
    }
    world.advance(SECOND);
    let owner = world.make(service_account("billing", "")).await;
    world.key(owner.id, "").await;
    world.advance(SECOND);
    act(&world, &admin, account, made[1], Act::Suspend)
        .await
        .unwrap();
    let page = async |sort, descending, offset, limit| {
        let (found, total) = app
            .page_account_tokens(&admin, account, sort, descending, offset, limit)
            .await
            .unwrap();
        let ids: Vec<CredentialId> = found.iter().map(|it| it.record.it.id).collect();
        (ids, total)
    };
    // The bootstrap token is the oldest; keys are not among them.
    let (all, total) = page(TokenSort::CreatedAt, false, 0, 100).await;
    assert_eq!(total, 5);
    assert_eq!(all[1..], [made[0], made[1], made[2], owner.primary]);
    let bootstrap = all[0];
    let (descending, _) = page(TokenSort::CreatedAt, true, 0, 100).await;
    let mut reversed = descending.clone();
    reversed.reverse();
    assert_eq!(reversed, all);
    for offset in 0..=6 {
        let (some, total) = page(TokenSort::CreatedAt, false, offset as u64, 2).await;
        assert_eq!(total, 5);
        let expected: Vec<_> = all.iter().skip(offset).take(2).copied().collect();
        assert_eq!(some, expected);
    }
    assert!(
        page(TokenSort::CreatedAt, false, u64::MAX, 2)
            .await
            .0
            .is_empty()
    );
    let (by_end, _) = page(TokenSort::ExpiresAt, false, 0, 100).await;
    assert_eq!(
        by_end,
        [made[1], made[2], made[0], bootstrap, owner.primary],
        "without an end last"
    );
    let (by_update, _) = page(TokenSort::UpdatedAt, true, 0, 2).await;
    assert_eq!(by_update, [made[1], owner.primary]);
    let (by_status, _) = page(TokenSort::Status, true, 0, 1).await;
    assert_eq!(by_status, [made[1]]);
    act(&world, &admin, account, made[1], Act::End)
        .await
        .unwrap();
    assert_eq!(page(TokenSort::Status, true, 0, 9).await.1, 5);
    act(&world, &admin, account, made[1], Act::Delete)
        .await
        .unwrap();
    let (left, total) = page(TokenSort::Status, true, 0, 9).await;
    assert!(total == 4 && !left.contains(&made[1]));
    // The native list still has it.
    let native = app
        .list_direct_tokens(
            &admin,
            account,
            true,
            symbolon_app::PageRequest {
                after: None,
                limit: 9,
            },
        )
        .await
        .unwrap();
    assert!(native.items.iter().any(|it| it.it.id == made[1]));
}

async fn a_jwt_replaces_itself(world: World) {
    let app = world.app();
    let (made, text) = direct(&world, None, jwt("a")).await;
    let actor = world.actor(&text).await.unwrap();
    let by = keyed(&actor, "self_rotate", "k", "body");
    let rotated = app.rotate_self(&by, Rotation::default()).await.unwrap();
    let next = rotated.secret.unwrap().reveal().to_owned();
    assert_eq!(rotated.record.it.kind, CredentialKind::Jwt);
    assert_eq!(rotated.record.it.family_id, made.record.it.family_id);
    assert!(world.is_live(&next).await && !world.is_live(&text).await);
    let again = app
        .authenticate(&bearer(&text), Default::default(), Some("k"))
        .await
        .unwrap();
    let by = keyed(&again, "self_rotate", "k", "body");
    let repeated = app.rotate_self(&by, Rotation::default()).await.unwrap();
    assert_eq!(repeated.secret.unwrap().reveal(), next);
    let other = keyed(&again, "suspend", "k", "body");
    let refused = app
        .suspend_account_token(&other, world.account, made.record.it.id)
        .await;
    assert_eq!(code(refused), Code::Unauthenticated);
}

async fn a_repeated_create_or_action_is_the_same(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let account = world.account;
    let by = keyed(&admin, "create", "k", "body");
    let make = async || {
        app.issue_direct_token(&by, account, None, jwt("a"))
            .await
            .unwrap()
    };
    let (first, again) = (make().await, make().await);
    assert!(!first.replayed && again.replayed);
    assert_eq!(first.record.record.it, again.record.record.it);
    let text = first.secret.unwrap().reveal().to_owned();
    assert_eq!(again.secret.unwrap().reveal(), text);
    let id = first.record.record.it.id;
    for (operation, what) in [("suspend", 0), ("end", 1), ("delete", 2)] {
        let by = keyed(&admin, operation, "k", "body");
        for replayed in [false, true] {
            let done = match what {
                0 => app.suspend_account_token(&by, account, id).await,
                1 => app.end_account_token(&by, account, id).await,
                _ => app.delete_account_token(&by, account, id).await,
            };
            assert_eq!(done.unwrap().replayed, replayed, "{operation}");
        }
    }
}
