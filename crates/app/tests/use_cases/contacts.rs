//! Contacts: asked, confirmed, disowned, changed, found undeliverable.

use crate::harness::*;
use symbolon_domain::account::AccountPatch;
use symbolon_domain::issue::ServiceAccountPatch;
use symbolon_domain::retire::Because;
use symbolon_domain::{Code, ContactState, FieldCode};

on_both!(
    whom_to_ask_without_a_contact,
    links_die_in_their_ways,
    disowned_means_no_more_mail,
    a_new_address_waits_beside_the_old_one,
    an_unconfirmed_address_is_replaced,
    an_undeliverable_contact_can_be_asked_anew,
    resends_are_limited_by_the_minute_and_the_day,
    a_revoked_ones_links_die_with_it,
);

async fn state(world: &World, made: &Made) -> (ContactState, Option<String>, Option<String>) {
    let admin = world.admin().await;
    let it = world
        .app()
        .find_service_account(&admin, world.account, made.id)
        .await
        .unwrap()
        .it;
    let text =
        |email: Option<symbolon_domain::EmailAddress>| email.map(|it| it.as_str().to_owned());
    (
        it.contact_state,
        text(it.contact_email),
        text(it.pending_contact_email),
    )
}

async fn change_contact(
    world: &World,
    made: &Made,
    to: Option<&str>,
) -> Result<(), symbolon_app::Error> {
    let admin = world.admin().await;
    let patch = ServiceAccountPatch {
        contact_email: Some(to.map(email)),
        ..Default::default()
    };
    let changed = world
        .app()
        .update_service_account(&call(&admin), world.account, made.id, patch, None)
        .await;
    changed.map(drop)
}

async fn resend(world: &World, made: &Made) -> Result<(), symbolon_app::Error> {
    let admin = world.admin().await;
    world
        .app()
        .resend_confirmation(&call(&admin), world.account, made.id)
        .await
        .map(drop)
}

async fn confirm(world: &World, url: &str) -> Result<(), symbolon_app::Error> {
    world
        .app()
        .confirm_contact(link_of(url), Default::default())
        .await
        .map(drop)
}

async fn disown(world: &World, url: &str) -> Result<(), symbolon_app::Error> {
    world
        .app()
        .disown_contact(link_of(url), Default::default())
        .await
        .map(drop)
}

async fn whom_to_ask_without_a_contact(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let ops = vec![email("ops@example.com"), email("night@example.com")];
    let patch = AccountPatch {
        ops_addresses: Some(ops),
        ..AccountPatch::default()
    };
    app.update_account(&call(&admin), world.account, patch, None)
        .await
        .unwrap();
    let made = world.make(service_account("billing", "")).await;
    let mails = world.mail().await;
    let mut asked: Vec<&str> = mails.iter().map(|it| it.0.as_str()).collect();
    asked.sort_unstable();
    assert_eq!(asked, ["night@example.com", "ops@example.com"]);
    assert_ne!(mails[0].2, mails[1].2);
    confirm(&world, &mails[0].1).await.unwrap();
    assert_eq!(
        state(&world, &made).await,
        (ContactState::Confirmed, None, None)
    );
    assert_eq!(code(confirm(&world, &mails[1].1).await), Code::LinkExpired);
    // Nobody to ask: nothing to confirm.
    let account = app
        .create_account(&call(&admin), name("Bare"), AccountPatch::default())
        .await
        .unwrap()
        .record
        .id;
    let made = world.make_in(account, service_account("alone", "")).await;
    assert!(world.mail().await.is_empty());
    let refused = app
        .resend_confirmation(&call(&admin), account, made.id)
        .await;
    assert_eq!(code(refused), Code::NothingToConfirm);
}

