//! Well-known perpetuals. Their numbers never change: the venue only appends to its list.

use crate::model::{Decimal, Instrument, Instruments, Venue};

/// Smallest value of an order, in USDC.
pub(super) const MINIMUM_NOTIONAL: u32 = 10;

/// Name, number in the venue's list, decimals of a size.
const KNOWN: [(&str, u32, u32); 15] = [
    ("BTC", 0, 5),
    ("ETH", 1, 4),
    ("ATOM", 2, 2),
    ("SOL", 5, 2),
    ("AVAX", 6, 2),
    ("BNB", 7, 3),
    ("LTC", 10, 2),
    ("ARB", 11, 1),
    ("DOGE", 12, 0),
    ("SUI", 14, 1),
    ("kPEPE", 15, 0),
    ("LINK", 18, 1),
    ("XRP", 25, 0),
    ("APT", 27, 2),
    ("ADA", 65, 0),
];

/// A perpetual by what the venue's list says of it.
pub(super) fn perpetual(name: &str, number: u32, size_decimals: u32) -> Instrument {
    let mut instrument = Instrument::linear(
        name,
        name,
        "USDC",
        // No step: five significant figures instead, see `requests::price`.
        Decimal::ZERO,
        Decimal::new(1, size_decimals),
    );
    instrument.minimum_notional = Some(Decimal::from(MINIMUM_NOTIONAL));
    instrument.number = Some(number);
    instrument
}

/// Contract sizes of well-known instruments.
pub(super) fn known() -> Instruments {
    Instruments::new(
        Venue::Hyperliquid,
        KNOWN
            .into_iter()
            .map(|(name, number, decimals)| perpetual(name, number, decimals)),
    )
}
