//! Frames of the socket into events.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::connections::{LOGIN_ID, TEST_ID};
use super::instruments::is_future;
use crate::error::DecodeError;
use crate::json::{Id, Number, read, read_text};
use crate::model::{
    Balance, Book, BookCheck, Cause, ContractKind, Control, Decimal, Event, Fee, Fill, Funding, Instruments,
    Interval, Kline, Level, Liquidity, MarginMode, Mark, Order, OrderKind, OrderStatus, Position,
    PositionSide, Side, Text, Ticker, TimeInForce, Trade,
};
use crate::venues::rows::{each, each_or_one};

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default)]
    method: Option<Id<'a>>,
    #[serde(borrow, default)]
    params: Option<Params<'a>>,
    #[serde(borrow, default)]
    id: Option<Id<'a>>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<Failure<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow, default)]
    channel: Option<Id<'a>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Id<'a>>,
}

/// A refusal, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct Failure<'a> {
    /// The venue's number.
    #[serde(borrow)]
    pub(super) code: Number<'a>,
    /// The venue's words.
    #[serde(borrow)]
    pub(super) message: Cow<'a, str>,
}

/// Reads one frame.
pub(super) fn decode(
    frame: &[u8],
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let before = events.len();
    let result = decode_frame(frame, instruments, events);
    if result.is_err() {
        events.truncate(before);
    }
    result
}

fn decode_frame(frame: &[u8], instruments: &Instruments, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let frame: Frame<'_> = read(frame)?;
    match (frame.method.as_ref().map(Id::text), &frame.params) {
        (Some("subscription"), Some(params)) => subscription(params, instruments, events),
        (Some("heartbeat"), Some(params)) => {
            let control = match params.kind.as_ref().map(Id::text) {
                Some("heartbeat") => Control::Notice {
                    message: "heartbeat".into(),
                },
                Some("test_request") => Control::Ping {
                    reply: format!(
                        "{{\"jsonrpc\":\"2.0\",\"id\":{TEST_ID},\"method\":\"public/test\",\"params\":{{}}}}"
                    )
                    .into(),
                },
                other => return Err(DecodeError::unknown_word("type", other.unwrap_or_default())),
            };
            events.push(Event::Control(control));
            Ok(())
        }
        (Some(method), _) => Err(DecodeError::unsupported(method)),
        (None, _) => answer(&frame, events),
    }
}

/// What an expired or foreign token is refused with.
const UNAUTHORISED: &str = "13009";

#[derive(Deserialize)]
struct Login<'a> {
    #[serde(borrow, default)]
    access_token: Option<Cow<'a, str>>,
    /// Of the token, seconds.
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(borrow, default)]
    version: Option<Cow<'a, str>>,
}

/// The answer to a request of ours.
fn answer(frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let id = frame.id.as_ref().map_or("", Id::text);
    let control = match (&frame.error, frame.result) {
        (Some(error), _) => {
            let (code, message) = (error.code.text().into(), error.message.as_ref().into());
            match (id, error.code.text()) {
                (LOGIN_ID, _) => Control::LoginRefused { code, message },
                (_, UNAUTHORISED) => Control::SessionExpired,
                _ => Control::Refused { code, message },
            }
        }
        (None, Some(result)) => match result.get().as_bytes().first() {
            Some(b'[') => {
                // The channels that now stand; what is missing was refused without an error.
                for topic in read::<Vec<Cow<'_, str>>>(result.get().as_bytes())? {
                    events.push(Event::Control(Control::Subscribed {
                        topic: topic.as_ref().into(),
                    }));
                }
                return Ok(());
            }
            Some(b'{') => {
                let login: Login<'_> = read(result.get().as_bytes())?;
                match (login.access_token, login.version) {
                    (Some(_), _) => Control::LoggedIn {
                        valid_seconds: login.expires_in,
                    },
                    (None, Some(_)) => Control::Pong,
                    (None, None) => Control::Answered { id: id.into() },
                }
            }
            _ => Control::Answered { id: id.into() },
        },
        (None, None) => {
            return Err(DecodeError::MissingField {
                field: "method, result or error",
                message: "frame",
            });
        }
    };
    events.push(Event::Control(control));
    Ok(())
}

