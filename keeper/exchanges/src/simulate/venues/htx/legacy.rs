//! The older interface: everything below `/linear-swap-api/`, asked with POST; amounts are JSON numbers, `status` is
//! `ok`. Both margin modes have the same requests, the one of cross margin with `cross_` in the name.

use serde_json::{Value, json};

use super::v5::{
    Refusal, event_word, fees_of, fill_id, leverage_number, mode_word, side_word, size_of, source_word,
};
use super::{Htx, USER, contracts, decimal, flag, text_of, zipped};
use crate::model::{
    Balance, Cause, Decimal, Event, Fill, Liquidity, MarginMode, Order, OrderKind, OrderStatus, Position,
    PositionMode, PositionSide, Side, Text, TimeInForce, TriggerPrice,
};
use crate::operation::{ConditionalOrder, NewOrder, OrderRef};
use crate::simulate::engine::{Engine, Reject, Update};
use crate::simulate::wire::{Frame, Incoming, Wire as _, number};

const MAXIMUM_BATCH: usize = 25;
const MAXIMUM_CANCELS: usize = 10;

/// What a request is about: the margin mode and the name without it.
fn named(path: &str) -> Option<(MarginMode, &str)> {
    let name = path
        .strip_prefix("/linear-swap-api/")
        .and_then(|rest| rest.split_once('/'))
        .map(|(_, name)| name)?;
    if let Some(name) = name.strip_prefix("swap_cross_") {
        return Some((MarginMode::Cross, name));
    }
    let name = name
        .strip_prefix("swap_")
        .or_else(|| name.strip_prefix("linear-"))?;
    Some((MarginMode::Isolated, name))
}

/// Whether a request of the older interface changes something.
pub(super) fn acts(path: &str) -> bool {
    let Some((_, name)) = named(path) else {
        return true;
    };
    let reads = name.contains("info")
        || name.contains("openorders")
        || name.contains("hisorders")
        || name.contains("detail")
        || name.contains("matchresults")
        || name.contains("available");
    !reads
}

const fn status_number(order: &Order) -> u32 {
    match order.status {
        OrderStatus::Pending => 1,
        OrderStatus::Open | OrderStatus::Untriggered => 3,
        OrderStatus::PartiallyFilled => 4,
        OrderStatus::Filled | OrderStatus::Triggered => 6,
        OrderStatus::Cancelled | OrderStatus::Expired | OrderStatus::Rejected => {
            if order.filled.is_zero() {
                7
            } else {
                5
            }
        }
    }
}

const fn offset_word(side: Side, position: PositionSide) -> &'static str {
    match (position, side) {
        (PositionSide::Net, _) => "both",
        (PositionSide::Long, Side::Buy) | (PositionSide::Short, Side::Sell) => "open",
        _ => "close",
    }
}

const fn price_type_word(order: &Order) -> &'static str {
    match (order.order_kind, order.time_in_force) {
        (OrderKind::Limit, TimeInForce::PostOnly) => "post_only",
        (OrderKind::Limit, TimeInForce::ImmediateOrCancel) => "ioc",
        (OrderKind::Limit, TimeInForce::FillOrKill) => "fok",
        (OrderKind::Limit | OrderKind::StopLimit | OrderKind::TakeProfitLimit, _) => "limit",
        _ => "market",
    }
}

const fn liquidation_word(cause: Cause) -> &'static str {
    match cause {
        Cause::Liquidation => "3",
        Cause::AutoDeleveraging => "4",
        _ => "0",
    }
}

fn mode_of(engine: &Engine, key: &str, instrument: &str) -> MarginMode {
    super::v5::margin_mode_of(engine, key, instrument)
}

const fn margin_word(mode: MarginMode) -> &'static str {
    match mode {
        MarginMode::Cross => "cross",
        MarginMode::Isolated => "isolated",
    }
}

fn margin_account(mode: MarginMode, instrument: &str) -> &str {
    match mode {
        MarginMode::Cross => "USDT",
        MarginMode::Isolated => instrument,
    }
}

