//! Rows as columns: the one place that knows the order of columns when writing.

use alloy::primitives::{Address, B256};
use lockstep_contracts::units::{Size, Usdc, Wad};

use super::{Result, StoreError};
use crate::derive::NavRow;
use crate::model::{AccountEntry, Batch, Fill, FillCause, Proof, Signal};

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Value {
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    Null,
}

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Int,
    Text,
    Bytes,
}

/// A table as it is written.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Columns in the order of the rows' values.
    pub columns: &'static [(&'static str, Kind)],
    /// Columns that name a row, when rows may be replaced; empty = a row that is there is an error.
    pub replace_by: &'static [&'static str],
}

use Kind::{Bytes, Int, Text};

pub const BLOCKS: Table = Table {
    name: "blocks",
    columns: &[("number", Int), ("hash", Bytes), ("time", Int), ("has_rows", Int)],
    replace_by: &[],
};

pub const NAV_POINTS: Table = Table {
    name: "nav_points",
    columns: &[
        ("vault", Bytes),
        ("idx", Int),
        ("strategy", Int),
        ("strategy_idx", Int),
        ("time", Int),
        ("nav_index", Text),
        ("total_equity", Text),
        ("strategy_nav_index", Text),
        ("strategy_equity", Text),
        ("block", Int),
        ("log_index", Int),
        ("tx_hash", Bytes),
    ],
    replace_by: &[],
};

pub const BATCHES: Table = Table {
    name: "batches",
    columns: &[
        ("vault", Bytes),
        ("batch_id", Int),
        ("strategy", Int),
        ("market", Int),
        ("symbol", Text),
        ("sequence", Int),
        ("leverage", Text),
        ("observed_at_ms", Int),
        ("delay_ms", Int),
        ("index_price", Text),
        ("fill_price", Text),
        ("slippage_bps", Text),
        ("net_size", Text),
        ("crossed_size", Text),
        ("venue_fee", Text),
        ("copy_fee", Text),
        ("volume", Text),
        ("moved", Int),
        ("skipped", Int),
        ("block", Int),
        ("log_index", Int),
        ("tx_hash", Bytes),
    ],
    replace_by: &[],
};

pub const FILLS: Table = Table {
    name: "fills",
    columns: &[
        ("block", Int),
        ("log_index", Int),
        ("line", Int),
        ("vault", Bytes),
        ("account", Int),
        ("follower", Bytes),
        ("strategy", Int),
        ("market", Int),
        ("symbol", Text),
        ("cause", Int),
        ("batch_id", Int),
        ("outcome", Int),
        ("delay_ms", Int),
        ("size_delta", Text),
        ("quote_delta", Text),
        ("fee", Text),
        ("price", Text),
        ("index_price", Text),
        ("slippage_bps", Text),
        ("notional", Text),
        ("position", Text),
        ("realised", Text),
        ("tx_hash", Bytes),
    ],
    replace_by: &[],
};

pub const SIGNALS: Table = Table {
    name: "signals",
    columns: &[
        ("strategy", Int),
        ("market", Int),
        ("symbol", Text),
        ("sequence", Int),
        ("leverage", Text),
        ("observed_at_ms", Int),
        ("proof", Int),
        ("block", Int),
        ("log_index", Int),
        ("tx_hash", Bytes),
    ],
    replace_by: &[],
};

pub const ENTRIES: Table = Table {
    name: "entries",
    columns: &[
        ("block", Int),
        ("log_index", Int),
        ("line", Int),
        ("vault", Bytes),
        ("account", Int),
        ("follower", Bytes),
        ("strategy", Int),
        ("body", Text),
        ("tx_hash", Bytes),
    ],
    replace_by: &[],
};

pub const DOCUMENTS: Table = Table {
    name: "documents",
    columns: &[
        ("kind", Text),
        ("key", Bytes),
        ("strategy", Int),
        ("owner", Bytes),
        ("seq", Int),
        ("body", Text),
    ],
    replace_by: &["kind", "key"],
};

pub const UNDO: Table = Table {
    name: "undo",
    columns: &[("block", Int), ("kind", Text), ("key", Bytes), ("body", Text)],
    replace_by: &[],
};

/// Tables whose rows belong to a block and go with it.
pub const FACTS: [&str; 5] = ["nav_points", "batches", "fills", "signals", "entries"];

/// A number that the engines keep as signed 64-bit. Decoding has refused larger ones.
pub fn int(value: u64) -> Result<Value> {
    i64::try_from(value)
        .map(Value::Int)
        .map_err(|_| StoreError::Corrupt {
            detail: format!("number {value} does not fit 63 bits"),
        })
}

