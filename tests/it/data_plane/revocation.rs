//! Proof of revocation: `?wait=` answers when every process has applied a change, says so when one has not,
//! and nobody depends on a notification.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use symbolon_tests::eventually;
use symbolon_tests::http::Answer;
use symbolon_tests::proxy::TcpProxy;

use crate::dialects::text;
use crate::instance::{Api, Instance, SOON, list, token, with_tls_off};

/// How far a change has come, as its answer says.
#[track_caller]
fn effective(answer: Answer) -> (u64, u64, Duration) {
    let body = answer.expect(200).json();
    let number = |name: &str| {
        let number = body["effective"][name].as_u64();
        number.unwrap_or_else(|| panic!("no {name} in {body}"))
    };
    let elapsed = Duration::from_millis(number("elapsed_ms"));
    (number("nodes"), number("confirmed"), elapsed)
}

/// It holds at each of so many processes.
#[track_caller]
fn is_everywhere(answer: Answer, nodes: u64) {
    let (counted, confirmed, elapsed) = effective(answer);
    assert_eq!((counted, confirmed), (nodes, nodes), "after {elapsed:?}");
}

/// Changes that are made through `here` and have to hold `there` when they are answered.
fn each_change_holds_there_when_it_is_answered(here: &Api, there: &Api, nodes: u64) {
    const WAIT: &str = "?wait=10000";
    let post = |path: String| here.client.post(&path, None, &[]);
    let always = |token: &str, wanted: bool, after: &str| {
        for _ in 0..5 {
            assert_eq!(there.said(token), [wanted; 3], "after {after}");
        }
    };
    for round in 0..3 {
        let it = here.create(&format!("n{round}"), "a@acme.test");
        let (first, path) = (token(&it), here.of(&it, ""));
        always(&first, true, "its making");
        is_everywhere(post(format!("{path}/suspend{WAIT}")), nodes);
        always(&first, false, "the service account's suspension");
        is_everywhere(post(format!("{path}/activate{WAIT}")), nodes);
        always(&first, true, "the service account's activation");
        let rotated = post(format!("{path}/rotate{WAIT}")).expect(200);
        let second = token(&rotated.json());
        is_everywhere(rotated, nodes);
        always(&first, false, "its rotation");
        always(&second, true, "the other's rotation");

        let tokens = format!("{path}/tokens");
        let made = here
            .client
            .post(&tokens, Some(json!({})), &[])
            .expect(201)
            .json();
        let (third, own) = (
            token(&made),
            format!("{tokens}/{}", made["id"].as_str().unwrap()),
        );
        always(&third, true, "its making");
        is_everywhere(post(format!("{own}/suspend{WAIT}")), nodes);
        always(&third, false, "its suspension");
        is_everywhere(post(format!("{own}/activate{WAIT}")), nodes);
        always(&third, true, "its activation");
        is_everywhere(
            here.client.delete(&format!("{own}{WAIT}"), None, &[]),
            nodes,
        );
        always(&third, false, "its revocation");
        // Nothing changes, and the answer is the same.
        is_everywhere(
            here.client.delete(&format!("{own}{WAIT}"), None, &[]),
            nodes,
        );

        let holder = here.open.bearer(&second);
        is_everywhere(
            holder.post(&format!("/v1/public/self/revoke{WAIT}"), None, &[]),
            nodes,
        );
        always(&second, false, "its own wish");
        let fourth = here
            .client
            .post(&tokens, Some(json!({})), &[])
            .expect(201)
            .json();
        always(&token(&fourth), true, "its making");
        is_everywhere(
            here.client.delete(&format!("{path}{WAIT}"), None, &[]),
            nodes,
        );
        always(&token(&fourth), false, "the service account's revocation");
    }
}

#[test]
fn waiting_answers_when_a_change_holds_at_both_processes() {
    let Some(instance) = Instance::postgres(&[]) else {
        return;
    };
    let nodes = [instance.start("api", &[]), instance.start("api", &[])];
    let [here, there] = nodes.each_ref().map(|node| instance.admin(node));
    each_change_holds_there_when_it_is_answered(&here, &there, 2);
    each_change_holds_there_when_it_is_answered(&there, &here, 2);
}

