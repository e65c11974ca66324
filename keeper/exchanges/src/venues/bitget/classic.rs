//! Operations in the words of the older interface, v2, for classic accounts. The members stand in the order in which ccxt
//! sends them.

use super::requests::{
    Made, batch, close_as_order, get, instrument, one, opens, post, price, public, size, unsupported,
};
use super::words::{self, MARGIN_COIN, PRODUCT};
use crate::error::RequestError;
use crate::model::{MarginMode, OrderKind, PositionSide};
use crate::operation::{
    AmendOrder, ClosePosition, ConditionalOrder, KlineQuery, NewOrder, Operation, OrderRef, OrderRefs, Orders,
};
use crate::protocol::Context;
use crate::request::Request;
use crate::venues::{OrderId, Parameters, json_object, json_text};

/// Orders that may be sent or cancelled in one request.
const BATCH: usize = 50;

/// Longest owner's id.
const CLIENT_ID: usize = 50;

/// Klines of one page, when none is asked for.
const KLINES: u32 = 1000;
/// The same, from the history.
const OLD_KLINES: u32 = 200;

/// The account answers about one instrument at a time; whether it is in one-way or hedge mode it says with any of them.
const PROBE: &str = "BTCUSDT";

/// The word for an order made once the trigger is reached, and of stops and take-profits for a part of a position. Those
/// for a whole position (`pos_loss`, `pos_profit`) exist once per position: a second one replaces the first.
const PLAN: &str = "normal_plan";
const STOP_PLAN: &str = "loss_plan";
const PROFIT_PLAN: &str = "profit_plan";

/// Puts an operation into the words of v2.
pub(super) fn requests(operation: &Operation, context: &Context<'_>) -> Made {
    let name = operation.name();
    match operation {
        Operation::Balances(_) => one(get("/api/v2/mix/account/accounts").with("productType", PRODUCT)),
        Operation::Positions(of) => one(match &of.instrument {
            Some(instrument) => get("/api/v2/mix/position/single-position")
                .with("marginCoin", MARGIN_COIN)
                .with("productType", PRODUCT)
                .with("symbol", instrument.as_str()),
            None => get("/api/v2/mix/position/all-position")
                .with("marginCoin", MARGIN_COIN)
                .with("productType", PRODUCT),
        }),
        Operation::AccountMode(_) => one(account(PROBE)),
        Operation::Leverage(of) => one(account(&of.instrument)),
        Operation::SetPositionMode(to) => one(post(
            "/api/v2/mix/account/set-position-mode",
            json_object(&[
                ("posMode", json_text(words::position_mode_word(to.position_mode))),
                ("productType", json_text(PRODUCT)),
            ]),
        )),
        Operation::SetLeverage(to) => {
            let mut members = vec![
                ("symbol", instrument(&to.instrument)?),
                ("leverage", price(to.leverage)),
                ("marginCoin", json_text(MARGIN_COIN)),
                ("productType", json_text(PRODUCT)),
            ];
            // With shared margin both positions have one leverage.
            if to.margin_mode == MarginMode::Isolated
                && let Some(word) = words::position_side_word(to.position_side)
            {
                members.push(("holdSide", json_text(word)));
            }
            one(post("/api/v2/mix/account/set-leverage", json_object(&members)))
        }
        Operation::SetMarginMode(to) => one(post(
            "/api/v2/mix/account/set-margin-mode",
            json_object(&[
                ("symbol", instrument(&to.instrument)?),
                ("marginCoin", json_text(MARGIN_COIN)),
                ("marginMode", json_text(words::margin_mode_word(to.margin_mode))),
                ("productType", json_text(PRODUCT)),
            ]),
        )),
        Operation::OpenOrders(of) => one(get("/api/v2/mix/order/orders-pending")
            .with("productType", PRODUCT)
            .with_some("symbol", of.instrument.as_deref())),
        Operation::Order(of) => {
            let (member, id) = id_member(of, name)?;
            one(get("/api/v2/mix/order/detail")
                .with(member, id)
                .with("productType", PRODUCT)
                .with("symbol", of.instrument.as_str()))
        }
        Operation::Fills(query) => one(get("/api/v2/mix/order/fills")
            .with_some("limit", query.limit.map(|limit| limit.to_string()))
            .with("productType", PRODUCT)
            .with_some("startTime", query.start_ms.map(|start| start.to_string()))
            .with_some("symbol", query.instrument.as_deref())),
        Operation::PlaceOrder(order) => {
            one(post("/api/v2/mix/order/place-order", new_order(order, context)?))
        }
        Operation::PlaceOrders(orders) => one(new_orders(orders, context)?),
        Operation::AmendOrder(change) => one(amend(change, name, context)?),
        Operation::CancelOrder(of) => {
            let (member, id) = id_member(of, name)?;
            one(post(
                "/api/v2/mix/order/cancel-order",
                json_object(&[
                    ("symbol", instrument(&of.instrument)?),
                    (member, json_text(id)),
                    ("productType", json_text(PRODUCT)),
                ]),
            ))
        }
        Operation::CancelOrders(of) => one(cancel_orders(of, name)?),
        Operation::CancelAllOrders(of) => one(match &of.instrument {
            // Without a list it cancels all of the instrument.
            Some(name) => post(
                "/api/v2/mix/order/batch-cancel-orders",
                json_object(&[("symbol", instrument(name)?), ("productType", json_text(PRODUCT))]),
            ),
            None => post(
                "/api/v2/mix/order/cancel-all-orders",
                json_object(&[("productType", json_text(PRODUCT))]),
            ),
        }),
        Operation::ClosePosition(close) => one(close_position(close, context)?),
        Operation::PlaceConditionalOrder(order) => one(if order.reduce_only {
            stop(order, context)?
        } else {
            plan(order, context)?
        }),
        Operation::PlaceStopLadder(ladder) => ladder.rungs.iter().map(|rung| stop(rung, context)).collect(),
        Operation::CancelConditionalOrder(of) => {
            let (member, id) = id_member(of, name)?;
            one(post(
                "/api/v2/mix/order/cancel-plan-order",
                json_object(&[
                    ("symbol", instrument(&of.instrument)?),
                    (
                        "orderIdList",
                        format!("[{}]", json_object(&[(member, json_text(id))])),
                    ),
                    ("productType", json_text(PRODUCT)),
                ]),
            ))
        }
        Operation::CancelAllAfter(_) => Err(unsupported(
            name,
            "classic accounts have no such switch; unified accounts (generation next) do",
        )),
        _ => one(market(operation)),
    }
}

