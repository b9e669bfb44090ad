//! What the store promises, run on SQLite and on PostgreSQL alike.

#![allow(
    clippy::unwrap_used,
    reason = "in a test a panic is the failure; clippy spares only #[test] functions themselves"
)]

mod books;
mod changes;
mod claims;
mod dialects;
mod feed;
mod going_away;
mod harness;
mod instance;
mod jobs;
mod lists;
mod locks;
mod nodes;
mod purge;
mod scans;
mod schedules;
mod schema;
mod sweep;
mod tls;
mod uses;
