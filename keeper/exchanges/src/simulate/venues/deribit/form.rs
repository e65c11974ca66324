//! How Deribit prints things.

use serde_json::{Value, json};

use crate::model::{
    Book, Cause, Decimal, Fill, Instrument, Liquidity, Order, OrderKind, OrderStatus, Position, Side,
    TimeInForce, Trade,
};
use crate::simulate::engine::{Engine, Quote};
use crate::simulate::money::{is_inverse, value};
use crate::simulate::venues::books::changes;
use crate::simulate::wire::number;

/// The currency of linear instruments.
pub(super) const CURRENCY: &str = "USDC";
/// What the account has: each currency has margin and profit of its own.
pub(super) const CURRENCIES: [&str; 2] = [CURRENCY, "BTC"];

/// What an instrument settles in.
pub(super) fn settled_in<'a>(engine: &'a Engine, instrument: &str) -> Option<&'a str> {
    engine
        .quote(instrument)
        .map(|quote| quote.instrument.settle.as_str())
}

/// The index an instrument follows.
pub(super) fn index_name(instrument: &Instrument) -> String {
    format!("{}_{}", instrument.base, instrument.quote).to_lowercase()
}

/// What a size is in contracts: those of inverse instruments are of ten dollars.
fn contracts(engine: &Engine, instrument: &str, size: Decimal) -> Decimal {
    engine
        .quote(instrument)
        .filter(|quote| is_inverse(&quote.instrument))
        .and_then(|quote| size.checked_div(quote.instrument.lot))
        .unwrap_or(size)
}

/// A number as this venue prints it: whole ones with `.0`, small ones in scientific notation.
pub(super) fn amount(value: Decimal) -> Value {
    let value = value.normalize();
    if value.is_zero() {
        return number("0.0");
    }
    if value.abs() < Decimal::new(1, 3) {
        let digits = value.mantissa().unsigned_abs().to_string();
        let (first, rest) = digits.split_at(1);
        let exponent = i64::from(value.scale()) - i64::try_from(rest.len()).unwrap_or_default();
        let sign = if value.is_sign_negative() { "-" } else { "" };
        let rest = if rest.is_empty() { "0" } else { rest };
        return number(&format!("{sign}{first}.{rest}e-{exponent}"));
    }
    if value.scale() == 0 {
        number(&format!("{value}.0"))
    } else {
        number(&value.to_string())
    }
}

pub(super) fn amount_or_zero(value: Option<Decimal>) -> Value {
    amount(value.unwrap_or_default())
}

pub(super) const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

const fn state_word(order: &Order) -> &'static str {
    match order.status {
        OrderStatus::Pending | OrderStatus::Open | OrderStatus::PartiallyFilled => "open",
        OrderStatus::Filled => "filled",
        OrderStatus::Cancelled | OrderStatus::Expired => "cancelled",
        OrderStatus::Rejected => "rejected",
        OrderStatus::Untriggered => "untriggered",
        OrderStatus::Triggered => "triggered",
    }
}

const fn kind_word(order: &Order) -> &'static str {
    match order.order_kind {
        OrderKind::Market => "market",
        OrderKind::Limit => "limit",
        OrderKind::StopMarket => "stop_market",
        OrderKind::StopLimit => "stop_limit",
        OrderKind::TakeProfitMarket => "take_market",
        OrderKind::TakeProfitLimit => "take_limit",
        OrderKind::TrailingStop => "trailing_stop",
        OrderKind::Venue => "liquidation",
    }
}

const fn in_force_word(order: &Order) -> &'static str {
    match order.time_in_force {
        TimeInForce::GoodTilCancelled | TimeInForce::PostOnly => "good_til_cancelled",
        TimeInForce::ImmediateOrCancel => "immediate_or_cancel",
        TimeInForce::FillOrKill => "fill_or_kill",
        TimeInForce::GoodTilDate => "good_til_day",
    }
}

