//! A token's life, as its owner and its ops see it: create, mail, link, button, use, rotate, revoke,
//! expire; over HTTP and SMTP, against the embedded and the distributed product.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use symbolon_tests::eventually;
use symbolon_tests::mail::Mail;
use symbolon_tests::smtp::SmtpSink;

use crate::instance::{Api, Instance, Node, SOON, link, press, token};

/// The processes of an instance, whatever they are called there.
fn start(instance: &Instance) -> Vec<Node> {
    match instance.is_sqlite() {
        true => vec![instance.serve()],
        false => vec![instance.start("api", &[]), instance.start("worker", &[])],
    }
}

fn mail_to(sink: &SmtpSink, address: &str) -> Mail {
    eventually(&format!("mail to {address}"), SOON, || {
        let to = |mail: &Mail| mail.to == [address];
        sink.messages().into_iter().find(to)
    })
}

#[test]
fn embedded() {
    let sink = SmtpSink::start();
    let instance = Instance::sqlite(&[("SYMBOLON__MAIL__URL", &sink.url())]);
    whole_life(&instance, &sink);
}

#[test]
fn distributed() {
    let sink = SmtpSink::start();
    let settings = [("SYMBOLON__MAIL__URL", &*sink.url())];
    let Some(instance) = Instance::distributed(&settings) else {
        return;
    };
    whole_life(&instance, &sink);
}

fn whole_life(instance: &Instance, sink: &SmtpSink) {
    let nodes = start(instance);
    let api = instance.admin(&nodes[0]);
    let ci = confirmed(&api, sink);
    let successor = rotated(&api, &ci);
    revoked(&api, &ci, &successor);
    disowned(&api, sink);
    links_that_do_not_work(&api, sink, instance);
    expired(&api, instance);
}

/// Create → mail → link → GET changes nothing → button → confirmed.
fn confirmed(api: &Api, sink: &SmtpSink) -> Value {
    let ci = api.create("ci", "ops@acme.test");
    assert_eq!(ci["contact_state"], "pending");
    assert_eq!(api.whoami(&token(&ci)), 200);

    let mail = mail_to(sink, "ops@acme.test");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert!(mail.header("Subject").contains("ci"));
    assert!(mail.body_html.contains("ci"));
    let link = link(&mail);
    for _ in 0..2 {
        let page = api.open.get(&link, &[]).expect(200);
        assert!(page.text().contains("ops@acme.test"));
        assert!(page.header("content-type").unwrap().contains("text/html"));
    }
    assert_eq!(api.read(&ci)["contact_state"], "pending");
    assert!(api.events("kind=contact.confirmed").is_empty());

    press(&api.open, &link, "nonsense").expect(400);
    press(&api.open, &link, "confirm").expect(200);
    assert_eq!(api.read(&ci)["contact_state"], "confirmed");
    let events = api.events("kind=contact.confirmed");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["service_account_id"], ci["id"]);
    // The same link again: a kind page that it is used.
    assert_eq!(api.open.get(&link, &[]).status, 410);
    for action in ["confirm", "disown"] {
        let page = press(&api.open, &link, action).expect(410);
        assert!(page.header("content-type").unwrap().contains("text/html"));
    }
    assert_eq!(api.read(&ci)["contact_state"], "confirmed");
    assert_eq!(api.events("kind=contact.confirmed").len(), 1);
    ci
}

fn rotated(api: &Api, ci: &Value) -> Value {
    let successor = api.rotate(ci);
    assert_eq!(successor["id"], ci["id"]);
    assert_ne!(token(&successor), token(ci));
    assert_eq!(api.whoami(&token(ci)), 401);
    assert_eq!(api.whoami(&token(&successor)), 200);
    // The use is recorded, on the object that shows the primary token.
    eventually("the use is recorded", SOON, || {
        api.read(ci)["last_used_at"].is_string().then_some(())
    });
    successor
}

fn revoked(api: &Api, ci: &Value, live: &Value) {
    for _ in 0..2 {
        api.client.delete(&api.of(ci, ""), None, &[]).expect(204);
    }
    assert_eq!(api.whoami(&token(live)), 401);
    assert_eq!(api.read(ci)["status"], "revoked");
    let kinds = [
        "service_account.revoked",
        "token.rotated",
        "service_account.created",
    ];
    let id = ci["id"].as_str().unwrap();
    for kind in kinds {
        let found = api.events(&format!("kind={kind}&service_account_id={id}"));
        assert_eq!(found.len(), 1, "{kind}");
    }
    let rotate = api.of(ci, "/rotate");
    api.client.post(&rotate, None, &[]).expect(409);
}

