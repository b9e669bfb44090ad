//! Requests that are done once however often they come.

use crate::harness::*;
use std::time::Duration;
use symbolon_domain::change::{Changes, Target};
use symbolon_domain::issue::NewToken;
use symbolon_domain::secret::{Digest, Sealed};
use symbolon_domain::{ActorRef, Code, CredentialId, Refusal, Timestamp, retire};
use symbolon_store::{Changed, Claim, Decision, Error, Save, Saved, SavedSecret, Store};

on_both!(
    a_repeat_is_told_what_the_first_saved,
    a_repeat_waits_for_the_first,
    fifty_equal_requests_are_done_once,
    a_repeat_does_not_wait_for_ever,
    a_refusal_frees_the_key,
    a_key_is_free_again_when_its_time_is_over,
    keys_of_others_are_other_keys,
    a_sealed_secret_vanishes_in_time,
    a_sealed_secret_vanishes_with_its_credential,
);

pub fn claim(key: &str, body: &str, now: Timestamp) -> Claim {
    Claim {
        actor: ActorRef::Operator,
        door: "native",
        operation: "create",
        key: key.to_owned(),
        fingerprint: Digest::of(body),
        now,
        expires_at: now.plus(DAY),
    }
}

fn nothing() -> Target {
    Target::within(symbolon_domain::AccountId(uuid::Uuid::nil()))
}

/// Claims, and saves `outcome` unless the claim was had before.
async fn done(
    store: &Store,
    claim: Claim,
    outcome: i64,
    slowness: Duration,
) -> symbolon_store::Result<Option<Saved>> {
    let now = claim.now;
    let changed = store.change(nothing(), now, Some(claim), move |_| {
        pause(slowness);
        Ok(Decision {
            value: (),
            changes: Changes::default(),
            save: Some(Save {
                outcome: outcome.into(),
                secret: None,
            }),
        })
    });
    Ok(match changed.await? {
        Changed::Done { .. } => None,
        Changed::Replayed(saved) => Some(*saved),
    })
}

async fn a_repeat_is_told_what_the_first_saved(db: Db) {
    let first = done(&db.store, claim("k", "body", T), 1, Duration::ZERO).await;
    assert!(first.unwrap().is_none());
    let again = done(&db.store, claim("k", "body", T), 2, Duration::ZERO).await;
    let again = again.unwrap().unwrap();
    assert!(again.same_request && again.outcome == 1 && again.secret.is_none());
    let other = done(&db.store, claim("k", "another body", T), 3, Duration::ZERO).await;
    assert!(!other.unwrap().unwrap().same_request);
    let found = db.store.find_saved(&claim("k", "body", T)).await.unwrap();
    assert_eq!(found.unwrap().outcome, 1);
    assert!(
        db.store
            .find_saved(&claim("l", "body", T))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        db.store
            .has_saved(ActorRef::Operator, "k", T)
            .await
            .unwrap()
    );
    assert!(
        !db.store
            .has_saved(ActorRef::Schedule, "k", T)
            .await
            .unwrap()
    );
}

