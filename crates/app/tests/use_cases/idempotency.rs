//! An `Idempotency-Key`: done once, answered the same, and nobody's way to a secret that is not theirs.

use crate::harness::*;
use symbolon_app::{Actor, App, Error};
use symbolon_domain::Code;
use symbolon_domain::issue::Rotation;
use symbolon_domain::retire::Because;

on_both!(
    a_repeat_gets_the_same_answer_for_ten_minutes,
    fifty_racing_repeats_make_one,
    another_body_is_another_request,
    a_refusal_is_not_remembered,
    a_dead_ones_secret_is_not_told_again,
    one_who_has_lost_the_right_gets_no_secret,
    one_whose_reach_has_shrunk_gets_nothing,
    a_narrowed_access_token_gets_no_secret_that_it_could_not_make,
    a_lost_answer_to_a_self_rotation_costs_nobody_the_token,
    a_replay_serves_nobody_else,
    a_replay_ends_with_those_it_belongs_to,
);

fn secret<T>(revealed: &symbolon_app::Revealed<T>) -> Option<String> {
    revealed.secret.as_ref().map(|it| it.reveal().to_owned())
}

async fn a_repeat_gets_the_same_answer_for_ten_minutes(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let by = keyed(&admin, "create", "k", "body");
    let new = || with_contact("billing", "ops@example.com");
    let first = app
        .create_service_account(&by, world.account, new())
        .await
        .unwrap();
    assert!(!first.replayed);
    world.advance(10 * MINUTE - TICK);
    let again = app
        .create_service_account(&by, world.account, new())
        .await
        .unwrap();
    assert!(again.replayed);
    assert_eq!(again.record.it, first.record.it);
    assert_eq!(secret(&again), secret(&first));
    world.advance(TICK);
    let late = app
        .create_service_account(&by, world.account, new())
        .await
        .unwrap();
    assert!(late.replayed && late.secret.is_none());
    assert_eq!(late.record.it.id, first.record.it.id);
    assert_eq!(world.mail().await.len(), 1);
    world.advance(DAY);
    let anew = app
        .create_service_account(&by, world.account, new())
        .await
        .unwrap();
    assert!(!anew.replayed && anew.record.it.id != first.record.it.id);
}

async fn fifty_racing_repeats_make_one(world: World) {
    let admin = world.admin().await;
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (app, admin, account) = (world.app().clone(), admin.clone(), world.account);
        racers.spawn(async move {
            let by = keyed(&admin, "create", "k", "body");
            let made = app
                .create_service_account(&by, account, service_account("billing", ""))
                .await
                .unwrap();
            (made.replayed, made.record.it.id, secret(&made))
        });
    }
    let answers = racers.join_all().await;
    assert_eq!(answers.iter().filter(|it| !it.0).count(), 1);
    assert!(
        answers
            .iter()
            .all(|it| it.1 == answers[0].1 && it.2 == answers[0].2)
    );
}

async fn another_body_is_another_request(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let make = async |key: &str, body: &str| {
        let by = keyed(&admin, "create", key, body);
        app.create_service_account(&by, world.account, service_account("billing", ""))
            .await
    };
    make("k", "one").await.unwrap();
    assert_eq!(code(make("k", "two").await), Code::IdempotencyKeyReused);
    assert!(!make("l", "two").await.unwrap().replayed);
}

async fn a_refusal_is_not_remembered(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(service_account("billing", "")).await;
    let by = keyed(&admin, "rotate", "k", "body");
    app.suspend_service_account(&call(&admin), world.account, made.id, Because::default())
        .await
        .unwrap();
    let refused = app
        .rotate_service_account(&by, world.account, made.id, Rotation::default())
        .await;
    assert_eq!(code(refused), Code::ServiceAccountSuspended);
    app.activate_service_account(&call(&admin), world.account, made.id, Because::default())
        .await
        .unwrap();
    let rotated = app
        .rotate_service_account(&by, world.account, made.id, Rotation::default())
        .await
        .unwrap();
    assert!(!rotated.replayed);
}

