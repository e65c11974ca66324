//! OKX v5 swaps as its documentation describes the wire.
//!
//! The engine keeps one position per instrument and side, so that a cross and an isolated position cannot stand beside
//! each other: an order's `tdMode` counts while the instrument has no position, and closing with the other one is refused.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::crypto::hmac_base64;
use crate::model::{Decimal, Instrument, MarginMode, Text, Venue};
use crate::request::{Method, Response};
use crate::simulate::engine::{Engine, Reject, Update};
use crate::simulate::wire::{Cost, Frame, Incoming, Limit, Socket, Wire};

mod orders;
mod rest;
mod rows;
mod socket;

/// What a request costs where nothing else is said: so many in two seconds.
const OTHER: Limit = two_seconds("other", 20);

const fn two_seconds(bucket: &'static str, maximum: u32) -> Limit {
    Limit {
        bucket,
        maximum,
        window_ms: 2_000,
    }
}

/// The limits of the sheet by path below `/api/v5/`. The quotas of orders are per instrument at the venue, here in all.
const LIMITS: [Limit; 22] = [
    two_seconds("trade/order", 60),
    two_seconds("trade/amend-order", 60),
    two_seconds("trade/cancel-order", 60),
    two_seconds("trade/batch-orders", 300),
    two_seconds("trade/cancel-batch-orders", 300),
    two_seconds("trade/amend-batch-orders", 300),
    two_seconds("trade/orders-pending", 60),
    two_seconds("trade/orders-history", 40),
    two_seconds("trade/fills", 60),
    two_seconds("trade/fills-history", 10),
    two_seconds("trade/close-position", 20),
    two_seconds("trade/order-algo", 20),
    two_seconds("trade/cancel-algos", 20),
    two_seconds("trade/cancel-all-after", 2),
    two_seconds("account/positions", 10),
    two_seconds("account/balance", 10),
    two_seconds("account/config", 5),
    two_seconds("account/set-position-mode", 5),
    two_seconds("public/time", 10),
    two_seconds("public/mark-price", 10),
    two_seconds("market/books", 40),
    two_seconds("market/candles", 40),
];

/// What the wire must remember of an order and the engine does not know.
#[derive(Debug, Clone)]
struct Extra {
    margin_mode: MarginMode,
    /// The venue's word for the kind, as the client sent it.
    kind: Text,
    tag: Text,
    created_ms: u64,
    /// The trigger's own words: `trigger`, or `sl`/`tp` of a conditional order.
    trigger: &'static str,
}

/// The wire.
#[derive(Debug, Default)]
pub(super) struct Okx {
    extras: Mutex<HashMap<Text, Extra>>,
    connections: AtomicU64,
}

/// What it lists.
pub(super) fn instruments() -> Vec<(Instrument, Decimal)> {
    [
        // Name, base, base units of a contract, tick, first price, instIdCode.
        (
            "BTC-USDT-SWAP",
            "BTC",
            Decimal::new(1, 2),
            Decimal::new(1, 1),
            Decimal::from(50_000),
            10_459,
        ),
        (
            "ETH-USDT-SWAP",
            "ETH",
            Decimal::new(1, 1),
            Decimal::new(1, 2),
            Decimal::from(2_500),
            10_461,
        ),
        (
            "SOL-USDT-SWAP",
            "SOL",
            Decimal::ONE,
            Decimal::new(1, 2),
            Decimal::from(150),
            10_519,
        ),
        (
            "DOGE-USDT-SWAP",
            "DOGE",
            Decimal::ONE_THOUSAND,
            Decimal::new(1, 5),
            Decimal::new(2, 1),
            10_487,
        ),
    ]
    .into_iter()
    .map(|(name, base, contract, tick, price, code)| {
        let mut instrument =
            Instrument::linear(name, base, "USDT", tick, Decimal::new(1, 2)).in_contracts(contract);
        instrument.maximum_leverage = Some(Decimal::ONE_HUNDRED);
        instrument.maximum_market_size = Some(Decimal::from(35_000));
        instrument.number = Some(code);
        (instrument, price)
    })
    .collect()
}

/// A code of the venue with its words.
#[derive(Debug, Clone)]
struct Refusal {
    code: &'static str,
    message: String,
}

fn refusal(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal {
        code,
        message: message.into(),
    }
}

/// A parameter that is missing or makes no sense.
fn bad(parameter: &str) -> Refusal {
    refusal("51000", format!("Parameter {parameter} error"))
}

fn response(status: u16, value: &Value) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: value.to_string().into_bytes(),
    }
}

