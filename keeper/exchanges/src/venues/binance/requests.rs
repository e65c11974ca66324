//! Operations in the venue's words. The order of the parameters is the order on the wire.

use super::sign::RECEIVE_WINDOW_MS;
use super::words;
use crate::error::RequestError;
use crate::model::{
    Decimal, MarginMode, OrderKind, PositionMode, PositionSide, Side, Text, TimeInForce, TriggerPrice,
};
use crate::operation::{AmendOrder, ClosePosition, ConditionalOrder, NewOrder, Operation, OrderRef};
use crate::protocol::Context;
use crate::request::{Access, Method, Request};
use crate::venues::{OrderId, Parameters, json_object, json_text};

/// Orders in one batch.
const BATCH: usize = 5;
/// Cancellations in one batch.
const CANCEL_BATCH: usize = 10;
/// Depths the venue has.
const DEPTHS: [u32; 7] = [5, 10, 20, 50, 100, 500, 1000];
/// How far a query of fills reaches from its start, milliseconds: seven days, the most the venue gives.
const FILLS_WINDOW_MS: u64 = 7 * 24 * 3_600_000;
/// Klines the venue gives when none are asked for.
const KLINES: u32 = 500;

pub(super) fn requests(operation: &Operation, context: &Context<'_>) -> Result<Vec<Request>, RequestError> {
    let parameters = Parameters(operation.name());
    let one = |request| Ok(vec![request]);
    match operation {
        Operation::ServerTime(_) => one(public("/fapi/v1/time")),
        Operation::Instruments(_) => one(public("/fapi/v1/exchangeInfo")),
        Operation::Ticker(query) => {
            one(public("/fapi/v1/ticker/bookTicker").with("symbol", symbol(&query.instrument)?))
        }
        Operation::Book(query) => one(public("/fapi/v1/depth")
            .with("symbol", symbol(&query.instrument)?)
            .with_some("limit", query.depth.map(|depth| depth_word(depth).to_string()))),
        Operation::Trades(query) => {
            one(public("/fapi/v1/aggTrades").with("symbol", symbol(&query.instrument)?))
        }
        Operation::Klines(query) => one(public("/fapi/v1/klines")
            .with("interval", query.interval.name())
            .with("limit", query.limit.unwrap_or(KLINES).to_string())
            .with("symbol", symbol(&query.instrument)?)
            .with_some("startTime", query.start_ms.map(|start| start.to_string()))
            .with_some("endTime", query.end_ms.map(|end| end.to_string()))),
        Operation::Mark(query) | Operation::Funding(query) => {
            one(public("/fapi/v1/premiumIndex").with("symbol", symbol(&query.instrument)?))
        }

        Operation::Balances(_) => one(signed(Method::Get, "/fapi/v3/account")),
        Operation::Positions(query) => one(signed(Method::Get, "/fapi/v3/positionRisk")
            .with_some("symbol", some_symbol(query.instrument.as_ref())?)),
        Operation::AccountMode(_) => one(signed(Method::Get, "/fapi/v1/positionSide/dual")),
        Operation::SetPositionMode(set) => one(signed(Method::Post, "/fapi/v1/positionSide/dual").with(
            "dualSidePosition",
            (set.position_mode == PositionMode::Hedge).to_string(),
        )),
        Operation::Leverage(query) => {
            one(signed(Method::Get, "/fapi/v1/symbolConfig").with("symbol", symbol(&query.instrument)?))
        }
        Operation::SetLeverage(set) => one(signed(Method::Post, "/fapi/v1/leverage")
            .with("symbol", symbol(&set.instrument)?)
            .with("leverage", leverage(set.leverage)?)),
        Operation::SetMarginMode(set) => one(signed(Method::Post, "/fapi/v1/marginType")
            .with("symbol", symbol(&set.instrument)?)
            .with(
                "marginType",
                match set.margin_mode {
                    MarginMode::Cross => "CROSSED",
                    MarginMode::Isolated => "ISOLATED",
                },
            )),

        Operation::OpenOrders(query) => one(signed(Method::Get, "/fapi/v1/openOrders")
            .with_some("symbol", some_symbol(query.instrument.as_ref())?)),
        Operation::Order(order) => one(by_id(
            signed(Method::Get, "/fapi/v1/order"),
            order,
            &parameters,
            &BOOK,
        )?),
        Operation::Fills(query) => {
            let instrument = parameters.need("instrument", query.instrument.as_ref())?;
            one(signed(Method::Get, "/fapi/v1/userTrades")
                .with("symbol", symbol(instrument)?)
                .with_some("startTime", query.start_ms.map(|start| start.to_string()))
                .with_some(
                    "endTime",
                    query
                        .start_ms
                        .map(|start| start.saturating_add(FILLS_WINDOW_MS).to_string()),
                )
                .with_some("limit", query.limit.map(|limit| limit.to_string())))
        }

        Operation::PlaceOrder(order) => {
            let pairs = order_pairs(order, context, &parameters)?;
            one(with_pairs(signed(Method::Post, "/fapi/v1/order"), pairs))
        }
        Operation::PlaceOrders(orders) => some(&orders.orders, "orders")?
            .chunks(BATCH)
            .map(|chunk| {
                let list = chunk
                    .iter()
                    .map(|order| Ok(json_members(&order_pairs(order, context, &parameters)?)))
                    .collect::<Result<Vec<_>, RequestError>>()?;
                Ok(signed(Method::Post, "/fapi/v1/batchOrders")
                    .with("batchOrders", format!("[{}]", list.join(","))))
            })
            .collect(),
        Operation::AmendOrder(amend) => one(amend_order(amend, context, &parameters)?),
        Operation::CancelOrder(order) => one(by_id(
            signed(Method::Delete, "/fapi/v1/order"),
            order,
            &parameters,
            &BOOK,
        )?),
        Operation::CancelOrders(orders) => cancel_orders(some(&orders.orders, "orders")?, &parameters),
        Operation::CancelAllOrders(query) => {
            let instrument = parameters.need("instrument", query.instrument.as_ref())?;
            one(signed(Method::Delete, "/fapi/v1/allOpenOrders").with("symbol", symbol(instrument)?))
        }
        Operation::ClosePosition(close) => {
            let order = closing_order(close, &parameters)?;
            let pairs = order_pairs(&order, context, &parameters)?;
            one(with_pairs(signed(Method::Post, "/fapi/v1/order"), pairs))
        }
        Operation::PlaceConditionalOrder(order) => {
            one(conditional_order(order, order.reduce_only, context, &parameters)?)
        }
        Operation::CancelConditionalOrder(order) => one(by_id(
            signed(Method::Delete, "/fapi/v1/algoOrder"),
            order,
            &parameters,
            &ALGO,
        )?),
        // No batch of conditional orders: one request per rung, in their order.
        Operation::PlaceStopLadder(ladder) => some(&ladder.rungs, "rungs")?
            .iter()
            .map(|rung| conditional_order(rung, true, context, &parameters))
            .collect(),
        Operation::CancelAllAfter(after) => {
            let instrument = parameters.need("instrument", after.instrument.as_ref())?;
            one(signed(Method::Post, "/fapi/v1/countdownCancelAll")
                .with("symbol", symbol(instrument)?)
                .with("countdownTime", after.after_ms.to_string()))
        }

        Operation::CreateListenKey(_) => one(listen_key(Method::Post)),
        Operation::KeepListenKey(_) => one(listen_key(Method::Put)),
        Operation::CloseListenKey(_) => one(listen_key(Method::Delete)),
    }
}

