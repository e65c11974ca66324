//! REST replies into the model.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::{
    AccountState, BookState, Candle, LeverageState, MarketState, OrderDetail, OrderState, UserFill,
};
use super::errors::{http, refused};
use super::instruments::perpetual;
use crate::error::{DecodeError, ReplyError, VenueError};
use crate::json::{Id, Number, read};
use crate::model::{
    AccountMode, Instrument, InstrumentState, Instruments, Leverage, PositionMode, PositionSide, Ticker,
    Venue,
};
use crate::operation::{Acknowledgement, Operation, Reply};
use crate::request::Response;

/// Reads the reply to an operation.
pub(super) fn reply(
    operation: &Operation,
    response: &Response,
    _instruments: &Instruments,
) -> Result<Reply, ReplyError> {
    let body = response.body.as_slice();
    if !(200..300).contains(&response.status) {
        return Err(VenueError::new(
            Venue::Hyperliquid,
            http(response.status, operation.is_read()),
            response.status.to_string(),
            &String::from_utf8_lossy(body),
        )
        .into());
    }
    if operation.is_read() {
        no_refusal(body)?;
    }
    Ok(match operation {
        Operation::ServerTime(_) => Reply::Time(read::<Status<'_>>(body)?.time.milliseconds("time")?),
        Operation::Instruments(_) => Reply::Instruments(read::<Meta<'_>>(body)?.instruments()?),
        Operation::Ticker(_) => {
            let book = read::<BookState<'_>>(body)?.book()?;
            let (bid, ask) = (book.bids.first(), book.asks.first());
            Reply::Ticker(Ticker {
                instrument: book.instrument,
                bid: bid.map(|level| level.price),
                bid_size: bid.map(|level| level.size),
                ask: ask.map(|level| level.price),
                ask_size: ask.map(|level| level.size),
                time_ms: book.time_ms,
                ..Ticker::default()
            })
        }
        Operation::Book(query) => {
            let mut book = read::<BookState<'_>>(body)?.book()?;
            if let Some(depth) = query.depth.and_then(|depth| usize::try_from(depth).ok()) {
                book.bids.truncate(depth);
                book.asks.truncate(depth);
            }
            Reply::Book(book)
        }
        Operation::Klines(_) => Reply::Klines(
            read::<Vec<Candle<'_>>>(body)?
                .iter()
                .map(Candle::kline)
                .collect::<Result<_, _>>()?,
        ),
        Operation::Mark(query) => Reply::Mark(market(body, &query.instrument, |state| {
            state.mark(&query.instrument)
        })?),
        Operation::Funding(query) => Reply::Funding(market(body, &query.instrument, |state| {
            state.funding(&query.instrument)
        })?),
        Operation::Balances(_) => Reply::Balances(vec![read::<AccountState<'_>>(body)?.balance()?]),
        Operation::Positions(query) => {
            let mut positions = read::<AccountState<'_>>(body)?.positions()?;
            if let Some(instrument) = &query.instrument {
                positions.retain(|position| position.instrument == *instrument);
            }
            Reply::Positions(positions)
        }
        Operation::AccountMode(_) => {
            // Reading the positions refuses any that is not one-way.
            read::<AccountState<'_>>(body)?.positions()?;
            Reply::AccountMode(AccountMode {
                position_mode: PositionMode::OneWay,
            })
        }
        Operation::Leverage(_) => Reply::Leverage(vec![read::<AssetData<'_>>(body)?.leverage()?]),
        Operation::OpenOrders(query) => {
            let mut orders = Vec::new();
            for order in read::<Vec<OrderDetail<'_>>>(body)? {
                // The list has spot orders beside those of perpetuals.
                let wanted = match &query.instrument {
                    Some(instrument) => order.coin == instrument.as_str(),
                    None => !order.coin.starts_with('@') && !order.coin.contains('/'),
                };
                if wanted {
                    orders.push(order.open()?);
                }
            }
            Reply::Orders(orders)
        }
        Operation::Order(_) => Reply::Order(Box::new(one_order(body)?)),
        Operation::Fills(query) => {
            let mut fills = Vec::new();
            for fill in read::<Vec<UserFill<'_>>>(body)? {
                match fill.fill(None, false) {
                    Ok(fill) => {
                        if query
                            .instrument
                            .as_ref()
                            .is_none_or(|name| fill.instrument == *name)
                        {
                            fills.push(fill);
                        }
                    }
                    // The list has spot fills beside those of perpetuals.
                    Err(DecodeError::UnsupportedProduct { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            fills.sort_by_key(|fill| fill.time_ms);
            if let Some(limit) = query.limit.and_then(|limit| usize::try_from(limit).ok()) {
                fills.drain(..fills.len().saturating_sub(limit));
            }
            Reply::Fills(fills)
        }
        Operation::PlaceOrder(_)
        | Operation::PlaceOrders(_)
        | Operation::AmendOrder(_)
        | Operation::CancelOrder(_)
        | Operation::CancelOrders(_)
        | Operation::ClosePosition(_)
        | Operation::PlaceConditionalOrder(_)
        | Operation::CancelConditionalOrder(_)
        | Operation::PlaceStopLadder(_) => Reply::Acknowledged(action(body)?),
        Operation::SetLeverage(_) | Operation::SetMarginMode(_) | Operation::CancelAllAfter(_) => {
            action(body)?;
            Reply::Done
        }
        Operation::Trades(_)
        | Operation::SetPositionMode(_)
        | Operation::CancelAllOrders(_)
        | Operation::CreateListenKey(_)
        | Operation::KeepListenKey(_)
        | Operation::CloseListenKey(_) => {
            return Err(DecodeError::unsupported(operation.name()).into());
        }
    })
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
}

/// A read is answered with what was asked for, or with an object that says why not.
fn no_refusal(body: &[u8]) -> Result<(), ReplyError> {
    let Ok(failure) = read::<Failure<'_>>(body) else {
        return Ok(());
    };
    if let Some(error) = failure.error {
        return Err(refused("error", &error).into());
    }
    match failure.status.as_deref() {
        Some(word @ "unknownOid") => Err(refused(word, word).into()),
        Some("err") => Err(refused("err", &text(failure.response)).into()),
        _ => Ok(()),
    }
}

fn text(raw: Option<&RawValue>) -> String {
    raw.map(|raw| serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned()))
        .unwrap_or_default()
}

#[derive(Deserialize)]
struct ActionReply<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    response: &'a RawValue,
}

#[derive(Deserialize)]
struct ActionResponse<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<ActionData<'a>>,
}

#[derive(Deserialize)]
struct ActionData<'a> {
    #[serde(borrow, default)]
    statuses: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow, default)]
    resting: Option<Ids<'a>>,
    #[serde(borrow, default)]
    filled: Option<Ids<'a>>,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Ids<'a> {
    #[serde(borrow)]
    oid: Id<'a>,
    #[serde(borrow, default)]
    cloid: Option<Id<'a>>,
}

/// Reads the reply to an action: one result per order in it, none where the action has no orders.
pub(super) fn action(body: &[u8]) -> Result<Vec<Result<Acknowledgement, VenueError>>, ReplyError> {
    let reply: ActionReply<'_> = read(body)?;
    match reply.status.as_ref() {
        "err" => return Err(refused("err", &text(Some(reply.response))).into()),
        "ok" => {}
        other => return Err(DecodeError::unknown_word("status", other).into()),
    }
    let response: ActionResponse<'_> = read(reply.response.get().as_bytes())?;
    match response.kind.as_ref() {
        "order" | "cancel" | "batchModify" | "default" => {}
        other => return Err(DecodeError::unknown_word("type", other).into()),
    }
    let statuses = response.data.map(|data| data.statuses).unwrap_or_default();
    statuses
        .into_iter()
        .map(|status| outcome(status).map_err(ReplyError::from))
        .collect()
}

fn outcome(status: &RawValue) -> Result<Result<Acknowledgement, VenueError>, DecodeError> {
    let nothing = Acknowledgement {
        order_id: None,
        client_order_id: None,
    };
    if let Ok(word) = serde_json::from_str::<Cow<'_, str>>(status.get()) {
        return match word.as_ref() {
            // Cancelled; or a trigger that rests beside the order it belongs to, and has no id yet.
            "success" | "waitingForTrigger" | "waitingForFill" => Ok(Ok(nothing)),
            other => Err(DecodeError::unknown_word("statuses", other)),
        };
    }
    let outcome: Outcome<'_> = read(status.get().as_bytes())?;
    match (outcome.resting.or(outcome.filled), outcome.error) {
        (_, Some(error)) => Ok(Err(refused("error", &error))),
        (Some(ids), None) => Ok(Ok(Acknowledgement {
            order_id: ids.oid.optional(),
            client_order_id: ids.cloid.as_ref().and_then(Id::optional),
        })),
        (None, None) => Err(DecodeError::MissingField {
            field: "resting, filled or error",
            message: "statuses",
        }),
    }
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    time: Number<'a>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow)]
    universe: Vec<Market<'a>>,
}

#[derive(Deserialize)]
struct Market<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, rename = "szDecimals")]
    size_decimals: Number<'a>,
    #[serde(borrow, default, rename = "maxLeverage")]
    maximum_leverage: Option<Number<'a>>,
    #[serde(default, rename = "isDelisted")]
    is_delisted: bool,
}

