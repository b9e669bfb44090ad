//! Random lives of two nodes over one database, held against a model of what was promised: revoked is
//! refused everywhere within the bound, and what is given back works again within it. Then the same with
//! faults planted, each of which has to be found.
//!
//! `SYMBOLON_MODEL_SEED` runs one seed again.

#![allow(
    clippy::unwrap_used,
    reason = "in a test a panic is the failure; clippy spares only #[test] functions themselves"
)]

mod change;
mod follower;
mod ground;
mod oracle;
mod questions;
mod races;
mod random;
mod steps;
mod world;

use ground::Ground;
use std::io::Write;
use std::time::{Duration, Instant};
use symbolon_app::Fault;
use symbolon_store::testing::{TestDatabase, postgres, sqlite};

/// The first seed of each run.
const FIRST: u64 = 20_261_122;
const SEEDS: u64 = 24;
const STEPS: usize = 150;
/// By the wall's clock; no further seed begins after it.
const ENOUGH: Duration = Duration::from_secs(15);
/// Seeds within which a planted fault has to be found.
const FOUND_WITHIN: u64 = 40;

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SYMBOLON_MODEL_SEED") {
        Ok(seed) if !seed.is_empty() => vec![seed.parse().expect("a seed is a number")],
        _ => (FIRST..FIRST + count).collect(),
    }
}

fn not_run(test: &str) {
    let line = format!("model::{test} (no PostgreSQL)\n");
    match std::env::var("SYMBOLON_TEST_NOT_RUN_FILE") {
        Ok(path) if !path.is_empty() => std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .unwrap(),
        _ => eprint!("{line}"),
    }
}

async fn holds(database: TestDatabase) {
    let ground = Ground::on(database, None).await;
    let begun = Instant::now();
    let (mut ran, mut answers, mut yes) = (0, 0, 0);
    for seed in seeds(SEEDS) {
        let outcome = steps::run(&ground, seed, STEPS).await;
        let (all, good) = outcome.unwrap_or_else(|wrong| panic!("{wrong}"));
        (ran, answers, yes) = (ran + 1, answers + all, yes + good);
        if begun.elapsed() > ENOUGH {
            break;
        }
    }
    println!("{ran} seeds, {answers} answers, {yes} of them yes");
    assert!(
        yes * 10 > answers,
        "hardly anything was ever good: {yes} of {answers}"
    );
    assert!(
        yes * 10 < answers * 9,
        "hardly anything was ever refused: {yes} of {answers}"
    );
}

async fn is_found(what: &str, ground: Ground) {
    for seed in seeds(FOUND_WITHIN) {
        if let Err(wrong) = steps::run(&ground, seed, STEPS).await {
            println!("{what} was found: {wrong}");
            return;
        }
    }
    panic!("{what} was planted, and nobody noticed");
}

macro_rules! on_both {
    ($($name:ident($($fault:expr)?)),* $(,)?) => {
        mod on_sqlite {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                Box::pin(on_both!(@run sqlite().await, $($fault)?)).await;
            })*
        }
        mod on_postgres {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                match postgres().await {
                    Some(database) => Box::pin(on_both!(@run database, $($fault)?)).await,
                    None => not_run(stringify!($name)),
                }
            })*
        }
    };
    (@run $database:expr,) => { holds($database) };
    (@run $database:expr, $fault:expr) => {
        async {
            let ground = Ground::on($database, Some($fault)).await;
            is_found(&format!("{:?}", $fault), ground).await;
        }
    };
}

on_both!(
    every_promise_is_kept(),
    a_fill_without_version_check_is_found(Fault::NoVersionCheck),
    an_eviction_instead_of_an_overwriting_is_found(Fault::Evicts),
    a_node_that_does_not_poll_is_found(Fault::NoPolling),
    an_end_a_microsecond_late_is_found(Fault::EndsLate),
    an_acknowledgement_before_its_time_is_found(Fault::AcknowledgesEarly),
);

/// SQLite has one writer: its feed is in order without any lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_without_lock_is_found() {
    match postgres().await {
        Some(database) => {
            let ground = Ground::on(database, None).await.without_feed_lock();
            Box::pin(is_found("NoFeedLock", ground)).await;
        }
        None => not_run("a_feed_without_lock_is_found"),
    }
}