fn symbol_of(instrument: &str) -> &str {
    instrument.split('-').next().unwrap_or(instrument)
}

fn client_number(id: Option<&Text>) -> Value {
    id.map_or(Value::Null, |id| number(id))
}

fn order_of(engine: &Engine, key: &str, order: &Order, fill: Option<&Fill>) -> Value {
    let mode = mode_of(engine, key, &order.instrument);
    let average = order.average_price.unwrap_or_default();
    let fee = fees_of(engine, key, &order.order_id);
    let trade: Vec<Value> = fill.iter().map(|fill| fill_inside(engine, fill)).collect();
    json!({
        "contract_type": "swap", "pair": order.instrument, "business_type": "swap", "symbol": symbol_of(&order.instrument),
        "contract_code": order.instrument, "volume": decimal(contracts(engine, &order.instrument, order.size.unwrap_or_default())),
        "price": decimal(order.price.unwrap_or_default()), "order_price_type": price_type_word(order),
        "direction": side_word(order.side), "offset": offset_word(order.side, order.position_side),
        "status": status_number(order), "lever_rate": leverage_number(engine, key, &order.instrument),
        "order_id": number(&order.order_id), "order_id_str": order.order_id,
        "client_order_id": client_number(order.client_order_id.as_ref()), "order_source": source_word(order.cause),
        "order_type": number(event_word(order.cause)), "created_at": order.time_ms,
        "trade_volume": decimal(contracts(engine, &order.instrument, order.filled)),
        "trade_turnover": decimal(average * order.filled), "fee": decimal(-fee), "fee_asset": "USDT",
        "trade_avg_price": decimal(average), "margin_frozen": 0, "profit": 0, "real_profit": 0, "trade": trade,
        "canceled_at": if order.status == OrderStatus::Cancelled { order.time_ms } else { 0 }, "margin_asset": "USDT",
        "uid": USER, "liquidation_type": liquidation_word(order.cause), "margin_mode": margin_word(mode),
        "margin_account": margin_account(mode, &order.instrument), "is_tpsl": 0, "trade_partition": "USDT",
        "reduce_only": u8::from(order.reduce_only), "canceled_source": null, "update_time": order.time_ms,
    })
}

fn fill_inside(engine: &Engine, fill: &Fill) -> Value {
    let fee = fill.fee.as_ref().map(|fee| fee.amount).unwrap_or_default();
    json!({ "trade_fee": decimal(-fee), "fee_asset": "USDT", "real_profit": 0, "profit": 0, "trade_id": number(&fill.trade_id),
            "id": fill_id(fill), "trade_volume": decimal(contracts(engine, &fill.instrument, fill.size)),
            "trade_price": decimal(fill.price), "trade_turnover": decimal(fill.price * fill.size),
            "created_at": fill.time_ms,
            "role": if fill.liquidity == Some(Liquidity::Maker) { "maker" } else { "taker" } })
}

fn fill_of(engine: &Engine, key: &str, fill: &Fill) -> Value {
    let mut value = fill_inside(engine, fill);
    let mode = mode_of(engine, key, &fill.instrument);
    let side = fill.position_side.unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        let more = [
            ("query_id", number(&fill.trade_id)),
            ("match_id", number(&fill.trade_id)),
            ("order_id", number(&fill.order_id)),
            ("order_id_str", json!(fill.order_id)),
            ("symbol", json!(symbol_of(&fill.instrument))),
            ("contract_code", json!(fill.instrument)),
            ("direction", json!(side_word(fill.side))),
            ("offset", json!(offset_word(fill.side, side))),
            ("offset_profitloss", json!(0)),
            ("create_date", json!(fill.time_ms)),
            ("order_source", json!(source_word(fill.cause))),
            ("margin_mode", json!(margin_word(mode))),
            ("margin_account", json!(margin_account(mode, &fill.instrument))),
            ("contract_type", json!("swap")),
            ("pair", json!(fill.instrument)),
            ("business_type", json!("swap")),
            ("reduce_only", json!(0)),
        ];
        members.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    value
}

