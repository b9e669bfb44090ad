//! `[cache]` and `[uses]`: what a process keeps in memory, and for how long.

use std::time::Duration;

use super::reader::Reader;

#[derive(Debug, Clone, PartialEq)]
pub struct Cache {
    /// Age at which facts are no longer used.
    pub max_age: Duration,
    pub feed_poll: Duration,
    /// Credentials kept, at most.
    pub capacity: usize,
    /// JWTs whose signature was checked, at most.
    pub access_tokens: usize,
    /// Ids that name nothing, at most, and for how long.
    pub negative_capacity: usize,
    pub negative_ttl: Duration,
}

impl Cache {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let cache = Self {
            max_age: reader.duration("cache.max_age", "1s", "1h"),
            // The promise "refused everywhere within 1.5 s" leaves no more than a second.
            feed_poll: reader.duration("cache.feed_poll", "10ms", "1s"),
            capacity: reader.integer("cache.capacity", 1_000..=100_000_000),
            access_tokens: reader.integer("cache.access_tokens", 1_000..=100_000_000),
            negative_capacity: reader.integer("cache.negative_capacity", 100..=10_000_000),
            negative_ttl: reader.duration("cache.negative_ttl", "1ms", "1m"),
        };
        if cache.max_age <= cache.feed_poll {
            reader.refuse("cache.max_age", "more than cache.feed_poll");
        }
        cache
    }
}

/// How uses of credentials are gathered before they are written.
#[derive(Debug, Clone, PartialEq)]
pub struct Uses {
    pub flush_interval: Duration,
    pub flush_size: usize,
}

impl Uses {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            flush_interval: reader.duration("uses.flush_interval", "100ms", "10m"),
            flush_size: reader.integer("uses.flush_size", 1..=1_000_000),
        }
    }
}
