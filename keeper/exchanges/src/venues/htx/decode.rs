//! Frames of the sockets into events. The venue compresses them.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::connections::period;
use super::inflate;
use super::instruments::is_linear;
use super::words::{
    above_zero, base, cause, instrument, legacy_status, margin_mode, not_negative, offset, order_price_type,
    order_type, position_mode, position_side, price, role, side, state,
};
use crate::error::DecodeError;
use crate::json::{Id, Number, read, read_text};
use crate::model::{
    Balance, Book, BookCheck, Control, Decimal, Event, Fee, Fill, Instruments, Interval, Kline, Level, Mark,
    Order, OrderKind, Position, PositionMode, PositionSide, Side, Text, Ticker, Trade,
};
use crate::venues::rows::{each, each_or_one};

/// Reads one frame, compressed or not.
pub(super) fn decode(
    frame: &[u8],
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let before = events.len();
    let result = if frame.starts_with(&inflate::MAGIC) {
        inflate::with_inflated(frame, |inflated| decode_frame(inflated, instruments, events))
    } else {
        decode_frame(frame, instruments, events)
    };
    if result.is_err() {
        events.truncate(before);
    }
    result
}

/// What tells the frames apart.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    op: Option<Id<'a>>,
    #[serde(borrow, default)]
    ch: Option<Id<'a>>,
    #[serde(borrow, default)]
    topic: Option<Id<'a>>,
    /// Spot frames have one.
    #[serde(borrow, default)]
    action: Option<Id<'a>>,
    #[serde(borrow, default)]
    ping: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tick: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<Id<'a>>,
    #[serde(borrow, default)]
    subbed: Option<Id<'a>>,
    #[serde(borrow, default)]
    unsubbed: Option<Id<'a>>,
    #[serde(borrow, default, rename = "err-code")]
    error_code: Option<Id<'a>>,
    #[serde(borrow, default, rename = "err-msg")]
    error_message: Option<Id<'a>>,
}

fn decode_frame(frame: &[u8], instruments: &Instruments, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let head: Head<'_> = read(frame)?;
    if head.action.is_some() {
        return Err(DecodeError::product("spot"));
    }
    if let Some(ping) = head.ping {
        return control(
            Control::Ping {
                reply: format!("{{\"pong\":{}}}", ping.get()).into(),
            },
            events,
        );
    }
    if let Some(channel) = &head.ch {
        return market(channel.text(), &head, instruments, events);
    }
    match head.op.as_ref().map(Id::text) {
        Some("notify") => {
            let topic = head
                .topic
                .as_ref()
                .map(Id::text)
                .ok_or_else(|| missing("topic", "notify"))?;
            notify(topic, frame, &head, instruments, events)
        }
        Some(op) => control(answer(op, &head)?, events),
        None => {
            let failed = head
                .status
                .as_ref()
                .is_some_and(|status| status.text() == "error");
            let told = match (&head.subbed, &head.unsubbed) {
                (Some(topic), _) => Control::Subscribed { topic: topic.owned() },
                (None, Some(topic)) => Control::Unsubscribed { topic: topic.owned() },
                (None, None) if failed => refused(&head),
                (None, None) => return Err(DecodeError::unsupported("neither op nor ch")),
            };
            control(told, events)
        }
    }
}

fn control(control: Control, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    events.push(Event::Control(control));
    Ok(())
}

const fn missing(field: &'static str, message: &'static str) -> DecodeError {
    DecodeError::MissingField { field, message }
}

fn refused(head: &Head<'_>) -> Control {
    let (code, message) = told(head);
    Control::Refused { code, message }
}

fn told(head: &Head<'_>) -> (Text, Text) {
    let text = |id: &Option<Id<'_>>| id.as_ref().map(Id::owned).unwrap_or_default();
    (text(&head.error_code), text(&head.error_message))
}

