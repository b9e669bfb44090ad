//! What dialects ask of service accounts and tokens beside the native rules: exclusive names, usernames
//! and descriptions, a cap, a late first token, inherited scopes.

use crate::harness::*;
use symbolon_app::{Actor, Error};
use symbolon_domain::issue::{Grant, NewServiceAccount, NewToken, Rotation, ServiceAccountPatch};
use symbolon_domain::retire::Because;
use symbolon_domain::{Code, ServiceAccountId, Username};

on_both!(
    a_username_is_taken_until_its_owner_is_revoked,
    an_exclusive_name_is_taken_until_its_owner_is_revoked,
    racing_takers_of_a_name_get_one,
    a_description_is_taken_until_its_token_is_revoked,
    the_cap_counts_tokens_and_keys,
    a_first_token_may_come_later,
    the_whole_list_is_what_is_in_force,
    inherited_scopes_are_shown_as_they_are,
    a_stronger_one_is_not_weakened_through_inheritance,
);

async fn create(world: &World, new: NewServiceAccount) -> Result<ServiceAccountId, Error> {
    let admin = world.admin().await;
    let made = world
        .app()
        .create_service_account(&call(&admin), world.account, new)
        .await?;
    Ok(made.record.it.id)
}

async fn revoke(world: &World, id: ServiceAccountId) {
    let admin = world.admin().await;
    world
        .app()
        .revoke_service_account(&call(&admin), world.account, id, Because::default())
        .await
        .unwrap();
}

fn named(username: &str) -> NewServiceAccount {
    NewServiceAccount {
        username: Some(Username::parse(username).unwrap()),
        first_token: false,
        ..service_account("billing", "")
    }
}

fn exclusive(label: &str) -> NewServiceAccount {
    NewServiceAccount {
        name_is_exclusive: true,
        first_token: false,
        ..service_account(label, "")
    }
}

async fn a_username_is_taken_until_its_owner_is_revoked(world: World) {
    let first = create(&world, named("service-billing")).await.unwrap();
    for same in ["service-billing", "Service-Billing"] {
        let refused = create(&world, named(same)).await;
        assert_eq!(code(refused), Code::UsernameTaken, "{same}");
    }
    create(&world, named("service-billing2")).await.unwrap();
    let admin = world.admin().await;
    world
        .app()
        .suspend_service_account(&call(&admin), world.account, first, Because::default())
        .await
        .unwrap();
    let refused = create(&world, named("service-billing")).await;
    assert_eq!(code(refused), Code::UsernameTaken);
    revoke(&world, first).await;
    create(&world, named("service-billing")).await.unwrap();
    // In another account it is another name.
    let theirs = world
        .app()
        .create_account(&call(&admin), name("Theirs"), Default::default())
        .await
        .unwrap()
        .record
        .id;
    world
        .app()
        .create_service_account(&call(&admin), theirs, named("service-billing"))
        .await
        .unwrap();
}

async fn an_exclusive_name_is_taken_until_its_owner_is_revoked(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    // The native door takes a name twice; who wants one of their own meets it all the same.
    let native = world.make(service_account("Shared", "")).await;
    world.make(service_account("Shared", "")).await;
    assert_eq!(
        code(create(&world, exclusive("shared")).await),
        Code::NameTaken
    );
    let first = create(&world, exclusive("Sensors")).await.unwrap();
    assert_eq!(
        code(create(&world, exclusive("SENSORS")).await),
        Code::NameTaken
    );
    let second = create(&world, exclusive("Doors")).await.unwrap();
    let rename = async |id, label: &str| {
        let patch = ServiceAccountPatch {
            name: Some(name(label)),
            ..Default::default()
        };
        app.update_service_account(&call(&admin), world.account, id, patch, None)
            .await
    };
    assert_eq!(code(rename(second, "sensors").await), Code::NameTaken);
    rename(second, "DOORS").await.unwrap();
    rename(native.id, "Sensors").await.unwrap();
    revoke(&world, first).await;
    revoke(&world, native.id).await;
    create(&world, exclusive("sensors")).await.unwrap();
}

async fn racing_takers_of_a_name_get_one(world: World) {
    let admin = world.admin().await;
    let mut racers = tokio::task::JoinSet::new();
    for at in 0..16 {
        let (app, admin, account) = (world.app().clone(), admin.clone(), world.account);
        let new = match at % 2 {
            0 => exclusive("Sensors"),
            _ => named("service-billing"),
        };
        racers.spawn(async move {
            let made = app
                .create_service_account(&call(&admin), account, new)
                .await;
            made.map(drop).map_err(|error| error.code())
        });
    }
    let answers = racers.join_all().await;
    let count = |wanted: Result<(), Code>| answers.iter().filter(|it| **it == wanted).count();
    assert_eq!(count(Ok(())), 2);
    assert_eq!(count(Err(Code::NameTaken)), 7);
    assert_eq!(count(Err(Code::UsernameTaken)), 7);
}

