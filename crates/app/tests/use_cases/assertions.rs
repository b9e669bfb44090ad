//! The assertion flow (RFC 7523): a key's signature in, an access token out; and every way to be refused.

use crate::asked::Asked;
use crate::harness::*;
use serde_json::{Value, json};
use std::time::Duration;
use symbolon_app::{Actor, AssertionGrant, IssuedAccessToken, OAuthFault};
use symbolon_domain::account::{AccountPatch, ExpiryRequest};
use symbolon_domain::issue::{Limits, NewToken, Rotation, ServiceAccountPatch};
use symbolon_domain::retire::Because;
use symbolon_domain::{AccountStatus, Presented, RateLimit};

on_both!(
    an_assertion_gets_an_access_token,
    before_the_proof_all_faults_look_alike,
    after_the_proof_the_claim_is_named,
    clocks_may_differ_by_the_leeway,
    a_jti_works_once,
    of_racing_repeats_one_wins,
    what_is_not_accepted_is_no_use,
    scopes_are_asked_for_and_not_exceeded,
    a_resource_becomes_the_audience,
    client_credentials_have_to_be_the_same_keys,
    nothing_outlives_its_key,
    a_key_out_of_force_gets_nothing,
    a_contact_may_have_to_be_confirmed,
);

fn grant_fault(result: Result<IssuedAccessToken, OAuthFault>) -> &'static str {
    match result {
        Err(OAuthFault::InvalidGrant(text)) => text,
        other => panic!("{other:?}"),
    }
}

const NOT_ACCEPTED: &str = "The assertion is not accepted.";

async fn billing(world: &World) -> Key {
    let made = world.make(service_account("billing", "a:b c")).await;
    world.key(made.id, "a:b c").await
}

async fn an_assertion_gets_an_access_token(world: World) {
    let app = world.app();
    let key = billing(&world).await;
    let events = world.events(world.account).await;
    let issued = Asked::by(&world, &key).send(&world).await.unwrap();
    assert_eq!(issued.expires_in, HOUR);
    assert_eq!(issued.scopes, scopes("a:b c"));
    assert!(!format!("{issued:?}").contains(issued.token.reveal()));
    let (header, claims) = read_jws(issued.token.reveal());
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(header["alg"], "EdDSA");
    let now = app.now().as_seconds();
    let jti = claims["jti"].as_str().unwrap().to_owned();
    assert_eq!(uuid::Uuid::parse_str(&jti).unwrap().get_version_num(), 7);
    let expected = json!({
        "iss": app.public_url(), "sub": key.owner, "client_id": key.key_id, "aud": app.public_url(),
        "iat": now, "exp": now + 3600, "jti": jti, "scope": "a:b c",
    });
    assert_eq!(claims, expected);
    let actor = world.actor(issued.token.reveal()).await.unwrap();
    assert_eq!(actor.authority().scopes, scopes("a:b c"));
    assert_eq!(actor.credential_id(), Some(key.id));
    // Without a jti the same assertion serves again, and makes another token.
    let again = Asked::by(&world, &key).send(&world).await.unwrap();
    assert_ne!(again.token.reveal(), issued.token.reveal());
    app.flush_uses().await.unwrap();
    let admin = world.admin().await;
    let found = app
        .find_key(&admin, world.account, key.owner, &key.key_id)
        .await
        .unwrap();
    assert_eq!(found.uses, 3, "two exchanges and one request");
    assert_eq!(
        world.events(world.account).await,
        events,
        "exchanges are no events"
    );
    for typ in ["jwt", "authorization-grant+jwt"] {
        let asked = Asked::by(&world, &key).header("typ", json!(typ));
        asked.send(&world).await.unwrap();
    }
    let mut bare = Asked::by(&world, &key);
    bare.header = json!({ "alg": "HS256", "kid": key.key_id });
    bare.send(&world).await.unwrap();
    let aud = format!("{}{TOKEN_PATH}", app.public_url());
    let asked = Asked::by(&world, &key).with("aud", json!([aud]));
    asked.with("iat", Value::Null).send(&world).await.unwrap();
}

