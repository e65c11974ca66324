//! EIP-1559 fees: quoted from the newest block, raised by at least an eighth for a replacement, never above a ceiling.

use serde::Deserialize;

/// Fees of one attempt, wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fees {
    /// Most that is paid in all.
    pub max_fee: u128,
    /// Most of it that goes to the block's builder.
    pub tip: u128,
}

/// How fees are chosen.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Never pay more than this, gwei per gas. A stalled transaction waits at the ceiling.
    pub max_fee_gwei: u64,
    /// Smallest tip, wei per gas.
    pub min_tip_wei: u64,
    /// A replacement raises both fees by so many percent; nodes ask for at least 10 or 12.5.
    pub bump_percent: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_fee_gwei: 200,
            min_tip_wei: 1_000_000,
            bump_percent: 15,
        }
    }
}

impl Policy {
    fn ceiling(&self) -> u128 {
        u128::from(self.max_fee_gwei).saturating_mul(1_000_000_000)
    }

    /// Fees for a first attempt: room for the base fee to double (six full blocks).
    #[must_use]
    pub fn quote(&self, base_fee: u128, suggested_tip: u128) -> Fees {
        let ceiling = self.ceiling();
        let tip = suggested_tip.max(u128::from(self.min_tip_wei)).min(ceiling);
        Fees {
            max_fee: base_fee.saturating_mul(2).saturating_add(tip).min(ceiling),
            tip,
        }
    }

    /// Fees for a replacement; `None` when the ceiling leaves no room for the step nodes insist on.
    #[must_use]
    pub fn bump(&self, old: Fees, quote: Fees) -> Option<Fees> {
        let step = |fee: u128| {
            fee.saturating_mul(100 + u128::from(self.bump_percent.max(13)))
                .div_ceil(100)
                + 1
        };
        let least = Fees {
            max_fee: step(old.max_fee),
            tip: step(old.tip),
        };
        let fees = Fees {
            max_fee: least.max_fee.max(quote.max_fee),
            tip: least.tip.max(quote.tip),
        };
        let fees = Fees {
            max_fee: fees.max_fee.max(fees.tip),
            ..fees
        };
        (fees.max_fee <= self.ceiling()).then_some(fees)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bump_is_large_enough_and_below_the_ceiling(
            base in 0u128..1_000_000_000_000,
            tip in 0u128..100_000_000_000,
            later in 0u128..1_000_000_000_000,
        ) {
            let policy = Policy::default();
            let first = policy.quote(base, tip);
            prop_assert!(first.tip <= first.max_fee && first.max_fee <= policy.ceiling());
            if let Some(next) = policy.bump(first, policy.quote(later, tip)) {
                prop_assert!(next.max_fee * 1000 >= first.max_fee * 1125);
                prop_assert!(next.tip * 1000 >= first.tip * 1125);
                prop_assert!(next.tip <= next.max_fee && next.max_fee <= policy.ceiling());
            }
        }
    }
}
