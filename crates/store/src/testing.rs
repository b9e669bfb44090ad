//! A fresh, migrated database per test, on either backend. Only for tests.

use crate::{Location, Store, StoreSettings};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database that is removed with the value.
pub struct TestDatabase {
    pub store: Store,
    pub settings: StoreSettings,
    pub name: &'static str,
    directory: Option<PathBuf>,
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            // Best effort: what is left lies in the system's temporary directory.
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

impl TestDatabase {
    /// Runs one statement past the product.
    pub async fn execute(&self, statement: &str) {
        match &self.settings.location {
            Location::Postgres(url) => execute(url, statement).await,
            Location::Sqlite(path) => {
                use diesel::Connection;
                use diesel::connection::SimpleConnection;
                let path = path.to_str().expect("temporary paths are text");
                let mut connection =
                    diesel::sqlite::SqliteConnection::establish(path).expect("the file is there");
                let statement = format!("PRAGMA busy_timeout = 5000; {statement}");
                connection
                    .batch_execute(&statement)
                    .expect("the statement runs");
            }
        }
    }
}

fn unique() -> String {
    format!(
        "symbolon_t{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A migrated SQLite file.
pub async fn sqlite() -> TestDatabase {
    let directory = std::env::temp_dir().join(unique());
    // A process with the same id may have died here before.
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
    let settings = StoreSettings::new(Location::Sqlite(directory.join("test.db")));
    let store = Store::open(&settings).expect("settings of tests are right");
    store.migrate().await.expect("migrations run");
    TestDatabase {
        store,
        settings,
        name: "sqlite",
        directory: Some(directory),
    }
}

/// A migrated database on the server that `cargo xtask test` started; `None` without one.
///
/// Migrations run once a process, into a template that the others are copied from.
pub async fn postgres() -> Option<TestDatabase> {
    static TEMPLATE: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();
    let base = std::env::var("SYMBOLON_TEST_POSTGRES_URL")
        .ok()
        .filter(|url| !url.is_empty())?;
    let template = TEMPLATE
        .get_or_init(|| async {
            let name = unique();
            create(&base, &name, None).await;
            // On a runtime of its own: the connections must be gone before the copy.
            let url = with_database(&base, &name);
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_all()
                    .build();
                runtime.expect("a runtime starts").block_on(async {
                    let store = Store::open(&StoreSettings::new(Location::Postgres(url)))
                        .expect("the URL parses");
                    store.migrate().await.expect("migrations run");
                });
            })
            .join()
            .expect("migrations do not panic");
            name
        })
        .await;
    let name = unique();
    create(&base, &name, Some(template)).await;
    let mut settings = StoreSettings::new(Location::Postgres(with_database(&base, &name)));
    settings.pool_size = 3;
    let store = Store::open(&settings).expect("the URL parses");
    Some(TestDatabase {
        store,
        settings,
        name: "postgres",
        directory: None,
    })
}

impl Store {
    /// Holds the next change at this place, its transaction open.
    pub fn hold_change(&self, place: crate::ChangePlace) -> crate::gate::Held {
        self.hooks.gates.close(place)
    }

    /// Plants a fault: changes by this store leave out the lock of the feed.
    pub fn skip_feed_lock(&self) {
        self.hooks.skips_feed_lock.store(true, Ordering::Relaxed);
    }
}

/// A database without any table on the test server.
pub async fn empty_postgres() -> Option<StoreSettings> {
    let base = std::env::var("SYMBOLON_TEST_POSTGRES_URL")
        .ok()
        .filter(|url| !url.is_empty())?;
    let name = unique();
    create(&base, &name, None).await;
    Some(StoreSettings::new(Location::Postgres(with_database(
        &base, &name,
    ))))
}

fn with_database(base: &str, name: &str) -> String {
    let (path, query) = base
        .split_once('?')
        .map_or((base, None), |(path, query)| (path, Some(query)));
    let server = path.rsplit_once('/').map_or(path, |(server, _)| server);
    query.map_or_else(
        || format!("{server}/{name}"),
        |query| format!("{server}/{name}?{query}"),
    )
}

async fn create(base: &str, name: &str, template: Option<&str>) {
    let template = template
        .map(|it| format!(" TEMPLATE {it}"))
        .unwrap_or_default();
    execute(base, &format!("CREATE DATABASE {name}{template}")).await;
}

/// Runs one statement on a database by itself, for tests that look behind the store.
pub async fn execute(url: &str, statement: &str) {
    rows(url, statement).await;
}

/// The first column of each row as text.
pub async fn rows(url: &str, statement: &str) -> Vec<String> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("the server answers");
    let driver = tokio::spawn(connection);
    let messages = client
        .simple_query(statement)
        .await
        .expect("the statement runs");
    drop(client);
    let _ = driver.await;
    let text = |message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => {
            Some(row.get(0).unwrap_or_default().to_owned())
        }
        _ => None,
    };
    messages.into_iter().filter_map(text).collect()
}

