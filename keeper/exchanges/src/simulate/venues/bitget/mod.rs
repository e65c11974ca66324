//! Bitget's USDT futures as its documentation describes the wire: v2 here, v3 in [`unified`], both on the same accounts. The
//! venue has an account in one of the two and refuses it the other one with 40084 or 40085; here it may use either, so that
//! one simulator serves clients of both.
//!
//! In hedge mode of v2 an order's side is that of the position, not of the trade: closing a long position is `buy`/`close`.
//! Margin mode is the order's while an instrument has no position; later it stays.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::crypto::hmac_base64;
use crate::model::{Decimal, Instrument, MarginMode, Text, Venue};
use crate::request::Response;
use crate::simulate::engine::{Engine, Reject, Update};
use crate::simulate::wire::{Cost, Frame, Incoming, Limit, Socket, Used, Wire};

mod orders;
mod rest;
mod rows;
mod socket;
mod unified;

/// Requests of an address in a minute.
const ADDRESS: Limit = Limit {
    bucket: "address",
    maximum: 6_000,
    window_ms: 60_000,
};
/// What a request costs where nothing else is said.
const OTHER: Limit = a_second("other", 20);

const fn a_second(bucket: &'static str, maximum: u32) -> Limit {
    Limit {
        bucket,
        maximum,
        window_ms: 1_000,
    }
}

/// The limits of the sheet by path below `/api/v2/mix/`.
const LIMITS: [Limit; 17] = [
    a_second("order/place-order", 10),
    a_second("order/cancel-order", 10),
    a_second("order/modify-order", 10),
    a_second("order/batch-place-order", 5),
    a_second("order/batch-cancel-orders", 10),
    a_second("order/cancel-all-orders", 10),
    a_second("order/close-positions", 1),
    a_second("order/place-plan-order", 10),
    a_second("order/place-tpsl-order", 10),
    a_second("order/cancel-plan-order", 10),
    a_second("account/set-leverage", 5),
    a_second("account/set-margin-mode", 5),
    a_second("account/set-position-mode", 5),
    a_second("account/accounts", 10),
    a_second("order/detail", 10),
    a_second("order/fills", 10),
    a_second("position/all-position", 5),
];

/// What the wire must remember of an order and the engine does not know.
#[derive(Debug, Clone)]
struct Extra {
    margin_mode: MarginMode,
    created_ms: u64,
    /// `normal_plan`, `loss_plan` and so on; empty of an order without a trigger.
    plan: Text,
    trigger_by: Text,
}

/// The wire.
#[derive(Debug, Default)]
pub(super) struct Bitget {
    extras: Mutex<HashMap<Text, Extra>>,
    connections: AtomicU64,
}

