//! The set-based change: which rows a sweep sees, and what happens to them.

use crate::harness::*;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use symbolon_domain::verdict::{CredentialFacts, LoadedFacts, standing};
use symbolon_domain::{
    ActorRef, Credential, CredentialId, CredentialStatus, Dice, Digest, Reason, RevokeReason,
    Timestamp, retire,
};
use symbolon_store::{EndedPage, FoundCredential, Store};

on_both!(
    the_predicate_agrees_with_the_domain,
    the_oldest_ends_come_first_in_bounded_pages,
    recorded_ends_come_with_their_events_or_not_at_all,
    a_change_beside_it_keeps_the_recorded_end,
    racing_sweeps_record_each_end_once,
    a_row_that_another_holds_is_left_to_it,
);

fn loaded(found: FoundCredential) -> LoadedFacts {
    LoadedFacts {
        credential: CredentialFacts::of(&found.credential, Digest::of("")).unwrap(),
        service_account: found.service_account,
        account: found.account,
    }
}

/// The ids that a sweep at `now` would be shown; records nothing.
async fn seen(store: &Store, now: Timestamp) -> HashSet<CredentialId> {
    let ids = Arc::new(Mutex::new(HashSet::new()));
    let into = ids.clone();
    let count = store.change_page(now, 10_000, move |page| {
        into.lock().unwrap().extend(page.iter().map(|it| it.id));
        EndedPage::default()
    });
    let count = count.await.unwrap();
    let ids = Arc::try_unwrap(ids).unwrap().into_inner().unwrap();
    assert_eq!(ids.len(), count);
    ids
}

/// Rows of every make: each time around `T`, to the microsecond, or absent.
async fn the_predicate_agrees_with_the_domain(db: Db) {
    let account = db.account().await;
    let mut dice = dice();
    let mut roll = |sides: u8| {
        let mut byte = [0];
        dice.fill(&mut byte);
        byte[0] % sides
    };
    let time = |side: u8| match side {
        0..=4 => Some(Timestamp::from_micros(T.as_micros() + i64::from(side) - 2)),
        _ => None,
    };
    let mut planted = Vec::new();
    for _ in 0..400 {
        let mut it = direct_credential(&account, T.minus(DAY));
        it.expires_at = time(roll(7));
        it.retires_at = time(roll(7));
        it.not_before = time(roll(20));
        it.end_recorded_at = (roll(5) == 0).then_some(T);
        it.status = match roll(5) {
            0 => CredentialStatus::Suspended { at: T },
            1 => CredentialStatus::Revoked {
                at: T,
                by: ActorRef::Operator,
                reason: RevokeReason::Requested,
            },
            _ => CredentialStatus::Active,
        };
        planted.push(it);
    }
    db.plant(&account, planted.clone()).await;
    let (mut ended, mut expired) = (0, 0);
    for offset in -3..=3 {
        let now = Timestamp::from_micros(T.as_micros() + offset);
        let seen = seen(&db.store, now).await;
        for it in &planted {
            let wanted = retire::end_to_record(it, now).is_some();
            assert_eq!(seen.contains(&it.id), wanted, "{offset} µs: {it:?}");
            let found = db.store.find_with_owners(it.id).await.unwrap().unwrap();
            let standing = standing(loaded(found).view(), now);
            assert!(!wanted || standing.is_err(), "{offset} µs: {it:?}");
            let plain = it.status == CredentialStatus::Active && it.end_recorded_at.is_none();
            if plain && it.not_before.is_none_or(|start| now >= start) {
                assert_eq!(
                    wanted,
                    standing == Err(Reason::Expired),
                    "{offset} µs: {it:?}"
                );
                expired += usize::from(wanted);
            }
            ended += usize::from(wanted);
        }
    }
    assert!(
        expired > 100 && ended > expired,
        "the rows were worth asking about"
    );
}

fn recording(now: Timestamp) -> impl FnOnce(&[Credential]) -> EndedPage + Send + 'static {
    move |page| {
        let authority = symbolon_domain::Authority::instance();
        let asking = symbolon_domain::change::Asking {
            now,
            by: ActorRef::Schedule,
            authority: &authority,
            request: None,
            client_ip: None,
        };
        let mut dice = dice();
        let mut wanted = EndedPage::default();
        for it in page {
            let kind = retire::end_to_record(it, now).unwrap();
            wanted.recorded.push(it.id);
            wanted
                .events
                .push(retire::end_event(it, kind, &asking, &mut dice));
        }
        wanted
    }
}

async fn ending(db: &Db, count: u32) -> (symbolon_domain::Account, Vec<Credential>) {
    let account = db.account().await;
    let mut planted: Vec<Credential> = (0..count)
        .map(|at| {
            let mut it = direct_credential(&account, T.minus(DAY));
            it.expires_at = Some(T.minus(at * SECOND));
            it
        })
        .collect();
    db.plant(&account, planted.clone()).await;
    planted.reverse();
    (account, planted)
}

