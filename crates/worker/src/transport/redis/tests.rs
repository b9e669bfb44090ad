//! Against real Redis servers of their own, which are stopped, flushed and started again.

use super::super::testing::{RedisServer, Seen, lease, recorder};
use super::*;
use std::sync::atomic::Ordering;

fn transport(server: &RedisServer, process: &str) -> Arc<Redis> {
    let settings = server.settings();
    Arc::new(Redis::new(&settings, process.to_owned(), 8, Duration::from_secs(60)).unwrap())
}

struct Running {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

fn run(redis: &Arc<Redis>, deliver: Deliver) -> Running {
    let (stop, stopping) = watch::channel(false);
    let redis = redis.clone();
    let task = tokio::spawn(async move { redis.run(deliver, stopping).await });
    Running { stop, task }
}

impl Running {
    async fn stop(self) {
        self.stop.send(true).unwrap();
        tokio::time::timeout(Duration::from_secs(10), self.task)
            .await
            .unwrap()
            .unwrap();
    }
}

/// Hands over as the relay does: within the cap, and again what failed.
async fn hand_over(redis: &Redis, mut numbers: std::ops::Range<i64>) {
    while !numbers.is_empty() {
        match redis.waiting().await {
            Ok(waiting) if waiting < 500 => {}
            _ => {
                sleep(Duration::from_millis(20)).await;
                continue;
            }
        }
        let batch: Vec<_> = numbers.by_ref().take(100).map(lease).collect();
        redis.hand_over(&batch).await.unwrap();
    }
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if condition().await {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivers_each_once_and_leaves_nothing_behind() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let redis = transport(&server, "a");
    let (deliver, seen) = recorder(Duration::from_millis(1));
    let running = run(&redis, deliver);
    hand_over(&redis, 0..2000).await;
    seen.wait_for(2000).await;
    // The same lease again is the same task: refused, or delivered where nothing remembers it, which
    // the fence in the table drops.
    assert_eq!(seen.started.load(Ordering::SeqCst), 2000);
    assert!(seen.most_at_once.load(Ordering::SeqCst) <= 8);
    running.stop().await;
    assert_eq!(server.keys().await, ["core:apalis:queues:list"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_starts_soon_after_its_hand_over() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let redis = transport(&server, "a");
    let (deliver, seen) = recorder(Duration::ZERO);
    let running = run(&redis, deliver);
    hand_over(&redis, 0..1).await;
    seen.wait_for(1).await;
    let began = Instant::now();
    for number in 1..=20 {
        redis.hand_over(&[lease(number)]).await.unwrap();
        seen.wait_for(number as usize + 1).await;
    }
    let mean = began.elapsed() / 20;
    assert!(mean < Duration::from_millis(250), "{mean:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_lease_waits_once() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let redis = transport(&server, "a");
    for _ in 0..3 {
        redis.hand_over(&[lease(1)]).await.unwrap();
    }
    assert_eq!(redis.waiting().await.unwrap(), 1);
    let again = Lease {
        lease_no: 2,
        ..lease(1)
    };
    redis.hand_over(&[again]).await.unwrap();
    assert_eq!(redis.waiting().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn works_again_after_redis_was_restarted() {
    let Some(mut server) = RedisServer::start() else {
        return;
    };
    let redis = transport(&server, "a");
    let (deliver, seen) = recorder(Duration::from_millis(1));
    let running = run(&redis, deliver);
    hand_over(&redis, 0..50).await;
    seen.wait_for(50).await;
    server.stop();
    assert!(redis.waiting().await.is_err());
    assert!(redis.hand_over(&[lease(50)]).await.is_err());
    sleep(Duration::from_secs(1)).await;
    server.start_again();
    until("in reach again", async || redis.waiting().await.is_ok()).await;
    hand_over(&redis, 50..100).await;
    seen.wait_for(100).await;
    running.stop().await;
    assert_eq!(server.keys().await, ["core:apalis:queues:list"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn works_again_after_redis_was_flushed_and_running_jobs_finish() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let redis = transport(&server, "a");
    let (deliver, seen) = recorder(Duration::from_millis(1500));
    let running = run(&redis, deliver);
    hand_over(&redis, 0..4).await;
    until("four run", async || {
        seen.started.load(Ordering::SeqCst) == 4
    })
    .await;
    let _: () = server.query(&["FLUSHALL"]).await;
    // Their futures are dropped by apalis, they themselves are not.
    seen.wait_for(4).await;
    assert_eq!(seen.ended.load(Ordering::SeqCst), 4);
    hand_over(&redis, 4..8).await;
    seen.wait_for(8).await;
    running.stop().await;
    assert_eq!(server.keys().await, ["core:apalis:queues:list"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_redis_stops_in_time() {
    let Some(mut server) = RedisServer::start() else {
        return;
    };
    server.stop();
    let redis = transport(&server, "a");
    let (deliver, _) = recorder(Duration::ZERO);
    let running = run(&redis, deliver);
    sleep(Duration::from_millis(500)).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_lets_running_jobs_finish_and_leaves_the_rest_to_others() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let (one, other) = (transport(&server, "one"), transport(&server, "other"));
    let (slow, first) = recorder(Duration::from_millis(400));
    let running = run(&one, slow);
    hand_over(&one, 0..100).await;
    until("some run", async || {
        first.started.load(Ordering::SeqCst) >= 8
    })
    .await;
    running.stop().await;
    let done: &Seen = &first;
    assert_eq!(
        done.started.load(Ordering::SeqCst),
        done.ended.load(Ordering::SeqCst)
    );
    let (quick, second) = recorder(Duration::ZERO);
    let running = run(&other, quick);
    second.wait_for(100 - first.distinct()).await;
    running.stop().await;
    assert_eq!(
        first.started.load(Ordering::SeqCst) + second.started.load(Ordering::SeqCst),
        100
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_without_data_does_not_go_round_for_ever() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let redis = transport(&server, "a");
    redis.hand_over(&[lease(1)]).await.unwrap();
    let _: () = server.query(&["DEL", &redis.keys.data]).await;
    let (deliver, seen) = recorder(Duration::ZERO);
    let running = run(&redis, deliver);
    until("it is gone", async || redis.waiting().await.unwrap() == 0).await;
    hand_over(&redis, 2..20).await;
    seen.wait_for(18).await;
    running.stop().await;
    assert_eq!(server.keys().await, ["core:apalis:queues:list"]);
}

#[test]
fn settings_do_not_print_the_password() {
    let settings = RedisSettings {
        url: "redis://:s3cret@localhost".to_owned(),
        queue: "q".to_owned(),
    };
    assert!(!format!("{settings:?}").contains("s3cret"));
    let broken = RedisSettings {
        url: "redis://:s3cret@".to_owned(),
        ..settings
    };
    if let Err(error) = Redis::new(&broken, "p".to_owned(), 1, Duration::ZERO) {
        assert!(!error.contains("s3cret"), "{error}");
    }
}
