//! Operations in OKX's words. The members stand in the order in which ccxt sends them.

use super::rows::{AT_MARKET, SWAP};
use super::words;
use crate::error::RequestError;
use crate::model::{
    ContractKind, Decimal, Instrument, MarginMode, OrderKind, PositionSide, Side, Text, TriggerPrice, Venue,
};
use crate::operation::{
    AmendOrder, CancelAllAfter, ClosePosition, ConditionalOrder, FillQuery, KlineQuery, NewOrder, Operation,
    OrderRef,
};
use crate::protocol::Context;
use crate::request::{Access, Method, Request};
use crate::venues::{OrderId, Parameters, json_object, json_text};

/// Orders that may be sent, changed or cancelled in one request.
const BATCH: usize = 20;

/// Longest owner's id; letters and digits only.
const CLIENT_ID: usize = 32;

/// How long fills stay in the list that is up to the second; older ones are in the history.
const FILLS_WINDOW_MS: u64 = 3 * 24 * 3_600_000;

/// Klines of one page, when none is asked for.
const KLINES: u32 = 100;

/// Shortest and longest time of the dead man's switch, seconds.
const SWITCH_SECONDS: std::ops::RangeInclusive<u64> = 10..=120;

type Made = Result<Vec<Request>, RequestError>;

/// Puts an operation into OKX's words.
pub(super) fn requests(operation: &Operation, context: &Context<'_>) -> Made {
    let name = operation.name();
    match operation {
        Operation::ServerTime(_)
        | Operation::Instruments(_)
        | Operation::Ticker(_)
        | Operation::Book(_)
        | Operation::Trades(_)
        | Operation::Klines(_)
        | Operation::Mark(_)
        | Operation::Funding(_) => Ok(vec![market(operation)]),
        Operation::Balances(_) => one(get("/api/v5/account/balance")),
        Operation::Positions(of) => {
            let request = get("/api/v5/account/positions").with_some("instId", of.instrument.as_deref());
            one(request.with("instType", SWAP))
        }
        Operation::AccountMode(_) => one(get("/api/v5/account/config")),
        Operation::SetPositionMode(mode) => one(post(
            "/api/v5/account/set-position-mode",
            json_object(&[(
                "posMode",
                json_text(words::position_mode_word(mode.position_mode)),
            )]),
        )),
        // OKX wants one margin mode named; ours is cross unless an order says otherwise.
        Operation::Leverage(of) => one(get("/api/v5/account/leverage-info")
            .with("instId", of.instrument.as_str())
            .with("mgnMode", words::margin_mode_word(MarginMode::Cross))),
        Operation::SetLeverage(to) => one(set_leverage(
            &to.instrument,
            to.leverage,
            to.margin_mode,
            Some(to.position_side),
        )),
        Operation::SetMarginMode(to) => {
            // OKX keeps the margin mode with the leverage (and with each order).
            let leverage = Parameters(name).need("leverage", to.leverage)?;
            one(set_leverage(&to.instrument, leverage, to.margin_mode, None))
        }
        Operation::OpenOrders(of) => one(match &of.instrument {
            Some(instrument) => get("/api/v5/trade/orders-pending").with("instId", instrument.as_str()),
            None => get("/api/v5/trade/orders-pending").with("instType", SWAP),
        }),
        Operation::Order(of) => {
            let (member, id) = id_member(of, name)?;
            one(get("/api/v5/trade/order")
                .with("instId", of.instrument.as_str())
                .with(member, id))
        }
        Operation::Fills(query) => one(fills(query, context.timestamp_ms)),
        Operation::PlaceOrder(order) => one(post("/api/v5/trade/order", new_order(order, context)?)),
        Operation::PlaceOrders(orders) => {
            let list = batch("orders", &orders.orders, |order| new_order(order, context))?;
            one(post("/api/v5/trade/batch-orders", list))
        }
        Operation::AmendOrder(change) => one(amend(change, name, context)?),
        Operation::CancelOrder(of) => {
            let (member, id) = id_member(of, name)?;
            one(post(
                "/api/v5/trade/cancel-order",
                json_object(&[("instId", json_text(&of.instrument)), (member, json_text(id))]),
            ))
        }
        Operation::CancelOrders(of) => {
            let list = batch("orders", &of.orders, |of| {
                let (member, id) = id_member(of, name)?;
                Ok(json_object(&[
                    ("instId", json_text(&of.instrument)),
                    (member, json_text(id)),
                ]))
            })?;
            one(post("/api/v5/trade/cancel-batch-orders", list))
        }
        Operation::CancelAllOrders(_) => Err(RequestError::Unsupported {
            venue: Venue::Okx,
            operation: name,
            instead: "ask for open_orders and send their ids with cancel_orders, 20 at a time",
        }),
        Operation::ClosePosition(close) => one(close_position(close)?),
        Operation::PlaceConditionalOrder(order) => one(conditional(order, order.reduce_only, context)?),
        Operation::CancelConditionalOrder(of) => {
            let (member, id) =
                match Parameters(name).need_id(of.order_id.as_ref(), of.client_order_id.as_ref())? {
                    OrderId::Venue(id) => ("algoId", id),
                    OrderId::Client(id) => ("algoClOrdId", client_id(id)?),
                };
            // With the venue's id ccxt names the id first, with the owner's the instrument.
            let instrument = ("instId", json_text(&of.instrument));
            let id = (member, json_text(id));
            let members = if member == "algoId" {
                [id, instrument]
            } else {
                [instrument, id]
            };
            one(post(
                "/api/v5/trade/cancel-algos",
                format!("[{}]", json_object(&members)),
            ))
        }
        Operation::PlaceStopLadder(ladder) => ladder
            .rungs
            .iter()
            .map(|rung| conditional(rung, true, context))
            .collect(),
        Operation::CancelAllAfter(after) => one(cancel_all_after(after)?),
        Operation::CreateListenKey(_) | Operation::KeepListenKey(_) | Operation::CloseListenKey(_) => {
            Err(RequestError::Unsupported {
                venue: Venue::Okx,
                operation: name,
                instead: "the account socket is logged in to with a signed message",
            })
        }
    }
}

