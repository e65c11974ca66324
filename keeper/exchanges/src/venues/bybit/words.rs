//! The venue's words, in one table for streams and replies. A word that is not listed is refused, never guessed at.

use crate::error::{DecodeError, RequestError};
use crate::json::Number;
use crate::model::{
    Cause, ContractKind, Decimal, Instruments, Interval, OrderKind, OrderStatus, PositionSide, Side, Text,
    TimeInForce,
};

/// Longest client id.
const CLIENT_ID_LENGTH: usize = 36;

/// Which of the venue's products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    /// Settled in USDT or USDC; sizes are base units.
    Linear,
    /// Settled in the base asset; sizes are US dollars.
    Inverse,
}

impl Category {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Inverse => "inverse",
        }
    }
}

/// The product in the venue's word.
pub(super) fn category(word: &str) -> Result<Category, DecodeError> {
    match word {
        "linear" => Ok(Category::Linear),
        "inverse" => Ok(Category::Inverse),
        "spot" | "option" => Err(DecodeError::product(word)),
        _ => Err(DecodeError::unknown_word("category", word)),
    }
}

/// The product of an instrument where a message does not say it: from the table, or by how the venue writes symbols.
/// `BTCUSDT`, `BTCPERP`, `BTC-26DEC25` are linear; `BTCUSD` and `BTCUSDZ25` inverse; `BTC-26DEC25-60000-C` an option.
pub(super) fn category_of(symbol: &str, instruments: &Instruments) -> Result<Category, DecodeError> {
    if let Ok(instrument) = instruments.get(symbol) {
        return Ok(match instrument.kind {
            ContractKind::Linear => Category::Linear,
            ContractKind::Inverse => Category::Inverse,
        });
    }
    by_name(symbol).ok_or_else(|| {
        if symbol.matches('-').count() >= 3 {
            DecodeError::product("option")
        } else {
            DecodeError::unknown_word("symbol", symbol)
        }
    })
}

/// By the symbol alone.
pub(super) fn by_name(symbol: &str) -> Option<Category> {
    let plain = !symbol.is_empty()
        && symbol
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match symbol.matches('-').count() {
        0 if !plain => None,
        0 if symbol.ends_with("USDT") || symbol.ends_with("USDC") || symbol.ends_with("PERP") => {
            Some(Category::Linear)
        }
        0 if symbol.ends_with("USD") => Some(Category::Inverse),
        // A dated inverse contract: month letter and year.
        0 => {
            let (pair, date) = symbol.split_at(symbol.len().saturating_sub(3));
            let dated = date.bytes().enumerate().all(|(index, byte)| match index {
                0 => byte.is_ascii_uppercase(),
                _ => byte.is_ascii_digit(),
            });
            (dated && pair.ends_with("USD")).then_some(Category::Inverse)
        }
        1 if plain => Some(Category::Linear),
        _ => None,
    }
}

/// A size of the venue in base units. The price is only needed for inverse contracts.
pub(super) fn base_size(
    category: Category,
    symbol: &str,
    size: Decimal,
    price: Option<Decimal>,
    instruments: &Instruments,
) -> Result<Option<Decimal>, DecodeError> {
    match category {
        Category::Linear => Ok(Some(size)),
        Category::Inverse => Ok(instruments.get(symbol)?.to_base(size, price)),
    }
}

/// The asset fees and profits are in: by the table, else by the symbol.
pub(super) fn settle_asset(symbol: &str, category: Category, instruments: &Instruments) -> Option<Text> {
    if let Ok(instrument) = instruments.get(symbol) {
        return Some(instrument.settle.clone());
    }
    match category {
        Category::Linear if symbol.ends_with("USDT") => Some(Text::const_new("USDT")),
        Category::Linear if symbol.ends_with("PERP") || symbol.ends_with("USDC") => {
            Some(Text::const_new("USDC"))
        }
        _ => None,
    }
}

