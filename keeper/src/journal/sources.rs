//! What sources outside the chain must not forget: sequence numbers and broken marks of signal sources, and what was
//! attested last of masters on exchanges.

use std::collections::HashMap;

use lockstep_contracts::units::Wad;
use lockstep_exchanges::model::Decimal;
use lockstep_exchanges::signal_door::{Broken, Standing};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use super::{Journal, JournalError, signed, unsigned};

/// What was attested last of a master on an exchange, in one market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeState {
    /// Strategy.
    pub strategy: u64,
    /// The market's name on the chain.
    pub market: String,
    /// Net size, base units.
    pub size: Decimal,
    /// Leverage.
    pub leverage: Wad,
    /// Wall clock, Unix ms.
    pub attested_at: i64,
}

impl Journal {
    /// Where the signal sources stand, by name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn signal_sources(&self) -> Result<HashMap<String, Standing>, JournalError> {
        let rows = sqlx::query("SELECT * FROM signal_sources ORDER BY name")
            .fetch_all(&self.durable)
            .await
            .map_err(|e| self.error(e))?;
        rows.iter().map(|row| self.standing(row)).collect()
    }

    fn standing(&self, row: &SqliteRow) -> Result<(String, Standing), JournalError> {
        let error = |e| self.error(e);
        let sequence: Option<String> = row.try_get("sequence").map_err(error)?;
        let sequence = sequence
            .map(|text| text.parse())
            .transpose()
            .map_err(|_| self.corrupt("a sequence number of a signal source is none"))?;
        let reason: Option<String> = row.try_get("broken_reason").map_err(error)?;
        let since: Option<i64> = row.try_get("broken_since").map_err(error)?;
        let broken = reason.zip(since).map(|(reason, since)| Broken {
            reason,
            since_ms: unsigned(since),
        });
        Ok((row.try_get("name").map_err(error)?, Standing { sequence, broken }))
    }

    /// A state of a signal source was taken. Synced to the device before it returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn signal_taken(&self, source: &str, sequence: u64) -> Result<(), JournalError> {
        self.keep(
            "INSERT INTO signal_sources (name, sequence) VALUES (?1, ?2) \
             ON CONFLICT (name) DO UPDATE SET sequence = ?2",
            source,
            Some(sequence.to_string()),
            None,
        )
        .await
    }

    /// A signal source is broken. Synced to the device before it returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn signal_source_broken(&self, source: &str, broken: &Broken) -> Result<(), JournalError> {
        self.keep(
            "INSERT INTO signal_sources (name, broken_reason, broken_since) VALUES (?1, ?2, ?3) \
             ON CONFLICT (name) DO UPDATE SET broken_reason = ?2, broken_since = ?3",
            source,
            Some(broken.reason.clone()),
            Some(signed(broken.since_ms)),
        )
        .await
    }

    /// A signal source was mended; it goes on after `last`. Synced to the device before it returns.
    ///
    /// # Errors
    /// When it cannot be written; then it is still broken after a restart.
    pub async fn signal_source_mended(&self, source: &str, last: Option<u64>) -> Result<(), JournalError> {
        self.keep(
            "UPDATE signal_sources SET sequence = ?2, broken_reason = NULL, broken_since = NULL WHERE name = ?1",
            source,
            last.map(|last| last.to_string()),
            None,
        )
        .await
    }

    async fn keep(
        &self,
        statement: &'static str,
        source: &str,
        text: Option<String>,
        number: Option<i64>,
    ) -> Result<(), JournalError> {
        sqlx::query(statement)
            .bind(source)
            .bind(text)
            .bind(number)
            .execute(&self.durable)
            .await
            .map(|_| ())
            .map_err(|e| self.error(e))
    }

    /// What was attested last of a master on an exchange.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn exchange_states(&self, strategy: u64) -> Result<Vec<ExchangeState>, JournalError> {
        let rows = sqlx::query("SELECT * FROM exchange_states WHERE strategy = ? ORDER BY market")
            .bind(signed(strategy))
            .fetch_all(&self.pool)
            .await
            .map_err(|e| self.error(e))?;
        let error = |e| self.error(e);
        rows.iter()
            .map(|row| {
                let size: String = row.try_get("size").map_err(error)?;
                let leverage: String = row.try_get("leverage").map_err(error)?;
                let number = |_| self.corrupt("a size or leverage of a master on an exchange is no number");
                Ok(ExchangeState {
                    strategy,
                    market: row.try_get("market").map_err(error)?,
                    size: size.parse().map_err(|_| number(()))?,
                    leverage: Wad(leverage.parse().map_err(|_| number(()))?),
                    attested_at: row.try_get("attested_at").map_err(error)?,
                })
            })
            .collect()
    }
}

/// A state of a master on an exchange was handed in to be attested.
pub(super) async fn insert_exchange_state(
    tx: &mut Transaction<'static, Sqlite>,
    state: &ExchangeState,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT OR REPLACE INTO exchange_states (strategy, market, size, leverage, attested_at) \
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(signed(state.strategy))
    .bind(&state.market)
    .bind(state.size.to_string())
    .bind(state.leverage.0.to_string())
    .bind(state.attested_at)
    .execute(&mut **tx)
    .await
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::Attestation;
    use super::*;

    #[tokio::test]
    async fn a_restart_forgets_neither_numbers_nor_marks_nor_what_was_attested() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.db");
        let state = ExchangeState {
            strategy: 3,
            market: "ETH-USD".to_owned(),
            size: "-0.125".parse().unwrap(),
            leverage: Wad(-5),
            attested_at: 7,
        };
        let broken = Broken {
            reason: "wrong signature".to_owned(),
            since_ms: 9,
        };
        {
            let journal = Journal::open(&path, false).await.unwrap();
            journal.signal_taken("alpha", u64::MAX).await.unwrap();
            journal.signal_source_broken("alpha", &broken).await.unwrap();
            journal.signal_source_broken("beta", &broken).await.unwrap();
            journal.signal_source_mended("beta", None).await.unwrap();
            let attestation = Attestation {
                strategy: 3,
                market: 0,
                leverage: Wad(-5),
                observed_at: 6,
                sequence: None,
            };
            journal.attest(&attestation, Some(&state)).await.unwrap();
            journal.close().await;
        }
        let journal = Journal::open(&path, false).await.unwrap();
        let standings = journal.signal_sources().await.unwrap();
        assert_eq!(
            standings["alpha"],
            Standing {
                sequence: Some(u64::MAX),
                broken: Some(broken)
            }
        );
        assert_eq!(standings["beta"], Standing::default());
        assert_eq!(journal.exchange_states(3).await.unwrap(), [state]);
        assert!(journal.exchange_states(4).await.unwrap().is_empty());
    }
}
