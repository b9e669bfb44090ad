//! What a new token is: its scope, its reach, its end, and no more than its maker.

use super::*;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

#[actix_web::test]
async fn a_token_belongs_where_its_scope_says() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let account = instance.account;
    let environment = world.environment(account, "Production").await;
    let environment = environment_ref(&environment, account);
    let mine = account_ref(account);
    for (body, environment_id) in [
        (json!({"token_scope": "account"}), Value::Null),
        (
            json!({"token_scope": "account", "account_id": null, "environment_id": null, "expires_at": null,
                "agent_id": null, "agent_deployment_id": null, "idempotency_key": null, "colour": {"a": [1]}}),
            Value::Null,
        ),
        (
            json!({"token_scope": "account", "account_id": mine}),
            Value::Null,
        ),
        (
            json!({"token_scope": "environment", "environment_id": environment}),
            environment.clone().into(),
        ),
    ] {
        for body in [body.clone(), json!({"details": body, "token_scope": 7})] {
            let made = world.create(&body).await;
            let details = &made["details"];
            assert_eq!(details["account_id"], mine.as_str());
            assert_eq!(details["environment_id"], environment_id, "{body}");
            let details = world.details(details["id"].as_str().unwrap()).await;
            assert_eq!(details, made["details"]);
            assert!(made["token"].as_str().unwrap().starts_with("eyJ"));
        }
    }
}

#[actix_web::test]
async fn fields_are_checked_all_at_once() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let account = instance.account;
    let (mine, nobody) = (
        account_ref(account),
        reference(RefType::Environment, NOBODY, account),
    );
    let foreign = AccountId(Uuid::from_u128(0x0198a7c2_5d3e_7abc_9def_0123456789ab));
    let theirs = reference(RefType::Environment, NOBODY, foreign);
    let cases: [(Value, &[&str]); 16] = [
        (json!({}), &["token_scope required"]),
        (
            json!({"token_scope": null}),
            &["token_scope cannot_be_null"],
        ),
        (json!({"token_scope": 1}), &["token_scope wrong_type"]),
        (
            json!({"token_scope": "agent_deployment"}),
            &["token_scope not_allowed"],
        ),
        (
            json!({"token_scope": "Account"}),
            &["token_scope not_allowed"],
        ),
        (
            json!({"token_scope": "environment"}),
            &["environment_id required"],
        ),
        (
            json!({"token_scope": "environment", "environment_id": null}),
            &["environment_id cannot_be_null"],
        ),
        (
            json!({"token_scope": "account", "environment_id": nobody}),
            &["environment_id not_allowed"],
        ),
        (
            json!({"token_scope": "environment", "environment_id": nobody}),
            &["environment_id not_found"],
        ),
        (
            json!({"token_scope": "environment", "environment_id": theirs}),
            &["environment_id not_found"],
        ),
        (
            json!({"token_scope": "environment", "environment_id": mine}),
            &["environment_id unexpected_ref_type"],
        ),
        (
            json!({"token_scope": "environment", "environment_id": account.to_string()}),
            &["environment_id not_an_id"],
        ),
        (
            json!({"token_scope": "account", "account_id": nobody}),
            &["account_id unexpected_ref_type"],
        ),
        (
            json!({"token_scope": "account", "account_id": ""}),
            &["account_id not_an_id"],
        ),
        (
            json!({"token_scope": "account", "agent_id": mine, "agent_deployment_id": 1}),
            &["agent_deployment_id not_allowed", "agent_id not_allowed"],
        ),
        (
            json!({"expires_at": "2026-11-22", "account_id": false, "environment_id": [], "agent_id": {}}),
            &[
                "account_id wrong_type",
                "agent_id not_allowed",
                "environment_id wrong_type",
                "expires_at not_a_time",
                "token_scope required",
            ],
        ),
    ];
    for (body, wanted) in cases {
        let flat = world.post(TOKENS, &body).got().await;
        let wrapped = json!({"details": body});
        let wrapped = world.post(TOKENS, &wrapped).got().await;
        assert_eq!(flat.wrong_fields(), wanted, "{body}");
        assert_eq!(flat.json(), wrapped.json(), "{body}");
    }
    for (body, wanted) in [
        (json!({"details": null}), "details cannot_be_null"),
        (json!({"details": []}), "details wrong_type"),
        (
            json!({"details": "x", "token_scope": "account"}),
            "details wrong_type",
        ),
    ] {
        let got = world.post(TOKENS, &body).got().await;
        assert_eq!(got.wrong_fields(), [wanted], "{body}");
    }
    let count = world.get(TOKENS).got().await.success();
    assert_eq!(count["pagination"]["item_count"], 1, "the operator's own");
}

