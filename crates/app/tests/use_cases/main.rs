//! The use cases, each on SQLite and on PostgreSQL.

#![allow(
    clippy::unwrap_used,
    reason = "in a test a panic is the failure; clippy spares only #[test] functions themselves"
)]

mod access_tokens;
mod account_token_bounds;
mod account_tokens;
mod accounts;
mod asked;
mod assertions;
mod beginnings;
mod client_credentials;
mod contacts;
mod harness;
mod idempotency;
mod keys;
mod life;
mod mail;
mod minting;
mod names;
mod nodes;
mod numbers;
mod rotation;
mod signing_keys;
mod states;
mod tenancy;
