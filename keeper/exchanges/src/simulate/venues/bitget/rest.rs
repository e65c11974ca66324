//! Requests and answers.

use serde_json::{Value, json};

use super::super::shared::{interval_starts, next_funding, plain, query, text, whole};
use super::orders::{cancel, cancel_all, cancel_batch, is_plan, leverage, margin_mode, product, quote_of};
use super::rows::{
    account_row, fill_row, instrument_row, level_rows, margin_word, mode_word, position_row, ticker_row,
    trade_id,
};
use super::{Bitget, Refusal, bad, envelope, missing, refusal, rejected, signature};
use crate::model::{MarginMode, Order, OrderStatus, PositionMode};
use crate::operation::OrderRef;
use crate::request::{Method, Response};
use crate::simulate::engine::{Account, Engine, Quote, Reject};
use crate::simulate::wire::Incoming;

/// How far off a request's time may be.
const WINDOW_MS: u64 = 30_000;
/// Rows of a page.
pub(super) const PAGE: usize = 100;

/// The account of a signed request.
pub(super) fn authenticate(request: &Incoming, engine: &Engine) -> Result<String, Refusal> {
    let header = |name: &str, code: &'static str, message: &str| {
        request
            .header(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| refusal(code, message))
    };
    let key = header("access-key", "40001", "ACCESS_KEY cannot be empty")?;
    let sign = header("access-sign", "40003", "Signature cannot be empty")?;
    let passphrase = header("access-passphrase", "40011", "ACCESS_PASSPHRASE cannot be empty")?;
    let time = header("access-timestamp", "40005", "Invalid ACCESS_TIMESTAMP")?;
    let stated: u64 = time
        .parse()
        .map_err(|_| refusal("40005", "Invalid ACCESS_TIMESTAMP"))?;
    if stated.abs_diff(engine.now_ms()) > WINDOW_MS {
        return Err(refusal("40008", "Request timestamp expired"));
    }
    let account = engine
        .account(key)
        .ok_or_else(|| refusal("40006", "Invalid ACCESS_KEY"))?;
    let start = format!("{time}{}{}", request.method.name(), request.path);
    // The venue takes a signature over the query as it was sent and over the decoded one.
    let decoded = Incoming::pairs(&request.raw_query)
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join("&");
    let right = [&request.raw_query, &decoded].into_iter().any(|query| {
        let mark = if query.is_empty() { "" } else { "?" };
        signature(&account.secret, &format!("{start}{mark}{query}{}", request.body)) == sign
    });
    if !right {
        return Err(refusal("40009", "sign signature error"));
    }
    if account.passphrase != passphrase {
        return Err(refusal("40012", "apikey/password is incorrect"));
    }
    Ok(key.to_owned())
}

/// The length of a candle by the venue's word.
pub(super) fn interval_ms(word: &str) -> Option<u64> {
    Some(match word {
        "1m" => 60_000,
        "3m" => 180_000,
        "5m" => 300_000,
        "15m" => 900_000,
        "30m" => 1_800_000,
        "1H" => 3_600_000,
        "4H" => 14_400_000,
        "6H" => 21_600_000,
        "12H" => 43_200_000,
        "1D" | "1Dutc" => 86_400_000,
        _ => return None,
    })
}

