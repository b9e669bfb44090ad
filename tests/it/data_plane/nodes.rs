//! Processes as the others see them: on the admin address, in the metrics, and in what `?wait=` waits for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use symbolon_tests::eventually;
use symbolon_tests::http::Client;
use symbolon_tests::process::free_port;
use symbolon_tests::proxy::TcpProxy;

use crate::instance::{Instance, SOON, list, token, with_tls_off};

/// Here, how old facts may be; and how long a silent process is waited for: the product's lease, and then
/// the age of its facts.
const MAX_AGE: &str = "3s";
const COUNTED_MS: u64 = 13_000;

/// The processes, as the admin address lists them.
#[track_caller]
fn nodes(admin: &Client) -> Vec<Value> {
    list(admin.get("/nodes", &[]).expect(200).json())
}

/// The node of a process, which is named after the machine and the process.
#[track_caller]
fn node_of(admin: &Client, pid: u32) -> Option<Value> {
    let mut all = nodes(admin);
    let end = format!(":{pid}");
    all.retain(|it| it["name"].as_str().unwrap().ends_with(&end));
    assert!(all.len() < 2, "{all:?}");
    all.pop()
}

/// A gauge of one node.
#[track_caller]
fn gauge(admin: &Client, metric: &str, name: &str) -> Option<f64> {
    let text = admin.get("/metrics", &[]).expect(200).text();
    assert!(text.contains(&format!("# TYPE {metric} gauge")), "{text}");
    let start = format!("{metric}{{node=\"{name}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start))?;
    Some(line.parse().unwrap())
}

#[test]
fn a_process_that_hangs_counts_until_it_surely_answers_nobody() {
    let Some(instance) = Instance::postgres(&[("SYMBOLON__CACHE__MAX_AGE", MAX_AGE)]) else {
        return;
    };
    let address = format!("127.0.0.1:{}", free_port());
    let here = instance.start("api", &[("SYMBOLON__HTTP__ADMIN_BIND", &address)]);
    let mut there = instance.start("api", &[]);
    let admin = Client::new(&format!("http://{address}"));
    let (near, far) = (instance.admin(&here), instance.admin(&there));
    let pids = [here.process.pid(), there.process.pid()];
    let list = nodes(&admin);
    assert_eq!(list.len(), 2, "{list:?}");
    for (pid, started) in pids.iter().zip(&list) {
        let it = node_of(&admin, *pid).unwrap();
        assert_eq!(it["id"], started["id"], "the oldest first");
        assert_eq!((&it["role"], &it["counted"]), (&"api".into(), &true.into()));
        assert!(
            it["seen_at"].is_string() && it["silent_ms"].is_u64(),
            "{it}"
        );
    }
    // They are for whoever runs it, not for everybody.
    assert_eq!(here.client().get("/nodes", &[]).status, 404);
    assert_eq!(here.client().get("/metrics", &[]).status, 404);

    let [kept, revoked] = ["kept", "revoked"].map(|name| near.create(name, "a@acme.test"));
    for it in [&kept, &revoked] {
        assert_eq!(far.said(&token(it)), [true; 3]);
    }
    for pid in pids {
        eventually("nobody is behind", SOON, || {
            (node_of(&admin, pid)?["behind"] == 0).then_some(())
        });
    }

    there.process.pause();
    // The first time it is revoked; each time how far that has come is told.
    let revoke = |ms: u64| {
        let path = near.of(&revoked, &format!("?wait={ms}"));
        near.client.delete(&path, None, &[]).expect(200).json()["effective"].clone()
    };
    let over = revoke(2000);
    assert_eq!(
        (&over["nodes"], &over["confirmed"]),
        (&2.into(), &1.into()),
        "{over}"
    );
    assert!(over["elapsed_ms"].as_u64().unwrap() >= 2000, "{over}");

    // As it grows old: while it counts, it is waited for and shown; and it counts for as long as it may
    // answer from facts it has.
    let mut seen = Vec::new();
    let name = eventually("it no longer counts", Duration::from_secs(60), || {
        let over = revoke(0);
        let metric = |metric: &str, of: &Value| gauge(&admin, metric, of["name"].as_str().unwrap());
        let before = node_of(&admin, pids[1]).unwrap();
        let (behind, silent) = (
            metric("symbolon_node_feed_behind", &before),
            metric("symbolon_node_silent_seconds", &before),
        );
        let after = node_of(&admin, pids[1]).unwrap();
        let silent_ms = |it: &Value| it["silent_ms"].as_u64().unwrap();
        for it in [&before, &after] {
            assert_eq!(it["counted"], silent_ms(it) < COUNTED_MS, "{it}");
            assert!(it["behind"].as_u64().unwrap() > 0, "{it}");
        }
        if after["counted"] == true {
            assert_eq!(
                (&over["nodes"], &over["confirmed"]),
                (&2.into(), &1.into()),
                "{over}"
            );
            assert!(behind.unwrap() >= 1.0);
            let silent = Duration::from_secs_f64(silent.unwrap()).as_millis();
            assert!(
                (silent_ms(&before).into()..=silent_ms(&after).into()).contains(&silent),
                "{silent}"
            );
        }
        seen.push(silent_ms(&after));
        (before["counted"] == false).then(|| after["name"].as_str().unwrap().to_owned())
    });
    println!(
        "looked {} times; counted until {:?} ms",
        seen.len(),
        seen.last()
    );
    assert!(seen.len() > 5 && seen[0] < COUNTED_MS, "{seen:?}");
    let over = revoke(0);
    assert_eq!(
        (&over["nodes"], &over["confirmed"]),
        (&1.into(), &1.into()),
        "{over}"
    );
    assert_eq!(gauge(&admin, "symbolon_node_silent_seconds", &name), None);
    // The one that listens is up to date all the while.
    let it = node_of(&admin, pids[0]).unwrap();
    assert_eq!(
        (&it["behind"], &it["counted"]),
        (&0.into(), &true.into()),
        "{it}"
    );

    // Awake again, it has facts, and knows that they are too old.
    there.process.resume();
    eventually("it answers again", SOON, || {
        let answer = far.ask("verify", &token(&revoked));
        match answer.status {
            503 => None,
            _ => {
                assert_eq!(answer.expect(200).json()["code"], "revoked");
                Some(())
            }
        }
    });
    assert_eq!(far.said(&token(&kept)), [true; 3]);
    eventually("it counts again", SOON, || {
        let over = revoke(0);
        (over["nodes"] == 2 && over["confirmed"] == 2).then_some(())
    });
    there.process.terminate();
    assert!(there.process.wait_exit(SOON).success());
    assert!(node_of(&admin, pids[1]).is_none(), "it has left");
}

/// However many wait for a process that hangs, the database is asked a hundred times a second at most.
#[test]
fn those_who_wait_ask_together() {
    const WAITING: usize = 12;
    let Some(instance) = Instance::postgres(&[]) else {
        return;
    };
    let database = instance.database.as_ref().unwrap();
    let proxy = TcpProxy::postgres(SocketAddr::from(([127, 0, 0, 1], database.port())));
    let url = with_tls_off(&database.url_through(proxy.port()));
    let more = [
        ("SYMBOLON__DATABASE__URL", &*url),
        // What asks by itself, as seldom as it may.
        ("SYMBOLON__CACHE__FEED_POLL", "1s"),
        ("SYMBOLON__USES__FLUSH_INTERVAL", "1m"),
    ];
    let here = instance.start("api", &more);
    let mut there = instance.start("api", &[]);
    let near = instance.admin(&here);
    let it = near.create("n", "a@acme.test");
    let revoke = |ms: u64| {
        let path = near.of(&it, &format!("?wait={ms}"));
        near.client.delete(&path, None, &[]).expect(200).json()["effective"].clone()
    };
    there.process.pause();
    assert_eq!(revoke(0)["confirmed"], 1);
    let before = proxy.statements();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..WAITING {
            scope.spawn(|| {
                let over = revoke(2000);
                assert_eq!((&over["nodes"], &over["confirmed"]), (&2.into(), &1.into()));
            });
        }
    });
    let (asked, took) = (proxy.statements() - before, start.elapsed());
    println!("{asked} statements in {took:?}");
    // Each request makes a few of its own; alone, each would look some 180 times.
    let looks = took.as_millis() as u64 / 10;
    assert!(asked < looks + 15 * WAITING as u64 + 50, "{asked}");
    assert!(asked > 50, "{asked}: do they wait?");
    there.process.resume();
}
