//! Frames of the sockets. A frame is read twice: its name, then the shape that has it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::words;
use crate::error::DecodeError;
use crate::json::{Id, Number, read, read_text};
use crate::model::{
    Balance, Book, BookCheck, Cause, Control, Decimal, Event, Fee, Fill, Funding, Kline, Level, Liquidity,
    Mark, Order, Position, Side, Text, Ticker, Trade,
};

/// What tells frames apart.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default)]
    e: Option<&'a str>,
    #[serde(default, borrow)]
    stream: Option<&'a RawValue>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    #[serde(default, borrow)]
    id: Option<Id<'a>>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<Refused<'a>>,
    #[serde(default, borrow)]
    status: Option<&'a RawValue>,
    #[serde(default, borrow)]
    u: Option<&'a RawValue>,
    /// The order in an order's message; something else in others.
    #[serde(default, borrow)]
    o: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Refused<'a> {
    #[serde(borrow)]
    code: Number<'a>,
    #[serde(default)]
    msg: std::borrow::Cow<'a, str>,
}

pub(super) fn decode(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let head: Head<'_> = read(frame)?;
    match head {
        Head {
            e: Some("ORDER_TRADE_UPDATE"),
            o,
            ..
        } => order_update(o, events),
        Head { e: Some(name), .. } => named(name, frame, events),
        // A combined stream wraps what a plain one sends.
        Head {
            stream: Some(_),
            data: Some(data),
            ..
        } => {
            let inner = data.get().as_bytes();
            match read::<Head<'_>>(inner)? {
                Head {
                    e: Some("ORDER_TRADE_UPDATE"),
                    o,
                    ..
                } => order_update(o, events),
                Head { e: Some(name), .. } => named(name, inner, events),
                _ => Err(DecodeError::unsupported("stream without a name")),
            }
        }
        Head {
            error: Some(error), ..
        } => {
            events.push(Event::Control(Control::Refused {
                code: error.code.text().into(),
                message: error.msg.as_ref().into(),
            }));
            Ok(())
        }
        // Answers of the trading interface, which is not used; they have a status, those of streams do not.
        Head {
            id: Some(_),
            status: Some(_),
            ..
        } => Err(DecodeError::unsupported("reply of the trading socket")),
        // `{"result": null, "id": 1}`: the venue does not repeat what was asked.
        Head {
            id: Some(id),
            stream: None,
            ..
        } if head.result.is_none_or(|result| result.get() == "null") => {
            events.push(Event::Control(Control::Answered { id: id.owned() }));
            Ok(())
        }
        // Best prices without a name are those of spot.
        Head { u: Some(_), .. } => Err(DecodeError::product("spot")),
        _ => Err(DecodeError::unsupported("message without a name")),
    }
}

fn named(name: &str, frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    match name {
        "TRADE_LITE" => trade_lite(frame, events),
        "ACCOUNT_UPDATE" => account_update(frame, events),
        "ALGO_UPDATE" => algo_update(frame, events),
        "ACCOUNT_CONFIG_UPDATE" => config_update(frame, events),
        "MARGIN_CALL" => margin_call(frame, events),
        "listenKeyExpired" => {
            events.push(Event::Control(Control::SessionExpired));
            Ok(())
        }
        "bookTicker" => book_ticker(frame, events),
        "24hrTicker" => day_ticker(frame, events),
        "depthUpdate" => depth(frame, events),
        "aggTrade" => aggregate_trade(frame, events),
        "trade" => trade(frame, events),
        "kline" => kline(frame, events),
        "markPriceUpdate" => mark_price(frame, events),
        "executionReport" | "outboundAccountPosition" | "balanceUpdate" | "externalLockUpdate" => {
            Err(DecodeError::product("spot"))
        }
        "BALANCE_POSITION_UPDATE" => Err(DecodeError::product("option")),
        other => Err(DecodeError::unsupported(other)),
    }
}

// ------------------------------------------------------------------------------------------------------------- account

