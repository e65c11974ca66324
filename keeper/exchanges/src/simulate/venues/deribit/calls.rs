//! The methods, the same over HTTP and sockets.

use serde_json::{Value, json};

use super::form::{
    CURRENCIES, amount, book_levels, fill_of, index_name, instrument_of, order_of, position_in, position_of,
    settled_in, summary, ticker_of, trade_of,
};
use super::{Deribit, Failure};
use crate::model::{
    Decimal, Fill, MarginMode, Order, OrderKind, OrderStatus, PositionSide, Side, Text, TimeInForce, Trade,
    TriggerPrice,
};
use crate::operation::{AmendOrder, ConditionalOrder, NewOrder, OrderRef};
use crate::simulate::engine::{Engine, Quote, Reject};
use crate::simulate::wire::Wire as _;

/// Longest label.
const LABEL_LENGTH: usize = 64;

/// Parameters: texts where they came in a query, typed where they came in JSON.
pub(super) struct Parameters<'a>(pub &'a Value);

impl Parameters<'_> {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match &self.0[name] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    fn need(&self, name: &str) -> Result<String, Failure> {
        self.text(name)
            .ok_or_else(|| Failure::parameter(name, "required"))
    }

    pub(super) fn decimal(&self, name: &str) -> Result<Option<Decimal>, Failure> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        text.parse()
            .or_else(|_| Decimal::from_scientific(&text))
            .map(Some)
            .map_err(|_| Failure::parameter(name, "must be a number"))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text == "true")
    }

    pub(super) fn integer(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    fn quote<'e>(&self, engine: &'e Engine) -> Result<&'e Quote, Failure> {
        let name = self.need("instrument_name")?;
        engine
            .quote(&name)
            .ok_or_else(|| Failure::new(13020, "not_found"))
    }
}

fn open(order: &Order) -> bool {
    matches!(
        order.status,
        OrderStatus::Open | OrderStatus::PartiallyFilled | OrderStatus::Untriggered
    )
}

fn orders(engine: &Engine, key: &str, wanted: impl Fn(&Order) -> bool) -> Value {
    engine
        .account(key)
        .into_iter()
        .flat_map(|account| account.orders().rev())
        .filter(|order| wanted(order))
        .map(|order| order_of(engine, order))
        .collect()
}

fn fills_of_order(engine: &Engine, key: &str, order_id: &str) -> Value {
    engine
        .account(key)
        .into_iter()
        .flat_map(|account| account.fills())
        .filter(|fill| fill.order_id == order_id)
        .map(|fill| fill_of(engine, key, fill))
        .collect()
}

fn with_trades(engine: &Engine, key: &str, order: &Order) -> Value {
    json!({ "order": order_of(engine, order), "trades": fills_of_order(engine, key, &order.order_id) })
}

fn user_trades(
    engine: &Engine,
    key: &str,
    parameters: &Parameters<'_>,
    wanted: impl Fn(&Fill) -> bool,
) -> Value {
    let count = usize::try_from(parameters.integer("count").unwrap_or(10)).unwrap_or(10);
    let start = parameters.integer("start_timestamp").unwrap_or(0);
    let end = parameters.integer("end_timestamp").unwrap_or(u64::MAX);
    let oldest_first = parameters.text("sorting").as_deref() == Some("asc");
    let mut found: Vec<&Fill> = engine
        .account(key)
        .into_iter()
        .flat_map(|account| account.fills().iter().rev())
        .filter(|fill| (start..=end).contains(&fill.time_ms) && wanted(fill))
        .collect();
    if oldest_first {
        found.reverse();
    }
    let more = found.len() > count;
    let trades: Vec<Value> = found
        .into_iter()
        .take(count)
        .map(|fill| fill_of(engine, key, fill))
        .collect();
    json!({ "trades": trades, "has_more": more })
}

