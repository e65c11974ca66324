//! Frames of the sockets into events. Sizes are base units already, so no table of instruments is needed.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{DecodeError, ReplyError};
use crate::json::{Id, Number, read, read_text};
use crate::model::{
    Balance, Book, BookCheck, Cause, Control, Decimal, Event, Fee, Fill, Funding, Interval, Kline, Level,
    Liquidity, MarginMode, Mark, Order, OrderKind, OrderStatus, Position, PositionSide, Scope, Side, Text,
    Ticker, TimeInForce, Trade,
};
use crate::venues::rows::each;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Reads one frame.
pub(super) fn decode(frame: &[u8], scope: Scope, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let before = events.len();
    let result = decode_frame(frame, scope, events);
    if result.is_err() {
        events.truncate(before);
    }
    result
}

fn decode_frame(frame: &[u8], scope: Scope, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    let frame: Frame<'_> = read(frame)?;
    let data = || {
        frame.data.ok_or(DecodeError::MissingField {
            field: "data",
            message: "frame",
        })
    };
    match frame.channel.as_ref() {
        "userFills" => user_fills(&read_text(data()?.get())?, events),
        // The message does not name its user, so it can only be believed on a socket that has one user.
        "orderUpdates" if scope == Scope::Public => {
            Err(DecodeError::unsupported("orderUpdates on a shared socket"))
        }
        "orderUpdates" => each(data()?, |update: OrderState<'_>| {
            events.push(Event::Order(update.order()?));
            Ok(())
        }),
        "clearinghouseState" => account(&read_text(data()?.get())?, events),
        "trades" => each(data()?, |trade: PublicTrade<'_>| {
            events.push(Event::Trade(trade.trade()?));
            Ok(())
        }),
        "l2Book" => {
            events.push(Event::Book(read_text::<BookState<'_>>(data()?.get())?.book()?));
            Ok(())
        }
        "bbo" => {
            events.push(Event::Ticker(read_text::<Best<'_>>(data()?.get())?.ticker()?));
            Ok(())
        }
        "candle" => {
            events.push(Event::Kline(read_text::<Candle<'_>>(data()?.get())?.kline()?));
            Ok(())
        }
        "activeAssetCtx" => market_state(&read_text(data()?.get())?, events),
        "activeSpotAssetCtx" | "spotState" => Err(DecodeError::product("spot")),
        "subscriptionResponse" => control(subscribed(&read_text(data()?.get())?)?, events),
        "pong" => control(Control::Pong, events),
        "error" => control(
            Control::Refused {
                code: "error".into(),
                message: read_text::<Cow<'_, str>>(data()?.get())?.as_ref().into(),
            },
            events,
        ),
        "post" => control(posted(&read_text(data()?.get())?)?, events),
        other => Err(DecodeError::unsupported(other)),
    }
}

fn control(control: Control, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    events.push(Event::Control(control));
    Ok(())
}

/// Perpetuals are named by their coin, those of other builders as `builder:coin`; spot pairs as `A/B` or `@number`.
fn perpetual(coin: &str) -> Result<&str, DecodeError> {
    if coin.is_empty() {
        return Err(DecodeError::unknown_word("coin", coin));
    }
    if coin.starts_with('@') || coin.contains('/') {
        return Err(DecodeError::product("spot"));
    }
    Ok(coin)
}

/// The venue's word for a way: bid or ask.
pub(super) fn side(word: &str) -> Result<Side, DecodeError> {
    match word {
        "B" => Ok(Side::Buy),
        "A" => Ok(Side::Sell),
        other => Err(DecodeError::unknown_word("side", other)),
    }
}

fn above_zero(number: Number<'_>, field: &'static str) -> Result<Decimal, DecodeError> {
    let value = number.decimal(field)?;
    if value > Decimal::ZERO {
        Ok(value)
    } else {
        Err(DecodeError::bad_number(field, number.text()))
    }
}

fn not_negative(number: Number<'_>, field: &'static str) -> Result<Decimal, DecodeError> {
    let value = number.decimal(field)?;
    if value >= Decimal::ZERO {
        Ok(value)
    } else {
        Err(DecodeError::bad_number(field, number.text()))
    }
}

fn client_id(id: Option<&Id<'_>>) -> Option<Text> {
    id.and_then(Id::optional)
}

#[derive(Deserialize)]
struct UserFills<'a> {
    #[serde(borrow)]
    user: Cow<'a, str>,
    /// Left out of messages after the first.
    #[serde(default, rename = "isSnapshot")]
    is_snapshot: bool,
    #[serde(borrow)]
    fills: &'a RawValue,
}

/// A fill as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct UserFill<'a> {
    #[serde(borrow)]
    coin: Cow<'a, str>,
    #[serde(borrow)]
    px: Number<'a>,
    #[serde(borrow)]
    sz: Number<'a>,
    #[serde(borrow)]
    side: Cow<'a, str>,
    #[serde(borrow)]
    time: Number<'a>,
    #[serde(borrow, rename = "startPosition")]
    start_position: Number<'a>,
    #[serde(borrow)]
    dir: Cow<'a, str>,
    #[serde(borrow)]
    oid: Id<'a>,
    crossed: bool,
    #[serde(borrow)]
    fee: Number<'a>,
    #[serde(borrow)]
    tid: Id<'a>,
    /// Left out by messages from before other assets could pay fees.
    #[serde(borrow, default, rename = "feeToken")]
    fee_token: Option<Id<'a>>,
    #[serde(borrow, default)]
    cloid: Option<Id<'a>>,
    #[serde(borrow, default)]
    liquidation: Option<LiquidationDetail<'a>>,
}

/// Stands with the fills of both sides of a liquidation.
#[derive(Deserialize)]
struct LiquidationDetail<'a> {
    #[serde(borrow, default, rename = "liquidatedUser")]
    liquidated_user: Option<Id<'a>>,
}

fn user_fills(message: &UserFills<'_>, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    if message.user.is_empty() {
        return Err(DecodeError::unknown_word("user", ""));
    }
    each(message.fills, |fill: UserFill<'_>| {
        events.push(Event::Fill(fill.fill(Some(&message.user), message.is_snapshot)?));
        Ok(())
    })
}

