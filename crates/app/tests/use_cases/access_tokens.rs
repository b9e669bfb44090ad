//! Access tokens: judged at each use by their key's state, bound to what they say, and good nowhere else.

use crate::asked::Asked;
use crate::harness::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};
use symbolon_app::{KeyFile, Keyring, OAuthFault};
use symbolon_domain::account::AccountPatch;
use symbolon_domain::dice::SeededDice;
use symbolon_domain::issue::{Grant, NewToken, Rotation, ServiceAccountPatch};
use symbolon_domain::retire::Because;
use symbolon_domain::signing::SigningKeyStatus;
use symbolon_domain::{AccountStatus, Code, Permission, SigningKeyId};

on_both!(
    each_access_token_ends_by_itself,
    it_ends_at_its_instant,
    it_ends_with_what_it_came_from,
    it_may_do_what_is_left_of_its_scopes,
    it_ends_itself_and_no_other,
    a_key_that_inherits_lends_what_there_is,
    even_well_signed_only_ours_are_taken,
    each_kind_is_refused_in_the_others_places,
);

async fn exchange(world: &World, key: &Key) -> String {
    let issued = Asked::by(world, key).send(world).await.unwrap();
    issued.token.reveal().to_owned()
}

async fn billing(world: &World, granted: &str) -> Key {
    let made = world.make(service_account("billing", granted)).await;
    world.key(made.id, granted).await
}

async fn it_ends_at_its_instant(world: World) {
    let key = billing(&world, "a").await;
    let token = exchange(&world, &key).await;
    world.advance(HOUR - TICK);
    assert!(world.is_live(&token).await);
    world.advance(TICK);
    assert!(!world.is_live(&token).await);
}

async fn it_ends_with_what_it_came_from(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let by = call(&admin);
    let because = Because::default;
    let account = world.account;
    let key = billing(&world, "a").await;
    let other = world.key(key.owner, "a").await;
    let (token, others) = (exchange(&world, &key).await, exchange(&world, &other).await);
    app.suspend_token(&by, account, key.owner, key.id, because())
        .await
        .unwrap();
    assert!(!world.is_live(&token).await && world.is_live(&others).await);
    app.activate_token(&by, account, key.owner, key.id, because())
        .await
        .unwrap();
    assert!(world.is_live(&token).await);
    app.suspend_service_account(&by, account, key.owner, because())
        .await
        .unwrap();
    assert!(!world.is_live(&token).await && !world.is_live(&others).await);
    app.activate_service_account(&by, account, key.owner, because())
        .await
        .unwrap();
    let operator = symbolon_app::Actor::operator_cli();
    for (status, live) in [
        (AccountStatus::Suspended, false),
        (AccountStatus::Active, true),
    ] {
        let patch = AccountPatch {
            status: Some(status),
            ..AccountPatch::default()
        };
        app.update_account(&call(&operator), account, patch, None)
            .await
            .unwrap();
        assert_eq!(world.is_live(&token).await, live);
    }
    // A key that goes on for its grace takes its tokens along, even those that say more.
    app.rotate_token(&by, account, key.owner, key.id, grace(10 * MINUTE))
        .await
        .unwrap();
    world.advance(10 * MINUTE - TICK);
    assert!(world.is_live(&token).await);
    world.advance(TICK);
    assert!(!world.is_live(&token).await && world.is_live(&others).await);
    let fresh = world.make(service_account("fresh", "a")).await;
    let fresh = world.key(fresh.id, "a").await;
    let token = exchange(&world, &fresh).await;
    app.revoke_token(&by, account, fresh.owner, fresh.id, because())
        .await
        .unwrap();
    assert!(!world.is_live(&token).await);
    // A policy that ends the key ends them too.
    let patch = AccountPatch {
        max_lifetime: Some(Some(MINUTE)),
        ..AccountPatch::default()
    };
    app.update_account(&call(&operator), account, patch, None)
        .await
        .unwrap();
    assert!(!world.is_live(&others).await);
}

