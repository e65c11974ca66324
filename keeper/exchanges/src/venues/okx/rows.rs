//! The rows that sockets and REST share, and what they are in the model.

use std::borrow::Cow;

use serde::Deserialize;

use super::words;
use crate::error::DecodeError;
use crate::json::{Id, Number};
use crate::model::{
    Balance, Book, BookCheck, Cause, ContractKind, Decimal, Fee, Fill, Funding, Instrument, InstrumentState,
    Instruments, Interval, Kline, Level, Mark, Order, OrderKind, Position, PositionSide, Text, Ticker,
    TimeInForce, Trade,
};
use crate::venues::rows::PriceAndSize;

/// What OKX calls perpetuals.
pub(super) const SWAP: &str = "SWAP";

/// The instrument of a message, if it is a perpetual settled in its quote asset; only those are supported.
pub(super) fn instrument<'a>(
    name: &str,
    instruments: &'a Instruments,
) -> Result<&'a Instrument, DecodeError> {
    match instruments.get(name) {
        Ok(found) if found.kind == ContractKind::Linear => Ok(found),
        Ok(_) => Err(DecodeError::product(name)),
        // Its name tells what an instrument is: BTC-USDT is spot, BTC-USD-SWAP is settled in bitcoin, a swap has SWAP at its
        // end, a future a date, an option a date, a price and a letter.
        Err(_) if !name.ends_with("-SWAP") || name.ends_with("-USD-SWAP") => Err(DecodeError::product(name)),
        Err(unknown) => Err(unknown.into()),
    }
}

/// A product other than perpetuals is refused before its numbers are read.
pub(super) fn only_swaps(instrument_type: Option<&str>) -> Result<(), DecodeError> {
    match instrument_type {
        None | Some(SWAP | "ANY") => Ok(()),
        Some(other) => Err(DecodeError::product(other)),
    }
}

/// Contracts as base units.
pub(super) fn base_units(
    contracts: Decimal,
    instrument: &Instrument,
    field: &'static str,
) -> Result<Decimal, DecodeError> {
    instrument
        .to_base(contracts, None)
        .ok_or_else(|| DecodeError::bad_number(field, &contracts.to_string()))
}

fn size(number: Number<'_>, instrument: &Instrument, field: &'static str) -> Result<Decimal, DecodeError> {
    base_units(number.decimal(field)?, instrument, field)
}

fn optional(number: Option<Number<'_>>, field: &'static str) -> Result<Option<Decimal>, DecodeError> {
    number.map_or(Ok(None), |number| number.optional(field))
}

/// A price of which zero means that there is none.
fn price_unless_zero(
    number: Option<Number<'_>>,
    field: &'static str,
) -> Result<Option<Decimal>, DecodeError> {
    Ok(optional(number, field)?.filter(|price| !price.is_zero()))
}

fn yes(word: Option<&str>, field: &'static str) -> Result<bool, DecodeError> {
    match word {
        Some("true") => Ok(true),
        Some("false" | "") | None => Ok(false),
        Some(other) => Err(DecodeError::unknown_word(field, other)),
    }
}

/// OKX counts fees from the account's side: what was paid is negative.
fn fee(amount: Option<Number<'_>>, asset: Option<&str>) -> Result<Option<Fee>, DecodeError> {
    match (optional(amount, "fillFee")?, asset) {
        (Some(amount), Some(asset)) if !asset.is_empty() => Ok(Some(Fee {
            amount: -amount,
            asset: Text::new(asset),
        })),
        _ => Ok(None),
    }
}

