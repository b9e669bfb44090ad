//! Where settings come from: the embedded defaults, then a file, then the environment.
//! Brings them into one flat map of raw values and names whatever is in none of our keys.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::values::{masked_url, nearest};

/// The documented defaults: the first layer, and the list of all keys.
pub const DEFAULT_TOML: &str = include_str!("../../../../config/default.toml");

/// Settings whose values are never shown whole.
pub const SECRETS: [&str; 3] = ["database.url", "mail.url", "redis.url"];

const PREFIX: &str = "SYMBOLON__";

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File(PathBuf),
    Variable(String),
    /// A file named by the `_FILE` twin of a secret's variable.
    SecretFile {
        variable: String,
        path: PathBuf,
    },
    /// Not written anywhere, but taken from another setting.
    Derived(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::SecretFile { variable, path } => write!(f, "{variable}, {}", path.display()),
            Self::Derived(from) => write!(f, "from {from}"),
        }
    }
}

/// A value as it was written; what it means depends on its key.
#[derive(Debug, Clone)]
pub enum Raw {
    Toml(Value),
    /// From the environment, where everything is text.
    Text(String),
}

impl Raw {
    /// The value as it may be shown in a message.
    fn shown(&self) -> String {
        match self {
            Self::Text(text) | Self::Toml(Value::String(text)) => format!("{:?}", masked_url(text)),
            Self::Toml(Value::Table(_)) => "a table".to_owned(),
            Self::Toml(value) => masked_url(&value.to_string()),
        }
    }
}

/// One thing that is wrong with the settings. Never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key, the section or the variable; empty when it is the whole file.
    pub subject: String,
    pub source: Source,
    pub message: String,
}

impl Mistake {
    /// A value that is not among those allowed.
    pub fn refused(key: &str, source: Source, value: &Raw, allowed: &str) -> Self {
        let message = if SECRETS.contains(&key) {
            format!("the value (not shown) is refused; allowed: {allowed}")
        } else {
            format!("{} is refused; allowed: {allowed}", value.shown())
        };
        Self {
            subject: key.to_owned(),
            source,
            message,
        }
    }

    fn new(subject: impl Into<String>, source: Source, message: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            source,
            message: message.into(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source.to_string();
        if self.subject.is_empty() || self.subject == source {
            write!(f, "{source}: {}", self.message)
        } else {
            write!(f, "{} ({source}): {}", self.subject, self.message)
        }
    }
}

/// The raw value of every key, by `section.key`, with the layer that won.
pub struct Layers {
    pub defaults: BTreeMap<String, Value>,
    values: BTreeMap<String, (Raw, Source)>,
}

impl Layers {
    /// Reads all layers. Whatever is wrong is added to `mistakes`; what is right is kept,
    /// so that the values can be checked too.
    pub fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let defaults = DEFAULT_TOML
            .parse()
            .expect("the embedded defaults are TOML");
        let mut layers = Self {
            defaults: flattened(defaults),
            values: BTreeMap::new(),
        };
        if let Some(path) = file {
            layers.add_file(path, mistakes);
        }
        layers.add_environment(environment, mistakes);
        layers
    }

    /// The value that is in force for a key of the defaults, and its source.
    pub fn get(&self, key: &str) -> (Raw, Source) {
        self.values.get(key).cloned().unwrap_or_else(|| {
            let value = self.defaults.get(key).expect("a key of the defaults");
            (Raw::Toml(value.clone()), Source::Default)
        })
    }

    fn add_file(&mut self, path: &Path, mistakes: &mut Vec<Mistake>) {
        let source = Source::File(path.to_owned());
        let mut refuse = |subject: &str, message: String| {
            mistakes.push(Mistake::new(subject, source.clone(), message));
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return refuse("", format!("cannot be read: {error}")),
        };
        let table: Table = match text.parse() {
            Ok(table) => table,
            // Not the error's own text: it quotes the line, which may hold a password.
            Err(error) => return refuse("", syntax_error(&text, &error)),
        };
        for (section, content) in table {
            let is_section = self.sections().any(|known| known == section);
            match content {
                Value::Table(content) if is_section => {
                    for (key, value) in content {
                        let key = format!("{section}.{key}");
                        if self.defaults.contains_key(&key) {
                            let value = (Raw::Toml(value), source.clone());
                            self.values.insert(key, value);
                        } else {
                            refuse(&key, self.unknown("setting", self.meant(&key)));
                        }
                    }
                }
                Value::Table(_) => {
                    let meant = nearest(&section, self.sections()).map(str::to_owned);
                    refuse(&section, self.unknown("section", meant));
                }
                _ if is_section => refuse(&section, format!("is a section: write [{section}]")),
                _ => refuse(&section, self.unknown("setting", self.meant(&section))),
            }
        }
    }

