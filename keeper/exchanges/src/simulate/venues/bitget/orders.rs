//! Orders as they are asked for.

use serde_json::{Value, json};

use super::super::shared::{number, plain, text};
use super::{Bitget, Extra, Refusal, bad, missing, refusal, rejected};
use crate::model::{
    Decimal, MarginMode, Order, OrderKind, OrderStatus, PositionMode, PositionSide, Side, Text, TimeInForce,
    TriggerPrice,
};
use crate::operation::{ConditionalOrder, NewOrder, OrderRef};
use crate::simulate::engine::{Account, Engine, Quote, Reject};

/// Most orders in a batch.
const LARGEST_BATCH: usize = 50;

/// Only USDT futures are listed.
pub(super) fn product(asked: &Value) -> Result<(), Refusal> {
    let kind = text(asked, "productType").ok_or_else(|| missing("productType"))?;
    match kind.to_ascii_uppercase().as_str() {
        "USDT-FUTURES" => Ok(()),
        "COIN-FUTURES" | "USDC-FUTURES" => Err(rejected(&Reject::UnknownInstrument)),
        _ => Err(bad("productType")),
    }
}

pub(super) fn quote_of<'a>(asked: &Value, engine: &'a Engine) -> Result<&'a Quote, Refusal> {
    let symbol = text(asked, "symbol").ok_or_else(|| missing("symbol"))?;
    engine
        .quote(&symbol)
        .ok_or_else(|| rejected(&Reject::UnknownInstrument))
}

pub(super) fn margin_mode(asked: &Value) -> Result<MarginMode, Refusal> {
    match asked["marginMode"].as_str() {
        Some("crossed") => Ok(MarginMode::Cross),
        Some("isolated") => Ok(MarginMode::Isolated),
        Some(_) => Err(bad("marginMode")),
        None => Err(missing("marginMode")),
    }
}

fn margin_coin(asked: &Value) -> Result<(), Refusal> {
    let coin = text(asked, "marginCoin").ok_or_else(|| missing("marginCoin"))?;
    if coin.eq_ignore_ascii_case("USDT") {
        Ok(())
    } else {
        Err(bad("marginCoin"))
    }
}

pub(super) fn mode_of(key: &str, engine: &Engine) -> PositionMode {
    engine
        .account(key)
        .map_or(PositionMode::OneWay, |account| account.position_mode)
}

/// The way of the trade, the position and whether it only closes, out of the venue's `side` and `tradeSide`.
fn ways(asked: &Value, mode: PositionMode) -> Result<(Side, PositionSide, bool), Refusal> {
    let side = match text(asked, "side")
        .map(|side| side.to_ascii_lowercase())
        .as_deref()
    {
        Some("buy") => Side::Buy,
        Some("sell") => Side::Sell,
        Some(_) => return Err(bad("side")),
        None => return Err(missing("side")),
    };
    let trade_side = text(asked, "tradeSide").map(|word| word.to_ascii_lowercase());
    match (mode, trade_side.as_deref()) {
        (PositionMode::OneWay, None) => {
            let reduces = text(asked, "reduceOnly").is_some_and(|only| only.eq_ignore_ascii_case("yes"));
            Ok((side, PositionSide::Net, reduces))
        }
        (PositionMode::Hedge, Some(deed @ ("open" | "close"))) => {
            // The side is the position's: closing a long position is a buy that closes.
            let position = match side {
                Side::Buy => PositionSide::Long,
                Side::Sell => PositionSide::Short,
            };
            let closes = deed == "close";
            Ok((if closes { side.opposite() } else { side }, position, closes))
        }
        (PositionMode::Hedge, Some(_)) => Err(bad("tradeSide")),
        _ => Err(rejected(&Reject::PositionMode)),
    }
}

