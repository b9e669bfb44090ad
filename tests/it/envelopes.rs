//! Each door's own manners: its envelope for whatever goes wrong before a handler, its language, being
//! switched off, and the mail that a new service account causes whatever the door.

use serde_json::{Value, json};
use symbolon_tests::eventually;
use symbolon_tests::http::Answer;
use symbolon_tests::mail::Mail;
use symbolon_tests::smtp::SmtpSink;

use crate::dialects::{NEOWIT, PREFACTOR, TOKEN_ENDPOINT, UNLEASH};
use crate::instance::{Api, Instance, Node, SOON};

/// With the node, as the account's administrator.
fn served(settings: &[(&str, &str)]) -> (Instance, Node, Api) {
    let instance = Instance::sqlite(settings);
    let node = instance.serve();
    let api = instance.admin(&node).administrator();
    (instance, node, api)
}

const COMPATIBLE: [(&str, &str); 3] = [
    ("unleash", UNLEASH),
    ("prefactor", PREFACTOR),
    ("neowit", NEOWIT),
];

/// Whether the answer is a refusal in the envelope of this door; returns the id that the log has too.
#[track_caller]
fn in_envelope_of(door: &str, answer: &Answer) -> String {
    assert!(
        (400..500).contains(&answer.status),
        "{}: {}",
        answer.status,
        answer.text()
    );
    let body = answer.json();
    let has = |field: &str| {
        let text = body[field].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{door}: no {field} in {body}");
        text.to_owned()
    };
    let media = match door {
        "native" => "application/problem+json",
        _ => "application/json",
    };
    let content_type = answer.header("content-type").unwrap_or_default();
    assert_eq!(content_type.split(';').next(), Some(media), "{door}");
    match door {
        "native" => {
            has("code");
            has("request_id")
        }
        "unleash" => {
            has("name");
            has("message");
            assert!(body["details"].is_array(), "{body}");
            has("id")
        }
        "prefactor" => {
            has("code");
            has("message");
            assert_eq!(body["status"], "error");
            answer.header("x-request-id").unwrap().to_owned()
        }
        "neowit" => {
            has("reason");
            has("status");
            assert!(body["validations"].is_object(), "{body}");
            has("traceID")
        }
        other => panic!("{other}?"),
    }
}

#[test]
fn what_fails_before_a_handler_comes_in_the_doors_own_envelope() {
    let (instance, node, api) = served(&[]);
    let native = api.service_accounts();
    let all = COMPATIBLE.into_iter().chain([("native", &*native)]);
    let mut logged = Vec::new();
    for (door, path) in all {
        let send = |method: &str, below: &str, body: &str, kind: &str| {
            let path = format!("{path}{below}");
            let kind = [("Content-Type", kind)];
            let body = (!body.is_empty()).then(|| body.as_bytes().to_vec());
            let kind = if body.is_some() { &kind[..] } else { &[] };
            api.client.send(method, &path, body, kind).unwrap()
        };
        let json = "application/json";
        let large = format!("{{\"name\": \"{}\"}}", "x".repeat(200 * 1024));
        for (what, status, answer) in [
            ("unknown path", 404, send("GET", "/1/2/3/4/5", "", "")),
            ("wrong method", 405, send("PATCH", "", "", "")),
            (
                "wrong method, unsigned",
                405,
                node.client().send("PATCH", path, None, &[]).unwrap(),
            ),
            ("too large", 413, send("POST", "", &large, json)),
            ("wrong type", 415, send("POST", "", "<a/>", "text/xml")),
            ("malformed", 400, send("POST", "", "{\"name\": ", json)),
            ("no object", 0, send("POST", "", "[1]", json)),
            ("unsigned", 401, node.client().get(path, &[])),
            (
                "unknown token",
                401,
                node.client().bearer("sym_x").get(path, &[]),
            ),
        ] {
            assert!(
                status == 0 || answer.status == status,
                "{door}, {what}: {}",
                answer.status
            );
            logged.push((door, what, in_envelope_of(door, &answer)));
        }
    }
    // Refusals of the token endpoint are those of RFC 6749 §5.2.
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    for (body, error) in [
        ("grant_type=password", "unsupported_grant_type"),
        ("", "invalid_request"),
        (
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=x",
            "invalid_grant",
        ),
    ] {
        let body = Some(body.as_bytes().to_vec());
        let answer = node
            .client()
            .send("POST", TOKEN_ENDPOINT, body, &form)
            .unwrap();
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (400, &json!(error))
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    // Whoever is told an id can have it looked up.
    let log = eventually("the log has the last one", SOON, || {
        let log = instance.log_text();
        log.contains(&logged.last().unwrap().2).then_some(log)
    });
    for (door, what, id) in logged {
        assert!(log.contains(&id), "{door}, {what}: {id}");
    }
}

#[test]
fn language_changes_prose_only() {
    let (_instance, node, api) = served(&[]);
    let wrong = [
        (UNLEASH, json!({"name": 1, "username": "x", "rootRole": 1})),
        (
            UNLEASH,
            json!({"name": "x", "username": "x", "rootRole": 99}),
        ),
        (
            PREFACTOR,
            json!({"details": {"token_scope": "account", "expires_at": "never"}}),
        ),
        (PREFACTOR, json!({"details": {"token_scope": "planet"}})),
        (NEOWIT, json!({"enableBasicAuth": true})),
        (NEOWIT, json!({"name": "x", "enableBasicAuth": "yes"})),
    ];
    let native = api.service_accounts();
    let wrong = wrong.into_iter().chain([(&*native, json!({"name": ""}))]);
    for (path, body) in wrong {
        let in_language = |language: &str| {
            let language = [("Accept-Language", language)];
            let answers = [
                api.client.post(path, Some(body.clone()), &language),
                api.client.get(&format!("{path}/1/2/3/4/5"), &language),
                node.client().get(path, &language),
            ];
            for answer in &answers {
                assert_eq!(
                    answer.header("content-language"),
                    Some(language[0].1),
                    "{path}"
                );
            }
            answers
        };
        for (english, arabic) in in_language("en").iter().zip(in_language("ar")) {
            assert_eq!(english.status, arabic.status);
            let mut prose = Vec::new();
            differing(&english.json(), &arabic.json(), "", &mut prose);
            assert!(!prose.is_empty(), "{path}: {}", arabic.text());
            for (pointer, text) in prose {
                assert!(
                    text.chars().any(|c| ('\u{600}'..'\u{700}').contains(&c)),
                    "{pointer}: {text}"
                );
            }
        }
    }
}

/// Where two bodies say different texts; ids of requests aside.
///
/// # Panics
/// Where they differ in anything but texts.
fn differing(one: &Value, other: &Value, at: &str, found: &mut Vec<(String, String)>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            assert!(one.keys().eq(other.keys()), "{at}: {one:?} {other:?}");
            for (key, value) in one {
                if !["id", "traceID", "request_id", "instance"].contains(&&**key) {
                    differing(value, &other[key], &format!("{at}/{key}"), found);
                }
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            assert_eq!(one.len(), other.len(), "{at}");
            for (i, (one, other)) in one.iter().zip(other).enumerate() {
                differing(one, other, &format!("{at}/{i}"), found);
            }
        }
        (Value::String(one), Value::String(other)) if one != other => {
            found.push((at.to_owned(), other.clone()));
        }
        _ => assert_eq!(one, other, "{at}"),
    }
}

