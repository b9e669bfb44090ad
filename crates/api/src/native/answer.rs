//! Building answers: JSON with the headers that go with a thing, a page, or a replay.

use crate::failure::Failure;
use crate::idempotency::REPLAYED;
use crate::precondition::etag;
use crate::query::next_link;
use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderName, HeaderValue, LINK, LOCATION};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use symbolon_app::Slice;
use uuid::Uuid;

pub type Answer = Result<HttpResponse, Failure>;

/// An answer in the making.
pub struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
}

impl Reply {
    pub fn ok() -> Self {
        Self::with(StatusCode::OK)
    }

    pub fn created() -> Self {
        Self::with(StatusCode::CREATED)
    }

    /// Done in our books; what follows from it comes later.
    pub fn accepted() -> Self {
        Self::with(StatusCode::ACCEPTED)
    }

    fn with(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
        }
    }

    pub fn version(mut self, version: i64) -> Self {
        self.headers.push((ETAG, etag(version)));
        self
    }

    /// An absolute URL, from the settings' public one and never from `Host`.
    pub fn location(mut self, url: String) -> Self {
        self.headers.push((LOCATION, url));
        self
    }

    pub fn replayed(mut self, replayed: bool) -> Self {
        if replayed {
            self.headers.push((REPLAYED, "true".to_owned()));
        }
        self
    }

    pub fn json(self, body: &impl Serialize) -> Answer {
        let mut answer = HttpResponse::build(self.status);
        for (name, value) in self.headers {
            // All of them are made of our own ids, versions and settings.
            if let Ok(value) = HeaderValue::from_str(&value) {
                answer.insert_header((name, value));
            }
        }
        Ok(answer.json(body))
    }
}

pub fn no_content() -> Answer {
    Ok(HttpResponse::NoContent().finish())
}

/// A bare array, with a `Link` to the next page whenever there is more.
pub fn list<T, I, W>(
    request: &HttpRequest,
    public_url: &str,
    slice: &Slice<T, I>,
    id: impl Fn(&I) -> Uuid,
) -> Answer
where
    W: Serialize + for<'a> From<&'a T>,
{
    let items: Vec<W> = slice.items.iter().map(W::from).collect();
    let mut answer = HttpResponse::Ok();
    if let Some(next) = &slice.next {
        answer.insert_header((LINK, next_link(public_url, request, id(next))));
    }
    Ok(answer.json(items))
}
