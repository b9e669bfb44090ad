//! How often a credential was used of late: a token bucket (GCRA) per credential, in this process.

use governor::clock::{Clock as LimiterClock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::Arc;
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

type Bucket = RateLimiter<NotKeyed, InMemoryState, Ticks, StateInformationMiddleware>;

/// The uses of one credential.
pub(crate) struct Limiter {
    pub rate: RateLimit,
    bucket: Bucket,
}

impl Limiter {
    pub fn new(rate: RateLimit, clock: Arc<dyn Clock>) -> Self {
        let per_use = rate.period() / rate.limit().get();
        let quota = Quota::with_period(per_use)
            .expect("a second is longer than a million nanoseconds")
            .allow_burst(rate.limit());
        let bucket = RateLimiter::direct_with_clock(quota, Ticks(clock)).with_middleware();
        Self { rate, bucket }
    }

    /// Counts a use that costs so much, or refuses it, in which case it costs nothing.
    pub fn count(&self, cost: NonZeroU32) -> Result<RateState, RateState> {
        match self.bucket.check_n(cost) {
            Ok(Ok(state)) => Ok(self.state(state.remaining_burst_capacity(), None)),
            Ok(Err(until)) => {
                let wait = until.wait_time_from(LimiterClock::now(self.clock()));
                let missing = wait.as_nanos().div_ceil(self.per_use().as_nanos().max(1));
                let missing = u32::try_from(missing).unwrap_or(u32::MAX);
                Err(self.state(cost.get().saturating_sub(missing), Some(wait)))
            }
            Err(_) => Err(self.state(self.rate.limit().get(), None)),
        }
    }

    fn per_use(&self) -> Duration {
        self.rate.period() / self.rate.limit().get()
    }

    fn clock(&self) -> &Ticks {
        self.bucket.clock()
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
        let limiter = Limiter::new(rate, clock.clone());
        let cost = |it| NonZeroU32::new(it).unwrap();
        let seconds = Duration::from_secs;
        assert_eq!(limiter.count(cost(1)).unwrap().remaining, 2);
        let refused = limiter.count(cost(3)).unwrap_err();
        assert_eq!(
            (refused.remaining, refused.retry_after),
            (2, Some(seconds(2)))
        );
        let state = limiter.count(cost(2)).unwrap();
        assert_eq!((state.remaining, state.reset), (0, seconds(6)));
        clock.advance(seconds(1));
        let refused = limiter.count(cost(1)).unwrap_err();
        assert_eq!(
            (refused.remaining, refused.retry_after),
            (0, Some(seconds(1)))
        );
        clock.advance(seconds(1));
        assert_eq!(limiter.count(cost(1)).unwrap().remaining, 0);
        let never = limiter.count(cost(4)).unwrap_err();
        assert_eq!((never.retry_after, never.limit), (None, 3));
    }
}
