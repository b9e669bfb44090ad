//! Keys at the native door: made, read, listed, ended; and as the tokens that they are.

use super::*;
use std::time::Duration;

fn names(list: &Value, field: &str) -> Vec<String> {
    let items = list.as_array().unwrap().iter();
    items
        .map(|it| it[field].as_str().unwrap().to_owned())
        .collect()
}

async fn keys_at_the_native_door(instance: Instance) {
    let service = serve!(instance.app);
    let mut transcript = Transcript::default();
    let operator = &instance.operator;
    let body = json!({"name": "Gateway", "scopes": ["invoices:*"], "basic_auth_enabled": true});
    let made = instance.create(&service, body).await.json();
    let owner = format!(
        "{}/{}",
        instance.service_accounts(),
        made["id"].as_str().unwrap()
    );
    let keys = format!("{owner}/keys");
    instance.clock.advance(Duration::from_secs(1));
    let post = |path: &str| Ask::post(&service, path).by(operator);
    let body = json!({
        "description": "CI", "expires_at": "2027-01-01T02:00:00+02:00",
        "not_before": "2026-11-22T00:00:01Z", "scopes": ["invoices:read"],
    });
    let got = transcript.ask("create", post(&keys).sends(&body)).await;
    let first = got.json();
    let key_id = first["key_id"].as_str().unwrap().to_owned();
    let one = format!("{keys}/{key_id}");
    assert_eq!(
        got.header("location"),
        format!("{}{one}", instance.app.public_url())
    );
    assert_eq!(
        (&first["kind"], &first["token_public_id"]),
        (&json!("key"), &first["key_id"])
    );
    assert!(first.get("token").is_none());
    let secret = first["secret"].as_str().unwrap();
    assert!(secret.ends_with(first["token_last4"].as_str().unwrap()));
    let basic = super::neowit::basic(&key_id, secret);
    let me = Ask::get(&service, "/v1/public/whoami").with("authorization", &basic);
    assert_eq!(me.got().await.json()["scopes"], json!(["invoices:read"]));

    instance.clock.advance(Duration::from_secs(1));
    let inherits = post(&keys).sends(&json!({"inherit_scopes": true}));
    let second = transcript.ask("one that inherits", inherits).await.json();
    assert_eq!(second["scopes"], json!(["invoices:*"]));
    instance.clock.advance(Duration::from_secs(1));
    let bare = transcript.ask("without a body", post(&keys)).await.json();
    assert_eq!(
        (&bare["scopes"], &bare["inherits_scopes"]),
        (&json!([]), &json!(false))
    );
    let both = json!({"scopes": [], "inherit_scopes": true});
    transcript
        .ask("scopes, and all of them", post(&keys).sends(&both))
        .await;
    let more = json!({"scopes": ["orders:read"]});
    transcript
        .ask("beyond its service account", post(&keys).sends(&more))
        .await;
    let wrong =
        json!({"inherit_scopes": null, "expires_at": "2001-01-01T00:00:00Z", "kind": "key"});
    transcript
        .ask("fields are refused", post(&keys).sends(&wrong))
        .await;

    let get = |path: &str| Ask::get(&service, path).by(operator);
    let read = transcript.ask("read", get(&one)).await;
    assert!(!read.text.contains("secret\""));
    transcript
        .ask("read nobody", get(&format!("{keys}/0000000000000000")))
        .await;
    let listed = transcript.ask("list", get(&keys)).await.json();
    let all = [&bare, &second, &first].map(|it| it["key_id"].as_str().unwrap());
    assert_eq!(names(&listed, "key_id"), all);
    let page = get(&format!("{keys}?limit=1")).got().await;
    assert_eq!(names(&page.json(), "key_id"), all[..1]);
    assert!(page.header("link").contains("/keys?limit=1&cursor="));
    let tokens = get(&format!("{owner}/tokens")).got().await.json();
    assert_eq!(names(&tokens, "kind"), ["key", "key", "key", "opaque"]);

    let delete = |path: &str| Ask::new(&service, Method::DELETE, path).by(operator);
    transcript.ask("revoke", delete(&one)).await;
    transcript.ask("revoke again", delete(&one)).await;
    assert_eq!(get(&one).got().await.json()["status"], "revoked");
    assert_eq!(names(&get(&keys).got().await.json(), "key_id"), all[..2]);
    let with = get(&format!("{keys}?include_revoked=true"))
        .got()
        .await
        .json();
    assert_eq!(names(&with, "key_id"), all);
    // A token's public id is no key's.
    let public_id = made["token_public_id"].as_str().unwrap();
    let primary = format!("{keys}/{public_id}");
    assert_eq!(get(&primary).got().await.problem(404), "not_found");
    assert_eq!(delete(&primary).got().await.problem(404), "not_found");
    for strange in ["%00", "%F0%9F%94%91", "0123456789abcde%00", "a"] {
        let path = format!("{keys}/{strange}");
        assert_eq!(
            get(&path).got().await.problem(404),
            "not_found",
            "{strange}"
        );
    }
    insta::assert_snapshot!("native_keys", transcript.to_string());
}

