//! How often a credential was used of late: a token bucket (GCRA) per credential, in this process.

use governor::clock::{Clock as LimiterClock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use symbolon_domain::{Clock, RateLimit};

/// A rate limit as it stands after a use, or after its refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateState {
    pub limit: u32,
    pub period: Duration,
    /// Uses that would be granted right now.
    pub remaining: u32,
    /// Until all of them are there again.
    pub reset: Duration,
    /// Of a refusal: until the same would be granted. `None` also where it never will be.
    pub retry_after: Option<Duration>,
}

/// Nanoseconds of the process's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(u64);

impl Add<Nanos> for Tick {
    type Output = Self;
    fn add(self, span: Nanos) -> Self {
        Self(self.0.saturating_add(span.as_u64()))
    }
}

impl Reference for Tick {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, span: Nanos) -> Self {
        Self(self.0.checked_sub(span.as_u64()).unwrap_or(self.0))
    }
}

#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

impl LimiterClock for Ticks {
    type Instant = Tick;
    fn now(&self) -> Tick {
        Tick(u64::try_from(self.0.monotonic().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// How far one credential has used up its limit: when its bucket will be full again, in the limiter's
/// nanoseconds. All that is kept of it beside the credential's facts.
#[derive(Debug, Default)]
pub(crate) struct Level(AtomicU64);

impl Clone for Level {
    fn clone(&self) -> Self {
        Self(self.0.load(Ordering::Acquire).into())
    }
}

// The library asks for these of whatever it keeps states by. This key *is* the state, and nothing looks it up.
impl PartialEq for Level {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Level {}

impl Hash for Level {
    fn hash<H: Hasher>(&self, to: &mut H) {
        std::ptr::from_ref(self).hash(to);
    }
}

/// The levels lie where the credentials' facts are.
struct BesideFacts;

impl StateStore for BesideFacts {
    type Key = Level;

    fn measure_and_replace<T, F, E>(&self, level: &Level, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut now = level.0.load(Ordering::Acquire);
        loop {
            let (granted, then) = decide((now > 0).then(|| now.into()))?;
            match level.0.compare_exchange_weak(
                now,
                then.as_u64(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(granted),
                Err(changed) => now = changed,
            }
        }
    }
}

type Buckets = RateLimiter<Level, BesideFacts, Ticks, StateInformationMiddleware>;

/// One rate, for all credentials that have it.
pub(crate) struct Limiter {
    pub rate: RateLimit,
    /// Levels count from here.
    start: Tick,
    buckets: Buckets,
}

impl Limiter {
    pub fn new(rate: RateLimit, clock: Arc<dyn Clock>) -> Self {
        let per_use = rate.period() / rate.limit().get();
        let quota = Quota::with_period(per_use)
            .expect("a second is longer than a million nanoseconds")
            .allow_burst(rate.limit());
        let ticks = Ticks(clock);
        Self {
            rate,
            start: ticks.now(),
            buckets: Buckets::new(quota, BesideFacts, ticks),
        }
    }

    /// Counts a use that costs so much, or refuses it, in which case it costs nothing.
    pub fn count(&self, level: &Level, cost: NonZeroU32) -> Result<RateState, RateState> {
        match self.buckets.check_key_n(level, cost) {
            Ok(Ok(state)) => Ok(self.state(state.remaining_burst_capacity(), None)),
            Ok(Err(until)) => {
                let wait = until.wait_time_from(LimiterClock::now(self.buckets.clock()));
                Err(self.state(self.left(level), Some(wait)))
            }
            // More than the limit: never.
            Err(_) => Err(self.state(self.left(level), None)),
        }
    }

    /// Uses that would be granted right now.
    fn left(&self, level: &Level) -> u32 {
        let passed = LimiterClock::now(self.buckets.clock()).duration_since(self.start);
        let until_full = level
            .0
            .load(Ordering::Acquire)
            .saturating_sub(passed.as_u64());
        let per_use = u64::try_from(self.per_use().as_nanos()).unwrap_or(u64::MAX);
        let used = until_full.div_ceil(per_use.max(1));
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        self.rate.limit().get().saturating_sub(used)
    }

    fn per_use(&self) -> Duration {
        self.rate.period() / self.rate.limit().get()
    }

    fn state(&self, remaining: u32, retry_after: Option<Duration>) -> RateState {
        let limit = self.rate.limit().get();
        RateState {
            limit,
            period: self.rate.period(),
            remaining,
            reset: self.per_use() * limit.saturating_sub(remaining),
            retry_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_domain::Timestamp;
    use symbolon_domain::time::ManualClock;

    #[test]
    fn uses_come_back_evenly_and_refusals_cost_nothing() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
        let rate = RateLimit::new(3, Duration::from_secs(6)).unwrap();
        clock.advance(Duration::from_secs(100));
        let (limiter, level) = (Limiter::new(rate, clock.clone()), Level::default());
        let cost = |it| NonZeroU32::new(it).unwrap();
        let seconds = Duration::from_secs;
        assert_eq!(limiter.count(&level, cost(1)).unwrap().remaining, 2);
        let refused = limiter.count(&level, cost(3)).unwrap_err();
        assert_eq!(
            (refused.remaining, refused.retry_after),
            (2, Some(seconds(2)))
        );
        let state = limiter.count(&level, cost(2)).unwrap();
        assert_eq!((state.remaining, state.reset), (0, seconds(6)));
        clock.advance(seconds(1));
        let refused = limiter.count(&level, cost(1)).unwrap_err();
        assert_eq!(
            (refused.remaining, refused.retry_after),
            (0, Some(seconds(1)))
        );
        clock.advance(seconds(1));
        assert_eq!(limiter.count(&level, cost(1)).unwrap().remaining, 0);
        let never = limiter.count(&level, cost(4)).unwrap_err();
        assert_eq!((never.retry_after, never.limit), (None, 3));
        assert_eq!((never.remaining, never.reset), (0, seconds(6)));
        clock.advance(seconds(6));
        let never = limiter.count(&level, cost(4)).unwrap_err();
        assert_eq!((never.remaining, never.reset), (3, seconds(0)));
        let other = Level::default();
        assert_eq!(limiter.count(&other, cost(3)).unwrap().remaining, 0);
        assert_eq!(limiter.count(&level, cost(1)).unwrap().remaining, 2);
    }
}
