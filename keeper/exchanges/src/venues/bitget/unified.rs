//! Operations in the words of the newer interface, v3, for unified accounts. The members stand in the order in which ccxt
//! sends them. In hedge mode `side` is the way of the order here, unlike in v2.

use super::requests::{
    Made, batch, close_as_order, get, instrument, one, opens, post, price, public, size, unsupported,
};
use super::words::{self, MARGIN_COIN, PRODUCT};
use crate::error::RequestError;
use crate::model::{MarginMode, OrderKind, PositionSide};
use crate::operation::{
    AmendOrder, CancelAllAfter, ClosePosition, ConditionalOrder, KlineQuery, NewOrder, Operation, OrderRef,
};
use crate::protocol::Context;
use crate::request::Request;
use crate::venues::{OrderId, Parameters, json_object, json_text};

/// Orders that may be sent or cancelled in one request.
const BATCH: usize = 20;

/// Longest owner's id.
const CLIENT_ID: usize = 32;

/// Klines of one page, when none is asked for.
const KLINES: u32 = 100;

/// Shortest and longest time of the dead man's switch, seconds.
const SWITCH_SECONDS: std::ops::RangeInclusive<u64> = 5..=60;

/// Puts an operation into the words of v3.
pub(super) fn requests(operation: &Operation, context: &Context<'_>) -> Made {
    let name = operation.name();
    match operation {
        Operation::Balances(_) => one(get("/api/v3/account/assets")),
        Operation::Positions(of) => one(get("/api/v3/position/current-position")
            .with("category", PRODUCT)
            .with_some("symbol", of.instrument.as_deref())),
        Operation::AccountMode(_) | Operation::Leverage(_) => one(get("/api/v3/account/settings")),
        Operation::SetPositionMode(to) => one(post(
            "/api/v3/account/set-hold-mode",
            json_object(&[("holdMode", json_text(words::position_mode_word(to.position_mode)))]),
        )),
        Operation::SetLeverage(to) => {
            let mut members = vec![
                ("symbol", instrument(&to.instrument)?),
                ("leverage", price(to.leverage)),
                ("coin", json_text(MARGIN_COIN)),
                ("category", json_text(PRODUCT)),
            ];
            if to.margin_mode == MarginMode::Isolated
                && let Some(word) = words::position_side_word(to.position_side)
            {
                members.push(("posSide", json_text(word)));
            }
            one(post("/api/v3/account/set-leverage", json_object(&members)))
        }
        Operation::SetMarginMode(_) => Err(unsupported(
            name,
            "a unified account chooses it with each order: give margin_mode there",
        )),
        Operation::OpenOrders(of) => one(get("/api/v3/trade/unfilled-orders")
            .with("category", PRODUCT)
            .with_some("symbol", of.instrument.as_deref())),
        Operation::Order(of) => {
            let (member, id) = id_member(of, name)?;
            one(get("/api/v3/trade/order-info").with(member, id))
        }
        // There is no way to ask for one instrument only: the reply is sieved.
        Operation::Fills(query) => one(get("/api/v3/trade/fills")
            .with("category", PRODUCT)
            .with_some("limit", query.limit.map(|limit| limit.to_string()))
            .with_some("startTime", query.start_ms.map(|start| start.to_string()))),
        Operation::PlaceOrder(order) => one(post("/api/v3/trade/place-order", new_order(order, context)?)),
        Operation::PlaceOrders(orders) => one(post(
            "/api/v3/trade/place-batch",
            batch(&orders.orders, BATCH, |order| new_order(order, context))?,
        )),
        Operation::AmendOrder(change) => one(amend(change, name, context)?),
        Operation::CancelOrder(of) => one(post("/api/v3/trade/cancel-order", by_id(of, name)?)),
        Operation::CancelOrders(of) => one(post(
            "/api/v3/trade/cancel-batch",
            batch(&of.orders, BATCH, |of| {
                let (member, id) = id_member(of, name)?;
                Ok(json_object(&[
                    (member, json_text(id)),
                    ("symbol", instrument(&of.instrument)?),
                    ("category", json_text(PRODUCT)),
                ]))
            })?,
        )),
        Operation::CancelAllOrders(of) => {
            let mut members = Vec::new();
            if let Some(name) = &of.instrument {
                members.push(("symbol", instrument(name)?));
            }
            members.push(("category", json_text(PRODUCT)));
            one(post("/api/v3/trade/cancel-symbol-order", json_object(&members)))
        }
        Operation::ClosePosition(close) => one(close_position(close, context)?),
        Operation::PlaceConditionalOrder(order) if order.reduce_only => one(stop(order, context)?),
        Operation::PlaceConditionalOrder(_) => Err(unsupported(
            "place_conditional_order without reduce_only",
            "unified accounts have stops and take-profits of a position only; watch the price and send an order",
        )),
        Operation::PlaceStopLadder(ladder) => ladder.rungs.iter().map(|rung| stop(rung, context)).collect(),
        Operation::CancelConditionalOrder(of) => {
            one(post("/api/v3/trade/cancel-strategy-order", by_id(of, name)?))
        }
        Operation::CancelAllAfter(after) => one(cancel_all_after(after)?),
        _ => one(market(operation)),
    }
}

