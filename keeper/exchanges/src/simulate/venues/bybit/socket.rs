//! Sockets: logins, subscriptions, orders, pushes.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::super::shared::{interval_starts, plain, text, whole};
use super::orders::Act;
use super::rest::{in_time, interval_ms};
use super::rows::{fast_row, level_rows, position_row, side_word, ticker_row, wallet_row};
use super::{Bybit, Refusal, bad, refusal};
use crate::crypto::hmac_hex;
use crate::model::{Book, BookCheck, Event};
use crate::simulate::engine::{Engine, Update};
use crate::simulate::wire::{Frame, Socket};

/// How old a request on the order socket may be where it does not say.
const WINDOW_MS: u64 = 5_000;
/// How many request ids are remembered to find those that come twice.
const REMEMBERED: usize = 200;
/// The account's number.
const UID: &str = "24600000";

/// Topics of the private socket; with a category after a point too.
const PRIVATE: [&str; 5] = ["order", "execution", "execution.fast", "position", "wallet"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Public,
    Private,
    Trade,
}

fn door(socket: &Socket) -> Option<Door> {
    match socket.path.strip_prefix("/v5/")? {
        "private" => Some(Door::Private),
        "trade" => Some(Door::Trade),
        "public/linear" | "public/inverse" | "public/spot" | "public/option" => Some(Door::Public),
        _ => None,
    }
}

/// A private topic without its category.
fn base_topic(topic: &str) -> Option<&'static str> {
    let topic = topic.strip_suffix(".linear").unwrap_or(topic);
    PRIVATE.into_iter().find(|known| *known == topic)
}

/// A message about the account.
fn private_push(topic: &str, rows: &[Value], engine: &Engine) -> Frame {
    let now_ms = engine.now_ms();
    Frame::json(
        &json!({ "id": format!("{UID}{topic}{now_ms}"), "topic": topic, "creationTime": now_ms, "data": rows }),
    )
}

/// A message about the market.
fn public_push(topic: &str, kind: &str, data: &Value, engine: &Engine) -> Frame {
    Frame::json(
        &json!({ "topic": topic, "type": kind, "ts": engine.now_ms(), "data": data, "cs": 24_987_956_059_u64 }),
    )
}

fn book_data(instrument: &str, book: &Book, depth: usize, update: i64) -> Value {
    json!({ "s": instrument, "b": level_rows(&book.bids, depth), "a": level_rows(&book.asks, depth), "u": update,
            "seq": 7_961_638_000 + update })
}

