//! HTX linear swaps as its documentation describes the wire: sizes are whole contracts, server frames are gzip.

mod legacy;
mod market;
mod v5;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::crypto::hmac_base64;
use crate::model::{Decimal, Event, Instrument, Venue};
use crate::request::{Method, Response};
use crate::simulate::engine::{Engine, Reject, Update};
use crate::simulate::venues::books::Books;
use crate::simulate::wire::{Cost, Frame, Incoming, Limit, Socket, Used, Wire, number, print};

const TRADE: Limit = Limit {
    bucket: "trade",
    maximum: 72,
    window_ms: 3_000,
};
const QUERY: Limit = Limit {
    bucket: "query",
    maximum: 144,
    window_ms: 3_000,
};
const PUBLIC: Limit = Limit {
    bucket: "public",
    maximum: 240,
    window_ms: 3_000,
};
const MARKET: Limit = Limit {
    bucket: "market",
    maximum: 800,
    window_ms: 1_000,
};
/// How far a request's time may be off.
const WINDOW_MS: u64 = 300_000;
/// How often the server asks whether the client lives.
const PING_MS: u64 = 5_000;
/// The account's number.
const USER: &str = "359305390";
/// Private sockets: of the interface of 2026, and the older one.
const V5_SOCKET: &str = "/ws/v5/notification";
const LEGACY_SOCKET: &str = "/linear-swap-notification";

/// The wire.
#[derive(Debug, Default)]
pub(super) struct Htx {
    books: Books,
}

/// What it lists.
pub(super) fn instruments() -> Vec<(Instrument, Decimal)> {
    [
        ("BTC-USDT", "BTC", Decimal::new(1, 1), Decimal::new(1, 3), 50_000),
        ("ETH-USDT", "ETH", Decimal::new(1, 2), Decimal::new(1, 2), 2_500),
        ("SOL-USDT", "SOL", Decimal::new(1, 3), Decimal::ONE, 150),
    ]
    .into_iter()
    .map(|(name, base, tick, contract, price)| {
        let mut instrument =
            Instrument::linear(name, base, "USDT", tick, Decimal::ONE).in_contracts(contract);
        instrument.maximum_leverage = Some(Decimal::from(200));
        (instrument, Decimal::from(price))
    })
    .collect()
}

fn plain(value: Decimal) -> String {
    value.normalize().to_string()
}

/// A number of JSON.
fn decimal(value: Decimal) -> Value {
    number(&plain(value))
}

fn contracts(engine: &Engine, instrument: &str, base: Decimal) -> Decimal {
    engine.venue_size(instrument, base)
}

fn contracts_text(engine: &Engine, instrument: &str, base: Option<Decimal>) -> String {
    plain(contracts(engine, instrument, base.unwrap_or_default()))
}

fn printed(value: &Value) -> String {
    print(value)
}

/// A frame as the server sends it: gzip of the text.
fn zipped(value: &Value) -> Frame {
    let text = printed(value);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to a vector cannot fail.
    match encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()) {
        Ok(bytes) => Frame::Binary(bytes),
        Err(_) => Frame::Text(text),
    }
}

/// A text, or a number as it is written.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// 1, "1" or true.
fn flag(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        other => text_of(other).is_some_and(|text| text == "1" || text == "true"),
    }
}

/// Unix milliseconds of `2023-11-14T22:13:20`.
fn milliseconds(text: &str) -> Option<u64> {
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let time = time::PrimitiveDateTime::parse(text, &format).ok()?;
    u64::try_from(time.assume_utc().unix_timestamp())
        .ok()
        .map(|seconds| seconds * 1_000)
}

/// Whether the pairs that were signed hold; whose they are. `pairs` are encoded as they were sent.
fn check(
    engine: &Engine,
    method: &str,
    host: &str,
    path: &str,
    pairs: &[(String, String)],
    signature: &str,
) -> Result<String, (i64, &'static str)> {
    let get = |name: &str| {
        pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| decoded(value))
    };
    let account = get("AccessKeyId")
        .and_then(|key| engine.account(&key))
        .ok_or((403, "Incorrect Access key [Access key错误]"))?;
    if get("SignatureMethod").as_deref() != Some("HmacSHA256")
        || get("SignatureVersion").as_deref() != Some("2")
    {
        return Err((1_003, "invalid signature method or version"));
    }
    let stated = get("Timestamp")
        .and_then(|time| milliseconds(&time))
        .ok_or((1_003, "invalid timestamp"))?;
    if stated.abs_diff(engine.now_ms()) > WINDOW_MS {
        return Err((1_003, "invalid timestamp"));
    }
    let mut sorted: Vec<&(String, String)> = pairs.iter().collect();
    sorted.sort();
    let query = sorted
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join("&");
    let text = format!("{method}\n{}\n{path}\n{query}", host.to_lowercase());
    if hmac_base64(&account.secret, &text) != signature {
        return Err((1_003, "invalid signature"));
    }
    Ok(account.key.clone())
}

