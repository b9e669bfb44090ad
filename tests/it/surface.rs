//! What everybody meets at the door: refusals in one envelope, request ids, health, the document, and
//! the bounds on what one client may hold.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use symbolon_tests::eventually;
use symbolon_tests::http::{Answer, Client};

use crate::instance::{Api, Instance, Node, SOON, token};

fn served(settings: &[(&str, &str)]) -> (Instance, Node, Api) {
    let instance = Instance::sqlite(settings);
    let node = instance.serve();
    let api = instance.admin(&node);
    (instance, node, api)
}

/// A problem document with this status and code.
#[track_caller]
fn problem(answer: Answer, status: u16, code: &str) -> Answer {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let body = answer.json();
    assert_eq!(body["code"], code);
    assert_eq!(body["status"], status);
    for key in ["type", "title", "detail", "instance"] {
        assert!(
            body[key].as_str().is_some_and(|text| !text.is_empty()),
            "{key}"
        );
    }
    assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"));
    answer
}

#[test]
fn refusals_have_one_envelope() {
    let (_instance, node, api) = served(&[]);
    let open = node.client();
    let list = api.service_accounts();
    let raw = |body: &[u8], kind: &str| {
        let kind = [("Content-Type", kind)];
        let sent = api.client.send("POST", &list, Some(body.to_vec()), &kind);
        sent.unwrap()
    };
    problem(open.get("/v1/nowhere", &[]), 404, "not_found");
    let answer = problem(open.get("/v1/public/whoami", &[]), 401, "unauthenticated");
    assert_eq!(
        answer.header("www-authenticate"),
        Some("Bearer realm=\"symbolon\"")
    );
    let answer = problem(api.client.put(&list, None, &[]), 405, "method_not_allowed");
    let allow = answer.header("allow").unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    problem(raw(b"<a/>", "text/xml"), 415, "unsupported_media_type");
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(64 * 1024));
    problem(
        raw(large.as_bytes(), "application/json"),
        413,
        "payload_too_large",
    );
    let answer = problem(
        raw(b"{\n  \"name\": \"ci\",\n  oops\n}", "application/json"),
        400,
        "malformed_body",
    );
    assert_eq!(answer.json()["line"], 3);
    assert_eq!(answer.json()["column"], 3);
    // Everything that is wrong, at once.
    let wrong = json!({
        "name": "",
        "expires_att": "2099-01-01T00:00:00Z",
        "expires_at": "2001-01-01T00:00:00Z",
        "contact_email": "no address",
        "scopes": ["ok:read", "NOT A SCOPE"],
        "basic_auth_enabled": "yes",
    });
    let answer = problem(api.try_create(wrong, &[]), 422, "validation_failed");
    let body = answer.json();
    let errors = body["errors"].as_array().unwrap();
    let mut pointers: Vec<_> = errors
        .iter()
        .map(|it| it["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/basic_auth_enabled",
            "/contact_email",
            "/expires_at",
            "/expires_att",
            "/name",
            "/scopes/1"
        ]
    );
    let typo = errors
        .iter()
        .find(|it| it["pointer"] == "/expires_att")
        .unwrap();
    assert!(typo["detail"].as_str().unwrap().contains("(expires_at?)"));
    // The same in another language, with the same codes.
    let arabic = api.try_create(json!({"name": ""}), &[("Accept-Language", "ar")]);
    let arabic = problem(arabic, 422, "validation_failed");
    assert_eq!(arabic.header("content-language"), Some("ar"));
    let detail = arabic.json()["errors"][0]["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        detail.chars().any(|c| ('\u{600}'..'\u{700}').contains(&c)),
        "{detail}"
    );
    // Nothing was made by all this.
    let all = api.client.get(&list, &[]).expect(200).json();
    assert_eq!(all, json!([]));
}

#[test]
fn requests_have_ids_in_answers_and_in_the_log() {
    let (instance, node, api) = served(&[]);
    let open = node.client();
    let mine = "trace-me_0123456789";
    let answer = open.get("/healthz", &[("X-Request-Id", mine)]).expect(200);
    assert_eq!(answer.header("x-request-id"), Some(mine));
    let logged = |id: &str| {
        eventually("the log has the request", SOON, || {
            let log = instance.log_text();
            let line = log.lines().find(|line| line.contains(id))?;
            serde_json::from_str::<Value>(line).ok()
        })
    };
    let line = logged(mine);
    assert_eq!(line["request_id"], mine);
    assert_eq!(line["route"], "/healthz");
    assert_eq!(line["status"], 200);
    // What is not sane is not taken over.
    for bad in ["short", "has;semicolon", &"x".repeat(65)] {
        let answer = open.get("/healthz", &[("X-Request-Id", bad)]).expect(200);
        let own = answer.header("x-request-id").unwrap();
        assert_eq!(own.len(), 36, "{own}");
    }
    // The log has templates, not paths; the event has the id of the request.
    let it = api.create("ci", "ops@acme.test");
    let id = it["id"].as_str().unwrap();
    let answer = api
        .client
        .post(&api.of(&it, "/rotate"), None, &[])
        .expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let own = answer.header("x-request-id").unwrap();
    assert_eq!(api.events("kind=token.rotated")[0]["request_id"], own);
    let line = logged(own);
    assert!(
        line["route"]
            .as_str()
            .unwrap()
            .ends_with("/{service_account_id}/rotate")
    );
    assert!(!instance.log_text().contains(id));
}

