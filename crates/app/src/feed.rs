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
use symbolon_domain::{AccountId, Clock, CredentialId, ServiceAccountId};
use symbolon_store::FeedRow;
use tokio::sync::Notify;

/// Rows of the feed read at once.
const FEED_PAGE: i64 = 1000;

/// How far this process has read the feed, and when it last could.
#[derive(Default)]
pub(crate) struct FeedState {
    /// The last row that was applied, held while reading: one reader at a time.
    cursor: tokio::sync::Mutex<Option<Cursor>>,
    applied: AtomicI64,
    /// Microseconds of the process's clock at the beginning of the last reading that succeeded, and one
    /// more; zero before the first.
    read_at: AtomicU64,
    /// Whether a task reads in the background; where none does, a request does when the facts are old.
    pub is_followed: AtomicBool,
    /// Raised when more was applied.
    pub progress: Notify,
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
    pub fn age(&self, clock: &dyn Clock) -> Option<Duration> {
        let read_at = self.read_at.load(Ordering::Acquire).checked_sub(1)?;
        Some(
            clock
                .monotonic()
                .saturating_sub(Duration::from_micros(read_at)),
        )
    }

    /// The position up to which everything is applied here.
    pub fn applied(&self) -> i64 {
        self.applied.load(Ordering::Acquire)
    }
}

impl App {
    /// Reads what is new in the feed and applies it; returns how many rows there were. Every process does,
    /// always: a notification only shortens the wait.
    pub async fn poll_feed(&self) -> Result<usize> {
        let state = &self.0.feed;
        let mut cursor = state.cursor.lock().await;
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
        let fresh = self
            .store()
            .fresh_facts(&credentials, &owners, &accounts)
            .await?;
        let fresh = Fresh {
            credentials: self.loaded(fresh.credentials)?,
            service_accounts: fresh.service_accounts,
            accounts: fresh.accounts,
        };
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
        if let Err(error) = self.poll_feed().await {
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
            cause: "the feed was not read for too long".into(),
        })
    }

    pub(crate) fn is_fresh(&self) -> bool {
        let age = self.0.feed.age(&*self.0.clock);
        age.is_some_and(|age| age <= self.0.settings.max_age)
    }

    pub(crate) fn monotonic(&self) -> Duration {
        self.0.clock.monotonic()
    }
}

/// The account that is meant where none is named, as long as there is only one.
#[derive(Default)]
pub(crate) struct SoleAccount(arc_swap::ArcSwapOption<Option<AccountId>>);

impl SoleAccount {
    fn forget(&self) {
        self.0.store(None);
    }
}

impl App {
    /// The only account of the instance; `None` once there are several.
    pub(crate) async fn sole_account(&self) -> Result<Option<AccountId>> {
        if let Some(known) = &*self.0.sole_account.0.load() {
            return Ok(**known);
        }
        let before = self.0.feed.applied();
        let found = self.store().sole_account().await?;
        self.0.sole_account.0.store(Some(Arc::new(found)));
        if self.0.feed.applied() != before {
            // An account may have been made while we looked.
            self.0.sole_account.forget();
        }
        Ok(found)
    }
}
