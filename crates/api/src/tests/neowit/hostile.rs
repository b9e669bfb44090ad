//! Whatever is sent: the documented envelope, a documented status, and never a fault of ours.

use super::*;
use symbolon_domain::Dice;
use symbolon_domain::dice::SeededDice;

const NOWHERE: &str = "0198a7c2-0000-7000-8000-000000000000";

#[actix_web::test]
async fn ids_that_are_no_ids() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Owner", false).await;
    for id in [
        "1235",
        "-1",
        "null",
        "%00",
        "%D9%A7",
        "..%2F..",
        "%F0%9F%92%A9",
        "%7B0198a7c2-0000-7000-8000-000000000000%7D",
        "0198a7c2-0000-7000-8000-00000000000g",
        "sym_0123456789abcdef",
        &"9".repeat(400),
    ] {
        for (method, path, name) in [
            (Method::GET, format!("{BASE}/{id}"), "id"),
            (Method::PATCH, format!("{BASE}/{id}"), "id"),
            (Method::PUT, format!("{BASE}/{id}"), "id"),
            (Method::DELETE, format!("{BASE}/{id}"), "id"),
            (Method::GET, format!("{BASE}/{id}/key"), "id"),
            (Method::POST, format!("{BASE}/{id}/key"), "id"),
            (Method::DELETE, format!("{BASE}/{owner}/key/{id}"), "key-id"),
        ] {
            let ask = Ask::new(&service, method.clone(), &path).by(&instance.operator);
            let got = match method {
                Method::PATCH | Method::PUT => ask.sends(&json!({"name": "x"})),
                _ => ask,
            };
            assert_eq!(got.got().await.hints(), [name], "{method} {path}");
        }
    }
    // What could be one names nothing.
    for (method, path) in [
        (Method::GET, format!("{BASE}/{NOWHERE}")),
        (
            Method::DELETE,
            format!("{BASE}/{owner}/key/0000000000000000"),
        ),
        (
            Method::DELETE,
            format!("{BASE}/{NOWHERE}/key/0000000000000000"),
        ),
    ] {
        let ask = Ask::new(&service, method, &path).by(&instance.operator);
        ask.got().await.neowit(404);
    }
}

#[actix_web::test]
async fn organisations_that_are_none() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let (operator, mine) = (&instance.operator, instance.account);
    for query in [
        "orgId=",
        "orgId=1235",
        "orgId=null",
        "orgId=%00",
        &format!("orgId={mine}&orgId={mine}"),
        &format!("orgId={mine}%20"),
        &format!("orgId={mine},{mine}"),
    ] {
        for (method, path) in [
            (Method::GET, BASE.to_owned()),
            (Method::POST, BASE.to_owned()),
            (Method::GET, format!("{BASE}/{NOWHERE}")),
            (
                Method::DELETE,
                format!("{BASE}/{NOWHERE}/key/0000000000000000"),
            ),
        ] {
            let ask = Ask::new(&service, method, &format!("{path}?{query}")).by(operator);
            let got = ask.sends(&json!({"name": "x"})).got().await;
            assert_eq!(got.hints(), ["orgId"], "{path}?{query}");
        }
    }
    for query in [
        "",
        "x",
        "=",
        "&&",
        "orgid=1",
        "orgId[]=1",
        "a=%zz",
        "%ff=%ff",
    ] {
        let got = Ask::get(&service, &format!("{BASE}?{query}"))
            .by(operator)
            .got()
            .await;
        assert_eq!(got.status, 200, "{query} {}", got.text);
    }
}

#[actix_web::test]
async fn names_are_counted_in_characters() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let create = async |name: Value| {
        let ask = Ask::post(&service, BASE).by(&instance.operator);
        ask.sends(&json!({"name": name})).got().await
    };
    for letter in ["a", "ب", "é", "🦀"] {
        let got = create(json!(letter.repeat(120))).await;
        assert_eq!(got.status, 201, "{letter} {}", got.text);
        let got = create(json!(letter.repeat(121))).await;
        assert_eq!(got.hints(), ["serviceAccount.name"], "{letter}");
    }
    let got = create(json!("e\u{301}".repeat(120))).await;
    // Composed, it is the third of those above.
    got.neowit(409);
    assert_eq!(create(json!("x")).await.status, 201);
    for bad in [
        "",
        " ",
        "\u{301}x",
        "a\u{202e}b",
        "a\u{0}b",
        "a\u{200b}b",
        "a\nb",
    ] {
        assert_eq!(
            create(json!(bad)).await.hints(),
            ["serviceAccount.name"],
            "{bad:?}"
        );
    }
    for bad in [
        json!(null),
        json!(1),
        json!(true),
        json!(["x"]),
        json!({"x": 1}),
    ] {
        assert_eq!(
            create(bad.clone()).await.hints(),
            ["serviceAccount.name"],
            "{bad}"
        );
    }
}

