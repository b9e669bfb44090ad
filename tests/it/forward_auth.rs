//! Real gateways with the configurations of `docs/forward-auth`: who passes, what the application behind
//! them learns, and what it never sees.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::{Value, json};
use symbolon_tests::http::{Answer, Client};
use symbolon_tests::process::{Home, free_port};
use symbolon_tests::{eventually, not_run, setting, test_name};

use crate::instance::{Api, Instance, Node, SOON, token};

/// What a token may have at most: so many scopes, and so many characters in each.
const SCOPES_MAX: usize = 100;
const SCOPE_MAX: usize = 200;

const CONFIGURATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/forward-auth");

/// A gateway that is running.
struct Gateway {
    child: Child,
    client: Client,
    /// Its configuration and log live here.
    home: Home,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = std::fs::read(self.home.path().join("log")).unwrap_or_default();
            eprintln!(
                "--- log of the gateway ---\n{}",
                String::from_utf8_lossy(&log)
            );
        }
    }
}

/// How one of the programs is started.
struct Kind {
    /// Names it in the environment, as `SYMBOLON_TEST_NGINX`.
    variable: &'static str,
    files: &'static [&'static str],
    /// Where the configuration listens, and where it is to listen here.
    listens: (&'static str, fn(u16) -> String),
    arguments: &'static [&'static str],
    /// What it answers while Symbolon is gone.
    without_symbolon: u16,
    /// Whether it removes every header that begins with `X-Symbolon-`, also those that nobody ever heard of.
    removes_unknown: bool,
}

const NGINX: Kind = Kind {
    variable: "SYMBOLON_TEST_NGINX",
    files: &["nginx.conf"],
    listens: ("listen 8000;", |port| format!("listen 127.0.0.1:{port};")),
    // One process, under whichever user this is.
    arguments: &[
        "-p",
        ".",
        "-e",
        "log",
        "-c",
        "nginx.conf",
        "-g",
        "daemon off; master_process off;",
    ],
    without_symbolon: 500,
    removes_unknown: false,
};
const CADDY: Kind = Kind {
    variable: "SYMBOLON_TEST_CADDY",
    files: &["Caddyfile"],
    listens: ("\n:8000 {", |port| {
        format!("\n{{\n\tadmin off\n}}\nhttp://127.0.0.1:{port} {{")
    }),
    arguments: &["run", "--config", "Caddyfile", "--adapter", "caddyfile"],
    without_symbolon: 502,
    removes_unknown: true,
};
const HAPROXY: Kind = Kind {
    variable: "SYMBOLON_TEST_HAPROXY",
    files: &["haproxy.cfg", "symbolon.lua"],
    listens: ("bind :8000", |port| format!("bind 127.0.0.1:{port}")),
    arguments: &["-db", "-f", "haproxy.cfg"],
    without_symbolon: 503,
    removes_unknown: true,
};

impl Kind {
    /// Starts it in front of the application; `None` where it is not installed.
    fn start(&self, node: &Node, account: &str, application: &str) -> Option<Gateway> {
        let program = setting(self.variable)?;
        let (home, port) = (Home::new(), free_port());
        let symbolon = node.base.strip_prefix("http://").unwrap();
        for name in self.files {
            let text = std::fs::read_to_string(Path::new(CONFIGURATIONS).join(name)).unwrap();
            let change = |text: String, from: &str, to: &str| {
                assert!(
                    text.contains(from) || *name != self.files[0],
                    "{name}: {from}"
                );
                text.replace(from, to)
            };
            let text = change(text, self.listens.0, &(self.listens.1)(port));
            let text = change(text, "127.0.0.1:8080", symbolon);
            let text = change(text, "127.0.0.1:3000", application);
            let text = change(
                text,
                "account=ACCOUNT_ID",
                &format!("account={account}&scope=invoices:read"),
            );
            std::fs::write(home.path().join(name), text).unwrap();
        }
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let child = Command::new(program)
            .args(self.arguments)
            .current_dir(home.path())
            .env("XDG_DATA_HOME", home.path())
            .env("XDG_CONFIG_HOME", home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let gateway = Gateway {
            child,
            client: Client::new(&format!("http://127.0.0.1:{port}")),
            home,
        };
        eventually(self.variable, SOON, || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Some(gateway)
    }
}

/// The application: it answers with the head and the length of whatever reaches it. Its address.
fn application() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut lines, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
        lines.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let seen = json!({"first": lines.first()?, "head": lines[1..], "bytes": length}).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        seen.len()
    );
    stream.write_all((head + &seen).as_bytes()).ok()
}

/// The value of a header that reached the application. Nothing, and an empty one, are nothing.
fn reached(answer: &Answer, name: &str) -> Option<String> {
    let seen = answer.json();
    let mut values = seen["head"].as_array().unwrap().iter().filter_map(|line| {
        let (key, value) = line.as_str()?.split_once(':')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    });
    let value = values.next().filter(|value| !value.is_empty());
    assert_eq!(values.next(), None, "{name} arrived twice");
    value
}

fn made(api: &Api, body: Value) -> (Value, String) {
    let made = api.try_create(body, &[]).expect(201).json();
    let token = token(&made);
    (made, token)
}

/// As many scopes as a token may have, and as long as they may be.
fn large_answers(api: &Api, gateway: &Gateway) {
    let mut scopes = vec!["invoices:read".to_owned()];
    scopes.extend((1..SCOPES_MAX).map(|at| format!("{at:0>SCOPE_MAX$}")));
    let (_, token) = made(api, json!({"name": "Large", "scopes": scopes}));
    let answer = gateway.client.bearer(&token).get("/", &[]).expect(200);
    let mut told = reached(&answer, "x-symbolon-scopes").unwrap();
    assert!(told.len() > (SCOPES_MAX - 1) * SCOPE_MAX);
    told.push(' ');
    for scope in scopes {
        assert!(told.contains(&format!("{scope} ")), "{scope} is missing");
    }
}

