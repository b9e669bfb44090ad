//! Hearing of changes: every process reads the feed, always, and puts what it names in place of what it
//! knows. Facts are as old as the last reading, and beyond an age nobody answers from them.

use crate::App;
use crate::cache::Fresh;
use crate::error::{Error, Result};
use crate::faults::{Fault, Place};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use symbolon_domain::change::{FeedKind, FeedMark};
use symbolon_domain::{AccountId, CredentialId, ServiceAccountId};
use symbolon_store::{FeedRow, Unreadable};
use tokio::sync::Notify;

/// Rows of the feed read at once.
const FEED_PAGE: i64 = 1000;
/// How long an answer waits until the change that it tells of is applied here.
const CATCH_UP: Duration = Duration::from_secs(5);

/// How far this process has read the feed, and when it last could.
#[derive(Default)]
pub(crate) struct FeedState {
    /// Held while reading: one reader at a time.
    reader: tokio::sync::Mutex<Reader>,
    /// Counts those who want it read, and the readings, to tell which came first.
    order: AtomicU64,
    applied: AtomicI64,
    /// Microseconds of the process's clock at the beginning of the last reading that succeeded, and one
    /// more; zero before the first.
    read_at: AtomicU64,
    /// Until when the others count on this process, by the same clock: they no longer wait for one that is
    /// silent, so it must not answer any more. Zero where nobody waits for it.
    counted_until: AtomicU64,
    /// Whether a task reads in the background; where none does, a request does when the facts are old.
    pub is_followed: AtomicBool,
    /// Raised when more was applied.
    pub progress: Notify,
}

#[derive(Default)]
struct Reader {
    /// The last row that was applied.
    cursor: Option<Cursor>,
    /// The last reading: its place in the order, and whether it succeeded.
    last: Option<(u64, bool)>,
}

#[derive(Clone, Copy)]
struct Cursor {
    seq: i64,
    /// What stands in the row: after a restore another may stand there.
    mark: Option<FeedMark>,
}

impl Cursor {
    /// Before the first row.
    const START: Self = Self { seq: 0, mark: None };

    fn at(row: &FeedRow) -> Self {
        Self {
            seq: row.seq,
            mark: row.mark,
        }
    }
}

impl FeedState {
    /// Since when nothing was heard from the feed; `None` before it was first read.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        let read_at = self.read_at.load(Ordering::Acquire).checked_sub(1)?;
        Some(now.saturating_sub(Duration::from_micros(read_at)))
    }

    /// The others count on this process until then.
    pub fn count_until(&self, end: Duration) {
        let end = u64::try_from(end.as_micros()).unwrap_or(u64::MAX);
        self.counted_until.fetch_max(end, Ordering::AcqRel);
    }

    /// Whether the others, who count on it no more, might take this process for silent.
    fn is_given_up(&self, now: Duration) -> bool {
        let until = self.counted_until.load(Ordering::Acquire);
        until > 0 && now >= Duration::from_micros(until)
    }

    /// The position up to which everything is applied here.
    pub fn applied(&self) -> i64 {
        self.applied.load(Ordering::Acquire)
    }
}

impl App {
    /// Reads what is new in the feed and applies it; returns how many rows there were. Every process does,
    /// always: a notification only shortens the wait.
    ///
    /// Whoever waits for another's reading to end, and finds that one was begun meanwhile, has its outcome: a
    /// database that does not answer is asked once, not by each in turn.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the feed cannot be read.
    pub async fn poll_feed(&self) -> Result<usize> {
        let state = &self.0.feed;
        let wanted = state.order.fetch_add(1, Ordering::AcqRel);
        let mut reader = state.reader.lock().await;
        if let Some((begun, is_read)) = reader.last
            && begun > wanted
        {
            return match is_read {
                true => Ok(0),
                false => Err(Error::Unavailable {
                    cause: "the feed could not be read".into(),
                }),
            };
        }
        let begun = state.order.fetch_add(1, Ordering::AcqRel);
        let read = self.read_feed(&mut reader.cursor).await;
        reader.last = Some((begun, read.is_ok()));
        read
    }

    async fn read_feed(&self, cursor: &mut Option<Cursor>) -> Result<usize> {
        let state = &self.0.feed;
        let begun = self.monotonic();
        let mut read = 0;
        let mut at = match *cursor {
            Some(at) => at,
            // Nothing is cached yet that an older row could name.
            None => {
                let end = self.store().feed_end().await?;
                end.as_ref().map_or(Cursor::START, Cursor::at)
            }
        };
        loop {
            let mut rows = self.store().feed_from(at.seq, FEED_PAGE).await?;
            let more = i64::try_from(rows.len()).unwrap_or(0) == FEED_PAGE;
            let first = rows.first();
            let continues = match at.seq {
                // The feed was empty: the first row of all comes next.
                0 => first.is_none_or(|row| row.seq == 1),
                seq => first.is_some_and(|row| row.seq == seq && row.mark == at.mark),
            };
            if !continues {
                // The row where we stood is gone: purged while we could not read, or the database was put
                // back to an earlier state. Nobody can say what we have missed.
                tracing::warn!(position = at.seq, "the feed was lost; the cache is dropped");
                // In this order: what is read from now on is no older than the end.
                let end = self.store().feed_end().await?;
                self.0.cache.clear();
                self.0.sole_account.forget();
                at = end.as_ref().map_or(Cursor::START, Cursor::at);
                *cursor = Some(at);
                continue;
            }
            if at.seq > 0 {
                rows.remove(0);
            }
            if let Some(last) = rows.last() {
                if self.0.settings.faults.has(Fault::AcknowledgesEarly) {
                    state.applied.store(last.seq, Ordering::Release);
                }
                self.apply(&rows).await?;
                at = Cursor::at(last);
                read += rows.len();
            }
            *cursor = Some(at);
            state.applied.store(at.seq, Ordering::Release);
            if !more {
                break;
            }
        }
        let begun = u64::try_from(begun.as_micros()).unwrap_or(u64::MAX - 1);
        state.read_at.store(begun + 1, Ordering::Release);
        if read > 0 {
            state.progress.notify_one();
        }
        Ok(read)
    }

