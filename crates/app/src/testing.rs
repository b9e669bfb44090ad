//! The product on a fresh database with a clock that is moved and dice that repeat. Only for tests.

use crate::{App, AppSettings, KeyFile, Keyring};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use symbolon_domain::dice::SeededDice;
use symbolon_domain::time::ManualClock;
use symbolon_domain::{Clock, Timestamp};
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
