//! A caller that goes away: what it asked for is done whole or not at all, and nothing stays open.

use crate::harness::*;
use std::time::Duration;
use symbolon_domain::issue::{self, NewToken};
use symbolon_domain::{ConfirmationId, Job, NewJob, NoticeId, retire};
use symbolon_store::{JobOutcome, NewNotice, UseMark};

on_both!(
    a_change_runs_to_its_end,
    a_sweep_runs_to_its_end,
    the_books_survive_callers_who_leave,
);

async fn a_change_runs_to_its_end(db: Db) {
    let account = db.account().await;
    let (it, _) = db.service_account(&account, T).await;
    let (store, target) = (db.store.clone(), the(&it));
    let caller = tokio::spawn(async move {
        change(&store, target, T, |view, asking, mint| {
            pause(Duration::from_millis(200));
            issue::issue_token(view, asking, NewToken::default(), mint)
        })
        .await
    });
    tokio::time::sleep(Duration::from_millis(80)).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    eventually("the change is committed", async || {
        (db.count("credentials").await == 2).then_some(())
    })
    .await;
    assert_eq!(db.count("events WHERE kind = 'token.issued'").await, 1);
    db.assert_nothing_open().await;
    // At whatever moment the caller goes.
    for at in 0..30 {
        let target = the(&it);
        let call = change(&db.store, target, T, |view, asking, mint| {
            let it = view.service_account()?;
            if it.ensure_active().is_ok() {
                retire::suspend_service_account(view, asking, Default::default(), mint.dice)
            } else {
                retire::activate_service_account(view, asking, Default::default(), mint.dice)
            }
        });
        let _ = tokio::time::timeout(Duration::from_micros(at * 150), call).await;
    }
    eventually("all of them are over", async || {
        let found = db
            .store
            .find_service_account(account.id, it.id)
            .await
            .unwrap()
            .unwrap();
        (found.version == 31).then_some(())
    })
    .await;
    let events = db
        .count("events WHERE kind LIKE 'service_account._%vated'")
        .await
        + db.count("events WHERE kind = 'service_account.suspended'")
            .await;
    let marks = db.count("feed WHERE kind <> 'account'").await;
    assert_eq!((events, marks), (30, 30));
    db.assert_nothing_open().await;
}

async fn a_sweep_runs_to_its_end(db: Db) {
    let account = db.account().await;
    let mut ended = direct_credential(&account, T);
    ended.expires_at = Some(T.plus(SECOND));
    db.plant(&account, vec![ended.clone()]).await;
    let now = T.plus(MINUTE);
    let sweep = db.store.change_page(now, 10, |page| {
        pause(Duration::from_millis(150));
        symbolon_store::EndedPage {
            recorded: page.iter().map(|it| it.id).collect(),
            events: Vec::new(),
        }
    });
    assert!(
        tokio::time::timeout(Duration::from_millis(50), sweep)
            .await
            .is_err()
    );
    eventually("the end is recorded", async || {
        db.credential(&ended).await.end_recorded_at.map(drop)
    })
    .await;
    db.assert_nothing_open().await;
}

/// Handlers of jobs are dropped half-way by their time-outs.
async fn the_books_survive_callers_who_leave(db: Db) {
    let account = db.account().await;
    let credentials: Vec<_> = (0..20).map(|_| direct_credential(&account, T)).collect();
    let marks: Vec<_> = credentials
        .iter()
        .map(|it| UseMark {
            credential: it.id,
            first_used_at: T,
            last_used_at: T,
            uses: 1,
        })
        .collect();
    db.plant(&account, credentials).await;
    let store = &db.store;
    for at in 0..40u64 {
        let patience = Duration::from_micros(at * 100);
        let job = NewJob::new(Job::Purge {}, T, T, &mut dice());
        let jobs = std::slice::from_ref(&job);
        let _ = tokio::time::timeout(patience, store.enqueue(jobs, T)).await;
        let _ = tokio::time::timeout(patience, store.record_uses(&marks)).await;
        let new = NewNotice {
            id: NoticeId::new(T, &mut dice()),
            account_id: account.id,
            service_account_id: symbolon_domain::ServiceAccountId(uuid::Uuid::nil()),
            confirmation_id: ConfirmationId(uuid::Uuid::nil()),
            kind: "confirmation",
            dedupe_key: at.to_string(),
            recipient: "ops@example.com".into(),
            recipient_hash: vec![7; 32],
            message_id: "m".into(),
        };
        let _ = tokio::time::timeout(patience, store.reserve_notice(new, 10, DAY, T)).await;
        let leased = tokio::time::timeout(patience, store.lease_jobs(1, T, T.plus(DAY))).await;
        if let Ok(Ok(leases)) = leased
            && let Some(lease) = leases.first()
        {
            let _ = tokio::time::timeout(patience, store.start_job(*lease, T, T.plus(DAY))).await;
            let done = store.finish_job(*lease, &JobOutcome::Done, T);
            let _ = tokio::time::timeout(patience, done).await;
        }
        let tick = store.tick_schedule("purge", T, &job, T);
        let _ = tokio::time::timeout(patience, tick).await;
    }
    // Whatever was left half-way is over, and the next caller does not pay for it.
    db.assert_nothing_open().await;
    let (it, _) = db.service_account(&account, T).await;
    db.issue(&it, T, NewToken::default()).await;
    store.record_uses(&marks).await.unwrap();
    let found = store
        .uses(&marks.iter().map(|it| it.credential).collect::<Vec<_>>())
        .await;
    let counts: Vec<i64> = found.unwrap().values().map(|it| it.uses).collect();
    assert_eq!(counts.len(), 20);
    assert!(
        counts.iter().all(|count| *count == counts[0]),
        "a batch is whole: {counts:?}"
    );
    db.assert_nothing_open().await;
}
