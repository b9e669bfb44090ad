//! Forward authentication, as a gateway sees it.

use super::neowit::basic;
use super::verify::{make, make_in, posted, token_of_nobody};
use super::*;
use std::time::Duration;
use symbolon_web::{AddressHeader, TrustedProxies};

const AUTHORIZE: &str = "/v1/authorize";
const ID: &str = "0198a7c2-5d3e-7abc-8def-0123456789ab";

async fn what_a_gateway_is_told(instance: Instance) {
    let service = serve!(instance.app);
    let mut transcript = Transcript::default();
    let environments = format!("/v1/public/accounts/{}/environments", instance.account);
    let environment =
        posted(&instance, &service, &environments, json!({"name": "Live"})).await["id"].clone();
    let environment = environment.as_str().unwrap();
    let billing = json!({
        "name": "Billing / فاتورة", "scopes": ["invoices:read", "orders:*"], "environment_id": environment,
        "expires_at": "2026-11-22T01:00:00Z", "rate_limit": {"limit": 4, "period": "60s"},
    });
    let billing = make(&instance, &service, billing).await;
    let get = |query: &str| Ask::get(&service, &format!("{AUTHORIZE}{query}"));
    transcript
        .ask("of the only account", get("").by(&billing.token))
        .await;
    let all = format!(
        "?account={}&environment={environment}&scope=invoices:read+orders%3Aread&scope=orders:list&cost=2",
        instance.account
    );
    transcript
        .ask("all that can be demanded", get(&all).by(&billing.token))
        .await;
    transcript
        .ask(
            "a scope it lacks",
            get("?scope=invoices:write").by(&billing.token),
        )
        .await;
    let elsewhere = format!("?environment={ID}");
    transcript
        .ask("another environment", get(&elsewhere).by(&billing.token))
        .await;
    transcript
        .ask("the last use", get("").by(&billing.token))
        .await;
    transcript.ask("too many", get("").by(&billing.token)).await;
    transcript
        .ask("too many, for nginx", get("?deny=403").by(&billing.token))
        .await;
    instance.clock.advance(Duration::from_secs(60));
    let post = Ask::post(&service, AUTHORIZE).by(&billing.token);
    let post = post.body("text/plain", "x".repeat(100_000));
    assert_eq!(post.got().await.status, 200, "a body is not looked at");

    let admin = make(
        &instance,
        &service,
        json!({"name": "Free", "basic_auth_enabled": true}),
    )
    .await;
    transcript
        .ask("bound to nothing", get("").by(&admin.token))
        .await;
    let key = posted(
        &instance,
        &service,
        &format!("{}/keys", admin.path),
        json!({}),
    )
    .await;
    let pair = basic(
        key["key_id"].as_str().unwrap(),
        key["secret"].as_str().unwrap(),
    );
    let by_key = get("")
        .with("authorization", &pair)
        .with("origin", "https://app.example");
    transcript.ask("a key, from a page", by_key).await;

    transcript.ask("nobody", get("?scope=a:b")).await;
    transcript.ask("junk", get("").by("junk")).await;
    transcript
        .ask("in Arabic", get("").with("accept-language", "ar"))
        .await;
    transcript
        .ask(
            "a query that is none",
            get("?acount=1&scope=A&deny=1").by(&billing.token),
        )
        .await;
    posted(
        &instance,
        &service,
        "/v1/public/accounts",
        json!({"name": "Second"}),
    )
    .await;
    transcript
        .ask("of which account", get("").by(&admin.token))
        .await;
    transcript
        .ask(
            "of a strange account",
            get(&format!("?account={ID}")).by(&admin.token),
        )
        .await;
    insta::assert_snapshot!("authorize", transcript.to_string());
}