fn subscription(
    params: &Params<'_>,
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let missing = |field| DecodeError::MissingField {
        field,
        message: "subscription",
    };
    let channel = params
        .channel
        .as_ref()
        .map(Id::text)
        .ok_or_else(|| missing("channel"))?;
    let data = params.data.ok_or_else(|| missing("data"))?;
    let mut words = channel.split('.');
    match (words.next().unwrap_or_default(), words.next()) {
        ("user", Some("changes")) => changes(&read_text(data.get())?, instruments, events),
        // Aggregated channels send lists, raw ones single objects.
        ("user", Some("orders")) => each_or_one(data, |order: UserOrder<'_>| {
            events.push(Event::Order(order.order(instruments)?));
            Ok(())
        }),
        ("user", Some("trades")) => each_or_one(data, |trade: UserTrade<'_>| {
            events.push(Event::Fill(trade.fill(instruments)?));
            Ok(())
        }),
        ("user", Some("portfolio")) => {
            events.push(Event::Balance(read_text::<Summary<'_>>(data.get())?.balance(0)?));
            Ok(())
        }
        ("ticker", Some(_)) => {
            let ticker: TickerState<'_> = read_text(data.get())?;
            events.push(Event::Ticker(ticker.ticker(instruments)?));
            events.push(Event::Mark(ticker.mark()?));
            if let Some(funding) = ticker.funding()? {
                events.push(Event::Funding(funding));
            }
            Ok(())
        }
        ("quote", Some(_)) => {
            events.push(Event::Ticker(
                read_text::<TickerState<'_>>(data.get())?.ticker(instruments)?,
            ));
            Ok(())
        }
        ("book", Some(_)) => {
            events.push(Event::Book(
                read_text::<BookChange<'_>>(data.get())?.book(instruments)?,
            ));
            Ok(())
        }
        ("trades", Some(_)) => each(data, |trade: PublicTrade<'_>| {
            events.push(Event::Trade(trade.trade(instruments)?));
            Ok(())
        }),
        ("chart", Some("trades")) => {
            let name = words.next().ok_or_else(|| missing("instrument"))?;
            let resolution = words.next().ok_or_else(|| missing("resolution"))?;
            events.push(Event::Kline(
                read_text::<Candle<'_>>(data.get())?.kline(name, resolution)?,
            ));
            Ok(())
        }
        _ => Err(DecodeError::unsupported(channel)),
    }
}

/// A perpetual's or a future's name.
fn future(name: &str) -> Result<&str, DecodeError> {
    if is_future(name) {
        Ok(name)
    } else {
        Err(DecodeError::product(name))
    }
}

/// Whether sizes are US dollars. Linear instruments are told by their name, so that one that is not in the table can
/// be read too; an inverse one must be in it.
fn is_inverse(name: &str, instruments: &Instruments) -> Result<bool, DecodeError> {
    future(name)?;
    match instruments.get(name) {
        Ok(instrument) => Ok(instrument.kind == ContractKind::Inverse),
        Err(_) if name.contains('_') => Ok(false),
        Err(unknown) => Err(unknown.into()),
    }
}

/// A size in base units; none where an inverse size has no price to tell it by.
fn base(
    name: &str,
    size: Decimal,
    price: Option<Decimal>,
    instruments: &Instruments,
) -> Result<Option<Decimal>, DecodeError> {
    if !is_inverse(name, instruments)? {
        return Ok(Some(size));
    }
    Ok(instruments.get(name)?.to_base(size, price))
}

