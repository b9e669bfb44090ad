//! The programs and libraries of other projects that the suite needs: finding them, and installing
//! them where that is allowed (root on a system with apt).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Everything of PostgreSQL that the tests call; a directory counts only with all of them.
const POSTGRES: [&str; 5] = ["initdb", "postgres", "pg_ctl", "psql", "pg_dump"];
const SERVERS: &str = "postgresql redis-server";
const AUTHLIB: &str = "python3-authlib python3-jwt python3-cryptography python3-requests";

pub struct Programs {
    /// The directory that holds all of [`POSTGRES`].
    pub postgres: Option<PathBuf>,
    pub redis_server: Option<PathBuf>,
}

impl Programs {
    pub fn find() -> Self {
        let path = path();
        Self {
            postgres: postgres_dirs(&path)
                .into_iter()
                .find(|dir| POSTGRES.iter().all(|program| dir.join(program).is_file())),
            redis_server: path
                .iter()
                .map(|dir| dir.join("redis-server"))
                .find(|program| program.is_file()),
        }
    }

    /// What is missing is installed if we may; otherwise [`Programs::missing`] says how to.
    pub fn find_or_install() -> Self {
        let found = Self::find();
        if found.missing().is_empty() || !install(SERVERS) {
            return found;
        }
        Self::find()
    }

    /// Each program that was not found, with the command that installs it.
    pub fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let mut missing = Vec::new();
        if self.postgres.is_none() {
            missing.push(("PostgreSQL", "sudo apt-get install -y postgresql"));
        }
        if self.redis_server.is_none() {
            missing.push(("Redis", "sudo apt-get install -y redis-server"));
        }
        missing
    }
}

/// A Python that has Authlib, an OAuth client that is not ours, the HTTP client that it drives, and PyJWT,
/// which verifies tokens with the library beside it.
pub struct Authlib {
    pub python: Option<PathBuf>,
}

impl Authlib {
    /// The distribution installs for its own Python, which need not be the first on the PATH.
    pub fn find() -> Self {
        let dirs = path().into_iter().chain(["/usr/bin".into()]);
        let mut pythons = dirs.map(|dir| dir.join("python3"));
        Self {
            python: pythons.find(|python| imports_authlib(python)),
        }
    }

    pub fn find_or_install() -> Self {
        let found = Self::find();
        if found.python.is_some() || !install(AUTHLIB) {
            return found;
        }
        Self::find()
    }

    /// The environment that tells the tests which Python to run.
    pub fn exports(&self) -> Option<(String, String)> {
        let python = self.python.as_ref()?.display().to_string();
        Some(("SYMBOLON_TEST_PYTHON".to_owned(), python))
    }

    pub fn missing(&self) -> Option<(&'static str, &'static str)> {
        let command = "sudo apt-get install -y python3-authlib python3-jwt python3-requests";
        self.python
            .is_none()
            .then_some(("Authlib and PyJWT", command))
    }
}

/// Gateways that ask Symbolon about the requests that they hold back.
pub struct Gateways(Vec<(&'static str, Option<PathBuf>)>);

/// Their programs, each with the package that has it.
const GATEWAYS: [(&str, &str); 3] = [
    ("nginx", "nginx-light"),
    ("caddy", "caddy"),
    ("haproxy", "haproxy"),
];

impl Gateways {
    pub fn find() -> Self {
        // Servers stand where users need not look.
        let dirs: Vec<PathBuf> = path().into_iter().chain(["/usr/sbin".into()]).collect();
        let find = |(name, _)| {
            let mut programs = dirs.iter().map(|dir| dir.join(name));
            (name, programs.find(|program| program.is_file()))
        };
        Self(GATEWAYS.map(find).into())
    }

    pub fn find_or_install() -> Self {
        let found = Self::find();
        let packages = found.missing_packages().join(" ");
        if packages.is_empty() || !install(&packages) {
            return found;
        }
        Self::find()
    }

    fn missing_packages(&self) -> Vec<&'static str> {
        let is_missing = |name| self.0.contains(&(name, None));
        let missing = GATEWAYS.iter().filter(|(name, _)| is_missing(name));
        missing.map(|(_, package)| *package).collect()
    }

    /// The environment that tells the tests which programs to run.
    pub fn exports(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().filter_map(|(name, program)| {
            let variable = format!("SYMBOLON_TEST_{}", name.to_uppercase());
            Some((variable, program.as_ref()?.display().to_string()))
        })
    }

    pub fn missing(&self) -> Option<(&'static str, &'static str)> {
        let command = "sudo apt-get install -y nginx-light caddy haproxy";
        let complete = self.missing_packages().is_empty();
        (!complete).then_some(("one of nginx, Caddy and HAProxy", command))
    }
}

fn imports_authlib(python: &Path) -> bool {
    python.is_file()
        && Command::new(python)
            .args(["-c", "import authlib, cryptography, jwt, requests"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

fn path() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}

/// Whether it was tried: packages by name, separated by spaces.
fn install(packages: &str) -> bool {
    if !is_root() || !has_apt() {
        return false;
    }
    let install = format!("apt-get install -y --no-install-recommends {packages}");
    eprintln!("xtask: installing what the tests need ({install})");
    if !apt("apt-get update") || !apt(&install) {
        eprintln!("xtask: the installation failed");
    }
    true
}

/// Distributions keep the server's programs off the PATH, and put wrappers for the clients on it:
/// the directory of each installed version comes first, newest first.
fn postgres_dirs(path: &[PathBuf]) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let resolved = path.iter().filter_map(|dir| {
        let program = dir.join("initdb").canonicalize().ok()?;
        program.parent().map(Path::to_owned)
    });
    versions
        .into_iter()
        .map(|(_, dir)| dir)
        .chain(resolved)
        .collect()
}

/// Packaged services must not come up: they would take the standard ports, and nobody asked for
/// them. `RUNLEVEL=1` tells the packages' scripts that the system is not in service.
fn apt(command: &str) -> bool {
    let mut words = command.split(' ');
    words.next().is_some_and(|program| {
        Command::new(program)
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1")
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

fn has_apt() -> bool {
    Path::new("/usr/bin/apt-get").is_file()
}

pub fn is_root() -> bool {
    numeric_id("-u", None) == Some(0)
}

/// The user (`-u`) or group (`-g`) id of a user, or of this process.
pub fn numeric_id(which: &str, user: Option<&str>) -> Option<u32> {
    let output = Command::new("id").arg(which).args(user).output().ok()?;
    output.status.success().then_some(())?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}
