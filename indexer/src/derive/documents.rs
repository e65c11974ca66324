//! What is kept per strategy, vault, account and day while events are applied. Each is one row of the `documents`
//! table; its body before a block is kept until the block is final, so that a reorg restores it exactly.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256};
use lockstep_contracts::units::{Size, Usdc, Wad};
use serde::{Deserialize, Serialize};

use crate::model::{AccountStatus, Bounds, Closed, PendingTerms, Series, Signal, StrategyId, System, Terms};

/// Name of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// The whole deployment.
    System,
    /// A strategy.
    Strategy(StrategyId),
    /// A shard.
    Vault(Address),
    /// An account of a shard.
    Account(Address, u32),
    /// NAV of one hour of a series, by unix hour.
    Hour(SeriesKey, u64),
    /// NAV of one UTC day of a series, by unix day.
    Day(SeriesKey, u64),
    /// Trades of one UTC day of a strategy, by unix day.
    Tally(StrategyId, u64),
}

/// [`Series`] with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum SeriesKey {
    Vault(Address),
    Strategy(StrategyId),
}

impl From<Series> for SeriesKey {
    fn from(series: Series) -> Self {
        match series {
            Series::Vault(vault) => Self::Vault(vault),
            Series::Strategy(id) => Self::Strategy(id),
        }
    }
}

impl SeriesKey {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Vault(vault) => [&[0u8], vault.as_slice()].concat(),
            Self::Strategy(id) => [&[1u8][..], &id.to_be_bytes()].concat(),
        }
    }
}

impl Key {
    /// Value of the column `kind`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Strategy(_) => "strategy",
            Self::Vault(_) => "vault",
            Self::Account(..) => "account",
            Self::Hour(..) => "hour",
            Self::Day(..) => "day",
            Self::Tally(..) => "tally",
        }
    }

    /// Value of the column `key`: big-endian, so that byte order is number order.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::System => Vec::new(),
            Self::Strategy(id) => id.to_be_bytes().to_vec(),
            Self::Vault(vault) => vault.to_vec(),
            Self::Account(vault, account) => [vault.as_slice(), &account.to_be_bytes()].concat(),
            Self::Hour(series, bucket) | Self::Day(series, bucket) => {
                [series.bytes().as_slice(), &bucket.to_be_bytes()].concat()
            }
            Self::Tally(id, day) => [id.to_be_bytes(), day.to_be_bytes()].concat(),
        }
    }

    /// The key of a row; `None` when the columns are no key.
    #[must_use]
    pub fn parse(kind: &str, bytes: &[u8]) -> Option<Self> {
        let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
        let address = |bytes: &[u8]| Address::try_from(bytes).ok();
        let series = |bytes: &[u8]| -> Option<(SeriesKey, u64)> {
            let (head, bucket) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
            let series = match head.split_first()? {
                (0, vault) => SeriesKey::Vault(address(vault)?),
                (1, id) => SeriesKey::Strategy(number(id)?),
                _ => return None,
            };
            Some((series, number(bucket)?))
        };
        Some(match kind {
            "system" if bytes.is_empty() => Self::System,
            "strategy" => Self::Strategy(number(bytes)?),
            "vault" => Self::Vault(address(bytes)?),
            "account" => {
                let (vault, account) = bytes.split_at_checked(20)?;
                Self::Account(address(vault)?, account.try_into().ok().map(u32::from_be_bytes)?)
            }
            "hour" => series(bytes).map(|(series, bucket)| Self::Hour(series, bucket))?,
            "day" => series(bytes).map(|(series, bucket)| Self::Day(series, bucket))?,
            "tally" => {
                let (id, day) = bytes.split_at_checked(8)?;
                Self::Tally(number(id)?, number(day)?)
            }
            _ => return None,
        })
    }
}

/// A market as governance listed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Listing {
    pub venue: Address,
    pub listing_id: u16,
    pub symbol: String,
    pub venue_market: B256,
}

/// The whole deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct SystemDoc {
    pub keepers: BTreeSet<Address>,
    pub listings: Vec<Listing>,
    pub breaker_until: u64,
    pub insurance_paid: Usdc,
    pub insurance_donated: Usdc,
    pub strategies: u64,
    pub accounts: u64,
}

impl SystemDoc {
    /// As readers see it.
    #[must_use]
    pub fn view(&self) -> System {
        System {
            keepers: self.keepers.iter().copied().collect(),
            breaker_until: self.breaker_until,
            insurance_paid: self.insurance_paid,
            insurance_donated: self.insurance_donated,
            strategies: self.strategies,
            accounts: self.accounts,
        }
    }
}

/// A shard inside its strategy: the last point of its NAV record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Shard {
    pub vault: Address,
    pub nav_index: Wad,
    pub total_equity: Usdc,
    pub points: u64,
}

/// A market of a strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct MarketDoc {
    pub listing_id: u16,
    pub symbol: String,
    pub venue_market: B256,
}

/// A strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct StrategyDoc {
    pub id: StrategyId,
    pub name: String,
    pub master: Address,
    pub venue: Address,
    pub source: Option<Address>,
    pub shards: Vec<Shard>,
    pub markets: Vec<MarketDoc>,
    pub terms: Terms,
    pub pending_terms: Option<PendingTerms>,
    pub registered_at: u64,
    pub registered_block: u64,
    pub followers: u64,
    pub accounts: u64,
    pub nav_index: Wad,
    pub total_equity: Usdc,
    pub points: u64,
    pub nav_time: Option<u64>,
    /// Latest per market; its finality is filled in when read.
    pub signals: BTreeMap<u8, Signal>,
}

