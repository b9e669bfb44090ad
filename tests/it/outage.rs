//! What others' failures do to us: the database cut at every single statement, gone altogether, Redis
//! gone, and a mail server that refuses, stalls, hangs or is not there.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use symbolon_tests::eventually;
use symbolon_tests::http::Answer;
use symbolon_tests::proxy::{TcpProxy, When};
use symbolon_tests::smtp::SmtpSink;

use crate::instance::{Api, Instance, Node, SOON, link, token, with_tls_off};

/// PostgreSQL behind a proxy: the instance with its commands goes straight, the process through it.
fn behind_proxy(instance: &Instance) -> (TcpProxy, String) {
    let database = instance.database.as_ref().expect("it is PostgreSQL");
    let upstream = SocketAddr::from(([127, 0, 0, 1], database.port()));
    let proxy = TcpProxy::postgres(upstream);
    let url = with_tls_off(&database.url_through(proxy.port()));
    (proxy, url)
}

/// A refusal that tells the client to come again.
#[track_caller]
fn come_again(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(answer.json()["code"], "unavailable");
}

/// How many statements a request took, and how often it was cut at each.
#[derive(Debug, Default)]
struct Cuts {
    refused: u64,
    answered: u64,
}

/// Makes `request` again and again, each time with the connection broken at its next statement, and
/// looks at the database after each. Ends when a whole request passes uncut. `request` gets a number of
/// its own each time, twice: the second repeats the first. `look` gets the answer if it was a success.
fn at_every_statement(
    proxy: &TcpProxy,
    when: When,
    request: impl Fn(u64) -> Answer,
    look: impl Fn(u64, Option<&Answer>),
) -> Cuts {
    let mut cuts = Cuts::default();
    // The statement to cut at, the tries at it, and the number of the request.
    let (mut n, mut tries) = (1, 0);
    for number in 1.. {
        let fired = proxy.fired();
        proxy.cut_after_messages(n, when);
        let answer = request(number);
        let cut = proxy.fired() > fired;
        // What was not used up must not hit a later request.
        proxy.cut_after_messages(u64::MAX, when);
        let succeeded = matches!(answer.status, 200 | 201);
        if !succeeded {
            assert!(cut, "{}", answer.text());
            come_again(&answer);
            cuts.refused += 1;
        }
        look(number, succeeded.then_some(&answer));
        // The very next request works, and finds what the first may have done.
        let again = request(number);
        assert!(matches!(again.status, 200 | 201), "{}", again.text());
        look(number, Some(&again));
        if !cut {
            break;
        }
        tries += 1;
        // A success in spite of the cut: a statement of the background's was hit, so this one is still
        // to do; or each time, and then it is one after the commit.
        if !succeeded || tries == 3 {
            cuts.answered += u64::from(succeeded);
            (n, tries) = (n + 1, 0);
        }
    }
    println!("{when:?}: {cuts:?}");
    assert!(cuts.refused > 4, "{cuts:?}");
    cuts
}

/// The background's statements would be counted too: as few as the settings allow.
const QUIET: [(&str, &str); 3] = [
    ("SYMBOLON__CACHE__FEED_POLL", "1s"),
    ("SYMBOLON__CACHE__MAX_AGE", "1h"),
    ("SYMBOLON__USES__FLUSH_INTERVAL", "10m"),
];

