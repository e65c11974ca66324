//! Where the same thing costs different money: spreads between two venues, and funding rates that differ, after fees and
//! as deep as the books go. It finds; whether to act on it is another's decision.

use crate::model::{Decimal, Funding, Level, Venue};

/// What it costs to take from a venue's book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taker {
    /// Who.
    pub venue: Venue,
    /// Fee as a fraction of the notional (0.0005 = 5 basis points).
    pub fee: Decimal,
}

/// A spread that is left after fees: buy on one venue, sell on the other, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    /// Where to buy.
    pub buy: Venue,
    /// Where to sell.
    pub sell: Venue,
    /// Base units for which the last one still earned its fees.
    pub size: Decimal,
    /// What the buying costs, quote units, without fees.
    pub cost: Decimal,
    /// What the selling brings, quote units, without fees.
    pub proceeds: Decimal,
    /// Both fees, quote units.
    pub fees: Decimal,
    /// Proceeds less cost less fees, quote units.
    pub profit: Decimal,
}

/// Takes asks of one venue against bids of the other, level by level, while the next unit earns more than its fees. Both
/// sides are best first, in base units and the same quote asset. None where nothing is left, or a number is beyond what a
/// decimal holds: nothing is reported that was not computed exactly.
pub fn spread(
    buy: Taker,
    asks: impl IntoIterator<Item = Level>,
    sell: Taker,
    bids: impl IntoIterator<Item = Level>,
) -> Option<Spread> {
    let mut asks = asks.into_iter();
    let mut bids = bids.into_iter();
    let mut ask = asks.next()?;
    let mut bid = bids.next()?;
    let mut found = Spread {
        buy: buy.venue,
        sell: sell.venue,
        size: Decimal::ZERO,
        cost: Decimal::ZERO,
        proceeds: Decimal::ZERO,
        fees: Decimal::ZERO,
        profit: Decimal::ZERO,
    };
    loop {
        let unit_fees = ask
            .price
            .checked_mul(buy.fee)?
            .checked_add(bid.price.checked_mul(sell.fee)?)?;
        let unit_profit = bid.price.checked_sub(ask.price)?.checked_sub(unit_fees)?;
        if unit_profit <= Decimal::ZERO {
            break;
        }
        let size = ask.size.min(bid.size);
        if size > Decimal::ZERO {
            found.size = found.size.checked_add(size)?;
            found.cost = found.cost.checked_add(ask.price.checked_mul(size)?)?;
            found.proceeds = found.proceeds.checked_add(bid.price.checked_mul(size)?)?;
            found.fees = found.fees.checked_add(unit_fees.checked_mul(size)?)?;
        }
        ask.size = ask.size.checked_sub(size)?;
        bid.size = bid.size.checked_sub(size)?;
        if ask.size <= Decimal::ZERO {
            let Some(next) = asks.next() else { break };
            ask = next;
        }
        if bid.size <= Decimal::ZERO {
            let Some(next) = bids.next() else { break };
            bid = next;
        }
    }
    found.profit = found.proceeds.checked_sub(found.cost)?.checked_sub(found.fees)?;
    (found.profit > Decimal::ZERO).then_some(found)
}

/// A difference of funding: long where less is paid, short where more is received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundingSpread {
    /// Where to be long.
    pub long: Venue,
    /// Where to be short.
    pub short: Venue,
    /// Received per hour as a fraction of the notional of one side, before fees.
    pub rate_per_hour: Decimal,
    /// Fees of entering and leaving both sides, as a fraction of the notional of one side.
    pub round_trip_fees: Decimal,
    /// Hours until the fees are earned, if the rates stay.
    pub hours_to_break_even: Decimal,
}

/// Hours between two payments where the venue does not say: what most perpetuals have.
const USUAL_INTERVAL_HOURS: u32 = 8;

fn per_hour(funding: &Funding) -> Option<Decimal> {
    let hours = funding.interval_hours.unwrap_or(USUAL_INTERVAL_HOURS);
    funding.rate.checked_div(Decimal::from(hours))
}

