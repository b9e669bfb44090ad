//! Access tokens (RFC 9068): a key's client credentials (RFC 6749 §4.4) or its assertion (RFC 7523) in, a
//! short-lived signed token out. They are no rows; what they may do is judged at each use by their key's
//! state.

use crate::App;
use crate::actor::Origin;
use crate::authenticate::{Asked, Credentials, Evidence, Held, Judged};
use crate::error::Error;
use crate::jose::{BadClaim, JWS_MAX, Parsed};
use crate::signing_keys::ACCESS_TOKEN;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use symbolon_domain::id::uuid_v7;
use symbolon_domain::verdict::{CredentialFacts, Presentation};
use symbolon_domain::{
    Code, CredentialKind, Digest, Facts, Minted, Presented, PublicId, Reach, Reason, ScopeSet,
    ServiceAccountId, Timestamp, limits,
};

/// The longest `jti` of an assertion, in characters.
const JTI_MAX: usize = 255;
/// Targets of one access token.
const RESOURCES_MAX: usize = 10;
/// The longest target, in bytes.
const RESOURCE_MAX: usize = 500;

/// What a token request asks for, whatever it proves itself with.
#[derive(Debug, Default)]
pub struct Wanted {
    /// `None` asks for all that the key may do.
    pub scopes: Option<ScopeSet>,
    /// RFC 8707: whom the access token is for instead of us.
    pub resources: Vec<String>,
    /// Whence the request came.
    pub client_ip: Option<IpAddr>,
}

/// A token request by assertion.
#[derive(Debug)]
pub struct AssertionGrant<'a> {
    pub assertion: &'a Presented,
    /// The path of the token endpoint that was asked: what the assertion's `aud` has to end with.
    pub endpoint_path: &'a str,
    /// Client credentials that came along (RFC 7523 §3.1): they have to be the same key's.
    pub client: Option<Credentials>,
    pub wanted: Wanted,
}