fn needed(size: Option<Decimal>, message: &'static str) -> Result<Decimal, DecodeError> {
    size.ok_or(DecodeError::MissingField {
        field: "a price that tells the size",
        message,
    })
}

/// The venue's word for a way.
fn side(word: &str) -> Result<Side, DecodeError> {
    match word {
        "buy" => Ok(Side::Buy),
        "sell" => Ok(Side::Sell),
        other => Err(DecodeError::unknown_word("direction", other)),
    }
}

fn above_zero(number: Number<'_>, field: &'static str) -> Result<Decimal, DecodeError> {
    number
        .decimal(field)
        .ok()
        .filter(|value| *value > Decimal::ZERO)
        .ok_or_else(|| DecodeError::bad_number(field, number.text()))
}

fn not_negative(number: Number<'_>, field: &'static str) -> Result<Decimal, DecodeError> {
    number
        .decimal(field)
        .ok()
        .filter(|value| *value >= Decimal::ZERO)
        .ok_or_else(|| DecodeError::bad_number(field, number.text()))
}

fn optional(number: Option<Number<'_>>, field: &'static str) -> Result<Option<Decimal>, DecodeError> {
    number.map_or(Ok(None), |number| number.optional(field))
}

fn label(id: Option<&Id<'_>>) -> Option<Text> {
    id.and_then(Id::optional)
}

#[derive(Deserialize)]
struct Changes<'a> {
    #[serde(borrow, default)]
    trades: Option<&'a RawValue>,
    #[serde(borrow, default)]
    orders: Option<&'a RawValue>,
    #[serde(borrow, default)]
    positions: Option<&'a RawValue>,
}

fn changes(
    message: &Changes<'_>,
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let mut time_ms = 0;
    if let Some(trades) = message.trades {
        each(trades, |trade: UserTrade<'_>| {
            let fill = trade.fill(instruments)?;
            time_ms = time_ms.max(fill.time_ms);
            events.push(Event::Fill(fill));
            Ok(())
        })?;
    }
    if let Some(orders) = message.orders {
        each(orders, |order: UserOrder<'_>| {
            let order = order.order(instruments)?;
            time_ms = time_ms.max(order.time_ms);
            events.push(Event::Order(order));
            Ok(())
        })?;
    }
    // Positions carry no time of their own: they changed with what stands beside them.
    if let Some(positions) = message.positions {
        each(positions, |position: PositionState<'_>| {
            events.push(Event::Position(position.position(time_ms, instruments)?));
            Ok(())
        })?;
    }
    Ok(())
}

/// A fill of the account, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct UserTrade<'a> {
    #[serde(borrow)]
    trade_id: Id<'a>,
    #[serde(borrow)]
    order_id: Id<'a>,
    #[serde(borrow)]
    instrument_name: Cow<'a, str>,
    #[serde(borrow)]
    direction: Cow<'a, str>,
    #[serde(borrow)]
    price: Number<'a>,
    #[serde(borrow)]
    amount: Number<'a>,
    #[serde(borrow)]
    fee: Number<'a>,
    #[serde(borrow)]
    fee_currency: Cow<'a, str>,
    #[serde(borrow)]
    liquidity: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Number<'a>,
    #[serde(borrow, default)]
    label: Option<Id<'a>>,
    /// Who of the two was liquidated: maker, taker, both.
    #[serde(borrow, default)]
    liquidation: Option<Id<'a>>,
    #[serde(borrow, default)]
    order_type: Option<Id<'a>>,
    #[serde(borrow, default)]
    block_trade_id: Option<Id<'a>>,
}

