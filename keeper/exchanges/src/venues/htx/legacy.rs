//! Operations in the words of the interface before v5. Everything about an account is a POST; margin that is shared
//! (`swap_cross_…`) and margin of a position's own (`swap_…`) have paths of their own.

use super::requests::{
    bad, client_id, closes, contracts, id, mode, named, post, price, public, reduce_only, side,
    timer_members, unsupported, whole, whole_leverage,
};
use crate::error::RequestError;
use crate::model::{MarginMode, OrderKind, PositionSide, Side, TimeInForce, TriggerPrice};
use crate::operation::{ClosePosition, ConditionalOrder, NewOrder, Operation, OrderRef};
use crate::protocol::Context;
use crate::request::Request;
use crate::venues::{OrderId, Parameters, json_object, json_text};

/// Asset of the account.
const MARGIN_ACCOUNT: &str = "USDT";

/// Orders in one batch.
const MAXIMUM_BATCH: usize = 25;

/// Ids in one cancellation.
const MAXIMUM_CANCELS: usize = 10;

/// The requests of an operation.
pub(super) fn requests(operation: &Operation, context: &Context<'_>) -> Result<Vec<Request>, RequestError> {
    let parameters = Parameters(operation.name());
    if let Some(request) = public(operation, context) {
        return Ok(vec![request]);
    }
    let account = || vec![("margin_account", json_text(MARGIN_ACCOUNT))];
    let one = match operation {
        // How the account is set up, and the leverage of each contract, stand beside its balance.
        Operation::Balances(_) | Operation::AccountMode(_) | Operation::Leverage(_) => {
            of_account(MarginMode::Cross, "account_info", &account())
        }
        Operation::Positions(query) => of_account(
            MarginMode::Cross,
            "position_info",
            &named(query.instrument.as_ref()),
        ),
        Operation::SetPositionMode(change) => {
            let mut members = account();
            members.push(("position_mode", json_text(mode(change.position_mode))));
            of_account(MarginMode::Cross, "switch_position_mode", &members)
        }
        Operation::SetLeverage(change) => of_account(
            change.margin_mode,
            "switch_lever_rate",
            &[
                ("contract_code", json_text(&change.instrument)),
                ("lever_rate", whole_leverage(change)?),
            ],
        ),
        Operation::OpenOrders(query) => {
            of_account(MarginMode::Cross, "openorders", &named(query.instrument.as_ref()))
        }
        Operation::Order(order) => of_account(
            MarginMode::Cross,
            "order_info",
            &identified(std::slice::from_ref(order), &parameters)?,
        ),
        Operation::Fills(query) => {
            let instrument = parameters.need("instrument", query.instrument.as_ref())?;
            // All kinds of trades.
            let mut members = vec![
                ("contract", json_text(instrument)),
                ("trade_type", "0".to_owned()),
            ];
            if let Some(start) = query.start_ms {
                members.push(("start_time", start.to_string()));
            }
            post("/linear-swap-api/v3/swap_cross_matchresults", &members)
        }
        Operation::PlaceOrder(order) => of_account(
            order.margin_mode,
            "order",
            &new_order(order, &parameters, context)?,
        ),
        Operation::PlaceOrders(several) => return batches(&several.orders, &parameters, context),
        Operation::CancelOrder(order) => of_account(
            MarginMode::Cross,
            "cancel",
            &identified(std::slice::from_ref(order), &parameters)?,
        ),
        Operation::CancelOrders(several) => {
            if several.orders.is_empty() {
                return Err(bad("orders", "", "at least one"));
            }
            return several
                .orders
                .chunks(MAXIMUM_CANCELS)
                .map(|part| {
                    Ok(of_account(
                        MarginMode::Cross,
                        "cancel",
                        &identified(part, &parameters)?,
                    ))
                })
                .collect();
        }
        Operation::CancelAllOrders(query) => {
            parameters.need("instrument", query.instrument.as_ref())?;
            of_account(MarginMode::Cross, "cancelall", &named(query.instrument.as_ref()))
        }
        Operation::ClosePosition(close) => close_position(close, &parameters, context)?,
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
            let id = match id(order, &parameters)? {
                OrderId::Venue(id) => json_text(id),
                OrderId::Client(id) => {
                    return Err(bad("client_order_id", id, "stops have only the venue's id here"));
                }
            };
            of_account(
                MarginMode::Cross,
                "tpsl_cancel",
                &[("contract_code", json_text(&order.instrument)), ("order_id", id)],
            )
        }
        // Unconfirmed.
        Operation::CancelAllAfter(timer) => post(
            "/linear-swap-api/v1/linear-cancel-after",
            &timer_members(timer.after_ms),
        ),
        other => return Err(unsupported(other)),
    };
    Ok(vec![one])
}