pub(super) fn order_of(engine: &Engine, order: &Order) -> Value {
    let market = matches!(
        order.order_kind,
        OrderKind::Market | OrderKind::StopMarket | OrderKind::TakeProfitMarket | OrderKind::TrailingStop
    );
    let price = if market {
        json!("market_price")
    } else {
        amount_or_zero(order.price)
    };
    let mut value = json!({
        "order_id": order.order_id, "instrument_name": order.instrument, "direction": side_word(order.side),
        "order_type": kind_word(order), "order_state": state_word(order), "price": price,
        "amount": amount_or_zero(order.size),
        "contracts": amount(contracts(engine, &order.instrument, order.size.unwrap_or_default())),
        "filled_amount": amount(order.filled), "average_price": amount_or_zero(order.average_price),
        "max_show": amount_or_zero(order.size), "time_in_force": in_force_word(order),
        "post_only": order.time_in_force == TimeInForce::PostOnly, "reduce_only": order.reduce_only,
        "label": order.client_order_id.clone().unwrap_or_default(), "replaced": false, "risk_reducing": false,
        "is_liquidation": order.cause == Cause::Liquidation, "is_rebalance": false, "mmp": false, "api": true, "web": false,
        "creation_timestamp": order.time_ms, "last_update_timestamp": order.time_ms,
    });
    if let (Some(trigger), Some(members)) = (order.trigger_price, value.as_object_mut()) {
        members.insert("trigger".to_owned(), json!("last_price"));
        members.insert("trigger_price".to_owned(), amount(trigger));
        members.insert(
            "triggered".to_owned(),
            json!(order.status == OrderStatus::Triggered),
        );
    }
    if order.status == OrderStatus::Cancelled
        && let Some(members) = value.as_object_mut()
    {
        members.insert("cancel_reason".to_owned(), json!("user_request"));
    }
    value
}

/// The number in an id: the venue counts trades of an instrument beside.
fn sequence(trade_id: &str) -> u64 {
    trade_id
        .rsplit('-')
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}

pub(super) fn fill_of(engine: &Engine, key: &str, fill: &Fill) -> Value {
    let order = engine
        .account(key)
        .and_then(|account| account.orders().find(|order| order.order_id == fill.order_id));
    let fee = fill.fee.as_ref().map(|fee| fee.amount);
    let mut value = json!({
        "trade_id": fill.trade_id, "trade_seq": sequence(&fill.trade_id), "order_id": fill.order_id,
        "instrument_name": fill.instrument, "direction": side_word(fill.side), "price": amount(fill.price),
        "amount": amount(fill.size), "contracts": amount(contracts(engine, &fill.instrument, fill.size)),
        "fee": amount_or_zero(fee), "fee_currency": settled_in(engine, &fill.instrument),
        "liquidity": if fill.liquidity == Some(Liquidity::Maker) { "M" } else { "T" },
        "state": order.map_or("filled", state_word), "order_type": order.map_or("market", kind_word),
        "reduce_only": order.is_some_and(|order| order.reduce_only),
        "post_only": order.is_some_and(|order| order.time_in_force == TimeInForce::PostOnly),
        "mark_price": amount(fill.price), "index_price": amount(fill.price), "profit_loss": amount(Decimal::ZERO),
        "label": fill.client_order_id.clone().unwrap_or_default(), "timestamp": fill.time_ms, "tick_direction": 0,
        "self_trade": false, "matching_id": null, "api": true, "mmp": false, "risk_reducing": false,
    });
    if fill.cause == Cause::Liquidation
        && let Some(members) = value.as_object_mut()
    {
        // Which side was liquidated: the account takes from the book then.
        members.insert("liquidation".to_owned(), json!("T"));
    }
    value
}

/// A position; `size` instead of its own where a message tells of an earlier one.
pub(super) fn position_of(engine: &Engine, position: &Position, size: Option<Decimal>) -> Value {
    let size = size.unwrap_or(position.size);
    let mark = position.mark_price.unwrap_or_default();
    let direction = if size.is_zero() {
        "zero"
    } else if size.is_sign_positive() {
        "buy"
    } else {
        "sell"
    };
    let profit = position.unrealised_profit.unwrap_or_default().round_dp(8);
    let leverage = position.leverage.unwrap_or(Decimal::ONE);
    let quote = engine.quote(&position.instrument);
    let inverse = quote.is_some_and(|quote| is_inverse(&quote.instrument));
    // In the other of base and quote: dollars of a linear position, bitcoin of an inverse one.
    let worth = value(inverse, size, mark).round_dp(8);
    let margin = worth.abs().checked_div(leverage).unwrap_or_default();
    json!({
        "instrument_name": position.instrument, "kind": "future", "size": amount(size),
        "size_currency": amount(worth), "direction": direction,
        "average_price": amount_or_zero(position.entry_price), "leverage": Engine::whole(leverage),
        "mark_price": amount(mark), "index_price": amount(mark), "settlement_price": amount(mark),
        "floating_profit_loss": amount(profit), "total_profit_loss": amount(profit),
        "realized_profit_loss": amount(Decimal::ZERO), "realized_funding": amount(Decimal::ZERO),
        "initial_margin": amount(margin.round_dp(8)), "maintenance_margin": amount((margin / Decimal::TWO).round_dp(8)),
        "open_orders_margin": amount(Decimal::ZERO), "estimated_liquidation_price": amount(Decimal::ZERO),
        "delta": amount(if inverse { worth } else { size }), "interest_value": amount(Decimal::ZERO),
    })
}