impl UserTrade<'_> {
    /// In the words of the model.
    pub(super) fn fill(&self, instruments: &Instruments) -> Result<Fill, DecodeError> {
        let price = above_zero(self.price, "price")?;
        let amount = above_zero(self.amount, "amount")?;
        let size = needed(
            base(&self.instrument_name, amount, Some(price), instruments)?,
            "trade",
        )?;
        let liquidity = match self.liquidity.as_ref() {
            "M" => Liquidity::Maker,
            "T" => Liquidity::Taker,
            other => return Err(DecodeError::unknown_word("liquidity", other)),
        };
        Ok(Fill {
            instrument: self.instrument_name.as_ref().into(),
            trade_id: self.trade_id.owned(),
            order_id: self.order_id.owned(),
            client_order_id: label(self.label.as_ref()),
            side: side(&self.direction)?,
            position_side: Some(PositionSide::Net),
            size,
            price,
            fee: Some(Fee {
                amount: self.fee.decimal("fee")?,
                asset: self.fee_currency.as_ref().into(),
            }),
            liquidity: Some(liquidity),
            cause: self.cause(liquidity)?,
            position_after: None,
            user: None,
            historic: false,
            time_ms: self.timestamp.milliseconds("timestamp")?,
        })
    }

    fn cause(&self, liquidity: Liquidity) -> Result<Cause, DecodeError> {
        let liquidated = match self.liquidation.as_ref().map(Id::text) {
            None | Some("") => false,
            Some("M") => liquidity == Liquidity::Maker,
            Some("T") => liquidity == Liquidity::Taker,
            Some("MT") => true,
            Some(other) => return Err(DecodeError::unknown_word("liquidation", other)),
        };
        let own_liquidation = self
            .order_type
            .as_ref()
            .is_some_and(|kind| kind.text() == "liquidation");
        Ok(if liquidated || own_liquidation {
            Cause::Liquidation
        } else if self.block_trade_id.as_ref().is_some_and(|id| !id.is_absent()) {
            Cause::Transfer
        } else {
            Cause::User
        })
    }
}

/// An order of the account, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct UserOrder<'a> {
    #[serde(borrow)]
    order_id: Id<'a>,
    #[serde(borrow)]
    instrument_name: Cow<'a, str>,
    #[serde(borrow)]
    direction: Cow<'a, str>,
    #[serde(borrow)]
    order_type: Cow<'a, str>,
    #[serde(borrow)]
    order_state: Cow<'a, str>,
    #[serde(borrow, default)]
    price: Option<Number<'a>>,
    #[serde(borrow)]
    amount: Number<'a>,
    /// Left out of orders that wait for their trigger.
    #[serde(borrow, default)]
    filled_amount: Option<Number<'a>>,
    #[serde(borrow, default)]
    average_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    trigger_price: Option<Number<'a>>,
    #[serde(borrow)]
    time_in_force: Cow<'a, str>,
    #[serde(default)]
    post_only: bool,
    #[serde(default)]
    reduce_only: bool,
    #[serde(default)]
    is_liquidation: bool,
    #[serde(borrow, default)]
    label: Option<Id<'a>>,
    #[serde(borrow)]
    last_update_timestamp: Number<'a>,
}

