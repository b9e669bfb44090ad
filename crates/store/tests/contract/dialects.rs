//! What the compatibility dialects keep: numbers, names that nobody else has, tokens by account, signing
//! keys, and what is remembered about tokens that are no rows.

use crate::harness::*;
use std::collections::HashMap;
use std::time::Duration;
use symbolon_domain::change::{Changes, RevokedAccessToken, Target};
use symbolon_domain::issue::{NewServiceAccount, NewToken};
use symbolon_domain::retire::{self, Because};
use symbolon_domain::secret::Sealed;
use symbolon_domain::signing::{self, SigningKey, SigningKeyStatus};
use symbolon_domain::{
    Account, Code, CredentialKind, Owner, ServiceAccount, SigningKeyId, Timestamp, Username, limits,
};
use symbolon_store::{AccountTokenQuery, Error, Retention, Store, TokenSort};
use uuid::Uuid;

on_both!(
    numbers_grow_and_are_never_used_again,
    what_was_made_without_a_number_gets_one,
    usernames_are_unique_among_those_in_force,
    exclusive_names_are_refused_and_freed,
    descriptions_are_looked_up_under_the_lock,
    tokens_of_an_account_in_every_order,
    a_tokens_deletion_and_a_keys_secret_are_kept,
    one_signing_key_signs_whoever_makes_it,
    a_signing_key_stays_until_its_last_token_has_ended,
    an_assertion_is_used_once,
    a_revoked_access_token_is_known_until_it_would_have_ended,
);

const RETENTION: Retention = Retention {
    jobs: DAY,
    addresses: DAY,
    credentials: DAY,
    feed: DAY,
};

async fn revoke(db: &Db, it: &ServiceAccount, now: Timestamp) {
    change(&db.store, the(it), now, |view, asking, mint| {
        retire::revoke_service_account(view, asking, Because::default(), mint.dice)
    })
    .await
    .unwrap();
}

async fn numbers_grow_and_are_never_used_again(db: Db) {
    let account = db.account().await;
    let mut last = 0;
    let mut all = Vec::new();
    for at in 0..3 {
        let now = T.plus(TICK * (at + 1));
        let (it, issued) = db.service_account(&account, now).await;
        let key = db
            .issue(
                &it,
                now,
                NewToken {
                    kind: CredentialKind::Key,
                    ..NewToken::default()
                },
            )
            .await;
        let ids = [it.id.0, issued.credential.id.0, key.credential.id.0];
        let numbers = db.store.numbers(&ids).await.unwrap();
        for id in ids {
            assert!(numbers[&id] > last);
            last = numbers[&id];
            assert_eq!(db.store.id_of_number(last).await.unwrap(), Some(id));
        }
        all.push(it);
    }
    for it in &all {
        revoke(&db, it, T).await;
    }
    let later = T.plus(DAY * 3);
    while db.store.purge_page(RETENTION, later).await.unwrap() > 0 {}
    assert_eq!(db.count("numbers").await, 0);
    assert_eq!(db.store.id_of_number(last).await.unwrap(), None);
    let (it, _) = db.service_account(&account, later).await;
    assert!(db.store.numbers(&[it.id.0]).await.unwrap()[&it.id.0] > last);
    assert_eq!(db.store.id_of_number(i64::MAX).await.unwrap(), None);
}

async fn what_was_made_without_a_number_gets_one(db: Db) {
    let account = db.account().await;
    let (it, _) = db.service_account(&account, T).await;
    let (later, _) = db.service_account(&account, T.plus(SECOND)).await;
    db.execute("DELETE FROM numbers").await;
    let ids = [later.id.0, it.id.0];
    let stores = [db.store.clone(), db.again(|_| {}), db.again(|_| {})];
    let asked = stores.iter().map(|store| store.numbers(&ids));
    let found: Vec<HashMap<Uuid, i64>> = futures_util::future::join_all(asked)
        .await
        .into_iter()
        .map(|it| it.unwrap())
        .collect();
    assert!(found.iter().all(|it| *it == found[0]), "{found:?}");
    // In the order in which they were made.
    assert!(found[0][&it.id.0] < found[0][&later.id.0]);
}

