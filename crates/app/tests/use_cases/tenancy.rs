//! Another account's things look like nothing there.

use crate::harness::*;
use symbolon_app::{Error, PageRequest};
use symbolon_domain::account::AccountPatch;
use symbolon_domain::issue::{Rotation, ServiceAccountPatch};
use symbolon_domain::retire::Because;
use symbolon_domain::{AccountId, CredentialId, ServiceAccountId};

on_both!(another_accounts_ids_look_like_ids_that_do_not_exist);

/// Everything that one can ask about these ids.
async fn probe(
    world: &World,
    actor: &symbolon_app::Actor,
    account: AccountId,
    id: ServiceAccountId,
    credential: CredentialId,
) -> Vec<Option<Error>> {
    let app = world.app();
    let by = call(actor);
    let because = Because::default;
    let contact = ServiceAccountPatch {
        contact_email: Some(Some(email("x@example.com"))),
        ..Default::default()
    };
    let mut answers = vec![
        app.find_account(actor, account).await.err(),
        app.update_account(&by, account, AccountPatch::default(), Some(1))
            .await
            .err(),
        app.create_environment(&by, account, name("x")).await.err(),
        app.list_environments(
            actor,
            account,
            PageRequest {
                after: None,
                limit: 9,
            },
        )
        .await
        .err(),
        app.list_service_accounts(
            actor,
            account,
            Default::default(),
            PageRequest {
                after: None,
                limit: 9,
            },
        )
        .await
        .err(),
        app.list_direct_tokens(
            actor,
            account,
            true,
            PageRequest {
                after: None,
                limit: 9,
            },
        )
        .await
        .err(),
        app.list_events(
            actor,
            account,
            Default::default(),
            PageRequest {
                after: None,
                limit: 9,
            },
        )
        .await
        .err(),
        app.create_service_account(&by, account, service_account("x", ""))
            .await
            .err(),
    ];
    // Under the account of the others, and under one's own.
    for account in [account, world.account] {
        answers.extend([
            app.find_service_account(actor, account, id).await.err(),
            app.update_service_account(&by, account, id, contact.clone(), Some(1))
                .await
                .err(),
            app.suspend_service_account(&by, account, id, because())
                .await
                .err(),
            app.activate_service_account(&by, account, id, because())
                .await
                .err(),
            app.revoke_service_account(&by, account, id, because())
                .await
                .err(),
            app.rotate_service_account(&by, account, id, Rotation::default())
                .await
                .err(),
            app.resend_confirmation(&by, account, id).await.err(),
            app.report_undeliverable(&by, account, id, None).await.err(),
            app.list_tokens(
                actor,
                account,
                id,
                Default::default(),
                PageRequest {
                    after: None,
                    limit: 9,
                },
            )
            .await
            .err(),
            app.issue_token(&by, account, id, token("")).await.err(),
            app.find_token(actor, account, id, credential).await.err(),
            app.rotate_token(&by, account, id, credential, Rotation::default())
                .await
                .err(),
            app.suspend_token(&by, account, id, credential, because())
                .await
                .err(),
            app.revoke_token(&by, account, id, credential, because())
                .await
                .err(),
            app.revoke_direct_token(&by, account, credential, because())
                .await
                .err(),
        ]);
    }
    answers
}

async fn another_accounts_ids_look_like_ids_that_do_not_exist(world: World) {
    let app = world.app();
    let operator = world.admin().await;
    let theirs = app
        .create_account(&call(&operator), name("Theirs"), AccountPatch::default())
        .await
        .unwrap()
        .record
        .id;
    let made = world
        .make_in(theirs, with_contact("billing", "ops@example.com"))
        .await;
    let before = world.events(theirs).await;
    let (admin, _, mine) = world.holder_of("symbolon:admin").await;
    let real = probe(&world, &admin, theirs, made.id, made.primary).await;
    let nil = uuid::Uuid::nil();
    let unreal = probe(
        &world,
        &admin,
        AccountId(nil),
        ServiceAccountId(nil),
        CredentialId(nil),
    )
    .await;
    for (at, (real, unreal)) in real.iter().zip(&unreal).enumerate() {
        let (real, unreal) = (real.as_ref().unwrap(), unreal.as_ref().unwrap());
        assert_eq!(
            real.refusal().unwrap(),
            unreal.refusal().unwrap(),
            "probe {at}"
        );
        assert_eq!(real.code(), symbolon_domain::Code::NotFound, "probe {at}");
    }
    assert_eq!(world.events(theirs).await, before, "nothing happened there");
    assert!(world.is_live(&made.token).await);
    // Nor does a token of one service account answer under another.
    let further = world.make(service_account("further", "")).await;
    let crossed = app
        .find_token(&admin, world.account, mine.id, further.primary)
        .await;
    assert_eq!(code(crossed), symbolon_domain::Code::NotFound);
    let crossed = app
        .revoke_token(
            &call(&admin),
            world.account,
            mine.id,
            further.primary,
            Because::default(),
        )
        .await;
    assert_eq!(code(crossed), symbolon_domain::Code::NotFound);
    let page = PageRequest {
        after: None,
        limit: 9,
    };
    let own = app.list_accounts(&admin, None, page).await.unwrap();
    assert_eq!(own.items.len(), 1);
    // A foreign environment is not there to create in.
    let environment = app
        .create_environment(&call(&operator), theirs, name("prod"))
        .await
        .unwrap()
        .record
        .id;
    let mut new = service_account("x", "");
    new.environment_id = Some(environment);
    let refused = app
        .create_service_account(&call(&admin), world.account, new)
        .await
        .unwrap_err();
    assert_eq!(
        refused.refusal().unwrap().fields[0].code,
        symbolon_domain::FieldCode::NotFound
    );
}