fn market(operation: &Operation) -> Request {
    let of = |path: &str, instrument: &str| {
        public(path)
            .with("symbol", instrument)
            .with("productType", PRODUCT)
    };
    match operation {
        Operation::Instruments(_) => public("/api/v2/mix/market/contracts").with("productType", PRODUCT),
        Operation::Ticker(one) => of("/api/v2/mix/market/ticker", &one.instrument),
        Operation::Book(query) => public("/api/v2/mix/market/merge-depth")
            .with("symbol", query.instrument.as_str())
            .with_some("limit", query.depth.map(|depth| depth.to_string()))
            .with("productType", PRODUCT),
        Operation::Trades(one) => of("/api/v2/mix/market/fills-history", &one.instrument),
        Operation::Klines(query) => klines(query),
        Operation::Mark(one) => of("/api/v2/mix/market/symbol-price", &one.instrument),
        Operation::Funding(one) => of("/api/v2/mix/market/current-fund-rate", &one.instrument),
        _ => public("/api/v2/public/time"),
    }
}

/// Without a start the newest; with one from the history.
fn klines(query: &KlineQuery) -> Request {
    let path = if query.start_ms.is_some() {
        "/api/v2/mix/market/history-candles"
    } else {
        "/api/v2/mix/market/candles"
    };
    let limit = query.limit.unwrap_or(if query.start_ms.is_some() {
        OLD_KLINES
    } else {
        KLINES
    });
    let end = query.end_ms.or_else(|| {
        let length = query.interval.milliseconds().saturating_mul(u64::from(limit));
        Some(query.start_ms?.saturating_add(length))
    });
    public(path)
        .with("symbol", query.instrument.as_str())
        .with("granularity", words::interval_word(query.interval))
        .with_some("startTime", query.start_ms.map(|start| start.to_string()))
        .with_some("endTime", end.map(|end| end.to_string()))
        .with("limit", limit.to_string())
        .with("productType", PRODUCT)
}

fn account(instrument: &str) -> Request {
    get("/api/v2/mix/account/account")
        .with("marginCoin", MARGIN_COIN)
        .with("productType", PRODUCT)
        .with("symbol", instrument)
}

fn id_member<'a>(of: &'a OrderRef, operation: &'static str) -> Result<(&'static str, &'a str), RequestError> {
    match Parameters(operation).need_id(of.order_id.as_ref(), of.client_order_id.as_ref())? {
        OrderId::Venue(id) => Ok(("orderId", id)),
        OrderId::Client(id) => Ok(("clientOid", client_id(id)?)),
    }
}

/// The owner's id, if Bitget takes it.
fn client_id(id: &str) -> Result<&str, RequestError> {
    if !id.is_empty() && id.len() <= CLIENT_ID && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(id)
    } else {
        Err(RequestError::BadParameter {
            parameter: "client_order_id",
            value: id.to_owned(),
            reason: "1 to 50 printable ASCII characters without spaces",
        })
    }
}