/// What the account socket says about itself.
fn answer(op: &str, head: &Head<'_>) -> Result<Control, DecodeError> {
    let succeeded = head.error_code.as_ref().is_none_or(|code| code.text() == "0");
    let topic = || head.topic.as_ref().map(Id::owned).unwrap_or_default();
    Ok(match op {
        "ping" => {
            // Told back as it stood: with or without quotes.
            let ts = head.ts.ok_or_else(|| missing("ts", "ping"))?.get();
            Control::Ping {
                reply: format!("{{\"op\":\"pong\",\"ts\":{ts}}}").into(),
            }
        }
        "pong" => Control::Pong,
        "auth" if succeeded => Control::LoggedIn { valid_seconds: None },
        "auth" => {
            let (code, message) = told(head);
            Control::LoginRefused { code, message }
        }
        "sub" if succeeded => Control::Subscribed { topic: topic() },
        "unsub" if succeeded => Control::Unsubscribed { topic: topic() },
        "sub" | "unsub" | "error" => refused(head),
        "close" => Control::SessionExpired,
        other => return Err(DecodeError::unknown_word("op", other)),
    })
}

/// Messages of an account, of both generations.
fn notify(
    topic: &str,
    frame: &[u8],
    head: &Head<'_>,
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let data = || head.data.ok_or_else(|| missing("data", "notify"));
    let kind = topic.split_once('.').map_or(topic, |(kind, _)| kind);
    match (topic, kind) {
        ("orders", _) if head.data.is_some() => each_or_one(data()?, |order: OrderState<'_>| {
            events.push(Event::Order(order.order(instruments)?));
            Ok(())
        }),
        ("trade", _) => each_or_one(data()?, |trade: TradeState<'_>| {
            events.push(Event::Fill(trade.fill(instruments)?));
            Ok(())
        }),
        ("positions", _) => each_or_one(data()?, |position: PositionState<'_>| {
            events.push(Event::Position(position.position(instruments)?));
            Ok(())
        }),
        ("account", _) => {
            let account: Account<'_> = read_text(data()?.get())?;
            for balance in &account.details {
                events.push(Event::Balance(balance.balance()?));
            }
            Ok(())
        }
        // With margin shared, and with a position's own; coin-margined contracts come under the second name too and
        // are told by their code.
        (_, "orders_cross" | "orders") => legacy_order(&read(frame)?, head, instruments, events),
        (_, "positions_cross" | "positions") => {
            let time_ms = timestamp(head)?;
            each(data()?, |position: LegacyPosition<'_>| {
                events.push(Event::Position(position.position(time_ms, instruments)?));
                Ok(())
            })
        }
        (_, "accounts_cross") => {
            let time_ms = timestamp(head)?;
            each(data()?, |account: LegacyAccount<'_>| {
                events.push(Event::Balance(account.balance(time_ms)?));
                Ok(())
            })
        }
        (_, "accounts") => Err(DecodeError::product(topic)),
        _ => Err(DecodeError::unsupported(topic)),
    }
}

fn timestamp(head: &Head<'_>) -> Result<u64, DecodeError> {
    let ts = head.ts.ok_or_else(|| missing("ts", "notify"))?;
    read_text::<Number<'_>>(ts.get())?.milliseconds("ts")
}

/// Yes or no, as a word or as 1 and 0.
#[derive(Debug, Clone, Copy, Default)]
struct Flag(bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match <&RawValue>::deserialize(deserializer)?.get().trim_matches('"') {
            "true" | "1" => Ok(Self(true)),
            "false" | "0" | "null" | "" => Ok(Self(false)),
            _ => Err(D::Error::custom("neither yes nor no")),
        }
    }
}

/// The owner's id. Where none was given the venue repeats its own.
fn client_id(client: Option<&Id<'_>>, order: &Id<'_>) -> Option<Text> {
    client
        .filter(|client| client.text() != order.text())
        .and_then(Id::optional)
}

