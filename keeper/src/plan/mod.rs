//! Which accounts go into which batch: a pure function of the signal and the cached accounts. The chain sizes; the plan
//! only leaves out accounts that would surely not move, and cuts batches to fit one transaction.

pub mod sizing;

use std::collections::BTreeSet;

use alloy::primitives::Address;
use async_trait::async_trait;
use lockstep_contracts::units::{Usdc, Wad};
use serde::Deserialize;

use crate::state::{Account, AccountIndex, Book, MarketIndex, Strategy, StrategyId, Vault};

/// A transaction may use at most this much (EIP-7825).
pub const TX_GAS_CAP: u64 = 1 << 24;

/// What a batch costs; a simulation checks it before anything is signed.
///
/// The defaults are receipts on the real exchange (`script/bench gas`, which sends batches for 1, 10, 50, 200 and 1000
/// followers in strategies of one and two markets; a chain test compares them with receipts again). In thousands of gas:
///
/// | batch of | 1 opens | 1 held | 200 open | 200 held | 350 open | 350 held |
/// | --- | ---: | ---: | ---: | ---: | ---: | ---: |
/// | one market | 1137 | 1147 | 7301 | 3358 | 12023 | 5010 |
/// | two markets | 1753 | 1714 | 8729 | 4797 | 13996 | 7003 |
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GasModel {
    /// The engine's and the vault's own work, proof included. Measured: 216,000 besides the account.
    pub base: u64,
    /// The venue call with one market held. Measured: 827,000 when it opens the vault's position, 920,000 after.
    pub venue: u64,
    /// What each further market of the vault adds. Measured: 567,000 to 616,000.
    pub venue_per_market: u64,
    /// One account that has traded the market before: cold reads, one write, its fill word. Measured: 11,000.
    pub per_account: u64,
    /// What one adds that has not: its position slot is empty. Measured: 20,000.
    pub per_opening: u64,
    /// A further market the accounts hold: cold reads of its position. Measured: 4,000 to 5,000.
    pub per_account_market: u64,
    /// Batches are cut so that the model stays below this. With the headroom over it the limit still fits a transaction.
    pub target: u64,
    /// Gas limit over estimate, percent. Perp v2 was measured to use up to 1.12 times its estimate.
    pub headroom_percent: u64,
    /// Mandates per `followMany`. Measured: 312,000 to 318,000 each with an ordinary wallet; contract wallets need more.
    pub mandates_per_batch: usize,
}

impl Default for GasModel {
    fn default() -> Self {
        Self {
            base: 220_000,
            venue: 1_000_000,
            venue_per_market: 600_000,
            per_account: 11_000,
            per_opening: 20_000,
            per_account_market: 4_500,
            target: 11_000_000,
            headroom_percent: 150,
            mandates_per_batch: 20,
        }
    }
}

impl GasModel {
    /// Gas of a batch of `accounts` in a strategy of `markets`, `opening` of which have never traded the batch's market.
    #[must_use]
    pub fn batch(&self, accounts: usize, opening: usize, markets: usize) -> u64 {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.base
            .saturating_add(self.venue)
            .saturating_add(
                self.venue_per_market
                    .saturating_mul(count(markets.saturating_sub(1))),
            )
            .saturating_add(self.account(false, markets).saturating_mul(count(accounts)))
            .saturating_add(self.per_opening.saturating_mul(count(opening)))
    }

    /// What one account adds.
    fn account(&self, opens: bool, markets: usize) -> u64 {
        let further = u64::try_from(markets.saturating_sub(1)).unwrap_or(u64::MAX);
        self.per_account
            .saturating_add(self.per_account_market.saturating_mul(further))
            .saturating_add(if opens { self.per_opening } else { 0 })
    }

    /// Cuts `accounts` into batches that stay below the target; `opens` tells who has never traded the market. At least
    /// one in each, because an account that cannot go alone can never go.
    fn cut<T: Copy>(&self, accounts: &[T], markets: usize, opens: impl Fn(T) -> bool) -> Vec<Vec<T>> {
        let most = self.target.min(TX_GAS_CAP);
        let mut parts: Vec<Vec<T>> = Vec::new();
        let mut used = u64::MAX;
        for account in accounts {
            let cost = self.account(opens(*account), markets);
            used = used.saturating_add(cost);
            match parts.last_mut() {
                Some(part) if used <= most => part.push(*account),
                _ => {
                    used = self.batch(0, 0, markets).saturating_add(cost);
                    parts.push(vec![*account]);
                }
            }
        }
        parts
    }

