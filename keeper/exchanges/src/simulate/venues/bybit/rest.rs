//! Requests and answers.

use serde_json::{Value, json};

use super::super::shared::{interval_starts, number, plain, query, text, whole};
use super::orders::{Act, category};
use super::rows::{instrument_row, level_rows, position_row, ticker_row, wallet_row};
use super::{Bybit, Refusal, bad, envelope, refusal, rejected};
use crate::crypto::hmac_hex;
use crate::model::{Decimal, MarginMode, Order, OrderStatus, Position, PositionMode, PositionSide};
use crate::operation::OrderRef;
use crate::request::{Method, Response};
use crate::simulate::engine::{Account, Engine, Quote, Reject};
use crate::simulate::wire::Incoming;

/// How far ahead of the venue's clock a request may be.
const AHEAD_MS: u64 = 1_000;
/// How old a request may be where it does not say.
const WINDOW_MS: u64 = 5_000;
/// Rows of a page.
const PAGE: usize = 20;
/// Most rows of a page.
const LARGEST_PAGE: usize = 200;

/// Whether a request's time is within its window.
pub(super) fn in_time(stated: u64, window: u64, now_ms: u64) -> Result<(), Refusal> {
    if stated < now_ms + AHEAD_MS && stated + window >= now_ms {
        return Ok(());
    }
    Err(refusal(
        10002,
        format!(
            "invalid request, please check your server timestamp or recv_window param. \
             req_timestamp[{stated}],server_timestamp[{now_ms}],recv_window[{window}]"
        ),
    ))
}

/// The account of a signed request.
fn authenticate(request: &Incoming, engine: &Engine) -> Result<String, Refusal> {
    let key = request
        .header("x-bapi-api-key")
        .ok_or_else(|| refusal(10003, "API key is invalid."))?;
    let sign = request
        .header("x-bapi-sign")
        .ok_or_else(|| refusal(10004, "error sign! missing signature"))?;
    let time = request
        .header("x-bapi-timestamp")
        .ok_or_else(|| bad("X-BAPI-TIMESTAMP is required"))?;
    let stated: u64 = time.parse().map_err(|_| bad("X-BAPI-TIMESTAMP is invalid"))?;
    let window_text = request.header("x-bapi-recv-window").unwrap_or_default();
    in_time(stated, window_text.parse().unwrap_or(WINDOW_MS), engine.now_ms())?;
    let account = engine
        .account(key)
        .ok_or_else(|| refusal(10003, "API key is invalid."))?;
    let payload = match request.method {
        Method::Get => &request.raw_query,
        _ => &request.body,
    };
    let signed = format!("{time}{key}{window_text}{payload}");
    if hmac_hex(&account.secret, &signed) != sign {
        return Err(refusal(10004, format!("error sign! origin_string[{signed}]")));
    }
    Ok(key.to_owned())
}

/// The length of a kline by the venue's word.
pub(super) fn interval_ms(word: &str) -> Option<u64> {
    Some(match word {
        "D" => 86_400_000,
        "W" => 604_800_000,
        minutes => match minutes.parse::<u64>().ok()? {
            minutes @ (1 | 3 | 5 | 15 | 30 | 60 | 120 | 240 | 360 | 720) => minutes * 60_000,
            _ => return None,
        },
    })
}

