//! The tests' side of the SMTP server: start it, tell it how to behave, read what it took.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::eventually;
use crate::mail::Mail;
use crate::program;

/// A running `smtp-sink`. Its mails survive [`SmtpSink::stop`].
pub struct SmtpSink {
    home: TempDir,
    address: SocketAddr,
    child: Option<Child>,
}

impl Default for SmtpSink {
    fn default() -> Self {
        Self::start()
    }
}

impl SmtpSink {
    pub fn start() -> Self {
        let home = tempfile::tempdir().expect("the temporary directory is writable");
        let mut sink = Self {
            home,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            child: None,
        };
        sink.start_again();
        sink
    }

    /// After [`SmtpSink::stop`]: the same port, the mails that came before still there.
    pub fn start_again(&mut self) {
        self.stop();
        let mut child = Command::new(program("SYMBOLON_SMTP_SINK", "smtp-sink"))
            .args(["--bind", &self.address.to_string(), "--dir"])
            .arg(self.dir())
            .arg("--control")
            .arg(self.control())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("smtp-sink starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        self.child = Some(child);
        read.expect("smtp-sink prints its address");
        self.address = line
            .trim()
            .parse()
            .expect("smtp-sink could bind and printed an address");
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// For the setting `mail.url`.
    pub fn url(&self) -> String {
        format!("smtp://{}?tls=none", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the control file (its lines: [`crate::smtp_server`]); `""` accepts everything.
    pub fn set(&self, control: &str) {
        let partial = self.home.path().join("control.partial");
        fs::write(&partial, control)
            .and_then(|()| fs::rename(&partial, self.control()))
            .expect("the sink's directory is writable");
    }

    /// All accepted mails, in order of acceptance.
    pub fn messages(&self) -> Vec<Mail> {
        let entries = fs::read_dir(self.dir()).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "eml"))
            .collect();
        paths.sort();
        paths
            .iter()
            .map(|path| Mail::parse(&fs::read(path).expect("a kept mail is readable")))
            .collect()
    }

    /// Waits until at least `n` mails have been accepted, and returns all.
    ///
    /// # Panics
    /// Once the time is over.
    pub fn wait_for(&self, n: usize, timeout: Duration) -> Vec<Mail> {
        eventually(&format!("{n} mails accepted"), timeout, || {
            let messages = self.messages();
            (messages.len() >= n).then_some(messages)
        })
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("mail")
    }

    fn control(&self) -> PathBuf {
        self.home.path().join("control")
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.stop();
    }
}