async fn a_dead_ones_secret_is_not_told_again(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    for end in 0..4 {
        let by = keyed(&admin, "create", ["a", "b", "c", "d"][end], "body");
        let mut new = service_account("billing", "");
        new.expiry = symbolon_domain::account::ExpiryRequest::At(app.now().plus(MINUTE));
        let made = app
            .create_service_account(&by, world.account, new.clone())
            .await
            .unwrap();
        let (id, primary) = (made.record.it.id, made.record.primary.unwrap().id);
        let (account, because) = (world.account, Because::default());
        match end {
            0 => drop(
                app.revoke_token(&call(&admin), account, id, primary, because)
                    .await
                    .unwrap(),
            ),
            1 => drop(
                app.revoke_service_account(&call(&admin), account, id, because)
                    .await
                    .unwrap(),
            ),
            2 => drop(
                app.suspend_service_account(&call(&admin), account, id, because)
                    .await
                    .unwrap(),
            ),
            _ => world.advance(MINUTE),
        }
        let again = app.create_service_account(&by, account, new).await.unwrap();
        assert!(again.replayed && again.secret.is_none(), "{end}");
    }
}

async fn one_who_has_lost_the_right_gets_no_secret(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let granted = "symbolon:service-accounts:write symbolon:events:read";
    let (_, text, own) = world.holder_of(granted).await;
    let actor = world.actor(&text).await.unwrap();
    let new = || service_account("reader", "symbolon:events:read");
    let by = keyed(&actor, "create", "k", "body");
    app.create_service_account(&by, world.account, new())
        .await
        .unwrap();
    let less = symbolon_domain::issue::ServiceAccountPatch {
        scopes: Some(scopes("symbolon:service-accounts:write")),
        ..Default::default()
    };
    app.update_service_account(&call(&admin), world.account, own.id, less, None)
        .await
        .unwrap();
    let actor = world.actor(&text).await.unwrap();
    let by = keyed(&actor, "create", "k", "body");
    let again = app
        .create_service_account(&by, world.account, new())
        .await
        .unwrap();
    assert!(again.replayed && again.secret.is_none());
}

async fn enter(app: &App, token: &str, key: Option<&str>) -> Result<Actor, Error> {
    app.authenticate(&bearer(token), Default::default(), key)
        .await
}

async fn a_lost_answer_to_a_self_rotation_costs_nobody_the_token(world: World) {
    let app = world.app();
    let (actor, first, _) = world.holder_of("").await;
    let by = keyed(&actor, "self_rotate", "k", "body");
    let rotated = app.rotate_self(&by, Rotation::default()).await.unwrap();
    let second = secret(&rotated).unwrap();
    world.advance(10 * MINUTE - TICK);
    // Without the key, or with another one: nobody.
    for key in [None, Some("l")] {
        assert_eq!(code(enter(app, &first, key).await), Code::Unauthenticated);
    }
    let actor = enter(app, &first, Some("k")).await.unwrap();
    let again = app
        .rotate_self(
            &keyed(&actor, "self_rotate", "k", "body"),
            Rotation::default(),
        )
        .await
        .unwrap();
    assert!(again.replayed);
    assert_eq!(secret(&again).unwrap(), second);
    // The identical request, and nothing else.
    let by = keyed(&actor, "self_rotate", "k", "another body");
    assert_eq!(
        code(app.rotate_self(&by, Rotation::default()).await),
        Code::Unauthenticated
    );
    assert_eq!(
        code(app.rotate_self(&call(&actor), Rotation::default()).await),
        Code::Unauthenticated
    );
    let by = keyed(&actor, "self_revoke", "k", "body");
    assert_eq!(
        code(app.revoke_self(&by, Because::default()).await),
        Code::Unauthenticated
    );
    assert_eq!(code(app.whoami(&actor).await), Code::Unauthenticated);
    assert_eq!(
        code(app.find_account(&actor, world.account).await),
        Code::Unauthenticated
    );
    let by = keyed(&actor, "create", "k", "body");
    let refused = app
        .create_service_account(&by, world.account, service_account("x", ""))
        .await;
    assert_eq!(code(refused), Code::Unauthenticated);
    assert!(world.is_live(&second).await);
    world.advance(TICK);
    assert_eq!(
        code(enter(app, &first, Some("k")).await),
        Code::Unauthenticated
    );
}

