//! The main job over HTTP: create, read, change, rotate, revoke; versions and replays.

use super::*;
use std::time::Duration;

/// The keys of an object in the order in which they were sent.
fn keys(text: &str) -> Vec<String> {
    let crate::body::Json::Object(fields) = serde_json::from_str(text).unwrap() else {
        panic!("no object: {text}")
    };
    fields.into_iter().map(|(key, _)| key).collect()
}

const CONTRACT: [&str; 14] = [
    "account_id",
    "created_at",
    "id",
    "name",
    "token",
    "token_last4",
    "token_prefix",
    "token_public_id",
    "updated_at",
    "created_by_user_id",
    "expires_at",
    "last_used_at",
    "revoked_at",
    "revoked_by_user_id",
];
const OURS: [&str; 11] = [
    "description",
    "contact_email",
    "pending_contact_email",
    "contact_language",
    "contact_state",
    "environment_id",
    "scopes",
    "basic_auth_enabled",
    "allowed_networks",
    "rate_limit",
    "status",
];

#[actix_web::test]
async fn create_is_the_contract_and_more() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let got = instance
        .create(
            &service,
            json!({"name": "  Billing ", "expires_at": "2999-01-01T02:00:00+02:00"}),
        )
        .await;
    assert_eq!(keys(&got.text), [&CONTRACT[..], &OURS].concat());
    let made = got.json();
    let path = format!(
        "{}/{}",
        instance.service_accounts(),
        made["id"].as_str().unwrap()
    );
    assert_eq!(
        got.header("location"),
        format!("{}{path}", instance.app.public_url())
    );
    assert_eq!(made["name"], "Billing");
    assert_eq!(made["expires_at"], "2999-01-01T00:00:00Z");
    assert_eq!(made["account_id"], instance.account.to_string());
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with(made["token_prefix"].as_str().unwrap()));
    assert!(token.contains(made["token_public_id"].as_str().unwrap()));
    assert!(token.ends_with(made["token_last4"].as_str().unwrap()));
    for name in [
        "created_by_user_id",
        "last_used_at",
        "revoked_at",
        "revoked_by_user_id",
    ] {
        assert!(made[name].is_null(), "{name}");
    }

    let read = Ask::get(&service, &path).by(&instance.operator).got().await;
    let without: Vec<_> = CONTRACT
        .into_iter()
        .filter(|name| *name != "token")
        .collect();
    assert_eq!(keys(&read.text), [&without[..], &OURS].concat());
    assert_eq!(read.header("etag"), got.header("etag"));
    assert!(!read.text.contains(token));
}

#[actix_web::test]
async fn versions_guard_changes() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let made = instance
        .create(&service, json!({"name": "One", "description": "first"}))
        .await;
    let path = format!(
        "{}/{}",
        instance.service_accounts(),
        made.json()["id"].as_str().unwrap()
    );
    let patch = |tag: &str, body: Value| {
        let ask = Ask::new(&service, Method::PATCH, &path)
            .by(&instance.operator)
            .with("if-match", tag);
        ask.body("application/merge-patch+json", body.to_string())
    };
    let first = made.header("etag").to_owned();
    let got = patch(&first, json!({"name": "Two", "description": null}))
        .got()
        .await;
    assert_eq!(
        (&got.json()["name"], &got.json()["description"]),
        (&json!("Two"), &Value::Null)
    );
    assert_ne!(got.header("etag"), first);
    assert_eq!(
        patch(&first, json!({"name": "Three"}))
            .got()
            .await
            .problem(412),
        "version_mismatch"
    );
    assert_eq!(
        patch("\"abc\"", json!({"name": "Three"}))
            .got()
            .await
            .problem(412),
        "version_mismatch"
    );
    assert_eq!(
        patch("abc", json!({"name": "Three"}))
            .got()
            .await
            .problem(400),
        "malformed_request"
    );
    assert_eq!(
        patch("*", json!({"name": "Three"})).got().await.json()["name"],
        "Three"
    );
}

