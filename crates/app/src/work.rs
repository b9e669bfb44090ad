//! What the worker needs: leases, outcomes, schedules, and the sweeps.

use crate::App;
use crate::actor::{Actor, Origin};
use crate::error::Result;
use std::time::Duration;
use symbolon_domain::job::{Job, NewJob};
use symbolon_domain::retire;
use symbolon_store::{EndedPage, JobOutcome, Lease, StartedJob};

/// A job is given up after so many starts.
pub const MAX_ATTEMPTS: i32 = 12;

/// Rows that a sweep locks at once.
const SWEEP_PAGE: i64 = 1000;

/// Something to do again and again.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub name: &'static str,
    pub every: Duration,
    pub job: Job,
}

impl App {
    /// Leases due jobs, and buries those that took their worker with them at every attempt.
    pub async fn lease_jobs(&self, limit: u32, lease: Duration) -> Result<Vec<Lease>> {
        let now = self.now();
        let buried = self.store().bury_exhausted(MAX_ATTEMPTS, now).await?;
        if buried > 0 {
            tracing::error!(
                buried,
                "jobs were buried: their worker was lost at each attempt"
            );
        }
        Ok(self
            .store()
            .lease_jobs(i64::from(limit), now, now.plus(lease))
            .await?)
    }

    /// How many jobs are leased and unfinished.
    pub async fn outstanding_jobs(&self) -> Result<u64> {
        Ok(u64::try_from(self.store().outstanding_jobs(self.now()).await?).unwrap_or(0))
    }

    /// The beginning of a handler, which has `budget` from now. `None`: drop it silently.
    pub async fn start_job(&self, lease: Lease, budget: Duration) -> Result<Option<StartedJob>> {
        let now = self.now();
        Ok(self.store().start_job(lease, now, now.plus(budget)).await?)
    }

    /// `false` when the lease was lost meanwhile; then nothing was written.
    pub async fn finish_job(&self, lease: Lease, outcome: JobOutcome) -> Result<bool> {
        Ok(self.store().finish_job(lease, &outcome, self.now()).await?)
    }

    /// Only for an embedded start: the directory's lock proves that nobody else holds a lease.
    pub async fn release_all_leases(&self) -> Result<u64> {
        Ok(self.store().release_all_leases().await? as u64)
    }

    /// Returns early when a change, here or in another process, has put something into the queue.
    pub async fn wait_for_jobs(&self, at_most: Duration) {
        let mut signal = self.0.jobs_signal.lock().await;
        // Neither an elapsed time nor a closed channel matters: whoever waits looks into the queue.
        let _ = tokio::time::timeout(at_most, signal.changed()).await;
    }

    /// Runs what is due of these schedules; right with any number of workers.
    pub async fn tick_schedules(&self, schedules: &[Schedule]) -> Result<u32> {
        let now = self.now();
        let mut enqueued = 0;
        for it in schedules {
            let job = NewJob::new(it.job.clone(), now, now, &mut *self.dice());
            if self
                .store()
                .tick_schedule(it.name, now.plus(it.every), &job, now)
                .await?
            {
                enqueued += 1;
            }
        }
        Ok(enqueued)
    }

    /// Puts one job into the queue by hand.
    pub async fn enqueue(&self, job: Job) -> Result<symbolon_domain::JobId> {
        let now = self.now();
        let new = NewJob::new(job, now, now, &mut *self.dice());
        self.store()
            .enqueue(std::slice::from_ref(&new), now)
            .await?;
        Ok(new.id)
    }

    /// Records the ends of a page of tokens: the fact, with its event. They have been refused since the
    /// instant itself.
    pub async fn expire_tokens_page(&self) -> Result<usize> {
        let now = self.now();
        let app = self.clone();
        let seen = self
            .store()
            .change_page(now, SWEEP_PAGE, move |page| {
                let actor = Actor::schedule();
                let asking = actor.asking(now, Origin::default());
                let mut dice = app.dice();
                let mut wanted = EndedPage::default();
                for credential in page {
                    if let Some(kind) = retire::end_to_record(credential, now) {
                        wanted.recorded.push(credential.id);
                        wanted
                            .events
                            .push(retire::end_event(credential, kind, &asking, &mut *dice));
                    }
                }
                wanted
            })
            .await?;
        Ok(seen)
    }

    /// Removes a page of what has outlived its retention.
    pub async fn purge_page(&self) -> Result<usize> {
        Ok(self
            .store()
            .purge_page(self.settings().retention, self.now())
            .await?)
    }
}
