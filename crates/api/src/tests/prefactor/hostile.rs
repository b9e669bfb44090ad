//! Whatever is sent: the documented envelope, a documented status, never a 5xx.

use super::*;
use symbolon_domain::Dice;
use symbolon_domain::dice::SeededDice;

#[actix_web::test]
async fn authentication_says_nothing_but_whether_it_was_tried() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let revoked = instance.revoked_token(&service).await;
    let altered = format!("{}x", &instance.operator[..instance.operator.len() - 1]);
    let ask = |path: &str| Ask::get(&service, path);
    for path in ["/api/v1/ping", TOKENS] {
        let got = ask(path).got().await;
        assert_eq!(got.prefactor(401), "not_authenticated");
        assert_eq!(got.header("www-authenticate"), "Bearer realm=\"symbolon\"");
        let mut bodies = Vec::new();
        for header in [
            "".to_owned(),
            "Bearer".to_owned(),
            "Bearer junk".to_owned(),
            instance.operator.clone(),
            "Basic dXNlcjpwYXNz".to_owned(),
            format!("Bearer {altered}"),
            format!("Bearer {revoked}"),
            // alg: none
            "Bearer eyJhbGciOiJub25lIiwidHlwIjoiYXBpLXRva2VuK2p3dCJ9.e30.".to_owned(),
            "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2ln".to_owned(),
        ] {
            let got = ask(path).with("authorization", &header).got().await;
            assert_eq!(got.prefactor(401), "bad_authtoken", "{header}");
            bodies.push(got.json());
        }
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

#[actix_web::test]
async fn anothers_ids_look_unknown() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let other = world.account("Other").await;
    let theirs = account_ref(other);
    let environment = world.environment(other, "Theirs").await;
    let environment = environment_ref(&environment, other);
    let body = json!({"token_scope": "account", "account_id": theirs});
    let their_token = world.create(&body).await["details"]["id"].clone();
    let their_token = their_token.as_str().unwrap();
    // An admin of the account, no operator.
    let admin = world.create(&of_account()).await["token"].clone();
    let admin = admin.as_str().unwrap();
    let account = instance.account;
    let unknown_account = account_ref(AccountId(NOBODY));
    let unknown_token = reference(RefType::ApiToken, NOBODY, account);
    // Their token's id, moved into this account's partition.
    let moved: Pfid = their_token.parse().unwrap();
    let moved = reference(RefType::ApiToken, moved.id(), account);
    // An account that its partition does not fit.
    let forged = reference(RefType::Account, account.0, other);

    let mut answers = Vec::new();
    for id in [their_token, &unknown_token, &moved] {
        let path = format!("{TOKENS}/{id}");
        answers.push(Ask::get(&service, &path).by(admin).got().await);
        let ask = Ask::new(&service, Method::DELETE, &path);
        answers.push(ask.by(admin).got().await);
        for action in ["suspend", "activate", "revoke"] {
            let ask = Ask::post(&service, &format!("{path}/{action}"));
            answers.push(ask.by(admin).got().await);
        }
    }
    for named in [&theirs, &unknown_account, &forged] {
        for id in [their_token, &unknown_token] {
            let path = format!("{TOKENS}/{id}?account_id={named}");
            answers.push(Ask::get(&service, &path).by(admin).got().await);
        }
        let path = format!("{TOKENS}?account_id={named}");
        answers.push(Ask::get(&service, &path).by(admin).got().await);
        let body = json!({"details": {"token_scope": "account", "account_id": named}});
        let ask = Ask::post(&service, TOKENS).by(admin).sends(&body);
        answers.push(ask.got().await);
        let body = json!({
            "token_scope": "environment", "account_id": named, "environment_id": environment,
        });
        let ask = Ask::post(&service, TOKENS).by(admin).sends(&body);
        let got = ask.got().await;
        // With an account that is theirs the environment is not looked at.
        if named != &theirs {
            assert_ne!(got.status, 200);
        } else {
            answers.push(got);
        }
    }
    let first = answers[0].json();
    for got in &answers {
        assert_eq!(got.prefactor(404), "not_found");
        assert_eq!(got.json(), first, "one answer for all");
    }
    let body = json!({"token_scope": "environment", "environment_id": environment});
    let ask = Ask::post(&service, TOKENS).by(admin).sends(&body);
    assert_eq!(ask.got().await.wrong_fields(), ["environment_id not_found"]);
    let path = format!("{TOKENS}/{their_token}?account_id={theirs}");
    let details = world.get(&path).got().await.success();
    assert_eq!(details["details"]["status"], "active", "nothing happened");
}

