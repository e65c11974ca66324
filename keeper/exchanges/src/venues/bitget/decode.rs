//! Frames of Bitget's sockets. A frame names its stream with `channel` in the older interface and with `topic` in the newer
//! one: both are read, whichever interface was asked for.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::classic_rows;
use super::rows::{BookRow, KlineRow, NamedKlineRow, TickerRow, TradeRow, missing};
use super::{unified_rows, words};
use crate::error::DecodeError;
use crate::json::{self, Id, Number};
use crate::model::{Control, Event, Text};
use crate::venues::rows::each;

/// What answers a heartbeat.
const PONG: &[u8] = b"pong";

/// Errors that mean that a login was refused.
const LOGIN_ERRORS: &[&str] = &["30004", "30005", "30011", "30012", "30013", "30015"];

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default)]
    event: Option<&'a str>,
    #[serde(borrow, default)]
    code: Option<Id<'a>>,
    #[serde(borrow, default)]
    msg: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Id<'a>>,
    #[serde(borrow, default)]
    action: Option<&'a str>,
    #[serde(borrow, default)]
    arg: Option<Argument<'a>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ts: Option<Number<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument<'a> {
    #[serde(borrow)]
    inst_type: &'a str,
    #[serde(borrow, default)]
    channel: Option<&'a str>,
    #[serde(borrow, default)]
    topic: Option<&'a str>,
    #[serde(borrow, default)]
    inst_id: Option<&'a str>,
    #[serde(borrow, default)]
    symbol: Option<&'a str>,
    #[serde(borrow, default)]
    coin: Option<&'a str>,
    #[serde(borrow, default)]
    interval: Option<&'a str>,
}

impl Argument<'_> {
    /// `stream` or `stream:instrument`.
    fn name(&self) -> Text {
        let stream = self.channel.or(self.topic).unwrap_or_default();
        match self.inst_id.or(self.symbol).or(self.coin) {
            Some(of) => Text::from(format!("{stream}:{of}")),
            None => Text::new(stream),
        }
    }

    fn instrument(&self) -> Result<&str, DecodeError> {
        self.inst_id
            .or(self.symbol)
            .ok_or_else(|| missing("instId", "arg"))
    }
}

/// Reads a frame; on an error nothing is appended.
pub(super) fn decode(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let before = events.len();
    let result = read(frame, events);
    if result.is_err() {
        events.truncate(before);
    }
    result
}

fn read(frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
    if frame == PONG {
        events.push(Event::Control(Control::Pong));
        return Ok(());
    }
    // serde would read a list as the members in their order.
    if !frame.trim_ascii_start().starts_with(b"{") {
        return Err(DecodeError::Malformed {
            detail: "no object".to_owned(),
        });
    }
    let frame: Frame<'_> = json::read(frame)?;
    if let Some(event) = frame.event {
        events.push(Event::Control(control(event, &frame)?));
        return Ok(());
    }
    let argument = frame.arg.as_ref().ok_or_else(|| missing("arg", "push"))?;
    let data = frame.data.ok_or_else(|| missing("data", "push"))?;
    let told_ms = match frame.ts.filter(|ts| !ts.is_absent()) {
        Some(ts) => Some(ts.milliseconds("ts")?),
        None => None,
    };
    let snapshot = match frame.action {
        Some("snapshot") => true,
        Some("update") => false,
        Some(other) => return Err(DecodeError::unknown_word("action", other)),
        None => return Err(missing("action", "push")),
    };
    match (argument.channel, argument.topic) {
        (Some(channel), None) => {
            words::only_supported(argument.inst_type)?;
            classic(channel, argument, data, snapshot, told_ms, events)
        }
        (None, Some(topic)) if argument.inst_type == "UTA" => account(topic, data, told_ms, events),
        (None, Some(topic)) => {
            words::only_supported(argument.inst_type)?;
            unified(topic, argument, data, snapshot, told_ms, events)
        }
        _ => Err(missing("channel or topic", "arg")),
    }
}

fn control(event: &str, frame: &Frame<'_>) -> Result<Control, DecodeError> {
    let code = frame.code.as_ref().map_or("", Id::text);
    let text = || Text::new(frame.msg.as_deref().unwrap_or_default());
    let topic = || frame.arg.as_ref().map(Argument::name).unwrap_or_default();
    Ok(match event {
        // The code is now a number, now a text.
        "login" if code == "0" => Control::LoggedIn { valid_seconds: None },
        "login" => Control::LoginRefused {
            code: Text::new(code),
            message: text(),
        },
        "error" if LOGIN_ERRORS.contains(&code) => Control::LoginRefused {
            code: Text::new(code),
            message: text(),
        },
        "error" => Control::Refused {
            code: Text::new(code),
            message: text(),
        },
        "subscribe" => Control::Subscribed { topic: topic() },
        "unsubscribe" => Control::Unsubscribed { topic: topic() },
        "trade" if matches!(code, "0" | "00000") => Control::Answered {
            id: frame.id.as_ref().ok_or_else(|| missing("id", "answer"))?.owned(),
        },
        "trade" => Control::Refused {
            code: Text::new(code),
            message: text(),
        },
        other => return Err(DecodeError::unsupported(&format!("event {other}"))),
    })
}