fn trigger_of(engine: &Engine, key: &str, order: &Order) -> Value {
    let trigger = order.trigger_price.unwrap_or_default();
    let above = match order.order_kind {
        OrderKind::StopMarket | OrderKind::StopLimit => order.side == Side::Buy,
        _ => order.side == Side::Sell,
    };
    let status = match order.status {
        OrderStatus::Untriggered => 2,
        OrderStatus::Triggered => 4,
        _ => 6,
    };
    json!({ "contract_type": "swap", "business_type": "swap", "pair": order.instrument, "symbol": symbol_of(&order.instrument),
            "contract_code": order.instrument, "trigger_type": if above { "ge" } else { "le" },
            "volume": decimal(contracts(engine, &order.instrument, order.size.unwrap_or_default())), "order_type": 1,
            "direction": side_word(order.side), "offset": offset_word(order.side, order.position_side),
            "lever_rate": leverage_number(engine, key, &order.instrument), "order_id": number(&order.order_id),
            "order_id_str": order.order_id, "order_source": "api", "trigger_price": decimal(trigger),
            "order_price": decimal(order.price.unwrap_or_default()), "created_at": order.time_ms,
            "order_price_type": price_type_word(order), "status": status, "margin_mode": "cross", "margin_account": "USDT",
            "trade_partition": "USDT", "reduce_only": u8::from(order.reduce_only) })
}

fn position_of(engine: &Engine, key: &str, position: &Position) -> Value {
    let mode = position.margin_mode.unwrap_or_default();
    let volume = decimal(super::v5::volume(engine, position));
    let entry = decimal(position.entry_price.unwrap_or_default());
    let mark = position.mark_price.unwrap_or_default();
    let leverage = position.leverage.unwrap_or(Decimal::ONE);
    let margin = (position.size.abs() * mark)
        .checked_div(leverage)
        .unwrap_or_default()
        .round_dp(8);
    let profit = decimal(position.unrealised_profit.unwrap_or_default().round_dp(8));
    let account_mode = engine
        .account(key)
        .map_or(PositionMode::OneWay, |account| account.position_mode);
    json!({ "contract_type": "swap", "pair": position.instrument, "business_type": "swap", "liquidation_price": null,
            "symbol": symbol_of(&position.instrument), "contract_code": position.instrument, "volume": volume,
            "available": volume, "frozen": 0, "cost_open": entry, "cost_hold": entry, "profit_unreal": profit,
            "profit_rate": 0, "profit": profit, "margin_asset": "USDT", "position_margin": decimal(margin),
            "lever_rate": Engine::whole(leverage), "direction": if position.size.is_sign_negative() { "sell" } else { "buy" },
            "last_price": decimal(mark), "margin_mode": margin_word(mode),
            "margin_account": margin_account(mode, &position.instrument), "trade_partition": "USDT",
            "position_mode": mode_word(account_mode) })
}

fn account_of(engine: &Engine, key: &str, balance: &Balance) -> Value {
    let equity = balance.equity.unwrap_or(balance.wallet);
    let free = balance.available.unwrap_or_default();
    let mode = engine
        .account(key)
        .map_or(PositionMode::OneWay, |account| account.position_mode);
    let contracts: Vec<Value> = engine
        .quotes()
        .map(|quote| {
            let name = &quote.instrument.instrument;
            json!({ "symbol": quote.instrument.base, "contract_code": name, "margin_position": 0, "margin_frozen": 0,
                    "margin_available": decimal(free), "profit_unreal": 0, "liquidation_price": null,
                    "lever_rate": leverage_number(engine, key, name), "adjust_factor": number("0.1"), "contract_type": "swap",
                    "pair": name, "business_type": "swap", "trade_partition": "USDT", "cross_max_available": decimal(free) })
        })
        .collect();
    json!({ "margin_mode": "cross", "margin_account": "USDT", "margin_asset": "USDT", "margin_balance": decimal(equity),
            "margin_static": decimal(balance.wallet), "margin_position": decimal(equity - free), "margin_frozen": 0,
            "profit_real": 0, "profit_unreal": decimal(equity - balance.wallet), "withdraw_available": decimal(free),
            "risk_rate": null, "position_mode": mode_word(mode), "contract_detail": contracts, "futures_contract_detail": [] })
}