fn decoded(component: &str) -> String {
    percent_encoding::percent_decode_str(component)
        .decode_utf8_lossy()
        .into_owned()
}

/// The account of a request, by its query.
fn authenticate(request: &Incoming, engine: &Engine) -> Result<String, (i64, &'static str)> {
    let mut signature = String::new();
    let mut pairs = Vec::new();
    for pair in request.raw_query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name == "Signature" {
            signature = decoded(value);
        } else {
            pairs.push((name.to_owned(), value.to_owned()));
        }
    }
    check(
        engine,
        request.method.name(),
        &request.host,
        &request.path,
        &pairs,
        &signature,
    )
}

fn is_private(socket: &Socket) -> bool {
    socket.path == V5_SOCKET || socket.path == LEGACY_SOCKET
}

/// A subscription as it is remembered: the topic, and for v5 the contract after a space.
fn covers(topic: &str, kind: &str, instrument: &str) -> bool {
    topic
        .split_once(' ')
        .is_some_and(|(known, code)| known == kind && (code == "*" || code.eq_ignore_ascii_case(instrument)))
}

impl Htx {
    fn notification(&self, socket: &mut Socket, message: &Value, engine: &Engine) -> Vec<Frame> {
        let now_ms = engine.now_ms();
        let op = message["op"].as_str().unwrap_or_default();
        match op {
            "auth" => vec![self.log_in(socket, message, engine)],
            "pong" => Vec::new(),
            "ping" => vec![zipped(&json!({ "op": "pong", "ts": message["ts"] }))],
            "sub" | "unsub" => self.subscribe(socket, op, message, engine),
            _ => vec![zipped(
                &json!({ "op": op, "err-code": 2_010, "err-msg": "Topic error.", "ts": now_ms }),
            )],
        }
    }

    fn log_in(&self, socket: &mut Socket, message: &Value, engine: &Engine) -> Frame {
        let pairs: Vec<(String, String)> =
            ["AccessKeyId", "SignatureMethod", "SignatureVersion", "Timestamp"]
                .iter()
                .map(|name| {
                    let value = message[*name].as_str().unwrap_or_default();
                    ((*name).to_owned(), crate::request::encode(value))
                })
                .collect();
        let signature = message["Signature"].as_str().unwrap_or_default();
        let now_ms = engine.now_ms();
        match check(engine, "GET", &socket.host, &socket.path, &pairs, signature) {
            Ok(key) => {
                socket.account = Some(key);
                zipped(
                    &json!({ "op": "auth", "type": "api", "err-code": 0, "ts": now_ms, "data": { "user-id": USER } }),
                )
            }
            Err((_, message)) => zipped(
                &json!({ "op": "auth", "type": "api", "err-code": 2_002, "err-msg": format!("Auth fail: {message}"), "ts": now_ms }),
            ),
        }
    }

    fn subscribe(&self, socket: &mut Socket, op: &str, message: &Value, engine: &Engine) -> Vec<Frame> {
        let now_ms = engine.now_ms();
        let topic = message["topic"].as_str().unwrap_or_default();
        let public = topic.starts_with("public.");
        let mut answer =
            json!({ "op": op, "cid": message["cid"], "topic": topic, "ts": now_ms, "err-code": 0 });
        let mut refuse = |code: i64, words: &str| {
            answer["err-code"] = json!(code);
            answer["err-msg"] = json!(words);
            vec![zipped(&answer)]
        };
        if !public && socket.account.is_none() {
            return refuse(2_002, "invalid.auth.state");
        }
        let v5 = socket.path == V5_SOCKET;
        let known = public
            || if v5 {
                matches!(topic, "orders" | "trade" | "positions" | "account" | "accounts")
            } else {
                legacy::known(topic)
            };
        if !known {
            return refuse(2_010, "Topic error.");
        }
        let code = message["contract_code"].as_str().unwrap_or("*");
        if v5 && code != "*" && engine.quote(&code.to_uppercase()).is_none() {
            return refuse(2_011, "Contract doesn't exist.");
        }
        let remembered = if public || !v5 {
            topic.to_owned()
        } else {
            format!("{topic} {code}")
        };
        if v5 {
            answer["contract_code"] = json!(code);
        }
        let mut out = vec![zipped(&answer)];
        if op == "unsub" {
            socket.topics.retain(|known| *known != remembered);
            return out;
        }
        let key = socket.account.clone().unwrap_or_default();
        match topic {
            _ if !v5 => out.extend(legacy::first(topic, &key, engine)),
            "positions" => {
                let data: Value = engine
                    .positions(&key)
                    .iter()
                    .filter(|position| covers(&remembered, "positions", &position.instrument))
                    .map(|position| v5::position_of(engine, &key, position))
                    .collect();
                out.push(notify(topic, code, Some("snapshot"), &data, now_ms));
            }
            "account" | "accounts" => {
                if let Some(balance) = engine.balance(&key) {
                    let data = v5::account_of(&balance);
                    out.push(notify(topic, "", Some("snapshot"), &data, now_ms));
                }
            }
            _ => {}
        }
        if !socket.topics.contains(&remembered) {
            socket.topics.push(remembered);
        }
        out
    }
}

