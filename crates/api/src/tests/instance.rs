//! A fresh instance to ask, and what tests make in it.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use symbolon_app::testing::TestApp;
use symbolon_app::{AppSettings, KeyFile, Keyring, Start};
use symbolon_domain::dice::SeededDice;
use symbolon_domain::time::ManualClock;
use symbolon_domain::{AccountId, Dice, Name};
use symbolon_store::testing::{self, TestDatabase};
use tokio::runtime::Runtime;

/// Databases are opened on a multi-thread runtime, as in the product: migrations block.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// A fresh instance: its account, and the operator's token.
pub(super) struct Instance {
    pub app: App,
    pub account: AccountId,
    pub operator: String,
    pub clock: Arc<ManualClock>,
    /// Lives as long as the instance.
    _database: TestDatabase,
}

impl Instance {
    /// On SQLite.
    pub async fn start() -> Self {
        Self::called(&AppSettings::default().public_url).await
    }

    /// On SQLite, with this public URL.
    pub async fn called(public_url: &str) -> Self {
        let settings = AppSettings {
            public_url: public_url.to_owned(),
            ..AppSettings::default()
        };
        let opening = RUNTIME.spawn(async { Self::begin(testing::sqlite().await, settings).await });
        opening.await.unwrap()
    }

    /// `None` where there is no server.
    pub async fn on_postgres() -> Option<Self> {
        let opening = RUNTIME.spawn(async {
            match testing::postgres().await {
                Some(database) => Some(Self::begin(database, AppSettings::default()).await),
                None => None,
            }
        });
        opening.await.unwrap()
    }

    async fn begin(database: TestDatabase, settings: AppSettings) -> Self {
        let TestApp {
            app,
            clock,
            database,
        } = symbolon_app::testing::on(database, settings).await;
        let begun = app
            .bootstrap(Name::parse("Main").unwrap(), Start::Automatic)
            .await
            .unwrap();
        Self {
            app,
            account: begun.account_id,
            operator: begun.token.reveal().to_owned(),
            clock,
            _database: database,
        }
    }

    /// Another process on the same database, which follows no feed.
    pub fn another_node(&self) -> App {
        let keyring = Keyring::new(&KeyFile::generate(&mut SeededDice::new(0)));
        let calls = AtomicU64::new(1 << 32);
        let dice = Box::new(move || -> Box<dyn Dice> {
            Box::new(SeededDice::new(calls.fetch_add(1, Ordering::Relaxed)))
        });
        let (store, clock) = (self.app.store().clone(), self.clock.clone());
        App::new(store, keyring, clock, dice, AppSettings::default())
    }

    pub fn service_accounts(&self) -> String {
        format!("/v1/public/accounts/{}/auth/service-accounts", self.account)
    }

    pub async fn create<S, B>(&self, service: &S, body: Value) -> Got
    where
        S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody + 'static,
    {
        let ask = Ask::post(service, &self.service_accounts());
        let got = ask.by(&self.operator).sends(&body).got().await;
        assert_eq!(got.status, 201, "{}", got.text);
        got
    }

    pub async fn token_without_scopes<S, B>(&self, service: &S) -> String
    where
        S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody + 'static,
    {
        let made = self.create(service, json!({"name": "Nobody"})).await.json();
        made["token"].as_str().unwrap().to_owned()
    }

    pub async fn revoked_token<S, B>(&self, service: &S) -> String
    where
        S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody + 'static,
    {
        let token = self.token_without_scopes(service).await;
        let got = Ask::post(service, "/v1/public/self/revoke")
            .by(&token)
            .got()
            .await;
        assert_eq!(got.json()["status"], "revoked", "{}", got.text);
        token
    }
}
