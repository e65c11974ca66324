//! Bodies of REST replies into the model.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::{
    self, BookFields, ExecutionFields, OrderFields, PositionFields, TickerFields, Wallet, execution_of,
    order_of, position_of,
};
use super::errors::{by_status, refusal_of};
use super::instruments::inverse;
use super::requests::{ORDERS_PAGE, POSITIONS_PAGE};
use super::words::{self, Category};
use crate::error::{DecodeError, Refusal, ReplyError, VenueError};
use crate::json::{Number, read};
use crate::model::{
    AccountMode, Instrument, InstrumentState, Instruments, Interval, Kline, Leverage, PositionMode,
    PositionSide, Text, Trade, Venue,
};
use crate::operation::{Acknowledgement, Operation, Reply};
use crate::request::Response;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    ret_code: Number<'a>,
    #[serde(default)]
    ret_msg: std::borrow::Cow<'a, str>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    ret_ext_info: Option<&'a RawValue>,
    #[serde(default, borrow)]
    time: Option<Number<'a>>,
}

pub(super) fn reply(
    operation: &Operation,
    response: &Response,
    instruments: &Instruments,
) -> Result<Reply, ReplyError> {
    let success = (200..300).contains(&response.status);
    let envelope: Envelope<'_> = match read(&response.body) {
        Ok(envelope) => envelope,
        Err(error) if success => return Err(error.into()),
        Err(_) => return Err(by_status(response.status, &response.body).into()),
    };
    if envelope.ret_code.text() != "0" {
        return Err(refused(operation, envelope.ret_code, &envelope.ret_msg).into());
    }
    if !success {
        return Err(by_status(response.status, &response.body).into());
    }
    let reader = Reader {
        operation,
        result: envelope.result.map_or("{}", RawValue::get).as_bytes(),
        extra: envelope.ret_ext_info.map(|extra| extra.get().as_bytes()),
        time: envelope.time,
        instruments,
    };
    reader.read()
}

fn refused(operation: &Operation, code: Number<'_>, message: &str) -> VenueError {
    // A code that is no number is none of the venue's: the outcome cannot be told.
    let meaning = code
        .integer("retCode")
        .map_or(Refusal::Unknown, |code| refusal_of(operation, code));
    VenueError::new(Venue::Bybit, meaning, code.text(), message)
}

/// A reply that was no refusal.
struct Reader<'a> {
    operation: &'a Operation,
    result: &'a [u8],
    extra: Option<&'a [u8]>,
    time: Option<Number<'a>>,
    instruments: &'a Instruments,
}

#[derive(Deserialize)]
struct List<'a, T> {
    #[serde(default)]
    category: Option<&'a str>,
    list: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerTime<'a> {
    #[serde(borrow)]
    time_nano: Number<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Acknowledged<'a> {
    order_id: &'a str,
    #[serde(default)]
    order_link_id: &'a str,
}

fn acknowledgement(fields: &Acknowledged<'_>) -> Result<Acknowledgement, DecodeError> {
    let some = |id: &str| (!id.is_empty()).then(|| Text::new(id));
    let (order_id, client_order_id) = (some(fields.order_id), some(fields.order_link_id));
    // Whatever names no order is no acknowledgement.
    if order_id.is_none() && client_order_id.is_none() {
        return Err(DecodeError::MissingField {
            field: "orderId",
            message: "order",
        });
    }
    Ok(Acknowledgement {
        order_id,
        client_order_id,
    })
}

#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow)]
    code: Number<'a>,
    #[serde(default)]
    msg: std::borrow::Cow<'a, str>,
}

