//! Whatever is sent: the documented envelope, a documented status, and never a fault of ours.

use super::*;
use symbolon_domain::Dice;
use symbolon_domain::dice::SeededDice;

#[actix_web::test]
async fn ids_that_are_no_ids() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Owner", 2).await;
    let end = "2027-01-01T00:00:00Z";
    for id in [
        "0",
        "-1",
        "1.5",
        "1e3",
        "abc",
        "%D9%A7",
        "%00",
        "9223372036854775807",
        "9223372036854775808",
        "0198a7c2-0000-7000-8000-000000000000",
        "null",
        "..%2F..",
        "%F0%9F%92%A9",
    ] {
        for (method, path) in [
            (Method::PUT, format!("{BASE}/{id}")),
            (Method::DELETE, format!("{BASE}/{id}")),
            (Method::GET, format!("{BASE}/{id}/permissions")),
            (Method::GET, format!("{BASE}/{id}/token")),
            (Method::POST, format!("{BASE}/{id}/token")),
            (Method::DELETE, format!("{BASE}/{id}/token/1")),
            (Method::DELETE, format!("{BASE}/{owner}/token/{id}")),
        ] {
            let ask = Ask::new(&service, method.clone(), &path).by(&instance.operator);
            let got = match method {
                Method::PUT => ask.sends(&json!({"name": "x"})),
                Method::POST => ask.sends(&json!({"description": "x", "expiresAt": end})),
                _ => ask,
            };
            let got = got.got().await;
            assert_eq!(got.unleash(404), "NotFoundError", "{method} {path}");
        }
    }
}

#[actix_web::test]
async fn names_and_descriptions_are_counted_in_characters() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Owner", 2).await;
    let create = async |name: &str, username: &str| {
        let ask = Ask::post(&service, BASE).by(&instance.operator);
        let body = json!({"name": name, "username": username, "rootRole": 3});
        ask.sends(&body).got().await
    };
    for (n, letter) in ["a", "ب", "é", "🦀"].into_iter().enumerate() {
        let full = letter.repeat(120);
        let got = create(&full, &full).await;
        assert_eq!(got.status, 201, "{letter} {}", got.text);
        let got = create(&letter.repeat(121), &format!("u{n}")).await;
        assert_eq!(got.paths(), ["name"], "{letter}");
        let got = create("x", &letter.repeat(121)).await;
        assert_eq!(got.paths(), ["username"], "{letter}");
    }
    // Combining marks count once composed, and never begin a name.
    let got = create(&"e\u{301}".repeat(120), "combined").await;
    assert_eq!(got.status, 201, "{}", got.text);
    for bad in [
        "",
        " ",
        "\u{301}x",
        "a\u{202e}b",
        "a\u{0}b",
        "a\u{200b}b",
        "a\nb",
    ] {
        assert_eq!(create(bad, "free").await.paths(), ["name"], "{bad:?}");
        assert_eq!(create("x", bad).await.paths(), ["username"], "{bad:?}");
    }
    let path = format!("{BASE}/{owner}/token");
    let create = async |description: &str| {
        let ask = Ask::post(&service, &path).by(&instance.operator);
        let body = json!({"description": description, "expiresAt": "2027-01-01T00:00:00Z"});
        ask.sends(&body).got().await
    };
    assert_eq!(create(&"ب".repeat(1000)).await.status, 201);
    assert_eq!(create("two\nlines \u{1F980}").await.status, 201);
    for bad in [&"ب".repeat(1001), "a\u{0}", "a\u{202e}b", "", "\n \t"] {
        assert_eq!(create(bad).await.paths(), ["description"], "{bad:?}");
    }
}

#[actix_web::test]
async fn ends_are_compared_in_utc() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Owner", 2).await;
    let path = format!("{BASE}/{owner}/token");
    let create = async |end: Value| {
        let ask = Ask::post(&service, &path).by(&instance.operator);
        let description = end.to_string();
        ask.sends(&json!({"description": description, "expiresAt": end}))
            .got()
            .await
    };
    // It is 2026-11-22T00:00:00Z.
    for (end, shown) in [
        ("2026-11-22T00:00:01Z", "2026-11-22T00:00:01Z"),
        ("2026-11-21T23:00:01-01:00", "2026-11-22T00:00:01Z"),
        (
            "2026-11-22T10:00:00.000001+09:00",
            "2026-11-22T01:00:00.000001Z",
        ),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ] {
        let got = create(json!(end)).await;
        assert_eq!(got.status, 201, "{end} {}", got.text);
        assert_eq!(got.json()["expiresAt"], shown);
    }
    for end in [
        json!("2026-11-22T00:00:00Z"),
        json!("2026-11-22T01:00:00+02:00"),
        json!("1969-12-31T00:00:00Z"),
        json!("2026-11-22"),
        json!("2026-11-23 00:00:00Z"),
        json!("2026-11-23T00:00:00"),
        json!("2027-02-29T00:00:00Z"),
        json!("10000-01-01T00:00:00Z"),
        json!("tomorrow"),
        json!(""),
        json!(1_900_000_000),
        json!(null),
        json!(true),
        json!(["2027-01-01T00:00:00Z"]),
    ] {
        assert_eq!(create(end.clone()).await.paths(), ["expiresAt"], "{end}");
    }
}

