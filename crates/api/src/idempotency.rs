//! `Idempotency-Key`: reading it, and the fingerprint of the request that it stands for.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use sha2::{Digest as _, Sha256};
use symbolon_domain::limits::IDEMPOTENCY_KEY_MAX;
use symbolon_domain::{Code, Digest};

pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The request's key: 1 to 200 visible ASCII characters, once. Anything else is a malformed request.
pub fn key(request: &HttpRequest) -> Result<Option<String>, Code> {
    let mut values = request.headers().get_all(KEY);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.as_bytes();
    let legal = (1..=IDEMPOTENCY_KEY_MAX).contains(&text.len())
        && text.iter().all(u8::is_ascii_graphic)
        && values.next().is_none();
    match String::from_utf8(text.to_vec()) {
        Ok(key) if legal => Ok(Some(key)),
        _ => Err(Code::MalformedRequest),
    }
}

/// SHA-256 over method, path, query and body: what makes two requests the same.
pub fn fingerprint(request: &HttpRequest, body: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    let target = match request.query_string() {
        "" => request.path().to_owned(),
        query => format!("{}?{query}", request.path()),
    };
    for part in [request.method().as_str(), &target] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(body);
    Digest::from_bytes(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn keys_are_visible_ascii() {
        let read = |value: &str| {
            let request = TestRequest::default().insert_header((KEY, value));
            key(&request.to_http_request())
        };
        assert_eq!(
            read("order-7/α".replace('α', "a").as_str()),
            Ok(Some("order-7/a".into()))
        );
        assert_eq!(read(&"k".repeat(200)).map(|k| k.is_some()), Ok(true));
        for bad in ["", "a b", &"k".repeat(201), "tab\there"] {
            assert_eq!(read(bad), Err(Code::MalformedRequest), "{bad}");
        }
        let twice = TestRequest::default()
            .append_header((KEY, "a"))
            .append_header((KEY, "b"));
        assert_eq!(key(&twice.to_http_request()), Err(Code::MalformedRequest));
        assert_eq!(key(&TestRequest::default().to_http_request()), Ok(None));
    }

    #[test]
    fn method_path_query_and_body_all_count() {
        let of = |request: TestRequest, body: &str| {
            fingerprint(&request.to_http_request(), body.as_bytes())
        };
        let first = of(TestRequest::post().uri("/a"), "{}");
        assert_eq!(first, of(TestRequest::post().uri("/a"), "{}"));
        assert_ne!(first, of(TestRequest::post().uri("/b"), "{}"));
        assert_ne!(first, of(TestRequest::post().uri("/a?b=c"), "{}"));
        assert_ne!(first, of(TestRequest::post().uri("/a"), "{ }"));
        assert_ne!(first, of(TestRequest::put().uri("/a"), "{}"));
    }
}
