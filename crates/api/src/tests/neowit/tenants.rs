//! Organisations, environments, permissions; and what other doors made.

use super::*;
use std::time::Duration;

/// Makes a service account at the native door; its id and token.
async fn native<S, B>(instance: &Instance, service: &S, body: Value) -> (String, String)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let made = instance.create(service, body).await.json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

async fn another_organisation_looks_like_none(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let account = Ask::post(&service, "/v1/public/accounts").by(operator);
    let account = account.sends(&json!({"name": "Second"})).got().await.json();
    let second = account["id"].as_str().unwrap();
    let pinned = |path: &str| format!("{path}?orgId={second}");
    // An operator may name any.
    let create = Ask::post(&service, &pinned(BASE)).by(operator);
    let theirs = create.sends(&json!({"name": "Theirs"})).got().await.json();
    let theirs = format!("{BASE}/{}", theirs["id"].as_str().unwrap());
    let key = Ask::post(&service, &pinned(&format!("{theirs}/key"))).by(operator);
    let key = key.got().await.json();
    let key = format!("{theirs}/key/{}", key["keyId"].as_str().unwrap());
    let list = Ask::get(&service, &pinned(BASE)).by(operator).got().await;
    assert_eq!(list.json()["serviceAccounts"][0]["name"], "Theirs");
    let list = Ask::get(&service, BASE).by(operator).got().await;
    assert_eq!(list.json(), json!({"serviceAccounts": []}));
    // Names are exclusive within an organisation.
    made(&instance, &service, "Theirs", false).await;

    let admin = json!({"name": "Admin", "scopes": ["symbolon:admin"]});
    let (_, admin) = native(&instance, &service, admin).await;
    let body = json!({"name": "Mine"});
    for (method, path) in [
        (Method::GET, BASE),
        (Method::POST, BASE),
        (Method::GET, &theirs),
        (Method::PATCH, &theirs),
        (Method::PUT, &theirs),
        (Method::DELETE, &theirs),
        (Method::GET, &format!("{theirs}/key")),
        (Method::POST, &format!("{theirs}/key")),
        (Method::DELETE, &key),
    ] {
        let ask = |path: &str| {
            let ask = Ask::new(&service, method.clone(), path).by(&admin);
            ask.with("x-request-id", "same-id-1").sends(&body)
        };
        let foreign = ask(&pinned(path)).got().await;
        foreign.neowit(404);
        let nowhere = format!("{path}?orgId=0198a7c2-0000-7000-8000-000000000000");
        assert_eq!(
            foreign.text,
            ask(&nowhere).got().await.text,
            "{method} {path}"
        );
        if path != BASE {
            assert_eq!(foreign.text, ask(path).got().await.text, "{method} {path}");
        }
    }
    let own = Ask::get(&service, &format!("{BASE}?orgId={}", instance.account));
    assert_eq!(own.by(&admin).got().await.status, 200);
    let untouched = Ask::get(&service, &pinned(&theirs))
        .by(operator)
        .got()
        .await;
    assert_eq!(untouched.json()["name"], "Theirs");
    assert_eq!(untouched.json()["keys"].as_array().unwrap().len(), 1);
}

async fn new_ones_belong_to_their_makers_environment(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let environments = format!("/v1/public/accounts/{}/environments", instance.account);
    let environment = Ask::post(&service, &environments).by(operator);
    let environment = environment.sends(&json!({"name": "Test"})).got().await;
    let environment = environment.json()["id"].as_str().unwrap().to_owned();
    let bound = json!({
        "name": "Bound", "scopes": ["symbolon:admin"], "environment_id": environment,
    });
    let (_, bound) = native(&instance, &service, bound).await;
    let outside = made(&instance, &service, "Outside", false).await;
    instance.clock.advance(Duration::from_secs(1));
    let create = Ask::post(&service, BASE).by(&bound);
    let inside = create.sends(&json!({"name": "Inside"})).got().await.json();
    let shown = format!(
        "{}/{}",
        instance.service_accounts(),
        inside["id"].as_str().unwrap()
    );
    let shown = Ask::get(&service, &shown).by(operator).got().await.json();
    assert_eq!(shown["environment_id"], environment);
    let list = Ask::get(&service, BASE).by(&bound).got().await.json();
    let names: Vec<_> = list["serviceAccounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Bound", "Inside"]);
    for (method, path) in [
        (Method::GET, format!("{BASE}/{outside}")),
        (Method::DELETE, format!("{BASE}/{outside}")),
        (Method::POST, format!("{BASE}/{outside}/key")),
    ] {
        Ask::new(&service, method, &path)
            .by(&bound)
            .got()
            .await
            .neowit(404);
    }
}