fn error(code: i64, message: &str) -> Refusal {
    Refusal(code, message.to_owned())
}

/// Up to ten ids in one text, apart by commas.
fn references(body: &Value) -> Vec<OrderRef> {
    let instrument = Text::from(text_of(&body["contract_code"]).unwrap_or_default());
    let list = |name: &str| text_of(&body[name]).unwrap_or_default();
    let reference = |venue: Option<&str>, client: Option<&str>| OrderRef {
        instrument: instrument.clone(),
        order_id: venue.map(Text::new),
        client_order_id: client.map(Text::new),
    };
    let (by_id, by_client_id) = (list("order_id"), list("client_order_id"));
    let ids = |text: &str| -> Vec<String> {
        text.split(',')
            .filter(|id| !id.is_empty())
            .map(str::to_owned)
            .collect()
    };
    ids(&by_id)
        .iter()
        .map(|id| reference(Some(id), None))
        .chain(ids(&by_client_id).iter().map(|id| reference(None, Some(id))))
        .collect()
}

fn value_of(body: &Value, name: &str) -> Option<Decimal> {
    text_of(&body[name])?
        .parse()
        .ok()
        .filter(|value: &Decimal| !value.is_zero())
}

fn direction(body: &Value) -> Result<Side, Refusal> {
    match body["direction"].as_str() {
        Some("buy") => Ok(Side::Buy),
        Some("sell") => Ok(Side::Sell),
        _ => Err(error(1_035, "Incorrect field of order direction.")),
    }
}

/// Which position an order is for: in dual-side mode direction and offset say it together.
fn position_side(engine: &Engine, key: &str, side: Side, body: &Value) -> PositionSide {
    let hedge = engine
        .account(key)
        .is_some_and(|account| account.position_mode == PositionMode::Hedge);
    match (hedge, body["offset"] == json!("close"), side) {
        (false, ..) => PositionSide::Net,
        (true, false, Side::Buy) | (true, true, Side::Sell) => PositionSide::Long,
        (true, false, Side::Sell) | (true, true, Side::Buy) => PositionSide::Short,
    }
}

fn id_of(order: &Order) -> Value {
    json!({ "order_id": number(&order.order_id), "order_id_str": order.order_id,
            "client_order_id": client_number(order.client_order_id.as_ref()) })
}

impl Htx {
    /// Answers a signed request of the older interface; none where there is no such path.
    pub(super) fn legacy(&self, key: &str, request: &Incoming, engine: &mut Engine) -> Option<Value> {
        let (mode, name) = named(&request.path)?;
        let body = request.json();
        let now_ms = engine.now_ms();
        let outcome = if acts(&request.path) {
            self.legacy_act(key, mode, name, &body, engine)
        } else {
            self.legacy_read(key, mode, name, &body, engine)
        };
        Some(match outcome? {
            Ok(data) => json!({ "status": "ok", "data": data, "ts": now_ms }),
            Err(Refusal(code, message)) => {
                json!({ "status": "error", "err_code": code, "err_msg": message, "ts": now_ms })
            }
        })
    }

