//! A product with one account, and short words for what tests ask of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use std::io::Write;
use std::time::Duration;
use symbolon_app::testing::TestApp;
use symbolon_app::{Actor, App, Call, Credentials, Error, Idempotency, Origin, Prepared, Start};
use symbolon_domain::issue::{Grant, NewServiceAccount, NewToken, Rotation};
use symbolon_domain::{
    AccountId, Code, CredentialId, CredentialKind, Digest, EmailAddress, Job, Name, Presented,
    ScopeSet, ServiceAccountId,
};
use symbolon_store::testing::TestDatabase;
use symbolon_store::{JobFilter, JobState};

pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(86_400);
pub const TICK: Duration = Duration::from_micros(1);

/// Expands each test into one on SQLite and one on PostgreSQL.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let database = symbolon_store::testing::sqlite().await;
                Box::pin(super::$name(crate::harness::World::on(database).await)).await;
            }
        )*}
        mod postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                match symbolon_store::testing::postgres().await {
                    Some(database) => Box::pin(super::$name(crate::harness::World::on(database).await)).await,
                    None => crate::harness::not_run(concat!(module_path!(), "::", stringify!($name))),
                }
            }
        )*}
    };
}
pub(crate) use on_both;

/// Tells the run's summary about a test that lacks its server.
pub fn not_run(test: &str) {
    let line = format!("{test} (no PostgreSQL)\n");
    match std::env::var("SYMBOLON_TEST_NOT_RUN_FILE") {
        Ok(path) if !path.is_empty() => std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .unwrap(),
        _ => eprint!("{line}"),
    }
}

/// The product, begun by somebody: an account, its owner, an admin token.
pub struct World {
    pub test: TestApp,
    pub account: AccountId,
    pub token: String,
    pub setup_url: String,
}

impl World {
    pub async fn on(database: TestDatabase) -> Self {
        let test = symbolon_app::testing::on(database, Default::default()).await;
        let start = Start::Owned {
            owner: email("owner@example.com"),
        };
        let begun = test.app.bootstrap(name("Acme"), start).await.unwrap();
        Self {
            account: begun.account_id,
            token: begun.token.reveal().to_owned(),
            setup_url: begun.setup_url.unwrap(),
            test,
        }
    }

    pub fn app(&self) -> &App {
        &self.test.app
    }

    pub fn advance(&self, span: Duration) {
        self.test.clock.advance(span);
    }

    pub async fn actor(&self, token: &str) -> Result<Actor, Error> {
        self.app()
            .authenticate(&bearer(token), Origin::default(), None)
            .await
    }

    /// As [`Self::actor`], by a key's id and secret.
    pub async fn basic_actor(&self, key_id: &str, secret: &str) -> Result<Actor, Error> {
        self.app()
            .authenticate(&basic(key_id, secret), Origin::default(), None)
            .await
    }

    /// A key of this service account with these scopes.
    pub async fn key(&self, owner: ServiceAccountId, granted: &str) -> Key {
        self.issue_key(owner, key(granted)).await
    }

    pub async fn issue_key(&self, owner: ServiceAccountId, new: NewToken) -> Key {
        let admin = self.admin().await;
        let revealed = self
            .app()
            .issue_token(&call(&admin), self.account, owner, new)
            .await
            .unwrap();
        Key {
            id: revealed.record.it.id,
            key_id: revealed.record.it.public_id,
            secret: revealed.secret.unwrap().reveal().to_owned(),
            owner,
        }
    }

