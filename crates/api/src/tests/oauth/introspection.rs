//! Introspection (RFC 7662): every kind of token by every kind of caller; and one answer for all that is not
//! good, or not the caller's to know.

use super::*;
use std::time::Duration;

const ENDPOINT: &str = "/oauth2/introspect";
const INACTIVE: &str = r#"{"active":false}"#;

fn about<'s, S, B>(service: &'s S, token: &str, more: &str) -> Ask<'s, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    form(service, ENDPOINT, format!("token={token}{more}"))
}

/// A key that may ask, and nothing else.
async fn verifier<S, B>(instance: &Instance, service: &S) -> Key
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let body = json!({"name": "Resource server", "scopes": ["symbolon:tokens:verify"]});
    let owner = native_owner(instance, service, body).await;
    let fields = json!({"scopes": ["symbolon:tokens:verify"]});
    native_key(instance, service, &owner, fields).await
}

async fn what_is_told_of_each_kind(instance: Instance) {
    let service = serve!(instance.app);
    let mut transcript = Transcript::default();
    let asker = verifier(&instance, &service).await.basic();
    let body = json!({
        "name": "Billing", "scopes": ["invoices:*"], "basic_auth_enabled": true,
        "expires_at": "2027-01-01T00:00:00Z",
    });
    let owner = native_owner(&instance, &service, body).await;
    let fields = json!({
        "scopes": ["invoices:read", "invoices:write"], "not_before": "2026-11-22T00:00:01Z",
        "expires_at": "2026-11-22T00:30:01Z",
    });
    let key = native_key(&instance, &service, &owner, fields).await;
    instance.clock.advance(Duration::from_millis(1500));
    let token = owner["token"].as_str().unwrap();
    let now = instance.app.now().as_seconds();
    let url = instance.app.public_url();

    let ask = about(&service, token, "").with("authorization", &asker);
    let known = transcript.ask("a token", ask).await;
    assert_eq!(known.header("cache-control"), "no-store");
    let wanted = json!({
        "active": true, "scope": "invoices:*", "client_id": owner["token_public_id"], "token_type": "Bearer",
        "exp": 1_798_761_600, "iat": now - 1, "sub": owner["id"], "iss": url,
        "jti": owner["token_public_id"],
    });
    assert_eq!(known.json(), wanted);

    let pair = format!("{}:{}", key.id, key.secret);
    let ask = about(&service, &pair, "&token_type_hint=key").with("authorization", &asker);
    let known = transcript.ask("a key", ask).await.json();
    let wanted = json!({
        "active": true, "scope": "invoices:read invoices:write", "client_id": key.id,
        "exp": now + 1800, "iat": now - 1, "nbf": now, "sub": key.owner, "iss": url, "jti": key.id,
    });
    assert_eq!(known, wanted);

    let access = access_token(&instance, &service, &key, "&scope=invoices:read").await;
    let said = claims(&access);
    let ask = about(&service, &access, "&token_type_hint=access_token");
    let ask = ask.with("authorization", &asker);
    let known = transcript.ask("an access token", ask).await.json();
    let mut wanted = json!({"active": true, "token_type": "Bearer", "nbf": now});
    for name in [
        "scope",
        "client_id",
        "exp",
        "iat",
        "sub",
        "aud",
        "iss",
        "jti",
    ] {
        wanted[name] = said[name].clone();
    }
    assert_eq!(known, wanted, "as the token says");
    assert_eq!(
        (&known["exp"], &known["aud"]),
        (&json!(now + 1800), &json!(url))
    );

    // Whoever it is for may ask; they have to look at its audience.
    let two = "&resource=urn:example:two&resource=https%3A%2F%2Fapi.example.com";
    let two = access_token(&instance, &service, &key, two).await;
    let ask = about(&service, &two, "").with("authorization", &asker);
    let known = transcript
        .ask("an access token for others", ask)
        .await
        .json();
    assert_eq!(
        known["aud"],
        json!(["urn:example:two", "https://api.example.com"])
    );

    let jwt = api_token(&instance, &service).await;
    let ask = about(&service, &jwt, "").with("authorization", &asker);
    let known = transcript.ask("a JWT credential", ask).await.json();
    assert_eq!(known["active"], true);
    let said = claims(&jwt);
    for name in ["sub", "jti", "iat", "iss"] {
        assert_eq!(known[name], said[name], "{name}");
    }
    let junk = about(&service, "junk", "").with("authorization", &asker);
    let got = transcript.ask("junk", junk).await;
    assert_eq!(got.text, INACTIVE);
    insta::assert_snapshot!("introspection", transcript.to_string());

    // A shown token was used, as far as anybody here knows.
    instance.app.flush_uses().await.unwrap();
    let path = format!("{}/{}/tokens", instance.service_accounts(), key.owner);
    let list = Ask::get(&service, &path).by(&instance.operator).got().await;
    let list = list.json();
    assert_eq!(list.as_array().unwrap().len(), 2, "{list}");
    for it in list.as_array().unwrap() {
        assert_eq!(it["last_used_at"], "2026-11-22T00:00:01.500Z", "{it}");
    }
}

