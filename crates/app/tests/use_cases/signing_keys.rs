//! Signing keys: one signs, one waits; made once however many ask, and heard of by every process.

use crate::asked::Asked;
use crate::harness::*;
use std::sync::Arc;
use symbolon_app::{App, KeyFile, Keyring, Origin};
use symbolon_domain::dice::SeededDice;
use symbolon_domain::issue::NewToken;
use symbolon_domain::signing::SigningKeyStatus;
use symbolon_domain::{Clock, CredentialKind, Dice};

on_both!(
    the_next_one_takes_over_and_the_old_one_still_verifies,
    two_processes_make_one,
    a_process_hears_of_the_others_keys,
    a_retired_key_stays_for_its_last_token,
);

async fn statuses(world: &World) -> Vec<&'static str> {
    let keys = world.app().store().signing_keys().await.unwrap();
    let mut all: Vec<_> = keys.iter().map(|it| it.status.as_str()).collect();
    all.sort_unstable();
    all
}

async fn billing(world: &World) -> Key {
    let made = world.make(service_account("billing", "a")).await;
    world.key(made.id, "a").await
}

async fn exchange(world: &World, key: &Key) -> String {
    let issued = Asked::by(world, key).send(world).await.unwrap();
    issued.token.reveal().to_owned()
}

/// Another process on the same database.
fn another(world: &World) -> App {
    let dice = Box::new(|| -> Box<dyn Dice> { Box::new(symbolon_app::SystemDice) });
    App::new(
        world.test.database.store.clone(),
        Keyring::new(&KeyFile::generate(&mut SeededDice::new(0))),
        world.test.clock.clone() as Arc<dyn Clock>,
        dice,
        Default::default(),
    )
}

async fn the_next_one_takes_over_and_the_old_one_still_verifies(world: World) {
    let app = world.app();
    let key = billing(&world).await;
    assert!(statuses(&world).await.is_empty());
    let first = exchange(&world, &key).await;
    assert_eq!(statuses(&world).await, ["active", "next"]);
    let kid = |token: &str| read_jws(token).0["kid"].as_str().unwrap().to_owned();
    let made = app.store().signing_keys().await.unwrap();
    let (next, active): (Vec<_>, Vec<_>) = made
        .iter()
        .partition(|it| it.status == SigningKeyStatus::Next);
    assert_eq!(kid(&first), active[0].id.to_string());
    app.maintain_signing_keys().await.unwrap();
    assert_eq!(statuses(&world).await, ["active", "next"], "nothing is due");
    world.advance(90 * DAY - HOUR);
    let before = exchange(&world, &key).await;
    world.advance(HOUR - SECOND);
    app.maintain_signing_keys().await.unwrap();
    assert_eq!(statuses(&world).await, ["active", "next"]);
    let last = exchange(&world, &key).await;
    world.advance(SECOND);
    app.maintain_signing_keys().await.unwrap();
    assert_eq!(statuses(&world).await, ["active", "next", "retired"]);
    let after = exchange(&world, &key).await;
    assert_eq!(kid(&last), kid(&before));
    assert_eq!(kid(&after), next[0].id.to_string());
    assert!(!world.is_live(&before).await, "it has ended");
    assert!(world.is_live(&last).await && world.is_live(&after).await);
}

async fn two_processes_make_one(world: World) {
    let key = billing(&world).await;
    let apps = [
        another(&world),
        another(&world),
        another(&world),
        world.app().clone(),
    ];
    let text = {
        let asked = Asked::by(&world, &key);
        hs256(&asked.header, &asked.claims, &asked.secret)
    };
    let mut racers = tokio::task::JoinSet::new();
    for at in 0..12 {
        let (app, text) = (apps[at % apps.len()].clone(), text.clone());
        racers.spawn(async move {
            let grant = symbolon_app::AssertionGrant {
                assertion: &symbolon_domain::Presented::new(text),
                endpoint_path: TOKEN_PATH,
                client: None,
                wanted: Default::default(),
            };
            let issued = app.exchange_assertion(grant).await.unwrap();
            read_jws(issued.token.reveal()).0["kid"].clone()
        });
    }
    let kids = racers.join_all().await;
    assert!(kids.iter().all(|it| *it == kids[0]), "{kids:?}");
    assert_eq!(statuses(&world).await, ["active", "next"]);
    let mut racers = tokio::task::JoinSet::new();
    for app in apps {
        racers.spawn(async move { app.maintain_signing_keys().await });
    }
    for done in racers.join_all().await {
        done.unwrap();
    }
    assert_eq!(statuses(&world).await, ["active", "next"]);
}

async fn a_process_hears_of_the_others_keys(world: World) {
    let key = billing(&world).await;
    let other = another(&world);
    let sees = async |token: &str| {
        let token = bearer(token);
        let seen = other.authenticate(&token, Origin::default(), None).await;
        seen.is_ok()
    };
    // It has looked before there was any.
    assert!(!sees("eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImsifQ.e30.").await);
    let token = exchange(&world, &key).await;
    world.advance(SECOND);
    assert!(sees(&token).await, "asked again for a kid unheard of");
    world.advance(90 * DAY);
    world.app().maintain_signing_keys().await.unwrap();
    let token = exchange(&world, &key).await;
    assert!(sees(&token).await, "the next one was known before");
    world.advance(90 * DAY);
    // One that sleeps through it signs with the old one for a minute at most.
    other.maintain_signing_keys().await.unwrap();
    world.advance(MINUTE);
    let token = exchange(&world, &key).await;
    let keys = world.app().store().signing_keys().await.unwrap();
    let active = keys.iter().find(|it| it.status.as_str() == "active");
    assert_eq!(
        read_jws(&token).0["kid"],
        serde_json::json!(active.unwrap().id)
    );
}

async fn a_retired_key_stays_for_its_last_token(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let new = NewToken {
        kind: CredentialKind::Jwt,
        ..token("a")
    };
    let made = app
        .issue_direct_token(&call(&admin), world.account, None, new)
        .await
        .unwrap();
    let purge = async || while app.purge_page().await.unwrap() > 0 {};
    world.advance(90 * DAY);
    app.maintain_signing_keys().await.unwrap();
    world.advance(DAY);
    purge().await;
    assert_eq!(statuses(&world).await, ["active", "next", "retired"]);
    // The bootstrap token has ended by now.
    app.revoke_direct_token(
        &call(&symbolon_app::Actor::operator_cli()),
        world.account,
        made.record.record.it.id,
        Default::default(),
    )
    .await
    .unwrap();
    purge().await;
    assert_eq!(statuses(&world).await, ["active", "next"]);
}
