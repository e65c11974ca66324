//! Orders as v3 takes them.

use serde_json::{Value, json};

use super::super::super::shared::{number, plain, text, whole};
use super::super::orders::{mode_of, order_ref, quote_of};
use super::super::rows::{client_id, closes};
use super::super::{Bitget, Refusal, missing, refusal, rejected};
use super::{bad, only_listed, told};
use crate::model::{MarginMode, Order, OrderKind, PositionMode, PositionSide, Side, Text, TimeInForce};
use crate::operation::{AmendOrder, NewOrder, OrderRef};
use crate::simulate::engine::{Engine, Reject};

/// Most orders in a batch.
const LARGEST_BATCH: usize = 20;
/// Longest owner's id.
const LONGEST_CLIENT_ID: usize = 32;
/// Shortest and longest countdown until everything is cancelled, seconds.
const COUNTDOWN: std::ops::RangeInclusive<u64> = 5..=60;

pub(super) fn side_of(asked: &Value) -> Result<Side, Refusal> {
    match text(asked, "side").as_deref() {
        Some("buy") => Ok(Side::Buy),
        Some("sell") => Ok(Side::Sell),
        Some(_) => Err(bad("side")),
        None => Err(missing("side")),
    }
}

/// `posSide`, which only long and short positions have.
pub(super) fn position_side(asked: &Value) -> Result<Option<PositionSide>, Refusal> {
    match text(asked, "posSide").as_deref() {
        None => Ok(None),
        Some("long") => Ok(Some(PositionSide::Long)),
        Some("short") => Ok(Some(PositionSide::Short)),
        Some(_) => Err(bad("posSide")),
    }
}

/// The position an order is for, and whether it may only make it smaller.
fn ways(asked: &Value, side: Side, mode: PositionMode) -> Result<(PositionSide, bool), Refusal> {
    let reduces = match text(asked, "reduceOnly").as_deref() {
        None | Some("no" | "NO") => false,
        Some("yes" | "YES") => true,
        Some(_) => return Err(bad("reduceOnly")),
    };
    match (mode, position_side(asked)?) {
        (PositionMode::OneWay, None) => Ok((PositionSide::Net, reduces)),
        (PositionMode::Hedge, Some(position)) => Ok((position, closes(side, position))),
        _ => Err(rejected(&Reject::PositionMode)),
    }
}

fn margin_mode(asked: &Value) -> Result<MarginMode, Refusal> {
    match text(asked, "marginMode").as_deref() {
        None | Some("crossed") => Ok(MarginMode::Cross),
        Some("isolated") => Ok(MarginMode::Isolated),
        Some(_) => Err(bad("marginMode")),
    }
}

/// The owner's id: letters, digits and some signs, at most 32.
pub(super) fn own_id(asked: &Value) -> Result<Option<Text>, Refusal> {
    let id = text(asked, "clientOid");
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".:/_-".contains(&byte);
    match &id {
        Some(given) if given.len() > LONGEST_CLIENT_ID || !given.bytes().all(allowed) => {
            Err(bad("clientOid"))
        }
        _ => Ok(id),
    }
}

/// The answer about one order.
pub(super) fn ids(order: &Order) -> Value {
    json!({ "orderId": order.order_id, "clientOid": client_id(order) })
}

/// One row for every order of a list, in its order.
fn each(list: &[Value], mut act: impl FnMut(&Value) -> Result<Value, Refusal>) -> Value {
    list.iter()
        .map(|asked| {
            act(asked).unwrap_or_else(|refusal| {
                json!({ "orderId": text(asked, "orderId"), "clientOid": text(asked, "clientOid"),
                        "code": refusal.code, "msg": refusal.message })
            })
        })
        .collect()
}

/// A body that is a list of orders.
fn listed(body: &Value) -> Result<&[Value], Refusal> {
    let list = body
        .as_array()
        .filter(|list| !list.is_empty())
        .ok_or_else(|| bad("body"))?;
    if list.len() > LARGEST_BATCH {
        return Err(refusal(
            "40306",
            format!("Batch processing orders can only process up to {LARGEST_BATCH}"),
        ));
    }
    Ok(list)
}

fn kind_and_time(asked: &Value) -> Result<(OrderKind, TimeInForce), Refusal> {
    let kind = match text(asked, "orderType").as_deref() {
        Some("market") => return Ok((OrderKind::Market, TimeInForce::GoodTilCancelled)),
        Some("limit") => OrderKind::Limit,
        Some(_) => return Err(bad("orderType")),
        None => return Err(missing("orderType")),
    };
    let time_in_force = match text(asked, "timeInForce").as_deref() {
        None | Some("gtc") => TimeInForce::GoodTilCancelled,
        Some("ioc") => TimeInForce::ImmediateOrCancel,
        Some("fok") => TimeInForce::FillOrKill,
        Some("post_only") => TimeInForce::PostOnly,
        Some(_) => return Err(bad("timeInForce")),
    };
    Ok((kind, time_in_force))
}