pub fn small(value: impl Into<i64>) -> Value {
    Value::Int(value.into())
}

pub fn bytes(value: impl AsRef<[u8]>) -> Value {
    Value::Bytes(value.as_ref().to_vec())
}

fn address(value: &Address) -> Value {
    bytes(value)
}

fn hash(value: &B256) -> Value {
    bytes(value)
}

fn usdc(value: Usdc) -> Value {
    Value::Text(value.0.to_string())
}

fn size(value: Size) -> Value {
    Value::Text(value.0.to_string())
}

fn wad(value: Wad) -> Value {
    Value::Text(value.0.to_string())
}

/// PostgreSQL's text holds no zero byte, and a name from the chain may.
pub fn text(value: &str) -> Value {
    Value::Text(value.replace('\0', ""))
}

pub fn nav(row: &NavRow) -> Result<Vec<Value>> {
    Ok(vec![
        address(&row.vault),
        int(row.index)?,
        int(row.strategy)?,
        int(row.strategy_index)?,
        int(row.time)?,
        wad(row.nav_index),
        usdc(row.total_equity),
        wad(row.strategy_nav_index),
        usdc(row.strategy_equity),
        int(row.origin.block)?,
        int(row.origin.log_index)?,
        hash(&row.origin.tx_hash),
    ])
}

pub fn batch(row: &Batch) -> Result<Vec<Value>> {
    Ok(vec![
        address(&row.vault),
        int(row.batch_id)?,
        int(row.strategy_id)?,
        small(row.market),
        text(&row.symbol),
        int(row.sequence)?,
        wad(row.leverage),
        int(row.observed_at_ms)?,
        Value::Int(row.delay_ms),
        wad(row.index_price),
        wad(row.fill_price),
        wad(row.slippage_bps),
        size(row.net_size),
        size(row.crossed_size),
        usdc(row.venue_fee),
        usdc(row.copy_fee),
        usdc(row.volume),
        small(row.moved),
        small(row.skipped),
        int(row.origin.block)?,
        int(row.origin.log_index)?,
        hash(&row.origin.tx_hash),
    ])
}

pub fn fill(line: u32, row: &Fill) -> Result<Vec<Value>> {
    let (cause, batch_id, outcome, delay) = match row.cause {
        FillCause::Batch {
            batch_id,
            outcome,
            delay_ms,
        } => (0, int(batch_id)?, small(outcome as u8), Value::Int(delay_ms)),
        FillCause::Exit => (1, Value::Null, Value::Null, Value::Null),
        FillCause::StopLoss => (2, Value::Null, Value::Null, Value::Null),
        FillCause::TakeProfit => (3, Value::Null, Value::Null, Value::Null),
        FillCause::Liquidation => (4, Value::Null, Value::Null, Value::Null),
    };
    Ok(vec![
        int(row.origin.block)?,
        int(row.origin.log_index)?,
        small(line),
        address(&row.vault),
        small(row.account),
        row.follower.as_ref().map_or(Value::Null, address),
        int(row.strategy_id)?,
        small(row.market),
        text(&row.symbol),
        Value::Int(cause),
        batch_id,
        outcome,
        delay,
        size(row.size_delta),
        usdc(row.quote_delta),
        usdc(row.fee),
        wad(row.price),
        wad(row.index_price),
        wad(row.slippage_bps),
        usdc(row.notional),
        size(row.position),
        usdc(row.realised),
        hash(&row.origin.tx_hash),
    ])
}

pub fn signal(row: &Signal) -> Result<Vec<Value>> {
    let proof = match row.proof {
        Proof::Venue => 0,
        Proof::Master => 1,
        Proof::Keeper => 2,
    };
    Ok(vec![
        int(row.strategy_id)?,
        small(row.market),
        text(&row.symbol),
        int(row.sequence)?,
        wad(row.leverage),
        int(row.observed_at_ms)?,
        Value::Int(proof),
        int(row.origin.block)?,
        int(row.origin.log_index)?,
        hash(&row.origin.tx_hash),
    ])
}

pub fn entry(line: u32, row: &AccountEntry) -> Result<Vec<Value>> {
    Ok(vec![
        int(row.origin.block)?,
        int(row.origin.log_index)?,
        small(line),
        address(&row.vault),
        small(row.account),
        address(&row.follower),
        int(row.strategy_id)?,
        Value::Text(json(&row.event)?),
        hash(&row.origin.tx_hash),
    ])
}

pub fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt {
        detail: error.to_string(),
    })
}
