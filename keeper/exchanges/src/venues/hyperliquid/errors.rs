//! The venue has no codes: its words are matched, each by the part that does not change.

use crate::error::{Refusal, VenueError};
use crate::model::Venue;

/// What stands in a refusal, and what it means. The first that fits counts.
const TABLE: &[(&str, Refusal)] = &[
    (
        "Order was never placed, already canceled, or filled",
        Refusal::NotFound,
    ),
    ("Cannot modify canceled or filled order", Refusal::NotFound),
    ("unknownOid", Refusal::NotFound),
    // The address of a signature made over other bytes is a random one: a wrong key and a wrong encoding look alike.
    ("User or API Wallet", Refusal::Authentication),
    ("Must deposit before performing actions", Refusal::Authentication),
    ("Too many cumulative requests sent", Refusal::RateLimited),
    ("Too many requests", Refusal::RateLimited),
    // A nonce outside the venue's window, or one used before: measure the clock and sign anew.
    ("Invalid nonce", Refusal::Clock),
    ("nonce", Refusal::Clock),
    ("Duplicate cloid", Refusal::Duplicate),
    ("cloid already", Refusal::Duplicate),
    ("Price must be divisible by tick size", Refusal::Rejected),
    ("Order must have minimum value", Refusal::Rejected),
    ("Insufficient margin", Refusal::Rejected),
    ("Reduce only order would increase position", Refusal::Rejected),
    (
        "Post only order would have immediately matched",
        Refusal::Rejected,
    ),
    ("Order could not immediately match", Refusal::Rejected),
    ("Invalid TP/SL price", Refusal::Rejected),
    ("No liquidity available for market order", Refusal::Rejected),
    ("Order has invalid size", Refusal::Rejected),
    ("Order has zero size", Refusal::Rejected),
    ("Order price cannot be more than", Refusal::Rejected),
    ("Cannot set scheduled cancel time", Refusal::Rejected),
];

/// The meaning of a refusal. One that is not listed was still a refusal: the venue answered, so nothing was done.
pub(super) fn refusal(message: &str) -> Refusal {
    TABLE
        .iter()
        .find(|(part, _)| message.contains(part))
        .map_or(Refusal::Rejected, |(_, refusal)| *refusal)
}

/// A refusal in the venue's words.
pub(super) fn refused(code: &str, message: &str) -> VenueError {
    VenueError::new(Venue::Hyperliquid, refusal(message), code, message)
}

/// What an HTTP status other than success means. `read`: the operation changes nothing.
pub(super) fn http(status: u16, read: bool) -> Refusal {
    match status {
        429 => Refusal::RateLimited,
        401 | 403 => Refusal::Authentication,
        400..=499 => Refusal::Rejected,
        _ if read => Refusal::Busy,
        // A gateway that gave up does not know what the exchange did.
        _ => Refusal::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_by_their_words() {
        for (message, expected) in [
            (
                "User or API Wallet 0xb8a6 does not exist.",
                Refusal::Authentication,
            ),
            ("Insufficient margin to place order. asset=4", Refusal::Rejected),
            (
                "Order was never placed, already canceled, or filled. asset=4",
                Refusal::NotFound,
            ),
            (
                "Too many cumulative requests sent (37986 > 10436) for cumulative volume traded $437.92.",
                Refusal::RateLimited,
            ),
            ("something new", Refusal::Rejected),
        ] {
            assert_eq!(refusal(message), expected, "{message}");
        }
        assert_eq!(http(502, false), Refusal::Unknown);
        assert_eq!(http(502, true), Refusal::Busy);
        assert_eq!(http(429, false), Refusal::RateLimited);
    }
}
