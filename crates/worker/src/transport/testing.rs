//! For tests: leases, a delivery that notes what it got, and Redis servers to stop, flush and start again.

use super::*;
use ::redis::Client;
use std::collections::HashSet;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use symbolon_domain::{JobId, Timestamp, dice::SeededDice};
use tempfile::TempDir;

pub fn lease(number: i64) -> Lease {
    let mut dice = SeededDice::new(number as u64);
    Lease {
        id: JobId::new(Timestamp::from_micros(1), &mut dice),
        lease_no: number,
    }
}

#[derive(Default)]
pub struct Seen {
    pub started: AtomicUsize,
    pub ended: AtomicUsize,
    pub at_once: AtomicUsize,
    pub most_at_once: AtomicUsize,
    leases: Mutex<HashSet<i64>>,
}

impl Seen {
    pub fn distinct(&self) -> usize {
        self.leases.lock().unwrap().len()
    }

    pub async fn wait_for(&self, distinct: usize) {
        let waiting = async {
            while self.distinct() < distinct {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(30), waiting)
            .await
            .is_err()
        {
            panic!("{} of {distinct} delivered", self.distinct());
        }
    }
}

pub fn recorder(lasting: Duration) -> (Deliver, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let shared = seen.clone();
    let deliver: Deliver = Arc::new(move |lease| {
        let seen = shared.clone();
        Box::pin(async move {
            seen.started.fetch_add(1, Ordering::SeqCst);
            let at_once = seen.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            seen.most_at_once.fetch_max(at_once, Ordering::SeqCst);
            tokio::time::sleep(lasting).await;
            seen.at_once.fetch_sub(1, Ordering::SeqCst);
            seen.leases.lock().unwrap().insert(lease.lease_no);
            seen.ended.fetch_add(1, Ordering::SeqCst);
        })
    });
    (deliver, seen)
}

/// A Redis of one test's own; ends with the value.
pub struct RedisServer {
    child: Child,
    port: u16,
    program: String,
    home: TempDir,
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl RedisServer {
    /// `None`, noted, where no Redis is to be tested with.
    pub fn start() -> Option<Self> {
        let Ok(program) = std::env::var("SYMBOLON_TEST_REDIS_SERVER") else {
            if let Ok(path) = std::env::var("SYMBOLON_TEST_NOT_RUN_FILE") {
                let mut file = std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(path)
                    .unwrap();
                writeln!(file, "worker: transport on Redis: no redis-server").unwrap();
            }
            return None;
        };
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let home = tempfile::tempdir().unwrap();
        let child = spawn(&program, port, home.path());
        Some(Self {
            child,
            port,
            program,
            home,
        })
    }

    pub fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn start_again(&mut self) {
        self.child = spawn(&self.program, self.port, self.home.path());
    }

    pub fn settings(&self) -> RedisSettings {
        RedisSettings {
            url: format!("redis://127.0.0.1:{}", self.port),
            queue: "symbolon-test".to_owned(),
        }
    }

    pub async fn query<T: ::redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let client = Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut query = ::redis::cmd(command[0]);
        query.arg(&command[1..]);
        query.query_async(&mut connection).await.unwrap()
    }

    pub async fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.query(&["KEYS", "*"]).await;
        keys.sort();
        keys
    }
}

fn spawn(program: &str, port: u16, home: &std::path::Path) -> Child {
    let mut child = Command::new(program)
        .args([
            "--save",
            "",
            "--appendonly",
            "no",
            "--bind",
            "127.0.0.1",
            "--port",
        ])
        .arg(port.to_string())
        .arg("--dir")
        .arg(home)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..200 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return child;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("redis-server does not answer");
}
