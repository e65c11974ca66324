//! Market data of v3.

use serde_json::{Value, json};

use super::super::super::shared::{interval_starts, next_funding, plain, text, whole};
use super::super::orders::quote_of;
use super::super::{Refusal, refusal};
use super::{category, not_found, only_listed, rows};
use crate::simulate::engine::{Engine, Quote};

/// Candles of an answer where no number is asked for, and the most there may be.
const CANDLES: u64 = 100;
const MOST_CANDLES: u64 = 1_000;
/// Six hours and longer begin by the clock of Shanghai, eight hours ahead, unless the word ends with `utc`.
const AHEAD_MS: u64 = 8 * 60 * 60 * 1_000;

/// How long a candle is, and how far ahead the clock is by which it begins, milliseconds.
pub(super) fn interval(word: &str) -> Option<(u64, u64)> {
    let hour = 3_600_000;
    Some(match word {
        "1m" => (60_000, 0),
        "3m" => (180_000, 0),
        "5m" => (300_000, 0),
        "15m" => (900_000, 0),
        "30m" => (1_800_000, 0),
        "1H" => (hour, 0),
        "4H" => (4 * hour, 0),
        "6H" => (6 * hour, AHEAD_MS),
        "12H" => (12 * hour, AHEAD_MS),
        "1D" => (24 * hour, AHEAD_MS),
        _ => return None,
    })
}

/// Words answers take beside those of [`interval`]; the sockets do not.
fn hidden_interval(word: &str) -> Option<(u64, u64)> {
    match word {
        "2H" => Some((7_200_000, 0)),
        _ => Some((
            interval(word.strip_suffix("utc")?)
                .filter(|(_, ahead)| *ahead > 0)?
                .0,
            0,
        )),
    }
}

/// Starts of the newest candles, newest first.
pub(super) fn starts(now_ms: u64, (length, ahead): (u64, u64), count: u64) -> impl Iterator<Item = u64> {
    interval_starts(now_ms + ahead, length, count).map(move |start| start.saturating_sub(ahead))
}

fn candles(asked: &Value, quote: &Quote, now_ms: u64) -> Result<Value, Refusal> {
    let wrong = |value: &str| refusal("40020", format!("Parameter {value} error"));
    let word = text(asked, "interval").unwrap_or_default();
    let interval = interval(&word)
        .or_else(|| hidden_interval(&word))
        .ok_or_else(|| wrong(&word))?;
    let limit = whole(asked, "limit").unwrap_or(CANDLES);
    if limit > MOST_CANDLES {
        return Err(wrong(&limit.to_string()));
    }
    // The start is left out, the end is not.
    let after = whole(asked, "startTime");
    let last = whole(asked, "endTime").unwrap_or(u64::MAX);
    let price = plain(quote.price);
    let mut rows: Vec<Value> = starts(now_ms, interval, 10_000)
        .filter(|start| *start <= last)
        .take_while(|start| after.is_none_or(|after| *start > after))
        .take(usize::try_from(limit).unwrap_or(usize::MAX))
        .map(|start| json!([start.to_string(), price, price, price, price, "1", price]))
        .collect();
    // Oldest first.
    rows.reverse();
    Ok(rows.into())
}

/// Answers a request below `/api/v3/market/`.
pub(super) fn read(path: &str, asked: &Value, engine: &Engine) -> Result<Value, Refusal> {
    let now_ms = engine.now_ms();
    let quote = || only_listed(asked).and_then(|()| quote_of(asked, engine));
    let all = |row: &dyn Fn(&Quote) -> Value| -> Result<Value, Refusal> {
        if !category(asked)? {
            return Ok(json!([]));
        }
        if text(asked, "symbol").is_some() {
            return Ok(json!([row(quote_of(asked, engine)?)]));
        }
        Ok(engine.quotes().map(row).collect())
    };
    match path {
        "instruments" => all(&rows::instrument),
        "tickers" => all(&|quote| rows::ticker(quote, engine, false)),
        "orderbook" => {
            let book = engine.book(quote()?);
            let depth = usize::try_from(whole(asked, "limit").unwrap_or(5).clamp(1, 200)).unwrap_or(5);
            Ok(
                json!({ "a": rows::levels(&book.asks, depth), "b": rows::levels(&book.bids, depth), "ts": now_ms.to_string() }),
            )
        }
        "fills" => {
            let quote = quote()?;
            let id = quote.sequence.to_string();
            Ok(
                json!([{ "execId": id, "execLinkId": id, "price": plain(quote.price), "size": plain(quote.instrument.lot),
                        "side": "buy", "ts": now_ms.to_string(), "isRPI": "no" }]),
            )
        }
        "candles" | "history-candles" => candles(asked, quote()?, now_ms),
        // This one asks for no product.
        "current-fund-rate" => {
            let quote = quote_of(asked, engine)?;
            Ok(
                json!([{ "symbol": quote.instrument.instrument, "fundingRate": "0.0001", "fundingRateInterval": "8",
                        "nextUpdate": next_funding(now_ms).to_string(), "minFundingRate": "-0.003", "maxFundingRate": "0.003" }]),
            )
        }
        _ => Err(not_found()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_sixteen_utc_unless_utc_is_asked_for() {
        // 2023-11-14T22:13:20Z.
        let now_ms = 1_700_000_000_000;
        let first = |word: &str| {
            let interval = interval(word).or_else(|| hidden_interval(word)).unwrap();
            starts(now_ms, interval, 1).next().unwrap() % 86_400_000 / 3_600_000
        };
        assert_eq!(first("1D"), 16);
        assert_eq!(first("1Dutc"), 0);
        assert_eq!(first("1H"), 22);
        for word in ["1Hutc", "3H", "8H", "1d", "utc", ""] {
            assert_eq!(interval(word).or_else(|| hidden_interval(word)), None, "{word}");
        }
    }
}
