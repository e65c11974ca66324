//! Sockets: logins, subscriptions, orders, pushes.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::super::shared::{interval_starts, plain, text, whole};
use super::orders::{Act, Naming};
use super::rest::candle_ms;
use super::rows::{
    account_row, book_row, candle_row, funding_row, instrument_row, mark_row, position_row, side_word,
    ticker_row,
};
use super::{Okx, Refusal, refusal, signature};
use crate::model::{Event, Position};
use crate::request::Method;
use crate::simulate::engine::{Engine, Quote, Update};
use crate::simulate::wire::{Frame, Socket};

/// How far a login's time may be off.
const LOGIN_WINDOW_SECONDS: u64 = 30;
/// How long a private socket may be silent.
const SILENCE_MS: u64 = 30_000;
/// Subscriptions and logins of a connection in an hour.
const REQUESTS_AN_HOUR: u64 = 480;
/// The account's number.
const UID: &str = "44705892343619584";

const PRIVATE: [&str; 4] = ["orders", "positions", "account", "balance_and_position"];

/// Closes a private socket that said nothing for long. Public ones are kept by what is pushed on them.
pub(super) fn silent(socket: &Socket, now_ms: u64) -> Option<(Frame, u64)> {
    let heard_ms = socket.memory["heard_ms"].as_u64()?;
    if socket.account.is_none() || now_ms.saturating_sub(heard_ms) < SILENCE_MS {
        return None;
    }
    Some((
        Frame::Close(4004, "No data received in 30s.".to_owned()),
        SILENCE_MS,
    ))
}

/// The part of a socket's address after the version: public, private or business.
fn door(socket: &Socket) -> &str {
    socket.path.strip_prefix("/ws/v5/").unwrap_or_default()
}

fn problem(socket: &Socket, refusal: &Refusal) -> Frame {
    Frame::json(
        &json!({ "event": "error", "code": refusal.code, "msg": refusal.message, "connId": socket.memory["connId"] }),
    )
}

fn no_channel(argument: &Value) -> Refusal {
    refusal(
        "60018",
        format!(
            "Wrong URL or channel:{},instId:{} doesn't exist. Please use the correct URL, channel and parameters referring to \
             API document.",
            argument["channel"].as_str().unwrap_or_default(),
            argument["instId"].as_str().unwrap_or_default()
        ),
    )
}

/// A push on a subscription.
fn pushed(argument: &Value, action: Option<&str>, data: Vec<Value>) -> Frame {
    let mut message = json!({ "arg": argument, "data": data });
    if let Some(action) = action {
        message["action"] = action.into();
    }
    Frame::json(&message)
}

/// A private subscription's argument, as pushes repeat it.
fn with_uid(argument: &Value) -> Value {
    let mut argument = argument.clone();
    argument["uid"] = UID.into();
    argument
}

/// Whether an argument asks for this instrument: named, its family, or all of its type.
fn asks_for(argument: &Value, instrument: &str) -> bool {
    let family = instrument.trim_end_matches("-SWAP");
    text(argument, "instType").is_none_or(|kind| kind == "SWAP" || kind == "ANY")
        && text(argument, "instId").is_none_or(|name| name == instrument)
        && text(argument, "instFamily").is_none_or(|name| name == family)
}

