//! The worker role's own small HTTP server: whether it lives, whether it is ready, and its metrics.

use std::net::SocketAddr;

use actix_web::{App as Service, HttpServer, dev::ServerHandle, web::Data};
use symbolon_app::App;
use symbolon_web::MetricsText;

/// Serves `/healthz`, `/readyz` and `/metrics` on `bind` until the returned handle is stopped. Must be
/// called on a tokio runtime; fails when the address cannot be bound.
pub fn serve_health(
    app: App,
    metrics: MetricsText,
    bind: SocketAddr,
) -> std::io::Result<ServerHandle> {
    let server = HttpServer::new(move || {
        Service::new()
            .app_data(Data::new(app.clone()))
            .app_data(Data::new(metrics.clone()))
            .configure(symbolon_web::health)
            .configure(symbolon_web::nodes)
    })
    .workers(1)
    .max_connections(64)
    .disable_signals()
    .shutdown_timeout(1)
    .bind(bind)?
    .run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(handle)
}
