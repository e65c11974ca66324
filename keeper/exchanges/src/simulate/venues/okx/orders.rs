//! Orders as they are asked for, by REST and by socket.

use serde_json::{Value, json};

use super::super::shared::{number, text};
use super::{Extra, Okx, Refusal, bad, refusal, rejected};
use crate::model::{
    Decimal, MarginMode, OrderKind, OrderStatus, PositionMode, PositionSide, Side, Text, TimeInForce,
    TriggerPrice,
};
use crate::operation::{AmendOrder, ConditionalOrder, NewOrder, OrderRef};
use crate::simulate::engine::{Account, Engine, Quote, Reject};

/// Longest client id.
const LONGEST_ID: usize = 32;
/// Longest tag.
const LONGEST_TAG: usize = 16;
/// Most orders in a batch.
const LARGEST_BATCH: usize = 20;

/// What can be done with one order or a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Place,
    Amend,
    Cancel,
    PlaceTrigger,
    CancelTrigger,
}

/// How a message names its instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// `instId`: REST.
    Name,
    /// `instIdCode`: orders on sockets.
    Code,
}

/// The answer to one or several orders.
pub(super) struct Outcome {
    pub(super) code: &'static str,
    pub(super) message: &'static str,
    pub(super) data: Vec<Value>,
}

fn quote_of<'a>(argument: &Value, naming: Naming, engine: &'a Engine) -> Result<&'a Quote, Refusal> {
    match naming {
        Naming::Name => {
            let name = text(argument, "instId").ok_or_else(|| bad("instId"))?;
            engine.quote(&name)
        }
        Naming::Code => {
            let code = text(argument, "instIdCode").ok_or_else(|| bad("instIdCode"))?;
            engine.quotes().find(|quote| {
                quote
                    .instrument
                    .number
                    .is_some_and(|number| number.to_string() == code)
            })
        }
    }
    .ok_or_else(|| rejected(&Reject::UnknownInstrument))
}

/// A client's own word: letters and digits only.
fn own_word(argument: &Value, name: &str, longest: usize) -> Result<Option<Text>, Refusal> {
    match text(argument, name) {
        Some(word) if word.len() > longest || !word.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Err(bad(name))
        }
        word => Ok(word),
    }
}

fn side(argument: &Value) -> Result<Side, Refusal> {
    match argument["side"].as_str() {
        Some("buy") => Ok(Side::Buy),
        Some("sell") => Ok(Side::Sell),
        _ => Err(bad("side")),
    }
}

pub(super) fn margin_mode(argument: &Value, name: &str) -> Result<MarginMode, Refusal> {
    match argument[name].as_str() {
        Some("cross") => Ok(MarginMode::Cross),
        Some("isolated") => Ok(MarginMode::Isolated),
        _ => Err(bad(name)),
    }
}

pub(super) fn position_side(argument: &Value, mode: PositionMode) -> Result<PositionSide, Refusal> {
    match (argument["posSide"].as_str(), mode) {
        (None | Some("" | "net"), PositionMode::OneWay) => Ok(PositionSide::Net),
        (Some("long"), PositionMode::Hedge) => Ok(PositionSide::Long),
        (Some("short"), PositionMode::Hedge) => Ok(PositionSide::Short),
        _ => Err(bad("posSide")),
    }
}

/// Contracts asked for, as base units.
fn size(argument: &Value, name: &str, quote: &Quote) -> Result<Decimal, Refusal> {
    let contracts = number(argument, name).ok_or_else(|| bad(name))?;
    let instrument = &quote.instrument;
    if contracts < instrument.minimum_size {
        return Err(refusal(
            "51020",
            "Your order should meet or exceed the minimum order amount.",
        ));
    }
    if !(contracts % instrument.lot).is_zero() {
        return Err(rejected(&Reject::Size));
    }
    instrument
        .to_base(contracts, Some(quote.price))
        .ok_or_else(|| bad(name))
}

