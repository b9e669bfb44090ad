//! Starting, stopping and dying: what a start refuses and how it says so, what a stop still does, and
//! what a kill leaves behind.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_tests::documents::Documents;
use symbolon_tests::eventually;
use symbolon_tests::http::Client;
use symbolon_tests::postgres::create_database;
use symbolon_tests::process::{Home, Symbolon};

use crate::instance::{Api, Instance, SOON, complaint, list, token, with_tls_off};

/// Lets a start end by itself, and returns what it said.
#[track_caller]
fn refused(mut process: Symbolon) -> String {
    let status = process.wait_exit(SOON);
    assert!(!status.success(), "it ended well: {}", process.log_text());
    process.log_text()
}

/// # Panics
/// With the whole text, if one of the parts is not in it.
#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn a_first_start_makes_an_instance_and_bootstrap_claims_it() {
    let home = Home::new();
    let settings = [("SYMBOLON__HTTP__BIND", "127.0.0.1:0")];
    let first_start = home.data().join("first-start.txt");
    let process = home.spawn(&["serve"], &settings);
    process.wait_log("\"listens\"", SOON);
    let text = fs::read_to_string(&first_start).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&first_start), 0o600);
    for private in ["keys", "symbolon.db", "symbolon.db-wal"] {
        assert_eq!(mode(&home.data().join(private)), 0o600, "{private}");
    }
    assert_eq!(mode(&home.data()), 0o700);
    let after = |mark: &str| {
        let (_, rest) = text.split_once(mark).expect("the text has it");
        rest.split_whitespace().next().unwrap().to_owned()
    };
    let (url, account) = (after("begun at "), after("export ACCOUNT="));
    let automatic = after("export TOKEN=");
    says(&process.log_text(), &["first-start.txt"]);
    assert!(!process.log_text().contains(&automatic));
    // What it says to paste: the same request works.
    says(&text, &["curl -sS", "symbolon bootstrap --account"]);
    let open = Client::new(&url);
    let open = open.held_to(&Documents::of(&open).into());
    let api = |token: &str| Api {
        client: open.bearer(token),
        open: open.clone(),
        account: format!("/v1/public/accounts/{account}"),
    };
    assert_eq!(api(&automatic).whoami(&automatic), 200);

    // Claiming it, while it runs: the same account under its name, and the first token is over.
    let bootstrap = [
        "bootstrap",
        "--account",
        "acme",
        "--email",
        "owner@acme.test",
        "--json",
    ];
    let claimed = home.run(&bootstrap, &settings);
    assert!(claimed.status.success(), "{}", complaint(&claimed));
    let claimed: Value = serde_json::from_slice(&claimed.stdout).unwrap();
    assert_eq!(claimed["account_id"], account.as_str());
    assert!(!first_start.exists());
    let owner = token(&claimed);
    let api = api(&owner);
    assert_eq!(api.whoami(&owner), 200);
    eventually("the automatic token is over", SOON, || {
        (api.whoami(&automatic) == 401).then_some(())
    });
    api.create("ci", "ops@acme.test");
    // Now it is in use: again only for somebody who says that every way in was lost.
    let again = home.run(&bootstrap, &settings);
    assert!(!again.status.success());
    says(&complaint(&again), &["--recover"]);
    let recovered = home.run(&[&bootstrap[..], &["--recover"]].concat(), &settings);
    assert!(recovered.status.success(), "{}", complaint(&recovered));
    let recovered: Value = serde_json::from_slice(&recovered.stdout).unwrap();
    assert_eq!(api.whoami(&token(&recovered)), 200);
}

#[test]
fn a_key_file_that_does_not_fit_is_refused_on_sqlite() {
    key_files(&Instance::sqlite(&[]), "serve");
}

#[test]
fn a_key_file_that_does_not_fit_is_refused_on_postgres() {
    if let Some(instance) = Instance::postgres(&[]) {
        key_files(&instance, "api");
        key_files(&instance, "serve");
    }
}

