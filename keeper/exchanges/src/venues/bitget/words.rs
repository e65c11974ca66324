//! Bitget's words and what they mean, in both of its interfaces. A word that is not here is refused, never guessed at.

use crate::error::{DecodeError, RequestError};
use crate::model::{
    Cause, Interval, Liquidity, MarginMode, OrderKind, OrderStatus, PositionMode, PositionSide, Side,
    TimeInForce, TriggerPrice,
};

/// The only product that is supported: perpetuals settled in USDT.
pub(super) const PRODUCT: &str = "USDT-FUTURES";

/// What they are settled in.
pub(super) const MARGIN_COIN: &str = "USDT";

/// Whether this names the supported product. The two interfaces write it in different cases.
pub(super) fn is_supported(product: &str) -> bool {
    product.eq_ignore_ascii_case(PRODUCT)
}

pub(super) fn only_supported(product: &str) -> Result<(), DecodeError> {
    if is_supported(product) {
        Ok(())
    } else {
        Err(DecodeError::product(product))
    }
}

pub(super) fn side(word: &str) -> Result<Side, DecodeError> {
    match word {
        "buy" | "Buy" => Ok(Side::Buy),
        "sell" | "Sell" => Ok(Side::Sell),
        _ => Err(DecodeError::unknown_word("side", word)),
    }
}

pub(super) const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

/// The way of a position, whatever the mode: it gives the sign of a size.
pub(super) fn direction(word: &str) -> Result<PositionSide, DecodeError> {
    match word {
        "long" => Ok(PositionSide::Long),
        "short" => Ok(PositionSide::Short),
        _ => Err(DecodeError::unknown_word("holdSide", word)),
    }
}

pub(super) const fn position_side_word(side: PositionSide) -> Option<&'static str> {
    match side {
        PositionSide::Net => None,
        PositionSide::Long => Some("long"),
        PositionSide::Short => Some("short"),
    }
}

pub(super) fn position_mode(word: &str) -> Result<PositionMode, DecodeError> {
    match word {
        "one_way_mode" => Ok(PositionMode::OneWay),
        "hedge_mode" => Ok(PositionMode::Hedge),
        _ => Err(DecodeError::unknown_word("posMode", word)),
    }
}

pub(super) const fn position_mode_word(mode: PositionMode) -> &'static str {
    match mode {
        PositionMode::OneWay => "one_way_mode",
        PositionMode::Hedge => "hedge_mode",
    }
}

pub(super) fn margin_mode(word: &str) -> Result<MarginMode, DecodeError> {
    match word {
        "crossed" => Ok(MarginMode::Cross),
        "isolated" => Ok(MarginMode::Isolated),
        _ => Err(DecodeError::unknown_word("marginMode", word)),
    }
}

pub(super) const fn margin_mode_word(mode: MarginMode) -> &'static str {
    match mode {
        MarginMode::Cross => "crossed",
        MarginMode::Isolated => "isolated",
    }
}

/// Whether an order opened or closed, and which of the two positions, as far as its `tradeSide` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Opens a position in hedge mode.
    Open,
    /// Closes a position in hedge mode; the venue's own closings say which.
    Close(Option<PositionSide>),
    /// An order in one-way mode; where the word names it, its way.
    OneWay(Option<Side>),
}