async fn it_may_do_what_is_left_of_its_scopes(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let key = billing(
        &world,
        "symbolon:service-accounts:read symbolon:tokens:read",
    )
    .await;
    let asked = Asked {
        scopes: Some(scopes("symbolon:service-accounts:read")),
        ..Asked::by(&world, &key)
    };
    let narrow = asked.send(&world).await.unwrap().token.reveal().to_owned();
    let actor = world.actor(&narrow).await.unwrap();
    assert!(actor.demand(Permission::ServiceAccountsRead).is_ok());
    assert_eq!(
        code(actor.demand(Permission::TokensRead)),
        Code::PermissionMissing
    );
    let seen = app.whoami(&actor).await.unwrap();
    assert_eq!(seen.credential.id, key.id);
    assert_eq!(seen.scopes, scopes("symbolon:service-accounts:read"));
    let patch = ServiceAccountPatch {
        scopes: Some(scopes("symbolon:tokens:read")),
        ..Default::default()
    };
    app.update_service_account(&call(&admin), world.account, key.owner, patch, None)
        .await
        .unwrap();
    let actor = world.actor(&narrow).await.unwrap();
    assert!(actor.authority().scopes.is_empty());
    assert_eq!(
        code(actor.demand(Permission::ServiceAccountsRead)),
        Code::PermissionMissing
    );
    assert_eq!(
        code(actor.demand(Permission::TokensRead)),
        Code::PermissionMissing
    );
}

async fn it_ends_itself_and_no_other(world: World) {
    let app = world.app();
    let key = billing(&world, "a").await;
    let (token, other) = (exchange(&world, &key).await, exchange(&world, &key).await);
    world.advance(SECOND);
    let actor = world.actor(&token).await.unwrap();
    let rotated = app.rotate_self(&call(&actor), Rotation::default()).await;
    assert_eq!(code(rotated), Code::InvalidAction);
    let ended = app
        .revoke_self(&call(&actor), Because::default())
        .await
        .unwrap();
    assert!(!ended.replayed && !ended.record.it.is_revoked());
    assert!(!world.is_live(&token).await);
    assert!(world.is_live(&other).await);
    Asked::by(&world, &key).send(&world).await.unwrap();
    let events = world.events(world.account).await;
    assert_eq!(events.last(), Some(&"access_token.revoked"));
    // It is remembered for as long as the token says, purge or no purge.
    world.advance(HOUR - SECOND - TICK);
    while app.purge_page().await.unwrap() > 0 {}
    assert!(!world.is_live(&token).await && world.is_live(&other).await);
    world.advance(TICK);
    while app.purge_page().await.unwrap() > 0 {}
    assert!(!world.is_live(&token).await && !world.is_live(&other).await);
}

async fn a_key_that_inherits_lends_what_there_is(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(service_account("billing", "a")).await;
    let new = NewToken {
        grant: Grant::Inherit,
        ..key("")
    };
    let key = world.issue_key(made.id, new).await;
    let early = exchange(&world, &key).await;
    let patch = ServiceAccountPatch {
        scopes: Some(scopes("a b")),
        ..Default::default()
    };
    app.update_service_account(&call(&admin), world.account, made.id, patch, None)
        .await
        .unwrap();
    let late = exchange(&world, &key).await;
    let may = async |token: &str| world.actor(token).await.unwrap().authority().scopes.clone();
    assert_eq!(may(&early).await, scopes("a"), "as it was made");
    assert_eq!(may(&late).await, scopes("a b"));
}

/// The signing key of this world, unsealed as only the holder of its key file can.
struct Forge {
    kid: String,
    pair: Ed25519KeyPair,
}