#[test]
fn a_create_cut_at_any_statement_is_whole_or_nothing() {
    let Some(instance) = Instance::postgres(&QUIET) else {
        return;
    };
    let (proxy, url) = behind_proxy(&instance);
    let node = instance.start("api", &[("SYMBOLON__DATABASE__URL", &url)]);
    let api = instance.admin(&node);
    let database = instance.database.as_ref().unwrap();
    for when in [When::Before, When::After, When::AfterReply] {
        at_every_statement(
            &proxy,
            when,
            |n| {
                let name = format!("{when:?}-{n}");
                let email = format!("{name}@acme.test");
                let body = json!({"name": name, "contact_email": email});
                api.try_create(body, &[("Idempotency-Key", &name)])
            },
            |n, success| {
                // One statement, so one moment: a commit may still be under way on the server.
                let rows = database.psql(&format!(
                    "WITH it AS (SELECT id FROM service_accounts WHERE name = '{when:?}-{n}'), \
                     asked AS (SELECT id::text FROM confirmations \
                       WHERE service_account_id IN (SELECT id FROM it)) \
                     SELECT (SELECT count(*) FROM it), \
                       (SELECT count(*) FROM credentials WHERE service_account_id IN (SELECT id FROM it)), \
                       (SELECT count(*) FROM events WHERE service_account_id IN (SELECT id FROM it)), \
                       (SELECT count(*) FROM asked), \
                       (SELECT count(*) FROM jobs \
                         WHERE payload->>'confirmation_id' IN (SELECT id FROM asked)), \
                       (SELECT count(*) FROM idempotency WHERE key = '{when:?}-{n}')"
                ));
                let whole = rows == "1|1|1|1|2|1";
                let nothing = success.is_none() && rows == "0|0|0|0|0|0";
                assert!(whole || nothing, "{n}: {rows}");
            },
        );
    }
    no_transaction_is_left_open(&instance);
}

#[test]
fn a_rotate_cut_at_any_statement_is_whole_or_nothing() {
    let Some(instance) = Instance::postgres(&QUIET) else {
        return;
    };
    let (proxy, url) = behind_proxy(&instance);
    let node = instance.start("api", &[("SYMBOLON__DATABASE__URL", &url)]);
    let api = instance.admin(&node);
    let database = instance.database.as_ref().unwrap();
    for when in [When::Before, When::After, When::AfterReply] {
        let it = api.create(&format!("{when:?}"), "ops@acme.test");
        let (id, path) = (it["id"].as_str().unwrap(), api.of(&it, "/rotate"));
        at_every_statement(
            &proxy,
            when,
            |n| {
                let key = format!("{when:?}-{n}");
                api.client.post(&path, None, &[("Idempotency-Key", &key)])
            },
            |n, success| {
                if let Some(answer) = success {
                    assert_eq!(api.whoami(&token(&answer.json())), 200, "{n}");
                }
                let rows = database.psql(&format!(
                    "SELECT (SELECT count(*) FROM credentials WHERE service_account_id = '{id}'), \
                       (SELECT count(*) FROM credentials WHERE service_account_id = '{id}' \
                         AND is_primary AND status = 'active'), \
                       (SELECT count(*) FROM credentials WHERE service_account_id = '{id}' \
                         AND status = 'revoked'), \
                       (SELECT count(*) FROM events \
                         WHERE service_account_id = '{id}' AND kind = 'token.rotated')"
                ));
                // Each number's rotation, once however often it was asked for.
                let after = |rotations: u64| format!("{}|1|{rotations}|{rotations}", rotations + 1);
                let nothing = success.is_none() && rows == after(n - 1);
                assert!(rows == after(n) || nothing, "{n}: {rows}");
            },
        );
    }
    no_transaction_is_left_open(&instance);
}

fn no_transaction_is_left_open(instance: &Instance) {
    let database = instance.database.as_ref().unwrap();
    eventually("no transaction is open", SOON, || {
        let open = database.psql(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND state LIKE 'idle in transaction%'",
        );
        (open == "0").then_some(())
    });
}

#[test]
fn with_the_database_away_all_is_refused_and_nothing_has_to_be_restarted() {
    let sink = SmtpSink::start();
    let settings = [
        ("SYMBOLON__MAIL__URL", &*sink.url()),
        ("SYMBOLON__DATABASE__CONNECT_TIMEOUT", "500ms"),
    ];
    let Some(instance) = Instance::distributed(&settings) else {
        return;
    };
    let (proxy, url) = behind_proxy(&instance);
    let through = [("SYMBOLON__DATABASE__URL", &*url)];
    let nodes = [
        instance.start("api", &through),
        instance.start("worker", &through),
    ];
    let api = instance.admin(&nodes[0]);
    let ci = api.create("ci", "ci@acme.test");
    sink.wait_for(1, SOON);

    proxy.cut();
    for answer in [
        api.try_create(json!({"name": "lost"}), &[]),
        api.client.post(&api.of(&ci, "/rotate"), None, &[]),
    ] {
        come_again(&answer);
        assert!(!answer.text().contains("postgres"), "{}", answer.text());
    }
    for node in &nodes {
        eventually("it says that it is not ready", SOON, || {
            let answer = node.client().try_get("/readyz")?;
            (answer.status == 503).then_some(())
        });
        assert_eq!(node.client().get("/healthz", &[]).status, 200);
    }
    proxy.restore();
    for node in &nodes {
        eventually("it is ready again", SOON, || {
            let answer = node.client().try_get("/readyz")?;
            (answer.status == 200).then_some(())
        });
    }
    assert_eq!(api.whoami(&token(&ci)), 200);
    api.create("back", "back@acme.test");
    sink.wait_for(2, SOON);
    let list = api.client.get(&api.service_accounts(), &[]).expect(200);
    assert_eq!(list.json().as_array().unwrap().len(), 2);
}

