//! Headers that every answer carries unless its handler said otherwise.

use actix_web::http::header::{
    self, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
};

pub(crate) fn add(headers: &mut HeaderMap, is_https: bool) {
    let mut default = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(REFERRER_POLICY, "no-referrer");
    // Answers may carry a token; what may be kept says so itself.
    default(CACHE_CONTROL, "no-store");
    if is_https {
        default(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}
