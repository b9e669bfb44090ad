//! A private PostgreSQL and a private Redis in a temporary directory, gone when the value is
//! dropped, and also when this process dies without dropping it.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::packages::{Programs, is_root, numeric_id};

const START: Duration = Duration::from_secs(60);
const PASSWORD_ROLE: &str = "symbolon_password";
const PASSWORD: &str = "only-for-tests";

#[derive(Clone, Copy, PartialEq)]
pub enum Durability {
    /// Nothing waits for the disk: for tests.
    None,
    /// As in production: for measurements.
    Full,
}

pub struct Servers {
    dir: PathBuf,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    guard: Guard,
}

struct Postgres {
    child: Child,
    port: u16,
    bin: PathBuf,
}

struct Redis {
    child: Child,
    port: u16,
    program: PathBuf,
}

/// PostgreSQL refuses to run as root: then it runs as this user.
struct RunAs {
    name: &'static str,
    uid: u32,
    gid: u32,
}

impl RunAs {
    fn pick() -> Result<Option<Self>, String> {
        if !is_root() {
            return Ok(None);
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| {
                let uid = numeric_id("-u", Some(name))?;
                let gid = numeric_id("-g", Some(name))?;
                Some(Self { name, uid, gid })
            })
            .map(Some)
            .ok_or_else(|| "root without a user `postgres` or `nobody`".to_owned())
    }
}

impl Servers {
    /// Starts what the programs allow, and waits until it answers.
    pub fn start(programs: &Programs, durability: Durability) -> Result<Self, String> {
        remove_stale();
        let dir = parent_dir().join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let guard = Guard::start(&dir)?;
        let mut servers = Self {
            dir,
            postgres: None,
            redis: None,
            guard,
        };
        if let Some(bin) = &programs.postgres {
            servers.start_postgres(bin, durability)?;
        }
        if let Some(program) = &programs.redis_server {
            servers.start_redis(program)?;
        }
        Ok(servers)
    }

    /// A directory that lives as long as the servers.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The environment that tells the tests where the servers are; nothing for a server that
    /// does not run.
    pub fn exports(&self) -> Vec<(String, String)> {
        let mut exports = Vec::new();
        let mut export = |name: &str, value: String| exports.push((name.to_owned(), value));
        if let Some(Postgres { port, bin, .. }) = &self.postgres {
            let at = format!("127.0.0.1:{port}/postgres");
            export(
                "SYMBOLON_TEST_POSTGRES_URL",
                format!("postgres://postgres@{at}"),
            );
            export(
                "SYMBOLON_TEST_POSTGRES_PASSWORD_URL",
                format!("postgres://{PASSWORD_ROLE}:{PASSWORD}@{at}"),
            );
            export(
                "SYMBOLON_TEST_POSTGRES_CA",
                tls_dir().join("ca.pem").display().to_string(),
            );
            export("SYMBOLON_TEST_PG_BIN", bin.display().to_string());
            if let Ok(Some(user)) = RunAs::pick() {
                export("SYMBOLON_TEST_RUN_AS", user.name.to_owned());
            }
        }
        if let Some(Redis { port, program, .. }) = &self.redis {
            export(
                "SYMBOLON_TEST_REDIS_URL",
                format!("redis://127.0.0.1:{port}"),
            );
            export("SYMBOLON_TEST_REDIS_SERVER", program.display().to_string());
        }
        exports
    }

