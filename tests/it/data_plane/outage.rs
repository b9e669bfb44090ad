//! The database gone, or mute: answers from memory as long as they may be given, then none; and back again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use symbolon_tests::eventually;
use symbolon_tests::http::Answer;
use symbolon_tests::proxy::TcpProxy;

use super::{DOORS, said};
use crate::instance::{Instance, SOON, token, with_tls_off};

/// How old facts may be here.
const MAX_AGE: Duration = Duration::from_secs(6);
/// For how long after the cut answers are surely from facts that are young enough, on a slow machine too.
const SURELY: Duration = Duration::from_secs(3);

/// Not now, in the envelope of the door.
#[track_caller]
fn is_unavailable(door: &str, answer: &Answer) {
    assert_eq!(answer.status, 503, "{door}: {}", answer.text());
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{door}: {wait}");
    let (kind, body) = (answer.header("content-type").unwrap(), answer.json());
    match door {
        "introspect" => {
            assert_eq!(kind, "application/json");
            assert_eq!(body["error"], "temporarily_unavailable");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
        _ => {
            assert_eq!(kind, "application/problem+json");
            assert_eq!(body["code"], "unavailable");
            assert_eq!(body["status"], 503);
        }
    }
    assert!(!answer.text().contains("postgres"), "{}", answer.text());
}

/// A proxy in front of an instance's database, and the settings of a process that reaches it only so.
fn behind_a_proxy(instance: &Instance) -> (TcpProxy, String) {
    let database = instance.database.as_ref().unwrap();
    let proxy = TcpProxy::postgres(SocketAddr::from(([127, 0, 0, 1], database.port())));
    let url = with_tls_off(&database.url_through(proxy.port()));
    (proxy, url)
}

#[test]
fn without_the_database_hits_are_answered_within_the_bound_and_then_nobody() {
    let settings = [("SYMBOLON__CACHE__MAX_AGE", "6s")];
    let Some(instance) = Instance::postgres(&settings) else {
        return;
    };
    let (proxy, url) = behind_a_proxy(&instance);
    let through = [
        ("SYMBOLON__DATABASE__URL", &*url),
        ("SYMBOLON__DATABASE__CONNECT_TIMEOUT", "1s"),
    ];
    let mut cut_off = instance.start("api", &through);
    let direct = instance.start("api", &[]);
    let (far, near) = (instance.admin(&cut_off), instance.admin(&direct));
    let [kept, revoked, unseen] =
        ["kept", "revoked", "unseen"].map(|name| near.create(name, "a@acme.test"));
    let hits = [token(&kept), token(&revoked)];
    for hit in &hits {
        assert_eq!(far.said(hit), [true; 3]);
    }

    let start = Instant::now();
    proxy.cut();
    let mut rounds = 0;
    while start.elapsed() < SURELY {
        let answers = hits
            .each_ref()
            .map(|hit| DOORS.map(|door| far.ask(door, hit)));
        if start.elapsed() >= SURELY {
            break;
        }
        for answer in answers.as_flattened() {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        rounds += 1;
    }
    assert!(rounds > 0, "a round of hits takes longer than {SURELY:?}");
    // What is not in memory cannot be told, from the first moment on.
    is_unavailable("verify", &far.ask("verify", &token(&unseen)));

    // Counted, and not to be reached.
    let path = near.of(&revoked, "?wait=2000");
    let over = near.client.delete(&path, None, &[]).expect(200).json();
    assert_eq!(over["effective"]["nodes"], 2, "{over}");
    assert_eq!(over["effective"]["confirmed"], 1, "{over}");
    assert_eq!(near.said(&hits[1]), [false; 3]);

    eventually("facts are too old to be answered from", SOON, || {
        (far.ask("verify", &hits[0]).status == 503).then_some(())
    });
    let took = start.elapsed();
    assert!(took > SURELY, "refused after {took:?} already");
    // Up to when anything may have been read of the database that was cut.
    assert!(took < MAX_AGE + SURELY, "answered for {took:?}");
    for hit in &hits {
        for door in DOORS {
            is_unavailable(door, &far.ask(door, hit));
        }
    }

    proxy.restore();
    let back = Instant::now();
    eventually("it answers again", SOON, || {
        for door in DOORS {
            let answer = far.ask(door, &hits[1]);
            match answer.status {
                503 => is_unavailable(door, &answer),
                // Refused from the first answer on.
                _ => assert_eq!(said(door, &answer), Some(false), "{}", answer.text()),
            }
        }
        (far.ask("verify", &hits[0]).status == 200).then_some(())
    });
    println!(
        "{rounds} rounds of hits, none after {took:?}, back after {:?}",
        back.elapsed()
    );
    assert_eq!(far.said(&hits[0]), [true; 3]);
    assert_eq!(far.said(&hits[1]), [false; 3]);
    assert_eq!(far.said(&token(&unseen)), [true; 3]);
    assert!(
        cut_off.process.try_status().is_none(),
        "it was not restarted"
    );
}

/// Nothing is refused and nothing answered, and the connections that were open never speak again.
#[test]
fn a_database_that_hangs_is_reached_again_without_a_restart() {
    let Some(instance) = Instance::postgres(&[("SYMBOLON__CACHE__MAX_AGE", "3s")]) else {
        return;
    };
    let (proxy, url) = behind_a_proxy(&instance);
    let mut behind = instance.start("api", &[("SYMBOLON__DATABASE__URL", &url)]);
    let direct = instance.start("api", &[]);
    let (far, near) = (instance.admin(&behind), instance.admin(&direct));
    let [kept, revoked, later, unseen] =
        ["kept", "revoked", "later", "unseen"].map(|name| near.create(name, "a@acme.test"));
    for it in [&kept, &revoked, &later] {
        assert_eq!(far.said(&token(it)), [true; 3]);
    }

    proxy.stall();
    let path = near.of(&revoked, "");
    near.client.delete(&path, None, &[]).expect(204);
    eventually("facts are too old to be answered from", SOON, || {
        (far.ask("verify", &token(&kept)).status == 503).then_some(())
    });
    // Long enough that whoever connects meanwhile is stuck, too.
    std::thread::sleep(Duration::from_secs(4));
    proxy.forsake();
    let back = Instant::now();
    eventually("it answers again", SOON, || {
        let answer = far.ask("verify", &token(&kept));
        (answer.status == 200).then_some(())
    });
    let answers = back.elapsed();
    // What takes a connection of the pool, and changes something, too: at most what was under way then hangs.
    assert_eq!(far.said(&token(&revoked)), [false; 3]);
    assert_eq!(far.said(&token(&unseen)), [true; 3]);
    let over = far.client.delete(&far.of(&later, "?wait=5000"), None, &[]);
    let over = over.expect(200).json();
    assert_eq!(over["effective"]["nodes"], over["effective"]["confirmed"]);
    assert_eq!(far.said(&token(&later)), [false; 3]);
    println!(
        "answers after {answers:?}, all well after {:?}",
        back.elapsed()
    );
    assert!(answers < Duration::from_secs(8), "{answers:?}");
    assert!(
        behind.process.try_status().is_none(),
        "it was not restarted"
    );
}

/// Whatever waits for the database at that moment.
#[test]
fn a_stop_ends_in_time_though_the_database_hangs() {
    let Some(instance) = Instance::postgres(&[("SYMBOLON__USES__FLUSH_INTERVAL", "1s")]) else {
        return;
    };
    let (proxy, url) = behind_a_proxy(&instance);
    for role in ["api", "worker"] {
        let mut behind = instance.start(role, &[("SYMBOLON__DATABASE__URL", &url)]);
        if role == "api" {
            let far = instance.admin(&behind);
            let it = far.create("n", "a@acme.test");
            assert!(far.is_good(&token(&it)));
            proxy.stall();
            // From memory; this use is counted, and cannot be written.
            assert!(far.is_good(&token(&it)));
        }
        proxy.stall();
        // Until the feed, the beat and a flush are stuck.
        std::thread::sleep(Duration::from_millis(1500));
        let start = Instant::now();
        behind.process.terminate();
        behind.process.wait_exit(SOON);
        let took = start.elapsed();
        println!("{role} stopped after {took:?}");
        assert!(took < Duration::from_secs(12), "{role}: {took:?}");
        if role == "api" {
            behind
                .process
                .wait_log("the last uses were not recorded", SOON);
        }
        proxy.restore();
    }
}

/// Lists that hang take every connection but those that a process lives by.
#[test]
fn slow_lists_stop_nobody_from_answering() {
    let settings = [
        ("SYMBOLON__CACHE__MAX_AGE", "2s"),
        ("SYMBOLON__DATABASE__POOL_SIZE", "4"),
        ("SYMBOLON__DATABASE__LOCK_TIMEOUT", "30s"),
    ];
    let Some(instance) = Instance::postgres(&settings) else {
        return;
    };
    let (node, other) = (instance.start("api", &[]), instance.start("api", &[]));
    let (api, beside) = (instance.admin(&node), instance.admin(&other));
    let [kept, revoked] = ["kept", "revoked"].map(|name| api.create(name, "a@acme.test"));
    for it in [&kept, &revoked] {
        assert!(api.is_good(&token(it)));
    }
    let database = instance.database.as_ref().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            database.psql("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(8)");
        });
        std::thread::sleep(Duration::from_millis(500));
        let start = Instant::now();
        for _ in 0..8 {
            scope.spawn(|| api.client.get(&format!("{}/events", api.account), &[]));
        }
        // For longer than facts may be old.
        while start.elapsed() < Duration::from_secs(5) {
            assert!(api.is_good(&token(&kept)));
            api.open.get("/readyz", &[]).expect(200);
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(beside.is_good(&token(&kept)));
    });
    let path = beside.of(&revoked, "?wait=5000");
    beside.client.delete(&path, None, &[]).expect(200);
    assert!(!api.is_good(&token(&revoked)));
}