    pub async fn is_live(&self, token: &str) -> bool {
        match self.actor(token).await {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.code(), Code::Unauthenticated);
                false
            }
        }
    }

    /// The account's first admin, who is an operator too.
    pub async fn admin(&self) -> Actor {
        self.actor(&self.token).await.unwrap()
    }

    /// The holder of a token of a fresh service account with these scopes.
    pub async fn holder_of(&self, scopes: &str) -> (Actor, String, Made) {
        let made = self.make(service_account("holder", scopes)).await;
        (
            self.actor(&made.token).await.unwrap(),
            made.token.clone(),
            made,
        )
    }

    pub async fn make(&self, new: NewServiceAccount) -> Made {
        self.make_in(self.account, new).await
    }

    pub async fn make_in(&self, account: AccountId, new: NewServiceAccount) -> Made {
        let admin = self.admin().await;
        let revealed = self
            .app()
            .create_service_account(&call(&admin), account, new)
            .await
            .unwrap();
        Made {
            id: revealed.record.it.id,
            primary: revealed.record.primary.unwrap().id,
            token: revealed.secret.unwrap().reveal().to_owned(),
        }
    }

    /// The kinds of an account's events, oldest first.
    pub async fn events(&self, account: AccountId) -> Vec<&'static str> {
        let admin = self.admin().await;
        let page = symbolon_app::PageRequest {
            after: None,
            limit: 200,
        };
        let slice = self
            .app()
            .list_events(&admin, account, Default::default(), page)
            .await
            .unwrap();
        slice
            .items
            .iter()
            .rev()
            .map(|it| it.kind.as_str())
            .collect()
    }

    /// Runs the mail jobs that are due as a worker would; returns address, link and Message-ID of each mail
    /// that a server took.
    pub async fn mail(&self) -> Vec<(String, String, String)> {
        let mut sent = Vec::new();
        for (job, prepared) in self.due_mail().await {
            if let Prepared::Send(mail) = prepared {
                self.app()
                    .notice_accepted(mail.notice_id, "250 ok")
                    .await
                    .unwrap();
                sent.push((
                    mail.to.as_str().to_owned(),
                    mail.link.clone(),
                    mail.message_id.clone(),
                ));
            } else if let Prepared::Later(at) = prepared {
                panic!("{job:?} was put off until {at}");
            }
        }
        sent
    }

    /// Starts and finishes each mail job that is due, with what is to be sent for it.
    pub async fn due_mail(&self) -> Vec<(Job, Prepared)> {
        let mut found = Vec::new();
        for lease in self.app().lease_jobs(1000, MINUTE).await.unwrap() {
            let started = self.app().start_job(lease, MINUTE).await.unwrap().unwrap();
            let job = started.job.unwrap();
            let prepared = match &job {
                Job::ConfirmEmail {
                    confirmation_id,
                    generation,
                } => {
                    let app = self.app();
                    app.prepare_confirmation(*confirmation_id, *generation, false)
                        .await
                }
                Job::ConfirmationReminder { confirmation_id } => {
                    self.app().confirmation_reminder(*confirmation_id).await
                }
                other => panic!("{other:?} is no mail"),
            };
            let done = symbolon_app::JobOutcome::Done;
            assert!(self.app().finish_job(lease, done).await.unwrap());
            found.push((job, prepared.unwrap()));
        }
        found
    }

    pub async fn open_jobs(&self, name: &str) -> usize {
        let filter = JobFilter {
            name: Some(name.to_owned()),
            limit: 1000,
            ..Default::default()
        };
        let jobs = self
            .app()
            .store()
            .list_jobs(&filter, self.app().now())
            .await;
        let over = |state| {
            matches!(
                state,
                JobState::Done | JobState::Buried | JobState::Cancelled
            )
        };
        jobs.unwrap().iter().filter(|it| !over(it.state)).count()
    }
}

/// A service account just made, with its first token.
#[derive(Debug, Clone)]
pub struct Made {
    pub id: ServiceAccountId,
    pub primary: CredentialId,
    pub token: String,
}

pub fn bearer(token: &str) -> Credentials {
    Credentials::Bearer(Presented::new(token))
}

pub fn basic(key_id: &str, secret: &str) -> Credentials {
    Credentials::Basic {
        key_id: key_id.to_owned(),
        secret: Presented::new(secret),
    }
}

/// A key with its secret.
#[derive(Debug, Clone)]
pub struct Key {
    pub id: CredentialId,
    pub key_id: String,
    pub secret: String,
    pub owner: ServiceAccountId,
}

pub fn call(actor: &Actor) -> Call<'_> {
    Call::new(actor, Origin::default())
}

/// The same with an `Idempotency-Key`.
pub fn keyed<'a>(actor: &'a Actor, operation: &'static str, key: &str, body: &str) -> Call<'a> {
    Call {
        idempotency: Some(Idempotency {
            door: "native",
            operation,
            key: key.to_owned(),
            fingerprint: Digest::of(body),
        }),
        ..call(actor)
    }
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

pub fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

pub fn service_account(label: &str, granted: &str) -> NewServiceAccount {
    NewServiceAccount {
        scopes: scopes(granted),
        ..NewServiceAccount::named(name(label))
    }
}

pub fn with_contact(label: &str, address: &str) -> NewServiceAccount {
    NewServiceAccount {
        contact_email: Some(email(address)),
        ..service_account(label, "")
    }
}

pub fn token(granted: &str) -> NewToken {
    NewToken {
        grant: Grant::Only(scopes(granted)),
        ..NewToken::default()
    }
}

pub fn key(granted: &str) -> NewToken {
    NewToken {
        kind: CredentialKind::Key,
        ..token(granted)
    }
}

pub fn grace(span: Duration) -> Rotation {
    Rotation {
        grace: span,
        ..Rotation::default()
    }
}

/// The last segment of a mailed link.
pub fn link_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

/// The path of the token endpoint that tests ask.
pub const TOKEN_PATH: &str = "/api/auth/oauth/token";

/// An assertion as a client would sign it.
pub fn hs256(header: &serde_json::Value, claims: &serde_json::Value, secret: &str) -> String {
    let input = format!("{}.{}", part(header), part(claims));
    let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(input.as_bytes());
    let tag = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{input}.{tag}")
}

/// A part of a compact JWS.
pub fn part(value: &serde_json::Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The header and the claims of a compact JWS.
pub fn read_jws(text: &str) -> (serde_json::Value, serde_json::Value) {
    let mut parts = text
        .split('.')
        .map(|it| URL_SAFE_NO_PAD.decode(it).unwrap());
    let mut read = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (read(), read())
}

/// The stable code of a refusal.
pub fn code<T>(result: Result<T, Error>) -> Code {
    match result {
        Ok(_) => panic!("it was allowed"),
        Err(error) => error.code(),
    }
}
