//! What was made elsewhere, seen from here; and other tenants, environments and languages.

use super::*;
use std::time::Duration;

async fn what_the_native_door_made(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let native = |name: &str, scopes: Value| json!({"name": name, "scopes": scopes});
    let mixed = json!(["invoices:read", "symbolon:admin"]);
    let first = instance
        .create(&service, native("فوترة EU", mixed))
        .await
        .json();
    let second = instance
        .create(&service, native("Nothing", json!(["invoices:read"])))
        .await
        .json();
    let list = async || Ask::get(&service, BASE).by(operator).got().await.json();
    let listed = list().await;
    let one = |at: usize| &listed["serviceAccounts"][at];
    let number = one(0)["id"].as_i64().unwrap();
    assert_eq!(one(0)["username"], format!("service-account-{number}"));
    assert_eq!(
        (&one(0)["rootRole"], one(1).get("rootRole")),
        (&json!(1), None)
    );
    let roles = listed["rootRoles"].as_array().unwrap();
    assert_eq!(roles.iter().map(|it| &it["id"]).collect::<Vec<_>>(), [1]);
    // Its primary token has no description and no end.
    let primary = &one(0)["tokens"][0];
    let shown = format!(
        "{}{}",
        first["token_prefix"].as_str().unwrap(),
        first["token_public_id"].as_str().unwrap()
    );
    assert_eq!(primary["description"], shown);
    assert!(
        primary["expiresAt"]
            .as_str()
            .unwrap()
            .starts_with("3026-11-")
    );
    assert_eq!(primary["userId"], number);
    assert!(primary.get("expiryWarning").is_none() && primary.get("secret").is_none());

    // Another role leaves the application scopes; what has none of a role has none here.
    let path = format!("{BASE}/{number}");
    let put = Ask::new(&service, Method::PUT, &path).by(operator);
    let got = put.sends(&json!({"rootRole": 3})).got().await;
    assert_eq!(got.json()["rootRole"], 3, "{}", got.text);
    let id = first["id"].as_str().unwrap();
    let native = format!("{}/{id}", instance.service_accounts());
    let got = Ask::get(&service, &native).by(operator).got().await;
    let scopes = got.json()["scopes"].as_array().unwrap().clone();
    assert!(scopes.contains(&json!("invoices:read")), "{scopes:?}");
    assert!(!scopes.contains(&json!("symbolon:admin")), "{scopes:?}");
    let path = format!("{BASE}/{}/permissions", one(1)["id"]);
    let got = Ask::get(&service, &path).by(operator).got().await.json();
    assert_eq!(
        (&got["permissions"], got.get("rootRole")),
        (&json!([]), None)
    );

    // A token in its grace ends when that does.
    let rotate = Ask::post(&service, &format!("{native}/rotate")).by(operator);
    let got = rotate.sends(&json!({"grace": "24h"})).got().await;
    assert_eq!(got.status, 200, "{}", got.text);
    let tokens = list().await["serviceAccounts"][0]["tokens"].clone();
    assert_eq!(tokens.as_array().unwrap().len(), 2);
    assert_eq!(tokens[0]["expiresAt"], "2026-11-23T00:00:00Z");
    instance.clock.advance(Duration::from_secs(86_400));
    let tokens = list().await["serviceAccounts"][0]["tokens"].clone();
    assert_eq!(tokens[0]["expiryWarning"], "expired");

    // Revoked there is gone here, and what is deleted here is revoked there.
    let revoke = format!(
        "{}/{}",
        instance.service_accounts(),
        second["id"].as_str().unwrap()
    );
    let revoke = Ask::new(&service, Method::DELETE, &revoke).by(operator);
    assert_eq!(revoke.got().await.status, 204);
    let path = format!("{BASE}/{number}");
    let delete = Ask::new(&service, Method::DELETE, &path).by(operator);
    assert_eq!(delete.got().await.status, 200);
    assert_eq!(list().await["serviceAccounts"], json!([]));
    let got = Ask::get(&service, &native).by(operator).got().await;
    assert_eq!(got.json()["status"], "revoked");
}

async fn suspended_ones_take_no_tokens(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let made = instance
        .create(&service, json!({"name": "Idle"}))
        .await
        .json();
    let native = format!(
        "{}/{}",
        instance.service_accounts(),
        made["id"].as_str().unwrap()
    );
    let suspend = Ask::post(&service, &format!("{native}/suspend")).by(operator);
    assert_eq!(suspend.got().await.status, 200);
    let listed = Ask::get(&service, BASE).by(operator).got().await.json();
    let path = format!("{BASE}/{}/token", listed["serviceAccounts"][0]["id"]);
    let post = Ask::post(&service, &path).by(operator);
    let body = json!({"description": "CI", "expiresAt": "2027-01-01T00:00:00Z"});
    let got = post.sends(&body).got().await;
    assert_eq!(got.unleash(403), "OperationDeniedError");
}

async fn what_is_made_here_is_seen_at_the_native_door(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let owner = made(&instance, &service, "Robot", 2).await;
    token(&instance, &service, owner, "CI").await;
    let list = Ask::get(&service, &instance.service_accounts()).by(operator);
    let listed = list.got().await.json();
    assert_eq!(listed[0]["name"], "Robot");
    assert_eq!(listed[0]["token_prefix"], "", "it has no primary token");
    let id = listed[0]["id"].as_str().unwrap();
    let path = format!("{}/{id}/tokens", instance.service_accounts());
    let tokens = Ask::get(&service, &path).by(operator).got().await.json();
    assert_eq!(tokens[0]["description"], "CI");
    assert_eq!(tokens[0]["token_prefix"], "user:");
    assert_eq!(tokens[0]["scopes"], listed[0]["scopes"], "it inherits them");
}