#[derive(Deserialize)]
struct OrderFields<'a> {
    s: &'a str,
    c: &'a str,
    #[serde(rename = "S")]
    side: &'a str,
    o: &'a str,
    f: &'a str,
    #[serde(borrow)]
    q: Number<'a>,
    #[serde(borrow)]
    p: Number<'a>,
    #[serde(borrow)]
    ap: Number<'a>,
    #[serde(default, borrow)]
    sp: Option<Number<'a>>,
    x: &'a str,
    #[serde(rename = "X")]
    status: &'a str,
    #[serde(borrow)]
    i: Number<'a>,
    #[serde(borrow)]
    l: Number<'a>,
    #[serde(borrow)]
    z: Number<'a>,
    #[serde(rename = "L", borrow)]
    last_price: Number<'a>,
    #[serde(rename = "N", default)]
    fee_asset: Option<&'a str>,
    #[serde(rename = "n", default, borrow)]
    fee: Option<Number<'a>>,
    #[serde(rename = "T", borrow)]
    time: Number<'a>,
    #[serde(borrow)]
    t: Number<'a>,
    m: bool,
    #[serde(rename = "R")]
    reduce_only: bool,
    ps: &'a str,
    #[serde(default)]
    cp: bool,
}

fn order_update(order: Option<&RawValue>, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let order = order.map(RawValue::get).ok_or(DecodeError::MissingField {
        field: "o",
        message: "ORDER_TRADE_UPDATE",
    })?;
    // Of options the venue sends a list under the same name.
    if order.starts_with('[') {
        return Err(DecodeError::product("option"));
    }
    let order: OrderFields<'_> = read_text(order)?;
    words::supported(order.s)?;
    let side = words::side(order.side)?;
    let position_side = words::position_side(order.ps)?;
    let kind = words::order_kind(order.o)?;
    let time_ms = order.time.milliseconds("T")?;
    let client_order_id = (!order.c.is_empty()).then(|| Text::new(order.c));
    let mut cause = words::cause(order.c, order.o);
    // The last fill stays in the messages after it: only these two say that one happened now.
    let happened = match order.x {
        "TRADE" => true,
        "CALCULATED" => {
            if cause == Cause::User {
                cause = Cause::Liquidation;
            }
            true
        }
        "NEW" | "CANCELED" | "EXPIRED" | "AMENDMENT" => false,
        other => return Err(DecodeError::unknown_word("x", other)),
    };
    if cause == Cause::User {
        cause = match order.status {
            "NEW_INSURANCE" => Cause::Liquidation,
            "NEW_ADL" => Cause::AutoDeleveraging,
            _ => Cause::User,
        };
    }
    let fill = if happened {
        fill_of(
            &order,
            side,
            position_side,
            cause,
            client_order_id.clone(),
            time_ms,
        )?
    } else {
        None
    };
    let size = words::size(order.q, "q")?;
    let order = Order {
        instrument: Text::new(order.s),
        order_id: Text::new(order.i.text()),
        client_order_id,
        side,
        position_side,
        order_kind: kind,
        time_in_force: words::time_in_force(order.f)?,
        status: words::status(order.status, kind)?,
        venue_status: Text::new(order.status),
        price: words::unless_zero(Some(order.p), "p")?,
        trigger_price: words::unless_zero(order.sp, "sp")?,
        // An order that closes the whole position has no size of its own.
        size: (!(order.cp && size.is_zero())).then_some(size),
        filled: words::size(order.z, "z")?,
        average_price: words::unless_zero(Some(order.ap), "ap")?,
        reduce_only: order.reduce_only || order.cp,
        cause,
        time_ms,
    };
    events.extend(fill.map(Event::Fill));
    events.push(Event::Order(order));
    Ok(())
}

fn fill_of(
    order: &OrderFields<'_>,
    side: Side,
    position_side: crate::model::PositionSide,
    cause: Cause,
    client_order_id: Option<Text>,
    time_ms: u64,
) -> Result<Option<Fill>, DecodeError> {
    let size = order.l.decimal("l")?;
    let has_trade = order.t.integer("t")? > 0;
    if order.x == "CALCULATED" && !has_trade {
        // The venue took the order over without a trade: the position's own message tells the new size.
        return Ok(None);
    }
    if !has_trade {
        return Err(DecodeError::bad_number("t", order.t.text()));
    }
    // What was filled last is a part of what was filled in all.
    if size <= Decimal::ZERO || size > order.z.decimal("z")? {
        return Err(DecodeError::bad_number("l", order.l.text()));
    }
    let fee = match (order.fee, order.fee_asset) {
        (Some(amount), Some(asset)) if !asset.is_empty() => Some(Fee {
            amount: amount.decimal("n")?,
            asset: Text::new(asset),
        }),
        _ => None,
    };
    Ok(Some(Fill {
        instrument: Text::new(order.s),
        trade_id: Text::new(order.t.text()),
        order_id: Text::new(order.i.text()),
        client_order_id,
        side,
        position_side: Some(position_side),
        size,
        price: words::price(order.last_price, "L")?,
        fee,
        liquidity: Some(liquidity(order.m)),
        cause,
        position_after: None,
        user: None,
        historic: false,
        time_ms,
    }))
}

