//! From a presented secret to an actor: parse, look up, compare, decide, note the use.

use crate::App;
use crate::actor::{Actor, Origin};
use crate::error::{Error, Result};
use symbolon_domain::credential::{CredentialStatus, RevokeReason};
use symbolon_domain::verdict::{CredentialFacts, Presentation};
use symbolon_domain::{
    AccountStatus, Code, Facts, Presented, Question, Reach, Reason, ServiceAccountStatus,
    Timestamp, limits, token_text, verdict,
};
use symbolon_store::FoundCredential;

impl App {
    /// Who presents this.
    ///
    /// With the request's `Idempotency-Key`, a credential that has just rotated itself may repeat that one
    /// request for ten minutes: an answer lost on the way costs nobody the token.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] for every reason up to and including expired, never saying which; then
    /// 403 codes; [`Error::Unavailable`] when nobody can tell.
    pub async fn authenticate(
        &self,
        presented: &Presented,
        _origin: Origin,
        idempotency_key: Option<&str>,
    ) -> Result<Actor> {
        let unauthenticated = || Error::from(Code::Unauthenticated);
        // Junk dies here, with no look-up.
        let text = token_text::parse(presented.as_str()).ok_or_else(unauthenticated)?;
        // Computed before anything is known about the credential, so that timing says nothing.
        let digest = presented.digest();
        let found = self
            .store()
            .find_by_public_id(text.public_id)
            .await?
            .ok_or_else(unauthenticated)?;
        let facts = self.facts(found)?;
        let now = self.now();
        let question = Question {
            now,
            presented: digest,
            presentation: Presentation::Bearer,
            reach: Reach::Instance,
            environment: None,
            scopes: &[],
        };
        match verdict(&facts, &question) {
            Ok(()) => {
                self.0.uses.note(facts.credential.id, now);
                Ok(Actor::holder(&facts))
            }
            Err(Reason::Revoked) => match idempotency_key {
                Some(key) if rotated_lately(&facts, now) => {
                    let actor = Actor::replaying(&facts);
                    if self.store().has_saved(actor.by(), key, now).await? {
                        Ok(actor)
                    } else {
                        Err(unauthenticated())
                    }
                }
                _ => Err(unauthenticated()),
            },
            Err(reason) if reason.is_unauthenticated() => Err(unauthenticated()),
            Err(Reason::ContactUnconfirmed) => Err(Code::ContactUnconfirmed.into()),
            Err(Reason::RateLimited) => Err(Code::RateLimited.into()),
            Err(_) => Err(Code::NotAllowedHere.into()),
        }
    }

    pub(crate) fn facts(&self, found: FoundCredential) -> Result<Facts> {
        let credential = found.credential;
        let digest = self
            .keyring()
            .unseal_digest(credential.id, &credential.sealed)
            .ok_or_else(|| {
                Error::broken(format!(
                    "the digest of credential {} does not unseal",
                    credential.id
                ))
            })?;
        Ok(Facts {
            credential: CredentialFacts {
                id: credential.id,
                kind: credential.kind,
                owner: credential.owner,
                ends_at: credential.ends_at(),
                public_id: credential.public_id,
                digest,
                status: credential.status,
                scopes: credential.scopes,
                not_before: credential.not_before,
                retires_at: credential.retires_at,
                created_at: credential.created_at,
                version: credential.version,
            },
            service_account: found.service_account,
            account: found.account,
        })
    }
}

/// Proven (the verdict got past the digest), and replaced by a rotation within the replay window, while
/// those it belongs to are in force.
fn rotated_lately(facts: &Facts, now: Timestamp) -> bool {
    let owners_active = facts.account.status == AccountStatus::Active
        && facts
            .service_account
            .as_ref()
            .is_none_or(|it| it.status == ServiceAccountStatus::Active);
    owners_active
        && matches!(facts.credential.status, CredentialStatus::Revoked { at, reason: RevokeReason::Rotated, .. } if now < at.plus(limits::REPLAY_WINDOW))
}
