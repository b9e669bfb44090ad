//! Removing what has outlived its retention, in bounded pages.

use crate::Store;
use crate::backend::tx;
use crate::error::Result;
use crate::schema::*;
use crate::types::{Ts, Uid};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use diesel_async::RunQueryDsl;
use std::time::Duration;
use symbolon_domain::Timestamp;

/// How long things are kept after they are over.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Finished jobs.
    pub jobs: Duration,
    /// Addresses in the ledger, and client addresses in events.
    pub addresses: Duration,
    /// Revoked and ended credentials, revoked service accounts, and uses by day.
    pub credentials: Duration,
    /// Rows of the feed: the longest a node may sleep and still catch up.
    pub feed: Duration,
}

/// Rows removed or erased at once.
const PAGE: i64 = 1000;

const PURGE_KEYS: &str = "DELETE FROM idempotency WHERE (actor, door, operation, key) IN \
     (SELECT actor, door, operation, key FROM idempotency WHERE expires_at <= $1 LIMIT $2)";

const PURGE_ASSERTIONS: &str = "DELETE FROM used_assertions WHERE (service_account_id, jti_hash) IN \
     (SELECT service_account_id, jti_hash FROM used_assertions WHERE expires_at <= $1 LIMIT $2)";

const PURGE_USE_DAYS: &str = "DELETE FROM credential_use_days WHERE (credential_id, day) IN \
     (SELECT credential_id, day FROM credential_use_days WHERE day < $1 LIMIT $2)";

/// How long a node is remembered after it has ceased to count.
const NODE_SLACK: Duration = Duration::from_secs(86_400);

/// What is remembered against a token outlives it: another process's clock may be behind.
const MARK_SLACK: Duration = Duration::from_secs(60);

impl Store {
    /// One page of each kind. Returns how many rows were touched; 0 when nothing is left to do.
    pub async fn purge_page(&self, retention: Retention, now: Timestamp) -> Result<usize> {
        let mut count = self.erase_saved_secrets(now).await?;
        let before = |span: Duration| Ts(now.minus(span));
        // What is removed takes its number along; numbers are never given twice.
        macro_rules! forget {
            ($c:ident, $table:ident, $keys:ident) => {{
                for ids in $keys.chunks(500) {
                    diesel::delete(numbers::table.filter(numbers::id.eq_any(ids.to_vec())))
                        .execute($c)
                        .await?;
                    diesel::delete($table::table.filter($table::id.eq_any(ids.to_vec())))
                        .execute($c)
                        .await?;
                }
                Ok::<usize, crate::Error>($keys.len())
            }};
        }
        // The keys of one page, then what is done with them.
        macro_rules! page {
            ($table:ident, $key:ident: $type:ty, $filter:expr, |$keys:ident| $statement:expr) => {
                count += tx!(self, |c, _locked, _on_pg| {
                    let $keys = $table::table
                        .filter($filter)
                        .limit(PAGE)
                        .select($table::$key)
                        .load::<$type>(c)
                        .await?;
                    Ok($statement.execute(c).await?)
                })?;
            };
            ($table:ident, $key:ident: $type:ty, $filter:expr) => {
                page!($table, $key: $type, $filter, |keys| diesel::delete(
                    $table::table.filter($table::$key.eq_any(keys))
                ));
            };
        }
        count += tx!(self, |c, _locked, _on_pg| {
            Ok(diesel::sql_query(PURGE_KEYS)
                .bind::<crate::types::sql::Ts, _>(Ts(now))
                .bind::<BigInt, _>(PAGE)
                .execute(c)
                .await?)
        })?;
        // The newest row stays: it tells how far the feed has come.
        page!(
            feed,
            seq: i64,
            feed::at
                .lt(before(retention.feed))
                .and(sql::<Bool>("seq < (SELECT max(seq) FROM feed)"))
        );
        page!(jobs, id: Uid, jobs::done_at.lt(before(retention.jobs)));
        page!(
            notices,
            id: Uid,
            notices::created_at
                .lt(before(retention.addresses))
                .and(sql::<Bool>("recipient IS NOT NULL")),
            |keys| diesel::update(notices::table.filter(notices::id.eq_any(keys)))
                .set(notices::recipient.eq(None::<String>))
        );
        page!(
            events,
            id: Uid,
            events::at
                .lt(before(retention.addresses))
                .and(sql::<Bool>("client_ip IS NOT NULL")),
            |keys| diesel::update(events::table.filter(events::id.eq_any(keys)))
                .set(events::client_ip.eq(None::<String>))
        );
        count += tx!(self, |c, _locked, _on_pg| {
            Ok(diesel::sql_query(PURGE_ASSERTIONS)
                .bind::<crate::types::sql::Ts, _>(before(MARK_SLACK))
                .bind::<BigInt, _>(PAGE)
                .execute(c)
                .await?)
        })?;
        page!(
            revoked_access_tokens,
            id: Uid,
            revoked_access_tokens::expires_at.le(before(MARK_SLACK))
        );
        count += tx!(self, |c, _locked, _on_pg| {
            Ok(diesel::sql_query(PURGE_USE_DAYS)
                .bind::<BigInt, _>(now.minus(retention.credentials).day())
                .bind::<BigInt, _>(PAGE)
                .execute(c)
                .await?)
        })?;
        page!(nodes, id: Uid, nodes::counts_until.lt(before(NODE_SLACK)));
        count += self.purge_signing_keys(now).await?;
        // The newest thing that happened to it counts: a token revoked yesterday was not over long ago.
        // A primary goes only with its service account, which shows its fields.
        count += tx!(self, |c, _locked, _on_pg| {
            let over = credentials::table
                .filter(sql::<Bool>(
                    "(end_recorded_at IS NOT NULL OR status = 'revoked')",
                ))
                .filter(credentials::updated_at.lt(before(retention.credentials)))
                .filter(
                    credentials::end_recorded_at
                        .is_null()
                        .or(credentials::end_recorded_at
                            .lt(before(retention.credentials))
                            .assume_not_null()),
                )
                .filter(credentials::is_primary.eq(false))
                .limit(PAGE)
                .select(credentials::id)
                .load::<Uid>(c)
                .await?;
            forget!(c, credentials, over)
        })?;
        count += tx!(self, |c, _locked, _on_pg| {
            let gone: Vec<Uid> = service_accounts::table
                .filter(sql::<Bool>("status = 'revoked'"))
                .filter(service_accounts::revoked_at.lt(before(retention.credentials)))
                .limit(PAGE)
                .select(service_accounts::id)
                .load(c)
                .await?;
            if gone.is_empty() {
                return Ok(0);
            }
            let theirs = credentials::table
                .filter(credentials::service_account_id.eq_any(gone.clone()))
                .select(credentials::id)
                .load::<Uid>(c)
                .await?;
            forget!(c, credentials, theirs)?;
            diesel::delete(
                confirmations::table.filter(confirmations::service_account_id.eq_any(gone.clone())),
            )
            .execute(c)
            .await?;
            forget!(c, service_accounts, gone)
        })?;
        Ok(count)
    }
}