/// Streams of the older interface.
fn classic(
    channel: &str,
    argument: &Argument<'_>,
    data: &RawValue,
    snapshot: bool,
    told_ms: Option<u64>,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    match channel {
        "orders" => each(data, |row: classic_rows::OrderRow<'_>| {
            let (fill, order) = row.pushed()?;
            events.extend(fill.map(Event::Fill));
            events.push(Event::Order(order));
            Ok(())
        }),
        "fill" => each(data, |row: classic_rows::FillRow<'_>| {
            events.push(Event::Fill(row.read()?));
            Ok(())
        }),
        "positions" => {
            each(data, |row: classic_rows::PositionRow<'_>| {
                events.push(Event::Position(row.read()?));
                Ok(())
            })?;
            // Every message has all positions of the product: one that is not in it is closed.
            events.push(Event::Control(Control::PositionsComplete));
            Ok(())
        }
        "account" => each(data, |row: classic_rows::AccountRow<'_>| {
            let told_ms = told_ms.ok_or_else(|| missing("ts", "account"))?;
            events.push(Event::Balance(row.read(told_ms)?));
            Ok(())
        }),
        "trade" => trades(argument, data, events),
        "ticker" => tickers(argument, data, told_ms, events),
        _ => match channel.strip_prefix("candle") {
            Some(interval) => {
                let (instrument, interval) = (argument.instrument()?, words::interval(interval)?);
                each(data, |row: KlineRow<'_>| {
                    events.push(Event::Kline(row.read(instrument, interval, told_ms)?));
                    Ok(())
                })
            }
            None => books(channel, argument, data, snapshot, events),
        },
    }
}

/// Market data of the newer interface.
fn unified(
    topic: &str,
    argument: &Argument<'_>,
    data: &RawValue,
    snapshot: bool,
    told_ms: Option<u64>,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    match topic {
        "publicTrade" => trades(argument, data, events),
        "ticker" => tickers(argument, data, told_ms, events),
        "kline" => {
            let instrument = argument.instrument()?;
            let interval = argument.interval.ok_or_else(|| missing("interval", "arg"))?;
            let interval = words::interval(interval)?;
            each(data, |row: NamedKlineRow<'_>| {
                events.push(Event::Kline(row.read(instrument, interval, told_ms)?));
                Ok(())
            })
        }
        _ => books(topic, argument, data, snapshot, events),
    }
}

fn trades(argument: &Argument<'_>, data: &RawValue, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let instrument = argument.instrument()?;
    each(data, |row: TradeRow<'_>| {
        events.push(Event::Trade(row.read(instrument)?));
        Ok(())
    })
}

fn tickers(
    argument: &Argument<'_>,
    data: &RawValue,
    told_ms: Option<u64>,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let instrument = argument.instrument()?;
    each(data, |row: TickerRow<'_>| {
        row.events(Some(instrument), told_ms, events)
    })
}

/// `books` starts with a whole book and sends changes; the other ones are whole books of a few prices.
fn books(
    stream: &str,
    argument: &Argument<'_>,
    data: &RawValue,
    snapshot: bool,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let changes = match stream {
        "books" => true,
        "books1" | "books5" | "books15" | "books50" => false,
        other => return Err(DecodeError::unsupported(other)),
    };
    let instrument = argument.instrument()?;
    each(data, |row: BookRow<'_>| {
        events.push(Event::Book(row.read(
            instrument,
            snapshot || !changes,
            changes,
        )?));
        Ok(())
    })
}

/// The account's streams of the newer interface. They tell of all products at once: rows of products that are not supported
/// are left out, and a message that has no others is refused.
fn account(
    topic: &str,
    data: &RawValue,
    told_ms: Option<u64>,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let mut left_out = None;
    let before = events.len();
    match topic {
        "order" => each(data, |row: unified_rows::OrderRow<'_>| {
            supported(row.category, &mut left_out, || {
                events.push(Event::Order(row.read()?));
                Ok(())
            })
        })?,
        "fill" => each(data, |row: unified_rows::FillRow<'_>| {
            supported(row.category, &mut left_out, || {
                events.push(Event::Fill(row.read()?));
                Ok(())
            })
        })?,
        "position" => each(data, |row: unified_rows::PositionRow<'_>| {
            supported(row.product(), &mut left_out, || {
                events.push(Event::Position(row.read()?));
                Ok(())
            })
        })?,
        "account" => each(data, |row: unified_rows::AccountRow<'_>| {
            let told_ms = told_ms.ok_or_else(|| missing("ts", "account"))?;
            for coin in &row.coin {
                events.push(Event::Balance(coin.read(told_ms)?));
            }
            Ok(())
        })?,
        other => return Err(DecodeError::unsupported(other)),
    }
    match left_out {
        Some(refused) if events.len() == before => Err(refused),
        _ => Ok(()),
    }
}

/// Reads a row of a supported product; remembers what another one was.
fn supported(
    product: &str,
    left_out: &mut Option<DecodeError>,
    read: impl FnOnce() -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    if words::is_supported(product) {
        return read();
    }
    if left_out.is_none() {
        *left_out = Some(DecodeError::product(product));
    }
    Ok(())
}
