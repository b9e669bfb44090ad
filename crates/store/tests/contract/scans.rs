//! With 100,000 credentials, PostgreSQL's planner left to itself finds every row by an index.

use crate::harness::*;
use std::collections::BTreeMap;
use symbolon_domain::{AccountId, CredentialId, ServiceAccountId};
use symbolon_store::{
    EndedPage, EventQuery, Page, ServiceAccountQuery, Store, TokenQuery, USE_BATCH, UseMark,
};

/// So often that a generic plan is looked at too.
const TIMES: usize = 8;
/// The tables that grow with the credentials.
const LARGE: &str = "('credentials', 'service_accounts', 'jobs', 'events', 'credential_use', \
                     'credential_use_days')";

/// How rows spread over accounts and states.
struct Spread {
    /// SQL: the account's number, from the service account's number `s`.
    account: &'static str,
    /// SQL: whether the row number `n` is over.
    over: &'static str,
}

/// 45,000 service accounts with two tokens each, 10,000 tokens of accounts and as many jobs and events.
async fn fill(db: &Db, spread: &Spread) {
    let Spread { account, over } = spread;
    let id = |kind: &str, number: &str| {
        format!("('{kind}0000000-0000-7000-8000-' || lpad(to_hex({number}), 12, '0'))::uuid")
    };
    let (account_id, service_account_id) = (id("a", account), id("b", "s"));
    let (owned_id, direct_id, job_id) = (id("c", "n"), id("d", "s"), id("e", "s"));
    let event_id = id("f", "s");
    let one_account = id("a", "s");
    let statement = format!(
        "INSERT INTO accounts SELECT {one_account}, 'a' || s, 'a' || s, 'active', NULL, '[]', 'sym_', NULL, NULL, false, 10, \
           now(), 'operator', now(), 1 FROM generate_series(1, 100) s;
         INSERT INTO service_accounts SELECT {service_account_id}, {account_id}, NULL, 'name ' || s, 'name ' || s, NULL, NULL, NULL, \
           'en', 'none', NULL, NULL, NULL, 0, '', false, CASE WHEN {over} THEN 'revoked' ELSE 'active' END, NULL, \
           CASE WHEN {over} THEN now() END, CASE WHEN {over} THEN 'operator' END, now(), 'operator', now(), 1 \
           FROM (SELECT s, s AS n FROM generate_series(1, 45000) s) x;
         INSERT INTO credentials SELECT {owned_id}, {account_id}, {service_account_id}, NULL, 'opaque', 'p' || n, 'sym_', 'last', \
           decode(repeat('00', 72), 'hex'), 1, NULL, '', n % 2 = 0, {owned_id}, \
           CASE WHEN {over} AND n % 4 < 2 THEN 'revoked' ELSE 'active' END, NULL, \
           CASE WHEN {over} AND n % 4 < 2 THEN now() END, CASE WHEN {over} AND n % 4 < 2 THEN 'operator' END, \
           CASE WHEN {over} AND n % 4 < 2 THEN 'requested' END, NULL, ends, NULL, ends, \
           CASE WHEN {over} AND n % 4 >= 2 THEN now() END, now(), 'operator', now(), 1 \
           FROM (SELECT n, (n + 1) / 2 AS s, CASE WHEN n % 3 = 0 OR n % 100 = 1 THEN now() + (n - 1000) * interval '1 minute' END AS ends \
             FROM generate_series(1, 90000) n) x;
         INSERT INTO credentials SELECT {direct_id}, {account_id}, NULL, NULL, 'opaque', 'd' || s, 'sym_', 'last', \
           decode(repeat('00', 72), 'hex'), 1, NULL, '', false, {direct_id}, \
           CASE WHEN {over} THEN 'revoked' ELSE 'active' END, NULL, CASE WHEN {over} THEN now() END, \
           CASE WHEN {over} THEN 'operator' END, CASE WHEN {over} THEN 'requested' END, NULL, NULL, NULL, NULL, NULL, \
           now(), 'operator', now(), 1 FROM (SELECT s, s AS n FROM generate_series(1, 10000) s) x;
         INSERT INTO jobs SELECT {job_id}, 'purge', '{{}}', now() + (s - 500) * interval '1 minute', 0, NULL, NULL, 0, NULL, \
           CASE WHEN {over} THEN 'done' END, now(), CASE WHEN {over} THEN now() END \
           FROM (SELECT s, s AS n FROM generate_series(1, 20000) s) x;
         INSERT INTO events SELECT {event_id}, {account_id}, now(), 'token.issued', 'operator', NULL, NULL, NULL, \
           {service_account_id}, NULL, NULL, NULL, '{{}}' FROM (SELECT s, s AS n FROM generate_series(1, 20000) s) x;
         INSERT INTO credential_use SELECT id, now(), now(), 1 FROM credentials WHERE service_account_id IS NOT NULL;
         INSERT INTO credential_use_days SELECT credential_id, day, 1 FROM credential_use, \
           generate_series(extract(epoch FROM now())::bigint / 86400 - 1, extract(epoch FROM now())::bigint / 86400) day;
         ANALYZE"
    );
    db.execute(&statement).await;
    assert_eq!(db.count("credentials").await, 100_000);
}

fn numbered(kind: u128, number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128((kind << 124) | (7 << 76) | (8 << 60) | number)
}