/// "This is not mine": noted, and no more mail about this service account.
fn disowned(api: &Api, sink: &SmtpSink) {
    let stray = api.create("stray", "stranger@other.test");
    let link = link(&mail_to(sink, "stranger@other.test"));
    press(&api.open, &link, "disown").expect(200);
    assert_ne!(api.read(&stray)["contact_state"], "confirmed");
    let id = stray["id"].as_str().unwrap();
    let query = format!("kind=contact.disowned&service_account_id={id}");
    assert_eq!(api.events(&query).len(), 1);
    press(&api.open, &link, "confirm").expect(410);
    let resend = api.of(&stray, "/confirmation");
    let answer = api.client.post(&resend, None, &[]);
    assert!((400..500).contains(&answer.status), "{}", answer.text());
    // A mail that is sent afterwards shows that the other one would have come.
    api.create("later", "later@acme.test");
    mail_to(sink, "later@acme.test");
    let strays = sink.messages();
    let strays = strays
        .iter()
        .filter(|mail| mail.to == ["stranger@other.test"]);
    assert_eq!(strays.count(), 1);
}

fn links_that_do_not_work(api: &Api, sink: &SmtpSink, instance: &Instance) {
    let slow = api.create("slow", "slow@acme.test");
    let link = link(&mail_to(sink, "slow@acme.test"));
    // One letter of the signature.
    let (head, last) = link.split_at(link.len() - 6);
    let flipped: String = last
        .chars()
        .map(|c| if c == 'A' { 'B' } else { 'A' })
        .collect();
    for unknown in [&format!("{head}{flipped}"), "/confirm/x"] {
        let page = api.open.get(unknown, &[]).expect(404);
        assert!(page.header("content-type").unwrap().contains("text/html"));
        press(&api.open, unknown, "confirm").expect(404);
    }
    // Only a database that others can write to can be told that a week has passed.
    if let Some(database) = &instance.database {
        let id = slow["id"].as_str().unwrap();
        let left = "UPDATE confirmations SET expires_at = now() WHERE service_account_id =";
        database.psql(&format!("{left} '{id}'"));
        api.open.get(&link, &[]).expect(410);
        press(&api.open, &link, "confirm").expect(410);
    } else {
        // A newer address puts the older link out of force.
        let other = json!({"contact_email": "quick@acme.test"});
        let path = api.of(&slow, "");
        api.client.patch(&path, Some(other), &[]).expect(200);
        api.open.get(&link, &[]).expect(410);
        press(&api.open, &link, "confirm").expect(410);
    }
    assert_eq!(api.read(&slow)["contact_state"], "pending");
}

/// A token of two seconds: good, then refused by the clock, then recorded by the sweep.
fn expired(api: &Api, instance: &Instance) {
    let life = |life: Value| {
        let policy = json!({"policy": {"default_lifetime": life}});
        api.client
            .patch(&api.account, Some(policy), &[])
            .expect(200);
    };
    let owner = api.create("batch", "batch@acme.test");
    life(json!("2s"));
    let start = Instant::now();
    let path = api.of(&owner, "/tokens");
    let short = api.client.post(&path, None, &[]).expect(201).json();
    life(Value::Null);
    assert!(short["expires_at"].is_string());
    assert_eq!(api.whoami(&token(&short)), 200);
    eventually("the token has expired", SOON, || {
        (api.whoami(&token(&short)) == 401).then_some(())
    });
    assert!(start.elapsed() >= Duration::from_secs(2));
    // Its sibling without an end lives.
    assert_eq!(api.whoami(&token(&owner)), 200);
    let query = format!(
        "kind=token.expired&token_id={}",
        short["id"].as_str().unwrap()
    );
    let event = eventually("the sweep records it", SOON, || api.events(&query).pop());
    assert_eq!(event["actor"]["kind"], "schedule");
    assert_eq!(event["service_account_id"], owner["id"]);
    // Once: sweeps that come later find nothing more to record.
    let last_run = || {
        let schedules = crate::instance::list(instance.json(&["schedules", "--json"]));
        let sweep = schedules.iter().find(|it| it["name"] == "expire_tokens");
        sweep.unwrap()["last_run_at"].clone()
    };
    let before = last_run();
    eventually("another sweep runs", SOON, || {
        (last_run() != before).then_some(())
    });
    assert_eq!(api.events(&query).len(), 1);
}