fn notify(topic: &str, code: &str, event: Option<&str>, data: &Value, now_ms: u64) -> Frame {
    let mut value = json!({ "op": "notify", "topic": topic, "contract_code": code, "ts": now_ms, "uid": USER, "data": data });
    if let Some(event) = event {
        value["event"] = json!(event);
    }
    zipped(&value)
}

/// What one v5 subscription makes of something that happened to the account.
fn account_push(topic: &str, key: &str, event: &Event, engine: &Engine) -> Option<Frame> {
    let now_ms = engine.now_ms();
    match event {
        // Orders that wait for a trigger are no orders yet on this topic.
        Event::Order(order)
            if order.trigger_price.is_none() && covers(topic, "orders", &order.instrument) =>
        {
            let mut data = v5::order_of(engine, key, order);
            if let Some(members) = data.as_object_mut() {
                members.remove("id");
            }
            Some(notify("orders", &order.instrument, None, &data, now_ms))
        }
        Event::Fill(fill) if covers(topic, "trade", &fill.instrument) => {
            let data = json!([v5::fill_push(engine, fill)]);
            Some(notify("trade", &fill.instrument, None, &data, now_ms))
        }
        Event::Position(position) if covers(topic, "positions", &position.instrument) => {
            let data = json!([v5::position_of(engine, key, position)]);
            Some(notify(
                "positions",
                &position.instrument,
                Some("update"),
                &data,
                now_ms,
            ))
        }
        Event::Balance(balance) => {
            let kind = topic.split(' ').next()?;
            matches!(kind, "account" | "accounts")
                .then(|| notify(kind, "", Some("update"), &v5::account_of(balance), now_ms))
        }
        _ => None,
    }
}

impl Wire for Htx {
    fn venue(&self) -> Venue {
        Venue::Htx
    }

    fn rest(&self, request: &Incoming, engine: &mut Engine) -> Response {
        if request.method == Method::Get
            && let Some(response) = Self::public(request, engine)
        {
            return response;
        }
        let now_ms = engine.now_ms();
        let is_v5 = request.path.starts_with("/v5/");
        let value = match authenticate(request, engine) {
            Ok(key) if is_v5 => self.v5(&key, request, engine),
            Ok(key) => match self.legacy(&key, request, engine) {
                Some(value) => value,
                None => {
                    return Response {
                        status: 404,
                        headers: Vec::new(),
                        body: b"Not Found".to_vec(),
                    };
                }
            },
            Err((code, message)) if is_v5 => v5::failure(code, message, now_ms),
            Err((code, message)) => {
                json!({ "status": "error", "err_code": code, "err_msg": message, "ts": now_ms })
            }
        };
        Response::ok(printed(&value))
    }

    /// The older interface reads with POST too.
    fn acts(&self, request: &Incoming) -> bool {
        request.method == Method::Post && (request.path.starts_with("/v5/") || legacy::acts(&request.path))
    }

    fn costs(&self, request: &Incoming) -> Vec<Cost> {
        let path = request.path.as_str();
        let limit = if path.starts_with("/linear-swap-ex/") || path.starts_with("/index/") {
            MARKET
        } else if !request.raw_query.contains("AccessKeyId=") {
            PUBLIC
        } else if self.acts(request) {
            TRADE
        } else {
            QUERY
        };
        vec![Cost { limit, weight: 1 }]
    }