#[actix_web::test]
async fn rotate_suspend_activate_revoke() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let made = instance
        .create(&service, json!({"name": "Worker", "scopes": ["a:b"]}))
        .await
        .json();
    let path = format!(
        "{}/{}",
        instance.service_accounts(),
        made["id"].as_str().unwrap()
    );
    let operator = &instance.operator;
    let whoami = async |token: &str| {
        let got = Ask::get(&service, "/v1/public/whoami")
            .by(token)
            .got()
            .await;
        (got.status.as_u16(), got)
    };
    let old = made["token"].as_str().unwrap();
    let (status, me) = whoami(old).await;
    assert_eq!(status, 200, "{}", me.text);
    assert_eq!(me.json()["service_account"]["id"], made["id"]);
    assert_eq!(
        (&me.json()["scopes"], &me.json()["reach"]),
        (&json!(["a:b"]), &json!("account"))
    );

    // No body and no content type, as the contract's clients send it.
    let rotated = Ask::post(&service, &format!("{path}/rotate"))
        .by(operator)
        .got()
        .await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    assert_eq!(keys(&rotated.text), [&CONTRACT[..], &OURS].concat());
    let rotated = rotated.json();
    assert_eq!(rotated["id"], made["id"]);
    assert_ne!(rotated["token_public_id"], made["token_public_id"]);
    let new = rotated["token"].as_str().unwrap();
    assert_eq!((whoami(old).await.0, whoami(new).await.0), (401, 200));

    let suspend = Ask::post(&service, &format!("{path}/suspend")).by(operator);
    let got = suspend
        .sends(&json!({"reason": "leak?", "note": null}))
        .got()
        .await;
    assert_eq!(got.json()["status"], "suspended", "{}", got.text);
    assert_eq!(whoami(new).await.0, 401);
    let got = Ask::post(&service, &format!("{path}/rotate"))
        .by(operator)
        .got()
        .await;
    assert_eq!(got.problem(409), "service_account_suspended");
    let got = Ask::post(&service, &format!("{path}/activate"))
        .by(operator)
        .got()
        .await;
    assert_eq!(got.json()["status"], "active");
    assert_eq!(whoami(new).await.0, 200);

    for _ in 0..2 {
        let got = Ask::new(&service, Method::DELETE, &path)
            .by(operator)
            .got()
            .await;
        assert_eq!((got.status.as_u16(), got.text.as_str()), (204, ""));
    }
    assert_eq!(whoami(new).await.0, 401);
    let got = Ask::get(&service, &path).by(operator).got().await.json();
    assert_eq!(got["status"], "revoked");
    assert!(got["revoked_at"].is_string() && got["revoked_by_user_id"].is_null());
    let listed = |query: &str| {
        Ask::get(&service, &format!("{}{query}", instance.service_accounts())).by(operator)
    };
    assert!(!listed("").got().await.text.contains("Worker"));
    assert!(
        listed("?include_revoked=true")
            .got()
            .await
            .text
            .contains("Worker")
    );
    assert!(
        listed("?status=revoked")
            .got()
            .await
            .text
            .contains("Worker")
    );
}

#[actix_web::test]
async fn tokens_have_their_own_lives() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let made = instance
        .create(&service, json!({"name": "Worker", "scopes": ["a:b"]}))
        .await
        .json();
    let path = format!(
        "{}/{}/tokens",
        instance.service_accounts(),
        made["id"].as_str().unwrap()
    );
    let operator = &instance.operator;
    let got = Ask::post(&service, &path)
        .by(operator)
        .sends(&json!({"description": "CI", "scopes": ["a:b"]}))
        .got()
        .await;
    assert_eq!(got.status, 201, "{}", got.text);
    let token = got.json();
    let one = format!("{path}/{}", token["id"].as_str().unwrap());
    assert_eq!(
        got.header("location"),
        format!("{}{one}", instance.app.public_url())
    );
    let actions = json!({"activate": false, "suspend": true, "revoke": true, "rotate": true});
    assert_eq!(
        (&token["available_actions"], &token["primary"]),
        (&actions, &json!(false))
    );

    let body = json!({"grace": "1h"});
    let next = Ask::post(&service, &format!("{one}/rotate"))
        .by(operator)
        .sends(&body)
        .got()
        .await
        .json();
    assert_eq!(next["family_id"], token["id"]);
    let old = Ask::get(&service, &one).by(operator).got().await;
    assert!(!old.text.contains("\"token\""));
    assert_eq!(old.json()["status"], "retiring");
    assert!(old.json()["retires_at"].is_string());
    let two = format!("{path}/{}", next["id"].as_str().unwrap());
    let got = Ask::post(&service, &format!("{two}/rotate"))
        .by(operator)
        .sends(&body)
        .got()
        .await;
    assert_eq!(got.problem(409), "rotation_in_progress");
    let got = Ask::post(&service, &format!("{two}/suspend"))
        .by(operator)
        .got()
        .await
        .json();
    assert_eq!(
        (&got["status"], &got["available_actions"]["activate"]),
        (&json!("suspended"), &json!(true))
    );
    for _ in 0..2 {
        assert_eq!(
            Ask::new(&service, Method::DELETE, &two)
                .by(operator)
                .got()
                .await
                .status,
            204
        );
    }
    let all = Ask::get(&service, &format!("{path}?include_revoked=true"))
        .by(operator)
        .got()
        .await
        .json();
    assert_eq!(all.as_array().unwrap().len(), 3);
    let live = Ask::get(&service, &path).by(operator).got().await.json();
    assert_eq!(live.as_array().unwrap().len(), 2);
    let direct = format!("/v1/public/accounts/{}/auth/tokens", instance.account);
    let got = Ask::get(&service, &direct).by(operator).got().await;
    assert_eq!(got.status, 200, "{}", got.text);
}

