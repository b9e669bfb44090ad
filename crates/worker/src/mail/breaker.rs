//! The breaker: once the server refuses us (not a recipient) for good, mails wait for a minute, then
//! two, up to ten, instead of failing one after the other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use symbolon_domain::Timestamp;

const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    until: Option<Timestamp>,
    /// How long the latest opening lasts; zero after a success.
    span: Duration,
}

impl Breaker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when mails must wait, if they must.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.state().until.filter(|until| now < *until)
    }

    /// Opens, twice as long as the last time. Refusals of mails that were already under way when it
    /// opened do not add to it.
    pub fn refused(&self, now: Timestamp) -> Duration {
        let mut state = self.state();
        if state.until.is_none_or(|until| until <= now) {
            state.span = (state.span * 2).clamp(FIRST, LONGEST);
            state.until = Some(now.plus(state.span));
        }
        state.span
    }

    pub fn accepted(&self) {
        *self.state() = State::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_ten_minutes_and_closes_on_success() {
        let breaker = Breaker::default();
        let mut now = Timestamp::from_micros(0);
        assert_eq!(breaker.open_until(now), None);
        for seconds in [60, 120, 240, 480, 600, 600] {
            let span = Duration::from_secs(seconds);
            assert_eq!(breaker.refused(now), span);
            assert_eq!(
                breaker.refused(now),
                span,
                "a second refusal at once adds nothing"
            );
            assert_eq!(breaker.open_until(now), Some(now.plus(span)));
            now = now.plus(span);
            assert_eq!(breaker.open_until(now), None);
        }
        breaker.accepted();
        assert_eq!(breaker.refused(now), FIRST);
    }
}
