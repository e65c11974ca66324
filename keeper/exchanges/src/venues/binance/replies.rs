//! Bodies of REST replies into the model.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::{LevelFields, levels, taker_side};
use super::errors::{of_response, refused};
use super::words;
use crate::error::{DecodeError, ReplyError, VenueError};
use crate::json::{Number, read};
use crate::model::{
    AccountMode, Balance, Book, BookCheck, Decimal, Fee, Fill, Funding, Instrument, InstrumentState,
    Interval, Kline, Leverage, Liquidity, Mark, Order, Position, PositionMode, PositionSide, Text, Ticker,
    Trade,
};
use crate::operation::{Acknowledgement, Operation, Reply};
use crate::request::Response;

pub(super) fn reply(operation: &Operation, response: &Response) -> Result<Reply, ReplyError> {
    if let Some(refusal) = of_response(response) {
        return Err(refusal.into());
    }
    Ok(read_reply(operation, &response.body)?)
}

fn read_reply(operation: &Operation, body: &[u8]) -> Result<Reply, DecodeError> {
    match operation {
        Operation::ServerTime(_) => Ok(Reply::Time(
            read::<ServerTime<'_>>(body)?
                .server_time
                .milliseconds("serverTime")?,
        )),
        Operation::Instruments(_) => instruments(body),
        Operation::Ticker(_) => ticker(body),
        Operation::Book(query) => book(&query.instrument, body),
        Operation::Trades(query) => trades(&query.instrument, body),
        Operation::Klines(query) => klines(&query.instrument, query.interval, body),
        Operation::Mark(_) => mark(body),
        Operation::Funding(_) => funding(body),
        Operation::Balances(_) => balances(body),
        Operation::Positions(_) => positions(body),
        Operation::AccountMode(_) => Ok(Reply::AccountMode(AccountMode {
            position_mode: if read::<Dual>(body)?.dual {
                PositionMode::Hedge
            } else {
                PositionMode::OneWay
            },
        })),
        Operation::Leverage(query) => leverage(&query.instrument, body),
        Operation::OpenOrders(_) => read::<Vec<OrderFields<'_>>>(body)?
            .iter()
            .map(order)
            .collect::<Result<_, _>>()
            .map(Reply::Orders),
        Operation::Order(_) => Ok(Reply::Order(Box::new(order(&read(body)?)?))),
        Operation::Fills(_) => fills(body),
        Operation::PlaceOrder(_)
        | Operation::AmendOrder(_)
        | Operation::CancelOrder(_)
        | Operation::ClosePosition(_) => Ok(Reply::Acknowledged(vec![Ok(acknowledgement(&read(body)?)?)])),
        Operation::PlaceConditionalOrder(_)
        | Operation::CancelConditionalOrder(_)
        | Operation::PlaceStopLadder(_) => {
            Ok(Reply::Acknowledged(vec![Ok(algo_acknowledgement(&read(body)?)?)]))
        }
        Operation::PlaceOrders(_) | Operation::CancelOrders(_) => batch(body),
        Operation::CreateListenKey(_) => Ok(Reply::ListenKey(read::<ListenKey<'_>>(body)?.listen_key.into())),
        Operation::SetPositionMode(_)
        | Operation::SetLeverage(_)
        | Operation::SetMarginMode(_)
        | Operation::CancelAllOrders(_)
        | Operation::CancelAllAfter(_)
        | Operation::KeepListenKey(_)
        | Operation::CloseListenKey(_) => {
            // Whatever it says, it must be a reply of the venue and not a page of something in between.
            read::<&RawValue>(body)?;
            Ok(Reply::Done)
        }
    }
}

// -------------------------------------------------------------------------------------------------------------- market

#[derive(Deserialize)]
struct ServerTime<'a> {
    #[serde(rename = "serverTime", borrow)]
    server_time: Number<'a>,
}

#[derive(Deserialize)]
struct ExchangeInfo<'a> {
    #[serde(borrow)]
    symbols: Vec<SymbolFields<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SymbolFields<'a> {
    symbol: &'a str,
    #[serde(default)]
    status: Option<&'a str>,
    base_asset: &'a str,
    quote_asset: &'a str,
    #[serde(default)]
    margin_asset: Option<&'a str>,
    /// Only coin-margined contracts have one.
    #[serde(default, borrow)]
    contract_size: Option<&'a RawValue>,
    #[serde(borrow)]
    filters: Vec<Filter<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter<'a> {
    filter_type: &'a str,
    #[serde(default, borrow)]
    tick_size: Option<Number<'a>>,
    #[serde(default, borrow)]
    step_size: Option<Number<'a>>,
    #[serde(default, borrow)]
    min_qty: Option<Number<'a>>,
    #[serde(default, borrow)]
    max_qty: Option<Number<'a>>,
    #[serde(default, borrow)]
    notional: Option<Number<'a>>,
}