fn chart(engine: &Engine, parameters: &Parameters<'_>) -> Result<Value, Failure> {
    let quote = parameters.quote(engine)?;
    let length = super::resolution_ms(&parameters.need("resolution")?);
    let now_ms = engine.now_ms();
    let end = parameters.integer("end_timestamp").unwrap_or(now_ms).min(now_ms);
    let start = parameters
        .integer("start_timestamp")
        .unwrap_or(0)
        .max(end.saturating_sub(5_000 * length));
    let ticks: Vec<u64> = (start.div_ceil(length)..=end / length)
        .map(|index| index * length)
        .collect();
    let each = |value: Value| vec![value; ticks.len()];
    let price = amount(quote.price);
    Ok(
        json!({ "status": if ticks.is_empty() { "no_data" } else { "ok" }, "open": each(price.clone()),
               "high": each(price.clone()), "low": each(price.clone()), "close": each(price),
               "volume": each(amount(Decimal::ONE)), "cost": each(amount(quote.price)), "ticks": ticks }),
    )
}

fn book_of(engine: &Engine, quote: &Quote, depth: usize) -> Value {
    let (bids, asks) = book_levels(&engine.book(quote), depth);
    let mut value = ticker_of(engine, quote);
    if let Some(members) = value.as_object_mut() {
        members.insert("bids".to_owned(), bids);
        members.insert("asks".to_owned(), asks);
        members.insert("change_id".to_owned(), json!(quote.sequence));
    }
    value
}

fn book_summary(engine: &Engine, quote: &Quote) -> Value {
    let ticker = engine.ticker(quote);
    json!({ "instrument_name": ticker.instrument, "creation_timestamp": engine.now_ms(), "last": amount(quote.price),
            "high": amount(quote.price), "low": amount(quote.price), "mark_price": amount(quote.price),
            "mid_price": amount(quote.price), "bid_price": ticker.bid.map(amount), "ask_price": ticker.ask.map(amount),
            "base_currency": quote.instrument.base, "quote_currency": quote.instrument.quote,
            "volume": amount(Decimal::ONE_HUNDRED), "volume_usd": amount(Decimal::ONE_THOUSAND),
            "open_interest": amount(Decimal::ONE_HUNDRED), "price_change": amount(Decimal::ZERO),
            "estimated_delivery_price": amount(quote.price), "funding_8h": amount(Decimal::new(1, 4)),
            "current_funding": amount(Decimal::new(1, 5)) })
}

/// Whether an instrument settles in the currency that is asked for.
fn in_currency(parameters: &Parameters<'_>, engine: &Engine, instrument: &str) -> bool {
    parameters.text("currency").is_none_or(|currency| {
        currency == "any" || settled_in(engine, instrument).is_some_and(|settle| settle == currency)
    })
}

fn of_kind(parameters: &Parameters<'_>) -> bool {
    parameters
        .text("kind")
        .is_none_or(|kind| kind == "any" || kind == "future")
}

impl Deribit {
    fn refuse(&self, reject: &Reject) -> Failure {
        let (code, message) = self.reject(reject);
        Failure::new(code.parse().unwrap_or(10_001), &message)
    }

