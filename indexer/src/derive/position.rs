//! One account's position in one market: average entry and realised result.
//!
//! A quote balance takes everything (trade, fees, funding). What is closed realises its part of the balance: so the
//! result of a closed position is what the chain put into the balance between opening and closing, to the last 1e-6.

use lockstep_contracts::units::{Size, Usdc, Wad};

use super::documents::{PositionDoc, Unchanged};
use super::math::{Overflow, WAD, add, funding, mul_div, mul_div_floor, sub, value};
use crate::decode::Change;

/// What a fill did to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effect {
    /// Realised by this fill.
    pub realised: Usdc,
    /// Result of the whole position, when this fill closed it (or turned it around).
    pub closed: Option<Usdc>,
}

/// Applies a change of size and quote balance at a price.
pub fn fill(
    position: &mut PositionDoc,
    delta: Size,
    quote: Usdc,
    price: Wad,
    time: u64,
) -> Result<Effect, Overflow> {
    position.quote = add(position.quote, quote, "quote balance")?;
    let size = position.size.0;
    let after = size.checked_add(delta.0).ok_or(Overflow("position size"))?;
    let mut effect = Effect::default();

    if delta.0 == 0 && size == 0 {
        // Belongs to no position.
    } else if delta.0 == 0 {
        // Funding alone.
        position.open_quote = add(position.open_quote, quote, "quote balance")?;
    } else if size == 0 || (size > 0) == (delta.0 > 0) {
        open(position, delta.0, quote, price, time)?;
    } else if delta.0.unsigned_abs() <= size.unsigned_abs() {
        effect.realised = reduce(position, delta.0.abs(), quote)?;
        if after == 0 {
            effect.closed = Some(close(position));
        }
    } else {
        // Turned around: the fill's quote is divided by size between what it closed and what it opened.
        let closing = Usdc(mul_div_floor(quote.0, size.abs(), delta.0.abs(), "quote part")?);
        effect.realised = reduce(position, size.abs(), closing)?;
        effect.closed = Some(close(position));
        position.size = Size::ZERO;
        open(position, after, sub(quote, closing, "quote part")?, price, time)?;
    }
    position.size = Size(after);
    Ok(effect)
}

/// Whether a change by the venue reaches a position: one that is open, or that the change it replaces has closed.
pub fn concerns(position: &PositionDoc, change: &Change) -> bool {
    position.size.0 != 0 || replaces(position, change).is_some()
}

fn replaces(position: &PositionDoc, change: &Change) -> Option<Unchanged> {
    position
        .unchanged
        .filter(|unchanged| unchanged.generation == change.generation)
}

/// Applies a change the venue made itself, with the vault's roundings: funding owed up, cash down, sizes towards zero. A
/// change that replaces the one before is applied to what that one was applied to.
pub fn change(position: &mut PositionDoc, change: &Change, time: u64) -> Result<Effect, Overflow> {
    let from = replaces(position, change).unwrap_or(Unchanged {
        generation: change.generation,
        size: position.size,
        quote: position.quote,
        funding_index: position.funding_index,
    });
    let owed = funding(from.size, from.funding_index, change.funding_index)?;
    let mut quote = sub(from.quote, owed, "quote balance")?;
    let mut size = from.size.0;
    if size != 0 && (size > 0) == change.long_side {
        let cash = value(Size(size.abs()), change.cash_per_size)?;
        quote = add(quote, cash, "quote balance")?;
        size = mul_div(size, change.scale.0, WAD, "position size")?;
    }
    let delta = size
        .checked_sub(position.size.0)
        .ok_or(Overflow("position size"))?;
    let paid = sub(quote, position.quote, "quote balance")?;
    let price = average_entry(position)?.unwrap_or_default();
    let effect = fill(position, Size(delta), paid, price, time)?;
    (position.funding_index, position.unchanged) = (change.funding_index, Some(from));
    Ok(effect)
}