fn address(text: &str) -> Result<Text, DecodeError> {
    if text.is_empty() {
        return Err(DecodeError::unknown_word("user", text));
    }
    let mut user = Text::new(text);
    user.make_ascii_lowercase();
    Ok(user)
}

impl UserFill<'_> {
    /// The fill of a user.
    pub(super) fn fill(&self, user: Option<&str>, historic: bool) -> Result<Fill, DecodeError> {
        let coin = perpetual(&self.coin)?;
        let side = side(&self.side)?;
        let size = above_zero(self.sz, "sz")?;
        let start = self.start_position.decimal("startPosition")?;
        let after = start + side.signed(size);
        let cause = self.cause(side, start, after, user)?;
        Ok(Fill {
            instrument: coin.into(),
            trade_id: self.tid.owned(),
            order_id: self.oid.owned(),
            client_order_id: client_id(self.cloid.as_ref()),
            side,
            position_side: Some(PositionSide::Net),
            size,
            price: above_zero(self.px, "px")?,
            fee: Some(Fee {
                amount: self.fee.decimal("fee")?,
                asset: self.fee_token.as_ref().map_or("USDC", Id::text).into(),
            }),
            liquidity: Some(if self.crossed {
                Liquidity::Taker
            } else {
                Liquidity::Maker
            }),
            cause,
            position_after: Some(after.normalize()),
            user: user.map(address).transpose()?,
            historic,
            time_ms: self.time.milliseconds("time")?,
        })
    }

    /// The word for what the fill did says who caused it. It also repeats the side, and the position before it tells
    /// whether it can be true: a message that contradicts itself is refused.
    fn cause(
        &self,
        side: Side,
        start: Decimal,
        after: Decimal,
        user: Option<&str>,
    ) -> Result<Cause, DecodeError> {
        let long = start > Decimal::ZERO;
        let short = start < Decimal::ZERO;
        let consistent = match self.dir.as_ref() {
            "Open Long" => side == Side::Buy && !short,
            "Close Short" => side == Side::Buy && short && after <= Decimal::ZERO,
            "Short > Long" => side == Side::Buy && short && after > Decimal::ZERO,
            "Open Short" => side == Side::Sell && !long,
            "Close Long" => side == Side::Sell && long && after >= Decimal::ZERO,
            "Long > Short" => side == Side::Sell && long && after < Decimal::ZERO,
            // Forced: with which words the margin mode and the way are told differs, the first word does not.
            "Auto-Deleveraging" => return Ok(Cause::AutoDeleveraging),
            "Settlement" => return Ok(Cause::Settlement),
            word if word.starts_with("Liquidated ") => return Ok(Cause::Liquidation),
            "Buy" | "Sell" | "Spot Dust Conversion" => return Err(DecodeError::product("spot")),
            other => return Err(DecodeError::unknown_word("dir", other)),
        };
        if !consistent {
            return Err(DecodeError::Malformed {
                detail: format!("side and position contradict {:?}", self.dir),
            });
        }
        // Named on the fills of both sides: only the one whose position was taken was liquidated.
        let liquidated = self
            .liquidation
            .as_ref()
            .and_then(|detail| detail.liquidated_user.as_ref())
            .map(Id::text)
            .zip(user)
            .is_some_and(|(liquidated, user)| liquidated.eq_ignore_ascii_case(user));
        Ok(if liquidated {
            Cause::Liquidation
        } else {
            Cause::User
        })
    }
}

