//! Operations in the words of v5, and the public reads that both generations share.

use super::connections::period;
use crate::error::RequestError;
use crate::model::{
    Decimal, MarginMode, OrderKind, PositionMode, PositionSide, Side, Text, TimeInForce, TriggerPrice, Venue,
};
use crate::operation::{
    ClosePosition, ConditionalOrder, KlineQuery, NewOrder, Operation, OrderRef, OrderRefs, SetLeverage,
};
use crate::protocol::Context;
use crate::request::{Access, Method, Request};
use crate::venues::{OrderId, Parameters, json_object, json_text};

/// Most klines and trades in one reply.
const MAXIMUM_LIST: u32 = 2_000;

/// Trades asked for.
const TRADES: u32 = 100;

/// The requests of an operation.
pub(super) fn requests(operation: &Operation, context: &Context<'_>) -> Result<Vec<Request>, RequestError> {
    let parameters = Parameters(operation.name());
    if let Some(request) = public(operation, context) {
        return Ok(vec![request]);
    }
    let one = match operation {
        Operation::Balances(_) => get("/v5/account/balance"),
        Operation::Positions(query) => {
            get("/v5/trade/position/opens").with_some("contract_code", query.instrument.as_deref())
        }
        Operation::AccountMode(_) => get("/v5/position/mode"),
        Operation::SetPositionMode(change) => post(
            "/v5/position/mode",
            &[("position_mode", json_text(mode(change.position_mode)))],
        ),
        Operation::Leverage(query) => get("/v5/position/lever")
            .with("contract_code", query.instrument.as_str())
            .with("margin_mode", margin(MarginMode::Cross)),
        Operation::SetLeverage(change) => post(
            "/v5/position/lever",
            &[
                ("lever_rate", whole_leverage(change)?),
                ("contract_code", json_text(&change.instrument)),
                ("margin_mode", json_text(margin(change.margin_mode))),
            ],
        ),
        Operation::OpenOrders(query) => {
            get("/v5/trade/order/opens").with_some("contract_code", query.instrument.as_deref())
        }
        Operation::Order(order) => {
            let request = get("/v5/trade/order");
            match id(order, &parameters)? {
                OrderId::Venue(id) => request.with("order_id", id),
                OrderId::Client(id) => request.with("client_order_id", id),
            }
            .with("contract_code", order.instrument.as_str())
            // The operation does not say how margin is shared; orders of this program share it unless told otherwise.
            .with("margin_mode", margin(MarginMode::Cross))
        }
        Operation::Fills(query) => get("/v5/trade/order/details")
            .with_some("start_time", query.start_ms.map(|start| start.to_string()))
            .with_some("contract_code", query.instrument.as_deref())
            .with_some("limit", query.limit.map(|limit| limit.to_string())),

        Operation::PlaceOrder(order) => post("/v5/trade/order", &new_order(order, &parameters, context)?),
        Operation::PlaceOrders(several) => {
            let list: Result<Vec<_>, _> = several
                .orders
                .iter()
                .map(|order| new_order(order, &parameters, context).map(|members| json_object(&members)))
                .collect();
            post_list("/v5/trade/batch_orders", &list?)?
        }
        Operation::CancelOrder(order) => {
            let identity = match id(order, &parameters)? {
                OrderId::Venue(id) => ("order_id", json_text(id)),
                OrderId::Client(id) => ("client_order_id", json_text(id)),
            };
            post(
                "/v5/trade/cancel_order",
                &[identity, ("contract_code", json_text(&order.instrument))],
            )
        }
        Operation::CancelOrders(several) => cancel_several(several, &parameters)?,
        Operation::CancelAllOrders(query) => {
            let instrument = parameters.need("instrument", query.instrument.as_ref())?;
            post(
                "/v5/trade/cancel_all_orders",
                &[("contract_code", json_text(instrument))],
            )
        }
        Operation::ClosePosition(close) => close_position(close)?,
        Operation::PlaceConditionalOrder(order) => {
            conditional(order, order.reduce_only, &parameters, context)?
        }
        Operation::PlaceStopLadder(ladder) => {
            return ladder
                .rungs
                .iter()
                .map(|rung| conditional(rung, true, &parameters, context))
                .collect();
        }
        Operation::CancelConditionalOrder(order) => {
            let identity = match id(order, &parameters)? {
                OrderId::Venue(id) => ("algo_id", json_text(id)),
                OrderId::Client(id) => ("algo_client_order_id", json_text(id)),
            };
            post_list(
                "/v5/algo/cancel_orders",
                &[json_object(&[
                    ("contract_code", json_text(&order.instrument)),
                    identity,
                ])],
            )?
        }
        // Its members are those of the interface before v5; that v5 kept them is unconfirmed.
        Operation::CancelAllAfter(timer) => post("/v5/trade/cancel-after", &timer_members(timer.after_ms)),
        other => return Err(unsupported(other)),
    };
    Ok(vec![one])
}

