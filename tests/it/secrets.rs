//! Secrets, collected by the client that received them, are looked for wherever they must not be: logs,
//! dumps, database files, what Redis was told, mails, error bodies. A planted one must be found.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use symbolon_tests::eventually;
use symbolon_tests::smtp::SmtpSink;

use crate::dialects::{Key, PREFACTOR, TOKEN_ENDPOINT, UNLEASH, exchange, text};
use crate::instance::{Api, Instance, Node, SOON, complaint, link, press, token};

const CANARY: &str = "canary/that+was planted=4711";

/// A secret and what it is, to name it when it is found (never itself).
struct Secret {
    what: String,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Secrets(Vec<Secret>);

impl Secrets {
    fn add(&mut self, what: &str, bytes: impl AsRef<[u8]>) {
        let (what, bytes) = (what.to_owned(), bytes.as_ref().to_vec());
        assert!(bytes.len() >= 8, "{what} is too short to look for");
        self.0.push(Secret { what, bytes });
    }

    /// A token, and its secret half alone.
    fn add_token(&mut self, what: &str, token: &str) {
        self.add(what, token);
        let (_, half) = token.rsplit_once('_').expect("public id _ secret");
        self.add(&format!("{what} (secret half)"), half);
    }

    /// A JWT, and what proves it: header and claims alone are no secrets.
    fn add_jwt(&mut self, what: &str, jwt: &str) {
        self.add(what, jwt);
        let (_, signature) = jwt.rsplit_once('.').expect("three parts");
        self.add(&format!("{what} (signature)"), signature);
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
        self.add(&format!("{what} (signature's bytes)"), signature);
    }

    /// What of these is in `text`, in any of the ways in which it might have been written.
    fn found_in(&self, text: &[u8]) -> Vec<&str> {
        let is_in = |secret: &&Secret| {
            let ways = spellings(&secret.bytes);
            ways.iter().any(|way| contains(text, way))
        };
        self.0.iter().filter(is_in).map(|it| &*it.what).collect()
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    let first = part[0];
    let mut at = 0;
    while let Some(next) = text[at..].iter().position(|byte| *byte == first) {
        at += next;
        if text[at..].starts_with(part) {
            return true;
        }
        at += 1;
    }
    false
}

/// Raw, hex, base64 (both alphabets, wherever it begins in a longer text), URL-encoded.
fn spellings(bytes: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let url = |upper: bool| -> String {
        let encode = |byte: &u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(*byte).to_string()
            }
            _ if upper => format!("%{byte:02X}"),
            _ => format!("%{byte:02x}"),
        };
        bytes.iter().map(encode).collect()
    };
    let mut ways = vec![
        bytes.to_vec(),
        hex.to_ascii_uppercase().into_bytes(),
        hex.into_bytes(),
        url(true).into_bytes(),
        url(false).into_bytes(),
    ];
    for before in 0..3 {
        // Only the digits that no neighbour has a share in.
        let padded = [&vec![0; before][..], bytes].concat();
        let whole = padded.len() / 3 * 4;
        let start = if before == 0 { 0 } else { 4 };
        for text in [STANDARD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            ways.push(text.as_bytes()[start..whole].to_vec());
        }
    }
    ways
}

#[test]
fn the_search_finds_what_is_there() {
    let mut secrets = Secrets::default();
    secrets.add("canary", CANARY);
    for prefix in ["", "x", "xx", "xxx"] {
        let inside = format!("{prefix}{CANARY}yyy");
        for text in [
            inside.clone(),
            STANDARD.encode(&inside),
            URL_SAFE_NO_PAD.encode(&inside),
            inside.bytes().map(|byte| format!("{byte:02X}")).collect(),
        ] {
            assert_eq!(secrets.found_in(text.as_bytes()), ["canary"], "{text}");
        }
    }
    let encoded = "q=canary%2Fthat%2Bwas%20planted%3D4711";
    assert_eq!(secrets.found_in(encoded.as_bytes()), ["canary"]);
    assert!(secrets.found_in(b"canary/that+was planted=4712").is_empty());
}

/// Where secrets must not be, by name.
type Places = Vec<(String, Vec<u8>)>;

