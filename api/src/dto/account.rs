//! Followers' accounts.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::nav::ChainPoint;
use super::scalar::{Address, BaseSize, Hash, Price, Timestamp, Usdc};
use super::statistic::Statistic;

/// Life of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccountStatus {
    /// Follows every signal inside its mandate.
    Active,
    /// Stopped by the follower: what is open is closed, nothing is opened.
    Stopped,
    /// Stopped by stop-loss or take-profit.
    StoppedOut,
    /// Closed by the liquidator.
    Liquidated,
}

/// How the target is derived from a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The master's leverage × ratio.
    ProRata,
    /// A fixed notional in the master's direction.
    Fixed,
    /// Pro-rata with a hedged part.
    DeltaNeutral,
}

/// The bounds the follower signed. The contract emits them, so they are public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MandateBounds {
    /// EIP-712 struct hash of the mandate.
    pub hash: Hash,
    /// How the target is derived.
    pub mode: Mode,
    /// Pro-rata: 10000 is the master's leverage × 1.
    #[schema(extensions(("x-unit" = json!("bps"))))]
    pub ratio_bps: u32,
    /// Fixed: the notional.
    pub fixed_notional: Usdc,
    /// Delta-neutral: share of the exposure that is hedged.
    #[schema(extensions(("x-unit" = json!("bps"))))]
    pub hedge_bps: u16,
    /// Over all markets together; 10000 is 1x.
    #[schema(extensions(("x-unit" = json!("bps"))))]
    pub max_leverage_bps: u32,
    /// Fill against index price.
    #[schema(extensions(("x-unit" = json!("bps"))))]
    pub max_slippage_bps: u16,
    /// Per market.
    pub max_position_notional: Usdc,
    /// Per UTC day over all markets.
    pub max_daily_turnover: Usdc,
    /// Of net deposits; 0 is none.
    #[schema(extensions(("x-unit" = json!("bps"))))]
    pub stop_loss_bps: u16,
    /// Of net deposits; 0 is none.
    #[schema(extensions(("x-unit" = json!("bps"))))]
    pub take_profit_bps: u32,
    /// Symbols.
    pub allowed_markets: Vec<String>,
    /// From then on only reductions are made.
    pub expires_at: Timestamp,
    /// When it was accepted.
    pub accepted_at: Timestamp,
}

/// A position of an account, from its fills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// Local index of the market.
    pub market: u8,
    /// Symbol of the market.
    pub symbol: String,
    /// Positive is long.
    pub size: BaseSize,
    /// Quote balance of the position: negative for a long.
    pub quote: Usdc,
    /// Average price of what is open, fees not in it.
    pub average_entry: Option<Price>,
    /// Newest index price of this market on the chain; null before the first.
    pub mark_price: Option<Price>,
    /// When that price was recorded.
    pub mark_time: Option<Timestamp>,
    /// Quote balance + size × mark price: what the position is worth, fees in it, funding since the last touch not;
    /// null without a price.
    pub value: Option<Usdc>,
    /// When it was opened.
    pub opened_at: Timestamp,
}

/// Closed positions of an account, each after its fees and funding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClosedPositions {
    /// Closed positions.
    pub count: u64,
    /// Of them with a profit.
    pub wins: u64,
    /// Sum of the profits.
    pub profit: Usdc,
    /// Sum of the losses, positive.
    pub loss: Usdc,
}

/// What following has come to, after all fees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FollowerResult {
    /// Equity + withdrawals − deposits.
    pub profit: Statistic,
    /// Money-weighted return (XIRR), a year's rate.
    pub money_weighted_return: Statistic,
    /// Time-weighted return of the strategy since the account was opened, for comparison.
    pub strategy_return: Statistic,
    /// Share of closed positions that won.
    pub win_rate: Statistic,
    /// Where the gap to the master comes from.
    pub gap: ResultGap,
}

/// The gap between follower and master by cause, USDC. Positive cost the follower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultGap {
    /// The price moved between the master's trade and the batch.
    pub latency: Statistic,
    /// Fills were off the index price.
    pub slippage: Statistic,
    /// Copy fees, venue fees and performance fees.
    pub fees: Statistic,
    /// Signed bounds kept the follower from its target.
    pub bounds: Statistic,
}

