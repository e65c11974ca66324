//! Binance USDⓈ-M futures as its documentation describes the wire.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::crypto::hmac_hex;
use crate::model::{
    Book, BookCheck, Cause, Decimal, Event, Fill, Instrument, Liquidity, MarginMode, Order, OrderKind,
    OrderStatus, Position, PositionMode, PositionSide, Side, Text, TimeInForce, TriggerPrice, Venue,
};
use crate::operation::{AmendOrder, ConditionalOrder, NewOrder, OrderRef};
use crate::request::{Method, Response};
use crate::simulate::engine::{Engine, Quote, Reject, Update};
use crate::simulate::wire::{Cost, Frame, Incoming, Limit, Socket, Used, Wire};

const WEIGHT: Limit = Limit {
    bucket: "weight",
    maximum: 2_400,
    window_ms: 60_000,
};
const ORDERS_10_SECONDS: Limit = Limit {
    bucket: "orders-10s",
    maximum: 300,
    window_ms: 10_000,
};
const ORDERS_MINUTE: Limit = Limit {
    bucket: "orders-1m",
    maximum: 1_200,
    window_ms: 60_000,
};
/// Life of a listen key without renewal.
const LISTEN_KEY_MS: u64 = 60 * 60 * 1_000;

/// The wire.
#[derive(Debug, Default)]
pub(super) struct Binance {
    /// Listen keys: whose, until when.
    listen_keys: Mutex<HashMap<String, (String, u64)>>,
}

/// What it lists.
pub(super) fn instruments() -> Vec<(Instrument, Decimal)> {
    [
        (
            "BTCUSDT",
            "BTC",
            Decimal::new(1, 1),
            Decimal::new(1, 3),
            100,
            50_000,
        ),
        (
            "ETHUSDT",
            "ETH",
            Decimal::new(1, 2),
            Decimal::new(1, 3),
            20,
            2_500,
        ),
        ("SOLUSDT", "SOL", Decimal::new(1, 2), Decimal::new(1, 2), 5, 150),
    ]
    .into_iter()
    .map(|(name, base, tick, lot, notional, price)| {
        let mut instrument = Instrument::linear(name, base, "USDT", tick, lot);
        instrument.minimum_notional = Some(Decimal::from(notional));
        instrument.maximum_leverage = Some(Decimal::from(125));
        (instrument, Decimal::from(price))
    })
    .collect()
}

/// An error in the venue's form.
fn error(status: u16, code: i64, message: &str) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: json!({ "code": code, "msg": message }).to_string().into_bytes(),
    }
}

fn ok(value: &Value) -> Response {
    Response::ok(value.to_string())
}

type Parameters = HashMap<String, String>;

/// Parameters of query and body, which the venue treats alike.
fn parameters(request: &Incoming) -> Parameters {
    let mut all: Parameters = Incoming::pairs(&request.raw_query).into_iter().collect();
    all.extend(Incoming::pairs(&request.body));
    all
}

fn text(parameters: &Parameters, name: &str) -> Option<Text> {
    parameters.get(name).map(Text::new)
}

fn number(parameters: &Parameters, name: &str) -> Option<Decimal> {
    parameters.get(name)?.parse().ok()
}

impl Binance {
    /// The account of a signed request.
    fn authenticate(request: &Incoming, engine: &Engine) -> Result<String, Response> {
        let key = request
            .header("x-mbx-apikey")
            .ok_or_else(|| error(401, -2014, "API-key format invalid."))?;
        let account = engine
            .account(key)
            .ok_or_else(|| error(401, -2015, "Invalid API-key, IP, or permissions for action."))?;
        let parameters = parameters(request);
        let stated: u64 = parameters
            .get("timestamp")
            .and_then(|stated| stated.parse().ok())
            .ok_or_else(|| {
                error(
                    400,
                    -1102,
                    "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.",
                )
            })?;
        let window: u64 = parameters
            .get("recvWindow")
            .and_then(|window| window.parse().ok())
            .unwrap_or(5_000);
        if stated > engine.now_ms() + 1_000 || engine.now_ms().saturating_sub(stated) > window {
            return Err(error(
                400,
                -1021,
                "Timestamp for this request is outside of the recvWindow.",
            ));
        }
        // The signature is over query and body as they were sent, and stands last in one of them.
        let sent = format!("{}{}", request.raw_query, request.body);
        let (payload, signature) = sent.rsplit_once("signature=").ok_or_else(|| {
            error(
                400,
                -1102,
                "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.",
            )
        })?;
        if hmac_hex(&account.secret, payload.trim_end_matches('&')) != signature {
            return Err(error(400, -1022, "Signature for this request is not valid."));
        }
        Ok(key.to_owned())
    }

    fn refuse(&self, reject: &Reject) -> Response {
        let (code, message) = self.reject(reject);
        error(400, code.parse().unwrap_or(-1000), &message)
    }

    fn public(&self, request: &Incoming, engine: &mut Engine) -> Option<Response> {
        if request.method != Method::Get {
            return None;
        }
        let parameters = parameters(request);
        let quote = parameters.get("symbol").and_then(|symbol| engine.quote(symbol));
        let needed = || quote.ok_or_else(|| error(400, -1121, "Invalid symbol."));
        let answer = match request.path.as_str() {
            "/fapi/v1/ping" => Ok(json!({})),
            "/fapi/v1/time" => Ok(json!({ "serverTime": engine.now_ms() })),
            "/fapi/v1/exchangeInfo" => Ok(exchange_info(engine)),
            "/fapi/v1/ticker/bookTicker" => needed().map(|quote| {
                let ticker = engine.ticker(quote);
                json!({ "symbol": ticker.instrument, "bidPrice": ticker.bid, "bidQty": ticker.bid_size, "askPrice": ticker.ask,
                        "askQty": ticker.ask_size, "time": engine.now_ms(), "lastUpdateId": quote.sequence })
            }),
            "/fapi/v1/depth" => needed().map(|quote| {
                let (bids, asks) = sides(engine, quote);
                json!({ "lastUpdateId": quote.sequence, "E": engine.now_ms(), "T": engine.now_ms(), "bids": bids, "asks": asks })
            }),
            "/fapi/v1/premiumIndex" => match quote {
                Some(quote) => Ok(premium(engine, quote)),
                None => Ok(engine.quotes().map(|quote| premium(engine, quote)).collect()),
            },
            "/fapi/v1/trades" => needed().map(|quote| {
                json!([{ "id": quote.sequence, "price": quote.price.to_string(), "qty": "0.100", "quoteQty": "1",
                         "time": engine.now_ms(), "isBuyerMaker": true }])
            }),
            "/fapi/v1/klines" => needed().map(|quote| klines(engine, quote, &parameters)),
            _ => return None,
        };
        Some(answer.map_or_else(|refusal| refusal, |value| ok(&value)))
    }

