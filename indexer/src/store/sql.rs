//! The queries, compiled once per engine: `sqlite.rs` and `postgres.rs` include this file as their module `sql` and
//! give it their types. What differs between the engines is in those two files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::{Address, B256};
use async_trait::async_trait;
use lockstep_contracts::fills::Outcome;
use lockstep_contracts::units::{Size, Usdc, Wad};
use sqlx::{QueryBuilder, Row as _};

use super::{Conn, Db, Pool, Row, begin, bulk, fault};
use crate::derive::documents::{
    AccountDoc, Document, Key, NavBucket, SeriesKey, StrategyDoc, SystemDoc, Tally, VaultDoc,
};
use crate::derive::nav::{DAY, HOUR};
use crate::derive::statistics;
use crate::model::{
    Account, AccountEntry, AccountStatus, Batch, BatchQuery, BlockRef, Change, ChangeKind, Fill, FillCause,
    FillQuery, FollowerQuery, IndexerStatus, NavCurve, NavPoint, NavQuery, Origin, Page, PageRequest, Proof,
    Series, Signal, Statistics, Strategy, StrategyId, StrategyOrder, StrategyQuery, System, Terms, Window,
};
use crate::store::commit::{Commit, Heights, Identity, Writer};
use crate::store::flight::Flight;
use crate::store::table::{self, Table, Value};
use crate::store::{Reader, Result, StoreError, curve, page, view};

/// Commits that [`Reader::changes_since`] can tell about.
const CHANGES_KEPT: i64 = 10_000;
/// Most names in one change; more is "everything".
const CHANGE_NAMES: usize = 1_000;
/// Points that are read raw to draw a curve; beyond that buckets are read.
const RAW_POINTS: u64 = 20_000;

/// All strategies with their figures, and the commit they are of.
type Listed = (u64, Arc<Vec<Strategy>>);

/// The store on one engine.
pub struct SqlStore {
    read: Pool,
    write: Option<Pool>,
    lists: Mutex<HashMap<Window, Arc<Flight<Listed>>>>,
    /// A transaction began whose end was not seen.
    torn: AtomicBool,
}

impl SqlStore {
    pub(super) fn new(read: Pool, write: Option<Pool>) -> Self {
        Self {
            read,
            write,
            lists: Mutex::default(),
            torn: AtomicBool::new(false),
        }
    }

    pub(super) fn writer(&self) -> Result<&Pool> {
        self.write.as_ref().ok_or(StoreError::ReadOnly)
    }

    /// The writing connection. One that was left in the middle of a transaction (its future was dropped) is not used
    /// again: what it would answer next is anyone's guess. The engine rolls back what was not committed.
    async fn write_conn(&self) -> Result<sqlx::pool::PoolConnection<Db>> {
        let pool = self.writer()?;
        if self.torn.load(Ordering::Acquire) {
            drop(pool.acquire().await.map_err(fault)?.detach());
            self.torn.store(false, Ordering::Release);
        }
        pool.acquire().await.map_err(fault)
    }

    /// Begins a transaction that only [`commit`](Self::commit) ends well.
    async fn begin(&self) -> Result<sqlx::Transaction<'static, Db>> {
        drop(self.write_conn().await?);
        self.torn.store(true, Ordering::Release);
        begin(self.writer()?).await
    }

    async fn commit(&self, tx: sqlx::Transaction<'static, Db>) -> Result<()> {
        tx.commit().await.map_err(fault)?;
        self.torn.store(false, Ordering::Release);
        Ok(())
    }

    async fn conn(&self) -> Result<sqlx::pool::PoolConnection<Db>> {
        self.read.acquire().await.map_err(fault)
    }
}

fn corrupt(detail: impl ToString) -> StoreError {
    StoreError::Corrupt {
        detail: detail.to_string(),
    }
}

// ------------------------------------------------------------------------------------------------ columns

fn int(row: &Row, column: &str) -> Result<i64> {
    row.try_get(column).map_err(fault)
}

fn unsigned(row: &Row, column: &str) -> Result<u64> {
    u64::try_from(int(row, column)?).map_err(|_| corrupt(format!("column {column} is negative")))
}

fn narrow<T: TryFrom<i64>>(row: &Row, column: &str) -> Result<T> {
    T::try_from(int(row, column)?).map_err(|_| corrupt(format!("column {column} is out of range")))
}

fn text(row: &Row, column: &str) -> Result<String> {
    row.try_get(column).map_err(fault)
}

fn blob(row: &Row, column: &str) -> Result<Vec<u8>> {
    row.try_get(column).map_err(fault)
}

fn address(row: &Row, column: &str) -> Result<Address> {
    Address::try_from(blob(row, column)?.as_slice())
        .map_err(|_| corrupt(format!("column {column} is no address")))
}

fn hash(row: &Row, column: &str) -> Result<B256> {
    B256::try_from(blob(row, column)?.as_slice()).map_err(|_| corrupt(format!("column {column} is no hash")))
}

fn raw(row: &Row, column: &str) -> Result<i128> {
    text(row, column)?
        .parse()
        .map_err(|_| corrupt(format!("column {column} is no integer")))
}

fn usdc(row: &Row, column: &str) -> Result<Usdc> {
    raw(row, column).map(Usdc)
}

fn wad(row: &Row, column: &str) -> Result<Wad> {
    raw(row, column).map(Wad)
}

