//! Telling other processes, and other tasks of this one, that there is something to read.
//!
//! A notification never carries anything and may be lost: whoever waits also polls. `NOTIFY` goes out
//! after the commit, coalesced, since inside the transaction it nearly halves the commits per second.

use crate::backend::{Backend, PgConnect};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// What there is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Feed,
    Jobs,
}

/// At most one `NOTIFY` of a kind in so long.
const COALESCE: Duration = Duration::from_millis(5);
/// Between attempts to listen again.
const RECONNECT: Duration = Duration::from_secs(1);
/// For an answer to `NOTIFY` or `LISTEN`: without one the connection is thrown away.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct Signals {
    feed: watch::Sender<u64>,
    jobs: watch::Sender<u64>,
    outgoing: Notify,
    feed_dirty: std::sync::atomic::AtomicBool,
    jobs_dirty: std::sync::atomic::AtomicBool,
}

impl Signals {
    pub fn start(backend: &Backend) -> Arc<Self> {
        let signals = Arc::new(Self {
            feed: watch::Sender::new(0),
            jobs: watch::Sender::new(0),
            outgoing: Notify::new(),
            feed_dirty: false.into(),
            jobs_dirty: false.into(),
        });
        if let Backend::Pg { connect, .. } = backend {
            tokio::spawn(send(Arc::downgrade(&signals), (**connect).clone()));
            tokio::spawn(listen(Arc::downgrade(&signals), (**connect).clone()));
        }
        signals
    }

    fn sender(&self, signal: Signal) -> &watch::Sender<u64> {
        match signal {
            Signal::Feed => &self.feed,
            Signal::Jobs => &self.jobs,
        }
    }

    pub fn subscribe(&self, signal: Signal) -> watch::Receiver<u64> {
        self.sender(signal).subscribe()
    }

    /// Wakes the tasks of this process.
    fn wake(&self, signal: Signal) {
        self.sender(signal)
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// After a commit: wakes this process now and the others soon.
    pub fn raise(&self, signal: Signal) {
        self.wake(signal);
        let dirty = match signal {
            Signal::Feed => &self.feed_dirty,
            Signal::Jobs => &self.jobs_dirty,
        };
        dirty.store(true, std::sync::atomic::Ordering::Release);
        self.outgoing.notify_one();
    }

    fn take_statements(&self) -> String {
        let mut statements = String::new();
        for (dirty, channel) in [
            (&self.feed_dirty, "symbolon_feed"),
            (&self.jobs_dirty, "symbolon_jobs"),
        ] {
            if dirty.swap(false, std::sync::atomic::Ordering::AcqRel) {
                statements.push_str(&format!("NOTIFY {channel};"));
            }
        }
        statements
    }
}

/// Whether the server says in time that it has run these.
async fn is_done(connection: &mut AsyncPgConnection, statements: &str) -> bool {
    let run = connection.batch_execute(statements);
    matches!(tokio::time::timeout(PATIENCE, run).await, Ok(Ok(())))
}

async fn send(signals: std::sync::Weak<Signals>, connect: PgConnect) {
    let mut connection = None;
    loop {
        let Some(held) = signals.upgrade() else {
            return;
        };
        // A bounded wait, so that the task ends with the store.
        let _ = tokio::time::timeout(Duration::from_secs(1), held.outgoing.notified()).await;
        tokio::time::sleep(COALESCE).await;
        let statements = held.take_statements();
        drop(held);
        if statements.is_empty() {
            continue;
        }
        if connection.is_none() {
            connection = connect.open().await.ok();
        }
        if let Some(open) = connection.as_mut()
            && !is_done(open, &statements).await
        {
            tracing::debug!("a notification was lost; whoever waits polls");
            connection = None;
        }
    }
}

async fn listen(signals: std::sync::Weak<Signals>, connect: PgConnect) {
    loop {
        if signals.strong_count() == 0 {
            return;
        }
        let Ok(mut connection) = connect.open().await else {
            tokio::time::sleep(RECONNECT).await;
            continue;
        };
        if !is_done(
            &mut connection,
            "LISTEN symbolon_feed; LISTEN symbolon_jobs",
        )
        .await
        {
            tokio::time::sleep(RECONNECT).await;
            continue;
        }
        let mut notifications = Box::pin(connection.notifications_stream());
        loop {
            let Some(held) = signals.upgrade() else {
                return;
            };
            match tokio::time::timeout(Duration::from_secs(1), notifications.next()).await {
                Err(_) => {}
                Ok(Some(Ok(notification))) => match notification.channel.as_str() {
                    "symbolon_feed" => held.wake(Signal::Feed),
                    _ => held.wake(Signal::Jobs),
                },
                Ok(_) => break,
            }
        }
        tracing::debug!("no longer listening for notifications; polling goes on");
        tokio::time::sleep(RECONNECT).await;
    }
}

impl crate::Store {
    /// A receiver that changes whenever there may be something new to read.
    pub fn signal(&self, signal: Signal) -> watch::Receiver<u64> {
        self.signals.subscribe(signal)
    }
}
