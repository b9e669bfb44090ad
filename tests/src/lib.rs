//! What the black-box suite needs to drive the real binary from outside: child processes, an SMTP
//! server, a TCP proxy that cuts connections, private databases, an HTTP client that holds servers to
//! their OpenAPI documents. Blocking on purpose.

pub mod conformance;
pub mod documents;
pub mod http;
pub mod mail;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod smtp;
pub mod smtp_server;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The environment variable's value; `None` where it is unset or empty.
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Records that the calling test lacks something and will return early, so that the run's summary
/// names it. One call per test.
pub fn not_run(what: &str, why: &str) {
    append("SYMBOLON_TEST_NOT_RUN_FILE", &format!("{what} ({why})"));
}

/// Records that a suite ran `count` cases on a backend. The summary prints the sums, and insists
/// that `contract` came to the same on `sqlite` and `postgres`.
pub fn ran(suite: &str, backend: &str, count: usize) {
    append(
        "SYMBOLON_TEST_COUNTS_FILE",
        &format!("{suite} {backend} {count}"),
    );
}

/// One write per line: test processes may append at the same time.
fn append(variable: &str, line: &str) {
    let Some(path) = setting(variable) else {
        eprintln!("{line}");
        return;
    };
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(&path);
    file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
        .unwrap_or_else(|e| panic!("{path}: {e}"));
}

/// The name of the running test, as libtest names its thread.
pub fn test_name() -> String {
    let name = std::thread::current().name().map(str::to_owned);
    name.unwrap_or_else(|| "a test".to_owned())
}

/// Asks again every 10 ms until there is an answer.
///
/// # Panics
/// Once the time is over, with `what` in the message.
pub fn eventually<T>(what: &str, timeout: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            start.elapsed() < timeout,
            "{what}: still not so after {timeout:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A program of the workspace: named by the variable, or beside the running test's directory.
fn program(variable: &str, name: &str) -> PathBuf {
    let path = setting(variable).map_or_else(
        || {
            let test = std::env::current_exe().expect("a running program has a path");
            let profile = test
                .ancestors()
                .nth(2)
                .expect("tests run in <profile>/deps");
            profile.join(name)
        },
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "{} is not built; run `cargo build --workspace --all-targets`",
        path.display()
    );
    path
}