async fn one_whose_reach_has_shrunk_gets_nothing(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let (actor, token, made) = world.holder_of("symbolon:admin").await;
    let new = || with_contact("billing", "ops@example.com");
    let by = keyed(&actor, "create", "k", "body");
    app.create_service_account(&by, world.account, new())
        .await
        .unwrap();
    let environment = app
        .create_environment(&call(&admin), world.account, name("prod"))
        .await
        .unwrap()
        .record;
    let patch = symbolon_domain::issue::ServiceAccountPatch {
        environment_id: Some(Some(environment.id)),
        ..Default::default()
    };
    app.update_service_account(&call(&admin), world.account, made.id, patch, None)
        .await
        .unwrap();
    let bound = world.actor(&token).await.unwrap();
    let by = keyed(&bound, "create", "k", "body");
    let again = app.create_service_account(&by, world.account, new()).await;
    assert_eq!(code(again), Code::NotFound);
}

async fn a_narrowed_access_token_gets_no_secret_that_it_could_not_make(world: World) {
    let app = world.app();
    let granted = "symbolon:service-accounts:write symbolon:tokens:write";
    let owner = world.make(service_account("maker", granted)).await;
    let key = world.key(owner.id, granted).await;
    let exchange = async |wanted: &str| {
        let asked = crate::asked::Asked {
            scopes: Some(scopes(wanted)),
            ..crate::asked::Asked::by(&world, &key)
        };
        let token = asked.send(&world).await.unwrap().token;
        world.actor(token.reveal()).await.unwrap()
    };
    let new = || service_account("made", "invoices:read");
    let wide = exchange(granted).await;
    let by = keyed(&wide, "create", "k", "body");
    let first = app
        .create_service_account(&by, world.account, new())
        .await
        .unwrap();
    let narrow = exchange("symbolon:service-accounts:write").await;
    let by = keyed(&narrow, "create", "k", "body");
    let again = app
        .create_service_account(&by, world.account, new())
        .await
        .unwrap();
    assert!(again.replayed && again.secret.is_none());
    let by = keyed(&wide, "create", "k", "body");
    let again = app
        .create_service_account(&by, world.account, new())
        .await
        .unwrap();
    assert_eq!(secret(&again), secret(&first));
}

async fn a_replay_serves_nobody_else(world: World) {
    let app = world.app();
    let (actor, first, _) = world.holder_of("").await;
    let by = keyed(&actor, "self_rotate", "k", "body");
    app.rotate_self(&by, Rotation::default()).await.unwrap();
    // Another rotated credential that happens on the same key.
    let (stranger, strange, made) = world.holder_of("").await;
    let admin = world.admin().await;
    app.rotate_service_account(&call(&admin), world.account, made.id, Rotation::default())
        .await
        .unwrap();
    assert_eq!(
        code(enter(app, &strange, Some("k")).await),
        Code::Unauthenticated
    );
    // One that is still live claims the key for itself.
    drop(stranger);
    let (live, _, _) = world.holder_of("").await;
    let own = app
        .rotate_self(
            &keyed(&live, "self_rotate", "k", "body"),
            Rotation::default(),
        )
        .await
        .unwrap();
    assert!(!own.replayed);
    // A revoked one repeats nothing.
    let (revoked, text, _) = world.holder_of("").await;
    app.revoke_self(
        &keyed(&revoked, "self_revoke", "k", "body"),
        Because::default(),
    )
    .await
    .unwrap();
    assert_eq!(
        code(enter(app, &text, Some("k")).await),
        Code::Unauthenticated
    );
    assert!(enter(app, &first, Some("k")).await.is_ok());
}

async fn a_replay_ends_with_those_it_belongs_to(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let (actor, first, made) = world.holder_of("").await;
    let by = keyed(&actor, "self_rotate", "k", "body");
    app.rotate_self(&by, Rotation::default()).await.unwrap();
    app.suspend_service_account(&call(&admin), world.account, made.id, Because::default())
        .await
        .unwrap();
    assert_eq!(
        code(enter(app, &first, Some("k")).await),
        Code::Unauthenticated
    );
    app.activate_service_account(&call(&admin), world.account, made.id, Because::default())
        .await
        .unwrap();
    assert!(enter(app, &first, Some("k")).await.is_ok());
    app.revoke_service_account(&call(&admin), world.account, made.id, Because::default())
        .await
        .unwrap();
    assert_eq!(
        code(enter(app, &first, Some("k")).await),
        Code::Unauthenticated
    );
}
