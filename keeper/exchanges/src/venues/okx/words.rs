//! OKX's words and what they mean. A word that is not here is refused, never guessed at.

use crate::error::{DecodeError, RequestError};
use crate::model::{
    Cause, Interval, Liquidity, MarginMode, OrderKind, OrderStatus, PositionMode, PositionSide, Side,
    TimeInForce,
};

pub(super) fn side(word: &str) -> Result<Side, DecodeError> {
    match word {
        "buy" => Ok(Side::Buy),
        "sell" => Ok(Side::Sell),
        _ => Err(DecodeError::unknown_word("side", word)),
    }
}

pub(super) const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

/// Empty in messages about accounts in net mode that are older than the field.
pub(super) fn position_side(word: &str) -> Result<PositionSide, DecodeError> {
    match word {
        "net" | "" => Ok(PositionSide::Net),
        "long" => Ok(PositionSide::Long),
        "short" => Ok(PositionSide::Short),
        _ => Err(DecodeError::unknown_word("posSide", word)),
    }
}

/// The word of a hedge-mode position; none in net mode, where OKX wants nothing said.
pub(super) const fn position_side_word(side: PositionSide) -> Option<&'static str> {
    match side {
        PositionSide::Net => None,
        PositionSide::Long => Some("long"),
        PositionSide::Short => Some("short"),
    }
}

pub(super) fn margin_mode(word: &str) -> Result<MarginMode, DecodeError> {
    match word {
        "cross" => Ok(MarginMode::Cross),
        "isolated" => Ok(MarginMode::Isolated),
        _ => Err(DecodeError::unknown_word("mgnMode", word)),
    }
}

pub(super) const fn margin_mode_word(mode: MarginMode) -> &'static str {
    match mode {
        MarginMode::Cross => "cross",
        MarginMode::Isolated => "isolated",
    }
}

pub(super) fn position_mode(word: &str) -> Result<PositionMode, DecodeError> {
    match word {
        "net_mode" => Ok(PositionMode::OneWay),
        "long_short_mode" => Ok(PositionMode::Hedge),
        _ => Err(DecodeError::unknown_word("posMode", word)),
    }
}

pub(super) const fn position_mode_word(mode: PositionMode) -> &'static str {
    match mode {
        PositionMode::OneWay => "net_mode",
        PositionMode::Hedge => "long_short_mode",
    }
}

/// `category` of an order: who made it. Orders of bots the owner runs (`twap`, `ddh`: delta hedging) are the owner's.
pub(super) fn cause(category: &str) -> Result<Cause, DecodeError> {
    match category {
        "normal" | "twap" | "ddh" => Ok(Cause::User),
        "full_liquidation" | "partial_liquidation" => Ok(Cause::Liquidation),
        "adl" => Ok(Cause::AutoDeleveraging),
        "delivery" => Ok(Cause::Settlement),
        "auto_conversion" => Ok(Cause::Transfer),
        _ => Err(DecodeError::unknown_word("category", category)),
    }
}

/// `subType` of a fill from the history: the kind of the entry in the ledger.
pub(super) fn fill_cause(sub_type: &str) -> Result<Cause, DecodeError> {
    match sub_type {
        // Buy, sell, open and close by the owner; delta hedging of the owner's bot. Replies of before 2024 leave the field
        // out; the venue's own closings were not in that list then.
        "" | "1" | "2" | "3" | "4" | "5" | "6" | "131" | "132" => Ok(Cause::User),
        "100" | "101" | "102" | "103" | "104" | "105" | "106" | "107" | "110" | "111" => {
            Ok(Cause::Liquidation)
        }
        "125" | "126" | "127" | "128" => Ok(Cause::AutoDeleveraging),
        "112" | "113" => Ok(Cause::Settlement),
        // Token conversions and block trades.
        "118" | "119" | "204" | "205" | "206" | "207" | "208" | "209" => Ok(Cause::Transfer),
        _ => Err(DecodeError::unknown_word("subType", sub_type)),
    }
}