/// A client id in the venue's alphabet.
pub(super) fn client_id(id: &Text) -> Result<&str, RequestError> {
    let in_alphabet = id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if id.is_empty() || id.len() > CLIENT_ID_LENGTH || !in_alphabet {
        return Err(RequestError::BadParameter {
            parameter: "client_order_id",
            value: id.to_string(),
            reason: "1 to 36 letters, digits, - and _",
        });
    }
    Ok(id)
}

pub(super) fn side(word: &str) -> Result<Side, DecodeError> {
    match word {
        "Buy" => Ok(Side::Buy),
        "Sell" => Ok(Side::Sell),
        _ => Err(DecodeError::unknown_word("side", word)),
    }
}

pub(super) const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "Buy",
        Side::Sell => "Sell",
    }
}

/// `positionIdx`.
pub(super) fn position_side(index: Number<'_>) -> Result<PositionSide, DecodeError> {
    match index.text() {
        "0" => Ok(PositionSide::Net),
        "1" => Ok(PositionSide::Long),
        "2" => Ok(PositionSide::Short),
        other => Err(DecodeError::unknown_word("positionIdx", other)),
    }
}

/// The sign of a position by its side. One that contradicts its index is refused.
pub(super) fn signed_position(
    side: &str,
    position_side: PositionSide,
    size: Decimal,
) -> Result<Decimal, DecodeError> {
    let signed = match side {
        "Buy" => size,
        "Sell" => -size,
        // Closed. Older interfaces say None.
        "" | "None" if size.is_zero() => size,
        _ => return Err(DecodeError::unknown_word("side", side)),
    };
    let contradicts = size < Decimal::ZERO
        || match position_side {
            PositionSide::Net => false,
            PositionSide::Long => signed < Decimal::ZERO,
            PositionSide::Short => signed > Decimal::ZERO,
        };
    if contradicts {
        return Err(DecodeError::unknown_word("side", side));
    }
    Ok(signed)
}

/// What an order asks for. Plain conditional orders are called `Stop` whichever way they wait: that they take profit is
/// told by the direction of their trigger (1 rises, 2 falls).
pub(super) fn order_kind(
    order_type: &str,
    stop_type: &str,
    side: Side,
    trigger_direction: Option<&str>,
) -> Result<OrderKind, DecodeError> {
    let market = match order_type {
        "Market" => true,
        "Limit" => false,
        _ => return Err(DecodeError::unknown_word("orderType", order_type)),
    };
    let stop = if market {
        OrderKind::StopMarket
    } else {
        OrderKind::StopLimit
    };
    let take_profit = if market {
        OrderKind::TakeProfitMarket
    } else {
        OrderKind::TakeProfitLimit
    };
    match stop_type {
        "" | "UNKNOWN" => Ok(if market {
            OrderKind::Market
        } else {
            OrderKind::Limit
        }),
        "StopLoss" | "PartialStopLoss" => Ok(stop),
        "TakeProfit" | "PartialTakeProfit" => Ok(take_profit),
        "TrailingStop" => Ok(OrderKind::TrailingStop),
        "Stop" => Ok(match (trigger_direction, side) {
            (Some("1"), Side::Sell) | (Some("2"), Side::Buy) => take_profit,
            _ => stop,
        }),
        _ => Err(DecodeError::unknown_word("stopOrderType", stop_type)),
    }
}

pub(super) fn time_in_force(word: &str) -> Result<TimeInForce, DecodeError> {
    match word {
        "GTC" => Ok(TimeInForce::GoodTilCancelled),
        "IOC" => Ok(TimeInForce::ImmediateOrCancel),
        "FOK" => Ok(TimeInForce::FillOrKill),
        // RPI: only for retail takers, never a taker itself.
        "PostOnly" | "RPI" => Ok(TimeInForce::PostOnly),
        _ => Err(DecodeError::unknown_word("timeInForce", word)),
    }
}

