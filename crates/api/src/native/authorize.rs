//! Forward authentication: a gateway (nginx `auth_request`, Caddy `forward_auth`, HAProxy) hands over the
//! head of a request that it holds back, and lets it pass if the answer is 200. `docs/forward-auth.md` has
//! the configurations.

use super::DOOR;
use super::answer::Answer;
use super::refusal::{refuse, unauthenticated, unauthenticated_body};
use super::verify::{AUDIENCE_MAX, cost_range, legal_cost};
use super::wire::write_scopes;
use crate::caller::{self, Sent};
use crate::data_plane::app;
use crate::envelope::Asked;
use crate::failure::Failure;
use crate::query::{self, Query};
use crate::quota;
use crate::written::{HeaderFields, push_id, push_time};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, get, post};
use std::borrow::Cow;
use std::fmt::Write;
use std::num::NonZeroU32;
use symbolon_app::{AuthorizeAsk, Subject, Verified};
use symbolon_domain::scope::SCOPES_MAX;
use symbolon_domain::{AccountId, Code, EnvironmentId, FieldCode, Reason, Refusal, Scope};
use symbolon_web::{HotPath, client_address};
use uuid::Uuid;

const ACCOUNT: HeaderName = HeaderName::from_static("x-symbolon-account");
const ENVIRONMENT: HeaderName = HeaderName::from_static("x-symbolon-environment");
const SERVICE_ACCOUNT: HeaderName = HeaderName::from_static("x-symbolon-service-account");
const SERVICE_ACCOUNT_NAME: HeaderName = HeaderName::from_static("x-symbolon-service-account-name");
const TOKEN: HeaderName = HeaderName::from_static("x-symbolon-token");
const SCOPES: HeaderName = HeaderName::from_static("x-symbolon-scopes");
const EXPIRES_AT: HeaderName = HeaderName::from_static("x-symbolon-expires-at");
const CODE: HeaderName = HeaderName::from_static("x-symbolon-code");

macro_rules! operation {
    ($(#[$doc:meta])* $name:ident, $method:ident) => {
        $(#[$doc])*
        #[utoipa::path(
            tag = "verification",
            params(
                ("account" = Option<String>, Query, format = "uuid", description = "Whose tokens open this; may be left out while the instance has one account."),
                ("environment" = Option<String>, Query, format = "uuid", description = "The environment that the token has to fit."),
                ("scope" = Option<Vec<String>>, Query, description = "Scopes that the token has to have, separated by spaces; may be repeated."),
                ("audience" = Option<String>, Query, description = "Whom an access token has to be meant for; absent means this service."),
                ("cost" = Option<u32>, Query, minimum = 1, maximum = 1_000_000, description = "What this request takes from the token's rate limit; absent means one."),
                ("deny" = Option<u16>, Query, description = "403: what would be 429 is 403, for proxies that know nothing else."),
            ),
            responses(
                (
                    status = 200,
                    description = "The request may pass.",
                    headers(
                        ("X-Symbolon-Account" = String, description = "The account's id."),
                        ("X-Symbolon-Environment" = String, description = "The environment's id; empty if it is bound to none."),
                        ("X-Symbolon-Service-Account" = String, description = "The service account's id; empty if it belongs to none."),
                        ("X-Symbolon-Service-Account-Name" = String, description = "Its name: UTF-8, percent-encoded."),
                        ("X-Symbolon-Token" = String, description = "The token's public id; of an access token, its key's."),
                        ("X-Symbolon-Scopes" = String, description = "What it may do now, separated by spaces."),
                        ("X-Symbolon-Expires-At" = String, description = "The earliest of all its ends; empty if it has none."),
                        ("RateLimit" = String, description = "Only where the token has a limit."),
                        ("RateLimit-Policy" = String, description = "Only where the token has a limit."),
                    ),
                ),
            ),
            security(("bearer" = [])),
        )]
        #[$method("/authorize")]
        pub async fn $name(request: HttpRequest) -> Answer {
            authorize(&request).await
        }
    };
}

operation! {
    /// Lets the request of another server pass, or not.
    ///
    /// `Authorization` is that request's own. The client's address comes from trusted proxies alone. What is
    /// refused with 403 or 429 says why in `X-Symbolon-Code`; a 401 never does.
    authorize_get, get
}
operation! {
    /// Lets the request of another server pass, or not. A body is not read.
    ///
    /// As with GET.
    authorize_post, post
}

