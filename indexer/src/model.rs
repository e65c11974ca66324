//! The read model: what the store holds and what its readers are given.
//!
//! Every amount is an integer with its unit in the type ([`Usdc`], [`Size`], [`Wad`]); all of them become decimal
//! strings in JSON. `f64` appears only where a figure is a ratio without a unit (Sharpe, win rate). Times are unix
//! seconds of the block unless the name says `_ms`.

use alloy::primitives::{Address, B256};
use lockstep_contracts::fills::Outcome;
use lockstep_contracts::units::{Size, Usdc, Wad};
use serde::{Deserialize, Serialize};

/// Number of a strategy in the registry.
pub type StrategyId = u64;

/// How sure it is that a row stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finality {
    /// In the newest blocks; a reorg may take it back.
    Pending,
    /// At least the configured number of blocks lies on top of it.
    Confirmed,
    /// The chain calls its block final.
    Finalized,
}

/// Where on the chain a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// Block number.
    pub block: u64,
    /// Block hash.
    pub block_hash: B256,
    /// Unix seconds of the block.
    pub time: u64,
    /// Transaction.
    pub tx_hash: B256,
    /// Index of the log in the block.
    pub log_index: u64,
    /// How sure it is, at the time of reading.
    pub finality: Finality,
}

/// A block of the followed chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockRef {
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Unix seconds.
    pub time: u64,
}

/// How far the index is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexerStatus {
    /// EIP-155 chain id the database belongs to.
    pub chain_id: u64,
    /// Registry the database belongs to.
    pub registry: Address,
    /// Block from which logs are followed.
    pub deployment_block: u64,
    /// Newest block of the chain as last seen.
    pub head: u64,
    /// Newest final block as last seen.
    pub finalized: u64,
    /// Blocks on top of one that make it confirmed.
    pub confirmations: u64,
    /// Last block whose rows are in the store; `None` before the first.
    pub cursor: Option<BlockRef>,
    /// Blocks the store is behind the head.
    pub lag_blocks: u64,
    /// Number of the last committed change, see [`Change`].
    pub seq: u64,
    /// Unix milliseconds at which `head` was last seen. Old = the indexer is down or its RPC is silent.
    pub head_seen_ms: u64,
}

impl IndexerStatus {
    /// Finality of a block, by the heights last seen.
    #[must_use]
    pub const fn finality(&self, block: u64) -> Finality {
        if block <= self.finalized {
            Finality::Finalized
        } else if block.saturating_add(self.confirmations) <= self.head {
            Finality::Confirmed
        } else {
            Finality::Pending
        }
    }
}

/// One committed step of the store: rows of a block range were added, or taken back by a reorg.
///
/// Poll [`changes_since`](crate::store::Reader::changes_since); `seq` rises by one per commit, also across restarts
/// and for rollbacks, so nothing is missed and nothing is told twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Number of the commit.
    pub seq: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// First block of the range.
    pub from_block: u64,
    /// Last block of the range.
    pub to_block: u64,
    /// Strategies with new or changed rows. Empty with `everything`.
    pub strategies: Vec<StrategyId>,
    /// Follower addresses with new or changed rows. Empty with `everything`.
    pub followers: Vec<Address>,
    /// Too much changed to list (backfill): read again what you show.
    pub everything: bool,
}

/// See [`Change`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Rows of the range were added.
    Applied,
    /// Rows of the range were taken back: a reorg. The replacing blocks follow as `Applied`.
    RolledBack,
}

// ------------------------------------------------------------------------------------------------ pages

/// Which page of a list. `after` is a cursor from [`Page::next`], opaque to the caller and stable while rows are added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PageRequest {
    /// Cursor of the page before; `None` for the first.
    pub after: Option<String>,
    /// Rows wanted, 1..=[`PageRequest::MAX`]; `None` = [`PageRequest::DEFAULT`].
    pub limit: Option<u32>,
}

impl PageRequest {
    /// Rows of a page when nothing is asked for.
    pub const DEFAULT: u32 = 50;
    /// Most rows of a page.
    pub const MAX: u32 = 500;

    /// Rows of this page, in bounds.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.limit.unwrap_or(Self::DEFAULT).clamp(1, Self::MAX)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Cursor of the next page; `None` when this is the last.
    pub next: Option<String>,
}

// ------------------------------------------------------------------------------------------------ strategies

