//! Operations in the venue's words. Everything is a GET with a query, as its clients send it.

use crate::error::RequestError;
use crate::model::{
    Decimal, Interval, OrderKind, PositionSide, Side, SizeUnit, Text, TimeInForce, TriggerPrice, Venue,
};
use crate::operation::{
    AmendOrder, ClosePosition, ConditionalOrder, KlineQuery, Maybe, NewOrder, Operation, OrderRef,
};
use crate::protocol::Context;
use crate::request::{Access, Method, Request};
use crate::venues::{OrderId, Parameters};

/// Longest label of an order.
const MAXIMUM_LABEL: usize = 64;

/// Klines asked for when the caller does not say how many.
const KLINES: u64 = 1_000;

/// The requests of an operation.
pub(super) fn requests(operation: &Operation, context: &Context<'_>) -> Result<Vec<Request>, RequestError> {
    let parameters = Parameters(operation.name());
    let unsupported = |instead| {
        Err(RequestError::Unsupported {
            venue: Venue::Deribit,
            operation: operation.name(),
            instead,
        })
    };
    let one = match operation {
        Operation::ServerTime(_) => public("get_time"),
        Operation::Instruments(_) => public("get_instruments")
            .with("currency", "any")
            .with("kind", "future"),
        Operation::Ticker(query) | Operation::Mark(query) | Operation::Funding(query) => {
            public("ticker").with("instrument_name", query.instrument.as_str())
        }
        Operation::Book(query) => public("get_order_book")
            .with("instrument_name", query.instrument.as_str())
            .with_some("depth", query.depth.map(|depth| depth.to_string())),
        Operation::Trades(query) => public("get_last_trades_by_instrument")
            .with("instrument_name", query.instrument.as_str())
            .with("include_old", "true"),
        Operation::Klines(query) => klines(query, context.timestamp_ms)?,

        Operation::Balances(_) => private("get_account_summaries"),
        Operation::Positions(query) => positions(query),
        // Accounts are always net; a read that needs the key tells that the key works.
        Operation::AccountMode(_) => positions(&Maybe::default()),
        Operation::SetPositionMode(_) => return unsupported("positions are always net: nothing to set"),
        Operation::Leverage(_) | Operation::SetLeverage(_) => {
            return unsupported(
                "leverage is not set: it is what a position is worth over the account's equity",
            );
        }
        Operation::SetMarginMode(_) => return unsupported("margin is always shared by the account"),

        Operation::OpenOrders(query) => match &query.instrument {
            Some(instrument) => {
                private("get_open_orders_by_instrument").with("instrument_name", instrument.as_str())
            }
            None => private("get_open_orders").with("kind", "future"),
        },
        Operation::Order(order) => {
            match parameters.need_id(order.order_id.as_ref(), order.client_order_id.as_ref())? {
                OrderId::Venue(id) => private("get_order_state").with("order_id", id),
                OrderId::Client(id) => private("get_order_state_by_label")
                    .with("currency", currency(&order.instrument))
                    .with("label", label(id)?),
            }
        }
        Operation::Fills(query) => {
            let instrument = parameters.need("instrument", query.instrument.as_ref())?;
            let method = match query.start_ms {
                Some(_) => "get_user_trades_by_instrument_and_time",
                None => "get_user_trades_by_instrument",
            };
            private(method)
                .with("include_old", "true")
                .with_some("count", query.limit.map(|limit| limit.to_string()))
                .with("instrument_name", instrument.as_str())
                .with_some("start_timestamp", query.start_ms.map(|start| start.to_string()))
        }

        Operation::PlaceOrder(order) => new_order(order, &parameters, context)?,
        Operation::PlaceOrders(several) => {
            return several
                .orders
                .iter()
                .map(|order| new_order(order, &parameters, context))
                .collect();
        }
        Operation::AmendOrder(change) => amend(change, &parameters, context)?,
        Operation::CancelOrder(order) | Operation::CancelConditionalOrder(order) => {
            cancel(order, &parameters)?
        }
        Operation::CancelOrders(several) => {
            return several
                .orders
                .iter()
                .map(|order| cancel(order, &parameters))
                .collect();
        }
        Operation::CancelAllOrders(query) => match &query.instrument {
            Some(instrument) => {
                private("cancel_all_by_instrument").with("instrument_name", instrument.as_str())
            }
            None => private("cancel_all"),
        },
        Operation::ClosePosition(close) => close_position(close)?,
        Operation::PlaceConditionalOrder(order) => {
            conditional(order, order.reduce_only, &parameters, context)?
        }
        Operation::PlaceStopLadder(ladder) => {
            return ladder
                .rungs
                .iter()
                .map(|rung| conditional(rung, true, &parameters, context))
                .collect();
        }
        Operation::CancelAllAfter(_) => {
            return unsupported(
                "no timer; private/enable_cancel_on_disconnect cancels when the socket that asked for it closes",
            );
        }
        Operation::CreateListenKey(_) | Operation::KeepListenKey(_) | Operation::CloseListenKey(_) => {
            return unsupported("the account's socket logs in instead");
        }
    };
    Ok(vec![one])
}