/// An error in the venue's form.
fn error(status: u16, refusal: &Refusal) -> Response {
    response(
        status,
        &json!({ "code": refusal.code, "msg": refusal.message, "data": [] }),
    )
}

fn ok(data: Vec<Value>) -> Response {
    response(200, &json!({ "code": "0", "msg": "", "data": data }))
}

/// The signature the venue expects: over the time, the method, the path with its query, and the body.
fn signature(secret: &str, time: &str, method: Method, path: &str, body: &str) -> String {
    hmac_base64(secret, &format!("{time}{}{path}{body}", method.name()))
}

impl Okx {
    fn extras(&self) -> MutexGuard<'_, HashMap<Text, Extra>> {
        self.extras.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine's refusals in the venue's codes.
fn rejected(reject: &Reject) -> Refusal {
    let (code, message) = match reject {
        Reject::UnknownInstrument => (
            "51001",
            "Instrument ID, Instrument ID code, or Spread ID doesn't exist.",
        ),
        Reject::DuplicateClientId(_) => ("51016", "Duplicated client order ID"),
        Reject::Size => ("51121", "Order quantity must be a multiple of the lot size."),
        Reject::Price => ("51000", "Parameter px error"),
        Reject::MinimumNotional => (
            "51020",
            "Your order should meet or exceed the minimum order amount.",
        ),
        Reject::Margin => ("51008", "Order failed. Insufficient USDT margin in account"),
        Reject::ReduceOnly => (
            "51169",
            "Order failed because you don't have any positions in this direction to reduce or close.",
        ),
        Reject::PostOnly => ("51000", "Parameter ordType error"),
        Reject::FillOrKill => ("51000", "Parameter ordType error"),
        Reject::WouldTrigger => ("51280", "SL trigger price can not be higher than the last price"),
        Reject::PositionMode => ("51000", "Parameter posSide error"),
        Reject::UnknownOrder => ("51603", "Order does not exist"),
        Reject::NotFlat => (
            "59000",
            "Setting failed. Cancel any open orders, close positions, and stop trading bots first.",
        ),
        Reject::Unchanged => ("59000", "Setting failed."),
        Reject::NoPosition => ("51023", "Position doesn't exist."),
    };
    refusal(code, message)
}

impl Wire for Okx {
    fn venue(&self) -> Venue {
        Venue::Okx
    }

    fn rest(&self, request: &Incoming, engine: &mut Engine) -> Response {
        self.answer(request, engine)
    }

    fn costs(&self, request: &Incoming) -> Vec<Cost> {
        let path = request.path.trim_start_matches("/api/v5/");
        let limit = LIMITS
            .into_iter()
            .find(|limit| limit.bucket == path)
            .unwrap_or(OTHER);
        // A batch costs as much as the orders in it.
        let weight = request
            .json()
            .as_array()
            .map_or(1, |orders| u32::try_from(orders.len()).unwrap_or(u32::MAX).max(1));
        vec![Cost { limit, weight }]
    }

    fn too_many(&self, _retry_after_seconds: u64, _banned: bool, _now_ms: u64) -> Response {
        error(429, &refusal("50011", "Too Many Requests"))
    }

    fn internal_error(&self) -> Response {
        error(
            400,
            &refusal(
                "50004",
                "API endpoint request timeout (does not mean that the request was successful or failed, please check the \
                 request result).",
            ),
        )
    }

    fn opened(&self, socket: &mut Socket, engine: &mut Engine) -> Vec<Frame> {
        self.greet(socket, engine)
    }

    fn message(&self, socket: &mut Socket, text: &str, engine: &mut Engine) -> Vec<Frame> {
        self.hear(socket, text, engine)
    }

    fn push(&self, socket: &Socket, update: &Update, engine: &Engine) -> Vec<Frame> {
        self.tell(socket, update, engine)
    }

    fn server_ping(&self, socket: &Socket, now_ms: u64) -> Option<(Frame, u64)> {
        socket::silent(socket, now_ms)
    }

    fn maintenance(&self, socket: &Socket) -> Option<Frame> {
        Some(Frame::json(&json!({
            "event": "notice", "code": "64008", "connId": socket.memory["connId"],
            "msg": "The connection will soon be closed for a service upgrade. Please reconnect.",
        })))
    }

    fn expire_sessions(&self, socket: &mut Socket, _engine: &mut Engine) -> Vec<Frame> {
        if socket.account.take().is_none() {
            return Vec::new();
        }
        vec![Frame::Close(4001, "Login failed.".to_owned())]
    }

    fn reject(&self, reject: &Reject) -> (String, String) {
        let refusal = rejected(reject);
        (refusal.code.to_owned(), refusal.message)
    }
}
