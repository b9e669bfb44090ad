//! Rotations: what becomes of the old token, and how long the new one lives.

use crate::harness::*;
use std::time::Duration;
use symbolon_app::{App, CredentialRecord, Revealed, ServiceAccountRecord};
use symbolon_domain::account::{AccountPatch, ExpiryRequest};
use symbolon_domain::issue::{NewToken, Rotation};
use symbolon_domain::retire::Because;
use symbolon_domain::{Code, FieldCode, Timestamp};

on_both!(
    one_grace_at_a_time,
    grace_is_bounded_by_a_month_and_by_the_old_expiry,
    the_new_expiry_is_asked_for_or_inherited,
    a_policy_refuses_and_never_clamps,
    what_is_not_in_force_does_not_rotate,
    a_further_token_rotates_by_itself,
    racing_rotations_leave_one_live_token,
    whoever_holds_a_token_may_rotate_and_revoke_it,
    a_token_of_the_future_stays_one,
);

async fn rotate(
    world: &World,
    made: &Made,
    rotation: Rotation,
) -> Result<Revealed<ServiceAccountRecord>, symbolon_app::Error> {
    let admin = world.admin().await;
    let app: &App = world.app();
    app.rotate_service_account(&call(&admin), world.account, made.id, rotation)
        .await
}

fn text<T>(revealed: Revealed<T>) -> String {
    revealed.secret.unwrap().reveal().to_owned()
}

fn ends(revealed: &Revealed<ServiceAccountRecord>) -> Option<Timestamp> {
    revealed.record.primary.as_ref().unwrap().expires_at
}

async fn one_grace_at_a_time(world: World) {
    let made = world.make(service_account("billing", "")).await;
    let second = text(rotate(&world, &made, grace(HOUR)).await.unwrap());
    assert_eq!(
        code(rotate(&world, &made, grace(HOUR)).await),
        Code::RotationInProgress
    );
    assert!(world.is_live(&made.token).await);
    // Without grace it ends all predecessors.
    let third = text(rotate(&world, &made, Rotation::default()).await.unwrap());
    assert!(!world.is_live(&made.token).await && !world.is_live(&second).await);
    assert!(world.is_live(&third).await);
    // Once the grace is over, the next may begin; not a microsecond earlier.
    let fourth = text(rotate(&world, &made, grace(HOUR)).await.unwrap());
    world.advance(HOUR - TICK);
    assert_eq!(
        code(rotate(&world, &made, grace(HOUR)).await),
        Code::RotationInProgress
    );
    world.advance(TICK);
    rotate(&world, &made, grace(HOUR)).await.unwrap();
    assert!(!world.is_live(&third).await && world.is_live(&fourth).await);
}

async fn grace_is_bounded_by_a_month_and_by_the_old_expiry(world: World) {
    let made = world.make(service_account("billing", "")).await;
    let refused = rotate(&world, &made, grace(30 * DAY + TICK))
        .await
        .unwrap_err();
    let field = &refused.refusal().unwrap().fields[0];
    assert_eq!(
        (field.pointer.as_str(), &field.code),
        ("/grace", &FieldCode::BeyondLimit { max: "30d".into() })
    );
    rotate(&world, &made, grace(30 * DAY)).await.unwrap();

    let mut new = service_account("short", "");
    new.expiry = ExpiryRequest::At(world.app().now().plus(HOUR));
    let short = world.make(new).await;
    world.advance(MINUTE);
    let next = text(rotate(&world, &short, grace(DAY)).await.unwrap());
    world.advance(HOUR - MINUTE - TICK);
    assert!(world.is_live(&short.token).await);
    world.advance(TICK);
    assert!(!world.is_live(&short.token).await && world.is_live(&next).await);
}

