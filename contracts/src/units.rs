//! Money and ratios as integers, with their unit in the type. Conversions between units live here and nowhere else.
//!
//! | type | unit |
//! | --- | --- |
//! | [`Usdc`] | 1e-6 USDC, signed |
//! | [`Size`] | 1e-18 base units, signed, positive = long |
//! | [`Wad`] | 1e-18 of a price (USDC per base unit), a leverage or an index, signed |

use std::fmt;
use std::str::FromStr;

use alloy::primitives::{I256, U256};

/// Why a text or a number is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text is not a plain decimal number.
    #[error("{text:?} is not a decimal number")]
    NotDecimal {
        /// What was given.
        text: String,
    },
    /// More decimals than the unit holds; rounding someone's money silently is not ours to do.
    #[error("{text:?} has more than {decimals} decimals")]
    TooPrecise {
        /// What was given.
        text: String,
        /// Decimals the unit holds.
        decimals: u8,
    },
    /// The number does not fit.
    #[error("{text} is out of range")]
    OutOfRange {
        /// What was given.
        text: String,
    },
}

/// Prints `value` × 10^-`decimals` as a plain decimal with all its decimals.
fn format_scaled(value: i128, decimals: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let scale = 10u128.pow(u32::from(decimals));
    let magnitude = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    write!(
        f,
        "{sign}{}.{:0width$}",
        magnitude / scale,
        magnitude % scale,
        width = usize::from(decimals)
    )
}

fn parse_scaled(text: &str, decimals: u8) -> Result<i128, UnitError> {
    let not_decimal = || UnitError::NotDecimal {
        text: text.to_owned(),
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty()
        || digits.ends_with('.')
        || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
    {
        return Err(not_decimal());
    }
    if fraction.len() > usize::from(decimals) {
        return Err(UnitError::TooPrecise {
            text: text.to_owned(),
            decimals,
        });
    }
    let out_of_range = || UnitError::OutOfRange {
        text: text.to_owned(),
    };
    let padded = format!("{whole}{fraction:0<width$}", width = usize::from(decimals));
    let magnitude: i128 = padded.parse().map_err(|_| out_of_range())?;
    Ok(if negative { -magnitude } else { magnitude })
}

macro_rules! scaled_integer {
    ($(#[$doc:meta])* $name:ident, $decimals:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub i128);

        impl $name {
            /// Decimals of the unit.
            pub const DECIMALS: u8 = $decimals;
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// From a chain word; `OutOfRange` beyond 128 bits.
            pub fn try_from_u256(value: U256) -> Result<Self, UnitError> {
                i128::try_from(value).map(Self).map_err(|_| UnitError::OutOfRange { text: value.to_string() })
            }

            /// From a signed chain word; `OutOfRange` beyond 128 bits.
            pub fn try_from_i256(value: I256) -> Result<Self, UnitError> {
                i128::try_from(value).map(Self).map_err(|_| UnitError::OutOfRange { text: value.to_string() })
            }

            /// Sum, or `None` on overflow.
            #[must_use]
            pub fn checked_add(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map(Self)
            }

            /// Difference, or `None` on overflow.
            #[must_use]
            pub fn checked_sub(self, other: Self) -> Option<Self> {
                self.0.checked_sub(other.0).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                format_scaled(self.0, Self::DECIMALS, f)
            }
        }

        impl FromStr for $name {
            type Err = UnitError;
            fn from_str(text: &str) -> Result<Self, UnitError> {
                parse_scaled(text, Self::DECIMALS).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

scaled_integer!(
    /// An amount of USDC in 1e-6. Printed and parsed as decimal USDC: `Usdc(1_500_000)` is `1.500000`.
    Usdc,
    6
);
scaled_integer!(
    /// A position or order size in 1e-18 base units, positive = long.
    Size,
    18
);
scaled_integer!(
    /// A price, leverage or index in 1e-18.
    Wad,
    18
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prints_all_decimals_and_the_sign_of_values_below_one() {
        assert_eq!(Usdc(-1).to_string(), "-0.000001");
        assert_eq!(Usdc(1_500_000).to_string(), "1.500000");
        assert_eq!(Wad(1_000_000_000_000_000_000).to_string(), "1.000000000000000000");
    }

    #[test]
    fn refuses_what_it_would_have_to_round_or_guess() {
        assert!(matches!(
            "1.0000001".parse::<Usdc>(),
            Err(UnitError::TooPrecise { .. })
        ));
        for text in ["", ".", "1.", ".5", "-", "1e3", "0x1", "+1", " 1", "1_0"] {
            assert!(
                matches!(text.parse::<Usdc>(), Err(UnitError::NotDecimal { .. })),
                "{text:?}"
            );
        }
        assert!(matches!(
            "9".repeat(60).parse::<Usdc>(),
            Err(UnitError::OutOfRange { .. })
        ));
    }

    proptest! {
        #[test]
        fn text_round_trips(value in any::<i64>()) {
            let amount = Usdc(i128::from(value));
            prop_assert_eq!(amount.to_string().parse::<Usdc>(), Ok(amount));
        }
    }
}
