//! The one table from stable codes to HTTP statuses.

use actix_web::http::StatusCode;
use symbolon_domain::Code;

/// The HTTP status of a refusal at the native door. Compatibility doors have tables of their own.
pub const fn status(code: Code) -> StatusCode {
    match code {
        Code::MalformedBody | Code::MalformedRequest | Code::AccountRequired => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionMissing
        | Code::NotAllowedHere
        | Code::ContactUnconfirmed
        | Code::MintExceedsAuthority
        | Code::ReachExceeded
        | Code::CrossOriginBasic => StatusCode::FORBIDDEN,
        Code::NotFound | Code::LinkUnknown => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::AccountSuspended
        | Code::ServiceAccountSuspended
        | Code::ServiceAccountRevoked
        | Code::TokenSuspended
        | Code::TokenRevoked
        | Code::InvalidAction
        | Code::RotationInProgress
        | Code::TokenLimitReached
        | Code::NothingToConfirm
        | Code::NameTaken
        | Code::UsernameTaken
        | Code::DescriptionTaken
        | Code::AlreadyBootstrapped
        | Code::IdempotencyInProgress => StatusCode::CONFLICT,
        Code::LinkUsed | Code::LinkExpired => StatusCode::GONE,
        Code::VersionMismatch => StatusCode::PRECONDITION_FAILED,
        Code::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        // Well-formed, understood, and not acceptable as it stands: the request has to change.
        Code::ValidationFailed | Code::ScopeExceeded | Code::IdempotencyKeyReused => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Code::RateLimited | Code::ResendLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let rows: Vec<_> = Code::ALL
            .iter()
            .map(|code| format!("{} {}", status(*code).as_u16(), code.as_str()))
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    }
}
