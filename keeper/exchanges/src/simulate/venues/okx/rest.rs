//! Requests and answers.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::shared::{interval_starts, number, query, text, whole};
use super::orders::{Act, Naming, margin_mode, position_side};
use super::rows::{
    account_row, bill_id, book_row, candle_row, fill_row, funding_row, instrument_row, margin_word, mark_row,
    mode_word, position_row, position_word, ticker_row,
};
use super::{Okx, Refusal, bad, error, ok, refusal, rejected, response, signature};
use crate::model::{Decimal, MarginMode, Order, OrderStatus, PositionMode, PositionSide, Text};
use crate::operation::OrderRef;
use crate::request::{Method, Response};
use crate::simulate::engine::{Account, Engine, Quote, Reject};
use crate::simulate::wire::Incoming;

/// How old a request may be.
const WINDOW_MS: u64 = 30_000;
/// Rows of a page.
const PAGE: usize = 100;

/// The account of a signed request.
fn authenticate(request: &Incoming, engine: &Engine) -> Result<String, (u16, Refusal)> {
    let header = |name: &str, code: &'static str, shown: &str| {
        request
            .header(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| {
                (
                    401,
                    refusal(code, format!("Request header {shown} can not be empty.")),
                )
            })
    };
    let key = header("ok-access-key", "50103", "OK-ACCESS-KEY")?;
    let passphrase = header("ok-access-passphrase", "50104", "OK-ACCESS-PASSPHRASE")?;
    let sign = header("ok-access-sign", "50106", "OK-ACCESS-SIGN")?;
    let stated = header("ok-access-timestamp", "50107", "OK-ACCESS-TIMESTAMP")?;
    let stated_ms = OffsetDateTime::parse(stated, &Rfc3339)
        .ok()
        .and_then(|time| u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok())
        .ok_or_else(|| (401, refusal("50112", "Invalid OK-ACCESS-TIMESTAMP")))?;
    if stated_ms.abs_diff(engine.now_ms()) > WINDOW_MS {
        return Err((401, refusal("50102", "Timestamp request expired")));
    }
    let account = engine
        .account(key)
        .ok_or_else(|| (401, refusal("50111", "Invalid OK-ACCESS-KEY")))?;
    let mut path = request.path.clone();
    if !request.raw_query.is_empty() {
        path = format!("{path}?{}", request.raw_query);
    }
    if signature(&account.secret, stated, request.method, &path, &request.body) != sign {
        return Err((401, refusal("50113", "Invalid Sign")));
    }
    if account.passphrase != passphrase {
        return Err((
            401,
            refusal("50105", "Request header OK-ACCESS-PASSPHRASE incorrect."),
        ));
    }
    Ok(key.to_owned())
}

fn interval_ms(bar: &str) -> Option<u64> {
    Some(match bar {
        "1m" => 60_000,
        "3m" => 180_000,
        "5m" => 300_000,
        "15m" => 900_000,
        "30m" => 1_800_000,
        "1H" => 3_600_000,
        "2H" => 7_200_000,
        "4H" => 14_400_000,
        "1Dutc" | "1D" => 86_400_000,
        _ => return None,
    })
}

/// The length of a candle by the name of its channel or its `bar`.
pub(super) fn candle_ms(name: &str) -> Option<u64> {
    interval_ms(name.strip_prefix("candle").unwrap_or(name))
}