#[test]
fn the_api_does_not_notice_that_redis_is_gone_and_mails_resume() {
    let sink = SmtpSink::start();
    let settings = [("SYMBOLON__MAIL__URL", &*sink.url())];
    let Some(mut instance) = Instance::distributed(&settings) else {
        return;
    };
    let nodes = [instance.start("api", &[]), instance.start("worker", &[])];
    let api = instance.admin(&nodes[0]);
    api.create("before", "before@acme.test");
    sink.wait_for(1, SOON);

    instance.redis.as_mut().unwrap().stop();
    let start = Instant::now();
    for number in 0..10 {
        let made = api.create(&format!("n{number}"), &format!("n{number}@acme.test"));
        assert_eq!(api.whoami(&token(&made)), 200);
        assert_eq!(api.whoami(&token(&api.rotate(&made))), 200);
    }
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(nodes[0].client().get("/readyz", &[]).status, 200);
    // A process of the API that starts now does not ask for it either.
    drop(instance.start("api", &[]));
    assert_eq!(sink.messages().len(), 1);

    instance.redis.as_mut().unwrap().start_again();
    let mails = sink.wait_for(11, Duration::from_secs(60));
    let mut to: Vec<_> = mails.iter().flat_map(|mail| mail.to.clone()).collect();
    to.sort();
    to.dedup();
    assert_eq!(to.len(), 11);
    // Flushed, too: what was handed over is handed over again.
    instance.redis.as_ref().unwrap().flush_all();
    api.create("after", "after@acme.test");
    sink.wait_for(12, Duration::from_secs(60));
}

#[test]
fn mail_troubles_on_sqlite() {
    let sink = SmtpSink::start();
    let instance = Instance::sqlite(&[("SYMBOLON__MAIL__TIMEOUT", "1s")]);
    MailTroubles::new(instance, sink).all();
}

#[test]
fn mail_troubles_on_postgres() {
    let sink = SmtpSink::start();
    if let Some(instance) = Instance::distributed(&[("SYMBOLON__MAIL__TIMEOUT", "1s")]) {
        MailTroubles::new(instance, sink).all();
    }
}

/// One instance, one mail server that fails in every way.
struct MailTroubles {
    instance: Instance,
    sink: SmtpSink,
    api: Api,
    /// The process that sends; the last one is the API's, which may be the same.
    nodes: Vec<Node>,
}

impl MailTroubles {
    fn new(mut instance: Instance, sink: SmtpSink) -> Self {
        let url = sink.url().replace("smtp://", "smtp://sender:mail-s3cret@");
        instance.set("SYMBOLON__MAIL__URL", &url);
        let nodes = Self::start(&instance);
        let api = instance.admin(nodes.last().unwrap());
        Self {
            instance,
            sink,
            api,
            nodes,
        }
    }

    fn start(instance: &Instance) -> Vec<Node> {
        match instance.is_sqlite() {
            true => vec![instance.serve()],
            false => vec![instance.start("worker", &[]), instance.start("api", &[])],
        }
    }

    /// The breaker forgets with its process, so that a test need not wait for it.
    fn restart(&mut self) {
        for mut node in self.nodes.drain(..) {
            node.process.terminate();
            assert!(node.process.wait_exit(SOON).success());
        }
        self.nodes = Self::start(&self.instance);
        self.api = self.instance.admin(self.nodes.last().unwrap());
    }