fn called(label: &str, username: &str) -> NewServiceAccount {
    NewServiceAccount {
        username: Some(Username::parse(username).unwrap()),
        first_token: false,
        ..NewServiceAccount::named(name(label))
    }
}

async fn usernames_are_unique_among_those_in_force(db: Db) {
    let account = db.account().await;
    let other = db.account_with("Other", Default::default()).await;
    let (first, none) = db
        .try_create(&account, T, called("a", "Robot"))
        .await
        .unwrap();
    assert!(none.is_none());
    let again = db.try_create(&account, T, called("b", "rOBOT")).await;
    assert!(matches!(again, Err(Error::Conflict(index)) if index.contains("username")));
    db.try_create(&other, T, called("a", "Robot"))
        .await
        .unwrap();
    let found = db.store.find_service_account(account.id, first.id).await;
    assert_eq!(found.unwrap().unwrap().username, first.username);
    revoke(&db, &first, T).await;
    db.try_create(&account, T, called("b", "robot"))
        .await
        .unwrap();
    // Any number of them have none.
    db.service_account(&account, T).await;
    db.service_account(&account, T).await;
}

async fn exclusive_names_are_refused_and_freed(db: Db) {
    let account = db.account().await;
    let exclusive = || NewServiceAccount {
        name_is_exclusive: true,
        ..NewServiceAccount::named(name("Billing"))
    };
    // One that does not mind sharing its name is there already.
    let (shared, _) = db.service_account(&account, T).await;
    let refused = db.try_create(&account, T, exclusive()).await;
    assert!(matches!(refused, Err(Error::Refused(it)) if it.code == Code::NameTaken));
    revoke(&db, &shared, T).await;
    let (first, _) = db.try_create(&account, T, exclusive()).await.unwrap();
    // At the same time, the index decides.
    revoke(&db, &first, T).await;
    let racing = (0..8).map(|_| db.try_create(&account, T, exclusive()));
    let made = futures_util::future::join_all(racing).await;
    assert_eq!(made.iter().filter(|it| it.is_ok()).count(), 1);
    for refused in made.into_iter().filter_map(Result::err) {
        match refused {
            Error::Refused(it) => assert_eq!(it.code, Code::NameTaken),
            Error::Conflict(index) => assert!(index.contains("name"), "{index}"),
            other => panic!("{other}"),
        }
    }
    db.service_account(&account, T).await;
}

async fn descriptions_are_looked_up_under_the_lock(db: Db) {
    let account = db.account().await;
    let (it, _) = db.service_account(&account, T).await;
    let issue = async |description: &str, now| {
        let new = NewToken {
            description: Some(description.to_owned()),
            description_is_exclusive: true,
            expiry: symbolon_domain::account::ExpiryRequest::At(now_plus(now)),
            ..NewToken::default()
        };
        let target = Target::ServiceAccount {
            account: it.account_id,
            id: it.id,
            credential: None,
            environment: None,
            description: new.description.clone(),
        };
        change(&db.store, target, now, move |view, asking, mint| {
            symbolon_domain::issue::issue_token(view, asking, new, mint)
        })
        .await
    };
    let taken = |error| matches!(error, Error::Refused(it) if it.code == Code::DescriptionTaken);
    let first = issue("deploy", T).await.unwrap();
    assert!(taken(issue("deploy", T).await.unwrap_err()));
    issue("Deploy", T).await.unwrap();
    // Ended ones still count; revoked ones do not.
    assert!(taken(issue("deploy", T.plus(DAY)).await.unwrap_err()));
    let id = first.credential.id;
    change(
        &db.store,
        token_of(&it, id),
        T,
        move |view, asking, mint| {
            retire::revoke_token(view, asking, id, Because::default(), mint.dice)
        },
    )
    .await
    .unwrap();
    let racing = (0..6).map(|_| issue("deploy", T));
    let made = futures_util::future::join_all(racing).await;
    assert_eq!(made.iter().filter(|it| it.is_ok()).count(), 1);
    assert!(made.into_iter().filter_map(Result::err).all(taken));
}