fn public(path: &str, asked: &Value, engine: &Engine) -> Option<Result<Vec<Value>, Refusal>> {
    let named = text(asked, "instId");
    let quote = || -> Result<&Quote, Refusal> {
        let name = named
            .as_ref()
            .ok_or_else(|| refusal("50014", "Parameter instId can not be empty"))?;
        engine
            .quote(name)
            .ok_or_else(|| rejected(&Reject::UnknownInstrument))
    };
    let all = |row: &dyn Fn(&Quote) -> Value| -> Result<Vec<Value>, Refusal> {
        let kind =
            text(asked, "instType").ok_or_else(|| refusal("50014", "Parameter instType can not be empty"))?;
        match kind.as_str() {
            "SWAP" => Ok(engine
                .quotes()
                .filter(|quote| {
                    named
                        .as_ref()
                        .is_none_or(|name| quote.instrument.instrument == *name)
                })
                .map(row)
                .collect()),
            "SPOT" | "MARGIN" | "FUTURES" | "OPTION" => Ok(Vec::new()),
            _ => Err(bad("instType")),
        }
    };
    Some(match path {
        "public/time" => Ok(vec![json!({ "ts": engine.now_ms().to_string() })]),
        "public/instruments" => all(&instrument_row),
        "public/mark-price" => all(&|quote| mark_row(quote, engine)),
        "public/funding-rate" => quote().map(|quote| vec![funding_row(quote, engine)]),
        "market/ticker" => quote().map(|quote| vec![ticker_row(quote, engine)]),
        "market/tickers" => all(&|quote| ticker_row(quote, engine)),
        "market/books" => quote().map(|quote| {
            let depth = whole(asked, "sz").and_then(|depth| usize::try_from(depth).ok());
            let book = engine.book(quote);
            let mut row = book_row(
                &quote.instrument,
                &book,
                &book,
                depth.unwrap_or(1).clamp(1, 400),
                (quote.sequence, -1),
            );
            if let Some(row) = row.as_object_mut() {
                // Only pushes have these.
                row.remove("checksum");
                row.remove("prevSeqId");
            }
            vec![row]
        }),
        "market/trades" => quote().map(|quote| {
            vec![
                json!({ "instId": quote.instrument.instrument, "side": "buy", "sz": "1", "source": "0",
                        "px": super::super::shared::plain(quote.price), "tradeId": quote.sequence.to_string(),
                        "ts": engine.now_ms().to_string() }),
            ]
        }),
        "market/candles" | "market/history-candles" => quote().and_then(|quote| {
            let bar = text(asked, "bar").unwrap_or_else(|| Text::const_new("1m"));
            let interval = interval_ms(&bar).ok_or_else(|| bad("bar"))?;
            let count = whole(asked, "limit").unwrap_or(100).min(300);
            let before = whole(asked, "after").unwrap_or(u64::MAX);
            let after = whole(asked, "before").unwrap_or_default();
            Ok(interval_starts(engine.now_ms(), interval, 10_000)
                .filter(|start| *start < before)
                .take_while(|start| *start > after)
                .take(usize::try_from(count).unwrap_or(PAGE))
                .map(|start| candle_row(start, interval, quote.price, engine.now_ms()))
                .collect())
        }),
        "system/status" => Ok(Vec::new()),
        _ => return None,
    })
}

/// One page of rows that are newest first: not older than `before`, older than `after`, in the venue's words.
fn page<T>(rows: impl Iterator<Item = (u64, T)>, asked: &Value) -> Vec<T> {
    let limit = whole(asked, "limit")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(PAGE)
        .min(PAGE);
    let (before, after) = (whole(asked, "before"), whole(asked, "after"));
    rows.filter(|(id, _)| after.is_none_or(|after| *id < after) && before.is_none_or(|before| *id > before))
        .take(limit)
        .map(|(_, row)| row)
        .collect()
}

/// Whether a row is of the kind, the instrument and the time that were asked for.
fn wanted(asked: &Value, instrument: &str, time_ms: u64) -> bool {
    text(asked, "instType").is_none_or(|kind| kind == "SWAP")
        && text(asked, "instId").is_none_or(|name| name == instrument)
        && whole(asked, "begin").is_none_or(|begin| time_ms >= begin)
        && whole(asked, "end").is_none_or(|end| time_ms <= end)
}

impl Okx {
    pub(super) fn answer(&self, request: &Incoming, engine: &mut Engine) -> Response {
        let Some(path) = request.path.strip_prefix("/api/v5/") else {
            return error(404, &refusal("404", "Invalid path"));
        };
        let asked = query(request);
        if request.method == Method::Get
            && let Some(answer) = public(path, &asked, engine)
        {
            return answer.map_or_else(|refusal| error(400, &refusal), ok);
        }
        let key = match authenticate(request, engine) {
            Ok(key) => key,
            Err((status, refusal)) => return error(status, &refusal),
        };
        let answer = match request.method {
            Method::Get => self.read(path, &asked, &key, engine),
            Method::Post => {
                let body = request.json();
                if body.is_null() {
                    Err(refusal("50002", "JSON syntax error"))
                } else {
                    return self.write(path, &body, &key, engine);
                }
            }
            _ => Err(refusal("50115", "Invalid request method")),
        };
        answer.map_or_else(|refusal| error(200, &refusal), ok)
    }

