//! REST replies into the model.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::{
    BookState, Failure, PositionState, PublicTrade, Summary, TickerState, UserOrder, UserTrade,
};
use super::errors::{http, refused};
use super::instruments::{inverse, is_future};
use crate::error::{DecodeError, ReplyError, VenueError};
use crate::json::{Id, Number, read};
use crate::model::{
    AccountMode, Instrument, InstrumentState, Instruments, Kline, Order, PositionMode, Venue,
};
use crate::operation::{Acknowledgement, KlineQuery, Operation, Reply};
use crate::request::Response;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<Failure<'a>>,
    /// When it left the venue, microseconds.
    #[serde(borrow, default, rename = "usOut")]
    us_out: Option<Number<'a>>,
}

/// Reads the reply to an operation. Several requests are answered one by one: each of their replies is read by itself.
pub(super) fn reply(
    operation: &Operation,
    response: &Response,
    instruments: &Instruments,
) -> Result<Reply, ReplyError> {
    let success = (200..300).contains(&response.status);
    let envelope: Envelope<'_> = match read(&response.body) {
        Ok(envelope) => envelope,
        Err(error) if success => return Err(error.into()),
        Err(_) => return Err(by_status(operation, response).into()),
    };
    if let Some(error) = &envelope.error {
        return Err(refused(error.code.integer("code")?, &error.message).into());
    }
    if !success {
        return Err(by_status(operation, response).into());
    }
    let result = envelope.result.ok_or(DecodeError::MissingField {
        field: "result",
        message: "reply",
    })?;
    let time_ms = match envelope.us_out {
        Some(time) => time.milliseconds("usOut")? / 1_000,
        None => 0,
    };
    of_result(operation, result.get().as_bytes(), time_ms, instruments)
}

fn by_status(operation: &Operation, response: &Response) -> VenueError {
    VenueError::new(
        Venue::Deribit,
        http(response.status, operation.is_read()),
        response.status.to_string(),
        &String::from_utf8_lossy(&response.body),
    )
}

