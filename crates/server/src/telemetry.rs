//! What a process tells about itself: log lines on stderr, panics among them, and metrics.
//! Owns their form; which facts are logged is decided where they arise.

mod json;

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, fmt};

use self::json::JsonLines;
use crate::config::{Log, LogFormat};

/// Libraries that say more at `info` than an operator wants; `log.level` can name them to
/// hear them.
const QUIET: &str = "apalis=warn,apalis_core=warn,apalis_redis=warn,tokio_postgres=warn,\
                     redis=warn,lettre=warn,rustls=warn,actix_server=warn,actix_http::h1=off";

/// Upper bounds of histograms, in seconds: from a cache hit to a slow mail server.
const BUCKETS: [f64; 14] = [
    0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// Sends logs and panics to stderr from now on. Once in a process.
///
/// # Errors
/// A second call.
pub fn init(log: &Log) -> Result<(), TryInitError> {
    let terminal = std::io::stderr().is_terminal();
    let lines = fmt()
        .with_env_filter(filter(&log.level))
        .with_writer(std::io::stderr);
    match (log.format, terminal) {
        (LogFormat::Json, _) | (LogFormat::Auto, false) => lines
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines)
            .finish()
            .try_init()?,
        (LogFormat::Text, _) | (LogFormat::Auto, true) => {
            lines.with_ansi(terminal).finish().try_init()?;
        }
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn filter(level: &str) -> EnvFilter {
    // Of two directives for the same part the later one holds.
    EnvFilter::new(format!("{QUIET},{level}"))
}

/// Replaces the standard hook, which prints the formatted message: that could hold
/// whatever was being worked on, a secret too.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        target: "symbolon::panic",
        location,
        thread = std::thread::current().name(),
        backtrace,
        "panicked: {}",
        constant_message(panic.payload())
    );
}

/// The message of a panic when it is a constant of the program.
fn constant_message(payload: &dyn Any) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("(message not logged)")
}

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// Collects what the `metrics` macros report from now on, without a listener of its own.
/// Once in a process.
///
/// # Errors
/// A second call.
pub fn install_recorder() -> Result<Metrics, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)?
        .install_recorder()?;
    let upkeep = handle.clone();
    // Samples pile up until they are folded into the histograms: with no one scraping,
    // that has to happen all the same.
    std::thread::Builder::new()
        .name("metrics-upkeep".to_owned())
        .spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(5));
                upkeep.run_upkeep();
            }
        })
        .expect("a thread can be started at the beginning of the process");
    Ok(Metrics(handle))
}

#[cfg(test)]
mod tests {
    use super::json::tests::Lines;
    use super::*;

    #[test]
    fn the_message_of_a_panic_is_logged_only_when_it_is_constant() {
        let lines = Lines::default();
        let standard = std::panic::take_hook();
        std::panic::set_hook(Box::new(log_panic));
        lines.collect(|| {
            let secret = String::from("hunter2");
            for result in [
                std::panic::catch_unwind(|| panic!("a constant")),
                std::panic::catch_unwind(|| panic!("{secret}")),
                std::panic::catch_unwind(|| "7".parse::<bool>().expect(&secret)),
            ] {
                result.unwrap_err();
            }
        });
        std::panic::set_hook(standard);

        let lines = lines.parsed();
        let messages: Vec<_> = lines
            .iter()
            .map(|line| line["message"].as_str().unwrap())
            .collect();
        let hidden = "panicked: (message not logged)";
        assert_eq!(messages, ["panicked: a constant", hidden, hidden]);
        for line in &lines {
            assert!(
                line["location"].as_str().unwrap().contains("telemetry.rs:"),
                "{line}"
            );
            assert!(!line.to_string().contains("hunter2"), "{line}");
        }
    }

    #[test]
    fn noisy_libraries_are_quiet_until_they_are_named() {
        for (level, target, logged) in [
            ("info", "symbolon_app", true),
            ("debug", "apalis_core", false),
            ("debug", "tokio_postgres::connection", false),
            (
                "info,tokio_postgres=debug",
                "tokio_postgres::connection",
                true,
            ),
            ("error", "symbolon_app", false),
        ] {
            let lines = Lines::default();
            lines.collect_filtered(filter(level), || match target {
                "symbolon_app" => tracing::info!(target: "symbolon_app", "x"),
                "apalis_core" => tracing::info!(target: "apalis_core", "x"),
                _ => tracing::info!(target: "tokio_postgres::connection", "x"),
            });
            assert_eq!(!lines.parsed().is_empty(), logged, "{level} {target}");
        }
    }

    #[test]
    fn metrics_are_rendered_for_prometheus() {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS)
            .unwrap()
            .build_recorder();
        let metrics = Metrics(recorder.handle());
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("tokens_verified_total", "outcome" => "ok").increment(3);
            metrics::histogram!("request_seconds").record(0.003);
        });
        let text = metrics.render();
        assert!(
            text.contains("tokens_verified_total{outcome=\"ok\"} 3"),
            "{text}"
        );
        assert!(
            text.contains("request_seconds_bucket{le=\"0.005\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("request_seconds_bucket{le=\"0.0025\"} 0"),
            "{text}"
        );
    }
}
