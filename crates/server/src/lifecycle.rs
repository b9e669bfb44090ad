//! The three roles of a process, from start to stop.
//!
//! A stop goes in order: readiness fails, the listener closes and requests finish while jobs finish or
//! are released, then the uses are flushed; within ten seconds, whatever does not answer. A second signal ends
//! the process at once.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use symbolon_app::{App, Background, Node};
use symbolon_web::{BodyLimits, MetricsText, TrustedProxies};
use symbolon_worker::Worker;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::assemble::{self, AssembleError};
use crate::config::Settings;
use crate::{data_dir, first_start, telemetry};

type AnyError = Box<dyn std::error::Error>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Serve,
    Api,
    Worker,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Api => "api",
            Self::Worker => "worker",
        }
    }
}

/// A stop takes so long at most.
const STOP: Duration = Duration::from_secs(10);
/// Requests under way get so long to finish.
const REQUEST_GRACE: Duration = Duration::from_secs(5);

/// Runs a role until it is told to stop.
pub async fn run(
    role: Role,
    settings: Settings,
    metrics: telemetry::Metrics,
) -> Result<(), AnyError> {
    let serve = role == Role::Serve;
    let _hold = if serve {
        let dir = &settings.data.dir;
        data_dir::prepare(dir)
            .map_err(|error| AssembleError::Directory(dir.display().to_string(), error))?;
        Some(data_dir::hold(dir)?)
    } else {
        None
    };
    let store = assemble::store(&settings)?;
    if !serve && store.is_sqlite() {
        return Err(AssembleError::NeedsPostgres(role.name()).into());
    }
    assemble::schema(&store, serve).await?;
    let keyring = assemble::keyring(&settings, &store, serve, role.name()).await?;

    let listener = if role == Role::Worker {
        None
    } else {
        Some(bind(settings.http.bind)?)
    };
    let bound = listener
        .as_ref()
        .map_or(Ok(settings.http.bind), TcpListener::local_addr)?;
    let app = assemble::app(
        &settings,
        store,
        keyring,
        settings.http.public_url_at(bound),
    );
    let metrics = MetricsText(std::sync::Arc::new(move || metrics.render()));
    let worker = match role {
        Role::Api => None,
        _ => Some(Worker::new(
            app.clone(),
            &assemble::worker_settings(&settings),
        )?),
    };
    if serve && app.store().is_sqlite() {
        let released = app.release_all_leases().await?;
        if released > 0 {
            tracing::info!(
                released,
                "jobs that were under way at the last stop are due again"
            );
        }
    }
    let node = (role != Role::Worker).then(|| node(role));
    if let Some(node) = &node {
        // How long a process is waited for goes by the database's clock.
        app.check_clock().await?;
        app.join(node).await?;
    }
    let mut background = Background::start(&app, node);
    if serve {
        first_start::greet(&app, &settings).await?;
    }

    let (stop, stopping) = watch::channel(false);
    let mut servers = Vec::new();
    let mut http = None;
    if let Some(listener) = listener {
        // On an address of their own, metrics and node details are not for everybody.
        let public_metrics = settings.http.admin_bind.is_none().then(|| metrics.clone());
        let server = gateway(&app, &settings, public_metrics, listener)?;
        servers.push(server.handle());
        http = Some(tokio::spawn(server));
    }
    if let Some(address) = settings.http.admin_bind {
        servers.push(symbolon_worker::serve_health(
            app.clone(),
            metrics,
            address,
        )?);
    }
    tracing::info!(
        role = role.name(),
        url = app.public_url(),
        listens = (role != Role::Worker).then(|| tracing::field::display(bound)),
        database = if app.store().is_sqlite() {
            "sqlite"
        } else {
            "postgres"
        },
        version = env!("CARGO_PKG_VERSION"),
        "started"
    );

    let mut later = worker.map(|worker| {
        let mut stopping = stopping.clone();
        tokio::spawn(async move {
            let stop = async move {
                // An error means that whoever could stop us is gone: then we stop.
                let _ = stopping.wait_for(|it| *it).await;
            };
            worker.run(stop).await;
            Ok(())
        })
    });
    let failed = tokio::select! {
        () = told_to_stop() => None,
        ended = ended(&mut http, "the HTTP server") => Some(ended),
        ended = ended(&mut later, "the worker") => Some(ended),
        // What it did nobody does any more: another process has to.
        ended = background.ended() => Some(ended.to_owned()),
    };
    match &failed {
        Some(cause) => tracing::error!(cause, "stopping"),
        None => tracing::info!("stopping"),
    }
    let end = Instant::now() + STOP;
    tokio::spawn(async {
        // Some supervisors signal the process and then its group: one wish, not two.
        tokio::time::sleep(Duration::from_secs(1)).await;
        told_to_stop().await;
        tracing::warn!("told twice: stopping at once");
        std::process::exit(130);
    });
    app.begin_stop();
    stop.send_replace(true);
    let closing: Vec<_> = servers
        .into_iter()
        .map(|it| tokio::spawn(close(it)))
        .collect();
    for closed in closing {
        let _ = closed.await;
    }
    let worked = async {
        match later.filter(|it| !it.is_finished()) {
            Some(later) => tokio::time::timeout_at(end, later).await.is_ok(),
            None => true,
        }
    };
    let left = end.saturating_duration_since(Instant::now());
    let (worked, ()) = tokio::join!(worked, background.stop(&app, left));
    if !worked {
        tracing::warn!("stopped before the worker was done; its leases lapse");
    }
    match tokio::time::timeout_at(end, app.store().checkpoint()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the journal was not checkpointed"),
        Err(_) => tracing::debug!("the journal was not checkpointed in time"),
    }
    tracing::info!("stopped");
    match failed {
        Some(cause) => Err(cause.into()),
        None => Ok(()),
    }
}

