//! Frames of the sockets. A frame is read twice: its topic, then the list that belongs to it, item by item.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::words::{self, Category};
use crate::error::DecodeError;
use crate::json::{Number, read, read_text};
use crate::model::{
    Balance, Book, BookCheck, Cause, Control, Decimal, Event, Fee, Fill, Funding, Instruments, Kline, Level,
    Liquidity, MarginMode, Mark, Order, Position, Text, Ticker, Trade,
};
use crate::venues::rows::each;

/// What tells frames apart.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default)]
    topic: Option<&'a str>,
    #[serde(rename = "type", default)]
    kind: Option<&'a str>,
    #[serde(default, borrow)]
    ts: Option<Number<'a>>,
    #[serde(rename = "creationTime", default, borrow)]
    creation_time: Option<Number<'a>>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    op: Option<&'a str>,
    #[serde(default)]
    success: Option<bool>,
    #[serde(default)]
    ret_msg: Option<std::borrow::Cow<'a, str>>,
    #[serde(rename = "retCode", default, borrow)]
    ret_code: Option<Number<'a>>,
    #[serde(rename = "retMsg", default)]
    ret_message: Option<std::borrow::Cow<'a, str>>,
    #[serde(rename = "reqId", default)]
    request_id: Option<&'a str>,
    #[serde(default, borrow)]
    request: Option<Asked<'a>>,
}

/// What older interfaces repeat of a request.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(default)]
    op: Option<&'a str>,
}

pub(super) fn decode(
    frame: &[u8],
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let before = events.len();
    let result = decode_all(frame, instruments, events);
    if result.is_err() {
        events.truncate(before);
    }
    result
}

fn decode_all(frame: &[u8], instruments: &Instruments, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let head: Head<'_> = read(frame)?;
    let Some(topic) = head.topic else {
        events.push(Event::Control(control(&head)?));
        return Ok(());
    };
    let data = || {
        head.data.ok_or(DecodeError::MissingField {
            field: "data",
            message: "topic",
        })
    };
    // An account may ask for one product of a topic: `order.linear`.
    let (name, product) = match topic {
        "execution.fast" => ("execution.fast", None),
        _ => match topic.rsplit_once('.') {
            Some((name @ ("order" | "execution" | "execution.fast" | "position"), product)) => {
                (name, Some(product))
            }
            _ => (topic, None),
        },
    };
    if let Some(product) = product {
        words::category(product)?;
    }
    match name {
        "order" => each(data()?, |fields| {
            events.push(Event::Order(order(&fields, instruments)?));
            Ok(())
        }),
        "execution" => each(data()?, |fields| {
            events.push(execution(&fields, instruments)?);
            Ok(())
        }),
        "execution.fast" => each(data()?, |fields| {
            events.push(Event::Fill(fast_execution(&fields, instruments)?));
            Ok(())
        }),
        "position" => each(data()?, |fields| position(&fields, instruments, events)),
        "wallet" => {
            let time_ms = need(head.creation_time, "creationTime", "wallet")?.milliseconds("creationTime")?;
            each(data()?, |wallet: Wallet<'_>| {
                for coin in &wallet.coin {
                    events.push(Event::Balance(balance(coin, time_ms)?));
                }
                Ok(())
            })
        }
        _ => market(topic, &head, data()?, instruments, events),
    }
}

fn need<'a>(
    number: Option<Number<'a>>,
    field: &'static str,
    message: &'static str,
) -> Result<Number<'a>, DecodeError> {
    number.ok_or(DecodeError::MissingField { field, message })
}