fn now_plus(now: Timestamp) -> Timestamp {
    now.plus(Duration::from_secs(60))
}

async fn listed(store: &Store, of: &Account, sort: TokenSort, descending: bool) -> Vec<Uuid> {
    let query = AccountTokenQuery {
        account: of.id,
        environment: None,
        sort,
        descending,
        offset: 0,
        limit: 100,
    };
    let (found, total) = store.list_account_tokens(query).await.unwrap();
    assert_eq!(found.len() as i64, total);
    found.iter().map(|it| it.credential.id.0).collect()
}

async fn tokens_of_an_account_in_every_order(db: Db) {
    let account = db.account().await;
    let other = db.account_with("Other", Default::default()).await;
    let environment = db.environment(&account, "prod").await;
    db.service_account(&other, T).await;
    let (bound, of_bound) = db
        .create(
            &account,
            T,
            NewServiceAccount {
                environment_id: Some(environment.id),
                ..NewServiceAccount::named(name("bound"))
            },
        )
        .await;
    let mut key = direct_credential(&account, T);
    key.owner = Owner::ServiceAccount(bound.id);
    key.kind = CredentialKind::Key;
    let at = |ticks: u32| T.plus(TICK * ticks);
    let mut a = direct_credential(&account, at(1));
    (a.created_at, a.updated_at, a.expires_at) = (at(1), at(9), Some(at(50)));
    let mut b = direct_credential(&account, at(2));
    (b.created_at, b.updated_at, b.expires_at) = (at(2), at(8), Some(at(40)));
    b.owner = Owner::Environment(environment.id);
    b.status = symbolon_domain::CredentialStatus::Suspended { at: at(3) };
    let mut gone = direct_credential(&account, at(3));
    gone.deleted_at = Some(at(4));
    db.plant(&account, vec![key, a.clone(), b.clone(), gone])
        .await;
    let (p, a, b) = (of_bound.credential.id.0, a.id.0, b.id.0);
    let of = async |sort, descending| listed(&db.store, &account, sort, descending).await;
    assert_eq!(of(TokenSort::CreatedAt, false).await, [p, a, b]);
    assert_eq!(of(TokenSort::CreatedAt, true).await, [b, a, p]);
    assert_eq!(of(TokenSort::UpdatedAt, false).await, [p, b, a]);
    // No end is later than any.
    assert_eq!(of(TokenSort::ExpiresAt, false).await, [b, a, p]);
    assert_eq!(of(TokenSort::ExpiresAt, true).await, [p, a, b]);
    assert_eq!(of(TokenSort::Status, true).await[0], b);
    let query = AccountTokenQuery {
        account: account.id,
        environment: Some(environment.id),
        sort: TokenSort::CreatedAt,
        descending: false,
        offset: 1,
        limit: 1,
    };
    let (found, total) = db.store.list_account_tokens(query).await.unwrap();
    assert_eq!(total, 2);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].credential.id.0, b);
    let beyond = AccountTokenQuery { offset: 9, ..query };
    let (found, total) = db.store.list_account_tokens(beyond).await.unwrap();
    assert!(found.is_empty() && total == 2);
}

