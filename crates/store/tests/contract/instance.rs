//! The instance's own facts, and what is told about the database.

use crate::harness::*;
use symbolon_domain::change::{Changes, Instance, Target};
use symbolon_domain::{AccountId, CredentialId};

on_both!(
    key_checks_stay_as_they_were_first_written,
    the_instance_remembers_how_it_began,
    an_instance_is_in_use_once_it_has_a_service_account,
    a_database_answers_and_describes_itself,
);

async fn key_checks_stay_as_they_were_first_written(db: Db) {
    assert!(db.store.key_checks().await.unwrap().is_empty());
    let checks = [(2, vec![2; 32]), (1, vec![1; 32])];
    db.store.add_key_checks(&checks, T).await.unwrap();
    db.store
        .add_key_checks(&[(1, vec![9; 32]), (3, vec![3; 32])], T)
        .await
        .unwrap();
    let found = db.store.key_checks().await.unwrap();
    assert_eq!(
        found,
        [(1, vec![1; 32]), (2, vec![2; 32]), (3, vec![3; 32])]
    );
}

fn target() -> Target {
    Target::Instance {
        account: "acme".into(),
        email: "owner@example.com".into(),
    }
}

async fn the_instance_remembers_how_it_began(db: Db) {
    assert_eq!(db.store.instance().await.unwrap(), Instance::default());
    let began = Instance {
        bootstrapped_at: Some(T),
        automatic_account: Some(AccountId(uuid::Uuid::from_u128(1))),
        automatic_credential: Some(CredentialId(uuid::Uuid::from_u128(2))),
        in_use: false,
    };
    let wanted = began.clone();
    change(&db.store, target(), T, move |view, _, _| {
        assert_eq!(view.instance, Some(Instance::default()));
        let changes = Changes {
            instance: Some(began),
            ..Changes::default()
        };
        Ok(((), changes))
    })
    .await
    .unwrap();
    assert_eq!(db.store.instance().await.unwrap(), wanted);
}

async fn an_instance_is_in_use_once_it_has_a_service_account(db: Db) {
    let account = db.account().await;
    let credential = direct_credential(&account, T);
    let id = credential.id;
    db.plant(&account, vec![credential]).await;
    let began = Instance {
        bootstrapped_at: Some(T),
        automatic_account: Some(account.id),
        automatic_credential: Some(id),
        in_use: false,
    };
    change(&db.store, target(), T, move |_, _, _| {
        let changes = Changes {
            instance: Some(began),
            ..Changes::default()
        };
        Ok(((), changes))
    })
    .await
    .unwrap();
    let in_use = async || {
        change(&db.store, target(), T, |view, _, _| {
            assert!(view.account.is_some() && view.credentials.len() == 1);
            Ok((view.instance.clone().unwrap().in_use, Changes::default()))
        })
        .await
        .unwrap()
    };
    assert!(!in_use().await);
    db.service_account(&account, T).await;
    assert!(in_use().await);
}

async fn a_database_answers_and_describes_itself(db: Db) {
    db.store.ping().await.unwrap();
    assert!(db.store.pending_migrations().await.unwrap().is_empty());
    assert!(db.store.keeps_sessions().await.unwrap());
    let line = db.store.describe().await.unwrap();
    let theirs = db.store.database_time().await.unwrap();
    if db.is_pg() {
        assert!(
            line.starts_with("PostgreSQL ") && line.contains("synchronous_commit="),
            "{line}"
        );
        assert!(theirs.is_some());
        let copy = std::env::temp_dir().join("symbolon_no_copy");
        assert!(db.store.backup(&copy).await.is_err());
    } else {
        assert!(line.starts_with("SQLite "), "{line}");
        assert!(theirs.is_none());
        db.account().await;
        db.store.checkpoint().await.unwrap();
        let path = db.store.sqlite_path().unwrap();
        let copy = path.with_file_name("copy.db");
        db.store.backup(&copy).await.unwrap();
        assert!(
            db.store.backup(&copy).await.is_err(),
            "nothing is overwritten"
        );
        let copied =
            db.again(|settings| settings.location = symbolon_store::Location::Sqlite(copy));
        assert_eq!(
            copied
                .list_accounts(&Default::default(), ALL)
                .await
                .unwrap()
                .len(),
            1
        );
    }
}