/// An order and where it stands, as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct OrderState<'a> {
    #[serde(borrow)]
    order: OrderDetail<'a>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow, rename = "statusTimestamp")]
    status_timestamp: Number<'a>,
}

/// An order.
#[derive(Deserialize)]
pub(super) struct OrderDetail<'a> {
    /// Of which market.
    #[serde(borrow)]
    pub(super) coin: Cow<'a, str>,
    #[serde(borrow)]
    side: Cow<'a, str>,
    #[serde(borrow, rename = "limitPx")]
    limit_px: Number<'a>,
    /// What is left of it.
    #[serde(borrow)]
    sz: Number<'a>,
    #[serde(borrow)]
    oid: Id<'a>,
    #[serde(borrow)]
    timestamp: Number<'a>,
    #[serde(borrow, rename = "origSz")]
    orig_sz: Number<'a>,
    #[serde(borrow, default)]
    cloid: Option<Id<'a>>,
    #[serde(default, rename = "reduceOnly")]
    reduce_only: bool,
    #[serde(borrow, default)]
    tif: Option<Id<'a>>,
    #[serde(borrow, default, rename = "orderType")]
    order_type: Option<Id<'a>>,
    #[serde(borrow, default, rename = "triggerPx")]
    trigger_px: Option<Number<'a>>,
    #[serde(default, rename = "isTrigger")]
    is_trigger: bool,
}

impl OrderState<'_> {
    /// In the words of the model.
    pub(super) fn order(&self) -> Result<Order, DecodeError> {
        let (status, cause) = status(&self.status)?;
        let mut order = self.order.with_status(&self.status, status)?;
        order.cause = cause;
        order.time_ms = self.status_timestamp.milliseconds("statusTimestamp")?;
        Ok(order)
    }
}