/// Writes the new rows of `changes` by plain INSERTs in one transaction, through the store's own pool: what
/// a create costs at least, for benches to compare with.
///
/// # Errors
/// Whatever the database refuses.
pub async fn insert_rows(
    store: &Store,
    changes: &symbolon_domain::Changes,
    now: symbolon_domain::Timestamp,
) -> crate::Result<()> {
    use crate::rows::*;
    use crate::schema::*;
    use diesel::ExpressionMethods;
    use diesel_async::RunQueryDsl;
    crate::backend::tx!(store, |c, _locked, _on_pg| {
        macro_rules! insert_all {
            ($table:ident, $row:ty, $list:expr) => {
                for it in $list {
                    diesel::insert_into($table::table)
                        .values(<$row>::from(it))
                        .execute(c)
                        .await?;
                }
            };
        }
        insert_all!(
            service_accounts,
            ServiceAccountRow,
            &changes.new_service_accounts
        );
        insert_all!(credentials, CredentialRow, &changes.new_credentials);
        for id in changes.numbered() {
            diesel::insert_into(numbers::table)
                .values(numbers::id.eq(crate::types::Uid(id)))
                .execute(c)
                .await?;
        }
        insert_all!(confirmations, ConfirmationRow, &changes.new_confirmations);
        insert_all!(events, EventRow, &changes.events);
        for it in &changes.jobs {
            let row = crate::jobs::new_row(it, now);
            diesel::insert_into(jobs::table)
                .values(row)
                .execute(c)
                .await?;
        }
        Ok(())
    })
}

/// A copy of a credential, with an identity and a secret of its own.
pub struct Twin {
    pub id: symbolon_domain::CredentialId,
    /// Made as a copy of the original's where it is not there yet.
    pub service_account: symbolon_domain::ServiceAccountId,
    pub is_primary: bool,
    pub public_id: String,
    pub last4: String,
    /// Under the same version of the key file as the original's.
    pub sealed: Vec<u8>,
}

/// Writes copies of a service account's credential in bulk, for benches. PostgreSQL only.
pub async fn multiply(url: &str, original: symbolon_domain::CredentialId, twins: &[Twin]) {
    const AT_ONCE: usize = 20_000;
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("the server answers");
    let driver = tokio::spawn(connection);
    let copying = async |table: &str, own: &[(&str, &str)], from: &str, rest: &str| {
        let columns = rows(
            url,
            &format!(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' \
                 AND table_name = '{table}' ORDER BY ordinal_position"
            ),
        )
        .await;
        let values = columns.iter().map(|column| {
            let own = own.iter().find(|(name, _)| name == column);
            own.map_or_else(|| format!("t.{column}"), |(_, value)| value.to_string())
        });
        let values = values.collect::<Vec<_>>().join(", ");
        let columns = columns.join(", ");
        let statement = format!(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM {table} t, {from} WHERE {rest}"
        );
        client.prepare(&statement).await.expect("the columns exist")
    };
    let owners = copying(
        "service_accounts",
        &[("id", "x.id::uuid")],
        "unnest($1::text[]) AS x(id)",
        &format!(
            "t.id = (SELECT service_account_id FROM credentials WHERE id = '{original}') \
             ON CONFLICT DO NOTHING"
        ),
    )
    .await;
    let credentials = copying(
        "credentials",
        &[
            ("id", "x.id::uuid"),
            ("family_id", "x.id::uuid"),
            ("service_account_id", "x.owner::uuid"),
            ("is_primary", "x.is_primary"),
            ("public_id", "x.public_id"),
            ("last4", "x.last4"),
            ("sealed", "x.sealed"),
        ],
        "unnest($1::text[], $2::text[], $3::bool[], $4::text[], $5::text[], $6::bytea[]) \
         AS x(id, owner, is_primary, public_id, last4, sealed)",
        &format!("t.id = '{original}'"),
    )
    .await;
    for twins in twins.chunks(AT_ONCE) {
        let text = |part: fn(&Twin) -> String| twins.iter().map(part).collect::<Vec<_>>();
        let ids = text(|it| it.id.to_string());
        let of = text(|it| it.service_account.to_string());
        let is_primary: Vec<bool> = twins.iter().map(|it| it.is_primary).collect();
        let public_ids: Vec<&str> = twins.iter().map(|it| &*it.public_id).collect();
        let last4: Vec<&str> = twins.iter().map(|it| &*it.last4).collect();
        let sealed: Vec<&[u8]> = twins.iter().map(|it| &*it.sealed).collect();
        let written = client.execute(&owners, &[&of]).await;
        written.expect("copies of a service account are written");
        let written = client
            .execute(
                &credentials,
                &[&ids, &of, &is_primary, &public_ids, &last4, &sealed],
            )
            .await;
        written.expect("copies of a credential are written");
    }
    // As it would be for rows that came one by one.
    for table in ["service_accounts", "credentials"] {
        let vacuumed = client
            .batch_execute(&format!("VACUUM ANALYZE {table}"))
            .await;
        vacuumed.expect("a table is vacuumed");
    }
    drop(client);
    let _ = driver.await;
}

/// The join that a miss is answered from, by hand, for benches to compare with; whether it found anything.
///
/// # Errors
/// Whatever the database refuses.
pub async fn join_by_hand(store: &Store, public_id: &str) -> crate::Result<bool> {
    use crate::backend::read;
    use crate::rows::{AccountRow, CredentialRow, ServiceAccountRow};
    use crate::schema::{accounts, credentials, service_accounts};
    use diesel::prelude::*;
    use diesel_async::RunQueryDsl;
    type Row = (CredentialRow, Option<ServiceAccountRow>, AccountRow);
    let found: Option<Row> = read!(store, |c| credentials::table
        .inner_join(accounts::table)
        .left_join(service_accounts::table)
        .filter(credentials::public_id.eq(public_id))
        .select((
            CredentialRow::as_select(),
            Option::<ServiceAccountRow>::as_select(),
            AccountRow::as_select(),
        ))
        .first(c)
        .await
        .optional())?;
    Ok(found.is_some())
}