impl Bitget {
    pub(super) fn unified_place(
        &self,
        asked: &Value,
        key: &str,
        engine: &mut Engine,
    ) -> Result<Value, Refusal> {
        only_listed(asked)?;
        let quote = quote_of(asked, engine)?;
        let side = side_of(asked)?;
        let (position_side, reduce_only) = ways(asked, side, mode_of(key, engine))?;
        let (order_kind, time_in_force) = kind_and_time(asked)?;
        let margin_mode = margin_mode(asked)?;
        let size = number(asked, "qty").ok_or_else(|| missing("qty"))?;
        let price = number(asked, "price").filter(|_| order_kind == OrderKind::Limit);
        if order_kind == OrderKind::Limit && price.is_none() {
            return Err(missing("price"));
        }
        if order_kind == OrderKind::Market
            && let Some(most) = quote.instrument.maximum_market_size.filter(|most| size > *most)
        {
            return Err(refusal(
                "45111",
                format!("The maximum order quantity of a market order is {}", plain(most)),
            ));
        }
        for not_simulated in ["takeProfit", "stopLoss"] {
            // Better refused than forgotten.
            if text(asked, not_simulated).is_some() {
                return Err(bad(not_simulated));
            }
        }
        let order = NewOrder {
            instrument: quote.instrument.instrument.clone(),
            side,
            size,
            order_kind,
            price,
            time_in_force: Some(time_in_force),
            reduce_only,
            position_side,
            margin_mode,
            leverage: None,
            client_order_id: own_id(asked)?,
        };
        let open = engine
            .positions(key)
            .iter()
            .any(|position| position.instrument == order.instrument);
        if !open && let Some(account) = engine.account_mut(key) {
            account.margin_modes.insert(order.instrument.clone(), margin_mode);
        }
        let taken = engine.place_or_end(key, &order).map_err(|reject| told(&reject))?;
        self.remember(&taken, margin_mode, Text::default(), Text::default());
        Ok(ids(&taken))
    }

    pub(super) fn unified_place_batch(
        &self,
        body: &Value,
        key: &str,
        engine: &mut Engine,
    ) -> Result<Value, Refusal> {
        let list = listed(body)?;
        if list.iter().any(|one| one["category"] != list[0]["category"]) {
            return Err(bad("category"));
        }
        Ok(each(list, |asked| self.unified_place(asked, key, engine)))
    }
}

/// Changes an order that is open; it keeps its id.
pub(super) fn modify(asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    let wanted = order_ref(asked)?;
    let (size, price) = (number(asked, "qty"), number(asked, "price"));
    if size.is_none() && price.is_none() {
        return Err(missing("qty"));
    }
    let known = engine
        .account(key)
        .and_then(|account| account.order(&wanted))
        .filter(|known| known.trigger_price.is_none())
        .ok_or_else(|| told(&Reject::UnknownOrder))?;
    let change = AmendOrder {
        instrument: known.instrument.clone(),
        order_id: Some(known.order_id.clone()),
        client_order_id: None,
        side: None,
        size,
        price,
        reduce_only: known.reduce_only,
    };
    let changed = engine.amend(key, &change).map_err(|reject| told(&reject))?;
    Ok(ids(&changed))
}

pub(super) fn cancel(asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    let wanted = order_ref(asked)?;
    engine
        .account(key)
        .and_then(|account| account.order(&wanted))
        .filter(|known| known.trigger_price.is_none())
        .ok_or_else(|| told(&Reject::UnknownOrder))?;
    let wanted = OrderRef {
        instrument: Text::default(),
        ..wanted
    };
    let order = engine.cancel(key, &wanted).map_err(|reject| told(&reject))?;
    Ok(ids(&order))
}

pub(super) fn cancel_batch(body: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    let list = listed(body)?;
    Ok(each(list, |asked| {
        only_listed(asked)?;
        quote_of(asked, engine)?;
        cancel(asked, key, engine)
    }))
}

/// Cancels all orders of an instrument, or of the product where none is named.
pub(super) fn cancel_all(asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    only_listed(asked)?;
    let symbol = text(asked, "symbol");
    if symbol.is_some() {
        quote_of(asked, engine)?;
    }
    let cancelled: Vec<Value> = engine
        .cancel_all(key, symbol.as_deref(), false)
        .iter()
        .map(ids)
        .collect();
    Ok(json!({ "list": cancelled }))
}

/// Closes at market: one position, those of an instrument or all of them.
pub(super) fn close(asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    only_listed(asked)?;
    let symbol = text(asked, "symbol");
    let wanted = position_side(asked)?;
    let open: Vec<_> = engine
        .positions(key)
        .into_iter()
        .filter(|position| {
            let way = if position.size.is_sign_positive() {
                PositionSide::Long
            } else {
                PositionSide::Short
            };
            symbol
                .as_ref()
                .is_none_or(|symbol| position.instrument == *symbol)
                && wanted.is_none_or(|wanted| wanted == way)
        })
        .collect();
    if open.is_empty() {
        return Err(told(&Reject::NoPosition));
    }
    let closed: Vec<Value> = open
        .iter()
        .map(|position| {
            engine
                .close_position(key, &position.instrument, position.position_side)
                .map_or_else(
                    |reject| {
                        let refusal = told(&reject);
                        json!({ "orderId": "", "clientOid": "", "code": refusal.code, "msg": refusal.message })
                    },
                    |order| ids(&order),
                )
        })
        .collect();
    Ok(json!({ "list": closed }))
}

/// Cancels everything after so many seconds unless it is asked for again before; 0 ends that.
pub(super) fn countdown(asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    let seconds = whole(asked, "countdown").ok_or_else(|| missing("countdown"))?;
    if seconds != 0 && !COUNTDOWN.contains(&seconds) {
        return Err(bad("countdown"));
    }
    let at_ms = (seconds > 0).then(|| engine.now_ms() + seconds * 1_000);
    engine.cancel_all_at(key, at_ms);
    Ok(json!("success"))
}
