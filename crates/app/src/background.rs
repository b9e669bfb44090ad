//! What every process does beside its requests: follow the feed and report it, flush the uses, look at the
//! clocks.

use crate::App;
use crate::error::Result;
use crate::nodes::Node;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use symbolon_domain::Timestamp;
use symbolon_store::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Between two looks at the database's clock.
const CLOCK_CHECK: Duration = Duration::from_secs(60);
/// A difference of clocks worth a warning.
pub(crate) const CLOCK_WARN: Duration = Duration::from_secs(1);

/// A look at the database's clock that takes longer than this says too little.
const CLOCK_TRIP: Duration = Duration::from_secs(1);

/// What was last seen of the database, beside its contents.
#[derive(Debug)]
pub(crate) struct DatabaseState {
    clock_offset_micros: AtomicI64,
    /// The database's clock when this process's monotonic clock was zero; [`UNSEEN`] before the first look.
    epoch_micros: AtomicI64,
    migrations_missing: AtomicBool,
}

const UNSEEN: i64 = i64::MIN;

impl Default for DatabaseState {
    fn default() -> Self {
        Self {
            clock_offset_micros: AtomicI64::new(0),
            epoch_micros: AtomicI64::new(UNSEEN),
            migrations_missing: AtomicBool::new(false),
        }
    }
}

impl DatabaseState {
    pub fn migrations_missing(&self) -> bool {
        self.migrations_missing.load(Ordering::Relaxed)
    }

    pub fn clock_offset(&self) -> Duration {
        Duration::from_micros(
            self.clock_offset_micros
                .load(Ordering::Relaxed)
                .unsigned_abs(),
        )
    }
}

/// The tasks, until they are told to stop.
pub struct Background {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Background {
    /// Starts the tasks of a process on the current runtime; with a `node` that has joined, one that answers
    /// from memory.
    pub fn start(app: &App, node: Option<Node>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(read_feed(app.clone(), stopped.clone()));
        tasks.spawn(flush(app.clone(), stopped.clone()));
        if let Some(node) = node {
            tasks.spawn(app.clone().report(node, stopped.clone()));
        }
        tasks.spawn(watch_database(app.clone(), stopped));
        app.0.feed.is_followed.store(true, Ordering::Release);
        Self { tasks, stop }
    }

    /// Returns when one of them ends though nobody told it to, and says so: what it did, nobody does any more.
    pub async fn ended(&mut self) -> &'static str {
        match self.tasks.join_next().await {
            Some(Err(error)) if error.is_panic() => "a background task panicked",
            Some(_) => "a background task ended",
            None => std::future::pending().await,
        }
    }

    /// Stops them, and flushes what was used, within this time. Called after HTTP has stopped.
    pub async fn stop(mut self, app: &App, within: Duration) {
        self.stop.send_replace(true);
        let mut left_out = "the last uses were not recorded";
        let stop = async {
            while self.tasks.join_next().await.is_some() {}
            if let Err(error) = app.flush_uses().await {
                tracing::warn!(%error, "{left_out}");
            }
            left_out = "this process stays on the list until its lease is over";
            app.leave().await;
        };
        if tokio::time::timeout(within, stop).await.is_err() {
            tracing::warn!("the database does not answer: {left_out}");
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that whoever could stop us is gone: then we stop.
    let _ = stop.wait_for(|it| *it).await;
}

async fn read_feed(app: App, mut stop: watch::Receiver<bool>) {
    let mut signal = app.store().signal(Signal::Feed);
    let mut failing = false;
    loop {
        let read = tokio::select! {
            () = stopped(&mut stop) => return,
            read = app.poll_feed() => read,
        };
        match read {
            Ok(_) if failing => {
                failing = false;
                tracing::info!("the feed is read again");
            }
            Ok(_) => {}
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "the feed cannot be read");
            }
            Err(_) => {}
        }
        let poll = async {
            match app.poll_interval() {
                Some(interval) => tokio::time::sleep(interval).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stopped(&mut stop) => return,
            _ = signal.changed() => {}
            () = poll => {}
        }
    }
}

async fn flush(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = app.0.uses.full.notified() => {}
            () = tokio::time::sleep(app.settings().flush_interval) => {}
        }
        metrics::gauge!("symbolon_cache_credentials").set(app.0.cache.len() as f64);
        if let Err(error) = app.flush_uses_gently(&stop).await {
            tracing::warn!(%error, "uses wait for the next flush");
            // A full buffer must not turn an outage into a busy loop.
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }
}

