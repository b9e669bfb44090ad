//! The Prefactor envelope: `{status: "error", code, message}`, with `errors` by field where fields are
//! refused; and the one table from our codes to its HTTP statuses and codes.

use super::wire::{Error, FieldProblem, PlainError, ValidationError};
use crate::envelope::Asked;
use crate::failure::Failure;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use std::collections::BTreeMap;
use symbolon_domain::{Code, FieldCode, FieldError};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

const BAD_REQUEST: &str = "bad_request";
const NOT_AUTHENTICATED: &str = "not_authenticated";
const UNEXPECTED_REF_TYPE: &str = "unexpected_ref_type";
const VALIDATION_ERRORS: &str = "validation_errors";

/// The status and the code of a refusal. [`Code::Unauthenticated`] is [`NOT_AUTHENTICATED`] where no
/// header came at all.
const fn row(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::MalformedBody | Code::MalformedRequest | Code::AccountRequired => {
            (StatusCode::BAD_REQUEST, BAD_REQUEST)
        }
        Code::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, BAD_REQUEST),
        Code::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, BAD_REQUEST),
        Code::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST),
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "bad_authtoken"),
        Code::PermissionMissing
        | Code::NotAllowedHere
        | Code::CrossOriginBasic
        | Code::ContactUnconfirmed
        | Code::MintExceedsAuthority
        | Code::ScopeExceeded
        | Code::ReachExceeded => (StatusCode::FORBIDDEN, "not_permitted"),
        Code::NotFound | Code::LinkUnknown | Code::LinkUsed | Code::LinkExpired => {
            (StatusCode::NOT_FOUND, "not_found")
        }
        Code::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "not_implemented"),
        Code::AccountSuspended
        | Code::ServiceAccountSuspended
        | Code::ServiceAccountRevoked
        | Code::TokenSuspended
        | Code::TokenRevoked
        | Code::InvalidAction
        | Code::RotationInProgress
        | Code::TokenLimitReached
        | Code::NothingToConfirm
        | Code::AlreadyBootstrapped => (StatusCode::CONFLICT, "invalid_action"),
        Code::NameTaken
        | Code::UsernameTaken
        | Code::DescriptionTaken
        | Code::VersionMismatch
        | Code::IdempotencyInProgress => (StatusCode::CONFLICT, "conflict"),
        Code::IdempotencyKeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "conflict"),
        Code::ValidationFailed => (StatusCode::UNPROCESSABLE_ENTITY, VALIDATION_ERRORS),
        Code::RateLimited | Code::ResendLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "unexpected"),
    }
}

pub fn render(asked: &Asked, failure: &Failure) -> HttpResponse {
    let code = failure.code();
    let fields = match failure.error.refusal() {
        Some(refusal) if code == Code::ValidationFailed => refusal.fields.as_slice(),
        _ => &[],
    };
    let (status, error) = match fields {
        // Nothing is wrong with a field: the body is no object, or the path's id names something else.
        [whole] if whole.pointer.is_empty() => {
            let code = match whole.code {
                FieldCode::UnexpectedRefType => UNEXPECTED_REF_TYPE,
                _ => BAD_REQUEST,
            };
            let message = asked.field(whole, &[]);
            (StatusCode::BAD_REQUEST, plain(code, message))
        }
        [] => match row(code) {
            (status, _) if code == Code::Unauthenticated && !asked.authorization => {
                (status, plain(NOT_AUTHENTICATED, asked.detail(failure)))
            }
            (status, code) => (status, plain(code, asked.detail(failure))),
        },
        fields => {
            let (status, code) = row(Code::ValidationFailed);
            let error = ValidationError {
                code,
                errors: problems(asked, fields),
                message: asked.detail(failure),
                status: "error",
            };
            (status, Error::Validation(error))
        }
    };
    asked.answer(status, failure).json(error)
}

fn plain(code: &'static str, message: String) -> Error {
    Error::Plain(PlainError {
        code,
        message,
        status: "error",
    })
}

/// By the field's own name: requests may wrap their fields in `details`, or not. The first counts.
fn problems(asked: &Asked, fields: &[FieldError]) -> BTreeMap<String, FieldProblem> {
    let mut problems = BTreeMap::new();
    for field in fields {
        let pointer = field.pointer.as_str();
        let name = pointer
            .strip_prefix('?')
            .or(pointer.rsplit('/').next())
            .unwrap_or(pointer);
        problems
            .entry(name.to_owned())
            .or_insert_with(|| FieldProblem {
                code: field.code.as_str(),
                message: asked.field(field, &[]),
                status: "error",
            });
    }
    problems
}

