//! Nobody brings about a credential stronger than their own.

use crate::harness::*;
use symbolon_app::Actor;
use symbolon_domain::account::AccountPatch;
use symbolon_domain::issue::{Rotation, ServiceAccountPatch};
use symbolon_domain::retire::Because;
use symbolon_domain::{Code, EnvironmentId};

const WRITER: &str = "symbolon:service-accounts:write symbolon:tokens:write";

on_both!(
    switching_basic_on_takes_what_the_keys_open,
    scopes_do_not_escalate,
    reach_does_not_escalate,
    what_is_stronger_is_neither_rotated_nor_activated,
    a_stronger_ones_contact_is_not_changed,
    what_is_stronger_is_not_weakened_first,
    a_limited_token_does_not_lengthen_its_own_life,
    application_scopes_stay_within_owner_and_ceiling,
    taken_scopes_are_taken_from_tokens_too,
    permissions_are_asked_for,
);

async fn scopes_do_not_escalate(world: World) {
    let app = world.app();
    let (writer, _, own) = world.holder_of(WRITER).await;
    let by = call(&writer);
    for wanted in [
        "symbolon:admin",
        "symbolon:instance:*",
        "symbolon:events:read",
        "a symbolon:tokens:verify",
    ] {
        let refused = app
            .create_service_account(&by, world.account, service_account("more", wanted))
            .await;
        assert_eq!(code(refused), Code::MintExceedsAuthority, "{wanted}");
        let patch = ServiceAccountPatch {
            scopes: Some(scopes(&format!("{wanted} {WRITER}"))),
            ..Default::default()
        };
        let refused = app
            .update_service_account(&by, world.account, own.id, patch, None)
            .await;
        assert_eq!(code(refused), Code::MintExceedsAuthority, "{wanted}");
        let refused = app
            .issue_token(&by, world.account, own.id, token(wanted))
            .await;
        assert_eq!(code(refused), Code::MintExceedsAuthority, "{wanted}");
    }
    app.create_service_account(&by, world.account, service_account("equal", WRITER))
        .await
        .unwrap();
    // An account's admin is no operator.
    let (admin, _, _) = world.holder_of("symbolon:admin").await;
    let by = call(&admin);
    let refused = app
        .create_service_account(
            &by,
            world.account,
            service_account("op", "symbolon:instance:*"),
        )
        .await;
    assert_eq!(code(refused), Code::MintExceedsAuthority);
    for patch in [
        AccountPatch {
            scope_ceiling: Some(None),
            ..AccountPatch::default()
        },
        AccountPatch {
            status: Some(symbolon_domain::AccountStatus::Active),
            ..AccountPatch::default()
        },
    ] {
        let refused = app.update_account(&by, world.account, patch, None).await;
        assert_eq!(code(refused), Code::PermissionMissing);
    }
    assert_eq!(
        code(
            app.create_account(&by, name("Mine"), AccountPatch::default())
                .await
        ),
        Code::PermissionMissing
    );
}

/// The holder of a token that is bound to an environment.
async fn bound(world: &World, granted: &str) -> (Actor, EnvironmentId, Made) {
    let admin = world.admin().await;
    let environment = world
        .app()
        .create_environment(&call(&admin), world.account, name("prod"))
        .await
        .unwrap();
    let id = environment.record.id;
    let mut new = service_account("bound", granted);
    new.environment_id = Some(id);
    let made = world.make(new).await;
    (world.actor(&made.token).await.unwrap(), id, made)
}

async fn reach_does_not_escalate(world: World) {
    let app = world.app();
    let account = world.account;
    let (actor, environment, made) = bound(&world, "symbolon:admin").await;
    let by = call(&actor);
    let refused = app
        .create_service_account(&by, account, service_account("all", ""))
        .await;
    assert_eq!(code(refused), Code::ReachExceeded);
    let mut new = service_account("inside", "symbolon:admin");
    new.environment_id = Some(environment);
    app.create_service_account(&by, account, new).await.unwrap();
    let out = ServiceAccountPatch {
        environment_id: Some(None),
        ..Default::default()
    };
    let refused = app
        .update_service_account(&by, account, made.id, out, None)
        .await;
    assert_eq!(code(refused), Code::ReachExceeded);
    let refused = app.create_environment(&by, account, name("another")).await;
    assert_eq!(code(refused), Code::ReachExceeded);
    let patch = AccountPatch {
        require_confirmed_contact: Some(false),
        ..AccountPatch::default()
    };
    assert_eq!(
        code(app.update_account(&by, account, patch, None).await),
        Code::ReachExceeded
    );
    // What lies beside it in the account looks like nothing.
    let beside = world.make(service_account("beside", "")).await;
    for refused in [
        app.suspend_service_account(&by, account, beside.id, Because::default())
            .await
            .map(drop),
        app.rotate_service_account(&by, account, beside.id, Rotation::default())
            .await
            .map(drop),
        app.revoke_service_account(&by, account, beside.id, Because::default())
            .await
            .map(drop),
        app.issue_token(&by, account, beside.id, token(""))
            .await
            .map(drop),
        app.find_service_account(&actor, account, beside.id)
            .await
            .map(drop),
        app.find_token(&actor, account, beside.id, beside.primary)
            .await
            .map(drop),
    ] {
        assert_eq!(code(refused), Code::NotFound);
    }
    let admin = world.admin().await;
    let own = admin.credential_id().unwrap();
    let refused = app
        .revoke_direct_token(&by, account, own, Because::default())
        .await;
    assert_eq!(code(refused), Code::NotFound);
    let page = symbolon_app::PageRequest {
        after: None,
        limit: 50,
    };
    let list = app
        .list_service_accounts(&actor, account, Default::default(), page)
        .await
        .unwrap();
    assert_eq!(list.items.len(), 2);
    assert!(
        list.items
            .iter()
            .all(|it| it.it.environment_id == Some(environment))
    );
    let page = symbolon_app::PageRequest {
        after: None,
        limit: 50,
    };
    let events = app
        .list_events(&actor, account, Default::default(), page)
        .await
        .unwrap();
    assert!(!events.items.is_empty());
    assert!(
        events
            .items
            .iter()
            .all(|it| it.environment_id == Some(environment))
    );
}