/// How this process is called among those that answer.
fn node(role: Role) -> Node {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "localhost",
        host => host,
    };
    Node {
        name: format!("{host}:{}", std::process::id()),
        role: role.name(),
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, AnyError> {
    TcpListener::bind(address).map_err(|error| format!("http.bind {address}: {error}").into())
}

async fn close(server: ServerHandle) {
    // Whatever does not finish in its grace is cut off.
    let _ = tokio::time::timeout(REQUEST_GRACE + Duration::from_secs(1), server.stop(true)).await;
}

/// The API and the pages.
fn gateway(
    app: &App,
    settings: &Settings,
    metrics: Option<MetricsText>,
    listener: TcpListener,
) -> Result<actix_web::dev::Server, AnyError> {
    let (http, doors) = (&settings.http, settings.doors);
    let workers = match http.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let app = app.clone();
    let limits = BodyLimits {
        read_timeout: http.read_timeout,
        ..BodyLimits::default()
    };
    let proxies = TrustedProxies::new(http.trusted_proxies.iter().copied(), http.client_address);
    let server = HttpServer::new(move || {
        let service = actix_web::App::new()
            .app_data(Data::new(app.clone()))
            .app_data(Data::new(limits))
            .app_data(Data::new(proxies.clone()));
        let service = match &metrics {
            Some(metrics) => service.app_data(Data::new(metrics.clone())),
            None => service,
        };
        service
            .wrap(from_fn(symbolon_web::edge))
            .configure(symbolon_web::health)
            .configure(|cfg| symbolon_api::mount(cfg, &doors))
            .configure(symbolon_console::mount)
            .default_service(actix_web::web::to(symbolon_console::not_found))
    })
    .workers(workers)
    .max_connections(http.max_connections.div_ceil(workers))
    .client_request_timeout(http.read_timeout)
    .keep_alive(http.keep_alive)
    .shutdown_timeout(REQUEST_GRACE.as_secs())
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

async fn told_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        // Without signals nobody can ask; the process can still be killed.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// How a task ended by itself; never, when there is none.
async fn ended(task: &mut Option<JoinHandle<std::io::Result<()>>>, what: &str) -> String {
    match task {
        Some(task) => match task.await {
            Ok(Ok(())) => format!("{what} ended"),
            Ok(Err(error)) => format!("{what} ended: {error}"),
            Err(_) => format!("{what} panicked"),
        },
        None => std::future::pending().await,
    }
}