impl StrategyDoc {
    /// Symbol of a local market.
    #[must_use]
    pub fn symbol(&self, market: u8) -> Option<&str> {
        self.markets
            .get(usize::from(market))
            .map(|market| market.symbol.as_str())
    }
}

/// Last index price of a market seen on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Mark {
    pub price: Wad,
    pub time: u64,
}

/// A shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct VaultDoc {
    pub vault: Address,
    pub strategy: StrategyId,
    pub points: u64,
    pub batches: u64,
    /// margin = shares × margin index; only ever falls, with socialised losses.
    pub margin_index: Wad,
    pub marks: BTreeMap<u8, Mark>,
}

/// An account's position in one market.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct PositionDoc {
    pub size: Size,
    /// Quote balance as on chain.
    pub quote: Usdc,
    /// Σ |size| × price of what is open, 1e-18 USDC, fees not in it.
    pub entry_cost: Wad,
    /// Part of the quote balance that belongs to what is open.
    pub open_quote: Usdc,
    /// Realised since the position was opened.
    pub realised: Usdc,
    pub opened_at: u64,
    /// Funding index up to which the quote balance has paid, 1e9 per base unit.
    pub funding_index: i64,
    /// The position before the last change the venue made, until something else touches it: the vault may still fold a
    /// further change into that one.
    pub unchanged: Option<Unchanged>,
}

impl PositionDoc {
    /// Nothing is left of it that the vault still holds.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.size.0 == 0 && self.quote.0 == 0
    }
}

/// What a change by the venue was applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Unchanged {
    /// Number of the change.
    pub generation: u8,
    pub size: Size,
    pub quote: Usdc,
    pub funding_index: i64,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct AccountDoc {
    pub vault: Address,
    pub account: u32,
    pub strategy: StrategyId,
    pub follower: Address,
    pub status: AccountStatus,
    pub bounds: Option<Bounds>,
    pub opened_at: u64,
    pub touched_at: u64,
    /// Margin in shares of the vault's margin index, 1e-6.
    pub margin_shares: Usdc,
    pub deposited: Usdc,
    pub withdrawn: Usdc,
    pub high_water_mark: Option<Usdc>,
    pub fees: Usdc,
    pub performance_fees: Usdc,
    pub volume: Usdc,
    pub slippage_cost: Usdc,
    pub fills: u64,
    pub skips: u64,
    pub closed: Closed,
    pub positions: BTreeMap<u8, PositionDoc>,
}

/// One point in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct BucketPoint {
    pub index: u64,
    pub time: u64,
    pub nav: Wad,
}

/// A fall inside a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Fall {
    pub peak: BucketPoint,
    pub trough: BucketPoint,
}

/// NAV of one hour or day: enough to draw its extremes and to know its deepest fall exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct NavBucket {
    pub count: u64,
    pub first: BucketPoint,
    pub last: BucketPoint,
    pub low: BucketPoint,
    pub high: BucketPoint,
    pub fall: Option<Fall>,
}

/// What followers of a strategy traded on one UTC day. All sums.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Tally {
    pub closed: Closed,
    pub volume: Usdc,
    pub fees: Usdc,
    pub fills: u64,
    pub performance_fees: Usdc,
    pub charges: u64,
    pub batches: u64,
    pub named: u64,
    pub moved: u64,
    pub batch_volume: Usdc,
    pub slippage_cost: Usdc,
    pub delay_ms: i64,
    pub max_delay_ms: Option<i64>,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Document {
    System(SystemDoc),
    Strategy(Box<StrategyDoc>),
    Vault(VaultDoc),
    Account(Box<AccountDoc>),
    Bucket(Box<NavBucket>),
    Tally(Box<Tally>),
}

impl Document {
    /// Body of the row.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which no document can do.
    pub fn body(&self) -> serde_json::Result<String> {
        match self {
            Self::System(doc) => serde_json::to_string(doc),
            Self::Strategy(doc) => serde_json::to_string(doc),
            Self::Vault(doc) => serde_json::to_string(doc),
            Self::Account(doc) => serde_json::to_string(doc),
            Self::Bucket(doc) => serde_json::to_string(doc),
            Self::Tally(doc) => serde_json::to_string(doc),
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When the body is not what the key says.
    pub fn parse(key: &Key, body: &str) -> serde_json::Result<Self> {
        Ok(match key {
            Key::System => Self::System(serde_json::from_str(body)?),
            Key::Strategy(_) => Self::Strategy(serde_json::from_str(body)?),
            Key::Vault(_) => Self::Vault(serde_json::from_str(body)?),
            Key::Account(..) => Self::Account(serde_json::from_str(body)?),
            Key::Hour(..) | Key::Day(..) => Self::Bucket(serde_json::from_str(body)?),
            Key::Tally(..) => Self::Tally(serde_json::from_str(body)?),
        })
    }

    /// Columns by which a document is found besides its key: strategy and owner.
    #[must_use]
    pub fn found_by(&self) -> (Option<StrategyId>, Option<Address>) {
        match self {
            Self::Strategy(doc) => (Some(doc.id), Some(doc.master)),
            Self::Vault(doc) => (Some(doc.strategy), None),
            Self::Account(doc) => (Some(doc.strategy), Some(doc.follower)),
            Self::System(_) | Self::Bucket(_) | Self::Tally(_) => (None, None),
        }
    }
}