fn public(path: &str, asked: &Value, engine: &Engine) -> Option<Result<Value, Refusal>> {
    let now_ms = engine.now_ms();
    let quote = || product(asked).and_then(|()| quote_of(asked, engine));
    let all = |row: &dyn Fn(&Quote) -> Value| -> Result<Value, Refusal> {
        let kind = text(asked, "productType").ok_or_else(|| missing("productType"))?;
        if !kind.eq_ignore_ascii_case("USDT-FUTURES") {
            return Ok(json!([]));
        }
        if text(asked, "symbol").is_some() {
            return Ok(json!([row(quote_of(asked, engine)?)]));
        }
        Ok(engine.quotes().map(row).collect())
    };
    Some(match path {
        "public/time" => Ok(json!({ "serverTime": now_ms.to_string() })),
        "mix/market/contracts" => all(&instrument_row),
        "mix/market/ticker" => quote().map(|quote| json!([ticker_row(quote, engine)])),
        "mix/market/tickers" => all(&|quote| ticker_row(quote, engine)),
        "mix/market/merge-depth" | "mix/market/orderbook" => quote().map(|quote| {
            let depth = match text(asked, "limit").as_deref() {
                Some("1") => 1,
                Some("5") => 5,
                Some("15") => 15,
                Some("50") => 50,
                _ => 100,
            };
            let book = engine.book(quote);
            json!({ "asks": level_rows(&book.asks, depth), "bids": level_rows(&book.bids, depth), "ts": now_ms.to_string(),
                    "scale": plain(quote.instrument.tick), "precision": "scale0", "isMaxPrecision": "NO" })
        }),
        "mix/market/fills" | "mix/market/fills-history" => quote().map(|quote| {
            json!([{ "tradeId": quote.sequence.to_string(), "price": plain(quote.price), "size": plain(quote.instrument.lot),
                     "side": "buy", "ts": now_ms.to_string(), "symbol": quote.instrument.instrument }])
        }),
        "mix/market/candles" | "mix/market/history-candles" => quote().and_then(|quote| {
            let interval = text(asked, "granularity")
                .and_then(|word| interval_ms(&word))
                .ok_or_else(|| bad("granularity"))?;
            let count = whole(asked, "limit").unwrap_or(100).min(1_000);
            let first = whole(asked, "startTime").unwrap_or_default();
            let last = whole(asked, "endTime").unwrap_or(u64::MAX);
            let price = plain(quote.price);
            let mut rows: Vec<Value> = interval_starts(now_ms, interval, 10_000)
                .filter(|start| *start <= last)
                .take_while(|start| *start >= first)
                .take(usize::try_from(count).unwrap_or(PAGE))
                .map(|start| json!([start.to_string(), price, price, price, price, "1", price]))
                .collect();
            // Oldest first.
            rows.reverse();
            Ok(Value::from(rows))
        }),
        "mix/market/symbol-price" => quote().map(|quote| {
            let price = plain(quote.price);
            json!([{ "symbol": quote.instrument.instrument, "price": price, "indexPrice": price, "markPrice": price,
                     "ts": now_ms.to_string() }])
        }),
        "mix/market/current-fund-rate" => quote().map(|quote| {
            json!([{ "symbol": quote.instrument.instrument, "fundingRate": "0.0001", "fundingRateInterval": "8",
                     "nextUpdate": next_funding(now_ms).to_string(), "minFundingRate": "-0.003", "maxFundingRate": "0.003" }])
        }),
        "mix/market/funding-time" => quote().map(|quote| {
            json!([{ "symbol": quote.instrument.instrument, "nextFundingTime": next_funding(now_ms).to_string(),
                     "ratePeriod": "8" }])
        }),
        _ => return None,
    })
}

/// One page of rows that are newest first, with the id it ends at.
fn page(list: &str, rows: impl Iterator<Item = (u64, Value)>, asked: &Value) -> Value {
    let limit = whole(asked, "limit")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(PAGE)
        .clamp(1, PAGE);
    let below = whole(asked, "idLessThan").unwrap_or(u64::MAX);
    let rows: Vec<(u64, Value)> = rows.filter(|(id, _)| *id < below).take(limit).collect();
    let end = rows.last().map(|(id, _)| id.to_string());
    let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
    let mut data = json!({ "endId": end });
    // The venue has no list where there is nothing.
    data[list] = if rows.is_empty() { Value::Null } else { rows.into() };
    data
}

pub(super) fn in_scope(asked: &Value, instrument: &str, time_ms: u64) -> bool {
    text(asked, "symbol").is_none_or(|name| name == instrument)
        && whole(asked, "startTime").is_none_or(|first| time_ms >= first)
        && whole(asked, "endTime").is_none_or(|last| time_ms <= last)
}

impl Bitget {
    pub(super) fn answer(&self, request: &Incoming, engine: &mut Engine) -> Response {
        let now_ms = engine.now_ms();
        let answer = if let Some(path) = request.path.strip_prefix("/api/v2/") {
            self.v2(path, request, engine)
        } else if let Some(path) = request.path.strip_prefix("/api/v3/") {
            self.v3(path, request, engine)
        } else {
            return envelope(404, "40404", "Request URL NOT FOUND", &Value::Null, now_ms);
        };
        match answer {
            Ok(data) => envelope(200, "00000", "success", &data, now_ms),
            Err(refusal) if refusal.code == "40404" => {
                envelope(404, refusal.code, &refusal.message, &Value::Null, now_ms)
            }
            Err(refusal) => envelope(400, refusal.code, &refusal.message, &Value::Null, now_ms),
        }
    }