/// An order of v5, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct OrderState<'a> {
    #[serde(borrow)]
    contract_code: Cow<'a, str>,
    #[serde(borrow)]
    side: Cow<'a, str>,
    #[serde(borrow)]
    position_side: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    time_in_force: Option<Id<'a>>,
    #[serde(borrow, default)]
    price: Option<Number<'a>>,
    #[serde(borrow)]
    volume: Number<'a>,
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(borrow)]
    order_id: Id<'a>,
    #[serde(borrow, default)]
    client_order_id: Option<Id<'a>>,
    #[serde(default)]
    reduce_only: Flag,
    #[serde(borrow, default)]
    trade_avg_price: Option<Number<'a>>,
    #[serde(borrow)]
    trade_volume: Number<'a>,
    #[serde(borrow, default)]
    order_source: Option<Id<'a>>,
    #[serde(borrow, default)]
    liquidation_type: Option<Id<'a>>,
    #[serde(borrow)]
    updated_time: Number<'a>,
}

impl OrderState<'_> {
    /// In the words of the model.
    pub(super) fn order(&self, instruments: &Instruments) -> Result<Order, DecodeError> {
        let contract = instrument(&self.contract_code, instruments)?;
        let (order_kind, time_in_force) =
            order_type(&self.kind, self.time_in_force.as_ref().map_or("", Id::text))?;
        let asked = not_negative(self.volume, "volume")?;
        let filled = not_negative(self.trade_volume, "trade_volume")?;
        filled_within(filled, asked)?;
        Ok(Order {
            instrument: contract.instrument.clone(),
            order_id: self.order_id.owned(),
            client_order_id: client_id(self.client_order_id.as_ref(), &self.order_id),
            side: side(&self.side)?,
            position_side: position_side(&self.position_side)?,
            order_kind,
            time_in_force,
            status: state(&self.state)?,
            venue_status: self.state.as_ref().into(),
            price: limit_price(order_kind, self.price)?,
            trigger_price: None,
            size: Some(base(contract, asked)?),
            filled: base(contract, filled)?,
            average_price: price(self.trade_avg_price, "trade_avg_price")?,
            reduce_only: self.reduce_only.0,
            cause: cause(
                self.order_source.as_ref().map(Id::text),
                self.liquidation_type.as_ref().map(Id::text),
                None,
            )?,
            time_ms: self.updated_time.milliseconds("updated_time")?,
        })
    }
}

fn limit_price(kind: OrderKind, number: Option<Number<'_>>) -> Result<Option<Decimal>, DecodeError> {
    match kind {
        OrderKind::Market => Ok(None),
        _ => price(number, "price"),
    }
}

fn filled_within(filled: Decimal, asked: Decimal) -> Result<(), DecodeError> {
    if filled > asked {
        return Err(DecodeError::Malformed {
            detail: "more was filled than the order had".to_owned(),
        });
    }
    Ok(())
}

/// A fill of v5, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct TradeState<'a> {
    /// Unique, unlike the number of the trade.
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow)]
    contract_code: Cow<'a, str>,
    #[serde(borrow)]
    order_id: Id<'a>,
    #[serde(borrow, default)]
    client_order_id: Option<Id<'a>>,
    /// REST calls it the side.
    #[serde(borrow, alias = "side")]
    direction: Cow<'a, str>,
    #[serde(borrow)]
    position_side: Cow<'a, str>,
    #[serde(borrow)]
    trade_volume: Number<'a>,
    #[serde(borrow)]
    trade_price: Number<'a>,
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    created_time: Number<'a>,
    /// Only on REST.
    #[serde(borrow, default)]
    trade_fee: Option<Number<'a>>,
    #[serde(borrow, default)]
    fee_currency: Option<Id<'a>>,
    /// Only on REST: the socket does not say who caused a fill. The order message beside it does.
    #[serde(borrow, default)]
    order_source: Option<Id<'a>>,
    #[serde(borrow, default)]
    liquidation_type: Option<Id<'a>>,
}