/// Uses the instance in every way that handles a secret; collects the secrets, the bodies of refusals,
/// and the mails.
fn use_all(
    instance: &Instance,
    node: &Node,
    api: &Api,
    sink: &SmtpSink,
    secrets: &mut Secrets,
) -> Places {
    let mut places = Places::new();
    secrets.add_token("the bootstrap token", &instance.token);
    let setup = instance.setup_url.rsplit('/').next().unwrap();
    secrets.add("the set-up link", setup);
    secrets.add("the password of the mail server", "smtp-pa55/word");
    let keys = fs::read_to_string(instance.home.data().join("keys")).unwrap();
    let key = keys.split_whitespace().last().unwrap();
    secrets.add("the key file's key", URL_SAFE_NO_PAD.decode(key).unwrap());
    secrets.add("the key file's key, as written", key);

    // The canary goes where what clients write goes: a description, and a header that is logged.
    let body = json!({"name": "ci", "contact_email": "ops@acme.test", "description": CANARY});
    let headers = [("Idempotency-Key", "once"), ("User-Agent", CANARY)];
    let it = api.try_create(body.clone(), &headers).expect(201).json();
    secrets.add_token("a primary token", &token(&it));
    api.try_create(body.clone(), &headers).expect(201);
    let path = api.of(&it, "/rotate");
    let key = [("Idempotency-Key", "once")];
    let rotated = api.client.post(&path, None, &key).expect(200).json();
    secrets.add_token("a rotated token", &token(&rotated));
    let path = api.of(&it, "/tokens");
    let further = api.client.post(&path, None, &key).expect(201).json();
    secrets.add_token("a further token", &token(&further));
    let holder = node.client().bearer(&token(&further));
    let own = holder
        .post("/v1/public/self/rotate", None, &key)
        .expect(200);
    secrets.add_token("a token that rotated itself", &token(&own.json()));

    let mail = sink.wait_for(1, SOON).remove(0);
    let link = link(&mail);
    let opaque = link.rsplit('/').next().unwrap();
    secrets.add("the link of a mail", opaque);
    api.open.get(&link, &[]).expect(200);
    press(&api.open, &link, "confirm").expect(200);
    let password = "correct-horse-battery/staple";
    secrets.add("a person's password", password);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let typed = "password=correct-horse-battery%2Fstaple&repeat=correct-horse-battery%2Fstaple";
    let set = |body: &str| {
        let body = Some(body.as_bytes().to_vec());
        let path = format!("/setup/{setup}");
        api.open.send("POST", &path, body, &form).unwrap()
    };
    // Too short, unequal, right, and once too often.
    for (body, status) in [
        ("password=shortpw1&repeat=shortpw1", 422),
        ("password=correct-horse-battery%2Fstaple&repeat=x", 422),
        (typed, 200),
        (typed, 410),
    ] {
        let page = set(body).expect(status);
        places.push((format!("a page of the set-up link ({status})"), page.body));
    }

    // Refusals, each given a secret to repeat.
    let dead = token(&it);
    let holder = node.client().bearer(&dead);
    let whoami = "/v1/public/whoami";
    let with_secret = json!({"name": dead, "expires_at": dead, dead.clone(): 1});
    let broken = format!("{{\"name\": \"{dead}\"").into_bytes();
    let json = [("Content-Type", "application/json")];
    let list = api.service_accounts();
    for (what, answer) in [
        ("401", holder.get(whoami, &[])),
        ("used link", press(&api.open, &link, "confirm")),
        ("404", api.open.get(&format!("/v1/{dead}"), &[])),
        ("404", api.open.get(&format!("/{dead}"), &[])),
        (
            "400",
            api.client.send("POST", &list, Some(broken), &json).unwrap(),
        ),
        ("401", api.open.bearer(&format!("{dead}x")).get(whoami, &[])),
        ("query", api.client.get(&format!("{list}?q={dead}"), &[])),
        ("404", api.client.get(&format!("{list}/{dead}"), &[])),
    ] {
        places.push((format!("the body of a refusal ({what})"), answer.body));
    }
    // Names of fields are repeated to who sent them, values are not; neither is logged.
    let refused = api.try_create(with_secret, &[]).expect(422).json();
    let about_values: Vec<_> = refused["errors"].as_array().unwrap().iter().collect();
    let about_values: Vec<_> = about_values
        .into_iter()
        .filter(|it| it["pointer"] == "/expires_at")
        .map(Value::to_string)
        .collect();
    places.push((
        "a validation error".into(),
        about_values.concat().into_bytes(),
    ));
    use_dialects(instance, node, api, secrets, &mut places);
    places
}

