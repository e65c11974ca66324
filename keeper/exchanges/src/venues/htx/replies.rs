//! REST replies of both generations into the model.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::{
    Account, Candle, Depth, LegacyAccount, LegacyOrder, LegacyPosition, MarkCandle, Merged, OrderState,
    PositionState, TradeState, Trades,
};
use super::errors::{http, refused};
use super::instruments::{is_linear, linear};
use super::words::{
    above_zero, base, cause, instrument, margin_mode, offset, position_mode, position_side, role, side,
};
use crate::error::{DecodeError, ReplyError, VenueError};
use crate::json::{Id, Number, read};
use crate::model::{
    AccountMode, Fee, Fill, Funding, Instrument, InstrumentState, Instruments, Leverage, Order, PositionSide,
    Venue,
};
use crate::operation::{Acknowledgement, Operation, OrderRef, Reply};
use crate::request::Response;
use crate::venues::Generation;

#[derive(Deserialize)]
struct Envelope<'a> {
    /// Public reads and the interface before v5.
    #[serde(borrow, default)]
    status: Option<Id<'a>>,
    #[serde(borrow, default, alias = "err-code")]
    err_code: Option<Id<'a>>,
    #[serde(borrow, default, alias = "err-msg")]
    err_msg: Option<Id<'a>>,
    /// v5.
    #[serde(borrow, default)]
    code: Option<Id<'a>>,
    #[serde(borrow, default)]
    message: Option<Id<'a>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tick: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ts: Option<Number<'a>>,
}

impl Envelope<'_> {
    fn refusal(&self) -> Result<Option<VenueError>, DecodeError> {
        let text = |id: &Option<Id<'_>>| id.as_ref().map(|id| id.text().to_owned()).unwrap_or_default();
        match (
            self.status.as_ref().map(Id::text),
            self.code.as_ref().map(Id::text),
        ) {
            (Some("ok"), _) | (None, Some("200")) => Ok(None),
            (Some("error"), _) => Ok(Some(refused(&text(&self.err_code), &text(&self.err_msg)))),
            (Some(other), _) => Err(DecodeError::unknown_word("status", other)),
            (None, Some(code)) => Ok(Some(refused(code, &text(&self.message)))),
            (None, None) => Err(missing("status or code")),
        }
    }

    fn data(&self) -> Result<&[u8], DecodeError> {
        self.data
            .map(|data| data.get().as_bytes())
            .ok_or_else(|| missing("data"))
    }

    fn tick(&self) -> Result<&[u8], DecodeError> {
        self.tick
            .map(|tick| tick.get().as_bytes())
            .ok_or_else(|| missing("tick"))
    }

    fn time_ms(&self) -> Result<u64, DecodeError> {
        self.ts.ok_or_else(|| missing("ts"))?.milliseconds("ts")
    }
}

const fn missing(field: &'static str) -> DecodeError {
    DecodeError::MissingField {
        field,
        message: "reply",
    }
}

/// Reads the reply to an operation. Several requests are answered one by one: each of their replies is read by itself.
pub(super) fn reply(
    generation: Generation,
    operation: &Operation,
    response: &Response,
    instruments: &Instruments,
) -> Result<Reply, ReplyError> {
    let success = (200..300).contains(&response.status);
    let by_status = || {
        VenueError::new(
            Venue::Htx,
            http(response.status, operation.is_read()),
            response.status.to_string(),
            &String::from_utf8_lossy(&response.body),
        )
    };
    let envelope: Envelope<'_> = match read(&response.body) {
        Ok(envelope) => envelope,
        Err(error) if success => return Err(error.into()),
        Err(_) => return Err(by_status().into()),
    };
    match envelope.refusal() {
        Ok(Some(error)) => return Err(error.into()),
        Ok(None) if success => {}
        Err(error) if success => return Err(error.into()),
        _ => return Err(by_status().into()),
    }
    if let Some(reply) = public(operation, &envelope, instruments)? {
        return Ok(reply);
    }
    match generation {
        Generation::Legacy => legacy(operation, &envelope, instruments),
        Generation::Current | Generation::Next => current(operation, &envelope, instruments),
    }
}

fn one_or_several<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<Vec<T>, DecodeError> {
    if data.first() == Some(&b'[') {
        read(data)
    } else {
        Ok(vec![read(data)?])
    }
}

