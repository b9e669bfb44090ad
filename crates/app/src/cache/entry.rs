//! What is kept of one credential, one access token, one owner.

use crate::limiter::Limiter;
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32};
use symbolon_domain::verdict::{AccessToken, AccountFacts, CredentialFacts, ServiceAccountFacts};
use symbolon_domain::{Facts, PublicId};

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
    pub limiter: Option<Arc<Limiter>>,
    /// The last use, in microseconds, and how many were not written yet.
    pub last_used: AtomicI64,
    pub pending_uses: AtomicU32,
}

impl Cached {
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

/// A JWT whose signature was found right, by the digest of its text.
pub(crate) struct SignedText {
    /// Of the credential that it is, or of the key that it speaks for.
    pub public_id: PublicId,
    /// What an access token says; `None` for a JWT credential.
    pub access_token: Option<AccessToken>,
    pub revoked: AtomicBool,
}