/// What a master offers; field by field `Terms` of the contracts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// Of traded notional.
    pub copy_fee_bps: u16,
    /// Above each account's high-water mark.
    pub performance_fee_bps: u16,
    /// No follower is taken above this; 10000 = 1x.
    pub max_leverage_bps: u32,
    /// A batch further off the index reverts.
    pub max_slippage_bps: u16,
    /// A move smaller than this share of the position is not made.
    pub dead_band_bps: u16,
    /// Smaller orders are dust.
    pub min_trade_notional: Usdc,
    /// Gross open notional at which increases stop.
    pub max_open_notional: Usdc,
    /// Seconds the API holds the master's metadata back.
    pub disclosure_delay: u32,
}

/// Terms that wait out the notice period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingTerms {
    /// The new terms.
    pub terms: Terms,
    /// Unix seconds from which anyone may apply them.
    pub effective_at: u64,
}

impl PendingTerms {
    /// Seconds after `effective_at` in which the registry still applies them. Its constant has no getter; a test holds
    /// this against the source.
    pub const APPLY_WINDOW: u64 = 86_400;

    /// Unix seconds of the last block that may apply them; in a later one the registry refuses.
    #[must_use]
    pub const fn lapses_at(&self) -> u64 {
        self.effective_at.saturating_add(Self::APPLY_WINDOW)
    }

    /// Whether they can still come into force when the newest block is of `time`. The chain has no event for terms that
    /// lapse: only its clock tells.
    #[must_use]
    pub const fn can_apply(&self, time: u64) -> bool {
        time <= self.lapses_at()
    }
}

/// A market of a strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Market {
    /// Local index: in the vault, in signals, in allowed-market bitmaps.
    pub index: u8,
    /// Index in the registry's listing.
    pub listing_id: u16,
    /// E.g. `ETH-USD`.
    pub symbol: String,
    /// The adapter's id.
    pub venue_market: B256,
}

/// A strategy as a list shows it, with figures of the window that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Strategy {
    /// Number in the registry.
    pub id: StrategyId,
    /// Name the master gave it.
    pub name: String,
    /// Earns the fees.
    pub master: Address,
    /// Venue adapter.
    pub venue: Address,
    /// On-chain account that is followed; `None` when a keeper attests.
    pub source: Option<Address>,
    /// Shards, oldest first.
    pub vaults: Vec<Address>,
    /// Markets by local index.
    pub markets: Vec<Market>,
    /// Terms in force.
    pub terms: Terms,
    /// Terms that are coming; `None` again once the time to apply them has passed.
    pub pending_terms: Option<PendingTerms>,
    /// Unix seconds of registration.
    pub registered_at: u64,
    /// Block of registration.
    pub registered_block: u64,
    /// Accounts that are active now.
    pub followers: u64,
    /// Accounts ever opened.
    pub accounts: u64,
    /// Sum over the shards of the equity in their last NAV points.
    pub total_equity: Usdc,
    /// Strategy NAV index now, 1 at the start; of several shards the equity-weighted chain.
    pub nav_index: Wad,
    /// Time of the last NAV point; `None` before the first.
    pub nav_time: Option<u64>,
    /// Latest signal per market.
    pub signals: Vec<Signal>,
    /// Figures.
    pub statistics: Statistics,
}

/// By what a list of strategies is ordered; always with the id as second key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrategyOrder {
    /// Largest total equity first.
    #[default]
    Equity,
    /// Highest return in the window first.
    Return,
    /// Highest Sharpe ratio in the window first; blanks last.
    Sharpe,
    /// Smallest drawdown in the window first.
    Drawdown,
    /// Most active followers first.
    Followers,
    /// Newest first.
    Newest,
}

/// Which strategies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StrategyQuery {
    /// Only this master's.
    pub master: Option<Address>,
    /// Only those whose name contains this, letters compared without case.
    pub search: Option<String>,
    /// Only those that trade this symbol.
    pub market: Option<String>,
    /// Order of the list.
    pub order: StrategyOrder,
    /// Window of the figures.
    pub window: Window,
}

// ------------------------------------------------------------------------------------------------ statistics

/// Window of a figure: whole UTC days up to and including today, or everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Window {
    /// Last 7 UTC days.
    #[serde(rename = "7d")]
    Days7,
    /// Last 30 UTC days.
    #[serde(rename = "30d")]
    Days30,
    /// Last 90 UTC days.
    #[serde(rename = "90d")]
    Days90,
    /// Last 365 UTC days.
    #[serde(rename = "365d")]
    Days365,
    /// Since registration.
    #[default]
    #[serde(rename = "all")]
    All,
}

