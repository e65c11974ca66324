//! JSON into types, without allocating: serde_json keeps a list of open brackets on the heap whenever it passes over
//! something nested, which every frame of a venue has. Here they are bits of one number.
//!
//! What this reader refuses is read again by serde_json, which then tells the error: it is the only judge of what is
//! malformed. What this reader accepts serde_json accepts too.

use serde::de::value::{BorrowedStrDeserializer, StringDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Error;

type Result<T> = std::result::Result<T, Error>;

/// By this name `serde_json::value::RawValue` asks for the text of a value as it stands.
const RAW: &str = "$serde_json::private::RawValue";
/// Most open brackets: those of serde_json.
const DEPTH: u32 = 127;

/// Reads one text.
pub(crate) struct Reader<'de> {
    text: &'de str,
    at: usize,
    depth: u32,
}

/// The lowest byte of which the highest bit is set stands where the first of eight characters is a quote, a backslash or a
/// control character; 0 when none is. (Mycroft's test for a zero byte, three times; beyond the first it may err.)
const fn special(eight: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = 0x8080_8080_8080_8080;
    let quote = eight ^ ONES.wrapping_mul(b'"' as u64);
    let backslash = eight ^ ONES.wrapping_mul(b'\\' as u64);
    (quote.wrapping_sub(ONES) & !quote
        | backslash.wrapping_sub(ONES) & !backslash
        | eight.wrapping_sub(ONES.wrapping_mul(0x20)) & !eight)
        & HIGHEST
}

/// Never told: serde_json finds its own words.
fn refused() -> Error {
    de::Error::custom("not JSON of this shape")
}

impl<'de> Reader<'de> {
    /// From its beginning.
    pub(crate) const fn new(text: &'de str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
        }
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.peek().map_or(Ok(()), |_| Err(refused()))
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    fn eat(&mut self, byte: u8) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(refused());
        }
        self.at += 1;
        Ok(())
    }

    fn since(&self, start: usize) -> Result<&'de str> {
        self.text.get(start..self.at).ok_or_else(refused)
    }

    fn word(&mut self, word: &str) -> Result<()> {
        let stands = self
            .text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word));
        if !stands {
            return Err(refused());
        }
        self.at += word.len();
        Ok(())
    }

    /// Passes over the characters that mean nothing but themselves in a text, eight at a time as long as there are as many.
    fn plain(&mut self) {
        while let Some(eight) = self
            .text
            .as_bytes()
            .get(self.at..)
            .and_then(<[u8]>::first_chunk::<8>)
        {
            let found = special(u64::from_le_bytes(*eight));
            if found != 0 {
                self.at += found.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
    }

    /// A text, from its opening quote: what stands between the quotes, and whether characters are escaped in it.
    fn string(&mut self) -> Result<(&'de str, bool)> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.plain();
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                Some(..0x20) | None => return Err(refused()),
            }
        }
        let inner = self.since(start)?;
        self.at += 1;
        Ok((inner, escaped))
    }

    fn escape(&mut self) -> Result<()> {
        self.at += 1;
        let hexadecimal = match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return Err(refused()),
        };
        self.at += 1;
        for _ in 0..hexadecimal {
            if !self.byte().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                return Err(refused());
            }
            self.at += 1;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            return Err(refused());
        }
        Ok(())
    }

    /// A number, and whether it is whole.
    fn number(&mut self) -> Result<(&'de str, bool)> {
        let start = self.at;
        let mut whole = true;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        if self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            // Behind a leading zero.
            return Err(refused());
        }
        Ok((self.since(start)?, whole))
    }

    /// A member's name and the colon behind it.
    fn name(&mut self) -> Result<()> {
        if self.peek() != Some(b'"') {
            return Err(refused());
        }
        self.string()?;
        self.eat(b':')
    }

    /// Passes over a value of any shape.
    fn skip(&mut self) -> Result<()> {
        // One bit per open bracket, the innermost last: 1 is an object.
        let (mut depth, mut objects) = (0_u32, 0_u128);
        loop {
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    self.at += 1;
                    let is_object = open == b'{';
                    let close = if is_object { b'}' } else { b']' };
                    if self.peek() == Some(close) {
                        self.at += 1;
                    } else {
                        depth += 1;
                        if depth > DEPTH {
                            return Err(refused());
                        }
                        objects = objects << 1 | u128::from(is_object);
                        if is_object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'-' | b'0'..=b'9') => {
                    self.number()?;
                }
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                Some(b'n') => self.word("null")?,
                _ => return Err(refused()),
            }
            // Behind a value: what is open ends or goes on.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let is_object = objects & 1 == 1;
                match (self.peek(), is_object) {
                    (Some(b','), _) => {
                        self.at += 1;
                        if is_object {
                            self.name()?;
                        }
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        depth -= 1;
                        objects >>= 1;
                    }
                    _ => return Err(refused()),
                }
            }
        }
    }

    /// Goes into a list or an object and comes out behind it.
    fn inside<T>(&mut self, close: u8, read: impl FnOnce(Inside<'_, 'de>) -> Result<T>) -> Result<T> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(refused());
        }
        let value = read(Inside {
            reader: self,
            close,
            first: true,
        })?;
        self.depth -= 1;
        self.eat(close)?;
        Ok(value)
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'"') => {
                let start = self.at;
                match self.string()? {
                    (text, false) => visitor.visit_borrowed_str(text),
                    (_, true) => visitor.visit_string(serde_json::from_str(self.since(start)?)?),
                }
            }
            Some(b'{') => self.inside(b'}', |members| visitor.visit_map(members)),
            Some(b'[') => self.inside(b']', |elements| visitor.visit_seq(elements)),
            Some(b'-' | b'0'..=b'9') => {
                let (number, whole) = self.number()?;
                if whole {
                    if let Ok(number) = number.parse() {
                        return visitor.visit_u64(number);
                    }
                    if let Ok(number) = number.parse() {
                        return visitor.visit_i64(number);
                    }
                }
                visitor.visit_f64(number.parse().map_err(|_| refused())?)
            }
            Some(b't') => {
                self.word("true")?;
                visitor.visit_bool(true)
            }
            Some(b'f') => {
                self.word("false")?;
                visitor.visit_bool(false)
            }
            Some(b'n') => {
                self.word("null")?;
                visitor.visit_unit()
            }
            _ => Err(refused()),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.peek() == Some(b'n') {
            self.word("null")?;
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        if name != RAW {
            return visitor.visit_newtype_struct(self);
        }
        self.peek();
        let start = self.at;
        self.skip()?;
        visitor.visit_map(Raw(self.since(start)?))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.skip()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier
    }
}