impl UserOrder<'_> {
    /// The venue's id and the owner's.
    pub(super) fn ids(&self) -> (Text, Option<Text>) {
        (self.order_id.owned(), label(self.label.as_ref()))
    }

    /// In the words of the model.
    pub(super) fn order(&self, instruments: &Instruments) -> Result<Order, DecodeError> {
        let price = match self.price {
            // What a market order has instead of a price.
            Some(price) if price.text() == "market_price" => None,
            price => optional(price, "price")?.filter(|price| !price.is_zero()),
        };
        let trigger_price = optional(self.trigger_price, "trigger_price")?;
        let average = optional(self.average_price, "average_price")?.filter(|price| !price.is_zero());
        let amount = not_negative(self.amount, "amount")?;
        let filled = match self.filled_amount {
            Some(filled) => not_negative(filled, "filled_amount")?,
            None => Decimal::ZERO,
        };
        if filled > amount {
            return Err(DecodeError::Malformed {
                detail: "more was filled than the order had".to_owned(),
            });
        }
        // One price for both sizes of an inverse order, so that what is filled is never more than what was asked for.
        let at = if filled.is_zero() {
            price.or(trigger_price)
        } else {
            average.or(price)
        };
        let base = |size| base(&self.instrument_name, size, at, instruments);
        Ok(Order {
            instrument: self.instrument_name.as_ref().into(),
            order_id: self.order_id.owned(),
            client_order_id: label(self.label.as_ref()),
            side: side(&self.direction)?,
            position_side: PositionSide::Net,
            order_kind: self.kind()?,
            time_in_force: self.rests()?,
            status: self.status(filled)?,
            venue_status: self.order_state.as_ref().into(),
            price,
            trigger_price,
            size: base(amount)?,
            filled: needed(base(filled)?, "order")?,
            average_price: if filled.is_zero() { None } else { average },
            reduce_only: self.reduce_only,
            cause: if self.is_liquidation || self.order_type == "liquidation" {
                Cause::Liquidation
            } else {
                Cause::User
            },
            time_ms: self.last_update_timestamp.milliseconds("last_update_timestamp")?,
        })
    }

    fn kind(&self) -> Result<OrderKind, DecodeError> {
        Ok(match self.order_type.as_ref() {
            "limit" => OrderKind::Limit,
            "market" | "market_limit" => OrderKind::Market,
            "stop_limit" => OrderKind::StopLimit,
            "stop_market" => OrderKind::StopMarket,
            "take_limit" => OrderKind::TakeProfitLimit,
            "take_market" => OrderKind::TakeProfitMarket,
            "trailing_stop" => OrderKind::TrailingStop,
            "liquidation" => OrderKind::Venue,
            other => return Err(DecodeError::unknown_word("order_type", other)),
        })
    }

    fn rests(&self) -> Result<TimeInForce, DecodeError> {
        Ok(match self.time_in_force.as_ref() {
            "good_til_cancelled" | "good_til_day" if self.post_only => TimeInForce::PostOnly,
            "good_til_cancelled" => TimeInForce::GoodTilCancelled,
            "good_til_day" => TimeInForce::GoodTilDate,
            "fill_or_kill" => TimeInForce::FillOrKill,
            "immediate_or_cancel" => TimeInForce::ImmediateOrCancel,
            other => return Err(DecodeError::unknown_word("time_in_force", other)),
        })
    }

    fn status(&self, filled: Decimal) -> Result<OrderStatus, DecodeError> {
        Ok(match self.order_state.as_ref() {
            "open" if filled > Decimal::ZERO => OrderStatus::PartiallyFilled,
            "open" => OrderStatus::Open,
            "filled" => OrderStatus::Filled,
            "rejected" => OrderStatus::Rejected,
            "cancelled" => OrderStatus::Cancelled,
            "untriggered" => OrderStatus::Untriggered,
            "triggered" => OrderStatus::Triggered,
            other => return Err(DecodeError::unknown_word("order_state", other)),
        })
    }
}

/// A position, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct PositionState<'a> {
    #[serde(borrow)]
    instrument_name: Cow<'a, str>,
    /// US dollars for inverse instruments, base units for linear ones.
    #[serde(borrow)]
    size: Number<'a>,
    /// Base units, at the mark price.
    #[serde(borrow, default)]
    size_currency: Option<Number<'a>>,
    #[serde(borrow)]
    direction: Cow<'a, str>,
    #[serde(borrow, default)]
    average_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    mark_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    floating_profit_loss: Option<Number<'a>>,
    #[serde(borrow, default)]
    leverage: Option<Number<'a>>,
    #[serde(borrow, default)]
    estimated_liquidation_price: Option<Number<'a>>,
}