async fn authorize(request: &HttpRequest) -> Answer {
    HotPath::mark(request);
    // Before anything else: whoever tries a new configuration without a token has to learn of its mistakes.
    let wanted = match Wanted::quick(request.query_string()) {
        Some(wanted) => wanted,
        None => Wanted::explained(request)?,
    };
    let sent = caller::sent(request, &DOOR);
    let evidence = sent.as_ref().map(Sent::evidence);
    let ask = wanted.ask(request);
    let verified = app(request).authorize(evidence, &ask).await?;
    Ok(match verified.reason() {
        None => passes(&verified),
        Some(reason) if reason.is_unauthenticated() => nobody(request),
        Some(reason) => refused(request, &verified, reason, &wanted),
    })
}

/// What the gateway demands.
#[derive(Debug, Clone, PartialEq)]
struct Wanted<'q> {
    account: Option<AccountId>,
    environment: Option<EnvironmentId>,
    scopes: Vec<Scope>,
    audience: Option<Cow<'q, str>>,
    cost: NonZeroU32,
    /// 429 becomes 403.
    denies_with_403: bool,
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Self {
            account: None,
            environment: None,
            scopes: Vec::new(),
            audience: None,
            cost: NonZeroU32::MIN,
            denies_with_403: false,
        }
    }
}

impl<'q> Wanted<'q> {
    /// Reads a query that is as it should be. `None`: [`Wanted::explained`] knows more.
    fn quick(text: &'q str) -> Option<Self> {
        let (mut wanted, mut seen) = (Self::default(), [false; 5]);
        let mut first = |at: usize| !std::mem::replace(&mut seen[at], true);
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value)?;
            match key {
                "scope" => read_scopes(&value, &mut wanted.scopes).ok()?,
                "account" if first(0) => wanted.account = Some(value.parse().ok()?),
                "environment" if first(1) => wanted.environment = Some(value.parse().ok()?),
                "audience" if first(2) => wanted.audience = Some(legal_audience(value).ok()?),
                "cost" if first(3) => wanted.cost = read_cost(&value).ok()?,
                "deny" if first(4) => wanted.denies_with_403 = read_deny(&value).ok()?,
                _ => return None,
            }
        }
        (wanted.scopes.len() <= SCOPES_MAX).then_some(wanted)
    }

    fn ask<'a>(&'a self, request: &HttpRequest) -> AuthorizeAsk<'a> {
        AuthorizeAsk {
            account: self.account,
            environment: self.environment,
            scopes: &self.scopes,
            audience: self.audience.as_deref(),
            client_ip: client_address(request),
            cost: self.cost,
        }
    }
}

impl Wanted<'static> {
    /// Reads the same, and tells all that is wrong: 400, since the mistake is the gateway's and no client's.
    fn explained(request: &HttpRequest) -> Result<Self, Failure> {
        Self::read(Query::of(request)?).map_err(|failure| match failure.error {
            symbolon_app::Error::Refused(refusal) => Failure {
                meant: failure.meant,
                ..Failure::from(Refusal {
                    code: Code::MalformedRequest,
                    ..refusal
                })
            },
            error => error.into(),
        })
    }

    fn read(mut query: Query) -> Result<Self, Failure> {
        let account = query.optional("account", query::id);
        let environment = query.optional("environment", query::id);
        let texts = query.repeated("scope", |text| {
            let mut scopes = Vec::new();
            read_scopes(text, &mut scopes).map(|()| scopes)
        });
        let scopes = texts.concat();
        let audience = query.optional("audience", |text| legal_audience(text.to_owned().into()));
        let cost = query.optional("cost", read_cost);
        let deny = query.optional("deny", read_deny);
        if scopes.len() > SCOPES_MAX {
            query.refuse("scope", FieldCode::TooMany { max: SCOPES_MAX });
        }
        query.finish()?;
        Ok(Self {
            account,
            environment,
            scopes,
            audience,
            cost: cost.unwrap_or(NonZeroU32::MIN),
            denies_with_403: deny.unwrap_or(false),
        })
    }
}

/// A value of a query (`application/x-www-form-urlencoded`); `None` where that is not clean.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|it| matches!(it, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high << 4 | low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn read_scopes(text: &str, scopes: &mut Vec<Scope>) -> Result<(), FieldCode> {
    let before = scopes.len();
    for scope in text.split(' ').filter(|it| !it.is_empty()) {
        scopes.push(scope.parse().map_err(|_| FieldCode::NotAScope)?);
    }
    if scopes.len() == before {
        // A variable that was never set must not open the door.
        return Err(FieldCode::NotAScope);
    }
    Ok(())
}

