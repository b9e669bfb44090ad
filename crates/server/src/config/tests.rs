//! The promises about settings: documented defaults, layers, one report of all mistakes.

mod sections;

use std::collections::BTreeSet;
use std::time::Duration;

use super::layers::{DEFAULT_TOML, variable};
use super::*;

fn from_environment(variables: &[(&str, &str)]) -> Result<Loaded, Mistakes> {
    with_file(None, variables)
}

fn with_file(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Loaded, Mistakes> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("symbolon.toml");
    if let Some(text) = file {
        std::fs::write(&path, text).unwrap();
    }
    let environment = variables.iter().map(|(k, v)| (k.into(), v.into()));
    load(file.map(|_| path.as_path()), environment)
}

/// The mistakes as "subject message", without their sources.
fn mistakes(result: Result<Loaded, Mistakes>) -> Vec<String> {
    let Mistakes(mistakes) = result.expect_err("a mistake");
    mistakes
        .into_iter()
        .map(|m| format!("{} {}", m.subject, m.message))
        .collect()
}

#[test]
fn the_defaults_are_those_promised() {
    let settings = from_environment(&[]).unwrap().settings;
    let seconds = Duration::from_secs;
    let days = |n: u64| Duration::from_secs(n * 86_400);
    assert_eq!(
        settings,
        Settings {
            http: Http {
                bind: "127.0.0.1:8080".parse().unwrap(),
                admin_bind: None,
                public_url: None,
                behind_tls_proxy: false,
                trusted_proxies: vec![],
                client_address: symbolon_web::AddressHeader::XForwardedFor,
                max_connections: 1024,
                read_timeout: seconds(10),
                keep_alive: seconds(75),
                workers: 0,
            },
            database: Database {
                location: DatabaseLocation::Sqlite("./data/symbolon.db".into()),
                pool_size: 16,
                connect_timeout: seconds(5),
                lock_timeout: seconds(5),
                statement_timeout: seconds(30),
            },
            doors: symbolon_api::Doors::default(),
            redis: Redis {
                url: None,
                queue: "symbolon".into(),
            },
            mail: Mail {
                delivery: symbolon_worker::MailUrl::Directory("./data/mail".into()),
                from: "Symbolon <symbolon@localhost>".into(),
                timeout: seconds(30),
                concurrency: 8,
            },
            data: Data {
                dir: "./data".into()
            },
            keys: Keys {
                file: "./data/keys".into()
            },
            jobs: Jobs {
                poll_interval: seconds(1),
                concurrency: 16,
                timeout: seconds(60),
                lease: seconds(30),
                outstanding: 1000,
            },
            schedules: Schedules {
                expire_tokens: seconds(60),
                purge: seconds(3600),
                signing_keys: seconds(3600),
            },
            cache: Cache {
                max_age: seconds(10),
                feed_poll: Duration::from_millis(500),
                capacity: 250_000,
                access_tokens: 50_000,
                negative_capacity: 10_000,
                negative_ttl: seconds(5),
            },
            uses: Uses {
                flush_interval: seconds(5),
                flush_size: 100_000,
            },
            retention: Retention {
                idempotency: days(1),
                jobs: days(30),
                addresses: days(90),
                credentials: days(400),
                feed: days(1),
            },
            log: Log {
                level: "info".into(),
                format: LogFormat::Auto,
            },
        }
    );
    assert_eq!(
        settings.http.public_url_at(settings.http.bind),
        "http://127.0.0.1:8080"
    );
}

#[test]
fn the_default_file_names_every_key_that_is_read_and_says_what_it_means() {
    let mut reader = Reader::new(Layers::read(None, [], &mut Vec::new()), Vec::new());
    Settings::read(&mut reader);
    let read: BTreeSet<&str> = reader.effective.keys().copied().collect();
    let named: BTreeSet<&str> = reader.keys().into_iter().collect();
    assert_eq!(read, named);

    let lines: Vec<&str> = DEFAULT_TOML.lines().collect();
    for pair in lines.windows(2) {
        if pair[1].contains(" = ") && !pair[1].starts_with('#') {
            assert!(pair[0].starts_with("# "), "no comment above {:?}", pair[1]);
        }
    }
}

