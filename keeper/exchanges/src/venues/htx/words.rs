//! The venue's words that its frames and its REST replies share.

use crate::error::DecodeError;
use crate::json::Number;
use crate::model::{
    Cause, Decimal, Instrument, Instruments, Liquidity, MarginMode, OrderKind, OrderStatus, PositionMode,
    PositionSide, Side, TimeInForce,
};

use super::instruments::is_linear;

/// A linear contract of the table.
pub(super) fn instrument<'t>(
    name: &str,
    instruments: &'t Instruments,
) -> Result<&'t Instrument, DecodeError> {
    if !is_linear(name) {
        return Err(DecodeError::product(name));
    }
    Ok(instruments.get(name)?)
}

/// Contracts in base units.
pub(super) fn base(instrument: &Instrument, contracts: Decimal) -> Result<Decimal, DecodeError> {
    instrument
        .to_base(contracts, None)
        .ok_or_else(|| DecodeError::bad_number("volume", &contracts.to_string()))
}

pub(super) fn above_zero(number: Number<'_>, field: &'static str) -> Result<Decimal, DecodeError> {
    number
        .decimal(field)
        .ok()
        .filter(|value| *value > Decimal::ZERO)
        .ok_or_else(|| DecodeError::bad_number(field, number.text()))
}

pub(super) fn not_negative(number: Number<'_>, field: &'static str) -> Result<Decimal, DecodeError> {
    number
        .decimal(field)
        .ok()
        .filter(|value| *value >= Decimal::ZERO)
        .ok_or_else(|| DecodeError::bad_number(field, number.text()))
}

/// A price, or none where 0 stands for none.
pub(super) fn price(number: Option<Number<'_>>, field: &'static str) -> Result<Option<Decimal>, DecodeError> {
    match number {
        Some(number) => Ok(number.optional(field)?.filter(|price| *price > Decimal::ZERO)),
        None => Ok(None),
    }
}

pub(super) fn side(word: &str) -> Result<Side, DecodeError> {
    match word {
        "buy" => Ok(Side::Buy),
        "sell" => Ok(Side::Sell),
        other => Err(DecodeError::unknown_word("direction", other)),
    }
}

/// v5 names the position.
pub(super) fn position_side(word: &str) -> Result<PositionSide, DecodeError> {
    match word {
        "both" => Ok(PositionSide::Net),
        "long" => Ok(PositionSide::Long),
        "short" => Ok(PositionSide::Short),
        other => Err(DecodeError::unknown_word("position_side", other)),
    }
}

/// The interface before v5 names what the order does to a position.
pub(super) fn offset(word: &str, side: Side) -> Result<PositionSide, DecodeError> {
    match (word, side) {
        ("both", _) => Ok(PositionSide::Net),
        ("open", Side::Buy) | ("close", Side::Sell) => Ok(PositionSide::Long),
        ("open", Side::Sell) | ("close", Side::Buy) => Ok(PositionSide::Short),
        (other, _) => Err(DecodeError::unknown_word("offset", other)),
    }
}

pub(super) fn position_mode(word: &str) -> Result<PositionMode, DecodeError> {
    match word {
        "single_side" => Ok(PositionMode::OneWay),
        "dual_side" => Ok(PositionMode::Hedge),
        other => Err(DecodeError::unknown_word("position_mode", other)),
    }
}

pub(super) fn margin_mode(word: &str) -> Result<MarginMode, DecodeError> {
    match word {
        "cross" => Ok(MarginMode::Cross),
        "isolated" => Ok(MarginMode::Isolated),
        other => Err(DecodeError::unknown_word("margin_mode", other)),
    }
}

/// v5 writes it in capitals on REST, the interface before it with one.
pub(super) fn role(word: &str) -> Result<Liquidity, DecodeError> {
    match word {
        "taker" | "TAKER" | "Taker" => Ok(Liquidity::Taker),
        "maker" | "MAKER" | "Maker" => Ok(Liquidity::Maker),
        other => Err(DecodeError::unknown_word("role", other)),
    }
}

/// Where an order of the interface before v5 stands. `filled`: something of it was.
pub(super) fn legacy_status(word: &str, filled: bool) -> Result<OrderStatus, DecodeError> {
    Ok(match word {
        "1" | "2" => OrderStatus::Pending,
        // Being cancelled: until it is, it rests.
        "11" if filled => OrderStatus::PartiallyFilled,
        "3" | "11" => OrderStatus::Open,
        "4" => OrderStatus::PartiallyFilled,
        "5" | "7" => OrderStatus::Cancelled,
        "6" => OrderStatus::Filled,
        other => return Err(DecodeError::unknown_word("status", other)),
    })
}

/// Where an order of v5 stands.
pub(super) fn state(word: &str) -> Result<OrderStatus, DecodeError> {
    Ok(match word {
        "new" => OrderStatus::Open,
        "partially_filled" => OrderStatus::PartiallyFilled,
        "filled" => OrderStatus::Filled,
        "partially_canceled" | "canceled" => OrderStatus::Cancelled,
        other => return Err(DecodeError::unknown_word("state", other)),
    })
}

