//! The root: what this is, and where to go on.

use crate::page::{Home, Text};
use crate::response;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};

pub async fn show(request: HttpRequest) -> HttpResponse {
    let lang = response::reader(&request, None);
    let home = Home {
        t: Text(lang),
        version: env!("CARGO_PKG_VERSION"),
    };
    response::page(StatusCode::OK, lang, &home)
}