fn of_account(mode: MarginMode, name: &str, members: &[(&str, String)]) -> Request {
    let shared = match mode {
        MarginMode::Cross => "cross_",
        MarginMode::Isolated => "",
    };
    post(&format!("/linear-swap-api/v1/swap_{shared}{name}"), members)
}

/// One contract and the ids of its orders, with commas between.
fn identified(
    orders: &[OrderRef],
    parameters: &Parameters,
) -> Result<Vec<(&'static str, String)>, RequestError> {
    let first = orders.first().ok_or_else(|| bad("orders", "", "at least one"))?;
    let mut by_venue = Vec::new();
    let mut by_client = Vec::new();
    for order in orders {
        if order.instrument != first.instrument {
            return Err(bad("orders", &order.instrument, "all of one instrument"));
        }
        match id(order, parameters)? {
            OrderId::Venue(id) => by_venue.push(id),
            OrderId::Client(id) => by_client.push(id),
        }
    }
    let identity = match (by_venue.is_empty(), by_client.is_empty()) {
        (false, true) => ("order_id", by_venue),
        (true, false) => ("client_order_id", by_client),
        _ => {
            return Err(bad(
                "orders",
                "both kinds of ids",
                "all by the venue's id, or all by the owner's",
            ));
        }
    };
    Ok(vec![
        (identity.0, json_text(&identity.1.join(","))),
        ("contract_code", json_text(&first.instrument)),
    ])
}