/// What neither generation has, and what to do instead.
pub(super) fn unsupported(operation: &Operation) -> RequestError {
    RequestError::Unsupported {
        venue: Venue::Htx,
        operation: operation.name(),
        instead: match operation {
            Operation::AmendOrder(_) => "cancel the order and place another",
            Operation::SetMarginMode(_) => "each order says how its margin is shared",
            _ => "the account's socket logs in instead",
        },
    }
}

/// Reads that need no key; the same in both generations.
pub(super) fn public(operation: &Operation, context: &Context<'_>) -> Option<Request> {
    let open = |path: &str| Request::new(Method::Get, path, Access::Public);
    Some(match operation {
        Operation::ServerTime(_) => open("/api/v1/timestamp"),
        Operation::Instruments(_) => open("/linear-swap-api/v1/swap_contract_info"),
        Operation::Ticker(query) => {
            open("/linear-swap-ex/market/detail/merged").with("contract_code", query.instrument.as_str())
        }
        Operation::Book(query) => open("/linear-swap-ex/market/depth")
            .with("type", "step0")
            .with("contract_code", query.instrument.as_str()),
        Operation::Trades(query) => open("/linear-swap-ex/market/history/trade")
            .with("size", TRADES.to_string())
            .with("contract_code", query.instrument.as_str()),
        Operation::Klines(query) => klines(open("/linear-swap-ex/market/history/kline"), query, context),
        Operation::Mark(query) => open("/index/market/history/linear_swap_mark_price_kline")
            .with("period", "1min")
            .with("size", "1")
            .with("contract_code", query.instrument.as_str()),
        Operation::Funding(query) => {
            open("/v5/market/funding_rate").with("contract_code", query.instrument.as_str())
        }
        _ => return None,
    })
}

/// By number of klines, or by time, which is in seconds; where a number is given the venue ignores the time.
fn klines(request: Request, query: &KlineQuery, context: &Context<'_>) -> Request {
    let request = request.with("period", period(query.interval));
    let limit = query.limit.unwrap_or(MAXIMUM_LIST).min(MAXIMUM_LIST);
    let request = match (query.start_ms, query.end_ms) {
        (None, None) => request.with("size", limit.to_string()),
        (start, end) => {
            let length = query
                .interval
                .milliseconds()
                .saturating_mul(u64::from(limit.saturating_sub(1)));
            let end_ms = end.unwrap_or_else(|| {
                start.map_or(context.timestamp_ms, |start| {
                    start.saturating_add(length).min(context.timestamp_ms)
                })
            });
            let start_ms = start.unwrap_or_else(|| end_ms.saturating_sub(length));
            request
                .with("from", (start_ms / 1_000).to_string())
                .with("to", (end_ms / 1_000).to_string())
        }
    };
    request.with("contract_code", query.instrument.as_str())
}

fn get(path: &str) -> Request {
    Request::new(Method::Get, path, Access::Signed)
}

/// A signed POST with an object.
pub(super) fn post(path: &str, members: &[(&str, String)]) -> Request {
    Request::new(Method::Post, path, Access::Signed).json(json_object(members))
}

fn post_list(path: &str, list: &[String]) -> Result<Request, RequestError> {
    if list.is_empty() {
        return Err(bad("orders", "", "at least one"));
    }
    Ok(Request::new(Method::Post, path, Access::Signed).json(format!("[{}]", list.join(","))))
}

/// A parameter that cannot be taken.
pub(super) fn bad(parameter: &'static str, value: impl ToString, reason: &'static str) -> RequestError {
    RequestError::BadParameter {
        parameter,
        value: value.to_string(),
        reason,
    }
}

/// The venue's word for a side.
pub(super) const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

pub(super) const fn margin(mode: MarginMode) -> &'static str {
    match mode {
        MarginMode::Cross => "cross",
        MarginMode::Isolated => "isolated",
    }
}

