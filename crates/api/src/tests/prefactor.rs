//! The Prefactor door.

use super::*;
use crate::prefactor::pfid::{Partition, Pfid, RefType};
use symbolon_domain::AccountId;
use uuid::Uuid;

mod actions;
mod creation;
mod hostile;
mod idempotency;
mod lists;
mod transcripts;

const TOKENS: &str = "/api/v1/api_token";

/// What a request for a token of the whole account says at least.
fn of_account() -> Value {
    json!({"details": {"token_scope": "account"}})
}

/// A thing of this account, as this door calls it.
fn reference(ref_type: RefType, id: Uuid, account: AccountId) -> String {
    Pfid::of(ref_type, id, Partition::of(account)).to_string()
}

fn account_ref(account: AccountId) -> String {
    reference(RefType::Account, account.0, account)
}

fn environment_ref(id: &Value, account: AccountId) -> String {
    let id = id.as_str().unwrap().parse().unwrap();
    reference(RefType::Environment, id, account)
}

/// An id that nothing has.
const NOBODY: Uuid = Uuid::from_u128(0x0198a7c2_5d3e_7abc_8def_0123456789ab);

impl Got {
    /// The code of an error, after a look at the rest of it.
    fn prefactor(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert!(self.header("content-type").starts_with("application/json"));
        let body = self.json();
        assert_eq!(body["status"], "error", "{}", self.text);
        assert!(body["message"].as_str().is_some_and(|it| !it.is_empty()));
        let code = body["code"].as_str().unwrap().to_owned();
        assert_eq!(
            body.get("errors").is_some(),
            code == "validation_errors",
            "{}",
            self.text
        );
        code
    }

    /// The fields that are refused, with their codes.
    fn wrong_fields(&self) -> Vec<String> {
        assert_eq!(self.prefactor(422), "validation_errors");
        let body = self.json();
        let errors = body["errors"].as_object().unwrap().iter();
        let line = |(name, problem): (&String, &Value)| {
            assert_eq!(problem["status"], "error");
            assert!(problem["message"].as_str().is_some_and(|it| !it.is_empty()));
            format!("{name} {}", problem["code"].as_str().unwrap())
        };
        errors.map(line).collect()
    }

    /// The body of a success.
    fn success(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        let body = self.json();
        assert_eq!(body["status"], "success");
        body
    }
}

/// A server and its operator, asking.
struct World<'s, S> {
    service: &'s S,
    instance: &'s Instance,
}

impl<'s, S, B> World<'s, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    fn new(service: &'s S, instance: &'s Instance) -> Self {
        Self { service, instance }
    }

    fn get(&self, path: &str) -> Ask<'s, S> {
        Ask::get(self.service, path).by(&self.instance.operator)
    }

    fn post(&self, path: &str, body: &Value) -> Ask<'s, S> {
        let ask = Ask::post(self.service, path).by(&self.instance.operator);
        ask.sends(body)
    }

    fn delete(&self, path: &str) -> Ask<'s, S> {
        Ask::new(self.service, Method::DELETE, path).by(&self.instance.operator)
    }

    fn act(&self, id: &str, action: &str) -> Ask<'s, S> {
        match action {
            "delete" => self.delete(&format!("{TOKENS}/{id}")),
            _ => self.post(&format!("{TOKENS}/{id}/{action}"), &json!({})),
        }
    }

    /// Makes a token, a second later than whatever was made before.
    async fn create(&self, body: &Value) -> Value {
        self.tick();
        self.post(TOKENS, body).got().await.success()
    }

    /// The id of a token of the account.
    async fn token(&self) -> String {
        let made = self.create(&of_account()).await;
        made["details"]["id"].as_str().unwrap().to_owned()
    }

    async fn details(&self, id: &str) -> Value {
        let got = self.get(&format!("{TOKENS}/{id}")).got().await;
        got.success()["details"].clone()
    }

    /// The id of the newest token.
    async fn newest(&self) -> String {
        let path = format!("{TOKENS}?pagination[page_size]=1");
        let page = self.get(&path).got().await.success();
        page["summaries"][0]["id"].as_str().unwrap().to_owned()
    }

    fn tick(&self) {
        self.instance
            .clock
            .advance(std::time::Duration::from_secs(1));
    }

    /// What the native door makes.
    async fn made_natively(&self, path: &str, body: &Value) -> Value {
        self.tick();
        let path = format!("/v1/public/accounts{path}");
        let got = self.post(&path, body).got().await;
        assert_eq!(got.status, 201, "{}", got.text);
        got.json()
    }

    async fn account(&self, name: &str) -> AccountId {
        let made = self.made_natively("", &json!({"name": name})).await;
        made["id"].as_str().unwrap().parse().unwrap()
    }

    async fn environment(&self, account: AccountId, name: &str) -> Value {
        let path = format!("/{account}/environments");
        self.made_natively(&path, &json!({"name": name})).await["id"].clone()
    }

    async fn service_account(&self, body: &Value) -> Value {
        let path = format!("/{}/auth/service-accounts", self.instance.account);
        self.made_natively(&path, body).await
    }

    /// Changes the account's policy.
    async fn policy(&self, policy: Value) {
        let path = format!("/v1/public/accounts/{}", self.instance.account);
        let got = Ask::new(self.service, Method::PATCH, &path)
            .by(&self.instance.operator)
            .sends(&json!({"policy": policy}))
            .got()
            .await;
        assert_eq!(got.status, 200, "{}", got.text);
    }
}