    fn listen_key(&self, request: &Incoming, engine: &Engine) -> Response {
        let Some(account) = request.header("x-mbx-apikey").and_then(|key| engine.account(key)) else {
            return error(401, -2015, "Invalid API-key, IP, or permissions for action.");
        };
        let mut keys = self.listen_keys.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = engine.now_ms();
        let until = now_ms + LISTEN_KEY_MS;
        let known = keys
            .iter_mut()
            .find(|(_, (owner, until))| *owner == account.key && *until > now_ms);
        match (request.method, known) {
            (Method::Post, Some((key, life))) => {
                life.1 = until;
                ok(&json!({ "listenKey": key }))
            }
            (Method::Post, None) => {
                let key = hmac_hex(&account.secret, &format!("listen key {now_ms} {}", keys.len()));
                keys.insert(key.clone(), (account.key.clone(), until));
                ok(&json!({ "listenKey": key }))
            }
            (Method::Put, Some((key, life))) => {
                life.1 = until;
                ok(&json!({ "listenKey": key }))
            }
            (Method::Delete, Some((key, _))) => {
                let key = key.clone();
                keys.remove(&key);
                ok(&json!({}))
            }
            _ => error(400, -1125, "This listenKey does not exist."),
        }
    }

    fn private(&self, request: &Incoming, engine: &mut Engine) -> Response {
        let key = match Self::authenticate(request, engine) {
            Ok(key) => key,
            Err(refusal) => return refusal,
        };
        let parameters = parameters(request);
        let symbol = text(&parameters, "symbol").unwrap_or_default();
        let path = request
            .path
            .trim_start_matches("/fapi/v1/")
            .trim_start_matches("/fapi/v2/")
            .trim_start_matches("/fapi/v3/");
        match (request.method, path) {
            (Method::Post, "order") => self.place(&key, &parameters, engine),
            (Method::Put, "order") => self.amend(&key, &parameters, engine),
            (Method::Delete, "order") => self.cancel(&key, &order_ref(&parameters), engine),
            (Method::Get, "order") => match engine
                .account(&key)
                .and_then(|account| account.order(&order_ref(&parameters)))
            {
                Some(order) => ok(&rest_order(order)),
                None => error(400, -2013, "Order does not exist."),
            },
            (Method::Get, "openOrders") => ok(&self.orders(&key, &symbol, engine, |order| {
                !order.status.is_final() && order.trigger_price.is_none()
            })),
            (Method::Get, "allOrders") => {
                ok(&self.orders(&key, &symbol, engine, |order| order.trigger_price.is_none()))
            }
            (Method::Get, "userTrades") => ok(&user_trades(&key, &symbol, engine)),
            (Method::Delete, "allOpenOrders") => {
                engine.cancel_all(&key, Some(&symbol), false);
                ok(&json!({ "code": 200, "msg": "The operation of cancel all open order is done." }))
            }
            (method, "batchOrders") => self.batch(method, &key, &parameters, engine),
            (Method::Post, "algoOrder") => self.place_conditional(&key, &parameters, engine),
            (Method::Delete, "algoOrder") => {
                let wanted = OrderRef {
                    instrument: symbol,
                    order_id: text(&parameters, "algoId"),
                    client_order_id: text(&parameters, "clientAlgoId"),
                };
                match engine.cancel(&key, &wanted) {
                    Ok(order) => ok(
                        &json!({ "algoId": id(&order.order_id), "clientAlgoId": order.client_order_id,
                                             "code": "200", "msg": "success" }),
                    ),
                    Err(reject) => self.refuse(&reject),
                }
            }
            (Method::Get, "openAlgoOrders") => ok(&json!(
                engine
                    .account(&key)
                    .into_iter()
                    .flat_map(|account| account
                        .orders()
                        .filter(|order| order.status == OrderStatus::Untriggered))
                    .map(algo_order)
                    .collect::<Vec<_>>()
            )),
            (Method::Get, "positionRisk") => ok(&engine
                .positions(&key)
                .iter()
                .map(|position| position_risk(engine, position))
                .collect()),
            (Method::Get, "account") => ok(&account(engine, &key)),
            (Method::Get, "balance") => ok(&balances(engine, &key)),
            (Method::Get, "positionSide/dual") => {
                let hedge = engine
                    .account(&key)
                    .is_some_and(|account| account.position_mode == PositionMode::Hedge);
                ok(&json!({ "dualSidePosition": hedge }))
            }
            (Method::Post, "positionSide/dual") => {
                let hedge = parameters
                    .get("dualSidePosition")
                    .is_some_and(|wanted| wanted == "true");
                let mode = if hedge {
                    PositionMode::Hedge
                } else {
                    PositionMode::OneWay
                };
                match engine.set_position_mode(&key, mode) {
                    Ok(()) => ok(&json!({ "code": 200, "msg": "success" })),
                    Err(Reject::Unchanged) => error(400, -4059, "No need to change position side."),
                    Err(_) => error(
                        400,
                        -4068,
                        "Position side cannot be changed if there exists position.",
                    ),
                }
            }
            (Method::Post, "leverage") => self.set_leverage(&key, &symbol, &parameters, engine),
            (Method::Post, "marginType") => set_margin_type(&key, symbol, &parameters, engine),
            (Method::Post, "countdownCancelAll") => {
                ok(&json!({ "symbol": symbol, "countdownTime": parameters.get("countdownTime") }))
            }
            (Method::Get, "leverageBracket") => ok(&engine.quotes().map(leverage_bracket).collect()),
            (Method::Get, "symbolConfig") => ok(&engine
                .quotes()
                .map(|quote| symbol_config(engine, &key, quote))
                .collect()),
            _ => error(404, -1, "Not found"),
        }
    }

