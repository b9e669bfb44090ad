//! What goes wrong at an API door, before a dialect puts it into its own envelope.

use crate::status::status;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use symbolon_app::Error;
use symbolon_domain::{Code, Refusal};

/// An error with what the door itself knows about it. Handlers return it; the dialect's middleware
/// renders it, since only there are the request's id and language at hand.
#[derive(Debug)]
pub struct Failure {
    pub error: Error,
    /// Where in the body its syntax breaks.
    pub position: Option<Position>,
    /// Pointers of unknown fields, with the names that were probably meant.
    pub meant: Vec<(String, &'static str)>,
    /// The methods that the path does take.
    pub allow: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Failure {
    pub fn code(&self) -> Code {
        self.error.code()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            position: None,
            meant: Vec::new(),
            allow: None,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Error::from(refusal).into()
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Error::from(code).into()
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code().as_str())
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        status(self.code())
    }

    /// Only the status: the envelope is the dialect's.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}
