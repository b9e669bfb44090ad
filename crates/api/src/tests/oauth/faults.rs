//! Every fault of an assertion: `invalid_grant`, at both endpoints, and alike until the signature is proven.

use super::*;
use std::time::Duration;

const NOT_ACCEPTED: &str = "The assertion is not accepted.";

async fn unproven_assertions_all_look_alike(instance: Instance) {
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Gateway", false).await;
    let (one, other) = (
        key(&instance, &service, &owner).await,
        key(&instance, &service, &owner).await,
    );
    let operator = symbolon_domain::token_text::parse(&instance.operator).unwrap();
    for endpoint in ENDPOINTS {
        let good = || Assertion::by(&one, &instance, endpoint);
        let text = good().text();
        let (input, signature) = text.rsplit_once('.').unwrap();
        let (header, payload) = input.split_once('.').unwrap();
        let with_header = |header: &str| hs256(header, &good().claims.to_string(), &one.secret);
        let with_claims = |claims: &str| hs256(&good().header.to_string(), claims, &one.secret);
        let plain = good().claims.to_string();
        let mut faults = vec![
            ("no algorithm", good().header("alg", json!("none")).text()),
            ("nor a signature", {
                let none = good().header("alg", json!("none")).text();
                format!("{}.", none.rsplit_once('.').unwrap().0)
            }),
            ("another case", good().header("alg", json!("hs256")).text()),
            ("HS512", good().header("alg", json!("HS512")).text()),
            ("EdDSA", good().header("alg", json!("EdDSA")).text()),
            ("EdDSA, and as long", {
                let it = good().header("alg", json!("EdDSA")).text();
                format!("{}.{}", it.rsplit_once('.').unwrap().0, part([7; 64]))
            }),
            ("no alg", good().header("alg", Value::Null).text()),
            (
                "alg is no text",
                good().header("alg", json!(["HS256"])).text(),
            ),
            ("no kid", good().header("kid", Value::Null).text()),
            (
                "the kid of another key",
                good().header("kid", json!(other.id)).text(),
            ),
            (
                "a kid of nobody",
                good().header("kid", json!("0000000000000000")).text(),
            ),
            (
                "a token as kid",
                good().header("kid", json!(operator.public_id)).text(),
            ),
            (
                "its owner as kid",
                good().header("kid", json!(owner)).text(),
            ),
            (
                "a path as kid",
                good().header("kid", json!("../../dev/null")).text(),
            ),
            ("kid is a number", good().header("kid", json!(1)).text()),
            ("ours by typ", good().header("typ", json!("at+jwt")).text()),
            (
                "ours by the other typ",
                good().header("typ", json!("api-token+jwt")).text(),
            ),
            (
                "a key of its own",
                good()
                    .header("jwk", json!({"kty": "oct", "k": "AA"}))
                    .text(),
            ),
            (
                "a critical extension",
                good().header("crit", json!(["b64"])).text(),
            ),
            (
                "an unencoded payload",
                good().header("b64", json!(false)).text(),
            ),
            (
                "another secret",
                Assertion {
                    secret: other.secret.clone(),
                    ..good()
                }
                .text(),
            ),
            (
                "an empty secret",
                Assertion {
                    secret: String::new(),
                    ..good()
                }
                .text(),
            ),
            (
                "the key id as secret",
                Assertion {
                    secret: one.id.clone(),
                    ..good()
                }
                .text(),
            ),
            ("a bent signature", format!("{input}.{}", bent(signature))),
            ("no signature", format!("{input}.")),
            ("half a signature", format!("{input}.{}", &signature[..20])),
            (
                "a bent header",
                format!("{}.{payload}.{signature}", bent(header)),
            ),
            (
                "a bent payload",
                format!("{header}.{}.{signature}", bent(payload)),
            ),
            ("padding", format!("{text}=")),
            ("two parts", input.to_owned()),
            ("four parts", format!("{text}.{signature}")),
            ("white space", format!("{text}%20")),
            ("a member twice in the header", {
                with_header(&format!(
                    r#"{{"alg":"HS256","kid":"x","kid":"{}"}}"#,
                    one.id
                ))
            }),
            ("a claim twice", {
                with_claims(&format!(
                    "{},\"sub\":\"{owner}\"}}",
                    &plain[..plain.len() - 1]
                ))
            }),
            ("claims that are no object", with_claims("[1]")),
            ("claims that are no JSON", with_claims("{")),
            ("header that is no JSON", with_header("{")),
            ("the key's secret", one.secret.clone()),
            ("a token", instance.operator.clone()),
            ("junk", "a.b.c".to_owned()),
        ];
        let large = good().claim("x", json!("x".repeat(8 * 1024))).text();
        assert!(large.len() > 8 * 1024);
        faults.push(("too large", large));
        for (what, assertion) in faults {
            let got = asking(&service, endpoint, &assertion, "").got().await;
            assert_eq!(got.oauth(400), "invalid_grant", "{what}");
            assert_eq!(got.json()["error_description"], NOT_ACCEPTED, "{what}");
        }
        let got = asking(&service, endpoint, &text, "").got().await;
        assert_eq!(got.status, 200, "{}", got.text);
    }
}

