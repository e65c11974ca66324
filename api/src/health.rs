//! How the parts are.

use crate::dto::scalar::Timestamp;
use crate::dto::status::{Health, IndexerStatus, KeeperStatus, Status};
use crate::state::App;

/// How the parts are now.
pub async fn status(_app: &App) -> Status {
    Status {
        health: Health::Unknown,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        time: Timestamp::now(),
        indexer: IndexerStatus {
            health: Health::Unknown,
            detail: None,
            cursor: None,
            head: None,
            finalized: None,
            lag_blocks: None,
            head_seen_at: None,
        },
        system: None,
        keeper: KeeperStatus {
            health: Health::Unknown,
            detail: None,
            checked_at: None,
        },
    }
}
