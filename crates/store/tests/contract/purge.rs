//! Purge: each kind of thing at its boundary, and nothing that lives.

use crate::harness::*;
use std::time::Duration;
use symbolon_domain::change::Target;
use symbolon_domain::issue::{NewToken, Rotation};
use symbolon_domain::{
    ActorRef, ConfirmationId, CredentialStatus, Job, NewJob, NoticeId, RevokeReason, issue, retire,
};
use symbolon_store::{Claim, JobOutcome, NewNotice, Retention, UseMark};

on_both!(
    finished_jobs_go,
    addresses_are_erased,
    feed_and_keys_go,
    credentials_go_when_they_are_over,
    a_revoked_service_account_goes_with_all_it_has,
    nothing_that_lives_is_touched,
    more_than_a_page_goes_in_pages,
    uses_by_day_go,
    nodes_that_fell_silent_go,
);

const RETENTION: Retention = Retention {
    jobs: Duration::from_secs(100),
    addresses: Duration::from_secs(200),
    credentials: Duration::from_secs(300),
    feed: Duration::from_secs(400),
};

/// Nothing at the boundary itself, everything a microsecond later.
async fn purges(db: &Db, over: Duration, rows: usize) {
    assert_eq!(
        db.store.purge_page(RETENTION, T.plus(over)).await.unwrap(),
        0
    );
    let count = db
        .store
        .purge_page(RETENTION, T.plus(over + TICK))
        .await
        .unwrap();
    assert_eq!(count, rows);
    assert_eq!(
        db.store
            .purge_page(RETENTION, T.plus(over + TICK))
            .await
            .unwrap(),
        0
    );
}

async fn finished_jobs_go(db: Db) {
    let new: Vec<_> = (0..3)
        .map(|_| NewJob::new(Job::Purge {}, T, T, &mut dice()))
        .collect();
    db.store.enqueue(&new, T).await.unwrap();
    let leases = db.store.lease_jobs(2, T, T.plus(MINUTE)).await.unwrap();
    db.store
        .finish_job(leases[0], &JobOutcome::Done, T)
        .await
        .unwrap();
    let buried = JobOutcome::Buried { error: "x".into() };
    db.store.finish_job(leases[1], &buried, T).await.unwrap();
    purges(&db, RETENTION.jobs, 2).await;
    assert_eq!(db.count("jobs").await, 1, "the open one stays");
}

async fn addresses_are_erased(db: Db) {
    let account = db.account().await;
    let new = NewNotice {
        id: NoticeId::new(T, &mut dice()),
        account_id: account.id,
        service_account_id: symbolon_domain::ServiceAccountId(uuid::Uuid::nil()),
        confirmation_id: ConfirmationId(uuid::Uuid::nil()),
        kind: "confirmation",
        dedupe_key: "k".into(),
        recipient: "ops@example.com".into(),
        recipient_hash: vec![7; 32],
        message_id: "m".into(),
    };
    db.store.reserve_notice(new, 10, DAY, T).await.unwrap();
    db.execute("UPDATE events SET client_ip = '192.0.2.1'")
        .await;
    let events = db.count("events").await;
    assert_eq!(events, 1);
    purges(&db, RETENTION.addresses, 2).await;
    assert_eq!(db.count("events WHERE client_ip IS NULL").await, events);
    assert_eq!(db.count("notices WHERE recipient IS NULL").await, 1);
    assert_eq!(
        db.store.list_notices(None, 10).await.unwrap().len(),
        1,
        "the fact stays"
    );
}

async fn feed_and_keys_go(db: Db) {
    let account = db.account().await;
    let (it, _) = db.service_account(&account, T).await;
    change(&db.store, the(&it), T, |view, asking, mint| {
        retire::suspend_service_account(view, asking, Default::default(), mint.dice)
    })
    .await
    .unwrap();
    let newest = db.store.feed_end().await.unwrap();
    assert!(newest.is_some());
    // The account's mark goes, the service account's stays.
    purges(&db, RETENTION.feed, 1).await;
    assert_eq!(db.count("feed").await, 1);
    assert_eq!(db.store.feed_end().await.unwrap(), newest, "however old");
    let claim = Claim {
        expires_at: T.plus(1000 * SECOND),
        ..crate::claims::claim("k", "b", T)
    };
    let changed = db.store.change(
        the(&it),
        T,
        Some(claim),
        deciding(T, |_, _, _| Ok(((), Default::default()))),
    );
    changed.await.unwrap();
    // The end itself is too late for a key.
    purges(&db, 1000 * SECOND - TICK, 1).await;
    assert_eq!(db.count("idempotency").await, 0);
}

async fn credentials_go_when_they_are_over(db: Db) {
    let account = db.account().await;
    let mut revoked = direct_credential(&account, T);
    revoked.status = CredentialStatus::Revoked {
        at: T,
        by: ActorRef::Operator,
        reason: RevokeReason::Requested,
    };
    let mut ended = direct_credential(&account, T);
    ended.expires_at = Some(T);
    ended.end_recorded_at = Some(T);
    // Ended long ago, and revoked only now: it was not over long ago.
    let mut revoked_late = ended.clone();
    revoked_late.id = direct_credential(&account, T).id;
    revoked_late.public_id = "late".into();
    revoked_late.updated_at = T.plus(SECOND);
    let live = direct_credential(&account, T);
    let planted = vec![revoked, ended, revoked_late.clone(), live.clone()];
    let id = planted[0].id;
    db.plant(&account, planted).await;
    let mark = UseMark {
        credential: id,
        first_used_at: T,
        last_used_at: T,
        uses: 1,
    };
    db.store.record_uses(&[mark]).await.unwrap();
    purges(&db, RETENTION.credentials, 2).await;
    assert_eq!(db.count("credential_use").await, 0);
    assert_eq!(db.credential(&revoked_late).await, revoked_late);
    purges(&db, RETENTION.credentials + SECOND, 1).await;
    assert_eq!(db.credential(&live).await, live);
}

