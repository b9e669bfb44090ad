//! Each kind of JWT, and each kind of secret, at each place that is not its own.

use super::super::neowit::BASE;
use super::*;

/// What opens a door is a token or an access token for us, and nothing else that this service has made.
async fn each_kind_at_each_wrong_place(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let owner = made(&instance, &service, "Gateway", true).await;
    let key = key(&instance, &service, &owner).await;
    let access = access_token(&instance, &service, &key, "").await;
    let elsewhere = "&resource=https://api.example.com";
    let elsewhere = access_token(&instance, &service, &key, elsewhere).await;
    let both = format!(
        "&resource=https://api.example.com&resource={}",
        instance.app.public_url()
    );
    let both = access_token(&instance, &service, &key, &both).await;
    let assertion = Assertion::by(&key, &instance, ENDPOINTS[0]).text();
    let for_us = Assertion::by(&key, &instance, "").text();

    let api_token = Ask::post(&service, "/api/v1/api_token").by(operator);
    let api_token = api_token.sends(&json!({"details": {"token_scope": "account"}}));
    let api_token = api_token.got().await.json();
    let api_token = api_token["token"].as_str().unwrap();

    let doors = async |token: &str| {
        let native = Ask::get(&service, WHOAMI).by(token).got().await;
        let neowit = Ask::get(&service, BASE).by(token).got().await;
        assert_eq!(native.status, neowit.status, "{token}");
        match native.status.as_u16() {
            200 => {}
            status => drop((native.problem(status), neowit.neowit(status))),
        }
        native.status.as_u16()
    };
    assert_eq!(doors(operator).await, 200);
    assert_eq!(doors(&access).await, 200);
    assert_eq!(doors(&both).await, 200);
    assert_eq!(doors(api_token).await, 200);
    // Good tokens, for others.
    assert_eq!(doors(&elsewhere).await, 403);
    assert_eq!(doors(&key.secret).await, 403);
    for junk in [assertion.as_str(), &for_us] {
        assert_eq!(doors(junk).await, 401);
    }

    // One kind with the name of the other.
    for (jwt, typ) in [
        (api_token, "at+jwt"),
        (&access, "api-token+jwt"),
        (api_token, "JWT"),
    ] {
        let (head, rest) = jwt.split_once('.').unwrap();
        let head = BASE64_URL_SAFE_NO_PAD.decode(head).unwrap();
        let mut head: Value = serde_json::from_slice(&head).unwrap();
        put(&mut head, "typ", json!(typ));
        assert_eq!(
            doors(&format!("{}.{rest}", part(head.to_string()))).await,
            401,
            "{typ}"
        );
    }

    // As an assertion.
    for token in [&access, &elsewhere, operator, &key.secret, api_token] {
        for endpoint in ENDPOINTS {
            let got = asking(&service, endpoint, token, "").got().await;
            assert_eq!(got.oauth(400), "invalid_grant");
        }
    }
    // By Basic.
    for secret in [&access, &assertion, &elsewhere, api_token] {
        let ask = Ask::get(&service, BASE).with("authorization", &basic(&key.id, secret));
        ask.got().await.neowit(401);
    }
    // As a client's secret.
    for secret in [&access, &assertion, api_token] {
        let ask = asking(&service, ENDPOINTS[0], &assertion, "");
        let ask = ask.with("authorization", &basic(&key.id, secret));
        assert_eq!(ask.got().await.oauth(401), "invalid_client");
    }
}

/// Somebody who knows how ours look cannot make one.
async fn forged_access_tokens(instance: Instance) {
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Gateway", true).await;
    let key = key(&instance, &service, &owner).await;
    let access = access_token(&instance, &service, &key, "").await;
    let (input, signature) = access.rsplit_once('.').unwrap();
    let (head, payload) = input.split_once('.').unwrap();
    let decode = |part: &str| -> Value {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (header, said) = (decode(head), decode(payload));
    let with = |value: &Value, name: &str, to: Value| {
        let mut value = value.clone();
        put(&mut value, name, to);
        value.to_string()
    };
    let unsigned = |header: &str, claims: &str| format!("{}.{}", part(header), part(claims));
    let claims = said.to_string();
    let wide = with(&said, "scope", json!("symbolon:instance:*"));
    let kid = header["kid"].as_str().unwrap();
    for (what, forged) in [
        (
            "none",
            format!(
                "{}.",
                unsigned(&with(&header, "alg", json!("none")), &claims)
            ),
        ),
        ("none, and its signature", {
            format!(
                "{}.{signature}",
                unsigned(&with(&header, "alg", json!("none")), &claims)
            )
        }),
        (
            "HMAC with the key's secret",
            hs256(&with(&header, "alg", json!("HS256")), &claims, &key.secret),
        ),
        ("HMAC with the name of the signing key", {
            hs256(&with(&header, "alg", json!("HS256")), &claims, kid)
        }),
        (
            "HMAC that says EdDSA",
            hs256(&header.to_string(), &claims, &key.secret),
        ),
        (
            "more scopes",
            format!("{}.{signature}", unsigned(&header.to_string(), &wide)),
        ),
        ("another typ", {
            format!(
                "{}.{signature}",
                unsigned(&with(&header, "typ", json!("JWT")), &claims)
            )
        }),
        ("a signing key of nobody", {
            let other = "0198a7c2-0000-7000-8000-000000000000";
            format!(
                "{}.{signature}",
                unsigned(&with(&header, "kid", json!(other)), &claims)
            )
        }),
        ("the key as kid", {
            hs256(&with(&header, "kid", json!(key.id)), &claims, &key.secret)
        }),
        (
            "no kid",
            format!(
                "{}.{signature}",
                unsigned(&with(&header, "kid", Value::Null), &claims)
            ),
        ),
        ("a key of its own", {
            let own = with(
                &header,
                "jwk",
                json!({"kty": "OKP", "crv": "Ed25519", "x": part([9; 32])}),
            );
            format!("{}.{signature}", unsigned(&own, &claims))
        }),
        ("no signature", format!("{input}.")),
        ("all zero", format!("{input}.{}", part([0; 64]))),
        ("padding", format!("{access}=")),
    ] {
        let got = Ask::get(&service, WHOAMI).by(&forged).got().await;
        assert_eq!(got.problem(401), "unauthenticated", "{what}");
        Ask::get(&service, BASE).by(&forged).got().await.neowit(401);
    }
    assert_eq!(
        Ask::get(&service, WHOAMI).by(&access).got().await.status,
        200
    );
}

on_both!(each_kind_at_each_wrong_place, forged_access_tokens);
