//! Checks `docker/` without a container engine: settings, commands, and what the image's
//! build copies must fit this tree.

mod yaml;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use clap::Parser;

use self::yaml::Node;
use crate::cli::{Cli, Command};
use crate::config;

const BINARY: &str = "/usr/local/bin/symbolon";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(name: &str) -> String {
    fs::read_to_string(root().join("docker").join(name)).unwrap()
}

fn compose(name: &str) -> Node {
    yaml::parse(&text(name)).unwrap()
}

/// The lines of the Dockerfile, continued ones joined, as (instruction, rest).
fn instructions() -> Vec<(String, String)> {
    let joined = text("Dockerfile").replace("\\\n", " ");
    let lines = joined
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| line.split_once(' ').unwrap())
        .map(|(i, r)| (i.into(), r.into()))
        .collect()
}

fn instruction<'a>(all: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    all.iter()
        .filter(move |(i, _)| i == name)
        .map(|(_, rest)| rest.as_str())
}

/// A JSON array of texts, as Dockerfiles and compose files write commands.
fn words(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn command(arguments: &[String]) -> Result<Command, String> {
    let line = std::iter::once("symbolon").chain(arguments.iter().map(String::as_str));
    Cli::try_parse_from(line)
        .map(Cli::into_command)
        .map_err(|error| error.to_string())
}

/// The port that a health check asks.
fn asked_port(check: &[String]) -> Result<u16, String> {
    let [binary, arguments @ ..] = check else {
        return Err("an empty health check".to_owned());
    };
    match command(arguments)? {
        Command::Doctor(doctor) if binary == BINARY => {
            let url = doctor.ready_url.ok_or("no --ready-url")?;
            let parts = config::UrlParts::parse(&url).filter(|url| url.path == "/readyz");
            parts.and_then(|url| url.port).ok_or(url)
        }
        other => Err(format!("{binary} {other:?} is no health check")),
    }
}

/// Checks one service that runs our image; gives its settings.
fn check(service: &Node, secrets: &[&str]) -> Result<config::Settings, String> {
    let dockerfile = instructions();
    let mut variables: BTreeMap<String, String> = instruction(&dockerfile, "ENV")
        .map(|line| line.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in service.get("environment").map_or(&[][..], Node::entries) {
        variables.insert(name.clone(), value.scalar().to_owned());
    }
    let mounted: Vec<&str> = service
        .get("secrets")
        .map(Node::scalars)
        .unwrap_or_default();
    let directory = tempfile::tempdir().unwrap();
    for (name, value) in &mut variables {
        let Some(secret) = value.strip_prefix("/run/secrets/") else {
            continue;
        };
        if !mounted.contains(&secret) || !secrets.contains(&secret) {
            return Err(format!("{name}: the secret {secret} is not mounted"));
        }
        if secret == "database_url" {
            let path = directory.path().join(secret);
            fs::write(&path, "postgres://symbolon:x@postgres:5432/symbolon").unwrap();
            *value = path.to_str().unwrap().to_owned();
        }
    }
    let environment = variables
        .iter()
        .map(|(k, v)| (OsString::from(k), OsString::from(v)));
    let settings = config::load(None, environment)
        .map_err(|e| e.to_string())?
        .settings;

    let arguments = service.get("command").ok_or("no command")?.scalars();
    let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    let port = match command(&arguments)? {
        Command::Migrate { .. } => return Ok(settings),
        Command::Worker => settings
            .http
            .admin_bind
            .ok_or("a worker without http.admin_bind")?,
        Command::Api | Command::Serve => settings.http.bind,
        other => return Err(format!("{other:?} does not stay")),
    };
    let asked = match service
        .get("healthcheck")
        .and_then(|check| check.get("test"))
    {
        Some(test) => {
            let test: Vec<String> = test.scalars().iter().map(|word| word.to_string()).collect();
            asked_port(test.strip_prefix(&["CMD".to_owned()]).ok_or("no CMD")?)?
        }
        None => image_health_port()?,
    };
    match asked == port.port() {
        true => Ok(settings),
        false => Err(format!(
            "the health check asks port {asked}, not {}",
            port.port()
        )),
    }
}

fn image_health_port() -> Result<u16, String> {
    let dockerfile = instructions();
    let line = instruction(&dockerfile, "HEALTHCHECK")
        .next()
        .ok_or("no HEALTHCHECK")?;
    asked_port(&words(line.split_once(" CMD ").ok_or("no CMD")?.1))
}

fn ours(compose: &Node) -> BTreeMap<String, config::Settings> {
    let secrets: Vec<&str> = compose.get("secrets").map(Node::keys).unwrap_or_default();
    let services = compose.get("services").unwrap().entries();
    let ours = services.iter().filter(|(_, service)| {
        service
            .get("image")
            .is_some_and(|image| image.scalar() == "symbolon")
    });
    ours.map(|(name, service)| {
        let settings = check(service, &secrets).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name.clone(), settings)
    })
    .collect()
}

#[test]
fn the_services_of_compose_have_valid_settings_and_commands() {
    let compose = compose("compose.yaml");
    let ours = ours(&compose);
    assert_eq!(
        ours.keys().collect::<Vec<_>>(),
        ["api", "migrate", "worker"]
    );
    for (name, settings) in &ours {
        let location = &settings.database.location;
        assert!(
            matches!(location, config::DatabaseLocation::Postgres(_)),
            "{name}"
        );
    }
    assert!(ours["worker"].redis.url.is_some());
    assert_eq!(ours["api"].http.public_url, ours["worker"].http.public_url);
    let services = compose.get("services").unwrap();
    for name in ["api", "worker"] {
        let deploy = services
            .get(name)
            .and_then(|service| service.get("deploy"))
            .unwrap();
        assert_eq!(deploy.get("replicas").unwrap().scalar(), "2");
    }
    let networks = services
        .get("proxy")
        .and_then(|proxy| proxy.get("networks"))
        .unwrap();
    let address = networks
        .get("default")
        .and_then(|n| n.get("ipv4_address"))
        .unwrap();
    let [trusted] = ours["api"].http.trusted_proxies[..] else {
        panic!("one trusted proxy");
    };
    assert_eq!(trusted.to_string(), format!("{}/32", address.scalar()));
}

#[test]
fn the_embedded_service_has_valid_settings_and_commands() {
    let ours = ours(&compose("compose.embedded.yaml"));
    assert_eq!(ours.keys().collect::<Vec<_>>(), ["symbolon"]);
    let settings = &ours["symbolon"];
    assert_eq!(settings.data.dir, Path::new("/data"));
    assert!(matches!(
        &settings.database.location,
        config::DatabaseLocation::Sqlite(_)
    ));
}

#[test]
fn a_wrong_service_is_found() {
    let wrong = |lines: &str| check(&yaml::parse(lines).unwrap(), &["a"]).unwrap_err();
    let cases = [
        (
            "command: [\"serve\"]\nenvironment:\n  SYMBOLON__HTTP__BIMD: 127.0.0.1:80",
            "SYMBOLON__HTTP__BIND?",
        ),
        (
            "command: [\"serve\"]\nenvironment:\n  SYMBOLON__JOBS__LEASE: soon",
            "jobs.lease",
        ),
        ("command: [\"server\"]", "serve"),
        ("command: [\"jobs\", \"list\"]", "does not stay"),
        ("command: [\"worker\"]", "http.admin_bind"),
        (
            "command: [\"serve\"]\nenvironment:\n  SYMBOLON__HTTP__BIND: 127.0.0.1:81",
            "port 8080, not 81",
        ),
        (
            "command: [\"serve\"]\nenvironment:\n  SYMBOLON__KEYS__FILE: /run/secrets/a",
            "not mounted",
        ),
    ];
    for (lines, part) in cases {
        let error = wrong(lines);
        assert!(error.contains(part), "{lines}: {error}");
    }
}

#[test]
fn what_compose_refers_to_is_declared() {
    for name in ["compose.yaml", "compose.embedded.yaml"] {
        let compose = compose(name);
        let services = compose.get("services").unwrap();
        let declared = |kind: &str| compose.get(kind).map(Node::keys).unwrap_or_default();
        for (service, content) in services.entries() {
            for dependency in content
                .get("depends_on")
                .map(Node::keys)
                .unwrap_or_default()
            {
                assert!(
                    services.get(dependency).is_some(),
                    "{service}: {dependency}"
                );
            }
            for volume in content
                .get("volumes")
                .map(Node::scalars)
                .unwrap_or_default()
            {
                let source = volume.split(':').next().unwrap();
                match source.strip_prefix("./") {
                    Some(file) => assert!(root().join("docker").join(file).exists(), "{volume}"),
                    None => assert!(declared("volumes").contains(&source), "{volume}"),
                }
            }
            for secret in content
                .get("secrets")
                .map(Node::scalars)
                .unwrap_or_default()
            {
                assert!(declared("secrets").contains(&secret), "{service}: {secret}");
            }
            if let Some(build) = content.get("build") {
                let context = root()
                    .join("docker")
                    .join(build.get("context").unwrap().scalar());
                assert!(
                    context
                        .join(build.get("dockerfile").unwrap().scalar())
                        .exists()
                );
            }
            let image = content.get("image").unwrap().scalar();
            assert!(
                image == "symbolon" || image.contains(':'),
                "{image} has no version"
            );
        }
    }
}

#[test]
fn the_image_runs_commands_that_exist_and_not_as_root() {
    let all = instructions();
    let entrypoint = words(instruction(&all, "ENTRYPOINT").next().unwrap());
    assert_eq!(entrypoint, [BINARY]);
    let copied = instruction(&all, "COPY").find_map(|line| line.strip_prefix("--from=build "));
    assert_eq!(
        copied,
        Some(format!("/src/target/release/symbolon {BINARY}").as_str())
    );
    let default = words(instruction(&all, "CMD").next().unwrap());
    assert_eq!(command(&default), Ok(Command::Serve));
    assert_eq!(image_health_port(), Ok(8080));
    assert_eq!(instruction(&all, "USER").last(), Some("10001:10001"));
    for line in instruction(&all, "FROM") {
        assert!(line.contains(':'), "{line} has no version");
    }
}

#[test]
fn the_build_has_all_it_needs_from_what_it_copies() {
    let all = instructions();
    let ignore = text("Dockerfile.dockerignore");
    let directory = tempfile::tempdir().unwrap();
    for line in instruction(&all, "COPY").filter(|line| !line.starts_with("--from")) {
        let mut sources: Vec<&str> = line.split(' ').collect();
        let target = sources.pop().unwrap();
        for source in sources {
            assert!(
                ignore.lines().any(|line| line == format!("!{source}")),
                "{source} is ignored"
            );
            let place = match target.ends_with('/') {
                true => directory.path().join(target).join(source),
                false => directory.path().join(target),
            };
            copy(&root().join(source), &place);
        }
    }
    let line = instruction(&all, "RUN").find_map(|line| line.strip_prefix("cargo build "));
    let line: Vec<&str> = line.unwrap().split(' ').collect();
    assert!(
        line.contains(&"--release") && line.contains(&"--locked"),
        "{line:?}"
    );
    assert!(directory.path().join("Cargo.lock").exists());

    // Fails when a member of the workspace or the source of a target is missing.
    let output = process::Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let named = line[line.iter().position(|word| *word == "--package").unwrap() + 1];
    let package = packages
        .iter()
        .find(|package| package["name"] == named)
        .expect("the package");
    let mut targets = package["targets"].as_array().unwrap().iter();
    assert!(targets.any(|target| target["name"] == "symbolon" && target["kind"][0] == "bin"));
    let version = package["rust_version"].as_str().unwrap();
    let builder = instruction(&all, "FROM").next().unwrap();
    assert!(
        builder.starts_with(&format!("rust:{version}-")),
        "{builder}"
    );

    let mut included = 0;
    check_includes(&directory.path().join("crates"), &mut included);
    assert!(included > 0);
}

fn copy(from: &Path, to: &Path) {
    assert!(from.exists(), "{} does not exist", from.display());
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// Files that the sources build in must be among the copied.
fn check_includes(directory: &Path, included: &mut usize) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            check_includes(&path, included);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for line in text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
            {
                let Some((_, rest)) = line.split_once("include_str!(\"") else {
                    continue;
                };
                let Some((file, _)) = rest
                    .split_once('"')
                    .filter(|(file, _)| !file.ends_with('\\'))
                else {
                    continue;
                };
                let file = path.parent().unwrap().join(file);
                assert!(
                    file.exists(),
                    "{} includes {}",
                    path.display(),
                    file.display()
                );
                *included += 1;
            }
        }
    }
}

#[test]
fn the_commands_in_the_readme_exist() {
    let readme = text("README.md");
    let mut found = Vec::new();
    for line in readme.lines() {
        let line = line.trim();
        let after = |marker: &str| line.split_once(marker).map(|(_, rest)| rest);
        let (run, up) = (after(" --rm api "), after("docker run "));
        let arguments = run.or_else(|| up.and_then(|rest| Some(rest.split_once(" symbolon ")?.1)));
        if let Some(arguments) = arguments {
            let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
            found.push(command(&arguments).unwrap_or_else(|error| panic!("{line}: {error}")));
        }
    }
    assert!(
        matches!(found[..], [Command::Keys(_), Command::Bootstrap(_)]),
        "{found:?}"
    );
    assert!(readme.contains("have not been run in a container engine yet"));
}
