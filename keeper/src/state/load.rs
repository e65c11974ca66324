//! Reads the book from the chain by views, many in one round trip.

use std::collections::BTreeSet;

use alloy::primitives::{Address, U256};
use lockstep_contracts::bindings::{ILiquidator, IMasterRegistry, IMirrorEngine, IStrategyVault, IVenue};
use lockstep_contracts::deployment::Deployment;
use lockstep_contracts::units::{Size, Usdc, Wad};
use tracing::{debug, warn};

use super::{
    Account, AccountIndex, Book, Market, MarketIndex, Position, Sizing, Status, Strategy, StrategyId, Terms,
    Vault,
};
use crate::chain::{Rpc, RpcError, views};

/// Blocks per `eth_getLogs` request.
pub const LOG_RANGE: u64 = 5_000;

const UNREADABLE: RpcError = RpcError::Unreadable {
    what: "a number beyond what any real account holds",
};

fn usdc(value: U256) -> Result<Usdc, RpcError> {
    Usdc::try_from_u256(value).map_err(|_| UNREADABLE)
}

/// Ids of all strategies: the registry counts them from 1.
///
/// # Errors
/// When the endpoint does not answer.
pub async fn strategy_ids(rpc: &dyn Rpc, deployment: &Deployment) -> Result<BTreeSet<StrategyId>, RpcError> {
    let count = views::must(rpc, deployment.registry, IMasterRegistry::strategyCountCall {}).await?;
    let count = StrategyId::try_from(count).map_err(|_| UNREADABLE)?;
    Ok((1..=count).collect())
}

/// Reads a strategy, its terms, its markets and its vaults into the book.
///
/// # Errors
/// When the endpoint does not answer.
pub async fn strategy(
    rpc: &dyn Rpc,
    deployment: &Deployment,
    book: &mut Book,
    id: StrategyId,
) -> Result<(), RpcError> {
    let registry = deployment.registry;
    let record = views::must(
        rpc,
        registry,
        IMasterRegistry::strategyCall {
            strategyId: U256::from(id),
        },
    )
    .await?;
    let terms = views::must(
        rpc,
        registry,
        IMasterRegistry::termsOfCall {
            strategyId: U256::from(id),
        },
    )
    .await?;
    let listings: Vec<_> = record
        .markets
        .iter()
        .map(|listing| {
            (
                registry,
                IMasterRegistry::listingCall {
                    venue: record.venue,
                    listingId: *listing,
                },
            )
        })
        .collect();
    let mut markets = Vec::new();
    for listing in views::many(rpc, &listings).await? {
        let listing = listing.map_err(|_| RpcError::Unreadable { what: "listing" })?;
        markets.push(Market {
            venue_market: listing.venueMarket,
            symbol: listing.symbol,
            leverage: None,
            traded_at: 0,
            trades: 0,
            sequence: 0,
        });
    }
    if let Some(known) = book.strategies.get(&id) {
        for (market, known) in markets.iter_mut().zip(&known.markets) {
            *market = known.clone();
        }
    }
    for vault in &record.vaults {
        let entry = book.vaults.entry(*vault).or_insert_with(|| Vault {
            stale: true,
            ..Vault::default()
        });
        entry.strategy = id;
    }
    if let std::collections::hash_map::Entry::Vacant(entry) = book.maintenance_bps.entry(record.venue) {
        let margins = views::must(rpc, record.venue, IVenue::marginRequirementsBpsCall {}).await?;
        entry.insert(margins.maintenanceBps.try_into().map_err(|_| UNREADABLE)?);
    }
    book.strategies.insert(
        id,
        Strategy {
            id,
            name: record.name,
            venue: record.venue,
            source: (record.source != Address::ZERO).then_some(record.source),
            markets,
            terms: Terms {
                max_leverage_bps: terms.maxLeverageBps,
                max_slippage_bps: terms.maxSlippageBps,
                dead_band_bps: terms.deadBandBps,
                min_trade: Usdc(terms.minTradeNotional.into()),
                max_open: Usdc(terms.maxOpenNotional.into()),
            },
            vaults: record.vaults,
        },
    );
    Ok(())
}