/// The compatibility doors, keys, assertions and access tokens.
fn use_dialects(
    instance: &Instance,
    node: &Node,
    api: &Api,
    secrets: &mut Secrets,
    places: &mut Places,
) {
    let keeper = json!({"name": "administrator", "scopes": ["symbolon:admin"]});
    let keeper = api.try_create(keeper, &[]).expect(201).json();
    secrets.add_token("an administrator's token", &token(&keeper));
    let open = api.open.header("User-Agent", CANARY);
    let api = Api {
        client: open.bearer(&token(&keeper)),
        ..api.clone()
    };

    let unleash = api.at_unleash("builder", 1);
    let pat = text(&api.unleash_token(&unleash, CANARY), "secret");
    secrets.add_token("an Unleash token", &pat);
    let raw = open.header("Authorization", &pat);
    raw.get(UNLEASH, &[]).expect(200);
    let jwt = token(&api.at_prefactor());
    secrets.add_jwt("a Prefactor token", &jwt);
    open.bearer(&jwt).get("/api/v1/ping", &[]).expect(200);
    let neowit = api.at_neowit("gate", true);
    let key = api.neowit_key(&neowit);
    secrets.add_token("a Neowit key", &key.secret);
    secrets.add("a Neowit key, as sent", key.basic().replace("Basic ", ""));
    let native = api.client.post(&api.of(&neowit, "/keys"), None, &[]);
    let native = native.expect(201).json();
    secrets.add_token("a native key", &text(&native, "secret"));

    // The ways in which a key proves itself, each rightly and wrongly.
    let whoami = "/v1/public/whoami";
    let basic = open.header("Authorization", &key.basic());
    basic.get(whoami, &[]).expect(200);
    let audience = match instance.is_sqlite() {
        true => format!("{}{TOKEN_ENDPOINT}", node.base),
        false => format!("http://symbolon.test{TOKEN_ENDPOINT}"),
    };
    let assertion = key.assertion(&audience, Some("once-and-never-again"));
    secrets.add_jwt("an assertion", &assertion);
    let granted = exchange(&open, &assertion).expect(200).json();
    let access = text(&granted, "access_token");
    secrets.add_jwt("an access token", &access);
    open.bearer(&access).get(whoami, &[]).expect(200);
    let refused = |what: &str, answer: symbolon_tests::http::Answer, places: &mut Places| {
        assert!(
            (400..500).contains(&answer.status),
            "{what}: {}",
            answer.status
        );
        places.push((format!("the body of a refusal ({what})"), answer.body));
    };
    refused("a replayed assertion", exchange(&open, &assertion), places);
    let astray = key.assertion("https://elsewhere.test/", None);
    secrets.add_jwt("an assertion for another place", &astray);
    refused(
        "an assertion for another place",
        exchange(&open, &astray),
        places,
    );
    let bent = format!("{assertion}A");
    refused("a bent assertion", exchange(&open, &bent), places);
    let wrong = Key {
        secret: format!("{}x", key.secret),
        ..key.clone()
    };
    let wrong = open.header("Authorization", &wrong.basic());
    refused("a wrong Basic secret", wrong.get(whoami, &[]), places);
    for (what, bearer) in [("key", &key.secret), ("assertion", &assertion)] {
        let answer = open.bearer(bearer).get(whoami, &[]);
        refused(&format!("{what} as bearer"), answer, places);
    }
    let path = format!("{PREFACTOR}/{access}");
    refused("a path", api.client.get(&path, &[]), places);
    open.bearer(&access)
        .post("/v1/public/self/revoke", None, &[])
        .expect(204);
    refused(
        "a revoked access token",
        open.bearer(&access).get(whoami, &[]),
        places,
    );
    let path = api.of(&neowit, "");
    api.client.delete(&path, None, &[]).expect(204);
    refused("the key of a revoked one", basic.get(whoami, &[]), places);
}

