//! The way in for whoever asks about other people's credentials: the extractor whose caller is admitted as an
//! [`Asker`], not as an actor. It runs tens of thousands of times a second, so it copies nothing of the request.

use crate::body;
use crate::caller::{self, Demand};
use crate::door::Door;
use crate::failure::Failure;
use crate::query::Query;
use actix_web::dev::Payload;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Bytes, Data};
use actix_web::{FromRequest, HttpRequest};
use std::future::{Ready, ready};
use std::marker::PhantomData;
use symbolon_app::{App, Asker};
use symbolon_domain::verdict::Presentation;
use symbolon_domain::{Code, Permission};
use symbolon_web::{HotPath, origin};

/// A request whose caller is admitted if they may ask what `P` names, in their own reach.
pub struct Applicant<P> {
    request: HttpRequest,
    payload: Payload,
    demand: PhantomData<P>,
}

impl<P: Demand> FromRequest for Applicant<P> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        HotPath::mark(request);
        ready(Ok(Self {
            request: request.clone(),
            payload: payload.take(),
            demand: PhantomData,
        }))
    }
}

impl<P: Demand> Applicant<P> {
    const PERMISSION: Permission = match P::PERMISSION {
        Some(permission) => permission,
        None => panic!("nobody asks about others without a permission"),
    };

    /// Admits the caller; refuses query parameters; then the bytes of a JSON body, not parsed.
    pub async fn admit(self) -> Result<(Asking, Bytes), Failure> {
        let asker = self.asker().await?;
        if !self.request.query_string().is_empty() {
            Query::of(&self.request)?.finish()?;
        }
        let raw = body::receive_json(&self.request, self.payload).await?;
        let request = self.request;
        Ok((Asking { asker, request }, raw))
    }

    async fn asker(&self) -> Result<Asker, Failure> {
        let (app, request) = (app(&self.request), &self.request);
        let sent = caller::sent(request, Door::of(request)).ok_or(Code::Unauthenticated)?;
        let evidence = sent.evidence();
        let admitted = app.admit(
            evidence,
            Presentation::Basic,
            origin(request),
            Self::PERMISSION,
        );
        Ok(admitted.await?)
    }
}

/// A caller who was admitted, with what is left of the request whose body was read.
pub struct Asking {
    pub asker: Asker,
    request: HttpRequest,
}

impl Asking {
    pub fn app(&self) -> &App {
        app(&self.request)
    }

    /// `Cache-Control: no-cache`: the answer comes from the books.
    pub fn wants_fresh(&self) -> bool {
        wants_fresh(&self.request)
    }
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
