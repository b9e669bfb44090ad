//! Repeats of a request, with the key in the header, in the body, or in both.

use super::*;

#[actix_web::test]
async fn a_repeat_is_the_same_answer_wherever_the_key_stands() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let flat = |key: &str| json!({"token_scope": "account", "idempotency_key": key});
    let wrapped =
        |key: &str| json!({"details": {"token_scope": "account"}, "idempotency_key": key});
    for (body, header) in [
        (of_account(), Some("in-the-header")),
        (flat("in-the-flat-body"), None),
        (wrapped("beside-details"), None),
        (wrapped("in-both"), Some("in-both")),
    ] {
        let create = async || {
            let ask = world.post(TOKENS, &body);
            match header {
                Some(key) => ask.with("idempotency-key", key).got().await,
                None => ask.got().await,
            }
        };
        let (first, again) = (create().await, create().await);
        assert_eq!(first.header("idempotency-replayed"), "", "{body}");
        assert_eq!(again.header("idempotency-replayed"), "true", "{body}");
        assert_eq!(first.success(), again.success(), "{body}");
        // Ten minutes later the secret is gone; whatever is left of the answer is as things are by then.
        let id = first.json()["details"]["id"].as_str().unwrap().to_owned();
        world.act(&id, "suspend").got().await.success();
        instance.clock.advance(std::time::Duration::from_secs(601));
        let late = create().await;
        assert_eq!(late.success().get("token"), None);
        assert_eq!(late.json()["details"]["status"], "suspended");
        assert_eq!(late.json()["details"]["id"], id.as_str());
    }
    // Another body under the same key.
    for (body, header) in [
        (flat("beside-details"), None),
        (flat("in-the-header"), None),
        (json!({"token_scope": "account"}), Some("in-the-header")),
    ] {
        let ask = world.post(TOKENS, &body);
        let ask = match header {
            Some(key) => ask.with("idempotency-key", key),
            None => ask,
        };
        assert_eq!(ask.got().await.prefactor(422), "conflict", "{body}");
    }
}

#[actix_web::test]
async fn actions_are_not_done_twice() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    for in_body in [true, false] {
        let id = world.token().await;
        let act = async |action: &str| {
            let key = format!("{action}-{in_body}");
            let path = format!("{TOKENS}/{id}/{action}");
            match in_body {
                true => {
                    let body = json!({ "idempotency_key": key });
                    world.post(&path, &body).got().await
                }
                false => {
                    let ask = Ask::post(&service, &path).by(&instance.operator);
                    ask.with("idempotency-key", &key).got().await
                }
            }
        };
        for action in ["suspend", "activate", "revoke"] {
            let (first, again) = (act(action).await, act(action).await);
            assert_eq!(first.success(), again.success(), "{action}");
            assert_eq!(first.header("idempotency-replayed"), "");
            assert_eq!(again.header("idempotency-replayed"), "true");
            let got = world.act(&id, action).got().await;
            assert_eq!(got.prefactor(409), "invalid_action", "without the key");
        }
    }
}

#[actix_web::test]
async fn keys_are_visible_ascii_and_agree() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let id = world.token().await;
    let long = "k".repeat(201);
    for (key, wanted) in [
        (json!(""), "idempotency_key too_short"),
        (json!(long), "idempotency_key too_long"),
        (json!("two words"), "idempotency_key illegal_characters"),
        (json!("مفتاح"), "idempotency_key illegal_characters"),
        (json!("tab\t"), "idempotency_key illegal_characters"),
        (json!(12345678), "idempotency_key wrong_type"),
        (json!(["a"]), "idempotency_key wrong_type"),
    ] {
        let mut create = of_account();
        create["idempotency_key"] = key.clone();
        let action = json!({ "idempotency_key": key });
        for (path, body) in [
            (TOKENS.to_owned(), create),
            (format!("{TOKENS}/{id}/suspend"), action),
        ] {
            let got = world.post(&path, &body).got().await;
            assert_eq!(got.wrong_fields(), [wanted], "{body}");
        }
    }
    let body = json!({"idempotency_key": "one-thing"});
    let path = format!("{TOKENS}/{id}/suspend");
    let ask = world.post(&path, &body);
    let got = ask.with("idempotency-key", "another-thing").got().await;
    assert_eq!(got.wrong_fields(), ["idempotency_key not_allowed"]);
    let ask = world.post(&path, &body);
    let got = ask.with("idempotency-key", "two words").got().await;
    assert_eq!(got.prefactor(400), "bad_request");
    assert_eq!(world.details(&id).await["status"], "active");
    let body = json!({"idempotency_key": "k".repeat(200)});
    world.post(&path, &body).got().await.success();
}
