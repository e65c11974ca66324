//! Prices that move and masters that trade, for as long as the local stack runs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::I256;
use tokio::sync::watch;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use crate::chain::{Account, Chain};
use crate::masters::{MasterPlan, Style};
use crate::real_prices::{RealPrices, towards};
use crate::venue::{PricePath, Venue};

/// A master who trades.
#[derive(Debug)]
pub struct LiveMaster {
    /// How.
    pub plan: MasterPlan,
    /// With whose key.
    pub account: Arc<Account>,
}

/// The moving part of a local stack.
#[derive(Debug)]
pub struct Live {
    /// The chain.
    pub chain: Chain,
    /// The exchange.
    pub venue: Venue,
    /// Moves the oracle and the market.
    pub arbitrageur: Arc<Account>,
    /// Who trades.
    pub masters: Vec<LiveMaster>,
    /// Prices follow from it.
    pub seed: u64,
    /// Time between two prices.
    pub step: Duration,
    /// Real prices, which the local ones follow while there are any.
    pub real: Option<RealPrices>,
}

struct Feed {
    path: PricePath,
    round: u64,
    prices: VecDeque<u64>,
    /// Whether the last price followed the real one: the change of it is said.
    is_real: bool,
}

impl Live {
    /// Prices the walks are drawn around, 1e8.
    const ANCHORS: [(&'static str, u64); 2] = [("ETH-USD", 200_000_000_000), ("BTC-USD", 6_000_000_000_000)];

    /// Runs until `stop`; stands still while `paused` is true.
    ///
    /// # Errors
    /// When the price history cannot be read at the start.
    pub async fn run(&self, paused: watch::Receiver<bool>, stop: CancellationToken) -> anyhow::Result<()> {
        let mut feeds = BTreeMap::new();
        for (number, (symbol, anchor)) in (0u64..).zip(Self::ANCHORS) {
            let history = self
                .venue
                .history(&self.chain, symbol, u64::try_from(Style::LOOK_BACK)?)
                .await?;
            feeds.insert(
                symbol,
                Feed {
                    path: PricePath::new(self.seed.wrapping_add(number), anchor),
                    round: history.round,
                    prices: history.prices.into(),
                    is_real: self
                        .real
                        .as_ref()
                        .is_some_and(|real| real.price(symbol).is_some()),
                },
            );
        }
        let mut last_trades: Vec<Option<Instant>> = self.masters.iter().map(|_| None).collect();
        let mut tick = interval(self.step);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.cancelled() => return Ok(()),
            }
            if *paused.borrow() {
                continue;
            }
            // A step that fails (the chain is being restarted, a trade is refused) is logged and not repeated.
            for (symbol, feed) in &mut feeds {
                if let Err(error) = self.step(symbol, feed).await {
                    tracing::warn!(symbol, "price not set: {error:#}");
                }
            }
            for (master, last_trade) in self.masters.iter().zip(&mut last_trades) {
                let patience = Duration::from_secs(master.plan.patience);
                if last_trade.is_some_and(|time| time.elapsed() < patience) || *paused.borrow() {
                    continue;
                }
                match self.decide(master, &feeds).await {
                    Ok(true) => *last_trade = Some(Instant::now()),
                    Ok(false) => {}
                    Err(error) => tracing::warn!(master = master.plan.name, "did not trade: {error:#}"),
                }
            }
        }
    }

    async fn step(&self, symbol: &str, feed: &mut Feed) -> anyhow::Result<()> {
        let Some(last) = feed.prices.back() else {
            return Ok(());
        };
        let real = self.real.as_ref().and_then(|real| real.price(symbol));
        let was_real = std::mem::replace(&mut feed.is_real, real.is_some());
        let next = if let Some((price, venues)) = real {
            if !was_real {
                println!("==> {symbol} follows {venues} real exchanges");
            }
            towards(*last, price)
        } else {
            if was_real {
                println!(
                    "==> {symbol}: no exchange answers any more; it follows the seeded path until one does"
                );
            }
            feed.path.next(feed.round + 1, *last)
        };
        self.venue
            .set_price(&self.chain, &self.arbitrageur, symbol, next)
            .await?;
        feed.round += 1;
        feed.prices.push_back(next);
        if feed.prices.len() > Style::LOOK_BACK {
            feed.prices.pop_front();
        }
        Ok(())
    }

    async fn decide(&self, master: &LiveMaster, feeds: &BTreeMap<&str, Feed>) -> anyhow::Result<bool> {
        let trader = master.account.address();
        let mut traded = false;
        for &symbol in master.plan.markets {
            let Some(feed) = feeds.get(symbol) else {
                continue;
            };
            let prices: Vec<u64> = feed.prices.iter().copied().collect();
            let equity = self.venue.equity(&self.chain, trader).await?;
            let size = self.venue.position(&self.chain, trader, symbol).await?;
            let held = leverage_bps(size, equity, prices.last().copied().unwrap_or(0));
            let Some(wanted) = master.plan.style.leverage(&prices, held) else {
                continue;
            };
            // Drift of the price is not a decision: only a clear change is traded.
            if (wanted - held).abs() < 2_500 {
                continue;
            }
            let block = self
                .venue
                .trade_to_leverage(&self.chain, &master.account, symbol, wanted)
                .await?;
            if let Some(block) = block {
                traded = true;
                tracing::info!(
                    master = master.plan.name,
                    symbol,
                    leverage_bps = wanted,
                    block,
                    "traded"
                );
            }
        }
        Ok(traded)
    }
}

/// Leverage (10000 = 1x) of `size` (1e-18) at `price` (1e-8) for `equity` (1e-6); 0 without equity.
#[must_use]
pub fn leverage_bps(size: i128, equity: i128, price: u64) -> i64 {
    if equity <= 0 {
        return 0;
    }
    let parts = (
        I256::try_from(size),
        I256::try_from(price),
        I256::try_from(equity),
    );
    let (Ok(size), Ok(price), Ok(equity)) = parts else {
        return 0;
    };
    // size / 1e18 x price / 1e8 / (equity / 1e6) x 1e4 = size x price / equity / 1e16
    let scale = I256::try_from(10_000_000_000_000_000_u64).unwrap_or(I256::ONE);
    i64::try_from(size * price / equity / scale).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leverage_is_notional_over_equity() {
        let ten_ether = 10_000_000_000_000_000_000;
        assert_eq!(leverage_bps(ten_ether, 10_000_000_000, 200_000_000_000), 20_000);
        assert_eq!(leverage_bps(-ten_ether, 40_000_000_000, 200_000_000_000), -5_000);
        assert_eq!(leverage_bps(ten_ether, 0, 200_000_000_000), 0);
    }
}
