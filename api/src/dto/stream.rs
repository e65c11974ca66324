//! Messages of the WebSocket.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::Account;
use super::batch::{Batch, Fill};
use super::nav::NavPoint;
use super::relay::RelayStatus;
use super::scalar::{Address, Timestamp};
use super::status::BlockRef;
use super::strategy::{Signal, Strategy};

/// From the client, one JSON object per text frame.
///
/// Topics: `strategies`, `strategy:{id}`, `account:{address}`, `relay:{id}`. At most 64 per connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum StreamRequest {
    /// From now on send me these.
    #[serde(rename_all = "camelCase")]
    Subscribe {
        /// Topics.
        topics: Vec<String>,
    },
    /// No longer send me these.
    #[serde(rename_all = "camelCase")]
    Unsubscribe {
        /// Topics.
        topics: Vec<String>,
    },
    /// Answered by a heartbeat.
    Ping,
}

/// From the server, one JSON object per text frame.
///
/// The stream tells what is new from the moment of `subscribed`; read the state before that over HTTP. After `lagged`,
/// `reverted` or `resync`, read it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum StreamMessage {
    /// First message of a connection.
    #[serde(rename_all = "camelCase")]
    Hello {
        /// A heartbeat arrives at least this often; without one for twice as long, reconnect.
        heartbeat_seconds: u64,
        /// Version of this API.
        version: String,
    },
    /// The connection now has these topics.
    #[serde(rename_all = "camelCase")]
    Subscribed {
        /// All topics of the connection.
        topics: Vec<String>,
    },
    /// Alive.
    #[serde(rename_all = "camelCase")]
    Heartbeat {
        /// Time here.
        time: Timestamp,
        /// Newest block in the store.
        head: Option<BlockRef>,
    },
    /// `strategies`, `strategy:{id}`: a strategy is new or changed. Its figures are since registration.
    #[serde(rename_all = "camelCase")]
    Strategy {
        /// Topic.
        topic: String,
        /// The strategy.
        strategy: Box<Strategy>,
    },
    /// `strategy:{id}`: a new point of the NAV record.
    #[serde(rename_all = "camelCase")]
    Nav {
        /// Topic.
        topic: String,
        /// The strategy.
        strategy_id: String,
        /// The strategy vault (shard).
        vault: Address,
        /// The point.
        point: NavPoint,
    },
    /// `strategy:{id}`: a new batch. Its signal is null while the master's disclosure delay runs.
    #[serde(rename_all = "camelCase")]
    Batch {
        /// Topic.
        topic: String,
        /// The batch.
        batch: Box<Batch>,
    },
    /// `strategy:{id}`: a signal, once disclosed.
    #[serde(rename_all = "camelCase")]
    Signal {
        /// Topic.
        topic: String,
        /// The signal.
        signal: Box<Signal>,
    },
    /// `account:{address}`: a fill, or a line of a batch that says why there was none.
    #[serde(rename_all = "camelCase")]
    Fill {
        /// Topic.
        topic: String,
        /// The fill.
        fill: Box<Fill>,
    },
    /// `account:{address}`: an account changed: status, mandate, deposit, withdrawal, fill.
    #[serde(rename_all = "camelCase")]
    Account {
        /// Topic.
        topic: String,
        /// The account.
        account: Box<Account>,
    },
    /// `relay:{id}`: a relayed item moved on.
    #[serde(rename_all = "camelCase")]
    Relay {
        /// Topic.
        topic: String,
        /// The item.
        relay: RelayStatus,
    },
    /// The chain was reorganised: what was sent for blocks from `fromBlock` on may be gone. Read again over HTTP.
    #[serde(rename_all = "camelCase")]
    Reverted {
        /// First block that was taken back.
        from_block: u64,
    },
    /// Too much is new to tell one by one (the indexer is catching up). Read again over HTTP.
    Resync,
    /// This connection was too slow and messages for it were dropped. Read again over HTTP.
    #[serde(rename_all = "camelCase")]
    Lagged {
        /// How many.
        dropped: u64,
    },
    /// A request on this connection was not understood; the connection stays.
    #[serde(rename_all = "camelCase")]
    Error {
        /// Machine-readable kind; stable.
        code: String,
        /// One sentence.
        detail: String,
    },
}
