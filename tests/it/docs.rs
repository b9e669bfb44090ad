//! Holds the prose to the product: what README and docs name exists, under that name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use symbolon_tests::process::Home;

/// A page of prose: its path below the root, and its text.
struct Page {
    path: PathBuf,
    text: String,
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> = [
        "README.md",
        "CHANGELOG.md",
        "docker/README.md",
        "migrations/README.md",
        "crates/api/src/native/README.md",
    ]
    .map(PathBuf::from)
    .into();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = PathBuf::from(entry.unwrap().file_name());
        if name.extension().is_some_and(|it| it == "md") {
            paths.push(Path::new("docs").join(name));
        }
    }
    let page = |path: PathBuf| Page {
        text: read(&path),
        path,
    };
    paths.into_iter().map(page).collect()
}

/// The text outside and the lines inside of fenced blocks; of a console, only what is typed.
fn split(text: &str) -> (String, Vec<&str>) {
    let (mut prose, mut code, mut fence) = (String::new(), Vec::new(), None);
    for line in text.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            fence = fence.is_none().then_some(kind);
            continue;
        }
        match fence {
            None => prose.extend([line, "\n"]),
            Some("console") => code.extend(line.strip_prefix("$ ")),
            Some(_) => code.push(line.trim_start()),
        }
    }
    assert!(fence.is_none(), "a block without an end");
    (prose, code)
}

/// What stands between single backticks.
fn spans(prose: &str) -> Vec<&str> {
    prose.split('`').skip(1).step_by(2).collect()
}

/// The arguments of a typed `symbolon …`, behind variables set for it and up to the shell's next word.
fn arguments(command: &str) -> Option<Vec<&str>> {
    let ends = |word: &&str| !matches!(*word, "|" | "#" | "&&" | ">" | ";");
    let mut words = command
        .split_whitespace()
        .take_while(ends)
        .skip_while(|word| word.starts_with("SYMBOLON") && word.contains('='));
    (words.next() == Some("symbolon")).then(|| words.collect())
}

/// A value in the place of a placeholder.
fn filled(word: &str) -> &str {
    match word {
        "ID" => "01a201de-4055-7b91-8618-243be19ba43a",
        "NAME" => "acme",
        "ADDR" => "ops@example.org",
        "DOOR" => "unleash",
        other => other,
    }
}

/// With `--help` at the end the command line is read, and nothing is done.
fn is_understood(home: &Home, arguments: &[&str]) -> bool {
    let mut line: Vec<&str> = arguments.iter().map(|word| filled(word)).collect();
    line.push("--help");
    home.run(&line, &[]).status.success()
}

#[test]
fn commands_are_understood() {
    let home = Home::new();
    assert!(!is_understood(&home, &["jobs", "lst"]));
    assert!(!is_understood(&home, &["jobs", "list", "--stat", "due"]));
    let mut seen = BTreeSet::new();
    for page in pages() {
        let (prose, code) = split(&page.text);
        for command in spans(&prose).into_iter().chain(code) {
            let Some(arguments) = arguments(command) else {
                continue;
            };
            if seen.insert(arguments.join(" ")) {
                let understood = is_understood(&home, &arguments);
                assert!(understood, "{}: {command}", page.path.display());
            }
        }
    }
    assert!(seen.len() > 15, "{seen:?}");
}

/// `section.key` of every setting.
fn settings() -> BTreeSet<String> {
    let (mut section, mut keys) = ("", BTreeSet::new());
    let text = read("config/default.toml");
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            keys.insert(format!("{section}.{key}"));
        }
    }
    assert!(keys.contains("http.bind"));
    keys
}

