//! When and how often credentials were used: written in batches, forward only, never on the hot path.

use crate::Store;
use crate::backend::tx;
use crate::error::Result;
use crate::schema::{credential_use, credentials};
use crate::types::{Ts, Uid};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use symbolon_domain::{CredentialId, Timestamp};

/// The uses of one credential since the last flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseMark {
    pub credential: CredentialId,
    pub first_used_at: Timestamp,
    pub last_used_at: Timestamp,
    pub uses: i64,
}

impl Store {
    /// Adds a batch. Marks of credentials that were purged meanwhile are dropped.
    pub async fn record_uses(&self, marks: &[UseMark]) -> Result<()> {
        use diesel::upsert::excluded;
        // One order for all processes, so that two flushes cannot wait for each other in a circle.
        let mut marks = marks.to_vec();
        marks.sort_by_key(|mark| mark.credential);
        for batch in marks.chunks(500) {
            tx!(self, |c, _locked, _on_pg| {
                let ids: Vec<Uid> = batch.iter().map(|mark| Uid(mark.credential.0)).collect();
                let alive: Vec<Uid> = credentials::table
                    .filter(credentials::id.eq_any(ids))
                    .select(credentials::id)
                    .load(c)
                    .await?;
                for mark in batch
                    .iter()
                    .filter(|mark| alive.contains(&Uid(mark.credential.0)))
                {
                    diesel::insert_into(credential_use::table)
                        .values((
                            credential_use::credential_id.eq(Uid(mark.credential.0)),
                            credential_use::first_used_at.eq(Ts(mark.first_used_at)),
                            credential_use::last_used_at.eq(Ts(mark.last_used_at)),
                            credential_use::uses.eq(mark.uses),
                        ))
                        .on_conflict(credential_use::credential_id)
                        .do_update()
                        .set(
                            credential_use::uses
                                .eq(credential_use::uses + excluded(credential_use::uses)),
                        )
                        .execute(c)
                        .await?;
                    // Forward only: a late flush of another process must not turn the clock back.
                    diesel::update(
                        credential_use::table
                            .find(Uid(mark.credential.0))
                            .filter(credential_use::last_used_at.lt(Ts(mark.last_used_at))),
                    )
                    .set(credential_use::last_used_at.eq(Ts(mark.last_used_at)))
                    .execute(c)
                    .await?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
