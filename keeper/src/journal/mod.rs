//! The write-ahead journal: every intent to act is on disk before the act. After `kill -9` anywhere, a restart reads it
//! back, sends the same signed bytes again and repeats nothing, because a job keeps its nonce for ever.
//!
//! SQLite in WAL mode. `synchronous = NORMAL` on the trading path: a killed process loses nothing (the log is in the
//! page cache); a power cut may lose the last commits, and then the nonce comes from the chain and mirroring the same
//! state again moves nothing. What a follower was told is accepted is written with `FULL`.

pub mod sources;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256, Bytes};
use lockstep_contracts::relay::{RelayState, RelayStatus};
use lockstep_contracts::units::Wad;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};

use sources::ExchangeState;

/// Why the journal cannot be used. The keeper stops acting then: what cannot be written down is not done.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process holds it.
    #[error("journal {}: locked by another process; one keeper per journal", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// No room left on the device.
    #[error("journal {}: the disk is full; free some space and start again", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// Not a database, or a damaged one.
    #[error("journal {}: damaged or not a journal ({detail}); move it away: the chain knows what was done", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// The file cannot be opened, read or written.
    #[error("journal {}: cannot be read or written ({detail}); see to its directory, its permissions and the disk's quota, and start again", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// A later version of the keeper has written it.
    #[error("journal {}: written by another version of the keeper ({detail}); run that one, or move the file away: the chain knows what was done", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        detail: String,
    },
    /// The journal was written for another chain, deployment or key.
    #[error("journal {}: belongs to {key} {found}, this keeper runs with {expected}; use another journal path", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What differs.
        key: &'static str,
        /// What the journal says.
        found: String,
        /// What this process has.
        expected: String,
    },
    /// Anything else.
    #[error("journal {}: {source}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: sqlx::Error,
    },
    /// A test's crash.
    #[cfg(test)]
    #[error("crashed on purpose")]
    Crashed,
}

/// Row id of a job.
pub type JobId = i64;

/// Life of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Signed bytes are on disk; nobody may have them yet.
    Signed,
    /// Handed over, or perhaps handed over.
    Submitted,
    /// In a block that may still be reorganised away.
    Included,
    /// Deep enough.
    Confirmed,
    /// Another transaction used the nonce: this one can never be mined.
    Usurped,
}

impl JobState {
    const fn text(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Submitted => "submitted",
            Self::Included => "included",
            Self::Confirmed => "confirmed",
            Self::Usurped => "usurped",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [
            Self::Signed,
            Self::Submitted,
            Self::Included,
            Self::Confirmed,
            Self::Usurped,
        ]
        .into_iter()
        .find(|state| state.text() == text)
    }
}

/// One set of signed bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Transaction hash.
    pub hash: B256,
    /// EIP-2718 bytes.
    pub raw: Bytes,
    /// Wei per gas.
    pub max_fee: u128,
    /// Wei per gas.
    pub tip: u128,
}

/// What a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// E.g. `mirror`, `follow`, `liquidate`.
    pub kind: &'static str,
    /// What it is for, readable.
    pub cause: String,
    /// The vault it moves, if one.
    pub vault: Option<Address>,
    /// The market it moves, if one.
    pub market: Option<u8>,
    /// Contract called.
    pub target: Address,
    /// Calldata.
    pub calldata: Bytes,
    /// Gas limit.
    pub gas: u64,
    /// Relayed items it carries, in call order.
    pub relays: Vec<B256>,
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Row id.
    pub id: JobId,
    /// E.g. `mirror`.
    pub kind: String,
    /// What it is for.
    pub cause: String,
    /// The vault it moves.
    pub vault: Option<Address>,
    /// The market it moves.
    pub market: Option<u8>,
    /// Contract called.
    pub target: Address,
    /// Calldata.
    pub calldata: Bytes,
    /// Gas limit.
    pub gas: u64,
    /// Its nonce, for ever.
    pub nonce: u64,
    /// Where it stands.
    pub state: JobState,
    /// The attempt that was mined.
    pub transaction: Option<B256>,
    /// Where it was mined.
    pub block: Option<(u64, B256)>,
    /// Whether it succeeded there.
    pub success: Option<bool>,
    /// Signed bytes, oldest first.
    pub attempts: Vec<Attempt>,
    /// When it was planned, unix ms.
    pub created_at: i64,
}

/// A master's state that is being acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalSeen {
    /// Strategy.
    pub strategy: u64,
    /// Market.
    pub market: u8,
    /// Leverage.
    pub leverage: Wad,
    /// Signed signals only.
    pub sequence: Option<u64>,
    /// Unix ms, block time.
    pub observed_at: u64,
    /// Signed signals only.
    pub signature: Option<Bytes>,
}

/// A master's state that was handed in to be attested, and that the chain has not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// Strategy.
    pub strategy: u64,
    /// Market.
    pub market: u8,
    /// Leverage.
    pub leverage: Wad,
    /// Unix ms.
    pub observed_at: u64,
    /// Sequence of the signed signal that carries it, once there is one.
    pub sequence: Option<u64>,
}