    /// Gas limit for an estimate: headroom over it, never above the protocol's cap; `None` when even the estimate is.
    #[must_use]
    pub fn limit(&self, estimate: u64) -> Option<u64> {
        (estimate <= TX_GAS_CAP)
            .then(|| (estimate.saturating_mul(self.headroom_percent.max(100)) / 100).min(TX_GAS_CAP))
    }
}

/// Why a batch is considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The master traded: name everyone who might move.
    Trade,
    /// A look at the state: name only those who surely move, or a batch that moves nobody would be sent every block.
    Look,
}

/// One batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Shard.
    pub vault: Address,
    /// Market.
    pub market: MarketIndex,
    /// Who is named.
    pub accounts: BTreeSet<AccountIndex>,
    /// True when every account in it gets smaller.
    pub reduces: bool,
}

/// One risk decision, for every kind of sink alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Strategy.
    pub strategy: StrategyId,
    /// Market.
    pub market: MarketIndex,
    /// The master's leverage it was made for.
    pub leverage: Wad,
    /// When the master's state was seen: block time in ms, 0 = no trade seen.
    pub observed_at: u64,
    /// Reductions first.
    pub orders: Vec<Order>,
}

/// Takes decisions where they are carried out. The chain's is [`crate::submit::sink::ChainSink`]; exchange accounts come as a
/// second one.
#[async_trait]
pub trait Sink {
    /// What carrying out leads to.
    type Taken: Send;
    /// Carries out a decision, or journals that it will.
    async fn take(&mut self, decision: &Decision) -> Self::Taken;
}

/// How the plan looks at accounts.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Everything known.
    pub book: &'a Book,
    /// The strategy.
    pub strategy: &'a Strategy,
    /// Market.
    pub market: MarketIndex,
    /// The master's leverage.
    pub leverage: Wad,
    /// The guard allows only reductions.
    pub reduce_only: bool,
    /// How far cached equity and price may be off, bps.
    pub tolerance_bps: u32,
}

/// What would happen to one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Forecast {
    might_move: bool,
    surely_moves: bool,
    reduces: bool,
}

/// Nothing is known for sure.
const UNSURE: Forecast = Forecast {
    might_move: true,
    surely_moves: false,
    reduces: false,
};

/// What the target of an account follows from; `None` while a price or the vault's room is not known.
#[must_use]
pub fn sizing_of(
    view: &View<'_>,
    vault: &Vault,
    account: &Account,
) -> Option<(sizing::Batch, sizing::Holder)> {
    let price_of = |market| view.book.price(view.strategy, market);
    let position = account.position(view.market);
    let terms = &view.strategy.terms;
    let time = view.book.head?.timestamp;
    let batch = sizing::Batch {
        price: price_of(view.market)?,
        leverage: view.leverage,
        time,
        max_leverage_bps: terms.max_leverage_bps,
        dead_band_bps: terms.dead_band_bps,
        min_trade: terms.min_trade,
        open_room: view.book.open_room(view.strategy, vault)?,
        // What the chain will do. The guard is ours: an account it lets through still goes all the way to its target.
        reduce_only: vault.breaker_active(time),
    };
    let holder = sizing::Holder {
        status: account.status,
        allowed: view.market < 16 && account.allowed >> view.market & 1 == 1,
        sizing: account.sizing,
        max_leverage_bps: account.max_leverage_bps,
        max_position: account.max_position,
        max_turnover: account.max_turnover,
        expiry: account.expiry,
        size: position.size,
        equity: account.equity(price_of)?,
        other: account.notional(Some(view.market), price_of)?,
        used: account.turnover(),
    };
    Some((batch, holder))
}

fn forecast(view: &View<'_>, vault: &Vault, account: &Account) -> Forecast {
    let Some((batch, holder)) = sizing_of(view, vault, account) else {
        return UNSURE;
    };
    let position = holder.size;
    let (target, _) = sizing::order(&batch, &holder);
    let tolerance = i128::from(view.tolerance_bps);
    let shift =
        |value: i128, sign: i128| value.saturating_add(sign * (value / 10_000).saturating_mul(tolerance));
    let corners = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)];
    let mut moves = corners.iter().map(|(by_equity, by_price)| {
        let batch = sizing::Batch {
            price: Wad(shift(batch.price.0, *by_price)),
            ..batch
        };
        let holder = sizing::Holder {
            equity: Usdc(shift(holder.equity.0, *by_equity)),
            ..holder
        };
        sizing::order(&batch, &holder).1.traded()
    });
    let first = moves.next().unwrap_or(true);
    let (any, all) = moves.fold((first, first), |(any, all), moves| (any || moves, all && moves));
    Forecast {
        might_move: any,
        surely_moves: all,
        reduces: target.0.unsigned_abs() < position.0.unsigned_abs()
            && (target.0 == 0 || target.0.signum() == position.0.signum()),
    }
}

