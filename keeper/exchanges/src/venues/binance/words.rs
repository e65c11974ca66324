//! The venue's words, in one table for streams and replies. A word that is not listed is refused, never guessed at.

use crate::error::{DecodeError, RequestError};
use crate::json::Number;
use crate::model::{
    Cause, Decimal, Interval, MarginMode, OrderKind, OrderStatus, PositionSide, Side, Text, TimeInForce,
};

/// Prefixes of the client ids the venue gives to orders of its own, and who caused them. No order of ours may have one.
const VENUE_ORDERS: [(&str, Cause); 4] = [
    ("autoclose-", Cause::Liquidation),
    ("adl_autoclose", Cause::AutoDeleveraging),
    ("settlement_autoclose-", Cause::Settlement),
    ("delivery_autoclose-", Cause::Settlement),
];

/// Longest client id.
const CLIENT_ID_LENGTH: usize = 36;

/// Who caused an order, by its client id. The order type `LIQUIDATION` says it too.
pub(super) fn cause(client_id: &str, order_type: &str) -> Cause {
    VENUE_ORDERS
        .iter()
        .find(|(prefix, _)| client_id.starts_with(prefix))
        .map_or(
            if order_type == "LIQUIDATION" {
                Cause::Liquidation
            } else {
                Cause::User
            },
            |(_, cause)| *cause,
        )
}

/// A client id in the venue's alphabet, and none that the venue would take for its own.
pub(super) fn client_id(id: &Text) -> Result<String, RequestError> {
    let bad = |reason| RequestError::BadParameter {
        parameter: "client_order_id",
        value: id.to_string(),
        reason,
    };
    let in_alphabet = id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'/' | b'_' | b'-'));
    if id.is_empty() || id.len() > CLIENT_ID_LENGTH || !in_alphabet {
        return Err(bad("1 to 36 letters, digits and . : / _ -"));
    }
    if VENUE_ORDERS.iter().any(|(prefix, _)| id.starts_with(prefix)) {
        return Err(bad("the venue names its own liquidations and settlements so"));
    }
    Ok(id.to_string())
}

/// A symbol of this product. Coin-margined ones (`BTCUSD_PERP`) and options (`BTC-260925-60000-C`) are others.
pub(super) fn supported(symbol: &str) -> Result<&str, DecodeError> {
    if symbol.contains('-') {
        return Err(DecodeError::product("option"));
    }
    if symbol
        .split_once('_')
        .is_some_and(|(pair, _)| pair.ends_with("USD"))
    {
        return Err(DecodeError::product("coin-margined"));
    }
    if symbol.is_empty() {
        return Err(DecodeError::unknown_word("symbol", symbol));
    }
    Ok(symbol)
}

pub(super) fn side(word: &str) -> Result<Side, DecodeError> {
    match word {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(DecodeError::unknown_word("side", word)),
    }
}

pub(super) const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

pub(super) fn position_side(word: &str) -> Result<PositionSide, DecodeError> {
    match word {
        "BOTH" => Ok(PositionSide::Net),
        "LONG" => Ok(PositionSide::Long),
        "SHORT" => Ok(PositionSide::Short),
        _ => Err(DecodeError::unknown_word("positionSide", word)),
    }
}

/// The signed size of a position. In hedge mode the venue signs it too: a short position is negative. One that
/// contradicts its side is refused.
pub(super) fn position_size(side: PositionSide, amount: Number<'_>) -> Result<Decimal, DecodeError> {
    let size = amount.decimal("positionAmt")?;
    let contradicts = match side {
        PositionSide::Net => false,
        PositionSide::Long => size < Decimal::ZERO,
        PositionSide::Short => size > Decimal::ZERO,
    };
    if contradicts {
        return Err(DecodeError::bad_number("positionAmt", amount.text()));
    }
    Ok(size)
}

pub(super) fn order_kind(word: &str) -> Result<OrderKind, DecodeError> {
    match word {
        "MARKET" => Ok(OrderKind::Market),
        "LIMIT" => Ok(OrderKind::Limit),
        "STOP_MARKET" => Ok(OrderKind::StopMarket),
        "STOP" => Ok(OrderKind::StopLimit),
        "TAKE_PROFIT_MARKET" => Ok(OrderKind::TakeProfitMarket),
        "TAKE_PROFIT" => Ok(OrderKind::TakeProfitLimit),
        "TRAILING_STOP_MARKET" => Ok(OrderKind::TrailingStop),
        "LIQUIDATION" => Ok(OrderKind::Venue),
        _ => Err(DecodeError::unknown_word("type", word)),
    }
}

/// Waits for a trigger before it is in the book.
pub(super) const fn is_conditional(kind: OrderKind) -> bool {
    matches!(
        kind,
        OrderKind::StopMarket
            | OrderKind::StopLimit
            | OrderKind::TakeProfitMarket
            | OrderKind::TakeProfitLimit
            | OrderKind::TrailingStop
    )
}

pub(super) fn time_in_force(word: &str) -> Result<TimeInForce, DecodeError> {
    match word {
        // GTE_GTC: a stop of a position, until that is closed. RPI: only for retail takers, never a taker itself.
        "GTC" | "GTE_GTC" => Ok(TimeInForce::GoodTilCancelled),
        "IOC" => Ok(TimeInForce::ImmediateOrCancel),
        "FOK" => Ok(TimeInForce::FillOrKill),
        "GTX" | "RPI" => Ok(TimeInForce::PostOnly),
        "GTD" => Ok(TimeInForce::GoodTilDate),
        _ => Err(DecodeError::unknown_word("timeInForce", word)),
    }
}

