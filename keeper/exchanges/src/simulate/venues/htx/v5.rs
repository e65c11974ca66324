//! The interface of 2026: amounts are texts, `code` 200 is success.

use serde_json::{Value, json};

use super::{Htx, contracts, contracts_text, flag, plain, text_of};
use crate::model::{
    Balance, Cause, Decimal, Fill, Liquidity, MarginMode, Order, OrderKind, OrderStatus, Position,
    PositionMode, PositionSide, Side, Text, TimeInForce, TriggerPrice,
};
use crate::operation::{ConditionalOrder, NewOrder, OrderRef};
use crate::request::Method;
use crate::simulate::engine::{Engine, Reject};
use crate::simulate::wire::{Incoming, Wire as _};

/// Orders of one batch.
const MAXIMUM_BATCH: usize = 20;

pub(super) fn success(data: &Value, now_ms: u64) -> Value {
    json!({ "code": 200, "message": "Success", "data": data, "ts": now_ms })
}

pub(super) fn failure(code: i64, message: &str, now_ms: u64) -> Value {
    json!({ "code": code, "message": message, "data": null, "ts": now_ms })
}

/// Why a request is refused.
pub(super) struct Refusal(pub(super) i64, pub(super) String);

fn field(name: &str) -> Refusal {
    Refusal(1_067, format!("The {name} field is invalid. Please re-enter."))
}

pub(super) const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

const fn position_word(side: PositionSide) -> &'static str {
    match side {
        PositionSide::Net => "both",
        PositionSide::Long => "long",
        PositionSide::Short => "short",
    }
}

const fn margin_word(mode: MarginMode) -> &'static str {
    match mode {
        MarginMode::Cross => "cross",
        MarginMode::Isolated => "isolated",
    }
}

pub(super) const fn mode_word(mode: PositionMode) -> &'static str {
    match mode {
        PositionMode::OneWay => "single_side",
        PositionMode::Hedge => "dual_side",
    }
}

fn state_word(order: &Order) -> &'static str {
    match order.status {
        OrderStatus::Pending | OrderStatus::Open => "new",
        OrderStatus::Untriggered => "active",
        OrderStatus::Triggered => "triggered",
        OrderStatus::PartiallyFilled => "partially_filled",
        OrderStatus::Filled => "filled",
        OrderStatus::Cancelled | OrderStatus::Expired if !order.filled.is_zero() => "partially_canceled",
        OrderStatus::Cancelled | OrderStatus::Expired => "canceled",
        OrderStatus::Rejected => "rejected",
    }
}

/// Which program sent it; the venue's own risk control is one.
pub(super) const fn source_word(cause: Cause) -> &'static str {
    match cause {
        Cause::User => "api",
        Cause::Liquidation | Cause::AutoDeleveraging => "risk",
        Cause::Settlement => "settlement",
        Cause::Transfer => "system",
    }
}

/// What kind of event made a fill.
pub(super) const fn event_word(cause: Cause) -> &'static str {
    match cause {
        Cause::User | Cause::Transfer => "1",
        Cause::Liquidation => "3",
        Cause::Settlement => "4",
        Cause::AutoDeleveraging => "22",
    }
}

pub(super) fn leverage_number(engine: &Engine, key: &str, instrument: &str) -> u64 {
    engine
        .account(key)
        .map(|account| Engine::whole(account.leverage_of(instrument)))
        .unwrap_or_default()
}

pub(super) fn margin_mode_of(engine: &Engine, key: &str, instrument: &str) -> MarginMode {
    engine
        .account(key)
        .and_then(|account| account.margin_modes.get(instrument).copied())
        .unwrap_or_default()
}

pub(super) fn fees_of(engine: &Engine, key: &str, order_id: &str) -> Decimal {
    engine
        .account(key)
        .into_iter()
        .flat_map(|account| account.fills())
        .filter(|fill| fill.order_id == order_id)
        .filter_map(|fill| fill.fee.as_ref().map(|fee| fee.amount))
        .sum()
}

