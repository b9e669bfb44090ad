//! What this process remembers of credentials and their owners, so that a hit costs no statement and no
//! lock that all share: facts, never verdicts.
//!
//! # Why nothing stale survives
//! The feed names what has changed; whoever applies it reads the facts again, puts them in place of the
//! old, and notes the version that the feed named. A fill that read its rows before that change committed
//! carries an older version, and loses: to an entry that is newer, and, where no entry is left, to the
//! version that was noted. Both happen under one lock, which hits never take.

mod entry;
mod fill;

pub(crate) use entry::{Cached, Known, SignedText};

use crate::AppSettings;
use crate::faults::{Fault, Faults};
use crate::limiter::Limiter;
use entry::Shared;
use fill::Flights;
use quick_cache::sync::{Cache as Bounded, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use symbolon_domain::change::{FeedKind, FeedMark};
use symbolon_domain::verdict::{AccountFacts, CredentialFacts, LoadedFacts, ServiceAccountFacts};
use symbolon_domain::{AccountId, AllowedNetworks, Clock, PublicId, ScopeSet, ServiceAccountId};
use uuid::Uuid;

/// How long the version that the feed named is remembered: longer than any fill may take, which the
/// database's time-outs end far earlier.
const NOTED_FOR: Duration = Duration::from_secs(300);
/// From so many on, notes that are too old are looked for.
const NOTES: usize = 4096;

/// SHA-256 of a JWT's text.
pub(crate) type TextDigest = [u8; 32];

pub(crate) struct Cache {
    credentials: Bounded<PublicId, Arc<Cached>>,
    signed_texts: Bounded<TextDigest, Arc<SignedText>>,
    /// Public ids that name nothing, until when.
    unknown: Bounded<PublicId, Duration>,
    unknown_for: Duration,
    books: Mutex<Books>,
    flights: Flights,
    clock: Arc<dyn Clock>,
    faults: Faults,
}

/// What only fills and the feed look at.
#[derive(Default)]
struct Books {
    service_accounts: Owners<ServiceAccountId, ServiceAccountFacts>,
    accounts: Owners<AccountId, AccountFacts>,
    access_tokens: HashMap<Uuid, Weak<SignedText>>,
    /// The newest version of each thing that the feed named of late, and when.
    noted: HashMap<(FeedKind, Uuid), (i64, Duration)>,
    scopes: Pool<Arc<ScopeSet>>,
    networks: Pool<AllowedNetworks>,
    /// Grows whenever everything is forgotten.
    generation: u64,
}

/// Equal values kept once: what many credentials are granted alike.
struct Pool<T>(HashSet<T>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(HashSet::new())
    }
}

impl<T: Clone + Eq + Hash> Pool<T> {
    /// The value that is kept for this one; `is_used` tells whether anybody beside the pool has a value.
    fn shared(&mut self, value: &mut T, is_used: impl Fn(&T) -> bool) {
        if let Some(kept) = self.0.get(value) {
            *value = kept.clone();
            return;
        }
        if self.0.len() == self.0.capacity() {
            self.0.retain(|it| is_used(it));
        }
        self.0.insert(value.clone());
    }
}

/// The facts about owners, as long as any of their credentials is kept.
struct Owners<I, T>(HashMap<I, Weak<Shared<T>>>);

impl<I, T> Default for Owners<I, T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<I: Copy + Eq + Hash, T> Owners<I, T> {
    fn get(&self, id: I) -> Option<Arc<Shared<T>>> {
        self.0.get(&id)?.upgrade()
    }

    /// The one place of these facts; what is there already is replaced if `newer` says so.
    fn share(&mut self, id: I, facts: T, newer: impl Fn(&T, &T) -> bool) -> Arc<Shared<T>> {
        if let Some(place) = self.get(id) {
            if newer(&facts, &place.read()) {
                place.set(Arc::new(facts));
            }
            return place;
        }
        if self.0.len() == self.0.capacity() {
            // Before it grows: those whose last credential is gone make room.
            self.0.retain(|_, it| it.strong_count() > 0);
        }
        let place = Arc::new(Shared::new(Arc::new(facts)));
        self.0.insert(id, Arc::downgrade(&place));
        place
    }
}

