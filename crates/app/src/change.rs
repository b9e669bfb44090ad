//! How every use case changes something: one transaction around one pure decision, once per
//! `Idempotency-Key`.

use crate::actor::{Actor, Call};
use crate::error::{Error, Result};
use crate::signing_keys::Signer;
use crate::{App, Keyring};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use symbolon_domain::change::{Asking, Changes, Target, View};
use symbolon_domain::issue::Mint;
use symbolon_domain::secret::{Sealer, TokenSigner};
use symbolon_domain::verdict::standing;
use symbolon_domain::{
    AccountId, Code, Credential, CredentialId, EnvironmentId, Minted, Reach, Reason, Refusal,
    ServiceAccountId, limits,
};
use symbolon_store::{Changed, Claim, Decision, Save, Saved, SavedSecret};

/// A record with the secret that its making minted. `secret` is `None` only in a repeat that came after
/// the secret was gone.
#[derive(Debug)]
pub struct Revealed<T> {
    pub record: T,
    pub secret: Option<Minted>,
    pub replayed: bool,
    /// Where the feed tells of the change: what [`crate::App::effective`] waits for. `None` where there was
    /// nothing to tell, and for a repeat.
    pub position: Option<i64>,
}

/// A record, and whether this was a repeat of the request that changed it.
#[derive(Debug, Clone)]
pub struct Replayed<T> {
    pub record: T,
    pub replayed: bool,
    /// As in [`Revealed`].
    pub position: Option<i64>,
}

/// The page of a list: strictly after `after`, at most `limit` items.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<I> {
    pub after: Option<I>,
    pub limit: u32,
}

/// One page; `next` is what to continue after when there is more.
#[derive(Debug, Clone)]
pub struct Slice<T, I> {
    pub items: Vec<T>,
    pub next: Option<I>,
}

impl<I> PageRequest<I> {
    /// One row more than asked for tells whether there is more.
    pub(crate) fn to_store(&self, raw: impl Fn(&I) -> uuid::Uuid) -> symbolon_store::Page {
        symbolon_store::Page {
            after: self.after.as_ref().map(raw),
            limit: i64::from(self.limit) + 1,
        }
    }

    pub(crate) fn slice<T>(&self, mut items: Vec<T>, id: impl Fn(&T) -> I) -> Slice<T, I> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        Slice {
            next: items.last().filter(|_| more).map(id),
            items,
        }
    }
}

/// What a committed change leaves for its repeat, as ids: the repeat shows what they are by then.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccountId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialId>,
}

macro_rules! outcomes {
    ($($field:ident: $id:ident, $read:ident);*) => {
        $(impl From<$id> for Outcome {
            fn from(id: $id) -> Self {
                Self { $field: Some(id), ..Self::default() }
            }
        })*
        impl Outcome {
            $(pub fn $read(&self) -> Result<$id> {
                self.$field.ok_or_else(|| Error::broken("a saved outcome names nothing"))
            })*
        }
    };
}
outcomes!(
    account: AccountId, account_id;
    environment: EnvironmentId, environment_id;
    service_account: ServiceAccountId, service_account_id;
    credential: CredentialId, credential_id
);

/// What a use case's decision answers.
pub(crate) struct Decided<T> {
    pub value: T,
    pub changes: Changes,
    pub outcome: Outcome,
    /// The secret in `value`, for sealing until its answer surely arrived.
    pub sealed: Option<SavedSecret>,
}

impl<T> Decided<T> {
    /// Something decided that reveals no secret.
    pub fn new(value: T, changes: Changes, outcome: impl Into<Outcome>) -> Self {
        Self {
            value,
            changes,
            outcome: outcome.into(),
            sealed: None,
        }
    }
}

/// What became of a call.
pub(crate) enum Ran<T> {
    Done {
        value: T,
        /// Of its last row in the feed, where it wrote any.
        position: Option<i64>,
    },
    Replayed {
        outcome: Outcome,
        secret: Option<Minted>,
    },
}

impl<T> Ran<T> {
    /// The record as it was just written; for a repeat, as `again` finds it by now.
    pub async fn replayed<F>(self, again: impl FnOnce(Outcome) -> F) -> Result<Replayed<T>>
    where
        F: Future<Output = Result<T>>,
    {
        Ok(match self {
            Self::Done { value, position } => Replayed {
                record: value,
                replayed: false,
                position,
            },
            Self::Replayed { outcome, .. } => Replayed {
                record: again(outcome).await?,
                replayed: true,
                position: None,
            },
        })
    }
}