fn one(request: Request) -> Made {
    Ok(vec![request])
}

fn get(path: &str) -> Request {
    Request::new(Method::Get, path, Access::Signed)
}

fn public(path: &str) -> Request {
    Request::new(Method::Get, path, Access::Public)
}

fn post(path: &str, body: String) -> Request {
    Request::new(Method::Post, path, Access::Signed).json(body)
}

fn market(operation: &Operation) -> Request {
    match operation {
        Operation::Instruments(_) => public("/api/v5/public/instruments").with("instType", SWAP),
        Operation::Ticker(of) => public("/api/v5/market/ticker").with("instId", of.instrument.as_str()),
        Operation::Book(of) => public("/api/v5/market/books")
            .with("instId", of.instrument.as_str())
            .with_some("sz", of.depth.map(|depth| depth.to_string())),
        Operation::Trades(of) => public("/api/v5/market/trades").with("instId", of.instrument.as_str()),
        Operation::Klines(query) => klines(query),
        Operation::Mark(of) => public("/api/v5/public/mark-price").with("instId", of.instrument.as_str()),
        Operation::Funding(of) => {
            public("/api/v5/public/funding-rate").with("instId", of.instrument.as_str())
        }
        _ => public("/api/v5/public/time"),
    }
}

/// Without a start the newest; with one from the history, whose `before` and `after` leave out the times they name.
fn klines(query: &KlineQuery) -> Request {
    let limit = query.limit.unwrap_or(KLINES);
    let path = if query.start_ms.is_some() {
        "/api/v5/market/history-candles"
    } else {
        "/api/v5/market/candles"
    };
    let request = public(path)
        .with("instId", query.instrument.as_str())
        .with("bar", words::interval_word(query.interval))
        .with("limit", limit.to_string());
    let end = match (query.end_ms, query.start_ms) {
        (Some(end), _) => Some(end.saturating_add(1)),
        (None, Some(start)) => {
            Some(start.saturating_add(query.interval.milliseconds().saturating_mul(u64::from(limit))))
        }
        (None, None) => None,
    };
    request
        .with_some(
            "before",
            query.start_ms.map(|start| start.saturating_sub(1).to_string()),
        )
        .with_some("after", end.map(|end| end.to_string()))
}