/// A caller who may not see tokens is shown none, which is not the same as having none.
async fn tokens_are_for_those_who_may_see_them(instance: Instance) {
    let service = serve!(instance.app);
    let scopes = json!({"name": "Lister", "scopes": ["symbolon:service-accounts:read"]});
    let made = instance.create(&service, scopes).await.json();
    let got = Ask::get(&service, BASE)
        .by(made["token"].as_str().unwrap())
        .got()
        .await;
    assert_eq!(got.status, 200, "{}", got.text);
    assert!(got.json()["serviceAccounts"][0].get("tokens").is_none());
    let path = format!("{BASE}/{}/token", got.json()["serviceAccounts"][0]["id"]);
    let got = Ask::get(&service, &path)
        .by(made["token"].as_str().unwrap())
        .got()
        .await;
    assert_eq!(got.unleash(403), "NoAccessError");
}

async fn other_tenants_and_environments_are_not_there(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let admin = json!(["symbolon:admin"]);
    let native = async |account: &str, body: Value| {
        let path = format!("/v1/public/accounts/{account}/auth/service-accounts");
        let got = Ask::post(&service, &path)
            .by(operator)
            .sends(&body)
            .got()
            .await;
        assert_eq!(got.status, 201, "{}", got.text);
        got.json()
    };
    let other = Ask::post(&service, "/v1/public/accounts").by(operator);
    let other = other.sends(&json!({"name": "Other"})).got().await.json();
    let other = other["id"].as_str().unwrap();
    let theirs = native(other, json!({"name": "Theirs", "scopes": admin})).await;
    let theirs = theirs["token"].as_str().unwrap();
    let environments = format!("/v1/public/accounts/{}/environments", instance.account);
    let test = Ask::post(&service, &environments).by(operator);
    let test = test.sends(&json!({"name": "Test"})).got().await.json();
    let bound = json!({"name": "Bound", "scopes": admin, "environment_id": test["id"]});
    let bound = native(&instance.account.to_string(), bound).await;
    let bound = bound["token"].as_str().unwrap();

    let owner = made(&instance, &service, "Mine", 2).await;
    let token = token(&instance, &service, owner, "CI").await;
    let one = format!("{BASE}/{owner}");
    let tokens = format!("{one}/token");
    let pat = json!({"description": "x", "expiresAt": "2027-01-01T00:00:00Z"});
    for foreigner in [theirs, bound] {
        for (method, path, body) in [
            (Method::PUT, one.clone(), Some(json!({"name": "x"}))),
            (Method::DELETE, one.clone(), None),
            (Method::GET, format!("{one}/permissions"), None),
            (Method::GET, tokens.clone(), None),
            (Method::POST, tokens.clone(), Some(pat.clone())),
            (Method::DELETE, format!("{tokens}/{}", token["id"]), None),
        ] {
            let ask = |path: &str| {
                let ask = Ask::new(&service, method.clone(), path).by(foreigner);
                match &body {
                    Some(body) => ask.sends(body),
                    None => ask,
                }
            };
            let got = ask(&path).got().await;
            assert_eq!(got.unleash(404), "NotFoundError", "{method} {path}");
            let unknown = ask(&path.replacen(&owner.to_string(), "987654", 1))
                .got()
                .await;
            assert_eq!(unknown.json()["message"], got.json()["message"]);
        }
    }
    // The one bound to an environment sees and makes only what belongs to it.
    let created = Ask::post(&service, BASE).by(bound);
    let created = created.sends(&account("Inside", 3)).got().await;
    assert_eq!(created.status, 201, "{}", created.text);
    let names = async |token: &str| {
        let got = Ask::get(&service, BASE).by(token).got().await.json();
        let all = got["serviceAccounts"].as_array().unwrap().clone();
        let name = |it: &Value| it["name"].as_str().unwrap().to_owned();
        all.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(bound).await, ["Bound", "Inside"]);
    assert_eq!(names(theirs).await, ["Theirs"]);
    assert_eq!(names(operator).await, ["Bound", "Mine", "Inside"]);
    // A username is taken in one account, and free in the next.
    let again = Ask::post(&service, BASE)
        .by(theirs)
        .sends(&account("Mine", 3));
    assert_eq!(again.got().await.status, 201);
    let again = Ask::post(&service, BASE)
        .by(operator)
        .sends(&account("Mine", 3));
    assert_eq!(again.got().await.unleash(409), "NameExistsError");
}

async fn only_prose_depends_on_the_language(instance: Instance) {
    let service = serve!(instance.app);
    let wrong = json!({"name": 1, "rootRole": 9});
    let ask = async |language: &str| {
        let ask = Ask::post(&service, BASE).by(&instance.operator);
        let got = ask
            .with("accept-language", language)
            .sends(&wrong)
            .got()
            .await;
        assert_eq!(got.paths(), ["name", "username", "rootRole"]);
        assert_eq!(got.header("content-language"), language);
        got.json()
    };
    let (english, arabic) = (ask("en").await, ask("ar").await);
    assert_eq!(english["name"], arabic["name"]);
    assert_eq!(english["message"], "request validation failed");
    assert_ne!(english["message"], arabic["message"]);
    assert_ne!(
        english["details"][0]["message"],
        arabic["details"][0]["message"]
    );
}

on_both!(
    what_the_native_door_made,
    suspended_ones_take_no_tokens,
    what_is_made_here_is_seen_at_the_native_door,
    tokens_are_for_those_who_may_see_them,
    other_tenants_and_environments_are_not_there,
    only_prose_depends_on_the_language,
);
