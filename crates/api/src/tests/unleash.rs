//! The Unleash door over HTTP.

use super::*;

mod beside_other_doors;
mod hostile;
mod once;
mod tokens;
mod transcripts;

const BASE: &str = "/api/admin/service-account";

/// The statuses that the dialect documents, and those that any server may answer.
const STATUSES: [u16; 11] = [400, 401, 403, 404, 405, 408, 409, 413, 415, 429, 503];

impl Got {
    /// The name of an error, after a look at the rest of its envelope.
    fn unleash(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert!(STATUSES.contains(&status), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        let body = self.json();
        let fields = ["id", "name", "message", "details"];
        assert_eq!(body.as_object().unwrap().len(), fields.len(), "{body}");
        let id = body["id"].as_str().unwrap();
        assert!(id.parse::<uuid::Uuid>().is_ok(), "{id}");
        let shown = self.header("x-request-id");
        assert!(id == shown || shown.parse::<uuid::Uuid>().is_err(), "{id}");
        let details = body["details"].as_array().unwrap();
        let texts = details.iter().map(|it| &it["message"]);
        for text in texts.chain([&body["message"]]) {
            assert!(!text.as_str().unwrap().is_empty(), "{body}");
        }
        assert!(!details.is_empty());
        body["name"].as_str().unwrap().to_owned()
    }

    /// The fields that are refused.
    fn paths(&self) -> Vec<String> {
        assert_eq!(self.unleash(400), "BadDataError");
        let body = self.json();
        let details = body["details"].as_array().unwrap();
        details
            .iter()
            .map(|it| it["path"].as_str().unwrap_or("").to_owned())
            .collect()
    }
}

/// The body of a service account to make.
fn account(name: &str, role: i64) -> Value {
    let username = format!("service-{}", name.to_lowercase());
    json!({"name": name, "username": username, "rootRole": role})
}

/// Makes a service account; its number.
async fn made<S, B>(instance: &Instance, service: &S, name: &str, role: i64) -> i64
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let ask = Ask::post(service, BASE).by(&instance.operator);
    let got = ask.sends(&account(name, role)).got().await;
    assert_eq!(got.status, 201, "{}", got.text);
    got.json()["id"].as_i64().unwrap()
}

/// Makes a token of a service account; as it was answered.
async fn token<S, B>(instance: &Instance, service: &S, owner: i64, description: &str) -> Value
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let path = format!("{BASE}/{owner}/token");
    let body = json!({"description": description, "expiresAt": "2027-11-22T00:00:00Z"});
    let ask = Ask::post(service, &path).by(&instance.operator);
    let got = ask.sends(&body).got().await;
    assert_eq!(got.status, 201, "{}", got.text);
    got.json()
}
