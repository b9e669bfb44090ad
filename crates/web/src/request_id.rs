//! The id of a request: the client's `X-Request-Id` if it is sane, else our own. It is shown in the
//! answer, in errors and in logs; events keep a UUID.

use crate::client_address::client_address;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::HeaderMap;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};
use symbolon_app::{App, Origin};
use symbolon_domain::RequestId;

pub(crate) const HEADER: &str = "x-request-id";

/// How one request is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTag {
    /// As the client wrote it, or the UUID's text.
    pub shown: String,
    /// What events keep: the client's own when it is a UUID, else ours.
    pub id: RequestId,
}

impl RequestTag {
    /// The tag that [`crate::edge`] gave the request; where nothing gave one, it gets one now.
    pub fn of(request: &HttpRequest) -> Self {
        if let Some(tag) = request.extensions().get::<Self>() {
            return tag.clone();
        }
        let app = request.app_data::<Data<App>>();
        let tag = Self::new(request.headers(), app.expect(NEEDS_APP));
        request.extensions_mut().insert(tag.clone());
        tag
    }

    pub(crate) fn assign(request: &ServiceRequest) -> Self {
        Self::of(request.request())
    }

    fn new(headers: &HeaderMap, app: &App) -> Self {
        let sent = headers.get(HEADER).and_then(|value| value.to_str().ok());
        match sent.filter(|text| is_sane(text)) {
            Some(text) => Self {
                shown: text.to_owned(),
                id: text.parse().unwrap_or_else(|_| app.new_request_id()),
            },
            None => {
                let id = app.new_request_id();
                Self {
                    shown: id.to_string(),
                    id,
                }
            }
        }
    }
}

pub(crate) const NEEDS_APP: &str = "every server puts Data<App> into its application data";

fn is_sane(text: &str) -> bool {
    (8..=64).contains(&text.len())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'))
}

/// Where a request came from, for the use cases and their events.
pub fn origin(request: &HttpRequest) -> Origin {
    Origin {
        request: Some(RequestTag::of(request).id),
        client_ip: client_address(request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_ids_are_taken_over() {
        for good in [
            "12345678",
            "0198a7c2-aaaa-7bbb-8ccc-123456789abc",
            "trace_ID-1",
        ] {
            assert!(is_sane(good), "{good}");
        }
        let long = "x".repeat(65);
        for bad in [
            "",
            "1234567",
            "has space",
            "semi;colon",
            "новый-запрос",
            long.as_str(),
        ] {
            assert!(!is_sane(bad), "{bad}");
        }
    }
}
