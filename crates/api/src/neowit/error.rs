//! The Neowit envelope: `reason`, `status`, `traceID`, `validations`, and the statuses of this door.

use super::wire;
use crate::envelope::Asked;
use crate::failure::Failure;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use std::collections::BTreeMap;
use symbolon_domain::Code;

/// The HTTP status of a refusal. What is wrong with a request is 400 here, its fields included; what is
/// gone for good is as if it had never been.
pub const fn status(code: Code) -> StatusCode {
    match code {
        Code::MalformedBody
        | Code::MalformedRequest
        | Code::AccountRequired
        | Code::ValidationFailed
        | Code::ScopeExceeded
        | Code::IdempotencyKeyReused => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionMissing
        | Code::NotAllowedHere
        | Code::ContactUnconfirmed
        | Code::MintExceedsAuthority
        | Code::ReachExceeded
        | Code::CrossOriginBasic => StatusCode::FORBIDDEN,
        Code::NotFound
        | Code::ServiceAccountRevoked
        | Code::TokenRevoked
        | Code::LinkUnknown
        | Code::LinkUsed
        | Code::LinkExpired => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::AccountSuspended
        | Code::ServiceAccountSuspended
        | Code::TokenSuspended
        | Code::InvalidAction
        | Code::RotationInProgress
        | Code::TokenLimitReached
        | Code::NothingToConfirm
        | Code::NameTaken
        | Code::UsernameTaken
        | Code::DescriptionTaken
        | Code::AlreadyBootstrapped
        | Code::VersionMismatch
        | Code::IdempotencyInProgress => StatusCode::CONFLICT,
        Code::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::RateLimited | Code::ResendLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub fn render(asked: &Asked, failure: &Failure) -> HttpResponse {
    let status = status(failure.code());
    let refusal = failure.error.refusal();
    let fields = refusal.map(|refusal| refusal.fields.as_slice());
    let mut validations = BTreeMap::new();
    for error in fields.unwrap_or_default() {
        // The first thing that is wrong with a field is its hint.
        validations
            .entry(path(&error.pointer))
            .or_insert_with(|| asked.field(error, &failure.meant));
    }
    asked.answer(status, failure).json(wire::Error {
        reason: asked.detail(failure),
        status: words(status),
        trace_id: asked.tag.shown.to_string(),
        validations,
    })
}

/// `serviceAccount.name` for `/name`, `orgId` for `?orgId`, `body` for all of it. Use cases call a field as the native door does.
fn path(pointer: &str) -> String {
    if let Some(parameter) = pointer.strip_prefix('?') {
        return parameter.to_owned();
    }
    if pointer.is_empty() {
        return "body".to_owned();
    }
    let mut path = "serviceAccount".to_owned();
    for part in pointer.split('/').skip(1) {
        path.push('.');
        path.push_str(match part {
            "contact_email" => "email",
            "basic_auth_enabled" => "enableBasicAuth",
            part => part,
        });
    }
    path
}

fn words(status: StatusCode) -> String {
    status
        .canonical_reason()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use symbolon_domain::{FieldCode, FieldError, Refusal};
    use symbolon_text::Lang;

    #[test]
    fn table() {
        let row = |code: &Code| {
            let status = status(*code);
            format!("{} {}: {}", status.as_u16(), words(status), code.as_str())
        };
        let rows: Vec<_> = Code::ALL.iter().map(row).collect();
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn pointers_become_paths() {
        for (pointer, wanted) in [
            ("", "body"),
            ("/name", "serviceAccount.name"),
            ("/contact_email", "serviceAccount.email"),
            ("/a/0", "serviceAccount.a.0"),
            ("?orgId", "orgId"),
            ("?key-id", "key-id"),
        ] {
            assert_eq!(path(pointer), wanted);
        }
    }

    #[actix_web::test]
    async fn prose_follows_the_reader_and_nothing_else_does() {
        let refusal = Refusal::fields(vec![
            FieldError::new("/name", FieldCode::Required),
            FieldError::new("/email", FieldCode::NotAnEmail),
        ]);
        let mut shown = String::new();
        for lang in Lang::ALL {
            let answer = render(&Asked::sample(lang), &refusal.clone().into());
            assert_eq!(answer.status(), 400);
            let body = to_bytes(answer.into_body()).await.unwrap();
            shown.push_str(&String::from_utf8_lossy(&body));
            shown.push('\n');
        }
        insta::assert_snapshot!("validation", shown);
    }
}