    fn place(&self, key: &str, parameters: &Parameters, engine: &mut Engine) -> Response {
        match new_order(parameters).map(|order| engine.place(key, &order)) {
            Ok(Ok(order)) => ok(&rest_order(&order)),
            Ok(Err(reject)) => self.refuse(&reject),
            Err(refusal) => refusal,
        }
    }

    fn amend(&self, key: &str, parameters: &Parameters, engine: &mut Engine) -> Response {
        let wanted = order_ref(parameters);
        let change = AmendOrder {
            instrument: wanted.instrument,
            order_id: wanted.order_id,
            client_order_id: wanted.client_order_id,
            side: None,
            size: number(parameters, "quantity"),
            price: number(parameters, "price"),
            reduce_only: false,
        };
        match engine.amend(key, &change) {
            Ok(order) => ok(&rest_order(&order)),
            Err(reject) => self.refuse(&reject),
        }
    }

    fn cancel(&self, key: &str, wanted: &OrderRef, engine: &mut Engine) -> Response {
        match engine.cancel(key, wanted) {
            Ok(order) => ok(&rest_order(&order)),
            Err(Reject::UnknownOrder) => error(400, -2011, "Unknown order sent."),
            Err(reject) => self.refuse(&reject),
        }
    }

    fn batch(&self, method: Method, key: &str, parameters: &Parameters, engine: &mut Engine) -> Response {
        let each: Vec<Response> = match method {
            Method::Post | Method::Put => {
                let list: Vec<HashMap<String, Value>> = parameters
                    .get("batchOrders")
                    .and_then(|list| serde_json::from_str(list).ok())
                    .unwrap_or_default();
                if list.len() > 5 {
                    return error(400, -4082, "Invalid number of batch place orders.");
                }
                list.into_iter()
                    .map(|order| {
                        let order: Parameters = order
                            .into_iter()
                            .map(|(name, value)| {
                                (
                                    name,
                                    value.as_str().map_or_else(|| value.to_string(), str::to_owned),
                                )
                            })
                            .collect();
                        if method == Method::Post {
                            self.place(key, &order, engine)
                        } else {
                            self.amend(key, &order, engine)
                        }
                    })
                    .collect()
            }
            _ => {
                let instrument = text(parameters, "symbol").unwrap_or_default();
                let ids: Vec<u64> = list(parameters, "orderIdList");
                let client_ids: Vec<String> = list(parameters, "origClientOrderIdList");
                let by_id = ids.into_iter().map(|id| OrderRef {
                    instrument: instrument.clone(),
                    order_id: Some(Text::from(id.to_string())),
                    client_order_id: None,
                });
                let by_client_id = client_ids.into_iter().map(|id| OrderRef {
                    instrument: instrument.clone(),
                    order_id: None,
                    client_order_id: Some(Text::from(id)),
                });
                by_id
                    .chain(by_client_id)
                    .map(|order| self.cancel(key, &order, engine))
                    .collect()
            }
        };
        let values: Vec<Value> = each
            .iter()
            .filter_map(|response| serde_json::from_slice(&response.body).ok())
            .collect();
        ok(&Value::from(values))
    }

    fn place_conditional(&self, key: &str, parameters: &Parameters, engine: &mut Engine) -> Response {
        let (Some(side), Some(kind)) = (side(parameters), parameters.get("type")) else {
            return error(
                400,
                -1102,
                "Mandatory parameter was not sent, was empty/null, or malformed.",
            );
        };
        let order_kind = match kind.as_str() {
            "STOP_MARKET" => OrderKind::StopMarket,
            "STOP" => OrderKind::StopLimit,
            "TAKE_PROFIT_MARKET" => OrderKind::TakeProfitMarket,
            "TAKE_PROFIT" => OrderKind::TakeProfitLimit,
            _ => return error(400, -1116, "Invalid orderType."),
        };
        let order = ConditionalOrder {
            instrument: text(parameters, "symbol").unwrap_or_default(),
            side,
            size: number(parameters, "quantity").unwrap_or_default(),
            order_kind,
            trigger_price: number(parameters, "triggerPrice").unwrap_or_default(),
            trigger_by: match parameters.get("workingType").map(String::as_str) {
                Some("MARK_PRICE") => TriggerPrice::Mark,
                _ => TriggerPrice::Last,
            },
            price: number(parameters, "price"),
            reduce_only: parameters.get("reduceOnly").is_some_and(|only| only == "true"),
            position_side: position_side(parameters),
            margin_mode: MarginMode::Cross,
            client_order_id: text(parameters, "clientAlgoId"),
        };
        match engine.place_conditional(key, &order) {
            Ok(order) => ok(&algo_order(&order)),
            Err(reject) => self.refuse(&reject),
        }
    }

    fn orders(&self, key: &str, symbol: &str, engine: &Engine, wanted: impl Fn(&Order) -> bool) -> Value {
        engine
            .account(key)
            .into_iter()
            .flat_map(|account| account.orders())
            .filter(|order| (symbol.is_empty() || order.instrument == symbol) && wanted(order))
            .map(rest_order)
            .collect()
    }

    fn set_leverage(
        &self,
        key: &str,
        symbol: &Text,
        parameters: &Parameters,
        engine: &mut Engine,
    ) -> Response {
        let wanted = number(parameters, "leverage").unwrap_or_default();
        if wanted < Decimal::ONE || wanted > Decimal::from(125) {
            return error(400, -4028, "Leverage is not valid");
        }
        if engine.quote(symbol).is_none() {
            return error(400, -1121, "Invalid symbol.");
        }
        if let Some(account) = engine.account_mut(key) {
            account.leverage.insert(symbol.clone(), wanted);
        }
        ok(&json!({ "leverage": Engine::whole(wanted), "maxNotionalValue": "1000000", "symbol": symbol }))
    }
}

