//! Benches: what things cost, as ratios to the least they could cost, taken in one run.
//!
//! `cargo xtask bench create` starts a PostgreSQL that syncs to disk and runs this.

mod create;
mod footprint;

use std::process::ExitCode;

const HELP: &str = "symbolon-bench COMMAND
  create [ROUNDS]  creating service accounts on PostgreSQL, beside plain INSERTs of the same rows;
                   then the time to readiness and the idle memory of an embedded instance";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.first().map(String::as_str) {
        Some("create") => {
            let rounds = args
                .get(1)
                .map_or(Ok(5), |text| text.parse().map_err(|_| "ROUNDS is a number"));
            rounds
                .map_err(Into::into)
                .and_then(|rounds| create::run(rounds).and_then(|()| footprint::run()))
        }
        _ => Err(HELP.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error: Box<dyn std::error::Error> = error;
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