    /// A public method that needs no socket.
    pub(super) fn public(
        &self,
        method: &str,
        parameters: &Parameters<'_>,
        engine: &Engine,
    ) -> Result<Value, Failure> {
        Ok(match method {
            "get_time" => json!(engine.now_ms()),
            "test" | "hello" => json!({ "version": "1.2.26" }),
            "status" => json!({ "locked": "false" }),
            "get_currencies" => {
                let row = |(currency, name, places): (&str, &str, u32)| {
                    json!({ "currency": currency, "currency_long": name, "coin_type": currency, "fee_precision": places,
                            "min_confirmations": 1, "min_withdrawal_fee": amount(Decimal::ZERO),
                            "withdrawal_fee": amount(Decimal::ZERO), "withdrawal_priorities": [] })
                };
                json!([row(("USDC", "USD Coin", 6)), row(("BTC", "Bitcoin", 4))])
            }
            "get_instruments" => {
                let expired = parameters.flag("expired");
                engine
                    .quotes()
                    .filter(|quote| in_currency(parameters, engine, &quote.instrument.instrument))
                    .filter(|_| of_kind(parameters) && !expired)
                    .map(instrument_of)
                    .collect()
            }
            "get_instrument" => instrument_of(parameters.quote(engine)?),
            "ticker" => ticker_of(engine, parameters.quote(engine)?),
            "get_order_book" => {
                let depth = parameters.integer("depth").unwrap_or(20);
                book_of(
                    engine,
                    parameters.quote(engine)?,
                    usize::try_from(depth).unwrap_or(usize::MAX),
                )
            }
            "get_book_summary_by_instrument" => json!([book_summary(engine, parameters.quote(engine)?)]),
            "get_book_summary_by_currency" => engine
                .quotes()
                .filter(|quote| in_currency(parameters, engine, &quote.instrument.instrument))
                .filter(|_| of_kind(parameters))
                .map(|quote| book_summary(engine, quote))
                .collect(),
            "get_last_trades_by_instrument" | "get_last_trades_by_instrument_and_time" => {
                let quote = parameters.quote(engine)?;
                let trade = Trade {
                    instrument: quote.instrument.instrument.clone(),
                    trade_id: Text::from(match quote.instrument.settle.as_str() {
                        "BTC" => quote.sequence.to_string(),
                        currency => format!("{currency}-{}", quote.sequence),
                    }),
                    side: Side::Buy,
                    size: quote.instrument.lot,
                    price: quote.price,
                    buyer: None,
                    seller: None,
                    liquidation: false,
                    time_ms: engine.now_ms(),
                };
                json!({ "trades": [trade_of(engine, &trade)], "has_more": false })
            }
            "get_tradingview_chart_data" => chart(engine, parameters)?,
            "get_funding_rate_value" => {
                parameters.quote(engine)?;
                amount(Decimal::new(1, 5))
            }
            "get_funding_rate_history" => {
                let quote = parameters.quote(engine)?;
                let hour = engine.now_ms() - engine.now_ms() % 3_600_000;
                json!([{ "timestamp": hour, "index_price": amount(quote.price), "prev_index_price": amount(quote.price),
                         "interest_8h": amount(Decimal::new(1, 4)), "interest_1h": amount(Decimal::new(1, 5)) }])
            }
            "get_index_price" => {
                let wanted = parameters.need("index_name")?;
                let quote = engine
                    .quotes()
                    .find(|quote| wanted == index_name(&quote.instrument))
                    .ok_or_else(|| Failure::parameter("index_name", "unknown index"))?;
                json!({ "index_price": amount(quote.price), "estimated_delivery_price": amount(quote.price) })
            }
            _ => return Err(Failure::new(-32601, "Method not found")),
        })
    }

    /// A method of an account.
    pub(super) fn private(
        &self,
        key: &str,
        method: &str,
        parameters: &Parameters<'_>,
        engine: &mut Engine,
    ) -> Result<Value, Failure> {
        match method {
            "buy" => self.place(key, Side::Buy, parameters, engine),
            "sell" => self.place(key, Side::Sell, parameters, engine),
            "edit" | "edit_by_label" => self.edit(key, method, parameters, engine),
            "cancel" => {
                let wanted = OrderRef {
                    order_id: Some(Text::from(parameters.need("order_id")?)),
                    ..OrderRef::default()
                };
                self.cancel(key, &wanted, engine)
            }
            "cancel_by_label" => {
                let label = parameters.need("label")?;
                let ids = ids(engine, key, |order| {
                    open(order) && order.client_order_id.as_deref() == Some(label.as_str())
                });
                Ok(json!(cancel_each(engine, key, ids)))
            }
            "cancel_all" => Ok(json!(engine.cancel_all(key, None, true).len())),
            "cancel_all_by_currency" | "cancel_all_by_kind_or_type" => {
                let names: Vec<Text> = engine
                    .quotes()
                    .map(|quote| quote.instrument.instrument.clone())
                    .filter(|name| in_currency(parameters, engine, name))
                    .collect();
                let cancelled = names
                    .iter()
                    .map(|name| engine.cancel_all(key, Some(name), true).len());
                Ok(json!(cancelled.sum::<usize>()))
            }
            "cancel_all_by_instrument" => {
                let name = parameters.quote(engine)?.instrument.instrument.clone();
                Ok(json!(engine.cancel_all(key, Some(&name), true).len()))
            }
            "close_position" => self.close(key, parameters, engine),
            _ => self.read(key, method, parameters, engine),
        }
    }