/// A row of `orders`, of an order query and of the list of open orders.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderRow<'a> {
    #[serde(borrow)]
    inst_id: &'a str,
    #[serde(borrow, default)]
    inst_type: Option<&'a str>,
    #[serde(borrow)]
    ord_id: Id<'a>,
    #[serde(borrow)]
    cl_ord_id: Id<'a>,
    side: &'a str,
    pos_side: &'a str,
    ord_type: &'a str,
    sz: Number<'a>,
    px: Option<Number<'a>>,
    state: &'a str,
    acc_fill_sz: Number<'a>,
    avg_px: Option<Number<'a>>,
    category: &'a str,
    #[serde(borrow, default)]
    reduce_only: Option<&'a str>,
    u_time: Number<'a>,
    // Of the fill that caused the message, on the socket. In replies of REST they are those of the last fill.
    #[serde(borrow)]
    trade_id: Id<'a>,
    fill_sz: Number<'a>,
    fill_px: Option<Number<'a>>,
    #[serde(borrow, default)]
    fill_time: Option<Number<'a>>,
    #[serde(borrow, default)]
    exec_type: Option<&'a str>,
    #[serde(borrow, default)]
    fill_fee: Option<Number<'a>>,
    #[serde(borrow, default)]
    fill_fee_ccy: Option<&'a str>,
    #[serde(borrow, default)]
    fee: Option<Number<'a>>,
    #[serde(borrow, default)]
    fee_ccy: Option<&'a str>,
}

impl OrderRow<'_> {
    /// The fill that caused the message, if a fill did, and the order.
    pub(super) fn read(&self, instruments: &Instruments) -> Result<(Option<Fill>, Order), DecodeError> {
        only_swaps(self.inst_type)?;
        let instrument = instrument(self.inst_id, instruments)?;
        let cause = words::cause(self.category)?;
        let side = words::side(self.side)?;
        let position_side = words::position_side(self.pos_side)?;
        let filled = size(self.acc_fill_sz, instrument, "accFillSz")?;
        let time_ms = self.u_time.milliseconds("uTime")?;

        let fill_size = self.fill_sz.optional("fillSz")?.unwrap_or_default();
        let fill = if fill_size.is_zero() || self.trade_id.is_absent() {
            None
        } else {
            let price = self.fill_px.ok_or(DecodeError::MissingField {
                field: "fillPx",
                message: "orders",
            })?;
            let fill_size = base_units(fill_size, instrument, "fillSz")?;
            let own = fee(self.fill_fee, self.fill_fee_ccy)?;
            // `fee` is that of the whole order: it is the fill's if the fill is the order's only one.
            let whole = || {
                if filled == fill_size {
                    fee(self.fee, self.fee_ccy)
                } else {
                    Ok(None)
                }
            };
            Some(Fill {
                instrument: instrument.instrument.clone(),
                trade_id: self.trade_id.owned(),
                order_id: self.ord_id.owned(),
                client_order_id: self.cl_ord_id.optional(),
                side,
                position_side: Some(position_side),
                size: fill_size,
                price: price.decimal("fillPx")?,
                fee: match own {
                    Some(own) => Some(own),
                    None => whole()?,
                },
                liquidity: words::liquidity(self.exec_type.unwrap_or_default())?,
                cause,
                position_after: None,
                user: None,
                historic: false,
                time_ms: match self.fill_time {
                    Some(time) if !time.is_absent() => time.milliseconds("fillTime")?,
                    _ => time_ms,
                },
            })
        };

        let (order_kind, time_in_force) = words::order_type(self.ord_type)?;
        let order = Order {
            instrument: instrument.instrument.clone(),
            order_id: self.ord_id.owned(),
            client_order_id: self.cl_ord_id.optional(),
            side,
            position_side,
            order_kind: if cause == Cause::User {
                order_kind
            } else {
                OrderKind::Venue
            },
            time_in_force,
            status: words::status(self.state)?,
            venue_status: Text::new(self.state),
            price: if order_kind == OrderKind::Market {
                None
            } else {
                optional(self.px, "px")?
            },
            trigger_price: None,
            size: self
                .sz
                .optional("sz")?
                .map(|contracts| base_units(contracts, instrument, "sz"))
                .transpose()?,
            filled,
            average_price: price_unless_zero(self.avg_px, "avgPx")?,
            reduce_only: yes(self.reduce_only, "reduceOnly")?,
            cause,
            time_ms,
        };
        Ok((fill, order))
    }
}