fn key_files(instance: &Instance, role: &str) {
    let path = instance.home.data().join("keys");
    let right = fs::read_to_string(&path).unwrap();
    let mut node = instance.start(role, &[]);
    let ci = instance.admin(&node).create("ci", "ops@acme.test");
    node.process.terminate();
    assert!(node.process.wait_exit(SOON).success());
    let start = || refused(instance.spawn(role, &[("SYMBOLON__HTTP__BIND", "127.0.0.1:0")]));
    let way_out = ["backup", "keys.file", "SYMBOLON__KEYS__FILE"];

    fs::remove_file(&path).unwrap();
    says(&start(), &["there is no key file"]);
    says(&start(), &way_out);
    assert!(!path.exists(), "a start must not make another key file");

    instance.command(&["keys", "generate", path.to_str().unwrap()]);
    says(&start(), &["does not belong to this database"]);
    says(&start(), &way_out);
    assert!(
        !instance
            .try_command(&["keys", "status"], &[])
            .status
            .success()
    );

    // A file with a second version is taken; then the file from before is too old.
    let key = URL_SAFE_NO_PAD.encode([7; 32]);
    let newer = format!("{right}symbolon-key 2 2026-01-01T00:00:00Z {key}\n");
    fs::write(&path, &newer).unwrap();
    drop(instance.start(role, &[]));
    fs::write(&path, &right).unwrap();
    says(&start(), &["lacks version 2"]);
    says(&start(), &way_out);

    fs::write(&path, "nothing of the kind\n").unwrap();
    says(&start(), &["line 1 of the key file"]);
    fs::write(&path, &newer).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    says(&start(), &["0600"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();

    // The right one again: nothing was lost.
    let node = instance.start(role, &[]);
    assert_eq!(instance.admin(&node).whoami(&token(&ci)), 200);
    // For another round, the database forgets the version that only this test made.
    if let Some(database) = &instance.database {
        drop(node);
        database.psql("DELETE FROM key_checks WHERE version = 2");
        fs::write(&path, &right).unwrap();
    }
}

#[test]
fn a_split_role_makes_no_key_file() {
    let Some(database) = create_database() else {
        return;
    };
    let home = Home::new();
    let url = with_tls_off(&database.url());
    let settings = [
        ("SYMBOLON__DATABASE__URL", &*url),
        ("SYMBOLON__HTTP__BIND", "127.0.0.1:0"),
    ];
    let said = refused(home.spawn(&["api"], &settings));
    says(&said, &["symbolon migrate"]);
    let migrated = home.run(&["migrate"], &settings);
    assert!(migrated.status.success(), "{}", complaint(&migrated));
    let said = refused(home.spawn(&["worker"], &settings));
    says(&said, &["symbolon keys generate"]);
    assert!(!home.data().join("keys").exists());
}

#[test]
fn the_schema_must_be_there_before_a_split_role_starts() {
    let Some(instance) = Instance::postgres(&[]) else {
        return;
    };
    // As before a migration of a newer release.
    let database = instance.database.as_ref().unwrap();
    database.psql("DELETE FROM __diesel_schema_migrations");
    for role in ["api", "worker"] {
        let said = refused(instance.spawn(role, &[("SYMBOLON__HTTP__BIND", "127.0.0.1:0")]));
        says(&said, &["migration", "run `symbolon migrate`"]);
    }
    let check = instance.try_command(&["migrate", "--check"], &[]);
    assert!(!check.status.success());
}

#[test]
fn only_one_serve_holds_a_directory_and_the_split_roles_refuse_sqlite() {
    let instance = Instance::sqlite(&[]);
    let node = instance.serve();
    let bind = [("SYMBOLON__HTTP__BIND", "127.0.0.1:0")];
    says(
        &refused(instance.spawn("serve", &bind)),
        &["another symbolon serves from"],
    );
    for role in ["api", "worker"] {
        let said = refused(instance.spawn(role, &bind));
        says(&said, &["needs PostgreSQL", "symbolon serve"]);
    }
    // The one that holds it noticed nothing, and commands work beside it.
    let ci = instance.admin(&node).create("ci", "ops@acme.test");
    assert_eq!(instance.admin(&node).whoami(&token(&ci)), 200);
    assert!(!instance.jobs("all").is_empty());
    // A lock ends with its process, however that ends.
    let mut node = node;
    node.process.kill9();
    let node = instance.serve();
    assert_eq!(instance.admin(&node).whoami(&token(&ci)), 200);
}

#[test]
fn wrong_settings_are_named_all_at_once() {
    let said = refused(Symbolon::spawn(
        &["serve"],
        &[
            ("SYMBOLON__JOBS__CONCURRENCY", "many"),
            ("SYMBOLON__HTTP__BIND", "0.0.0.0:8080"),
            (
                "SYMBOLON__MAIL__URL",
                "smtp://u:s3cretword@mail.test?tls=none",
            ),
            ("SYMBOLON__DATABASE__POOLSIZE", "3"),
        ],
    ));
    says(
        &said,
        &[
            "jobs.concurrency",
            "many",
            "http.bind",
            "behind_tls_proxy",
            "mail.url",
        ],
    );
    says(&said.to_lowercase(), &["poolsize", "pool_size"]);
    assert!(!said.contains("s3cretword"), "{said}");
}

#[test]
fn sigterm_on_sqlite() {
    a_stop_is_orderly(&Instance::sqlite(&[]), "serve");
}

#[test]
fn sigterm_on_postgres() {
    if let Some(instance) = Instance::postgres(&[]) {
        a_stop_is_orderly(&instance, "api");
    }
}

/// Exit code 0 within ten seconds; the requests under way are answered, and the uses that were still in
/// memory are written.
fn a_stop_is_orderly(instance: &Instance, role: &str) {
    let late = [("SYMBOLON__USES__FLUSH_INTERVAL", "10m")];
    let mut node = instance.start(role, &late);
    let api = instance.admin(&node);
    let ci = api.create("ci", "ops@acme.test");
    assert_eq!(api.whoami(&token(&ci)), 200);
    assert_eq!(api.read(&ci)["last_used_at"], Value::Null);
    let stopping = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..4)
            .map(|_| {
                let (client, path) = (node.client().bearer(&instance.token), api.of(&ci, ""));
                let stopping = &stopping;
                scope.spawn(move || {
                    let mut answered = 0;
                    // Until nobody answers any more; an answer is a whole one.
                    while let Ok(answer) = client.send("GET", &path, None, &[]) {
                        assert!(
                            answer.status == 200 || stopping.load(Ordering::SeqCst),
                            "{}",
                            answer.text()
                        );
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(100));
        let start = Instant::now();
        stopping.store(true, Ordering::SeqCst);
        node.process.terminate();
        let status = node.process.wait_exit(Duration::from_secs(10));
        assert_eq!(status.code(), Some(0), "{}", node.process.log_text());
        println!("stopped in {:?}", start.elapsed());
        for asker in askers {
            assert!(asker.join().unwrap() > 0);
        }
    });
    says(&node.process.log_text(), &["\"stopping\"", "\"stopped\""]);
    let node = instance.start(role, &late);
    assert!(instance.admin(&node).read(&ci)["last_used_at"].is_string());
}

#[test]
fn a_kill_amid_creates_leaves_nothing_half_made() {
    let instance = Instance::sqlite(&[]);
    let answered = Mutex::new(BTreeMap::new());
    let asked = Mutex::new(0);
    for round in 0..4 {
        let mut node = instance.serve();
        let before = answered.lock().unwrap().len();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let api = instance.admin(&node);
                let (answered, asked) = (&answered, &asked);
                scope.spawn(move || {
                    loop {
                        let number = {
                            let mut asked = asked.lock().unwrap();
                            *asked += 1;
                            *asked
                        };
                        let body = json!({
                            "name": format!("n{number}"),
                            "contact_email": format!("n{number}@acme.test"),
                        });
                        let body = Some(body.to_string().into_bytes());
                        let json = [("Content-Type", "application/json")];
                        let path = api.service_accounts();
                        let Ok(answer) = api.client.send("POST", &path, body, &json) else {
                            return;
                        };
                        let made = answer.expect(201).json();
                        let id = made["id"].as_str().unwrap().to_owned();
                        answered.lock().unwrap().insert(id, token(&made));
                    }
                });
            }
            eventually("some creates were answered", SOON, || {
                let now = answered.lock().unwrap().len();
                (now >= before + 10 + 3 * round).then_some(())
            });
            node.process.kill9();
        });
    }
    let node = instance.serve();
    let api = instance.admin(&node);
    let found = list(
        api.client
            .get(&api.service_accounts(), &[])
            .expect(200)
            .json(),
    );
    let answered = answered.into_inner().unwrap();
    let asked = asked.into_inner().unwrap();
    println!(
        "{asked} asked, {} answered, {} found",
        answered.len(),
        found.len()
    );
    assert!(found.len() >= answered.len() && found.len() <= asked);
    let known: Vec<_> = found.iter().map(|it| it["id"].as_str().unwrap()).collect();
    for (id, token) in &answered {
        assert!(known.contains(&&**id), "{id} was answered and is gone");
        assert_eq!(api.whoami(token), 200);
    }
    for it in &found {
        let id = it["id"].as_str().unwrap();
        let tokens = api.client.get(&api.of(it, "/tokens"), &[]).expect(200);
        assert_eq!(list(tokens.json()).len(), 1, "{id}");
        let query = format!("kind=service_account.created&service_account_id={id}");
        assert_eq!(api.events(&query).len(), 1, "{id}");
    }
    let of_kind = |name: &str| {
        let jobs = instance.jobs("all");
        jobs.iter().filter(|it| it["name"] == name).count()
    };
    for name in ["confirm_email", "confirmation_reminder"] {
        assert_eq!(of_kind(name), found.len(), "{name}");
    }
    // And each gets its mail, those amid whose job the process died too.
    eventually("all mails are there", SOON, || {
        let mails = fs::read_dir(instance.home.data().join("mail")).ok()?;
        (mails.count() >= found.len()).then_some(())
    });
    eventually("no mail is left to do", SOON, || {
        let is_mail = |it: &Value| it["name"] == "confirm_email" && it["state"] != "done";
        (!instance.jobs("all").iter().any(is_mail)).then_some(())
    });
}

