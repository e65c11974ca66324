//! Orders as they are asked for, by REST and by socket.

use serde_json::{Value, json};

use super::super::shared::{number, plain, text, whole};
use super::{Bybit, Extra, Refusal, bad, refusal, rejected};
use crate::model::{
    Decimal, MarginMode, Order, OrderKind, OrderStatus, PositionMode, PositionSide, Side, Text, TimeInForce,
    TriggerPrice,
};
use crate::operation::{AmendOrder, ConditionalOrder, NewOrder, OrderRef};
use crate::simulate::engine::{Account, Engine, Quote, Reject};

/// Longest client id.
const LONGEST_ID: usize = 36;
/// Most orders in a batch.
const LARGEST_BATCH: usize = 20;

/// What can be done with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Create,
    Amend,
    Cancel,
}

/// Only linear contracts are listed.
pub(super) fn category(body: &Value) -> Result<(), Refusal> {
    match body["category"].as_str() {
        Some("linear") => Ok(()),
        Some("inverse" | "spot" | "option") => Err(rejected(&Reject::UnknownInstrument)),
        _ => Err(refusal(10001, "Illegal category")),
    }
}

fn quote_of<'a>(body: &Value, engine: &'a Engine) -> Result<&'a Quote, Refusal> {
    text(body, "symbol")
        .and_then(|symbol| engine.quote(&symbol))
        .ok_or_else(|| rejected(&Reject::UnknownInstrument))
}

fn is_true(body: &Value, name: &str) -> bool {
    text(body, name).is_some_and(|word| word == "true")
}

pub(super) fn position_side(body: &Value, mode: PositionMode) -> Result<PositionSide, Refusal> {
    match (whole(body, "positionIdx").unwrap_or(0), mode) {
        (0, PositionMode::OneWay) => Ok(PositionSide::Net),
        (1, PositionMode::Hedge) => Ok(PositionSide::Long),
        (2, PositionMode::Hedge) => Ok(PositionSide::Short),
        _ => Err(rejected(&Reject::PositionMode)),
    }
}

fn order_ref(body: &Value) -> Result<OrderRef, Refusal> {
    let wanted = OrderRef {
        instrument: text(body, "symbol").unwrap_or_default(),
        order_id: text(body, "orderId"),
        client_order_id: text(body, "orderLinkId"),
    };
    if wanted.order_id.is_none() && wanted.client_order_id.is_none() {
        return Err(bad("OrderId or orderLinkId is required"));
    }
    Ok(wanted)
}

fn trigger_by(word: Option<Text>) -> TriggerPrice {
    match word.as_deref() {
        Some("MarkPrice") => TriggerPrice::Mark,
        Some("IndexPrice") => TriggerPrice::Index,
        _ => TriggerPrice::Last,
    }
}

const fn conditional_kind(rises: bool, side: Side, limit: bool) -> OrderKind {
    // Buying on a rise and selling on a fall are stops, the other way round takes profit.
    match (rises == matches!(side, Side::Buy), limit) {
        (true, false) => OrderKind::StopMarket,
        (true, true) => OrderKind::StopLimit,
        (false, false) => OrderKind::TakeProfitMarket,
        (false, true) => OrderKind::TakeProfitLimit,
    }
}

/// The answer about one order.
fn ids(order: &Order) -> Value {
    json!({ "orderId": order.order_id, "orderLinkId": order.client_order_id.clone().unwrap_or_default() })
}

fn own_id(body: &Value) -> Result<Option<Text>, Refusal> {
    match text(body, "orderLinkId") {
        Some(id)
            if id.len() > LONGEST_ID
                || !id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) =>
        {
            Err(bad("orderLinkId is invalid"))
        }
        id => Ok(id),
    }
}

impl Bybit {
    pub(super) fn act(
        &self,
        act: Act,
        body: &Value,
        key: &str,
        engine: &mut Engine,
    ) -> Result<Value, Refusal> {
        category(body)?;
        match act {
            Act::Create => self.create(body, key, engine),
            Act::Amend => self.amend(body, key, engine),
            Act::Cancel => cancel(body, key, engine),
        }
    }

