//! The assertion flow, driven by an OAuth client library that is not ours (`oauth/assertion.py`).

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use symbolon_tests::{not_run, setting, test_name};

use crate::dialects::{NEOWIT, TOKEN_ENDPOINT, text};
use crate::instance::{Instance, list};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oauth/assertion.py");
/// The native one, and the Neowit door's.
const ENDPOINTS: [&str; 2] = ["/oauth2/token", TOKEN_ENDPOINT];

/// Runs the script; a refusal of the token endpoint is an answer, any other failure panics.
fn authlib(python: &str, asked: &Value) -> Value {
    let mut child = Command::new(python)
        .arg(SCRIPT)
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
    let Some(python) = setting("SYMBOLON_TEST_PYTHON") else {
        not_run(&test_name(), "no Python with Authlib and requests");
        return;
    };
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
        let told = authlib(&python, &asked(endpoint));
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
        authlib(&python, &asked)
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
    let told = authlib(&python, &asked);
    assert_eq!(told["error"], "invalid_grant", "{told}");
}
