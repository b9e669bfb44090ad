//! One line and one count per request: route templates, never raw paths, queries or credentials.

use crate::client_address::client_address;
use crate::request_id::RequestTag;
use actix_web::dev::ServiceRequest;
use actix_web::http::{Method, StatusCode, header::USER_AGENT};
use std::net::IpAddr;
use std::time::Instant;
use symbolon_domain::RequestId;

const USER_AGENT_MAX: usize = 120;

/// What is known when a request begins.
pub(crate) struct Line {
    method: &'static str,
    route: String,
    request_id: String,
    /// What events keep, and some envelopes show, where the client's own id is another text.
    request_uuid: Option<RequestId>,
    client: Option<IpAddr>,
    user_agent: String,
    start: Instant,
}

impl Line {
    pub fn begin(request: &ServiceRequest, tag: &RequestTag) -> Self {
        let user_agent = request.headers().get(USER_AGENT);
        Self {
            method: known(request.method()),
            // Looked up by path alone, so it is known before a door takes the request.
            route: request
                .match_pattern()
                .unwrap_or_else(|| "(unmatched)".to_owned()),
            request_id: tag.shown.clone(),
            request_uuid: (tag.id.to_string() != tag.shown).then_some(tag.id),
            client: client_address(request.request()),
            user_agent: user_agent
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .unwrap_or_default()
                .chars()
                .filter(|c| !c.is_control())
                .take(USER_AGENT_MAX)
                .collect(),
            start: Instant::now(),
        }
    }

    /// `bytes` is the answer's length where it is known before it is sent.
    pub fn end(self, status: StatusCode, bytes: Option<u64>) {
        let seconds = self.start.elapsed().as_secs_f64();
        tracing::info!(
            target: "symbolon::access",
            method = self.method,
            route = %self.route,
            status = status.as_u16(),
            duration_ms = (seconds * 1e6).round() / 1e3,
            bytes,
            request_id = %self.request_id,
            request_uuid = self.request_uuid.map(tracing::field::display),
            client = self.client.map(tracing::field::display),
            user_agent = %self.user_agent,
            "request"
        );
        let labels = [
            ("method", self.method.to_owned()),
            ("route", self.route),
            ("status", status.as_str().to_owned()),
        ];
        metrics::counter!("symbolon_http_requests_total", &labels).increment(1);
        metrics::histogram!("symbolon_http_request_duration_seconds", &labels[..2]).record(seconds);
    }
}

/// A label must not be the client's to invent.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
