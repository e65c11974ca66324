//! Operations in the venue's words. The order of the members is the order on the wire.

use super::words::{self, Category};
use crate::error::RequestError;
use crate::model::{
    Decimal, Instruments, MarginMode, OrderKind, PositionMode, PositionSide, Side, Text, TimeInForce,
    TriggerPrice, Venue,
};
use crate::operation::{AmendOrder, ClosePosition, ConditionalOrder, NewOrder, Operation, OrderRef};
use crate::protocol::Context;
use crate::request::{Access, Method, Request};
use crate::venues::{OrderId, Parameters, json_object, json_text};

/// Orders in one batch.
const BATCH: usize = 20;
/// Depths of the book that are asked for.
const DEPTHS: [u32; 5] = [1, 50, 200, 500, 1000];
/// Klines the venue gives when none are asked for.
const KLINES: u32 = 200;
/// Most instruments on one page.
const INSTRUMENTS_PAGE: &str = "1000";
/// Most positions on one page. A full page is refused by the reply: what is not on it would look closed.
pub(super) const POSITIONS_PAGE: u16 = 200;
/// Most open orders on one page. A full page is refused by the reply.
pub(super) const ORDERS_PAGE: u16 = 50;
/// The instrument whose positions tell the mode of the account: there is no request for it, but the positions of a named
/// instrument are listed also while they are flat. That its mode is that of the others is unconfirmed: the venue lets
/// each be set apart.
const MODE_WITNESS: &str = "BTCUSDT";
/// Whose positions and orders are meant where no instrument is named.
const SETTLE_COIN: &str = "USDT";