async fn links_die_in_their_ways(world: World) {
    let made = world.make(with_contact("billing", "ops@example.com")).await;
    let first = world.mail().await.remove(0);
    for junk in [
        "",
        "x",
        "AAAA",
        &first.1[..first.1.len() - 1],
        link_of(&world.setup_url),
    ] {
        assert_eq!(code(confirm(&world, junk).await), Code::LinkUnknown);
    }
    // A resent one is another mail; both links work while nobody has answered.
    world.advance(DAY);
    resend(&world, &made).await.unwrap();
    let second = world.mail().await.remove(0);
    assert!(first.1 != second.1 && first.2 != second.2);
    world.advance(7 * DAY - TICK);
    let page = world
        .app()
        .look_at_confirmation(link_of(&first.1))
        .await
        .unwrap();
    assert_eq!(page.email, "ops@example.com");
    world.advance(TICK);
    assert_eq!(code(confirm(&world, &second.1).await), Code::LinkExpired);
    world.advance(MINUTE);
    resend(&world, &made).await.unwrap();
    confirm(&world, &first.1).await.unwrap();
    assert_eq!(code(confirm(&world, &second.1).await), Code::LinkUsed);
    assert_eq!(code(disown(&world, &second.1).await), Code::LinkUsed);
    world.advance(MINUTE);
    assert_eq!(code(resend(&world, &made).await), Code::NothingToConfirm);
    assert_eq!(
        world.app().language_of_link(link_of(&first.1)).await,
        Some(symbolon_domain::Language::En)
    );
}

async fn disowned_means_no_more_mail(world: World) {
    let made = world.make(with_contact("billing", "ops@example.com")).await;
    let mail = world.mail().await.remove(0);
    disown(&world, &mail.1).await.unwrap();
    assert_eq!(state(&world, &made).await.0, ContactState::Undeliverable);
    assert!(
        world
            .events(world.account)
            .await
            .contains(&"contact.disowned")
    );
    // The reminder is due, and finds that it was answered.
    world.advance(4 * DAY);
    assert!(world.mail().await.is_empty());
    assert_eq!(code(resend(&world, &made).await), Code::NothingToConfirm);
    change_contact(&world, &made, Some("dev@example.com"))
        .await
        .unwrap();
    world.advance(MINUTE);
    let refused = change_contact(&world, &made, Some("Ops@Example.com"))
        .await
        .unwrap_err();
    assert_eq!(
        refused.refusal().unwrap().fields[0].code,
        FieldCode::Disowned
    );
    let mails = world.mail().await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].0, "dev@example.com");
    // Another service account is another question.
    world.make(with_contact("other", "ops@example.com")).await;
    assert_eq!(world.mail().await.len(), 1);
}

async fn a_new_address_waits_beside_the_old_one(world: World) {
    let made = world.make(with_contact("billing", "old@example.com")).await;
    confirm(&world, &world.mail().await[0].1).await.unwrap();
    change_contact(&world, &made, Some("new@example.com"))
        .await
        .unwrap();
    let waiting = (
        ContactState::Confirmed,
        Some("old@example.com".into()),
        Some("new@example.com".into()),
    );
    assert_eq!(state(&world, &made).await, waiting);
    let mail = world.mail().await.remove(0);
    assert_eq!(mail.0, "new@example.com");
    // Not theirs: the old one stays.
    disown(&world, &mail.1).await.unwrap();
    let kept = (
        ContactState::Confirmed,
        Some("old@example.com".into()),
        None,
    );
    assert_eq!(state(&world, &made).await, kept);
    world.advance(MINUTE);
    change_contact(&world, &made, Some("newer@example.com"))
        .await
        .unwrap();
    let mail = world.mail().await.remove(0);
    // Back to the old one before it was confirmed.
    change_contact(&world, &made, Some("old@example.com"))
        .await
        .unwrap();
    assert_eq!(state(&world, &made).await, kept);
    assert_eq!(code(confirm(&world, &mail.1).await), Code::LinkExpired);
    world.advance(MINUTE);
    change_contact(&world, &made, Some("newest@example.com"))
        .await
        .unwrap();
    let mail = world.mail().await.remove(0);
    confirm(&world, &mail.1).await.unwrap();
    let moved = (
        ContactState::Confirmed,
        Some("newest@example.com".into()),
        None,
    );
    assert_eq!(state(&world, &made).await, moved);
    change_contact(&world, &made, None).await.unwrap();
    assert_eq!(state(&world, &made).await, (ContactState::None, None, None));
}

