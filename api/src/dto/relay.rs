//! Signatures on their way to the keeper.
//!
//! What is accepted is read into [`lockstep_contracts::relay`]; the types here only describe it in the schema, and a
//! test holds the two against each other.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::scalar::{Address, Hash, Integer, Timestamp};

/// The mandate as signed: raw integers, in the units of `LockstepTypes.sol`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code)]
pub struct Mandate {
    /// Who signs, and alone can ever receive the margin.
    follower: Address,
    /// The strategy vault that is followed.
    strategy: Address,
    /// 0 pro-rata, 1 fixed; 2 (delta-neutral) is not taken yet.
    #[schema(maximum = 2)]
    mode: u8,
    /// Pro-rata: 10000 is the master's leverage × 1; 1 to 100000. 0 in other modes.
    #[schema(maximum = 100_000, extensions(("x-unit" = json!("bps"))))]
    ratio_bps: u32,
    /// Fixed: notional in USDC × 1e6; stored in whole USDC, rounded down.
    #[schema(extensions(("x-unit" = json!("USDC 1e-6"))))]
    fixed_notional: Integer,
    /// Delta-neutral: 3000 to 7000. 0 in other modes.
    #[schema(maximum = 7_000, extensions(("x-unit" = json!("bps"))))]
    hedge_bps: u16,
    /// 10000 is 1x, over all markets together; stored in steps of 100, rounded down.
    #[schema(extensions(("x-unit" = json!("bps"))))]
    max_leverage_bps: u32,
    /// Fill against index price.
    #[schema(maximum = 10_000, extensions(("x-unit" = json!("bps"))))]
    max_slippage_bps: u16,
    /// USDC × 1e6 per market; stored in whole USDC, rounded down.
    #[schema(extensions(("x-unit" = json!("USDC 1e-6"))))]
    max_position_notional: Integer,
    /// USDC × 1e6 per UTC day over all markets.
    #[schema(extensions(("x-unit" = json!("USDC 1e-6"))))]
    max_daily_turnover: Integer,
    /// Of net deposits; 0 is none.
    #[schema(maximum = 10_000, extensions(("x-unit" = json!("bps"))))]
    stop_loss_bps: u16,
    /// Of net deposits; 0 is none.
    #[schema(extensions(("x-unit" = json!("bps"))))]
    take_profit_bps: u32,
    /// Symbols as the strategy lists them; at least one.
    #[schema(min_items = 1)]
    allowed_markets: Vec<String>,
    /// USDC × 1e6 that this signature moves into the account; 0 for an update.
    #[schema(extensions(("x-unit" = json!("USDC 1e-6"))))]
    deposit: Integer,
    /// Unix seconds.
    #[schema(extensions(("x-unit" = json!("unix s"))))]
    expiry: Integer,
    /// Unordered, in the group named by the strategy.
    nonce: Integer,
}

/// EIP-2612 permit of USDC for Permit2.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code)]
pub struct TokenPermit {
    /// USDC × 1e6 that Permit2 may move.
    value: Integer,
    /// Unix seconds.
    deadline: Integer,
    /// 27 or 28.
    v: u8,
    /// Signature.
    r: Hash,
    /// Signature.
    s: Hash,
}

/// A mandate with the follower's signature over it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code)]
pub struct SignedMandate {
    /// What was signed.
    mandate: Mandate,
    /// Permit2 nonce; "0" for an update.
    permit_nonce: Integer,
    /// Permit2 deadline, unix seconds; "0" for an update.
    permit_deadline: Integer,
    /// 65 bytes for an EOA, any length for a contract.
    #[schema(pattern = "^0x([0-9a-fA-F]{2})*$", max_length = 16386)]
    signature: String,
    /// For a newcomer without a Permit2 allowance.
    token_permit: Option<TokenPermit>,
}

/// A follower's intent besides a mandate.
#[derive(ToSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
#[allow(dead_code)]
pub enum Intent {
    /// Nothing is opened any more; what is open is closed by the next batches.
    #[serde(rename_all = "camelCase")]
    Stop {
        /// Who signs.
        follower: Address,
        /// The strategy vault.
        strategy: Address,
        /// Unordered, in the group named by the strategy.
        nonce: Integer,
        /// Unix seconds.
        deadline: Integer,
    },
    /// Pays free margin to the follower.
    #[serde(rename_all = "camelCase")]
    Withdraw {
        /// Who signs and receives.
        follower: Address,
        /// The strategy vault.
        strategy: Address,
        /// USDC × 1e6; the largest uint256 is all that is free.
        #[schema(extensions(("x-unit" = json!("USDC 1e-6"))))]
        amount: Integer,
        /// Unordered, in the group named by the strategy.
        nonce: Integer,
        /// Unix seconds.
        deadline: Integer,
    },
}

/// An intent with the follower's signature over it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code)]
pub struct SignedIntent {
    /// What was signed.
    intent: Intent,
    /// 65 bytes for an EOA, any length for a contract.
    #[schema(pattern = "^0x([0-9a-fA-F]{2})*$", max_length = 16386)]
    signature: String,
}

/// Where a relayed item stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum RelayState {
    /// Written to the keeper's journal; it will be sent.
    Queued,
    /// Handed to the chain. Not failed until the chain says so.
    #[serde(rename_all = "camelCase")]
    Submitted {
        /// Latest transaction that carries it.
        transaction: Hash,
    },
    /// In a block.
    #[serde(rename_all = "camelCase")]
    Included {
        /// The transaction.
        transaction: Hash,
        /// Its block.
        block: u64,
    },
    /// Refused; nothing was moved.
    #[serde(rename_all = "camelCase")]
    Rejected {
        /// Name of the contract's error or of the check that failed.
        code: String,
        /// One sentence for the follower.
        detail: String,
    },
    /// The keeper did not answer: it may or may not have it. Ask again by id; sending the same signature again is
    /// safe, it has the same id.
    #[serde(rename_all = "camelCase")]
    Unknown {
        /// One sentence for the follower.
        detail: String,
    },
}

/// A relayed item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelayStatus {
    /// EIP-712 digest of what was signed; sending the same thing twice gives the same id.
    pub id: Hash,
    /// Where it stands.
    #[serde(flatten)]
    pub state: RelayState,
}

/// What kind of thing was relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RelayKind {
    /// A mandate with a deposit.
    Mandate,
    /// A mandate without one.
    Update,
    /// A stop.
    Stop,
    /// A withdrawal.
    Withdraw,
}

/// An entry of a follower's own relay history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelayRecord {
    /// EIP-712 digest of what was signed.
    pub id: Hash,
    /// What it was.
    pub kind: RelayKind,
    /// The strategy vault.
    pub vault: Address,
    /// When this API first took it.
    pub received_at: Timestamp,
    /// Where it stood when last asked.
    pub last: RelayState,
}
