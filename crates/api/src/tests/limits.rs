//! From where and how often a token may be used, how it was used, and how far a change has come.

use super::verify::{make, posted};
use super::*;
use std::time::Duration;
use symbolon_domain::Timestamp;
use symbolon_store::NodeBeat;
use uuid::Uuid;

async fn limits_at_every_create_and_update(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let mut transcript = Transcript::default();
    let patch = |path: &str, body: Value| {
        Ask::new(&service, Method::PATCH, path)
            .by(operator)
            .sends(&body)
    };
    let limits = json!({"allowed_networks": ["2001:db8::/32", "10.0.0.1"], "rate_limit": {"limit": 100, "period": "1m"}});
    let limits_shown = json!({"allowed_networks": ["10.0.0.1/32", "2001:db8::/32"], "rate_limit": {"limit": 100, "period": "60s"}});
    let with = |body: Value| {
        let mut body = body;
        let fields = body.as_object_mut().unwrap();
        fields.extend(limits.as_object().unwrap().clone());
        Value::Object(fields.clone())
    };
    let of = |body: &Value| json!({"allowed_networks": body["allowed_networks"], "rate_limit": body["rate_limit"]});
    let none = json!({"allowed_networks": [], "rate_limit": null});

    let billing = make(&instance, &service, with(json!({"name": "Billing"}))).await;
    let get = async |path: &str| Ask::get(&service, path).by(operator).got().await;
    assert_eq!(of(&get(&billing.path).await.json()), limits_shown);
    let (tokens, keys) = (
        format!("{}/tokens", billing.path),
        format!("{}/keys", billing.path),
    );
    let token = posted(&instance, &service, &tokens, with(json!({}))).await;
    let key = posted(&instance, &service, &keys, with(json!({}))).await;
    assert_eq!(
        (of(&token), of(&key)),
        (limits_shown.clone(), limits_shown.clone())
    );
    let bare = posted(&instance, &service, &tokens, json!({})).await;
    assert_eq!(of(&bare), none);

    // A rotation keeps them.
    let path = |of: &str, it: &Value, id: &str| format!("{of}/{}", it[id].as_str().unwrap());
    let (token, key) = (path(&tokens, &token, "id"), path(&keys, &key, "key_id"));
    let next = posted(&instance, &service, &format!("{token}/rotate"), json!({})).await;
    assert_eq!(of(&next), limits_shown);
    let token = path(&tokens, &next, "id");

    // Of the primary token, by way of its service account.
    let change =
        json!({"allowed_networks": ["192.0.2.0/24"], "rate_limit": {"limit": 5, "period": "1h"}});
    let got = transcript
        .ask("change a service account's", patch(&billing.path, change))
        .await;
    let list = get(&tokens).await.json();
    let primary = list
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["primary"] == true)
        .unwrap();
    assert_eq!(of(primary), of(&got.json()));
    let got = patch(
        &billing.path,
        json!({"allowed_networks": [], "rate_limit": null}),
    )
    .got()
    .await;
    assert_eq!(of(&got.json()), none);

    for (name, path) in [("a token", &token), ("a key", &key)] {
        let before = get(path).await;
        let tag = before.header("etag").to_owned();
        assert!(tag.starts_with('"'), "{tag}");
        let change = json!({"description": "of the till", "rate_limit": null});
        let ask = patch(path, change.clone()).with("if-match", &tag);
        let got = transcript.ask(&format!("change {name}"), ask).await;
        let body = got.json();
        assert_eq!(
            (&body["description"], &body["rate_limit"]),
            (&json!("of the till"), &Value::Null)
        );
        assert_eq!(body["allowed_networks"], limits_shown["allowed_networks"]);
        assert_ne!(got.header("etag"), tag);
        let stale = patch(path, change).with("if-match", &tag).got().await;
        assert_eq!(stale.problem(412), "version_mismatch");
        let wrong = json!({"rate_limit": {"limit": 0, "period": "90d"}, "allowed_networks": ["10.0.0.1/8", 1], "scopes": []});
        transcript
            .ask(
                &format!("change {name} to what cannot be"),
                patch(path, wrong),
            )
            .await;
        let weak = instance.token_without_scopes(&service).await;
        let got = Ask::new(&service, Method::PATCH, path)
            .by(&weak)
            .sends(&json!({}))
            .got()
            .await;
        assert_eq!(got.problem(403), "permission_missing");
    }
    let nowhere = format!("{tokens}/0198a7c2-0000-7000-8000-000000000000");
    assert_eq!(
        patch(&nowhere, json!({})).got().await.problem(404),
        "not_found"
    );
    assert_eq!(
        patch(&format!("{keys}/0000000000000000"), json!({}))
            .got()
            .await
            .problem(404),
        "not_found"
    );
    let revoke = Ask::new(&service, Method::DELETE, &path(&tokens, primary, "id")).by(operator);
    assert_eq!(revoke.got().await.status, 204);
    let got = patch(&billing.path, json!({"rate_limit": null}))
        .got()
        .await;
    assert_eq!(
        got.problem(409),
        "token_revoked",
        "the primary token is none in force"
    );
    assert_eq!(of(&get(&billing.path).await.json()), none);
    insta::assert_snapshot!("native_limits", transcript.to_string());
}

