//! From settings to the parts of the product: the only place where they are built.

use std::path::Path;
use std::sync::Arc;

use symbolon_app::{
    App, AppSettings, Faults, KeyFile, KeyFileError, KeyMismatch, Keyring, Retention, SystemClock,
    SystemDice,
};
use symbolon_domain::Clock;
use symbolon_store::{Location, Store, StoreSettings};
use symbolon_worker::{MailSettings, RedisSettings, ScheduleSettings, WorkerSettings};

use crate::config::{DatabaseLocation, Settings};
use crate::data_dir;

/// Why an instance cannot be put together; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    #[error("{0} cannot be made: {1}")]
    Directory(String, std::io::Error),
    #[error(transparent)]
    Hold(#[from] data_dir::HoldError),
    #[error("there is no database at {0}; `symbolon serve` makes one")]
    NoDatabase(String),
    #[error("the database: {0}")]
    Store(#[from] symbolon_store::Error),
    #[error(
        "the database lacks {} migration(s), the first is {}; run `symbolon migrate`",
        .0.len(),
        .0.first().map_or("unknown", String::as_str)
    )]
    Migrations(Vec<String>),
    #[error("{0}{KEY_ADVICE}")]
    KeyFile(KeyFileError),
    #[error("the key file {path} does not belong to this database: {mismatch}{KEY_ADVICE}")]
    ForeignKey { path: String, mismatch: KeyMismatch },
    #[error(
        "there is no key file at {0}, and `{1}` makes none; make one with `symbolon keys generate {0}` \
         and give the same file to every process"
    )]
    NoKeyFile(String, &'static str),
    #[error(
        "`symbolon {0}` needs PostgreSQL (database.url): a SQLite file serves one process, which is `symbolon serve`"
    )]
    NeedsPostgres(&'static str),
}

const KEY_ADVICE: &str = ". This database was written with another key file; without it no token can be \
verified. Put the right file back from its backup, or name it in keys.file (SYMBOLON__KEYS__FILE). If it is \
lost for good, every token must be issued anew: start with an empty database";

/// Opens the database of the settings. Connects when first used.
pub fn store(settings: &Settings) -> Result<Store, AssembleError> {
    let location = match &settings.database.location {
        DatabaseLocation::Sqlite(path) => {
            data_dir::prepare_database(path)
                .map_err(|error| AssembleError::Directory(path.display().to_string(), error))?;
            Location::Sqlite(path.clone())
        }
        DatabaseLocation::Postgres(url) => Location::Postgres(url.expose().to_owned()),
    };
    let database = &settings.database;
    Ok(Store::open(&StoreSettings {
        location,
        pool_size: database.pool_size,
        connect_timeout: database.connect_timeout,
        lock_timeout: database.lock_timeout,
        statement_timeout: database.statement_timeout,
    })?)
}

/// Looking at an instance must not make a SQLite file where there is none.
pub fn ensure_database(settings: &Settings) -> Result<(), AssembleError> {
    match &settings.database.location {
        DatabaseLocation::Sqlite(path) if !path.exists() => {
            Err(AssembleError::NoDatabase(path.display().to_string()))
        }
        _ => Ok(()),
    }
}

/// As [`store`], for commands that only look at an instance: there must be one.
pub async fn existing_store(settings: &Settings) -> Result<Store, AssembleError> {
    ensure_database(settings)?;
    let store = store(settings)?;
    schema(&store, false).await?;
    Ok(store)
}

/// `serve` and the commands on SQLite bring the schema up to date; the split roles refuse to guess.
pub async fn schema(store: &Store, may_migrate: bool) -> Result<(), AssembleError> {
    let pending = store.pending_migrations().await?;
    if pending.is_empty() {
        return Ok(());
    }
    if !may_migrate {
        return Err(AssembleError::Migrations(pending));
    }
    for name in store.migrate().await? {
        tracing::info!(name, "migrated");
    }
    Ok(())
}