fn public(
    operation: &Operation,
    envelope: &Envelope<'_>,
    instruments: &Instruments,
) -> Result<Option<Reply>, ReplyError> {
    Ok(Some(match operation {
        Operation::ServerTime(_) => Reply::Time(envelope.time_ms()?),
        Operation::Instruments(_) => {
            let mut list = Vec::new();
            for contract in read::<Vec<Contract<'_>>>(envelope.data()?)? {
                if is_linear(&contract.contract_code) {
                    list.push(contract.instrument()?);
                }
            }
            Reply::Instruments(list)
        }
        Operation::Ticker(query) => Reply::Ticker(read::<Merged<'_>>(envelope.tick()?)?.ticker(
            &query.instrument,
            envelope.time_ms()?,
            instruments,
        )?),
        Operation::Book(query) => {
            let mut book = read::<Depth<'_>>(envelope.tick()?)?.book(&query.instrument, instruments)?;
            if let Some(depth) = query.depth.and_then(|depth| usize::try_from(depth).ok()) {
                book.bids.truncate(depth);
                book.asks.truncate(depth);
            }
            Reply::Book(book)
        }
        Operation::Trades(query) => {
            let mut trades = Vec::new();
            for group in read::<Vec<Trades<'_>>>(envelope.data()?)? {
                for trade in &group.data {
                    trades.push(trade.trade(&query.instrument, instruments)?);
                }
            }
            trades.sort_by_key(|trade| trade.time_ms);
            Reply::Trades(trades)
        }
        Operation::Klines(query) => {
            let time_ms = envelope.time_ms()?;
            let mut klines = read::<Vec<Candle<'_>>>(envelope.data()?)?
                .iter()
                .map(|candle| candle.kline(&query.instrument, query.interval, time_ms))
                .collect::<Result<Vec<_>, _>>()?;
            klines.sort_by_key(|kline| kline.start_ms);
            Reply::Klines(klines)
        }
        Operation::Mark(query) => {
            let list = read::<Vec<MarkCandle<'_>>>(envelope.data()?)?;
            let last = list.last().ok_or_else(|| missing("a kline"))?;
            Reply::Mark(last.mark(&query.instrument, envelope.time_ms()?)?)
        }
        Operation::Funding(query) => {
            let list = one_or_several::<FundingState<'_>>(envelope.data()?)?;
            let state = list
                .iter()
                .find(|state| state.contract_code == query.instrument.as_str())
                .ok_or_else(|| missing("the contract"))?;
            Reply::Funding(state.funding(envelope.time_ms()?)?)
        }
        _ => return Ok(None),
    }))
}

fn current(
    operation: &Operation,
    envelope: &Envelope<'_>,
    instruments: &Instruments,
) -> Result<Reply, ReplyError> {
    Ok(match operation {
        Operation::Balances(_) => Reply::Balances(
            read::<Account<'_>>(envelope.data()?)?
                .details
                .iter()
                .map(super::decode::BalanceState::balance)
                .collect::<Result<_, _>>()?,
        ),
        Operation::Positions(_) => Reply::Positions(
            read::<Vec<PositionState<'_>>>(envelope.data()?)?
                .iter()
                .map(|position| position.position(instruments))
                .collect::<Result<_, _>>()?,
        ),
        Operation::AccountMode(_) => account_mode(envelope)?,
        Operation::Leverage(_) => Reply::Leverage(
            one_or_several::<LeverageState<'_>>(envelope.data()?)?
                .iter()
                .map(LeverageState::leverage)
                .collect::<Result<_, _>>()?,
        ),
        Operation::OpenOrders(_) => Reply::Orders(
            read::<Vec<OrderState<'_>>>(envelope.data()?)?
                .iter()
                .map(|order| order.order(instruments))
                .collect::<Result<_, _>>()?,
        ),
        Operation::Order(_) => {
            let orders = one_or_several::<OrderState<'_>>(envelope.data()?)?;
            first(orders.first().map(|order| order.order(instruments)))?
        }
        Operation::Fills(_) => {
            let mut fills = read::<Vec<TradeState<'_>>>(envelope.data()?)?
                .iter()
                .map(|trade| trade.fill(instruments))
                .collect::<Result<Vec<_>, _>>()?;
            fills.sort_by_key(|fill| fill.time_ms);
            Reply::Fills(fills)
        }
        Operation::PlaceOrder(_)
        | Operation::PlaceOrders(_)
        | Operation::CancelOrder(_)
        | Operation::CancelOrders(_)
        | Operation::ClosePosition(_)
        | Operation::PlaceConditionalOrder(_)
        | Operation::PlaceStopLadder(_)
        | Operation::CancelConditionalOrder(_) => Reply::Acknowledged(
            one_or_several::<Outcome<'_>>(envelope.data()?)?
                .iter()
                .map(Outcome::result)
                .collect::<Result<_, _>>()?,
        ),
        Operation::SetPositionMode(_)
        | Operation::SetLeverage(_)
        | Operation::CancelAllOrders(_)
        | Operation::CancelAllAfter(_) => Reply::Done,
        other => return Err(DecodeError::unsupported(other.name()).into()),
    })
}

