//! The API's own small store: labels, relay history, spent login nonces and ended sessions. Everything else it serves
//! comes from the indexer's store, which it only reads.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::dto::relay::{RelayKind, RelayRecord, RelayState};
use crate::dto::scalar::Timestamp;
use crate::error::{ApiError, Kind};

/// Most entries of a relay history that are shown.
const HISTORY: i64 = 100;

/// Why the private store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// It cannot be opened.
    #[error("state file cannot be opened: {0}")]
    Open(#[source] sqlx::Error),
    /// Its schema cannot be brought up to date.
    #[error("state file cannot be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// It cannot be read or written.
    #[error("state file: {0}")]
    Engine(#[from] sqlx::Error),
    /// It holds something that this version did not write.
    #[error("state file holds an unreadable row: {0}")]
    Row(String),
}

impl From<PrivateError> for ApiError {
    fn from(error: PrivateError) -> Self {
        tracing::error!(%error, "private store failed");
        Self::new(Kind::Internal)
    }
}

type Result<T> = std::result::Result<T, PrivateError>;

/// See the module.
#[derive(Debug, Clone)]
pub struct PrivateStore {
    pool: SqlitePool,
}

impl PrivateStore {
    /// Opens the file, making it when it is not there; in memory without one.
    ///
    /// # Errors
    /// [`PrivateError::Open`] or [`PrivateError::Migrate`].
    pub async fn open(file: Option<&Path>) -> Result<Self> {
        let pool = match file {
            Some(file) => {
                let options = SqliteConnectOptions::new()
                    .filename(file)
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal)
                    .busy_timeout(Duration::from_secs(5));
                SqlitePoolOptions::new()
                    .max_connections(4)
                    .connect_with(options)
                    .await
            }
            None => {
                // One connection that never ends: the database lives in it.
                SqlitePoolOptions::new()
                    .min_connections(1)
                    .max_connections(1)
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .connect_with(SqliteConnectOptions::new().in_memory(true))
                    .await
            }
        }
        .map_err(PrivateError::Open)?;
        sqlx::migrate!("./migrations").run(&pool).await?;
        Ok(Self { pool })
    }

    /// Labels of one owner, by vault.
    ///
    /// # Errors
    /// The engine's.
    pub async fn labels(&self, owner: Address) -> Result<HashMap<Address, String>> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT vault, label FROM label WHERE owner = ?")
            .bind(owner.to_string())
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter()
            .map(|(vault, label)| Ok((parse(&vault)?, label)))
            .collect()
    }

    /// Sets or, when empty, removes a label.
    ///
    /// # Errors
    /// The engine's.
    pub async fn set_label(&self, owner: Address, vault: Address, label: &str) -> Result<()> {
        let query = if label.is_empty() {
            sqlx::query("DELETE FROM label WHERE owner = ? AND vault = ?")
                .bind(owner.to_string())
                .bind(vault.to_string())
        } else {
            sqlx::query(
                "INSERT INTO label (owner, vault, label) VALUES (?, ?, ?)
                 ON CONFLICT (owner, vault) DO UPDATE SET label = excluded.label",
            )
            .bind(owner.to_string())
            .bind(vault.to_string())
            .bind(label)
        };
        query.execute(&self.pool).await?;
        Ok(())
    }

    /// Notes that something was relayed, before it is handed to the keeper. What is known already stays.
    ///
    /// # Errors
    /// The engine's.
    pub async fn relay_received(
        &self,
        id: B256,
        follower: Address,
        kind: RelayKind,
        vault: Address,
        now: Timestamp,
    ) -> Result<()> {
        let unknown = RelayState::Unknown {
            detail: String::new(),
        };
        sqlx::query(
            "INSERT INTO relay (id, follower, kind, vault, received_ms, state, settled)
             VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT (id) DO NOTHING",
        )
        .bind(id.to_string())
        .bind(follower.to_string())
        .bind(kind_text(kind))
        .bind(vault.to_string())
        .bind(now.millis())
        .bind(state_text(&unknown)?)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets something that was not handed over after all, unless more is known of it.
    ///
    /// # Errors
    /// The engine's.
    pub async fn relay_not_sent(&self, id: B256) -> Result<()> {
        sqlx::query(
            "DELETE FROM relay WHERE id = ? AND settled = 0 AND json_extract(state, '$.state') = 'unknown'",
        )
        .bind(id.to_string())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Notes where something relayed stands.
    ///
    /// # Errors
    /// The engine's.
    pub async fn relay_state(&self, id: B256, state: &RelayState) -> Result<()> {
        let settled = matches!(state, RelayState::Included { .. } | RelayState::Rejected { .. });
        sqlx::query("UPDATE relay SET state = ?, settled = ? WHERE id = ?")
            .bind(state_text(state)?)
            .bind(settled)
            .bind(id.to_string())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// When something was received, if it was.
    ///
    /// # Errors
    /// The engine's.
    pub async fn relay_received_at(&self, id: B256) -> Result<Option<Timestamp>> {
        let millis: Option<i64> = sqlx::query_scalar("SELECT received_ms FROM relay WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await?;
        Ok(millis.map(Timestamp::from_millis))
    }

    /// What was relayed for an address, newest first; the flag says whether the chain has spoken.
    ///
    /// # Errors
    /// The engine's.
    pub async fn relays_of(&self, follower: Address) -> Result<Vec<(RelayRecord, bool)>> {
        let rows: Vec<(String, String, String, i64, String, bool)> = sqlx::query_as(
            "SELECT id, kind, vault, received_ms, state, settled FROM relay
             WHERE follower = ? ORDER BY received_ms DESC, id LIMIT ?",
        )
        .bind(follower.to_string())
        .bind(HISTORY)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|(id, kind, vault, received_ms, state, settled)| {
                let record = RelayRecord {
                    id: parse::<B256>(&id)?.into(),
                    kind: parse_kind(&kind)?,
                    vault: parse::<Address>(&vault)?.into(),
                    received_at: Timestamp::from_millis(received_ms),
                    last: serde_json::from_str(&state)
                        .map_err(|error| PrivateError::Row(error.to_string()))?,
                };
                Ok((record, settled))
            })
            .collect()
    }

    /// Marks a nonce or session as spent; false when it was already.
    ///
    /// # Errors
    /// The engine's.
    pub async fn spend(&self, token: &str, expires: Timestamp, now: Timestamp) -> Result<bool> {
        sqlx::query("DELETE FROM spent WHERE expires_ms < ?")
            .bind(now.millis())
            .execute(&self.pool)
            .await?;
        let done = sqlx::query("INSERT INTO spent (token, expires_ms) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(token)
            .bind(expires.millis())
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// True when a nonce or session was spent.
    ///
    /// # Errors
    /// The engine's.
    pub async fn is_spent(&self, token: &str) -> Result<bool> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM spent WHERE token = ?")
            .bind(token)
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.is_some())
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| PrivateError::Row(text.to_owned()))
}

fn state_text(state: &RelayState) -> Result<String> {
    serde_json::to_string(state).map_err(|error| PrivateError::Row(error.to_string()))
}

const KINDS: [(RelayKind, &str); 4] = [
    (RelayKind::Mandate, "mandate"),
    (RelayKind::Update, "update"),
    (RelayKind::Stop, "stop"),
    (RelayKind::Withdraw, "withdraw"),
];

/// The name of a kind, also in metrics.
#[must_use]
pub fn kind_text(kind: RelayKind) -> &'static str {
    KINDS
        .iter()
        .find(|(known, _)| *known == kind)
        .map_or("", |(_, text)| text)
}

fn parse_kind(text: &str) -> Result<RelayKind> {
    KINDS
        .iter()
        .find(|(_, known)| *known == text)
        .map(|(kind, _)| *kind)
        .ok_or_else(|| PrivateError::Row(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[tokio::test]
    async fn labels_belong_to_one_owner_and_can_be_removed() {
        let store = PrivateStore::open(None).await.unwrap();
        let (alice, bob, vault) = (
            Address::repeat_byte(1),
            Address::repeat_byte(2),
            Address::repeat_byte(3),
        );
        store.set_label(alice, vault, "pension").await.unwrap();
        store.set_label(alice, vault, "play").await.unwrap();
        assert_eq!(
            store.labels(alice).await.unwrap().get(&vault).map(String::as_str),
            Some("play")
        );
        assert!(store.labels(bob).await.unwrap().is_empty());
        store.set_label(alice, vault, "").await.unwrap();
        assert!(store.labels(alice).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_nonce_is_spent_once_and_forgotten_when_expired() {
        let store = PrivateStore::open(None).await.unwrap();
        assert!(store.spend("n", at(1_000), at(0)).await.unwrap());
        assert!(!store.spend("n", at(1_000), at(500)).await.unwrap());
        assert!(store.is_spent("n").await.unwrap());
        assert!(store.spend("m", at(9_000), at(2_000)).await.unwrap());
        assert!(!store.is_spent("n").await.unwrap());
    }

    #[tokio::test]
    async fn history_keeps_the_first_time_and_the_last_state() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (id, follower, vault) = (
            B256::repeat_byte(9),
            Address::repeat_byte(1),
            Address::repeat_byte(3),
        );
        {
            let store = PrivateStore::open(Some(file.path())).await.unwrap();
            store
                .relay_received(id, follower, RelayKind::Stop, vault, at(5))
                .await
                .unwrap();
            store
                .relay_received(id, follower, RelayKind::Stop, vault, at(7))
                .await
                .unwrap();
            store.relay_state(id, &RelayState::Queued).await.unwrap();
            store.relay_not_sent(id).await.unwrap();
        }
        // A restart later.
        let store = PrivateStore::open(Some(file.path())).await.unwrap();
        let history = store.relays_of(follower).await.unwrap();
        let [(record, settled)] = history.as_slice() else {
            panic!("{history:?}")
        };
        assert_eq!(
            (record.received_at, &record.last, *settled),
            (at(5), &RelayState::Queued, false)
        );
        assert_eq!(store.relay_received_at(id).await.unwrap(), Some(at(5)));
    }
}
