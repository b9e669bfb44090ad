//! The health scope: is the process alive, may it get traffic, and its metrics.

use actix_web::http::header::ContentType;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use symbolon_app::{App, NodeState};

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

/// Mounts `/nodes`: how far each process that answers from memory has applied the feed. Expects
/// `Data<App>`.
pub fn nodes(cfg: &mut ServiceConfig) {
    cfg.route("/nodes", web::get().to(list_nodes));
}

async fn list_nodes(app: Data<App>) -> HttpResponse {
    let Ok(nodes) = app.node_states().await else {
        return HttpResponse::ServiceUnavailable().json(json!({"status": "unavailable"}));
    };
    let show = |node: &NodeState| {
        json!({
            "id": node.id,
            "name": node.name,
            "role": node.role,
            "seen_at": node.seen_at,
            "behind": node.behind,
            "silent_ms": u64::try_from(node.silent.as_millis()).unwrap_or(u64::MAX),
            "counted": node.counted,
        })
    };
    HttpResponse::Ok().json(nodes.iter().map(show).collect::<Vec<_>>())
}

/// For the database's word on the nodes, within a scrape.
const NODES_PATIENCE: Duration = Duration::from_secs(1);

/// Of the nodes that count, as the database knows them: asked at each look, so that none stays behind that
/// is gone. Left out where the database does not answer.
async fn node_metrics(app: &App, text: &mut String) {
    // Whoever watches an outage needs the rest of it, soon.
    let states = actix_web::rt::time::timeout(NODES_PATIENCE, app.node_states()).await;
    let Ok(Ok(nodes)) = states else {
        return;
    };
    let nodes: Vec<&NodeState> = nodes.iter().filter(|node| node.counted).collect();
    let mut gauge = |name: &str, about: &str, value: &dyn Fn(&NodeState) -> f64| {
        // A text takes every write.
        let _ = writeln!(text, "# HELP {name} {about}\n# TYPE {name} gauge");
        for node in &nodes {
            // Machines' names hold nothing that a label has to escape but these.
            let label = node.name.replace(['\\', '"', '\n'], "_");
            let _ = writeln!(text, "{name}{{node=\"{label}\"}} {}", value(node));
        }
    };
    gauge(
        "symbolon_node_feed_behind",
        "Rows of the feed that a node has not reported as applied.",
        &|node| node.behind as f64,
    );
    gauge(
        "symbolon_node_silent_seconds",
        "Time since a node was last heard of.",
        &|node| node.silent.as_secs_f64(),
    );
}

async fn metrics(app: Data<App>, request: HttpRequest) -> HttpResponse {
    match request.app_data::<Data<MetricsText>>() {
        Some(text) => {
            let mut text = (text.0)();
            node_metrics(&app, &mut text).await;
            HttpResponse::Ok()
                .content_type("text/plain; version=0.0.4; charset=utf-8")
                .body(text)
        }
        None => HttpResponse::NotFound()
            .insert_header(ContentType::plaintext())
            .body("Metrics are not served here.\n"),
    }
}
