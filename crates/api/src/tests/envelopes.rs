//! What comes back before, around and instead of a handler.

use super::*;
use actix_web::dev::Payload;

/// Routes that need no token, and what they answer to a request that says nothing.
const PUBLIC: &[(&str, u16)] = &[
    ("GET /openapi.json", 200),
    ("GET /.well-known/jwks.json", 200),
    ("GET /.well-known/oauth-authorization-server", 200),
    // These want a client, and say so in an envelope of their own.
    ("POST /oauth2/introspect", 401),
    ("POST /oauth2/revoke", 401),
    ("POST /oauth2/token", 400),
    ("POST /api/auth/oauth/token", 400),
];

/// All documented routes with made-up ids in their paths, and the scopes that they document.
fn routes() -> Vec<(Method, String, String, Option<Vec<String>>)> {
    let mut routes = Vec::new();
    let paths = DOORS.iter().map(|door| door.document.paths.paths.clone());
    for (template, mut item) in paths.flatten() {
        let path: Vec<_> = template
            .split('/')
            .map(|part| match part.starts_with('{') {
                true => "0198a7c2-0000-7000-8000-000000000000",
                false => part,
            })
            .collect();
        for (method, operation) in operations(&mut item) {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let security = serde_json::to_value(&operation.security).unwrap();
            let scopes = security
                .pointer("/0/bearer")
                .map(|scopes| serde_json::from_value::<Vec<String>>(scopes.clone()).unwrap());
            routes.push((method, path.join("/"), template.clone(), scopes));
        }
    }
    assert!(routes.len() > 25);
    routes
}

#[actix_web::test]
async fn every_route_is_guarded_and_says_by_what() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let nobody = instance.token_without_scopes(&service).await;
    let mut guards = BTreeMap::new();
    for (method, path, template, documented) in routes() {
        let route = format!("{method} {template}");
        let bare = Ask::new(&service, method.clone(), &path).got().await;
        if let Some((_, status)) = PUBLIC.iter().find(|(public, _)| *public == route) {
            assert_eq!(bare.status, *status, "{route}");
            guards.insert(route, "(public)".to_owned());
            continue;
        }
        assert_eq!(bare.status, 401, "{route}");
        assert_eq!(bare.header("www-authenticate"), "Bearer realm=\"symbolon\"");
        let documented = documented.unwrap_or_else(|| panic!("{route} documents no guard"));
        let guard = match documented.first() {
            None => "(any live token)".to_owned(),
            Some(scope) => {
                let weak = Ask::new(&service, method, &path).by(&nobody).got().await;
                assert_eq!(weak.status, 403, "{route}");
                let challenge = weak.header("www-authenticate").to_owned();
                let demanded = challenge
                    .split("scope=\"")
                    .nth(1)
                    .unwrap()
                    .trim_end_matches('"');
                assert_eq!(
                    demanded, scope,
                    "{route} documents another scope than it demands"
                );
                scope.clone()
            }
        };
        guards.insert(route, guard);
    }
    let table: Vec<_> = guards
        .iter()
        .map(|(route, guard)| format!("{route}: {guard}"))
        .collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[actix_web::test]
async fn whatever_was_wrong_with_the_token_the_answer_is_one() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let mut bodies = Vec::new();
    let revoked = instance.revoked_token(&service).await;
    let admin = &instance.operator;
    let altered = format!("{}x", &admin[..admin.len() - 1]);
    for header in [
        None,
        Some("Basic dXNlcjpwYXNz".to_owned()),
        Some("Bearer".to_owned()),
        Some("Bearer junk".to_owned()),
        Some(format!("Bearer {altered}")),
        Some(format!("Bearer {revoked}")),
    ] {
        let mut ask = Ask::get(&service, "/v1/public/whoami").with("x-request-id", "same-id-1");
        if let Some(header) = &header {
            ask = ask.with("authorization", header);
        }
        let got = ask.got().await;
        assert_eq!(got.problem(401), "unauthenticated", "{header:?}");
        assert_eq!(got.header("www-authenticate"), "Bearer realm=\"symbolon\"");
        let mut body = got.json();
        body["instance"] = Value::Null;
        bodies.push(body);
    }
    assert!(
        bodies.windows(2).all(|pair| pair[0] == pair[1]),
        "{bodies:#?}"
    );
}

