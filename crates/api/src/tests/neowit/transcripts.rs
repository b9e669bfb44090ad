//! Every operation and every status that requests bring about, word by word and alike on both databases.

use super::*;
use std::time::Duration;
use symbolon_domain::Timestamp;

/// The requests of the primary text, at the time of its examples.
async fn the_primary_text(instance: Instance) {
    let service = serve!(instance.app);
    let mut transcript = Transcript::default();
    instance
        .clock
        .set(Timestamp::from_micros(1_636_044_728_000_000));
    let ask = |method, path: &str| {
        Ask::new(&service, method, path)
            .by(&instance.operator)
            .with("accept", "*/*")
    };
    let body = "{\n  \"enableBasicAuth\": true,\n  \"name\": \"John Doe\"\n}";
    let create = ask(Method::POST, BASE).body("application/json", body);
    let got = transcript
        .ask("create a new serviceAccount", create)
        .await
        .json();
    let id = got["id"].as_str().unwrap();
    let wanted = json!({
        "created": 1636044728, "enableBasicAuth": true, "id": id, "keys": [], "name": "John Doe",
    });
    assert_eq!(got, wanted);

    let keys = format!("{BASE}/{id}/key");
    let create = ask(Method::POST, &keys).body("application/json", "{}");
    let got = transcript
        .ask("create a new serviceAccount key", create)
        .await
        .json();
    let fields: Vec<_> = got.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["created", "keyId", "secret"]);
    let key = got["keyId"].as_str().unwrap();
    let read = Ask::get(&service, &format!("{BASE}/{id}")).by(&instance.operator);
    let got = transcript.ask("now it has a key", read).await.json();
    let wanted = json!({
        "created": 1636044728, "enableBasicAuth": true, "id": id,
        "keys": [{"created": 1636044728, "keyId": key}], "name": "John Doe",
    });
    assert_eq!(got, wanted);

    let delete = ask(Method::DELETE, &format!("{keys}/{key}"));
    let got = transcript.ask("delete a serviceAccount key", delete).await;
    assert_eq!((got.status.as_u16(), got.text.as_str()), (204, ""));
    let delete = ask(Method::DELETE, &format!("{BASE}/{id}"));
    let got = transcript.ask("delete a serviceAccount", delete).await;
    assert_eq!((got.status.as_u16(), got.text.as_str()), (204, ""));
    insta::assert_snapshot!("neowit_primary_text", transcript.to_string());
}

async fn service_accounts(instance: Instance) {
    let service = serve!(instance.app);
    let mut transcript = Transcript::default();
    let operator = &instance.operator;
    let weak = instance.token_without_scopes(&service).await;
    let post = || Ask::post(&service, BASE).by(operator);
    let new = json!({"name": "Gateway", "email": "ops@example.com", "role": "admin"});
    let got = transcript
        .ask("create with a contact", post().sends(&new))
        .await;
    let one = format!("{BASE}/{}", got.json()["id"].as_str().unwrap());
    let taken = json!({"name": " GATEWAY "});
    transcript
        .ask("the name is taken", post().sends(&taken))
        .await;
    let wrong = json!({"name": "", "enableBasicAuth": "yes", "email": "nobody"});
    transcript
        .ask("fields are refused", post().sends(&wrong))
        .await;
    transcript
        .ask("a name is required", post().sends(&json!({})))
        .await;
    transcript
        .ask("no object", post().sends(&json!(["name"])))
        .await;
    let broken = post().body("application/json", "{\n  \"name\": }");
    transcript.ask("not JSON", broken).await;
    transcript.ask("no body", post()).await;
    let xml = post().body("application/xml", "<name/>");
    transcript.ask("another content type", xml).await;
    let large = post()
        .with("content-type", "application/json")
        .with("content-length", "70000");
    transcript.ask("too large", large).await;
    let pinned = format!("{BASE}?orgId=1235");
    let pinned = Ask::post(&service, &pinned).by(operator).sends(&new);
    transcript.ask("an organisation that is none", pinned).await;
    let pinned = format!("{BASE}?orgId=0198a7c2-0000-7000-8000-000000000000");
    let pinned = Ask::post(&service, &pinned).by(operator).sends(&new);
    transcript
        .ask("an organisation that is not there", pinned)
        .await;
    let bare = Ask::post(&service, BASE).sends(&new);
    transcript.ask("no authorization", bare).await;
    let unknown = Ask::post(&service, BASE).by("sym_unknown").sends(&new);
    transcript.ask("a token that is none", unknown).await;
    let forbidden = Ask::post(&service, BASE).by(&weak).sends(&new);
    transcript.ask("no permission", forbidden).await;

    let list = Ask::get(&service, BASE).by(operator);
    transcript.ask("list", list).await;
    let list = Ask::get(
        &service,
        &format!("{BASE}?orgId={}&page=2", instance.account),
    );
    transcript
        .ask("list, its organisation pinned", list.by(operator))
        .await;
    let get = |path: &str| Ask::get(&service, path).by(operator);
    transcript.ask("get", get(&one)).await;
    let nobody = format!("{BASE}/0198a7c2-0000-7000-8000-000000000000");
    transcript.ask("get nobody", get(&nobody)).await;
    let bad = format!("{BASE}/1235");
    transcript.ask("get what is no id", get(&bad)).await;

    let change = |method, path: &str| Ask::new(&service, method, path).by(operator);
    let body = json!({"enableBasicAuth": true, "id": "2", "created": null});
    let patch = change(Method::PATCH, &one).sends(&body);
    transcript.ask("change", patch).await;
    let put = change(Method::PUT, &one).sends(&json!({"name": "بوابة"}));
    transcript
        .ask("put leaves what it does not name", put)
        .await;
    let put = change(Method::PUT, &one).sends(&json!({"name": null, "enableBasicAuth": 1}));
    transcript.ask("put the wrong types", put).await;
    instance.clock.advance(Duration::from_secs(1));
    made(&instance, &service, "Other", false).await;
    let patch = change(Method::PATCH, &one).sends(&json!({"name": "other"}));
    transcript.ask("another has that name", patch).await;
    let patch = change(Method::PATCH, &nobody).sends(&json!({"name": "x"}));
    transcript.ask("change nobody", patch).await;

    let delete = || change(Method::DELETE, &one);
    transcript.ask("delete", delete()).await;
    transcript.ask("delete again", delete()).await;
    transcript.ask("get what is deleted", get(&one)).await;
    let patch = change(Method::PATCH, &one).sends(&json!({"name": "x"}));
    transcript.ask("change what is deleted", patch).await;
    let got = transcript
        .ask(
            "the name is free again",
            post().sends(&json!({"name": "بوابة"})),
        )
        .await;
    assert_eq!(got.status, 201);
    let method = change(Method::POST, &one);
    transcript.ask("a method it does not take", method).await;
    transcript
        .ask("no such path", get(&format!("{one}/nothing/there")))
        .await;
    insta::assert_snapshot!("neowit_service_accounts", transcript.to_string());
}

