//! Every operation and every status that the document names, word by word, on both databases.

use super::*;
use crate::tests::transcript::Transcript;

/// The body that the primary text's table of fields shows; its ids are Prefactor's.
fn example(account: &str, environment: &str) -> Value {
    json!({
        "account_id": account,
        "environment_id": environment,
        "expires_at": null,
        "token_scope": "environment",
    })
}

async fn operations(instance: Instance) {
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let account = instance.account;
    let mine = account_ref(account);
    let environment = world.environment(account, "Production").await;
    let environment = environment_ref(&environment, account);
    let mut transcript = Transcript::default();

    transcript.ask("ping", world.get("/api/v1/ping")).await;
    let wrapped = json!({
        "details": example(&mine, &environment),
        "idempotency_key": "first-token-of-all",
    });
    let ask = world.post(TOKENS, &wrapped);
    let made = transcript
        .ask("create, as the client does it", ask)
        .await
        .success();
    let ask = world.post(TOKENS, &wrapped);
    transcript.ask("the same again", ask).await;
    instance
        .clock
        .advance(std::time::Duration::from_secs(11 * 60));
    let ask = world.post(TOKENS, &wrapped);
    transcript.ask("the same when the token is gone", ask).await;

    let flat = json!({"token_scope": "account", "expires_at": "2027-01-01T02:00:00+02:00"});
    let ask = world.post(TOKENS, &flat);
    transcript.ask("create, flat", ask).await;
    transcript.ask("list", world.get(TOKENS)).await;
    let path =
        format!("{TOKENS}?sorting=expires_at&pagination%5Boffset%5D=1&pagination[page_size]=1");
    transcript
        .ask("list a page, sorted", world.get(&path))
        .await;

    let id = made["details"]["id"].as_str().unwrap();
    let path = format!("{TOKENS}/{id}");
    transcript.ask("retrieve", world.get(&path)).await;
    for action in ["suspend", "activate", "revoke", "delete"] {
        transcript.ask(action, world.act(id, action)).await;
    }
    transcript
        .ask("retrieve what was deleted", world.get(&path))
        .await;
    insta::assert_snapshot!("prefactor_operations", transcript.to_string());
}

async fn refusals(instance: Instance) {
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let mut transcript = Transcript::default();
    let weak = instance.token_without_scopes(&service).await;
    let id = world.token().await;
    let path = format!("{TOKENS}/{id}");

    let ask = Ask::post(&service, TOKENS).by(&instance.operator);
    let broken = ask.body("application/json", "{\n \"details\" 1}");
    transcript.ask("400: no JSON", broken).await;
    let mine = account_ref(instance.account);
    let ask = world.get(&format!("{TOKENS}/{mine}"));
    transcript.ask("400: the id of something else", ask).await;
    let ask = Ask::get(&service, &path);
    transcript.ask("401: no token", ask).await;
    let ask = Ask::get(&service, &path).by("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2ln");
    transcript.ask("401: not one of ours", ask).await;
    let ask = Ask::get(&service, &path).by(&weak);
    transcript.ask("403", ask).await;
    let example = example(
        "013xrzp12g3nqk8ngskn1wtxgka5b0nf",
        "013xrzp12g3nqk8nzxvq7jm2arsfg5h1",
    );
    let ask = world.post(TOKENS, &json!({"details": example}));
    transcript
        .ask("404: the ids of the text's examples", ask)
        .await;
    let ask = world.get("/api/v1/agent");
    transcript.ask("404: not in this service", ask).await;
    let ask = Ask::new(&service, Method::PATCH, &path).by(&instance.operator);
    transcript.ask("405", ask).await;
    let ask = world.act(&id, "activate");
    transcript.ask("409", ask).await;
    let huge = format!("{{\"details\": \"{}\"}}", "x".repeat(64 * 1024));
    let ask = Ask::post(&service, TOKENS).by(&instance.operator);
    let got = ask.body("application/json", huge).got().await;
    assert_eq!(got.prefactor(413), "bad_request");
    let ask = Ask::post(&service, TOKENS).by(&instance.operator);
    let ask = ask.body("text/plain", "token_scope=account");
    transcript.ask("415", ask).await;
    let wrong = json!({"details": {
        "token_scope": "account",
        "account_id": 7,
        "environment_id": mine,
        "expires_at": "2024-01-01T00:00:00Z",
        "agent_id": mine,
    }, "idempotency_key": ""});
    let ask = world.post(TOKENS, &wrong).with("accept-language", "ar");
    transcript.ask("422: fields, in Arabic", ask).await;
    let ask = world.get(&format!("{TOKENS}?sorting=colour&pagination[page_size]=0"));
    transcript.ask("422: parameters", ask).await;
    let once = |body: &Value| {
        world
            .post(TOKENS, body)
            .with("idempotency-key", "one-key-for-two")
    };
    once(&of_account()).got().await.success();
    let ask = once(&json!({"token_scope": "account"}));
    transcript.ask("422: a key used before", ask).await;
    insta::assert_snapshot!("prefactor_refusals", transcript.to_string());
}

on_both!(operations, refusals);