/// State of an order of the book; a conditional one is `NEW` while it waits.
pub(super) fn status(word: &str, kind: OrderKind) -> Result<OrderStatus, DecodeError> {
    match word {
        "NEW" if is_conditional(kind) => Ok(OrderStatus::Untriggered),
        // NEW_INSURANCE and NEW_ADL: orders of the venue's own, in the book.
        "NEW" | "NEW_INSURANCE" | "NEW_ADL" => Ok(OrderStatus::Open),
        "PARTIALLY_FILLED" => Ok(OrderStatus::PartiallyFilled),
        "FILLED" => Ok(OrderStatus::Filled),
        "CANCELED" => Ok(OrderStatus::Cancelled),
        "EXPIRED" | "EXPIRED_IN_MATCH" => Ok(OrderStatus::Expired),
        "REJECTED" => Ok(OrderStatus::Rejected),
        _ => Err(DecodeError::unknown_word("status", word)),
    }
}

/// State of a conditional order. `FINISHED` says that the order it became has ended, filled or not: what was executed
/// tells which.
pub(super) fn algo_status(
    word: &str,
    filled: Decimal,
    size: Option<Decimal>,
) -> Result<OrderStatus, DecodeError> {
    match word {
        "NEW" => Ok(OrderStatus::Untriggered),
        "TRIGGERING" | "TRIGGERED" => Ok(OrderStatus::Triggered),
        "FINISHED" if filled > Decimal::ZERO && size.is_none_or(|size| filled >= size) => {
            Ok(OrderStatus::Filled)
        }
        "FINISHED" | "CANCELED" => Ok(OrderStatus::Cancelled),
        "REJECTED" => Ok(OrderStatus::Rejected),
        "EXPIRED" => Ok(OrderStatus::Expired),
        _ => Err(DecodeError::unknown_word("algoStatus", word)),
    }
}

pub(super) fn margin_mode(word: &str) -> Result<MarginMode, DecodeError> {
    match word {
        "cross" | "crossed" | "CROSSED" => Ok(MarginMode::Cross),
        "isolated" | "ISOLATED" => Ok(MarginMode::Isolated),
        _ => Err(DecodeError::unknown_word("marginType", word)),
    }
}

pub(super) fn interval(word: &str) -> Result<Interval, DecodeError> {
    word.parse()
        .map_err(|_| DecodeError::unknown_word("interval", word))
}

/// A number of which the venue says 0 where there is none: prices of market orders, triggers of plain ones.
pub(super) fn unless_zero(
    number: Option<Number<'_>>,
    field: &'static str,
) -> Result<Option<Decimal>, DecodeError> {
    Ok(match number {
        Some(number) => number.optional(field)?.filter(|value| !value.is_zero()),
        None => None,
    })
}

/// The price of a fill: never zero.
pub(super) fn price(number: Number<'_>, field: &'static str) -> Result<Decimal, DecodeError> {
    let price = number.decimal(field)?;
    if price <= Decimal::ZERO {
        return Err(DecodeError::bad_number(field, number.text()));
    }
    Ok(price)
}

/// A size: never below zero.
pub(super) fn size(number: Number<'_>, field: &'static str) -> Result<Decimal, DecodeError> {
    let size = number.decimal(field)?;
    if size < Decimal::ZERO {
        return Err(DecodeError::bad_number(field, number.text()));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_venues_own_orders_are_told_by_their_ids() {
        assert_eq!(
            cause("autoclose-1596107620040000020", "LIMIT"),
            Cause::Liquidation
        );
        assert_eq!(cause("adl_autoclose", "LIMIT"), Cause::AutoDeleveraging);
        assert_eq!(cause("settlement_autoclose-1", "LIMIT"), Cause::Settlement);
        assert_eq!(cause("delivery_autoclose-1", "LIMIT"), Cause::Settlement);
        assert_eq!(cause("web_1", "LIQUIDATION"), Cause::Liquidation);
        assert_eq!(cause("web_1", "MARKET"), Cause::User);
        assert_eq!(cause("", "MARKET"), Cause::User);
    }

    #[test]
    fn client_ids_are_of_the_venues_alphabet_and_not_its_own() {
        assert_eq!(client_id(&"a.B:/1_-".into()).unwrap(), "a.B:/1_-");
        assert!(client_id(&"a".repeat(36).into()).is_ok());
        for bad in [
            "",
            "a b",
            "ä",
            "a&b",
            &"a".repeat(37),
            "autoclose-1",
            "adl_autoclose",
        ] {
            assert!(client_id(&bad.into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn other_products_are_told_by_their_symbols() {
        for symbol in ["BTCUSDT", "ETHBTC", "BTCUSDT_260327", "1000PEPEUSDC"] {
            assert!(supported(symbol).is_ok(), "{symbol}");
        }
        for symbol in ["BTCUSD_PERP", "BTCUSD_200925", "BTC-220930-18000-C", ""] {
            assert!(supported(symbol).is_err(), "{symbol}");
        }
    }
}
