//! Request bodies: read within limits, parsed into a tree of our own that refuses duplicate keys.

use crate::failure::{Failure, Position};
use crate::fields::Fields;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, http::Method};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use symbolon_domain::Code;
use symbolon_web::{BodyFailure, BodyLimits, read_body};

/// A JSON value that remembers the order of its keys and has none of them twice.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// An integer that fits; every other number is `Number`.
    Integer(i64),
    Number,
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// A body as received, and as parsed; a request without a body has neither.
#[derive(Debug)]
pub struct Body {
    pub raw: Bytes,
    tree: Option<Json>,
}

impl Body {
    /// Reads the body of a request, in this order: its type (415), its size (413) and time (408),
    /// its syntax (400 with line and column).
    pub async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, Failure> {
        Self::parse(receive_json(request, payload).await?)
    }

    /// What was received, parsed.
    pub fn parse(raw: Bytes) -> Result<Self, Failure> {
        let tree = if raw.is_empty() {
            None
        } else {
            Some(parse(&raw)?)
        };
        Ok(Self { raw, tree })
    }

    /// As [`Self::read`], where a request has to name its body's type even if there is no body.
    pub async fn read_typed(request: &HttpRequest, payload: Payload) -> Result<Self, Failure> {
        if !is_json(request) {
            return Err(Code::UnsupportedMediaType.into());
        }
        Self::read(request, payload).await
    }

    /// The fields of a body that has to be there.
    pub fn required(&self) -> Result<Fields, Failure> {
        match &self.tree {
            None => Err(malformed(1, 1)),
            Some(tree) => Fields::of(tree.clone()),
        }
    }

    /// The fields of a body that may be left out, or null; it then has none.
    pub fn optional(&self) -> Result<Fields, Failure> {
        match &self.tree {
            None | Some(Json::Null) => Fields::of(Json::Object(Vec::new())),
            Some(tree) => Fields::of(tree.clone()),
        }
    }
}

/// The bytes of a JSON body within limits, not parsed; 415 where it calls itself something else.
pub async fn receive_json(request: &HttpRequest, payload: Payload) -> Result<Bytes, Failure> {
    receive(request, payload, is_json(request)).await
}

/// The bytes of a body within limits; 415 where there are some and `type_fits` is not so.
pub async fn receive(
    request: &HttpRequest,
    payload: Payload,
    type_fits: bool,
) -> Result<Bytes, Failure> {
    let limits = request
        .app_data::<Data<BodyLimits>>()
        .map_or_else(BodyLimits::default, |limits| *limits.get_ref());
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let received = read_body(payload, announced, limits, type_fits).await;
    Ok(received.map_err(|failure| match failure {
        BodyFailure::TooLarge => Code::PayloadTooLarge,
        BodyFailure::TimedOut => Code::RequestTimeout,
        BodyFailure::Broken => Code::MalformedBody,
        BodyFailure::WrongType => Code::UnsupportedMediaType,
    })?)
}

/// The body's media type in lower case, without parameters; `None` unless it is named exactly once.
pub fn media_type(request: &HttpRequest) -> Option<String> {
    essence(request).map(str::to_ascii_lowercase)
}

/// The same as it was written.
fn essence(request: &HttpRequest) -> Option<&str> {
    let mut values = request.headers().get_all(CONTENT_TYPE);
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    Some(value.to_str().ok()?.split(';').next()?.trim())
}

fn is_json(request: &HttpRequest) -> bool {
    essence(request).is_some_and(|essence| {
        essence.eq_ignore_ascii_case("application/json")
            || (essence.eq_ignore_ascii_case("application/merge-patch+json")
                && request.method() == Method::PATCH)
    })
}

fn parse(raw: &[u8]) -> Result<Json, Failure> {
    serde_json::from_slice(raw).map_err(|error| malformed(error.line(), error.column()))
}

fn malformed(line: usize, column: usize) -> Failure {
    Failure {
        position: Some(Position {
            line,
            column: column.max(1),
        }),
        ..Code::MalformedBody.into()
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Number, Json::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object: Vec<(String, Json)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            // Two readers could each take another one of two equal keys.
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom("duplicate key"));
            }
            object.push((key, entries.next_value()?));
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str) -> (usize, usize) {
        let position = parse(text.as_bytes()).unwrap_err().position.unwrap();
        (position.line, position.column)
    }

    #[test]
    fn syntax_errors_have_a_place() {
        assert_eq!(position("{"), (1, 1));
        assert_eq!(position("{\"a\": 1,\n  x}"), (2, 3));
        assert_eq!(position("{\"a\": 1} {}"), (1, 10));
        assert_eq!(position(&"[".repeat(200)).0, 1);
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn duplicate_keys_are_refused_at_any_depth() {
        assert_eq!(position("{\"a\": 1,\n\"a\": 2}").0, 2);
        assert!(parse(br#"{"a": {"b": 1, "\u0062": 2}}"#).is_err());
        assert!(parse(br#"{"a": {"b": 1}, "b": 2}"#).is_ok());
    }

    #[test]
    fn numbers_are_integers_only_when_they_are() {
        let array = parse(b"[1, -2, 1.0, 1e3, 18446744073709551615]").unwrap();
        let Json::Array(items) = array else {
            panic!("an array")
        };
        assert_eq!(
            items,
            [
                Json::Integer(1),
                Json::Integer(-2),
                Json::Number,
                Json::Number,
                Json::Number
            ]
        );
    }
}