async fn a_revoked_service_account_goes_with_all_it_has(db: Db) {
    let account = db.account().await;
    let mut new = service_account("billing");
    new.contact_email = Some(email("ops@example.com"));
    let (it, _) = db.create(&account, T, new).await;
    db.issue(&it, T, NewToken::default()).await;
    let (other, _) = db.service_account(&account, T).await;
    change(&db.store, the(&it), T, |view, asking, mint| {
        retire::revoke_service_account(view, asking, Default::default(), mint.dice)
    })
    .await
    .unwrap();
    purges(&db, RETENTION.credentials, 1).await;
    assert_eq!(db.count("confirmations").await, 0);
    assert_eq!(db.count("credentials").await, 1);
    let found = db
        .store
        .find_service_account(account.id, other.id)
        .await
        .unwrap();
    assert_eq!(found.unwrap(), other);
    assert!(db.count("events").await >= 4, "the log remembers");
}

async fn nothing_that_lives_is_touched(db: Db) {
    let account = db.account().await;
    let mut new = service_account("billing");
    new.contact_email = Some(email("ops@example.com"));
    let (it, issued) = db.create(&account, T, new).await;
    let mut waiting = direct_credential(&account, T);
    waiting.not_before = Some(T.plus(5000 * DAY));
    db.plant(&account, vec![waiting.clone()]).await;
    // A primary that has ended goes only with its service account, which shows its fields.
    let mut short = service_account("short");
    short.expiry = symbolon_domain::account::ExpiryRequest::At(T.plus(SECOND));
    let (_, ended) = db.create(&account, T, short).await;
    db.store
        .change_page(T.plus(MINUTE), 10, |page| symbolon_store::EndedPage {
            recorded: page.iter().map(|it| it.id).collect(),
            events: Vec::new(),
        })
        .await
        .unwrap();
    // A retiring one, its end not yet recorded.
    change(&db.store, the(&it), T, |view, asking, mint| {
        let grace = Rotation {
            grace: MINUTE,
            ..Rotation::default()
        };
        issue::rotate(view, asking, None, grace, mint).map(|(_, it, changes)| (it, changes))
    })
    .await
    .unwrap();
    let before = (
        db.count("accounts").await,
        db.count("service_accounts").await,
        db.count("credentials").await,
        db.count("confirmations").await,
        db.count("jobs").await,
        db.count("events").await,
    );
    db.store
        .purge_page(RETENTION, T.plus(3000 * DAY))
        .await
        .unwrap();
    let after = (
        db.count("accounts").await,
        db.count("service_accounts").await,
        db.count("credentials").await,
        db.count("confirmations").await,
        db.count("jobs").await,
        db.count("events").await,
    );
    assert_eq!(before, after);
    assert!(db.credential(&issued.credential).await.retires_at.is_some());
    assert!(db.credential(&ended.credential).await.is_primary);
    let target = Target::Account(account.id);
    change(&db.store, target, T, |view, _, _| {
        Ok((view.account.is_some(), Default::default()))
    })
    .await
    .unwrap();
}

async fn more_than_a_page_goes_in_pages(db: Db) {
    let account = db.account().await;
    let marks = (0..1300)
        .map(|version| symbolon_domain::change::FeedMark {
            kind: symbolon_domain::change::FeedKind::Credential,
            id: uuid::Uuid::nil(),
            version,
        })
        .collect();
    let changes = symbolon_domain::Changes {
        feed: marks,
        ..Default::default()
    };
    change(&db.store, Target::Account(account.id), T, move |_, _, _| {
        Ok(((), changes))
    })
    .await
    .unwrap();
    let over = T.plus(RETENTION.feed + SECOND);
    assert_eq!(db.store.purge_page(RETENTION, over).await.unwrap(), 1000);
    // The account's mark goes too, and the newest stays.
    assert_eq!(db.store.purge_page(RETENTION, over).await.unwrap(), 300);
    assert_eq!(db.store.purge_page(RETENTION, over).await.unwrap(), 0);
}

async fn uses_by_day_go(db: Db) {
    let account = db.account().await;
    let credential = direct_credential(&account, T);
    let id = credential.id;
    db.plant(&account, vec![credential]).await;
    let today = T.day();
    for (at, uses) in [(T, 1), (T.plus(DAY - TICK), 2), (T.plus(DAY), 4)] {
        let mark = UseMark {
            credential: id,
            first_used_at: at,
            last_used_at: at,
            uses,
        };
        db.store.record_uses(&[mark]).await.unwrap();
    }
    // A day is old when its last instant is.
    purges(&db, DAY + RETENTION.credentials - TICK, 1).await;
    let left = db.store.credential_days(id, 0).await.unwrap();
    assert_eq!(left, [(today + 1, 4)]);
    let uses = db.store.uses(&[id]).await.unwrap()[&id];
    assert_eq!((uses.uses, uses.first_used_at), (7, Some(T)));
}

async fn nodes_that_fell_silent_go(db: Db) {
    let (silent, live) = (crate::nodes::node("silent"), crate::nodes::node("live"));
    db.store.beat(&silent, T).await.unwrap();
    db.store.beat(&live, T.plus(SECOND)).await.unwrap();
    purges(&db, silent.lease + silent.max_age + DAY, 1).await;
    let left = db.store.nodes().await.unwrap();
    assert_eq!(left.iter().map(|it| it.id).collect::<Vec<_>>(), [live.id]);
}
