//! The store: one [`Reader`] that the API uses, one [`Writer`] that only the indexer uses, two engines.

use std::sync::Arc;

use alloy::primitives::Address;
use async_trait::async_trait;

use crate::model::{
    Account, AccountEntry, Batch, BatchQuery, Change, Fill, FillQuery, FollowerQuery, IndexerStatus,
    NavCurve, NavPoint, NavQuery, Page, PageRequest, Series, Signal, Statistics, Strategy, StrategyId,
    StrategyQuery, System, Terms, Window,
};

pub mod commit;
mod curve;
mod error;
mod flight;
mod page;
mod postgres;
mod schema;
mod sqlite;
mod table;
mod view;

pub use commit::{Commit, Heights, Identity, Writer};
pub use error::{Result, StoreError};
pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;

/// What readers may ask. All lists are newest first unless said otherwise; a page's cursor stays good while rows are
/// added, and is refused as [`StoreError::BadCursor`] when it is not one.
#[async_trait]
pub trait Reader: Send + Sync {
    /// How far the index is. Cheap: one row.
    async fn status(&self) -> Result<IndexerStatus>;

    /// Commits after `seq`, oldest first, at most `limit`. Cheap to poll: one indexed look-up. When `seq` is older than
    /// what is kept (the last 10,000 commits), the first change has `everything` set.
    async fn changes_since(&self, seq: u64, limit: u32) -> Result<Vec<Change>>;

    /// State of the whole deployment.
    async fn system(&self) -> Result<System>;

    /// Strategies in the query's order.
    async fn strategies(&self, query: &StrategyQuery, page: &PageRequest) -> Result<Page<Strategy>>;

    /// One strategy with its figures over `window`.
    async fn strategy(&self, id: StrategyId, window: Window) -> Result<Option<Strategy>>;

    /// What a strategy's master offers. Cheap: no figures.
    async fn terms(&self, id: StrategyId) -> Result<Option<Terms>>;

    /// Strategies of one master, oldest first. Cheap: no figures.
    async fn strategies_of(&self, master: Address) -> Result<Vec<StrategyId>>;

    /// The strategy a shard belongs to.
    async fn strategy_of(&self, vault: Address) -> Result<Option<StrategyId>>;

    /// Figures of one strategy.
    async fn statistics(&self, id: StrategyId, window: Window) -> Result<Option<Statistics>>;

    /// A curve for drawing: thinned to about `query.points`, extremes kept. Oldest first.
    async fn nav_curve(&self, series: Series, query: &NavQuery) -> Result<NavCurve>;

    /// Every point from index `from` on, oldest first, at most `limit` (≤ 10,000): for export and verification.
    async fn nav_points(&self, series: Series, from: u64, limit: u32) -> Result<Vec<NavPoint>>;

    /// Last point of a series.
    async fn nav_latest(&self, series: Series) -> Result<Option<NavPoint>>;

    /// Batches.
    async fn batches(&self, query: &BatchQuery, page: &PageRequest) -> Result<Page<Batch>>;

    /// One batch; its lines are `fills` with `vault` and `batch_id`.
    async fn batch(&self, vault: Address, batch_id: u64) -> Result<Option<Batch>>;

    /// Fills.
    async fn fills(&self, query: &FillQuery, page: &PageRequest) -> Result<Page<Fill>>;

    /// Signals of a strategy.
    async fn signals(
        &self,
        strategy: StrategyId,
        market: Option<u8>,
        page: &PageRequest,
    ) -> Result<Page<Signal>>;

    /// Accounts of a strategy, by shard and index, oldest first.
    async fn followers(
        &self,
        strategy: StrategyId,
        query: &FollowerQuery,
        page: &PageRequest,
    ) -> Result<Page<Account>>;

    /// All accounts of one follower, by strategy and shard.
    async fn accounts_of(&self, follower: Address) -> Result<Vec<Account>>;

    /// One account.
    async fn account(&self, vault: Address, account: u32) -> Result<Option<Account>>;

    /// History of one follower besides fills: deposits, withdrawals, mandates, fees.
    async fn account_entries(&self, follower: Address, page: &PageRequest) -> Result<Page<AccountEntry>>;
}

/// A store that can be handed around.
pub type SharedReader = Arc<dyn Reader>;
/// The write side of one.
pub type SharedWriter = Arc<dyn Writer>;

/// Opens a store for reading, by URL: `sqlite://path/to/file.db` or `postgres://user@host/database`.
///
/// # Errors
/// [`StoreError::Empty`] when no indexer has written there yet, [`StoreError::SchemaVersion`] when another version
/// did, [`StoreError::Unavailable`] when it cannot be reached.
pub async fn open_reader(url: &str) -> Result<SharedReader> {
    if url.starts_with("sqlite://") {
        Ok(Arc::new(sqlite::open_reader(url).await?))
    } else if is_postgres(url) {
        Ok(Arc::new(postgres::open_reader(url).await?))
    } else {
        Err(StoreError::UnknownEngine)
    }
}

/// Opens a store for writing: creates what is not there and brings the schema up to date.
///
/// # Errors
/// As [`open_reader`], but an empty database is filled.
pub async fn open_writer(url: &str) -> Result<SharedWriter> {
    if url.starts_with("sqlite://") {
        Ok(Arc::new(sqlite::open(url).await?))
    } else if is_postgres(url) {
        Ok(Arc::new(postgres::open(url).await?))
    } else {
        Err(StoreError::UnknownEngine)
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}
