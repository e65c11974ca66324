//! The exchange: prices, and a trader's account on it.

use std::collections::BTreeMap;
use std::path::Path;

use alloy::primitives::{Address, I256, U256};
use anyhow::Context as _;
use serde::Deserialize;

use crate::chain::{Account, Chain};
use crate::random::Random;

pub use bindings::{AccountBalance, Aggregator, ClearingHouse, MarketMaker, PerpVault, Usdc};

mod bindings {
    //! What a trader and the local market maker call.
    #![allow(missing_docs, clippy::too_many_arguments)]

    alloy::sol! {
        #![sol(all_derives)]

        interface ClearingHouse {
            struct OpenPositionParams {
                address baseToken;
                bool isBaseToQuote;
                bool isExactInput;
                uint256 amount;
                uint256 oppositeAmountBound;
                uint256 deadline;
                uint160 sqrtPriceLimitX96;
                bytes32 referralCode;
            }

            event PositionChanged(
                address indexed trader,
                address indexed baseToken,
                int256 exchangedPositionSize,
                int256 exchangedPositionNotional,
                uint256 fee,
                int256 openNotional,
                int256 realizedPnl,
                uint256 sqrtPriceAfterX96
            );

            function openPosition(OpenPositionParams params) external returns (uint256 base, uint256 quote);
        }

        interface PerpVault {
            function deposit(address token, uint256 amount) external;
            function getAccountValue(address trader) external view returns (int256);
        }

        interface AccountBalance {
            function getTakerPositionSize(address trader, address baseToken) external view returns (int256);
        }

        interface MarketMaker {
            function setPrice(address base, address aggregator, int256 answer) external returns (bool followed);
            function follow(address base) external;
        }

        interface Aggregator {
            function set(int256 answer) external;
            function latestRound() external view returns (uint80);
            function latestAnswer() external view returns (int256);
            function latestTimestamp() external view returns (uint256);
            function getRoundData(uint80 id)
                external view returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);
        }

        interface Usdc {
            function mint(address to, uint256 value) external;
            function approve(address spender, uint256 value) external returns (bool);
            function balanceOf(address owner) external view returns (uint256);
            function nonces(address owner) external view returns (uint256);
        }
    }
}

/// Gas for one trade on the venue; the first one of an account in a second market needs most.
pub const TRADE_GAS: u64 = 3_000_000;

/// Prices are given to the oracle with this many decimals.
pub const ORACLE_DECIMALS: u32 = 8;

/// A market's contracts.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Market {
    /// The virtual token that names the market.
    pub base_token: Address,
    /// The oracle, whose answer anyone may set here.
    pub aggregator: Address,
    /// The Uniswap v3 pool.
    pub pool: Address,
}

/// The venue's contracts, as `DeployLocalVenue.s.sol` wrote them down.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Venue {
    /// Collateral.
    pub usdc: Address,
    /// Permit2.
    pub permit2: Address,
    /// Trading.
    pub clearing_house: Address,
    /// Custody.
    pub vault: Address,
    /// Positions.
    pub account_balance: Address,
    /// Swaps and funding.
    pub exchange: Address,
    /// Orders of makers.
    pub order_book: Address,
    /// Liquidity and arbitrage.
    pub market_maker: Address,
    /// Chainlink's L2 sequencer uptime feed.
    pub sequencer_feed: Address,
    /// Markets by the name of their base, e.g. `ETH`.
    pub markets: BTreeMap<String, Market>,
}

impl Venue {
    /// Reads the file the deployment wrote.
    ///
    /// # Errors
    /// When it is missing or not such a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// A market by its Lockstep symbol, e.g. `ETH-USD`.
    ///
    /// # Errors
    /// When there is no such market.
    pub fn market(&self, symbol: &str) -> anyhow::Result<&Market> {
        let base = symbol.strip_suffix("-USD").unwrap_or(symbol);
        self.markets
            .get(base)
            .with_context(|| format!("the venue has no market {symbol}"))
    }

