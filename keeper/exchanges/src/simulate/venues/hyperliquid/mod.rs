//! Hyperliquid perpetuals as its documentation describes the wire.
//!
//! Accounts are addresses. Nobody logs in: whoever knows an address may read it, and what acts is signed by the key of
//! the address or of an agent the owner approved.

mod exchange;
mod info;
mod signing;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::model::{
    Cause, Decimal, Event, Fill, Instrument, Liquidity, Order, OrderKind, OrderStatus, Side, Text,
    TimeInForce, Trade, Venue,
};
use crate::request::{Method, Response};
use crate::simulate::engine::{Account, Engine, Quote, Reject, Update};
use crate::simulate::wire::{Cost, Frame, Incoming, Limit, Socket, Wire};

const WEIGHT: Limit = Limit {
    bucket: "weight",
    maximum: 1_200,
    window_ms: 60_000,
};
/// Subscriptions of one socket.
const MAXIMUM_SUBSCRIPTIONS: usize = 1_000;
/// Users whose streams one address may follow.
const MAXIMUM_USERS: usize = 10;
/// Fills in a snapshot.
const SNAPSHOT_FILLS: usize = 2_000;
/// Most decimals of a price are these less those of the size.
const PRICE_DECIMALS: u32 = 6;

/// The key of the account nobody configured: the one of the venue's SDK tests, known to everybody.
const KEY: &str = "0x0123456789012345678901234567890123456789012345678901234567890123";
/// Its address.
const ADDRESS: &str = "0x14791697260e4c9a71f18484c9f997b308e59325";
/// Who trades when no account does.
const STRANGERS: [&str; 2] = [
    "0x00000000000000000000000000000000000000fe",
    "0x00000000000000000000000000000000000000fd",
];

/// The account nobody configured.
pub(super) fn account(wallet: Decimal) -> Account {
    Account::new(ADDRESS, KEY, "", wallet)
}

/// What it lists.
pub(super) fn instruments() -> Vec<(Instrument, Decimal)> {
    [
        ("BTC", Decimal::new(1, 5), 40, 50_000),
        ("ETH", Decimal::new(1, 4), 25, 2_500),
        ("SOL", Decimal::new(1, 2), 20, 150),
    ]
    .into_iter()
    .zip(0..)
    .map(|((name, lot, leverage, price), number)| {
        let mut instrument = Instrument::linear(name, name, "USDC", Decimal::ZERO, lot);
        instrument.minimum_notional = Some(Decimal::TEN);
        instrument.maximum_leverage = Some(Decimal::from(leverage));
        instrument.number = Some(number);
        (instrument, Decimal::from(price))
    })
    .collect()
}

/// What the venue remembers besides the engine.
#[derive(Debug, Default)]
struct Memory {
    /// Agents: whose they are.
    agents: HashMap<String, String>,
    /// Highest nonces of each signer.
    nonces: HashMap<String, BTreeSet<u64>>,
    /// Actions of each address.
    requests: HashMap<String, u64>,
}

/// The wire.
#[derive(Debug, Default)]
pub(super) struct Hyperliquid {
    memory: Mutex<Memory>,
}

impl Hyperliquid {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ok(value: &Value) -> Response {
    Response::ok(value.to_string())
}

fn plain(status: u16, message: &str) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: message.as_bytes().to_vec(),
    }
}

/// A number as this venue prints it: whole ones with `.0`.
fn print(value: Decimal) -> String {
    let value = value.normalize();
    if value.scale() == 0 {
        format!("{value}.0")
    } else {
        value.to_string()
    }
}

fn zero_or(value: Option<Decimal>) -> String {
    print(value.unwrap_or_default())
}

const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "B",
        Side::Sell => "A",
    }
}

/// Ids are numbers on this wire.
fn id(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

fn status_word(order: &Order) -> &'static str {
    match order.status {
        OrderStatus::Pending
        | OrderStatus::Open
        | OrderStatus::PartiallyFilled
        | OrderStatus::Untriggered => "open",
        OrderStatus::Filled => "filled",
        OrderStatus::Cancelled
            if order.time_in_force == TimeInForce::ImmediateOrCancel && order.filled.is_zero() =>
        {
            "iocCancelRejected"
        }
        OrderStatus::Cancelled => "canceled",
        OrderStatus::Rejected => "rejected",
        // The engine ends a reduce-only trigger so when its position is gone.
        OrderStatus::Expired => "reduceOnlyCanceled",
        OrderStatus::Triggered => "triggered",
    }
}

