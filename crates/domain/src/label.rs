//! What people type: names, descriptions, e-mail addresses, languages. Parsed once, then trusted.

use crate::refusal::FieldCode;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

pub const NAME_MAX: usize = 120;
pub const DESCRIPTION_MAX: usize = 1000;
pub const EMAIL_MAX: usize = 254;

/// Characters that make a text read as something else: controls, line separators, what is invisible, and
/// the bidirectional embeddings, overrides and isolates. The joiners (U+200C, U+200D) and the plain marks
/// (U+200E, U+200F, U+061C) stay legal: Persian, emoji and Arabic need them.
fn misleading(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{AD}' | '\u{200B}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}'
        )
        || matches!(c, '\u{E0000}'..='\u{E007F}' | '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn clean(text: &str, max: usize) -> Result<String, FieldCode> {
    if text.chars().any(misleading) {
        return Err(FieldCode::IllegalCharacters);
    }
    let text: String = text.trim().nfc().collect();
    if text.chars().count() > max {
        return Err(FieldCode::TooLong { max });
    }
    Ok(text)
}

/// A case-folded NFC form for searching: what the `*_key` columns hold.
pub fn fold(text: &str) -> String {
    text.nfc().flat_map(char::to_lowercase).nfc().collect()
}

/// A name of 1 to 120 Unicode scalar values after trimming and NFC, without misleading characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    pub fn parse(text: &str) -> Result<Self, FieldCode> {
        let text = clean(text, NAME_MAX)?;
        // A mark without a letter before it shows as another name, or as none.
        if text.chars().next().is_some_and(is_combining_mark) {
            return Err(FieldCode::IllegalCharacters);
        }
        if text.is_empty() {
            Err(FieldCode::TooShort { min: 1 })
        } else {
            Ok(Self(text))
        }
    }

    /// A name already checked when it was stored.
    pub fn trusted(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

/// What a service account is called where names must be unique: a name, compared without case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Username(Name);

impl Username {
    pub fn parse(text: &str) -> Result<Self, FieldCode> {
        Name::parse(text).map(Self)
    }

    /// A username already checked when it was stored.
    pub fn trusted(text: String) -> Self {
        Self(Name::trusted(text))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub fn key(&self) -> String {
        self.0.key()
    }
}

/// A description of at most 1000 scalar values; new lines and tabs are legal. Empty means none.
pub fn parse_description(text: &str) -> Result<Option<String>, FieldCode> {
    let visible: String = text
        .replace("\r\n", "\n")
        .chars()
        .filter(|c| !matches!(c, '\n' | '\t'))
        .collect();
    if visible.chars().any(misleading) {
        return Err(FieldCode::IllegalCharacters);
    }
    let text: String = text.trim().nfc().collect();
    if text.chars().count() > DESCRIPTION_MAX {
        return Err(FieldCode::TooLong {
            max: DESCRIPTION_MAX,
        });
    }
    Ok((!text.is_empty()).then_some(text))
}

/// An e-mail address as a mail client writes it: no quoting, no comments, ASCII (internationalised
/// domains in their `xn--` form). Case is kept; comparison ignores it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

impl EmailAddress {
    pub fn parse(text: &str) -> Result<Self, FieldCode> {
        let text = text.trim();
        if text.len() > EMAIL_MAX {
            return Err(FieldCode::TooLong { max: EMAIL_MAX });
        }
        let legal_local = |part: &str| {
            !part.is_empty()
                && part.len() <= 64
                && part.split('.').all(|atom| {
                    !atom.is_empty()
                        && atom.bytes().all(|c| {
                            c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&c)
                        })
                })
        };
        let legal_domain = |part: &str| {
            part.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label
                        .bytes()
                        .all(|c| c.is_ascii_alphanumeric() || c == b'-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            })
        };
        match text.rsplit_once('@') {
            Some((local, domain)) if legal_local(local) && legal_domain(domain) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(FieldCode::NotAnEmail),
        }
    }

    /// An address already checked when it was stored.
    pub fn trusted(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two spellings of one address have in common.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for EmailAddress {}

impl std::fmt::Debug for EmailAddress {
    /// Addresses are people's: logs get the first letter and the domain.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or(("", &self.0));
        write!(f, "{}…@{domain}", local.chars().next().unwrap_or('?'))
    }
}

/// A language in which we can write to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    #[default]
    En,
    Ar,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::En, Self::Ar];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ar => "ar",
        }
    }

    /// Accepts a language tag by its primary subtag (`ar-EG` is Arabic).
    pub fn parse(text: &str) -> Option<Self> {
        let primary = text.split(['-', '_']).next()?.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|language| language.as_str() == primary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_scalar_values_after_trimming() {
        assert_eq!(Name::parse("  مرحبا ").unwrap().as_str(), "مرحبا");
        assert!(Name::parse(&"ب".repeat(120)).is_ok());
        assert_eq!(
            Name::parse(&"ب".repeat(121)),
            Err(FieldCode::TooLong { max: 120 })
        );
        assert_eq!(Name::parse(" \u{a0} "), Err(FieldCode::TooShort { min: 1 }));
        assert_eq!(Name::parse("a\u{202e}b"), Err(FieldCode::IllegalCharacters));
        for hidden in ["a\nb", "a\u{200b}b", "\u{301}", "a\u{feff}"] {
            assert_eq!(Name::parse(hidden), Err(FieldCode::IllegalCharacters));
        }
        assert!(Name::parse("می\u{200c}خواهم 👩\u{200d}💻").is_ok());
        assert_eq!(Name::parse("e\u{301}").unwrap().as_str(), "é");
        assert_eq!(Name::parse("STRASSE É").unwrap().key(), "strasse é");
    }

    #[test]
    fn addresses() {
        for good in [
            "ops@example.com",
            "a.b+c@sub.example.co",
            "x@localhost",
            "o'neil@example.org",
        ] {
            assert!(EmailAddress::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c.de",
            "a@b..c",
            "a@-b.c",
            "a\r\n@b.c",
            ".a@b.c",
            "\"a\"@b.c",
            "a@b@c.d@",
            "ä@b.c",
        ] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            EmailAddress::parse("Ops@Example.com"),
            EmailAddress::parse("ops@example.COM")
        );
        assert_eq!(
            format!(
                "{:?}",
                EmailAddress::parse("secret.person@example.com").unwrap()
            ),
            "s…@example.com"
        );
    }

    #[test]
    fn descriptions_may_have_lines() {
        assert_eq!(parse_description("a\nb"), Ok(Some("a\nb".into())));
        assert_eq!(parse_description("  "), Ok(None));
        assert_eq!(
            parse_description("a\u{0}"),
            Err(FieldCode::IllegalCharacters)
        );
    }
}