fn order_ref(argument: &Value, quote: &Quote, id: &str, own: &str) -> Result<OrderRef, Refusal> {
    let wanted = OrderRef {
        instrument: quote.instrument.instrument.clone(),
        order_id: text(argument, id),
        client_order_id: text(argument, own),
    };
    if wanted.order_id.is_none() && wanted.client_order_id.is_none() {
        return Err(refusal("51003", format!("Either {id} or {own} is required.")));
    }
    Ok(wanted)
}

/// The margin mode of an order counts while the instrument has no position. Reducing with the other one finds nothing.
fn use_margin_mode(
    key: &str,
    instrument: &Text,
    mode: MarginMode,
    reduces: bool,
    engine: &mut Engine,
) -> Result<(), Refusal> {
    let open = engine
        .positions(key)
        .iter()
        .any(|position| position.instrument == *instrument);
    let Some(account) = engine.account_mut(key) else {
        return Ok(());
    };
    let current = account.margin_modes.get(instrument).copied().unwrap_or_default();
    if !open {
        account.margin_modes.insert(instrument.clone(), mode);
    } else if current != mode && reduces {
        return Err(rejected(&Reject::ReduceOnly));
    }
    Ok(())
}

impl Okx {
    /// Does the same with each of `arguments`; what came of all.
    pub(super) fn operate(
        &self,
        act: Act,
        naming: Naming,
        arguments: &[Value],
        key: &str,
        engine: &mut Engine,
    ) -> Result<Outcome, Refusal> {
        if arguments.is_empty() {
            return Err(bad("args"));
        }
        if arguments.len() > LARGEST_BATCH {
            return Err(refusal(
                "51111",
                format!("Maximum {LARGEST_BATCH} orders can be placed in bulk."),
            ));
        }
        let data: Vec<Value> = arguments
            .iter()
            .map(|argument| self.one(act, naming, argument, key, engine))
            .collect();
        let failed = data.iter().filter(|row| row["sCode"] != "0").count();
        let (code, message) = if failed == 0 {
            ("0", "")
        } else if failed == data.len() {
            ("1", "All operations failed")
        } else {
            ("2", "Bulk operation partially succeeded")
        };
        Ok(Outcome { code, message, data })
    }

    fn one(&self, act: Act, naming: Naming, argument: &Value, key: &str, engine: &mut Engine) -> Value {
        let done = match act {
            Act::Place => self.place(naming, argument, key, engine),
            Act::Amend => amend(naming, argument, key, engine),
            Act::Cancel => cancel(naming, argument, key, engine),
            Act::PlaceTrigger => self.place_trigger(argument, key, engine),
            Act::CancelTrigger => cancel_trigger(argument, key, engine),
        };
        let (code, message, id, own) = match done {
            Ok((id, own)) => ("0", String::new(), id, own),
            Err(refusal) => (refusal.code, refusal.message, Text::default(), None),
        };
        let tag = text(argument, "tag").unwrap_or_default();
        let time = engine.now_ms().to_string();
        if matches!(act, Act::PlaceTrigger | Act::CancelTrigger) {
            let own = own.or_else(|| text(argument, "algoClOrdId")).unwrap_or_default();
            return json!({ "algoId": id, "algoClOrdId": own, "clOrdId": "", "tag": tag, "sCode": code, "sMsg": message });
        }
        let own = own.or_else(|| text(argument, "clOrdId")).unwrap_or_default();
        let mut row =
            json!({ "ordId": id, "clOrdId": own, "tag": tag, "ts": time, "sCode": code, "sMsg": message });
        if act == Act::Amend {
            row["reqId"] = text(argument, "reqId").unwrap_or_default().as_str().into();
        }
        row
    }

