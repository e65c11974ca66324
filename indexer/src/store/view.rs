//! From documents to what readers see.

use lockstep_contracts::units::Usdc;

use crate::derive::documents::{AccountDoc, StrategyDoc, VaultDoc};
use crate::derive::math::{Overflow, WAD, add, mul_div_floor, sub, value};
use crate::derive::position;
use crate::model::{Account, IndexerStatus, Market, Position, Signal, Statistics, Strategy};

/// A strategy with its figures.
pub(super) fn strategy(document: StrategyDoc, statistics: Statistics, status: &IndexerStatus) -> Strategy {
    let now = status.cursor.map_or(0, |cursor| cursor.time);
    Strategy {
        id: document.id,
        name: document.name,
        master: document.master,
        venue: document.venue,
        source: document.source,
        vaults: document.shards.into_iter().map(|shard| shard.vault).collect(),
        markets: (0u8..)
            .zip(document.markets)
            .map(|(index, market)| Market {
                index,
                listing_id: market.listing_id,
                symbol: market.symbol,
                venue_market: market.venue_market,
            })
            .collect(),
        terms: document.terms,
        // The document keeps them: a reorg may set the clock back.
        pending_terms: document.pending_terms.filter(|pending| pending.can_apply(now)),
        registered_at: document.registered_at,
        registered_block: document.registered_block,
        followers: document.followers,
        accounts: document.accounts,
        total_equity: document.total_equity,
        nav_index: document.nav_index,
        nav_time: document.nav_time,
        signals: document
            .signals
            .into_values()
            .map(|mut signal: Signal| {
                signal.origin.finality = status.finality(signal.origin.block);
                signal
            })
            .collect(),
        statistics,
    }
}

/// An account with its marks.
pub(super) fn account(
    document: AccountDoc,
    vault: &VaultDoc,
    strategy: &StrategyDoc,
) -> Result<Account, Overflow> {
    let margin = Usdc(mul_div_floor(
        document.margin_shares.0,
        vault.margin_index.0,
        WAD,
        "margin",
    )?);
    let mut equity = Some(margin);
    let mut positions = Vec::with_capacity(document.positions.len());
    for (market, held) in document.positions.iter().filter(|(_, held)| !held.is_empty()) {
        let mark = vault.marks.get(market);
        let worth = match mark {
            Some(mark) => Some(add(value(held.size, mark.price)?, held.quote, "position value")?),
            None if held.size.0 == 0 => Some(held.quote),
            None => None,
        };
        equity = match (equity, worth) {
            (Some(equity), Some(worth)) => Some(add(equity, worth, "equity")?),
            _ => None,
        };
        positions.push(Position {
            market: *market,
            symbol: strategy.symbol(*market).unwrap_or_default().to_owned(),
            size: held.size,
            quote: held.quote,
            average_entry: position::average_entry(held)?,
            mark_price: mark.map(|mark| mark.price),
            mark_time: mark.map(|mark| mark.time),
            value: worth,
            opened_at: held.opened_at,
        });
    }
    Ok(Account {
        strategy_id: document.strategy,
        strategy_name: strategy.name.clone(),
        vault: document.vault,
        account: document.account,
        follower: document.follower,
        status: document.status,
        bounds: document.bounds,
        opened_at: document.opened_at,
        touched_at: document.touched_at,
        margin,
        equity,
        deposited: document.deposited,
        withdrawn: document.withdrawn,
        net_deposits: sub(document.deposited, document.withdrawn, "net deposits")?,
        high_water_mark: document.high_water_mark,
        fees: document.fees,
        performance_fees: document.performance_fees,
        volume: document.volume,
        slippage_cost: document.slippage_cost,
        fills: document.fills,
        skips: document.skips,
        closed: document.closed,
        positions,
    })
}