fn gateway(kind: &Kind) {
    let instance = Instance::sqlite(&[("SYMBOLON__HTTP__TRUSTED_PROXIES", "127.0.0.1/32")]);
    let mut node = instance.serve();
    let api = instance.admin(&node);
    let application = application();
    let Some(gateway) = kind.start(&node, &instance.account, &application) else {
        not_run(&test_name(), &format!("{} is not set", kind.variable));
        return;
    };
    let scopes = json!(["invoices:read", "orders:*"]);
    let (billing, good) = made(&api, json!({"name": "Billing / فاتورة", "scopes": scopes}));
    let by = |token: &str| gateway.client.bearer(token);

    let spoofed = [
        ("X-Symbolon-Account", "spoof"),
        ("X-Symbolon-Environment", "spoof"),
        ("x-symbolon-expires-at", "spoof"),
        ("X_Symbolon_Account", "spoof"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("Forwarded", "for=203.0.113.9"),
    ];
    let answer = by(&good).get("/things?a=b", &spoofed).expect(200);
    assert!(!answer.text().contains("spoof"), "{}", answer.text());
    assert!(!answer.text().contains(&good), "the token stays outside");
    assert_eq!(answer.json()["first"], "GET /things?a=b HTTP/1.1");
    let told = |name: &str| reached(&answer, name);
    assert_eq!(
        told("x-symbolon-account").as_deref(),
        Some(&*instance.account)
    );
    assert_eq!(told("x-symbolon-environment"), None);
    assert_eq!(told("x-symbolon-expires-at"), None);
    assert_eq!(
        told("x-symbolon-service-account").as_deref(),
        billing["id"].as_str()
    );
    let name = "Billing%20%2F%20%D9%81%D8%A7%D8%AA%D9%88%D8%B1%D8%A9";
    assert_eq!(
        told("x-symbolon-service-account-name").as_deref(),
        Some(name)
    );
    assert_eq!(
        told("x-symbolon-token").as_deref(),
        billing["token_public_id"].as_str()
    );
    assert_eq!(
        told("x-symbolon-scopes").as_deref(),
        Some("invoices:read orders:*")
    );
    assert_eq!(told("authorization"), None);

    // Not of our making, in each spelling that an application may read as ours.
    let unknown = [("X-Symbolon-Role", "made-up"), ("x_symbolon_role", "cgi")];
    let answer = by(&good).get("/", &unknown).expect(200);
    let expected = (!kind.removes_unknown).then_some("made-up");
    assert_eq!(reached(&answer, "x-symbolon-role").as_deref(), expected);
    assert_eq!(reached(&answer, "x_symbolon_role"), None);

    large_answers(&api, &gateway);

    let body = json!({"text": "x".repeat(50_000)});
    let length = body.to_string().len();
    let answer = by(&good).post("/things", Some(body), &[]).expect(200);
    assert_eq!(
        (&answer.json()["bytes"], &answer.json()["first"]),
        (&json!(length), &json!("POST /things HTTP/1.1"))
    );

    for answer in [
        gateway.client.get("/", &[]),
        gateway
            .client
            .get("/", &[("X-Symbolon-Account", &instance.account)]),
        by("junk").get("/", &[]),
        by(&good[..good.len() - 1]).get("/", &[]),
    ] {
        let answer = answer.expect(401);
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"symbolon\"")
        );
    }
    let (_, weak) = made(&api, json!({"name": "Weak"}));
    let answer = by(&weak).get("/", &[]).expect(403);
    assert_eq!(answer.header("x-symbolon-code"), Some("insufficient_scope"));
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.contains("scope=\"invoices:read\""), "{challenge}");

    // The address is the one that the gateway saw, whatever the client says.
    let bound = |networks: &str| {
        made(
            &api,
            json!({"name": networks, "scopes": scopes, "allowed_networks": [networks]}),
        )
        .1
    };
    by(&bound("127.0.0.0/8")).get("/", &spoofed).expect(200);
    let answer = by(&bound("203.0.113.0/24")).get("/", &spoofed).expect(403);
    assert_eq!(answer.header("x-symbolon-code"), Some("ip_not_allowed"));

    let limit = json!({"limit": 1, "period": "3600s"});
    let (_, slow) = made(
        &api,
        json!({"name": "Slow", "scopes": scopes, "rate_limit": limit}),
    );
    by(&slow).get("/", &[]).expect(200);
    let answer = by(&slow).get("/", &[]).expect(429);
    assert_eq!(answer.header("x-symbolon-code"), Some("rate_limited"));
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
    assert_eq!(
        answer.header("ratelimit-policy"),
        Some("\"default\";q=1;w=3600")
    );

    // Revoked: the node that revokes refuses at once.
    api.client
        .delete(&api.of(&billing, ""), None, &[])
        .expect(204);
    by(&good).get("/", &[]).expect(401);
    // Nothing passes while nobody can tell.
    node.process.kill9();
    by(&good).get("/", &[]).expect(kind.without_symbolon);
}

#[test]
fn nginx_asks_before_it_lets_pass() {
    gateway(&NGINX);
}

#[test]
fn caddy_asks_before_it_lets_pass() {
    gateway(&CADDY);
}

#[test]
fn haproxy_asks_before_it_lets_pass() {
    gateway(&HAPROXY);
}
