//! The uses of credentials, counted beside their facts and written in batches: nothing is written while a
//! request waits.

use crate::App;
use crate::actor::Actor;
use crate::cache::Cached;
use crate::error::Result;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use symbolon_domain::{AccountId, CredentialId, Permission, ServiceAccountId, Timestamp};
use symbolon_store::{USE_BATCH, UseMark};
use thread_local::ThreadLocal;
use tokio::sync::watch;

/// Credentials whose uses are written at once while others are served.
const GENTLE_BATCH: usize = 1_000;
/// How much longer than a part takes nothing is written after it.
const PAUSES: u32 = 3;
/// Days of which the daily counts are shown.
const DAYS_SHOWN: i64 = 90;

/// The credentials that were used since the last flush, in a list of each thread's own: requests on different
/// cores never meet.
pub(crate) struct Uses {
    used: ThreadLocal<Mutex<Used>>,
    flush_size: usize,
    /// Up to when all uses are written, in microseconds; zero before the first flush.
    flushed_at: AtomicI64,
    pub(crate) full: tokio::sync::Notify,
}

#[derive(Default)]
struct Used {
    /// Each with the first of its uses.
    entries: Vec<(Timestamp, Arc<Cached>)>,
    /// Uses of a day that ended before they were written.
    earlier: Vec<UseMark>,
}

impl Uses {
    pub fn new(flush_size: usize) -> Self {
        Self {
            used: ThreadLocal::new(),
            flush_size,
            flushed_at: AtomicI64::new(0),
            full: tokio::sync::Notify::new(),
        }
    }

    /// This thread's list.
    fn own(&self) -> MutexGuard<'_, Used> {
        lock(self.used.get_or_default())
    }

    /// Takes no lock but for the first use of a credential after a flush, and of a day; and that is the
    /// thread's own.
    pub fn note(&self, entry: &Arc<Cached>, now: Timestamp) {
        let before =
            Timestamp::from_micros(entry.last_used.fetch_max(now.as_micros(), Ordering::AcqRel));
        if before.day() != now.day() && before < now {
            let uses = entry.pending_uses.swap(0, Ordering::AcqRel);
            if uses > 0 {
                self.own().earlier.push(mark(entry, before, before, uses));
            }
        }
        if entry.pending_uses.fetch_add(1, Ordering::AcqRel) == 0 {
            let mut used = self.own();
            used.entries.push((now, entry.clone()));
            if used.entries.len() == self.flush_size {
                self.full.notify_one();
            }
        }
    }

    fn take(&self) -> Vec<(UseMark, Option<Arc<Cached>>)> {
        let mut taken = Vec::new();
        for list in &self.used {
            let Used { entries, earlier } = std::mem::take(&mut *lock(list));
            taken.extend(earlier.into_iter().map(|mark| (mark, None)));
            for (first, entry) in entries {
                let uses = entry.pending_uses.swap(0, Ordering::AcqRel);
                let last = Timestamp::from_micros(entry.last_used.load(Ordering::Acquire));
                if uses > 0 {
                    taken.push((mark(&entry, first.min(last), last, uses), Some(entry)));
                }
            }
        }
        taken
    }

    fn put_back(&self, taken: impl Iterator<Item = (UseMark, Option<Arc<Cached>>)>) {
        for (mark, entry) in taken {
            let of_today = entry.filter(|entry| {
                let last = Timestamp::from_micros(entry.last_used.load(Ordering::Acquire));
                last.day() == mark.last_used_at.day()
            });
            match of_today {
                // Back where it was counted, so that an outage does not pile up marks.
                Some(entry) => {
                    let uses = u32::try_from(mark.uses).unwrap_or(u32::MAX);
                    if entry.pending_uses.fetch_add(uses, Ordering::AcqRel) == 0 {
                        self.own().entries.push((mark.first_used_at, entry));
                    }
                }
                None => self.own().earlier.push(mark),
            }
        }
    }

    /// Up to when every use of this process is written.
    pub fn flushed_at(&self) -> Option<Timestamp> {
        let micros = self.flushed_at.load(Ordering::Acquire);
        (micros > 0).then_some(Timestamp::from_micros(micros))
    }
}