fn instruments(body: &[u8]) -> Result<Reply, DecodeError> {
    read::<ExchangeInfo<'_>>(body)?
        .symbols
        .iter()
        .map(instrument)
        .collect::<Result<_, _>>()
        .map(Reply::Instruments)
}

fn instrument(fields: &SymbolFields<'_>) -> Result<Instrument, DecodeError> {
    if fields.contract_size.is_some() {
        return Err(DecodeError::product("coin-margined"));
    }
    let need = |number: Option<Number<'_>>, field| match number {
        Some(number) => number.decimal(field),
        None => Err(DecodeError::MissingField {
            field,
            message: "exchangeInfo",
        }),
    };
    let filter = |name| {
        fields
            .filters
            .iter()
            .find(|filter| filter.filter_type == name)
            .ok_or(DecodeError::MissingField {
                field: "filters",
                message: "exchangeInfo",
            })
    };
    let lot_size = filter("LOT_SIZE")?;
    // Precision fields are not steps: only the filters count.
    let tick = need(filter("PRICE_FILTER")?.tick_size, "tickSize")?;
    let mut lot = need(lot_size.step_size, "stepSize")?;
    let mut minimum_size = need(lot_size.min_qty, "minQty")?;
    let mut maximum_market_size = None;
    if let Ok(market) = filter("MARKET_LOT_SIZE") {
        // One table serves both kinds of order: the coarser step and the larger minimum are right for both.
        lot = lot.max(need(market.step_size, "stepSize")?);
        minimum_size = minimum_size.max(need(market.min_qty, "minQty")?);
        maximum_market_size = words::unless_zero(market.max_qty, "maxQty")?;
    }
    let minimum_notional = match filter("MIN_NOTIONAL") {
        Ok(filter) => words::unless_zero(filter.notional, "notional")?,
        Err(_) => None,
    };
    let mut instrument = Instrument::linear(fields.symbol, fields.base_asset, fields.quote_asset, tick, lot);
    if let Some(settle) = fields.margin_asset {
        instrument.settle = settle.into();
    }
    instrument.minimum_size = minimum_size;
    instrument.maximum_market_size = maximum_market_size;
    instrument.minimum_notional = minimum_notional;
    instrument.state = match fields.status {
        Some("TRADING") => InstrumentState::Trading,
        Some("DELIVERED" | "CLOSE") => InstrumentState::Delisted,
        // Not listed yet, in settlement, or a word that is new: one instrument must not cost the whole list, and nothing
        // is traded that the venue does not call trading.
        _ => InstrumentState::Halted,
    };
    Ok(instrument)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookTickerFields<'a> {
    symbol: &'a str,
    #[serde(borrow)]
    bid_price: Number<'a>,
    #[serde(borrow)]
    bid_qty: Number<'a>,
    #[serde(borrow)]
    ask_price: Number<'a>,
    #[serde(borrow)]
    ask_qty: Number<'a>,
    /// Spot has none.
    #[serde(borrow)]
    time: Number<'a>,
}