pub(super) fn order_of(engine: &Engine, key: &str, order: &Order) -> Value {
    let turnover = order.average_price.unwrap_or_default() * order.filled;
    let fee = fees_of(engine, key, &order.order_id);
    json!({
        "id": order.order_id, "order_id": order.order_id, "contract_code": order.instrument,
        "client_order_id": order.client_order_id.as_ref().unwrap_or(&order.order_id), "side": side_word(order.side),
        "position_side": position_word(order.position_side),
        "type": match (order.order_kind, order.time_in_force) {
            (OrderKind::Limit, TimeInForce::PostOnly) => "post_only",
            (OrderKind::Limit, _) => "limit",
            _ => "market",
        },
        "price": plain(order.price.unwrap_or_default()), "volume": contracts_text(engine, &order.instrument, order.size),
        "state": state_word(order), "margin_mode": margin_word(margin_mode_of(engine, key, &order.instrument)),
        "lever_rate": leverage_number(engine, key, &order.instrument), "order_source": source_word(order.cause),
        "reduce_only": order.reduce_only,
        "time_in_force": match order.time_in_force {
            TimeInForce::ImmediateOrCancel => "ioc",
            TimeInForce::FillOrKill => "fok",
            _ => "gtc",
        },
        "trade_avg_price": plain(order.average_price.unwrap_or_default()),
        "trade_volume": contracts_text(engine, &order.instrument, Some(order.filled)), "trade_turnover": plain(turnover),
        // What was paid is below zero in orders.
        "fee": plain(-fee), "fee_currency": if fee.is_zero() { "" } else { "USDT" }, "profit": "0", "price_match": null,
        "tp_trigger_price": "", "tp_order_price": "", "tp_type": "", "tp_trigger_price_type": "", "sl_trigger_price": "",
        "sl_order_price": "", "sl_type": "", "sl_trigger_price_type": "", "contract_type": "swap", "cancel_reason": "",
        "created_time": order.time_ms.to_string(), "updated_time": order.time_ms.to_string(),
        "self_match_prevent": "cancel_taker", "price_protect": false,
    })
}

fn algo_of(engine: &Engine, order: &Order) -> Value {
    let stop = matches!(order.order_kind, OrderKind::StopMarket | OrderKind::StopLimit);
    let limit = matches!(
        order.order_kind,
        OrderKind::StopLimit | OrderKind::TakeProfitLimit
    );
    let kind = if stop { "sl" } else { "tp" };
    let mut value = json!({
        "id": order.order_id, "algo_id": order.order_id, "algo_client_order_id": order.client_order_id, "type": kind,
        "contract_code": order.instrument, "side": side_word(order.side), "position_side": position_word(order.position_side),
        "volume": contracts_text(engine, &order.instrument, order.size), "state": state_word(order), "margin_mode": "cross",
        "order_source": source_word(order.cause), "reduce_only": order.reduce_only,
        "created_time": order.time_ms.to_string(), "updated_time": order.time_ms.to_string(),
    });
    value[format!("{kind}_trigger_price")] = json!(plain(order.trigger_price.unwrap_or_default()));
    value[format!("{kind}_order_price")] = json!(plain(order.price.unwrap_or_default()));
    value[format!("{kind}_type")] = json!(if limit { "limit" } else { "market" });
    value[format!("{kind}_trigger_price_type")] = json!("last");
    value
}

pub(super) fn fill_id(fill: &Fill) -> String {
    format!("{}-{}-1", fill.trade_id, fill.order_id)
}

