//! What everybody may see: HTTP and the market socket.

use serde_json::{Value, json};

use super::{Htx, contracts, decimal, printed};
use crate::model::{Book, BookCheck, Decimal, Event, Level, Side};
use crate::request::Response;
use crate::simulate::engine::{Engine, Quote};
use crate::simulate::venues::books::changes;
use crate::simulate::wire::{Frame, Incoming, Socket, number};

/// Most candles of an answer.
const MAXIMUM_CANDLES: u64 = 2_000;

pub(super) const fn period_ms(period: &str) -> u64 {
    match period.as_bytes() {
        b"5min" => 300_000,
        b"15min" => 900_000,
        b"30min" => 1_800_000,
        b"60min" => 3_600_000,
        b"4hour" => 14_400_000,
        b"1day" => 86_400_000,
        _ => 60_000,
    }
}

const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

fn levels(engine: &Engine, instrument: &str, levels: &[Level]) -> Value {
    levels
        .iter()
        .map(|level| {
            json!([
                decimal(level.price),
                decimal(contracts(engine, instrument, level.size))
            ])
        })
        .collect()
}

fn depth(engine: &Engine, book: &Book, channel: &str, sequence: i64) -> Value {
    json!({ "asks": levels(engine, &book.instrument, &book.asks), "bids": levels(engine, &book.instrument, &book.bids),
            "ch": channel, "id": sequence, "mrid": sequence, "ts": engine.now_ms(), "version": sequence })
}

fn candle(quote: &Quote, start_ms: u64) -> Value {
    let price = decimal(quote.price);
    json!({ "id": start_ms / 1_000, "open": price, "close": price, "low": price, "high": price, "amount": number("0.1"),
            "vol": 100, "trade_turnover": price, "count": 10 })
}

fn detail(engine: &Engine, quote: &Quote) -> Value {
    let ticker = engine.ticker(quote);
    let name = &quote.instrument.instrument;
    let price = quote.price.normalize().to_string();
    let best = |price: Option<Decimal>, size: Option<Decimal>| {
        json!([
            price.map(decimal),
            size.map(|size| decimal(contracts(engine, name, size)))
        ])
    };
    json!({ "id": engine.now_ms() / 1_000, "ts": engine.now_ms(), "open": price, "close": price, "low": price, "high": price,
            "amount": "669.338", "vol": "394598", "trade_turnover": "1000000", "count": 5_947, "number_of": 1,
            "bid": best(ticker.bid, ticker.bid_size), "ask": best(ticker.ask, ticker.ask_size) })
}

/// The price's own sequence is the number of a made-up trade.
fn trade(engine: &Engine, quote: &Quote) -> Value {
    json!({ "id": quote.sequence, "ts": engine.now_ms(), "amount": 10, "quantity": number("0.01"),
            "trade_turnover": decimal(quote.price), "price": decimal(quote.price), "direction": "buy",
            "contract_code": quote.instrument.instrument })
}

fn contract_info(quote: &Quote) -> Value {
    let instrument = &quote.instrument;
    json!({ "symbol": instrument.base, "contract_code": instrument.instrument, "contract_size": decimal(instrument.contract_size),
            "price_tick": decimal(instrument.tick), "delivery_date": "", "delivery_time": "", "create_date": "20201021",
            "contract_status": 1, "settlement_date": "1640764800000", "support_margin_mode": "all", "business_type": "swap",
            "pair": instrument.instrument, "contract_type": "swap", "trade_partition": "USDT" })
}

fn next_funding(now_ms: u64) -> u64 {
    const EIGHT_HOURS_MS: u64 = 8 * 60 * 60 * 1_000;
    (now_ms / EIGHT_HOURS_MS + 1) * EIGHT_HOURS_MS
}

fn funding(engine: &Engine, quote: &Quote) -> Value {
    let next = next_funding(engine.now_ms());
    json!({ "symbol": quote.instrument.base, "contract_code": quote.instrument.instrument, "fee_asset": "USDT",
            "funding_rate": "0.000100000000000000", "estimated_rate": "0.0001", "funding_time": next.to_string(),
            "next_funding_time": (next + 28_800_000).to_string(), "min_funding_rate": "-0.003750000000000000",
            "max_funding_rate": "0.003750000000000000", "trade_partition": "USDT" })
}

