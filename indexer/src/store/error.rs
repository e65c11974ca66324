//! What can go wrong with the store, by what the caller can do about it.

use alloy::primitives::{Address, B256};

/// Result of a store call.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL is neither `sqlite://…` nor `postgres://…`.
    #[error("database url must start with sqlite:// or postgres://")]
    UnknownEngine,
    /// The file or server cannot be opened or reached.
    #[error("database cannot be opened: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// Damaged data. Restore a backup, or delete the database and index again: all of it comes from the chain.
    #[error("database is corrupt: {detail}; delete it and index again")]
    Corrupt {
        /// What was found.
        detail: String,
    },
    /// No room. Nothing was written; it goes on when there is room.
    #[error("disk is full: nothing was written")]
    DiskFull,
    /// Another process holds the write lock for too long.
    #[error("database is locked by another process")]
    Locked,
    /// The schema is not the one this version knows.
    #[error("database schema is at version {found}, this program knows {known}: {hint}")]
    SchemaVersion {
        /// In the database.
        found: i64,
        /// Of this program.
        known: i64,
        /// What to do.
        hint: &'static str,
    },
    /// The database holds another deployment.
    #[error(
        "database belongs to registry {found_registry} on chain {found_chain}, configured is {registry} on chain {chain}"
    )]
    WrongDeployment {
        /// Chain id in the database.
        found_chain: u64,
        /// Registry in the database.
        found_registry: Address,
        /// Configured chain id.
        chain: u64,
        /// Configured registry.
        registry: Address,
    },
    /// No indexer has ever written to this database.
    #[error("database is empty: start the indexer first")]
    Empty,
    /// Another indexer wrote to this database in the meantime.
    #[error("another indexer writes to this database: cursor is not at block {expected}")]
    CursorMoved {
        /// Where this indexer believed it to be.
        expected: u64,
    },
    /// A block that is final would have to be taken back. Stop: either the RPC lies or the chain broke its promise.
    #[error("rollback to block {to} would take back block {finalized} {hash}, which is final")]
    BeyondFinalized {
        /// Target of the rollback.
        to: u64,
        /// Final block.
        finalized: u64,
        /// Its hash.
        hash: B256,
    },
    /// The same log came twice, or two rows claim one place.
    #[error("duplicate row: {detail}")]
    Duplicate {
        /// Which constraint.
        detail: String,
    },
    /// A write on a store that was opened for reading.
    #[error("database was opened for reading only")]
    ReadOnly,
    /// The cursor of a page is not one that this list gave out.
    #[error("not a page cursor of this list")]
    BadCursor,
    /// Anything else the engine said.
    #[error("database: {0}")]
    Engine(#[source] sqlx::Error),
}
