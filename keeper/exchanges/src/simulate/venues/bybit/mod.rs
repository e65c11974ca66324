//! Bybit v5 linear perpetuals of a unified account as its documentation describes the wire.
//!
//! Margin is cross or isolated for the whole account here, and position mode too: the engine has one of each.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::model::{Decimal, Instrument, Text, Venue};
use crate::request::Response;
use crate::simulate::engine::{Engine, Reject, Update};
use crate::simulate::wire::{Cost, Frame, Incoming, Limit, Socket, Used, Wire};

mod orders;
mod rest;
mod rows;
mod socket;

/// Requests of an address in five seconds.
const ADDRESS: Limit = Limit {
    bucket: "address",
    maximum: 600,
    window_ms: 5_000,
};
/// What a private request costs where nothing else is said.
const OTHER: Limit = a_second("other", 10);

const fn a_second(bucket: &'static str, maximum: u32) -> Limit {
    Limit {
        bucket,
        maximum,
        window_ms: 1_000,
    }
}

/// The limits of the sheet by path below `/v5/`.
const LIMITS: [Limit; 15] = [
    a_second("order/create", 10),
    a_second("order/amend", 10),
    a_second("order/cancel", 10),
    a_second("order/create-batch", 10),
    a_second("order/amend-batch", 10),
    a_second("order/cancel-batch", 10),
    a_second("order/cancel-all", 1),
    a_second("order/realtime", 50),
    a_second("order/history", 50),
    a_second("execution/list", 50),
    a_second("position/list", 50),
    a_second("account/wallet-balance", 50),
    a_second("account/info", 50),
    a_second("user/query-api", 10),
    a_second("position/set-leverage", 10),
];

/// What the wire must remember of an order and the engine does not know.
#[derive(Debug, Clone, Default)]
struct Extra {
    created_ms: u64,
    /// The price an order waits or waited for.
    trigger: Option<Decimal>,
    /// 1: it waits for a rise, 2: for a fall.
    direction: u8,
    trigger_by: Text,
    close_on_trigger: bool,
    stop_kind: &'static str,
    create_kind: &'static str,
    order_kind: Text,
}

/// The wire.
#[derive(Debug, Default)]
pub(super) struct Bybit {
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
            Decimal::new(1, 3),
            1_190,
            Decimal::from(50_000),
        ),
        (
            "ETHUSDT",
            "ETH",
            Decimal::new(1, 2),
            Decimal::new(1, 2),
            7_240,
            Decimal::from(2_500),
        ),
        (
            "SOLUSDT",
            "SOL",
            Decimal::new(1, 2),
            Decimal::new(1, 1),
            79_770,
            Decimal::from(150),
        ),
        (
            "DOGEUSDT",
            "DOGE",
            Decimal::new(1, 5),
            Decimal::ONE,
            5_000_000,
            Decimal::new(2, 1),
        ),
    ]
    .into_iter()
    .map(|(name, base, tick, lot, most, price)| {
        let mut instrument = Instrument::linear(name, base, "USDT", tick, lot);
        instrument.minimum_notional = Some(Decimal::from(5));
        instrument.maximum_leverage = Some(Decimal::ONE_HUNDRED);
        instrument.maximum_market_size = Some(Decimal::from(most));
        (instrument, price)
    })
    .collect()
}

/// A code of the venue with its words.
#[derive(Debug, Clone)]
struct Refusal {
    code: i64,
    message: String,
}

fn refusal(code: i64, message: impl Into<String>) -> Refusal {
    Refusal {
        code,
        message: message.into(),
    }
}

/// A parameter that is missing or makes no sense.
fn bad(what: &str) -> Refusal {
    refusal(10001, format!("params error: {what}"))
}

/// An answer in the venue's form.
fn envelope(status: u16, code: i64, message: &str, result: &Value, extra: &Value, now_ms: u64) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: json!({ "retCode": code, "retMsg": message, "result": result, "retExtInfo": extra, "time": now_ms })
            .to_string()
            .into_bytes(),
    }
}