/// Why a token request failed, as RFC 6749 §5.2 and RFC 8707 §2 divide it. Descriptions name no state.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OAuthFault {
    #[error("invalid_client")]
    InvalidClient,
    /// The client is who it says; its credentials are not for this.
    #[error("unauthorized_client: {0}")]
    UnauthorizedClient(&'static str),
    #[error("invalid_grant: {0}")]
    InvalidGrant(&'static str),
    #[error("invalid_scope")]
    InvalidScope,
    #[error("invalid_target")]
    InvalidTarget,
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<symbolon_store::Error> for OAuthFault {
    fn from(error: symbolon_store::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// An access token just made.
#[derive(Debug)]
pub struct IssuedAccessToken {
    pub token: Minted,
    /// Whole seconds.
    pub expires_in: Duration,
    pub scopes: ScopeSet,
}

/// One description for everything that is found before the signature was, and for a key that is out of
/// force: whoever does not hold a good key learns nothing about it.
const NOT_ACCEPTED: OAuthFault = OAuthFault::InvalidGrant("The assertion is not accepted.");

const UNCONFIRMED: &str = "A contact of the service account has to be confirmed first.";
const ELSEWHERE: &str = "The key may not be used from this address.";

type Result<T, E = OAuthFault> = std::result::Result<T, E>;

impl App {
    /// Exchanges a key's id and secret for an access token.
    ///
    /// # Errors
    /// [`OAuthFault::InvalidClient`] for all but a key in force and its secret;
    /// [`OAuthFault::UnauthorizedClient`] for one that may not be used like this;
    /// [`OAuthFault::InvalidScope`] and [`OAuthFault::InvalidTarget`]; [`OAuthFault::Failed`] when nobody
    /// can tell, and where the key was used too often.
    pub async fn exchange_client_credentials(
        &self,
        client: Evidence<'_>,
        wanted: Wanted,
    ) -> Result<IssuedAccessToken> {
        let origin = Origin {
            client_ip: wanted.client_ip,
            ..Origin::default()
        };
        let judged = self.judge_own(client, Presentation::Client, origin);
        let judged = judged.await.map_err(|error| match error.code() {
            Code::Unauthenticated => OAuthFault::InvalidClient,
            _ => error.into(),
        })?;
        if let Err(reason) = judged.outcome {
            return Err(match (reason, judged.rate) {
                (Reason::ContactUnconfirmed, _) => OAuthFault::UnauthorizedClient(UNCONFIRMED),
                (Reason::IpNotAllowed, _) => OAuthFault::UnauthorizedClient(ELSEWHERE),
                (Reason::RateLimited, Some(rate)) => Error::RateLimited(rate).into(),
                _ => OAuthFault::InvalidClient,
            });
        }
        // No bearer token is a client, however good it is.
        let facts = judged.known.facts();
        if facts.credential.kind != CredentialKind::Key || judged.access_token().is_some() {
            return Err(OAuthFault::InvalidClient);
        }
        self.grant(facts, wanted, judged.now).await
    }

    /// Exchanges an assertion for an access token.
    ///
    /// # Errors
    /// [`OAuthFault::InvalidClient`] for client credentials that are not the asserting key's;
    /// [`OAuthFault::InvalidGrant`] for whatever is wrong with the assertion or its key;
    /// [`OAuthFault::InvalidScope`] and [`OAuthFault::InvalidTarget`]; [`OAuthFault::Failed`] when nobody
    /// can tell, and where the key was used too often.
    pub async fn exchange_assertion(&self, grant: AssertionGrant<'_>) -> Result<IssuedAccessToken> {
        let assertion = Parsed::read(grant.assertion.as_str()).ok_or(NOT_ACCEPTED)?;
        // Ours, which are no assertions, have a `typ` of their own.
        let is_assertion = assertion
            .typ
            .as_deref()
            .is_none_or(|typ| typ.eq_ignore_ascii_case("JWT") || typ == "authorization-grant+jwt");
        let kid = assertion.kid.as_deref().filter(|_| is_assertion);
        let kid = kid.ok_or(NOT_ACCEPTED)?;
        // Computed before anything is known about the key.
        let client = grant.client.as_ref().map(ClientSecret::of);
        let key = self.asserting_key(kid).await?;
        let secret = key.as_ref().map_or(NOBODYS, |(_, secret)| secret.reveal());
        let signed = assertion.verify_hs256(secret.as_bytes());
        let held = key.map(|(held, _)| held);
        if let Some(client) = client
            && !held.as_ref().is_some_and(|it| client.is(it.credential()))
        {
            return Err(OAuthFault::InvalidClient);
        }
        let held = held.filter(|_| signed).ok_or(NOT_ACCEPTED)?;
        let asked = Asked {
            reach: Reach::Instance,
            environment: None,
            audience: None,
            client_ip: grant.wanted.client_ip,
            scopes: &[],
            cost: None,
        };
        let mut judged = self.judge(held, &asked);
        in_force(&judged)?;
        let now = judged.now;
        let audience = format!("{}{}", self.public_url(), grant.endpoint_path);
        let expires_at = self.check_claims(&assertion, judged.known.facts(), &audience, now)?;
        let jti = Jti::of(&assertion, judged.known.facts());
        if let Some(jti) = &jti {
            self.ensure_unused(jti).await?;
        }
        // Not before: what somebody else once signed, and its time is over or its one use, must neither use
        // up the key's rate nor look like a use of the key.
        self.count_use(&mut judged, NonZeroU32::MIN);
        in_force(&judged)?;
        let issued = self.grant(judged.known.facts(), grant.wanted, now).await?;
        // Used up only by what succeeds: a request that was refused may be corrected and repeated.
        if let Some(jti) = &jti {
            self.claim(jti, expires_at).await?;
        }
        Ok(issued)
    }

    /// The key with this id, and its secret, which is read at each use and not remembered.
    async fn asserting_key(&self, kid: &str) -> Result<Option<(Held, Minted)>> {
        let Some(public_id) = PublicId::parse(kid) else {
            return Ok(None);
        };
        let Some(found) = self.store().find_by_public_id(kid).await? else {
            return Ok(None);
        };
        let id = found.credential.id;
        // Only keys have one.
        let Some(sealed) = found.credential.sealed_secret else {
            return Ok(None);
        };
        let secret = self.keyring().unseal_secret(id, &sealed).ok_or_else(|| {
            Error::broken(format!("the secret of credential {id} does not unseal"))
        })?;
        let held = self.hold_asserting(public_id).await?;
        Ok(held.map(|held| (held, secret)))
    }

    /// The access token for a key that has proved itself.
    async fn grant(
        &self,
        facts: Facts<'_>,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<IssuedAccessToken> {
        let granted: ScopeSet = facts.scopes().cloned().collect();
        let scopes = wanted.scopes.unwrap_or_else(|| granted.clone());
        if !granted.covers_all(&scopes) {
            return Err(OAuthFault::InvalidScope);
        }
        let audience = self.audience_of(wanted.resources)?;
        self.write_access_token(facts, scopes, audience, now).await
    }

    /// Checks what a proven assertion says; answers when it ends.
    fn check_claims(
        &self,
        assertion: &Parsed<'_>,
        facts: Facts<'_>,
        audience: &str,
        now: Timestamp,
    ) -> Result<Timestamp> {
        let fault = |text| Err(OAuthFault::InvalidGrant(text));
        let subject = facts.service_account.map(|it| it.id.to_string());
        let names_it = |claim| subject.is_some() && assertion.text(claim) == Ok(subject.as_deref());
        if !names_it("iss") {
            return fault("iss has to be the id of the key's service account.");
        }
        if !names_it("sub") {
            return fault("sub has to be the id of the key's service account.");
        }
        if assertion.audiences() != Ok(vec![audience]) {
            return fault("aud has to be the URL of this token endpoint, and nothing else.");
        }
        let soon = now.plus(limits::CLOCK_LEEWAY);
        let Ok(Some(exp)) = assertion.instant("exp") else {
            return fault("exp is required, in seconds since 1970.");
        };
        if now >= exp.plus(limits::CLOCK_LEEWAY) {
            return fault("The assertion has expired.");
        }
        if exp > soon.plus(limits::ASSERTION_LIFE_MAX) {
            return fault("exp lies more than an hour ahead.");
        }
        for claim in ["nbf", "iat"] {
            match assertion.instant(claim) {
                Err(BadClaim) => return fault("nbf and iat are seconds since 1970."),
                Ok(Some(start)) if start > soon => {
                    return fault("The assertion is not valid yet: nbf or iat lies ahead.");
                }
                Ok(_) => {}
            }
        }
        match assertion.text("jti") {
            Ok(None) => {}
            Ok(Some(jti)) if (1..=JTI_MAX).contains(&jti.chars().count()) => {}
            _ => return fault("jti is a text of 1 to 255 characters."),
        }
        Ok(exp)
    }

    /// `aud` of the access token: us, or what was asked for.
    fn audience_of(&self, resources: Vec<String>) -> Result<Vec<String>> {
        if resources.is_empty() {
            return Ok(vec![self.public_url().to_owned()]);
        }
        if resources.len() > RESOURCES_MAX || !resources.iter().all(|it| is_absolute_uri(it)) {
            return Err(OAuthFault::InvalidTarget);
        }
        let mut audience: Vec<String> = Vec::with_capacity(resources.len());
        for resource in resources {
            if !audience.contains(&resource) {
                audience.push(resource);
            }
        }
        Ok(audience)
    }

    async fn write_access_token(
        &self,
        facts: Facts<'_>,
        scopes: ScopeSet,
        audience: Vec<String>,
        now: Timestamp,
    ) -> Result<IssuedAccessToken> {
        let owner = facts.service_account;
        let owner = owner.ok_or_else(|| Error::broken("a key belongs to no service account"))?;
        let longest = now.plus(limits::ACCESS_TOKEN_LIFE);
        let end = facts.ends_at().map_or(longest, |end| end.min(longest));
        let (iat, exp) = (now.as_seconds(), end.as_seconds());
        let life = u64::try_from(exp - iat).unwrap_or(0);
        if life == 0 {
            return Err(OAuthFault::InvalidGrant("The key is about to end."));
        }
        let jti = uuid_v7(now, &mut *self.dice());
        let signer = self.signer().await?;
        let audience = match <[String; 1]>::try_from(audience) {
            Ok([one]) => Value::String(one),
            Err(many) => many.into(),
        };
        let mut claims = Map::from_iter([
            ("sub".to_owned(), owner.id.to_string().into()),
            (
                "client_id".into(),
                facts.credential.public_id.as_str().into(),
            ),
            ("aud".into(), audience),
            ("iat".into(), iat.into()),
            ("exp".into(), exp.into()),
            ("jti".into(), jti.to_string().into()),
        ]);
        if !scopes.is_empty() {
            // RFC 6749 §3.3 has no word for none.
            claims.insert("scope".into(), scopes.to_string().into());
        }
        let token = signer.sign(ACCESS_TOKEN, claims);
        if token.reveal().len() > JWS_MAX {
            // More scopes than fit a header: some of them have to be asked for by name.
            return Err(OAuthFault::InvalidScope);
        }
        Ok(IssuedAccessToken {
            token,
            expires_in: Duration::from_secs(life),
            scopes,
        })
    }

    async fn ensure_unused(&self, jti: &Jti) -> Result<()> {
        match self
            .store()
            .is_assertion_used(jti.issuer, &jti.hash)
            .await?
        {
            false => Ok(()),
            true => Err(USED_BEFORE),
        }
    }

    /// An assertion with a `jti` works once: of those who bring it at the same time, for one of them.
    async fn claim(&self, jti: &Jti, expires_at: Timestamp) -> Result<()> {
        let until = expires_at.plus(limits::CLOCK_LEEWAY);
        let store = self.store();
        match store.claim_assertion(jti.issuer, &jti.hash, until).await? {
            true => Ok(()),
            false => Err(USED_BEFORE),
        }
    }
}

const USED_BEFORE: OAuthFault = OAuthFault::InvalidGrant("The jti was used before.");

/// What an assertion calls itself, in its issuer's eyes.
struct Jti {
    issuer: ServiceAccountId,
    /// SHA-256 of its text.
    hash: [u8; 32],
}

impl Jti {
    /// `None` for an assertion without one, which works more than once.
    fn of(assertion: &Parsed<'_>, facts: Facts<'_>) -> Option<Self> {
        let text = assertion.text("jti").ok().flatten()?;
        Some(Self {
            issuer: facts.service_account?.id,
            hash: Sha256::digest(text.as_bytes()).into(),
        })
    }
}

/// Compared with where there is no key, so that the work is the same.
const NOBODYS: &str = "sym_0000000000000000_0000000000000000000000000000000000000000000000000";

/// Client credentials, hashed before the key was looked up.
struct ClientSecret<'a> {
    key_id: &'a str,
    digest: Digest,
}

impl<'a> ClientSecret<'a> {
    /// What comes as Bearer is no client authentication, and matches no key.
    fn of(client: &'a Credentials) -> Self {
        match client {
            Credentials::Basic { key_id, secret } => Self {
                key_id,
                digest: secret.digest(),
            },
            Credentials::Bearer(secret) => Self {
                key_id: "",
                digest: secret.digest(),
            },
        }
    }

    fn is(&self, key: &CredentialFacts) -> bool {
        let proven = key.digest == self.digest;
        proven && key.public_id.as_str() == self.key_id
    }
}

/// Whether a key that has signed an assertion is in force.
fn in_force(judged: &Judged) -> Result<()> {
    match (judged.outcome, judged.rate) {
        (Ok(()), _) => Ok(()),
        (Err(Reason::ContactUnconfirmed), _) => Err(OAuthFault::InvalidGrant(UNCONFIRMED)),
        (Err(Reason::IpNotAllowed), _) => Err(OAuthFault::InvalidGrant(ELSEWHERE)),
        (Err(Reason::RateLimited), Some(rate)) => Err(Error::RateLimited(rate).into()),
        (Err(_), _) => Err(NOT_ACCEPTED),
    }
}

/// RFC 8707 §2: an absolute URI without a fragment.
fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let mut letters = scheme.bytes();
    let scheme_ok = letters.next().is_some_and(|it| it.is_ascii_alphabetic())
        && letters.all(|it| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'-' | b'.'));
    let legal = |it: u8| {
        it.is_ascii_graphic()
            && !matches!(
                it,
                b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
            )
    };
    let named = match rest.strip_prefix("//") {
        Some(authority) => !matches!(authority.as_bytes().first(), None | Some(b'/' | b'?')),
        None => !matches!(scheme, "http" | "https") && !rest.is_empty(),
    };
    text.len() <= RESOURCE_MAX && scheme_ok && named && rest.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_absolute_uris_without_fragment() {
        for good in [
            "https://api.example.com",
            "https://api.example.com:8443/a/b?x=%20y",
            "urn:example:api",
            "api://default",
            "http://[::1]:80/",
        ] {
            assert!(is_absolute_uri(good), "{good}");
        }
        for bad in [
            "",
            "api.example.com",
            "/path",
            "//host",
            "https:",
            "https://",
            "https:///path",
            "https:path",
            "urn:",
            ":x",
            "1a:b",
            "https://a/#",
            "https://a/#b",
            "https://a b",
            "https://a\n",
            "https://é",
            "https://a/{b}",
            &format!("https://{}", "a".repeat(500)),
        ] {
            assert!(!is_absolute_uri(bad), "{bad}");
        }
    }

    #[test]
    fn nobodys_secret_costs_what_a_keys_does() {
        let mut dice = symbolon_domain::dice::SeededDice::new(1);
        let seed = symbolon_domain::token_text::TokenSeed::draw(&mut dice);
        let real = seed.write(&Default::default());
        assert_eq!(NOBODYS.len(), real.reveal().len());
        // Over 64 bytes, HMAC hashes its key first: once for both.
        assert!(NOBODYS.len() > 64);
    }
}