fn size(row: &Row, column: &str) -> Result<Size> {
    raw(row, column).map(Size)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn origin(row: &Row, status: &IndexerStatus) -> Result<Origin> {
    let block = unsigned(row, "block")?;
    Ok(Origin {
        block,
        block_hash: hash(row, "block_hash")?,
        time: unsigned(row, "block_time")?,
        tx_hash: hash(row, "tx_hash")?,
        log_index: unsigned(row, "log_index")?,
        finality: status.finality(block),
    })
}

/// Columns of a fact's block, for [`origin`].
const BLOCK: &str = "b.hash AS block_hash, b.time AS block_time";

fn batch_of(row: &Row, status: &IndexerStatus) -> Result<Batch> {
    Ok(Batch {
        strategy_id: unsigned(row, "strategy")?,
        vault: address(row, "vault")?,
        batch_id: unsigned(row, "batch_id")?,
        market: narrow(row, "market")?,
        symbol: text(row, "symbol")?,
        sequence: unsigned(row, "sequence")?,
        leverage: wad(row, "leverage")?,
        observed_at_ms: unsigned(row, "observed_at_ms")?,
        delay_ms: int(row, "delay_ms")?,
        index_price: wad(row, "index_price")?,
        fill_price: wad(row, "fill_price")?,
        slippage_bps: wad(row, "slippage_bps")?,
        net_size: size(row, "net_size")?,
        crossed_size: size(row, "crossed_size")?,
        venue_fee: usdc(row, "venue_fee")?,
        copy_fee: usdc(row, "copy_fee")?,
        volume: usdc(row, "volume")?,
        moved: narrow(row, "moved")?,
        skipped: narrow(row, "skipped")?,
        origin: origin(row, status)?,
    })
}

fn fill_of(row: &Row, status: &IndexerStatus) -> Result<Fill> {
    let cause = match int(row, "cause")? {
        0 => FillCause::Batch {
            batch_id: unsigned(row, "batch_id")?,
            outcome: Outcome::try_from(narrow::<u8>(row, "outcome")?).map_err(corrupt)?,
            delay_ms: int(row, "delay_ms")?,
        },
        1 => FillCause::Exit,
        2 => FillCause::StopLoss,
        3 => FillCause::TakeProfit,
        4 => FillCause::Liquidation,
        code => return Err(corrupt(format!("fill cause {code}"))),
    };
    let follower: Option<Vec<u8>> = row.try_get("follower").map_err(fault)?;
    Ok(Fill {
        strategy_id: unsigned(row, "strategy")?,
        vault: address(row, "vault")?,
        account: narrow(row, "account")?,
        follower: follower
            .map(|bytes| Address::try_from(bytes.as_slice()).map_err(|_| corrupt("follower is no address")))
            .transpose()?,
        market: narrow(row, "market")?,
        symbol: text(row, "symbol")?,
        cause,
        size_delta: size(row, "size_delta")?,
        quote_delta: usdc(row, "quote_delta")?,
        fee: usdc(row, "fee")?,
        price: wad(row, "price")?,
        index_price: wad(row, "index_price")?,
        slippage_bps: wad(row, "slippage_bps")?,
        notional: usdc(row, "notional")?,
        position: size(row, "position")?,
        realised: usdc(row, "realised")?,
        origin: origin(row, status)?,
    })
}

fn signal_of(row: &Row, status: &IndexerStatus) -> Result<Signal> {
    Ok(Signal {
        strategy_id: unsigned(row, "strategy")?,
        market: narrow(row, "market")?,
        symbol: text(row, "symbol")?,
        sequence: unsigned(row, "sequence")?,
        leverage: wad(row, "leverage")?,
        observed_at_ms: unsigned(row, "observed_at_ms")?,
        proof: match int(row, "proof")? {
            0 => Proof::Venue,
            1 => Proof::Master,
            2 => Proof::Keeper,
            code => return Err(corrupt(format!("proof {code}"))),
        },
        origin: origin(row, status)?,
    })
}

fn entry_of(row: &Row, status: &IndexerStatus) -> Result<AccountEntry> {
    Ok(AccountEntry {
        strategy_id: unsigned(row, "strategy")?,
        vault: address(row, "vault")?,
        account: narrow(row, "account")?,
        follower: address(row, "follower")?,
        event: serde_json::from_str(&text(row, "body")?).map_err(corrupt)?,
        origin: origin(row, status)?,
    })
}

fn nav_of(row: &Row, series: Series, status: &IndexerStatus) -> Result<NavPoint> {
    let (index, nav, equity) = match series {
        Series::Vault(_) => ("idx", "nav_index", "total_equity"),
        Series::Strategy(_) => ("strategy_idx", "strategy_nav_index", "strategy_equity"),
    };
    Ok(NavPoint {
        index: unsigned(row, index)?,
        vault: address(row, "vault")?,
        vault_index: unsigned(row, "idx")?,
        time: unsigned(row, "time")?,
        nav_index: wad(row, nav)?,
        total_equity: usdc(row, equity)?,
        origin: origin(row, status)?,
    })
}

fn document_of(row: &Row) -> Result<(Key, Document)> {
    let key = key_of(row)?;
    let document = Document::parse(&key, &text(row, "body")?).map_err(corrupt)?;
    Ok((key, document))
}

fn key_of(row: &Row) -> Result<Key> {
    Key::parse(&text(row, "kind")?, &blob(row, "key")?)
        .ok_or_else(|| corrupt("document with a key that is none"))
}

fn block_of(row: &Row) -> Result<BlockRef> {
    Ok(BlockRef {
        number: unsigned(row, "number")?,
        hash: hash(row, "hash")?,
        time: unsigned(row, "time")?,
    })
}

// ------------------------------------------------------------------------------------------------ small reads

async fn status_of(conn: &mut Conn) -> Result<IndexerStatus> {
    let row = sqlx::query("SELECT * FROM indexer WHERE id = 1")
        .fetch_optional(&mut *conn)
        .await
        .map_err(fault)?
        .ok_or(StoreError::Empty)?;
    let cursor = cursor_of(&row)?;
    let head = unsigned(&row, "head")?;
    let deployment_block = unsigned(&row, "deployment_block")?;
    let at = cursor.map_or(deployment_block.saturating_sub(1), |cursor| cursor.number);
    Ok(IndexerStatus {
        chain_id: unsigned(&row, "chain_id")?,
        registry: address(&row, "registry")?,
        deployment_block,
        head,
        finalized: unsigned(&row, "finalized")?,
        confirmations: unsigned(&row, "confirmations")?,
        cursor,
        lag_blocks: head.saturating_sub(at),
        seq: unsigned(&row, "seq")?,
        head_seen_ms: unsigned(&row, "head_seen_ms")?,
    })
}

fn cursor_of(row: &Row) -> Result<Option<BlockRef>> {
    let number: Option<i64> = row.try_get("cursor_number").map_err(fault)?;
    number
        .map(|_| {
            Ok(BlockRef {
                number: unsigned(row, "cursor_number")?,
                hash: hash(row, "cursor_hash")?,
                time: unsigned(row, "cursor_time")?,
            })
        })
        .transpose()
}

async fn document(conn: &mut Conn, key: &Key) -> Result<Option<Document>> {
    sqlx::query("SELECT kind, key, body FROM documents WHERE kind = $1 AND key = $2")
        .bind(key.kind())
        .bind(key.bytes())
        .fetch_optional(&mut *conn)
        .await
        .map_err(fault)?
        .map(|row| document_of(&row).map(|(_, document)| document))
        .transpose()
}

/// Documents of one kind with `from` ≤ key ≤ `to`.
async fn document_range(conn: &mut Conn, from: &Key, to: &Key) -> Result<Vec<(Key, Document)>> {
    sqlx::query(
        "SELECT kind, key, body FROM documents WHERE kind = $1 AND key >= $2 AND key <= $3 ORDER BY key",
    )
    .bind(from.kind())
    .bind(from.bytes())
    .bind(to.bytes())
    .fetch_all(&mut *conn)
    .await
    .map_err(fault)?
    .iter()
    .map(document_of)
    .collect()
}

async fn strategy_doc(conn: &mut Conn, id: StrategyId) -> Result<Option<Box<StrategyDoc>>> {
    match document(conn, &Key::Strategy(id)).await? {
        Some(Document::Strategy(document)) => Ok(Some(document)),
        None => Ok(None),
        Some(_) => Err(corrupt("a strategy that is none")),
    }
}

async fn buckets(conn: &mut Conn, from: &Key, to: &Key) -> Result<Vec<(Key, NavBucket)>> {
    document_range(conn, from, to)
        .await?
        .into_iter()
        .map(|(key, document)| match document {
            Document::Bucket(bucket) => Ok((key, *bucket)),
            _ => Err(corrupt("a bucket that is none")),
        })
        .collect()
}

async fn statistics_of(
    conn: &mut Conn,
    status: &IndexerStatus,
    id: StrategyId,
    window: Window,
) -> Result<Statistics> {
    let now = status.cursor.map_or(0, |cursor| cursor.time);
    let today = now / DAY;
    let first_day = window.days().map_or(0, |days| (today + 1).saturating_sub(days));
    let series = SeriesKey::Strategy(id);
    let days: Vec<(u64, NavBucket)> =
        buckets(conn, &Key::Day(series, first_day), &Key::Day(series, u64::MAX))
            .await?
            .into_iter()
            .filter_map(|(key, bucket)| match key {
                Key::Day(_, day) => Some((day, bucket)),
                _ => None,
            })
            .collect();
    let before = if first_day == 0 {
        None
    } else {
        sqlx::query(
            "SELECT kind, key, body FROM documents WHERE kind = $1 AND key >= $2 AND key < $3 \
             ORDER BY key DESC LIMIT 1",
        )
        .bind("day")
        .bind(Key::Day(series, 0).bytes())
        .bind(Key::Day(series, first_day).bytes())
        .fetch_optional(&mut *conn)
        .await
        .map_err(fault)?
        .map(|row| match document_of(&row)? {
            (_, Document::Bucket(bucket)) => Ok(bucket.last),
            _ => Err(corrupt("a bucket that is none")),
        })
        .transpose()?
    };
    let tallies: Vec<Tally> = document_range(conn, &Key::Tally(id, first_day), &Key::Tally(id, u64::MAX))
        .await?
        .into_iter()
        .map(|(_, document)| match document {
            Document::Tally(tally) => Ok(*tally),
            _ => Err(corrupt("a tally that is none")),
        })
        .collect::<Result<_>>()?;
    statistics::compute(window, now, before, &days, &tallies).map_err(corrupt)
}

async fn marks_of(conn: &mut Conn, vaults: &BTreeSet<Address>) -> Result<HashMap<Address, VaultDoc>> {
    let keys: BTreeSet<Key> = vaults.iter().map(|vault| Key::Vault(*vault)).collect();
    Ok(load(conn, &keys)
        .await?
        .into_iter()
        .filter_map(|(_, document)| match document {
            Document::Vault(document) => Some((document.vault, document)),
            _ => None,
        })
        .collect())
}

async fn load(conn: &mut Conn, keys: &BTreeSet<Key>) -> Result<Vec<(Key, Document)>> {
    let mut found = Vec::with_capacity(keys.len());
    let mut by_kind: BTreeMap<&'static str, Vec<Vec<u8>>> = BTreeMap::new();
    for key in keys {
        by_kind.entry(key.kind()).or_default().push(key.bytes());
    }
    for (kind, keys) in by_kind {
        for chunk in keys.chunks(500) {
            let mut query = QueryBuilder::<Db>::new("SELECT kind, key, body FROM documents WHERE kind = ");
            query.push_bind(kind).push(" AND key IN (");
            let mut list = query.separated(", ");
            for key in chunk {
                list.push_bind(key.clone());
            }
            query.push(")");
            // One statement text per list length: not worth a place in the statement cache.
            let rows = query
                .build()
                .persistent(chunk.len() == 500)
                .fetch_all(&mut *conn)
                .await
                .map_err(fault)?;
            for row in &rows {
                found.push(document_of(row)?);
            }
        }
    }
    Ok(found)
}

/// Accounts as readers see them, with names and marks.
async fn accounts_of(conn: &mut Conn, documents: Vec<AccountDoc>) -> Result<Vec<Account>> {
    let vaults: BTreeSet<Address> = documents.iter().map(|document| document.vault).collect();
    let marks = marks_of(conn, &vaults).await?;
    let ids: BTreeSet<Key> = documents
        .iter()
        .map(|document| Key::Strategy(document.strategy))
        .collect();
    let strategies: HashMap<StrategyId, Box<StrategyDoc>> = load(conn, &ids)
        .await?
        .into_iter()
        .filter_map(|(_, document)| match document {
            Document::Strategy(document) => Some((document.id, document)),
            _ => None,
        })
        .collect();
    documents
        .into_iter()
        .map(|document| {
            let vault = marks
                .get(&document.vault)
                .ok_or_else(|| corrupt("an account without a vault"))?;
            let strategy = strategies
                .get(&document.strategy)
                .ok_or_else(|| corrupt("an account without a strategy"))?;
            view::account(document, vault, strategy).map_err(corrupt)
        })
        .collect()
}

/// Splits off the row that only says whether there is another page.
fn paged<T>(mut items: Vec<T>, rows: usize, cursor: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > rows;
    items.truncate(rows);
    let next = if more { items.last().map(cursor) } else { None };
    Page { items, next }
}

/// `AND (block, log_index, …) < (…)`: rows older than the cursor.
fn older<const N: usize>(
    query: &mut QueryBuilder<Db>,
    list: char,
    request: &PageRequest,
    columns: &str,
) -> Result<()> {
    if let Some(cursor) = &request.after {
        let key: [i128; N] = page::decode(list, cursor)?;
        query.push(" AND (").push(columns).push(") < (");
        let mut list = query.separated(", ");
        for part in key {
            list.push_bind(i64::try_from(part).map_err(|_| StoreError::BadCursor)?);
        }
        query.push(")");
    }
    Ok(())
}

fn limit(query: &mut QueryBuilder<Db>, request: &PageRequest) {
    query.push(" LIMIT ").push_bind(i64::from(request.rows()) + 1);
}

fn key_of_log(origin: &Origin) -> [i128; 2] {
    [i128::from(origin.block), i128::from(origin.log_index)]
}

// ------------------------------------------------------------------------------------------------ reader

#[async_trait]
impl Reader for SqlStore {
    async fn status(&self) -> Result<IndexerStatus> {
        status_of(&mut *self.conn().await?).await
    }

    async fn changes_since(&self, seq: u64, limit: u32) -> Result<Vec<Change>> {
        let mut conn = self.conn().await?;
        let rows = sqlx::query("SELECT * FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2")
            .bind(signed(seq))
            .bind(i64::from(limit))
            .fetch_all(&mut *conn)
            .await
            .map_err(fault)?;
        let mut changes = rows
            .iter()
            .map(|row| {
                Ok(Change {
                    seq: unsigned(row, "seq")?,
                    kind: match int(row, "kind")? {
                        0 => ChangeKind::Applied,
                        1 => ChangeKind::RolledBack,
                        code => return Err(corrupt(format!("change kind {code}"))),
                    },
                    from_block: unsigned(row, "from_block")?,
                    to_block: unsigned(row, "to_block")?,
                    strategies: serde_json::from_str(&text(row, "strategies")?).map_err(corrupt)?,
                    followers: serde_json::from_str(&text(row, "followers")?).map_err(corrupt)?,
                    everything: int(row, "everything")? != 0,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        if let Some(first) = changes.first_mut()
            && first.seq > seq + 1
        {
            first.everything = true;
            first.strategies.clear();
            first.followers.clear();
        }
        Ok(changes)
    }

    async fn system(&self) -> Result<System> {
        let mut conn = self.conn().await?;
        match document(&mut conn, &Key::System).await? {
            Some(Document::System(document)) => Ok(document.view()),
            _ => Ok(SystemDoc::default().view()),
        }
    }

    async fn strategies(&self, query: &StrategyQuery, request: &PageRequest) -> Result<Page<Strategy>> {
        let all = self.all_strategies(query.window).await?;
        let search = query.search.as_ref().map(|text| text.to_lowercase());
        let mut items: Vec<(i128, &Strategy)> = all
            .iter()
            .filter(|strategy| query.master.is_none_or(|master| strategy.master == master))
            .filter(|strategy| {
                search
                    .as_ref()
                    .is_none_or(|text| strategy.name.to_lowercase().contains(text.as_str()))
            })
            .filter(|strategy| {
                query
                    .market
                    .as_ref()
                    .is_none_or(|symbol| strategy.markets.iter().any(|market| market.symbol == *symbol))
            })
            .map(|strategy| (rank(strategy, query.order), strategy))
            .collect();
        // Largest rank first, then the older strategy.
        items.sort_by(|(a, left), (b, right)| b.cmp(a).then(left.id.cmp(&right.id)));
        if let Some(cursor) = &request.after {
            let [order, value, id]: [i128; 3] = page::decode('s', cursor)?;
            if order != query.order as i128 {
                return Err(StoreError::BadCursor);
            }
            items
                .retain(|(rank, strategy)| *rank < value || (*rank == value && i128::from(strategy.id) > id));
        }
        let page = paged(items, request.rows() as usize, |(value, strategy)| {
            page::encode('s', &[query.order as i128, *value, i128::from(strategy.id)])
        });
        Ok(Page {
            items: page
                .items
                .into_iter()
                .map(|(_, strategy)| strategy.clone())
                .collect(),
            next: page.next,
        })
    }

    async fn strategy(&self, id: StrategyId, window: Window) -> Result<Option<Strategy>> {
        let mut conn = self.conn().await?;
        let status = status_of(&mut conn).await?;
        let Some(document) = strategy_doc(&mut conn, id).await? else {
            return Ok(None);
        };
        let figures = statistics_of(&mut conn, &status, id, window).await?;
        Ok(Some(view::strategy(*document, figures, &status)))
    }

    async fn terms(&self, id: StrategyId) -> Result<Option<Terms>> {
        let mut conn = self.conn().await?;
        Ok(strategy_doc(&mut conn, id).await?.map(|document| document.terms))
    }

    async fn strategies_of(&self, master: Address) -> Result<Vec<StrategyId>> {
        let mut conn = self.conn().await?;
        let found = document_range(&mut conn, &Key::Strategy(0), &Key::Strategy(u64::MAX)).await?;
        Ok(found
            .into_iter()
            .filter_map(|(_, document)| match document {
                Document::Strategy(document) if document.master == master => Some(document.id),
                _ => None,
            })
            .collect())
    }

    async fn strategy_of(&self, vault: Address) -> Result<Option<StrategyId>> {
        let mut conn = self.conn().await?;
        match document(&mut conn, &Key::Vault(vault)).await? {
            Some(Document::Vault(document)) => Ok(Some(document.strategy)),
            _ => Ok(None),
        }
    }

    async fn statistics(&self, id: StrategyId, window: Window) -> Result<Option<Statistics>> {
        let mut conn = self.conn().await?;
        let status = status_of(&mut conn).await?;
        if strategy_doc(&mut conn, id).await?.is_none() {
            return Ok(None);
        }
        statistics_of(&mut conn, &status, id, window).await.map(Some)
    }

    async fn nav_curve(&self, series: Series, query: &NavQuery) -> Result<NavCurve> {
        let mut conn = self.conn().await?;
        let status = status_of(&mut conn).await?;
        let key = SeriesKey::from(series);
        let from = query.from.unwrap_or(0);
        let to = query.to.unwrap_or(u64::MAX);
        let wanted = query
            .points
            .unwrap_or(NavQuery::DEFAULT_POINTS)
            .clamp(4, NavQuery::MAX_POINTS) as usize;

        let days = buckets(&mut conn, &Key::Day(key, from / DAY), &Key::Day(key, to / DAY)).await?;
        let (Some((_, first)), Some((_, last))) = (days.first(), days.last()) else {
            return Ok(NavCurve {
                points: Vec::new(),
                exact: true,
                samples: 0,
            });
        };
        let count: u64 = days.iter().map(|(_, bucket)| bucket.count).sum();
        let (low, high) = (first.first.index, last.last.index);
        if count <= RAW_POINTS {
            let points: Vec<NavPoint> = points(&mut conn, &status, series, low, high)
                .await?
                .into_iter()
                .filter(|point| point.time >= from && point.time <= to)
                .collect();
            let samples = points.len() as u64;
            let kept = curve::thin(&points, wanted);
            return Ok(NavCurve {
                exact: kept.len() as u64 == samples,
                points: kept,
                samples,
            });
        }

        // Too many to read them all: whole hours or days give their extremes, the ragged ends are read point by point.
        let span = last.last.time.saturating_sub(first.first.time);
        let parts = if span / DAY >= wanted as u64 {
            days.into_iter().map(|(_, bucket)| bucket).collect()
        } else {
            let hours = buckets(
                &mut conn,
                &Key::Hour(key, from / HOUR),
                &Key::Hour(key, to / HOUR),
            )
            .await?;
            hours.into_iter().map(|(_, bucket)| bucket).collect::<Vec<_>>()
        };
        let inside = |bucket: &NavBucket| bucket.first.time >= from && bucket.last.time <= to;
        let mut whole = Vec::with_capacity(parts.len());
        for bucket in parts {
            if inside(&bucket) {
                whole.push(bucket);
                continue;
            }
            let ragged = points(&mut conn, &status, series, bucket.first.index, bucket.last.index).await?;
            let cut = ragged
                .iter()
                .filter(|point| point.time >= from && point.time <= to);
            if let Some(bucket) = curve::bucket(cut).map_err(corrupt)? {
                whole.push(bucket);
            }
        }
        let samples = whole.iter().map(|bucket| bucket.count).sum();
        let indexes = curve::extremes(&whole, wanted).map_err(corrupt)?;
        let kept = picked(&mut conn, &status, series, &indexes).await?;
        Ok(NavCurve {
            exact: kept.len() as u64 == samples,
            points: kept,
            samples,
        })
    }

    async fn nav_points(&self, series: Series, from: u64, limit: u32) -> Result<Vec<NavPoint>> {
        let mut conn = self.conn().await?;
        let status = status_of(&mut conn).await?;
        let last = from
            .saturating_add(u64::from(limit.min(10_000)))
            .saturating_sub(1);
        points(&mut conn, &status, series, from, last).await
    }

    async fn nav_latest(&self, series: Series) -> Result<Option<NavPoint>> {
        let mut conn = self.conn().await?;
        let status = status_of(&mut conn).await?;
        let count = match series {
            Series::Vault(vault) => match document(&mut conn, &Key::Vault(vault)).await? {
                Some(Document::Vault(document)) => document.points,
                _ => 0,
            },
            Series::Strategy(id) => strategy_doc(&mut conn, id)
                .await?
                .map_or(0, |document| document.points),
        };
        let Some(last) = count.checked_sub(1) else {
            return Ok(None);
        };
        Ok(points(&mut conn, &status, series, last, last).await?.pop())
    }

    async fn batches(&self, query: &BatchQuery, request: &PageRequest) -> Result<Page<Batch>> {
        let mut conn = self.conn().await?;
        let status = status_of(&mut conn).await?;
        let mut sql = QueryBuilder::<Db>::new("SELECT t.*, ");
        sql.push(BLOCK)
            .push(" FROM batches t JOIN blocks b ON b.number = t.block WHERE 1 = 1");
        if let Some(id) = query.strategy {
            sql.push(" AND t.strategy = ").push_bind(signed(id));
        }
        if let Some(vault) = query.vault {
            sql.push(" AND t.vault = ").push_bind(vault.to_vec());
        }
        if let Some(market) = query.market {
            sql.push(" AND t.market = ").push_bind(i64::from(market));
        }
        block_range(&mut sql, query.from_block, query.to_block);
        older::<2>(&mut sql, 'b', request, "t.block, t.log_index")?;
        sql.push(" ORDER BY t.block DESC, t.log_index DESC");
        limit(&mut sql, request);
        let rows = sql.build().fetch_all(&mut *conn).await.map_err(fault)?;
        let items = rows
            .iter()
            .map(|row| batch_of(row, &status))
            .collect::<Result<Vec<_>>>()?;
        Ok(paged(items, request.rows() as usize, |item| {
            page::encode('b', &key_of_log(&item.origin))
        }))
    }

    async fn batch(&self, vault: Address, batch_id: u64) -> Result<Option<Batch>> {
        let mut conn = self.conn().await?;
        let status = status_of(&mut conn).await?;
        let mut sql = QueryBuilder::<Db>::new("SELECT t.*, ");
        sql.push(BLOCK)
            .push(" FROM batches t JOIN blocks b ON b.number = t.block WHERE t.vault = ");
        sql.push_bind(vault.to_vec())
            .push(" AND t.batch_id = ")
            .push_bind(signed(batch_id));
        let row = sql.build().fetch_optional(&mut *conn).await.map_err(fault)?;
        row.map(|row| batch_of(&row, &status)).transpose()
    }

    async fn fills(&self, query: &FillQuery, request: &PageRequest) -> Result<Page<Fill>> {
        let mut conn = self.conn().await?;
        let status = status_of(&mut conn).await?;
        let mut strategy = query.strategy;
        let mut follower = query.follower;
        let mut place = None;
        if let Some(vault) = query.vault {
            // The indexes are by strategy, follower and place: what is asked for is said in these words.
            if let Some(batch_id) = query.batch_id {
                let row =
                    sqlx::query("SELECT block, log_index FROM batches WHERE vault = $1 AND batch_id = $2")
                        .bind(vault.to_vec())
                        .bind(signed(batch_id))
                        .fetch_optional(&mut *conn)
                        .await
                        .map_err(fault)?;
                let Some(row) = row else {
                    return Ok(Page {
                        items: Vec::new(),
                        next: None,
                    });
                };
                place = Some((int(&row, "block")?, int(&row, "log_index")?));
            }
            if let Some(account) = query.account {
                match document(&mut conn, &Key::Account(vault, account)).await? {
                    Some(Document::Account(document)) => {
                        if follower.is_some_and(|follower| follower != document.follower) {
                            return Ok(Page {
                                items: Vec::new(),
                                next: None,
                            });
                        }
                        follower = Some(document.follower);
                    }
                    _ => {
                        return Ok(Page {
                            items: Vec::new(),
                            next: None,
                        });
                    }
                }
            }
            if strategy.is_none() && follower.is_none() && place.is_none() {
                match document(&mut conn, &Key::Vault(vault)).await? {
                    Some(Document::Vault(document)) => strategy = Some(document.strategy),
                    _ => {
                        return Ok(Page {
                            items: Vec::new(),
                            next: None,
                        });
                    }
                }
            }
        }
        let mut sql = QueryBuilder::<Db>::new("SELECT t.*, ");
        sql.push(BLOCK)
            .push(" FROM fills t JOIN blocks b ON b.number = t.block WHERE 1 = 1");
        if let Some(follower) = follower {
            sql.push(" AND t.follower = ").push_bind(follower.to_vec());
        }
        if let Some(id) = strategy {
            sql.push(" AND t.strategy = ").push_bind(signed(id));
        }
        if let Some(vault) = query.vault {
            sql.push(" AND t.vault = ").push_bind(vault.to_vec());
        }
        if let Some(account) = query.account {
            sql.push(" AND t.account = ").push_bind(i64::from(account));
        }
        if let Some(batch_id) = query.batch_id {
            sql.push(" AND t.batch_id = ").push_bind(signed(batch_id));
        }
        if let Some((block, log_index)) = place {
            sql.push(" AND t.block = ")
                .push_bind(block)
                .push(" AND t.log_index = ")
                .push_bind(log_index);
        }
        if query.traded_only {
            sql.push(" AND t.size_delta <> '0'");
        }
        block_range(&mut sql, query.from_block, query.to_block);
        older::<3>(&mut sql, 'f', request, "t.block, t.log_index, t.line")?;
        sql.push(" ORDER BY t.block DESC, t.log_index DESC, t.line DESC");
        limit(&mut sql, request);
        let rows = sql.build().fetch_all(&mut *conn).await.map_err(fault)?;
        let items = rows
            .iter()
            .map(|row| Ok((int(row, "line")?, fill_of(row, &status)?)))
            .collect::<Result<Vec<_>>>()?;
        let page = paged(items, request.rows() as usize, |(line, fill)| {
            let [block, log] = key_of_log(&fill.origin);
            page::encode('f', &[block, log, i128::from(*line)])
        });
        Ok(Page {
            items: page.items.into_iter().map(|(_, fill)| fill).collect(),
            next: page.next,
        })
    }

    async fn signals(
        &self,
        strategy: StrategyId,
        market: Option<u8>,
        request: &PageRequest,
    ) -> Result<Page<Signal>> {
        let mut conn = self.conn().await?;
        let status = status_of(&mut conn).await?;
        let mut sql = QueryBuilder::<Db>::new("SELECT t.*, ");
        sql.push(BLOCK)
            .push(" FROM signals t JOIN blocks b ON b.number = t.block WHERE t.strategy = ");
        sql.push_bind(signed(strategy));
        if let Some(market) = market {
            sql.push(" AND t.market = ").push_bind(i64::from(market));
        }
        older::<2>(&mut sql, 'g', request, "t.block, t.log_index")?;
        sql.push(" ORDER BY t.block DESC, t.log_index DESC");
        limit(&mut sql, request);
        let rows = sql.build().fetch_all(&mut *conn).await.map_err(fault)?;
        let items = rows
            .iter()
            .map(|row| signal_of(row, &status))
            .collect::<Result<Vec<_>>>()?;
        Ok(paged(items, request.rows() as usize, |item| {
            page::encode('g', &key_of_log(&item.origin))
        }))
    }

    async fn followers(
        &self,
        strategy: StrategyId,
        query: &FollowerQuery,
        request: &PageRequest,
    ) -> Result<Page<Account>> {
        let mut conn = self.conn().await?;
        let wanted = request.rows() as usize + 1;
        let mut after: Option<Vec<u8>> = request
            .after
            .as_ref()
            .map(|cursor| {
                let [high, low, account]: [i128; 3] = page::decode('a', cursor)?;
                account_key(high, low, account).ok_or(StoreError::BadCursor)
            })
            .transpose()?;
        let mut found: Vec<AccountDoc> = Vec::new();
        // The status is inside the body: pages are read until one is full.
        while found.len() < wanted {
            let mut sql = QueryBuilder::<Db>::new(
                "SELECT kind, key, body FROM documents WHERE kind = 'account' AND strategy = ",
            );
            sql.push_bind(signed(strategy));
            if let Some(vault) = query.vault {
                sql.push(" AND key >= ").push_bind(Key::Account(vault, 0).bytes());
                sql.push(" AND key <= ")
                    .push_bind(Key::Account(vault, u32::MAX).bytes());
            }
            if let Some(after) = &after {
                sql.push(" AND key > ").push_bind(after.clone());
            }
            sql.push(" ORDER BY key LIMIT ").push_bind(signed(wanted as u64));
            let rows = sql.build().fetch_all(&mut *conn).await.map_err(fault)?;
            for row in &rows {
                let (key, document) = document_of(row)?;
                after = Some(key.bytes());
                if let Document::Account(document) = document
                    && query
                        .status
                        .is_none_or(|status: AccountStatus| status == document.status)
                {
                    found.push(*document);
                }
            }
            if rows.len() < wanted {
                break;
            }
        }
        found.truncate(wanted);
        let page = paged(found, request.rows() as usize, |document| {
            let (high, low) = split_address(document.vault);
            page::encode('a', &[high, low, i128::from(document.account)])
        });
        Ok(Page {
            items: accounts_of(&mut conn, page.items).await?,
            next: page.next,
        })
    }

    async fn accounts_of(&self, follower: Address) -> Result<Vec<Account>> {
        let mut conn = self.conn().await?;
        let rows = sqlx::query("SELECT kind, key, body FROM documents WHERE kind = 'account' AND owner = $1")
            .bind(follower.to_vec())
            .fetch_all(&mut *conn)
            .await
            .map_err(fault)?;
        let mut documents = rows
            .iter()
            .map(|row| match document_of(row)? {
                (_, Document::Account(document)) => Ok(*document),
                _ => Err(corrupt("an account that is none")),
            })
            .collect::<Result<Vec<_>>>()?;
        documents.sort_by_key(|document| (document.strategy, document.vault, document.account));
        accounts_of(&mut conn, documents).await
    }

    async fn account(&self, vault: Address, account: u32) -> Result<Option<Account>> {
        let mut conn = self.conn().await?;
        match document(&mut conn, &Key::Account(vault, account)).await? {
            Some(Document::Account(document)) => Ok(accounts_of(&mut conn, vec![*document]).await?.pop()),
            _ => Ok(None),
        }
    }

    async fn account_entries(&self, follower: Address, request: &PageRequest) -> Result<Page<AccountEntry>> {
        let mut conn = self.conn().await?;
        let status = status_of(&mut conn).await?;
        let mut sql = QueryBuilder::<Db>::new("SELECT t.*, ");
        sql.push(BLOCK)
            .push(" FROM entries t JOIN blocks b ON b.number = t.block WHERE t.follower = ");
        sql.push_bind(follower.to_vec());
        older::<3>(&mut sql, 'e', request, "t.block, t.log_index, t.line")?;
        sql.push(" ORDER BY t.block DESC, t.log_index DESC, t.line DESC");
        limit(&mut sql, request);
        let rows = sql.build().fetch_all(&mut *conn).await.map_err(fault)?;
        let items = rows
            .iter()
            .map(|row| Ok((int(row, "line")?, entry_of(row, &status)?)))
            .collect::<Result<Vec<_>>>()?;
        let page = paged(items, request.rows() as usize, |(line, entry)| {
            let [block, log] = key_of_log(&entry.origin);
            page::encode('e', &[block, log, i128::from(*line)])
        });
        Ok(Page {
            items: page.items.into_iter().map(|(_, entry)| entry).collect(),
            next: page.next,
        })
    }
}

impl SqlStore {
    /// All strategies with their figures; computed again only after a commit, and for all who ask at once together.
    async fn all_strategies(&self, window: Window) -> Result<Arc<Vec<Strategy>>> {
        let flight = Arc::clone(
            self.lists
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(window)
                .or_default(),
        );
        let (_, list) = flight
            .get(
                |(seq, _)| async move {
                    let mut conn = self.conn().await?;
                    Ok::<_, StoreError>(status_of(&mut conn).await?.seq == seq)
                },
                || self.list(window),
            )
            .await?;
        Ok(list)
    }

    async fn list(&self, window: Window) -> Result<Listed> {
        let mut conn = self.conn().await?;
        let status = status_of(&mut conn).await?;
        let mut list = Vec::new();
        for (_, document) in document_range(&mut conn, &Key::Strategy(0), &Key::Strategy(u64::MAX)).await? {
            if let Document::Strategy(document) = document {
                let figures = statistics_of(&mut conn, &status, document.id, window).await?;
                list.push(view::strategy(*document, figures, &status));
            }
        }
        Ok((status.seq, Arc::new(list)))
    }
}

/// What a list is ordered by, largest first.
fn rank(strategy: &Strategy, order: StrategyOrder) -> i128 {
    let figures = &strategy.statistics;
    match order {
        StrategyOrder::Equity => strategy.total_equity.0,
        StrategyOrder::Return => figures.total_return.value.map_or(i128::MIN, |value| value.0),
        StrategyOrder::Sharpe => figures.sharpe.value.map_or(i128::MIN, statistics::rank),
        StrategyOrder::Drawdown => figures.max_drawdown.value.map_or(0, |value| -value.depth.0),
        StrategyOrder::Followers => i128::from(strategy.followers),
        StrategyOrder::Newest => i128::from(strategy.id),
    }
}

fn split_address(address: Address) -> (i128, i128) {
    let part = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0i128, |value, byte| (value << 8) | i128::from(*byte))
    };
    let (high, low) = address.as_slice().split_at(10);
    (part(high), part(low))
}

fn account_key(high: i128, low: i128, account: i128) -> Option<Vec<u8>> {
    let bytes = |value: i128| value.to_be_bytes().last_chunk::<10>().copied();
    let mut vault = [0u8; 20];
    let (head, tail) = vault.split_at_mut(10);
    head.copy_from_slice(&bytes(high)?);
    tail.copy_from_slice(&bytes(low)?);
    Some(Key::Account(Address::from(vault), u32::try_from(account).ok()?).bytes())
}

fn block_range(sql: &mut QueryBuilder<Db>, from: Option<u64>, to: Option<u64>) {
    if let Some(from) = from {
        sql.push(" AND t.block >= ").push_bind(signed(from));
    }
    if let Some(to) = to {
        sql.push(" AND t.block <= ").push_bind(signed(to));
    }
}

/// Points of a series by index, `from`..=`to`.
async fn points(
    conn: &mut Conn,
    status: &IndexerStatus,
    series: Series,
    from: u64,
    to: u64,
) -> Result<Vec<NavPoint>> {
    let mut sql = QueryBuilder::<Db>::new("SELECT t.*, ");
    sql.push(BLOCK)
        .push(" FROM nav_points t JOIN blocks b ON b.number = t.block WHERE ");
    let column = of_series(&mut sql, series);
    sql.push(" AND ")
        .push(column)
        .push(" >= ")
        .push_bind(signed(from));
    sql.push(" AND ").push(column).push(" <= ").push_bind(signed(to));
    sql.push(" ORDER BY ").push(column);
    let rows = sql.build().fetch_all(&mut *conn).await.map_err(fault)?;
    rows.iter().map(|row| nav_of(row, series, status)).collect()
}

/// Points of a series with these indexes.
async fn picked(
    conn: &mut Conn,
    status: &IndexerStatus,
    series: Series,
    indexes: &BTreeSet<u64>,
) -> Result<Vec<NavPoint>> {
    let indexes: Vec<u64> = indexes.iter().copied().collect();
    let mut found = Vec::with_capacity(indexes.len());
    for chunk in indexes.chunks(1_000) {
        let mut sql = QueryBuilder::<Db>::new("SELECT t.*, ");
        sql.push(BLOCK)
            .push(" FROM nav_points t JOIN blocks b ON b.number = t.block WHERE ");
        let column = of_series(&mut sql, series);
        sql.push(" AND ").push(column).push(" IN (");
        let mut list = sql.separated(", ");
        for index in chunk {
            list.push_bind(signed(*index));
        }
        sql.push(") ORDER BY ").push(column);
        let rows = sql
            .build()
            .persistent(false)
            .fetch_all(&mut *conn)
            .await
            .map_err(fault)?;
        for row in &rows {
            found.push(nav_of(row, series, status)?);
        }
    }
    Ok(found)
}

fn of_series(sql: &mut QueryBuilder<Db>, series: Series) -> &'static str {
    match series {
        Series::Vault(vault) => {
            sql.push("t.vault = ").push_bind(vault.to_vec());
            "t.idx"
        }
        Series::Strategy(id) => {
            sql.push("t.strategy = ").push_bind(signed(id));
            "t.strategy_idx"
        }
    }
}

// ------------------------------------------------------------------------------------------------ writer

/// A change as it is written.
struct Told<'a> {
    seq: i64,
    kind: i64,
    from: u64,
    to: u64,
    strategies: &'a BTreeSet<StrategyId>,
    followers: &'a BTreeSet<Address>,
}

async fn tell(conn: &mut Conn, told: &Told<'_>) -> Result<()> {
    let everything = told.strategies.len() > CHANGE_NAMES || told.followers.len() > CHANGE_NAMES;
    let (strategies, followers) = if everything {
        ("[]".to_owned(), "[]".to_owned())
    } else {
        (table::json(told.strategies)?, table::json(told.followers)?)
    };
    sqlx::query(
        "INSERT INTO changes (seq, kind, from_block, to_block, everything, strategies, followers) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(told.seq)
    .bind(told.kind)
    .bind(signed(told.from))
    .bind(signed(told.to))
    .bind(i64::from(everything))
    .bind(strategies)
    .bind(followers)
    .execute(&mut *conn)
    .await
    .map_err(fault)?;
    sqlx::query("DELETE FROM changes WHERE seq <= $1")
        .bind(told.seq - CHANGES_KEPT)
        .execute(&mut *conn)
        .await
        .map_err(fault)?;
    Ok(())
}

async fn insert<T>(
    conn: &mut Conn,
    table: &Table,
    rows: &[T],
    columns: impl Fn(&T) -> Result<Vec<Value>>,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows.iter().map(columns).collect::<Result<Vec<_>>>()?;
    bulk(conn, table, rows).await
}

fn document_columns(seq: i64, key: &Key, document: &Document) -> Result<Vec<Value>> {
    let (strategy, owner) = document.found_by();
    Ok(vec![
        Value::Text(key.kind().to_owned()),
        Value::Bytes(key.bytes()),
        strategy.map_or(Ok(Value::Null), table::int)?,
        owner.map_or(Value::Null, table::bytes),
        Value::Int(seq),
        Value::Text(document.body().map_err(corrupt)?),
    ])
}

#[async_trait]
impl Writer for SqlStore {
    async fn attach(&self, identity: &Identity) -> Result<()> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT chain_id, registry FROM indexer WHERE id = 1")
            .fetch_optional(&mut *tx)
            .await
            .map_err(fault)?;
        if let Some(row) = row {
            let (found_chain, found_registry) = (unsigned(&row, "chain_id")?, address(&row, "registry")?);
            if (found_chain, found_registry) != (identity.chain_id, identity.registry) {
                return Err(StoreError::WrongDeployment {
                    found_chain,
                    found_registry,
                    chain: identity.chain_id,
                    registry: identity.registry,
                });
            }
            sqlx::query("UPDATE indexer SET confirmations = $1 WHERE id = 1")
                .bind(signed(identity.confirmations))
                .execute(&mut *tx)
                .await
                .map_err(fault)?;
        } else {
            sqlx::query(
                "INSERT INTO indexer (id, chain_id, registry, deployment_block, confirmations, head, head_seen_ms, \
                 finalized, undo_floor, seq) VALUES (1, $1, $2, $3, $4, 0, 0, 0, 0, 0)",
            )
            .bind(signed(identity.chain_id))
            .bind(identity.registry.to_vec())
            .bind(signed(identity.deployment_block))
            .bind(signed(identity.confirmations))
            .execute(&mut *tx)
            .await
            .map_err(fault)?;
        }
        self.commit(tx).await
    }

    async fn cursor(&self) -> Result<Option<BlockRef>> {
        let mut conn = self.write_conn().await?;
        let row = sqlx::query("SELECT cursor_number, cursor_hash, cursor_time FROM indexer WHERE id = 1")
            .fetch_optional(&mut *conn)
            .await
            .map_err(fault)?
            .ok_or(StoreError::Empty)?;
        cursor_of(&row)
    }

    async fn undo_floor(&self) -> Result<u64> {
        let mut conn = self.write_conn().await?;
        let row = sqlx::query("SELECT undo_floor FROM indexer WHERE id = 1")
            .fetch_one(&mut *conn)
            .await
            .map_err(fault)?;
        unsigned(&row, "undo_floor")
    }

    async fn blocks_down_from(&self, number: u64, limit: u32) -> Result<Vec<BlockRef>> {
        let mut conn = self.write_conn().await?;
        sqlx::query("SELECT number, hash, time FROM blocks WHERE number <= $1 ORDER BY number DESC LIMIT $2")
            .bind(signed(number))
            .bind(i64::from(limit))
            .fetch_all(&mut *conn)
            .await
            .map_err(fault)?
            .iter()
            .map(block_of)
            .collect()
    }

    async fn vaults(&self) -> Result<Vec<(Address, StrategyId)>> {
        let mut conn = self.write_conn().await?;
        let rows = sqlx::query("SELECT kind, key, body FROM documents WHERE kind = 'vault'")
            .fetch_all(&mut *conn)
            .await
            .map_err(fault)?;
        rows.iter()
            .map(|row| match document_of(row)? {
                (_, Document::Vault(document)) => Ok((document.vault, document.strategy)),
                _ => Err(corrupt("a vault that is none")),
            })
            .collect()
    }

    async fn documents(&self, keys: &BTreeSet<Key>) -> Result<Vec<(Key, Document)>> {
        let mut conn = self.write_conn().await?;
        load(&mut conn, keys).await
    }

    async fn accounts(&self, vault: Address) -> Result<Vec<(Key, Document)>> {
        let mut conn = self.write_conn().await?;
        document_range(&mut conn, &Key::Account(vault, 0), &Key::Account(vault, u32::MAX)).await
    }

    async fn apply(&self, commit: &Commit) -> Result<u64> {
        let mut tx = self.begin().await?;
        let conn: &mut Conn = &mut tx;
        let floor = commit.undo_above.min(commit.to.number);
        let row = sqlx::query(
            "UPDATE indexer SET seq = seq + 1, cursor_number = $1, cursor_hash = $2, cursor_time = $3, \
             undo_floor = CASE WHEN undo_floor < $4 THEN $4 ELSE undo_floor END \
             WHERE id = 1 AND cursor_hash IS NOT DISTINCT FROM $5 RETURNING seq",
        )
        .bind(signed(commit.to.number))
        .bind(commit.to.hash.to_vec())
        .bind(signed(commit.to.time))
        .bind(signed(floor))
        .bind(commit.after.map(|block| block.hash.to_vec()))
        .fetch_optional(&mut *conn)
        .await
        .map_err(fault)?
        .ok_or(StoreError::CursorMoved {
            expected: commit.after.map_or(0, |block| block.number),
        })?;
        let seq = int(&row, "seq")?;

        let with_rows: BTreeSet<u64> = commit.blocks.iter().map(|block| block.number).collect();
        let blocks: BTreeMap<u64, BlockRef> = commit
            .known
            .iter()
            .chain(&commit.blocks)
            .chain([&commit.to])
            .map(|block| (block.number, *block))
            .collect();
        let blocks: Vec<BlockRef> = blocks.into_values().collect();
        insert(conn, &table::BLOCKS, &blocks, |block| {
            Ok(vec![
                table::int(block.number)?,
                table::bytes(block.hash),
                table::int(block.time)?,
                Value::Int(i64::from(with_rows.contains(&block.number))),
            ])
        })
        .await?;
        let derived = &commit.derived;
        let facts = &derived.facts;
        insert(conn, &table::NAV_POINTS, &facts.nav, table::nav).await?;
        insert(conn, &table::BATCHES, &facts.batches, table::batch).await?;
        insert(conn, &table::FILLS, &facts.fills, |(line, row)| {
            table::fill(*line, row)
        })
        .await?;
        insert(conn, &table::SIGNALS, &facts.signals, table::signal).await?;
        insert(conn, &table::ENTRIES, &facts.entries, |(line, row)| {
            table::entry(*line, row)
        })
        .await?;
        insert(conn, &table::UNDO, &derived.undo, |undo| {
            let before = undo
                .before
                .as_ref()
                .map(Document::body)
                .transpose()
                .map_err(corrupt)?;
            Ok(vec![
                table::int(undo.block)?,
                Value::Text(undo.key.kind().to_owned()),
                Value::Bytes(undo.key.bytes()),
                before.map_or(Value::Null, Value::Text),
            ])
        })
        .await?;
        insert(conn, &table::DOCUMENTS, &derived.documents, |(key, document)| {
            document_columns(seq, key, document)
        })
        .await?;
        let told = Told {
            seq,
            kind: 0,
            from: commit.from,
            to: commit.to.number,
            strategies: &derived.strategies,
            followers: &derived.followers,
        };
        tell(conn, &told).await?;
        self.commit(tx).await?;
        u64::try_from(seq).map_err(corrupt)
    }

    async fn rollback_to(&self, to: Option<BlockRef>) -> Result<u64> {
        let mut tx = self.begin().await?;
        let conn: &mut Conn = &mut tx;
        let row = sqlx::query("UPDATE indexer SET seq = seq + 1 WHERE id = 1 RETURNING *")
            .fetch_optional(&mut *conn)
            .await
            .map_err(fault)?
            .ok_or(StoreError::Empty)?;
        let seq = int(&row, "seq")?;
        let floor = int(&row, "undo_floor")?;
        let from = cursor_of(&row)?.map_or(0, |cursor| cursor.number);
        let last = match to {
            Some(block) => signed(block.number),
            None => int(&row, "deployment_block")? - 1,
        };
        if floor > 0 && last < floor {
            let known = sqlx::query(
                "SELECT number, hash, time FROM blocks WHERE number <= $1 ORDER BY number DESC LIMIT 1",
            )
            .bind(floor)
            .fetch_optional(&mut *conn)
            .await
            .map_err(fault)?;
            let known = known.as_ref().map(block_of).transpose()?;
            return Err(StoreError::BeyondFinalized {
                to: u64::try_from(last).unwrap_or(0),
                finalized: u64::try_from(floor).unwrap_or(0),
                hash: known.map(|block| block.hash).unwrap_or_default(),
            });
        }
        if let Some(block) = to {
            let known = sqlx::query("SELECT number, hash, time FROM blocks WHERE number = $1")
                .bind(signed(block.number))
                .fetch_optional(&mut *conn)
                .await
                .map_err(fault)?;
            if known.as_ref().map(block_of).transpose()?.map(|known| known.hash) != Some(block.hash) {
                return Err(corrupt(format!(
                    "rollback to block {} {}, which is unknown",
                    block.number, block.hash
                )));
            }
        }

        for name in table::FACTS {
            let mut sql = QueryBuilder::<Db>::new("DELETE FROM ");
            sql.push(name).push(" WHERE block > ").push_bind(last);
            sql.build().execute(&mut *conn).await.map_err(fault)?;
        }
        // The body before the first block that is taken back.
        let rows = sqlx::query(
            "SELECT u.kind AS kind, u.key AS key, u.body AS body FROM undo u JOIN \
             (SELECT kind, key, MIN(block) AS block FROM undo WHERE block > $1 GROUP BY kind, key) f \
             ON f.kind = u.kind AND f.key = u.key AND f.block = u.block",
        )
        .bind(last)
        .fetch_all(&mut *conn)
        .await
        .map_err(fault)?;
        let mut restored = Vec::new();
        let mut strategies = BTreeSet::new();
        let mut followers = BTreeSet::new();
        for row in &rows {
            let key = key_of(row)?;
            let now = document(conn, &key).await?;
            let body: Option<String> = row.try_get("body").map_err(fault)?;
            let before = body
                .map(|body| Document::parse(&key, &body))
                .transpose()
                .map_err(corrupt)?;
            for document in [&now, &before].into_iter().flatten() {
                match document {
                    Document::Strategy(document) => {
                        strategies.insert(document.id);
                    }
                    Document::Account(document) => {
                        followers.insert(document.follower);
                    }
                    _ => {}
                }
            }
            match before {
                Some(document) => restored.push((key, document)),
                None => {
                    sqlx::query("DELETE FROM documents WHERE kind = $1 AND key = $2")
                        .bind(key.kind())
                        .bind(key.bytes())
                        .execute(&mut *conn)
                        .await
                        .map_err(fault)?;
                }
            }
        }
        insert(conn, &table::DOCUMENTS, &restored, |(key, document)| {
            document_columns(seq, key, document)
        })
        .await?;
        for sql in [
            "DELETE FROM undo WHERE block > $1",
            "DELETE FROM blocks WHERE number > $1",
        ] {
            sqlx::query(sql)
                .bind(last)
                .execute(&mut *conn)
                .await
                .map_err(fault)?;
        }
        sqlx::query("UPDATE indexer SET cursor_number = $1, cursor_hash = $2, cursor_time = $3 WHERE id = 1")
            .bind(to.map(|block| signed(block.number)))
            .bind(to.map(|block| block.hash.to_vec()))
            .bind(to.map(|block| signed(block.time)))
            .execute(&mut *conn)
            .await
            .map_err(fault)?;
        let told = Told {
            seq,
            kind: 1,
            from: u64::try_from(last + 1).unwrap_or(0),
            to: from,
            strategies: &strategies,
            followers: &followers,
        };
        tell(conn, &told).await?;
        self.commit(tx).await?;
        u64::try_from(seq).map_err(corrupt)
    }

    async fn observe(&self, heights: &Heights) -> Result<()> {
        let mut tx = self.begin().await?;
        let conn: &mut Conn = &mut tx;
        let row = sqlx::query("SELECT undo_floor, cursor_number FROM indexer WHERE id = 1")
            .fetch_optional(&mut *conn)
            .await
            .map_err(fault)?
            .ok_or(StoreError::Empty)?;
        let floor = int(&row, "undo_floor")?;
        let cursor: Option<i64> = row.try_get("cursor_number").map_err(fault)?;
        let settled = signed(heights.finalized).min(cursor.unwrap_or(0)).max(floor);
        // A node that is behind does not take finality back.
        sqlx::query(
            "UPDATE indexer SET head = $1, head_seen_ms = $2, undo_floor = $3, \
             finalized = CASE WHEN finalized < $4 THEN $4 ELSE finalized END WHERE id = 1",
        )
        .bind(signed(heights.head))
        .bind(signed(heights.seen_ms))
        .bind(settled)
        .bind(signed(heights.finalized))
        .execute(&mut *conn)
        .await
        .map_err(fault)?;
        if settled > floor {
            sqlx::query("DELETE FROM undo WHERE block <= $1")
                .bind(settled)
                .execute(&mut *conn)
                .await
                .map_err(fault)?;
            // The newest block at or below stays: it is what a later reorg is measured against.
            sqlx::query(
                "DELETE FROM blocks WHERE has_rows = 0 AND number < \
                 (SELECT MAX(number) FROM blocks WHERE number <= $1)",
            )
            .bind(settled)
            .execute(&mut *conn)
            .await
            .map_err(fault)?;
        }
        self.commit(tx).await
    }

    async fn dump(&self) -> Result<Vec<String>> {
        let mut conn = self.conn().await?;
        let mut lines = Vec::new();
        let status = status_of(&mut conn).await?;
        lines.push(format!("cursor {:?}", status.cursor));
        let mut rows = BTreeMap::new();
        for table in [
            &table::NAV_POINTS,
            &table::BATCHES,
            &table::FILLS,
            &table::SIGNALS,
            &table::ENTRIES,
            &table::DOCUMENTS,
        ] {
            let mut sql = QueryBuilder::<Db>::new("SELECT * FROM ");
            sql.push(table.name);
            rows.insert(
                table.name,
                (table, sql.build().fetch_all(&mut *conn).await.map_err(fault)?),
            );
        }
        for (name, (table, rows)) in rows {
            for row in &rows {
                let mut line = name.to_owned();
                for (column, kind) in table.columns {
                    if *column == "seq" {
                        continue;
                    }
                    let value = match kind {
                        table::Kind::Int => {
                            format!("{:?}", row.try_get::<Option<i64>, _>(*column).map_err(fault)?)
                        }
                        table::Kind::Text => {
                            format!("{:?}", row.try_get::<Option<String>, _>(*column).map_err(fault)?)
                        }
                        table::Kind::Bytes => {
                            let bytes: Option<Vec<u8>> = row.try_get(*column).map_err(fault)?;
                            bytes.map(alloy::hex::encode).unwrap_or_default()
                        }
                    };
                    line = format!("{line} {column}={value}");
                }
                lines.push(line);
            }
        }
        let mut blocks = sqlx::query("SELECT DISTINCT b.number AS number, b.hash AS hash, b.time AS time FROM blocks b WHERE b.has_rows = 1")
            .fetch_all(&mut *conn)
            .await
            .map_err(fault)?
            .iter()
            .map(|row| block_of(row).map(|block| format!("block {block:?}")))
            .collect::<Result<Vec<_>>>()?;
        lines.append(&mut blocks);
        lines.sort();
        Ok(lines)
    }
}
