//! Reads the book from the chain by views, many in one round trip.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use alloy::primitives::{Address, B256, Bytes, U256};
use lockstep_contracts::bindings::{ILiquidator, IMasterRegistry, IMirrorEngine, IStrategyVault, IVenue};
use lockstep_contracts::deployment::Deployment;
use lockstep_contracts::units::{Size, Usdc, Wad};
use tracing::{debug, warn};

use super::{
    Account, AccountIndex, Book, Market, MarketIndex, Position, Sizing, Status, Strategy, StrategyId, Terms,
    Vault,
};
use crate::chain::{Answer, Call, Rpc, RpcError, views};

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
    let mut failed = strategies(rpc, deployment, book, &[id]).await;
    failed.remove(&id).map_or(Ok(()), Err)
}

/// The same for many, in a number of round trips that hardly depends on how many. Gives those it could not read.
pub async fn strategies(
    rpc: &dyn Rpc,
    deployment: &Deployment,
    book: &mut Book,
    ids: &[StrategyId],
) -> BTreeMap<StrategyId, RpcError> {
    let registry = deployment.registry;
    let asked: Vec<_> = ids
        .iter()
        .map(|id| {
            let call = IMasterRegistry::strategyCall {
                strategyId: U256::from(*id),
            };
            (registry, call)
        })
        .collect();
    let records = views::each(rpc, &asked).await;
    let asked: Vec<_> = ids
        .iter()
        .map(|id| {
            let call = IMasterRegistry::termsOfCall {
                strategyId: U256::from(*id),
            };
            (registry, call)
        })
        .collect();
    let terms = views::each(rpc, &asked).await;
    let listings = listings(rpc, registry, records.iter().flatten()).await;
    let margins = margins(rpc, book, records.iter().flatten()).await;
    let mut failed = BTreeMap::new();
    for ((id, record), terms) in ids.iter().zip(records).zip(terms) {
        let read = record.and_then(|record| put(book, *id, record, terms?, &listings, &margins));
        if let Err(error) = read {
            failed.insert(*id, error);
        }
    }
    failed
}

/// Every listing that these strategies trade, once.
async fn listings<'a>(
    rpc: &dyn Rpc,
    registry: Address,
    records: impl Iterator<Item = &'a IMasterRegistry::Strategy>,
) -> Listings {
    let keys: BTreeSet<(Address, u16)> = records
        .flat_map(|record| record.markets.iter().map(|listing| (record.venue, *listing)))
        .collect();
    let asked: Vec<_> = keys
        .iter()
        .map(|(venue, listing)| {
            let call = IMasterRegistry::listingCall {
                venue: *venue,
                listingId: *listing,
            };
            (registry, call)
        })
        .collect();
    keys.into_iter().zip(views::each(rpc, &asked).await).collect()
}

/// The maintenance margin of every venue not known yet, once.
async fn margins<'a>(
    rpc: &dyn Rpc,
    book: &Book,
    records: impl Iterator<Item = &'a IMasterRegistry::Strategy>,
) -> Margins {
    let venues: BTreeSet<Address> = records
        .map(|record| record.venue)
        .filter(|venue| !book.maintenance_bps.contains_key(venue))
        .collect();
    let asked: Vec<_> = venues
        .iter()
        .map(|venue| (*venue, IVenue::marginRequirementsBpsCall {}))
        .collect();
    let answers = views::each(rpc, &asked).await.into_iter();
    venues
        .into_iter()
        .zip(answers.map(|answer| answer?.maintenanceBps.try_into().map_err(|_| UNREADABLE)))
        .collect()
}

type Listings = BTreeMap<(Address, u16), Result<IMasterRegistry::Market, RpcError>>;
type Margins = BTreeMap<Address, Result<u64, RpcError>>;

