//! What can be asked: `POST /info`.

use serde_json::{Value, json};

use super::{
    Hyperliquid, all_mids, asset_context, candle, fill_of, id, interval_ms, l2_book, long_order, lower,
    order_update, print, short_order, status_word, trade_of, zero_or,
};
use crate::model::{Decimal, Fill, MarginMode, Order, OrderStatus, Position, Side, Text, Trade};
use crate::operation::OrderRef;
use crate::simulate::engine::{Engine, Quote};

/// Requests an address has before it traded.
const REQUEST_BUFFER: u64 = 10_000;
/// Most fills of an answer.
const MAXIMUM_FILLS: usize = 2_000;

/// Money in USDC that an address has traded.
pub(super) fn traded(engine: &Engine, user: &str) -> Decimal {
    engine
        .account(user)
        .into_iter()
        .flat_map(|account| account.fills())
        .map(|fill| fill.price * fill.size)
        .sum()
}

/// Requests an address may make in all: one for each USDC it traded and some to begin with.
pub(super) fn request_cap(engine: &Engine, user: &str) -> u64 {
    Engine::whole(traded(engine, user)) + REQUEST_BUFFER
}

fn universe(engine: &Engine) -> Value {
    engine
        .quotes()
        .map(|quote| {
            let instrument = &quote.instrument;
            json!({ "szDecimals": instrument.lot.normalize().scale(), "name": instrument.instrument,
                    "maxLeverage": Engine::whole(instrument.maximum_leverage.unwrap_or_default()), "marginTableId": 50 })
        })
        .collect()
}

fn meta(engine: &Engine) -> Value {
    json!({ "universe": universe(engine), "collateralToken": 0,
            "marginTables": [[50, { "description": "", "marginTiers": [{ "lowerBound": "0.0", "maxLeverage": 50 }] }]] })
}

fn spot_meta() -> Value {
    json!({ "universe": [], "tokens": [{ "name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0,
            "tokenId": "0x6d1e7cde53ba9467b783cb7c530ce054", "isCanonical": true, "evmContract": null, "fullName": null }] })
}

pub(super) fn spot_state() -> Value {
    json!({ "balances": [{ "coin": "USDC", "token": 0, "total": "0.0", "hold": "0.0", "entryNtl": "0.0" }] })
}

fn asset_position(position: &Position, quote: Option<&Quote>) -> Value {
    let mark = position.mark_price.unwrap_or_default();
    let notional = (position.size * mark).abs();
    let leverage = position.leverage.unwrap_or(Decimal::ONE);
    let margin = notional.checked_div(leverage).unwrap_or_default().round_dp(6);
    let profit = position.unrealised_profit.unwrap_or_default().round_dp(6);
    let kind = match position.margin_mode {
        Some(MarginMode::Isolated) => "isolated",
        _ => "cross",
    };
    let most = quote.and_then(|quote| quote.instrument.maximum_leverage);
    json!({ "type": "oneWay", "position": {
        "coin": position.instrument, "szi": print(position.size), "entryPx": position.entry_price.map(print),
        "leverage": { "type": kind, "value": Engine::whole(leverage) }, "liquidationPx": null, "marginUsed": print(margin),
        "maxLeverage": Engine::whole(most.unwrap_or(Decimal::TEN)), "positionValue": print(notional),
        "returnOnEquity": print(profit.checked_div(margin).unwrap_or_default().round_dp(8)), "unrealizedPnl": print(profit),
        "cumFunding": { "allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0" } } })
}