fn fills(query: &FillQuery, now_ms: u64) -> Request {
    let old = query
        .start_ms
        .is_some_and(|start| start < now_ms.saturating_sub(FILLS_WINDOW_MS));
    let path = if old {
        "/api/v5/trade/fills-history"
    } else {
        "/api/v5/trade/fills"
    };
    get(path)
        .with_some("instId", query.instrument.as_deref())
        .with_some("begin", query.start_ms.map(|start| start.to_string()))
        .with("instType", SWAP)
        .with_some("limit", query.limit.map(|limit| limit.to_string()))
}

/// `position` is whose leverage it is with margin of its own; none for both positions.
fn set_leverage(
    instrument: &Text,
    leverage: Decimal,
    margin_mode: MarginMode,
    position: Option<PositionSide>,
) -> Request {
    let mut members = vec![
        ("lever", json_text(&leverage.normalize().to_string())),
        ("mgnMode", json_text(words::margin_mode_word(margin_mode))),
        ("instId", json_text(instrument)),
    ];
    // With shared margin both positions have one leverage and naming one of them is an error.
    if let Some(position) = position.filter(|_| margin_mode == MarginMode::Isolated) {
        members.push((
            "posSide",
            json_text(words::position_side_word(position).unwrap_or("net")),
        ));
    }
    post("/api/v5/account/set-leverage", json_object(&members))
}

/// Either id of an order and what OKX calls it.
fn id_member<'a>(of: &'a OrderRef, operation: &'static str) -> Result<(&'static str, &'a str), RequestError> {
    match Parameters(operation).need_id(of.order_id.as_ref(), of.client_order_id.as_ref())? {
        OrderId::Venue(id) => Ok(("ordId", id)),
        OrderId::Client(id) => Ok(("clOrdId", client_id(id)?)),
    }
}

/// The owner's id, if it is in OKX's alphabet.
fn client_id(id: &str) -> Result<&str, RequestError> {
    if !id.is_empty() && id.len() <= CLIENT_ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(id)
    } else {
        Err(RequestError::BadParameter {
            parameter: "client_order_id",
            value: id.to_owned(),
            reason: "1 to 32 letters and digits; OKX takes no '-' and no '_'",
        })
    }
}

/// A list of at most twenty.
fn batch<T>(
    parameter: &'static str,
    of: &[T],
    make: impl FnMut(&T) -> Result<String, RequestError>,
) -> Result<String, RequestError> {
    if of.is_empty() || of.len() > BATCH {
        return Err(RequestError::BadParameter {
            parameter,
            value: of.len().to_string(),
            reason: "1 to 20 in one request",
        });
    }
    let list = of.iter().map(make).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("[{}]", list.join(",")))
}

/// The instrument, which must be known: OKX counts in contracts.
fn instrument<'a>(name: &Text, context: &Context<'a>) -> Result<&'a Instrument, RequestError> {
    let found = context.instruments.get(name)?;
    if found.kind == ContractKind::Linear {
        Ok(found)
    } else {
        Err(RequestError::BadParameter {
            parameter: "instrument",
            value: name.to_string(),
            reason: "only perpetuals settled in their quote asset are supported",
        })
    }
}

/// A size in contracts, rounded down to the lot.
fn contracts(size: Decimal, instrument: &Instrument) -> Result<String, RequestError> {
    let bad = |reason| RequestError::BadParameter {
        parameter: "size",
        value: size.to_string(),
        reason,
    };
    if size <= Decimal::ZERO {
        return Err(bad("a size is positive; the way is in side"));
    }
    let contracts = instrument
        .from_base(size, None)
        .ok_or_else(|| bad("too large to be counted in contracts"))?;
    if contracts.is_zero() {
        return Err(bad("less than one lot of contracts"));
    }
    Ok(contracts.normalize().to_string())
}

fn price_text(price: Decimal) -> String {
    json_text(&price.normalize().to_string())
}

/// In hedge mode OKX ignores `reduceOnly`: buying for the long position or selling for the short one opens, whatever the
/// mark says. Such an order is refused here.
fn only_reduces(side: Side, position_side: PositionSide, reduce_only: bool) -> Result<(), RequestError> {
    let opens = matches!(
        (side, position_side),
        (Side::Buy, PositionSide::Long) | (Side::Sell, PositionSide::Short)
    );
    if reduce_only && opens {
        return Err(RequestError::BadParameter {
            parameter: "side",
            value: words::side_word(side).to_owned(),
            reason: "a reduce-only order in hedge mode sells the long position or buys back the short one",
        });
    }
    Ok(())
}