const fn liquidity(maker: bool) -> Liquidity {
    if maker { Liquidity::Maker } else { Liquidity::Taker }
}

/// Comes before the order's own message and has less: it is told apart by instrument and trade id like any other fill.
#[derive(Deserialize)]
struct TradeLite<'a> {
    #[serde(rename = "T", borrow)]
    time: Number<'a>,
    s: &'a str,
    c: &'a str,
    #[serde(rename = "S")]
    side: &'a str,
    #[serde(borrow)]
    i: Number<'a>,
    #[serde(borrow)]
    l: Number<'a>,
    #[serde(rename = "L", borrow)]
    last_price: Number<'a>,
    #[serde(borrow)]
    t: Number<'a>,
    m: bool,
}

fn trade_lite(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let trade: TradeLite<'_> = read(frame)?;
    words::supported(trade.s)?;
    let size = trade.l.decimal("l")?;
    if size <= Decimal::ZERO {
        return Err(DecodeError::bad_number("l", trade.l.text()));
    }
    if trade.t.integer("t")? <= 0 {
        return Err(DecodeError::bad_number("t", trade.t.text()));
    }
    events.push(Event::Fill(Fill {
        instrument: Text::new(trade.s),
        trade_id: Text::new(trade.t.text()),
        order_id: Text::new(trade.i.text()),
        client_order_id: (!trade.c.is_empty()).then(|| Text::new(trade.c)),
        side: words::side(trade.side)?,
        position_side: None,
        size,
        price: words::price(trade.last_price, "L")?,
        fee: None,
        liquidity: Some(liquidity(trade.m)),
        cause: words::cause(trade.c, ""),
        position_after: None,
        user: None,
        historic: false,
        time_ms: trade.time.milliseconds("T")?,
    }));
    Ok(())
}

#[derive(Deserialize)]
struct AccountUpdate<'a> {
    #[serde(rename = "T", borrow)]
    time: Number<'a>,
    #[serde(borrow)]
    a: AccountFields<'a>,
}

#[derive(Deserialize)]
struct AccountFields<'a> {
    #[serde(rename = "B", default, borrow)]
    balances: Vec<BalanceFields<'a>>,
    #[serde(rename = "P", default, borrow)]
    positions: Vec<PositionFields<'a>>,
}

#[derive(Deserialize)]
struct BalanceFields<'a> {
    a: &'a str,
    #[serde(borrow)]
    wb: Number<'a>,
}

#[derive(Deserialize)]
struct PositionFields<'a> {
    s: &'a str,
    #[serde(borrow)]
    pa: Number<'a>,
    #[serde(borrow)]
    ep: Number<'a>,
    #[serde(default, borrow)]
    up: Option<Number<'a>>,
    #[serde(default)]
    mt: Option<&'a str>,
    ps: &'a str,
}

fn account_update(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let update: AccountUpdate<'_> = read(frame)?;
    let time_ms = update.time.milliseconds("T")?;
    let mut said = Vec::with_capacity(update.a.balances.len() + update.a.positions.len());
    for balance in &update.a.balances {
        said.push(Event::Balance(Balance {
            asset: Text::new(balance.a),
            wallet: balance.wb.decimal("wb")?,
            equity: None,
            available: None,
            time_ms,
        }));
    }
    for position in &update.a.positions {
        words::supported(position.s)?;
        let position_side = words::position_side(position.ps)?;
        said.push(Event::Position(Position {
            instrument: Text::new(position.s),
            position_side,
            size: words::position_size(position_side, position.pa)?,
            entry_price: words::unless_zero(Some(position.ep), "ep")?,
            mark_price: None,
            unrealised_profit: match position.up {
                Some(profit) => profit.optional("up")?,
                None => None,
            },
            leverage: None,
            margin_mode: position.mt.map(words::margin_mode).transpose()?,
            liquidation_price: None,
            time_ms,
        }));
    }
    events.append(&mut said);
    Ok(())
}

#[derive(Deserialize)]
struct AlgoUpdate<'a> {
    #[serde(rename = "T", borrow)]
    time: Number<'a>,
    #[serde(borrow)]
    o: AlgoFields<'a>,
}