fn open(position: &mut PositionDoc, delta: i128, quote: Usdc, price: Wad, time: u64) -> Result<(), Overflow> {
    if position.size.0 == 0 {
        position.opened_at = time;
        position.entry_cost = Wad::ZERO;
        position.open_quote = Usdc::ZERO;
        position.realised = Usdc::ZERO;
    }
    let cost = mul_div(delta.abs(), price.0, WAD, "entry cost")?;
    position.entry_cost = position
        .entry_cost
        .checked_add(Wad(cost))
        .ok_or(Overflow("entry cost"))?;
    position.open_quote = add(position.open_quote, quote, "quote balance")?;
    Ok(())
}

/// Closes `amount` (positive, at most the size) against `quote`.
fn reduce(position: &mut PositionDoc, amount: i128, quote: Usdc) -> Result<Usdc, Overflow> {
    let size = position.size.0.abs();
    let cost = mul_div(position.entry_cost.0, amount, size, "entry cost")?;
    let share = Usdc(mul_div_floor(position.open_quote.0, amount, size, "quote part")?);
    position.entry_cost = Wad(position.entry_cost.0 - cost);
    position.open_quote = sub(position.open_quote, share, "quote balance")?;
    let realised = add(share, quote, "realised")?;
    position.realised = add(position.realised, realised, "realised")?;
    Ok(realised)
}

fn close(position: &mut PositionDoc) -> Usdc {
    position.entry_cost = Wad::ZERO;
    position.open_quote = Usdc::ZERO;
    std::mem::take(&mut position.realised)
}