pub(super) const fn mode(mode: PositionMode) -> &'static str {
    match mode {
        PositionMode::OneWay => "single_side",
        PositionMode::Hedge => "dual_side",
    }
}

/// Leverage as a whole number.
pub(super) fn whole_leverage(change: &SetLeverage) -> Result<String, RequestError> {
    whole(change.leverage, "leverage")
}

pub(super) fn whole(value: Decimal, parameter: &'static str) -> Result<String, RequestError> {
    if value < Decimal::ONE || !value.fract().is_zero() {
        return Err(bad(parameter, value, "a whole number from 1 on"));
    }
    Ok(value.trunc().normalize().to_string())
}

/// Milliseconds of the timer, and whether it is on.
pub(super) fn timer_members(after_ms: u64) -> Vec<(&'static str, String)> {
    let mut members = vec![("on_off", u8::from(after_ms > 0).to_string())];
    if after_ms > 0 {
        members.push(("time_out", after_ms.to_string()));
    }
    members
}

/// A size in whole contracts, rounded down.
pub(super) fn contracts(
    instrument: &str,
    size: Decimal,
    context: &Context<'_>,
) -> Result<String, RequestError> {
    context
        .instruments
        .get(instrument)?
        .from_base(size, None)
        .filter(|contracts| *contracts > Decimal::ZERO)
        .map(|contracts| contracts.normalize().to_string())
        .ok_or_else(|| bad("size", size, "less than one contract"))
}

/// The owner's id of an order: a whole number that fits 63 bits, unused for a day.
pub(super) fn client_id(id: &str) -> Result<&str, RequestError> {
    match id.parse::<i64>() {
        Ok(number) if number > 0 && !id.starts_with(['+', '0']) => Ok(id),
        _ => Err(bad(
            "client_order_id",
            id,
            "a whole number from 1 to 9223372036854775807",
        )),
    }
}

/// Either id, each in its alphabet.
pub(super) fn id<'a>(order: &'a OrderRef, parameters: &Parameters) -> Result<OrderId<'a>, RequestError> {
    match parameters.need_id(order.order_id.as_ref(), order.client_order_id.as_ref())? {
        OrderId::Client(id) => Ok(OrderId::Client(client_id(id)?)),
        OrderId::Venue(id) if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(OrderId::Venue(id))
        }
        OrderId::Venue(id) => Err(bad("order_id", id, "a whole number")),
    }
}

pub(super) fn price(value: Decimal, parameter: &'static str) -> Result<String, RequestError> {
    if value > Decimal::ZERO {
        Ok(value.normalize().to_string())
    } else {
        Err(bad(parameter, value, "above zero"))
    }
}

/// Whether an order opens or closes the position of hedge mode it names; none for one-way mode.
pub(super) const fn closes(side: Side, position: PositionSide) -> Option<bool> {
    match (position, side) {
        (PositionSide::Net, _) => None,
        (PositionSide::Long, Side::Sell) | (PositionSide::Short, Side::Buy) => Some(true),
        (PositionSide::Long, Side::Buy) | (PositionSide::Short, Side::Sell) => Some(false),
    }
}

/// The reduce-only mark that goes out. In hedge mode side and position say it already and the venue takes no mark; an
/// order that opens a position cannot be reduce-only.
pub(super) fn reduce_only(
    reduce_only: bool,
    side: Side,
    position: PositionSide,
) -> Result<bool, RequestError> {
    match closes(side, position) {
        None => Ok(reduce_only),
        Some(false) if reduce_only => Err(bad(
            "reduce_only",
            true,
            "this side opens the position it names: buy closes short, sell closes long",
        )),
        Some(_) => Ok(false),
    }
}

fn position(side: PositionSide) -> Option<&'static str> {
    match side {
        PositionSide::Net => None,
        PositionSide::Long => Some("long"),
        PositionSide::Short => Some("short"),
    }
}

