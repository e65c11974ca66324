//! Frames of OKX's sockets.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::rows::{
    BalanceRow, BookRow, ConditionalRow, FundingRow, KlineRow, MarkRow, OrderRow, PositionRow, TickerRow,
    TradeRow, instrument, only_swaps,
};
use super::words;
use crate::error::DecodeError;
use crate::json::{self, Id, Number};
use crate::model::{Control, Event, Instruments, Text};
use crate::venues::rows::each;

/// What answers a heartbeat.
const PONG: &[u8] = b"pong";

/// Errors that mean that a login was refused; the other ones are about subscriptions and orders.
const LOGIN_ERRORS: &[&str] = &[
    "60001", "60002", "60003", "60004", "60005", "60006", "60007", "60008", "60009", "60022", "60024",
    "60032",
];

/// OKX will restart the server behind this socket in about a minute.
const SERVICE_UPGRADE: &str = "64008";

/// Any frame. Which members it has tells what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame<'a> {
    #[serde(borrow, default)]
    arg: Option<Argument<'a>>,
    #[serde(borrow, default)]
    event: Option<&'a str>,
    #[serde(borrow, default)]
    op: Option<&'a str>,
    #[serde(borrow, default)]
    id: Option<Id<'a>>,
    #[serde(borrow, default)]
    code: Option<Id<'a>>,
    #[serde(borrow, default)]
    msg: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    action: Option<&'a str>,
    #[serde(borrow, default)]
    event_type: Option<&'a str>,
    #[serde(default)]
    cur_page: Option<u32>,
    #[serde(default)]
    last_page: Option<bool>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    channel: Option<&'a str>,
    #[serde(borrow, default)]
    conn_count: Option<Id<'a>>,
}

/// What a frame is of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument<'a> {
    channel: &'a str,
    #[serde(borrow, default)]
    inst_type: Option<&'a str>,
    #[serde(borrow, default)]
    inst_id: Option<&'a str>,
    #[serde(borrow, default)]
    inst_family: Option<&'a str>,
    #[serde(borrow, default)]
    ccy: Option<&'a str>,
}

impl Argument<'_> {
    /// `channel` or `channel:instrument`.
    fn topic(&self) -> Text {
        match self.inst_id.or(self.inst_family).or(self.ccy).or(self.inst_type) {
            Some(of) => Text::from(format!("{}:{of}", self.channel)),
            None => Text::new(self.channel),
        }
    }
}

/// Reads a frame; on an error nothing is appended.
pub(super) fn decode(
    frame: &[u8],
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let before = events.len();
    let result = read(frame, instruments, events);
    if result.is_err() {
        events.truncate(before);
    }
    result
}

fn read(frame: &[u8], instruments: &Instruments, events: &mut Vec<Event>) -> Result<(), DecodeError> {
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
    if let Some(op) = frame.op {
        events.push(Event::Control(answer(op, &frame)?));
        return Ok(());
    }
    let missing = |field| DecodeError::MissingField {
        field,
        message: "push",
    };
    let argument = frame.arg.as_ref().ok_or_else(|| missing("arg"))?;
    let data = frame.data.ok_or_else(|| missing("data"))?;
    push(&frame, argument, data, instruments, events)
}

fn control(event: &str, frame: &Frame<'_>) -> Result<Control, DecodeError> {
    let code = frame.code.as_ref().map_or("", Id::text);
    let message = frame.msg.as_deref().unwrap_or_default();
    let topic = || frame.arg.as_ref().map(Argument::topic).unwrap_or_default();
    Ok(match event {
        "login" if code == "0" => Control::LoggedIn { valid_seconds: None },
        "login" => Control::LoginRefused {
            code: Text::new(code),
            message: Text::new(message),
        },
        "subscribe" => Control::Subscribed { topic: topic() },
        "unsubscribe" => Control::Unsubscribed { topic: topic() },
        "error" if LOGIN_ERRORS.contains(&code) => Control::LoginRefused {
            code: Text::new(code),
            message: Text::new(message),
        },
        "error" | "channel-conn-count-error" => Control::Refused {
            code: Text::new(if code.is_empty() { event } else { code }),
            message: Text::new(if message.is_empty() {
                frame.channel.unwrap_or_default()
            } else {
                message
            }),
        },
        "notice" if code == SERVICE_UPGRADE => Control::Maintenance {
            message: Text::new(message),
        },
        "notice" => Control::Notice {
            message: Text::new(message),
        },
        "channel-conn-count" => Control::Notice {
            message: Text::from(format!(
                "{} connections to {}",
                frame.conn_count.as_ref().map_or("?", Id::text),
                frame.channel.unwrap_or_default()
            )),
        },
        other => return Err(DecodeError::unsupported(&format!("event {other}"))),
    })
}

/// One order's part of an answer to orders sent over the socket.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered<'a> {
    #[serde(borrow, default)]
    s_code: Option<Id<'a>>,
    #[serde(borrow, default)]
    s_msg: Option<Cow<'a, str>>,
}

