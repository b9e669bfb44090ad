//! What happens later: takes due jobs from the table, carries them to a runner through apalis (in memory
//! or on Redis), runs them, and sends mail. The jobs table is the truth; whatever is lost on the way
//! comes back when its lease lapses.

mod checks;
mod health;
mod job;
mod jobs;
mod mail;
mod panics;
mod registry;
mod relay;
mod runner;
mod schedule;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use symbolon_app::{App, Schedule};
use tokio::sync::watch;

pub use checks::{check_mail, check_redis};
pub use health::serve_health;
pub use mail::{
    Delivery, MailSettings, MailUrl, MemoryMail, SentMail, SmtpCredentials, SmtpServer, SmtpTls,
};
pub use schedule::ScheduleSettings;
pub use transport::RedisSettings;

use mail::{Breaker, Mailer};
use registry::Context;
use relay::Relay;
use runner::Runner;
use transport::{Deliver, Memory, Redis, Transport, stopped};

/// The pace and the means of later work.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    pub poll_interval: Duration,
    /// Jobs running at the same time in this process.
    pub concurrency: usize,
    /// For one attempt.
    pub timeout: Duration,
    /// Between hand-over and start, before a job is handed over again.
    pub lease: Duration,
    /// Handed over and not finished, at most.
    pub outstanding: usize,
    /// Absent: jobs are carried in memory.
    pub redis: Option<RedisSettings>,
    pub mail: MailSettings,
    pub schedules: ScheduleSettings,
}

/// Running jobs get this long to finish at a stop, and their leases the rest of ten seconds.
const STOP_GRACE: Duration = Duration::from_secs(7);
const STOP_LONGEST: Duration = Duration::from_millis(9500);

/// A process's later work. Build it, then [`run`](Self::run) it; tests [`settle`](Self::settle) instead.
pub struct Worker {
    runner: Runner,
    transport: Transport,
    schedules: [Schedule; 3],
    poll_interval: Duration,
    lease: Duration,
    outstanding: usize,
    stop: watch::Sender<bool>,
}

impl Worker {
    /// Opens no connection. Fails with a text for operators when a setting cannot work.
    pub fn new(app: App, settings: &WorkerSettings) -> Result<Self, String> {
        let (stop, stopping) = watch::channel(false);
        let transport = match &settings.redis {
            None => Transport::Memory(Memory::new(settings.concurrency)),
            Some(redis) => Transport::Redis(Box::new(Redis::new(
                redis,
                process_name(&app),
                settings.concurrency,
                settings.lease * 2,
            )?)),
        };
        let context = Context {
            app,
            mailer: Mailer::new(&settings.mail)?,
            breaker: Breaker::default(),
            stopping,
            sweep_longest: settings.timeout / 2,
        };
        Ok(Self {
            runner: Runner::new(context, settings.timeout, settings.concurrency),
            transport,
            schedules: schedule::schedules(&settings.schedules),
            poll_interval: settings.poll_interval,
            lease: settings.lease,
            outstanding: settings.outstanding,
            stop,
        })
    }

    /// The mails of a worker whose mail is kept in memory.
    pub fn memory_mail(&self) -> Option<&MemoryMail> {
        self.runner.context().mailer.memory()
    }

    /// Works until `stop` resolves, then ends within ten seconds: running jobs finish or are released.
    /// Outages of the database, Redis or the mail server do not end it.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let stopping = self.stop.subscribe();
        let relay = Relay {
            runner: &self.runner,
            transport: &self.transport,
            schedules: &self.schedules,
            poll_interval: self.poll_interval,
            lease: self.lease,
            outstanding: self.outstanding,
        };
        let deliver: Deliver = {
            let runner = self.runner.clone();
            Arc::new(move |lease| {
                let runner = runner.clone();
                Box::pin(async move { runner.deliver(lease).await })
            })
        };
        let announce = async {
            stop.await;
            self.stop.send_replace(true);
        };
        let work = async {
            // The transport waits for its deliveries, which `end` breaks off when they take too long.
            tokio::join!(
                relay.run(stopping.clone()),
                self.transport.run(deliver, stopping.clone())
            );
            let undelivered = self.transport.take_undelivered();
            self.runner.release(&undelivered).await;
        };
        let end = async {
            stopped(stopping.clone()).await;
            self.runner.stop(STOP_GRACE).await;
        };
        // A database or Redis that does not answer must not hold up the stop.
        let too_late = async {
            stopped(stopping.clone()).await;
            tokio::time::sleep(STOP_LONGEST).await;
        };
        tokio::select! {
            _ = async { tokio::join!(announce, end, work) } => {}
            () = too_late => tracing::warn!("stopped before everything was put in order; leases lapse"),
        }
    }

    /// Ticks the schedules and runs, here and now, all jobs that are due by the clock, and those that
    /// they make. Returns how many ran.
    pub async fn settle(&self) -> symbolon_app::Result<usize> {
        let app = &self.runner.context().app;
        app.tick_schedules(&self.schedules).await?;
        let mut ran = 0;
        loop {
            let leases = app.lease_jobs(100, self.lease).await?;
            if leases.is_empty() {
                return Ok(ran);
            }
            for lease in leases {
                self.runner.deliver(lease).await;
                ran += 1;
            }
        }
    }
}

/// Unique for each start: apalis refuses a name that was in use a moment ago.
fn process_name(app: &App) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host
        .trim()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    format!(
        "worker-{host}-{}-{}",
        std::process::id(),
        app.new_request_id()
    )
}

#[cfg(test)]
mod tests;