#[test]
fn a_door_that_is_switched_off_is_not_there() {
    for (off, path) in COMPATIBLE {
        let setting = format!("SYMBOLON__DOORS__{}", off.to_uppercase());
        let (_instance, node, api) = served(&[(&setting, "false")]);
        for client in [&api.client, &api.open] {
            client.get(path, &[]).expect(404);
            client.post(path, Some(json!({})), &[]).expect(404);
            client.get(&format!("/openapi/{off}.json"), &[]).expect(404);
        }
        for (on, path) in COMPATIBLE.into_iter().filter(|(door, _)| *door != off) {
            assert_eq!(api.client.get(path, &[]).status, 200, "{on} without {off}");
            node.client()
                .get(&format!("/openapi/{on}.json"), &[])
                .expect(200);
        }
        for native in ["/openapi.json", "/openapi/native.json"] {
            node.client().get(native, &[]).expect(200);
        }
        // The documentation has no page for it either.
        let page = node.client().get("/docs/swagger-initializer.js", &[]);
        let page = page.expect(200).text();
        for (door, _) in COMPATIBLE {
            assert_eq!(page.contains(&format!("openapi/{door}.json")), door != off);
        }
        // The token endpoint goes with its door, the native one stays.
        let endpoint = |path: &str| node.client().post(path, None, &[]).status;
        let gone = if off == "neowit" { 404 } else { 400 };
        assert_eq!(
            (endpoint(TOKEN_ENDPOINT), endpoint("/oauth2/token")),
            (gone, 400)
        );
    }
}

fn mail_to(sink: &SmtpSink, address: &str, about: &str) -> Mail {
    eventually(&format!("mail to {address} about {about}"), SOON, || {
        let is_it = |mail: &Mail| mail.to == [address] && mail.header("Subject").contains(about);
        sink.messages().into_iter().find(is_it)
    })
}

#[test]
fn every_door_has_new_service_accounts_confirmed_by_mail() {
    let sink = SmtpSink::start();
    let (_instance, _node, api) = served(&[("SYMBOLON__MAIL__URL", &sink.url())]);
    let ops = json!({"ops_addresses": ["one@acme.test", "two@acme.test"]});
    api.client.patch(&api.account, Some(ops), &[]).expect(200);
    let named = json!({"name": "alpha", "email": "contact@acme.test"});
    api.client.post(NEOWIT, Some(named), &[]).expect(201);
    api.at_neowit("beta", false);
    api.at_unleash("builder", 3);
    let told = [
        ("alpha", &["contact@acme.test"][..]),
        ("beta", &["one@acme.test", "two@acme.test"]),
        ("builder", &["one@acme.test", "two@acme.test"]),
    ];
    for (name, addresses) in told {
        for address in addresses {
            let mail = mail_to(&sink, address, name);
            assert!(mail.links().iter().any(|link| link.contains("/confirm/")));
        }
    }
    // Who names a contact is the only one asked.
    let mut asked = sink.messages();
    asked.retain(|mail| mail.header("Subject").contains("alpha"));
    assert!(asked.iter().all(|mail| mail.to == ["contact@acme.test"]));
}
