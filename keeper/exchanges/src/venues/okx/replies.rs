//! Replies of OKX's REST interface. Every one is `{"code": …, "msg": …, "data": […]}`; replies to orders have a code of
//! their own in every row, and that is the one that counts.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::AccountRow;
use super::errors::{refusal_of_status, refused};
use super::rows::{
    BookRow, FillRow, FundingRow, InstrumentRow, KlineRow, MarkRow, OrderRow, PositionRow, TickerRow,
    TradeRow, instrument,
};
use super::words;
use crate::error::{DecodeError, ReplyError, VenueError};
use crate::json::{self, Id, Number};
use crate::model::{AccountMode, Instruments, Leverage, Text, Venue};
use crate::operation::{Acknowledgement, Operation, Reply};
use crate::request::Response;
use crate::venues::rows::each;

const DONE: &str = "0";

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    code: Id<'a>,
    #[serde(borrow, default)]
    msg: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Reads the reply to an operation.
pub(super) fn reply(
    operation: &Operation,
    response: &Response,
    instruments: &Instruments,
) -> Result<Reply, ReplyError> {
    let read = operation.is_read();
    let envelope: Envelope<'_> = match json::read(&response.body) {
        Ok(envelope) => envelope,
        // A proxy's page, or nothing.
        Err(_) if response.status >= 400 => {
            return Err(VenueError::new(
                Venue::Okx,
                refusal_of_status(response.status, read),
                response.status.to_string(),
                &String::from_utf8_lossy(&response.body),
            )
            .into());
        }
        Err(unreadable) => return Err(unreadable.into()),
    };
    match operation {
        Operation::PlaceOrder(_)
        | Operation::AmendOrder(_)
        | Operation::CancelOrder(_)
        | Operation::PlaceConditionalOrder(_)
        | Operation::CancelConditionalOrder(_) => single(&envelope, read),
        Operation::PlaceOrders(orders) => several(&envelope, orders.orders.len()),
        Operation::CancelOrders(orders) => several(&envelope, orders.orders.len()),
        // One request per rung, so one row per reply.
        Operation::PlaceStopLadder(_) => several(&envelope, 1),
        _ => {
            let data = success(&envelope, read)?;
            Ok(answer(operation, data, instruments)?)
        }
    }
}

fn message<'a>(envelope: &'a Envelope<'_>) -> &'a str {
    envelope.msg.as_deref().unwrap_or_default()
}

/// The data of a reply that is a success.
fn success<'a>(envelope: &Envelope<'a>, read: bool) -> Result<&'a RawValue, ReplyError> {
    if envelope.code.text() != DONE {
        return Err(refused(envelope.code.text(), message(envelope), read).into());
    }
    envelope.data.ok_or_else(|| missing("data").into())
}

const fn missing(field: &'static str) -> DecodeError {
    DecodeError::MissingField {
        field,
        message: "reply",
    }
}

/// What OKX says of one order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderAnswer<'a> {
    #[serde(borrow, default)]
    ord_id: Option<Id<'a>>,
    #[serde(borrow, default)]
    algo_id: Option<Id<'a>>,
    #[serde(borrow, default)]
    cl_ord_id: Option<Id<'a>>,
    #[serde(borrow, default)]
    algo_cl_ord_id: Option<Id<'a>>,
    #[serde(borrow)]
    s_code: Id<'a>,
    #[serde(borrow, default)]
    s_msg: Option<Cow<'a, str>>,
}

impl OrderAnswer<'_> {
    fn read(&self) -> Result<Acknowledgement, VenueError> {
        if self.s_code.text() != DONE {
            return Err(refused(
                self.s_code.text(),
                self.s_msg.as_deref().unwrap_or_default(),
                false,
            ));
        }
        // An order with a trigger has ids of its own kind; the other ones are then empty.
        let either = |one: &Option<Id<'_>>, other: &Option<Id<'_>>| {
            [one, other].into_iter().flatten().find_map(Id::optional)
        };
        Ok(Acknowledgement {
            order_id: either(&self.ord_id, &self.algo_id),
            client_order_id: either(&self.cl_ord_id, &self.algo_cl_ord_id),
        })
    }
}

fn answers(envelope: &Envelope<'_>) -> Result<Vec<Result<Acknowledgement, VenueError>>, DecodeError> {
    let mut results = Vec::new();
    if let Some(data) = envelope.data {
        each(data, |row: OrderAnswer<'_>| {
            results.push(row.read());
            Ok(())
        })?;
    }
    Ok(results)
}

/// The reply about one order.
fn single(envelope: &Envelope<'_>, read: bool) -> Result<Reply, ReplyError> {
    let mut results = answers(envelope)?;
    match (results.len(), envelope.code.text()) {
        (1, _) => {
            let taken = results.remove(0)?;
            if envelope.code.text() == DONE {
                Ok(Reply::Acknowledged(vec![Ok(taken)]))
            } else {
                // The row and the whole contradict each other: its outcome is not known.
                Err(DecodeError::unknown_word("code", envelope.code.text()).into())
            }
        }
        (0, code) if code != DONE => Err(refused(code, message(envelope), read).into()),
        _ => Err(missing("data").into()),
    }
}