/// What else may be ended: an access token without its key, a key with its access tokens, a JWT.
#[test]
fn waiting_for_the_end_of_keys_and_signed_tokens() {
    const WAIT: &str = "?wait=10000";
    let Some(instance) = Instance::postgres(&[]) else {
        return;
    };
    let nodes = [instance.start("api", &[]), instance.start("api", &[])];
    let [here, there] = nodes.each_ref().map(|node| instance.admin(node));
    let body = json!({"name": "n", "scopes": ["invoices:read"], "basic_auth_enabled": true});
    let it = here.try_create(body, &[]).expect(201).json();
    let path = here.of(&it, "/keys");
    let made = here
        .client
        .post(&path, Some(json!({"inherit_scopes": true})), &[]);
    let made = made.expect(201).json();
    let key = format!("{}:{}", text(&made, "key_id"), text(&made, "secret"));
    let access_token = || {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let (id, secret) = key.split_once(':').unwrap();
        let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let sent = here
            .open
            .send("POST", "/oauth2/token", Some(body.into_bytes()), &form);
        text(&sent.unwrap().expect(200).json(), "access_token")
    };
    let (first, second) = (access_token(), access_token());
    let jwt = token(&here.administrator().at_prefactor());
    for good in [&key, &first, &second, &jwt] {
        assert_eq!(there.said(good), [true; 3]);
    }

    let holder = here.open.bearer(&first);
    is_everywhere(
        holder.post(&format!("/v1/public/self/revoke{WAIT}"), None, &[]),
        2,
    );
    assert_eq!(there.said(&first), [false; 3]);
    for good in [&key, &second, &jwt] {
        assert_eq!(there.said(good), [true; 3], "only the one was meant");
    }

    let me = here
        .open
        .bearer(&jwt)
        .get("/v1/public/whoami", &[])
        .expect(200)
        .json();
    let direct = format!(
        "{}/auth/tokens/{}{WAIT}",
        here.account,
        text(&me["token"], "id")
    );
    is_everywhere(here.client.delete(&direct, None, &[]), 2);
    assert_eq!(there.said(&jwt), [false; 3]);

    let path = format!("{path}/{}{WAIT}", text(&made, "key_id"));
    is_everywhere(here.client.delete(&path, None, &[]), 2);
    for over in [&key, &second] {
        assert_eq!(there.said(over), [false; 3]);
    }
}

#[test]
fn waiting_where_there_is_one_process() {
    let instance = Instance::sqlite(&[]);
    let node = instance.serve();
    let api = instance.admin(&node);
    each_change_holds_there_when_it_is_answered(&api, &api, 1);
}

#[test]
fn waits_are_whole_milliseconds_up_to_ten_seconds() {
    let instance = Instance::sqlite(&[]);
    let node = instance.serve();
    let api = instance.admin(&node);
    let it = api.create("n", "a@acme.test");
    for wrong in ["-1", "10001", "1s", "", "0.5"] {
        let path = api.of(&it, &format!("/suspend?wait={wrong}"));
        let refused = api.client.post(&path, None, &[]).expect(422).json();
        assert_eq!(refused["errors"][0]["code"], "out_of_range", "{refused}");
        assert!(
            api.is_good(&token(&it)),
            "{wrong}: refused, and done all the same"
        );
    }
    let path = api.of(&it, "/suspend?wait=0");
    let (nodes, confirmed, _) = effective(api.client.post(&path, None, &[]));
    assert!(nodes == 1 && confirmed <= 1);
    let path = api.of(&it, "/activate?wait=10000");
    is_everywhere(api.client.post(&path, None, &[]), 1);
    let plain = api.client.post(&api.of(&it, "/suspend"), None, &[]);
    assert!(plain.expect(200).json().get("effective").is_none());
    let plain = api.client.delete(&api.of(&it, ""), None, &[]).expect(204);
    assert!(plain.body.is_empty());
}