async fn before_the_proof_all_faults_look_alike(world: World) {
    let key = billing(&world).await;
    let other = billing(&world).await;
    let opaque = world.make(service_account("opaque", "")).await;
    let public_id = symbolon_domain::token_text::parse(&opaque.token)
        .unwrap()
        .public_id
        .to_owned();
    let asked = || Asked::by(&world, &key);
    let signed = asked().text();
    let (input, tag) = signed.rsplit_once('.').unwrap();
    let none = |alg: &str| part(&json!({ "alg": alg, "kid": key.key_id }));
    let (_, payload) = input.split_once('.').unwrap();
    let doubled = signed.replacen(
        payload,
        &{
            use base64::Engine;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"exp":1,"exp":2}"#)
        },
        1,
    );
    for text in [
        String::new(),
        "x".into(),
        input.into(),
        format!("{input}."),
        format!("{signed}.{tag}"),
        format!("{signed}="),
        format!("{}.{payload}.", none("none")),
        format!("{}.{payload}.", none("None")),
        format!("{}.{payload}.{tag}", none("NONE")),
        doubled,
        key.secret.clone(),
        "a.".repeat(5000),
    ] {
        let sent = asked().send_text(&world, &text).await;
        assert_eq!(grant_fault(sent), NOT_ACCEPTED, "{text}");
    }
    let with_secret = |secret: &str| Asked {
        secret: secret.to_owned(),
        ..asked()
    };
    for (at, asked) in [
        asked().header("alg", json!("HS512")),
        asked().header("alg", json!("EdDSA")),
        asked().header("alg", json!("none")),
        asked().header("kid", json!(other.key_id)),
        asked().header("kid", json!("0000000000000000")),
        asked().header("kid", json!(public_id)),
        asked().header("kid", json!("")),
        asked().header("kid", json!("é")),
        asked().header("kid", json!(7)),
        asked().header("kid", Value::Null),
        asked().header("typ", json!("at+jwt")),
        asked().header("typ", json!("api-token+jwt")),
        asked().header("typ", json!("dpop+jwt")),
        asked().header("crit", json!([])),
        asked().header("jwk", json!({ "kty": "oct" })),
        with_secret(&other.secret),
        with_secret(""),
        with_secret(&key.secret[..key.secret.len() - 1]),
        // What is compared with where there is no key is no secret.
        Asked {
            secret: format!("sym_{}_{}", "0".repeat(16), "0".repeat(49)),
            ..Asked::by(&world, &key).header("kid", json!("0000000000000000"))
        },
        // The token of one that is no key signs nothing.
        Asked {
            secret: opaque.token.clone(),
            ..Asked::by(&world, &key).header("kid", json!(public_id))
        },
        // With a wrong signature nobody learns what else is wrong.
        with_secret("wrong").with("exp", json!(1)),
        with_secret("wrong").with("aud", json!("x")),
    ]
    .into_iter()
    .enumerate()
    {
        let sent = asked.send(&world).await;
        assert_eq!(grant_fault(sent), NOT_ACCEPTED, "{at}");
    }
}