impl Window {
    /// Days of the window; `None` = all.
    #[must_use]
    pub const fn days(self) -> Option<u64> {
        match self {
            Self::Days7 => Some(7),
            Self::Days30 => Some(30),
            Self::Days90 => Some(90),
            Self::Days365 => Some(365),
            Self::All => None,
        }
    }
}

/// A figure that is blank when there is too little to compute it from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure<T> {
    /// The figure; `None` = blank.
    pub value: Option<T>,
    /// What it was computed from: NAV points, daily returns, closed positions, batches or fills.
    pub samples: u64,
}

/// Largest fall from a peak to a later trough, over every NAV point of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drawdown {
    /// 1 − trough ÷ peak: `0.25` = fell by a quarter. Rounded down at 1e-18.
    pub depth: Wad,
    /// NAV index at the peak.
    pub peak: Wad,
    /// Time of the peak.
    pub peak_time: u64,
    /// NAV index at the trough.
    pub trough: Wad,
    /// Time of the trough.
    pub trough_time: u64,
}

/// Figures of one strategy over one window. Formulas: [`FORMULAS`](crate::derive::statistics::FORMULAS).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// The window.
    pub window: Window,
    /// Start of the window, unix seconds.
    pub from: u64,
    /// End of the window, unix seconds: time of the last indexed block.
    pub to: u64,
    /// Time-weighted return. Samples: NAV points.
    pub total_return: Figure<Wad>,
    /// Maximum drawdown. Samples: NAV points.
    pub max_drawdown: Figure<Drawdown>,
    /// Samples: daily UTC returns.
    pub sharpe: Figure<f64>,
    /// Samples: daily UTC returns.
    pub sortino: Figure<f64>,
    /// Yearly deviation of daily UTC returns. Samples: daily UTC returns.
    pub volatility: Figure<f64>,
    /// Closed positions with a profit ÷ closed positions. Samples: closed positions.
    pub win_rate: Figure<f64>,
    /// Profit of winners ÷ loss of losers; `None` when nothing was lost. Samples: closed positions.
    pub profit_factor: Figure<f64>,
    /// Realised result of closed positions after fees. Samples: closed positions.
    pub realised: Figure<Usdc>,
    /// Volume that followers traded. Samples: fills.
    pub volume: Figure<Usdc>,
    /// Copy fees and venue fees followers paid. Samples: fills.
    pub fees: Figure<Usdc>,
    /// Performance fees followers paid. Samples: charges.
    pub performance_fees: Figure<Usdc>,
    /// Σ slippage cost ÷ Σ volume of fills in batches, in bps; positive = worse than the index. Samples: fills.
    pub slippage_bps: Figure<Wad>,
    /// Mean of block time − observation time, milliseconds. Samples: batches.
    pub delay_ms: Figure<i64>,
    /// Longest such delay, milliseconds. Samples: batches.
    pub max_delay_ms: Figure<i64>,
    /// Fills that moved ÷ all fills of batches. Samples: fills, skipped ones included.
    pub moved_share: Figure<f64>,
}

// ------------------------------------------------------------------------------------------------ NAV

/// Whose NAV record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Series {
    /// One shard: exactly the chain's array.
    Vault(Address),
    /// All shards of a strategy, chained by equity. With one shard equal to it.
    Strategy(StrategyId),
}

/// One point of a NAV record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NavPoint {
    /// Position in the series: for a vault the index of `navAt`.
    pub index: u64,
    /// Shard whose record this point is in.
    pub vault: Address,
    /// Index of `navAt` in that shard.
    pub vault_index: u64,
    /// Unix seconds, as recorded on chain.
    pub time: u64,
    /// NAV index of the series.
    pub nav_index: Wad,
    /// Equity of the series: of the shard, or the sum over shards.
    pub total_equity: Usdc,
    /// Where it comes from.
    pub origin: Origin,
}

/// Which part of a NAV record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NavQuery {
    /// Unix seconds, inclusive.
    pub from: Option<u64>,
    /// Unix seconds, inclusive.
    pub to: Option<u64>,
    /// Most points wanted, at least 4; `None` = [`NavQuery::DEFAULT_POINTS`], at most [`NavQuery::MAX_POINTS`].
    pub points: Option<u32>,
}