#[actix_web::test]
async fn every_wrong_field_is_named_at_once() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let id = made(&instance, &service, "Owner", false).await;
    for (body, wanted) in [
        (
            json!({"enableBasicAuth": null}),
            &["enableBasicAuth", "name"][..],
        ),
        (
            json!({"enableBasicAuth": "true", "email": 1}),
            &["email", "enableBasicAuth", "name"],
        ),
        (json!({"name": "x", "email": ""}), &["email"]),
        (json!({"name": "x", "email": "a@b@c"}), &["email"]),
        (
            json!({"name": "x", "email": "a@b.c\r\nBcc: x@y.z"}),
            &["email"],
        ),
        (
            json!({"name": "x", "email": format!("{}@b.c", "a".repeat(400))}),
            &["email"],
        ),
        (
            json!({"name": "x", "enableBasicAuth": 0}),
            &["enableBasicAuth"],
        ),
    ] {
        let ask = Ask::post(&service, BASE).by(&instance.operator);
        let got = ask.sends(&body).got().await;
        let wanted: Vec<_> = wanted
            .iter()
            .map(|it| format!("serviceAccount.{it}"))
            .collect();
        assert_eq!(got.hints(), wanted, "{body}");
    }
    for method in [Method::PATCH, Method::PUT] {
        let ask = |body: Value| {
            let ask = Ask::new(&service, method.clone(), &format!("{BASE}/{id}"));
            ask.by(&instance.operator).sends(&body)
        };
        let got = ask(json!({"name": 1, "enableBasicAuth": null})).got().await;
        assert_eq!(
            got.hints(),
            ["serviceAccount.enableBasicAuth", "serviceAccount.name"]
        );
        let got = ask(json!({"email": 1, "keys": "x", "": {}})).got().await;
        assert_eq!(got.json()["name"], "Owner", "{}", got.text);
    }
    for body in [json!([]), json!("x"), json!(1), json!(false)] {
        let ask = Ask::post(&service, BASE).by(&instance.operator);
        assert_eq!(ask.sends(&body).got().await.hints(), ["body"], "{body}");
        let ask = Ask::post(&service, &format!("{BASE}/{id}/key")).by(&instance.operator);
        assert_eq!(ask.sends(&body).got().await.hints(), ["body"], "{body}");
    }
}

#[actix_web::test]
async fn bodies_methods_and_paths() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let id = made(&instance, &service, "Owner", false).await;
    let (one, keys) = (format!("{BASE}/{id}"), format!("{BASE}/{id}/key"));
    for (method, path) in [
        (Method::POST, BASE),
        (Method::PUT, &one),
        (Method::POST, &keys),
    ] {
        let ask = || Ask::new(&service, method.clone(), path).by(operator);
        for body in [
            "{",
            "{\"name\": \"a\", \"name\": \"b\"}",
            "nul",
            "{}{}",
            "\u{feff}{}",
            "'x'",
        ] {
            ask().body("application/json", body).got().await.neowit(400);
        }
        ask()
            .body("application/json", &b"{\"name\": \"\xff\"}"[..])
            .got()
            .await
            .neowit(400);
        let deep = "[".repeat(10_000);
        ask().body("application/json", deep).got().await.neowit(400);
        let huge = "x".repeat(64 * 1024 + 1);
        ask()
            .body("application/json", huge.clone())
            .got()
            .await
            .neowit(413);
        ask().body("text/plain", huge).got().await.neowit(415);
        for kind in [
            "text/json",
            "application/merge-patch+json",
            "application",
            "",
        ] {
            ask()
                .body(kind, "{\"name\": \"x\"}")
                .got()
                .await
                .neowit(415);
        }
        let twice = ask()
            .body("application/json", "{}")
            .with("content-type", "application/json");
        twice.got().await.neowit(415);
    }
    let patch = Ask::new(&service, Method::PATCH, &one).by(operator);
    let got = patch
        .body("application/merge-patch+json; charset=utf-8", "{}")
        .got()
        .await;
    assert_eq!(got.status, 200, "{}", got.text);
    for (method, path, allow) in [
        (Method::PUT, BASE.to_owned(), "GET, POST"),
        (Method::OPTIONS, BASE.to_owned(), "GET, POST"),
        (Method::POST, one.clone(), "GET, PUT, PATCH, DELETE"),
        (Method::PATCH, keys.clone(), "GET, POST"),
        (Method::GET, format!("{keys}/0000000000000000"), "DELETE"),
    ] {
        let got = Ask::new(&service, method, &path).got().await;
        got.neowit(405);
        assert_eq!(got.header("allow"), allow, "{path}");
    }
    for path in [
        "/api/service-account/v1",
        "/api/service-account/v1/",
        "/api/service-account/v1/service-accounts",
        &format!("{one}/"),
        &format!("{one}/keys"),
        &format!("{keys}/a/b"),
    ] {
        Ask::get(&service, path)
            .by(operator)
            .got()
            .await
            .neowit(404);
    }
    // Collections answer with a slash at their end, which no document names.
    for path in [BASE, &keys] {
        let slash = format!("{path}/?orgId={}", instance.account);
        let got = Ask::get(&service, &slash)
            .by(operator)
            .got_from_elsewhere()
            .await;
        let plain = Ask::get(&service, path).by(operator).got().await;
        assert_eq!((got.status, got.text), (plain.status, plain.text));
        let got = Ask::get(&service, &slash).got_from_elsewhere().await;
        got.neowit(401);
        let post = Ask::post(&service, &slash).by(operator);
        let got = post
            .sends(&json!({"name": "Slash"}))
            .got_from_elsewhere()
            .await;
        assert_eq!(got.status, 201, "{}", got.text);
    }
}

