//! How an instance begins, is claimed, and is entered again; and which key file it answers to.

use crate::harness::*;
use symbolon_app::testing::TestApp;
use symbolon_app::{KeyFile, KeyMismatch, Keyring, Start};
use symbolon_domain::dice::SeededDice;
use symbolon_domain::{Code, EmailAddress, FieldCode, Presented};

on_both!(
    an_instance_in_use_refuses_another_beginning,
    an_automatic_one_is_claimed_untouched,
    an_automatic_one_that_was_used_is_nobodys_to_claim,
    recovery_leads_back_in,
    recovery_opens_what_was_locked,
    set_up_links_are_used_once,
    a_bootstrap_token_lives_thirty_days,
    a_foreign_key_file_does_not_fit,
);

fn owned(address: &str) -> Start {
    Start::Owned {
        owner: email(address),
    }
}

/// The same database before anybody began: the account and its owner were made by the harness, so this takes
/// a database of its own.
async fn empty(world: World) -> TestApp {
    let database = if world.test.database.store.is_sqlite() {
        symbolon_store::testing::sqlite().await
    } else {
        symbolon_store::testing::postgres().await.unwrap()
    };
    symbolon_app::testing::on(database, Default::default()).await
}

async fn lives(test: &TestApp, token: &str) -> bool {
    test.app
        .authenticate(&bearer(token), Default::default(), None)
        .await
        .is_ok()
}

async fn an_instance_in_use_refuses_another_beginning(world: World) {
    let app = world.app();
    assert!(app.is_bootstrapped().await.unwrap());
    for start in [
        Start::Automatic,
        owned("owner@example.com"),
        owned("other@example.com"),
    ] {
        assert_eq!(
            code(app.bootstrap(name("Acme"), start).await),
            Code::AlreadyBootstrapped
        );
    }
    assert_eq!(world.events(world.account).await.len(), 4);
}

async fn an_automatic_one_is_claimed_untouched(world: World) {
    let test = empty(world).await;
    let app = &test.app;
    assert!(!app.is_bootstrapped().await.unwrap());
    let automatic = app
        .bootstrap(name("default"), Start::Automatic)
        .await
        .unwrap();
    assert!(automatic.user_id.is_none() && automatic.setup_url.is_none());
    assert_eq!(
        code(app.bootstrap(name("default"), Start::Automatic).await),
        Code::AlreadyBootstrapped
    );
    let claimed = app
        .bootstrap(name("Acme"), owned("owner@example.com"))
        .await
        .unwrap();
    assert_eq!(claimed.account_id, automatic.account_id);
    assert!(claimed.user_id.is_some());
    let operator = symbolon_app::Actor::operator_cli();
    let account = app
        .find_account(&operator, claimed.account_id)
        .await
        .unwrap();
    assert_eq!(account.name.as_str(), "Acme");
    assert_eq!(account.ops_addresses, [email("owner@example.com")]);
    assert!(
        !lives(&test, automatic.token.reveal()).await,
        "what the first start printed has served"
    );
    assert!(lives(&test, claimed.token.reveal()).await);
    let members = app.store().list_members(claimed.account_id).await.unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].role.as_str(), "owner");
    assert_eq!(
        code(app.bootstrap(name("Mine"), owned("late@example.com")).await),
        Code::AlreadyBootstrapped
    );
}

async fn an_automatic_one_that_was_used_is_nobodys_to_claim(world: World) {
    let test = empty(world).await;
    let app = &test.app;
    let automatic = app
        .bootstrap(name("default"), Start::Automatic)
        .await
        .unwrap();
    let token = automatic.token.reveal();
    let actor = app
        .authenticate(&bearer(token), Default::default(), None)
        .await;
    app.create_service_account(
        &call(&actor.unwrap()),
        automatic.account_id,
        service_account("billing", ""),
    )
    .await
    .unwrap();
    assert_eq!(
        code(
            app.bootstrap(name("Acme"), owned("owner@example.com"))
                .await
        ),
        Code::AlreadyBootstrapped
    );
    assert!(lives(&test, token).await);
}

