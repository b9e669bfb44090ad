//! Asking about credentials as gateways and services do: verify, authorize, introspect; and what they are
//! answered while databases, notifications and processes come and go.

mod nodes;
mod outage;
mod revocation;
mod uses;

use serde_json::{Value, json};
use symbolon_tests::http::{Answer, Client};

use crate::dialects::Key;
use crate::instance::Api;

pub const VERIFY: &str = "/v1/public/tokens/verify";
pub const INTROSPECT: &str = "/oauth2/introspect";
pub const REVOKE: &str = "/oauth2/revoke";

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// Asks, as the holder of `asker`, whether a token is good.
#[track_caller]
pub fn verify(asker: &Client, token: &str, headers: &[(&str, &str)]) -> Answer {
    asker.post(VERIFY, Some(json!({"token": token})), headers)
}

/// Sends one of the OAuth endpoints a token; none of ours needs encoding in a form.
#[track_caller]
pub fn send_token(asker: &Client, path: &str, token: &str, headers: &[(&str, &str)]) -> Answer {
    let body = format!("token={token}").into_bytes();
    let headers = [headers, &[FORM]].concat();
    asker.send("POST", path, Some(body), &headers).unwrap()
}

/// A client that presents a text as what it is.
pub fn presenting(open: &Client, text: &str) -> Client {
    match text.split_once(':') {
        Some((id, secret)) => {
            let (owner, id, secret) = (String::new(), id.to_owned(), secret.to_owned());
            let key = Key { owner, id, secret };
            open.header("Authorization", &key.basic())
        }
        None => open.bearer(text),
    }
}

/// The three who are asked about a token, each in its own words: whether it is good.
const DOORS: [&str; 3] = ["verify", "authorize", "introspect"];

impl Api {
    /// What a door answers to a token, asked by this client; at `authorize`, by the token itself.
    #[track_caller]
    fn ask(&self, door: &str, token: &str) -> Answer {
        match door {
            "verify" => verify(&self.client, token, &[]),
            "introspect" => send_token(&self.client, INTROSPECT, token, &[]),
            _ => {
                let account = self.account.rsplit('/').next().unwrap();
                let path = format!("/v1/authorize?account={account}");
                presenting(&self.open, token).get(&path, &[])
            }
        }
    }

    /// What each door says of it. A door that says neither yes nor no ends the test.
    #[track_caller]
    fn said(&self, token: &str) -> [bool; 3] {
        DOORS.map(|door| {
            let answer = self.ask(door, token);
            said(door, &answer).unwrap_or_else(|| panic!("{door}: {}", answer.text()))
        })
    }

    /// Whether `verify` finds it good.
    #[track_caller]
    fn is_good(&self, token: &str) -> bool {
        let answer = self.ask("verify", token).expect(200);
        answer.json()["valid"].as_bool().unwrap()
    }

    /// How the use of a token is known. `path` is that of the token.
    #[track_caller]
    fn uses(&self, path: &str) -> Value {
        let path = format!("{path}/uses");
        self.client.get(&path, &[]).expect(200).json()
    }

    /// The path of the first token of a service account.
    #[track_caller]
    fn token_path(&self, of: &Value) -> String {
        let path = self.of(of, "/tokens");
        let tokens = self.client.get(&path, &[]).expect(200).json();
        format!("{path}/{}", tokens[0]["id"].as_str().unwrap())
    }
}

/// Yes or no; `None` for anything else.
fn said(door: &str, answer: &Answer) -> Option<bool> {
    match (door, answer.status) {
        ("verify", 200) => answer.json()["valid"].as_bool(),
        ("introspect", 200) => answer.json()["active"].as_bool(),
        ("authorize", 200) => Some(true),
        ("authorize", 401) => Some(false),
        _ => None,
    }
}
