//! Each thing an instance depends on, looked at once: one line each, and what to do where it is wrong.

use symbolon_app::{KeyFile, Keyring, SystemClock};
use symbolon_domain::Clock;
use symbolon_store::Store;

use crate::assemble;
use crate::config::Settings;

/// What one look found.
struct Finding {
    name: &'static str,
    result: Result<String, String>,
}

/// Looks at everything; fails when anything is wrong.
pub async fn run(settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
    let findings = look(settings).await;
    for it in &findings {
        match &it.result {
            Ok(detail) => println!("ok    {:11} {detail}", it.name),
            Err(detail) => println!("WRONG {:11} {detail}", it.name),
        }
    }
    let wrong = findings.iter().filter(|it| it.result.is_err()).count();
    if wrong == 0 {
        Ok(())
    } else {
        Err(format!("{wrong} of {} checks found something wrong", findings.len()).into())
    }
}

async fn look(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |name, result| findings.push(Finding { name, result });
    add("settings", Ok("valid".to_owned()));
    add(
        "public url",
        Ok(settings.http.public_url_at(settings.http.bind)),
    );
    if let Err(error) = assemble::ensure_database(settings) {
        add("database", Err(error.to_string()));
        return findings;
    }
    let store = match assemble::store(settings) {
        Ok(store) => store,
        Err(error) => {
            add("database", Err(error.to_string()));
            return findings;
        }
    };
    let described = store.describe().await;
    let reached = described.is_ok();
    add("database", described.map_err(|error| error.to_string()));
    if reached {
        add("schema", schema(&store).await);
        add("key file", key_file(settings, &store).await);
        add("clock", clock(&store).await);
        add("sessions", sessions(&store).await);
    }
    let worker = assemble::worker_settings(settings);
    match &worker.redis {
        Some(redis) => add("redis", symbolon_worker::check_redis(redis).await),
        None => add(
            "redis",
            Ok("not used: jobs are carried in memory".to_owned()),
        ),
    }
    add("mail", symbolon_worker::check_mail(&worker.mail).await);
    findings
}

async fn schema(store: &Store) -> Result<String, String> {
    match store.pending_migrations().await {
        Ok(pending) if pending.is_empty() => Ok("up to date".to_owned()),
        Ok(pending) => Err(format!(
            "lacks {}; run `symbolon migrate`",
            pending.join(", ")
        )),
        Err(error) => Err(error.to_string()),
    }
}

async fn key_file(settings: &Settings, store: &Store) -> Result<String, String> {
    let path = settings.keys.file.display();
    // Before the first migration there is nothing that it could not fit.
    let recorded = store.key_checks().await.unwrap_or_default();
    let file = KeyFile::read(&settings.keys.file).map_err(|error| error.to_string())?;
    let keyring = Keyring::new(&file);
    keyring
        .fits(&recorded)
        .map_err(|mismatch| format!("{path}: {mismatch}"))?;
    Ok(format!(
        "{path} fits; version {} seals",
        keyring.current_version()
    ))
}

async fn clock(store: &Store) -> Result<String, String> {
    let before = SystemClock.now();
    let theirs = store
        .database_time()
        .await
        .map_err(|error| error.to_string())?;
    let after = SystemClock.now();
    let Some(theirs) = theirs else {
        return Ok("the database has none of its own".to_owned());
    };
    let ours = (before.as_micros() + after.as_micros()) / 2;
    let offset = (theirs.as_micros() - ours).abs() / 1000;
    let text = format!("{offset} ms from the database's");
    if offset > 1000 {
        Err(format!(
            "{text}: synchronise the clocks (more than 5 s and nothing is ready)"
        ))
    } else {
        Ok(text)
    }
}

async fn sessions(store: &Store) -> Result<String, String> {
    match store.keeps_sessions().await {
        Ok(true) => Ok("kept between transactions".to_owned()),
        Ok(false) => Err(
            "not kept: a pooler in transaction mode; use session mode (pool_mode = session)"
                .to_owned(),
        ),
        Err(error) => Err(error.to_string()),
    }
}