fn control(head: &Head<'_>) -> Result<Control, DecodeError> {
    let asked = head.request.as_ref().and_then(|request| request.op);
    let message = || -> Text {
        head.ret_msg
            .as_deref()
            .or(head.ret_message.as_deref())
            .unwrap_or_default()
            .into()
    };
    let code = || {
        head.ret_code
            .map_or_else(Text::default, |code| code.text().into())
    };
    // The trading socket says how it went by a code, the others by a word.
    let went_well = match (head.success, head.ret_code) {
        (Some(success), _) => Some(success),
        (None, Some(code)) => Some(code.text() == "0"),
        (None, None) => None,
    };
    match (head.op.or(asked), went_well) {
        (Some("pong"), _) => Ok(Control::Pong),
        (Some("ping"), Some(true)) => Ok(Control::Pong),
        (Some("auth"), Some(true)) => Ok(Control::LoggedIn { valid_seconds: None }),
        (Some("auth"), Some(false)) => Ok(Control::LoginRefused {
            code: code(),
            message: message(),
        }),
        // The venue does not repeat the topics.
        (Some("subscribe"), Some(true)) => Ok(Control::Subscribed {
            topic: Text::default(),
        }),
        (Some("unsubscribe"), Some(true)) => Ok(Control::Unsubscribed {
            topic: Text::default(),
        }),
        (Some(op), Some(true)) if op.starts_with("order.") => Ok(Control::Answered {
            id: head.request_id.unwrap_or_default().into(),
        }),
        (_, Some(false)) => Ok(Control::Refused {
            code: code(),
            message: message(),
        }),
        (Some(op), _) => Err(DecodeError::unsupported(op)),
        (None, _) => Err(DecodeError::unsupported("message without a topic")),
    }
}

// ------------------------------------------------------------------------------------------------------------- account

/// An order, as streams and replies have it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderFields<'a> {
    /// Replies say it once for all.
    #[serde(default)]
    category: Option<&'a str>,
    pub(super) symbol: &'a str,
    pub(super) order_id: &'a str,
    #[serde(default)]
    pub(super) order_link_id: &'a str,
    side: &'a str,
    order_type: &'a str,
    #[serde(borrow)]
    price: Number<'a>,
    #[serde(borrow)]
    qty: Number<'a>,
    time_in_force: &'a str,
    order_status: &'a str,
    #[serde(borrow)]
    cum_exec_qty: Number<'a>,
    #[serde(default, borrow)]
    avg_price: Option<Number<'a>>,
    #[serde(borrow)]
    position_idx: Number<'a>,
    reduce_only: bool,
    #[serde(default)]
    close_on_trigger: bool,
    #[serde(default)]
    stop_order_type: &'a str,
    #[serde(default, borrow)]
    trigger_price: Option<Number<'a>>,
    #[serde(default, borrow)]
    trigger_direction: Option<Number<'a>>,
    #[serde(default)]
    create_type: &'a str,
    #[serde(borrow)]
    updated_time: Number<'a>,
}

fn order(fields: &OrderFields<'_>, instruments: &Instruments) -> Result<Order, DecodeError> {
    let category = words::category(fields.category.ok_or(DecodeError::MissingField {
        field: "category",
        message: "order",
    })?)?;
    order_of(fields, category, instruments)
}

pub(super) fn order_of(
    fields: &OrderFields<'_>,
    category: Category,
    instruments: &Instruments,
) -> Result<Order, DecodeError> {
    let side = words::side(fields.side)?;
    let order_kind = words::order_kind(
        fields.order_type,
        fields.stop_order_type,
        side,
        fields.trigger_direction.map(Number::text),
    )?;
    let price = words::unless_zero(Some(fields.price), "price")?;
    let average_price = words::unless_zero(fields.avg_price, "avgPrice")?;
    let trigger_price = words::unless_zero(fields.trigger_price, "triggerPrice")?;
    // Of an inverse contract dollars become base units at the price they were or will be traded at.
    let at = average_price.or(price).or(trigger_price);
    let base = |size| words::base_size(category, fields.symbol, size, at, instruments);
    // A stop of the whole position has no size of its own.
    let size = match words::size(fields.qty, "qty")? {
        size if size.is_zero() => None,
        size => base(size)?,
    };
    let filled = if fields.cum_exec_qty.is_absent() {
        Decimal::ZERO
    } else {
        words::size(fields.cum_exec_qty, "cumExecQty")?
    };
    Ok(Order {
        instrument: fields.symbol.into(),
        order_id: fields.order_id.into(),
        client_order_id: (!fields.order_link_id.is_empty()).then(|| fields.order_link_id.into()),
        side,
        position_side: words::position_side(fields.position_idx)?,
        order_kind,
        time_in_force: words::time_in_force(fields.time_in_force)?,
        status: words::status(fields.order_status)?,
        venue_status: fields.order_status.into(),
        // Of a market order the venue names the worst price it would have taken.
        price: if fields.order_type == "Limit" { price } else { None },
        trigger_price,
        size,
        filled: base(filled)?.ok_or_else(|| DecodeError::bad_number("avgPrice", ""))?,
        average_price,
        reduce_only: fields.reduce_only || fields.close_on_trigger,
        cause: words::order_cause(fields.create_type)?,
        time_ms: fields.updated_time.milliseconds("updatedTime")?,
    })
}