fn of_result(
    operation: &Operation,
    body: &[u8],
    time_ms: u64,
    instruments: &Instruments,
) -> Result<Reply, ReplyError> {
    Ok(match operation {
        Operation::ServerTime(_) => Reply::Time(read::<Number<'_>>(body)?.milliseconds("result")?),
        Operation::Instruments(_) => {
            let mut list = Vec::new();
            for market in read::<Vec<Market<'_>>>(body)? {
                if market.kind == "future" && is_future(&market.instrument_name) {
                    list.push(market.instrument()?);
                }
            }
            Reply::Instruments(list)
        }
        Operation::Ticker(_) => Reply::Ticker(read::<TickerState<'_>>(body)?.ticker(instruments)?),
        Operation::Mark(_) => Reply::Mark(read::<TickerState<'_>>(body)?.mark()?),
        Operation::Funding(_) => {
            let funding = read::<TickerState<'_>>(body)?.funding()?;
            Reply::Funding(funding.ok_or(DecodeError::MissingField {
                field: "current_funding",
                message: "ticker of a dated future",
            })?)
        }
        Operation::Book(_) => Reply::Book(read::<BookState<'_>>(body)?.book(instruments)?),
        Operation::Trades(_) => {
            let mut trades = read::<Trades<PublicTrade<'_>>>(body)?
                .trades
                .iter()
                .map(|trade| trade.trade(instruments))
                .collect::<Result<Vec<_>, _>>()?;
            trades.sort_by_key(|trade| trade.time_ms);
            Reply::Trades(trades)
        }
        Operation::Klines(query) => Reply::Klines(read::<Chart<'_>>(body)?.klines(query, time_ms)?),
        Operation::Balances(_) => Reply::Balances(
            summaries(body)?
                .iter()
                .map(|summary| summary.balance(time_ms))
                .collect::<Result<_, _>>()?,
        ),
        Operation::Positions(_) => Reply::Positions(
            one_or_several::<PositionState<'_>>(body)?
                .iter()
                .map(|position| position.position(time_ms, instruments))
                .collect::<Result<_, _>>()?,
        ),
        Operation::AccountMode(_) => {
            read::<Vec<PositionState<'_>>>(body)?;
            Reply::AccountMode(AccountMode {
                position_mode: PositionMode::OneWay,
            })
        }
        Operation::OpenOrders(_) => Reply::Orders(
            read::<Vec<UserOrder<'_>>>(body)?
                .iter()
                .map(|order| order.order(instruments))
                .collect::<Result<_, _>>()?,
        ),
        Operation::Order(_) => Reply::Order(Box::new(newest(body, instruments)?)),
        Operation::Fills(_) => {
            let mut fills = read::<Trades<UserTrade<'_>>>(body)?
                .trades
                .iter()
                .map(|trade| trade.fill(instruments))
                .collect::<Result<Vec<_>, _>>()?;
            fills.sort_by_key(|fill| fill.time_ms);
            Reply::Fills(fills)
        }
        Operation::PlaceOrder(_)
        | Operation::PlaceOrders(_)
        | Operation::AmendOrder(_)
        | Operation::ClosePosition(_)
        | Operation::PlaceConditionalOrder(_)
        | Operation::PlaceStopLadder(_) => {
            Reply::Acknowledged(vec![Ok(acknowledged(&read::<Placed<'_>>(body)?.order))])
        }
        Operation::CancelOrder(_) | Operation::CancelOrders(_) | Operation::CancelConditionalOrder(_) => {
            Reply::Acknowledged(vec![cancelled(body)?])
        }
        Operation::CancelAllOrders(_) => {
            read::<Number<'_>>(body)?.integer("result")?;
            Reply::Done
        }
        Operation::SetPositionMode(_)
        | Operation::Leverage(_)
        | Operation::SetLeverage(_)
        | Operation::SetMarginMode(_)
        | Operation::CancelAllAfter(_)
        | Operation::CreateListenKey(_)
        | Operation::KeepListenKey(_)
        | Operation::CloseListenKey(_) => return Err(DecodeError::unsupported(operation.name()).into()),
    })
}

fn one_or_several<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<Vec<T>, DecodeError> {
    if body.first() == Some(&b'[') {
        read(body)
    } else {
        Ok(vec![read(body)?])
    }
}

#[derive(Deserialize)]
struct Trades<T> {
    trades: Vec<T>,
}

#[derive(Deserialize)]
struct Placed<'a> {
    #[serde(borrow)]
    order: UserOrder<'a>,
}

#[derive(Deserialize)]
struct Summaries<'a> {
    #[serde(borrow)]
    summaries: Vec<Summary<'a>>,
}

/// Of all currencies, or of one.
fn summaries(body: &[u8]) -> Result<Vec<Summary<'_>>, DecodeError> {
    match read::<Summaries<'_>>(body) {
        Ok(all) => Ok(all.summaries),
        Err(_) => Ok(vec![read(body)?]),
    }
}

fn acknowledged(order: &UserOrder<'_>) -> Acknowledgement {
    let (order_id, client_order_id) = order.ids();
    Acknowledgement {
        order_id: Some(order_id),
        client_order_id,
    }
}

/// By the venue's id the order is told; by label only how many were cancelled.
fn cancelled(body: &[u8]) -> Result<Result<Acknowledgement, VenueError>, DecodeError> {
    if body.first() == Some(&b'{') {
        return Ok(Ok(acknowledged(&read::<UserOrder<'_>>(body)?)));
    }
    let count = read::<Number<'_>>(body)?.integer("result")?;
    Ok(if count > 0 {
        Ok(Acknowledgement {
            order_id: None,
            client_order_id: None,
        })
    } else {
        Err(not_found("no open order has this label"))
    })
}

fn not_found(message: &str) -> VenueError {
    refused(ORDER_NOT_FOUND, message)
}

/// The venue's code for an order that is not there.
const ORDER_NOT_FOUND: i64 = 10_004;

/// A label may stand on several orders: the one that changed last is told.
fn newest(body: &[u8], instruments: &Instruments) -> Result<Order, ReplyError> {
    let mut orders = one_or_several::<UserOrder<'_>>(body)?
        .iter()
        .map(|order| order.order(instruments))
        .collect::<Result<Vec<_>, _>>()?;
    orders.sort_by_key(|order| order.time_ms);
    orders
        .pop()
        .ok_or_else(|| not_found("no order has this label").into())
}

#[derive(Deserialize)]
struct Market<'a> {
    #[serde(borrow)]
    instrument_name: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    base_currency: Cow<'a, str>,
    #[serde(borrow)]
    quote_currency: Cow<'a, str>,
    #[serde(borrow)]
    settlement_currency: Cow<'a, str>,
    #[serde(borrow)]
    tick_size: Number<'a>,
    #[serde(borrow)]
    min_trade_amount: Number<'a>,
    #[serde(borrow)]
    contract_size: Number<'a>,
    #[serde(borrow, default)]
    max_leverage: Option<Number<'a>>,
    is_active: bool,
    #[serde(borrow, default)]
    instrument_type: Option<Id<'a>>,
    /// What it was called before.
    #[serde(borrow, default)]
    future_type: Option<Id<'a>>,
}

impl Market<'_> {
    fn instrument(&self) -> Result<Instrument, DecodeError> {
        let mut instrument = Instrument::linear(
            &self.instrument_name,
            &self.base_currency,
            &self.quote_currency,
            self.tick_size.decimal("tick_size")?,
            // Sizes are multiples of a contract.
            self.contract_size.decimal("contract_size")?,
        );
        instrument.minimum_size = self.min_trade_amount.decimal("min_trade_amount")?;
        let kind = self.instrument_type.as_ref().or(self.future_type.as_ref());
        let mut instrument = match kind.map(Id::text) {
            Some("reversed") => inverse(instrument),
            Some("linear") => instrument,
            other => {
                return Err(DecodeError::unknown_word(
                    "instrument_type",
                    other.unwrap_or_default(),
                ));
            }
        };
        instrument.settle = self.settlement_currency.as_ref().into();
        if let Some(leverage) = self.max_leverage {
            instrument.maximum_leverage = leverage.optional("max_leverage")?;
        }
        if !self.is_active {
            instrument.state = InstrumentState::Halted;
        }
        Ok(instrument)
    }
}

#[derive(Deserialize)]
struct Chart<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    ticks: Vec<Number<'a>>,
    #[serde(borrow)]
    open: Vec<Number<'a>>,
    #[serde(borrow)]
    high: Vec<Number<'a>>,
    #[serde(borrow)]
    low: Vec<Number<'a>>,
    #[serde(borrow)]
    close: Vec<Number<'a>>,
    #[serde(borrow)]
    volume: Vec<Number<'a>>,
}

impl Chart<'_> {
    fn klines(&self, query: &KlineQuery, time_ms: u64) -> Result<Vec<Kline>, DecodeError> {
        if !matches!(self.status.as_ref(), "ok" | "no_data") {
            return Err(DecodeError::unknown_word("status", &self.status));
        }
        let lists = [&self.open, &self.high, &self.low, &self.close, &self.volume];
        if lists.iter().any(|list| list.len() != self.ticks.len()) {
            return Err(DecodeError::Malformed {
                detail: "lists of a chart differ in length".to_owned(),
            });
        }
        let rest = self
            .open
            .iter()
            .zip(&self.high)
            .zip(self.low.iter().zip(&self.close))
            .zip(&self.volume);
        self.ticks
            .iter()
            .zip(rest)
            .map(|(tick, (((open, high), (low, close)), volume))| {
                Ok(Kline {
                    instrument: query.instrument.clone(),
                    interval: query.interval,
                    start_ms: tick.milliseconds("ticks")?,
                    open: open.decimal("open")?,
                    high: high.decimal("high")?,
                    low: low.decimal("low")?,
                    close: close.decimal("close")?,
                    volume: volume.decimal("volume")?,
                    closed: None,
                    time_ms,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::error::Refusal;
    use crate::model::{ContractKind, Decimal, OrderStatus};
    use crate::venues::deribit::instruments::known;

    fn payloads(function: &str) -> Vec<String> {
        let file: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/deribit/rest.json")).unwrap();
        file["cases"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|case| case["fn"] == function)
            .map(|case| case["payload"].to_string())
            .collect()
    }

    fn answer(operation: &str, body: &str) -> Result<Reply, ReplyError> {
        let operation: Operation = serde_json::from_str(operation).unwrap();
        reply(&operation, &Response::ok(body), &known())
    }

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    const PLACE: &str = r#"{"operation":"place_order","parameters":{"instrument":"ETH-PERPETUAL","side":"buy","size":"1","price":"1"}}"#;

    #[test]
    fn an_order_is_acknowledged_with_both_ids() {
        let Reply::Acknowledged(list) = answer(PLACE, &payloads("createOrder")[0]).unwrap() else {
            panic!("no acknowledgement");
        };
        let ids = list[0].as_ref().unwrap();
        assert_eq!(ids.order_id.as_deref(), Some("ETH-349249"));
        assert_eq!(ids.client_order_id.as_deref(), Some("market0000234"));
        let Reply::Order(order) = answer(
            r#"{"operation":"order","parameters":{"instrument":"ETH-PERPETUAL","order_id":"ETH-331562"}}"#,
            &payloads("fetchOrder")[0],
        )
        .unwrap() else {
            panic!("no order");
        };
        assert_eq!(order.status, OrderStatus::Filled);
        assert_eq!(order.size, Some(order.filled));
        assert!(matches!(
            answer(
                r#"{"operation":"cancel_all_orders","parameters":{}}"#,
                &payloads("cancelAllOrders")[0]
            ),
            Ok(Reply::Done)
        ));
        let by_label = r#"{"operation":"cancel_order","parameters":{"instrument":"ETH-PERPETUAL","client_order_id":"x"}}"#;
        let Reply::Acknowledged(list) = answer(by_label, r#"{"result":0}"#).unwrap() else {
            panic!("no acknowledgement");
        };
        assert_eq!(list[0].as_ref().unwrap_err().refusal, Refusal::NotFound);
    }

    #[test]
    fn the_account_is_read() {
        let Reply::Positions(positions) = answer(
            r#"{"operation":"positions","parameters":{}}"#,
            &payloads("fetchPositions")[0],
        )
        .unwrap() else {
            panic!("no positions");
        };
        assert_eq!(positions[0].size, decimal("0.006687487"));
        let one = r#"{"operation":"positions","parameters":{"instrument":"BTC-PERPETUAL"}}"#;
        let Reply::Positions(positions) = answer(one, &payloads("fetchPosition")[0]).unwrap() else {
            panic!("no position");
        };
        assert_eq!(positions[0].size, Decimal::ZERO);
        let Reply::Balances(balances) = answer(
            r#"{"operation":"balances","parameters":{}}"#,
            &payloads("fetchBalance")[0],
        )
        .unwrap() else {
            panic!("no balances");
        };
        assert_eq!(balances[0].wallet, decimal("0.00062359"));
        // The recorded fills are of options.
        assert!(
            answer(
                r#"{"operation":"fills","parameters":{"instrument":"ETH-PERPETUAL"}}"#,
                &payloads("fetchMyTrades")[0]
            )
            .is_err()
        );
        let Reply::Fills(fills) = answer(
            r#"{"operation":"fills","parameters":{"instrument":"ETH-PERPETUAL"}}"#,
            &payloads("fetchMyTrades")[0]
                .replace("ETH-22FEB19-120-C", "ETH-PERPETUAL")
                .replace("0.04", "110"),
        )
        .unwrap() else {
            panic!("no fills");
        };
        assert_eq!(fills[0].size, decimal("0.1"));
    }

    #[test]
    fn market_data_is_read() {
        let Reply::Instruments(list) = answer(
            r#"{"operation":"instruments","parameters":{}}"#,
            &payloads("fetchMarkets")[1],
        )
        .unwrap() else {
            panic!("no instruments");
        };
        // The option beside them is left out.
        assert_eq!(list.len(), 2);
        assert_eq!(list[1].instrument, "BTC-PERPETUAL");
        assert_eq!(list[1].kind, ContractKind::Inverse);
        assert_eq!(&list[1], known().get("BTC-PERPETUAL").unwrap());
        let one = r#""parameters":{"instrument":"BTC-PERPETUAL"}}"#;
        let Reply::Ticker(ticker) = answer(
            &format!("{{\"operation\":\"ticker\",{one}"),
            &payloads("fetchTicker")[0],
        )
        .unwrap() else {
            panic!("no ticker");
        };
        assert_eq!(ticker.bid, Some(decimal("7750")));
        assert_eq!(ticker.bid_size, Some(decimal("2.512258064516129032")));
        assert!(matches!(
            answer(&format!("{{\"operation\":\"mark\",{one}"), &payloads("fetchTicker")[0]),
            Ok(Reply::Mark(mark)) if mark.price == decimal("7750.02")
        ));
        let Reply::Book(book) = answer(
            &format!("{{\"operation\":\"book\",{one}"),
            &payloads("fetchOrderBook")[0],
        )
        .unwrap() else {
            panic!("no book");
        };
        assert_eq!(book.bids.len(), 3);
        let Reply::Trades(trades) = answer(
            &format!("{{\"operation\":\"trades\",{one}"),
            &payloads("fetchTrades")[0],
        )
        .unwrap() else {
            panic!("no trades");
        };
        assert_eq!(trades[0].trade_id, "195402220");
        let Reply::Klines(klines) = answer(
            r#"{"operation":"klines","parameters":{"instrument":"BTC-PERPETUAL","interval":"1m"}}"#,
            &payloads("fetchOHLCV")[0],
        )
        .unwrap() else {
            panic!("no klines");
        };
        assert_eq!((klines.len(), klines[1].open), (4, decimal("7839")));
        assert_eq!(
            answer(
                r#"{"operation":"server_time","parameters":{}}"#,
                &payloads("fetchTime")[0]
            )
            .unwrap(),
            Reply::Time(1_583_922_446_019)
        );
    }

    #[test]
    fn refusals_are_told() {
        assert!(matches!(
            answer(PLACE, &payloads("handleErrors")[0]).unwrap_err(),
            ReplyError::Refused(error) if error.refusal == Refusal::Rejected && error.code == "-32602"
        ));
        let place: Operation = serde_json::from_str(PLACE).unwrap();
        let response = Response {
            status: 502,
            headers: Vec::new(),
            body: b"<html>".to_vec(),
        };
        assert!(matches!(
            reply(&place, &response, &known()).unwrap_err(),
            ReplyError::Refused(error) if error.refusal == Refusal::Unknown
        ));
    }
}
