//! The answer about a token, written straight from what is known: nothing of it is copied first, and it is
//! given thousands of times a second, so it is put together by hand. Every answer of the tests is held
//! against the types here, which describe it.

use crate::envelope::REALM;
use crate::quota::{self, Left, Policy};
use crate::written::{push_id, push_json, push_number, push_time};
use std::fmt::{self, Write};
use symbolon_app::{RateState, Subject, Verified};
use symbolon_domain::{CredentialId, Reason, Scope};
use utoipa::ToSchema;
use uuid::Uuid;

/// Room for nearly every answer, so that writing one allocates once.
const ANSWER_ROOM: usize = 1024;

/// What was found out about a token. Of one that is `malformed` or `unknown` (which is also what lies outside
/// the caller's reach) nothing is said.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `verification` writes")]
pub struct Verification {
    valid: bool,
    /// `valid`, or the first reason against it.
    #[schema(value_type = super::VerdictCode)]
    code: &'static str,
    #[schema(required, value_type = Option<String>, format = "uuid")]
    account_id: Option<Uuid>,
    #[schema(required, value_type = Option<String>, format = "uuid")]
    environment_id: Option<Uuid>,
    #[schema(required)]
    service_account: Option<Holder>,
    #[schema(required)]
    token: Option<Verifying>,
    /// What it may do now.
    #[schema(required)]
    scopes: Option<Vec<String>>,
    /// Which of the scopes that were asked for it lacks; only with `insufficient_scope`.
    #[schema(required = false)]
    missing_scopes: Vec<String>,
    /// Only where the token has a limit, and it was counted.
    #[schema(required = false)]
    ratelimit: Quota,
    headers: Headers,
}

/// The service account that a token belongs to.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `verification` writes")]
pub struct Holder {
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    name: String,
}

/// The token that was asked about.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `verification` writes")]
pub struct Verifying {
    /// Of an access token its `jti`.
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    /// Of an access token its key's.
    public_id: String,
    /// The earliest of all ends: its own, that of its grace, the policy's.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    expires_at: Option<String>,
    /// Whole seconds until then, rounded down.
    #[schema(required)]
    expires_in: Option<u64>,
    /// Replaced by a rotation, and in its grace: fetch the new one.
    retiring: bool,
}

/// What is left of a token's rate limit.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `verification` writes")]
pub struct Quota {
    limit: u32,
    remaining: u32,
    /// Seconds until it is whole again, rounded up.
    reset: u64,
}

/// Header fields for the answer to whoever presented the token, ready to pass on. Each is there only where it
/// has something to say.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `verification` writes")]
pub struct Headers {
    /// RFC 6750: `invalid_token` up to `expired`; `insufficient_scope` with the scopes that were asked for.
    #[schema(required = false, rename = "WWW-Authenticate")]
    www_authenticate: String,
    /// As in draft-ietf-httpapi-ratelimit-headers-11.
    #[schema(
        required = false,
        rename = "RateLimit-Policy",
        example = "\"default\";q=100;w=60"
    )]
    rate_limit_policy: String,
    #[schema(
        required = false,
        rename = "RateLimit",
        example = "\"default\";r=50;t=30"
    )]
    rate_limit: String,
    /// Seconds, when a use was refused that a wait would allow.
    #[schema(required = false, rename = "Retry-After")]
    retry_after: String,
}

/// The answer as JSON; `wanted` are the scopes that were asked for.
pub fn verification(verified: &Verified, wanted: &[Scope]) -> String {
    let mut to = String::with_capacity(ANSWER_ROOM);
    let (reason, rate) = (verified.reason(), verified.rate());
    to.push_str(if reason.is_none() {
        "{\"valid\":true,\"code\":\""
    } else {
        "{\"valid\":false,\"code\":\""
    });
    to.push_str(verified.code());
    to.push_str("\",\"account_id\":");
    match verified.subject() {
        Some(subject) => push_subject(&mut to, &subject, verified),
        None => to.push_str(
            "null,\"environment_id\":null,\"service_account\":null,\"token\":null,\"scopes\":null",
        ),
    }
    if reason == Some(Reason::InsufficientScope) {
        to.push_str(",\"missing_scopes\":");
        push_scopes(&mut to, verified.missing_scopes(wanted));
    }
    if let Some(state) = &rate {
        to.push_str(",\"ratelimit\":{\"limit\":");
        push_number(&mut to, state.limit.into());
        to.push_str(",\"remaining\":");
        push_number(&mut to, state.remaining.into());
        to.push_str(",\"reset\":");
        push_number(&mut to, quota::seconds(state.reset));
        to.push('}');
    }
    to.push_str(",\"headers\":{");
    push_headers(&mut to, reason, wanted, rate.as_ref());
    to.push_str("}}");
    to
}

