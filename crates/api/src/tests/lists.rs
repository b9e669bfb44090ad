//! Pages, and the things around service accounts: accounts, environments, events.

use super::*;
use std::time::Duration;

#[actix_web::test]
async fn pages_are_linked() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    for n in 0..5 {
        // Ids sort by time, and this clock stands still by itself.
        instance.clock.advance(Duration::from_millis(1));
        instance
            .create(&service, json!({"name": format!("Worker {n}")}))
            .await;
    }
    let mut names = Vec::new();
    let mut path = format!("{}?limit=2&q=worker", instance.service_accounts());
    for _ in 0..4 {
        let got = Ask::get(&service, &path).by(&instance.operator).got().await;
        for it in got.json().as_array().unwrap() {
            names.push(it["name"].as_str().unwrap().to_owned());
        }
        let Some(link) = got.header("link").strip_prefix('<') else {
            break;
        };
        let (url, rest) = link.split_once('>').unwrap();
        assert_eq!(rest, "; rel=\"next\"");
        assert!(url.contains("q=worker") && url.contains("limit=2"));
        path = url
            .strip_prefix(instance.app.public_url())
            .unwrap()
            .to_owned();
    }
    assert_eq!(
        names,
        ["Worker 4", "Worker 3", "Worker 2", "Worker 1", "Worker 0"]
    );
}

#[actix_web::test]
async fn accounts_environments_and_events() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let body = json!({
        "name": "Acme", "scope_ceiling": ["invoices:*"], "ops_addresses": ["ops@example.com"],
        "token_prefix": "acme_", "policy": {"max_lifetime": "P90D", "tokens_per_service_account": 3},
    });
    let made = Ask::post(&service, "/v1/public/accounts")
        .by(operator)
        .sends(&body)
        .got()
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let account = made.json();
    let path = format!("/v1/public/accounts/{}", account["id"].as_str().unwrap());
    assert_eq!(
        made.header("location"),
        format!("{}{path}", instance.app.public_url())
    );
    let policy = json!({
        "default_lifetime": null, "max_lifetime": "90d", "require_confirmed_contact": false,
        "tokens_per_service_account": 3,
    });
    assert_eq!(account["policy"], policy);
    let change = json!({"policy": {"default_lifetime": "30d"}, "status": "suspended"});
    let ask = Ask::new(&service, Method::PATCH, &path)
        .by(operator)
        .with("if-match", made.header("etag"));
    let changed = ask.sends(&change).got().await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(changed.json()["policy"]["max_lifetime"], "90d");
    assert_eq!(changed.json()["policy"]["default_lifetime"], "30d");
    assert_eq!(changed.json()["status"], "suspended");
    let listed = Ask::get(&service, "/v1/public/accounts?q=acm")
        .by(operator)
        .got()
        .await
        .json();
    assert_eq!(listed, json!([changed.json()]));

    let environments = format!("/v1/public/accounts/{}/environments", instance.account);
    let made = Ask::post(&service, &environments)
        .by(operator)
        .sends(&json!({"name": "Test"}))
        .got()
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let listed = Ask::get(&service, &environments)
        .by(operator)
        .got()
        .await
        .json();
    assert!(listed.as_array().unwrap().contains(&made.json()));

    let made = instance
        .create(&service, json!({"name": "Seen"}))
        .await
        .json();
    let id = made["id"].as_str().unwrap();
    let events = format!(
        "/v1/public/accounts/{}/events?kind=service_account.created&service_account_id={id}",
        instance.account
    );
    let got = Ask::get(&service, &events).by(operator).got().await.json();
    assert_eq!(got.as_array().map(Vec::len), Some(1), "{got}");
    assert_eq!(
        (&got[0]["kind"], &got[0]["actor"]["kind"]),
        (&json!("service_account.created"), &json!("credential"))
    );
    let got = Ask::get(&service, &events.replace("created", "eaten"))
        .by(operator)
        .got()
        .await;
    assert_eq!(got.problem(422), "validation_failed");
}
