//! Numbers for dialects that want integers: they grow, stay, and are never used again.

use crate::harness::*;
use symbolon_domain::account::AccountPatch;
use symbolon_domain::issue::NewServiceAccount;
use symbolon_domain::retire::Because;
use symbolon_domain::{Code, ServiceAccountId};

on_both!(
    numbers_grow_and_stay,
    numbers_find_what_is_in_force,
    a_number_is_never_used_again,
    anothers_numbers_are_nothings,
);

async fn number(world: &World, id: uuid::Uuid) -> i64 {
    world.app().numbers(&[id]).await.unwrap()[&id]
}

async fn numbers_grow_and_stay(world: World) {
    let app = world.app();
    let mut last = 0;
    let mut all = Vec::new();
    for _ in 0..3 {
        let made = world.make(service_account("billing", "")).await;
        for id in [made.id.0, made.primary.0] {
            let number = number(&world, id).await;
            assert!(number > last, "{number} after {last}");
            last = number;
            all.push((id, number));
        }
    }
    let ids: Vec<_> = all.iter().map(|it| it.0).collect();
    let again = app.numbers(&ids).await.unwrap();
    assert!(all.iter().all(|(id, number)| again[id] == *number));
    assert!(app.numbers(&[]).await.unwrap().is_empty());
}

async fn numbers_find_what_is_in_force(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let account = world.account;
    let made = world.make(service_account("billing", "a")).await;
    let other = world.make(service_account("other", "")).await;
    let of = number(&world, made.id.0).await;
    let token = number(&world, made.primary.0).await;
    let found = app.service_account_of_number(&admin, account, of).await;
    let found = found.unwrap();
    assert_eq!(found.it.id, made.id);
    assert_eq!(found.primary.unwrap().id, made.primary);
    let found = app
        .token_of_number(&admin, account, made.id, token)
        .await
        .unwrap();
    assert_eq!(found.it.id, made.primary);
    let missing = async |number| {
        code(app.service_account_of_number(&admin, account, number).await) == Code::NotFound
    };
    for number in [token, 0, -1, i64::MAX, i64::MIN, token + 1000] {
        assert!(missing(number).await, "{number}");
    }
    for (owner, number) in [
        (made.id, of),
        (made.id, 0),
        (other.id, token),
        (ServiceAccountId(uuid::Uuid::nil()), token),
    ] {
        let missing = app.token_of_number(&admin, account, owner, number).await;
        assert_eq!(code(missing), Code::NotFound, "{number}");
    }
    // Whoever may change them may find them.
    let (writer, _, _) = world.holder_of("symbolon:tokens:write").await;
    app.service_account_of_number(&writer, account, of)
        .await
        .unwrap();
    let (nobody, _, _) = world.holder_of("symbolon:events:read a").await;
    let refused = app.service_account_of_number(&nobody, account, of).await;
    assert_eq!(code(refused), Code::PermissionMissing);
    let refused = app.token_of_number(&nobody, account, made.id, token).await;
    assert_eq!(code(refused), Code::PermissionMissing);
    // Suspended ones are in force; revoked and deleted ones are not.
    let by = call(&admin);
    app.suspend_service_account(&by, account, made.id, Because::default())
        .await
        .unwrap();
    app.service_account_of_number(&admin, account, of)
        .await
        .unwrap();
    app.end_account_token(&by, account, made.primary)
        .await
        .unwrap();
    let gone = app.token_of_number(&admin, account, made.id, token).await;
    assert_eq!(code(gone), Code::NotFound);
    app.revoke_service_account(&by, account, made.id, Because::default())
        .await
        .unwrap();
    assert!(missing(of).await);
    app.revoke_service_account(&by, account, other.id, Because::default())
        .await
        .unwrap();
    let others = number(&world, other.primary.0).await;
    let gone = app.token_of_number(&admin, account, other.id, others).await;
    assert_eq!(code(gone), Code::NotFound, "revoked with its owner");
}

async fn a_number_is_never_used_again(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(service_account("billing", "")).await;
    let last = number(&world, made.primary.0).await;
    app.revoke_service_account(&call(&admin), world.account, made.id, Because::default())
        .await
        .unwrap();
    world.advance(500 * DAY);
    while app.purge_page().await.unwrap() > 0 {}
    let gone = app.store().id_of_number(last).await.unwrap();
    assert_eq!(gone, None);
    let operator = symbolon_app::Actor::operator_cli();
    let new = NewServiceAccount {
        first_token: false,
        ..service_account("next", "")
    };
    let next = app
        .create_service_account(&call(&operator), world.account, new)
        .await
        .unwrap();
    assert!(number(&world, next.record.it.id.0).await > last);
}

async fn anothers_numbers_are_nothings(world: World) {
    let app = world.app();
    let operator = world.admin().await;
    let theirs = app
        .create_account(&call(&operator), name("Theirs"), AccountPatch::default())
        .await
        .unwrap()
        .record
        .id;
    let made = world.make_in(theirs, service_account("billing", "")).await;
    let of = number(&world, made.id.0).await;
    let token = number(&world, made.primary.0).await;
    let (admin, _, _) = world.holder_of("symbolon:admin").await;
    for account in [theirs, world.account] {
        let missing = app.service_account_of_number(&admin, account, of).await;
        assert_eq!(code(missing), Code::NotFound);
        let missing = app.token_of_number(&admin, account, made.id, token).await;
        assert_eq!(code(missing), Code::NotFound);
        let missing = app.find_key(&admin, account, made.id, "x").await;
        assert_eq!(code(missing), Code::NotFound);
    }
    let missing = app.all_service_accounts(&admin, theirs).await;
    assert_eq!(code(missing), Code::NotFound);
    let missing = app.tokens_of(&admin, theirs, &[made.id]).await;
    assert_eq!(code(missing), Code::NotFound);
    for of in [vec![made.id], vec![made.id, made.id]] {
        let nothing = app.tokens_of(&admin, world.account, &of).await.unwrap();
        assert!(nothing.is_empty());
    }
    // Nor does one who sees an environment see beside it.
    let environment = app
        .create_environment(&call(&operator), world.account, name("prod"))
        .await
        .unwrap()
        .record
        .id;
    let mut new = service_account("inside", "symbolon:admin");
    new.environment_id = Some(environment);
    let inside = world.make(new).await;
    let beside = world.make(service_account("beside", "")).await;
    let bound = world.actor(&inside.token).await.unwrap();
    let of = number(&world, beside.id.0).await;
    let missing = app
        .service_account_of_number(&bound, world.account, of)
        .await;
    assert_eq!(code(missing), Code::NotFound);
    let all = app.all_service_accounts(&bound, world.account).await;
    let ids: Vec<_> = all.unwrap().iter().map(|it| it.it.id).collect();
    assert_eq!(ids, [inside.id]);
    for of in [vec![beside.id], vec![beside.id, inside.id]] {
        let seen = app.tokens_of(&bound, world.account, &of).await.unwrap();
        assert!(!seen.contains_key(&beside.id));
        assert_eq!(seen.len(), of.len() - 1);
    }
}