/// Whoever is no admin makes no admins.
async fn nobody_makes_more_than_themselves(instance: Instance) {
    let service = serve!(instance.app);
    let scopes = [
        "service-accounts:read",
        "service-accounts:write",
        "tokens:read",
    ];
    let scopes = scopes.map(|scope| format!("symbolon:{scope}"));
    let clerk = json!({"name": "Clerk", "scopes": scopes});
    let (_, clerk) = native(&instance, &service, clerk).await;
    let create = Ask::post(&service, BASE).by(&clerk);
    let made = create.sends(&json!({"name": "Child"})).got().await.json();
    let child = made["id"].as_str().unwrap();
    let shown = format!("{}/{child}", instance.service_accounts());
    let shown = Ask::get(&service, &shown)
        .by(&instance.operator)
        .got()
        .await;
    assert_eq!(shown.json()["scopes"], json!([]));
    // Keys are another permission.
    let path = format!("{BASE}/{child}/key");
    Ask::post(&service, &path)
        .by(&clerk)
        .got()
        .await
        .neowit(403);
    let strong = super::made(&instance, &service, "Strong", false).await;
    let smith = json!({"name": "Smith", "scopes": ["symbolon:tokens:write"]});
    let (_, smith) = native(&instance, &service, smith).await;
    assert_eq!(
        Ask::post(&service, &path).by(&smith).got().await.status,
        201
    );
    // The key would be an admin's.
    let path = format!("{BASE}/{strong}/key");
    Ask::post(&service, &path)
        .by(&smith)
        .got()
        .await
        .neowit(403);
    let key = key(&instance, &service, &strong).await;
    let delete = Ask::new(&service, Method::DELETE, &format!("{path}/{}", key.id));
    assert_eq!(
        delete.by(&smith).got().await.status,
        204,
        "ending takes the permission alone"
    );
}

/// Objects come with their keys: an answer without them would be wrong.
async fn reading_takes_the_permission_to_see_keys(instance: Instance) {
    let service = serve!(instance.app);
    let id = made(&instance, &service, "Gateway", false).await;
    let one = format!("{BASE}/{id}");
    let scopes = [
        "symbolon:service-accounts:read",
        "symbolon:service-accounts:write",
    ];
    let (_, blind) = native(
        &instance,
        &service,
        json!({"name": "Blind", "scopes": scopes}),
    )
    .await;
    for (method, path) in [
        (Method::GET, BASE),
        (Method::GET, &one),
        (Method::PATCH, &one),
    ] {
        let ask = Ask::new(&service, method, path).by(&blind);
        let got = ask.sends(&json!({"name": "Changed"})).got().await;
        got.neowit(403);
        assert!(
            got.header("www-authenticate")
                .contains("symbolon:tokens:read")
        );
    }
    let shown = Ask::get(&service, &one).by(&instance.operator).got().await;
    assert_eq!(shown.json()["name"], "Gateway");
    let delete = Ask::new(&service, Method::DELETE, &one).by(&blind);
    assert_eq!(delete.got().await.status, 204);
}

async fn what_other_doors_made_is_seen_without_its_tokens(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let (id, _) = native(&instance, &service, json!({"name": "فوترة"})).await;
    let twin = json!({"name": "فوترة"});
    Ask::post(&service, BASE)
        .by(operator)
        .sends(&twin)
        .got()
        .await
        .neowit(409);
    let keys = format!("{}/{id}/keys", instance.service_accounts());
    let made = Ask::post(&service, &keys).by(operator).got().await.json();
    let key = made["key_id"].as_str().unwrap();
    let got = Ask::get(&service, &format!("{BASE}/{id}"))
        .by(operator)
        .got()
        .await;
    let created = instance.app.now().as_seconds();
    let wanted = json!({
        "created": created, "enableBasicAuth": false, "id": id,
        "keys": [{"created": created, "keyId": key}], "name": "فوترة",
    });
    assert_eq!(got.json(), wanted);
    // The primary token is nobody's key.
    let token = symbolon_domain::token_text::parse(operator)
        .unwrap()
        .public_id;
    let delete = Ask::new(
        &service,
        Method::DELETE,
        &format!("{BASE}/{id}/key/{token}"),
    );
    delete.by(operator).got().await.neowit(404);
    let delete = Ask::new(&service, Method::DELETE, &format!("{BASE}/{id}")).by(operator);
    assert_eq!(delete.got().await.status, 204);
    let list = format!("{}?include_revoked=true", instance.service_accounts());
    let list = Ask::get(&service, &list).by(operator).got().await.json();
    assert_eq!(
        (&list[0]["id"], &list[0]["status"]),
        (&json!(id), &json!("revoked"))
    );
}

/// What is made here asks its contact, or the account's ops addresses, to confirm.
async fn the_contact_is_asked(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let account = format!("/v1/public/accounts/{}", instance.account);
    let patch = Ask::new(&service, Method::PATCH, &account).by(operator);
    let ops = json!({"ops_addresses": ["ops@example.com"]});
    assert_eq!(patch.sends(&ops).got().await.status, 200);
    for (body, email) in [
        (
            json!({"name": "One", "email": "John.Doe@Example.com"}),
            json!("John.Doe@Example.com"),
        ),
        (json!({"name": "Two", "email": null}), Value::Null),
        (json!({"name": "Three"}), Value::Null),
    ] {
        let made = Ask::post(&service, BASE)
            .by(operator)
            .sends(&body)
            .got()
            .await
            .json();
        let path = format!(
            "{}/{}",
            instance.service_accounts(),
            made["id"].as_str().unwrap()
        );
        let shown = Ask::get(&service, &path).by(operator).got().await.json();
        assert_eq!(
            (&shown["contact_email"], &shown["contact_state"]),
            (&email, &json!("pending"))
        );
    }
}

on_both!(
    another_organisation_looks_like_none,
    new_ones_belong_to_their_makers_environment,
    nobody_makes_more_than_themselves,
    reading_takes_the_permission_to_see_keys,
    what_other_doors_made_is_seen_without_its_tokens,
    the_contact_is_asked,
);
