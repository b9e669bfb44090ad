//! Migrations, health, and copies of a database.

use crate::Store;
use crate::backend::{Backend, Lite, asked, read};
use crate::error::{Error, Result};
use diesel::QueryResult;
use diesel::migration::MigrationSource;
use diesel::sql_types::Text;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::path::Path;
use symbolon_domain::Timestamp;

pub(crate) const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
pub(crate) const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// One migrator at a time.
const MIGRATION_LOCK: i64 = 0x5359_4d42_4d49_4752;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn migration_error(error: AnyError) -> Error {
    Error::Broken(format!("migration: {error}"))
}

#[derive(diesel::QueryableByName)]
struct Now {
    #[diesel(sql_type = crate::types::sql::Ts)]
    now: crate::types::Ts,
}

#[derive(diesel::QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

impl Store {
    /// Applies what is missing; returns the names. Must run on a multi-thread runtime.
    pub async fn migrate(&self) -> Result<Vec<String>> {
        let pending = self.pending_migrations().await?;
        let run = self
            .with_harness(|harness, migrations| harness.run_pending(migrations))
            .await?;
        // The harness tells versions, which are the digits that a name begins with; another process may
        // have run some of them meanwhile.
        let version = |name: &str| -> String {
            let date = name.split('_').next().unwrap_or(name);
            date.chars().filter(char::is_ascii_digit).collect()
        };
        Ok(pending
            .into_iter()
            .filter(|name| run.contains(&version(name)))
            .collect())
    }

    /// The names of migrations that this release brings and the database lacks. Extra ones, of a newer
    /// release, are not looked at. Reads only, as any other question does.
    pub async fn pending_migrations(&self) -> Result<Vec<String>> {
        let run = self.migrations_run().await?;
        match &self.backend {
            Backend::Pg { .. } => lacking::<diesel::pg::Pg>(&POSTGRES, &run),
            Backend::Lite { .. } => lacking::<diesel::sqlite::Sqlite>(&SQLITE, &run),
        }
    }

    /// The versions of all migrations that the database has seen.
    async fn migrations_run(&self) -> Result<Vec<String>> {
        let find_table = match &self.backend {
            Backend::Pg { .. } => {
                "SELECT 'there' AS line WHERE to_regclass('__diesel_schema_migrations') IS NOT NULL"
            }
            Backend::Lite { .. } => {
                "SELECT 'there' AS line FROM sqlite_master WHERE name = '__diesel_schema_migrations'"
            }
        };
        let found: Vec<Line> = read!(self, |c| diesel::sql_query(find_table).load(c).await)?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let versions = "SELECT version AS line FROM __diesel_schema_migrations";
        let found: Vec<Line> = read!(self, |c| diesel::sql_query(versions).load(c).await)?;
        Ok(found.into_iter().map(|it| it.line).collect())
    }

    /// Takes all migrations back: for tests of the migrations themselves.
    #[cfg(feature = "testing")]
    pub async fn revert_all(&self) -> Result<Vec<String>> {
        self.with_harness(|harness, migrations| harness.revert_all(migrations))
            .await
    }

    /// Acts on the migrations, alone.
    async fn with_harness(
        &self,
        act: impl FnOnce(
            &mut dyn Harness,
            EmbeddedMigrations,
        ) -> std::result::Result<Vec<String>, AnyError>,
    ) -> Result<Vec<String>> {
        match &self.backend {
            Backend::Pg { connect, .. } => {
                let mut connection = connect
                    .open()
                    .await
                    .map_err(|error| Error::Unavailable(error.to_string()))?;
                // Building an index may take longer than a request is given.
                connection
                    .batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")
                    .await?;
                diesel::sql_query("SELECT pg_advisory_lock($1)")
                    .bind::<diesel::sql_types::BigInt, _>(MIGRATION_LOCK)
                    .execute(&mut connection)
                    .await?;
                let mut harness = AsyncMigrationHarness::<AsyncPgConnection>::new(connection);
                // The connection is closed afterwards, and the lock with it.
                act(&mut PgHarness(&mut harness), POSTGRES).map_err(migration_error)
            }
            Backend::Lite { write, .. } => {
                let held = write.get().await?;
                let mut harness = AsyncMigrationHarness::new(held);
                act(&mut LiteHarness(&mut harness), SQLITE).map_err(migration_error)
            }
        }
    }

    /// The database answers.
    pub async fn ping(&self) -> Result<()> {
        read!(vital self, |c| c.batch_execute("SELECT 1").await)?;
        Ok(())
    }

    /// The database's clock; SQLite has none of its own.
    pub async fn database_time(&self) -> Result<Option<Timestamp>> {
        let Backend::Pg { vital, .. } = &self.backend else {
            return Ok(None);
        };
        let now: QueryResult<Now> = asked!(vital, |c| diesel::sql_query(
            "SELECT clock_timestamp() AS now"
        )
        .get_result(c)
        .await);
        Ok(Some(now?.now.0))
    }