fn new_order(order: &NewOrder, context: &Context<'_>) -> Result<String, RequestError> {
    only_reduces(order.side, order.position_side, order.reduce_only)?;
    let instrument = instrument(&order.instrument, context)?;
    let kind = words::order_type_word(order.order_kind, order.time_in_force)?;
    let mut members = vec![
        ("instId", json_text(&order.instrument)),
        ("side", json_text(words::side_word(order.side))),
        ("ordType", json_text(kind)),
        ("sz", json_text(&contracts(order.size, instrument)?)),
    ];
    let position_side = words::position_side_word(order.position_side);
    if let Some(word) = position_side {
        members.push(("posSide", json_text(word)));
    }
    members.push(("tdMode", json_text(words::margin_mode_word(order.margin_mode))));
    if order.order_kind == OrderKind::Limit {
        let price = Parameters("place_order").need("price", order.price)?;
        members.push(("px", price_text(price)));
    }
    if let Some(id) = &order.client_order_id {
        members.push(("clOrdId", json_text(client_id(id)?)));
    }
    if order.reduce_only && position_side.is_none() {
        members.push(("reduceOnly", "true".to_owned()));
    }
    Ok(json_object(&members))
}

fn amend(change: &AmendOrder, name: &'static str, context: &Context<'_>) -> Result<Request, RequestError> {
    let id = match Parameters(name).need_id(change.order_id.as_ref(), change.client_order_id.as_ref())? {
        OrderId::Venue(id) => ("ordId", json_text(id)),
        OrderId::Client(id) => ("clOrdId", json_text(client_id(id)?)),
    };
    if change.size.is_none() && change.price.is_none() {
        return Err(RequestError::MissingParameter {
            operation: name,
            parameter: "size or price",
        });
    }
    let mut members = vec![("instId", json_text(&change.instrument)), id];
    if let Some(size) = change.size {
        let instrument = instrument(&change.instrument, context)?;
        members.push(("newSz", json_text(&contracts(size, instrument)?)));
    }
    if let Some(price) = change.price {
        members.push(("newPx", price_text(price)));
    }
    Ok(post("/api/v5/trade/amend-order", json_object(&members)))
}

fn close_position(close: &ClosePosition) -> Result<Request, RequestError> {
    let mut members = vec![
        ("instId", json_text(&close.instrument)),
        ("mgnMode", json_text(words::margin_mode_word(close.margin_mode))),
    ];
    if let Some(word) = words::position_side_word(close.position_side) {
        members.push(("posSide", json_text(word)));
    }
    if let Some(id) = &close.client_order_id {
        members.push(("clOrdId", json_text(client_id(id)?)));
    }
    Ok(post("/api/v5/trade/close-position", json_object(&members)))
}

fn conditional(
    order: &ConditionalOrder,
    reduce_only: bool,
    context: &Context<'_>,
) -> Result<Request, RequestError> {
    only_reduces(order.side, order.position_side, reduce_only)?;
    let instrument = instrument(&order.instrument, context)?;
    let (trigger, price, trigger_by, limit) = match order.order_kind {
        OrderKind::StopMarket => ("slTriggerPx", "slOrdPx", "slTriggerPxType", false),
        OrderKind::StopLimit => ("slTriggerPx", "slOrdPx", "slTriggerPxType", true),
        OrderKind::TakeProfitMarket => ("tpTriggerPx", "tpOrdPx", "tpTriggerPxType", false),
        OrderKind::TakeProfitLimit => ("tpTriggerPx", "tpOrdPx", "tpTriggerPxType", true),
        other => {
            return Err(RequestError::BadParameter {
                parameter: "order_kind",
                value: format!("{other:?}"),
                reason: "stop_market, stop_limit, take_profit_market or take_profit_limit",
            });
        }
    };
    let order_price = if limit {
        price_text(Parameters("place_conditional_order").need("price", order.price)?)
    } else {
        json_text(AT_MARKET)
    };
    let by = match order.trigger_by {
        TriggerPrice::Last => "last",
        TriggerPrice::Mark => "mark",
        TriggerPrice::Index => "index",
    };
    let mut members = vec![
        ("instId", json_text(&order.instrument)),
        ("side", json_text(words::side_word(order.side))),
        ("ordType", json_text("conditional")),
        ("sz", json_text(&contracts(order.size, instrument)?)),
    ];
    let position_side = words::position_side_word(order.position_side);
    if let Some(word) = position_side {
        members.push(("posSide", json_text(word)));
    }
    members.push(("tdMode", json_text(words::margin_mode_word(order.margin_mode))));
    members.push((trigger, price_text(order.trigger_price)));
    members.push((price, order_price));
    members.push((trigger_by, json_text(by)));
    // Orders with a trigger have an owner's id of their own kind: `clOrdId` is not theirs.
    if let Some(id) = &order.client_order_id {
        members.push(("algoClOrdId", json_text(client_id(id)?)));
    }
    if reduce_only && position_side.is_none() {
        members.push(("reduceOnly", "true".to_owned()));
    }
    Ok(post("/api/v5/trade/order-algo", json_object(&members)))
}

