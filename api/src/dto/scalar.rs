//! Scalars with their unit in the type and in the schema.

use std::borrow::Cow;
use std::fmt;

use lockstep_contracts::units;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// A decimal string of a named unit.
macro_rules! decimal_scalar {
    ($(#[doc = $doc:literal])+ $name:ident($inner:ty), unit: $unit:literal, decimals: $decimals:literal, example: $example:literal) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some(concat!($($doc),+).trim()))
                    .pattern(Some(concat!("^-?\\d+\\.\\d{", $decimals, "}$")))
                    .examples([json!($example)])
                    .extensions(Some(
                        ExtensionsBuilder::new().add("x-unit", $unit).add("x-decimals", $decimals).build(),
                    ))
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

decimal_scalar!(
    /// An amount of USDC as a decimal string, 6 decimals.
    Usdc(units::Usdc),
    unit: "USDC",
    decimals: 6,
    example: "1000.000000"
);
decimal_scalar!(
    /// A position or order size in base units of its market as a decimal string, 18 decimals. Positive is long.
    BaseSize(units::Size),
    unit: "base",
    decimals: 18,
    example: "-0.250000000000000000"
);
decimal_scalar!(
    /// A price in USDC per base unit as a decimal string, 18 decimals.
    Price(units::Wad),
    unit: "USDC/base",
    decimals: 18,
    example: "2514.310000000000000000"
);
decimal_scalar!(
    /// A leverage, position notional ÷ equity, as a decimal string, 18 decimals. Positive is long.
    Leverage(units::Wad),
    unit: "x",
    decimals: 18,
    example: "1.500000000000000000"
);
decimal_scalar!(
    /// The time-weighted value of one unit of a strategy, net of flows, as a decimal string, 18 decimals. Starts at 1.
    NavIndex(units::Wad),
    unit: "index",
    decimals: 18,
    example: "1.072345678901234567"
);

decimal_scalar!(
    /// Basis points as a decimal string, 18 decimals: 100 is 1 %.
    Bps(units::Wad),
    unit: "bps",
    decimals: 18,
    example: "3.410000000000000000"
);

/// A string scalar that is only described, by pattern.
macro_rules! text_scalar {
    ($(#[doc = $doc:literal])+ $name:ident($inner:ty), pattern: $pattern:literal, example: $example:literal) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some(concat!($($doc),+).trim()))
                    .pattern(Some($pattern))
                    .examples([json!($example)])
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

text_scalar!(
    /// An account or contract, 20 bytes in hexadecimal with the EIP-55 checksum.
    Address(alloy::primitives::Address),
    pattern: "^0x[0-9a-fA-F]{40}$",
    example: "0x000000000022D473030F116dDEE9F6B43aC78BA3"
);
text_scalar!(
    /// A hash, 32 bytes in hexadecimal.
    Hash(alloy::primitives::B256),
    pattern: "^0x[0-9a-f]{64}$",
    example: "0x9d2f1c4f6d1d0d9e2b7a6f3a8f0f1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b"
);
text_scalar!(
    /// A whole number that may be larger than a JavaScript number holds, as a decimal string.
    Integer(String),
    pattern: "^\\d+$",
    example: "42"
);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        alloy::primitives::B256::deserialize(deserializer).map(Self)
    }
}

impl From<u64> for Integer {
    fn from(value: u64) -> Self {
        Self(value.to_string())
    }
}

impl From<alloy::primitives::U256> for Integer {
    fn from(value: alloy::primitives::U256) -> Self {
        Self(value.to_string())
    }
}

/// RFC 3339, always UTC, always three decimals: texts sort as the times do.
const RFC3339_MILLIS: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A moment: RFC 3339, UTC, milliseconds. Kept as unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 9999-12-31T23:59:59.999Z: the last moment the format can write.
    const MAX_MILLIS: i64 = 253_402_300_799_999;

    /// From unix milliseconds; what the format cannot write becomes the nearest moment it can.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, Self::MAX_MILLIS))
    }

    /// From unix milliseconds as the contracts count them.
    #[must_use]
    pub fn from_unsigned_millis(millis: u64) -> Self {
        Self::from_millis(i64::try_from(millis).unwrap_or(Self::MAX_MILLIS))
    }

    /// From unix seconds as blocks count them.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Self {
        Self::from_unsigned_millis(seconds.saturating_mul(1_000))
    }

    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let nanos = OffsetDateTime::now_utc().unix_timestamp_nanos();
        Self::from_millis(i64::try_from(nanos / 1_000_000).unwrap_or(0))
    }

    /// Unix milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .map_err(|_| fmt::Error)?;
        f.write_str(&moment.format(RFC3339_MILLIS).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A moment: RFC 3339, always UTC, always milliseconds."))
            .pattern(Some("^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$"))
            .examples([json!("2026-01-31T12:00:00.000Z")])
            .into()
    }
}

impl ToSchema for Timestamp {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Timestamp")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_strings_with_all_their_decimals() {
        assert_eq!(
            serde_json::to_value(Usdc(units::Usdc(1_500_000))).unwrap(),
            json!("1.500000")
        );
        assert_eq!(
            serde_json::to_value(Price(units::Wad(-1))).unwrap(),
            json!("-0.000000000000000001")
        );
    }

    #[test]
    fn times_are_utc_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Timestamp::from_seconds(1_769_860_800).to_string(),
            "2026-01-31T12:00:00.000Z"
        );
        assert_eq!(
            Timestamp::from_unsigned_millis(u64::MAX).to_string(),
            "9999-12-31T23:59:59.999Z"
        );
    }

    #[test]
    fn schemas_name_their_unit() {
        let schema = serde_json::to_value(Usdc::schema()).unwrap();
        assert_eq!(schema["x-unit"], "USDC");
        assert_eq!(schema["x-decimals"], 6);
        assert_eq!(schema["type"], "string");
    }
}
