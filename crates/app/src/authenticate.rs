//! From what was presented to a verdict: parse, find the facts, compare, decide, count, note the use. Our own
//! doors ask the same question as those who verify other people's tokens.

mod claims;

use crate::App;
use crate::actor::{Actor, Origin};
use crate::cache::{Cached, Known, KnownText, SignedToken, TextDigest};
use crate::error::{Error, Result};
use crate::jose::Parsed;
use crate::limiter::RateState;
use crate::signing_keys::{ACCESS_TOKEN, API_TOKEN};
use claims::AccessTokenClaims;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use symbolon_domain::change::RevokedAccessToken;
use symbolon_domain::verdict::{
    AccessToken, CredentialFacts, CredentialState, LoadedFacts, OwnerState, Presentation, Proof,
};
use symbolon_domain::{
    AccountStatus, Code, CredentialKind, Digest, Facts, Permission, Presented, PublicId, Question,
    Reach, Reason, Timestamp, limits, token_text, verdict,
};
use symbolon_store::FoundCredential;

/// What a request brought to prove who asks.
#[derive(Debug)]
pub enum Credentials {
    /// An opaque token, a JWT credential, or an access token.
    Bearer(Presented),
    /// A key: its id, and its secret.
    Basic { key_id: String, secret: Presented },
}

impl Credentials {
    pub fn evidence(&self) -> Evidence<'_> {
        match self {
            Self::Bearer(text) => Evidence::Bearer(text.as_str()),
            Self::Basic { key_id, secret } => Evidence::Basic {
                key_id,
                secret: secret.as_str(),
            },
        }
    }
}

/// The same, borrowed from where it was read.
#[derive(Clone, Copy)]
pub enum Evidence<'a> {
    Bearer(&'a str),
    Basic { key_id: &'a str, secret: &'a str },
}

impl std::fmt::Debug for Evidence<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Evidence(hidden)")
    }
}

impl<'a> Evidence<'a> {
    /// What stands in one field: a key as `<key id>:<secret>`, everything else as it would be a bearer
    /// token.
    pub fn of_text(text: &'a str) -> Self {
        match text.split_once(':') {
            // The prefix of a token may end in a colon, too, but is shorter.
            Some((key_id, secret)) if PublicId::parse(key_id).is_some() => {
                Self::Basic { key_id, secret }
            }
            _ => Self::Bearer(text),
        }
    }
}

impl Evidence<'_> {
    /// Whether any credential of ours looks like this.
    pub(crate) fn is_well_formed(self) -> bool {
        match self {
            Self::Bearer(text) => token_text::parse(text).is_some() || Parsed::read(text).is_some(),
            Self::Basic { key_id, .. } => PublicId::parse(key_id).is_some(),
        }
    }
}

/// What was presented, with what is known of it. Nothing is judged yet.
pub(crate) struct Held {
    entry: Arc<Cached>,
    proof: HeldProof,
    presentation: Presentation,
}

enum HeldProof {
    Secret(Digest),
    /// The digest of a JWT credential's text, which is not remembered yet.
    NewJwt(Digest),
    AccessToken(Arc<SignedToken>),
    /// Signed with the key's secret, found right before.
    Assertion,
}

impl Held {
    pub fn credential(&self) -> &CredentialFacts {
        &self.entry.facts
    }
}

/// What is asked about it.
pub(crate) struct Asked<'a> {
    pub reach: Reach,
    pub environment: Option<symbolon_domain::EnvironmentId>,
    pub audience: Option<&'a str>,
    pub client_ip: Option<std::net::IpAddr>,
    pub scopes: &'a [symbolon_domain::Scope],
    /// How many uses it counts for. `None` only looks: it is no use, and no limit of them is looked at.
    pub cost: Option<NonZeroU32>,
}

/// What was found: the facts of one moment, and the verdict.
pub(crate) struct Judged {
    pub now: Timestamp,
    pub known: Known,
    pub signed: Option<Arc<SignedToken>>,
    pub outcome: std::result::Result<(), Reason>,
    pub rate: Option<RateState>,
}

impl Judged {
    pub fn access_token(&self) -> Option<&AccessToken> {
        self.signed.as_ref().map(|it| &it.says)
    }

