//! Suspended, activated, revoked: tokens, service accounts, accounts; and what time and uses do.

use crate::harness::*;
use symbolon_domain::account::AccountPatch;
use symbolon_domain::retire::Because;
use symbolon_domain::{AccountStatus, Code};

on_both!(
    each_level_suspends_what_is_below_it,
    revoked_is_final,
    tokens_are_revoked_with_their_service_account,
    tokens_are_limited,
    a_maximum_lifetime_holds_for_older_tokens,
    a_demanded_contact_must_have_been_confirmed_once,
    junk_and_strangers_look_alike,
    uses_are_flushed_and_shown,
    purge_leaves_what_lives,
    stale_versions_are_refused,
);

async fn tokens_are_revoked_with_their_service_account(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let (by, account) = (call(&admin), world.account);
    let made = world.make(service_account("billing", "")).await;
    app.revoke_service_account(&by, account, made.id, Because::default())
        .await
        .unwrap();
    let found = app
        .find_token(&admin, account, made.id, made.primary)
        .await
        .unwrap();
    assert!(found.it.is_revoked() && !found.it.available_actions().suspend);
    let page = symbolon_app::PageRequest {
        after: None,
        limit: 50,
    };
    for (include_revoked, count) in [(false, 0), (true, 1)] {
        let filter = symbolon_app::TokenFilter {
            include_revoked,
            kind: None,
        };
        let listed = app
            .list_tokens(&admin, account, made.id, filter, page)
            .await
            .unwrap();
        assert_eq!(listed.items.len(), count);
        assert!(listed.items.iter().all(|it| it.it.is_revoked()));
    }
    let refused = app
        .suspend_token(&by, account, made.id, made.primary, Because::default())
        .await;
    assert_eq!(code(refused), Code::ServiceAccountRevoked);
}

fn status(status: AccountStatus) -> AccountPatch {
    AccountPatch {
        status: Some(status),
        ..AccountPatch::default()
    }
}

async fn each_level_suspends_what_is_below_it(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let by = call(&admin);
    // In an account of its own, so that suspending it does not suspend the one who asks.
    let other = app
        .create_account(&by, name("Other"), AccountPatch::default())
        .await
        .unwrap()
        .record
        .id;
    let made = world.make_in(other, service_account("billing", "")).await;
    let begun = app.store().feed_end().await.unwrap().unwrap().seq;
    let because = Because::default;
    app.suspend_token(&by, other, made.id, made.primary, because())
        .await
        .unwrap();
    assert!(!world.is_live(&made.token).await);
    assert_eq!(
        code(
            app.suspend_token(&by, other, made.id, made.primary, because())
                .await
        ),
        Code::InvalidAction
    );
    app.suspend_service_account(&by, other, made.id, because())
        .await
        .unwrap();
    app.update_account(&by, other, status(AccountStatus::Suspended), None)
        .await
        .unwrap();
    let refused = app
        .create_service_account(&by, other, service_account("more", ""))
        .await;
    assert_eq!(code(refused), Code::AccountSuspended);
    // Each level gives back its own only.
    app.activate_token(&by, other, made.id, made.primary, because())
        .await
        .unwrap();
    assert!(!world.is_live(&made.token).await);
    app.activate_service_account(&by, other, made.id, because())
        .await
        .unwrap();
    assert!(!world.is_live(&made.token).await);
    app.update_account(&by, other, status(AccountStatus::Active), None)
        .await
        .unwrap();
    assert!(world.is_live(&made.token).await);
    assert_eq!(
        code(
            app.activate_service_account(&by, other, made.id, because())
                .await
        ),
        Code::InvalidAction
    );
    let end = app.store().feed_end().await.unwrap().unwrap().seq;
    assert_eq!(end - begun, 6, "each step is told to every process");
}

