//! Building answers: JSON with the headers that go with a thing, a page, or a replay.

use super::wire::{Effective, Revocation};
use crate::failure::Failure;
use crate::idempotency::REPLAYED;
use crate::precondition::etag;
use crate::query::{Query, next_link};
use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderName, HeaderValue, LINK, LOCATION};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use std::time::Duration;
use symbolon_app::{App, Slice};
use symbolon_domain::FieldCode;
use uuid::Uuid;

/// The longest wait for the other processes: as long as their facts may be old.
const WAIT_MAX_MS: u64 = 10_000;

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

/// `?wait=<ms>`: for how long the answer may wait until all processes have applied the change.
#[derive(Debug, Clone, Copy)]
pub struct Wait(Option<Duration>);

impl Wait {
    /// The only query parameter of an action.
    pub fn of(request: &HttpRequest) -> Result<Self, Failure> {
        let mut query = Query::of(request)?;
        let wait = query.optional("wait", |text| {
            let milliseconds = text.parse().ok().filter(|ms| *ms <= WAIT_MAX_MS);
            milliseconds.map(Duration::from_millis).ok_or_else(|| {
                let (min, max) = (0, i64::try_from(WAIT_MAX_MS).unwrap_or(i64::MAX));
                FieldCode::OutOfRange { min, max }
            })
        });
        query.finish()?;
        Ok(Self(wait))
    }

    /// Waits until the change at this place of the feed (without one: all so far) is in effect. `None` where
    /// nobody asked; `Some(None)` where nobody can tell: what is done must be answered all the same.
    pub async fn until_effective(
        self,
        app: &App,
        position: Option<i64>,
    ) -> Option<Option<Effective>> {
        let reached = app.effective(position, self.0?).await;
        let reached = reached
            .inspect_err(|error| tracing::warn!(%error, "how far a change has come is unknown"));
        Some(reached.ok().map(Effective::from))
    }

    /// The answer to a revocation: no content, unless somebody asked how far it has come.
    pub async fn revoked(self, app: &App) -> Answer {
        match self.until_effective(app, None).await {
            None => no_content(),
            Some(effective) => Reply::ok().json(&Revocation { effective }),
        }
    }
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
