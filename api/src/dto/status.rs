//! How the system is.

use serde::Serialize;
use utoipa::ToSchema;

use super::scalar::{Address, Hash, Timestamp, Usdc};

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// As it should be.
    Up,
    /// Works, but late or partly; `detail` says how.
    Degraded,
    /// Does not work.
    Down,
    /// Not configured here, or not asked yet.
    Unknown,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockRef {
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: Hash,
    /// Time.
    pub time: Timestamp,
}

/// How far the store is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IndexerStatus {
    /// How it is.
    pub health: Health,
    /// One sentence when it is not up.
    pub detail: Option<String>,
    /// Newest block in the store; null before the first.
    pub cursor: Option<BlockRef>,
    /// The chain's newest block as the indexer last saw it; null when there is no store yet.
    pub head: Option<u64>,
    /// Newest final block as the indexer last saw it; null when there is no store yet.
    pub finalized: Option<u64>,
    /// Blocks the store is behind the head; null when there is no store yet.
    pub lag_blocks: Option<u64>,
    /// When the indexer last saw the chain's head; null when there is no store yet.
    pub head_seen_at: Option<Timestamp>,
}

/// State of the whole deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemStatus {
    /// Registered keeper keys.
    pub keepers: Vec<Address>,
    /// Until then the global breaker stops new exposure (never reducing or leaving); null when it is not active.
    pub breaker_until: Option<Timestamp>,
    /// Paid out by the insurance fund.
    pub insurance_paid: Usdc,
    /// Given to the insurance fund.
    pub insurance_donated: Usdc,
    /// Strategies registered.
    pub strategies: u64,
    /// Accounts opened.
    pub accounts: u64,
}

/// How the keeper is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeeperStatus {
    /// How it is.
    pub health: Health,
    /// One sentence when it is not up.
    pub detail: Option<String>,
    /// When it was last asked.
    pub checked_at: Option<Timestamp>,
}

/// How the system is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The worst of the parts.
    pub health: Health,
    /// Version of this API.
    pub version: String,
    /// Time here.
    pub time: Timestamp,
    /// Store and indexer.
    pub indexer: IndexerStatus,
    /// Deployment-wide state; null when there is no store yet.
    pub system: Option<SystemStatus>,
    /// Keeper. While it is down nothing is copied and nothing is relayed; followers can still leave on the chain.
    pub keeper: KeeperStatus,
}
