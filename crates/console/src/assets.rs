//! The one stylesheet, compiled in, under an address that changes with its content.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

const STYLESHEET: &str = include_str!("../assets/console.css");
pub const STYLESHEET_PATH: &str = "/assets/console.css";

/// FNV-1a, 64 bits: tells contents apart, protects nothing.
const fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

const FINGERPRINT: u64 = fingerprint(STYLESHEET.as_bytes());

pub fn stylesheet_href() -> String {
    format!("{STYLESHEET_PATH}?v={FINGERPRINT:016x}")
}

pub async fn stylesheet(request: HttpRequest) -> HttpResponse {
    let tag = format!("\"{FINGERPRINT:016x}\"");
    // Only the address with this content's fingerprint never changes its meaning: during a rolling
    // deploy an old page may ask a new process for the old one.
    let current = request.query_string() == format!("v={FINGERPRINT:016x}");
    let cache = if current {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let known = request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|value| value.trim().trim_start_matches("W/"))
        .any(|value| value == tag || value == "*");
    let mut response = if known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if known {
        response.finish()
    } else {
        response
            .content_type("text/css; charset=utf-8")
            .body(STYLESHEET)
    }
}
