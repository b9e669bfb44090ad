//! Jobs from their row to their effect, on a real database with a clock that tests move.

mod processes;

use super::*;
use symbolon_app::testing::{TestApp, app as test_app};
use symbolon_app::{Actor, Call, MAX_ATTEMPTS, Origin, ServiceAccountRecord};
use symbolon_domain::account::{AccountPatch, ExpiryRequest};
use symbolon_domain::issue::NewServiceAccount;
use symbolon_domain::{AccountId, ContactState, EmailAddress, Event, Name, ServiceAccountId};
use symbolon_store::{JobFilter, JobRow, JobState};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn settings(mail: MailUrl) -> WorkerSettings {
    WorkerSettings {
        poll_interval: Duration::from_millis(50),
        concurrency: 4,
        timeout: Duration::from_secs(20),
        lease: Duration::from_secs(30),
        outstanding: 1000,
        redis: None,
        mail: MailSettings {
            url: mail,
            from: "Symbolon <symbolon@example.org>".to_owned(),
            timeout: Duration::from_secs(20),
            concurrency: 4,
        },
        schedules: ScheduleSettings {
            expire_tokens: MINUTE,
            purge: 60 * MINUTE,
            signing_keys: 60 * MINUTE,
        },
    }
}

/// A product with one account and a worker whose mail is kept in memory.
struct World {
    test: TestApp,
    worker: Worker,
    account: AccountId,
}

impl World {
    async fn new() -> Self {
        Self::with(&settings(MailUrl::Memory)).await
    }

    async fn with(settings: &WorkerSettings) -> Self {
        let test = test_app().await;
        let worker = Worker::new(test.app.clone(), settings).unwrap();
        let actor = Actor::operator_cli();
        let call = Call::new(&actor, Origin::default());
        let name = Name::parse("Acme").unwrap();
        let account = test
            .app
            .create_account(&call, name, AccountPatch::default())
            .await
            .unwrap();
        let account = account.record.id;
        // The schedules' first runs.
        worker.settle().await.unwrap();
        Self {
            test,
            worker,
            account,
        }
    }

    async fn create(&self, name: &str, expiry: ExpiryRequest) -> ServiceAccountId {
        let actor = Actor::operator_cli();
        let new = NewServiceAccount {
            description: Some("never mailed".to_owned()),
            contact_email: Some(EmailAddress::parse(&format!("{name}@example.com")).unwrap()),
            expiry,
            ..NewServiceAccount::named(Name::parse(name).unwrap())
        };
        let call = Call::new(&actor, Origin::default());
        let made = self
            .test
            .app
            .create_service_account(&call, self.account, new)
            .await
            .unwrap();
        made.record.it.id
    }

    async fn look(&self, id: ServiceAccountId) -> ServiceAccountRecord {
        let actor = Actor::operator_cli();
        let found = self.test.app.find_service_account(&actor, self.account, id);
        found.await.unwrap()
    }

    async fn events(&self) -> Vec<Event> {
        let (actor, page) = (
            Actor::operator_cli(),
            symbolon_app::PageRequest {
                after: None,
                limit: 100,
            },
        );
        let events = self
            .test
            .app
            .list_events(&actor, self.account, Default::default(), page);
        events.await.unwrap().items
    }

    async fn jobs(&self, name: &str) -> Vec<JobRow> {
        let filter = JobFilter {
            name: Some(name.to_owned()),
            limit: 100,
            ..JobFilter::default()
        };
        let (store, now) = (self.test.app.store(), self.test.app.now());
        store.list_jobs(&filter, now).await.unwrap()
    }