/// `tradeSide`: what an order does to a position, and who made it. Closings by the venue carry its reason in the word.
pub(super) fn trade_side(word: &str) -> Result<(Effect, Cause), DecodeError> {
    let unknown = || DecodeError::unknown_word("tradeSide", word);
    match word {
        "open" => return Ok((Effect::Open, Cause::User)),
        "close" => return Ok((Effect::Close(None), Cause::User)),
        "buy_single" => return Ok((Effect::OneWay(Some(Side::Buy)), Cause::User)),
        "sell_single" => return Ok((Effect::OneWay(Some(Side::Sell)), Cause::User)),
        "dte_sys_adl_buy_in_single_side_mode" => {
            return Ok((Effect::OneWay(Some(Side::Buy)), Cause::AutoDeleveraging));
        }
        "dte_sys_adl_sell_in_single_side_mode" => {
            return Ok((Effect::OneWay(Some(Side::Sell)), Cause::AutoDeleveraging));
        }
        _ => {}
    }
    let (cause, rest) = [
        // `offset`: opposite positions of an account short of margin are netted.
        ("reduce_", Cause::Liquidation),
        ("burst_", Cause::Liquidation),
        ("offset_", Cause::Liquidation),
        ("delivery_", Cause::Settlement),
        ("dte_sys_adl_", Cause::AutoDeleveraging),
    ]
    .into_iter()
    .find_map(|(prefix, cause)| Some((cause, word.strip_prefix(prefix)?)))
    .ok_or_else(unknown)?;
    let effect = match rest {
        "close_long" => Effect::Close(Some(PositionSide::Long)),
        "close_short" => Effect::Close(Some(PositionSide::Short)),
        "buy_single" => Effect::OneWay(Some(Side::Buy)),
        "sell_single" => Effect::OneWay(Some(Side::Sell)),
        _ => return Err(unknown()),
    };
    Ok((effect, cause))
}

/// The way of an order that opens or closes a position.
pub(super) const fn side_of(opens: bool, position: PositionSide) -> Side {
    match (opens, position) {
        (true, PositionSide::Short) | (false, PositionSide::Long) => Side::Sell,
        _ => Side::Buy,
    }
}

/// What the words about one order contradict each other in.
pub(super) fn contradiction(detail: &str) -> DecodeError {
    DecodeError::Malformed {
        detail: format!("words that contradict each other: {detail}"),
    }
}

/// `orderSource` of the older interface, `delegateType` of the newer one: what made an order. The orders of bots, of
/// signals and of copying are the owner's: the owner started those.
pub(super) fn source(field: &'static str, word: &str) -> Result<Cause, DecodeError> {
    const OWN: &[&str] = &[
        "",
        "normal",
        "market",
        "reverse",
        "back_contract",
        "Trader_delegate",
        "follower_delegate",
        "modify_limit_order",
        "modify_order_limit",
        "sigan_trace",
        "mmr_stop_loss_market",
        "future_signal_delegate",
        "grant_market",
    ];
    const OWN_PREFIXES: &[&str] = &[
        "profit_",
        "loss_",
        "pos_profit_",
        "pos_loss_",
        "stop_profit_",
        "stop_loss_",
        "position_stop_",
        "plan_",
        "move_",
        "tracking_",
        "trader_",
        "strategy_",
        "bbo_",
        "dummy_bbo_",
        "tg_signal_",
    ];
    match word {
        "liquidation"
        | "market_risk"
        | "reduce_offset"
        | "reduce_offset_delegate"
        | "liquidation_take_over_long"
        | "liquidation_take_over_short" => Ok(Cause::Liquidation),
        "delivery_close_long" | "delivery_close_short" | "off_close" => Ok(Cause::Settlement),
        "convert_hedging" => Ok(Cause::Transfer),
        own if OWN.contains(&own) || OWN_PREFIXES.iter().any(|prefix| own.starts_with(prefix)) => {
            Ok(Cause::User)
        }
        _ => Err(DecodeError::unknown_word(field, word)),
    }
}

/// `execType` of the newer interface's replies.
pub(super) fn execution(word: &str) -> Result<Cause, DecodeError> {
    match word {
        "normal" | "" => Ok(Cause::User),
        "offset" | "reduce" | "liquidation" => Ok(Cause::Liquidation),
        "delivery" => Ok(Cause::Settlement),
        _ => Err(DecodeError::unknown_word("execType", word)),
    }
}

/// `enterPointSource`: where an order came from. Only asked where nothing else tells the cause; orders of the system are
/// liquidations then.
pub(super) fn entry(word: &str) -> Cause {
    if word.eq_ignore_ascii_case("SYS") {
        Cause::Liquidation
    } else {
        Cause::User
    }
}

