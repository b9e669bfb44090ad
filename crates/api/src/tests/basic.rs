//! Basic authentication with a service account's key, and what a browser could do with it.

use super::*;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use symbolon_app::{Call, Credentials, Origin};
use symbolon_domain::credential::CredentialKind;
use symbolon_domain::issue::{Grant, NewToken};
use symbolon_domain::{Presented, ServiceAccountId};

/// A key of a service account: its id, and its secret.
async fn key_of(instance: &Instance, owner: ServiceAccountId, grant: Grant) -> (String, String) {
    let app = &instance.app;
    let operator = Credentials::Bearer(Presented::new(instance.operator.as_str()));
    let actor = app.authenticate(&operator, Origin::default(), None);
    let actor = actor.await.unwrap();
    let new = NewToken {
        kind: CredentialKind::Key,
        grant,
        ..NewToken::default()
    };
    let call = Call::new(&actor, Origin::default());
    let made = app.issue_token(&call, instance.account, owner, new);
    let made = made.await.unwrap();
    let secret = made.secret.unwrap().reveal().to_owned();
    (made.record.it.public_id.clone(), secret)
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
}

#[actix_web::test]
async fn keys_open_the_door_while_the_service_account_lets_them() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let body = json!({
        "name": "Admin", "basic_auth_enabled": true, "scopes": ["symbolon:service-accounts:write"],
    });
    let made = instance.create(&service, body).await.json();
    let id = made["id"].as_str().unwrap();
    let owner: ServiceAccountId = id.parse().unwrap();
    let (key, secret) = key_of(&instance, owner, Grant::Inherit).await;
    let (weak_key, weak_secret) = key_of(&instance, owner, Grant::default()).await;
    let (good, weak) = (basic(&key, &secret), basic(&weak_key, &weak_secret));

    let path = instance.service_accounts();
    let create = |value: &str, body: Value| {
        let ask = Ask::post(&service, &path);
        ask.with("authorization", value).sends(&body)
    };
    let whoami = |value: &str| Ask::get(&service, "/v1/public/whoami").with("authorization", value);
    assert_eq!(whoami(&good).got().await.status, 200);
    assert_eq!(create(&good, json!({"name": "x"})).got().await.status, 201);
    // What a page of another origin could make a browser do.
    for origin in ["https://evil.example", "null", ""] {
        let got = whoami(&good).with("origin", origin).got().await;
        assert_eq!(got.status, 200, "reading changes nothing");
        for value in [&good, &weak] {
            let ask = create(value, json!({"nonsense": 1})).with("origin", origin);
            let got = ask.got().await;
            assert_eq!(got.problem(403), "cross_origin_basic");
            assert_eq!(got.header("www-authenticate"), "");
        }
    }
    let ask = create(
        &format!("Bearer {}", instance.operator),
        json!({"name": "y"}),
    );
    let got = ask.with("origin", "https://console.example").got().await;
    assert_eq!(got.status, 201, "no browser sends tokens by itself");

    for bad in [
        basic(&key, &weak_secret),
        basic(&key, ""),
        basic("nobody", &secret),
        basic(&secret, &key),
        format!("Basic {key}:{secret}"),
    ] {
        let got = whoami(&bad).with("origin", "https://evil.example").got();
        let got = got.await;
        assert_eq!(got.problem(401), "unauthenticated", "{bad}");
        assert_eq!(got.header("www-authenticate"), "Bearer realm=\"symbolon\"");
    }
    let got = whoami(&format!("Bearer {secret}")).got().await;
    assert_eq!(got.problem(403), "not_allowed_here", "no key is a token");
    let off = Ask::new(&service, Method::PATCH, &format!("{path}/{id}"))
        .by(&instance.operator)
        .sends(&json!({"basic_auth_enabled": false}));
    assert_eq!(off.got().await.status, 200);
    let got = whoami(&good).got().await;
    assert_eq!(got.problem(403), "not_allowed_here");
}