/// The reply about several orders: one row each, in the order in which they were sent.
fn several(envelope: &Envelope<'_>, sent: usize) -> Result<Reply, ReplyError> {
    let results = answers(envelope)?;
    if results.is_empty() && envelope.code.text() != DONE {
        return Err(refused(envelope.code.text(), message(envelope), false).into());
    }
    if results.len() != sent {
        return Err(missing("a row for every order").into());
    }
    Ok(Reply::Acknowledged(results))
}

/// All rows of a list.
fn list<'a, R: Deserialize<'a>, T>(
    data: &'a RawValue,
    mut read: impl FnMut(R) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut rows = Vec::new();
    each(data, |row: R| {
        rows.push(read(row)?);
        Ok(())
    })?;
    Ok(rows)
}

/// The only row of a list.
fn only<T>(mut rows: Vec<T>) -> Result<T, DecodeError> {
    if rows.len() == 1 {
        Ok(rows.remove(0))
    } else {
        Err(missing("exactly one row"))
    }
}

#[derive(Deserialize)]
struct Clock<'a> {
    #[serde(borrow)]
    ts: Number<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Setup<'a> {
    pos_mode: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeverageRow<'a> {
    inst_id: &'a str,
    #[serde(borrow)]
    lever: Number<'a>,
    mgn_mode: &'a str,
    pos_side: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Closed<'a> {
    #[serde(borrow, default)]
    cl_ord_id: Option<Id<'a>>,
}

fn answer(operation: &Operation, data: &RawValue, instruments: &Instruments) -> Result<Reply, DecodeError> {
    Ok(match operation {
        Operation::ServerTime(_) => {
            let clock = only(list(data, |clock: Clock<'_>| clock.ts.milliseconds("ts"))?)?;
            Reply::Time(clock)
        }
        Operation::Instruments(_) => Reply::Instruments(
            list(data, |row: InstrumentRow<'_>| row.read())?
                .into_iter()
                .flatten()
                .collect(),
        ),
        Operation::Ticker(_) => Reply::Ticker(only(list(data, |row: TickerRow<'_>| row.read(instruments))?)?),
        Operation::Book(of) => {
            let instrument = instrument(&of.instrument, instruments)?;
            Reply::Book(only(list(data, |row: BookRow<'_>| {
                row.read(instrument, true, false)
            })?)?)
        }
        Operation::Trades(_) => {
            let mut trades = list(data, |row: TradeRow<'_>| row.read(instruments))?;
            trades.reverse();
            Reply::Trades(trades)
        }
        Operation::Klines(of) => {
            let instrument = instrument(&of.instrument, instruments)?;
            let mut klines = list(data, |row: KlineRow<'_>| row.read(instrument, of.interval))?;
            klines.reverse();
            Reply::Klines(klines)
        }
        Operation::Mark(_) => Reply::Mark(only(list(data, |row: MarkRow<'_>| row.read(instruments))?)?),
        Operation::Funding(_) => {
            Reply::Funding(only(list(data, |row: FundingRow<'_>| row.read(instruments))?)?)
        }
        Operation::Balances(_) => {
            let account = only(list(data, |row: AccountRow<'_>| {
                row.details
                    .iter()
                    .map(|balance| balance.read())
                    .collect::<Result<Vec<_>, _>>()
            })?)?;
            Reply::Balances(account)
        }
        Operation::Positions(_) => {
            Reply::Positions(list(data, |row: PositionRow<'_>| row.read(None, instruments))?)
        }
        Operation::AccountMode(_) => Reply::AccountMode(only(list(data, |row: Setup<'_>| {
            Ok(AccountMode {
                position_mode: words::position_mode(row.pos_mode)?,
            })
        })?)?),
        Operation::Leverage(_) => Reply::Leverage(list(data, |row: LeverageRow<'_>| {
            Ok(Leverage {
                instrument: Text::new(row.inst_id),
                position_side: words::position_side(row.pos_side)?,
                leverage: row.lever.decimal("lever")?.normalize(),
                margin_mode: Some(words::margin_mode(row.mgn_mode)?),
            })
        })?),
        Operation::OpenOrders(_) => Reply::Orders(list(data, |row: OrderRow<'_>| {
            row.read(instruments).map(|(_, order)| order)
        })?),
        Operation::Order(_) => Reply::Order(Box::new(only(list(data, |row: OrderRow<'_>| {
            row.read(instruments).map(|(_, order)| order)
        })?)?)),
        Operation::Fills(_) => {
            let mut fills = list(data, |row: FillRow<'_>| row.read(instruments))?;
            fills.reverse();
            Reply::Fills(fills)
        }
        Operation::ClosePosition(_) => Reply::Acknowledged(list(data, |row: Closed<'_>| {
            Ok(Ok(Acknowledgement {
                order_id: None,
                client_order_id: row.cl_ord_id.as_ref().and_then(Id::optional),
            }))
        })?),
        _ => Reply::Done,
    })
}