async fn revoked_is_final(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let (by, account) = (call(&admin), world.account);
    let made = world.make(service_account("billing", "")).await;
    let because = || Because {
        reason: Some("leaked".into()),
        note: Some("seen in a log".into()),
    };
    let record = app
        .revoke_token(&by, account, made.id, made.primary, because())
        .await
        .unwrap();
    assert!(record.record.it.is_revoked());
    let version = record.record.it.version;
    let again = app
        .revoke_token(&by, account, made.id, made.primary, because())
        .await
        .unwrap();
    assert_eq!(again.record.it.version, version);
    for refused in [
        app.activate_token(&by, account, made.id, made.primary, because())
            .await,
        app.suspend_token(&by, account, made.id, made.primary, because())
            .await,
    ] {
        assert_eq!(code(refused), Code::TokenRevoked);
    }
    app.revoke_service_account(&by, account, made.id, because())
        .await
        .unwrap();
    for refused in [
        app.activate_service_account(&by, account, made.id, because())
            .await,
        app.suspend_service_account(&by, account, made.id, because())
            .await,
        app.resend_confirmation(&by, account, made.id).await,
    ] {
        assert_eq!(code(refused), Code::ServiceAccountRevoked);
    }
    let refused = app.issue_token(&by, account, made.id, token("")).await;
    assert_eq!(code(refused), Code::ServiceAccountRevoked);
    let page = symbolon_app::PageRequest {
        after: None,
        limit: 50,
    };
    let events = app
        .list_events(&admin, account, Default::default(), page)
        .await
        .unwrap();
    let revoked = events
        .items
        .iter()
        .find(|it| it.kind.as_str() == "token.revoked")
        .unwrap();
    assert_eq!(
        (
            revoked.data["reason"].as_str(),
            revoked.data["note"].as_str()
        ),
        (Some("leaked"), Some("seen in a log"))
    );
}

async fn tokens_are_limited(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let (by, account) = (call(&admin), world.account);
    let patch = AccountPatch {
        tokens_per_service_account: Some(2),
        ..AccountPatch::default()
    };
    app.update_account(&by, account, patch, None).await.unwrap();
    let made = world.make(service_account("billing", "")).await;
    let second = app
        .issue_token(&by, account, made.id, token(""))
        .await
        .unwrap();
    assert_eq!(
        code(app.issue_token(&by, account, made.id, token("")).await),
        Code::TokenLimitReached
    );
    app.revoke_token(
        &by,
        account,
        made.id,
        second.record.it.id,
        Because::default(),
    )
    .await
    .unwrap();
    let mut short = token("");
    short.expiry = symbolon_domain::account::ExpiryRequest::At(app.now().plus(MINUTE));
    app.issue_token(&by, account, made.id, short).await.unwrap();
    assert_eq!(
        code(app.issue_token(&by, account, made.id, token("")).await),
        Code::TokenLimitReached
    );
    world.advance(MINUTE);
    app.issue_token(&by, account, made.id, token(""))
        .await
        .unwrap();
}

async fn a_maximum_lifetime_holds_for_older_tokens(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let account = app
        .create_account(&call(&admin), name("Other"), AccountPatch::default())
        .await
        .unwrap()
        .record
        .id;
    let made = world.make_in(account, service_account("eternal", "")).await;
    world.advance(10 * DAY);
    let patch = AccountPatch {
        max_lifetime: Some(Some(10 * DAY + TICK)),
        ..AccountPatch::default()
    };
    app.update_account(&call(&admin), account, patch, None)
        .await
        .unwrap();
    assert!(world.is_live(&made.token).await);
    world.advance(TICK);
    assert!(!world.is_live(&made.token).await);
}

async fn a_demanded_contact_must_have_been_confirmed_once(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let patch = AccountPatch {
        require_confirmed_contact: Some(true),
        ..AccountPatch::default()
    };
    let account = app
        .create_account(&call(&admin), name("Other"), patch)
        .await
        .unwrap()
        .record
        .id;
    let made = world
        .make_in(account, with_contact("billing", "ops@example.com"))
        .await;
    assert_eq!(
        code(world.actor(&made.token).await),
        Code::ContactUnconfirmed
    );
    let mails = world.mail().await;
    app.confirm_contact(link_of(&mails[0].1), Default::default())
        .await
        .unwrap();
    assert!(world.is_live(&made.token).await);
    // Ever confirmed is enough.
    app.report_undeliverable(&call(&admin), account, made.id, None)
        .await
        .unwrap();
    assert!(world.is_live(&made.token).await);
}