    /// Reads again what the rows name, and puts it in place.
    async fn apply(&self, rows: &[FeedRow]) -> Result<()> {
        let marks: Vec<FeedMark> = rows.iter().filter_map(|row| row.mark).collect();
        let named = |kind| {
            let of_kind = marks.iter().filter(move |mark| mark.kind == kind);
            let ids: HashSet<uuid::Uuid> = of_kind.map(|mark| mark.id).collect();
            ids
        };
        let credentials: Vec<_> = named(FeedKind::Credential)
            .into_iter()
            .map(CredentialId)
            .collect();
        let owners: Vec<_> = named(FeedKind::ServiceAccount)
            .into_iter()
            .map(ServiceAccountId)
            .collect();
        let accounts: Vec<_> = named(FeedKind::Account)
            .into_iter()
            .map(AccountId)
            .collect();
        if !accounts.is_empty() {
            self.0.sole_account.forget();
        }
        let found = self
            .store()
            .fresh_facts(&credentials, &owners, &accounts)
            .await?;
        let mut fresh = Fresh {
            service_accounts: found.service_accounts,
            accounts: found.accounts,
            ..Fresh::default()
        };
        let mut unreadable = found.unreadable;
        for it in found.credentials {
            let id = it.credential.id.0;
            match self.facts(it) {
                Ok(facts) => fresh.credentials.push(facts),
                Err(error) => unreadable.push(Unreadable {
                    kind: FeedKind::Credential,
                    id,
                    cause: error.to_string(),
                }),
            }
        }
        for Unreadable { kind, id, cause } in unreadable {
            let kind_name = kind.as_str();
            tracing::error!(kind = kind_name, %id, cause, "cannot be read; it lets nobody in");
            fresh.unreadable.insert((kind, id));
        }
        self.0.gates.pass(Place::FeedRead).await;
        self.0.cache.apply(&marks, fresh);
        Ok(())
    }

    /// Applies one's own change, before it is answered.
    pub(crate) async fn apply_own(&self, position: i64) {
        if self.0.settings.faults.has(Fault::AcknowledgesEarly) {
            return;
        }
        if self.0.feed.applied() >= position && self.0.feed.read_at.load(Ordering::Acquire) > 0 {
            return;
        }
        self.catch_up().await;
    }

    /// Applies what has been committed by now, whoever did.
    pub(crate) async fn catch_up(&self) {
        let read = tokio::time::timeout(CATCH_UP, self.poll_feed()).await;
        let read = read.unwrap_or_else(|_| {
            Err(Error::Unavailable {
                cause: "the database does not answer".into(),
            })
        });
        if let Err(error) = read {
            // Committed, and not to be read again right now: then nothing that is known counts.
            tracing::warn!(%error, "a change could not be applied; the cache is dropped");
            self.0.cache.clear();
        }
    }

    /// # Errors
    /// [`Error::Unavailable`] when the facts are older than they may be: somebody may have been revoked.
    pub(crate) async fn ensure_fresh(&self) -> Result<()> {
        if self.is_fresh() {
            return Ok(());
        }
        if !self.0.feed.is_followed.load(Ordering::Acquire) {
            self.poll_feed().await?;
            if self.is_fresh() {
                return Ok(());
            }
        }
        Err(Error::Unavailable {
            cause: "nothing was heard of the other processes for too long".into(),
        })
    }

    /// Whether what is known may be answered from: the feed was read of late, and the others still count on
    /// this process to have applied what they change.
    pub(crate) fn is_fresh(&self) -> bool {
        let now = self.monotonic();
        let age = self.0.feed.age(now);
        age.is_some_and(|age| age <= self.0.settings.max_age) && !self.0.feed.is_given_up(now)
    }

    pub(crate) fn monotonic(&self) -> Duration {
        self.0.clock.monotonic()
    }
}

/// The account that is meant where none is named, as long as there is only one.
#[derive(Default)]
pub(crate) struct SoleAccount {
    /// What was found, and of which generation it is: only that of the newest counts.
    known: arc_swap::ArcSwapOption<(u64, Option<AccountId>)>,
    generation: AtomicU64,
}

impl SoleAccount {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// What is known, and what is being read right now, counts no more.
    fn forget(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    fn known(&self) -> Option<Option<AccountId>> {
        let known = self.known.load();
        let (generation, account) = **known.as_ref()?;
        (generation == self.generation()).then_some(account)
    }
}

impl App {
    /// The only account of the instance; `None` once there are several.
    pub(crate) async fn sole_account(&self) -> Result<Option<AccountId>> {
        let sole = &self.0.sole_account;
        if let Some(known) = sole.known() {
            return Ok(known);
        }
        let generation = sole.generation();
        let found = self.store().sole_account().await?;
        self.0.gates.pass(Place::SoleAccountRead).await;
        sole.known.store(Some(Arc::new((generation, found))));
        Ok(found)
    }
}
