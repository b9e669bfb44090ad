//! OAuth, driven by clients and JWT libraries that are not ours: the assertion flow (`oauth/assertion.py`),
//! client credentials, introspection, revocation and the published keys (`oauth/clients.py`).

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use symbolon_tests::{eventually, not_run, setting, test_name};

use crate::dialects::{Key, NEOWIT, TOKEN_ENDPOINT, text};
use crate::instance::{Api, Instance, SOON, list};

const ASSERTION: &str = "assertion.py";
const CLIENTS: &str = "clients.py";
/// The native one, and the Neowit door's.
const ENDPOINTS: [&str; 2] = ["/oauth2/token", TOKEN_ENDPOINT];

/// A Python with the libraries; without one, the test counts as not run.
fn python() -> Option<String> {
    let python = setting("SYMBOLON_TEST_PYTHON");
    if python.is_none() {
        not_run(&test_name(), "no Python with Authlib, PyJWT and requests");
    }
    python
}

/// Runs a script; what an endpoint refuses is an answer, any other failure panics.
#[track_caller]
fn run(python: &str, script: &str, asked: &Value) -> Value {
    let mut child = Command::new(python)
        .arg(format!("{}/oauth/{script}", env!("CARGO_MANIFEST_DIR")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{python}: {e}"));
    // Dropped when it is written, so that the script sees the end.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(asked.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn authlib_gets_an_access_token_for_an_assertion() {
    let Some(python) = python() else { return };
    let instance = Instance::sqlite(&[]);
    let node = instance.serve();
    let api = instance.admin(&node).administrator();
    let it = api.at_neowit("gateway", false);
    let key = api.neowit_key(&it);
    let whoami = "/v1/public/whoami";
    let urls = [NEOWIT, whoami, &api.service_accounts()].map(|path| format!("{}{path}", node.base));
    // Without a public URL of its own, a process that serves on loopback is called as it is reached.
    let [native, endpoint] = ENDPOINTS.map(|path| format!("{}{path}", node.base));
    let asked = |endpoint: &str| {
        json!({
            "token_endpoint": endpoint,
            "audience": endpoint,
            "issuer": key.owner,
            "key_id": key.id,
            "secret": key.secret,
            "urls": urls,
        })
    };
    let mut tokens = Vec::new();
    for endpoint in [&native, &endpoint] {
        let told = run(&python, ASSERTION, &asked(endpoint));
        let library = text(&told, "library");
        assert!(library.starts_with("authlib "), "{library}");
        let token = &told["token"];
        assert_eq!(token["token_type"], "Bearer", "{told}");
        let life = token["expires_in"].as_u64().unwrap();
        assert!((1..=3600).contains(&life), "{life}");
        let answers = list(told["answers"].clone());
        assert!(answers.iter().all(|it| it["status"] == 200), "{told}");
        // The list of the Neowit door, the holder as the native door sees it, and that door's list.
        let neowit = answers[0]["body"].to_string();
        assert!(
            neowit.contains(&key.owner) && neowit.contains("gateway"),
            "{neowit}"
        );
        let me = &answers[1]["body"];
        assert_eq!(me["service_account"]["name"], "gateway");
        assert_eq!(me["token"]["token_public_id"], key.id.as_str());
        assert_eq!(answers[2]["body"][0]["name"], "gateway");
        tokens.push(text(token, "access_token"));
    }
    assert_ne!(tokens[0], tokens[1]);
    let asked = asked(&endpoint);

    // Nobody else's assertion: with another secret, of another, for another place.
    let other = |change: &str, to: Value| {
        let mut asked = asked.clone();
        asked[change] = to;
        run(&python, ASSERTION, &asked)
    };
    let wrong = [
        (
            "secret",
            json!("not-the-secret-of-this-key-at-all-0123456789"),
        ),
        ("issuer", json!("0198a000-0000-7000-8000-000000000000")),
        ("key_id", json!("aaaaaaaaaaaaaaaa")),
        (
            "audience",
            json!("https://elsewhere.test/api/auth/oauth/token"),
        ),
    ];
    for (change, to) in wrong {
        let told = other(change, to);
        assert_eq!(told["error"], "invalid_grant", "{change}: {told}");
    }
    // More than the key may do.
    let told = other("scope", json!("symbolon:instance:read"));
    assert_eq!(told["error"], "invalid_scope", "{told}");

    // Over with the key, at once.
    let path = format!("{NEOWIT}/{}/key/{}", key.owner, key.id);
    api.client.delete(&path, None, &[]).expect(204);
    for token in tokens {
        node.client().bearer(&token).get(whoami, &[]).expect(401);
    }
    let told = run(&python, ASSERTION, &asked);
    assert_eq!(told["error"], "invalid_grant", "{told}");
}

/// A key of a service account that may do so much.
fn key(api: &Api, name: &str, scopes: &[&str]) -> Key {
    let body = json!({"name": name, "scopes": scopes});
    let owner = api.try_create(body, &[]).expect(201).json();
    let path = api.of(&owner, "/keys");
    let fields = json!({"scopes": scopes});
    let key = api.client.post(&path, Some(fields), &[]).expect(201).json();
    Key {
        owner: text(&owner, "id"),
        id: text(&key, "key_id"),
        secret: text(&key, "secret"),
    }
}

/// What both libraries read out of a token that both take; neither took the forged one.
#[track_caller]
fn claims(verified: &Value) -> &Value {
    let (pyjwt, authlib) = (&verified["pyjwt"], &verified["authlib"]);
    assert!(pyjwt.is_object(), "{verified}");
    assert_eq!(pyjwt, authlib);
    assert!(verified["forged"].is_null(), "{verified}");
    pyjwt
}

/// Neither library takes it.
#[track_caller]
fn is_refused(verified: &Value) {
    for library in ["pyjwt", "authlib", "forged"] {
        assert!(verified[library].is_null(), "{library}: {verified}");
    }
}

#[test]
fn others_do_client_credentials_introspect_revoke_and_verify() {
    let Some(python) = python() else { return };
    let instance = Instance::sqlite(&[]);
    let node = instance.serve();
    let api = instance.admin(&node);
    let client = key(&api, "billing", &["invoices:read", "invoices:write"]);
    let introspector = key(&api, "resource server", &["symbolon:tokens:verify"]);
    let asked = json!({
        "issuer": node.base,
        "key_id": client.id,
        "secret": client.secret,
        "introspector": [introspector.id, introspector.secret],
        "scope": "invoices:read",
        "audience": "https://invoices.example",
    });
    let told = run(&python, CLIENTS, &asked);
    let libraries = text(&told, "libraries");
    assert!(
        libraries.contains("authlib ") && libraries.contains("pyjwt "),
        "{libraries}"
    );
    assert_eq!(told["metadata"]["issuer"], node.base);
    let runs = list(told["runs"].clone());
    assert_eq!(runs.len(), 3);
    for (at, run) in runs.iter().enumerate() {
        let audience = match at {
            2 => "https://invoices.example",
            _ => &*node.base,
        };
        assert_eq!(run["token"]["token_type"], "Bearer", "{run}");
        assert_eq!(run["token"]["scope"], "invoices:read");
        let said = claims(&run["verified"]);
        assert_eq!(said["iss"], node.base);
        assert_eq!(said["aud"], audience);
        assert_eq!(said["sub"], client.owner.as_str());
        assert_eq!(said["client_id"], client.id.as_str());
        is_refused(&run["elsewhere"]);
        let known = &run["introspected"];
        assert_eq!(known["active"], true, "{run}");
        for name in [
            "iss",
            "aud",
            "sub",
            "client_id",
            "scope",
            "iat",
            "exp",
            "jti",
        ] {
            assert_eq!(known[name], said[name], "{name}");
        }
        // It may not ask about tokens itself.
        assert_eq!(run["by_itself"]["error"], "unauthorized_client");
        if at < 2 {
            assert_eq!(run["revoked"], json!([200, ""]));
            assert_eq!(run["afterwards"], json!({"active": false}));
        }
    }

    // Refused as the RFC says: another secret, more than the key may do.
    for (change, to, error) in [
        ("secret", "not-the-secret-of-this-key", "invalid_client"),
        ("key_id", "aaaaaaaaaaaaaaaa", "invalid_client"),
        ("scope", "invoices:read orders:read", "invalid_scope"),
    ] {
        let mut asked = asked.clone();
        asked[change] = json!(to);
        let told = run(&python, CLIENTS, &asked);
        for run in list(told["runs"].clone()) {
            assert_eq!(run["error"], error, "{change}: {run}");
        }
    }
}

#[test]
fn others_verify_our_tokens_before_and_after_a_signing_key_gives_way() {
    let Some(python) = python() else { return };
    let instance = Instance::sqlite(&[("SYMBOLON__SCHEDULES__SIGNING_KEYS", "200ms")]);
    let node = instance.serve();
    let api = instance.admin(&node);
    let key = key(&api, "billing", &["invoices:read"]);
    let jwt = text(&api.administrator().at_prefactor(), "token");
    let issued = || {
        let body = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            key.id, key.secret
        );
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let answer = node
            .client()
            .send("POST", ENDPOINTS[0], Some(body.into_bytes()), &form);
        text(&answer.unwrap().expect(200).json(), "access_token")
    };
    let jwks = || {
        node.client()
            .get("/.well-known/jwks.json", &[])
            .expect(200)
            .json()
    };
    let first = issued();
    let known = jwks();
    assert_eq!(known["keys"].as_array().unwrap().len(), 2, "{known}");

    // As if it had signed for its time, and the next one had been published for its own.
    age_signing_keys(&python, &instance);
    eventually("the next key has taken over", SOON, || {
        (jwks()["keys"].as_array().unwrap().len() == 3).then_some(())
    });
    let second = eventually("it signs", SOON, || {
        let token = issued();
        (kid(&token) != kid(&first)).then_some(token)
    });
    let asked = json!({
        "issuer": node.base,
        "verify": [[first, node.base], [second, node.base], [jwt, null]],
        "jwks": known,
    });
    let told = run(&python, CLIENTS, &asked);
    let verified = list(told["verify"].clone());
    // By what is published now, and by what a client has kept since before.
    for (token, subject) in verified
        .iter()
        .zip([Some(&key.owner), Some(&key.owner), None])
    {
        let (now, then) = (claims(&token["now"]), claims(&token["then"]));
        assert_eq!(now, then);
        if let Some(subject) = subject {
            assert_eq!(now["sub"], subject.as_str());
        }
    }
    // They still open our own doors.
    for token in [&first, &second, &jwt] {
        assert_eq!(api.whoami(token), 200);
    }
}

fn kid(jwt: &str) -> &str {
    jwt.split('.').next().unwrap()
}

/// Moves the signing keys 91 days into the past.
fn age_signing_keys(python: &str, instance: &Instance) {
    const AGE: &str = "import sqlite3, sys\n\
        db = sqlite3.connect(sys.argv[1], timeout=10)\n\
        age = 91 * 86_400_000_000\n\
        db.execute('UPDATE signing_keys SET created_at = created_at - ?, activated_at = activated_at - ?', (age, age))\n\
        db.commit()\n";
    let database = instance.home.data().join("symbolon.db");
    let aged = Command::new(python)
        .args(["-c", AGE])
        .arg(database)
        .output();
    let aged = aged.unwrap();
    let complaint = String::from_utf8_lossy(&aged.stderr);
    assert!(aged.status.success(), "{complaint}");
}