async fn what_is_stronger_is_neither_rotated_nor_activated(world: World) {
    let app = world.app();
    let account = world.account;
    let (writer, _, _) = world.holder_of(WRITER).await;
    let by = call(&writer);
    let strong = world
        .make(service_account("strong", "symbolon:admin"))
        .await;
    let refused = app
        .rotate_service_account(&by, account, strong.id, Rotation::default())
        .await;
    assert_eq!(code(refused), Code::MintExceedsAuthority);
    let refused = app
        .rotate_token(&by, account, strong.id, strong.primary, Rotation::default())
        .await;
    assert_eq!(code(refused), Code::MintExceedsAuthority);
    // Taking away needs no more than the permission; giving back does.
    app.suspend_token(&by, account, strong.id, strong.primary, Because::default())
        .await
        .unwrap();
    let refused = app
        .activate_token(&by, account, strong.id, strong.primary, Because::default())
        .await;
    assert_eq!(code(refused), Code::MintExceedsAuthority);
    app.suspend_service_account(&by, account, strong.id, Because::default())
        .await
        .unwrap();
    let refused = app
        .activate_service_account(&by, account, strong.id, Because::default())
        .await;
    assert_eq!(code(refused), Code::MintExceedsAuthority);
    assert!(!world.is_live(&strong.token).await);
}

async fn a_stronger_ones_contact_is_not_changed(world: World) {
    let app = world.app();
    let (writer, _, _) = world.holder_of(WRITER).await;
    let strong = world
        .make(service_account("strong", "symbolon:admin"))
        .await;
    let mine = ServiceAccountPatch {
        contact_email: Some(Some(email("mine@example.com"))),
        ..Default::default()
    };
    let refused = app
        .update_service_account(&call(&writer), world.account, strong.id, mine, None)
        .await;
    assert_eq!(code(refused), Code::MintExceedsAuthority);
}

async fn application_scopes_stay_within_owner_and_ceiling(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let by = call(&admin);
    let patch = AccountPatch {
        scope_ceiling: Some(Some(scopes("invoices:*"))),
        ..AccountPatch::default()
    };
    let account = app
        .create_account(&by, name("Other"), patch)
        .await
        .unwrap()
        .record
        .id;
    let refused = app
        .create_service_account(&by, account, service_account("x", "orders:read"))
        .await;
    assert_eq!(code(refused), Code::ScopeExceeded);
    let made = world
        .make_in(account, service_account("x", "invoices:read"))
        .await;
    let refused = app
        .issue_token(&by, account, made.id, token("invoices:write"))
        .await;
    assert_eq!(code(refused), Code::ScopeExceeded);
    let issued = app
        .issue_token(&by, account, made.id, token("invoices:read"))
        .await
        .unwrap();
    assert_eq!(issued.record.it.scopes, scopes("invoices:read"));
    let omitted = app
        .issue_token(&by, account, made.id, token(""))
        .await
        .unwrap();
    assert!(
        omitted.record.it.scopes.is_empty(),
        "omitted scopes are none"
    );
    // Granting takes symbolon:tokens:write.
    let (lesser, _, _) = world.holder_of("symbolon:service-accounts:write").await;
    let refused = app
        .create_service_account(&call(&lesser), world.account, service_account("y", "a"))
        .await;
    assert_eq!(code(refused), Code::PermissionMissing);
    app.create_service_account(&call(&lesser), world.account, service_account("y", ""))
        .await
        .unwrap();
}

