//! PostgreSQL for tests: a database of its own for each test on the shared private server, and
//! the server's own programs to look into it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{not_run, setting, test_name};

/// A database that is dropped with the value, whoever is still connected to it.
pub struct Database {
    name: String,
    server: String,
}

/// An empty database. `None`, and recorded as not run, where there is no server.
pub fn create_database() -> Option<Database> {
    let Some(server) = setting("SYMBOLON_TEST_POSTGRES_URL") else {
        not_run(&test_name(), "no PostgreSQL");
        return None;
    };
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let name = format!("test_{}_{number}", std::process::id());
    psql(&server, &format!("CREATE DATABASE {name}"));
    Some(Database { name, server })
}

impl Database {
    pub fn url(&self) -> String {
        self.url_with(&self.server)
    }

    /// As the role that must give its password.
    pub fn password_url(&self) -> String {
        let server = setting("SYMBOLON_TEST_POSTGRES_PASSWORD_URL");
        self.url_with(&server.expect("exported wherever PostgreSQL is"))
    }

    /// Through another address, such as a proxy's.
    pub fn url_through(&self, port: u16) -> String {
        let url = self.url();
        let (before, after) = url.rsplit_once(':').expect("the URL has a port");
        let (_, path) = after.split_once('/').expect("the URL has a database");
        format!("{before}:{port}/{path}")
    }

    /// The server's own port.
    pub fn port(&self) -> u16 {
        self.server
            .rsplit_once(':')
            .and_then(|(_, rest)| rest.split('/').next()?.parse().ok())
            .expect("the exported URL has a port")
    }

    pub fn psql(&self, sql: &str) -> String {
        psql(&self.url(), sql)
    }

    /// The whole database as SQL text.
    pub fn dump(&self) -> Vec<u8> {
        pg_dump(&self.url())
    }

    fn url_with(&self, server: &str) -> String {
        let (server, _) = server.rsplit_once('/').expect("the URL has a database");
        format!("{server}/{}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        if let Err(e) = try_psql(&self.server, &sql) {
            eprintln!("{sql}: {e}");
        }
    }
}

/// Runs statements in one session; the rows come unaligned: `|` between columns, a line each.
///
/// # Panics
/// With the server's message, if a statement fails.
pub fn psql(url: &str, sql: &str) -> String {
    try_psql(url, sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// As [`psql`], with the server's message as the error.
pub fn try_psql(url: &str, sql: &str) -> Result<String, String> {
    let mut command = Command::new(program("psql"));
    command
        .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql])
        .arg(url);
    let text = output(command)?;
    Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
}

/// # Panics
/// With the program's message, if it fails.
pub fn pg_dump(url: &str) -> Vec<u8> {
    let mut command = Command::new(program("pg_dump"));
    command.arg(url);
    output(command).unwrap_or_else(|e| panic!("pg_dump: {e}"))
}

fn output(mut command: Command) -> Result<Vec<u8>, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

fn program(name: &str) -> PathBuf {
    let bin = setting("SYMBOLON_TEST_PG_BIN").map(PathBuf::from);
    bin.unwrap_or_default().join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_made_looked_into_and_dropped() {
        let Some(database) = create_database() else {
            return;
        };
        database.psql("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, NULL)");
        assert_eq!(database.psql("SELECT * FROM t ORDER BY a"), "1|x\n2|");
        assert!(
            try_psql(&database.url(), "SELECT 1/0")
                .unwrap_err()
                .contains("zero")
        );
        let dump = String::from_utf8(database.dump()).unwrap();
        assert!(dump.contains("CREATE TABLE public.t"));
        let user = psql(&database.password_url(), "SELECT current_user");
        assert_eq!(user, "symbolon_password");
        assert!(
            try_psql(
                &database.password_url().replace("only", "wrong"),
                "SELECT 1"
            )
            .is_err()
        );

        let (server, name) = (database.server.clone(), database.name.clone());
        drop(database);
        let left = psql(
            &server,
            &format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'"),
        );
        assert_eq!(left, "0");
    }
}