    /// The oracle's answer, 1e8.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn price(&self, chain: &Chain, symbol: &str) -> anyhow::Result<u64> {
        let answer = chain
            .view(self.market(symbol)?.aggregator, &Aggregator::latestAnswerCall {})
            .await?;
        Ok(u64::try_from(answer)?)
    }

    /// Sets the oracle's answer (1e8) and lets the market follow.
    ///
    /// # Errors
    /// When the oracle has already answered in this second.
    pub async fn set_price(
        &self,
        chain: &Chain,
        by: &Account,
        symbol: &str,
        price: u64,
    ) -> anyhow::Result<()> {
        let market = self.market(symbol)?;
        let call = MarketMaker::setPriceCall {
            base: market.base_token,
            aggregator: market.aggregator,
            answer: I256::try_from(price)?,
        };
        chain.execute(by, self.market_maker, &call, TRADE_GAS).await?;
        Ok(())
    }

    /// The last `count` answers of the oracle, oldest first.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn history(&self, chain: &Chain, symbol: &str, count: u64) -> anyhow::Result<History> {
        let aggregator = self.market(symbol)?.aggregator;
        let last: u64 = chain
            .view(aggregator, &Aggregator::latestRoundCall {})
            .await?
            .to::<u64>();
        let mut prices = Vec::new();
        for round in (last + 1).saturating_sub(count).max(1)..=last {
            let id = alloy::primitives::Uint::from(round);
            let data = chain
                .view(aggregator, &Aggregator::getRoundDataCall { id })
                .await?;
            prices.push(u64::try_from(data.answer)?);
        }
        Ok(History { round: last, prices })
    }

    /// USDC (1e-6) out of nothing.
    ///
    /// # Errors
    /// When the chain refuses.
    pub async fn mint(&self, chain: &Chain, by: &Account, to: Address, amount: u64) -> anyhow::Result<()> {
        let call = Usdc::mintCall {
            to,
            value: U256::from(amount),
        };
        chain.execute(by, self.usdc, &call, 100_000).await?;
        Ok(())
    }

    /// Mints collateral and pays it into the trader's account on the exchange.
    ///
    /// # Errors
    /// When a step reverts.
    pub async fn fund_trader(&self, chain: &Chain, trader: &Account, amount: u64) -> anyhow::Result<()> {
        let value = U256::from(amount);
        self.mint(chain, trader, trader.address(), amount).await?;
        let approve = Usdc::approveCall {
            spender: self.vault,
            value,
        };
        chain.execute(trader, self.usdc, &approve, 100_000).await?;
        let deposit = PerpVault::depositCall {
            token: self.usdc,
            amount: value,
        };
        chain.execute(trader, self.vault, &deposit, 500_000).await?;
        Ok(())
    }

    /// The trader's equity in 1e-6 USDC, at the exchange's mark price.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn equity(&self, chain: &Chain, trader: Address) -> anyhow::Result<i128> {
        let value = chain
            .view(self.vault, &PerpVault::getAccountValueCall { trader })
            .await?;
        Ok(i128::try_from(value)?)
    }

    /// The trader's position in 1e-18 base units.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn position(&self, chain: &Chain, trader: Address, symbol: &str) -> anyhow::Result<i128> {
        let call = AccountBalance::getTakerPositionSizeCall {
            trader,
            baseToken: self.market(symbol)?.base_token,
        };
        Ok(i128::try_from(chain.view(self.account_balance, &call).await?)?)
    }

    /// Trades `size` (1e-18 base units, positive buys). Gives the block it was mined in.
    ///
    /// # Errors
    /// When the exchange refuses.
    pub async fn trade(
        &self,
        chain: &Chain,
        trader: &Account,
        symbol: &str,
        size: i128,
    ) -> anyhow::Result<u64> {
        let sells = size < 0;
        let call = ClearingHouse::openPositionCall {
            params: ClearingHouse::OpenPositionParams {
                baseToken: self.market(symbol)?.base_token,
                isBaseToQuote: sells,
                isExactInput: sells,
                amount: U256::from(size.unsigned_abs()),
                oppositeAmountBound: U256::ZERO,
                deadline: U256::MAX,
                sqrtPriceLimitX96: alloy::primitives::Uint::ZERO,
                referralCode: alloy::primitives::B256::ZERO,
            },
        };
        let receipt = chain
            .execute(trader, self.clearing_house, &call, TRADE_GAS)
            .await?;
        receipt.block_number.context("mined, but in no block")
    }

    /// Trades to a leverage (10000 = 1x, negative = short). `None`: nothing to trade.
    ///
    /// # Errors
    /// When the exchange refuses.
    pub async fn trade_to_leverage(
        &self,
        chain: &Chain,
        trader: &Account,
        symbol: &str,
        leverage_bps: i64,
    ) -> anyhow::Result<Option<u64>> {
        let equity = self.equity(chain, trader.address()).await?;
        let price = self.price(chain, symbol).await?;
        let held = self.position(chain, trader.address(), symbol).await?;
        let target = target_size(leverage_bps, equity, price);
        let size = target - held;
        // A tenth of a percent of the equity is not worth a trade.
        if size.unsigned_abs() <= target_size(10, equity, price).unsigned_abs() {
            return Ok(None);
        }
        self.trade(chain, trader, symbol, size).await.map(Some)
    }
}

