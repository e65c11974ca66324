//! Take profits and stop losses of a position: v3 calls them strategy orders. One with both triggers is refused, which the
//! venue would take.

use serde_json::{Value, json};

use super::super::super::shared::{empty_or, number, plain, text, zero_or};
use super::super::orders::{kind_of, mode_of, order_ref, quote_of};
use super::super::rows::client_id;
use super::super::{Bitget, Refusal, missing, refusal};
use super::orders::{ids, own_id, position_side, side_of};
use super::{PRODUCT, bad, only_listed, told};
use crate::model::{Order, OrderKind, PositionMode, PositionSide, Side, Text, TriggerPrice};
use crate::operation::ConditionalOrder;
use crate::simulate::engine::{Engine, Reject};

/// What the two kinds of triggers call their parameters: trigger, what moves it, kind and price of the order.
const STOP: [&str; 4] = ["stopLoss", "slTriggerBy", "slOrderType", "slLimitPrice"];
const PROFIT: [&str; 4] = ["takeProfit", "tpTriggerBy", "tpOrderType", "tpLimitPrice"];

impl Bitget {
    pub(super) fn place_strategy(
        &self,
        asked: &Value,
        key: &str,
        engine: &mut Engine,
    ) -> Result<Value, Refusal> {
        only_listed(asked)?;
        let quote = quote_of(asked, engine)?;
        let instrument = quote.instrument.instrument.clone();
        let stop = match (text(asked, STOP[0]), text(asked, PROFIT[0])) {
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(_), Some(_)) => return Err(bad(PROFIT[0])),
            (None, None) => return Err(missing(STOP[0])),
        };
        let [trigger, by, kind, limit_price] = if stop { STOP } else { PROFIT };
        let trigger_price = number(asked, trigger).ok_or_else(|| bad(trigger))?;
        // The engine has one price: all triggers follow it.
        let (trigger_by, word) = match text(asked, by).as_deref() {
            None | Some("market") => (TriggerPrice::Last, "fill_price"),
            Some("mark") => (TriggerPrice::Mark, "mark_price"),
            Some(_) => return Err(bad(by)),
        };
        let limit = match text(asked, kind).as_deref() {
            None | Some("market") => false,
            Some("limit") => true,
            Some(_) => return Err(bad(kind)),
        };
        let price = number(asked, limit_price).filter(|_| limit);
        if limit && price.is_none() {
            return Err(missing(limit_price));
        }
        let guarded = position_side(asked)?.ok_or_else(|| missing("posSide"))?;
        let long = guarded == PositionSide::Long;
        if side_of(asked)? != if long { Side::Sell } else { Side::Buy } {
            return Err(bad("side"));
        }
        let position_side = match mode_of(key, engine) {
            PositionMode::OneWay => PositionSide::Net,
            PositionMode::Hedge => guarded,
        };
        let position = engine
            .positions(key)
            .into_iter()
            .find(|position| {
                position.instrument == instrument
                    && position.position_side == position_side
                    && position.size.is_sign_positive() == long
            })
            .ok_or_else(|| refusal("43023", "Insufficient position, can not set profit or stop loss"))?;
        let mark = plain(quote.price);
        let margin_mode = position.margin_mode.unwrap_or_default();
        let order = ConditionalOrder {
            instrument,
            side: if long { Side::Sell } else { Side::Buy },
            size: number(asked, "qty").ok_or_else(|| missing("qty"))?,
            order_kind: kind_of(stop, limit),
            trigger_price,
            trigger_by,
            price,
            reduce_only: true,
            position_side,
            margin_mode,
            client_order_id: own_id(asked)?,
        };
        let taken = engine
            .place_conditional(key, &order)
            .map_err(|reject| match (&reject, stop) {
                (Reject::WouldTrigger, true) => refusal(
                    "40917",
                    format!("The stop loss price is on the wrong side of the mark price {mark}"),
                ),
                (Reject::WouldTrigger, false) => refusal(
                    "40915",
                    format!("The take profit price is on the wrong side of the mark price {mark}"),
                ),
                _ => told(&reject),
            })?;
        let plan = if stop { "loss_plan" } else { "profit_plan" };
        self.remember(&taken, margin_mode, Text::new(plan), Text::new(word));
        Ok(ids(&taken))
    }

    /// An order that waits for its trigger, or waited.
    pub(super) fn strategy_row(&self, order: &Order) -> Value {
        let extra = self.extra(order);
        let stop = matches!(order.order_kind, OrderKind::StopMarket | OrderKind::StopLimit);
        let by = if extra.trigger_by == "mark_price" {
            "mark"
        } else {
            "market"
        };
        let kind = if order.price.is_some() { "limit" } else { "market" };
        // In one-way mode too the position that is guarded is named.
        let long = order.side == Side::Sell;
        let mut row = json!({
            "orderId": order.order_id, "clientOid": client_id(order), "symbol": order.instrument, "category": PRODUCT,
            "qty": zero_or(order.size), "posSide": if long { "long" } else { "short" }, "tpTriggerBy": "", "slTriggerBy": "",
            "takeProfit": "", "stopLoss": "", "tpOrderType": "", "slOrderType": "", "tpLimitPrice": "", "slLimitPrice": "",
            "createdTime": extra.created_ms.to_string(), "updatedTime": order.time_ms.to_string(),
        });
        let [trigger, trigger_by, order_type, limit_price] = if stop { STOP } else { PROFIT };
        row[trigger] = empty_or(order.trigger_price).into();
        row[trigger_by] = by.into();
        row[order_type] = kind.into();
        row[limit_price] = empty_or(order.price).into();
        row
    }
}

/// Cancels one; the venue answers with nothing.
pub(super) fn cancel(asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    let wanted = order_ref(asked)?;
    engine
        .account(key)
        .and_then(|account| account.order(&wanted))
        .filter(|known| known.trigger_price.is_some())
        .ok_or_else(|| told(&Reject::UnknownOrder))?;
    engine.cancel(key, &wanted).map_err(|reject| told(&reject))?;
    Ok(Value::Null)
}
