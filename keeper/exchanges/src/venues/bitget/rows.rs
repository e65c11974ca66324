//! Rows of market data in both interfaces, and what the rows of accounts share.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::words;
use crate::error::DecodeError;
use crate::json::{Id, Number};
use crate::model::{
    Book, BookCheck, Decimal, Event, Fee, Funding, Interval, Kline, Level, Mark, Text, Ticker, Trade,
};
use crate::venues::rows::{PriceAndSize, each};

pub(super) const fn missing(field: &'static str, message: &'static str) -> DecodeError {
    DecodeError::MissingField { field, message }
}

pub(super) fn optional(
    number: Option<Number<'_>>,
    field: &'static str,
) -> Result<Option<Decimal>, DecodeError> {
    number.map_or(Ok(None), |number| number.optional(field))
}

/// A number of which zero means that there is none.
pub(super) fn unless_zero(
    number: Option<Number<'_>>,
    field: &'static str,
) -> Result<Option<Decimal>, DecodeError> {
    Ok(optional(number, field)?.filter(|number| !number.is_zero()))
}

/// The first time that stands there.
pub(super) fn first_time(times: &[Option<Number<'_>>], field: &'static str) -> Result<u64, DecodeError> {
    times
        .iter()
        .flatten()
        .find(|time| !time.is_absent())
        .ok_or_else(|| missing(field, "row"))?
        .milliseconds(field)
}

/// One line of what a fill cost.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FeeRow<'a> {
    #[serde(borrow, default)]
    fee_coin: Option<&'a str>,
    #[serde(borrow, default)]
    fee: Option<Number<'a>>,
    #[serde(borrow, default)]
    total_fee: Option<Number<'a>>,
}

/// What a fill cost, from a list that has one line in practice; an empty text stands there when nothing was charged.
/// The older interface counts from the account's side (`totalFee`, what was paid is negative), the newer one from the
/// venue's (`fee`, what was paid is positive).
pub(super) fn fee(detail: Option<&RawValue>) -> Result<Option<Fee>, DecodeError> {
    let mut charged = None;
    if let Some(list) = detail.filter(|detail| detail.get().starts_with('[')) {
        each(list, |row: FeeRow<'_>| {
            let amount = match optional(row.total_fee, "totalFee")? {
                Some(total) => Some(-total),
                None => optional(row.fee, "fee")?,
            };
            if let (None, Some(amount), Some(asset)) = (&charged, amount, row.fee_coin) {
                charged = Some(Fee {
                    amount,
                    asset: Text::new(asset),
                });
            }
            Ok(())
        })?;
    }
    Ok(charged)
}

/// Best prices, mark price and funding in one row, of either interface.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TickerRow<'a> {
    #[serde(borrow, default)]
    inst_id: Option<&'a str>,
    #[serde(borrow, default)]
    symbol: Option<&'a str>,
    #[serde(borrow, default)]
    category: Option<&'a str>,
    #[serde(borrow, default, alias = "lastPrice")]
    last_pr: Option<Number<'a>>,
    #[serde(borrow, default, alias = "bid1Price")]
    bid_pr: Option<Number<'a>>,
    #[serde(borrow, default, alias = "ask1Price")]
    ask_pr: Option<Number<'a>>,
    #[serde(borrow, default, alias = "bid1Size")]
    bid_sz: Option<Number<'a>>,
    #[serde(borrow, default, alias = "ask1Size")]
    ask_sz: Option<Number<'a>>,
    #[serde(borrow, default)]
    mark_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    index_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    funding_rate: Option<Number<'a>>,
    #[serde(borrow, default)]
    next_funding_time: Option<Number<'a>>,
    #[serde(borrow, default)]
    ts: Option<Number<'a>>,
}