fn ticker(body: &[u8]) -> Result<Reply, DecodeError> {
    let fields: BookTickerFields<'_> = read(body)?;
    Ok(Reply::Ticker(Ticker {
        instrument: words::supported(fields.symbol)?.into(),
        bid: Some(fields.bid_price.decimal("bidPrice")?),
        bid_size: Some(fields.bid_qty.decimal("bidQty")?),
        ask: Some(fields.ask_price.decimal("askPrice")?),
        ask_size: Some(fields.ask_qty.decimal("askQty")?),
        time_ms: fields.time.milliseconds("time")?,
        ..Ticker::default()
    }))
}

#[derive(Deserialize)]
struct BookFields<'a> {
    #[serde(rename = "lastUpdateId", borrow)]
    last_update_id: Number<'a>,
    #[serde(rename = "T", borrow)]
    time: Number<'a>,
    #[serde(borrow)]
    bids: Vec<LevelFields<'a>>,
    #[serde(borrow)]
    asks: Vec<LevelFields<'a>>,
}

fn book(instrument: &Text, body: &[u8]) -> Result<Reply, DecodeError> {
    let fields: BookFields<'_> = read(body)?;
    let last = fields.last_update_id.integer("lastUpdateId")?;
    Ok(Reply::Book(Book {
        instrument: instrument.clone(),
        snapshot: true,
        bids: levels(&fields.bids)?,
        asks: levels(&fields.asks)?,
        check: BookCheck::Sequence {
            first: last,
            last,
            previous: None,
        },
        checksum: None,
        time_ms: fields.time.milliseconds("T")?,
    }))
}

#[derive(Deserialize)]
struct TradeFields<'a> {
    #[serde(borrow)]
    a: Number<'a>,
    #[serde(borrow)]
    p: Number<'a>,
    #[serde(borrow)]
    q: Number<'a>,
    #[serde(rename = "T", borrow)]
    time: Number<'a>,
    m: bool,
}

fn trades(instrument: &Text, body: &[u8]) -> Result<Reply, DecodeError> {
    read::<Vec<TradeFields<'_>>>(body)?
        .iter()
        .map(|trade| {
            Ok(Trade {
                instrument: instrument.clone(),
                trade_id: trade.a.text().into(),
                side: taker_side(trade.m),
                size: words::size(trade.q, "q")?,
                price: trade.p.decimal("p")?,
                buyer: None,
                seller: None,
                liquidation: false,
                time_ms: trade.time.milliseconds("T")?,
            })
        })
        .collect::<Result<_, _>>()
        .map(Reply::Trades)
}

fn klines(instrument: &Text, interval: Interval, body: &[u8]) -> Result<Reply, DecodeError> {
    read::<Vec<Vec<Number<'_>>>>(body)?
        .iter()
        .map(|fields| {
            // More follows: amounts, counts.
            let [start, open, high, low, close, volume, end, ..] = fields.as_slice() else {
                return Err(DecodeError::MissingField {
                    field: "closeTime",
                    message: "klines",
                });
            };
            Ok(Kline {
                instrument: instrument.clone(),
                interval,
                start_ms: start.milliseconds("openTime")?,
                open: open.decimal("open")?,
                high: high.decimal("high")?,
                low: low.decimal("low")?,
                close: close.decimal("close")?,
                volume: volume.decimal("volume")?,
                // The newest one may still change; the venue does not say which it is.
                closed: None,
                time_ms: end.milliseconds("closeTime")?,
            })
        })
        .collect::<Result<_, _>>()
        .map(Reply::Klines)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PremiumIndex<'a> {
    symbol: &'a str,
    #[serde(borrow)]
    mark_price: Number<'a>,
    #[serde(default, borrow)]
    index_price: Option<Number<'a>>,
    #[serde(default, borrow)]
    last_funding_rate: Option<Number<'a>>,
    #[serde(default, borrow)]
    next_funding_time: Option<Number<'a>>,
    #[serde(borrow)]
    time: Number<'a>,
}

