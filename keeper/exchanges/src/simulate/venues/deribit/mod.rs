//! Deribit as its documentation describes the wire: JSON-RPC, the same methods over HTTP and sockets. Linear perpetuals that
//! settle in USDC, and the inverse one of bitcoin: its sizes are dollars, its fees and profit bitcoin. Accounts have one net
//! position per instrument and no setting of leverage.

mod calls;
mod form;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use self::calls::Parameters;
use self::form::{
    CURRENCY, amount, book_change, book_levels, book_snapshot, fill_of, index_name, order_of, position_in,
    position_of, settled_in, summary, ticker_of, trade_of,
};
use crate::crypto::hmac_hex;
use crate::model::{Book, BookCheck, ContractKind, Decimal, Event, Instrument, SizeUnit, Venue};
use crate::request::{Method, Response};
use crate::simulate::engine::{Engine, Reject, Update};
use crate::simulate::venues::books::Books;
use crate::simulate::wire::{Cost, Frame, Incoming, Limit, Socket, Wire, print};

/// Other requests: 20 a second, as many as 100 at once.
const OTHER: Limit = Limit {
    bucket: "non-matching",
    maximum: 100,
    window_ms: 5_000,
};
/// Orders: 5 a second, as many as 20 at once.
const MATCHING: Limit = Limit {
    bucket: "matching",
    maximum: 20,
    window_ms: 4_000,
};
/// How far a signature's time may be off.
const WINDOW_MS: u64 = 60_000;
/// Life of a token.
const TOKEN_SECONDS: u64 = 900;
/// Least seconds between heartbeats.
const LEAST_HEARTBEAT: u64 = 10;
/// Longest message on a socket, bytes.
const MAXIMUM_MESSAGE: usize = 32_768;

/// Why a call fails.
#[derive(Debug)]
struct Failure {
    code: i64,
    message: String,
    data: Value,
}

impl Failure {
    fn new(code: i64, message: &str) -> Self {
        Self {
            code,
            message: message.to_owned(),
            data: Value::Null,
        }
    }

    fn parameter(name: &str, reason: &str) -> Self {
        Self {
            code: -32602,
            message: "Invalid params".to_owned(),
            data: json!({ "reason": reason, "param": name }),
        }
    }
}

#[derive(Debug, Default)]
struct Memory {
    /// Tokens: whose, until when, whether it is one to renew with.
    tokens: HashMap<String, (String, u64, bool)>,
    issued: u64,
}

/// The wire.
#[derive(Debug, Default)]
pub(super) struct Deribit {
    memory: Mutex<Memory>,
    books: Books,
}

/// What it lists.
pub(super) fn instruments() -> Vec<(Instrument, Decimal)> {
    [
        (
            "BTC_USDC-PERPETUAL",
            "BTC",
            Decimal::new(1, 1),
            Decimal::new(1, 4),
            50_000,
        ),
        (
            "ETH_USDC-PERPETUAL",
            "ETH",
            Decimal::new(1, 2),
            Decimal::new(1, 3),
            2_500,
        ),
        (
            "SOL_USDC-PERPETUAL",
            "SOL",
            Decimal::new(1, 2),
            Decimal::new(1, 1),
            150,
        ),
    ]
    .into_iter()
    .zip(210_838..)
    .map(|((name, base, tick, lot, price), number)| {
        let mut instrument = Instrument::linear(name, base, CURRENCY, tick, lot);
        instrument.maximum_leverage = Some(Decimal::from(50));
        instrument.number = Some(number);
        (instrument, Decimal::from(price))
    })
    .chain([(inverse_perpetual(), Decimal::from(50_000))])
    .collect()
}

/// Counted in dollars, ten to a contract, and settled in bitcoin.
fn inverse_perpetual() -> Instrument {
    let mut instrument = Instrument::linear("BTC-PERPETUAL", "BTC", "USD", Decimal::new(5, 1), Decimal::TEN);
    instrument.kind = ContractKind::Inverse;
    instrument.size_unit = SizeUnit::Quote;
    instrument.settle = instrument.base.clone();
    instrument.maximum_leverage = Some(Decimal::from(50));
    instrument.number = Some(124_972);
    instrument
}

