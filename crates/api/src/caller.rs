//! The extractor in a handler's signature: it authenticates, checks the permission, and is the only way
//! to the actor that every use case demands. Bodies are read through it, so after both.

use crate::body::Body;
use crate::data_plane::app;
use crate::door::Door;
use crate::failure::Failure;
use crate::idempotency;
use crate::query::Query;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, ORIGIN};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::LocalBoxFuture;
use std::marker::PhantomData;
use symbolon_app::{Actor, App, Call, Credentials, Evidence, Idempotency};
use symbolon_domain::{AccountId, Code, Permission, Presented};
use symbolon_web::origin;

/// What a route demands of its caller.
pub trait Demand: 'static {
    /// `None`: any live credential will do.
    const PERMISSION: Option<Permission>;
}

macro_rules! demands {
    ($($(#[$doc:meta])* $name:ident = $permission:expr),* $(,)?) => {$(
        $(#[$doc])*
        pub struct $name;
        impl Demand for $name {
            const PERMISSION: Option<Permission> = $permission;
        }
    )*};
}

demands! {
    /// Any live credential.
    Anyone = None,
    ServiceAccountsRead = Some(Permission::ServiceAccountsRead),
    ServiceAccountsWrite = Some(Permission::ServiceAccountsWrite),
    TokensRead = Some(Permission::TokensRead),
    TokensWrite = Some(Permission::TokensWrite),
    TokensVerify = Some(Permission::TokensVerify),
    EventsRead = Some(Permission::EventsRead),
    Admin = Some(Permission::Admin),
    Instance = Some(Permission::Instance),
}

/// A request whose caller is known and may do what `P` names.
pub struct Allowed<P> {
    pub app: Data<App>,
    pub actor: Actor,
    pub request: HttpRequest,
    door: &'static Door,
    payload: Option<Payload>,
    key: Option<String>,
    demand: PhantomData<P>,
}

impl<P: Demand> FromRequest for Allowed<P> {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(Self::admit(request, payload))
    }
}

impl<P: Demand> Allowed<P> {
    async fn admit(request: HttpRequest, payload: Payload) -> Result<Self, Failure> {
        let app = app(&request).clone();
        let door = Door::of(&request);
        let presented = credentials(&request, door).ok_or(Code::Unauthenticated)?;
        // A malformed key proves nothing to authentication; it is refused once we know who sent it.
        let key = idempotency::key(&request);
        let sent = key.as_ref().ok().and_then(Option::as_deref);
        let actor = app.authenticate(&presented, origin(&request), sent).await?;
        // Nothing but the POST that replaced it may be repeated.
        if actor.is_replay_only() && *request.method() != Method::POST {
            return Err(Code::Unauthenticated.into());
        }
        // Browsers add Basic credentials to any page's request by themselves.
        if matches!(presented, Credentials::Basic { .. })
            && !matches!(*request.method(), Method::GET | Method::HEAD)
            && request.headers().contains_key(ORIGIN)
        {
            return Err(Code::CrossOriginBasic.into());
        }
        if let Some(permission) = P::PERMISSION {
            actor.demand(permission)?;
        }
        Ok(Self {
            app,
            actor,
            key: key?,
            request,
            door,
            payload: Some(payload),
            demand: PhantomData,
        })
    }

    /// An id in the path. What is no id names nothing.
    pub fn id<I: std::str::FromStr>(&self, name: &str) -> Result<I, Failure> {
        let text = self.request.match_info().get(name).unwrap_or("");
        Ok(text.parse().map_err(|_| Code::NotFound)?)
    }

    /// The account that the presented credential belongs to.
    ///
    /// # Errors
    /// [`Code::NotFound`] for a caller that belongs to none.
    pub fn own_account(&self) -> Result<AccountId, Failure> {
        Ok(self.actor.account_id().ok_or(Code::NotFound)?)
    }

    /// The body of a request that takes no query parameters. Like the other two, it reads once.
    pub async fn body(&mut self) -> Result<Body, Failure> {
        let (body, query) = self.body_and_query().await?;
        query.finish()?;
        Ok(body)
    }

    /// The body of a request, and the query parameters for the handler to read.
    pub async fn body_and_query(&mut self) -> Result<(Body, Query), Failure> {
        let body = self.body_before_query().await?;
        Ok((body, Query::of(&self.request)?))
    }

    /// The body of a request whose query parameters the handler reads next.
    pub async fn body_before_query(&mut self) -> Result<Body, Failure> {
        let payload = self.payload()?;
        Body::read(&self.request, payload).await
    }

    /// The body of a request whose content type has to be said even where nothing follows (415); the query
    /// is not looked at.
    pub async fn typed_body(&mut self) -> Result<Body, Failure> {
        let payload = self.payload()?;
        Body::read_typed(&self.request, payload).await
    }

    fn payload(&mut self) -> Result<Payload, Failure> {
        Ok(self.payload.take().ok_or(Code::Internal)?)
    }

    /// Refuses query parameters where none is known.
    pub fn no_query(&self) -> Result<(), Failure> {
        Query::of(&self.request)?.finish()
    }

    /// A call that a repeat with the same `Idempotency-Key` does not do again. `operation` is the
    /// handler's name.
    pub fn once(&self, operation: &'static str, body: &Body) -> Call<'_> {
        self.once_with_key(operation, body, None)
    }

    /// The same for a key that stands in the body, which then counts before the header's.
    pub fn once_with_key(
        &self,
        operation: &'static str,
        body: &Body,
        key: Option<String>,
    ) -> Call<'_> {
        let key = key.or_else(|| self.key.clone());
        let idempotency = key.map(|key| Idempotency {
            door: self.door.name,
            operation,
            key,
            fingerprint: idempotency::fingerprint(&self.request, &body.raw),
        });
        Call {
            idempotency,
            ..self.call()
        }
    }

    /// A call that may be repeated as it is.
    pub fn call(&self) -> Call<'_> {
        Call {
            actor: &self.actor,
            origin: origin(&self.request),
            idempotency: None,
        }
    }
}

