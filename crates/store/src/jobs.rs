//! The queue: a table whose rows are leased, started, and given an outcome, each step fenced by the
//! number of the lease.

use crate::Store;
use crate::backend::{Backend, asked, read, tx};
use crate::error::Result;
use crate::schema::{jobs, schedules};
use crate::signals::Signal;
use crate::types::{Doc, Ts, Uid, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use diesel_async::RunQueryDsl;
use symbolon_domain::{Job, JobId, NewJob, Timestamp};

/// A job handed to one worker. The number grows with each lease, so that an older holder can do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Lease {
    pub id: JobId,
    pub lease_no: i64,
}

/// A job that its handler may now run.
#[derive(Debug, Clone)]
pub struct StartedJob {
    pub lease: Lease,
    pub name: String,
    /// `None` when this release does not know it.
    pub job: Option<Job>,
    /// Counts real starts, from 1.
    pub attempt: i32,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutcome {
    Done,
    /// To be tried again; this attempt counts.
    Postponed {
        until: Timestamp,
        error: String,
    },
    /// Not now; this attempt does not count.
    Deferred {
        until: Timestamp,
        reason: String,
    },
    /// Given up, with the reason.
    Buried {
        error: String,
    },
    /// Handed back untouched; due at once.
    Released,
}

/// A row of the queue, for operators.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = jobs)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
struct Row {
    id: Uid,
    name: String,
    payload: Doc,
    run_at: Ts,
    leased_until: Option<Ts>,
    started_at: Option<Ts>,
    attempt: i32,
    last_error: Option<String>,
    outcome: Option<String>,
    created_at: Ts,
    done_at: Option<Ts>,
}

#[derive(Debug, Clone)]
pub struct JobRow {
    pub id: JobId,
    pub name: String,
    pub payload: serde_json::Value,
    pub run_at: Timestamp,
    pub attempt: i32,
    pub last_error: Option<String>,
    pub state: JobState,
    /// Since when its handler runs; `None` while it is only handed over.
    pub started_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub done_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Its time has not come.
    Waiting,
    Due,
    /// Leased to a worker, started or about to be.
    Running,
    Done,
    Buried,
    Cancelled,
}

impl JobState {
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Due,
        Self::Running,
        Self::Done,
        Self::Buried,
        Self::Cancelled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Due => "due",
            Self::Running => "running",
            Self::Done => "done",
            Self::Buried => "buried",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Which jobs to show.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    pub id: Option<JobId>,
    pub state: Option<JobState>,
    pub name: Option<String>,
    pub limit: i64,
}

#[derive(Debug, Clone)]
pub struct ScheduleRow {
    pub name: String,
    pub next_run_at: Timestamp,
    pub last_run_at: Option<Timestamp>,
}

#[derive(Debug, Insertable)]
#[diesel(table_name = jobs)]
pub(crate) struct NewRow {
    id: Uid,
    name: &'static str,
    payload: Doc,
    run_at: Ts,
    lease_no: i64,
    attempt: i32,
    created_at: Ts,
}

pub(crate) fn new_row(it: &NewJob, now: Timestamp) -> NewRow {
    NewRow {
        id: Uid(it.id.0),
        name: it.job.name(),
        payload: Doc(it.job.payload()),
        run_at: Ts(it.run_at),
        lease_no: 0,
        attempt: 0,
        created_at: Ts(now),
    }
}

#[derive(QueryableByName)]
struct LeasedRow {
    #[diesel(sql_type = sql::Uid)]
    id: Uid,
    #[diesel(sql_type = BigInt)]
    lease_no: i64,
}

const LEASE_PG: &str = "UPDATE jobs SET lease_no = lease_no + 1, leased_until = $1, started_at = NULL \
     WHERE id = ANY(ARRAY(SELECT id FROM jobs WHERE done_at IS NULL AND run_at <= $2 \
       AND (leased_until IS NULL OR leased_until <= $2) ORDER BY run_at LIMIT $3 \
       FOR UPDATE SKIP LOCKED)) RETURNING id, lease_no";
const LEASE_SQLITE: &str = "UPDATE jobs SET lease_no = lease_no + 1, leased_until = ?1, started_at = NULL \
     WHERE id IN (SELECT id FROM jobs WHERE done_at IS NULL AND run_at <= ?2 \
       AND (leased_until IS NULL OR leased_until <= ?2) ORDER BY run_at LIMIT ?3) \
     RETURNING id, lease_no";

impl Store {
    /// Puts jobs into the queue outside of any change: for schedules and operators.
    pub async fn enqueue(&self, new: &[NewJob], now: Timestamp) -> Result<()> {
        tx!(self, |c, _locked, _on_pg| {
            for it in new {
                diesel::insert_into(jobs::table)
                    .values(new_row(it, now))
                    .execute(c)
                    .await?;
            }
            Ok(())
        })?;
        self.signals.raise(Signal::Jobs);
        Ok(())
    }

