//! The keys that sign tokens: the active one unsealed and kept in the process, all public halves by `kid`,
//! the first ones made when they are first needed, and their changing of the guard.

use crate::error::{Error, Result};
use crate::jose;
use crate::{App, Keyring};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use symbolon_domain::change::Target;
use symbolon_domain::secret::{ApiTokenClaims, TokenSigner};
use symbolon_domain::signing::{self, SigningKey, SigningKeyStatus};
use symbolon_domain::{Dice, Minted, SigningKeyId, Timestamp};
use symbolon_store::{Changed, Decision};
use zeroize::Zeroizing;

/// `typ` of a `jwt` credential's text.
pub(crate) const API_TOKEN: &str = "api-token+jwt";
/// `typ` of an access token (RFC 9068 §2.1).
pub(crate) const ACCESS_TOKEN: &str = "at+jwt";

/// Another process may have let the next key take over; those that have retired still verify.
const FRESH: Duration = signing::NOTICED_WITHIN;
/// While the database cannot be asked, the keys are published as they were, until as long before now.
const PUBLISHED_UNSEEN: Duration = signing::JWKS_MAX_AGE;
/// For a `kid` that nobody here has heard of, the database is asked no more often than this.
const PAUSE: Duration = Duration::from_secs(1);

/// The key that signs now.
pub(crate) struct Signer {
    pub kid: String,
    /// `iss` of what it signs: our public URL.
    issuer: String,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// Signs the claims of a token of this kind, adding who issued it.
    pub fn sign(&self, typ: &str, mut claims: Map<String, Value>) -> Minted {
        claims.insert("iss".into(), self.issuer.clone().into());
        jose::sign(typ, &self.kid, &self.pair, &claims)
    }
}

impl TokenSigner for Signer {
    fn sign_api_token(&self, it: &ApiTokenClaims<'_>) -> Minted {
        let subject = match it.environment {
            Some(environment) => environment.to_string(),
            None => it.account.to_string(),
        };
        let mut claims = Map::from_iter([
            ("jti".into(), it.jti.into()),
            ("sub".into(), subject.into()),
            ("account_id".into(), it.account.to_string().into()),
            ("scope".into(), it.scopes.to_string().into()),
            ("iat".into(), it.issued_at.as_seconds().into()),
        ]);
        if let Some(environment) = it.environment {
            claims.insert("environment_id".into(), environment.to_string().into());
        }
        // Whole seconds that never promise more than the row: later at the start, earlier at the end.
        if let Some(start) = it.not_before {
            let ceiling = start.plus(Duration::from_micros(999_999)).as_seconds();
            claims.insert("nbf".into(), ceiling.into());
        }
        if let Some(end) = it.expires_at {
            claims.insert("exp".into(), end.as_seconds().into());
        }
        self.sign(API_TOKEN, claims)
    }
}

/// The public half of a signing key, as others need it to verify what it signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    pub kid: String,
    /// Ed25519, 32 bytes.
    pub public_key: Vec<u8>,
}

/// What the database held at one time.
struct Snapshot {
    loaded_at: Timestamp,
    active: Option<SigningKey>,
    /// The active one, once it was unsealed: verifying takes the public halves alone.
    signer: OnceLock<Arc<Signer>>,
    public: HashMap<String, Vec<u8>>,
    /// Oldest first.
    published: Arc<[PublishedKey]>,
}

impl Snapshot {
    fn is_younger_than(&self, age: Duration, now: Timestamp) -> bool {
        // A clock that was set back says nothing about the age.
        self.loaded_at <= now && now < self.loaded_at.plus(age)
    }
}

#[derive(Default)]
pub(crate) struct SigningKeys {
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    /// Held while loading: one at a time, and whoever waited uses what was loaded. When loading last failed:
    /// that is for those who waited, too.
    loading: tokio::sync::Mutex<Option<Duration>>,
}

impl SigningKeys {
    fn loaded(&self) -> Option<Arc<Snapshot>> {
        self.snapshot
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, it: Option<Arc<Snapshot>>) {
        *self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner) = it;
    }
}

impl App {
    /// The key that signs now; made where there is none yet.
    pub(crate) async fn signer(&self) -> Result<Arc<Signer>> {
        let snapshot = self.snapshot_that_signs().await?;
        if let Some(it) = snapshot.signer.get() {
            return Ok(it.clone());
        }
        let active = snapshot.active.as_ref();
        let active = active.ok_or_else(|| Error::broken("no signing key is active"))?;
        let signer = Arc::new(self.unsealed(active)?);
        Ok(snapshot.signer.get_or_init(|| signer).clone())
    }