#[derive(Deserialize)]
struct AlgoFields<'a> {
    caid: &'a str,
    #[serde(borrow)]
    aid: Number<'a>,
    at: &'a str,
    o: &'a str,
    s: &'a str,
    #[serde(rename = "S")]
    side: &'a str,
    ps: &'a str,
    f: &'a str,
    #[serde(borrow)]
    q: Number<'a>,
    #[serde(rename = "X")]
    status: &'a str,
    #[serde(default, borrow)]
    ap: Option<Number<'a>>,
    #[serde(default, borrow)]
    aq: Option<Number<'a>>,
    #[serde(borrow)]
    tp: Number<'a>,
    #[serde(borrow)]
    p: Number<'a>,
    #[serde(default)]
    cp: bool,
    #[serde(rename = "R")]
    reduce_only: bool,
}

fn algo_update(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let update: AlgoUpdate<'_> = read(frame)?;
    let order = &update.o;
    words::supported(order.s)?;
    if order.at != "CONDITIONAL" {
        return Err(DecodeError::unknown_word("at", order.at));
    }
    let size = words::size(order.q, "q")?;
    let size = (!(order.cp && size.is_zero())).then_some(size);
    let filled = match order.aq {
        Some(filled) if !filled.is_absent() => words::size(filled, "aq")?,
        _ => Decimal::ZERO,
    };
    events.push(Event::Order(Order {
        instrument: Text::new(order.s),
        order_id: Text::new(order.aid.text()),
        client_order_id: (!order.caid.is_empty()).then(|| Text::new(order.caid)),
        side: words::side(order.side)?,
        position_side: words::position_side(order.ps)?,
        order_kind: words::order_kind(order.o)?,
        time_in_force: words::time_in_force(order.f)?,
        status: words::algo_status(order.status, filled, size)?,
        venue_status: Text::new(order.status),
        price: words::unless_zero(Some(order.p), "p")?,
        trigger_price: words::unless_zero(Some(order.tp), "tp")?,
        size,
        filled,
        average_price: words::unless_zero(order.ap, "ap")?,
        reduce_only: order.reduce_only || order.cp,
        cause: words::cause(order.caid, order.o),
        time_ms: update.time.milliseconds("T")?,
    }));
    Ok(())
}

#[derive(Deserialize)]
struct ConfigUpdate<'a> {
    #[serde(default, borrow)]
    ac: Option<LeverageFields<'a>>,
    #[serde(default)]
    ai: Option<AssetsMode>,
}

#[derive(Deserialize)]
struct LeverageFields<'a> {
    s: &'a str,
    #[serde(borrow)]
    l: Number<'a>,
}

#[derive(Deserialize)]
struct AssetsMode {
    j: bool,
}

fn config_update(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let update: ConfigUpdate<'_> = read(frame)?;
    let mut said = Vec::new();
    if let Some(leverage) = update.ac {
        said.push(Control::LeverageChanged {
            instrument: Text::new(words::supported(leverage.s)?),
            leverage: leverage.l.decimal("l")?,
        });
    }
    if let Some(AssetsMode { j }) = update.ai {
        said.push(Control::Notice {
            message: if j {
                "multi-assets margin on"
            } else {
                "multi-assets margin off"
            }
            .into(),
        });
    }
    if said.is_empty() {
        return Err(DecodeError::MissingField {
            field: "ac or ai",
            message: "ACCOUNT_CONFIG_UPDATE",
        });
    }
    events.extend(said.into_iter().map(Event::Control));
    Ok(())
}

#[derive(Deserialize)]
struct MarginCall<'a> {
    #[serde(borrow)]
    p: Vec<MarginCallFields<'a>>,
}

#[derive(Deserialize)]
struct MarginCallFields<'a> {
    s: &'a str,
}

fn margin_call(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let call: MarginCall<'_> = read(frame)?;
    let instruments: Vec<&str> = call.p.iter().map(|position| position.s).collect();
    events.push(Event::Control(Control::MarginCall {
        message: instruments.join(", ").into(),
    }));
    Ok(())
}

// -------------------------------------------------------------------------------------------------------------- market