async fn recovery_leads_back_in(world: World) {
    let app = world.app();
    let start = || Start::Recovered {
        owner: EmailAddress::parse("Owner@example.com").unwrap(),
    };
    let recovered = app.bootstrap(name("acme"), start()).await.unwrap();
    assert_eq!(recovered.account_id, world.account);
    assert!(world.is_live(recovered.token.reveal()).await);
    assert!(
        world.is_live(&world.token).await,
        "recovery takes nothing away"
    );
    let members = app.store().list_members(world.account).await.unwrap();
    assert_eq!(members.len(), 1, "the same owner");
    assert!(
        world
            .events(world.account)
            .await
            .contains(&"instance.recovered")
    );
    // The newer link ends the older one.
    let old = app.look_at_setup(link_of(&world.setup_url)).await;
    assert_eq!(code(old), Code::LinkExpired);
    app.look_at_setup(link_of(&recovered.setup_url.unwrap()))
        .await
        .unwrap();
}

async fn set_up_links_are_used_once(world: World) {
    let app = world.app();
    let link = link_of(&world.setup_url);
    let page = app.look_at_setup(link).await.unwrap();
    assert_eq!(page.email, "owner@example.com");
    let set = async |password: &str| {
        app.set_first_password(link, Presented::new(password), Default::default())
            .await
    };
    let refused = set("too short").await.unwrap_err();
    assert_eq!(
        refused.refusal().unwrap().fields[0].code,
        FieldCode::TooShort { min: 12 }
    );
    set("correct horse battery").await.unwrap();
    assert_eq!(code(set("correct horse battery").await), Code::LinkUsed);
    assert_eq!(code(app.look_at_setup(link).await), Code::LinkUsed);
    assert!(
        world
            .events(world.account)
            .await
            .contains(&"user.password_set")
    );
    assert_eq!(code(app.look_at_setup("nonsense").await), Code::LinkUnknown);
    let made = world.make(with_contact("billing", "ops@example.com")).await;
    let mail = world.mail().await.remove(0);
    assert_eq!(
        code(app.look_at_setup(link_of(&mail.1)).await),
        Code::LinkUnknown,
        "{made:?}"
    );
    let start = Start::Recovered {
        owner: email("owner@example.com"),
    };
    let fresh = app
        .bootstrap(name("Acme"), start)
        .await
        .unwrap()
        .setup_url
        .unwrap();
    world.advance(7 * DAY - TICK);
    app.look_at_setup(link_of(&fresh)).await.unwrap();
    world.advance(TICK);
    assert_eq!(
        code(app.look_at_setup(link_of(&fresh)).await),
        Code::LinkExpired
    );
}

async fn a_bootstrap_token_lives_thirty_days(world: World) {
    world.advance(30 * DAY - TICK);
    assert!(world.is_live(&world.token).await);
    world.advance(TICK);
    assert!(!world.is_live(&world.token).await);
}

async fn a_foreign_key_file_does_not_fit(world: World) {
    let recorded = world.app().store().key_checks().await.unwrap();
    let own = Keyring::new(&KeyFile::generate(&mut SeededDice::new(0)));
    assert_eq!(own.fits(&recorded), Ok(()));
    let foreign = Keyring::new(&KeyFile::generate(&mut SeededDice::new(77)));
    assert_eq!(foreign.fits(&recorded), Err(KeyMismatch::Foreign(1)));
    let newer = [(2, vec![0; 32])];
    world
        .app()
        .store()
        .add_key_checks(&newer, world.app().now())
        .await
        .unwrap();
    let recorded = world.app().store().key_checks().await.unwrap();
    assert_eq!(own.fits(&recorded), Err(KeyMismatch::LacksVersion(2)));
    // What a foreign one seals nothing of this can be read by.
    let found = world
        .app()
        .store()
        .find_credential(world.account, world.admin().await.credential_id().unwrap());
    let it = found.await.unwrap().unwrap();
    assert!(own.unseal_digest(it.id, &it.sealed).is_some());
    assert!(foreign.unseal_digest(it.id, &it.sealed).is_none());
}

/// A suspended account, or a lifetime too short to be used, must not lock the operator out for good.
async fn recovery_opens_what_was_locked(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let patch = symbolon_domain::account::AccountPatch {
        status: Some(symbolon_domain::AccountStatus::Suspended),
        max_lifetime: Some(Some(TICK)),
        ..Default::default()
    };
    app.update_account(&call(&admin), world.account, patch, None)
        .await
        .unwrap();
    assert!(!world.is_live(&world.token).await);
    let start = Start::Recovered {
        owner: EmailAddress::parse("owner@example.com").unwrap(),
    };
    let recovered = app.bootstrap(name("acme"), start).await.unwrap();
    assert_eq!(recovered.account_id, world.account);
    assert!(world.is_live(recovered.token.reveal()).await);
}
