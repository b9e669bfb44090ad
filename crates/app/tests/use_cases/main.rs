//! The use cases, each on SQLite and on PostgreSQL.

#![allow(
    clippy::unwrap_used,
    reason = "in a test a panic is the failure; clippy spares only #[test] functions themselves"
)]

mod accounts;
mod beginnings;
mod contacts;
mod harness;
mod idempotency;
mod life;
mod mail;
mod minting;
mod rotation;
mod states;
mod tenancy;
