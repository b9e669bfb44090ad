//! What makes one request's id differ from another's of the same microsecond. Such an id is no secret: it has
//! to be unique, at less than the price of asking the system for randomness at every request.

use crate::App;
use std::cell::Cell;
use symbolon_domain::Dice;

thread_local! {
    /// Where this thread stands; set from the dice of the app that asks first.
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// SplitMix64 (Steele, Lea, Flood 2014): visits every number of 64 bits once before it repeats.
pub(crate) struct Sequence<'a>(pub &'a App);

impl Sequence<'_> {
    fn next(&self) -> u64 {
        let state = STATE.get().unwrap_or_else(|| {
            let mut seed = [0; 8];
            self.0.dice().fill(&mut seed);
            u64::from_be_bytes(seed)
        });
        let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        STATE.set(Some(state));
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Dice for Sequence<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]);
        }
    }
}
