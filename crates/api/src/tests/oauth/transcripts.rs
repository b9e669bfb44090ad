//! The flow and its errors, word by word and alike on both databases; and what an access token is.

use super::*;
use std::time::Duration;

async fn the_flow(instance: Instance) {
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Gateway", false).await;
    let key = key(&instance, &service, &owner).await;
    let mut transcript = Transcript::default();
    for endpoint in ENDPOINTS {
        let assertion = Assertion::by(&key, &instance, endpoint);
        let ask = asking(&service, endpoint, &assertion.text(), "");
        let token = transcript.ask("exchange", ask).await.json();
        let token = token["access_token"].as_str().unwrap();
        let me = Ask::get(&service, WHOAMI).by(token);
        let me = transcript.ask("who is it", me).await.json();
        assert_eq!(me["token"]["token_public_id"], key.id);
        assert_eq!(me["scopes"], json!(["symbolon:admin"]));
        let list = Ask::get(&service, super::super::neowit::BASE).by(token);
        transcript.ask("at the Neowit door", list).await;

        let less = "&scope=symbolon:tokens:read+invoices:read&nonce=1";
        let less = asking(&service, endpoint, &assertion.text(), less);
        transcript.ask("a scope it does not have", less).await;
        let bad = asking(&service, endpoint, &assertion.text(), "&scope=A!");
        transcript.ask("a scope that is none", bad).await;
        let narrow = "&scope=symbolon:tokens:read";
        let narrow = asking(&service, endpoint, &assertion.text(), narrow);
        transcript.ask("some of its scopes", narrow).await;
        let target = "&resource=https%3A%2F%2Fapi.example.com&resource=urn:example:two";
        let target = asking(&service, endpoint, &assertion.text(), target);
        transcript.ask("for others", target).await;
        let target = asking(&service, endpoint, &assertion.text(), "&resource=%2Fhere");
        transcript.ask("for what is no target", target).await;
        let expired = assertion.clone().claim("exp", json!(1));
        let expired = asking(&service, endpoint, &expired.text(), "");
        transcript.ask("an expired assertion", expired).await;
        let wrong = asking(&service, endpoint, &assertion.text(), "");
        let wrong = wrong.with("authorization", &basic(&key.id, "wrong"));
        transcript.ask("a wrong client", wrong).await;
        let grant = "grant_type=authorization_code".to_owned();
        transcript
            .ask("another grant", form(&service, endpoint, grant))
            .await;
        transcript
            .ask("nothing", form(&service, endpoint, String::new()))
            .await;
        let json = Ask::post(&service, endpoint).sends(&json!({"grant_type": JWT_BEARER}));
        transcript.ask("JSON", json).await;
        let huge = form(&service, endpoint, "x".repeat(64 * 1024 + 1));
        let got = huge.got().await;
        assert_eq!(got.oauth(413), "invalid_request");
        transcript
            .ask("a method it does not take", Ask::get(&service, endpoint))
            .await;
    }
    insta::assert_snapshot!("oauth_flow", transcript.to_string());
    for path in [
        "/oauth2",
        "/oauth2/token/",
        "/oauth2/authorize",
        "/api/auth/oauth/x",
    ] {
        let got = Ask::get(&service, path).got_from_elsewhere().await;
        assert_eq!(got.oauth(404), "invalid_request", "{path}");
    }
}

async fn what_an_access_token_says(instance: Instance) {
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Gateway", false).await;
    let key = key(&instance, &service, &owner).await;
    let token = access_token(&instance, &service, &key, "").await;
    let head = token.split('.').next().unwrap();
    let head: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
    assert_eq!(
        (&head["alg"], &head["typ"]),
        (&json!("EdDSA"), &json!("at+jwt"))
    );
    let now = instance.app.now().as_seconds();
    let mut said = claims(&token);
    let jti = said["jti"].take();
    assert!(jti.as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    let url = instance.app.public_url();
    let wanted = json!({
        "iss": url, "aud": url, "sub": owner, "client_id": key.id, "iat": now, "exp": now + 3600,
        "scope": "symbolon:admin", "jti": null,
    });
    assert_eq!(said, wanted);
    // It ends by itself, and by its own hand.
    let other = access_token(&instance, &service, &key, "").await;
    let status = async |token: &str| Ask::get(&service, WHOAMI).by(token).got().await.status;
    assert_eq!(
        (status(&token).await, status(&other).await),
        (StatusCode::OK, StatusCode::OK)
    );
    let end = Ask::post(&service, "/v1/public/self/revoke").by(&token);
    assert_eq!(end.got().await.status, 204);
    assert_eq!(status(&token).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&other).await, StatusCode::OK);
    let rotate = Ask::post(&service, "/v1/public/self/rotate").by(&other);
    assert_eq!(rotate.got().await.problem(409), "invalid_action");
    instance.clock.advance(Duration::from_secs(3599));
    assert_eq!(status(&other).await, StatusCode::OK);
    instance.clock.advance(Duration::from_secs(1));
    assert_eq!(status(&other).await, StatusCode::UNAUTHORIZED);
}

