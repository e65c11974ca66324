//! Sockets: logins, subscriptions, pushes.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::super::shared::{checksum, interval_starts, next_funding, plain, text, whole};
use super::rest::interval_ms;
use super::rows::{fill_row, level_rows, position_row, pushed_account, ticker_row, trade_side_word};
use super::unified::socket::{PRIVATE_PATH, PUBLIC_PATH};
use super::{Bitget, Refusal, refusal, signature};
use crate::model::{Book, BookCheck, Event};
use crate::simulate::engine::{Account, Engine, Quote, Update};
use crate::simulate::wire::{Frame, Socket};

/// How far off a login's time may be.
const LOGIN_WINDOW_SECONDS: u64 = 30;
/// How long a client may be silent.
const SILENCE_MS: u64 = 120_000;
/// Subscriptions of a connection in an hour.
const REQUESTS_AN_HOUR: u64 = 240;
/// The only product here.
const PRODUCT: &str = "USDT-FUTURES";

const PRIVATE: [&str; 5] = ["orders", "orders-algo", "positions", "fill", "account"];

/// Whether a socket speaks v3.
fn is_unified(socket: &Socket) -> bool {
    matches!(socket.path.as_str(), PUBLIC_PATH | PRIVATE_PATH)
}

/// Closes a socket whose client said nothing for long.
pub(super) fn silent(socket: &Socket, now_ms: u64) -> Option<(Frame, u64)> {
    let heard_ms = socket.memory["heard_ms"].as_u64()?;
    (now_ms.saturating_sub(heard_ms) >= SILENCE_MS)
        .then(|| (Frame::Close(1000, "no ping".to_owned()), SILENCE_MS))
}

pub(super) fn problem(refusal: &Refusal, argument: Option<&Value>) -> Frame {
    // The codes are numbers on sockets.
    let code: u32 = refusal.code.parse().unwrap_or_default();
    let mut message = json!({ "event": "error", "code": code, "msg": refusal.message });
    if let Some(argument) = argument {
        message["arg"] = argument.clone();
        message["op"] = "subscribe".into();
    }
    Frame::json(&message)
}

fn no_channel(argument: &Value) -> Refusal {
    let word = |name: &str| argument[name].as_str().unwrap_or_default().to_owned();
    refusal(
        "30001",
        format!(
            "instType:{},channel:{},instId:{} doesn't exist",
            word("instType"),
            word("channel"),
            word("instId")
        ),
    )
}

pub(super) fn pushed(argument: &Value, action: &str, data: Vec<Value>, engine: &Engine) -> Frame {
    Frame::json(&json!({ "action": action, "arg": argument, "data": data, "ts": engine.now_ms() }))
}

/// A book or its change with the check over the whole book.
fn book_row(book: &Book, whole: &Book, depth: usize, sequence: i64) -> Value {
    json!({
        "asks": level_rows(&book.asks, depth), "bids": level_rows(&book.bids, depth),
        "checksum": checksum(&level_rows(&whole.bids, depth), &level_rows(&whole.asks, depth)), "seq": sequence,
        "ts": book.time_ms.to_string(),
    })
}

fn pushed_ticker(quote: &Quote, engine: &Engine) -> Value {
    let mut row = ticker_row(quote, engine);
    row["instId"] = quote.instrument.instrument.as_str().into();
    row["symbolType"] = "1".into();
    row["nextFundingTime"] = next_funding(engine.now_ms()).to_string().into();
    row
}

/// How deep a book channel goes; the one without a number is sent once and then changes.
fn depth_of(channel: &str) -> Option<usize> {
    match channel {
        "books" => Some(500),
        "books1" => Some(1),
        "books5" => Some(5),
        "books15" => Some(15),
        _ => None,
    }
}