/// An execution, as streams and replies have it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExecutionFields<'a> {
    /// Replies say it once for all.
    #[serde(default)]
    category: Option<&'a str>,
    symbol: &'a str,
    exec_id: &'a str,
    #[serde(borrow)]
    exec_price: Number<'a>,
    #[serde(borrow)]
    exec_qty: Number<'a>,
    #[serde(default, borrow)]
    exec_fee: Option<Number<'a>>,
    #[serde(default)]
    fee_currency: &'a str,
    exec_type: &'a str,
    #[serde(default)]
    is_maker: Option<bool>,
    order_id: &'a str,
    #[serde(default)]
    order_link_id: &'a str,
    side: &'a str,
    #[serde(default)]
    create_type: &'a str,
    #[serde(borrow)]
    exec_time: Number<'a>,
}

fn execution(fields: &ExecutionFields<'_>, instruments: &Instruments) -> Result<Event, DecodeError> {
    let category = words::category(fields.category.ok_or(DecodeError::MissingField {
        field: "category",
        message: "execution",
    })?)?;
    Ok(match execution_of(fields, category, instruments)? {
        Some(fill) => Event::Fill(fill),
        // A payment, not a trade: the position stays as it is.
        None => Event::Control(Control::Notice {
            message: format!("funding of {}", fields.symbol).into(),
        }),
    })
}

/// None: a payment of funding.
pub(super) fn execution_of(
    fields: &ExecutionFields<'_>,
    category: Category,
    instruments: &Instruments,
) -> Result<Option<Fill>, DecodeError> {
    let Some(by_type) = words::execution_cause(fields.exec_type)? else {
        return Ok(None);
    };
    // A trade of an order that the venue made is not the owner's will either.
    let cause = match by_type {
        Cause::User => words::order_cause(fields.create_type)?,
        other => other,
    };
    let fee = match words::optional(fields.exec_fee, "execFee")? {
        Some(amount) => {
            let asset = if fields.fee_currency.is_empty() {
                words::settle_asset(fields.symbol, category, instruments)
            } else {
                Some(fields.fee_currency.into())
            };
            asset.map(|asset| Fee { amount, asset })
        }
        None => None,
    };
    Ok(Some(Fill {
        fee,
        cause,
        ..fill(
            &FillFields {
                symbol: fields.symbol,
                exec_id: fields.exec_id,
                order_id: fields.order_id,
                order_link_id: fields.order_link_id,
                side: fields.side,
                price: fields.exec_price,
                size: fields.exec_qty,
                is_maker: fields.is_maker,
                time: fields.exec_time,
            },
            category,
            instruments,
        )?
    }))
}

/// What both streams of executions have.
struct FillFields<'a> {
    symbol: &'a str,
    exec_id: &'a str,
    order_id: &'a str,
    order_link_id: &'a str,
    side: &'a str,
    price: Number<'a>,
    size: Number<'a>,
    is_maker: Option<bool>,
    time: Number<'a>,
}

