//! The OAuth endpoints over HTTP: the token endpoint at both of its paths, with assertions that are signed by
//! hand; introspection, revocation, and what is published.

use super::neowit::{Key, basic, key, made};
use super::*;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

mod clients;
mod credentials;
mod faults;
mod introspection;
mod kinds;
mod published;
mod revocation;
mod transcripts;

/// The native one, and the one of the Neowit door.
const ENDPOINTS: [&str; 2] = ["/oauth2/token", "/api/auth/oauth/token"];
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const WHOAMI: &str = "/v1/public/whoami";

impl Got {
    /// The error of the token endpoint, after a look at the rest of its envelope.
    fn oauth(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.header("pragma"), "no-cache");
        let body = self.json();
        let challenge = self.header("www-authenticate");
        match (status, body["error"].as_str().unwrap()) {
            (401, "invalid_client") => assert_eq!(challenge, "Basic realm=\"symbolon\""),
            (401, error) => {
                let wanted = format!("Bearer realm=\"symbolon\", error=\"{error}\"");
                assert!(challenge.starts_with(&wanted), "{challenge}");
            }
            _ => assert_eq!(challenge, ""),
        }
        let fields: Vec<_> = body.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["error", "error_description"]);
        let why = body["error_description"].as_str().unwrap();
        // RFC 6749 §5.2.
        let legal = |it: u8| matches!(it, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(!why.is_empty() && why.bytes().all(legal), "{why}");
        body["error"].as_str().unwrap().to_owned()
    }
}

/// An assertion in the making: what is not said is right.
#[derive(Clone)]
struct Assertion {
    header: Value,
    claims: Value,
    secret: String,
}

impl Assertion {
    fn by(key: &Key, instance: &Instance, endpoint: &str) -> Self {
        let now = instance.app.now().as_seconds();
        let audience = format!("{}{endpoint}", instance.app.public_url());
        Self {
            header: json!({"alg": "HS256", "typ": "JWT", "kid": key.id}),
            claims: json!({
                "iss": key.owner, "sub": key.owner, "aud": audience, "iat": now, "exp": now + 3600,
            }),
            secret: key.secret.clone(),
        }
    }

    /// Null takes the claim away.
    fn claim(mut self, name: &str, value: Value) -> Self {
        put(&mut self.claims, name, value);
        self
    }

    fn header(mut self, name: &str, value: Value) -> Self {
        put(&mut self.header, name, value);
        self
    }

    fn text(&self) -> String {
        hs256(
            &self.header.to_string(),
            &self.claims.to_string(),
            &self.secret,
        )
    }
}

fn put(object: &mut Value, name: &str, value: Value) {
    let object = object.as_object_mut().unwrap();
    match value {
        Value::Null => drop(object.remove(name)),
        value => drop(object.insert(name.to_owned(), value)),
    }
}

fn part(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Header and claims as they stand, signed with HMAC-SHA-256.
fn hs256(header: &str, claims: &str, secret: &str) -> String {
    let input = format!("{}.{}", part(header), part(claims));
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(input.as_bytes());
    format!("{input}.{}", part(mac.finalize().into_bytes()))
}

fn form<'s, S, B>(service: &'s S, endpoint: &str, body: String) -> Ask<'s, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    Ask::post(service, endpoint).body("application/x-www-form-urlencoded", body)
}

/// A token request with this assertion, and what else stands in the form.
fn asking<'s, S, B>(service: &'s S, endpoint: &str, assertion: &str, more: &str) -> Ask<'s, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let body = format!("grant_type={JWT_BEARER}&assertion={assertion}{more}");
    form(service, endpoint, body)
}

/// An access token, got in the plain way.
pub(super) async fn access_token<S, B>(
    instance: &Instance,
    service: &S,
    key: &Key,
    more: &str,
) -> String
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let assertion = Assertion::by(key, instance, ENDPOINTS[0]).text();
    let got = asking(service, ENDPOINTS[0], &assertion, more).got().await;
    assert_eq!(got.status, 200, "{}", got.text);
    got.json()["access_token"].as_str().unwrap().to_owned()
}

/// A service account of the native door, made by its operator.
async fn native_owner<S, B>(instance: &Instance, service: &S, body: Value) -> Value
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    instance.create(service, body).await.json()
}

/// A key of that one, made at the native door with these fields.
async fn native_key<S, B>(instance: &Instance, service: &S, owner: &Value, fields: Value) -> Key
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let owner = owner["id"].as_str().unwrap();
    let path = format!("{}/{owner}/keys", instance.service_accounts());
    let ask = Ask::post(service, &path).by(&instance.operator);
    let got = ask.sends(&fields).got().await;
    assert_eq!(got.status, 201, "{}", got.text);
    let text = |name: &str| got.json()[name].as_str().unwrap().to_owned();
    Key {
        owner: owner.to_owned(),
        id: text("key_id"),
        secret: text("secret"),
    }
}

/// A JWT credential of the operator's account.
async fn api_token<S, B>(instance: &Instance, service: &S) -> String
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let ask = Ask::post(service, "/api/v1/api_token").by(&instance.operator);
    let ask = ask.sends(&json!({"details": {"token_scope": "account"}}));
    ask.got().await.json()["token"].as_str().unwrap().to_owned()
}

/// An account beside the first one, and the token of an administrator of it.
async fn another_account<S, B>(instance: &Instance, service: &S, name: &str) -> (String, String)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let account = Ask::post(service, "/v1/public/accounts").by(&instance.operator);
    let account = account.sends(&json!({"name": name})).got().await.json();
    let account = account["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/public/accounts/{account}/auth/service-accounts");
    let admin = json!({"name": "Admin", "scopes": ["symbolon:admin"]});
    let admin = Ask::post(service, &path)
        .by(&instance.operator)
        .sends(&admin);
    let admin = admin.got().await.json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    (account, admin)
}

/// The claims of a JWT; nothing is verified.
fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
