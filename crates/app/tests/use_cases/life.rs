//! The whole life: begun, created, confirmed, used, rotated, ended, revoked.

use crate::harness::*;
use symbolon_domain::retire::Because;
use symbolon_domain::{Code, ContactState};

on_both!(
    from_the_first_start_to_the_end,
    the_sweep_records_each_end_once
);

async fn from_the_first_start_to_the_end(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    world.advance(SECOND);
    let made = world.make(with_contact("billing", "ops@example.com")).await;
    world.advance(SECOND);

    let mails = world.mail().await;
    assert_eq!(mails.len(), 1);
    let (to, link, message_id) = &mails[0];
    assert_eq!(to, "ops@example.com");
    assert!(link.starts_with("http://127.0.0.1:8080/confirm/"), "{link}");
    assert!(message_id.ends_with("@127.0.0.1"), "{message_id}");
    let page = app.look_at_confirmation(link_of(link)).await.unwrap();
    assert_eq!(
        (page.service_account.as_str(), page.account.as_str()),
        ("billing", "Acme")
    );
    app.confirm_contact(link_of(link), Default::default())
        .await
        .unwrap();
    assert_eq!(
        code(app.confirm_contact(link_of(link), Default::default()).await),
        Code::LinkUsed
    );
    let record = app
        .find_service_account(&admin, world.account, made.id)
        .await
        .unwrap();
    assert_eq!(record.it.contact_state, ContactState::Confirmed);

    let who = app
        .whoami(&world.actor(&made.token).await.unwrap())
        .await
        .unwrap();
    assert_eq!(who.service_account.unwrap().id, made.id);
    assert_eq!(who.credential.id, made.primary);

    // Without grace the old one dies at once.
    world.advance(SECOND);
    let rotated = app
        .rotate_service_account(&call(&admin), world.account, made.id, Default::default())
        .await
        .unwrap();
    let second = rotated.secret.unwrap().reveal().to_owned();
    assert!(!world.is_live(&made.token).await && world.is_live(&second).await);

    // With grace both live, to the microsecond.
    world.advance(SECOND);
    let rotated = app
        .rotate_service_account(&call(&admin), world.account, made.id, grace(HOUR))
        .await
        .unwrap();
    let third = rotated.secret.unwrap().reveal().to_owned();
    assert!(world.is_live(&second).await && world.is_live(&third).await);
    world.advance(HOUR - TICK);
    assert!(world.is_live(&second).await);
    world.advance(TICK);
    assert!(!world.is_live(&second).await && world.is_live(&third).await);

    app.revoke_service_account(&call(&admin), world.account, made.id, Because::default())
        .await
        .unwrap();
    assert!(!world.is_live(&third).await);
    app.revoke_service_account(&call(&admin), world.account, made.id, Because::default())
        .await
        .unwrap();
    let events = world.events(world.account).await;
    let expected = [
        "account.created",
        "user.created",
        "token.issued",
        "instance.bootstrapped",
        "service_account.created",
        "contact.confirmed",
        "token.rotated",
        "token.rotated",
        "service_account.revoked",
    ];
    assert_eq!(events[4..], expected[4..]);
    let mut first = events[..4].to_vec();
    first.sort_unstable();
    let mut wanted = expected[..4].to_vec();
    wanted.sort_unstable();
    assert_eq!(first, wanted);
}

async fn the_sweep_records_each_end_once(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let mut new = service_account("short", "");
    new.expiry = symbolon_domain::account::ExpiryRequest::At(app.now().plus(2 * SECOND));
    let made = world.make(new).await;
    world.advance(2 * SECOND - TICK);
    assert!(world.is_live(&made.token).await);
    assert_eq!(app.expire_tokens_page().await.unwrap(), 0);
    world.advance(TICK);
    assert!(!world.is_live(&made.token).await);
    assert_eq!(app.expire_tokens_page().await.unwrap(), 1);
    assert_eq!(app.expire_tokens_page().await.unwrap(), 0);
    let events = world.events(world.account).await;
    assert_eq!(
        events
            .iter()
            .filter(|kind| **kind == "token.expired")
            .count(),
        1
    );

    // The end of a grace is recorded as that.
    let long = world.make(service_account("long", "")).await;
    app.rotate_service_account(&call(&admin), world.account, long.id, grace(MINUTE))
        .await
        .unwrap();
    world.advance(MINUTE);
    assert_eq!(app.expire_tokens_page().await.unwrap(), 1);
    let events = world.events(world.account).await;
    assert_eq!(
        events
            .iter()
            .filter(|kind| **kind == "token.retired")
            .count(),
        1
    );
}
