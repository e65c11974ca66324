//! A small seeded generator (SplitMix64): the same seed gives the same prices, followers and kills on every machine.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A stream of its own for each seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A stream for the `index`th thing of a kind, independent of how many numbers the others draw.
    #[must_use]
    pub fn fork(seed: u64, index: u64) -> Self {
        let mut mixed = Self::new(seed ^ index.wrapping_mul(0xd134_2543_de82_ef95));
        Self::new(mixed.next_u64())
    }

    /// The next 64 bits.
    #[allow(clippy::should_implement_trait)]
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        debug_assert!(low <= high);
        low + self.next_u64() % (high - low + 1)
    }

    /// A number in `-spread..=spread`, more often near zero: the mean of four draws.
    pub fn bell(&mut self, spread: u32) -> i64 {
        let width = u64::from(spread) * 2;
        let sum: u64 = (0..4).map(|_| self.between(0, width)).sum();
        (sum / 4).cast_signed() - i64::from(spread)
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let last = u64::try_from(items.len()).ok()?.checked_sub(1)?;
        let index = usize::try_from(self.between(0, last)).ok()?;
        items.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            [random.next_u64(), random.next_u64()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        // First output of SplitMix64 for seed 1234567.
        assert_eq!(Random::new(1_234_567).next_u64(), 6_457_827_717_110_365_317);
    }

    #[test]
    fn the_bell_stays_inside_and_has_no_drift() {
        let mut random = Random::new(7);
        let draws: Vec<i64> = (0..20_000).map(|_| random.bell(100)).collect();
        assert!(draws.iter().all(|draw| (-100..=100).contains(draw)));
        assert!(draws.iter().sum::<i64>().abs() < 20_000);
    }
}