pub(super) fn order_ref(asked: &Value) -> Result<OrderRef, Refusal> {
    let wanted = OrderRef {
        instrument: text(asked, "symbol").unwrap_or_default(),
        order_id: text(asked, "orderId"),
        client_order_id: text(asked, "clientOid"),
    };
    if wanted.order_id.is_none() && wanted.client_order_id.is_none() {
        return Err(missing("orderId"));
    }
    Ok(wanted)
}

/// The answer about one order.
fn ids(order: &Order) -> Value {
    json!({ "orderId": order.order_id, "clientOid": order.client_order_id.clone().unwrap_or_default() })
}

fn failed(asked: &Value, refusal: &Refusal) -> Value {
    json!({ "orderId": text(asked, "orderId").unwrap_or_default(), "clientOid": text(asked, "clientOid").unwrap_or_default(),
            "errorMsg": refusal.message, "errorCode": refusal.code })
}

/// Successes and failures of several orders.
#[derive(Default)]
struct Lists {
    good: Vec<Value>,
    bad: Vec<Value>,
}

impl Lists {
    fn add(&mut self, asked: &Value, done: Result<Value, Refusal>) {
        match done {
            Ok(ids) => self.good.push(ids),
            Err(refusal) => self.bad.push(failed(asked, &refusal)),
        }
    }

    fn data(self) -> Value {
        json!({ "successList": self.good, "failureList": self.bad })
    }
}

impl Bitget {
    pub(super) fn remember(&self, order: &Order, margin_mode: MarginMode, plan: Text, trigger_by: Text) {
        self.extras().insert(
            order.order_id.clone(),
            Extra {
                margin_mode,
                created_ms: order.time_ms,
                plan,
                trigger_by,
            },
        );
    }

    pub(super) fn place(&self, asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
        product(asked)?;
        margin_coin(asked)?;
        let quote = quote_of(asked, engine)?;
        let margin_mode = margin_mode(asked)?;
        let (side, position_side, reduce_only) = ways(asked, mode_of(key, engine))?;
        let order_kind = match text(asked, "orderType").as_deref() {
            Some("market") => OrderKind::Market,
            Some("limit") => OrderKind::Limit,
            Some(_) => return Err(bad("orderType")),
            None => return Err(missing("orderType")),
        };
        let force = text(asked, "force").map(|word| word.to_ascii_lowercase());
        let time_in_force = match force.as_deref() {
            _ if order_kind == OrderKind::Market => TimeInForce::GoodTilCancelled,
            None | Some("gtc") => TimeInForce::GoodTilCancelled,
            Some("ioc") => TimeInForce::ImmediateOrCancel,
            Some("fok") => TimeInForce::FillOrKill,
            Some("post_only") => TimeInForce::PostOnly,
            Some(_) => return Err(bad("force")),
        };
        let size = number(asked, "size").ok_or_else(|| missing("size"))?;
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
        for not_simulated in ["presetStopSurplusPrice", "presetStopLossPrice"] {
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
            client_order_id: text(asked, "clientOid"),
        };
        let open = engine
            .positions(key)
            .iter()
            .any(|position| position.instrument == order.instrument);
        if !open && let Some(account) = engine.account_mut(key) {
            account.margin_modes.insert(order.instrument.clone(), margin_mode);
        }
        let taken = engine
            .place_or_end(key, &order)
            .map_err(|reject| rejected(&reject))?;
        self.remember(&taken, margin_mode, Text::default(), Text::default());
        Ok(ids(&taken))
    }

    pub(super) fn place_batch(
        &self,
        asked: &Value,
        key: &str,
        engine: &mut Engine,
    ) -> Result<Value, Refusal> {
        product(asked)?;
        let list = orders_in(asked)?;
        let mut lists = Lists::default();
        for one in list {
            let mut one = one.clone();
            // What is the same for all stands beside the list.
            for name in ["symbol", "productType", "marginMode", "marginCoin"] {
                one[name] = asked[name].clone();
            }
            let done = self.place(&one, key, engine);
            lists.add(&one, done);
        }
        Ok(lists.data())
    }