fn system_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Bybit {
    fn extras(&self) -> MutexGuard<'_, HashMap<Text, Extra>> {
        self.extras.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine's refusals in the venue's codes.
fn rejected(reject: &Reject) -> Refusal {
    let (code, message) = match reject {
        Reject::UnknownInstrument => (10001, "params error: symbol invalid"),
        Reject::DuplicateClientId(_) => (110_072, "OrderLinkedID is duplicate"),
        Reject::Size => (10001, "Qty invalid"),
        Reject::Price => (10001, "Price invalid"),
        Reject::MinimumNotional => (110_094, "Order does not meet minimum order value 5USDT"),
        Reject::Margin => (110_007, "ab not enough for new order"),
        Reject::ReduceOnly | Reject::NoPosition => (
            110_017,
            "current position is zero, cannot fix reduce-only order qty",
        ),
        // These are taken and end by themselves; nobody is told so in an answer.
        Reject::PostOnly | Reject::FillOrKill => (10001, "params error: timeInForce invalid"),
        Reject::WouldTrigger => (110_093, "expect Falling, but trigger_price >= current_price"),
        Reject::PositionMode => (10001, "position idx not match position mode"),
        Reject::UnknownOrder => (110_001, "order not exists or too late to cancel"),
        Reject::NotFlat => (
            110_024,
            "You have an existing position, so the position mode cannot be switched",
        ),
        Reject::Unchanged => (110_025, "Position mode is not modified"),
    };
    refusal(code, message)
}

impl Wire for Bybit {
    fn venue(&self) -> Venue {
        Venue::Bybit
    }

    fn rest(&self, request: &Incoming, engine: &mut Engine) -> Response {
        self.answer(request, engine)
    }

    fn costs(&self, request: &Incoming) -> Vec<Cost> {
        let path = request.path.trim_start_matches("/v5/");
        let mut costs = vec![Cost {
            limit: ADDRESS,
            weight: 1,
        }];
        if !path.starts_with("market/") {
            let limit = LIMITS
                .into_iter()
                .find(|limit| limit.bucket == path)
                .unwrap_or(OTHER);
            // A batch costs as much as the orders in it.
            let weight = request.json()["request"]
                .as_array()
                .map_or(1, |orders| u32::try_from(orders.len()).unwrap_or(u32::MAX).max(1));
            costs.push(Cost { limit, weight });
        }
        costs
    }

    fn limit_headers(&self, used: &[Used]) -> Vec<(String, String)> {
        // The limit of the address is not told.
        let Some(used) = used.iter().find(|used| used.limit.bucket != ADDRESS.bucket) else {
            return Vec::new();
        };
        let left = used.limit.maximum.saturating_sub(used.weight);
        vec![
            ("x-bapi-limit".to_owned(), used.limit.maximum.to_string()),
            ("x-bapi-limit-status".to_owned(), left.to_string()),
            (
                "x-bapi-limit-reset-timestamp".to_owned(),
                used.reset_ms.to_string(),
            ),
        ]
    }

    fn too_many(&self, retry_after_seconds: u64, banned: bool, now_ms: u64) -> Response {
        if banned {
            // An address that asked too much.
            return Response {
                status: 403,
                headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
                body: b"403, access too frequent".to_vec(),
            };
        }
        // The venue says it in the body; the request itself is answered in order.
        let mut response = envelope(
            200,
            10006,
            "Too many visits. Exceeded the API Rate Limit.",
            &json!({}),
            &json!({}),
            now_ms,
        );
        response.headers = vec![(
            "x-bapi-limit-reset-timestamp".to_owned(),
            (now_ms + retry_after_seconds * 1_000).to_string(),
        )];
        response
    }

    fn internal_error(&self) -> Response {
        envelope(
            200,
            10016,
            "Internal Server Error",
            &json!({}),
            &json!({}),
            system_ms(),
        )
    }

    fn opened(&self, socket: &mut Socket, _engine: &mut Engine) -> Vec<Frame> {
        self.greet(socket)
    }

    fn message(&self, socket: &mut Socket, text: &str, engine: &mut Engine) -> Vec<Frame> {
        self.hear(socket, text, engine)
    }

    fn push(&self, socket: &Socket, update: &Update, engine: &Engine) -> Vec<Frame> {
        self.tell(socket, update, engine)
    }

    fn expire_sessions(&self, socket: &mut Socket, _engine: &mut Engine) -> Vec<Frame> {
        if socket.account.take().is_none() {
            return Vec::new();
        }
        vec![Frame::Close(1000, "session expired".to_owned())]
    }

    fn reject(&self, reject: &Reject) -> (String, String) {
        let refusal = rejected(reject);
        (refusal.code.to_string(), refusal.message)
    }
}
