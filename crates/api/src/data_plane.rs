//! The way in for whoever asks about other people's credentials: the extractor that yields an [`Asker`]
//! instead of an actor. It runs tens of thousands of times a second, so it keeps nothing of the request.

use crate::body;
use crate::caller::{self, Demand};
use crate::door::Door;
use crate::failure::Failure;
use crate::query::Query;
use actix_web::dev::Payload;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Bytes, Data};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use std::marker::PhantomData;
use symbolon_app::{App, Asker};
use symbolon_domain::verdict::Presentation;
use symbolon_domain::{Code, Permission};
use symbolon_web::{HotPath, origin};

/// A request whose caller may ask what `P` names, in its own reach.
pub struct Admitted<P> {
    pub app: Data<App>,
    pub asker: Asker,
    pub request: HttpRequest,
    payload: Payload,
    demand: PhantomData<P>,
}

impl<P: Demand> FromRequest for Admitted<P> {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        HotPath::mark(request);
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(Self::admit(request, payload))
    }
}

impl<P: Demand> Admitted<P> {
    const PERMISSION: Permission = match P::PERMISSION {
        Some(permission) => permission,
        None => panic!("nobody asks about others without a permission"),
    };

    async fn admit(request: HttpRequest, payload: Payload) -> Result<Self, Failure> {
        let app = app(&request).clone();
        let sent = caller::sent(&request, Door::of(&request)).ok_or(Code::Unauthenticated)?;
        let origin = origin(&request);
        let asker = app.admit(
            sent.evidence(),
            Presentation::Basic,
            origin,
            Self::PERMISSION,
        );
        let asker = asker.await?;
        drop(sent);
        Ok(Self {
            app,
            asker,
            request,
            payload,
            demand: PhantomData,
        })
    }

    /// Refuses query parameters; then the bytes of a JSON body, not parsed.
    pub async fn json(self) -> Result<(Asking, Bytes), Failure> {
        if !self.request.query_string().is_empty() {
            Query::of(&self.request)?.finish()?;
        }
        let raw = body::receive_json(&self.request, self.payload).await?;
        let asking = Asking {
            app: self.app,
            asker: self.asker,
            fresh: wants_fresh(&self.request),
        };
        Ok((asking, raw))
    }
}

/// What is left of a request whose body was read.
pub struct Asking {
    pub app: Data<App>,
    pub asker: Asker,
    /// `Cache-Control: no-cache`: the answer comes from the books.
    pub fresh: bool,
}

pub fn app(request: &HttpRequest) -> &Data<App> {
    request
        .app_data::<Data<App>>()
        .expect("every server puts Data<App> into its application data")
}

/// Whether one of the directives of `Cache-Control` is `no-cache` (RFC 9111 §5.2.1.4).
fn wants_fresh(request: &HttpRequest) -> bool {
    let values = request.headers().get_all(CACHE_CONTROL);
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|directive| directive.trim().eq_ignore_ascii_case("no-cache"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn only_no_cache_asks_for_a_fresh_answer() {
        let fresh = |values: &[&str]| {
            let mut request = TestRequest::default();
            for value in values {
                request = request.append_header((CACHE_CONTROL, *value));
            }
            wants_fresh(&request.to_http_request())
        };
        for yes in [
            &["no-cache"][..],
            &["max-age=0, No-Cache"],
            &["a", "no-cache"],
        ] {
            assert!(fresh(yes), "{yes:?}");
        }
        for no in [
            &[][..],
            &["no-store"],
            &["max-age=0"],
            &["x-no-cache"],
            &["no-cache=\"a\""],
        ] {
            assert!(!fresh(no), "{no:?}");
        }
    }
}