fn public(path: &str) -> Request {
    Request::new(Method::Get, path, Access::Public)
}

fn signed(method: Method, path: &str) -> Request {
    Request::new(method, path, Access::Signed)
}

fn listen_key(method: Method) -> Request {
    Request::new(method, "/fapi/v1/listenKey", Access::KeyOnly)
}

fn some<'a, T>(list: &'a [T], parameter: &'static str) -> Result<&'a [T], RequestError> {
    if list.is_empty() {
        return Err(RequestError::BadParameter {
            parameter,
            value: "[]".to_owned(),
            reason: "at least one",
        });
    }
    Ok(list)
}

/// A symbol. Some are written in other alphabets, but none has a character that means something in a query.
fn symbol(instrument: &Text) -> Result<String, RequestError> {
    let bad = |reason| RequestError::BadParameter {
        parameter: "instrument",
        value: instrument.to_string(),
        reason,
    };
    if words::supported(instrument).is_err() {
        return Err(bad("only USDⓈ-M futures are supported: BTCUSDT, ETHUSDC"));
    }
    if !instrument
        .chars()
        .all(|character| character.is_alphanumeric() || character == '_')
    {
        return Err(bad("letters, digits and _"));
    }
    Ok(instrument.to_string())
}

fn some_symbol(instrument: Option<&Text>) -> Result<Option<String>, RequestError> {
    instrument.map(symbol).transpose()
}

