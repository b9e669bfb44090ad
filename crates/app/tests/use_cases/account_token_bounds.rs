//! Nobody sees, changes or makes a token of an account beyond their reach and their rights.

use crate::account_tokens::*;
use crate::harness::*;
use symbolon_app::{Actor, TokenSort};
use symbolon_domain::account::AccountPatch;
use symbolon_domain::issue::{Grant, NewToken};
use symbolon_domain::{AccountId, Code, CredentialId, EnvironmentId, FieldCode};

on_both!(
    an_environments_actor_stays_in_it,
    nobody_mints_more_than_their_own,
    kinds_belong_to_their_owners,
    another_accounts_tokens_are_not_there,
);

async fn an_environments_actor_stays_in_it(world: World) {
    let app = world.app();
    let account = world.account;
    let (prod, test) = (
        environment(&world, "prod").await,
        environment(&world, "test").await,
    );
    let granted = "symbolon:tokens:read symbolon:tokens:write";
    let (own, text) = direct(&world, Some(prod), jwt(granted)).await;
    let (beside, _) = direct(&world, Some(test), jwt("")).await;
    let (above, _) = direct(&world, None, jwt("")).await;
    world.advance(SECOND);
    let mut new = service_account("inside", "");
    new.environment_id = Some(prod);
    let inside = world.make(new).await;
    let actor = world.actor(&text).await.unwrap();
    assert_eq!(actor.authority().reach.environment(), Some(prod));
    let (found, total) = app
        .page_account_tokens(&actor, account, TokenSort::CreatedAt, false, 0, 9)
        .await
        .unwrap();
    let ids: Vec<_> = found.iter().map(|it| it.record.it.id).collect();
    assert_eq!(ids, [own.record.it.id, inside.primary]);
    assert_eq!(total, 2);
    for outside in [&beside, &above] {
        let id = outside.record.it.id;
        let missing = app.find_account_token(&actor, account, id).await;
        assert_eq!(code(missing), Code::NotFound);
        for what in ACTS {
            let missing = act(&world, &actor, account, id, what).await;
            assert_eq!(missing.unwrap_err(), Code::NotFound);
        }
    }
    let issue = async |environment| {
        app.issue_direct_token(&call(&actor), account, environment, jwt(""))
            .await
    };
    let made = issue(Some(prod)).await.unwrap();
    assert_eq!(made.record.environment(), Some(prod));
    assert_eq!(code(issue(None).await), Code::ReachExceeded);
    assert_eq!(code(issue(Some(test)).await), Code::ReachExceeded);
    let events = app
        .list_events(
            &world.actor(&text).await.unwrap(),
            account,
            Default::default(),
            symbolon_app::PageRequest {
                after: None,
                limit: 9,
            },
        )
        .await;
    assert_eq!(code(events), Code::PermissionMissing);
}

async fn nobody_mints_more_than_their_own(world: World) {
    let app = world.app();
    let account = world.account;
    let (weak, _, _) = world
        .holder_of("symbolon:tokens:write symbolon:tokens:read")
        .await;
    let issue = async |actor: &Actor, environment, new| {
        app.issue_direct_token(&call(actor), account, environment, new)
            .await
            .map(drop)
    };
    for wanted in ["symbolon:admin", "symbolon:instance:*"] {
        let refused = issue(&weak, None, jwt(wanted)).await;
        assert_eq!(code(refused), Code::MintExceedsAuthority);
    }
    issue(&weak, None, jwt("a symbolon:tokens:read"))
        .await
        .unwrap();
    let (reader, _, _) = world.holder_of("symbolon:tokens:read").await;
    let refused = issue(&reader, None, jwt("")).await;
    assert_eq!(code(refused), Code::PermissionMissing);
    let inherits = NewToken {
        grant: Grant::Inherit,
        ..jwt("")
    };
    let refused = issue(&weak, None, inherits).await;
    assert_eq!(code(refused), Code::InvalidAction);
    let nowhere = EnvironmentId(uuid::Uuid::nil());
    let refused = issue(&weak, Some(nowhere), jwt("")).await.unwrap_err();
    let field = &refused.refusal().unwrap().fields[0];
    assert_eq!(field.code, FieldCode::NotFound);
    // Nor do they bring a stronger one back to life.
    let (strong, text) = direct(&world, None, jwt("symbolon:admin")).await;
    let id = strong.record.it.id;
    act(&world, &weak, account, id, Act::Suspend).await.unwrap();
    let refused = act(&world, &weak, account, id, Act::Activate).await;
    assert_eq!(refused.unwrap_err(), Code::MintExceedsAuthority);
    assert!(!world.is_live(&text).await);
    let refused = act(&world, &reader, account, id, Act::End).await;
    assert_eq!(refused.unwrap_err(), Code::PermissionMissing);
}

async fn another_accounts_tokens_are_not_there(world: World) {
    let app = world.app();
    let operator = world.admin().await;
    let theirs = app
        .create_account(&call(&operator), name("Theirs"), AccountPatch::default())
        .await
        .unwrap()
        .record
        .id;
    let made = app
        .issue_direct_token(&call(&operator), theirs, None, jwt("a"))
        .await
        .unwrap();
    let text = made.secret.unwrap().reveal().to_owned();
    let owned = world.make_in(theirs, service_account("billing", "")).await;
    let (admin, _, _) = world.holder_of("symbolon:admin").await;
    let nil = uuid::Uuid::nil();
    let real = [made.record.record.it.id, owned.primary];
    for (account, ids) in [
        (theirs, real),
        (world.account, real),
        (AccountId(nil), [CredentialId(nil); 2]),
        (world.account, [CredentialId(nil); 2]),
    ] {
        for id in ids {
            let missing = app.find_account_token(&admin, account, id).await;
            assert_eq!(code(missing), Code::NotFound);
            for what in ACTS {
                let missing = act(&world, &admin, account, id, what).await;
                assert_eq!(missing.unwrap_err(), Code::NotFound);
            }
        }
    }
    for account in [theirs, AccountId(nil)] {
        let missing = app
            .page_account_tokens(&admin, account, TokenSort::Status, true, 0, 9)
            .await;
        assert_eq!(code(missing), Code::NotFound);
        let refused = app
            .issue_direct_token(&call(&admin), account, None, jwt(""))
            .await;
        assert_eq!(code(refused), Code::NotFound);
    }
    assert!(world.is_live(&text).await);
}

async fn kinds_belong_to_their_owners(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(service_account("billing", "")).await;
    let refused = app
        .issue_token(&call(&admin), world.account, made.id, jwt(""))
        .await;
    assert_eq!(code(refused), Code::InvalidAction);
    let refused = app
        .issue_direct_token(&call(&admin), world.account, None, key(""))
        .await;
    assert_eq!(code(refused), Code::InvalidAction);
    let opaque = app
        .issue_direct_token(&call(&admin), world.account, None, token("a"))
        .await
        .unwrap();
    assert!(world.is_live(opaque.secret.unwrap().reveal()).await);
}