impl PositionState<'_> {
    /// In the words of the model.
    pub(super) fn position(&self, time_ms: u64, instruments: &Instruments) -> Result<Position, DecodeError> {
        let told = self.size.decimal("size")?;
        let size = if is_inverse(&self.instrument_name, instruments)? && !told.is_zero() {
            needed(optional(self.size_currency, "size_currency")?, "position")?
        } else {
            told
        };
        // The sign may stand in the size, or only in the word: never may they differ.
        let size = match self.direction.as_ref() {
            "buy" if !size.is_sign_negative() || size.is_zero() => size,
            "sell" => -size.abs(),
            "zero" if size.is_zero() => size,
            "buy" | "zero" => {
                return Err(DecodeError::Malformed {
                    detail: "direction and sign of the position differ".to_owned(),
                });
            }
            other => return Err(DecodeError::unknown_word("direction", other)),
        };
        let priced = |number, field| -> Result<Option<Decimal>, DecodeError> {
            Ok(optional(number, field)?.filter(|price| !price.is_zero()))
        };
        Ok(Position {
            instrument: self.instrument_name.as_ref().into(),
            position_side: PositionSide::Net,
            size: if size.is_zero() { Decimal::ZERO } else { size },
            entry_price: priced(self.average_price, "average_price")?,
            mark_price: priced(self.mark_price, "mark_price")?,
            unrealised_profit: optional(self.floating_profit_loss, "floating_profit_loss")?,
            leverage: optional(self.leverage, "leverage")?,
            margin_mode: Some(MarginMode::Cross),
            liquidation_price: priced(self.estimated_liquidation_price, "estimated_liquidation_price")?,
            time_ms,
        })
    }
}

/// What an account has of one currency, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct Summary<'a> {
    #[serde(borrow)]
    currency: Cow<'a, str>,
    #[serde(borrow)]
    balance: Number<'a>,
    #[serde(borrow)]
    equity: Number<'a>,
    #[serde(borrow)]
    available_funds: Number<'a>,
}

impl Summary<'_> {
    /// In the words of the model. The socket does not say of when: 0.
    pub(super) fn balance(&self, time_ms: u64) -> Result<Balance, DecodeError> {
        Ok(Balance {
            asset: self.currency.as_ref().into(),
            wallet: self.balance.decimal("balance")?,
            equity: Some(self.equity.decimal("equity")?),
            available: Some(self.available_funds.decimal("available_funds")?),
            time_ms,
        })
    }
}

/// Prices of an instrument, as the socket and REST tell them.
#[derive(Deserialize)]
pub(super) struct TickerState<'a> {
    #[serde(borrow)]
    instrument_name: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Number<'a>,
    #[serde(borrow, default)]
    best_bid_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    best_bid_amount: Option<Number<'a>>,
    #[serde(borrow, default)]
    best_ask_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    best_ask_amount: Option<Number<'a>>,
    #[serde(borrow, default)]
    last_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    mark_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    index_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    current_funding: Option<Number<'a>>,
}

/// Funding is paid all the time; the rate is told for eight hours.
const FUNDING_HOURS: u32 = 8;