    /// One line that names the server and what about the connection matters, for `doctor`.
    pub async fn describe(&self) -> Result<String> {
        match &self.backend {
            Backend::Pg { pool, .. } => {
                let about = "\
                    SELECT 'PostgreSQL ' || current_setting('server_version') || ', ' || CASE WHEN \
                     (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) THEN 'TLS' ELSE 'no TLS' END \
                     || ', synchronous_commit=' || current_setting('synchronous_commit') AS line";
                let row: QueryResult<Line> =
                    asked!(pool, |c| diesel::sql_query(about).get_result(c).await);
                Ok(row?.line)
            }
            Backend::Lite { read, .. } => {
                let mut held = read.get().await?;
                let c: &mut Lite = &mut held;
                let row: Line = diesel::sql_query("SELECT 'SQLite ' || sqlite_version() AS line")
                    .get_result(c)
                    .await?;
                Ok(row.line)
            }
        }
    }

    /// Whether the connection keeps its session between transactions. A transaction-pooling pgbouncer
    /// does not: time-outs set once, `LISTEN`, and advisory locks of a migration need a session.
    pub async fn keeps_sessions(&self) -> Result<bool> {
        let Backend::Pg { pool, .. } = &self.backend else {
            return Ok(true);
        };
        asked!(pool, |c| probe_session(c).await)
    }

    /// Copies a SQLite database, online and consistent, to a new file.
    ///
    /// # Errors
    /// [`Error::Broken`] on PostgreSQL (use `pg_dump`), or when the file exists.
    pub async fn backup(&self, to: &Path) -> Result<()> {
        let Backend::Lite { read, .. } = &self.backend else {
            return Err(Error::Broken(
                "only SQLite is copied here; use pg_dump for PostgreSQL".into(),
            ));
        };
        let path = to
            .to_str()
            .ok_or_else(|| Error::Broken("the path is not UTF-8".into()))?
            .to_owned();
        let mut held = read.get().await?;
        let c: &mut Lite = &mut held;
        diesel::sql_query("VACUUM INTO ?1")
            .bind::<Text, _>(path)
            .execute(c)
            .await?;
        Ok(())
    }

    /// Where the SQLite file is.
    pub fn sqlite_path(&self) -> Option<&Path> {
        match &self.backend {
            Backend::Lite { path, .. } => Some(path),
            Backend::Pg { .. } => None,
        }
    }

    /// Makes the write-ahead log small again; done at a clean stop.
    pub async fn checkpoint(&self) -> Result<()> {
        if let Backend::Lite { write, .. } = &self.backend {
            let mut held = write.get().await?;
            let c: &mut Lite = &mut held;
            c.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        }
        Ok(())
    }
}

async fn probe_session(c: &mut AsyncPgConnection) -> Result<bool> {
    c.batch_execute("SET symbolon.session_probe = 'kept'")
        .await?;
    for _ in 0..5 {
        let row: Line = diesel::sql_query(
            "SELECT coalesce(current_setting('symbolon.session_probe', true), '') AS line",
        )
        .get_result(c)
        .await?;
        if row.line != "kept" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The names of those of `all` whose version is not among `run`, oldest first.
fn lacking<DB: diesel::backend::Backend>(
    all: &EmbeddedMigrations,
    run: &[String],
) -> Result<Vec<String>> {
    let all = MigrationSource::<DB>::migrations(all).map_err(migration_error)?;
    let mut lacking: Vec<String> = all
        .iter()
        .filter(|it| !run.contains(&it.name().version().to_string()))
        .map(|it| it.name().to_string())
        .collect();
    lacking.sort_unstable();
    Ok(lacking)
}

/// What is done with migrations, whichever the database.
trait Harness {
    fn run_pending(
        &mut self,
        all: EmbeddedMigrations,
    ) -> std::result::Result<Vec<String>, AnyError>;
    #[cfg(feature = "testing")]
    fn revert_all(&mut self, all: EmbeddedMigrations)
    -> std::result::Result<Vec<String>, AnyError>;
}

struct PgHarness<'a>(&'a mut AsyncMigrationHarness<AsyncPgConnection>);
struct LiteHarness<'a>(&'a mut AsyncMigrationHarness<crate::backend::LiteObject>);

macro_rules! harness {
    ($name:ident) => {
        impl Harness for $name<'_> {
            fn run_pending(
                &mut self,
                all: EmbeddedMigrations,
            ) -> std::result::Result<Vec<String>, AnyError> {
                let run = self.0.run_pending_migrations(all)?;
                Ok(run.iter().map(ToString::to_string).collect())
            }

            #[cfg(feature = "testing")]
            fn revert_all(
                &mut self,
                all: EmbeddedMigrations,
            ) -> std::result::Result<Vec<String>, AnyError> {
                Ok(self
                    .0
                    .revert_all_migrations(all)?
                    .iter()
                    .map(ToString::to_string)
                    .collect())
            }
        }
    };
}
harness!(PgHarness);
harness!(LiteHarness);
