//! The settings of a process: read from the embedded defaults, a file and the environment,
//! checked as a whole before anything is opened, then passed down as one typed value.

mod cache;
mod data;
mod database;
mod doors;
mod http;
mod jobs;
mod layers;
mod log;
mod mail;
mod reader;
mod redis;
mod retention;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Write};
use std::path::Path;

pub use self::cache::{Cache, Uses};
pub use self::data::{Data, Keys};
pub use self::database::{Database, DatabaseLocation};
pub use self::http::Http;
pub use self::jobs::{Jobs, Schedules};
pub use self::layers::Mistake;
pub use self::log::{Log, LogFormat};
pub use self::mail::Mail;
pub use self::redis::Redis;
pub use self::retention::Retention;
pub use self::values::UrlParts;

use self::layers::Layers;
use self::reader::{Effective, Reader};

/// All settings, valid and with what was not set filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub http: Http,
    pub doors: symbolon_api::Doors,
    pub database: Database,
    pub redis: Redis,
    pub mail: Mail,
    pub data: Data,
    pub keys: Keys,
    pub jobs: Jobs,
    pub schedules: Schedules,
    pub cache: Cache,
    pub uses: Uses,
    pub retention: Retention,
    pub log: Log,
}

/// The settings, and where each came from.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    effective: BTreeMap<&'static str, Effective>,
}

/// Everything that is wrong with the settings; never empty, never contains a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

/// Reads the defaults, then `file`, then `environment` (all of it; only `SYMBOLON__…` is
/// looked at), each over the one before.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Mistakes> {
    let mut mistakes = Vec::new();
    let layers = Layers::read(file, environment, &mut mistakes);
    let mut reader = Reader::new(layers, mistakes);
    let settings = Settings::read(&mut reader);
    if reader.mistakes.is_empty() {
        Ok(Loaded {
            settings,
            effective: reader.effective,
        })
    } else {
        Err(Mistakes(reader.mistakes))
    }
}

impl Settings {
    fn read(reader: &mut Reader) -> Self {
        let data = Data::read(reader);
        let cache = Cache::read(reader);
        Self {
            http: Http::read(reader),
            doors: doors::read(reader),
            database: Database::read(reader, &data.dir),
            redis: Redis::read(reader),
            mail: Mail::read(reader, &data.dir),
            keys: Keys::read(reader, &data.dir),
            jobs: Jobs::read(reader),
            schedules: Schedules::read(reader),
            uses: Uses::read(reader),
            retention: Retention::read(reader, &cache),
            log: Log::read(reader),
            cache,
            data,
        }
    }
}

impl Loaded {
    /// The settings in force as TOML, with the source of each as a comment and without
    /// what is secret in URLs.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut current = "";
        for (key, Effective { value, source }) in &self.effective {
            let (section, name) = key.split_once('.').expect("keys are section.name");
            if section != current {
                let gap = if current.is_empty() { "" } else { "\n" };
                writeln!(text, "{gap}[{section}]").expect("writing to a String");
                current = section;
            }
            writeln!(text, "{name} = {value} # {source}").expect("writing to a String");
        }
        text
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => writeln!(f, "one setting is wrong:")?,
            n => writeln!(f, "{n} settings are wrong:")?,
        }
        for mistake in &self.0 {
            writeln!(f, "  {mistake}")?;
        }
        Ok(())
    }
}