/// Between the brackets of a list or an object.
struct Inside<'a, 'de> {
    reader: &'a mut Reader<'de>,
    close: u8,
    first: bool,
}

impl Inside<'_, '_> {
    /// Whether there is one more; the comma before it is passed.
    fn more(&mut self) -> Result<bool> {
        if self.reader.peek() == Some(self.close) {
            return Ok(false);
        }
        if !std::mem::take(&mut self.first) {
            self.reader.eat(b',')?;
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Inside<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if !self.more()? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> MapAccess<'de> for Inside<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !self.more()? {
            return Ok(None);
        }
        if self.reader.peek() != Some(b'"') {
            return Err(refused());
        }
        let start = self.reader.at;
        match self.reader.string()? {
            (name, false) => seed.deserialize(BorrowedStrDeserializer::new(name)),
            (_, true) => {
                let name: String = serde_json::from_str(self.reader.since(start)?)?;
                seed.deserialize(StringDeserializer::new(name))
            }
        }
        .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        self.reader.eat(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

/// The text of a value, handed over in the way `RawValue` wants it.
struct Raw<'de>(&'de str);

impl<'de> MapAccess<'de> for Raw<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        seed.deserialize(BorrowedStrDeserializer::new(RAW)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(BorrowedStrDeserializer::new(self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde::de::IgnoredAny;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    fn own<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T> {
        let mut reader = Reader::new(text);
        let value = T::deserialize(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    /// JSON and what is nearly JSON.
    fn text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("{"),
            Just("}"),
            Just("["),
            Just("]"),
            Just(","),
            Just(":"),
            Just("\"a\":"),
            Just("\"b\""),
            Just("\"\\u00e9\\n\""),
            Just("\"\\x\""),
            Just("\"\\ud800\""),
            Just("\"\t\""),
            Just("\""),
            Just("0"),
            Just("-1"),
            Just("01"),
            Just("1.50"),
            Just("1."),
            Just("2e-7"),
            Just("-"),
            Just("18446744073709551616"),
            Just("true"),
            Just("null"),
            Just("nul"),
            Just(" "),
            Just("\n"),
            Just("é"),
        ];
        proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(".{0,4}", inner, 0..5)
                    .prop_map(|members: BTreeMap<String, Value>| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_passes_over_what_serde_json_passes_over_and_nothing_else(text in text()) {
            let theirs = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            prop_assert_eq!(own::<IgnoredAny>(&text).is_ok(), theirs, "{}", text);
            prop_assert_eq!(own::<&RawValue>(&text).is_ok(), theirs, "{}", text);
        }

        #[test]
        fn it_reads_what_serde_json_reads(value in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(&own::<Value>(&text).unwrap(), &value);
            prop_assert_eq!(own::<&RawValue>(&text).unwrap().get(), &text);
        }

        #[test]
        fn what_it_reads_of_anything_serde_json_reads_the_same(text in text()) {
            if let Ok(value) = own::<Value>(&text) {
                prop_assert_eq!(value, serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }

    #[test]
    fn a_list_of_another_length_is_no_pair() {
        assert_eq!(own::<(u8, &str)>(r#"[1, "a"]"#).unwrap(), (1, "a"));
        assert!(own::<(u8, &str)>(r#"[1]"#).is_err());
        assert!(own::<(u8, &str)>(r#"[1, "a", 2]"#).is_err());
    }

    #[test]
    fn no_depth_overflows_the_stack() {
        let deep = "[".repeat(100_000);
        assert!(own::<Value>(&deep).is_err());
        assert!(own::<IgnoredAny>(&deep).is_err());
    }
}