/// The account's position in an instrument, flat if it has none.
pub(super) fn position_in(engine: &Engine, key: &str, instrument: &str) -> Position {
    engine
        .positions(key)
        .into_iter()
        .find(|position| position.instrument == instrument)
        .unwrap_or_else(|| Position {
            instrument: instrument.into(),
            position_side: crate::model::PositionSide::Net,
            size: Decimal::ZERO,
            entry_price: None,
            mark_price: engine.quote(instrument).map(|quote| quote.price),
            unrealised_profit: None,
            leverage: engine.account(key).map(|account| account.leverage_of(instrument)),
            margin_mode: None,
            liquidation_price: None,
            time_ms: engine.now_ms(),
        })
}

pub(super) fn summary(engine: &Engine, key: &str, currency: &str) -> Value {
    let balance = engine
        .balance_in(key, currency)
        .filter(|_| CURRENCIES.contains(&currency));
    let (wallet, equity, free) = balance.map_or_else(Default::default, |balance| {
        (
            balance.wallet,
            balance.equity.unwrap_or_default(),
            balance.available.unwrap_or_default(),
        )
    });
    let used = equity - free;
    let zero = amount(Decimal::ZERO);
    json!({
        "currency": currency, "balance": amount(wallet), "equity": amount(equity), "margin_balance": amount(equity),
        "available_funds": amount(free), "available_withdrawal_funds": amount(free), "initial_margin": amount(used),
        "maintenance_margin": amount((used / Decimal::TWO).round_dp(8)), "total_pl": amount(equity - wallet),
        "session_upl": amount(equity - wallet), "session_rpl": zero, "futures_pl": amount(equity - wallet),
        "futures_session_upl": amount(equity - wallet), "futures_session_rpl": zero, "session_funding": zero,
        "projected_initial_margin": amount(used), "projected_maintenance_margin": amount((used / Decimal::TWO).round_dp(8)),
        "delta_total": zero, "projected_delta_total": zero, "options_value": zero, "options_pl": zero, "fee_balance": zero,
        "spot_reserve": zero, "additional_reserve": zero, "portfolio_margining_enabled": false,
        "cross_collateral_enabled": false, "margin_model": "segregated_sm", "delta_total_map": {}, "fees": [],
        "limits": { "matching_engine": { "cancel_all": { "burst": 250, "rate": 200 }, "trading": { "total": { "burst": 20, "rate": 5 } } },
                    "non_matching_engine": { "burst": 100, "rate": 20 } },
    })
}

pub(super) fn instrument_of(quote: &Quote) -> Value {
    let instrument = &quote.instrument;
    let kind = if is_inverse(instrument) {
        "reversed"
    } else {
        "linear"
    };
    json!({
        "instrument_name": instrument.instrument, "instrument_id": instrument.number, "kind": "future",
        "base_currency": instrument.base, "quote_currency": instrument.quote, "counter_currency": instrument.quote,
        "settlement_currency": instrument.settle, "settlement_period": "perpetual", "instrument_type": kind,
        "future_type": kind, "price_index": index_name(instrument),
        "tick_size": amount(instrument.tick), "tick_size_steps": [], "min_trade_amount": amount(instrument.minimum_size),
        "contract_size": amount(instrument.lot), "max_leverage": Engine::whole(instrument.maximum_leverage.unwrap_or_default()),
        "taker_commission": amount(Decimal::new(5, 4)), "maker_commission": amount(Decimal::new(2, 4)),
        "max_liquidation_commission": amount(Decimal::new(75, 4)), "block_trade_commission": amount(Decimal::new(3, 4)),
        "block_trade_min_trade_amount": 200_000, "block_trade_tick_size": amount(instrument.tick), "rfq": false,
        "is_active": true, "state": "open", "creation_timestamp": 1_534_242_287_000_u64,
        "expiration_timestamp": 32_503_708_800_000_u64,
    })
}