/// Every code of the envelope without `errors`.
pub struct ErrorCode;

impl ErrorCode {
    fn all() -> Vec<&'static str> {
        let rows = Code::ALL.iter().map(|code| row(*code).1);
        let mut all: Vec<_> = rows
            .chain([NOT_AUTHENTICATED, UNEXPECTED_REF_TYPE])
            .filter(|code| *code != VALIDATION_ERRORS)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        words(Self::all())
    }
}

impl ToSchema for ErrorCode {
    fn name() -> std::borrow::Cow<'static, str> {
        "Error_Code".into()
    }
}

/// The code of the envelope with `errors`.
pub struct ValidationCode;

impl PartialSchema for ValidationCode {
    fn schema() -> RefOr<Schema> {
        words(vec![VALIDATION_ERRORS])
    }
}

impl ToSchema for ValidationCode {
    fn name() -> std::borrow::Cow<'static, str> {
        "Error_ValidationCode".into()
    }
}

fn words(words: Vec<&'static str>) -> RefOr<Schema> {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words));
    schema.build().into()
}

impl PartialSchema for Error {
    fn schema() -> RefOr<Schema> {
        let schema = OneOfBuilder::new()
            .item(Ref::from_schema_name(PlainError::name()))
            .item(Ref::from_schema_name(ValidationError::name()))
            .description(Some(
                "`code` is stable; `message` is for people, in the language of `Accept-Language`.",
            ));
        RefOr::T(Schema::OneOf(schema.build()))
    }
}

impl ToSchema for Error {
    fn name() -> std::borrow::Cow<'static, str> {
        "Error".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((PlainError::name().into(), PlainError::schema()));
        schemas.push((ValidationError::name().into(), ValidationError::schema()));
        PlainError::schemas(schemas);
        ValidationError::schemas(schemas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use symbolon_domain::Refusal;
    use symbolon_text::Lang;

    #[test]
    fn table() {
        let rows: Vec<_> = Code::ALL
            .iter()
            .map(|code| {
                let (status, theirs) = row(*code);
                format!("{} {theirs} <- {}", status.as_u16(), code.as_str())
            })
            .collect();
        insta::assert_snapshot!("prefactor_table", rows.join("\n"));
    }

    /// What no request can bring about in a test, and what is said of fields, in both languages.
    #[actix_web::test]
    async fn rendered() {
        let fields = Refusal::fields(vec![
            FieldError::new("/details/token_scope", FieldCode::Required),
            FieldError::new(
                "?pagination[page_size]",
                FieldCode::OutOfRange { min: 1, max: 100 },
            ),
            FieldError::new(
                "/expires_at",
                FieldCode::BeyondPolicy {
                    max: "90d".to_owned(),
                },
            ),
        ]);
        let mut text = String::new();
        for lang in Lang::ALL {
            let codes = [
                Code::RequestTimeout,
                Code::PayloadTooLarge,
                Code::IdempotencyInProgress,
                Code::RateLimited,
                Code::Internal,
                Code::Unavailable,
            ];
            let failures = codes.map(Failure::from);
            for failure in failures.into_iter().chain([fields.clone().into()]) {
                let answer = render(&Asked::sample(lang), &failure);
                let wait = answer.headers().get("retry-after");
                let wait = wait.map_or("-", |wait| wait.to_str().unwrap()).to_owned();
                let status = answer.status().as_u16();
                let body = to_bytes(answer.into_body()).await.unwrap();
                let body = String::from_utf8_lossy(&body).into_owned();
                text.push_str(&format!("{status}, retry after {wait}: {body}\n"));
            }
        }
        insta::assert_snapshot!("prefactor_rendered", text);
    }

    /// The codes that the contract lists, and the three of ours that none of them covers.
    #[test]
    fn codes_are_the_contracts_where_one_fits() {
        let listed = [
            "bad_authtoken",
            "bad_request",
            "invalid_action",
            "not_authenticated",
            "not_found",
            "not_implemented",
            "not_permitted",
            "unexpected",
            "unexpected_ref_type",
        ];
        let ours = ["conflict", "rate_limited", "unavailable"];
        let mut all = [&listed[..], &ours].concat();
        all.sort_unstable();
        assert_eq!(ErrorCode::all(), all);
    }
}
