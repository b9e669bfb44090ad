//! The languages there are, and which of them a browser asks for (RFC 9110 §12.5.4).

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Lang {
    #[default]
    En,
    Ar,
}

impl Lang {
    pub const ALL: [Self; 2] = [Self::En, Self::Ar];

    /// The language of a tag, whatever its region or script: `ar-EG` is Arabic.
    pub fn parse(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next()?;
        Self::ALL
            .into_iter()
            .find(|lang| lang.as_str().eq_ignore_ascii_case(primary))
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ar => "ar",
        }
    }

    /// The value of HTML's `dir`.
    pub const fn dir(self) -> &'static str {
        match self {
            Self::En => "ltr",
            Self::Ar => "rtl",
        }
    }

    /// The best of ours that the header names with a weight above zero; the earlier one when equal.
    /// `*` names nothing of ours.
    pub fn preferred(accept_language: &str) -> Option<Self> {
        let mut best: Option<(u16, Self)> = None;
        for range in accept_language.split(',') {
            let mut parts = range.split(';');
            let Some(lang) = parts.next().and_then(Self::parse) else {
                continue;
            };
            let weight = weight(parts);
            if weight > best.map_or(0, |(weight, _)| weight) {
                best = Some((weight, lang));
            }
        }
        best.map(|(_, lang)| lang)
    }

    /// The language to answer in; English when the header names none of ours.
    pub fn negotiate(accept_language: &str) -> Self {
        Self::preferred(accept_language).unwrap_or_default()
    }
}

/// Thousandths. Without `q` it is one; what is no weight is zero.
fn weight<'a>(parameters: impl Iterator<Item = &'a str>) -> u16 {
    for parameter in parameters {
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("q")
        {
            return match value.trim().parse::<f32>() {
                Ok(q) if (0.0..=1.0).contains(&q) => (q * 1000.0).round() as u16,
                _ => 0,
            };
        }
    }
    1000
}

#[cfg(test)]
mod tests {
    use super::Lang::{self, Ar, En};

    #[test]
    fn tags_name_languages_whatever_their_region() {
        for (tag, lang) in [
            ("en", Some(En)),
            ("EN-gb", Some(En)),
            (" ar-EG ", Some(Ar)),
            ("ar_SA", Some(Ar)),
            ("arz", None),
            ("fr", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(Lang::parse(tag), lang, "{tag:?}");
        }
    }

    #[test]
    fn the_heaviest_of_ours_wins_and_zero_excludes() {
        for (header, lang) in [
            ("ar", Some(Ar)),
            ("fr, ar;q=0.5, en;q=0.4", Some(Ar)),
            ("en;q=0.3,ar;q=0.9", Some(Ar)),
            ("ar;q=0.8,en", Some(En)),
            ("ar, en", Some(Ar)),
            ("en, ar", Some(En)),
            ("ar;q=0, en;q=0.001", Some(En)),
            ("ar;q=0", None),
            ("ar;q=2, en;q=0.1", Some(En)),
            ("ar;q=junk", None),
            ("*, fr;q=0.9", None),
            ("", None),
        ] {
            assert_eq!(Lang::preferred(header), lang, "{header:?}");
            assert_eq!(Lang::negotiate(header), lang.unwrap_or(En), "{header:?}");
        }
    }
}