/// A row of `orders-algo`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConditionalRow<'a> {
    #[serde(borrow)]
    inst_id: &'a str,
    #[serde(borrow, default)]
    inst_type: Option<&'a str>,
    #[serde(borrow)]
    algo_id: Id<'a>,
    #[serde(borrow, default)]
    algo_cl_ord_id: Option<Id<'a>>,
    side: &'a str,
    pos_side: &'a str,
    ord_type: &'a str,
    sz: Number<'a>,
    state: &'a str,
    #[serde(borrow, default)]
    sl_trigger_px: Option<Number<'a>>,
    #[serde(borrow, default)]
    sl_ord_px: Option<Number<'a>>,
    #[serde(borrow, default)]
    tp_trigger_px: Option<Number<'a>>,
    #[serde(borrow, default)]
    tp_ord_px: Option<Number<'a>>,
    #[serde(borrow, default)]
    reduce_only: Option<&'a str>,
    c_time: Number<'a>,
    #[serde(borrow, default)]
    u_time: Option<Number<'a>>,
}

/// The order price that stands for "at market".
pub(super) const AT_MARKET: &str = "-1";

impl ConditionalRow<'_> {
    /// The order. A pair of stop and take-profit (`oco`) is two orders in one and a plain `trigger` does not say which of
    /// the two it is: those are refused.
    pub(super) fn read(&self, instruments: &Instruments) -> Result<Order, DecodeError> {
        only_swaps(self.inst_type)?;
        let instrument = instrument(self.inst_id, instruments)?;
        let present = |number: Option<Number<'_>>| number.is_some_and(|number| !number.is_absent());
        let (kinds, trigger, price) = match (
            self.ord_type,
            present(self.sl_trigger_px),
            present(self.tp_trigger_px),
        ) {
            ("conditional", true, false) => (
                (OrderKind::StopMarket, OrderKind::StopLimit),
                self.sl_trigger_px,
                self.sl_ord_px,
            ),
            ("conditional", false, true) => (
                (OrderKind::TakeProfitMarket, OrderKind::TakeProfitLimit),
                self.tp_trigger_px,
                self.tp_ord_px,
            ),
            ("move_order_stop", ..) => ((OrderKind::TrailingStop, OrderKind::TrailingStop), None, None),
            ("conditional" | "oco" | "trigger" | "chase" | "iceberg" | "twap", ..) => {
                return Err(DecodeError::unsupported(&format!(
                    "orders-algo {}",
                    self.ord_type
                )));
            }
            _ => return Err(DecodeError::unknown_word("ordType", self.ord_type)),
        };
        let price = price
            .filter(|price| price.text() != AT_MARKET)
            .map_or(Ok(None), |price| price.optional("ordPx"))?;
        let status = words::conditional_status(self.state)?;
        Ok(Order {
            instrument: instrument.instrument.clone(),
            order_id: self.algo_id.owned(),
            client_order_id: self.algo_cl_ord_id.as_ref().and_then(Id::optional),
            side: words::side(self.side)?,
            position_side: words::position_side(self.pos_side)?,
            order_kind: if price.is_some() { kinds.1 } else { kinds.0 },
            time_in_force: TimeInForce::GoodTilCancelled,
            status,
            venue_status: Text::new(self.state),
            price,
            trigger_price: optional(trigger, "triggerPx")?,
            size: self
                .sz
                .optional("sz")?
                .map(|contracts| base_units(contracts, instrument, "sz"))
                .transpose()?,
            // What it becomes is told by the order it turns into.
            filled: Decimal::ZERO,
            average_price: None,
            reduce_only: yes(self.reduce_only, "reduceOnly")?,
            cause: Cause::User,
            time_ms: self
                .u_time
                .filter(|time| !time.is_absent())
                .unwrap_or(self.c_time)
                .milliseconds("uTime")?,
        })
    }
}