impl OrderDetail<'_> {
    /// One of a list of open orders.
    pub(super) fn open(&self) -> Result<Order, DecodeError> {
        self.with_status("open", OrderStatus::Open)
    }

    fn with_status(&self, word: &str, status: OrderStatus) -> Result<Order, DecodeError> {
        let size = not_negative(self.orig_sz, "origSz")?;
        let left = not_negative(self.sz, "sz")?;
        if left > size {
            return Err(DecodeError::Malformed {
                detail: "more is left of the order than it had".to_owned(),
            });
        }
        let kind = self.kind()?;
        let filled = match status {
            OrderStatus::Filled => size,
            _ => (size - left).normalize(),
        };
        let waits = self.is_trigger && status == OrderStatus::Open;
        let status = match status {
            OrderStatus::Open if waits => OrderStatus::Untriggered,
            OrderStatus::Open if filled > Decimal::ZERO => OrderStatus::PartiallyFilled,
            other => other,
        };
        let at_market = matches!(
            kind,
            OrderKind::Market | OrderKind::StopMarket | OrderKind::TakeProfitMarket
        );
        Ok(Order {
            instrument: perpetual(&self.coin)?.into(),
            order_id: self.oid.owned(),
            client_order_id: client_id(self.cloid.as_ref()),
            side: side(&self.side)?,
            position_side: PositionSide::Net,
            order_kind: kind,
            time_in_force: self.time_in_force()?,
            status,
            venue_status: word.into(),
            price: if at_market {
                None
            } else {
                Some(above_zero(self.limit_px, "limitPx")?)
            },
            trigger_price: match self.trigger_px {
                Some(price) => price.optional("triggerPx")?.filter(|price| !price.is_zero()),
                None => None,
            },
            size: Some(size),
            filled,
            average_price: None,
            reduce_only: self.reduce_only,
            cause: Cause::User,
            time_ms: self.timestamp.milliseconds("timestamp")?,
        })
    }

    /// Order messages of the socket leave it out; every order is a limit order then.
    fn kind(&self) -> Result<OrderKind, DecodeError> {
        Ok(match self.order_type.as_ref().map(Id::text) {
            None | Some("" | "Limit") => OrderKind::Limit,
            Some("Market") => OrderKind::Market,
            Some("Stop Market") => OrderKind::StopMarket,
            Some("Stop Limit") => OrderKind::StopLimit,
            Some("Take Profit Market") => OrderKind::TakeProfitMarket,
            Some("Take Profit Limit") => OrderKind::TakeProfitLimit,
            Some(other) => return Err(DecodeError::unknown_word("orderType", other)),
        })
    }

    fn time_in_force(&self) -> Result<TimeInForce, DecodeError> {
        Ok(match self.tif.as_ref().map(Id::text) {
            None | Some("" | "Gtc") => TimeInForce::GoodTilCancelled,
            // A market order of the venue's own page, and one of its liquidations, take at once as well.
            Some("Ioc" | "FrontendMarket" | "LiquidationMarket") => TimeInForce::ImmediateOrCancel,
            Some("Alo") => TimeInForce::PostOnly,
            Some(other) => return Err(DecodeError::unknown_word("tif", other)),
        })
    }
}

/// The venue's words for where an order stands, and who brought it there.
fn status(word: &str) -> Result<(OrderStatus, Cause), DecodeError> {
    Ok(match word {
        "open" => (OrderStatus::Open, Cause::User),
        "filled" => (OrderStatus::Filled, Cause::User),
        "triggered" => (OrderStatus::Triggered, Cause::User),
        "liquidatedCanceled" => (OrderStatus::Cancelled, Cause::Liquidation),
        "delistedCanceled" => (OrderStatus::Cancelled, Cause::Settlement),
        "canceled"
        | "marginCanceled"
        | "vaultWithdrawalCanceled"
        | "openInterestCapCanceled"
        | "selfTradeCanceled"
        | "reduceOnlyCanceled"
        | "siblingFilledCanceled"
        | "scheduledCancel" => (OrderStatus::Cancelled, Cause::User),
        "rejected"
        | "tickRejected"
        | "minTradeNtlRejected"
        | "perpMarginRejected"
        | "reduceOnlyRejected"
        | "badAloPxRejected"
        | "iocCancelRejected"
        | "badTriggerPxRejected"
        | "marketOrderNoLiquidityRejected"
        | "positionIncreaseAtOpenInterestCapRejected"
        | "positionFlipAtOpenInterestCapRejected"
        // Beyond the sheet, whose list is open at its end; from the venue's page of order states, unconfirmed.
        | "tooAggressiveAtOpenInterestCapRejected"
        | "openInterestIncreaseRejected"
        | "insufficientSpotBalanceRejected"
        | "oracleRejected"
        | "perpMaxPositionRejected" => (OrderStatus::Rejected, Cause::User),
        other => return Err(DecodeError::unknown_word("status", other)),
    })
}

#[derive(Deserialize)]
struct AccountMessage<'a> {
    #[serde(borrow, default)]
    dex: Cow<'a, str>,
    #[serde(borrow, rename = "clearinghouseState")]
    state: AccountState<'a>,
}

