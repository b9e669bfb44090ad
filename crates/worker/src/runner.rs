//! Runs one handed-over job, whatever carried it: starts it in the table, runs its handler within its
//! time, and writes what came of it.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use symbolon_app::{Error, JobOutcome, Lease, MAX_ATTEMPTS, StartedJob};
use symbolon_domain::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::job::{JobError, backoff};
use crate::panics;
use crate::registry::{Context, handle};

/// A job that this release does not know is left to newer processes for this long.
const UNKNOWN_JOB_WAIT: Duration = Duration::from_secs(60);
/// How long an outcome is offered to a database that is away; then the lease lapses and the job runs
/// again, which handlers bear.
const OUTCOME_LONGEST: Duration = Duration::from_secs(30);

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Runner(Arc<Inner>);

/// By row and lease: a job whose lease lapsed may run twice for a while.
type Running = HashMap<Lease, Option<AbortHandle>>;

/// A running job's place; given back however the job ends.
struct Place {
    inner: Arc<Inner>,
    lease: Lease,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inner.running().remove(&self.lease);
    }
}

struct Inner {
    cx: Context,
    timeout: Duration,
    slots: Arc<Semaphore>,
    concurrency: u32,
    running: Mutex<Running>,
}

impl Runner {
    pub fn new(cx: Context, timeout: Duration, concurrency: usize) -> Self {
        panics::note_locations();
        let concurrency = u32::try_from(concurrency.max(1)).unwrap_or(u32::MAX);
        Self(Arc::new(Inner {
            cx,
            timeout,
            slots: Arc::new(Semaphore::new(concurrency as usize)),
            concurrency,
            running: Mutex::default(),
        }))
    }

    pub fn context(&self) -> &Context {
        &self.0.cx
    }

    /// Runs the job to its end in a task of its own: a carrier that breaks down meanwhile, and drops
    /// this future, does not break the job off.
    pub async fn deliver(&self, lease: Lease) {
        let Ok(slot) = self.0.slots.clone().acquire_owned().await else {
            return;
        };
        let place = Place {
            inner: self.0.clone(),
            lease,
            _slot: slot,
        };
        self.0.running().insert(lease, None);
        let task = tokio::spawn(async move { place.inner.perform(place.lease).await });
        if let Some(abort) = self.0.running().get_mut(&lease) {
            *abort = Some(task.abort_handle());
        }
        // Aborted by `stop`, or broken by a panic outside of a handler: the lease lapses.
        let _ = task.await;
    }

    /// Lets running jobs finish for `grace`, then breaks off and releases the rest.
    pub async fn stop(&self, grace: Duration) {
        let all = self.0.slots.acquire_many(self.0.concurrency);
        if tokio::time::timeout(grace, all).await.is_ok() {
            return;
        }
        let left: Vec<_> = self.0.running().drain().collect();
        let mut leases = Vec::with_capacity(left.len());
        for (lease, task) in left {
            if let Some(task) = task {
                task.abort();
            }
            leases.push(lease);
        }
        tracing::warn!(jobs = leases.len(), "jobs are broken off and released");
        self.release(&leases).await;
    }

    /// Gives leases back, so that the jobs need not wait for their end.
    pub async fn release(&self, leases: &[Lease]) {
        for lease in leases {
            if let Err(error) = self.0.cx.app.finish_job(*lease, JobOutcome::Released).await {
                tracing::debug!(job_id = %lease.id, code = error.code().as_str(), "a lease is left to lapse");
                // The database is away: the others will lapse as well.
                return;
            }
        }
    }
}

impl Inner {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn perform(&self, lease: Lease) {
        // Room to write the outcome of a job that used all its time.
        let budget = self.timeout + OUTCOME_LONGEST;
        let started = match self.cx.app.start_job(lease, budget).await {
            Ok(Some(started)) => started,
            // Already started, finished, or leased again: somebody else's.
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(job_id = %lease.id, code = error.code().as_str(), "a job cannot be started");
                return;
            }
        };
        let (name, began) = (
            started.job.as_ref().map_or("unknown", |job| job.name()),
            Instant::now(),
        );
        let outcome = self.outcome(&started).await;
        metrics::histogram!("symbolon_job_duration_seconds", "name" => name)
            .record(began.elapsed().as_secs_f64());
        metrics::counter!("symbolon_jobs_finished_total", "name" => name, "outcome" => label(&outcome))
            .increment(1);
        report(&started, &outcome);
        self.finish(lease, outcome).await;
    }

    async fn outcome(&self, started: &StartedJob) -> JobOutcome {
        let Some(job) = &started.job else {
            return JobOutcome::Deferred {
                until: self.cx.app.now().plus(UNKNOWN_JOB_WAIT),
                reason: "not known to this release".to_owned(),
            };
        };
        let result = contained(handle(&self.cx, job), self.timeout).await;
        judged(result, started, self.cx.app.now())
    }

    async fn finish(&self, lease: Lease, outcome: JobOutcome) {
        let (deadline, mut pause) = (Instant::now() + OUTCOME_LONGEST, Duration::from_millis(200));
        loop {
            match self.cx.app.finish_job(lease, outcome.clone()).await {
                Ok(true) => return,
                Ok(false) => {
                    tracing::warn!(job_id = %lease.id, "a job outlived its lease; its outcome is not ours to write");
                    return;
                }
                Err(Error::Unavailable { .. }) if Instant::now() + pause < deadline => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
                Err(error) => {
                    tracing::error!(job_id = %lease.id, code = error.code().as_str(), "the outcome of a job cannot be written; it will run again");
                    return;
                }
            }
        }
    }
}

