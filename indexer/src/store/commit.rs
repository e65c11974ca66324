//! The write side. Only the indexer uses it.

use std::collections::BTreeSet;

use alloy::primitives::Address;
use async_trait::async_trait;

use super::{Reader, Result};
use crate::derive::Derived;
use crate::derive::documents::{Document, Key};
use crate::model::{BlockRef, StrategyId};

/// Which deployment a database belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// `IMasterRegistry`.
    pub registry: Address,
    /// Block from which logs are followed.
    pub deployment_block: u64,
    /// Blocks on top of one that make it confirmed.
    pub confirmations: u64,
}

/// What one range of blocks adds. Written whole or not at all, cursor included.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The cursor this builds on; another one in the store refuses the commit.
    pub after: Option<BlockRef>,
    /// First block of the range.
    pub from: u64,
    /// Last block of the range: the new cursor.
    pub to: BlockRef,
    /// Blocks with rows.
    pub blocks: Vec<BlockRef>,
    /// Blocks whose hash is to be remembered, with rows or without.
    pub known: Vec<BlockRef>,
    /// Rows and documents.
    pub derived: Derived,
    /// Blocks up to here cannot be taken back: no bodies before them are kept.
    pub undo_above: u64,
}

/// The chain as last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heights {
    /// Newest block.
    pub head: u64,
    /// Newest final block.
    pub finalized: u64,
    /// Unix milliseconds at which this was seen.
    pub seen_ms: u64,
}

/// The write side of the store. One process at a time: a commit names the cursor it builds on.
#[async_trait]
pub trait Writer: Reader {
    /// Claims an empty database for a deployment, or checks that it belongs to it.
    async fn attach(&self, identity: &Identity) -> Result<()>;

    /// The cursor.
    async fn cursor(&self) -> Result<Option<BlockRef>>;

    /// The lowest block that [`rollback_to`](Self::rollback_to) may keep as the last.
    async fn undo_floor(&self) -> Result<u64>;

    /// Blocks whose hash is known, from `number` down, newest first, at most `limit`. Not every number is there.
    async fn blocks_down_from(&self, number: u64, limit: u32) -> Result<Vec<BlockRef>>;

    /// All vaults.
    async fn vaults(&self) -> Result<Vec<(Address, StrategyId)>>;

    /// Documents by key; keys without one are left out.
    async fn documents(&self, keys: &BTreeSet<Key>) -> Result<Vec<(Key, Document)>>;

    /// All accounts of a vault.
    async fn accounts(&self, vault: Address) -> Result<Vec<(Key, Document)>>;

    /// Adds a range: rows, documents, bodies before, change and cursor in one transaction. Gives the change's number.
    async fn apply(&self, commit: &Commit) -> Result<u64>;

    /// Takes back every block after `to` (`None`: all of them) in one transaction. `to` must be a block the store knows.
    async fn rollback_to(&self, to: Option<BlockRef>) -> Result<u64>;

    /// Every row except what differs between two ways to the same chain (numbers of commits, time of seeing), sorted:
    /// two stores with equal dumps hold the same.
    async fn dump(&self) -> Result<Vec<String>>;

    /// Remembers how high the chain is, and forgets what is not needed any more below `finalized`.
    async fn observe(&self, heights: &Heights) -> Result<()>;
}