#[test]
fn every_limit_in_the_default_file_is_the_one_enforced() {
    let document: toml::Table = DEFAULT_TOML.parse().unwrap();
    let mut comment = String::new();
    let mut section = "";
    let mut checked = 0;
    for line in DEFAULT_TOML.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            comment = format!("{comment} {text}");
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((name, _)) = line.split_once(" = ") {
            // Ends with "LEAST to MOST."
            let words: Vec<&str> = comment.trim_end_matches('.').split(' ').collect();
            if let [.., least, "to", most] = words[..] {
                let name = format!("{section}.{name}");
                assert!(
                    document[section]
                        .get(name.split('.').nth(1).unwrap())
                        .is_some()
                );
                let accepted = |value: &str| match from_environment(&[(&variable(&name), value)]) {
                    Ok(_) => true,
                    // Refused for what another key says, not for its own limits.
                    Err(Mistakes(found)) => found.iter().all(|m| m.message.contains("more than")),
                };
                assert!(
                    accepted(least) && accepted(most),
                    "{name}: {least} to {most}"
                );
                for (limit, step) in [(least, -1), (most, 1)] {
                    let digits = limit
                        .find(|c: char| !c.is_ascii_digit())
                        .unwrap_or(limit.len());
                    let (number, unit) = limit.split_at(digits);
                    let number: i64 = number.parse().unwrap();
                    let beyond = format!("{}{unit}", number + step);
                    assert!(!accepted(&beyond), "{name}: {beyond}");
                }
                checked += 1;
            }
        }
        comment.clear();
    }
    let values = document
        .values()
        .flat_map(|section| section.as_table().unwrap().values());
    let limited = values.filter(|value| match value {
        toml::Value::String(text) => super::values::parse_duration(text).is_some(),
        value => value.is_integer(),
    });
    assert_eq!(checked, limited.count());
}

#[test]
fn the_environment_is_over_the_file_is_over_the_defaults() {
    let file = "[http]\nbind = \"127.0.0.1:1\"\nmax_connections = 5\n[jobs]\nlease = \"7s\"";
    let loaded = with_file(
        Some(file),
        &[("SYMBOLON__HTTP__BIND", "127.0.0.1:2"), ("PATH", "/bin")],
    );
    let loaded = loaded.unwrap();
    assert_eq!(loaded.settings.http.bind.port(), 2);
    assert_eq!(loaded.settings.http.max_connections, 5);
    assert_eq!(loaded.settings.jobs.lease, Duration::from_secs(7));
    assert_eq!(loaded.settings.http.workers, 0);

    let text = loaded.to_toml();
    assert!(
        text.contains("bind = \"127.0.0.1:2\" # SYMBOLON__HTTP__BIND\n"),
        "{text}"
    );
    assert!(text.contains("symbolon.toml\n"), "{text}");
    assert!(
        text.contains("public_url = \"http://127.0.0.1:2\" # from http.bind\n"),
        "{text}"
    );
    assert!(text.contains("workers = 0 # default\n"), "{text}");
}

#[test]
fn an_empty_variable_unsets_what_the_file_set() {
    let file = "[http]\npublic_url = \"https://a.example\"\n[redis]\nurl = \"redis://r\"";
    let unset = [
        ("SYMBOLON__HTTP__PUBLIC_URL", ""),
        ("SYMBOLON__REDIS__URL", ""),
    ];
    let settings = with_file(Some(file), &unset).unwrap().settings;
    assert_eq!((settings.http.public_url, settings.redis.url), (None, None));
    // What cannot be unset is refused.
    assert_eq!(
        mistakes(from_environment(&[("SYMBOLON__HTTP__BIND", "")])).len(),
        1
    );
}