/// A bounded map that remembers few of those it has put out: such ghosts cost as much room as what is kept.
fn bounded<K: Eq + Hash, V: Clone>(capacity: usize) -> Bounded<K, V> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(capacity)
        .weight_capacity(capacity as u64)
        .ghost_allocation(0.1)
        .build()
        .expect("capacities are positive");
    Bounded::with_options(
        options,
        UnitWeighter,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}

impl Cache {
    pub fn new(settings: &AppSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            credentials: bounded(settings.cache_capacity),
            signed_texts: bounded(settings.cache_access_tokens),
            unknown: bounded(settings.cache_negative_capacity),
            unknown_for: settings.cache_negative_ttl,
            books: Mutex::default(),
            flights: Flights::default(),
            clock,
            faults: settings.faults,
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // What is half done under it is a fill that another fill does again.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, id: &PublicId) -> Option<Arc<Cached>> {
        self.credentials.get(id)
    }

    pub fn signed_text(&self, digest: &TextDigest) -> Option<Arc<SignedText>> {
        self.signed_texts.get(digest)
    }

    /// How many credentials are kept.
    pub fn len(&self) -> usize {
        self.credentials.len()
    }

    /// What a fill has to bring back to [`Self::admit`].
    fn ticket(&self) -> Ticket {
        Ticket {
            generation: self.books().generation,
            begun: self.clock.monotonic(),
        }
    }

    /// Keeps what was read since the ticket was drawn. `None` when something newer is known of any part:
    /// then it has to be read again.
    fn admit(&self, loaded: LoadedFacts, ticket: Ticket) -> Option<Arc<Cached>> {
        let mut books = self.books();
        let checks = !self.faults.has(Fault::NoVersionCheck);
        if checks && !books.is_current(&loaded, ticket, self.clock.monotonic()) {
            return None;
        }
        let LoadedFacts {
            mut credential,
            mut service_account,
            account,
        } = loaded;
        books.share_parts(&mut credential, service_account.as_mut());
        let before = self.credentials.peek(&credential.public_id);
        if let Some(before) = &before
            && credential.version < before.facts.version
            && checks
        {
            return Some(before.clone());
        }
        let account = books
            .accounts
            .share(account.id, account, |new, old| new.version >= old.version);
        let service_account = service_account.map(|it| {
            let newer =
                |new: &ServiceAccountFacts, old: &ServiceAccountFacts| new.version >= old.version;
            books.service_accounts.share(it.id, it, newer)
        });
        let entry = self.entry(credential, account, service_account, before.as_deref());
        self.credentials
            .insert(entry.facts.public_id, entry.clone());
        Some(entry)
    }

    fn entry(
        &self,
        facts: CredentialFacts,
        account: Arc<Shared<AccountFacts>>,
        service_account: Option<Arc<Shared<ServiceAccountFacts>>>,
        before: Option<&Cached>,
    ) -> Arc<Cached> {
        let limiter = facts.rate_limit.map(|rate| {
            let same = before.and_then(|it| it.limiter.clone());
            same.filter(|it| it.rate == rate)
                .unwrap_or_else(|| Arc::new(Limiter::new(rate, self.clock.clone())))
        });
        Arc::new(Cached {
            facts,
            account,
            service_account,
            limiter,
            last_used: 0.into(),
            pending_uses: 0.into(),
        })
    }

    /// Keeps a JWT whose signature was found right. `revoked` is what the database said since the ticket
    /// was drawn; the feed may know better by now.
    pub fn admit_signed(
        &self,
        digest: TextDigest,
        it: SignedText,
        ticket: Ticket,
    ) -> Arc<SignedText> {
        let mut books = self.books();
        let it = Arc::new(it);
        if let Some(token) = &it.access_token {
            if books.noted.contains_key(&(FeedKind::AccessToken, token.id)) {
                it.revoked.store(true, Ordering::Release);
            }
            if ticket.generation != books.generation
                || ticket.begun + NOTED_FOR <= self.clock.monotonic()
            {
                // Good for this request, which read it just now; too old to be kept.
                return it;
            }
            let tokens = &mut books.access_tokens;
            if tokens.len() == tokens.capacity() {
                tokens.retain(|_, it| it.strong_count() > 0);
            }
            tokens.insert(token.id, Arc::downgrade(&it));
        }
        self.signed_texts.insert(digest, it.clone());
        it
    }