const fn kind_word(order: &Order) -> &'static str {
    match order.order_kind {
        OrderKind::Market | OrderKind::Venue => "Market",
        OrderKind::Limit => "Limit",
        OrderKind::StopMarket | OrderKind::TrailingStop => "Stop Market",
        OrderKind::StopLimit => "Stop Limit",
        OrderKind::TakeProfitMarket => "Take Profit Market",
        OrderKind::TakeProfitLimit => "Take Profit Limit",
    }
}

fn in_force_word(order: &Order) -> Value {
    match (order.order_kind, order.time_in_force) {
        (OrderKind::Venue, _) => json!("LiquidationMarket"),
        (OrderKind::Market | OrderKind::Limit, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill) => {
            json!("Ioc")
        }
        (OrderKind::Market | OrderKind::Limit, TimeInForce::PostOnly) => json!("Alo"),
        (OrderKind::Market | OrderKind::Limit, _) => json!("Gtc"),
        _ => Value::Null,
    }
}

fn remaining(order: &Order) -> Decimal {
    order.size.unwrap_or_default() - order.filled
}

/// An order in few fields, as the streams and the short list have it.
fn short_order(order: &Order) -> Value {
    let mut value = json!({
        "coin": order.instrument, "side": side_word(order.side), "limitPx": zero_or(order.price.or(order.average_price)),
        "sz": print(remaining(order)), "oid": id(&order.order_id), "timestamp": order.time_ms,
        "origSz": zero_or(order.size),
    });
    if let Some(members) = value.as_object_mut() {
        if let Some(client_id) = &order.client_order_id {
            members.insert("cloid".to_owned(), json!(client_id));
        }
        if order.reduce_only {
            members.insert("reduceOnly".to_owned(), json!(true));
        }
    }
    value
}

