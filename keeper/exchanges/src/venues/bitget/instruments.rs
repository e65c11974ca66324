//! Well-known perpetuals of Bitget, for tools that have not loaded its list. Its sizes are base units.

use crate::model::{Decimal, Instrument, Instruments, Venue};

/// Name, base, tick, lot; as published, and they may have changed since.
const KNOWN: &[(&str, &str, Decimal, Decimal)] = &[
    ("BTCUSDT", "BTC", ten_to_minus(1), ten_to_minus(4)),
    ("ETHUSDT", "ETH", ten_to_minus(2), ten_to_minus(2)),
    ("SOLUSDT", "SOL", ten_to_minus(2), ten_to_minus(1)),
    ("XRPUSDT", "XRP", ten_to_minus(4), ten_to_minus(0)),
    ("DOGEUSDT", "DOGE", ten_to_minus(5), ten_to_minus(0)),
    ("LTCUSDT", "LTC", ten_to_minus(2), ten_to_minus(1)),
];

/// Smallest notional of an order, USDT.
const MINIMUM_NOTIONAL: Decimal = Decimal::from_parts(5, 0, 0, false, 0);

const fn ten_to_minus(scale: u32) -> Decimal {
    Decimal::from_parts(1, 0, 0, false, scale)
}

pub(super) fn known() -> Instruments {
    Instruments::new(
        Venue::Bitget,
        KNOWN.iter().map(|(name, base, tick, lot)| {
            let mut instrument = Instrument::linear(name, base, "USDT", *tick, *lot);
            instrument.minimum_notional = Some(MINIMUM_NOTIONAL);
            instrument
        }),
    )
}