    fn is_unknown(&self, id: &PublicId) -> bool {
        let until = self.unknown.get(id);
        until.is_some_and(|until| self.clock.monotonic() < until)
    }

    fn note_unknown(&self, id: PublicId) {
        self.unknown
            .insert(id, self.clock.monotonic() + self.unknown_for);
    }

    /// Applies what the feed named: `fresh` is what was read of it afterwards.
    pub fn apply(&self, marks: &[FeedMark], fresh: Fresh) {
        let mut books = self.books();
        let now = self.clock.monotonic();
        if !self.faults.has(Fault::Evicts) {
            marks.iter().for_each(|mark| books.note(mark, now));
        }
        for facts in fresh.accounts {
            if let Some(place) = books.accounts.get(facts.id)
                && facts.version >= place.read().version
            {
                place.set(Arc::new(facts));
            }
        }
        for facts in fresh.service_accounts {
            if let Some(place) = books.service_accounts.get(facts.id)
                && facts.version >= place.read().version
            {
                place.set(Arc::new(facts));
            }
        }
        for loaded in fresh.credentials {
            let mut facts = loaded.credential;
            let Some(before) = self.credentials.peek(&facts.public_id) else {
                continue;
            };
            if self.faults.has(Fault::Evicts) {
                self.credentials.remove(&facts.public_id);
            } else if facts.version >= before.facts.version {
                let (account, owner) = (before.account.clone(), before.service_account.clone());
                let id = facts.public_id;
                books.share_parts(&mut facts, None);
                let entry = self.entry(facts, account, owner, Some(&before));
                self.credentials.insert(id, entry);
            }
        }
        for mark in marks {
            if mark.kind == FeedKind::AccessToken
                && let Some(token) = books.access_tokens.get(&mark.id).and_then(Weak::upgrade)
            {
                token.revoked.store(true, Ordering::Release);
            }
        }
    }

    /// Forgets everything, and whatever is being read right now.
    pub fn clear(&self) {
        let mut books = self.books();
        *books = Books {
            generation: books.generation + 1,
            ..Books::default()
        };
        self.credentials.clear();
        self.signed_texts.clear();
        self.unknown.clear();
    }
}

/// When a fill began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    generation: u64,
    begun: Duration,
}

/// What was read again because the feed named it.
#[derive(Default)]
pub(crate) struct Fresh {
    pub credentials: Vec<LoadedFacts>,
    pub service_accounts: Vec<ServiceAccountFacts>,
    pub accounts: Vec<AccountFacts>,
}

impl Books {
    /// Replaces what others have alike by what they have.
    fn share_parts(
        &mut self,
        credential: &mut CredentialFacts,
        owner: Option<&mut ServiceAccountFacts>,
    ) {
        let is_used = |it: &Arc<ScopeSet>| Arc::strong_count(it) > 1;
        self.scopes.shared(&mut credential.scopes, is_used);
        if let Some(owner) = owner {
            self.scopes.shared(&mut owner.scopes, is_used);
        }
        let networks = &mut credential.allowed_networks;
        if !networks.is_empty() {
            self.networks.shared(networks, AllowedNetworks::is_shared);
        }
    }

    fn is_current(&self, loaded: &LoadedFacts, ticket: Ticket, now: Duration) -> bool {
        let at_least = |kind, id, version| {
            let noted = self.noted.get(&(kind, id));
            noted.is_none_or(|(newest, _)| version >= *newest)
        };
        let (credential, account) = (&loaded.credential, &loaded.account);
        let owner = loaded.service_account.as_ref();
        ticket.generation == self.generation
            && now < ticket.begun + NOTED_FOR
            && at_least(FeedKind::Credential, credential.id.0, credential.version)
            && at_least(FeedKind::Account, account.id.0, account.version)
            && owner.is_none_or(|it| at_least(FeedKind::ServiceAccount, it.id.0, it.version))
    }

    fn note(&mut self, mark: &FeedMark, now: Duration) {
        if self.noted.len() >= NOTES && self.noted.len() == self.noted.capacity() {
            self.noted.retain(|_, (_, at)| now < *at + NOTED_FOR);
        }
        let noted = self
            .noted
            .entry((mark.kind, mark.id))
            .or_insert((mark.version, now));
        *noted = (noted.0.max(mark.version), now);
    }
}
