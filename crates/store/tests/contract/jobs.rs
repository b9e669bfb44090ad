//! The queue: leases, starts, outcomes.

use crate::harness::*;
use std::collections::HashSet;
use std::sync::Arc;
use symbolon_domain::{Job, JobId, NewJob, Timestamp};
use symbolon_store::{JobFilter, JobOutcome, JobRow, JobState, Lease, Store};
use tokio::sync::Barrier;

on_both!(
    due_jobs_are_leased_once_and_in_order,
    racing_leasers_never_share_a_row,
    an_older_lease_can_do_nothing,
    a_handed_over_job_starts_once,
    a_settled_lease_starts_no_more,
    outcomes,
    exhausted_jobs_are_buried,
    operators_retry_and_cancel_what_no_worker_has,
    an_embedded_start_frees_all_leases,
    jobs_of_a_newer_release_are_left_alone,
);

async fn enqueue(store: &Store, run_at: Timestamp) -> JobId {
    let new = NewJob::new(Job::Purge {}, T, run_at, &mut dice());
    store.enqueue(std::slice::from_ref(&new), T).await.unwrap();
    new.id
}

pub async fn lease_one(store: &Store, now: Timestamp) -> Lease {
    let leases = store.lease_jobs(10, now, now.plus(MINUTE)).await.unwrap();
    assert_eq!(leases.len(), 1);
    leases[0]
}

async fn row(store: &Store, id: JobId, now: Timestamp) -> JobRow {
    let filter = JobFilter {
        id: Some(id),
        limit: 1,
        ..JobFilter::default()
    };
    store.list_jobs(&filter, now).await.unwrap().remove(0)
}

async fn due_jobs_are_leased_once_and_in_order(db: Db) {
    let store = &db.store;
    let late = enqueue(store, T.plus(2 * SECOND)).await;
    let early = enqueue(store, T.plus(SECOND)).await;
    let now = T.plus(SECOND).minus(TICK);
    assert!(
        store
            .lease_jobs(10, now, now.plus(MINUTE))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        lease_one(store, T.plus(SECOND)).await,
        Lease {
            id: early,
            lease_no: 1
        }
    );
    let now = T.plus(2 * SECOND);
    assert_eq!(
        lease_one(store, now).await,
        Lease {
            id: late,
            lease_no: 1
        }
    );
    assert_eq!(store.outstanding_jobs(now).await.unwrap(), 2);
    // The end of a lease is too late to hold it.
    let over = T.plus(SECOND + MINUTE);
    assert_eq!(store.outstanding_jobs(over).await.unwrap(), 1);
    assert_eq!(
        lease_one(store, over).await,
        Lease {
            id: early,
            lease_no: 2
        }
    );
    // The longest due first, whatever the order of making; never more than asked for.
    for at in [3u32, 1, 2] {
        enqueue(store, T.plus(at * MINUTE)).await;
    }
    let now = T.plus(DAY);
    let leases = store.lease_jobs(3, now, now.plus(MINUTE)).await.unwrap();
    let mut due: Vec<_> = Vec::new();
    for lease in &leases {
        due.push(row(store, lease.id, now).await.run_at);
    }
    due.sort();
    assert_eq!(due, [T.plus(SECOND), T.plus(2 * SECOND), T.plus(MINUTE)]);
}

async fn racing_leasers_never_share_a_row(db: Db) {
    let new: Vec<NewJob> = (0..200)
        .map(|_| NewJob::new(Job::Purge {}, T, T, &mut dice()))
        .collect();
    db.store.enqueue(&new, T).await.unwrap();
    let barrier = Arc::new(Barrier::new(8));
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, barrier) = (db.store.clone(), barrier.clone());
        racers.spawn(async move {
            barrier.wait().await;
            let mut mine = Vec::new();
            loop {
                let leases = store.lease_jobs(7, T, T.plus(MINUTE)).await.unwrap();
                assert!(leases.len() <= 7);
                if leases.is_empty() {
                    return mine;
                }
                mine.extend(leases);
            }
        });
    }
    let mut leases: Vec<Lease> = racers.join_all().await.concat();
    // One that found others at work may have gone with less than there was.
    leases.extend(db.store.lease_jobs(200, T, T.plus(MINUTE)).await.unwrap());
    assert_eq!(leases.len(), 200);
    assert_eq!(
        leases.iter().map(|it| it.id).collect::<HashSet<_>>().len(),
        200
    );
    assert!(leases.iter().all(|it| it.lease_no == 1));
}