/// Reads what is stale or dirty in a vault: market totals, new accounts, changed accounts.
///
/// # Errors
/// When the endpoint does not answer; what was dirty stays so.
pub async fn vault(rpc: &dyn Rpc, book: &mut Book, address: Address) -> Result<(), RpcError> {
    let Some(cached) = book.vaults.get(&address) else {
        return Ok(());
    };
    let mut wanted = cached.dirty.clone();
    if cached.stale {
        let markets = views::must(rpc, address, IStrategyVault::marketCountCall {}).await?;
        let totals: Vec<_> = (0..markets)
            .map(|market| (address, IStrategyVault::marketViewCall { market }))
            .collect();
        let mut open = Vec::new();
        for total in views::many(rpc, &totals).await? {
            let total = total.map_err(|_| RpcError::Unreadable { what: "marketView" })?;
            let long = Size::try_from_u256(total.longSize).map_err(|_| UNREADABLE)?;
            let short = Size::try_from_u256(total.shortSize).map_err(|_| UNREADABLE)?;
            open.push((long, short));
        }
        let accounts = views::must(rpc, address, IStrategyVault::accountCountCall {}).await?;
        let points = views::must(rpc, address, IStrategyVault::navCountCall {}).await?;
        let last_nav = match points.checked_sub(U256::ONE) {
            Some(last) => {
                views::must(rpc, address, IStrategyVault::navAtCall { i: last })
                    .await?
                    .time
            }
            None => 0,
        };
        let Some(cached) = book.vaults.get_mut(&address) else {
            return Ok(());
        };
        // Accounts count from 1; asking for one more than there are costs nothing and survives either convention.
        wanted.extend((1..=accounts).filter(|index| !cached.accounts.contains_key(index)));
        cached.open = open;
        cached.last_nav = cached.last_nav.max(last_nav);
    }
    let fresh = accounts(rpc, address, &wanted).await?;
    let Some(cached) = book.vaults.get_mut(&address) else {
        return Ok(());
    };
    for (index, account) in fresh {
        match account {
            Some(account) => cached.accounts.insert(index, account),
            None => cached.accounts.remove(&index),
        };
    }
    for index in &wanted {
        cached.dirty.remove(index);
    }
    cached.stale = false;
    Ok(())
}

async fn accounts(
    rpc: &dyn Rpc,
    vault: Address,
    wanted: &BTreeSet<AccountIndex>,
) -> Result<Vec<(AccountIndex, Option<Account>)>, RpcError> {
    let calls: Vec<_> = wanted
        .iter()
        .map(|account| (vault, IStrategyVault::accountViewCall { account: *account }))
        .collect();
    let mut read = Vec::with_capacity(wanted.len());
    let mut touched = Vec::new();
    for (index, view) in wanted.iter().zip(views::many(rpc, &calls).await?) {
        let account = view.ok().and_then(|view| {
            let account = account_of(&view);
            if account.is_none() {
                warn!(%vault, account = index, "account is unreadable and left out");
            }
            touched.extend(
                (0..16u8)
                    .filter(|m| view.touchedMarkets >> m & 1 == 1)
                    .map(|market| (*index, market)),
            );
            account
        });
        read.push((*index, account));
    }
    let calls: Vec<_> = touched
        .iter()
        .map(|(account, market)| {
            (
                vault,
                IStrategyVault::positionViewCall {
                    account: *account,
                    market: *market,
                },
            )
        })
        .collect();
    for ((index, market), view) in touched.iter().zip(views::many(rpc, &calls).await?) {
        let Ok(view) = view else { continue };
        let Ok(slot) = read.binary_search_by_key(index, |(index, _)| *index) else {
            continue;
        };
        if let Some((_, Some(account))) = read.get_mut(slot) {
            account.positions.insert(*market, position_of(&view)?);
        }
    }
    Ok(read)
}

fn account_of(view: &IStrategyVault::AccountView) -> Option<Account> {
    let status = match view.status {
        0 => return None,
        1 => Status::Active,
        _ => Status::Closing,
    };
    Some(Account {
        follower: view.follower,
        status,
        sizing: if view.mode == 1 {
            Sizing::Fixed(Usdc(view.fixedNotional.into()))
        } else {
            Sizing::ProRata(view.ratioBps)
        },
        max_leverage_bps: view.maxLeverageBps,
        max_position: Usdc(view.maxPositionNotional.into()),
        max_turnover: Usdc(view.maxDailyTurnover.into()),
        stop_loss_bps: view.stopLossBps,
        take_profit_bps: view.takeProfitBps,
        allowed: view.allowedMarkets,
        expiry: view.expiry,
        margin: Usdc::try_from_u256(view.margin).ok()?,
        net_deposits: Usdc::try_from_u256(view.netDeposits).ok()?,
        positions: std::collections::BTreeMap::new(),
    })
}