/// Where a mined job lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inclusion {
    /// The attempt.
    pub transaction: B256,
    /// Block number.
    pub block: u64,
    /// Block hash.
    pub block_hash: B256,
    /// False when it reverted.
    pub success: bool,
}

/// What became of one relayed item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayOutcome {
    /// Done.
    Included,
    /// Done by another transaction before.
    Done {
        /// That one.
        transaction: B256,
        /// Its block.
        block: u64,
    },
    /// The chain refused it.
    Rejected {
        /// Stable code.
        code: String,
        /// One sentence.
        detail: String,
    },
}

/// A relayed item waiting to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// EIP-712 digest.
    pub id: B256,
    /// `mandate` or `intent`.
    pub kind: String,
    /// JSON as it was handed in.
    pub body: String,
}

/// A job in a line of [`Journal::tail`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Unix ms.
    pub at: i64,
    /// Readable.
    pub text: String,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
    pool: SqlitePool,
    durable: SqlitePool,
    #[cfg(test)]
    crash: std::sync::Arc<crash::Plan>,
}

/// Wall clock, unix ms. For people reading the journal; nothing is decided by it.
#[must_use]
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn signed(value: u64) -> i64 {
    // Block numbers, nonces, gas and times are far below 2^63.
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

impl Journal {
    /// Opens or creates the journal. `full` syncs every commit to the device.
    ///
    /// # Errors
    /// [`JournalError`] that names the file and what to do.
    pub async fn open(path: &Path, full: bool) -> Result<Self, JournalError> {
        let options = |level| {
            SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(level)
                .busy_timeout(Duration::from_secs(3))
                // A checkpoint syncs to the device; it is made between looks (`tidy`), never inside a commit that a
                // master's trade waits for. The limit only holds the file in bounds if that never happens.
                .pragma("wal_autocheckpoint", "20000")
                .foreign_keys(true)
        };
        let read = |source| classify(path, source);
        let level = if full {
            SqliteSynchronous::Full
        } else {
            SqliteSynchronous::Normal
        };
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options(level))
            .await
            .map_err(read)?;
        let durable = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options(SqliteSynchronous::Full))
            .await
            .map_err(read)?;
        sqlx::migrate!("./migrations")
            .run(&pool)
            .await
            .map_err(|error| match error {
                MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
                    classify(path, source)
                }
                MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => JournalError::Version {
                    path: path.to_owned(),
                    detail: error.to_string(),
                },
                other => JournalError::Corrupt {
                    path: path.to_owned(),
                    detail: other.to_string(),
                },
            })?;
        Ok(Self {
            path: path.to_owned(),
            pool,
            durable,
            #[cfg(test)]
            crash: std::sync::Arc::default(),
        })
    }

    /// Closes the files.
    pub async fn close(&self) {
        self.pool.close().await;
        self.durable.close().await;
    }

    /// Moves what is in the write-ahead log into the database file. For idle moments.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn tidy(&self) -> Result<(), JournalError> {
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .execute(&self.durable)
            .await
            .map(|_| ())
            .map_err(|e| self.error(e))
    }

    fn error(&self, source: sqlx::Error) -> JournalError {
        classify(&self.path, source)
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, JournalError> {
        #[cfg(test)]
        self.crash.before()?;
        self.pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|e| self.error(e))
    }

    async fn commit(&self, transaction: Transaction<'static, Sqlite>) -> Result<(), JournalError> {
        transaction.commit().await.map_err(|e| self.error(e))?;
        #[cfg(test)]
        self.crash.after()?;
        Ok(())
    }

    /// Ties the journal to one chain, deployment and key, or checks that it is tied to them.
    ///
    /// # Errors
    /// [`JournalError::Foreign`] when it belongs to another.
    pub async fn bind(&self, identity: &[(&'static str, String)]) -> Result<(), JournalError> {
        let mut tx = self.begin().await?;
        for (key, expected) in identity {
            sqlx::query("INSERT INTO identity (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING")
                .bind(*key)
                .bind(expected)
                .execute(&mut *tx)
                .await
                .map_err(|e| self.error(e))?;
            let found: String = sqlx::query_scalar("SELECT value FROM identity WHERE key = ?")
                .bind(*key)
                .fetch_one(&mut *tx)
                .await
                .map_err(|e| self.error(e))?;
            if found != *expected {
                return Err(JournalError::Foreign {
                    path: self.path.clone(),
                    key,
                    found,
                    expected: expected.clone(),
                });
            }
        }
        self.commit(tx).await
    }

    /// Writes down a job, the signal it answers and its first signed bytes, in one transaction, before anything is
    /// sent. The relayed items it carries are tied to it.
    ///
    /// # Errors
    /// When it cannot be written; then nothing may be sent.
    pub async fn plan(
        &self,
        job: &NewJob,
        nonce: u64,
        attempt: &Attempt,
        signal: Option<&SignalSeen>,
    ) -> Result<JobId, JournalError> {
        let now = now_ms();
        let mut tx = self.begin().await?;
        let error = |e| self.error(e);
        let signal = match signal {
            Some(seen) => Some(insert_signal(&mut tx, seen, now).await.map_err(error)?),
            None => None,
        };
        let id = sqlx::query(
            "INSERT INTO jobs (kind, cause, vault, market, signal, target, calldata, gas, nonce, state, created_at, \
             updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'signed', ?, ?)",
        )
        .bind(job.kind)
        .bind(&job.cause)
        .bind(job.vault.map(|vault| vault.to_vec()))
        .bind(job.market)
        .bind(signal)
        .bind(job.target.as_slice())
        .bind(job.calldata.as_ref())
        .bind(signed(job.gas))
        .bind(signed(nonce))
        .bind(now)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(error)?
        .last_insert_rowid();
        insert_attempt(&mut tx, id, attempt, now).await.map_err(error)?;
        for relay in &job.relays {
            sqlx::query(
                "UPDATE relays SET state = 'submitted', job = ?, transaction_hash = ?, updated_at = ? WHERE id = ?",
            )
            .bind(id)
            .bind(attempt.hash.as_slice())
            .bind(now)
            .bind(relay.as_slice())
            .execute(&mut *tx)
            .await
            .map_err(error)?;
        }
        self.commit(tx).await?;
        Ok(id)
    }

    /// Writes down replacement bytes before they are sent.
    ///
    /// # Errors
    /// When it cannot be written; then nothing may be sent.
    pub async fn replace(&self, job: JobId, attempt: &Attempt) -> Result<(), JournalError> {
        let now = now_ms();
        let mut tx = self.begin().await?;
        insert_attempt(&mut tx, job, attempt, now)
            .await
            .map_err(|e| self.error(e))?;
        sqlx::query(
            "UPDATE relays SET transaction_hash = ?, updated_at = ? WHERE job = ? AND state = 'submitted'",
        )
        .bind(attempt.hash.as_slice())
        .bind(now)
        .bind(job)
        .execute(&mut *tx)
        .await
        .map_err(|e| self.error(e))?;
        self.commit(tx).await
    }

    /// The bytes may be with the chain now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn submitted(&self, job: JobId) -> Result<(), JournalError> {
        self.step(job, JobState::Submitted, &["signed"]).await
    }

    /// In a block. `outcome` is readable; `relays` says what became of each item it carried.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn included(
        &self,
        job: JobId,
        inclusion: &Inclusion,
        outcome: &str,
        relays: &[(B256, RelayOutcome)],
    ) -> Result<(), JournalError> {
        let now = now_ms();
        let mut tx = self.begin().await?;
        let error = |e| self.error(e);
        sqlx::query(
            "UPDATE jobs SET state = 'included', transaction_hash = ?, block = ?, block_hash = ?, success = ?, \
             outcome = ?, updated_at = ? WHERE id = ? AND state IN ('signed', 'submitted', 'included')",
        )
        .bind(inclusion.transaction.as_slice())
        .bind(signed(inclusion.block))
        .bind(inclusion.block_hash.as_slice())
        .bind(inclusion.success)
        .bind(outcome)
        .bind(now)
        .bind(job)
        .execute(&mut *tx)
        .await
        .map_err(error)?;
        for (id, outcome) in relays {
            let (state, code, detail) = match outcome {
                RelayOutcome::Included | RelayOutcome::Done { .. } => ("included", None, None),
                RelayOutcome::Rejected { code, detail } => ("rejected", Some(code), Some(detail)),
            };
            let (transaction, block) = match outcome {
                RelayOutcome::Done { transaction, block } => (*transaction, *block),
                _ => (inclusion.transaction, inclusion.block),
            };
            sqlx::query(
                "UPDATE relays SET state = ?, code = ?, detail = ?, transaction_hash = ?, block = ?, updated_at = ? \
                 WHERE id = ? AND job = ?",
            )
            .bind(state)
            .bind(code)
            .bind(detail)
            .bind(transaction.as_slice())
            .bind(signed(block))
            .bind(now)
            .bind(id.as_slice())
            .bind(job)
            .execute(&mut *tx)
            .await
            .map_err(error)?;
        }
        self.commit(tx).await
    }

    /// A reorganisation took the block away, however deep it was: in flight again, and so is everything it carried.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn returned(&self, job: JobId) -> Result<(), JournalError> {
        let now = now_ms();
        let mut tx = self.begin().await?;
        let error = |e| self.error(e);
        sqlx::query(
            "UPDATE jobs SET state = 'submitted', transaction_hash = NULL, block = NULL, block_hash = NULL, \
             success = NULL, outcome = NULL, updated_at = ? WHERE id = ? AND state IN ('included', 'confirmed', 'usurped')",
        )
        .bind(now)
        .bind(job)
        .execute(&mut *tx)
        .await
        .map_err(error)?;
        sqlx::query(
            "UPDATE relays SET state = 'submitted', block = NULL, code = NULL, detail = NULL, updated_at = ? \
             WHERE job = ?",
        )
        .bind(now)
        .bind(job)
        .execute(&mut *tx)
        .await
        .map_err(error)?;
        self.commit(tx).await
    }

    /// Deep enough.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn confirmed(&self, job: JobId) -> Result<(), JournalError> {
        self.step(job, JobState::Confirmed, &["included"]).await
    }

    /// Another transaction used the nonce for good: what the job carried is queued again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn usurped(&self, job: JobId) -> Result<(), JournalError> {
        let now = now_ms();
        let mut tx = self.begin().await?;
        let error = |e| self.error(e);
        sqlx::query("UPDATE jobs SET state = 'usurped', updated_at = ? WHERE id = ?")
            .bind(now)
            .bind(job)
            .execute(&mut *tx)
            .await
            .map_err(error)?;
        sqlx::query(
            "UPDATE relays SET state = 'queued', job = NULL, transaction_hash = NULL, updated_at = ? \
             WHERE job = ? AND state = 'submitted'",
        )
        .bind(now)
        .bind(job)
        .execute(&mut *tx)
        .await
        .map_err(error)?;
        self.commit(tx).await
    }

    async fn step(&self, job: JobId, to: JobState, from: &[&str]) -> Result<(), JournalError> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE jobs SET state = ?, updated_at = ? WHERE id = ? AND state = ?")
            .bind(to.text())
            .bind(now_ms())
            .bind(job)
            .bind(from.first().copied().unwrap_or_default())
            .execute(&mut *tx)
            .await
            .map_err(|e| self.error(e))?;
        self.commit(tx).await
    }

    /// Jobs that are not settled, by nonce.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<Job>, JournalError> {
        let rows = sqlx::query(
            "SELECT * FROM jobs WHERE state IN ('signed', 'submitted', 'included') ORDER BY nonce",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|e| self.error(e))?;
        let mut jobs = Vec::with_capacity(rows.len());
        for row in &rows {
            jobs.push(self.with_attempts(row).await?);
        }
        Ok(jobs)
    }

    /// The job a nonce belongs to, settled or not.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn job_at(&self, nonce: u64) -> Result<Option<Job>, JournalError> {
        let row = sqlx::query("SELECT * FROM jobs WHERE nonce = ?")
            .bind(signed(nonce))
            .fetch_optional(&self.pool)
            .await
            .map_err(|e| self.error(e))?;
        match row {
            Some(row) => self.with_attempts(&row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn with_attempts(&self, row: &SqliteRow) -> Result<Job, JournalError> {
        let mut job = self.job(row)?;
        let attempts = sqlx::query("SELECT * FROM attempts WHERE job = ? ORDER BY rowid")
            .bind(job.id)
            .fetch_all(&self.pool)
            .await
            .map_err(|e| self.error(e))?;
        for row in &attempts {
            job.attempts.push(self.attempt(row)?);
        }
        Ok(job)
    }

    /// The nonce after the highest ever signed; `None` when nothing was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn next_nonce(&self) -> Result<Option<u64>, JournalError> {
        let highest: Option<i64> = sqlx::query_scalar("SELECT MAX(nonce) FROM jobs")
            .fetch_one(&self.pool)
            .await
            .map_err(|e| self.error(e))?;
        Ok(highest.map(|nonce| unsigned(nonce) + 1))
    }

    /// Relayed items tied to a job, in the order they were handed in.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn relays_of(&self, job: JobId) -> Result<Vec<Queued>, JournalError> {
        let rows = sqlx::query("SELECT id, kind, body FROM relays WHERE job = ? ORDER BY rowid")
            .bind(job)
            .fetch_all(&self.pool)
            .await
            .map_err(|e| self.error(e))?;
        rows.iter().map(|row| self.queued_row(row)).collect()
    }

    /// Takes in a relayed item; it is on the device when this returns. The same item twice changes nothing, except that
    /// one refused before is tried again.
    ///
    /// # Errors
    /// When it cannot be written; then it was not accepted.
    pub async fn accept(&self, id: B256, kind: &str, body: &str) -> Result<RelayStatus, JournalError> {
        #[cfg(test)]
        self.crash.before()?;
        let now = now_ms();
        sqlx::query(
            "INSERT INTO relays (id, kind, body, state, created_at, updated_at) VALUES (?, ?, ?, 'queued', ?, ?) \
             ON CONFLICT (id) DO UPDATE SET state = 'queued', body = excluded.body, job = NULL, code = NULL, \
             detail = NULL, transaction_hash = NULL, block = NULL, updated_at = excluded.updated_at \
             WHERE state = 'rejected'",
        )
        .bind(id.as_slice())
        .bind(kind)
        .bind(body)
        .bind(now)
        .bind(now)
        .execute(&self.durable)
        .await
        .map_err(|e| self.error(e))?;
        #[cfg(test)]
        self.crash.after()?;
        Ok(self.status(id).await?.unwrap_or(RelayStatus {
            id,
            state: RelayState::Queued,
        }))
    }

    /// Items not yet tied to a job, oldest first, and exits before all others: however many want to join, who leaves is
    /// among those read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn queued(&self) -> Result<Vec<Queued>, JournalError> {
        let rows =
            sqlx::query("SELECT id, kind, body FROM relays WHERE state = 'queued' ORDER BY kind <> 'intent', rowid LIMIT 500")
                .fetch_all(&self.pool)
                .await
                .map_err(|e| self.error(e))?;
        rows.iter().map(|row| self.queued_row(row)).collect()
    }

    /// A queued item that simulation refuses.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn reject(&self, id: B256, code: &str, detail: &str) -> Result<(), JournalError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE relays SET state = 'rejected', code = ?, detail = ?, updated_at = ? \
             WHERE id = ? AND state = 'queued'",
        )
        .bind(code)
        .bind(detail)
        .bind(now_ms())
        .bind(id.as_slice())
        .execute(&mut *tx)
        .await
        .map_err(|e| self.error(e))?;
        self.commit(tx).await
    }

    /// A queued item that another transaction has carried already.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn done(&self, id: B256, transaction: B256, block: u64) -> Result<(), JournalError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE relays SET state = 'included', code = NULL, detail = NULL, transaction_hash = ?, block = ?, \
             updated_at = ? WHERE id = ? AND state = 'queued'",
        )
        .bind(transaction.as_slice())
        .bind(signed(block))
        .bind(now_ms())
        .bind(id.as_slice())
        .execute(&mut *tx)
        .await
        .map_err(|e| self.error(e))?;
        self.commit(tx).await
    }

    /// Where a relayed item stands.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn status(&self, id: B256) -> Result<Option<RelayStatus>, JournalError> {
        let row = sqlx::query("SELECT * FROM relays WHERE id = ?")
            .bind(id.as_slice())
            .fetch_optional(&self.durable)
            .await
            .map_err(|e| self.error(e))?;
        let Some(row) = row else { return Ok(None) };
        let error = |e| self.error(e);
        let transaction: Option<Vec<u8>> = row.try_get("transaction_hash").map_err(error)?;
        let transaction = transaction
            .and_then(|bytes| B256::try_from(bytes.as_slice()).ok())
            .unwrap_or_default();
        let block: Option<i64> = row.try_get("block").map_err(error)?;
        let state: String = row.try_get("state").map_err(error)?;
        let state = match state.as_str() {
            "submitted" => RelayState::Submitted { transaction },
            "included" => RelayState::Included {
                transaction,
                block: unsigned(block.unwrap_or_default()),
            },
            "rejected" => RelayState::Rejected {
                code: row
                    .try_get::<Option<String>, _>("code")
                    .map_err(error)?
                    .unwrap_or_default(),
                detail: row
                    .try_get::<Option<String>, _>("detail")
                    .map_err(error)?
                    .unwrap_or_default(),
            },
            _ => RelayState::Queued,
        };
        Ok(Some(RelayStatus { id, state }))
    }

    /// The newest signature this keeper made for a signed strategy's market, if its sequence is above `stored`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn highest_sequence(&self, strategy: u64, market: u8) -> Result<Option<u64>, JournalError> {
        let highest: Option<i64> =
            sqlx::query_scalar("SELECT MAX(sequence) FROM signals WHERE strategy = ? AND market = ?")
                .bind(signed(strategy))
                .bind(market)
                .fetch_one(&self.pool)
                .await
                .map_err(|e| self.error(e))?;
        Ok(highest.map(unsigned))
    }

    /// The latest time of a state that this keeper signed for a market; the chain may not have stored it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn newest_observed(&self, strategy: u64, market: u8) -> Result<Option<u64>, JournalError> {
        let newest: Option<i64> = sqlx::query_scalar(
            "SELECT MAX(observed_at) FROM signals WHERE strategy = ? AND market = ? AND sequence IS NOT NULL",
        )
        .bind(signed(strategy))
        .bind(market)
        .fetch_one(&self.pool)
        .await
        .map_err(|e| self.error(e))?;
        Ok(newest.map(unsigned))
    }

    /// Writes down a state to be attested, in the place of an older one of the same market; with it, in one transaction,
    /// which state of a master on an exchange it is, if it is one.
    ///
    /// # Errors
    /// When it cannot be written; then it was not taken.
    pub async fn attest(
        &self,
        attestation: &Attestation,
        exchange: Option<&ExchangeState>,
    ) -> Result<(), JournalError> {
        let mut tx = self.begin().await?;
        if let Some(state) = exchange {
            sources::insert_exchange_state(&mut tx, state)
                .await
                .map_err(|e| self.error(e))?;
        }
        sqlx::query(
            "INSERT OR REPLACE INTO attestations (strategy, market, leverage, observed_at, sequence) \
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(signed(attestation.strategy))
        .bind(attestation.market)
        .bind(attestation.leverage.0.to_string())
        .bind(signed(attestation.observed_at))
        .bind(attestation.sequence.map(signed))
        .execute(&mut *tx)
        .await
        .map_err(|e| self.error(e))?;
        self.commit(tx).await
    }

    /// The chain has stored it, or never will.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn attested(&self, strategy: u64, market: u8, observed_at: u64) -> Result<(), JournalError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM attestations WHERE strategy = ? AND market = ? AND observed_at = ?")
            .bind(signed(strategy))
            .bind(market)
            .bind(signed(observed_at))
            .execute(&mut *tx)
            .await
            .map_err(|e| self.error(e))?;
        self.commit(tx).await
    }

    /// States the chain has not stored yet, as far as is known.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn attestations(&self) -> Result<Vec<Attestation>, JournalError> {
        let rows = sqlx::query("SELECT * FROM attestations")
            .fetch_all(&self.pool)
            .await
            .map_err(|e| self.error(e))?;
        let error = |e| self.error(e);
        rows.iter()
            .map(|row| {
                let leverage: String = row.try_get("leverage").map_err(error)?;
                let leverage = leverage
                    .parse()
                    .map_err(|_| self.corrupt("a leverage is not a number"))?;
                let sequence: Option<i64> = row.try_get("sequence").map_err(error)?;
                Ok(Attestation {
                    strategy: unsigned(row.try_get("strategy").map_err(error)?),
                    market: row.try_get("market").map_err(error)?,
                    leverage: Wad(leverage),
                    observed_at: unsigned(row.try_get("observed_at").map_err(error)?),
                    sequence: sequence.map(unsigned),
                })
            })
            .collect()
    }

    /// The newest `count` jobs and relayed items, oldest first, for a person.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn tail(&self, count: u32) -> Result<Vec<Line>, JournalError> {
        let rows = sqlx::query(
            "SELECT created_at AS at, 'job ' || id || '  nonce ' || nonce || '  ' || state || \
             CASE success WHEN 0 THEN ' (reverted)' ELSE '' END || '  ' || kind || '  ' || cause || \
             COALESCE('  block ' || block, '') || COALESCE('  0x' || lower(hex(transaction_hash)), '') || \
             COALESCE('  ' || outcome, '') AS text FROM jobs \
             UNION ALL SELECT created_at, 'relay 0x' || lower(hex(id)) || '  ' || state || '  ' || kind || \
             COALESCE('  job ' || job, '') || COALESCE('  ' || code || ': ' || detail, '') FROM relays \
             UNION ALL SELECT seen_at, 'signal ' || id || '  strategy ' || strategy || ' market ' || market || \
             '  leverage ' || leverage || '  observed at ' || observed_at || COALESCE('  sequence ' || sequence, '') \
             FROM signals ORDER BY at DESC LIMIT ?",
        )
        .bind(count)
        .fetch_all(&self.pool)
        .await
        .map_err(|e| self.error(e))?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows.iter().rev() {
            lines.push(Line {
                at: row.try_get("at").map_err(|e| self.error(e))?,
                text: row.try_get("text").map_err(|e| self.error(e))?,
            });
        }
        Ok(lines)
    }

    fn corrupt(&self, detail: &str) -> JournalError {
        JournalError::Corrupt {
            path: self.path.clone(),
            detail: detail.to_owned(),
        }
    }

    fn queued_row(&self, row: &SqliteRow) -> Result<Queued, JournalError> {
        let id: Vec<u8> = row.try_get("id").map_err(|e| self.error(e))?;
        Ok(Queued {
            id: B256::try_from(id.as_slice()).map_err(|_| self.corrupt("a relay id is not 32 bytes"))?,
            kind: row.try_get("kind").map_err(|e| self.error(e))?,
            body: row.try_get("body").map_err(|e| self.error(e))?,
        })
    }

    fn attempt(&self, row: &SqliteRow) -> Result<Attempt, JournalError> {
        let error = |e| self.error(e);
        let hash: Vec<u8> = row.try_get("hash").map_err(error)?;
        let raw: Vec<u8> = row.try_get("raw").map_err(error)?;
        let max_fee: String = row.try_get("max_fee").map_err(error)?;
        let tip: String = row.try_get("tip").map_err(error)?;
        Ok(Attempt {
            hash: B256::try_from(hash.as_slice()).map_err(|_| self.corrupt("a hash is not 32 bytes"))?,
            raw: raw.into(),
            max_fee: max_fee
                .parse()
                .map_err(|_| self.corrupt("a fee is not a number"))?,
            tip: tip.parse().map_err(|_| self.corrupt("a fee is not a number"))?,
        })
    }

    fn job(&self, row: &SqliteRow) -> Result<Job, JournalError> {
        let error = |e| self.error(e);
        let bytes = |name| row.try_get::<Option<Vec<u8>>, _>(name).map_err(error);
        let hash = |name| -> Result<Option<B256>, JournalError> {
            bytes(name)?
                .map(|b| B256::try_from(b.as_slice()).map_err(|_| self.corrupt("a hash is not 32 bytes")))
                .transpose()
        };
        let address = |name| -> Result<Option<Address>, JournalError> {
            bytes(name)?
                .map(|b| {
                    Address::try_from(b.as_slice()).map_err(|_| self.corrupt("an address is not 20 bytes"))
                })
                .transpose()
        };
        let number = |name| row.try_get::<i64, _>(name).map_err(error);
        let state: String = row.try_get("state").map_err(error)?;
        let block: Option<i64> = row.try_get("block").map_err(error)?;
        Ok(Job {
            id: number("id")?,
            kind: row.try_get("kind").map_err(error)?,
            cause: row.try_get("cause").map_err(error)?,
            vault: address("vault")?,
            market: row.try_get("market").map_err(error)?,
            target: address("target")?.ok_or_else(|| self.corrupt("a job has no target"))?,
            calldata: bytes("calldata")?.unwrap_or_default().into(),
            gas: unsigned(number("gas")?),
            nonce: unsigned(number("nonce")?),
            state: JobState::parse(&state).ok_or_else(|| self.corrupt("a job has no known state"))?,
            transaction: hash("transaction_hash")?,
            block: block.map(unsigned).zip(hash("block_hash")?),
            success: row.try_get("success").map_err(error)?,
            attempts: Vec::new(),
            created_at: number("created_at")?,
        })
    }
}