async fn after_the_proof_the_claim_is_named(world: World) {
    let key = billing(&world).await;
    let other = billing(&world).await;
    let now = world.app().now().as_seconds();
    let url = world.app().public_url().to_owned();
    let aud = format!("{url}{TOKEN_PATH}");
    for (claim, value, expected) in [
        ("iss", Value::Null, "iss"),
        ("iss", json!(other.owner), "iss"),
        ("iss", json!(key.key_id), "iss"),
        ("iss", json!([key.owner]), "iss"),
        ("iss", json!(key.owner.to_string().to_uppercase()), "iss"),
        ("sub", Value::Null, "sub"),
        ("sub", json!(other.owner), "sub"),
        ("sub", json!(7), "sub"),
        ("aud", Value::Null, "aud"),
        ("aud", json!(url), "aud"),
        ("aud", json!(format!("{aud}/")), "aud"),
        ("aud", json!(aud.to_uppercase()), "aud"),
        ("aud", json!([]), "aud"),
        ("aud", json!([aud, aud]), "aud"),
        ("aud", json!([aud, "https://elsewhere.example"]), "aud"),
        ("aud", json!({ "x": aud }), "aud"),
        ("aud", json!(7), "aud"),
        ("exp", Value::Null, "exp"),
        ("exp", json!("soon"), "exp"),
        ("exp", json!((now + 60).to_string()), "exp"),
        ("exp", json!(-1), "exp"),
        ("exp", json!(1e300), "exp"),
        ("exp", json!(now - 31), "expired"),
        ("exp", json!(now + 3631), "an hour"),
        ("nbf", json!(now + 31), "not valid yet"),
        ("nbf", json!("now"), "nbf"),
        ("iat", json!(now + 31), "not valid yet"),
        ("iat", json!([now]), "iat"),
        ("jti", json!(""), "jti"),
        ("jti", json!(7), "jti"),
        ("jti", json!("é".repeat(256)), "jti"),
    ] {
        let shown = format!("{claim} = {value}");
        let sent = Asked::by(&world, &key).with(claim, value).send(&world);
        let text = grant_fault(sent.await);
        assert!(text.contains(expected), "{shown}: {text}");
        assert_ne!(text, NOT_ACCEPTED, "{shown}");
    }
    // Another endpoint of ours is another audience.
    let asked = Asked::by(&world, &key).with("aud", json!(format!("{url}/oauth2/token")));
    assert!(grant_fault(asked.send(&world).await).contains("aud"));
    let longest = Asked::by(&world, &key).with("jti", json!("é".repeat(255)));
    longest.send(&world).await.unwrap();
}

async fn clocks_may_differ_by_the_leeway(world: World) {
    let key = billing(&world).await;
    // Half a second past, so that what is said in whole seconds lies on neither side of the limit itself.
    world.advance(Duration::from_millis(500));
    let now = world.app().now().as_micros() as f64 / 1e6;
    let at = |seconds: f64| json!(now + seconds);
    let accepts = async |claim: &str, value| {
        let asked = Asked::by(&world, &key).with(claim, value);
        asked.send(&world).await.is_ok()
    };
    assert!(accepts("exp", at(-29.9)).await);
    assert!(!accepts("exp", at(-30.1)).await);
    assert!(accepts("exp", at(3629.9)).await);
    assert!(!accepts("exp", at(3630.1)).await);
    for claim in ["nbf", "iat"] {
        assert!(accepts(claim, at(29.9)).await);
        assert!(!accepts(claim, at(30.1)).await);
        assert!(accepts(claim, json!(0)).await);
    }
    // The instant at which the leeway ends is too late.
    world.advance(Duration::from_millis(500));
    let now = world.app().now().as_seconds();
    assert!(accepts("exp", json!(now - 29)).await);
    assert!(!accepts("exp", json!(now - 30)).await);
}

async fn a_jti_works_once(world: World) {
    let key = billing(&world).await;
    let other = billing(&world).await;
    let asked = || Asked::by(&world, &key).with("jti", json!("once"));
    // What fails for another reason uses nothing up.
    let wrong = [
        asked().with("aud", json!("x")),
        Asked {
            secret: "wrong".into(),
            ..asked()
        },
        Asked {
            scopes: Some(scopes("more")),
            ..asked()
        },
        Asked {
            resources: vec!["x".into()],
            ..asked()
        },
    ];
    for asked in wrong {
        assert!(asked.send(&world).await.is_err());
    }
    asked().send(&world).await.unwrap();
    assert!(grant_fault(asked().send(&world).await).contains("jti"));
    let shorter = asked().with("exp", json!(world.app().now().as_seconds() + 60));
    assert!(grant_fault(shorter.send(&world).await).contains("jti"));
    // Others' are others'; and a second key of the same service account is the same subject.
    let theirs = Asked::by(&world, &other).with("jti", json!("once"));
    theirs.send(&world).await.unwrap();
    let second = world.key(key.owner, "c").await;
    let same = Asked::by(&world, &second).with("jti", json!("once"));
    assert!(grant_fault(same.send(&world).await).contains("jti"));
    // It is remembered until the assertion cannot be used any more, purge or no purge.
    let exp = world.app().now().as_seconds() + 3600;
    let late = || {
        Asked::by(&world, &key)
            .with("jti", json!("late"))
            .with("exp", json!(exp))
    };
    late().send(&world).await.unwrap();
    world.advance(HOUR + 30 * SECOND - TICK);
    while world.app().purge_page().await.unwrap() > 0 {}
    assert!(grant_fault(late().send(&world).await).contains("jti"));
    world.advance(TICK);
    while world.app().purge_page().await.unwrap() > 0 {}
    assert!(grant_fault(late().send(&world).await).contains("expired"));
}

