//! One line and one count per request: route templates, never raw paths, queries or credentials.

use crate::client_address::client_address;
use crate::request_id::{RequestTag, ShownId};
use crate::route::{HotPath, Route};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderValue, USER_AGENT};
use actix_web::http::{Method, StatusCode};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

const USER_AGENT_MAX: usize = 120;

/// What is known when a request begins.
pub(crate) struct Line {
    method: &'static str,
    route: Rc<Route>,
    tag: RequestTag,
    client: Option<IpAddr>,
    user_agent: Option<HeaderValue>,
    start: Instant,
}

impl Line {
    pub fn begin(request: &ServiceRequest, tag: &RequestTag) -> Self {
        Self {
            method: known(request.method()),
            // Looked up by path alone, so it is known before a door takes the request.
            route: Route::of(request),
            tag: *tag,
            client: client_address(request.request()),
            user_agent: request.headers().get(USER_AGENT).cloned(),
            start: Instant::now(),
        }
    }

    /// The request was answered through its route.
    pub fn end<B>(self, response: &ServiceResponse<B>, bytes: Option<u64>) {
        if !self.route.is_hot() && HotPath::marks(response.request()) {
            self.route.set_hot();
        }
        self.write(response.status(), bytes);
    }

    /// `bytes` is the answer's length where it is known before it is sent.
    pub fn write(self, status: StatusCode, bytes: Option<u64>) {
        let seconds = self.start.elapsed().as_secs_f64();
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    target: "symbolon::access",
                    $level,
                    method = self.method,
                    route = %self.route.pattern(),
                    status = status.as_u16(),
                    duration_ms = (seconds * 1e6).round() / 1e3,
                    bytes,
                    request_id = %self.tag.shown,
                    // What events keep, and some envelopes show, where the client's own id is another text.
                    request_uuid = (ShownId::from(self.tag.id) != self.tag.shown)
                        .then(|| tracing::field::display(self.tag.id)),
                    client = self.client.map(tracing::field::display),
                    user_agent = %printable(self.user_agent.as_ref()),
                    "request"
                )
            };
        }
        // An outage answers as many, and is told elsewhere.
        let is_told = !status.is_server_error() || status == StatusCode::SERVICE_UNAVAILABLE;
        if self.route.is_hot() && is_told {
            line!(tracing::Level::DEBUG);
        } else {
            line!(tracing::Level::INFO);
        }
        self.route.count(self.method, status, seconds);
    }
}

fn printable(user_agent: Option<&HeaderValue>) -> String {
    user_agent
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(USER_AGENT_MAX)
        .collect()
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