pub(super) fn liquidity(word: &str) -> Result<Option<Liquidity>, DecodeError> {
    match word {
        "M" => Ok(Some(Liquidity::Maker)),
        "T" => Ok(Some(Liquidity::Taker)),
        "" => Ok(None),
        _ => Err(DecodeError::unknown_word("execType", word)),
    }
}

pub(super) fn status(word: &str) -> Result<OrderStatus, DecodeError> {
    match word {
        "live" => Ok(OrderStatus::Open),
        "partially_filled" => Ok(OrderStatus::PartiallyFilled),
        "filled" => Ok(OrderStatus::Filled),
        "canceled" | "mmp_canceled" => Ok(OrderStatus::Cancelled),
        _ => Err(DecodeError::unknown_word("state", word)),
    }
}

/// States of an order that waits for a trigger.
pub(super) fn conditional_status(word: &str) -> Result<OrderStatus, DecodeError> {
    match word {
        "live" | "pause" => Ok(OrderStatus::Untriggered),
        "effective" | "partially_effective" => Ok(OrderStatus::Triggered),
        "canceled" => Ok(OrderStatus::Cancelled),
        "order_failed" | "partially_failed" => Ok(OrderStatus::Rejected),
        _ => Err(DecodeError::unknown_word("state", word)),
    }
}

/// `ordType`: the kind and how long it may rest in one word.
pub(super) fn order_type(word: &str) -> Result<(OrderKind, TimeInForce), DecodeError> {
    match word {
        "market" | "optimal_limit_ioc" => Ok((OrderKind::Market, TimeInForce::ImmediateOrCancel)),
        "limit" | "mmp" => Ok((OrderKind::Limit, TimeInForce::GoodTilCancelled)),
        "post_only" | "mmp_and_post_only" => Ok((OrderKind::Limit, TimeInForce::PostOnly)),
        "fok" => Ok((OrderKind::Limit, TimeInForce::FillOrKill)),
        "ioc" => Ok((OrderKind::Limit, TimeInForce::ImmediateOrCancel)),
        _ => Err(DecodeError::unknown_word("ordType", word)),
    }
}

pub(super) fn order_type_word(
    kind: OrderKind,
    time_in_force: Option<TimeInForce>,
) -> Result<&'static str, RequestError> {
    match (kind, time_in_force) {
        // A market order never rests, so both of these say what it does anyway.
        (OrderKind::Market, None | Some(TimeInForce::ImmediateOrCancel | TimeInForce::GoodTilCancelled)) => {
            Ok("market")
        }
        (OrderKind::Limit, None | Some(TimeInForce::GoodTilCancelled)) => Ok("limit"),
        (OrderKind::Limit, Some(TimeInForce::PostOnly)) => Ok("post_only"),
        (OrderKind::Limit, Some(TimeInForce::ImmediateOrCancel)) => Ok("ioc"),
        (OrderKind::Limit, Some(TimeInForce::FillOrKill)) => Ok("fok"),
        (OrderKind::Market, Some(other)) => Err(RequestError::BadParameter {
            parameter: "time_in_force",
            value: format!("{other:?}"),
            reason: "a market order fills at once or is cancelled",
        }),
        (OrderKind::Limit, Some(TimeInForce::GoodTilDate)) => Err(RequestError::BadParameter {
            parameter: "time_in_force",
            value: "GoodTilDate".to_owned(),
            reason: "OKX has no orders with a date; cancel the order when its time is over",
        }),
        (other, _) => Err(RequestError::BadParameter {
            parameter: "order_kind",
            value: format!("{other:?}"),
            reason: "market or limit; orders with a trigger are sent with place_conditional_order",
        }),
    }
}

/// Its word in the names of kline streams and in `bar`. Days end at midnight UTC; plain `1D` would end at 16:00.
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

pub(super) fn interval(word: &str) -> Result<Interval, DecodeError> {
    Interval::ALL
        .into_iter()
        .find(|interval| interval_word(*interval) == word)
        .ok_or_else(|| DecodeError::unknown_word("channel", word))
}