impl TradeState<'_> {
    /// In the words of the model.
    pub(super) fn fill(&self, instruments: &Instruments) -> Result<Fill, DecodeError> {
        let contract = instrument(&self.contract_code, instruments)?;
        let fee = match (self.trade_fee, &self.fee_currency) {
            // Positive was paid, here.
            (Some(fee), Some(asset)) if !asset.is_absent() => fee.optional("trade_fee")?.map(|amount| Fee {
                amount,
                asset: asset.owned(),
            }),
            _ => None,
        };
        Ok(Fill {
            instrument: contract.instrument.clone(),
            trade_id: self.id.owned(),
            order_id: self.order_id.owned(),
            client_order_id: client_id(self.client_order_id.as_ref(), &self.order_id),
            side: side(&self.direction)?,
            position_side: Some(position_side(&self.position_side)?),
            size: base(contract, above_zero(self.trade_volume, "trade_volume")?)?,
            price: above_zero(self.trade_price, "trade_price")?,
            fee,
            liquidity: Some(role(&self.role)?),
            // Where neither word stands it is the owner's until the order message says otherwise: `account` joins them.
            cause: cause(
                self.order_source.as_ref().map(Id::text),
                self.liquidation_type.as_ref().map(Id::text),
                None,
            )?,
            position_after: None,
            user: None,
            historic: false,
            time_ms: self.created_time.milliseconds("created_time")?,
        })
    }
}

/// The sign of a position, and whether it can be the one that is named.
fn signed(size: Decimal, way: Side, position: PositionSide) -> Result<Decimal, DecodeError> {
    let possible = match position {
        PositionSide::Net => true,
        PositionSide::Long => way == Side::Buy,
        PositionSide::Short => way == Side::Sell,
    };
    if size.is_zero() {
        Ok(Decimal::ZERO)
    } else if possible {
        Ok(way.signed(size))
    } else {
        Err(DecodeError::Malformed {
            detail: "direction and position side differ".to_owned(),
        })
    }
}

/// A position of v5, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct PositionState<'a> {
    #[serde(borrow)]
    contract_code: Cow<'a, str>,
    #[serde(borrow)]
    position_side: Cow<'a, str>,
    #[serde(borrow)]
    direction: Cow<'a, str>,
    #[serde(borrow)]
    margin_mode: Cow<'a, str>,
    #[serde(borrow)]
    volume: Number<'a>,
    #[serde(borrow, default)]
    open_avg_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    mark_price: Option<Number<'a>>,
    #[serde(borrow, default)]
    profit_unreal: Option<Number<'a>>,
    #[serde(borrow, default)]
    lever_rate: Option<Number<'a>>,
    #[serde(borrow, default)]
    liquidation_price: Option<Number<'a>>,
    #[serde(borrow)]
    updated_time: Number<'a>,
}

fn told_number(number: Option<Number<'_>>, field: &'static str) -> Result<Option<Decimal>, DecodeError> {
    number.map_or(Ok(None), |number| number.optional(field))
}

impl PositionState<'_> {
    /// In the words of the model.
    pub(super) fn position(&self, instruments: &Instruments) -> Result<Position, DecodeError> {
        let contract = instrument(&self.contract_code, instruments)?;
        let which = position_side(&self.position_side)?;
        let size = base(contract, not_negative(self.volume, "volume")?)?;
        Ok(Position {
            instrument: contract.instrument.clone(),
            position_side: which,
            size: signed(size, side(&self.direction)?, which)?,
            entry_price: price(self.open_avg_price, "open_avg_price")?,
            mark_price: price(self.mark_price, "mark_price")?,
            unrealised_profit: told_number(self.profit_unreal, "profit_unreal")?,
            leverage: told_number(self.lever_rate, "lever_rate")?,
            margin_mode: Some(margin_mode(&self.margin_mode)?),
            // Below zero: it cannot be liquidated.
            liquidation_price: price(self.liquidation_price, "liquidation_price")?,
            time_ms: self.updated_time.milliseconds("updated_time")?,
        })
    }
}

/// The account of v5, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct Account<'a> {
    /// One per currency.
    #[serde(borrow)]
    pub(super) details: Vec<BalanceState<'a>>,
}

