//! What the requests of both interfaces share.

use super::{classic, unified, words};
use crate::error::RequestError;
use crate::model::{Decimal, OrderKind, PositionSide, Side, Text, Venue};
use crate::operation::{ClosePosition, NewOrder, Operation};
use crate::protocol::Context;
use crate::request::{Access, Method, Request};
use crate::venues::{Generation, json_text};

pub(super) type Made = Result<Vec<Request>, RequestError>;

/// Puts an operation into the words of one of Bitget's interfaces.
pub(super) fn requests(generation: Generation, operation: &Operation, context: &Context<'_>) -> Made {
    if let Operation::CreateListenKey(_) | Operation::KeepListenKey(_) | Operation::CloseListenKey(_) =
        operation
    {
        return Err(unsupported(
            operation.name(),
            "the account socket is logged in to with a signed message",
        ));
    }
    if generation == Generation::Next {
        unified::requests(operation, context)
    } else {
        classic::requests(operation, context)
    }
}

pub(super) const fn unsupported(operation: &'static str, instead: &'static str) -> RequestError {
    RequestError::Unsupported {
        venue: Venue::Bitget,
        operation,
        instead,
    }
}

pub(super) fn one(request: Request) -> Made {
    Ok(vec![request])
}

pub(super) fn get(path: &str) -> Request {
    Request::new(Method::Get, path, Access::Signed)
}

pub(super) fn public(path: &str) -> Request {
    Request::new(Method::Get, path, Access::Public)
}

pub(super) fn post(path: &str, body: String) -> Request {
    Request::new(Method::Post, path, Access::Signed).json(body)
}

/// Of instruments only those settled in USDT are supported: `BTCUSDT`. `BTCPERP` is settled in USDC, `BTCUSD` in bitcoin.
pub(super) fn instrument(name: &Text) -> Result<String, RequestError> {
    // Futures with a date have it after the quote asset: BTCUSDT_250627.
    let stem = name.split_once('_').map_or(name.as_str(), |(stem, _)| stem);
    if stem.len() > words::MARGIN_COIN.len() && stem.ends_with(words::MARGIN_COIN) {
        Ok(json_text(name))
    } else {
        Err(RequestError::BadParameter {
            parameter: "instrument",
            value: name.to_string(),
            reason: "only perpetuals settled in USDT are supported, such as BTCUSDT",
        })
    }
}

/// A size, which is in base units here, rounded down to the lot where the instrument is known.
pub(super) fn size(size: Decimal, instrument: &Text, context: &Context<'_>) -> Result<String, RequestError> {
    let bad = |reason| RequestError::BadParameter {
        parameter: "size",
        value: size.to_string(),
        reason,
    };
    if size <= Decimal::ZERO {
        return Err(bad("a size is positive; the way is in side"));
    }
    let rounded = match context.instruments.get(instrument) {
        Ok(known) => known.round_to_lot(size),
        Err(_) => size,
    };
    if rounded.is_zero() {
        return Err(bad("less than one lot"));
    }
    Ok(json_text(&rounded.normalize().to_string()))
}

pub(super) fn price(price: Decimal) -> String {
    json_text(&price.normalize().to_string())
}

/// Whether an order opens the hedge-mode position it names; none in one-way mode. An order that says it only reduces and
/// would open is refused: the mark means nothing to Bitget in hedge mode.
pub(super) fn opens(
    side: Side,
    position_side: PositionSide,
    reduce_only: bool,
) -> Result<Option<bool>, RequestError> {
    if position_side == PositionSide::Net {
        return Ok(None);
    }
    let opens = words::side_of(true, position_side) == side;
    if opens && reduce_only {
        return Err(RequestError::BadParameter {
            parameter: "side",
            value: words::side_word(side).to_owned(),
            reason: "a reduce-only order in hedge mode sells the long position or buys back the short one",
        });
    }
    Ok(Some(opens))
}

/// Between one and so many in one request.
pub(super) fn batch<T>(
    of: &[T],
    most: usize,
    make: impl FnMut(&T) -> Result<String, RequestError>,
) -> Result<String, RequestError> {
    if of.is_empty() || of.len() > most {
        return Err(RequestError::BadParameter {
            parameter: "orders",
            value: of.len().to_string(),
            reason: "as many as Bitget takes in one request: 1 to 50, of a unified account 1 to 20",
        });
    }
    let list = of.iter().map(make).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("[{}]", list.join(",")))
}

/// Bitget's request to close a position takes no owner's id. Where one is given, an order that only reduces is sent in its
/// place: its outcome can be asked for by the id when no answer comes.
pub(super) fn close_as_order(close: &ClosePosition) -> Result<Option<NewOrder>, RequestError> {
    let Some(id) = &close.client_order_id else {
        return Ok(None);
    };
    let size = close
        .size
        .filter(|size| !size.is_zero())
        .ok_or(RequestError::MissingParameter {
            operation: "close_position",
            parameter: "size (with a client_order_id an order that only reduces is sent)",
        })?;
    let side = match close.position_side {
        PositionSide::Net if size.is_sign_positive() => Side::Sell,
        PositionSide::Net => Side::Buy,
        position => words::side_of(false, position),
    };
    Ok(Some(NewOrder {
        instrument: close.instrument.clone(),
        side,
        size: size.abs(),
        order_kind: OrderKind::Market,
        price: None,
        time_in_force: None,
        reduce_only: true,
        position_side: close.position_side,
        margin_mode: close.margin_mode,
        leverage: None,
        client_order_id: Some(id.clone()),
    }))
}