/// The next depth the venue has.
fn depth_word(depth: u32) -> u32 {
    DEPTHS.into_iter().find(|known| *known >= depth).unwrap_or(1000)
}

fn leverage(leverage: Decimal) -> Result<String, RequestError> {
    let bad = leverage < Decimal::ONE || leverage > Decimal::from(125) || !leverage.fract().is_zero();
    if bad {
        return Err(RequestError::BadParameter {
            parameter: "leverage",
            value: leverage.to_string(),
            reason: "a whole number from 1 to 125",
        });
    }
    Ok(leverage.normalize().to_string())
}

fn positive(value: Decimal, parameter: &'static str) -> Result<Decimal, RequestError> {
    if value <= Decimal::ZERO {
        return Err(RequestError::BadParameter {
            parameter,
            value: value.to_string(),
            reason: "more than zero",
        });
    }
    Ok(value)
}

/// The size as the venue takes it: base units, rounded down to the lot where the instrument is known.
fn quantity(instrument: &Text, size: Decimal, context: &Context<'_>) -> Result<String, RequestError> {
    let size = positive(size, "size")?;
    let rounded = match context.instruments.get(instrument) {
        Ok(instrument) => instrument.round_to_lot(size),
        Err(_) => size,
    };
    if rounded.is_zero() {
        return Err(RequestError::BadParameter {
            parameter: "size",
            value: size.to_string(),
            reason: "less than the instrument's smallest step",
        });
    }
    Ok(rounded.normalize().to_string())
}

fn price(price: Option<Decimal>, parameters: &Parameters) -> Result<String, RequestError> {
    let price = parameters.need("price", price)?;
    Ok(positive(price, "price")?.normalize().to_string())
}