    /// States of the ledger's entries, newest first.
    async fn notices(&self) -> Vec<&'static str> {
        let store = self.test.app.store();
        let rows = store.list_notices(None, 100).await.unwrap();
        rows.iter().map(|row| row.state.as_str()).collect()
    }

    fn sent(&self) -> Vec<SentMail> {
        self.worker.memory_mail().unwrap().sent()
    }

    fn answer(&self, delivery: Delivery) {
        self.worker.memory_mail().unwrap().answer_next(delivery);
    }

    async fn settle_after(&self, span: Duration) {
        self.test.clock.advance(span);
        self.worker.settle().await.unwrap();
    }
}

/// The last path segment of the link in a mail.
fn link(mail: &SentMail) -> String {
    let text = mail.raw.replace("=\r\n", "").replace("=3D", "=");
    let rest = text.split_once("/confirm/").unwrap().1;
    rest.split(|c: char| c.is_whitespace() || c == '"')
        .next()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_gets_one_mail_whose_link_confirms() {
    let world = World::new().await;
    let id = world.create("deployer", ExpiryRequest::Default).await;
    assert_eq!(world.worker.settle().await.unwrap(), 1);
    assert_eq!(world.worker.settle().await.unwrap(), 0);
    let [mail] = &world.sent()[..] else {
        panic!("{} mails", world.sent().len())
    };
    assert_eq!(mail.to, "deployer@example.com");
    assert!(!mail.raw.contains("never mailed"));
    world
        .test
        .app
        .confirm_contact(&link(mail), Origin::default())
        .await
        .unwrap();
    assert_eq!(
        world.look(id).await.it.contact_state,
        ContactState::Confirmed
    );
    assert_eq!(world.jobs("confirm_email").await[0].state, JobState::Done);
    world.settle_after(4 * DAY).await;
    assert_eq!(world.sent().len(), 1, "no reminder of what is confirmed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_reminder_after_three_days() {
    let world = World::new().await;
    world.create("deployer", ExpiryRequest::Default).await;
    world.worker.settle().await.unwrap();
    world.settle_after(3 * DAY - MINUTE).await;
    assert_eq!(world.sent().len(), 1);
    world.settle_after(2 * MINUTE).await;
    let sent = world.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent[1].raw.contains("Subject: Reminder"), "{}", sent[1].raw);
    assert_ne!(sent[0].message_id, sent[1].message_id);
    for _ in 0..5 {
        world.settle_after(DAY).await;
    }
    assert_eq!(world.sent().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deferred_mail_is_tried_again_with_the_same_identity() {
    let world = World::new().await;
    world.create("deployer", ExpiryRequest::Default).await;
    for reply in ["RCPT: 451 greylisted", "connecting: timed out"] {
        world.answer(Delivery::Deferred(reply.to_owned()));
        world.settle_after(MINUTE).await;
        let job = &world.jobs("confirm_email").await[0];
        assert_eq!(job.state, JobState::Waiting);
        assert_eq!(job.last_error.as_deref(), Some(reply));
        assert_eq!(world.notices().await, ["deferred"]);
    }
    assert_eq!(world.sent().len(), 0);
    world.settle_after(MINUTE).await;
    assert_eq!(world.sent().len(), 1);
    let job = &world.jobs("confirm_email").await[0];
    assert_eq!((job.state, job.attempt), (JobState::Done, 3));
    assert_eq!(world.notices().await, ["accepted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_twelve_times_is_buried_with_its_reason() {
    let world = World::new().await;
    world.create("deployer", ExpiryRequest::Default).await;
    for _ in 0..MAX_ATTEMPTS {
        world.answer(Delivery::Deferred("RCPT: 451 no".to_owned()));
    }
    // Two and a half days: the waits add up to less.
    for _ in 0..60 {
        world.settle_after(60 * MINUTE).await;
    }
    assert_eq!(world.sent().len(), 0);
    let job = &world.jobs("confirm_email").await[0];
    assert_eq!((job.state, job.attempt), (JobState::Buried, MAX_ATTEMPTS));
    let error = job.last_error.clone().unwrap();
    assert!(
        error.contains("12 attempts") && error.contains("451"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_does_not_exist_is_marked() {
    let world = World::new().await;
    let id = world.create("deployer", ExpiryRequest::Default).await;
    world.answer(Delivery::Undeliverable("RCPT: 550 5.1.1 no".to_owned()));
    world.worker.settle().await.unwrap();
    assert_eq!(
        world.look(id).await.it.contact_state,
        ContactState::Undeliverable
    );
    assert_eq!(world.notices().await, ["undeliverable"]);
    assert_eq!(world.jobs("confirm_email").await[0].state, JobState::Done);
    world.settle_after(4 * DAY).await;
    assert_eq!(world.sent().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_fault_is_buried_and_the_others_wait() {
    let world = World::new().await;
    let first = world.create("first", ExpiryRequest::Default).await;
    world.answer(Delivery::Refused {
        reply: "AUTH: 535 no".to_owned(),
        general: true,
    });
    world.worker.settle().await.unwrap();
    let job = &world.jobs("confirm_email").await[0];
    assert_eq!(job.state, JobState::Buried);
    assert_eq!(job.last_error.as_deref(), Some("AUTH: 535 no"));
    assert_eq!(world.notices().await, ["failed"]);
    assert_eq!(
        world.look(first).await.it.contact_state,
        ContactState::Pending
    );

    // Jobs made in one instant are in no order.
    world.test.clock.advance(Duration::from_secs(1));
    world.create("second", ExpiryRequest::Default).await;
    world.worker.settle().await.unwrap();
    assert_eq!(world.sent().len(), 0, "the breaker is open");
    let waiting = &world.jobs("confirm_email").await[0];
    assert_eq!((waiting.state, waiting.attempt), (JobState::Waiting, 0));
    world.settle_after(MINUTE).await;
    assert_eq!(world.sent().len(), 1);

    world.create("third", ExpiryRequest::Default).await;
    world.answer(Delivery::Refused {
        reply: "RCPT: 550 5.7.1 denied".to_owned(),
        general: false,
    });
    world.create("fourth", ExpiryRequest::Default).await;
    world.worker.settle().await.unwrap();
    assert_eq!(
        world.sent().len(),
        2,
        "a refusal of one recipient stops nobody else"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sweep_records_ends_on_schedule() {
    let world = World::new().await;
    let end = world.test.app.now().plus(2 * MINUTE);
    world.create("deployer", ExpiryRequest::At(end)).await;
    world.worker.settle().await.unwrap();
    let expired = async || {
        let events = world.events().await;
        events
            .iter()
            .filter(|event| event.kind.as_str() == "token.expired")
            .count()
    };
    world.settle_after(MINUTE).await;
    assert_eq!(expired().await, 0);
    world.settle_after(MINUTE).await;
    world.settle_after(MINUTE).await;
    assert_eq!(expired().await, 1);
    for _ in 0..3 {
        world.settle_after(MINUTE).await;
    }
    assert_eq!(expired().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_asleep_is_one_run() {
    let world = World::new().await;
    let before = world.jobs("expire_tokens").await.len();
    world.test.clock.advance(7 * DAY);
    let ran = world.worker.settle().await.unwrap();
    assert_eq!(ran, 3, "each schedule once");
    assert_eq!(world.jobs("expire_tokens").await.len(), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_keys_are_made_and_take_turns_on_schedule() {
    let world = World::new().await;
    let statuses = async || -> Vec<&'static str> {
        let keys = world.test.app.store().signing_keys().await.unwrap();
        let mut all: Vec<_> = keys.iter().map(|it| it.status.as_str()).collect();
        all.sort_unstable();
        all
    };
    world.worker.settle().await.unwrap();
    assert_eq!(statuses().await, ["active", "next"]);
    world.settle_after(89 * DAY).await;
    assert_eq!(statuses().await, ["active", "next"]);
    world.settle_after(DAY).await;
    assert_eq!(statuses().await, ["active", "next", "retired"]);
}