async fn the_oldest_ends_come_first_in_bounded_pages(db: Db) {
    let (_, oldest_first) = ending(&db, 5).await;
    for wanted in oldest_first.chunks(2) {
        let ids: Vec<_> = wanted.iter().map(|it| it.id).collect();
        let count = db.store.change_page(T, 2, move |page| {
            assert_eq!(page.iter().map(|it| it.id).collect::<Vec<_>>(), ids);
            recording(T)(page)
        });
        assert_eq!(count.await.unwrap(), wanted.len());
    }
    assert_eq!(db.store.change_page(T, 2, recording(T)).await.unwrap(), 0);
    assert_eq!(db.count("events WHERE kind = 'token.expired'").await, 5);
    assert_eq!(
        db.count("feed WHERE kind <> 'account'").await,
        0,
        "refused since the instant itself"
    );
}

async fn recorded_ends_come_with_their_events_or_not_at_all(db: Db) {
    ending(&db, 3).await;
    for _ in 0..4 {
        let broken = db.store.change_page(T, 10, |_| panic!("on purpose")).await;
        assert!(broken.is_err());
    }
    // An event that cannot be written takes the recorded ends with it.
    let twice = db.store.change_page(T, 10, |page| {
        let mut wanted = recording(T)(page);
        wanted.events.push(wanted.events[0].clone());
        wanted
    });
    assert!(twice.await.is_err());
    assert_eq!(
        db.count("credentials WHERE end_recorded_at IS NOT NULL")
            .await,
        0
    );
    assert_eq!(db.count("events WHERE kind = 'token.expired'").await, 0);
    db.assert_nothing_open().await;
    assert_eq!(db.store.change_page(T, 10, recording(T)).await.unwrap(), 3);
}

async fn a_change_beside_it_keeps_the_recorded_end(db: Db) {
    let account = db.account().await;
    let mut new = service_account("short");
    new.expiry = symbolon_domain::account::ExpiryRequest::At(T.plus(SECOND));
    let (it, issued) = db.create(&account, T, new).await;
    let (id, now) = (issued.credential.id, T.plus(MINUTE));
    let store = db.store.clone();
    let slow = tokio::spawn(async move {
        change(&store, token_of(&it, id), now, move |view, asking, mint| {
            // The row is read; the sweep comes by before it is written.
            pause(Duration::from_millis(400));
            retire::suspend_token(view, asking, id, Default::default(), mint.dice)
        })
        .await
    });
    tokio::time::sleep(Duration::from_millis(150)).await;
    let seen = db.store.change_page(now, 10, recording(now)).await.unwrap();
    slow.await.unwrap().unwrap();
    let found = db.credential(&issued.credential).await;
    assert_eq!(seen, 1);
    assert_eq!(found.end_recorded_at, Some(now));
    assert_eq!(found.status, CredentialStatus::Suspended { at: now });
    assert_eq!(found.version, 2);
}

async fn racing_sweeps_record_each_end_once(db: Db) {
    ending(&db, 60).await;
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let store = db.store.clone();
        racers.spawn(async move {
            let mut mine = 0;
            loop {
                match store.change_page(T, 7, recording(T)).await.unwrap() {
                    0 => return mine,
                    count => mine += count,
                }
            }
        });
    }
    let mut recorded: usize = racers.join_all().await.into_iter().sum();
    while let count @ 1.. = db.store.change_page(T, 7, recording(T)).await.unwrap() {
        recorded += count;
    }
    assert_eq!(recorded, 60);
    assert_eq!(db.count("events WHERE kind = 'token.expired'").await, 60);
    assert_eq!(
        db.count("credentials WHERE end_recorded_at IS NULL").await,
        0
    );
}

async fn a_row_that_another_holds_is_left_to_it(db: Db) {
    let (_, oldest_first) = ending(&db, 3).await;
    if db.is_pg() {
        let (client, connection) = tokio_postgres::connect(db.url(), tokio_postgres::NoTls)
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        let held = oldest_first[0].id;
        let lock = format!("BEGIN; SELECT 1 FROM credentials WHERE id = '{held}' FOR UPDATE");
        client.batch_execute(&lock).await.unwrap();
        assert_eq!(db.store.change_page(T, 10, recording(T)).await.unwrap(), 2);
        client.batch_execute("ROLLBACK").await.unwrap();
        drop(client);
        driver.await.unwrap().unwrap();
        assert_eq!(db.store.change_page(T, 10, recording(T)).await.unwrap(), 1);
    } else {
        // One writer: nobody else can hold a row.
        assert_eq!(db.store.change_page(T, 10, recording(T)).await.unwrap(), 3);
    }
    assert_eq!(db.count("events WHERE kind = 'token.expired'").await, 3);
}