/// A pair of an order: its value, and whether JSON writes that without quotes.
type Pair = (&'static str, String, bool);

fn text(name: &'static str, value: impl Into<String>) -> Pair {
    (name, value.into(), false)
}

fn with_pairs(request: Request, pairs: Vec<Pair>) -> Request {
    pairs
        .into_iter()
        .fold(request, |request, (name, value, _)| request.with(name, value))
}

fn json_members(pairs: &[Pair]) -> String {
    let members: Vec<(&str, String)> = pairs
        .iter()
        .map(|(name, value, bare)| (*name, if *bare { value.clone() } else { json_text(value) }))
        .collect();
    json_object(&members)
}

/// How an order says which position it is for and that it may only reduce it. In one-way mode by `reduceOnly`. In hedge
/// mode the venue refuses that mark: an order against the side of a position can only reduce it, one along it cannot be
/// reduce-only.
fn position_pair(
    side: Side,
    position_side: PositionSide,
    reduce_only: bool,
) -> Result<Option<Pair>, RequestError> {
    let (word, opens) = match position_side {
        PositionSide::Net if reduce_only => return Ok(Some(("reduceOnly", "true".to_owned(), true))),
        PositionSide::Net => return Ok(None),
        PositionSide::Long => ("LONG", side == Side::Buy),
        PositionSide::Short => ("SHORT", side == Side::Sell),
    };
    if reduce_only && opens {
        return Err(RequestError::BadParameter {
            parameter: "reduce_only",
            value: format!("{} {word}", words::side_word(side)),
            reason: "this order would open: sell to reduce a long position, buy to reduce a short one",
        });
    }
    Ok(Some(text("positionSide", word)))
}

fn order_pairs(
    order: &NewOrder,
    context: &Context<'_>,
    parameters: &Parameters,
) -> Result<Vec<Pair>, RequestError> {
    let mut pairs = vec![
        text("symbol", symbol(&order.instrument)?),
        text("side", words::side_word(order.side)),
    ];
    if let Some(id) = &order.client_order_id {
        pairs.push(text("newClientOrderId", words::client_id(id)?));
    }
    pairs.push(text("newOrderRespType", "RESULT"));
    let size = quantity(&order.instrument, order.size, context)?;
    match order.order_kind {
        OrderKind::Market => {
            // A market order is immediate or cancelled by itself; the venue takes no such mark.
            if let Some(time_in_force) = order
                .time_in_force
                .filter(|time_in_force| *time_in_force != TimeInForce::ImmediateOrCancel)
            {
                return Err(RequestError::BadParameter {
                    parameter: "time_in_force",
                    value: format!("{time_in_force:?}"),
                    reason: "a market order has none",
                });
            }
            pairs.extend([text("type", "MARKET"), text("quantity", size)]);
        }
        OrderKind::Limit => pairs.extend([
            text("type", "LIMIT"),
            text("quantity", size),
            text("price", price(order.price, parameters)?),
            text(
                "timeInForce",
                time_in_force(order.time_in_force.unwrap_or_default())?,
            ),
        ]),
        other => {
            return Err(RequestError::BadParameter {
                parameter: "order_kind",
                value: format!("{other:?}"),
                reason: "market or limit; what waits for a trigger is place_conditional_order",
            });
        }
    }
    pairs.extend(position_pair(order.side, order.position_side, order.reduce_only)?);
    Ok(pairs)
}

fn time_in_force(time_in_force: TimeInForce) -> Result<&'static str, RequestError> {
    match time_in_force {
        TimeInForce::GoodTilCancelled => Ok("GTC"),
        TimeInForce::ImmediateOrCancel => Ok("IOC"),
        TimeInForce::FillOrKill => Ok("FOK"),
        TimeInForce::PostOnly => Ok("GTX"),
        TimeInForce::GoodTilDate => Err(RequestError::BadParameter {
            parameter: "time_in_force",
            value: "good_til_date".to_owned(),
            reason: "an order of this model has no date",
        }),
    }
}

/// The order that closes a position: there is no request for it.
fn closing_order(close: &ClosePosition, parameters: &Parameters) -> Result<NewOrder, RequestError> {
    let size = parameters.need("size", close.size)?;
    let side = if size > Decimal::ZERO {
        Side::Sell
    } else {
        Side::Buy
    };
    Ok(NewOrder {
        instrument: close.instrument.clone(),
        side,
        size: size.abs(),
        order_kind: OrderKind::Market,
        price: None,
        time_in_force: None,
        reduce_only: true,
        position_side: close.position_side,
        margin_mode: close.margin_mode,
        leverage: None,
        client_order_id: close.client_order_id.clone(),
    })
}