fn cancel_all_after(after: &CancelAllAfter) -> Result<Request, RequestError> {
    // A part of a second is left out: the switch may fire a moment early, never late.
    let seconds = after.after_ms / 1000;
    if after.after_ms != 0 && !SWITCH_SECONDS.contains(&seconds) {
        return Err(RequestError::BadParameter {
            parameter: "after_ms",
            value: after.after_ms.to_string(),
            reason: "10 to 120 seconds, or 0 to switch it off",
        });
    }
    Ok(post(
        "/api/v5/trade/cancel-all-after",
        json_object(&[("timeOut", seconds.to_string())]),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venues::okx::instruments::known;

    /// The body of the one request an operation gives, or the error.
    fn body(operation: &str) -> Result<String, RequestError> {
        let operation: Operation = serde_json::from_str(operation).unwrap();
        let instruments = known();
        let context = Context {
            instruments: &instruments,
            timestamp_ms: 1_700_000_000_000,
        };
        requests(&operation, &context).map(|requests| {
            let [request] = requests.as_slice() else {
                panic!("{requests:?}")
            };
            let query = crate::request::query_string(&request.query);
            format!(
                "{} {}{query}{}",
                request.method.name(),
                request.path,
                request.body
            )
        })
    }

    fn place(members: &str) -> Result<String, RequestError> {
        body(&format!(
            r#"{{"operation":"place_order","parameters":{{"instrument":"BTC-USDT-SWAP",{members}}}}}"#
        ))
    }

    #[test]
    fn sizes_are_sent_in_contracts_rounded_down() {
        assert_eq!(
            place(r#""side":"buy","size":"0.00019999","client_order_id":"a1""#).unwrap(),
            concat!(
                r#"POST /api/v5/trade/order{"instId":"BTC-USDT-SWAP","side":"buy","ordType":"market","#,
                r#""sz":"0.01","tdMode":"cross","clOrdId":"a1"}"#
            )
        );
        assert!(matches!(
            place(r#""side":"buy","size":"0.00001""#),
            Err(RequestError::BadParameter {
                parameter: "size",
                ..
            })
        ));
        assert!(matches!(
            place(r#""side":"buy","size":"-1""#),
            Err(RequestError::BadParameter {
                parameter: "size",
                ..
            })
        ));
        assert!(matches!(
            body(
                r#"{"operation":"place_order","parameters":{"instrument":"NEW-USDT-SWAP","side":"buy","size":"1"}}"#
            ),
            Err(RequestError::UnknownInstrument(_))
        ));
    }

    #[test]
    fn a_reduce_only_order_cannot_open_in_hedge_mode() {
        for (side, position_side) in [("buy", "long"), ("sell", "short")] {
            assert!(matches!(
                place(&format!(
                    r#""side":"{side}","size":"1","reduce_only":true,"position_side":"{position_side}""#
                )),
                Err(RequestError::BadParameter {
                    parameter: "side",
                    ..
                })
            ));
        }
        // Closing names the position and leaves out the mark, which OKX ignores there.
        let closing = place(r#""side":"sell","size":"1","reduce_only":true,"position_side":"long""#).unwrap();
        assert!(
            closing.contains(r#""posSide":"long""#) && !closing.contains("reduceOnly"),
            "{closing}"
        );
        // In one-way mode it is the mark that counts.
        let closing = place(r#""side":"sell","size":"1","reduce_only":true"#).unwrap();
        assert!(
            closing.contains(r#""reduceOnly":true"#) && !closing.contains("posSide"),
            "{closing}"
        );
    }

    #[test]
    fn ids_in_another_alphabet_are_refused() {
        for id in [
            "",
            "with-dash",
            "under_score",
            "0123456789012345678901234567890123",
        ] {
            assert!(
                matches!(
                    place(&format!(r#""side":"buy","size":"1","client_order_id":"{id}""#)),
                    Err(RequestError::BadParameter {
                        parameter: "client_order_id",
                        ..
                    })
                ),
                "{id}"
            );
        }
    }

    #[test]
    fn what_okx_lacks_is_refused_with_what_to_do_instead() {
        assert!(matches!(
            body(r#"{"operation":"cancel_all_orders","parameters":{}}"#),
            Err(RequestError::Unsupported {
                venue: Venue::Okx,
                ..
            })
        ));
        assert!(matches!(
            body(r#"{"operation":"create_listen_key","parameters":{}}"#),
            Err(RequestError::Unsupported { .. })
        ));
        assert!(matches!(
            body(
                r#"{"operation":"set_margin_mode","parameters":{"instrument":"BTC-USDT-SWAP","margin_mode":"cross"}}"#
            ),
            Err(RequestError::MissingParameter {
                parameter: "leverage",
                ..
            })
        ));
    }

    #[test]
    fn shared_margin_has_one_leverage_for_both_positions() {
        let set = |margin: &str| {
            body(&format!(
                r#"{{"operation":"set_leverage","parameters":{{"instrument":"BTC-USDT-SWAP","leverage":"5.0","position_side":"long","margin_mode":"{margin}"}}}}"#
            ))
            .unwrap()
        };
        assert_eq!(
            set("cross"),
            r#"POST /api/v5/account/set-leverage{"lever":"5","mgnMode":"cross","instId":"BTC-USDT-SWAP"}"#
        );
        assert!(set("isolated").ends_with(r#""posSide":"long"}"#));
    }

    #[test]
    fn a_ladder_is_one_reduce_only_trigger_per_rung() {
        let operation: Operation = serde_json::from_str(
            r#"{"operation":"place_stop_ladder","parameters":{"rungs":[
                {"instrument":"BTC-USDT-SWAP","side":"sell","size":"0.01","order_kind":"stop_market","trigger_price":"45000"},
                {"instrument":"BTC-USDT-SWAP","side":"sell","size":"0.02","order_kind":"stop_limit","trigger_price":"44000","price":"43900","trigger_by":"mark"}
            ]}}"#,
        )
        .unwrap();
        let instruments = known();
        let context = Context {
            instruments: &instruments,
            timestamp_ms: 0,
        };
        let requests = requests(&operation, &context).unwrap();
        assert_eq!(requests.len(), 2);
        assert!(
            requests
                .iter()
                .all(|request| request.body.contains(r#""reduceOnly":true"#))
        );
        assert!(
            requests[0]
                .body
                .contains(r#""slOrdPx":"-1","slTriggerPxType":"last""#)
        );
        assert!(
            requests[1]
                .body
                .contains(r#""slOrdPx":"43900","slTriggerPxType":"mark""#)
        );
    }

    #[test]
    fn old_fills_are_asked_for_in_the_history() {
        let fills = |start: u64| {
            body(&format!(
                r#"{{"operation":"fills","parameters":{{"start_ms":{start}}}}}"#
            ))
            .unwrap()
        };
        assert!(fills(1_699_999_000_000).starts_with("GET /api/v5/trade/fillsbegin="));
        assert!(fills(1_600_000_000_000).starts_with("GET /api/v5/trade/fills-history"));
    }

    #[test]
    fn the_dead_mans_switch_has_limits() {
        let after = |ms: u64| {
            body(&format!(
                r#"{{"operation":"cancel_all_after","parameters":{{"after_ms":{ms}}}}}"#
            ))
        };
        assert!(after(30_500).unwrap().ends_with(r#"{"timeOut":30}"#));
        assert!(after(0).unwrap().ends_with(r#"{"timeOut":0}"#));
        assert!(after(500).is_err());
        assert!(after(121_000).is_err());
    }
}
