//! The Neowit door over HTTP.

use super::*;
use crate::envelope::Asked;
use crate::neowit::DOOR;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use symbolon_domain::{Code, Refusal};
use symbolon_text::Lang;

mod basic;
mod hostile;
mod once;
mod tenants;
mod transcripts;

pub(super) const BASE: &str = "/api/service-account/v1/service-account";

/// What the dialect documents, and what any server may answer.
const STATUSES: [u16; 11] = [400, 401, 403, 404, 405, 408, 409, 413, 415, 429, 503];

impl Got {
    /// The reason of an error, after a look at the rest of its envelope.
    pub(super) fn neowit(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert!(STATUSES.contains(&status), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        let body = self.json();
        let fields: Vec<_> = body.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["reason", "status", "traceID", "validations"]);
        assert_eq!(body["traceID"], self.header("x-request-id"));
        let words = self.status.canonical_reason().unwrap();
        assert_eq!(body["status"], words.to_ascii_lowercase());
        let hints = body["validations"].as_object().unwrap();
        let hints = hints.values().chain([&body["reason"]]);
        assert!(hints.clone().all(|text| !text.as_str().unwrap().is_empty()));
        body["reason"].as_str().unwrap().to_owned()
    }

    /// The paths of the fields that are refused.
    fn hints(&self) -> Vec<String> {
        self.neowit(400);
        let body = self.json();
        let paths = body["validations"].as_object().unwrap();
        paths.keys().cloned().collect()
    }
}

/// A key as it was shown.
#[derive(Clone)]
pub(super) struct Key {
    pub owner: String,
    pub id: String,
    pub secret: String,
}

impl Key {
    pub fn basic(&self) -> String {
        basic(&self.id, &self.secret)
    }
}

pub(super) fn basic(user: &str, password: &str) -> String {
    let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {pair}")
}

/// Makes a service account; its id.
pub(super) async fn made<S, B>(instance: &Instance, service: &S, name: &str, basic: bool) -> String
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let ask = Ask::post(service, BASE).by(&instance.operator);
    let body = json!({"enableBasicAuth": basic, "name": name});
    let got = ask.sends(&body).got().await;
    assert_eq!(got.status, 201, "{}", got.text);
    got.json()["id"].as_str().unwrap().to_owned()
}

/// Makes a key.
pub(super) async fn key<S, B>(instance: &Instance, service: &S, owner: &str) -> Key
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let ask = Ask::post(service, &format!("{BASE}/{owner}/key")).by(&instance.operator);
    let got = ask.got().await;
    assert_eq!(got.status, 201, "{}", got.text);
    let body = got.json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Key {
        owner: owner.to_owned(),
        id: text("keyId"),
        secret: text("secret"),
    }
}

/// Those that no request brings about here, too.
#[actix_web::test]
async fn every_code_comes_in_the_documented_envelope() {
    let mut shown = String::new();
    for code in Code::ALL {
        let asked = Asked::sample(Lang::En);
        let mut refusal = Refusal::new(*code);
        for name in ["permission", "scope", "limit"] {
            refusal.args.push((name, "3".to_owned()));
        }
        let answer = (DOOR.render)(&asked, &refusal.into());
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = to_bytes(answer.into_body()).await.unwrap();
        let got = Got {
            status,
            headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        };
        let request = Request {
            method: match code {
                Code::MethodNotAllowed => Method::PATCH,
                _ => Method::POST,
            },
            path: format!("{BASE}/x/key"),
            headers: Vec::new(),
            body: web::Bytes::new(),
        };
        conformance::check(&request, &got).unwrap();
        let retry = got.header("retry-after");
        shown.push_str(&format!("{} {retry}{}\n", code.as_str(), got.text));
    }
    insta::assert_snapshot!("neowit_every_code", shown);
}
