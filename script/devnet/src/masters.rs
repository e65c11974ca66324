//! Trading styles, as functions of the price history.

use alloy::primitives::Address;
use lockstep_contracts::bindings::IMasterRegistry;

/// How a master decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Holds the side on which the short average is of the long one.
    Trend,
    /// Leans against a price that has left its average, the more the further.
    Reversion,
    /// Rarely, and then a lot: holds one side until the price is well on the other side of a long average.
    Swing,
}

/// A master of the local stack.
#[derive(Debug, Clone)]
pub struct MasterPlan {
    /// Strategy name.
    pub name: &'static str,
    /// How it trades.
    pub style: Style,
    /// Markets by symbol, in the order of its signals.
    pub markets: &'static [&'static str],
    /// Collateral on the exchange, 1e-6 USDC.
    pub equity: u64,
    /// Fewest seconds between two of its trades.
    pub patience: u64,
    /// Copy fee, bps of notional.
    pub copy_fee_bps: u16,
    /// Performance fee, bps of profit.
    pub performance_fee_bps: u16,
    /// Seconds its metadata is held back.
    pub disclosure_delay: u32,
}

/// The three masters of `script/up`.
pub const MASTERS: [MasterPlan; 3] = [
    MasterPlan {
        name: "Northwind Trend",
        style: Style::Trend,
        markets: &["ETH-USD"],
        equity: 250_000_000_000,
        patience: 20,
        copy_fee_bps: 5,
        performance_fee_bps: 1_000,
        disclosure_delay: 0,
    },
    MasterPlan {
        name: "Harbour Reversion",
        style: Style::Reversion,
        markets: &["BTC-USD", "ETH-USD"],
        equity: 400_000_000_000,
        patience: 12,
        copy_fee_bps: 3,
        performance_fee_bps: 500,
        disclosure_delay: 0,
    },
    MasterPlan {
        name: "Long Swell",
        style: Style::Swing,
        markets: &["BTC-USD"],
        equity: 120_000_000_000,
        patience: 75,
        copy_fee_bps: 8,
        performance_fee_bps: 1_500,
        disclosure_delay: 120,
    },
];

impl MasterPlan {
    /// Terms as registered.
    #[must_use]
    pub const fn terms(&self) -> IMasterRegistry::Terms {
        IMasterRegistry::Terms {
            copyFeeBps: self.copy_fee_bps,
            performanceFeeBps: self.performance_fee_bps,
            maxLeverageBps: 50_000,
            maxSlippageBps: 300,
            deadBandBps: 100,
            minTradeNotional: 5_000_000,
            maxOpenNotional: 50_000_000_000_000,
            disclosureDelay: self.disclosure_delay,
        }
    }

    /// The registration of this master, for `source` to be followed.
    #[must_use]
    pub fn registration(
        &self,
        venue: Address,
        source: Address,
        listing_ids: Vec<u16>,
    ) -> IMasterRegistry::registerCall {
        IMasterRegistry::registerCall {
            venue,
            source,
            name: self.name.to_owned(),
            markets: listing_ids,
            terms: self.terms(),
        }
    }
}

impl Style {
    /// Prices it looks at.
    pub const LOOK_BACK: usize = 64;

    /// The leverage (10000 = 1x) to hold after `prices` (oldest first); `None`: keep what is held.
    #[must_use]
    pub fn leverage(self, prices: &[u64], held_bps: i64) -> Option<i64> {
        let last = i128::from(*prices.last()?);
        let distance_bps = |from: i128| i64::try_from((last - from) * 10_000 / from.max(1)).ok();
        match self {
            Self::Trend => {
                let (short, long) = (average(prices, 6)?, average(prices, 24)?);
                let lead = (short - long) * 10_000 / long;
                match lead {
                    8.. => Some(20_000),
                    ..=-8 => Some(-20_000),
                    _ if held_bps == 0 => Some(5_000),
                    _ => None,
                }
            }
            Self::Reversion => {
                let distance = distance_bps(average(prices, 24)?)?;
                // A step of half a leverage for every 20 bps, and no trade for less than a step.
                let wanted = (-distance / 20 * 5_000).clamp(-15_000, 15_000);
                ((wanted - held_bps).abs() >= 5_000).then_some(wanted)
            }
            Self::Swing => {
                let distance = distance_bps(average(prices, Self::LOOK_BACK)?)?;
                match distance {
                    40.. => Some(40_000),
                    ..=-40 => Some(-30_000),
                    _ if held_bps == 0 => Some(10_000),
                    _ => None,
                }
            }
        }
    }
}

fn average(prices: &[u64], count: usize) -> Option<i128> {
    let window = prices.get(prices.len().saturating_sub(count)..)?;
    let sum: i128 = window.iter().map(|price| i128::from(*price)).sum();
    sum.checked_div(i128::try_from(window.len()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(from: u64, step_bps: i64) -> Vec<u64> {
        let mut price = i128::from(from);
        (0..80)
            .map(|_| {
                price += price * i128::from(step_bps) / 10_000;
                u64::try_from(price).unwrap()
            })
            .collect()
    }

    #[test]
    fn trend_goes_with_the_price_and_reversion_against_it() {
        let rising = ramp(200_000_000_000, 10);
        let falling = ramp(200_000_000_000, -10);
        assert_eq!(Style::Trend.leverage(&rising, 0), Some(20_000));
        assert_eq!(Style::Trend.leverage(&falling, 20_000), Some(-20_000));
        assert_eq!(Style::Reversion.leverage(&rising, 0), Some(-15_000));
        assert_eq!(Style::Reversion.leverage(&falling, 0), Some(15_000));
        assert_eq!(Style::Swing.leverage(&rising, 0), Some(40_000));
    }

    #[test]
    fn a_still_market_makes_nobody_trade_twice() {
        let still = ramp(6_000_000_000_000, 0);
        assert_eq!(Style::Trend.leverage(&still, 5_000), None);
        assert_eq!(Style::Reversion.leverage(&still, 0), None);
        assert_eq!(Style::Swing.leverage(&still, 10_000), None);
    }
}
