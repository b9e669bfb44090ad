//! The product on a fresh database with a clock that is moved and dice that repeat. Only for tests.

use crate::{App, AppSettings, KeyFile, Keyring, Node, Place};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use symbolon_domain::dice::SeededDice;
use symbolon_domain::time::ManualClock;
use symbolon_domain::{Clock, Timestamp};
use symbolon_store::gate::Held;
use symbolon_store::testing::TestDatabase;

/// 2026-11-22T00:00:00Z.
pub const START: Timestamp = Timestamp::from_micros(1_795_305_600_000_000);

/// The product with the handles that tests move it by.
pub struct TestApp {
    pub app: App,
    pub clock: Arc<ManualClock>,
    /// Removed with the value.
    pub database: TestDatabase,
}

/// The product on this database; every call draws from dice of its own, in order.
pub async fn on(database: TestDatabase, settings: AppSettings) -> TestApp {
    let clock = Arc::new(ManualClock::new(START));
    let keyring = Keyring::new(&KeyFile::generate(&mut SeededDice::new(0)));
    database
        .store
        .add_key_checks(&keyring.check_values(), START)
        .await
        .expect("a fresh database takes check values");
    let calls = AtomicU64::new(1);
    let dice = Box::new(move || -> Box<dyn symbolon_domain::Dice> {
        Box::new(SeededDice::new(calls.fetch_add(1, Ordering::Relaxed)))
    });
    let app = App::new(
        database.store.clone(),
        keyring,
        clock.clone() as Arc<dyn Clock>,
        dice,
        settings,
    );
    TestApp {
        app,
        clock,
        database,
    }
}

/// The product on SQLite.
pub async fn app() -> TestApp {
    on(
        symbolon_store::testing::sqlite().await,
        AppSettings::default(),
    )
    .await
}

/// What a test does itself that a process's background does otherwise.
impl App {
    /// Has requests rely on the test to read the feed.
    pub fn follow_by_hand(&self) {
        self.0.feed.is_followed.store(true, Ordering::Release);
    }

    /// How long the background would wait until it reads the feed again; `None` is for ever.
    pub fn until_next_poll(&self) -> Option<Duration> {
        self.poll_interval()
    }

    /// Reports how far the feed is applied, right now.
    pub async fn report_now(&self, node: &Node) -> crate::Result<()> {
        self.beat(node).await
    }

    /// Holds whatever comes by this place next.
    pub fn hold_at(&self, place: Place) -> Held {
        self.0.gates.close(place)
    }
}