/// Whatever was wrong, a 401 is one and the same.
async fn nobody_learns_why(instance: Instance) {
    let service = serve!(instance.app);
    let account = posted(
        &instance,
        &service,
        "/v1/public/accounts",
        json!({"name": "Second"}),
    )
    .await;
    let second = account["id"].as_str().unwrap();
    let theirs = make_in(&instance, &service, second, &json!({"name": "Theirs"})).await;
    let ended = json!({"name": "Ended", "expires_at": "2026-11-22T00:00:01Z"});
    let ended = make(&instance, &service, ended).await.token;
    let suspended = make(&instance, &service, json!({"name": "Suspended"})).await;
    posted(
        &instance,
        &service,
        &format!("{}/suspend", suspended.path),
        json!({}),
    )
    .await;
    let revoked = instance.revoked_token(&service).await;
    instance.clock.advance(Duration::from_secs(1));
    let mut seen = Vec::new();
    for value in [
        None,
        Some("Bearer junk".to_owned()),
        Some("Basic junk".to_owned()),
        Some(basic("0123456789abcdef", "secret")),
        Some(format!("Bearer {}", token_of_nobody())),
        Some(format!("Bearer {}", theirs.token)),
        Some(format!("Bearer {ended}")),
        Some(format!("Bearer {}", suspended.token)),
        Some(format!("Bearer {revoked}")),
    ] {
        let path = format!("{AUTHORIZE}?account={}&scope=a:b", instance.account);
        let mut ask = Ask::get(&service, &path).with("x-request-id", ID);
        if let Some(value) = &value {
            ask = ask.with("authorization", value);
        }
        let got = ask.got().await;
        assert_eq!(got.problem(401), "unauthenticated", "{value:?}");
        assert_eq!(got.header("x-symbolon-code"), "unauthenticated");
        assert_eq!(got.header("www-authenticate"), "Bearer realm=\"symbolon\"");
        let mut headers: Vec<_> = got
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        seen.push((headers, got.text));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:#?}");
}

/// Only trusted proxies say where a request comes from.
#[actix_web::test]
async fn the_address_is_what_trusted_proxies_say() {
    let instance = Instance::start().await;
    let networks = ["10.0.0.0/8".parse().unwrap()];
    let trusted = TrustedProxies::new(networks, AddressHeader::XForwardedFor);
    let service = init_service(
        Server::new()
            .app_data(Data::new(instance.app.clone()))
            .app_data(Data::new(trusted))
            .wrap(from_fn(edge))
            .configure(|cfg| crate::mount(cfg, &Doors::default())),
    )
    .await;
    let body = json!({"name": "Billing", "allowed_networks": ["203.0.113.0/24"]});
    let token = make(&instance, &service, body).await.token;
    for (peer, forwarded, status) in [
        ("203.0.113.9", None, 200),
        ("198.51.100.1", None, 403),
        ("198.51.100.1", Some("203.0.113.9"), 403),
        ("10.1.1.1", None, 403),
        ("10.1.1.1", Some("203.0.113.9"), 200),
        ("10.1.1.1", Some("203.0.113.9, 198.51.100.1"), 403),
        ("10.1.1.1", Some("198.51.100.1, 203.0.113.9"), 200),
        ("10.1.1.1", Some("203.0.113.9, 10.2.2.2"), 200),
        ("203.0.113.9", Some("unknown"), 200),
        // An address that is hidden from us is in no network, nor is it the proxy's.
        ("10.1.1.1", Some("203.0.113.9, unknown"), 403),
    ] {
        let mut request = TestRequest::with_uri(AUTHORIZE)
            .peer_addr(format!("{peer}:4711").parse().unwrap())
            .insert_header(("authorization", format!("Bearer {token}")));
        if let Some(forwarded) = forwarded {
            request = request.insert_header(("x-forwarded-for", forwarded));
        }
        let answer = service.call(request.to_request()).await.unwrap();
        assert_eq!(answer.status(), status, "{peer} {forwarded:?}");
        if status == 403 {
            assert_eq!(
                answer.headers().get("x-symbolon-code").unwrap(),
                "ip_not_allowed"
            );
        }
    }
}

on_both!(what_a_gateway_is_told, nobody_learns_why);
