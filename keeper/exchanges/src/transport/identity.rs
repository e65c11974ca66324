//! Client order ids that follow from what caused the order: a restart that comes to the same decision makes the same id,
//! and the venue or the ledger sees that it was sent before.

use crate::crypto::sha256;
use crate::model::{Text, Venue};

/// Why an order is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OrderCause<'a> {
    /// Whose decision: the copier, the strategy.
    pub strategy: &'a str,
    /// The venue's word for the instrument.
    pub instrument: &'a str,
    /// Which decision of that strategy: must not repeat within the venue's memory of ids.
    pub sequence: u64,
    /// Which try at it: counted up only once the one before is known never to have arrived or to be at its end.
    pub attempt: u32,
}

/// The id of an order with this cause, in the venue's alphabet and length.
///
/// | venue | form |
/// | --- | --- |
/// | Binance, Bybit, Bitget, Deribit | `ls` and 30 hexadecimal digits (allowed: 36, 36, 50, 64 characters) |
/// | OKX | the same (32 letters and digits, nothing else) |
/// | HTX | a decimal number from 1 to 2⁶³ − 1 |
/// | Hyperliquid | `0x` and 32 hexadecimal digits |
#[must_use]
pub fn client_order_id(venue: Venue, cause: &OrderCause<'_>) -> Text {
    let mut bytes = Vec::with_capacity(64);
    // Each part with its length, so that no two causes run into the same bytes.
    for part in [venue.name(), cause.strategy, cause.instrument] {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes.extend_from_slice(&cause.sequence.to_be_bytes());
    bytes.extend_from_slice(&cause.attempt.to_be_bytes());
    let digest = sha256(&bytes);
    let hexadecimal = hex::encode(digest);
    let digits = |count: usize| hexadecimal.get(..count).unwrap_or_default();
    match venue {
        Venue::Binance | Venue::Bybit | Venue::Bitget | Venue::Deribit | Venue::Okx => {
            Text::from(format!("ls{}", digits(30)))
        }
        Venue::Htx => {
            let mut first = [0; 8];
            first.copy_from_slice(digest.get(..8).unwrap_or(&[0; 8]));
            Text::from(((u64::from_be_bytes(first) >> 1).max(1)).to_string())
        }
        Venue::Hyperliquid => Text::from(format!("0x{}", digits(32))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cause<'a>(strategy: &'a str, instrument: &'a str, sequence: u64, attempt: u32) -> OrderCause<'a> {
        OrderCause {
            strategy,
            instrument,
            sequence,
            attempt,
        }
    }

    #[test]
    fn an_id_does_not_change_from_one_release_to_the_next() {
        let ids =
            Venue::ALL.map(|venue| client_order_id(venue, &cause("copier", "BTCUSDT", 42, 0)).to_string());
        insta::assert_json_snapshot!(ids);
    }

    proptest! {
        #[test]
        fn each_venue_takes_the_id(strategy in ".{0,20}", instrument in "[A-Z-]{1,20}", sequence: u64, attempt: u32) {
            let cause = cause(&strategy, &instrument, sequence, attempt);
            for venue in Venue::ALL {
                let id = client_order_id(venue, &cause);
                prop_assert_eq!(&id, &client_order_id(venue, &cause));
                match venue {
                    Venue::Htx => prop_assert!(id.parse::<i64>().unwrap() > 0),
                    Venue::Hyperliquid => {
                        prop_assert!(id.len() == 34 && id.starts_with("0x"));
                        prop_assert!(id[2..].bytes().all(|byte| byte.is_ascii_hexdigit()));
                    }
                    _ => prop_assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())),
                }
            }
        }

        #[test]
        fn parts_do_not_run_into_each_other(left in "[ab]{0,4}", right in "[ab]{0,4}", cut in 0_usize..8) {
            let joined = format!("{left}{right}");
            let (other_left, other_right) = joined.split_at(cut.min(joined.len()));
            let one = client_order_id(Venue::Okx, &cause(&left, &right, 1, 0));
            let two = client_order_id(Venue::Okx, &cause(other_left, other_right, 1, 0));
            prop_assert_eq!(one == two, left == other_left);
            prop_assert_ne!(one, client_order_id(Venue::Okx, &cause(&left, &right, 1, 1)));
        }
    }
}