fn new_order(
    order: &NewOrder,
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<Vec<(&'static str, String)>, RequestError> {
    let kind = match (order.order_kind, order.time_in_force) {
        (OrderKind::Limit, None | Some(TimeInForce::GoodTilCancelled)) => "limit",
        (OrderKind::Limit, Some(TimeInForce::PostOnly)) => "post_only",
        (OrderKind::Limit, Some(TimeInForce::ImmediateOrCancel)) => "ioc",
        (OrderKind::Limit, Some(TimeInForce::FillOrKill)) => "fok",
        (OrderKind::Market, None | Some(TimeInForce::ImmediateOrCancel)) => "market",
        (OrderKind::Market | OrderKind::Limit, Some(other)) => {
            return Err(bad(
                "time_in_force",
                format!("{other:?}"),
                "not for this kind of order",
            ));
        }
        (other, _) => {
            return Err(bad(
                "order_kind",
                format!("{other:?}"),
                "market or limit; triggers are conditional orders",
            ));
        }
    };
    // The order must repeat the leverage of the position, or the venue refuses it (1045, 1094).
    let leverage = whole(parameters.need("leverage", order.leverage)?, "leverage")?;
    let reduces = reduce_only(order.reduce_only, order.side, order.position_side)?;
    let mut members = vec![("contract_code", json_text(&order.instrument))];
    if let Some(id) = &order.client_order_id {
        members.push(("client_order_id", client_id(id)?.to_owned()));
    }
    if order.order_kind == OrderKind::Limit {
        members.push(("price", price(parameters.need("price", order.price)?, "price")?));
    }
    members.push(("volume", contracts(&order.instrument, order.size, context)?));
    members.push(("direction", json_text(side(order.side))));
    members.push((
        "offset",
        json_text(match closes(order.side, order.position_side) {
            None => "both",
            Some(true) => "close",
            Some(false) => "open",
        }),
    ));
    members.push(("lever_rate", leverage));
    members.push(("order_price_type", json_text(kind)));
    if order.position_side == PositionSide::Net {
        members.push(("reduce_only", u8::from(reduces).to_string()));
    }
    Ok(members)
}

/// As many as fit one request; margin modes have paths of their own.
fn batches(
    orders: &[NewOrder],
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<Vec<Request>, RequestError> {
    let first = orders.first().ok_or_else(|| bad("orders", "", "at least one"))?;
    if orders.iter().any(|order| order.margin_mode != first.margin_mode) {
        return Err(bad("orders", "both margin modes", "all of one margin mode"));
    }
    orders
        .chunks(MAXIMUM_BATCH)
        .map(|part| {
            let list: Result<Vec<_>, _> = part
                .iter()
                .map(|order| new_order(order, parameters, context).map(|members| json_object(&members)))
                .collect();
            Ok(of_account(
                first.margin_mode,
                "batchorder",
                &[("orders_data", format!("[{}]", list?.join(",")))],
            ))
        })
        .collect()
}

/// The venue closes at once, but wants to be told how much.
fn close_position(
    close: &ClosePosition,
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<Request, RequestError> {
    let position = parameters.need("size", close.size)?;
    let direction = if position.is_sign_negative() {
        Side::Buy
    } else {
        Side::Sell
    };
    if closes(direction, close.position_side) == Some(false) {
        return Err(bad(
            "size",
            position,
            "its sign is not that of the position named",
        ));
    }
    let mut members = vec![
        ("contract_code", json_text(&close.instrument)),
        ("volume", contracts(&close.instrument, position.abs(), context)?),
        ("direction", json_text(side(direction))),
    ];
    if let Some(id) = &close.client_order_id {
        members.push(("client_order_id", client_id(id)?.to_owned()));
    }
    Ok(of_account(
        close.margin_mode,
        "lightning_close_position",
        &members,
    ))
}

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
    if order.trigger_by != TriggerPrice::Last {
        return Err(bad("trigger_by", format!("{:?}", order.trigger_by), "last"));
    }
    if let Some(id) = &order.client_order_id {
        return Err(bad("client_order_id", id, "stops have only the venue's id here"));
    }
    let (trigger, limit, kind, limited) = match order.order_kind {
        OrderKind::StopMarket => ("sl_trigger_price", "sl_order_price", "sl_order_price_type", false),
        OrderKind::StopLimit => ("sl_trigger_price", "sl_order_price", "sl_order_price_type", true),
        OrderKind::TakeProfitMarket => ("tp_trigger_price", "tp_order_price", "tp_order_price_type", false),
        OrderKind::TakeProfitLimit => ("tp_trigger_price", "tp_order_price", "tp_order_price_type", true),
        other => {
            return Err(bad("order_kind", format!("{other:?}"), "a stop or a take-profit"));
        }
    };
    let mut members = vec![
        ("contract_code", json_text(&order.instrument)),
        ("direction", json_text(side(order.side))),
        ("volume", contracts(&order.instrument, order.size, context)?),
        (trigger, price(order.trigger_price, "trigger_price")?),
    ];
    if limited {
        members.push((limit, price(parameters.need("price", order.price)?, "price")?));
    }
    members.push((kind, json_text(if limited { "limit" } else { "market" })));
    Ok(of_account(order.margin_mode, "tpsl_order", &members))
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
            "{{\"operation\":\"place_order\",\"parameters\":{{\"instrument\":\"BTC-USDT\",\"size\":\"0.003\",{parameters}}}}}"
        ))
        .map(|mut list| list.remove(0))
    }

    #[test]
    fn an_order_repeats_the_leverage_and_names_its_offset() {
        assert_eq!(
            place(r#""side":"buy","order_kind":"limit","price":"50000","leverage":"5","position_side":"short","client_order_id":"7""#)
                .unwrap(),
            r#"/linear-swap-api/v1/swap_cross_order {"contract_code":"BTC-USDT","client_order_id":7,"price":50000,"volume":3,"direction":"buy","offset":"close","lever_rate":5,"order_price_type":"limit"}"#
        );
        assert!(matches!(
            place(r#""side":"buy""#),
            Err(RequestError::MissingParameter {
                parameter: "leverage",
                ..
            })
        ));
        let one_way =
            place(r#""side":"sell","leverage":"5","reduce_only":true,"margin_mode":"isolated""#).unwrap();
        assert!(
            one_way.starts_with("/linear-swap-api/v1/swap_order "),
            "{one_way}"
        );
        assert!(one_way.contains(r#""offset":"both""#) && one_way.contains(r#""reduce_only":1"#));
    }

    #[test]
    fn cancellations_are_cut_to_what_one_request_takes() {
        let orders: Vec<String> = (1..=11)
            .map(|id| format!("{{\"instrument\":\"BTC-USDT\",\"order_id\":\"{id}\"}}"))
            .collect();
        let list = bodies(&format!(
            "{{\"operation\":\"cancel_orders\",\"parameters\":{{\"orders\":[{}]}}}}",
            orders.join(",")
        ))
        .unwrap();
        assert_eq!(list.len(), 2);
        assert!(
            list[1].ends_with(r#"{"order_id":"11","contract_code":"BTC-USDT"}"#),
            "{}",
            list[1]
        );
    }

    #[test]
    fn a_short_position_is_bought_back() {
        let list = bodies(
            r#"{"operation":"close_position","parameters":{"instrument":"BTC-USDT","size":"-0.005","position_side":"short"}}"#,
        )
        .unwrap();
        assert_eq!(
            list[0],
            r#"/linear-swap-api/v1/swap_cross_lightning_close_position {"contract_code":"BTC-USDT","volume":5,"direction":"buy"}"#
        );
        assert!(
            bodies(r#"{"operation":"close_position","parameters":{"instrument":"BTC-USDT","size":"-0.005","position_side":"long"}}"#)
                .is_err()
        );
    }
}