/// Every statement that must not scan, on one account.
async fn ask(store: &Store, account: AccountId, number: u128) {
    for public_id in [
        format!("p{}", number * 2),
        format!("d{number}"),
        "nobody".into(),
    ] {
        store.find_by_public_id(&public_id).await.unwrap();
    }
    let owner = ServiceAccountId(numbered(0xb, number));
    assert!(
        store
            .find_service_account(account, owner)
            .await
            .unwrap()
            .is_some()
    );
    for include_revoked in [false, true] {
        let query = ServiceAccountQuery {
            include_revoked,
            ..Default::default()
        };
        let mut page = Page {
            after: None,
            limit: 51,
        };
        for _ in 0..2 {
            let found = store
                .list_service_accounts(account, &query, page)
                .await
                .unwrap();
            page.after = found.last().map(|it| it.id.0);
            let ids: Vec<_> = found.iter().map(|it| it.id).collect();
            let primaries = store.primaries(&ids).await.unwrap();
            let credentials: Vec<_> = primaries.values().map(|it| it.id).collect();
            store.uses(&credentials).await.unwrap();
        }
        for service_account in [Some(owner), None] {
            let query = TokenQuery {
                account,
                service_account,
                environment: None,
                include_revoked,
                kind: None,
            };
            let mut page = Page {
                after: None,
                limit: 51,
            };
            for _ in 0..2 {
                let found = store.list_credentials(query, page).await.unwrap();
                page.after = found.last().map(|it| it.id.0);
            }
        }
    }
    let page = Page {
        after: None,
        limit: 51,
    };
    store
        .list_events(account, &EventQuery::default(), page)
        .await
        .unwrap();
    let of_one = EventQuery {
        service_account: Some(owner),
        ..Default::default()
    };
    store.list_events(account, &of_one, page).await.unwrap();
    let now = store.database_time().await.unwrap().unwrap();
    store.lease_jobs(10, now, now.plus(MINUTE)).await.unwrap();
    store.bury_exhausted(12, now).await.unwrap();
    store.outstanding_jobs(now).await.unwrap();
    let count = store
        .change_page(now, 50, |_| EndedPage::default())
        .await
        .unwrap();
    assert!(count > 0, "the expiry page has something to look at");
    // As many at once as are ever written: some known, some purged, from anywhere.
    let marks: Vec<UseMark> = (0..USE_BATCH as u128)
        .map(|at| UseMark {
            credential: CredentialId(numbered(0xc, (number + at) * 19 % 95_000 + 1)),
            first_used_at: now,
            last_used_at: now,
            uses: 1,
        })
        .collect();
    store.record_uses(&marks).await.unwrap();
    let days = store.credential_days(CredentialId(numbered(0xc, number)), 0);
    assert!(days.await.unwrap().len() >= 2);
    let target = symbolon_domain::change::Target::ServiceAccount {
        account,
        id: owner,
        credential: None,
        environment: None,
        description: Some("none has it".into()),
    };
    change(store, target, now, |view, _, _| {
        Ok((view.service_account()?.id, Default::default()))
    })
    .await
    .unwrap();
}

/// Sequential scans of the large tables so far. Sessions report when they end, all but the listener's.
async fn scans(db: &Db) -> BTreeMap<String, i64> {
    eventually("the sessions have ended", async || {
        let others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                      AND backend_type = 'client backend' AND query NOT LIKE 'LISTEN%'";
        (db.count(others).await == 0).then_some(())
    })
    .await;
    let statement = format!(
        "SELECT relname || ' ' || seq_scan FROM pg_stat_user_tables WHERE relname IN {LARGE}"
    );
    let lines = symbolon_store::testing::rows(db.url(), &statement).await;
    let of_line = |line: String| {
        let (table, count) = line.split_once(' ').unwrap();
        (table.to_owned(), count.parse().unwrap())
    };
    lines.into_iter().map(of_line).collect()
}

async fn never_scans(db: Db, spread: Spread, service_accounts: [u128; 2]) {
    fill(&db, &spread).await;
    let before = scans(&db).await;
    {
        // One session, so that each statement is repeated in it.
        let store = db.again(|settings| settings.pool_size = 1);
        for number in service_accounts {
            let public_id = format!("p{}", number * 2);
            let found = store.find_by_public_id(&public_id).await.unwrap().unwrap();
            for _ in 0..TIMES {
                ask(&store, found.account.id, number).await;
            }
        }
    }
    assert_eq!(scans(&db).await, before);
    // The measure itself: a scan is seen.
    let statement = "SELECT count(*) FROM credentials WHERE description = 'nothing like it'";
    db.execute(statement).await;
    assert!(scans(&db).await["credentials"] > before["credentials"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_live_and_evenly_spread() {
    let Some(db) = postgres("scans::everything_live_and_evenly_spread").await else {
        return;
    };
    let spread = Spread {
        account: "s % 100 + 1",
        over: "false",
    };
    never_scans(db, spread, [17, 40_000]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nearly_everything_over_and_one_account_holding_most() {
    let test = "scans::nearly_everything_over_and_one_account_holding_most";
    let Some(db) = postgres(test).await else {
        return;
    };
    let spread = Spread {
        account: "(CASE WHEN s % 10 = 0 THEN s % 100 + 1 ELSE 1 END)",
        over: "n % 20 <> 0",
    };
    // One of a small account, and one of the giant.
    never_scans(db, spread, [20, 7]).await;
}