fn set_margin_type(key: &str, symbol: Text, parameters: &Parameters, engine: &mut Engine) -> Response {
    let wanted = match parameters.get("marginType").map(String::as_str) {
        Some("ISOLATED") => MarginMode::Isolated,
        Some("CROSSED") => MarginMode::Cross,
        _ => {
            return error(
                400,
                -1102,
                "Mandatory parameter 'marginType' was not sent, was empty/null, or malformed.",
            );
        }
    };
    let open = engine
        .positions(key)
        .iter()
        .any(|position| position.instrument == symbol);
    let Some(account) = engine.account_mut(key) else {
        return error(401, -2015, "Invalid API-key, IP, or permissions for action.");
    };
    if account.margin_modes.get(&symbol).copied().unwrap_or_default() == wanted {
        return error(400, -4046, "No need to change margin type.");
    }
    if open {
        return error(
            400,
            -4048,
            "Margin type cannot be changed if there exists position.",
        );
    }
    account.margin_modes.insert(symbol, wanted);
    ok(&json!({ "code": 200, "msg": "success" }))
}

fn list<T: serde::de::DeserializeOwned>(parameters: &Parameters, name: &str) -> Vec<T> {
    parameters
        .get(name)
        .and_then(|list| serde_json::from_str(list).ok())
        .unwrap_or_default()
}

fn side(parameters: &Parameters) -> Option<Side> {
    match parameters.get("side")?.as_str() {
        "BUY" => Some(Side::Buy),
        "SELL" => Some(Side::Sell),
        _ => None,
    }
}

fn position_side(parameters: &Parameters) -> PositionSide {
    match parameters.get("positionSide").map(String::as_str) {
        Some("LONG") => PositionSide::Long,
        Some("SHORT") => PositionSide::Short,
        _ => PositionSide::Net,
    }
}

fn order_ref(parameters: &Parameters) -> OrderRef {
    OrderRef {
        instrument: text(parameters, "symbol").unwrap_or_default(),
        order_id: text(parameters, "orderId"),
        client_order_id: text(parameters, "origClientOrderId"),
    }
}

fn new_order(parameters: &Parameters) -> Result<NewOrder, Response> {
    let side = side(parameters).ok_or_else(|| {
        error(
            400,
            -1102,
            "Mandatory parameter 'side' was not sent, was empty/null, or malformed.",
        )
    })?;
    let order_kind = match parameters.get("type").map(String::as_str) {
        Some("MARKET") => OrderKind::Market,
        Some("LIMIT") => OrderKind::Limit,
        Some("STOP" | "STOP_MARKET" | "TAKE_PROFIT" | "TAKE_PROFIT_MARKET" | "TRAILING_STOP_MARKET") => {
            return Err(error(
                400,
                -4120,
                "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
            ));
        }
        _ => return Err(error(400, -1116, "Invalid orderType.")),
    };
    let time_in_force = match parameters.get("timeInForce").map(String::as_str) {
        Some("GTC") => Some(TimeInForce::GoodTilCancelled),
        Some("IOC") => Some(TimeInForce::ImmediateOrCancel),
        Some("FOK") => Some(TimeInForce::FillOrKill),
        Some("GTX") => Some(TimeInForce::PostOnly),
        Some("GTD") => Some(TimeInForce::GoodTilDate),
        Some(_) => return Err(error(400, -1115, "Invalid timeInForce.")),
        None if order_kind == OrderKind::Limit => {
            return Err(error(
                400,
                -1102,
                "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed.",
            ));
        }
        None => None,
    };
    let position_side = position_side(parameters);
    let reduce_only = parameters.get("reduceOnly").is_some_and(|only| only == "true");
    if reduce_only && position_side != PositionSide::Net {
        return Err(error(
            400,
            -1106,
            "Parameter 'reduceonly' sent when not required.",
        ));
    }
    Ok(NewOrder {
        instrument: text(parameters, "symbol").unwrap_or_default(),
        side,
        size: number(parameters, "quantity").unwrap_or_default(),
        order_kind,
        price: number(parameters, "price"),
        time_in_force,
        reduce_only,
        position_side,
        margin_mode: MarginMode::Cross,
        leverage: None,
        client_order_id: text(parameters, "newClientOrderId"),
    })
}

/// Ids are numbers on this wire.
fn id(text: &str) -> Value {
    text.parse::<u64>()
        .map_or_else(|_| json!(text), |number| json!(number))
}

const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

const fn position_side_word(side: PositionSide) -> &'static str {
    match side {
        PositionSide::Net => "BOTH",
        PositionSide::Long => "LONG",
        PositionSide::Short => "SHORT",
    }
}

const fn status_word(order: &Order) -> &'static str {
    match order.status {
        OrderStatus::Pending | OrderStatus::Open | OrderStatus::Untriggered => "NEW",
        OrderStatus::PartiallyFilled => "PARTIALLY_FILLED",
        OrderStatus::Filled => "FILLED",
        OrderStatus::Cancelled => "CANCELED",
        OrderStatus::Rejected => "REJECTED",
        OrderStatus::Expired => "EXPIRED",
        OrderStatus::Triggered => "TRIGGERED",
    }
}

const fn kind_word(order: &Order) -> &'static str {
    match order.order_kind {
        OrderKind::Market => "MARKET",
        OrderKind::Limit => "LIMIT",
        OrderKind::StopMarket => "STOP_MARKET",
        OrderKind::StopLimit => "STOP",
        OrderKind::TakeProfitMarket => "TAKE_PROFIT_MARKET",
        OrderKind::TakeProfitLimit => "TAKE_PROFIT",
        OrderKind::TrailingStop => "TRAILING_STOP_MARKET",
        // The venue's own orders, for example liquidations, are limit orders that end at once.
        OrderKind::Venue => "LIMIT",
    }
}

const fn in_force_word(order: &Order) -> &'static str {
    match order.time_in_force {
        TimeInForce::GoodTilCancelled => "GTC",
        TimeInForce::ImmediateOrCancel => "IOC",
        TimeInForce::FillOrKill => "FOK",
        TimeInForce::PostOnly => "GTX",
        TimeInForce::GoodTilDate => "GTD",
    }
}

fn zero_or(value: Option<Decimal>) -> String {
    value.unwrap_or_default().to_string()
}

fn client_id(order: &Order) -> String {
    order
        .client_order_id
        .as_ref()
        .map_or_else(|| format!("auto_{}", order.order_id), ToString::to_string)
}