pub(super) fn ticker_of(engine: &Engine, quote: &Quote) -> Value {
    let ticker = engine.ticker(quote);
    let price = amount(quote.price);
    json!({
        "instrument_name": ticker.instrument, "timestamp": engine.now_ms(), "state": "open", "last_price": price,
        "mark_price": price, "index_price": price, "settlement_price": price, "estimated_delivery_price": price,
        "min_price": amount((quote.price * Decimal::new(98, 2)).round_dp(2)),
        "max_price": amount((quote.price * Decimal::new(102, 2)).round_dp(2)),
        "best_bid_price": amount_or_zero(ticker.bid), "best_bid_amount": amount_or_zero(ticker.bid_size),
        "best_ask_price": amount_or_zero(ticker.ask), "best_ask_amount": amount_or_zero(ticker.ask_size),
        "open_interest": amount(Decimal::new(164_501, 3)), "current_funding": amount(Decimal::new(1, 5)),
        "funding_8h": amount(Decimal::new(1, 4)), "interest_value": amount(Decimal::ZERO),
        "stats": { "high": price, "low": price, "price_change": amount(Decimal::ZERO), "volume": amount(Decimal::ONE_HUNDRED),
                   "volume_usd": amount(Decimal::ONE_THOUSAND), "volume_notional": amount(Decimal::ONE_THOUSAND) },
    })
}

pub(super) fn trade_of(engine: &Engine, trade: &Trade) -> Value {
    let mut value = json!({
        "trade_id": trade.trade_id, "trade_seq": sequence(&trade.trade_id), "instrument_name": trade.instrument,
        "timestamp": trade.time_ms, "tick_direction": 0, "price": amount(trade.price), "mark_price": amount(trade.price),
        "index_price": amount(trade.price), "direction": side_word(trade.side), "amount": amount(trade.size),
        "contracts": amount(contracts(engine, &trade.instrument, trade.size)) });
    if trade.liquidation
        && let Some(members) = value.as_object_mut()
    {
        members.insert("liquidation".to_owned(), json!("T"));
    }
    value
}

/// The whole book, as the stream starts with it.
pub(super) fn book_snapshot(book: &Book, sequence: i64, now_ms: u64) -> Value {
    let side = |levels: &[crate::model::Level]| -> Value {
        levels
            .iter()
            .map(|level| json!(["new", amount(level.price), amount(level.size)]))
            .collect()
    };
    json!({ "type": "snapshot", "timestamp": now_ms, "instrument_name": book.instrument, "change_id": sequence,
            "bids": side(&book.bids), "asks": side(&book.asks) })
}

/// What changed from one book to the next.
pub(super) fn book_change(before: &Book, after: &Book, sequence: i64, now_ms: u64) -> Value {
    let side = |old: &[crate::model::Level], new: &[crate::model::Level]| -> Value {
        changes(old, new)
            .into_iter()
            .map(|change| {
                let word = match (change.level.size.is_zero(), change.known) {
                    (true, _) => "delete",
                    (false, true) => "change",
                    (false, false) => "new",
                };
                json!([word, amount(change.level.price), amount(change.level.size)])
            })
            .collect()
    };
    json!({ "type": "change", "timestamp": now_ms, "instrument_name": after.instrument, "change_id": sequence,
            "prev_change_id": sequence - 1, "bids": side(&before.bids, &after.bids), "asks": side(&before.asks, &after.asks) })
}

/// The book as it is asked for: prices and amounts.
pub(super) fn book_levels(book: &Book, depth: usize) -> (Value, Value) {
    let side = |levels: &[crate::model::Level]| -> Value {
        levels
            .iter()
            .take(depth)
            .map(|level| json!([amount(level.price), amount(level.size)]))
            .collect()
    };
    (side(&book.bids), side(&book.asks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::wire::print;

    #[test]
    fn numbers_look_like_the_venues() {
        let shown = |text: &str| print(&amount(text.parse().unwrap()));
        assert_eq!(shown("50000"), "50000.0");
        assert_eq!(shown("0.01"), "0.01");
        assert_eq!(shown("0.00025"), "2.5e-4");
        assert_eq!(shown("-0.0000001"), "-1.0e-7");
        assert_eq!(shown("0"), "0.0");
    }
}