    fn v2(&self, path: &str, request: &Incoming, engine: &mut Engine) -> Result<Value, Refusal> {
        let asked = query(request);
        if request.method == Method::Get
            && let Some(answer) = public(path, &asked, engine)
        {
            return answer;
        }
        let key = authenticate(request, engine)?;
        let path = path.strip_prefix("mix/").unwrap_or_default();
        match request.method {
            Method::Get => self.read(path, &asked, &key, engine),
            _ => self.write(path, &request.json(), &key, engine),
        }
    }

    fn orders(&self, key: &str, asked: &Value, engine: &Engine, chosen: impl Fn(&Order) -> bool) -> Value {
        let (id, own) = (text(asked, "orderId"), text(asked, "clientOid"));
        let rows = engine
            .account(key)
            .into_iter()
            .flat_map(|account| account.orders().rev())
            .filter(|order| order.trigger_price.is_none() && chosen(order))
            .filter(|order| in_scope(asked, &order.instrument, order.time_ms))
            .filter(|order| id.as_ref().is_none_or(|id| order.order_id == *id))
            .filter(|order| own.is_none() || order.client_order_id == own)
            .map(|order| {
                let id = order.order_id.parse().unwrap_or_default();
                (id, self.order_row(key, order, "status", engine))
            });
        page("entrustedList", rows, asked)
    }

    fn plans(
        &self,
        key: &str,
        asked: &Value,
        engine: &Engine,
        chosen: impl Fn(&Order) -> bool,
    ) -> Result<Value, Refusal> {
        let plan = text(asked, "planType").ok_or_else(|| missing("planType"))?;
        let rows = engine
            .account(key)
            .into_iter()
            .flat_map(|account| account.orders().rev())
            .filter(|order| order.trigger_price.is_some() && chosen(order))
            .filter(|order| in_scope(asked, &order.instrument, order.time_ms))
            .filter(|order| is_plan(&plan, &self.extra(order).plan))
            .map(|order| {
                let id = order.order_id.parse().unwrap_or_default();
                (id, self.plan_row(order, false))
            });
        Ok(page("entrustedList", rows, asked))
    }

    fn read(&self, path: &str, asked: &Value, key: &str, engine: &Engine) -> Result<Value, Refusal> {
        let account = engine
            .account(key)
            .ok_or_else(|| refusal("40006", "Invalid ACCESS_KEY"))?;
        let known = [
            "account/account",
            "account/accounts",
            "position/all-position",
            "position/single-position",
            "order/detail",
            "order/orders-pending",
            "order/orders-history",
            "order/fills",
            "order/fill-history",
            "order/orders-plan-pending",
            "order/orders-plan-history",
        ];
        if !known.contains(&path) {
            return Err(refusal("40404", "Request URL NOT FOUND"));
        }
        product(asked)?;
        match path {
            "account/accounts" => Ok(engine.balance(key).iter().map(account_row).collect()),
            "account/account" => {
                let symbol = quote_of(asked, engine)?.instrument.instrument.clone();
                let balance = engine.balance(key).ok_or_else(|| missing("marginCoin"))?;
                let mut row = account_row(&balance);
                let lever = Engine::whole(account.leverage_of(&symbol));
                let margin = account.margin_modes.get(&symbol).copied().unwrap_or_default();
                row["crossedMarginLeverage"] = lever.into();
                row["isolatedLongLever"] = lever.into();
                row["isolatedShortLever"] = lever.into();
                row["marginMode"] = margin_word(margin).into();
                row["posMode"] = mode_word(account.position_mode).into();
                Ok(row)
            }
            "position/all-position" | "position/single-position" => {
                if path == "position/single-position" {
                    quote_of(asked, engine)?;
                }
                Ok(engine
                    .positions(key)
                    .iter()
                    .filter(|position| text(asked, "symbol").is_none_or(|name| position.instrument == name))
                    .map(|position| position_row(position, false))
                    .collect())
            }
            "order/detail" => {
                let wanted = OrderRef {
                    instrument: quote_of(asked, engine)?.instrument.instrument.clone(),
                    order_id: text(asked, "orderId"),
                    client_order_id: text(asked, "clientOid"),
                };
                account
                    .order(&wanted)
                    .filter(|order| order.instrument == wanted.instrument && order.trigger_price.is_none())
                    .map(|order| self.order_row(key, order, "state", engine))
                    .ok_or_else(|| {
                        refusal(
                            "40109",
                            "The data of the order cannot be found, please confirm the order number",
                        )
                    })
            }
            "order/orders-pending" => Ok(self.orders(key, asked, engine, |order| !order.status.is_final())),
            "order/orders-history" => Ok(self.orders(key, asked, engine, |order| order.status.is_final())),
            "order/orders-plan-pending" => self.plans(key, asked, engine, |order| {
                order.status == OrderStatus::Untriggered
            }),
            "order/orders-plan-history" => self.plans(key, asked, engine, |order| {
                order.status != OrderStatus::Untriggered
            }),
            // The fills.
            _ => Ok(fills(account, asked)),
        }
    }