/// Everything an account has in perpetuals.
#[derive(Deserialize)]
pub(super) struct AccountState<'a> {
    #[serde(borrow, rename = "assetPositions")]
    positions: Vec<PositionEntry<'a>>,
    #[serde(borrow, rename = "marginSummary")]
    summary: Summary<'a>,
    #[serde(borrow)]
    withdrawable: Number<'a>,
    #[serde(borrow)]
    time: Number<'a>,
}

#[derive(Deserialize)]
struct Summary<'a> {
    #[serde(borrow, rename = "accountValue")]
    account_value: Number<'a>,
}

#[derive(Deserialize)]
struct PositionEntry<'a> {
    #[serde(borrow)]
    position: PositionState<'a>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct PositionState<'a> {
    #[serde(borrow)]
    coin: Cow<'a, str>,
    #[serde(borrow)]
    szi: Number<'a>,
    #[serde(borrow, rename = "entryPx")]
    entry_px: Number<'a>,
    #[serde(borrow)]
    leverage: LeverageState<'a>,
    #[serde(borrow, rename = "liquidationPx")]
    liquidation_px: Number<'a>,
    #[serde(borrow, rename = "unrealizedPnl")]
    unrealized_pnl: Number<'a>,
}

/// Leverage as it stands with a position and by itself.
#[derive(Deserialize)]
pub(super) struct LeverageState<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    value: Number<'a>,
}

impl LeverageState<'_> {
    /// Times the margin, and how margin is shared.
    pub(super) fn read(&self) -> Result<(Decimal, MarginMode), DecodeError> {
        let mode = match self.kind.as_ref() {
            "cross" => MarginMode::Cross,
            "isolated" => MarginMode::Isolated,
            other => return Err(DecodeError::unknown_word("leverage.type", other)),
        };
        Ok((above_zero(self.value, "leverage.value")?, mode))
    }
}

impl AccountState<'_> {
    /// All positions.
    pub(super) fn positions(&self) -> Result<Vec<Position>, DecodeError> {
        let time_ms = self.time.milliseconds("time")?;
        self.positions
            .iter()
            .map(|entry| entry.position(time_ms))
            .collect()
    }

    /// The one balance: USDC.
    pub(super) fn balance(&self) -> Result<Balance, DecodeError> {
        let equity = self.summary.account_value.decimal("accountValue")?;
        let mut unrealised = Decimal::ZERO;
        for entry in &self.positions {
            unrealised += entry.position.unrealized_pnl.decimal("unrealizedPnl")?;
        }
        Ok(Balance {
            asset: "USDC".into(),
            wallet: equity - unrealised,
            equity: Some(equity),
            available: Some(self.withdrawable.decimal("withdrawable")?),
            time_ms: self.time.milliseconds("time")?,
        })
    }
}

impl PositionEntry<'_> {
    fn position(&self, time_ms: u64) -> Result<Position, DecodeError> {
        if self.kind != "oneWay" {
            return Err(DecodeError::unknown_word("type", &self.kind));
        }
        let state = &self.position;
        let (leverage, margin_mode) = state.leverage.read()?;
        Ok(Position {
            instrument: perpetual(&state.coin)?.into(),
            position_side: PositionSide::Net,
            size: state.szi.decimal("szi")?,
            entry_price: state.entry_px.optional("entryPx")?,
            mark_price: None,
            unrealised_profit: Some(state.unrealized_pnl.decimal("unrealizedPnl")?),
            leverage: Some(leverage),
            margin_mode: Some(margin_mode),
            liquidation_price: state.liquidation_px.optional("liquidationPx")?,
            time_ms,
        })
    }
}

fn account(message: &AccountMessage<'_>, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    // Margin and positions of another builder's exchange are apart from the account's own.
    if !message.dex.is_empty() {
        return Err(DecodeError::product(&message.dex));
    }
    events.push(Event::Balance(message.state.balance()?));
    events.extend(message.state.positions()?.into_iter().map(Event::Position));
    events.push(Event::Control(Control::PositionsComplete));
    Ok(())
}

