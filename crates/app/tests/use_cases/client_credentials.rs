//! Client credentials: a key's id and secret for an access token, from where its networks allow; and the
//! published keys, which verify what was signed.

use crate::asked::Asked;
use crate::harness::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use std::net::IpAddr;
use symbolon_app::{Evidence, IssuedAccessToken, OAuthFault, PublishedKey, Wanted};
use symbolon_domain::account::AccountPatch;
use symbolon_domain::issue::{Limits, NewToken};
use symbolon_domain::{AllowedNetworks, Code, RateLimit};

on_both!(
    a_key_is_a_client_where_its_networks_allow,
    a_key_is_a_client_as_often_as_its_rate_allows,
    a_contact_may_have_to_be_confirmed,
    what_was_signed_is_verified_by_a_published_key,
);

async fn ask(
    world: &World,
    key: &Key,
    client_ip: Option<IpAddr>,
) -> Result<IssuedAccessToken, OAuthFault> {
    let client = Evidence::Basic {
        key_id: &key.key_id,
        secret: &key.secret,
    };
    let wanted = Wanted {
        client_ip,
        ..Wanted::default()
    };
    world
        .app()
        .exchange_client_credentials(client, wanted)
        .await
}

async fn billing(world: &World, limits: Limits) -> Key {
    let made = world.make(service_account("billing", "a")).await;
    let new = NewToken { limits, ..key("a") };
    world.issue_key(made.id, new).await
}

async fn a_key_is_a_client_where_its_networks_allow(world: World) {
    let networks = ["192.0.2.0/24", "2001:db8::/32"];
    let limits = Limits {
        allowed_networks: AllowedNetworks::parse_all(&networks).unwrap(),
        ..Limits::default()
    };
    let key = billing(&world, limits).await;
    let from = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    let by_assertion = async |client_ip| {
        let asked = Asked {
            client_ip,
            ..Asked::by(&world, &key)
        };
        asked.send(&world).await
    };
    for there in [
        "192.0.2.1",
        "192.0.2.255",
        "2001:db8::9",
        "::ffff:192.0.2.1",
    ] {
        assert!(ask(&world, &key, from(there)).await.is_ok(), "{there}");
        assert!(by_assertion(from(there)).await.is_ok(), "{there}");
    }
    for elsewhere in [None, from("192.0.3.1"), from("2001:db9::"), from("::1")] {
        let refused = ask(&world, &key, elsewhere).await.unwrap_err();
        assert!(
            matches!(refused, OAuthFault::UnauthorizedClient(why) if why.contains("address")),
            "{elsewhere:?} {refused:?}"
        );
        let refused = by_assertion(elsewhere).await.unwrap_err();
        assert!(
            matches!(refused, OAuthFault::InvalidGrant(why) if why.contains("address")),
            "{elsewhere:?} {refused:?}"
        );
    }
    // Whoever does not hold the key learns nothing of its networks.
    let thief = Key {
        secret: "guessed".into(),
        ..key
    };
    for client_ip in [None, from("192.0.2.1")] {
        let refused = ask(&world, &thief, client_ip).await.unwrap_err();
        assert!(matches!(refused, OAuthFault::InvalidClient), "{refused:?}");
    }
}

async fn a_key_is_a_client_as_often_as_its_rate_allows(world: World) {
    let limits = Limits {
        rate_limit: Some(RateLimit::new(3, MINUTE).unwrap()),
        ..Limits::default()
    };
    let key = billing(&world, limits).await;
    assert!(ask(&world, &key, None).await.is_ok());
    assert!(Asked::by(&world, &key).send(&world).await.is_ok());
    // One allowance for the key, whatever stands for it.
    let issued = ask(&world, &key, None).await.unwrap();
    assert_eq!(
        code(world.actor(issued.token.reveal()).await),
        Code::RateLimited
    );
    for refused in [
        ask(&world, &key, None).await,
        Asked::by(&world, &key).send(&world).await,
    ] {
        let error = match refused.unwrap_err() {
            OAuthFault::Failed(error) => error,
            other => panic!("{other:?}"),
        };
        assert!(
            matches!(error, symbolon_app::Error::RateLimited(_)),
            "{error:?}"
        );
    }
    world.advance(MINUTE / 3);
    assert!(world.is_live(issued.token.reveal()).await);
}

async fn a_contact_may_have_to_be_confirmed(world: World) {
    let admin = world.admin().await;
    let key = billing(&world, Limits::default()).await;
    assert!(ask(&world, &key, None).await.is_ok());
    let patch = AccountPatch {
        require_confirmed_contact: Some(true),
        ..AccountPatch::default()
    };
    let by = call(&admin);
    let changed = world.app().update_account(&by, world.account, patch, None);
    changed.await.unwrap();
    let refused = ask(&world, &key, None).await.unwrap_err();
    assert!(
        matches!(refused, OAuthFault::UnauthorizedClient(why) if why.contains("contact")),
        "{refused:?}"
    );
}

/// Whether one of the keys has signed this JWT: the one that it names.
fn verifies(keys: &[PublishedKey], jwt: &str) -> bool {
    let kid = read_jws(jwt).0["kid"].as_str().unwrap().to_owned();
    let (input, signature) = jwt.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    keys.iter().filter(|it| it.kid == kid).any(|it| {
        let key = UnparsedPublicKey::new(&ED25519, &it.public_key);
        key.verify(input.as_bytes(), &signature).is_ok()
    })
}

async fn what_was_signed_is_verified_by_a_published_key(world: World) {
    let app = world.app();
    // Whoever asks before anything was signed knows the key that will have signed it.
    let kept = app.published_keys().await.unwrap();
    let key = billing(&world, Limits::default()).await;
    let token = async || {
        let issued = ask(&world, &key, None).await.unwrap();
        issued.token.reveal().to_owned()
    };
    let first = token().await;
    assert!(verifies(&kept, &first));
    let (input, other) = (first.rsplit_once('.').unwrap().0, token().await);
    let signature = other.rsplit_once('.').unwrap().1;
    assert!(!verifies(&kept, &format!("{input}.{signature}")));
    // For two takeovers, each answer is good for the next token, and for the one before.
    let mut known = kept;
    let mut last = first;
    for _ in 0..2 {
        world.advance(90 * DAY);
        app.maintain_signing_keys().await.unwrap();
        let now = app.published_keys().await.unwrap();
        assert!(verifies(&now, &last));
        let next = token().await;
        assert!(verifies(&known, &next) && verifies(&now, &next));
        assert_ne!(read_jws(&next).0["kid"], read_jws(&last).0["kid"]);
        (known, last) = (now, next);
    }
}