impl Forge {
    async fn of(world: &World) -> Self {
        let file = KeyFile::generate(&mut SeededDice::new(0));
        let rows = world.app().store().signing_keys().await.unwrap();
        let active = |status| matches!(status, SigningKeyStatus::Active { .. });
        let row = rows.iter().find(|it| active(it.status)).unwrap();
        let seed = Keyring::new(&file)
            .unseal_seed(row.id, &row.sealed)
            .unwrap();
        Self {
            kid: row.id.to_string(),
            pair: Ed25519KeyPair::from_seed_and_public_key(&seed, &row.public_key).unwrap(),
        }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

async fn even_well_signed_only_ours_are_taken(world: World) {
    let key = billing(&world, "a").await;
    let other = billing(&world, "a").await;
    let token = exchange(&world, &key).await;
    let forge = Forge::of(&world).await;
    let (header, claims) = read_jws(&token);
    assert_eq!(header["kid"], json!(forge.kid));
    assert!(world.is_live(&forge.sign(&header, &claims)).await);
    let now = world.app().now().as_seconds();
    let opaque = world.make(service_account("opaque", "a")).await;
    let opaque_id = symbolon_domain::token_text::parse(&opaque.token)
        .unwrap()
        .public_id;
    let unknown = SigningKeyId(uuid::Uuid::from_u128(7)).to_string();
    for (name, value) in [
        ("iss", json!("https://elsewhere.example")),
        ("iss", json!(format!("{}/", world.app().public_url()))),
        ("iss", Value::Null),
        ("sub", json!(other.owner)),
        ("sub", Value::Null),
        ("sub", json!(key.owner.to_string().to_uppercase())),
        ("client_id", json!(other.key_id)),
        ("client_id", json!("0000000000000000")),
        ("client_id", json!("")),
        ("client_id", json!(opaque_id)),
        ("client_id", Value::Null),
        ("aud", json!(7)),
        ("aud", json!([7])),
        ("iat", json!(now + 31)),
        ("iat", json!("now")),
        ("iat", Value::Null),
        ("exp", json!(now)),
        ("exp", json!("never")),
        ("exp", Value::Null),
        ("jti", json!("x")),
        ("jti", Value::Null),
        ("scope", json!(["a"])),
        ("scope", json!("A!")),
    ] {
        let shown = format!("{name} = {value}");
        let mut changed = claims.clone();
        match value {
            Value::Null => drop(changed.as_object_mut().unwrap().remove(name)),
            value => changed[name] = value,
        }
        let refused = world.actor(&forge.sign(&header, &changed)).await;
        assert_eq!(code(refused), Code::Unauthenticated, "{shown}");
    }
    for (name, value) in [
        ("kid", json!(unknown)),
        ("kid", json!(forge.kid.to_uppercase())),
        ("kid", Value::Null),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("typ", json!("JWT")),
        ("typ", json!("AT+JWT")),
        ("typ", Value::Null),
        ("typ", json!("api-token+jwt")),
        ("crit", json!([])),
    ] {
        let shown = format!("{name} = {value}");
        let mut changed = header.clone();
        match value {
            Value::Null => drop(changed.as_object_mut().unwrap().remove(name)),
            value => changed[name] = value,
        }
        let refused = world.actor(&forge.sign(&changed, &claims)).await;
        assert_eq!(code(refused), Code::Unauthenticated, "{shown}");
    }
    // Not for us: known, and refused.
    let mut elsewhere = claims.clone();
    for aud in [json!("https://elsewhere.example"), json!([])] {
        elsewhere["aud"] = aud;
        let refused = world.actor(&forge.sign(&header, &elsewhere)).await;
        assert_eq!(code(refused), Code::NotAllowedHere);
    }
    // More than the key may do is not to be had by saying so.
    let mut more = claims.clone();
    more["scope"] = json!("a b symbolon:admin");
    let actor = world.actor(&forge.sign(&header, &more)).await.unwrap();
    assert_eq!(actor.authority().scopes, scopes("a"));
    // Without a scope it may do nothing.
    let mut less = claims.clone();
    less.as_object_mut().unwrap().remove("scope");
    let actor = world.actor(&forge.sign(&header, &less)).await.unwrap();
    assert!(actor.authority().scopes.is_empty());
    // The public key is no secret that could sign under HS256.
    let public_key = {
        use ring::signature::KeyPair;
        forge.pair.public_key().as_ref().to_vec()
    };
    let mut confused = header.clone();
    confused["alg"] = json!("HS256");
    let latin: String = public_key.iter().map(|it| *it as char).collect();
    for secret in [latin.as_str(), &URL_SAFE_NO_PAD.encode(&public_key)] {
        let refused = world.actor(&hs256(&confused, &claims, secret)).await;
        assert_eq!(code(refused), Code::Unauthenticated);
    }
    let unsigned = format!("{}.{}.", part(&json!({ "alg": "none" })), part(&claims));
    assert_eq!(code(world.actor(&unsigned).await), Code::Unauthenticated);
}

async fn each_kind_is_refused_in_the_others_places(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let key = billing(&world, "a").await;
    let access_token = exchange(&world, &key).await;
    let new = NewToken {
        kind: symbolon_domain::CredentialKind::Jwt,
        ..token("a")
    };
    let direct = app
        .issue_direct_token(&call(&admin), world.account, None, new)
        .await
        .unwrap();
    let api_token = direct.secret.unwrap().reveal().to_owned();
    assert!(world.is_live(&api_token).await);
    let asked = Asked::by(&world, &key);
    let assertion = hs256(&asked.header, &asked.claims, &key.secret);
    // An assertion is no bearer token, whatever it calls itself.
    assert!(!world.is_live(&assertion).await);
    for typ in ["at+jwt", "api-token+jwt"] {
        let mut header = asked.header.clone();
        header["typ"] = json!(typ);
        let mut claims = read_jws(&access_token).1;
        claims["jti"] = read_jws(&api_token).1["jti"].clone();
        assert!(!world.is_live(&hs256(&header, &claims, &key.secret)).await);
    }
    for text in [&access_token, &api_token, &key.secret] {
        let grant = symbolon_app::AssertionGrant {
            assertion: &symbolon_domain::Presented::new(text.as_str()),
            endpoint_path: TOKEN_PATH,
            client: None,
            wanted: Default::default(),
        };
        let refused = app.exchange_assertion(grant).await;
        assert!(matches!(refused, Err(OAuthFault::InvalidGrant(_))));
    }
    // Well signed by the key that signs access tokens, and still no other kind.
    let forge = Forge::of(&world).await;
    let (mut header, claims) = read_jws(&access_token);
    header["typ"] = json!("api-token+jwt");
    assert!(!world.is_live(&forge.sign(&header, &claims)).await);
    let (mut header, claims) = read_jws(&api_token);
    header["typ"] = json!("at+jwt");
    assert!(!world.is_live(&forge.sign(&header, &claims)).await);
    // Neither is a secret for Basic.
    let jti = read_jws(&api_token).1["jti"].as_str().unwrap().to_owned();
    for (key_id, secret, expected) in [
        (
            key.key_id.as_str(),
            access_token.as_str(),
            Code::Unauthenticated,
        ),
        (&key.key_id, &assertion, Code::Unauthenticated),
        (&jti, &access_token, Code::Unauthenticated),
        (&jti, &api_token, Code::NotAllowedHere),
    ] {
        let refused = world.basic_actor(key_id, secret).await;
        assert_eq!(code(refused), expected, "{key_id}");
    }
}

/// Whatever `Idempotency-Key` they come with: all of them speak for one key.
async fn each_access_token_ends_by_itself(world: World) {
    let app = world.app();
    let key = billing(&world, "a").await;
    let tokens = [exchange(&world, &key).await, exchange(&world, &key).await];
    for token in &tokens {
        let actor = world.actor(token).await.unwrap();
        let seen = app.whoami(&actor).await.unwrap();
        let end = app.now().plus(60 * MINUTE);
        assert_eq!(seen.credential.expires_at, Some(end));
        let by = keyed(&actor, "revoke_self", "shutdown", "body");
        let done = app.revoke_self(&by, Because::default()).await.unwrap();
        assert!(!done.replayed && !world.is_live(token).await);
    }
    let third = exchange(&world, &key).await;
    assert!(world.is_live(&third).await);
}