/// A row of the list of fills.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FillRow<'a> {
    #[serde(borrow)]
    inst_id: &'a str,
    #[serde(borrow, default)]
    inst_type: Option<&'a str>,
    #[serde(borrow)]
    trade_id: Id<'a>,
    #[serde(borrow)]
    ord_id: Id<'a>,
    #[serde(borrow, default)]
    cl_ord_id: Option<Id<'a>>,
    side: &'a str,
    #[serde(borrow, default)]
    pos_side: Option<&'a str>,
    fill_sz: Number<'a>,
    fill_px: Number<'a>,
    #[serde(borrow, default)]
    fee: Option<Number<'a>>,
    #[serde(borrow, default)]
    fee_ccy: Option<&'a str>,
    #[serde(borrow, default)]
    exec_type: Option<&'a str>,
    #[serde(borrow, default)]
    sub_type: Option<&'a str>,
    ts: Number<'a>,
    #[serde(borrow, default)]
    fill_time: Option<Number<'a>>,
}

impl FillRow<'_> {
    pub(super) fn read(&self, instruments: &Instruments) -> Result<Fill, DecodeError> {
        only_swaps(self.inst_type)?;
        let instrument = instrument(self.inst_id, instruments)?;
        Ok(Fill {
            instrument: instrument.instrument.clone(),
            trade_id: self.trade_id.owned(),
            order_id: self.ord_id.owned(),
            client_order_id: self.cl_ord_id.as_ref().and_then(Id::optional),
            side: words::side(self.side)?,
            position_side: self.pos_side.map(words::position_side).transpose()?,
            size: size(self.fill_sz, instrument, "fillSz")?,
            price: self.fill_px.decimal("fillPx")?,
            fee: fee(self.fee, self.fee_ccy)?,
            liquidity: words::liquidity(self.exec_type.unwrap_or_default())?,
            cause: words::fill_cause(self.sub_type.unwrap_or_default())?,
            position_after: None,
            user: None,
            historic: false,
            time_ms: self
                .fill_time
                .filter(|time| !time.is_absent())
                .unwrap_or(self.ts)
                .milliseconds("ts")?,
        })
    }
}

/// A row of `positions`, of `balance_and_position` (which says less) and of the list of positions.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PositionRow<'a> {
    #[serde(borrow)]
    inst_id: &'a str,
    #[serde(borrow, default)]
    inst_type: Option<&'a str>,
    mgn_mode: &'a str,
    pos_side: &'a str,
    pos: Number<'a>,
    #[serde(borrow, default)]
    avg_px: Option<Number<'a>>,
    #[serde(borrow, default)]
    mark_px: Option<Number<'a>>,
    #[serde(borrow, default)]
    upl: Option<Number<'a>>,
    #[serde(borrow, default)]
    lever: Option<Number<'a>>,
    #[serde(borrow, default)]
    liq_px: Option<Number<'a>>,
    #[serde(borrow, default)]
    u_time: Option<Number<'a>>,
}

impl PositionRow<'_> {
    /// `told_ms` is when the message was made, for rows without a time of their own.
    pub(super) fn read(
        &self,
        told_ms: Option<u64>,
        instruments: &Instruments,
    ) -> Result<Position, DecodeError> {
        only_swaps(self.inst_type)?;
        let instrument = instrument(self.inst_id, instruments)?;
        let position_side = words::position_side(self.pos_side)?;
        let contracts = self.pos.optional("pos")?.unwrap_or_default();
        let held = base_units(contracts, instrument, "pos")?;
        let time_ms = match (self.u_time.filter(|time| !time.is_absent()), told_ms) {
            (Some(time), _) => time.milliseconds("uTime")?,
            (None, Some(told)) => told,
            (None, None) => {
                return Err(DecodeError::MissingField {
                    field: "uTime",
                    message: "positions",
                });
            }
        };
        Ok(Position {
            instrument: instrument.instrument.clone(),
            position_side,
            // In hedge mode OKX counts both positions up from zero.
            size: match position_side {
                PositionSide::Net => held,
                PositionSide::Long => held.abs(),
                PositionSide::Short => -held.abs(),
            },
            entry_price: price_unless_zero(self.avg_px, "avgPx")?,
            mark_price: price_unless_zero(self.mark_px, "markPx")?,
            unrealised_profit: optional(self.upl, "upl")?,
            leverage: optional(self.lever, "lever")?,
            margin_mode: Some(words::margin_mode(self.mgn_mode)?),
            liquidation_price: price_unless_zero(self.liq_px, "liqPx")?,
            time_ms,
        })
    }
}

