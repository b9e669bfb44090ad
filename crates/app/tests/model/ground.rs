//! What all seeds of a test have in common: a database, and the ways to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use symbolon_app::testing::TestApp;
use symbolon_app::{App, AppSettings, Fault, Faults, KeyFile, Keyring, Start};
use symbolon_domain::dice::SeededDice;
use symbolon_domain::{Clock, Dice, EmailAddress, Name};
use symbolon_store::Store;
use symbolon_store::testing::TestDatabase;

pub struct Ground {
    pub test: TestApp,
    pub stores: [Store; 2],
    dice: Arc<AtomicU64>,
    /// The token of one who may verify everybody's.
    pub verifier: String,
    faults: Faults,
}

impl Ground {
    pub async fn on(database: TestDatabase, fault: Option<Fault>) -> Self {
        let stores = [(); 2].map(|()| Store::open(&database.settings).unwrap());
        let test = symbolon_app::testing::on(database, AppSettings::default()).await;
        let owner = EmailAddress::parse("owner@example.com").unwrap();
        let start = Start::Owned { owner };
        let name = Name::parse("Verifiers").unwrap();
        let begun = test.app.bootstrap(name, start).await.unwrap();
        Self {
            test,
            stores,
            dice: Arc::new(AtomicU64::new(1 << 32)),
            verifier: begun.token.reveal().to_owned(),
            faults: fault.map(Faults::plant).unwrap_or_default(),
        }
    }

    /// Plants the fault that lies below the nodes.
    pub fn without_feed_lock(self) -> Self {
        self.stores.iter().for_each(Store::skip_feed_lock);
        self
    }

    pub fn is_sqlite(&self) -> bool {
        self.test.database.store.is_sqlite()
    }

    /// A process that has just begun.
    pub fn new_app(&self, at: usize) -> App {
        let keyring = Keyring::new(&KeyFile::generate(&mut SeededDice::new(0)));
        let dice = self.dice.clone();
        let dice = Box::new(move || -> Box<dyn Dice> {
            Box::new(SeededDice::new(dice.fetch_add(1, Ordering::Relaxed)))
        });
        let settings = AppSettings {
            faults: self.faults,
            ..AppSettings::default()
        };
        let clock = self.test.clock.clone() as Arc<dyn Clock>;
        let app = App::new(self.stores[at].clone(), keyring, clock, dice, settings);
        app.follow_by_hand();
        app
    }
}
