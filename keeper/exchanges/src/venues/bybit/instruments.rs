//! Well-known instruments. Not to trade with: the venue's list changes.

use crate::model::{ContractKind, Decimal, Instrument, Instruments, SizeUnit, Venue};

/// A decimal by its digits and how many of them stand behind the point.
type Digits = (i64, u32);

/// Symbol, base, settlement asset, tick, lot as the venue published them; sizes in base units.
const LINEAR: [(&str, &str, &str, Digits, Digits); 7] = [
    ("BTCUSDT", "BTC", "USDT", (1, 1), (1, 3)),
    ("ETHUSDT", "ETH", "USDT", (1, 2), (1, 2)),
    ("SOLUSDT", "SOL", "USDT", (1, 2), (1, 1)),
    ("XRPUSDT", "XRP", "USDT", (1, 4), (1, 1)),
    ("DOGEUSDT", "DOGE", "USDT", (1, 5), (1, 0)),
    ("BTCPERP", "BTC", "USDC", (1, 1), (1, 3)),
    ("ETHPERP", "ETH", "USDC", (1, 2), (1, 2)),
];

/// Symbol, base, tick; sizes in whole US dollars.
const INVERSE: [(&str, &str, Digits); 4] = [
    ("BTCUSD", "BTC", (1, 1)),
    ("ETHUSD", "ETH", (1, 2)),
    ("SOLUSD", "SOL", (1, 3)),
    ("XRPUSD", "XRP", (1, 4)),
];

/// Smallest notional of a linear order in quote units.
const MINIMUM_NOTIONAL: i64 = 5;

pub(super) fn known() -> Instruments {
    let linear = LINEAR.into_iter().map(|(symbol, base, quote, tick, lot)| {
        let mut instrument = Instrument::linear(
            symbol,
            base,
            quote,
            Decimal::new(tick.0, tick.1),
            Decimal::new(lot.0, lot.1),
        );
        instrument.minimum_notional = Some(Decimal::from(MINIMUM_NOTIONAL));
        instrument
    });
    let inverse = INVERSE.into_iter().map(|(symbol, base, tick)| {
        inverse(
            Instrument::linear(symbol, base, "USD", Decimal::new(tick.0, tick.1), Decimal::ONE),
            base,
        )
    });
    Instruments::new(Venue::Bybit, linear.chain(inverse))
}

/// The same, settled in `settle` and counted in quote units.
pub(super) fn inverse(mut instrument: Instrument, settle: &str) -> Instrument {
    instrument.kind = ContractKind::Inverse;
    instrument.size_unit = SizeUnit::Quote;
    instrument.settle = settle.into();
    instrument
}
