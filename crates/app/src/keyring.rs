//! Sealing and signing with the key file: digests, secrets and signing keys at rest (XChaCha20-Poly1305),
//! links in mails (HMAC-SHA-256). Every use has a key of its own, derived from the version's master key.

use crate::key_file::KeyFile;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;
use symbolon_domain::secret::{Sealed, Sealer};
use symbolon_domain::{CredentialId, Dice, Digest, Minted, SigningKeyId};
use uuid::Uuid;
use zeroize::Zeroizing;

const NONCE: usize = 24;

/// What a link is for: part of what is signed, so that none serves as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPurpose {
    Confirm = 1,
    Setup = 2,
}

/// What a link says, once its signature was found right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub id: Uuid,
    pub generation: i32,
}

/// Why the key file does not fit the database.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyMismatch {
    #[error("the key file lacks version {0}, which this database was written with")]
    LacksVersion(i32),
    #[error("version {0} of the key file is not the one this database was written with")]
    Foreign(i32),
}

struct Keys {
    seal: XChaCha20Poly1305,
    link: Zeroizing<[u8; 32]>,
    check: [u8; 32],
}

pub struct Keyring {
    current: i32,
    keys: BTreeMap<i32, Keys>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Keyring(versions {:?})",
            self.keys.keys().collect::<Vec<_>>()
        )
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key)
        .expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

impl Keyring {
    pub fn new(file: &KeyFile) -> Self {
        let derive = |master: &[u8; 32], label: &str| -> Zeroizing<[u8; 32]> {
            Zeroizing::new(
                mac(master, &[b"symbolon ", label.as_bytes()])
                    .finalize()
                    .into_bytes()
                    .into(),
            )
        };
        let keys: BTreeMap<i32, Keys> = file
            .keys()
            .iter()
            .map(|(version, master)| {
                let seal = derive(master, "seal");
                let keys = Keys {
                    seal: XChaCha20Poly1305::new(&Key::from(*seal)),
                    link: derive(master, "link"),
                    check: *derive(master, "check"),
                };
                (*version, keys)
            })
            .collect();
        let current = keys.keys().next_back().copied().unwrap_or(0);
        Self { current, keys }
    }

    /// The version that seals and signs from now on.
    pub fn current_version(&self) -> i32 {
        self.current
    }

    /// What the database keeps to recognise each version by. Says nothing about the keys.
    pub fn check_values(&self) -> Vec<(i32, Vec<u8>)> {
        self.keys
            .iter()
            .map(|(version, keys)| (*version, keys.check.to_vec()))
            .collect()
    }