/// Conditional orders have an interface of their own; the one for orders refuses them.
fn conditional_order(
    order: &ConditionalOrder,
    reduce_only: bool,
    context: &Context<'_>,
    parameters: &Parameters,
) -> Result<Request, RequestError> {
    let (kind, is_limit) = match order.order_kind {
        OrderKind::StopMarket => ("STOP_MARKET", false),
        OrderKind::StopLimit => ("STOP", true),
        OrderKind::TakeProfitMarket => ("TAKE_PROFIT_MARKET", false),
        OrderKind::TakeProfitLimit => ("TAKE_PROFIT", true),
        other => {
            return Err(RequestError::BadParameter {
                parameter: "order_kind",
                value: format!("{other:?}"),
                reason: "one of the stop and take-profit kinds",
            });
        }
    };
    let mut pairs = vec![
        text("symbol", symbol(&order.instrument)?),
        text("side", words::side_word(order.side)),
    ];
    if let Some(id) = &order.client_order_id {
        pairs.push(text("clientAlgoId", words::client_id(id)?));
    }
    pairs.extend([
        text("newOrderRespType", "RESULT"),
        text("type", kind),
        text("quantity", quantity(&order.instrument, order.size, context)?),
    ]);
    if is_limit {
        pairs.push(text("price", price(order.price, parameters)?));
    }
    pairs.push(text(
        "triggerPrice",
        positive(order.trigger_price, "trigger_price")?
            .normalize()
            .to_string(),
    ));
    pairs.extend(position_pair(order.side, order.position_side, reduce_only)?);
    match order.trigger_by {
        // The venue's default.
        TriggerPrice::Last => {}
        TriggerPrice::Mark => pairs.push(text("workingType", "MARK_PRICE")),
        TriggerPrice::Index => {
            return Err(RequestError::BadParameter {
                parameter: "trigger_by",
                value: "index".to_owned(),
                reason: "last or mark",
            });
        }
    }
    pairs.push(text("algoType", "CONDITIONAL"));
    Ok(with_pairs(signed(Method::Post, "/fapi/v1/algoOrder"), pairs))
}

/// What an interface calls the ids of its orders.
struct IdNames {
    venue: &'static str,
    client: &'static str,
}

const BOOK: IdNames = IdNames {
    venue: "orderId",
    client: "origClientOrderId",
};
const ALGO: IdNames = IdNames {
    venue: "algoId",
    client: "clientAlgoId",
};

fn by_id(
    request: Request,
    order: &OrderRef,
    parameters: &Parameters,
    names: &IdNames,
) -> Result<Request, RequestError> {
    let request = request.with("symbol", symbol(&order.instrument)?);
    Ok(
        match parameters.need_id(order.order_id.as_ref(), order.client_order_id.as_ref())? {
            OrderId::Venue(id) => request.with(names.venue, venue_id(id)?),
            OrderId::Client(id) => request.with(names.client, id),
        },
    )
}

/// The venue's ids are whole numbers.
fn venue_id(id: &str) -> Result<String, RequestError> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RequestError::BadParameter {
            parameter: "order_id",
            value: id.to_owned(),
            reason: "a whole number; the owner's ids are client_order_id",
        });
    }
    Ok(id.to_owned())
}

/// Only limit orders. The venue wants the side, the size and the price, also of what does not change.
fn amend_order(
    amend: &AmendOrder,
    context: &Context<'_>,
    parameters: &Parameters,
) -> Result<Request, RequestError> {
    let side = parameters.need("side", amend.side)?;
    let size = parameters.need("size", amend.size)?;
    let id = parameters.need_id(amend.order_id.as_ref(), amend.client_order_id.as_ref())?;
    let mut request = signed(Method::Put, "/fapi/v1/order")
        .with("symbol", symbol(&amend.instrument)?)
        .with("side", words::side_word(side));
    if let OrderId::Venue(id) = id {
        request = request.with("orderId", venue_id(id)?);
    }
    request = request
        .with("quantity", quantity(&amend.instrument, size, context)?)
        .with("price", price(amend.price, parameters)?);
    if let OrderId::Client(id) = id {
        request = request.with("origClientOrderId", id);
    }
    Ok(request)
}