async fn a_description_is_taken_until_its_token_is_revoked(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = world.make(service_account("billing", "")).await;
    let other = world.make(service_account("other", "")).await;
    let issue = async |owner, text: &str, is_exclusive, life| {
        let new = NewToken {
            description: Some(text.into()),
            description_is_exclusive: is_exclusive,
            expiry: symbolon_domain::account::ExpiryRequest::At(app.now().plus(life)),
            ..token("")
        };
        app.issue_token(&call(&admin), world.account, owner, new)
            .await
            .map(|it| it.record.it.id)
    };
    let first = issue(made.id, "deploy", true, HOUR).await.unwrap();
    assert_eq!(
        code(issue(made.id, "deploy", true, HOUR).await),
        Code::DescriptionTaken
    );
    issue(made.id, "Deploy", true, HOUR).await.unwrap();
    issue(other.id, "deploy", true, HOUR).await.unwrap();
    // Those who do not ask for it to be theirs alone are not refused, and do not take it away.
    issue(made.id, "deploy", false, HOUR).await.unwrap();
    world.advance(2 * HOUR);
    assert_eq!(
        code(issue(made.id, "deploy", true, HOUR).await),
        Code::DescriptionTaken,
        "an expired one still counts"
    );
    let by = call(&admin);
    app.revoke_token(&by, world.account, made.id, first, Because::default())
        .await
        .unwrap();
    assert_eq!(
        code(issue(made.id, "deploy", true, HOUR).await),
        Code::DescriptionTaken
    );
    let page = symbolon_app::PageRequest {
        after: None,
        limit: 20,
    };
    let all = app
        .list_tokens(&admin, world.account, made.id, Default::default(), page)
        .await
        .unwrap();
    for it in all.items.iter().filter(|it| !it.it.is_primary) {
        app.revoke_token(&by, world.account, made.id, it.it.id, Because::default())
            .await
            .unwrap();
    }
    issue(made.id, "deploy", true, HOUR).await.unwrap();
}

async fn the_cap_counts_tokens_and_keys(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let made = create(&world, exclusive("Sensors")).await.unwrap();
    let issue = async |new| {
        app.issue_token(&call(&admin), world.account, made, new)
            .await
            .map(|it| it.record.it.id)
    };
    let first = issue(token("")).await.unwrap();
    for _ in 0..9 {
        issue(key("")).await.unwrap();
    }
    for new in [token(""), key("")] {
        assert_eq!(code(issue(new).await), Code::TokenLimitReached);
    }
    let rotated = app
        .rotate_service_account(&call(&admin), world.account, made, Rotation::default())
        .await;
    assert_eq!(code(rotated), Code::TokenLimitReached);
    let by = call(&admin);
    app.revoke_token(&by, world.account, made, first, Because::default())
        .await
        .unwrap();
    issue(key("")).await.unwrap();
}

async fn a_first_token_may_come_later(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let new = NewServiceAccount {
        first_token: false,
        ..service_account("billing", "a b")
    };
    let by = keyed(&admin, "create", "k", "body");
    for replayed in [false, true] {
        let made = app
            .create_service_account(&by, world.account, new.clone())
            .await
            .unwrap();
        assert_eq!(made.replayed, replayed);
        assert!(made.secret.is_none() && made.record.primary.is_none());
    }
    let all = app
        .all_service_accounts(&admin, world.account)
        .await
        .unwrap();
    let id = all[0].it.id;
    assert!(all[0].primary.is_none() && all[0].last_used_at.is_none());
    let (weak, _, _) = world.holder_of("symbolon:tokens:write").await;
    app.rotate_service_account(&call(&weak), world.account, id, Rotation::default())
        .await
        .unwrap();
    let found = app.find_service_account(&admin, world.account, id).await;
    let primary = found.unwrap().primary.unwrap();
    assert_eq!(primary.scopes, scopes("a b"));
    let rotated = app
        .rotate_service_account(&call(&admin), world.account, id, Rotation::default())
        .await
        .unwrap();
    let next = rotated.record.primary.unwrap();
    assert_eq!(next.family_id, primary.family_id);
    assert!(world.is_live(rotated.secret.unwrap().reveal()).await);
    // It is minting: of no more than one's own.
    let strong = NewServiceAccount {
        scopes: scopes("symbolon:admin"),
        name: name("strong"),
        ..new
    };
    let strong = create(&world, strong).await.unwrap();
    let refused = app
        .rotate_service_account(&call(&weak), world.account, strong, Rotation::default())
        .await;
    assert_eq!(code(refused), Code::MintExceedsAuthority);
}