async fn watch_database(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = look_at_database(&app) => {}
        }
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(CLOCK_CHECK) => {}
        }
    }
}

/// What seldom changes and must be noticed all the same: the clocks, and a schema put back under us.
async fn look_at_database(app: &App) {
    match app.check_clock().await {
        Ok(offset) if offset > CLOCK_WARN => {
            tracing::warn!(
                offset_ms = offset.as_millis() as u64,
                "this machine's clock and the database's differ"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(%error, "the database's clock was not read"),
    }
    match app.store().pending_migrations().await {
        Ok(pending) => {
            if !pending.is_empty() {
                tracing::error!(missing = pending.len(), "the database lacks migrations");
            }
            let missing = &app.0.database.migrations_missing;
            missing.store(!pending.is_empty(), Ordering::Relaxed);
        }
        Err(error) => tracing::debug!(%error, "the schema was not looked at"),
    }
}

impl App {
    /// After what time this process reads the feed though it heard nothing.
    pub(crate) fn poll_interval(&self) -> Option<Duration> {
        let settings = self.settings();
        settings.faults.poll_interval(settings.feed_poll)
    }

    /// How far this machine's clock and the database's are apart.
    pub async fn check_clock(&self) -> Result<Duration> {
        let (begun, before) = (self.monotonic(), self.now());
        let Some(theirs) = self.store().database_time().await? else {
            return Ok(Duration::ZERO);
        };
        let (trip, after) = (self.monotonic().saturating_sub(begun), self.now());
        let seen = &self.0.database;
        let is_first = seen.epoch_micros.load(Ordering::Relaxed) == UNSEEN;
        if trip <= CLOCK_TRIP || is_first {
            // Their time is from some moment of the trip.
            let epoch = theirs.minus(begun + trip / 2).as_micros();
            seen.epoch_micros.store(epoch, Ordering::Relaxed);
        }
        let middle = (before.as_micros() + after.as_micros()) / 2;
        let offset = theirs.as_micros() - middle;
        seen.clock_offset_micros.store(offset, Ordering::Relaxed);
        Ok(Duration::from_micros(offset.unsigned_abs()))
    }

    /// What the database's clock shows: the one by which all processes tell whom they have to wait for. It
    /// is reckoned on from the last look at it, so this machine's clock may be wrong, or be set. The machine's
    /// own where the database has none, or was not looked at yet.
    pub(crate) fn database_now(&self) -> Timestamp {
        match self.0.database.epoch_micros.load(Ordering::Relaxed) {
            UNSEEN => self.now(),
            epoch => Timestamp::from_micros(epoch).plus(self.monotonic()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn background(task: impl Future<Output = ()> + Send + 'static) -> Background {
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        tasks.spawn(async move {
            let mut stopping = stopping;
            stopped(&mut stopping).await;
        });
        Background { tasks, stop }
    }

    #[tokio::test]
    async fn a_task_that_is_gone_is_missed() {
        let mut panicking = background(async { panic!("a fault of ours") });
        assert_eq!(panicking.ended().await, "a background task panicked");
        let mut ending = background(async {});
        assert_eq!(ending.ended().await, "a background task ended");
        let mut going_on = background(std::future::pending());
        let ended = tokio::time::timeout(Duration::from_millis(50), going_on.ended());
        assert!(ended.await.is_err(), "nothing has ended");
    }
}