pub(super) fn status(word: &str) -> Result<OrderStatus, DecodeError> {
    match word {
        "New" => Ok(OrderStatus::Open),
        "PartiallyFilled" => Ok(OrderStatus::PartiallyFilled),
        "Untriggered" => Ok(OrderStatus::Untriggered),
        "Rejected" => Ok(OrderStatus::Rejected),
        "Filled" => Ok(OrderStatus::Filled),
        // Deactivated: a conditional order that ended before its trigger.
        "Cancelled" | "PartiallyFilledCanceled" | "Deactivated" => Ok(OrderStatus::Cancelled),
        "Triggered" => Ok(OrderStatus::Triggered),
        _ => Err(DecodeError::unknown_word("orderStatus", word)),
    }
}

/// Who caused a fill. None: it is no fill but a payment of funding.
pub(super) fn execution_cause(word: &str) -> Result<Option<Cause>, DecodeError> {
    match word {
        "Trade" => Ok(Some(Cause::User)),
        "BustTrade" => Ok(Some(Cause::Liquidation)),
        "AdlTrade" => Ok(Some(Cause::AutoDeleveraging)),
        "Delivery" | "Settle" => Ok(Some(Cause::Settlement)),
        "BlockTrade" | "MovePosition" => Ok(Some(Cause::Transfer)),
        "Funding" => Ok(None),
        _ => Err(DecodeError::unknown_word("execType", word)),
    }
}

/// Who caused an order. Accounts of the older kinds get an empty word on every order: their orders count as the user's,
/// and what is not is told by the type of their executions.
pub(super) fn order_cause(word: &str) -> Result<Cause, DecodeError> {
    match word {
        ""
        | "CreateByUser"
        | "CreateByClosing"
        | "CreateByStopOrder"
        | "CreateByTakeProfit"
        | "CreateByPartialTakeProfit"
        | "CreateByStopLoss"
        | "CreateByPartialStopLoss"
        | "CreateByTrailingStop"
        | "CreateByTrailingProfit"
        | "CreateByFutureSpread"
        | "CreateByFGridBot"
        | "CloseByFGridBot"
        | "CreateByTWAP"
        | "CreateByTVSignal"
        | "CreateByMmRateClose"
        | "CreateByMartingaleBot"
        | "CloseByMartingaleBot"
        | "CreateByIceBerg"
        | "CreateByArbitrage"
        | "CreateByDdh" => Ok(Cause::User),
        "CreateByLiq" | "CreateByTakeOver_PassThrough" => Ok(Cause::Liquidation),
        "CreateByAdl_PassThrough" => Ok(Cause::AutoDeleveraging),
        "CreateBySettle" | "CreateByAdminClosing" => Ok(Cause::Settlement),
        "CreateByBlock_PassThrough" | "CreateByBlockTradeMovePosition_PassThrough" => Ok(Cause::Transfer),
        _ => Err(DecodeError::unknown_word("createType", word)),
    }
}

pub(super) fn interval(word: &str) -> Result<Interval, DecodeError> {
    Interval::ALL
        .into_iter()
        .find(|interval| interval_word(*interval) == word)
        .ok_or_else(|| DecodeError::unknown_word("interval", word))
}

pub(super) const fn interval_word(interval: Interval) -> &'static str {
    match interval {
        Interval::Minute => "1",
        Interval::FiveMinutes => "5",
        Interval::QuarterHour => "15",
        Interval::Hour => "60",
        Interval::FourHours => "240",
        Interval::Day => "D",
    }
}

/// A number that may be missing, empty or null.
pub(super) fn optional(
    number: Option<Number<'_>>,
    field: &'static str,
) -> Result<Option<Decimal>, DecodeError> {
    number.map_or(Ok(None), |number| number.optional(field))
}