#[actix_web::test]
async fn ids_of_another_type_are_called_so() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let account = instance.account;
    for ref_type in [RefType::Account, RefType::Environment, RefType::AdminUser] {
        let id = reference(ref_type, NOBODY, account);
        let path = format!("{TOKENS}/{id}");
        for ask in [
            world.get(&path),
            world.act(&id, "suspend"),
            world.act(&id, "delete"),
        ] {
            assert_eq!(ask.got().await.prefactor(400), "unexpected_ref_type");
        }
    }
    let mut untyped = reference(RefType::ApiToken, NOBODY, account);
    untyped.replace_range(16..17, "z");
    let got = world.get(&format!("{TOKENS}/{untyped}")).got().await;
    assert_eq!(got.prefactor(400), "unexpected_ref_type");
}

#[actix_web::test]
async fn paths_and_methods_that_there_are_not() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let id = world.token().await;
    let upper = id.to_uppercase();
    let shorter = &id[1..];
    for path in [
        "/api/v1".to_owned(),
        "/api/v1/".to_owned(),
        "/api/v1/ping/".to_owned(),
        "/api/v1/bulk".to_owned(),
        "/api/v1/api_tokens".to_owned(),
        "/api/v1/%2e%2e/api_token".to_owned(),
        format!("{TOKENS}/{id}/"),
        format!("{TOKENS}/{id}/rotate"),
        format!("{TOKENS}//suspend"),
        format!("{TOKENS}/{upper}"),
        format!("{TOKENS}/{shorter}"),
        format!("{TOKENS}/{id}0"),
        format!("{TOKENS}/7"),
        format!("{TOKENS}/-1"),
        format!("{TOKENS}/null"),
        format!("{TOKENS}/{NOBODY}"),
        format!("{TOKENS}/%00"),
        format!("{TOKENS}/%D9%85%D9%81%D8%AA%D8%A7%D8%AD"),
        format!("{TOKENS}/%F0%9F%94%91"),
        format!("{TOKENS}/%ff%fe"),
        format!("{TOKENS}/{}", "0".repeat(2000)),
    ] {
        let got = world.get(&path).got().await;
        assert_eq!(got.prefactor(404), "not_found", "{path}");
    }
    for (method, path, allow) in [
        (Method::PUT, TOKENS.to_owned(), "GET, POST"),
        (Method::DELETE, TOKENS.to_owned(), "GET, POST"),
        (Method::PATCH, format!("{TOKENS}/{id}"), "GET, DELETE"),
        (Method::POST, format!("{TOKENS}/{id}"), "GET, DELETE"),
        (Method::GET, format!("{TOKENS}/{id}/suspend"), "POST"),
        (Method::POST, "/api/v1/ping".to_owned(), "GET"),
    ] {
        let ask = Ask::new(&service, method, &path).by(&instance.operator);
        let got = ask.got().await;
        assert_eq!(got.prefactor(405), "not_implemented", "{path}");
        assert_eq!(got.header("allow"), allow, "{path}");
    }
}