async fn the_whole_list_is_what_is_in_force(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let mut made = Vec::new();
    for at in 0..4 {
        world.advance(SECOND);
        made.push(world.make(service_account(&format!("n{at}"), "")).await.id);
    }
    revoke(&world, made[1]).await;
    app.suspend_service_account(&call(&admin), world.account, made[2], Because::default())
        .await
        .unwrap();
    let all = app.all_service_accounts(&admin, world.account).await;
    let all = all.unwrap();
    let ids: Vec<_> = all.iter().map(|it| it.it.id).collect();
    assert_eq!(ids, [made[0], made[2], made[3]], "oldest first");
    assert!(all.iter().all(|it| it.primary.is_some()));
    let nobody: Actor = world.holder_of("a").await.0;
    let refused = app.all_service_accounts(&nobody, world.account).await;
    assert_eq!(code(refused), Code::PermissionMissing);
    let refused = app.tokens_of(&nobody, world.account, &made).await;
    assert_eq!(code(refused), Code::PermissionMissing);
}

async fn inherited_scopes_are_shown_as_they_are(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let account = world.account;
    let made = world.make(service_account("billing", "a")).await;
    let new = || NewToken {
        grant: Grant::Inherit,
        ..token("")
    };
    world.advance(SECOND);
    let by = keyed(&admin, "issue", "k", "body");
    let issued = app.issue_token(&by, account, made.id, new()).await.unwrap();
    let id = issued.record.it.id;
    let text = issued.secret.unwrap().reveal().to_owned();
    assert_eq!(issued.record.it.scopes, scopes("a"));
    let shown = async || {
        let page = symbolon_app::PageRequest {
            after: None,
            limit: 9,
        };
        let listed = app
            .list_tokens(&admin, account, made.id, Default::default(), page)
            .await
            .unwrap();
        let found = app.find_token(&admin, account, made.id, id).await.unwrap();
        let of = [made.id, made.id];
        let mut all = app.tokens_of(&admin, account, &of).await.unwrap();
        let own = world.actor(&text).await.unwrap();
        let repeated = app.issue_token(&by, account, made.id, new()).await;
        let number = app.numbers(&[id.0]).await.unwrap()[&id.0];
        let numbered = app
            .token_of_number(&admin, account, made.id, number)
            .await
            .unwrap();
        let paged = app
            .page_account_tokens(
                &admin,
                account,
                symbolon_app::TokenSort::CreatedAt,
                true,
                0,
                1,
            )
            .await
            .unwrap();
        [
            listed.items[0].it.scopes.clone(),
            found.it.scopes,
            all.remove(&made.id).unwrap().pop().unwrap().it.scopes,
            own.authority().scopes.clone(),
            app.whoami(&own).await.unwrap().credential.scopes,
            repeated.unwrap().record.it.scopes,
            numbered.it.scopes,
            paged.0[0].record.it.scopes.clone(),
        ]
    };
    for granted in ["a b", "b", ""] {
        let patch = ServiceAccountPatch {
            scopes: Some(scopes(granted)),
            ..Default::default()
        };
        app.update_service_account(&call(&admin), account, made.id, patch, None)
            .await
            .unwrap();
        for (at, it) in shown().await.iter().enumerate() {
            assert_eq!(*it, scopes(granted), "{granted}, way {at}");
        }
    }
    let by = call(&admin);
    let suspended = app
        .suspend_token(&by, account, made.id, id, Because::default())
        .await
        .unwrap();
    assert!(suspended.record.it.inherits_scopes);
    // Its row says only that it inherits.
    let row = app.store().find_credential(account, id).await.unwrap();
    assert!(row.unwrap().scopes.is_empty());
}

/// What a token inherits counts as its own: who does not hold it neither rotates nor activates it, nor is
/// told its text again.
async fn a_stronger_one_is_not_weakened_through_inheritance(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let account = world.account;
    let made = world
        .make(service_account("strong", "symbolon:admin"))
        .await;
    let new = NewToken {
        grant: Grant::Inherit,
        ..token("")
    };
    let issued = app
        .issue_token(&call(&admin), account, made.id, new.clone())
        .await
        .unwrap();
    let id = issued.record.it.id;
    let (weak, _, _) = world
        .holder_of("symbolon:tokens:write symbolon:service-accounts:write")
        .await;
    let by = call(&weak);
    let refused = app
        .rotate_token(&by, account, made.id, id, Rotation::default())
        .await;
    assert_eq!(code(refused), Code::MintExceedsAuthority);
    app.suspend_token(&by, account, made.id, id, Because::default())
        .await
        .unwrap();
    let refused = app
        .activate_token(&by, account, made.id, id, Because::default())
        .await;
    assert_eq!(code(refused), Code::MintExceedsAuthority);
    // Made while it was weak, by the weak; strong by the time it is asked for again.
    let soft = world.make(service_account("soft", "a")).await;
    let by = keyed(&weak, "issue", "k", "body");
    let first = app
        .issue_token(&by, account, soft.id, new.clone())
        .await
        .unwrap();
    assert!(first.secret.is_some());
    let patch = ServiceAccountPatch {
        scopes: Some(scopes("symbolon:admin")),
        ..Default::default()
    };
    app.update_service_account(&call(&admin), account, soft.id, patch, None)
        .await
        .unwrap();
    let again = app.issue_token(&by, account, soft.id, new).await.unwrap();
    assert!(again.replayed && again.secret.is_none());
}