impl Okx {
    pub(super) fn greet(&self, socket: &mut Socket, engine: &Engine) -> Vec<Frame> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        socket.memory = json!({ "connId": format!("a4d3{:04x}", number % 0x1_0000), "heard_ms": engine.now_ms(),
                                "requests": 0, "books": {} });
        match door(socket) {
            "public" | "private" | "business" => Vec::new(),
            _ => vec![
                problem(socket, &refusal("60017", "Invalid url path")),
                Frame::Close(4000, "Invalid url path".to_owned()),
            ],
        }
    }

    pub(super) fn hear(&self, socket: &mut Socket, message: &str, engine: &mut Engine) -> Vec<Frame> {
        socket.memory["heard_ms"] = engine.now_ms().into();
        if message == "ping" {
            return vec![Frame::Text("pong".to_owned())];
        }
        let illegal = || refusal("60012", format!("Illegal request: {message}"));
        let Ok(request) = serde_json::from_str::<Value>(message) else {
            return vec![problem(socket, &illegal())];
        };
        let Some(operation) = request["op"].as_str() else {
            return vec![problem(socket, &illegal())];
        };
        let Some(arguments) = request["args"].as_array() else {
            return vec![problem(socket, &refusal("60013", "Invalid args"))];
        };
        let counted = matches!(operation, "login" | "subscribe" | "unsubscribe");
        if counted {
            let requests = socket.memory["requests"].as_u64().unwrap_or_default() + 1;
            socket.memory["requests"] = requests.into();
            if requests > REQUESTS_AN_HOUR {
                return vec![problem(socket, &refusal("60014", "Requests too frequent"))];
            }
        }
        match operation {
            "login" => {
                let answer = arguments
                    .first()
                    .ok_or_else(|| refusal("60013", "Invalid args"))
                    .and_then(|argument| login(socket, argument, engine));
                vec![match answer {
                    Ok(key) => {
                        socket.account = Some(key);
                        Frame::json(
                            &json!({ "event": "login", "code": "0", "msg": "", "connId": socket.memory["connId"] }),
                        )
                    }
                    Err(refusal) => problem(socket, &refusal),
                }]
            }
            "subscribe" => arguments
                .iter()
                .flat_map(|argument| self.subscribe(socket, argument, engine))
                .collect(),
            "unsubscribe" => arguments
                .iter()
                .map(|argument| {
                    let topic = argument.to_string();
                    socket.topics.retain(|known| *known != topic);
                    Frame::json(
                        &json!({ "event": "unsubscribe", "arg": argument, "connId": socket.memory["connId"] }),
                    )
                })
                .collect(),
            "order" => self.order(Act::Place, &request, arguments, socket, engine),
            "batch-orders" => self.order(Act::Place, &request, arguments, socket, engine),
            "amend-order" | "batch-amend-orders" => self.order(Act::Amend, &request, arguments, socket, engine),
            "cancel-order" | "batch-cancel-orders" => {
                self.order(Act::Cancel, &request, arguments, socket, engine)
            }
            _ => vec![problem(
                socket,
                &refusal("60019", format!("Invalid op: {operation}")),
            )],
        }
    }

    fn order(
        &self,
        act: Act,
        request: &Value,
        arguments: &[Value],
        socket: &Socket,
        engine: &mut Engine,
    ) -> Vec<Frame> {
        let came_in = engine.now_ms();
        let answer = match (&socket.account, door(socket)) {
            (Some(key), "private") => {
                let single = matches!(
                    request["op"].as_str(),
                    Some("order" | "amend-order" | "cancel-order")
                );
                if single && arguments.len() != 1 {
                    Err(refusal("60013", "Invalid args"))
                } else {
                    self.operate(act, Naming::Code, arguments, key, engine)
                }
            }
            (None, "private") => Err(refusal("60011", "Please log in")),
            _ => Err(refusal(
                "60028",
                "The current operation is not supported by this URL",
            )),
        };
        let (code, message, data) = match answer {
            Ok(outcome) => (outcome.code, outcome.message.to_owned(), outcome.data),
            Err(refusal) => (refusal.code, refusal.message, Vec::new()),
        };
        vec![Frame::json(
            &json!({ "id": request["id"], "op": request["op"], "code": code, "msg": message, "data": data,
                     "inTime": (came_in * 1_000).to_string(), "outTime": (engine.now_ms() * 1_000 + 500).to_string() }),
        )]
    }

    fn subscribe(&self, socket: &mut Socket, argument: &Value, engine: &Engine) -> Vec<Frame> {
        let first = match self.first(socket, argument, engine) {
            Ok(first) => first,
            Err(refusal) => return vec![problem(socket, &refusal)],
        };
        let topic = argument.to_string();
        if !socket.topics.contains(&topic) {
            socket.topics.push(topic);
        }
        let id = socket.memory["connId"].clone();
        let mut frames = vec![Frame::json(
            &json!({ "event": "subscribe", "arg": argument, "connId": id }),
        )];
        let channel = argument["channel"].as_str().unwrap_or_default();
        if PRIVATE.contains(&channel) || channel == "orders-algo" {
            frames.push(Frame::json(
                &json!({ "event": "channel-conn-count", "channel": channel, "connCount": "1", "connId": id }),
            ));
        }
        frames.extend(first);
        frames
    }

    /// What a subscription starts with, if it may be made here.
    fn first(&self, socket: &mut Socket, argument: &Value, engine: &Engine) -> Result<Vec<Frame>, Refusal> {
        let channel = text(argument, "channel").ok_or_else(|| refusal("60013", "Invalid args"))?;
        let quote = || -> Result<&Quote, Refusal> {
            text(argument, "instId")
                .and_then(|name| engine.quote(&name))
                .ok_or_else(|| no_channel(argument))
        };
        let kind = text(argument, "instType");
        let typed = kind.is_some_and(|kind| ["SWAP", "ANY"].contains(&kind.as_str()));
        let needs_login = PRIVATE.contains(&channel.as_str()) || channel == "orders-algo";
        let place = if PRIVATE.contains(&channel.as_str()) {
            "private"
        } else if channel == "orders-algo" || channel.starts_with("candle") || channel == "trades-all" {
            "business"
        } else {
            "public"
        };
        if channel == "fills" || channel == "books-l2-tbt" || channel == "books50-l2-tbt" {
            return Err(refusal(
                "64003",
                "Your trading fee tier doesn't meet the requirement to access this channel",
            ));
        }
        if door(socket) != place {
            return Err(no_channel(argument));
        }
        let key = match (&socket.account, needs_login) {
            (Some(key), true) => key.clone(),
            (None, true) => return Err(refusal("60011", "Please log in")),
            (_, false) => String::new(),
        };
        match channel.as_str() {
            "orders" | "orders-algo" if typed => Ok(Vec::new()),
            "positions" if typed => {
                let rows = engine
                    .positions(&key)
                    .iter()
                    .filter(|position| asks_for(argument, &position.instrument))
                    .map(|position| position_row(&key, position, engine))
                    .collect();
                let mut message = json!({ "arg": with_uid(argument), "eventType": "snapshot", "curPage": 1, "lastPage": true });
                message["data"] = rows;
                Ok(vec![Frame::json(&message)])
            }
            "account" => Ok(vec![Frame::json(&json!({
                "arg": with_uid(argument), "eventType": "snapshot", "curPage": 1, "lastPage": true,
                "data": engine.balance(&key).iter().map(account_row).collect::<Vec<_>>(),
            }))]),
            "balance_and_position" => {
                let positions = engine.positions(&key);
                Ok(vec![pushed(
                    &with_uid(argument),
                    None,
                    vec![both("snapshot", &key, true, &positions, engine)],
                )])
            }
            "tickers" => Ok(vec![pushed(argument, None, vec![ticker_row(quote()?, engine)])]),
            "mark-price" => Ok(vec![pushed(argument, None, vec![mark_row(quote()?, engine)])]),
            "funding-rate" => Ok(vec![pushed(argument, None, vec![funding_row(quote()?, engine)])]),
            "books" => {
                let quote = quote()?;
                let book = engine.book(quote);
                // Changes that were on their way before this snapshot must not come after it.
                socket.memory["books"][quote.instrument.instrument.as_str()] = quote.sequence.into();
                let row = book_row(&quote.instrument, &book, &book, 400, (quote.sequence, -1));
                Ok(vec![pushed(argument, Some("snapshot"), vec![row])])
            }
            "books5" | "bbo-tbt" => {
                let quote = quote()?;
                Ok(vec![pushed(
                    argument,
                    None,
                    vec![short_book(&channel, quote, engine)],
                )])
            }
            "trades" | "trades-all" | "index-tickers" => quote().map(|_| Vec::new()),
            "instruments" if typed => Ok(vec![pushed(
                argument,
                None,
                engine.quotes().map(instrument_row).collect(),
            )]),
            "liquidation-orders" if typed => Ok(Vec::new()),
            name if candle_ms(name).is_some_and(|_| name.starts_with("candle")) => {
                quote().map(|_| Vec::new())
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
            .filter_map(|argument| self.event(socket, &argument, update, engine))
            .collect()
    }

    /// What an update looks like on one subscription.
    fn event(&self, socket: &Socket, argument: &Value, update: &Update, engine: &Engine) -> Option<Frame> {
        let channel = argument["channel"].as_str()?;
        let quote = |name: &str| engine.quote(name).filter(|_| asks_for(argument, name));
        let key = update.account.as_deref().unwrap_or_default();
        match (channel, &update.event) {
            ("orders", Event::Order(order)) if order.trigger_price.is_none() => {
                quote(&order.instrument)?;
                let row = self.pushed_order(key, order, update.fill.as_ref(), engine);
                Some(pushed(&with_uid(argument), None, vec![row]))
            }
            ("orders-algo", Event::Order(order)) if order.trigger_price.is_some() => {
                quote(&order.instrument)?;
                Some(pushed(
                    &with_uid(argument),
                    None,
                    vec![self.algo_row(order, engine)],
                ))
            }
            ("positions", Event::Position(position)) => {
                quote(&position.instrument)?;
                let row = position_row(key, position, engine);
                let mut message = json!({ "arg": with_uid(argument), "eventType": "event_update" });
                message["data"] = json!([row]);
                Some(Frame::json(&message))
            }
            ("account", Event::Balance(balance)) => Some(Frame::json(&json!({
                "arg": with_uid(argument), "eventType": "event_update", "curPage": 1, "lastPage": true,
                "data": [account_row(balance)],
            }))),
            ("balance_and_position", Event::Position(position)) => Some(pushed(
                &with_uid(argument),
                None,
                vec![both("filled", key, true, std::slice::from_ref(position), engine)],
            )),
            ("tickers", Event::Ticker(ticker)) => {
                let row = ticker_row(quote(&ticker.instrument)?, engine);
                Some(pushed(argument, None, vec![row]))
            }
            ("bbo-tbt" | "books5", Event::Book(book)) => {
                let row = short_book(channel, quote(&book.instrument)?, engine);
                Some(pushed(argument, None, vec![row]))
            }
            ("books", Event::Book(whole)) => {
                let quote = quote(&whole.instrument)?;
                let change = update.change.as_ref()?;
                let crate::model::BookCheck::Sequence { last, .. } = change.check else {
                    return None;
                };
                let told = socket.memory["books"][whole.instrument.as_str()].as_i64();
                if told.is_some_and(|told| last <= told) {
                    return None;
                }
                let row = book_row(&quote.instrument, change, whole, 400, (last, last - 1));
                Some(pushed(argument, Some("update"), vec![row]))
            }
            ("mark-price", Event::Mark(mark)) => {
                let row = mark_row(quote(&mark.instrument)?, engine);
                Some(pushed(argument, None, vec![row]))
            }
            ("index-tickers", Event::Mark(mark)) => {
                quote(&mark.instrument)?;
                let price = plain(mark.price);
                Some(pushed(
                    argument,
                    None,
                    vec![
                        json!({ "instId": mark.instrument, "idxPx": price, "open24h": price, "high24h": price,
                                "low24h": price, "sodUtc0": price, "sodUtc8": price, "ts": mark.time_ms.to_string() }),
                    ],
                ))
            }
            ("funding-rate", Event::Mark(mark)) => {
                let row = funding_row(quote(&mark.instrument)?, engine);
                Some(pushed(argument, None, vec![row]))
            }
            ("trades" | "trades-all", Event::Trade(trade)) => {
                quote(&trade.instrument)?;
                let size = plain(engine.venue_size(&trade.instrument, trade.size));
                let mut row = json!({ "instId": trade.instrument, "tradeId": trade.trade_id, "px": plain(trade.price),
                                      "sz": size, "side": side_word(trade.side), "ts": trade.time_ms.to_string() });
                if channel == "trades" {
                    row["count"] = "1".into();
                }
                Some(pushed(argument, None, vec![row]))
            }
            ("liquidation-orders", Event::Trade(trade)) if trade.liquidation => {
                quote(&trade.instrument)?;
                let size = plain(engine.venue_size(&trade.instrument, trade.size));
                let family = trade.instrument.trim_end_matches("-SWAP");
                let long = trade.side == crate::model::Side::Sell;
                Some(pushed(
                    argument,
                    None,
                    vec![
                        json!({ "details": [{ "bkLoss": "0", "bkPx": plain(trade.price), "ccy": "",
                                              "posSide": if long { "long" } else { "short" },
                                              "side": side_word(trade.side), "sz": size, "ts": trade.time_ms.to_string() }],
                                "instFamily": family, "instId": trade.instrument, "instType": "SWAP", "uly": family }),
                    ],
                ))
            }
            (channel, Event::Mark(mark)) if channel.starts_with("candle") => {
                let interval = candle_ms(channel)?;
                let price = quote(&mark.instrument)?.price;
                let start = interval_starts(engine.now_ms(), interval, 1).next()?;
                Some(pushed(
                    argument,
                    None,
                    vec![candle_row(start, interval, price, engine.now_ms())],
                ))
            }
            _ => None,
        }
    }
}

/// Which account a login is of.
fn login(socket: &Socket, argument: &Value, engine: &Engine) -> Result<String, Refusal> {
    if door(socket) == "public" {
        return Err(refusal("60008", "Login is not supported for public channels"));
    }
    if socket.account.is_some() {
        return Err(refusal("60010", "Already logged in"));
    }
    let key = text(argument, "apiKey").ok_or_else(|| refusal("60001", "\"apiKey\" can not be empty"))?;
    let sign = text(argument, "sign").ok_or_else(|| refusal("60002", "\"sign\" can not be empty"))?;
    let passphrase =
        text(argument, "passphrase").ok_or_else(|| refusal("60003", "\"passphrase\" can not be empty"))?;
    let stated = text(argument, "timestamp").ok_or_else(|| refusal("60004", "Invalid timestamp"))?;
    let seconds = whole(argument, "timestamp").ok_or_else(|| refusal("60004", "Invalid timestamp"))?;
    // Milliseconds are a mistake clients make here: they are far in the future.
    if seconds.abs_diff(engine.now_ms() / 1_000) > LOGIN_WINDOW_SECONDS {
        return Err(refusal("60006", "Timestamp request expired"));
    }
    let account = engine
        .account(&key)
        .ok_or_else(|| refusal("60005", "Invalid apiKey"))?;
    if signature(&account.secret, &stated, Method::Get, "/users/self/verify", "") != sign {
        return Err(refusal("60007", "Invalid sign"));
    }
    if account.passphrase != passphrase {
        return Err(refusal("60024", "Wrong passphrase"));
    }
    Ok(account.key.clone())
}

/// A book that is sent whole each time.
fn short_book(channel: &str, quote: &Quote, engine: &Engine) -> Value {
    let depth = if channel == "bbo-tbt" { 1 } else { 5 };
    let book = engine.book(quote);
    let mut row = book_row(&quote.instrument, &book, &book, depth, (quote.sequence, -1));
    row["instId"] = quote.instrument.instrument.as_str().into();
    if let Some(row) = row.as_object_mut() {
        row.remove("checksum");
        row.remove("prevSeqId");
    }
    row
}

/// Money and positions together.
fn both(event: &str, key: &str, money: bool, positions: &[Position], engine: &Engine) -> Value {
    let balances: Vec<Value> = engine
        .balance(key)
        .filter(|_| money)
        .iter()
        .map(|balance| {
            json!({ "ccy": balance.asset, "cashBal": plain(balance.wallet), "uTime": balance.time_ms.to_string() })
        })
        .collect();
    let trades: Vec<Value> = if event == "snapshot" {
        Vec::new()
    } else {
        engine
            .account(key)
            .and_then(|account| account.fills().last())
            .iter()
            .map(|fill| json!({ "instId": fill.instrument, "tradeId": fill.trade_id }))
            .collect()
    };
    let rows: Vec<Value> = positions
        .iter()
        .map(|position| {
            let full = position_row(key, position, engine);
            json!({ "posId": full["posId"], "tradeId": full["tradeId"], "instId": full["instId"], "instType": "SWAP",
                    "mgnMode": full["mgnMode"], "posSide": full["posSide"], "pos": full["pos"], "ccy": "USDT", "posCcy": "",
                    "avgPx": full["avgPx"], "nonSettleAvgPx": "", "settledPnl": "", "uTime": full["uTime"] })
        })
        .collect();
    json!({ "pTime": engine.now_ms().to_string(), "eventType": event, "balData": balances, "posData": rows, "trades": trades })
}