async fn a_tokens_deletion_and_a_keys_secret_are_kept(db: Db) {
    let account = db.account().await;
    let (it, primary) = db.service_account(&account, T).await;
    let new = NewToken {
        kind: CredentialKind::Key,
        grant: symbolon_domain::issue::Grant::Inherit,
        ..NewToken::default()
    };
    let key = db.issue(&it, T, new).await;
    let found = db.credential(&key.credential).await;
    assert!(found.inherits_scopes && found.scopes.is_empty());
    let sealed = found.sealed_secret.as_ref().unwrap();
    assert_eq!(sealed.bytes, key.secret.reveal().as_bytes());
    assert_eq!(found, key.credential);
    let here = db.store.find_by_public_id_of(it.id, &found.public_id).await;
    assert_eq!(here.unwrap(), Some(found.clone()));
    let (stranger, _) = db.service_account(&account, T).await;
    let elsewhere = db
        .store
        .find_by_public_id_of(stranger.id, &found.public_id)
        .await;
    assert_eq!(elsewhere.unwrap(), None);
    let both = db.store.credentials_of(&[it.id]).await.unwrap();
    assert_eq!(both.len(), 2);
    let other = db
        .issue(
            &it,
            T,
            NewToken {
                kind: CredentialKind::Key,
                ..NewToken::default()
            },
        )
        .await
        .credential;
    let id = other.id;
    change(
        &db.store,
        token_of(&it, id),
        T,
        move |view, asking, mint| {
            retire::revoke_token(view, asking, id, Because::default(), mint.dice)
        },
    )
    .await
    .unwrap();
    assert_eq!(db.credential(&other).await.sealed_secret, None);
    let id = primary.credential.id;
    let end = change(
        &db.store,
        token_of(&it, id),
        T,
        move |view, asking, mint| retire::delete_token(view, asking, id, mint.dice),
    );
    assert!(matches!(end.await, Err(Error::Refused(it)) if it.code == Code::InvalidAction));
    revoke(&db, &it, T).await;
    change(
        &db.store,
        token_of(&it, id),
        T,
        move |view, asking, mint| retire::delete_token(view, asking, id, mint.dice),
    )
    .await
    .unwrap();
    assert_eq!(db.credential(&primary.credential).await.deleted_at, Some(T));
    let left = db.store.credentials_of(&[it.id]).await.unwrap();
    assert_eq!(left.iter().map(|it| it.id).collect::<Vec<_>>(), [found.id]);
}

fn drawn(now: Timestamp) -> SigningKey {
    let mut dice = dice();
    SigningKey {
        id: SigningKeyId::new(now, &mut dice),
        status: SigningKeyStatus::Next,
        public_key: vec![1; 32],
        sealed: Sealed {
            key_version: 1,
            bytes: vec![2; 72],
        },
        created_at: now,
        version: 1,
    }
}

async fn maintain(store: &Store, now: Timestamp) -> symbolon_store::Result<()> {
    change(store, Target::SigningKeys, now, move |view, _, _| {
        let changes = signing::maintain(&view.signing_keys, now, &mut || drawn(now));
        Ok(((), changes))
    })
    .await
}

async fn one_signing_key_signs_whoever_makes_it(db: Db) {
    let stores: Vec<Store> = (0..4).map(|_| db.again(|_| {})).collect();
    let made = futures_util::future::join_all(stores.iter().map(|store| maintain(store, T))).await;
    assert!(made.iter().any(Result::is_ok));
    for refused in made.into_iter().filter_map(Result::err) {
        assert!(
            matches!(&refused, Error::Conflict(index) if index.contains("signing_keys")),
            "{refused}"
        );
    }
    assert_eq!(db.count("signing_keys WHERE status = 'active'").await, 1);
    assert_eq!(db.count("signing_keys WHERE status = 'next'").await, 1);
    let keys = db.store.signing_keys().await.unwrap();
    assert_eq!(keys.len(), 2);
    maintain(&db.store, T.plus(limits::SIGNING_KEY_PERIOD))
        .await
        .unwrap();
    let turned = db.store.signing_keys().await.unwrap();
    let status = |id| turned.iter().find(|key| key.id == id).unwrap().status;
    for key in keys {
        match key.status {
            SigningKeyStatus::Active { .. } => {
                assert!(matches!(status(key.id), SigningKeyStatus::Retired { .. }));
            }
            _ => assert!(matches!(status(key.id), SigningKeyStatus::Active { .. })),
        }
    }
    assert_eq!(turned.len(), 3);
}