/// More decimals of a size than any market has.
const MAXIMUM_SIZE_DECIMALS: u32 = 8;

impl Meta<'_> {
    fn instruments(&self) -> Result<Vec<Instrument>, DecodeError> {
        self.universe
            .iter()
            .enumerate()
            .map(|(index, market)| {
                let decimals = u32::try_from(market.size_decimals.integer("szDecimals")?)
                    .ok()
                    .filter(|decimals| *decimals <= MAXIMUM_SIZE_DECIMALS)
                    .ok_or_else(|| DecodeError::bad_number("szDecimals", market.size_decimals.text()))?;
                let number = u32::try_from(index).map_err(|_| DecodeError::Malformed {
                    detail: "too many markets".to_owned(),
                })?;
                let mut instrument = perpetual(&market.name, number, decimals);
                if let Some(leverage) = market.maximum_leverage {
                    instrument.maximum_leverage = leverage.optional("maxLeverage")?;
                }
                if market.is_delisted {
                    instrument.state = InstrumentState::Delisted;
                }
                Ok(instrument)
            })
            .collect()
    }
}

/// One market of `[meta, [state, …]]`, where both lists have the same order.
fn market<T>(
    body: &[u8],
    instrument: &str,
    take: impl FnOnce(&MarketState<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let (meta, states): (Meta<'_>, Vec<MarketState<'_>>) = read(body)?;
    let state = meta
        .universe
        .iter()
        .zip(&states)
        .find(|(market, _)| market.name == instrument)
        .map(|(_, state)| state)
        .ok_or(DecodeError::MissingField {
            field: "the instrument",
            message: "universe",
        })?;
    take(state)
}

#[derive(Deserialize)]
struct AssetData<'a> {
    #[serde(borrow)]
    coin: Cow<'a, str>,
    #[serde(borrow)]
    leverage: LeverageState<'a>,
}

