//! How much may still be used, in header fields: `RateLimit-Policy` and `RateLimit` as in
//! draft-ietf-httpapi-ratelimit-headers-11 (structured fields, RFC 9651), and `Retry-After` (RFC 9110).
//!
//! The draft's own example of its two fields is `"default";q=100;w=60` and `"default";r=50;t=30`: `q` units
//! are allocated per window of `w` seconds, `r` of them are left, and `t` seconds pass until the quota is
//! whole again. Where `Retry-After` is sent too, `t` "SHOULD reference the same point in time", and does.

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{HeaderName, RETRY_AFTER};
use std::fmt;
use std::time::Duration;
use symbolon_app::RateState;

pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The value of `RateLimit-Policy`.
pub struct Policy<'a>(pub &'a RateState);

impl fmt::Display for Policy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RateState { limit, period, .. } = self.0;
        write!(f, "\"default\";q={limit};w={}", period.as_secs())
    }
}

/// The value of `RateLimit`.
pub struct Left<'a>(pub &'a RateState);

impl fmt::Display for Left<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0;
        let wait = state.retry_after.map_or_else(|| seconds(state.reset), wait);
        write!(f, "\"default\";r={};t={wait}", state.remaining)
    }
}

/// Whole seconds, rounded up: nobody comes too early.
pub fn seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

/// The value of `Retry-After`: at least a second.
pub fn wait(span: Duration) -> u64 {
    seconds(span).max(1)
}

/// Adds the three fields; `Retry-After` where the use was refused and waiting helps.
pub fn add(answer: &mut HttpResponseBuilder, state: &RateState) {
    answer
        .insert_header((RATE_LIMIT_POLICY, Policy(state).to_string()))
        .insert_header((RATE_LIMIT, Left(state).to_string()));
    if let Some(span) = state.retry_after {
        answer.insert_header((RETRY_AFTER, wait(span).to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::HttpResponse;

    fn state(remaining: u32, reset_ms: u64, retry_after_ms: Option<u64>) -> RateState {
        RateState {
            limit: 100,
            period: Duration::from_secs(60),
            remaining,
            reset: Duration::from_millis(reset_ms),
            retry_after: retry_after_ms.map(Duration::from_millis),
        }
    }

    fn fields(state: &RateState) -> Vec<String> {
        let mut answer = HttpResponse::Ok();
        add(&mut answer, state);
        let mut fields: Vec<_> = answer
            .finish()
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        fields.sort();
        fields
    }

    #[test]
    fn fields_are_those_of_the_draft() {
        let allowed = [
            "ratelimit-policy: \"default\";q=100;w=60",
            "ratelimit: \"default\";r=50;t=30",
        ];
        assert_eq!(fields(&state(50, 29_001, None)), allowed);
        let refused = [
            "ratelimit-policy: \"default\";q=100;w=60",
            "ratelimit: \"default\";r=0;t=1",
            "retry-after: 1",
        ];
        assert_eq!(fields(&state(0, 60_000, Some(600))), refused);
        assert_eq!(fields(&state(0, 60_000, Some(0))), refused);
        assert_eq!(
            fields(&state(100, 0, None))[1],
            "ratelimit: \"default\";r=100;t=0"
        );
    }
}
