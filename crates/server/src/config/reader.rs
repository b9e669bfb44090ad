//! Typed reading of the layers' raw values. Never stops at the first mistake: what is wrong
//! is noted and replaced by the default, so that all mistakes come out of one run.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Value;

use super::layers::{Layers, Mistake, Raw, SECRETS, Source};
use super::values::{masked_url, parse_duration};

/// A value in force as `symbolon config` shows it: masked where it is a secret.
#[derive(Debug, Clone)]
pub struct Effective {
    pub value: Value,
    pub source: Source,
}

pub struct Reader {
    layers: Layers,
    pub mistakes: Vec<Mistake>,
    pub effective: BTreeMap<&'static str, Effective>,
}

/// The parsed value, or what is allowed instead.
pub type Parsed<T> = Result<T, String>;

impl Reader {
    pub fn new(layers: Layers, mistakes: Vec<Mistake>) -> Self {
        Self {
            layers,
            mistakes,
            effective: BTreeMap::new(),
        }
    }

    /// A duration between two others, all three as text.
    pub fn duration(&mut self, key: &'static str, least: &str, most: &str) -> Duration {
        let limit = |text| parse_duration(text).expect("limits are durations");
        let range = limit(least)..=limit(most);
        self.read(key, |raw| {
            let text = as_text(raw).filter(|text| {
                parse_duration(text).is_some_and(|duration| range.contains(&duration))
            });
            match text.and_then(|text| Some((parse_duration(text)?, text.into()))) {
                Some(parsed) => Ok(parsed),
                None => Err(format!(
                    "a whole number with its unit (ms, s, m, h or d), from {least} to {most}"
                )),
            }
        })
    }

    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<usize>) -> usize {
        self.read(key, |raw| {
            let number = match raw {
                Raw::Toml(Value::Integer(number)) => Some(*number),
                Raw::Toml(_) => None,
                Raw::Text(text) => text.trim().parse().ok(),
            };
            let parsed = number.and_then(|number| Some((usize::try_from(number).ok()?, number)));
            match parsed.filter(|(size, _)| range.contains(size)) {
                Some((size, number)) => Ok((size, Value::Integer(number))),
                None => Err(format!(
                    "a whole number from {} to {}",
                    range.start(),
                    range.end()
                )),
            }
        })
    }

    pub fn boolean(&mut self, key: &'static str) -> bool {
        self.read(key, |raw| {
            let flag = match raw {
                Raw::Toml(Value::Boolean(flag)) => Some(*flag),
                Raw::Toml(_) => None,
                Raw::Text(text) => text.trim().parse().ok(),
            };
            let flag = flag.ok_or("true or false")?;
            Ok((flag, Value::Boolean(flag)))
        })
    }

    /// A text that means something even when it is empty, or is then refused.
    pub fn text<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Parsed<T>) -> T {
        self.read(key, |raw| {
            let text = as_text(raw).ok_or("a text")?;
            let shown = match SECRETS.contains(&key) {
                true => masked_url(text),
                false => text.to_owned(),
            };
            Ok((parse(text)?, shown.into()))
        })
    }

    /// A text of which an empty one means "not set".
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<T> {
        self.text(key, |text| match text {
            "" => Ok(None),
            text => parse(text).map(Some),
        })
    }

    /// An array of texts, or one text with commas.
    pub fn list<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Parsed<T>) -> Vec<T> {
        self.read(key, |raw| {
            let items: Option<Vec<&str>> = match raw {
                Raw::Toml(Value::Array(items)) => items.iter().map(Value::as_str).collect(),
                Raw::Toml(_) => None,
                Raw::Text(text) if text.trim().is_empty() => Some(Vec::new()),
                Raw::Text(text) => Some(text.split(',').map(str::trim).collect()),
            };
            let items = items.ok_or("a list of texts")?;
            let parsed: Parsed<Vec<T>> = items.iter().map(|item| parse(item)).collect();
            let shown = items.into_iter().map(Value::from).collect();
            Ok((parsed?, Value::Array(shown)))
        })
    }

    /// Shows what an unset value turned into.
    pub fn derived(&mut self, key: &'static str, value: impl Into<String>, from: &'static str) {
        let effective = Effective {
            value: Value::String(value.into()),
            source: Source::Derived(from),
        };
        self.effective.insert(key, effective);
    }

    /// Shows a value in the form that it was brought into.
    pub fn normalized(&mut self, key: &'static str, value: String) {
        if let Some(effective) = self.effective.get_mut(key) {
            effective.value = Value::String(value);
        }
    }

    /// Refuses a value for what another setting says.
    pub fn refuse(&mut self, key: &'static str, allowed: &str) {
        let (raw, source) = self.layers.get(key);
        let mistake = Mistake::refused(key, source, &raw, allowed);
        self.mistakes.push(mistake);
    }

    /// All keys of the defaults.
    #[cfg(test)]
    pub fn keys(&self) -> Vec<&str> {
        self.layers.defaults.keys().map(String::as_str).collect()
    }

    fn read<T>(&mut self, key: &'static str, parse: impl Fn(&Raw) -> Parsed<(T, Value)>) -> T {
        let (raw, source) = self.layers.get(key);
        match parse(&raw) {
            Ok((parsed, value)) => {
                self.effective.insert(key, Effective { value, source });
                parsed
            }
            Err(allowed) => {
                let mistake = Mistake::refused(key, source, &raw, &allowed);
                self.mistakes.push(mistake);
                let default = Raw::Toml(self.layers.defaults[key].clone());
                let (parsed, _) = parse(&default).expect("the embedded defaults are valid");
                parsed
            }
        }
    }
}

fn as_text(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Text(text) => Some(text.trim()),
        Raw::Toml(value) => value.as_str(),
    }
}
