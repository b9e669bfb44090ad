//! Redis for tests: the shared server's address, private servers that may be stopped and flushed,
//! and a raw client, so that nothing of the product's is needed to look.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::free_port;
use crate::{eventually, not_run, setting, test_name};

/// The shared server, for tests that only add their own keys. `None`, and recorded as not run,
/// where there is none.
pub fn shared_url() -> Option<String> {
    setting("SYMBOLON_TEST_REDIS_URL").or_else(|| {
        not_run(&test_name(), "no Redis");
        None
    })
}

/// A private server that keeps nothing over a restart.
pub struct RedisServer {
    program: String,
    home: TempDir,
    port: u16,
    child: Option<Child>,
}

impl RedisServer {
    /// `None`, and recorded as not run, where Redis is not installed.
    pub fn start() -> Option<Self> {
        let Some(program) = setting("SYMBOLON_TEST_REDIS_SERVER") else {
            not_run(&test_name(), "no Redis");
            return None;
        };
        let mut server = Self {
            program,
            home: tempfile::tempdir().expect("the temporary directory is writable"),
            port: free_port(),
            child: None,
        };
        server.start_again();
        Some(server)
    }

    /// After [`RedisServer::stop`]: the same port, empty.
    pub fn start_again(&mut self) {
        self.stop();
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.home.path().join("log"))
            .expect("the server's directory is writable");
        let child = Command::new(&self.program)
            .args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
            .args(["--port", &self.port.to_string(), "--dir"])
            .arg(self.home.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        self.child = Some(child);
        let port = self.port;
        eventually("Redis answers", Duration::from_secs(20), || {
            let mut connection = Connection::open(port).ok()?;
            let reply = connection.call(&["PING"]).ok()?;
            (reply == Reply::Status("PONG".to_owned())).then_some(())
        });
    }

    /// As by a power cut: no connection is closed in order, nothing is kept.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// One command on a new connection.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn command(&self, words: &[&str]) -> Reply {
        Connection::open(self.port)
            .and_then(|mut connection| connection.call(words))
            .unwrap_or_else(|e| panic!("{words:?}: {e}"))
    }

    /// As [`RedisServer::command`], with the password that the server demands.
    pub fn command_as(&self, password: &str, words: &[&str]) -> Reply {
        Connection::open(self.port)
            .and_then(|mut connection| {
                connection.call(&["AUTH", password])?;
                connection.call(words)
            })
            .unwrap_or_else(|e| panic!("{words:?}: {e}"))
    }

    pub fn flush_all(&self) {
        assert_eq!(self.command(&["FLUSHALL"]), Reply::Status("OK".to_owned()));
    }

    /// Bytes that the data takes (`used_memory_dataset`).
    pub fn memory(&self) -> u64 {
        let info = self.command(&["INFO", "memory"]).text();
        info.lines()
            .find_map(|line| line.strip_prefix("used_memory_dataset:")?.parse().ok())
            .expect("Redis reports its memory")
    }

    /// Writes everything that clients send from now on to `file`.
    pub fn monitor(&self, file: &Path) -> Monitor {
        Monitor::start(self.port, file)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What Redis answers (RESP2).
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Status(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Reply>),
}

impl Reply {
    /// Statuses, bulk strings and integers as text; arrays one element a line.
    pub fn text(&self) -> String {
        match self {
            Self::Status(text) | Self::Error(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Nil => String::new(),
            Self::Array(items) => {
                let lines: Vec<String> = items.iter().map(Self::text).collect();
                lines.join("\n")
            }
        }
    }

    fn read(input: &mut impl BufRead) -> std::io::Result<Self> {
        let mut line = String::new();
        input.read_line(&mut line)?;
        let bad = || std::io::Error::other(format!("no RESP: {line:?}"));
        let (kind, rest) = line.split_at_checked(1).ok_or_else(bad)?;
        let rest = rest.trim_end().to_owned();
        let number = || rest.parse::<i64>().map_err(|_| bad());
        Ok(match kind {
            "+" => Self::Status(rest),
            "-" => Self::Error(rest),
            ":" => Self::Integer(number()?),
            "$" => match usize::try_from(number()?) {
                Err(_) => Self::Nil,
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    input.read_exact(&mut bytes)?;
                    bytes.truncate(length);
                    Self::Bulk(bytes)
                }
            },
            "*" => match usize::try_from(number()?) {
                Err(_) => Self::Nil,
                Ok(length) => {
                    let items = (0..length).map(|_| Self::read(input));
                    Self::Array(items.collect::<std::io::Result<_>>()?)
                }
            },
            _ => return Err(bad()),
        })
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn call(&mut self, words: &[&str]) -> std::io::Result<Reply> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.0.get_mut().write_all(request.as_bytes())?;
        Reply::read(&mut self.0)
    }
}

/// A running capture of Redis's MONITOR.
pub struct Monitor {
    file: PathBuf,
    stream: TcpStream,
    copy: Option<JoinHandle<()>>,
}

impl Monitor {
    fn start(port: u16, file: &Path) -> Self {
        let mut connection = Connection::open(port).expect("Redis answers");
        let reply = connection.call(&["MONITOR"]);
        assert_eq!(reply.ok(), Some(Reply::Status("OK".to_owned())));
        let stream = connection.0.get_ref();
        let stream = stream.try_clone().expect("a socket can be duplicated");
        stream
            .set_read_timeout(None)
            .expect("a timeout can be taken off");
        let mut output = File::create(file).expect("the capture's file is writable");
        let copy = std::thread::spawn(move || {
            // Ends when the capture is stopped or Redis goes away; both are fine.
            let _ = std::io::copy(&mut connection.0, &mut output);
        });
        Self {
            file: file.to_owned(),
            stream,
            copy: Some(copy),
        }
    }

    /// What was captured up to now; arguments are quoted and escaped as Redis prints them.
    pub fn text(&self) -> String {
        let bytes = std::fs::read(&self.file).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Ends the capture.
    pub fn stop(mut self) -> String {
        self.close();
        self.text()
    }

    fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(copy) = self.copy.take() {
            let _ = copy.join();
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_server_is_flushed_stopped_and_watched() {
        let Some(mut server) = RedisServer::start() else {
            return;
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        let monitor = server.monitor(file.path());
        server.command(&["RPUSH", "list", "a b", "c"]);
        assert_eq!(
            server.command(&["LRANGE", "list", "0", "-1"]).text(),
            "a b\nc"
        );
        assert_eq!(server.command(&["GET", "none"]), Reply::Nil);
        assert!(matches!(server.command(&["GET", "list"]), Reply::Error(_)));
        server.flush_all();
        assert_eq!(server.command(&["DBSIZE"]), Reply::Integer(0));
        eventually("the capture is written", Duration::from_secs(5), || {
            monitor.text().contains("DBSIZE").then_some(())
        });
        assert!(monitor.stop().contains(r#""RPUSH" "list" "a b" "c""#));
        assert!(server.memory() > 0);

        server.command(&["SET", "kept", "no"]);
        server.stop();
        assert!(TcpStream::connect(("127.0.0.1", server.port())).is_err());
        server.start_again();
        assert_eq!(server.command(&["GET", "kept"]), Reply::Nil);
    }
}