#[actix_web::test]
async fn repeats_with_a_key_are_answered_not_done_again() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let ask = |body: &Value| {
        let ask = Ask::post(&service, &instance.service_accounts()).by(&instance.operator);
        ask.with("idempotency-key", "order-7").sends(body)
    };
    let first = ask(&json!({"name": "Once"})).got().await;
    let again = ask(&json!({"name": "Once"})).got().await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            again.header("idempotency-replayed")
        ),
        ("", "true")
    );
    let other = ask(&json!({"name": "Twice"})).got().await;
    assert_eq!(other.problem(422), "idempotency_key_reused");
}

#[actix_web::test]
async fn a_lost_answer_of_a_self_rotation_costs_nobody_the_token() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let body = json!({"name": "Self", "scopes": ["symbolon:admin"]});
    let made = instance.create(&service, body).await.json();
    let old = made["token"].as_str().unwrap();
    let rotate = |key: &str, body: &Value| {
        let ask = Ask::post(&service, "/v1/public/self/rotate").by(old);
        ask.with("idempotency-key", key).sends(body)
    };
    let first = rotate("k1", &json!({})).got().await;
    assert_eq!(first.status, 200, "{}", first.text);
    let again = rotate("k1", &json!({})).got().await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (first.status, "true")
    );
    assert_eq!(again.text, first.text);

    // The old token opens that one answer and nothing else, not even with the key.
    assert_eq!(
        rotate("k2", &json!({})).got().await.problem(401),
        "unauthenticated"
    );
    let other = rotate("k1", &json!({"grace": "1h"})).got().await;
    assert!(
        [401, 422].contains(&other.status.as_u16()),
        "{}",
        other.text
    );
    let itself = format!(
        "{}/{}",
        instance.service_accounts(),
        made["id"].as_str().unwrap()
    );
    for (method, path, body) in [
        (Method::GET, "/v1/public/whoami", None),
        (Method::GET, "/v1/public/accounts", None),
        (Method::GET, itself.as_str(), None),
        (Method::GET, &instance.service_accounts(), None),
        (
            Method::POST,
            &instance.service_accounts(),
            Some(json!({"name": "x"})),
        ),
        (Method::POST, "/v1/public/self/revoke", Some(json!({}))),
        (Method::POST, &format!("{itself}/rotate"), Some(json!({}))),
        (Method::PATCH, &itself, Some(json!({"name": "x"}))),
        (Method::DELETE, &itself, None),
    ] {
        let mut ask = Ask::new(&service, method.clone(), path)
            .by(old)
            .with("idempotency-key", "k1");
        if let Some(body) = &body {
            ask = ask.sends(body);
        }
        let got = ask.got().await;
        assert_eq!(got.status, 401, "{method} {path}: {}", got.text);
    }
    instance.clock.advance(Duration::from_secs(601));
    assert_eq!(
        rotate("k1", &json!({})).got().await.problem(401),
        "unauthenticated"
    );
}