/// What it lists.
pub(super) fn instruments() -> Vec<(Instrument, Decimal)> {
    [
        // Name, base, tick, lot, most in a market order, first price.
        (
            "BTCUSDT",
            "BTC",
            Decimal::new(1, 1),
            Decimal::new(1, 4),
            220,
            Decimal::from(50_000),
        ),
        (
            "ETHUSDT",
            "ETH",
            Decimal::new(1, 2),
            Decimal::new(1, 2),
            5_900,
            Decimal::from(2_500),
        ),
        // A step of five in the last place: not every tick is a power of ten.
        (
            "SOLUSDT",
            "SOL",
            Decimal::new(5, 3),
            Decimal::new(1, 1),
            67_000,
            Decimal::from(150),
        ),
        (
            "DOGEUSDT",
            "DOGE",
            Decimal::new(1, 5),
            Decimal::ONE,
            4_000_000,
            Decimal::new(2, 1),
        ),
    ]
    .into_iter()
    .map(|(name, base, tick, lot, most, price)| {
        let mut instrument = Instrument::linear(name, base, "USDT", tick, lot);
        instrument.minimum_notional = Some(Decimal::from(5));
        instrument.maximum_leverage = Some(Decimal::from(125));
        instrument.maximum_market_size = Some(Decimal::from(most));
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

/// A parameter that is missing.
fn missing(parameter: &str) -> Refusal {
    refusal("40019", format!("Parameter {parameter} cannot be empty"))
}

/// A parameter that makes no sense.
fn bad(parameter: &str) -> Refusal {
    refusal("40017", format!("Parameter verification failed {parameter}"))
}

/// An answer in the venue's form.
fn envelope(status: u16, code: &str, message: &str, data: &Value, now_ms: u64) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: json!({ "code": code, "msg": message, "requestTime": now_ms, "data": data })
            .to_string()
            .into_bytes(),
    }
}

fn system_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The signature the venue expects: over the time, the method, the path with its query, and the body.
fn signature(secret: &str, text: &str) -> String {
    hmac_base64(secret, text)
}

impl Bitget {
    fn extras(&self) -> MutexGuard<'_, HashMap<Text, Extra>> {
        self.extras.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine's refusals in the venue's codes.
fn rejected(reject: &Reject) -> Refusal {
    let (code, message) = match reject {
        Reject::UnknownInstrument => ("40034", "Parameter symbol does not exist"),
        Reject::DuplicateClientId(_) => ("40786", "Duplicate clientOid"),
        Reject::Size => (
            "40808",
            "Parameter verification exception size checkBDScale error",
        ),
        Reject::Price => ("41103", "param price scale error error"),
        Reject::MinimumNotional => ("45110", "less than the minimum amount 5 USDT"),
        Reject::Margin => ("40762", "The order amount exceeds the balance"),
        Reject::ReduceOnly | Reject::NoPosition => ("22002", "No position to close"),
        // These are taken and end by themselves; nobody is told so in an answer.
        Reject::PostOnly | Reject::FillOrKill => ("40017", "Parameter verification failed force"),
        Reject::WouldTrigger => ("40917", "Stop price for long positions please < mark price"),
        Reject::PositionMode => (
            "40774",
            "The order type for unilateral position must also be the unilateral position type.",
        ),
        Reject::UnknownOrder => ("40768", "Order does not exist"),
        Reject::NotFlat => (
            "40920",
            "The position or order exists, the position mode cannot be switched",
        ),
        Reject::Unchanged => ("40017", "Parameter verification failed"),
    };
    refusal(code, message)
}

impl Wire for Bitget {
    fn venue(&self) -> Venue {
        Venue::Bitget
    }

    fn rest(&self, request: &Incoming, engine: &mut Engine) -> Response {
        self.answer(request, engine)
    }

    fn costs(&self, request: &Incoming) -> Vec<Cost> {
        let path = request.path.trim_start_matches("/api/v2/mix/");
        let limit = unified::limit(&request.path)
            .or_else(|| LIMITS.into_iter().find(|limit| limit.bucket == path))
            .unwrap_or(OTHER);
        [limit, ADDRESS].map(|limit| Cost { limit, weight: 1 }).to_vec()
    }

    fn limit_headers(&self, used: &[Used]) -> Vec<(String, String)> {
        used.iter()
            .find(|used| used.limit.bucket != ADDRESS.bucket)
            .map(|used| {
                let left = used.limit.maximum.saturating_sub(used.weight);
                ("x-mbx-used-remain-limit".to_owned(), left.to_string())
            })
            .into_iter()
            .collect()
    }

    fn too_many(&self, _retry_after_seconds: u64, _banned: bool, now_ms: u64) -> Response {
        envelope(429, "429", "Too Many Requests", &Value::Null, now_ms)
    }

    fn internal_error(&self) -> Response {
        envelope(400, "40725", "service return an error", &Value::Null, system_ms())
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

    fn expire_sessions(&self, socket: &mut Socket, _engine: &mut Engine) -> Vec<Frame> {
        if socket.account.take().is_none() {
            return Vec::new();
        }
        vec![Frame::Close(1000, "session expired".to_owned())]
    }

    fn reject(&self, reject: &Reject) -> (String, String) {
        let refusal = rejected(reject);
        (refusal.code.to_owned(), refusal.message)
    }
}