    /// The venue cancels the order and makes a new one with another client id.
    pub(super) fn modify(&self, asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
        product(asked)?;
        let quote = quote_of(asked, engine)?;
        let instrument = quote.instrument.instrument.clone();
        let wanted = order_ref(asked)?;
        let known = engine
            .account(key)
            .and_then(|account| account.order(&wanted))
            .filter(|known| {
                known.instrument == instrument && known.trigger_price.is_none() && !known.status.is_final()
            })
            .cloned()
            .ok_or_else(|| rejected(&Reject::UnknownOrder))?;
        let (size, price) = (number(asked, "newSize"), number(asked, "newPrice"));
        let client_order_id = text(asked, "newClientOid");
        if size.is_none() && price.is_none() {
            return Err(missing("newSize"));
        }
        if client_order_id.is_none() {
            return Err(missing("newClientOid"));
        }
        let tick = quote.instrument.tick;
        if price.is_some_and(|price| !(price % tick).is_zero()) {
            return Err(rejected(&Reject::Price));
        }
        let margin_mode = self.extra(&known).margin_mode;
        engine.cancel(key, &wanted).map_err(|reject| rejected(&reject))?;
        let order = NewOrder {
            instrument,
            side: known.side,
            size: size.or(known.size).unwrap_or_default(),
            order_kind: known.order_kind,
            price: price.or(known.price),
            time_in_force: Some(known.time_in_force),
            reduce_only: known.reduce_only,
            position_side: known.position_side,
            margin_mode,
            leverage: None,
            client_order_id,
        };
        let taken = engine
            .place_or_end(key, &order)
            .map_err(|reject| rejected(&reject))?;
        self.remember(&taken, margin_mode, Text::default(), Text::default());
        Ok(ids(&taken))
    }

    /// A trigger that opens or closes.
    pub(super) fn place_plan(&self, asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
        product(asked)?;
        margin_coin(asked)?;
        let quote = quote_of(asked, engine)?;
        let margin_mode = margin_mode(asked)?;
        let (side, position_side, reduce_only) = ways(asked, mode_of(key, engine))?;
        let plan = text(asked, "planType").unwrap_or_else(|| Text::const_new("normal_plan"));
        if plan != "normal_plan" {
            // Trailing stops are not simulated.
            return Err(bad("planType"));
        }
        let trigger = number(asked, "triggerPrice").ok_or_else(|| missing("triggerPrice"))?;
        let limit = text(asked, "orderType").is_some_and(|kind| kind == "limit");
        let price = number(asked, "price").filter(|_| limit);
        if limit && price.is_none() {
            return Err(missing("price"));
        }
        // It waits for the price from whichever side it is now.
        let stop = (trigger > quote.price) == (side == Side::Buy);
        let order = ConditionalOrder {
            instrument: quote.instrument.instrument.clone(),
            side,
            size: number(asked, "size").ok_or_else(|| missing("size"))?,
            order_kind: kind_of(stop, limit),
            trigger_price: trigger,
            trigger_by: trigger_by(asked)?,
            price,
            reduce_only,
            position_side,
            margin_mode,
            client_order_id: text(asked, "clientOid"),
        };
        let taken = engine
            .place_conditional(key, &order)
            .map_err(|reject| rejected(&reject))?;
        self.remember(
            &taken,
            margin_mode,
            plan,
            text(asked, "triggerType").unwrap_or_default(),
        );
        Ok(ids(&taken))
    }