type Members = Vec<(&'static str, String)>;

fn new_order(
    order: &NewOrder,
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<Members, RequestError> {
    let rests = order.time_in_force.unwrap_or_default();
    let kind = match (order.order_kind, rests) {
        (OrderKind::Limit, TimeInForce::PostOnly) => "post_only",
        (OrderKind::Market, TimeInForce::PostOnly) => {
            return Err(bad("time_in_force", "post_only", "a market order cannot rest"));
        }
        (OrderKind::Limit, _) => "limit",
        (OrderKind::Market, _) => "market",
        (other, _) => {
            return Err(bad(
                "order_kind",
                format!("{other:?}"),
                "market or limit; triggers are conditional orders",
            ));
        }
    };
    let rests = match rests {
        TimeInForce::GoodTilCancelled | TimeInForce::PostOnly => "gtc",
        TimeInForce::ImmediateOrCancel => "ioc",
        TimeInForce::FillOrKill => "fok",
        TimeInForce::GoodTilDate => {
            return Err(bad("time_in_force", "good_til_date", "the venue has none"));
        }
    };
    let mut members = vec![
        ("contract_code", json_text(&order.instrument)),
        (
            "volume",
            json_text(&contracts(&order.instrument, order.size, context)?),
        ),
        ("margin_mode", json_text(margin(order.margin_mode))),
        ("side", json_text(side(order.side))),
        ("time_in_force", json_text(rests)),
    ];
    if let Some(id) = &order.client_order_id {
        members.push(("client_order_id", client_id(id)?.to_owned()));
    }
    if order.order_kind == OrderKind::Limit {
        let value = parameters.need("price", order.price)?;
        members.push(("price", json_text(&price(value, "price")?)));
    }
    if reduce_only(order.reduce_only, order.side, order.position_side)? {
        members.push(("reduce_only", "1".to_owned()));
    }
    members.push(("type", json_text(kind)));
    if let Some(position) = position(order.position_side) {
        members.push(("position_side", json_text(position)));
    }
    Ok(members)
}

/// All of one contract, all by one kind of id.
fn cancel_several(several: &OrderRefs, parameters: &Parameters) -> Result<Request, RequestError> {
    let first = several
        .orders
        .first()
        .ok_or_else(|| bad("orders", "", "at least one"))?;
    let mut by_venue = Vec::new();
    let mut by_client = Vec::new();
    for order in &several.orders {
        if order.instrument != first.instrument {
            return Err(bad("orders", &order.instrument, "all of one instrument"));
        }
        match id(order, parameters)? {
            OrderId::Venue(id) => by_venue.push(json_text(id)),
            OrderId::Client(id) => by_client.push(json_text(id)),
        }
    }
    let identity = match (by_venue.is_empty(), by_client.is_empty()) {
        (false, true) => ("order_id", format!("[{}]", by_venue.join(","))),
        (true, false) => ("client_order_id", format!("[{}]", by_client.join(","))),
        _ => {
            return Err(bad(
                "orders",
                "both kinds of ids",
                "all by the venue's id, or all by the owner's",
            ));
        }
    };
    Ok(post(
        "/v5/trade/cancel_batch_orders",
        &[("contract_code", json_text(&first.instrument)), identity],
    ))
}

fn close_position(close: &ClosePosition) -> Result<Request, RequestError> {
    let mut members = vec![("contract_code", json_text(&close.instrument))];
    if let Some(id) = &close.client_order_id {
        members.push(("client_order_id", json_text(client_id(id)?)));
    }
    members.push(("margin_mode", json_text(margin(close.margin_mode))));
    if let Some(position) = position(close.position_side) {
        members.push(("position_side", json_text(position)));
    }
    Ok(post("/v5/trade/position", &members))
}

/// A stop or a take-profit of a position. The venue has triggers that open positions too; their members are unconfirmed,
/// so they are not sent.
fn conditional(
    order: &ConditionalOrder,
    reduces: bool,
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<Request, RequestError> {
    if !reduces && closes(order.side, order.position_side) != Some(true) {
        return Err(bad(
            "reduce_only",
            false,
            "only stops and take-profits of a position: say reduce_only",
        ));
    }
    reduce_only(true, order.side, order.position_side)?;
    let (kind, trigger, limit, trigger_kind, limited) = match order.order_kind {
        OrderKind::StopMarket | OrderKind::StopLimit => (
            "sl",
            "sl_trigger_price",
            "sl_order_price",
            "sl_trigger_price_type",
            order.order_kind == OrderKind::StopLimit,
        ),
        OrderKind::TakeProfitMarket | OrderKind::TakeProfitLimit => (
            "tp",
            "tp_trigger_price",
            "tp_order_price",
            "tp_trigger_price_type",
            order.order_kind == OrderKind::TakeProfitLimit,
        ),
        other => {
            return Err(bad("order_kind", format!("{other:?}"), "a stop or a take-profit"));
        }
    };
    let mut members = vec![
        ("contract_code", json_text(&order.instrument)),
        (
            "volume",
            json_text(&contracts(&order.instrument, order.size, context)?),
        ),
        ("margin_mode", json_text(margin(order.margin_mode))),
        ("side", json_text(side(order.side))),
        ("time_in_force", json_text("gtc")),
    ];
    if let Some(id) = &order.client_order_id {
        members.push(("algo_client_order_id", client_id(id)?.to_owned()));
    }
    members.push(("type", json_text(kind)));
    members.push((trigger, json_text(&price(order.trigger_price, "trigger_price")?)));
    if limited {
        let value = parameters.need("price", order.price)?;
        members.push((limit, json_text(&price(value, "price")?)));
    }
    match order.trigger_by {
        // The venue's own when it is left out.
        TriggerPrice::Last => {}
        TriggerPrice::Mark => members.push((trigger_kind, json_text("mark"))),
        TriggerPrice::Index => {
            return Err(bad("trigger_by", "index", "last or mark"));
        }
    }
    if let Some(position) = position(order.position_side) {
        members.push(("position_side", json_text(position)));
    }
    Ok(post("/v5/algo/order", &members))
}

/// Text of an optional instrument.
pub(super) fn named(instrument: Option<&Text>) -> Vec<(&'static str, String)> {
    instrument
        .map(|instrument| vec![("contract_code", json_text(instrument))])
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venues::htx::instruments::known;

    fn bodies(json: &str) -> Result<Vec<String>, RequestError> {
        let operation: Operation = serde_json::from_str(json).unwrap();
        let instruments = known();
        let context = Context {
            instruments: &instruments,
            timestamp_ms: 1_700_000_000_000,
        };
        requests(&operation, &context).map(|list| {
            list.into_iter()
                .map(|request| format!("{} {}", request.path, request.body))
                .collect()
        })
    }

    fn place(parameters: &str) -> Result<String, RequestError> {
        bodies(&format!(
            "{{\"operation\":\"place_order\",\"parameters\":{{\"instrument\":\"BTC-USDT\",{parameters}}}}}"
        ))
        .map(|mut list| list.remove(0))
    }

    #[test]
    fn sizes_become_whole_contracts() {
        assert_eq!(
            place(r#""side":"buy","size":"0.0029","order_kind":"limit","price":"50000""#).unwrap(),
            r#"/v5/trade/order {"contract_code":"BTC-USDT","volume":"2","margin_mode":"cross","side":"buy","time_in_force":"gtc","price":"50000","type":"limit"}"#
        );
        assert!(matches!(
            place(r#""side":"buy","size":"0.0009""#),
            Err(RequestError::BadParameter {
                parameter: "size",
                ..
            })
        ));
    }

    #[test]
    fn in_hedge_mode_the_side_says_whether_it_closes() {
        let closing =
            place(r#""side":"sell","size":"0.001","position_side":"long","reduce_only":true"#).unwrap();
        assert!(closing.contains(r#""position_side":"long""#) && !closing.contains("reduce_only"));
        assert!(matches!(
            place(r#""side":"buy","size":"0.001","position_side":"long","reduce_only":true"#),
            Err(RequestError::BadParameter {
                parameter: "reduce_only",
                ..
            })
        ));
        assert!(
            place(r#""side":"sell","size":"0.001","reduce_only":true"#)
                .unwrap()
                .contains(r#""reduce_only":1"#)
        );
    }

    #[test]
    fn the_owners_id_is_a_number() {
        for id in ["abc", "0", "-1", "9223372036854775808", "+5", "007"] {
            assert!(
                place(&format!(r#""side":"buy","size":"1","client_order_id":"{id}""#)).is_err(),
                "{id}"
            );
        }
        assert!(
            place(r#""side":"buy","size":"1","client_order_id":"9223372036854775807""#)
                .unwrap()
                .contains(r#""client_order_id":9223372036854775807,"#)
        );
    }

    #[test]
    fn what_the_venue_lacks_is_refused() {
        assert!(matches!(
            bodies(r#"{"operation":"amend_order","parameters":{"instrument":"BTC-USDT","order_id":"1"}}"#),
            Err(RequestError::Unsupported { .. })
        ));
        assert!(
            bodies(
                r#"{"operation":"place_conditional_order","parameters":{"instrument":"BTC-USDT","side":"sell","size":"1","order_kind":"stop_market","trigger_price":"1"}}"#
            )
            .is_err()
        );
    }
}