/// What the account has of one currency.
#[derive(Deserialize)]
pub(super) struct BalanceState<'a> {
    #[serde(borrow)]
    currency: Cow<'a, str>,
    #[serde(borrow)]
    equity: Number<'a>,
    #[serde(borrow)]
    available: Number<'a>,
    /// Only on REST.
    #[serde(borrow, default)]
    available_margin: Option<Number<'a>>,
    #[serde(borrow)]
    profit_unreal: Number<'a>,
    #[serde(borrow)]
    updated_time: Number<'a>,
}

impl BalanceState<'_> {
    /// In the words of the model.
    pub(super) fn balance(&self) -> Result<Balance, DecodeError> {
        let equity = self.equity.decimal("equity")?;
        let unrealised = self.profit_unreal.optional("profit_unreal")?.unwrap_or_default();
        let available = match told_number(self.available_margin, "available_margin")? {
            Some(available) => Some(available),
            None => self.available.optional("available")?,
        };
        Ok(Balance {
            asset: self.currency.as_ref().into(),
            wallet: equity - unrealised,
            equity: Some(equity),
            available,
            time_ms: self.updated_time.milliseconds("updated_time")?,
        })
    }
}

/// An order of the interface before v5, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct LegacyOrder<'a> {
    #[serde(borrow)]
    contract_code: Cow<'a, str>,
    #[serde(borrow)]
    volume: Number<'a>,
    #[serde(borrow, default)]
    price: Option<Number<'a>>,
    /// A number on some replies of REST.
    #[serde(borrow)]
    order_price_type: Id<'a>,
    #[serde(borrow)]
    direction: Cow<'a, str>,
    #[serde(borrow)]
    offset: Cow<'a, str>,
    #[serde(borrow)]
    status: Id<'a>,
    /// The id as a number is larger than some clients hold exactly, so it is told as text too.
    #[serde(borrow)]
    order_id_str: Id<'a>,
    #[serde(borrow, default)]
    client_order_id: Option<Id<'a>>,
    #[serde(borrow, default)]
    order_source: Option<Id<'a>>,
    #[serde(borrow, default)]
    order_type: Option<Id<'a>>,
    #[serde(borrow, default)]
    liquidation_type: Option<Id<'a>>,
    #[serde(borrow)]
    created_at: Number<'a>,
    #[serde(borrow)]
    trade_volume: Number<'a>,
    #[serde(borrow, default)]
    trade_avg_price: Option<Number<'a>>,
    #[serde(default)]
    reduce_only: Flag,
    #[serde(borrow, default)]
    trade: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LegacyTrade<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow)]
    trade_volume: Number<'a>,
    #[serde(borrow)]
    trade_price: Number<'a>,
    #[serde(borrow)]
    trade_fee: Number<'a>,
    #[serde(borrow)]
    fee_asset: Cow<'a, str>,
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    created_at: Number<'a>,
}

impl LegacyOrder<'_> {
    /// In the words of the model. `time_ms`: when the message was sent, none on REST.
    pub(super) fn order(
        &self,
        time_ms: Option<u64>,
        instruments: &Instruments,
    ) -> Result<Order, DecodeError> {
        let contract = instrument(&self.contract_code, instruments)?;
        let (order_kind, time_in_force) = order_price_type(self.order_price_type.text())?;
        let asked = not_negative(self.volume, "volume")?;
        let filled = not_negative(self.trade_volume, "trade_volume")?;
        filled_within(filled, asked)?;
        let way = side(&self.direction)?;
        Ok(Order {
            instrument: contract.instrument.clone(),
            order_id: self.order_id_str.owned(),
            client_order_id: client_id(self.client_order_id.as_ref(), &self.order_id_str),
            side: way,
            position_side: offset(&self.offset, way)?,
            order_kind,
            time_in_force,
            status: legacy_status(self.status.text(), !filled.is_zero())?,
            venue_status: self.status.owned(),
            price: limit_price(order_kind, self.price)?,
            trigger_price: None,
            size: Some(base(contract, asked)?),
            filled: base(contract, filled)?,
            average_price: price(self.trade_avg_price, "trade_avg_price")?,
            reduce_only: self.reduce_only.0,
            cause: cause(
                self.order_source.as_ref().map(Id::text),
                self.liquidation_type.as_ref().map(Id::text),
                self.order_type.as_ref().map(Id::text),
            )?,
            time_ms: match time_ms {
                Some(time_ms) => time_ms,
                None => self.created_at.milliseconds("created_at")?,
            },
        })
    }
}