#[actix_web::test]
async fn bodies_are_checked_in_order() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let weak = instance.token_without_scopes(&service).await;
    let huge = "x".repeat(64 * 1024 + 1);
    let id = world.token().await;
    for path in [TOKENS.to_owned(), format!("{TOKENS}/{id}/suspend")] {
        let ask = || Ask::post(&service, &path);
        let got = ask().by(&weak).body("text/plain", huge.clone()).got().await;
        assert_eq!(got.prefactor(403), "not_permitted");
        let ask = || ask().by(&instance.operator);
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "",
            "json",
        ] {
            let got = ask().body(kind, huge.clone()).got().await;
            assert_eq!(got.prefactor(415), "bad_request", "{kind}");
        }
        let got = ask().body("application/json", huge.clone()).got().await;
        assert_eq!(got.prefactor(413), "bad_request");
        for broken in [
            "{",
            "nul",
            "{\"token_scope\": \"account\", \"token_scope\": \"account\"}",
            "{\"details\": {\"token_scope\": 1, \"token_scope\": 2}}",
            "\u{feff}{}",
            "{'token_scope': 'account'}",
            "[1, 2",
        ] {
            let got = ask().body("application/json", broken).got().await;
            assert_eq!(got.prefactor(400), "bad_request", "{broken}");
        }
        let bytes = web::Bytes::from_static(b"{\"token_scope\": \"\xff\"}");
        let got = ask().body("application/json", bytes).got().await;
        assert_eq!(got.prefactor(400), "bad_request");
        for no_object in ["[]", "7", "\"account\"", "true"] {
            let got = ask().body("application/json", no_object).got().await;
            assert_eq!(got.prefactor(400), "bad_request", "{no_object}");
        }
    }
    for nothing in ["", "null"] {
        let ask = Ask::post(&service, TOKENS).by(&instance.operator);
        let got = ask.body("application/json", nothing).got().await;
        assert_eq!(got.prefactor(400), "bad_request", "{nothing:?}");
    }
    // Actions need no body, nor its type.
    let ask = |action: &str| {
        Ask::post(&service, &format!("{TOKENS}/{id}/{action}")).by(&instance.operator)
    };
    ask("suspend").got().await.success();
    let got = ask("activate").body("application/json", "null").got().await;
    got.success();
    let kind = "application/json; charset=utf-8";
    ask("suspend")
        .body(kind, "{\"x\": 1}")
        .got()
        .await
        .success();
}

/// Web pages cannot make browsers send bearers, so that `Origin` changes nothing; Basic is no way in here.
#[actix_web::test]
async fn origins_do_not_matter_and_basic_is_not_taken() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let ask = world.post(TOKENS, &of_account());
    ask.with("origin", "https://evil.example")
        .got()
        .await
        .success();
    let ask = Ask::post(&service, TOKENS)
        .with("authorization", "Basic a2V5OnNlY3JldA==")
        .with("origin", "https://evil.example")
        .sends(&of_account());
    assert_eq!(ask.got().await.prefactor(401), "bad_authtoken");
}

#[actix_web::test]
async fn only_prose_follows_the_language() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let wrong = json!({"token_scope": "x", "expires_at": "2001-01-01T00:00:00Z"});
    let id = world.token().await;
    type Make<'a, S> = &'a dyn Fn() -> Ask<'a, S>;
    let asks: [Make<'_, _>; 5] = [
        &|| world.post(TOKENS, &wrong),
        &|| world.get("/api/v1/nowhere"),
        &|| Ask::get(&service, TOKENS),
        &|| world.act(&id, "activate"),
        &|| world.get(&format!("{TOKENS}/{}", account_ref(instance.account))),
    ];
    for ask in asks {
        let english = ask().got().await;
        let arabic = ask().with("accept-language", "ar-EG, en;q=0.5").got().await;
        assert_eq!(english.header("content-language"), "en");
        assert_eq!(arabic.header("content-language"), "ar");
        let (mut english, mut arabic) = (english.json(), arabic.json());
        let mut prose = 0;
        for at in ["", "/errors/token_scope", "/errors/expires_at"] {
            let pointer = format!("{at}/message");
            let (Some(one), Some(other)) =
                (english.pointer_mut(&pointer), arabic.pointer_mut(&pointer))
            else {
                continue;
            };
            assert_ne!(one, other);
            assert!(
                other
                    .as_str()
                    .unwrap()
                    .contains(|c| ('ء'..='ي').contains(&c))
            );
            (*one, *other) = (Value::Null, Value::Null);
            prose += 1;
        }
        assert!(prose > 0);
        assert_eq!(english, arabic);
    }
    let ask = world.get(&format!("{TOKENS}/{id}"));
    let got = ask.with("accept-language", "ar").got().await;
    assert_eq!(got.success()["details"], world.details(&id).await);
}

