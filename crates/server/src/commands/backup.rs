//! `symbolon backup`: a consistent copy of the SQLite file, also while it is in use.

use std::path::Path;

use crate::assemble;
use crate::config::{DatabaseLocation, Settings};

pub async fn run(settings: &Settings, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    if let DatabaseLocation::Postgres(_) = settings.database.location {
        return Err("this copies SQLite; for PostgreSQL use pg_dump (docs/operating.md)".into());
    }
    if path.exists() {
        return Err(format!("{} exists; a backup never overwrites", path.display()).into());
    }
    let store = assemble::existing_store(settings).await?;
    // Made before SQLite writes to it, so that nobody else can ever read it.
    crate::data_dir::prepare_database(path)?;
    let copied = store.backup(path).await;
    if copied.is_err() {
        // An empty file would look like a backup.
        let _ = std::fs::remove_file(path);
    }
    copied?;
    println!(
        "copied to {}; the key file {} is not in it: back it up apart",
        path.display(),
        settings.keys.file.display()
    );
    Ok(())
}