/// The fills of an order first, then the order.
fn legacy_order(
    message: &LegacyOrder<'_>,
    head: &Head<'_>,
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let order = message.order(Some(timestamp(head)?), instruments)?;
    let contract = instrument(&message.contract_code, instruments)?;
    let fill = |trade: LegacyTrade<'_>| {
        events.push(Event::Fill(Fill {
            instrument: order.instrument.clone(),
            trade_id: trade.id.owned(),
            order_id: order.order_id.clone(),
            client_order_id: order.client_order_id.clone(),
            side: order.side,
            position_side: Some(order.position_side),
            size: base(contract, above_zero(trade.trade_volume, "trade_volume")?)?,
            price: above_zero(trade.trade_price, "trade_price")?,
            fee: Some(Fee {
                // Negative was paid, here.
                amount: -trade.trade_fee.decimal("trade_fee")?,
                asset: trade.fee_asset.as_ref().into(),
            }),
            liquidity: Some(role(&trade.role)?),
            cause: order.cause,
            position_after: None,
            user: None,
            historic: false,
            time_ms: trade.created_at.milliseconds("created_at")?,
        }));
        Ok(())
    };
    if let Some(trades) = message.trade {
        each(trades, fill)?;
    }
    events.push(Event::Order(order));
    Ok(())
}

/// A position of the interface before v5, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct LegacyPosition<'a> {
    #[serde(borrow)]
    contract_code: Cow<'a, str>,
    #[serde(borrow)]
    volume: Number<'a>,
    #[serde(borrow)]
    direction: Cow<'a, str>,
    #[serde(borrow)]
    position_mode: Cow<'a, str>,
    #[serde(borrow)]
    margin_mode: Cow<'a, str>,
    #[serde(borrow, default)]
    cost_open: Option<Number<'a>>,
    #[serde(borrow, default)]
    profit_unreal: Option<Number<'a>>,
    #[serde(borrow, default)]
    lever_rate: Option<Number<'a>>,
    #[serde(borrow, default)]
    liquidation_price: Option<Number<'a>>,
}

impl LegacyPosition<'_> {
    /// In the words of the model.
    pub(super) fn position(&self, time_ms: u64, instruments: &Instruments) -> Result<Position, DecodeError> {
        let contract = instrument(&self.contract_code, instruments)?;
        let way = side(&self.direction)?;
        let which = match (position_mode(&self.position_mode)?, way) {
            (PositionMode::OneWay, _) => PositionSide::Net,
            (PositionMode::Hedge, Side::Buy) => PositionSide::Long,
            (PositionMode::Hedge, Side::Sell) => PositionSide::Short,
        };
        let size = base(contract, not_negative(self.volume, "volume")?)?;
        Ok(Position {
            instrument: contract.instrument.clone(),
            position_side: which,
            size: signed(size, way, which)?,
            entry_price: price(self.cost_open, "cost_open")?,
            mark_price: None,
            unrealised_profit: told_number(self.profit_unreal, "profit_unreal")?,
            leverage: told_number(self.lever_rate, "lever_rate")?,
            margin_mode: Some(margin_mode(&self.margin_mode)?),
            liquidation_price: price(self.liquidation_price, "liquidation_price")?,
            time_ms,
        })
    }
}

/// The shared margin of the interface before v5, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct LegacyAccount<'a> {
    #[serde(borrow)]
    margin_asset: Cow<'a, str>,
    #[serde(borrow)]
    margin_balance: Number<'a>,
    #[serde(borrow)]
    margin_static: Number<'a>,
    #[serde(borrow)]
    withdraw_available: Number<'a>,
}

