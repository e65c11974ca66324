//! Reading venues' JSON exactly: a number is kept as the text it was sent as and becomes a decimal, never a float.

mod reader;

use std::fmt;

use compact_str::ToCompactString as _;
use rust_decimal::Decimal;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

use crate::error::DecodeError;
use crate::model::Text;

pub(crate) use reader::Reader;

/// Longest frame that is read, in bytes: a full book of the deepest stream has about a tenth of it.
pub const MAXIMUM_FRAME: usize = 8 * 1024 * 1024;

/// A number or a text that may stand for one: `1.50`, `"1.50"`, `1e-7`, `""`, `null`. Borrows from the message.
#[derive(Debug, Clone, Copy)]
pub struct Number<'a>(&'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Number<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        match raw.as_bytes().first() {
            Some(b'"' | b'-' | b'0'..=b'9' | b'n') => Ok(Self(raw.trim_matches('"'))),
            _ => Err(de::Error::custom("neither a number nor a text")),
        }
    }
}

impl<'a> Number<'a> {
    /// What stands there.
    #[must_use]
    pub const fn text(self) -> &'a str {
        self.0
    }

    /// Nothing stands there: `null` or an empty text.
    #[must_use]
    pub fn is_absent(self) -> bool {
        self.0.is_empty() || self.0 == "null"
    }

    /// As a decimal, exactly.
    ///
    /// # Errors
    /// When it is no number or has more digits than a decimal holds.
    pub fn decimal(self, field: &'static str) -> Result<Decimal, DecodeError> {
        decimal(self.0, field)
    }

    /// As a decimal, or none where nothing stands.
    ///
    /// # Errors
    /// When it is no number or has more digits than a decimal holds.
    pub fn optional(self, field: &'static str) -> Result<Option<Decimal>, DecodeError> {
        if self.is_absent() {
            Ok(None)
        } else {
            self.decimal(field).map(Some)
        }
    }

    /// As a whole number of at most 64 bits.
    ///
    /// # Errors
    /// When it is none.
    pub fn integer(self, field: &'static str) -> Result<i64, DecodeError> {
        self.0.parse().map_err(|_| DecodeError::bad_number(field, self.0))
    }

    /// As milliseconds.
    ///
    /// # Errors
    /// When it is no whole positive number.
    pub fn milliseconds(self, field: &'static str) -> Result<u64, DecodeError> {
        self.0.parse().map_err(|_| DecodeError::bad_number(field, self.0))
    }
}

/// A decimal from its text, exactly. Also in scientific notation, as some venues print small numbers.
///
/// # Errors
/// When it is no number or has more digits than a decimal holds.
pub fn decimal(text: &str, field: &'static str) -> Result<Decimal, DecodeError> {
    let parsed = if text.bytes().any(|byte| matches!(byte, b'e' | b'E')) {
        Decimal::from_scientific(text)
    } else {
        // Venues pad with zeros beyond what a decimal holds: those are no digits.
        Decimal::from_str_exact(text).or_else(|error| {
            let padded = text.contains('.') && text.len() > 28;
            if padded {
                Decimal::from_str_exact(text.trim_end_matches('0').trim_end_matches('.'))
            } else {
                Err(error)
            }
        })
    };
    parsed.map_err(|_| DecodeError::bad_number(field, text))
}

/// Reads a message of a known shape.
///
/// # Errors
/// When it is another.
pub fn read<'a, T: Deserialize<'a>>(frame: &'a [u8]) -> Result<T, DecodeError> {
    if frame.len() > MAXIMUM_FRAME {
        return Err(DecodeError::TooLarge {
            bytes: frame.len(),
            limit: MAXIMUM_FRAME,
        });
    }
    // Checked once for the whole frame, so that no part of it is checked again each time it is read.
    let text = std::str::from_utf8(frame).map_err(|error| DecodeError::Malformed {
        detail: error.to_string(),
    })?;
    read_text(text)
}

