//! The binary `symbolon`: reads the command line and the settings, starts telemetry, and
//! hands over to the command.

mod assemble;
mod cli;
mod commands;
mod config;
mod data_dir;
#[cfg(test)]
mod docker_tests;
mod first_start;
mod lifecycle;
mod telemetry;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command, Keys};
use crate::config::{Loaded, Settings};
use crate::lifecycle::Role;

/// What was asked for could not be done.
const FAILED: u8 = 1;
/// What was asked for, or the settings, cannot be right: the command line's code too.
const MISTAKEN: u8 = 2;

type AnyError = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let file = cli.config.clone();
    let command = cli.into_command();
    // What needs no settings works where there are wrong ones.
    match &command {
        Command::Doctor(doctor) => {
            if let Some(url) = &doctor.ready_url {
                return finish(commands::doctor::ask_ready(url));
            }
        }
        Command::Openapi { door, check } => {
            return finish(commands::openapi::run(door, check.as_deref()));
        }
        Command::Keys(Keys::Generate { path }) => return finish(commands::keys::generate(path)),
        _ => {}
    }
    let loaded = match load(file.as_deref()) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if let Command::Config { check } = command {
        return finish(commands::config::run(
            &loaded,
            check,
            &mut std::io::stdout(),
        ));
    }
    finish(run(&command, loaded.settings))
}

/// The commands that work with an instance.
fn run(command: &Command, settings: Settings) -> Result<(), AnyError> {
    telemetry::init(&settings.log)?;
    // Database connections live on this runtime; requests are served on threads of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        match command {
            Command::Serve => {
                lifecycle::run(Role::Serve, settings, telemetry::install_recorder()?).await
            }
            Command::Api => {
                lifecycle::run(Role::Api, settings, telemetry::install_recorder()?).await
            }
            Command::Worker => {
                lifecycle::run(Role::Worker, settings, telemetry::install_recorder()?).await
            }
            Command::Migrate { check } => commands::migrate::run(&settings, *check).await,
            Command::Doctor(_) => commands::doctor::run(&settings).await,
            Command::Bootstrap(wanted) => commands::bootstrap::run(&settings, wanted).await,
            Command::Jobs(jobs) => commands::jobs::run(&settings, jobs).await,
            Command::Schedules { output } => commands::jobs::schedules(&settings, output).await,
            Command::Notices {
                service_account,
                limit,
                output,
            } => commands::notices::run(&settings, *service_account, limit, output).await,
            Command::Keys(Keys::Status) => commands::keys::status(&settings).await,
            Command::Backup { path } => commands::backup::run(&settings, path).await,
            // Handled before there were settings, or with nothing but them.
            Command::Openapi { .. }
            | Command::Config { .. }
            | Command::Keys(Keys::Generate { .. }) => Ok(()),
        }
    });
    // Nothing that is still running holds anything that a dropped connection does not give back.
    runtime.shutdown_background();
    done
}

/// The settings; or their mistakes are printed.
fn load(file: Option<&Path>) -> Result<Loaded, ExitCode> {
    config::load(file, std::env::vars_os()).map_err(|mistakes| {
        eprint!("symbolon: {mistakes}");
        ExitCode::from(MISTAKEN)
    })
}

fn finish<E: std::fmt::Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("symbolon: {error}");
            ExitCode::from(FAILED)
        }
    }
}