    fn orders(
        &self,
        key: &str,
        asked: &Value,
        engine: &Engine,
        chosen: impl Fn(&Order) -> bool,
    ) -> Vec<Value> {
        let rows = engine
            .account(key)
            .into_iter()
            .flat_map(|account| account.orders().rev())
            .filter(|order| order.trigger_price.is_none() && chosen(order))
            .filter(|order| wanted(asked, &order.instrument, order.time_ms))
            .map(|order| {
                let id = order.order_id.parse().unwrap_or_default();
                (id, self.order_row(key, order, None, engine))
            })
            .filter(|(_, row)| {
                text(asked, "ordType").is_none_or(|kind| kind.split(',').any(|kind| row["ordType"] == kind))
                    && text(asked, "state").is_none_or(|state| row["state"] == state.as_str())
            });
        page(rows, asked)
    }

    fn triggers(
        &self,
        key: &str,
        asked: &Value,
        engine: &Engine,
        chosen: impl Fn(&Order) -> bool,
    ) -> Result<Vec<Value>, Refusal> {
        let kinds =
            text(asked, "ordType").ok_or_else(|| refusal("50014", "Parameter ordType can not be empty."))?;
        let rows = engine
            .account(key)
            .into_iter()
            .flat_map(|account| account.orders().rev())
            .filter(|order| order.trigger_price.is_some() && chosen(order))
            .filter(|order| wanted(asked, &order.instrument, order.time_ms))
            .map(|order| {
                (
                    order.order_id.parse().unwrap_or_default(),
                    self.algo_row(order, engine),
                )
            })
            .filter(|(_, row)| kinds.split(',').any(|kind| row["ordType"] == kind));
        Ok(page(rows, asked))
    }

    fn read(&self, path: &str, asked: &Value, key: &str, engine: &Engine) -> Result<Vec<Value>, Refusal> {
        let account = engine
            .account(key)
            .ok_or_else(|| refusal("50111", "Invalid OK-ACCESS-KEY"))?;
        let one = |id: &str, own: &str| OrderRef {
            instrument: text(asked, "instId").unwrap_or_default(),
            order_id: text(asked, id),
            client_order_id: text(asked, own),
        };
        let unknown = || rejected(&Reject::UnknownOrder);
        match path {
            "trade/order" => {
                let wanted = one("ordId", "clOrdId");
                let order = account
                    .order(&wanted)
                    .filter(|order| order.trigger_price.is_none() && order.instrument == wanted.instrument)
                    .ok_or_else(unknown)?;
                Ok(vec![self.order_row(key, order, None, engine)])
            }
            "trade/orders-pending" => Ok(self.orders(key, asked, engine, |order| !order.status.is_final())),
            "trade/orders-history" | "trade/orders-history-archive" => {
                Ok(self.orders(key, asked, engine, |order| order.status.is_final()))
            }
            "trade/order-algo" => {
                let wanted = one("algoId", "algoClOrdId");
                let order = account
                    .order(&wanted)
                    .filter(|order| order.trigger_price.is_some())
                    .ok_or_else(unknown)?;
                Ok(vec![self.algo_row(order, engine)])
            }
            "trade/orders-algo-pending" => self.triggers(key, asked, engine, |order| {
                order.status == OrderStatus::Untriggered
            }),
            "trade/orders-algo-history" => self.triggers(key, asked, engine, |order| {
                order.status != OrderStatus::Untriggered
            }),
            "trade/fills" | "trade/fills-history" => {
                let rows = account
                    .fills()
                    .iter()
                    .rev()
                    .filter(|fill| wanted(asked, &fill.instrument, fill.time_ms))
                    .filter(|fill| text(asked, "ordId").is_none_or(|id| id == fill.order_id))
                    .map(|fill| (bill_id(fill), fill_row(fill, engine)));
                Ok(page(rows, asked))
            }
            "account/balance" => Ok(engine
                .balance(key)
                .map(|balance| {
                    let mut row = account_row(&balance);
                    if text(asked, "ccy")
                        .is_some_and(|names| !names.split(',').any(|name| balance.asset == name))
                    {
                        row["details"] = json!([]);
                    }
                    row
                })
                .into_iter()
                .collect()),
            "account/positions" => {
                let names = text(asked, "instId");
                Ok(engine
                    .positions(key)
                    .iter()
                    .filter(|position| {
                        text(asked, "instType").is_none_or(|kind| kind == "SWAP")
                            && names
                                .as_ref()
                                .is_none_or(|names| names.split(',').any(|name| position.instrument == name))
                    })
                    .map(|position| position_row(key, position, engine))
                    .collect())
            }
            "account/config" => Ok(vec![config(account)]),
            "account/instruments" => Ok(engine
                .quotes()
                .filter(|quote| wanted(asked, &quote.instrument.instrument, engine.now_ms()))
                .map(instrument_row)
                .collect()),
            "account/leverage-info" => leverage_info(account, asked, engine),
            "asset/currencies" => Ok(vec![json!({
                "ccy": "USDT", "name": "Tether", "chain": "USDT-ERC20", "canDep": true, "canWd": true, "canInternal": true,
                "minFee": "1", "maxFee": "2", "minWd": "2", "maxWd": "1000000", "minDep": "1", "wdTickSz": "6", "mainNet": false,
                "wdQuota": "1000000", "usedWdQuota": "0", "fee": "1", "burningFeeRate": "", "needTag": false,
            })]),
            _ => Err(refusal("404", "Invalid path")),
        }
    }

