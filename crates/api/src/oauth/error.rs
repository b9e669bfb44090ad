//! The errors of the OAuth endpoints (RFC 6749 §5.2, RFC 6750 §3.1, RFC 8707 §2). Descriptions are English,
//! as the RFCs want ASCII.

use super::wire::OAuthError;
use crate::envelope::Asked;
use crate::failure::Failure;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LANGUAGE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::{HttpResponse, HttpResponseBuilder};
use symbolon_app::{Error, OAuthFault};
use symbolon_domain::Code;
use symbolon_domain::verdict::Presentation;

const BASIC: &str = "Basic realm=\"symbolon\"";
const BEARER: &str = "Bearer realm=\"symbolon\"";

/// What the endpoints refuse with, and why.
#[derive(Debug)]
pub enum Fault {
    InvalidRequest(&'static str),
    /// Client credentials that are not good, or missing where nothing else would do.
    InvalidClient,
    /// Nothing came with the request that proves anything.
    Unauthenticated,
    /// What came as Bearer is not good here.
    InvalidToken,
    /// What came as Bearer may not do this; the scope that would have been enough.
    InsufficientScope(String),
    /// The client is who it says, and may not do this.
    UnauthorizedClient(&'static str),
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
            OAuthFault::UnauthorizedClient(why) => Self::UnauthorizedClient(why),
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

/// How a caller authenticated, and so how it has to be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// With a key's id and secret.
    Client,
    Bearer,
}

impl Way {
    pub fn presentation(self) -> Presentation {
        match self {
            Self::Client => Presentation::Client,
            Self::Bearer => Presentation::Bearer,
        }
    }

    /// A use case's refusal of the caller.
    pub fn fault(self, error: Error) -> Fault {
        let place = "The key may not be used for this, or from this address.";
        match (self, error.code()) {
            (Self::Client, Code::Unauthenticated) => Fault::InvalidClient,
            (Self::Client, Code::NotAllowedHere) => Fault::UnauthorizedClient(place),
            (Self::Client, Code::ContactUnconfirmed) => Fault::UnauthorizedClient(UNCONFIRMED),
            (Self::Client, Code::PermissionMissing) => {
                Fault::UnauthorizedClient("The key's scopes do not allow this.")
            }
            (
                Self::Bearer,
                Code::Unauthenticated | Code::NotAllowedHere | Code::ContactUnconfirmed,
            ) => Fault::InvalidToken,
            (Self::Bearer, Code::PermissionMissing) => {
                let args = error.refusal().into_iter().flat_map(|it| &it.args);
                let mut wanted = args.filter(|(name, _)| *name == "permission");
                let scope = wanted.next().map(|(_, scope)| scope.clone());
                Fault::InsufficientScope(scope.unwrap_or_default())
            }
            _ => Fault::Failed(error.into()),
        }
    }
}

const UNCONFIRMED: &str = "A contact of the service account has to be confirmed first.";

type Row = (StatusCode, &'static str, &'static str);

/// What a fault is answered with.
pub fn refuse(fault: Fault) -> Result<HttpResponse, Failure> {
    let (bad, unauthorized) = (StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED);
    let mut challenges = Vec::new();
    let row = match fault {
        Fault::InvalidRequest(why) => (bad, "invalid_request", why),
        Fault::InvalidClient => {
            challenges.push(BASIC.to_owned());
            let why =
                "The client's credentials are not those of a key in force that may be used here.";
            (unauthorized, "invalid_client", why)
        }
        Fault::Unauthenticated => {
            challenges.extend([BASIC.to_owned(), BEARER.to_owned()]);
            let why = "The caller has to authenticate: with a key's id and secret, or with a Bearer token.";
            (unauthorized, "invalid_client", why)
        }
        Fault::InvalidToken => {
            challenges.push(format!("{BEARER}, error=\"invalid_token\""));
            let why = "The Bearer token is not in force, or not to be used here.";
            (unauthorized, "invalid_token", why)
        }
        Fault::InsufficientScope(scope) => {
            let error = "insufficient_scope";
            challenges.push(format!("{BEARER}, error=\"{error}\", scope=\"{scope}\""));
            let why = "The scopes of the Bearer token do not allow this.";
            (unauthorized, error, why)
        }
        Fault::UnauthorizedClient(why) => (bad, "unauthorized_client", why),
        Fault::InvalidGrant(why) => (bad, "invalid_grant", why),
        Fault::UnsupportedGrantType => (
            bad,
            "unsupported_grant_type",
            "The grant types are client_credentials and urn:ietf:params:oauth:grant-type:jwt-bearer.",
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
    Ok(answer(row, |answer| {
        for challenge in challenges {
            answer.append_header((WWW_AUTHENTICATE, challenge));
        }
    }))
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
    let mut answer = unkept(HttpResponse::build(status));
    answer.insert_header((CONTENT_LANGUAGE, "en"));
    more(&mut answer);
    answer.json(OAuthError {
        error,
        error_description: description,
    })
}

/// An answer that nobody may keep (RFC 6749 §5.1).
pub fn unkept(mut answer: HttpResponseBuilder) -> HttpResponseBuilder {
    answer
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((PRAGMA, "no-cache"));
    answer
}

fn row(code: Code) -> Row {
    let (status, why) = match code {
        Code::NotFound => (StatusCode::NOT_FOUND, "There is no such endpoint."),
        Code::MethodNotAllowed => (
            StatusCode::METHOD_NOT_ALLOWED,
            "The endpoint does not take this method.",
        ),
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
    use actix_web::body::MessageBody;
    use symbolon_domain::Refusal;

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
    fn a_caller_is_challenged_in_its_own_way() {
        let bearer = |more: &str| format!("{BEARER}{more}");
        let lacks = Refusal::with(Code::PermissionMissing, [("permission", "a:b".to_owned())]);
        for (fault, status, error, challenges) in [
            (
                Fault::InvalidClient,
                401,
                "invalid_client",
                vec![BASIC.to_owned()],
            ),
            (
                Fault::Unauthenticated,
                401,
                "invalid_client",
                vec![BASIC.to_owned(), bearer("")],
            ),
            (
                Way::Bearer.fault(Code::Unauthenticated.into()),
                401,
                "invalid_token",
                vec![bearer(", error=\"invalid_token\"")],
            ),
            (
                Way::Bearer.fault(Code::NotAllowedHere.into()),
                401,
                "invalid_token",
                vec![bearer(", error=\"invalid_token\"")],
            ),
            (
                Way::Bearer.fault(lacks.clone().into()),
                401,
                "insufficient_scope",
                vec![bearer(", error=\"insufficient_scope\", scope=\"a:b\"")],
            ),
            (
                Way::Client.fault(Code::Unauthenticated.into()),
                401,
                "invalid_client",
                vec![BASIC.to_owned()],
            ),
            (
                Way::Client.fault(lacks.into()),
                400,
                "unauthorized_client",
                vec![],
            ),
            (
                Way::Client.fault(Code::ContactUnconfirmed.into()),
                400,
                "unauthorized_client",
                vec![],
            ),
            (Fault::InvalidGrant("why"), 400, "invalid_grant", vec![]),
            (
                Fault::UnsupportedGrantType,
                400,
                "unsupported_grant_type",
                vec![],
            ),
        ] {
            let shown = format!("{fault:?}");
            let answer = refuse(fault).unwrap();
            assert_eq!(answer.status(), status, "{shown}");
            let all = answer.headers().get_all(WWW_AUTHENTICATE);
            let all: Vec<_> = all.map(|it| it.to_str().unwrap().to_owned()).collect();
            assert_eq!(all, challenges, "{shown}");
            let header = |name: &str| answer.headers().get(name).unwrap().to_str().unwrap();
            assert_eq!(header("cache-control"), "no-store");
            assert_eq!(header("pragma"), "no-cache");
            let body = answer.into_body().try_into_bytes().unwrap();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"], error, "{shown}");
            assert!(
                is_legal(body["error_description"].as_str().unwrap()),
                "{shown}"
            );
        }
        for code in [Code::RateLimited, Code::Unavailable, Code::Internal] {
            for way in [Way::Bearer, Way::Client] {
                assert!(refuse(way.fault(code.into())).is_err(), "{code:?}");
            }
        }
    }
}
