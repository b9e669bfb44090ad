//! Forms as our own pages send them: from our own site, of the right type, small.

use crate::failure;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use std::collections::HashMap;
use symbolon_app::App;
use symbolon_web::{BodyFailure, BodyLimits};

const MAX_BYTES: usize = 8 * 1024;

/// The fields of a form. Holds what people typed, so it has no `Debug`.
pub struct Form(HashMap<String, String>);

impl Form {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The field's text, moved out; empty when it was not sent.
    pub fn take(&mut self, name: &str) -> String {
        self.0.remove(name).unwrap_or_default()
    }
}

/// Reads the form, or answers with the page that says why not.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    app: &Data<App>,
) -> Result<Form, HttpResponse> {
    let no = |status, name| failure::refused(request, status, name);
    if !is_from_our_pages(request, app.public_url()) {
        return Err(no(StatusCode::FORBIDDEN, "cross-site"));
    }
    if !request
        .content_type()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    {
        return Err(no(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad-form"));
    }
    let limits = BodyLimits {
        max_bytes: MAX_BYTES,
        ..request
            .app_data::<Data<BodyLimits>>()
            .map_or_else(BodyLimits::default, |limits| ***limits)
    };
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let body = symbolon_web::read_body(payload, announced, limits, true)
        .await
        .map_err(|why| match why {
            BodyFailure::TooLarge => no(StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            BodyFailure::TimedOut => no(StatusCode::REQUEST_TIMEOUT, "bad-form"),
            BodyFailure::Broken | BodyFailure::WrongType => no(StatusCode::BAD_REQUEST, "bad-form"),
        })?;
    let fields = std::str::from_utf8(&body)
        .ok()
        .and_then(|text| Query::<HashMap<_, _>>::from_query(text).ok());
    match fields {
        Some(fields) => Ok(Form(fields.into_inner())),
        None => Err(no(StatusCode::BAD_REQUEST, "bad-form")),
    }
}

/// The link is the secret, so nobody else's page can know where to post; refused all the same.
///
/// A browser that says where the request comes from is believed. Pages with `Referrer-Policy: no-referrer`
/// post with `Origin: null`, ours among them, so that says nothing either way.
fn is_from_our_pages(request: &HttpRequest, public_url: &str) -> bool {
    let header = |name: header::HeaderName| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap_or("unreadable"))
    };
    match header(header::HeaderName::from_static("sec-fetch-site")) {
        Some("same-origin" | "none") => return true,
        Some(_) => return false,
        None => {}
    }
    let Some(origin) = header(header::ORIGIN).filter(|origin| *origin != "null") else {
        return true;
    };
    // A page cannot choose the Host of a request, so what names it there was loaded from there.
    let authority = |url: &str| {
        url.split_once("://")
            .map(|(_, rest)| rest.split('/').next().unwrap_or(rest).to_ascii_lowercase())
    };
    let ours = authority(public_url);
    let host = header(header::HOST).map(str::to_ascii_lowercase);
    authority(origin)
        .is_some_and(|origin| Some(&origin) == ours.as_ref() || Some(&origin) == host.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn accepted(headers: &[(&'static str, &'static str)]) -> bool {
        let mut request = TestRequest::post();
        for header in headers {
            request = request.append_header(*header);
        }
        is_from_our_pages(&request.to_http_request(), "https://sym.example.org/base")
    }

    #[test]
    fn posts_of_other_sites_are_refused() {
        for headers in [
            &[("Sec-Fetch-Site", "cross-site")][..],
            &[("Sec-Fetch-Site", "same-site")],
            &[
                ("Sec-Fetch-Site", "cross-site"),
                ("Origin", "https://sym.example.org"),
            ],
            &[("Sec-Fetch-Site", "cross-site"), ("Origin", "null")],
            &[("Origin", "https://evil.example")],
            &[("Origin", "https://sym.example.org.evil.example")],
            &[("Origin", "https://sym.example.org:8443")],
            &[
                ("Origin", "https://evil.example"),
                ("Host", "sym.example.org"),
            ],
            &[("Origin", "sym.example.org")],
            &[("Origin", "")],
        ] {
            assert!(!accepted(headers), "{headers:?}");
        }
    }

    #[test]
    fn posts_of_our_own_pages_and_of_programs_are_taken() {
        for headers in [
            &[][..],
            &[("Sec-Fetch-Site", "same-origin"), ("Origin", "null")],
            &[("Sec-Fetch-Site", "none")],
            &[("Origin", "null")],
            &[("Origin", "https://sym.example.org")],
            &[("Origin", "https://SYM.example.org")],
            &[
                ("Origin", "http://localhost:8080"),
                ("Host", "localhost:8080"),
            ],
        ] {
            assert!(accepted(headers), "{headers:?}");
        }
    }
}
