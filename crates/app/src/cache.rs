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
mod front;

pub(crate) use entry::{Cached, Known, KnownText, SignedToken};

use crate::AppSettings;
use crate::faults::{Fault, Faults};
use crate::limiter::{Level, Limiter};
use entry::Shared;
use fill::Flights;
use front::Fronts;
use quick_cache::sync::{Cache as Bounded, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter, Weighter};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use symbolon_domain::change::{FeedKind, FeedMark};
use symbolon_domain::verdict::{AccountFacts, CredentialFacts, LoadedFacts, ServiceAccountFacts};
use symbolon_domain::{
    AccountId, AllowedNetworks, Clock, PublicId, RateLimit, ScopeSet, ServiceAccountId,
};
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
    fronts: Fronts,
    texts: Bounded<TextDigest, KnownText, BySize>,
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
    access_tokens: HashMap<Uuid, Weak<SignedToken>>,
    /// The newest version of each thing that the feed named of late, and when.
    noted: HashMap<(FeedKind, Uuid), (i64, Duration)>,
    limiters: HashMap<RateLimit, Weak<Limiter>>,
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

/// A large access token counts as several, or its holder could fill the memory with few.
#[derive(Clone)]
struct BySize;

/// Bytes beyond which an access token counts as one more.
const TOKEN_SHARE: usize = 512;

impl<K> Weighter<K, KnownText> for BySize {
    fn weight(&self, _: &K, it: &KnownText) -> u64 {
        match it {
            KnownText::Credential(_) => 1,
            KnownText::AccessToken(it) => 1 + (it.size() / TOKEN_SHARE) as u64,
        }
    }
}

/// A bounded map that remembers few of those it has put out: such ghosts cost as much room as what is kept.
fn bounded<K: Eq + Hash, V: Clone, W: Weighter<K, V> + Clone>(
    capacity: usize,
    weighter: W,
) -> Bounded<K, V, W> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(capacity)
        .weight_capacity(capacity as u64)
        .ghost_allocation(0.1)
        .build()
        .expect("capacities are positive");
    Bounded::with_options(
        options,
        weighter,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}

impl Cache {
    pub fn new(settings: &AppSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            credentials: bounded(settings.cache_capacity, UnitWeighter),
            fronts: Fronts::default(),
            texts: bounded(settings.cache_access_tokens, BySize),
            unknown: bounded(settings.cache_negative_capacity, UnitWeighter),
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
        self.fronts.get(id, |id| self.credentials.get(id))
    }

    pub fn text(&self, digest: &TextDigest) -> Option<KnownText> {
        self.texts.get(digest)
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
        let before = before.as_deref();
        let entry = self.entry(&mut books, credential, account, service_account, before);
        self.credentials
            .insert(entry.facts.public_id, entry.clone());
        if before.is_some() {
            self.fronts.forget();
        }
        Some(entry)
    }

    fn entry(
        &self,
        books: &mut Books,
        facts: CredentialFacts,
        account: Arc<Shared<AccountFacts>>,
        service_account: Option<Arc<Shared<ServiceAccountFacts>>>,
        before: Option<&Cached>,
    ) -> Arc<Cached> {
        let limiter = facts
            .rate_limit
            .map(|rate| books.limiter(rate, &self.clock));
        // A change of anything else does not fill the bucket.
        let same = before.filter(|it| it.facts.rate_limit == facts.rate_limit);
        Arc::new(Cached {
            level: same.map_or_else(Level::default, |it| it.level.clone()),
            facts,
            account,
            service_account,
            limiter,
            last_used: 0.into(),
            pending_uses: 0.into(),
        })
    }

    /// Keeps an access token whose signature was found right, and which was not revoked when the database
    /// was asked since the ticket was drawn, unless it says so itself; the feed may know better by now.
    fn admit_access_token(
        &self,
        digest: TextDigest,
        it: SignedToken,
        ticket: Ticket,
    ) -> Arc<SignedToken> {
        let mut books = self.books();
        let it = Arc::new(it);
        let id = it.says.id;
        if books.noted.contains_key(&(FeedKind::AccessToken, id)) {
            it.revoked.store(true, Ordering::Release);
        }
        let is_late = ticket.begun + NOTED_FOR <= self.clock.monotonic();
        if is_late || ticket.generation != books.generation {
            // Good for this request, which read it just now; too old to be kept.
            return it;
        }
        let tokens = &mut books.access_tokens;
        if tokens.len() == tokens.capacity() {
            tokens.retain(|_, it| it.strong_count() > 0);
        }
        tokens.insert(id, Arc::downgrade(&it));
        self.texts
            .insert(digest, KnownText::AccessToken(it.clone()));
        it
    }

    /// Remembers which credential a JWT is, once its digest was found to be that credential's.
    pub fn note_jwt(&self, digest: TextDigest, id: PublicId) {
        self.texts.insert(digest, KnownText::Credential(id));
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
        for mut facts in fresh.service_accounts {
            if let Some(place) = books.service_accounts.get(facts.id)
                && facts.version >= place.read().version
            {
                books.share_scopes(&mut facts.scopes);
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
                let entry = self.entry(&mut books, facts, account, owner, Some(&before));
                self.credentials.insert(id, entry);
            }
        }
        if !fresh.unreadable.is_empty() {
            self.credentials
                .retain(|_, entry| !entry.is_named_by(&fresh.unreadable));
        }
        for mark in marks {
            if mark.kind == FeedKind::AccessToken
                && let Some(token) = books.access_tokens.get(&mark.id).and_then(Weak::upgrade)
            {
                token.revoked.store(true, Ordering::Release);
            }
        }
        self.fronts.forget();
    }

    /// Forgets everything, and whatever is being read right now.
    pub fn clear(&self) {
        let mut books = self.books();
        *books = Books {
            generation: books.generation + 1,
            ..Books::default()
        };
        self.credentials.clear();
        self.texts.clear();
        self.unknown.clear();
        self.fronts.forget();
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
    /// What cannot be read any more: nobody is let in by what it was.
    pub unreadable: HashSet<(FeedKind, Uuid)>,
}

impl Books {
    /// Replaces what others have alike by what they have.
    fn share_parts(
        &mut self,
        credential: &mut CredentialFacts,
        owner: Option<&mut ServiceAccountFacts>,
    ) {
        self.share_scopes(&mut credential.scopes);
        if let Some(owner) = owner {
            self.share_scopes(&mut owner.scopes);
        }
        let networks = &mut credential.allowed_networks;
        if !networks.is_empty() {
            self.networks.shared(networks, AllowedNetworks::is_shared);
        }
    }

    /// The one limiter of a rate.
    fn limiter(&mut self, rate: RateLimit, clock: &Arc<dyn Clock>) -> Arc<Limiter> {
        if let Some(it) = self.limiters.get(&rate).and_then(Weak::upgrade) {
            return it;
        }
        if self.limiters.len() == self.limiters.capacity() {
            self.limiters.retain(|_, it| it.strong_count() > 0);
        }
        let it = Arc::new(Limiter::new(rate, clock.clone()));
        self.limiters.insert(rate, Arc::downgrade(&it));
        it
    }

    fn share_scopes(&mut self, scopes: &mut Arc<ScopeSet>) {
        self.scopes.shared(scopes, |it| Arc::strong_count(it) > 1);
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
