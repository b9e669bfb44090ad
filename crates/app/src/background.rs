//! What every process does beside its requests: read the feed, flush the uses, look at the clocks.

use crate::App;
use crate::error::Result;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};
use symbolon_store::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Rows of the feed read at once.
const FEED_PAGE: i64 = 1000;
/// Between two looks at the database's clock.
const CLOCK_CHECK: Duration = Duration::from_secs(60);
/// A difference of clocks worth a warning.
pub(crate) const CLOCK_WARN: Duration = Duration::from_secs(1);

/// How far this process has read the feed, and when it last could.
#[derive(Debug, Default)]
pub(crate) struct FeedState {
    applied: AtomicI64,
    read_at: Mutex<Option<Instant>>,
    clock_offset_micros: AtomicI64,
    migrations_missing: AtomicBool,
}

impl FeedState {
    /// Since when nothing was heard from the feed; `None` before it was first read.
    pub fn age(&self) -> Option<Duration> {
        self.read_at
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .map(|at| at.elapsed())
    }

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
    /// Starts the tasks of a process on the current runtime.
    pub fn start(app: &App) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(read_feed(app.clone(), stopped.clone()));
        tasks.spawn(flush(app.clone(), stopped.clone()));
        tasks.spawn(watch_database(app.clone(), stopped));
        Self { tasks, stop }
    }

    /// Stops them, and flushes what was used. Called after HTTP has stopped.
    pub async fn stop(mut self, app: &App) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        if let Err(error) = app.flush_uses().await {
            tracing::warn!(%error, "the last uses were not recorded");
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
        match app.poll_feed().await {
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
        tokio::select! {
            () = stopped(&mut stop) => return,
            _ = signal.changed() => {}
            () = tokio::time::sleep(app.settings().feed_poll) => {}
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
        if let Err(error) = app.flush_uses().await {
            tracing::warn!(%error, "uses wait for the next flush");
            // A full buffer must not turn an outage into a busy loop.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// What seldom changes and must be noticed all the same: the clocks, and a schema put back under us.
async fn watch_database(app: App, mut stop: watch::Receiver<bool>) {
    loop {
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
                let missing = &app.0.feed.migrations_missing;
                missing.store(!pending.is_empty(), Ordering::Relaxed);
            }
            Err(error) => tracing::debug!(%error, "the schema was not looked at"),
        }
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(CLOCK_CHECK) => {}
        }
    }
}

impl App {
    /// Reads what is new in the feed. Every process does, always; a notification only shortens the wait.
    /// Nothing is cached yet, so there is nothing to overwrite: requests read the facts themselves.
    pub async fn poll_feed(&self) -> Result<usize> {
        let state = &self.0.feed;
        let mut read = 0;
        loop {
            let rows = self
                .store()
                .feed_after(state.applied.load(Ordering::Acquire), FEED_PAGE)
                .await?;
            if let Some(last) = rows.last() {
                state.applied.store(last.seq, Ordering::Release);
            }
            read += rows.len();
            if i64::try_from(rows.len()).unwrap_or(0) < FEED_PAGE {
                break;
            }
        }
        *state
            .read_at
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Instant::now());
        Ok(read)
    }

    /// How far this machine's clock and the database's are apart.
    pub async fn check_clock(&self) -> Result<Duration> {
        let before = self.now();
        let Some(theirs) = self.store().database_time().await? else {
            return Ok(Duration::ZERO);
        };
        let after = self.now();
        let middle = (before.as_micros() + after.as_micros()) / 2;
        let offset = theirs.as_micros() - middle;
        self.0
            .feed
            .clock_offset_micros
            .store(offset, Ordering::Relaxed);
        Ok(Duration::from_micros(offset.unsigned_abs()))
    }

    /// Called by every use case that has committed something.
    pub(crate) fn after_commit(&self) {
        metrics::counter!("symbolon_changes_total").increment(1);
    }
}