/// Positions and margin of an address; empty for one that never came here.
pub(super) fn clearinghouse_state(engine: &Engine, user: &str) -> Value {
    let positions = engine.positions(user);
    let (equity, free) = engine.balance(user).map_or_else(Default::default, |balance| {
        (
            balance.equity.unwrap_or_default(),
            balance.available.unwrap_or_default(),
        )
    });
    let value = |position: &Position| position.size * position.mark_price.unwrap_or_default();
    let notional: Decimal = positions.iter().map(|position| value(position).abs()).sum();
    let net: Decimal = positions.iter().map(value).sum();
    let summary = json!({ "accountValue": print(equity), "totalNtlPos": print(notional),
                          "totalRawUsd": print(equity - net), "totalMarginUsed": print(equity - free) });
    let list: Vec<Value> = positions
        .iter()
        .map(|position| asset_position(position, engine.quote(&position.instrument)))
        .collect();
    json!({ "marginSummary": summary, "crossMarginSummary": summary, "crossMaintenanceMarginUsed": "0.0",
            "withdrawable": print(free), "assetPositions": list, "time": engine.now_ms() })
}

/// Open orders of an address, newest first, each as `form` prints it.
pub(super) fn open_orders(engine: &Engine, user: &str, form: fn(&Order) -> Value) -> Value {
    engine
        .account(user)
        .into_iter()
        .flat_map(|account| account.orders().rev())
        .filter(|order| {
            matches!(
                order.status,
                OrderStatus::Open | OrderStatus::PartiallyFilled | OrderStatus::Untriggered
            )
        })
        .map(form)
        .collect()
}

fn fills(engine: &Engine, user: &str, wanted: impl Fn(&Fill) -> bool) -> Vec<Value> {
    engine
        .account(user)
        .into_iter()
        .flat_map(|account| account.fills())
        .filter(|fill| wanted(fill))
        .map(|fill| fill_of(fill, user))
        .collect()
}

fn order_status(engine: &Engine, user: &str, oid: &Value) -> Value {
    let wanted = match oid {
        Value::String(client_id) => OrderRef {
            client_order_id: Some(Text::new(client_id)),
            ..OrderRef::default()
        },
        number => OrderRef {
            order_id: Some(Text::from(number.to_string())),
            ..OrderRef::default()
        },
    };
    match engine.account(user).and_then(|account| account.order(&wanted)) {
        Some(order) => {
            json!({ "status": "order", "order": { "order": long_order(order), "status": status_word(order),
                                                             "statusTimestamp": order.time_ms } })
        }
        None => json!({ "status": "unknownOid" }),
    }
}

fn candles(engine: &Engine, request: &Value) -> Option<Value> {
    let quote = engine.quote(request["coin"].as_str()?)?;
    let interval = request["interval"].as_str()?;
    let length = interval_ms(interval);
    let now_ms = engine.now_ms();
    let end = request["endTime"].as_u64().unwrap_or(now_ms).min(now_ms);
    let start = request["startTime"]
        .as_u64()
        .unwrap_or(0)
        .max(end.saturating_sub(5_000 * length));
    let first = start.div_ceil(length);
    Some(
        (first..=end / length)
            .map(|index| candle(quote, interval, index * length))
            .collect(),
    )
}

