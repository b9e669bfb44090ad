//! When and how often credentials were used, written down by several processes in their own time.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use symbolon_tests::eventually;

use crate::instance::{Api, Instance, SOON, token};

const QUICK: (&str, &str) = ("SYMBOLON__USES__FLUSH_INTERVAL", "200ms");
/// Longer than the test.
const NEVER: (&str, &str) = ("SYMBOLON__USES__FLUSH_INTERVAL", "10m");

fn count(uses: &Value) -> u64 {
    uses["uses"].as_u64().unwrap()
}

/// Over all days.
fn by_day(uses: &Value) -> u64 {
    uses["days"].as_array().unwrap().iter().map(count).sum()
}

/// What holds at all times, a flush in the middle of the look included: no day has a use that the whole lacks.
#[track_caller]
fn is_consistent(uses: &Value) {
    let days = uses["days"].as_array().unwrap();
    assert!(by_day(uses) <= count(uses), "{uses}");
    assert!(
        days.iter()
            .all(|day| day["day"].as_str().unwrap().len() == 10)
    );
    let (first, last) = (
        uses["first_used_at"].as_str(),
        uses["last_used_at"].as_str(),
    );
    match uses["state"].as_str().unwrap() {
        "used" => assert!(first.unwrap() <= last.unwrap() && count(uses) > 0, "{uses}"),
        _ => assert!(
            first.is_none() && last.is_none() && count(uses) == 0,
            "{uses}"
        ),
    }
}

/// The uses, once there are so many.
#[track_caller]
fn wait_for(api: &Api, path: &str, wanted: u64) -> Value {
    eventually(&format!("{wanted} uses are written"), SOON, || {
        let uses = api.uses(path);
        is_consistent(&uses);
        assert!(count(&uses) <= wanted, "more than there were: {uses}");
        (count(&uses) == wanted && by_day(&uses) == wanted).then_some(uses)
    })
}

#[test]
fn the_uses_of_several_processes_add_up() {
    let Some(instance) = Instance::postgres(&[QUICK]) else {
        return;
    };
    let nodes = [instance.start("api", &[]), instance.start("api", &[])];
    let apis = nodes.each_ref().map(|node| instance.admin(node));
    let made = ["busy", "unused"].map(|name| apis[0].create(name, "a@acme.test"));
    let [busy, unused] = made.each_ref().map(|it| apis[0].token_path(it));
    // Both at once, over many flushes.
    const EACH: [u64; 2] = [57, 38];
    let text = token(&made[0]);
    std::thread::scope(|scope| {
        for (api, uses) in apis.iter().zip(EACH) {
            let text = &text;
            scope.spawn(move || (0..uses).for_each(|_| assert!(api.is_good(text))));
        }
    });
    let sum = EACH.iter().sum();
    let uses = wait_for(&apis[1], &busy, sum);
    assert_eq!(uses["state"], "used");

    // At the other doors it is a use, too.
    assert_eq!(apis[0].ask("introspect", &text).status, 200);
    assert_eq!(apis[1].ask("authorize", &text).status, 200);
    let since = uses["last_used_at"].clone();
    let later = wait_for(&apis[0], &busy, sum + 2);
    assert!(later["last_used_at"].as_str() > since.as_str());
    assert_eq!(later["first_used_at"], uses["first_used_at"]);

    // Both have flushed since it was made.
    let never = eventually("it is known to be unused", SOON, || {
        let uses = apis[0].uses(&unused);
        is_consistent(&uses);
        (uses["state"] == "never").then_some(uses)
    });
    assert!(
        never["tracked_until"].as_str() > never["tracked_since"].as_str(),
        "{never}"
    );
    assert_eq!(
        count(&apis[0].uses(&busy)),
        sum + 2,
        "nothing is counted twice"
    );
}

#[test]
fn what_is_not_written_yet_is_not_said_to_be_unused() {
    let Some(instance) = Instance::postgres(&[]) else {
        return;
    };
    let quick = instance.start("api", &[QUICK]);
    let mut slow = instance.start("api", &[NEVER]);
    let (near, far) = (instance.admin(&quick), instance.admin(&slow));
    let made = ["used", "unused"].map(|name| near.create(name, "a@acme.test"));
    let [used, unused] = made.each_ref().map(|it| near.token_path(it));
    (0..7).for_each(|_| assert!(far.is_good(&token(&made[0]))));
    // As soon as the other one has certainly flushed: this one's uses are nobody's knowledge.
    let marker = near.create("marker", "a@acme.test");
    assert!(near.is_good(&token(&marker)));
    wait_for(&near, &near.token_path(&marker), 1);
    for path in [&used, &unused] {
        let uses = near.uses(path);
        is_consistent(&uses);
        assert_eq!(uses["state"], "not_tracked_yet", "{uses}");
        assert_eq!(uses["tracked_until"], Value::Null);
    }
    slow.process.terminate();
    assert!(slow.process.wait_exit(SOON).success());
    let uses = near.uses(&used);
    is_consistent(&uses);
    assert_eq!((&uses["state"], count(&uses)), (&"used".into(), 7));
    eventually("it is known to be unused", SOON, || {
        (near.uses(&unused)["state"] == "never").then_some(())
    });
}

