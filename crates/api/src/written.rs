//! Pieces of answers that are given thousands of times a second, written where they stand.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use symbolon_domain::Timestamp;
use uuid::Uuid;

pub fn push_id(to: &mut String, id: Uuid) {
    to.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
}

/// As RFC 3339 writes it, in UTC.
pub fn push_time(to: &mut String, time: Timestamp) {
    to.push_str(time.write(&mut [0; Timestamp::TEXT_MAX]));
}

pub fn push_number(to: &mut String, number: u64) {
    to.push_str(itoa::Buffer::new().format(number));
}

/// A JSON text, with its quotes.
pub fn push_json(to: &mut String, text: &str) {
    let is_plain = |c: u8| c >= b' ' && !matches!(c, b'"' | b'\\');
    if text.bytes().all(is_plain) {
        to.push('"');
        to.push_str(text);
        to.push('"');
    } else {
        to.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// Header fields whose values are written into one text: ten allocations less.
#[derive(Default)]
pub struct HeaderFields {
    text: String,
    /// Each name, and where its value ends.
    ends: Vec<(HeaderName, usize)>,
}

/// Room for nearly all values together.
const VALUES_ROOM: usize = 512;

impl HeaderFields {
    /// Adds one; it is empty where writing fails, or where the value is none that a field can have.
    pub fn put(&mut self, name: HeaderName, write: impl FnOnce(&mut String) -> std::fmt::Result) {
        if self.ends.is_empty() {
            self.text.reserve(VALUES_ROOM);
            self.ends.reserve(9);
        }
        let start = self.text.len();
        if write(&mut self.text).is_err() {
            self.text.truncate(start);
        }
        self.ends.push((name, self.text.len()));
    }

    pub fn answer(self, mut answer: HttpResponseBuilder) -> HttpResponse {
        let (text, mut start) = (Bytes::from(self.text), 0);
        for (name, end) in self.ends {
            let value = HeaderValue::from_maybe_shared(text.slice(start..end));
            answer.insert_header((name, value.unwrap_or(HeaderValue::from_static(""))));
            start = end;
        }
        answer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_what_serde_writes(text in "[\\PC\"\\\\\u{0}-\u{1f}\u{7f}]{0,8}", number: u64, id: u128) {
            let mut to = String::new();
            push_json(&mut to, &text);
            prop_assert_eq!(to, serde_json::to_string(&text).unwrap());
            let mut to = String::new();
            push_number(&mut to, number);
            prop_assert_eq!(to, number.to_string());
            let mut to = String::new();
            push_id(&mut to, Uuid::from_u128(id));
            prop_assert_eq!(to, Uuid::from_u128(id).to_string());
        }
    }
}