/// What stands in a request's `Authorization`, read and not judged.
pub enum Sent<'r> {
    /// The text of a token, where it stands in the request.
    Bearer(&'r str),
    /// A key's id and secret, with a colon between them.
    Basic(Presented),
}

impl Sent<'_> {
    pub fn evidence(&self) -> Evidence<'_> {
        match self {
            Self::Bearer(text) => Evidence::Bearer(text),
            Self::Basic(pair) => {
                let (key_id, secret) = halves(pair.as_str());
                Evidence::Basic { key_id, secret }
            }
        }
    }
}

/// What a request proves itself with. Two `Authorization` headers are none, and so is whatever the door
/// does not take.
pub fn sent<'r>(request: &'r HttpRequest, door: &Door) -> Option<Sent<'r>> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let value = values.next()?.to_str().ok()?.trim();
    if values.next().is_some() {
        return None;
    }
    let Some((scheme, rest)) = value.split_once(' ') else {
        let raw = door.takes_raw && !value.is_empty();
        return raw.then_some(Sent::Bearer(value));
    };
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        (!rest.is_empty()).then_some(Sent::Bearer(rest))
    } else if scheme.eq_ignore_ascii_case("basic") && door.takes_basic {
        pair(rest).map(Sent::Basic)
    } else {
        None
    }
}

/// As [`sent`], to be kept beyond the request.
pub fn credentials(request: &HttpRequest, door: &Door) -> Option<Credentials> {
    Some(match sent(request, door)? {
        Sent::Bearer(text) => Credentials::Bearer(Presented::new(text)),
        Sent::Basic(pair) => key(&pair),
    })
}

/// A key's id and secret (RFC 7617 §2): neither is empty, and only the secret may hold a colon.
pub fn basic(encoded: &str) -> Option<Credentials> {
    pair(encoded).map(|pair| key(&pair))
}

fn key(pair: &Presented) -> Credentials {
    let (key_id, secret) = halves(pair.as_str());
    Credentials::Basic {
        key_id: key_id.to_owned(),
        secret: Presented::new(secret),
    }
}

fn pair(encoded: &str) -> Option<Presented> {
    let pair = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    let pair = Presented::new(pair);
    let (key_id, secret) = pair.as_str().split_once(':')?;
    (!key_id.is_empty() && !secret.is_empty()).then_some(pair)
}

fn halves(pair: &str) -> (&str, &str) {
    pair.split_once(':')
        .expect("a pair is read only with a colon in it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native;
    use actix_web::test::TestRequest;
    use std::sync::LazyLock;

    static RAW: Door = Door {
        name: "raw",
        prefix: "/raw",
        takes_raw: true,
        takes_basic: false,
        routes: |_| {},
        render: |_, _| actix_web::HttpResponse::Ok().finish(),
        document: LazyLock::new(|| native::DOOR.document.clone()),
    };

    fn read(door: &Door, values: &[&str]) -> Option<String> {
        let mut request = TestRequest::default();
        for value in values {
            request = request.append_header((AUTHORIZATION, *value));
        }
        credentials(&request.to_http_request(), door).map(|it| match it {
            Credentials::Bearer(token) => token.as_str().to_owned(),
            Credentials::Basic { key_id, secret } => format!("{key_id} / {}", secret.as_str()),
        })
    }

    #[test]
    fn only_one_bearer_token_counts() {
        for door in [&native::DOOR, &RAW] {
            assert_eq!(read(door, &["Bearer abc"]).as_deref(), Some("abc"));
            assert_eq!(read(door, &["bEaReR   abc "]).as_deref(), Some("abc"));
            for bad in [
                &[][..],
                &[""],
                &["Bearer "],
                &["Digest abc"],
                &["Bearer a", "Bearer b"],
                &["Bearer a", "abc"],
            ] {
                let token = read(door, bad).filter(|token| token != "Bearer");
                assert_eq!(token, None, "{} {bad:?}", door.name);
            }
        }
        assert_eq!(read(&native::DOOR, &["abc"]), None);
        assert_eq!(read(&native::DOOR, &["Bearer"]), None);
        assert_eq!(read(&RAW, &[" user:abc "]).as_deref(), Some("user:abc"));
    }

    #[test]
    fn basic_counts_where_the_door_takes_it() {
        let basic = |text: &[u8]| format!("bAsIc {}", BASE64_STANDARD.encode(text));
        let native = |value: &str| read(&native::DOOR, &[value]);
        assert_eq!(
            native(&basic(b"key:s:e:c")).as_deref(),
            Some("key / s:e:c"),
            "split at the first colon"
        );
        assert_eq!(
            native(&basic("k:مفتاح".as_bytes())).as_deref(),
            Some("k / مفتاح")
        );
        assert_eq!(read(&RAW, &[&basic(b"key:secret")]), None);
        for bad in [&b"key"[..], b"key:", b":secret", b"", b"key:\xff"] {
            assert_eq!(native(&basic(bad)), None, "{bad:?}");
        }
        assert_eq!(native("Basic key:secret"), None);
        // The same without its padding.
        assert_eq!(native("Basic a2V5OnM"), None);
    }
}
