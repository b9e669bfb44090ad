//! `cargo xtask`: what a developer and CI run. This file owns the command line; the private
//! servers, the programs they need and the run of the suite have a file each.

mod packages;
mod servers;
mod suite;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use packages::{Authlib, Gateways, Programs};
use servers::{Durability, Servers};

const HELP: &str = "\
cargo xtask test [--filter STR] [--no-build]
    Every test, on SQLite and on a private PostgreSQL and Redis; the last line is the count.
    --filter STR   only tests whose path contains STR
    --no-build     trust that the workspace's programs are built
cargo xtask bench [COMMAND] [ARGS…]
    Builds the release binaries, the bare handler in them, and runs `symbolon-bench COMMAND ARGS…`
    beside a private PostgreSQL that really syncs to disk. Without a command it lists them:
    verify, authorize, scale, miss, memory, revoke, create, all. See docs/performance.md.
cargo xtask servers [--print-env FILE]
    Starts the private servers, prints the exports for running single tests by hand, and
    keeps them until standard input closes. --print-env also writes the exports to FILE.
cargo xtask help
    This text.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.first().map(String::as_str) {
        None | Some("help" | "--help" | "-h") => {
            println!("{HELP}");
            Ok(true)
        }
        Some("test") => test(&args[1..]),
        Some("bench") => bench(&args[1..]),
        Some("servers") => keep_servers(&args[1..]),
        Some(other) => Err(format!("no command `{other}`\n\n{HELP}")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::from(2)
        }
    }
}

fn test(args: &[String]) -> Result<bool, String> {
    let (mut filter, mut build) = (None, true);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--filter" => filter = Some(args.next().ok_or("--filter needs a value")?.clone()),
            "--no-build" => build = false,
            other => return Err(format!("test: unknown argument `{other}`\n\n{HELP}")),
        }
    }
    let target = target_dir()?;
    if build {
        run(cargo().args(["build", "--workspace", "--all-targets"]))?;
    }
    let programs = Programs::find_or_install();
    let servers = Servers::start(&programs, Durability::None)?;
    let mut exports = servers.exports();
    exports.extend(binaries(&target.join("debug")));
    let authlib = Authlib::find_or_install();
    exports.extend(authlib.exports());
    let gateways = Gateways::find_or_install();
    exports.extend(gateways.exports());
    let tally = suite::run(filter.as_deref(), &exports, servers.dir())?;
    drop(servers);
    let strict = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    let mut missing = programs.missing();
    let all_servers = missing.is_empty();
    missing.extend(authlib.missing());
    missing.extend(gateways.missing());
    Ok(tally.report(&missing, all_servers, strict))
}

fn bench(args: &[String]) -> Result<bool, String> {
    let release = target_dir()?.join("release");
    // The bare handler that everything is compared with is in no other build.
    run(cargo().args([
        "build",
        "--release",
        "--workspace",
        "--features=symbolon-server/bare",
    ]))?;
    let programs = Programs::find_or_install();
    let servers = Servers::start(&programs, Durability::Full)?;
    let status = Command::new(release.join("symbolon-bench"))
        .args(args)
        .envs(servers.exports())
        .envs(binaries(&release))
        .status()
        .map_err(|e| format!("symbolon-bench does not start: {e}"))?;
    Ok(status.success())
}

fn keep_servers(args: &[String]) -> Result<bool, String> {
    let file = match args {
        [] => None,
        [flag, file] if flag == "--print-env" => Some(file),
        _ => return Err(format!("servers: unknown arguments\n\n{HELP}")),
    };
    let programs = Programs::find_or_install();
    let servers = Servers::start(&programs, Durability::None)?;
    let mut exports = servers.exports();
    exports.extend(binaries(&target_dir()?.join("debug")));
    let authlib = Authlib::find_or_install();
    exports.extend(authlib.exports());
    let gateways = Gateways::find_or_install();
    exports.extend(gateways.exports());
    let text: String = exports
        .iter()
        .map(|(name, value)| format!("export {name}='{}'\n", value.replace('\'', r"'\''")))
        .collect();
    print!("{text}");
    let missing = programs.missing().into_iter();
    for (program, command) in missing.chain(authlib.missing()).chain(gateways.missing()) {
        eprintln!("not there: {program} (install it with: {command})");
    }
    if let Some(file) = file {
        // Written aside first: whoever waits for the file must never read half of it.
        let partial = format!("{file}.partial");
        std::fs::write(&partial, &text)
            .and_then(|()| std::fs::rename(&partial, file))
            .map_err(|e| format!("{file}: {e}"))?;
    }
    eprintln!("running until standard input closes");
    let mut sink = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut sink);
    Ok(true)
}

/// Where the programs that the tests drive have been built.
fn binaries(profile_dir: &Path) -> Vec<(String, String)> {
    [
        ("SYMBOLON_BIN", "symbolon"),
        ("SYMBOLON_SMTP_SINK", "smtp-sink"),
    ]
    .into_iter()
    .map(|(name, program)| {
        let path = profile_dir.join(program);
        (name.to_owned(), path.display().to_string())
    })
    .collect()
}

/// The workspace's root, two levels above this crate.
fn root() -> PathBuf {
    let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest_dir
        .ancestors()
        .nth(2)
        .expect("crates/xtask lies two levels below the root")
        .to_owned()
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// Runs to the end; a status other than success is an error that names the command.
fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{command:?}: {e}"))?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| format!("{command:?} ended with {status}"))
}

fn target_dir() -> Result<PathBuf, String> {
    if let Some(dir) = std::env::var_os("CARGO_TARGET_DIR") {
        return Ok(root().join(dir));
    }
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(|e| format!("cargo metadata: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_once(r#""target_directory":""#)
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(dir, _)| PathBuf::from(dir.replace(r"\\", r"\")))
        .ok_or_else(|| "cargo metadata names no target directory".to_owned())
}