fn legal_audience(text: Cow<'_, str>) -> Result<Cow<'_, str>, FieldCode> {
    if text.len() > AUDIENCE_MAX {
        return Err(FieldCode::TooLong { max: AUDIENCE_MAX });
    }
    Ok(text)
}

fn read_cost(text: &str) -> Result<NonZeroU32, FieldCode> {
    let cost = text.parse().ok().and_then(legal_cost);
    cost.ok_or_else(cost_range)
}

fn read_deny(text: &str) -> Result<bool, FieldCode> {
    if text == "403" {
        return Ok(true);
    }
    let allowed = "403".to_owned();
    Err(FieldCode::NotAllowed { allowed })
}

fn passes(verified: &Verified) -> HttpResponse {
    let mut fields = HeaderFields::default();
    if let Some(subject) = verified.subject() {
        identify(&mut fields, &subject);
    }
    if let Some(state) = verified.rate() {
        fields.put(quota::RATE_LIMIT_POLICY, |text| {
            write!(text, "{}", quota::Policy(&state))
        });
        fields.put(quota::RATE_LIMIT, |text| {
            write!(text, "{}", quota::Left(&state))
        });
    }
    fields.answer(HttpResponse::Ok())
}

/// The headers that say who it is: all of them, empty where there is nothing to say. A gateway that copies one
/// that is not there may leave in its place what the client sent.
fn identify(fields: &mut HeaderFields, subject: &Subject<'_>) {
    let id = |id: Option<Uuid>| {
        move |text: &mut String| {
            id.into_iter().for_each(|id| push_id(text, id));
            Ok(())
        }
    };
    let (owner, end) = (subject.service_account, subject.expires_at);
    fields.put(ACCOUNT, id(Some(subject.account.0)));
    fields.put(ENVIRONMENT, id(subject.environment.map(|it| it.0)));
    fields.put(SERVICE_ACCOUNT, id(owner.map(|it| it.id.0)));
    fields.put(SERVICE_ACCOUNT_NAME, |text| {
        owner.map_or(Ok(()), |it| percent_encode(text, it.name.as_str()))
    });
    fields.put(TOKEN, |text| {
        text.write_str(subject.credential.public_id.as_str())
    });
    fields.put(SCOPES, |text| write_scopes(text, subject.scopes()));
    fields.put(EXPIRES_AT, |text| {
        end.into_iter().for_each(|end| push_time(text, end));
        Ok(())
    });
}

/// All but RFC 3986's unreserved characters, so that every reader of URLs can undo it.
fn percent_encode(to: &mut String, text: &str) -> std::fmt::Result {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            to.push(char::from(byte));
        } else {
            write!(to, "%{byte:02X}")?;
        }
    }
    Ok(())
}

fn nobody(request: &HttpRequest) -> HttpResponse {
    let asked = Asked::of(request);
    let code = HeaderValue::from_static(Code::Unauthenticated.as_str());
    let mut answer = unauthenticated(&asked);
    answer.insert_header((CODE, code));
    answer.body(unauthenticated_body(&asked))
}

fn refused(
    request: &HttpRequest,
    verified: &Verified,
    reason: Reason,
    wanted: &Wanted<'_>,
) -> HttpResponse {
    let asked = Asked::of(request);
    let (failure, status) = match (reason, verified.rate()) {
        (Reason::InsufficientScope, _) => (lacks(&wanted.scopes), StatusCode::FORBIDDEN),
        (Reason::ContactUnconfirmed, _) => (Code::ContactUnconfirmed.into(), StatusCode::FORBIDDEN),
        (Reason::RateLimited, Some(state)) => {
            let status = if wanted.denies_with_403 {
                StatusCode::FORBIDDEN
            } else {
                StatusCode::TOO_MANY_REQUESTS
            };
            (symbolon_app::Error::RateLimited(state).into(), status)
        }
        _ => (Code::NotAllowedHere.into(), StatusCode::FORBIDDEN),
    };
    refuse(&asked, &failure, status, |answer| {
        answer.insert_header((CODE, HeaderValue::from_static(reason.as_str())));
    })
}