/// Whether orders that were sent over the socket were taken: all of them, or not all.
fn answer(op: &str, frame: &Frame<'_>) -> Result<Control, DecodeError> {
    let missing = |field| DecodeError::MissingField {
        field,
        message: "answer",
    };
    match op {
        "order"
        | "batch-orders"
        | "cancel-order"
        | "batch-cancel-orders"
        | "amend-order"
        | "batch-amend-orders"
        | "mass-cancel" => {}
        other => return Err(DecodeError::unsupported(&format!("op {other}"))),
    }
    let id = frame.id.as_ref().ok_or_else(|| missing("id"))?;
    let code = frame.code.as_ref().ok_or_else(|| missing("code"))?;
    let mut refused: Option<(Text, Text)> = None;
    if let Some(data) = frame.data {
        each(data, |row: Answered<'_>| {
            let code = row.s_code.as_ref().map_or("0", Id::text);
            if code != "0" && refused.is_none() {
                refused = Some((
                    Text::new(code),
                    Text::new(row.s_msg.as_deref().unwrap_or_default()),
                ));
            }
            Ok(())
        })?;
    }
    Ok(match (code.text(), refused) {
        ("0", None) => Control::Answered { id: id.owned() },
        (_, Some((code, message))) => Control::Refused { code, message },
        (code, None) => Control::Refused {
            code: Text::new(code),
            message: Text::new(frame.msg.as_deref().unwrap_or_default()),
        },
    })
}

fn push(
    frame: &Frame<'_>,
    argument: &Argument<'_>,
    data: &RawValue,
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    match argument.channel {
        "orders" => {
            only_swaps(argument.inst_type)?;
            each(data, |row: OrderRow<'_>| {
                let (fill, order) = row.read(instruments)?;
                events.extend(fill.map(Event::Fill));
                events.push(Event::Order(order));
                Ok(())
            })
        }
        "positions" => {
            only_swaps(argument.inst_type)?;
            each(data, |row: PositionRow<'_>| {
                events.push(Event::Position(row.read(None, instruments)?));
                Ok(())
            })?;
            // A list of several pages is complete only with all of them.
            if frame.event_type == Some("snapshot")
                && frame.cur_page == Some(1)
                && frame.last_page == Some(true)
            {
                events.push(Event::Control(Control::PositionsComplete));
            }
            Ok(())
        }
        "account" => each(data, |row: AccountRow<'_>| {
            for balance in &row.details {
                events.push(Event::Balance(balance.read()?));
            }
            Ok(())
        }),
        "balance_and_position" => each(data, |row: BalanceAndPosition<'_>| row.read(instruments, events)),
        "orders-algo" => {
            only_swaps(argument.inst_type)?;
            each(data, |row: ConditionalRow<'_>| {
                events.push(Event::Order(row.read(instruments)?));
                Ok(())
            })
        }
        _ => market(frame, argument, data, instruments, events),
    }
}

fn market(
    frame: &Frame<'_>,
    argument: &Argument<'_>,
    data: &RawValue,
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let of = || {
        let name = argument.inst_id.ok_or(DecodeError::MissingField {
            field: "instId",
            message: "arg",
        })?;
        instrument(name, instruments)
    };
    match argument.channel {
        "tickers" => each(data, |row: TickerRow<'_>| {
            events.push(Event::Ticker(row.read(instruments)?));
            Ok(())
        }),
        "bbo-tbt" => {
            let instrument = of()?;
            each(data, |row: BookRow<'_>| {
                events.push(Event::Ticker(row.best(instrument)?));
                Ok(())
            })
        }
        "books" | "books-l2-tbt" | "books50-l2-tbt" => {
            let instrument = of()?;
            let snapshot = match frame.action {
                Some("snapshot") => true,
                Some("update") => false,
                Some(other) => return Err(DecodeError::unknown_word("action", other)),
                None => {
                    return Err(DecodeError::MissingField {
                        field: "action",
                        message: "books",
                    });
                }
            };
            each(data, |row: BookRow<'_>| {
                events.push(Event::Book(row.read(instrument, snapshot, true)?));
                Ok(())
            })
        }
        "books5" => {
            let instrument = of()?;
            each(data, |row: BookRow<'_>| {
                events.push(Event::Book(row.read(instrument, true, false)?));
                Ok(())
            })
        }
        "trades" | "trades-all" => each(data, |row: TradeRow<'_>| {
            events.push(Event::Trade(row.read(instruments)?));
            Ok(())
        }),
        "mark-price" => each(data, |row: MarkRow<'_>| {
            events.push(Event::Mark(row.read(instruments)?));
            Ok(())
        }),
        "funding-rate" => each(data, |row: FundingRow<'_>| {
            events.push(Event::Funding(row.read(instruments)?));
            Ok(())
        }),
        other => match other.strip_prefix("candle") {
            Some(interval) => {
                let instrument = of()?;
                let interval = words::interval(interval)?;
                each(data, |row: KlineRow<'_>| {
                    events.push(Event::Kline(row.read(instrument, interval)?));
                    Ok(())
                })
            }
            None => Err(DecodeError::unsupported(other)),
        },
    }
}

/// An account: what it has of each asset.
#[derive(Deserialize)]
pub(super) struct AccountRow<'a> {
    #[serde(borrow)]
    pub(super) details: Vec<BalanceRow<'a>>,
}

/// What one event changed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BalanceAndPosition<'a> {
    p_time: Number<'a>,
    #[serde(borrow)]
    bal_data: Vec<BalanceRow<'a>>,
    #[serde(borrow)]
    pos_data: Vec<PositionRow<'a>>,
}

impl BalanceAndPosition<'_> {
    fn read(&self, instruments: &Instruments, events: &mut Vec<Event>) -> Result<(), DecodeError> {
        let told_ms = self.p_time.milliseconds("pTime")?;
        for balance in &self.bal_data {
            events.push(Event::Balance(balance.read()?));
        }
        for position in &self.pos_data {
            events.push(Event::Position(position.read(Some(told_ms), instruments)?));
        }
        Ok(())
    }
}
