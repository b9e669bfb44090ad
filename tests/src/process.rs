//! The real binary as a child process: its own data directory, its own log file, signals, and
//! certain death when the value is dropped.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::http::Client;
use crate::{eventually, program};

/// How long a start may take, migrations included.
const READY: Duration = Duration::from_secs(60);

/// A running `symbolon`.
pub struct Symbolon {
    child: Child,
    status: Option<ExitStatus>,
    /// Removed last, when the process is gone.
    home: Home,
}

/// A directory for one installation: the data directory is below it, and so are the logs. It
/// outlives a process, so that a start after a crash finds what the crash left.
#[derive(Clone)]
pub struct Home(std::sync::Arc<TempDir>);

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("symbolon-test-").tempdir();
        Self(dir.expect("the temporary directory is writable").into())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    fn command(&self, args: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program("SYMBOLON_BIN", "symbolon"));
        // What a developer has set must not change what a test sees.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SYMBOLON_") {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .current_dir(self.path())
            .env("SYMBOLON__DATA__DIR", self.data())
            .envs(env.iter().copied())
            .stdin(Stdio::null());
        command
    }

    fn log(&self, stream: &str) -> File {
        File::options()
            .append(true)
            .create(true)
            .open(self.path().join(stream))
            .expect("the home directory is writable")
    }

    /// Starts a long-running role here.
    pub fn spawn(&self, args: &[&str], env: &[(&str, &str)]) -> Symbolon {
        let child = self
            .command(args, env)
            .stdout(self.log("stdout"))
            .stderr(self.log("stderr"))
            .spawn()
            .expect("the binary starts");
        Symbolon {
            child,
            status: None,
            home: self.clone(),
        }
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let output = self.command(args, env).output();
        output.expect("the binary starts")
    }
}

impl Symbolon {
    /// Starts in a new home. Settings are given as their environment twins
    /// (`SYMBOLON__HTTP__BIND`); the data directory is set already.
    pub fn spawn(args: &[&str], env: &[(&str, &str)]) -> Self {
        Home::new().spawn(args, env)
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `GET <base>/readyz` answers 200.
    ///
    /// # Panics
    /// With the log, if the process ends before, or is not ready in a minute.
    pub fn wait_ready(&mut self, base: &str) {
        let client = Client::new(base);
        let start = std::time::Instant::now();
        while client.try_get("/readyz").is_none_or(|a| a.status != 200) {
            let ended = self.try_status();
            assert!(
                ended.is_none() && start.elapsed() < READY,
                "not ready at {base} (ended: {ended:?}); the log:\n{}",
                self.log_text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill9(&mut self) {
        if self.try_status().is_none() {
            self.child.kill().expect("a child that runs can be killed");
            self.status = self.child.wait().ok();
        }
    }

    /// SIGTERM; returns at once.
    pub fn terminate(&mut self) {
        signal(self.pid(), "TERM");
    }

    /// SIGSTOP: the process hangs, with all its connections open, until [`Symbolon::resume`].
    pub fn pause(&mut self) {
        signal(self.pid(), "STOP");
    }

    pub fn resume(&mut self) {
        signal(self.pid(), "CONT");
    }

    /// # Panics
    /// With the log, if the process is still there after `timeout`.
    pub fn wait_exit(&mut self, timeout: Duration) -> ExitStatus {
        let start = std::time::Instant::now();
        loop {
            if let Some(status) = self.try_status() {
                return status;
            }
            assert!(
                start.elapsed() < timeout,
                "still running after {timeout:?}; the log:\n{}",
                self.log_text()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// `None` while it runs.
    pub fn try_status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// What all processes of this home have logged (stderr).
    pub fn log_text(&self) -> String {
        read(&self.home.path().join("stderr"))
    }

    /// What all processes of this home have printed (stdout).
    pub fn stdout_text(&self) -> String {
        read(&self.home.path().join("stdout"))
    }

    /// Waits until the log contains `text`.
    pub fn wait_log(&self, text: &str, timeout: Duration) {
        eventually(&format!("log contains {text:?}"), timeout, || {
            self.log_text().contains(text).then_some(())
        });
    }
}

impl Drop for Symbolon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of symbolon ---\n{}", self.log_text());
        }
    }
}

/// Sends a signal to a child that has not been waited for.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    assert!(status.is_ok_and(|s| s.success()), "kill -{name} {pid}");
}

/// A port of the loopback that nobody listens on at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("the loopback has free ports")
        .port()
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
