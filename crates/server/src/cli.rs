//! The command line of `symbolon`: which commands exist and what they take. What they do
//! is in `commands`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use symbolon_domain::id::{JobId, ServiceAccountId};

/// Machine identities: service accounts, their tokens and keys
#[derive(Debug, Parser)]
#[command(name = "symbolon", version)]
pub struct Cli {
    /// Settings file, over the defaults and under the environment
    #[arg(
        long,
        value_name = "PATH",
        global = true,
        display_order = 100,
        env = "SYMBOLON_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

impl Cli {
    /// The command given, or `serve`.
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Serve)
    }
}

#[derive(Debug, PartialEq, Subcommand)]
pub enum Command {
    /// Run everything in one process: API, console, jobs (the default)
    Serve,
    /// Run the API and the console, beside workers and on PostgreSQL
    Api,
    /// Run the jobs, beside the API and on PostgreSQL
    Worker,
    /// Bring the database's schema up to date
    Migrate {
        /// Only look: fail when migrations are missing
        #[arg(long)]
        check: bool,
    },
    /// Check everything this instance depends on
    Doctor(Doctor),
    /// Make the first operator, account and token
    Bootstrap(Bootstrap),
    /// Print the OpenAPI document of one of the doors
    Openapi {
        /// native, or that of another product's API
        #[arg(long, value_name = "NAME", default_value = "native", value_parser = PossibleValuesParser::new(symbolon_api::door_names()))]
        door: String,
        /// Compare with this file instead: fail when they differ
        #[arg(long, value_name = "FILE")]
        check: Option<PathBuf>,
    },
    /// Print the settings in force, and where each came from
    Config {
        /// Only look for mistakes
        #[arg(long)]
        check: bool,
    },
    /// Look at jobs and act on them
    #[command(subcommand)]
    Jobs(Jobs),
    /// List the schedules with their next run
    Schedules {
        #[command(flatten)]
        output: Output,
    },
    /// List the mails sent and due
    Notices {
        /// Of this service account only
        #[arg(long, value_name = "ID")]
        service_account: Option<ServiceAccountId>,
        #[command(flatten)]
        limit: Limit,
        #[command(flatten)]
        output: Output,
    },
    /// Look at the key file, or make one
    #[command(subcommand)]
    Keys(Keys),
    /// Copy the SQLite database, also while it is in use
    Backup {
        /// The file to write; must not exist
        path: PathBuf,
    },
}

#[derive(Debug, PartialEq, Args)]
pub struct Doctor {
    /// Only ask this URL whether the instance is ready (for container health checks)
    #[arg(long, value_name = "URL", hide = true)]
    pub ready_url: Option<String>,
}

#[derive(Debug, PartialEq, Args)]
pub struct Bootstrap {
    /// Name of the account
    #[arg(long, value_name = "NAME")]
    pub account: String,
    /// Address of its first user and of its ops mails
    #[arg(long, value_name = "ADDR")]
    pub email: String,
    #[command(flatten)]
    pub output: Output,
    /// Make a new operator token on an instance that is in use
    #[arg(long)]
    pub recover: bool,
}

#[derive(Debug, PartialEq, Subcommand)]
pub enum Jobs {
    /// List jobs, newest first
    List {
        #[arg(long, value_enum, default_value_t = JobState::All)]
        state: JobState,
        /// Of this kind only
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        limit: Limit,
        #[command(flatten)]
        output: Output,
    },
    /// Show one job with its last error
    Show { id: JobId },
    /// Make buried or waiting jobs due now
    Retry {
        #[arg(required = true)]
        id: Vec<JobId>,
    },
    /// Bury jobs that are not yet done
    Cancel {
        #[arg(required = true)]
        id: Vec<JobId>,
    },
    /// Run a schedule's job now
    Run {
        /// Name of the schedule
        name: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JobState {
    /// Their time has come
    Due,
    /// Their time is still to come
    Waiting,
    /// Handed to a worker and not finished
    Running,
    /// Given up, with a reason
    Buried,
    /// Finished
    Done,
    All,
}

#[derive(Debug, PartialEq, Subcommand)]
pub enum Keys {
    /// Compare the key file with the database
    Status,
    /// Write a new key file
    Generate {
        /// The file to write; must not exist
        path: PathBuf,
    },
}

#[derive(Debug, PartialEq, Args)]
pub struct Output {
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, PartialEq, Args)]
pub struct Limit {
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Command {
        Cli::try_parse_from(line.split(' ')).unwrap().into_command()
    }

    #[test]
    fn the_help_is_the_documented_one() {
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut text = String::new();
        append_help(&mut command, &mut text);
        insta::assert_snapshot!("help", text);
    }

    fn append_help(command: &mut clap::Command, text: &mut String) {
        text.push_str(&format!(
            "$ {} --help\n",
            command.get_bin_name().unwrap_or("symbolon")
        ));
        for line in command.render_long_help().to_string().lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push('\n');
        for below in command
            .get_subcommands_mut()
            .filter(|c| c.get_name() != "help")
        {
            append_help(below, text);
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default() {
        assert_eq!(parse("symbolon"), Command::Serve);
        assert_eq!(parse("symbolon serve"), Command::Serve);
    }

    #[test]
    fn the_settings_file_is_taken_before_and_after_the_command() {
        for line in [
            "symbolon --config a.toml api",
            "symbolon api --config a.toml",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.config, Some("a.toml".into()), "{line}");
        }
    }

    #[test]
    fn commands_take_what_is_documented() {
        assert_eq!(
            parse("symbolon migrate --check"),
            Command::Migrate { check: true }
        );
        assert_eq!(
            parse("symbolon openapi"),
            Command::Openapi {
                door: "native".into(),
                check: None
            }
        );
        assert_eq!(
            parse("symbolon bootstrap --account acme --email ops@acme.example --recover"),
            Command::Bootstrap(Bootstrap {
                account: "acme".into(),
                email: "ops@acme.example".into(),
                output: Output { json: false },
                recover: true,
            })
        );
        assert_eq!(
            parse("symbolon jobs list --state buried --limit 5 --json"),
            Command::Jobs(Jobs::List {
                state: JobState::Buried,
                name: None,
                limit: Limit { limit: 5 },
                output: Output { json: true },
            })
        );
        assert_eq!(
            parse("symbolon jobs retry 019aa000-0000-7000-8000-000000000001"),
            Command::Jobs(Jobs::Retry {
                id: vec!["019aa000-0000-7000-8000-000000000001".parse().unwrap()],
            })
        );
        for refused in [
            "symbolon jobs retry",
            "symbolon jobs show 7",
            "symbolon bootstrap --account a",
            "symbolon jobs list --limit 0",
            "symbolon backup",
            "symbolon openapi --door front",
            "symbolon frobnicate",
        ] {
            assert!(
                Cli::try_parse_from(refused.split(' ')).is_err(),
                "{refused}"
            );
        }
    }
}