/// Batches are of one symbol and of one kind of id.
fn cancel_orders(orders: &[OrderRef], parameters: &Parameters) -> Result<Vec<Request>, RequestError> {
    let mut requests = Vec::new();
    let mut rest = orders;
    while let Some(first) = rest.first() {
        let by_venue_id = first.order_id.is_some();
        let same = rest
            .iter()
            .take(CANCEL_BATCH)
            .take_while(|order| {
                order.instrument == first.instrument && order.order_id.is_some() == by_venue_id
            })
            .count();
        let (batch, later) = rest.split_at(same);
        rest = later;
        let ids = batch
            .iter()
            .map(|order| {
                Ok(
                    match parameters.need_id(order.order_id.as_ref(), order.client_order_id.as_ref())? {
                        OrderId::Venue(id) => venue_id(id)?,
                        OrderId::Client(id) => json_text(id),
                    },
                )
            })
            .collect::<Result<Vec<_>, RequestError>>()?;
        // Spelt in lower case and behind the window, as ccxt does: which other spelling the venue takes is unconfirmed.
        let name = if by_venue_id {
            "orderidlist"
        } else {
            "origclientorderidlist"
        };
        requests.push(
            signed(Method::Delete, "/fapi/v1/batchOrders")
                .with("symbol", symbol(&first.instrument)?)
                .with("recvWindow", RECEIVE_WINDOW_MS)
                .with(name, format!("[{}]", ids.join(","))),
        );
    }
    Ok(requests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venues::binance::instruments::known;
    use serde_json::{Value, json};

    fn ask(operation: &str, parameters: Value) -> Result<Vec<Request>, RequestError> {
        let instruments = known();
        let operation: Operation =
            serde_json::from_value(json!({"operation": operation, "parameters": parameters})).unwrap();
        let context = Context {
            instruments: &instruments,
            timestamp_ms: 1,
        };
        requests(&operation, &context)
    }

    fn query(request: &Request) -> String {
        crate::request::raw_query_string(&request.query)
    }

    fn order(more: Value) -> Value {
        let mut order = json!({"instrument": "BTCUSDT", "side": "sell", "size": "0.0029"});
        for (name, value) in more.as_object().unwrap() {
            order[name] = value.clone();
        }
        order
    }

    #[test]
    fn sizes_are_rounded_down_to_the_lot_and_never_to_nothing() {
        let asked = ask("place_order", order(json!({}))).unwrap();
        assert_eq!(
            query(&asked[0]),
            "symbol=BTCUSDT&side=SELL&newOrderRespType=RESULT&type=MARKET&quantity=0.002"
        );
        for size in ["0.0009", "0", "-1"] {
            assert!(matches!(
                ask("place_order", order(json!({"size": size}))),
                Err(RequestError::BadParameter {
                    parameter: "size",
                    ..
                })
            ));
        }
        let unknown = ask("place_order", order(json!({"instrument": "NEWUSDT"}))).unwrap();
        assert!(query(&unknown[0]).ends_with("quantity=0.0029"));
    }

    #[test]
    fn in_hedge_mode_the_position_is_named_and_never_reduce_only() {
        let asked = ask(
            "place_order",
            order(json!({"position_side": "long", "reduce_only": true})),
        )
        .unwrap();
        assert!(query(&asked[0]).ends_with("quantity=0.002&positionSide=LONG"));
        // Selling a short position opens it: it cannot be reduce-only.
        assert!(
            ask(
                "place_order",
                order(json!({"position_side": "short", "reduce_only": true}))
            )
            .is_err()
        );
        let asked = ask("place_order", order(json!({"reduce_only": true}))).unwrap();
        assert!(query(&asked[0]).ends_with("quantity=0.002&reduceOnly=true"));
    }

    #[test]
    fn a_position_is_closed_by_an_order_against_it() {
        let close = |more: Value| {
            let mut close = json!({"instrument": "BTCUSDT", "size": "-0.01"});
            for (name, value) in more.as_object().unwrap() {
                close[name] = value.clone();
            }
            ask("close_position", close)
        };
        assert_eq!(
            query(&close(json!({})).unwrap()[0]),
            "symbol=BTCUSDT&side=BUY&newOrderRespType=RESULT&type=MARKET&quantity=0.01&reduceOnly=true"
        );
        assert!(
            query(&close(json!({"position_side": "short"})).unwrap()[0]).ends_with("&positionSide=SHORT")
        );
        // A short position with the size of a long one.
        assert!(close(json!({"position_side": "long"})).is_err());
        assert!(matches!(
            ask("close_position", json!({"instrument": "BTCUSDT"})),
            Err(RequestError::MissingParameter {
                parameter: "size",
                ..
            })
        ));
    }

    #[test]
    fn what_the_venue_cannot_take_is_refused_here() {
        for wrong in [
            json!({"order_kind": "limit"}),
            json!({"order_kind": "limit", "price": "0"}),
            json!({"order_kind": "stop_market"}),
            json!({"time_in_force": "post_only"}),
            json!({"order_kind": "limit", "price": "1", "time_in_force": "good_til_date"}),
            json!({"client_order_id": "a b"}),
            json!({"client_order_id": "autoclose-1"}),
            json!({"instrument": "BTCUSD_PERP"}),
            json!({"instrument": "BTC&side=BUY"}),
        ] {
            assert!(ask("place_order", order(wrong.clone())).is_err(), "{wrong}");
        }
        assert!(ask("cancel_order", json!({"instrument": "BTCUSDT"})).is_err());
        assert!(ask("cancel_order", json!({"instrument": "BTCUSDT", "order_id": "a"})).is_err());
        assert!(ask("cancel_all_orders", json!({})).is_err());
        assert!(ask("fills", json!({})).is_err());
        for leverage in ["0", "126", "1.5"] {
            assert!(
                ask(
                    "set_leverage",
                    json!({"instrument": "BTCUSDT", "leverage": leverage})
                )
                .is_err(),
                "{leverage}"
            );
        }
    }

    #[test]
    fn batches_are_cut_to_what_the_venue_takes() {
        let orders: Vec<Value> = (0..7).map(|_| order(json!({}))).collect();
        let asked = ask("place_orders", json!({"orders": orders})).unwrap();
        assert_eq!(asked.len(), 2);
        assert!(ask("place_orders", json!({"orders": []})).is_err());

        let mut ids: Vec<Value> = (0..11)
            .map(|id| json!({"instrument": "BTCUSDT", "order_id": id.to_string()}))
            .collect();
        ids.push(json!({"instrument": "BTCUSDT", "client_order_id": "a"}));
        ids.push(json!({"instrument": "ETHUSDT", "client_order_id": "b"}));
        let asked = ask("cancel_orders", json!({"orders": ids})).unwrap();
        assert_eq!(
            asked.iter().skip(1).map(query).collect::<Vec<_>>(),
            [
                "symbol=BTCUSDT&recvWindow=10000&orderidlist=[10]",
                "symbol=BTCUSDT&recvWindow=10000&origclientorderidlist=[\"a\"]",
                "symbol=ETHUSDT&recvWindow=10000&origclientorderidlist=[\"b\"]",
            ]
        );
    }

    #[test]
    fn every_rung_of_a_ladder_only_reduces() {
        let rung = |price: &str| {
            json!({"instrument": "BTCUSDT", "side": "sell", "size": "0.001", "order_kind": "stop_market",
                   "trigger_price": price, "trigger_by": "mark"})
        };
        let asked = ask(
            "place_stop_ladder",
            json!({"rungs": [rung("40000"), rung("39000")]}),
        )
        .unwrap();
        assert_eq!(asked.len(), 2);
        assert_eq!(
            query(&asked[1]),
            "symbol=BTCUSDT&side=SELL&newOrderRespType=RESULT&type=STOP_MARKET&quantity=0.001\
             &triggerPrice=39000&reduceOnly=true&workingType=MARK_PRICE&algoType=CONDITIONAL"
        );
        let mut by_index = rung("1");
        by_index["trigger_by"] = "index".into();
        assert!(ask("place_conditional_order", by_index).is_err());
    }

    #[test]
    fn the_next_depth_is_asked_for() {
        assert_eq!(
            [1, 5, 6, 100, 101, 5000].map(depth_word),
            [5, 5, 10, 100, 500, 1000]
        );
    }
}
