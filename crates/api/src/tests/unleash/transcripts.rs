//! Every operation and every documented status, word by word and alike on both databases.

use super::*;
use std::time::Duration;
use symbolon_domain::Timestamp;

/// The request of the primary text, at a time at which its end lies ahead.
async fn the_primary_text(instance: Instance) {
    let service = serve!(instance.app);
    let mut transcript = Transcript::default();
    let then = Timestamp::parse("2023-03-20T08:15:14Z").unwrap();
    instance.clock.set(then);
    let owner = made(&instance, &service, "Deploy", 1).await;
    let create = Ask::post(&service, &format!("{BASE}/{owner}/token"))
        .with("content-type", "application/json")
        .with("accept", "application/json")
        .with("authorization", &instance.operator);
    let mut create = create;
    create.request.body = web::Bytes::from_static(
        b"{\n\"description\": \"user:xyzrandomstring\",\n\"expiresAt\": \"2023-04-19T08:15:14.000Z\"\n}",
    );
    let got = transcript.ask("create a token", create).await;
    assert_eq!(got.status, 201);
    let made = got.json();
    let fields = [
        "id",
        "secret",
        "createdAt",
        "seenAt",
        "userId",
        "description",
        "expiresAt",
    ];
    let sent: Vec<_> = made.as_object().unwrap().keys().collect();
    assert_eq!(sent.len(), fields.len(), "{sent:?}");
    assert!(fields.iter().all(|name| made.get(name).is_some()), "{made}");
    assert!(made["secret"].as_str().unwrap().starts_with("user:"));

    // The secret opens the door, bare or after a scheme in any case.
    let secret = made["secret"].as_str().unwrap();
    for header in [
        secret.to_owned(),
        format!("Bearer {secret}"),
        format!("bEARER {secret}"),
    ] {
        let got = Ask::get(&service, BASE)
            .with("authorization", &header)
            .got()
            .await;
        assert_eq!(got.status, 200, "{header}");
    }
    insta::assert_snapshot!("unleash_primary_text", transcript.to_string());
}

async fn service_accounts(instance: Instance) {
    let service = serve!(instance.app);
    let mut transcript = Transcript::default();
    let operator = &instance.operator;
    let post = || Ask::post(&service, BASE).by(operator);
    let new = json!({"name": "Continuous delivery", "username": "service-cd", "rootRole": 1, "extra": []});
    let got = transcript.ask("create", post().sends(&new)).await;
    let one = format!("{BASE}/{}", got.json()["id"]);
    assert_eq!(
        got.header("location"),
        format!("{}{one}", instance.app.public_url())
    );
    let taken = json!({"name": "Other", "username": "SERVICE-CD", "rootRole": 3});
    transcript
        .ask("the username is taken", post().sends(&taken))
        .await;
    let wrong = json!({"name": " ", "username": null, "rootRole": 4});
    transcript
        .ask("fields are refused", post().sends(&wrong))
        .await;
    let broken = post().body("application/json", "{\"name\": }");
    transcript.ask("not JSON", broken).await;
    transcript.ask("no content type", post()).await;
    let xml = post().body("application/xml", "<name/>");
    transcript.ask("another content type", xml).await;
    let large = post()
        .with("content-type", "application/json")
        .with("content-length", "70000");
    transcript.ask("too large", large).await;
    let bare = Ask::post(&service, BASE).sends(&new);
    transcript.ask("no authorization", bare).await;
    let unknown = Ask::post(&service, BASE).with("authorization", "user:unknown");
    transcript
        .ask("a token that is none", unknown.sends(&new))
        .await;

    let viewer = made(&instance, &service, "Viewer", 3).await;
    let weak = token(&instance, &service, viewer, "reads").await;
    let weak = weak["secret"].as_str().unwrap();
    let forbidden = Ask::post(&service, BASE)
        .with("authorization", weak)
        .body("application/xml", "<name/>");
    transcript
        .ask(
            "no permission, which is decided before the content type",
            forbidden,
        )
        .await;

    let put = |path: &str| Ask::new(&service, Method::PUT, path).by(operator);
    let change = json!({"name": "Delivery", "rootRole": 2, "username": "other", "email": "a@b.c"});
    transcript.ask("update", put(&one).sends(&change)).await;
    transcript
        .ask("update nothing", put(&one).sends(&json!({})))
        .await;
    let wrong = json!({"name": null, "rootRole": "1"});
    transcript
        .ask("update with the wrong types", put(&one).sends(&wrong))
        .await;
    transcript
        .ask("update without a content type", put(&one))
        .await;
    let nobody = format!("{BASE}/999999");
    transcript
        .ask("update of nobody", put(&nobody).sends(&change))
        .await;

    let list = Ask::get(&service, BASE).by(operator);
    transcript.ask("list", list).await;
    let slash = Ask::get(&service, &format!("{BASE}/?x=1")).by(weak);
    transcript
        .ask("list, as others write the path", slash)
        .await;
    let bare = Ask::get(&service, BASE);
    transcript.ask("list without authorization", bare).await;
    let permissions = format!("{one}/permissions?project=default&environment=development");
    let permissions = Ask::get(&service, &permissions).by(operator);
    transcript.ask("permissions", permissions).await;
    let permissions = Ask::get(&service, &format!("{nobody}/permissions")).by(operator);
    transcript.ask("permissions of nobody", permissions).await;

    let delete = || Ask::new(&service, Method::DELETE, &one).by(operator);
    let bare = Ask::new(&service, Method::DELETE, &one);
    transcript.ask("delete without authorization", bare).await;
    let forbidden = Ask::new(&service, Method::DELETE, &one).by(weak);
    transcript.ask("delete without permission", forbidden).await;
    let got = transcript.ask("delete", delete()).await;
    assert_eq!((got.status.as_u16(), got.text.as_str()), (200, ""));
    transcript.ask("delete again", delete()).await;
    let again = transcript
        .ask("the username is free again", post().sends(&taken))
        .await;
    assert_eq!(again.status, 201);
    let method = Ask::new(&service, Method::PATCH, &one).by(operator);
    transcript.ask("a method it does not take", method).await;
    let path = Ask::get(&service, &format!("{one}/nothing/there")).by(operator);
    transcript.ask("no such path", path).await;
    insta::assert_snapshot!("unleash_service_accounts", transcript.to_string());
}

