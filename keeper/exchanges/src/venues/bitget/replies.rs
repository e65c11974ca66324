//! Replies of Bitget's REST interfaces. Every one is `{"code": …, "msg": …, "requestTime": …, "data": …}`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::classic_rows;
use super::errors::{refusal_of_status, refused};
use super::rows::{BookRow, FundingRow, KlineRow, MarkRow, TickerRow, TradeRow, missing};
use super::unified_rows;
use crate::error::{DecodeError, ReplyError, VenueError};
use crate::json::{self, Id, Number};
use crate::model::{AccountMode, Text, Venue};
use crate::operation::{Acknowledgement, NewOrder, Operation, OrderRef, Reply};
use crate::request::Response;
use crate::venues::Generation;
use crate::venues::rows::each;

const DONE: &str = "00000";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    code: Id<'a>,
    #[serde(borrow, default)]
    msg: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    request_time: Option<Number<'a>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Reads the reply to an operation.
pub(super) fn reply(
    generation: Generation,
    operation: &Operation,
    response: &Response,
) -> Result<Reply, ReplyError> {
    let read = operation.is_read();
    let envelope: Envelope<'_> = match json::read(&response.body) {
        Ok(envelope) => envelope,
        // A proxy's page, or nothing.
        Err(_) if response.status >= 400 => {
            return Err(VenueError::new(
                Venue::Bitget,
                refusal_of_status(response.status, read),
                response.status.to_string(),
                &String::from_utf8_lossy(&response.body),
            )
            .into());
        }
        Err(unreadable) => return Err(unreadable.into()),
    };
    let code = envelope.code.text();
    if code != DONE {
        let mut error = refused(code, envelope.msg.as_deref().unwrap_or_default(), read);
        // A code that says nothing of its own does not make a server's failure a refusal.
        if response.status >= 500 && error.refusal == crate::error::Refusal::Rejected {
            error.refusal = refusal_of_status(response.status, read);
        }
        return Err(error.into());
    }
    let told_ms = match envelope.request_time.filter(|time| !time.is_absent()) {
        Some(time) => time.milliseconds("requestTime")?,
        None => 0,
    };
    let null = || serde_json::from_str::<&RawValue>("null").map_err(|error| DecodeError::malformed(&error));
    let data = match envelope.data {
        Some(data) => data,
        None => null()?,
    };
    if let Some(taken) = acknowledged(operation, data)? {
        return Ok(taken);
    }
    let reply = match market(generation, operation, data, told_ms)? {
        Some(reply) => reply,
        None if generation == Generation::Next => unified(operation, data, told_ms)?,
        None => classic(operation, data, told_ms)?,
    };
    Ok(reply)
}

/// What Bitget says of one order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderAnswer<'a> {
    #[serde(borrow, default)]
    order_id: Option<Id<'a>>,
    #[serde(borrow, default)]
    client_oid: Option<Id<'a>>,
    /// In lists; in the older interface `errorCode` and `errorMsg`.
    #[serde(borrow, default, alias = "errorCode")]
    code: Option<Id<'a>>,
    #[serde(borrow, default, alias = "errorMsg")]
    msg: Option<Cow<'a, str>>,
}

type Outcome = Result<Acknowledgement, VenueError>;

impl OrderAnswer<'_> {
    fn read(&self) -> Outcome {
        let code = self.code.as_ref().map_or("", Id::text);
        if !matches!(code, "" | "0" | DONE) {
            return Err(refused(code, self.msg.as_deref().unwrap_or_default(), false));
        }
        Ok(Acknowledgement {
            order_id: self.order_id.as_ref().and_then(Id::optional),
            client_order_id: self.client_oid.as_ref().and_then(Id::optional),
        })
    }

    fn client_id(&self) -> &str {
        self.client_oid.as_ref().map_or("", Id::text)
    }

    fn id(&self) -> &str {
        self.order_id.as_ref().map_or("", Id::text)
    }
}