fn envelope(id: &Value, outcome: &Result<Value, Failure>, now_ms: u64) -> Value {
    let now = now_ms * 1_000;
    let mut value =
        json!({ "jsonrpc": "2.0", "usIn": now, "usOut": now + 150, "usDiff": 150, "testnet": false });
    if let Some(members) = value.as_object_mut() {
        if !id.is_null() {
            members.insert("id".to_owned(), id.clone());
        }
        match outcome {
            Ok(result) => members.insert("result".to_owned(), result.clone()),
            Err(failure) => {
                let mut error = json!({ "code": failure.code, "message": failure.message });
                if !failure.data.is_null() {
                    error["data"] = failure.data.clone();
                }
                members.insert("error".to_owned(), error)
            }
        };
    }
    value
}

fn respond(id: &Value, outcome: &Result<Value, Failure>, now_ms: u64) -> Response {
    let status = match outcome {
        Ok(_) => 200,
        Err(Failure { code: 10_028, .. }) => 429,
        Err(Failure {
            code: 11_094 | 13_888,
            ..
        }) => 500,
        Err(_) => 400,
    };
    Response {
        status,
        headers: Vec::new(),
        body: print(&envelope(id, outcome, now_ms)).into_bytes(),
    }
}

fn notification(channel: &str, data: &Value) -> Frame {
    Frame::Text(print(
        &json!({ "jsonrpc": "2.0", "method": "subscription", "params": { "channel": channel, "data": data } }),
    ))
}

/// Milliseconds of a resolution of charts.
fn resolution_ms(resolution: &str) -> u64 {
    resolution
        .parse::<u64>()
        .map_or(86_400_000, |minutes| minutes.max(1) * 60_000)
}

/// `name=value` pairs of the header `deri-hmac-sha256 id=…,ts=…,sig=…,nonce=…`.
fn credentials(header: &str) -> HashMap<&str, &str> {
    header
        .split(',')
        .filter_map(|pair| pair.trim().split_once('='))
        .collect()
}

