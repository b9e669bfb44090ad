//! The compatibility doors as their clients see them: paths, an account's administrator, keys, and
//! assertions, which a key's holder signs (RFC 7523).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use symbolon_tests::http::{Answer, Client};

use crate::instance::{Api, list, token};

pub const UNLEASH: &str = "/api/admin/service-account";
pub const PREFACTOR: &str = "/api/v1/api_token";
pub const NEOWIT: &str = "/api/service-account/v1/service-account";
pub const TOKEN_ENDPOINT: &str = "/api/auth/oauth/token";
pub const NEVER: &str = "2099-01-01T00:00:00Z";

impl Api {
    /// The same account as its own administrator: operators have no account that a door could take as
    /// theirs.
    pub fn administrator(&self) -> Self {
        let body = json!({
            "name": "administrator",
            "contact_email": "administrator@acme.test",
            "scopes": ["symbolon:admin"],
        });
        let it = self.try_create(body, &[]).expect(201).json();
        Self {
            client: self.open.bearer(&token(&it)),
            ..self.clone()
        }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.client.get(path, &[]).expect(200).json()
    }

    /// Everything below a path that lists, in its door's own shape.
    #[track_caller]
    pub fn all(&self, door: &str) -> Vec<Value> {
        let all = self.get(door);
        list(match door {
            UNLEASH => all["serviceAccounts"].clone(),
            PREFACTOR => all["summaries"].clone(),
            // Its list has no documented shape: the objects are bare, or under one name.
            _ if all.is_array() => all,
            _ => all.as_object().unwrap().values().next().unwrap().clone(),
        })
    }

    /// The one of that name in a door's list of service accounts.
    #[track_caller]
    pub fn named(&self, door: &str, name: &str) -> Option<Value> {
        let mut named = self.all(door);
        named.retain(|it| it["name"] == name);
        assert!(named.len() < 2, "{name}: {named:?}");
        named.pop()
    }

    #[track_caller]
    pub fn at_unleash(&self, name: &str, role: i64) -> Value {
        let body = json!({"name": name, "username": format!("service-{name}"), "rootRole": role});
        let answer = self.client.post(UNLEASH, Some(body), &[]).expect(201);
        assert!(answer.header("location").is_some());
        answer.json()
    }

    /// With its secret.
    #[track_caller]
    pub fn unleash_token(&self, of: &Value, description: &str) -> Value {
        let body = json!({"description": description, "expiresAt": NEVER});
        let path = format!("{UNLEASH}/{}/token", of["id"]);
        self.client.post(&path, Some(body), &[]).expect(201).json()
    }

    #[track_caller]
    pub fn at_neowit(&self, name: &str, enable_basic_auth: bool) -> Value {
        let body = json!({"name": name, "enableBasicAuth": enable_basic_auth});
        self.client.post(NEOWIT, Some(body), &[]).expect(201).json()
    }

    #[track_caller]
    pub fn neowit_key(&self, of: &Value) -> Key {
        let path = format!("{NEOWIT}/{}/key", text(of, "id"));
        let key = self.client.post(&path, None, &[]).expect(201).json();
        Key {
            owner: text(of, "id"),
            id: text(&key, "keyId"),
            secret: text(&key, "secret"),
        }
    }

    /// The whole answer: `details`, and the token beside it.
    #[track_caller]
    pub fn at_prefactor(&self) -> Value {
        let body = json!({"details": {"token_scope": "account", "expires_at": NEVER}});
        let answer = self.client.post(PREFACTOR, Some(body), &[]);
        let made = answer.expect(200).json();
        assert_eq!(made["status"], "success");
        made
    }

    /// How a door receives someone: the status of the request that any administrator may make.
    pub fn received(&self, door: &str, holder: &Client) -> u16 {
        let path = match door {
            PREFACTOR => "/api/v1/ping".to_owned(),
            UNLEASH | NEOWIT => door.to_owned(),
            _ => self.service_accounts(),
        };
        holder.get(&path, &[]).status
    }
}

/// A key and the service account that it belongs to, as its holder keeps them.
#[derive(Clone)]
pub struct Key {
    pub owner: String,
    pub id: String,
    pub secret: String,
}

impl Key {
    pub fn basic(&self) -> String {
        let both = format!("{}:{}", self.id, self.secret);
        format!("Basic {}", STANDARD.encode(both))
    }

    /// An assertion for a token endpoint, good for five minutes.
    #[expect(clippy::disallowed_methods, reason = "a client has a clock of its own")]
    pub fn assertion(&self, audience: &str, jti: Option<&str>) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs();
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": self.id});
        let mut claims = json!({
            "iss": self.owner,
            "sub": self.owner,
            "aud": audience,
            "iat": now,
            "exp": now + 300,
        });
        if let Some(jti) = jti {
            claims["jti"] = jti.into();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("any length");
        mac.update(signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        format!("{signed}.{signature}")
    }
}

/// Presents an assertion at the token endpoint.
pub fn exchange(open: &Client, assertion: &str) -> Answer {
    let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
    let body = format!("grant_type={grant}&assertion={assertion}");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    open.send("POST", TOKEN_ENDPOINT, Some(body.into_bytes()), &form)
        .expect("the token endpoint answers")
}

/// The field's text.
#[track_caller]
pub fn text(of: &Value, field: &str) -> String {
    let text = of[field].as_str();
    text.unwrap_or_else(|| panic!("no {field} in {of}"))
        .to_owned()
}
