//! Client credentials: a key's id and secret for an access token (RFC 6749 §4.4), and every way to be refused.

use super::*;
use std::time::Duration;

const GRANT: &str = "grant_type=client_credentials";

fn posted(key: &Key) -> String {
    format!("&client_id={}&client_secret={}", key.id, key.secret)
}

async fn a_key_gets_an_access_token(instance: Instance) {
    let service = serve!(instance.app);
    let body = json!({"name": "Gateway", "scopes": ["invoices:*", "symbolon:tokens:verify"]});
    let owner = native_owner(&instance, &service, body).await;
    // Its service account has no leave to use Basic at the doors.
    let fields = json!({"scopes": ["invoices:read", "invoices:write", "symbolon:tokens:verify"]});
    let key = native_key(&instance, &service, &owner, fields).await;
    let mut transcript = Transcript::default();
    let ask = |more: &str| form(&service, ENDPOINTS[0], format!("{GRANT}{more}"));
    let basic_ask = |more: &str| ask(more).with("authorization", &key.basic());

    let got = transcript.ask("by Basic", basic_ask("")).await;
    let first = got.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        got.json()["scope"],
        "invoices:read invoices:write symbolon:tokens:verify"
    );
    assert_eq!(got.json()["expires_in"], 3600);
    let me = Ask::get(&service, WHOAMI).by(&first).got().await.json();
    assert_eq!(me["token"]["token_public_id"], key.id);
    let whoami = Ask::get(&service, WHOAMI).with("authorization", &key.basic());
    assert_eq!(whoami.got().await.problem(403), "not_allowed_here");

    let mut said = claims(&first);
    let now = instance.app.now().as_seconds();
    let url = instance.app.public_url();
    let jti = said["jti"].take();
    assert!(jti.as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    let wanted = json!({
        "iss": url, "aud": url, "sub": key.owner, "client_id": key.id, "iat": now, "exp": now + 3600,
        "scope": "invoices:read invoices:write symbolon:tokens:verify", "jti": null,
    });
    assert_eq!(said, wanted);

    let got = transcript.ask("in the form", ask(&posted(&key))).await;
    assert_eq!(got.status, 200);
    let narrow = "&scope=invoices:read&resource=https%3A%2F%2Fapi.example.com";
    let got = transcript.ask("less, for another", basic_ask(narrow)).await;
    assert_eq!(got.json()["scope"], "invoices:read");
    let narrow = got.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(claims(&narrow)["aud"], "https://api.example.com");
    let elsewhere = Ask::get(&service, WHOAMI).by(&narrow).got().await;
    assert_eq!(elsewhere.problem(403), "not_allowed_here");

    let more = basic_ask("&scope=invoices:read+orders:read");
    let got = transcript.ask("more than the key may do", more).await;
    assert_eq!(got.oauth(400), "invalid_scope");
    let here = basic_ask("&resource=/here");
    let got = transcript.ask("for what is no target", here).await;
    assert_eq!(got.oauth(400), "invalid_target");
    let both = ask(&posted(&key)).with("authorization", &key.basic());
    let got = transcript.ask("in both ways at once", both).await;
    assert_eq!(got.oauth(400), "invalid_request");
    let got = transcript.ask("without a client", ask("")).await;
    assert_eq!(got.oauth(401), "invalid_client");
    let named = format!("&client_id={}", key.id);
    let got = transcript.ask("by its name alone", ask(&named)).await;
    assert_eq!(got.oauth(401), "invalid_client");
    let wrong = ask("").with("authorization", &basic(&key.id, "wrong"));
    let got = transcript.ask("with another secret", wrong).await;
    assert_eq!(got.oauth(401), "invalid_client");
    let wrong = ask(&format!("{named}&client_secret=wrong"));
    let got = transcript
        .ask("with another secret in the form", wrong)
        .await;
    assert_eq!(got.oauth(401), "invalid_client");
    insta::assert_snapshot!("client_credentials", transcript.to_string());
    // Clients of the Neowit door know the other path.
    let got = form(&service, ENDPOINTS[1], format!("{GRANT}{}", posted(&key)));
    assert_eq!(got.got().await.status, 200);
}