impl Deribit {
    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account of an HTTP request, by its header.
    fn authenticate(&self, request: &Incoming, engine: &Engine) -> Result<String, Failure> {
        let unauthorized = || Failure::new(13_009, "unauthorized");
        let header = request.header("authorization").ok_or_else(unauthorized)?;
        let (scheme, rest) = header.split_once(' ').ok_or_else(unauthorized)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.owner(rest, engine.now_ms()).ok_or_else(unauthorized);
        }
        if scheme != "deri-hmac-sha256" {
            return Err(unauthorized());
        }
        let given = credentials(rest);
        let get = |name: &str| given.get(name).copied().unwrap_or_default();
        let uri = if request.raw_query.is_empty() {
            request.path.clone()
        } else {
            format!("{}?{}", request.path, request.raw_query)
        };
        let data = format!("{}\n{uri}\n{}\n", request.method.name(), request.body);
        check(engine, get("id"), get("ts"), get("nonce"), &data, get("sig"))
    }

    fn owner(&self, token: &str, now_ms: u64) -> Option<String> {
        self.memory()
            .tokens
            .get(token)
            .filter(|(_, until, renews)| *until > now_ms && !renews)
            .map(|(owner, ..)| owner.clone())
    }

    /// `public/auth`: the account and what it is told.
    fn log_in(&self, parameters: &Parameters<'_>, engine: &Engine) -> Result<(String, Value), Failure> {
        let text = |name: &str| parameters.text(name).unwrap_or_default();
        let wrong = || Failure::new(13_004, "invalid_credentials");
        let owner = match text("grant_type").as_str() {
            "client_credentials" => engine
                .account(&text("client_id"))
                .filter(|account| account.secret == text("client_secret"))
                .map(|account| account.key.clone())
                .ok_or_else(wrong)?,
            "client_signature" => check(
                engine,
                &text("client_id"),
                &text("timestamp"),
                &text("nonce"),
                &text("data"),
                &text("signature"),
            )?,
            "refresh_token" => self
                .memory()
                .tokens
                .get(&text("refresh_token"))
                .filter(|(_, until, renews)| *until > engine.now_ms() && *renews)
                .map(|(owner, ..)| owner.clone())
                .ok_or_else(|| Failure::new(13_009, "unauthorized"))?,
            _ => return Err(Failure::parameter("grant_type", "not supported")),
        };
        let now_ms = engine.now_ms();
        let mut memory = self.memory();
        memory.issued += 1;
        let issued = memory.issued;
        let mut issue = |kind: &str, renews: bool| {
            let token = format!("{now_ms}.1{kind}{issued}.{}", hmac_hex(&owner, kind));
            let until = now_ms + TOKEN_SECONDS * 1_000;
            memory
                .tokens
                .insert(token.clone(), (owner.clone(), until, renews));
            token
        };
        let (access, refresh) = (issue("access", false), issue("refresh", true));
        let result = json!({ "access_token": access, "refresh_token": refresh, "expires_in": TOKEN_SECONDS,
                             "token_type": "bearer", "scope": "connection mainaccount account:read trade:read_write wallet:read" });
        Ok((owner, result))
    }

    fn call(
        &self,
        method: &str,
        parameters: &Parameters<'_>,
        account: Option<&str>,
        engine: &mut Engine,
    ) -> Result<Value, Failure> {
        match method.split_once('/') {
            Some(("public", name)) => self.public(name, parameters, engine),
            Some(("private", name)) => {
                let key = account.ok_or_else(|| Failure::new(13_009, "unauthorized"))?;
                self.private(key, name, parameters, engine)
            }
            _ => Err(Failure::new(-32601, "Method not found")),
        }
    }

    /// What a socket can do that HTTP cannot. None where it is a method like any other.
    fn socket_call(
        &self,
        socket: &mut Socket,
        method: &str,
        parameters: &Parameters<'_>,
        engine: &mut Engine,
        after: &mut Vec<Frame>,
    ) -> Option<Result<Value, Failure>> {
        Some(match method {
            "public/auth" => self.log_in(parameters, engine).map(|(owner, result)| {
                socket.account = Some(owner);
                result
            }),
            "private/logout" => {
                socket.account = None;
                after.push(Frame::Close(1000, "logout".to_owned()));
                Ok(json!("ok"))
            }
            "public/set_heartbeat" => match parameters.integer("interval") {
                Some(seconds) if seconds >= LEAST_HEARTBEAT => {
                    socket.memory["heartbeat"] = json!(seconds);
                    Ok(json!("ok"))
                }
                _ => Err(Failure::parameter("interval", "value is too low, minimum is 10")),
            },
            "public/disable_heartbeat" => {
                socket.memory["heartbeat"] = Value::Null;
                Ok(json!("ok"))
            }
            "public/subscribe" | "private/subscribe" => {
                self.subscribe(socket, method, parameters, engine, after)
            }
            "public/unsubscribe" | "private/unsubscribe" => {
                let channels = channels(parameters);
                socket.topics.retain(|topic| !channels.contains(topic));
                Ok(json!(channels))
            }
            "public/unsubscribe_all" | "private/unsubscribe_all" => {
                let private = method.starts_with("private");
                socket
                    .topics
                    .retain(|topic| topic.starts_with("user.") != private);
                Ok(json!("ok"))
            }
            _ => return None,
        })
    }

    fn subscribe(
        &self,
        socket: &mut Socket,
        method: &str,
        parameters: &Parameters<'_>,
        engine: &Engine,
        after: &mut Vec<Frame>,
    ) -> Result<Value, Failure> {
        let private = method.starts_with("private");
        if private && socket.account.is_none() {
            return Err(Failure::new(13_009, "unauthorized"));
        }
        let wanted = channels(parameters);
        if wanted.is_empty() {
            return Err(Failure::parameter("channels", "required"));
        }
        if wanted.len() > 500 {
            return Err(Failure::parameter("channels", "too many channels"));
        }
        let raw = |channel: &String| channel.ends_with(".raw") && !channel.starts_with("user.");
        if socket.account.is_none() && wanted.iter().any(raw) {
            return Err(Failure::new(
                13_778,
                "raw_subscriptions_not_available_for_unauthorized",
            ));
        }
        let mut accepted = Vec::new();
        for channel in wanted {
            // What does not exist, or is an account's on a public call, is left out without a word.
            if !known(&channel, engine) || (channel.starts_with("user.") && !private) {
                continue;
            }
            if !socket.topics.contains(&channel) {
                socket.topics.push(channel.clone());
                after.extend(self.first_message(socket, &channel, engine));
            }
            accepted.push(channel);
        }
        Ok(json!(accepted))
    }

    /// What a new subscription starts with: market data does, an account's channels do not.
    fn first_message(&self, socket: &mut Socket, channel: &str, engine: &Engine) -> Option<Frame> {
        let parts: Vec<&str> = channel.split('.').collect();
        let quote = engine.quote(parts.get(1)?)?;
        match (parts.first().copied()?, parts.len()) {
            ("book", 3) => {
                let book = engine.book(quote);
                socket.memory["books"][quote.instrument.instrument.as_str()] = json!(quote.sequence);
                let first = book_snapshot(&book, quote.sequence, engine.now_ms());
                self.books.keep(quote.sequence, &book);
                Some(notification(channel, &first))
            }
            ("ticker", _) => Some(notification(channel, &ticker_of(engine, quote))),
            _ => None,
        }
    }

    fn book_push(&self, socket: &Socket, channel: &str, book: &Book, engine: &Engine) -> Option<Frame> {
        let BookCheck::Sequence { last, .. } = book.check else {
            return None;
        };
        if channel.split('.').count() == 5 {
            let depth = channel
                .split('.')
                .nth(3)
                .and_then(|depth| depth.parse().ok())
                .unwrap_or(20);
            let (bids, asks) = book_levels(book, depth);
            return Some(notification(
                channel,
                &json!({ "timestamp": engine.now_ms(), "instrument_name": book.instrument, "change_id": last, "bids": bids,
                         "asks": asks }),
            ));
        }
        self.books.keep(last, book);
        // The snapshot holds what was queued before it.
        if socket.memory["books"][book.instrument.as_str()].as_i64()? >= last {
            return None;
        }
        let before = self.books.get(&book.instrument, last - 1)?;
        Some(notification(
            channel,
            &book_change(&before, book, last, engine.now_ms()),
        ))
    }

    fn market_push(&self, socket: &Socket, channel: &str, event: &Event, engine: &Engine) -> Option<Frame> {
        let parts: Vec<&str> = channel.split('.').collect();
        let name = *parts.get(1)?;
        let quote = engine.quote(name);
        match (*parts.first()?, event) {
            ("ticker" | "incremental_ticker", Event::Ticker(ticker)) if ticker.instrument == name => {
                Some(notification(channel, &ticker_of(engine, quote?)))
            }
            ("quote", Event::Ticker(ticker)) if ticker.instrument == name => Some(notification(
                channel,
                &json!({ "instrument_name": name, "timestamp": engine.now_ms(),
                         "best_bid_price": ticker.bid.map(amount), "best_bid_amount": ticker.bid_size.map(amount),
                         "best_ask_price": ticker.ask.map(amount), "best_ask_amount": ticker.ask_size.map(amount) }),
            )),
            ("book", Event::Book(book)) if book.instrument == name => {
                self.book_push(socket, channel, book, engine)
            }
            ("trades", Event::Trade(trade)) if trade.instrument == name || name == "future" => {
                Some(notification(channel, &json!([trade_of(engine, trade)])))
            }
            ("perpetual", Event::Mark(mark)) if mark.instrument == name => Some(notification(
                channel,
                &json!({ "timestamp": engine.now_ms(), "interest": amount(Decimal::new(1, 5)),
                         "index_price": amount(mark.price) }),
            )),
            ("deribit_price_index", Event::Mark(mark))
                if name == index_name(&engine.quote(&mark.instrument)?.instrument) =>
            {
                Some(notification(
                    channel,
                    &json!({ "index_name": name, "price": amount(mark.price), "timestamp": engine.now_ms() }),
                ))
            }
            ("chart", Event::Mark(mark)) if parts.get(2) == Some(&mark.instrument.as_str()) => {
                let length = resolution_ms(parts.get(3)?);
                let price = amount(mark.price);
                Some(notification(
                    channel,
                    &json!({ "tick": engine.now_ms() - engine.now_ms() % length, "open": price, "high": price, "low": price,
                             "close": price, "volume": amount(Decimal::ONE), "cost": price }),
                ))
            }
            _ => None,
        }
    }
}

