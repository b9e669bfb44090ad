//! A product to look at: the real use cases on a fresh SQLite database, with the links its mails carry.

use actix_web::web::Data;
use std::ops::Deref;
use std::sync::LazyLock;
use std::time::Duration;
use symbolon_app::testing::TestApp;
use symbolon_app::{Actor, App, Call, Origin, Prepared, Start};
use symbolon_domain::issue::NewServiceAccount;
use symbolon_domain::{EmailAddress, Job, Language, Name};
use tokio::runtime::Runtime;

/// As in the product: the database is opened on a multi-thread runtime, requests are served on others.
static MAIN: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));

pub struct Instance {
    pub app: Data<App>,
    test: TestApp,
}

impl Deref for Instance {
    type Target = TestApp;
    fn deref(&self) -> &TestApp {
        &self.test
    }
}

impl Instance {
    pub async fn new() -> Self {
        let test = MAIN
            .spawn(symbolon_app::testing::app())
            .await
            .expect("the product starts");
        Self {
            app: Data::new(test.app.clone()),
            test,
        }
    }

    /// Makes a service account whose contact is `ops@example.org`, and opens its mail.
    pub async fn confirmation_path(&self, name: &str, language: &str) -> String {
        let acme = Name::parse("Acme").expect("a name");
        let begun = self
            .app
            .bootstrap(acme, Start::Automatic)
            .await
            .expect("begun");
        let new = NewServiceAccount {
            contact_email: Some(EmailAddress::parse("ops@example.org").expect("an address")),
            contact_language: Language::parse(language).expect("a language"),
            ..NewServiceAccount::named(Name::parse(name).expect("a name"))
        };
        let actor = Actor::operator_cli();
        let call = Call::new(&actor, Origin::default());
        self.app
            .create_service_account(&call, begun.account_id, new)
            .await
            .expect("created");
        let minute = Duration::from_secs(60);
        for lease in self.app.lease_jobs(100, minute).await.expect("leased") {
            let started = self.app.start_job(lease, minute).await.expect("started");
            if let Some(Job::ConfirmEmail {
                confirmation_id,
                generation,
            }) = started.and_then(|it| it.job)
            {
                let prepared = self
                    .app
                    .prepare_confirmation(confirmation_id, generation, false)
                    .await;
                let Ok(Prepared::Send(mail)) = prepared else {
                    panic!("there is a mail to send");
                };
                return self.path(&mail.link);
            }
        }
        panic!("the service account asks for a confirmation");
    }

    pub async fn setup_path(&self) -> String {
        let acme = Name::parse("Acme").expect("a name");
        let owner = EmailAddress::parse("owner@example.org").expect("an address");
        let begun = self
            .app
            .bootstrap(acme, Start::Owned { owner })
            .await
            .expect("begun");
        self.path(&begun.setup_url.expect("an owner gets a link"))
    }

    fn path(&self, url: &str) -> String {
        let path = url.strip_prefix(self.app.public_url());
        path.expect("links begin with the public address")
            .to_owned()
    }
}