fn fill(fields: &FillFields<'_>, category: Category, instruments: &Instruments) -> Result<Fill, DecodeError> {
    let price = words::positive(fields.price, "execPrice")?;
    let size = words::positive(fields.size, "execQty")?;
    if fields.exec_id.is_empty() {
        return Err(DecodeError::unknown_word("execId", ""));
    }
    Ok(Fill {
        instrument: fields.symbol.into(),
        trade_id: fields.exec_id.into(),
        order_id: fields.order_id.into(),
        client_order_id: (!fields.order_link_id.is_empty()).then(|| fields.order_link_id.into()),
        side: words::side(fields.side)?,
        // The order says it.
        position_side: None,
        size: words::base_size(category, fields.symbol, size, Some(price), instruments)?
            .ok_or_else(|| DecodeError::bad_number("execQty", fields.size.text()))?,
        price,
        fee: None,
        liquidity: fields
            .is_maker
            .map(|maker| if maker { Liquidity::Maker } else { Liquidity::Taker }),
        cause: Cause::User,
        position_after: None,
        user: None,
        historic: false,
        time_ms: fields.time.milliseconds("execTime")?,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FastExecution<'a> {
    category: &'a str,
    symbol: &'a str,
    exec_id: &'a str,
    #[serde(borrow)]
    exec_price: Number<'a>,
    #[serde(borrow)]
    exec_qty: Number<'a>,
    is_maker: bool,
    order_id: &'a str,
    #[serde(default)]
    order_link_id: &'a str,
    side: &'a str,
    #[serde(borrow)]
    exec_time: Number<'a>,
}

/// The fast stream does not say the kind of an execution. That it only has ordinary trades is unconfirmed, which is why
/// it is not subscribed to (see `connections`); told apart from the full stream by the same id.
fn fast_execution(fields: &FastExecution<'_>, instruments: &Instruments) -> Result<Fill, DecodeError> {
    fill(
        &FillFields {
            symbol: fields.symbol,
            exec_id: fields.exec_id,
            order_id: fields.order_id,
            order_link_id: fields.order_link_id,
            side: fields.side,
            price: fields.exec_price,
            size: fields.exec_qty,
            is_maker: Some(fields.is_maker),
            time: fields.exec_time,
        },
        words::category(fields.category)?,
        instruments,
    )
}

/// A position, as streams and replies have it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PositionFields<'a> {
    /// Replies say it once for all.
    #[serde(default)]
    category: Option<&'a str>,
    pub(super) symbol: &'a str,
    side: &'a str,
    #[serde(borrow)]
    size: Number<'a>,
    #[serde(borrow)]
    pub(super) position_idx: Number<'a>,
    /// Streams.
    #[serde(default, borrow)]
    entry_price: Option<Number<'a>>,
    /// Replies.
    #[serde(default, borrow)]
    avg_price: Option<Number<'a>>,
    #[serde(default, borrow)]
    mark_price: Option<Number<'a>>,
    #[serde(default, borrow)]
    unrealised_pnl: Option<Number<'a>>,
    #[serde(default, borrow)]
    pub(super) leverage: Option<Number<'a>>,
    #[serde(default, borrow)]
    liq_price: Option<Number<'a>>,
    #[serde(default, borrow)]
    trade_mode: Option<Number<'a>>,
    #[serde(default)]
    position_status: &'a str,
    #[serde(default, borrow)]
    updated_time: Option<Number<'a>>,
}

fn position(
    fields: &PositionFields<'_>,
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let category = words::category(fields.category.ok_or(DecodeError::MissingField {
        field: "category",
        message: "position",
    })?)?;
    let liquidated = match fields.position_status {
        "Normal" | "Adl" | "" => false,
        "Liq" => true,
        other => return Err(DecodeError::unknown_word("positionStatus", other)),
    };
    events.push(Event::Position(position_of(fields, category, instruments)?));
    if liquidated {
        events.push(Event::Control(Control::MarginCall {
            message: fields.symbol.into(),
        }));
    }
    Ok(())
}

pub(super) fn position_of(
    fields: &PositionFields<'_>,
    category: Category,
    instruments: &Instruments,
) -> Result<Position, DecodeError> {
    let position_side = words::position_side(fields.position_idx)?;
    let entry_price = words::unless_zero(fields.entry_price.or(fields.avg_price), "entryPrice")?;
    let mark_price = words::unless_zero(fields.mark_price, "markPrice")?;
    let size = fields.size.optional("size")?.unwrap_or_default();
    // Of an inverse contract dollars become base units at the entry price: that is what the fills amounted to.
    let base = words::base_size(
        category,
        fields.symbol,
        size,
        entry_price.or(mark_price),
        instruments,
    )?
    .ok_or_else(|| DecodeError::bad_number("size", fields.size.text()))?;
    Ok(Position {
        instrument: fields.symbol.into(),
        position_side,
        size: words::signed_position(fields.side, position_side, base)?,
        entry_price,
        mark_price,
        unrealised_profit: words::optional(fields.unrealised_pnl, "unrealisedPnl")?,
        leverage: words::unless_zero(fields.leverage, "leverage")?,
        margin_mode: margin_mode(fields.trade_mode)?,
        liquidation_price: words::unless_zero(fields.liq_price, "liqPrice")?,
        time_ms: match fields.updated_time {
            Some(time) if !time.is_absent() => time.milliseconds("updatedTime")?,
            _ => 0,
        },
    })
}

/// `tradeMode`: 1 is isolated. 0 is said of all positions of a unified account, whatever they are, so that it tells
/// nothing.
pub(super) fn margin_mode(trade_mode: Option<Number<'_>>) -> Result<Option<MarginMode>, DecodeError> {
    match trade_mode.map(Number::text) {
        Some("1") => Ok(Some(MarginMode::Isolated)),
        None | Some("0" | "" | "null") => Ok(None),
        Some(other) => Err(DecodeError::unknown_word("tradeMode", other)),
    }
}

#[derive(Deserialize)]
pub(super) struct Wallet<'a> {
    #[serde(borrow)]
    pub(super) coin: Vec<CoinFields<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CoinFields<'a> {
    coin: &'a str,
    #[serde(borrow)]
    wallet_balance: Number<'a>,
    #[serde(default, borrow)]
    equity: Option<Number<'a>>,
    #[serde(default, borrow)]
    available_to_withdraw: Option<Number<'a>>,
}

