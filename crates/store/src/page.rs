//! The set-based form of a change, for sweeps: a bounded page of rows, the same pure decisions, multi-row
//! writes.

use crate::Store;
use crate::backend::tx;
use crate::error::{Error, Result};
use crate::rows::{CredentialRow, EventRow};
use crate::schema::{credentials, events};
use crate::types::{Ts, Uid};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::RunQueryDsl;
use symbolon_domain::{Credential, CredentialId, Event, Timestamp};

/// What the decision over a page of ended credentials wants: whose end is recorded, and with which events.
#[derive(Debug, Default)]
pub struct EndedPage {
    pub recorded: Vec<CredentialId>,
    pub events: Vec<Event>,
}

impl Store {
    /// One page of credentials whose end has come and was not recorded, oldest end first, at most `limit`;
    /// rows that another sweep holds are left to it. Returns how many were seen.
    ///
    /// Writes no feed row: their verdict has been "expired" since the instant itself.
    pub async fn change_page<F>(&self, now: Timestamp, limit: i64, decide: F) -> Result<usize>
    where
        F: FnOnce(&[Credential]) -> EndedPage + Send + 'static,
    {
        let store = self.clone();
        let run = self
            .runtime
            .spawn(async move { store.run_page(now, limit, decide).await });
        run.await
            .map_err(|error| Error::Broken(format!("a sweep ended early: {error}")))?
    }

    async fn run_page<F>(&self, now: Timestamp, limit: i64, decide: F) -> Result<usize>
    where
        F: FnOnce(&[Credential]) -> EndedPage + Send + 'static,
    {
        tx!(self, |c, locked, _on_pg| {
            let query = credentials::table
                .filter(credentials::ends_at.le(Ts(now)))
                // Written out, so that the partial index serves.
                .filter(sql::<Bool>(
                    "end_recorded_at IS NULL AND status <> 'revoked'",
                ))
                .order(credentials::ends_at)
                .limit(limit)
                .select(CredentialRow::as_select());
            let rows = locked!(query, skip).load::<CredentialRow>(c).await?;
            let page: Vec<Credential> = rows
                .into_iter()
                .map(CredentialRow::value)
                .collect::<Result<_>>()?;
            if page.is_empty() {
                return Ok(0);
            }
            let wanted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| decide(&page)))
                .map_err(|_| Error::Broken("a decision panicked".into()))?;
            let ids: Vec<Uid> = wanted.recorded.iter().map(|id| Uid(id.0)).collect();
            diesel::update(credentials::table.filter(credentials::id.eq_any(ids)))
                .set(credentials::end_recorded_at.eq(Ts(now)))
                .execute(c)
                .await?;
            for event in &wanted.events {
                diesel::insert_into(events::table)
                    .values(EventRow::from(event))
                    .execute(c)
                    .await?;
            }
            Ok(page.len())
        })
    }
}