/// The part of an account that belongs to one asset.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BalanceRow<'a> {
    ccy: &'a str,
    cash_bal: Number<'a>,
    #[serde(borrow, default)]
    eq: Option<Number<'a>>,
    #[serde(borrow, default)]
    avail_eq: Option<Number<'a>>,
    #[serde(borrow, default)]
    avail_bal: Option<Number<'a>>,
    u_time: Number<'a>,
}

impl BalanceRow<'_> {
    pub(super) fn read(&self) -> Result<Balance, DecodeError> {
        // Accounts that may trade with borrowed margin have an available equity, the simplest ones a balance.
        let available = match optional(self.avail_eq, "availEq")? {
            Some(equity) => Some(equity),
            None => optional(self.avail_bal, "availBal")?,
        };
        Ok(Balance {
            asset: Text::new(self.ccy),
            wallet: self.cash_bal.decimal("cashBal")?,
            equity: optional(self.eq, "eq")?,
            available,
            time_ms: self.u_time.milliseconds("uTime")?,
        })
    }
}

/// A row of `tickers`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TickerRow<'a> {
    #[serde(borrow)]
    inst_id: &'a str,
    #[serde(borrow, default)]
    inst_type: Option<&'a str>,
    last: Option<Number<'a>>,
    ask_px: Option<Number<'a>>,
    ask_sz: Option<Number<'a>>,
    bid_px: Option<Number<'a>>,
    bid_sz: Option<Number<'a>>,
    ts: Number<'a>,
}

impl TickerRow<'_> {
    pub(super) fn read(&self, instruments: &Instruments) -> Result<Ticker, DecodeError> {
        only_swaps(self.inst_type)?;
        let instrument = instrument(self.inst_id, instruments)?;
        let in_base = |number: Option<Number<'_>>, field| {
            optional(number, field)?
                .map(|contracts| base_units(contracts, instrument, field))
                .transpose()
        };
        Ok(Ticker {
            instrument: instrument.instrument.clone(),
            bid: optional(self.bid_px, "bidPx")?,
            bid_size: in_base(self.bid_sz, "bidSz")?,
            ask: optional(self.ask_px, "askPx")?,
            ask_size: in_base(self.ask_sz, "askSz")?,
            last: optional(self.last, "last")?,
            mark: None,
            index: None,
            funding_rate: None,
            time_ms: self.ts.milliseconds("ts")?,
        })
    }
}

/// A book or a change of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BookRow<'a> {
    #[serde(borrow)]
    asks: Vec<PriceAndSize<'a>>,
    #[serde(borrow)]
    bids: Vec<PriceAndSize<'a>>,
    ts: Number<'a>,
    #[serde(default)]
    checksum: Option<i32>,
    #[serde(default)]
    seq_id: Option<i64>,
    #[serde(default)]
    prev_seq_id: Option<i64>,
}

impl BookRow<'_> {
    /// `snapshot`: the message says it is the whole book. `changes`: its stream sends changes after the first message.
    pub(super) fn read(
        &self,
        instrument: &Instrument,
        snapshot: bool,
        changes: bool,
    ) -> Result<Book, DecodeError> {
        let check = match (changes, self.seq_id) {
            (false, _) => BookCheck::Whole,
            (true, Some(last)) => BookCheck::Sequence {
                first: last,
                last,
                // Minus one stands for "none before".
                previous: self.prev_seq_id.filter(|previous| *previous >= 0),
            },
            (true, None) => {
                return Err(DecodeError::MissingField {
                    field: "seqId",
                    message: "books",
                });
            }
        };
        Ok(Book {
            instrument: instrument.instrument.clone(),
            snapshot,
            bids: levels(&self.bids, instrument)?,
            asks: levels(&self.asks, instrument)?,
            check,
            // The same 32 bits, read with a sign.
            checksum: self.checksum.map(i32::cast_unsigned),
            time_ms: self.ts.milliseconds("ts")?,
        })
    }

    /// The best prices, of the stream that has only those.
    pub(super) fn best(&self, instrument: &Instrument) -> Result<Ticker, DecodeError> {
        let best =
            |side: &[PriceAndSize<'_>]| side.first().map(|level| level_of(level, instrument)).transpose();
        let (bid, ask) = (best(&self.bids)?, best(&self.asks)?);
        Ok(Ticker {
            instrument: instrument.instrument.clone(),
            bid: bid.map(|level| level.price),
            bid_size: bid.map(|level| level.size),
            ask: ask.map(|level| level.price),
            ask_size: ask.map(|level| level.size),
            time_ms: self.ts.milliseconds("ts")?,
            ..Ticker::default()
        })
    }
}

