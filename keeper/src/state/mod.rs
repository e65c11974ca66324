//! What is true on chain as far as this process has seen it: strategies, vaults, accounts, master leverage, prices, the
//! block clock. Pure data and its updates; [`load`] reads it from the chain by views, so any gap, reorg or doubt is
//! repaired by reading again, never by replaying.

pub mod load;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, U256};
use lockstep_contracts::units::{Size, Usdc, Wad};

use crate::chain::Head;

/// Local market index in a strategy.
pub type MarketIndex = u8;
/// Account index in a vault.
pub type AccountIndex = u32;
/// Strategy id.
pub type StrategyId = u64;

/// Everything.
#[derive(Debug, Default)]
pub struct Book {
    /// Newest block seen.
    pub head: Option<Head>,
    /// When a new block was last seen; a monotonic clock, used for the age of the feed only.
    pub head_seen: Option<Instant>,
    /// By id.
    pub strategies: BTreeMap<StrategyId, Strategy>,
    /// By address.
    pub vaults: BTreeMap<Address, Vault>,
    /// Index price by (venue, venue market).
    pub prices: HashMap<(Address, B256), Wad>,
    /// Maintenance margin by venue, bps of notional.
    pub maintenance_bps: HashMap<Address, u64>,
}

/// A followable track of a master.
#[derive(Debug, Clone)]
pub struct Strategy {
    /// Id.
    pub id: StrategyId,
    /// Display name.
    pub name: String,
    /// Venue adapter.
    pub venue: Address,
    /// On-chain account read by venue proofs; `None` when signals are signed.
    pub source: Option<Address>,
    /// Markets by local index.
    pub markets: Vec<Market>,
    /// Terms.
    pub terms: Terms,
    /// Shards.
    pub vaults: Vec<Address>,
}

/// One market of a strategy and the master's state in it.
#[derive(Debug, Clone)]
pub struct Market {
    /// The adapter's id.
    pub venue_market: B256,
    /// E.g. `ETH-USD`.
    pub symbol: String,
    /// The master's leverage; `None` until it was read, or while it cannot be.
    pub leverage: Option<Wad>,
    /// Block time in ms of the master's newest trade here; 0 = none seen.
    pub traded_at: u64,
    /// Counts the master's trades seen here.
    pub trades: u64,
    /// Sequence of the stored signal, for signed strategies.
    pub sequence: u64,
}

/// The terms that sizing and guards need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// 10000 = 1x.
    pub max_leverage_bps: u32,
    /// Bps.
    pub max_slippage_bps: u16,
    /// Bps of the held size.
    pub dead_band_bps: u16,
    /// Smallest trade.
    pub min_trade: Usdc,
    /// Gross open notional at which increases stop.
    pub max_open: Usdc,
}

/// One shard.
#[derive(Debug, Clone, Default)]
pub struct Vault {
    /// Its strategy.
    pub strategy: StrategyId,
    /// Accounts by index.
    pub accounts: BTreeMap<AccountIndex, Account>,
    /// By local market index: sum of long and of short sizes.
    pub open: Vec<(Size, Size)>,
    /// Accounts whose cache is no longer good.
    pub dirty: BTreeSet<AccountIndex>,
    /// Market totals and new accounts must be read again.
    pub stale: bool,
    /// Block time of the newest NAV point, unix seconds.
    pub last_nav: u64,
    /// Unix seconds until which it takes no new exposure, by its own breaker or the one of all vaults.
    pub breaker_until: u64,
    /// When somebody was last seen to come: kept awake for a while though no account is known yet.
    pub expected: Option<Instant>,
}

/// How long a vault that somebody is expected in is looked at without an account. An endpoint that lags shows none at
/// first, and the account would never be asked for again.
pub const EXPECTED: Duration = Duration::from_secs(10 * 60);

impl Vault {
    /// Whether there is, or soon will be, somebody to move. Anyone may register strategies by the thousand: a vault
    /// without accounts is not looked at until a follower appears.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        !self.accounts.is_empty() || self.expected.is_some_and(|since| since.elapsed() < EXPECTED)
    }

    /// Whether a breaker holds back growth at a block time (unix seconds).
    #[must_use]
    pub const fn breaker_active(&self, time: u64) -> bool {
        time < self.breaker_until
    }

    /// Somebody comes: read again, and looked at from now on.
    pub fn wake(&mut self) {
        self.stale = true;
        self.expected = Some(Instant::now());
    }
}