/// The better way round of two fundings; none where the rates are equal. Rates are compared by the hour, because venues
/// pay at different intervals.
#[must_use]
pub fn funding(one: (Taker, &Funding), other: (Taker, &Funding)) -> Option<FundingSpread> {
    let (one_rate, other_rate) = (per_hour(one.1)?, per_hour(other.1)?);
    let (long, short, rate) = if one_rate < other_rate {
        (one.0, other.0, other_rate.checked_sub(one_rate)?)
    } else {
        (other.0, one.0, one_rate.checked_sub(other_rate)?)
    };
    if rate.is_zero() {
        return None;
    }
    let round_trip_fees = long.fee.checked_add(short.fee)?.checked_mul(Decimal::TWO)?;
    Some(FundingSpread {
        long: long.venue,
        short: short.venue,
        rate_per_hour: rate,
        round_trip_fees,
        hours_to_break_even: round_trip_fees.checked_div(rate)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn level(price: u32, size: u32) -> Level {
        Level {
            price: price.into(),
            size: size.into(),
        }
    }

    fn taker(venue: Venue, fee: &str) -> Taker {
        Taker {
            venue,
            fee: decimal(fee),
        }
    }

    #[test]
    fn it_goes_as_deep_as_the_fees_allow() {
        let buy = taker(Venue::Okx, "0.001");
        let sell = taker(Venue::Bybit, "0.001");
        let asks = [level(100, 2), level(101, 5), level(104, 9)];
        let bids = [level(104, 3), level(102, 1), level(101, 9)];
        let found = spread(buy, asks, sell, bids).unwrap();
        // 2 at 100→104, 1 at 101→104, 1 at 101→102: the next would be 101→101.
        assert_eq!(found.size, decimal("4"));
        assert_eq!(found.cost, decimal("402"));
        assert_eq!(found.proceeds, decimal("414"));
        assert_eq!(found.fees, decimal("0.816"));
        assert_eq!(found.profit, decimal("11.184"));
        assert_eq!(spread(taker(Venue::Okx, "0.05"), asks, sell, bids), None);
    }

    #[test]
    fn funding_is_compared_by_the_hour() {
        let funding_of = |rate: &str, hours| Funding {
            instrument: "X".into(),
            rate: decimal(rate),
            next_time_ms: None,
            interval_hours: hours,
            time_ms: 0,
        };
        let hourly = funding_of("0.0001", Some(1));
        let usual = funding_of("0.0004", None);
        let found = funding(
            (taker(Venue::Hyperliquid, "0.0005"), &hourly),
            (taker(Venue::Binance, "0.0005"), &usual),
        )
        .unwrap();
        assert_eq!((found.long, found.short), (Venue::Binance, Venue::Hyperliquid));
        assert_eq!(found.rate_per_hour, decimal("0.00005"));
        assert_eq!(found.hours_to_break_even, decimal("40"));
    }

    proptest! {
        #[test]
        fn a_found_spread_is_a_profit_and_within_the_books(
            asks in proptest::collection::vec((50_u32..150, 0_u32..10), 0..10),
            bids in proptest::collection::vec((50_u32..150, 0_u32..10), 0..10),
        ) {
            let mut asks: Vec<_> = asks.into_iter().map(|(price, size)| level(price, size)).collect();
            let mut bids: Vec<_> = bids.into_iter().map(|(price, size)| level(price, size)).collect();
            asks.sort_by_key(|level| level.price);
            bids.sort_by_key(|level| std::cmp::Reverse(level.price));
            let depth = |levels: &[Level]| levels.iter().map(|level| level.size).sum::<Decimal>();
            let (ask_depth, bid_depth) = (depth(&asks), depth(&bids));
            if let Some(found) = spread(taker(Venue::Okx, "0.0005"), asks, taker(Venue::Bybit, "0.0005"), bids) {
                prop_assert!(found.profit > Decimal::ZERO);
                prop_assert!(found.size <= ask_depth && found.size <= bid_depth);
            }
        }
    }
}