/// Runs a handler within its time, and turns what it breaks into an error.
async fn contained(
    handler: impl Future<Output = Result<(), JobError>>,
    longest: Duration,
) -> Result<(), JobError> {
    let handler = AssertUnwindSafe(handler).catch_unwind();
    match tokio::time::timeout(longest, handler).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(JobError::Retry(format!(
            "panicked at {}",
            panics::latest_location()
        ))),
        Err(_) => Err(JobError::Retry(format!("ran longer than {longest:?}"))),
    }
}

fn judged(result: Result<(), JobError>, started: &StartedJob, now: Timestamp) -> JobOutcome {
    match result {
        Ok(()) => JobOutcome::Done,
        Err(JobError::Retry(error)) => match backoff(started.lease.id, started.attempt) {
            Some(wait) => JobOutcome::Postponed {
                until: now.plus(wait),
                error,
            },
            None => JobOutcome::Buried {
                error: format!("given up after {MAX_ATTEMPTS} attempts: {error}"),
            },
        },
        Err(JobError::Fail(error)) => JobOutcome::Buried { error },
        Err(JobError::Later { until, reason }) => JobOutcome::Deferred { until, reason },
    }
}

fn label(outcome: &JobOutcome) -> &'static str {
    match outcome {
        JobOutcome::Done => "done",
        JobOutcome::Postponed { .. } => "postponed",
        JobOutcome::Deferred { .. } => "deferred",
        JobOutcome::Buried { .. } => "buried",
        JobOutcome::Released => "released",
    }
}

fn report(started: &StartedJob, outcome: &JobOutcome) {
    let (job_id, name, attempt) = (started.lease.id, started.name.as_str(), started.attempt);
    match outcome {
        JobOutcome::Done | JobOutcome::Released => {
            tracing::debug!(%job_id, name, attempt, "a job is done");
        }
        JobOutcome::Deferred { until, reason } => {
            tracing::debug!(%job_id, name, attempt, %until, reason, "a job waits");
        }
        JobOutcome::Postponed { until, error } => {
            tracing::warn!(%job_id, name, attempt, %until, error, "a job failed and will be tried again");
        }
        JobOutcome::Buried { error } => {
            tracing::error!(%job_id, name, attempt, error, "a job is buried");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::testing::lease;

    fn started(attempt: i32) -> StartedJob {
        StartedJob {
            lease: lease(1),
            name: "purge".to_owned(),
            job: None,
            attempt,
            created_at: Timestamp::from_micros(0),
        }
    }

    #[tokio::test]
    async fn panics_and_overlong_handlers_are_errors_to_retry() {
        panics::note_locations();
        let longest = Duration::from_millis(50);
        assert_eq!(contained(async { Ok(()) }, longest).await, Ok(()));
        match contained(async { panic!("s3cret {}", 1) }, longest).await {
            Err(JobError::Retry(error)) => {
                assert!(
                    error.starts_with("panicked at ") && error.contains("runner.rs:"),
                    "{error}"
                );
                assert!(!error.contains("s3cret"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        let error = contained(std::future::pending(), longest).await;
        assert_eq!(
            error,
            Err(JobError::Retry("ran longer than 50ms".to_owned()))
        );
    }

    #[test]
    fn outcomes_follow_from_errors_and_attempts() {
        let now = Timestamp::from_micros(1_000_000);
        let retry = || Err(JobError::Retry("451".to_owned()));
        match judged(retry(), &started(1), now) {
            JobOutcome::Postponed { until, error } => {
                assert_eq!(error, "451");
                assert_eq!(until.since(now), backoff(lease(1).id, 1).unwrap());
            }
            other => panic!("{other:?}"),
        }
        match judged(retry(), &started(MAX_ATTEMPTS), now) {
            JobOutcome::Buried { error } => assert!(error.contains("451"), "{error}"),
            other => panic!("{other:?}"),
        }
        let fail = Err(JobError::Fail("550".to_owned()));
        assert_eq!(
            judged(fail, &started(1), now),
            JobOutcome::Buried {
                error: "550".to_owned()
            }
        );
        let later = Err(JobError::Later {
            until: now,
            reason: "r".to_owned(),
        });
        assert_eq!(
            judged(later, &started(MAX_ATTEMPTS), now),
            JobOutcome::Deferred {
                until: now,
                reason: "r".to_owned()
            }
        );
        assert_eq!(judged(Ok(()), &started(1), now), JobOutcome::Done);
    }
}