    fn all(mut self) {
        self.passing(
            "passing",
            "rcpt passing@acme.test 451 4.3.0 come back later",
            "RCPT: 451",
        );
        self.passing(
            "full",
            "rcpt full@acme.test 552 5.2.2 mailbox full",
            "RCPT: 552",
        );
        self.passing("drop", "drop rcpt", "RCPT");
        self.passing("stall", "stall rcpt 60000", "RCPT: timed out");
        self.passing("greeting", "greet-stall 60000", "timed out");
        self.not_there();
        self.hung();
        self.unknown_recipient();
        self.refused_recipient();
        self.our_fault("mail", "mail * 550 5.7.1 sender refused", "MAIL: 550");
        self.our_fault("data", "data * 554 5.6.0 looks like spam", "554");
        self.our_fault("auth", "auth 535 5.7.8 who are you", "AUTH: 535");
    }

    /// Creates a service account whose mail meets the trouble.
    fn create(&self, name: &str, control: &str) -> Value {
        self.sink.set(&format!("{control}\n"));
        self.api.create(name, &format!("{name}@acme.test"))
    }

    /// Waits until the newest mail job is in this state.
    fn job(&self, state: &str) -> Value {
        eventually(&format!("the job is {state}"), SOON, || {
            let jobs = self.instance.jobs("all");
            let job = jobs.into_iter().find(|it| it["name"] == "confirm_email")?;
            (job["state"] == state && job["attempt"] != 0).then_some(job)
        })
    }

    fn notice(&self, of: &Value) -> Value {
        let all = self.instance.notices();
        let found = all
            .into_iter()
            .find(|it| it["service_account_id"] == of["id"]);
        found.expect("the mail is in the ledger")
    }

    fn mails_to(&self, name: &str) -> Vec<symbolon_tests::mail::Mail> {
        let to = format!("{name}@acme.test");
        let mut mails = self.sink.messages();
        mails.retain(|mail| mail.to == [&*to]);
        mails
    }

    /// Repairs, asks for another try, and sees the mail arrive.
    fn retry(&self, name: &str, it: &Value, job: &Value) {
        self.sink.set("");
        self.instance
            .command(&["jobs", "retry", job["id"].as_str().unwrap()]);
        let before = self.notice(it)["message_id"].clone();
        let mail = eventually(&format!("the mail to {name}"), SOON, || {
            self.mails_to(name).pop()
        });
        assert_eq!(
            mail.header("Message-ID"),
            format!("<{}>", before.as_str().unwrap())
        );
        self.job("done");
        assert_eq!(self.notice(it)["state"], "accepted");
        assert_eq!(self.notice(it)["message_id"], before);
        self.api.open.get(&link(&mail), &[]).expect(200);
        assert_eq!(self.api.read(it)["contact_state"], "pending");
        // Done is done.
        let id = job["id"].as_str().unwrap();
        let again = self.instance.try_command(&["jobs", "retry", id], &[]);
        assert!(!again.status.success());
    }

    /// Something that passes: the mail waits for its next try.
    fn passing(&mut self, name: &str, control: &str, said: &str) {
        if control.starts_with("greet") {
            // Whoever has been greeted already does not wait for it again.
            self.sink.start_again();
        }
        let it = self.create(name, control);
        let job = self.job("waiting");
        self.said(&job["last_error"], said);
        assert_eq!(job["attempt"], 1);
        let notice = self.notice(&it);
        assert_eq!(notice["state"], "deferred");
        self.said(&notice["detail"], said);
        assert!(self.mails_to(name).is_empty());
        self.retry(name, &it, &job);
    }

    fn said(&self, text: &Value, part: &str) {
        let text = text.as_str().unwrap();
        assert!(text.contains(part), "{text}");
        // Nothing of whom and with what.
        assert!(
            !text.contains("@acme.test") && !text.contains("s3cret"),
            "{text}"
        );
    }

    fn not_there(&mut self) {
        self.sink.stop();
        let it = self.api.create("absent", "absent@acme.test");
        let job = self.job("waiting");
        self.said(&job["last_error"], "connecting");
        assert_eq!(self.notice(&it)["state"], "deferred");
        self.sink.start_again();
        self.retry("absent", &it, &job);
    }