    /// Each of a batch; the rows and what is said of each.
    pub(super) fn batch(
        &self,
        act: Act,
        body: &Value,
        key: &str,
        engine: &mut Engine,
    ) -> Result<(Value, Value), Refusal> {
        category(body)?;
        let list = body["request"]
            .as_array()
            .filter(|list| !list.is_empty())
            .ok_or_else(|| bad("request is required"))?;
        if list.len() > LARGEST_BATCH {
            return Err(bad("The number of orders exceeds the limit"));
        }
        let mut rows = Vec::new();
        let mut said = Vec::new();
        for one in list {
            let mut one = one.clone();
            one["category"] = "linear".into();
            let mut row = json!({ "category": "linear", "symbol": text(&one, "symbol").unwrap_or_default(), "orderId": "",
                                  "orderLinkId": text(&one, "orderLinkId").unwrap_or_default() });
            if act == Act::Create {
                row["createAt"] = "".into();
            }
            match self.act(act, &one, key, engine) {
                Ok(ids) => {
                    row["orderId"] = ids["orderId"].clone();
                    row["orderLinkId"] = ids["orderLinkId"].clone();
                    if act == Act::Create {
                        row["createAt"] = engine.now_ms().to_string().into();
                    }
                    said.push(json!({ "code": 0, "msg": "OK" }));
                }
                Err(refusal) => said.push(json!({ "code": refusal.code, "msg": refusal.message })),
            }
            rows.push(row);
        }
        Ok((json!({ "list": rows }), json!({ "list": said })))
    }

    fn create(&self, body: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
        let quote = quote_of(body, engine)?;
        let mode = engine
            .account(key)
            .map_or(PositionMode::OneWay, |account| account.position_mode);
        let side = match body["side"].as_str() {
            Some("Buy") => Side::Buy,
            Some("Sell") => Side::Sell,
            _ => return Err(refusal(10001, "Side invalid")),
        };
        let order_kind = match body["orderType"].as_str() {
            Some("Market") => OrderKind::Market,
            Some("Limit") => OrderKind::Limit,
            _ => return Err(refusal(10001, "OrderType invalid")),
        };
        let time_in_force = match text(body, "timeInForce").as_deref() {
            // Market orders end at once whatever they say.
            _ if order_kind == OrderKind::Market => TimeInForce::ImmediateOrCancel,
            None | Some("GTC") => TimeInForce::GoodTilCancelled,
            Some("IOC") => TimeInForce::ImmediateOrCancel,
            Some("FOK") => TimeInForce::FillOrKill,
            Some("PostOnly") => TimeInForce::PostOnly,
            Some(_) => return Err(refusal(10001, "TimeInForce invalid")),
        };
        let position_side = position_side(body, mode)?;
        let reduce_only = is_true(body, "reduceOnly");
        let close_on_trigger = is_true(body, "closeOnTrigger");
        let mut size = number(body, "qty").ok_or_else(|| rejected(&Reject::Size))?;
        if size.is_zero() && reduce_only {
            // Nought closes the whole position.
            size = engine
                .positions(key)
                .iter()
                .find(|position| {
                    position.instrument == quote.instrument.instrument
                        && position.position_side == position_side
                })
                .map(|position| position.size.abs())
                .ok_or_else(|| rejected(&Reject::ReduceOnly))?;
        }
        if order_kind == OrderKind::Market
            && quote
                .instrument
                .maximum_market_size
                .is_some_and(|most| size > most)
        {
            return Err(refusal(
                10001,
                "The number of contracts exceeds maximum limit allowed: too large",
            ));
        }
        let price = number(body, "price").filter(|_| order_kind == OrderKind::Limit);
        if order_kind == OrderKind::Limit && price.is_none() {
            return Err(rejected(&Reject::Price));
        }
        for not_simulated in ["takeProfit", "stopLoss"] {
            // Better refused than forgotten.
            if number(body, not_simulated).is_some_and(|price| !price.is_zero()) {
                return Err(bad(not_simulated));
            }
        }
        let client_order_id = own_id(body)?;
        let mut extra = Extra {
            created_ms: engine.now_ms(),
            close_on_trigger,
            create_kind: "CreateByUser",
            order_kind: text(body, "orderType").unwrap_or_default(),
            ..Extra::default()
        };
        let instrument = quote.instrument.instrument.clone();
        let current = quote.price;
        let taken = if let Some(trigger) = number(body, "triggerPrice").filter(|price| !price.is_zero()) {
            let direction = whole(body, "triggerDirection").unwrap_or_default();
            let rises = match direction {
                1 => true,
                2 => false,
                _ => return Err(bad("TriggerDirection invalid")),
            };
            extra.trigger = Some(trigger);
            extra.direction = if rises { 1 } else { 2 };
            extra.trigger_by = text(body, "triggerBy").unwrap_or_else(|| Text::const_new("LastPrice"));
            extra.stop_kind = "Stop";
            let order = ConditionalOrder {
                instrument,
                side,
                size,
                order_kind: conditional_kind(rises, side, price.is_some()),
                trigger_price: trigger,
                trigger_by: trigger_by(text(body, "triggerBy")),
                price,
                reduce_only: reduce_only || close_on_trigger,
                position_side,
                margin_mode: MarginMode::Cross,
                client_order_id,
            };
            engine.place_conditional(key, &order).map_err(|reject| {
                if reject != Reject::WouldTrigger {
                    return rejected(&reject);
                }
                let (trigger, current) = (plain(trigger), plain(current));
                if rises {
                    refusal(
                        110_092,
                        format!(
                            "expect Rising, but trigger_price[{trigger}] <= current[{current}]??LastPrice"
                        ),
                    )
                } else {
                    refusal(
                        110_093,
                        format!(
                            "expect Falling, but trigger_price[{trigger}] >= current[{current}]??LastPrice"
                        ),
                    )
                }
            })?
        } else {
            let order = NewOrder {
                instrument,
                side,
                size,
                order_kind,
                price,
                time_in_force: Some(time_in_force),
                reduce_only,
                position_side,
                margin_mode: MarginMode::Cross,
                leverage: None,
                client_order_id,
            };
            engine
                .place_or_end(key, &order)
                .map_err(|reject| rejected(&reject))?
        };
        self.extras().insert(taken.order_id.clone(), extra);
        Ok(ids(&taken))
    }