    fn legacy_read(
        &self,
        key: &str,
        mode: MarginMode,
        name: &str,
        body: &Value,
        engine: &Engine,
    ) -> Option<Result<Value, Refusal>> {
        let code = text_of(&body["contract_code"]).or_else(|| text_of(&body["contract"]));
        let about = |instrument: &Text| {
            code.as_ref().is_none_or(|code| instrument == code) && mode_of(engine, key, instrument) == mode
        };
        let account = engine.account(key)?;
        let orders = || account.orders().rev().filter(|order| about(&order.instrument));
        let page = |list: Vec<Value>| {
            let size = list.len();
            json!({ "orders": list, "total_page": 1, "current_page": 1, "total_size": size })
        };
        Some(Ok(match name {
            "account_info" | "account_position_info" => engine
                .balance(key)
                .iter()
                .map(|balance| account_of(engine, key, balance))
                .collect(),
            "position_info" => engine
                .positions(key)
                .iter()
                .filter(|position| about(&position.instrument))
                .map(|position| position_of(engine, key, position))
                .collect(),
            "order_info" => {
                let found: Vec<Value> = references(body)
                    .iter()
                    .filter_map(|wanted| account.order(wanted))
                    .map(|order| order_of(engine, key, order, None))
                    .collect();
                if found.is_empty() {
                    return Some(Err(error(1_017, "Order doesnt exist.")));
                }
                Value::from(found)
            }
            "order_detail" => {
                let wanted = references(body);
                let Some(order) = wanted.first().and_then(|wanted| account.order(wanted)) else {
                    return Some(Err(error(1_017, "Order doesnt exist.")));
                };
                let mut value = order_of(engine, key, order, None);
                value["trades"] = account
                    .fills()
                    .iter()
                    .filter(|fill| fill.order_id == order.order_id)
                    .map(|fill| fill_inside(engine, fill))
                    .collect();
                value
            }
            "openorders" => page(
                orders()
                    .filter(|order| matches!(order.status, OrderStatus::Open | OrderStatus::PartiallyFilled))
                    .map(|order| order_of(engine, key, order, None))
                    .collect(),
            ),
            "trigger_openorders" | "tpsl_openorders" => page(
                orders()
                    .filter(|order| order.status == OrderStatus::Untriggered)
                    .map(|order| trigger_of(engine, key, order))
                    .collect(),
            ),
            "hisorders" => page(
                orders()
                    .filter(|order| order.status.is_final() && order.trigger_price.is_none())
                    .map(|order| order_of(engine, key, order, None))
                    .collect(),
            ),
            "matchresults" => {
                let start = body["start_time"].as_u64().unwrap_or(0);
                let end = body["end_time"].as_u64().unwrap_or(u64::MAX);
                account
                    .fills()
                    .iter()
                    .rev()
                    .filter(|fill| about(&fill.instrument) && (start..=end).contains(&fill.time_ms))
                    .take(50)
                    .map(|fill| fill_of(engine, key, fill))
                    .collect()
            }
            _ => return None,
        }))
    }