#[test]
fn health_metrics_and_the_document() {
    let (instance, node, api) = served(&[]);
    let open = node.client();
    assert_eq!(
        open.get("/healthz", &[]).expect(200).json()["status"],
        "alive"
    );
    let ready = open.get("/readyz", &[]).expect(200).json();
    assert_eq!(ready["status"], "ready");
    api.create("ci", "ops@acme.test");
    let metrics = open.get("/metrics", &[]).expect(200).text();
    assert!(
        metrics.contains("symbolon_http_requests_total{"),
        "{metrics}"
    );
    // No tenant in a label.
    assert!(
        !metrics.contains(&instance.account) && !metrics.contains("acme"),
        "{metrics}"
    );

    let document = open.get("/openapi.json", &[]).expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let printed: Value = instance.json(&["openapi"]);
    assert_eq!(printed["paths"], document["paths"]);
    let rotate =
        "/v1/public/accounts/{account_id}/auth/service-accounts/{service_account_id}/rotate";
    assert!(document["paths"][rotate]["post"].is_object());

    // The page and all that it loads come from here.
    let answer = open.get("/docs", &[]).expect(302);
    assert_eq!(answer.header("location"), Some("docs/"));
    let page = open.get("/docs/", &[]).expect(200);
    let mut loaded = 0;
    for text in page.text().split(['"', '\'']) {
        assert!(!text.starts_with("//"), "{text}");
        assert!(
            !text.starts_with("http://") && !text.starts_with("https://"),
            "{text}"
        );
        if text.ends_with(".js") || text.ends_with(".css") {
            let path = format!("/docs/{}", text.trim_start_matches("./"));
            open.get(&path, &[]).expect(200);
            loaded += 1;
        }
    }
    assert!(loaded >= 2, "{}", page.text());
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(!policy.contains("http"), "{policy}");
}

#[test]
fn metrics_move_to_the_admin_address() {
    let admin = format!("127.0.0.1:{}", symbolon_tests::process::free_port());
    let instance = Instance::sqlite(&[("SYMBOLON__HTTP__ADMIN_BIND", &admin)]);
    let node = instance.serve();
    assert_eq!(node.client().get("/metrics", &[]).status, 404);
    let apart = Client::new(&format!("http://{admin}"));
    assert!(
        apart
            .get("/metrics", &[])
            .expect(200)
            .text()
            .contains("symbolon_")
    );
    apart.get("/v1/public/whoami", &[]).expect(404);
}

/// Opens a connection and says this much.
fn begin(node: &Node, words: &str) -> TcpStream {
    let mut stream = TcpStream::connect(node.base.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(words.as_bytes()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

#[test]
fn a_client_that_dawdles_is_cut_off() {
    let (instance, node, api) = served(&[("SYMBOLON__HTTP__READ_TIMEOUT", "700ms")]);
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{{",
        api.service_accounts(),
        instance.token
    );
    for half in ["GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ", &head] {
        let start = Instant::now();
        let stream = begin(&node, half);
        let mut drip = stream.try_clone().unwrap();
        let dripping = std::thread::spawn(move || {
            // A byte now and then does not keep it open.
            while drip.write_all(b"a").is_ok() && start.elapsed() < SOON {
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let mut answer = Vec::new();
        // Reset or closed, with or without an answer: not kept.
        let _ = (&stream).read_to_end(&mut answer);
        let took = start.elapsed();
        assert!(
            took < Duration::from_secs(5),
            "{half:?} was kept for {took:?}"
        );
        assert!(
            took > Duration::from_millis(500),
            "{half:?} was cut after {took:?}"
        );
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
        let _ = stream.shutdown(std::net::Shutdown::Both);
        dripping.join().unwrap();
    }
    // Who is quick is served as ever.
    let it = api.create("ci", "ops@acme.test");
    assert_eq!(api.whoami(&token(&it)), 200);
}

#[test]
fn connections_are_capped() {
    let settings = [
        ("SYMBOLON__HTTP__MAX_CONNECTIONS", "8"),
        ("SYMBOLON__HTTP__READ_TIMEOUT", "2s"),
    ];
    let (_instance, node, _api) = served(&settings);
    // Longer than the cap by far; all connect, but who is beyond the cap waits to be taken.
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let start = Instant::now();
    let held: Vec<_> = (0..24)
        .map(|_| begin(&node, "GET /healthz HTTP/1.1\r\n"))
        .collect();
    let mut waiting = begin(&node, request);
    let mut answer = [0; 15];
    waiting.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    // Those before it had to be timed out first.
    assert!(
        start.elapsed() > Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    drop(held);
    node.client().get("/healthz", &[]).expect(200);
}