#[test]
fn what_is_printed_can_be_read_again() {
    let variables = [
        ("SYMBOLON__HTTP__BIND", "0.0.0.0:80"),
        ("SYMBOLON__HTTP__BEHIND_TLS_PROXY", "true"),
        ("SYMBOLON__HTTP__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("SYMBOLON__HTTP__CLIENT_ADDRESS", "forwarded"),
        ("SYMBOLON__HTTP__PUBLIC_URL", "https://tokens.example.org/"),
        ("SYMBOLON__MAIL__FROM", "\"Ops, \\ team\" <ops@example.org>"),
    ];
    let loaded = from_environment(&variables).unwrap();
    let again = with_file(Some(&loaded.to_toml()), &[]).unwrap();
    assert_eq!(again.settings, loaded.settings);
    assert_eq!(again.settings.http.trusted_proxies.len(), 2);
    assert_eq!(
        again.settings.http.public_url.as_deref(),
        Some("https://tokens.example.org")
    );
}

#[test]
fn all_mistakes_come_at_once_with_key_source_value_and_what_is_allowed() {
    let file = "[http]\nbnd = \"x\"\nworkers = \"two\"\n[databse]\nurl = \"hunter2\"\n[mail]\npool_size = 3\n";
    let error = with_file(
        Some(file),
        &[
            ("SYMBOLON__HTTP__BIND", "localhost"),
            ("SYMBOLON__HTTP__READ_TIMOUT", "hunter2"),
            ("SYMBOLON__JOBS__LEASE", "2h"),
            ("SYMBOLON__HTTP__BIND_FILE", "hunter2"),
        ],
    )
    .unwrap_err();
    let text = error.to_string();
    for part in [
        "8 settings are wrong",
        "http.bnd (",
        "did you mean http.bind?",
        "http.workers (",
        "\"two\" is refused; allowed: a whole number from 0 to 1024",
        "databse (",
        "there is no such section; did you mean database?",
        "did you mean database.pool_size?",
        "http.bind (SYMBOLON__HTTP__BIND): \"localhost\" is refused; allowed: an IP address",
        "SYMBOLON__HTTP__READ_TIMOUT: there is no such setting; did you mean SYMBOLON__HTTP__READ_TIMEOUT?",
        "jobs.lease (SYMBOLON__JOBS__LEASE): \"2h\" is refused; allowed: a whole number with its unit (ms, s, m, h or d), from 100ms to 1h",
        "SYMBOLON__HTTP__BIND_FILE: there is no such setting",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_without_quoting_it() {
    let found = mistakes(with_file(
        Some("[redis]\nurl = \"redis://:hunter2@h\nqueue = 1"),
        &[],
    ));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("is not TOML, from line 2"), "{found:?}");
    assert!(!found[0].contains("hunter2"), "{found:?}");

    let missing = load(Some(Path::new("no/such/file.toml")), [])
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("no/such/file.toml: cannot be read"),
        "{missing}"
    );
}

#[test]
fn types_in_the_file_are_strict() {
    for file in [
        "[http]\nworkers = true",
        "[http]\nbehind_tls_proxy = \"true\"",
        "[http]\ntrusted_proxies = \"10.0.0.0/8\"",
        "[http]\ntrusted_proxies = [1]",
        "[jobs]\nlease = 30",
        "[redis]\nurl = 5",
        "[http.bind]\nport = 1",
        "http = 1",
        "bind = \"127.0.0.1:80\"",
    ] {
        assert_eq!(mistakes(with_file(Some(file), &[])).len(), 1, "{file}");
    }
}

#[test]
fn secrets_come_from_files_too_but_not_from_both() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("database_url");
    let path = path.to_str().unwrap();
    let file = ("SYMBOLON__DATABASE__URL_FILE", path);
    assert!(mistakes(from_environment(&[file]))[0].contains("cannot be read"));
    std::fs::write(path, "\n").unwrap();
    assert!(mistakes(from_environment(&[file]))[0].contains("the file is empty"));

    std::fs::write(path, "postgres://u:hunter2@db/name\n").unwrap();
    let loaded = from_environment(&[file, ("SYMBOLON__DATABASE__URL", "")]).unwrap();
    let url = super::values::Secret::new("postgres://u:hunter2@db/name");
    assert_eq!(
        loaded.settings.database.location,
        DatabaseLocation::Postgres(url)
    );
    assert!(
        loaded
            .to_toml()
            .contains("url = \"postgres://***@db/name\" # SYMBOLON__DATABASE__URL_FILE, ")
    );

    let both = from_environment(&[
        file,
        ("SYMBOLON__DATABASE__URL", "postgres://u:hunter2@x/y"),
    ]);
    let text = both.unwrap_err().to_string();
    assert!(
        text.contains(
            "database.url (SYMBOLON__DATABASE__URL_FILE): is set beside SYMBOLON__DATABASE__URL"
        ),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn no_secret_shows_in_debug_in_print_or_in_mistakes() {
    let good = [
        (
            "SYMBOLON__DATABASE__URL",
            "postgres://u:hunter2@db/n?password=hunter2",
        ),
        ("SYMBOLON__REDIS__URL", "rediss://:hunter2@r:1/0"),
        ("SYMBOLON__MAIL__URL", "smtp://hunter2:hunter2@m"),
    ];
    let loaded = from_environment(&good).unwrap();
    assert!(!format!("{loaded:?}{:?}{}", loaded.settings, loaded.to_toml()).contains("hunter2"));
    let bad = [
        ("SYMBOLON__DATABASE__URL", "postgres:/u:hunter2@db/n"),
        ("SYMBOLON__REDIS__URL", "http://:hunter2@r:1/0"),
        ("SYMBOLON__MAIL__URL", "smtp://u:hunter2@m?tls=none"),
        ("SYMBOLON__HTTP__PUBLIC_URL", "https://u:hunter2@h"),
    ];
    let text = from_environment(&bad).unwrap_err().to_string();
    assert!(
        text.starts_with("4 settings") && !text.contains("hunter2"),
        "{text}"
    );
}