fn mark(body: &[u8]) -> Result<Reply, DecodeError> {
    let fields: PremiumIndex<'_> = read(body)?;
    Ok(Reply::Mark(Mark {
        instrument: words::supported(fields.symbol)?.into(),
        price: fields.mark_price.decimal("markPrice")?,
        index: words::unless_zero(fields.index_price, "indexPrice")?,
        time_ms: fields.time.milliseconds("time")?,
    }))
}

fn funding(body: &[u8]) -> Result<Reply, DecodeError> {
    let fields: PremiumIndex<'_> = read(body)?;
    let rate = match fields.last_funding_rate {
        Some(rate) => rate.optional("lastFundingRate")?,
        None => None,
    };
    Ok(Reply::Funding(Funding {
        instrument: words::supported(fields.symbol)?.into(),
        // A dated future has none.
        rate: rate.ok_or(DecodeError::MissingField {
            field: "lastFundingRate",
            message: "premiumIndex",
        })?,
        next_time_ms: match fields.next_funding_time {
            Some(next) if !next.is_absent() => {
                Some(next.milliseconds("nextFundingTime")?).filter(|next| *next > 0)
            }
            _ => None,
        },
        interval_hours: None,
        time_ms: fields.time.milliseconds("time")?,
    }))
}

// ------------------------------------------------------------------------------------------------------------- account

#[derive(Deserialize)]
struct Account<'a> {
    #[serde(borrow)]
    assets: Vec<AssetFields<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssetFields<'a> {
    asset: &'a str,
    #[serde(borrow)]
    wallet_balance: Number<'a>,
    #[serde(default, borrow)]
    margin_balance: Option<Number<'a>>,
    #[serde(default, borrow)]
    available_balance: Option<Number<'a>>,
    #[serde(default, borrow)]
    update_time: Option<Number<'a>>,
}

fn optional(number: Option<Number<'_>>, field: &'static str) -> Result<Option<Decimal>, DecodeError> {
    number.map_or(Ok(None), |number| number.optional(field))
}

fn balances(body: &[u8]) -> Result<Reply, DecodeError> {
    read::<Account<'_>>(body)?
        .assets
        .iter()
        .map(|fields| {
            Ok(Balance {
                asset: fields.asset.into(),
                wallet: fields.wallet_balance.decimal("walletBalance")?,
                equity: optional(fields.margin_balance, "marginBalance")?,
                available: optional(fields.available_balance, "availableBalance")?,
                time_ms: fields
                    .update_time
                    .map_or(Ok(0), |time| time.milliseconds("updateTime"))?,
            })
        })
        .collect::<Result<_, _>>()
        .map(Reply::Balances)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PositionFields<'a> {
    symbol: &'a str,
    position_side: &'a str,
    #[serde(borrow)]
    position_amt: Number<'a>,
    #[serde(borrow)]
    entry_price: Number<'a>,
    #[serde(default, borrow)]
    mark_price: Option<Number<'a>>,
    #[serde(rename = "unRealizedProfit", default, borrow)]
    unrealised_profit: Option<Number<'a>>,
    #[serde(default, borrow)]
    liquidation_price: Option<Number<'a>>,
    // Only before v3.
    #[serde(default, borrow)]
    leverage: Option<Number<'a>>,
    #[serde(default)]
    margin_type: Option<&'a str>,
    #[serde(borrow)]
    update_time: Number<'a>,
}

