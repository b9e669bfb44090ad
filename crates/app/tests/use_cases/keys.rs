//! Keys: shown once, found by their id, good by Basic only while the service account says so.

use crate::harness::*;
use symbolon_app::{PageRequest, TokenFilter};
use symbolon_domain::issue::{Rotation, ServiceAccountPatch};
use symbolon_domain::retire::Because;
use symbolon_domain::{Code, CredentialKind};

on_both!(
    a_key_opens_by_basic_only_while_enabled,
    only_the_right_pair_opens,
    nothing_but_a_key_opens_by_basic,
    keys_are_found_and_listed,
    a_key_replaces_itself,
    a_repeated_create_shows_the_same_key,
    a_lost_right_or_reach_makes_no_key,
);

fn basic_auth(enabled: bool) -> ServiceAccountPatch {
    ServiceAccountPatch {
        basic_auth_enabled: Some(enabled),
        ..Default::default()
    }
}

async fn switch_basic(world: &World, made: &Made, enabled: bool) {
    let admin = world.admin().await;
    world
        .app()
        .update_service_account(
            &call(&admin),
            world.account,
            made.id,
            basic_auth(enabled),
            None,
        )
        .await
        .unwrap();
}

async fn a_key_opens_by_basic_only_while_enabled(world: World) {
    let made = world.make(service_account("billing", "a:b c")).await;
    let key = world.key(made.id, "a:b").await;
    let refused = world.basic_actor(&key.key_id, &key.secret).await;
    assert_eq!(code(refused), Code::NotAllowedHere);
    switch_basic(&world, &made, true).await;
    let actor = world.basic_actor(&key.key_id, &key.secret).await.unwrap();
    assert_eq!(actor.authority().scopes, scopes("a:b"));
    assert_eq!(actor.credential_id(), Some(key.id));
    // As a bearer token its secret is refused all the same.
    assert_eq!(code(world.actor(&key.secret).await), Code::NotAllowedHere);
    switch_basic(&world, &made, false).await;
    let refused = world.basic_actor(&key.key_id, &key.secret).await;
    assert_eq!(code(refused), Code::NotAllowedHere);
    world.app().flush_uses().await.unwrap();
    let admin = world.admin().await;
    let found = world
        .app()
        .find_key(&admin, world.account, made.id, &key.key_id)
        .await
        .unwrap();
    assert_eq!(found.uses, 1, "refused uses are not uses");
    assert_eq!(found.last_used_at, Some(world.app().now()));
}

async fn only_the_right_pair_opens(world: World) {
    let made = world.make(service_account("billing", "")).await;
    let (key, other) = (world.key(made.id, "").await, world.key(made.id, "").await);
    for enabled in [false, true] {
        switch_basic(&world, &made, enabled).await;
        let mut wrong = key.secret.clone();
        wrong.replace_range(30..31, if &wrong[30..31] == "A" { "B" } else { "A" });
        for (key_id, secret) in [
            (key.key_id.as_str(), wrong.as_str()),
            (&key.key_id, ""),
            (&key.key_id, &other.secret),
            (&key.key_id, &key.secret[..key.secret.len() - 1]),
            (&other.key_id, &key.secret),
            ("", &key.secret),
            ("0000000000000000", &key.secret),
            (&key.key_id[1..], &key.secret),
            ("é00000000000000", &key.secret),
            (&key.secret, &key.secret),
        ] {
            let refused = world.basic_actor(key_id, secret).await;
            assert_eq!(code(refused), Code::Unauthenticated, "{key_id}");
        }
    }
    // What is out of force looks no different from what never was.
    let admin = world.admin().await;
    let because = Because::default;
    world
        .app()
        .suspend_token(&call(&admin), world.account, made.id, key.id, because())
        .await
        .unwrap();
    let refused = world.basic_actor(&key.key_id, &key.secret).await;
    assert_eq!(code(refused), Code::Unauthenticated);
    world
        .app()
        .suspend_service_account(&call(&admin), world.account, made.id, because())
        .await
        .unwrap();
    let refused = world.basic_actor(&other.key_id, &other.secret).await;
    assert_eq!(code(refused), Code::Unauthenticated);
}

async fn nothing_but_a_key_opens_by_basic(world: World) {
    let made = world.make(service_account("billing", "")).await;
    switch_basic(&world, &made, true).await;
    let public_id = symbolon_domain::token_text::parse(&made.token)
        .unwrap()
        .public_id;
    let refused = world.basic_actor(public_id, &made.token).await;
    assert_eq!(code(refused), Code::NotAllowedHere);
}

