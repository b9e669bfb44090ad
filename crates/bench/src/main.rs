//! Benches: what things cost, as ratios to the least they could cost, taken in one run.
//!
//! `cargo xtask bench COMMAND` starts a PostgreSQL that syncs to disk, builds the release binary with the
//! bare handler in it, and runs this.

mod authorize;
mod bare;
mod create;
mod footprint;
mod histogram;
mod http;
mod instance;
mod load;
mod memory;
mod miss;
mod process;
mod proxy;
mod revoke;
mod rounds;
mod verify;

use rounds::Plan;
use std::alloc::System;
use std::process::ExitCode;
use std::time::Duration;

/// Counts what is allocated, for [`memory`].
#[global_allocator]
static ALLOCATOR: cap::Cap<System> = cap::Cap::new(System, usize::MAX);

pub type AnyError = Box<dyn std::error::Error>;

const HELP: &str = "symbolon-bench COMMAND [KEY=NUMBER…]
  verify     verifying on hits beside a bare handler; a flood beside it; its statements
  authorize  forward authentication on hits, with access tokens, and of junk, beside a bare handler
  scale      verifying with a million tokens in the database, against a thousand
  miss       verifying what is not cached, beside the same join by hand
  memory     what the cache keeps for a credential
  revoke     how long a revocation takes to another process, with and without notifications
  create     creating service accounts on PostgreSQL, beside plain INSERTs of the same rows;
             then the time to readiness and the idle memory of an embedded instance
  all        everything
Keys, with their defaults:
  rounds=5  seconds=4 (of a round)  tokens=100000  database=1000000 and cached=250000 (scale, memory)
  revocations=1000";

struct Settings {
    plan: Plan,
    database: usize,
    cached: usize,
    revocations: usize,
}

fn settings(args: &[String]) -> Result<Settings, AnyError> {
    let mut settings = Settings {
        plan: Plan {
            rounds: 5,
            round: Duration::from_secs(4),
            tokens: 100_000,
        },
        database: 1_000_000,
        cached: 250_000,
        revocations: 1_000,
    };
    for arg in args {
        let (key, number) = arg.split_once('=').ok_or(HELP)?;
        let number: usize = number.parse().map_err(|_| HELP)?;
        match key {
            "rounds" => settings.plan.rounds = number,
            "seconds" => settings.plan.round = Duration::from_secs(number as u64),
            "tokens" => settings.plan.tokens = number,
            "database" => settings.database = number,
            "cached" => settings.cached = number,
            "revocations" => settings.revocations = number,
            _ => return Err(HELP.into()),
        }
    }
    Ok(settings)
}

fn run(args: &[String]) -> Result<(), AnyError> {
    let (command, rest) = args.split_first().ok_or(HELP)?;
    let it = settings(rest)?;
    load::sharpen_timers();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let commands = [
        "verify",
        "authorize",
        "scale",
        "miss",
        "memory",
        "revoke",
        "create",
    ];
    let chosen: Vec<&str> = match command.as_str() {
        "all" => commands.to_vec(),
        one if commands.contains(&one) => vec![one],
        _ => return Err(HELP.into()),
    };
    for command in chosen {
        match command {
            "verify" => runtime.block_on(verify::run(&it.plan))?,
            "authorize" => runtime.block_on(authorize::run(&it.plan))?,
            "scale" => runtime.block_on(verify::scale(&it.plan, it.database, it.cached))?,
            "miss" => runtime.block_on(miss::run(&it.plan))?,
            "memory" => runtime.block_on(memory::run(it.cached))?,
            "revoke" => runtime.block_on(revoke::run(&it.plan, it.revocations))?,
            _ => {
                runtime.block_on(create::run(it.plan.rounds))?;
                footprint::run()?;
            }
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
