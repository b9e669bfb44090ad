//! Three types for one secret: what a client sent, what is shown once, what is stored.
//! None of them prints itself, and the text wipes itself from memory when dropped.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret that a client sent us.
pub struct Presented(Zeroizing<String>);

impl Presented {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

/// A secret just made, to be shown exactly once.
pub struct Minted(Zeroizing<String>);

impl Minted {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one answer that shows it (or for sealing it until that answer was received).
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// The last four characters, which the owner may see for ever.
    pub fn last4(&self) -> String {
        self.0[self.0.len().saturating_sub(4)..].to_owned()
    }
}

/// SHA-256 of a whole secret. Enough for secrets of 256 random bits; equality takes constant time.
#[derive(Clone, Copy, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn words(&self) -> impl Iterator<Item = u64> {
        let (words, _) = self.0.as_chunks();
        words.iter().copied().map(u64::from_ne_bytes)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        // A word at a time: a byte at a time is ten times as slow, and no safer.
        let words = self.words().zip(other.words());
        let differing = words.fold(0, |all, (a, b)| all | (a ^ b));
        differing.ct_eq(&0).into()
    }
}

/// Bytes sealed under a version of the key file; useless without it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    pub key_version: i32,
    pub bytes: Vec<u8>,
}

/// Seals secrets for storage. The key file is `app`'s; decisions only pass it on.
pub trait Sealer {
    fn seal_digest(
        &self,
        id: crate::CredentialId,
        digest: &Digest,
        dice: &mut dyn crate::dice::Dice,
    ) -> Sealed;

    /// For what has to be known again: a key's secret, which its holder signs assertions with.
    fn seal_secret(
        &self,
        id: crate::CredentialId,
        secret: &Minted,
        dice: &mut dyn crate::dice::Dice,
    ) -> Sealed;
}

/// Writes and signs the text of a `jwt` credential. The signing keys are `app`'s.
pub trait TokenSigner {
    fn sign_api_token(&self, claims: &ApiTokenClaims<'_>) -> Minted;
}

/// What the text of a `jwt` credential says. Its state is looked up all the same at each use.
#[derive(Debug)]
pub struct ApiTokenClaims<'a> {
    /// The credential's public id.
    pub jti: &'a str,
    pub account: crate::AccountId,
    pub environment: Option<crate::EnvironmentId>,
    pub scopes: &'a crate::ScopeSet,
    pub issued_at: crate::Timestamp,
    pub not_before: Option<crate::Timestamp>,
    pub expires_at: Option<crate::Timestamp>,
}

macro_rules! hide {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        }
    )*};
}
hide!(Presented, Minted, Digest, Sealed);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_a_secret() {
        let text = "sym_canary";
        let shown = format!(
            "{:?} {:?} {:?}",
            Presented::new(text),
            Minted::new(text.into()),
            Digest::of(text)
        );
        assert!(!shown.contains("canary"));
        assert_eq!(shown, "Presented(hidden) Minted(hidden) Digest(hidden)");
    }

    #[test]
    fn digests_compare_by_value() {
        assert_eq!(
            Presented::new("a").digest(),
            Minted::new("a".into()).digest()
        );
        assert_ne!(Digest::of("a"), Digest::of("b"));
    }
}
