//! Repeats with one `Idempotency-Key`.

use super::*;
use std::time::Duration;

async fn repeats_do_nothing_twice(instance: Instance) {
    let service = serve!(instance.app);
    let post = |path: &str, key: &str| {
        let ask = Ask::post(&service, path).by(&instance.operator);
        ask.with("idempotency-key", key)
    };
    let body = account("Batch", 2);
    let first = post(BASE, "a").sends(&body).got().await;
    let again = post(BASE, "a").sends(&body).got().await;
    assert_eq!(
        (first.status, again.status),
        (StatusCode::CREATED, StatusCode::CREATED)
    );
    assert_eq!(first.text, again.text);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(first.header("idempotency-replayed"), "");
    assert_eq!(again.header("idempotency-replayed"), "true");
    let got = post(BASE, "b").sends(&body).got().await;
    assert_eq!(got.unleash(409), "NameExistsError");
    let got = post(BASE, "a").sends(&account("Other", 2)).got().await;
    assert_eq!(got.unleash(400), "BadDataError");
    let got = post(BASE, "a b").sends(&body).got().await;
    assert_eq!(got.unleash(400), "BadDataError");

    // Within its time the secret is shown again, and the same; later the rest is.
    let path = format!("{BASE}/{}/token", first.json()["id"]);
    let body = json!({"description": "CI", "expiresAt": "2026-11-23T00:00:00Z"});
    let first = post(&path, "a").sends(&body).got().await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert!(first.json()["secret"].is_string());
    let again = post(&path, "a").sends(&body).got().await;
    assert_eq!(
        (again.status, &again.text),
        (StatusCode::CREATED, &first.text)
    );
    assert_eq!(again.header("idempotency-replayed"), "true");
    instance.clock.advance(Duration::from_secs(601));
    let again = post(&path, "a").sends(&body).got().await;
    assert_eq!(again.status, 201, "{}", again.text);
    let mut without = first.json();
    without.as_object_mut().unwrap().remove("secret");
    assert_eq!(again.json(), without);
    let list = Ask::get(&service, &path).by(&instance.operator).got().await;
    assert_eq!(list.json()["pats"].as_array().unwrap().len(), 1);
}

on_both!(repeats_do_nothing_twice);