/// The key file, if it fits this database. One is made only on a database that was never written with any.
pub async fn keyring(
    settings: &Settings,
    store: &Store,
    may_create: bool,
    role: &'static str,
) -> Result<Keyring, AssembleError> {
    let path = &settings.keys.file;
    let name = path.display().to_string();
    let recorded = store.key_checks().await?;
    let now = SystemClock.now();
    let file = match KeyFile::read(path) {
        Ok(file) => file,
        Err(KeyFileError::Missing(_)) if recorded.is_empty() && may_create => {
            if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
                data_dir::prepare(directory)
                    .map_err(|error| AssembleError::Directory(name.clone(), error))?;
            }
            let file = KeyFile::generate(&mut SystemDice);
            file.create(path, now).map_err(AssembleError::KeyFile)?;
            tracing::info!(
                path = name,
                "made a key file; back it up, apart from the database"
            );
            file
        }
        Err(KeyFileError::Missing(_)) if recorded.is_empty() => {
            return Err(AssembleError::NoKeyFile(name, role));
        }
        Err(error) => return Err(AssembleError::KeyFile(error)),
    };
    let keyring = Keyring::new(&file);
    keyring
        .fits(&recorded)
        .map_err(|mismatch| AssembleError::ForeignKey {
            path: name.clone(),
            mismatch,
        })?;
    if recorded.len() < keyring.check_values().len() {
        store.add_key_checks(&keyring.check_values(), now).await?;
        // Two processes may have begun with different files at the same moment: the first one counts.
        let recorded = store.key_checks().await?;
        keyring
            .fits(&recorded)
            .map_err(|mismatch| AssembleError::ForeignKey {
                path: name,
                mismatch,
            })?;
    }
    Ok(keyring)
}

pub fn app(settings: &Settings, store: Store, keyring: Keyring, public_url: String) -> App {
    let retention = &settings.retention;
    let app_settings = AppSettings {
        public_url,
        max_age: settings.cache.max_age,
        feed_poll: settings.cache.feed_poll,
        cache_capacity: settings.cache.capacity,
        cache_access_tokens: settings.cache.access_tokens,
        cache_negative_capacity: settings.cache.negative_capacity,
        cache_negative_ttl: settings.cache.negative_ttl,
        flush_interval: settings.uses.flush_interval,
        flush_size: settings.uses.flush_size,
        idempotency: retention.idempotency,
        retention: Retention {
            jobs: retention.jobs,
            addresses: retention.addresses,
            credentials: retention.credentials,
            feed: retention.feed,
        },
        faults: Faults::default(),
    };
    App::new(
        store,
        keyring,
        Arc::new(SystemClock),
        Box::new(|| Box::new(SystemDice)),
        app_settings,
    )
}

pub fn worker_settings(settings: &Settings) -> WorkerSettings {
    let (jobs, mail) = (&settings.jobs, &settings.mail);
    WorkerSettings {
        poll_interval: jobs.poll_interval,
        concurrency: jobs.concurrency,
        timeout: jobs.timeout,
        lease: jobs.lease,
        outstanding: jobs.outstanding,
        redis: settings.redis.url.as_ref().map(|url| RedisSettings {
            url: url.expose().to_owned(),
            queue: settings.redis.queue.clone(),
        }),
        mail: MailSettings {
            url: mail.delivery.clone(),
            from: mail.from.clone(),
            timeout: mail.timeout,
            concurrency: mail.concurrency,
        },
        schedules: ScheduleSettings {
            expire_tokens: settings.schedules.expire_tokens,
            purge: settings.schedules.purge,
            signing_keys: settings.schedules.signing_keys,
        },
    }
}

/// The product for a command that works beside the running processes, or before them.
pub async fn for_command(settings: &Settings, role: &'static str) -> Result<App, AssembleError> {
    let store = store(settings)?;
    let embedded = store.is_sqlite();
    if embedded && !store.pending_migrations().await?.is_empty() {
        migrate_alone(settings, &store).await?;
    } else {
        schema(&store, false).await?;
    }
    let keyring = keyring(settings, &store, embedded && role == "bootstrap", role).await?;
    let public_url = settings.http.public_url_at(settings.http.bind);
    Ok(app(settings, store, keyring, public_url))
}

/// Two migrators on one SQLite file would trip over each other: whoever holds the directory does it, and a
/// `serve` that is just starting does it for us.
async fn migrate_alone(settings: &Settings, store: &Store) -> Result<(), AssembleError> {
    let dir = &settings.data.dir;
    data_dir::prepare(dir)
        .map_err(|error| AssembleError::Directory(dir.display().to_string(), error))?;
    for _ in 0..50 {
        match data_dir::hold(dir) {
            Ok(_hold) => return schema(store, true).await,
            Err(data_dir::HoldError::Taken(_)) if store.pending_migrations().await?.is_empty() => {
                return Ok(());
            }
            Err(data_dir::HoldError::Taken(_)) => {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    schema(store, false).await
}

/// Where the first start leaves what it made when no terminal is there to show it.
pub fn first_start_file(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("first-start.txt")
}