    fn read(
        &self,
        key: &str,
        method: &str,
        parameters: &Parameters<'_>,
        engine: &Engine,
    ) -> Result<Value, Failure> {
        Ok(match method {
            "get_open_orders" => orders(engine, key, open),
            "get_open_orders_by_currency" => orders(engine, key, |order| {
                open(order) && in_currency(parameters, engine, &order.instrument)
            }),
            "get_open_orders_by_instrument" => {
                let name = &parameters.quote(engine)?.instrument.instrument;
                orders(engine, key, |order| open(order) && order.instrument == *name)
            }
            "get_open_orders_by_label" => {
                let label = parameters.need("label")?;
                orders(engine, key, |order| {
                    open(order) && order.client_order_id.as_deref() == Some(label.as_str())
                })
            }
            "get_order_history_by_currency" => orders(engine, key, |order| {
                order.status.is_final() && in_currency(parameters, engine, &order.instrument)
            }),
            "get_order_history_by_instrument" => {
                let name = &parameters.quote(engine)?.instrument.instrument;
                orders(engine, key, |order| {
                    order.status.is_final() && order.instrument == *name
                })
            }
            "get_order_state" => {
                let wanted = OrderRef {
                    order_id: Some(Text::from(parameters.need("order_id")?)),
                    ..OrderRef::default()
                };
                engine
                    .account(key)
                    .and_then(|account| account.order(&wanted))
                    .map(|order| order_of(engine, order))
                    .ok_or_else(|| self.refuse(&Reject::UnknownOrder))?
            }
            "get_order_state_by_label" => {
                let label = parameters.need("label")?;
                orders(engine, key, |order| {
                    order.client_order_id.as_deref() == Some(label.as_str())
                })
            }
            "get_user_trades_by_order" => fills_of_order(engine, key, &parameters.need("order_id")?),
            "get_user_trades_by_instrument" | "get_user_trades_by_instrument_and_time" => {
                let name = &parameters.quote(engine)?.instrument.instrument;
                user_trades(engine, key, parameters, |fill| fill.instrument == *name)
            }
            "get_user_trades_by_currency" | "get_user_trades_by_currency_and_time" => {
                user_trades(engine, key, parameters, |fill| {
                    in_currency(parameters, engine, &fill.instrument)
                })
            }
            "get_position" => {
                let name = &parameters.quote(engine)?.instrument.instrument;
                position_of(engine, &position_in(engine, key, name), None)
            }
            "get_positions" => engine
                .positions(key)
                .iter()
                .filter(|position| in_currency(parameters, engine, &position.instrument))
                .filter(|_| of_kind(parameters))
                .map(|position| position_of(engine, position, None))
                .collect(),
            "get_account_summary" => summary(engine, key, &parameters.need("currency")?),
            "get_account_summaries" => {
                json!({ "id": 10, "username": "simulated", "system_name": "simulated", "type": "main", "email": "",
                        "creation_timestamp": 1_600_000_000_000_u64, "login_enabled": false,
                        "summaries": CURRENCIES.map(|currency| summary(engine, key, currency)) })
            }
            "get_subaccounts" => {
                json!([{ "id": 10, "username": "simulated", "system_name": "simulated", "type": "main" }])
            }
            "enable_cancel_on_disconnect" | "disable_cancel_on_disconnect" => json!("ok"),
            "get_cancel_on_disconnect" => {
                json!({ "scope": parameters.text("scope").unwrap_or_else(|| "connection".to_owned()), "enabled": false })
            }
            _ => return Err(Failure::new(-32601, "Method not found")),
        })
    }