impl<'a> Reader<'a> {
    fn read(&self) -> Result<Reply, ReplyError> {
        Ok(match self.operation {
            Operation::ServerTime(_) => {
                let time: ServerTime<'_> = read(self.result)?;
                Reply::Time(time.time_nano.milliseconds("timeNano")? / 1_000_000)
            }
            Operation::Instruments(_) => self.instruments()?,
            Operation::Ticker(query) => {
                let (fields, category) = self.ticker(&query.instrument)?;
                Reply::Ticker(decode::ticker(
                    &fields,
                    category,
                    self.time_ms()?,
                    self.instruments,
                )?)
            }
            Operation::Mark(query) => {
                let (fields, _) = self.ticker(&query.instrument)?;
                Reply::Mark(decode::mark(&fields, self.time_ms()?)?.ok_or_else(|| missing("markPrice"))?)
            }
            Operation::Funding(query) => {
                let (fields, _) = self.ticker(&query.instrument)?;
                Reply::Funding(
                    decode::funding(&fields, self.time_ms()?)?.ok_or_else(|| missing("fundingRate"))?,
                )
            }
            Operation::Book(_) => {
                let fields: BookFields<'_> = read(self.result)?;
                let category = words::category_of(fields.s, self.instruments)?;
                let time_ms = fields.ts.ok_or_else(|| missing("ts"))?.milliseconds("ts")?;
                Reply::Book(decode::book(&fields, category, true, time_ms, self.instruments)?)
            }
            Operation::Trades(_) => self.trades()?,
            Operation::Klines(query) => self.klines(&query.instrument, query.interval)?,

            Operation::Balances(_) => {
                let list: List<'_, Wallet<'_>> = read(self.result)?;
                let time_ms = self.time_ms()?;
                Reply::Balances(
                    list.list
                        .iter()
                        .flat_map(|wallet| &wallet.coin)
                        .map(|coin| decode::balance(coin, time_ms))
                        .collect::<Result<_, _>>()?,
                )
            }
            Operation::Positions(_) => {
                let (category, list) = self.list::<PositionFields<'_>>(Some(POSITIONS_PAGE))?;
                Reply::Positions(
                    list.iter()
                        .map(|fields| position_of(fields, category, self.instruments))
                        .collect::<Result<_, _>>()?,
                )
            }
            Operation::AccountMode(_) => self.account_mode()?,
            Operation::Leverage(query) => self.leverage(&query.instrument)?,
            Operation::OpenOrders(_) => {
                let (category, list) = self.list::<OrderFields<'_>>(Some(ORDERS_PAGE))?;
                Reply::Orders(
                    list.iter()
                        .map(|fields| order_of(fields, category, self.instruments))
                        .collect::<Result<_, _>>()?,
                )
            }
            Operation::Order(_) => {
                let (category, list) = self.list::<OrderFields<'_>>(None)?;
                let fields = list.first().ok_or_else(|| {
                    VenueError::new(Venue::Bybit, Refusal::NotFound, "0", "no such order in the list")
                })?;
                Reply::Order(Box::new(order_of(fields, category, self.instruments)?))
            }
            Operation::Fills(_) => {
                let (category, list) = self.list::<ExecutionFields<'_>>(None)?;
                let mut fills = list
                    .iter()
                    .filter_map(|fields| execution_of(fields, category, self.instruments).transpose())
                    .collect::<Result<Vec<_>, _>>()?;
                // The newest comes first.
                fills.reverse();
                Reply::Fills(fills)
            }

            Operation::PlaceOrder(_)
            | Operation::AmendOrder(_)
            | Operation::CancelOrder(_)
            | Operation::ClosePosition(_)
            | Operation::PlaceConditionalOrder(_)
            | Operation::CancelConditionalOrder(_) => {
                Reply::Acknowledged(vec![Ok(acknowledgement(&read(self.result)?)?)])
            }
            Operation::PlaceOrders(_) | Operation::CancelOrders(_) | Operation::PlaceStopLadder(_) => {
                self.batch()?
            }
            Operation::SetPositionMode(_)
            | Operation::SetLeverage(_)
            | Operation::SetMarginMode(_)
            | Operation::CancelAllOrders(_)
            | Operation::CancelAllAfter(_)
            | Operation::CreateListenKey(_)
            | Operation::KeepListenKey(_)
            | Operation::CloseListenKey(_) => Reply::Done,
        })
    }

    fn time_ms(&self) -> Result<u64, DecodeError> {
        self.time.ok_or_else(|| missing("time"))?.milliseconds("time")
    }

