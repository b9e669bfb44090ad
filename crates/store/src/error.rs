//! What can go wrong with a database, in the four ways a caller can act on.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use symbolon_domain::Refusal;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A decision refused; nothing was written.
    #[error("refused: {}", .0.code.as_str())]
    Refused(Refusal),
    /// The database is out of reach, overloaded or waiting for a lock: the same request may pass later.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// Another request with the same idempotency key is still under way.
    #[error("the same idempotency key is in use")]
    ClaimBusy,
    /// A unique index refused; names the index or its columns.
    #[error("conflict on {0}")]
    Conflict(String),
    /// A stored value no longer parses, or a statement that cannot fail did.
    #[error("database: {0}")]
    Broken(String),
}

pub type Result<T> = std::result::Result<T, Error>;

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        match &error {
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, info) => {
                // SQLite has no constraint name: its message names the columns instead.
                Self::Conflict(info.constraint_name().unwrap_or(info.message()).to_owned())
            }
            DieselError::DatabaseError(
                DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::ReadOnlyTransaction,
                info,
            ) => Self::Unavailable(info.message().to_owned()),
            DieselError::DatabaseError(_, info) if is_passing(info.message()) => {
                Self::Unavailable(info.message().to_owned())
            }
            DieselError::BrokenTransactionManager | DieselError::AlreadyInTransaction => {
                Self::Unavailable(error.to_string())
            }
            DieselError::RollbackErrorOnCommit { .. } => Self::Unavailable(error.to_string()),
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// Diesel keeps no SQLSTATE: the conditions that pass by themselves are told by their message
/// (PostgreSQL classes 08, 40, 53, 55 and 57; SQLite's BUSY and LOCKED).
fn is_passing(message: &str) -> bool {
    const PASSING: [&str; 16] = [
        "canceling statement due to",
        "terminating connection",
        "the database system is",
        "too many clients",
        "too many connections",
        "remaining connection slots",
        "deadlock detected",
        "could not obtain lock",
        "could not serialize",
        "connection closed",
        "out of memory",
        "No space left",
        "could not extend file",
        "database is locked",
        "database table is locked",
        "disk I/O error",
    ];
    PASSING.iter().any(|text| message.contains(text))
}

/// PostgreSQL gave up waiting for a row or index entry that another transaction holds.
pub(crate) fn is_lock_timeout(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(_, info) if info.message().contains("due to lock timeout"))
}

impl From<deadpool::managed::PoolError<diesel_async::pooled_connection::PoolError>> for Error {
    fn from(
        error: deadpool::managed::PoolError<diesel_async::pooled_connection::PoolError>,
    ) -> Self {
        Self::Unavailable(format!("no connection: {error}"))
    }
}