async fn tokens(instance: Instance) {
    const DAY: Duration = Duration::from_secs(86_400);
    let service = serve!(instance.app);
    let mut transcript = Transcript::default();
    let operator = &instance.operator;
    let owner = made(&instance, &service, "Editor", 2).await;
    let path = format!("{BASE}/{owner}/token");
    let post = || Ask::post(&service, &path).by(operator);
    let new = |description: &str, end: &str| json!({"description": description, "expiresAt": end});
    let ci = new("CI, دفعة", "2026-12-12T02:00:00+02:00");
    let got = transcript.ask("create", post().sends(&ci)).await;
    let (one, secret) = (
        format!("{path}/{}", got.json()["id"]),
        got.json()["secret"].as_str().unwrap().to_owned(),
    );
    assert_eq!(
        got.header("location"),
        format!("{}{one}", instance.app.public_url())
    );
    transcript
        .ask("the description is taken", post().sends(&ci))
        .await;
    let empty = new("  ", "2026-12-22T00:00:00Z");
    transcript
        .ask("an empty description", post().sends(&empty))
        .await;
    let past = new("past", "2023-04-19T08:15:14.000Z");
    transcript
        .ask("an end in the past", post().sends(&past))
        .await;
    transcript
        .ask("nothing that it needs", post().sends(&json!({})))
        .await;
    let missing = post().with("content-type", "application/json; charset=utf-8");
    transcript.ask("no body", missing).await;
    transcript.ask("no content type", post()).await;
    let bare = Ask::post(&service, &path).sends(&ci);
    transcript.ask("no authorization", bare).await;
    let nobody = Ask::post(&service, &format!("{BASE}/999999/token")).by(operator);
    transcript.ask("of nobody", nobody.sends(&ci)).await;
    let viewer = made(&instance, &service, "Viewer", 3).await;
    let weak = token(&instance, &service, viewer, "reads").await;
    let weak = weak["secret"].as_str().unwrap();
    let forbidden = Ask::post(&service, &path).by(weak).sends(&ci);
    transcript.ask("no permission", forbidden).await;

    let list = || Ask::get(&service, &path).by(operator);
    transcript.ask("list", list()).await;
    let seen = Ask::get(&service, BASE)
        .with("authorization", &secret)
        .got()
        .await;
    assert_eq!(seen.status, 200);
    instance.app.flush_uses().await.unwrap();
    instance.clock.advance(14 * DAY);
    transcript.ask("list: seen, and near its end", list()).await;
    instance.clock.advance(6 * DAY);
    let got = transcript.ask("list: expired", list()).await;
    assert_eq!(got.status, 200);
    let same = post().sends(&new("CI, دفعة", "2027-12-22T00:00:00Z"));
    let got = transcript
        .ask("an expired one still has its description", same)
        .await;
    assert_eq!(got.unleash(409), "NameExistsError");
    let got = Ask::get(&service, BASE)
        .with("authorization", &secret)
        .got()
        .await;
    assert_eq!(got.unleash(401), "UnauthorizedError");

    instance.clock.set(symbolon_app::testing::START);
    for n in 1..10 {
        token(&instance, &service, owner, &format!("token {n}")).await;
    }
    let eleventh = new("eleventh", "2027-01-01T00:00:00Z");
    transcript
        .ask("more than ten", post().sends(&eleventh))
        .await;

    let delete = |path: &str| Ask::new(&service, Method::DELETE, path);
    transcript
        .ask("delete without authorization", delete(&one))
        .await;
    let forbidden = delete(&one).by(weak);
    transcript.ask("delete without permission", forbidden).await;
    let got = transcript.ask("delete", delete(&one).by(operator)).await;
    assert_eq!((got.status.as_u16(), got.text.as_str()), (200, ""));
    transcript
        .ask("delete again", delete(&one).by(operator))
        .await;
    let got = transcript
        .ask("the description is free again", post().sends(&ci))
        .await;
    assert_eq!(got.status, 201);
    let bare = Ask::get(&service, &path);
    transcript.ask("list without authorization", bare).await;
    let nobody = Ask::get(&service, &format!("{BASE}/999999/token/")).by(operator);
    transcript.ask("list of nobody", nobody).await;
    let method = Ask::new(&service, Method::PUT, &one).by(operator);
    transcript.ask("tokens do not change", method).await;
    insta::assert_snapshot!("unleash_tokens", transcript.to_string());
}

on_both!(the_primary_text, service_accounts, tokens);