async fn the_new_expiry_is_asked_for_or_inherited(world: World) {
    let mut new = service_account("billing", "");
    new.expiry = ExpiryRequest::At(world.app().now().plus(10 * DAY));
    let made = world.make(new).await;
    world.advance(3 * DAY);
    let now = world.app().now();
    let inherited = rotate(&world, &made, Rotation::default()).await.unwrap();
    assert_eq!(ends(&inherited), Some(now.plus(10 * DAY)));
    let asked = Rotation {
        expiry: ExpiryRequest::At(now.plus(HOUR)),
        ..Rotation::default()
    };
    let rotated = rotate(&world, &made, asked).await.unwrap();
    assert_eq!(ends(&rotated), Some(now.plus(HOUR)));
    let rotated = rotate(&world, &made, Rotation::default()).await.unwrap();
    assert_eq!(ends(&rotated), Some(now.plus(HOUR)));
    let past = Rotation {
        expiry: ExpiryRequest::At(now),
        ..Rotation::default()
    };
    let refused = rotate(&world, &made, past).await.unwrap_err();
    assert_eq!(
        refused.refusal().unwrap().fields[0].code,
        FieldCode::NotInFuture
    );

    let eternal = world.make(service_account("eternal", "")).await;
    assert_eq!(
        ends(&rotate(&world, &eternal, Rotation::default()).await.unwrap()),
        None
    );
}

async fn policy(world: &World, patch: AccountPatch) {
    let admin = world.admin().await;
    world
        .app()
        .update_account(&call(&admin), world.account, patch, None)
        .await
        .unwrap();
}

async fn a_policy_refuses_and_never_clamps(world: World) {
    let mut new = service_account("long", "");
    new.expiry = ExpiryRequest::At(world.app().now().plus(100 * DAY));
    let long = world.make(new).await;
    let eternal = world.make(service_account("eternal", "")).await;
    policy(
        &world,
        AccountPatch {
            max_lifetime: Some(Some(90 * DAY)),
            ..AccountPatch::default()
        },
    )
    .await;
    let refused = rotate(&world, &long, Rotation::default())
        .await
        .unwrap_err();
    assert_eq!(
        refused.refusal().unwrap().fields[0].code,
        FieldCode::BeyondPolicy { max: "90d".into() }
    );
    assert!(world.is_live(&long.token).await, "a refusal ends nothing");
    let now = world.app().now();
    let at = |span: Duration| Rotation {
        expiry: ExpiryRequest::At(now.plus(span)),
        ..Rotation::default()
    };
    assert_eq!(
        code(rotate(&world, &long, at(90 * DAY + TICK)).await),
        Code::ValidationFailed
    );
    rotate(&world, &long, at(90 * DAY)).await.unwrap();
    // One without an end gets the longest that there is.
    let rotated = rotate(&world, &eternal, Rotation::default()).await.unwrap();
    assert_eq!(ends(&rotated), Some(now.plus(90 * DAY)));
}

async fn what_is_not_in_force_does_not_rotate(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(service_account("billing", "")).await;
    app.suspend_service_account(&call(&admin), world.account, made.id, Because::default())
        .await
        .unwrap();
    assert_eq!(
        code(rotate(&world, &made, Rotation::default()).await),
        Code::ServiceAccountSuspended
    );
    app.activate_service_account(&call(&admin), world.account, made.id, Because::default())
        .await
        .unwrap();
    app.suspend_token(
        &call(&admin),
        world.account,
        made.id,
        made.primary,
        Because::default(),
    )
    .await
    .unwrap();
    assert_eq!(
        code(rotate(&world, &made, Rotation::default()).await),
        Code::TokenSuspended
    );
    app.revoke_token(
        &call(&admin),
        world.account,
        made.id,
        made.primary,
        Because::default(),
    )
    .await
    .unwrap();
    // What was revoked stays so; the service account gets a primary token anew.
    let anew = rotate(&world, &made, Rotation::default()).await.unwrap();
    let primary = anew.record.primary.unwrap();
    assert!(primary.is_primary && primary.id != made.primary && !primary.is_revoked());
    assert_eq!(primary.scopes, anew.record.it.scopes);
    let old = app
        .find_token(&admin, world.account, made.id, made.primary)
        .await
        .unwrap();
    assert!(old.it.is_revoked() && !old.it.is_primary);
    app.revoke_service_account(&call(&admin), world.account, made.id, Because::default())
        .await
        .unwrap();
    assert_eq!(
        code(rotate(&world, &made, Rotation::default()).await),
        Code::ServiceAccountRevoked
    );
}