fn positions(body: &[u8]) -> Result<Reply, DecodeError> {
    read::<Vec<PositionFields<'_>>>(body)?
        .iter()
        .map(|fields| {
            let position_side = words::position_side(fields.position_side)?;
            Ok(Position {
                instrument: words::supported(fields.symbol)?.into(),
                position_side,
                size: words::position_size(position_side, fields.position_amt)?,
                entry_price: words::unless_zero(Some(fields.entry_price), "entryPrice")?,
                mark_price: words::unless_zero(fields.mark_price, "markPrice")?,
                unrealised_profit: optional(fields.unrealised_profit, "unRealizedProfit")?,
                leverage: optional(fields.leverage, "leverage")?,
                margin_mode: fields.margin_type.map(words::margin_mode).transpose()?,
                liquidation_price: words::unless_zero(fields.liquidation_price, "liquidationPrice")?,
                time_ms: fields.update_time.milliseconds("updateTime")?,
            })
        })
        .collect::<Result<_, _>>()
        .map(Reply::Positions)
}

#[derive(Deserialize)]
struct Dual {
    #[serde(rename = "dualSidePosition")]
    dual: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SymbolConfig<'a> {
    symbol: &'a str,
    margin_type: &'a str,
    #[serde(borrow)]
    leverage: Number<'a>,
}

/// The venue answers with all instruments where none was named.
fn leverage(instrument: &Text, body: &[u8]) -> Result<Reply, DecodeError> {
    let list: Vec<SymbolConfig<'_>> = read(body)?;
    let fields = list
        .iter()
        .find(|fields| fields.symbol == instrument.as_str())
        .ok_or(DecodeError::MissingField {
            field: "symbol",
            message: "symbolConfig",
        })?;
    Ok(Reply::Leverage(vec![Leverage {
        instrument: instrument.clone(),
        // One for both positions of the hedge mode.
        position_side: PositionSide::Net,
        leverage: fields.leverage.decimal("leverage")?,
        margin_mode: Some(words::margin_mode(fields.margin_type)?),
    }]))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderFields<'a> {
    symbol: &'a str,
    #[serde(borrow)]
    order_id: Number<'a>,
    #[serde(default)]
    client_order_id: Option<&'a str>,
    side: &'a str,
    position_side: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    time_in_force: &'a str,
    status: &'a str,
    #[serde(borrow)]
    price: Number<'a>,
    #[serde(default, borrow)]
    stop_price: Option<Number<'a>>,
    #[serde(borrow)]
    orig_qty: Number<'a>,
    #[serde(borrow)]
    executed_qty: Number<'a>,
    #[serde(default, borrow)]
    avg_price: Option<Number<'a>>,
    #[serde(default)]
    reduce_only: bool,
    #[serde(default)]
    close_position: bool,
    #[serde(borrow)]
    update_time: Number<'a>,
}

