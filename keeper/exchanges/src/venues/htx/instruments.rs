//! Well-known linear swaps. Sizes are whole contracts.

use crate::model::{Decimal, Instrument, Instruments, Venue};

/// Base asset, base units of one contract, tick. As published by `swap_contract_info`.
const KNOWN: [(&str, &str, &str); 7] = [
    ("BTC", "0.001", "0.1"),
    ("ETH", "0.01", "0.01"),
    ("LTC", "0.1", "0.01"),
    ("XRP", "10", "0.00001"),
    ("ADA", "10", "0.000001"),
    ("DOGE", "100", "0.000001"),
    ("TRX", "100", "0.000001"),
];

/// A linear swap: orders are whole contracts, one at least.
pub(super) fn linear(name: &str, base: &str, tick: Decimal, contract_size: Decimal) -> Instrument {
    Instrument::linear(name, base, "USDT", tick, Decimal::ONE).in_contracts(contract_size)
}

/// Contract sizes of well-known instruments.
pub(super) fn known() -> Instruments {
    let decimal = |text: &str| text.parse::<Decimal>().unwrap_or(Decimal::ZERO);
    Instruments::new(
        Venue::Htx,
        KNOWN
            .into_iter()
            .map(|(base, size, tick)| linear(&format!("{base}-USDT"), base, decimal(tick), decimal(size))),
    )
}

/// Linear contracts are named `BTC-USDT`, dated ones `BTC-USDT-211231`. Coin-margined ones (`BTC-USD`, `BTC220624`)
/// and spot (`btcusdt`) are other products.
pub(super) fn is_linear(name: &str) -> bool {
    name.split_once('-')
        .is_some_and(|(base, rest)| !base.is_empty() && (rest == "USDT" || rest.starts_with("USDT-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_is_a_part_of_the_base_asset() {
        let instruments = known();
        let swap = instruments.get("BTC-USDT").unwrap();
        assert_eq!(swap.to_base(Decimal::TWO, None), "0.002".parse().ok());
        assert_eq!(
            swap.from_base("0.0029".parse().unwrap(), None),
            Some(Decimal::TWO)
        );
    }

    #[test]
    fn only_linear_contracts_are_ours() {
        for name in ["BTC-USDT", "BTC-USDT-211231"] {
            assert!(is_linear(name), "{name}");
        }
        for name in ["BTC-USD", "BTC220624", "btcusdt", "-USDT", "BTC-USDTX", ""] {
            assert!(!is_linear(name), "{name}");
        }
    }
}