    fn place(
        &self,
        naming: Naming,
        argument: &Value,
        key: &str,
        engine: &mut Engine,
    ) -> Result<(Text, Option<Text>), Refusal> {
        let quote = quote_of(argument, naming, engine)?;
        let mode = engine
            .account(key)
            .map_or(PositionMode::OneWay, |account| account.position_mode);
        let margin_mode = margin_mode(argument, "tdMode")?;
        let side = side(argument)?;
        let (order_kind, time_in_force) = match argument["ordType"].as_str() {
            Some("market" | "optimal_limit_ioc") => (OrderKind::Market, TimeInForce::GoodTilCancelled),
            Some("limit") => (OrderKind::Limit, TimeInForce::GoodTilCancelled),
            Some("post_only") => (OrderKind::Limit, TimeInForce::PostOnly),
            Some("fok") => (OrderKind::Limit, TimeInForce::FillOrKill),
            Some("ioc") => (OrderKind::Limit, TimeInForce::ImmediateOrCancel),
            _ => return Err(bad("ordType")),
        };
        let position_side = position_side(argument, mode)?;
        let base = size(argument, "sz", quote)?;
        let price = number(argument, "px");
        if order_kind == OrderKind::Limit && price.is_none() {
            return Err(bad("px"));
        }
        let contracts = number(argument, "sz").unwrap_or_default();
        if order_kind == OrderKind::Market
            && quote
                .instrument
                .maximum_market_size
                .is_some_and(|most| contracts > most)
        {
            return Err(refusal(
                "51202",
                "Market order amount exceeds the maximum amount.",
            ));
        }
        if argument["attachAlgoOrds"]
            .as_array()
            .is_some_and(|attached| !attached.is_empty())
        {
            // Not simulated: better refused than forgotten.
            return Err(bad("attachAlgoOrds"));
        }
        let client_order_id = own_word(argument, "clOrdId", LONGEST_ID)?;
        let tag = own_word(argument, "tag", LONGEST_TAG)?.unwrap_or_default();
        // In hedge mode the mark means nothing: the side of the position says whether an order closes.
        let reduce_only =
            mode == PositionMode::OneWay && text(argument, "reduceOnly").is_some_and(|only| only == "true");
        let closes = reduce_only
            || matches!(
                (position_side, side),
                (PositionSide::Long, Side::Sell) | (PositionSide::Short, Side::Buy)
            );
        let order = NewOrder {
            instrument: quote.instrument.instrument.clone(),
            side,
            size: base,
            order_kind,
            price,
            time_in_force: Some(time_in_force),
            reduce_only,
            position_side,
            margin_mode,
            leverage: None,
            client_order_id,
        };
        let kind = text(argument, "ordType").unwrap_or_default();
        use_margin_mode(key, &order.instrument, margin_mode, closes, engine)?;
        let taken = engine
            .place_or_end(key, &order)
            .map_err(|reject| rejected(&reject))?;
        self.extras().insert(
            taken.order_id.clone(),
            Extra {
                margin_mode,
                kind,
                tag,
                created_ms: engine.now_ms(),
                trigger: "",
            },
        );
        Ok((taken.order_id, taken.client_order_id))
    }

