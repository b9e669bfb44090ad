//! The architecture as a test: which crate may use which (of ours and of others'), where other
//! people's code comes from, and under which licences.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Our crates, and what each may use of ours in what it ships. The arrows point one way.
const OURS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("store", &["domain"]),
    ("text", &[]),
    ("app", &["store", "domain"]),
    ("web", &["app", "text", "domain"]),
    ("api", &["web", "app", "text", "domain"]),
    ("console", &["web", "app", "text", "domain"]),
    ("worker", &["web", "app", "text", "domain"]),
    (
        "server",
        &[
            "domain", "store", "text", "app", "web", "api", "console", "worker",
        ],
    ),
    ("bench", &["app", "store", "domain"]),
    ("tests", &[]),
    ("xtask", &[]),
];

/// Libraries that shape the code around them, and the only crates that may name them. A name
/// ending in `-` stands for the whole family.
const CONFINED: &[(&[&str], &[&str])] = &[
    (
        &[
            "diesel",
            "diesel-",
            "diesel_",
            "tokio-postgres",
            "tokio-postgres-",
            "deadpool",
            "libsqlite3-sys",
        ],
        &["store"],
    ),
    (&["apalis", "apalis-", "redis", "lettre"], &["worker"]),
    (&["actix-"], &["web", "api", "console", "worker", "server"]),
    (
        &[
            "clap",
            "config",
            "toml",
            "tracing-subscriber",
            "metrics-exporter-",
        ],
        &["server"],
    ),
];

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    MetadataCommand::new()
        .manifest_path(manifest)
        .exec()
        .expect("cargo metadata works in the workspace")
}

/// `symbolon-api` → `api`.
fn short(name: &str) -> &str {
    name.strip_prefix("symbolon-").unwrap_or(name)
}

/// What the package uses when it is built to be run: development dependencies are free.
fn shipped(package: &Package) -> BTreeSet<&str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
        .collect()
}

#[test]
fn our_crates_use_each_other_in_one_direction() {
    let metadata = metadata();
    let allowed: BTreeMap<&str, &[&str]> = OURS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let name = short(&package.name);
        let Some(allowed) = allowed.get(name) else {
            wrong.push(format!("`{name}` is not in the table of crates"));
            continue;
        };
        for used in shipped(package).into_iter().map(short) {
            if OURS.iter().any(|(ours, _)| *ours == used) && !allowed.contains(&used) {
                wrong.push(format!("`{name}` must not use `{used}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known: BTreeSet<&str> = metadata
        .workspace_packages()
        .iter()
        .map(|package| short(&package.name))
        .collect();
    assert!(OURS.iter().all(|(name, _)| known.contains(name)));
}

#[test]
fn libraries_stay_in_the_crates_that_own_them() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for package in metadata.workspace_packages() {
        let name = short(&package.name);
        for used in shipped(package) {
            for (libraries, owners) in CONFINED {
                if libraries.iter().any(|library| is(library, used)) {
                    seen.insert(libraries[0]);
                    if !owners.contains(&name) {
                        wrong.push(format!("`{name}` must not use `{used}`: only {owners:?}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A rule that meets no crate any more guards nothing: it was misspelt or is out of date.
    assert_eq!(seen.len(), CONFINED.len(), "rules in use: {seen:?}");
}

fn is(library: &str, name: &str) -> bool {
    library == name || (library.ends_with(['-', '_']) && name.starts_with(library))
}

#[test]
fn the_task_runner_uses_nothing_but_the_standard_library() {
    let metadata = metadata();
    let xtask = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name == "xtask")
        .expect("the workspace has the task runner");
    assert!(xtask.dependencies.is_empty());
}

#[test]
fn all_foreign_code_comes_from_one_registry() {
    let metadata = metadata();
    let members: BTreeSet<_> = metadata.workspace_members.iter().collect();
    let foreign: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| !members.contains(&package.id))
        .collect();
    assert!(!foreign.is_empty());
    let wrong: Vec<String> = foreign
        .iter()
        .filter(|package| !package.source.as_ref().is_some_and(|s| s.is_crates_io()))
        .map(|package| format!("{} comes from {:?}", package.name, package.source))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_dependency_has_a_licence_that_we_accept() {
    let metadata = metadata();
    let accepted = accepted_licences(include_str!("../../deny.toml"));
    assert!(accepted.contains("MIT"));
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let licence = package.license.as_deref().unwrap_or("");
        if !satisfiable(licence, &accepted) {
            wrong.push(format!("{} {}: `{licence}`", package.name, package.version));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The list `allow` of the section `[licenses]`.
fn accepted_licences(deny: &str) -> BTreeSet<&str> {
    let (_, section) = deny
        .split_once("[licenses]")
        .expect("deny.toml has the section");
    let (list, _) = section
        .split_once("allow = [")
        .and_then(|(_, list)| list.split_once(']'))
        .expect("the section has the list");
    list.split('"').skip(1).step_by(2).collect()
}

/// Whether a choice of accepted licences fulfils the expression: `OR` (older: `/`) is a choice,
/// `AND` binds tighter, parentheses group, `X WITH Y` is a licence of its own.
fn satisfiable(expression: &str, accepted: &BTreeSet<&str>) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    choice(&mut rest, accepted) == Some(true) && rest.is_empty()
}

fn choice(rest: &mut &[&str], accepted: &BTreeSet<&str>) -> Option<bool> {
    let mut any = union(rest, accepted)?;
    while let ["OR", after @ ..] = rest {
        *rest = after;
        any |= union(rest, accepted)?;
    }
    Some(any)
}

fn union(rest: &mut &[&str], accepted: &BTreeSet<&str>) -> Option<bool> {
    let mut all = licence(rest, accepted)?;
    while let ["AND", after @ ..] = rest {
        *rest = after;
        all &= licence(rest, accepted)?;
    }
    Some(all)
}

fn licence(rest: &mut &[&str], accepted: &BTreeSet<&str>) -> Option<bool> {
    match **rest {
        ["(", ref after @ ..] => {
            *rest = after;
            let fulfilled = choice(rest, accepted)?;
            *rest = rest.strip_prefix(&[")"])?;
            Some(fulfilled)
        }
        [name, "WITH", exception, ref after @ ..] => {
            *rest = after;
            Some(accepted.contains(format!("{name} WITH {exception}").as_str()))
        }
        [name, ref after @ ..] if !matches!(name, "OR" | "AND" | "WITH" | ")") => {
            *rest = after;
            Some(accepted.contains(name))
        }
        _ => None,
    }
}

#[test]
fn licence_expressions_are_understood() {
    let accepted = BTreeSet::from(["MIT", "ISC"]);
    let cases = [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("MIT AND ISC", true),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("MIT OR GPL-3.0 AND LGPL-2.1", true),
        ("(MIT OR GPL-3.0) AND LGPL-2.1", false),
        ("GPL-2.0 WITH Classpath-exception-2.0 OR ISC", true),
        ("MIT WITH Something", false),
        ("", false),
        ("(MIT", false),
        ("MIT ISC", false),
    ];
    for (expression, expected) in cases {
        assert_eq!(satisfiable(expression, &accepted), expected, "{expression}");
    }
}