    /// A list of one product. With a page: one that is full is refused, because what is on the next would seem not to
    /// exist.
    fn list<T: Deserialize<'a>>(&self, page: Option<u16>) -> Result<(Category, Vec<T>), DecodeError> {
        let list: List<'a, T> = read(self.result)?;
        let category = words::category(list.category.ok_or_else(|| missing("category"))?)?;
        if page.is_some_and(|page| list.list.len() >= usize::from(page)) {
            return Err(DecodeError::unsupported(
                "more than one page: ask instrument by instrument",
            ));
        }
        Ok((category, list.list))
    }

    fn ticker(&self, instrument: &str) -> Result<(TickerFields<'a>, Category), DecodeError> {
        let (category, list) = self.list::<TickerFields<'a>>(None)?;
        list.into_iter()
            .find(|fields| fields.symbol == instrument)
            .map(|fields| (fields, category))
            .ok_or_else(|| missing("symbol"))
    }

    fn instruments(&self) -> Result<Reply, DecodeError> {
        let (category, list) = self.list::<InstrumentFields<'_>>(None)?;
        list.iter()
            .map(|fields| instrument(fields, category))
            .collect::<Result<_, _>>()
            .map(Reply::Instruments)
    }

    fn trades(&self) -> Result<Reply, DecodeError> {
        let (category, list) = self.list::<TradeFields<'_>>(None)?;
        let mut trades = list
            .iter()
            .map(|fields| {
                let price = fields.price.decimal("price")?;
                let size = words::size(fields.size, "size")?;
                Ok(Trade {
                    instrument: fields.symbol.into(),
                    trade_id: fields.exec_id.into(),
                    side: words::side(fields.side)?,
                    size: words::base_size(category, fields.symbol, size, Some(price), self.instruments)?
                        .ok_or_else(|| DecodeError::bad_number("size", fields.size.text()))?,
                    price,
                    buyer: None,
                    seller: None,
                    liquidation: false,
                    time_ms: fields.time.milliseconds("time")?,
                })
            })
            .collect::<Result<Vec<_>, DecodeError>>()?;
        // The newest comes first.
        trades.reverse();
        Ok(Reply::Trades(trades))
    }

    fn klines(&self, name: &Text, interval: Interval) -> Result<Reply, DecodeError> {
        let time_ms = self.time_ms()?;
        let (category, list) = self.list::<Vec<Number<'_>>>(None)?;
        let mut klines = list
            .iter()
            .map(|fields| {
                let [start, open, high, low, close, volume, turnover, ..] = fields.as_slice() else {
                    return Err(missing("turnover"));
                };
                Ok(Kline {
                    instrument: name.clone(),
                    interval,
                    start_ms: start.milliseconds("start")?,
                    open: open.decimal("open")?,
                    high: high.decimal("high")?,
                    low: low.decimal("low")?,
                    close: close.decimal("close")?,
                    // Of an inverse contract the turnover is what is in base units.
                    volume: match category {
                        Category::Linear => volume.decimal("volume")?,
                        Category::Inverse => turnover.decimal("turnover")?,
                    },
                    // The newest one may still change; the venue does not say which it is.
                    closed: None,
                    time_ms,
                })
            })
            .collect::<Result<Vec<_>, DecodeError>>()?;
        // The newest comes first.
        klines.reverse();
        Ok(Reply::Klines(klines))
    }

    /// By the positions of one instrument: in hedge mode it has two, in one-way mode one.
    fn account_mode(&self) -> Result<Reply, DecodeError> {
        let (_, list) = self.list::<PositionFields<'_>>(None)?;
        let sides = list
            .iter()
            .map(|fields| words::position_side(fields.position_idx))
            .collect::<Result<Vec<_>, _>>()?;
        let position_mode = match sides.as_slice() {
            [] => return Err(missing("list")),
            sides if sides.iter().all(|side| *side == PositionSide::Net) => PositionMode::OneWay,
            sides if sides.contains(&PositionSide::Net) => {
                return Err(DecodeError::unknown_word("positionIdx", "0 beside 1 or 2"));
            }
            _ => PositionMode::Hedge,
        };
        Ok(Reply::AccountMode(AccountMode { position_mode }))
    }

    fn leverage(&self, name: &Text) -> Result<Reply, DecodeError> {
        let (_, list) = self.list::<LeverageFields<'_>>(None)?;
        list.iter()
            .filter(|fields| fields.symbol == name.as_str())
            .map(|fields| {
                Ok(Leverage {
                    instrument: name.clone(),
                    position_side: words::position_side(fields.position_idx)?,
                    leverage: fields.leverage.decimal("leverage")?,
                    margin_mode: decode::margin_mode(fields.trade_mode)?,
                })
            })
            .collect::<Result<_, _>>()
            .map(Reply::Leverage)
    }

    /// One result per order: what was taken is in one list, why not in another, in the same order.
    fn batch(&self) -> Result<Reply, DecodeError> {
        let list: List<'_, Acknowledged<'_>> = read(self.result)?;
        let outcomes: List<'_, Outcome<'_>> = read(self.extra.ok_or_else(|| missing("retExtInfo"))?)?;
        if list.list.len() != outcomes.list.len() {
            return Err(missing("retExtInfo.list"));
        }
        list.list
            .iter()
            .zip(&outcomes.list)
            .map(|(fields, outcome)| {
                if outcome.code.text() == "0" {
                    acknowledgement(fields).map(Ok)
                } else {
                    Ok(Err(refused(self.operation, outcome.code, &outcome.msg)))
                }
            })
            .collect::<Result<_, _>>()
            .map(Reply::Acknowledged)
    }
}