#[derive(Deserialize)]
struct PublicTrade<'a> {
    #[serde(borrow)]
    coin: Cow<'a, str>,
    #[serde(borrow)]
    side: Cow<'a, str>,
    #[serde(borrow)]
    px: Number<'a>,
    #[serde(borrow)]
    sz: Number<'a>,
    #[serde(borrow)]
    time: Number<'a>,
    #[serde(borrow)]
    tid: Id<'a>,
    /// Buyer and seller.
    #[serde(borrow, default)]
    users: Option<[Cow<'a, str>; 2]>,
}

impl PublicTrade<'_> {
    fn trade(&self) -> Result<Trade, DecodeError> {
        let (buyer, seller) = match &self.users {
            Some([buyer, seller]) => (Some(address(buyer)?), Some(address(seller)?)),
            None => (None, None),
        };
        Ok(Trade {
            instrument: perpetual(&self.coin)?.into(),
            trade_id: self.tid.owned(),
            side: side(&self.side)?,
            size: above_zero(self.sz, "sz")?,
            price: above_zero(self.px, "px")?,
            buyer,
            seller,
            liquidation: false,
            time_ms: self.time.milliseconds("time")?,
        })
    }
}

#[derive(Deserialize)]
struct PriceLevel<'a> {
    #[serde(borrow)]
    px: Number<'a>,
    #[serde(borrow)]
    sz: Number<'a>,
}

impl PriceLevel<'_> {
    fn level(&self) -> Result<Level, DecodeError> {
        Ok(Level {
            price: above_zero(self.px, "px")?,
            size: not_negative(self.sz, "sz")?,
        })
    }
}

/// A book as the socket and REST tell it: the best twenty prices of each side.
#[derive(Deserialize)]
pub(super) struct BookState<'a> {
    #[serde(borrow)]
    coin: Cow<'a, str>,
    #[serde(borrow)]
    time: Number<'a>,
    #[serde(borrow)]
    levels: [Vec<PriceLevel<'a>>; 2],
}

impl BookState<'_> {
    /// In the words of the model.
    pub(super) fn book(&self) -> Result<Book, DecodeError> {
        let [bids, asks] = &self.levels;
        let side = |levels: &[PriceLevel<'_>]| -> Result<Vec<Level>, DecodeError> {
            levels.iter().map(PriceLevel::level).collect()
        };
        Ok(Book {
            instrument: perpetual(&self.coin)?.into(),
            snapshot: true,
            bids: side(bids)?,
            asks: side(asks)?,
            check: BookCheck::Whole,
            checksum: None,
            time_ms: self.time.milliseconds("time")?,
        })
    }
}

#[derive(Deserialize)]
struct Best<'a> {
    #[serde(borrow)]
    coin: Cow<'a, str>,
    #[serde(borrow)]
    time: Number<'a>,
    /// Best bid, best ask; null where there is none.
    #[serde(borrow)]
    bbo: [Option<PriceLevel<'a>>; 2],
}

impl Best<'_> {
    fn ticker(&self) -> Result<Ticker, DecodeError> {
        let [bid, ask] = &self.bbo;
        let bid = bid.as_ref().map(PriceLevel::level).transpose()?;
        let ask = ask.as_ref().map(PriceLevel::level).transpose()?;
        Ok(Ticker {
            instrument: perpetual(&self.coin)?.into(),
            bid: bid.map(|level| level.price),
            bid_size: bid.map(|level| level.size),
            ask: ask.map(|level| level.price),
            ask_size: ask.map(|level| level.size),
            time_ms: self.time.milliseconds("time")?,
            ..Ticker::default()
        })
    }
}

/// A kline as the socket and REST tell it.
#[derive(Deserialize)]
pub(super) struct Candle<'a> {
    #[serde(borrow)]
    t: Number<'a>,
    #[serde(borrow, rename = "T")]
    end: Number<'a>,
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow)]
    i: Cow<'a, str>,
    #[serde(borrow)]
    o: Number<'a>,
    #[serde(borrow)]
    c: Number<'a>,
    #[serde(borrow)]
    h: Number<'a>,
    #[serde(borrow)]
    l: Number<'a>,
    #[serde(borrow)]
    v: Number<'a>,
}

