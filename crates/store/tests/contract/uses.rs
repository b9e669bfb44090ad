//! Uses of credentials: added up in all and by day, whoever flushes when.

use crate::harness::*;
use std::collections::HashMap;
use symbolon_domain::{Credential, CredentialId, Timestamp};
use symbolon_store::{CredentialUse, USE_BATCH, UseMark};

on_both!(
    uses_add_up_and_go_forward_only,
    uses_of_what_was_purged_are_dropped,
    several_marks_of_one_credential_are_one_row,
    uses_count_for_their_day,
    a_large_batch_loses_nothing,
    racing_flushes_add_up,
    days_are_tracked_since_the_migration,
);

fn used(credential: CredentialId, first: Timestamp, last: Timestamp, uses: i64) -> UseMark {
    UseMark {
        credential,
        first_used_at: first,
        last_used_at: last,
        uses,
    }
}

async fn planted(db: &Db, count: usize) -> Vec<CredentialId> {
    let account = db.account().await;
    let credentials: Vec<Credential> = (0..count).map(|_| direct_credential(&account, T)).collect();
    let ids = credentials.iter().map(|it| it.id).collect();
    db.plant(&account, credentials).await;
    ids
}

async fn uses_of(db: &Db, id: CredentialId) -> CredentialUse {
    let found = db.store.uses(&[id]).await.unwrap();
    found.get(&id).copied().unwrap_or_default()
}

fn between(first: Timestamp, last: Timestamp, uses: i64) -> CredentialUse {
    CredentialUse {
        first_used_at: Some(first),
        last_used_at: Some(last),
        uses,
    }
}

async fn uses_add_up_and_go_forward_only(db: Db) {
    let account = db.account().await;
    let (credential, unused) = (
        direct_credential(&account, T),
        direct_credential(&account, T),
    );
    let id = credential.id;
    db.plant(&account, vec![credential.clone(), unused.clone()])
        .await;
    let at = |seconds: u32| T.plus(seconds * SECOND);
    for (first, last, uses, wanted) in [
        (1, 5, 3, between(at(1), at(5), 3)),
        // A late flush of another process: it counts, it began earlier, and it turns nothing back.
        (0, 2, 4, between(at(0), at(5), 7)),
        (5, 5, 1, between(at(0), at(5), 8)),
        (6, 9, 1, between(at(0), at(9), 9)),
    ] {
        let mark = used(id, at(first), at(last), uses);
        db.store.record_uses(&[mark]).await.unwrap();
        assert_eq!(uses_of(&db, id).await, wanted);
    }
    let found = db.store.uses(&[id, unused.id]).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), [&id]);
    assert_eq!(db.store.credential_days(unused.id, 0).await.unwrap(), []);
    // They live in tables of their own.
    assert_eq!(db.credential(&credential).await.version, 1);
    db.store.record_uses(&[]).await.unwrap();
}

async fn uses_of_what_was_purged_are_dropped(db: Db) {
    let ids = planted(&db, 1).await;
    let gone = CredentialId::new(T, &mut dice());
    let marks = [used(gone, T, T, 1), used(ids[0], T, T, 1)];
    db.store.record_uses(&marks).await.unwrap();
    assert_eq!(db.count("credential_use").await, 1);
    assert_eq!(db.count("credential_use_days").await, 1);
    assert_eq!(uses_of(&db, ids[0]).await, between(T, T, 1));
    db.store.record_uses(&[used(gone, T, T, 1)]).await.unwrap();
    assert_eq!(db.count("credential_use").await, 1);
}

async fn several_marks_of_one_credential_are_one_row(db: Db) {
    let ids = planted(&db, 2).await;
    let later = T.plus(MINUTE);
    let marks = [
        used(ids[0], T.plus(SECOND), later, 2),
        used(ids[1], T, T, 1),
        used(ids[0], T, T.plus(SECOND), 5),
        used(ids[0], later.plus(DAY), later.plus(DAY), 10),
    ];
    // Once into nothing, once onto what is there.
    for times in [1, 2] {
        db.store.record_uses(&marks).await.unwrap();
        let all = between(T, later.plus(DAY), 17 * times);
        assert_eq!(uses_of(&db, ids[0]).await, all);
        let days = db.store.credential_days(ids[0], 0).await.unwrap();
        let today = T.day();
        assert_eq!(days, [(today, 7 * times), (today + 1, 10 * times)]);
        assert_eq!(uses_of(&db, ids[1]).await, between(T, T, times));
    }
}

