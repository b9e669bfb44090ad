//! The native envelope: RFC 9457 problem documents with a stable `code` and the request id.

use super::wire::{FieldProblem, Problem};
use crate::failure::Failure;
use crate::status::status;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{
    ALLOW, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse};
use symbolon_domain::{Code, FieldError};
use symbolon_text::{Arg, Lang, message};
use symbolon_web::{RequestTag, catch_panic, language};

const REALM: &str = "Bearer realm=\"symbolon\"";
/// Where waiting helps and nobody knows how long.
const RETRY_SECONDS: u64 = 2;

/// What an answer to a request needs to know of it.
pub struct Asked {
    tag: RequestTag,
    lang: Lang,
}

impl Asked {
    pub fn of(request: &HttpRequest) -> Self {
        Self {
            tag: RequestTag::of(request),
            lang: language(request).unwrap_or_default(),
        }
    }

    /// The problem document of a failure.
    pub fn render(&self, failure: &Failure) -> HttpResponse {
        let code = failure.code();
        let mut answer = HttpResponse::build(status(code));
        answer
            .insert_header((CONTENT_TYPE, "application/problem+json"))
            .insert_header((CONTENT_LANGUAGE, self.lang.as_str()))
            .insert_header((VARY, "Accept-Language"));
        let refusal = failure.error.refusal();
        match code {
            Code::Unauthenticated => {
                answer.insert_header((WWW_AUTHENTICATE, REALM));
            }
            // RFC 6750 §3.1: which scope would have been enough.
            Code::PermissionMissing => {
                let args = refusal
                    .map(|refusal| refusal.args.as_slice())
                    .unwrap_or(&[]);
                if let Some((_, scope)) = args.iter().find(|(name, _)| *name == "permission") {
                    let challenge =
                        format!("{REALM}, error=\"insufficient_scope\", scope=\"{scope}\"");
                    answer.insert_header((WWW_AUTHENTICATE, challenge));
                }
            }
            _ => {}
        }
        if let Some(allow) = &failure.allow {
            answer.insert_header((ALLOW, allow.as_str()));
        }
        let wait = refusal.and_then(|refusal| refusal.retry_after);
        let wait = wait.map(|wait| wait.as_secs_f64().ceil().max(1.0) as u64);
        if let Some(seconds) = wait.or_else(|| waits(code).then_some(RETRY_SECONDS)) {
            answer.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        answer.json(self.problem(failure))
    }

    fn problem(&self, failure: &Failure) -> Problem {
        let code = failure.code();
        let slug = code.as_str().replace('_', "-");
        let refusal = failure.error.refusal();
        let mut args = refusal
            .map(|refusal| refusal.args.clone())
            .unwrap_or_default();
        let mut id = format!("problem-{slug}");
        let title = message(self.lang, &format!("{id}.title"), &[]);
        if let Some(position) = &failure.position {
            args.push(("line", position.line.to_string()));
            args.push(("column", position.column.to_string()));
            id.push_str("-at");
        }
        let fields = refusal
            .map(|refusal| refusal.fields.as_slice())
            .unwrap_or(&[]);
        Problem {
            r#type: format!("urn:symbolon:problem:{}", code.as_str()),
            title,
            status: status(code).as_u16(),
            detail: message(self.lang, &id, &texts(&args)),
            instance: format!("urn:uuid:{}", self.tag.id),
            code: code.as_str(),
            request_id: self.tag.shown.clone(),
            line: failure.position.as_ref().map(|position| position.line),
            column: failure.position.as_ref().map(|position| position.column),
            errors: (code == Code::ValidationFailed).then(|| {
                let show = |error| self.field(error, &failure.meant);
                fields.iter().map(show).collect()
            }),
        }
    }

    fn field(&self, error: &FieldError, meant: &[(String, &'static str)]) -> FieldProblem {
        let id = format!("field-{}", error.code.as_str().replace('_', "-"));
        let mut detail = message(self.lang, &id, &texts(&error.code.args()));
        if let Some((_, name)) = meant.iter().find(|(pointer, _)| *pointer == error.pointer) {
            // A name and a question mark read alike in every language.
            detail.push_str(&format!(" ({name}?)"));
        }
        FieldProblem {
            pointer: error.pointer.clone(),
            code: error.code.as_str(),
            detail,
        }
    }

    /// The envelope of whatever went wrong below; the one place where causes are logged.
    fn answer(&self, error: &Error) -> HttpResponse {
        let Some(failure) = error.as_error::<Failure>() else {
            // Not one of ours: a framework's error has only a status.
            let status = error.as_response_error().status_code();
            tracing::warn!(request_id = %self.tag.shown, status = status.as_u16(), "an error without a code");
            let code = if status.is_client_error() {
                Code::MalformedRequest
            } else {
                Code::Internal
            };
            return self.render(&code.into());
        };
        match &failure.error {
            symbolon_app::Error::Unavailable { cause } => {
                tracing::warn!(request_id = %self.tag.shown, %cause, "unavailable");
            }
            symbolon_app::Error::Broken { cause } => {
                tracing::error!(request_id = %self.tag.shown, %cause, "internal error");
            }
            symbolon_app::Error::Refused(_) => {}
        }
        self.render(failure)
    }
}

const fn waits(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::RateLimited | Code::ResendLimited | Code::IdempotencyInProgress
    )
}

fn texts<'a>(args: &'a [(&'static str, String)]) -> Vec<(&'a str, Arg<'a>)> {
    args.iter()
        .map(|(name, value)| (*name, Arg::Str(value)))
        .collect()
}

/// Middleware of the native scope: every failure below it, a panic too, leaves in the envelope.
pub async fn envelope<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let asked = Asked::of(request.request());
    match catch_panic(async move { next.call(request).await }).await {
        Some(Ok(response)) => {
            let problem = response.response().error().map(|error| asked.answer(error));
            Ok(match problem {
                Some(problem) => ServiceResponse::new(response.into_parts().0, problem),
                None => response.map_into_boxed_body(),
            })
        }
        // The request is gone, so the answer travels as an error that carries it.
        Some(Err(error)) => {
            let problem = asked.answer(&error);
            Err(InternalError::from_response("answered already", problem).into())
        }
        None => {
            tracing::error!(request_id = %asked.tag.shown, "a handler panicked");
            let problem = asked.render(&Code::Internal.into());
            Err(InternalError::from_response("answered already", problem).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use std::time::Duration;
    use symbolon_domain::{FieldCode, Refusal, RequestId};
    use uuid::Uuid;

    fn asked(lang: Lang) -> Asked {
        Asked {
            tag: RequestTag {
                shown: "trace-0001".to_owned(),
                id: RequestId(Uuid::from_u128(7)),
            },
            lang,
        }
    }

    async fn shown(lang: Lang, failure: Failure) -> String {
        let answer = asked(lang).render(&failure);
        let mut head: Vec<_> = answer
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        head.sort();
        let head = format!("{}\n{}", answer.status(), head.join("\n"));
        let body = to_bytes(answer.into_body()).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        format!("{head}\n\n{}", serde_json::to_string_pretty(&body).unwrap())
    }

    #[actix_web::test]
    async fn problems_in_both_languages() {
        let refusal = Refusal::fields(vec![
            FieldError::new("/name", FieldCode::TooLong { max: 120 }),
            FieldError::new("/expire_at", FieldCode::Unknown),
        ]);
        for lang in Lang::ALL {
            let failure = Failure {
                meant: vec![("/expire_at".to_owned(), "expires_at")],
                ..refusal.clone().into()
            };
            insta::assert_snapshot!(
                format!("validation_{}", lang.as_str()),
                shown(lang, failure).await
            );
        }
    }

    #[actix_web::test]
    async fn headers_go_with_their_codes() {
        let text = shown(Lang::En, Code::Unauthenticated.into()).await;
        assert!(
            text.contains("www-authenticate: Bearer realm=\"symbolon\"\n"),
            "{text}"
        );
        let refusal = Refusal::with(
            Code::PermissionMissing,
            [("permission", "symbolon:admin".to_owned())],
        );
        let text = shown(Lang::En, refusal.into()).await;
        assert!(
            text.contains("error=\"insufficient_scope\", scope=\"symbolon:admin\""),
            "{text}"
        );
        let refusal = Refusal::new(Code::ResendLimited).retry_after(Duration::from_millis(4_100));
        let text = shown(Lang::En, refusal.into()).await;
        assert!(
            text.starts_with("429") && text.contains("retry-after: 5\n"),
            "{text}"
        );
        let text = shown(Lang::En, Code::Unavailable.into()).await;
        assert!(
            text.starts_with("503") && text.contains("retry-after: 2\n"),
            "{text}"
        );
    }

    #[actix_web::test]
    async fn causes_stay_inside() {
        let cause = "password=hunter2".to_owned();
        for error in [
            symbolon_app::Error::Broken {
                cause: cause.clone(),
            },
            symbolon_app::Error::Unavailable { cause },
        ] {
            let answer = asked(Lang::En).answer(&Failure::from(error).into());
            let body = to_bytes(answer.into_body()).await.unwrap();
            assert!(!String::from_utf8_lossy(&body).contains("hunter2"));
        }
    }

    #[test]
    fn every_code_has_prose_in_every_language() {
        for lang in Lang::ALL {
            for code in Code::ALL {
                let mut refusal = Refusal::new(*code);
                for name in ["permission", "scope", "limit"] {
                    refusal.args.push((name, "3".to_owned()));
                }
                let problem = asked(lang).problem(&refusal.into());
                for text in [&problem.title, &problem.detail] {
                    assert!(!text.starts_with("problem-"), "{lang:?} {text}");
                }
            }
            let every = [
                FieldCode::Required,
                FieldCode::Unknown,
                FieldCode::WrongType {
                    wanted: "string".into(),
                },
                FieldCode::TooShort { min: 1 },
                FieldCode::TooLong { max: 1 },
                FieldCode::TooMany { max: 1 },
                FieldCode::OutOfRange { min: 1, max: 2 },
                FieldCode::IllegalCharacters,
                FieldCode::NotAnEmail,
                FieldCode::NotATime,
                FieldCode::NotInFuture,
                FieldCode::NotASpan,
                FieldCode::NotAnId,
                FieldCode::NotAScope,
                FieldCode::NotAPrefix,
                FieldCode::NotAllowed {
                    allowed: "a, b".into(),
                },
                FieldCode::NotFound,
                FieldCode::BeyondPolicy { max: "90d".into() },
                FieldCode::BeyondLimit { max: "30d".into() },
                FieldCode::BeforeStart,
                FieldCode::CannotBeNull,
                FieldCode::Disowned,
            ];
            for code in every {
                let detail = asked(lang).field(&FieldError::new("/x", code), &[]).detail;
                assert!(!detail.starts_with("field-"), "{lang:?} {detail}");
            }
        }
    }
}