#[actix_web::test]
async fn bodies_that_are_no_objects_and_fields_of_other_types() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Owner", 2).await;
    let targets = [
        (Method::POST, BASE.to_owned()),
        (Method::PUT, format!("{BASE}/{owner}")),
        (Method::POST, format!("{BASE}/{owner}/token")),
    ];
    for (method, path) in &targets {
        let ask = || Ask::new(&service, method.clone(), path).by(&instance.operator);
        for body in [
            "",
            "{",
            "[]",
            "null",
            "7",
            "\"text\"",
            "{\"a\": 1, \"a\": 2}",
            "{} {}",
            "\u{feff}{}",
            "{\"name\": \"x\", \"name\": \"y\"}",
            "nonsense",
            "{\"rootRole\": 1e999}",
        ] {
            let got = ask().body("application/json", body).got().await;
            assert_eq!(got.unleash(400), "BadDataError", "{method} {path} {body}");
        }
        let deep = "[".repeat(30_000);
        let got = ask().body("application/json", deep).got().await;
        assert_eq!(got.unleash(400), "BadDataError");
        let invalid = web::Bytes::from_static(b"{\"name\": \"\xff\"}");
        let got = ask().body("application/json", invalid).got().await;
        assert_eq!(got.unleash(400), "BadDataError");
        let huge = "x".repeat(64 * 1024 + 1);
        let got = ask().body("application/json", huge).got().await;
        assert_eq!(got.unleash(413), "PayloadTooLargeError");
        for kind in [
            "",
            "text/json",
            "application/json2",
            "application/merge-patch+json",
            "multipart/form-data",
        ] {
            let got = ask().body(kind, "{}").got().await;
            assert_eq!(got.unleash(415), "ContentTypeerror", "{kind}");
        }
        let twice = ask()
            .with("content-type", "application/json")
            .sends(&json!({}));
        assert_eq!(twice.got().await.unleash(415), "ContentTypeerror");
        for kind in [
            "application/json; charset=utf-8",
            "APPLICATION/JSON;charset=UTF-8",
        ] {
            let got = ask().body(kind, "[]").got().await;
            assert_eq!(got.unleash(400), "BadDataError", "{kind}");
        }
    }
    for wrong in [
        json!(null),
        json!("1"),
        json!(1.5),
        json!(0),
        json!(4),
        json!(-1),
        json!([1]),
        json!(true),
        json!(1_u64 << 63),
    ] {
        let body = json!({"name": "x", "username": "x", "rootRole": wrong});
        for (method, path) in &targets[..2] {
            let ask = Ask::new(&service, method.clone(), path).by(&instance.operator);
            assert_eq!(
                ask.sends(&body).got().await.paths(),
                ["rootRole"],
                "{wrong}"
            );
        }
    }
}

#[actix_web::test]
async fn get_and_delete_ask_for_no_content_type() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Owner", 2).await;
    let token = token(&instance, &service, owner, "CI").await;
    for (method, path) in [
        (Method::GET, BASE.to_owned()),
        (Method::GET, format!("{BASE}/{owner}/permissions")),
        (Method::GET, format!("{BASE}/{owner}/token")),
        (
            Method::DELETE,
            format!("{BASE}/{owner}/token/{}", token["id"]),
        ),
        (Method::DELETE, format!("{BASE}/{owner}")),
    ] {
        let ask = Ask::new(&service, method.clone(), &path).by(&instance.operator);
        let got = ask.body("application/xml", "<not read/>").got().await;
        assert_eq!(got.status, 200, "{method} {path} {}", got.text);
    }
}

#[actix_web::test]
async fn whatever_does_not_authenticate_looks_alike() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Owner", 1).await;
    let deleted = token(&instance, &service, owner, "deleted").await;
    let path = format!("{BASE}/{owner}/token/{}", deleted["id"]);
    let delete = Ask::new(&service, Method::DELETE, &path).by(&instance.operator);
    assert_eq!(delete.got().await.status, 200);
    let deleted = deleted["secret"].as_str().unwrap();
    let admin = &instance.operator;
    let mut messages = Vec::new();
    for header in [
        "user:nonsense".to_owned(),
        "*:*.my-admin-token".to_owned(),
        deleted.to_owned(),
        format!("Bearer {deleted}"),
        format!("Basic {admin}"),
        "Basic a2V5OnNlY3JldA==".to_owned(),
        format!("Token {admin}"),
        format!("{admin}x"),
        admin.to_uppercase(),
        "Bearer".to_owned(),
        "eyJhbGciOiJub25lIn0.e30.".to_owned(),
        "مفتاح".to_owned(),
    ] {
        let ask = Ask::get(&service, BASE).with("authorization", &header);
        let got = ask.with("origin", "https://example.com").got().await;
        assert_eq!(got.unleash(401), "UnauthorizedError", "{header}");
        messages.push(got.json()["message"].clone());
    }
    assert!(messages.windows(2).all(|pair| pair[0] == pair[1]));
    let got = Ask::get(&service, BASE).got().await;
    assert_eq!(got.unleash(401), "AuthenticationRequired");
    let got = Ask::get(&service, BASE)
        .by(admin)
        .with("authorization", admin)
        .got()
        .await;
    assert_eq!(got.unleash(401), "UnauthorizedError");
}