impl Bitget {
    pub(super) fn greet(&self, socket: &mut Socket, engine: &Engine) -> Vec<Frame> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        socket.memory = json!({ "connId": format!("c{number:x}"), "heard_ms": engine.now_ms(), "requests": 0, "books": {} });
        match socket.path.as_str() {
            "/v2/ws/public" | "/v2/ws/private" | PUBLIC_PATH | PRIVATE_PATH => Vec::new(),
            _ => vec![Frame::Close(1008, "Not Found".to_owned())],
        }
    }

    pub(super) fn hear(&self, socket: &mut Socket, message: &str, engine: &mut Engine) -> Vec<Frame> {
        socket.memory["heard_ms"] = engine.now_ms().into();
        if message == "ping" {
            return vec![Frame::Text("pong".to_owned())];
        }
        let Ok(request) = serde_json::from_str::<Value>(message) else {
            return vec![problem(&refusal("30002", "illegal request"), None)];
        };
        let Some(arguments) = request["args"].as_array() else {
            return vec![problem(&refusal("30002", "illegal request"), None)];
        };
        match request["op"].as_str() {
            Some("login") => {
                let answer = arguments
                    .first()
                    .ok_or_else(|| refusal("30002", "illegal request"))
                    .and_then(|argument| login(argument, engine));
                match answer {
                    Ok(key) => {
                        socket.account = Some(key);
                        vec![Frame::json(
                            &json!({ "event": "login", "code": 0, "connId": socket.memory["connId"] }),
                        )]
                    }
                    Err(refusal) => vec![problem(&refusal, None)],
                }
            }
            Some("subscribe") => {
                let requests = socket.memory["requests"].as_u64().unwrap_or_default() + 1;
                socket.memory["requests"] = requests.into();
                if requests > REQUESTS_AN_HOUR {
                    return vec![problem(
                        &refusal("30007", "request over limit, connection close"),
                        None,
                    )];
                }
                arguments
                    .iter()
                    .flat_map(|argument| self.subscribe(socket, argument, engine))
                    .collect()
            }
            Some("unsubscribe") => arguments
                .iter()
                .map(|argument| {
                    let topic = argument.to_string();
                    socket.topics.retain(|known| *known != topic);
                    Frame::json(&json!({ "event": "unsubscribe", "arg": argument }))
                })
                .collect(),
            _ => vec![problem(&refusal("30003", "invalid op"), None)],
        }
    }

    fn subscribe(&self, socket: &mut Socket, argument: &Value, engine: &Engine) -> Vec<Frame> {
        let first = if is_unified(socket) {
            self.unified_first(socket, argument, engine)
        } else {
            self.first(socket, argument, engine)
        };
        let first = match first {
            Ok(first) => first,
            Err(refusal) => return vec![problem(&refusal, Some(argument))],
        };
        let topic = argument.to_string();
        if !socket.topics.contains(&topic) {
            socket.topics.push(topic);
        }
        let mut frames = vec![Frame::json(&json!({ "event": "subscribe", "arg": argument }))];
        frames.extend(first);
        frames
    }

    /// What a subscription starts with, if it may be made here.
    fn first(
        &self,
        socket: &mut Socket,
        argument: &Value,
        engine: &Engine,
    ) -> Result<Option<Frame>, Refusal> {
        let channel = text(argument, "channel").ok_or_else(|| refusal("30016", "Param error"))?;
        let kind = text(argument, "instType").ok_or_else(|| refusal("30016", "Param error"))?;
        if !kind.eq_ignore_ascii_case(PRODUCT) {
            return Err(no_channel(argument));
        }
        let private = PRIVATE.contains(&channel.as_str());
        if private != (socket.path == "/v2/ws/private") {
            return Err(no_channel(argument));
        }
        if private {
            let Some(key) = &socket.account else {
                return Err(refusal("30004", "User needs to log in"));
            };
            return Ok(match channel.as_str() {
                "positions" => Some(pushed(argument, "snapshot", positions(key, engine), engine)),
                "account" => {
                    let rows = engine.balance(key).iter().map(pushed_account).collect();
                    Some(pushed(argument, "snapshot", rows, engine))
                }
                _ => None,
            });
        }
        let quote = text(argument, "instId")
            .and_then(|name| engine.quote(&name))
            .ok_or_else(|| no_channel(argument))?;
        if let Some(depth) = depth_of(&channel) {
            let book = engine.book(quote);
            // Changes that were on their way before this snapshot must not come after it.
            socket.memory["books"][quote.instrument.instrument.as_str()] = quote.sequence.into();
            let row = book_row(&book, &book, depth, quote.sequence);
            return Ok(Some(pushed(argument, "snapshot", vec![row], engine)));
        }
        match channel.as_str() {
            "ticker" => {
                let row = pushed_ticker(quote, engine);
                Ok(Some(pushed(argument, "snapshot", vec![row], engine)))
            }
            "trade" => {
                let row = json!({ "ts": engine.now_ms().to_string(), "price": plain(quote.price),
                                  "size": plain(quote.instrument.lot), "side": "buy", "tradeId": quote.sequence.to_string() });
                Ok(Some(pushed(argument, "snapshot", vec![row], engine)))
            }
            name if name.strip_prefix("candle").and_then(interval_ms).is_some() => {
                Ok(candle(name, quote, engine).map(|row| pushed(argument, "snapshot", vec![row], engine)))
            }
            _ => Err(no_channel(argument)),
        }
    }

    pub(super) fn tell(&self, socket: &Socket, update: &Update, engine: &Engine) -> Vec<Frame> {
        let mine = match (&update.account, &socket.account) {
            (Some(owner), Some(account)) => owner == account,
            (Some(_), None) => false,
            (None, _) => true,
        };
        if !mine {
            return Vec::new();
        }
        socket
            .topics
            .iter()
            .filter_map(|topic| serde_json::from_str::<Value>(topic).ok())
            .filter_map(|argument| {
                if is_unified(socket) {
                    self.unified_event(socket, &argument, update, engine)
                } else {
                    self.event(socket, &argument, update, engine)
                }
            })
            .collect()
    }

    /// What an update looks like on one subscription.
    fn event(&self, socket: &Socket, argument: &Value, update: &Update, engine: &Engine) -> Option<Frame> {
        let channel = argument["channel"].as_str()?;
        let named = argument["instId"].as_str().unwrap_or("default");
        let asks_for = |name: &str| named == "default" || named == name;
        let key = update.account.as_deref().unwrap_or_default();
        let (action, rows) = match (channel, &update.event) {
            ("orders", Event::Order(order))
                if order.trigger_price.is_none() && asks_for(&order.instrument) =>
            {
                (
                    "snapshot",
                    vec![self.pushed_order(key, order, update.fill.as_ref(), engine)],
                )
            }
            ("orders-algo", Event::Order(order))
                if order.trigger_price.is_some() && asks_for(&order.instrument) =>
            {
                ("snapshot", vec![self.plan_row(order, true)])
            }
            ("fill", Event::Fill(fill)) if asks_for(&fill.instrument) => {
                let order = engine
                    .account(key)
                    .into_iter()
                    .flat_map(Account::orders)
                    .find(|order| order.order_id == fill.order_id);
                ("snapshot", vec![fill_row(fill, order)])
            }
            // Every push has all positions: one that is closed is not in it.
            ("positions", Event::Position(_)) => ("snapshot", positions(key, engine)),
            ("account", Event::Balance(balance)) => ("snapshot", vec![pushed_account(balance)]),
            ("ticker", Event::Ticker(ticker)) if named == ticker.instrument => {
                ("snapshot", vec![pushed_ticker(engine.quote(named)?, engine)])
            }
            ("trade", Event::Trade(trade)) if named == trade.instrument => (
                "update",
                vec![
                    json!({ "ts": trade.time_ms.to_string(), "price": plain(trade.price), "size": plain(trade.size),
                            "side": trade_side_word(trade.side), "tradeId": trade.trade_id }),
                ],
            ),
            ("books", Event::Book(whole)) if named == whole.instrument => {
                let BookCheck::Sequence { last, .. } = whole.check else {
                    return None;
                };
                let told = socket.memory["books"][named].as_i64();
                if told.is_some_and(|told| last <= told) {
                    return None;
                }
                (
                    "update",
                    vec![book_row(update.change.as_ref()?, whole, 500, last)],
                )
            }
            (channel, Event::Book(whole)) if named == whole.instrument && channel.starts_with("books") => {
                let BookCheck::Sequence { last, .. } = whole.check else {
                    return None;
                };
                ("snapshot", vec![book_row(whole, whole, depth_of(channel)?, last)])
            }
            (channel, Event::Mark(mark)) if named == mark.instrument && channel.starts_with("candle") => {
                ("update", vec![candle(channel, engine.quote(named)?, engine)?])
            }
            _ => return None,
        };
        Some(pushed(argument, action, rows, engine))
    }
}