async fn keys(instance: Instance) {
    let service = serve!(instance.app);
    let mut transcript = Transcript::default();
    let operator = &instance.operator;
    let weak = instance.token_without_scopes(&service).await;
    let owner = made(&instance, &service, "Gateway", false).await;
    let other = made(&instance, &service, "Other", false).await;
    let path = format!("{BASE}/{owner}/key");
    let post = |path: &str| Ask::post(&service, path).by(operator);
    let got = transcript
        .ask("create without a body", post(&path))
        .await
        .json();
    let key = got["keyId"].as_str().unwrap();
    instance.clock.advance(Duration::from_secs(1));
    let null = post(&path).body("application/json", "null");
    transcript.ask("create with null", null).await;
    instance.clock.advance(Duration::from_secs(1));
    let more = post(&path).sends(&json!({"name": "ignored", "expiresAt": 1}));
    transcript
        .ask("create with what it does not know", more)
        .await;
    let array = post(&path).sends(&json!([]));
    transcript.ask("create with an array", array).await;
    let xml = post(&path).body("text/plain", "{}");
    transcript.ask("another content type", xml).await;
    transcript
        .ask("no authorization", Ask::post(&service, &path))
        .await;
    transcript
        .ask("no permission", Ask::post(&service, &path).by(&weak))
        .await;
    let nobody = format!("{BASE}/0198a7c2-0000-7000-8000-000000000000/key");
    transcript.ask("a key for nobody", post(&nobody)).await;
    let bad = format!("{BASE}/1235/key");
    transcript.ask("a key for what is no id", post(&bad)).await;
    let list = |path: &str| Ask::get(&service, path).by(operator);
    transcript.ask("list", list(&path)).await;
    transcript.ask("list nobody's", list(&nobody)).await;
    for _ in 3..10 {
        assert_eq!(post(&path).got().await.status, 201);
    }
    transcript.ask("too many keys", post(&path)).await;

    let delete = |path: String| Ask::new(&service, Method::DELETE, &path).by(operator);
    let elsewhere = delete(format!("{BASE}/{other}/key/{key}"));
    transcript.ask("delete the key of another", elsewhere).await;
    let bad = delete(format!("{path}/1235"));
    transcript.ask("delete what is no key id", bad).await;
    let forbidden = Ask::new(&service, Method::DELETE, &format!("{path}/{key}"));
    transcript
        .ask("delete without permission", forbidden.by(&weak))
        .await;
    let one = || delete(format!("{path}/{key}"));
    transcript.ask("delete", one()).await;
    transcript.ask("delete again", one()).await;

    let native = format!("{}/{owner}/suspend", instance.service_accounts());
    assert_eq!(post(&native).got().await.status, 200);
    transcript
        .ask("a key for a suspended one", post(&path))
        .await;
    assert_eq!(delete(format!("{BASE}/{owner}")).got().await.status, 204);
    transcript.ask("a key for a deleted one", post(&path)).await;
    transcript
        .ask("the keys of a deleted one", list(&path))
        .await;
    insta::assert_snapshot!("neowit_keys", transcript.to_string());
}

on_both!(the_primary_text, service_accounts, keys);