/// Another character in the middle, where every bit counts.
fn bent(text: &str) -> String {
    let at = text.len() / 2;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

async fn proven_assertions_are_told_what_is_wrong(instance: Instance) {
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Gateway", false).await;
    let another = made(&instance, &service, "Another", false).await;
    let key = key(&instance, &service, &owner).await;
    let now = instance.app.now().as_seconds();
    let url = instance.app.public_url().to_owned();
    for (endpoint, elsewhere) in [(0, 1), (1, 0)].map(|(a, b)| (ENDPOINTS[a], ENDPOINTS[b])) {
        let good = || Assertion::by(&key, &instance, endpoint);
        let own = format!("{url}{endpoint}");
        for (claim, values) in [
            (
                "iss",
                vec![
                    Value::Null,
                    json!(another),
                    json!(key.id),
                    json!(1),
                    json!(""),
                ],
            ),
            (
                "sub",
                vec![Value::Null, json!(another), json!(key.id), json!([owner])],
            ),
            (
                "aud",
                vec![
                    Value::Null,
                    json!(url),
                    json!(format!("{url}{elsewhere}")),
                    json!(format!("{own}/")),
                    json!(format!("{own}?a=b")),
                    json!(own.to_uppercase()),
                    json!(endpoint),
                    json!([own, "https://elsewhere.example"]),
                    json!([own, own]),
                    json!([]),
                    json!([[own]]),
                    json!({}),
                    json!(1),
                ],
            ),
            (
                "exp",
                vec![
                    Value::Null,
                    json!(now - 30),
                    json!(now + 3600 + 31),
                    json!(now + 10_000_000),
                    json!(1e300),
                    json!(-1),
                    json!(0),
                    json!(true),
                    json!(format!("{}", now + 60)),
                ],
            ),
            (
                "nbf",
                vec![
                    json!(now + 31),
                    json!("x"),
                    json!(-1),
                    json!([]),
                    json!(1e300),
                ],
            ),
            (
                "iat",
                vec![json!(now + 31), json!("x"), json!(-1), json!({})],
            ),
            (
                "jti",
                vec![json!(""), json!(1), json!("j".repeat(256)), json!([])],
            ),
        ] {
            for value in values {
                let text = good().claim(claim, value.clone()).text();
                let got = asking(&service, endpoint, &text, "").got().await;
                assert_eq!(got.oauth(400), "invalid_grant", "{claim} {value}");
                let why = got.json()["error_description"].clone();
                assert_ne!(why, NOT_ACCEPTED, "{claim} {value}");
            }
        }
        let iss_is_not_sub = good()
            .claim("iss", json!(another))
            .claim("sub", json!(owner));
        let got = asking(&service, endpoint, &iss_is_not_sub.text(), "")
            .got()
            .await;
        assert_eq!(got.oauth(400), "invalid_grant");
        for (claim, value) in [
            ("aud", json!([own])),
            ("exp", json!(now - 29)),
            ("exp", json!(now + 3600 + 30)),
            ("exp", json!(now as f64 + 60.5)),
            ("nbf", json!(now + 30)),
            ("iat", Value::Null),
            ("iat", json!(now - 100_000)),
            ("more", json!({"a": [null]})),
        ] {
            let text = good().claim(claim, value.clone()).text();
            let got = asking(&service, endpoint, &text, "").got().await;
            assert_eq!(got.status, 200, "{claim} {value} {}", got.text);
        }
        for typ in [Value::Null, json!("jwt"), json!("authorization-grant+jwt")] {
            let text = good().header("typ", typ.clone()).text();
            let got = asking(&service, endpoint, &text, "").got().await;
            assert_eq!(got.status, 200, "{typ} {}", got.text);
        }
    }
}

async fn a_jti_works_once_and_only_what_succeeds_uses_it(instance: Instance) {
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Gateway", false).await;
    let another = made(&instance, &service, "Another", false).await;
    let mine = key(&instance, &service, &owner).await;
    let theirs = key(&instance, &service, &another).await;
    let ask = |key: &Key, endpoint: &str, jti: &str, more: &str| {
        let it = Assertion::by(key, &instance, endpoint).claim("jti", json!(jti));
        asking(&service, endpoint, &it.text(), more)
    };
    let [native, neowit] = ENDPOINTS;
    let refused = ask(&mine, native, "j1", "&scope=nobody:has").got().await;
    assert_eq!(refused.oauth(400), "invalid_scope");
    assert_eq!(ask(&mine, native, "j1", "").got().await.status, 200);
    for endpoint in [native, neowit] {
        let again = ask(&mine, endpoint, "j1", "").got().await;
        assert_eq!(again.oauth(400), "invalid_grant", "{endpoint}");
    }
    assert_eq!(ask(&mine, native, "j2", "").got().await.status, 200);
    assert_eq!(ask(&theirs, native, "j1", "").got().await.status, 200);
    let long = "j".repeat(255);
    assert_eq!(ask(&mine, native, &long, "").got().await.status, 200);
    instance.clock.advance(Duration::from_secs(60));
    let again = ask(&mine, native, "j1", "").got().await;
    assert_eq!(again.oauth(400), "invalid_grant");
    // Without one, as often as it lasts.
    let text = Assertion::by(&mine, &instance, native).text();
    for _ in 0..3 {
        assert_eq!(asking(&service, native, &text, "").got().await.status, 200);
    }
}

async fn a_key_out_of_force_looks_like_none(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let endpoint = ENDPOINTS[0];
    let owner = made(&instance, &service, "Gateway", false).await;
    let native = format!("{}/{owner}", instance.service_accounts());
    let mine = key(&instance, &service, &owner).await;
    let ask = async || {
        let text = Assertion::by(&mine, &instance, endpoint).text();
        asking(&service, endpoint, &text, "").got().await
    };
    let post = async |path: String| {
        let got = Ask::post(&service, &path).by(operator).got().await;
        assert_eq!(got.status, 200, "{}", got.text);
    };
    assert_eq!(ask().await.status, 200);
    post(format!("{native}/suspend")).await;
    let got = ask().await;
    assert_eq!(got.oauth(400), "invalid_grant");
    assert_eq!(got.json()["error_description"], NOT_ACCEPTED);
    post(format!("{native}/activate")).await;
    assert_eq!(ask().await.status, 200);
    let delete = Ask::new(&service, Method::DELETE, &native).by(operator);
    assert_eq!(delete.got().await.status, 204);
    let got = ask().await;
    assert_eq!(got.json()["error_description"], NOT_ACCEPTED);
}

on_both!(
    unproven_assertions_all_look_alike,
    proven_assertions_are_told_what_is_wrong,
    a_jti_works_once_and_only_what_succeeds_uses_it,
    a_key_out_of_force_looks_like_none,
);