impl Htx {
    /// The answer to a public request; none where it is not one.
    pub(super) fn public(request: &Incoming, engine: &Engine) -> Option<Response> {
        let pairs = Incoming::pairs(&request.raw_query);
        let text = |name: &str| {
            pairs
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        let now_ms = engine.now_ms();
        let code = text("contract_code").map(str::to_uppercase);
        let quote = code.as_ref().and_then(|code| engine.quote(code));
        let of_code = |quote: &&Quote| {
            code.as_ref()
                .is_none_or(|code| quote.instrument.instrument == code)
        };
        let ok = |data: Value| json!({ "status": "ok", "data": data, "ts": now_ms });
        let tick = |kind: &str, tick: Value| {
            let name = code.clone().unwrap_or_default();
            json!({ "ch": format!("market.{name}.{kind}"), "status": "ok", "tick": tick, "ts": now_ms })
        };
        let missing = || json!({ "status": "error", "err_code": 1013, "err_msg": "This contract symbol doesnt exist.", "ts": now_ms });
        let of_quote = |answer: &dyn Fn(&Quote) -> Value| -> Value { quote.map_or_else(missing, answer) };
        let value = match request.path.as_str() {
            "/api/v1/timestamp" => json!({ "status": "ok", "ts": now_ms }),
            "/heartbeat" | "/heartbeat/" => {
                json!({ "status": "ok", "data": { "heartbeat": 1, "linear_swap_heartbeat": 1 }, "ts": now_ms })
            }
            "/linear-swap-api/v1/swap_contract_info" => {
                ok(engine.quotes().filter(of_code).map(contract_info).collect())
            }
            "/linear-swap-api/v1/swap_price_limit" => of_quote(&|quote| {
                ok(json!([{ "symbol": quote.instrument.base, "contract_code": quote.instrument.instrument,
                            "high_limit": decimal((quote.price * Decimal::new(12, 1)).round_dp(1)),
                            "low_limit": decimal((quote.price * Decimal::new(8, 1)).round_dp(1)),
                            "business_type": "swap", "pair": quote.instrument.instrument, "contract_type": "swap" }]))
            }),
            "/linear-swap-api/v1/swap_index" => ok(engine
                .quotes()
                .filter(of_code)
                .map(|quote| json!({ "contract_code": quote.instrument.instrument, "index_price": decimal(quote.price), "index_ts": now_ms }))
                .collect()),
            "/linear-swap-api/v1/swap_funding_rate" => of_quote(&|quote| ok(funding(engine, quote))),
            "/linear-swap-api/v1/swap_batch_funding_rate" => ok(engine
                .quotes()
                .filter(of_code)
                .map(|quote| funding(engine, quote))
                .collect()),
            "/v5/market/funding_rate" => {
                let list: Vec<Value> = engine
                    .quotes()
                    .filter(of_code)
                    .map(|quote| funding(engine, quote))
                    .collect();
                super::v5::success(&Value::from(list), now_ms)
            }
            "/linear-swap-ex/market/depth" => of_quote(&|quote| {
                let kind = format!("depth.{}", text("type").unwrap_or("step0"));
                let name = &quote.instrument.instrument;
                let channel = format!("market.{name}.{kind}");
                tick(&kind, depth(engine, &engine.book(quote), &channel, quote.sequence))
            }),
            "/linear-swap-ex/market/detail/merged" => {
                of_quote(&|quote| tick("detail.merged", detail(engine, quote)))
            }
            "/linear-swap-ex/market/bbo" => json!({ "status": "ok", "ts": now_ms, "ticks": engine.quotes().filter(of_code).map(|quote| {
                let mut value = detail(engine, quote);
                value["contract_code"] = json!(quote.instrument.instrument);
                value
            }).collect::<Vec<Value>>() }),
            "/linear-swap-ex/market/trade" => {
                of_quote(&|quote| tick("trade.detail", json!({ "data": [trade(engine, quote)], "id": quote.sequence, "ts": now_ms })))
            }
            "/linear-swap-ex/market/history/trade" => of_quote(&|quote| {
                ok(json!([{ "data": [trade(engine, quote)], "id": quote.sequence, "ts": now_ms }]))
            }),
            "/linear-swap-ex/market/history/kline" | "/index/market/history/linear_swap_mark_price_kline" => {
                of_quote(&|quote| {
                    let length = period_ms(text("period").unwrap_or("1min"));
                    let seconds = |name: &str| text(name).and_then(|text| text.parse::<u64>().ok());
                    let last = seconds("to").map_or(now_ms, |to| to * 1_000).min(now_ms) / length;
                    let count = match seconds("from") {
                        Some(from) => (last + 1).saturating_sub((from * 1_000).div_ceil(length)),
                        None => seconds("size").unwrap_or(150),
                    }
                    .min(MAXIMUM_CANDLES);
                    ok(((last + 1 - count)..=last)
                        .map(|index| candle(quote, index * length))
                        .collect())
                })
            }
            _ => return None,
        };
        Some(Response::ok(printed(&value)))
    }

    /// A message on the market socket.
    pub(super) fn market_message(&self, socket: &mut Socket, message: &Value, engine: &Engine) -> Vec<Frame> {
        let now_ms = engine.now_ms();
        let id = &message["id"];
        if let Some(ping) = message["ping"].as_u64() {
            return vec![super::zipped(&json!({ "pong": ping }))];
        }
        if message.get("pong").is_some() {
            return Vec::new();
        }
        if let Some(channel) = message["unsub"].as_str() {
            socket.topics.retain(|topic| topic != channel);
            return vec![super::zipped(
                &json!({ "id": id, "status": "ok", "unsubbed": channel, "ts": now_ms }),
            )];
        }
        let Some(channel) = message["sub"].as_str() else {
            return vec![super::zipped(
                &json!({ "ts": now_ms, "status": "error", "id": id, "err-code": "bad-request", "err-msg": "invalid command" }),
            )];
        };
        let parts: Vec<&str> = channel.split('.').collect();
        let quote = parts.get(1).and_then(|name| engine.quote(&name.to_uppercase()));
        let known = matches!(
            parts.get(2),
            Some(&("depth" | "bbo" | "detail" | "trade" | "kline" | "mark_price"))
        );
        let Some(quote) = quote.filter(|_| known) else {
            return vec![super::zipped(
                &json!({ "ts": now_ms, "status": "error", "id": id, "err-code": "bad-request",
                         "err-msg": format!("invalid topic {channel}") }),
            )];
        };
        let mut out = vec![super::zipped(
            &json!({ "id": id, "status": "ok", "subbed": channel, "ts": now_ms }),
        )];
        if socket.topics.iter().any(|topic| topic == channel) {
            return out;
        }
        socket.topics.push(channel.to_owned());
        if channel.ends_with("high_freq") {
            socket.memory[channel] = json!({ "from": quote.sequence, "incremental": message["data_type"] == json!("incremental") });
            let book = engine.book(quote);
            self.books.keep(quote.sequence, &book);
            let mut tick = depth(engine, &book, channel, quote.sequence);
            tick["event"] = json!("snapshot");
            out.push(super::zipped(
                &json!({ "ch": channel, "tick": tick, "ts": now_ms }),
            ));
        }
        out
    }

    /// What one channel of the market socket makes of an event.
    pub(super) fn market_push(
        &self,
        socket: &Socket,
        channel: &str,
        event: &Event,
        engine: &Engine,
    ) -> Option<Frame> {
        let parts: Vec<&str> = channel.split('.').collect();
        let name = parts.get(1)?.to_uppercase();
        let quote = engine.quote(&name)?;
        let now_ms = engine.now_ms();
        let tick = match (*parts.get(2)?, event) {
            ("depth", Event::Book(book)) if book.instrument == name => {
                self.depth_push(socket, channel, book, engine)?
            }
            ("bbo", Event::Ticker(ticker)) if ticker.instrument == name => {
                let mut tick = detail(engine, quote);
                tick["mrid"] = json!(quote.sequence);
                tick["version"] = json!(quote.sequence);
                tick["ch"] = json!(channel);
                tick
            }
            ("detail", Event::Ticker(ticker)) if ticker.instrument == name => detail(engine, quote),
            ("trade", Event::Trade(trade)) if trade.instrument == name => {
                let sequence: u64 = trade.trade_id.parse().unwrap_or_default();
                json!({ "id": sequence, "ts": trade.time_ms, "data": [{
                    "amount": decimal(contracts(engine, &name, trade.size)), "quantity": decimal(trade.size),
                    "trade_turnover": decimal(trade.size * trade.price), "ts": trade.time_ms,
                    "id": sequence * 10_000_000_000, "price": decimal(trade.price), "direction": side_word(trade.side) }] })
            }
            ("kline" | "mark_price", Event::Mark(mark)) if mark.instrument == name => {
                let length = period_ms(parts.get(3)?);
                candle(quote, now_ms - now_ms % length)
            }
            _ => return None,
        };
        Some(super::zipped(
            &json!({ "ch": channel, "ts": now_ms, "tick": tick }),
        ))
    }

    fn depth_push(&self, socket: &Socket, channel: &str, book: &Book, engine: &Engine) -> Option<Value> {
        let BookCheck::Sequence { last, .. } = book.check else {
            return None;
        };
        let mut whole = depth(engine, book, channel, last);
        if !channel.ends_with("high_freq") {
            return Some(whole);
        }
        self.books.keep(last, book);
        // The snapshot holds what was queued before it.
        if socket.memory[channel]["from"].as_i64()? >= last {
            return None;
        }
        if socket.memory[channel]["incremental"] != json!(true) {
            whole["event"] = json!("snapshot");
            return Some(whole);
        }
        let before = self.books.get(&book.instrument, last - 1)?;
        let side = |old: &[Level], new: &[Level]| {
            let changed: Vec<Level> = changes(old, new).iter().map(|change| change.level).collect();
            levels(engine, &book.instrument, &changed)
        };
        whole["bids"] = side(&before.bids, &book.bids);
        whole["asks"] = side(&before.asks, &book.asks);
        whole["event"] = json!("update");
        Some(whole)
    }
}
