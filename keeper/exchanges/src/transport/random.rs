//! Randomness that a test can repeat: jitter needs no secrecy, only a seed.

use std::hash::{BuildHasher as _, RandomState};

/// A small generator (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed of the process's own: two processes must not reconnect in step.
    #[must_use]
    pub fn from_process() -> Self {
        Self(RandomState::new().hash_one(std::process::id()))
    }

    /// 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit`, both included, evenly spread.
    pub fn up_to(&mut self, limit: u64) -> u64 {
        let span = u128::from(limit) + 1;
        // The upper half of a 128-bit product is at most `limit`.
        u64::try_from((u128::from(self.bits()) * span) >> 64).unwrap_or(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_the_limit_is_reached_but_not_passed() {
        let mut one = Random::seeded(7);
        let mut two = Random::seeded(7);
        let mut seen = [false; 4];
        for _ in 0..200 {
            let number = one.up_to(3);
            assert_eq!(number, two.up_to(3));
            seen[usize::try_from(number).unwrap()] = true;
        }
        assert_eq!(seen, [true; 4]);
        assert!(one.up_to(u64::MAX) != two.up_to(0));
    }
}