    /// Leases due jobs, the longest due first, in one statement.
    pub async fn lease_jobs(
        &self,
        limit: i64,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Lease>> {
        macro_rules! lease {
            ($statement:expr, $connection:expr) => {
                diesel::sql_query($statement)
                    .bind::<sql::Ts, _>(Ts(until))
                    .bind::<sql::Ts, _>(Ts(now))
                    .bind::<BigInt, _>(limit)
                    .load::<LeasedRow>($connection)
                    .await
            };
        }
        let rows: QueryResult<Vec<LeasedRow>> = match &self.backend {
            Backend::Pg { pool, .. } => asked!(pool, |c| lease!(LEASE_PG, c)),
            Backend::Lite { write, .. } => {
                let mut held = write.get().await?;
                let c: &mut crate::backend::Lite = &mut held;
                lease!(LEASE_SQLITE, c)
            }
        };
        let rows = rows?;
        Ok(rows
            .into_iter()
            .map(|row| Lease {
                id: JobId(row.id.0),
                lease_no: row.lease_no,
            })
            .collect())
    }

    /// Buries jobs that were started `attempts` times and each time took their worker with them.
    pub async fn bury_exhausted(&self, attempts: i32, now: Timestamp) -> Result<usize> {
        tx!(self, |c, _locked, _on_pg| {
            let lost = jobs::table
                .filter(diesel::dsl::sql::<Bool>(
                    "done_at IS NULL AND leased_until IS NOT NULL",
                ))
                .filter(jobs::leased_until.le(Ts(now)))
                .filter(jobs::started_at.is_not_null())
                .filter(jobs::attempt.ge(attempts));
            Ok(diesel::update(lost)
                .set((
                    jobs::done_at.eq(Ts(now)),
                    jobs::outcome.eq("buried"),
                    jobs::leased_until.eq(None::<Ts>),
                    jobs::last_error.eq("its worker was lost at each attempt"),
                ))
                .execute(c)
                .await?)
        })
    }

    /// How many jobs are leased and not finished.
    pub async fn outstanding_jobs(&self, now: Timestamp) -> Result<i64> {
        Ok(read!(self, |c| jobs::table
            .filter(diesel::dsl::sql::<Bool>(
                "done_at IS NULL AND leased_until IS NOT NULL"
            ))
            .filter(jobs::leased_until.gt(Ts(now)))
            .count()
            .get_result::<i64>(c)
            .await)?)
    }

    /// The beginning of a handler: counts the attempt. `None` when the lease is no longer ours, or was
    /// started already; then the hand-over is dropped silently.
    pub async fn start_job(
        &self,
        lease: Lease,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<StartedJob>> {
        let started: Option<(String, Doc, i32, Ts)> = tx!(self, |c, _locked, _on_pg| {
            Ok(diesel::update(
                jobs::table
                    .find(Uid(lease.id.0))
                    .filter(jobs::lease_no.eq(lease.lease_no))
                    .filter(jobs::started_at.is_null())
                    // A settled lease that a transport hands over once more is no lease.
                    .filter(jobs::leased_until.is_not_null())
                    .filter(jobs::done_at.is_null()),
            )
            .set((
                jobs::attempt.eq(jobs::attempt + 1),
                jobs::started_at.eq(Ts(now)),
                jobs::leased_until.eq(Ts(until)),
            ))
            .returning((jobs::name, jobs::payload, jobs::attempt, jobs::created_at))
            .get_result(c)
            .await
            .optional()?)
        })?;
        Ok(
            started.map(|(name, payload, attempt, created_at)| StartedJob {
                lease,
                job: Job::parse(&name, payload.0),
                name,
                attempt,
                created_at: created_at.0,
            }),
        )
    }

    /// Writes what became of a job. `false` when the lease is no longer ours; then nothing was written.
    pub async fn finish_job(
        &self,
        lease: Lease,
        outcome: &JobOutcome,
        now: Timestamp,
    ) -> Result<bool> {
        let ours = jobs::table
            .find(Uid(lease.id.0))
            .filter(jobs::lease_no.eq(lease.lease_no))
            .filter(jobs::leased_until.is_not_null())
            .filter(jobs::done_at.is_null());
        let free = (
            jobs::leased_until.eq(None::<Ts>),
            jobs::started_at.eq(None::<Ts>),
        );
        let written = tx!(self, |c, _locked, _on_pg| {
            Ok(match outcome {
                JobOutcome::Done => {
                    diesel::update(ours)
                        .set((jobs::done_at.eq(Ts(now)), jobs::outcome.eq("done"), free))
                        .execute(c)
                        .await?
                }
                JobOutcome::Buried { error } => {
                    let end = (jobs::done_at.eq(Ts(now)), jobs::outcome.eq("buried"), free);
                    diesel::update(ours)
                        .set((jobs::last_error.eq(error), end))
                        .execute(c)
                        .await?
                }
                JobOutcome::Postponed { until, error } => {
                    diesel::update(ours)
                        .set((
                            jobs::run_at.eq(Ts(*until)),
                            jobs::last_error.eq(error),
                            free,
                        ))
                        .execute(c)
                        .await?
                }
                JobOutcome::Deferred { until, reason } => {
                    diesel::update(ours)
                        .set((
                            jobs::run_at.eq(Ts(*until)),
                            jobs::last_error.eq(reason),
                            jobs::attempt.eq(jobs::attempt - 1),
                            free,
                        ))
                        .execute(c)
                        .await?
                }
                JobOutcome::Released => diesel::update(ours).set(free).execute(c).await?,
            })
        })?;
        Ok(written == 1)
    }

    /// Frees every lease: only where no other process can hold one.
    pub async fn release_all_leases(&self) -> Result<usize> {
        tx!(self, |c, _locked, _on_pg| {
            Ok(diesel::update(jobs::table.filter(diesel::dsl::sql::<Bool>(
                "done_at IS NULL AND leased_until IS NOT NULL",
            )))
            .set((
                jobs::leased_until.eq(None::<Ts>),
                jobs::started_at.eq(None::<Ts>),
                jobs::lease_no.eq(jobs::lease_no + 1),
            ))
            .execute(c)
            .await?)
        })
    }

    /// Runs a schedule whose time has come: by compare-and-set, so that of many workers one wins, and
    /// after a week asleep it runs once. A run still under way is not doubled. `true` when it enqueued.
    pub async fn tick_schedule(
        &self,
        name: &'static str,
        next: Timestamp,
        job: &NewJob,
        now: Timestamp,
    ) -> Result<bool> {
        let due: Option<Ts> = read!(self, |c| schedules::table
            .find(name)
            .select(schedules::next_run_at)
            .first(c)
            .await
            .optional())?;
        if due.is_some_and(|due| now < due.0) {
            return Ok(false);
        }
        let enqueued: bool = tx!(self, |c, _locked, _on_pg| {
            let won = match due {
                Some(due) => {
                    diesel::update(
                        schedules::table
                            .find(name)
                            .filter(schedules::next_run_at.eq(due)),
                    )
                    .set((
                        schedules::next_run_at.eq(Ts(next)),
                        schedules::last_run_at.eq(Ts(now)),
                    ))
                    .execute(c)
                    .await?
                }
                None => {
                    diesel::insert_into(schedules::table)
                        .values((
                            schedules::name.eq(name),
                            schedules::next_run_at.eq(Ts(next)),
                            schedules::last_run_at.eq(Ts(now)),
                        ))
                        .on_conflict_do_nothing()
                        .execute(c)
                        .await?
                }
            };
            if won == 0 {
                return Ok(false);
            }
            let open: i64 = jobs::table
                .filter(jobs::name.eq(job.job.name()))
                .filter(diesel::dsl::sql::<Bool>("done_at IS NULL"))
                .count()
                .get_result(c)
                .await?;
            if open > 0 {
                return Ok(false);
            }
            diesel::insert_into(jobs::table)
                .values(new_row(job, now))
                .execute(c)
                .await?;
            Ok(true)
        })?;
        if enqueued {
            self.signals.raise(Signal::Jobs);
        }
        Ok(enqueued)
    }

    pub async fn list_schedules(&self) -> Result<Vec<ScheduleRow>> {
        let rows: Vec<(String, Ts, Option<Ts>)> = read!(self, |c| schedules::table
            .order(schedules::name)
            .load(c)
            .await)?;
        let of_row = |(name, next, last): (String, Ts, Option<Ts>)| ScheduleRow {
            name,
            next_run_at: next.0,
            last_run_at: last.map(|at| at.0),
        };
        Ok(rows.into_iter().map(of_row).collect())
    }

    /// Newest first.
    pub async fn list_jobs(&self, filter: &JobFilter, now: Timestamp) -> Result<Vec<JobRow>> {
        let rows: Vec<Row> = read!(self, |c| {
            let mut select = jobs::table
                .select(Row::as_select())
                .order(jobs::id.desc())
                .limit(filter.limit)
                .into_boxed();
            if let Some(id) = filter.id {
                select = select.filter(jobs::id.eq(Uid(id.0)));
            }
            if let Some(name) = &filter.name {
                select = select.filter(jobs::name.eq(name));
            }
            let leased = jobs::leased_until
                .is_not_null()
                .and(jobs::leased_until.gt(Ts(now)).assume_not_null());
            select = match filter.state {
                None => select,
                Some(JobState::Running) => select.filter(jobs::done_at.is_null()).filter(leased),
                Some(JobState::Due) => select
                    .filter(jobs::done_at.is_null())
                    .filter(jobs::run_at.le(Ts(now)))
                    .filter(
                        jobs::leased_until
                            .is_null()
                            .or(jobs::leased_until.le(Ts(now)).assume_not_null()),
                    ),
                Some(JobState::Waiting) => select
                    .filter(jobs::done_at.is_null())
                    .filter(jobs::run_at.gt(Ts(now))),
                Some(over) => select.filter(jobs::outcome.eq(over.as_str())),
            };
            select.load(c).await
        })?;
        let state = |row: &Row| match row.outcome.as_deref() {
            Some("done") => JobState::Done,
            Some("buried") => JobState::Buried,
            Some(_) => JobState::Cancelled,
            None if row.leased_until.is_some_and(|until| until.0 > now) => JobState::Running,
            None if row.run_at.0 > now => JobState::Waiting,
            None => JobState::Due,
        };
        let of_row = |row: Row| JobRow {
            state: state(&row),
            id: JobId(row.id.0),
            name: row.name,
            payload: row.payload.0,
            run_at: row.run_at.0,
            attempt: row.attempt,
            last_error: row.last_error,
            started_at: row.started_at.map(|at| at.0),
            created_at: row.created_at.0,
            done_at: row.done_at.map(|at| at.0),
        };
        Ok(rows.into_iter().map(of_row).collect())
    }

    /// Makes a job due now with all its attempts before it: buried, cancelled or waiting ones. `false`
    /// when there is none such, or a worker has it.
    pub async fn retry_job(&self, id: JobId, now: Timestamp) -> Result<bool> {
        let written = tx!(self, |c, _locked, _on_pg| {
            let idle = jobs::table
                .find(Uid(id.0))
                .filter(
                    jobs::outcome
                        .is_null()
                        .or(jobs::outcome.ne("done").assume_not_null()),
                )
                .filter(
                    jobs::leased_until
                        .is_null()
                        .or(jobs::leased_until.le(Ts(now)).assume_not_null()),
                );
            Ok(diesel::update(idle)
                .set((
                    jobs::run_at.eq(Ts(now)),
                    jobs::attempt.eq(0),
                    jobs::outcome.eq(None::<String>),
                    jobs::done_at.eq(None::<Ts>),
                    jobs::started_at.eq(None::<Ts>),
                    jobs::leased_until.eq(None::<Ts>),
                    jobs::lease_no.eq(jobs::lease_no + 1),
                ))
                .execute(c)
                .await?)
        })?;
        self.signals.raise(Signal::Jobs);
        Ok(written == 1)
    }

    /// Ends a job that no worker has. `false` when there is none such.
    pub async fn cancel_job(&self, id: JobId, now: Timestamp) -> Result<bool> {
        let written = tx!(self, |c, _locked, _on_pg| {
            let idle = jobs::table
                .find(Uid(id.0))
                .filter(jobs::done_at.is_null())
                .filter(
                    jobs::leased_until
                        .is_null()
                        .or(jobs::leased_until.le(Ts(now)).assume_not_null()),
                );
            Ok(diesel::update(idle)
                .set((
                    jobs::outcome.eq("cancelled"),
                    jobs::done_at.eq(Ts(now)),
                    jobs::leased_until.eq(None::<Ts>),
                    jobs::lease_no.eq(jobs::lease_no + 1),
                ))
                .execute(c)
                .await?)
        })?;
        Ok(written == 1)
    }
}