impl<T> Ran<(T, Option<Minted>)> {
    /// As [`Self::replayed`], with the secret: for a repeat, while it is still kept.
    pub async fn revealed<F>(self, again: impl FnOnce(Outcome) -> F) -> Result<Revealed<T>>
    where
        F: Future<Output = Result<T>>,
    {
        Ok(match self {
            Self::Done {
                value: (record, secret),
                position,
            } => Revealed {
                record,
                secret,
                replayed: false,
                position,
            },
            Self::Replayed { outcome, secret } => Revealed {
                record: again(outcome).await?,
                secret,
                replayed: true,
                position: None,
            },
        })
    }
}

/// What a decision may use beside its view.
pub(crate) struct Tools<'a, 'b> {
    pub asking: Asking<'a>,
    pub mint: Mint<'b>,
    keyring: &'b Keyring,
    seals: bool,
}

impl Tools<'_, '_> {
    /// Something decided that minted the secret of the credential which `outcome` names; sealed for a
    /// repeat, where the call may be repeated.
    pub fn minted<T>(
        &mut self,
        value: T,
        secret: Option<Minted>,
        changes: Changes,
        outcome: Outcome,
    ) -> Decided<(T, Option<Minted>)> {
        let sealed = match (&secret, outcome.credential) {
            (Some(secret), Some(id)) if self.seals => Some(SavedSecret {
                credential_id: id,
                sealed: self.keyring.seal_secret(id, secret, self.mint.dice),
                until: self.asking.now.plus(limits::SEALED_SECRET_LIFE),
            }),
            _ => None,
        };
        Decided {
            value: (value, secret),
            changes,
            outcome,
            sealed,
        }
    }
}

/// The credential as it is shown.
pub(crate) fn shown(view: &View, credential: Credential) -> Credential {
    credential.seen_under(view.service_account.as_ref())
}

impl App {
    /// Runs one decision for one call.
    pub(crate) async fn run<T, F>(
        &self,
        call: &Call<'_>,
        target: Target,
        decide: F,
    ) -> Result<Ran<T>>
    where
        T: Send + 'static,
        F: FnOnce(&View, &mut Tools<'_, '_>) -> std::result::Result<Decided<T>, Refusal>
            + Send
            + 'static,
    {
        self.run_signing(call, target, None, decide).await
    }

    /// As [`Self::run`], for a decision that may write a JWT.
    pub(crate) async fn run_signing<T, F>(
        &self,
        call: &Call<'_>,
        target: Target,
        signer: Option<Arc<Signer>>,
        decide: F,
    ) -> Result<Ran<T>>
    where
        T: Send + 'static,
        F: FnOnce(&View, &mut Tools<'_, '_>) -> std::result::Result<Decided<T>, Refusal>
            + Send
            + 'static,
    {
        let now = self.now();
        let claim = call.idempotency.as_ref().map(|it| Claim {
            actor: call.actor.by(),
            door: it.door,
            operation: it.operation,
            key: it.key.clone(),
            fingerprint: it.fingerprint,
            now,
            expires_at: now.plus(self.settings().idempotency),
        });
        if call.actor.is_replay_only() {
            // A credential that has rotated itself: the identical request, or nothing.
            let claim = claim.ok_or(Error::from(Code::Unauthenticated))?;
            let saved = self.store().find_saved(&claim).await?;
            let saved = saved
                .filter(|it| it.same_request)
                .ok_or(Error::from(Code::Unauthenticated))?;
            return self.replay(call.actor, saved).await;
        }
        let (actor, origin, keyring, app) = (
            call.actor.clone(),
            call.origin,
            self.keyring().clone(),
            self.clone(),
        );
        let seals = claim.is_some();
        let changed = self
            .store()
            .change(target, now, claim, move |view| {
                within_reach(view, actor.authority().reach)?;
                let mut dice = app.dice();
                let mint = Mint {
                    dice: &mut *dice,
                    sealer: &*keyring,
                    signer: signer.as_deref().map(|it| it as &dyn TokenSigner),
                    link_key_version: keyring.current_version(),
                };
                let mut tools = Tools {
                    asking: actor.asking(now, origin),
                    mint,
                    keyring: &keyring,
                    seals,
                };
                let mut decided = decide(view, &mut tools)?;
                place_events(view, &mut decided.changes);
                let outcome = serde_json::to_value(decided.outcome).unwrap_or_default();
                let save = seals.then_some(Save {
                    outcome,
                    secret: decided.sealed,
                });
                let is_so_already = decided.changes.is_empty();
                Ok(Decision {
                    value: (decided.value, is_so_already),
                    changes: decided.changes,
                    save,
                })
            })
            .await?;
        match changed {
            Changed::Done {
                value: (value, is_so_already),
                position,
            } => {
                metrics::counter!("symbolon_changes_total").increment(1);
                match position {
                    Some(position) => self.apply_own(position).await,
                    // Another process may have done it a moment ago: this one is not told "done" before it
                    // goes by that.
                    None if is_so_already => self.catch_up().await,
                    None => {}
                }
                Ok(Ran::Done { value, position })
            }
            Changed::Replayed(saved) if saved.same_request => {
                self.catch_up().await;
                self.replay(call.actor, *saved).await
            }
            Changed::Replayed(_) => Err(Code::IdempotencyKeyReused.into()),
        }
    }

