//! Access tokens (RFC 9068): a key's assertion (RFC 7523) in, a short-lived signed token out. They are no
//! rows; what they may do is judged at each use by their key's state.

use crate::App;
use crate::authenticate::Credentials;
use crate::error::Error;
use crate::jose::{BadClaim, JWS_MAX, Parsed};
use crate::signing_keys::ACCESS_TOKEN;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use symbolon_domain::id::uuid_v7;
use symbolon_domain::verdict::{Presentation, Proof};
use symbolon_domain::{
    Digest, Facts, Minted, Presented, Question, Reach, Reason, ScopeSet, Timestamp, limits, verdict,
};

/// The longest `jti` of an assertion, in characters.
const JTI_MAX: usize = 255;
/// Targets of one access token.
const RESOURCES_MAX: usize = 10;
/// The longest target, in bytes.
const RESOURCE_MAX: usize = 500;

/// What a token request by assertion asks for.
#[derive(Debug)]
pub struct AssertionGrant<'a> {
    pub assertion: &'a Presented,
    /// The path of the token endpoint that was asked: what the assertion's `aud` has to end with.
    pub endpoint_path: &'a str,
    /// `None` asks for all that the key may do.
    pub scopes: Option<ScopeSet>,
    /// RFC 8707: whom the access token is for instead of us.
    pub resources: Vec<String>,
    /// Client credentials that came along (RFC 7523 §3.1): they have to be the same key's.
    pub client: Option<Credentials>,
}

/// Why a token request failed, as RFC 6749 §5.2 and RFC 8707 §2 divide it. Descriptions name no state.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OAuthFault {
    #[error("invalid_client")]
    InvalidClient,
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

type Result<T, E = OAuthFault> = std::result::Result<T, E>;

impl App {
    /// Exchanges an assertion for an access token.
    ///
    /// # Errors
    /// [`OAuthFault::InvalidClient`] for client credentials that are not the asserting key's;
    /// [`OAuthFault::InvalidGrant`] for whatever is wrong with the assertion or its key;
    /// [`OAuthFault::InvalidScope`] and [`OAuthFault::InvalidTarget`]; [`OAuthFault::Failed`] when nobody
    /// can tell.
    pub async fn exchange_assertion(&self, grant: AssertionGrant<'_>) -> Result<IssuedAccessToken> {
        let now = self.now();
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
        let facts = key.map(|(facts, _)| facts);
        if let Some(client) = client
            && !facts.as_ref().is_some_and(|facts| client.is(facts))
        {
            return Err(OAuthFault::InvalidClient);
        }
        let facts = facts.filter(|_| signed).ok_or(NOT_ACCEPTED)?;
        judge(&facts, now)?;
        let audience = format!("{}{}", self.public_url(), grant.endpoint_path);
        let expires_at = self.check_claims(&assertion, &facts, &audience, now)?;

        let granted = facts.scopes();
        let scopes = grant.scopes.unwrap_or_else(|| granted.clone());
        if !granted.covers_all(&scopes) {
            return Err(OAuthFault::InvalidScope);
        }
        let audience = self.audience_of(grant.resources)?;
        let issued = self
            .write_access_token(&facts, scopes, audience, now)
            .await?;
        // Used up only by what succeeds: a request that was refused may be corrected and repeated.
        self.claim_jti(&assertion, &facts, expires_at).await?;
        self.0.uses.note(facts.credential.id, now);
        Ok(issued)
    }

    /// The key with this id, and its secret.
    async fn asserting_key(&self, kid: &str) -> Result<Option<(Facts, Minted)>> {
        if !crate::authenticate::is_public_id(kid) {
            return Ok(None);
        }
        let Some(found) = self.store().find_by_public_id(kid).await? else {
            return Ok(None);
        };
        let id = found.credential.id;
        // Only keys have one.
        let Some(sealed) = found.credential.sealed_secret.clone() else {
            return Ok(None);
        };
        let secret = self.keyring().unseal_secret(id, &sealed).ok_or_else(|| {
            Error::broken(format!("the secret of credential {id} does not unseal"))
        })?;
        Ok(Some((self.facts(found)?, secret)))
    }

    /// Checks what a proven assertion says; answers when it ends.
    fn check_claims(
        &self,
        assertion: &Parsed<'_>,
        facts: &Facts,
        audience: &str,
        now: Timestamp,
    ) -> Result<Timestamp> {
        let fault = |text| Err(OAuthFault::InvalidGrant(text));
        let subject = facts.service_account.as_ref().map(|it| it.id.to_string());
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
        facts: &Facts,
        scopes: ScopeSet,
        audience: Vec<String>,
        now: Timestamp,
    ) -> Result<IssuedAccessToken> {
        let Some(owner) = &facts.service_account else {
            return Err(NOT_ACCEPTED);
        };
        let policy_end = facts
            .account
            .max_lifetime
            .map(|max| facts.credential.created_at.plus(max));
        let ends = [facts.credential.ends_at, policy_end];
        let end = ends
            .into_iter()
            .flatten()
            .fold(now.plus(limits::ACCESS_TOKEN_LIFE), Timestamp::min);
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
        let claims = Map::from_iter([
            ("sub".to_owned(), owner.id.to_string().into()),
            (
                "client_id".into(),
                facts.credential.public_id.clone().into(),
            ),
            ("aud".into(), audience),
            ("iat".into(), iat.into()),
            ("exp".into(), exp.into()),
            ("jti".into(), jti.to_string().into()),
            ("scope".into(), scopes.to_string().into()),
        ]);
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

    /// An assertion with a `jti` works once.
    async fn claim_jti(
        &self,
        assertion: &Parsed<'_>,
        facts: &Facts,
        expires_at: Timestamp,
    ) -> Result<()> {
        let (Ok(Some(jti)), Some(owner)) = (assertion.text("jti"), &facts.service_account) else {
            return Ok(());
        };
        let hash: [u8; 32] = Sha256::digest(jti.as_bytes()).into();
        let until = expires_at.plus(limits::CLOCK_LEEWAY);
        if self.store().claim_assertion(owner.id, &hash, until).await? {
            Ok(())
        } else {
            Err(OAuthFault::InvalidGrant("The jti was used before."))
        }
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

    fn is(&self, facts: &Facts) -> bool {
        let proven = facts.credential.digest == self.digest;
        proven && facts.credential.public_id == self.key_id
    }
}

/// Whether the key is in force.
fn judge(facts: &Facts, now: Timestamp) -> Result<()> {
    let question = Question {
        now,
        proof: Proof::Assertion,
        presentation: Presentation::Bearer,
        reach: Reach::Instance,
        environment: None,
        audience: None,
        scopes: &[],
    };
    match verdict(facts, &question) {
        Ok(()) => Ok(()),
        Err(Reason::ContactUnconfirmed) => Err(OAuthFault::InvalidGrant(
            "A contact of the service account has to be confirmed first.",
        )),
        Err(_) => Err(NOT_ACCEPTED),
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
