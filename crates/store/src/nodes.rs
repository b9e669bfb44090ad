//! The processes that answer from memory: how far each has applied the feed, and for how long each counts.

use crate::Store;
use crate::backend::{alone, read};
use crate::error::Result;
use crate::schema::nodes;
use crate::types::{Ts, Uid, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;
use std::time::Duration;
use symbolon_domain::Timestamp;
use uuid::Uuid;

/// What a node tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeBeat {
    /// Drawn at each start of the process.
    pub id: Uuid,
    pub name: String,
    pub role: String,
    pub started_at: Timestamp,
    /// The position of the feed up to which it has applied every row.
    pub applied: i64,
    /// How long after a beat it may be silent and still be thought alive.
    pub lease: Duration,
    /// How long it answers from facts that it cannot refresh.
    pub max_age: Duration,
    /// Every use before this instant is written; `None` before its first flush.
    pub uses_flushed_at: Option<Timestamp>,
}

/// A node as it was last heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    pub id: Uuid,
    pub name: String,
    pub role: String,
    pub started_at: Timestamp,
    /// Its last beat.
    pub seen_at: Timestamp,
    pub applied: i64,
    /// The first beat that told this position.
    pub applied_at: Timestamp,
    pub lease: Duration,
    pub max_age: Duration,
    pub uses_flushed_at: Option<Timestamp>,
}

impl NodeRow {
    /// Whether it may still say yes from memory: until its lease and the bound of its facts' age are over.
    pub fn counts(&self, now: Timestamp) -> bool {
        counts_until(self.seen_at, self.lease, self.max_age) > now
    }
}

fn counts_until(seen_at: Timestamp, lease: Duration, max_age: Duration) -> Timestamp {
    seen_at.plus(lease).plus(max_age)
}

/// How many nodes count, and how many of them have applied a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeCount {
    pub nodes: u32,
    pub confirmed: u32,
}

/// How far each node that counts has applied the feed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodePositions(Vec<i64>);

impl NodePositions {
    /// How many there are, and how many of them have applied the row of the feed at `position`.
    pub fn count(&self, position: i64) -> NodeCount {
        let number = |them: usize| u32::try_from(them).unwrap_or(u32::MAX);
        NodeCount {
            nodes: number(self.0.len()),
            confirmed: number(self.0.iter().filter(|it| **it >= position).count()),
        }
    }
}

// A position may go back: after a restore the feed ends earlier than a node had come.
const BEAT: &str = "\
    INSERT INTO nodes AS kept (id, name, role, started_at, seen_at, counts_until, applied, applied_at, \
        lease_us, max_age_us, uses_flushed_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $5, $8, $9, $10) \
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, role = excluded.role, \
        started_at = excluded.started_at, seen_at = excluded.seen_at, \
        counts_until = excluded.counts_until, applied = excluded.applied, \
        applied_at = CASE WHEN kept.applied = excluded.applied THEN kept.applied_at ELSE excluded.applied_at END, \
        lease_us = excluded.lease_us, max_age_us = excluded.max_age_us, \
        uses_flushed_at = excluded.uses_flushed_at";

#[derive(Queryable, Selectable)]
#[diesel(table_name = nodes)]
struct Row {
    id: Uid,
    name: String,
    role: String,
    started_at: Ts,
    seen_at: Ts,
    applied: i64,
    applied_at: Ts,
    lease_us: i64,
    max_age_us: i64,
    uses_flushed_at: Option<Ts>,
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn span(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

impl From<Row> for NodeRow {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.0,
            name: row.name,
            role: row.role,
            started_at: row.started_at.0,
            seen_at: row.seen_at.0,
            applied: row.applied,
            applied_at: row.applied_at.0,
            lease: span(row.lease_us),
            max_age: span(row.max_age_us),
            uses_flushed_at: row.uses_flushed_at.map(|at| at.0),
        }
    }
}

impl Store {
    /// Writes down what a node tells of itself at `now`, in place of what it told before. All that is said
    /// of nodes goes by one clock: the database's, where it has one ([`Store::database_time`]).
    pub async fn beat(&self, node: &NodeBeat, now: Timestamp) -> Result<()> {
        let until = counts_until(now, node.lease, node.max_age);
        alone!(vital self, |c| diesel::sql_query(BEAT)
            .bind::<sql::Uid, _>(Uid(node.id))
            .bind::<Text, _>(&node.name)
            .bind::<Text, _>(&node.role)
            .bind::<sql::Ts, _>(Ts(node.started_at))
            .bind::<sql::Ts, _>(Ts(now))
            .bind::<sql::Ts, _>(Ts(until))
            .bind::<BigInt, _>(node.applied)
            .bind::<BigInt, _>(micros(node.lease))
            .bind::<BigInt, _>(micros(node.max_age))
            .bind::<Nullable<sql::Ts>, _>(node.uses_flushed_at.map(Ts))
            .execute(c)
            .await)?;
        Ok(())
    }

    /// Takes a node off the list: it has stopped answering.
    pub async fn leave_node(&self, id: Uuid) -> Result<()> {
        alone!(vital self, |c| diesel::delete(nodes::table.find(Uid(id)))
            .execute(c)
            .await)?;
        Ok(())
    }

    /// All nodes heard of lately, those that no longer count too; oldest first.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>> {
        let rows: Vec<Row> = read!(self, |c| nodes::table
            .order((nodes::started_at, nodes::id))
            .select(Row::as_select())
            .load(c)
            .await)?;
        Ok(rows.into_iter().map(NodeRow::from).collect())
    }

    /// Those that may still say yes from memory (see [`NodeRow::counts`]).
    pub async fn positions(&self, now: Timestamp) -> Result<NodePositions> {
        let applied: Vec<i64> = read!(vital self, |c| nodes::table
            .filter(nodes::counts_until.gt(Ts(now)))
            .select(nodes::applied)
            .load(c)
            .await)?;
        Ok(NodePositions(applied))
    }
}
