//! The two databases: how to open them, and the only place that tells them apart for reading and writing.

use crate::error::{Error, Result};
use crate::tls;
use deadpool::managed::Timeouts;
use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sqlite::SqliteConnection;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres_rustls::MakeRustlsConnect;

pub(crate) type Lite = SyncConnectionWrapper<SqliteConnection>;
pub(crate) type PgObject = Object<AsyncPgConnection>;
pub(crate) type LiteObject = Object<Lite>;

/// Readers of SQLite beside the one writer.
const LITE_READERS: usize = 4;
/// Connections to PostgreSQL that are kept for what a process lives by.
const VITAL: usize = 2;
/// What such a statement takes at most, connecting included: whoever hangs on it must not be served late.
const VITAL_TIMEOUT: Duration = Duration::from_secs(2);
/// How much longer than the server's own time-out an answer is waited for.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);
/// After so long without any sign of the other end a connection counts as dead.
const SILENCE: Duration = Duration::from_secs(10);

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
        pool: PgPool,
        /// For what a process lives by (the feed, its beats, confirmations, health): nothing that takes long
        /// is asked here, so whatever others do, there is a connection in time.
        vital: PgPool,
        connect: Box<PgConnect>,
    },
    Lite {
        write: Pool<Lite>,
        read: Pool<Lite>,
        path: PathBuf,
    },
}

/// Connections to PostgreSQL, and how long an answer is waited for.
///
/// The server ends a slow statement by itself. Where no answer comes even so, nobody is at the other end any
/// more, or cannot be heard: then the connection is thrown away, since whoever got it next would wait as long.
#[derive(Clone)]
pub(crate) struct PgPool {
    connections: Pool<AsyncPgConnection>,
    /// To the same server, and as dead as these.
    beside: Option<Pool<AsyncPgConnection>>,
    /// For the answer to a statement.
    pub patience: Duration,
}

impl PgPool {
    fn open(connect: &PgConnect, size: usize, settings: &StoreSettings) -> Result<Self> {
        let mut config = ManagerConfig::<AsyncPgConnection>::default();
        // A closed connection is told without asking the server: no extra round trip on each use.
        config.recycling_method = RecyclingMethod::Fast;
        let opener = connect.clone();
        config.custom_setup = Box::new(move |_| {
            let opener = opener.clone();
            Box::pin(async move { opener.open().await })
        });
        let manager = AsyncDieselConnectionManager::new_with_config(String::new(), config);
        Ok(Self {
            connections: pool(manager, size, settings)?,
            beside: None,
            patience: settings.statement_timeout + ANSWER_MARGIN,
        })
    }

    pub async fn get(&self) -> Result<PgObject> {
        Ok(self.connections.get().await?)
    }

    /// Throws away a connection on which no answer came, and all that are idle: they are to the same server.
    pub fn give_up(&self, held: PgObject) -> DieselError {
        drop(Object::take(held));
        let idle = [Some(&self.connections), self.beside.as_ref()];
        for pool in idle.into_iter().flatten() {
            drop(pool.retain(|_, _| false));
        }
        let cause = "no answer in time; the connection was given up".to_owned();
        DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new(cause))
    }
}

/// Turns at half of the connections for reading, so that the other half is left for everything else.
pub(crate) struct Turns {
    free: Semaphore,
    patience: Duration,
}

impl Turns {
    pub fn half_of(settings: &StoreSettings) -> Self {
        let connections = match settings.location {
            Location::Sqlite(_) => LITE_READERS,
            Location::Postgres(_) => settings.pool_size,
        };
        Self {
            free: Semaphore::new((connections / 2).max(1)),
            patience: settings.lock_timeout,
        }
    }

