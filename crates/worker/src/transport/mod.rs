//! How a handed-over lease reaches a runner: through apalis in memory or on Redis. Nothing outside this
//! folder knows apalis, and nothing here decides anything: a hand-over that gets lost comes back when
//! its lease lapses.

mod memory;
mod redis;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use symbolon_app::Lease;
use tokio::sync::watch;

pub(crate) use memory::Memory;
pub(crate) use redis::Redis;
pub use redis::RedisSettings;

/// Runs one job to its end.
pub(crate) type Deliver = Arc<dyn Fn(Lease) -> BoxFuture<'static, ()> + Send + Sync>;

/// The carrier is out of reach. The text is masked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreachable(pub String);

pub(crate) enum Transport {
    Memory(Memory),
    Redis(Box<Redis>),
}

impl Transport {
    /// How many more leases it takes now, when `cap` may wait in it.
    pub async fn room(&self, cap: usize) -> Result<usize, Unreachable> {
        match self {
            Self::Memory(memory) => Ok(memory.room().min(cap)),
            Self::Redis(redis) => Ok(cap.saturating_sub(redis.waiting().await?)),
        }
    }

    pub async fn hand_over(&self, leases: &[Lease]) -> Result<(), Unreachable> {
        match self {
            Self::Memory(memory) => memory.hand_over(leases),
            Self::Redis(redis) => redis.hand_over(leases).await,
        }
    }

    /// Delivers until `stopping` is true and what runs has ended, whatever happens to the carrier.
    pub async fn run(&self, deliver: Deliver, stopping: watch::Receiver<bool>) {
        match self {
            Self::Memory(memory) => memory.run(deliver, stopping).await,
            Self::Redis(redis) => redis.run(deliver, stopping).await,
        }
    }

    /// Leases that only this process could still deliver; empty for a carrier shared by many.
    pub fn take_undelivered(&self) -> Vec<Lease> {
        match self {
            Self::Memory(memory) => memory.take_undelivered(),
            Self::Redis(_) => Vec::new(),
        }
    }
}

/// Resolves once `stopping` is true, or whoever could say so is gone.
pub(crate) async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone: time to stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Whether something is out of reach, logged once when it begins and once when it ends.
pub(crate) struct Outage {
    what: &'static str,
    down: AtomicBool,
}

impl Outage {
    pub fn new(what: &'static str) -> Self {
        Self {
            what,
            down: AtomicBool::new(false),
        }
    }

    pub fn began(&self, error: &dyn std::fmt::Display) {
        metrics::gauge!("symbolon_worker_outage", "of" => self.what).set(1.0);
        if !self.down.swap(true, Ordering::Relaxed) {
            tracing::warn!(of = self.what, %error, "out of reach; jobs wait and nothing is lost");
        }
    }

    pub fn ended(&self) {
        metrics::gauge!("symbolon_worker_outage", "of" => self.what).set(0.0);
        if self.down.swap(false, Ordering::Relaxed) {
            tracing::info!(of = self.what, "in reach again");
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
