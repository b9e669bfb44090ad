//! A change is one transaction: everything that a decision wants, or nothing.

use crate::harness::*;
use std::sync::Arc;
use symbolon_domain::account::AccountPatch;
use symbolon_domain::change::{Changes, Target, View};
use symbolon_domain::issue::{self, NewToken, Rotation};
use symbolon_domain::verdict::OwnerState;
use symbolon_domain::{AllowedNetworks, Code, CredentialStatus, RateLimit, Refusal, retire};
use symbolon_store::{Decision, Error};
use tokio::sync::Barrier;

on_both!(
    rows_event_jobs_and_feed_are_written_together,
    a_refusal_writes_nothing,
    a_panic_writes_nothing_and_the_store_goes_on,
    a_unique_conflict_writes_nothing,
    values_come_back_as_they_were_written,
    limits_of_a_token_are_set_and_taken_away,
    racing_issues_keep_the_limit,
    a_crowd_of_retiring_tokens_hides_no_live_one,
    racing_rotates_leave_one_live_primary,
    racing_environments_of_one_name_leave_one,
    changes_in_one_account_see_each_others_parents,
);

async fn rows_event_jobs_and_feed_are_written_together(db: Db) {
    let account = db.account().await;
    let mut new = service_account("billing");
    new.contact_email = Some(email("ops@example.com"));
    let (it, issued) = db.create(&account, T, new).await;
    assert_eq!(db.count("service_accounts").await, 1);
    assert_eq!(db.count("credentials WHERE is_primary").await, 1);
    assert_eq!(db.count("confirmations").await, 1);
    assert_eq!(db.count("jobs").await, 2);
    assert_eq!(
        db.count("events WHERE kind = 'service_account.created'")
            .await,
        1
    );
    let marks = db.count("feed WHERE kind <> 'account'").await;
    assert_eq!(marks, 0, "a creation within an account needs no feed row");
    change(&db.store, the(&it), T, |view, asking, mint| {
        retire::suspend_service_account(view, asking, Default::default(), mint.dice)
    })
    .await
    .unwrap();
    let feed = db.store.feed_from(0, 10).await.unwrap();
    let marked: Vec<_> = feed.iter().map(|it| it.mark.unwrap().id).collect();
    assert_eq!(marked, [account.id.0, it.id.0]);
    let found = db
        .store
        .find_by_public_id(&issued.credential.public_id)
        .await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.credential, issued.credential);
    let owner = found.service_account.unwrap();
    assert_eq!(owner.state, OwnerState::Suspended);
    assert_eq!(found.account.id, account.id);
}

/// All that there is to count.
async fn census(db: &Db) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in [
        "accounts",
        "environments",
        "service_accounts",
        "credentials",
        "events",
        "jobs",
        "feed",
        "idempotency",
    ] {
        counts.push(db.count(table).await);
    }
    counts
}

async fn a_refusal_writes_nothing(db: Db) {
    let account = db.account().await;
    let (it, _) = db.service_account(&account, T).await;
    let before = census(&db).await;
    let refused = db
        .store
        .change(
            the(&it),
            T,
            Some(crate::claims::claim("key", "body", T)),
            |_| Err::<Decision<()>, _>(Refusal::new(Code::InvalidAction)),
        )
        .await;
    assert_eq!(code(refused), Code::InvalidAction);
    assert_eq!(census(&db).await, before);
    db.assert_nothing_open().await;
}

async fn a_panic_writes_nothing_and_the_store_goes_on(db: Db) {
    let account = db.account().await;
    let (it, _) = db.service_account(&account, T).await;
    let before = census(&db).await;
    // More often than there are connections: none may stay behind.
    for _ in 0..5 {
        let target = the(&it);
        let broken = db
            .store
            .change(target, T, None, |_| -> Result<Decision<()>, Refusal> {
                panic!("on purpose")
            })
            .await;
        assert!(matches!(broken, Err(Error::Broken(_))));
    }
    assert_eq!(census(&db).await, before);
    db.assert_nothing_open().await;
    db.issue(&it, T, NewToken::default()).await;
}