pub(super) fn status(word: &str) -> Result<OrderStatus, DecodeError> {
    match word {
        "live" | "new" => Ok(OrderStatus::Open),
        "partially_filled" => Ok(OrderStatus::PartiallyFilled),
        "filled" => Ok(OrderStatus::Filled),
        "canceled" | "cancelled" => Ok(OrderStatus::Cancelled),
        _ => Err(DecodeError::unknown_word("status", word)),
    }
}

pub(super) fn order_kind(word: &str) -> Result<OrderKind, DecodeError> {
    match word {
        "market" => Ok(OrderKind::Market),
        "limit" => Ok(OrderKind::Limit),
        _ => Err(DecodeError::unknown_word("orderType", word)),
    }
}

/// Some messages about market orders leave it out or empty.
pub(super) fn time_in_force(word: &str) -> Result<TimeInForce, DecodeError> {
    match word {
        "gtc" | "GTC" | "" => Ok(TimeInForce::GoodTilCancelled),
        "ioc" | "IOC" => Ok(TimeInForce::ImmediateOrCancel),
        "fok" | "FOK" => Ok(TimeInForce::FillOrKill),
        // `rpi` orders only ever add to the book, too.
        "post_only" | "rpi" => Ok(TimeInForce::PostOnly),
        _ => Err(DecodeError::unknown_word("force", word)),
    }
}

pub(super) fn yes(word: &str) -> Result<bool, DecodeError> {
    match word {
        "yes" | "YES" => Ok(true),
        "no" | "NO" | "" => Ok(false),
        _ => Err(DecodeError::unknown_word("reduceOnly", word)),
    }
}

pub(super) fn liquidity(word: &str) -> Result<Option<Liquidity>, DecodeError> {
    match word {
        "M" | "maker" => Ok(Some(Liquidity::Maker)),
        "T" | "taker" => Ok(Some(Liquidity::Taker)),
        "" => Ok(None),
        _ => Err(DecodeError::unknown_word("tradeScope", word)),
    }
}

/// Kinds that may be sent without a trigger.
pub(super) fn plain_kind(kind: OrderKind) -> Result<&'static str, RequestError> {
    match kind {
        OrderKind::Market => Ok("market"),
        OrderKind::Limit => Ok("limit"),
        other => Err(RequestError::BadParameter {
            parameter: "order_kind",
            value: format!("{other:?}"),
            reason: "market or limit; orders with a trigger are sent with place_conditional_order",
        }),
    }
}

/// How long an order may rest. The older interface writes three of the words in capitals, as ccxt sends them; the newer one
/// none.
pub(super) fn time_in_force_word(
    kind: OrderKind,
    time_in_force: Option<TimeInForce>,
    capitals: bool,
) -> Result<&'static str, RequestError> {
    let bad = |reason| RequestError::BadParameter {
        parameter: "time_in_force",
        value: format!("{time_in_force:?}"),
        reason,
    };
    let word = match (kind, time_in_force) {
        (_, None | Some(TimeInForce::GoodTilCancelled)) => ["gtc", "GTC"],
        // A market order fills at once or is cancelled in any case.
        (OrderKind::Market, Some(TimeInForce::ImmediateOrCancel)) => ["gtc", "GTC"],
        (OrderKind::Market, Some(_)) => {
            return Err(bad("a market order fills at once or is cancelled"));
        }
        (_, Some(TimeInForce::ImmediateOrCancel)) => ["ioc", "IOC"],
        (_, Some(TimeInForce::FillOrKill)) => ["fok", "FOK"],
        (_, Some(TimeInForce::PostOnly)) => ["post_only", "post_only"],
        (_, Some(TimeInForce::GoodTilDate)) => {
            return Err(bad(
                "Bitget has no orders with a date; cancel the order when its time is over",
            ));
        }
    };
    Ok(word[usize::from(capitals)])
}