#[actix_web::test]
async fn prose_follows_the_language_and_nothing_else_does() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let ask = |language| {
        let ask = Ask::post(&service, BASE).by(&instance.operator);
        let ask = ask
            .with("accept-language", language)
            .with("x-request-id", "same-id-1");
        ask.sends(&json!({"name": ""}))
    };
    let (arabic, english) = (ask("ar-EG, en;q=0.5").got().await, ask("fr").got().await);
    assert_eq!(arabic.header("content-language"), "ar");
    assert_ne!(arabic.neowit(400), english.neowit(400));
    assert_eq!(arabic.hints(), english.hints());
    let (arabic, english) = (arabic.json(), english.json());
    assert_ne!(arabic["validations"], english["validations"]);
    assert_eq!(arabic["status"], english["status"]);
    assert_eq!(arabic["traceID"], english["traceID"]);
}

/// Garbage of every kind, from seeded dice: always an answer that the document knows.
#[actix_web::test]
async fn garbage_gets_documented_answers() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let id = made(&instance, &service, "Owner", false).await;
    let paths = [
        (Method::POST, BASE.to_owned()),
        (Method::PUT, format!("{BASE}/{id}")),
        (Method::PATCH, format!("{BASE}/{id}")),
    ];
    let mut dice = SeededDice::new(41);
    for round in 0..600 {
        let (method, path) = &paths[round % paths.len()];
        let body = garbage(&mut dice, 0);
        let ask = Ask::new(&service, method.clone(), path).by(&instance.operator);
        let got = ask.body("application/json", body.clone()).got().await;
        match got.status.as_u16() {
            200 | 201 => {}
            400 | 409 => drop(got.neowit(got.status.as_u16())),
            _ => panic!("{method} {path} {body}: {}", got.text),
        }
    }
}

fn garbage(dice: &mut SeededDice, depth: u8) -> String {
    let mut roll = |sides: u8| {
        let mut byte = [0];
        dice.fill(&mut byte);
        byte[0] % sides
    };
    let kind = if depth == 0 { 8 } else { roll(11) };
    let word = [
        "",
        "x",
        "name",
        "\\u0000",
        "بوابة",
        "\\ud800",
        "a@b.c",
        "🦀",
        "\\n",
    ];
    match kind {
        0 => "null".to_owned(),
        1 => "true".to_owned(),
        2 => "-0".to_owned(),
        3 => "1e400".to_owned(),
        4 => "9223372036854775808".to_owned(),
        5 | 6 => format!(
            "\"{}\"",
            word[usize::from(roll(9))].repeat(usize::from(roll(130)))
        ),
        7 if depth < 4 => {
            let items: Vec<_> = (0..roll(4)).collect();
            let items: Vec<_> = items.iter().map(|_| garbage(dice, depth + 1)).collect();
            format!("[{}]", items.join(","))
        }
        8 | 9 if depth < 4 => {
            let names: Vec<_> = (0..roll(5))
                .map(|_| ["name", "enableBasicAuth", "email", "keys", "id"][usize::from(roll(5))])
                .collect();
            let fields: Vec<_> = names
                .iter()
                .map(|name| format!("\"{name}\": {}", garbage(dice, depth + 1)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        _ => ["{", "]", "'x'", "nul", "\"\u{1}\"", "{\"a\"}"][usize::from(roll(6))].to_owned(),
    }
}