#[actix_web::test]
async fn every_token_ends() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let end = async |body: Value| {
        let made = world.create(&json!({ "details": body })).await;
        let text = made["details"]["expires_at"].as_str().unwrap().to_owned();
        let end = symbolon_domain::Timestamp::parse(&text).unwrap();
        (end.since(instance.app.now()), text)
    };
    let plain = || json!({"token_scope": "account"});
    let at = |time: String| json!({"token_scope": "account", "expires_at": time});
    assert_eq!(end(plain()).await.0, 365 * DAY);
    for (time, wanted) in [
        ("2027-01-01T02:00:00+02:00", "2027-01-01T00:00:00Z"),
        (
            "2027-01-01t00:00:00.1234567z",
            "2027-01-01T00:00:00.123456Z",
        ),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ] {
        assert_eq!(end(at(time.into())).await.1, wanted);
    }
    let refused = async |time: String| {
        let got = world.post(TOKENS, &at(time)).got().await;
        got.wrong_fields()
    };
    let now = instance.app.now();
    for past in [
        "2024-01-01T00:00:00Z".to_owned(),
        "0000-01-01T00:00:00Z".to_owned(),
        "2026-11-22T01:00:00+01:00".to_owned(),
        now.to_string(),
    ] {
        assert_eq!(refused(past).await, ["expires_at not_in_future"]);
    }
    for junk in ["10000-01-01T00:00:00Z", "2027-02-30T00:00:00Z", "soon", ""] {
        assert_eq!(refused(junk.into()).await, ["expires_at not_a_time"]);
    }

    world.policy(json!({"max_lifetime": "90d"})).await;
    assert_eq!(end(plain()).await.0, 90 * DAY);
    let now = instance.app.now();
    let beyond = now.plus(91 * DAY).to_string();
    assert_eq!(refused(beyond).await, ["expires_at beyond_policy"]);
    world.policy(json!({"default_lifetime": "30d"})).await;
    assert_eq!(end(plain()).await.0, 30 * DAY);
    let within = instance.app.now().plus(60 * DAY).to_string();
    assert_eq!(end(at(within.clone())).await.1, within);
    let longest = json!({"max_lifetime": "1000d", "default_lifetime": null});
    world.policy(longest).await;
    assert_eq!(end(plain()).await.0, 365 * DAY);
}

#[actix_web::test]
async fn what_was_made_elsewhere_has_its_shape() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let environment = world.environment(instance.account, "Production").await;
    let body = json!({"name": "Deployer", "environment_id": environment});
    world.service_account(&body).await;
    let id = world.newest().await;
    let details = world.details(&id).await;
    let made = details["inserted_at"].as_str().unwrap();
    assert_eq!(made, "2026-11-22T00:00:02Z");
    assert_eq!(details["expires_at"], "3026-03-25T00:00:02Z");
    let environment = environment_ref(&environment, instance.account);
    assert_eq!(details["environment_id"], environment.as_str());
    assert_eq!(details["token_scope"], "environment");
    assert_eq!(details["created_by_admin_user_id"], Value::Null);
    assert_eq!(details["last_used_at"], Value::Null);
}

#[actix_web::test]
async fn nobody_makes_more_than_they_are() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let account = instance.account;
    let scopes = async |token: &str| {
        let got = Ask::get(&service, "/v1/public/whoami")
            .by(token)
            .got()
            .await;
        (got.json()["scopes"].clone(), got.json()["reach"].clone())
    };
    let token = |made: &Value| made["token"].as_str().unwrap().to_owned();

    // An operator's power over the instance stays with the operator.
    let admin = token(&world.create(&of_account()).await);
    let admins = (json!(["symbolon:admin"]), json!("account"));
    assert_eq!(scopes(&admin).await, admins);
    // Neither do application scopes go along.
    let held = json!([
        "symbolon:tokens:read",
        "symbolon:tokens:write",
        "invoices:read"
    ]);
    let writer = world
        .service_account(&json!({"name": "Writer", "scopes": held}))
        .await;
    let ask = Ask::post(&service, TOKENS).by(&token(&writer));
    let made = ask.sends(&of_account()).got().await.success();
    let managing = json!(["symbolon:tokens:read", "symbolon:tokens:write"]);
    assert_eq!(
        scopes(&token(&made)).await,
        (managing.clone(), json!("account"))
    );

    // Whoever is bound to an environment makes what belongs to it.
    let here = world.environment(account, "Here").await;
    let there = world.environment(account, "There").await;
    let body = json!({"name": "Bound", "scopes": held, "environment_id": here});
    let bound = token(&world.service_account(&body).await);
    let create = async |details: Value| {
        let ask = Ask::post(&service, TOKENS).by(&bound);
        ask.sends(&json!({ "details": details })).got().await
    };
    let (here, there) = (
        environment_ref(&here, account),
        environment_ref(&there, account),
    );
    for details in [
        json!({"token_scope": "environment"}),
        json!({"token_scope": "environment", "environment_id": null}),
        json!({"token_scope": "environment", "environment_id": here}),
    ] {
        let made = create(details).await.success();
        assert_eq!(made["details"]["environment_id"], here.as_str());
        let reach = scopes(&token(&made)).await;
        assert_eq!(reach, (managing.clone(), json!("environment")));
    }
    for details in [
        json!({"token_scope": "account"}),
        json!({"token_scope": "environment", "environment_id": there}),
    ] {
        assert_eq!(create(details).await.prefactor(403), "not_permitted");
    }
}

#[actix_web::test]
async fn operators_reach_other_accounts_by_name() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let other = world.account("Other").await;
    let theirs = account_ref(other);
    let body = json!({"details": {"token_scope": "account", "account_id": theirs}});
    let made = world.create(&body).await;
    assert_eq!(made["details"]["account_id"], theirs.as_str());
    let path = format!("{TOKENS}/{}", made["details"]["id"].as_str().unwrap());
    assert_eq!(world.get(&path).got().await.prefactor(404), "not_found");
    let path = format!("{path}?account_id={theirs}");
    world.get(&path).got().await.success();
    let page = world
        .get(&format!("{TOKENS}?account_id={theirs}"))
        .got()
        .await
        .success();
    assert_eq!(page["pagination"]["item_count"], 1);
    let nobody = AccountId(NOBODY);
    let path = format!("{TOKENS}?account_id={}", account_ref(nobody));
    assert_eq!(world.get(&path).got().await.prefactor(404), "not_found");
    let body = json!({"token_scope": "account", "account_id": account_ref(nobody)});
    let got = world.post(TOKENS, &body).got().await;
    assert_eq!(got.prefactor(404), "not_found");
}
