//! The catalogues: one bundle a language, parsed once, and the one function that looks a message up.

use crate::lang::Lang;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use std::sync::LazyLock;
use unic_langid::{LanguageIdentifier, langid};

/// A fact that a message names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arg<'a> {
    /// Shown as it is. A text that is a whole number also chooses plural forms, as [`Arg::Num`] does.
    Str(&'a str),
    Num(i64),
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self::Str(text)
    }
}

impl<'a> From<&'a String> for Arg<'a> {
    fn from(text: &'a String) -> Self {
        Self::Str(text)
    }
}

impl From<i64> for Arg<'_> {
    fn from(number: i64) -> Self {
        Self::Num(number)
    }
}

macro_rules! sources {
    ($lang:literal) => {
        [
            include_str!(concat!("../messages/", $lang, "/dates.ftl")),
            include_str!(concat!("../messages/", $lang, "/fields.ftl")),
            include_str!(concat!("../messages/", $lang, "/mail.ftl")),
            include_str!(concat!("../messages/", $lang, "/pages.ftl")),
            include_str!(concat!("../messages/", $lang, "/problems.ftl")),
        ]
    };
}

const ENGLISH: [&str; 5] = sources!("en");
const ARABIC: [&str; 5] = sources!("ar");

static ENGLISH_BUNDLE: LazyLock<FluentBundle<FluentResource>> =
    LazyLock::new(|| bundle(langid!("en"), &ENGLISH));
static ARABIC_BUNDLE: LazyLock<FluentBundle<FluentResource>> =
    LazyLock::new(|| bundle(langid!("ar"), &ARABIC));

fn bundle(tag: LanguageIdentifier, sources: &[&str]) -> FluentBundle<FluentResource> {
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    // Pages isolate names by markup, and mails where a message says so: marks everywhere would end up
    // in copied text and in JSON.
    bundle.set_use_isolating(false);
    for source in sources {
        let resource = FluentResource::try_new((*source).to_owned())
            .expect("the catalogues are compiled in, and a test parses them");
        bundle
            .add_resource(resource)
            .expect("the catalogues are compiled in, and a test finds no id twice");
    }
    bundle
}

/// The message `id` in `lang`, or its attribute when the id is `message.attribute`.
///
/// Arguments are inserted as they are: the caller escapes for where the text goes. A message that is
/// missing, or names an argument that was not given, is taken from English, and failing that is the id.
pub fn message(lang: Lang, id: &str, args: &[(&str, Arg<'_>)]) -> String {
    let bundle = match lang {
        Lang::En => &ENGLISH_BUNDLE,
        Lang::Ar => &ARABIC_BUNDLE,
    };
    format(bundle, id, args)
        .or_else(|| format(&ENGLISH_BUNDLE, id, args))
        .unwrap_or_else(|| id.to_owned())
}

fn format(
    bundle: &FluentBundle<FluentResource>,
    id: &str,
    args: &[(&str, Arg<'_>)],
) -> Option<String> {
    let pattern = match id.split_once('.') {
        Some((id, attribute)) => bundle.get_message(id)?.get_attribute(attribute)?.value(),
        None => bundle.get_message(id)?.value()?,
    };
    let args: FluentArgs<'_> = args
        .iter()
        .map(|(name, arg)| (*name, value(*arg)))
        .collect();
    let mut errors = Vec::new();
    let text = bundle.format_pattern(pattern, Some(&args), &mut errors);
    errors.is_empty().then(|| text.into_owned())
}

fn value(arg: Arg<'_>) -> FluentValue<'_> {
    match arg {
        // Fluent's numbers are f64; what `i32` holds is exact and printed digit by digit as it came.
        Arg::Str(text) => match text.parse::<i32>() {
            Ok(number) if number.to_string() == text => FluentValue::from(number),
            _ => FluentValue::from(text),
        },
        Arg::Num(number) => match i32::try_from(number) {
            Ok(number) => FluentValue::from(number),
            Err(_) => FluentValue::from(number.to_string()),
        },
    }
}

#[cfg(test)]
mod tests;