    async fn replay<T>(&self, actor: &Actor, saved: Saved) -> Result<Ran<T>> {
        let outcome: Outcome = serde_json::from_value(saved.outcome).map_err(Error::broken)?;
        self.ensure_within_reach(actor, &outcome).await?;
        let secret = match saved.secret {
            Some(it) if self.may_mint_again(actor, it.credential_id).await? => {
                self.keyring().unseal_secret(it.credential_id, &it.sealed)
            }
            _ => None,
        };
        Ok(Ran::Replayed { outcome, secret })
    }

    /// Showing a secret again is minting: its credential must still be good, and the one who asks must
    /// still be allowed to make it.
    async fn may_mint_again(&self, actor: &Actor, id: CredentialId) -> Result<bool> {
        let Some(found) = self.store().find_with_owners(id).await? else {
            return Ok(false);
        };
        let loaded = self.facts(found)?;
        let facts = loaded.view();
        let good = matches!(
            standing(facts, self.now()),
            Ok(()) | Err(Reason::NotYetValid)
        );
        let (reach, scopes) = (facts.place(), facts.scopes().cloned().collect());
        // An access token may have been narrowed since its key made this.
        let allowed = match actor.access_token() {
            Some(_) => actor.authority().may_grant(&scopes, reach),
            None => actor.authority().may_mint(&scopes, reach),
        };
        Ok(good && allowed.is_ok())
    }

    /// What a repeat shows has to lie within the reach that its asker has by now.
    async fn ensure_within_reach(&self, actor: &Actor, outcome: &Outcome) -> Result<()> {
        let mine = actor.authority().reach;
        let Some(account) = mine.account() else {
            return Ok(());
        };
        let place = match (outcome.credential, outcome.service_account) {
            (Some(id), _) => {
                let found = self.store().find_with_owners(id).await?;
                let facts = found.map(|it| self.facts(it)).transpose()?;
                facts.map(|it| it.view().place())
            }
            (None, Some(id)) => {
                let found = self.store().find_service_account(account, id).await?;
                found.map(|it| Reach::of(account, it.environment_id))
            }
            (None, None) => return Ok(()),
        };
        match place {
            Some(place) if mine.contains(place) => Ok(()),
            _ => Err(Code::NotFound.into()),
        }
    }
}

/// What lies outside the asker's reach looks like nothing there.
fn within_reach(view: &View, reach: Reach) -> std::result::Result<(), Refusal> {
    let Some(account) = &view.account else {
        return Ok(());
    };
    let place = match (&view.service_account, view.credentials.first()) {
        (Some(it), _) => Reach::of(account.id, it.environment_id),
        (None, Some(it)) => Reach::of(account.id, it.owner.environment()),
        // Something new: the decision checks the reach of its result.
        (None, None) => return Ok(()),
    };
    if reach.contains(place) {
        Ok(())
    } else {
        Err(Code::NotFound.into())
    }
}

/// Events carry the environment of what they are about, so that a reader who sees only that environment
/// sees them.
fn place_events(view: &View, changes: &mut Changes) {
    let environment = view
        .service_account
        .as_ref()
        .or(changes.new_service_accounts.first())
        .and_then(|it| it.environment_id)
        .or_else(|| {
            view.credentials
                .first()
                .or(changes.new_credentials.first())
                .and_then(|it| it.owner.environment())
        });
    for event in changes
        .events
        .iter_mut()
        .filter(|it| it.environment_id.is_none())
    {
        event.environment_id = environment;
    }
}