async fn an_older_lease_can_do_nothing(db: Db) {
    let store = &db.store;
    enqueue(store, T).await;
    let old = lease_one(store, T).await;
    let now = T.plus(MINUTE);
    let new = lease_one(store, now).await;
    assert!(
        store
            .start_job(old, now, now.plus(MINUTE))
            .await
            .unwrap()
            .is_none()
    );
    assert!(!store.finish_job(old, &JobOutcome::Done, now).await.unwrap());
    assert_eq!(
        store
            .start_job(new, now, now.plus(MINUTE))
            .await
            .unwrap()
            .unwrap()
            .attempt,
        1
    );
    // Started under the older lease, finished after it was lost.
    let later = now.plus(MINUTE);
    let newest = lease_one(store, later).await;
    for outcome in [
        JobOutcome::Done,
        JobOutcome::Released,
        JobOutcome::Buried { error: "x".into() },
    ] {
        assert!(!store.finish_job(new, &outcome, later).await.unwrap());
    }
    let started = store
        .start_job(newest, later, later.plus(MINUTE))
        .await
        .unwrap();
    assert_eq!(started.unwrap().attempt, 2);
    assert!(
        store
            .finish_job(newest, &JobOutcome::Done, later)
            .await
            .unwrap()
    );
}

async fn a_handed_over_job_starts_once(db: Db) {
    let store = &db.store;
    let id = enqueue(store, T).await;
    let lease = lease_one(store, T).await;
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let store = store.clone();
        racers.spawn(async move { store.start_job(lease, T, T.plus(MINUTE)).await.unwrap() });
    }
    let started: Vec<_> = racers.join_all().await.into_iter().flatten().collect();
    assert_eq!(started.len(), 1);
    assert_eq!(started[0].job, Some(Job::Purge {}));
    assert_eq!((started[0].attempt, started[0].created_at), (1, T));
    assert_eq!(row(store, id, T).await.state, JobState::Running);
}

/// A transport may hand the same lease over again, long after its outcome was written.
async fn a_settled_lease_starts_no_more(db: Db) {
    let store = &db.store;
    for outcome in [
        JobOutcome::Done,
        JobOutcome::Buried { error: "x".into() },
        JobOutcome::Postponed {
            until: T.plus(DAY),
            error: "x".into(),
        },
        JobOutcome::Deferred {
            until: T.plus(DAY),
            reason: "x".into(),
        },
        JobOutcome::Released,
    ] {
        let id = enqueue(store, T).await;
        let lease = lease_one(store, T).await;
        assert!(
            store
                .start_job(lease, T, T.plus(MINUTE))
                .await
                .unwrap()
                .is_some()
        );
        assert!(store.finish_job(lease, &outcome, T).await.unwrap());
        assert!(
            store
                .start_job(lease, T, T.plus(MINUTE))
                .await
                .unwrap()
                .is_none(),
            "{outcome:?}"
        );
        let other = JobOutcome::Buried {
            error: "late".into(),
        };
        assert!(
            !store.finish_job(lease, &other, T).await.unwrap(),
            "{outcome:?}"
        );
        store.cancel_job(id, T).await.unwrap();
    }
}

async fn outcomes(db: Db) {
    let store = &db.store;
    let id = enqueue(store, T).await;
    let mut now = T;
    let begin = async |now: Timestamp| {
        let lease = lease_one(store, now).await;
        let started = store.start_job(lease, now, now.plus(MINUTE)).await.unwrap();
        (lease, started.unwrap().attempt)
    };

    let (lease, attempt) = begin(now).await;
    assert_eq!(attempt, 1);
    let until = now.plus(MINUTE);
    let outcome = JobOutcome::Postponed {
        until,
        error: "451".into(),
    };
    assert!(store.finish_job(lease, &outcome, now).await.unwrap());
    let found = row(store, id, now).await;
    assert_eq!(
        (found.state, found.attempt, found.run_at),
        (JobState::Waiting, 1, until)
    );
    assert_eq!(found.last_error.as_deref(), Some("451"));
    assert_eq!(store.outstanding_jobs(now).await.unwrap(), 0);

    now = until;
    let (lease, attempt) = begin(now).await;
    assert_eq!((attempt, lease.lease_no), (2, 2));
    let until = now.plus(MINUTE);
    let outcome = JobOutcome::Deferred {
        until,
        reason: "enough for today".into(),
    };
    assert!(store.finish_job(lease, &outcome, now).await.unwrap());
    assert_eq!(row(store, id, now).await.attempt, 1);

    now = until;
    let lease = lease_one(store, now).await;
    assert!(
        store
            .finish_job(lease, &JobOutcome::Released, now)
            .await
            .unwrap()
    );
    assert_eq!(row(store, id, now).await.state, JobState::Due);
    assert_eq!(row(store, id, now).await.attempt, 1);

    let (lease, attempt) = begin(now).await;
    assert_eq!(attempt, 2);
    let outcome = JobOutcome::Buried {
        error: "550 no".into(),
    };
    assert!(store.finish_job(lease, &outcome, now).await.unwrap());
    let found = row(store, id, now).await;
    assert_eq!((found.state, found.done_at), (JobState::Buried, Some(now)));
    assert_eq!(found.last_error.as_deref(), Some("550 no"));
    assert!(
        store
            .lease_jobs(10, now.plus(DAY), now.plus(2 * DAY))
            .await
            .unwrap()
            .is_empty()
    );

    let id = enqueue(store, T).await;
    let (lease, _) = begin(now).await;
    assert!(
        store
            .finish_job(lease, &JobOutcome::Done, now)
            .await
            .unwrap()
    );
    let found = row(store, id, now).await;
    assert_eq!((found.state, found.done_at), (JobState::Done, Some(now)));
}