impl Candle<'_> {
    /// In the words of the model. The time is the end of the interval: when it was stated the venue does not say.
    pub(super) fn kline(&self) -> Result<Kline, DecodeError> {
        let interval: Interval = self
            .i
            .parse()
            .map_err(|_| DecodeError::unknown_word("i", &self.i))?;
        Ok(Kline {
            instrument: perpetual(&self.s)?.into(),
            interval,
            start_ms: self.t.milliseconds("t")?,
            open: above_zero(self.o, "o")?,
            high: above_zero(self.h, "h")?,
            low: above_zero(self.l, "l")?,
            close: above_zero(self.c, "c")?,
            volume: not_negative(self.v, "v")?,
            closed: None,
            time_ms: self.end.milliseconds("T")?,
        })
    }
}

#[derive(Deserialize)]
struct MarketMessage<'a> {
    #[serde(borrow)]
    coin: Cow<'a, str>,
    #[serde(borrow)]
    ctx: MarketState<'a>,
}

/// Prices and funding of a market as the socket and REST tell them.
#[derive(Deserialize)]
pub(super) struct MarketState<'a> {
    #[serde(borrow, rename = "markPx")]
    mark_px: Number<'a>,
    #[serde(borrow, rename = "oraclePx")]
    oracle_px: Number<'a>,
    #[serde(borrow)]
    funding: Number<'a>,
}

/// Funding is paid every hour.
const FUNDING_HOURS: u32 = 1;

impl MarketState<'_> {
    /// The mark price; the venue does not say of when.
    pub(super) fn mark(&self, coin: &str) -> Result<Mark, DecodeError> {
        Ok(Mark {
            instrument: perpetual(coin)?.into(),
            price: above_zero(self.mark_px, "markPx")?,
            index: self.oracle_px.optional("oraclePx")?,
            time_ms: 0,
        })
    }

    /// The rate of the hour; the venue does not say of when.
    pub(super) fn funding(&self, coin: &str) -> Result<Funding, DecodeError> {
        Ok(Funding {
            instrument: perpetual(coin)?.into(),
            rate: self.funding.decimal("funding")?,
            next_time_ms: None,
            interval_hours: Some(FUNDING_HOURS),
            time_ms: 0,
        })
    }
}

fn market_state(message: &MarketMessage<'_>, events: &mut Vec<Event>) -> Result<(), DecodeError> {
    events.push(Event::Mark(message.ctx.mark(&message.coin)?));
    events.push(Event::Funding(message.ctx.funding(&message.coin)?));
    Ok(())
}

#[derive(Deserialize)]
struct SubscriptionAnswer<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    subscription: Subscription<'a>,
}

#[derive(Deserialize)]
struct Subscription<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    coin: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    user: Option<Cow<'a, str>>,
}

fn subscribed(answer: &SubscriptionAnswer<'_>) -> Result<Control, DecodeError> {
    let subscription = &answer.subscription;
    let mut topic = Text::new(&subscription.kind);
    for part in [&subscription.coin, &subscription.user].into_iter().flatten() {
        topic.push(':');
        topic.push_str(part);
    }
    match answer.method.as_ref() {
        "subscribe" => Ok(Control::Subscribed { topic }),
        "unsubscribe" => Ok(Control::Unsubscribed { topic }),
        other => Err(DecodeError::unknown_word("method", other)),
    }
}

#[derive(Deserialize)]
struct Posted<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow)]
    response: PostedResponse<'a>,
}

#[derive(Deserialize)]
struct PostedResponse<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// An answer to a request that went over the socket. Refused if any order in it was.
fn posted(message: &Posted<'_>) -> Result<Control, DecodeError> {
    let payload = message.response.payload.get().as_bytes();
    // A request the venue could not read is answered with a text.
    if let Ok(text) = read::<Cow<'_, str>>(payload) {
        return Ok(refused(&text));
    }
    match super::replies::action(payload) {
        Ok(results) => Ok(match results.into_iter().find_map(Result::err) {
            Some(error) => refused(&error.message),
            None => Control::Answered {
                id: message.id.owned(),
            },
        }),
        Err(ReplyError::Refused(error)) => Ok(refused(&error.message)),
        Err(ReplyError::Unreadable(error)) => Err(error),
    }
}

fn refused(message: &str) -> Control {
    Control::Refused {
        code: "error".into(),
        message: message.into(),
    }
}

#[cfg(test)]
mod tests;