/// A fill as HTTP tells it.
fn fill_of(engine: &Engine, key: &str, fill: &Fill) -> Value {
    let mut value = fill_push(engine, fill);
    let order = engine
        .account(key)
        .and_then(|account| account.orders().find(|order| order.order_id == fill.order_id));
    if let Some(members) = value.as_object_mut() {
        members.remove("direction");
        let more = [
            ("id", json!(fill_id(fill))),
            ("side", json!(side_word(fill.side))),
            ("order_type", json!(event_word(fill.cause))),
            (
                "type",
                json!(
                    if order.is_some_and(|order| order.order_kind == OrderKind::Limit) {
                        "limit"
                    } else {
                        "market"
                    }
                ),
            ),
            (
                "margin_mode",
                json!(margin_word(margin_mode_of(engine, key, &fill.instrument))),
            ),
            ("order_source", json!(source_word(fill.cause))),
            ("fee_currency", json!("USDT")),
            (
                "trade_fee",
                json!(plain(fill.fee.as_ref().map(|fee| fee.amount).unwrap_or_default())),
            ),
            (
                "role",
                json!(if fill.liquidity == Some(Liquidity::Maker) {
                    "MAKER"
                } else {
                    "TAKER"
                }),
            ),
            ("deduction_price", json!("")),
            ("profit", json!("0")),
        ];
        members.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    value
}

/// A fill as the socket tells it.
pub(super) fn fill_push(engine: &Engine, fill: &Fill) -> Value {
    json!({
        "id": fill_id(fill), "trade_id": fill.trade_id, "order_id": fill.order_id, "contract_code": fill.instrument,
        "contract_type": "swap", "client_order_id": fill.client_order_id.as_ref().unwrap_or(&fill.order_id),
        "direction": side_word(fill.side), "position_side": position_word(fill.position_side.unwrap_or_default()),
        "trade_volume": contracts_text(engine, &fill.instrument, Some(fill.size)), "trade_price": plain(fill.price),
        "trade_turnover": plain(fill.price * fill.size),
        "role": if fill.liquidity == Some(Liquidity::Maker) { "maker" } else { "taker" },
        "created_time": fill.time_ms.to_string(), "updated_time": fill.time_ms.to_string(),
    })
}

pub(super) fn position_of(engine: &Engine, key: &str, position: &Position) -> Value {
    let volume = contracts_text(engine, &position.instrument, Some(position.size.abs()));
    let mark = position.mark_price.unwrap_or_default();
    let leverage = position.leverage.unwrap_or(Decimal::ONE);
    let margin = (position.size.abs() * mark)
        .checked_div(leverage)
        .unwrap_or_default()
        .round_dp(8);
    let profit = position.unrealised_profit.unwrap_or_default().round_dp(8);
    let mode = engine
        .account(key)
        .map_or(PositionMode::OneWay, |account| account.position_mode);
    json!({
        "contract_code": position.instrument, "symbol": engine.quote(&position.instrument).map(|quote| quote.instrument.base.clone()),
        "position_mode": mode_word(mode), "position_side": position_word(position.position_side),
        "direction": if position.size.is_sign_negative() { "sell" } else { "buy" },
        "margin_mode": margin_word(position.margin_mode.unwrap_or_default()),
        "open_avg_price": plain(position.entry_price.unwrap_or_default()), "volume": volume, "available": volume,
        "lever_rate": Engine::whole(leverage), "adl_risk_percent": 3, "liquidation_price": "0", "margin": plain(margin),
        "initial_margin": plain(margin), "maintenance_margin": plain((margin / Decimal::TEN).round_dp(8)),
        "profit_unreal": plain(profit), "profit": plain(profit),
        "profit_rate": plain(profit.checked_div(margin).unwrap_or_default().round_dp(4)), "margin_rate": "0.0012",
        "mark_price": plain(mark), "last_price": plain(mark), "margin_currency": "USDT", "contract_type": "swap",
        "state": "normal", "funding_fee": "0", "version": 7, "created_time": position.time_ms.to_string(),
        "updated_time": position.time_ms.to_string(),
    })
}

pub(super) fn account_of(balance: &Balance) -> Value {
    let equity = balance.equity.unwrap_or(balance.wallet);
    let free = plain(balance.available.unwrap_or_default());
    let used = plain(equity - balance.available.unwrap_or_default());
    let profit = plain(equity - balance.wallet);
    let time = balance.time_ms;
    json!({
        "state": "normal", "equity": plain(equity), "initial_margin": used, "maintenance_margin": "0",
        "maintenance_margin_rate": "0", "initial_margin_rate": "0", "profit_unreal": profit, "available_margin": free,
        "voucher_value": "0", "created_time": time, "updated_time": time, "version": 5_659,
        "details": [{ "currency": balance.asset, "equity": plain(equity), "available": free, "profit_unreal": profit,
                      "initial_margin": used, "maintenance_margin": "0", "maintenance_margin_rate": "0",
                      "initial_margin_rate": "0", "available_margin": free, "withdraw_available": free, "voucher": "0",
                      "voucher_value": "0", "isolated_equity": "0", "isolated_profit_unreal": "0", "created_time": time,
                      "updated_time": time }],
    })
}

fn ids_of(order: &Order) -> Value {
    json!({ "order_id": order.order_id, "client_order_id": order.client_order_id.as_ref().unwrap_or(&order.order_id) })
}

fn texts(value: &Value) -> Vec<Text> {
    match value {
        Value::Array(list) => list.iter().filter_map(text_of).map(Text::from).collect(),
        one => text_of(one).map(Text::from).into_iter().collect(),
    }
}

/// The orders a request names.
fn references(body: &Value, venue: &str, client: &str) -> Vec<OrderRef> {
    let instrument = Text::from(text_of(&body["contract_code"]).unwrap_or_default());
    let by_id = texts(&body[venue]).into_iter().map(|id| OrderRef {
        instrument: instrument.clone(),
        order_id: Some(id),
        client_order_id: None,
    });
    let by_client_id = texts(&body[client]).into_iter().map(|id| OrderRef {
        instrument: instrument.clone(),
        order_id: None,
        client_order_id: Some(id),
    });
    by_id.chain(by_client_id).collect()
}

fn position_side(body: &Value) -> PositionSide {
    match body["position_side"].as_str() {
        Some("long") => PositionSide::Long,
        Some("short") => PositionSide::Short,
        _ => PositionSide::Net,
    }
}

fn side(body: &Value) -> Result<Side, Refusal> {
    match body["side"].as_str() {
        Some("buy") => Ok(Side::Buy),
        Some("sell") => Ok(Side::Sell),
        _ => Err(field("side")),
    }
}

fn number(body: &Value, name: &str) -> Option<Decimal> {
    text_of(&body[name])?
        .parse()
        .ok()
        .filter(|number: &Decimal| !number.is_zero())
}

/// Contracts of a request as base units.
pub(super) fn size_of(engine: &Engine, body: &Value) -> Result<(Text, Decimal), Refusal> {
    let code = text_of(&body["contract_code"]).unwrap_or_default();
    let quote = engine
        .quote(&code)
        .ok_or_else(|| Refusal(1_013, "This contract symbol doesnt exist.".to_owned()))?;
    let size = number(body, "volume")
        .and_then(|volume| quote.instrument.to_base(volume, Some(quote.price)))
        .ok_or_else(|| Refusal(1_040, "Incorrect field of order amount.".to_owned()))?;
    Ok((quote.instrument.instrument.clone(), size))
}

impl Htx {
    pub(super) fn refusal(&self, reject: &Reject) -> Refusal {
        let (code, message) = self.reject(reject);
        Refusal(code.parse().unwrap_or(1_030), message)
    }

    /// Answers a signed request below `/v5/`.
    pub(super) fn v5(&self, key: &str, request: &Incoming, engine: &mut Engine) -> Value {
        let now_ms = engine.now_ms();
        let query = Value::Object(
            Incoming::pairs(&request.raw_query)
                .into_iter()
                .map(|(name, value)| (name, Value::String(value)))
                .collect(),
        );
        let path = request.path.trim_start_matches("/v5/");
        let outcome = match request.method {
            Method::Get => self.v5_read(key, path, &query, engine),
            Method::Post => self.v5_act(key, path, &request.json(), engine),
            _ => Err(Refusal(404, "Not Found".to_owned())),
        };
        match outcome {
            Ok(data) => success(&data, now_ms),
            Err(Refusal(code, message)) => failure(code, &message, now_ms),
        }
    }

    fn v5_read(&self, key: &str, path: &str, query: &Value, engine: &Engine) -> Result<Value, Refusal> {
        let code = query["contract_code"].as_str();
        let about = |instrument: &Text| code.is_none_or(|code| instrument == code);
        let limit = query["limit"]
            .as_str()
            .and_then(|limit| limit.parse().ok())
            .unwrap_or(100);
        let account = engine.account(key);
        let orders = || account.into_iter().flat_map(|account| account.orders().rev());
        let algo = |order: &&Order| order.trigger_price.is_some();
        Ok(match path {
            "account/balance" => engine.balance(key).as_ref().map(account_of).unwrap_or_default(),
            "trade/position/opens" => engine
                .positions(key)
                .iter()
                .filter(|position| about(&position.instrument))
                .map(|position| position_of(engine, key, position))
                .collect(),
            "trade/order/opens" => orders()
                .filter(|order| {
                    about(&order.instrument)
                        && matches!(order.status, OrderStatus::Open | OrderStatus::PartiallyFilled)
                })
                .take(limit)
                .map(|order| order_of(engine, key, order))
                .collect(),
            "trade/order/history" => orders()
                .filter(|order| about(&order.instrument) && order.status.is_final() && !algo(order))
                .take(limit)
                .map(|order| order_of(engine, key, order))
                .collect(),
            "trade/order" => {
                let wanted = references(query, "order_id", "client_order_id");
                let order = wanted
                    .first()
                    .zip(account)
                    .and_then(|(wanted, account)| account.order(wanted));
                order_of(
                    engine,
                    key,
                    order.ok_or_else(|| Refusal(1_017, "Order doesnt exist.".to_owned()))?,
                )
            }
            "trade/order/details" => {
                let time = |name: &str| query[name].as_str().and_then(|time| time.parse::<u64>().ok());
                let (start, end) = (
                    time("start_time").unwrap_or(0),
                    time("end_time").unwrap_or(u64::MAX),
                );
                account
                    .into_iter()
                    .flat_map(|account| account.fills().iter().rev())
                    .filter(|fill| {
                        about(&fill.instrument)
                            && (start..=end).contains(&fill.time_ms)
                            && query["order_id"]
                                .as_str()
                                .is_none_or(|order| fill.order_id == order)
                    })
                    .take(limit)
                    .map(|fill| fill_of(engine, key, fill))
                    .collect()
            }
            "algo/order/opens" => orders()
                .filter(|order| about(&order.instrument) && order.status == OrderStatus::Untriggered)
                .map(|order| algo_of(engine, order))
                .collect(),
            "algo/order/history" => orders()
                .filter(|order| {
                    about(&order.instrument) && order.status != OrderStatus::Untriggered && algo(order)
                })
                .take(limit)
                .map(|order| algo_of(engine, order))
                .collect(),
            "algo/order" => {
                let wanted = references(query, "algo_id", "algo_client_order_id");
                wanted
                    .iter()
                    .zip(account)
                    .filter_map(|(wanted, account)| account.order(wanted))
                    .map(|order| algo_of(engine, order))
                    .collect()
            }
            "position/lever" => engine
                .quotes()
                .filter(|quote| about(&quote.instrument.instrument))
                .map(|quote| {
                    let name = &quote.instrument.instrument;
                    json!({ "contract_code": name, "margin_mode": margin_word(margin_mode_of(engine, key, name)),
                            "lever_rate": leverage_number(engine, key, name) })
                })
                .collect(),
            "position/mode" => {
                let mode = account.map_or(PositionMode::OneWay, |account| account.position_mode);
                json!({ "position_mode": mode_word(mode) })
            }
            "account/asset_mode" => json!({ "asset_mode": 0 }),
            _ => return Err(Refusal(404, "Not Found".to_owned())),
        })
    }

    fn v5_act(&self, key: &str, path: &str, body: &Value, engine: &mut Engine) -> Result<Value, Refusal> {
        match path {
            "trade/order" => self.place(key, body, engine).map(|order| ids_of(&order)),
            "trade/batch_orders" => {
                let list = body.as_array().ok_or_else(|| field("orders"))?;
                if list.len() > MAXIMUM_BATCH {
                    return Err(field("orders"));
                }
                let each = list
                    .iter()
                    .map(|order| {
                        let outcome = self.place(key, order, engine);
                        self.outcome(outcome.map(|order| ids_of(&order)))
                    })
                    .collect();
                Ok(each)
            }
            "trade/cancel_order" => {
                let wanted = references(body, "order_id", "client_order_id");
                let wanted = wanted.first().ok_or_else(|| field("order_id"))?;
                let order = engine
                    .cancel(key, wanted)
                    .map_err(|reject| self.refusal(&reject))?;
                Ok(ids_of(&order))
            }
            "trade/cancel_batch_orders" => Ok(references(body, "order_id", "client_order_id")
                .iter()
                .map(|wanted| {
                    let outcome = engine
                        .cancel(key, wanted)
                        .map(|order| ids_of(&order))
                        .map_err(|reject| self.refusal(&reject));
                    self.outcome(outcome)
                })
                .collect()),
            "trade/cancel_all_orders" => {
                let code = text_of(&body["contract_code"]);
                Ok(engine
                    .cancel_all(key, code.as_deref(), false)
                    .iter()
                    .map(|order| self.outcome(Ok(ids_of(order))))
                    .collect())
            }
            "trade/position" => {
                let code = text_of(&body["contract_code"]).unwrap_or_default();
                let order = engine
                    .close_position(key, &code, position_side(body))
                    .map_err(|reject| self.refusal(&reject))?;
                Ok(ids_of(&order))
            }
            "trade/position_all" => {
                let open = engine.positions(key);
                Ok(open
                    .iter()
                    .map(|position| {
                        let outcome = engine
                            .close_position(key, &position.instrument, position.position_side)
                            .map(|order| ids_of(&order))
                            .map_err(|reject| self.refusal(&reject));
                        self.outcome(outcome)
                    })
                    .collect())
            }
            "trade/cancel-after" => {
                let now_ms = engine.now_ms();
                Ok(
                    json!({ "current_time": now_ms, "trigger_time": now_ms + number(body, "time_out").map_or(0, Engine::whole) }),
                )
            }
            "algo/order" => self.place_algo(key, body, engine),
            "algo/cancel_orders" => {
                let list = body.as_array().ok_or_else(|| field("orders"))?;
                Ok(list
                    .iter()
                    .flat_map(|one| references(one, "algo_id", "algo_client_order_id"))
                    .map(|wanted| {
                        let outcome = engine
                            .cancel(key, &wanted)
                            .map(|order| json!({ "algo_id": order.order_id, "algo_client_order_id": order.client_order_id }))
                            .map_err(|reject| self.refusal(&reject));
                        self.outcome(outcome)
                    })
                    .collect())
            }
            "position/lever" => self.set_leverage(key, body, engine),
            "position/mode" => {
                let mode = match body["position_mode"].as_str() {
                    Some("dual_side") => PositionMode::Hedge,
                    Some("single_side") => PositionMode::OneWay,
                    _ => return Err(field("position_mode")),
                };
                match engine.set_position_mode(key, mode) {
                    Ok(()) | Err(Reject::Unchanged) => Ok(json!({ "position_mode": mode_word(mode) })),
                    Err(reject) => Err(self.refusal(&reject)),
                }
            }
            _ => Err(Refusal(404, "Not Found".to_owned())),
        }
    }

    /// One of several results, with a code of its own.
    fn outcome(&self, outcome: Result<Value, Refusal>) -> Value {
        match outcome {
            Ok(mut value) => {
                value["code"] = json!(200);
                value["message"] = json!("Success");
                value
            }
            Err(Refusal(code, message)) => json!({ "code": code, "message": message }),
        }
    }

    fn place(&self, key: &str, body: &Value, engine: &mut Engine) -> Result<Order, Refusal> {
        let (instrument, size) = size_of(engine, body)?;
        let kind = body["type"].as_str().unwrap_or("limit");
        let order_kind = match kind {
            "market" => OrderKind::Market,
            "limit" | "post_only" => OrderKind::Limit,
            _ => return Err(Refusal(1_034, "Incorrect field of order price type.".to_owned())),
        };
        let time_in_force = match (kind, body["time_in_force"].as_str()) {
            ("post_only", _) => TimeInForce::PostOnly,
            (_, Some("ioc")) => TimeInForce::ImmediateOrCancel,
            (_, Some("fok")) => TimeInForce::FillOrKill,
            (_, None | Some("gtc" | "")) => TimeInForce::GoodTilCancelled,
            _ => return Err(field("time_in_force")),
        };
        let order = NewOrder {
            instrument,
            side: side(body)?,
            size,
            order_kind,
            price: number(body, "price"),
            time_in_force: Some(time_in_force),
            reduce_only: flag(&body["reduce_only"]),
            position_side: position_side(body),
            margin_mode: MarginMode::Cross,
            leverage: None,
            client_order_id: text_of(&body["client_order_id"]).map(Text::from),
        };
        engine.place(key, &order).map_err(|reject| self.refusal(&reject))
    }

    fn place_algo(&self, key: &str, body: &Value, engine: &mut Engine) -> Result<Value, Refusal> {
        let (instrument, size) = size_of(engine, body)?;
        let side = side(body)?;
        let price_now = engine
            .quote(&instrument)
            .map(|quote| quote.price)
            .unwrap_or_default();
        let (stop, trigger, price) = if let Some(trigger) = number(body, "sl_trigger_price") {
            (true, trigger, number(body, "sl_order_price"))
        } else if let Some(trigger) = number(body, "tp_trigger_price") {
            (false, trigger, number(body, "tp_order_price"))
        } else {
            let trigger = number(body, "trigger_price").ok_or_else(|| field("trigger_price"))?;
            // A plain trigger waits on the side of the price it is on.
            let stop = (side == Side::Buy) == (trigger > price_now);
            (stop, trigger, number(body, "price"))
        };
        let order_kind = match (stop, price.is_some()) {
            (true, false) => OrderKind::StopMarket,
            (true, true) => OrderKind::StopLimit,
            (false, false) => OrderKind::TakeProfitMarket,
            (false, true) => OrderKind::TakeProfitLimit,
        };
        let closing = body["trigger_price"].is_null();
        let order = ConditionalOrder {
            instrument,
            side,
            size,
            order_kind,
            trigger_price: trigger,
            trigger_by: TriggerPrice::Last,
            price,
            // Stops and take-profits only ever close here.
            reduce_only: closing || flag(&body["reduce_only"]),
            position_side: position_side(body),
            margin_mode: MarginMode::Cross,
            client_order_id: text_of(&body["algo_client_order_id"]).map(Text::from),
        };
        let order = engine
            .place_conditional(key, &order)
            .map_err(|reject| self.refusal(&reject))?;
        Ok(json!([{ "algo_id": order.order_id, "algo_client_order_id": order.client_order_id }]))
    }

    fn set_leverage(&self, key: &str, body: &Value, engine: &mut Engine) -> Result<Value, Refusal> {
        let code = text_of(&body["contract_code"]).unwrap_or_default();
        let wanted = number(body, "lever_rate").unwrap_or_default();
        let most = engine
            .quote(&code)
            .ok_or_else(|| Refusal(1_013, "This contract symbol doesnt exist.".to_owned()))?
            .instrument
            .maximum_leverage
            .unwrap_or(Decimal::ONE_HUNDRED);
        if wanted < Decimal::ONE || wanted > most {
            return Err(Refusal(1_037, "The leverage is invalid.".to_owned()));
        }
        let mode = match body["margin_mode"].as_str() {
            Some("isolated") => MarginMode::Isolated,
            _ => MarginMode::Cross,
        };
        if let Some(account) = engine.account_mut(key) {
            account.leverage.insert(Text::from(code.as_str()), wanted);
            account.margin_modes.insert(Text::from(code.as_str()), mode);
        }
        Ok(
            json!({ "contract_code": code, "margin_mode": margin_word(mode), "lever_rate": Engine::whole(wanted) }),
        )
    }
}

/// Contracts of a position, for messages that count them.
pub(super) fn volume(engine: &Engine, position: &Position) -> Decimal {
    contracts(engine, &position.instrument, position.size.abs())
}
