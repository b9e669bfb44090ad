//! `[database]`: which database, and how long it may take.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::{Parsed, Reader};
use super::values::{Secret, UrlParts};

#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    pub location: DatabaseLocation,
    /// Connections at most, for each process.
    pub pool_size: usize,
    /// To open a connection, or to wait for a free one.
    pub connect_timeout: Duration,
    pub lock_timeout: Duration,
    pub statement_timeout: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub enum DatabaseLocation {
    Sqlite(PathBuf),
    /// A `postgres://` URL, password included.
    Postgres(Secret),
}

impl Database {
    pub(super) fn read(reader: &mut Reader, data_dir: &Path) -> Self {
        let location = reader.optional("database.url", location);
        Self {
            location: location.unwrap_or_else(|| {
                let path = data_dir.join("symbolon.db");
                let url = format!("sqlite:{}", path.display());
                reader.derived("database.url", url, "data.dir");
                DatabaseLocation::Sqlite(path)
            }),
            pool_size: reader.integer("database.pool_size", 1..=1000),
            connect_timeout: reader.duration("database.connect_timeout", "100ms", "1m"),
            lock_timeout: reader.duration("database.lock_timeout", "10ms", "1m"),
            statement_timeout: reader.duration("database.statement_timeout", "100ms", "1h"),
        }
    }
}

fn location(url: &str) -> Parsed<DatabaseLocation> {
    // `sqlite://…` is refused: elsewhere it means a relative or an absolute path, at whim.
    if let Some(path) = url.strip_prefix("sqlite:")
        && !path.is_empty()
        && !path.starts_with("//")
    {
        return Ok(DatabaseLocation::Sqlite(path.into()));
    }
    UrlParts::parse(url)
        .filter(|url| {
            // A socket's directory can be named by the parameter instead.
            let by_parameter = url.query.is_some_and(|query| query.contains("host="));
            let has_host = !url.host.is_empty() || by_parameter;
            matches!(url.scheme, "postgres" | "postgresql") && has_host
        })
        .map(|_| DatabaseLocation::Postgres(Secret::new(url)))
        .ok_or_else(|| {
            "sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/NAME, \
             with special characters of the password percent-encoded"
                .to_owned()
        })
}
