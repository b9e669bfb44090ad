//! Where randomness comes from. The machine's generator lives in `app`; tests bring a seeded one.

use sha2::{Digest as _, Sha256};

/// A source of unpredictable bytes.
pub trait Dice: Send {
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<D: Dice + ?Sized> Dice for &mut D {
    fn fill(&mut self, bytes: &mut [u8]) {
        (**self).fill(bytes);
    }
}

/// Repeatable dice for tests and snapshots: SHA-256 over a seed and a counter. Never for real secrets.
#[derive(Debug, Clone)]
pub struct SeededDice {
    seed: u64,
    counter: u64,
}

impl SeededDice {
    pub fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }
}

impl Dice for SeededDice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let mut hash = Sha256::new();
            hash.update(self.seed.to_be_bytes());
            hash.update(self.counter.to_be_bytes());
            self.counter += 1;
            chunk.copy_from_slice(&hash.finalize()[..chunk.len()]);
        }
    }
}
