//! Passwords: argon2id on a small pool, so that log-ins can neither starve the hot path nor each other.

use crate::error::{Error, Result};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use std::sync::Arc;
use std::time::Duration;
use symbolon_domain::refusal::FieldCode;
use symbolon_domain::{Dice, Presented, Refusal};
use tokio::sync::Semaphore;

pub const PASSWORD_MIN: usize = 12;
pub const PASSWORD_MAX: usize = 256;

/// OWASP's minimum for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Whoever waits longer is told to come again.
const PATIENCE: Duration = Duration::from_secs(2);

/// One hashing thread per two cores.
#[derive(Debug)]
pub(crate) struct PasswordPool(Arc<Semaphore>);

impl PasswordPool {
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new((cores / 2).max(1))))
    }

    /// The password as an argon2id string.
    ///
    /// # Errors
    /// A field error on `/password` when it is too short or too long; [`Error::Unavailable`] when the pool is full.
    pub async fn hash(&self, password: Presented, dice: &mut dyn Dice) -> Result<String> {
        let length = password.as_str().chars().count();
        if length < PASSWORD_MIN {
            return Err(
                Refusal::field("/password", FieldCode::TooShort { min: PASSWORD_MIN }).into(),
            );
        }
        if length > PASSWORD_MAX {
            return Err(
                Refusal::field("/password", FieldCode::TooLong { max: PASSWORD_MAX }).into(),
            );
        }
        let mut salt = [0u8; 16];
        dice.fill(&mut salt);
        let full = || Error::Unavailable {
            cause: "the password pool is full".into(),
        };
        let permit = tokio::time::timeout(PATIENCE, self.0.clone().acquire_owned())
            .await
            .map_err(|_| full())?;
        let permit = permit.map_err(Error::broken)?;
        let hashed = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let params =
                Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|error| error.to_string())?;
            let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let hash = argon
                .hash_password_with_salt(password.as_str().as_bytes(), &salt)
                .map_err(|error| error.to_string())?;
            Ok::<String, String>(hash.to_string())
        });
        hashed.await.map_err(Error::broken)?.map_err(Error::broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordVerifier;
    use argon2::password_hash::phc::PasswordHash;
    use symbolon_domain::dice::SeededDice;

    #[tokio::test]
    async fn hashes_verify_and_lengths_are_bounded() {
        let pool = PasswordPool::new();
        let mut dice = SeededDice::new(1);
        let hash = pool
            .hash(Presented::new("correct horse battery"), &mut dice)
            .await
            .unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let parsed = PasswordHash::new(&hash).unwrap();
        assert!(
            Argon2::default()
                .verify_password(b"correct horse battery", &parsed)
                .is_ok()
        );
        assert!(
            Argon2::default()
                .verify_password(b"wrong", &parsed)
                .is_err()
        );
        for wrong in ["short", &"x".repeat(257)] {
            assert!(
                pool.hash(Presented::new(wrong), &mut dice)
                    .await
                    .unwrap_err()
                    .refusal()
                    .is_some()
            );
        }
    }
}
