//! The Unleash envelope: `{id, name, message, details}` on every error, and the table from our codes to
//! its statuses and names.

use super::wire::{ApiError, ErrorDetail};
use crate::envelope::Asked;
use crate::failure::Failure;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use symbolon_domain::{Code, FieldError};
use symbolon_text::message;

pub fn render(asked: &Asked, failure: &Failure) -> HttpResponse {
    let (status, name) = kind(failure.code(), asked.authorization);
    let fields = failure.error.refusal().map(|it| it.fields.as_slice());
    let message = match fields {
        Some([_, ..]) => message(asked.lang, "unleash-validation-failed", &[]),
        _ => asked.detail(failure),
    };
    let mut details: Vec<ErrorDetail> = fields
        .unwrap_or_default()
        .iter()
        .map(|error| ErrorDetail {
            message: asked.field(error, &failure.meant),
            path: path(error),
        })
        .collect();
    if details.is_empty() {
        details.push(ErrorDetail {
            message: message.clone(),
            path: None,
        });
    }
    asked.answer(status, failure).json(ApiError {
        id: asked.tag.id.to_string(),
        name,
        message,
        details,
    })
}

/// The field, as this dialect writes it; none where the whole body is meant.
fn path(error: &FieldError) -> Option<String> {
    let mut words = error.pointer.strip_prefix('/')?.split('_');
    let mut path = words.next()?.to_owned();
    for word in words {
        let mut letters = word.chars();
        path.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        path.push_str(letters.as_str());
    }
    Some(path)
}

/// The status and the name of a code. `tried` is whether the request brought anything to prove itself.
const fn kind(code: Code, tried: bool) -> (StatusCode, &'static str) {
    match code {
        Code::MalformedBody
        | Code::MalformedRequest
        | Code::AccountRequired
        | Code::ValidationFailed
        | Code::IdempotencyKeyReused => (StatusCode::BAD_REQUEST, "BadDataError"),
        Code::Unauthenticated if tried => (StatusCode::UNAUTHORIZED, "UnauthorizedError"),
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "AuthenticationRequired"),
        Code::PermissionMissing
        | Code::NotAllowedHere
        | Code::CrossOriginBasic
        | Code::ContactUnconfirmed
        | Code::MintExceedsAuthority
        | Code::ReachExceeded => (StatusCode::FORBIDDEN, "NoAccessError"),
        // The caller may, but the present state or a limit does not let it.
        Code::TokenLimitReached
        | Code::ScopeExceeded
        | Code::AccountSuspended
        | Code::ServiceAccountSuspended
        | Code::TokenSuspended
        | Code::InvalidAction => (StatusCode::FORBIDDEN, "OperationDeniedError"),
        // What is revoked is deleted here.
        Code::NotFound
        | Code::ServiceAccountRevoked
        | Code::TokenRevoked
        | Code::LinkUnknown
        | Code::LinkUsed
        | Code::LinkExpired => (StatusCode::NOT_FOUND, "NotFoundError"),
        Code::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "NotImplementedError"),
        Code::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "RequestTimeoutError"),
        Code::NameTaken | Code::UsernameTaken | Code::DescriptionTaken => {
            (StatusCode::CONFLICT, "NameExistsError")
        }
        Code::RotationInProgress
        | Code::NothingToConfirm
        | Code::AlreadyBootstrapped
        | Code::VersionMismatch
        | Code::IdempotencyInProgress => (StatusCode::CONFLICT, "ConflictError"),
        Code::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeError"),
        // So the documentation spells it.
        Code::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "ContentTypeerror"),
        Code::RateLimited | Code::ResendLimited => {
            (StatusCode::TOO_MANY_REQUESTS, "RateLimitError")
        }
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableError"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_domain::FieldCode;

    #[test]
    fn table() {
        let row = |code: &Code, tried, note: &str| {
            let (status, name) = kind(*code, tried);
            format!("{} {name} {}{note}", status.as_u16(), code.as_str())
        };
        let mut rows: Vec<_> = Code::ALL.iter().map(|code| row(code, true, "")).collect();
        rows.push(row(&Code::Unauthenticated, false, " (nothing sent)"));
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn fields_are_called_as_on_the_wire() {
        let path = |pointer: &str| path(&FieldError::new(pointer, FieldCode::Required));
        assert_eq!(path("/rootRole").as_deref(), Some("rootRole"));
        assert_eq!(path("/expires_at").as_deref(), Some("expiresAt"));
        assert_eq!(path(""), None);
    }
}
