//! What v3 tells of an account, and its settings.

use serde_json::{Value, json};

use super::super::super::shared::{plain, text, whole};
use super::super::orders::{leverage, order_ref, quote_of};
use super::super::rest::{PAGE, in_scope};
use super::super::rows::{margin_word, mode_word, trade_id};
use super::super::{Bitget, Refusal, missing, refusal};
use super::orders::position_side;
use super::{PRODUCT, bad, category, not_found, only_listed, rows, told};
use crate::model::{Order, OrderStatus, PositionMode, PositionSide};
use crate::simulate::engine::{Account, Engine, Reject};

/// One page of rows that are newest first; the cursor is the id of its last row.
fn page(rows: impl Iterator<Item = (u64, Value)>, asked: &Value) -> Value {
    let limit = whole(asked, "limit")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(PAGE)
        .clamp(1, PAGE);
    let below = whole(asked, "cursor").unwrap_or(u64::MAX);
    let rows: Vec<(u64, Value)> = rows.filter(|(id, _)| *id < below).take(limit).collect();
    let cursor = rows.last().map(|(id, _)| id.to_string());
    let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
    json!({ "list": rows, "cursor": cursor })
}

fn number_of(order: &Order) -> u64 {
    order.order_id.parse().unwrap_or_default()
}

/// Whether what is asked for is of the product here; lists need not name one.
fn of_product(asked: &Value) -> Result<bool, Refusal> {
    if text(asked, "category").is_some() {
        category(asked)
    } else {
        Ok(true)
    }
}

fn settings(account: &Account, engine: &Engine) -> Value {
    let symbols: Vec<Value> = engine
        .quotes()
        .map(|quote| {
            let name = &quote.instrument.instrument;
            let margin = account.margin_modes.get(name).copied().unwrap_or_default();
            json!({ "category": PRODUCT, "symbol": name, "marginMode": margin_word(margin),
                    "leverage": plain(account.leverage_of(name)) })
        })
        .collect();
    json!({ "uid": "1111111111", "accountMode": "unified", "assetMode": "multi_assets", "accountLevel": "advanced",
            "holdMode": mode_word(account.position_mode), "stpMode": "none", "symbolConfigList": symbols,
            "coinConfigList": [] })
}

impl Bitget {
    /// Answers a signed question below `/api/v3/`.
    pub(super) fn unified_read(
        &self,
        path: &str,
        asked: &Value,
        key: &str,
        engine: &Engine,
    ) -> Result<Value, Refusal> {
        let account = engine
            .account(key)
            .ok_or_else(|| refusal("40006", "Invalid ACCESS_KEY"))?;
        match path {
            "account/assets" => Ok(engine.balance(key).as_ref().map_or(Value::Null, rows::assets)),
            "account/settings" => Ok(settings(account, engine)),
            "position/current-position" => positions(asked, key, engine),
            "trade/order-info" => {
                let wanted = order_ref(asked)?;
                account
                    .order(&wanted)
                    .filter(|order| order.trigger_price.is_none())
                    .map(|order| self.unified_order(key, order, engine))
                    .ok_or_else(|| told(&Reject::UnknownOrder))
            }
            "trade/unfilled-orders" | "trade/history-orders" => {
                let open = path == "trade/unfilled-orders";
                let listed = of_product(asked)?;
                let rows = account
                    .orders()
                    .rev()
                    .filter(|order| {
                        listed && order.trigger_price.is_none() && order.status.is_final() != open
                    })
                    .filter(|order| in_scope(asked, &order.instrument, order.time_ms))
                    .map(|order| (number_of(order), self.unified_order(key, order, engine)));
                Ok(page(rows, asked))
            }
            "trade/fills" => {
                let listed = of_product(asked)?;
                let order_of = |id: &str| account.orders().rev().find(|order| order.order_id == id);
                let wanted = text(asked, "orderId");
                let first = whole(asked, "startTime").unwrap_or_default();
                let last = whole(asked, "endTime").unwrap_or(u64::MAX);
                let rows = account
                    .fills()
                    .iter()
                    .rev()
                    .filter(|fill| listed && (first..=last).contains(&fill.time_ms))
                    .filter(|fill| wanted.as_ref().is_none_or(|id| fill.order_id == *id))
                    .map(|fill| (trade_id(fill), rows::fill(fill, order_of(&fill.order_id), false)));
                Ok(page(rows, asked))
            }
            "trade/unfilled-strategy-orders" => {
                only_listed(asked)?;
                Ok(account
                    .orders()
                    .rev()
                    .filter(|order| order.status == OrderStatus::Untriggered)
                    .filter(|order| in_scope(asked, &order.instrument, order.time_ms))
                    .map(|order| self.strategy_row(order))
                    .collect())
            }
            "trade/history-strategy-orders" => {
                only_listed(asked)?;
                let rows = account
                    .orders()
                    .rev()
                    .filter(|order| order.trigger_price.is_some() && order.status != OrderStatus::Untriggered)
                    .filter(|order| in_scope(asked, &order.instrument, order.time_ms))
                    .map(|order| (number_of(order), self.strategy_row(order)));
                Ok(page(rows, asked))
            }
            _ => Err(not_found()),
        }
    }
}

fn positions(asked: &Value, key: &str, engine: &Engine) -> Result<Value, Refusal> {
    let listed = category(asked)?;
    let symbol = text(asked, "symbol");
    let wanted = position_side(asked)?;
    let rows: Vec<Value> = engine
        .positions(key)
        .iter()
        .filter(|position| {
            listed
                && symbol
                    .as_ref()
                    .is_none_or(|symbol| position.instrument == *symbol)
        })
        .filter(|position| {
            wanted.is_none_or(|wanted| (wanted == PositionSide::Long) == position.size.is_sign_positive())
        })
        .map(rows::position)
        .collect();
    Ok(json!({ "list": rows }))
}

pub(super) fn set_leverage(asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    only_listed(asked)?;
    let quote = quote_of(asked, engine)?;
    let symbol = quote.instrument.instrument.clone();
    let wanted = leverage(asked, "leverage", quote)?.ok_or_else(|| missing("leverage"))?;
    let account = engine
        .account_mut(key)
        .ok_or_else(|| refusal("40006", "Invalid ACCESS_KEY"))?;
    account.leverage.insert(symbol, wanted);
    Ok(json!("success"))
}

pub(super) fn set_hold_mode(asked: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
    let mode = match text(asked, "holdMode").as_deref() {
        Some("one_way_mode") => PositionMode::OneWay,
        Some("hedge_mode") => PositionMode::Hedge,
        Some(_) => return Err(bad("holdMode")),
        None => return Err(missing("holdMode")),
    };
    match engine.set_position_mode(key, mode) {
        // Saying what is so already is no error here.
        Ok(()) | Err(Reject::Unchanged) => Ok(json!("success")),
        Err(reject) => Err(told(&reject)),
    }
}