fn lock(list: &Mutex<Used>) -> MutexGuard<'_, Used> {
    // A panic while holding it cannot leave a list half changed that matters.
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

fn mark(entry: &Cached, first: Timestamp, last: Timestamp, uses: u32) -> UseMark {
    UseMark {
        credential: entry.facts.id,
        first_used_at: first,
        last_used_at: last,
        uses: i64::from(uses),
    }
}

/// How well the use of a credential is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseState {
    Used,
    /// Every process has written what it counted since the credential is tracked, and there was no use.
    Never,
    /// No use is known, and not every process has written yet.
    NotTrackedYet,
}

/// When and how often a credential was used.
#[derive(Debug, Clone)]
pub struct TokenUses {
    pub state: UseState,
    pub tracked_since: Timestamp,
    /// Up to when every process has written what it counted. `None` when no process is running that counts.
    pub tracked_until: Option<Timestamp>,
    pub first_used_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub uses: i64,
    /// Days since 1970 (UTC) with uses, the last 90 days, oldest first.
    pub days: Vec<(i64, i64)>,
}

impl App {
    /// Writes what was counted since the last flush; returns for how many credentials. What cannot be
    /// written now is kept for the next flush.
    pub async fn flush_uses(&self) -> Result<usize> {
        self.write_uses(USE_BATCH, None).await
    }

    /// The same in small parts with pauses between, so that neither this process nor the database is busy
    /// with it for long: those who ask meanwhile would wait. Makes haste once it is told to stop.
    pub(crate) async fn flush_uses_gently(&self, stop: &watch::Receiver<bool>) -> Result<usize> {
        self.write_uses(GENTLE_BATCH, Some(stop.clone())).await
    }

    async fn write_uses(
        &self,
        batch: usize,
        mut stop: Option<watch::Receiver<bool>>,
    ) -> Result<usize> {
        let uses = &self.0.uses;
        let until = self.now();
        let mut taken = uses.take();
        let all = taken.len();
        // What lies together is written together.
        taken.sort_unstable_by_key(|(mark, _)| mark.credential);
        while !taken.is_empty() {
            let part = taken.split_off(taken.len().saturating_sub(batch));
            let marks: Vec<UseMark> = part.iter().map(|(mark, _)| *mark).collect();
            let begun = self.monotonic();
            if let Err(error) = self.store().record_uses(&marks).await {
                uses.put_back(taken.into_iter().chain(part));
                return Err(error.into());
            }
            if !taken.is_empty()
                && let Some(stop) = &mut stop
            {
                let took = self.monotonic().saturating_sub(begun);
                tokio::select! {
                    _ = stop.wait_for(|it| *it) => {}
                    () = tokio::time::sleep(took * PAUSES) => {}
                }
            }
        }
        uses.flushed_at.store(until.as_micros(), Ordering::Release);
        Ok(all)
    }

    /// When and how often a token or key of a service account was used.
    pub async fn token_uses(
        &self,
        actor: &Actor,
        account: AccountId,
        service_account: ServiceAccountId,
        id: CredentialId,
    ) -> Result<TokenUses> {
        actor.enter_to_read(account, Permission::TokensRead)?;
        let it = self
            .find_token(actor, account, service_account, id)
            .await?
            .it;
        let now = self.now();
        let tracked_since = self.store().uses_tracked_since().await?.max(it.created_at);
        // In this order: what is flushed between two reads must not look as if it had been looked for.
        let tracked_until = self.store().uses_flushed_until(self.database_now()).await?;
        let since = now.day() - DAYS_SHOWN + 1;
        let days = self.store().credential_days(id, since).await?;
        let used = self.store().uses(&[id]).await?.get(&id).copied();
        let state = match used {
            Some(_) => UseState::Used,
            None if tracked_until.is_some_and(|until| until > tracked_since) => UseState::Never,
            None => UseState::NotTrackedYet,
        };
        let used = used.unwrap_or_default();
        Ok(TokenUses {
            state,
            tracked_since,
            tracked_until,
            first_used_at: used.first_used_at,
            last_used_at: used.last_used_at,
            uses: used.uses,
            days,
        })
    }
}
