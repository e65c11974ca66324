//! What an account amounts to: a position's leverage.

use lockstep_contracts::units::Wad;
use lockstep_exchanges::follow::View;
use lockstep_exchanges::model::{Decimal, Position, Text};

use crate::source::hand_in::wad;

/// Net size in an instrument and its leverage: notional at the mark price over equity, both signs, cut towards zero. None
/// while a price or the balance that it needs is not known.
pub(super) fn state_of(view: &View, instrument: &Text, asset: &Text) -> Option<(Decimal, Wad)> {
    let of = |position: &&Position| position.instrument == *instrument;
    let size: Decimal = view
        .positions
        .iter()
        .filter(of)
        .map(|position| position.size)
        .sum();
    if size.is_zero() {
        return Some((size, Wad(0)));
    }
    let equity = equity(view, asset)?;
    if equity <= Decimal::ZERO {
        // Owing more than they have: there is nothing to follow.
        return Some((size, Wad(0)));
    }
    let leverage = size.checked_mul(mark(view, instrument)?)?.checked_div(equity)?;
    Some((size, wad(leverage)?))
}

fn mark(view: &View, instrument: &Text) -> Option<Decimal> {
    view.marks.get(instrument).copied().or_else(|| {
        let position = view
            .positions
            .iter()
            .find(|position| position.instrument == *instrument)?;
        position.mark_price.or(position.entry_price)
    })
}

/// Wallet and unrealised profit at the newest prices, where the prices are known; the venue's own figure otherwise.
fn equity(view: &View, asset: &Text) -> Option<Decimal> {
    let balance = view.balances.iter().find(|balance| balance.asset == *asset)?;
    let profit: Option<Decimal> = view
        .positions
        .iter()
        .map(|position| {
            let entry = position.entry_price?;
            let change = view.marks.get(&position.instrument)?.checked_sub(entry)?;
            position.size.checked_mul(change)
        })
        .sum();
    match profit {
        Some(profit) => balance.wallet.checked_add(profit),
        None => Some(balance.equity.unwrap_or(balance.wallet)),
    }
}

#[cfg(test)]
mod tests {
    use lockstep_exchanges::model::{Balance, PositionSide};

    use super::*;

    const ONE: i128 = 1_000_000_000_000_000_000;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn position(side: PositionSide, size: &str, entry: &str) -> Position {
        Position {
            instrument: "ETHUSDT".into(),
            position_side: side,
            size: decimal(size),
            entry_price: Some(decimal(entry)),
            mark_price: None,
            unrealised_profit: None,
            leverage: None,
            margin_mode: None,
            liquidation_price: None,
            time_ms: 1,
        }
    }

    fn view(wallet: &str, positions: Vec<Position>, mark: &str) -> View {
        View {
            certain: true,
            balances: vec![Balance {
                asset: "USDT".into(),
                wallet: decimal(wallet),
                equity: None,
                available: None,
                time_ms: 1,
            }],
            positions,
            orders: Vec::new(),
            marks: [("ETHUSDT".into(), decimal(mark))].into(),
            changed_ms: 1,
            now_ms: 1,
        }
    }

    fn leverage(view: &View) -> Option<i128> {
        state_of(view, &"ETHUSDT".into(), &"USDT".into()).map(|(_, leverage)| leverage.0)
    }

    #[test]
    fn leverage_is_notional_at_the_mark_over_equity_with_its_profit() {
        let long = view("1000", vec![position(PositionSide::Net, "1", "2000")], "2500");
        // 2500 over 1000 + 500.
        assert_eq!(leverage(&long), Some(1_666_666_666_666_666_666));
        let short = view("1000", vec![position(PositionSide::Net, "-0.5", "2000")], "2000");
        assert_eq!(leverage(&short), Some(-ONE));
        assert_eq!(leverage(&view("1000", vec![], "2000")), Some(0));
    }

    #[test]
    fn hedge_positions_count_net() {
        let both = vec![
            position(PositionSide::Long, "1.5", "2000"),
            position(PositionSide::Short, "-0.5", "2000"),
        ];
        assert_eq!(leverage(&view("2000", both, "2000")), Some(ONE));
    }

    #[test]
    fn without_a_balance_nothing_is_known_and_a_ruined_master_is_followed_nowhere() {
        let mut unknown = view("1000", vec![position(PositionSide::Net, "1", "2000")], "2000");
        unknown.balances.clear();
        assert_eq!(leverage(&unknown), None);
        let ruined = view("100", vec![position(PositionSide::Net, "1", "2000")], "1000");
        assert_eq!(leverage(&ruined), Some(0));
    }
}
