//! The answer about a token, written straight from what is known: nothing of it is copied first.

use crate::envelope::REALM;
use crate::quota::{self, Left, Policy};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::fmt;
use symbolon_app::{RateState, Subject, Verified};
use symbolon_domain::{
    AccountId, CredentialId, EnvironmentId, Reason, Scope, ServiceAccountId, Timestamp,
};
use utoipa::ToSchema;
use uuid::Uuid;

/// What was found out about a token. Of one that is `malformed` or `unknown` (which is also what lies outside
/// the caller's reach) nothing is said.
#[derive(Serialize, ToSchema)]
pub struct Verification<'a> {
    pub valid: bool,
    /// `valid`, or the first reason against it.
    #[schema(value_type = super::VerdictCode)]
    pub code: &'static str,
    #[schema(required, value_type = Option<String>, format = "uuid")]
    pub account_id: Option<AccountId>,
    #[schema(required, value_type = Option<String>, format = "uuid")]
    pub environment_id: Option<EnvironmentId>,
    #[schema(required)]
    pub service_account: Option<Holder<'a>>,
    #[schema(required)]
    pub token: Option<Verifying<'a>>,
    /// What it may do now.
    #[schema(required, value_type = Option<Vec<String>>)]
    pub scopes: Option<Scopes<'a>>,
    /// Which of the scopes that were asked for it lacks; only with `insufficient_scope`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>)]
    pub missing_scopes: Option<Missing<'a>>,
    /// Only where the token has a limit, and it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratelimit: Option<Quota>,
    #[schema(value_type = Headers)]
    pub headers: PassOn<'a>,
}

/// The service account that a token belongs to.
#[derive(Serialize, ToSchema)]
pub struct Holder<'a> {
    #[schema(value_type = String, format = "uuid")]
    pub id: ServiceAccountId,
    pub name: &'a str,
}

/// The token that was asked about.
#[derive(Serialize, ToSchema)]
pub struct Verifying<'a> {
    /// Of an access token its `jti`.
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    /// Of an access token its key's.
    pub public_id: &'a str,
    /// The earliest of all ends: its own, that of its grace, the policy's.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    pub expires_at: Option<Timestamp>,
    /// Whole seconds until then, rounded down.
    #[schema(required)]
    pub expires_in: Option<u64>,
    /// Replaced by a rotation, and in its grace: fetch the new one.
    pub retiring: bool,
}

/// What is left of a token's rate limit.
#[derive(Serialize, ToSchema)]
pub struct Quota {
    pub limit: u32,
    pub remaining: u32,
    /// Seconds until it is whole again, rounded up.
    pub reset: u64,
}

/// Header fields for the answer to whoever presented the token, ready to pass on.
pub struct PassOn<'a> {
    reason: Option<Reason>,
    wanted: &'a [Scope],
    rate: Option<RateState>,
}

/// Each is there only where it has something to say.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `PassOn` writes")]
pub struct Headers {
    /// RFC 6750: `invalid_token`, or `insufficient_scope` with the scopes that were asked for.
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

/// The scopes that a token has now.
pub struct Scopes<'a>(Subject<'a>);

/// Those of the scopes asked for that it lacks.
pub struct Missing<'a> {
    verified: &'a Verified,
    wanted: &'a [Scope],
}

impl<'a> Verification<'a> {
    pub fn of(verified: &'a Verified, wanted: &'a [Scope]) -> Self {
        let (reason, subject, rate) = (verified.reason(), verified.subject(), verified.rate());
        let owner = subject.as_ref().and_then(|it| it.service_account);
        Self {
            valid: reason.is_none(),
            code: verified.code(),
            account_id: subject.as_ref().map(|it| it.account),
            environment_id: subject.as_ref().and_then(|it| it.environment),
            service_account: owner.map(|it| Holder {
                id: it.id,
                name: it.name.as_str(),
            }),
            token: subject.as_ref().map(|it| Verifying {
                id: token_id(it),
                public_id: it.credential.public_id.as_str(),
                expires_at: it.expires_at,
                expires_in: it.expires_at.map(|end| end.since(verified.now).as_secs()),
                retiring: it.retiring,
            }),
            scopes: subject.map(Scopes),
            missing_scopes: (reason == Some(Reason::InsufficientScope))
                .then_some(Missing { verified, wanted }),
            ratelimit: rate.as_ref().map(|state| Quota {
                limit: state.limit,
                remaining: state.remaining,
                reset: quota::seconds(state.reset),
            }),
            headers: PassOn {
                reason,
                wanted,
                rate,
            },
        }
    }
}

/// The id that ends it: an access token's own.
fn token_id(subject: &Subject<'_>) -> Uuid {
    let CredentialId(id) = subject.credential.id;
    subject.access_token.map_or(id, |token| token.id)
}

impl Serialize for Scopes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.scopes().map(Scope::as_str))
    }
}

impl Serialize for Missing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let missing = self.verified.missing_scopes(self.wanted);
        serializer.collect_seq(missing.map(Scope::as_str))
    }
}

impl Serialize for PassOn<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        match self.reason {
            None | Some(Reason::RateLimited) => {}
            Some(Reason::InsufficientScope) => {
                let challenge = Lacking(self.wanted);
                fields.serialize_entry("WWW-Authenticate", &Shown(&challenge))?;
            }
            Some(_) => fields.serialize_entry("WWW-Authenticate", &Shown(&Invalid))?,
        }
        if let Some(state) = &self.rate {
            fields.serialize_entry("RateLimit-Policy", &Shown(&Policy(state)))?;
            fields.serialize_entry("RateLimit", &Shown(&Left(state)))?;
            if let Some(span) = state.retry_after {
                fields.serialize_entry("Retry-After", &Shown(&quota::wait(span)))?;
            }
        }
        fields.end()
    }
}

/// What prints itself, as a text.
struct Shown<'a, T>(&'a T);

impl<T: fmt::Display> Serialize for Shown<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
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
