//! Strategies.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::nav::ChainPoint;
use super::scalar::{Address, Hash, Integer, Leverage, NavIndex, Timestamp, Usdc};
use super::statistic::{DrawdownPlace, Statistic, Window, WindowName};

/// How a signal is proved to the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// The contract reads the master's position from the venue itself.
    Venue,
    /// Signed by the master's signal key.
    Master,
    /// Attested by a registered keeper key.
    Keeper,
}

/// What a master offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// Copy fee, bps of traded notional.
    #[schema(extensions(("x-unit" = json!("bps"))))]
    pub copy_fee_bps: u16,
    /// Performance fee, bps of the profit above each account's high-water mark.
    #[schema(extensions(("x-unit" = json!("bps"))))]
    pub performance_fee_bps: u16,
    /// No follower is taken above this leverage; 10000 is 1x.
    #[schema(extensions(("x-unit" = json!("bps"))))]
    pub max_leverage_bps: u32,
    /// A batch whose average price is further off the index reverts.
    #[schema(extensions(("x-unit" = json!("bps"))))]
    pub max_slippage_bps: u16,
    /// A move smaller than this share of the position is not made.
    #[schema(extensions(("x-unit" = json!("bps"))))]
    pub dead_band_bps: u16,
    /// Smaller orders are dust and are not made.
    pub min_trade_notional: Usdc,
    /// Gross open notional of the vault at which increases stop.
    pub max_open_notional: Usdc,
    /// Seconds the API holds signals back. Fills on the chain show a trade at once: this hides the master's own
    /// metadata, not the trade.
    #[schema(extensions(("x-unit" = json!("s"))))]
    pub disclosure_delay_seconds: u32,
}

/// Terms that are announced and not yet in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingTerms {
    /// The new terms.
    pub terms: Terms,
    /// From then on anyone may apply them. Until then followers can leave.
    pub effective_at: Timestamp,
    /// After that nobody can apply them any more; the master would have to announce them again.
    pub lapses_at: Timestamp,
}

/// One market of a strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrategyMarket {
    /// Local index in the vault and in signals.
    pub index: u8,
    /// Index in the registry's listing.
    pub listing_id: u16,
    /// E.g. `ETH-USD`: what a mandate's `allowedMarkets` names.
    pub symbol: String,
    /// The venue adapter's id.
    pub venue_market: Hash,
    /// The latest disclosed signal; null when there is none yet.
    pub signal: Option<Signal>,
}

/// "The strategy is now at leverage L in market M."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Signal {
    /// The strategy.
    pub strategy_id: String,
    /// Local index of the market.
    pub market: u8,
    /// Symbol of the market.
    pub symbol: String,
    /// Signed position notional ÷ master equity.
    pub leverage: Leverage,
    /// Strictly rising per strategy and market.
    pub sequence: Integer,
    /// When the master's state was seen.
    pub observed_at: Timestamp,
    /// How it was proved.
    pub proof: Proof,
    /// Where it was accepted.
    pub at: ChainPoint,
}

/// The figures a strategy is judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrategyStatistics {
    /// What they cover.
    pub window: Window,
    /// Time-weighted return.
    pub total_return: Statistic,
    /// Deepest fall from a peak to a later trough.
    pub max_drawdown: Statistic,
    /// Where that was; null without one.
    pub drawdown_place: Option<DrawdownPlace>,
    /// Sharpe ratio, annualised.
    pub sharpe: Statistic,
    /// Sortino ratio, annualised.
    pub sortino: Statistic,
    /// Deviation of daily returns, annualised.
    pub volatility: Statistic,
    /// Share of closed positions that won.
    pub win_rate: Statistic,
    /// Gains ÷ losses of closed positions.
    pub profit_factor: Statistic,
    /// Results of closed positions.
    pub realised: Statistic,
    /// Volume that followers traded.
    pub volume: Statistic,
    /// Copy fees and venue fees followers paid.
    pub fees: Statistic,
    /// Performance fees followers paid.
    pub performance_fees: Statistic,
    /// Distance of the batch price from the index price; positive is against the followers.
    pub slippage: Statistic,
    /// Delay from the master's state being seen to the batch's block, mean.
    pub delay: Statistic,
    /// The longest such delay.
    pub max_delay: Statistic,
    /// Share of batch lines that moved their follower.
    pub moved_share: Statistic,
}

/// A strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Strategy {
    /// The registry's strategy id.
    #[schema(pattern = "^\\d+$", example = "1")]
    pub id: String,
    /// As the master named it. Free text from the chain: show it as text.
    pub name: String,
    /// Receives the fees.
    pub master: Address,
    /// The on-chain account whose trades are followed; null when a keeper attests.
    pub source: Option<Address>,
    /// How its signals are proved: `venue` with a source, otherwise `keeper`.
    pub proof: Proof,
    /// The venue adapter.
    pub venue: Address,
    /// Strategy vaults (shards), oldest first; a mandate's `strategy` is one of them.
    pub vaults: Vec<Address>,
    /// Markets in the order of their local index.
    pub markets: Vec<StrategyMarket>,
    /// What it costs and how far it goes.
    pub terms: Terms,
    /// Announced terms that can still come into force; null when there are none.
    pub pending_terms: Option<PendingTerms>,
    /// Accounts that follow now, over all shards.
    pub followers: u64,
    /// Accounts ever opened, over all shards.
    pub accounts: u64,
    /// Equity of all followers at the newest NAV points, over all shards.
    pub total_equity: Usdc,
    /// NAV index now; over several shards chained by equity.
    pub nav_index: NavIndex,
    /// Time of the newest NAV point; null before the first.
    pub nav_time: Option<Timestamp>,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// Block in which it was registered.
    pub registered_block: u64,
    /// Its figures over the window asked for.
    pub statistics: StrategyStatistics,
}

/// Order of the list of strategies; ties in the order of registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StrategySort {
    /// Largest followers' equity first.
    #[default]
    Equity,
    /// Highest return in the window first.
    Return,
    /// Highest Sharpe ratio in the window first; those without one last.
    Sharpe,
    /// Smallest maximum drawdown in the window first.
    Drawdown,
    /// Most active followers first.
    Followers,
    /// Newest first.
    Newest,
}

/// Which strategies, and in what order.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StrategyQuery {
    /// Order; `equity` when not given.
    pub sort: Option<StrategySort>,
    /// Window of the figures; `all` when not given.
    pub window: Option<WindowName>,
    /// Only those whose name contains this, without regard to case.
    #[param(max_length = 64)]
    pub search: Option<String>,
    /// Only strategies of this master.
    #[param(value_type = Option<String>, pattern = "^0x[0-9a-fA-F]{40}$")]
    pub master: Option<String>,
    /// Only strategies that trade this market, e.g. `ETH-USD`.
    #[param(max_length = 32)]
    pub market: Option<String>,
    /// Items per page, 1 to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// Window of the figures.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowQuery {
    /// `all` when not given.
    pub window: Option<WindowName>,
}
