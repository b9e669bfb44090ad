//! Holds the answers of all these tests to the documents: each to that of the door below whose prefix its
//! path lies. The rules are the black-box suite's ([`symbolon_tests::conformance`]).

use super::{Got, Request};
use crate::door::{DOORS, Door};
use std::sync::LazyLock;
use symbolon_tests::conformance::{Document, Exchange};

static DOCUMENTS: LazyLock<Vec<(&'static Door, Document)>> = LazyLock::new(|| {
    let document = |door: &&'static Door| {
        let value = serde_json::to_value(&*door.document).unwrap();
        (*door, Document::new(value))
    };
    DOORS.iter().map(document).collect()
});

/// `Err` says in what the answer differs from its door's document. What no door has, as the pages of the
/// documentation, is nobody's to describe.
pub(super) fn check(request: &Request, got: &Got) -> Result<(), String> {
    let path = request.path.split('?').next().unwrap();
    let below = |door: &Door| {
        let rest = path.strip_prefix(door.prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut documents = DOCUMENTS.iter();
    let named = |door: &Door| door.document.paths.paths.contains_key(path);
    let Some((_, document)) = documents.find(|(door, _)| below(door) || named(door)) else {
        return Ok(());
    };
    document.check(&Exchange {
        method: request.method.as_str(),
        path,
        status: got.status.as_u16(),
        content_type: Some(got.header("content-type")).filter(|it| !it.is_empty()),
        body: got.text.as_bytes(),
    })
}

mod tests {
    use super::super::*;
    use super::*;
    use actix_web::http::header::{CONTENT_TYPE, HeaderValue};

    const ENVIRONMENTS: &str =
        "/v1/public/accounts/0198a7c2-0000-7000-8000-000000000000/environments";

    fn checked(method: Method, path: &str, status: u16, kind: &'static str, body: &Value) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let request = Request {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: web::Bytes::new(),
        };
        let got = Got {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            text: body.to_string(),
        };
        check(&request, &got).is_ok()
    }

    #[test]
    fn what_is_not_documented_is_found() {
        let json = "application/json; charset=utf-8";
        let list =
            |path, status, kind, body: &Value| checked(Method::GET, path, status, kind, body);
        let good = json!([{
            "id": "0198a7c2-0000-7000-8000-000000000000", "name": "Test",
            "account_id": "0198a7c2-0000-7000-8000-000000000001",
            "created_at": "2026-01-01T00:00:00Z",
        }]);
        assert!(list(ENVIRONMENTS, 200, json, &good), "{good}");
        for (field, wrong) in [
            ("id", json!("x")),
            ("name", Value::Null),
            ("created_at", json!("yesterday")),
            ("colour", json!("red")),
        ] {
            let mut body = good.clone();
            body[0][field] = wrong;
            assert!(!list(ENVIRONMENTS, 200, json, &body), "{body}");
        }
        assert!(!list(ENVIRONMENTS, 200, "text/plain", &good));
        assert!(!list(ENVIRONMENTS, 202, json, &good));
        assert!(!list("/v1/public/nowhere", 200, json, &good));
        assert!(!list(
            "/v1/public/nowhere",
            404,
            json,
            &json!({"error": "gone"})
        ));
        assert!(!checked(Method::PUT, ENVIRONMENTS, 200, json, &good));
        assert!(list("/docs/", 200, json, &good), "no door's");
    }
}