impl TickerRow<'_> {
    /// `named` is the instrument the message is of; `told_ms` when it was made.
    pub(super) fn read(&self, named: Option<&str>, told_ms: Option<u64>) -> Result<Ticker, DecodeError> {
        if let Some(category) = self.category {
            words::only_supported(category)?;
        }
        let instrument = self
            .inst_id
            .or(self.symbol)
            .or(named)
            .ok_or_else(|| missing("symbol", "ticker"))?;
        let (last, bid, ask) = (
            optional(self.last_pr, "lastPr")?,
            optional(self.bid_pr, "bidPr")?,
            optional(self.ask_pr, "askPr")?,
        );
        if last.is_none() && bid.is_none() && ask.is_none() {
            return Err(missing("lastPr", "ticker"));
        }
        Ok(Ticker {
            instrument: Text::new(instrument),
            bid,
            bid_size: optional(self.bid_sz, "bidSz")?,
            ask,
            ask_size: optional(self.ask_sz, "askSz")?,
            last,
            mark: optional(self.mark_price, "markPrice")?,
            index: optional(self.index_price, "indexPrice")?,
            funding_rate: optional(self.funding_rate, "fundingRate")?,
            time_ms: match (self.ts.filter(|ts| !ts.is_absent()), told_ms) {
                (Some(ts), _) => ts.milliseconds("ts")?,
                (None, told) => told.unwrap_or_default(),
            },
        })
    }

    /// Everything the row says: best prices, and the mark price and the funding rate as events of their own.
    pub(super) fn events(
        &self,
        named: Option<&str>,
        told_ms: Option<u64>,
        events: &mut Vec<Event>,
    ) -> Result<(), DecodeError> {
        let ticker = self.read(named, told_ms)?;
        let mark = ticker.mark.map(|price| Mark {
            instrument: ticker.instrument.clone(),
            price,
            index: ticker.index,
            time_ms: ticker.time_ms,
        });
        let next_time_ms = match self.next_funding_time.filter(|time| !time.is_absent()) {
            Some(time) => Some(time.milliseconds("nextFundingTime")?),
            None => None,
        };
        let funding = ticker.funding_rate.map(|rate| Funding {
            instrument: ticker.instrument.clone(),
            rate,
            next_time_ms,
            interval_hours: None,
            time_ms: ticker.time_ms,
        });
        events.push(Event::Ticker(ticker));
        events.extend(mark.map(Event::Mark));
        events.extend(funding.map(Event::Funding));
        Ok(())
    }

    /// The mark price in the row.
    pub(super) fn mark(&self, named: Option<&str>) -> Result<Mark, DecodeError> {
        let ticker = self.read(named, None)?;
        Ok(Mark {
            price: ticker.mark.ok_or_else(|| missing("markPrice", "ticker"))?,
            instrument: ticker.instrument,
            index: ticker.index,
            time_ms: ticker.time_ms,
        })
    }
}

/// The reply about one mark price in the older interface.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MarkRow<'a> {
    #[serde(borrow)]
    symbol: &'a str,
    mark_price: Number<'a>,
    #[serde(borrow, default)]
    index_price: Option<Number<'a>>,
    ts: Number<'a>,
}

impl MarkRow<'_> {
    pub(super) fn read(&self) -> Result<Mark, DecodeError> {
        Ok(Mark {
            instrument: Text::new(self.symbol),
            price: self.mark_price.decimal("markPrice")?,
            index: optional(self.index_price, "indexPrice")?,
            time_ms: self.ts.milliseconds("ts")?,
        })
    }
}

/// A funding rate; how long its interval is in hours and when it ends.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FundingRow<'a> {
    #[serde(borrow)]
    symbol: &'a str,
    funding_rate: Number<'a>,
    #[serde(borrow, default)]
    funding_rate_interval: Option<Number<'a>>,
    #[serde(borrow, default)]
    next_update: Option<Number<'a>>,
}

impl FundingRow<'_> {
    pub(super) fn read(&self, told_ms: u64) -> Result<Funding, DecodeError> {
        let hours = match self.funding_rate_interval.filter(|hours| !hours.is_absent()) {
            Some(hours) => u32::try_from(hours.integer("fundingRateInterval")?).ok(),
            None => None,
        };
        Ok(Funding {
            instrument: Text::new(self.symbol),
            rate: self.funding_rate.decimal("fundingRate")?,
            next_time_ms: match self.next_update.filter(|time| !time.is_absent()) {
                Some(time) => Some(time.milliseconds("nextUpdate")?),
                None => None,
            },
            interval_hours: hours,
            time_ms: told_ms,
        })
    }
}

/// A book or a change of one, of either interface.
#[derive(Deserialize)]
pub(super) struct BookRow<'a> {
    #[serde(borrow, alias = "a")]
    asks: Vec<PriceAndSize<'a>>,
    #[serde(borrow, alias = "b")]
    bids: Vec<PriceAndSize<'a>>,
    ts: Number<'a>,
    #[serde(default)]
    checksum: Option<i32>,
    #[serde(borrow, default)]
    seq: Option<Number<'a>>,
    #[serde(borrow, default)]
    pseq: Option<Number<'a>>,
}