/// Whether a signature holds; whose it is.
fn check(
    engine: &Engine,
    id: &str,
    time: &str,
    nonce: &str,
    data: &str,
    signature: &str,
) -> Result<String, Failure> {
    let wrong = |reason: &str| Failure {
        data: json!({ "reason": reason }),
        ..Failure::new(13_004, "invalid_credentials")
    };
    let account = engine.account(id).ok_or_else(|| wrong("client_id"))?;
    let stated: u64 = time.parse().map_err(|_| wrong("timestamp"))?;
    if stated.abs_diff(engine.now_ms()) > WINDOW_MS {
        return Err(wrong("timestamp"));
    }
    if hmac_hex(&account.secret, &format!("{time}\n{nonce}\n{data}")) != signature {
        return Err(wrong("signature"));
    }
    Ok(account.key.clone())
}

fn channels(parameters: &Parameters<'_>) -> Vec<String> {
    parameters.0["channels"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|channel| channel.as_str().map(str::to_owned))
        .collect()
}

fn known(channel: &str, engine: &Engine) -> bool {
    let parts: Vec<&str> = channel.split('.').collect();
    let instrument = |at: usize| parts.get(at).is_some_and(|name| engine.quote(name).is_some());
    match parts.as_slice() {
        ["ticker" | "book" | "incremental_ticker" | "perpetual", ..] | ["quote", _] => instrument(1),
        ["trades", "future" | "any", ..] => true,
        ["trades", ..] => instrument(1),
        ["chart", "trades", ..] => instrument(2),
        ["deribit_price_index", _] | ["platform_state" | "announcements"] => true,
        ["user", "portfolio", _] => true,
        ["user", "orders" | "trades" | "changes", "any" | "future", _, _] => true,
        ["user", "orders" | "trades" | "changes", _, _] => instrument(2),
        _ => false,
    }
}