fn legacy(
    operation: &Operation,
    envelope: &Envelope<'_>,
    instruments: &Instruments,
) -> Result<Reply, ReplyError> {
    Ok(match operation {
        Operation::Balances(_) => {
            let time_ms = envelope.time_ms()?;
            Reply::Balances(
                read::<Vec<LegacyAccount<'_>>>(envelope.data()?)?
                    .iter()
                    .map(|account| account.balance(time_ms))
                    .collect::<Result<_, _>>()?,
            )
        }
        Operation::Positions(_) => {
            let time_ms = envelope.time_ms()?;
            Reply::Positions(
                read::<Vec<LegacyPosition<'_>>>(envelope.data()?)?
                    .iter()
                    .map(|position| position.position(time_ms, instruments))
                    .collect::<Result<_, _>>()?,
            )
        }
        Operation::AccountMode(_) => account_mode(envelope)?,
        Operation::Leverage(query) => {
            let accounts = read::<Vec<LegacyDetail<'_>>>(envelope.data()?)?;
            let leverage = accounts
                .iter()
                .flat_map(|account| &account.contract_detail)
                .filter(|state| state.contract_code == query.instrument.as_str())
                .map(LeverageState::leverage)
                .collect::<Result<_, _>>()?;
            Reply::Leverage(leverage)
        }
        Operation::OpenOrders(_) => Reply::Orders(
            read::<LegacyOrders<'_>>(envelope.data()?)?
                .orders
                .iter()
                .map(|order| order.order(None, instruments))
                .collect::<Result<_, _>>()?,
        ),
        Operation::Order(_) => {
            let orders = one_or_several::<LegacyOrder<'_>>(envelope.data()?)?;
            first(orders.first().map(|order| order.order(None, instruments)))?
        }
        Operation::Fills(_) => {
            let mut fills = legacy_fills(envelope.data()?)?
                .iter()
                .map(|fill| fill.fill(instruments))
                .collect::<Result<Vec<_>, _>>()?;
            fills.sort_by_key(|fill| fill.time_ms);
            Reply::Fills(fills)
        }
        Operation::PlaceOrder(_) | Operation::ClosePosition(_) => {
            Reply::Acknowledged(vec![Ok(read::<LegacyIds<'_>>(envelope.data()?)?.acknowledged()?)])
        }
        Operation::PlaceOrders(_) => {
            Reply::Acknowledged(read::<LegacyBatch<'_>>(envelope.data()?)?.results()?)
        }
        Operation::PlaceConditionalOrder(_) | Operation::PlaceStopLadder(_) => {
            let placed: LegacyStop<'_> = read(envelope.data()?)?;
            let ids = placed
                .sl_order
                .or(placed.tp_order)
                .ok_or_else(|| missing("sl_order or tp_order"))?;
            Reply::Acknowledged(vec![Ok(ids.acknowledged()?)])
        }
        Operation::CancelOrder(order) | Operation::CancelConditionalOrder(order) => Reply::Acknowledged(
            read::<LegacyCancelled<'_>>(envelope.data()?)?.results(std::slice::from_ref(order))?,
        ),
        Operation::CancelOrders(several) => {
            Reply::Acknowledged(read::<LegacyCancelled<'_>>(envelope.data()?)?.results(&several.orders)?)
        }
        Operation::SetPositionMode(_)
        | Operation::SetLeverage(_)
        | Operation::CancelAllOrders(_)
        | Operation::CancelAllAfter(_) => Reply::Done,
        other => return Err(DecodeError::unsupported(other.name()).into()),
    })
}

fn first(order: Option<Result<Order, DecodeError>>) -> Result<Reply, ReplyError> {
    match order {
        Some(order) => Ok(Reply::Order(Box::new(order?))),
        None => Err(refused(ORDER_NOT_FOUND, "no such order").into()),
    }
}

/// The venue's code for an order that is not there.
const ORDER_NOT_FOUND: &str = "1017";

#[derive(Deserialize)]
struct Contract<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    contract_code: Cow<'a, str>,
    #[serde(borrow)]
    contract_size: Number<'a>,
    #[serde(borrow)]
    price_tick: Number<'a>,
    #[serde(borrow)]
    contract_status: Id<'a>,
}

impl Contract<'_> {
    fn instrument(&self) -> Result<Instrument, DecodeError> {
        let mut instrument = linear(
            &self.contract_code,
            &self.symbol,
            above_zero(self.price_tick, "price_tick")?.normalize(),
            above_zero(self.contract_size, "contract_size")?.normalize(),
        );
        instrument.state = match self.contract_status.text() {
            "1" => InstrumentState::Trading,
            "0" | "8" => InstrumentState::Delisted,
            // Not listed yet, suspended, in settlement or delivery.
            "2" | "3" | "4" | "5" | "6" | "7" => InstrumentState::Halted,
            other => return Err(DecodeError::unknown_word("contract_status", other)),
        };
        Ok(instrument)
    }
}

#[derive(Deserialize)]
struct FundingState<'a> {
    #[serde(borrow)]
    contract_code: Cow<'a, str>,
    #[serde(borrow)]
    funding_rate: Number<'a>,
    /// When this rate is paid.
    #[serde(borrow, default)]
    funding_time: Option<Number<'a>>,
    /// When the rate after it is paid.
    #[serde(borrow, default)]
    next_funding_time: Option<Number<'a>>,
}

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;

impl FundingState<'_> {
    fn funding(&self, time_ms: u64) -> Result<Funding, DecodeError> {
        let time = |number: Option<Number<'_>>, field| match number {
            Some(number) if !number.is_absent() => number.milliseconds(field).map(Some),
            _ => Ok(None),
        };
        let next = time(self.funding_time, "funding_time")?;
        let after = time(self.next_funding_time, "next_funding_time")?;
        let hours = next
            .zip(after)
            .and_then(|(next, after)| after.checked_sub(next))
            .and_then(|length| u32::try_from(length / HOUR_MS).ok())
            .filter(|hours| *hours > 0);
        Ok(Funding {
            instrument: self.contract_code.as_ref().into(),
            rate: self.funding_rate.decimal("funding_rate")?,
            next_time_ms: next,
            interval_hours: hours,
            time_ms,
        })
    }
}

