//! What tokens may do, and the order in which making one is refused.

use super::*;

async fn a_token_follows_the_role_of_its_service_account(instance: Instance) {
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Robot", 3).await;
    let token = token(&instance, &service, owner, "CI").await;
    let secret = token["secret"].as_str().unwrap();
    let create = async |name: &str| {
        let ask = Ask::post(&service, BASE).with("authorization", secret);
        ask.sends(&account(name, 3)).got().await
    };
    assert_eq!(create("First").await.unleash(403), "NoAccessError");
    let one = format!("{BASE}/{owner}");
    let role = async |role: i64| {
        let put = Ask::new(&service, Method::PUT, &one).by(&instance.operator);
        let got = put.sends(&json!({"rootRole": role})).got().await;
        assert_eq!(got.json()["rootRole"], role, "{}", got.text);
    };
    role(1).await;
    assert_eq!(create("First").await.status, 201);
    role(2).await;
    assert_eq!(create("Second").await.unleash(403), "NoAccessError");

    let delete = Ask::new(&service, Method::DELETE, &one).by(&instance.operator);
    assert_eq!(delete.got().await.status, 200);
    assert_eq!(create("Second").await.unleash(401), "UnauthorizedError");
    let got = Ask::get(&service, BASE).by(&instance.operator).got().await;
    assert!(!got.text.contains("Robot"));
}

async fn nobody_makes_what_is_stronger(instance: Instance) {
    let service = serve!(instance.app);
    let admin = made(&instance, &service, "Admin", 1).await;
    let editor = made(&instance, &service, "Editor", 2).await;
    let token = token(&instance, &service, editor, "CI").await;
    let secret = token["secret"].as_str().unwrap();
    let post = |owner: i64| {
        let path = format!("{BASE}/{owner}/token");
        let ask = Ask::post(&service, &path).with("authorization", secret);
        ask.sends(&json!({"description": "more", "expiresAt": "2027-01-01T00:00:00Z"}))
    };
    assert_eq!(post(admin).got().await.unleash(403), "NoAccessError");
    assert_eq!(post(editor).got().await.status, 201);
}

/// Each request is wrong in one thing less than the one before.
async fn checks_come_in_their_order(instance: Instance) {
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Owner", 2).await;
    let viewer = made(&instance, &service, "Viewer", 3).await;
    let weak = token(&instance, &service, viewer, "reads").await;
    let weak = weak["secret"].as_str().unwrap();
    for n in 0..10 {
        token(&instance, &service, owner, &format!("token {n}")).await;
    }
    let (there, nowhere) = (
        format!("{BASE}/{owner}/token"),
        format!("{BASE}/nobody/token"),
    );
    let ask = |path: &str, token: &str| Ask::post(&service, path).with("authorization", token);
    let operator = instance.operator.as_str();
    let body =
        |description: Value, end: &str| json!({"description": description, "expiresAt": end});
    let (past, future) = ("2001-01-01T00:00:00Z", "2027-01-01T00:00:00Z");

    let got = Ask::post(&service, &nowhere)
        .body("text/plain", "{")
        .got()
        .await;
    assert_eq!(got.unleash(401), "AuthenticationRequired");
    let got = ask(&nowhere, weak).body("text/plain", "{").got().await;
    assert_eq!(got.unleash(403), "NoAccessError");
    let got = ask(&nowhere, operator).body("text/plain", "{").got().await;
    assert_eq!(got.unleash(415), "ContentTypeerror");
    let got = ask(&nowhere, operator)
        .body("application/json", "{")
        .got()
        .await;
    assert_eq!(got.unleash(400), "BadDataError");
    let got = ask(&nowhere, operator)
        .sends(&body(json!(1), past))
        .got()
        .await;
    assert_eq!(got.paths(), ["description"]);
    let got = ask(&nowhere, operator)
        .sends(&body(json!(""), past))
        .got()
        .await;
    assert_eq!(got.unleash(404), "NotFoundError");
    let got = ask(&there, operator)
        .sends(&body(json!(""), past))
        .got()
        .await;
    assert_eq!(got.paths(), ["description"]);
    let got = ask(&there, operator)
        .sends(&body(json!("token 1"), past))
        .got()
        .await;
    assert_eq!(got.paths(), ["expiresAt"]);
    let got = ask(&there, operator)
        .sends(&body(json!("token 1"), future))
        .got()
        .await;
    assert_eq!(got.unleash(403), "OperationDeniedError");
    let first = Ask::get(&service, &there).by(operator).got().await.json();
    let first = format!("{there}/{}", first["pats"][0]["id"]);
    let delete = Ask::new(&service, Method::DELETE, &first).by(operator);
    assert_eq!(delete.got().await.status, 200);
    let got = ask(&there, operator)
        .sends(&body(json!("token 1"), future))
        .got()
        .await;
    assert_eq!(got.unleash(409), "NameExistsError");
    // Exactly so, and only within the same service account.
    let got = ask(&there, operator)
        .sends(&body(json!("Token 1"), future))
        .got()
        .await;
    assert_eq!(got.status, 201, "{}", got.text);
    let other = format!("{BASE}/{viewer}/token");
    let got = ask(&other, operator)
        .sends(&body(json!("token 1"), future))
        .got()
        .await;
    assert_eq!(got.status, 201, "{}", got.text);
}