#[derive(Deserialize)]
struct BookTicker<'a> {
    s: &'a str,
    #[serde(rename = "E", borrow)]
    event_time: Number<'a>,
    #[serde(rename = "T", default, borrow)]
    time: Option<Number<'a>>,
    #[serde(borrow)]
    b: Number<'a>,
    #[serde(rename = "B", borrow)]
    bid_size: Number<'a>,
    #[serde(borrow)]
    a: Number<'a>,
    #[serde(rename = "A", borrow)]
    ask_size: Number<'a>,
}

fn book_ticker(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let ticker: BookTicker<'_> = read(frame)?;
    events.push(Event::Ticker(Ticker {
        instrument: Text::new(words::supported(ticker.s)?),
        bid: Some(ticker.b.decimal("b")?),
        bid_size: Some(words::size(ticker.bid_size, "B")?),
        ask: Some(ticker.a.decimal("a")?),
        ask_size: Some(words::size(ticker.ask_size, "A")?),
        time_ms: ticker.time.unwrap_or(ticker.event_time).milliseconds("T")?,
        ..Ticker::default()
    }));
    Ok(())
}

#[derive(Deserialize)]
struct DayTicker<'a> {
    s: &'a str,
    #[serde(rename = "E", borrow)]
    time: Number<'a>,
    #[serde(borrow)]
    c: Number<'a>,
    /// Spot has the best prices in here, this product has not.
    #[serde(default, borrow)]
    b: Option<&'a RawValue>,
}

fn day_ticker(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let ticker: DayTicker<'_> = read(frame)?;
    if ticker.b.is_some() {
        return Err(DecodeError::product("spot"));
    }
    events.push(Event::Ticker(Ticker {
        instrument: Text::new(words::supported(ticker.s)?),
        last: Some(ticker.c.decimal("c")?),
        time_ms: ticker.time.milliseconds("E")?,
        ..Ticker::default()
    }));
    Ok(())
}

/// Price and size.
#[derive(Deserialize)]
pub(super) struct LevelFields<'a>(#[serde(borrow)] Number<'a>, #[serde(borrow)] Number<'a>);

pub(super) fn levels(levels: &[LevelFields<'_>]) -> Result<Vec<Level>, DecodeError> {
    levels
        .iter()
        .map(|LevelFields(price, size)| {
            Ok(Level {
                price: price.decimal("price")?,
                size: words::size(*size, "size")?,
            })
        })
        .collect()
}

#[derive(Deserialize)]
struct Depth<'a> {
    s: &'a str,
    #[serde(rename = "T", default, borrow)]
    time: Option<Number<'a>>,
    #[serde(rename = "U", borrow)]
    first: Number<'a>,
    #[serde(borrow)]
    u: Number<'a>,
    #[serde(default, borrow)]
    pu: Option<Number<'a>>,
    #[serde(borrow)]
    b: Vec<LevelFields<'a>>,
    #[serde(borrow)]
    a: Vec<LevelFields<'a>>,
}

/// A change of the book: the whole of it is asked for by [`crate::operation::Operation::Book`].
fn depth(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let depth: Depth<'_> = read(frame)?;
    // Spot names neither the time of the change nor the update before.
    let (Some(time), Some(previous)) = (depth.time, depth.pu) else {
        return Err(DecodeError::product("spot"));
    };
    events.push(Event::Book(Book {
        instrument: Text::new(words::supported(depth.s)?),
        snapshot: false,
        bids: levels(&depth.b)?,
        asks: levels(&depth.a)?,
        check: BookCheck::Sequence {
            first: depth.first.integer("U")?,
            last: depth.u.integer("u")?,
            previous: Some(previous.integer("pu")?),
        },
        checksum: None,
        time_ms: time.milliseconds("T")?,
    }));
    Ok(())
}

#[derive(Deserialize)]
struct AggregateTrade<'a> {
    s: &'a str,
    #[serde(borrow)]
    a: Number<'a>,
    #[serde(borrow)]
    p: Number<'a>,
    #[serde(borrow)]
    q: Number<'a>,
    #[serde(rename = "T", borrow)]
    time: Number<'a>,
    m: bool,
    /// Only spot has it.
    #[serde(rename = "M", default, borrow)]
    best_match: Option<&'a RawValue>,
}

fn aggregate_trade(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let trade: AggregateTrade<'_> = read(frame)?;
    if trade.best_match.is_some() {
        return Err(DecodeError::product("spot"));
    }
    events.push(Event::Trade(Trade {
        instrument: Text::new(words::supported(trade.s)?),
        trade_id: Text::new(trade.a.text()),
        side: taker_side(trade.m),
        size: words::size(trade.q, "q")?,
        price: trade.p.decimal("p")?,
        buyer: None,
        seller: None,
        liquidation: false,
        time_ms: trade.time.milliseconds("T")?,
    }));
    Ok(())
}

