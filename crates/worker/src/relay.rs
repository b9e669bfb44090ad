//! Leases due jobs and hands them to the transport, as long as not too many are outstanding; and lets
//! schedules make jobs.

use std::time::Duration;

use symbolon_app::Schedule;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::job::masked;
use crate::runner::Runner;
use crate::transport::{Outage, Transport, stopped};

/// Leased and handed over at once.
const BATCH: usize = 100;
/// Bounds how often a stream of notifications makes the relay look.
const BREATH: Duration = Duration::from_millis(5);

pub(crate) struct Relay<'a> {
    pub runner: &'a Runner,
    pub transport: &'a Transport,
    pub schedules: &'a [Schedule],
    pub poll_interval: Duration,
    pub lease: Duration,
    /// Handed over and unfinished, at most: in our table, and waiting in the transport.
    pub outstanding: usize,
}

impl Relay<'_> {
    pub async fn run(&self, stopping: watch::Receiver<bool>) {
        let (database, carrier) = (Outage::new("database"), Outage::new("transport"));
        let mut scheduled_at: Option<Instant> = None;
        while !*stopping.borrow() {
            if scheduled_at.is_none_or(|at| at.elapsed() >= self.poll_interval) {
                scheduled_at = Some(Instant::now());
                self.note(&database, self.tick().await);
            }
            self.note(&database, self.turn(&carrier).await);
            tokio::select! {
                () = self.runner.context().app.wait_for_jobs(self.poll_interval) => {
                    tokio::time::sleep(BREATH).await;
                }
                () = stopped(stopping.clone()) => {}
            }
        }
    }

    fn note<T>(&self, database: &Outage, result: symbolon_app::Result<T>) {
        match result {
            Ok(_) => database.ended(),
            Err(error) => database.began(&masked(&error.to_string())),
        }
    }

    async fn tick(&self) -> symbolon_app::Result<u32> {
        self.runner
            .context()
            .app
            .tick_schedules(self.schedules)
            .await
    }

    /// Hands over until nothing is due or no room is left. An outage of the carrier ends it early.
    async fn turn(&self, carrier: &Outage) -> symbolon_app::Result<()> {
        let app = &self.runner.context().app;
        loop {
            let ours = usize::try_from(app.outstanding_jobs().await?).unwrap_or(usize::MAX);
            metrics::gauge!("symbolon_jobs_outstanding").set(ours as f64);
            let room = match self.transport.room(self.outstanding).await {
                Ok(room) => room.min(self.outstanding.saturating_sub(ours)),
                Err(error) => {
                    carrier.began(&error);
                    return Ok(());
                }
            };
            let limit = u32::try_from(room.min(BATCH)).unwrap_or_default();
            if limit == 0 {
                return Ok(());
            }
            let leases = app.lease_jobs(limit, self.lease).await?;
            if leases.is_empty() {
                carrier.ended();
                return Ok(());
            }
            if let Err(error) = self.transport.hand_over(&leases).await {
                carrier.began(&error);
                // Some may have arrived before the carrier broke: their leases are worth nothing now.
                self.runner.release(&leases).await;
                return Ok(());
            }
            carrier.ended();
        }
    }
}