    /// The public halves of all keys that have signed something still in force, sign now, or will next:
    /// oldest first. Made where there are none yet, so that whoever asks knows the first before it signs.
    pub async fn published_keys(&self) -> Result<Arc<[PublishedKey]>> {
        match self.snapshot_that_signs().await {
            Ok(snapshot) => Ok(snapshot.published.clone()),
            Err(error @ Error::Unavailable { .. }) => {
                let last = self.0.signing_keys.loaded();
                let last = last.filter(|it| it.is_younger_than(PUBLISHED_UNSEEN, self.now()));
                last.map(|it| it.published.clone()).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// What the database holds, with a key that signs; made where there is none yet.
    async fn snapshot_that_signs(&self) -> Result<Arc<Snapshot>> {
        let snapshot = self.signing_snapshot(FRESH).await?;
        if snapshot.active.is_some() {
            return Ok(snapshot);
        }
        self.maintain_signing_keys().await?;
        self.signing_snapshot(FRESH).await
    }

    /// The public half with this id, whatever its status. `None` when there is no such key.
    pub(crate) async fn public_key(&self, kid: &str) -> Result<Option<Vec<u8>>> {
        let known = self.signing_snapshot(FRESH).await?;
        if let Some(it) = known.public.get(kid) {
            return Ok(Some(it.clone()));
        }
        // Perhaps another process made it a moment ago.
        let again = self.signing_snapshot(PAUSE).await?;
        Ok(again.public.get(kid).cloned())
    }

    /// Makes the keys that are missing, and lets the next one take over when its time has come. Right with
    /// any number of processes, at any pace.
    pub async fn maintain_signing_keys(&self) -> Result<()> {
        let now = self.now();
        let app = self.clone();
        let changed = self
            .store()
            .change(Target::SigningKeys, now, None, move |view| {
                let mut dice = app.dice();
                let changes = signing::maintain(&view.signing_keys, now, &mut || {
                    fresh(now, app.keyring(), &mut *dice)
                });
                let what = |it: &SigningKey| (it.id, it.status.as_str());
                let (put, new) = (&changes.put_signing_keys, &changes.new_signing_keys);
                Ok(Decision {
                    value: put.iter().chain(new).map(what).collect::<Vec<_>>(),
                    changes,
                    save: None,
                })
            })
            .await;
        match changed {
            Ok(Changed::Done { value: became, .. }) => {
                for (kid, status) in became {
                    tracing::info!(%kid, status, "a signing key was made or has changed");
                }
            }
            // Somebody else made them at the same time: theirs serve as well.
            Err(symbolon_store::Error::Conflict(index)) if index.contains("signing_key") => {}
            Ok(Changed::Replayed(_)) => {
                return Err(Error::broken("a change without a claim was repeated"));
            }
            Err(error) => return Err(error.into()),
        }
        self.0.signing_keys.set(None);
        Ok(())
    }

    /// What the database holds, as of at most `age` ago.
    async fn signing_snapshot(&self, age: Duration) -> Result<Arc<Snapshot>> {
        let keys = &self.0.signing_keys;
        let usable = || {
            keys.loaded()
                .filter(|it| it.is_younger_than(age, self.now()))
        };
        if let Some(it) = usable() {
            return Ok(it);
        }
        let asked = self.monotonic();
        let mut failed = keys.loading.lock().await;
        if let Some(it) = usable() {
            return Ok(it);
        }
        if failed.is_some_and(|at| at >= asked) {
            return Err(Error::Unavailable {
                cause: "another request for the signing keys failed".into(),
            });
        }
        let rows = self.store().signing_keys().await;
        *failed = rows.is_err().then(|| self.monotonic());
        let rows = rows?;
        let is_active = |row: &&SigningKey| matches!(row.status, SigningKeyStatus::Active { .. });
        let snapshot = Arc::new(Snapshot {
            loaded_at: self.now(),
            active: rows.iter().find(is_active).cloned(),
            signer: OnceLock::new(),
            published: rows
                .iter()
                .map(|row| PublishedKey {
                    kid: row.id.to_string(),
                    public_key: row.public_key.clone(),
                })
                .collect(),
            public: rows
                .into_iter()
                .map(|row| (row.id.to_string(), row.public_key))
                .collect(),
        });
        keys.set(Some(snapshot.clone()));
        Ok(snapshot)
    }

    fn unsealed(&self, row: &SigningKey) -> Result<Signer> {
        let seed = self.keyring().unseal_seed(row.id, &row.sealed);
        let pair = seed
            .and_then(|seed| Ed25519KeyPair::from_seed_and_public_key(&seed, &row.public_key).ok());
        Ok(Signer {
            kid: row.id.to_string(),
            issuer: self.public_url().to_owned(),
            pair: pair.ok_or_else(|| {
                Error::broken(format!("the signing key {} does not unseal", row.id))
            })?,
        })
    }
}

fn fresh(now: Timestamp, keyring: &Keyring, dice: &mut dyn Dice) -> SigningKey {
    let id = SigningKeyId::new(now, dice);
    let mut seed = Zeroizing::new([0u8; 32]);
    dice.fill(&mut *seed);
    let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).expect("every 32 bytes are a seed");
    SigningKey {
        id,
        status: SigningKeyStatus::Next,
        public_key: pair.public_key().as_ref().to_vec(),
        sealed: keyring.seal_seed(id, &seed, dice),
        created_at: now,
        version: 1,
    }
}
