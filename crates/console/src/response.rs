//! A page as an HTTP answer: its headers, and the language it is in.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use symbolon_domain::Language;
use symbolon_text::Lang;

/// Nothing but our own stylesheet and our own forms; no frames, no script, no images.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The browser's language if it names one of ours, else the one the link was made for, else English.
pub fn reader(request: &HttpRequest, made_for: Option<Language>) -> Lang {
    symbolon_web::language(request)
        .or_else(|| Lang::parse(made_for?.as_str()))
        .unwrap_or_default()
}

/// Every page carries all of these itself: the links are secrets, whatever stands in front of us.
pub fn page(status: StatusCode, lang: Lang, template: &impl Template) -> HttpResponse {
    let Ok(html) = template.render() else {
        // Writing to a string does not fail, and nothing else can.
        return HttpResponse::InternalServerError().finish();
    };
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_LANGUAGE, lang.as_str()))
        .insert_header((header::VARY, "Accept-Language"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header(("X-Robots-Tag", "noindex"))
        .body(html)
}
