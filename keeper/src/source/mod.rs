//! Where masters' state changes come from. A source only says *that* something changed; what the state is now is always
//! read again, so a change seen twice does nothing and a missed one is repaired by the next look.

pub mod board;
pub mod exchange;
mod hand_in;
pub mod perp_v2;
pub mod signals;

use std::collections::BTreeSet;
use std::time::Instant;

use alloy::primitives::{Address, B256};
use alloy::rpc::types::Log;
use async_trait::async_trait;

use crate::chain::{Rpc, RpcError};

/// Why a master's state changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The master traded.
    Intent,
    /// The venue liquidated the master. The new state is mirrored like any other, but it was nobody's wish.
    Liquidation,
}

/// A change of a master's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The master's venue account.
    pub source: Address,
    /// The venue's market id.
    pub venue_market: B256,
    /// Why.
    pub origin: Origin,
    /// Block.
    pub block: u64,
    /// Its hash.
    pub block_hash: B256,
    /// Its time, unix seconds, when the log carries it.
    pub block_time: Option<u64>,
    /// With the block hash, what tells two changes apart.
    pub log_index: u64,
    /// When this process received it.
    pub received: Instant,
}

/// What a push feed says.
#[derive(Debug, Clone)]
pub enum Observation {
    /// There is a new block.
    Block,
    /// A master's state changed.
    Change(Change),
    /// The feed is up: whatever happened while it was not has to be read from the chain.
    Up,
    /// The feed is down; it reconnects by itself.
    Down {
        /// Why.
        reason: String,
    },
}

/// One kind of venue.
#[async_trait]
pub trait Source: Send + Sync {
    /// Reads one log; `None` when it is not a change of a master's state.
    fn decode(&self, log: &Log, received: Instant) -> Option<Change>;

    /// All changes of `masters` in a range of blocks: the second evidence beside the push feed.
    ///
    /// # Errors
    /// When the endpoint does not answer; the same range is asked for again.
    async fn poll(
        &self,
        rpc: &dyn Rpc,
        masters: &BTreeSet<Address>,
        from: u64,
        to: u64,
    ) -> Result<Vec<Change>, RpcError>;
}