async fn a_unique_conflict_writes_nothing(db: Db) {
    let account = db.account().await;
    let (it, issued) = db.service_account(&account, T).await;
    let before = census(&db).await;
    // The conflict comes after other rows of the same change were written.
    let twin = issued.credential.clone();
    let conflict = change(&db.store, the(&it), T, move |view, asking, mint| {
        let (_, mut changes) =
            retire::suspend_service_account(view, asking, Default::default(), mint.dice)?;
        let mut twin = twin;
        twin.id = symbolon_domain::CredentialId::new(asking.now, mint.dice);
        twin.is_primary = false;
        changes.new_credentials.push(twin);
        Ok(((), changes))
    })
    .await;
    match conflict {
        Err(Error::Conflict(index)) => assert!(index.contains("public_id"), "{index}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(census(&db).await, before);
    db.assert_nothing_open().await;
    let found = db
        .store
        .find_service_account(account.id, it.id)
        .await
        .unwrap();
    assert_eq!(found.unwrap(), it);
}

async fn values_come_back_as_they_were_written(db: Db) {
    let patch = AccountPatch {
        scope_ceiling: Some(Some(
            "a:* b:c".split(' ').map(|s| s.parse().unwrap()).collect(),
        )),
        ops_addresses: Some(vec![email("Ops@example.com"), email("dev@example.com")]),
        default_lifetime: Some(Some(DAY)),
        max_lifetime: Some(Some(90 * DAY)),
        require_confirmed_contact: Some(true),
        tokens_per_service_account: Some(7),
        ..AccountPatch::default()
    };
    let account = db.account_with("حساب É", patch).await;
    let found = db.store.find_account(account.id).await.unwrap();
    assert_eq!(found.unwrap(), account);
    let environment = db.environment(&account, "prod").await;
    let found = db.store.find_environment(account.id, environment.id).await;
    assert_eq!(found.unwrap().unwrap(), environment);
    let mut new = service_account("name with 'quotes' and \u{1F980}");
    new.description = Some("two\nlines".into());
    new.contact_email = Some(email("Ops@example.com"));
    new.contact_language = symbolon_domain::Language::Ar;
    new.environment_id = Some(environment.id);
    new.scopes = ["a:b".parse().unwrap()].into_iter().collect();
    new.basic_auth_enabled = true;
    let (it, issued) = db.create(&account, T.plus(TICK), new).await;
    let found = db.store.find_service_account(account.id, it.id).await;
    assert_eq!(found.unwrap().unwrap(), it);
    assert_eq!(db.credential(&issued.credential).await, issued.credential);
    for status in [
        CredentialStatus::Suspended { at: T.plus(TICK) },
        CredentialStatus::Revoked {
            at: T,
            by: symbolon_domain::ActorRef::Credential {
                id: issued.credential.id,
                service_account: Some(it.id),
            },
            reason: symbolon_domain::RevokeReason::Rotated,
        },
    ] {
        let mut planted = direct_credential(&account, T);
        planted.status = status;
        planted.not_before = Some(T);
        planted.expires_at = Some(T.plus(DAY));
        planted.retires_at = Some(T.plus(MINUTE));
        planted.end_recorded_at = Some(T.plus(TICK));
        db.plant(&account, vec![planted.clone()]).await;
        assert_eq!(db.credential(&planted).await, planted);
    }
}

async fn limits_of_a_token_are_set_and_taken_away(db: Db) {
    let account = db.account().await;
    let (it, issued) = db.service_account(&account, T).await;
    let none = issued.credential;
    assert!(none.allowed_networks.is_empty() && none.rate_limit.is_none());
    let networks = ["2001:db8::/32", "10.0.0.0/8", "192.0.2.7"];
    let networks = AllowedNetworks::parse_all(&networks).unwrap();
    let limit = RateLimit::new(1_000_000, DAY).unwrap();
    let limits = issue::Limits {
        allowed_networks: networks.clone(),
        rate_limit: Some(limit),
    };
    let new = NewToken {
        limits: limits.clone(),
        ..NewToken::default()
    };
    let limited = db.issue(&it, T, new).await.credential;
    assert_eq!(limited.allowed_networks, networks);
    assert_eq!(limited.rate_limit, Some(limit));
    assert_eq!(db.credential(&limited).await, limited);
    for (allowed_networks, rate_limit) in [
        (AllowedNetworks::default(), Some(None)),
        (networks.clone(), Some(Some(limit))),
        (AllowedNetworks::default(), None),
    ] {
        let id = limited.id;
        let target = token_of(&it, id);
        let patch = issue::TokenPatch {
            allowed_networks: Some(allowed_networks.clone()),
            rate_limit,
            ..Default::default()
        };
        let updated = change(&db.store, target, T, move |view, asking, mint| {
            issue::update_token(view, asking, id, patch, mint.dice)
        })
        .await
        .unwrap();
        assert_eq!(updated.allowed_networks, allowed_networks);
        assert_eq!(db.credential(&limited).await, updated);
        let found = db.store.find_by_public_id(&limited.public_id).await;
        assert_eq!(found.unwrap().unwrap().credential, updated);
    }
    assert_eq!(db.credential(&limited).await.rate_limit, Some(limit));
}

async fn racing_issues_keep_the_limit(db: Db) {
    let patch = AccountPatch {
        tokens_per_service_account: Some(3),
        ..AccountPatch::default()
    };
    let account = db.account_with("Acme", patch).await;
    // The primary is the first of three.
    let (it, _) = db.service_account(&account, T).await;
    let barrier = Arc::new(Barrier::new(8));
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, target, barrier) = (db.store.clone(), the(&it), barrier.clone());
        racers.spawn(async move {
            barrier.wait().await;
            change(&store, target, T, |view, asking, mint| {
                issue::issue_token(view, asking, NewToken::default(), mint)
            })
            .await
        });
    }
    let (mut issued, mut refused) = (0, 0);
    for result in racers.join_all().await {
        match result {
            Ok(_) => issued += 1,
            refusal => {
                assert_eq!(code(refusal), Code::TokenLimitReached);
                refused += 1;
            }
        }
    }
    assert_eq!((issued, refused), (2, 6));
    assert_eq!(db.count("credentials").await, 3);
    assert_eq!(db.count("events WHERE kind = 'token.issued'").await, 2);
}