/// What moves a trigger. The older interface calls the last trade `fill_price`, the newer one `market`.
pub(super) fn trigger_word(by: TriggerPrice, classic: bool) -> Result<&'static str, RequestError> {
    match (by, classic) {
        (TriggerPrice::Last, true) => Ok("fill_price"),
        (TriggerPrice::Last, false) => Ok("market"),
        (TriggerPrice::Mark, true) => Ok("mark_price"),
        (TriggerPrice::Mark, false) => Ok("mark"),
        (TriggerPrice::Index, _) => Err(RequestError::BadParameter {
            parameter: "trigger_by",
            value: "index".to_owned(),
            reason: "last or mark; Bitget's triggers do not follow the index",
        }),
    }
}

/// The name of a kline in the older interface. Days end at midnight UTC; plain `1D` would end at 16:00.
pub(super) const fn interval_word(interval: Interval) -> &'static str {
    match interval {
        Interval::Minute => "1m",
        Interval::FiveMinutes => "5m",
        Interval::QuarterHour => "15m",
        Interval::Hour => "1H",
        Interval::FourHours => "4H",
        Interval::Day => "1Dutc",
    }
}

/// The name in the newer interface, whose list has `1D` only. That it ends at midnight UTC is unconfirmed.
pub(super) const fn unified_interval_word(interval: Interval) -> &'static str {
    match interval {
        Interval::Day => "1D",
        other => interval_word(other),
    }
}

/// An interval by either name.
pub(super) fn interval(word: &str) -> Result<Interval, DecodeError> {
    Interval::ALL
        .into_iter()
        .find(|interval| interval_word(*interval) == word || unified_interval_word(*interval) == word)
        .ok_or_else(|| DecodeError::unknown_word("interval", word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_venues_own_closings_are_told_from_the_owners() {
        for (word, effect, cause) in [
            ("open", Effect::Open, Cause::User),
            ("close", Effect::Close(None), Cause::User),
            ("buy_single", Effect::OneWay(Some(Side::Buy)), Cause::User),
            (
                "reduce_close_long",
                Effect::Close(Some(PositionSide::Long)),
                Cause::Liquidation,
            ),
            (
                "burst_close_short",
                Effect::Close(Some(PositionSide::Short)),
                Cause::Liquidation,
            ),
            (
                "burst_sell_single",
                Effect::OneWay(Some(Side::Sell)),
                Cause::Liquidation,
            ),
            (
                "offset_close_long",
                Effect::Close(Some(PositionSide::Long)),
                Cause::Liquidation,
            ),
            (
                "delivery_close_short",
                Effect::Close(Some(PositionSide::Short)),
                Cause::Settlement,
            ),
            (
                "delivery_buy_single",
                Effect::OneWay(Some(Side::Buy)),
                Cause::Settlement,
            ),
            (
                "dte_sys_adl_close_long",
                Effect::Close(Some(PositionSide::Long)),
                Cause::AutoDeleveraging,
            ),
            (
                "dte_sys_adl_buy_in_single_side_mode",
                Effect::OneWay(Some(Side::Buy)),
                Cause::AutoDeleveraging,
            ),
        ] {
            assert_eq!(trade_side(word), Ok((effect, cause)), "{word}");
        }
        for word in [
            "",
            "opened",
            "burst_",
            "burst_open",
            "reduce_buy",
            "adl_close_long",
        ] {
            assert!(trade_side(word).is_err(), "{word}");
        }
    }

    #[test]
    fn sources_are_told_apart_and_unknown_ones_refused() {
        assert_eq!(source("orderSource", "pos_loss_market"), Ok(Cause::User));
        assert_eq!(source("orderSource", "liquidation"), Ok(Cause::Liquidation));
        assert_eq!(source("delegateType", "off_close"), Ok(Cause::Settlement));
        assert!(source("delegateType", "something_new").is_err());
    }
}
