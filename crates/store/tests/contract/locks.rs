//! A lock or a statement that takes too long: refused for now, and no transaction stays open.

use crate::harness::*;
use std::time::{Duration, Instant};
use symbolon_domain::change::Changes;
use symbolon_domain::issue::{self, NewToken};
use symbolon_store::Error;

on_both!(
    a_lock_that_is_not_had_in_time,
    many_who_wait_for_one_lock,
    a_server_that_is_not_there,
    misses_leave_connections_for_the_others,
);

/// Another session that holds the database's lock until told to let go.
struct Holder {
    release: tokio::sync::oneshot::Sender<()>,
    gone: tokio::task::JoinHandle<()>,
}

impl Holder {
    async fn of(db: &Db, account: symbolon_domain::AccountId) -> Self {
        let (release, released) = tokio::sync::oneshot::channel();
        let (held, holding) = tokio::sync::oneshot::channel();
        let gone = if db.is_pg() {
            let url = db.url().to_owned();
            tokio::spawn(async move {
                let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
                    .await
                    .unwrap();
                let driver = tokio::spawn(connection);
                let lock =
                    format!("BEGIN; SELECT 1 FROM accounts WHERE id = '{account}' FOR UPDATE");
                client.batch_execute(&lock).await.unwrap();
                held.send(()).unwrap();
                let _ = released.await;
                client.batch_execute("ROLLBACK").await.unwrap();
                drop(client);
                driver.await.unwrap().unwrap();
            })
        } else {
            let mut connection = db.lite();
            tokio::task::spawn_blocking(move || {
                use diesel::RunQueryDsl;
                diesel::sql_query("BEGIN IMMEDIATE")
                    .execute(&mut connection)
                    .unwrap();
                held.send(()).unwrap();
                let _ = released.blocking_recv();
                diesel::sql_query("ROLLBACK")
                    .execute(&mut connection)
                    .unwrap();
            })
        };
        holding.await.unwrap();
        Self { release, gone }
    }

    async fn let_go(self) {
        self.release.send(()).unwrap();
        self.gone.await.unwrap();
    }
}

async fn a_lock_that_is_not_had_in_time(db: Db) {
    let account = db.account().await;
    let (it, _) = db.service_account(&account, T).await;
    let store = db.again(|settings| {
        settings.lock_timeout = Duration::from_millis(200);
        settings.pool_size = 2;
    });
    let holder = Holder::of(&db, account.id).await;
    // More often than there are connections.
    for _ in 0..4 {
        let begun = Instant::now();
        let refused = change(&store, the(&it), T, |view, asking, mint| {
            issue::issue_token(view, asking, NewToken::default(), mint)
        })
        .await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
    }
    // Readers do not wait for writers.
    assert!(store.find_account(account.id).await.unwrap().is_some());
    holder.let_go().await;
    db.assert_nothing_open().await;
    change(&store, the(&it), T, |view, asking, mint| {
        issue::issue_token(view, asking, NewToken::default(), mint)
    })
    .await
    .unwrap();
    assert_eq!(db.count("credentials").await, 2);
    if db.is_pg() {
        let slow = db.again(|settings| settings.statement_timeout = Duration::from_millis(150));
        // Waiting for a row runs into whichever time-out is the shorter.
        let holder = Holder::of(&db, account.id).await;
        let refused = change(&slow, the(&it), T, |_, _, _| Ok(((), Changes::default()))).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        holder.let_go().await;
        db.assert_nothing_open().await;
        change(&slow, the(&it), T, |_, _, _| Ok(((), Changes::default())))
            .await
            .unwrap();
    }
}

async fn many_who_wait_for_one_lock(db: Db) {
    let account = db.account().await;
    let (it, _) = db.service_account(&account, T).await;
    let store = db.again(|settings| {
        settings.lock_timeout = Duration::from_millis(300);
        settings.pool_size = 2;
    });
    let holder = Holder::of(&db, account.id).await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (store, target) = (store.clone(), the(&it));
        waiting.spawn(async move {
            change(&store, target, T, |_, _, _| Ok(((), Changes::default()))).await
        });
    }
    for refused in waiting.join_all().await {
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    }
    holder.let_go().await;
    db.assert_nothing_open().await;
    change(&store, the(&it), T, |_, _, _| Ok(((), Changes::default())))
        .await
        .unwrap();
}

async fn a_server_that_is_not_there(db: Db) {
    let nowhere = db.again(|settings| {
        settings.connect_timeout = Duration::from_millis(500);
        settings.location = if db.is_pg() {
            let url = "postgres://someone:hunter2@127.0.0.1:1/nothing";
            symbolon_store::Location::Postgres(url.into())
        } else {
            symbolon_store::Location::Sqlite("/nonexistent/hunter2/x.db".into())
        };
    });
    let refused = nowhere.ping().await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    assert!(
        !format!("{refused} {refused:?}").contains("hunter2"),
        "{refused:?}"
    );
}

/// Anybody can ask for a credential that is not there, as often as they like.
async fn misses_leave_connections_for_the_others(db: Db) {
    let account = db.account().await;
    let store = db.again(|settings| settings.pool_size = 4);
    let blocked = db.is_pg().then(|| {
        // SQLite's readers wait for nobody.
        let url = db.url().to_owned();
        let lock = "BEGIN; LOCK TABLE credentials IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(2)";
        tokio::spawn(async move { symbolon_store::testing::execute(&url, lock).await })
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut misses = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let store = store.clone();
        misses.spawn(async move { store.find_by_public_id("0123456789abcdef").await });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    assert!(store.find_account(account.id).await.unwrap().is_some());
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    for miss in misses.join_all().await {
        assert!(miss.unwrap().is_none());
    }
    if let Some(blocked) = blocked {
        blocked.await.unwrap();
    }
}
