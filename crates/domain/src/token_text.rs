//! The written form of an opaque token: `<prefix><public id>_<secret><checksum>`.
//!
//! The prefix says what kind of thing this is and who issued it (`sym_` by default); the public id (16
//! base62 characters) finds the row; the secret (43 base62 characters, over 256 bits) proves it; the
//! checksum (CRC-32 over all before it, as 6 base62 characters) lets junk die without a look-up and
//! gives scanners of leaked secrets a precise pattern.

use crate::{dice::Dice, secret::Minted};
use serde::{Deserialize, Serialize};

pub const PUBLIC_ID_LEN: usize = 16;
pub const SECRET_LEN: usize = 43;
pub const CHECKSUM_LEN: usize = 6;
const TAIL_LEN: usize = PUBLIC_ID_LEN + 1 + SECRET_LEN + CHECKSUM_LEN;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a token's text begins with: `[a-z][a-z0-9]{1,14}[_:]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenPrefix(String);

impl TokenPrefix {
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_suffix(['_', ':'])?;
        let mut chars = body.bytes();
        let legal = (2..=15).contains(&body.len())
            && chars.next().is_some_and(|c| c.is_ascii_lowercase())
            && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        legal.then(|| Self(text.to_owned()))
    }

    /// What the tokens of the Unleash dialect begin with.
    pub fn user() -> Self {
        Self("user:".into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TokenPrefix {
    fn default() -> Self {
        Self("sym_".into())
    }
}

impl TryFrom<String> for TokenPrefix {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a token prefix")
    }
}

impl From<TokenPrefix> for String {
    fn from(prefix: TokenPrefix) -> Self {
        prefix.0
    }
}

/// What finds a credential: 16 base62 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicId([u8; PUBLIC_ID_LEN]);

impl PublicId {
    /// `None` unless it has the length and only letters and digits.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; PUBLIC_ID_LEN] = text.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(u8::is_ascii_alphanumeric)
            .then_some(Self(bytes))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("letters and digits are ASCII")
    }

    /// As good as a hash: it is random.
    pub fn last_byte(&self) -> u8 {
        self.0[PUBLIC_ID_LEN - 1]
    }
}

impl std::fmt::Debug for PublicId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for PublicId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The parts of a well-formed token text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenText<'a> {
    pub prefix: &'a str,
    pub public_id: &'a str,
}

/// The random parts of a token yet to be written, drawn before its prefix is known.
pub struct TokenSeed {
    public_id: [u8; PUBLIC_ID_LEN],
    secret: zeroize::Zeroizing<[u8; SECRET_LEN]>,
}

impl TokenSeed {
    pub fn draw(dice: &mut dyn Dice) -> Self {
        let mut seed = Self {
            public_id: [0; PUBLIC_ID_LEN],
            secret: zeroize::Zeroizing::new([0; SECRET_LEN]),
        };
        base62(dice, &mut seed.public_id);
        base62(dice, &mut *seed.secret);
        seed
    }

    pub fn public_id(&self) -> &str {
        std::str::from_utf8(&self.public_id).expect("base62 is ASCII")
    }

    /// The whole text under `prefix`.
    pub fn write(&self, prefix: &TokenPrefix) -> Minted {
        let mut text = String::with_capacity(prefix.0.len() + TAIL_LEN);
        text.push_str(&prefix.0);
        text.push_str(self.public_id());
        text.push('_');
        text.push_str(std::str::from_utf8(&*self.secret).expect("base62 is ASCII"));
        let sum = checksum(text.as_bytes());
        text.push_str(std::str::from_utf8(&sum).expect("base62 is ASCII"));
        Minted::new(text)
    }
}

/// Splits a token text, from the right. `None` unless every character and the checksum are right.
pub fn parse(text: &str) -> Option<TokenText<'_>> {
    if !text.is_ascii() {
        return None;
    }
    let prefix_len = text.len().checked_sub(TAIL_LEN)?;
    let (body, sum) = text.split_at(text.len() - CHECKSUM_LEN);
    if checksum(body.as_bytes()) != sum.as_bytes() {
        return None;
    }
    let (prefix, tail) = body.split_at(prefix_len);
    let (public_id, secret) = tail.split_at(PUBLIC_ID_LEN);
    let secret = secret.strip_prefix('_')?;
    let letters = |part: &str| part.bytes().all(|c| c.is_ascii_alphanumeric());
    (TokenPrefix::parse(prefix).is_some() && letters(public_id) && letters(secret))
        .then_some(TokenText { prefix, public_id })
}

