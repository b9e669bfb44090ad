//! What a use case can answer instead: a refusal with its code, or that it cannot be done now, or at all.

use crate::limiter::RateState;
use symbolon_domain::{Code, Refusal};

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("refused: {}", .0.code.as_str())]
    Refused(Refusal),
    /// The caller's credential was used too often.
    #[error("rate limited")]
    RateLimited(RateState),
    /// The same request may pass later. The cause is for the log only.
    #[error("unavailable: {cause}")]
    Unavailable { cause: String },
    /// Something that cannot happen did. The cause is for the log only.
    #[error("broken: {cause}")]
    Broken { cause: String },
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(refusal) => refusal.code,
            Self::RateLimited(_) => Code::RateLimited,
            Self::Unavailable { .. } => Code::Unavailable,
            Self::Broken { .. } => Code::Internal,
        }
    }

    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    pub(crate) fn broken(cause: impl std::fmt::Display) -> Self {
        Self::Broken {
            cause: cause.to_string(),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
}

impl From<symbolon_store::Error> for Error {
    fn from(error: symbolon_store::Error) -> Self {
        use symbolon_store::Error as Store;
        match error {
            Store::Refused(refusal) => Self::Refused(refusal),
            Store::Unavailable(cause) => Self::Unavailable { cause },
            Store::ClaimBusy => {
                let wait = std::time::Duration::from_secs(1);
                Self::Refused(Refusal::new(Code::IdempotencyInProgress).retry_after(wait))
            }
            // The unique indexes that a request can run into; all others are broken promises.
            // PostgreSQL names the index, SQLite the columns.
            Store::Conflict(index) if index.contains("environments") => Code::NameTaken.into(),
            Store::Conflict(index) if index.contains("username") => Code::UsernameTaken.into(),
            Store::Conflict(index)
                if index.contains("exclusive_name")
                    || index.contains("service_accounts.name_key") =>
            {
                Code::NameTaken.into()
            }
            Store::Conflict(index) => Self::Broken {
                cause: format!("conflict on {index}"),
            },
            Store::Broken(cause) => Self::Broken { cause },
        }
    }
}