impl LegacyAccount<'_> {
    /// In the words of the model.
    pub(super) fn balance(&self, time_ms: u64) -> Result<Balance, DecodeError> {
        Ok(Balance {
            asset: self.margin_asset.as_ref().into(),
            wallet: self.margin_static.decimal("margin_static")?,
            equity: Some(self.margin_balance.decimal("margin_balance")?),
            available: self.withdraw_available.optional("withdraw_available")?,
            time_ms,
        })
    }
}

/// Market data.
fn market(
    channel: &str,
    head: &Head<'_>,
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let mut words = channel.splitn(3, '.');
    let (Some("market"), Some(name), Some(kind)) = (words.next(), words.next(), words.next()) else {
        return Err(DecodeError::unsupported(channel));
    };
    if !is_linear(name) {
        return Err(DecodeError::product(name));
    }
    let tick = head.tick.ok_or_else(|| missing("tick", "market data"))?.get();
    let time_ms = timestamp(head)?;
    match kind.split_once('.').map_or((kind, ""), |words| words) {
        ("bbo" | "detail", "") => {
            events.push(Event::Ticker(read_text::<Merged<'_>>(tick)?.ticker(
                name,
                time_ms,
                instruments,
            )?));
        }
        ("trade", "detail") => {
            for trade in read_text::<Trades<'_>>(tick)?.data {
                events.push(Event::Trade(trade.trade(name, instruments)?));
            }
        }
        ("kline", word) => {
            let interval = Interval::ALL
                .into_iter()
                .find(|interval| period(*interval) == word)
                .ok_or_else(|| DecodeError::unknown_word("period", word))?;
            events.push(Event::Kline(
                read_text::<Candle<'_>>(tick)?.kline(name, interval, time_ms)?,
            ));
        }
        ("depth", word) if word.starts_with("size_") && word.ends_with(".high_freq") => {
            events.push(Event::Book(
                read_text::<Depth<'_>>(tick)?.book(name, instruments)?,
            ));
        }
        ("mark_price", "1min") => {
            events.push(Event::Mark(
                read_text::<MarkCandle<'_>>(tick)?.mark(name, time_ms)?,
            ));
        }
        _ => return Err(DecodeError::unsupported(channel)),
    }
    Ok(())
}

/// Best prices, as the socket and REST tell them.
#[derive(Deserialize)]
pub(super) struct Merged<'a> {
    #[serde(borrow, default)]
    bid: Option<(Number<'a>, Number<'a>)>,
    #[serde(borrow, default)]
    ask: Option<(Number<'a>, Number<'a>)>,
    #[serde(borrow, default)]
    close: Option<Number<'a>>,
}

impl Merged<'_> {
    /// In the words of the model.
    pub(super) fn ticker(
        &self,
        name: &str,
        time_ms: u64,
        instruments: &Instruments,
    ) -> Result<Ticker, DecodeError> {
        let contract = instrument(name, instruments)?;
        let best = |level: Option<(Number<'_>, Number<'_>)>| -> Result<_, DecodeError> {
            Ok(match level {
                Some((price, volume)) => (
                    Some(above_zero(price, "price")?),
                    Some(base(contract, not_negative(volume, "volume")?)?),
                ),
                None => (None, None),
            })
        };
        let (bid, bid_size) = best(self.bid)?;
        let (ask, ask_size) = best(self.ask)?;
        Ok(Ticker {
            instrument: contract.instrument.clone(),
            bid,
            bid_size,
            ask,
            ask_size,
            last: price(self.close, "close")?,
            time_ms,
            ..Ticker::default()
        })
    }
}

/// Public trades, as the socket and REST tell them.
#[derive(Deserialize)]
pub(super) struct Trades<'a> {
    /// Newest first.
    #[serde(borrow)]
    pub(super) data: Vec<PublicTrade<'a>>,
}

/// A public trade.
#[derive(Deserialize)]
pub(super) struct PublicTrade<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow)]
    amount: Number<'a>,
    #[serde(borrow)]
    price: Number<'a>,
    #[serde(borrow)]
    direction: Cow<'a, str>,
    #[serde(borrow)]
    ts: Number<'a>,
}