    /// # Errors
    /// [`Error::Unavailable`] after the time that one waits for a connection.
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>> {
        let turn = tokio::time::timeout(self.patience, self.free.acquire()).await;
        turn.ok()
            .and_then(std::result::Result::ok)
            .ok_or_else(|| Error::Unavailable("too many ask at once".into()))
    }
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
    fn new(mut target: tls::Target, settings: &StoreSettings) -> Self {
        target.config.connect_timeout(settings.connect_timeout);
        let setup = format!(
            "SET lock_timeout = {}; SET statement_timeout = {}; \
             SET idle_in_transaction_session_timeout = {}; SET timezone = 'UTC'",
            settings.lock_timeout.as_millis(),
            settings.statement_timeout.as_millis(),
            settings.statement_timeout.as_millis(),
        );
        Self {
            target,
            setup,
            timeout: settings.connect_timeout,
            runtime: tokio::runtime::Handle::current(),
        }
    }

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
    target.config.application_name("symbolon");
    target.config.keepalives_idle(SILENCE);
    target.config.keepalives_interval(SILENCE / 4);
    target.config.keepalives_retries(3);
    target.config.tcp_user_timeout(SILENCE);
    let quick = StoreSettings {
        location: settings.location.clone(),
        pool_size: VITAL,
        connect_timeout: settings.connect_timeout.min(VITAL_TIMEOUT),
        lock_timeout: settings.lock_timeout.min(VITAL_TIMEOUT),
        statement_timeout: settings.statement_timeout.min(VITAL_TIMEOUT),
    };
    let connect = PgConnect::new(target.clone(), settings);
    let pool = PgPool::open(&connect, settings.pool_size, settings)?;
    let mut vital = PgPool::open(&PgConnect::new(target, &quick), VITAL, &quick)?;
    vital.beside = Some(pool.connections.clone());
    Ok(Backend::Pg {
        pool,
        vital,
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

/// Runs one body on a connection of a pool of PostgreSQL, which is thrown away when no answer comes.
macro_rules! asked {
    ($pool:expr, |$c:ident| $body:expr) => {{
        let pool: &$crate::backend::PgPool = $pool;
        let mut held: $crate::backend::PgObject = pool.get().await?;
        let answer = {
            let $c: &mut diesel_async::AsyncPgConnection = &mut held;
            tokio::time::timeout(pool.patience, async { $body }).await
        };
        match answer {
            Ok(answer) => answer,
            Err(_) => Err(pool.give_up(held).into()),
        }
    }};
}

/// Runs one body on either database.
macro_rules! statement {
    ($store:expr, $pg:ident, $lite:ident, |$c:ident| $body:expr) => {
        match &$store.backend {
            $crate::backend::Backend::Pg { $pg, .. } => {
                $crate::backend::asked!($pg, |$c| $body)
            }
            $crate::backend::Backend::Lite { $lite, .. } => {
                let mut held: $crate::backend::LiteObject = $lite.get().await?;
                let $c: &mut $crate::backend::Lite = &mut held;
                $body
            }
        }
    };
}

/// Runs one body on either database, for reading; `vital` on the connections kept for what a process lives by.
macro_rules! read {
    (vital $store:expr, |$c:ident| $body:expr) => {
        $crate::backend::statement!($store, vital, read, |$c| $body)
    };
    ($store:expr, |$c:ident| $body:expr) => {
        $crate::backend::statement!($store, pool, read, |$c| $body)
    };
}

/// Runs one statement by itself on either database, for writing: its own transaction, without the round trips
/// of `BEGIN` and `COMMIT`.
macro_rules! alone {
    (vital $store:expr, |$c:ident| $body:expr) => {
        $crate::backend::statement!($store, vital, write, |$c| $body)
    };
    ($store:expr, |$c:ident| $body:expr) => {
        $crate::backend::statement!($store, pool, write, |$c| $body)
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
                let connection: &mut diesel_async::AsyncPgConnection = &mut held;
                let transaction =
                    diesel_async::AsyncConnection::transaction::<_, $crate::error::Error, _>(
                        connection,
                        async |$c: &mut diesel_async::AsyncPgConnection| $body,
                    );
                // Of its statements one may take long, and another wait for a lock.
                match tokio::time::timeout(pool.patience * 2, transaction).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(pool.give_up(held).into()),
                }
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

pub(crate) use {alone, asked, read, statement, tx};
