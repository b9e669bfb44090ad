//! The process's own background, in real time: it reads the feed though no notification ever comes.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};
use symbolon_app::{
    App, AppSettings, Ask, Background, Call, Evidence, Fault, Faults, KeyFile, Keyring, Origin,
    Start,
};
use symbolon_domain::dice::SeededDice;
use symbolon_domain::issue::NewServiceAccount;
use symbolon_domain::retire::Because;
use symbolon_domain::verdict::Presentation;
use symbolon_domain::{Clock, Dice, EmailAddress, Name, Permission, Reason};
use symbolon_store::Store;

const WAIT: Duration = Duration::from_secs(2);

/// Whether a second process on SQLite, where nothing notifies it, learns of a revocation by itself.
async fn hears_of_it(faults: Faults) -> bool {
    let database = symbolon_store::testing::sqlite().await;
    let other = Store::open(&database.settings).unwrap();
    let test = symbolon_app::testing::on(database, AppSettings::default()).await;
    let settings = AppSettings {
        feed_poll: Duration::from_millis(20),
        faults,
        ..AppSettings::default()
    };
    let keyring = Keyring::new(&KeyFile::generate(&mut SeededDice::new(0)));
    let dice = Box::new(|| -> Box<dyn Dice> { Box::new(SeededDice::new(u64::MAX)) });
    let clock = test.clock.clone() as Arc<dyn Clock>;
    let second = App::new(other, keyring, clock, dice, settings);

    let owner = EmailAddress::parse("owner@example.com").unwrap();
    let start = Start::Owned { owner };
    let name = |text| Name::parse(text).unwrap();
    let begun = test.app.bootstrap(name("Acme"), start).await.unwrap();
    let verifier = Evidence::Bearer(begun.token.reveal());
    let (how, origin) = (Presentation::Bearer, Origin::default());
    let verifier = test
        .app
        .admit(verifier, how, origin, Permission::TokensVerify);
    let verifier = verifier.await.unwrap();
    let operator = symbolon_app::Actor::operator_cli();
    let call = Call::new(&operator, Origin::default());
    let new = NewServiceAccount::named(name("holder"));
    let made = test
        .app
        .create_service_account(&call, begun.account_id, new);
    let made = made.await.unwrap();
    let token = made.secret.unwrap();
    let ask = Ask {
        evidence: Evidence::Bearer(token.reveal()),
        presentation_of_key: Presentation::Basic,
        scopes: &[],
        client_ip: None,
        environment: None,
        audience: None,
        cost: NonZeroU32::MIN,
        fresh: false,
    };

    second.poll_feed().await.unwrap();
    let background = Background::start(&second, None);
    let first = second.verify(&verifier, &ask).await.unwrap();
    assert_eq!(first.reason(), None);
    // What it reads as it starts is behind it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (owner, id) = (made.record.it.id, made.record.primary.unwrap().id);
    let revoked = test
        .app
        .revoke_token(&call, begun.account_id, owner, id, Because::default());
    revoked.await.unwrap();
    let since = Instant::now();
    let mut heard = false;
    while !heard && since.elapsed() < WAIT {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let answer = second.verify(&verifier, &ask).await.unwrap().reason();
        heard = answer == Some(Reason::Revoked);
    }
    background.stop(&second, WAIT).await;
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_polls_without_being_told() {
    assert!(Box::pin(hears_of_it(Faults::default())).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_polling_it_hears_nothing() {
    let faults = Faults::plant(Fault::NoPolling);
    assert!(!Box::pin(hears_of_it(faults)).await);
}