/// A list of the older interface: what was done and what was not, so that the order in which it was sent is lost.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Split<'a> {
    #[serde(borrow, default)]
    success_list: Option<Vec<OrderAnswer<'a>>>,
    #[serde(borrow, default)]
    failure_list: Option<Vec<OrderAnswer<'a>>>,
    #[serde(borrow, default)]
    list: Option<Vec<OrderAnswer<'a>>>,
}

/// The outcomes in a reply about orders, as rows; whether their order is that of the request.
fn rows(data: &RawValue) -> Result<(Vec<OrderAnswer<'_>>, bool), DecodeError> {
    match data.get().as_bytes().first() {
        Some(b'[') => {
            let mut rows = Vec::new();
            each(data, |row: OrderAnswer<'_>| {
                rows.push(row);
                Ok(())
            })?;
            Ok((rows, true))
        }
        Some(b'{') => {
            let split: Split<'_> = parse(data)?;
            let mut rows = split.list.unwrap_or_default();
            rows.extend(split.success_list.unwrap_or_default());
            for failed in split.failure_list.unwrap_or_default() {
                if failed.code.as_ref().is_none_or(Id::is_absent) {
                    return Err(missing("errorCode", "failureList"));
                }
                rows.push(failed);
            }
            Ok((rows, false))
        }
        _ => Ok((Vec::new(), true)),
    }
}

fn parse<'a, T: Deserialize<'a>>(data: &'a RawValue) -> Result<T, DecodeError> {
    serde_json::from_str(data.get()).map_err(|error| DecodeError::malformed(&error))
}

/// Puts outcomes into the order in which the orders were sent: by the owner's id, by the venue's, or, where all were taken
/// and none has a name, as they stand. An order without an outcome makes the reply unreadable: nothing is guessed.
fn in_order(
    answers: &[OrderAnswer<'_>],
    as_sent: bool,
    sent: &[(Option<&str>, Option<&str>)],
) -> Result<Vec<Outcome>, DecodeError> {
    if answers.len() != sent.len() {
        return Err(missing("a row for every order", "reply"));
    }
    if as_sent
        || sent.len() == 1
        || sent
            .iter()
            .all(|(id, client_id)| id.is_none() && client_id.is_none())
    {
        if !as_sent && sent.len() > 1 && answers.iter().any(|answer| answer.read().is_err()) {
            return Err(missing("clientOid", "failureList"));
        }
        return Ok(answers.iter().map(OrderAnswer::read).collect());
    }
    sent.iter()
        .map(|(id, client_id)| {
            answers
                .iter()
                .find(|answer| {
                    client_id.is_some_and(|client_id| client_id == answer.client_id())
                        || id.is_some_and(|id| id == answer.id())
                })
                .map(OrderAnswer::read)
                .ok_or_else(|| missing("clientOid", "reply"))
        })
        .collect()
}

fn of_new(order: &NewOrder) -> (Option<&str>, Option<&str>) {
    (None, order.client_order_id.as_deref())
}

fn of_ref(order: &OrderRef) -> (Option<&str>, Option<&str>) {
    (order.order_id.as_deref(), order.client_order_id.as_deref())
}

/// The reply to an operation on orders; none for other operations.
fn acknowledged(operation: &Operation, data: &RawValue) -> Result<Option<Reply>, ReplyError> {
    let sent: Vec<_> = match operation {
        Operation::PlaceOrder(_)
        | Operation::AmendOrder(_)
        | Operation::CancelOrder(_)
        | Operation::PlaceConditionalOrder(_)
        | Operation::PlaceStopLadder(_) => {
            let answer: OrderAnswer<'_> = parse(data)?;
            let taken = answer.read()?;
            // In one-way mode a reduce-only order that replaces another has no id of the venue, but always the owner's.
            if taken.order_id.is_none() && taken.client_order_id.is_none() {
                return Err(missing("orderId", "reply").into());
            }
            return Ok(Some(Reply::Acknowledged(vec![Ok(taken)])));
        }
        Operation::PlaceOrders(orders) => orders.orders.iter().map(of_new).collect(),
        Operation::CancelOrders(orders) => orders.orders.iter().map(of_ref).collect(),
        // The newer interface answers with nothing.
        Operation::CancelConditionalOrder(_) if data.get() == "null" => return Ok(Some(Reply::Done)),
        Operation::CancelConditionalOrder(_)
        | Operation::ClosePosition(_)
        | Operation::CancelAllOrders(_) => {
            // One order that was sent for closing answers like any order.
            if let Ok(answer) = parse::<OrderAnswer<'_>>(data)
                && !answer.id().is_empty()
            {
                return Ok(Some(Reply::Acknowledged(vec![Ok(answer.read()?)])));
            }
            let (answers, _) = rows(data)?;
            let mut outcomes: Vec<Outcome> = answers.iter().map(OrderAnswer::read).collect();
            if !matches!(operation, Operation::CancelAllOrders(_)) && outcomes.len() == 1 {
                outcomes = vec![Ok(outcomes.remove(0)?)];
            }
            return Ok(Some(if outcomes.is_empty() {
                Reply::Done
            } else {
                Reply::Acknowledged(outcomes)
            }));
        }
        _ => return Ok(None),
    };
    let (answers, as_sent) = rows(data)?;
    Ok(Some(Reply::Acknowledged(in_order(&answers, as_sent, &sent)?)))
}

/// All rows of a list; none when there is no list.
fn list<'a, R: Deserialize<'a>, T>(
    data: &'a RawValue,
    mut read: impl FnMut(R) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut rows = Vec::new();
    if data.get() != "null" {
        each(data, |row: R| {
            rows.push(read(row)?);
            Ok(())
        })?;
    }
    Ok(rows)
}

/// The venue lists the newest first; those of one millisecond must be turned round too.
fn oldest_first<T>(mut rows: Vec<T>, time_ms: impl Fn(&T) -> u64) -> Vec<T> {
    rows.reverse();
    rows.sort_by_key(time_ms);
    rows
}

/// The only row of a list.
fn only<T>(mut rows: Vec<T>) -> Result<T, DecodeError> {
    if rows.len() == 1 {
        Ok(rows.remove(0))
    } else {
        Err(missing("exactly one row", "reply"))
    }
}

/// A list that stands inside an object, under one of the names Bitget has for that.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    #[serde(borrow, default, alias = "entrustedList", alias = "fillList")]
    list: Option<&'a RawValue>,
}