/// Life of an account, as `Status` in `LockstepTypes.sol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// No such account.
    #[default]
    None,
    /// Follows every signal.
    Active,
    /// Stopped, stopped out or liquidated: only closes.
    Closing,
}

/// How a target is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizing {
    /// Leverage × ratio, bps.
    ProRata(u32),
    /// Fixed notional in the master's direction.
    Fixed(Usdc),
}

/// One follower's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Owner.
    pub follower: Address,
    /// Life.
    pub status: Status,
    /// How big.
    pub sizing: Sizing,
    /// 10000 = 1x, over all markets.
    pub max_leverage_bps: u32,
    /// Per market.
    pub max_position: Usdc,
    /// Per day over all markets.
    pub max_turnover: Usdc,
    /// Of net deposits; 0 = none.
    pub stop_loss_bps: u16,
    /// Of net deposits; 0 = none.
    pub take_profit_bps: u32,
    /// Bitmap of local markets.
    pub allowed: u16,
    /// Unix seconds.
    pub expiry: u64,
    /// Margin after socialised losses.
    pub margin: Usdc,
    /// Deposits less withdrawals.
    pub net_deposits: Usdc,
    /// Positions in touched markets.
    pub positions: BTreeMap<MarketIndex, Position>,
}

/// One position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Signed.
    pub size: Size,
    /// Takes fees and realised profit and loss; negative for a long.
    pub quote: Usdc,
    /// Owed since the last touch.
    pub funding: Usdc,
    /// Used today.
    pub turnover: Usdc,
}

/// 1e30: size (1e18) × price (1e18) → USDC (1e6).
const SIZE_PRICE: i128 = 1_000_000_000_000_000_000_000_000_000_000;

fn unit() -> U256 {
    U256::from(SIZE_PRICE.unsigned_abs())
}

/// |`size`| × `price`: 1e36 = 1 USDC.
fn product(size: Size, price: Wad) -> U256 {
    U256::from(size.0.unsigned_abs()) * U256::from(price.0.unsigned_abs())
}

/// |`size`| at `price`, rounded up; saturates far above any real amount.
#[must_use]
pub fn notional(size: Size, price: Wad) -> Usdc {
    Usdc(
        (product(size, price).div_ceil(unit()))
            .try_into()
            .unwrap_or(i128::MAX),
    )
}

impl Account {
    /// Position in a market; flat when never touched.
    #[must_use]
    pub fn position(&self, market: MarketIndex) -> Position {
        self.positions.get(&market).copied().unwrap_or_default()
    }

    /// True while anything is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.positions.values().any(|position| position.size.0 != 0)
    }

    /// Margin and positions at `price`, rounded down; `None` when a price is missing or a number is absurd. The chain
    /// rounds price and funding of a position together, which gives at most 1e-6 USDC more for each position.
    pub fn equity(&self, price: impl Fn(MarketIndex) -> Option<Wad>) -> Option<Usdc> {
        let mut equity = self.margin.0;
        for (market, position) in &self.positions {
            let mut value = position.quote.0.checked_sub(position.funding.0)?;
            if position.size.0 > 0 {
                let worth = product(position.size, price(*market)?) / unit();
                value = value.checked_add(worth.try_into().unwrap_or(i128::MAX))?;
            } else if position.size.0 < 0 {
                value = value.checked_sub(notional(position.size, price(*market)?).0)?;
            }
            equity = equity.checked_add(value)?;
        }
        Some(Usdc(equity))
    }

    /// Notional over all markets, leaving out `except`.
    pub fn notional(
        &self,
        except: Option<MarketIndex>,
        price: impl Fn(MarketIndex) -> Option<Wad>,
    ) -> Option<Usdc> {
        let mut sum = 0i128;
        for (market, position) in &self.positions {
            if position.size.0 != 0 && Some(*market) != except {
                sum = sum.checked_add(notional(position.size, price(*market)?).0)?;
            }
        }
        Some(Usdc(sum))
    }

    /// Turnover used today over all markets.
    #[must_use]
    pub fn turnover(&self) -> Usdc {
        Usdc(
            self.positions
                .values()
                .fold(0i128, |sum, position| sum.saturating_add(position.turnover.0)),
        )
    }
}