fn position_of(view: &IStrategyVault::PositionView) -> Result<Position, RpcError> {
    Ok(Position {
        size: Size::try_from_i256(view.size).map_err(|_| UNREADABLE)?,
        quote: Usdc::try_from_i256(view.quote).map_err(|_| UNREADABLE)?,
        funding: Usdc::try_from_i256(view.pendingFunding).map_err(|_| UNREADABLE)?,
        turnover: usdc(view.dayTurnover)?,
    })
}

/// Reads index prices, master leverage and the breaker, in one round trip.
///
/// # Errors
/// When the endpoint does not answer.
pub async fn market_state(rpc: &dyn Rpc, deployment: &Deployment, book: &mut Book) -> Result<(), RpcError> {
    enum Asked {
        Price(Address, alloy::primitives::B256),
        Leverage(StrategyId, MarketIndex),
        Stored(StrategyId, MarketIndex),
        Breaker,
    }
    let mut asked = vec![Asked::Breaker];
    let mut calls = vec![views::encode(
        deployment.liquidator,
        &ILiquidator::breakerActiveCall {},
    )];
    let mut priced = BTreeSet::new();
    for strategy in book.strategies.values() {
        for (index, market) in strategy.markets.iter().enumerate() {
            let Ok(index) = MarketIndex::try_from(index) else {
                continue;
            };
            if priced.insert((strategy.venue, market.venue_market)) {
                asked.push(Asked::Price(strategy.venue, market.venue_market));
                let call = IVenue::indexPriceCall {
                    market: market.venue_market,
                };
                calls.push(views::encode(strategy.venue, &call));
            }
            if let Some(account) = strategy.source {
                asked.push(Asked::Leverage(strategy.id, index));
                let call = IVenue::leverageOfCall {
                    account,
                    market: market.venue_market,
                };
                calls.push(views::encode(strategy.venue, &call));
            } else {
                asked.push(Asked::Stored(strategy.id, index));
                let call = IMirrorEngine::signalOfCall {
                    strategyId: U256::from(strategy.id),
                    market: index,
                };
                calls.push(views::encode(deployment.engine, &call));
            }
        }
    }
    let answers = rpc.calls(&calls).await?;
    for (asked, answer) in asked.into_iter().zip(answers) {
        match asked {
            Asked::Breaker => {
                if let Ok(active) = views::decode::<ILiquidator::breakerActiveCall>(answer)? {
                    book.breaker = active;
                }
            }
            Asked::Price(venue, market) => {
                match views::decode::<IVenue::indexPriceCall>(answer)? {
                    Ok(price) => {
                        let price = Wad::try_from_u256(price.price).map_err(|_| UNREADABLE)?;
                        book.prices.insert((venue, market), price);
                    }
                    // Stale, absurd or sequencer down: there is no price, and nothing is planned without one.
                    Err(_) => {
                        book.prices.remove(&(venue, market));
                    }
                }
            }
            Asked::Leverage(id, index) => {
                let read = match views::decode::<IVenue::leverageOfCall>(answer)? {
                    Ok(read) => Wad::try_from_i256(read.leverage).ok(),
                    Err(_) => None,
                };
                set_leverage(book, id, index, read, None);
            }
            Asked::Stored(id, index) => {
                if let Ok(stored) = views::decode::<IMirrorEngine::signalOfCall>(answer)? {
                    let leverage = (stored.sequence > 0)
                        .then(|| Wad::try_from_i256(stored.leverage).ok())
                        .flatten();
                    set_leverage(book, id, index, leverage, Some(stored.sequence));
                }
            }
        }
    }
    Ok(())
}

fn set_leverage(
    book: &mut Book,
    id: StrategyId,
    index: MarketIndex,
    read: Option<Wad>,
    sequence: Option<u64>,
) {
    let market = book
        .strategies
        .get_mut(&id)
        .and_then(|strategy| strategy.markets.get_mut(usize::from(index)));
    if let Some(market) = market {
        if market.leverage != read {
            debug!(strategy = id, market = market.symbol, leverage = ?read.map(|l| l.to_string()), "master state");
        }
        market.leverage = read;
        if let Some(sequence) = sequence {
            market.sequence = sequence;
        }
    }
}
