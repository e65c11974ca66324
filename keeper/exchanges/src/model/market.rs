use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Decimal, Side, Text};

/// Best prices and the last trade. Which fields a message carries differs by venue and by update.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ticker {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// Highest buy price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bid: Option<Decimal>,
    /// Size there, base units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bid_size: Option<Decimal>,
    /// Lowest sell price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Decimal>,
    /// Size there, base units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask_size: Option<Decimal>,
    /// Price of the last trade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Decimal>,
    /// Mark price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<Decimal>,
    /// Index price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<Decimal>,
    /// Funding rate of the current interval, as a fraction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub funding_rate: Option<Decimal>,
    /// When, Unix milliseconds; 0 where the venue does not say.
    pub time_ms: u64,
}

/// The venue's fair price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// Mark price.
    pub price: Decimal,
    /// Index price, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<Decimal>,
    /// When, Unix milliseconds.
    pub time_ms: u64,
}

/// Funding of a perpetual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funding {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// Rate per interval as a fraction: positive is paid by longs to shorts.
    pub rate: Decimal,
    /// When it is paid next, Unix milliseconds, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_time_ms: Option<u64>,
    /// Length of the interval in hours, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_hours: Option<u32>,
    /// When this was stated, Unix milliseconds.
    pub time_ms: u64,
}

/// A public trade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// The venue's id.
    pub trade_id: Text,
    /// The taker's side.
    pub side: Side,
    /// Base units.
    pub size: Decimal,
    /// Price.
    pub price: Decimal,
    /// Buyer, on venues that name users (Hyperliquid).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buyer: Option<Text>,
    /// Seller, on venues that name users (Hyperliquid).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seller: Option<Text>,
    /// The taker was liquidated, where told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub liquidation: bool,
    /// When, Unix milliseconds.
    pub time_ms: u64,
}

/// One price of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Price.
    pub price: Decimal,
    /// Base units; zero in an update removes the price.
    pub size: Decimal,
}

/// How a book message proves that nothing is missing before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookCheck {
    /// The venue gives nothing to check: every message is the whole book.
    #[default]
    Whole,
    /// It covers the updates `first..=last`; `previous` is the last of the message before, where the venue names it.
    Sequence {
        /// First update it covers.
        first: i64,
        /// Last update it covers.
        last: i64,
        /// Last update of the message before.
        #[serde(skip_serializing_if = "Option::is_none")]
        previous: Option<i64>,
    },
}

/// A book or a change of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// The whole book (as deep as the stream goes), or only what changed.
    pub snapshot: bool,
    /// Buy prices.
    pub bids: Vec<Level>,
    /// Sell prices.
    pub asks: Vec<Level>,
    /// Where it belongs in the sequence.
    pub check: BookCheck,
    /// CRC32 over the best levels after it, where the venue sends one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<u32>,
    /// When, Unix milliseconds.
    pub time_ms: u64,
}

/// Length of a kline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Interval {
    /// One minute.
    #[serde(rename = "1m")]
    Minute,
    /// Five minutes.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// A quarter of an hour.
    #[serde(rename = "15m")]
    QuarterHour,
    /// An hour.
    #[serde(rename = "1h")]
    Hour,
    /// Four hours.
    #[serde(rename = "4h")]
    FourHours,
    /// A UTC day.
    #[serde(rename = "1d")]
    Day,
}

impl Interval {
    /// All of them, shortest first.
    pub const ALL: [Self; 6] = [
        Self::Minute,
        Self::FiveMinutes,
        Self::QuarterHour,
        Self::Hour,
        Self::FourHours,
        Self::Day,
    ];

    /// Milliseconds.
    #[must_use]
    pub const fn milliseconds(self) -> u64 {
        60_000
            * match self {
                Self::Minute => 1,
                Self::FiveMinutes => 5,
                Self::QuarterHour => 15,
                Self::Hour => 60,
                Self::FourHours => 240,
                Self::Day => 1_440,
            }
    }

    /// Its name here.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::QuarterHour => "15m",
            Self::Hour => "1h",
            Self::FourHours => "4h",
            Self::Day => "1d",
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|interval| interval.name() == name)
            .ok_or_else(|| format!("{name:?} is no interval: 1m, 5m, 15m, 1h, 4h or 1d"))
    }
}

/// Open, high, low, close and volume of one interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kline {
    /// The venue's word for the instrument.
    pub instrument: Text,
    /// Length.
    pub interval: Interval,
    /// Start, Unix milliseconds.
    pub start_ms: u64,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Base units.
    pub volume: Decimal,
    /// It will not change again; none where the venue does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<bool>,
    /// When this was stated, Unix milliseconds.
    pub time_ms: u64,
}
