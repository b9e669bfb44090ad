//! From presented credentials to an actor: parse, look up, compare, decide, note the use.

use crate::App;
use crate::actor::{Actor, Origin};
use crate::error::{Error, Result};
use crate::jose::Parsed;
use crate::signing_keys::{ACCESS_TOKEN, API_TOKEN};
use symbolon_domain::change::RevokedAccessToken;
use symbolon_domain::credential::{CredentialStatus, RevokeReason};
use symbolon_domain::verdict::{AccessToken, CredentialFacts, Presentation, Proof};
use symbolon_domain::{
    AccountStatus, Code, CredentialKind, Digest, Facts, Presented, Question, Reach, Reason,
    ScopeSet, ServiceAccountStatus, Timestamp, limits, token_text, verdict,
};
use symbolon_store::FoundCredential;
use uuid::Uuid;

/// What a request brought to prove who asks.
#[derive(Debug)]
pub enum Credentials {
    /// An opaque token, a JWT credential, or an access token.
    Bearer(Presented),
    /// A key: its id, and its secret.
    Basic { key_id: String, secret: Presented },
}

/// What was presented, looked up. Nothing is judged yet.
struct Held {
    facts: Facts,
    proof: HeldProof,
    presentation: Presentation,
}

enum HeldProof {
    Secret(Digest),
    AccessToken(AccessToken),
}

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
        presented: &Credentials,
        _origin: Origin,
        idempotency_key: Option<&str>,
    ) -> Result<Actor> {
        let unauthenticated = || Error::from(Code::Unauthenticated);
        let held = self.look_up(presented).await?.ok_or_else(unauthenticated)?;
        let (facts, now) = (held.facts, self.now());
        let question = Question {
            now,
            proof: match &held.proof {
                HeldProof::Secret(digest) => Proof::Secret(*digest),
                HeldProof::AccessToken(token) => Proof::AccessToken(token),
            },
            presentation: held.presentation,
            reach: Reach::Instance,
            environment: None,
            // Our own doors are ours alone.
            audience: Some(self.public_url()),
            scopes: &[],
        };
        match (verdict(&facts, &question), &held.proof) {
            (Ok(()), proof) => {
                self.0.uses.note(facts.credential.id, now);
                Ok(match proof {
                    HeldProof::Secret(_) => Actor::holder(&facts),
                    HeldProof::AccessToken(token) => {
                        let end = RevokedAccessToken {
                            id: token.id,
                            expires_at: token.expires_at,
                        };
                        Actor::bearer(&facts.narrowed(&token.scopes), end)
                    }
                })
            }
            (Err(Reason::Revoked), HeldProof::Secret(_)) => match idempotency_key {
                Some(key) if may_repeat(&facts, held.presentation, now) => {
                    let actor = Actor::replaying(&facts);
                    if self.store().has_saved(actor.by(), key, now).await? {
                        Ok(actor)
                    } else {
                        Err(unauthenticated())
                    }
                }
                _ => Err(unauthenticated()),
            },
            (Err(reason), _) if reason.is_unauthenticated() => Err(unauthenticated()),
            (Err(Reason::ContactUnconfirmed), _) => Err(Code::ContactUnconfirmed.into()),
            (Err(Reason::RateLimited), _) => Err(Code::RateLimited.into()),
            (Err(_), _) => Err(Code::NotAllowedHere.into()),
        }
    }

    /// Finds what the presented text names; `None` for whatever names nothing.
    async fn look_up(&self, presented: &Credentials) -> Result<Option<Held>> {
        match presented {
            Credentials::Basic { key_id, secret } => {
                self.by_secret(key_id, secret, Presentation::Basic).await
            }
            Credentials::Bearer(secret) => {
                if let Some(text) = token_text::parse(secret.as_str()) {
                    return self
                        .by_secret(text.public_id, secret, Presentation::Bearer)
                        .await;
                }
                // Junk dies here, with no look-up.
                let Some(jwt) = Parsed::read(secret.as_str()) else {
                    return Ok(None);
                };
                match jwt.typ.as_deref() {
                    Some(API_TOKEN) if jwt.has_alg("EdDSA") => {
                        let Ok(Some(jti)) = jwt.text("jti") else {
                            return Ok(None);
                        };
                        let held = self.by_secret(jti, secret, Presentation::Bearer).await?;
                        Ok(held.filter(|it| it.facts.credential.kind == CredentialKind::Jwt))
                    }
                    Some(ACCESS_TOKEN) => self.by_access_token(&jwt).await,
                    _ => Ok(None),
                }
            }
        }
    }

    async fn by_secret(
        &self,
        public_id: &str,
        secret: &Presented,
        presentation: Presentation,
    ) -> Result<Option<Held>> {
        // Computed before anything is known about the credential, so that timing says nothing.
        let digest = secret.digest();
        Ok(self.facts_of(public_id).await?.map(|facts| Held {
            facts,
            proof: HeldProof::Secret(digest),
            presentation,
        }))
    }

    async fn by_access_token(&self, jwt: &Parsed<'_>) -> Result<Option<Held>> {
        let Some(kid) = &jwt.kid else {
            return Ok(None);
        };
        let Some(public_key) = self.public_key(kid).await? else {
            return Ok(None);
        };
        if !jwt.verify_eddsa(&public_key) {
            return Ok(None);
        }
        let Some(claims) = AccessTokenClaims::read(jwt) else {
            return Ok(None);
        };
        let early = self.now().plus(limits::CLOCK_LEEWAY) < claims.issued_at;
        if claims.issuer != self.public_url() || early {
            return Ok(None);
        }
        let Some(facts) = self.facts_of(claims.client_id).await? else {
            return Ok(None);
        };
        let subject = facts.service_account.as_ref().map(|it| it.id.to_string());
        if subject.as_deref() != Some(claims.subject) {
            return Ok(None);
        }
        let token = AccessToken {
            id: claims.id,
            audience: claims.audience,
            scopes: claims.scopes,
            expires_at: claims.expires_at,
            revoked: self.store().is_access_token_revoked(claims.id).await?,
        };
        Ok(Some(Held {
            facts,
            proof: HeldProof::AccessToken(token),
            presentation: Presentation::Bearer,
        }))
    }

    /// The facts about the credential with this public id, if it can be one.
    pub(crate) async fn facts_of(&self, public_id: &str) -> Result<Option<Facts>> {
        if !is_public_id(public_id) {
            return Ok(None);
        }
        let found = self.store().find_by_public_id(public_id).await?;
        found.map(|it| self.facts(it)).transpose()
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
                inherits_scopes: credential.inherits_scopes,
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

/// The claims that each of our access tokens has (RFC 9068 §2.2).
struct AccessTokenClaims<'a> {
    id: Uuid,
    issuer: &'a str,
    subject: &'a str,
    client_id: &'a str,
    audience: Vec<String>,
    scopes: ScopeSet,
    issued_at: Timestamp,
    expires_at: Timestamp,
}