fn positions(key: &str, engine: &Engine) -> Vec<Value> {
    engine
        .positions(key)
        .iter()
        .map(|position| position_row(position, true))
        .collect()
}

fn candle(channel: &str, quote: &Quote, engine: &Engine) -> Option<Value> {
    let interval = interval_ms(channel.strip_prefix("candle")?)?;
    let start = interval_starts(engine.now_ms(), interval, 1).next()?;
    let price = plain(quote.price);
    Some(json!([
        start.to_string(),
        price,
        price,
        price,
        price,
        "1",
        price,
        price
    ]))
}

/// Which account a login is of.
fn login(argument: &Value, engine: &Engine) -> Result<String, Refusal> {
    let word = |name: &str| text(argument, name);
    let key = word("apiKey").ok_or_else(|| refusal("30011", "Invalid ACCESS_KEY"))?;
    let passphrase = word("passphrase").ok_or_else(|| refusal("30012", "Invalid ACCESS_PASSPHRASE"))?;
    let stated = word("timestamp").ok_or_else(|| refusal("30013", "Invalid ACCESS_TIMESTAMP"))?;
    let sign = word("sign").ok_or_else(|| refusal("30015", "Invalid sign"))?;
    let seconds = whole(argument, "timestamp").ok_or_else(|| refusal("30013", "Invalid ACCESS_TIMESTAMP"))?;
    // Milliseconds are a mistake clients make here: they are far in the future.
    if seconds.abs_diff(engine.now_ms() / 1_000) > LOGIN_WINDOW_SECONDS {
        return Err(refusal("30014", "Request timestamp expired"));
    }
    let account = engine
        .account(&key)
        .ok_or_else(|| refusal("30011", "Invalid ACCESS_KEY"))?;
    if signature(&account.secret, &format!("{stated}GET/user/verify")) != sign {
        return Err(refusal("30015", "Invalid sign"));
    }
    if account.passphrase != passphrase {
        return Err(refusal("30012", "Invalid ACCESS_PASSPHRASE"));
    }
    Ok(account.key.clone())
}