/// Size (1e-18 base units) of `leverage_bps` of `equity` (1e-6 USDC) at `price` (1e-8 USDC).
#[must_use]
pub fn target_size(leverage_bps: i64, equity: i128, price: u64) -> i128 {
    // leverage / 1e4 x equity / 1e6 / (price / 1e8) x 1e18 = leverage x equity x 1e16 / price
    let size = I256::try_from(leverage_bps)
        .ok()
        .zip(I256::try_from(equity).ok())
        .zip(I256::try_from(price.max(1)).ok())
        .zip(I256::try_from(10_000_000_000_000_000_u64).ok())
        .map(|(((leverage, equity), price), scale)| leverage * equity * scale / price);
    size.and_then(|size| i128::try_from(size).ok()).unwrap_or(0)
}

/// What an oracle has answered lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Number of the last answer.
    pub round: u64,
    /// Answers, oldest first, 1e8.
    pub prices: Vec<u64>,
}

/// A seeded walk: noise, a drift that changes every 40 steps, and a pull back to the price it began with. The next
/// price is a function of the round and the last price alone, so a chain that is continued continues its prices.
#[derive(Debug, Clone)]
pub struct PricePath {
    seed: u64,
    anchor: u64,
}

impl PricePath {
    const NOISE_BPS_TENTHS: u32 = 350;
    const DRIFT_BPS_TENTHS: u32 = 160;
    const DRIFT_STEPS: u64 = 40;
    const PULL: i128 = 150;

    /// A path around `anchor` (1e8).
    #[must_use]
    pub const fn new(seed: u64, anchor: u64) -> Self {
        Self { seed, anchor }
    }

    /// The price after `last` (1e8), for the answer number `round`.
    #[must_use]
    pub fn next(&self, round: u64, last: u64) -> u64 {
        let noise = Random::fork(self.seed, round).bell(Self::NOISE_BPS_TENTHS);
        let regime = round / Self::DRIFT_STEPS;
        let drift = Random::fork(!self.seed, regime).bell(Self::DRIFT_BPS_TENTHS);
        let last = i128::from(last);
        let pull = (i128::from(self.anchor) - last) / Self::PULL;
        let moved = last + last * i128::from(noise + drift) / 100_000 + pull;
        let (low, high) = (i128::from(self.anchor) / 2, i128::from(self.anchor) * 2);
        u64::try_from(moved.clamp(low, high)).unwrap_or(self.anchor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_depends_on_nothing_but_round_and_last_price() {
        let path = PricePath::new(1, 200_000_000_000);
        let mut price = 200_000_000_000;
        for round in 1..2_000 {
            let next = path.next(round, price);
            assert_eq!(next, path.next(round, price));
            assert!(next.abs_diff(price) * 100 < price * 2, "{price} to {next}");
            price = next;
        }
        assert!((150_000_000_000..270_000_000_000).contains(&price), "{price}");
    }

    #[test]
    fn leverage_becomes_size() {
        // 2x of 10,000 USDC at 2,000 is 10 ETH.
        assert_eq!(
            target_size(20_000, 10_000_000_000, 200_000_000_000),
            10_000_000_000_000_000_000
        );
        assert_eq!(
            target_size(-5_000, 1_000_000, 100_000_000),
            -500_000_000_000_000_000
        );
    }
}
