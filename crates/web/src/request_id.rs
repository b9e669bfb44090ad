//! The id of a request: the client's `X-Request-Id` if it is sane, else our own. It is shown in the
//! answer, in errors and in logs; events keep a UUID.

use crate::client_address::client_address;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpMessage, HttpRequest};
use std::fmt;
use std::ops::Deref;
use symbolon_app::{App, Origin};
use symbolon_domain::RequestId;

pub(crate) const HEADER: &str = "x-request-id";
const SHOWN_MAX: usize = 64;
const UUID_LENGTH: usize = 36;

/// How one request is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTag {
    /// As the client wrote it, or the UUID's text.
    pub shown: ShownId,
    /// What events keep: the client's own when it is a UUID, else ours.
    pub id: RequestId,
}

/// All that we keep of a request: in one place, since each place costs an allocation.
pub(crate) struct OfRequest {
    tag: RequestTag,
    /// See [`crate::HotPath::mark`].
    pub is_hot: bool,
}

/// A request's id as text, kept in place: every request has one, and several parts look at it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShownId {
    bytes: [u8; SHOWN_MAX],
    length: usize,
}

impl ShownId {
    /// The first 64 bytes of a text; ids that are taken over have no more.
    fn new(text: &str) -> Self {
        let length = text.floor_char_boundary(SHOWN_MAX);
        let mut bytes = [0; SHOWN_MAX];
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        Self { bytes, length }
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let text = Bytes::copy_from_slice(self.as_bytes());
        HeaderValue::from_maybe_shared(text).ok()
    }
}

impl From<&str> for ShownId {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<RequestId> for ShownId {
    fn from(id: RequestId) -> Self {
        let mut bytes = [0; SHOWN_MAX];
        id.0.hyphenated().encode_lower(&mut bytes);
        Self {
            bytes,
            length: UUID_LENGTH,
        }
    }
}

impl Deref for ShownId {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("it was copied from a text")
    }
}

impl fmt::Display for ShownId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for ShownId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl RequestTag {
    /// The tag that [`crate::edge`] gave the request; where nothing gave one, it gets one now.
    pub fn of(request: &HttpRequest) -> Self {
        if let Some(known) = request.extensions().get::<OfRequest>() {
            return known.tag;
        }
        let app = request.app_data::<Data<App>>();
        let tag = Self::new(request.headers(), app.expect(NEEDS_APP));
        let is_hot = false;
        request.extensions_mut().insert(OfRequest { tag, is_hot });
        tag
    }

    pub(crate) fn assign(request: &ServiceRequest) -> Self {
        Self::of(request.request())
    }

    fn new(headers: &HeaderMap, app: &App) -> Self {
        let sent = headers.get(HEADER).and_then(|value| value.to_str().ok());
        match sent.filter(|text| is_sane(text)) {
            Some(text) => Self {
                shown: text.into(),
                id: text.parse().unwrap_or_else(|_| app.new_request_id()),
            },
            None => {
                let id = app.new_request_id();
                Self {
                    shown: id.into(),
                    id,
                }
            }
        }
    }
}

pub(crate) const NEEDS_APP: &str = "every server puts Data<App> into its application data";

fn is_sane(text: &str) -> bool {
    (8..=SHOWN_MAX).contains(&text.len())
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

    #[test]
    fn a_shown_id_reads_as_its_text() {
        let uuid = "0198a7c2-aaaa-7bbb-8ccc-123456789abc";
        let id: RequestId = uuid.parse().unwrap();
        assert_eq!(&*ShownId::from(id), uuid);
        assert_eq!(ShownId::from(id), uuid.into());
        let long = "x".repeat(63) + "é";
        assert_eq!(&*ShownId::from(long.as_str()), "x".repeat(63));
        assert_eq!(ShownId::from("trace-0001").header().unwrap(), "trace-0001");
    }
}