/// RFC 6750 §3.1: which scopes it takes.
fn lacks(wanted: &[Scope]) -> Failure {
    let mut scopes = String::new();
    // Writing to a String does not fail.
    let _ = write_scopes(&mut scopes, wanted);
    Refusal::with(Code::PermissionMissing, [("permission", scopes)]).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    const ID: &str = "0198a7c2-0000-7000-8000-000000000000";

    /// The quick reader gives what the other one gives, or leaves it to that one.
    fn read(text: &str) -> Result<(Wanted<'static>, bool), Vec<String>> {
        // Whatever is no URI never gets here.
        let request = TestRequest::with_uri(&format!("/?{text}")).to_http_request();
        let quick = Wanted::quick(request.query_string());
        match Wanted::explained(&request) {
            Ok(explained) => {
                assert!(
                    quick.as_ref().is_none_or(|quick| *quick == explained),
                    "{text}"
                );
                Ok((explained, quick.is_some()))
            }
            Err(failure) => {
                assert_eq!(quick, None, "{text}");
                assert_eq!(failure.code(), Code::MalformedRequest);
                let refusal = failure.error.refusal().unwrap();
                let show = |it: &symbolon_domain::FieldError| {
                    format!("{} {}", it.pointer, it.code.as_str())
                };
                Err(refusal.fields.iter().map(show).collect())
            }
        }
    }

    #[test]
    fn queries_are_read_strictly() {
        let good = |text: &str| {
            let (wanted, quick) = read(text).unwrap();
            assert!(quick, "{text}");
            wanted
        };
        assert_eq!(good(""), Wanted::default());
        let text = format!(
            "account={ID}&environment={ID}&scope=a:b+c%3Ad&&scope=e&audience=https://x%2Fy&cost=5&deny=403"
        );
        let wanted = good(&text);
        assert_eq!(
            (wanted.account, wanted.environment),
            (ID.parse().ok(), ID.parse().ok())
        );
        let scopes: Vec<_> = wanted.scopes.iter().map(Scope::as_str).collect();
        assert_eq!(scopes, ["a:b", "c:d", "e"]);
        assert_eq!(wanted.audience.as_deref(), Some("https://x/y"));
        assert_eq!((wanted.cost.get(), wanted.denies_with_403), (5, true));
        // Unusual, and read all the same.
        let (wanted, quick) = read("%73cope=a&audience=%zz").unwrap();
        assert_eq!(
            (wanted.scopes.len(), wanted.audience.as_deref(), quick),
            (1, Some("%zz"), false)
        );

        for (bad, why) in [
            ("acount=7", "?acount unknown_field"),
            ("account=7", "?account not_an_id"),
            ("account=", "?account not_an_id"),
            ("environment=test", "?environment not_an_id"),
            ("scope=A", "?scope not_a_scope"),
            ("scope=a,b", "?scope not_a_scope"),
            ("scope=", "?scope not_a_scope"),
            ("scope", "?scope not_a_scope"),
            ("scope=a&scope=+", "?scope not_a_scope"),
            ("cost=0", "?cost out_of_range"),
            ("cost=1000001", "?cost out_of_range"),
            ("cost=1.0", "?cost out_of_range"),
            ("cost=1&cost=1", "?cost too_many"),
            ("deny=401", "?deny not_allowed"),
            ("deny", "?deny not_allowed"),
        ] {
            assert_eq!(read(bad), Err(vec![why.to_owned()]), "{bad}");
        }
        let many = "scope=a&".repeat(SCOPES_MAX);
        assert_eq!(good(&many).scopes.len(), SCOPES_MAX);
        assert_eq!(
            read(&format!("{many}scope=b")),
            Err(vec!["?scope too_many".to_owned()])
        );
        let long = format!("audience={}", "x".repeat(AUDIENCE_MAX + 1));
        assert_eq!(read(&long), Err(vec!["?audience too_long".to_owned()]));
    }

    proptest! {
        #[test]
        fn both_readers_come_to_the_same(
            pairs in proptest::collection::vec(
                (
                    "account|environment|scope|audience|cost|deny|deny|sc%6Fpe|x",
                    prop_oneof![
                        Just(ID.to_owned()),
                        "[a-c]{1,2}(:[a-c*]){0,4}([+]|%20|%2B)?",
                        "[0-9]{1,7}",
                        Just("403".to_owned()),
                        "([a-z]|%[0-9A-Fa-f]{2}|%|[+]|=){0,6}",
                    ],
                ),
                0..5,
            ),
        ) {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let _ = read(&pairs.join("&"));
        }
    }

    #[test]
    fn names_are_encoded_whole() {
        let mut text = String::new();
        percent_encode(&mut text, "CI / فاتورة 50%~").unwrap();
        assert_eq!(
            text,
            "CI%20%2F%20%D9%81%D8%A7%D8%AA%D9%88%D8%B1%D8%A9%2050%25~"
        );
    }
}