/// Texts where other texts, or nothing, belong.
const TEXTS: [&str; 14] = [
    "",
    "a",
    "account",
    "environment",
    "مفتاح",
    "🔑👩‍👩‍👧‍👦",
    "e\u{301}\u{302}\u{303}",
    "\u{202e}evil",
    "\0",
    "2026-02-30T25:61:61Z",
    "9999-12-31T23:59:59.999999999Z",
    "2027-01-01T00:00:00+99:99",
    "013xrzp12g3nqk8n7f8f9jbg8d18q7tm",
    "7zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
];

fn garbage(dice: &mut SeededDice, depth: u32) -> Value {
    let mut byte = || {
        let mut byte = [0];
        dice.fill(&mut byte);
        usize::from(byte[0])
    };
    let names = [
        "details",
        "token_scope",
        "account_id",
        "environment_id",
        "expires_at",
        "agent_id",
        "agent_deployment_id",
        "idempotency_key",
        "مفتاح",
        "a/b~",
    ];
    match byte() % if depth == 0 { 6 } else { 9 } {
        0 => Value::Null,
        1 => (byte() % 2 == 0).into(),
        2 => (byte() as i64 - 128).into(),
        3 => json!(1e300),
        4 => TEXTS[byte() % TEXTS.len()].repeat(1 + byte() % 3).into(),
        5 => "ع".repeat([0, 1, 120, 121][byte() % 4]).into(),
        6 => {
            let count = byte() % 4;
            (0..count).map(|_| garbage(dice, depth - 1)).collect()
        }
        _ => {
            let picked: Vec<_> = (0..byte() % 8)
                .map(|_| names[byte() % names.len()])
                .collect();
            let field = |name: &str| (name.to_owned(), garbage(dice, depth - 1));
            Value::Object(picked.into_iter().map(field).collect())
        }
    }
}

#[actix_web::test]
async fn garbage_is_answered_as_documented() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let mut dice = SeededDice::new(42);
    let id = world.token().await;
    let mut seen = BTreeMap::new();
    for round in 0..400 {
        let body = match round % 3 {
            0 => {
                json!({"details": garbage(&mut dice, 2), "idempotency_key": garbage(&mut dice, 0)})
            }
            1 => {
                let mut body = garbage(&mut dice, 1);
                if let Some(body) = body.as_object_mut() {
                    body.entry("token_scope").or_insert(json!("account"));
                }
                json!({ "details": body })
            }
            _ => garbage(&mut dice, 3),
        };
        let path = match round % 4 {
            0 => format!("{TOKENS}/{id}/suspend"),
            1 => format!("{TOKENS}/{id}/activate"),
            _ => TOKENS.to_owned(),
        };
        // Held to the document by `got`.
        let got = world.post(&path, &body).got().await;
        match got.status.as_u16() {
            200 => drop(got.success()),
            status @ (400 | 404 | 409 | 422) => drop(got.prefactor(status)),
            status => panic!("{status} for {body}: {}", got.text),
        }
        *seen.entry(got.status.as_u16()).or_insert(0) += 1;
    }
    assert!(seen.len() >= 4, "of every kind: {seen:?}");
}
