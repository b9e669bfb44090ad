//! What went wrong, as a kind page with the right status. Causes go to the log here, once, and nowhere else.

use crate::page::{Notice, Tone};
use crate::response;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use std::time::Duration;
use symbolon_app::Error;
use symbolon_domain::Code;
use symbolon_text::Lang;
use symbolon_web::RequestTag;

/// What a link is for: the same refusal reads differently.
#[derive(Clone, Copy)]
pub enum Purpose {
    Confirmation,
    Setup,
}

/// How long to wait when the refusal does not say.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The page for an error of a use case.
pub fn page(request: &HttpRequest, purpose: Purpose, error: &Error) -> HttpResponse {
    let lang = response::reader(request, None);
    let tag = || RequestTag::of(request).shown.to_string();
    let (status, name, tone) = match error.code() {
        Code::LinkUnknown | Code::NotFound => (StatusCode::NOT_FOUND, "link-unknown", Tone::Plain),
        Code::LinkUsed => match purpose {
            Purpose::Confirmation => (StatusCode::GONE, "link-used", Tone::Plain),
            Purpose::Setup => (StatusCode::GONE, "setup-used", Tone::Plain),
        },
        Code::LinkExpired => match purpose {
            Purpose::Confirmation => (StatusCode::GONE, "link-expired", Tone::Plain),
            Purpose::Setup => (StatusCode::GONE, "setup-expired", Tone::Plain),
        },
        Code::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate-limited", Tone::Plain),
        Code::Unavailable => {
            if let Error::Unavailable { cause } = error {
                tracing::warn!(request_id = %tag(), %cause, "a page is not available");
            }
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", Tone::Bad)
        }
        code => {
            match error {
                Error::Broken { cause } => {
                    tracing::error!(request_id = %tag(), %cause, "a page failed");
                }
                _ => {
                    tracing::error!(request_id = %tag(), code = code.as_str(), "a page has no words for this refusal");
                }
            }
            return internal(lang, tag());
        }
    };
    let mut answer = response::page(status, lang, &Notice::new(lang, name, tone));
    if matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    ) {
        let wait = error
            .refusal()
            .and_then(|refusal| refusal.retry_after)
            .unwrap_or(RETRY_AFTER);
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, whole_seconds(wait).into());
    }
    answer
}

/// Rounded up: nobody should come back too early.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Our own mistake, with the id to name when asking for help.
pub fn internal(lang: Lang, request_id: String) -> HttpResponse {
    let notice = Notice {
        request_id: Some(request_id),
        ..Notice::new(lang, "internal", Tone::Bad)
    };
    response::page(StatusCode::INTERNAL_SERVER_ERROR, lang, &notice)
}

/// A request that no page of ours sends.
pub fn refused(request: &HttpRequest, status: StatusCode, name: &'static str) -> HttpResponse {
    let lang = response::reader(request, None);
    response::page(status, lang, &Notice::new(lang, name, Tone::Bad))
}

pub fn method_not_allowed(request: &HttpRequest, allow: &'static str) -> HttpResponse {
    let mut answer = refused(request, StatusCode::METHOD_NOT_ALLOWED, "method");
    answer
        .headers_mut()
        .insert(header::ALLOW, header::HeaderValue::from_static(allow));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(3)), 3);
        assert_eq!(whole_seconds(Duration::from_millis(3001)), 4);
    }
}
