//! Well-known instruments. Not to trade with: the venue's list changes.

use crate::model::{Decimal, Instrument, Instruments, Venue};

/// A decimal by its digits and how many of them stand behind the point.
type Digits = (i64, u32);

/// Symbol, base, tick, lot, minimum notional as the venue published them.
const KNOWN: [(&str, &str, Digits, Digits, i64); 6] = [
    ("BTCUSDT", "BTC", (1, 1), (1, 3), 100),
    ("ETHUSDT", "ETH", (1, 2), (1, 3), 20),
    ("SOLUSDT", "SOL", (1, 2), (1, 2), 5),
    ("XRPUSDT", "XRP", (1, 4), (1, 1), 5),
    ("BNBUSDT", "BNB", (1, 2), (1, 2), 5),
    ("DOGEUSDT", "DOGE", (1, 5), (1, 0), 5),
];

pub(super) fn known() -> Instruments {
    Instruments::new(
        Venue::Binance,
        KNOWN.into_iter().map(|(symbol, base, tick, lot, notional)| {
            let mut instrument = Instrument::linear(
                symbol,
                base,
                "USDT",
                Decimal::new(tick.0, tick.1),
                Decimal::new(lot.0, lot.1),
            );
            instrument.minimum_notional = Some(Decimal::from(notional));
            instrument
        }),
    )
}