/// Suspended, activated and rotated as the token that it is.
async fn a_key_is_a_token(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let body = json!({"name": "Gateway", "scopes": ["a:b"], "basic_auth_enabled": true});
    let made = instance.create(&service, body).await.json();
    let owner = format!(
        "{}/{}",
        instance.service_accounts(),
        made["id"].as_str().unwrap()
    );
    let create = Ask::post(&service, &format!("{owner}/keys")).by(operator);
    let key = create
        .sends(&json!({"inherit_scopes": true}))
        .got()
        .await
        .json();
    let token = format!("{owner}/tokens/{}", key["id"].as_str().unwrap());
    let whoami = async |id: &Value, secret: &Value| {
        let pair = super::neowit::basic(id.as_str().unwrap(), secret.as_str().unwrap());
        let ask = Ask::get(&service, "/v1/public/whoami").with("authorization", &pair);
        ask.got().await.status.as_u16()
    };
    let post = async |action: &str| {
        let ask = Ask::post(&service, &format!("{token}/{action}")).by(operator);
        ask.got().await.json()
    };
    assert_eq!(whoami(&key["key_id"], &key["secret"]).await, 200);
    assert_eq!(post("suspend").await["status"], "suspended");
    assert_eq!(whoami(&key["key_id"], &key["secret"]).await, 401);
    assert_eq!(post("activate").await["status"], "active");
    let next = post("rotate").await;
    assert_eq!(
        (&next["kind"], &next["inherits_scopes"]),
        (&json!("key"), &json!(true))
    );
    assert_eq!(whoami(&key["key_id"], &key["secret"]).await, 401);
    assert_eq!(whoami(&next["token_public_id"], &next["token"]).await, 200);
    // By itself, too.
    let pair = super::neowit::basic(
        next["token_public_id"].as_str().unwrap(),
        next["token"].as_str().unwrap(),
    );
    let rotate = Ask::post(&service, "/v1/public/self/rotate").with("authorization", &pair);
    let last = rotate.got().await.json();
    assert_eq!(whoami(&last["token_public_id"], &last["token"]).await, 200);
    assert_eq!(whoami(&next["token_public_id"], &next["token"]).await, 401);
}

async fn a_repeat_shows_the_same_key(instance: Instance) {
    let service = serve!(instance.app);
    let made = instance
        .create(&service, json!({"name": "Gateway"}))
        .await
        .json();
    let path = format!(
        "{}/{}/keys",
        instance.service_accounts(),
        made["id"].as_str().unwrap()
    );
    let ask = || {
        let ask = Ask::post(&service, &path).by(&instance.operator);
        ask.with("idempotency-key", "k")
    };
    let (first, again) = (ask().got().await, ask().got().await);
    assert_eq!(first.json(), again.json());
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.header("cache-control"), "no-store");
    let list = Ask::get(&service, &path).by(&instance.operator).got().await;
    assert_eq!(list.json().as_array().unwrap().len(), 1);
}

on_both!(
    keys_at_the_native_door,
    a_key_is_a_token,
    a_repeat_shows_the_same_key
);