impl TickerState<'_> {
    /// Best prices.
    pub(super) fn ticker(&self, instruments: &Instruments) -> Result<Ticker, DecodeError> {
        // An empty side has the price 0.
        let best = |price, amount| -> Result<(Option<Decimal>, Option<Decimal>), DecodeError> {
            let price = optional(price, "best price")?.filter(|price| *price > Decimal::ZERO);
            let size = match (optional(amount, "best amount")?, price) {
                (Some(amount), Some(_)) => base(&self.instrument_name, amount, price, instruments)?,
                _ => None,
            };
            Ok((price, size))
        };
        is_inverse(&self.instrument_name, instruments)?;
        let (bid, bid_size) = best(self.best_bid_price, self.best_bid_amount)?;
        let (ask, ask_size) = best(self.best_ask_price, self.best_ask_amount)?;
        Ok(Ticker {
            instrument: self.instrument_name.as_ref().into(),
            bid,
            bid_size,
            ask,
            ask_size,
            last: optional(self.last_price, "last_price")?,
            mark: optional(self.mark_price, "mark_price")?,
            index: optional(self.index_price, "index_price")?,
            funding_rate: optional(self.current_funding, "current_funding")?,
            time_ms: self.timestamp.milliseconds("timestamp")?,
        })
    }

    /// Mark price.
    pub(super) fn mark(&self) -> Result<Mark, DecodeError> {
        let price = self.mark_price.ok_or(DecodeError::MissingField {
            field: "mark_price",
            message: "ticker",
        })?;
        Ok(Mark {
            instrument: future(&self.instrument_name)?.into(),
            price: above_zero(price, "mark_price")?,
            index: optional(self.index_price, "index_price")?,
            time_ms: self.timestamp.milliseconds("timestamp")?,
        })
    }

    /// Funding, of a perpetual.
    pub(super) fn funding(&self) -> Result<Option<Funding>, DecodeError> {
        let Some(rate) = optional(self.current_funding, "current_funding")? else {
            return Ok(None);
        };
        Ok(Some(Funding {
            instrument: future(&self.instrument_name)?.into(),
            rate,
            next_time_ms: None,
            interval_hours: Some(FUNDING_HOURS),
            time_ms: self.timestamp.milliseconds("timestamp")?,
        }))
    }
}

#[derive(Deserialize)]
struct BookChange<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    instrument_name: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Number<'a>,
    #[serde(borrow)]
    change_id: Number<'a>,
    #[serde(borrow, default)]
    prev_change_id: Option<Number<'a>>,
    #[serde(borrow)]
    bids: Vec<(Id<'a>, Number<'a>, Number<'a>)>,
    #[serde(borrow)]
    asks: Vec<(Id<'a>, Number<'a>, Number<'a>)>,
}

impl BookChange<'_> {
    fn book(&self, instruments: &Instruments) -> Result<Book, DecodeError> {
        let change = self.change_id.integer("change_id")?;
        let (snapshot, previous) = match (self.kind.as_ref(), self.prev_change_id) {
            ("snapshot", _) => (true, None),
            ("change", Some(previous)) => (false, Some(previous.integer("prev_change_id")?)),
            ("change", None) => {
                return Err(DecodeError::MissingField {
                    field: "prev_change_id",
                    message: "book",
                });
            }
            (other, _) => return Err(DecodeError::unknown_word("type", other)),
        };
        let levels = |list: &[(Id<'_>, Number<'_>, Number<'_>)]| -> Result<Vec<Level>, DecodeError> {
            list.iter()
                .map(|(action, price, amount)| {
                    let price = above_zero(*price, "price")?;
                    let amount = match action.text() {
                        "new" | "change" => above_zero(*amount, "amount")?,
                        "delete" => Decimal::ZERO,
                        other => return Err(DecodeError::unknown_word("action", other)),
                    };
                    Ok(Level {
                        price,
                        size: needed(
                            base(&self.instrument_name, amount, Some(price), instruments)?,
                            "book",
                        )?,
                    })
                })
                .collect()
        };
        is_inverse(&self.instrument_name, instruments)?;
        Ok(Book {
            instrument: self.instrument_name.as_ref().into(),
            snapshot,
            bids: levels(&self.bids)?,
            asks: levels(&self.asks)?,
            check: BookCheck::Sequence {
                first: change,
                last: change,
                previous,
            },
            checksum: None,
            time_ms: self.timestamp.milliseconds("timestamp")?,
        })
    }
}

/// A book as REST tells it: whole.
#[derive(Deserialize)]
pub(super) struct BookState<'a> {
    #[serde(borrow)]
    instrument_name: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Number<'a>,
    #[serde(borrow)]
    change_id: Number<'a>,
    #[serde(borrow)]
    bids: Vec<(Number<'a>, Number<'a>)>,
    #[serde(borrow)]
    asks: Vec<(Number<'a>, Number<'a>)>,
}