async fn taken_scopes_are_taken_from_tokens_too(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let (_, text, made) = world.holder_of("symbolon:admin a:b").await;
    let less = ServiceAccountPatch {
        scopes: Some(scopes("a:b")),
        ..Default::default()
    };
    app.update_service_account(&call(&admin), world.account, made.id, less, None)
        .await
        .unwrap();
    let actor = world.actor(&text).await.unwrap();
    let who = app.whoami(&actor).await.unwrap();
    assert_eq!(who.scopes, scopes("a:b"));
    let refused = app
        .create_service_account(&call(&actor), world.account, service_account("x", ""))
        .await;
    assert_eq!(code(refused), Code::PermissionMissing);
}

async fn permissions_are_asked_for(world: World) {
    let app = world.app();
    let account = world.account;
    let (nobody, _, own) = world.holder_of("a:b").await;
    let page = || symbolon_app::PageRequest {
        after: None,
        limit: 50,
    };
    let by = call(&nobody);
    for refused in [
        app.list_service_accounts(&nobody, account, Default::default(), page())
            .await
            .map(drop),
        app.find_service_account(&nobody, account, own.id)
            .await
            .map(drop),
        app.list_tokens(
            &nobody,
            account,
            own.id,
            Default::default(),
            symbolon_app::PageRequest {
                after: None,
                limit: 1,
            },
        )
        .await
        .map(drop),
        app.list_direct_tokens(
            &nobody,
            account,
            false,
            symbolon_app::PageRequest {
                after: None,
                limit: 1,
            },
        )
        .await
        .map(drop),
        app.list_events(
            &nobody,
            account,
            Default::default(),
            symbolon_app::PageRequest {
                after: None,
                limit: 1,
            },
        )
        .await
        .map(drop),
        app.list_environments(
            &nobody,
            account,
            symbolon_app::PageRequest {
                after: None,
                limit: 1,
            },
        )
        .await
        .map(drop),
        app.find_account(&nobody, account).await.map(drop),
        app.create_environment(&by, account, name("x"))
            .await
            .map(drop),
        app.rotate_service_account(&by, account, own.id, Rotation::default())
            .await
            .map(drop),
        app.revoke_service_account(&by, account, own.id, Because::default())
            .await
            .map(drop),
        app.revoke_token(&by, account, own.id, own.primary, Because::default())
            .await
            .map(drop),
        app.resend_confirmation(&by, account, own.id)
            .await
            .map(drop),
    ] {
        assert_eq!(code(refused), Code::PermissionMissing);
    }
}

/// Narrowing can be undone by whoever is stronger; nobody weaker may use the time between.
async fn what_is_stronger_is_not_weakened_first(world: World) {
    let app = world.app();
    let strong = world
        .make(service_account("strong", "symbolon:admin"))
        .await;
    let (writer, _, _) = world.holder_of(WRITER).await;
    let by = call(&writer);
    let narrow = ServiceAccountPatch {
        scopes: Some(scopes("")),
        ..Default::default()
    };
    let narrow_and_redirect = ServiceAccountPatch {
        contact_email: Some(Some(email("evil@example.com"))),
        ..narrow.clone()
    };
    for patch in [narrow, narrow_and_redirect] {
        let refused = app
            .update_service_account(&by, world.account, strong.id, patch, None)
            .await;
        assert_eq!(code(refused), Code::MintExceedsAuthority);
    }
    assert!(world.is_live(&strong.token).await);
}

async fn a_limited_token_does_not_lengthen_its_own_life(world: World) {
    let app = world.app();
    let mut new = service_account("short", "a");
    let end = |life| symbolon_domain::account::ExpiryRequest::At(app.now().plus(life));
    new.expiry = end(HOUR);
    let made = world.make(new).await;
    let holder = world.actor(&made.token).await.unwrap();
    let rotate = async |life| {
        let rotation = Rotation {
            expiry: end(life),
            ..Rotation::default()
        };
        app.rotate_self(&call(&holder), rotation).await
    };
    assert_eq!(code(rotate(HOUR + TICK).await), Code::ValidationFailed);
    let rotated = rotate(HOUR).await.unwrap();
    assert_eq!(rotated.record.it.expires_at, Some(app.now().plus(HOUR)));
}

async fn switching_basic_on_takes_what_the_keys_open(world: World) {
    let app = world.app();
    let strong = world
        .make(service_account("strong", "symbolon:admin"))
        .await;
    let plain = world.make(service_account("plain", "invoices:read")).await;
    let (weak, _, _) = world.holder_of("symbolon:service-accounts:write").await;
    let switch = async |by: &symbolon_app::Actor, id, enabled| {
        let patch = symbolon_domain::issue::ServiceAccountPatch {
            basic_auth_enabled: Some(enabled),
            ..Default::default()
        };
        app.update_service_account(&call(by), world.account, id, patch, None)
            .await
    };
    assert_eq!(
        code(switch(&weak, strong.id, true).await),
        Code::MintExceedsAuthority
    );
    assert!(switch(&weak, plain.id, true).await.is_ok());
    let admin = world.admin().await;
    assert!(switch(&admin, strong.id, true).await.is_ok());
    // Taking away is everybody's who may write.
    let off = switch(&weak, strong.id, false).await.unwrap();
    assert!(!off.record.it.basic_auth_enabled);
}