    fn write(&self, path: &str, body: &Value, key: &str, engine: &mut Engine) -> Response {
        let (act, batch) = match path {
            "trade/order" => (Act::Place, false),
            "trade/batch-orders" => (Act::Place, true),
            "trade/amend-order" => (Act::Amend, false),
            "trade/amend-batch-orders" => (Act::Amend, true),
            "trade/cancel-order" => (Act::Cancel, false),
            "trade/cancel-batch-orders" => (Act::Cancel, true),
            "trade/order-algo" => (Act::PlaceTrigger, false),
            "trade/cancel-algos" => (Act::CancelTrigger, true),
            _ => {
                return self
                    .set(path, body, key, engine)
                    .map_or_else(|refusal| error(200, &refusal), ok);
            }
        };
        let arguments = match (batch, body) {
            (true, Value::Array(orders)) => orders.clone(),
            (false, Value::Object(_)) => vec![body.clone()],
            _ => return error(400, &refusal("50002", "JSON syntax error")),
        };
        let came_in = engine.now_ms();
        match self.operate(act, Naming::Name, &arguments, key, engine) {
            Ok(outcome) => response(
                200,
                &json!({ "code": outcome.code, "msg": outcome.message, "data": outcome.data,
                         "inTime": (came_in * 1_000).to_string(), "outTime": (engine.now_ms() * 1_000 + 500).to_string() }),
            ),
            Err(refusal) => error(200, &refusal),
        }
    }

    fn set(&self, path: &str, body: &Value, key: &str, engine: &mut Engine) -> Result<Vec<Value>, Refusal> {
        match path {
            "trade/close-position" => Ok(vec![self.close(body, key, engine)?]),
            "trade/cancel-all-after" => {
                let seconds = whole(body, "timeOut").ok_or_else(|| bad("timeOut"))?;
                if seconds != 0 && !(10..=120).contains(&seconds) {
                    return Err(bad("timeOut"));
                }
                let now_ms = engine.now_ms();
                let at = (seconds > 0).then(|| now_ms + seconds * 1_000);
                engine.cancel_all_at(key, at);
                Ok(vec![
                    json!({ "triggerTime": at.unwrap_or_default().to_string(), "ts": now_ms.to_string(), "tag": "" }),
                ])
            }
            "account/set-position-mode" => {
                let (word, mode) = match body["posMode"].as_str() {
                    Some("net_mode") => ("net_mode", PositionMode::OneWay),
                    Some("long_short_mode") => ("long_short_mode", PositionMode::Hedge),
                    _ => return Err(bad("posMode")),
                };
                match engine.set_position_mode(key, mode) {
                    // Saying what is so already is no error here.
                    Ok(()) | Err(Reject::Unchanged) => Ok(vec![json!({ "posMode": word })]),
                    Err(reject) => Err(rejected(&reject)),
                }
            }
            "account/set-leverage" => set_leverage(body, key, engine),
            _ => Err(refusal("404", "Invalid path")),
        }
    }
}