#[test]
fn settings_exist() {
    let known = settings();
    let sections: BTreeSet<&str> = known
        .iter()
        .filter_map(|key| key.split('.').next())
        .collect();
    let mut seen = 0;
    for page in pages() {
        let shown = page.path.display();
        for rest in page.text.split("SYMBOLON__").skip(1) {
            let legal = |c: char| c.is_ascii_uppercase() || c == '_';
            let name = &rest[..rest.find(|c| !legal(c)).unwrap_or(rest.len())];
            let key = name.to_lowercase().replacen("__", ".", 1);
            let exists = |key: &str| known.contains(key);
            let from_file = key.strip_suffix("_file").is_some_and(exists);
            assert!(exists(&key) || from_file, "{shown}: SYMBOLON__{name}");
            seen += 1;
        }
        for span in spans(&split(&page.text).0) {
            let key = span.split(" = ").next().unwrap_or(span);
            let parts: Vec<&str> = key.split('.').collect();
            if let [section, name] = parts[..]
                && sections.contains(section)
                && !["toml", "rs"].contains(&name)
            {
                assert!(known.contains(key), "{shown}: {span}");
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn files_exist() {
    let tops = [
        "crates/",
        "tests/",
        "migrations/",
        "config/",
        "docker/",
        "docs/",
    ];
    let mut seen = 0;
    for page in pages() {
        for span in spans(&split(&page.text).0) {
            let plain = !span.contains(['<', '*', ' ', '{']);
            if plain && tops.iter().any(|top| span.starts_with(top)) {
                let exists = root().join(span).exists();
                assert!(exists, "{}: {span}", page.path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
    let map = read("README.md");
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(map.contains(&format!("`crates/{name}`")), "crates/{name}");
    }
}

/// As the heading's anchor is made: lower case, blanks to hyphens, no punctuation.
fn anchors(text: &str) -> BTreeSet<String> {
    let (prose, _) = split(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars()
            .filter(kept)
            .collect::<String>()
            .replace(' ', "-")
    };
    headings.map(slug).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for page in pages() {
        let (prose, _) = split(&page.text);
        for rest in prose.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or(rest);
            if target.contains("://") {
                continue;
            }
            let shown = format!("{}: {target}", page.path.display());
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let at = match path {
                "" => page.path.clone(),
                path => page.path.parent().unwrap().join(path),
            };
            assert!(root().join(&at).exists(), "{shown}");
            assert!(
                anchor.is_empty() || anchors(&read(&at)).contains(anchor),
                "{shown}"
            );
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn the_table_of_errors_is_the_codes_own() {
    let snapshot = read("crates/api/src/snapshots/symbolon_api__status__tests__table.snap");
    let (_, table) = snapshot.rsplit_once("---\n").unwrap();
    let coded: BTreeSet<String> = table.lines().map(str::to_owned).collect();
    assert!(coded.contains("404 not_found"));
    let mut told = BTreeSet::new();
    for line in read("docs/api.md").lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", status, codes, _, ""] = cells[..]
            && status.parse::<u16>().is_ok()
        {
            told.extend(spans(codes).iter().map(|code| format!("{status} {code}")));
        }
    }
    assert_eq!(told, coded);
}

/// All of what we ship, tests beside it too.
fn sources() -> String {
    fn collect(directory: &Path, text: &mut String) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|it| it == "rs") {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut text = String::new();
    collect(&root().join("crates"), &mut text);
    text
}

#[test]
fn metrics_and_log_lines_are_the_codes_own() {
    let (sources, page) = (sources(), read("docs/operating.md"));
    let mut emitted = BTreeSet::new();
    // The last is for what is asked of the database at each look.
    for kind in ["counter!(", "gauge!(", "histogram!(", "gauge("] {
        for rest in sources.split(kind).skip(1) {
            let name = rest.trim_start().strip_prefix('"').unwrap_or_default();
            let name = name.split('"').next().unwrap_or_default();
            if name.starts_with("symbolon_") {
                emitted.insert(name);
            }
        }
    }
    let told: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `symbolon_"))
        .map(|rest| rest.split('`').next().unwrap_or(rest))
        .collect();
    let emitted: BTreeSet<&str> = emitted
        .into_iter()
        .filter_map(|name| name.strip_prefix("symbolon_"))
        .collect();
    assert_eq!(told, emitted);

    let (_, section) = page.split_once("### Lines that want somebody").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut messages = 0;
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let first = row.split('|').nth(1).unwrap();
        for message in spans(first) {
            let message = message.trim_end_matches(" …");
            assert!(sources.contains(message), "{message}");
            messages += 1;
        }
    }
    assert!(messages > 10, "{messages}");
}