async fn exhausted_jobs_are_buried(db: Db) {
    let store = &db.store;
    let id = enqueue(store, T).await;
    let mut now = T;
    for attempt in 1..=3 {
        assert_eq!(store.bury_exhausted(3, now).await.unwrap(), 0);
        let lease = lease_one(store, now).await;
        let started = store.start_job(lease, now, now.plus(MINUTE)).await.unwrap();
        assert_eq!(started.unwrap().attempt, attempt);
        // Its worker dies; while its time runs, it is not given up.
        assert_eq!(
            store
                .bury_exhausted(3, now.plus(MINUTE - TICK))
                .await
                .unwrap(),
            0
        );
        now = now.plus(MINUTE);
        // Dead or alive? Shown as due again, since it is.
        let filter = JobFilter {
            state: Some(JobState::Due),
            limit: 10,
            ..JobFilter::default()
        };
        let due = store.list_jobs(&filter, now).await.unwrap();
        assert_eq!((due.len(), due[0].state), (1, JobState::Due));
    }
    assert_eq!(store.bury_exhausted(3, now).await.unwrap(), 1);
    assert_eq!(row(store, id, now).await.state, JobState::Buried);
    assert!(
        store
            .lease_jobs(10, now, now.plus(MINUTE))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.bury_exhausted(3, now).await.unwrap(), 0);
}

async fn operators_retry_and_cancel_what_no_worker_has(db: Db) {
    let store = &db.store;
    let id = enqueue(store, T).await;
    let lease = lease_one(store, T).await;
    assert!(!store.retry_job(id, T).await.unwrap() && !store.cancel_job(id, T).await.unwrap());
    store
        .start_job(lease, T, T.plus(MINUTE))
        .await
        .unwrap()
        .unwrap();
    let outcome = JobOutcome::Buried { error: "x".into() };
    store.finish_job(lease, &outcome, T).await.unwrap();
    assert!(!store.cancel_job(id, T).await.unwrap(), "it is over");
    assert!(store.retry_job(id, T).await.unwrap());
    let found = row(store, id, T).await;
    assert_eq!(
        (found.state, found.attempt, found.done_at),
        (JobState::Due, 0, None)
    );
    assert!(
        store
            .start_job(lease, T, T.plus(MINUTE))
            .await
            .unwrap()
            .is_none(),
        "the old lease"
    );
    assert!(store.cancel_job(id, T).await.unwrap());
    assert_eq!(row(store, id, T).await.state, JobState::Cancelled);
    assert!(
        store
            .lease_jobs(10, T, T.plus(MINUTE))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.retry_job(id, T).await.unwrap());
    let lease = lease_one(store, T).await;
    store.finish_job(lease, &JobOutcome::Done, T).await.unwrap();
    assert!(!store.retry_job(id, T).await.unwrap(), "done is done");
    let waiting = enqueue(store, T.plus(DAY)).await;
    assert!(store.retry_job(waiting, T).await.unwrap());
    assert_eq!(row(store, waiting, T).await.run_at, T);
    assert!(!store.retry_job(JobId(uuid::Uuid::nil()), T).await.unwrap());
    for (state, count) in [
        (JobState::Done, 1),
        (JobState::Due, 1),
        (JobState::Buried, 0),
        (JobState::Cancelled, 0),
        (JobState::Waiting, 0),
        (JobState::Running, 0),
    ] {
        let filter = JobFilter {
            state: Some(state),
            limit: 10,
            ..JobFilter::default()
        };
        let found = store.list_jobs(&filter, T).await.unwrap();
        assert_eq!(found.len(), count, "{state:?}");
        assert!(found.iter().all(|it| it.state == state));
    }
}

async fn an_embedded_start_frees_all_leases(db: Db) {
    let store = &db.store;
    enqueue(store, T).await;
    enqueue(store, T).await;
    let leases = store.lease_jobs(2, T, T.plus(DAY)).await.unwrap();
    store
        .start_job(leases[0], T, T.plus(DAY))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(store.release_all_leases().await.unwrap(), 2);
    assert!(
        store
            .start_job(leases[1], T, T.plus(DAY))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        !store
            .finish_job(leases[0], &JobOutcome::Done, T)
            .await
            .unwrap()
    );
    assert_eq!(store.lease_jobs(10, T, T.plus(DAY)).await.unwrap().len(), 2);
}

async fn jobs_of_a_newer_release_are_left_alone(db: Db) {
    let id = enqueue(&db.store, T).await;
    db.execute("UPDATE jobs SET name = 'of_the_future'").await;
    let lease = lease_one(&db.store, T).await;
    let started = db
        .store
        .start_job(lease, T, T.plus(MINUTE))
        .await
        .unwrap()
        .unwrap();
    assert!(started.job.is_none());
    assert_eq!(
        (started.name.as_str(), started.lease.id),
        ("of_the_future", id)
    );
}