async fn uses_are_told_by_day(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let billing = make(
        &instance,
        &service,
        json!({"name": "Billing", "basic_auth_enabled": true}),
    )
    .await;
    let me = Ask::get(&service, &billing.path)
        .by(operator)
        .got()
        .await
        .json();
    let tokens = Ask::get(&service, &format!("{}/tokens", billing.path))
        .by(operator)
        .got()
        .await
        .json();
    assert_eq!(tokens[0]["token_public_id"], me["token_public_id"]);
    let uses = format!(
        "{}/tokens/{}/uses",
        billing.path,
        tokens[0]["id"].as_str().unwrap()
    );
    let read = async |path: &str| Ask::get(&service, path).by(operator).got().await;
    let before = read(&uses).await.json();
    assert_eq!(
        (&before["uses"], &before["days"], &before["last_used_at"]),
        (&json!(0), &json!([]), &Value::Null)
    );
    assert_ne!(before["state"], "used");
    for uses in [3, 1] {
        for _ in 0..uses {
            let me = Ask::get(&service, "/v1/public/whoami")
                .by(&billing.token)
                .got()
                .await;
            assert_eq!(me.status, 200);
        }
        instance.app.flush_uses().await.unwrap();
        instance.clock.advance(Duration::from_secs(86_400));
    }
    let after = read(&uses).await.json();
    assert_eq!(after["state"], "used");
    assert_eq!(after["uses"], 4);
    let days = json!([{"day": "2026-11-22", "uses": 3}, {"day": "2026-11-23", "uses": 1}]);
    assert_eq!(after["days"], days);
    assert_eq!(after["first_used_at"], "2026-11-22T00:00:00Z");
    assert_eq!(after["last_used_at"], "2026-11-23T00:00:00Z");

    let key = posted(
        &instance,
        &service,
        &format!("{}/keys", billing.path),
        json!({}),
    )
    .await;
    let of_key = format!(
        "{}/keys/{}/uses",
        billing.path,
        key["key_id"].as_str().unwrap()
    );
    assert_eq!(read(&of_key).await.json()["uses"], 0);
    let weak = instance.token_without_scopes(&service).await;
    for path in [&uses, &of_key] {
        let got = Ask::get(&service, path).by(&weak).got().await;
        assert_eq!(got.problem(403), "permission_missing");
        let got = Ask::get(&service, &format!("{path}?since=2026"))
            .by(operator)
            .got()
            .await;
        assert_eq!(got.problem(422), "validation_failed");
    }
}

async fn answers_wait_until_a_change_is_in_effect(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let node = |name: &str, applied: i64| NodeBeat {
        id: Uuid::from_u128(u128::from(name.len() as u64)),
        name: name.to_owned(),
        role: "api".to_owned(),
        started_at: instance.app.now(),
        applied,
        lease: Duration::from_secs(5),
        max_age: Duration::from_secs(10),
        uses_flushed_at: None::<Timestamp>,
    };
    let now = instance.app.now();
    let store = instance.app.store();
    store.beat(&node("one", i64::MAX), now).await.unwrap();
    store.beat(&node("other", 0), now).await.unwrap();
    let billing = make(&instance, &service, json!({"name": "Billing"})).await;
    let tokens = Ask::get(&service, &format!("{}/tokens", billing.path))
        .by(operator)
        .got()
        .await
        .json();
    let token = format!(
        "{}/tokens/{}",
        billing.path,
        tokens[0]["id"].as_str().unwrap()
    );
    let effective = |got: &Got, nodes: i64, confirmed: i64| {
        assert_eq!(got.status, 200, "{}", got.text);
        let body = got.json();
        let told = &body["effective"];
        assert_eq!(
            (&told["nodes"], &told["confirmed"]),
            (&json!(nodes), &json!(confirmed)),
            "{body}"
        );
        told["elapsed_ms"].as_u64().unwrap()
    };
    let post = async |path: String| Ask::post(&service, &path).by(operator).got().await;
    for thing in [&billing.path, &token] {
        let bare = post(format!("{thing}/suspend")).await;
        assert!(bare.json().get("effective").is_none(), "{}", bare.text);
        let got = post(format!("{thing}/activate?wait=40")).await;
        assert!(effective(&got, 2, 1) >= 40);
        let got = post(format!("{thing}/suspend?wait=0")).await;
        effective(&got, 2, 1);
        post(format!("{thing}/activate")).await;
    }
    let rotated = post(format!("{}/rotate?wait=1", billing.path)).await;
    effective(&rotated, 2, 1);
    assert!(rotated.json()["token"].is_string(), "{}", rotated.text);

    store.beat(&node("other", i64::MAX), now).await.unwrap();
    let tokens = format!("{}/tokens", billing.path);
    let made = posted(&instance, &service, &tokens, json!({})).await;
    let one = format!("{tokens}/{}", made["id"].as_str().unwrap());
    let got = post(format!("{one}/rotate?wait=10000")).await;
    assert!(effective(&got, 2, 2) < 10_000);
    let one = format!("{tokens}/{}", got.json()["id"].as_str().unwrap());
    let delete = async |path: &str| {
        Ask::new(&service, Method::DELETE, path)
            .by(operator)
            .got()
            .await
    };
    let got = delete(&format!("{one}?wait=10000")).await;
    effective(&got, 2, 2);
    assert_eq!(got.json().as_object().unwrap().len(), 1);
    let again = delete(&one).await;
    assert_eq!((again.status.as_u16(), again.text.as_str()), (204, ""));
    let key = posted(
        &instance,
        &service,
        &format!("{}/keys", billing.path),
        json!({}),
    )
    .await;
    let key = format!("{}/keys/{}", billing.path, key["key_id"].as_str().unwrap());
    effective(&delete(&format!("{key}?wait=1")).await, 2, 2);

    for wrong in [
        "wait=10001",
        "wait=-1",
        "wait=1s",
        "wait=",
        "wait=1&wait=1",
        "grace=1h",
    ] {
        let got = post(format!("{}/suspend?{wrong}", billing.path)).await;
        assert_eq!(got.problem(422), "validation_failed", "{wrong}");
        let got = delete(&format!("{}?{wrong}", billing.path)).await;
        assert_eq!(got.problem(422), "validation_failed", "{wrong}");
    }
    let of_itself = make(&instance, &service, json!({"name": "Of itself"})).await;
    let rotate = Ask::post(&service, "/v1/public/self/rotate?wait=1").by(&of_itself.token);
    let got = rotate.got().await;
    effective(&got, 2, 2);
    let revoke = Ask::post(&service, "/v1/public/self/revoke?wait=1");
    effective(
        &revoke.by(got.json()["token"].as_str().unwrap()).got().await,
        2,
        2,
    );
    effective(&delete(&format!("{}?wait=1", billing.path)).await, 2, 2);
}