    fn legacy_act(
        &self,
        key: &str,
        mode: MarginMode,
        name: &str,
        body: &Value,
        engine: &mut Engine,
    ) -> Option<Result<Value, Refusal>> {
        Some(match name {
            "order" => self
                .legacy_place(key, mode, body, engine)
                .map(|order| id_of(&order)),
            "batchorder" => self.legacy_batch(key, mode, body, engine),
            "cancel" | "trigger_cancel" | "tpsl_cancel" => Ok(self.legacy_cancel(key, body, engine)),
            "cancelall" => {
                let code = text_of(&body["contract_code"]);
                let ended = engine.cancel_all(key, code.as_deref(), false);
                if ended.is_empty() {
                    return Some(Err(error(1_051, "No orders to cancel.")));
                }
                let ids: Vec<&str> = ended.iter().map(|order| order.order_id.as_str()).collect();
                Ok(json!({ "errors": [], "successes": ids.join(",") }))
            }
            "trigger_order" | "tpsl_order" => self.legacy_conditional(key, body, engine),
            "lightning_close_position" => {
                let code = text_of(&body["contract_code"]).unwrap_or_default();
                direction(body).and_then(|side| {
                    // The position that an order this way closes.
                    let closing = json!({ "offset": "close" });
                    let held = position_side(engine, key, side, &closing);
                    engine
                        .close_position(key, &code, held)
                        .map(|order| id_of(&order))
                        .map_err(|reject| self.refusal(&reject))
                })
            }
            "switch_lever_rate" => {
                let code = Text::from(text_of(&body["contract_code"]).unwrap_or_default());
                let wanted = value_of(body, "lever_rate").unwrap_or_default();
                let most = engine
                    .quote(&code)
                    .and_then(|quote| quote.instrument.maximum_leverage)
                    .unwrap_or_default();
                if wanted < Decimal::ONE || wanted > most {
                    return Some(Err(error(1_037, "The leverage is invalid.")));
                }
                if let Some(account) = engine.account_mut(key) {
                    account.leverage.insert(code.clone(), wanted);
                    account.margin_modes.insert(code.clone(), mode);
                }
                Ok(
                    json!({ "contract_code": code, "margin_mode": margin_word(mode), "lever_rate": Engine::whole(wanted) }),
                )
            }
            "switch_position_mode" => {
                let wanted = match body["position_mode"].as_str() {
                    Some("dual_side") => PositionMode::Hedge,
                    Some("single_side") => PositionMode::OneWay,
                    _ => return Some(Err(error(1_067, "The position_mode field is invalid."))),
                };
                match engine.set_position_mode(key, wanted) {
                    Ok(()) | Err(Reject::Unchanged) => {
                        Ok(json!([{ "margin_account": "USDT", "position_mode": mode_word(wanted) }]))
                    }
                    Err(reject) => Err(self.refusal(&reject)),
                }
            }
            "cancel-after" => Ok(json!({ "current_time": engine.now_ms(), "trigger_time": engine.now_ms() })),
            _ => return None,
        })
    }

    fn legacy_place(
        &self,
        key: &str,
        mode: MarginMode,
        body: &Value,
        engine: &mut Engine,
    ) -> Result<Order, Refusal> {
        let (instrument, size) = size_of(engine, body)?;
        let side = direction(body)?;
        let leverage = value_of(body, "lever_rate")
            .ok_or_else(|| error(1_094, "The leverage cannot be empty, please switch the leverage."))?;
        let open = engine
            .positions(key)
            .iter()
            .any(|position| position.instrument == instrument);
        let differs = engine
            .account(key)
            .is_some_and(|account| account.leverage_of(&instrument) != leverage);
        if open && differs {
            return Err(error(1_045, "Unable to switch leverage with open positions."));
        }
        let client_order_id = text_of(&body["client_order_id"]);
        if client_order_id
            .as_ref()
            .is_some_and(|id| id.parse::<i64>().map_or(true, |id| id < 1))
        {
            return Err(error(
                1_067,
                "The client_order_id field is invalid. Please re-enter.",
            ));
        }
        let kind = body["order_price_type"].as_str().unwrap_or("limit");
        let (order_kind, time_in_force) = match kind {
            "limit" => (OrderKind::Limit, TimeInForce::GoodTilCancelled),
            "post_only" => (OrderKind::Limit, TimeInForce::PostOnly),
            "ioc" => (OrderKind::Limit, TimeInForce::ImmediateOrCancel),
            "fok" => (OrderKind::Limit, TimeInForce::FillOrKill),
            "market" | "opponent" | "optimal_5" | "optimal_10" | "optimal_20" | "lightning" => {
                (OrderKind::Market, TimeInForce::GoodTilCancelled)
            }
            _ => return Err(error(1_034, "Incorrect field of order price type.")),
        };
        if let Some(account) = engine.account_mut(key) {
            account.leverage.insert(instrument.clone(), leverage);
            account.margin_modes.insert(instrument.clone(), mode);
        }
        let order = NewOrder {
            position_side: position_side(engine, key, side, body),
            instrument,
            side,
            size,
            order_kind,
            price: value_of(body, "price"),
            time_in_force: Some(time_in_force),
            reduce_only: flag(&body["reduce_only"]),
            margin_mode: mode,
            leverage: Some(leverage),
            client_order_id: client_order_id.map(Text::from),
        };
        engine.place(key, &order).map_err(|reject| self.refusal(&reject))
    }