fn listed<'a, R: Deserialize<'a>, T>(
    data: &'a RawValue,
    read: impl FnMut(R) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    match parse::<Listed<'a>>(data)?.list {
        Some(rows) => list(rows, read),
        None => Ok(Vec::new()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Clock<'a> {
    #[serde(borrow)]
    server_time: Number<'a>,
}

/// Replies that both interfaces give alike; none for the others.
fn market(
    generation: Generation,
    operation: &Operation,
    data: &RawValue,
    told_ms: u64,
) -> Result<Option<Reply>, DecodeError> {
    Ok(Some(match operation {
        Operation::ServerTime(_) => {
            Reply::Time(parse::<Clock<'_>>(data)?.server_time.milliseconds("serverTime")?)
        }
        Operation::Instruments(_) if generation == Generation::Next => Reply::Instruments(
            list(data, |row: unified_rows::InstrumentRow<'_>| row.read())?
                .into_iter()
                .flatten()
                .collect(),
        ),
        Operation::Instruments(_) => Reply::Instruments(
            list(data, |row: classic_rows::InstrumentRow<'_>| row.read())?
                .into_iter()
                .flatten()
                .collect(),
        ),
        Operation::Ticker(of) => Reply::Ticker(only(list(data, |row: TickerRow<'_>| {
            row.read(Some(&of.instrument), Some(told_ms))
        })?)?),
        Operation::Book(of) => Reply::Book(parse::<BookRow<'_>>(data)?.read(&of.instrument, true, false)?),
        Operation::Trades(of) => {
            let trades = list(data, |row: TradeRow<'_>| row.read(&of.instrument))?;
            Reply::Trades(oldest_first(trades, |trade| trade.time_ms))
        }
        Operation::Klines(of) => {
            let mut klines = list(data, |row: KlineRow<'_>| {
                row.read(&of.instrument, of.interval, (told_ms > 0).then_some(told_ms))
            })?;
            klines.sort_by_key(|kline| kline.start_ms);
            Reply::Klines(klines)
        }
        Operation::Mark(of) if generation == Generation::Next => {
            Reply::Mark(only(list(data, |row: TickerRow<'_>| {
                row.mark(Some(&of.instrument))
            })?)?)
        }
        Operation::Mark(_) => Reply::Mark(only(list(data, |row: MarkRow<'_>| row.read())?)?),
        Operation::Funding(_) => Reply::Funding(only(list(data, |row: FundingRow<'_>| row.read(told_ms))?)?),
        _ => return Ok(None),
    }))
}

/// Replies of v2 about the account.
fn classic(operation: &Operation, data: &RawValue, told_ms: u64) -> Result<Reply, DecodeError> {
    Ok(match operation {
        Operation::Balances(_) => {
            Reply::Balances(list(data, |row: classic_rows::AccountRow<'_>| row.read(told_ms))?)
        }
        Operation::Positions(_) => {
            Reply::Positions(list(data, |row: classic_rows::PositionRow<'_>| row.read())?)
        }
        Operation::AccountMode(_) => Reply::AccountMode(AccountMode {
            position_mode: parse::<classic_rows::SettingRow<'_>>(data)?.position_mode()?,
        }),
        Operation::Leverage(of) => {
            Reply::Leverage(parse::<classic_rows::SettingRow<'_>>(data)?.leverage(&of.instrument)?)
        }
        Operation::OpenOrders(_) => {
            Reply::Orders(listed(data, |row: classic_rows::OrderRow<'_>| row.replied())?)
        }
        Operation::Order(_) => Reply::Order(Box::new(parse::<classic_rows::OrderRow<'_>>(data)?.replied()?)),
        Operation::Fills(_) => {
            let fills = listed(data, |row: classic_rows::FillRow<'_>| row.read())?;
            Reply::Fills(oldest_first(fills, |fill| fill.time_ms))
        }
        _ => Reply::Done,
    })
}

/// Replies of v3 about the account.
fn unified(operation: &Operation, data: &RawValue, told_ms: u64) -> Result<Reply, DecodeError> {
    Ok(match operation {
        Operation::Balances(_) => Reply::Balances(
            parse::<unified_rows::AccountRow<'_>>(data)?
                .coin
                .iter()
                .map(|coin| coin.read(told_ms))
                .collect::<Result<_, _>>()?,
        ),
        Operation::Positions(_) => {
            Reply::Positions(listed(data, |row: unified_rows::PositionRow<'_>| row.read())?)
        }
        Operation::AccountMode(_) => Reply::AccountMode(AccountMode {
            position_mode: parse::<unified_rows::SettingRow<'_>>(data)?.position_mode()?,
        }),
        Operation::Leverage(of) => {
            Reply::Leverage(parse::<unified_rows::SettingRow<'_>>(data)?.leverage(&of.instrument)?)
        }
        Operation::OpenOrders(_) => {
            Reply::Orders(listed(data, |row: unified_rows::OrderRow<'_>| row.read())?)
        }
        Operation::Order(_) => Reply::Order(Box::new(parse::<unified_rows::OrderRow<'_>>(data)?.read()?)),
        Operation::Fills(of) => {
            let mut fills = listed(data, |row: unified_rows::FillRow<'_>| row.read())?;
            fills.retain(|fill| {
                of.instrument
                    .as_ref()
                    .is_none_or(|wanted: &Text| *wanted == fill.instrument)
            });
            Reply::Fills(oldest_first(fills, |fill| fill.time_ms))
        }
        _ => Reply::Done,
    })
}
