//! The errors of the token endpoint (RFC 6749 §5.2, RFC 8707 §2). Descriptions are English, as the RFC
//! wants ASCII.

use super::wire::OAuthError;
use crate::envelope::Asked;
use crate::failure::Failure;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LANGUAGE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::{HttpResponse, HttpResponseBuilder};
use symbolon_app::OAuthFault;
use symbolon_domain::Code;

/// The challenge to clients that authenticated wrongly.
const CHALLENGE: &str = "Basic realm=\"symbolon\"";

/// Why there is no access token.
#[derive(Debug)]
pub enum Fault {
    InvalidRequest(&'static str),
    InvalidClient,
    InvalidGrant(&'static str),
    UnsupportedGrantType,
    InvalidScope,
    InvalidTarget,
    /// Nobody can tell; goes through the middleware, which logs the cause.
    Failed(Failure),
}

impl From<OAuthFault> for Fault {
    fn from(fault: OAuthFault) -> Self {
        match fault {
            OAuthFault::InvalidClient => Self::InvalidClient,
            OAuthFault::InvalidGrant(why) => Self::InvalidGrant(why),
            OAuthFault::InvalidScope => Self::InvalidScope,
            OAuthFault::InvalidTarget => Self::InvalidTarget,
            OAuthFault::Failed(error) => Self::Failed(error.into()),
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

type Row = (StatusCode, &'static str, &'static str);

/// What a fault is answered with.
pub fn refuse(fault: Fault) -> Result<HttpResponse, Failure> {
    let bad = StatusCode::BAD_REQUEST;
    let row = match fault {
        Fault::InvalidRequest(why) => (bad, "invalid_request", why),
        Fault::InvalidClient => (
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "The client's credentials are not those of the key that signed the assertion.",
        ),
        Fault::InvalidGrant(why) => (bad, "invalid_grant", why),
        Fault::UnsupportedGrantType => (
            bad,
            "unsupported_grant_type",
            "The only grant_type is urn:ietf:params:oauth:grant-type:jwt-bearer.",
        ),
        Fault::InvalidScope => (
            bad,
            "invalid_scope",
            "The scope cannot be read, is more than the key may do, or is too much for one token.",
        ),
        Fault::InvalidTarget => (
            bad,
            "invalid_target",
            "A resource is an absolute URI without a fragment; there are at most ten.",
        ),
        Fault::Failed(failure) => return Err(failure),
    };
    Ok(answer(row, |_| {}))
}

/// What went wrong before or below the endpoint.
pub fn render(asked: &Asked, failure: &Failure) -> HttpResponse {
    answer(row(failure.code()), |answer| {
        if let Some(allow) = &failure.allow {
            answer.insert_header((ALLOW, allow.as_str()));
        }
        if let Some(seconds) = asked.retry_after(failure) {
            answer.insert_header((RETRY_AFTER, seconds.to_string()));
        }
    })
}

fn answer(
    (status, error, description): Row,
    more: impl FnOnce(&mut HttpResponseBuilder),
) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    answer
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((PRAGMA, "no-cache"))
        .insert_header((CONTENT_LANGUAGE, "en"));
    if status == StatusCode::UNAUTHORIZED {
        answer.insert_header((WWW_AUTHENTICATE, CHALLENGE));
    }
    more(&mut answer);
    answer.json(OAuthError {
        error,
        error_description: description,
    })
}

fn row(code: Code) -> Row {
    let (status, why) = match code {
        Code::NotFound => (StatusCode::NOT_FOUND, "There is no such endpoint."),
        Code::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "The endpoint takes POST."),
        Code::RequestTimeout => (
            StatusCode::REQUEST_TIMEOUT,
            "The request took too long to arrive.",
        ),
        Code::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The request is too large."),
        Code::UnsupportedMediaType => (
            StatusCode::BAD_REQUEST,
            "The body has to be application/x-www-form-urlencoded.",
        ),
        Code::RateLimited => (
            StatusCode::TOO_MANY_REQUESTS,
            "There were too many requests.",
        ),
        Code::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The service cannot answer at the moment.",
        ),
        Code::Internal => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong on our side.",
        ),
        _ => (StatusCode::BAD_REQUEST, "The request cannot be taken."),
    };
    let error = match code {
        Code::RateLimited | Code::Unavailable => "temporarily_unavailable",
        Code::Internal => "server_error",
        _ => "invalid_request",
    };
    (status, error, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let show = |code: &Code| {
            let (status, error, why) = row(*code);
            assert!(is_legal(why), "{why}");
            format!("{} {error}: {}", status.as_u16(), code.as_str())
        };
        let rows: Vec<_> = Code::ALL.iter().map(show).collect();
        insta::assert_snapshot!(rows.join("\n"));
    }

    /// RFC 6749 §5.2.
    fn is_legal(description: &str) -> bool {
        let legal = |it: u8| matches!(it, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        description.bytes().all(legal)
    }

    #[test]
    fn only_a_failed_client_is_challenged() {
        for (fault, status, challenge) in [
            (Fault::InvalidClient, 401, Some(CHALLENGE)),
            (Fault::InvalidGrant("why"), 400, None),
            (Fault::UnsupportedGrantType, 400, None),
        ] {
            let answer = refuse(fault).unwrap();
            assert_eq!(answer.status(), status);
            let header = |name: &str| Some(answer.headers().get(name)?.to_str().unwrap());
            assert_eq!(header("www-authenticate"), challenge);
            assert_eq!(header("cache-control"), Some("no-store"));
            assert_eq!(header("pragma"), Some("no-cache"));
        }
    }
}
