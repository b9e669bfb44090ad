//! The native envelope: RFC 9457 problem documents with a stable `code` and the request id.

use super::wire::{FieldProblem, Problem};
use crate::envelope::Asked;
use crate::failure::Failure;
use crate::status::status;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use symbolon_domain::Code;

pub const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The problem document of a failure.
pub fn render(asked: &Asked, failure: &Failure) -> HttpResponse {
    let status = status(failure.code());
    asked
        .answer(status, failure)
        .insert_header((CONTENT_TYPE, PROBLEM))
        .json(problem(asked, failure, status))
}

/// What the document says, under a status that need not be its code's own.
pub fn problem(asked: &Asked, failure: &Failure, status: StatusCode) -> Problem {
    let code = failure.code();
    let fields = failure
        .error
        .refusal()
        .map(|refusal| refusal.fields.as_slice())
        .unwrap_or(&[]);
    Problem {
        r#type: format!("urn:symbolon:problem:{}", code.as_str()),
        title: asked.title(code),
        status: status.as_u16(),
        detail: asked.detail(failure),
        instance: format!("urn:uuid:{}", asked.tag.id),
        code: code.as_str(),
        request_id: asked.tag.shown.to_string(),
        line: failure.position.as_ref().map(|position| position.line),
        column: failure.position.as_ref().map(|position| position.column),
        errors: (code == Code::ValidationFailed || !fields.is_empty()).then(|| {
            let show = |error: &symbolon_domain::FieldError| FieldProblem {
                pointer: error.pointer.clone(),
                code: error.code.as_str(),
                detail: asked.field(error, &failure.meant),
            };
            fields.iter().map(show).collect()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use symbolon_domain::{FieldCode, FieldError, Refusal};
    use symbolon_text::Lang;

    async fn shown(lang: Lang, failure: Failure) -> String {
        let answer = render(&Asked::sample(lang), &failure);
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
}