#[derive(Deserialize)]
struct Mode<'a> {
    #[serde(borrow)]
    position_mode: Cow<'a, str>,
}

fn account_mode(envelope: &Envelope<'_>) -> Result<Reply, ReplyError> {
    let list = one_or_several::<Mode<'_>>(envelope.data()?)?;
    let mode = list.first().ok_or_else(|| missing("position_mode"))?;
    Ok(Reply::AccountMode(AccountMode {
        position_mode: position_mode(&mode.position_mode)?,
    }))
}

#[derive(Deserialize)]
struct LeverageState<'a> {
    #[serde(borrow)]
    contract_code: Cow<'a, str>,
    #[serde(borrow)]
    lever_rate: Number<'a>,
    #[serde(borrow, default)]
    margin_mode: Option<Id<'a>>,
    #[serde(borrow, default)]
    position_side: Option<Id<'a>>,
}

impl LeverageState<'_> {
    fn leverage(&self) -> Result<Leverage, DecodeError> {
        let word = |id: &Option<Id<'_>>| id.as_ref().map(|id| id.text().to_owned());
        Ok(Leverage {
            instrument: self.contract_code.as_ref().into(),
            position_side: match word(&self.position_side).as_deref() {
                None | Some("") => PositionSide::Net,
                Some(word) => position_side(word)?,
            },
            leverage: above_zero(self.lever_rate, "lever_rate")?,
            margin_mode: word(&self.margin_mode)
                .filter(|word| !word.is_empty())
                .map(|word| margin_mode(&word))
                .transpose()?,
        })
    }
}