async fn of_racing_repeats_one_wins(world: World) {
    let key = billing(&world).await;
    let text = Asked::by(&world, &key).with("jti", json!("raced")).text();
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (app, text) = (world.app().clone(), text.clone());
        racers.spawn(async move {
            let grant = AssertionGrant {
                assertion: &Presented::new(text),
                endpoint_path: TOKEN_PATH,
                client: None,
                wanted: Default::default(),
            };
            app.exchange_assertion(grant).await.is_ok()
        });
    }
    let won = racers.join_all().await;
    assert_eq!(won.iter().filter(|it| **it).count(), 1);
}

/// An assertion that somebody keeps neither locks its key out nor looks like a use of it.
async fn what_is_not_accepted_is_no_use(world: World) {
    let app = world.app();
    let made = world.make(service_account("billing", "a")).await;
    let limits = Limits {
        rate_limit: RateLimit::new(3, HOUR).ok(),
        ..Limits::default()
    };
    let key = world
        .issue_key(made.id, NewToken { limits, ..key("a") })
        .await;
    let once = Asked::by(&world, &key).with("jti", json!("once")).text();
    let sends = async |text: &str| Asked::by(&world, &key).send_text(&world, text).await;
    sends(&once).await.unwrap();
    let first = app.now();
    world.advance(SECOND);
    let now = app.now().as_seconds();
    for asked in [
        Asked::by(&world, &key).with("exp", json!(now - 60)),
        Asked::by(&world, &key).with("aud", json!("https://elsewhere.example")),
        Asked::by(&world, &key).with("nbf", json!(now + 600)),
        Asked::by(&world, &key).with("sub", json!("somebody")),
    ] {
        let text = asked.text();
        for _ in 0..4 {
            assert_ne!(grant_fault(sends(&text).await), NOT_ACCEPTED);
        }
    }
    for _ in 0..4 {
        assert!(grant_fault(sends(&once).await).contains("jti"));
    }
    app.flush_uses().await.unwrap();
    let admin = world.admin().await;
    let find = async || {
        let found = app.find_key(&admin, world.account, key.owner, &key.key_id);
        found.await.unwrap()
    };
    let found = find().await;
    assert_eq!((found.uses, found.last_used_at), (1, Some(first)));
    // What is left of the limit is for those who sign; what it refuses uses no jti up.
    let late = Asked::by(&world, &key).with("jti", json!("late")).text();
    for _ in 0..2 {
        Asked::by(&world, &key).send(&world).await.unwrap();
    }
    match sends(&late).await {
        Err(OAuthFault::Failed(error)) => {
            assert_eq!(error.code(), symbolon_domain::Code::RateLimited);
        }
        other => panic!("{other:?}"),
    }
    world.advance(20 * MINUTE);
    sends(&late).await.unwrap();
    app.flush_uses().await.unwrap();
    assert_eq!(find().await.uses, 4);
}