fn market(operation: &Operation) -> Request {
    let of = |path: &str, instrument: &str| public(path).with("symbol", instrument).with("category", PRODUCT);
    match operation {
        Operation::Instruments(_) => public("/api/v3/market/instruments").with("category", PRODUCT),
        // The mark price is in the ticker.
        Operation::Ticker(one) | Operation::Mark(one) => of("/api/v3/market/tickers", &one.instrument),
        Operation::Book(query) => public("/api/v3/market/orderbook")
            .with("symbol", query.instrument.as_str())
            .with_some("limit", query.depth.map(|depth| depth.to_string()))
            .with("category", PRODUCT),
        Operation::Trades(one) => of("/api/v3/market/fills", &one.instrument),
        Operation::Klines(query) => klines(query),
        Operation::Funding(one) => {
            public("/api/v3/market/current-fund-rate").with("symbol", one.instrument.as_str())
        }
        _ => public("/api/v2/public/time"),
    }
}

fn klines(query: &KlineQuery) -> Request {
    let limit = query.limit.unwrap_or(KLINES);
    let end = query.end_ms.or_else(|| {
        let length = query.interval.milliseconds().saturating_mul(u64::from(limit));
        Some(query.start_ms?.saturating_add(length))
    });
    public("/api/v3/market/candles")
        .with("symbol", query.instrument.as_str())
        .with("interval", words::unified_interval_word(query.interval))
        .with_some("startTime", query.start_ms.map(|start| start.to_string()))
        .with_some("endTime", end.map(|end| end.to_string()))
        .with("limit", limit.to_string())
        .with("category", PRODUCT)
}

fn id_member<'a>(of: &'a OrderRef, operation: &'static str) -> Result<(&'static str, &'a str), RequestError> {
    match Parameters(operation).need_id(of.order_id.as_ref(), of.client_order_id.as_ref())? {
        OrderId::Venue(id) => Ok(("orderId", id)),
        OrderId::Client(id) => Ok(("clientOid", client_id(id)?)),
    }
}

fn by_id(of: &OrderRef, operation: &'static str) -> Result<String, RequestError> {
    let (member, id) = id_member(of, operation)?;
    Ok(json_object(&[
        ("symbol", instrument(&of.instrument)?),
        (member, json_text(id)),
    ]))
}

/// The owner's id, if it is in Bitget's alphabet.
fn client_id(id: &str) -> Result<&str, RequestError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".:/_-".contains(&byte);
    if !id.is_empty() && id.len() <= CLIENT_ID && id.bytes().all(allowed) {
        Ok(id)
    } else {
        Err(RequestError::BadParameter {
            parameter: "client_order_id",
            value: id.to_owned(),
            reason: "1 to 32 letters, digits and any of . : / _ -",
        })
    }
}

fn new_order(order: &NewOrder, context: &Context<'_>) -> Result<String, RequestError> {
    let opens = opens(order.side, order.position_side, order.reduce_only)?;
    let kind = words::plain_kind(order.order_kind)?;
    let force = words::time_in_force_word(order.order_kind, order.time_in_force, false)?;
    let mut members = vec![
        ("category", json_text(PRODUCT)),
        ("symbol", instrument(&order.instrument)?),
        ("qty", size(order.size, &order.instrument, context)?),
        ("side", json_text(words::side_word(order.side))),
    ];
    if let Some(id) = &order.client_order_id {
        members.push(("clientOid", json_text(client_id(id)?)));
    }
    if order.order_kind == OrderKind::Limit {
        members.push((
            "price",
            price(Parameters("place_order").need("price", order.price)?),
        ));
    }
    members.push(("orderType", json_text(kind)));
    members.push(("timeInForce", json_text(force)));
    if opens.is_none() && order.reduce_only {
        members.push(("reduceOnly", json_text("yes")));
    }
    if let Some(word) = words::position_side_word(order.position_side) {
        members.push(("posSide", json_text(word)));
    }
    // Crossed is what is meant when nothing is said.
    if order.margin_mode == MarginMode::Isolated {
        members.push((
            "marginMode",
            json_text(words::margin_mode_word(order.margin_mode)),
        ));
    }
    Ok(json_object(&members))
}