    /// Who it is that was found good.
    pub fn actor(&self) -> Actor {
        match self.access_token() {
            None => Actor::holder(self.known.facts()),
            Some(token) => Actor::bearer(self.known.facts(), token),
        }
    }
}

impl App {
    /// Who presents this, at one of our own doors.
    ///
    /// With the request's `Idempotency-Key`, a credential that has just rotated itself may repeat that one
    /// request for ten minutes: an answer lost on the way costs nobody the token.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] for every reason up to and including expired, never saying which; then
    /// 403 codes and [`Error::RateLimited`]; [`Error::Unavailable`] when nobody can tell.
    pub async fn authenticate(
        &self,
        presented: &Credentials,
        origin: Origin,
        idempotency_key: Option<&str>,
    ) -> Result<Actor> {
        let evidence = presented.evidence();
        let judged = self
            .judge_own(evidence, Presentation::Basic, origin)
            .await?;
        let facts = judged.known.facts();
        match (judged.outcome, judged.access_token()) {
            (Ok(()), _) => Ok(judged.actor()),
            (Err(Reason::Revoked), None) => match idempotency_key {
                Some(key) if may_repeat(facts, evidence, judged.now) => {
                    let actor = Actor::replaying(facts);
                    if self.store().has_saved(actor.by(), key, judged.now).await? {
                        Ok(actor)
                    } else {
                        Err(Code::Unauthenticated.into())
                    }
                }
                _ => Err(Code::Unauthenticated.into()),
            },
            (Err(reason), _) => Err(refused(reason, judged.rate)),
        }
    }

    /// Who asks about other people's credentials, and may. As [`Self::authenticate`], without making an
    /// actor of them: a verifier asks thousands of times a second.
    ///
    /// # Errors
    /// As [`Self::authenticate`], and [`Code::PermissionMissing`].
    pub async fn admit(
        &self,
        evidence: Evidence<'_>,
        presentation_of_key: Presentation,
        origin: Origin,
        permission: Permission,
    ) -> Result<Asker> {
        let judged = self
            .judge_own(evidence, presentation_of_key, origin)
            .await?;
        if let Err(reason) = judged.outcome {
            return Err(refused(reason, judged.rate));
        }
        let facts = judged.known.facts();
        let token = judged.access_token();
        let may =
            facts.allows(permission) && token.is_none_or(|token| token.scopes.allows(permission));
        if !may {
            return Err(missing(permission));
        }
        let reach = match token {
            // An access token is an operator's only if it says so itself.
            Some(token) if !token.scopes.allows(Permission::Instance) => facts.place(),
            _ => facts.reach(),
        };
        Ok(Asker {
            reach,
            rate: judged.rate,
        })
    }

    /// Judges what is presented at our own doors, which are ours alone.
    pub(crate) async fn judge_own(
        &self,
        evidence: Evidence<'_>,
        presentation: Presentation,
        origin: Origin,
    ) -> Result<Judged> {
        let asked = Asked {
            reach: Reach::Instance,
            environment: None,
            audience: Some(self.public_url()),
            client_ip: origin.client_ip,
            scopes: &[],
            cost: Some(NonZeroU32::MIN),
        };
        let held = self.hold(evidence, presentation, false).await?;
        let held = held.ok_or(Code::Unauthenticated)?;
        Ok(self.judge(held, &asked))
    }

    /// Finds what the evidence names; `None` for whatever names nothing. `presentation` is that of a key's
    /// secret; everything else is a bearer's.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when what is known is too old, or nothing can be read.
    pub(crate) async fn hold(
        &self,
        evidence: Evidence<'_>,
        presentation: Presentation,
        fresh: bool,
    ) -> Result<Option<Held>> {
        match evidence {
            Evidence::Basic { key_id, secret } => {
                // Computed before anything is known about the credential, so that timing says nothing.
                let proof = HeldProof::Secret(Digest::of(secret));
                let Some(id) = PublicId::parse(key_id) else {
                    return Ok(None);
                };
                self.held(id, proof, presentation, fresh).await
            }
            Evidence::Bearer(text) => {
                if let Some(parts) = token_text::parse(text) {
                    let Some(id) = PublicId::parse(parts.public_id) else {
                        return Ok(None);
                    };
                    let proof = HeldProof::Secret(Digest::of(text));
                    return self.held(id, proof, Presentation::Bearer, fresh).await;
                }
                if !Parsed::may_be(text) {
                    // Junk dies here, with no look-up.
                    return Ok(None);
                }
                self.hold_jwt(text, fresh).await
            }
        }
    }

