//! `[jobs]` and `[schedules]`: the pace of what happens later.

use std::time::Duration;

use super::reader::Reader;

#[derive(Debug, Clone, PartialEq)]
pub struct Jobs {
    pub poll_interval: Duration,
    /// Running at the same time, for each process.
    pub concurrency: usize,
    /// For one attempt.
    pub timeout: Duration,
    /// Between hand-over and start, before the job is handed over again.
    pub lease: Duration,
    /// Handed over and not finished, at most.
    pub outstanding: usize,
}

impl Jobs {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            poll_interval: reader.duration("jobs.poll_interval", "10ms", "1m"),
            concurrency: reader.integer("jobs.concurrency", 1..=1024),
            timeout: reader.duration("jobs.timeout", "100ms", "1h"),
            lease: reader.duration("jobs.lease", "100ms", "1h"),
            // apalis-redis takes all due ids in one script call, which fails for good
            // beyond about 8,000.
            outstanding: reader.integer("jobs.outstanding", 1..=1000),
        }
    }
}

/// The time between two runs of each schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedules {
    pub expire_tokens: Duration,
    pub purge: Duration,
    pub signing_keys: Duration,
}

impl Schedules {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            expire_tokens: reader.duration("schedules.expire_tokens", "100ms", "30d"),
            purge: reader.duration("schedules.purge", "100ms", "30d"),
            signing_keys: reader.duration("schedules.signing_keys", "100ms", "30d"),
        }
    }
}