#[test]
fn a_process_that_has_stopped_is_waited_for_no_more() {
    let Some(instance) = Instance::postgres(&[]) else {
        return;
    };
    let (here, mut there) = (instance.start("api", &[]), instance.start("api", &[]));
    let api = instance.admin(&here);
    let it = api.create("n", "a@acme.test");
    is_everywhere(
        api.client
            .post(&api.of(&it, "/suspend?wait=10000"), None, &[]),
        2,
    );
    there.process.terminate();
    assert!(there.process.wait_exit(SOON).success());
    is_everywhere(
        api.client
            .post(&api.of(&it, "/activate?wait=10000"), None, &[]),
        1,
    );
}

/// With the product's own interval of polling, and no notification that comes through.
#[test]
fn without_notifications_polling_finds_what_others_changed() {
    const POLL: &str = "500ms";
    const BOUND: Duration = Duration::from_millis(1500);
    let Some(instance) = Instance::postgres(&[("SYMBOLON__CACHE__FEED_POLL", POLL)]) else {
        return;
    };
    let database = instance.database.as_ref().unwrap();
    let proxy = TcpProxy::postgres(SocketAddr::from(([127, 0, 0, 1], database.port())));
    proxy.lose_notifications();
    let url = with_tls_off(&database.url_through(proxy.port()));
    let deaf = instance.start("api", &[("SYMBOLON__DATABASE__URL", &url)]);
    let node = instance.start("api", &[]);
    let (here, there) = (instance.admin(&node), instance.admin(&deaf));
    let mut spans: Vec<Duration> = (0..7)
        .map(|round| {
            let it = here.create(&format!("n{round}"), "a@acme.test");
            assert!(there.is_good(&token(&it)));
            here.client.delete(&here.of(&it, ""), None, &[]).expect(204);
            let acknowledged = Instant::now();
            eventually("it is refused", Duration::from_secs(10), || {
                (!there.is_good(&token(&it))).then_some(())
            });
            acknowledged.elapsed()
        })
        .collect();
    spans.sort();
    println!(
        "refused after {spans:?}, {} notifications lost",
        proxy.lost()
    );
    assert!(proxy.lost() > 0, "none was sent: nothing was shown");
    // Most of them: a busy machine may hold up one.
    assert!(spans[spans.len() / 2] < BOUND, "{spans:?}");
}

/// On SQLite only the commands are other processes: recovery lets a suspended account back in.
#[test]
fn a_serving_process_hears_of_what_a_command_changed() {
    let instance = Instance::sqlite(&[("SYMBOLON__CACHE__FEED_POLL", "500ms")]);
    let node = instance.serve();
    let operator = instance.admin(&node);
    let body = json!({"name": "beta"});
    let made = operator.client.post("/v1/public/accounts", Some(body), &[]);
    let made = made.expect(201).json();
    let beta = Api {
        account: format!("/v1/public/accounts/{}", made["id"].as_str().unwrap()),
        ..operator.clone()
    };
    let it = beta.create("n", "a@beta.test");
    assert!(operator.is_good(&token(&it)));
    let suspended = json!({"status": "suspended"});
    operator
        .client
        .patch(&beta.account, Some(suspended), &[])
        .expect(200);
    assert!(!operator.is_good(&token(&it)));
    instance.command(&[
        "bootstrap",
        "--recover",
        "--account",
        "beta",
        "--email",
        "owner@beta.test",
        "--json",
    ]);
    let done = Instant::now();
    eventually(
        "the account is active again",
        Duration::from_secs(10),
        || operator.is_good(&token(&it)).then_some(()),
    );
    println!("heard of after {:?}", done.elapsed());
    let events: Vec<Value> = list(
        operator
            .client
            .get(&format!("{}/events", beta.account), &[])
            .expect(200)
            .json(),
    );
    assert!(
        events.iter().any(|it| it["kind"] == "instance.recovered"),
        "{events:?}"
    );
}