fn rest_order(order: &Order) -> Value {
    let value = order.average_price.unwrap_or_default() * order.filled;
    json!({
        "orderId": id(&order.order_id), "symbol": order.instrument, "status": status_word(order),
        "clientOrderId": client_id(order), "price": zero_or(order.price), "avgPrice": zero_or(order.average_price),
        "origQty": zero_or(order.size), "executedQty": order.filled.to_string(), "cumQty": order.filled.to_string(),
        "cumQuote": value.to_string(), "timeInForce": in_force_word(order), "type": kind_word(order),
        "reduceOnly": order.reduce_only, "closePosition": false, "side": side_word(order.side),
        "positionSide": position_side_word(order.position_side), "stopPrice": zero_or(order.trigger_price),
        "workingType": "CONTRACT_PRICE", "priceProtect": false, "origType": kind_word(order), "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE", "goodTillDate": 0, "time": order.time_ms, "updateTime": order.time_ms,
    })
}

fn algo_order(order: &Order) -> Value {
    json!({
        "algoId": id(&order.order_id), "clientAlgoId": client_id(order), "algoType": "CONDITIONAL",
        "orderType": kind_word(order), "symbol": order.instrument, "side": side_word(order.side),
        "positionSide": position_side_word(order.position_side), "timeInForce": in_force_word(order),
        "quantity": zero_or(order.size), "algoStatus": status_word(order), "triggerPrice": zero_or(order.trigger_price),
        "price": zero_or(order.price), "workingType": "CONTRACT_PRICE", "priceProtect": false, "closePosition": false,
        "reduceOnly": order.reduce_only, "createTime": order.time_ms, "updateTime": order.time_ms,
    })
}

fn user_trades(key: &str, symbol: &str, engine: &Engine) -> Value {
    engine
        .account(key)
        .into_iter()
        .flat_map(|account| account.fills())
        .filter(|fill| symbol.is_empty() || fill.instrument == symbol)
        .map(|fill| {
            let fee = fill.fee.clone();
            json!({
                "symbol": fill.instrument, "id": id(&fill.trade_id), "orderId": id(&fill.order_id),
                "side": side_word(fill.side), "price": fill.price.to_string(), "qty": fill.size.to_string(),
                "quoteQty": (fill.price * fill.size).to_string(), "realizedPnl": "0",
                "commission": fee.as_ref().map(|fee| fee.amount.to_string()),
                "commissionAsset": fee.map(|fee| fee.asset), "marginAsset": "USDT", "time": fill.time_ms,
                "buyer": fill.side == Side::Buy, "maker": fill.liquidity == Some(Liquidity::Maker),
                "positionSide": position_side_word(fill.position_side.unwrap_or_default()),
            })
        })
        .collect()
}

fn position_risk(engine: &Engine, position: &Position) -> Value {
    let mark = position.mark_price.unwrap_or_default();
    json!({
        "symbol": position.instrument, "positionSide": position_side_word(position.position_side),
        "positionAmt": position.size.to_string(), "entryPrice": zero_or(position.entry_price),
        "breakEvenPrice": zero_or(position.entry_price), "markPrice": mark.to_string(),
        "unRealizedProfit": zero_or(position.unrealised_profit), "liquidationPrice": "0", "isolatedMargin": "0",
        "notional": (position.size * mark).to_string(), "marginAsset": "USDT", "isolatedWallet": "0",
        "leverage": zero_or(position.leverage), "marginType": margin_word(position.margin_mode),
        "initialMargin": "0", "maintMargin": "0", "positionInitialMargin": "0", "openOrderInitialMargin": "0", "adl": 2,
        "bidNotional": "0", "askNotional": "0", "updateTime": engine.now_ms(),
    })
}

const fn margin_word(mode: Option<MarginMode>) -> &'static str {
    match mode {
        Some(MarginMode::Isolated) => "isolated",
        _ => "cross",
    }
}

fn account(engine: &Engine, key: &str) -> Value {
    let balance = engine.balance(key);
    let (wallet, equity, free) = balance.map_or_else(Default::default, |balance| {
        (
            balance.wallet,
            balance.equity.unwrap_or_default(),
            balance.available.unwrap_or_default(),
        )
    });
    let positions: Vec<Value> = engine
        .positions(key)
        .iter()
        .map(|position| position_risk(engine, position))
        .collect();
    json!({
        "totalWalletBalance": wallet.to_string(), "totalMarginBalance": equity.to_string(),
        "totalUnrealizedProfit": (equity - wallet).to_string(), "availableBalance": free.to_string(),
        "totalInitialMargin": "0", "totalMaintMargin": "0", "totalCrossWalletBalance": wallet.to_string(),
        "maxWithdrawAmount": free.to_string(),
        "assets": [{ "asset": "USDT", "walletBalance": wallet.to_string(), "unrealizedProfit": (equity - wallet).to_string(),
                     "marginBalance": equity.to_string(), "maintMargin": "0", "initialMargin": (equity - free).to_string(),
                     "availableBalance": free.to_string(), "crossWalletBalance": wallet.to_string(),
                     "maxWithdrawAmount": free.to_string(), "updateTime": engine.now_ms() }],
        "positions": positions,
    })
}

fn balances(engine: &Engine, key: &str) -> Value {
    engine
        .balance(key)
        .into_iter()
        .map(|balance| {
            json!({ "accountAlias": "sim", "asset": balance.asset, "balance": balance.wallet.to_string(),
                    "crossWalletBalance": balance.wallet.to_string(),
                    "crossUnPnl": (balance.equity.unwrap_or_default() - balance.wallet).to_string(),
                    "availableBalance": zero_or(balance.available), "maxWithdrawAmount": zero_or(balance.available),
                    "marginAvailable": true, "updateTime": engine.now_ms() })
        })
        .collect()
}

fn symbol_config(engine: &Engine, key: &str, quote: &Quote) -> Value {
    let symbol = &quote.instrument.instrument;
    let account = engine.account(key);
    let leverage = account
        .map(|account| account.leverage_of(symbol))
        .unwrap_or_default();
    let margin = account.and_then(|account| account.margin_modes.get(symbol).copied());
    json!({ "symbol": symbol, "marginType": if margin == Some(MarginMode::Isolated) { "ISOLATED" } else { "CROSSED" },
            "isAutoAddMargin": false, "leverage": Engine::whole(leverage), "maxNotionalValue": "1000000" })
}

fn leverage_bracket(quote: &Quote) -> Value {
    json!({ "symbol": quote.instrument.instrument, "notionalCoef": "1", "brackets": [
        { "bracket": 1, "initialLeverage": 125, "notionalCap": 1_000_000, "notionalFloor": 0, "maintMarginRatio": "0.005",
          "cum": "0" }] })
}