async fn a_repeat_waits_for_the_first(db: Db) {
    let store = db.store.clone();
    let slow = Duration::from_millis(400);
    let first = tokio::spawn(async move { done(&store, claim("k", "b", T), 1, slow).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let again = done(&db.store, claim("k", "b", T), 2, Duration::ZERO).await;
    assert_eq!(again.unwrap().unwrap().outcome, 1);
    assert!(first.await.unwrap().unwrap().is_none());
}

async fn fifty_equal_requests_are_done_once(db: Db) {
    let mut racers = tokio::task::JoinSet::new();
    for at in 0..50 {
        let store = db.store.clone();
        racers.spawn(async move { done(&store, claim("k", "b", T), at, Duration::ZERO).await });
    }
    let results: Vec<_> = racers
        .join_all()
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(results.iter().filter(|it| it.is_none()).count(), 1);
    let mut outcomes: Vec<_> = results
        .into_iter()
        .flatten()
        .map(|it| it.outcome.to_string())
        .collect();
    outcomes.dedup();
    assert_eq!(outcomes.len(), 1);
}

async fn a_repeat_does_not_wait_for_ever(db: Db) {
    let impatient = db.again(|settings| settings.lock_timeout = Duration::from_millis(200));
    let store = db.store.clone();
    let slow = Duration::from_millis(1500);
    let first = tokio::spawn(async move { done(&store, claim("k", "b", T), 1, slow).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let again = done(&impatient, claim("k", "b", T), 2, Duration::ZERO).await;
    if db.is_pg() {
        assert!(matches!(again, Err(Error::ClaimBusy)), "{again:?}");
    } else {
        // SQLite's one writer is busy with the first, whoever asks for what.
        assert!(matches!(again, Err(Error::Unavailable(_))), "{again:?}");
    }
    assert!(first.await.unwrap().unwrap().is_none());
    db.assert_nothing_open().await;
    let again = done(&impatient, claim("k", "b", T), 2, Duration::ZERO).await;
    assert_eq!(again.unwrap().unwrap().outcome, 1);
}

async fn a_refusal_frees_the_key(db: Db) {
    let refused = db
        .store
        .change(nothing(), T, Some(claim("k", "b", T)), |_| {
            Err::<Decision<()>, _>(Refusal::new(Code::InvalidAction))
        });
    assert_eq!(code(refused.await), Code::InvalidAction);
    let next = done(&db.store, claim("k", "another body", T), 2, Duration::ZERO).await;
    assert!(next.unwrap().is_none());
}

async fn a_key_is_free_again_when_its_time_is_over(db: Db) {
    assert!(
        done(&db.store, claim("k", "b", T), 1, Duration::ZERO)
            .await
            .unwrap()
            .is_none()
    );
    let last = T.plus(DAY - TICK);
    assert!(
        done(&db.store, claim("k", "b", last), 2, Duration::ZERO)
            .await
            .unwrap()
            .is_some()
    );
    let over = T.plus(DAY);
    assert!(
        db.store
            .find_saved(&claim("k", "b", over))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        !db.store
            .has_saved(ActorRef::Operator, "k", over)
            .await
            .unwrap()
    );
    assert!(
        done(&db.store, claim("k", "c", over), 3, Duration::ZERO)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(db.count("idempotency").await, 1);
}

async fn keys_of_others_are_other_keys(db: Db) {
    let mine = claim("k", "b", T);
    let others = [
        Claim {
            actor: ActorRef::Schedule,
            ..mine.clone()
        },
        Claim {
            door: "unleash",
            ..mine.clone()
        },
        Claim {
            operation: "rotate",
            ..mine.clone()
        },
        claim("K", "b", T),
    ];
    assert!(
        done(&db.store, mine, 0, Duration::ZERO)
            .await
            .unwrap()
            .is_none()
    );
    for other in others {
        assert!(
            done(&db.store, other, 1, Duration::ZERO)
                .await
                .unwrap()
                .is_none()
        );
    }
    assert_eq!(db.count("idempotency").await, 5);
}

async fn save_secret(db: &Db, key: &str, credential_id: CredentialId, until: Timestamp) {
    let changed = db
        .store
        .change(nothing(), T, Some(claim(key, "b", T)), move |_| {
            let sealed = Sealed {
                key_version: 3,
                bytes: b"sealed".to_vec(),
            };
            Ok(Decision {
                value: (),
                changes: Changes::default(),
                save: Some(Save {
                    outcome: 1.into(),
                    secret: Some(SavedSecret {
                        credential_id,
                        sealed,
                        until,
                    }),
                }),
            })
        });
    assert!(matches!(changed.await.unwrap(), Changed::Done { .. }));
}

async fn a_sealed_secret_vanishes_in_time(db: Db) {
    let id = CredentialId::new(T, &mut dice());
    save_secret(&db, "k", id, T.plus(MINUTE)).await;
    let at = async |now| {
        db.store
            .find_saved(&Claim {
                now,
                ..claim("k", "b", T)
            })
            .await
            .unwrap()
            .unwrap()
    };
    let secret = at(T.plus(MINUTE - TICK)).await.secret.unwrap();
    assert_eq!((secret.credential_id, secret.sealed.key_version), (id, 3));
    assert_eq!(secret.sealed.bytes, b"sealed");
    assert!(at(T.plus(MINUTE)).await.secret.is_none());
    assert_eq!(
        db.store
            .erase_saved_secrets(T.plus(MINUTE - TICK))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        db.count("idempotency WHERE sealed_secret IS NOT NULL")
            .await,
        1
    );
    assert_eq!(
        db.store.erase_saved_secrets(T.plus(MINUTE)).await.unwrap(),
        1
    );
    assert_eq!(
        db.count("idempotency WHERE sealed_secret IS NOT NULL")
            .await,
        0
    );
    assert_eq!(at(T).await.outcome, 1);
}

async fn a_sealed_secret_vanishes_with_its_credential(db: Db) {
    let account = db.account().await;
    let (it, primary) = db.service_account(&account, T).await;
    let other = db.issue(&it, T, NewToken::default()).await;
    save_secret(&db, "dies", primary.credential.id, T.plus(MINUTE)).await;
    save_secret(&db, "stays", other.credential.id, T.plus(MINUTE)).await;
    let id = primary.credential.id;
    change(
        &db.store,
        token_of(&it, id),
        T,
        move |view, asking, mint| {
            retire::revoke_token(view, asking, id, Default::default(), mint.dice)
        },
    )
    .await
    .unwrap();
    let found = async |key| {
        db.store
            .find_saved(&claim(key, "b", T))
            .await
            .unwrap()
            .unwrap()
    };
    assert!(found("dies").await.secret.is_none());
    assert!(found("stays").await.secret.is_some());
    assert_eq!(
        db.count("idempotency WHERE sealed_secret IS NOT NULL")
            .await,
        1
    );
}
