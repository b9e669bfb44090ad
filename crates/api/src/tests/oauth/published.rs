//! What is published: the server's metadata (RFC 8414) and its public keys (RFC 7517).

use super::*;
use std::time::Duration;

const METADATA: &str = "/.well-known/oauth-authorization-server";
const JWKS: &str = "/.well-known/jwks.json";

async fn what_clients_have_to_know(instance: Instance) {
    let service = serve!(instance.app);
    let got = Ask::get(&service, METADATA).got().await;
    assert_eq!(
        (got.status.as_u16(), got.header("content-type")),
        (200, "application/json")
    );
    assert_eq!(got.header("cache-control"), "public, max-age=3600");
    let pretty = serde_json::to_string_pretty(&got.json()).unwrap();
    insta::assert_snapshot!("metadata", pretty);
    // Each endpoint stands where it says, and takes what it says.
    let url = instance.app.public_url();
    for (name, status) in [
        ("token_endpoint", 400),
        ("introspection_endpoint", 401),
        ("revocation_endpoint", 401),
    ] {
        let endpoint = got.json()[name].as_str().unwrap().to_owned();
        let path = endpoint.strip_prefix(url).unwrap();
        let got = form(&service, path, String::new()).got().await;
        assert_eq!(got.status, status, "{name}");
    }
    let jwks = got.json()["jwks_uri"].as_str().unwrap().to_owned();
    assert_eq!(jwks.strip_prefix(url), Some(JWKS));
    for grant in got.json()["grant_types_supported"].as_array().unwrap() {
        let body = format!("grant_type={}", grant.as_str().unwrap());
        let got = form(&service, ENDPOINTS[0], body).got().await;
        assert_ne!(got.json()["error"], "unsupported_grant_type", "{grant}");
    }
    for nowhere in [
        "/.well-known",
        "/.well-known/",
        "/.well-known/openid-configuration",
        &format!("{METADATA}/"),
        &format!("{METADATA}/tenant"),
        &format!("{JWKS}/"),
    ] {
        let got = Ask::get(&service, nowhere).got_from_elsewhere().await;
        assert_eq!(got.oauth(404), "invalid_request", "{nowhere}");
    }
    let got = Ask::post(&service, METADATA).got().await;
    assert_eq!(got.oauth(405), "invalid_request");
    assert_eq!(got.header("allow"), "GET");
}

/// RFC 8414 §3.1: the well-known part comes between host and path.
#[actix_web::test]
async fn an_issuer_with_a_path() {
    let instance = Instance::called("https://example.com/tenant/one").await;
    let service = serve!(instance.app);
    let path = format!("{METADATA}/tenant/one");
    let got = Ask::get(&service, &path).got_from_elsewhere().await;
    assert_eq!(got.status, 200, "{}", got.text);
    assert_eq!(got.json()["issuer"], "https://example.com/tenant/one");
    let endpoint = "https://example.com/tenant/one/oauth2/token";
    assert_eq!(got.json()["token_endpoint"], endpoint);
    // Behind a proxy that takes the path away, as all else.
    assert_eq!(Ask::get(&service, METADATA).got().await.text, got.text);
    for other in [
        "/tenant",
        "/tenant/one/",
        "/tenant/two",
        "/tenant/one/two",
        "/",
    ] {
        let got = Ask::get(&service, &format!("{METADATA}{other}"));
        assert_eq!(
            got.got_from_elsewhere().await.oauth(404),
            "invalid_request",
            "{other}"
        );
    }
}

fn kids(jwks: &Got) -> Vec<String> {
    let keys = jwks.json()["keys"].as_array().unwrap().clone();
    for key in &keys {
        let fields: Vec<_> = key.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["alg", "crv", "kid", "kty", "use", "x"]);
        let said = (&key["alg"], &key["crv"], &key["kty"], &key["use"]);
        assert_eq!(
            said,
            (
                &json!("EdDSA"),
                &json!("Ed25519"),
                &json!("OKP"),
                &json!("sig")
            )
        );
        let x = BASE64_URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap());
        assert_eq!(x.unwrap().len(), 32);
    }
    let kids = keys.iter().map(|it| it["kid"].as_str().unwrap().to_owned());
    kids.collect()
}

fn kid(jwt: &str) -> String {
    let head = BASE64_URL_SAFE_NO_PAD
        .decode(jwt.split('.').next().unwrap())
        .unwrap();
    let head: Value = serde_json::from_slice(&head).unwrap();
    head["kid"].as_str().unwrap().to_owned()
}

/// Known before it signs, and until the last token that it has signed has ended.
async fn keys_come_before_they_sign_and_stay_for_their_tokens(instance: Instance) {
    let service = serve!(instance.app);
    let jwks = async || {
        let got = Ask::get(&service, JWKS).got().await;
        assert_eq!(got.status, 200, "{}", got.text);
        assert_eq!(got.header("content-type"), "application/jwk-set+json");
        assert_eq!(got.header("cache-control"), "public, max-age=3600");
        got
    };
    // The first are made for whoever asks first.
    let first = jwks().await;
    let known = kids(&first);
    assert_eq!(known.len(), 2, "one that signs, and the next one");
    let owner = made(&instance, &service, "Gateway", false).await;
    let key = key(&instance, &service, &owner).await;
    let before = access_token(&instance, &service, &key, "").await;
    assert!(known.contains(&kid(&before)));
    assert_eq!(jwks().await.header("etag"), first.header("etag"));

    instance.clock.advance(Duration::from_secs(90 * 86_400));
    instance.app.maintain_signing_keys().await.unwrap();
    let second = jwks().await;
    assert_ne!(second.header("etag"), first.header("etag"));
    let now_known = kids(&second);
    assert_eq!(now_known.len(), 3);
    assert!(known.iter().all(|kid| now_known.contains(kid)));
    // Whoever had kept the first answer knows the key that signs now.
    let after = access_token(&instance, &service, &key, "").await;
    assert_ne!(kid(&after), kid(&before));
    assert!(known.contains(&kid(&after)));

    // Its last access token has ended by then.
    instance.clock.advance(Duration::from_secs(3 * 3600));
    while instance.app.purge_page().await.unwrap() > 0 {}
    instance.clock.advance(Duration::from_secs(60));
    let third = kids(&jwks().await);
    assert!(
        !third.contains(&kid(&before)) && third.contains(&kid(&after)),
        "{third:?}"
    );
}

async fn what_is_known_is_not_sent_again(instance: Instance) {
    let service = serve!(instance.app);
    let tag = Ask::get(&service, JWKS)
        .got()
        .await
        .header("etag")
        .to_owned();
    assert!(
        tag.starts_with('"') && tag.ends_with('"') && tag.len() > 10,
        "{tag}"
    );
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"a\", {tag}"),
        "*".to_owned(),
    ] {
        let ask = Ask::get(&service, JWKS).with("if-none-match", &known);
        let got = ask.got().await;
        assert_eq!(
            (got.status.as_u16(), got.text.as_str()),
            (304, ""),
            "{known}"
        );
        assert_eq!(got.header("etag"), tag);
        assert_eq!(got.header("cache-control"), "public, max-age=3600");
    }
    for other in ["\"a\"", "W/\"a\"", "", "junk", tag.trim_matches('"')] {
        let ask = Ask::get(&service, JWKS).with("if-none-match", other);
        assert_eq!(ask.got().await.status, 200, "{other}");
    }
}

on_both!(
    what_clients_have_to_know,
    keys_come_before_they_sign_and_stay_for_their_tokens,
    what_is_known_is_not_sent_again,
);