fn public(path: &str, asked: &Value, engine: &Engine) -> Option<Result<Value, Refusal>> {
    let now_ms = engine.now_ms();
    let named = text(asked, "symbol");
    let linear = asked["category"] == "linear";
    let quote = || -> Result<&Quote, Refusal> {
        named
            .as_ref()
            .filter(|_| linear)
            .and_then(|name| engine.quote(name))
            .ok_or_else(|| rejected(&Reject::UnknownInstrument))
    };
    let all = |row: &dyn Fn(&Quote) -> Value| -> Result<Vec<Value>, Refusal> {
        match asked["category"].as_str() {
            Some("linear") => {}
            Some("inverse" | "spot" | "option") => return Ok(Vec::new()),
            _ => return Err(refusal(10001, "Illegal category")),
        }
        let rows: Vec<Value> = engine
            .quotes()
            .filter(|quote| {
                named
                    .as_ref()
                    .is_none_or(|name| quote.instrument.instrument == *name)
            })
            .map(row)
            .collect();
        if rows.is_empty() {
            return Err(rejected(&Reject::UnknownInstrument));
        }
        Ok(rows)
    };
    Some(match path {
        "market/time" => Ok(json!({ "timeSecond": (now_ms / 1_000).to_string(), "timeNano": format!("{now_ms}000000") })),
        "market/instruments-info" if text(asked, "status").is_some_and(|status| status != "Trading") => {
            Ok(json!({ "category": asked["category"], "list": [], "nextPageCursor": "" }))
        }
        "market/instruments-info" => all(&instrument_row)
            .map(|rows| json!({ "category": asked["category"], "list": rows, "nextPageCursor": "" })),
        "market/tickers" => all(&|quote| ticker_row(quote, engine))
            .map(|rows| json!({ "category": asked["category"], "list": rows })),
        "market/orderbook" => quote().map(|quote| {
            let depth = whole(asked, "limit").and_then(|depth| usize::try_from(depth).ok());
            let depth = depth.unwrap_or(25).clamp(1, 500);
            let book = engine.book(quote);
            json!({ "s": quote.instrument.instrument, "b": level_rows(&book.bids, depth), "a": level_rows(&book.asks, depth),
                    "ts": now_ms, "u": quote.sequence, "seq": quote.sequence, "cts": now_ms })
        }),
        "market/recent-trade" => quote().map(|quote| {
            json!({ "category": "linear", "list": [{
                "execId": format!("20f43950-d8dd-5b31-9112-{:012x}", quote.sequence), "symbol": quote.instrument.instrument,
                "price": plain(quote.price), "size": plain(quote.instrument.lot), "side": "Buy", "time": now_ms.to_string(),
                "isBlockTrade": false, "isRPITrade": false, "seq": quote.sequence.to_string() }] })
        }),
        "market/kline" => quote().and_then(|quote| {
            let interval = text(asked, "interval")
                .and_then(|word| interval_ms(&word))
                .ok_or_else(|| bad("Invalid period"))?;
            let count = whole(asked, "limit").unwrap_or(200).min(1_000);
            let first = whole(asked, "start").unwrap_or_default();
            let last = whole(asked, "end").unwrap_or(u64::MAX);
            let price = plain(quote.price);
            let rows: Vec<Value> = interval_starts(now_ms, interval, 10_000)
                .filter(|start| *start <= last)
                .take_while(|start| *start >= first)
                .take(usize::try_from(count).unwrap_or(PAGE))
                .map(|start| json!([start.to_string(), price, price, price, price, "1", price]))
                .collect();
            Ok(json!({ "category": "linear", "symbol": quote.instrument.instrument, "list": rows }))
        }),
        _ => return None,
    })
}

/// One page of rows, and the mark of the next.
fn page(rows: Vec<Value>, asked: &Value) -> Value {
    let size = whole(asked, "limit")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(PAGE)
        .clamp(1, LARGEST_PAGE);
    let from = whole(asked, "cursor")
        .and_then(|from| usize::try_from(from).ok())
        .unwrap_or_default();
    let next = if rows.len() > from + size {
        (from + size).to_string()
    } else {
        String::new()
    };
    let list: Vec<Value> = rows.into_iter().skip(from).take(size).collect();
    json!({ "category": "linear", "list": list, "nextPageCursor": next })
}

/// A linear query names a symbol, or a coin for all its symbols.
fn scoped(asked: &Value) -> Result<(), Refusal> {
    if ["symbol", "settleCoin", "baseCoin"]
        .iter()
        .all(|name| text(asked, name).is_none())
    {
        return Err(bad(
            "Missing some parameters that must be filled in, symbol or settleCoin or baseCoin",
        ));
    }
    Ok(())
}

