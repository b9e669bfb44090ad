//! Workers as they run: relay, carrier and runner together, and how they stop.

use super::*;
use std::time::Instant;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Process {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Worker>,
}

fn start(worker: Worker) -> Process {
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        worker.run(async { _ = stopped.await }).await;
        worker
    });
    Process { stop, task }
}

impl Process {
    /// Ends within ten seconds.
    async fn stop(self) -> Worker {
        self.stop.send(()).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.task);
        ended.await.expect("stops in time").unwrap()
    }
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_worker_mails_soon_and_everybody_once() {
    let world = World::new().await;
    let worker = Worker::new(world.test.app.clone(), &settings(MailUrl::Memory)).unwrap();
    let mail = worker.memory_mail().unwrap().clone();
    let process = start(worker);
    let began = Instant::now();
    world.create("first", ExpiryRequest::Default).await;
    until("the first mail", async || mail.sent().len() == 1).await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    for number in 0..150 {
        world
            .create(&format!("n{number}"), ExpiryRequest::Default)
            .await;
    }
    until("all mails", async || mail.sent().len() == 151).await;
    process.stop().await;
    let mut to: Vec<_> = mail.sent().into_iter().map(|mail| mail.to).collect();
    to.sort();
    to.dedup();
    assert_eq!(to.len(), 151);
    assert_eq!(world.test.app.outstanding_jobs().await.unwrap(), 0);
}

/// A server that takes connections and says nothing.
async fn silent_server() -> (MailUrl, JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
        }
    });
    let url = MailUrl::parse(&format!("smtp://127.0.0.1:{port}?tls=none")).unwrap();
    (url, task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_releases_what_does_not_finish() {
    let world = World::new().await;
    for number in 0..100 {
        world
            .create(&format!("n{number}"), ExpiryRequest::Default)
            .await;
    }
    let (url, _server) = silent_server().await;
    let process = start(Worker::new(world.test.app.clone(), &settings(url)).unwrap());
    let app = &world.test.app;
    until("jobs run", async || {
        world
            .jobs("confirm_email")
            .await
            .iter()
            .any(|job| job.attempt == 1)
    })
    .await;
    until("jobs wait", async || {
        app.outstanding_jobs().await.unwrap() > 10
    })
    .await;
    process.stop().await;
    assert_eq!(
        app.outstanding_jobs().await.unwrap(),
        0,
        "nothing waits for a lease to lapse"
    );
    // They are due at once for another worker.
    world.worker.settle().await.unwrap();
    assert_eq!(world.sent().len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_is_silent_costs_an_attempt_only() {
    let (url, _server) = silent_server().await;
    let mut slow = settings(url);
    slow.mail.timeout = Duration::from_millis(200);
    let world = World::with(&slow).await;
    world.create("deployer", ExpiryRequest::Default).await;
    world.worker.settle().await.unwrap();
    let job = &world.jobs("confirm_email").await[0];
    assert_eq!((job.state, job.attempt), (JobState::Waiting, 1));
    assert_eq!(job.last_error.as_deref(), Some("connecting: timed out"));

    let mut quick = slow.clone();
    quick.timeout = Duration::from_millis(100);
    let worker = Worker::new(world.test.app.clone(), &quick).unwrap();
    world.test.clock.advance(MINUTE);
    worker.settle().await.unwrap();
    let job = &world.jobs("confirm_email").await[0];
    assert_eq!((job.state, job.attempt), (JobState::Waiting, 2));
    assert_eq!(job.last_error.as_deref(), Some("ran longer than 100ms"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_loses_comes_back() {
    let Some(server) = transport::testing::RedisServer::start() else {
        return;
    };
    let world = World::new().await;
    let mut settings = settings(MailUrl::Memory);
    settings.redis = Some(server.settings());
    settings.timeout = Duration::from_secs(5);
    for number in 0..30 {
        world
            .create(&format!("n{number}"), ExpiryRequest::Default)
            .await;
    }
    // Handed over, and lost before any worker took them.
    let lost = Worker::new(world.test.app.clone(), &settings).unwrap();
    let app = world.test.app.clone();
    let leases = app.lease_jobs(100, settings.lease).await.unwrap();
    assert_eq!(leases.len(), 30);
    lost.transport.hand_over(&leases).await.unwrap();
    let _: () = server.query(&["FLUSHALL"]).await;

    let worker = Worker::new(app, &settings).unwrap();
    let mail = worker.memory_mail().unwrap().clone();
    let process = start(worker);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(mail.sent().len(), 0);
    world.test.clock.advance(settings.lease);
    until("all mails", async || mail.sent().len() == 30).await;
    process.stop().await;
    assert_eq!(mail.sent().len(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_on_redis_share_the_work_through_a_restart() {
    let Some(mut server) = transport::testing::RedisServer::start() else {
        return;
    };
    let world = World::new().await;
    let mut settings = settings(MailUrl::Memory);
    settings.redis = Some(server.settings());
    let workers = [0, 1].map(|_| Worker::new(world.test.app.clone(), &settings).unwrap());
    let mails = workers
        .each_ref()
        .map(|worker| worker.memory_mail().unwrap().clone());
    let sent = || mails.iter().map(|mail| mail.sent().len()).sum::<usize>();
    let processes = workers.map(start);
    for number in 0..40 {
        world
            .create(&format!("a{number}"), ExpiryRequest::Default)
            .await;
    }
    until("the first mails", async || sent() > 0).await;
    server.stop();
    for number in 0..40 {
        world
            .create(&format!("b{number}"), ExpiryRequest::Default)
            .await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.start_again();
    // Leases of what was lost lapse.
    world.test.clock.advance(settings.lease);
    until("all mails", async || sent() == 80).await;
    for process in processes {
        process.stop().await;
    }
    let mut to: Vec<_> = mails
        .iter()
        .flat_map(|mail| mail.sent())
        .map(|mail| mail.to)
        .collect();
    to.sort();
    to.dedup();
    assert_eq!((sent(), to.len()), (80, 80));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_served_until_it_is_stopped() {
    let world = World::new().await;
    let metrics = symbolon_web::MetricsText(Arc::new(|| "symbolon_test 1\n".to_owned()));
    let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = probe.local_addr().unwrap();
    drop(probe);
    let handle = serve_health(world.test.app.clone(), metrics, bind).unwrap();
    for (path, wanted) in [
        ("/healthz", "200 OK"),
        ("/metrics", "symbolon_test 1"),
        ("/nowhere", "404"),
    ] {
        let answer = get(bind, path).await.unwrap();
        assert!(answer.contains(wanted), "{path}: {answer}");
    }
    let ready = get(bind, "/readyz").await.unwrap();
    assert!(ready.contains("checks"), "{ready}");
    handle.stop(true).await;
    assert!(get(bind, "/healthz").await.is_err());
}

async fn get(bind: std::net::SocketAddr, path: &str) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(bind).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