/// The venue says whether the buyer rested in the book: then the taker sold.
pub(super) const fn taker_side(buyer_is_maker: bool) -> Side {
    if buyer_is_maker { Side::Sell } else { Side::Buy }
}

#[derive(Deserialize)]
struct SingleTrade<'a> {
    s: &'a str,
    #[serde(borrow)]
    t: Number<'a>,
    #[serde(borrow)]
    p: Number<'a>,
    #[serde(borrow)]
    q: Number<'a>,
    #[serde(rename = "T", borrow)]
    time: Number<'a>,
    m: bool,
    /// What kind of trade. Spot has none.
    #[serde(rename = "X", default)]
    kind: Option<&'a str>,
}

fn trade(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let trade: SingleTrade<'_> = read(frame)?;
    match trade.kind {
        Some("MARKET") => {}
        Some(other) => return Err(DecodeError::unknown_word("X", other)),
        None => return Err(DecodeError::product("spot")),
    }
    events.push(Event::Trade(Trade {
        instrument: Text::new(words::supported(trade.s)?),
        trade_id: Text::new(trade.t.text()),
        side: taker_side(trade.m),
        size: words::size(trade.q, "q")?,
        price: trade.p.decimal("p")?,
        buyer: None,
        seller: None,
        liquidation: false,
        time_ms: trade.time.milliseconds("T")?,
    }));
    Ok(())
}

#[derive(Deserialize)]
struct KlineFrame<'a> {
    s: &'a str,
    #[serde(rename = "E", borrow)]
    time: Number<'a>,
    #[serde(borrow)]
    k: KlineFields<'a>,
}

#[derive(Deserialize)]
struct KlineFields<'a> {
    #[serde(borrow)]
    t: Number<'a>,
    i: &'a str,
    #[serde(borrow)]
    o: Number<'a>,
    #[serde(borrow)]
    c: Number<'a>,
    #[serde(borrow)]
    h: Number<'a>,
    #[serde(borrow)]
    l: Number<'a>,
    #[serde(borrow)]
    v: Number<'a>,
    x: bool,
}

/// Spot's klines have the same shape: only the socket tells them apart.
fn kline(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let frame: KlineFrame<'_> = read(frame)?;
    let kline = &frame.k;
    events.push(Event::Kline(Kline {
        instrument: Text::new(words::supported(frame.s)?),
        interval: words::interval(kline.i)?,
        start_ms: kline.t.milliseconds("t")?,
        open: kline.o.decimal("o")?,
        high: kline.h.decimal("h")?,
        low: kline.l.decimal("l")?,
        close: kline.c.decimal("c")?,
        volume: kline.v.decimal("v")?,
        closed: Some(kline.x),
        time_ms: frame.time.milliseconds("E")?,
    }));
    Ok(())
}

#[derive(Deserialize)]
struct MarkPrice<'a> {
    s: &'a str,
    #[serde(rename = "E", borrow)]
    time: Number<'a>,
    #[serde(borrow)]
    p: Number<'a>,
    #[serde(default, borrow)]
    i: Option<Number<'a>>,
    #[serde(default, borrow)]
    r: Option<Number<'a>>,
    #[serde(rename = "T", default, borrow)]
    next_funding: Option<Number<'a>>,
}

fn mark_price(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let mark: MarkPrice<'_> = read(frame)?;
    let instrument = Text::new(words::supported(mark.s)?);
    let time_ms = mark.time.milliseconds("E")?;
    // Dated futures have no funding: an empty rate and 0 as its time.
    let rate = match mark.r {
        Some(rate) => rate.optional("r")?,
        None => None,
    };
    let next = match mark.next_funding {
        Some(next) if !next.is_absent() => Some(next.milliseconds("T")?).filter(|next| *next > 0),
        _ => None,
    };
    events.push(Event::Mark(Mark {
        instrument: instrument.clone(),
        price: mark.p.decimal("p")?,
        index: words::unless_zero(mark.i, "i")?,
        time_ms,
    }));
    if let (Some(rate), Some(next)) = (rate, next) {
        events.push(Event::Funding(Funding {
            instrument,
            rate,
            next_time_ms: Some(next),
            interval_hours: None,
            time_ms,
        }));
    }
    Ok(())
}
