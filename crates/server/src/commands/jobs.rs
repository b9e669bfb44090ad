//! `symbolon jobs` and `symbolon schedules`: the queue, for operators.

use serde_json::json;
use symbolon_app::SystemClock;
use symbolon_domain::{Clock, Job, JobId};
use symbolon_store::{JobFilter, JobRow, JobState};

use super::table;
use crate::assemble;
use crate::cli::{self, Jobs, Output};
use crate::config::Settings;

type AnyError = Box<dyn std::error::Error>;

pub async fn run(settings: &Settings, command: &Jobs) -> Result<(), AnyError> {
    let store = assemble::existing_store(settings).await?;
    let now = SystemClock.now();
    match command {
        Jobs::List {
            state,
            name,
            limit,
            output,
        } => {
            let filter = JobFilter {
                id: None,
                state: state_of(*state),
                name: name.clone(),
                limit: i64::from(limit.limit),
            };
            let rows = store.list_jobs(&filter, now).await?;
            if output.json {
                table::print_json(&rows.iter().map(to_json).collect::<Vec<_>>().into());
            } else {
                let of_row = |it: &JobRow| {
                    vec![
                        it.id.to_string(),
                        it.name.clone(),
                        it.state.as_str().to_owned(),
                        it.attempt.to_string(),
                        it.run_at.to_string(),
                        it.last_error.clone().unwrap_or_default(),
                    ]
                };
                let rows: Vec<_> = rows.iter().map(of_row).collect();
                table::print(
                    &["id", "name", "state", "attempt", "run at", "last error"],
                    &rows,
                );
            }
        }
        Jobs::Show { id } => {
            let filter = JobFilter {
                id: Some(*id),
                limit: 1,
                ..JobFilter::default()
            };
            let rows = store.list_jobs(&filter, now).await?;
            let row = rows
                .first()
                .ok_or_else(|| format!("there is no job {id}"))?;
            table::print_json(&to_json(row));
        }
        Jobs::Retry { id } => {
            for id in id {
                let done = store.retry_job(*id, now).await?;
                report(
                    *id,
                    done,
                    "is due now",
                    "is done already, under way, or does not exist",
                )?;
            }
        }
        Jobs::Cancel { id } => {
            for id in id {
                let done = store.cancel_job(*id, now).await?;
                report(
                    *id,
                    done,
                    "is cancelled",
                    "is over already, under way, or does not exist",
                )?;
            }
        }
        Jobs::Run { name } => {
            let scheduled = [Job::ExpireTokens {}, Job::Purge {}];
            let names: Vec<&str> = scheduled.iter().map(Job::name).collect();
            let job = scheduled.iter().find(|it| it.name() == name).cloned();
            let job = job.ok_or_else(|| {
                format!(
                    "there is no schedule {name:?}; there are {}",
                    names.join(", ")
                )
            })?;
            let app = assemble::for_command(settings, "jobs").await?;
            println!("{} is due now", app.enqueue(job).await?);
        }
    }
    Ok(())
}

pub async fn schedules(settings: &Settings, output: &Output) -> Result<(), AnyError> {
    let rows = assemble::existing_store(settings)
        .await?
        .list_schedules()
        .await?;
    if output.json {
        let list: Vec<_> = rows
            .iter()
            .map(|it| json!({"name": it.name, "next_run_at": it.next_run_at, "last_run_at": it.last_run_at}))
            .collect();
        table::print_json(&list.into());
        return Ok(());
    }
    let of_row = |it: &symbolon_store::ScheduleRow| {
        let last = it.last_run_at.map(|at| at.to_string()).unwrap_or_default();
        vec![it.name.clone(), it.next_run_at.to_string(), last]
    };
    let rows: Vec<_> = rows.iter().map(of_row).collect();
    table::print(&["name", "next run", "last run"], &rows);
    Ok(())
}

fn state_of(state: cli::JobState) -> Option<JobState> {
    match state {
        cli::JobState::Due => Some(JobState::Due),
        cli::JobState::Waiting => Some(JobState::Waiting),
        cli::JobState::Running => Some(JobState::Running),
        cli::JobState::Buried => Some(JobState::Buried),
        cli::JobState::Done => Some(JobState::Done),
        cli::JobState::All => None,
    }
}

fn to_json(it: &JobRow) -> serde_json::Value {
    json!({
        "id": it.id, "name": it.name, "state": it.state.as_str(), "payload": it.payload, "attempt": it.attempt,
        "run_at": it.run_at, "started_at": it.started_at, "last_error": it.last_error, "created_at": it.created_at, "done_at": it.done_at,
    })
}

fn report(id: JobId, done: bool, success: &str, failure: &str) -> Result<(), AnyError> {
    if !done {
        return Err(format!("{id} {failure}").into());
    }
    println!("{id} {success}");
    Ok(())
}