fn exchange_info(engine: &Engine) -> Value {
    let symbols: Vec<Value> = engine
        .quotes()
        .map(|quote| {
            let instrument = &quote.instrument;
            let (tick, lot) = (instrument.tick.to_string(), instrument.lot.to_string());
            json!({
                "symbol": instrument.instrument, "pair": instrument.instrument, "contractType": "PERPETUAL",
                "deliveryDate": 4_133_404_800_000_u64, "onboardDate": 1_569_398_400_000_u64, "status": "TRADING",
                "baseAsset": instrument.base, "quoteAsset": instrument.quote, "marginAsset": instrument.settle,
                "pricePrecision": 8, "quantityPrecision": 8, "baseAssetPrecision": 8, "quotePrecision": 8,
                "underlyingType": "COIN", "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000",
                "filters": [
                    { "filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000", "tickSize": tick },
                    { "filterType": "LOT_SIZE", "minQty": lot, "maxQty": "1000", "stepSize": lot },
                    { "filterType": "MARKET_LOT_SIZE", "minQty": lot, "maxQty": "120", "stepSize": lot },
                    { "filterType": "MAX_NUM_ORDERS", "limit": 200 },
                    { "filterType": "MIN_NOTIONAL", "notional": zero_or(instrument.minimum_notional) },
                    { "filterType": "PERCENT_PRICE", "multiplierUp": "1.05", "multiplierDown": "0.95", "multiplierDecimal": "4" },
                ],
                "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
                "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
            })
        })
        .collect();
    json!({
        "timezone": "UTC", "serverTime": engine.now_ms(), "exchangeFilters": [], "assets": [], "symbols": symbols,
        "rateLimits": [
            { "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": WEIGHT.maximum },
            { "rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": ORDERS_MINUTE.maximum },
            { "rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": ORDERS_10_SECONDS.maximum },
        ],
    })
}

fn premium(engine: &Engine, quote: &Quote) -> Value {
    json!({ "symbol": quote.instrument.instrument, "markPrice": quote.price.to_string(), "indexPrice": quote.price.to_string(),
            "estimatedSettlePrice": quote.price.to_string(), "lastFundingRate": "0.00010000", "interestRate": "0.00010000",
            "nextFundingTime": next_funding(engine.now_ms()), "time": engine.now_ms() })
}

const fn next_funding(now_ms: u64) -> u64 {
    const EIGHT_HOURS_MS: u64 = 8 * 60 * 60 * 1_000;
    (now_ms / EIGHT_HOURS_MS + 1) * EIGHT_HOURS_MS
}

fn klines(engine: &Engine, quote: &Quote, parameters: &Parameters) -> Value {
    let interval: u64 = match parameters.get("interval").map(String::as_str) {
        Some("5m") => 300_000,
        Some("15m") => 900_000,
        Some("1h") => 3_600_000,
        Some("4h") => 14_400_000,
        Some("1d") => 86_400_000,
        _ => 60_000,
    };
    let count: u64 = parameters
        .get("limit")
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(10)
        .min(1_500);
    let last = engine.now_ms() / interval;
    let price = quote.price.to_string();
    (0..count)
        .map(|index| {
            let start = (last + 1 - count + index) * interval;
            json!([
                start,
                price,
                price,
                price,
                price,
                "1.000",
                start + interval - 1,
                price,
                1,
                "0.500",
                price,
                "0"
            ])
        })
        .collect()
}

fn sides(engine: &Engine, quote: &Quote) -> (Value, Value) {
    levels(&engine.book(quote))
}

fn levels(book: &Book) -> (Value, Value) {
    let side = |levels: &[crate::model::Level]| {
        levels
            .iter()
            .map(|level| json!([level.price.to_string(), level.size.to_string()]))
            .collect::<Value>()
    };
    (side(&book.bids), side(&book.asks))
}

fn order_event(order: &Order, fill: Option<&Fill>, now_ms: u64) -> Value {
    let execution = match (fill, order.status, order.cause) {
        (Some(_), _, Cause::Liquidation) => "CALCULATED",
        (Some(_), ..) => "TRADE",
        (None, OrderStatus::Cancelled, _) => "CANCELED",
        (None, OrderStatus::Expired | OrderStatus::Rejected, _) => "EXPIRED",
        // Nothing else happens to an order without a fill but its coming and its change.
        (None, ..) => "NEW",
    };
    let mut inner = json!({
        "s": order.instrument, "c": client_id(order), "S": side_word(order.side), "o": kind_word(order),
        "f": in_force_word(order), "q": zero_or(order.size), "p": zero_or(order.price), "ap": zero_or(order.average_price),
        "sp": zero_or(order.trigger_price), "x": execution, "X": status_word(order), "i": id(&order.order_id),
        "l": "0", "z": order.filled.to_string(), "L": "0", "T": order.time_ms, "t": 0, "b": "0", "a": "0", "m": false,
        "R": order.reduce_only, "wt": "CONTRACT_PRICE", "ot": kind_word(order),
        "ps": position_side_word(order.position_side), "cp": false, "rp": "0", "pP": false, "si": 0, "ss": 0,
        "V": "NONE", "pm": "NONE", "gtd": 0,
    });
    if let (Some(fill), Some(members)) = (fill, inner.as_object_mut()) {
        members.insert("l".into(), json!(fill.size.to_string()));
        members.insert("L".into(), json!(fill.price.to_string()));
        members.insert("t".into(), id(&fill.trade_id));
        members.insert("m".into(), json!(fill.liquidity == Some(Liquidity::Maker)));
        if let Some(fee) = &fill.fee {
            members.insert("N".into(), json!(fee.asset));
            members.insert("n".into(), json!(fee.amount.to_string()));
        }
    }
    json!({ "e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": order.time_ms, "o": inner })
}