fn amend(change: &AmendOrder, name: &'static str, context: &Context<'_>) -> Result<Request, RequestError> {
    let id = match Parameters(name).need_id(change.order_id.as_ref(), change.client_order_id.as_ref())? {
        OrderId::Venue(id) => ("orderId", json_text(id)),
        OrderId::Client(id) => ("clientOid", json_text(client_id(id)?)),
    };
    if change.size.is_none() && change.price.is_none() {
        return Err(RequestError::MissingParameter {
            operation: name,
            parameter: "size or price",
        });
    }
    let mut members = vec![id];
    if let Some(new) = change.size {
        members.push(("qty", size(new, &change.instrument, context)?));
    }
    if let Some(new) = change.price {
        members.push(("price", price(new)));
    }
    Ok(post("/api/v3/trade/modify-order", json_object(&members)))
}

fn close_position(close: &ClosePosition, context: &Context<'_>) -> Result<Request, RequestError> {
    if let Some(order) = close_as_order(close)? {
        return Ok(post("/api/v3/trade/place-order", new_order(&order, context)?));
    }
    let mut members = vec![("symbol", instrument(&close.instrument)?)];
    if let Some(word) = words::position_side_word(close.position_side) {
        members.push(("posSide", json_text(word)));
    }
    members.push(("category", json_text(PRODUCT)));
    Ok(post("/api/v3/trade/close-positions", json_object(&members)))
}

/// A stop or take-profit of a position: it only reduces by its nature.
fn stop(order: &ConditionalOrder, context: &Context<'_>) -> Result<Request, RequestError> {
    opens(order.side, order.position_side, true)?;
    let (by, trigger, limit_price, kind, limit) = match order.order_kind {
        OrderKind::StopMarket => ("slTriggerBy", "stopLoss", "slLimitPrice", "slOrderType", false),
        OrderKind::StopLimit => ("slTriggerBy", "stopLoss", "slLimitPrice", "slOrderType", true),
        OrderKind::TakeProfitMarket => ("tpTriggerBy", "takeProfit", "tpLimitPrice", "tpOrderType", false),
        OrderKind::TakeProfitLimit => ("tpTriggerBy", "takeProfit", "tpLimitPrice", "tpOrderType", true),
        other => {
            return Err(RequestError::BadParameter {
                parameter: "order_kind",
                value: format!("{other:?}"),
                reason: "stop_market, stop_limit, take_profit_market or take_profit_limit",
            });
        }
    };
    let mut members = vec![
        ("category", json_text(PRODUCT)),
        ("symbol", instrument(&order.instrument)?),
        ("qty", size(order.size, &order.instrument, context)?),
        ("side", json_text(words::side_word(order.side))),
    ];
    if let Some(id) = &order.client_order_id {
        members.push(("clientOid", json_text(client_id(id)?)));
    }
    members.push((by, json_text(words::trigger_word(order.trigger_by, false)?)));
    members.push((trigger, price(order.trigger_price)));
    if limit {
        let at = Parameters("place_conditional_order").need("price", order.price)?;
        members.push((limit_price, price(at)));
    }
    members.push((kind, json_text(if limit { "limit" } else { "market" })));
    // The position that is guarded, in one-way mode too: the one that the order would close.
    let position = match order.position_side {
        PositionSide::Net if words::side_of(false, PositionSide::Long) == order.side => PositionSide::Long,
        PositionSide::Net => PositionSide::Short,
        position => position,
    };
    if let Some(word) = words::position_side_word(position) {
        members.push(("posSide", json_text(word)));
    }
    Ok(post("/api/v3/trade/place-strategy-order", json_object(&members)))
}

fn cancel_all_after(after: &CancelAllAfter) -> Result<Request, RequestError> {
    // A part of a second is left out: the switch may fire a moment early, never late.
    let seconds = after.after_ms / 1000;
    if after.after_ms != 0 && !SWITCH_SECONDS.contains(&seconds) {
        return Err(RequestError::BadParameter {
            parameter: "after_ms",
            value: after.after_ms.to_string(),
            reason: "5 to 60 seconds, or 0 to switch it off",
        });
    }
    Ok(post(
        "/api/v3/trade/countdown-cancel-all",
        json_object(&[("countdown", json_text(&seconds.to_string()))]),
    ))
}