impl BookRow<'_> {
    /// `changes`: its stream sends changes after the first message.
    pub(super) fn read(&self, instrument: &str, snapshot: bool, changes: bool) -> Result<Book, DecodeError> {
        let last = match self.seq.filter(|seq| !seq.is_absent()) {
            Some(seq) => Some(seq.integer("seq")?),
            None => None,
        };
        let check = match (changes, last) {
            (true, Some(last)) => BookCheck::Sequence {
                first: last,
                last,
                previous: match self.pseq.filter(|pseq| !pseq.is_absent() && !snapshot) {
                    Some(pseq) => Some(pseq.integer("pseq")?),
                    None => None,
                },
            },
            // A change that cannot be put in its place is worth nothing.
            (true, None) if !snapshot => return Err(missing("seq", "books")),
            _ => BookCheck::Whole,
        };
        Ok(Book {
            instrument: Text::new(instrument),
            snapshot,
            bids: levels(&self.bids)?,
            asks: levels(&self.asks)?,
            check,
            // The same 32 bits, read with a sign. The newer interface always says zero.
            checksum: self
                .checksum
                .filter(|checksum| *checksum != 0)
                .map(i32::cast_unsigned),
            time_ms: self.ts.milliseconds("ts")?,
        })
    }
}

fn levels(levels: &[PriceAndSize<'_>]) -> Result<Vec<Level>, DecodeError> {
    levels
        .iter()
        .map(|level| {
            Ok(Level {
                price: level.price.decimal("price")?,
                size: level.size.decimal("size")?,
            })
        })
        .collect()
}

/// A public trade, of either interface; on the newer one's socket the members have one letter.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TradeRow<'a> {
    #[serde(borrow, alias = "i", alias = "execId")]
    trade_id: Id<'a>,
    #[serde(alias = "p")]
    price: Number<'a>,
    #[serde(alias = "v")]
    size: Number<'a>,
    #[serde(alias = "S")]
    side: &'a str,
    #[serde(alias = "T")]
    ts: Number<'a>,
}

impl TradeRow<'_> {
    pub(super) fn read(&self, instrument: &str) -> Result<Trade, DecodeError> {
        Ok(Trade {
            instrument: Text::new(instrument),
            trade_id: self.trade_id.owned(),
            side: words::side(self.side)?,
            size: self.size.decimal("size")?,
            price: self.price.decimal("price")?,
            buyer: None,
            seller: None,
            liquidation: false,
            time_ms: self.ts.milliseconds("ts")?,
        })
    }
}

/// A kline as the list Bitget sends: start, open, high, low, close, base units, quote units.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct KlineRow<'a>(#[serde(borrow)] Vec<Number<'a>>);

impl KlineRow<'_> {
    pub(super) fn read(
        &self,
        instrument: &str,
        interval: Interval,
        told_ms: Option<u64>,
    ) -> Result<Kline, DecodeError> {
        let at = |index: usize, field: &'static str| {
            self.0.get(index).copied().ok_or_else(|| missing(field, "candle"))
        };
        let start_ms = at(0, "start")?.milliseconds("start")?;
        Ok(Kline {
            instrument: Text::new(instrument),
            interval,
            start_ms,
            open: at(1, "open")?.decimal("open")?,
            high: at(2, "high")?.decimal("high")?,
            low: at(3, "low")?.decimal("low")?,
            close: at(4, "close")?.decimal("close")?,
            volume: at(5, "volume")?.decimal("volume")?,
            closed: None,
            time_ms: told_ms.unwrap_or(start_ms),
        })
    }
}

/// A kline with names, on the newer interface's socket.
#[derive(Deserialize)]
pub(super) struct NamedKlineRow<'a> {
    #[serde(borrow)]
    start: Number<'a>,
    open: Number<'a>,
    high: Number<'a>,
    low: Number<'a>,
    close: Number<'a>,
    volume: Number<'a>,
}

impl NamedKlineRow<'_> {
    pub(super) fn read(
        &self,
        instrument: &str,
        interval: Interval,
        told_ms: Option<u64>,
    ) -> Result<Kline, DecodeError> {
        let start_ms = self.start.milliseconds("start")?;
        Ok(Kline {
            instrument: Text::new(instrument),
            interval,
            start_ms,
            open: self.open.decimal("open")?,
            high: self.high.decimal("high")?,
            low: self.low.decimal("low")?,
            close: self.close.decimal("close")?,
            volume: self.volume.decimal("volume")?,
            closed: None,
            time_ms: told_ms.unwrap_or(start_ms),
        })
    }
}
