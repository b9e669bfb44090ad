//! The machine's clock and randomness: the one place that asks for them.

use std::time::Duration;
use symbolon_domain::{Clock, Dice, Timestamp};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the product asks the machine for the time"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// Goes on while the machine sleeps, where the system has such a clock: what was known before it slept is
    /// old when it wakes.
    #[cfg(target_os = "linux")]
    fn monotonic(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::try_from(now).expect("the time since the machine started is not negative")
    }

    #[cfg(not(target_os = "linux"))]
    fn monotonic(&self) -> Duration {
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed()
    }
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDice;

impl Dice for SystemDice {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the product asks the machine for randomness"
    )]
    fn fill(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("without randomness nothing may be minted");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// `/proc/uptime` counts the time asleep; a clock that does not is behind it on a machine that ever slept.
    #[test]
    fn its_clock_counts_since_the_machine_started() {
        let uptime = || {
            let text = std::fs::read_to_string("/proc/uptime").unwrap();
            let seconds = text.split_whitespace().next().unwrap().parse().unwrap();
            Duration::from_secs_f64(seconds)
        };
        let tick = Duration::from_millis(20);
        let (before, now, after) = (uptime(), SystemClock.monotonic(), uptime());
        assert!(
            before <= now + tick && now <= after + tick,
            "{before:?} {now:?} {after:?}"
        );
        assert!(SystemClock.monotonic() >= now);
    }
}
