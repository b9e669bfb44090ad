//! Repeats with the same `Idempotency-Key`.

use super::*;
use std::time::Duration;

async fn a_repeated_create_is_done_once(instance: Instance) {
    let service = serve!(instance.app);
    let ask = |body: Value| {
        let ask = Ask::post(&service, BASE).by(&instance.operator);
        ask.with("idempotency-key", "order-1").sends(&body)
    };
    let first = ask(json!({"name": "Gateway"})).got().await;
    let again = ask(json!({"name": "Gateway"})).got().await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.text, again.text);
    assert_eq!(first.header("idempotency-replayed"), "");
    assert_eq!(again.header("idempotency-replayed"), "true");
    ask(json!({"name": "Other"})).got().await.neowit(400);
    let listed = Ask::get(&service, BASE).by(&instance.operator).got().await;
    assert_eq!(
        listed.json()["serviceAccounts"].as_array().unwrap().len(),
        1
    );
    // The same key at another door is another key.
    let native = Ask::post(&service, &instance.service_accounts()).by(&instance.operator);
    let native = native.with("idempotency-key", "order-1");
    let got = native.sends(&json!({"name": "Gateway"})).got().await;
    assert_eq!(
        (got.status.as_u16(), got.header("idempotency-replayed")),
        (201, "")
    );
}

async fn a_repeated_key_shows_its_secret_for_ten_minutes(instance: Instance) {
    let service = serve!(instance.app);
    let id = made(&instance, &service, "Gateway", true).await;
    let path = format!("{BASE}/{id}/key");
    let ask = || {
        let ask = Ask::post(&service, &path).by(&instance.operator);
        ask.with("idempotency-key", "key-1")
    };
    let first = ask().got().await.json();
    instance.clock.advance(Duration::from_secs(599));
    let again = ask().got().await;
    assert_eq!(again.json(), first);
    assert_eq!(again.header("idempotency-replayed"), "true");
    instance.clock.advance(Duration::from_secs(1));
    let late = ask().got().await;
    assert_eq!(
        (late.status.as_u16(), late.json().get("secret")),
        (201, None)
    );
    assert_eq!(late.json()["keyId"], first["keyId"]);
    ask().sends(&json!({})).got().await.neowit(400);
    let keys = Ask::get(&service, &path).by(&instance.operator).got().await;
    assert_eq!(keys.json()["keys"].as_array().unwrap().len(), 1);
    let bad = Ask::post(&service, &path).by(&instance.operator);
    bad.with("idempotency-key", "a b").got().await.neowit(400);
}

on_both!(
    a_repeated_create_is_done_once,
    a_repeated_key_shows_its_secret_for_ten_minutes,
);