async fn a_crowd_of_retiring_tokens_hides_no_live_one(db: Db) {
    let patch = AccountPatch {
        tokens_per_service_account: Some(2),
        ..AccountPatch::default()
    };
    let account = db.account_with("Acme", patch).await;
    let (it, primary) = db.service_account(&account, T).await;
    let second = db.issue(&it, T, NewToken::default()).await;
    // Younger than both, live, and all on their way out: more than a change would load.
    let mut crowd = Vec::new();
    for at in 1..=20 {
        let mut retiring = direct_credential(&account, T.plus(at * SECOND));
        retiring.owner = symbolon_domain::Owner::ServiceAccount(it.id);
        retiring.retires_at = Some(T.plus(DAY));
        crowd.push(retiring);
    }
    // The oldest of them is the predecessor of the primary.
    crowd[0].family_id = primary.credential.family_id;
    db.plant(&account, crowd).await;
    let now = T.plus(MINUTE);
    let refused = change(&db.store, the(&it), now, |view, asking, mint| {
        issue::issue_token(view, asking, NewToken::default(), mint)
    })
    .await;
    assert_eq!(code(refused), Code::TokenLimitReached);
    let grace = Rotation {
        grace: MINUTE,
        ..Rotation::default()
    };
    let refused = change(&db.store, the(&it), now, move |view, asking, mint| {
        issue::rotate(view, asking, None, grace, mint).map(|(_, it, changes)| (it, changes))
    })
    .await;
    assert_eq!(code(refused), Code::RotationInProgress);
    let id = second.credential.id;
    change(
        &db.store,
        token_of(&it, id),
        now,
        move |view, asking, mint| {
            issue::rotate(view, asking, Some(id), grace, mint).map(|(_, it, changes)| (it, changes))
        },
    )
    .await
    .unwrap();
}

async fn racing_rotates_leave_one_live_primary(db: Db) {
    let account = db.account().await;
    let (it, _) = db.service_account(&account, T).await;
    let barrier = Arc::new(Barrier::new(8));
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, target, barrier) = (db.store.clone(), the(&it), barrier.clone());
        racers.spawn(async move {
            barrier.wait().await;
            change(&store, target, T, |view, asking, mint| {
                let (_, issued, changes) =
                    issue::rotate(view, asking, None, Rotation::default(), mint)?;
                Ok((issued, changes))
            })
            .await
        });
    }
    for result in racers.join_all().await {
        result.unwrap();
    }
    assert_eq!(
        db.count("credentials WHERE is_primary AND status = 'active'")
            .await,
        1
    );
    assert_eq!(db.count("credentials WHERE status = 'active'").await, 1);
    assert_eq!(db.count("credentials WHERE status = 'revoked'").await, 8);
    let primaries = db.store.primaries(&[it.id]).await.unwrap();
    assert_eq!(primaries[&it.id].status, CredentialStatus::Active);
    let found = db
        .store
        .find_service_account(account.id, it.id)
        .await
        .unwrap();
    assert_eq!(found.unwrap().version, 9);
}

async fn racing_environments_of_one_name_leave_one(db: Db) {
    let account = db.account().await;
    let mut racers = tokio::task::JoinSet::new();
    for at in 0..6 {
        let (store, account) = (db.store.clone(), account.id);
        // The same name, as readers see it.
        let label = if at % 2 == 0 { "Prod" } else { "prod" };
        racers.spawn(async move { create_environment(&store, account, label).await });
    }
    let results = racers.join_all().await;
    assert_eq!(results.iter().filter(|it| it.is_ok()).count(), 1);
    for error in results.into_iter().filter_map(Result::err) {
        assert!(
            matches!(&error, Error::Conflict(index) if index.contains("environments")),
            "{error}"
        );
    }
    assert_eq!(db.count("environments").await, 1);
}

async fn changes_in_one_account_see_each_others_parents(db: Db) {
    let account = db.account().await;
    let other = db.account_with("Other", AccountPatch::default()).await;
    let (it, _) = db.service_account(&account, T).await;
    // Through another account it is not there.
    let elsewhere = Target::service_account(other.id, it.id);
    let seen = change(&db.store, elsewhere, T, |view: &View, _, _| {
        Ok((
            (view.account.is_some(), view.service_account.is_some()),
            Changes::default(),
        ))
    });
    assert_eq!(seen.await.unwrap(), (true, false));
    // Suspending the account is one row, which every later change sees.
    change(
        &db.store,
        Target::Account(account.id),
        T,
        |view, asking, mint| {
            let patch = AccountPatch {
                status: Some(symbolon_domain::AccountStatus::Suspended),
                ..AccountPatch::default()
            };
            symbolon_domain::account::update(view.account()?, asking, patch, mint.dice)
        },
    )
    .await
    .unwrap();
    let refused = change(&db.store, the(&it), T, |view, asking, mint| {
        issue::issue_token(view, asking, NewToken::default(), mint)
    });
    assert_eq!(code(refused.await), Code::AccountSuspended);
}