/// The batches that bring a strategy's accounts to the master's state in one market. `skip` says which accounts wait.
#[must_use]
pub fn plan(
    view: &View<'_>,
    why: Why,
    gas: &GasModel,
    skip: impl Fn(Address, AccountIndex) -> bool,
) -> Vec<Order> {
    let mut orders = Vec::new();
    for address in &view.strategy.vaults {
        let Some(vault) = view.book.vaults.get(address) else {
            continue;
        };
        let mut named: Vec<(bool, AccountIndex, bool)> = vault
            .accounts
            .iter()
            .filter(|(index, _)| !skip(*address, **index))
            .filter_map(|(index, account)| {
                let forecast = forecast(view, vault, account);
                let name = match why {
                    // A guard that allows only reductions must not name anyone who might grow.
                    Why::Trade if !view.reduce_only => forecast.might_move,
                    _ => forecast.surely_moves,
                };
                let opens = !account.positions.contains_key(&view.market);
                (name && (!view.reduce_only || forecast.reduces)).then_some((
                    !forecast.reduces,
                    *index,
                    opens,
                ))
            })
            .collect();
        // Only when it has to be cut does order matter: what reduces goes first and makes room.
        named.sort_unstable();
        for part in gas.cut(&named, view.strategy.markets.len(), |(_, _, opens)| opens) {
            orders.push(Order {
                vault: *address,
                market: view.market,
                accounts: part.iter().map(|(_, index, _)| *index).collect(),
                reduces: part.iter().all(|(grows, ..)| !grows),
            });
        }
    }
    orders.sort_by_key(|order| !order.reduces);
    orders
}