async fn keys_are_found_and_listed(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(service_account("billing", "a")).await;
    let other = world.make(service_account("other", "")).await;
    world.advance(SECOND);
    let key = world.key(made.id, "a").await;
    let row = app.store().find_credential(world.account, key.id).await;
    let row = row.unwrap().unwrap();
    let sealed = row.sealed_secret.unwrap().bytes;
    let secret = key.secret.as_bytes();
    assert!(!sealed.windows(secret.len()).any(|it| it == secret));

    let found = app
        .find_key(&admin, world.account, made.id, &key.key_id)
        .await
        .unwrap();
    assert_eq!((found.it.id, found.it.kind), (key.id, CredentialKind::Key));
    let primary = symbolon_domain::token_text::parse(&made.token).unwrap();
    for (owner, key_id) in [
        (other.id, key.key_id.as_str()),
        (made.id, primary.public_id),
        (made.id, "0000000000000000"),
        (made.id, ""),
        (made.id, "ü"),
    ] {
        let missing = app.find_key(&admin, world.account, owner, key_id).await;
        assert_eq!(code(missing), Code::NotFound, "{key_id}");
    }
    let list = async |kind, include_revoked| -> Vec<CredentialKind> {
        let filter = TokenFilter {
            include_revoked,
            kind,
        };
        let page = PageRequest {
            after: None,
            limit: 9,
        };
        let found = app
            .list_tokens(&admin, world.account, made.id, filter, page)
            .await
            .unwrap();
        found.items.iter().map(|it| it.it.kind).collect()
    };
    use CredentialKind::{Key, Opaque};
    assert_eq!(list(None, false).await, [Key, Opaque]);
    assert_eq!(list(Some(Key), false).await, [Key]);
    assert_eq!(list(Some(Opaque), false).await, [Opaque]);
    let of = [made.id, other.id, made.id];
    let all = app.tokens_of(&admin, world.account, &of).await.unwrap();
    let kinds: Vec<_> = all[&made.id].iter().map(|it| it.it.kind).collect();
    assert_eq!(kinds, [Opaque, Key], "oldest first");
    assert_eq!(all[&other.id].len(), 1);

    app.revoke_token(
        &call(&admin),
        world.account,
        made.id,
        key.id,
        Because::default(),
    )
    .await
    .unwrap();
    let found = app
        .find_key(&admin, world.account, made.id, &key.key_id)
        .await;
    assert!(found.unwrap().it.is_revoked());
    assert_eq!(list(Some(Key), false).await, []);
    assert_eq!(list(Some(Key), true).await, [Key]);
    let all = app.tokens_of(&admin, world.account, &[made.id]).await;
    assert_eq!(all.unwrap()[&made.id].len(), 1);
    assert!(
        app.tokens_of(&admin, world.account, &[])
            .await
            .unwrap()
            .is_empty()
    );
}

async fn a_key_replaces_itself(world: World) {
    let app = world.app();
    let made = world.make(service_account("billing", "a")).await;
    switch_basic(&world, &made, true).await;
    let key = world.key(made.id, "a").await;
    let actor = world.basic_actor(&key.key_id, &key.secret).await.unwrap();
    let by = keyed(&actor, "self_rotate", "k", "body");
    let rotated = app.rotate_self(&by, Rotation::default()).await.unwrap();
    let secret = rotated.secret.unwrap().reveal().to_owned();
    assert_eq!(rotated.record.it.kind, CredentialKind::Key);
    let next = world
        .basic_actor(&rotated.record.it.public_id, &secret)
        .await;
    assert_eq!(next.unwrap().authority().scopes, scopes("a"));
    let refused = world.basic_actor(&key.key_id, &key.secret).await;
    assert_eq!(code(refused), Code::Unauthenticated);
    // The answer was lost: the identical request gets it again, while Basic is enabled.
    let old = basic(&key.key_id, &key.secret);
    let again = app.authenticate(&old, Default::default(), Some("k")).await;
    let again = again.unwrap();
    let by = keyed(&again, "self_rotate", "k", "body");
    let repeated = app.rotate_self(&by, Rotation::default()).await.unwrap();
    assert_eq!(repeated.secret.unwrap().reveal(), secret);
    switch_basic(&world, &made, false).await;
    let refused = app.authenticate(&old, Default::default(), Some("k")).await;
    assert_eq!(code(refused), Code::Unauthenticated);
}

async fn a_repeated_create_shows_the_same_key(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(service_account("billing", "a")).await;
    let by = keyed(&admin, "create_key", "k", "body");
    let make = async || app.issue_token(&by, world.account, made.id, key("a")).await;
    let (first, again) = (make().await.unwrap(), make().await.unwrap());
    assert!(!first.replayed && again.replayed);
    assert_eq!(first.record.it, again.record.it);
    let text = |it: &symbolon_app::Revealed<_>| it.secret.as_ref().unwrap().reveal().to_owned();
    assert_eq!(text(&first), text(&again));
}

async fn a_lost_right_or_reach_makes_no_key(world: World) {
    let app = world.app();
    let made = world
        .make(service_account("strong", "symbolon:admin a"))
        .await;
    let (weak, _, _) = world
        .holder_of("symbolon:tokens:write symbolon:tokens:read")
        .await;
    let issue = async |actor: &symbolon_app::Actor, new| {
        app.issue_token(&call(actor), world.account, made.id, new)
            .await
            .map(drop)
    };
    let refused = issue(&weak, key("symbolon:admin")).await;
    assert_eq!(code(refused), Code::MintExceedsAuthority);
    let inherits = symbolon_domain::issue::NewToken {
        grant: symbolon_domain::issue::Grant::Inherit,
        ..key("")
    };
    let refused = issue(&weak, inherits.clone()).await;
    assert_eq!(code(refused), Code::MintExceedsAuthority);
    let refused = issue(&weak, key("b")).await;
    assert_eq!(code(refused), Code::ScopeExceeded);
    issue(&weak, key("a")).await.unwrap();
    issue(&world.admin().await, inherits).await.unwrap();
    let (reader, _, _) = world.holder_of("symbolon:tokens:read").await;
    assert_eq!(code(issue(&reader, key("")).await), Code::PermissionMissing);
}
