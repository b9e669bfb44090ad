//! The data plane: is this credential good, for this? Asked by gateways and services about what others
//! presented to them.

use crate::App;
use crate::authenticate::{Asked, Asker, Evidence, Judged};
use crate::error::Result;
use crate::limiter::RateState;
use std::net::IpAddr;
use std::num::NonZeroU32;
use symbolon_domain::verdict::{AccessToken, CredentialFacts, Presentation, ServiceAccountFacts};
use symbolon_domain::{AccountId, Code, EnvironmentId, Facts, Reach, Reason, Scope, Timestamp};

/// What is asked about a credential.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    pub evidence: Evidence<'a>,
    /// How a key's secret was presented; as a rule by Basic.
    pub presentation_of_key: Presentation,
    pub scopes: &'a [Scope],
    /// Whence it was presented to the one who asks.
    pub client_ip: Option<IpAddr>,
    pub environment: Option<EnvironmentId>,
    /// Whom an access token has to be meant for; `None` is this instance itself.
    pub audience: Option<&'a str>,
    /// How many uses this counts for.
    pub cost: NonZeroU32,
    /// Read from the database, whatever is remembered.
    pub fresh: bool,
}

/// What a gateway asks about a request that it holds back.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizeAsk<'a> {
    /// Whose credentials are good; may be left out while there is one account.
    pub account: Option<AccountId>,
    pub environment: Option<EnvironmentId>,
    pub scopes: &'a [Scope],
    pub audience: Option<&'a str>,
    pub client_ip: Option<IpAddr>,
    pub cost: NonZeroU32,
}

/// The answer. Of what is malformed or unknown it holds nothing.
pub struct Verified {
    pub now: Timestamp,
    outcome: std::result::Result<(), Reason>,
    judged: Option<Judged>,
}

/// The credential that was found, proven by what was presented.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub account: AccountId,
    pub environment: Option<EnvironmentId>,
    pub service_account: Option<&'a ServiceAccountFacts>,
    pub credential: &'a CredentialFacts,
    /// What speaks for a key.
    pub access_token: Option<&'a AccessToken>,
    /// The earliest of all its ends.
    pub expires_at: Option<Timestamp>,
    /// Rotated, and in its grace.
    pub retiring: bool,
    facts: Facts<'a>,
}

impl<'a> Subject<'a> {
    /// What it may do now.
    pub fn scopes(&self) -> impl Iterator<Item = &'a Scope> + use<'a> {
        let (facts, token) = (self.facts, self.access_token);
        // An access token's scopes where there is one: they lie within its key's, or did.
        let own = token.is_none().then(|| facts.scopes());
        let narrowed = token.map(|token| token.scopes.iter().filter(move |it| facts.covers(it)));
        own.into_iter()
            .flatten()
            .chain(narrowed.into_iter().flatten())
    }

    pub fn covers(&self, scope: &Scope) -> bool {
        self.facts.covers(scope) && self.access_token.is_none_or(|it| it.scopes.covers(scope))
    }
}

impl Verified {
    fn of(judged: Judged) -> Self {
        Self {
            now: judged.now,
            outcome: judged.outcome,
            // What is outside the asker's reach, or was not proven, is nothing to speak of.
            judged: (judged.outcome != Err(Reason::Unknown)).then_some(judged),
        }
    }

    /// Why not; `None` means that it is good.
    pub fn reason(&self) -> Option<Reason> {
        self.outcome.err()
    }

    /// `valid`, or the reason.
    pub fn code(&self) -> &'static str {
        self.reason().map_or("valid", Reason::as_str)
    }

    pub fn subject(&self) -> Option<Subject<'_>> {
        let judged = self.judged.as_ref()?;
        let (facts, token) = (judged.known.facts(), judged.access_token());
        let ends = [facts.ends_at(), token.map(|token| token.expires_at)];
        Some(Subject {
            account: facts.account.id,
            environment: facts.environment(),
            service_account: facts.service_account,
            credential: facts.credential,
            access_token: token,
            expires_at: ends.into_iter().flatten().min(),
            retiring: facts.credential.is_retiring(self.now),
            facts,
        })
    }

    /// Where its uses are limited, how many are left.
    pub fn rate(&self) -> Option<RateState> {
        self.judged.as_ref()?.rate
    }

    /// Which of the scopes that were asked for are missing; all of them where there is no subject.
    pub fn missing_scopes<'s>(&self, asked: &'s [Scope]) -> impl Iterator<Item = &'s Scope> {
        let subject = self.subject();
        asked
            .iter()
            .filter(move |scope| subject.is_none_or(|it| !it.covers(scope)))
    }
}