/// What became of one order of v5.
#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow, default)]
    code: Option<Id<'a>>,
    #[serde(borrow, default, alias = "err_msg")]
    message: Option<Id<'a>>,
    #[serde(borrow, default, alias = "algo_id")]
    order_id: Option<Id<'a>>,
    #[serde(borrow, default, alias = "algo_client_order_id")]
    client_order_id: Option<Id<'a>>,
}

impl Outcome<'_> {
    fn result(&self) -> Result<Result<Acknowledgement, VenueError>, DecodeError> {
        match self.code.as_ref().map(Id::text) {
            None | Some("200" | "") => {}
            Some(code) => {
                let message = self.message.as_ref().map_or("", Id::text);
                return Ok(Err(refused(code, message)));
            }
        }
        let id = self.order_id.as_ref().ok_or_else(|| missing("order_id"))?;
        Ok(Ok(Acknowledgement {
            order_id: id.optional(),
            // The venue repeats its own where the owner gave none.
            client_order_id: self
                .client_order_id
                .as_ref()
                .filter(|client| client.text() != id.text())
                .and_then(Id::optional),
        }))
    }
}

#[derive(Deserialize)]
struct LegacyDetail<'a> {
    #[serde(borrow)]
    contract_detail: Vec<LeverageState<'a>>,
}

#[derive(Deserialize)]
struct LegacyOrders<'a> {
    #[serde(borrow)]
    orders: Vec<LegacyOrder<'a>>,
}

#[derive(Deserialize)]
struct LegacyIds<'a> {
    #[serde(borrow, default)]
    index: Option<Number<'a>>,
    #[serde(borrow)]
    order_id_str: Id<'a>,
    #[serde(borrow, default)]
    client_order_id: Option<Id<'a>>,
}

impl LegacyIds<'_> {
    fn acknowledged(&self) -> Result<Acknowledgement, DecodeError> {
        if self.order_id_str.is_absent() {
            return Err(missing("order_id_str"));
        }
        Ok(Acknowledgement {
            order_id: self.order_id_str.optional(),
            client_order_id: self.client_order_id.as_ref().and_then(Id::optional),
        })
    }
}

#[derive(Deserialize)]
struct LegacyFailure<'a> {
    #[serde(borrow, default)]
    index: Option<Number<'a>>,
    #[serde(borrow, default)]
    order_id: Option<Id<'a>>,
    #[serde(borrow)]
    err_code: Id<'a>,
    #[serde(borrow, default)]
    err_msg: Option<Id<'a>>,
}

impl LegacyFailure<'_> {
    fn error(&self) -> VenueError {
        refused(self.err_code.text(), self.err_msg.as_ref().map_or("", Id::text))
    }
}

/// What was taken and what was not, each with its place in the batch, from 1.
#[derive(Deserialize)]
struct LegacyBatch<'a> {
    #[serde(borrow, default)]
    errors: Vec<LegacyFailure<'a>>,
    #[serde(borrow, default)]
    success: Vec<LegacyIds<'a>>,
}

impl LegacyBatch<'_> {
    fn results(&self) -> Result<Vec<Result<Acknowledgement, VenueError>>, DecodeError> {
        let place = |index: Option<Number<'_>>| index.ok_or_else(|| missing("index"))?.integer("index");
        let mut results = Vec::with_capacity(self.errors.len() + self.success.len());
        for taken in &self.success {
            results.push((place(taken.index)?, Ok(taken.acknowledged()?)));
        }
        for failure in &self.errors {
            results.push((place(failure.index)?, Err(failure.error())));
        }
        results.sort_by_key(|(place, _)| *place);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }
}

#[derive(Deserialize)]
struct LegacyStop<'a> {
    #[serde(borrow, default)]
    sl_order: Option<LegacyIds<'a>>,
    #[serde(borrow, default)]
    tp_order: Option<LegacyIds<'a>>,
}

/// What was cancelled, as ids with commas between, and what was not.
#[derive(Deserialize)]
struct LegacyCancelled<'a> {
    #[serde(borrow, default)]
    errors: Vec<LegacyFailure<'a>>,
    #[serde(borrow, default)]
    successes: Cow<'a, str>,
}

