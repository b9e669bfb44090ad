//! Asking about tokens: every reason, every kind of credential, every asker's reach.

use super::neowit::{Key, basic};
use super::oauth::access_token;
use super::*;
use std::time::Duration;
use symbolon_domain::dice::SeededDice;
use symbolon_domain::token_text::{TokenPrefix, TokenSeed};

const VERIFY: &str = "/v1/public/tokens/verify";
const HOUR: Duration = Duration::from_secs(3600);

/// A token as it would look, had it ever been made.
pub(super) fn token_of_nobody() -> String {
    let prefix = TokenPrefix::parse("sym_").unwrap();
    let seed = TokenSeed::draw(&mut SeededDice::new(u64::MAX));
    seed.write(&prefix).reveal().to_owned()
}

/// A service account's id, path, and first token.
#[derive(Clone)]
pub(super) struct Made {
    pub id: String,
    pub path: String,
    pub token: String,
}

/// Makes a service account in this account, by the operator.
pub(super) async fn make_in<S, B>(
    instance: &Instance,
    service: &S,
    account: &str,
    body: &Value,
) -> Made
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let path = format!("/v1/public/accounts/{account}/auth/service-accounts");
    let ask = Ask::post(service, &path).by(&instance.operator).sends(body);
    let got = ask.got().await;
    assert_eq!(got.status, 201, "{}", got.text);
    let text = |name: &str| got.json()[name].as_str().unwrap().to_owned();
    Made {
        path: format!("{path}/{}", text("id")),
        id: text("id"),
        token: text("token"),
    }
}

pub(super) async fn make<S, B>(instance: &Instance, service: &S, body: Value) -> Made
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    make_in(instance, service, &instance.account.to_string(), &body).await
}

/// One who may ask, within the account.
async fn verifier<S, B>(instance: &Instance, service: &S) -> String
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let body = json!({"name": "Gateway", "scopes": ["symbolon:tokens:verify"]});
    make(instance, service, body).await.token
}

/// What a POST by the operator answers.
pub(super) async fn posted<S, B>(instance: &Instance, service: &S, path: &str, body: Value) -> Value
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let ask = Ask::post(service, path).by(&instance.operator).sends(&body);
    let got = ask.got().await;
    assert!(got.status.is_success(), "{path}: {}", got.text);
    got.json()
}

async fn patched<S, B>(instance: &Instance, service: &S, path: &str, body: Value)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let ask = Ask::new(service, Method::PATCH, path).by(&instance.operator);
    let got = ask.sends(&body).got().await;
    assert_eq!(got.status, 200, "{path}: {}", got.text);
}