    fn write(&self, path: &str, body: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
        if !body.is_object() {
            return Err(bad("body"));
        }
        match path {
            "order/place-order" => self.place(body, key, engine),
            "order/batch-place-order" => self.place_batch(body, key, engine),
            "order/modify-order" => self.modify(body, key, engine),
            "order/cancel-order" => cancel(body, key, engine),
            "order/batch-cancel-orders" => cancel_batch(body, key, engine),
            "order/cancel-all-orders" => cancel_all(body, key, engine),
            "order/close-positions" => self.close(body, key, engine),
            "order/place-plan-order" => self.place_plan(body, key, engine),
            "order/place-tpsl-order" => self.place_stop(body, key, engine),
            "order/cancel-plan-order" => self.cancel_plans(body, key, engine),
            "account/set-leverage" => set_leverage(body, key, engine),
            "account/set-margin-mode" => set_margin_mode(body, key, engine),
            "account/set-position-mode" => {
                product(body)?;
                let (word, mode) = match body["posMode"].as_str() {
                    Some("one_way_mode") => ("one_way_mode", PositionMode::OneWay),
                    Some("hedge_mode") => ("hedge_mode", PositionMode::Hedge),
                    _ => return Err(bad("posMode")),
                };
                match engine.set_position_mode(key, mode) {
                    // Saying what is so already is no error here.
                    Ok(()) | Err(Reject::Unchanged) => Ok(json!({ "posMode": word })),
                    Err(reject) => Err(rejected(&reject)),
                }
            }
            _ => Err(refusal("40404", "Request URL NOT FOUND")),
        }
    }
}

fn fills(account: &Account, asked: &Value) -> Value {
    let order_of = |id: &str| account.orders().rev().find(|order| order.order_id == id);
    let rows = account
        .fills()
        .iter()
        .rev()
        .filter(|fill| in_scope(asked, &fill.instrument, fill.time_ms))
        .filter(|fill| text(asked, "orderId").is_none_or(|id| fill.order_id == id))
        .map(|fill| (trade_id(fill), fill_row(fill, order_of(&fill.order_id))));
    page("fillList", rows, asked)
}

fn set_leverage(body: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    product(body)?;
    let quote = quote_of(body, engine)?;
    let symbol = quote.instrument.instrument.clone();
    let mut wanted = None;
    for name in ["leverage", "longLeverage", "shortLeverage"] {
        wanted = wanted.or(leverage(body, name, quote)?);
    }
    let wanted = wanted.ok_or_else(|| missing("leverage"))?;
    let account = engine
        .account_mut(key)
        .ok_or_else(|| refusal("40006", "Invalid ACCESS_KEY"))?;
    account.leverage.insert(symbol.clone(), wanted);
    let margin = account.margin_modes.get(&symbol).copied().unwrap_or_default();
    let wanted = plain(wanted);
    Ok(
        json!({ "symbol": symbol, "marginCoin": "USDT", "longLeverage": wanted, "shortLeverage": wanted,
               "crossMarginLeverage": wanted, "marginMode": margin_word(margin) }),
    )
}

fn set_margin_mode(body: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    product(body)?;
    let symbol = quote_of(body, engine)?.instrument.instrument.clone();
    let margin: MarginMode = margin_mode(body)?;
    let open = engine
        .positions(key)
        .iter()
        .any(|position| position.instrument == symbol);
    let account = engine
        .account_mut(key)
        .ok_or_else(|| refusal("40006", "Invalid ACCESS_KEY"))?;
    let current = account.margin_modes.get(&symbol).copied().unwrap_or_default();
    if open && current != margin {
        return Err(refusal(
            "45117",
            "Currently holding positions or orders, the margin mode cannot be adjusted",
        ));
    }
    account.margin_modes.insert(symbol.clone(), margin);
    let lever = plain(account.leverage_of(&symbol));
    Ok(
        json!({ "symbol": symbol, "marginCoin": "USDT", "longLeverage": lever, "shortLeverage": lever,
               "marginMode": margin_word(margin) }),
    )
}