async fn issue(world: &World, made: &Made, new: NewToken) -> Revealed<CredentialRecord> {
    let admin = world.admin().await;
    world
        .app()
        .issue_token(&call(&admin), world.account, made.id, new)
        .await
        .unwrap()
}

async fn a_further_token_rotates_by_itself(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(service_account("billing", "a:b")).await;
    let further = issue(&world, &made, token("a:b")).await;
    let id = further.record.it.id;
    let old = text(further);
    let rotated = app
        .rotate_token(&call(&admin), world.account, made.id, id, grace(HOUR))
        .await
        .unwrap();
    let it = &rotated.record.it;
    assert!(!it.is_primary && it.family_id == id && it.scopes == scopes("a:b"));
    let again = app
        .rotate_token(
            &call(&admin),
            world.account,
            made.id,
            id,
            Rotation::default(),
        )
        .await;
    assert_eq!(
        code(again),
        Code::RotationInProgress,
        "a retiring one is on its way out"
    );
    let new = text(rotated);
    assert!(
        world.is_live(&old).await && world.is_live(&new).await && world.is_live(&made.token).await
    );
    // The other family's grace hinders nobody.
    rotate(&world, &made, grace(HOUR)).await.unwrap();
}

async fn racing_rotations_leave_one_live_token(world: World) {
    let made = world.make(service_account("billing", "")).await;
    let admin = world.admin().await;
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (app, admin, account, id) =
            (world.app().clone(), admin.clone(), world.account, made.id);
        racers.spawn(async move {
            let rotated = app
                .rotate_service_account(&call(&admin), account, id, Rotation::default())
                .await;
            text(rotated.unwrap())
        });
    }
    let mut live = 0;
    for token in racers.join_all().await {
        live += usize::from(world.is_live(&token).await);
    }
    assert_eq!(live, 1);
}

async fn whoever_holds_a_token_may_rotate_and_revoke_it(world: World) {
    let app = world.app();
    let (actor, first, _) = world.holder_of("").await;
    let second = text(
        app.rotate_self(&call(&actor), Rotation::default())
            .await
            .unwrap(),
    );
    assert!(!world.is_live(&first).await);
    let actor = world.actor(&second).await.unwrap();
    let third = text(app.rotate_self(&call(&actor), grace(MINUTE)).await.unwrap());
    assert!(world.is_live(&second).await);
    let actor = world.actor(&third).await.unwrap();
    app.revoke_self(&call(&actor), Because::default())
        .await
        .unwrap();
    assert!(!world.is_live(&third).await && world.is_live(&second).await);
    // The account's own token too.
    let admin = world.admin().await;
    let next = text(
        app.rotate_self(&call(&admin), Rotation::default())
            .await
            .unwrap(),
    );
    assert!(!world.is_live(&world.token).await && world.is_live(&next).await);
}

async fn a_token_of_the_future_stays_one(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(service_account("billing", "")).await;
    let start = app.now().plus(HOUR);
    let further = issue(
        &world,
        &made,
        NewToken {
            not_before: Some(start),
            ..token("")
        },
    )
    .await;
    let id = further.record.it.id;
    let rotated = app
        .rotate_token(
            &call(&admin),
            world.account,
            made.id,
            id,
            Rotation::default(),
        )
        .await
        .unwrap();
    let new = text(rotated);
    assert!(!world.is_live(&new).await);
    world.advance(HOUR);
    assert!(world.is_live(&new).await);
}
