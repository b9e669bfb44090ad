//! The extractor in a handler's signature: it authenticates, checks the permission, and is the only way
//! to the actor that every use case demands. Bodies are read through it, so after both.

use crate::body::Body;
use crate::failure::Failure;
use crate::idempotency;
use crate::query::Query;
use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use std::marker::PhantomData;
use symbolon_app::{Actor, App, Call, Idempotency};
use symbolon_domain::{Code, Permission, Presented};
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
    EventsRead = Some(Permission::EventsRead),
    Admin = Some(Permission::Admin),
    Instance = Some(Permission::Instance),
}

/// A request whose caller is known and may do what `P` names.
pub struct Allowed<P> {
    pub app: Data<App>,
    pub actor: Actor,
    pub request: HttpRequest,
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
        let app = request
            .app_data::<Data<App>>()
            .expect("every server puts Data<App> into its application data")
            .clone();
        let presented = bearer(&request).ok_or(Code::Unauthenticated)?;
        // A malformed key proves nothing to authentication; it is refused once we know who sent it.
        let key = idempotency::key(&request);
        let sent = key.as_ref().ok().and_then(Option::as_deref);
        let actor = app.authenticate(&presented, origin(&request), sent).await?;
        if let Some(permission) = P::PERMISSION {
            actor.demand(permission)?;
        }
        Ok(Self {
            app,
            actor,
            key: key?,
            request,
            payload: Some(payload),
            demand: PhantomData,
        })
    }

    /// An id in the path. What is no id names nothing.
    pub fn id<I: std::str::FromStr>(&self, name: &str) -> Result<I, Failure> {
        let text = self.request.match_info().get(name).unwrap_or("");
        Ok(text.parse().map_err(|_| Code::NotFound)?)
    }

    /// The body of a request that takes no query parameters; there is none the second time.
    pub async fn body(&mut self) -> Result<Body, Failure> {
        let payload = self.payload.take().ok_or(Code::Internal)?;
        let body = Body::read(&self.request, payload).await?;
        self.no_query()?;
        Ok(body)
    }

    /// Refuses query parameters where none is known.
    pub fn no_query(&self) -> Result<(), Failure> {
        Query::of(&self.request)?.finish()
    }

    /// A call that a repeat with the same `Idempotency-Key` does not do again. `operation` is the
    /// handler's name.
    pub fn once(&self, operation: &'static str, body: &Body) -> Call<'_> {
        let idempotency = self.key.clone().map(|key| Idempotency {
            door: "native",
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

/// The one bearer token of a request. Two `Authorization` headers are none, and so is any other scheme.
fn bearer(request: &HttpRequest) -> Option<Presented> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| Presented::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn only_one_bearer_token_counts() {
        let read = |values: &[&str]| {
            let mut request = TestRequest::default();
            for value in values {
                request = request.append_header((AUTHORIZATION, *value));
            }
            bearer(&request.to_http_request()).map(|token| token.as_str().to_owned())
        };
        assert_eq!(read(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(read(&["bEaReR   abc "]).as_deref(), Some("abc"));
        for bad in [
            &[][..],
            &["Basic abc"],
            &["Bearer"],
            &["Bearer "],
            &["abc"],
            &["Bearer a", "Bearer b"],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
