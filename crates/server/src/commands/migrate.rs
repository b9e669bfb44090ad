//! `symbolon migrate`: brings the schema up to date, or says what is missing.

use crate::assemble;
use crate::config::Settings;

pub async fn run(settings: &Settings, check: bool) -> Result<(), Box<dyn std::error::Error>> {
    let store = assemble::store(settings)?;
    if check {
        let pending = store.pending_migrations().await?;
        if pending.is_empty() {
            println!("the schema is up to date");
            return Ok(());
        }
        return Err(format!("missing: {}", pending.join(", ")).into());
    }
    let run = store.migrate().await?;
    match run.len() {
        0 => println!("the schema is up to date"),
        _ => run.iter().for_each(|name| println!("migrated {name}")),
    }
    Ok(())
}