async fn every_reason_word_by_word(instance: Instance) {
    let service = serve!(instance.app);
    let verifier = verifier(&instance, &service).await;
    let mut transcript = Transcript::default();
    let ask = |body: Value| Ask::post(&service, VERIFY).by(&verifier).sends(&body);
    let place = format!("/v1/public/accounts/{}", instance.account);
    let environment = posted(
        &instance,
        &service,
        &format!("{place}/environments"),
        json!({"name": "Test"}),
    )
    .await;
    let billing = json!({"name": "Billing \"فاتورة\"", "scopes": ["invoices:*"], "environment_id": environment["id"]});
    let billing = make(&instance, &service, billing).await;
    let tokens = format!("{}/tokens", billing.path);
    let text = |body: &Value, name: &str| body[name].as_str().unwrap().to_owned();

    let new = json!({"scopes": ["invoices:read", "invoices:list"], "expires_at": "2026-11-22T01:00:00.5Z"});
    let good = posted(&instance, &service, &tokens, new).await;
    let (good_path, good) = (
        format!("{tokens}/{}", text(&good, "id")),
        text(&good, "token"),
    );
    let body = json!({
        "token": good, "scopes": ["invoices:read"], "client_ip": "203.0.113.7", "environment": environment["id"],
    });
    transcript.ask("good", ask(body)).await;
    let wanted = ["invoices:read", "invoices:write", "orders:read"];
    let body = json!({"token": good, "scopes": wanted});
    transcript.ask("insufficient_scope", ask(body)).await;
    let body = json!({"token": good, "environment": "0198a7c2-0000-7000-8000-000000000000"});
    transcript.ask("wrong_environment", ask(body)).await;

    let new = json!({"allowed_networks": ["203.0.113.0/24", "2001:db8::/32"], "rate_limit": {"limit": 3, "period": "60s"}});
    let limited = text(&posted(&instance, &service, &tokens, new).await, "token");
    let body = json!({"token": limited, "client_ip": "198.51.100.1"});
    transcript.ask("ip_not_allowed", ask(body)).await;
    let body = json!({"token": limited});
    transcript
        .ask("an address that nobody knows", ask(body))
        .await;
    let body = json!({"token": limited, "client_ip": "::ffff:203.0.113.9"});
    transcript.ask("the first of three", ask(body)).await;
    let body = json!({"token": limited, "client_ip": "2001:db8::1", "cost": 4});
    transcript.ask("more than there ever is", ask(body)).await;
    let body = json!({"token": limited, "client_ip": "2001:db8::1", "cost": 3});
    transcript.ask("rate_limited", ask(body)).await;
    let body = json!({"token": limited, "client_ip": "2001:db8::1", "cost": 2});
    transcript.ask("the other two", ask(body)).await;

    let later = json!({"not_before": "2026-11-23T00:00:00Z"});
    let later = text(&posted(&instance, &service, &tokens, later).await, "token");
    transcript
        .ask("not_yet_valid", ask(json!({"token": later})))
        .await;

    let key = json!({"inherit_scopes": true});
    let key = posted(&instance, &service, &format!("{}/keys", billing.path), key).await;
    let key = Key {
        owner: billing.id.clone(),
        id: text(&key, "key_id"),
        secret: text(&key, "secret"),
    };
    let pair = format!("{}:{}", key.id, key.secret);
    let body = json!({"token": pair});
    transcript.ask("presentation_not_allowed", ask(body)).await;
    patched(
        &instance,
        &service,
        &billing.path,
        json!({"basic_auth_enabled": true}),
    )
    .await;
    let body = json!({"token": pair, "scopes": ["invoices:write"]});
    transcript.ask("a key", ask(body)).await;
    let body = json!({"token": format!("{}:wrong", key.id)});
    transcript.ask("a key with another secret", ask(body)).await;
    let resource = "&scope=invoices:read&resource=https://api.example.com";
    let access = access_token(&instance, &service, &key, resource).await;
    let body = json!({"token": access});
    transcript.ask("wrong_audience", ask(body)).await;
    let body = json!({"token": access, "audience": "https://api.example.com", "scopes": ["invoices:read"]});
    transcript.ask("an access token", ask(body.clone())).await;
    transcript.ask("the same again", ask(body)).await;

    for (name, token) in [
        ("malformed", "junk".to_owned()),
        ("malformed, and nothing", String::new()),
        ("unknown", token_of_nobody()),
        (
            "malformed: a letter is wrong",
            format!("{}x", &good[..good.len() - 1]),
        ),
    ] {
        transcript.ask(name, ask(json!({"token": token}))).await;
    }

    let rotate = format!("{}/rotate", billing.path);
    posted(&instance, &service, &rotate, json!({"grace": "2h"})).await;
    let body = json!({"token": billing.token});
    transcript.ask("retiring", ask(body)).await;
    posted(
        &instance,
        &service,
        &format!("{good_path}/suspend"),
        json!({}),
    )
    .await;
    let body = json!({"token": good, "scopes": ["orders:read"]});
    transcript.ask("suspended", ask(body.clone())).await;
    posted(
        &instance,
        &service,
        &format!("{good_path}/activate"),
        json!({}),
    )
    .await;
    assert_eq!(
        ask(json!({"token": good})).got().await.json()["code"],
        "valid"
    );
    instance.clock.advance(HOUR);
    let half = ask(json!({"token": good})).got().await.json();
    assert_eq!(
        (&half["code"], &half["token"]["expires_in"]),
        (&json!("valid"), &json!(0))
    );
    instance.clock.advance(Duration::from_millis(500));
    transcript.ask("expired", ask(body)).await;
    instance.clock.advance(HOUR);
    let expired = ask(json!({"token": billing.token})).got().await.json();
    assert_eq!(expired["code"], "expired", "its grace is over");
    let policy = json!({"policy": {"require_confirmed_contact": true}});
    patched(&instance, &service, &place, policy).await;
    // The one who asks is held to it, too.
    let got = ask(json!({"token": pair})).got().await;
    assert_eq!(got.problem(403), "contact_unconfirmed");
    let by_operator = |body: Value| {
        Ask::post(&service, VERIFY)
            .by(&instance.operator)
            .sends(&body)
    };
    transcript
        .ask("contact_unconfirmed", by_operator(json!({"token": pair})))
        .await;
    let delete = Ask::new(&service, Method::DELETE, &billing.path).by(&instance.operator);
    assert_eq!(delete.got().await.status, 204);
    transcript
        .ask("revoked", by_operator(json!({"token": pair})))
        .await;
    insta::assert_snapshot!("verify_reasons", transcript.to_string());
}