#[actix_web::test]
async fn unknown_paths_and_methods() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    for path in [
        "/v1",
        "/v1/",
        "/v1/nowhere",
        "/v1/public/whoami/",
        "/v1/public/accounts/",
    ] {
        assert_eq!(
            Ask::get(&service, path).got().await.problem(404),
            "not_found",
            "{path}"
        );
    }
    let got = Ask::new(&service, Method::PUT, "/v1/public/accounts")
        .got()
        .await;
    assert_eq!(got.problem(405), "method_not_allowed");
    assert_eq!(got.header("allow"), "GET, POST");
    let path = format!("{}/not-a-uuid", instance.service_accounts());
    let got = Ask::get(&service, &path).by(&instance.operator).got().await;
    assert_eq!(got.problem(404), "not_found");
}

#[actix_web::test]
async fn bodies_are_checked_in_order() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let (path, token) = (instance.service_accounts(), &instance.operator);
    let weak = instance.token_without_scopes(&service).await;
    let huge = "x".repeat(64 * 1024 + 1);
    let ask = || Ask::post(&service, &path);

    let got = ask().by(&weak).body("text/plain", huge.clone()).got().await;
    assert_eq!(got.problem(403), "permission_missing");
    let got = ask().by(token).body("text/plain", huge.clone()).got().await;
    assert_eq!(got.problem(415), "unsupported_media_type");
    let got = ask()
        .by(token)
        .body("application/merge-patch+json", "{}")
        .got()
        .await;
    assert_eq!(got.problem(415), "unsupported_media_type");
    let got = ask().by(token).body("application/json", huge).got().await;
    assert_eq!(got.problem(413), "payload_too_large");
    let got = ask()
        .by(token)
        .body("application/json; charset=utf-8", "{\n \"name\" 1}")
        .got()
        .await;
    assert_eq!(got.problem(400), "malformed_body");
    assert_eq!(
        (&got.json()["line"], &got.json()["column"]),
        (&json!(2), &json!(9))
    );
    let got = ask().by(token).got().await;
    assert_eq!(got.problem(400), "malformed_body");
    let body = json!({"expire_at": null, "expires_at": "2001-01-01T00:00:00Z", "scopes": ["!"]});
    let got = ask().by(token).sends(&body).got().await;
    assert_eq!(got.problem(422), "validation_failed");
    let found: Vec<_> = got.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            format!(
                "{} {}",
                error["pointer"].as_str().unwrap(),
                error["code"].as_str().unwrap()
            )
        })
        .collect();
    let wanted = [
        "/name required",
        "/expires_at not_in_future",
        "/scopes/0 not_a_scope",
        "/expire_at unknown_field",
    ];
    assert_eq!(found, wanted);
    let got = ask()
        .by(token)
        .with("idempotency-key", "a b")
        .sends(&json!({"name": "x"}))
        .got()
        .await;
    assert_eq!(got.problem(400), "malformed_request");
    let got = Ask::get(&service, &format!("{path}?limit=0&page=2"))
        .by(token)
        .got()
        .await;
    assert_eq!(got.problem(422), "validation_failed");
}

#[actix_web::test]
async fn prose_comes_in_the_readers_language() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let ask =
        |language: &str| Ask::get(&service, "/v1/public/whoami").with("accept-language", language);
    let arabic = ask("ar-EG, en;q=0.5").got().await;
    let english = ask("fr").got().await;
    assert_eq!(arabic.header("content-language"), "ar");
    assert_eq!(english.header("content-language"), "en");
    assert_ne!(arabic.json()["title"], english.json()["title"]);
    assert_eq!(arabic.json()["code"], english.json()["code"]);
}

#[actix_web::test]
async fn request_ids_and_headers() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let got = Ask::get(&service, "/v1/x")
        .with("x-request-id", "trace-42_a")
        .got()
        .await;
    assert_eq!(got.header("x-request-id"), "trace-42_a");
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    assert_eq!(got.header("cache-control"), "no-store");
    let got = Ask::get(&service, "/v1/x")
        .with("x-request-id", "no\"t sane")
        .got()
        .await;
    let own: uuid::Uuid = got.header("x-request-id").parse().unwrap();
    assert_eq!(own.get_version_num(), 7);
    assert_eq!(got.json()["instance"], format!("urn:uuid:{own}"));
}