impl NavQuery {
    /// Points of a curve when nothing is asked for.
    pub const DEFAULT_POINTS: u32 = 500;
    /// Most points of a curve.
    pub const MAX_POINTS: u32 = 5_000;
}

/// A NAV curve. When `exact` is false it was thinned: first, last, lowest and highest point of each time bucket are
/// kept, all of them points of the chain. Figures never come from a thinned curve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NavCurve {
    /// Points in order.
    pub points: Vec<NavPoint>,
    /// Every point of the range is in `points`.
    pub exact: bool,
    /// Points of the range before thinning.
    pub samples: u64,
}

// ------------------------------------------------------------------------------------------------ batches, fills

/// One `mirror` transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// Strategy.
    pub strategy_id: StrategyId,
    /// Shard.
    pub vault: Address,
    /// Counts from 1 per vault.
    pub batch_id: u64,
    /// Local market index.
    pub market: u8,
    /// E.g. `ETH-USD`.
    pub symbol: String,
    /// Sequence of the signal.
    pub sequence: u64,
    /// Target leverage of the signal.
    pub leverage: Wad,
    /// Unix milliseconds at which the master's state was seen.
    pub observed_at_ms: u64,
    /// Block time − observation time. A block's time has whole seconds, so −1000 < delay < 0 is possible.
    pub delay_ms: i64,
    /// Index price at the time.
    pub index_price: Wad,
    /// The one price of everyone in the batch.
    pub fill_price: Wad,
    /// Against the index, positive = worse for those trading in the net direction; 0 when all of it crossed.
    pub slippage_bps: Wad,
    /// What went to the venue, positive = bought.
    pub net_size: Size,
    /// What met inside the batch, one side.
    pub crossed_size: Size,
    /// Venue fee.
    pub venue_fee: Usdc,
    /// Copy fee.
    pub copy_fee: Usdc,
    /// Sum of |size| × price of its fills.
    pub volume: Usdc,
    /// Accounts that were moved.
    pub moved: u32,
    /// Accounts that were left alone.
    pub skipped: u32,
    /// Where it comes from.
    pub origin: Origin,
}

/// Which batches; newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchQuery {
    /// Of this strategy.
    pub strategy: Option<StrategyId>,
    /// Of this shard.
    pub vault: Option<Address>,
    /// In this local market.
    pub market: Option<u8>,
    /// From this block on.
    pub from_block: Option<u64>,
    /// Up to this block.
    pub to_block: Option<u64>,
}

/// What a fill belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum FillCause {
    /// A batch.
    Batch {
        /// Its number in the vault.
        batch_id: u64,
        /// Why the account was moved or left alone.
        outcome: Outcome,
        /// Block time − observation time of the signal.
        delay_ms: i64,
    },
    /// The follower's own exit.
    Exit,
    /// The signed stop-loss.
    StopLoss,
    /// The signed take-profit.
    TakeProfit,
    /// Liquidation.
    Liquidation,
}

/// One line of one follower: moved by a batch, left alone by it with a reason, or closed outside one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fill {
    /// Strategy.
    pub strategy_id: StrategyId,
    /// Shard.
    pub vault: Address,
    /// Account index in the shard.
    pub account: u32,
    /// Follower; `None` for an index that has no account (`Inactive`).
    pub follower: Option<Address>,
    /// Local market index.
    pub market: u8,
    /// E.g. `ETH-USD`.
    pub symbol: String,
    /// What it belongs to.
    pub cause: FillCause,
    /// Change of the position.
    pub size_delta: Size,
    /// Change of the quote balance: trade, fees and settled funding together.
    pub quote_delta: Usdc,
    /// Copy fee and venue fee.
    pub fee: Usdc,
    /// Price.
    pub price: Wad,
    /// Index price at the time.
    pub index_price: Wad,
    /// Against the index, positive = worse for this follower; 0 when nothing was traded.
    pub slippage_bps: Wad,
    /// |size| × price.
    pub notional: Usdc,
    /// Position after the fill.
    pub position: Size,
    /// Result realised by this fill after fees and funding; 0 when it only opened.
    pub realised: Usdc,
    /// Where it comes from.
    pub origin: Origin,
}

