//! The health scope: is the process alive, may it get traffic, and its metrics.

use actix_web::http::header::ContentType;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use std::sync::Arc;
use symbolon_app::App;

/// Renders the metrics as text. Where it is not in the application data, `/metrics` does not exist.
#[derive(Clone)]
pub struct MetricsText(pub Arc<dyn Fn() -> String + Send + Sync>);

/// Mounts `/healthz`, `/readyz` and `/metrics`; expects `Data<App>`.
pub fn health(cfg: &mut ServiceConfig) {
    cfg.route("/healthz", web::get().to(alive))
        .route("/healthz", web::head().to(alive))
        .route("/readyz", web::get().to(ready))
        .route("/readyz", web::head().to(ready))
        .route("/metrics", web::get().to(metrics));
}

async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

/// Where metrics are served elsewhere, node details are for there too.
async fn ready(app: Data<App>, request: HttpRequest) -> HttpResponse {
    let found = app.ready().await;
    let checks: Vec<_> = found
        .checks
        .iter()
        .map(|check| json!({"name": check.name, "ok": check.ok, "detail": check.detail}))
        .collect();
    let (mut answer, status) = if found.ready {
        (HttpResponse::Ok(), "ready")
    } else {
        (HttpResponse::ServiceUnavailable(), "not_ready")
    };
    match request.app_data::<Data<MetricsText>>() {
        Some(_) => answer.json(json!({"status": status, "checks": checks})),
        None => answer.json(json!({"status": status})),
    }
}

async fn metrics(request: HttpRequest) -> HttpResponse {
    match request.app_data::<Data<MetricsText>>() {
        Some(text) => HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4; charset=utf-8")
            .body((text.0)()),
        None => HttpResponse::NotFound()
            .insert_header(ContentType::plaintext())
            .body("Metrics are not served here.\n"),
    }
}