fn algo_event(order: &Order, now_ms: u64) -> Value {
    json!({ "e": "ALGO_UPDATE", "T": order.time_ms, "E": now_ms, "o": {
        "caid": client_id(order), "aid": id(&order.order_id), "at": "CONDITIONAL", "o": kind_word(order),
        "s": order.instrument, "S": side_word(order.side), "ps": position_side_word(order.position_side), "f": "GTC",
        "q": zero_or(order.size), "X": status_word(order), "ai": "", "ap": "0", "aq": "0", "act": "0",
        "tp": zero_or(order.trigger_price), "p": zero_or(order.price), "V": "EXPIRE_MAKER", "wt": "CONTRACT_PRICE", "pm": "NONE",
        "cp": false, "pP": false, "R": order.reduce_only, "tt": 0, "gtd": 0 } })
}

fn account_event(balances: Value, positions: Value, now_ms: u64) -> Value {
    json!({ "e": "ACCOUNT_UPDATE", "T": now_ms, "E": now_ms, "a": { "m": "ORDER", "B": balances, "P": positions } })
}

/// The venue's two 24-hour tickers, beside the best prices that [`market_event`] makes of the same event.
fn day_tickers(event: &Event, engine: &Engine) -> Vec<(String, Value)> {
    let Event::Ticker(ticker) = event else {
        return Vec::new();
    };
    let (price, now_ms, symbol) = (
        zero_or(ticker.last),
        engine.now_ms(),
        ticker.instrument.to_lowercase(),
    );
    let small = json!({ "e": "24hrMiniTicker", "E": now_ms, "s": ticker.instrument, "c": price, "o": price, "h": price,
                        "l": price, "v": "1000", "q": "1000000" });
    let full = json!({ "e": "24hrTicker", "E": now_ms, "s": ticker.instrument, "p": "0", "P": "0", "w": price, "c": price,
                       "Q": "0.1", "o": price, "h": price, "l": price, "v": "1000", "q": "1000000",
                       "O": now_ms.saturating_sub(86_400_000), "C": now_ms, "F": 1, "L": 2, "n": 2 });
    vec![
        (format!("{symbol}@miniTicker"), small),
        (format!("{symbol}@ticker"), full),
    ]
}

/// Market data in the venue's form, with the name of its stream.
fn market_event(event: &Event, change: Option<&Book>, engine: &Engine) -> Option<(String, Value)> {
    let now_ms = engine.now_ms();
    let stream = |symbol: &str, kind: &str| format!("{}@{kind}", symbol.to_lowercase());
    match event {
        Event::Ticker(ticker) => {
            let sequence = engine.quote(&ticker.instrument)?.sequence;
            Some((
                stream(&ticker.instrument, "bookTicker"),
                json!({ "e": "bookTicker", "u": sequence, "s": ticker.instrument, "b": zero_or(ticker.bid),
                        "B": zero_or(ticker.bid_size), "a": zero_or(ticker.ask), "A": zero_or(ticker.ask_size),
                        "T": now_ms, "E": now_ms }),
            ))
        }
        Event::Book(book) => {
            // Only what changed: a client keeps a price until it is told that nothing is left there.
            let BookCheck::Sequence { last, .. } = book.check else {
                return None;
            };
            let (bids, asks) = levels(change?);
            Some((
                stream(&book.instrument, "depth"),
                json!({ "e": "depthUpdate", "E": now_ms, "T": now_ms, "s": book.instrument, "U": last,
                        "u": last, "pu": last - 1, "b": bids, "a": asks }),
            ))
        }
        Event::Mark(mark) => Some((
            stream(&mark.instrument, "markPrice"),
            json!({ "e": "markPriceUpdate", "E": now_ms, "s": mark.instrument, "p": mark.price.to_string(),
                    "i": mark.price.to_string(), "P": mark.price.to_string(), "r": "0.00010000", "T": next_funding(now_ms) }),
        )),
        Event::Trade(trade) => Some((
            stream(&trade.instrument, "aggTrade"),
            json!({ "e": "aggTrade", "E": now_ms, "s": trade.instrument, "a": id(&trade.trade_id),
                    "p": trade.price.to_string(), "q": trade.size.to_string(), "f": id(&trade.trade_id),
                    "l": id(&trade.trade_id), "T": trade.time_ms, "m": trade.side == Side::Sell }),
        )),
        _ => None,
    }
}

/// A subscription without the speed that may stand after it: `btcusdt@depth@100ms`.
fn stream_of(topic: &str) -> String {
    topic.split('@').take(2).collect::<Vec<_>>().join("@")
}

impl Wire for Binance {
    fn venue(&self) -> Venue {
        Venue::Binance
    }

    fn rest(&self, request: &Incoming, engine: &mut Engine) -> Response {
        if request.path == "/fapi/v1/listenKey" {
            return self.listen_key(request, engine);
        }
        match self.public(request, engine) {
            Some(response) => response,
            None => self.private(request, engine),
        }
    }

    fn costs(&self, request: &Incoming) -> Vec<Cost> {
        let order = request.path.ends_with("/order")
            || request.path.ends_with("Orders")
            || request.path.ends_with("algoOrder");
        let cost = |limit, weight| Cost { limit, weight };
        if order && request.method != Method::Get {
            return vec![cost(ORDERS_10_SECONDS, 1), cost(ORDERS_MINUTE, 1)];
        }
        let weight = match request.path.as_str() {
            "/fapi/v1/openOrders" if !request.raw_query.contains("symbol=") => 40,
            "/fapi/v1/positionSide/dual" => 30,
            "/fapi/v2/positionRisk"
            | "/fapi/v3/positionRisk"
            | "/fapi/v3/account"
            | "/fapi/v3/balance"
            | "/fapi/v1/userTrades"
            | "/fapi/v1/allOrders"
            | "/fapi/v1/klines" => 5,
            _ => 1,
        };
        vec![cost(WEIGHT, weight)]
    }

    fn limit_headers(&self, used: &[Used]) -> Vec<(String, String)> {
        used.iter()
            .map(|used| {
                let name = match used.limit.bucket {
                    "orders-10s" => "x-mbx-order-count-10s",
                    "orders-1m" => "x-mbx-order-count-1m",
                    _ => "x-mbx-used-weight-1m",
                };
                (name.to_owned(), used.weight.to_string())
            })
            .collect()
    }

    fn too_many(&self, retry_after_seconds: u64, banned: bool, _now_ms: u64) -> Response {
        let mut response = if banned {
            error(
                418,
                -1003,
                "Way too many requests; IP banned. Please use the websocket for live updates to avoid bans.",
            )
        } else {
            error(
                429,
                -1003,
                "Too many requests; current limit is 2400 requests per minute.",
            )
        };
        response
            .headers
            .push(("retry-after".to_owned(), retry_after_seconds.to_string()));
        response
    }

