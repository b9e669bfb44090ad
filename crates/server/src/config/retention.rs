//! `[retention]`: how long what is no longer needed is kept.

use std::time::Duration;

use super::cache::Cache;
use super::reader::Reader;

#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    /// Outcomes of requests with an `Idempotency-Key`.
    pub idempotency: Duration,
    /// Finished jobs.
    pub jobs: Duration,
    /// Addresses of mails and clients.
    pub addresses: Duration,
    /// Expired and revoked credentials.
    pub credentials: Duration,
    /// Changes, for processes that fell behind.
    pub feed: Duration,
}

impl Retention {
    pub(super) fn read(reader: &mut Reader, cache: &Cache) -> Self {
        let retention = Self {
            idempotency: reader.duration("retention.idempotency", "1s", "30d"),
            jobs: reader.duration("retention.jobs", "1s", "3650d"),
            addresses: reader.duration("retention.addresses", "1s", "3650d"),
            credentials: reader.duration("retention.credentials", "1s", "3650d"),
            feed: reader.duration("retention.feed", "1s", "30d"),
        };
        if retention.feed <= cache.max_age {
            reader.refuse("retention.feed", "more than cache.max_age");
        }
        retention
    }
}