    fn legacy_batch(
        &self,
        key: &str,
        mode: MarginMode,
        body: &Value,
        engine: &mut Engine,
    ) -> Result<Value, Refusal> {
        let list = body["orders_data"]
            .as_array()
            .filter(|list| list.len() <= MAXIMUM_BATCH)
            .ok_or_else(|| error(1_067, "The orders_data field is invalid. Please re-enter."))?;
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        for (index, order) in list.iter().enumerate() {
            match self.legacy_place(key, mode, order, engine) {
                Ok(order) => {
                    let mut value = id_of(&order);
                    value["index"] = json!(index + 1);
                    taken.push(value);
                }
                Err(Refusal(code, message)) => {
                    refused.push(json!({ "index": index + 1, "err_code": code, "err_msg": message }));
                }
            }
        }
        Ok(json!({ "success": taken, "errors": refused }))
    }

    fn legacy_cancel(&self, key: &str, body: &Value, engine: &mut Engine) -> Value {
        let (mut ended, mut refused) = (Vec::new(), Vec::new());
        for wanted in references(body).iter().take(MAXIMUM_CANCELS) {
            let named = wanted
                .order_id
                .as_ref()
                .or(wanted.client_order_id.as_ref())
                .cloned()
                .unwrap_or_default();
            match engine.cancel(key, wanted) {
                Ok(_) => ended.push(named.to_string()),
                Err(reject) => {
                    let (code, message) = self.reject(&reject);
                    refused.push(json!({ "order_id": named, "err_code": number(&code), "err_msg": message }));
                }
            }
        }
        json!({ "errors": refused, "successes": ended.join(",") })
    }

    fn legacy_conditional(&self, key: &str, body: &Value, engine: &mut Engine) -> Result<Value, Refusal> {
        let (instrument, size) = size_of(engine, body)?;
        let side = direction(body)?;
        let stop_loss = value_of(body, "sl_trigger_price");
        let take_profit = value_of(body, "tp_trigger_price");
        let (stop, trigger_price, price) = match (stop_loss, take_profit, value_of(body, "trigger_price")) {
            (Some(trigger), ..) => (true, trigger, value_of(body, "sl_order_price")),
            (None, Some(trigger), _) => (false, trigger, value_of(body, "tp_order_price")),
            (None, None, Some(trigger)) => {
                let above = body["trigger_type"] == json!("ge");
                (
                    above == (side == Side::Buy),
                    trigger,
                    value_of(body, "order_price"),
                )
            }
            _ => {
                return Err(error(
                    1_067,
                    "The trigger_price field is invalid. Please re-enter.",
                ));
            }
        };
        let closing = stop_loss.is_some() || take_profit.is_some();
        let offset = if closing {
            json!({ "offset": "close" })
        } else {
            body.clone()
        };
        let order = ConditionalOrder {
            position_side: position_side(engine, key, side, &offset),
            instrument,
            side,
            size,
            order_kind: match (stop, price.is_some()) {
                (true, false) => OrderKind::StopMarket,
                (true, true) => OrderKind::StopLimit,
                (false, false) => OrderKind::TakeProfitMarket,
                (false, true) => OrderKind::TakeProfitLimit,
            },
            trigger_price,
            trigger_by: TriggerPrice::Last,
            price,
            reduce_only: closing || flag(&body["reduce_only"]),
            margin_mode: MarginMode::Cross,
            client_order_id: None,
        };
        let order = engine
            .place_conditional(key, &order)
            .map_err(|reject| self.refusal(&reject))?;
        let id = json!({ "order_id": number(&order.order_id), "order_id_str": order.order_id });
        Ok(match (stop_loss, take_profit) {
            (Some(_), _) => json!({ "sl_order": id, "tp_order": null }),
            (None, Some(_)) => json!({ "sl_order": null, "tp_order": id }),
            (None, None) => id,
        })
    }
}

