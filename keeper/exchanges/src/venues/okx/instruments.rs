//! Well-known perpetuals of OKX, for tools that have not loaded its list.

use crate::model::{Decimal, Instrument, Instruments, Venue};

/// Name, base, contract size, tick, lot; the last two may have changed since.
const KNOWN: &[(&str, &str, Decimal, Decimal, Decimal)] = &[
    ("BTC-USDT-SWAP", "BTC", d(1, 2), d(1, 1), d(1, 2)),
    ("ETH-USDT-SWAP", "ETH", d(1, 1), d(1, 2), d(1, 2)),
    ("SOL-USDT-SWAP", "SOL", d(1, 0), d(1, 2), d(1, 2)),
    ("XRP-USDT-SWAP", "XRP", d(100, 0), d(1, 4), d(1, 2)),
    ("DOGE-USDT-SWAP", "DOGE", d(1000, 0), d(1, 5), d(1, 2)),
    ("BNB-USDT-SWAP", "BNB", d(1, 2), d(1, 1), d(1, 0)),
    ("ADA-USDT-SWAP", "ADA", d(100, 0), d(1, 4), d(1, 1)),
    ("AVAX-USDT-SWAP", "AVAX", d(1, 0), d(1, 2), d(1, 1)),
    ("LINK-USDT-SWAP", "LINK", d(1, 0), d(1, 3), d(1, 1)),
    ("LTC-USDT-SWAP", "LTC", d(1, 0), d(1, 2), d(1, 1)),
    ("DOT-USDT-SWAP", "DOT", d(1, 0), d(1, 3), d(1, 1)),
    ("BCH-USDT-SWAP", "BCH", d(1, 1), d(1, 1), d(1, 1)),
];

const fn d(number: u32, scale: u32) -> Decimal {
    Decimal::from_parts(number, 0, 0, false, scale)
}

/// The numbers by which order messages name the two largest.
const NUMBERS: &[(&str, u32)] = &[("BTC-USDT-SWAP", 10_459), ("ETH-USDT-SWAP", 10_461)];

pub(super) fn known() -> Instruments {
    Instruments::new(
        Venue::Okx,
        KNOWN.iter().map(|(name, base, contract_size, tick, lot)| {
            let mut instrument =
                Instrument::linear(name, base, "USDT", *tick, *lot).in_contracts(*contract_size);
            instrument.number = NUMBERS
                .iter()
                .find(|(numbered, _)| numbered == name)
                .map(|(_, number)| *number);
            instrument
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitcoin_contract_is_a_hundredth_of_a_bitcoin() {
        let known = known();
        let bitcoin = known.get("BTC-USDT-SWAP").unwrap();
        assert_eq!(bitcoin.to_base(Decimal::ONE, None), Some(Decimal::new(1, 2)));
        assert_eq!(bitcoin.number, Some(10_459));
        assert!(known.get("BTC-USDT").is_err());
    }
}