fn report(secrets: &Secrets, places: &Places) {
    let mut leaks = Vec::new();
    for (place, text) in places {
        for what in secrets.found_in(text) {
            leaks.push(format!("{what} is in {place}"));
        }
    }
    let bytes: usize = places.iter().map(|(_, text)| text.len()).sum();
    println!(
        "{} secrets, {} places, {bytes} bytes",
        secrets.0.len(),
        places.len()
    );
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

/// The same search finds the canary there: the place was written, and is read.
#[track_caller]
fn canary_is_in(places: &Places, name: &str) {
    let mut canary = Secrets::default();
    canary.add("canary", CANARY);
    let (_, text) = places.iter().find(|(place, _)| place == name).unwrap();
    assert_eq!(canary.found_in(text), ["canary"], "{name}");
}

fn mail_url(sink: &SmtpSink) -> String {
    sink.url()
        .replace("smtp://", "smtp://sender:smtp-pa55%2Fword@")
}

/// What the commands print that are made for being looked at.
fn commands(instance: &Instance, places: &mut Places) {
    for command in [
        &["config"][..],
        &["jobs", "list", "--json"],
        &["notices", "--json"],
        &["schedules", "--json"],
        &["doctor"],
        &["keys", "status"],
    ] {
        let output = instance.try_command(command, &[]);
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        places.push((format!("symbolon {}", command.join(" ")), text));
    }
}

#[test]
fn none_leaks_from_the_embedded_product() {
    let sink = SmtpSink::start();
    let settings = [
        ("SYMBOLON__MAIL__URL", &*mail_url(&sink)),
        ("SYMBOLON__LOG__LEVEL", "trace"),
    ];
    let instance = Instance::sqlite(&settings);
    let mut secrets = Secrets::default();
    let mut node = instance.serve();
    let api = instance.admin(&node);
    let mut places = use_all(&instance, &node, &api, &sink, &mut secrets);
    commands(&instance, &mut places);
    let data = instance.home.data();
    let read = |path: &Path| fs::read(path).unwrap_or_default();
    for file in ["symbolon.db", "symbolon.db-wal"] {
        places.push((format!("{file}, running"), read(&data.join(file))));
    }
    node.process.terminate();
    assert!(node.process.wait_exit(SOON).success());
    places.push(("symbolon.db".into(), read(&data.join("symbolon.db"))));
    places.push(("the log".into(), instance.log_text().into_bytes()));
    canary_is_in(&places, "symbolon.db");
    canary_is_in(&places, "symbolon.db-wal, running");
    canary_is_in(&places, "the log");
    report(&secrets, &places);
    mails_have_links_only(&sink, secrets);
}

/// A mail carries its own link, and no other secret.
fn mails_have_links_only(sink: &SmtpSink, mut secrets: Secrets) {
    secrets.0.retain(|it| it.what != "the link of a mail");
    let decoded = |mail: &symbolon_tests::mail::Mail| {
        let texts = [
            &mail.raw[..],
            mail.body_text.as_bytes(),
            mail.body_html.as_bytes(),
        ];
        texts.concat()
    };
    let mails: Vec<u8> = sink.messages().iter().flat_map(decoded).collect();
    assert!(contains(&mails, b"/confirm/"));
    // Names, never descriptions.
    secrets.add("a description", CANARY);
    report(&secrets, &vec![("a mail".into(), mails)]);
}

#[test]
fn none_leaks_from_the_distributed_product() {
    let sink = SmtpSink::start();
    let settings = [
        ("SYMBOLON__MAIL__URL", &*mail_url(&sink)),
        ("SYMBOLON__LOG__LEVEL", "trace"),
    ];
    let Some(mut instance) = Instance::distributed(&settings) else {
        return;
    };
    // With passwords of their own for both servers.
    let database = instance.database.as_ref().unwrap();
    let role = "symbolon_password";
    database.psql(&format!(
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; \
         GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}"
    ));
    let url = database.password_url();
    let redis = instance.redis.as_ref().unwrap();
    redis.command(&["CONFIG", "SET", "requirepass", "redis-pa55word"]);
    let redis_url = format!("redis://:redis-pa55word@127.0.0.1:{}", redis.port());
    instance.set("SYMBOLON__DATABASE__URL", &url);
    instance.set("SYMBOLON__REDIS__URL", &redis_url);
    let mut secrets = Secrets::default();
    secrets.add("the password of Redis", "redis-pa55word");
    let word = url
        .split_once(':')
        .and_then(|(_, rest)| rest.split_once(':'));
    let word = word
        .and_then(|(_, rest)| rest.split_once('@'))
        .unwrap()
        .0
        .to_owned();
    secrets.add("the password of PostgreSQL", &word);

    let (api_node, worker) = (instance.start("api", &[]), instance.start("worker", &[]));
    let api = instance.admin(&api_node);
    let capture = instance.home.path().join("monitor");
    let redis = instance.redis.as_ref().unwrap();
    redis.command_as("redis-pa55word", &["CONFIG", "SET", "requirepass", ""]);
    let monitor = redis.monitor(&capture);
    redis.command(&["SET", "canary", CANARY]);
    let mut places = use_all(&instance, &api_node, &api, &sink, &mut secrets);
    let database = instance.database.as_ref().unwrap();
    places.push(("pg_dump".into(), database.dump()));
    places.push((
        "the start of another process".into(),
        wrong_passwords(&instance),
    ));
    eventually("Redis carried jobs", SOON, || {
        monitor.text().contains("symbolon:jobs").then_some(())
    });
    places.push(("what Redis was told".into(), monitor.stop().into_bytes()));
    commands(&instance, &mut places);
    drop((api_node, worker));
    places.push(("the log".into(), instance.log_text().into_bytes()));
    canary_is_in(&places, "pg_dump");
    canary_is_in(&places, "what Redis was told");
    canary_is_in(&places, "the log");
    report(&secrets, &places);
    mails_have_links_only(&sink, secrets);
}

/// What a start says that cannot sign in anywhere.
fn wrong_passwords(instance: &Instance) -> Vec<u8> {
    let url = instance.database.as_ref().unwrap().password_url();
    let wrong = url.replace("symbolon_password:", "nobody_at_all:");
    let output = instance.try_command(&["doctor"], &[("SYMBOLON__DATABASE__URL", &wrong)]);
    assert!(!output.status.success());
    [output.stdout.clone(), complaint(&output).into_bytes()].concat()
}