/// An order. In hedge mode `side` is the way of the position and not of the order: closing a long position is a `buy` that
/// closes.
fn new_order(order: &NewOrder, context: &Context<'_>) -> Result<String, RequestError> {
    let opens = opens(order.side, order.position_side, order.reduce_only)?;
    let kind = words::plain_kind(order.order_kind)?;
    let force = words::time_in_force_word(order.order_kind, order.time_in_force, true)?;
    let mut members = vec![
        ("symbol", instrument(&order.instrument)?),
        ("orderType", json_text(kind)),
    ];
    if order.order_kind == OrderKind::Limit {
        members.push((
            "price",
            price(Parameters("place_order").need("price", order.price)?),
        ));
    }
    members.push(("force", json_text(force)));
    members.push(("marginCoin", json_text(MARGIN_COIN)));
    members.push(("size", size(order.size, &order.instrument, context)?));
    members.push(("productType", json_text(PRODUCT)));
    if let Some(id) = &order.client_order_id {
        members.push(("clientOid", json_text(client_id(id)?)));
    }
    members.push((
        "marginMode",
        json_text(words::margin_mode_word(order.margin_mode)),
    ));
    match opens {
        None if order.reduce_only => members.push(("reduceOnly", json_text("YES"))),
        None => {}
        Some(true) => members.push(("tradeSide", json_text("Open"))),
        Some(false) => members.push(("tradeSide", json_text("Close"))),
    }
    let side = if opens == Some(false) {
        order.side.opposite()
    } else {
        order.side
    };
    members.push(("side", json_text(words::side_word(side))));
    Ok(json_object(&members))
}

/// Several orders, all of one instrument and one way of sharing margin, which stand beside the list.
fn new_orders(orders: &Orders, context: &Context<'_>) -> Result<Request, RequestError> {
    let list = batch(&orders.orders, BATCH, |order| new_order(order, context))?;
    let Some(first) = orders.orders.first() else {
        return Err(RequestError::MissingParameter {
            operation: "place_orders",
            parameter: "orders",
        });
    };
    if let Some(other) = orders
        .orders
        .iter()
        .find(|order| order.instrument != first.instrument || order.margin_mode != first.margin_mode)
    {
        return Err(RequestError::BadParameter {
            parameter: "orders",
            value: other.instrument.to_string(),
            reason: "all orders of one request are of one instrument and one margin mode",
        });
    }
    Ok(post(
        "/api/v2/mix/order/batch-place-order",
        json_object(&[
            ("symbol", instrument(&first.instrument)?),
            ("orderList", list),
            (
                "marginMode",
                json_text(words::margin_mode_word(first.margin_mode)),
            ),
            ("marginCoin", json_text(MARGIN_COIN)),
            ("productType", json_text(PRODUCT)),
        ]),
    ))
}

fn cancel_orders(of: &OrderRefs, name: &'static str) -> Result<Request, RequestError> {
    let list = batch(&of.orders, BATCH, |of| {
        let (member, id) = id_member(of, name)?;
        Ok(json_object(&[(member, json_text(id))]))
    })?;
    let mut instruments = of.orders.iter().map(|order| &order.instrument);
    let first = instruments.next().ok_or(RequestError::MissingParameter {
        operation: name,
        parameter: "orders",
    })?;
    if let Some(other) = instruments.find(|instrument| *instrument != first) {
        return Err(RequestError::BadParameter {
            parameter: "orders",
            value: other.to_string(),
            reason: "all orders of one request are of one instrument",
        });
    }
    Ok(post(
        "/api/v2/mix/order/batch-cancel-orders",
        json_object(&[
            ("symbol", instrument(first)?),
            ("orderIdList", list),
            ("productType", json_text(PRODUCT)),
        ]),
    ))
}

/// A change of an order is a new order with a new owner's id, which Bitget wants to be given. It is made of the time, so
/// that two changes never share one.
fn amend(change: &AmendOrder, name: &'static str, context: &Context<'_>) -> Result<Request, RequestError> {
    let (member, id) =
        match Parameters(name).need_id(change.order_id.as_ref(), change.client_order_id.as_ref())? {
            OrderId::Venue(id) => ("orderId", id),
            OrderId::Client(id) => ("clientOid", client_id(id)?),
        };
    if change.size.is_none() && change.price.is_none() {
        return Err(RequestError::MissingParameter {
            operation: name,
            parameter: "size or price",
        });
    }
    let mut members = vec![
        (member, json_text(id)),
        ("symbol", instrument(&change.instrument)?),
        ("productType", json_text(PRODUCT)),
    ];
    if let Some(new) = change.size {
        members.push(("newSize", size(new, &change.instrument, context)?));
    }
    if let Some(new) = change.price {
        members.push(("newPrice", price(new)));
    }
    let tail: String = id
        .chars()
        .rev()
        .take(24)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    members.push((
        "newClientOid",
        json_text(&format!("{tail}-{}", context.timestamp_ms)),
    ));
    Ok(post("/api/v2/mix/order/modify-order", json_object(&members)))
}

