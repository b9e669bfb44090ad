//! Misses: one reader of the database for each credential at a time; whoever came meanwhile waits for it.

use super::{Cached, SignedText, TextDigest, Ticket};
use crate::App;
use crate::error::{Error, Result};
use crate::faults::Place;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use symbolon_domain::PublicId;
use symbolon_domain::verdict::LoadedFacts;

/// Reads that lost to something newer before one gives up: each loss means that the credential changed
/// while it was read.
const READS: usize = 5;

/// What a reader found. A failure is for those who waited, too: nobody asks a database that is gone once
/// more for each of them.
#[derive(Clone, Copy)]
enum Outcome {
    Known,
    Unknown,
    Failed,
}

/// The reads that are under way.
#[derive(Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<PublicId, Weak<Flight>>>,
    /// Counts requests and reads, to tell which came first.
    order: AtomicU64,
}

#[derive(Default)]
struct Flight(tokio::sync::Mutex<Option<(u64, Outcome)>>);

impl Flights {
    fn next(&self) -> u64 {
        self.order.fetch_add(1, Ordering::AcqRel)
    }

    fn join(&self, id: PublicId) -> Arc<Flight> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = under_way.get(&id).and_then(Weak::upgrade) {
            return flight;
        }
        if under_way.len() == under_way.capacity() {
            under_way.retain(|_, it| it.strong_count() > 0);
        }
        let flight = Arc::new(Flight::default());
        under_way.insert(id, Arc::downgrade(&flight));
        flight
    }
}

impl App {
    /// What is known about the credential with this public id. `fresh` asks for what the database says
    /// from now on.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when nobody can tell.
    pub(crate) async fn known(&self, id: PublicId, fresh: bool) -> Result<Option<Arc<Cached>>> {
        let cache = &self.0.cache;
        if !fresh {
            if let Some(hit) = cache.get(&id) {
                return Ok(Some(hit));
            }
            if cache.is_unknown(&id) {
                return Ok(None);
            }
        }
        let asked = cache.flights.next();
        let flight = cache.flights.join(id);
        let mut last = flight.0.lock().await;
        // Whoever went before us has read it for us too; what is kept by now is at least as new.
        if let Some((begun, outcome)) = *last
            && (begun > asked || !fresh)
        {
            match outcome {
                Outcome::Failed => return Err(unavailable()),
                Outcome::Unknown => return Ok(None),
                Outcome::Known => {
                    if let Some(hit) = cache.get(&id) {
                        return Ok(Some(hit));
                    }
                }
            }
        }
        let begun = cache.flights.next();
        let read = self.read_credential(id).await;
        let outcome = match &read {
            Ok(Some(_)) => Outcome::Known,
            Ok(None) => Outcome::Unknown,
            Err(_) => Outcome::Failed,
        };
        *last = Some((begun, outcome));
        read
    }

    async fn read_credential(&self, id: PublicId) -> Result<Option<Arc<Cached>>> {
        for _ in 0..READS {
            let ticket = self.0.cache.ticket();
            metrics::counter!("symbolon_cache_fills_total").increment(1);
            let Some(found) = self.store().find_by_public_id(id.as_str()).await? else {
                self.0.cache.note_unknown(id);
                return Ok(None);
            };
            let loaded = self.facts(found)?;
            self.0.gates.pass(Place::CredentialRead).await;
            if let Some(entry) = self.0.cache.admit(loaded, ticket) {
                return Ok(Some(entry));
            }
        }
        Err(Error::Unavailable {
            cause: format!("credential {id} changes quicker than it is read"),
        })
    }

    /// Remembers an access token whose signature was found right, and whether it was revoked.
    pub(crate) async fn remember_access_token(
        &self,
        digest: TextDigest,
        it: SignedText,
    ) -> Result<Arc<SignedText>> {
        let ticket: Ticket = self.0.cache.ticket();
        if let Some(token) = &it.access_token {
            let revoked = self.store().is_access_token_revoked(token.id).await?;
            it.revoked.store(revoked, Ordering::Release);
            self.0.gates.pass(Place::AccessTokenRead).await;
        }
        Ok(self.0.cache.admit_signed(digest, it, ticket))
    }

    /// Remembers which credential a JWT is, once its digest was found to be that credential's.
    pub(crate) fn remember_jwt(&self, digest: TextDigest, public_id: PublicId) {
        let it = SignedText {
            public_id,
            access_token: None,
            revoked: false.into(),
        };
        let ticket = self.0.cache.ticket();
        self.0.cache.admit_signed(digest, it, ticket);
    }

    /// For the feed: facts as they are read again.
    pub(crate) fn loaded(
        &self,
        found: Vec<symbolon_store::FoundCredential>,
    ) -> Result<Vec<LoadedFacts>> {
        found.into_iter().map(|it| self.facts(it)).collect()
    }
}

fn unavailable() -> Error {
    Error::Unavailable {
        cause: "another request for the same credential failed".into(),
    }
}
