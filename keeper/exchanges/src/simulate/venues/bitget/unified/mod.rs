//! v3, the interface of unified accounts, as its documentation describes the wire.
//!
//! In hedge mode `side` is the way of the order and `posSide` the position: closing a long position is `sell`/`long`, unlike
//! in v2. Margin mode is chosen with each order. A change of an order keeps its id.
//!
//! Of the codes of v3 only some are known: a parameter is refused with 400172 and an order that is not there with 25204;
//! for the rest those of v2 are used, which the venue documents for both.

use serde_json::Value;

use super::super::shared::{query, text};
use super::rest::authenticate;
use super::{Bitget, Refusal, a_second, missing, refusal, rejected};
use crate::request::Method;
use crate::simulate::engine::{Engine, Reject};
use crate::simulate::wire::{Incoming, Limit};

mod account;
mod market;
mod orders;
mod rows;
pub(super) mod socket;
mod triggers;

/// The only product here, as requests name it.
const PRODUCT: &str = "USDT-FUTURES";

/// What a request costs where nothing else is said.
const OTHER: Limit = a_second("v3/other", 20);

/// The documented limits by path below `/api/`.
const LIMITS: [Limit; 13] = [
    a_second("v3/trade/place-order", 10),
    a_second("v3/trade/cancel-order", 10),
    a_second("v3/trade/modify-order", 10),
    a_second("v3/trade/place-batch", 5),
    a_second("v3/trade/cancel-batch", 5),
    a_second("v3/trade/cancel-symbol-order", 5),
    a_second("v3/trade/close-positions", 5),
    a_second("v3/trade/place-strategy-order", 10),
    a_second("v3/trade/cancel-strategy-order", 10),
    a_second("v3/trade/countdown-cancel-all", 1),
    a_second("v3/account/set-leverage", 10),
    a_second("v3/account/set-hold-mode", 10),
    a_second("v3/account/settings", 20),
];

/// The limit of a path of v3; none of another interface's.
pub(super) fn limit(path: &str) -> Option<Limit> {
    let path = path
        .strip_prefix("/api/")
        .filter(|path| path.starts_with("v3/"))?;
    let known = LIMITS.into_iter().find(|limit| limit.bucket == path);
    Some(known.unwrap_or(OTHER))
}

/// A parameter that makes no sense.
fn bad(parameter: &str) -> Refusal {
    refusal("400172", format!("Parameter verification failed {parameter}"))
}

/// The engine's refusals in the codes of v3.
fn told(reject: &Reject) -> Refusal {
    match reject {
        Reject::UnknownOrder => refusal("25204", "Order does not exist"),
        other => rejected(other),
    }
}

fn not_found() -> Refusal {
    refusal("40404", "Request URL NOT FOUND")
}

/// Whether the product that is named is the one that is listed; none of the others is an error of the caller.
fn category(asked: &Value) -> Result<bool, Refusal> {
    match text(asked, "category").as_deref() {
        Some(PRODUCT) => Ok(true),
        Some("COIN-FUTURES" | "USDC-FUTURES" | "SPOT" | "MARGIN") => Ok(false),
        Some(_) => Err(bad("category")),
        None => Err(missing("category")),
    }
}

/// Only USDT futures are traded.
fn only_listed(asked: &Value) -> Result<(), Refusal> {
    if category(asked)? {
        Ok(())
    } else {
        Err(rejected(&Reject::UnknownInstrument))
    }
}

impl Bitget {
    /// Answers a request below `/api/v3/`.
    pub(super) fn v3(&self, path: &str, request: &Incoming, engine: &mut Engine) -> Result<Value, Refusal> {
        let asked = query(request);
        if let (Method::Get, Some(path)) = (request.method, path.strip_prefix("market/")) {
            return market::read(path, &asked, engine);
        }
        let key = authenticate(request, engine)?;
        if request.method == Method::Get {
            return self.unified_read(path, &asked, &key, engine);
        }
        let body = request.json();
        match path {
            "trade/place-order" => self.unified_place(&body, &key, engine),
            "trade/place-batch" => self.unified_place_batch(&body, &key, engine),
            "trade/modify-order" => orders::modify(&body, &key, engine),
            "trade/cancel-order" => orders::cancel(&body, &key, engine),
            "trade/cancel-batch" => orders::cancel_batch(&body, &key, engine),
            "trade/cancel-symbol-order" => orders::cancel_all(&body, &key, engine),
            "trade/close-positions" => orders::close(&body, &key, engine),
            "trade/countdown-cancel-all" => orders::countdown(&body, &key, engine),
            "trade/place-strategy-order" => self.place_strategy(&body, &key, engine),
            "trade/cancel-strategy-order" => triggers::cancel(&body, &key, engine),
            "account/set-leverage" => account::set_leverage(&body, &key, engine),
            "account/set-hold-mode" => account::set_hold_mode(&body, &key, engine),
            _ => Err(not_found()),
        }
    }
}
