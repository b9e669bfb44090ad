//! When and how often credentials were used, in all and by day: written in batches, never on the hot path.

use crate::Store;
use crate::backend::{Backend, Lite, LiteObject, asked, read};
use crate::error::{Error, Result};
use crate::schema::{credential_use_days, instance};
use crate::types::{Ts, Uid, sql};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use symbolon_domain::{CredentialId, Timestamp};

/// The most marks that one transaction writes.
pub const USE_BATCH: usize = 5_000;

/// Uses of one credential, all on one UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseMark {
    pub credential: CredentialId,
    pub first_used_at: Timestamp,
    /// On the day that the uses count for.
    pub last_used_at: Timestamp,
    pub uses: i64,
}

impl UseMark {
    /// The day of its uses.
    pub fn day(&self) -> i64 {
        self.last_used_at.day()
    }
}

// Both statements: the scalar subquery drops what was purged and is always one look into an index, whatever
// the planner thinks of a join; GROUP BY, since an upsert may touch a row only once.
const RECORD_POSTGRES: &str = "\
    WITH mark AS ( \
        SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::bigint[]) \
            AS given (id, day, first_at, last_at, uses) \
        WHERE (SELECT true FROM credentials WHERE credentials.id = given.id) \
    ), days AS ( \
        INSERT INTO credential_use_days AS kept (credential_id, day, uses) \
        SELECT id, day, sum(uses)::bigint FROM mark GROUP BY id, day ORDER BY id, day \
        ON CONFLICT (credential_id, day) DO UPDATE SET uses = kept.uses + excluded.uses \
    ) \
    INSERT INTO credential_use AS kept (credential_id, first_used_at, last_used_at, uses) \
    SELECT id, min(first_at), max(last_at), sum(uses)::bigint FROM mark GROUP BY id ORDER BY id \
    ON CONFLICT (credential_id) DO UPDATE SET \
        first_used_at = LEAST(kept.first_used_at, excluded.first_used_at), \
        last_used_at = GREATEST(kept.last_used_at, excluded.last_used_at), \
        uses = kept.uses + excluded.uses";

macro_rules! of_json {
    ($insert:literal, $group:literal, $conflict:literal) => {
        concat!(
            $insert,
            " FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS day, value ->> 2 AS first_at, \
               value ->> 3 AS last_at, value ->> 4 AS uses FROM json_each($1)) AS given \
             WHERE (SELECT true FROM credentials WHERE credentials.id = given.id) ",
            $group,
            $conflict
        )
    };
}

const RECORD_SQLITE: [&str; 2] = [
    of_json!(
        "INSERT INTO credential_use_days AS kept (credential_id, day, uses) SELECT id, day, sum(uses)",
        "GROUP BY id, day ",
        "ON CONFLICT (credential_id, day) DO UPDATE SET uses = kept.uses + excluded.uses"
    ),
    of_json!(
        "INSERT INTO credential_use AS kept (credential_id, first_used_at, last_used_at, uses) \
         SELECT id, min(first_at), max(last_at), sum(uses)",
        "GROUP BY id ",
        "ON CONFLICT (credential_id) DO UPDATE SET \
           first_used_at = min(kept.first_used_at, excluded.first_used_at), \
           last_used_at = max(kept.last_used_at, excluded.last_used_at), \
           uses = kept.uses + excluded.uses"
    ),
];

const FLUSHED_UNTIL: &str = "SELECT CASE WHEN count(*) = count(uses_flushed_at) THEN min(uses_flushed_at) END AS at \
     FROM nodes WHERE counts_until > $1";

#[derive(QueryableByName)]
struct Instant {
    #[diesel(sql_type = Nullable<sql::Ts>)]
    at: Option<Ts>,
}

impl Store {
    /// Adds uses to what is known; a late flush turns no time back. Marks of credentials that were purged
    /// meanwhile are dropped. Each [`USE_BATCH`] marks are written whole or not at all: when one of several
    /// batches fails, those before it are written.
    pub async fn record_uses(&self, marks: &[UseMark]) -> Result<()> {
        for batch in marks.chunks(USE_BATCH) {
            match &self.backend {
                Backend::Pg { pool, .. } => {
                    asked!(pool, |c| record_on_postgres(c, batch).await)?;
                }
                Backend::Lite { write, .. } => {
                    let mut held: LiteObject = write.get().await?;
                    record_on_sqlite(&mut held, batch).await?;
                }
            }
        }
        Ok(())
    }

    /// Uses by day from `since` on, oldest first; days as of [`Timestamp::day`]. A day without uses has no row.
    pub async fn credential_days(
        &self,
        credential: CredentialId,
        since: i64,
    ) -> Result<Vec<(i64, i64)>> {
        Ok(read!(self, |c| credential_use_days::table
            .filter(credential_use_days::credential_id.eq(Uid(credential.0)))
            .filter(credential_use_days::day.ge(since))
            .order(credential_use_days::day)
            .select((credential_use_days::day, credential_use_days::uses))
            .load(c)
            .await)?)
    }

    /// Since when uses are counted by day: the time of the migration that began it.
    pub async fn uses_tracked_since(&self) -> Result<Timestamp> {
        let since: Option<Ts> = read!(self, |c| instance::table
            .find(1)
            .select(instance::uses_tracked_since)
            .first(c)
            .await)?;
        let since =
            since.ok_or_else(|| Error::Broken("instance.uses_tracked_since is empty".into()))?;
        Ok(since.0)
    }

    /// Until when every use is written: the earliest last flush among the nodes that count (see
    /// [`Store::positions`]). `None` while one of them never flushed, or none counts.
    pub async fn uses_flushed_until(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let found: Instant = read!(self, |c| diesel::sql_query(FLUSHED_UNTIL)
            .bind::<sql::Ts, _>(Ts(now))
            .get_result(c)
            .await)?;
        Ok(found.at.map(|at| at.0))
    }
}

/// One statement, so one transaction. Every flush of every process locks the rows of one table after the
/// other, each in the order of ids, so no two can wait for each other in a circle.
async fn record_on_postgres(c: &mut AsyncPgConnection, batch: &[UseMark]) -> Result<()> {
    macro_rules! column {
        (|$mark:ident| $value:expr) => {
            batch.iter().map(|$mark| $value).collect::<Vec<_>>()
        };
    }
    diesel::sql_query(RECORD_POSTGRES)
        .bind::<Array<sql::Uid>, _>(column!(|it| Uid(it.credential.0)))
        .bind::<Array<BigInt>, _>(column!(|it| it.day()))
        .bind::<Array<sql::Ts>, _>(column!(|it| Ts(it.first_used_at)))
        .bind::<Array<sql::Ts>, _>(column!(|it| Ts(it.last_used_at)))
        .bind::<Array<BigInt>, _>(column!(|it| it.uses))
        .execute(c)
        .await?;
    Ok(())
}

async fn record_on_sqlite(c: &mut Lite, batch: &[UseMark]) -> Result<()> {
    let row = |it: &UseMark| {
        serde_json::json!([
            it.credential.0.simple().to_string(),
            it.day(),
            it.first_used_at.as_micros(),
            it.last_used_at.as_micros(),
            it.uses,
        ])
    };
    let marks = serde_json::Value::from_iter(batch.iter().map(row)).to_string();
    c.immediate_transaction::<_, Error, _>(async |c: &mut Lite| {
        for statement in RECORD_SQLITE {
            diesel::sql_query(statement)
                .bind::<Text, _>(&marks)
                .execute(c)
                .await?;
        }
        Ok(())
    })
    .await
}
