//! What contracts are worth and what they earn, in the asset they settle in, and what an account holds of one.
//!
//! Linear contracts are counted in base units and pay the change of the price. Inverse ones are counted in the quote asset
//! (dollars) and pay the change of what a dollar buys.

use crate::model::{ContractKind, Decimal, Instrument, SizeUnit};

/// Whether sizes are amounts of the quote asset.
#[must_use]
pub fn is_inverse(instrument: &Instrument) -> bool {
    instrument.kind == ContractKind::Inverse && instrument.size_unit == SizeUnit::Quote
}

/// What a size is worth at a price, in the asset of settlement; with the sign of the size.
#[must_use]
pub fn value(inverse: bool, size: Decimal, price: Decimal) -> Decimal {
    if inverse {
        size.checked_div(price).unwrap_or_default()
    } else {
        size * price
    }
}

/// What a size earned from one price to another, in the asset of settlement.
#[must_use]
pub fn profit(inverse: bool, size: Decimal, entry: Decimal, price: Decimal) -> Decimal {
    if size.is_zero() {
        return Decimal::ZERO;
    }
    let change = value(inverse, size, price) - value(inverse, size, entry);
    if inverse { -change } else { change }
}

/// The average price of two sizes: of linear ones by size, of inverse ones so that their worth adds up.
#[must_use]
pub fn average(inverse: bool, one: (Decimal, Decimal), other: (Decimal, Decimal)) -> Option<Decimal> {
    let size = one.0 + other.0;
    let worth = [one, other]
        .into_iter()
        .filter(|(size, _)| !size.is_zero())
        .map(|(size, price)| value(inverse, size, price))
        .sum::<Decimal>();
    if inverse {
        size.checked_div(worth)
    } else {
        worth.checked_div(size)
    }
}

/// What an account holds of an instrument.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Holding {
    /// Signed.
    pub(super) size: Decimal,
    /// Average price.
    pub(super) entry: Decimal,
    /// Of the last change, Unix milliseconds.
    pub(super) time_ms: u64,
}

impl Holding {
    /// Trades `signed` at `price`; the profit that was realised.
    pub(super) fn trade(&mut self, inverse: bool, signed: Decimal, price: Decimal) -> Decimal {
        let before = self.size;
        self.size += signed;
        let same_way = before.is_zero() || before.is_sign_positive() == signed.is_sign_positive();
        if same_way {
            self.entry = average(inverse, (before, self.entry), (signed, price))
                .unwrap_or_default()
                .round_dp(10);
            return Decimal::ZERO;
        }
        let closed = before.abs().min(signed.abs());
        let direction = if before.is_sign_positive() {
            Decimal::ONE
        } else {
            Decimal::NEGATIVE_ONE
        };
        let profit = profit(inverse, closed * direction, self.entry, price);
        if self.size.is_zero() {
            self.entry = Decimal::ZERO;
        } else if self.size.is_sign_positive() != before.is_sign_positive() {
            self.entry = price;
        }
        profit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn an_inverse_position_earns_in_what_it_is_settled_in() {
        let mut held = Holding::default();
        assert_eq!(
            held.trade(true, decimal("10000"), decimal("50000")),
            Decimal::ZERO
        );
        // 10,000 dollars were 0.2 bitcoin and are 0.1: the long side earned the other 0.1.
        assert_eq!(
            profit(true, held.size, held.entry, decimal("100000")),
            decimal("0.1")
        );
        assert_eq!(
            held.trade(true, decimal("-15000"), decimal("40000")),
            decimal("-0.05")
        );
        assert_eq!((held.size, held.entry), (decimal("-5000"), decimal("40000")));
        assert_eq!(
            profit(true, held.size, held.entry, decimal("20000")),
            decimal("0.125")
        );
    }

    #[test]
    fn the_average_price_of_inverse_sizes_keeps_their_worth() {
        let mut held = Holding::default();
        held.trade(true, decimal("10000"), decimal("20000"));
        held.trade(true, decimal("10000"), decimal("40000"));
        // 0.5 and 0.25 bitcoin for 20,000 dollars.
        assert_eq!(held.entry, decimal("26666.6666666667"));
        held.size = Decimal::ZERO;
        held.trade(false, Decimal::ONE, decimal("20000"));
        held.trade(false, Decimal::ONE, decimal("40000"));
        assert_eq!(held.entry, decimal("30000"));
    }
}