    fn limit_headers(&self, used: &[Used]) -> Vec<(String, String)> {
        used.iter()
            .flat_map(|used| {
                let left = used.limit.maximum.saturating_sub(used.weight);
                [
                    ("ratelimit-limit", u64::from(used.limit.maximum)),
                    ("ratelimit-interval", used.limit.window_ms),
                    ("ratelimit-remaining", u64::from(left)),
                    ("ratelimit-reset", used.reset_ms),
                ]
            })
            .map(|(name, value)| (name.to_owned(), value.to_string()))
            .collect()
    }

    fn too_many(&self, _retry_after_seconds: u64, _banned: bool, _now_ms: u64) -> Response {
        let body = json!({ "status": "error", "err_code": 1_032, "err_msg": "The number of access has exceeded the limit.", "ts": 0 });
        Response {
            status: 429,
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
        }
    }

    fn internal_error(&self) -> Response {
        let body = json!({ "status": "error", "err-code": "gateway-internal-error",
                           "err-msg": "Failed to load data. Try again later.", "data": null });
        Response {
            status: 500,
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
        }
    }

    fn message(&self, socket: &mut Socket, text: &str, engine: &mut Engine) -> Vec<Frame> {
        let message: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        if is_private(socket) {
            self.notification(socket, &message, engine)
        } else {
            self.market_message(socket, &message, engine)
        }
    }

    fn push(&self, socket: &Socket, update: &Update, engine: &Engine) -> Vec<Frame> {
        socket
            .topics
            .iter()
            .filter_map(|topic| match &update.account {
                None if !is_private(socket) => self.market_push(socket, topic, &update.event, engine),
                Some(key) if socket.account.as_ref() != Some(key) => None,
                Some(key) if socket.path == LEGACY_SOCKET => legacy::push(topic, key, update, engine),
                Some(key) => account_push(topic, key, &update.event, engine),
                _ => None,
            })
            .collect()
    }

    fn server_ping(&self, socket: &Socket, now_ms: u64) -> Option<(Frame, u64)> {
        let frame = if is_private(socket) {
            json!({ "op": "ping", "ts": now_ms.to_string() })
        } else {
            json!({ "ping": now_ms })
        };
        Some((zipped(&frame), PING_MS))
    }

    fn maintenance(&self, socket: &Socket) -> Option<Frame> {
        let topic = "public.linear-swap.heartbeat";
        let subscribed = socket.topics.iter().any(|known| known == topic);
        subscribed.then(|| {
            zipped(
                &json!({ "op": "notify", "topic": topic, "event": "update", "ts": 0,
                            "data": { "heartbeat": 0, "estimated_recovery_time": null } }),
            )
        })
    }

    fn expire_sessions(&self, socket: &mut Socket, engine: &mut Engine) -> Vec<Frame> {
        if socket.account.take().is_none() {
            return Vec::new();
        }
        vec![
            zipped(&json!({ "op": "close", "ts": engine.now_ms() })),
            Frame::Close(1000, "close".to_owned()),
        ]
    }

