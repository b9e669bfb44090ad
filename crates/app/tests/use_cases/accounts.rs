//! Accounts, environments, lists, and who the caller is.

use crate::harness::*;
use symbolon_app::{PageRequest, ServiceAccountFilter};
use symbolon_domain::account::AccountPatch;
use symbolon_domain::{Code, FieldCode, Reach};

on_both!(
    what_an_account_may_not_be,
    environments_have_names_of_their_own,
    lists_page_and_say_when_there_is_more,
    callers_learn_who_they_are,
    a_default_lifetime_is_the_policys,
);

async fn what_an_account_may_not_be(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let patch = AccountPatch {
        tokens_per_service_account: Some(0),
        default_lifetime: Some(Some(2 * DAY)),
        max_lifetime: Some(Some(DAY)),
        ops_addresses: Some(
            (0..11)
                .map(|at| email(&format!("a{at}@example.com")))
                .collect(),
        ),
        scope_ceiling: Some(Some(scopes("symbolon:admin"))),
        ..AccountPatch::default()
    };
    let refused = app
        .create_account(&call(&admin), name("Wrong"), patch)
        .await
        .unwrap_err();
    let refusal = refused.refusal().unwrap();
    assert_eq!(refusal.code, Code::ValidationFailed);
    let mut pointers: Vec<&str> = refusal
        .fields
        .iter()
        .map(|it| it.pointer.as_str())
        .collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/ops_addresses",
            "/policy/default_lifetime",
            "/policy/tokens_per_service_account",
            "/scope_ceiling"
        ]
    );
    let page = PageRequest {
        after: None,
        limit: 10,
    };
    assert_eq!(
        app.list_accounts(&admin, None, page)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

async fn environments_have_names_of_their_own(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let by = call(&admin);
    let prod = app
        .create_environment(&by, world.account, name("Prod"))
        .await
        .unwrap()
        .record;
    assert_eq!(
        code(
            app.create_environment(&by, world.account, name("PROD"))
                .await
        ),
        Code::NameTaken
    );
    let other = app
        .create_account(&by, name("Other"), Default::default())
        .await
        .unwrap()
        .record
        .id;
    app.create_environment(&by, other, name("Prod"))
        .await
        .unwrap();
    let page = PageRequest {
        after: None,
        limit: 10,
    };
    let listed = app
        .list_environments(&admin, world.account, page)
        .await
        .unwrap();
    assert_eq!(listed.items, [prod]);
    // With a key, a conflict leaves the key free.
    let keyed = keyed(&admin, "environment", "k", "b");
    assert_eq!(
        code(
            app.create_environment(&keyed, world.account, name("prod"))
                .await
        ),
        Code::NameTaken
    );
    let made = app
        .create_environment(&keyed, world.account, name("test"))
        .await
        .unwrap();
    let again = app
        .create_environment(&keyed, world.account, name("test"))
        .await
        .unwrap();
    assert!(!made.replayed && again.replayed && made.record == again.record);
}

async fn lists_page_and_say_when_there_is_more(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    for at in 0..5 {
        world.make(service_account(&format!("s{at}"), "")).await;
        world.advance(SECOND);
    }
    let (mut after, mut seen, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = PageRequest { after, limit: 2 };
        let slice = app
            .list_service_accounts(&admin, world.account, Default::default(), page)
            .await
            .unwrap();
        seen.extend(slice.items.iter().map(|it| it.it.name.as_str().to_owned()));
        assert!(slice.items.iter().all(|it| it.primary.is_some()));
        pages += 1;
        after = slice.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(
        (pages, seen),
        (3, ["s4", "s3", "s2", "s1", "s0"].map(String::from).to_vec())
    );
    // Exactly full is not more.
    let page = PageRequest {
        after: None,
        limit: 5,
    };
    let slice = app
        .list_service_accounts(&admin, world.account, Default::default(), page)
        .await
        .unwrap();
    assert!(slice.items.len() == 5 && slice.next.is_none());
    let filter = ServiceAccountFilter {
        q: Some("S3".into()),
        ..Default::default()
    };
    let page = PageRequest {
        after: None,
        limit: 5,
    };
    let slice = app
        .list_service_accounts(&admin, world.account, filter, page)
        .await
        .unwrap();
    assert_eq!(slice.items.len(), 1);
}

async fn callers_learn_who_they_are(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let who = app.whoami(&admin).await.unwrap();
    assert_eq!(
        (who.account.id, who.reach),
        (world.account, Reach::Instance)
    );
    assert!(
        who.service_account.is_none() && who.scopes == scopes("symbolon:admin symbolon:instance:*")
    );
    let environment = app
        .create_environment(&call(&admin), world.account, name("prod"))
        .await
        .unwrap()
        .record
        .id;
    let mut new = service_account("bound", "a:b");
    new.environment_id = Some(environment);
    let made = world.make(new).await;
    let who = app
        .whoami(&world.actor(&made.token).await.unwrap())
        .await
        .unwrap();
    assert_eq!(who.reach, Reach::Environment(world.account, environment));
    assert_eq!(
        (who.environment_id, who.scopes),
        (Some(environment), scopes("a:b"))
    );
    assert_eq!(
        code(app.whoami(&symbolon_app::Actor::operator_cli()).await),
        Code::NotFound
    );
}

async fn a_default_lifetime_is_the_policys(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let patch = AccountPatch {
        default_lifetime: Some(Some(DAY)),
        max_lifetime: Some(Some(2 * DAY)),
        ..AccountPatch::default()
    };
    let account = app
        .create_account(&call(&admin), name("Other"), patch)
        .await
        .unwrap()
        .record
        .id;
    let made = world.make_in(account, service_account("billing", "")).await;
    let found = app
        .find_token(&admin, account, made.id, made.primary)
        .await
        .unwrap();
    assert_eq!(found.it.expires_at, Some(app.now().plus(DAY)));
    let mut long = token("");
    long.expiry = symbolon_domain::account::ExpiryRequest::At(app.now().plus(2 * DAY + TICK));
    let refused = app
        .issue_token(&call(&admin), account, made.id, long)
        .await
        .unwrap_err();
    assert_eq!(
        refused.refusal().unwrap().fields[0].code,
        FieldCode::BeyondPolicy { max: "2d".into() }
    );
    // A default counts from the start that is asked for, and is held to the maximum like any other end.
    let mut later = token("");
    later.not_before = Some(app.now().plus(DAY / 2));
    let issued = app
        .issue_token(&call(&admin), account, made.id, later.clone())
        .await
        .unwrap();
    assert_eq!(
        issued.record.it.expires_at,
        Some(app.now().plus(DAY / 2 + DAY))
    );
    later.not_before = Some(app.now().plus(2 * DAY));
    let refused = app
        .issue_token(&call(&admin), account, made.id, later)
        .await
        .unwrap_err();
    assert_eq!(
        refused.refusal().unwrap().fields[0].code,
        FieldCode::BeyondPolicy { max: "2d".into() }
    );
}
