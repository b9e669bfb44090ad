//! Two processes of the API and two workers, while workers are killed and Redis is restarted and
//! flushed: nothing is lost, and what comes twice is explained by a kill.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use symbolon_tests::eventually;
use symbolon_tests::mail::Mail;
use symbolon_tests::smtp::SmtpSink;

use crate::instance::{Instance, Node, SOON, link};

const ACCOUNTS: usize = 500;
const KILLS: usize = 5;
/// Jobs that one worker runs at the same time.
const CONCURRENCY: usize = 8;
/// How long the mail server takes for a message: it has kept it, and has not said so yet.
const SLOW: Duration = Duration::from_millis(400);

/// A job at one of its starts.
type Started = (String, i64);

/// Mail jobs that were started and have no outcome. Read from the table: the command's state `running`
/// also holds what was handed over and waits in Redis.
fn running(instance: &Instance) -> BTreeSet<Started> {
    let database = instance.database.as_ref().unwrap();
    let rows = database.psql(
        "SELECT id, attempt FROM jobs WHERE name = 'confirm_email' \
         AND started_at IS NOT NULL AND leased_until IS NOT NULL AND done_at IS NULL",
    );
    let started = |line: &str| {
        let (id, attempt) = line.split_once('|').unwrap();
        (id.to_owned(), attempt.parse().unwrap())
    };
    rows.lines().map(started).collect()
}

/// Kills a worker that is amid jobs; says amid which. Frozen first: what is still running once the others
/// have long finished theirs is this one's.
fn kill_amid_jobs(
    instance: &Instance,
    victim: &mut Node,
    dead: &BTreeSet<Started>,
) -> BTreeSet<Started> {
    loop {
        eventually("a worker has started jobs", SOON, || {
            running(instance).difference(dead).next().map(drop)
        });
        victim.process.pause();
        let mut left: BTreeSet<_> = running(instance).difference(dead).cloned().collect();
        let mut since = Instant::now();
        while since.elapsed() < SLOW * 4 {
            let (still, before) = (running(instance), left.len());
            left.retain(|it| still.contains(it));
            if left.len() < before {
                since = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if left.is_empty() {
            // It was between two batches.
            victim.process.resume();
            continue;
        }
        victim.process.kill9();
        let (after, listed) = (running(instance), instance.jobs("running"));
        for it in &left {
            assert!(after.contains(it), "started and unfinished");
            assert!(listed.iter().any(|job| job["id"] == it.0.as_str()));
        }
        assert!(left.len() <= CONCURRENCY, "{} of one worker", left.len());
        return left;
    }
}

#[test]
fn every_address_gets_its_mail_whatever_dies() {
    let sink = SmtpSink::start();
    sink.set(&format!("stall kept {}\n", SLOW.as_millis()));
    let settings = [
        ("SYMBOLON__MAIL__URL", &*sink.url()),
        ("SYMBOLON__JOBS__TIMEOUT", "3s"),
        ("SYMBOLON__JOBS__LEASE", "3s"),
        ("SYMBOLON__JOBS__CONCURRENCY", &CONCURRENCY.to_string()),
        ("SYMBOLON__JOBS__OUTSTANDING", "100"),
    ];
    let Some(mut instance) = Instance::distributed(&settings) else {
        return;
    };
    let start = Instant::now();
    let doors = [instance.start("api", &[]), instance.start("api", &[])];
    let mut workers = [instance.start("worker", &[]), instance.start("worker", &[])];
    let apis = doors.each_ref().map(|node| instance.admin(node));
    let mut amid = Vec::new();
    std::thread::scope(|scope| {
        let doors = apis.len();
        for (door, api) in apis.iter().enumerate() {
            scope.spawn(move || {
                for number in (door..ACCOUNTS).step_by(doors) {
                    api.create(&format!("n{number}"), &format!("n{number}@acme.test"));
                }
            });
        }
        let mut dead = BTreeSet::new();
        for round in 0..KILLS {
            let victim = &mut workers[round % 2];
            let left = kill_amid_jobs(&instance, victim, &dead);
            println!("kill {}: amid {} jobs", round + 1, left.len());
            dead.extend(left.iter().cloned());
            amid.push(left);
            match round {
                1 => instance.redis.as_mut().unwrap().start_again(),
                3 => instance.redis.as_ref().unwrap().flush_all(),
                _ => {}
            }
            workers[round % 2] = instance.start("worker", &[]);
        }
    });
    println!("all created and killed after {:?}", start.elapsed());
    sink.set("");
    let database = instance.database.as_ref().unwrap();
    let accepted = "SELECT count(*) FROM notices WHERE state = 'accepted'";
    eventually("all mails are accepted", Duration::from_secs(90), || {
        (database.psql(accepted) == ACCOUNTS.to_string()).then_some(())
    });
    eventually("all jobs are done", SOON, || {
        let left = "SELECT count(*) FROM jobs WHERE name = 'confirm_email' AND outcome IS DISTINCT FROM 'done'";
        (database.psql(left) == "0").then_some(())
    });
    println!("all done after {:?}", start.elapsed());

    let mails = sink.messages();
    let mut by_id = BTreeMap::<&str, Vec<&Mail>>::new();
    for mail in &mails {
        by_id
            .entry(mail.header("Message-ID"))
            .or_default()
            .push(mail);
    }
    println!(
        "{} raw deliveries, {} distinct Message-IDs",
        mails.len(),
        by_id.len()
    );
    let reached: BTreeSet<_> = mails.iter().flat_map(|mail| &mail.to).collect();
    let wanted: BTreeSet<_> = (0..ACCOUNTS).map(|n| format!("n{n}@acme.test")).collect();
    assert!(
        reached.iter().copied().eq(&wanted),
        "{} reached",
        reached.len()
    );
    assert_eq!(by_id.len(), ACCOUNTS);

    // Which job wrote which mail, and whether a kill hit it.
    let jobs = database.psql(
        "SELECT n.message_id, j.id FROM notices n JOIN jobs j ON j.name = 'confirm_email' \
         AND j.payload->>'confirmation_id' = n.confirmation_id::text",
    );
    let job_of: BTreeMap<_, _> = jobs
        .lines()
        .filter_map(|line| line.split_once('|'))
        .collect();
    let killed = |id: &str| amid.iter().flatten().filter(|(job, _)| job == id).count();
    let all_killed: usize = amid.iter().map(BTreeSet::len).sum();
    let mut duplicates = 0;
    for (id, copies) in by_id.iter().filter(|(_, copies)| copies.len() > 1) {
        let job = job_of[id.trim_matches(['<', '>'])];
        assert!(
            copies.len() - 1 <= killed(job),
            "{id}: {} copies, no kill",
            copies.len()
        );
        duplicates += copies.len() - 1;
        let links: BTreeSet<_> = copies.iter().map(|mail| link(mail)).collect();
        assert_eq!(links.len(), 1, "{id}");
        let link = links.first().unwrap();
        apis[0].open.get(link, &[]).expect(200);
    }
    println!("{duplicates} came twice, {all_killed} jobs were running at kills");
    assert!(duplicates <= all_killed);
    assert_eq!(amid.len(), KILLS);
    assert!(instance.jobs("buried").is_empty());
}