fn public(method: &str) -> Request {
    Request::new(Method::Get, format!("/api/v2/public/{method}"), Access::Public)
}

fn private(method: &str) -> Request {
    Request::new(Method::Get, format!("/api/v2/private/{method}"), Access::Signed)
}

fn bad(parameter: &'static str, value: impl ToString, reason: &'static str) -> RequestError {
    RequestError::BadParameter {
        parameter,
        value: value.to_string(),
        reason,
    }
}

/// The venue's word for an interval; it has none for four hours.
pub(super) const fn resolution(interval: Interval) -> Option<&'static str> {
    match interval {
        Interval::Minute => Some("1"),
        Interval::FiveMinutes => Some("5"),
        Interval::QuarterHour => Some("15"),
        Interval::Hour => Some("60"),
        Interval::FourHours => None,
        Interval::Day => Some("1D"),
    }
}

fn klines(query: &KlineQuery, now_ms: u64) -> Result<Request, RequestError> {
    let resolution = resolution(query.interval)
        .ok_or_else(|| bad("interval", query.interval, "1m, 5m, 15m, 1h or 1d on this venue"))?;
    let count = query.limit.map_or(KLINES, u64::from).saturating_sub(1);
    let length = query.interval.milliseconds().saturating_mul(count);
    let end = query.end_ms.unwrap_or(now_ms);
    let start = query.start_ms.unwrap_or_else(|| end.saturating_sub(length));
    Ok(public("get_tradingview_chart_data")
        .with("instrument_name", query.instrument.as_str())
        .with("resolution", resolution)
        .with("start_timestamp", start.to_string())
        .with("end_timestamp", end.to_string()))
}

fn positions(query: &Maybe) -> Request {
    match &query.instrument {
        Some(instrument) => private("get_position").with("instrument_name", instrument.as_str()),
        None => private("get_positions")
            .with("currency", "any")
            .with("kind", "future"),
    }
}

/// The currency an instrument is settled in: before the dash, after the underscore where there is one.
fn currency(instrument: &str) -> &str {
    let pair = instrument.split('-').next().unwrap_or(instrument);
    pair.split_once('_').map_or(pair, |(_, quote)| quote)
}

/// The owner's id of an order. The venue does not see to it that it is used once.
fn label(id: &str) -> Result<&str, RequestError> {
    if id.is_empty() || id.chars().count() > MAXIMUM_LABEL {
        return Err(bad("client_order_id", id, "1 to 64 characters"));
    }
    Ok(id)
}

fn net(side: PositionSide) -> Result<(), RequestError> {
    match side {
        PositionSide::Net => Ok(()),
        PositionSide::Long => Err(bad("position_side", "long", "positions are always net here")),
        PositionSide::Short => Err(bad("position_side", "short", "positions are always net here")),
    }
}