    fn amend(&self, body: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
        quote_of(body, engine)?;
        let wanted = order_ref(body)?;
        if text(body, "triggerPrice").is_some() {
            // Not simulated: better refused than forgotten.
            return Err(bad("triggerPrice"));
        }
        let known = engine
            .account(key)
            .and_then(|account| account.order(&wanted))
            .filter(|known| known.instrument == wanted.instrument)
            .ok_or_else(|| rejected(&Reject::UnknownOrder))?;
        let (size, price) = (number(body, "qty"), number(body, "price"));
        let same = |new: Option<Decimal>, old: Option<Decimal>| new.is_none() || new == old;
        if same(size, known.size) && same(price, known.price) {
            return Err(refusal(
                10001,
                "The order remains unchanged as the parameters entered match the existing ones.",
            ));
        }
        let change = AmendOrder {
            instrument: wanted.instrument,
            order_id: wanted.order_id,
            client_order_id: wanted.client_order_id,
            side: None,
            size,
            price,
            reduce_only: false,
        };
        let order = engine.amend(key, &change).map_err(|reject| rejected(&reject))?;
        Ok(ids(&order))
    }

    pub(super) fn cancel_all(&self, body: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
        category(body)?;
        let symbol = text(body, "symbol");
        if symbol.is_none() && text(body, "settleCoin").is_none() && text(body, "baseCoin").is_none() {
            return Err(bad("symbol, settleCoin or baseCoin is required"));
        }
        let base = text(body, "baseCoin");
        let filter = text(body, "orderFilter");
        let chosen: Vec<OrderRef> = engine
            .account(key)
            .into_iter()
            .flat_map(Account::orders)
            .filter(|order| {
                let waits = order.status == OrderStatus::Untriggered;
                let open = matches!(order.status, OrderStatus::Open | OrderStatus::PartiallyFilled);
                let kind = match filter.as_deref() {
                    None => open || waits,
                    Some("Order") => open,
                    Some(_) => waits,
                };
                kind && symbol.as_ref().is_none_or(|symbol| order.instrument == *symbol)
                    && base.as_ref().is_none_or(|base| {
                        engine
                            .quote(&order.instrument)
                            .is_some_and(|quote| quote.instrument.base == *base)
                    })
            })
            .map(|order| OrderRef {
                instrument: order.instrument.clone(),
                order_id: Some(order.order_id.clone()),
                client_order_id: None,
            })
            .collect();
        let list: Vec<Value> = chosen
            .iter()
            .filter_map(|order| engine.cancel(key, order).ok())
            .map(|order| ids(&order))
            .collect();
        Ok(json!({ "list": list, "success": "1" }))
    }