/// A follower's entry in a strategy vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// `<vault>:<index>`.
    #[schema(example = "0x000000000022D473030F116dDEE9F6B43aC78BA3:3")]
    pub id: String,
    /// The strategy.
    pub strategy_id: String,
    /// The strategy's name. Free text from the chain: show it as text.
    pub strategy_name: String,
    /// The strategy vault (shard).
    pub vault: Address,
    /// Index in the vault.
    pub account: u32,
    /// Whose account.
    pub follower: Address,
    /// Where it stands.
    pub status: AccountStatus,
    /// The bounds in force; null before the first mandate.
    pub mandate: Option<MandateBounds>,
    /// All that was ever deposited.
    pub deposited: Usdc,
    /// All that was ever withdrawn.
    pub withdrawn: Usdc,
    /// Deposited − withdrawn.
    pub net_deposits: Usdc,
    /// Free collateral and collateral behind positions.
    pub margin: Usdc,
    /// Margin + value of open positions at the newest index prices on the chain; null while a market has no price.
    /// `equityOf(account)` of the vault is the truth.
    pub equity: Option<Usdc>,
    /// Performance fees are charged only above this; null before the first charge.
    pub high_water_mark: Option<Usdc>,
    /// Copy fees and venue fees paid.
    pub fees: Usdc,
    /// Performance fees paid.
    pub performance_fees: Usdc,
    /// Σ |size| × price.
    pub volume: Usdc,
    /// Σ |size| × distance of price from index, against the follower.
    pub slippage_cost: Usdc,
    /// Fills that moved it.
    pub fills: u64,
    /// Batches that left it alone.
    pub skips: u64,
    /// Closed positions.
    pub closed: ClosedPositions,
    /// Open positions.
    pub positions: Vec<Position>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Newest event that touched it.
    pub touched_at: Timestamp,
}

/// An account and what following with it has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountWithResult {
    /// The account.
    #[serde(flatten)]
    pub account: Account,
    /// What following has come to.
    pub result: FollowerResult,
}

/// Everything one address has on Lockstep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountsOfAddress {
    /// The address.
    pub address: Address,
    /// Its accounts, by strategy and shard. Empty for an address that has never followed.
    pub accounts: Vec<AccountWithResult>,
    /// Ids of the strategies it runs as a master.
    pub strategies: Vec<String>,
}

/// Which fills.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FillQuery {
    /// Only fills in this strategy vault.
    #[param(value_type = Option<String>, pattern = "^0x[0-9a-fA-F]{40}$")]
    pub vault: Option<String>,
    /// Also lines of batches in which the account was not moved, with the reason; false when not given.
    pub skipped: Option<bool>,
    /// From this block on.
    pub from_block: Option<u64>,
    /// Up to this block.
    pub to_block: Option<u64>,
    /// Items per page, 1 to 200; 50 when not given. CSV ignores pages and holds up to 100000 lines.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// Which followers of a strategy.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FollowerQuery {
    /// Only accounts in this strategy vault.
    #[param(value_type = Option<String>, pattern = "^0x[0-9a-fA-F]{40}$")]
    pub vault: Option<String>,
    /// Only accounts in this state.
    pub status: Option<AccountStatus>,
    /// Items per page, 1 to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// What happened to an account besides fills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum AccountEvent {
    /// Opened.
    Opened,
    /// A mandate was accepted.
    #[serde(rename_all = "camelCase")]
    MandateAccepted {
        /// EIP-712 struct hash of the mandate.
        mandate_hash: Hash,
    },
    /// Status changed.
    #[serde(rename_all = "camelCase")]
    StatusChanged {
        /// To.
        status: AccountStatus,
    },
    /// USDC came in.
    #[serde(rename_all = "camelCase")]
    Deposited {
        /// How much.
        amount: Usdc,
    },
    /// USDC went out, to the follower.
    #[serde(rename_all = "camelCase")]
    Withdrawn {
        /// What the follower got.
        amount: Usdc,
        /// What left the margin: `amount`, or 0.000001 more where the venue rounded.
        debited: Usdc,
    },
    /// A performance fee.
    #[serde(rename_all = "camelCase")]
    PerformanceFee {
        /// Profit above the high-water mark.
        profit: Usdc,
        /// The fee.
        fee: Usdc,
        /// New mark.
        high_water_mark: Usdc,
    },
    /// Quote balance of a flat position moved into the margin.
    #[serde(rename_all = "camelCase")]
    QuoteSwept {
        /// Local market index.
        market: u8,
        /// Signed.
        amount: Usdc,
    },
    /// Liquidated.
    #[serde(rename_all = "camelCase")]
    Liquidated {
        /// Who did it.
        liquidator: Address,
        /// What they earned.
        reward: Usdc,
        /// What went to the insurance fund.
        to_insurance: Usdc,
    },
    /// Its loss was larger than its margin.
    #[serde(rename_all = "camelCase")]
    BadDebt {
        /// By how much.
        amount: Usdc,
        /// Paid by the insurance fund.
        insured: Usdc,
        /// Carried by the other accounts.
        socialised: Usdc,
    },
    /// The venue itself changed its side of the market, and everyone's funding was settled for it.
    #[serde(rename_all = "camelCase")]
    VenueDiverged {
        /// Local market index.
        market: u8,
        /// Position before.
        before: BaseSize,
        /// Position after.
        after: BaseSize,
        /// Change of the quote balance: the cash that came with it, less the funding owed until then.
        cash: Usdc,
    },
}

/// One line of an account's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountEntry {
    /// The strategy.
    pub strategy_id: String,
    /// The strategy vault (shard).
    pub vault: Address,
    /// Account index in the vault.
    pub account: u32,
    /// What happened.
    #[serde(flatten)]
    pub event: AccountEvent,
    /// Where it happened.
    pub at: ChainPoint,
}