fn in_scope(asked: &Value, instrument: &str, time_ms: u64, engine: &Engine) -> bool {
    let Some(quote) = engine.quote(instrument) else {
        return false;
    };
    let same = |name: &str, value: &str| text(asked, name).is_none_or(|wanted| wanted == value);
    same("symbol", instrument)
        && same("baseCoin", &quote.instrument.base)
        && same("settleCoin", &quote.instrument.settle)
        && whole(asked, "startTime").is_none_or(|first| time_ms >= first)
        && whole(asked, "endTime").is_none_or(|last| time_ms <= last)
}

impl Bybit {
    pub(super) fn answer(&self, request: &Incoming, engine: &mut Engine) -> Response {
        let now_ms = engine.now_ms();
        let none = json!({});
        let Some(path) = request.path.strip_prefix("/v5/") else {
            return envelope(404, 10404, "Not Found", &none, &none, now_ms);
        };
        let asked = query(request);
        let answer = if request.method == Method::Get
            && let Some(answer) = public(path, &asked, engine)
        {
            answer.map(|result| (result, none.clone()))
        } else {
            authenticate(request, engine).and_then(|key| match request.method {
                Method::Get => self
                    .read(path, &asked, &key, engine)
                    .map(|result| (result, none.clone())),
                _ => self.write(path, &request.json(), &key, engine),
            })
        };
        match answer {
            Ok((result, extra)) => envelope(200, 0, "OK", &result, &extra, engine.now_ms()),
            Err(refusal) => envelope(200, refusal.code, &refusal.message, &none, &none, now_ms),
        }
    }

    fn orders(
        &self,
        key: &str,
        asked: &Value,
        engine: &Engine,
        chosen: impl Fn(&Order) -> bool,
    ) -> Vec<Value> {
        engine
            .account(key)
            .into_iter()
            .flat_map(|account| account.orders().rev())
            .filter(|order| chosen(order) && in_scope(asked, &order.instrument, order.time_ms, engine))
            .map(|order| self.order_row(key, order, engine))
            .filter(|row| {
                let stop = row["stopOrderType"] != "";
                text(asked, "orderStatus").is_none_or(|status| row["orderStatus"] == status.as_str())
                    && match asked["orderFilter"].as_str() {
                        None => true,
                        Some("Order") => !stop,
                        Some(_) => stop,
                    }
            })
            .collect()
    }

