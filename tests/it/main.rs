//! The black-box suite: one binary, a module per subject.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod concurrency;
mod distributed;
mod docs;
mod harness;
mod instance;
mod layering;
mod life;
mod outage;
mod secrets;
mod start;
mod surface;