/// Which fills; newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FillQuery {
    /// Of this follower, in all strategies.
    pub follower: Option<Address>,
    /// Of this strategy.
    pub strategy: Option<StrategyId>,
    /// Of this shard.
    pub vault: Option<Address>,
    /// Of this account of `vault`.
    pub account: Option<u32>,
    /// Of this batch of `vault`.
    pub batch_id: Option<u64>,
    /// Leave out lines where nothing was traded.
    pub traded_only: bool,
    /// From this block on.
    pub from_block: Option<u64>,
    /// Up to this block.
    pub to_block: Option<u64>,
}

/// How a signal was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// The contract read the master's position.
    Venue,
    /// Signed by the master's signal key.
    Master,
    /// Attested by a registered keeper key.
    Keeper,
}

/// "Strategy S is now at leverage L in market M."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signal {
    /// Strategy.
    pub strategy_id: StrategyId,
    /// Local market index.
    pub market: u8,
    /// E.g. `ETH-USD`.
    pub symbol: String,
    /// Strictly rising per strategy and market.
    pub sequence: u64,
    /// Signed position notional ÷ master equity.
    pub leverage: Wad,
    /// Unix milliseconds at which the master's state was seen.
    pub observed_at_ms: u64,
    /// How it was proved.
    pub proof: Proof,
    /// Where it comes from.
    pub origin: Origin,
}

// ------------------------------------------------------------------------------------------------ accounts

/// Life of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountStatus {
    /// Follows every signal inside its mandate.
    #[default]
    Active,
    /// By the follower.
    Stopped,
    /// By stop-loss or take-profit.
    StoppedOut,
    /// By the liquidator.
    Liquidated,
}

/// How targets are derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Leverage × ratio.
    ProRata,
    /// A fixed notional in the master's direction.
    Fixed,
    /// Pro rata, partly hedged.
    DeltaNeutral,
}

/// The bounds a follower signed, as the mandate says them (the vault stores some of them rounded down).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bounds {
    /// How targets are derived.
    pub mode: Mode,
    /// 10000 = the master's leverage × 1.
    pub ratio_bps: u32,
    /// For `fixed`.
    pub fixed_notional: Usdc,
    /// For `delta-neutral`.
    pub hedge_bps: u16,
    /// 10000 = 1x, over all markets.
    pub max_leverage_bps: u32,
    /// Fill against index price.
    pub max_slippage_bps: u16,
    /// Per market.
    pub max_position_notional: Usdc,
    /// Per UTC day over all markets.
    pub max_daily_turnover: Usdc,
    /// Of net deposits; 0 = none.
    pub stop_loss_bps: u16,
    /// Of net deposits; 0 = none.
    pub take_profit_bps: u32,
    /// Symbols.
    pub allowed_markets: Vec<String>,
    /// Unix seconds.
    pub expiry: u64,
    /// Hash of the mandate.
    pub mandate_hash: B256,
    /// When it was accepted, unix seconds.
    pub accepted_at: u64,
}

/// An open position of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// Local market index.
    pub market: u8,
    /// E.g. `ETH-USD`.
    pub symbol: String,
    /// Positive = long.
    pub size: Size,
    /// Quote balance as on chain: takes fees, realised profit and settled funding; negative for a long.
    pub quote: Usdc,
    /// Average price of what is open, fees not in it; `None` when flat.
    pub average_entry: Option<Wad>,
    /// Last index price of this market seen on chain; `None` before the first.
    pub mark_price: Option<Wad>,
    /// Block time of `mark_price`.
    pub mark_time: Option<u64>,
    /// size × mark + quote: what the position is worth at the mark, funding since the last touch not in it.
    pub value: Option<Usdc>,
    /// When it was opened, unix seconds.
    pub opened_at: u64,
}

/// Closed positions of an account, each after its fees and funding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    /// Closed positions.
    pub count: u64,
    /// Of them with a profit.
    pub wins: u64,
    /// Sum of the profits.
    pub profit: Usdc,
    /// Sum of the losses, positive.
    pub loss: Usdc,
}

