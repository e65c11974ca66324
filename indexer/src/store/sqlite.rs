//! SQLite: one writing connection in WAL mode, several reading ones.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::table::{Table, Value};
use super::{Result, StoreError, schema};

pub(super) type Db = Sqlite;
pub(super) type Pool = SqlitePool;
pub(super) type Conn = SqliteConnection;
pub(super) type Row = SqliteRow;

// Compiled once per engine, on purpose: see `sql.rs`.
#[allow(clippy::duplicate_mod)]
#[path = "sql.rs"]
mod sql;

/// The store in an SQLite file.
pub type SqliteStore = sql::SqlStore;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// Values of one statement; SQLite takes 32,766.
const VALUES: usize = 8_000;

fn options(url: &str) -> Result<SqliteConnectOptions> {
    let path = url.strip_prefix("sqlite://").ok_or(StoreError::UnknownEngine)?;
    Ok(SqliteConnectOptions::new()
        .filename(PathBuf::from(path))
        .busy_timeout(Duration::from_secs(10))
        .pragma("cache_size", "-65536"))
}

/// Opens for writing: creates the file and brings the schema up to date.
pub(super) async fn open(url: &str) -> Result<SqliteStore> {
    let writing = options(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(writing)
        .await
        .map_err(opening)?;
    {
        let mut conn = write.acquire().await.map_err(fault)?;
        schema::migrate(&MIGRATIONS, &mut *conn)
            .await
            .map_err(migrating)?;
    }
    let read = readers(url).await?;
    Ok(SqliteStore::new(read, Some(write)))
}

/// Opens for reading; the file must be there with the schema of this version.
pub(super) async fn open_reader(url: &str) -> Result<SqliteStore> {
    let path = url.strip_prefix("sqlite://").ok_or(StoreError::UnknownEngine)?;
    if !std::path::Path::new(path).exists() {
        return Err(StoreError::Empty);
    }
    let read = readers(url).await?;
    let found: i64 =
        sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success")
            .fetch_one(&read)
            .await
            .map_err(|error| match fault(error) {
                StoreError::Engine(_) => StoreError::Empty,
                other => other,
            })?;
    schema::check(&MIGRATIONS, found)?;
    Ok(SqliteStore::new(read, None))
}

async fn readers(url: &str) -> Result<SqlitePool> {
    let reading = options(url)?.read_only(true);
    SqlitePoolOptions::new()
        .max_connections(8)
        .connect_with(reading)
        .await
        .map_err(opening)
}

pub(super) async fn begin(pool: &Pool) -> Result<Transaction<'static, Db>> {
    pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)
}

/// Adds rows, many per statement. Statements of equal length are prepared once.
pub(super) async fn bulk(conn: &mut Conn, table: &Table, rows: Vec<Vec<Value>>) -> Result<()> {
    let most = (VALUES / table.columns.len()).max(1);
    let mut rows = rows.into_iter();
    loop {
        let chunk: Vec<Vec<Value>> = rows.by_ref().take(most).collect();
        let count = chunk.len();
        if count == 0 {
            return Ok(());
        }
        let mut query = QueryBuilder::<Db>::new("INSERT INTO ");
        query.push(table.name).push(" (");
        let mut names = query.separated(", ");
        for (name, _) in table.columns {
            names.push(name);
        }
        query.push(") ");
        query.push_values(chunk, |mut tuple, row| {
            for value in row {
                match value {
                    Value::Int(value) => tuple.push_bind(value),
                    Value::Text(value) => tuple.push_bind(value),
                    Value::Bytes(value) => tuple.push_bind(value),
                    Value::Null => tuple.push("NULL"),
                };
            }
        });
        schema::replace(&mut query, table);
        query
            .build()
            .persistent(count == most)
            .execute(&mut *conn)
            .await
            .map_err(fault)?;
    }
}

fn opening(error: sqlx::Error) -> StoreError {
    match fault(error) {
        StoreError::Engine(error) => StoreError::Unavailable(error),
        other => other,
    }
}

fn migrating(error: sqlx::migrate::MigrateError) -> StoreError {
    match error {
        sqlx::migrate::MigrateError::Execute(error)
        | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => fault(error),
        other => schema::fault(&MIGRATIONS, &other),
    }
}

/// What an error means for the caller; codes of <https://sqlite.org/rescode.html>.
pub(super) fn fault(error: sqlx::Error) -> StoreError {
    let code = match &error {
        sqlx::Error::Database(database) => database.code().and_then(|code| code.parse::<i32>().ok()),
        _ => None,
    };
    // The low byte is the primary code.
    match code.map(|code| code & 0xff) {
        Some(5 | 6) => StoreError::Locked,
        Some(11 | 26) => StoreError::Corrupt {
            detail: error.to_string(),
        },
        Some(13) => StoreError::DiskFull,
        Some(14) => StoreError::Unavailable(error),
        Some(19) => StoreError::Duplicate {
            detail: error.to_string(),
        },
        _ => StoreError::Engine(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BlockRef;
    use crate::store::{Commit, Identity, Reader as _, Writer as _};
    use alloy::primitives::{Address, B256};

    fn empty_commit(after: Option<BlockRef>, number: u64, blocks: u64) -> Commit {
        let block = |number: u64| BlockRef {
            number,
            hash: B256::from(alloy::primitives::U256::from(number)),
            time: number,
        };
        Commit {
            after,
            from: number,
            to: block(number + blocks - 1),
            blocks: Vec::new(),
            known: (number..number + blocks).map(block).collect(),
            derived: crate::derive::Derived::default(),
            undo_above: 0,
        }
    }

    #[tokio::test]
    async fn a_full_disk_changes_nothing_and_passes() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&format!("sqlite://{}", directory.path().join("a.db").display()))
            .await
            .unwrap();
        let identity = Identity {
            chain_id: 1,
            registry: Address::ZERO,
            deployment_block: 1,
            confirmations: 1,
        };
        store.attach(&identity).await.unwrap();
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
            .fetch_one(store.writer().unwrap())
            .await
            .unwrap();
        let limit = async |pages: i64| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .execute(store.writer().unwrap())
                .await
                .unwrap();
        };
        limit(pages + 2).await;
        let commit = empty_commit(None, 1, 5_000);
        assert!(matches!(store.apply(&commit).await, Err(StoreError::DiskFull)));
        assert_eq!(store.cursor().await.unwrap(), None);
        assert_eq!(store.status().await.unwrap().seq, 0);
        limit(1_000_000).await;
        store.apply(&commit).await.unwrap();
        assert_eq!(store.cursor().await.unwrap(), Some(commit.to));
    }

    #[tokio::test]
    async fn a_damaged_file_is_named_corrupt() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let url = format!("sqlite://{}", path.display());
        std::fs::write(&path, vec![0x5a; 20_000]).unwrap();
        let error = open(&url).await.err().unwrap();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        let error = open_reader(&url).await.err().unwrap();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn the_schema_of_another_version_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("a.db").display());
        let store = open(&url).await.unwrap();
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (99, 'later', 1, x'00', 0)",
        )
        .execute(store.writer().unwrap())
        .await
        .unwrap();
        for error in [open(&url).await.err(), open_reader(&url).await.err()] {
            assert!(
                matches!(error, Some(StoreError::SchemaVersion { found: 99, .. })),
                "{error:?}"
            );
        }
        sqlx::query("DELETE FROM _sqlx_migrations")
            .execute(store.writer().unwrap())
            .await
            .unwrap();
        assert!(matches!(open_reader(&url).await.err(), Some(StoreError::Empty)));
    }
}