fn level_of(level: &PriceAndSize<'_>, instrument: &Instrument) -> Result<Level, DecodeError> {
    Ok(Level {
        price: level.price.decimal("price")?,
        size: size(level.size, instrument, "size")?,
    })
}

fn levels(levels: &[PriceAndSize<'_>], instrument: &Instrument) -> Result<Vec<Level>, DecodeError> {
    levels.iter().map(|level| level_of(level, instrument)).collect()
}

/// A public trade.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TradeRow<'a> {
    #[serde(borrow)]
    inst_id: &'a str,
    #[serde(borrow)]
    trade_id: Id<'a>,
    px: Number<'a>,
    sz: Number<'a>,
    side: &'a str,
    ts: Number<'a>,
}

impl TradeRow<'_> {
    pub(super) fn read(&self, instruments: &Instruments) -> Result<Trade, DecodeError> {
        let instrument = instrument(self.inst_id, instruments)?;
        Ok(Trade {
            instrument: instrument.instrument.clone(),
            trade_id: self.trade_id.owned(),
            side: words::side(self.side)?,
            size: size(self.sz, instrument, "sz")?,
            price: self.px.decimal("px")?,
            buyer: None,
            seller: None,
            liquidation: false,
            time_ms: self.ts.milliseconds("ts")?,
        })
    }
}

/// A kline as the list OKX sends: start, open, high, low, close, contracts, base units, quote units, whether it is closed.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct KlineRow<'a>(#[serde(borrow)] Vec<Number<'a>>);

impl KlineRow<'_> {
    pub(super) fn read(&self, instrument: &Instrument, interval: Interval) -> Result<Kline, DecodeError> {
        let at = |index: usize, field: &'static str| {
            self.0.get(index).copied().ok_or(DecodeError::MissingField {
                field,
                message: "candle",
            })
        };
        let start_ms = at(0, "ts")?.milliseconds("ts")?;
        Ok(Kline {
            instrument: instrument.instrument.clone(),
            interval,
            start_ms,
            open: at(1, "open")?.decimal("open")?,
            high: at(2, "high")?.decimal("high")?,
            low: at(3, "low")?.decimal("low")?,
            close: at(4, "close")?.decimal("close")?,
            volume: at(6, "volCcy")?.decimal("volCcy")?,
            closed: match self.0.get(8).map(|confirm| confirm.text()) {
                Some("1") => Some(true),
                Some("0") => Some(false),
                Some(other) => return Err(DecodeError::unknown_word("confirm", other)),
                None => None,
            },
            // OKX does not say when it stated it.
            time_ms: start_ms,
        })
    }
}

/// A mark price.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MarkRow<'a> {
    #[serde(borrow)]
    inst_id: &'a str,
    #[serde(borrow, default)]
    inst_type: Option<&'a str>,
    mark_px: Number<'a>,
    ts: Number<'a>,
}

impl MarkRow<'_> {
    pub(super) fn read(&self, instruments: &Instruments) -> Result<Mark, DecodeError> {
        only_swaps(self.inst_type)?;
        Ok(Mark {
            instrument: instrument(self.inst_id, instruments)?.instrument.clone(),
            price: self.mark_px.decimal("markPx")?,
            index: None,
            time_ms: self.ts.milliseconds("ts")?,
        })
    }
}

