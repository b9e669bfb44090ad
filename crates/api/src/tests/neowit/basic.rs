//! A key by Basic: on and off at once, wrong secrets, and requests from web pages; here and at the native
//! door.

use super::*;

async fn switched<S, B>(instance: &Instance, service: &S, id: &str, on: bool)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let patch = Ask::new(service, Method::PATCH, &format!("{BASE}/{id}")).by(&instance.operator);
    let got = patch.sends(&json!({"enableBasicAuth": on})).got().await;
    assert_eq!(got.json()["enableBasicAuth"], on, "{}", got.text);
}

async fn on_and_off_at_once(instance: Instance) {
    let service = serve!(instance.app);
    let id = made(&instance, &service, "Gateway", false).await;
    let key = key(&instance, &service, &id).await;
    let ask = |path| Ask::get(&service, path).with("authorization", &key.basic());
    for _ in 0..2 {
        // Proven, so that it is told.
        ask(BASE).got().await.neowit(403);
        let got = ask("/v1/public/whoami").got().await;
        assert_eq!(got.problem(403), "not_allowed_here");
        switched(&instance, &service, &id, true).await;
        assert_eq!(ask(BASE).got().await.status, 200);
        let me = ask("/v1/public/whoami").got().await.json();
        assert_eq!(me["token"]["token_public_id"], key.id);
        assert_eq!(me["service_account"]["id"], id);
        assert_eq!(me["scopes"], json!(["symbolon:admin"]));
        switched(&instance, &service, &id, false).await;
    }
}

async fn wrong_pairs_all_look_alike(instance: Instance) {
    let service = serve!(instance.app);
    let id = made(&instance, &service, "Gateway", true).await;
    let (one, other) = (
        key(&instance, &service, &id).await,
        key(&instance, &service, &id).await,
    );
    let last = if one.secret.ends_with('0') { "1" } else { "0" };
    let bent = format!("{}{last}", &one.secret[..one.secret.len() - 1]);
    let token = symbolon_domain::token_text::parse(&instance.operator).unwrap();
    let mut bodies = Vec::new();
    for header in [
        basic(&one.id, &bent),
        basic(&one.id, &other.secret),
        basic(&one.id, ""),
        basic("", &one.secret),
        basic(&id, &one.secret),
        basic("0000000000000000", &one.secret),
        basic("مفتاح", "سر"),
        basic(&one.id.to_lowercase(), &one.secret.to_uppercase()),
        // A token's text in both halves.
        basic(token.public_id, &instance.operator[1..]),
        format!("Basic {}:{}", one.id, one.secret),
        "Basic".to_owned(),
        "Basic !".to_owned(),
    ] {
        let ask = Ask::get(&service, BASE).with("x-request-id", "same-id-1");
        let got = ask.with("authorization", &header).got().await;
        got.neowit(401);
        assert_eq!(got.header("www-authenticate"), "Bearer realm=\"symbolon\"");
        bodies.push(got.text);
        let ask = Ask::get(&service, "/v1/public/whoami").with("authorization", &header);
        assert_eq!(ask.got().await.problem(401), "unauthenticated");
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
    // A token by Basic, and a key's secret as Bearer, are proven and not taken.
    let by_basic = basic(token.public_id, &instance.operator);
    let ask = Ask::get(&service, BASE).with("authorization", &by_basic);
    ask.got().await.neowit(403);
    Ask::get(&service, BASE)
        .by(&one.secret)
        .got()
        .await
        .neowit(403);
    let got = Ask::get(&service, "/v1/public/whoami")
        .by(&one.secret)
        .got()
        .await;
    assert_eq!(got.problem(403), "not_allowed_here");
    // Two headers are none.
    let ask = Ask::get(&service, BASE).with("authorization", &one.basic());
    ask.by(&instance.operator).got().await.neowit(401);
}

async fn changes_from_web_pages_are_refused(instance: Instance) {
    let service = serve!(instance.app);
    let id = made(&instance, &service, "Gateway", true).await;
    let key = key(&instance, &service, &id).await;
    let ask = |method, path: &str| {
        Ask::new(&service, method, path)
            .with("authorization", &key.basic())
            .with("origin", "https://evil.example")
    };
    let one = format!("{BASE}/{id}");
    for (method, path) in [
        (Method::POST, BASE),
        (Method::PATCH, &one),
        (Method::PUT, &one),
        (Method::DELETE, &one),
        (Method::POST, &format!("{one}/key")),
        (Method::DELETE, &format!("{one}/key/{}", key.id)),
    ] {
        let got = ask(method, path)
            .sends(&json!({"name": "Evil"}))
            .got()
            .await;
        got.neowit(403);
    }
    let got = ask(Method::POST, &instance.service_accounts())
        .sends(&json!({"name": "Evil"}))
        .got()
        .await;
    assert_eq!(got.problem(403), "cross_origin_basic");
    assert_eq!(ask(Method::GET, BASE).got().await.status, 200);
    assert_eq!(
        ask(Method::GET, "/v1/public/whoami").got().await.status,
        200
    );
    let shown = Ask::get(&service, &one).with("authorization", &key.basic());
    assert_eq!(
        shown.got().await.json()["name"],
        "Gateway",
        "nothing was done"
    );
    // A wrong secret is not told that it came from a page.
    let wrong = basic(&key.id, "sym_wrong");
    let ask = Ask::post(&service, BASE).with("authorization", &wrong);
    ask.with("origin", "https://evil.example")
        .got()
        .await
        .neowit(401);
    let patch = Ask::new(&service, Method::PATCH, &one).with("authorization", &key.basic());
    let got = patch.sends(&json!({"name": "Mine"})).got().await;
    assert_eq!(got.json()["name"], "Mine");
}

async fn deleted_keys_and_owners_are_dead_at_once(instance: Instance) {
    let service = serve!(instance.app);
    let id = made(&instance, &service, "Gateway", true).await;
    let (one, other) = (
        key(&instance, &service, &id).await,
        key(&instance, &service, &id).await,
    );
    let status = async |key: &Key| {
        let ask = Ask::get(&service, BASE).with("authorization", &key.basic());
        ask.got().await.status.as_u16()
    };
    assert_eq!((status(&one).await, status(&other).await), (200, 200));
    let path = format!("{BASE}/{id}/key/{}", one.id);
    // By itself.
    let delete = Ask::new(&service, Method::DELETE, &path).with("authorization", &one.basic());
    assert_eq!(delete.got().await.status, 204);
    assert_eq!((status(&one).await, status(&other).await), (401, 200));
    let delete = Ask::new(&service, Method::DELETE, &format!("{BASE}/{id}"));
    assert_eq!(delete.by(&instance.operator).got().await.status, 204);
    assert_eq!(status(&other).await, 401);
}

on_both!(
    on_and_off_at_once,
    wrong_pairs_all_look_alike,
    changes_from_web_pages_are_refused,
    deleted_keys_and_owners_are_dead_at_once,
);