    fn place_trigger(
        &self,
        argument: &Value,
        key: &str,
        engine: &mut Engine,
    ) -> Result<(Text, Option<Text>), Refusal> {
        let quote = quote_of(argument, Naming::Name, engine)?;
        let mode = engine
            .account(key)
            .map_or(PositionMode::OneWay, |account| account.position_mode);
        let margin_mode = margin_mode(argument, "tdMode")?;
        let side = side(argument)?;
        let position_side = position_side(argument, mode)?;
        let kind = text(argument, "ordType").ok_or_else(|| bad("ordType"))?;
        let (trigger, of) = match kind.as_str() {
            "trigger" => (
                number(argument, "triggerPx").ok_or_else(|| bad("triggerPx"))?,
                "trigger",
            ),
            "conditional" => match (number(argument, "slTriggerPx"), number(argument, "tpTriggerPx")) {
                (Some(stop), None) => (stop, "sl"),
                (None, Some(profit)) => (profit, "tp"),
                // Both at once are an `oco` order, which is not simulated.
                _ => return Err(bad("slTriggerPx")),
            },
            _ => return Err(bad("ordType")),
        };
        let price_name = match of {
            "sl" => "slOrdPx",
            "tp" => "tpOrdPx",
            _ => "orderPx",
        };
        let price = number(argument, price_name)
            .ok_or_else(|| bad(price_name))
            .map(|price| (price != Decimal::NEGATIVE_ONE).then_some(price))?;
        // A plain trigger waits for the price from whichever side it is now.
        let stop = match of {
            "sl" => true,
            "tp" => false,
            _ => (trigger > quote.price) == (side == Side::Buy),
        };
        let order_kind = match (stop, price) {
            (true, None) => OrderKind::StopMarket,
            (true, Some(_)) => OrderKind::StopLimit,
            (false, None) => OrderKind::TakeProfitMarket,
            (false, Some(_)) => OrderKind::TakeProfitLimit,
        };
        let trigger_by = match argument[match of {
            "sl" => "slTriggerPxType",
            "tp" => "tpTriggerPxType",
            _ => "triggerPxType",
        }]
        .as_str()
        {
            Some("mark") => TriggerPrice::Mark,
            Some("index") => TriggerPrice::Index,
            _ => TriggerPrice::Last,
        };
        let order = ConditionalOrder {
            instrument: quote.instrument.instrument.clone(),
            side,
            size: size(argument, "sz", quote)?,
            order_kind,
            trigger_price: trigger,
            trigger_by,
            price,
            reduce_only: mode == PositionMode::OneWay
                && text(argument, "reduceOnly").is_some_and(|only| only == "true"),
            position_side,
            margin_mode,
            client_order_id: own_word(argument, "algoClOrdId", LONGEST_ID)?,
        };
        let tag = own_word(argument, "tag", LONGEST_TAG)?.unwrap_or_default();
        let taken = engine
            .place_conditional(key, &order)
            .map_err(|reject| match (&reject, of, side) {
                (Reject::WouldTrigger, "tp", Side::Buy) => {
                    refusal("51277", "TP trigger price can not be higher than the last price")
                }
                (Reject::WouldTrigger, "tp", Side::Sell) => {
                    refusal("51279", "TP trigger price can not be lower than the last price")
                }
                (Reject::WouldTrigger, _, Side::Buy) => {
                    refusal("51278", "SL trigger price can not be lower than the last price")
                }
                _ => rejected(&reject),
            })?;
        self.extras().insert(
            taken.order_id.clone(),
            Extra {
                margin_mode,
                kind,
                tag,
                created_ms: engine.now_ms(),
                trigger: of,
            },
        );
        Ok((taken.order_id, taken.client_order_id))
    }

    /// Closes a position at market; the row of the answer.
    pub(super) fn close(&self, body: &Value, key: &str, engine: &mut Engine) -> Result<Value, Refusal> {
        let instrument = quote_of(body, Naming::Name, engine)?
            .instrument
            .instrument
            .clone();
        let mode = engine
            .account(key)
            .map_or(PositionMode::OneWay, |account| account.position_mode);
        let side = position_side(body, mode)?;
        let margin = margin_mode(body, "mgnMode")?;
        let client_order_id = own_word(body, "clOrdId", LONGEST_ID)?;
        let position = engine
            .positions(key)
            .into_iter()
            .find(|position| position.instrument == instrument && position.position_side == side)
            .filter(|position| position.margin_mode.unwrap_or_default() == margin)
            .ok_or_else(|| rejected(&Reject::NoPosition))?;
        let closing = if position.size.is_sign_positive() {
            Side::Sell
        } else {
            Side::Buy
        };
        let pending: Vec<OrderRef> = engine
            .account(key)
            .into_iter()
            .flat_map(Account::orders)
            .filter(|order| {
                order.instrument == instrument
                    && order.side == closing
                    && (order.reduce_only || order.position_side != PositionSide::Net)
                    && order.position_side == side
                    && matches!(order.status, OrderStatus::Open | OrderStatus::PartiallyFilled)
            })
            .map(|order| OrderRef {
                instrument: instrument.clone(),
                order_id: Some(order.order_id.clone()),
                client_order_id: None,
            })
            .collect();
        if !pending.is_empty() && text(body, "autoCxl").is_none_or(|cancel| cancel != "true") {
            return Err(refusal(
                "51115",
                "Cancel all pending close-orders before liquidation.",
            ));
        }
        for order in pending {
            // It was open a moment ago, under the same lock.
            let _ = engine.cancel(key, &order);
        }
        let order = NewOrder {
            instrument: instrument.clone(),
            side: closing,
            size: position.size.abs(),
            order_kind: OrderKind::Market,
            price: None,
            time_in_force: None,
            reduce_only: true,
            position_side: side,
            margin_mode: margin,
            leverage: None,
            client_order_id: client_order_id.clone(),
        };
        let taken = engine.place(key, &order).map_err(|reject| rejected(&reject))?;
        self.extras().insert(
            taken.order_id,
            Extra {
                margin_mode: margin,
                kind: Text::const_new("market"),
                tag: text(body, "tag").unwrap_or_default(),
                created_ms: engine.now_ms(),
                trigger: "",
            },
        );
        Ok(
            json!({ "instId": instrument, "posSide": super::rows::position_word(side),
                   "clOrdId": client_order_id.unwrap_or_default(), "tag": text(body, "tag").unwrap_or_default() }),
        )
    }
}

