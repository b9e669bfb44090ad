//! The uses of credentials, coalesced in memory: nothing is written while a request waits.

use crate::App;
use crate::error::Result;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use symbolon_domain::{CredentialId, Timestamp};
use symbolon_store::UseMark;

/// Maps apart, so that requests on different cores seldom meet.
const SHARDS: usize = 16;

pub(crate) struct Uses {
    shards: [Mutex<HashMap<CredentialId, UseMark>>; SHARDS],
    waiting: AtomicUsize,
    flush_size: usize,
    pub(crate) full: tokio::sync::Notify,
}

impl Uses {
    pub fn new(flush_size: usize) -> Self {
        Self {
            shards: Default::default(),
            waiting: AtomicUsize::new(0),
            flush_size,
            full: tokio::sync::Notify::new(),
        }
    }

    fn lock(&self, shard: usize) -> std::sync::MutexGuard<'_, HashMap<CredentialId, UseMark>> {
        // A panic while holding it cannot leave a map half changed that matters.
        self.shards[shard % SHARDS]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn note(&self, credential: CredentialId, now: Timestamp) {
        self.add(UseMark {
            credential,
            first_used_at: now,
            last_used_at: now,
            uses: 1,
        });
        if self.waiting.load(Ordering::Relaxed) >= self.flush_size {
            self.full.notify_one();
        }
    }

    fn add(&self, mark: UseMark) {
        // The last byte of a version 7 id is random.
        let mut shard = self.lock(usize::from(mark.credential.0.as_bytes()[15]));
        shard
            .entry(mark.credential)
            .and_modify(|it| {
                it.first_used_at = it.first_used_at.min(mark.first_used_at);
                it.last_used_at = it.last_used_at.max(mark.last_used_at);
                it.uses += mark.uses;
            })
            .or_insert_with(|| {
                self.waiting.fetch_add(1, Ordering::Relaxed);
                mark
            });
    }

    fn take(&self) -> Vec<UseMark> {
        let marks: Vec<UseMark> = (0..SHARDS)
            .flat_map(|at| std::mem::take(&mut *self.lock(at)).into_values())
            .collect();
        self.waiting.fetch_sub(marks.len(), Ordering::Relaxed);
        marks
    }
}

impl App {
    /// Writes what was noted since the last flush; returns for how many credentials. What cannot be
    /// written now is kept for the next flush.
    pub async fn flush_uses(&self) -> Result<usize> {
        let marks = self.0.uses.take();
        if marks.is_empty() {
            return Ok(0);
        }
        if let Err(error) = self.store().record_uses(&marks).await {
            marks.into_iter().for_each(|mark| self.0.uses.add(mark));
            return Err(error.into());
        }
        Ok(marks.len())
    }
}