    async fn hold_jwt(&self, text: &str, fresh: bool) -> Result<Option<Held>> {
        let digest = Digest::of(text);
        let known = match self.0.cache.text(digest.as_bytes()) {
            Some(KnownText::Credential(id)) => Some((id, HeldProof::Secret(digest))),
            Some(KnownText::AccessToken(it)) if !fresh => {
                Some((it.key, HeldProof::AccessToken(it)))
            }
            _ => None,
        };
        if let Some((id, proof)) = known {
            return self.held(id, proof, Presentation::Bearer, fresh).await;
        }
        let Some(jwt) = Parsed::read(text) else {
            return Ok(None);
        };
        match jwt.typ.as_deref() {
            Some(API_TOKEN) if jwt.has_alg("EdDSA") => {
                let jti = jwt.text("jti").ok().flatten();
                let Some(id) = jti.and_then(PublicId::parse) else {
                    return Ok(None);
                };
                let proof = HeldProof::NewJwt(digest);
                let held = self.held(id, proof, Presentation::Bearer, fresh).await?;
                Ok(held.filter(|it| it.entry.facts.kind == CredentialKind::Jwt))
            }
            Some(ACCESS_TOKEN) => {
                self.hold_access_token(&jwt, *digest.as_bytes(), fresh)
                    .await
            }
            _ => Ok(None),
        }
    }

    async fn hold_access_token(
        &self,
        jwt: &Parsed<'_>,
        digest: TextDigest,
        fresh: bool,
    ) -> Result<Option<Held>> {
        let Some(kid) = &jwt.kid else {
            return Ok(None);
        };
        // Before anything is read for it: while the database is away nobody waits for it here.
        self.ensure_fresh().await?;
        let Some(public_key) = self.public_key(kid).await? else {
            return Ok(None);
        };
        if !jwt.verify_eddsa(&public_key) {
            return Ok(None);
        }
        let Some(claims) = AccessTokenClaims::read(jwt) else {
            return Ok(None);
        };
        let early = self.now().plus(limits::CLOCK_LEEWAY) < claims.token.issued_at;
        if claims.issuer != self.public_url() || early {
            return Ok(None);
        }
        let id = claims.client_id;
        let Some(entry) = self.known(id, fresh).await? else {
            return Ok(None);
        };
        let owner = entry.facts.owner.service_account();
        if owner.map(|it| it.to_string()).as_deref() != Some(claims.subject) {
            return Ok(None);
        }
        let signed = SignedToken {
            key: id,
            says: claims.token,
            revoked: false.into(),
        };
        let signed = self.remember_access_token(digest, signed).await?;
        // Looked up once more: the key may have changed while the database was asked about the token.
        let proof = HeldProof::AccessToken(signed);
        self.held(id, proof, Presentation::Bearer, false).await
    }

    /// The key with this public id, which has signed an assertion.
    pub(crate) async fn hold_asserting(&self, id: PublicId) -> Result<Option<Held>> {
        self.held(id, HeldProof::Assertion, Presentation::Bearer, false)
            .await
    }

    async fn held(
        &self,
        id: PublicId,
        proof: HeldProof,
        presentation: Presentation,
        fresh: bool,
    ) -> Result<Option<Held>> {
        self.ensure_fresh().await?;
        let found = self.known(id, fresh).await?;
        Ok(found.map(|entry| Held {
            entry,
            proof,
            presentation,
        }))
    }

    /// The verdict; and if it is a yes, the use counts unless it costs nothing.
    pub(crate) fn judge(&self, held: Held, asked: &Asked<'_>) -> Judged {
        let now = self.now();
        let known = held.entry.read();
        let proof = match &held.proof {
            HeldProof::Secret(digest) | HeldProof::NewJwt(digest) => Proof::Secret(*digest),
            HeldProof::AccessToken(signed) => Proof::AccessToken {
                token: &signed.says,
                revoked: signed.revoked.load(Ordering::Acquire),
            },
            HeldProof::Assertion => Proof::Assertion,
        };
        let question = Question {
            now: self.judging_time(now),
            proof,
            presentation: held.presentation,
            reach: asked.reach,
            environment: asked.environment,
            audience: asked.audience,
            client_ip: asked.client_ip,
            scopes: asked.scopes,
        };
        let outcome = verdict(known.facts(), &question);
        if let (Ok(()), HeldProof::NewJwt(digest)) = (outcome, &held.proof) {
            let id = known.entry.facts.public_id;
            self.0.cache.note_jwt(*digest.as_bytes(), id);
        }
        let signed = match held.proof {
            HeldProof::AccessToken(signed) => Some(signed),
            _ => None,
        };
        let mut judged = Judged {
            now,
            known,
            signed,
            outcome,
            rate: None,
        };
        if let (Ok(()), Some(cost)) = (outcome, asked.cost) {
            self.count_use(&mut judged, cost);
        }
        judged
    }