async fn ids_grow_and_are_never_used_again(instance: Instance) {
    let service = serve!(instance.app);
    let (mut last, mut seen) = (0, Vec::new());
    for n in 0..4 {
        let owner = made(&instance, &service, &format!("Worker{n}"), 2).await;
        let token = token(&instance, &service, owner, "CI").await;
        let id = token["id"].as_i64().unwrap();
        assert!(owner > last && id > owner, "{last} {owner} {id}");
        assert_eq!(token["userId"], owner);
        let one = format!("{BASE}/{owner}");
        let delete = Ask::new(&service, Method::DELETE, &one).by(&instance.operator);
        assert_eq!(delete.got().await.status, 200);
        last = id;
        seen.push(owner);
    }
    // A token's number names no service account, and the other way round.
    let owner = made(&instance, &service, "Last", 2).await;
    let token = token(&instance, &service, owner, "CI").await;
    let path = format!("{BASE}/{}/token", token["id"]);
    let got = Ask::get(&service, &path).by(&instance.operator).got().await;
    assert_eq!(got.unleash(404), "NotFoundError");
    let path = format!("{BASE}/{owner}/token/{owner}");
    let delete = Ask::new(&service, Method::DELETE, &path).by(&instance.operator);
    assert_eq!(delete.got().await.unleash(404), "NotFoundError");
    for gone in seen {
        let path = format!("{BASE}/{gone}/token");
        let got = Ask::get(&service, &path).by(&instance.operator).got().await;
        assert_eq!(got.unleash(404), "NotFoundError");
    }
}

async fn the_policy_of_the_account_holds(instance: Instance) {
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Owner", 2).await;
    let account = format!("/v1/public/accounts/{}", instance.account);
    let policy = json!({"policy": {"max_lifetime": "30d", "tokens_per_service_account": 1}});
    let patch = Ask::new(&service, Method::PATCH, &account).by(&instance.operator);
    assert_eq!(patch.sends(&policy).got().await.status, 200);
    let path = format!("{BASE}/{owner}/token");
    let create = async |description: &str, end: &str| {
        let ask = Ask::post(&service, &path).by(&instance.operator);
        let body = json!({"description": description, "expiresAt": end});
        ask.sends(&body).got().await
    };
    let got = create("CI", "2026-12-22T00:00:00.000001Z").await;
    assert_eq!(got.paths(), ["expiresAt"]);
    assert_eq!(create("CI", "2026-12-22T00:00:00Z").await.status, 201);
    let got = create("More", "2026-12-22T00:00:00Z").await;
    assert_eq!(got.unleash(403), "OperationDeniedError");
}

/// Roles are replaced within the scopes of the moment, so updates that meet are thought out anew.
async fn updates_that_meet_all_happen(instance: Instance) {
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Owner", 1).await;
    let path = format!("{BASE}/{owner}");
    let update = |n: i64| {
        let put = Ask::new(&service, Method::PUT, &path).by(&instance.operator);
        put.sends(&json!({"name": format!("Name {n}"), "rootRole": n}))
            .got()
    };
    let (a, b, c) = futures_util::join!(update(1), update(2), update(3));
    for (n, got) in (1..).zip([a, b, c]) {
        assert_eq!(got.status, 200, "{}", got.text);
        let body = got.json();
        assert_eq!(
            (&body["name"], &body["rootRole"]),
            (&json!(format!("Name {n}")), &json!(n))
        );
    }
}

on_both!(
    a_token_follows_the_role_of_its_service_account,
    nobody_makes_what_is_stronger,
    checks_come_in_their_order,
    ids_grow_and_are_never_used_again,
    the_policy_of_the_account_holds,
    updates_that_meet_all_happen,
);