    /// The server took it and never said so: the second mail is recognisably the same.
    fn hung(&self) {
        let it = self.create("hung", "after-data-hang");
        let job = self.job("waiting");
        self.said(&job["last_error"], "timed out");
        assert_eq!(self.notice(&it)["state"], "deferred");
        assert_eq!(self.mails_to("hung").len(), 1);
        self.retry("hung", &it, &job);
        let mails = eventually("the second one", SOON, || {
            let mails = self.mails_to("hung");
            (mails.len() == 2).then_some(mails)
        });
        assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
        assert_eq!(link(&mails[0]), link(&mails[1]));
    }

    /// The only reply that says something about the contact.
    fn unknown_recipient(&self) {
        let it = self.create("gone", "rcpt gone@acme.test 550 5.1.1 no such user");
        self.job("done");
        let notice = self.notice(&it);
        assert_eq!(notice["state"], "undeliverable");
        self.said(&notice["detail"], "RCPT: 550 5.1.1");
        assert_eq!(self.api.read(&it)["contact_state"], "undeliverable");
        let id = it["id"].as_str().unwrap();
        let query = format!("kind=contact.undeliverable&service_account_id={id}");
        assert_eq!(self.api.events(&query).len(), 1);
        assert_eq!(self.api.whoami(&token(&it)), 200);
        self.goes_through("beside-gone");
    }

    /// Not allowed to write to this one: says nothing about the contact, nor about other mails.
    fn refused_recipient(&self) {
        let it = self.create("walled", "rcpt walled@acme.test 550 5.7.1 not from you");
        let job = self.job("buried");
        self.said(&job["last_error"], "RCPT: 550 5.7.1");
        assert_eq!(self.notice(&it)["state"], "failed");
        assert_eq!(self.api.read(&it)["contact_state"], "pending");
        self.goes_through("beside-walled");
        self.sink.set("");
        let id = job["id"].as_str().unwrap();
        self.instance.command(&["jobs", "retry", id]);
        eventually("the mail to walled", SOON, || self.mails_to("walled").pop());
    }

    fn goes_through(&self, name: &str) {
        self.api.create(name, &format!("{name}@acme.test"));
        eventually(&format!("the mail to {name}"), SOON, || {
            self.mails_to(name).pop()
        });
    }

    /// Refused for good for what we are: buried with its reason, the others wait, the contacts are blameless.
    fn our_fault(&mut self, name: &str, control: &str, said: &str) {
        self.sink.set(&format!("{control}\n"));
        // New connections, which have to sign in.
        self.restart();
        let it = self.create(name, control);
        let job = self.job("buried");
        self.said(&job["last_error"], said);
        let notice = self.notice(&it);
        assert_eq!(notice["state"], "failed");
        self.said(&notice["detail"], said);
        assert_eq!(self.api.read(&it)["contact_state"], "pending");
        assert!(
            self.instance
                .jobs("buried")
                .iter()
                .any(|it| it["id"] == job["id"])
        );
        let log = self.instance.log_text();
        assert!(log.contains("the mail server refuses us"), "{log}");
        // The breaker is open: the next one is not even tried.
        let next = format!("after-{name}");
        self.api.create(&next, &format!("{next}@acme.test"));
        let waiting = eventually("the next mail waits", SOON, || {
            let jobs = self.instance.jobs("waiting");
            jobs.into_iter()
                .find(|it| it["name"] == "confirm_email" && it["last_error"].is_string())
        });
        self.said(&waiting["last_error"], "refuses us");
        assert_eq!(waiting["attempt"], 0);

        self.sink.set("");
        self.restart();
        for job in [&job, &waiting] {
            let id = job["id"].as_str().unwrap();
            self.instance.command(&["jobs", "retry", id]);
        }
        for name in [name, &next] {
            eventually(&format!("the mail to {name}"), SOON, || {
                self.mails_to(name).pop()
            });
        }
        assert_eq!(self.api.read(&it)["contact_state"], "pending");
        eventually("the ledger knows", SOON, || {
            (self.notice(&it)["state"] == "accepted").then_some(())
        });
        assert!(self.instance.jobs("buried").is_empty());
    }
}