fn order(fields: &OrderFields<'_>) -> Result<Order, DecodeError> {
    let kind = words::order_kind(fields.kind)?;
    let client_order_id = fields.client_order_id.filter(|id| !id.is_empty());
    let size = words::size(fields.orig_qty, "origQty")?;
    Ok(Order {
        instrument: words::supported(fields.symbol)?.into(),
        order_id: fields.order_id.text().into(),
        client_order_id: client_order_id.map(Into::into),
        side: words::side(fields.side)?,
        position_side: words::position_side(fields.position_side)?,
        order_kind: kind,
        time_in_force: words::time_in_force(fields.time_in_force)?,
        status: words::status(fields.status, kind)?,
        venue_status: fields.status.into(),
        price: words::unless_zero(Some(fields.price), "price")?,
        trigger_price: words::unless_zero(fields.stop_price, "stopPrice")?,
        size: (!(fields.close_position && size.is_zero())).then_some(size),
        filled: words::size(fields.executed_qty, "executedQty")?,
        average_price: words::unless_zero(fields.avg_price, "avgPrice")?,
        reduce_only: fields.reduce_only || fields.close_position,
        cause: words::cause(client_order_id.unwrap_or_default(), fields.kind),
        time_ms: fields.update_time.milliseconds("updateTime")?,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FillFields<'a> {
    symbol: &'a str,
    #[serde(borrow)]
    id: Number<'a>,
    #[serde(borrow)]
    order_id: Number<'a>,
    side: &'a str,
    position_side: &'a str,
    #[serde(borrow)]
    price: Number<'a>,
    #[serde(borrow)]
    qty: Number<'a>,
    #[serde(borrow)]
    commission: Number<'a>,
    commission_asset: &'a str,
    maker: bool,
    #[serde(borrow)]
    time: Number<'a>,
}

/// The venue lists fills without the client id of their order, so that their cause cannot be told here: they fill gaps
/// and are marked as history.
fn fills(body: &[u8]) -> Result<Reply, DecodeError> {
    read::<Vec<FillFields<'_>>>(body)?
        .iter()
        .map(|fields| {
            Ok(Fill {
                instrument: words::supported(fields.symbol)?.into(),
                trade_id: fields.id.text().into(),
                order_id: fields.order_id.text().into(),
                client_order_id: None,
                side: words::side(fields.side)?,
                position_side: Some(words::position_side(fields.position_side)?),
                size: words::size(fields.qty, "qty")?,
                price: words::price(fields.price, "price")?,
                fee: Some(Fee {
                    amount: fields.commission.decimal("commission")?,
                    asset: fields.commission_asset.into(),
                }),
                liquidity: Some(if fields.maker {
                    Liquidity::Maker
                } else {
                    Liquidity::Taker
                }),
                cause: crate::model::Cause::User,
                position_after: None,
                user: None,
                historic: true,
                time_ms: fields.time.milliseconds("time")?,
            })
        })
        .collect::<Result<_, _>>()
        .map(Reply::Fills)
}

// ---------------------------------------------------------------------------------------------------------------- acts

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Acknowledged<'a> {
    #[serde(borrow)]
    order_id: Number<'a>,
    #[serde(default)]
    client_order_id: Option<&'a str>,
}

fn acknowledgement(fields: &Acknowledged<'_>) -> Result<Acknowledgement, DecodeError> {
    acknowledged(fields.order_id, fields.client_order_id, "orderId")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlgoAcknowledged<'a> {
    #[serde(borrow)]
    algo_id: Number<'a>,
    #[serde(default)]
    client_algo_id: Option<&'a str>,
}

fn algo_acknowledgement(fields: &AlgoAcknowledged<'_>) -> Result<Acknowledgement, DecodeError> {
    acknowledged(fields.algo_id, fields.client_algo_id, "algoId")
}

fn acknowledged(
    id: Number<'_>,
    client_id: Option<&str>,
    field: &'static str,
) -> Result<Acknowledgement, DecodeError> {
    // Whatever is no id is no acknowledgement.
    id.integer(field)?;
    Ok(Acknowledgement {
        order_id: Some(id.text().into()),
        client_order_id: client_id.filter(|id| !id.is_empty()).map(Into::into),
    })
}

#[derive(Deserialize)]
struct Refused<'a> {
    #[serde(default, borrow)]
    code: Option<Number<'a>>,
    #[serde(default)]
    msg: std::borrow::Cow<'a, str>,
}

/// One result per order, a refusal among them as `{"code": …, "msg": …}`.
fn batch(body: &[u8]) -> Result<Reply, DecodeError> {
    read::<Vec<&RawValue>>(body)?
        .into_iter()
        .map(|one| {
            let one = one.get().as_bytes();
            let refusal: Refused<'_> = read(one)?;
            match refusal.code {
                Some(code) if code.integer("code").is_ok_and(|code| code < 0) => {
                    Ok(Err::<_, VenueError>(refused(code, &refusal.msg)))
                }
                _ => Ok(Ok(acknowledgement(&read(one)?)?)),
            }
        })
        .collect::<Result<_, _>>()
        .map(Reply::Acknowledged)
}

#[derive(Deserialize)]
struct ListenKey<'a> {
    #[serde(rename = "listenKey")]
    listen_key: &'a str,
}