const fn missing(field: &'static str) -> DecodeError {
    DecodeError::MissingField {
        field,
        message: "reply",
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeverageFields<'a> {
    symbol: &'a str,
    #[serde(borrow)]
    position_idx: Number<'a>,
    #[serde(borrow)]
    leverage: Number<'a>,
    #[serde(default, borrow)]
    trade_mode: Option<Number<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TradeFields<'a> {
    exec_id: &'a str,
    symbol: &'a str,
    #[serde(borrow)]
    price: Number<'a>,
    #[serde(borrow)]
    size: Number<'a>,
    side: &'a str,
    #[serde(borrow)]
    time: Number<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InstrumentFields<'a> {
    symbol: &'a str,
    status: &'a str,
    base_coin: &'a str,
    quote_coin: &'a str,
    settle_coin: &'a str,
    #[serde(borrow)]
    price_filter: PriceFilter<'a>,
    #[serde(borrow)]
    lot_size_filter: LotSizeFilter<'a>,
    #[serde(default, borrow)]
    leverage_filter: Option<LeverageFilter<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PriceFilter<'a> {
    #[serde(borrow)]
    tick_size: Number<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LotSizeFilter<'a> {
    #[serde(borrow)]
    qty_step: Number<'a>,
    #[serde(borrow)]
    min_order_qty: Number<'a>,
    #[serde(default, borrow)]
    max_order_qty: Option<Number<'a>>,
    #[serde(default, borrow)]
    max_mkt_order_qty: Option<Number<'a>>,
    #[serde(default, borrow)]
    min_notional_value: Option<Number<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeverageFilter<'a> {
    #[serde(borrow)]
    max_leverage: Number<'a>,
}

fn instrument(fields: &InstrumentFields<'_>, category: Category) -> Result<Instrument, DecodeError> {
    let lots = &fields.lot_size_filter;
    let mut instrument = Instrument::linear(
        fields.symbol,
        fields.base_coin,
        fields.quote_coin,
        fields.price_filter.tick_size.decimal("tickSize")?,
        lots.qty_step.decimal("qtyStep")?,
    );
    instrument.settle = fields.settle_coin.into();
    if category == Category::Inverse {
        instrument = inverse(instrument, fields.settle_coin);
    }
    instrument.minimum_size = lots.min_order_qty.decimal("minOrderQty")?;
    // Older lists have one maximum for all kinds of order.
    instrument.maximum_market_size =
        words::unless_zero(lots.max_mkt_order_qty.or(lots.max_order_qty), "maxMktOrderQty")?;
    instrument.minimum_notional = words::unless_zero(lots.min_notional_value, "minNotionalValue")?;
    instrument.maximum_leverage = match &fields.leverage_filter {
        Some(filter) => filter.max_leverage.optional("maxLeverage")?,
        None => None,
    };
    instrument.state = match fields.status {
        "Trading" => InstrumentState::Trading,
        "Closed" => InstrumentState::Delisted,
        // Before listing, in settlement, or a word that is new: one instrument must not cost the whole list, and nothing
        // is traded that the venue does not call trading.
        _ => InstrumentState::Halted,
    };
    Ok(instrument)
}