/// A funding rate.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FundingRow<'a> {
    #[serde(borrow)]
    inst_id: &'a str,
    #[serde(borrow, default)]
    inst_type: Option<&'a str>,
    funding_rate: Number<'a>,
    funding_time: Number<'a>,
    #[serde(borrow, default)]
    next_funding_time: Option<Number<'a>>,
    #[serde(borrow, default)]
    ts: Option<Number<'a>>,
}

impl FundingRow<'_> {
    pub(super) fn read(&self, instruments: &Instruments) -> Result<Funding, DecodeError> {
        only_swaps(self.inst_type)?;
        let next_time_ms = self.funding_time.milliseconds("fundingTime")?;
        let after = match self.next_funding_time.filter(|time| !time.is_absent()) {
            Some(time) => Some(time.milliseconds("nextFundingTime")?),
            None => None,
        };
        Ok(Funding {
            instrument: instrument(self.inst_id, instruments)?.instrument.clone(),
            rate: self.funding_rate.decimal("fundingRate")?,
            next_time_ms: Some(next_time_ms),
            interval_hours: after
                .and_then(|after| after.checked_sub(next_time_ms))
                .and_then(|length| u32::try_from(length / 3_600_000).ok())
                .filter(|hours| *hours > 0),
            time_ms: match self.ts {
                Some(ts) => ts.milliseconds("ts")?,
                None => 0,
            },
        })
    }
}

/// An instrument of the list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstrumentRow<'a> {
    #[serde(borrow)]
    inst_id: &'a str,
    inst_type: &'a str,
    #[serde(borrow, default)]
    inst_family: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uly: Option<&'a str>,
    settle_ccy: &'a str,
    ct_type: &'a str,
    ct_val: Number<'a>,
    ct_mult: Number<'a>,
    ct_val_ccy: &'a str,
    tick_sz: Number<'a>,
    lot_sz: Number<'a>,
    min_sz: Number<'a>,
    #[serde(borrow, default)]
    max_mkt_sz: Option<Number<'a>>,
    #[serde(borrow, default)]
    lever: Option<Number<'a>>,
    #[serde(default)]
    inst_id_code: Option<u32>,
    state: &'a str,
}

impl InstrumentRow<'_> {
    /// None for what is not supported: anything but perpetuals settled in their quote asset.
    pub(super) fn read(&self) -> Result<Option<Instrument>, DecodeError> {
        if self.inst_type != SWAP || self.ct_type != "linear" {
            return Ok(None);
        }
        // The family is `BTC-USDT`, of some contracts `BTC-USDT_UM`.
        let family = self
            .inst_family
            .as_deref()
            .filter(|family| !family.is_empty())
            .or(self.uly)
            .unwrap_or_default();
        let (_, quote) = family
            .split_once('-')
            .ok_or_else(|| DecodeError::unknown_word("instFamily", family))?;
        let quote = quote.split_once('_').map_or(quote, |(quote, _)| quote);
        let tick = self.tick_sz.optional("tickSz")?.unwrap_or_default();
        let lot = self.lot_sz.decimal("lotSz")?;
        let contract_size = self
            .ct_val
            .decimal("ctVal")?
            .checked_mul(self.ct_mult.optional("ctMult")?.unwrap_or(Decimal::ONE))
            .filter(|size| !size.is_zero())
            .ok_or_else(|| DecodeError::bad_number("ctVal", self.ct_val.text()))?;
        let mut instrument = Instrument::linear(self.inst_id, self.ct_val_ccy, quote, tick, lot)
            .in_contracts(contract_size.normalize());
        instrument.settle = Text::new(self.settle_ccy);
        instrument.minimum_size = self.min_sz.decimal("minSz")?;
        instrument.maximum_market_size = optional(self.max_mkt_sz, "maxMktSz")?;
        instrument.maximum_leverage = optional(self.lever, "lever")?;
        instrument.number = self.inst_id_code;
        instrument.state = match self.state {
            "live" => InstrumentState::Trading,
            "suspend" | "preopen" | "test" | "post_only" | "rebase" => InstrumentState::Halted,
            "expired" => InstrumentState::Delisted,
            other => return Err(DecodeError::unknown_word("state", other)),
        };
        Ok(Some(instrument))
    }
}
