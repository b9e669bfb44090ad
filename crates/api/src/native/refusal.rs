//! Problem documents that are answered too often to be written each time: their prose is made once a
//! language, and only the request's ids are put in.

use super::error::{PROBLEM, problem};
use crate::envelope::{Asked, REALM};
use crate::failure::Failure;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONTENT_LANGUAGE, CONTENT_TYPE, HeaderValue, VARY, WWW_AUTHENTICATE,
};
use actix_web::{HttpResponse, HttpResponseBuilder};
use std::sync::LazyLock;
use symbolon_domain::{Code, RequestId};
use symbolon_text::Lang;
use symbolon_web::RequestTag;
use uuid::Uuid;

/// What is written ahead: codes whose prose has no arguments, and where `deny=403` maps to.
const KINDS: [(Code, StatusCode); 5] = [
    (Code::Unauthenticated, StatusCode::UNAUTHORIZED),
    (Code::NotAllowedHere, StatusCode::FORBIDDEN),
    (Code::ContactUnconfirmed, StatusCode::FORBIDDEN),
    (Code::RateLimited, StatusCode::TOO_MANY_REQUESTS),
    (Code::RateLimited, StatusCode::FORBIDDEN),
];

/// A document around the two ids of its request.
struct Written {
    lang: Lang,
    code: Code,
    status: StatusCode,
    before: String,
    between: String,
    after: String,
}

static WRITTEN: LazyLock<Vec<Written>> = LazyLock::new(|| {
    let kinds = KINDS.into_iter();
    kinds
        .flat_map(|(code, status)| Lang::ALL.map(|lang| Written::new(lang, code, status)))
        .collect()
});

impl Written {
    fn new(lang: Lang, code: Code, status: StatusCode) -> Self {
        // Neither occurs in what people read.
        const SHOWN: &str = "@@@@@@@@";
        let id = RequestId(Uuid::nil());
        let asked = Asked {
            tag: RequestTag {
                shown: SHOWN.into(),
                id,
            },
            lang,
            authorization: false,
        };
        let text = serde_json::to_string(&problem(&asked, &code.into(), status));
        let text = text.expect("a problem document is JSON");
        let parts = text.split_once(&id.to_string()).and_then(|(before, rest)| {
            let (between, after) = rest.split_once(SHOWN)?;
            Some([before, between, after].map(str::to_owned))
        });
        let [before, between, after] = parts.expect("it names both ids of its request");
        Self {
            lang,
            code,
            status,
            before,
            between,
            after,
        }
    }

    fn with(&self, tag: &RequestTag) -> String {
        let mut id = Uuid::encode_buffer();
        let id = tag.id.0.hyphenated().encode_lower(&mut id);
        // An id that was taken over has no character that JSON escapes.
        [&self.before, &*id, &self.between, &*tag.shown, &self.after].concat()
    }
}

/// The body of a refusal with this code.
fn body(asked: &Asked, failure: &Failure, status: StatusCode) -> String {
    let code = failure.code();
    let mut written = WRITTEN.iter();
    match written.find(|it| (it.lang, it.code, it.status) == (asked.lang, code, status)) {
        Some(it) => it.with(&asked.tag),
        None => serde_json::to_string(&problem(asked, failure, status))
            .expect("a problem document is JSON"),
    }
}

/// The answer to a failure under a status of its own, as the door's envelope would have it. `complete` adds
/// headers.
pub fn refuse(
    asked: &Asked,
    failure: &Failure,
    status: StatusCode,
    complete: impl FnOnce(&mut HttpResponseBuilder),
) -> HttpResponse {
    let mut answer = asked.answer(status, failure);
    answer.insert_header((CONTENT_TYPE, PROBLEM));
    complete(&mut answer);
    answer.body(body(asked, failure, status))
}

/// The one answer to whoever proves nothing, whatever was wrong. Junk must cost hardly more than nothing.
pub fn unauthenticated(asked: &Asked) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Unauthorized();
    answer
        .insert_header((
            CONTENT_LANGUAGE,
            HeaderValue::from_static(asked.lang.as_str()),
        ))
        .insert_header((VARY, HeaderValue::from_static("Accept-Language")))
        .insert_header((WWW_AUTHENTICATE, HeaderValue::from_static(REALM)))
        .insert_header((CONTENT_TYPE, PROBLEM));
    answer
}

/// The body of [`unauthenticated`].
pub fn unauthenticated_body(asked: &Asked) -> String {
    let mut written = WRITTEN.iter();
    let found = written.find(|it| it.code == Code::Unauthenticated && it.lang == asked.lang);
    found
        .expect("it is written in every language")
        .with(&asked.tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::error::render;
    use crate::status::status;
    use actix_web::body::to_bytes;

    async fn shown(answer: HttpResponse) -> (StatusCode, Vec<String>, String) {
        let mut headers: Vec<_> = answer
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        let status = answer.status();
        let body = to_bytes(answer.into_body()).await.unwrap();
        (status, headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[actix_web::test]
    async fn what_is_written_ahead_is_what_the_envelope_says() {
        for lang in Lang::ALL {
            let asked = Asked::sample(lang);
            for (code, _) in KINDS {
                let failure = Failure::from(code);
                let slow = shown(render(&asked, &failure)).await;
                let quick = refuse(&asked, &failure, status(code), |_| ());
                assert_eq!(shown(quick).await, slow);
            }
            let mut answer = unauthenticated(&asked);
            let quick = answer.body(unauthenticated_body(&asked));
            let slow = shown(render(&asked, &Code::Unauthenticated.into())).await;
            assert_eq!(shown(quick).await, slow);
        }
    }

    #[actix_web::test]
    async fn a_document_names_the_status_that_it_comes_under() {
        let asked = Asked::sample(Lang::En);
        let failure = Failure::from(Code::RateLimited);
        for status in [
            StatusCode::FORBIDDEN,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::CONFLICT,
        ] {
            let (got, _, body) = shown(refuse(&asked, &failure, status, |_| ())).await;
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!((got, &body["status"]), (status, &status.as_u16().into()));
        }
    }
}