/// An order with all its fields, as the front end's lists have it.
fn long_order(order: &Order) -> Value {
    let condition = order.trigger_price.map_or_else(
        || "N/A".to_owned(),
        |trigger| {
            let stop = matches!(order.order_kind, OrderKind::StopMarket | OrderKind::StopLimit);
            let above = stop == (order.side == Side::Buy);
            format!(
                "Price {} {}",
                if above { "above" } else { "below" },
                trigger.normalize()
            )
        },
    );
    let mut value = short_order(order);
    if let Some(members) = value.as_object_mut() {
        let more = [
            ("triggerCondition", json!(condition)),
            ("isTrigger", json!(order.trigger_price.is_some())),
            ("triggerPx", json!(zero_or(order.trigger_price))),
            ("children", json!([])),
            ("isPositionTpsl", json!(false)),
            ("reduceOnly", json!(order.reduce_only)),
            ("orderType", json!(kind_word(order))),
            ("tif", in_force_word(order)),
            ("cloid", json!(order.client_order_id)),
        ];
        members.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    value
}

fn order_update(order: &Order) -> Value {
    json!({ "order": short_order(order), "status": status_word(order), "statusTimestamp": order.time_ms })
}

/// What a fill did to the position, in the venue's words.
fn direction(fill: &Fill, before: Decimal) -> String {
    let long = before.is_sign_positive();
    match fill.cause {
        Cause::Liquidation => {
            return format!("Liquidated Cross {}", if long { "Long" } else { "Short" });
        }
        Cause::AutoDeleveraging => return "Auto-Deleveraging".to_owned(),
        Cause::Settlement => return "Settlement".to_owned(),
        Cause::User | Cause::Transfer => {}
    }
    let after = before + fill.side.signed(fill.size);
    let word = |open: bool| match (open, fill.side) {
        (true, Side::Buy) => "Open Long",
        (true, Side::Sell) => "Open Short",
        (false, Side::Buy) => "Close Short",
        (false, Side::Sell) => "Close Long",
    };
    let opens = before.is_zero() || long == (fill.side == Side::Buy);
    let turns = !opens && !after.is_zero() && after.is_sign_positive() != long;
    match (turns, fill.side) {
        (true, Side::Buy) => "Short > Long".to_owned(),
        (true, Side::Sell) => "Long > Short".to_owned(),
        (false, _) => word(opens).to_owned(),
    }
}

/// Transactions have a hash; ours says the trade's number.
fn hash(trade_id: &str) -> String {
    format!("0x{:064x}", id(trade_id))
}

fn fill_of(fill: &Fill, user: &str) -> Value {
    let before = fill.position_after.unwrap_or_default() - fill.side.signed(fill.size);
    let fee = fill.fee.clone();
    let mut value = json!({
        "coin": fill.instrument, "px": print(fill.price), "sz": print(fill.size), "side": side_word(fill.side),
        "time": fill.time_ms, "startPosition": print(before), "dir": direction(fill, before), "closedPnl": "0.0",
        "hash": hash(&fill.trade_id), "oid": id(&fill.order_id), "crossed": fill.liquidity != Some(Liquidity::Maker),
        "fee": print(fee.as_ref().map(|fee| fee.amount).unwrap_or_default()), "tid": id(&fill.trade_id),
        "feeToken": fee.map_or_else(|| Text::new("USDC"), |fee| fee.asset), "twapId": null,
    });
    if let Some(members) = value.as_object_mut() {
        if let Some(client_id) = &fill.client_order_id {
            members.insert("cloid".to_owned(), json!(client_id));
        }
        if fill.cause == Cause::Liquidation {
            members.insert(
                "liquidation".to_owned(),
                json!({ "liquidatedUser": user, "markPx": print(fill.price), "method": "market" }),
            );
        }
    }
    value
}

fn trade_of(trade: &Trade) -> Value {
    let name =
        |user: Option<&Text>, stranger: &str| user.map_or_else(|| stranger.to_owned(), ToString::to_string);
    json!({ "coin": trade.instrument, "side": side_word(trade.side), "px": print(trade.price), "sz": print(trade.size),
            "time": trade.time_ms, "hash": hash(&trade.trade_id), "tid": id(&trade.trade_id),
            "users": [name(trade.buyer.as_ref(), STRANGERS[0]), name(trade.seller.as_ref(), STRANGERS[1])] })
}

fn l2_book(engine: &Engine, quote: &Quote) -> Value {
    let book = engine.book(quote);
    let side = |levels: &[crate::model::Level]| -> Value {
        levels
            .iter()
            .map(|level| json!({ "px": print(level.price), "sz": print(level.size), "n": 3 }))
            .collect()
    };
    json!({ "coin": quote.instrument.instrument, "time": engine.now_ms(), "levels": [side(&book.bids), side(&book.asks)] })
}

fn bbo(engine: &Engine, quote: &Quote) -> Value {
    let ticker = engine.ticker(quote);
    json!({ "coin": ticker.instrument, "time": engine.now_ms(), "bbo": [
        { "px": zero_or(ticker.bid), "sz": zero_or(ticker.bid_size), "n": 3 },
        { "px": zero_or(ticker.ask), "sz": zero_or(ticker.ask_size), "n": 3 }] })
}

fn asset_context(quote: &Quote) -> Value {
    let price = print(quote.price);
    json!({ "dayNtlVlm": "1169046.29406", "prevDayPx": price, "markPx": price, "midPx": price, "oraclePx": price,
            "funding": "0.0000125", "openInterest": "688.11", "premium": "0.0",
            "impactPxs": [print(quote.bid()), print(quote.ask())], "dayBaseVlm": "1000.0" })
}

fn all_mids(engine: &Engine) -> Value {
    let mids: serde_json::Map<String, Value> = engine
        .quotes()
        .map(|quote| (quote.instrument.instrument.to_string(), json!(print(quote.price))))
        .collect();
    Value::Object(mids)
}

const fn interval_ms(interval: &str) -> u64 {
    match interval.as_bytes() {
        b"3m" => 180_000,
        b"5m" => 300_000,
        b"15m" => 900_000,
        b"30m" => 1_800_000,
        b"1h" => 3_600_000,
        b"4h" => 14_400_000,
        b"1d" => 86_400_000,
        _ => 60_000,
    }
}

fn candle(quote: &Quote, interval: &str, start: u64) -> Value {
    let price = print(quote.price);
    json!({ "t": start, "T": start + interval_ms(interval) - 1, "s": quote.instrument.instrument, "i": interval,
            "o": price, "c": price, "h": price, "l": price, "v": "1.20407", "n": 20 })
}

fn channel(name: &str, data: &Value) -> Frame {
    Frame::json(&json!({ "channel": name, "data": data }))
}

fn lower(value: &Value) -> Option<String> {
    value.as_str().map(str::to_lowercase)
}

/// A subscription as this wire remembers it: its type and whose or which, `userFills 0x…`, `candle BTC 1m`.
fn topic(subscription: &Value) -> Option<String> {
    let kind = subscription["type"].as_str()?;
    let of = match kind {
        "allMids" => String::new(),
        "l2Book" | "trades" | "bbo" | "activeAssetCtx" => subscription["coin"].as_str()?.to_owned(),
        "candle" => format!(
            "{} {}",
            subscription["coin"].as_str()?,
            subscription["interval"].as_str()?
        ),
        "activeAssetData" => format!(
            "{} {}",
            lower(&subscription["user"])?,
            subscription["coin"].as_str()?
        ),
        "userFills"
        | "orderUpdates"
        | "userEvents"
        | "userFundings"
        | "userNonFundingLedgerUpdates"
        | "webData2"
        | "clearinghouseState"
        | "openOrders"
        | "spotState"
        | "notification" => lower(&subscription["user"]).filter(|user| user.starts_with("0x"))?,
        _ => return None,
    };
    Some(format!("{kind} {of}").trim_end().to_owned())
}

impl Hyperliquid {
    fn subscribe(&self, socket: &mut Socket, text: &str, message: &Value, engine: &Engine) -> Vec<Frame> {
        let subscription = &message["subscription"];
        let Some(wanted) = topic(subscription) else {
            return vec![channel(
                "error",
                &json!(format!("Error parsing JSON into valid websocket request: {text}")),
            )];
        };
        if let Some(coin) = subscription["coin"].as_str()
            && engine.quote(coin).is_none()
        {
            return vec![channel(
                "error",
                &json!(format!("Invalid subscription {subscription}")),
            )];
        }
        if socket.topics.contains(&wanted) {
            return vec![channel(
                "error",
                &json!(format!("Already subscribed: {subscription}")),
            )];
        }
        if socket.topics.len() >= MAXIMUM_SUBSCRIPTIONS {
            return vec![channel(
                "error",
                &json!("Cannot subscribe to more than 1000 streams."),
            )];
        }
        let user = lower(&subscription["user"]);
        if let Some(user) = &user {
            let mut users: BTreeSet<String> =
                socket.topics.iter().filter_map(|topic| user_of(topic)).collect();
            users.insert(user.clone());
            if users.len() > MAXIMUM_USERS {
                return vec![channel("error", &json!("Cannot track more than 10 total users."))];
            }
            // There is no login; for faults a socket that follows somebody is that user's.
            socket.account.get_or_insert_with(|| user.clone());
        }
        socket.topics.push(wanted);
        let mut out = vec![channel(
            "subscriptionResponse",
            &json!({ "method": "subscribe", "subscription": subscription }),
        )];
        out.extend(Self::snapshot(subscription, user.as_deref(), engine));
        out
    }

    /// What a new subscription is told at once.
    fn snapshot(subscription: &Value, user: Option<&str>, engine: &Engine) -> Option<Frame> {
        let user = user.unwrap_or_default();
        let quote = subscription["coin"].as_str().and_then(|coin| engine.quote(coin));
        let data = match subscription["type"].as_str()? {
            "userFills" => {
                let fills: Vec<Value> = engine
                    .account(user)
                    .into_iter()
                    .flat_map(|account| account.fills().iter().rev().take(SNAPSHOT_FILLS))
                    .map(|fill| fill_of(fill, user))
                    .collect();
                json!({ "isSnapshot": true, "user": user, "fills": fills })
            }
            "userFundings" => json!({ "isSnapshot": true, "user": user, "fundings": [] }),
            "userNonFundingLedgerUpdates" => {
                json!({ "isSnapshot": true, "user": user, "nonFundingLedgerUpdates": [] })
            }
            "l2Book" => l2_book(engine, quote?),
            "bbo" => bbo(engine, quote?),
            "activeAssetCtx" => {
                json!({ "coin": quote?.instrument.instrument, "ctx": asset_context(quote?) })
            }
            "allMids" => json!({ "mids": all_mids(engine) }),
            "clearinghouseState" | "webData2" | "openOrders" | "spotState" => {
                return Some(account_frame(subscription["type"].as_str()?, user, engine));
            }
            _ => return None,
        };
        Some(channel(subscription["type"].as_str()?, &data))
    }

    fn post(&self, message: &Value, text: &str, engine: &mut Engine) -> Frame {
        let kind = message["request"]["type"].as_str().unwrap_or_default();
        let response = match kind {
            "action" => match exchange::payload_of(text) {
                Some(payload) => {
                    json!({ "type": "action", "payload": self.exchange(payload, engine).unwrap_or_else(|_| exchange::err("Failed to deserialize the JSON body into the target type")) })
                }
                None => json!({ "type": "error", "payload": "Failed to parse action" }),
            },
            "info" => {
                let payload = &message["request"]["payload"];
                match self.info(payload, engine) {
                    Some(data) => {
                        json!({ "type": "info", "payload": { "type": payload["type"], "data": data } })
                    }
                    None => json!({ "type": "error", "payload": "Failed to parse info request" }),
                }
            }
            _ => json!({ "type": "error", "payload": "Unknown request type" }),
        };
        channel("post", &json!({ "id": message["id"], "response": response }))
    }
}

fn user_of(topic: &str) -> Option<String> {
    topic
        .split(' ')
        .find(|part| part.starts_with("0x"))
        .map(str::to_owned)
}

fn account_frame(kind: &str, user: &str, engine: &Engine) -> Frame {
    let data = match kind {
        "webData2" => json!({ "clearinghouseState": info::clearinghouse_state(engine, user), "user": user,
                              "openOrders": info::open_orders(engine, user, long_order), "serverTime": engine.now_ms(),
                              "isVault": false, "leadingVaults": [], "totalVaultEquity": "0.0", "agentAddress": null }),
        "openOrders" => {
            json!({ "dex": "", "user": user, "orders": info::open_orders(engine, user, long_order) })
        }
        "spotState" => json!({ "user": user, "spotState": info::spot_state() }),
        _ => {
            json!({ "dex": "", "user": user, "clearinghouseState": info::clearinghouse_state(engine, user) })
        }
    };
    channel(kind, &data)
}

/// What one topic makes of market data.
fn market_push(topic: &str, event: &Event, engine: &Engine) -> Option<Frame> {
    let (kind, of) = topic.split_once(' ').unwrap_or((topic, ""));
    let (coin, interval) = of.split_once(' ').unwrap_or((of, ""));
    match (kind, event) {
        ("trades", Event::Trade(trade)) if trade.instrument == coin => {
            Some(channel("trades", &json!([trade_of(trade)])))
        }
        ("l2Book", Event::Book(book)) if book.instrument == coin => {
            Some(channel("l2Book", &l2_book(engine, engine.quote(coin)?)))
        }
        ("bbo", Event::Ticker(ticker)) if ticker.instrument == coin => {
            Some(channel("bbo", &bbo(engine, engine.quote(coin)?)))
        }
        ("activeAssetCtx", Event::Mark(mark)) if mark.instrument == coin => Some(channel(
            "activeAssetCtx",
            &json!({ "coin": coin, "ctx": asset_context(engine.quote(coin)?) }),
        )),
        ("candle", Event::Mark(mark)) if mark.instrument == coin => {
            let start = engine.now_ms() - engine.now_ms() % interval_ms(interval);
            Some(channel("candle", &candle(engine.quote(coin)?, interval, start)))
        }
        ("allMids", Event::Mark(_)) => Some(channel("allMids", &json!({ "mids": all_mids(engine) }))),
        _ => None,
    }
}

/// What one topic makes of something that happened to `user`.
fn account_push(topic: &str, user: &str, event: &Event, engine: &Engine) -> Option<Frame> {
    let (kind, of) = topic.split_once(' ')?;
    if of != user {
        return None;
    }
    match (kind, event) {
        ("userFills", Event::Fill(fill)) => Some(channel(
            "userFills",
            &json!({ "user": user, "fills": [fill_of(fill, user)] }),
        )),
        ("userEvents", Event::Fill(fill)) => {
            Some(channel("user", &json!({ "fills": [fill_of(fill, user)] })))
        }
        ("orderUpdates", Event::Order(order)) => Some(channel("orderUpdates", &json!([order_update(order)]))),
        ("openOrders", Event::Order(_)) | ("clearinghouseState" | "webData2", Event::Balance(_)) => {
            Some(account_frame(kind, user, engine))
        }
        _ => None,
    }
}

impl Wire for Hyperliquid {
    fn venue(&self) -> Venue {
        Venue::Hyperliquid
    }

    fn rest(&self, request: &Incoming, engine: &mut Engine) -> Response {
        let unreadable = || plain(422, "Failed to deserialize the JSON body into the target type");
        match (request.method, request.path.as_str()) {
            (Method::Post, "/info") => match self.info(&request.json(), engine) {
                Some(value) => ok(&value),
                None => unreadable(),
            },
            (Method::Post, "/exchange") => match self.exchange(&request.body, engine) {
                Ok(value) => ok(&value),
                Err(_) => unreadable(),
            },
            _ => plain(404, "Not Found"),
        }
    }

    fn costs(&self, request: &Incoming) -> Vec<Cost> {
        let body = request.json();
        let weight = if request.path == "/exchange" {
            let batch = ["orders", "cancels", "modifies"]
                .iter()
                .filter_map(|list| body["action"][list].as_array())
                .map(Vec::len)
                .sum::<usize>();
            1 + u32::try_from(batch / 40).unwrap_or(u32::MAX)
        } else {
            match body["type"].as_str() {
                Some(
                    "l2Book"
                    | "allMids"
                    | "clearinghouseState"
                    | "orderStatus"
                    | "spotClearinghouseState"
                    | "exchangeStatus",
                ) => 2,
                Some("userRole") => 60,
                _ => 20,
            }
        };
        vec![Cost {
            limit: WEIGHT,
            weight,
        }]
    }

    // The venue says nothing of how long to wait, and has no ban of its own.
    fn too_many(&self, _retry_after_seconds: u64, _banned: bool, _now_ms: u64) -> Response {
        plain(429, "null")
    }

    fn internal_error(&self) -> Response {
        plain(502, "<html><head><title>502 Bad Gateway</title></head></html>")
    }

    fn message(&self, socket: &mut Socket, text: &str, engine: &mut Engine) -> Vec<Frame> {
        let message: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        match message["method"].as_str() {
            Some("ping") => vec![Frame::json(&json!({ "channel": "pong" }))],
            Some("subscribe") => self.subscribe(socket, text, &message, engine),
            Some("unsubscribe") => {
                let subscription = &message["subscription"];
                match topic(subscription).filter(|topic| socket.topics.contains(topic)) {
                    Some(ended) => {
                        socket.topics.retain(|topic| *topic != ended);
                        vec![channel(
                            "subscriptionResponse",
                            &json!({ "method": "unsubscribe", "subscription": subscription }),
                        )]
                    }
                    None => vec![channel(
                        "error",
                        &json!(format!("Already unsubscribed: {subscription}")),
                    )],
                }
            }
            Some("post") => vec![self.post(&message, text, engine)],
            _ => vec![channel(
                "error",
                &json!(format!("Error parsing JSON into valid websocket request: {text}")),
            )],
        }
    }

    fn push(&self, socket: &Socket, update: &Update, engine: &Engine) -> Vec<Frame> {
        socket
            .topics
            .iter()
            .filter_map(|topic| match &update.account {
                None => market_push(topic, &update.event, engine),
                Some(user) => account_push(topic, user, &update.event, engine),
            })
            .collect()
    }

    /// There are no sessions; what expires here are the agents.
    fn expire_sessions(&self, _socket: &mut Socket, _engine: &mut Engine) -> Vec<Frame> {
        self.memory().agents.clear();
        Vec::new()
    }

    fn reject(&self, reject: &Reject) -> (String, String) {
        let (code, message) = match reject {
            Reject::UnknownInstrument => ("", "Asset does not exist."),
            Reject::DuplicateClientId(_) => ("", "Client order id already used."),
            Reject::Size => ("", "Order has invalid size."),
            Reject::Price => ("tickRejected", "Price must be divisible by tick size."),
            Reject::MinimumNotional => ("minTradeNtlRejected", "Order must have minimum value of $10."),
            Reject::Margin => ("perpMarginRejected", "Insufficient margin to place order."),
            Reject::ReduceOnly | Reject::NoPosition => {
                ("reduceOnlyRejected", "Reduce only order would increase position.")
            }
            Reject::PostOnly => (
                "badAloPxRejected",
                "Post only order would have immediately matched, bbo was unknown.",
            ),
            Reject::FillOrKill => (
                "iocCancelRejected",
                "Order could not immediately match against any resting orders.",
            ),
            Reject::WouldTrigger => ("badTriggerPxRejected", "Invalid TP/SL price."),
            Reject::PositionMode => ("", "Hedge mode is not supported."),
            Reject::UnknownOrder => ("", "Order was never placed, already canceled, or filled."),
            Reject::NotFlat => ("", "Cannot switch leverage type with open position."),
            Reject::Unchanged => ("", "Nothing to change."),
        };
        (code.to_owned(), message.to_owned())
    }
}
