//! `symbolon keys`: compares the key file with the database, or makes one.

use std::path::Path;

use symbolon_app::{KeyFile, Keyring, SystemClock, SystemDice};
use symbolon_domain::Clock;

use crate::assemble;
use crate::config::Settings;
use crate::data_dir;

pub async fn status(settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
    assemble::ensure_database(settings)?;
    let store = assemble::store(settings)?;
    let recorded = if store.pending_migrations().await?.is_empty() {
        store.key_checks().await?
    } else {
        Vec::new()
    };
    let path = settings.keys.file.display();
    let keyring = Keyring::new(&KeyFile::read(&settings.keys.file)?);
    keyring
        .fits(&recorded)
        .map_err(|mismatch| format!("{path}: {mismatch}"))?;
    for (version, _) in keyring.check_values() {
        let known = recorded.iter().any(|(it, _)| *it == version);
        let sealing = if version == keyring.current_version() {
            ", seals"
        } else {
            ""
        };
        println!(
            "version {version}: {}{sealing}",
            if known {
                "known to the database"
            } else {
                "new to the database"
            }
        );
    }
    println!("{path} fits the database");
    Ok(())
}

pub fn generate(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        data_dir::prepare(directory)?;
    }
    KeyFile::generate(&mut SystemDice).create(path, SystemClock.now())?;
    println!(
        "made {}; give the same file to every process, and back it up apart from the database",
        path.display()
    );
    Ok(())
}
