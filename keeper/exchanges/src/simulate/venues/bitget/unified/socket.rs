//! Subscriptions and pushes of v3. The account's topics are of the product `UTA`, in capitals, and of all instruments at
//! once: a push never names one beside its rows. Orders and fills are always called snapshots; of positions and the account
//! only the first message is, which comes though nothing is open.

use serde_json::{Value, json};

use super::super::super::shared::{plain, text};
use super::super::rows::trade_side_word;
use super::super::socket::pushed;
use super::super::{Bitget, Refusal, refusal};
use super::market::{interval, starts};
use super::rows;
use crate::model::{Book, BookCheck, Event};
use crate::simulate::engine::{Account, Engine, Quote, Update};
use crate::simulate::wire::{Frame, Socket};

const PRIVATE: [&str; 4] = ["order", "position", "fill", "account"];

/// The paths of the sockets.
pub(in super::super) const PUBLIC_PATH: &str = "/v3/ws/public";
pub(in super::super) const PRIVATE_PATH: &str = "/v3/ws/private";

fn no_topic(argument: &Value) -> Refusal {
    refusal("30001", format!("{argument} doesn't exist"))
}

/// How deep a topic with a book goes; the one without a number is sent once and then changes.
fn depth_of(topic: &str) -> Option<usize> {
    match topic {
        "books" => Some(500),
        "books1" => Some(1),
        "books5" => Some(5),
        "books50" => Some(50),
        _ => None,
    }
}

/// A book or its change. `before` is the number of the one it follows; zero where it follows none.
fn book_row(book: &Book, depth: usize, sequence: i64, before: i64) -> Value {
    json!({ "a": rows::levels(&book.asks, depth), "b": rows::levels(&book.bids, depth), "pseq": before.to_string(),
            "seq": sequence.to_string(), "maxdepth": depth.to_string(), "ts": book.time_ms.to_string() })
}

fn candle(argument: &Value, quote: &Quote, engine: &Engine) -> Option<Value> {
    let start = starts(engine.now_ms(), interval(argument["interval"].as_str()?)?, 1).next()?;
    let price = plain(quote.price);
    Some(
        json!({ "start": start.to_string(), "open": price, "close": price, "high": price, "low": price, "volume": "1",
                 "turnover": price }),
    )
}

/// What an account's pushes are headed with.
fn of_account(topic: &str) -> Value {
    json!({ "instType": "UTA", "topic": topic })
}

impl Bitget {
    /// What a subscription of v3 starts with, if it may be made here.
    pub(in super::super) fn unified_first(
        &self,
        socket: &mut Socket,
        argument: &Value,
        engine: &Engine,
    ) -> Result<Option<Frame>, Refusal> {
        let topic = text(argument, "topic").ok_or_else(|| refusal("30016", "Param error"))?;
        let kind = text(argument, "instType").ok_or_else(|| refusal("30016", "Param error"))?;
        let private = PRIVATE.contains(&topic.as_str());
        if private != (socket.path == PRIVATE_PATH) {
            return Err(no_topic(argument));
        }
        if private {
            if kind != "UTA" {
                return Err(no_topic(argument));
            }
            let key = socket
                .account
                .as_ref()
                .ok_or_else(|| refusal("30004", "User not logged in/User must be logged in"))?;
            let rows = match topic.as_str() {
                "position" => engine.positions(key).iter().map(rows::pushed_position).collect(),
                "account" => engine.balance(key).iter().map(rows::pushed_account).collect(),
                _ => return Ok(None),
            };
            return Ok(Some(pushed(&of_account(&topic), "snapshot", rows, engine)));
        }
        if !kind.eq_ignore_ascii_case(rows::PUSHED_PRODUCT) {
            return Err(no_topic(argument));
        }
        let quote = text(argument, "symbol")
            .and_then(|name| engine.quote(&name))
            .ok_or_else(|| no_topic(argument))?;
        let row = if let Some(depth) = depth_of(&topic) {
            // Changes that were on their way before this snapshot must not come after it.
            socket.memory["books"][quote.instrument.instrument.as_str()] = quote.sequence.into();
            book_row(&engine.book(quote), depth, quote.sequence, 0)
        } else {
            match topic.as_str() {
                "ticker" => rows::ticker(quote, engine, true),
                "publicTrade" => {
                    let id = quote.sequence.to_string();
                    json!({ "i": id, "L": id, "p": plain(quote.price), "v": plain(quote.instrument.lot), "S": "buy",
                            "T": engine.now_ms().to_string() })
                }
                "kline" => candle(argument, quote, engine).ok_or_else(|| no_topic(argument))?,
                _ => return Err(no_topic(argument)),
            }
        };
        Ok(Some(pushed(argument, "snapshot", vec![row], engine)))
    }

    /// What an update looks like on one subscription of v3.
    pub(in super::super) fn unified_event(
        &self,
        socket: &Socket,
        argument: &Value,
        update: &Update,
        engine: &Engine,
    ) -> Option<Frame> {
        let topic = argument["topic"].as_str()?;
        if let Some(key) = &update.account {
            let (action, rows) = match (topic, &update.event) {
                ("order", Event::Order(order)) if order.trigger_price.is_none() => {
                    ("snapshot", vec![self.unified_pushed_order(key, order, engine)])
                }
                ("fill", Event::Fill(fill)) => {
                    let order = engine
                        .account(key)
                        .into_iter()
                        .flat_map(Account::orders)
                        .find(|order| order.order_id == fill.order_id);
                    ("snapshot", vec![rows::fill(fill, order, true)])
                }
                ("position", Event::Position(position)) => {
                    ("update", rows::position_change(position, key, engine))
                }
                ("account", Event::Balance(balance)) => ("update", vec![rows::pushed_account(balance)]),
                _ => return None,
            };
            return Some(pushed(&of_account(topic), action, rows, engine));
        }
        let named = argument["symbol"].as_str()?;
        let (action, row) = match (topic, &update.event) {
            ("ticker", Event::Ticker(ticker)) if ticker.instrument == named => {
                ("snapshot", rows::ticker(engine.quote(named)?, engine, true))
            }
            ("publicTrade", Event::Trade(trade)) if trade.instrument == named => (
                "update",
                json!({ "i": trade.trade_id, "L": trade.trade_id, "p": plain(trade.price), "v": plain(trade.size),
                        "S": trade_side_word(trade.side), "T": trade.time_ms.to_string() }),
            ),
            ("kline", Event::Mark(mark)) if mark.instrument == named => {
                ("update", candle(argument, engine.quote(named)?, engine)?)
            }
            (topic, Event::Book(whole)) if whole.instrument == named => {
                let depth = depth_of(topic)?;
                let BookCheck::Sequence { last, previous, .. } = whole.check else {
                    return None;
                };
                if topic == "books" {
                    let told = socket.memory["books"][named].as_i64();
                    if told.is_some_and(|told| last <= told) {
                        return None;
                    }
                    let before = previous.unwrap_or(last - 1);
                    ("update", book_row(update.change.as_ref()?, depth, last, before))
                } else {
                    ("snapshot", book_row(whole, depth, last, 0))
                }
            }
            _ => return None,
        };
        Some(pushed(argument, action, vec![row], engine))
    }
}