pub(super) fn balance(fields: &CoinFields<'_>, time_ms: u64) -> Result<Balance, DecodeError> {
    Ok(Balance {
        asset: fields.coin.into(),
        wallet: fields.wallet_balance.decimal("walletBalance")?,
        equity: words::optional(fields.equity, "equity")?,
        available: words::optional(fields.available_to_withdraw, "availableToWithdraw")?,
        time_ms,
    })
}

// -------------------------------------------------------------------------------------------------------------- market

fn market(
    topic: &str,
    head: &Head<'_>,
    data: &RawValue,
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let unsupported = || DecodeError::unsupported(topic);
    let (name, rest) = topic.split_once('.').ok_or_else(unsupported)?;
    let time_ms = || need(head.ts, "ts", "topic")?.milliseconds("ts");
    let snapshot = || match head.kind {
        Some("snapshot") => Ok(true),
        Some("delta") => Ok(false),
        other => Err(DecodeError::unknown_word("type", other.unwrap_or_default())),
    };
    match name {
        "tickers" => {
            let category = words::category_of(rest, instruments)?;
            snapshot()?;
            let fields: TickerFields<'_> = read_text(data.get())?;
            same(fields.symbol, rest)?;
            // Only spot has it; it shares the topics' names.
            if fields.usd_index_price.is_some() {
                return Err(DecodeError::product("spot"));
            }
            ticker_events(&fields, category, time_ms()?, instruments, events)
        }
        "orderbook" => {
            let (_, symbol) = rest.split_once('.').ok_or_else(unsupported)?;
            let category = words::category_of(symbol, instruments)?;
            let fields: BookFields<'_> = read_text(data.get())?;
            same(fields.s, symbol)?;
            // The venue starts its count again with a whole book.
            let whole = snapshot()? || fields.u.text() == "1";
            events.push(Event::Book(book(
                &fields,
                category,
                whole,
                time_ms()?,
                instruments,
            )?));
            Ok(())
        }
        "publicTrade" => {
            let category = words::category_of(rest, instruments)?;
            each(data, |fields: TradeFields<'_>| {
                same(fields.s, rest)?;
                let price = fields.p.decimal("p")?;
                let size = words::size(fields.v, "v")?;
                events.push(Event::Trade(Trade {
                    instrument: fields.s.into(),
                    trade_id: fields.i.into(),
                    side: words::side(fields.side)?,
                    size: words::base_size(category, fields.s, size, Some(price), instruments)?
                        .ok_or_else(|| DecodeError::bad_number("v", fields.v.text()))?,
                    price,
                    buyer: None,
                    seller: None,
                    liquidation: false,
                    time_ms: fields.time.milliseconds("T")?,
                }));
                Ok(())
            })
        }
        "kline" => {
            let (interval, symbol) = rest.split_once('.').ok_or_else(unsupported)?;
            let interval = words::interval(interval)?;
            let category = words::category_of(symbol, instruments)?;
            each(data, |fields: KlineFields<'_>| {
                same(fields.interval, words::interval_word(interval))?;
                events.push(Event::Kline(Kline {
                    instrument: symbol.into(),
                    interval,
                    start_ms: fields.start.milliseconds("start")?,
                    open: fields.open.decimal("open")?,
                    high: fields.high.decimal("high")?,
                    low: fields.low.decimal("low")?,
                    close: fields.close.decimal("close")?,
                    // Of an inverse contract the turnover is what is in base units.
                    volume: match category {
                        Category::Linear => fields.volume.decimal("volume")?,
                        Category::Inverse => fields.turnover.decimal("turnover")?,
                    },
                    closed: Some(fields.confirm),
                    time_ms: fields.timestamp.milliseconds("timestamp")?,
                }));
                Ok(())
            })
        }
        _ => Err(unsupported()),
    }
}