impl PublicTrade<'_> {
    /// In the words of the model.
    pub(super) fn trade(&self, name: &str, instruments: &Instruments) -> Result<Trade, DecodeError> {
        let contract = instrument(name, instruments)?;
        Ok(Trade {
            instrument: contract.instrument.clone(),
            trade_id: self.id.owned(),
            side: side(&self.direction)?,
            size: base(contract, above_zero(self.amount, "amount")?)?,
            price: above_zero(self.price, "price")?,
            buyer: None,
            seller: None,
            liquidation: false,
            time_ms: self.ts.milliseconds("ts")?,
        })
    }
}

/// A kline, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct Candle<'a> {
    /// Its start in seconds.
    #[serde(borrow)]
    id: Number<'a>,
    #[serde(borrow)]
    open: Number<'a>,
    #[serde(borrow)]
    high: Number<'a>,
    #[serde(borrow)]
    low: Number<'a>,
    #[serde(borrow)]
    close: Number<'a>,
    /// Base units.
    #[serde(borrow)]
    amount: Number<'a>,
}

impl Candle<'_> {
    /// In the words of the model.
    pub(super) fn kline(&self, name: &str, interval: Interval, time_ms: u64) -> Result<Kline, DecodeError> {
        Ok(Kline {
            instrument: name.into(),
            interval,
            start_ms: self
                .id
                .milliseconds("id")?
                .checked_mul(1_000)
                .ok_or_else(|| DecodeError::bad_number("id", self.id.text()))?,
            open: above_zero(self.open, "open")?,
            high: above_zero(self.high, "high")?,
            low: above_zero(self.low, "low")?,
            close: above_zero(self.close, "close")?,
            volume: not_negative(self.amount, "amount")?,
            closed: None,
            time_ms,
        })
    }
}

/// A kline of mark prices: its last price is the mark price.
#[derive(Deserialize)]
pub(super) struct MarkCandle<'a> {
    #[serde(borrow)]
    close: Number<'a>,
}

impl MarkCandle<'_> {
    /// In the words of the model.
    pub(super) fn mark(&self, name: &str, time_ms: u64) -> Result<Mark, DecodeError> {
        Ok(Mark {
            instrument: name.into(),
            price: above_zero(self.close, "close")?,
            index: None,
            time_ms,
        })
    }
}

/// A book, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct Depth<'a> {
    #[serde(borrow, default)]
    asks: Vec<(Number<'a>, Number<'a>)>,
    #[serde(borrow, default)]
    bids: Vec<(Number<'a>, Number<'a>)>,
    /// REST has none: the book is whole.
    #[serde(borrow, default)]
    event: Option<Id<'a>>,
    #[serde(borrow)]
    version: Number<'a>,
    #[serde(borrow)]
    ts: Number<'a>,
}

impl Depth<'_> {
    /// In the words of the model. Versions count up by one.
    pub(super) fn book(&self, name: &str, instruments: &Instruments) -> Result<Book, DecodeError> {
        let contract = instrument(name, instruments)?;
        let snapshot = match self.event.as_ref().map(Id::text) {
            None | Some("snapshot") => true,
            Some("update") => false,
            Some(other) => return Err(DecodeError::unknown_word("event", other)),
        };
        let version = self.version.integer("version")?;
        let levels = |list: &[(Number<'_>, Number<'_>)]| -> Result<Vec<Level>, DecodeError> {
            list.iter()
                .map(|(price, volume)| {
                    Ok(Level {
                        price: above_zero(*price, "price")?,
                        size: base(contract, not_negative(*volume, "volume")?)?,
                    })
                })
                .collect()
        };
        Ok(Book {
            instrument: contract.instrument.clone(),
            snapshot,
            bids: levels(&self.bids)?,
            asks: levels(&self.asks)?,
            check: BookCheck::Sequence {
                first: version,
                last: version,
                previous: if snapshot { None } else { version.checked_sub(1) },
            },
            checksum: None,
            time_ms: self.ts.milliseconds("ts")?,
        })
    }
}

#[cfg(test)]
mod tests;