#[actix_web::test]
async fn a_panic_is_a_500_in_the_envelope_and_the_service_lives() {
    async fn panics() -> HttpResponse {
        panic!("secret=canary")
    }
    let instance = Instance::start().await;
    let service = init_service(
        Server::new()
            .app_data(Data::new(instance.app.clone()))
            .wrap(from_fn(edge))
            .service(
                web::scope("/v1")
                    .app_data(&crate::native::DOOR)
                    .wrap(from_fn(envelope))
                    .route("/panics", web::get().to(panics)),
            )
            .route("/bare", web::get().to(panics))
            .route("/fine", web::get().to(HttpResponse::Ok)),
    )
    .await;
    let got = Ask::get(&service, "/v1/panics")
        .with("x-request-id", "trace-42_a")
        .got_from_elsewhere()
        .await;
    assert_eq!(got.problem(500), "internal");
    assert!(!got.text.contains("canary"));
    let got = Ask::get(&service, "/bare")
        .with("x-request-id", "trace-42_a")
        .got()
        .await;
    assert_eq!(got.status, 500);
    assert!(got.text.contains("trace-42_a") && !got.text.contains("canary"));
    assert_eq!(Ask::get(&service, "/fine").got().await.status, 200);
}

#[actix_web::test]
async fn documentation_is_served_from_here() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let got = Ask::get(&service, "/openapi.json").got().await;
    assert_eq!(got.json()["openapi"], "3.1.0");
    assert_eq!(got.json()["servers"][0]["url"], instance.app.public_url());
    for door in DOORS {
        let got = Ask::get(&service, &format!("/openapi/{}.json", door.name));
        let got = got.got().await;
        assert_eq!(got.status, 200, "{}", door.name);
        assert_eq!(got.json()["info"]["title"], door.document.info.title);
    }
    let got = Ask::get(&service, "/openapi/nowhere.json").got().await;
    assert_eq!(got.status, 404);
    let got = Ask::get(&service, "/docs").got().await;
    assert_eq!(
        (got.status.as_u16(), got.header("location")),
        (302, "docs/")
    );
    let page = Ask::get(&service, "/docs/").got().await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("swagger-ui") && !page.text.contains("://"));
    let start = Ask::get(&service, "/docs/swagger-initializer.js")
        .got()
        .await;
    for door in DOORS {
        let url = format!("\"../openapi/{}.json\"", door.name);
        assert!(start.text.contains(&url), "{}", start.text);
    }
    assert!(!start.text.contains("://"), "{}", start.text);
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'self';")
    );
    assert_eq!(
        Ask::get(&service, "/docs/nothing.js").got().await.status,
        404
    );
}

#[actix_web::test]
async fn a_body_that_never_ends_is_a_408() {
    let instance = Instance::start().await;
    let limits = symbolon_web::BodyLimits {
        read_timeout: std::time::Duration::from_millis(50),
        ..Default::default()
    };
    let service = init_service(
        Server::new()
            .app_data(Data::new(instance.app.clone()))
            .app_data(Data::new(limits))
            .wrap(from_fn(edge))
            .configure(|cfg| crate::mount(cfg, &Doors::default())),
    )
    .await;
    let request = Ask::post(&service, &instance.service_accounts())
        .by(&instance.operator)
        .with("content-type", "application/json")
        .request
        .to_test()
        .to_request();
    let payload: actix_http::BoxedPayloadStream = Box::pin(futures_util::stream::pending());
    let (request, _) = request.replace_payload(Payload::Stream { payload });
    let answer = service.call(request).await.unwrap();
    assert_eq!(answer.status(), 408);
}

#[actix_web::test]
async fn a_shut_door_is_not_there() {
    let instance = Instance::start().await;
    let shut = Doors {
        unleash: false,
        prefactor: false,
        neowit: false,
    };
    let service = serve!(instance.app, shut);
    for door in DOORS {
        let document = Ask::get(&service, &format!("/openapi/{}.json", door.name));
        let document = document.got_from_elsewhere().await;
        let below = Ask::get(&service, &format!("{}/x", door.prefix));
        let below = below.got_from_elsewhere().await;
        let open = !["unleash", "prefactor", "neowit"].contains(&door.name);
        assert_eq!(document.status == 200, open, "{}", door.name);
        assert_eq!(below.status, 404, "{}", door.name);
        // What no door answers, the server's default does: here without a word.
        assert_eq!(!below.text.is_empty(), open, "{}", door.name);
    }
}