    fn start_postgres(&mut self, bin: &Path, durability: Durability) -> Result<(), String> {
        let user = RunAs::pick()?;
        let (home, data) = (self.dir.join("pg"), self.dir.join("pg/data"));
        let io = |e: std::io::Error| format!("PostgreSQL's directory: {e}");
        fs::create_dir(&home).map_err(io)?;
        give(&home, 0o700, user.as_ref()).map_err(io)?;
        let log = home.join("log");
        let program = |name: &str| -> Result<Command, String> {
            let mut command = Command::new(bin.join(name));
            let file = fs::File::options().append(true).create(true).open(&log);
            let file = file.map_err(io)?;
            command
                .current_dir(&home)
                .stdin(Stdio::null())
                .stdout(file.try_clone().map_err(io)?)
                .stderr(file);
            if let Some(user) = &user {
                command.uid(user.uid).gid(user.gid);
            }
            Ok(command)
        };
        let read_log = || fs::read_to_string(&log).unwrap_or_default();

        let initdb = program("initdb")?
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--pgdata"])
            .arg(&data)
            .status();
        if !initdb.is_ok_and(|status| status.success()) {
            return Err(format!("initdb failed:\n{}", read_log()));
        }
        for (from, to, mode) in [
            ("server.pem", "server.crt", 0o644),
            ("server.key", "server.key", 0o600),
        ] {
            let to = data.join(to);
            fs::copy(tls_dir().join(from), &to).map_err(io)?;
            give(&to, mode, user.as_ref()).map_err(io)?;
        }
        let access = format!(
            "local all all trust\n\
             host all {PASSWORD_ROLE} all scram-sha-256\n\
             host all all 127.0.0.1/32 trust\n\
             host all all ::1/128 trust\n"
        );
        fs::write(data.join("pg_hba.conf"), access).map_err(io)?;

        let port = free_port()?;
        let mut settings = vec![
            format!("port={port}"),
            format!("unix_socket_directories={}", home.display()),
            "listen_addresses=127.0.0.1".to_owned(),
            "max_connections=300".to_owned(),
            "shared_buffers=128MB".to_owned(),
            "password_encryption=scram-sha-256".to_owned(),
            "ssl=on".to_owned(),
        ];
        if durability == Durability::None {
            settings.extend(
                ["fsync", "synchronous_commit", "full_page_writes"].map(|s| format!("{s}=off")),
            );
        }
        let mut command = program("postgres")?;
        command.arg("-D").arg(&data);
        for setting in &settings {
            command.arg("-c").arg(setting);
        }
        let child = command.spawn().map_err(|e| format!("postgres: {e}"))?;
        self.guard.watch("QUIT", child.id());
        let postgres = self.postgres.insert(Postgres {
            child,
            port,
            bin: bin.to_owned(),
        });

        let role = format!("CREATE ROLE {PASSWORD_ROLE} LOGIN SUPERUSER PASSWORD '{PASSWORD}'");
        wait_until("PostgreSQL", &mut postgres.child, &read_log, || {
            Command::new(bin.join("psql"))
                .args(["-X", "-q", "-h", "127.0.0.1", "-U", "postgres", "-c", &role])
                .args(["-p", &port.to_string(), "postgres"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        })
    }

    fn start_redis(&mut self, program: &Path) -> Result<(), String> {
        let home = self.dir.join("redis");
        let io = |e: std::io::Error| format!("Redis's directory: {e}");
        fs::create_dir(&home).map_err(io)?;
        let log = home.join("log");
        let file = fs::File::create(&log).map_err(io)?;
        let port = free_port()?;
        let child = Command::new(program)
            .args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
            .args(["--port", &port.to_string(), "--dir"])
            .arg(&home)
            .stdin(Stdio::null())
            .stdout(file.try_clone().map_err(io)?)
            .stderr(file)
            .spawn()
            .map_err(|e| format!("redis-server: {e}"))?;
        self.guard.watch("KILL", child.id());
        let redis = self.redis.insert(Redis {
            child,
            port,
            program: program.to_owned(),
        });
        let read_log = || fs::read_to_string(&log).unwrap_or_default();
        wait_until("Redis", &mut redis.child, &read_log, || {
            let mut answer = [0; 7];
            TcpStream::connect(("127.0.0.1", port))
                .and_then(|mut stream| {
                    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
                    stream.write_all(b"PING\r\n")?;
                    stream.read_exact(&mut answer)
                })
                .is_ok_and(|()| &answer == b"+PONG\r\n")
        })
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Some(postgres) = &mut self.postgres {
            // SIGQUIT is the immediate shutdown: the server's children end with it.
            stop(&mut postgres.child, "QUIT");
        }
        if let Some(redis) = &mut self.redis {
            stop(&mut redis.child, "KILL");
        }
        self.guard.finish();
    }
}

/// A shell that waits for its standard input to close, which happens however this process dies.
/// Then it stops the servers that are still there and removes the directory.
struct Guard {
    child: Child,
    input: Option<ChildStdin>,
}

const GUARD: &str = r#"
trap "" INT TERM HUP
pids= signals=
while read -r signal pid; do
    [ "$signal" = done ] && signals= && break
    signals="$signals $signal:$pid"
done
for entry in $signals; do kill -"${entry%%:*}" "${entry#*:}" 2>/dev/null; done
for entry in $signals; do
    tries=0
    while [ $tries -lt 100 ] && kill -0 "${entry#*:}" 2>/dev/null; do
        tries=$((tries + 1)); sleep 0.1
    done
done
rm -rf -- "$1"
"#;

impl Guard {
    fn start(dir: &Path) -> Result<Self, String> {
        let mut child = Command::new("sh")
            .args(["-c", GUARD, "symbolon-xtask-guard"])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|e| format!("sh: {e}"))?;
        let input = child.stdin.take();
        Ok(Self { child, input })
    }

    fn watch(&mut self, signal: &str, pid: u32) {
        if let Some(input) = &mut self.input {
            // A guard that is gone leaves only the clean-up at the next start.
            let _ = writeln!(input, "{signal} {pid}");
        }
    }

    /// The servers are down: only the directory is left to remove.
    fn finish(&mut self) {
        if let Some(mut input) = self.input.take() {
            let _ = writeln!(input, "done -");
        }
        let _ = self.child.wait();
    }
}

const PREFIX: &str = "symbolon-xtask-";

/// Directories of runs whose guard was killed too.
fn remove_stale() {
    let entries = fs::read_dir(parent_dir()).into_iter().flatten().flatten();
    for entry in entries {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        let alive = |pid: &u32| signal(*pid, "0");
        if pid.is_some_and(|pid| !alive(&pid)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The temporary directory, unless the user that PostgreSQL runs as cannot reach it.
fn parent_dir() -> PathBuf {
    let dir = std::env::temp_dir();
    let everyone =
        |dir: &Path| fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0);
    if is_root() && !dir.ancestors().all(everyone) {
        return PathBuf::from("/tmp");
    }
    dir
}

fn tls_dir() -> PathBuf {
    crate::root().join("tests/fixtures/tls")
}

fn give(path: &Path, mode: u32, user: Option<&RunAs>) -> std::io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    user.map_or(Ok(()), |user| chown(path, Some(user.uid), Some(user.gid)))
}

/// Free at this moment; whoever takes it in between makes the start fail with a plain message.
fn free_port() -> Result<u16, String> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| format!("no free port: {e}"))
}

fn wait_until(
    what: &str,
    child: &mut Child,
    log: &dyn Fn() -> String,
    ready: impl Fn() -> bool,
) -> Result<(), String> {
    let start = Instant::now();
    while !ready() {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("{what} ended with {status}:\n{}", log()));
        }
        if start.elapsed() > START {
            return Err(format!("{what} does not answer:\n{}", log()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn signal(pid: u32, name: &str) -> bool {
    Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn stop(child: &mut Child, name: &str) {
    signal(child.id(), name);
    for _ in 0..100 {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
}