/// The topic and its data must be of one instrument.
fn same(found: &str, expected: &str) -> Result<(), DecodeError> {
    if found == expected {
        Ok(())
    } else {
        Err(DecodeError::unknown_word("symbol", found))
    }
}

/// A ticker, as streams and replies have it. Streams leave out what did not change.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TickerFields<'a> {
    pub(super) symbol: &'a str,
    #[serde(rename = "bid1Price", default, borrow)]
    bid: Option<Number<'a>>,
    #[serde(rename = "bid1Size", default, borrow)]
    bid_size: Option<Number<'a>>,
    #[serde(rename = "ask1Price", default, borrow)]
    ask: Option<Number<'a>>,
    #[serde(rename = "ask1Size", default, borrow)]
    ask_size: Option<Number<'a>>,
    #[serde(default, borrow)]
    last_price: Option<Number<'a>>,
    #[serde(default, borrow)]
    mark_price: Option<Number<'a>>,
    #[serde(default, borrow)]
    index_price: Option<Number<'a>>,
    #[serde(default, borrow)]
    funding_rate: Option<Number<'a>>,
    #[serde(default, borrow)]
    next_funding_time: Option<Number<'a>>,
    #[serde(default, borrow)]
    funding_interval_hour: Option<Number<'a>>,
    #[serde(default, borrow)]
    usd_index_price: Option<Number<'a>>,
}

pub(super) fn ticker(
    fields: &TickerFields<'_>,
    category: Category,
    time_ms: u64,
    instruments: &Instruments,
) -> Result<Ticker, DecodeError> {
    let bid = words::unless_zero(fields.bid, "bid1Price")?;
    let ask = words::unless_zero(fields.ask, "ask1Price")?;
    let base = |size: Option<Decimal>, price| match size {
        Some(size) => words::base_size(category, fields.symbol, size, price, instruments),
        None => Ok(None),
    };
    Ok(Ticker {
        instrument: fields.symbol.into(),
        bid,
        bid_size: base(words::optional(fields.bid_size, "bid1Size")?, bid)?,
        ask,
        ask_size: base(words::optional(fields.ask_size, "ask1Size")?, ask)?,
        last: words::unless_zero(fields.last_price, "lastPrice")?,
        mark: words::unless_zero(fields.mark_price, "markPrice")?,
        index: words::unless_zero(fields.index_price, "indexPrice")?,
        funding_rate: words::optional(fields.funding_rate, "fundingRate")?,
        time_ms,
    })
}