    fn add_environment(
        &mut self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        mistakes: &mut Vec<Mistake>,
    ) {
        let variables: BTreeMap<String, String> = self
            .defaults
            .keys()
            .map(|key| (variable(key), key.clone()))
            .collect();
        let mut secret_files = Vec::new();
        let mut given: Vec<(OsString, OsString)> = environment.into_iter().collect();
        given.sort();
        for (name, value) in given {
            let name = name.to_string_lossy();
            if !name.starts_with(PREFIX) {
                continue;
            }
            let source = Source::Variable(name.to_string());
            let secret = name
                .strip_suffix("_FILE")
                .and_then(|name| variables.get(name))
                .filter(|key| SECRETS.contains(&key.as_str()));
            if let (Some(key), false) = (secret, value.is_empty()) {
                secret_files.push((key.clone(), name.to_string(), PathBuf::from(value)));
            } else if let Some(key) = variables.get(name.as_ref()) {
                match value.into_string() {
                    Ok(text) => {
                        self.values.insert(key.clone(), (Raw::Text(text), source));
                    }
                    Err(_) => mistakes.push(Mistake::new(key, source, "is not UTF-8")),
                }
            } else if secret.is_none() {
                let meant = nearest(&name, variables.keys().map(String::as_str));
                let message = self.unknown("setting", meant.map(str::to_owned));
                mistakes.push(Mistake::new(name, source, message));
            }
        }
        for (key, variable, path) in secret_files {
            match self.secret_file(&key, &variable, path) {
                Ok(value) => {
                    self.values.insert(key, value);
                }
                Err(mistake) => mistakes.push(mistake),
            }
        }
    }

    fn secret_file(
        &self,
        key: &str,
        variable: &str,
        path: PathBuf,
    ) -> Result<(Raw, Source), Mistake> {
        if let Some((Raw::Text(text), other)) = self.values.get(key)
            && !text.is_empty()
        {
            let message = format!("is set beside {other}: set one of the two");
            return Err(Mistake::new(
                key,
                Source::Variable(variable.to_owned()),
                message,
            ));
        }
        let source = Source::SecretFile {
            variable: variable.to_owned(),
            path: path.clone(),
        };
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => {
                Err(Mistake::new(key, source, "the file is empty"))
            }
            Ok(text) => Ok((Raw::Text(text.trim().to_owned()), source)),
            Err(error) => Err(Mistake::new(
                key,
                source,
                format!("the file cannot be read: {error}"),
            )),
        }
    }

    fn sections(&self) -> impl Iterator<Item = &str> {
        self.defaults.keys().filter_map(|key| key.split('.').next())
    }

    /// The key probably meant by an unknown one: close to it, or of the same name in
    /// another section.
    fn meant(&self, unknown: &str) -> Option<String> {
        let keys = || self.defaults.keys().map(String::as_str);
        let name = unknown.rsplit('.').next();
        nearest(unknown, keys())
            .or_else(|| keys().find(|key| key.rsplit('.').next() == name))
            .map(str::to_owned)
    }

    fn unknown(&self, what: &str, meant: Option<String>) -> String {
        match meant {
            Some(meant) => format!("there is no such {what}; did you mean {meant}?"),
            None => format!("there is no such {what}"),
        }
    }
}

/// The environment variable of a key: `http.bind` → `SYMBOLON__HTTP__BIND`.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

fn flattened(sections: Table) -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::new();
    for (section, content) in sections {
        let Value::Table(content) = content else {
            panic!("the embedded defaults have only sections");
        };
        for (key, value) in content {
            keys.insert(format!("{section}.{key}"), value);
        }
    }
    keys
}

fn syntax_error(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
            format!("is not TOML, from line {line}, column {column}")
        }
        None => "is not TOML".to_owned(),
    }
}