async fn scopes_are_asked_for_and_not_exceeded(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(service_account("billing", "a:* c d")).await;
    let key = world.key(made.id, "a:* c").await;
    let ask = async |wanted: Option<&str>| {
        let asked = Asked {
            scopes: wanted.map(scopes),
            ..Asked::by(&world, &key)
        };
        asked.send(&world).await
    };
    assert_eq!(ask(None).await.unwrap().scopes, scopes("a:* c"));
    let narrow = ask(Some("a:x")).await.unwrap();
    assert_eq!(narrow.scopes, scopes("a:x"));
    let actor = world.actor(narrow.token.reveal()).await.unwrap();
    assert_eq!(actor.authority().scopes, scopes("a:x"));
    let none = ask(Some("")).await.unwrap();
    assert!(none.scopes.is_empty());
    assert!(read_jws(none.token.reveal()).1.get("scope").is_none());
    let actor = world.actor(none.token.reveal()).await.unwrap();
    assert!(actor.authority().scopes.is_empty());
    for more in ["d", "a:* d", "*", "symbolon:admin", "c:x"] {
        let refused = ask(Some(more)).await;
        assert!(matches!(refused, Err(OAuthFault::InvalidScope)), "{more}");
    }
    // What the service account has lost is not granted any more.
    let patch = ServiceAccountPatch {
        scopes: Some(scopes("a:*")),
        ..Default::default()
    };
    app.update_service_account(&call(&admin), world.account, made.id, patch, None)
        .await
        .unwrap();
    assert_eq!(ask(None).await.unwrap().scopes, scopes("a:*"));
    let refused = ask(Some("c")).await;
    assert!(matches!(refused, Err(OAuthFault::InvalidScope)));
    // More scopes than a header carries have to be asked for by name.
    let many: Vec<String> = (0..100)
        .map(|at| format!("{}{at}", "x".repeat(100)))
        .collect();
    let made = world.make(service_account("many", &many.join(" "))).await;
    let key = world.key(made.id, &many.join(" ")).await;
    let refused = Asked::by(&world, &key).send(&world).await;
    assert!(matches!(refused, Err(OAuthFault::InvalidScope)));
    let asked = Asked {
        scopes: Some(scopes(&many[0])),
        ..Asked::by(&world, &key)
    };
    asked.send(&world).await.unwrap();
}

async fn a_resource_becomes_the_audience(world: World) {
    let key = billing(&world).await;
    let ask = async |resources: &[&str]| {
        let asked = Asked {
            resources: resources.iter().map(|it| it.to_string()).collect(),
            ..Asked::by(&world, &key)
        };
        asked.send(&world).await
    };
    let (one, two) = ("https://api.example.com/v1", "urn:example:two");
    let token = ask(&[one]).await.unwrap().token;
    assert_eq!(read_jws(token.reveal()).1["aud"], json!(one));
    assert_eq!(
        code(world.actor(token.reveal()).await),
        symbolon_domain::Code::NotAllowedHere,
        "meant for somebody else"
    );
    let token = ask(&[one, two, one]).await.unwrap().token;
    assert_eq!(read_jws(token.reveal()).1["aud"], json!([one, two]));
    let own = world.app().public_url().to_owned();
    let token = ask(&[&own, one]).await.unwrap().token;
    assert!(world.actor(token.reveal()).await.is_ok());
    for bad in ["", "x", "/v1", "https://a#b", "https://a b"] {
        let refused = ask(&[one, bad]).await;
        assert!(matches!(refused, Err(OAuthFault::InvalidTarget)), "{bad}");
    }
    let refused = ask(&[one; 11]).await;
    assert!(matches!(refused, Err(OAuthFault::InvalidTarget)));
}

async fn client_credentials_have_to_be_the_same_keys(world: World) {
    let made = world.make(service_account("billing", "")).await;
    let key = world.key(made.id, "").await;
    let other = world.key(made.id, "").await;
    let ask = async |client| {
        let asked = Asked {
            client: Some(client),
            ..Asked::by(&world, &key)
        };
        asked.send(&world).await
    };
    // Basic is client authentication here, whether or not it opens resources.
    ask(basic(&key.key_id, &key.secret)).await.unwrap();
    for client in [
        basic(&other.key_id, &other.secret),
        basic(&key.key_id, &other.secret),
        basic(&other.key_id, &key.secret),
        basic(&key.key_id, ""),
        basic("", &key.secret),
        bearer(&key.secret),
        bearer(&made.token),
    ] {
        let refused = ask(client).await;
        assert!(matches!(refused, Err(OAuthFault::InvalidClient)));
    }
}