/// From the value of `account_id` to that of `scopes`.
fn push_subject(to: &mut String, subject: &Subject<'_>, verified: &Verified) {
    quoted(to, |to| push_id(to, subject.account.0));
    to.push_str(",\"environment_id\":");
    or_null(to, subject.environment, |to, it| {
        quoted(to, |to| push_id(to, it.0));
    });
    to.push_str(",\"service_account\":");
    or_null(to, subject.service_account, |to, it| {
        to.push_str("{\"id\":");
        quoted(to, |to| push_id(to, it.id.0));
        to.push_str(",\"name\":");
        push_json(to, it.name.as_str());
        to.push('}');
    });
    to.push_str(",\"token\":{\"id\":");
    quoted(to, |to| push_id(to, token_id(subject)));
    to.push_str(",\"public_id\":");
    quoted(to, |to| to.push_str(subject.credential.public_id.as_str()));
    to.push_str(",\"expires_at\":");
    or_null(to, subject.expires_at, |to, end| {
        quoted(to, |to| push_time(to, end));
    });
    to.push_str(",\"expires_in\":");
    or_null(to, subject.expires_at, |to, end| {
        push_number(to, end.since(verified.now).as_secs());
    });
    to.push_str(if subject.retiring {
        ",\"retiring\":true},\"scopes\":"
    } else {
        ",\"retiring\":false},\"scopes\":"
    });
    push_scopes(to, subject.scopes());
}

/// The id that ends it: an access token's own.
fn token_id(subject: &Subject<'_>) -> Uuid {
    let CredentialId(id) = subject.credential.id;
    subject.access_token.map_or(id, |token| token.id)
}

fn push_headers(
    to: &mut String,
    reason: Option<Reason>,
    wanted: &[Scope],
    rate: Option<&RateState>,
) {
    let mut before = "\"";
    let mut put = |name: &str, value: &dyn fmt::Display| {
        to.push_str(before);
        before = ",\"";
        to.push_str(name);
        to.push_str("\":");
        quoted(to, |to| {
            // Writing to a text does not fail.
            let _ = write!(Escaped(to), "{value}");
        });
    };
    match reason {
        Some(Reason::InsufficientScope) => put("WWW-Authenticate", &Lacking(wanted)),
        // What is good but not here or not for this is a 403, which another token would not be better at.
        Some(reason) if reason.is_unauthenticated() => put("WWW-Authenticate", &Invalid),
        _ => {}
    }
    if let Some(state) = rate {
        put("RateLimit-Policy", &Policy(state));
        put("RateLimit", &Left(state));
        if let Some(span) = state.retry_after {
            put("Retry-After", &quota::wait(span));
        }
    }
}

fn quoted(to: &mut String, write: impl FnOnce(&mut String)) {
    to.push('"');
    write(to);
    to.push('"');
}

fn or_null<T>(to: &mut String, value: Option<T>, write: impl FnOnce(&mut String, T)) {
    match value {
        Some(value) => write(to, value),
        None => to.push_str("null"),
    }
}

/// No character of a scope is escaped in JSON.
fn push_scopes<'a>(to: &mut String, scopes: impl Iterator<Item = &'a Scope>) {
    to.push('[');
    for (at, scope) in scopes.enumerate() {
        to.push_str(if at == 0 { "\"" } else { ",\"" });
        to.push_str(scope.as_str());
        to.push('"');
    }
    to.push(']');
}

/// Within a JSON text: header fields are visible ASCII, of which only these two are escaped.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                self.0.push('\\');
            }
            self.0.push(c);
        }
        Ok(())
    }
}

/// RFC 6750 §3.1: "expired, revoked, malformed, or invalid for other reasons".
struct Invalid;

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{REALM}, error=\"invalid_token\"")
    }
}

/// RFC 6750 §3.1: it takes these.
struct Lacking<'a>(&'a [Scope]);

impl fmt::Display for Lacking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{REALM}, error=\"insufficient_scope\", scope=\"")?;
        write_scopes(f, self.0)?;
        f.write_str("\"")
    }
}

/// Scopes as header fields have them, separated by spaces.
pub fn write_scopes<'a>(
    to: &mut impl fmt::Write,
    scopes: impl IntoIterator<Item = &'a Scope>,
) -> fmt::Result {
    for (at, scope) in scopes.into_iter().enumerate() {
        if at > 0 {
            to.write_char(' ')?;
        }
        to.write_str(scope.as_str())?;
    }
    Ok(())
}