impl Hyperliquid {
    /// The answer to a question; none if it cannot be read.
    pub(super) fn info(&self, request: &Value, engine: &Engine) -> Option<Value> {
        let coin = || request["coin"].as_str().and_then(|coin| engine.quote(coin));
        let user = || lower(&request["user"]).filter(|user| user.starts_with("0x") && user.len() == 42);
        let contexts = || engine.quotes().map(asset_context).collect::<Vec<Value>>();
        let answer = match request["type"].as_str()? {
            "meta" => meta(engine),
            "metaAndAssetCtxs" => json!([meta(engine), contexts()]),
            "spotMeta" => spot_meta(),
            "spotMetaAndAssetCtxs" => json!([spot_meta(), []]),
            // The first is the venue's own; nobody deployed another.
            "perpDexs" => json!([null]),
            "exchangeStatus" => json!({ "time": engine.now_ms(), "specialStatuses": null }),
            "allMids" => all_mids(engine),
            "l2Book" => l2_book(engine, coin()?),
            "recentTrades" => {
                let quote = coin()?;
                json!([trade_of(&Trade {
                    instrument: quote.instrument.instrument.clone(),
                    trade_id: Text::from(quote.sequence.to_string()),
                    side: Side::Buy,
                    size: quote.instrument.lot * Decimal::ONE_HUNDRED,
                    price: quote.price,
                    buyer: None,
                    seller: None,
                    liquidation: false,
                    time_ms: engine.now_ms(),
                })])
            }
            "candleSnapshot" => candles(engine, &request["req"])?,
            "fundingHistory" => {
                json!([{ "coin": coin()?.instrument.instrument, "fundingRate": "0.0000125", "premium": "0.0",
                                         "time": engine.now_ms() - engine.now_ms() % 3_600_000 }])
            }
            "clearinghouseState" => clearinghouse_state(engine, &user()?),
            "spotClearinghouseState" => {
                user()?;
                spot_state()
            }
            "openOrders" => open_orders(engine, &user()?, short_order),
            "frontendOpenOrders" => open_orders(engine, &user()?, long_order),
            "historicalOrders" => {
                let user = user()?;
                engine
                    .account(&user)
                    .into_iter()
                    .flat_map(|account| account.orders().rev().take(MAXIMUM_FILLS))
                    .map(|order| {
                        let mut update = order_update(order);
                        update["order"] = long_order(order);
                        update
                    })
                    .collect()
            }
            "userFills" => {
                let mut newest = fills(engine, &user()?, |_| true);
                newest.reverse();
                newest.truncate(MAXIMUM_FILLS);
                Value::from(newest)
            }
            "userFillsByTime" => {
                let start = request["startTime"].as_u64()?;
                let end = request["endTime"].as_u64().unwrap_or(u64::MAX);
                let mut oldest = fills(engine, &user()?, |fill| (start..=end).contains(&fill.time_ms));
                oldest.truncate(MAXIMUM_FILLS);
                Value::from(oldest)
            }
            "orderStatus" => order_status(engine, &user()?, &request["oid"]),
            "userRateLimit" => {
                let user = user()?;
                let used = self.memory().requests.get(&user).copied().unwrap_or_default();
                json!({ "cumVlm": print(traded(engine, &user)), "nRequestsUsed": used,
                        "nRequestsCap": request_cap(engine, &user) })
            }
            "userRole" => {
                let user = user()?;
                match self.memory().agents.get(&user) {
                    Some(owner) => json!({ "role": "agent", "data": { "user": owner } }),
                    None if engine.account(&user).is_some() => json!({ "role": "user" }),
                    None => json!({ "role": "missing" }),
                }
            }
            "extraAgents" => {
                let user = user()?;
                self.memory()
                    .agents
                    .iter()
                    .filter(|(_, owner)| **owner == user)
                    .map(|(agent, _)| json!({ "address": agent, "name": "agent", "validUntil": engine.now_ms() + 86_400_000 }))
                    .collect()
            }
            "userAbstraction" => json!("default"),
            "maxBuilderFee" => json!(0),
            "userFees" => {
                json!({ "userCrossRate": "0.0005", "userAddRate": "0.0002", "activeReferralDiscount": "0.0",
                                  "dailyUserVlm": [] })
            }
            "activeAssetData" => {
                let (user, quote) = (user()?, coin()?);
                let leverage = engine
                    .account(&user)
                    .map(|account| account.leverage_of(&quote.instrument.instrument))
                    .unwrap_or_default();
                json!({ "user": user, "coin": quote.instrument.instrument, "markPx": print(quote.price),
                        "leverage": { "type": "cross", "value": Engine::whole(leverage) },
                        "maxTradeSzs": ["0.0", "0.0"], "availableToTrade": [
                            zero_or(engine.balance(&user).and_then(|balance| balance.available)),
                            zero_or(engine.balance(&user).and_then(|balance| balance.available))] })
            }
            "userFunding" | "userNonFundingLedgerUpdates" | "userTwapSliceFills" | "userVaultEquities" => {
                user()?;
                json!([])
            }
            "subAccounts" => Value::Null,
            "tokenDetails" => json!({ "name": "USDC", "index": id("0") }),
            _ => return None,
        };
        Some(answer)
    }
}