/// What an order of the interface before v5 asks for: the word says kind and time in force together.
pub(super) fn order_price_type(word: &str) -> Result<(OrderKind, TimeInForce), DecodeError> {
    let (first, last) = match word.rsplit_once('_') {
        Some((first, last @ ("ioc" | "fok"))) => (first, Some(last)),
        _ => (word, None),
    };
    let rests = match last {
        Some("ioc") => TimeInForce::ImmediateOrCancel,
        Some(_) => TimeInForce::FillOrKill,
        None => TimeInForce::GoodTilCancelled,
    };
    Ok(match (first, last) {
        ("limit", None) => (OrderKind::Limit, rests),
        ("post_only", None) => (OrderKind::Limit, TimeInForce::PostOnly),
        ("ioc", None) => (OrderKind::Limit, TimeInForce::ImmediateOrCancel),
        ("fok", None) => (OrderKind::Limit, TimeInForce::FillOrKill),
        // At the best price of the other side, or what the venue makes of it: orders at market.
        ("market" | "opponent" | "lightning" | "optimal_5" | "optimal_10" | "optimal_20", _) => {
            (OrderKind::Market, rests)
        }
        _ => return Err(DecodeError::unknown_word("order_price_type", word)),
    })
}

/// What an order of v5 asks for.
pub(super) fn order_type(kind: &str, rests: &str) -> Result<(OrderKind, TimeInForce), DecodeError> {
    let rests = match rests {
        "gtc" | "" => TimeInForce::GoodTilCancelled,
        "ioc" => TimeInForce::ImmediateOrCancel,
        "fok" => TimeInForce::FillOrKill,
        other => return Err(DecodeError::unknown_word("time_in_force", other)),
    };
    Ok(match kind {
        "limit" => (OrderKind::Limit, rests),
        "post_only" => (OrderKind::Limit, TimeInForce::PostOnly),
        "market" | "opponent" | "lightning" | "optimal_5" | "optimal_10" | "optimal_20" => {
            (OrderKind::Market, rests)
        }
        other => return Err(DecodeError::unknown_word("type", other)),
    })
}

/// Who caused an order, by three words of which a message has some. `order_source` names the program that sent it;
/// `liquidation_type` is 0 for none, 1 netting, 2 partial and 3 full takeover, 4 auto-deleveraging (4 is unconfirmed);
/// `order_type` is 1 for an order, 2 a cancellation, 3 forced liquidation, 4 delivery, 22 deleveraging (3, 4 and 22
/// are unconfirmed).
pub(super) fn cause(
    order_source: Option<&str>,
    liquidation_type: Option<&str>,
    order_type: Option<&str>,
) -> Result<Cause, DecodeError> {
    let by_liquidation = match liquidation_type {
        None | Some("" | "0") => Cause::User,
        Some("1" | "2" | "3") => Cause::Liquidation,
        Some("4") => Cause::AutoDeleveraging,
        Some(other) => return Err(DecodeError::unknown_word("liquidation_type", other)),
    };
    let by_type = match order_type {
        None | Some("" | "1" | "2") => Cause::User,
        Some("3") => Cause::Liquidation,
        Some("4") => Cause::Settlement,
        Some("22") => Cause::AutoDeleveraging,
        Some(other) => return Err(DecodeError::unknown_word("order_type", other)),
    };
    let by_source = match order_source {
        None
        | Some(
            "" | "web" | "api" | "m" | "ios" | "android" | "windows" | "mac" | "trigger" | "tpsl" | "track"
            | "grid" | "copy_trading",
        ) => Cause::User,
        // The risk system, and the venue acting by itself.
        Some("risk" | "system") => Cause::Liquidation,
        Some("settlement" | "delivery") => Cause::Settlement,
        Some("ADL" | "adl") => Cause::AutoDeleveraging,
        Some(other) => return Err(DecodeError::unknown_word("order_source", other)),
    };
    Ok([by_liquidation, by_type, by_source]
        .into_iter()
        .find(|cause| *cause != Cause::User)
        .unwrap_or(Cause::User))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_forced_an_order_is_told() {
        assert_eq!(cause(Some("web"), Some("0"), Some("1")).unwrap(), Cause::User);
        assert_eq!(cause(Some("risk"), Some("0"), None).unwrap(), Cause::Liquidation);
        assert_eq!(
            cause(Some("api"), Some("4"), None).unwrap(),
            Cause::AutoDeleveraging
        );
        assert_eq!(cause(None, None, Some("4")).unwrap(), Cause::Settlement);
        assert!(cause(Some("somebody"), None, None).is_err());
        assert!(cause(None, Some("9"), None).is_err());
    }

    #[test]
    fn kinds_and_times_are_one_word() {
        assert_eq!(
            order_price_type("optimal_5_fok").unwrap(),
            (OrderKind::Market, TimeInForce::FillOrKill)
        );
        assert_eq!(
            order_price_type("lightning").unwrap(),
            (OrderKind::Market, TimeInForce::GoodTilCancelled)
        );
        assert_eq!(
            order_price_type("post_only").unwrap(),
            (OrderKind::Limit, TimeInForce::PostOnly)
        );
        assert!(order_price_type("limit_ioc").is_err());
        assert!(order_price_type("optimal_7").is_err());
    }

    #[test]
    fn an_offset_and_a_side_name_the_position() {
        assert_eq!(offset("close", Side::Sell).unwrap(), PositionSide::Long);
        assert_eq!(offset("open", Side::Sell).unwrap(), PositionSide::Short);
        assert_eq!(offset("both", Side::Buy).unwrap(), PositionSide::Net);
        assert!(offset("", Side::Buy).is_err());
    }
}