    fn size(parameters: &Parameters<'_>, quote: &Quote) -> Result<Decimal, Failure> {
        if let Some(size) = parameters.decimal("amount")? {
            return Ok(size);
        }
        let contracts = parameters
            .decimal("contracts")?
            .ok_or_else(|| Failure::parameter("amount", "required"))?;
        Ok(contracts * quote.instrument.lot)
    }

    fn place(
        &self,
        key: &str,
        side: Side,
        parameters: &Parameters<'_>,
        engine: &mut Engine,
    ) -> Result<Value, Failure> {
        let quote = parameters.quote(engine)?;
        let instrument = quote.instrument.instrument.clone();
        let (bid, ask) = (quote.bid(), quote.ask());
        let size = Self::size(parameters, quote)?;
        let label = parameters.text("label").filter(|label| !label.is_empty());
        if label.as_ref().is_some_and(|label| label.len() > LABEL_LENGTH) {
            return Err(Failure::parameter("label", "too long"));
        }
        let client_order_id = label.map(Text::from);
        let kind = parameters.text("type").unwrap_or_else(|| "limit".to_owned());
        let price = parameters.decimal("price")?;
        let reduce_only = parameters.flag("reduce_only");
        let conditional = match kind.as_str() {
            "stop_limit" => Some(OrderKind::StopLimit),
            "stop_market" => Some(OrderKind::StopMarket),
            "take_limit" => Some(OrderKind::TakeProfitLimit),
            "take_market" => Some(OrderKind::TakeProfitMarket),
            "limit" | "market" | "market_limit" => None,
            _ => return Err(Failure::parameter("type", "not supported")),
        };
        // Labels need not be unique here, though the engine minds them elsewhere.
        if let Some(label) = &client_order_id {
            engine.release_client_id(key, label);
        }
        if let Some(order_kind) = conditional {
            let trigger_by = match parameters.need("trigger")?.as_str() {
                "mark_price" => TriggerPrice::Mark,
                "index_price" => TriggerPrice::Index,
                _ => TriggerPrice::Last,
            };
            let order = ConditionalOrder {
                instrument,
                side,
                size,
                order_kind,
                trigger_price: parameters
                    .decimal("trigger_price")?
                    .ok_or_else(|| Failure::parameter("trigger_price", "required"))?,
                trigger_by,
                price,
                reduce_only,
                position_side: PositionSide::Net,
                margin_mode: MarginMode::Cross,
                client_order_id,
            };
            let taken = engine
                .place_conditional(key, &order)
                .map_err(|reject| self.refuse(&reject))?;
            return Ok(with_trades(engine, key, &taken));
        }
        let market = kind == "market";
        let post_only = parameters.flag("post_only");
        let mut price = price.filter(|_| !market);
        if post_only && !parameters.flag("reject_post_only") {
            // Without this the venue moves the price to just before the spread instead of refusing.
            price = price.map(|price| match side {
                Side::Buy => price.min(bid),
                Side::Sell => price.max(ask),
            });
        }
        let time_in_force = match parameters.text("time_in_force").as_deref() {
            _ if post_only => TimeInForce::PostOnly,
            Some("immediate_or_cancel") => TimeInForce::ImmediateOrCancel,
            Some("fill_or_kill") => TimeInForce::FillOrKill,
            Some("good_til_day") => TimeInForce::GoodTilDate,
            None | Some("good_til_cancelled") => TimeInForce::GoodTilCancelled,
            Some(_) => return Err(Failure::parameter("time_in_force", "not supported")),
        };
        if parameters
            .integer("valid_until")
            .is_some_and(|until| until < engine.now_ms())
        {
            return Err(Failure::new(13_888, "timed_out"));
        }
        let order = NewOrder {
            instrument,
            side,
            size,
            order_kind: if market {
                OrderKind::Market
            } else {
                OrderKind::Limit
            },
            price,
            time_in_force: Some(time_in_force),
            reduce_only,
            position_side: PositionSide::Net,
            margin_mode: MarginMode::Cross,
            leverage: None,
            client_order_id,
        };
        let taken = engine.place(key, &order).map_err(|reject| self.refuse(&reject))?;
        Ok(with_trades(engine, key, &taken))
    }