/// A late flush adds what it has, and turns no time back.
#[test]
fn uses_that_are_written_late_keep_their_times() {
    let Some(instance) = Instance::postgres(&[]) else {
        return;
    };
    let quick = instance.start("api", &[QUICK]);
    let mut slow = instance.start("api", &[NEVER]);
    let (near, far) = (instance.admin(&quick), instance.admin(&slow));
    let it = near.create("n", "a@acme.test");
    let path = near.token_path(&it);
    (0..3).for_each(|_| assert!(far.is_good(&token(&it))));
    (0..4).for_each(|_| assert!(near.is_good(&token(&it))));
    let before = wait_for(&near, &path, 4);
    slow.process.terminate();
    assert!(slow.process.wait_exit(SOON).success());
    let after = near.uses(&path);
    is_consistent(&after);
    assert_eq!(count(&after), 7);
    assert_eq!(after["last_used_at"], before["last_used_at"]);
    assert!(after["first_used_at"].as_str() < before["first_used_at"].as_str());
}

/// On both databases: a process that dies takes the uses with it that it had not written.
#[test]
fn a_killed_process_loses_its_last_interval_and_nothing_else() {
    let with_postgres = Instance::postgres(&[QUICK]).map(|it| (it, "api"));
    for (instance, role) in [Some((Instance::sqlite(&[QUICK]), "serve")), with_postgres]
        .into_iter()
        .flatten()
    {
        killed(&instance, role);
    }
}

fn killed(instance: &Instance, role: &str) {
    let mut node = instance.start(role, &[]);
    let api = instance.admin(&node);
    let it = api.create("n", "a@acme.test");
    let (path, text) = (api.token_path(&it), token(&it));
    // These are written, and stay so.
    (0..5).for_each(|_| assert!(api.is_good(&text)));
    let before = wait_for(&api, &path, 5);

    // Of these some are written, and it says up to when. The others die with it.
    let start = now();
    let mut answered = Vec::new();
    eventually("a second's uses are written", SOON, || {
        for _ in 0..25 {
            assert!(api.is_good(&text));
            answered.push(now());
        }
        let until = tracked_until(&api.uses(&path))?;
        (until > start + 1_000_000).then_some(())
    });
    node.process.kill9();
    let end = now();

    let node = instance.start(role, &[]);
    let api = instance.admin(&node);
    let after = api.uses(&path);
    is_consistent(&after);
    // The new one has something to say, too; of both, the earlier counts.
    let until = eventually("it flushes", SOON, || tracked_until(&api.uses(&path)));
    let written = answered.iter().filter(|at| **at < until).count() as u64;
    let (least, most) = (5 + written, 5 + answered.len() as u64);
    println!(
        "{role}: {least} <= {} <= {most}, written up to {} ms before its death",
        count(&after),
        (end - until) / 1000
    );
    assert!(written > 0 && until < end);
    assert!(
        (least..=most).contains(&count(&after)),
        "{after}, of {least} to {most}"
    );
    assert!(after["last_used_at"].as_str() > before["last_used_at"].as_str());
    assert_eq!(after["first_used_at"], before["first_used_at"]);
    // And on it goes from there.
    (0..3).for_each(|_| assert!(api.is_good(&text)));
    let later = wait_for(&api, &path, count(&after) + 3);
    assert!(later["last_used_at"].as_str() > after["last_used_at"].as_str());
}

/// Microseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a client has a clock of its own")]
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_micros()).unwrap()
}

/// Up to when each process has written its uses, in microseconds since 1970.
fn tracked_until(uses: &Value) -> Option<i64> {
    let text = uses["tracked_until"].as_str()?;
    let numbers: Vec<i64> = text
        .split(|it: char| !it.is_ascii_digit())
        .filter_map(|it| it.parse().ok())
        .collect();
    let [year, month, day, hour, minute, second, micros] = numbers[..] else {
        panic!("no instant to the microsecond: {text}");
    };
    // Years that begin in March have their odd day at their end.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let seconds = ((days - 719_468) * 24 + hour) * 3600 + minute * 60 + second;
    Some(seconds * 1_000_000 + micros)
}
