//! The black-box suite: one binary, a module per subject.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod concurrency;
mod contracts;
mod data_plane;
mod dialects;
mod distributed;
mod docs;
mod doors;
mod envelopes;
mod forward_auth;
mod harness;
mod instance;
mod layering;
mod life;
mod oauth;
mod outage;
mod secrets;
mod start;
mod surface;
mod tenancy;