impl LegacyCancelled<'_> {
    /// In the order in which they were asked for. Orders that the reply does not name belong to another request.
    fn results(&self, orders: &[OrderRef]) -> Result<Vec<Result<Acknowledgement, VenueError>>, DecodeError> {
        let mut results = Vec::new();
        for order in orders {
            let Some(id) = order.order_id.as_ref().or(order.client_order_id.as_ref()) else {
                continue;
            };
            let failed = self.errors.iter().find(|failure| {
                failure
                    .order_id
                    .as_ref()
                    .is_some_and(|failed| failed.text() == id.as_str())
            });
            if let Some(failure) = failed {
                results.push(Err(failure.error()));
            } else if self.successes.split(',').any(|done| done == id.as_str()) {
                results.push(Ok(Acknowledgement {
                    order_id: order.order_id.clone(),
                    client_order_id: order.client_order_id.clone(),
                }));
            }
        }
        if results.is_empty() {
            return Err(missing("the order that was cancelled"));
        }
        Ok(results)
    }
}

#[derive(Deserialize)]
struct LegacyFills<'a> {
    #[serde(borrow)]
    trades: Vec<LegacyFill<'a>>,
}

fn legacy_fills(data: &[u8]) -> Result<Vec<LegacyFill<'_>>, DecodeError> {
    if data.first() == Some(&b'[') {
        read(data)
    } else {
        Ok(read::<LegacyFills<'_>>(data)?.trades)
    }
}

#[derive(Deserialize)]
struct LegacyFill<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow)]
    order_id_str: Id<'a>,
    #[serde(borrow)]
    contract_code: Cow<'a, str>,
    #[serde(borrow)]
    direction: Cow<'a, str>,
    #[serde(borrow)]
    offset: Cow<'a, str>,
    #[serde(borrow)]
    trade_volume: Number<'a>,
    #[serde(borrow)]
    trade_price: Number<'a>,
    #[serde(borrow)]
    trade_fee: Number<'a>,
    #[serde(borrow)]
    fee_asset: Cow<'a, str>,
    #[serde(borrow)]
    create_date: Number<'a>,
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    order_source: Option<Id<'a>>,
}