impl Bybit {
    pub(super) fn greet(&self, socket: &mut Socket) -> Vec<Frame> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        socket.memory =
            json!({ "connId": format!("cojidqec0hv9fgvhtbt0-{number:x}"), "books": {}, "ids": [] });
        match door(socket) {
            Some(_) => Vec::new(),
            None => vec![Frame::Close(1008, "Not Found".to_owned())],
        }
    }

    pub(super) fn hear(&self, socket: &mut Socket, message: &str, engine: &mut Engine) -> Vec<Frame> {
        let Ok(request) = serde_json::from_str::<Value>(message) else {
            return vec![said(socket, &Value::Null, "", Err("error:invalid json"))];
        };
        let operation = text(&request, "op").unwrap_or_default();
        match (operation.as_str(), door(socket)) {
            ("ping", Some(Door::Public)) => vec![Frame::json(
                &json!({ "success": true, "ret_msg": "pong", "conn_id": socket.memory["connId"], "req_id": request["req_id"],
                         "op": "ping" }),
            )],
            ("ping", Some(Door::Private)) => vec![Frame::json(
                &json!({ "req_id": request["req_id"], "op": "pong", "args": [engine.now_ms().to_string()],
                         "conn_id": socket.memory["connId"] }),
            )],
            ("ping", _) => vec![Frame::json(
                &json!({ "retCode": 0, "retMsg": "OK", "op": "pong", "data": [engine.now_ms().to_string()],
                         "connId": socket.memory["connId"] }),
            )],
            ("auth", Some(Door::Private | Door::Trade)) => vec![log_in(socket, &request, engine)],
            ("subscribe", Some(Door::Public | Door::Private)) => self.subscribe(socket, &request, engine),
            ("unsubscribe", Some(Door::Public | Door::Private)) => {
                let topics = words(&request["args"]);
                socket.topics.retain(|topic| !topics.contains(topic));
                vec![said(socket, &request, "unsubscribe", Ok(()))]
            }
            (_, Some(Door::Trade)) => vec![self.order(&operation, socket, &request, engine)],
            _ => vec![said(socket, &request, &operation, Err("error:invalid op"))],
        }
    }

    fn subscribe(&self, socket: &mut Socket, request: &Value, engine: &Engine) -> Vec<Frame> {
        let topics = words(&request["args"]);
        let private = door(socket) == Some(Door::Private);
        if private && socket.account.is_none() {
            return vec![said(socket, request, "subscribe", Err("Request not authorized"))];
        }
        let mut first = Vec::new();
        for topic in &topics {
            let known = if private {
                base_topic(topic).map(|_| Vec::new())
            } else {
                self.first(socket, topic, engine)
            };
            let Some(frames) = known else {
                let words = format!("error:handler not found,topic:{topic}");
                return vec![said(socket, request, "subscribe", Err(&words))];
            };
            if socket.topics.contains(topic) {
                let words = format!("error:already subscribed,topic:{topic}");
                return vec![said(socket, request, "subscribe", Err(&words))];
            }
            first.extend(frames);
        }
        socket.topics.extend(topics);
        let mut frames = vec![said(socket, request, "subscribe", Ok(()))];
        frames.extend(first);
        frames
    }

    /// What a public subscription starts with; none if there is no such topic.
    fn first(&self, socket: &mut Socket, topic: &str, engine: &Engine) -> Option<Vec<Frame>> {
        let (kind, rest) = topic.split_once('.')?;
        if socket.path != "/v5/public/linear" {
            return None;
        }
        match kind {
            "tickers" => {
                let data = ticker_row(engine.quote(rest)?, engine);
                Some(vec![public_push(topic, "snapshot", &data, engine)])
            }
            "orderbook" => {
                let (depth, symbol) = rest.split_once('.')?;
                let depth = depth_of(depth)?;
                let quote = engine.quote(symbol)?;
                let data = book_data(symbol, &engine.book(quote), depth, quote.sequence);
                // Changes that were on their way before this snapshot must not come after it.
                socket.memory["books"][symbol] = quote.sequence.into();
                Some(vec![public_push(topic, "snapshot", &data, engine)])
            }
            "publicTrade" | "allLiquidation" => engine.quote(rest).map(|_| Vec::new()),
            "kline" => {
                let (interval, symbol) = rest.split_once('.')?;
                interval_ms(interval)?;
                engine.quote(symbol).map(|_| Vec::new())
            }
            _ => None,
        }
    }

    fn order(&self, operation: &str, socket: &mut Socket, request: &Value, engine: &mut Engine) -> Frame {
        let answer = self.ordered(operation, socket, request, engine);
        let (code, message, data, extra) = match answer {
            Ok((data, extra)) => (0, "OK".to_owned(), data, extra),
            Err(refusal) => (refusal.code, refusal.message, json!({}), json!({})),
        };
        Frame::json(&json!({
            "reqId": request["reqId"], "retCode": code, "retMsg": message, "op": operation, "data": data, "retExtInfo": extra,
            "header": { "X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "9",
                        "X-Bapi-Limit-Reset-Timestamp": (engine.now_ms() + 1_000).to_string(),
                        "Traceid": "584a06d373f2fdcb3a4dfdd81d27df11", "Timenow": engine.now_ms().to_string() },
            "connId": socket.memory["connId"],
        }))
    }

    fn ordered(
        &self,
        operation: &str,
        socket: &mut Socket,
        request: &Value,
        engine: &mut Engine,
    ) -> Result<(Value, Value), Refusal> {
        let key = socket
            .account
            .clone()
            .ok_or_else(|| refusal(10003, "API key is invalid."))?;
        let stated = whole(&request["header"], "X-BAPI-TIMESTAMP")
            .ok_or_else(|| bad("X-BAPI-TIMESTAMP is required"))?;
        let window = whole(&request["header"], "X-BAPI-RECV-WINDOW").unwrap_or(WINDOW_MS);
        in_time(stated, window, engine.now_ms())?;
        if let (Some(id), Some(ids)) = (text(request, "reqId"), socket.memory["ids"].as_array_mut()) {
            if ids.iter().any(|known| known == id.as_str()) {
                return Err(refusal(20006, "reqId is duplicated"));
            }
            ids.push(id.as_str().into());
            if ids.len() > REMEMBERED {
                ids.remove(0);
            }
        }
        let body = request["args"]
            .as_array()
            .filter(|arguments| arguments.len() == 1)
            .and_then(|arguments| arguments.first())
            .ok_or_else(|| bad("args"))?;
        let single = |result: Result<Value, Refusal>| result.map(|data| (data, json!({})));
        match operation {
            "order.create" => single(self.act(Act::Create, body, &key, engine)),
            "order.amend" => single(self.act(Act::Amend, body, &key, engine)),
            "order.cancel" => single(self.act(Act::Cancel, body, &key, engine)),
            "order.create-batch" => self.batch(Act::Create, body, &key, engine),
            "order.amend-batch" => self.batch(Act::Amend, body, &key, engine),
            "order.cancel-batch" => self.batch(Act::Cancel, body, &key, engine),
            _ => Err(refusal(10404, "op type is not found")),
        }
    }

    pub(super) fn tell(&self, socket: &Socket, update: &Update, engine: &Engine) -> Vec<Frame> {
        let topics = socket.topics.iter();
        match (&update.account, &socket.account) {
            (Some(owner), Some(account)) if owner == account => topics
                .filter_map(|topic| self.private_event(topic, owner, update, engine))
                .collect(),
            (None, None) => topics
                .filter_map(|topic| public_event(socket, topic, update, engine))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn private_event(&self, topic: &str, key: &str, update: &Update, engine: &Engine) -> Option<Frame> {
        let row = match (base_topic(topic)?, &update.event) {
            ("order", Event::Order(order)) => self.order_row(key, order, engine),
            ("execution", Event::Fill(fill)) => self.execution_row(key, fill, engine),
            ("execution.fast", Event::Fill(fill)) if fill.cause == crate::model::Cause::User => {
                fast_row(fill)
            }
            ("position", Event::Position(position)) => position_row(key, position, engine, true),
            ("wallet", Event::Balance(balance)) => wallet_row(balance),
            _ => return None,
        };
        Some(private_push(topic, &[row], engine))
    }
}

fn words(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The answer to a subscription or a login on the public and the private socket.
fn said(socket: &Socket, request: &Value, operation: &str, outcome: Result<(), &str>) -> Frame {
    let mut answer = json!({ "success": outcome.is_ok(), "ret_msg": outcome.err().unwrap_or_default(),
                             "conn_id": socket.memory["connId"], "op": operation });
    if let Some(id) = text(request, "req_id") {
        answer["req_id"] = id.as_str().into();
    }
    Frame::json(&answer)
}

fn log_in(socket: &mut Socket, request: &Value, engine: &Engine) -> Frame {
    let repeated = socket.account.is_some();
    let outcome = if repeated {
        Err(refusal(20001, "Repeat auth"))
    } else {
        login(request, engine)
    };
    let id = socket.memory["connId"].clone();
    match (door(socket), outcome) {
        (Some(Door::Trade), Ok(key)) => {
            socket.account = Some(key);
            Frame::json(&json!({ "retCode": 0, "retMsg": "OK", "op": "auth", "connId": id }))
        }
        (Some(Door::Trade), Err(refusal)) => Frame::json(
            &json!({ "retCode": refusal.code, "retMsg": refusal.message, "op": "auth", "connId": id }),
        ),
        (_, Ok(key)) => {
            socket.account = Some(key);
            said(socket, request, "auth", Ok(()))
        }
        (_, Err(refusal)) => said(socket, request, "auth", Err(&refusal.message)),
    }
}

/// Which account a login is of.
fn login(request: &Value, engine: &Engine) -> Result<String, Refusal> {
    let arguments = request["args"]
        .as_array()
        .filter(|arguments| arguments.len() == 3)
        .ok_or_else(|| refusal(10001, "Params Error"))?;
    let [key, expires, sign] = [0, 1, 2].map(|at| match &arguments[at] {
        Value::String(word) => word.clone(),
        other => other.to_string(),
    });
    let until: u64 = expires.parse().map_err(|_| refusal(10001, "Params Error"))?;
    if until <= engine.now_ms() {
        return Err(refusal(10004, "Your request has expired"));
    }
    let account = engine
        .account(&key)
        .ok_or_else(|| refusal(10003, "Your api key is invalid"))?;
    if hmac_hex(&account.secret, &format!("GET/realtime{expires}")) != sign {
        return Err(refusal(10004, "Invalid sign"));
    }
    Ok(key)
}

fn depth_of(word: &str) -> Option<usize> {
    match word {
        "1" => Some(1),
        "50" => Some(50),
        "200" => Some(200),
        "1000" => Some(1_000),
        _ => None,
    }
}

/// What an update looks like on one public topic.
fn public_event(socket: &Socket, topic: &str, update: &Update, engine: &Engine) -> Option<Frame> {
    let (kind, rest) = topic.split_once('.')?;
    match (kind, &update.event) {
        ("tickers", Event::Ticker(ticker)) if ticker.instrument == rest => {
            let full = ticker_row(engine.quote(rest)?, engine);
            // Only what changed: the best prices.
            let data = json!({ "symbol": rest, "lastPrice": full["lastPrice"], "bid1Price": full["bid1Price"],
                               "bid1Size": full["bid1Size"], "ask1Price": full["ask1Price"], "ask1Size": full["ask1Size"] });
            Some(public_push(topic, "delta", &data, engine))
        }
        ("tickers", Event::Mark(mark)) if mark.instrument == rest => {
            let price = plain(mark.price);
            let data = json!({ "symbol": rest, "markPrice": price, "indexPrice": price });
            Some(public_push(topic, "delta", &data, engine))
        }
        ("orderbook", Event::Book(whole)) => {
            let (depth, symbol) = rest.split_once('.')?;
            if whole.instrument != symbol {
                return None;
            }
            let BookCheck::Sequence { last, .. } = whole.check else {
                return None;
            };
            let told = socket.memory["books"][symbol].as_i64();
            if told.is_some_and(|told| last <= told) {
                return None;
            }
            let depth = depth_of(depth)?;
            if depth == 1 {
                // The best prices are always sent whole.
                return Some(public_push(
                    topic,
                    "snapshot",
                    &book_data(symbol, whole, depth, last),
                    engine,
                ));
            }
            let change = update.change.as_ref()?;
            Some(public_push(
                topic,
                "delta",
                &book_data(symbol, change, usize::MAX, last),
                engine,
            ))
        }
        ("publicTrade", Event::Trade(trade)) if trade.instrument == rest => {
            let number: u64 = trade.trade_id.parse().unwrap_or_default();
            let data = json!([{ "T": trade.time_ms, "s": trade.instrument, "S": side_word(trade.side), "v": plain(trade.size),
                                "p": plain(trade.price), "L": "PlusTick", "i": format!("20f43950-d8dd-5b31-9112-{number:012x}"),
                                "BT": false, "RPI": false, "seq": number }]);
            Some(public_push(topic, "snapshot", &data, engine))
        }
        ("allLiquidation", Event::Trade(trade)) if trade.liquidation && trade.instrument == rest => {
            // The side is that of the position which was liquidated.
            let data = json!([{ "T": trade.time_ms, "s": trade.instrument, "S": side_word(trade.side.opposite()),
                                "v": plain(trade.size), "p": plain(trade.price) }]);
            Some(public_push(topic, "snapshot", &data, engine))
        }
        ("kline", Event::Mark(mark)) => {
            let (word, symbol) = rest.split_once('.')?;
            if mark.instrument != symbol {
                return None;
            }
            let interval = interval_ms(word)?;
            let start = interval_starts(engine.now_ms(), interval, 1).next()?;
            let price = plain(mark.price);
            let data = json!([{ "start": start, "end": start + interval - 1, "interval": word, "open": price, "close": price,
                                "high": price, "low": price, "volume": "1", "turnover": price, "confirm": false,
                                "timestamp": engine.now_ms() }]);
            Some(public_push(topic, "snapshot", &data, engine))
        }
        _ => None,
    }
}