async fn uses_count_for_their_day(db: Db) {
    let ids = planted(&db, 2).await;
    let today = T.day();
    assert_eq!((today, Timestamp::from_micros(-1).day()), (20_779, -1));
    let last = T.plus(DAY - TICK);
    let marks = [
        used(ids[0], T.minus(TICK), T.minus(TICK), 1),
        used(ids[0], T, last, 2),
        used(ids[0], last.plus(TICK), last.plus(TICK), 4),
        used(ids[0], T.plus(30 * DAY), T.plus(30 * DAY), 8),
        used(ids[1], T, T, 16),
    ];
    for mark in marks.iter().rev() {
        db.store.record_uses(&[*mark]).await.unwrap();
    }
    let all = [(today - 1, 1), (today, 2), (today + 1, 4), (today + 30, 8)];
    for (since, wanted) in [
        (0, &all[..]),
        (today - 1, &all[..]),
        (today, &all[1..]),
        (today + 2, &all[3..]),
        (today + 31, &[]),
    ] {
        let days = db.store.credential_days(ids[0], since).await.unwrap();
        assert_eq!(days, wanted, "since {since}");
    }
}

/// More than fit into one batch, the known ones at its edges.
async fn a_large_batch_loses_nothing(db: Db) {
    let ids = planted(&db, 3).await;
    let mut dice = dice();
    let mut marks: Vec<UseMark> = (0..USE_BATCH + 1)
        .map(|_| used(CredentialId::new(T, &mut dice), T, T, 1))
        .collect();
    for (at, id) in [(0, ids[0]), (USE_BATCH - 1, ids[1]), (USE_BATCH, ids[2])] {
        marks[at].credential = id;
    }
    if db.is_pg() {
        db.execute(
            "CREATE TABLE written (transaction xid8, statement timestamptz, target text);
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO written VALUES (pg_current_xact_id(), statement_timestamp(), TG_TABLE_NAME);
               RETURN NULL; END $$;
             CREATE TRIGGER note AFTER INSERT ON credential_use FOR EACH STATEMENT EXECUTE FUNCTION note();
             CREATE TRIGGER note AFTER INSERT ON credential_use_days FOR EACH STATEMENT EXECUTE FUNCTION note()",
        )
        .await;
    }
    db.store.record_uses(&marks).await.unwrap();
    for id in &ids {
        assert_eq!(uses_of(&db, *id).await, between(T, T, 1));
    }
    assert_eq!(db.count("credential_use").await, 3);
    if db.is_pg() {
        // Two tables by each of two statements.
        let statements = "(SELECT DISTINCT transaction, statement FROM written) AS statements";
        let counts = (db.count("written").await, db.count(statements).await);
        assert_eq!(counts, (4, 2));
    }
}

async fn racing_flushes_add_up(db: Db) {
    const RACERS: usize = 6;
    let wide = db.again(|settings| settings.pool_size = RACERS);
    let ids = planted(&db, 40).await;
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..RACERS {
        let (store, mut ids) = (wide.clone(), ids.clone());
        // Each comes with an order of its own.
        ids.rotate_left(racer * 7);
        if racer % 2 == 0 {
            ids.reverse();
        }
        racers.spawn(async move {
            for _ in 0..5 {
                let days = [T, T.plus(DAY)];
                let marks: Vec<_> = ids
                    .iter()
                    .flat_map(|id| days.map(|at| used(*id, at, at, 1)))
                    .collect();
                store.record_uses(&marks).await.unwrap();
            }
        });
    }
    racers.join_all().await;
    let each = 5 * RACERS as i64;
    let found = db.store.uses(&ids).await.unwrap();
    let wanted = between(T, T.plus(DAY), 2 * each);
    let wanted: HashMap<_, _> = ids.iter().map(|id| (*id, wanted)).collect();
    assert_eq!(found, wanted);
    for id in ids {
        let days = db.store.credential_days(id, 0).await.unwrap();
        assert_eq!(days, [(T.day(), each), (T.day() + 1, each)]);
    }
}

async fn days_are_tracked_since_the_migration(db: Db) {
    let within_the_hour = if db.is_pg() {
        "instance WHERE uses_tracked_since BETWEEN now() - interval '1 hour' AND now()"
    } else {
        "instance WHERE uses_tracked_since BETWEEN (unixepoch() - 3600) * 1000000 AND unixepoch() * 1000000"
    };
    assert_eq!(db.count(within_the_hour).await, 1);
    let time = if db.is_pg() {
        "to_timestamp(1795305600)"
    } else {
        "1795305600000000"
    };
    db.execute(&format!("UPDATE instance SET uses_tracked_since = {time}"))
        .await;
    assert_eq!(db.store.uses_tracked_since().await.unwrap(), T);
}
