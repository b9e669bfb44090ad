//! Misses: one reader of the database for each credential at a time; whoever came meanwhile waits for it.

use super::{Cached, SignedToken, TextDigest, Ticket};
use crate::App;
use crate::error::{Error, Result};
use crate::faults::Place;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use symbolon_domain::PublicId;

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
            let found = match self.store().find_by_public_id(id.as_str()).await {
                Ok(None) => {
                    self.0.cache.note_unknown(id);
                    return Ok(None);
                }
                Ok(Some(found)) => self.facts(found),
                Err(error) => Err(error.into()),
            };
            let loaded = found.map_err(|error| unreadable(id, error))?;
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
        it: SignedToken,
    ) -> Result<Arc<SignedToken>> {
        let ticket: Ticket = self.0.cache.ticket();
        let revoked = self.store().is_access_token_revoked(it.says.id).await?;
        it.revoked.store(revoked, Ordering::Release);
        self.0.gates.pass(Place::AccessTokenRead).await;
        Ok(self.0.cache.admit_access_token(digest, it, ticket))
    }
}

fn unavailable() -> Error {
    Error::Unavailable {
        cause: "another request for the same credential failed".into(),
    }
}

/// A row that does not parse may do so for another process, or for a later release of this one: this
/// credential cannot be judged here and now, and that is all.
fn unreadable(id: PublicId, error: Error) -> Error {
    let Error::Broken { cause } = error else {
        return error;
    };
    tracing::error!(credential = %id, cause, "a credential cannot be read");
    Error::Unavailable { cause }
}
