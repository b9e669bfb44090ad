//! Schedules: claimed by compare-and-set, so that each run happens once.

use crate::harness::*;
use crate::jobs::lease_one;
use std::sync::Arc;
use symbolon_domain::{Job, NewJob, Timestamp};
use symbolon_store::{JobOutcome, Store};
use tokio::sync::Barrier;

on_both!(
    racing_tickers_enqueue_once,
    after_a_week_asleep_a_schedule_runs_once,
    a_run_under_way_is_not_doubled,
);

async fn racing_tickers_enqueue_once(db: Db) {
    // The first run ever, and one after it.
    for now in [T, T.plus(MINUTE)] {
        let barrier = Arc::new(Barrier::new(10));
        let mut racers = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (store, barrier) = (db.store.clone(), barrier.clone());
            racers.spawn(async move {
                let job = NewJob::new(Job::Purge {}, now, now, &mut dice());
                barrier.wait().await;
                store
                    .tick_schedule("purge", now.plus(MINUTE), &job, now)
                    .await
                    .unwrap()
            });
        }
        let won = racers
            .join_all()
            .await
            .into_iter()
            .filter(|won| *won)
            .count();
        assert_eq!(won, 1);
        let lease = lease_one(&db.store, now).await;
        db.store
            .finish_job(lease, &JobOutcome::Done, now)
            .await
            .unwrap();
    }
    assert_eq!(db.count("jobs").await, 2);
}

async fn tick(store: &Store, now: Timestamp) -> bool {
    let job = NewJob::new(Job::Purge {}, now, now, &mut dice());
    store
        .tick_schedule("purge", now.plus(MINUTE), &job, now)
        .await
        .unwrap()
}

async fn after_a_week_asleep_a_schedule_runs_once(db: Db) {
    let store = &db.store;
    assert!(tick(store, T).await);
    let lease = lease_one(store, T).await;
    store.finish_job(lease, &JobOutcome::Done, T).await.unwrap();
    assert!(!tick(store, T.plus(MINUTE - TICK)).await);
    let awake = T.plus(7 * DAY);
    assert!(tick(store, awake).await);
    assert!(!tick(store, awake).await);
    assert!(!tick(store, awake.plus(MINUTE - TICK)).await);
    let rows = store.list_schedules().await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].next_run_at, rows[0].last_run_at),
        (awake.plus(MINUTE), Some(awake))
    );
    assert_eq!(db.count("jobs").await, 2);
}

async fn a_run_under_way_is_not_doubled(db: Db) {
    let store = &db.store;
    assert!(tick(store, T).await);
    assert!(!tick(store, T.plus(MINUTE)).await, "the first is not over");
    let lease = lease_one(store, T.plus(MINUTE)).await;
    store
        .finish_job(lease, &JobOutcome::Done, T.plus(MINUTE))
        .await
        .unwrap();
    assert!(tick(store, T.plus(2 * MINUTE)).await);
}