    fn read(&self, path: &str, asked: &Value, key: &str, engine: &Engine) -> Result<Value, Refusal> {
        let account = engine
            .account(key)
            .ok_or_else(|| refusal(10003, "API key is invalid."))?;
        let wanted = OrderRef {
            instrument: text(asked, "symbol").unwrap_or_default(),
            order_id: text(asked, "orderId"),
            client_order_id: text(asked, "orderLinkId"),
        };
        let named = wanted.order_id.is_some() || wanted.client_order_id.is_some();
        let it = account.order(&wanted).map(|order| order.order_id.clone());
        match path {
            "order/realtime" => {
                category(asked)?;
                if named {
                    // An order asked for by its id is found for a while after it ended.
                    return Ok(page(
                        self.orders(key, asked, engine, |order| Some(&order.order_id) == it.as_ref()),
                        asked,
                    ));
                }
                scoped(asked)?;
                let closed = whole(asked, "openOnly") == Some(1);
                let rows = self.orders(key, asked, engine, |order| {
                    let ended = order.status.is_final() || order.status == OrderStatus::Triggered;
                    ended == closed
                });
                Ok(page(rows, asked))
            }
            "order/history" => {
                category(asked)?;
                let rows = self.orders(key, asked, engine, |order| {
                    order.status.is_final() && (!named || Some(&order.order_id) == it.as_ref())
                });
                Ok(page(rows, asked))
            }
            "execution/list" => {
                category(asked)?;
                let rows = account
                    .fills()
                    .iter()
                    .rev()
                    .filter(|fill| in_scope(asked, &fill.instrument, fill.time_ms, engine))
                    .filter(|fill| !named || Some(&fill.order_id) == it.as_ref())
                    .map(|fill| self.execution_row(key, fill, engine))
                    .filter(|row| text(asked, "execType").is_none_or(|kind| row["execType"] == kind.as_str()))
                    .collect();
                Ok(page(rows, asked))
            }
            "position/list" => positions(key, account, asked, engine),
            "account/wallet-balance" => {
                if text(asked, "accountType").is_none_or(|kind| kind != "UNIFIED") {
                    return Err(refusal(10001, "accountType only support UNIFIED."));
                }
                let rows: Vec<Value> = engine.balance(key).iter().map(wallet_row).collect();
                Ok(json!({ "list": rows }))
            }
            "account/info" => Ok(json!({
                "marginMode": margin_word(account), "updatedTime": engine.now_ms().to_string(), "unifiedMarginStatus": 6,
                "dcpStatus": "OFF", "timeWindow": 10, "smpGroup": 0, "isMasterTrader": false, "spotHedgingStatus": "OFF",
            })),
            "user/query-api" => Ok(json!({
                "id": "13770661", "note": "simulator", "apiKey": key, "readOnly": 0, "secret": "", "ips": ["*"], "type": 1,
                "permissions": { "ContractTrade": ["Order", "Position"], "Spot": ["SpotTrade"], "Wallet": [], "Options": [],
                                 "Derivatives": ["DerivativesTrade"], "Exchange": [] },
                "deadlineDay": 83, "expiredAt": "2099-05-15T03:21:05Z", "createdAt": "2022-10-16T02:24:40Z", "unified": 0, "uta": 1,
                "userID": 24_600_000, "inviterID": 0, "vipLevel": "No VIP", "mktMakerLevel": "0", "affiliateID": 0,
                "rsaPublicKey": "", "isMaster": true, "parentUid": "0",
            })),
            "market/instruments-info" | "market/time" => Err(bad("path")),
            _ => Err(refusal(10404, "Not Found")),
        }
    }

    fn write(
        &self,
        path: &str,
        body: &Value,
        key: &str,
        engine: &mut Engine,
    ) -> Result<(Value, Value), Refusal> {
        let plain_answer = |result: Result<Value, Refusal>| result.map(|result| (result, json!({})));
        match path {
            "order/create" => plain_answer(self.act(Act::Create, body, key, engine)),
            "order/amend" => plain_answer(self.act(Act::Amend, body, key, engine)),
            "order/cancel" => plain_answer(self.act(Act::Cancel, body, key, engine)),
            "order/create-batch" => self.batch(Act::Create, body, key, engine),
            "order/amend-batch" => self.batch(Act::Amend, body, key, engine),
            "order/cancel-batch" => self.batch(Act::Cancel, body, key, engine),
            "order/cancel-all" => plain_answer(self.cancel_all(body, key, engine)),
            "order/disconnected-cancel-all" => match whole(body, "timeWindow") {
                Some(3..=300) => Ok((json!({}), json!({}))),
                _ => Err(bad("timeWindow")),
            },
            "position/trading-stop" => plain_answer(self.trading_stop(body, key, engine)),
            "position/set-leverage" => plain_answer(set_leverage(body, key, engine)),
            "position/switch-mode" => plain_answer(switch_mode(body, key, engine)),
            "position/switch-isolated" => Err(refusal(100_028, "unified account is forbidden")),
            "account/set-margin-mode" => plain_answer(set_margin_mode(body, key, engine)),
            _ => Err(refusal(10404, "Not Found")),
        }
    }
}

fn margin_word(account: &Account) -> &'static str {
    if account
        .margin_modes
        .values()
        .any(|mode| *mode == MarginMode::Isolated)
    {
        "ISOLATED_MARGIN"
    } else {
        "REGULAR_MARGIN"
    }
}

