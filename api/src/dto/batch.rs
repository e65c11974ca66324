//! Batches and fills.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::nav::ChainPoint;
use super::scalar::{Address, BaseSize, Bps, Integer, Leverage, Price, Timestamp, Usdc};

/// Why a follower in a batch was moved, partly moved or left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Reached its target.
    Moved,
    /// Moved, but a signed bound kept it short of the signal.
    Capped,
    /// Already within the dead band of its target.
    AtTarget,
    /// This very signal had already moved it.
    AlreadyApplied,
    /// The order would have been below the smallest trade.
    Dust,
    /// Mandate expired: only reductions are made.
    Expired,
    /// The mandate does not list this market.
    MarketNotAllowed,
    /// Equity carried no exposure.
    UnderMargined,
    /// The fill would have been worse than the signed slippage.
    SlippageBound,
    /// The day's signed turnover left no room.
    TurnoverBound,
    /// The signed position notional left no room.
    NotionalBound,
    /// The signed leverage left no room.
    LeverageBound,
    /// Breaker, capacity or notice period: nothing could be increased.
    ReduceOnly,
    /// No such account, or nothing to do for a stopped one.
    Inactive,
    /// The position would not have fitted the ledger.
    SizeOverflow,
}

/// The signal a batch acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchSignal {
    /// Signed position notional ÷ master equity.
    pub leverage: Leverage,
    /// Strictly rising per strategy and market.
    pub sequence: Integer,
    /// When the master's state was seen.
    pub observed_at: Timestamp,
    /// From the master's state being seen to the batch's block.
    #[schema(extensions(("x-unit" = json!("ms"))))]
    pub delay_ms: i64,
}

/// One batch: a signal and the followers it moved, at one price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// `<vault>:<number>`.
    #[schema(example = "0x000000000022D473030F116dDEE9F6B43aC78BA3:17")]
    pub id: String,
    /// The strategy.
    pub strategy_id: String,
    /// The strategy vault (shard).
    pub vault: Address,
    /// Counts from 1 per vault.
    pub number: u64,
    /// Local index of the market.
    pub market: u8,
    /// Symbol of the market.
    pub symbol: String,
    /// What it acted on; null while the master's disclosure delay runs (until `disclosedAt`).
    pub signal: Option<BatchSignal>,
    /// When the signal is or was disclosed.
    pub disclosed_at: Timestamp,
    /// The venue's index price.
    pub index_price: Price,
    /// The one price of everyone in the batch; the index price when all of it crossed.
    pub fill_price: Price,
    /// Distance of the fill price from the index price, bps; positive is against the followers. 0 when nothing went
    /// to the venue.
    pub slippage_bps: Bps,
    /// What went to the venue.
    pub net_size: BaseSize,
    /// Volume that met inside the batch, one side.
    pub crossed_size: BaseSize,
    /// Paid to the venue.
    pub venue_fee: Usdc,
    /// Paid as copy fee.
    pub copy_fee: Usdc,
    /// Σ |size| × price of its lines.
    pub volume: Usdc,
    /// Followers whose position changed.
    pub moved: u32,
    /// Followers that were left alone; the lines say why.
    pub skipped: u32,
    /// Where it happened.
    pub at: ChainPoint,
}

/// How many followers of a batch had an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeCount {
    /// The outcome.
    pub outcome: Outcome,
    /// Followers.
    pub count: u64,
}

/// A batch with its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchDetail {
    /// The batch.
    #[serde(flatten)]
    pub batch: Batch,
    /// What happened to how many; only outcomes that occurred, in the order of their codes.
    pub outcomes: Vec<OutcomeCount>,
    /// One line per follower, in the order of the batch.
    pub lines: Vec<Fill>,
}

/// What caused a fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FillCause {
    /// A batch.
    Batch,
    /// The follower's own exit.
    Exit,
    /// The signed stop-loss.
    StopLoss,
    /// The signed take-profit.
    TakeProfit,
    /// Liquidation.
    Liquidation,
}

/// One follower's line of a batch, or a fill outside one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fill {
    /// Unique; stays the same unless a reorganisation takes the fill back.
    pub id: String,
    /// The strategy.
    pub strategy_id: String,
    /// The strategy vault (shard).
    pub vault: Address,
    /// Account index in the vault.
    pub account: u32,
    /// Whose account; null for an index that has no account.
    pub follower: Option<Address>,
    /// What caused it.
    pub cause: FillCause,
    /// The batch's id; null outside a batch.
    pub batch_id: Option<String>,
    /// Why it was moved, partly moved or left alone; null outside a batch.
    pub outcome: Option<Outcome>,
    /// From the master's state being seen to the batch's block; null outside a batch, and while the master's
    /// disclosure delay runs.
    #[schema(extensions(("x-unit" = json!("ms"))))]
    pub delay_ms: Option<i64>,
    /// Local index of the market.
    pub market: u8,
    /// Symbol of the market.
    pub symbol: String,
    /// Change of the position.
    pub size_delta: BaseSize,
    /// Change of the account's quote balance: trade, fees and settled funding together.
    pub quote_delta: Usdc,
    /// Copy fee and the account's part of the venue fee; already inside `quoteDelta`.
    pub fee: Usdc,
    /// Price.
    pub fill_price: Price,
    /// The venue's index price.
    pub index_price: Price,
    /// Distance of the fill price from the index price, bps; positive is against the follower.
    pub slippage_bps: Bps,
    /// |size| × price.
    pub notional: Usdc,
    /// Position after the fill.
    pub position: BaseSize,
    /// Result realised by this fill after fees and funding; 0 when it only opened.
    pub realised: Usdc,
    /// Where it happened.
    pub at: ChainPoint,
}

/// Which batches.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchQuery {
    /// Only batches of this strategy vault.
    #[param(value_type = Option<String>, pattern = "^0x[0-9a-fA-F]{40}$")]
    pub vault: Option<String>,
    /// Only batches in the market with this local index.
    pub market: Option<u8>,
    /// From this block on.
    pub from_block: Option<u64>,
    /// Up to this block.
    pub to_block: Option<u64>,
    /// Items per page, 1 to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}