impl App {
    /// Whether a credential within the asker's reach is good for what is asked.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] when nobody can tell: never a yes or a no from facts too old.
    pub async fn verify(&self, asker: &Asker, ask: &Ask<'_>) -> Result<Verified> {
        let asked = Asked {
            reach: asker.reach,
            environment: ask.environment,
            audience: Some(ask.audience.unwrap_or(self.public_url())),
            client_ip: ask.client_ip,
            scopes: ask.scopes,
            cost: Some(ask.cost),
        };
        self.answer(ask.evidence, ask.presentation_of_key, ask.fresh, &asked)
            .await
    }

    /// Whether a credential within the asker's reach is in force, for whomever it is meant: the answer names
    /// its audience (RFC 7662). `client_ip` is whence it was presented to the one who asks. It is noted as a
    /// use; the credential's rate limit is neither looked at nor used up, as the answer has no word for it.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn introspect(
        &self,
        asker: &Asker,
        evidence: Evidence<'_>,
        client_ip: Option<IpAddr>,
    ) -> Result<Verified> {
        let asked = Asked {
            reach: asker.reach,
            environment: None,
            audience: None,
            client_ip,
            scopes: &[],
            cost: None,
        };
        let verified = self
            .answer(evidence, Presentation::Basic, false, &asked)
            .await?;
        if let (None, Some(judged)) = (verified.reason(), &verified.judged) {
            self.0.uses.note(&judged.known.entry, judged.now);
        }
        Ok(verified)
    }

    async fn answer(
        &self,
        evidence: Evidence<'_>,
        presentation_of_key: Presentation,
        fresh: bool,
        asked: &Asked<'_>,
    ) -> Result<Verified> {
        let held = self.hold(evidence, presentation_of_key, fresh).await?;
        let Some(held) = held else {
            return Ok(self.nothing(nothing(evidence)));
        };
        let verified = Verified::of(self.judge(held, asked));
        self.0.verdicts.count(verified.reason());
        Ok(verified)
    }

    /// Whether the credential that a request carries opens what a gateway guards. Nobody asks but the
    /// request itself, so it learns no reason before it has proved itself.
    ///
    /// # Errors
    /// [`Code::AccountRequired`] without an account where there are several;
    /// [`crate::Error::Unavailable`] when nobody can tell.
    pub async fn authorize(
        &self,
        evidence: Option<Evidence<'_>>,
        ask: &AuthorizeAsk<'_>,
    ) -> Result<Verified> {
        // Whatever was presented, so that the error does not tell whether it is a credential.
        let account = match ask.account {
            Some(account) => account,
            None => self.sole_account().await?.ok_or(Code::AccountRequired)?,
        };
        let Some(evidence) = evidence else {
            return Ok(self.nothing(Reason::Malformed));
        };
        let asked = Asked {
            reach: Reach::Account(account),
            environment: ask.environment,
            audience: Some(ask.audience.unwrap_or(self.public_url())),
            client_ip: ask.client_ip,
            scopes: ask.scopes,
            cost: Some(ask.cost),
        };
        self.answer(evidence, Presentation::Basic, false, &asked)
            .await
    }

    /// A verdict on what names nothing.
    fn nothing(&self, reason: Reason) -> Verified {
        self.0.verdicts.count(Some(reason));
        Verified {
            now: self.now(),
            outcome: Err(reason),
            judged: None,
        }
    }
}

/// What names nothing is malformed if no credential of ours looks like it.
fn nothing(evidence: Evidence<'_>) -> Reason {
    if evidence.is_well_formed() {
        Reason::Unknown
    } else {
        Reason::Malformed
    }
}

/// Verdicts given, by reason: handles are made once, not at each of them.
pub(crate) struct Verdicts(Vec<std::sync::OnceLock<metrics::Counter>>);

impl Default for Verdicts {
    fn default() -> Self {
        Self(
            (0..=Reason::ALL.len())
                .map(|_| Default::default())
                .collect(),
        )
    }
}

impl Verdicts {
    fn count(&self, reason: Option<Reason>) {
        let (at, code) = match reason {
            Some(reason) => (1 + reason as usize, reason.as_str()),
            None => (0, "valid"),
        };
        if let Some(counter) = self.0.get(at) {
            counter
                .get_or_init(|| metrics::counter!("symbolon_verdicts_total", "code" => code))
                .increment(1);
        }
    }
}