/// Whether there is such a topic: `orders_cross.*`, `positions.btc-usdt`, `accounts_cross.USDT`.
pub(super) fn known(topic: &str) -> bool {
    let kind = topic.split('.').next().unwrap_or_default();
    let kind = kind.strip_suffix("_cross").unwrap_or(kind);
    matches!(
        kind,
        "orders" | "matchOrders" | "positions" | "accounts" | "trigger_order"
    )
}

/// The kind of a topic if it is about this instrument in this margin mode.
fn covers<'a>(topic: &'a str, mode: MarginMode, instrument: &str) -> Option<&'a str> {
    let (name, of) = topic.split_once('.').unwrap_or((topic, "*"));
    let (kind, cross) = name
        .strip_suffix("_cross")
        .map_or((name, false), |kind| (kind, true));
    let about = of == "*" || of.eq_ignore_ascii_case(instrument);
    (about && cross == (mode == MarginMode::Cross)).then_some(kind)
}

fn notify(topic: &str, event: &str, data: &Value, now_ms: u64) -> Frame {
    zipped(
        &json!({ "op": "notify", "topic": topic, "ts": now_ms, "event": event, "data": data, "uid": USER }),
    )
}

/// What a new subscription is told at once.
pub(super) fn first(topic: &str, key: &str, engine: &Engine) -> Option<Frame> {
    let now_ms = engine.now_ms();
    let name = topic.split('.').next()?;
    if name.starts_with("accounts") {
        let data = json!([account_of(engine, key, &engine.balance(key)?)]);
        return Some(notify(name, "init", &data, now_ms));
    }
    if !name.starts_with("positions") {
        return None;
    }
    let data: Value = engine
        .positions(key)
        .iter()
        .filter(|position| {
            covers(
                topic,
                position.margin_mode.unwrap_or_default(),
                &position.instrument,
            )
            .is_some()
        })
        .map(|position| position_of(engine, key, position))
        .collect();
    Some(notify(name, "init", &data, now_ms))
}

/// What one subscription makes of something that happened to the account.
pub(super) fn push(topic: &str, key: &str, update: &Update, engine: &Engine) -> Option<Frame> {
    let now_ms = engine.now_ms();
    let name = topic.split('.').next()?;
    let full = |instrument: &str| format!("{name}.{}", instrument.to_lowercase());
    let whole = |mut value: Value, instrument: &str| {
        value["op"] = json!("notify");
        value["topic"] = json!(full(instrument));
        value["ts"] = json!(now_ms);
        zipped(&value)
    };
    let mode = |instrument: &str| mode_of(engine, key, instrument);
    match &update.event {
        Event::Order(order) => match covers(topic, mode(&order.instrument), &order.instrument)? {
            "trigger_order" if order.trigger_price.is_some() => Some(notify(
                &full(&order.instrument),
                "order",
                &json!([trigger_of(engine, key, order)]),
                now_ms,
            )),
            "orders" if order.trigger_price.is_none() => Some(whole(
                order_of(engine, key, order, update.fill.as_ref()),
                &order.instrument,
            )),
            "matchOrders" if update.fill.is_some() => Some(whole(
                order_of(engine, key, order, update.fill.as_ref()),
                &order.instrument,
            )),
            _ => None,
        },
        Event::Position(position)
            if covers(topic, mode(&position.instrument), &position.instrument)? == "positions" =>
        {
            let data = json!([position_of(engine, key, position)]);
            Some(notify(name, "order.match", &data, now_ms))
        }
        Event::Balance(balance) if name == "accounts_cross" => {
            let data = json!([account_of(engine, key, balance)]);
            Some(notify(name, "order.match", &data, now_ms))
        }
        _ => None,
    }
}