pub(super) fn requests(operation: &Operation, context: &Context<'_>) -> Result<Vec<Request>, RequestError> {
    let parameters = Parameters(operation.name());
    let maker = Maker {
        instruments: context.instruments,
        parameters: &parameters,
    };
    let one = |request| Ok(vec![request]);
    match operation {
        Operation::ServerTime(_) => one(public("/v5/market/time")),
        // One list per product.
        Operation::Instruments(_) => Ok([Category::Linear, Category::Inverse]
            .map(|category| {
                public("/v5/market/instruments-info")
                    .with("category", category.word())
                    .with("limit", INSTRUMENTS_PAGE)
            })
            .into()),
        Operation::Ticker(query) | Operation::Mark(query) | Operation::Funding(query) => {
            one(maker.named(public("/v5/market/tickers"), &query.instrument)?)
        }
        Operation::Book(query) => one(maker
            .named(public("/v5/market/orderbook"), &query.instrument)?
            .with_some("limit", query.depth.map(|depth| depth_word(depth).to_string()))),
        Operation::Trades(query) => one(maker.named(public("/v5/market/recent-trade"), &query.instrument)?),
        Operation::Klines(query) => {
            let category = maker.category(&query.instrument)?;
            one(public("/v5/market/kline")
                .with("symbol", query.instrument.as_str())
                .with_some("start", query.start_ms.map(|start| start.to_string()))
                .with("limit", query.limit.unwrap_or(KLINES).to_string())
                .with_some("end", query.end_ms.map(|end| end.to_string()))
                .with("interval", words::interval_word(query.interval))
                .with("category", category.word()))
        }

        Operation::Balances(_) => one(get("/v5/account/wallet-balance").with("accountType", "UNIFIED")),
        Operation::Positions(query) => one(match &query.instrument {
            Some(instrument) => {
                let category = maker.category(instrument)?;
                get("/v5/position/list")
                    .with("symbol", instrument.as_str())
                    .with("limit", POSITIONS_PAGE.to_string())
                    .with("category", category.word())
            }
            None => get("/v5/position/list")
                .with("settleCoin", SETTLE_COIN)
                .with("limit", POSITIONS_PAGE.to_string())
                .with("category", Category::Linear.word()),
        }),
        Operation::AccountMode(_) => one(get("/v5/position/list")
            .with("symbol", MODE_WITNESS)
            .with("category", Category::Linear.word())),
        // All instruments that settle in one asset at once: a per-instrument mode would be found out by an order.
        Operation::SetPositionMode(set) => one(post(
            "/v5/position/switch-mode",
            &[
                (
                    "mode",
                    match set.position_mode {
                        PositionMode::OneWay => "0",
                        PositionMode::Hedge => "3",
                    }
                    .to_owned(),
                ),
                ("coin", json_text(SETTLE_COIN)),
                ("category", json_text(Category::Linear.word())),
            ],
        )),
        Operation::Leverage(query) => one(maker.named(get("/v5/position/list"), &query.instrument)?),
        // The venue sets both sides at once: with one named, the other gets the same.
        Operation::SetLeverage(set) => {
            let category = maker.category(&set.instrument)?;
            let leverage = json_text(&positive(set.leverage, "leverage")?.normalize().to_string());
            one(post(
                "/v5/position/set-leverage",
                &[
                    ("symbol", json_text(&set.instrument)),
                    ("buyLeverage", leverage.clone()),
                    ("sellLeverage", leverage),
                    ("category", json_text(category.word())),
                ],
            ))
        }
        // Of the whole account: a unified account has no margin mode per instrument.
        Operation::SetMarginMode(set) => one(post(
            "/v5/account/set-margin-mode",
            &[(
                "setMarginMode",
                json_text(match set.margin_mode {
                    MarginMode::Cross => "REGULAR_MARGIN",
                    MarginMode::Isolated => "ISOLATED_MARGIN",
                }),
            )],
        )),

        Operation::OpenOrders(query) => one(match &query.instrument {
            Some(instrument) => maker.named(get("/v5/order/realtime"), instrument)?,
            None => get("/v5/order/realtime")
                .with("settleCoin", SETTLE_COIN)
                .with("category", Category::Linear.word()),
        }
        .with("limit", ORDERS_PAGE.to_string())),
        Operation::Order(order) => one(maker.order(order)?),
        // Of all kinds, also liquidations and settlements: a gap is filled with all that moved the position.
        Operation::Fills(query) => one(match &query.instrument {
            Some(instrument) => maker.named(get("/v5/execution/list"), instrument)?,
            None => get("/v5/execution/list").with("category", Category::Linear.word()),
        }
        .with_some("limit", query.limit.map(|limit| limit.to_string()))
        .with_some("startTime", query.start_ms.map(|start| start.to_string()))),

        Operation::PlaceOrder(order) => {
            let category = maker.category(&order.instrument)?;
            one(post(
                "/v5/order/create",
                &maker.order_members(order, category, true)?,
            ))
        }
        Operation::PlaceOrders(orders) => maker.batches(
            "/v5/order/create-batch",
            some(&orders.orders, "orders")?,
            |order| &order.instrument,
            |order, category| maker.order_members(order, category, false),
        ),
        Operation::AmendOrder(amend) => one(maker.amend(amend)?),
        // Conditional orders are ordinary orders here.
        Operation::CancelOrder(order) | Operation::CancelConditionalOrder(order) => {
            let category = maker.category(&order.instrument)?;
            let mut members = vec![("symbol", json_text(&order.instrument))];
            let category = ("category", json_text(category.word()));
            match parameters.need_id(order.order_id.as_ref(), order.client_order_id.as_ref())? {
                OrderId::Venue(id) => members.extend([("orderId", json_text(id)), category]),
                OrderId::Client(id) => members.extend([category, ("orderLinkId", json_text(id))]),
            }
            one(post("/v5/order/cancel", &members))
        }
        Operation::CancelOrders(orders) => maker.batches(
            "/v5/order/cancel-batch",
            some(&orders.orders, "orders")?,
            |order| &order.instrument,
            |order, _| {
                Ok(vec![
                    ("symbol", json_text(&order.instrument)),
                    id_member(parameters.need_id(order.order_id.as_ref(), order.client_order_id.as_ref())?),
                ])
            },
        ),
        // Conditional orders too.
        Operation::CancelAllOrders(query) => one(post(
            "/v5/order/cancel-all",
            &match &query.instrument {
                Some(instrument) => [
                    ("symbol", json_text(instrument)),
                    ("category", json_text(maker.category(instrument)?.word())),
                ],
                None => [
                    ("category", json_text(Category::Linear.word())),
                    ("settleCoin", json_text(SETTLE_COIN)),
                ],
            },
        )),
        Operation::ClosePosition(close) => {
            let order = closing_order(close, &parameters)?;
            let category = maker.category(&order.instrument)?;
            one(post(
                "/v5/order/create",
                &maker.order_members(&order, category, true)?,
            ))
        }
        Operation::PlaceConditionalOrder(order) => {
            let category = maker.category(&order.instrument)?;
            one(post(
                "/v5/order/create",
                &maker.conditional_members(order, order.reduce_only, category, true)?,
            ))
        }
        Operation::PlaceStopLadder(ladder) => maker.batches(
            "/v5/order/create-batch",
            some(&ladder.rungs, "rungs")?,
            |rung| &rung.instrument,
            |rung, category| maker.conditional_members(rung, true, category, false),
        ),
        Operation::CancelAllAfter(_) => Err(RequestError::Unsupported {
            venue: Venue::Bybit,
            operation: operation.name(),
            instead: "the venue only watches the account's socket; cancel all orders when the socket is lost",
        }),
        Operation::CreateListenKey(_) | Operation::KeepListenKey(_) | Operation::CloseListenKey(_) => {
            Err(RequestError::Unsupported {
                venue: Venue::Bybit,
                operation: operation.name(),
                instead: "the account's socket is logged in to with a signature",
            })
        }
    }
}