/// Whoever is not the holder of a key in force gets one answer, to the byte.
async fn all_who_are_no_client_look_alike(instance: Instance) {
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Gateway", true).await;
    let (one, other) = (
        key(&instance, &service, &owner).await,
        key(&instance, &service, &owner).await,
    );
    let access = access_token(&instance, &service, &one, "").await;
    let jwt = api_token(&instance, &service).await;
    let operator = &instance.operator;
    let token = symbolon_domain::token_text::parse(operator).unwrap();
    let bent = format!("{}x", &one.secret[..one.secret.len() - 1]);
    let mut answers = Vec::new();
    for header in [
        basic(&one.id, &other.secret),
        basic(&other.id, &one.secret),
        basic(&one.id, &bent),
        basic(&one.id, " "),
        basic(&owner, &one.secret),
        basic("0000000000000000", &one.secret),
        basic("nobody", "nothing"),
        // No token is a client, however good it is.
        basic(token.public_id, operator),
        basic(&one.id, &access),
        basic(&one.id, &jwt),
        format!("Bearer {operator}"),
        format!("Bearer {access}"),
        format!("Bearer {}", one.secret),
        "Basic".to_owned(),
        "Digest x".to_owned(),
    ] {
        let ask = form(&service, ENDPOINTS[0], GRANT.to_owned());
        let got = ask.with("authorization", &header).got().await;
        assert_eq!(got.oauth(401), "invalid_client", "{header}");
        answers.push(got.text);
    }
    for more in [
        format!("&client_id={}&client_secret={}", one.id, other.secret),
        format!("&client_id={owner}&client_secret={}", one.secret),
        format!("&client_id={}&client_secret={operator}", token.public_id),
        "&client_id=%00&client_secret=%FF".to_owned(),
    ] {
        let got = form(&service, ENDPOINTS[0], format!("{GRANT}{more}"))
            .got()
            .await;
        assert_eq!(got.oauth(401), "invalid_client", "{more}");
        answers.push(got.text);
    }
    // Neither is one whose key is out of force.
    let native = format!("{}/{owner}", instance.service_accounts());
    let ask = async || {
        let ask = form(&service, ENDPOINTS[0], format!("{GRANT}{}", posted(&one)));
        ask.got().await
    };
    assert_eq!(ask().await.status, 200);
    let post = async |path: String| {
        let got = Ask::post(&service, &path).by(operator).got().await;
        assert_eq!(got.status, 200, "{}", got.text);
    };
    post(format!("{native}/suspend")).await;
    answers.push(ask().await.text);
    post(format!("{native}/activate")).await;
    assert_eq!(ask().await.status, 200);
    let path = format!("{native}/keys/{}", one.id);
    let delete = Ask::new(&service, Method::DELETE, &path).by(operator);
    assert_eq!(delete.got().await.status, 204);
    answers.push(ask().await.text);
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:#?}");
}

async fn a_key_ends_at_its_instant(instance: Instance) {
    let service = serve!(instance.app);
    let owner = native_owner(
        &instance,
        &service,
        json!({"name": "Gateway", "scopes": ["a:b"]}),
    )
    .await;
    let fields = json!({
        "scopes": ["a:b"], "not_before": "2026-11-22T00:00:10Z", "expires_at": "2026-11-22T00:01:10Z",
    });
    let key = native_key(&instance, &service, &owner, fields).await;
    let ask = async || {
        let ask = form(&service, ENDPOINTS[0], format!("{GRANT}{}", posted(&key)));
        ask.got().await
    };
    assert_eq!(ask().await.oauth(401), "invalid_client");
    instance.clock.advance(Duration::from_secs(10));
    // No token outlives its key.
    assert_eq!(ask().await.json()["expires_in"], 60);
    instance.clock.advance(Duration::from_secs(60));
    assert_eq!(ask().await.oauth(401), "invalid_client");
}

/// The limits of a key hold here as well, whatever proves it.
async fn a_key_has_its_limits(instance: Instance) {
    let service = serve!(instance.app);
    let owner = native_owner(
        &instance,
        &service,
        json!({"name": "Gateway", "scopes": ["a:b"]}),
    )
    .await;
    let limit = json!({"limit": 2, "period": "60s"});
    let fields = json!({"scopes": ["a:b"], "rate_limit": limit});
    let limited = native_key(&instance, &service, &owner, fields).await;
    let credentials = async || {
        let body = format!("{GRANT}{}", posted(&limited));
        form(&service, ENDPOINTS[0], body).got().await
    };
    let assertion = async |key: &Key| {
        let text = Assertion::by(key, &instance, ENDPOINTS[0]).text();
        asking(&service, ENDPOINTS[0], &text, "").got().await
    };
    assert_eq!(credentials().await.status, 200);
    assert_eq!(assertion(&limited).await.status, 200);
    for refused in [credentials().await, assertion(&limited).await] {
        assert_eq!(refused.oauth(429), "temporarily_unavailable");
        assert_eq!(refused.header("retry-after"), "30");
    }
    instance.clock.advance(Duration::from_secs(30));
    assert_eq!(assertion(&limited).await.status, 200);
    assert_eq!(credentials().await.oauth(429), "temporarily_unavailable");
    // Nobody knows whence these requests come: from no network.
    let fields = json!({"scopes": ["a:b"], "allowed_networks": ["192.0.2.0/24"]});
    let bound = native_key(&instance, &service, &owner, fields).await;
    let body = format!("{GRANT}{}", posted(&bound));
    let got = form(&service, ENDPOINTS[0], body).got().await;
    assert_eq!(got.oauth(400), "unauthorized_client");
    assert_eq!(assertion(&bound).await.oauth(400), "invalid_grant");
}

on_both!(
    a_key_gets_an_access_token,
    all_who_are_no_client_look_alike,
    a_key_ends_at_its_instant,
    a_key_has_its_limits,
);
