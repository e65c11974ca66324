//! The NAV record.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::scalar::{Address, Hash, NavIndex, Timestamp, Usdc};

/// How settled the block is that something was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Finality {
    /// In the newest blocks; a reorganisation can still take it back.
    Pending,
    /// Enough blocks lie on top of it (as the indexer is configured).
    Confirmed,
    /// The chain calls its block final; it stays.
    Finalized,
}

/// Where on the chain something happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChainPoint {
    /// Block number.
    pub block: u64,
    /// The block's hash.
    pub block_hash: Hash,
    /// The block's time.
    pub time: Timestamp,
    /// The transaction.
    pub transaction: Hash,
    /// Position of the log in the block.
    pub log_index: u64,
    /// How settled it is.
    pub finality: Finality,
}

/// One point of the NAV record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NavPoint {
    /// The strategy vault (shard) that recorded it.
    pub vault: Address,
    /// Index in the chain's array: `navAt(index)` of that vault returns this time and, for a vault's own curve, this
    /// NAV index and equity.
    pub index: u64,
    /// Position in this curve before thinning. For a vault's own curve the same as `index`.
    pub position: u64,
    /// Block number.
    pub block: u64,
    /// Time as the chain recorded it.
    pub time: Timestamp,
    /// NAV index of the curve.
    pub nav_index: NavIndex,
    /// Equity of the curve: of the vault, or the sum over the shards.
    pub total_equity: Usdc,
    /// How settled it is.
    pub finality: Finality,
}

/// A NAV curve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NavSeries {
    /// The strategy.
    pub strategy_id: String,
    /// The vault whose own record this is; null for the strategy's curve over all shards, chained by equity (with one
    /// shard the two are equal).
    pub vault: Option<Address>,
    /// Points in the window; more than `points` holds when `exact` is false.
    pub samples: u64,
    /// False when points were left out. What stays are real points, never averages: the first, lowest, highest and
    /// last of each stretch, so that no peak or trough is lost. Statistics are always computed over every point.
    pub exact: bool,
    /// Oldest first.
    pub points: Vec<NavPoint>,
}

/// Which part of a NAV record.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NavQuery {
    /// First moment, RFC 3339; from the beginning when not given.
    #[param(value_type = Option<String>, format = "date-time")]
    pub from: Option<String>,
    /// Last moment, RFC 3339; until now when not given.
    #[param(value_type = Option<String>, format = "date-time")]
    pub to: Option<String>,
    /// About so many points at most, 4 to 5000; 500 when not given.
    #[param(minimum = 4, maximum = 5000, default = 500)]
    pub points: Option<u16>,
    /// One strategy vault (shard); the whole strategy when not given.
    #[param(value_type = Option<String>, pattern = "^0x[0-9a-fA-F]{40}$")]
    pub vault: Option<String>,
}