/// Whether an account's channel is about an instrument: by its name, or by kind and currency.
fn covers(parts: &[&str], instrument: &str, engine: &Engine) -> bool {
    match parts {
        [_, _, "any" | "future", currency, _] => {
            *currency == "any" || settled_in(engine, instrument).is_some_and(|settle| settle == *currency)
        }
        [_, _, name, _] => *name == instrument,
        _ => false,
    }
}

fn account_push(channel: &str, key: &str, update: &Update, engine: &Engine) -> Option<Frame> {
    let parts: Vec<&str> = channel.split('.').collect();
    let raw = parts.last() == Some(&"raw");
    let data = match (*parts.get(1)?, &update.event) {
        ("orders", Event::Order(order)) if covers(&parts, &order.instrument, engine) => {
            if raw {
                order_of(engine, order)
            } else {
                json!([order_of(engine, order)])
            }
        }
        ("trades", Event::Fill(fill)) if covers(&parts, &fill.instrument, engine) => {
            json!([fill_of(engine, key, fill)])
        }
        ("changes", Event::Order(order)) if covers(&parts, &order.instrument, engine) => {
            let position = position_in(engine, key, &order.instrument);
            let (trades, positions) = match &update.fill {
                Some(fill) => (
                    json!([fill_of(engine, key, fill)]),
                    json!([position_of(engine, &position, fill.position_after)]),
                ),
                None => (json!([]), json!([])),
            };
            json!({ "instrument_name": order.instrument, "trades": trades, "positions": positions,
                    "orders": [order_of(engine, order)] })
        }
        ("portfolio", Event::Balance(balance))
            if parts.get(2).is_some_and(|currency| {
                *currency == "any" || currency.eq_ignore_ascii_case(&balance.asset)
            }) =>
        {
            summary(engine, key, &balance.asset)
        }
        _ => return None,
    };
    Some(notification(channel, &data))
}

impl Wire for Deribit {
    fn venue(&self) -> Venue {
        Venue::Deribit
    }

    fn rest(&self, request: &Incoming, engine: &mut Engine) -> Response {
        let now_ms = engine.now_ms();
        let Some(path) = request.path.strip_prefix("/api/v2") else {
            return Response {
                status: 404,
                headers: Vec::new(),
                body: b"Not Found".to_vec(),
            };
        };
        let body = request.json();
        let (method, parameters, id) = if request.method == Method::Post {
            (
                body["method"]
                    .as_str()
                    .unwrap_or_else(|| path.trim_start_matches('/'))
                    .to_owned(),
                body["params"].clone(),
                body["id"].clone(),
            )
        } else {
            let pairs = Incoming::pairs(&request.raw_query)
                .into_iter()
                .map(|(name, value)| (name, Value::String(value)))
                .collect();
            (
                path.trim_start_matches('/').to_owned(),
                Value::Object(pairs),
                Value::Null,
            )
        };
        let parameters = Parameters(&parameters);
        let outcome = if method == "public/auth" {
            self.log_in(&parameters, engine).map(|(_, result)| result)
        } else if method.starts_with("private/") {
            self.authenticate(request, engine)
                .and_then(|key| self.call(&method, &parameters, Some(&key), engine))
        } else {
            self.call(&method, &parameters, None, engine)
        };
        respond(&id, &outcome, now_ms)
    }

    /// Orders are sent with GET too.
    fn acts(&self, request: &Incoming) -> bool {
        let body = request.json();
        let method = body["method"].as_str().unwrap_or(&request.path);
        method
            .split_once("private/")
            .is_some_and(|(_, name)| !name.starts_with("get_"))
    }

