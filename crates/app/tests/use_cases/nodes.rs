//! What a process knows by the feed, what of that it cannot read, and until when it may answer.

use crate::harness::*;
use std::num::NonZeroU32;
use symbolon_app::{AuthorizeAsk, Node, Place};
use symbolon_domain::Code;
use symbolon_domain::account::AccountPatch;
use symbolon_domain::retire::Because;
use uuid::Uuid;

on_both!(
    what_cannot_be_read_lets_nobody_in_and_keeps_nobody_out,
    a_process_that_cannot_beat_answers_until_its_lease_is_over,
    a_second_account_is_noticed_while_the_first_is_read,
);

impl World {
    /// An id as the database writes it.
    fn literal(&self, id: Uuid) -> String {
        match self.app().store().is_sqlite() {
            true => format!("X'{}'", id.simple()),
            false => format!("'{id}'"),
        }
    }

    /// Changes a row past the product, and has the feed name it.
    async fn damage(&self, table: &str, id: Uuid, set: &str, kind: &str) {
        let (id, now) = match self.app().store().is_sqlite() {
            true => (self.literal(id), "0"),
            false => (self.literal(id), "now()"),
        };
        let database = &self.test.database;
        let version = "version = version + 1";
        let update = format!("UPDATE {table} SET {set}, {version} WHERE id = {id}");
        database.execute(&update).await;
        let feed = format!(
            "INSERT INTO feed (kind, id, version, at) \
             SELECT '{kind}', id, version, {now} FROM {table} WHERE id = {id}"
        );
        database.execute(&feed).await;
    }
}

async fn what_cannot_be_read_lets_nobody_in_and_keeps_nobody_out(world: World) {
    let app = world.app();
    let fine = world.make(service_account("fine", "")).await;
    let unsealed = match app.store().is_sqlite() {
        true => "sealed = X'00'",
        false => "sealed = '\\x00'",
    };
    for (at, (table, kind, set)) in [
        ("credentials", "credential", "created_by = 'nobody we know'"),
        ("credentials", "credential", unsealed),
        (
            "service_accounts",
            "service_account",
            "created_by = 'nobody we know'",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let broken = world
            .make(service_account(&format!("broken {at}"), ""))
            .await;
        let doomed = world
            .make(service_account(&format!("doomed {at}"), ""))
            .await;
        for it in [&fine, &broken, &doomed] {
            assert!(world.is_live(&it.token).await);
        }
        let id = match kind {
            "credential" => broken.primary.0,
            _ => broken.id.0,
        };
        world.damage(table, id, set, kind).await;
        assert_eq!(app.poll_feed().await.unwrap(), 1, "{set}");
        let refused = world.actor(&broken.token).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{table}: {set}");
        // It is behind us, and what comes after it is heard.
        assert_eq!(app.poll_feed().await.unwrap(), 0);
        assert!(world.is_live(&fine.token).await);
        let admin = world.admin().await;
        let by = call(&admin);
        let revoked = app.revoke_token(
            &by,
            world.account,
            doomed.id,
            doomed.primary,
            Because::default(),
        );
        revoked.await.unwrap();
        assert!(!world.is_live(&doomed.token).await);
        assert!(world.is_live(&fine.token).await);
    }
}

async fn a_process_that_cannot_beat_answers_until_its_lease_is_over(world: World) {
    let app = world.app();
    let made = world.make(service_account("billing", "")).await;
    let node = Node {
        name: "here:1".into(),
        role: "serve",
    };
    app.join(&node).await.unwrap();
    // The lease is ten seconds, and facts may be ten seconds old.
    for _ in 0..18 {
        world.advance(SECOND);
        app.poll_feed().await.unwrap();
        assert!(world.is_live(&made.token).await);
    }
    world.advance(SECOND);
    app.poll_feed().await.unwrap();
    let late = world.actor(&made.token).await.unwrap_err();
    assert_eq!(
        late.code(),
        Code::Unavailable,
        "the feed alone is not enough"
    );
    assert!(!app.ready().await.ready);
    let others = app.effective(None, Default::default()).await.unwrap();
    assert_eq!(others.nodes, 1, "and it still counts");
    app.report_now(&node).await.unwrap();
    assert!(world.is_live(&made.token).await);
    assert!(app.ready().await.ready);
}

async fn a_second_account_is_noticed_while_the_first_is_read(world: World) {
    let app = world.app();
    let ask = AuthorizeAsk {
        account: None,
        environment: None,
        scopes: &[],
        audience: None,
        client_ip: None,
        cost: NonZeroU32::MIN,
    };
    let mut held = app.hold_at(Place::SoleAccountRead);
    let first = app.authorize(None, &ask);
    let second = async {
        held.arrived().await;
        let admin = world.admin().await;
        let by = call(&admin);
        let made = app.create_account(&by, name("Other"), AccountPatch::default());
        made.await.unwrap();
        drop(held);
    };
    let (_, ()) = tokio::join!(first, second);
    let now = app.authorize(None, &ask).await;
    assert_eq!(now.err().unwrap().code(), Code::AccountRequired);
}