/// A follower's account in one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Strategy.
    pub strategy_id: StrategyId,
    /// Name of the strategy.
    pub strategy_name: String,
    /// Shard.
    pub vault: Address,
    /// Index in the shard.
    pub account: u32,
    /// Who owns it.
    pub follower: Address,
    /// Life of the account.
    pub status: AccountStatus,
    /// Signed bounds; `None` only between `AccountOpened` and `MandateAccepted`.
    pub bounds: Option<Bounds>,
    /// When it was opened, unix seconds.
    pub opened_at: u64,
    /// Time of the last event that touched it.
    pub touched_at: u64,
    /// Free collateral and collateral behind positions; open quote balances are in `positions`.
    pub margin: Usdc,
    /// margin + Σ position values at the last index price seen; `None` while a market has no price yet.
    pub equity: Option<Usdc>,
    /// Everything ever deposited.
    pub deposited: Usdc,
    /// Everything ever withdrawn.
    pub withdrawn: Usdc,
    /// Deposited − withdrawn.
    pub net_deposits: Usdc,
    /// As of the last performance fee charged; `None` before.
    pub high_water_mark: Option<Usdc>,
    /// Copy fees and venue fees paid.
    pub fees: Usdc,
    /// Performance fees paid.
    pub performance_fees: Usdc,
    /// Σ |size| × price.
    pub volume: Usdc,
    /// Σ |size| × (price against index, signed against the follower): what slippage cost.
    pub slippage_cost: Usdc,
    /// Fills that moved it.
    pub fills: u64,
    /// Batches that left it alone.
    pub skips: u64,
    /// Closed positions.
    pub closed: Closed,
    /// Open positions.
    pub positions: Vec<Position>,
}

/// Which followers of a strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FollowerQuery {
    /// Only of this shard.
    pub vault: Option<Address>,
    /// Only accounts in this state.
    pub status: Option<AccountStatus>,
}

/// What happened to an account besides fills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum AccountEvent {
    /// Opened.
    Opened,
    /// A mandate was accepted.
    MandateAccepted {
        /// Its hash.
        mandate_hash: B256,
    },
    /// Status changed.
    StatusChanged {
        /// To.
        status: AccountStatus,
    },
    /// USDC came in.
    Deposited {
        /// How much.
        amount: Usdc,
    },
    /// USDC went out, to the follower.
    Withdrawn {
        /// What the follower got.
        amount: Usdc,
        /// What left the margin: `amount`, or 0.000001 more where the venue rounded.
        debited: Usdc,
    },
    /// A performance fee.
    PerformanceFee {
        /// Profit above the high-water mark.
        profit: Usdc,
        /// The fee.
        fee: Usdc,
        /// New mark.
        high_water_mark: Usdc,
    },
    /// Quote balance of a flat position moved into the margin.
    QuoteSwept {
        /// Local market index.
        market: u8,
        /// Signed.
        amount: Usdc,
    },
    /// Liquidated.
    Liquidated {
        /// Who did it.
        liquidator: Address,
        /// What they earned.
        reward: Usdc,
        /// What went to the insurance fund.
        to_insurance: Usdc,
    },
    /// Its loss was larger than its margin.
    BadDebt {
        /// By how much.
        amount: Usdc,
        /// Paid by the insurance fund.
        insured: Usdc,
        /// Carried by the other accounts.
        socialised: Usdc,
    },
    /// The venue itself changed its side of the market, and everyone's funding was settled for it.
    VenueDiverged {
        /// Local market index.
        market: u8,
        /// Position before.
        before: Size,
        /// Position after.
        after: Size,
        /// Change of the quote balance: the cash that came with it, less the funding owed until then.
        cash: Usdc,
    },
}

/// One line of an account's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountEntry {
    /// Strategy.
    pub strategy_id: StrategyId,
    /// Shard.
    pub vault: Address,
    /// Account index.
    pub account: u32,
    /// Follower.
    pub follower: Address,
    /// What happened.
    pub event: AccountEvent,
    /// Where it comes from.
    pub origin: Origin,
}

/// State of the whole deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct System {
    /// Registered keeper keys.
    pub keepers: Vec<Address>,
    /// Unix seconds until which the breaker stops new exposure; 0 = never tripped.
    pub breaker_until: u64,
    /// Paid out by the insurance fund.
    pub insurance_paid: Usdc,
    /// Given to the insurance fund.
    pub insurance_donated: Usdc,
    /// Strategies registered.
    pub strategies: u64,
    /// Accounts opened.
    pub accounts: u64,
}

#[cfg(test)]
mod tests {
    use super::PendingTerms;

    #[test]
    fn terms_lapse_when_the_registry_says_so() {
        let registry = include_str!("../../contracts/MasterRegistry.sol");
        assert!(registry.contains("APPLY_WINDOW = 1 days;"));
        assert!(registry.contains("if (block.timestamp > expiredAt) revert TermsExpired"));
        assert_eq!(PendingTerms::APPLY_WINDOW, 24 * 60 * 60);
    }
}