    /// Take profit and stop loss of a position or a part of it.
    pub(super) fn place_stop(&self, asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
        product(asked)?;
        margin_coin(asked)?;
        let quote = quote_of(asked, engine)?;
        let instrument = quote.instrument.instrument.clone();
        let plan = text(asked, "planType").ok_or_else(|| missing("planType"))?;
        let stop = match plan.as_str() {
            "loss_plan" | "pos_loss" => true,
            "profit_plan" | "pos_profit" => false,
            _ => return Err(bad("planType")),
        };
        let hold = text(asked, "holdSide").ok_or_else(|| missing("holdSide"))?;
        let (position_side, long) = match (mode_of(key, engine), hold.as_str()) {
            (PositionMode::OneWay, "buy") => (PositionSide::Net, true),
            (PositionMode::OneWay, "sell") => (PositionSide::Net, false),
            (PositionMode::Hedge, "long") => (PositionSide::Long, true),
            (PositionMode::Hedge, "short") => (PositionSide::Short, false),
            _ => return Err(bad("holdSide")),
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
        let trigger = number(asked, "triggerPrice").ok_or_else(|| missing("triggerPrice"))?;
        let price = number(asked, "executePrice").filter(|price| !price.is_zero());
        // The plans of the whole position have no size of their own.
        let size = match plan.as_str() {
            "pos_loss" | "pos_profit" => position.size.abs(),
            _ => number(asked, "size").ok_or_else(|| missing("size"))?,
        };
        let margin_mode = position.margin_mode.unwrap_or_default();
        let order = ConditionalOrder {
            instrument,
            side: if long { Side::Sell } else { Side::Buy },
            size,
            order_kind: kind_of(stop, price.is_some()),
            trigger_price: trigger,
            trigger_by: trigger_by(asked)?,
            price,
            reduce_only: true,
            position_side,
            margin_mode,
            client_order_id: text(asked, "clientOid"),
        };
        let mark = plain(quote.price);
        let taken = engine
            .place_conditional(key, &order)
            .map_err(|reject| match (&reject, stop, long) {
                (Reject::WouldTrigger, true, true) => refusal(
                    "40917",
                    format!("Stop price for long positions please < mark price {mark}"),
                ),
                (Reject::WouldTrigger, true, false) => refusal(
                    "45122",
                    format!("Short position stop loss price please > mark price {mark}"),
                ),
                (Reject::WouldTrigger, false, _) => refusal(
                    "40915",
                    format!("Take profit price is on the wrong side of the mark price {mark}"),
                ),
                _ => rejected(&reject),
            })?;
        self.remember(
            &taken,
            margin_mode,
            plan,
            text(asked, "triggerType").unwrap_or_default(),
        );
        Ok(ids(&taken))
    }

    /// Cancels triggers: those of the list, or all of a kind.
    pub(super) fn cancel_plans(
        &self,
        asked: &Value,
        key: &str,
        engine: &mut Engine,
    ) -> Result<Value, Refusal> {
        product(asked)?;
        let mut lists = Lists::default();
        if let Some(list) = asked["orderIdList"].as_array().filter(|list| !list.is_empty()) {
            for one in list {
                let done = cancel_one(one, true, key, engine);
                lists.add(one, done);
            }
            return Ok(lists.data());
        }
        let symbol = text(asked, "symbol");
        let plan = text(asked, "planType");
        let chosen: Vec<Value> = engine
            .account(key)
            .into_iter()
            .flat_map(Account::orders)
            .filter(|order| {
                order.status == OrderStatus::Untriggered
                    && symbol.as_ref().is_none_or(|symbol| order.instrument == *symbol)
                    && plan
                        .as_ref()
                        .is_none_or(|plan| is_plan(plan, &self.extra(order).plan))
            })
            .map(ids)
            .collect();
        for one in &chosen {
            let done = cancel_one(one, true, key, engine);
            lists.add(one, done);
        }
        Ok(lists.data())
    }

    /// Closes one position or all of them at market.
    pub(super) fn close(&self, asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
        product(asked)?;
        let symbol = text(asked, "symbol");
        let hold = text(asked, "holdSide");
        let mut lists = Lists::default();
        for position in engine.positions(key) {
            let side = if position.size.is_sign_positive() {
                "long"
            } else {
                "short"
            };
            if symbol
                .as_ref()
                .is_some_and(|symbol| position.instrument != *symbol)
                || hold.as_ref().is_some_and(|hold| hold != side)
            {
                continue;
            }
            let done = engine
                .close_position(key, &position.instrument, position.position_side)
                .map(|order| ids(&order))
                .map_err(|reject| rejected(&reject));
            lists.add(&Value::Null, done);
        }
        if lists.good.is_empty() && lists.bad.is_empty() {
            return Err(rejected(&Reject::NoPosition));
        }
        Ok(lists.data())
    }
}

/// Whether a plan is of the kind that was asked for: all take profits and stop losses have one name together.
pub(super) fn is_plan(asked: &str, plan: &str) -> bool {
    asked == plan || (asked == "profit_loss" && plan != "normal_plan")
}

pub(super) const fn kind_of(stop: bool, limit: bool) -> OrderKind {
    match (stop, limit) {
        (true, false) => OrderKind::StopMarket,
        (true, true) => OrderKind::StopLimit,
        (false, false) => OrderKind::TakeProfitMarket,
        (false, true) => OrderKind::TakeProfitLimit,
    }
}

fn trigger_by(asked: &Value) -> Result<TriggerPrice, Refusal> {
    match asked["triggerType"].as_str() {
        Some("fill_price") | None => Ok(TriggerPrice::Last),
        Some("mark_price") => Ok(TriggerPrice::Mark),
        Some("index_price") => Ok(TriggerPrice::Index),
        Some(_) => Err(bad("triggerType")),
    }
}

fn orders_in(asked: &Value) -> Result<&[Value], Refusal> {
    let list = asked["orderList"]
        .as_array()
        .filter(|list| !list.is_empty())
        .ok_or_else(|| missing("orderList"))?;
    if list.len() > LARGEST_BATCH {
        return Err(refusal(
            "40306",
            format!("Batch processing orders can only process up to {LARGEST_BATCH}"),
        ));
    }
    Ok(list)
}

fn cancel_one(asked: &Value, plan: bool, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    let wanted = order_ref(asked)?;
    let gone = || {
        if plan {
            refusal("43025", "Plan order does not exist")
        } else {
            rejected(&Reject::UnknownOrder)
        }
    };
    engine
        .account(key)
        .and_then(|account| account.order(&wanted))
        .filter(|known| known.trigger_price.is_some() == plan)
        .filter(|known| wanted.instrument.is_empty() || known.instrument == wanted.instrument)
        .ok_or_else(gone)?;
    let order = engine.cancel(key, &wanted).map_err(|_| gone())?;
    Ok(ids(&order))
}

pub(super) fn cancel(asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    product(asked)?;
    quote_of(asked, engine)?;
    cancel_one(asked, false, key, engine)
}

/// Cancels the orders of a list, or all of an instrument when there is none.
pub(super) fn cancel_batch(asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    product(asked)?;
    let Some(list) = asked["orderIdList"].as_array().filter(|list| !list.is_empty()) else {
        return cancel_all(asked, key, engine);
    };
    if list.len() > LARGEST_BATCH {
        return Err(refusal(
            "40306",
            format!("Batch processing orders can only process up to {LARGEST_BATCH}"),
        ));
    }
    let mut lists = Lists::default();
    for one in list {
        let done = cancel_one(one, false, key, engine);
        lists.add(one, done);
    }
    Ok(lists.data())
}

pub(super) fn cancel_all(asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    product(asked)?;
    let symbol = text(asked, "symbol");
    let mut lists = Lists::default();
    for order in engine.cancel_all(key, symbol.as_deref(), false) {
        lists.good.push(ids(&order));
    }
    Ok(lists.data())
}

/// A leverage the instrument has.
pub(super) fn leverage(asked: &Value, name: &str, quote: &Quote) -> Result<Option<Decimal>, Refusal> {
    let Some(wanted) = number(asked, name) else {
        return Ok(None);
    };
    if wanted < Decimal::ONE
        || quote
            .instrument
            .maximum_leverage
            .is_some_and(|most| wanted > most)
    {
        return Err(refusal("40797", "Exceeded the maximum settable leverage"));
    }
    Ok(Some(wanted))
}