    /// Take profit and stop loss of a position: reduce-only triggers.
    pub(super) fn trading_stop(
        &self,
        body: &Value,
        key: &str,
        engine: &mut Engine,
    ) -> Result<Value, Refusal> {
        category(body)?;
        let instrument = quote_of(body, engine)?.instrument.instrument.clone();
        let mode = engine
            .account(key)
            .map_or(PositionMode::OneWay, |account| account.position_mode);
        let position_side = position_side(body, mode)?;
        let position = engine
            .positions(key)
            .into_iter()
            .find(|position| position.instrument == instrument && position.position_side == position_side)
            .ok_or_else(|| refusal(10001, "can not set tp/sl/ts for zero position"))?;
        let long = position.size.is_sign_positive();
        let side = if long { Side::Sell } else { Side::Buy };
        let partial = text(body, "tpslMode").is_some_and(|mode| mode == "Partial");
        let mut kinds = Vec::new();
        for (name, sized, priced, by, stop) in [
            ("takeProfit", "tpSize", "tpLimitPrice", "tpTriggerBy", false),
            ("stopLoss", "slSize", "slLimitPrice", "slTriggerBy", true),
        ] {
            let Some(trigger) = number(body, name) else {
                continue;
            };
            let kind = match (stop, partial) {
                (true, true) => "PartialStopLoss",
                (true, false) => "StopLoss",
                (false, true) => "PartialTakeProfit",
                (false, false) => "TakeProfit",
            };
            if !partial {
                // A position has one of each for its whole size: a new one replaces it, nought removes it.
                self.drop_stops(kind, &instrument, key, engine);
            }
            if !trigger.is_zero() {
                let size = number(body, sized).filter(|_| partial);
                kinds.push((
                    kind,
                    trigger,
                    size.unwrap_or(position.size.abs()),
                    number(body, priced).filter(|price| !price.is_zero()),
                    text(body, by),
                    stop,
                ));
            }
        }
        for (kind, trigger, size, price, by, stop) in kinds {
            let order_kind = conditional_kind(stop != long, side, price.is_some());
            let order = ConditionalOrder {
                instrument: instrument.clone(),
                side,
                size,
                order_kind,
                trigger_price: trigger,
                trigger_by: trigger_by(by.clone()),
                price,
                reduce_only: true,
                position_side,
                margin_mode: MarginMode::Cross,
                client_order_id: None,
            };
            let taken = engine
                .place_conditional(key, &order)
                .map_err(|reject| match reject {
                    Reject::WouldTrigger => refusal(
                        10001,
                        format!(
                            "{kind}:{} set for position should be on the other side of the price",
                            plain(trigger)
                        ),
                    ),
                    reject => rejected(&reject),
                })?;
            self.extras().insert(
                taken.order_id,
                Extra {
                    created_ms: engine.now_ms(),
                    trigger: Some(trigger),
                    direction: if stop == long { 2 } else { 1 },
                    trigger_by: by.unwrap_or_else(|| Text::const_new("LastPrice")),
                    close_on_trigger: true,
                    stop_kind: kind,
                    create_kind: if stop {
                        "CreateByStopLoss"
                    } else {
                        "CreateByTakeProfit"
                    },
                    order_kind: Text::const_new(if price.is_some() { "Limit" } else { "Market" }),
                },
            );
        }
        Ok(json!({}))
    }

    fn drop_stops(&self, kind: &str, instrument: &Text, key: &str, engine: &mut Engine) {
        let old: Vec<OrderRef> = engine
            .account(key)
            .into_iter()
            .flat_map(Account::orders)
            .filter(|order| {
                order.instrument == *instrument
                    && order.status == OrderStatus::Untriggered
                    && self
                        .extras()
                        .get(&order.order_id)
                        .is_some_and(|extra| extra.stop_kind == kind)
            })
            .map(|order| OrderRef {
                instrument: instrument.clone(),
                order_id: Some(order.order_id.clone()),
                client_order_id: None,
            })
            .collect();
        for order in old {
            // It waited a moment ago, under the same lock.
            let _ = engine.cancel(key, &order);
        }
    }
}

fn cancel(body: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    quote_of(body, engine)?;
    let wanted = order_ref(body)?;
    let known = engine
        .account(key)
        .and_then(|account| account.order(&wanted))
        .filter(|known| known.instrument == wanted.instrument);
    if known.is_none() {
        return Err(rejected(&Reject::UnknownOrder));
    }
    let order = engine.cancel(key, &wanted).map_err(|reject| rejected(&reject))?;
    Ok(ids(&order))
}
