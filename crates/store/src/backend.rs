//! The two databases: how to open them, and the only place that tells them apart for reading and writing.

use crate::error::{Error, Result};
use crate::tls;
use deadpool::managed::Timeouts;
use diesel::ConnectionError;
use diesel::sqlite::SqliteConnection;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres_rustls::MakeRustlsConnect;

pub(crate) type Lite = SyncConnectionWrapper<SqliteConnection>;
pub(crate) type PgObject = Object<AsyncPgConnection>;
pub(crate) type LiteObject = Object<Lite>;

/// Readers of SQLite beside the one writer.
const LITE_READERS: usize = 4;

/// Where the database is and how patient to be with it.
#[derive(Clone)]
pub struct StoreSettings {
    pub location: Location,
    /// PostgreSQL connections at most.
    pub pool_size: usize,
    pub connect_timeout: Duration,
    pub lock_timeout: Duration,
    pub statement_timeout: Duration,
}

#[derive(Clone)]
pub enum Location {
    Sqlite(PathBuf),
    /// A URL that may hold a password; never printed.
    Postgres(String),
}

impl StoreSettings {
    pub fn new(location: Location) -> Self {
        Self {
            location,
            pool_size: 16,
            connect_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

#[derive(Clone)]
pub(crate) enum Backend {
    Pg {
        pool: Pool<AsyncPgConnection>,
        connect: Box<PgConnect>,
    },
    Lite {
        write: Pool<Lite>,
        read: Pool<Lite>,
        path: PathBuf,
    },
}

/// Opens PostgreSQL connections on the runtime that made it. A connection's driver lives where it was
/// opened, and an actix worker's runtime ends with the worker.
#[derive(Clone)]
pub(crate) struct PgConnect {
    target: tls::Target,
    setup: String,
    timeout: Duration,
    runtime: tokio::runtime::Handle,
}

impl PgConnect {
    pub async fn open(&self) -> diesel::ConnectionResult<AsyncPgConnection> {
        let this = self.clone();
        let opened = self.runtime.spawn(async move {
            tokio::time::timeout(this.timeout, this.establish())
                .await
                .unwrap_or_else(|_| {
                    Err(ConnectionError::BadConnection(
                        "timed out while connecting".into(),
                    ))
                })
        });
        opened
            .await
            .map_err(|error| ConnectionError::BadConnection(error.to_string()))?
    }

    async fn establish(&self) -> diesel::ConnectionResult<AsyncPgConnection> {
        let refused = |error: tokio_postgres::Error| {
            // The error's source says why; neither repeats the URL.
            let cause = std::error::Error::source(&error).map(|it| format!(": {it}"));
            ConnectionError::BadConnection(format!("{error}{}", cause.unwrap_or_default()))
        };
        let config = &self.target.config;
        let mut connection = match &self.target.tls {
            Some(tls) => {
                let tls = MakeRustlsConnect::new(tls.clone());
                let (client, driver) = config.connect(tls).await.map_err(refused)?;
                AsyncPgConnection::try_from_client_and_connection(client, driver).await?
            }
            None => {
                let (client, driver) = config
                    .connect(tokio_postgres::NoTls)
                    .await
                    .map_err(refused)?;
                AsyncPgConnection::try_from_client_and_connection(client, driver).await?
            }
        };
        connection
            .batch_execute(&self.setup)
            .await
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }
}

pub(crate) fn open(settings: &StoreSettings) -> Result<Backend> {
    match &settings.location {
        Location::Postgres(url) => open_postgres(url, settings),
        Location::Sqlite(path) => open_sqlite(path, settings),
    }
}

fn open_postgres(url: &str, settings: &StoreSettings) -> Result<Backend> {
    let mut target = tls::parse(url)?;
    target.config.connect_timeout(settings.connect_timeout);
    target.config.application_name("symbolon");
    target.config.keepalives_idle(Duration::from_secs(30));
    let setup = format!(
        "SET lock_timeout = {}; SET statement_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}; SET timezone = 'UTC'",
        settings.lock_timeout.as_millis(),
        settings.statement_timeout.as_millis(),
        settings.statement_timeout.as_millis(),
    );
    let connect = PgConnect {
        target,
        setup,
        timeout: settings.connect_timeout,
        runtime: tokio::runtime::Handle::current(),
    };
    let mut config = ManagerConfig::<AsyncPgConnection>::default();
    // A closed connection is told without asking the server: no extra round trip on each use.
    config.recycling_method = RecyclingMethod::Fast;
    let opener = connect.clone();
    config.custom_setup = Box::new(move |_| {
        let opener = opener.clone();
        Box::pin(async move { opener.open().await })
    });
    let manager = AsyncDieselConnectionManager::new_with_config(String::new(), config);
    let pool = pool(manager, settings.pool_size, settings)?;
    Ok(Backend::Pg {
        pool,
        connect: Box::new(connect),
    })
}

fn open_sqlite(path: &Path, settings: &StoreSettings) -> Result<Backend> {
    let busy = settings.lock_timeout.as_millis();
    let pragmas = format!(
        "PRAGMA busy_timeout = {busy}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000;"
    );
    let make = |size: usize| {
        let mut config = ManagerConfig::<Lite>::default();
        config.recycling_method = RecyclingMethod::Fast;
        let pragmas = pragmas.clone();
        config.custom_setup = Box::new(move |url| {
            let (url, pragmas) = (url.to_owned(), pragmas.clone());
            Box::pin(async move {
                let mut connection = Lite::establish(&url).await?;
                connection
                    .batch_execute(&pragmas)
                    .await
                    .map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(connection)
            })
        });
        let url = path
            .to_str()
            .ok_or_else(|| Error::Broken("database path is not UTF-8".into()))?;
        pool(
            AsyncDieselConnectionManager::new_with_config(url, config),
            size,
            settings,
        )
    };
    Ok(Backend::Lite {
        write: make(1)?,
        read: make(LITE_READERS)?,
        path: path.to_owned(),
    })
}

fn pool<C>(
    manager: AsyncDieselConnectionManager<C>,
    size: usize,
    settings: &StoreSettings,
) -> Result<Pool<C>>
where
    C: diesel_async::pooled_connection::PoolableConnection + 'static,
    AsyncDieselConnectionManager<C>:
        deadpool::managed::Manager<Type = C, Error = diesel_async::pooled_connection::PoolError>,
{
    let timeouts = Timeouts {
        wait: Some(settings.lock_timeout),
        create: Some(settings.connect_timeout),
        recycle: Some(settings.connect_timeout),
    };
    Pool::builder(manager)
        .max_size(size)
        .timeouts(timeouts)
        .runtime(deadpool::Runtime::Tokio1)
        .build()
        .map_err(|error| Error::Broken(error.to_string()))
}

/// Runs one body on either database, for reading.
macro_rules! read {
    ($store:expr, |$c:ident| $body:expr) => {
        match &$store.backend {
            $crate::backend::Backend::Pg { pool, .. } => {
                let mut held: $crate::backend::PgObject = pool.get().await?;
                let $c: &mut diesel_async::AsyncPgConnection = &mut held;
                $body
            }
            $crate::backend::Backend::Lite { read, .. } => {
                let mut held: $crate::backend::LiteObject = read.get().await?;
                let $c: &mut $crate::backend::Lite = &mut held;
                $body
            }
        }
    };
}

/// Runs one statement by itself on either database, for writing: its own transaction, without the round trips
/// of `BEGIN` and `COMMIT`.
macro_rules! alone {
    ($store:expr, |$c:ident| $body:expr) => {
        match &$store.backend {
            $crate::backend::Backend::Pg { pool, .. } => {
                let mut held: $crate::backend::PgObject = pool.get().await?;
                let $c: &mut diesel_async::AsyncPgConnection = &mut held;
                $body
            }
            $crate::backend::Backend::Lite { write, .. } => {
                let mut held: $crate::backend::LiteObject = write.get().await?;
                let $c: &mut $crate::backend::Lite = &mut held;
                $body
            }
        }
    };
}

/// Runs one body in a transaction on either database: `BEGIN` on PostgreSQL, `BEGIN IMMEDIATE` on SQLite.
/// Within it `locked!(query, for_update | for_share)` and `locked!(query, skip)` lock rows on PostgreSQL;
/// SQLite's one writer needs no locks. `on_pg!(…)` is left out on SQLite.
macro_rules! tx {
    ($store:expr, |$c:ident, $locked:ident, $on_pg:ident| $body:block) => {
        match &$store.backend {
            $crate::backend::Backend::Pg { pool, .. } => {
                let mut held: $crate::backend::PgObject = pool.get().await?;
                let connection: &mut diesel_async::AsyncPgConnection = &mut held;
                #[allow(unused_macros, reason = "not every transaction locks rows")]
                macro_rules! $locked {
                    ($query:expr, update) => {
                        $query.for_update()
                    };
                    ($query:expr, share) => {
                        $query.for_share()
                    };
                    ($query:expr, skip) => {
                        $query.for_update().skip_locked()
                    };
                }
                #[allow(unused_macros, reason = "not every transaction differs")]
                macro_rules! $on_pg {
                    ($statement:expr) => {
                        $statement
                    };
                }
                diesel_async::AsyncConnection::transaction::<_, $crate::error::Error, _>(
                    connection,
                    async |$c: &mut diesel_async::AsyncPgConnection| $body,
                )
                .await
            }
            $crate::backend::Backend::Lite { write, .. } => {
                let mut held: $crate::backend::LiteObject = write.get().await?;
                let connection: &mut $crate::backend::Lite = &mut held;
                #[allow(unused_macros, reason = "not every transaction locks rows")]
                macro_rules! $locked {
                    ($query:expr, $how:ident) => {
                        $query
                    };
                }
                #[allow(unused_macros, reason = "not every transaction differs")]
                macro_rules! $on_pg {
                    ($statement:expr) => {};
                }
                connection
                    .immediate_transaction::<_, $crate::error::Error, _>(
                        async |$c: &mut $crate::backend::Lite| $body,
                    )
                    .await
            }
        }
    };
}

pub(crate) use {alone, read, tx};