    fn internal_error(&self) -> Response {
        error(
            503,
            -1000,
            "Unknown error, please check your request or try again later.",
        )
    }

    fn opened(&self, socket: &mut Socket, engine: &mut Engine) -> Vec<Frame> {
        // Streams can be named in the address: /ws/a/b, /stream?streams=a/b, ?listenKey=…, /ws/<listenKey>.
        let query = Incoming::pairs(&socket.raw_query);
        let named = |name: &str| {
            query
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        let last = socket.path.rsplit('/').next().unwrap_or_default().to_owned();
        let listen_key = named("listenKey").unwrap_or(last);
        let now_ms = engine.now_ms();
        let keys = self.listen_keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((owner, until)) = keys.get(&listen_key)
            && *until > now_ms
        {
            socket.account = Some(owner.clone());
        }
        if let Some(streams) = named("streams") {
            socket.topics.extend(streams.split('/').map(stream_of));
            socket.memory = json!({ "combined": true });
        } else if let Some((_, streams)) = socket.path.split_once("/ws/") {
            socket.topics.extend(
                streams
                    .split('/')
                    .filter(|stream| stream.contains('@'))
                    .map(stream_of),
            );
        }
        Vec::new()
    }

    fn message(&self, socket: &mut Socket, text: &str, _engine: &mut Engine) -> Vec<Frame> {
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            return vec![Frame::json(
                &json!({ "error": { "code": 3, "msg": "Invalid JSON: expected value" } }),
            )];
        };
        let topics: Vec<String> = message["params"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(stream_of)
            .collect();
        match message["method"].as_str() {
            Some("SUBSCRIBE") => socket.topics.extend(topics),
            Some("UNSUBSCRIBE") => socket.topics.retain(|topic| !topics.contains(topic)),
            _ => {
                return vec![Frame::json(
                    &json!({ "error": { "code": 2, "msg": "Invalid request: unknown method" }, "id": message["id"] }),
                )];
            }
        }
        vec![Frame::json(&json!({ "result": null, "id": message["id"] }))]
    }

    fn push(&self, socket: &Socket, update: &Update, engine: &Engine) -> Vec<Frame> {
        let now_ms = engine.now_ms();
        let value = match (&update.account, &update.event) {
            (Some(account), event) if socket.account.as_ref() == Some(account) => match event {
                Event::Order(order) if order.trigger_price.is_some() => algo_event(order, now_ms),
                Event::Order(order) => order_event(order, update.fill.as_ref(), now_ms),
                Event::Position(position) => account_event(
                    json!([]),
                    json!([{ "s": position.instrument, "pa": position.size.to_string(), "ep": zero_or(position.entry_price),
                             "bep": zero_or(position.entry_price), "cr": "0", "up": zero_or(position.unrealised_profit),
                             "mt": margin_word(position.margin_mode), "iw": "0",
                             "ps": position_side_word(position.position_side), "ma": "USDT" }]),
                    now_ms,
                ),
                Event::Balance(balance) => account_event(
                    json!([{ "a": balance.asset, "wb": balance.wallet.to_string(), "cw": balance.wallet.to_string(), "bc": "0" }]),
                    json!([]),
                    now_ms,
                ),
                // The fast message: fewer fields, before the full one, of orders that people placed.
                Event::Fill(fill) if fill.cause == Cause::User => json!({
                    "e": "TRADE_LITE", "E": now_ms, "T": fill.time_ms, "s": fill.instrument, "q": fill.size.to_string(), "p": "0",
                    "m": fill.liquidity == Some(Liquidity::Maker), "c": fill.client_order_id.clone().unwrap_or_default(),
                    "S": side_word(fill.side), "L": fill.price.to_string(), "l": fill.size.to_string(),
                    "t": id(&fill.trade_id), "i": id(&fill.order_id) }),
                _ => return Vec::new(),
            },
            (None, event) => {
                let combined = socket.memory["combined"] == json!(true);
                return market_event(event, update.change.as_ref(), engine)
                    .into_iter()
                    .chain(day_tickers(event, engine))
                    .filter(|(stream, _)| socket.topics.contains(stream))
                    .map(|(stream, value)| {
                        Frame::json(&if combined {
                            json!({ "stream": stream, "data": value })
                        } else {
                            value
                        })
                    })
                    .collect();
            }
            _ => return Vec::new(),
        };
        vec![Frame::json(&value)]
    }

    fn expire_sessions(&self, socket: &mut Socket, engine: &mut Engine) -> Vec<Frame> {
        self.listen_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        if socket.account.take().is_none() {
            return Vec::new();
        }
        vec![Frame::json(
            &json!({ "e": "listenKeyExpired", "E": engine.now_ms() }),
        )]
    }

    fn reject(&self, reject: &Reject) -> (String, String) {
        let (code, message) = match reject {
            Reject::UnknownInstrument => (-1121, "Invalid symbol."),
            Reject::DuplicateClientId(_) => (-4116, "ClientOrderId is duplicated."),
            Reject::Size => (-1111, "Precision is over the maximum defined for this asset."),
            Reject::Price => (-4014, "Price not increased by tick size."),
            Reject::MinimumNotional => (
                -4164,
                "Order's notional must be no smaller than 5 (unless you choose reduce only).",
            ),
            Reject::Margin => (-2019, "Margin is insufficient."),
            Reject::ReduceOnly | Reject::NoPosition => (-2022, "ReduceOnly Order is rejected."),
            Reject::PostOnly => (
                -5022,
                "Due to the order could not be executed as maker, the Post Only order will be rejected.",
            ),
            Reject::FillOrKill => (
                -5021,
                "Due to the order could not be filled immediately, the FOK order has been rejected.",
            ),
            Reject::WouldTrigger => (-2021, "Order would immediately trigger."),
            Reject::PositionMode => (-4061, "Order's position side does not match user's setting."),
            Reject::UnknownOrder => (-2013, "Order does not exist."),
            Reject::NotFlat => (-4068, "Position side cannot be changed if there exists position."),
            Reject::Unchanged => (-4046, "No need to change margin type."),
        };
        (code.to_string(), message.to_owned())
    }
}