/// The pattern for scanners of leaked secrets; the checksum then tells real from alike.
pub fn scanner_pattern(prefix: &TokenPrefix) -> String {
    format!(
        r"\b{}[0-9A-Za-z]{{{PUBLIC_ID_LEN}}}_[0-9A-Za-z]{{{}}}\b",
        prefix.0,
        SECRET_LEN + CHECKSUM_LEN
    )
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32fast::hash(bytes) as usize;
    let mut out = [b'0'; CHECKSUM_LEN];
    for slot in out.iter_mut().rev() {
        *slot = BASE62[rest % 62];
        rest /= 62;
    }
    out
}

/// Fills `out` with uniform base62 characters: bytes of 248 and more are thrown away, so none is likelier.
fn base62(dice: &mut dyn Dice, out: &mut [u8]) {
    let mut filled = 0;
    let mut bytes = zeroize::Zeroizing::new([0u8; 64]);
    while filled < out.len() {
        dice.fill(&mut *bytes);
        for byte in bytes.iter().filter(|b| **b < 248) {
            if filled == out.len() {
                break;
            }
            out[filled] = BASE62[usize::from(byte % 62)];
            filled += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::SeededDice;
    use proptest::prelude::*;

    fn mint(seed: u64, prefix: &str) -> String {
        TokenSeed::draw(&mut SeededDice::new(seed))
            .write(&TokenPrefix::parse(prefix).unwrap())
            .reveal()
            .to_owned()
    }

    proptest! {
        #[test]
        fn round_trips(seed: u64, prefix in "[a-z][a-z0-9]{1,14}[_:]") {
            let text = mint(seed, &prefix);
            let parts = parse(&text).unwrap();
            prop_assert_eq!(parts.prefix, prefix.as_str());
            prop_assert_eq!(parts.public_id.len(), PUBLIC_ID_LEN);
            prop_assert!(text[prefix.len()..].starts_with(parts.public_id));
        }

        #[test]
        fn refuses_every_one_character_change_and_transposition(seed: u64) {
            let text = mint(seed, "sym_").into_bytes();
            for at in 0..text.len() {
                for c in 0x20u8..0x7f {
                    if c != text[at] {
                        let mut changed = text.clone();
                        changed[at] = c;
                        prop_assert!(parse(std::str::from_utf8(&changed).unwrap()).is_none());
                    }
                }
                for other in at + 1..text.len() {
                    if text[at] != text[other] {
                        let mut swapped = text.clone();
                        swapped.swap(at, other);
                        prop_assert!(parse(std::str::from_utf8(&swapped).unwrap()).is_none());
                    }
                }
            }
        }

        #[test]
        fn junk_is_refused_without_panic(text in "\\PC{0,120}") {
            prop_assert!(parse(&text).is_none());
        }
    }

    #[test]
    fn only_canonical_checksums() {
        // 6 base62 digits reach beyond 32 bits: a sum of "zzzzzz" has no CRC and must never parse.
        let text = mint(1, "sym_");
        let (body, _) = text.split_at(text.len() - CHECKSUM_LEN);
        assert!(parse(&format!("{body}zzzzzz")).is_none());
        assert!(parse(&text[1..]).is_none());
        assert!(parse(&format!("{text} ")).is_none());
    }

    #[test]
    fn prefixes() {
        for good in ["sym_", "user:", "ab_", "a23456789012345_"] {
            assert!(TokenPrefix::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "_",
            "a_",
            "sym",
            "Sym_",
            "1ab_",
            "a234567890123456_",
            "sy-m_",
            "sym__",
        ] {
            assert!(TokenPrefix::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(
            scanner_pattern(&TokenPrefix::default()),
            r"\bsym_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}\b"
        );
    }
}
