//! The ledger of mails.

use crate::harness::*;
use std::sync::Arc;
use symbolon_domain::{
    AccountId, ConfirmationId, NoticeId, ServiceAccountId, Timestamp, confirmation, retire,
};
use symbolon_store::{NewNotice, NoticeState, Reserved};
use tokio::sync::Barrier;

on_both!(
    one_mail_has_one_entry,
    what_was_accepted_stays_accepted,
    a_recipient_gets_so_many_a_day,
    racing_workers_keep_the_recipients_limit,
    superseded_mails_count_and_confirmed_ones_do_not,
);

fn notice(recipient: &str, key: &str, confirmation_id: ConfirmationId) -> NewNotice {
    let id = NoticeId::new(T, &mut dice());
    let mut recipient_hash = recipient.as_bytes().to_vec();
    recipient_hash.resize(32, 0);
    NewNotice {
        id,
        account_id: AccountId(uuid::Uuid::nil()),
        service_account_id: ServiceAccountId(uuid::Uuid::nil()),
        confirmation_id,
        kind: "confirmation",
        dedupe_key: key.to_owned(),
        recipient: recipient.to_owned(),
        recipient_hash,
        message_id: format!("{id}@localhost"),
    }
}

async fn reserve(db: &Db, new: NewNotice, now: Timestamp) -> Reserved {
    db.store.reserve_notice(new, 3, DAY, now).await.unwrap()
}

/// A pending confirmation to count for.
async fn pending(db: &Db) -> (symbolon_domain::ServiceAccount, ConfirmationId) {
    let account = db.account().await;
    let mut new = service_account("billing");
    new.contact_email = Some(email("ops@example.com"));
    let (it, _) = db.create(&account, T, new).await;
    let id = change(&db.store, the(&it), T, |view, _, _| {
        Ok((view.confirmations[0].id, Default::default()))
    })
    .await
    .unwrap();
    (it, id)
}

async fn one_mail_has_one_entry(db: Db) {
    let (_, confirmation) = pending(&db).await;
    let first = notice("ops", "key", confirmation);
    let wanted = Reserved::Send {
        id: first.id,
        message_id: first.message_id.clone(),
    };
    assert_eq!(reserve(&db, first.clone(), T).await, wanted);
    // However often it is tried, it is the same mail.
    for state in [
        NoticeState::Queued,
        NoticeState::Deferred,
        NoticeState::Failed,
    ] {
        db.store
            .settle_notice(first.id, state, "451", T)
            .await
            .unwrap();
        assert_eq!(
            reserve(&db, notice("ops", "key", confirmation), T).await,
            wanted
        );
    }
    assert_eq!(db.count("notices").await, 1);
    for state in [
        NoticeState::Undeliverable,
        NoticeState::Skipped,
        NoticeState::Accepted,
    ] {
        db.store
            .settle_notice(first.id, state, "x", T)
            .await
            .unwrap();
        let again = reserve(&db, notice("ops", "key", confirmation), T).await;
        assert_eq!(again, Reserved::Settled(state));
    }
    let found = db.store.find_notice(first.id).await.unwrap().unwrap();
    assert_eq!(found.confirmation_id, Some(confirmation));
    assert_eq!(db.store.list_notices(None, 10).await.unwrap().len(), 1);
    let of_nobody = ServiceAccountId(uuid::Uuid::max());
    assert!(
        db.store
            .list_notices(Some(of_nobody), 10)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn what_was_accepted_stays_accepted(db: Db) {
    let (_, confirmation) = pending(&db).await;
    let new = notice("ops", "key", confirmation);
    reserve(&db, new.clone(), T).await;
    db.store
        .settle_notice(new.id, NoticeState::Accepted, "250 ok", T)
        .await
        .unwrap();
    for state in NoticeState::ALL {
        db.store
            .settle_notice(new.id, state, "late", T.plus(SECOND))
            .await
            .unwrap();
    }
    let found = db.store.find_notice(new.id).await.unwrap().unwrap();
    assert_eq!(
        (found.state, found.accepted_at),
        (NoticeState::Accepted, Some(T))
    );
    assert_eq!(found.detail.as_deref(), Some("250 ok"));
}

async fn a_recipient_gets_so_many_a_day(db: Db) {
    let (_, confirmation) = pending(&db).await;
    for at in 0..3u32 {
        let new = notice("ops", &at.to_string(), confirmation);
        let reserved = reserve(&db, new, T.plus(at * SECOND)).await;
        assert!(matches!(reserved, Reserved::Send { .. }));
    }
    let last = T.plus(DAY - TICK);
    let later = reserve(&db, notice("ops", "fourth", confirmation), last).await;
    assert_eq!(later, Reserved::Later(T.plus(DAY)));
    let other = reserve(&db, notice("dev", "other", confirmation), last).await;
    assert!(matches!(other, Reserved::Send { .. }));
    // One known already is tried again whatever the count.
    let known = reserve(&db, notice("ops", "1", confirmation), last).await;
    assert!(matches!(known, Reserved::Send { .. }));
    let next = reserve(&db, notice("ops", "fourth", confirmation), T.plus(DAY)).await;
    assert!(matches!(next, Reserved::Send { .. }));
}

async fn racing_workers_keep_the_recipients_limit(db: Db) {
    let (_, confirmation) = pending(&db).await;
    let barrier = Arc::new(Barrier::new(8));
    let mut racers = tokio::task::JoinSet::new();
    for at in 0..8 {
        let (store, barrier) = (db.store.clone(), barrier.clone());
        let new = notice("ops", &at.to_string(), confirmation);
        racers.spawn(async move {
            barrier.wait().await;
            store.reserve_notice(new, 3, DAY, T).await.unwrap()
        });
    }
    let reserved = racers.join_all().await;
    let sent = reserved
        .iter()
        .filter(|it| matches!(it, Reserved::Send { .. }))
        .count();
    assert_eq!(sent, 3);
    assert_eq!(db.count("notices").await, 3);
}

/// Else whoever revokes what they created could write to a stranger without end.
async fn superseded_mails_count_and_confirmed_ones_do_not(db: Db) {
    let (revoked, first) = pending(&db).await;
    reserve(&db, notice("ops", "1", first), T).await;
    change(&db.store, the(&revoked), T, |view, asking, mint| {
        retire::revoke_service_account(view, asking, Default::default(), mint.dice)
    })
    .await
    .unwrap();
    let (_, second) = pending(&db).await;
    reserve(&db, notice("ops", "2", second), T).await;
    reserve(&db, notice("ops", "3", second), T).await;
    let fourth = reserve(&db, notice("ops", "4", second), T).await;
    assert_eq!(fourth, Reserved::Later(T.plus(DAY)));
    let target = symbolon_domain::change::Target::Confirmation(second);
    change(&db.store, target, T, move |view, asking, mint| {
        confirmation::confirm(view, asking, second, 1, mint.dice)
    })
    .await
    .unwrap();
    let (_, third) = pending(&db).await;
    let fifth = reserve(&db, notice("ops", "5", third), T).await;
    assert!(matches!(fifth, Reserved::Send { .. }));
}