fn close_position(close: &ClosePosition, context: &Context<'_>) -> Result<Request, RequestError> {
    if let Some(order) = close_as_order(close)? {
        return Ok(post("/api/v2/mix/order/place-order", new_order(&order, context)?));
    }
    let mut members = vec![("symbol", instrument(&close.instrument)?)];
    if let Some(word) = words::position_side_word(close.position_side) {
        members.push(("holdSide", json_text(word)));
    }
    members.push(("productType", json_text(PRODUCT)));
    Ok(post("/api/v2/mix/order/close-positions", json_object(&members)))
}

/// What the two kinds of orders with a trigger begin with.
fn conditional<'a>(
    order: &ConditionalOrder,
    limit: bool,
    context: &Context<'_>,
) -> Result<Vec<(&'a str, String)>, RequestError> {
    let mut members = vec![
        ("force", json_text("GTC")),
        ("marginCoin", json_text(MARGIN_COIN)),
        ("size", size(order.size, &order.instrument, context)?),
        ("productType", json_text(PRODUCT)),
    ];
    if let Some(id) = &order.client_order_id {
        members.push(("clientOid", json_text(client_id(id)?)));
    }
    members.push((
        "triggerType",
        json_text(words::trigger_word(order.trigger_by, true)?),
    ));
    if limit {
        Parameters("place_conditional_order").need("price", order.price)?;
    }
    Ok(members)
}

/// Whether a kind is a stop, and whether it has a limit price.
fn trigger_kind(kind: OrderKind) -> Result<(bool, bool), RequestError> {
    match kind {
        OrderKind::StopMarket => Ok((true, false)),
        OrderKind::StopLimit => Ok((true, true)),
        OrderKind::TakeProfitMarket => Ok((false, false)),
        OrderKind::TakeProfitLimit => Ok((false, true)),
        other => Err(RequestError::BadParameter {
            parameter: "order_kind",
            value: format!("{other:?}"),
            reason: "stop_market, stop_limit, take_profit_market or take_profit_limit",
        }),
    }
}

/// A stop or take-profit of a position: it only reduces by its nature.
fn stop(order: &ConditionalOrder, context: &Context<'_>) -> Result<Request, RequestError> {
    opens(order.side, order.position_side, true)?;
    let (is_stop, limit) = trigger_kind(order.order_kind)?;
    let mut members = vec![
        ("symbol", instrument(&order.instrument)?),
        ("orderType", json_text(if limit { "limit" } else { "market" })),
    ];
    members.extend(conditional(order, limit, context)?);
    if let Some(limit_price) = order.price.filter(|_| limit) {
        members.push(("executePrice", price(limit_price)));
    }
    // In one-way mode the position is named by its own way: a stop that sells is of a position that was bought.
    let hold_side = match order.position_side {
        PositionSide::Net => words::side_word(order.side.opposite()),
        PositionSide::Long => "long",
        PositionSide::Short => "short",
    };
    members.push(("holdSide", json_text(hold_side)));
    members.push(("triggerPrice", price(order.trigger_price)));
    members.push((
        "planType",
        json_text(if is_stop { STOP_PLAN } else { PROFIT_PLAN }),
    ));
    Ok(post("/api/v2/mix/order/place-tpsl-order", json_object(&members)))
}

/// An order made once the trigger is reached, which may open a position.
fn plan(order: &ConditionalOrder, context: &Context<'_>) -> Result<Request, RequestError> {
    let opens = opens(order.side, order.position_side, false)?;
    let (_, limit) = trigger_kind(order.order_kind)?;
    let mut members = vec![
        ("symbol", instrument(&order.instrument)?),
        ("orderType", json_text(if limit { "limit" } else { "market" })),
    ];
    let limit_price = order.price.filter(|_| limit);
    if let Some(limit_price) = limit_price {
        members.push(("price", price(limit_price)));
    }
    members.extend(conditional(order, limit, context)?);
    members.push(("planType", json_text(PLAN)));
    members.push(("triggerPrice", price(order.trigger_price)));
    if let Some(limit_price) = limit_price {
        members.push(("executePrice", price(limit_price)));
    }
    members.push((
        "marginMode",
        json_text(words::margin_mode_word(order.margin_mode)),
    ));
    if let Some(opens) = opens {
        members.push(("tradeSide", json_text(if opens { "Open" } else { "Close" })));
    }
    let side = if opens == Some(false) {
        order.side.opposite()
    } else {
        order.side
    };
    members.push(("side", json_text(words::side_word(side))));
    Ok(post("/api/v2/mix/order/place-plan-order", json_object(&members)))
}
