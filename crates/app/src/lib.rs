//! What Symbolon can do, once for every door: the use cases.
//!
//! Doors parse and render; they call these with an [`Actor`], and the decisions behind them are pure
//! functions of `symbolon-domain` that run inside [`symbolon_store::Store::change`].

mod access_tokens;
mod account_tokens;
mod accounts;
mod actor;
mod authenticate;
mod background;
mod bootstrap;
mod cache;
mod change;
mod confirmations;
mod error;
mod events;
mod faults;
mod feed;
mod health;
mod jose;
mod key_file;
mod keyring;
mod limiter;
mod nodes;
mod notices;
mod numbers;
mod own_token;
mod password;
mod request_id;
mod revocation;
mod service_accounts;
mod setup;
mod signing_keys;
mod system;
#[cfg(feature = "testing")]
pub mod testing;
mod tokens;
mod uses;
mod verify;
mod work;

pub use access_tokens::{AssertionGrant, IssuedAccessToken, OAuthFault, Wanted};
pub use account_tokens::AccountToken;
pub use accounts::WhoAmI;
pub use actor::{Actor, Call, Idempotency, Origin};
pub use authenticate::{Asker, Credentials, Evidence};
pub use background::Background;
pub use bootstrap::{Bootstrapped, Start};
pub use change::{PageRequest, Replayed, Revealed, Slice};
pub use confirmations::ConfirmationPage;
pub use error::{Error, Result};
pub use events::EventFilter;
pub use faults::Faults;
#[cfg(feature = "testing")]
pub use faults::{Fault, Place};
pub use health::{Check, Readiness};
pub use key_file::{KeyFile, KeyFileError};
pub use keyring::{KeyMismatch, Keyring};
pub use limiter::RateState;
pub use nodes::{Effective, Node, NodeState};
pub use notices::{ConfirmationMail, Prepared};
pub use service_accounts::{ServiceAccountFilter, ServiceAccountRecord};
pub use setup::SetupPage;
pub use signing_keys::PublishedKey;
pub use symbolon_store::{JobOutcome, Lease, Retention, StartedJob, TokenSort};
pub use system::{SystemClock, SystemDice};
pub use tokens::{CredentialRecord, TokenFilter};
pub use uses::{TokenUses, UseState};
pub use verify::{Ask, AuthorizeAsk, Subject, Verified};
pub use work::{MAX_ATTEMPTS, Schedule};

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use symbolon_domain::{Clock, Dice, RequestId, Timestamp};
use symbolon_store::{Signal, Store};

/// What the use cases are told by the settings.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// What URLs in mails and answers begin with; no slash at the end.
    pub public_url: String,
    /// Facts older than this are not answered from.
    pub max_age: Duration,
    pub feed_poll: Duration,
    /// Credentials that are remembered, at most.
    pub cache_capacity: usize,
    /// Access tokens and other JWTs whose signature is remembered as right, at most.
    pub cache_access_tokens: usize,
    /// Public ids that are remembered as naming nothing, at most, and for how long.
    pub cache_negative_capacity: usize,
    pub cache_negative_ttl: Duration,
    pub flush_interval: Duration,
    /// Credentials with uses in one thread that begin a flush before its time.
    pub flush_size: usize,
    /// How long an `Idempotency-Key` is remembered.
    pub idempotency: Duration,
    pub retention: Retention,
    pub faults: Faults,
}

impl Default for AppSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            public_url: "http://127.0.0.1:8080".into(),
            max_age: Duration::from_secs(10),
            feed_poll: Duration::from_millis(500),
            cache_capacity: 250_000,
            cache_access_tokens: 50_000,
            cache_negative_capacity: 10_000,
            cache_negative_ttl: Duration::from_secs(5),
            flush_interval: Duration::from_secs(5),
            flush_size: 100_000,
            idempotency: DAY,
            retention: Retention {
                jobs: 30 * DAY,
                addresses: 90 * DAY,
                credentials: 400 * DAY,
                feed: DAY,
            },
            faults: Faults::default(),
        }
    }
}

/// Makes the dice of one call.
pub type DiceBox = Box<dyn Fn() -> Box<dyn Dice> + Send + Sync>;

/// The product. Cheap to clone; one per process.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    store: Store,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    dice: DiceBox,
    settings: AppSettings,
    passwords: password::PasswordPool,
    signing_keys: signing_keys::SigningKeys,
    uses: uses::Uses,
    cache: cache::Cache,
    gates: symbolon_store::gate::Gates<faults::Place>,
    feed: feed::FeedState,
    sole_account: feed::SoleAccount,
    verdicts: verify::Verdicts,
    database: background::DatabaseState,
    last_look: nodes::LastLook,
    /// How the other processes know this one.
    node_id: std::sync::OnceLock<uuid::Uuid>,
    started_at: Timestamp,
    jobs_signal: tokio::sync::Mutex<tokio::sync::watch::Receiver<u64>>,
    stopping: AtomicBool,
}

impl App {
    /// Puts the product together. The keyring must fit the store ([`Keyring::fits`]).
    pub fn new(
        store: Store,
        keyring: Keyring,
        clock: Arc<dyn Clock>,
        dice: DiceBox,
        settings: AppSettings,
    ) -> Self {
        let jobs_signal = tokio::sync::Mutex::new(store.signal(Signal::Jobs));
        let started_at = clock.now();
        Self(Arc::new(Inner {
            node_id: Default::default(),
            gates: Default::default(),
            started_at,
            cache: cache::Cache::new(&settings, clock.clone()),
            store,
            keyring: Arc::new(keyring),
            clock,
            dice,
            uses: uses::Uses::new(settings.flush_size),
            settings,
            passwords: password::PasswordPool::new(),
            signing_keys: signing_keys::SigningKeys::default(),
            feed: feed::FeedState::default(),
            sole_account: feed::SoleAccount::default(),
            verdicts: verify::Verdicts::default(),
            database: background::DatabaseState::default(),
            last_look: nodes::LastLook::default(),
            jobs_signal,
            stopping: AtomicBool::new(false),
        }))
    }

    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn dice(&self) -> Box<dyn Dice> {
        (self.0.dice)()
    }

    pub fn new_request_id(&self) -> RequestId {
        RequestId::new(self.now(), &mut request_id::Sequence(self))
    }

    /// What URLs begin with; no slash at the end.
    pub fn public_url(&self) -> &str {
        &self.0.settings.public_url
    }

    pub fn settings(&self) -> &AppSettings {
        &self.0.settings
    }

    /// For operators' commands, which look at the books directly.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn keyring(&self) -> &Arc<Keyring> {
        &self.0.keyring
    }
}
