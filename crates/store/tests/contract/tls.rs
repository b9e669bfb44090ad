//! Encrypted connections to PostgreSQL, through the pool.

use crate::harness::*;
use std::time::Duration;
use symbolon_store::{Error, Location, Store};

/// The test server's URL as the role that must give its password, with these parameters.
async fn store_with(db: &Db, parameters: &str) -> Store {
    let base = std::env::var("SYMBOLON_TEST_POSTGRES_PASSWORD_URL").unwrap();
    let database = db.url().rsplit_once('/').unwrap().1;
    let server = base.rsplit_once('/').unwrap().0.to_owned();
    // The certificate is the host's by name, and this one's by address.
    let url = format!("{server}/{database}?{parameters}");
    db.again(|settings| {
        settings.location = Location::Postgres(url);
        settings.connect_timeout = Duration::from_secs(3);
    })
}

fn password() -> String {
    let url = std::env::var("SYMBOLON_TEST_POSTGRES_PASSWORD_URL").unwrap();
    let user = url
        .split_once("://")
        .unwrap()
        .1
        .split_once('@')
        .unwrap()
        .0
        .to_owned();
    user.split_once(':').unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_do_what_they_say() {
    let Some(db) = postgres("tls::modes_do_what_they_say").await else {
        return;
    };
    let ca = std::env::var("SYMBOLON_TEST_POSTGRES_CA").unwrap();
    for (parameters, encrypted) in [
        ("sslmode=require".to_owned(), true),
        (format!("sslmode=require&sslrootcert={ca}"), true),
        (format!("sslmode=verify-full&sslrootcert={ca}"), true),
        ("sslmode=prefer".to_owned(), true),
        ("sslmode=disable".to_owned(), false),
    ] {
        let store = store_with(&db, &parameters).await;
        let line = store
            .describe()
            .await
            .unwrap_or_else(|error| panic!("{parameters}: {error}"));
        assert_eq!(line.contains(", TLS,"), encrypted, "{parameters}: {line}");
        assert_eq!(
            line.contains(", no TLS,"),
            !encrypted,
            "{parameters}: {line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_server_is_refused_and_no_secret_told() {
    let Some(db) = postgres("tls::an_unknown_server_is_refused_and_no_secret_told").await else {
        return;
    };
    let other = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/tls/other-ca.pem"
    );
    for parameters in [
        format!("sslmode=verify-full&sslrootcert={other}"),
        format!("sslmode=require&sslrootcert={other}"),
        // The machine's roots know nothing of a test's authority.
        "sslmode=verify-full".to_owned(),
    ] {
        let refused = store_with(&db, &parameters).await.ping().await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
        let told = format!("{refused} {refused:?}");
        assert!(told.to_lowercase().contains("certificate"), "{told}");
        assert!(!told.contains(&password()), "{told}");
    }
}