async fn what_is_not_good_is_inactive_and_nothing_else(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let asker = verifier(&instance, &service).await.basic();
    let body = json!({"name": "Billing", "scopes": ["a:b"], "basic_auth_enabled": true});
    let owner = native_owner(&instance, &service, body).await;
    let one = native_key(&instance, &service, &owner, json!({"scopes": ["a:b"]})).await;
    let other = native_key(&instance, &service, &owner, json!({"scopes": ["a:b"]})).await;
    let text = async |token: &str, more: &str| {
        let ask = about(&service, token, more).with("authorization", &asker);
        let got = ask.got().await;
        assert_eq!(got.status, 200, "{}", got.text);
        assert_eq!(got.header("cache-control"), "no-store");
        got.text
    };
    let is_active = async |token: &str| match text(token, "").await {
        it if it == INACTIVE => false,
        it => {
            assert!(it.starts_with(r#"{"active":true,"#), "{it}");
            true
        }
    };
    let pair = |key: &Key| format!("{}:{}", key.id, key.secret);
    let access = access_token(&instance, &service, &one, "").await;
    let token = owner["token"].as_str().unwrap().to_owned();
    for good in [&token, &access, &pair(&one)] {
        assert!(is_active(good).await, "{good}");
    }

    let (_, theirs) = another_account(&instance, &service, "Second").await;
    let assertion = Assertion::by(&one, &instance, ENDPOINTS[0]).text();
    let (input, signature) = access.rsplit_once('.').unwrap();
    let bent = format!("{}x", &token[..token.len() - 1]);
    for not in [
        theirs.as_str(),
        &bent,
        &format!("{}:{}", one.id, other.secret),
        &format!("{}:", one.id),
        &format!("0000000000000000:{}", one.secret),
        &format!("{}:{token}", owner["token_public_id"].as_str().unwrap()),
        // A key's secret is no bearer token, nor is its name enough.
        &one.secret,
        &one.id,
        owner["id"].as_str().unwrap(),
        &assertion,
        &format!("{input}."),
        &format!("{input}.{}", part([7; 64])),
        &format!("{signature}.{signature}.{signature}"),
        "a.b.c",
        "%00",
        "%F0%9F%94%91",
        &"x".repeat(9000),
    ] {
        assert_eq!(text(not, "").await, INACTIVE, "{not}");
    }

    let native = format!("{}/{}", instance.service_accounts(), one.owner);
    let patch = async |body: Value| {
        let ask = Ask::new(&service, Method::PATCH, &native)
            .by(operator)
            .sends(&body);
        assert_eq!(ask.got().await.status, 200);
    };
    patch(json!({"basic_auth_enabled": false})).await;
    assert!(!is_active(&pair(&one)).await && is_active(&access).await);
    patch(json!({"basic_auth_enabled": true})).await;
    let post = async |path: &str| {
        let got = Ask::post(&service, &format!("{native}{path}"))
            .by(operator)
            .got()
            .await;
        assert_eq!(got.status, 200, "{}", got.text);
    };
    post("/suspend").await;
    for suspended in [&token, &access, &pair(&one)] {
        assert!(!is_active(suspended).await, "{suspended}");
    }
    post("/activate").await;
    assert!(is_active(&token).await && is_active(&access).await);
    let end = Ask::post(&service, "/v1/public/self/revoke").by(&access);
    assert_eq!(end.got().await.status, 204);
    assert!(!is_active(&access).await && is_active(&pair(&one)).await);
    let delete = Ask::new(
        &service,
        Method::DELETE,
        &format!("{native}/keys/{}", one.id),
    );
    assert_eq!(delete.by(operator).got().await.status, 204);
    assert!(!is_active(&pair(&one)).await && is_active(&pair(&other)).await);
    let late = access_token(&instance, &service, &other, "").await;
    instance.clock.advance(Duration::from_secs(3600));
    assert!(!is_active(&late).await);
}

/// Limits: whence it was shown has to be told; how often it is asked about does not count.
async fn limits_of_what_is_asked_about(instance: Instance) {
    let service = serve!(instance.app);
    let asker = verifier(&instance, &service).await.basic();
    let body = json!({
        "name": "Billing", "allowed_networks": ["192.0.2.0/24", "2001:db8::/32"],
        "rate_limit": {"limit": 1, "period": "1h"},
    });
    let token = native_owner(&instance, &service, body).await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let text = async |more: &str| {
        let ask = about(&service, &token, more).with("authorization", &asker);
        ask.got().await.text
    };
    for _ in 0..3 {
        for from in [
            "&client_ip=192.0.2.7",
            "&client_ip=2001:db8::1",
            "&client_ip=::ffff:192.0.2.1",
        ] {
            assert_ne!(text(from).await, INACTIVE, "{from}");
        }
    }
    for elsewhere in ["", "&client_ip=", "&client_ip=198.51.100.1"] {
        assert_eq!(text(elsewhere).await, INACTIVE, "{elsewhere}");
    }
    for wrong in [
        "&client_ip=x",
        "&client_ip=192.0.2.0/24",
        "&client_ip=::1&client_ip=::1",
    ] {
        let ask = about(&service, &token, wrong).with("authorization", &asker);
        assert_eq!(ask.got().await.oauth(400), "invalid_request", "{wrong}");
    }
}

async fn who_may_ask(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let asker = verifier(&instance, &service).await;
    let token = native_owner(&instance, &service, json!({"name": "Billing"})).await;
    let token = token["token"].as_str().unwrap();
    let ask = |more: &str| about(&service, token, more);
    let posted = |key: &Key| format!("&client_id={}&client_secret={}", key.id, key.secret);
    let by_assertion = access_token(&instance, &service, &asker, "").await;
    let body = format!("grant_type=client_credentials{}", posted(&asker));
    let issued = form(&service, ENDPOINTS[0], body).got().await.json();
    let by_secret = issued["access_token"].as_str().unwrap();
    let known = ask("").by(operator).got().await.text;
    assert!(known.starts_with(r#"{"active":true"#), "{known}");
    for good in [
        ask("").by(&by_assertion),
        ask("").by(by_secret),
        ask("").with("authorization", &asker.basic()),
        ask(&format!("&client_id={}", asker.id)).with("authorization", &asker.basic()),
        ask(&posted(&asker)),
        ask("&client_id=whatever").by(operator),
        // No browser adds a Bearer token by itself.
        ask("").by(operator).with("origin", "https://app.example"),
    ] {
        let got = good.got().await;
        assert_eq!((got.status.as_u16(), got.text), (200, known.clone()));
    }

    let nobody = ask("").got().await;
    assert_eq!(nobody.oauth(401), "invalid_client");
    let challenges: Vec<_> = nobody.headers.get_all("www-authenticate").collect();
    assert_eq!(
        challenges,
        ["Basic realm=\"symbolon\"", "Bearer realm=\"symbolon\""]
    );
    assert_eq!(ask("&client_id=x").got().await.oauth(401), "invalid_client");
    let wrong = format!("&client_id={}&client_secret=x", asker.id);
    assert_eq!(ask(&wrong).got().await.oauth(401), "invalid_client");
    let wrong = ask("").with("authorization", &basic(&asker.id, "x"));
    assert_eq!(wrong.got().await.oauth(401), "invalid_client");
    for both in [
        ask(&posted(&asker)).by(operator),
        ask(&posted(&asker)).with("authorization", &asker.basic()),
        ask("&client_secret=x").by(operator),
        ask("")
            .with("authorization", &asker.basic())
            .with("origin", "https://evil.example"),
    ] {
        assert_eq!(both.got().await.oauth(400), "invalid_request");
    }

    let elsewhere = access_token(&instance, &service, &asker, "&resource=urn:a:b").await;
    for junk in [&elsewhere, &asker.secret, "junk", "a.b.c"] {
        let got = ask("").by(junk).got().await;
        assert_eq!(got.oauth(401), "invalid_token", "{junk}");
    }
    // It is who it says, and may not ask.
    let weak = ask("").by(token).got().await;
    assert_eq!(weak.oauth(401), "insufficient_scope");
    let challenge = weak.header("www-authenticate");
    assert!(
        challenge.ends_with("scope=\"symbolon:tokens:verify\""),
        "{challenge}"
    );
    let owner = native_owner(&instance, &service, json!({"name": "Weak"})).await;
    let weak = native_key(&instance, &service, &owner, json!({})).await;
    let got = ask("").with("authorization", &weak.basic()).got().await;
    assert_eq!(got.oauth(400), "unauthorized_client");
    assert_eq!(
        ask(&posted(&weak)).got().await.oauth(400),
        "unauthorized_client"
    );

    // Who asks is looked at before what is asked.
    for (body, error) in [
        (String::new(), "invalid_request"),
        ("token=".to_owned(), "invalid_request"),
        (format!("token={token}&token={token}"), "invalid_request"),
        ("Token=x".to_owned(), "invalid_request"),
    ] {
        let ask = || form(&service, ENDPOINT, body.clone());
        assert_eq!(ask().by(operator).got().await.oauth(400), error, "{body}");
        assert_eq!(ask().got().await.oauth(401), "invalid_client", "{body}");
    }
    for kind in ["application/json", "text/plain"] {
        let ask = Ask::post(&service, ENDPOINT).by(operator);
        let got = ask.body(kind, format!("token={token}")).got().await;
        assert_eq!(got.oauth(400), "invalid_request", "{kind}");
    }
    // The query is not read, and GET not taken: tokens stand in no log.
    let query = format!("{ENDPOINT}?token={token}");
    let got = form(&service, &query, String::new())
        .by(operator)
        .got()
        .await;
    assert_eq!(got.oauth(400), "invalid_request");
    let got = Ask::get(&service, &query).by(operator).got().await;
    assert_eq!(got.oauth(405), "invalid_request");
    assert_eq!(got.header("allow"), "POST");
}

/// Each asker's reach against each kind of token: what lies outside looks like nothing, to the byte.
async fn foreign_is_unknown(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let environments = format!("/v1/public/accounts/{}/environments", instance.account);
    let environment = Ask::post(&service, &environments).by(operator);
    let environment = environment
        .sends(&json!({"name": "Test"}))
        .got()
        .await
        .json();
    let verify = json!(["symbolon:tokens:verify"]);
    let within = json!({"name": "In", "scopes": verify, "environment_id": environment["id"]});
    let within = native_owner(&instance, &service, within).await;
    let whole = native_owner(
        &instance,
        &service,
        json!({"name": "All", "scopes": verify}),
    )
    .await;
    let (_, second) = another_account(&instance, &service, "Second").await;
    let text = |it: &Value| it["token"].as_str().unwrap().to_owned();
    let askers = [
        text(&within),
        text(&whole),
        second.clone(),
        operator.clone(),
    ];

    let mut kinds = Vec::new();
    for (of, place) in [(&within, 0), (&whole, 1)] {
        let patch = format!(
            "{}/{}",
            instance.service_accounts(),
            of["id"].as_str().unwrap()
        );
        let patch = Ask::new(&service, Method::PATCH, &patch).by(operator);
        let patch = patch.sends(&json!({"basic_auth_enabled": true}));
        assert_eq!(patch.got().await.status, 200);
        let key = native_key(&instance, &service, of, json!({})).await;
        kinds.push((format!("{}:{}", key.id, key.secret), place));
        kinds.push((access_token(&instance, &service, &key, "").await, place));
        kinds.push((text(of), place));
    }
    kinds.push((api_token(&instance, &service).await, 1));
    kinds.push((second, 2));
    for (asker, reaches) in askers
        .iter()
        .zip([[0].as_slice(), &[0, 1], &[2], &[0, 1, 2]])
    {
        for (token, place) in &kinds {
            let got = about(&service, token, "").by(asker).got().await;
            let is_active = got.text != INACTIVE;
            assert_eq!(is_active, reaches.contains(place), "{asker} {token}");
            let nothing = about(&service, "junk", "").by(asker).got().await;
            if !is_active {
                let shown = |got: &Got| {
                    let mut headers: Vec<_> = got.headers.iter().collect();
                    headers.retain(|(name, _)| *name != "x-request-id");
                    format!("{} {headers:?} {}", got.status, got.text)
                };
                assert_eq!(shown(&got), shown(&nothing));
            }
        }
    }
}

on_both!(
    what_is_told_of_each_kind,
    what_is_not_good_is_inactive_and_nothing_else,
    limits_of_what_is_asked_about,
    who_may_ask,
    foreign_is_unknown,
);
