//! What is kept of one credential, one access token, one owner.

use crate::limiter::{Level, Limiter};
use arc_swap::{ArcSwap, Guard};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32};
use symbolon_domain::change::FeedKind;
use symbolon_domain::verdict::{AccessToken, AccountFacts, CredentialFacts, ServiceAccountFacts};
use symbolon_domain::{Facts, PublicId};
use uuid::Uuid;

/// Facts that many credentials have in common: replacing them here replaces them for all.
pub(crate) struct Shared<T>(ArcSwap<T>);

impl<T> Shared<T> {
    pub fn new(facts: Arc<T>) -> Self {
        Self(ArcSwap::new(facts))
    }

    pub fn read(&self) -> Guard<Arc<T>> {
        self.0.load()
    }

    pub fn set(&self, facts: Arc<T>) {
        self.0.store(facts);
    }
}

/// A credential's facts, with what this process counts about it.
pub(crate) struct Cached {
    pub facts: CredentialFacts,
    pub account: Arc<Shared<AccountFacts>>,
    pub service_account: Option<Arc<Shared<ServiceAccountFacts>>>,
    /// Where its uses are limited: all credentials with the same rate share it.
    pub limiter: Option<Arc<Limiter>>,
    pub level: Level,
    /// The last use, in microseconds, and how many were not written yet.
    pub last_used: AtomicI64,
    pub pending_uses: AtomicU32,
}

impl Cached {
    /// The same facts with counts of their own. `None` where uses are limited: those have to be counted in
    /// one place.
    pub fn copy(&self) -> Option<Self> {
        self.limiter.is_none().then(|| Self {
            facts: self.facts.clone(),
            account: self.account.clone(),
            service_account: self.service_account.clone(),
            limiter: None,
            level: Level::default(),
            last_used: 0.into(),
            pending_uses: 0.into(),
        })
    }

    /// Whether this credential, or whom it belongs to, is among these.
    pub fn is_named_by(&self, named: &HashSet<(FeedKind, Uuid)>) -> bool {
        let owner = self.service_account.as_ref().map(|it| it.read().id.0);
        named.contains(&(FeedKind::Credential, self.facts.id.0))
            || named.contains(&(FeedKind::Account, self.account.read().id.0))
            || owner.is_some_and(|id| named.contains(&(FeedKind::ServiceAccount, id)))
    }

    /// The facts as they are now, held for one verdict and its answer.
    pub fn read(self: Arc<Self>) -> Known {
        Known {
            account: self.account.read(),
            service_account: self.service_account.as_ref().map(|it| it.read()),
            entry: self,
        }
    }
}

/// One reading of all that is known about a credential.
pub(crate) struct Known {
    pub entry: Arc<Cached>,
    account: Guard<Arc<AccountFacts>>,
    service_account: Option<Guard<Arc<ServiceAccountFacts>>>,
}

impl Known {
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            credential: &self.entry.facts,
            service_account: self.service_account.as_ref().map(|it| &***it),
            account: &self.account,
        }
    }
}

/// What a JWT is whose text was found right before.
#[derive(Clone)]
pub(crate) enum KnownText {
    /// The credential with this public id, as long as that has the text's digest.
    Credential(PublicId),
    AccessToken(Arc<SignedToken>),
}

/// An access token under our own signature.
pub(crate) struct SignedToken {
    /// The key that it speaks for.
    pub key: PublicId,
    pub says: AccessToken,
    pub revoked: AtomicBool,
}

impl SignedToken {
    /// Bytes of its texts.
    pub fn size(&self) -> usize {
        let scopes = self.says.scopes.iter().map(|it| it.as_str().len());
        let audience = self.says.audience.iter().map(String::len);
        scopes.chain(audience).sum()
    }
}
