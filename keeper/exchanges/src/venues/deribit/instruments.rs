//! Well-known perpetuals. Sizes of inverse ones are US dollars, of linear ones base units.

use crate::model::{ContractKind, Decimal, Instrument, Instruments, SizeUnit, Venue};

/// Name, base, quote, tick, smallest size. As published by `public/get_instruments`.
const KNOWN: [(&str, &str, &str, &str, &str); 6] = [
    ("BTC-PERPETUAL", "BTC", "USD", "0.5", "10"),
    ("ETH-PERPETUAL", "ETH", "USD", "0.05", "1"),
    ("BTC_USDC-PERPETUAL", "BTC", "USDC", "1", "0.0001"),
    ("ETH_USDC-PERPETUAL", "ETH", "USDC", "0.05", "0.001"),
    ("SOL_USDC-PERPETUAL", "SOL", "USDC", "0.01", "0.1"),
    ("XRP_USDC-PERPETUAL", "XRP", "USDC", "0.0001", "1"),
];

/// Makes an instrument settled in its base asset: a size is an amount of the quote.
pub(super) fn inverse(mut instrument: Instrument) -> Instrument {
    instrument.kind = ContractKind::Inverse;
    instrument.size_unit = SizeUnit::Quote;
    instrument.settle = instrument.base.clone();
    instrument
}

/// Contract sizes of well-known instruments.
pub(super) fn known() -> Instruments {
    let decimal = |text: &str| text.parse::<Decimal>().unwrap_or(Decimal::ZERO);
    Instruments::new(
        Venue::Deribit,
        KNOWN.into_iter().map(|(name, base, quote, tick, lot)| {
            let mut instrument = Instrument::linear(name, base, quote, decimal(tick), decimal(lot));
            instrument.maximum_leverage = Some(Decimal::from(50));
            if quote == "USD" {
                inverse(instrument)
            } else {
                instrument
            }
        }),
    )
}

/// Refuses what is neither a perpetual nor a dated future: options end with their way (`-C`, `-P`), spot has no dash,
/// combinations have more than one.
pub(super) fn is_future(name: &str) -> bool {
    let Some((_, term)) = name.split_once('-') else {
        return false;
    };
    term == "PERPETUAL" || is_date(term)
}

/// `27MAY22`, `1JAN27`.
fn is_date(term: &str) -> bool {
    let digits = term.bytes().take_while(u8::is_ascii_digit).count();
    let (day, rest) = term.split_at(digits);
    (1..=2).contains(&day.len())
        && rest.len() == 5
        && rest.bytes().take(3).all(|byte| byte.is_ascii_uppercase())
        && rest.bytes().skip(3).all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn futures_are_told_from_everything_else() {
        for name in ["BTC-PERPETUAL", "BTC_USDC-PERPETUAL", "BTC-27MAY22", "ETH-1JAN27"] {
            assert!(is_future(name), "{name}");
        }
        for name in [
            "BTC_USDT",
            "BTC-24JUN22-52000-P",
            "BTC-FS-27MAY22_PERP",
            "",
            "BTC-",
            "BTC-é7MAY22",
        ] {
            assert!(!is_future(name), "{name}");
        }
    }

    #[test]
    fn an_inverse_size_is_dollars() {
        let instruments = known();
        let perpetual = instruments.get("BTC-PERPETUAL").unwrap();
        assert_eq!(perpetual.settle, "BTC");
        assert_eq!(
            perpetual.to_base("100".parse().unwrap(), "50000".parse().ok()),
            "0.002".parse().ok()
        );
    }
}
