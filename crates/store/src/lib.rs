//! Persistence: PostgreSQL and SQLite from one query source. Nobody outside sees a connection.
//!
//! [`Store::change`] is the one way to bring about what a pure decision wants; the other modules read,
//! or keep the books of jobs, schedules, uses, nodes and notices.

mod access_tokens;
mod accounts;
mod backend;
mod change;
mod credentials;
mod error;
mod events;
mod feed;
mod fresh;
pub mod gate;
mod idempotency;
mod instance;
mod jobs;
mod maintenance;
mod nodes;
mod notices;
mod numbers;
mod page;
mod purge;
mod rows;
mod schema;
mod service_accounts;
mod signals;
mod signing_keys;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
mod types;
mod uses;

pub use accounts::AccountQuery;
pub use backend::{Location, StoreSettings};
pub use change::{ChangePlace, Changed, Decision};
pub use credentials::{AccountTokenQuery, CredentialUse, FoundCredential, TokenQuery, TokenSort};
pub use error::{Error, Result};
pub use events::EventQuery;
pub use feed::FeedRow;
pub use fresh::{FreshFacts, Unreadable};
pub use idempotency::{Claim, Save, Saved, SavedSecret};
pub use jobs::{JobFilter, JobOutcome, JobRow, JobState, Lease, ScheduleRow, StartedJob};
pub use nodes::{NodeBeat, NodeCount, NodePositions, NodeRow};
pub use notices::{NewNotice, NoticeRow, NoticeState, Reserved};
pub use page::EndedPage;
pub use purge::Retention;
pub use service_accounts::ServiceAccountQuery;
pub use signals::Signal;
pub use uses::{USE_BATCH, UseMark};

use std::sync::Arc;

/// The database, open. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) backend: backend::Backend,
    pub(crate) signals: Arc<signals::Signals>,
    /// Where changes run to their end: the runtime that opened the store outlives any of actix.
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) hooks: Arc<change::ChangeHooks>,
    pub(crate) misses: Arc<backend::Turns>,
}

impl Store {
    /// Opens the pools; connects when first used. Must be called on the main multi-thread runtime: PostgreSQL
    /// connections live on the runtime they were opened from.
    ///
    /// # Errors
    /// [`Error::Broken`] when the location makes no sense.
    pub fn open(settings: &StoreSettings) -> Result<Self> {
        let backend = backend::open(settings)?;
        let signals = signals::Signals::start(&backend);
        let runtime = tokio::runtime::Handle::current();
        Ok(Self {
            backend,
            signals,
            runtime,
            hooks: Arc::default(),
            misses: Arc::new(backend::Turns::half_of(settings)),
        })
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self.backend, backend::Backend::Lite { .. })
    }
}

/// The page of a list: strictly after an id, at most so many rows.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    pub after: Option<uuid::Uuid>,
    pub limit: i64,
}