async fn a_signing_key_stays_until_its_last_token_has_ended(db: Db) {
    let account = db.account().await;
    maintain(&db.store, T).await.unwrap();
    let retired = T.plus(limits::SIGNING_KEY_PERIOD);
    let end = retired.plus(DAY);
    let mut signed = direct_credential(&account, T);
    signed.kind = CredentialKind::Jwt;
    signed.expires_at = Some(end);
    db.plant(&account, vec![signed]).await;
    maintain(&db.store, retired).await.unwrap();
    let left = async |now| {
        db.store.purge_page(RETENTION, now).await.unwrap();
        db.count("signing_keys WHERE status = 'retired'").await
    };
    assert_eq!(left(retired.plus(DAY / 2)).await, 1);
    assert_eq!(left(end).await, 0);
    assert_eq!(db.count("signing_keys").await, 2);
}

async fn an_assertion_is_used_once(db: Db) {
    let account = db.account().await;
    let (it, _) = db.service_account(&account, T).await;
    let (other, _) = db.service_account(&account, T).await;
    let end = T.plus(DAY);
    let stores: Vec<Store> = (0..4).map(|_| db.again(|_| {})).collect();
    let racing = stores
        .iter()
        .map(|store| store.claim_assertion(it.id, &[7; 32], end));
    let won = futures_util::future::join_all(racing).await;
    let won = won.into_iter().filter(|it| *it.as_ref().unwrap()).count();
    assert_eq!(won, 1);
    assert!(
        db.store
            .claim_assertion(other.id, &[7; 32], end)
            .await
            .unwrap()
    );
    assert!(
        db.store
            .claim_assertion(it.id, &[8; 32], end)
            .await
            .unwrap()
    );
    // Another's mark with the same jti goes by its own end.
    let far = end.plus(DAY);
    let (third, _) = db.service_account(&account, T).await;
    assert!(
        db.store
            .claim_assertion(third.id, &[7; 32], far)
            .await
            .unwrap()
    );
    db.store.purge_page(RETENTION, end).await.unwrap();
    assert_eq!(db.count("used_assertions").await, 4);
    db.store
        .purge_page(RETENTION, end.plus(MINUTE))
        .await
        .unwrap();
    assert_eq!(db.count("used_assertions").await, 1);
    assert!(
        !db.store
            .claim_assertion(third.id, &[7; 32], far)
            .await
            .unwrap()
    );
}

async fn a_revoked_access_token_is_known_until_it_would_have_ended(db: Db) {
    let token = RevokedAccessToken {
        id: Uuid::from_u128(5),
        expires_at: T.plus(DAY),
    };
    assert!(!db.store.is_access_token_revoked(token.id).await.unwrap());
    for _ in 0..2 {
        let mut changes = Changes::default();
        changes.revoked_access_tokens.push(token);
        changes.mark_access_token(token.id);
        let nowhere = Target::within(symbolon_domain::AccountId(Uuid::nil()));
        change(&db.store, nowhere, T, move |_, _, _| Ok(((), changes)))
            .await
            .unwrap();
    }
    assert!(db.store.is_access_token_revoked(token.id).await.unwrap());
    let feed = db.store.feed_from(0, 10).await.unwrap();
    assert_eq!(feed[0].mark.unwrap().id, token.id);
    db.store.purge_page(RETENTION, T).await.unwrap();
    assert!(db.store.is_access_token_revoked(token.id).await.unwrap());
    db.store
        .purge_page(RETENTION, token.expires_at.plus(MINUTE))
        .await
        .unwrap();
    assert!(!db.store.is_access_token_revoked(token.id).await.unwrap());
}