/// Reads a part of a message, or one that is known to be text.
///
/// # Errors
/// When it is of another shape.
pub fn read_text<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, DecodeError> {
    let mut reader = Reader::new(text);
    match T::deserialize(&mut reader).and_then(|value| reader.end().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(_) => serde_json::from_str(text).map_err(|error| DecodeError::malformed(&error)),
    }
}

/// A text or a whole number as text: ids that a venue sends now as one, now as the other. Borrows from the message where
/// it is a plain text there; a number is kept in place.
#[derive(Debug, Clone)]
pub struct Id<'a>(Held<'a>);

#[derive(Debug, Clone)]
enum Held<'a> {
    Borrowed(&'a str),
    Kept(Text),
}

impl Id<'_> {
    /// What stands there.
    #[must_use]
    pub fn text(&self) -> &str {
        match &self.0 {
            Held::Borrowed(text) => text,
            Held::Kept(text) => text,
        }
    }

    /// Nothing stands there: `null` or an empty text.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.text().is_empty()
    }

    /// As the model keeps it.
    #[must_use]
    pub fn owned(&self) -> Text {
        Text::new(self.text())
    }

    /// As the model keeps it, or none where nothing stands.
    #[must_use]
    pub fn optional(&self) -> Option<Text> {
        (!self.is_absent()).then(|| self.owned())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Held<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a whole number")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Held::Borrowed(text))
            }
            // Characters are escaped in it, so that it does not stand in the message as it is.
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Held::Kept(Text::new(text)))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Held::Kept(number.to_compact_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Held::Kept(number.to_compact_string()))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Held::Borrowed(""))
            }
            fn visit_none<E>(self) -> Result<Self::Value, E> {
                Ok(Held::Borrowed(""))
            }
        }
        deserializer.deserialize_any(Read).map(Id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Two<'a> {
        #[serde(borrow)]
        a: Number<'a>,
        #[serde(borrow)]
        b: Number<'a>,
    }

    #[test]
    fn numbers_are_read_as_written_whatever_they_are_sent_as() {
        let two: Two<'_> = read(br#"{"a":0.1,"b":"0.30"}"#).unwrap();
        assert_eq!(two.a.decimal("a").unwrap().to_string(), "0.1");
        assert_eq!(two.b.decimal("b").unwrap().to_string(), "0.30");
        let two: Two<'_> = read(br#"{"a":1e-7,"b":null}"#).unwrap();
        assert_eq!(two.a.decimal("a").unwrap().to_string(), "0.0000001");
        assert_eq!(two.b.optional("b").unwrap(), None);
        assert!(two.b.decimal("b").is_err());
    }

    #[test]
    fn zeros_beyond_the_digits_of_a_decimal_are_no_digits() {
        assert_eq!(
            decimal("1.50000000000000000000000000000000", "x").unwrap(),
            Decimal::new(15, 1)
        );
        assert!(decimal("1.50000000000000000000000000000001", "x").is_err());
        assert!(decimal("", "x").is_err());
        assert!(decimal("NaN", "x").is_err());
    }

    #[test]
    fn ids_may_be_numbers_beyond_what_a_float_holds() {
        let id: Id<'_> = serde_json::from_str("9223372036854775807").unwrap();
        assert_eq!(id.text(), "9223372036854775807");
        let id: Id<'_> = serde_json::from_str("null").unwrap();
        assert_eq!(id.optional(), None);
    }

    #[test]
    fn ids_are_texts_or_whole_numbers_and_nothing_else() {
        let id = |json: &'static str| serde_json::from_str::<Id<'_>>(json).map(|id| id.text().to_owned());
        assert_eq!(id("\"a-1\"").unwrap(), "a-1");
        assert_eq!(id("\"\"").unwrap(), "");
        assert_eq!(id("-7").unwrap(), "-7");
        assert_eq!(id(r#""a\"b\u00e9""#).unwrap(), "a\"bé");
        for refused in ["1.5", "1e3", "true", "[1]", "{}", r#""\ud800""#, "\""] {
            assert!(id(refused).is_err(), "{refused}");
        }
    }
}