impl BookState<'_> {
    /// In the words of the model.
    pub(super) fn book(&self, instruments: &Instruments) -> Result<Book, DecodeError> {
        let change = self.change_id.integer("change_id")?;
        let levels = |list: &[(Number<'_>, Number<'_>)]| -> Result<Vec<Level>, DecodeError> {
            list.iter()
                .map(|(price, amount)| {
                    let price = above_zero(*price, "price")?;
                    let amount = above_zero(*amount, "amount")?;
                    Ok(Level {
                        price,
                        size: needed(
                            base(&self.instrument_name, amount, Some(price), instruments)?,
                            "book",
                        )?,
                    })
                })
                .collect()
        };
        is_inverse(&self.instrument_name, instruments)?;
        Ok(Book {
            instrument: self.instrument_name.as_ref().into(),
            snapshot: true,
            bids: levels(&self.bids)?,
            asks: levels(&self.asks)?,
            check: BookCheck::Sequence {
                first: change,
                last: change,
                previous: None,
            },
            checksum: None,
            time_ms: self.timestamp.milliseconds("timestamp")?,
        })
    }
}

/// A public trade, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct PublicTrade<'a> {
    #[serde(borrow)]
    trade_id: Id<'a>,
    #[serde(borrow)]
    instrument_name: Cow<'a, str>,
    #[serde(borrow)]
    direction: Cow<'a, str>,
    #[serde(borrow)]
    price: Number<'a>,
    #[serde(borrow)]
    amount: Number<'a>,
    #[serde(borrow)]
    timestamp: Number<'a>,
    #[serde(borrow, default)]
    liquidation: Option<Id<'a>>,
}

impl PublicTrade<'_> {
    /// In the words of the model.
    pub(super) fn trade(&self, instruments: &Instruments) -> Result<Trade, DecodeError> {
        let price = above_zero(self.price, "price")?;
        let amount = above_zero(self.amount, "amount")?;
        Ok(Trade {
            instrument: self.instrument_name.as_ref().into(),
            trade_id: self.trade_id.owned(),
            side: side(&self.direction)?,
            size: needed(
                base(&self.instrument_name, amount, Some(price), instruments)?,
                "trade",
            )?,
            price,
            buyer: None,
            seller: None,
            liquidation: match self.liquidation.as_ref().map(Id::text) {
                None | Some("" | "M") => false,
                Some("T" | "MT") => true,
                Some(other) => return Err(DecodeError::unknown_word("liquidation", other)),
            },
            time_ms: self.timestamp.milliseconds("timestamp")?,
        })
    }
}

#[derive(Deserialize)]
struct Candle<'a> {
    #[serde(borrow)]
    tick: Number<'a>,
    #[serde(borrow)]
    open: Number<'a>,
    #[serde(borrow)]
    high: Number<'a>,
    #[serde(borrow)]
    low: Number<'a>,
    #[serde(borrow)]
    close: Number<'a>,
    #[serde(borrow)]
    volume: Number<'a>,
}

impl Candle<'_> {
    fn kline(&self, name: &str, resolution: &str) -> Result<Kline, DecodeError> {
        let interval = Interval::ALL
            .into_iter()
            .find(|interval| super::requests::resolution(*interval) == Some(resolution))
            .ok_or_else(|| DecodeError::unknown_word("resolution", resolution))?;
        Ok(Kline {
            instrument: future(name)?.into(),
            interval,
            start_ms: self.tick.milliseconds("tick")?,
            open: above_zero(self.open, "open")?,
            high: above_zero(self.high, "high")?,
            low: above_zero(self.low, "low")?,
            close: above_zero(self.close, "close")?,
            // Base units also where sizes are US dollars: those stand beside it, as the cost.
            volume: not_negative(self.volume, "volume")?,
            closed: None,
            time_ms: 0,
        })
    }
}

#[cfg(test)]
mod tests;