    fn costs(&self, request: &Incoming) -> Vec<Cost> {
        let limit = if self.acts(request) { MATCHING } else { OTHER };
        vec![Cost { limit, weight: 1 }]
    }

    fn too_many(&self, _retry_after_seconds: u64, _banned: bool, _now_ms: u64) -> Response {
        respond(&Value::Null, &Err(Failure::new(10_028, "too_many_requests")), 0)
    }

    fn internal_error(&self) -> Response {
        respond(
            &Value::Null,
            &Err(Failure::new(11_094, "internal_server_error")),
            0,
        )
    }

    fn message(&self, socket: &mut Socket, text: &str, engine: &mut Engine) -> Vec<Frame> {
        if text.len() > MAXIMUM_MESSAGE {
            return vec![Frame::Close(1009, "Message Too Big".to_owned())];
        }
        let now_ms = engine.now_ms();
        let message: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let Some(method) = message["method"].as_str() else {
            let failure = Err(Failure::new(-32600, "request entity is not valid JSON-RPC"));
            return vec![Frame::Text(print(&envelope(&message["id"], &failure, now_ms)))];
        };
        let parameters = Parameters(&message["params"]);
        let mut after = Vec::new();
        let outcome = self
            .socket_call(socket, method, &parameters, engine, &mut after)
            .unwrap_or_else(|| {
                // The connection's login, or a token with the call.
                let account = parameters
                    .text("access_token")
                    .and_then(|token| self.owner(&token, now_ms))
                    .or_else(|| socket.account.clone());
                self.call(method, &parameters, account.as_deref(), engine)
            });
        let mut out = vec![Frame::Text(print(&envelope(&message["id"], &outcome, now_ms)))];
        out.append(&mut after);
        out
    }

    fn push(&self, socket: &Socket, update: &Update, engine: &Engine) -> Vec<Frame> {
        socket
            .topics
            .iter()
            .filter_map(|channel| match &update.account {
                None if channel.starts_with("user.") => None,
                None => self.market_push(socket, channel, &update.event, engine),
                Some(key) if socket.account.as_ref() == Some(key) && channel.starts_with("user.") => {
                    account_push(channel, key, update, engine)
                }
                Some(_) => None,
            })
            .collect()
    }

    /// As often as the client asked for; it has to answer with `public/test`.
    fn server_ping(&self, socket: &Socket, _now_ms: u64) -> Option<(Frame, u64)> {
        let seconds = socket.memory["heartbeat"].as_u64()?;
        let frame = json!({ "jsonrpc": "2.0", "method": "heartbeat", "params": { "type": "test_request" } });
        Some((Frame::json(&frame), seconds * 1_000))
    }

    fn maintenance(&self, socket: &Socket) -> Option<Frame> {
        let subscribed = socket.topics.iter().any(|topic| topic == "platform_state");
        subscribed.then(|| notification("platform_state", &json!({ "maintenance": true })))
    }

    fn expire_sessions(&self, socket: &mut Socket, _engine: &mut Engine) -> Vec<Frame> {
        self.memory().tokens.clear();
        if socket.account.take().is_none() {
            return Vec::new();
        }
        vec![Frame::Close(1000, "session expired".to_owned())]
    }

    fn reject(&self, reject: &Reject) -> (String, String) {
        let (code, message) = match reject {
            Reject::UnknownInstrument => (13_020, "not_found"),
            Reject::DuplicateClientId(_) => (11_030, "other_reject duplicate_label"),
            Reject::Size => (10_021, "invalid_amount"),
            Reject::Price => (10_043, "price_wrong_tick"),
            Reject::MinimumNotional => (10_032, "whole_cost_too_low"),
            Reject::Margin => (10_009, "not_enough_funds"),
            Reject::ReduceOnly => (11_030, "other_reject invalid_reduce_only_order"),
            Reject::PostOnly => (11_054, "post_only_reject"),
            Reject::FillOrKill => (11_030, "other_reject fill_or_kill"),
            Reject::WouldTrigger => (10_034, "trigger_price_too_high"),
            Reject::PositionMode => (11_043, "bad_argument"),
            Reject::UnknownOrder => (10_004, "order_not_found"),
            Reject::NoPosition => (10_010, "already_closed"),
            Reject::NotFlat | Reject::Unchanged => (11_050, "bad_request"),
        };
        (code.to_string(), message.to_owned())
    }
}
