//! Reading lists without collecting them first, for the modules of the venues.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::DecodeError;
use crate::json::{Number, Reader, read_text};

/// Calls `row` for every element of a JSON list, in order, as it is read: no list is built. Stops at the first error.
pub(crate) fn each<'a, T, F>(list: &'a RawValue, row: F) -> Result<(), DecodeError>
where
    T: Deserialize<'a>,
    F: FnMut(T) -> Result<(), DecodeError>,
{
    let mut each = Each {
        row,
        failed: None,
        marker: PhantomData::<T>,
    };
    let mut reader = Reader::new(list.get());
    let read = (&mut reader)
        .deserialize_seq(&mut each)
        .and_then(|()| reader.end());
    match (each.failed, read) {
        (Some(refused), _) => Err(refused),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(malformed::<T>(list.get(), &error)),
    }
}

/// What serde_json says of a list that cannot be read.
fn malformed<'a, T: Deserialize<'a>>(list: &'a str, otherwise: &serde_json::Error) -> DecodeError {
    let mut looked_at = Each {
        row: |_| Ok(()),
        failed: None,
        marker: PhantomData::<T>,
    };
    let error = serde_json::Deserializer::from_str(list)
        .deserialize_seq(&mut looked_at)
        .err();
    DecodeError::malformed(error.as_ref().unwrap_or(otherwise))
}

/// The same of a list, or of a single element where the venue sends that without a list.
pub(crate) fn each_or_one<'a, T, F>(data: &'a RawValue, mut row: F) -> Result<(), DecodeError>
where
    T: Deserialize<'a>,
    F: FnMut(T) -> Result<(), DecodeError>,
{
    if data.get().starts_with('[') {
        each(data, row)
    } else {
        row(read_text(data.get())?)
    }
}

struct Each<T, F> {
    row: F,
    failed: Option<DecodeError>,
    marker: PhantomData<T>,
}

impl<'de, T, F> Visitor<'de> for &mut Each<T, F>
where
    T: Deserialize<'de>,
    F: FnMut(T) -> Result<(), DecodeError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element::<T>()? {
            if let Err(error) = (self.row)(element) {
                self.failed = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// One price of a book as venues send it: a list of price, size, and whatever follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PriceAndSize<'a> {
    /// Price.
    pub price: Number<'a>,
    /// Size in the venue's unit.
    pub size: Number<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for PriceAndSize<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = PriceAndSize<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of price and size")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let missing = || A::Error::custom("a price and a size");
                let price = list.next_element()?.ok_or_else(missing)?;
                let size = list.next_element()?.ok_or_else(missing)?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(PriceAndSize { price, size })
            }
        }
        deserializer.deserialize_seq(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_up_to_the_first_refused_element() {
        let list: &RawValue = serde_json::from_str("[1, 2, 3]").unwrap();
        let mut seen = Vec::new();
        let result = each(list, |number: u8| {
            seen.push(number);
            if number == 2 {
                return Err(DecodeError::unsupported("two"));
            }
            Ok(())
        });
        assert_eq!(result, Err(DecodeError::unsupported("two")));
        assert_eq!(seen, [1, 2]);
        let object: &RawValue = serde_json::from_str("{}").unwrap();
        assert_eq!(each(object, |_: u8| Ok(())).unwrap_err().code(), "malformed");
    }

    #[test]
    fn a_price_needs_a_size() {
        let level: PriceAndSize<'_> = serde_json::from_str(r#"["1.5","2","0","3"]"#).unwrap();
        assert_eq!((level.price.text(), level.size.text()), ("1.5", "2"));
        assert!(serde_json::from_str::<PriceAndSize<'_>>(r#"["1.5"]"#).is_err());
        assert!(serde_json::from_str::<PriceAndSize<'_>>("null").is_err());
    }
}
