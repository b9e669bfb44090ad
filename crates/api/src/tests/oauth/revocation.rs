//! Revocation (RFC 7009): what each text ends, who may, and that all else is left as it is without a word.

use super::*;

const ENDPOINT: &str = "/oauth2/revoke";

fn end<'s, S, B>(service: &'s S, token: &str, more: &str) -> Ask<'s, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    form(service, ENDPOINT, format!("token={token}{more}"))
}

/// 200, and nothing said.
fn is_done(got: &Got) {
    assert_eq!((got.status.as_u16(), got.text.as_str()), (200, ""));
    assert_eq!(got.header("cache-control"), "no-store");
    assert_eq!(got.header("www-authenticate"), "");
}

async fn lives<S, B>(service: &S, token: &str) -> bool
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    match Ask::get(service, WHOAMI)
        .by(token)
        .got()
        .await
        .status
        .as_u16()
    {
        200 => true,
        401 => false,
        status => panic!("{status}"),
    }
}

/// Whether a key still gets access tokens.
async fn key_lives<S, B>(service: &S, key: &Key) -> bool
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let ask = form(
        service,
        ENDPOINTS[0],
        "grant_type=client_credentials".to_owned(),
    );
    ask.with("authorization", &key.basic()).got().await.status == 200
}

/// How many events the account has of each kind.
async fn events<S, B>(instance: &Instance, service: &S) -> BTreeMap<String, usize>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let path = format!("/v1/public/accounts/{}/events?limit=200", instance.account);
    let list = Ask::get(service, &path)
        .by(&instance.operator)
        .got()
        .await
        .json();
    let mut counts = BTreeMap::new();
    for event in list.as_array().unwrap() {
        *counts
            .entry(event["kind"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    counts
}

async fn a_client_ends_its_own(instance: Instance) {
    let service = serve!(instance.app);
    let mut transcript = Transcript::default();
    // Without any permission.
    let owner = native_owner(
        &instance,
        &service,
        json!({"name": "Gateway", "scopes": ["a:b"]}),
    )
    .await;
    let key = native_key(&instance, &service, &owner, json!({"scopes": ["a:b"]})).await;
    let (one, other, third) = (
        access_token(&instance, &service, &key, "").await,
        access_token(&instance, &service, &key, "").await,
        access_token(&instance, &service, &key, "&scope=a:b").await,
    );
    let ended = async |kind: &str| events(&instance, &service).await.get(kind).copied();
    let ask = end(&service, &one, "&token_type_hint=access_token");
    let ask = ask.with("authorization", &key.basic());
    is_done(&transcript.ask("an access token", ask).await);
    assert!(!lives(&service, &one).await && lives(&service, &other).await);
    let again = end(&service, &one, "").with("authorization", &key.basic());
    is_done(&transcript.ask("again", again).await);
    let posted = format!("&client_id={}&client_secret={}", key.id, key.secret);
    let hint = format!("{posted}&token_type_hint=nonsense");
    is_done(
        &transcript
            .ask("in the form", end(&service, &other, &hint))
            .await,
    );
    assert!(!lives(&service, &other).await && key_lives(&service, &key).await);
    // One that is over is over: nothing was done twice.
    assert_eq!(ended("access_token.revoked").await, Some(2));

    // An access token ends itself and its like, and not its key.
    let fourth = access_token(&instance, &service, &key, "").await;
    is_done(&end(&service, &third, "").by(&fourth).got().await);
    assert!(!lives(&service, &third).await);
    let pair = format!("{}:{}", key.id, key.secret);
    let ask = end(&service, &pair, "").by(&fourth);
    let got = transcript.ask("its key, by an access token", ask).await;
    assert_eq!(got.oauth(401), "insufficient_scope");
    assert!(key_lives(&service, &key).await);
    is_done(&end(&service, &fourth, "").by(&fourth).got().await);
    assert!(!lives(&service, &fourth).await);

    let fifth = access_token(&instance, &service, &key, "").await;
    let ask = end(&service, &pair, "").with("authorization", &key.basic());
    is_done(&transcript.ask("the key itself", ask).await);
    assert!(!key_lives(&service, &key).await && !lives(&service, &fifth).await);
    assert_eq!(ended("token.revoked").await, Some(1));
    let ask = end(&service, &pair, "").with("authorization", &key.basic());
    let got = transcript.ask("by a client that is no more", ask).await;
    assert_eq!(got.oauth(401), "invalid_client");

    let token = owner["token"].as_str().unwrap();
    is_done(&end(&service, token, "").by(token).got().await);
    assert!(!lives(&service, token).await);
    assert_eq!(
        end(&service, token, "").by(token).got().await.oauth(401),
        "invalid_token"
    );
    insta::assert_snapshot!("revocation", transcript.to_string());
}

/// With `symbolon:tokens:write`, whatever lies within reach; without, none but its own.
async fn others_take_a_permission(instance: Instance) {
    let service = serve!(instance.app);
    let holder = async |name: &str, scopes: &[&str]| {
        let body = json!({"name": name, "scopes": scopes});
        native_owner(&instance, &service, body).await["token"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let writer = holder("Writer", &["symbolon:tokens:write"]).await;
    let reader = holder(
        "Reader",
        &["symbolon:tokens:read", "symbolon:tokens:verify"],
    )
    .await;
    let owner = native_owner(
        &instance,
        &service,
        json!({"name": "Billing", "scopes": ["a:b"]}),
    )
    .await;
    let weak = native_key(&instance, &service, &owner, json!({})).await;
    let key = native_key(&instance, &service, &owner, json!({"scopes": ["a:b"]})).await;
    let token = owner["token"].as_str().unwrap().to_owned();
    let access = access_token(&instance, &service, &key, "").await;
    let jwt = api_token(&instance, &service).await;
    let pair = format!("{}:{}", key.id, key.secret);
    for target in [&access, &token, &jwt, &pair, &key.secret] {
        let got = end(&service, target, "").by(&reader).got().await;
        assert_eq!(got.oauth(401), "insufficient_scope", "{target}");
        let challenge = got.header("www-authenticate");
        assert!(
            challenge.ends_with("scope=\"symbolon:tokens:write\""),
            "{challenge}"
        );
        // Another key of the same service account is another client.
        let got = end(&service, target, "")
            .with("authorization", &weak.basic())
            .got()
            .await;
        assert_eq!(got.oauth(400), "unauthorized_client", "{target}");
    }
    assert!(lives(&service, &access).await && lives(&service, &token).await);
    assert!(lives(&service, &jwt).await && key_lives(&service, &key).await);

    for target in [&access, &token, &jwt] {
        is_done(&end(&service, target, "").by(&writer).got().await);
        assert!(!lives(&service, target).await, "{target}");
    }
    assert!(
        key_lives(&service, &key).await,
        "its access token ended alone"
    );
    // The text of a key's secret is the key's as well.
    is_done(&end(&service, &key.secret, "").by(&writer).got().await);
    assert!(!key_lives(&service, &key).await && key_lives(&service, &weak).await);
    // What is suspended can be ended; what is ended already stays as it is.
    let native = format!("{}/{}", instance.service_accounts(), weak.owner);
    let suspend = Ask::post(&service, &format!("{native}/suspend")).by(&instance.operator);
    assert_eq!(suspend.got().await.status, 200);
    let weak_pair = format!("{}:{}", weak.id, weak.secret);
    is_done(&end(&service, &weak_pair, "").by(&writer).got().await);
    let shown = Ask::get(&service, &format!("{native}/keys/{}", weak.id)).by(&instance.operator);
    assert_eq!(shown.got().await.json()["status"], "revoked");
    let before = events(&instance, &service).await;
    for over in [&weak_pair, &pair, &token, &access] {
        is_done(&end(&service, over, "").by(&reader).got().await);
        is_done(&end(&service, over, "").by(&writer).got().await);
    }
    assert_eq!(events(&instance, &service).await, before);
}

/// What the caller cannot see, and what only names a token, is as good as revoked: nothing happens.
async fn nothing_happens_to_what_is_foreign_or_not_proven(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let (_, theirs) = another_account(&instance, &service, "Second").await;
    let admin = native_owner(
        &instance,
        &service,
        json!({"name": "Admin", "scopes": ["symbolon:admin"]}),
    );
    let admin = admin.await["token"].as_str().unwrap().to_owned();
    let environments = format!("/v1/public/accounts/{}/environments", instance.account);
    let environment = Ask::post(&service, &environments).by(operator);
    let environment = environment
        .sends(&json!({"name": "Test"}))
        .got()
        .await
        .json();
    let bound = json!({
        "name": "Bound", "scopes": ["symbolon:admin"], "environment_id": environment["id"],
    });
    let bound = native_owner(&instance, &service, bound).await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let owner = native_owner(&instance, &service, json!({"name": "Billing"})).await;
    let token = owner["token"].as_str().unwrap().to_owned();
    let key = native_key(&instance, &service, &owner, json!({})).await;
    let other = native_key(&instance, &service, &owner, json!({})).await;
    let access = access_token(&instance, &service, &key, "").await;
    let jwt = api_token(&instance, &service).await;
    let pair = format!("{}:{}", key.id, key.secret);
    let (input, _) = access.rsplit_once('.').unwrap();
    let before = events(&instance, &service).await;
    for target in [&token, &access, &pair, &key.secret, &jwt, &admin] {
        for caller in [&theirs, &bound] {
            is_done(&end(&service, target, "").by(caller).got().await);
        }
    }
    is_done(&end(&service, &theirs, "").by(&admin).got().await);
    for named in [
        key.id.as_str(),
        owner["id"].as_str().unwrap(),
        owner["token_id"].as_str().unwrap_or("none"),
        owner["token_public_id"].as_str().unwrap(),
        claims(&access)["jti"].as_str().unwrap(),
        &format!("{}:", key.id),
        &format!("{}:{}", key.id, other.secret),
        &format!("{}x", &token[..token.len() - 1]),
        &format!("{input}.{}", part([7; 64])),
        &Assertion::by(&key, &instance, ENDPOINTS[0]).text(),
        "a.b.c",
        "%00",
        &"x".repeat(9000),
    ] {
        is_done(&end(&service, named, "").by(operator).got().await);
    }
    assert_eq!(events(&instance, &service).await, before);
    for alive in [&token, &access, &jwt, &admin, &theirs, &bound] {
        assert!(lives(&service, alive).await, "{alive}");
    }
    assert!(key_lives(&service, &key).await && key_lives(&service, &other).await);
    // An operator reaches them all.
    is_done(&end(&service, &theirs, "").by(operator).got().await);
    assert!(!lives(&service, &theirs).await);
}

async fn callers_have_to_prove_themselves(instance: Instance) {
    let service = serve!(instance.app);
    let operator = &instance.operator;
    let owner = native_owner(&instance, &service, json!({"name": "Billing"})).await;
    let token = owner["token"].as_str().unwrap();
    let key = native_key(&instance, &service, &owner, json!({})).await;
    let ask = |more: &str| end(&service, token, more);
    let nobody = ask("").got().await;
    assert_eq!(nobody.oauth(401), "invalid_client");
    assert_eq!(nobody.headers.get_all("www-authenticate").count(), 2);
    let posted = format!("&client_id={}&client_secret={}", key.id, key.secret);
    for (wrong, status, error) in [
        (
            ask(&format!("&client_id={}", key.id)),
            401,
            "invalid_client",
        ),
        (
            ask(&format!("&client_id={}&client_secret=x", key.id)),
            401,
            "invalid_client",
        ),
        (
            ask("").with("authorization", &basic(&key.id, "x")),
            401,
            "invalid_client",
        ),
        (ask("").by("junk"), 401, "invalid_token"),
        (ask("").by(&key.secret), 401, "invalid_token"),
        (ask(&posted).by(operator), 400, "invalid_request"),
        (
            ask(&posted).with("authorization", &key.basic()),
            400,
            "invalid_request",
        ),
        (ask("&client_secret=x"), 400, "invalid_request"),
    ] {
        assert_eq!(wrong.got().await.oauth(status), error);
    }
    for body in ["", "token=", "token=a&token=a"] {
        let ask = form(&service, ENDPOINT, body.to_owned()).by(operator);
        assert_eq!(ask.got().await.oauth(400), "invalid_request", "{body}");
    }
    let got = Ask::get(&service, ENDPOINT).by(operator).got().await;
    assert_eq!(got.oauth(405), "invalid_request");
    assert!(lives(&service, token).await && key_lives(&service, &key).await);
}

on_both!(
    a_client_ends_its_own,
    others_take_a_permission,
    nothing_happens_to_what_is_foreign_or_not_proven,
    callers_have_to_prove_themselves,
);