    /// Counts a use of what was judged good. Where its rate limit allows no more it is no use, and the outcome
    /// is [`Reason::RateLimited`].
    pub(crate) fn count_use(&self, judged: &mut Judged, cost: NonZeroU32) {
        let entry = &judged.known.entry;
        if let Some(limiter) = &entry.limiter {
            let counted = limiter.count(&entry.level, cost);
            judged.rate = Some(counted.unwrap_or_else(|state| state));
            judged.outcome = counted.map(|_| ()).map_err(|_| Reason::RateLimited);
        }
        if judged.outcome.is_ok() {
            self.0.uses.note(entry, judged.now);
        }
    }

    fn judging_time(&self, now: Timestamp) -> Timestamp {
        if self.0.settings.faults.has(crate::faults::Fault::EndsLate) {
            return Timestamp::from_micros(now.as_micros() - 1);
        }
        now
    }

    /// What was read of a credential, with its digest unsealed.
    pub(crate) fn facts(&self, found: FoundCredential) -> Result<LoadedFacts> {
        let credential = &found.credential;
        let digest = self
            .keyring()
            .unseal_digest(credential.id, &credential.sealed);
        let facts = digest.and_then(|digest| CredentialFacts::of(credential, digest));
        let facts = facts.ok_or_else(|| {
            Error::broken(format!(
                "the digest of credential {} does not unseal",
                credential.id
            ))
        })?;
        Ok(LoadedFacts {
            credential: facts,
            service_account: found.service_account,
            account: found.account,
        })
    }
}

/// One who may ask about other people's credentials, as far as their reach goes.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    pub(crate) reach: Reach,
    rate: Option<RateState>,
}

impl Asker {
    /// How much the asker may still ask, where that is limited.
    pub fn rate(&self) -> Option<RateState> {
        self.rate
    }
}

#[cold]
fn missing(permission: Permission) -> Error {
    let code = Code::PermissionMissing;
    symbolon_domain::Refusal::with(code, [("permission", permission.as_str().into())]).into()
}

/// What the holder of a credential that is not good is told at our own doors.
pub(crate) fn refused(reason: Reason, rate: Option<RateState>) -> Error {
    match (reason, rate) {
        (reason, _) if reason.is_unauthenticated() => Code::Unauthenticated.into(),
        (Reason::ContactUnconfirmed, _) => Code::ContactUnconfirmed.into(),
        (Reason::RateLimited, Some(rate)) => Error::RateLimited(rate),
        _ => Code::NotAllowedHere.into(),
    }
}

/// What ends this access token.
pub(crate) fn end_of(token: &AccessToken) -> RevokedAccessToken {
    RevokedAccessToken {
        id: token.id,
        expires_at: token.expires_at,
    }
}

/// Proven (the verdict got past the digest), and replaced by a rotation within the replay window, while
/// those it belongs to are in force, and it may be presented like this.
fn may_repeat(facts: Facts<'_>, evidence: Evidence<'_>, now: Timestamp) -> bool {
    let owner = facts.service_account;
    let owners_active = facts.account.status == AccountStatus::Active
        && owner.is_none_or(|it| it.state == OwnerState::Active);
    let is_basic = matches!(evidence, Evidence::Basic { .. });
    let presentable = is_basic == (facts.credential.kind == CredentialKind::Key)
        && (!is_basic || owner.is_some_and(|it| it.basic_auth_enabled));
    owners_active
        && presentable
        && facts.credential.state == CredentialState::Replaced
        && facts
            .credential
            .replaced_at
            .get()
            .is_some_and(|at| now < at.plus(limits::REPLAY_WINDOW))
}