    /// # Errors
    /// When the database was written with a version that is missing here, or another key of that version.
    pub fn fits(&self, recorded: &[(i32, Vec<u8>)]) -> Result<(), KeyMismatch> {
        for (version, check) in recorded {
            match self.keys.get(version) {
                None => return Err(KeyMismatch::LacksVersion(*version)),
                Some(keys) if keys.check[..] != check[..] => {
                    return Err(KeyMismatch::Foreign(*version));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn seal(&self, what: &str, id: Uuid, plain: &[u8], dice: &mut dyn Dice) -> Sealed {
        let mut nonce = [0u8; NONCE];
        dice.fill(&mut nonce);
        let aad = associated(what, id, self.current);
        let keys = self
            .keys
            .get(&self.current)
            .expect("a keyring has its current version");
        let payload = Payload {
            msg: plain,
            aad: &aad,
        };
        let sealed = keys
            .seal
            .encrypt(&XNonce::from(nonce), payload)
            .expect("sealing a short text cannot fail");
        Sealed {
            key_version: self.current,
            bytes: [&nonce[..], &sealed].concat(),
        }
    }

    /// `None` when the version is missing, or the bytes were not sealed for this.
    fn unseal(&self, what: &str, id: Uuid, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, bytes) = sealed.bytes.split_first_chunk::<NONCE>()?;
        let aad = associated(what, id, sealed.key_version);
        let keys = self.keys.get(&sealed.key_version)?;
        keys.seal
            .decrypt(
                &XNonce::from(*nonce),
                Payload {
                    msg: bytes,
                    aad: &aad,
                },
            )
            .ok()
            .map(Zeroizing::new)
    }

    pub fn unseal_digest(&self, id: CredentialId, sealed: &Sealed) -> Option<Digest> {
        let plain = self.unseal("digest", id.0, sealed)?;
        Some(Digest::from_bytes(plain.as_slice().try_into().ok()?))
    }

    /// What [`Sealer::seal_secret`] sealed: a key's secret, or one that waits for a repeat.
    pub fn unseal_secret(&self, id: CredentialId, sealed: &Sealed) -> Option<Minted> {
        let plain = self.unseal("secret", id.0, sealed)?;
        Some(Minted::new(std::str::from_utf8(&plain).ok()?.to_owned()))
    }

    /// Seals the private half of a signing key.
    pub fn seal_seed(&self, id: SigningKeyId, seed: &[u8; 32], dice: &mut dyn Dice) -> Sealed {
        self.seal("signing key", id.0, seed, dice)
    }

    pub fn unseal_seed(&self, id: SigningKeyId, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        self.unseal("signing key", id.0, sealed)
    }

    /// The last segment of a link: version, purpose, id, generation, HMAC. The same each time it is made.
    pub fn sign_link(&self, version: i32, purpose: LinkPurpose, link: Link) -> Option<String> {
        let keys = self.keys.get(&version)?;
        let mut bytes = Vec::with_capacity(57);
        bytes.extend_from_slice(&version.to_be_bytes());
        bytes.push(purpose as u8);
        bytes.extend_from_slice(link.id.as_bytes());
        bytes.extend_from_slice(&link.generation.to_be_bytes());
        let tag = mac(&*keys.link, &[&bytes]).finalize().into_bytes();
        bytes.extend_from_slice(&tag);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a link, compared in constant time. `None` for whatever we did not sign for this purpose.
    pub fn open_link(&self, purpose: LinkPurpose, text: &str) -> Option<Link> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let bytes: [u8; 57] = bytes.try_into().ok()?;
        let (signed, tag) = bytes.split_at(25);
        let version = i32::from_be_bytes(signed[..4].try_into().ok()?);
        mac(&*self.keys.get(&version)?.link, &[signed])
            .verify_slice(tag)
            .ok()?;
        (signed[4] == purpose as u8).then_some(())?;
        Some(Link {
            id: Uuid::from_slice(&signed[5..21]).ok()?,
            generation: i32::from_be_bytes(signed[21..25].try_into().ok()?),
        })
    }

    /// Tells addresses apart without keeping them.
    pub fn address_hash(&self, address: &symbolon_domain::EmailAddress) -> Vec<u8> {
        // The first version's key: the hash must stay the same when the keys rotate.
        let key = self
            .keys
            .values()
            .next()
            .map(|keys| &keys.link[..])
            .unwrap_or_default();
        mac(key, &[b"address ", address.key().as_bytes()])
            .finalize()
            .into_bytes()
            .to_vec()
    }
}

fn associated(what: &str, id: Uuid, version: i32) -> Vec<u8> {
    [what.as_bytes(), id.as_bytes(), &version.to_be_bytes()].concat()
}

impl Sealer for Keyring {
    fn seal_digest(&self, id: CredentialId, digest: &Digest, dice: &mut dyn Dice) -> Sealed {
        self.seal("digest", id.0, digest.as_bytes(), dice)
    }

    fn seal_secret(&self, id: CredentialId, secret: &Minted, dice: &mut dyn Dice) -> Sealed {
        self.seal("secret", id.0, secret.reveal().as_bytes(), dice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_domain::dice::SeededDice;
    use symbolon_domain::{EmailAddress, Timestamp};

    fn ring(seed: u64) -> Keyring {
        Keyring::new(&KeyFile::generate(&mut SeededDice::new(seed)))
    }

    #[test]
    fn what_is_sealed_opens_only_for_its_credential_and_key() {
        let (ring, mut dice) = (ring(1), SeededDice::new(2));
        let id = CredentialId::new(Timestamp::from_micros(1), &mut dice);
        let other = CredentialId::new(Timestamp::from_micros(1), &mut dice);
        let digest = Digest::of("secret");
        let sealed = ring.seal_digest(id, &digest, &mut dice);
        assert!(!sealed.bytes.windows(32).any(|it| it == digest.as_bytes()));
        assert!(ring.unseal_digest(id, &sealed) == Some(digest));
        assert!(ring.unseal_digest(other, &sealed).is_none());
        assert!(ring.unseal_secret(id, &sealed).is_none());
        assert!(super::tests::ring(9).unseal_digest(id, &sealed).is_none());
        let mut broken = sealed.clone();
        broken.bytes[30] ^= 1;
        assert!(ring.unseal_digest(id, &broken).is_none());
        let secret = ring.seal_secret(id, &Minted::new("sym_x".into()), &mut dice);
        assert_eq!(ring.unseal_secret(id, &secret).unwrap().reveal(), "sym_x");
        assert!(ring.unseal_secret(other, &secret).is_none());
    }

    #[test]
    fn a_signing_key_opens_for_its_id_only_and_for_no_other_use() {
        let (ring, mut dice) = (ring(1), SeededDice::new(2));
        let id = SigningKeyId::new(Timestamp::from_micros(1), &mut dice);
        let other = SigningKeyId::new(Timestamp::from_micros(1), &mut dice);
        let sealed = ring.seal_seed(id, &[7; 32], &mut dice);
        assert!(!sealed.bytes.windows(32).any(|it| it == [7; 32]));
        assert_eq!(ring.unseal_seed(id, &sealed).unwrap().as_slice(), [7; 32]);
        assert!(ring.unseal_seed(other, &sealed).is_none());
        assert!(ring.unseal_secret(CredentialId(id.0), &sealed).is_none());
        assert!(ring.unseal_digest(CredentialId(id.0), &sealed).is_none());
        assert!(super::tests::ring(9).unseal_seed(id, &sealed).is_none());
        let mut broken = sealed.clone();
        broken.key_version = 2;
        assert!(ring.unseal_seed(id, &broken).is_none());
        broken.key_version = 1;
        broken.bytes[30] ^= 1;
        assert!(ring.unseal_seed(id, &broken).is_none());
    }

    #[test]
    fn links_are_the_same_each_time_and_refuse_every_change() {
        let ring = ring(1);
        let link = Link {
            id: Uuid::from_u128(7),
            generation: 2,
        };
        let text = ring.sign_link(1, LinkPurpose::Confirm, link).unwrap();
        assert_eq!(ring.sign_link(1, LinkPurpose::Confirm, link).unwrap(), text);
        assert_eq!(ring.open_link(LinkPurpose::Confirm, &text), Some(link));
        assert_eq!(ring.open_link(LinkPurpose::Setup, &text), None);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                ring.open_link(LinkPurpose::Confirm, std::str::from_utf8(&changed).unwrap()),
                None
            );
        }
        assert_eq!(ring.open_link(LinkPurpose::Confirm, "é"), None);
        assert_eq!(ring.sign_link(2, LinkPurpose::Confirm, link), None);
    }

    #[test]
    fn a_key_file_fits_its_database_only() {
        let ring = ring(1);
        assert_eq!(ring.fits(&ring.check_values()), Ok(()));
        assert_eq!(ring.fits(&[]), Ok(()));
        assert_eq!(
            super::tests::ring(2).fits(&ring.check_values()),
            Err(KeyMismatch::Foreign(1))
        );
        assert_eq!(ring.fits(&[(2, vec![])]), Err(KeyMismatch::LacksVersion(2)));
    }

    #[test]
    fn addresses_hash_alike_whatever_their_case() {
        let ring = ring(1);
        let hash = |text| ring.address_hash(&EmailAddress::parse(text).unwrap());
        assert_eq!(hash("Ops@Example.com"), hash("ops@example.com"));
        assert_ne!(hash("ops@example.com"), hash("dev@example.com"));
    }
}
