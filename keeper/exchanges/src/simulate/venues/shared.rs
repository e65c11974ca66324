//! What several wires print and read alike.

use serde_json::{Map, Value};

use crate::model::{Decimal, Text};
use crate::simulate::wire::Incoming;

/// Eight hours in milliseconds: how often funding is paid.
const FUNDING_MS: u64 = 8 * 60 * 60 * 1_000;

/// A number without zeros at its end.
pub(super) fn plain(value: Decimal) -> String {
    value.normalize().to_string()
}

/// A number, or "0".
pub(super) fn zero_or(value: Option<Decimal>) -> String {
    plain(value.unwrap_or_default())
}

/// A number, or nothing.
pub(super) fn empty_or(value: Option<Decimal>) -> String {
    value.map(plain).unwrap_or_default()
}

/// The query as an object of texts, so that it is read like a body.
pub(super) fn query(request: &Incoming) -> Value {
    Incoming::pairs(&request.raw_query)
        .into_iter()
        .map(|(name, value)| (name, Value::from(value)))
        .collect::<Map<_, _>>()
        .into()
}

/// A member as text: venues take numbers and booleans in quotes and without. None where it is missing or empty.
pub(super) fn text(value: &Value, name: &str) -> Option<Text> {
    match &value[name] {
        Value::String(text) if !text.is_empty() => Some(Text::new(text)),
        Value::Number(number) => Some(Text::from(number.to_string())),
        Value::Bool(yes) => Some(Text::from(yes.to_string())),
        _ => None,
    }
}

/// A member as a decimal number.
pub(super) fn number(value: &Value, name: &str) -> Option<Decimal> {
    text(value, name)?.parse().ok()
}

/// A member as a whole number.
pub(super) fn whole(value: &Value, name: &str) -> Option<u64> {
    text(value, name)?.parse().ok()
}

/// When funding is paid next.
pub(super) const fn next_funding(now_ms: u64) -> u64 {
    (now_ms / FUNDING_MS + 1) * FUNDING_MS
}

/// Starts of the newest `count` intervals, newest first.
pub(super) fn interval_starts(now_ms: u64, interval_ms: u64, count: u64) -> impl Iterator<Item = u64> {
    let last = now_ms / interval_ms;
    (0..count.min(last)).map(move |back| (last - back) * interval_ms)
}

/// The check OKX and Bitget send over the best 25 prices of each side, a bid and an ask in turn: CRC32 as a signed number.
pub(super) fn checksum<const N: usize>(bids: &[[String; N]], asks: &[[String; N]]) -> i32 {
    let mut parts: Vec<&str> = Vec::new();
    for at in 0..25 {
        for level in [bids.get(at), asks.get(at)].into_iter().flatten() {
            parts.extend(level.iter().take(2).map(String::as_str));
        }
    }
    let mut crc = flate2::Crc::new();
    crc.update(parts.join(":").as_bytes());
    crc.sum().cast_signed()
}