fn config(account: &Account) -> Value {
    json!({
        "acctLv": "2", "acctStpMode": "cancel_maker", "autoLoan": false, "ctIsoMode": "automatic", "enableSpotBorrow": false,
        "feeType": "0", "greeksType": "PA", "ip": "", "kycLv": "3", "label": "simulator", "level": "Lv1", "levelTmp": "",
        "liquidationGear": "-1", "mainUid": "44705892343619584", "mgnIsoMode": "automatic", "opAuth": "0",
        "perm": "read_only,trade", "posMode": mode_word(account), "roleType": "0", "settleCcy": "USDT",
        "settleCcyList": ["USD", "USDC"], "spotBorrowAutoRepay": false, "spotOffsetType": "", "spotRoleType": "0",
        "spotTraderInsts": [], "traderInsts": [], "type": "0", "uid": "44705892343619584",
    })
}

/// The positions a leverage is told of.
fn sides(mode: PositionMode) -> &'static [PositionSide] {
    match mode {
        PositionMode::OneWay => &[PositionSide::Net],
        PositionMode::Hedge => &[PositionSide::Long, PositionSide::Short],
    }
}

fn leverage_info(account: &Account, asked: &Value, engine: &Engine) -> Result<Vec<Value>, Refusal> {
    let names = text(asked, "instId").ok_or_else(|| bad("instId"))?;
    let margin = margin_mode(asked, "mgnMode")?;
    let mut rows = Vec::new();
    for name in names.split(',') {
        if engine.quote(name).is_none() {
            return Err(rejected(&Reject::UnknownInstrument));
        }
        rows.extend(sides(account.position_mode).iter().map(|side| {
            json!({ "ccy": "", "instId": name, "mgnMode": margin_word(margin), "posSide": position_word(*side),
                    "lever": super::super::shared::plain(account.leverage_of(name)) })
        }));
    }
    Ok(rows)
}

fn set_leverage(body: &Value, key: &str, engine: &mut Engine) -> Result<Vec<Value>, Refusal> {
    let name = text(body, "instId").ok_or_else(|| bad("instId"))?;
    let margin = margin_mode(body, "mgnMode")?;
    let wanted = number(body, "lever").ok_or_else(|| bad("lever"))?;
    let most = engine
        .quote(&name)
        .ok_or_else(|| rejected(&Reject::UnknownInstrument))?
        .instrument
        .maximum_leverage;
    let account = engine.account_mut(key).ok_or_else(|| bad("instId"))?;
    let side = match (margin, account.position_mode) {
        // Cross margin has one leverage for both positions.
        (MarginMode::Cross, _) => PositionSide::Net,
        (MarginMode::Isolated, mode) => position_side(body, mode)?,
    };
    if most.is_some_and(|most| wanted > most) {
        return Err(refusal(
            "59102",
            "Leverage exceeds the maximum limit. Please lower the leverage.",
        ));
    }
    if wanted < Decimal::ONE {
        return Err(bad("lever"));
    }
    account.leverage.insert(name.clone(), wanted);
    let sides: &[PositionSide] = match (side, account.position_mode) {
        (PositionSide::Net, mode) => sides(mode),
        (PositionSide::Long, _) => &[PositionSide::Long],
        (PositionSide::Short, _) => &[PositionSide::Short],
    };
    Ok(sides
        .iter()
        .map(|side| {
            json!({ "lever": super::super::shared::plain(wanted), "mgnMode": margin_word(margin), "instId": name,
                    "posSide": position_word(*side) })
        })
        .collect())
}
