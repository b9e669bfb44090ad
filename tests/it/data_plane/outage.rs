//! The database gone: answers from memory as long as they may be given, then none; and back again.

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

#[test]
fn without_the_database_hits_are_answered_within_the_bound_and_then_nobody() {
    let settings = [("SYMBOLON__CACHE__MAX_AGE", "6s")];
    let Some(instance) = Instance::postgres(&settings) else {
        return;
    };
    let upstream = SocketAddr::from(([127, 0, 0, 1], instance.database.as_ref().unwrap().port()));
    let proxy = TcpProxy::postgres(upstream);
    let url = with_tls_off(
        &instance
            .database
            .as_ref()
            .unwrap()
            .url_through(proxy.port()),
    );
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