fn cancel(
    naming: Naming,
    argument: &Value,
    key: &str,
    engine: &mut Engine,
) -> Result<(Text, Option<Text>), Refusal> {
    let wanted = order_ref(argument, quote_of(argument, naming, engine)?, "ordId", "clOrdId")?;
    let gone = || {
        refusal(
            "51400",
            "Order cancellation failed as the order has been filled, canceled or does not exist.",
        )
    };
    let known = engine
        .account(key)
        .and_then(|account| account.order(&wanted))
        .ok_or_else(gone)?;
    if known.instrument != wanted.instrument || known.trigger_price.is_some() {
        return Err(gone());
    }
    let order = engine.cancel(key, &wanted).map_err(|_| gone())?;
    Ok((order.order_id, order.client_order_id))
}

fn cancel_trigger(argument: &Value, key: &str, engine: &mut Engine) -> Result<(Text, Option<Text>), Refusal> {
    let wanted = order_ref(
        argument,
        quote_of(argument, Naming::Name, engine)?,
        "algoId",
        "algoClOrdId",
    )?;
    let gone = || {
        refusal(
            "51400",
            "Order cancellation failed as the order has been filled, canceled or does not exist.",
        )
    };
    let known = engine
        .account(key)
        .and_then(|account| account.order(&wanted))
        .ok_or_else(gone)?;
    if known.instrument != wanted.instrument || known.trigger_price.is_none() {
        return Err(gone());
    }
    let order = engine.cancel(key, &wanted).map_err(|_| gone())?;
    Ok((order.order_id, order.client_order_id))
}

fn amend(
    naming: Naming,
    argument: &Value,
    key: &str,
    engine: &mut Engine,
) -> Result<(Text, Option<Text>), Refusal> {
    let quote = quote_of(argument, naming, engine)?;
    let wanted = order_ref(argument, quote, "ordId", "clOrdId")?;
    let known = engine
        .account(key)
        .and_then(|account| account.order(&wanted))
        .filter(|known| known.instrument == wanted.instrument && known.trigger_price.is_none())
        .ok_or_else(|| {
            refusal(
                "51503",
                "Order modification failed as the order has been filled, canceled or does not exist.",
            )
        })?;
    match known.status {
        OrderStatus::Filled => {
            return Err(refusal(
                "51510",
                "Modification failed as the order has been completed.",
            ));
        }
        status if status.is_final() => {
            return Err(refusal(
                "51509",
                "Modification failed as the order has been canceled.",
            ));
        }
        _ => {}
    }
    let new_size = match text(argument, "newSz") {
        Some(_) => Some(size(argument, "newSz", quote)?),
        None => None,
    };
    let price = number(argument, "newPx");
    if new_size.is_none() && price.is_none() {
        return Err(refusal("51500", "Either order price or amount is required."));
    }
    let change = AmendOrder {
        instrument: wanted.instrument,
        order_id: wanted.order_id,
        client_order_id: wanted.client_order_id,
        side: None,
        size: new_size,
        price,
        reduce_only: false,
    };
    let order = engine.amend(key, &change).map_err(|reject| match reject {
        Reject::Price => bad("newPx"),
        reject => rejected(&reject),
    })?;
    Ok((order.order_id, order.client_order_id))
}