impl Book {
    /// Price of a strategy's market.
    #[must_use]
    pub fn price(&self, strategy: &Strategy, market: MarketIndex) -> Option<Wad> {
        let market = strategy.markets.get(usize::from(market))?;
        self.prices.get(&(strategy.venue, market.venue_market)).copied()
    }

    /// Accounts of all shards.
    #[must_use]
    pub fn account_count(&self) -> usize {
        self.vaults.values().map(|vault| vault.accounts.len()).sum()
    }

    /// Room left for increases in a vault: its limit less what is open, as size × price: 1e36 = 1 USDC.
    #[must_use]
    pub fn open_room(&self, strategy: &Strategy, vault: &Vault) -> Option<U256> {
        let mut open = U256::ZERO;
        for (index, (long, short)) in vault.open.iter().enumerate() {
            if long.0 == 0 && short.0 == 0 {
                continue;
            }
            let price = self.price(strategy, MarketIndex::try_from(index).ok()?)?;
            open = open
                .checked_add(product(*long, price))?
                .checked_add(product(*short, price))?;
        }
        let most = U256::from(strategy.terms.max_open.0.max(0).unsigned_abs()).checked_mul(unit())?;
        Some(most.saturating_sub(open))
    }

    /// Whether one of a strategy's vaults is awake.
    #[must_use]
    pub fn is_awake(&self, strategy: &Strategy) -> bool {
        let awake = |vault| self.vaults.get(vault).is_some_and(Vault::is_awake);
        strategy.vaults.iter().any(awake)
    }

    /// Strategies with somebody to move: all that a look asks the chain about.
    pub fn awake(&self) -> impl Iterator<Item = &Strategy> {
        self.strategies
            .values()
            .filter(|strategy| self.is_awake(strategy))
    }

    /// The index of a strategy's market by its name.
    #[must_use]
    pub fn market_of(&self, strategy: StrategyId, symbol: &str) -> Option<MarketIndex> {
        let markets = &self.strategies.get(&strategy)?.markets;
        let index = markets.iter().position(|market| market.symbol == symbol)?;
        MarketIndex::try_from(index).ok()
    }

    /// Whether every vault of a strategy is held back by a breaker; where only some are, sizing cuts those.
    #[must_use]
    pub fn growth_stopped(&self, strategy: &Strategy) -> bool {
        let time = self.head.map(|head| head.timestamp).unwrap_or_default();
        let mut vaults = strategy
            .vaults
            .iter()
            .filter_map(|address| self.vaults.get(address))
            .peekable();
        vaults.peek().is_some() && vaults.all(|vault| vault.breaker_active(time))
    }

    /// Vaults with somebody to move.
    pub fn awake_vaults(&self) -> impl Iterator<Item = Address> {
        self.vaults
            .iter()
            .filter(|(_, vault)| vault.is_awake())
            .map(|(address, _)| *address)
    }

    /// On-chain masters whose trades move somebody.
    #[must_use]
    pub fn sources(&self) -> BTreeSet<Address> {
        self.awake().filter_map(|strategy| strategy.source).collect()
    }

    /// A master traded: every strategy that follows `source` in `venue_market` has a new state to read.
    /// Returns the pairs concerned.
    pub fn note_trade(
        &mut self,
        source: Address,
        venue_market: B256,
        at_ms: u64,
    ) -> Vec<(StrategyId, MarketIndex)> {
        let mut concerned = Vec::new();
        let vaults = &self.vaults;
        let awake = |vault: &Address| vaults.get(vault).is_some_and(Vault::is_awake);
        for strategy in self
            .strategies
            .values_mut()
            .filter(|strategy| strategy.source == Some(source) && strategy.vaults.iter().any(awake))
        {
            // A trade in one market changes the master's equity, and so the leverage in every market; the one traded
            // comes first.
            for (index, market) in strategy.markets.iter_mut().enumerate() {
                let Ok(index) = MarketIndex::try_from(index) else {
                    continue;
                };
                if market.venue_market == venue_market {
                    market.traded_at = market.traded_at.max(at_ms);
                    market.trades += 1;
                    concerned.push((strategy.id, index));
                }
            }
        }
        concerned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notional_rounds_up_to_the_next_micro_usdc() {
        let one = 1_000_000_000_000_000_000;
        assert_eq!(notional(Size(-3 * one), Wad(2000 * one)), Usdc(6_000_000_000));
        assert_eq!(notional(Size(1), Wad(1)), Usdc(1));
        assert_eq!(notional(Size(0), Wad(one)), Usdc(0));
    }
}