impl<'a> AccessTokenClaims<'a> {
    fn read(jwt: &'a Parsed<'_>) -> Option<Self> {
        let text = |name| jwt.text(name).ok().flatten();
        let audience = jwt.audiences().ok()?;
        Some(Self {
            id: Uuid::try_parse(text("jti")?).ok()?,
            issuer: text("iss")?,
            subject: text("sub")?,
            client_id: text("client_id")?,
            audience: audience.into_iter().map(str::to_owned).collect(),
            scopes: ScopeSet::parse(text("scope")?).ok()?,
            issued_at: jwt.instant("iat").ok().flatten()?,
            expires_at: jwt.instant("exp").ok().flatten()?,
        })
    }
}

pub(crate) fn is_public_id(text: &str) -> bool {
    text.len() == token_text::PUBLIC_ID_LEN && text.bytes().all(|it| it.is_ascii_alphanumeric())
}

/// Proven (the verdict got past the digest), and replaced by a rotation within the replay window, while
/// those it belongs to are in force, and it may be presented like this.
fn may_repeat(facts: &Facts, presentation: Presentation, now: Timestamp) -> bool {
    let owner = facts.service_account.as_ref();
    let owners_active = facts.account.status == AccountStatus::Active
        && owner.is_none_or(|it| it.status == ServiceAccountStatus::Active);
    let is_basic = presentation == Presentation::Basic;
    let presentable = is_basic == (facts.credential.kind == CredentialKind::Key)
        && (!is_basic || owner.is_some_and(|it| it.basic_auth_enabled));
    owners_active
        && presentable
        && matches!(facts.credential.status, CredentialStatus::Revoked { at, reason: RevokeReason::Rotated, .. } if now < at.plus(limits::REPLAY_WINDOW))
}