impl LegacyFill<'_> {
    fn fill(&self, instruments: &Instruments) -> Result<Fill, DecodeError> {
        let contract = instrument(&self.contract_code, instruments)?;
        let way = side(&self.direction)?;
        Ok(Fill {
            instrument: contract.instrument.clone(),
            trade_id: self.id.owned(),
            order_id: self.order_id_str.owned(),
            client_order_id: None,
            side: way,
            position_side: Some(offset(&self.offset, way)?),
            size: base(contract, above_zero(self.trade_volume, "trade_volume")?)?,
            price: above_zero(self.trade_price, "trade_price")?,
            fee: Some(Fee {
                // Negative was paid, here.
                amount: -self.trade_fee.decimal("trade_fee")?,
                asset: self.fee_asset.as_ref().into(),
            }),
            liquidity: Some(role(&self.role)?),
            cause: cause(self.order_source.as_ref().map(Id::text), None, None)?,
            position_after: None,
            user: None,
            historic: false,
            time_ms: self.create_date.milliseconds("create_date")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::error::Refusal;
    use crate::model::{Decimal, OrderStatus, PositionMode, Side};
    use crate::venues::htx::instruments::known;

    /// The recorded payloads of one function that contain a text.
    fn payloads(function: &str, with: &str) -> Vec<String> {
        let file: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/htx/rest.json")).unwrap();
        file["cases"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|case| case["fn"] == function)
            .map(|case| case["payload"].to_string())
            .filter(|payload| payload.contains(with))
            .collect()
    }

    fn ask(generation: Generation, operation: &str, body: &str) -> Result<Reply, ReplyError> {
        let operation: Operation = serde_json::from_str(operation).unwrap();
        reply(generation, &operation, &Response::ok(body), &known())
    }

    fn current(operation: &str, body: &str) -> Result<Reply, ReplyError> {
        ask(Generation::Current, operation, body)
    }

    fn legacy(operation: &str, body: &str) -> Result<Reply, ReplyError> {
        ask(Generation::Legacy, operation, body)
    }

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    const PLACE: &str =
        r#"{"operation":"place_order","parameters":{"instrument":"BTC-USDT","side":"buy","size":"1"}}"#;
    const PLACE_TWO: &str = r#"{"operation":"place_orders","parameters":{"orders":[]}}"#;

    #[test]
    fn orders_of_v5_are_acknowledged() {
        let bodies = payloads("createOrder", "\"code\":200");
        let Reply::Acknowledged(list) = current(PLACE, &bodies[0]).unwrap() else {
            panic!("no acknowledgement");
        };
        let ids = list[0].as_ref().unwrap();
        assert_eq!(ids.order_id.as_deref(), Some("1512501029504577536"));
        assert_eq!(ids.client_order_id, None);
        let Reply::Acknowledged(list) = current(PLACE, &bodies[1]).unwrap() else {
            panic!("no acknowledgement");
        };
        assert_eq!(
            list[0].as_ref().unwrap().order_id.as_deref(),
            Some("1512871666507657216")
        );
        let Reply::Acknowledged(list) =
            current(PLACE_TWO, &payloads("createOrders", "\"code\":200")[0]).unwrap()
        else {
            panic!("no acknowledgement");
        };
        assert_eq!(list.len(), 2);
        for (function, operation) in [
            (
                "cancelOrder",
                r#"{"operation":"cancel_order","parameters":{"instrument":"LTC-USDT","order_id":"1"}}"#,
            ),
            (
                "closePosition",
                r#"{"operation":"close_position","parameters":{"instrument":"BTC-USDT"}}"#,
            ),
        ] {
            for body in payloads(function, "\"code\":200") {
                assert!(
                    matches!(current(operation, &body), Ok(Reply::Acknowledged(list)) if list[0].is_ok()),
                    "{body}"
                );
            }
        }
    }

    #[test]
    fn the_account_of_v5_is_read() {
        let Reply::Positions(positions) = current(
            r#"{"operation":"positions","parameters":{}}"#,
            &payloads("fetchPositions", "\"code\":200")[0],
        )
        .unwrap() else {
            panic!("no positions");
        };
        assert_eq!(positions[0].size, decimal("0.001"));
        assert_eq!(positions[0].position_side, PositionSide::Long);
        assert_eq!(positions[0].liquidation_price, None);
        let Reply::Balances(balances) = current(
            r#"{"operation":"balances","parameters":{}}"#,
            &payloads("fetchBalance", "\"details\"")[0],
        )
        .unwrap() else {
            panic!("no balances");
        };
        assert_eq!(balances[0].wallet, decimal("174.216697577770536136"));
        let Reply::Order(order) = current(
            r#"{"operation":"order","parameters":{"instrument":"BTC-USDT","order_id":"1"}}"#,
            &payloads("fetchOrder", "\"code\":200")[0],
        )
        .unwrap() else {
            panic!("no order");
        };
        assert_eq!((order.status, order.side), (OrderStatus::Open, Side::Buy));
        let Reply::Orders(orders) = current(
            r#"{"operation":"open_orders","parameters":{}}"#,
            &payloads("fetchOpenOrders", "\"code\":200")[0],
        )
        .unwrap() else {
            panic!("no orders");
        };
        assert_eq!(orders[0].size, Some(decimal("0.1")));
        let Reply::Fills(fills) = current(
            r#"{"operation":"fills","parameters":{}}"#,
            &payloads("fetchMyTrades", "\"code\":200")[0],
        )
        .unwrap() else {
            panic!("no fills");
        };
        assert_eq!(fills[0].size, decimal("0.002"));
        assert_eq!(fills[0].fee.as_ref().unwrap().amount, decimal("0.07522584"));
        assert!(matches!(
            current(
                r#"{"operation":"account_mode","parameters":{}}"#,
                &payloads("setPositionMode", "\"code\":200")[0]
            ),
            Ok(Reply::AccountMode(mode)) if mode.position_mode == PositionMode::OneWay
        ));
        assert!(matches!(
            current(
                r#"{"operation":"leverage","parameters":{"instrument":"BTC-USDT"}}"#,
                &payloads("setLeverage", "\"code\":200")[0]
            ),
            Ok(Reply::Leverage(list)) if list[0].leverage == decimal("10")
        ));
    }

    #[test]
    fn replies_before_v5_are_read() {
        let Reply::Acknowledged(list) = legacy(PLACE_TWO, &payloads("createOrders", "1047")[0]).unwrap()
        else {
            panic!("no acknowledgement");
        };
        assert_eq!(
            list[0].as_ref().unwrap().order_id.as_deref(),
            Some("1172923090632953857")
        );
        assert_eq!(list[1].as_ref().unwrap_err().code, "1047");
        let Reply::Acknowledged(list) = legacy(
            PLACE,
            r#"{"status":"ok","data":{"order_id":924660854912552960,"order_id_str":"924660854912552960","client_order_id":9},"ts":1}"#,
        )
        .unwrap() else {
            panic!("no acknowledgement");
        };
        assert_eq!(list[0].as_ref().unwrap().client_order_id.as_deref(), Some("9"));
        let Reply::Acknowledged(list) = legacy(
            r#"{"operation":"cancel_orders","parameters":{"orders":[
                {"instrument":"BTC-USDT","order_id":"769206471845261312"},
                {"instrument":"BTC-USDT","order_id":"773120304138219520"}]}}"#,
            &payloads("cancelOrders", "769206471845261312")[0],
        )
        .unwrap() else {
            panic!("no acknowledgement");
        };
        assert_eq!(list[0].as_ref().unwrap_err().refusal, Refusal::NotFound);
        assert!(list[1].is_ok());
    }

    #[test]
    fn market_data_is_read() {
        assert_eq!(
            current(
                r#"{"operation":"server_time","parameters":{}}"#,
                r#"{"status":"ok","ts":1490759594752}"#
            )
            .unwrap(),
            Reply::Time(1_490_759_594_752)
        );
        let Reply::Instruments(list) = current(
            r#"{"operation":"instruments","parameters":{}}"#,
            &payloads("fetchMarketsByTypeAndSubType", "BTC-USDT-211231")[0],
        )
        .unwrap() else {
            panic!("no instruments");
        };
        assert_eq!(list[0].contract_size, decimal("0.001"));
        let one = r#""parameters":{"instrument":"BTC-USDT"}}"#;
        let Reply::Funding(funding) = current(
            &format!("{{\"operation\":\"funding\",{one}"),
            &payloads("fetchFundingRate", "BTC-USDT")[0],
        )
        .unwrap() else {
            panic!("no funding");
        };
        assert_eq!(funding.next_time_ms, Some(1_781_251_200_000));
        assert_eq!(funding.interval_hours, Some(8));
        let Reply::Book(book) = current(
            &format!("{{\"operation\":\"book\",{one}"),
            &payloads("fetchOrderBook", "step0")[0],
        )
        .unwrap() else {
            panic!("no book");
        };
        assert_eq!(book.bids[0].size, decimal("0.0002"));
        let Reply::Ticker(ticker) = current(
            &format!("{{\"operation\":\"ticker\",{one}"),
            &payloads("fetchTicker", "detail.merged")[0],
        )
        .unwrap() else {
            panic!("no ticker");
        };
        assert_eq!(ticker.last, Some(decimal("9146.86")));
        let Reply::Klines(klines) = current(
            r#"{"operation":"klines","parameters":{"instrument":"BTC-USDT","interval":"1m"}}"#,
            &payloads("fetchOHLCV", "kline")[0],
        )
        .unwrap() else {
            panic!("no klines");
        };
        assert_eq!(klines[0].start_ms, 1_591_515_240_000);
        assert!(matches!(
            current(
                &format!("{{\"operation\":\"mark\",{one}"),
                r#"{"ch":"x","data":[{"amount":"0","close":"31078.68","count":"0","high":"1","id":1,"low":"1","open":"1","trade_turnover":"0","vol":"0"}],"status":"ok","ts":5}"#
            ),
            Ok(Reply::Mark(mark)) if mark.price == decimal("31078.68")
        ));
    }

    #[test]
    fn refusals_are_told_in_every_shape() {
        for (body, expected) in [
            (
                r#"{"status":"error","err_code":1047,"err_msg":"Insufficient margin available.","ts":1}"#,
                Refusal::Rejected,
            ),
            (
                r#"{"ts":1,"status":"error","err-code":"timeout","err-msg":"Request Timeout"}"#,
                Refusal::Unknown,
            ),
            (
                r#"{"code":1003,"message":"invalid signature"}"#,
                Refusal::Authentication,
            ),
        ] {
            assert!(
                matches!(current(PLACE, body), Err(ReplyError::Refused(error)) if error.refusal == expected),
                "{body}"
            );
        }
        assert!(matches!(current(PLACE, "{}"), Err(ReplyError::Unreadable(_))));
        let place: Operation = serde_json::from_str(PLACE).unwrap();
        let response = Response {
            status: 502,
            headers: Vec::new(),
            body: b"<html>".to_vec(),
        };
        assert!(matches!(
            reply(Generation::Current, &place, &response, &known()),
            Err(ReplyError::Refused(error)) if error.refusal == Refusal::Unknown
        ));
    }
}