    fn edit(
        &self,
        key: &str,
        method: &str,
        parameters: &Parameters<'_>,
        engine: &mut Engine,
    ) -> Result<Value, Failure> {
        let order_id = if method == "edit" {
            Text::from(parameters.need("order_id")?)
        } else {
            let label = parameters.need("label")?;
            let mut found = ids(engine, key, |order| {
                open(order) && order.client_order_id.as_deref() == Some(label.as_str())
            });
            match (found.pop(), found.is_empty()) {
                (Some(id), true) => id,
                (Some(_), false) => return Err(Failure::new(11_043, "bad_argument")),
                (None, _) => return Err(self.refuse(&Reject::UnknownOrder)),
            }
        };
        let wanted = OrderRef {
            order_id: Some(order_id.clone()),
            ..OrderRef::default()
        };
        let known = engine
            .account(key)
            .and_then(|account| account.order(&wanted))
            .cloned()
            .ok_or_else(|| self.refuse(&Reject::UnknownOrder))?;
        if !open(&known) {
            return Err(Failure::new(11_044, "not_open_order"));
        }
        let quote = engine
            .quote(&known.instrument)
            .ok_or_else(|| Failure::new(13_020, "not_found"))?;
        let price = parameters.decimal("price")?;
        if price.is_some_and(|price| !(price % quote.instrument.tick).is_zero()) {
            return Err(self.refuse(&Reject::Price));
        }
        let change = AmendOrder {
            instrument: known.instrument.clone(),
            order_id: Some(order_id),
            client_order_id: None,
            side: None,
            size: Some(Self::size(parameters, quote)?),
            price,
            reduce_only: known.reduce_only,
        };
        let changed = engine
            .amend(key, &change)
            .map_err(|reject| self.refuse(&reject))?;
        let mut value = with_trades(engine, key, &changed);
        value["order"]["replaced"] = json!(true);
        Ok(value)
    }

    fn cancel(&self, key: &str, wanted: &OrderRef, engine: &mut Engine) -> Result<Value, Failure> {
        let known = engine.account(key).and_then(|account| account.order(wanted));
        if known.is_some_and(|order| !open(order)) {
            return Err(Failure::new(11_044, "not_open_order"));
        }
        engine
            .cancel(key, wanted)
            .map(|order| order_of(engine, &order))
            .map_err(|reject| self.refuse(&reject))
    }

    fn close(&self, key: &str, parameters: &Parameters<'_>, engine: &mut Engine) -> Result<Value, Failure> {
        let name = parameters.quote(engine)?.instrument.instrument.clone();
        let open = position_in(engine, key, &name).size;
        let order = if parameters.need("type")? == "limit" && !open.is_zero() {
            let side = if open.is_sign_positive() {
                Side::Sell
            } else {
                Side::Buy
            };
            let order = NewOrder {
                instrument: name,
                side,
                size: open.abs(),
                order_kind: OrderKind::Limit,
                price: parameters.decimal("price")?,
                time_in_force: None,
                reduce_only: true,
                position_side: PositionSide::Net,
                margin_mode: MarginMode::Cross,
                leverage: None,
                client_order_id: None,
            };
            engine.place(key, &order)
        } else {
            engine.close_position(key, &name, PositionSide::Net)
        };
        let order = order.map_err(|reject| self.refuse(&reject))?;
        Ok(with_trades(engine, key, &order))
    }
}

fn ids(engine: &Engine, key: &str, wanted: impl Fn(&Order) -> bool) -> Vec<Text> {
    engine
        .account(key)
        .into_iter()
        .flat_map(|account| account.orders())
        .filter(|order| wanted(order))
        .map(|order| order.order_id.clone())
        .collect()
}

fn cancel_each(engine: &mut Engine, key: &str, ids: Vec<Text>) -> usize {
    ids.into_iter()
        .filter(|id| {
            let wanted = OrderRef {
                order_id: Some(id.clone()),
                ..OrderRef::default()
            };
            engine.cancel(key, &wanted).is_ok()
        })
        .count()
}