async fn junk_and_strangers_look_alike(world: World) {
    let made = world.make(service_account("billing", "")).await;
    let mut forged = made.token.clone();
    // Another secret under the same public id, with a right checksum.
    let other = world.make(service_account("other", "")).await;
    let secret_at = made.token.len() - 6 - 43;
    forged.replace_range(
        secret_at..made.token.len() - 6,
        &other.token[secret_at..other.token.len() - 6],
    );
    let sum = symbolon_domain::token_text::parse(&forged);
    assert!(sum.is_none(), "the checksum covers the secret");
    for junk in [
        "",
        "x",
        "sym_",
        forged.as_str(),
        &made.token[..made.token.len() - 1],
    ] {
        let refused = world
            .app()
            .authenticate(&bearer(junk), Default::default(), None)
            .await;
        let error = refused.unwrap_err();
        assert_eq!(error.code(), Code::Unauthenticated);
        assert!(error.refusal().unwrap().args.is_empty());
    }
}

async fn uses_are_flushed_and_shown(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(service_account("billing", "")).await;
    for _ in 0..3 {
        world.advance(SECOND);
        world.actor(&made.token).await.unwrap();
    }
    let last = app.now();
    let shown = async || {
        app.find_token(&admin, world.account, made.id, made.primary)
            .await
            .unwrap()
    };
    assert_eq!(
        shown().await.last_used_at,
        None,
        "nothing is written while a request waits"
    );
    let version = shown().await.it.version;
    assert!(app.flush_uses().await.unwrap() >= 1);
    let record = shown().await;
    assert_eq!(
        (record.last_used_at, record.uses, record.it.version),
        (Some(last), 3, version)
    );
    assert_eq!(app.flush_uses().await.unwrap(), 0);
    let record = app
        .find_service_account(&admin, world.account, made.id)
        .await
        .unwrap();
    assert_eq!(record.last_used_at, Some(last));
    // A refused one is no use.
    let dead = world.make(service_account("dead", "")).await;
    app.revoke_service_account(&call(&admin), world.account, dead.id, Because::default())
        .await
        .unwrap();
    assert!(!world.is_live(&dead.token).await);
    app.flush_uses().await.unwrap();
    let record = app
        .find_token(&admin, world.account, dead.id, dead.primary)
        .await
        .unwrap();
    assert_eq!(record.uses, 0);
}

async fn purge_leaves_what_lives(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let live = world.make(service_account("live", "")).await;
    let dead = world.make(service_account("dead", "")).await;
    app.revoke_service_account(&call(&admin), world.account, dead.id, Because::default())
        .await
        .unwrap();
    world.advance(app.settings().retention.credentials + TICK);
    while app.purge_page().await.unwrap() > 0 {}
    assert!(world.is_live(&live.token).await && !world.is_live(&dead.token).await);
    let operator = symbolon_app::Actor::operator_cli();
    let gone = app
        .find_service_account(&operator, world.account, dead.id)
        .await;
    assert_eq!(code(gone), Code::NotFound);
}

async fn stale_versions_are_refused(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let by = call(&admin);
    let made = world.make(service_account("billing", "")).await;
    let rename = |label: &str| symbolon_domain::issue::ServiceAccountPatch {
        name: Some(name(label)),
        ..Default::default()
    };
    let record = app
        .update_service_account(&by, world.account, made.id, rename("a"), Some(1))
        .await
        .unwrap();
    assert_eq!(record.record.it.version, 2);
    let stale = app
        .update_service_account(&by, world.account, made.id, rename("b"), Some(1))
        .await;
    assert_eq!(code(stale), Code::VersionMismatch);
    world.actor(&made.token).await.unwrap();
    app.flush_uses().await.unwrap();
    let same = app
        .update_service_account(&by, world.account, made.id, rename("a"), Some(2))
        .await
        .unwrap();
    assert_eq!(
        same.record.it.version, 2,
        "uses do not touch it, nor does a change that changes nothing"
    );
    let account = app.find_account(&admin, world.account).await.unwrap();
    let patch = || AccountPatch {
        name: Some(name("Acme 2")),
        ..AccountPatch::default()
    };
    let stale = app
        .update_account(&by, world.account, patch(), Some(account.version + 1))
        .await;
    assert_eq!(code(stale), Code::VersionMismatch);
    app.update_account(&by, world.account, patch(), Some(account.version))
        .await
        .unwrap();
}