fn public(path: &str) -> Request {
    Request::new(Method::Get, path, Access::Public)
}

fn get(path: &str) -> Request {
    Request::new(Method::Get, path, Access::Signed)
}

fn post(path: &str, members: &[Member]) -> Request {
    Request::new(Method::Post, path, Access::Signed).json(json_object(members))
}

/// A member of a body: its value is JSON already.
type Member = (&'static str, String);

fn some<'a, T>(list: &'a [T], parameter: &'static str) -> Result<&'a [T], RequestError> {
    if list.is_empty() {
        return Err(RequestError::BadParameter {
            parameter,
            value: "[]".to_owned(),
            reason: "at least one",
        });
    }
    Ok(list)
}

fn depth_word(depth: u32) -> u32 {
    DEPTHS.into_iter().find(|known| *known >= depth).unwrap_or(1000)
}

fn positive(value: Decimal, parameter: &'static str) -> Result<Decimal, RequestError> {
    if value <= Decimal::ZERO {
        return Err(RequestError::BadParameter {
            parameter,
            value: value.to_string(),
            reason: "more than zero",
        });
    }
    Ok(value)
}

fn id_member(id: OrderId<'_>) -> Member {
    match id {
        OrderId::Venue(id) => ("orderId", json_text(id)),
        OrderId::Client(id) => ("orderLinkId", json_text(id)),
    }
}

/// The order that closes a position.
fn closing_order(close: &ClosePosition, parameters: &Parameters) -> Result<NewOrder, RequestError> {
    let size = parameters.need("size", close.size)?;
    let side = if size > Decimal::ZERO {
        Side::Sell
    } else {
        Side::Buy
    };
    Ok(NewOrder {
        instrument: close.instrument.clone(),
        side,
        size: size.abs(),
        order_kind: OrderKind::Market,
        price: close.price,
        time_in_force: None,
        reduce_only: true,
        position_side: close.position_side,
        margin_mode: close.margin_mode,
        leverage: None,
        client_order_id: close.client_order_id.clone(),
    })
}

fn time_in_force(time_in_force: TimeInForce) -> Result<&'static str, RequestError> {
    match time_in_force {
        TimeInForce::GoodTilCancelled => Ok("GTC"),
        TimeInForce::ImmediateOrCancel => Ok("IOC"),
        TimeInForce::FillOrKill => Ok("FOK"),
        TimeInForce::PostOnly => Ok("PostOnly"),
        TimeInForce::GoodTilDate => Err(RequestError::BadParameter {
            parameter: "time_in_force",
            value: "good_til_date".to_owned(),
            reason: "the venue has no orders with a date",
        }),
    }
}