/// A size in the venue's unit: US dollars for inverse instruments, which takes a price; base units for linear ones.
fn amount(
    instrument: &str,
    size: Decimal,
    price: Option<Decimal>,
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<String, RequestError> {
    let known = match context.instruments.get(instrument) {
        Ok(known) => known,
        // Linear ones count in base units, whatever their lot is: their name says so.
        Err(_) if instrument.contains('_') && size > Decimal::ZERO => {
            return Ok(size.normalize().to_string());
        }
        Err(unknown) => return Err(unknown.into()),
    };
    let price = match known.size_unit {
        SizeUnit::Base => None,
        SizeUnit::Contracts | SizeUnit::Quote => Some(parameters.need("price", price)?),
    };
    known
        .from_base(size, price)
        .filter(|amount| *amount > Decimal::ZERO)
        .map(|amount| amount.normalize().to_string())
        .ok_or_else(|| bad("size", size, "less than one lot"))
}

const fn method(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

fn new_order(
    order: &NewOrder,
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<Request, RequestError> {
    net(order.position_side)?;
    let size = amount(&order.instrument, order.size, order.price, parameters, context)?;
    let request = private(method(order.side))
        .with("instrument_name", order.instrument.as_str())
        .with("amount", size);
    let request = match order.order_kind {
        OrderKind::Market => request.with("type", "market"),
        OrderKind::Limit => request.with("type", "limit").with(
            "price",
            parameters.need("price", order.price)?.normalize().to_string(),
        ),
        other => {
            return Err(bad(
                "order_kind",
                format!("{other:?}"),
                "market or limit; triggers are conditional orders",
            ));
        }
    };
    let request = reduce(request, order.reduce_only);
    let request = match order.time_in_force {
        None => request,
        Some(TimeInForce::GoodTilCancelled) => request.with("time_in_force", "good_til_cancelled"),
        Some(TimeInForce::ImmediateOrCancel) => request.with("time_in_force", "immediate_or_cancel"),
        Some(TimeInForce::FillOrKill) => request.with("time_in_force", "fill_or_kill"),
        // Without the second word the venue would move the price instead of refusing.
        Some(TimeInForce::PostOnly) if order.order_kind == OrderKind::Limit => {
            request.with("post_only", "true").with("reject_post_only", "true")
        }
        Some(TimeInForce::PostOnly) => {
            return Err(bad("time_in_force", "post_only", "a market order cannot rest"));
        }
        Some(TimeInForce::GoodTilDate) => {
            return Err(bad(
                "time_in_force",
                "good_til_date",
                "the venue only knows the end of its day: cancel it instead",
            ));
        }
    };
    labelled(request, order.client_order_id.as_ref())
}

fn reduce(request: Request, reduce_only: bool) -> Request {
    if reduce_only {
        request.with("reduce_only", "true")
    } else {
        request
    }
}

fn labelled(request: Request, id: Option<&Text>) -> Result<Request, RequestError> {
    Ok(match id {
        Some(id) => request.with("label", label(id)?),
        None => request,
    })
}

fn conditional(
    order: &ConditionalOrder,
    reduce_only: bool,
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<Request, RequestError> {
    net(order.position_side)?;
    let (kind, limited) = match order.order_kind {
        OrderKind::StopMarket => ("stop_market", false),
        OrderKind::StopLimit => ("stop_limit", true),
        OrderKind::TakeProfitMarket => ("take_market", false),
        OrderKind::TakeProfitLimit => ("take_limit", true),
        other => {
            return Err(bad("order_kind", format!("{other:?}"), "a stop or a take-profit"));
        }
    };
    let price = if limited {
        Some(parameters.need("price", order.price)?)
    } else {
        None
    };
    // What an inverse size is worth is told at the price where it will be done.
    let size = amount(
        &order.instrument,
        order.size,
        price.or(Some(order.trigger_price)),
        parameters,
        context,
    )?;
    let request = private(method(order.side))
        .with("instrument_name", order.instrument.as_str())
        .with("amount", size)
        .with("type", kind)
        .with_some("price", price.map(|price| price.normalize().to_string()))
        .with("trigger_price", order.trigger_price.normalize().to_string())
        .with(
            "trigger",
            match order.trigger_by {
                TriggerPrice::Last => "last_price",
                TriggerPrice::Mark => "mark_price",
                TriggerPrice::Index => "index_price",
            },
        );
    labelled(reduce(request, reduce_only), order.client_order_id.as_ref())
}

fn amend(
    change: &AmendOrder,
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<Request, RequestError> {
    let size = parameters.need("size", change.size)?;
    let size = amount(&change.instrument, size, change.price, parameters, context)?;
    let request = match parameters.need_id(change.order_id.as_ref(), change.client_order_id.as_ref())? {
        OrderId::Venue(id) => private("edit").with("order_id", id),
        OrderId::Client(id) => private("edit_by_label")
            .with("label", label(id)?)
            .with("instrument_name", change.instrument.as_str()),
    };
    Ok(request
        .with("amount", size)
        .with_some("price", change.price.map(|price| price.normalize().to_string())))
}

fn cancel(order: &OrderRef, parameters: &Parameters) -> Result<Request, RequestError> {
    Ok(
        match parameters.need_id(order.order_id.as_ref(), order.client_order_id.as_ref())? {
            OrderId::Venue(id) => private("cancel").with("order_id", id),
            OrderId::Client(id) => private("cancel_by_label")
                .with("label", label(id)?)
                .with("currency", currency(&order.instrument)),
        },
    )
}

fn close_position(close: &ClosePosition) -> Result<Request, RequestError> {
    net(close.position_side)?;
    if close.client_order_id.is_some() {
        return Err(bad(
            "client_order_id",
            close.client_order_id.as_deref().unwrap_or_default(),
            "closing takes no label; send a reduce-only order instead",
        ));
    }
    Ok(private("close_position")
        .with("instrument_name", close.instrument.as_str())
        .with("type", "market"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venues::deribit::instruments::known;

    fn targets(json: &str) -> Result<Vec<String>, RequestError> {
        let operation: Operation = serde_json::from_str(json).unwrap();
        let instruments = known();
        let context = Context {
            instruments: &instruments,
            timestamp_ms: 1_700_000_000_000,
        };
        requests(&operation, &context).map(|list| {
            list.iter()
                .map(|request| {
                    format!(
                        "{}?{}",
                        request.path.trim_start_matches("/api/v2/"),
                        crate::request::query_string(&request.query)
                    )
                })
                .collect()
        })
    }

    fn place(parameters: &str) -> Result<String, RequestError> {
        targets(&format!(
            "{{\"operation\":\"place_order\",\"parameters\":{{\"side\":\"buy\",{parameters}}}}}"
        ))
        .map(|mut list| list.remove(0))
    }

    #[test]
    fn inverse_sizes_become_dollars_and_need_a_price() {
        assert_eq!(
            place(r#""instrument":"BTC-PERPETUAL","size":"0.0025","order_kind":"limit","price":"50000""#)
                .unwrap(),
            "private/buy?instrument_name=BTC-PERPETUAL&amount=120&type=limit&price=50000"
        );
        assert!(matches!(
            place(r#""instrument":"BTC-PERPETUAL","size":"0.0025""#),
            Err(RequestError::MissingParameter {
                parameter: "price",
                ..
            })
        ));
        // A market order says no price on the wire.
        assert_eq!(
            place(r#""instrument":"BTC-PERPETUAL","size":"0.0025","price":"50000""#).unwrap(),
            "private/buy?instrument_name=BTC-PERPETUAL&amount=120&type=market"
        );
        assert!(matches!(
            place(r#""instrument":"BTC-27MAY22","size":"1","price":"1""#),
            Err(RequestError::UnknownInstrument(_))
        ));
    }

    #[test]
    fn linear_sizes_stay_base_units() {
        assert_eq!(
            place(r#""instrument":"BTC_USDC-PERPETUAL","size":"0.00129","reduce_only":true,"client_order_id":"a b""#)
                .unwrap(),
            "private/buy?instrument_name=BTC_USDC-PERPETUAL&amount=0.0012&type=market&reduce_only=true&label=a%20b"
        );
    }

    #[test]
    fn what_the_venue_lacks_is_refused_with_a_reason() {
        for json in [
            r#"{"operation":"set_leverage","parameters":{"instrument":"BTC-PERPETUAL","leverage":"5"}}"#,
            r#"{"operation":"set_position_mode","parameters":{"position_mode":"hedge"}}"#,
            r#"{"operation":"cancel_all_after","parameters":{"after_ms":1}}"#,
        ] {
            assert!(
                matches!(targets(json), Err(RequestError::Unsupported { .. })),
                "{json}"
            );
        }
        assert!(place(r#""instrument":"BTC_USDC-PERPETUAL","size":"1","position_side":"long""#).is_err());
        assert!(
            place(r#""instrument":"BTC_USDC-PERPETUAL","size":"1","time_in_force":"post_only""#).is_err()
        );
        let long = "x".repeat(65);
        assert!(
            place(&format!(
                "\"instrument\":\"BTC_USDC-PERPETUAL\",\"size\":\"1\",\"client_order_id\":\"{long}\""
            ))
            .is_err()
        );
    }

    #[test]
    fn batches_are_sent_one_by_one() {
        let list = targets(
            r#"{"operation":"cancel_orders","parameters":{"orders":[
                {"instrument":"BTC-PERPETUAL","order_id":"1"},
                {"instrument":"BTC_USDC-PERPETUAL","client_order_id":"x"}]}}"#,
        )
        .unwrap();
        assert_eq!(
            list,
            [
                "private/cancel?order_id=1",
                "private/cancel_by_label?label=x&currency=USDC"
            ]
        );
    }
}
