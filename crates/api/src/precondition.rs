//! `ETag` and `If-Match` (RFC 9110 §13.1.1) over the version of a thing.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderValue, IF_MATCH};
use symbolon_domain::Code;

/// A version that nothing ever has.
const NO_VERSION: i64 = -1;

pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// The version that the client last saw; `None` where it does not care (no header, or `*`).
/// One strong tag is understood; a tag that we never gave matches nothing.
pub fn if_match(request: &HttpRequest) -> Result<Option<i64>, Code> {
    let mut values = request.headers().get_all(IF_MATCH);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = HeaderValue::to_str(value).unwrap_or("").trim();
    if values.next().is_some() {
        return Err(Code::MalformedRequest);
    }
    if text == "*" {
        return Ok(None);
    }
    let tag = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|tag| !tag.contains('"'))
        .ok_or(Code::MalformedRequest)?;
    let version = tag
        .parse()
        .ok()
        .filter(|version: &i64| version.to_string() == tag);
    Ok(Some(version.unwrap_or(NO_VERSION)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn tags() {
        let read = |value: &str| {
            if_match(
                &TestRequest::default()
                    .insert_header((IF_MATCH, value))
                    .to_http_request(),
            )
        };
        assert_eq!(read(&etag(7)), Ok(Some(7)));
        assert_eq!(read("*"), Ok(None));
        assert_eq!(read("\"abc\""), Ok(Some(NO_VERSION)));
        assert_eq!(read("\"07\""), Ok(Some(NO_VERSION)));
        for bad in ["7", "\"7", "W/\"7\"", "\"7\", \"8\"", ""] {
            assert_eq!(read(bad), Err(Code::MalformedRequest), "{bad}");
        }
        assert_eq!(
            if_match(&TestRequest::default().to_http_request()),
            Ok(None)
        );
    }
}