fn positions(key: &str, account: &Account, asked: &Value, engine: &Engine) -> Result<Value, Refusal> {
    if asked["category"] == "inverse" {
        return Ok(json!({ "category": "inverse", "list": [], "nextPageCursor": "" }));
    }
    category(asked)?;
    let open = engine.positions(key);
    let Some(symbol) = text(asked, "symbol") else {
        if text(asked, "settleCoin").is_none() {
            return Err(bad("symbol or settleCoin is required"));
        }
        let rows = open
            .iter()
            .filter(|position| in_scope(asked, &position.instrument, engine.now_ms(), engine))
            .map(|position| position_row(key, position, engine, false))
            .collect();
        return Ok(page(rows, asked));
    };
    let quote = engine
        .quote(&symbol)
        .ok_or_else(|| rejected(&Reject::UnknownInstrument))?;
    // A symbol that is asked for has its positions even when they are flat.
    let sides: &[PositionSide] = match account.position_mode {
        PositionMode::OneWay => &[PositionSide::Net],
        PositionMode::Hedge => &[PositionSide::Long, PositionSide::Short],
    };
    let rows = sides
        .iter()
        .map(|side| {
            let flat = Position {
                instrument: symbol.clone(),
                position_side: *side,
                size: Decimal::ZERO,
                entry_price: None,
                mark_price: Some(quote.price),
                unrealised_profit: None,
                leverage: Some(account.leverage_of(&symbol)),
                margin_mode: account.margin_modes.get(&symbol).copied(),
                liquidation_price: None,
                time_ms: engine.now_ms(),
            };
            let position = open
                .iter()
                .find(|position| position.instrument == symbol && position.position_side == *side);
            position_row(key, position.unwrap_or(&flat), engine, false)
        })
        .collect();
    Ok(page(rows, asked))
}

fn set_leverage(body: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    category(body)?;
    let symbol = text(body, "symbol").ok_or_else(|| bad("symbol is required"))?;
    let most = engine
        .quote(&symbol)
        .ok_or_else(|| rejected(&Reject::UnknownInstrument))?
        .instrument
        .maximum_leverage;
    let (Some(buy), Some(sell)) = (number(body, "buyLeverage"), number(body, "sellLeverage")) else {
        return Err(refusal(10001, "leverage invalid"));
    };
    let account = engine
        .account_mut(key)
        .ok_or_else(|| refusal(10003, "API key is invalid."))?;
    if buy != sell && account.position_mode == PositionMode::OneWay {
        return Err(refusal(10001, "buy leverage must equal sell leverage"));
    }
    if buy < Decimal::ONE || most.is_some_and(|most| buy > most) {
        return Err(refusal(
            110_013,
            "cannot set leverage due to risk limit: gt maxLeverage by risk limit",
        ));
    }
    if account.leverage_of(&symbol) == buy {
        return Err(refusal(110_043, "leverage not modified"));
    }
    account.leverage.insert(symbol, buy);
    Ok(json!({}))
}

fn switch_mode(body: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    category(body)?;
    let mode = match whole(body, "mode") {
        Some(0) => PositionMode::OneWay,
        Some(3) => PositionMode::Hedge,
        _ => return Err(refusal(10001, "mode invalid")),
    };
    if text(body, "symbol").is_none() && text(body, "coin").is_none() {
        return Err(bad("symbol or coin is required"));
    }
    let held = !engine.positions(key).is_empty();
    engine
        .set_position_mode(key, mode)
        .map_err(|reject| match reject {
            Reject::NotFlat if !held => refusal(
                110_028,
                "You have existing open orders, so the position mode cannot be switched",
            ),
            reject => rejected(&reject),
        })?;
    Ok(json!({}))
}

fn set_margin_mode(body: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    let mode = match body["setMarginMode"].as_str() {
        Some("ISOLATED_MARGIN") => MarginMode::Isolated,
        Some("REGULAR_MARGIN") => MarginMode::Cross,
        _ => return Err(refusal(10001, "setMarginMode invalid")),
    };
    let names: Vec<_> = engine
        .quotes()
        .map(|quote| quote.instrument.instrument.clone())
        .collect();
    if let Some(account) = engine.account_mut(key) {
        for name in names {
            account.margin_modes.insert(name, mode);
        }
    }
    Ok(json!({ "reasons": [] }))
}