/// A number of which the venue says 0 where there is none.
pub(super) fn unless_zero(
    number: Option<Number<'_>>,
    field: &'static str,
) -> Result<Option<Decimal>, DecodeError> {
    Ok(optional(number, field)?.filter(|value| !value.is_zero()))
}

/// A number that must be more than zero.
pub(super) fn positive(number: Number<'_>, field: &'static str) -> Result<Decimal, DecodeError> {
    let value = number.decimal(field)?;
    if value <= Decimal::ZERO {
        return Err(DecodeError::bad_number(field, number.text()));
    }
    Ok(value)
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
    fn products_are_told_by_the_symbol() {
        for symbol in [
            "BTCUSDT",
            "1000PEPEUSDT",
            "BTCPERP",
            "BTC-26DEC25",
            "BTCUSDT-26DEC25",
            "ETHUSDC",
        ] {
            assert_eq!(by_name(symbol), Some(Category::Linear), "{symbol}");
        }
        for symbol in ["BTCUSD", "ETHUSD", "BTCUSDZ25", "BTCUSDM26"] {
            assert_eq!(by_name(symbol), Some(Category::Inverse), "{symbol}");
        }
        for symbol in ["BTC-6JAN23-17500-C", "", "BTC", "BTCEUR", "BTC USDT", "BTC&USDT"] {
            assert_eq!(by_name(symbol), None, "{symbol}");
        }
    }

    #[test]
    fn a_position_that_contradicts_its_side_is_refused() {
        let one = Decimal::ONE;
        assert_eq!(signed_position("Sell", PositionSide::Net, one).unwrap(), -one);
        assert_eq!(signed_position("Sell", PositionSide::Short, one).unwrap(), -one);
        assert_eq!(
            signed_position("", PositionSide::Long, Decimal::ZERO).unwrap(),
            Decimal::ZERO
        );
        assert!(signed_position("Buy", PositionSide::Short, one).is_err());
        assert!(signed_position("Sell", PositionSide::Long, one).is_err());
        assert!(signed_position("", PositionSide::Net, one).is_err());
        assert!(signed_position("Buy", PositionSide::Net, -one).is_err());
    }

    #[test]
    fn conditional_orders_are_told_by_the_direction_of_their_trigger() {
        for (side, direction, expected) in [
            (Side::Sell, "2", OrderKind::StopMarket),
            (Side::Sell, "1", OrderKind::TakeProfitMarket),
            (Side::Buy, "1", OrderKind::StopMarket),
            (Side::Buy, "2", OrderKind::TakeProfitMarket),
        ] {
            assert_eq!(
                order_kind("Market", "Stop", side, Some(direction)).unwrap(),
                expected
            );
        }
        assert_eq!(
            order_kind("Limit", "", Side::Buy, None).unwrap(),
            OrderKind::Limit
        );
        assert!(order_kind("Market", "Magic", Side::Buy, None).is_err());
    }

    #[test]
    fn causes_are_known() {
        assert_eq!(execution_cause("Trade").unwrap(), Some(Cause::User));
        assert_eq!(execution_cause("BustTrade").unwrap(), Some(Cause::Liquidation));
        assert_eq!(
            execution_cause("AdlTrade").unwrap(),
            Some(Cause::AutoDeleveraging)
        );
        assert_eq!(execution_cause("Settle").unwrap(), Some(Cause::Settlement));
        assert_eq!(execution_cause("MovePosition").unwrap(), Some(Cause::Transfer));
        assert_eq!(execution_cause("Funding").unwrap(), None);
        assert!(execution_cause("UNKNOWN").is_err());
        assert_eq!(order_cause("CreateByStopLoss").unwrap(), Cause::User);
        assert_eq!(order_cause("CreateByLiq").unwrap(), Cause::Liquidation);
        assert_eq!(
            order_cause("CreateByTakeOver_PassThrough").unwrap(),
            Cause::Liquidation
        );
        assert!(order_cause("CreateByMagic").is_err());
    }
}