async fn nothing_outlives_its_key(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(service_account("billing", "")).await;
    let end = app.now().plus(30 * MINUTE);
    let new = NewToken {
        expiry: ExpiryRequest::At(end),
        ..key("")
    };
    let ends = world.issue_key(made.id, new).await;
    let issued = Asked::by(&world, &ends).send(&world).await.unwrap();
    assert_eq!(issued.expires_in, 30 * MINUTE);
    assert_eq!(
        read_jws(issued.token.reveal()).1["exp"],
        json!(end.as_seconds())
    );
    // In its grace after a rotation it goes on for so long, and so do its tokens.
    let retiring = world.key(made.id, "").await;
    app.rotate_token(
        &call(&admin),
        world.account,
        made.id,
        retiring.id,
        grace(10 * MINUTE),
    )
    .await
    .unwrap();
    let issued = Asked::by(&world, &retiring).send(&world).await.unwrap();
    assert_eq!(issued.expires_in, 10 * MINUTE);
    // The policy may end it earlier than it says itself.
    world.advance(SECOND / 2);
    let old = world.key(made.id, "").await;
    world.advance(15 * MINUTE);
    let patch = AccountPatch {
        max_lifetime: Some(Some(20 * MINUTE)),
        ..AccountPatch::default()
    };
    app.update_account(&call(&admin), world.account, patch, None)
        .await
        .unwrap();
    let issued = Asked::by(&world, &old).send(&world).await.unwrap();
    assert_eq!(issued.expires_in, 5 * MINUTE);
    // Whole seconds: with less than one to go there is nothing to be had.
    world.advance(5 * MINUTE - Duration::from_millis(400));
    let refused = Asked::by(&world, &old).send(&world).await;
    assert!(grant_fault(refused).contains("about to end"));
}

async fn a_key_out_of_force_gets_nothing(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let by = call(&admin);
    let because = Because::default;
    let refused = async |key: &Key| grant_fault(Asked::by(&world, key).send(&world).await);
    let key = billing(&world).await;
    let (account, owner) = (world.account, key.owner);
    app.suspend_token(&by, account, owner, key.id, because())
        .await
        .unwrap();
    assert_eq!(refused(&key).await, NOT_ACCEPTED);
    app.activate_token(&by, account, owner, key.id, because())
        .await
        .unwrap();
    Asked::by(&world, &key).send(&world).await.unwrap();
    app.suspend_service_account(&by, account, owner, because())
        .await
        .unwrap();
    assert_eq!(refused(&key).await, NOT_ACCEPTED);
    app.activate_service_account(&by, account, owner, because())
        .await
        .unwrap();
    let rotated = app
        .rotate_token(&by, account, owner, key.id, Rotation::default())
        .await
        .unwrap();
    assert_eq!(refused(&key).await, NOT_ACCEPTED);
    let next = Key {
        id: rotated.record.it.id,
        key_id: rotated.record.it.public_id.clone(),
        secret: rotated.secret.unwrap().reveal().to_owned(),
        owner,
    };
    Asked::by(&world, &next).send(&world).await.unwrap();
    app.revoke_service_account(&by, account, owner, because())
        .await
        .unwrap();
    assert_eq!(refused(&next).await, NOT_ACCEPTED);

    let later = NewToken {
        not_before: Some(app.now().plus(HOUR)),
        expiry: ExpiryRequest::At(app.now().plus(2 * HOUR)),
        ..crate::harness::key("")
    };
    let made = world.make(service_account("later", "")).await;
    let later = world.issue_key(made.id, later).await;
    assert_eq!(refused(&later).await, NOT_ACCEPTED);
    world.advance(HOUR);
    Asked::by(&world, &later).send(&world).await.unwrap();
    let suspend = |status| AccountPatch {
        status: Some(status),
        ..AccountPatch::default()
    };
    let (patch, operator) = (suspend(AccountStatus::Suspended), Actor::operator_cli());
    app.update_account(&call(&operator), account, patch, None)
        .await
        .unwrap();
    assert_eq!(refused(&later).await, NOT_ACCEPTED);
    app.update_account(
        &call(&operator),
        account,
        suspend(AccountStatus::Active),
        None,
    )
    .await
    .unwrap();
    world.advance(HOUR);
    assert_eq!(refused(&later).await, NOT_ACCEPTED);
}

async fn a_contact_may_have_to_be_confirmed(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let key = billing(&world).await;
    let patch = AccountPatch {
        require_confirmed_contact: Some(true),
        ..AccountPatch::default()
    };
    app.update_account(&call(&admin), world.account, patch, None)
        .await
        .unwrap();
    let refused = grant_fault(Asked::by(&world, &key).send(&world).await);
    assert!(refused.contains("contact"), "{refused}");
}