/// How an order says that it may only reduce, and which position it is for. In hedge mode the venue wants both; an order
/// along its position cannot reduce it.
fn position_members(
    side: Side,
    position_side: PositionSide,
    reduce_only: bool,
) -> Result<Vec<Member>, RequestError> {
    let mut members = Vec::new();
    if reduce_only {
        members.push(("reduceOnly", "true".to_owned()));
    }
    let (index, opens) = match position_side {
        PositionSide::Net => return Ok(members),
        PositionSide::Long => ("1", side == Side::Buy),
        PositionSide::Short => ("2", side == Side::Sell),
    };
    if reduce_only && opens {
        return Err(RequestError::BadParameter {
            parameter: "reduce_only",
            value: format!("{} {position_side:?}", words::side_word(side)),
            reason: "this order would open: sell to reduce a long position, buy to reduce a short one",
        });
    }
    members.push(("positionIdx", index.to_owned()));
    Ok(members)
}

struct Maker<'a> {
    instruments: &'a Instruments,
    parameters: &'a Parameters,
}

impl Maker<'_> {
    fn category(&self, instrument: &Text) -> Result<Category, RequestError> {
        words::category_of(instrument, self.instruments).map_err(|_| RequestError::BadParameter {
            parameter: "instrument",
            value: instrument.to_string(),
            reason: "only linear and inverse contracts are supported: BTCUSDT, BTCPERP, BTCUSD",
        })
    }

    fn named(&self, request: Request, instrument: &Text) -> Result<Request, RequestError> {
        let category = self.category(instrument)?;
        Ok(request
            .with("symbol", instrument.as_str())
            .with("category", category.word()))
    }

    fn order(&self, order: &OrderRef) -> Result<Request, RequestError> {
        let category = self.category(&order.instrument)?.word();
        let request = get("/v5/order/realtime").with("symbol", order.instrument.as_str());
        let id = self
            .parameters
            .need_id(order.order_id.as_ref(), order.client_order_id.as_ref())?;
        Ok(match id {
            OrderId::Venue(id) => request.with("orderId", id).with("category", category),
            OrderId::Client(id) => request.with("category", category).with("orderLinkId", id),
        })
    }

    /// The size as the venue takes it: base units of a linear contract, US dollars of an inverse one; rounded down to the
    /// lot where the instrument is known.
    fn quantity(
        &self,
        instrument: &Text,
        size: Decimal,
        price: Option<Decimal>,
        category: Category,
    ) -> Result<String, RequestError> {
        let size = positive(size, "size")?;
        let rounded = match (category, self.instruments.get(instrument)) {
            (Category::Linear, Ok(known)) => known.round_to_lot(size),
            (Category::Linear, Err(_)) => size,
            (Category::Inverse, known) => {
                let price = self
                    .parameters
                    .need("price (sizes are in US dollars here)", price)?;
                known?
                    .from_base(size, Some(price))
                    .ok_or(RequestError::BadParameter {
                        parameter: "size",
                        value: size.to_string(),
                        reason: "too large to be told in US dollars",
                    })?
            }
        };
        if rounded.is_zero() {
            return Err(RequestError::BadParameter {
                parameter: "size",
                value: size.to_string(),
                reason: "less than the instrument's smallest step",
            });
        }
        Ok(json_text(&rounded.normalize().to_string()))
    }

    fn price(&self, price: Option<Decimal>) -> Result<String, RequestError> {
        let price = positive(self.parameters.need("price", price)?, "price")?;
        Ok(json_text(&price.normalize().to_string()))
    }

    fn order_members(
        &self,
        order: &NewOrder,
        category: Category,
        alone: bool,
    ) -> Result<Vec<Member>, RequestError> {
        let is_limit = match order.order_kind {
            OrderKind::Market => false,
            OrderKind::Limit => true,
            other => {
                return Err(RequestError::BadParameter {
                    parameter: "order_kind",
                    value: format!("{other:?}"),
                    reason: "market or limit; what waits for a trigger is place_conditional_order",
                });
            }
        };
        if !is_limit
            && let Some(time_in_force) = order
                .time_in_force
                .filter(|time_in_force| *time_in_force != TimeInForce::ImmediateOrCancel)
        {
            return Err(RequestError::BadParameter {
                parameter: "time_in_force",
                value: format!("{time_in_force:?}"),
                reason: "a market order is immediate or cancelled",
            });
        }
        let mut members = vec![
            ("symbol", json_text(&order.instrument)),
            ("side", json_text(words::side_word(order.side))),
            ("orderType", json_text(if is_limit { "Limit" } else { "Market" })),
        ];
        if is_limit && let Some(word) = order.time_in_force {
            members.push(("timeInForce", json_text(time_in_force(word)?)));
        }
        if let Some(id) = &order.client_order_id {
            members.push(("orderLinkId", json_text(words::client_id(id)?)));
        }
        if is_limit {
            members.push(("price", self.price(order.price)?));
        }
        if alone {
            members.push(("category", json_text(category.word())));
        }
        members.push((
            "qty",
            self.quantity(&order.instrument, order.size, order.price, category)?,
        ));
        members.extend(position_members(
            order.side,
            order.position_side,
            order.reduce_only,
        )?);
        Ok(members)
    }

    fn conditional_members(
        &self,
        order: &ConditionalOrder,
        reduce_only: bool,
        category: Category,
        alone: bool,
    ) -> Result<Vec<Member>, RequestError> {
        let (is_limit, is_stop) = match order.order_kind {
            OrderKind::StopMarket => (false, true),
            OrderKind::StopLimit => (true, true),
            OrderKind::TakeProfitMarket => (false, false),
            OrderKind::TakeProfitLimit => (true, false),
            other => {
                return Err(RequestError::BadParameter {
                    parameter: "order_kind",
                    value: format!("{other:?}"),
                    reason: "one of the stop and take-profit kinds",
                });
            }
        };
        // 1: once the price has risen to the trigger; 2: once it has fallen to it.
        let rises = (order.side == Side::Buy) == is_stop;
        let mut members = vec![
            ("symbol", json_text(&order.instrument)),
            ("side", json_text(words::side_word(order.side))),
            ("orderType", json_text(if is_limit { "Limit" } else { "Market" })),
        ];
        if let Some(id) = &order.client_order_id {
            members.push(("orderLinkId", json_text(words::client_id(id)?)));
        }
        if is_limit {
            members.push(("price", self.price(order.price)?));
        }
        if alone {
            members.push(("category", json_text(category.word())));
        }
        let price = order.price.or(Some(order.trigger_price));
        members.extend([
            (
                "qty",
                self.quantity(&order.instrument, order.size, price, category)?,
            ),
            ("triggerDirection", if rises { "1" } else { "2" }.to_owned()),
            ("triggerPrice", self.price(Some(order.trigger_price))?),
        ]);
        members.extend(position_members(order.side, order.position_side, reduce_only)?);
        match order.trigger_by {
            // The venue's default.
            TriggerPrice::Last => {}
            TriggerPrice::Mark => members.push(("triggerBy", json_text("MarkPrice"))),
            TriggerPrice::Index => members.push(("triggerBy", json_text("IndexPrice"))),
        }
        Ok(members)
    }

    fn amend(&self, amend: &AmendOrder) -> Result<Request, RequestError> {
        let category = self.category(&amend.instrument)?;
        let id = self
            .parameters
            .need_id(amend.order_id.as_ref(), amend.client_order_id.as_ref())?;
        if amend.size.is_none() && amend.price.is_none() {
            return Err(RequestError::MissingParameter {
                operation: self.parameters.0,
                parameter: "size or price",
            });
        }
        let mut members = vec![
            ("symbol", json_text(&amend.instrument)),
            id_member(id),
            ("category", json_text(category.word())),
        ];
        if let Some(size) = amend.size {
            members.push((
                "qty",
                self.quantity(&amend.instrument, size, amend.price, category)?,
            ));
        }
        if let Some(price) = amend.price {
            members.push(("price", self.price(Some(price))?));
        }
        Ok(post("/v5/order/amend", &members))
    }

    /// Batches are of one product.
    fn batches<T>(
        &self,
        path: &str,
        list: &[T],
        instrument: impl Fn(&T) -> &Text,
        members: impl Fn(&T, Category) -> Result<Vec<Member>, RequestError>,
    ) -> Result<Vec<Request>, RequestError> {
        let mut requests = Vec::new();
        let mut rest = list;
        while let Some(first) = rest.first() {
            let category = self.category(instrument(first))?;
            let mut same = 0;
            for one in rest.iter().take(BATCH) {
                if self.category(instrument(one))? != category {
                    break;
                }
                same += 1;
            }
            let (batch, later) = rest.split_at(same);
            rest = later;
            let objects = batch
                .iter()
                .map(|one| Ok(json_object(&members(one, category)?)))
                .collect::<Result<Vec<_>, RequestError>>()?;
            requests.push(post(
                path,
                &[
                    ("category", json_text(category.word())),
                    ("request", format!("[{}]", objects.join(","))),
                ],
            ));
        }
        Ok(requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venues::bybit::instruments::known;
    use serde_json::{Value, json};

    fn ask(operation: &str, parameters: Value) -> Result<Vec<Request>, RequestError> {
        let instruments = known();
        let operation: Operation =
            serde_json::from_value(json!({"operation": operation, "parameters": parameters})).unwrap();
        let context = Context {
            instruments: &instruments,
            timestamp_ms: 1,
        };
        requests(&operation, &context)
    }

    fn order(more: Value) -> Value {
        let mut order = json!({"instrument": "BTCUSDT", "side": "sell", "size": "0.0029"});
        for (name, value) in more.as_object().unwrap() {
            order[name] = value.clone();
        }
        order
    }

    fn body(operation: &str, parameters: Value) -> String {
        ask(operation, parameters).unwrap().remove(0).body
    }

    #[test]
    fn sizes_are_rounded_down_to_the_lot_and_never_to_nothing() {
        assert_eq!(
            body("place_order", order(json!({}))),
            r#"{"symbol":"BTCUSDT","side":"Sell","orderType":"Market","category":"linear","qty":"0.002"}"#
        );
        for size in ["0.0009", "0", "-1"] {
            assert!(ask("place_order", order(json!({"size": size}))).is_err());
        }
        assert!(body("place_order", order(json!({"instrument": "NEWUSDT"}))).contains(r#""qty":"0.0029""#));
    }

    #[test]
    fn inverse_sizes_are_dollars_at_the_price() {
        let inverse = |more: Value| {
            let mut order = json!({"instrument": "BTCUSD", "side": "buy", "size": "0.00219"});
            for (name, value) in more.as_object().unwrap() {
                order[name] = value.clone();
            }
            ask("place_order", order)
        };
        let asked = inverse(json!({"order_kind": "limit", "price": "50000"})).unwrap();
        assert!(
            asked[0].body.contains(r#""category":"inverse","qty":"109""#),
            "{}",
            asked[0].body
        );
        assert!(
            inverse(json!({"price": "50000"})).unwrap()[0]
                .body
                .contains(r#""qty":"109""#)
        );
        assert!(matches!(
            inverse(json!({})),
            Err(RequestError::MissingParameter { .. })
        ));
        // Its lot is not known.
        assert!(matches!(
            inverse(json!({"instrument": "ADAUSD", "price": "1"})),
            Err(RequestError::UnknownInstrument(_))
        ));
    }

    #[test]
    fn in_hedge_mode_the_position_is_named() {
        let hedge = |more: Value| ask("place_order", order(more));
        let asked = hedge(json!({"position_side": "long", "reduce_only": true})).unwrap();
        assert!(
            asked[0]
                .body
                .ends_with(r#""qty":"0.002","reduceOnly":true,"positionIdx":1}"#)
        );
        let asked = hedge(json!({"position_side": "short"})).unwrap();
        assert!(asked[0].body.ends_with(r#""qty":"0.002","positionIdx":2}"#));
        // Selling a short position opens it.
        assert!(hedge(json!({"position_side": "short", "reduce_only": true})).is_err());
    }

    #[test]
    fn a_position_is_closed_by_an_order_against_it() {
        assert!(
            body(
                "close_position",
                json!({"instrument": "BTCUSDT", "size": "-0.01"})
            )
            .contains(
                r#""side":"Buy","orderType":"Market","category":"linear","qty":"0.01","reduceOnly":true"#
            )
        );
        assert!(ask("close_position", json!({"instrument": "BTCUSDT"})).is_err());
        assert!(
            ask(
                "close_position",
                json!({"instrument": "BTCUSDT", "size": "-1", "position_side": "long"})
            )
            .is_err()
        );
    }

    #[test]
    fn triggers_wait_in_the_direction_of_their_kind() {
        for (side, kind, direction) in [
            ("sell", "stop_market", 2),
            ("sell", "take_profit_market", 1),
            ("buy", "stop_market", 1),
            ("buy", "take_profit_market", 2),
        ] {
            let asked = body(
                "place_conditional_order",
                order(
                    json!({"side": side, "order_kind": kind, "trigger_price": "40000", "trigger_by": "mark"}),
                ),
            );
            assert!(
                asked.ends_with(&format!(
                    r#""triggerDirection":{direction},"triggerPrice":"40000","triggerBy":"MarkPrice"}}"#
                )),
                "{asked}"
            );
        }
    }

    #[test]
    fn every_rung_of_a_ladder_only_reduces() {
        let rung = order(json!({"order_kind": "stop_market", "trigger_price": "40000"}));
        let asked = ask("place_stop_ladder", json!({"rungs": [rung.clone(), rung]})).unwrap();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].body.matches(r#""reduceOnly":true"#).count(), 2);
    }

    #[test]
    fn batches_are_of_one_product_and_no_larger_than_the_venue_takes() {
        let mut orders: Vec<Value> = (0..21).map(|_| order(json!({}))).collect();
        orders.push(json!({"instrument": "BTCUSD", "side": "buy", "size": "1", "price": "50000"}));
        let asked = ask("place_orders", json!({"orders": orders})).unwrap();
        assert_eq!(asked.len(), 3);
        assert!(asked[2].body.starts_with(r#"{"category":"inverse","request":["#));
        assert!(ask("cancel_orders", json!({"orders": []})).is_err());
    }

    #[test]
    fn what_the_venue_cannot_take_is_refused_here() {
        for wrong in [
            json!({"order_kind": "limit"}),
            json!({"order_kind": "stop_market"}),
            json!({"time_in_force": "post_only"}),
            json!({"client_order_id": "a.b"}),
            json!({"instrument": "BTC-26DEC25-60000-C"}),
            json!({"instrument": "BTCEUR"}),
        ] {
            assert!(ask("place_order", order(wrong.clone())).is_err(), "{wrong}");
        }
        assert!(ask("amend_order", json!({"instrument": "BTCUSDT", "order_id": "1"})).is_err());
        for operation in ["create_listen_key", "keep_listen_key", "close_listen_key"] {
            assert!(matches!(
                ask(operation, json!({})),
                Err(RequestError::Unsupported { .. })
            ));
        }
        assert!(ask("cancel_all_after", json!({"after_ms": 1000})).is_err());
    }
}
