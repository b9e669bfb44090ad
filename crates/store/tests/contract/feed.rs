//! The feed: the order of positions is the order in which they become visible, and whoever waits is woken.

use crate::harness::*;
use std::collections::HashSet;
use std::time::Duration;
use symbolon_domain::account::{self, AccountPatch};
use symbolon_domain::change::{Changes, FeedKind, FeedMark, Target};
use symbolon_store::{Changed, Signal, Store};

on_both!(
    a_reader_loses_nothing_while_eight_write,
    rows_come_in_order_and_in_pages,
    kinds_of_a_newer_release_are_passed_over,
    a_commit_wakes_this_process_and_others,
    a_refusal_wakes_nobody,
    a_change_tells_the_position_of_its_last_row,
);

async fn mark(store: &Store, version: i64) {
    let target = Target::within(symbolon_domain::AccountId(uuid::Uuid::nil()));
    let changes = Changes {
        feed: vec![FeedMark {
            kind: FeedKind::Credential,
            id: uuid::Uuid::from_u128(7),
            version,
        }],
        ..Changes::default()
    };
    change(store, target, T, move |_, _, _| Ok(((), changes)))
        .await
        .unwrap();
}

async fn a_reader_loses_nothing_while_eight_write(db: Db) {
    const EACH: i64 = 40;
    let wide = db.again(|settings| settings.pool_size = 8);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let store = wide.clone();
        writers.spawn(async move {
            for at in 0..EACH {
                mark(&store, writer * EACH + at).await;
            }
        });
    }
    let (mut last, mut seen, mut polls) = (0, Vec::new(), 0);
    loop {
        // Asked before the read: what was committed before it must be in it.
        let over = writers.is_empty();
        let rows = db.store.feed_from(last + 1, 1000).await.unwrap();
        last = rows.last().map_or(last, |it| it.seq);
        seen.extend(rows.iter().map(|it| it.mark.unwrap().version));
        polls += 1;
        if over {
            break;
        }
        while writers.try_join_next().is_some() {}
    }
    assert!(polls > 3, "it was read while it was written");
    assert_eq!(seen.len(), 8 * EACH as usize);
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), seen.len());
    assert_eq!(
        db.store.feed_end().await.unwrap().map(|it| it.seq),
        Some(last)
    );
}

async fn rows_come_in_order_and_in_pages(db: Db) {
    assert_eq!(db.store.feed_end().await.unwrap(), None);
    for version in 0..5 {
        mark(&db.store, version).await;
    }
    let all = db.store.feed_from(0, 10).await.unwrap();
    assert!(all.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert_eq!(all.len(), 5);
    assert_eq!(db.store.feed_from(0, 2).await.unwrap(), all[..2]);
    // A row is asked for by its own position.
    assert_eq!(db.store.feed_from(all[2].seq, 10).await.unwrap(), all[2..]);
    assert_eq!(db.store.feed_from(all[4].seq + 1, 10).await.unwrap(), []);
    assert_eq!(db.store.feed_end().await.unwrap(), Some(all[4]));
}

async fn kinds_of_a_newer_release_are_passed_over(db: Db) {
    mark(&db.store, 1).await;
    db.execute("UPDATE feed SET kind = 'of_the_future'").await;
    let rows = db.store.feed_from(0, 10).await.unwrap();
    assert_eq!((rows.len(), rows[0].mark), (1, None));
}

async fn a_commit_wakes_this_process_and_others(db: Db) {
    let mut here = db.store.signal(Signal::Feed);
    let mut jobs = db.store.signal(Signal::Jobs);
    let other = db.again(|_| {});
    let mut there = other.signal(Signal::Feed);
    let mut jobs_there = other.signal(Signal::Jobs);
    if db.is_pg() {
        eventually("both listen", async || {
            let listening = "pg_stat_activity WHERE datname = current_database() \
                             AND query LIKE 'LISTEN%'";
            (db.count(listening).await == 2).then_some(())
        })
        .await;
    }
    let nowhere = Target::within(symbolon_domain::AccountId(uuid::Uuid::nil()));
    let account = change(&db.store, nowhere, T, |_, asking, mint| {
        let patch = AccountPatch::default();
        let (account, mut changes) = account::create(asking, name("Acme"), patch, mint.dice)?;
        // Unmarked, so that only what follows can wake anybody.
        changes.feed.clear();
        Ok((account, changes))
    })
    .await
    .unwrap();
    assert!(!here.has_changed().unwrap() && !jobs.has_changed().unwrap());
    let mut new = service_account("billing");
    new.contact_email = Some(email("ops@example.com"));
    db.create(&account, T, new).await;
    assert!(jobs.has_changed().unwrap());
    assert!(!here.has_changed().unwrap(), "a creation is no mark");
    mark(&db.store, 1).await;
    assert!(here.has_changed().unwrap());
    here.mark_unchanged();
    jobs.mark_unchanged();
    if db.is_pg() {
        for signal in [&mut there, &mut jobs_there] {
            let woken = tokio::time::timeout(Duration::from_secs(5), signal.changed()).await;
            woken.expect("a notification arrives").unwrap();
        }
    } else {
        // Another process of SQLite finds it by its own poll.
        assert!(!there.has_changed().unwrap() && !jobs_there.has_changed().unwrap());
    }
    assert_eq!(other.feed_from(0, 10).await.unwrap().len(), 1);
}

async fn a_refusal_wakes_nobody(db: Db) {
    let account = db.account().await;
    let (it, _) = db.service_account(&account, T).await;
    // What the account's creation told comes back to us, too, a little later.
    let told = db.store.signal(Signal::Feed);
    loop {
        let before = *told.borrow();
        tokio::time::sleep(Duration::from_millis(300)).await;
        if *told.borrow() == before {
            break;
        }
    }
    let feed = db.store.signal(Signal::Feed);
    let jobs = db.store.signal(Signal::Jobs);
    let refused = change(&db.store, the(&it), T, |_, _, _| {
        Err::<((), Changes), _>(symbolon_domain::Code::InvalidAction.into())
    });
    assert!(refused.await.is_err());
    assert!(!feed.has_changed().unwrap() && !jobs.has_changed().unwrap());
}

async fn a_change_tells_the_position_of_its_last_row(db: Db) {
    let target = Target::within(symbolon_domain::AccountId(uuid::Uuid::nil()));
    for rows in [0, 1, 3] {
        let marks = (0..rows).map(|version| FeedMark {
            kind: FeedKind::Account,
            id: uuid::Uuid::from_u128(9),
            version,
        });
        let changes = Changes {
            feed: marks.collect(),
            ..Changes::default()
        };
        let decide = deciding(T, move |_, _, _| Ok(((), changes)));
        let changed = db.store.change(target.clone(), T, None, decide).await;
        let Changed::Done { position, .. } = changed.unwrap() else {
            panic!("nothing was claimed");
        };
        let end = db.store.feed_end().await.unwrap();
        let wanted = end.filter(|_| rows > 0);
        assert_eq!(position, wanted.map(|it| it.seq));
        let version = wanted.map(|it| it.mark.unwrap().version);
        assert_eq!(version, (rows > 0).then_some(rows - 1));
    }
}