/// Writes what was read of a strategy into the book, or nothing of it.
fn put(
    book: &mut Book,
    id: StrategyId,
    record: IMasterRegistry::Strategy,
    terms: lockstep_contracts::bindings::IMasterRegistry::Terms,
    listings: &Listings,
    margins: &Margins,
) -> Result<(), RpcError> {
    const UNLISTED: RpcError = RpcError::Unreadable { what: "listing" };
    let mut markets = Vec::new();
    for listing in &record.markets {
        let listing = match listings.get(&(record.venue, *listing)) {
            Some(Ok(listing)) => listing,
            Some(Err(error)) => return Err(error.clone()),
            None => return Err(UNLISTED),
        };
        markets.push(Market {
            venue_market: listing.venueMarket,
            symbol: listing.symbol.clone(),
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
    if let Some(margin) = margins.get(&record.venue) {
        book.maintenance_bps.insert(record.venue, margin.clone()?);
    }
    for vault in &record.vaults {
        let entry = book.vaults.entry(*vault).or_insert_with(|| Vault {
            stale: true,
            ..Vault::default()
        });
        entry.strategy = id;
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

/// Asks vaults nobody is known to be in for their number of accounts, many in one round trip. That is all an empty one
/// costs: it is not asked again until somebody comes. Gives the vaults that have accounts, and those without an answer.
pub async fn counts(
    rpc: &dyn Rpc,
    book: &mut Book,
    vaults: &[Address],
) -> (Vec<Address>, BTreeMap<Address, RpcError>) {
    let asked: Vec<_> = vaults
        .iter()
        .map(|vault| (*vault, IStrategyVault::accountCountCall {}))
        .collect();
    let (mut settled, mut failed) = (Vec::new(), BTreeMap::new());
    for (vault, count) in vaults.iter().zip(views::each(rpc, &asked).await) {
        match count {
            Ok(0) => {
                if let Some(cached) = book.vaults.get_mut(vault) {
                    cached.stale = false;
                }
            }
            Ok(_) => settled.push(*vault),
            Err(error) => {
                failed.insert(*vault, error);
            }
        }
    }
    (settled, failed)
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

/// What a look asks about the markets.
enum Asked {
    Price(Address, B256),
    Leverage(StrategyId, MarketIndex),
    Stored(StrategyId, MarketIndex),
    Breaker(Address),
}

/// Reads index prices, master leverage and the breaker of every strategy that is awake, in one round trip. Gives the
/// strategies that something was left open about; what was known of it before counts no more.
///
/// # Errors
/// When no question at all was answered.
pub async fn market_state(
    rpc: &dyn Rpc,
    deployment: &Deployment,
    book: &mut Book,
) -> Result<BTreeMap<StrategyId, RpcError>, RpcError> {
    let (asked, calls) = questions(deployment, book);
    let answers = rpc.each(&calls).await;
    if let Some(Err(error)) = answers.first()
        && answers.iter().all(Result::is_err)
    {
        return Err(error.clone());
    }
    forget_sleepers(book, &asked);
    let mut failed = BTreeMap::new();
    for (asked, answer) in asked.into_iter().zip(answers) {
        if let Err(error) = take(book, &asked, answer) {
            for id in concerned(book, &asked) {
                failed.insert(id, error.clone());
            }
        }
    }
    Ok(failed)
}

fn questions(deployment: &Deployment, book: &Book) -> (Vec<Asked>, Vec<Call>) {
    let (mut asked, mut calls) = (Vec::new(), Vec::new());
    for vault in book.awake_vaults() {
        asked.push(Asked::Breaker(vault));
        calls.push(views::encode(
            deployment.liquidator,
            &ILiquidator::breakerUntilOfCall { vault },
        ));
    }
    let mut priced = BTreeSet::new();
    for strategy in book.awake() {
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
    (asked, calls)
}

/// What is not asked any more is not known any more: who wakes up again is not moved to an old state.
fn forget_sleepers(book: &mut Book, asked: &[Asked]) {
    let mut prices = HashSet::new();
    let mut awake = HashSet::new();
    for asked in asked {
        match asked {
            Asked::Price(venue, market) => {
                prices.insert((*venue, *market));
            }
            Asked::Leverage(id, _) | Asked::Stored(id, _) => {
                awake.insert(*id);
            }
            Asked::Breaker(_) => {}
        }
    }
    book.prices.retain(|key, _| prices.contains(key));
    for strategy in book.strategies.values_mut() {
        if !awake.contains(&strategy.id) {
            strategy
                .markets
                .iter_mut()
                .for_each(|market| market.leverage = None);
        }
    }
}

/// The strategies that a question is about: all that trade a market, for its price.
fn concerned(book: &Book, asked: &Asked) -> Vec<StrategyId> {
    match asked {
        Asked::Leverage(id, _) | Asked::Stored(id, _) => vec![*id],
        Asked::Price(venue, market) => {
            let trades = |strategy: &&Strategy| {
                strategy.venue == *venue && strategy.markets.iter().any(|m| m.venue_market == *market)
            };
            book.awake().filter(trades).map(|strategy| strategy.id).collect()
        }
        Asked::Breaker(vault) => book
            .vaults
            .get(vault)
            .map(|vault| vault.strategy)
            .into_iter()
            .collect(),
    }
}

/// Writes an answer down. Without one the price or the leverage is unknown, and nothing is planned without it.
fn take(book: &mut Book, asked: &Asked, answer: Result<Answer<Bytes>, RpcError>) -> Result<(), RpcError> {
    match asked {
        Asked::Breaker(address) => {
            // Without an answer the last one counts: the chain itself cuts what the breaker forbids.
            if let Ok(until) = views::decode::<ILiquidator::breakerUntilOfCall>(answer?)?
                && let Some(vault) = book.vaults.get_mut(address)
            {
                vault.breaker_until = until;
            }
        }
        Asked::Price(venue, market) => {
            book.prices.remove(&(*venue, *market));
            // Stale, absurd or sequencer down: there is no price.
            if let Ok(price) = views::decode::<IVenue::indexPriceCall>(answer?)? {
                let price = Wad::try_from_u256(price.price).map_err(|_| UNREADABLE)?;
                book.prices.insert((*venue, *market), price);
            }
        }
        Asked::Leverage(id, index) => {
            let read = answer.and_then(views::decode::<IVenue::leverageOfCall>);
            let known = match &read {
                Ok(Ok(read)) => Wad::try_from_i256(read.leverage).ok(),
                _ => None,
            };
            set_leverage(book, *id, *index, known, None);
            read?.ok();
        }
        Asked::Stored(id, index) => match answer.and_then(views::decode::<IMirrorEngine::signalOfCall>) {
            Ok(Ok(stored)) => {
                let leverage = (stored.sequence > 0)
                    .then(|| Wad::try_from_i256(stored.leverage).ok())
                    .flatten();
                set_leverage(book, *id, *index, leverage, Some(stored.sequence));
            }
            Ok(Err(_)) => {}
            Err(error) => {
                set_leverage(book, *id, *index, None, None);
                return Err(error);
            }
        },
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