async fn insert_signal(
    tx: &mut Transaction<'static, Sqlite>,
    seen: &SignalSeen,
    now: i64,
) -> Result<i64, sqlx::Error> {
    let inserted = sqlx::query(
        "INSERT INTO signals (strategy, market, leverage, sequence, observed_at, signature, seen_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(signed(seen.strategy))
    .bind(seen.market)
    .bind(seen.leverage.to_string())
    .bind(seen.sequence.map(signed))
    .bind(signed(seen.observed_at))
    .bind(seen.signature.as_ref().map(|bytes| bytes.to_vec()))
    .bind(now)
    .execute(&mut **tx)
    .await?;
    // A restart then knows which signal to look for on the chain.
    sqlx::query("UPDATE attestations SET sequence = ? WHERE strategy = ? AND market = ? AND observed_at = ? AND ? IS NOT NULL")
        .bind(seen.sequence.map(signed))
        .bind(signed(seen.strategy))
        .bind(seen.market)
        .bind(signed(seen.observed_at))
        .bind(seen.sequence.map(signed))
        .execute(&mut **tx)
        .await?;
    Ok(inserted.last_insert_rowid())
}

async fn insert_attempt(
    tx: &mut Transaction<'static, Sqlite>,
    job: JobId,
    attempt: &Attempt,
    now: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO attempts (hash, job, raw, max_fee, tip, created_at) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(attempt.hash.as_slice())
        .bind(job)
        .bind(attempt.raw.as_ref())
        .bind(attempt.max_fee.to_string())
        .bind(attempt.tip.to_string())
        .bind(now)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn classify(path: &Path, source: sqlx::Error) -> JournalError {
    let path = path.to_owned();
    let code = source
        .as_database_error()
        .and_then(|e| e.code())
        .and_then(|code| code.parse::<u32>().ok());
    // The low byte is SQLite's primary result code.
    match code.map(|code| code & 0xff) {
        Some(5 | 6) => JournalError::Locked { path },
        Some(13) => JournalError::DiskFull { path },
        Some(11 | 26) => JournalError::Corrupt {
            path,
            detail: source.to_string(),
        },
        // Read-only, an I/O error (a quota is one), cannot be opened.
        Some(8 | 10 | 14) => JournalError::Unusable {
            path,
            detail: source.to_string(),
        },
        _ => JournalError::Other { path, source },
    }
}

#[cfg(test)]
pub(crate) mod crash {
    //! Crashes at the n-th write, before or after it.

    use std::sync::atomic::{AtomicI64, Ordering};

    use super::JournalError;

    /// Even values crash before a write, odd ones after it.
    #[derive(Debug)]
    pub(crate) struct Plan(AtomicI64);

    impl Default for Plan {
        fn default() -> Self {
            Self(AtomicI64::new(i64::MAX))
        }
    }

    impl Plan {
        fn tick(&self) -> Result<(), JournalError> {
            if self.0.fetch_sub(1, Ordering::SeqCst) <= 0 {
                Err(JournalError::Crashed)
            } else {
                Ok(())
            }
        }
        pub(super) fn before(&self) -> Result<(), JournalError> {
            self.tick()
        }
        pub(super) fn after(&self) -> Result<(), JournalError> {
            self.tick()
        }
    }

    impl super::Journal {
        /// Room for so many pages more: a disk that is nearly full.
        pub(crate) async fn leave_room(&self, pages: u32) {
            for pool in [&self.pool, &self.durable] {
                let used: u32 = sqlx::query_scalar("PRAGMA page_count")
                    .fetch_one(pool)
                    .await
                    .unwrap();
                let limit = format!("PRAGMA max_page_count = {}", used + pages);
                sqlx::query(sqlx::AssertSqlSafe(limit))
                    .fetch_one(pool)
                    .await
                    .unwrap();
            }
        }

        /// Hashes of all signed bytes in the journal.
        pub(crate) async fn attempts_written(&self) -> std::collections::HashSet<alloy::primitives::B256> {
            let hashes: Vec<Vec<u8>> = sqlx::query_scalar("SELECT hash FROM attempts")
                .fetch_all(&self.pool)
                .await
                .unwrap();
            hashes
                .iter()
                .map(|hash| alloy::primitives::B256::from_slice(hash))
                .collect()
        }

        /// The `point`-th instruction boundary around writes is the last one reached.
        pub(crate) fn crash_at(&self, point: i64) {
            self.crash.0.store(point, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A journal with a job in it, closed, and where it is.
    async fn written(directory: &Path) -> PathBuf {
        let path = directory.join("journal.db");
        let journal = Journal::open(&path, false).await.unwrap();
        journal.bind(&[("chain", "1".into())]).await.unwrap();
        for nonce in 0..40 {
            plan(&journal, nonce).await.unwrap();
        }
        journal.tidy().await.unwrap();
        journal.close().await;
        path
    }

    async fn plan(journal: &Journal, nonce: u64) -> Result<JobId, JournalError> {
        let job = NewJob {
            kind: "mirror",
            cause: "a test".into(),
            vault: Some(Address::ZERO),
            market: Some(0),
            target: Address::ZERO,
            calldata: Bytes::from(vec![1; 512]),
            gas: 1,
            relays: Vec::new(),
        };
        let attempt = Attempt {
            hash: B256::left_padding_from(&nonce.to_be_bytes()),
            raw: Bytes::from(vec![2; 512]),
            max_fee: 1,
            tip: 1,
        };
        journal.plan(&job, nonce, &attempt, None).await
    }

    /// The file, and what to do.
    fn assert_helps(error: &JournalError, path: &Path, to_do: &str) {
        let text = error.to_string();
        assert!(text.contains(&path.display().to_string()), "{text}");
        assert!(text.contains(to_do), "{text}");
    }

    #[tokio::test]
    async fn a_full_disk_is_named_and_nothing_is_half_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path()).await;
        let journal = Journal::open(&path, false).await.unwrap();
        journal.leave_room(1).await;
        let before = journal.unfinished().await.unwrap().len();
        let mut planned = 0;
        let error = loop {
            match plan(&journal, 100 + planned).await {
                Ok(_) => planned += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, JournalError::DiskFull { .. }), "{error:?}");
        assert_helps(&error, &path, "free some space");
        let jobs = journal.unfinished().await.unwrap();
        assert_eq!(jobs.len(), before + usize::try_from(planned).unwrap());
        assert!(jobs.iter().all(|job| job.attempts.len() == 1));
        let item = B256::repeat_byte(1);
        let error = journal
            .accept(item, "mandate", &"x".repeat(20_000))
            .await
            .unwrap_err();
        assert!(matches!(error, JournalError::DiskFull { .. }), "{error:?}");
        assert_eq!(
            journal.status(item).await.unwrap(),
            None,
            "refused, and yet it is there"
        );
    }

    #[tokio::test]
    async fn damage_is_named_wherever_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path()).await;
        let whole = std::fs::read(&path).unwrap();
        let pages = whole.len() / 4_096;
        assert!(pages > 10, "{pages} pages");
        let (mut corrupt, mut sound) = (0, 0);
        for page in 0..pages {
            let mut bytes = whole.clone();
            bytes[page * 4_096..(page + 1) * 4_096].fill(0xa5);
            for suffix in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
            }
            std::fs::write(&path, &bytes).unwrap();
            let read = async {
                let journal = Journal::open(&path, false).await?;
                let read = async {
                    journal.bind(&[("chain", "1".into())]).await?;
                    journal.next_nonce().await?;
                    journal.tail(1_000).await?;
                    journal.unfinished().await
                };
                let read = read.await;
                journal.close().await;
                read
            };
            match read.await {
                // A page that nobody reads at start, such as one of an index.
                Ok(jobs) => {
                    assert_eq!(jobs.len(), 40, "page {page}: jobs are missing and nobody says so");
                    sound += 1;
                }
                Err(error) => {
                    assert!(
                        matches!(error, JournalError::Corrupt { .. }),
                        "page {page}: {error:?}"
                    );
                    assert_helps(&error, &path, "move it away");
                    corrupt += 1;
                }
            }
        }
        assert!(corrupt > sound, "{corrupt} corrupt, {sound} sound");
    }

    #[tokio::test]
    async fn a_file_that_is_none_of_ours_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        std::fs::write(
            &path,
            "this is no database, but a text of some length".repeat(100),
        )
        .unwrap();
        let error = Journal::open(&path, false).await.unwrap_err();
        assert!(matches!(error, JournalError::Corrupt { .. }), "{error:?}");
        assert_helps(&error, &path, "move it away");

        let path = directory.path().join("no such directory/journal.db");
        let error = Journal::open(&path, false).await.unwrap_err();
        assert!(matches!(error, JournalError::Unusable { .. }), "{error:?}");
        assert_helps(&error, &path, "directory");
    }

    #[tokio::test]
    async fn a_later_version_s_journal_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path()).await;
        let journal = Journal::open(&path, false).await.unwrap();
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'later', 1, x'00', 0)",
        )
        .execute(&journal.pool)
        .await
        .unwrap();
        journal.close().await;
        let error = Journal::open(&path, false).await.unwrap_err();
        assert!(matches!(error, JournalError::Version { .. }), "{error:?}");
        assert_helps(&error, &path, "version");
    }

    #[tokio::test]
    async fn an_attestation_is_kept_until_it_is_settled_and_the_newest_wins() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(&directory.path().join("journal.db"), false)
            .await
            .unwrap();
        let first = Attestation {
            strategy: 1,
            market: 0,
            leverage: Wad(-15),
            observed_at: 1_000,
            sequence: None,
        };
        let second = Attestation {
            observed_at: 2_000,
            ..first.clone()
        };
        journal.attest(&first, None).await.unwrap();
        journal.attest(&second, None).await.unwrap();
        assert_eq!(journal.attestations().await.unwrap(), [second]);
        journal.attested(1, 0, 1_000).await.unwrap();
        assert_eq!(
            journal.attestations().await.unwrap().len(),
            1,
            "the older one is not it"
        );
        journal.attested(1, 0, 2_000).await.unwrap();
        assert!(journal.attestations().await.unwrap().is_empty());
    }
}