#[test]
fn a_backup_taken_while_running_opens_and_works() {
    let instance = Instance::sqlite(&[]);
    let node = instance.serve();
    let api = instance.admin(&node);
    let first = api.create("first", "first@acme.test");
    let copy = Home::new();
    fs::create_dir(copy.data()).unwrap();
    let path = copy.data().join("symbolon.db");
    let path = path.to_str().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                api.create(&format!("n{number}"), &format!("n{number}@acme.test"));
            }
        });
        let said = instance.try_command(&["backup", path], &[]);
        done.store(true, Ordering::SeqCst);
        assert!(said.status.success(), "{}", complaint(&said));
    });
    let again = instance.try_command(&["backup", path], &[]);
    assert!(!again.status.success());
    says(&complaint(&again), &["never overwrites"]);
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let after = api.create("after", "after@acme.test");

    let keys = instance.home.data().join("keys");
    fs::copy(keys, copy.data().join("keys")).unwrap();
    let data = copy.data();
    let restored = instance.start("serve", &[("SYMBOLON__DATA__DIR", data.to_str().unwrap())]);
    let restored = instance.admin(&restored);
    assert_eq!(restored.whoami(&token(&first)), 200);
    assert_eq!(restored.whoami(&token(&after)), 401);
    let new = restored.create("new", "new@acme.test");
    assert_eq!(restored.whoami(&token(&new)), 200);
    let rotated = restored.rotate(&first);
    assert_eq!(restored.whoami(&token(&rotated)), 200);
    // Its own database, not that of the first.
    assert_eq!(api.whoami(&token(&first)), 200);
}