impl AssetData<'_> {
    fn leverage(&self) -> Result<Leverage, DecodeError> {
        let (leverage, margin_mode) = self.leverage.read()?;
        Ok(Leverage {
            instrument: self.coin.as_ref().into(),
            position_side: PositionSide::Net,
            leverage,
            margin_mode: Some(margin_mode),
        })
    }
}

#[derive(Deserialize)]
struct OrderReply<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    order: Option<OrderState<'a>>,
}

fn one_order(body: &[u8]) -> Result<crate::model::Order, DecodeError> {
    let reply: OrderReply<'_> = read(body)?;
    match (reply.status.as_ref(), reply.order) {
        ("order", Some(order)) => order.order(),
        ("order", None) => Err(DecodeError::MissingField {
            field: "order",
            message: "order status",
        }),
        (other, _) => Err(DecodeError::unknown_word("status", other)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::error::Refusal;
    use crate::model::{Cause, Decimal, OrderKind, OrderStatus, Side};
    use crate::venues::hyperliquid::instruments::known;

    /// The recorded payloads of one function of the fixtures.
    fn payloads(function: &str) -> Vec<String> {
        let file: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/hyperliquid/rest.json")).unwrap();
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

    #[test]
    fn orders_are_acknowledged_one_by_one() {
        let place =
            r#"{"operation":"place_order","parameters":{"instrument":"ETH","side":"buy","size":"1"}}"#;
        let Reply::Acknowledged(list) = answer(place, &payloads("createOrders")[0]).unwrap() else {
            panic!("no acknowledgement");
        };
        assert_eq!(list[0].as_ref().unwrap().order_id.as_deref(), Some("5063830287"));
        let Reply::Acknowledged(list) = answer(place, &payloads("editOrders")[1]).unwrap() else {
            panic!("no acknowledgement");
        };
        assert_eq!(list[0].as_ref().unwrap().order_id.as_deref(), Some("6195281425"));
        let errors = payloads("handleErrors");
        let refused = answer(place, &errors[0]).unwrap_err();
        assert!(
            matches!(&refused, ReplyError::Refused(error) if error.refusal == Refusal::Authentication),
            "{refused:?}"
        );
        let Reply::Acknowledged(list) = answer(place, &errors[1]).unwrap() else {
            panic!("no acknowledgement");
        };
        assert_eq!(list[0].as_ref().unwrap_err().refusal, Refusal::Rejected);
        let cancel = r#"{"operation":"cancel_order","parameters":{"instrument":"ETH","order_id":"1"}}"#;
        assert!(matches!(
            answer(cancel, &payloads("cancelOrders")[0]).unwrap(),
            Reply::Acknowledged(list) if list.len() == 1 && list[0].is_ok()
        ));
        let timer = r#"{"operation":"cancel_all_after","parameters":{"after_ms":5000}}"#;
        assert!(answer(timer, &payloads("cancelAllOrdersAfter")[0]).is_err());
        assert!(
            answer(
                place,
                r#"{"status":"ok","response":{"type":"order","data":{"statuses":["?"]}}}"#
            )
            .is_err()
        );
    }

    #[test]
    fn the_account_is_read_whole() {
        let body = &payloads("fetchPositions")[0];
        let Reply::Positions(positions) =
            answer(r#"{"operation":"positions","parameters":{}}"#, body).unwrap()
        else {
            panic!("no positions");
        };
        assert_eq!(positions[0].size, decimal("0.2259"));
        assert_eq!(positions[0].leverage, Some(decimal("20")));
        let Reply::Balances(balances) = answer(r#"{"operation":"balances","parameters":{}}"#, body).unwrap()
        else {
            panic!("no balances");
        };
        assert_eq!(balances[0].wallet, decimal("100"));
        assert!(matches!(
            answer(r#"{"operation":"account_mode","parameters":{}}"#, body).unwrap(),
            Reply::AccountMode(mode) if mode.position_mode == PositionMode::OneWay
        ));
    }

    #[test]
    fn orders_and_fills_are_read() {
        let Reply::Order(order) = answer(
            r#"{"operation":"order","parameters":{"instrument":"ETH","order_id":"3991946565"}}"#,
            &payloads("fetchOrder")[0],
        )
        .unwrap() else {
            panic!("no order");
        };
        assert_eq!(order.status, OrderStatus::Open);
        assert_eq!(order.size, Some(decimal("0.1")));
        assert_eq!(order.trigger_price, None);
        let missing = answer(
            r#"{"operation":"order","parameters":{"instrument":"ETH","order_id":"1"}}"#,
            r#"{"status":"unknownOid"}"#,
        )
        .unwrap_err();
        assert!(matches!(missing, ReplyError::Refused(error) if error.refusal == Refusal::NotFound));
        let Reply::Fills(fills) = answer(
            r#"{"operation":"fills","parameters":{}}"#,
            &payloads("fetchMyTrades")[0],
        )
        .unwrap() else {
            panic!("no fills");
        };
        assert_eq!(fills[0].side, Side::Sell);
        assert_eq!(fills[0].position_after, Some(Decimal::ZERO));
        assert_eq!(fills[0].cause, Cause::User);
        let open: Value = serde_json::from_str(include_str!(
            "../../../tests/fixtures/hyperliquid/info/test_get_frontend_open_orders.json"
        ))
        .unwrap();
        let Reply::Orders(orders) = answer(
            r#"{"operation":"open_orders","parameters":{}}"#,
            &open[0]["response"].to_string(),
        )
        .unwrap() else {
            panic!("no orders");
        };
        assert_eq!(orders[0].order_kind, OrderKind::TakeProfitMarket);
        assert_eq!(orders[0].status, OrderStatus::Untriggered);
        assert_eq!(orders[0].price, None);
    }

    #[test]
    fn market_data_is_read() {
        let meta: Value = serde_json::from_str(include_str!(
            "../../../tests/fixtures/hyperliquid/info/test_get_info.json"
        ))
        .unwrap();
        let Reply::Instruments(list) = answer(
            r#"{"operation":"instruments","parameters":{}}"#,
            &meta[0]["response"].to_string(),
        )
        .unwrap() else {
            panic!("no instruments");
        };
        // The built-in numbers are the venue's.
        for instrument in &list {
            if let Ok(known) = known().get(&instrument.instrument) {
                assert_eq!(known.number, instrument.number, "{}", instrument.instrument);
                assert_eq!(known.lot, instrument.lot, "{}", instrument.instrument);
            }
        }
        let sol = r#""parameters":{"instrument":"SOL"}}"#;
        let body = &payloads("fetchSwapMarkets")[0];
        let Reply::Mark(mark) = answer(&format!("{{\"operation\":\"mark\",{sol}"), body).unwrap() else {
            panic!("no mark");
        };
        assert_eq!(mark.price, decimal("108.04"));
        let Reply::Funding(funding) = answer(&format!("{{\"operation\":\"funding\",{sol}"), body).unwrap()
        else {
            panic!("no funding");
        };
        assert_eq!(funding.rate, decimal("0.0000198"));
        let Reply::Ticker(ticker) = answer(
            r#"{"operation":"ticker","parameters":{"instrument":"ETH"}}"#,
            &payloads("fetchOrderBook")[0],
        )
        .unwrap() else {
            panic!("no ticker");
        };
        assert_eq!(
            (ticker.bid, ticker.ask),
            (Some(decimal("2216.2")), Some(decimal("2216.5")))
        );
        let Reply::Klines(klines) = answer(
            r#"{"operation":"klines","parameters":{"instrument":"ETH","interval":"15m"}}"#,
            &payloads("fetchOHLCV")[0],
        )
        .unwrap() else {
            panic!("no klines");
        };
        assert_eq!(klines[0].close, decimal("2226.4"));
        assert_eq!(
            answer(
                r#"{"operation":"server_time","parameters":{}}"#,
                r#"{"specialStatuses":null,"time":1764617438643}"#
            )
            .unwrap(),
            Reply::Time(1_764_617_438_643)
        );
    }

    #[test]
    fn a_gateway_that_fails_leaves_an_order_unknown() {
        let place: Operation = serde_json::from_str(
            r#"{"operation":"place_order","parameters":{"instrument":"ETH","side":"buy","size":"1"}}"#,
        )
        .unwrap();
        let response = Response {
            status: 502,
            headers: Vec::new(),
            body: b"<html>".to_vec(),
        };
        assert!(matches!(
            reply(&place, &response, &known()).unwrap_err(),
            ReplyError::Refused(error) if error.refusal == Refusal::Unknown
        ));
        assert!(matches!(
            reply(&place, &Response::ok("<html>"), &known()).unwrap_err(),
            ReplyError::Unreadable(_)
        ));
    }
}