/// A batch that moves nobody: the contract stores a signed signal only with an account named. `None` while a strategy
/// has no account.
#[must_use]
pub fn storing(
    book: &Book,
    strategy: &Strategy,
    market: MarketIndex,
    skip: impl Fn(Address) -> bool,
) -> Option<Order> {
    strategy
        .vaults
        .iter()
        .filter(|vault| !skip(**vault))
        .find_map(|address| {
            let (account, _) = book.vaults.get(address)?.accounts.first_key_value()?;
            Some(Order {
                vault: *address,
                market,
                accounts: BTreeSet::from([*account]),
                // It is not counted as growth, since nobody is asked to grow.
                reduces: true,
            })
        })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use alloy::primitives::B256;
    use lockstep_contracts::units::Size;
    use proptest::prelude::*;

    use super::*;
    use crate::chain::Head;
    use crate::state::{Market, Position, Sizing, Status, Strategy, Terms};

    const ONE: i128 = 1_000_000_000_000_000_000;
    pub(crate) const VAULT: Address = Address::repeat_byte(7);

    /// A strategy in one market at 2000 USDC, its accounts with 2000 USDC each and these whole sizes.
    pub(crate) fn book(sizes: &[i128]) -> Book {
        let mut book = Book {
            head: Some(Head {
                number: 1,
                hash: B256::ZERO,
                parent: B256::ZERO,
                timestamp: 1_000,
                base_fee: 1,
            }),
            ..Book::default()
        };
        book.prices.insert((Address::ZERO, B256::ZERO), Wad(2_000 * ONE));
        book.strategies.insert(
            1,
            Strategy {
                id: 1,
                name: "a".into(),
                venue: Address::ZERO,
                source: Some(Address::ZERO),
                markets: vec![Market {
                    venue_market: B256::ZERO,
                    symbol: "ETH-USD".into(),
                    leverage: None,
                    traded_at: 0,
                    trades: 0,
                    sequence: 0,
                }],
                terms: Terms {
                    max_leverage_bps: 100_000,
                    max_slippage_bps: 100,
                    dead_band_bps: 100,
                    min_trade: Usdc(10_000_000),
                    max_open: Usdc(1_000_000_000_000_000),
                },
                vaults: vec![VAULT],
            },
        );
        let accounts = sizes
            .iter()
            .zip(1u32..)
            .map(|(size, index)| {
                let position = Position {
                    size: Size(size * ONE),
                    quote: Usdc(-size * 2_000_000_000),
                    ..Position::default()
                };
                let account = Account {
                    follower: Address::ZERO,
                    status: Status::Active,
                    sizing: Sizing::ProRata(10_000),
                    max_leverage_bps: 100_000,
                    max_position: Usdc(1_000_000_000_000),
                    max_turnover: Usdc(1_000_000_000_000),
                    stop_loss_bps: 0,
                    take_profit_bps: 0,
                    allowed: 1,
                    expiry: 2_000,
                    margin: Usdc(2_000_000_000),
                    net_deposits: Usdc(2_000_000_000),
                    positions: BTreeMap::from([(0, position)]),
                };
                (index, account)
            })
            .collect();
        book.vaults.insert(
            VAULT,
            Vault {
                strategy: 1,
                accounts,
                ..Vault::default()
            },
        );
        book
    }

    fn planned(book: &Book, leverage: i128, why: Why, gas: &GasModel, reduce_only: bool) -> Vec<Order> {
        let strategy = book.strategies.get(&1).unwrap();
        let leverage = Wad(leverage);
        let view = View {
            book,
            strategy,
            market: 0,
            leverage,
            reduce_only,
            tolerance_bps: 50,
        };
        plan(&view, why, gas, |_, _| false)
    }

    #[test]
    fn accounts_at_their_target_are_left_out_of_a_look_and_kept_when_unsure_after_a_trade() {
        let book = book(&[1, 0, 2]);
        let gas = GasModel::default();
        let look = planned(&book, ONE, Why::Look, &gas, false);
        assert_eq!(look.len(), 1);
        assert_eq!(look[0].accounts, BTreeSet::from([2, 3]));
        // 1 % dead band, 0.9 % off, cache good to 0.5 %: might move.
        let trade = planned(&book, ONE + ONE * 9 / 1_000, Why::Trade, &gas, false);
        assert_eq!(trade[0].accounts, BTreeSet::from([1, 2, 3]));
    }

    #[test]
    fn reductions_go_first_when_a_batch_is_cut() {
        let book = book(&[0, 3, 0, 3]);
        let gas = GasModel {
            target: GasModel::default().batch(2, 0, 1),
            ..GasModel::default()
        };
        let orders = planned(&book, ONE, Why::Look, &gas, false);
        assert_eq!(orders.len(), 2);
        assert!(orders[0].reduces && orders[0].accounts == BTreeSet::from([2, 4]));
        assert_eq!(orders[1].accounts, BTreeSet::from([1, 3]));
        let reducing = planned(&book, ONE, Why::Trade, &gas, true);
        assert_eq!(reducing.iter().flat_map(|order| &order.accounts).count(), 2);
    }

    /// The guard is the keeper's own: the chain would carry out a flip in full.
    #[test]
    fn a_flip_is_no_reduction_unless_the_chain_cuts_it() {
        let mut book = book(&[3, -3]);
        let gas = GasModel::default();
        let named = |book: &Book| -> Vec<AccountIndex> {
            let orders = planned(book, -ONE, Why::Trade, &gas, true);
            orders.into_iter().flat_map(|order| order.accounts).collect()
        };
        assert_eq!(named(&book), [2]);
        book.vaults.get_mut(&VAULT).unwrap().breaker_until = u64::MAX;
        assert_eq!(named(&book), [1, 2]);
    }

    #[test]
    fn who_has_never_traded_the_market_takes_more_of_a_batch() {
        let mut book = book(&[0; 900]);
        let gas = GasModel::default();
        let held = planned(&book, ONE, Why::Trade, &gas, false);
        for account in book.vaults.get_mut(&VAULT).unwrap().accounts.values_mut() {
            account.positions.clear();
        }
        let opening = planned(&book, ONE, Why::Trade, &gas, false);
        assert!(held.len() < opening.len(), "{} and {}", held.len(), opening.len());
        for (orders, opens) in [(&held, false), (&opening, true)] {
            for order in orders {
                let count = order.accounts.len();
                assert!(gas.batch(count, if opens { count } else { 0 }, 1) <= gas.target);
            }
        }
    }

    proptest! {
        #[test]
        fn cut_batches_stay_below_the_cap_and_name_everyone_once(
            sizes in proptest::collection::vec(-5i128..5, 1..1500),
            leverage in -5i128..5,
            per_account in 6_000u64..200_000,
        ) {
            let book = book(&sizes);
            let gas = GasModel { per_account, ..GasModel::default() };
            let orders = planned(&book, leverage * ONE, Why::Trade, &gas, false);
            let mut seen = BTreeSet::new();
            for order in &orders {
                prop_assert!(gas.batch(order.accounts.len(), 0, 1) <= gas.target.min(TX_GAS_CAP));
                prop_assert!(!order.accounts.is_empty());
                for account in &order.accounts {
                    prop_assert!(seen.insert(*account), "named twice");
                }
            }
            let off = sizes.iter().filter(|size| **size != leverage).count();
            prop_assert!(seen.len() >= off, "left out an account that moves");
        }

        #[test]
        fn gas_limits_never_pass_the_cap(estimate in any::<u64>()) {
            if let Some(limit) = GasModel::default().limit(estimate) {
                prop_assert!(limit <= TX_GAS_CAP && limit >= estimate);
            }
        }
    }
}