/// Average price of what is open; `None` when flat.
pub fn average_entry(position: &PositionDoc) -> Result<Option<Wad>, Overflow> {
    if position.size.0 == 0 {
        return Ok(None);
    }
    mul_div(position.entry_cost.0, WAD, position.size.0.abs(), "average entry").map(|price| Some(Wad(price)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: i128 = WAD;
    const USD: i128 = 1_000_000;

    fn price(usd: i128) -> Wad {
        Wad(usd * WAD)
    }

    #[test]
    fn adding_averages_and_closing_realises() {
        let mut p = PositionDoc::default();
        fill(&mut p, Size(BASE), Usdc(-2_001 * USD), price(2_000), 10).unwrap();
        fill(&mut p, Size(BASE), Usdc(-2_201 * USD), price(2_200), 20).unwrap();
        assert_eq!(average_entry(&p), Ok(Some(price(2_100))));
        assert_eq!(p.opened_at, 10);
        let half = fill(&mut p, Size(-BASE), Usdc(2_300 * USD), price(2_301), 30).unwrap();
        assert_eq!(
            half,
            Effect {
                realised: Usdc(199 * USD),
                closed: None
            }
        );
        assert_eq!(average_entry(&p), Ok(Some(price(2_100))));
        let rest = fill(&mut p, Size(-BASE), Usdc(2_000 * USD), price(2_001), 40).unwrap();
        assert_eq!(
            rest,
            Effect {
                realised: Usdc(-101 * USD),
                closed: Some(Usdc(98 * USD))
            }
        );
        assert_eq!((p.size, p.quote), (Size::ZERO, Usdc(98 * USD)));
    }

    #[test]
    fn turning_around_closes_one_position_and_opens_another() {
        let mut p = PositionDoc::default();
        fill(&mut p, Size(BASE), Usdc(-2_000 * USD), price(2_000), 10).unwrap();
        let turn = fill(&mut p, Size(-3 * BASE), Usdc(6_300 * USD), price(2_100), 20).unwrap();
        assert_eq!(
            turn,
            Effect {
                realised: Usdc(100 * USD),
                closed: Some(Usdc(100 * USD))
            }
        );
        assert_eq!((p.size, p.opened_at), (Size(-2 * BASE), 20));
        assert_eq!(average_entry(&p), Ok(Some(price(2_100))));
        let end = fill(&mut p, Size(2 * BASE), Usdc(-4_400 * USD), price(2_200), 30).unwrap();
        assert_eq!(end.closed, Some(Usdc(-200 * USD)));
        assert_eq!(p.quote, Usdc(-100 * USD));
    }

    fn by_venue(generation: u8, scale: i128, cash: i128, funding_index: i64) -> Change {
        Change {
            market: 0,
            generation,
            long_side: true,
            scale: Wad(scale),
            cash_per_size: Wad(cash),
            funding_index,
        }
    }

    fn held(size: i128, funding_index: i64) -> PositionDoc {
        let mut p = PositionDoc::default();
        fill(&mut p, Size(size), Usdc(0), price(2_000), 1).unwrap();
        p.funding_index = funding_index;
        p
    }

    /// `LedgerLib.caughtUp` by hand: 3e-6 units at index 10, a change at 20 that takes a third and brings 7 USDC a unit.
    #[test]
    fn a_change_by_the_venue_rounds_as_the_vault_does() {
        let mut long = held(3_000_000_000_001, 10);
        change(&mut long, &by_venue(1, WAD / 3 * 2, 7 * WAD, 20), 9).unwrap();
        // Funding of 3e-14 rounds up to 1e-6, cash of 21.000000000007e-6 and the size down.
        assert_eq!((long.size, long.quote), (Size(2_000_000_000_000), Usdc(20)));
        assert_eq!(long.funding_index, 20);
        // The other side pays its funding and keeps the rest.
        let mut short = held(-3_000_000_000_001, 10);
        change(&mut short, &by_venue(1, 0, 7 * WAD, 20), 9).unwrap();
        assert_eq!((short.size, short.quote), (Size(-3_000_000_000_001), Usdc(0)));
        let mut short = held(-3_000_000_000_001, 20);
        change(&mut short, &by_venue(1, 0, 7 * WAD, 10), 9).unwrap();
        assert_eq!(short.quote, Usdc(-1));
    }

    #[test]
    fn a_change_told_again_replaces_the_first() {
        let (first, folded) = (by_venue(4, WAD / 2, WAD, 20), by_venue(4, 0, 3 * WAD, 33));
        for size in [5 * BASE + 1, -5 * BASE - 1] {
            let mut once = held(size, 10);
            change(&mut once, &folded, 2).unwrap();
            let mut twice = held(size, 10);
            change(&mut twice, &first, 2).unwrap();
            change(&mut twice, &folded, 2).unwrap();
            assert_eq!((twice.size, twice.quote), (once.size, once.quote));
            assert_eq!((twice.funding_index, twice.unchanged), (33, once.unchanged));
        }
        // Another number goes on from where the first left.
        let mut next = held(5 * BASE, 10);
        change(&mut next, &first, 2).unwrap();
        let between = next.clone();
        change(&mut next, &by_venue(5, WAD / 2, 0, 20), 2).unwrap();
        assert_eq!((next.size, next.quote), (Size(between.size.0 / 2), between.quote));
        // What has been closed still takes the last unit of a change folded into the one that closed it.
        let mut gone = held(5 * BASE, 10);
        let closed = change(&mut gone, &by_venue(6, 0, WAD, 20), 2).unwrap().closed;
        assert_eq!((gone.size, closed), (Size::ZERO, Some(gone.quote)));
        assert!(concerns(&gone, &by_venue(6, 0, WAD, 21)));
        assert!(!concerns(&gone, &by_venue(7, 0, WAD, 21)));
    }

    proptest! {
        /// Whatever the order of fills, all results together are the whole quote balance once flat.
        #[test]
        fn results_of_closed_positions_add_up_to_the_balance(
            fills in proptest::collection::vec((-5i128..=5, -10_000i128..10_000, 1i128..5_000), 1..40),
        ) {
            let mut p = PositionDoc::default();
            let mut results = 0;
            for (time, (size, quote, usd)) in fills.into_iter().enumerate() {
                if size == 0 && p.size.0 == 0 {
                    continue;
                }
                let effect = fill(&mut p, Size(size * BASE), Usdc(quote), price(usd), time as u64).unwrap();
                results += effect.closed.map_or(0, |closed| closed.0);
                prop_assert_eq!(results + p.realised.0 + p.open_quote.0, p.quote.0);
            }
            let size = p.size.0;
            let last = fill(&mut p, Size(-size), Usdc(7), price(1), 99).unwrap();
            if size != 0 {
                results += last.closed.unwrap().0;
                prop_assert_eq!(results, p.quote.0);
            }
        }
    }
}