pub(super) fn mark(fields: &TickerFields<'_>, time_ms: u64) -> Result<Option<Mark>, DecodeError> {
    Ok(match words::unless_zero(fields.mark_price, "markPrice")? {
        Some(price) => Some(Mark {
            instrument: fields.symbol.into(),
            price,
            index: words::unless_zero(fields.index_price, "indexPrice")?,
            time_ms,
        }),
        None => None,
    })
}

pub(super) fn funding(fields: &TickerFields<'_>, time_ms: u64) -> Result<Option<Funding>, DecodeError> {
    let Some(rate) = words::optional(fields.funding_rate, "fundingRate")? else {
        return Ok(None);
    };
    let present = |number: Option<Number<'_>>| match number {
        Some(number) if !number.is_absent() => number.milliseconds("nextFundingTime").map(Some),
        _ => Ok(None),
    };
    Ok(Some(Funding {
        instrument: fields.symbol.into(),
        rate,
        next_time_ms: present(fields.next_funding_time)?.filter(|next| *next > 0),
        interval_hours: present(fields.funding_interval_hour)?.and_then(|hours| u32::try_from(hours).ok()),
        time_ms,
    }))
}

fn ticker_events(
    fields: &TickerFields<'_>,
    category: Category,
    time_ms: u64,
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    events.push(Event::Ticker(ticker(fields, category, time_ms, instruments)?));
    events.extend(mark(fields, time_ms)?.map(Event::Mark));
    events.extend(funding(fields, time_ms)?.map(Event::Funding));
    Ok(())
}

#[derive(Deserialize)]
pub(super) struct BookFields<'a> {
    pub(super) s: &'a str,
    #[serde(borrow)]
    b: Vec<LevelFields<'a>>,
    #[serde(borrow)]
    a: Vec<LevelFields<'a>>,
    #[serde(borrow)]
    u: Number<'a>,
    /// Replies.
    #[serde(default, borrow)]
    pub(super) ts: Option<Number<'a>>,
}

/// Price and size.
#[derive(Deserialize)]
struct LevelFields<'a>(#[serde(borrow)] Number<'a>, #[serde(borrow)] Number<'a>);

pub(super) fn book(
    fields: &BookFields<'_>,
    category: Category,
    snapshot: bool,
    time_ms: u64,
    instruments: &Instruments,
) -> Result<Book, DecodeError> {
    let levels = |levels: &[LevelFields<'_>]| {
        levels
            .iter()
            .map(|LevelFields(price, size)| {
                let price = price.decimal("price")?;
                let base = words::size(*size, "size")?;
                Ok(Level {
                    price,
                    size: words::base_size(category, fields.s, base, Some(price), instruments)?
                        .ok_or_else(|| DecodeError::bad_number("size", size.text()))?,
                })
            })
            .collect::<Result<Vec<_>, DecodeError>>()
    };
    let update = fields.u.integer("u")?;
    Ok(Book {
        instrument: fields.s.into(),
        snapshot,
        bids: levels(&fields.b)?,
        asks: levels(&fields.a)?,
        // Every message is one update.
        check: BookCheck::Sequence {
            first: update,
            last: update,
            previous: None,
        },
        checksum: None,
        time_ms,
    })
}

#[derive(Deserialize)]
struct TradeFields<'a> {
    #[serde(rename = "T", borrow)]
    time: Number<'a>,
    s: &'a str,
    #[serde(rename = "S")]
    side: &'a str,
    #[serde(borrow)]
    v: Number<'a>,
    #[serde(borrow)]
    p: Number<'a>,
    i: &'a str,
}

#[derive(Deserialize)]
struct KlineFields<'a> {
    #[serde(borrow)]
    start: Number<'a>,
    interval: &'a str,
    #[serde(borrow)]
    open: Number<'a>,
    #[serde(borrow)]
    close: Number<'a>,
    #[serde(borrow)]
    high: Number<'a>,
    #[serde(borrow)]
    low: Number<'a>,
    #[serde(borrow)]
    volume: Number<'a>,
    #[serde(borrow)]
    turnover: Number<'a>,
    confirm: bool,
    #[serde(borrow)]
    timestamp: Number<'a>,
}