    fn reject(&self, reject: &Reject) -> (String, String) {
        let (code, message) = match reject {
            Reject::UnknownInstrument => (1_013, "This contract symbol doesnt exist."),
            Reject::DuplicateClientId(_) => (1_485, "The client_order_id already exists."),
            Reject::Size => (1_040, "Incorrect field of order amount."),
            Reject::Price => (1_038, "The order price accuracy exceeds the limit."),
            Reject::MinimumNotional => (1_042, "The order amount is too small."),
            Reject::Margin => (1_047, "Insufficient margin available."),
            Reject::ReduceOnly | Reject::NoPosition => (1_048, "Insufficient close amount available."),
            Reject::PostOnly => (1_070, "Post only order would fill at once."),
            Reject::FillOrKill => (1_071, "The order cannot be filled whole."),
            Reject::WouldTrigger => (1_409, "The trigger price would be reached at once."),
            Reject::PositionMode => (1_486, "The position side does not match the position mode."),
            Reject::UnknownOrder => (1_061, "The order does not exist."),
            Reject::NotFlat => (
                1_484,
                "The position mode cannot be changed with open orders or positions.",
            ),
            Reject::Unchanged => (1_493, "Nothing to change."),
        };
        (code.to_string(), message.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::simulate::engine::Account;

    const NOW_MS: u64 = 1_700_000_000_000;

    fn engine() -> Engine {
        let mut engine = Engine::new(Venue::Htx, instruments(), 1);
        engine.add_account(Account::new("key", "secret", "", Decimal::from(100_000)));
        engine.set_clock(NOW_MS);
        engine
    }

    fn signed(path: &str, body: &Value) -> Incoming {
        let query =
            "AccessKeyId=key&SignatureMethod=HmacSHA256&SignatureVersion=2&Timestamp=2023-11-14T22%3A13%3A20";
        let signature = hmac_base64("secret", &format!("POST\nlocalhost:1\n{path}\n{query}"));
        Incoming {
            method: Method::Post,
            path: path.to_owned(),
            raw_query: format!("{query}&Signature={}", crate::request::encode(&signature)),
            headers: Vec::new(),
            body: body.to_string(),
            host: "localhost:1".to_owned(),
        }
    }

    fn ask(engine: &mut Engine, name: &str, body: &Value) -> Value {
        let request = signed(&format!("/linear-swap-api/v1/{name}"), body);
        let response = Htx::default().rest(&request, engine);
        serde_json::from_slice(&response.body).unwrap()
    }

    fn unzipped(frame: &Frame) -> Value {
        let Frame::Binary(bytes) = frame else {
            panic!("not gzip")
        };
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_older_interface_opens_and_closes_both_sides() {
        let mut engine = engine();
        let mode = json!({ "margin_account": "USDT", "position_mode": "dual_side" });
        assert_eq!(
            ask(&mut engine, "swap_cross_switch_position_mode", &mode)["status"],
            "ok"
        );
        let order = |direction: &str, offset: &str| {
            json!({ "contract_code": "BTC-USDT", "volume": 3, "direction": direction, "offset": offset, "lever_rate": 5,
                    "order_price_type": "market" })
        };
        let taken = ask(&mut engine, "swap_cross_order", &order("buy", "open"));
        assert_eq!(taken["data"]["order_id_str"], "1000000008886774001");
        ask(&mut engine, "swap_cross_order", &order("sell", "open"));
        let held = ask(&mut engine, "swap_cross_position_info", &json!({}));
        assert_eq!(held["data"][0]["direction"], "buy");
        assert_eq!(held["data"][0]["volume"], 3);
        assert_eq!(held["data"][1]["direction"], "sell");
        ask(&mut engine, "swap_cross_order", &order("sell", "close"));
        ask(&mut engine, "swap_cross_order", &order("buy", "close"));
        let held = ask(&mut engine, "swap_cross_position_info", &json!({}));
        assert_eq!(held["data"], json!([]));
        let refused = ask(&mut engine, "swap_cross_order", &order("buy", "close"));
        assert_eq!(refused["err_code"], 1_048);
    }

    #[test]
    fn a_liquidation_is_told_on_both_sockets_in_their_words() {
        let mut engine = engine();
        let order = json!({ "contract_code": "BTC-USDT", "volume": 3, "direction": "buy", "lever_rate": 5,
                            "order_price_type": "market" });
        ask(&mut engine, "swap_cross_order", &order);
        engine.take_updates();
        engine.force_close(
            "key",
            "BTC-USDT",
            crate::model::PositionSide::Net,
            crate::model::Cause::Liquidation,
        );
        let updates = engine.take_updates();
        let told = |path: &str, topic: &str| -> Vec<Value> {
            let socket = Socket {
                path: path.to_owned(),
                account: Some("key".to_owned()),
                topics: vec![topic.to_owned()],
                ..Socket::default()
            };
            updates
                .iter()
                .flat_map(|update| Htx::default().push(&socket, update, &engine))
                .map(|frame| unzipped(&frame))
                .collect()
        };
        let old = told(LEGACY_SOCKET, "orders_cross.*");
        assert_eq!(old[0]["topic"], "orders_cross.btc-usdt");
        assert_eq!(old[0]["liquidation_type"], "3");
        assert_eq!(old[0]["trade"][0]["trade_volume"], 3);
        let new = told(V5_SOCKET, "orders *");
        assert_eq!(new[0]["data"]["order_source"], "risk");
        assert_eq!(new[0]["data"]["trade_volume"], "3");
    }

    #[test]
    fn what_was_signed_for_another_time_or_host_is_refused() {
        let mut engine = engine();
        let mut request = signed("/v5/trade/cancel_all_orders", &json!({}));
        let code = |engine: &mut Engine, request: &Incoming| {
            let response = Htx::default().rest(request, engine);
            serde_json::from_slice::<Value>(&response.body).unwrap()["code"].clone()
        };
        assert_eq!(code(&mut engine, &request), 200);
        request.host = "localhost:2".to_owned();
        assert_eq!(code(&mut engine, &request), 1_003);
        request.host = "localhost:1".to_owned();
        engine.set_clock(NOW_MS + WINDOW_MS + 1_000);
        assert_eq!(code(&mut engine, &request), 1_003);
    }
}