async fn an_unconfirmed_address_is_replaced(world: World) {
    let made = world.make(with_contact("billing", "old@example.com")).await;
    let old = world.mail().await.remove(0);
    change_contact(&world, &made, Some("new@example.com"))
        .await
        .unwrap();
    let replaced = (ContactState::Pending, Some("new@example.com".into()), None);
    assert_eq!(state(&world, &made).await, replaced);
    assert_eq!(code(confirm(&world, &old.1).await), Code::LinkExpired);
    // Asking for mail counts, however it is done.
    assert_eq!(
        code(change_contact(&world, &made, Some("third@example.com")).await),
        Code::ResendLimited
    );
    confirm(&world, &world.mail().await[0].1).await.unwrap();
}

async fn an_undeliverable_contact_can_be_asked_anew(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(with_contact("billing", "ops@example.com")).await;
    // The mail server of the address refuses it.
    let (_, prepared) = world.due_mail().await.remove(0);
    let symbolon_app::Prepared::Send(mail) = prepared else {
        panic!("{prepared:?}")
    };
    app.notice_undeliverable(mail.notice_id, "550 5.1.1 no such user")
        .await
        .unwrap();
    assert_eq!(state(&world, &made).await.0, ContactState::Undeliverable);
    assert_eq!(code(confirm(&world, &mail.link).await), Code::LinkExpired);
    // Told once more, nothing happens once more.
    let events = world.events(world.account).await.len();
    app.notice_undeliverable(mail.notice_id, "550 5.1.1 no such user")
        .await
        .unwrap();
    assert_eq!(world.events(world.account).await.len(), events);
    resend(&world, &made).await.unwrap();
    assert_eq!(state(&world, &made).await.0, ContactState::Pending);
    let mail = world.mail().await.remove(0);
    app.report_undeliverable(
        &call(&admin),
        world.account,
        made.id,
        Some("bounced".into()),
    )
    .await
    .unwrap();
    assert_eq!(state(&world, &made).await.0, ContactState::Undeliverable);
    assert_eq!(code(confirm(&world, &mail.1).await), Code::LinkExpired);
}

async fn resends_are_limited_by_the_minute_and_the_day(world: World) {
    let made = world.make(with_contact("billing", "ops@example.com")).await;
    let start = world.app().now();
    for _ in 0..10 {
        resend(&world, &made).await.unwrap();
        let refused = resend(&world, &made).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResendLimited);
        assert_eq!(refused.refusal().unwrap().retry_after, Some(MINUTE));
        world.advance(MINUTE - TICK);
        assert_eq!(code(resend(&world, &made).await), Code::ResendLimited);
        world.advance(TICK);
    }
    let refused = resend(&world, &made).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResendLimited);
    assert_eq!(
        refused.refusal().unwrap().retry_after,
        Some(DAY - 10 * MINUTE)
    );
    world.test.clock.set(start.plus(DAY));
    resend(&world, &made).await.unwrap();
}

async fn a_revoked_ones_links_die_with_it(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(with_contact("billing", "ops@example.com")).await;
    let mail = world.mail().await.remove(0);
    app.revoke_service_account(&call(&admin), world.account, made.id, Because::default())
        .await
        .unwrap();
    assert_eq!(
        code(app.look_at_confirmation(link_of(&mail.1)).await),
        Code::LinkExpired
    );
    assert_eq!(code(confirm(&world, &mail.1).await), Code::LinkExpired);
    assert_eq!(code(disown(&world, &mail.1).await), Code::LinkExpired);
}