#[actix_web::test]
async fn paths_and_methods_that_are_none() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    for path in ["/1/tokens", "/1/token/2/3", "//", "/1/permissions/", "/1/"] {
        let got = Ask::get(&service, &format!("{BASE}{path}")).got().await;
        assert_eq!(got.unleash(404), "NotFoundError", "{path}");
    }
    for (method, path, allow) in [
        (Method::PUT, "", "GET, POST"),
        (Method::DELETE, "", "GET, POST"),
        (Method::GET, "/1", "PUT, DELETE"),
        (Method::PATCH, "/1", "PUT, DELETE"),
        (Method::PUT, "/1/token", "GET, POST"),
        (Method::GET, "/1/token/2", "DELETE"),
        (Method::POST, "/1/permissions", "GET"),
        (Method::OPTIONS, "", "GET, POST"),
    ] {
        let got = Ask::new(&service, method.clone(), &format!("{BASE}{path}"))
            .got()
            .await;
        assert_eq!(got.unleash(405), "NotImplementedError", "{method} {path}");
        assert_eq!(got.header("allow"), allow);
    }
}

#[actix_web::test]
async fn the_id_of_an_error_is_the_requests() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let ask = async |id: &str| {
        let got = Ask::get(&service, BASE)
            .with("x-request-id", id)
            .got()
            .await;
        assert_eq!(got.header("x-request-id"), id);
        got.json()["id"].as_str().unwrap().to_owned()
    };
    let uuid = "9c40958a-daac-400e-98fb-3bb438567008";
    assert_eq!(ask(uuid).await, uuid);
    // The access log has both (`symbolon_web::access_log`).
    let own: uuid::Uuid = ask("trace-0001").await.parse().unwrap();
    assert_eq!(own.get_version_num(), 7);
}

/// Something between nonsense and a body that will do.
fn garbage(dice: &mut SeededDice, depth: u8) -> Value {
    let mut roll = |sides: u8| {
        let mut byte = [0];
        dice.fill(&mut byte);
        byte[0] % sides
    };
    const TEXTS: [&str; 12] = [
        "",
        " ",
        "x",
        "service-x",
        "2027-01-01T00:00:00Z",
        "2001-01-01T00:00:00Z",
        "\u{202e}",
        "\u{0}",
        "مرحبا",
        "🦀",
        "null",
        "../..",
    ];
    const FIELDS: [&str; 9] = [
        "name",
        "username",
        "rootRole",
        "description",
        "expiresAt",
        "id",
        "email",
        "",
        "__proto__",
    ];
    match roll(if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => json!(roll(2) == 0),
        2 => json!(i64::from(roll(6)) - 1),
        3 => json!([0.5, -1e300, 9.3e18][usize::from(roll(3))]),
        4 => json!(TEXTS[usize::from(roll(12))].repeat(1 + 60 * usize::from(roll(3)))),
        5 => json!(TEXTS[usize::from(roll(12))]),
        6 => (0..roll(4)).map(|_| garbage(dice, depth - 1)).collect(),
        _ => {
            let names: Vec<_> = (0..roll(7)).map(|_| FIELDS[usize::from(roll(9))]).collect();
            let field = |name: &str| (name.to_owned(), garbage(dice, depth - 1));
            Value::Object(names.into_iter().map(field).collect())
        }
    }
}

#[actix_web::test]
async fn garbage_never_breaks_anything() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Owner", 2).await;
    let mut dice = SeededDice::new(11);
    let mut statuses = BTreeMap::new();
    for n in 0..600 {
        let (method, path) = match n % 3 {
            0 => (Method::POST, BASE.to_owned()),
            1 => (Method::PUT, format!("{BASE}/{owner}")),
            _ => (Method::POST, format!("{BASE}/{owner}/token")),
        };
        // Most are objects, so that their fields are looked at.
        let mut body = garbage(&mut dice, 3);
        if n % 4 != 0 && !body.is_object() {
            body = json!({"name": body.clone(), "username": "x", "rootRole": body.clone(),
                "description": body.clone(), "expiresAt": body});
        }
        let ask = Ask::new(&service, method.clone(), &path).by(&instance.operator);
        let got = ask.sends(&body).got().await;
        let status = got.status.as_u16();
        *statuses.entry(status).or_insert(0) += 1;
        if ![200, 201].contains(&status) {
            assert!(
                [400, 403, 409].contains(&status),
                "{path} {body} {}",
                got.text
            );
            got.unleash(status);
        }
    }
    assert!(
        statuses[&400] > 100 && statuses.contains_key(&200),
        "{statuses:?}"
    );
}