/// What lies outside the asker's reach is unknown, to the byte.
async fn foreign_is_unknown(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let place = format!("/v1/public/accounts/{}", instance.account);
    let account = posted(
        &instance,
        &service,
        "/v1/public/accounts",
        json!({"name": "Second"}),
    )
    .await;
    let second = account["id"].as_str().unwrap().to_owned();
    let environments = format!("{place}/environments");
    let mut environment = Vec::new();
    for name in ["Test", "Live"] {
        environment.push(
            posted(&instance, &service, &environments, json!({"name": name})).await["id"].clone(),
        );
    }
    let main = instance.account.to_string();
    let asker = async |account: &str, environment: &Value| {
        let body = json!({
            "name": "Gateway", "scopes": ["symbolon:tokens:verify", "a:b"], "environment_id": environment,
            "basic_auth_enabled": true,
        });
        make_in(&instance, &service, account, &body).await
    };
    let null = Value::Null;
    let mine = asker(&main, &null).await;
    let test = asker(&main, &environment[0]).await;
    let live = asker(&main, &environment[1]).await;
    let theirs = asker(&second, &null).await;
    // The holder of each, in every way that it can prove itself.
    let mut holders = Vec::new();
    for owner in [&mine, &test, &live, &theirs] {
        let key = posted(
            &instance,
            &service,
            &format!("{}/keys", owner.path),
            json!({"inherit_scopes": true}),
        )
        .await;
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        let key = Key {
            owner: owner.id.clone(),
            id: text("key_id"),
            secret: text("secret"),
        };
        let access = access_token(&instance, &service, &key, "").await;
        holders.push([
            owner.token.clone(),
            format!("{}:{}", key.id, key.secret),
            access,
        ]);
    }
    let shown = async |asker: &str, token: &str| {
        let ask = Ask::post(&service, VERIFY).by(asker);
        let got = ask
            .with("x-request-id", "same-id-1")
            .sends(&json!({"token": token}))
            .got()
            .await;
        assert_eq!(got.status, 200, "{}", got.text);
        let mut headers: Vec<_> = got
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        (headers, got.text)
    };
    for (asker, sees) in [
        (&mine.token, [true, true, true, false]),
        (&test.token, [false, true, false, false]),
        (&live.token, [false, false, true, false]),
        (&theirs.token, [false, false, false, true]),
        (operator, [true; 4]),
    ] {
        let unknown = shown(asker, &token_of_nobody()).await;
        assert!(
            unknown
                .1
                .starts_with(r#"{"valid":false,"code":"unknown","account_id":null"#),
            "{}",
            unknown.1
        );
        for (holder, is_seen) in holders.iter().zip(sees) {
            for token in holder {
                let answer = shown(asker, token).await;
                assert_eq!(
                    answer.1.starts_with(r#"{"valid":true"#),
                    is_seen,
                    "{}",
                    answer.1
                );
                assert!(is_seen || answer == unknown, "{answer:?}");
            }
        }
        // Those seen stay seen when they are revoked; the others stay unknown.
    }
    for owner in [&mine, &test, &live, &theirs] {
        let path = format!("{}/suspend", owner.path);
        posted(&instance, &service, &path, json!({})).await;
    }
    let unknown = shown(operator, &token_of_nobody()).await;
    for holder in &holders {
        for token in holder {
            let (_, answer) = shown(operator, token).await;
            assert!(answer.contains(r#""code":"suspended""#), "{answer}");
            assert_ne!(answer, unknown.1);
        }
    }
}

async fn no_cache_reads_the_books(instance: Instance) {
    let service = serve!(instance.app);
    let other = instance.another_node();
    let other = serve!(other);
    let verifier = verifier(&instance, &service).await;
    let billing = make(&instance, &service, json!({"name": "Billing"})).await;
    let ask = || {
        let ask = Ask::post(&service, VERIFY).by(&verifier);
        ask.sends(&json!({"token": billing.token}))
    };
    let code = |got: Got| got.json()["code"].as_str().unwrap().to_owned();
    assert_eq!(code(ask().got().await), "valid");
    let suspend = Ask::post(&other, &format!("{}/suspend", billing.path)).by(&instance.operator);
    assert_eq!(suspend.got().await.status, 200);
    // Time stands still, and nobody follows the feed: what is known is as fresh as it was.
    assert_eq!(code(ask().got().await), "valid");
    let fresh = ask().with("cache-control", "max-age=0, no-cache");
    assert_eq!(code(fresh.got().await), "suspended");
    assert_eq!(code(ask().got().await), "suspended");
}

/// In the order of the checks.
async fn the_asker_and_its_body_are_checked(instance: Instance) {
    let service = serve!(instance.app);
    let weak = instance.token_without_scopes(&service).await;
    let verifier = verifier(&instance, &service).await;
    let huge = "x".repeat(64 * 1024 + 1);
    let post = |path: &str| Ask::post(&service, path);
    let got = post(VERIFY).body("text/plain", huge.clone()).got().await;
    assert_eq!(got.problem(401), "unauthenticated");
    let got = post(VERIFY)
        .by(&weak)
        .body("text/plain", huge.clone())
        .got()
        .await;
    assert_eq!(got.problem(403), "permission_missing");
    assert!(
        got.header("www-authenticate")
            .contains("scope=\"symbolon:tokens:verify\"")
    );
    let got = post(&format!("{VERIFY}?fresh=1"))
        .by(&verifier)
        .body("text/plain", huge.clone())
        .got()
        .await;
    assert_eq!(got.problem(422), "validation_failed");
    let got = post(VERIFY)
        .by(&verifier)
        .body("text/plain", huge.clone())
        .got()
        .await;
    assert_eq!(got.problem(415), "unsupported_media_type");
    let got = post(VERIFY)
        .by(&verifier)
        .body("application/json", huge)
        .got()
        .await;
    assert_eq!(got.problem(413), "payload_too_large");
    let got = post(VERIFY)
        .by(&verifier)
        .body("application/json", "{\"token\": 1,}")
        .got()
        .await;
    assert_eq!(
        (got.problem(400), &got.json()["line"]),
        ("malformed_body".to_owned(), &json!(1))
    );
    let got = post(VERIFY)
        .by(&verifier)
        .sends(&json!({"tokens": ["x"], "cost": 0}))
        .got()
        .await;
    assert_eq!(got.problem(422), "validation_failed");
    let pointers: Vec<_> = got.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["pointer"].clone())
        .collect();
    assert_eq!(pointers, ["/token", "/cost", "/tokens"]);
    let got = Ask::get(&service, VERIFY).by(&verifier).got().await;
    assert_eq!(got.problem(405), "method_not_allowed");

    // A key may ask, too, where Basic is let in.
    let gateway =
        json!({"name": "By key", "scopes": ["symbolon:tokens:verify"], "basic_auth_enabled": true});
    let gateway = make(&instance, &service, gateway).await;
    let key = posted(
        &instance,
        &service,
        &format!("{}/keys", gateway.path),
        json!({"inherit_scopes": true}),
    )
    .await;
    let pair = basic(
        key["key_id"].as_str().unwrap(),
        key["secret"].as_str().unwrap(),
    );
    let got = post(VERIFY)
        .with("authorization", &pair)
        .sends(&json!({"token": verifier}))
        .got()
        .await;
    assert_eq!(got.json()["code"], "valid", "{}", got.text);
}

/// Those who ask are held to their own limits; the tokens asked about, to theirs.
async fn the_askers_own_limits_hold(instance: Instance) {
    let service = serve!(instance.app);
    let scopes = json!(["symbolon:tokens:verify"]);
    let at_home = json!({"name": "At home", "scopes": scopes, "allowed_networks": ["10.0.0.0/8"]});
    let at_home = make(&instance, &service, at_home).await.token;
    let slow =
        json!({"name": "Slow", "scopes": scopes, "rate_limit": {"limit": 2, "period": "60s"}});
    let slow = make(&instance, &service, slow).await.token;
    let ask = |by: &str| {
        Ask::post(&service, VERIFY)
            .by(by)
            .sends(&json!({"token": "x", "client_ip": "10.0.0.1"}))
    };
    assert_eq!(ask(&at_home).got().await.problem(403), "not_allowed_here");
    for _ in 0..2 {
        assert_eq!(ask(&slow).got().await.json()["code"], "malformed");
    }
    let mut transcript = Transcript::default();
    let refused = transcript.ask("too many questions", ask(&slow)).await;
    assert_eq!(refused.problem(429), "rate_limited");
    instance.clock.advance(Duration::from_secs(30));
    assert_eq!(ask(&slow).got().await.json()["code"], "malformed");
    insta::assert_snapshot!("verify_asker_limited", transcript.to_string());
}

on_both!(
    every_reason_word_by_word,
    foreign_is_unknown,
    no_cache_reads_the_books,
    the_asker_and_its_body_are_checked,
    the_askers_own_limits_hold,
);
