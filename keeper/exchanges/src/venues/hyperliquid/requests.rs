//! Operations in the venue's words. The order of an action's members is part of what is signed.

use rust_decimal::RoundingStrategy;

use super::sign::EXCHANGE;
use crate::error::RequestError;
use crate::model::{
    Decimal, Instrument, MarginMode, OrderKind, PositionSide, Side, Text, TimeInForce, TriggerPrice, Venue,
};
use crate::operation::{
    AmendOrder, ClosePosition, ConditionalOrder, FillQuery, KlineQuery, NewOrder, Operation, OrderRef,
};
use crate::protocol::Context;
use crate::request::{Access, Method, Request};
use crate::venues::{OrderId, Parameters, json_object, json_text};

/// Stands where the account's address goes; signing fills it in, because only signing sees the credentials.
pub(super) const ACCOUNT_PLACEHOLDER: &str = r#""user":"""#;

/// Significant figures of a price. Whole numbers may have more.
const SIGNIFICANT_FIGURES: u32 = 5;

/// Decimals of a price and of a size together.
const PRICE_AND_SIZE_DECIMALS: u32 = 6;

/// Klines asked for when the caller does not say how many.
const KLINES: u64 = 500;

/// The requests of an operation.
pub(super) fn requests(operation: &Operation, context: &Context<'_>) -> Result<Vec<Request>, RequestError> {
    let parameters = Parameters(operation.name());
    let unsupported = |instead| {
        Err(RequestError::Unsupported {
            venue: Venue::Hyperliquid,
            operation: operation.name(),
            instead,
        })
    };
    let request = match operation {
        Operation::ServerTime(_) => public(r#"{"type":"exchangeStatus"}"#.to_owned()),
        Operation::Instruments(_) => public(r#"{"type":"meta"}"#.to_owned()),
        Operation::Ticker(query) => book(&query.instrument),
        Operation::Book(query) => book(&query.instrument),
        Operation::Trades(_) => return unsupported("subscribe to the stream of trades"),
        Operation::Klines(query) => klines(query, context.timestamp_ms),
        Operation::Mark(_) | Operation::Funding(_) => public(r#"{"type":"metaAndAssetCtxs"}"#.to_owned()),

        // The kind of position stands with each position, so the account's mode is read from the same reply.
        Operation::Balances(_) | Operation::Positions(_) | Operation::AccountMode(_) => {
            of_account("clearinghouseState")
        }
        Operation::SetPositionMode(_) => return unsupported("positions are always one-way: nothing to set"),
        // Documented for the socket; that REST takes the same name is unconfirmed.
        Operation::Leverage(query) => account_read(format!(
            "{{\"type\":\"activeAssetData\",{ACCOUNT_PLACEHOLDER},\"coin\":{}}}",
            json_text(&query.instrument)
        )),
        Operation::SetLeverage(change) => {
            net(change.position_side)?;
            leverage(&change.instrument, change.leverage, change.margin_mode, context)?
        }
        Operation::SetMarginMode(change) => leverage(
            &change.instrument,
            parameters.need("leverage", change.leverage)?,
            change.margin_mode,
            context,
        )?,

        Operation::OpenOrders(_) => of_account("frontendOpenOrders"),
        Operation::Order(order) => order_status(order, &parameters)?,
        Operation::Fills(query) => fills(query),

        Operation::PlaceOrder(order) => orders(&[new_order(order, &parameters, context)?]),
        Operation::PlaceOrders(several) => {
            let list: Result<Vec<_>, _> = several
                .orders
                .iter()
                .map(|order| new_order(order, &parameters, context))
                .collect();
            orders(&not_empty(list?, "orders")?)
        }
        Operation::AmendOrder(change) => amend(change, &parameters, context)?,
        Operation::CancelOrder(order) | Operation::CancelConditionalOrder(order) => {
            cancel(std::slice::from_ref(order), &parameters, context)?
        }
        Operation::CancelOrders(several) => cancel(&several.orders, &parameters, context)?,
        Operation::CancelAllOrders(_) => {
            return unsupported("ask for the open orders and cancel them by id, all in one request");
        }
        Operation::ClosePosition(close) => orders(&[close_order(close, &parameters, context)?]),
        Operation::PlaceConditionalOrder(order) => {
            orders(&[conditional(order, order.reduce_only, &parameters, context)?])
        }
        Operation::PlaceStopLadder(ladder) => {
            let list: Result<Vec<_>, _> = ladder
                .rungs
                .iter()
                .map(|rung| conditional(rung, true, &parameters, context))
                .collect();
            orders(&not_empty(list?, "rungs")?)
        }
        Operation::CancelAllAfter(timer) => {
            let mut members = vec![("type", json_text("scheduleCancel"))];
            if timer.after_ms > 0 {
                members.push((
                    "time",
                    context.timestamp_ms.saturating_add(timer.after_ms).to_string(),
                ));
            }
            action(&members)
        }
        Operation::CreateListenKey(_) | Operation::KeepListenKey(_) | Operation::CloseListenKey(_) => {
            return unsupported("the account's streams need no key");
        }
    };
    Ok(vec![request])
}

fn info(body: String, access: Access) -> Request {
    Request::new(Method::Post, "/info", access).json(body)
}

fn public(body: String) -> Request {
    info(body, Access::Public)
}

fn account_read(body: String) -> Request {
    info(body, Access::KeyOnly)
}

fn of_account(kind: &str) -> Request {
    account_read(format!("{{\"type\":\"{kind}\",{ACCOUNT_PLACEHOLDER}}}"))
}

fn action(members: &[(&str, String)]) -> Request {
    Request::new(Method::Post, EXCHANGE, Access::Signed).json(json_object(members))
}

fn not_empty<T>(list: Vec<T>, parameter: &'static str) -> Result<Vec<T>, RequestError> {
    if list.is_empty() {
        return Err(bad(parameter, "", "at least one"));
    }
    Ok(list)
}

fn bad(parameter: &'static str, value: impl ToString, reason: &'static str) -> RequestError {
    RequestError::BadParameter {
        parameter,
        value: value.to_string(),
        reason,
    }
}

fn book(instrument: &str) -> Request {
    public(json_object(&[
        ("type", json_text("l2Book")),
        ("coin", json_text(instrument)),
    ]))
}

fn klines(query: &KlineQuery, now_ms: u64) -> Request {
    let end = query.end_ms.unwrap_or(now_ms);
    let length = query
        .interval
        .milliseconds()
        .saturating_mul(query.limit.map_or(KLINES, u64::from));
    let start = query.start_ms.unwrap_or_else(|| end.saturating_sub(length));
    public(json_object(&[
        ("type", json_text("candleSnapshot")),
        (
            "req",
            json_object(&[
                ("coin", json_text(&query.instrument)),
                ("interval", json_text(query.interval.name())),
                ("startTime", start.to_string()),
                ("endTime", end.to_string()),
            ]),
        ),
    ]))
}

fn fills(query: &FillQuery) -> Request {
    account_read(match query.start_ms {
        Some(start) => {
            format!("{{{ACCOUNT_PLACEHOLDER},\"type\":\"userFillsByTime\",\"startTime\":{start}}}")
        }
        None => format!("{{{ACCOUNT_PLACEHOLDER},\"type\":\"userFills\"}}"),
    })
}

fn order_status(order: &OrderRef, parameters: &Parameters) -> Result<Request, RequestError> {
    let id = match parameters.need_id(order.order_id.as_ref(), order.client_order_id.as_ref())? {
        OrderId::Venue(id) => order_number(id)?,
        OrderId::Client(id) => client_id(id)?,
    };
    Ok(account_read(format!(
        "{{\"type\":\"orderStatus\",{ACCOUNT_PLACEHOLDER},\"oid\":{id}}}"
    )))
}

fn leverage(
    instrument: &str,
    leverage: Decimal,
    margin_mode: MarginMode,
    context: &Context<'_>,
) -> Result<Request, RequestError> {
    if leverage < Decimal::ONE || !leverage.fract().is_zero() {
        return Err(bad("leverage", leverage, "a whole number from 1 on"));
    }
    Ok(action(&[
        ("type", json_text("updateLeverage")),
        ("asset", asset(context.instruments.get(instrument)?)?.to_string()),
        ("isCross", (margin_mode == MarginMode::Cross).to_string()),
        ("leverage", leverage.trunc().normalize().to_string()),
    ]))
}

fn orders(list: &[String]) -> Request {
    action(&[
        ("type", json_text("order")),
        ("orders", format!("[{}]", list.join(","))),
        ("grouping", json_text("na")),
    ])
}

/// The number by which an order names its market.
fn asset(instrument: &Instrument) -> Result<u32, RequestError> {
    instrument.number.ok_or(RequestError::BadParameter {
        parameter: "instrument",
        value: instrument.instrument.to_string(),
        reason: "its number in the venue's list is not known: load the list",
    })
}

fn net(side: PositionSide) -> Result<(), RequestError> {
    match side {
        PositionSide::Net => Ok(()),
        PositionSide::Long => Err(bad("position_side", "long", "positions are always net here")),
        PositionSide::Short => Err(bad("position_side", "short", "positions are always net here")),
    }
}

/// The venue's id of an order: a whole number.
fn order_number(id: &str) -> Result<String, RequestError> {
    id.parse::<u64>()
        .map(|number| number.to_string())
        .map_err(|_| bad("order_id", id, "a whole number"))
}

/// The owner's id of an order, as JSON.
fn client_id(id: &str) -> Result<String, RequestError> {
    let valid = id
        .strip_prefix("0x")
        .is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if valid {
        Ok(json_text(id))
    } else {
        Err(bad(
            "client_order_id",
            id,
            "0x and 32 hexadecimal digits (16 bytes)",
        ))
    }
}

/// A price on the venue's grid: five significant figures, at most six decimals less those of a size, whole numbers
/// always. A buyer's price is rounded down and a seller's up, so it is never worse than what was asked for.
fn price(
    price: Decimal,
    instrument: &Instrument,
    rounding: RoundingStrategy,
    parameter: &'static str,
) -> Result<String, RequestError> {
    if price <= Decimal::ZERO {
        return Err(bad(parameter, price, "above zero"));
    }
    let decimals = PRICE_AND_SIZE_DECIMALS.saturating_sub(instrument.lot.normalize().scale());
    let whole = price.fract().is_zero();
    let figures = if price >= Decimal::from(10_000) {
        price.round_dp_with_strategy(0, rounding)
    } else {
        price
            .round_sf_with_strategy(SIGNIFICANT_FIGURES, rounding)
            .unwrap_or(price)
    };
    let rounded = if whole {
        price
    } else {
        figures.round_dp_with_strategy(decimals, rounding)
    };
    if rounded.is_zero() {
        return Err(bad(parameter, price, "below the venue's finest price"));
    }
    Ok(rounded.normalize().to_string())
}

const fn in_favour(side: Side) -> RoundingStrategy {
    match side {
        Side::Buy => RoundingStrategy::ToNegativeInfinity,
        Side::Sell => RoundingStrategy::ToPositiveInfinity,
    }
}

fn size(size: Decimal, instrument: &Instrument) -> Result<String, RequestError> {
    let lots = instrument
        .from_base(size, None)
        .filter(|lots| *lots > Decimal::ZERO)
        .ok_or_else(|| bad("size", size, "less than one lot"))?;
    Ok(lots.normalize().to_string())
}

/// One order of an order action.
struct Line<'a> {
    instrument: &'a Instrument,
    side: Side,
    size: Decimal,
    price: Decimal,
    reduce_only: bool,
    kind: String,
    client_order_id: Option<&'a Text>,
}

impl Line<'_> {
    fn json(&self) -> Result<String, RequestError> {
        let mut members = vec![
            ("a", asset(self.instrument)?.to_string()),
            ("b", (self.side == Side::Buy).to_string()),
            (
                "p",
                json_text(&price(
                    self.price,
                    self.instrument,
                    in_favour(self.side),
                    "price",
                )?),
            ),
            ("s", json_text(&size(self.size, self.instrument)?)),
            ("r", self.reduce_only.to_string()),
            ("t", self.kind.clone()),
        ];
        if let Some(id) = self.client_order_id {
            members.push(("c", client_id(id)?));
        }
        Ok(json_object(&members))
    }
}

fn limit(tif: &str) -> String {
    format!("{{\"limit\":{{\"tif\":\"{tif}\"}}}}")
}

fn new_order(
    order: &NewOrder,
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<String, RequestError> {
    net(order.position_side)?;
    let tif = match (order.order_kind, order.time_in_force) {
        (OrderKind::Limit, None | Some(TimeInForce::GoodTilCancelled)) => "Gtc",
        (OrderKind::Limit | OrderKind::Market, Some(TimeInForce::ImmediateOrCancel))
        | (OrderKind::Market, None) => "Ioc",
        (OrderKind::Limit, Some(TimeInForce::PostOnly)) => "Alo",
        (OrderKind::Limit | OrderKind::Market, Some(_)) => {
            return Err(bad(
                "time_in_force",
                format!("{:?}", order.time_in_force),
                "good_til_cancelled, immediate_or_cancel or post_only; a market order is immediate_or_cancel",
            ));
        }
        _ => {
            return Err(bad(
                "order_kind",
                format!("{:?}", order.order_kind),
                "market or limit; triggers are conditional orders",
            ));
        }
    };
    Line {
        instrument: context.instruments.get(&order.instrument)?,
        side: order.side,
        size: order.size,
        // The venue has no market orders: what is sent is a limit order that takes at once, up to this price.
        price: parameters.need("price", order.price)?,
        reduce_only: order.reduce_only,
        kind: limit(tif),
        client_order_id: order.client_order_id.as_ref(),
    }
    .json()
}

fn close_order(
    close: &ClosePosition,
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<String, RequestError> {
    net(close.position_side)?;
    let position = parameters.need("size", close.size)?;
    Line {
        instrument: context.instruments.get(&close.instrument)?,
        side: if position.is_sign_negative() {
            Side::Buy
        } else {
            Side::Sell
        },
        size: position.abs(),
        price: parameters.need("price", close.price)?,
        reduce_only: true,
        kind: limit("Ioc"),
        client_order_id: close.client_order_id.as_ref(),
    }
    .json()
}

fn conditional(
    order: &ConditionalOrder,
    reduce_only: bool,
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<String, RequestError> {
    net(order.position_side)?;
    let (is_market, purpose) = match order.order_kind {
        OrderKind::StopMarket => (true, "sl"),
        OrderKind::StopLimit => (false, "sl"),
        OrderKind::TakeProfitMarket => (true, "tp"),
        OrderKind::TakeProfitLimit => (false, "tp"),
        other => {
            return Err(bad(
                "order_kind",
                format!("{other:?}"),
                "a stop or a take-profit; the venue has no trailing stop",
            ));
        }
    };
    // The venue's triggers watch its mark price and nothing else. `last` is the model's default, so it is taken to mean
    // the venue's own.
    if order.trigger_by == TriggerPrice::Index {
        return Err(bad("trigger_by", "index", "triggers watch the mark price here"));
    }
    let instrument = context.instruments.get(&order.instrument)?;
    let trigger = price(
        order.trigger_price,
        instrument,
        RoundingStrategy::MidpointAwayFromZero,
        "trigger_price",
    )?;
    Line {
        instrument,
        side: order.side,
        size: order.size,
        price: parameters.need("price", order.price)?,
        reduce_only,
        kind: format!(
            "{{\"trigger\":{{\"isMarket\":{is_market},\"triggerPx\":\"{trigger}\",\"tpsl\":\"{purpose}\"}}}}"
        ),
        client_order_id: order.client_order_id.as_ref(),
    }
    .json()
}

/// The venue replaces the order: it wants everything the order has, and gives it a new id. It rests until cancelled:
/// the operation does not say how the old one rested.
fn amend(
    change: &AmendOrder,
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<Request, RequestError> {
    let id = match parameters.need_id(change.order_id.as_ref(), change.client_order_id.as_ref())? {
        OrderId::Venue(id) => order_number(id)?,
        OrderId::Client(id) => client_id(id)?,
    };
    let line = Line {
        instrument: context.instruments.get(&change.instrument)?,
        side: parameters.need("side", change.side)?,
        size: parameters.need("size", change.size)?,
        price: parameters.need("price", change.price)?,
        reduce_only: change.reduce_only,
        kind: limit("Gtc"),
        client_order_id: change.client_order_id.as_ref(),
    };
    Ok(action(&[
        ("type", json_text("batchModify")),
        (
            "modifies",
            format!("[{{\"oid\":{id},\"order\":{}}}]", line.json()?),
        ),
    ]))
}

/// One action cancels several, but by one kind of id.
fn cancel(
    list: &[OrderRef],
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<Request, RequestError> {
    let mut by_number = Vec::new();
    let mut by_client_id = Vec::new();
    for order in list {
        let asset = asset(context.instruments.get(&order.instrument)?)?;
        match parameters.need_id(order.order_id.as_ref(), order.client_order_id.as_ref())? {
            OrderId::Venue(id) => by_number.push(format!("{{\"a\":{asset},\"o\":{}}}", order_number(id)?)),
            OrderId::Client(id) => {
                by_client_id.push(format!("{{\"asset\":{asset},\"cloid\":{}}}", client_id(id)?));
            }
        }
    }
    let (kind, cancels) = match (by_number.is_empty(), by_client_id.is_empty()) {
        (false, true) => ("cancel", by_number),
        (true, false) => ("cancelByCloid", by_client_id),
        (true, true) => return Err(bad("orders", "", "at least one")),
        (false, false) => {
            return Err(bad(
                "orders",
                "both kinds of ids",
                "all by the venue's id, or all by the owner's",
            ));
        }
    };
    Ok(action(&[
        ("type", json_text(kind)),
        ("cancels", format!("[{}]", cancels.join(","))),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venues::hyperliquid::instruments::known;

    fn body(json: &str) -> Result<String, RequestError> {
        let operation: Operation = serde_json::from_str(json).unwrap();
        let instruments = known();
        let context = Context {
            instruments: &instruments,
            timestamp_ms: 1_700_000_000_000,
        };
        requests(&operation, &context).map(|mut list| {
            assert_eq!(list.len(), 1);
            list.remove(0).body
        })
    }

    fn place(parameters: &str) -> Result<String, RequestError> {
        body(&format!(
            "{{\"operation\":\"place_order\",\"parameters\":{{\"instrument\":\"ETH\",\"side\":\"buy\",{parameters}}}}}"
        ))
    }

    #[test]
    fn an_order_is_written_in_the_order_that_is_signed() {
        assert_eq!(
            place(r#""size":"0.01479","order_kind":"limit","price":"1670.1","time_in_force":"immediate_or_cancel""#)
                .unwrap(),
            r#"{"type":"order","orders":[{"a":1,"b":true,"p":"1670.1","s":"0.0147","r":false,"t":{"limit":{"tif":"Ioc"}}}],"grouping":"na"}"#
        );
    }

    #[test]
    fn prices_are_put_on_the_grid_never_to_the_owners_loss() {
        let instruments = known();
        let of = |name: &str, side: Side, value: &str| {
            price(
                value.parse().unwrap(),
                instruments.get(name).unwrap(),
                in_favour(side),
                "price",
            )
            .unwrap()
        };
        assert_eq!(of("ETH", Side::Buy, "1670.19"), "1670.1");
        assert_eq!(of("ETH", Side::Sell, "1670.11"), "1670.2");
        assert_eq!(of("BTC", Side::Buy, "123456"), "123456");
        assert_eq!(of("BTC", Side::Buy, "123456.7"), "123456");
        assert_eq!(of("BTC", Side::Sell, "12345.6"), "12346");
        assert_eq!(of("DOGE", Side::Buy, "0.1234567"), "0.12345");
        assert_eq!(of("DOGE", Side::Buy, "0.00123456"), "0.001234");
        assert_eq!(of("ETH", Side::Buy, "100.0"), "100");
    }

    #[test]
    fn what_the_venue_lacks_is_refused_with_a_reason() {
        assert!(matches!(
            place(r#""size":"1""#),
            Err(RequestError::MissingParameter {
                parameter: "price",
                ..
            })
        ));
        assert!(matches!(
            place(r#""size":"1","price":"100","order_kind":"limit","time_in_force":"fill_or_kill""#),
            Err(RequestError::BadParameter {
                parameter: "time_in_force",
                ..
            })
        ));
        assert!(matches!(
            place(r#""size":"1","price":"100","position_side":"long""#),
            Err(RequestError::BadParameter {
                parameter: "position_side",
                ..
            })
        ));
        assert!(matches!(
            place(r#""size":"0.00001","price":"100""#),
            Err(RequestError::BadParameter {
                parameter: "size",
                ..
            })
        ));
        assert!(matches!(
            place(r#""size":"1","price":"100","client_order_id":"0x12""#),
            Err(RequestError::BadParameter {
                parameter: "client_order_id",
                ..
            })
        ));
        for name in ["cancel_all_orders", "create_listen_key"] {
            assert!(matches!(
                body(&format!("{{\"operation\":\"{name}\",\"parameters\":{{}}}}")),
                Err(RequestError::Unsupported { .. })
            ));
        }
    }

    #[test]
    fn a_position_is_closed_by_the_opposite_side() {
        let closed = body(
            r#"{"operation":"close_position","parameters":{"instrument":"SOL","size":"-2.5","price":"110"}}"#,
        )
        .unwrap();
        assert!(
            closed.contains(r#""b":true,"p":"110","s":"2.5","r":true"#),
            "{closed}"
        );
    }

    #[test]
    fn a_ladder_is_one_action_and_every_rung_reduces() {
        let ladder = body(
            r#"{"operation":"place_stop_ladder","parameters":{"rungs":[
                {"instrument":"SOL","side":"sell","size":"1","order_kind":"stop_market","trigger_price":"90","price":"85"},
                {"instrument":"SOL","side":"sell","size":"1","order_kind":"stop_market","trigger_price":"80","price":"75"}]}}"#,
        )
        .unwrap();
        assert_eq!(ladder.matches(r#""r":true"#).count(), 2, "{ladder}");
        assert_eq!(ladder.matches(r#""tpsl":"sl""#).count(), 2);
    }

    #[test]
    fn ids_of_both_kinds_do_not_mix() {
        let both = r#"{"operation":"cancel_orders","parameters":{"orders":[
            {"instrument":"SOL","order_id":"1"},
            {"instrument":"SOL","client_order_id":"0x00000000000000000000000000000001"}]}}"#;
        assert!(body(both).is_err());
        assert_eq!(
            body(r#"{"operation":"cancel_order","parameters":{"instrument":"SOL","order_id":"7"}}"#).unwrap(),
            r#"{"type":"cancel","cancels":[{"a":5,"o":7}]}"#
        );
    }
}