/// Whatever narrows what is good can be proved, an account's suspension above all.
async fn a_patch_waits_too(instance: Instance) {
    let service = serve!(instance.app);
    let silent = NodeBeat {
        id: Uuid::from_u128(7),
        name: "silent".to_owned(),
        role: "api".to_owned(),
        started_at: instance.app.now(),
        applied: 0,
        lease: Duration::from_secs(5),
        max_age: Duration::from_secs(10),
        uses_flushed_at: None::<Timestamp>,
    };
    let (now, store) = (instance.app.now(), instance.app.store());
    store.beat(&silent, now).await.unwrap();
    let body = json!({"name": "Billing", "scopes": ["a:b", "c"]});
    let billing = make(&instance, &service, body).await;
    let made = async |path: &str, body: Value| posted(&instance, &service, path, body).await;
    let text = |it: &Value, field: &str| it[field].as_str().unwrap().to_owned();
    let account = made("/v1/public/accounts", json!({"name": "Other"})).await;
    let tokens = format!("{}/tokens", billing.path);
    let token = made(&tokens, json!({})).await;
    let keys = format!("{}/keys", billing.path);
    let key = made(&keys, json!({})).await;
    let limits = json!({"allowed_networks": ["192.0.2.0/24"]});
    for (path, body) in [
        (
            format!("/v1/public/accounts/{}", text(&account, "id")),
            json!({"status": "suspended"}),
        ),
        (billing.path.clone(), json!({"scopes": ["c"]})),
        (format!("{tokens}/{}", text(&token, "id")), limits.clone()),
        (format!("{keys}/{}", text(&key, "key_id")), limits),
    ] {
        let patch = async |query: &str, body: &Value| {
            let path = format!("{path}{query}");
            let ask = Ask::new(&service, Method::PATCH, &path).by(&instance.operator);
            ask.sends(body).got().await
        };
        let got = patch("?wait=20", &body).await;
        assert_eq!(got.status, 200, "{path}: {}", got.text);
        let told = &got.json()["effective"];
        assert_eq!((&told["nodes"], &told["confirmed"]), (&json!(1), &json!(0)));
        assert!(told["elapsed_ms"].as_u64().unwrap() >= 20, "{told}");
        let applied = NodeBeat {
            applied: i64::MAX,
            ..silent.clone()
        };
        store.beat(&applied, now).await.unwrap();
        // Nothing to change: everything so far is waited for.
        let told = patch("?wait=10000", &body).await.json();
        assert_eq!(told["effective"]["confirmed"], 1, "{path}");
        let bare = patch("", &body).await;
        assert!(bare.json().get("effective").is_none(), "{}", bare.text);
        for wrong in ["?wait=10001", "?wait=1&wait=1", "?grace=1h"] {
            let got = patch(wrong, &body).await;
            assert_eq!(got.problem(422), "validation_failed", "{wrong}");
        }
        store.beat(&silent, now).await.unwrap();
    }
}

on_both!(
    limits_at_every_create_and_update,
    uses_are_told_by_day,
    answers_wait_until_a_change_is_in_effect,
    a_patch_waits_too,
);
