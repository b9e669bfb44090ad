//! How often a credential may be used.

use crate::limits;
use crate::refusal::FieldCode;
use std::num::NonZeroU32;
use std::time::Duration;

/// So many uses in a period, refilled evenly (GCRA); all of them may come at once. Each process counts for
/// itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    limit: NonZeroU32,
    period_seconds: NonZeroU32,
}

impl RateLimit {
    /// # Errors
    /// The name of the field that is out of range, and how: `limit` is 1 to 1,000,000, `period` whole
    /// seconds from one to a day.
    pub fn new(limit: i64, period: Duration) -> Result<Self, (&'static str, FieldCode)> {
        let max = i64::from(limits::RATE_LIMIT_MAX);
        let legal = u32::try_from(limit).ok().and_then(NonZeroU32::new);
        let limit = legal
            .filter(|it| it.get() <= limits::RATE_LIMIT_MAX)
            .ok_or(("limit", FieldCode::OutOfRange { min: 1, max }))?;
        let seconds = u32::try_from(period.as_secs())
            .ok()
            .and_then(NonZeroU32::new);
        let period_seconds = seconds
            .filter(|_| period <= limits::RATE_PERIOD_MAX && period.subsec_nanos() == 0)
            .ok_or_else(|| {
                let max = i64::try_from(limits::RATE_PERIOD_MAX.as_secs()).unwrap_or(i64::MAX);
                ("period", FieldCode::OutOfRange { min: 1, max })
            })?;
        Ok(Self {
            limit,
            period_seconds,
        })
    }

    pub fn limit(self) -> NonZeroU32 {
        self.limit
    }

    /// Whole seconds.
    pub fn period(self) -> Duration {
        Duration::from_secs(self.period_seconds.get().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_have_bounds() {
        let second = Duration::from_secs(1);
        assert_eq!(
            RateLimit::new(5, 60 * second).unwrap().period(),
            60 * second
        );
        for bad in [i64::MIN, -1, 0, 1_000_001, i64::MAX] {
            assert_eq!(RateLimit::new(bad, second).unwrap_err().0, "limit");
        }
        for bad in [Duration::ZERO, second / 2, second * 3 / 2, second * 86_401] {
            assert_eq!(RateLimit::new(1, bad).unwrap_err().0, "period");
        }
    }
}
