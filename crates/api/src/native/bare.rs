//! The bare handler of `symbolon-bench`: what the server costs when a request is only received and a constant
//! is answered. In no normal build (cargo feature `bare`); mounted beside the handlers that it is compared
//! with, so that everything around them is the same.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{self, Bytes, Json, ServiceConfig};
use actix_web::{HttpResponse, error};
use serde::Deserialize;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use symbolon_web::HotPath;

/// Mounts `PUT /bench/bare`, which sets the answer, and `GET` and `POST`, which give it.
pub fn mount(cfg: &mut ServiceConfig) -> &mut ServiceConfig {
    cfg.service(
        web::resource("/bench/bare")
            .app_data(HotPath)
            .route(web::get().to(answer))
            .route(web::post().to(answer))
            .route(web::put().to(set)),
    )
}

#[derive(Debug, Clone, Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

static ANSWER: Mutex<Option<Answer>> = Mutex::new(None);
/// How often the answer was set.
static SET: AtomicU64 = AtomicU64::new(0);

struct Constant {
    set: u64,
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Constant {
    fn now(set: u64) -> Option<Self> {
        let answer = ANSWER.lock().ok()?.clone()?;
        let mut headers = Vec::new();
        for (name, value) in &answer.headers {
            headers.push((name.parse().ok()?, HeaderValue::from_str(value).ok()?));
        }
        Some(Self {
            set,
            status: StatusCode::from_u16(answer.status).ok()?,
            headers,
            body: answer.body.into(),
        })
    }
}

thread_local! {
    static CONSTANT: RefCell<Option<Rc<Constant>>> = const { RefCell::new(None) };
}

async fn set(answer: Json<Answer>) -> Result<HttpResponse, actix_web::Error> {
    *ANSWER
        .lock()
        .map_err(|_| error::ErrorInternalServerError("the answer is broken"))? =
        Some(answer.into_inner());
    SET.fetch_add(1, Ordering::SeqCst);
    Ok(HttpResponse::NoContent().finish())
}

async fn answer(_body: Bytes) -> Result<HttpResponse, actix_web::Error> {
    let set = SET.load(Ordering::Relaxed);
    let constant = CONSTANT.with_borrow_mut(|constant| {
        if constant.as_ref().is_none_or(|it| it.set != set) {
            *constant = Constant::now(set).map(Rc::new);
        }
        constant.clone()
    });
    let constant = constant.ok_or_else(|| error::ErrorConflict("PUT an answer first"))?;
    let mut answer = HttpResponse::with_body(constant.status, BoxBody::new(constant.body.clone()));
    for (name, value) in &constant.headers {
        answer.headers_mut().insert(name.clone(), value.clone());
    }
    Ok(answer)
}
