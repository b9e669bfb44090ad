//! Latencies in buckets that are at most 1.6 % wide.

use std::time::Duration;

/// Buckets for each power of two.
const FINE: u32 = 6;

#[derive(Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let at = bucket(nanos);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
        self.total += 1;
    }

    pub fn add(&mut self, other: &Self) {
        if other.counts.len() > self.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
    }

    pub fn len(&self) -> u64 {
        self.total
    }

    /// The latency that this share of all did not exceed: the upper bound of its bucket.
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (share * self.total as f64).ceil() as u64;
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank && seen > 0 {
                return Duration::from_nanos(upper(at));
            }
        }
        Duration::ZERO
    }
}

/// Values below 2^FINE have a bucket each; above, each power of two has 2^FINE.
fn bucket(nanos: u64) -> usize {
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(FINE + 1);
    let within = nanos >> shift;
    ((u64::from(shift) << FINE) + within) as usize
}

fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket >> FINE).saturating_sub(1);
    let within = bucket - (shift << FINE);
    ((within + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_narrow_and_in_order() {
        let mut last = 0;
        for nanos in (0..3_000_000u64).step_by(7) {
            let at = bucket(nanos);
            assert!(at >= last && upper(at) >= nanos);
            assert!(upper(at) - nanos <= nanos / 64, "{nanos} {}", upper(at));
            last = at;
        }
    }

    #[test]
    fn quantiles_are_of_what_was_recorded() {
        let mut all = Histogram::default();
        for part in 0..2u64 {
            let mut some = Histogram::default();
            for at in 1..=500 {
                some.record(Duration::from_micros(part * 500 + at));
            }
            all.add(&some);
        }
        assert_eq!(all.len(), 1000);
        for (share, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = all.quantile(share).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.02, "{share}: {found}");
        }
        assert_eq!(Histogram::default().quantile(0.5), Duration::ZERO);
    }
}