async fn it_dies_with_its_key_and_everything_above(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let owner = made(&instance, &service, "Gateway", false).await;
    let native = format!("{}/{owner}", instance.service_accounts());
    let status = async |token: &str| {
        let got = Ask::get(&service, WHOAMI).by(token).got().await;
        got.status.as_u16()
    };
    let one = key(&instance, &service, &owner).await;
    let token = access_token(&instance, &service, &one, "").await;
    let post = async |path: String| {
        let got = Ask::post(&service, &path).by(operator).got().await;
        assert_eq!(got.status, 200, "{}", got.text);
    };
    post(format!("{native}/suspend")).await;
    assert_eq!(status(&token).await, 401);
    post(format!("{native}/activate")).await;
    assert_eq!(status(&token).await, 200);
    let shown = Ask::get(&service, &format!("{native}/keys/{}", one.id)).by(operator);
    let id = shown.got().await.json()["id"].as_str().unwrap().to_owned();
    post(format!("{native}/tokens/{id}/suspend")).await;
    assert_eq!(status(&token).await, 401);
    post(format!("{native}/tokens/{id}/activate")).await;
    assert_eq!(status(&token).await, 200);
    let path = format!("{}/{owner}/key/{}", super::super::neowit::BASE, one.id);
    let delete = Ask::new(&service, Method::DELETE, &path).by(operator);
    assert_eq!(delete.got().await.status, 204);
    assert_eq!(status(&token).await, 401);
    let assertion = Assertion::by(&one, &instance, ENDPOINTS[0]).text();
    let got = asking(&service, ENDPOINTS[0], &assertion, "").got().await;
    assert_eq!(got.oauth(400), "invalid_grant");

    let other = key(&instance, &service, &owner).await;
    let token = access_token(&instance, &service, &other, "").await;
    let delete = Ask::new(&service, Method::DELETE, &native).by(operator);
    assert_eq!(delete.got().await.status, 204);
    assert_eq!(status(&token).await, 401);
}

/// What its service account loses, it has lost; what it was not given, it never had.
async fn it_may_do_what_it_was_given(instance: Instance) {
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Gateway", false).await;
    let key = key(&instance, &service, &owner).await;
    let narrow = "&scope=symbolon:service-accounts:read%20symbolon:tokens:read";
    let narrow = access_token(&instance, &service, &key, narrow).await;
    let wide = access_token(&instance, &service, &key, "").await;
    let base = super::super::neowit::BASE;
    let create = async |token: &str, name: &str| {
        let ask = Ask::post(&service, base).by(token);
        ask.sends(&json!({"name": name})).got().await
    };
    assert_eq!(Ask::get(&service, base).by(&narrow).got().await.status, 200);
    create(&narrow, "Child").await.neowit(403);
    assert_eq!(create(&wide, "Child").await.status, 201);
    let native = format!("{}/{owner}", instance.service_accounts());
    let patch = Ask::new(&service, Method::PATCH, &native).by(&instance.operator);
    let less = json!({"scopes": ["symbolon:tokens:read"]});
    assert_eq!(patch.sends(&less).got().await.status, 200);
    create(&wide, "Grandchild").await.neowit(403);
    Ask::get(&service, base).by(&narrow).got().await.neowit(403);
    // The origin of a page matters to Basic alone.
    let ask = Ask::post(&service, base)
        .by(&wide)
        .with("origin", "https://app.example");
    ask.sends(&json!({"name": "x"})).got().await.neowit(403);
}

#[actix_web::test]
async fn without_the_neowit_door_its_endpoint_is_gone() {
    let instance = Instance::start().await;
    let doors = Doors {
        neowit: false,
        ..Doors::default()
    };
    let service = serve!(instance.app, doors);
    let (native, neowit) = (ENDPOINTS[0], ENDPOINTS[1]);
    let ask = |endpoint| asking(&service, endpoint, "x", "");
    assert_eq!(ask(native).got().await.oauth(400), "invalid_grant");
    assert_eq!(ask(neowit).got_from_elsewhere().await.status, 404);
    let base = super::super::neowit::BASE;
    let got = Ask::get(&service, base).got_from_elsewhere().await;
    assert_eq!(got.status, 404);
}

on_both!(
    the_flow,
    what_an_access_token_says,
    it_dies_with_its_key_and_everything_above,
    it_may_do_what_it_was_given,
);
