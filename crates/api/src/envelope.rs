//! What every dialect's envelope shares: who asked in which language, the prose, the headers that go with
//! a code, and the middleware that catches whatever goes wrong below a door.

use crate::door::Door;
use crate::failure::Failure;
use crate::quota;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, AUTHORIZATION, CONTENT_LANGUAGE, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, HttpResponseBuilder};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use symbolon_domain::{Code, FieldError};
use symbolon_text::{Arg, Lang, message};
use symbolon_web::{RequestTag, catch_panic, language};

/// The challenge to whoever proved nothing (RFC 6750 §3).
pub const REALM: &str = "Bearer realm=\"symbolon\"";
/// Where waiting helps and nobody knows how long.
const RETRY_SECONDS: u64 = 2;

/// What an answer to a request needs to know of it.
pub struct Asked {
    pub tag: RequestTag,
    pub lang: Lang,
    /// Whether the request tried to prove itself: it has the header `Authorization`.
    pub authorization: bool,
}

impl Asked {
    pub fn of(request: &HttpRequest) -> Self {
        Self {
            tag: RequestTag::of(request),
            lang: language(request).unwrap_or_default(),
            authorization: request.headers().contains_key(AUTHORIZATION),
        }
    }

    /// An answer in the making, with the headers that go with a failure at every door: its language, the
    /// challenge (RFC 6750 §3), `Allow`, `Retry-After`. The body is the dialect's.
    pub fn answer(&self, status: StatusCode, failure: &Failure) -> HttpResponseBuilder {
        let mut answer = HttpResponse::build(status);
        answer
            .insert_header((CONTENT_LANGUAGE, self.lang.as_str()))
            .insert_header((VARY, "Accept-Language"));
        if let Some(challenge) = challenge(failure) {
            answer.insert_header((WWW_AUTHENTICATE, challenge));
        }
        if let Some(allow) = &failure.allow {
            answer.insert_header((ALLOW, allow.as_str()));
        }
        if let Some(seconds) = self.retry_after(failure) {
            answer.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let symbolon_app::Error::RateLimited(state) = &failure.error {
            quota::add(&mut answer, state);
        }
        answer
    }

    /// A code's few words.
    pub fn title(&self, code: Code) -> String {
        message(self.lang, &format!("{}.title", message_id(code)), &[])
    }

    /// A sentence on what went wrong, with what is known about this case.
    pub fn detail(&self, failure: &Failure) -> String {
        let mut id = message_id(failure.code());
        let mut args = failure
            .error
            .refusal()
            .map(|refusal| refusal.args.clone())
            .unwrap_or_default();
        if let Some(position) = &failure.position {
            args.push(("line", position.line.to_string()));
            args.push(("column", position.column.to_string()));
            id.push_str("-at");
        }
        message(self.lang, &id, &texts(&args))
    }

    /// What is wrong with one field, and which field was probably meant ([`Failure::meant`]).
    pub fn field(&self, error: &FieldError, meant: &[(String, &'static str)]) -> String {
        let id = format!("field-{}", error.code.as_str().replace('_', "-"));
        let mut detail = message(self.lang, &id, &texts(&error.code.args()));
        if let Some((_, name)) = meant.iter().find(|(pointer, _)| *pointer == error.pointer) {
            // A name and a question mark read alike in every language.
            detail.push_str(&format!(" ({name}?)"));
        }
        detail
    }

    /// The seconds after which the same request may do better; `None` where waiting does not help.
    pub fn retry_after(&self, failure: &Failure) -> Option<u64> {
        // Without a span: no waiting makes the quota large enough for that.
        if let symbolon_app::Error::RateLimited(state) = &failure.error {
            return state.retry_after.map(quota::wait);
        }
        let wait = failure.error.refusal().and_then(|it| it.retry_after);
        let wait = wait.map(|wait| wait.as_secs_f64().ceil().max(1.0) as u64);
        wait.or_else(|| waits(failure.code()).then_some(RETRY_SECONDS))
    }

    /// The envelope of whatever went wrong below; the one place where causes are logged.
    fn enclose(&self, door: &Door, error: &Error) -> HttpResponse {
        let (door_name, request_id) = (door.name, &self.tag.shown);
        let Some(failure) = error.as_error::<Failure>() else {
            // Not one of ours: a framework's error has only a status.
            let status = error.as_response_error().status_code();
            tracing::warn!(door = door_name, %request_id, status = status.as_u16(), "an error without a code");
            let code = if status.is_client_error() {
                Code::MalformedRequest
            } else {
                Code::Internal
            };
            return (door.render)(self, &code.into());
        };
        match &failure.error {
            symbolon_app::Error::Unavailable { cause } => {
                if let Some(more) = OUTAGES.turn() {
                    tracing::warn!(door = door_name, %request_id, %cause, more, "unavailable");
                }
            }
            symbolon_app::Error::Broken { cause } => {
                tracing::error!(door = door_name, %request_id, %cause, "internal error");
            }
            symbolon_app::Error::Refused(_) | symbolon_app::Error::RateLimited(_) => {}
        }
        (door.render)(self, failure)
    }
}

/// Answers that something was away: a line a second says enough, however many there are.
static OUTAGES: Seldom = Seldom::new();

/// What is said once a second at most.
struct Seldom {
    /// The second in which it was last said, of this process's time; and how often it was not since.
    said: AtomicU64,
    unsaid: AtomicU64,
}

impl Seldom {
    const fn new() -> Self {
        Self {
            said: AtomicU64::new(u64::MAX),
            unsaid: AtomicU64::new(0),
        }
    }

    /// How often it was left unsaid before. `None`: this time, too.
    fn turn(&self) -> Option<u64> {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let now = START.elapsed().as_secs();
        if self.said.swap(now, Ordering::Relaxed) == now {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.unsaid.swap(0, Ordering::Relaxed))
    }
}

fn message_id(code: Code) -> String {
    format!("problem-{}", code.as_str().replace('_', "-"))
}

fn challenge(failure: &Failure) -> Option<String> {
    match failure.code() {
        Code::Unauthenticated => Some(REALM.to_owned()),
        // RFC 6750 §3.1: which scope would have been enough.
        Code::PermissionMissing => {
            let args = &failure.error.refusal()?.args;
            let (_, scope) = args.iter().find(|(name, _)| *name == "permission")?;
            Some(format!(
                "{REALM}, error=\"insufficient_scope\", scope=\"{scope}\""
            ))
        }
        _ => None,
    }
}

const fn waits(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::RateLimited | Code::ResendLimited | Code::IdempotencyInProgress
    )
}

fn texts<'a>(args: &'a [(&'static str, String)]) -> Vec<(&'a str, Arg<'a>)> {
    args.iter()
        .map(|(name, value)| (*name, Arg::Str(value)))
        .collect()
}

/// Middleware of a door's scope: every failure below it, a panic too, leaves in the door's envelope.
pub async fn envelope<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (door, asked) = (Door::of(request.request()), Asked::of(request.request()));
    match catch_panic(async move { next.call(request).await }).await {
        Some(Ok(response)) => {
            let failed = response.response().error();
            let enclosed = failed.map(|error| asked.enclose(door, error));
            Ok(match enclosed {
                Some(answer) => ServiceResponse::new(response.into_parts().0, answer),
                None => response.map_into_boxed_body(),
            })
        }
        // The request is gone, so the answer travels as an error that carries it.
        Some(Err(error)) => {
            let answer = asked.enclose(door, &error);
            Err(InternalError::from_response("answered already", answer).into())
        }
        None => {
            tracing::error!(door = door.name, request_id = %asked.tag.shown, "a handler panicked");
            let answer = (door.render)(&asked, &Code::Internal.into());
            Err(InternalError::from_response("answered already", answer).into())
        }
    }
}

#[cfg(test)]
impl Asked {
    /// A request that tried to prove itself, as the tests of envelopes show it.
    pub fn sample(lang: Lang) -> Self {
        Self {
            tag: RequestTag {
                shown: "trace-0001".into(),
                id: symbolon_domain::RequestId(uuid::Uuid::from_u128(7)),
            },
            lang,
            authorization: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::DOORS;
    use actix_web::body::to_bytes;
    use std::time::Duration;
    use symbolon_app::RateState;
    use symbolon_domain::{FieldCode, Refusal};

    #[test]
    fn what_is_said_seldom_counts_what_was_left_out() {
        let seldom = Seldom::new();
        assert_eq!(seldom.turn(), Some(0));
        // Most of these fall into one second, whenever it begins.
        let said: Vec<u64> = (0..1000).filter_map(|_| seldom.turn()).collect();
        let left_out = seldom.unsaid.load(Ordering::Relaxed) + said.iter().sum::<u64>();
        assert_eq!(said.len() as u64 + left_out, 1000);
        assert!(said.len() < 100, "{said:?}");
        seldom.said.store(u64::MAX, Ordering::Relaxed);
        let unsaid = seldom.unsaid.load(Ordering::Relaxed);
        assert_eq!(seldom.turn(), Some(unsaid));
        assert_eq!(seldom.unsaid.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn headers_go_with_their_codes() {
        let header = |failure: Failure, name: &str| {
            let answer = Asked::sample(Lang::Ar)
                .answer(StatusCode::OK, &failure)
                .finish();
            assert_eq!(answer.headers().get("content-language").unwrap(), "ar");
            assert_eq!(answer.headers().get("vary").unwrap(), "Accept-Language");
            let value = answer.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let challenge = |failure| header(failure, "www-authenticate");
        assert_eq!(
            challenge(Code::Unauthenticated.into()).as_deref(),
            Some("Bearer realm=\"symbolon\"")
        );
        let refusal = Refusal::with(
            Code::PermissionMissing,
            [("permission", "symbolon:admin".to_owned())],
        );
        assert_eq!(
            challenge(refusal.into()).as_deref(),
            Some(
                "Bearer realm=\"symbolon\", error=\"insufficient_scope\", scope=\"symbolon:admin\""
            )
        );
        assert_eq!(challenge(Code::CrossOriginBasic.into()), None);
        let refusal = Refusal::new(Code::ResendLimited).retry_after(Duration::from_millis(4_100));
        assert_eq!(header(refusal.into(), "retry-after").as_deref(), Some("5"));
        let limited = |retry_after| {
            Failure::from(symbolon_app::Error::RateLimited(RateState {
                limit: 10,
                period: Duration::from_secs(60),
                remaining: 3,
                reset: Duration::from_secs(42),
                retry_after,
            }))
        };
        let wait = Some(Duration::from_millis(1_500));
        assert_eq!(header(limited(wait), "retry-after").as_deref(), Some("2"));
        assert_eq!(header(limited(None), "retry-after"), None);
        let left = header(limited(wait), "ratelimit");
        assert_eq!(left.as_deref(), Some("\"default\";r=3;t=2"));
        let policy = header(limited(None), "ratelimit-policy");
        assert_eq!(policy.as_deref(), Some("\"default\";q=10;w=60"));
        let unavailable = Code::Unavailable.into();
        assert_eq!(header(unavailable, "retry-after").as_deref(), Some("2"));
        let wrong_method = Failure {
            allow: Some("GET, POST".to_owned()),
            ..Code::MethodNotAllowed.into()
        };
        assert_eq!(header(wrong_method, "allow").as_deref(), Some("GET, POST"));
    }

    #[actix_web::test]
    async fn causes_stay_inside_at_every_door() {
        let cause = "password=hunter2".to_owned();
        for door in DOORS {
            for error in [
                symbolon_app::Error::Broken {
                    cause: cause.clone(),
                },
                symbolon_app::Error::Unavailable {
                    cause: cause.clone(),
                },
            ] {
                let answer = Asked::sample(Lang::En).enclose(door, &Failure::from(error).into());
                assert!(answer.status().is_server_error(), "{}", door.name);
                let body = to_bytes(answer.into_body()).await.unwrap();
                let body = String::from_utf8_lossy(&body);
                assert!(!body.is_empty() && !body.contains("hunter2"), "{body}");
            }
        }
    }

    #[test]
    fn every_code_has_prose_in_every_language() {
        for lang in Lang::ALL {
            for code in Code::ALL {
                let mut refusal = Refusal::new(*code);
                for name in ["permission", "scope", "limit"] {
                    refusal.args.push((name, "3".to_owned()));
                }
                let asked = Asked::sample(lang);
                for text in [asked.title(*code), asked.detail(&refusal.into())] {
                    assert!(!text.starts_with("problem-"), "{lang:?} {text}");
                }
            }
            let every = [
                FieldCode::Required,
                FieldCode::Unknown,
                FieldCode::WrongType {
                    wanted: "string".into(),
                },
                FieldCode::TooShort { min: 1 },
                FieldCode::TooLong { max: 1 },
                FieldCode::TooMany { max: 1 },
                FieldCode::OutOfRange { min: 1, max: 2 },
                FieldCode::IllegalCharacters,
                FieldCode::NotAnEmail,
                FieldCode::NotATime,
                FieldCode::NotInFuture,
                FieldCode::NotASpan,
                FieldCode::NotAnId,
                FieldCode::UnexpectedRefType,
                FieldCode::NotAScope,
                FieldCode::NotAPrefix,
                FieldCode::NotANetwork,
                FieldCode::NotAnAddress,
                FieldCode::NotAllowed {
                    allowed: "a, b".into(),
                },
                FieldCode::NotFound,
                FieldCode::BeyondPolicy { max: "90d".into() },
                FieldCode::BeyondLimit { max: "30d".into() },
                FieldCode::BeforeStart,
                FieldCode::CannotBeNull,
                FieldCode::Disowned,
            ];
            for code in every {
                let detail = Asked::sample(lang).field(&FieldError::new("/x", code), &[]);
                assert!(!detail.starts_with("field-"), "{lang:?} {detail}");
            }
        }
    }
}
