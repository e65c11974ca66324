//! PostgreSQL: rows by COPY, documents by UNNEST.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{Postgres, QueryBuilder, Transaction};

use super::table::{Kind, Table, Value};
use super::{Result, StoreError, schema};

pub(super) type Db = Postgres;
pub(super) type Pool = PgPool;
pub(super) type Conn = PgConnection;
pub(super) type Row = PgRow;

// Compiled once per engine, on purpose: see `sql.rs`.
#[allow(clippy::duplicate_mod)]
#[path = "sql.rs"]
mod sql;

/// The store in a PostgreSQL database.
pub type PostgresStore = sql::SqlStore;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// How long a connection is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

fn options(url: &str) -> Result<PgConnectOptions> {
    url.parse().map_err(StoreError::Unavailable)
}

/// Opens for writing: brings the schema up to date.
pub(super) async fn open(url: &str) -> Result<PostgresStore> {
    let write = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .connect_with(options(url)?)
        .await
        .map_err(opening)?;
    {
        let mut conn = write.acquire().await.map_err(fault)?;
        schema::migrate(&MIGRATIONS, &mut *conn)
            .await
            .map_err(migrating)?;
    }
    Ok(PostgresStore::new(readers(url).await?, Some(write)))
}

/// Opens for reading; the schema of this version must be there.
pub(super) async fn open_reader(url: &str) -> Result<PostgresStore> {
    let read = readers(url).await?;
    let found: i64 =
        sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success")
            .fetch_one(&read)
            .await
            .map_err(|error| match &error {
                // undefined_table
                sqlx::Error::Database(database) if database.code().as_deref() == Some("42P01") => {
                    StoreError::Empty
                }
                _ => fault(error),
            })?;
    schema::check(&MIGRATIONS, found)?;
    Ok(PostgresStore::new(read, None))
}

async fn readers(url: &str) -> Result<PgPool> {
    PgPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(PATIENCE)
        .connect_with(options(url)?.options([("default_transaction_read_only", "on")]))
        .await
        .map_err(opening)
}

pub(super) async fn begin(pool: &Pool) -> Result<Transaction<'static, Db>> {
    pool.begin().await.map_err(fault)
}

/// Adds rows.
pub(super) async fn bulk(conn: &mut Conn, table: &Table, rows: Vec<Vec<Value>>) -> Result<()> {
    if table.replace_by.is_empty() {
        copy(conn, table, &rows).await
    } else {
        upsert(conn, table, rows).await
    }
}

/// COPY in text format.
async fn copy(conn: &mut Conn, table: &Table, rows: &[Vec<Value>]) -> Result<()> {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let statement = format!("COPY {} ({}) FROM STDIN", table.name, names.join(", "));
    let mut text = String::with_capacity(rows.len() * 256);
    for row in rows {
        for (index, value) in row.iter().enumerate() {
            if index > 0 {
                text.push('\t');
            }
            match value {
                Value::Int(value) => text.push_str(&value.to_string()),
                Value::Text(value) => escape(&mut text, value),
                Value::Bytes(value) => {
                    text.push_str("\\\\x");
                    text.push_str(&alloy::hex::encode(value));
                }
                Value::Null => text.push_str("\\N"),
            }
        }
        text.push('\n');
    }
    let mut copy = conn.copy_in_raw(&statement).await.map_err(fault)?;
    if let Err(error) = copy.send(text.into_bytes()).await {
        // The error that matters is the first one.
        let _ = copy.abort("sending failed").await;
        return Err(fault(error));
    }
    copy.finish().await.map_err(fault)?;
    Ok(())
}

fn escape(text: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            other => text.push(other),
        }
    }
}

async fn upsert(conn: &mut Conn, table: &Table, rows: Vec<Vec<Value>>) -> Result<()> {
    let mut ints: Vec<Vec<Option<i64>>> = Vec::new();
    let mut texts: Vec<Vec<Option<String>>> = Vec::new();
    let mut blobs: Vec<Vec<Option<Vec<u8>>>> = Vec::new();
    // One array per column, in the lists of its type.
    for (_, kind) in table.columns {
        match kind {
            Kind::Int => ints.push(Vec::with_capacity(rows.len())),
            Kind::Text => texts.push(Vec::with_capacity(rows.len())),
            Kind::Bytes => blobs.push(Vec::with_capacity(rows.len())),
        }
    }
    for row in rows {
        let (mut int, mut text, mut blob) = (ints.iter_mut(), texts.iter_mut(), blobs.iter_mut());
        for ((_, kind), value) in table.columns.iter().zip(row) {
            match kind {
                Kind::Int => {
                    if let Some(list) = int.next() {
                        list.push(if let Value::Int(value) = value {
                            Some(value)
                        } else {
                            None
                        });
                    }
                }
                Kind::Text => {
                    if let Some(list) = text.next() {
                        list.push(if let Value::Text(value) = value {
                            Some(value)
                        } else {
                            None
                        });
                    }
                }
                Kind::Bytes => {
                    if let Some(list) = blob.next() {
                        list.push(if let Value::Bytes(value) = value {
                            Some(value)
                        } else {
                            None
                        });
                    }
                }
            }
        }
    }
    let mut query = QueryBuilder::<Db>::new("INSERT INTO ");
    query.push(table.name).push(" (");
    let mut names = query.separated(", ");
    for (name, _) in table.columns {
        names.push(name);
    }
    query.push(") SELECT * FROM UNNEST(");
    let (mut ints, mut texts, mut blobs) = (ints.into_iter(), texts.into_iter(), blobs.into_iter());
    let mut arrays = query.separated(", ");
    for (_, kind) in table.columns {
        match kind {
            Kind::Int => arrays.push_bind(ints.next()).push_unseparated("::bigint[]"),
            Kind::Text => arrays.push_bind(texts.next()).push_unseparated("::text[]"),
            Kind::Bytes => arrays.push_bind(blobs.next()).push_unseparated("::bytea[]"),
        };
    }
    query.push(")");
    schema::replace(&mut query, table);
    query.build().execute(&mut *conn).await.map_err(fault)?;
    Ok(())
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

/// What an error means for the caller; codes of <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(super) fn fault(error: sqlx::Error) -> StoreError {
    let code = match &error {
        sqlx::Error::Database(database) => database.code().map(|code| code.into_owned()),
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => return StoreError::Unavailable(error),
        _ => None,
    };
    match code.as_deref() {
        Some("53100") => StoreError::DiskFull,
        Some("55P03" | "40001" | "40P01") => StoreError::Locked,
        Some("23505" | "23514" | "23502") => StoreError::Duplicate {
            detail: error.to_string(),
        },
        Some("XX001" | "XX002") => StoreError::Corrupt {
            detail: error.to_string(),
        },
        // Admin shutdown, crash, starting up, connection failures.
        Some(code) if code.starts_with("57P0") || code.starts_with("08") => StoreError::Unavailable(error),
        _ => StoreError::Engine(error),
    }
}
