//! The venue's codes.

use crate::error::{Refusal, VenueError};
use crate::model::Venue;

/// What a code means. One that is not listed was still an answer of the exchange: nothing was done.
pub(super) fn refusal(code: i64) -> Refusal {
    match code {
        // Too many requests; the session may be closed with it.
        10028 => Refusal::RateLimited,
        // Busy: too many at once, retry, settlement at 08:00 UTC, queue full, no stops left, unavailable for now.
        10040 | 10041 | 10047 | 10066 | 13028 => Refusal::Busy,
        11051 => Refusal::Maintenance,
        // Internal error and time-out: it may have been done.
        11094 | 13888 => Refusal::Unknown,
        // Key, secret, scope, account.
        9999 | 10000 | 11042 | 12003 | 12005 | 13000..=13004 | 13006 | 13007 | 13009 | 13012 | 13021 => {
            Refusal::Authentication
        }
        // Not there, closed, filled, no longer open, somebody else's.
        10004 | 10010 | 10029 | 11008 | 11044 => Refusal::NotFound,
        _ => Refusal::Rejected,
    }
}

/// A refusal in the venue's words.
pub(super) fn refused(code: i64, message: &str) -> VenueError {
    VenueError::new(Venue::Deribit, refusal(code), code.to_string(), message)
}

/// What an HTTP status without a readable answer means. `read`: the operation changes nothing.
pub(super) fn http(status: u16, read: bool) -> Refusal {
    match status {
        429 => Refusal::RateLimited,
        401 | 403 => Refusal::Authentication,
        400..=499 => Refusal::Rejected,
        _ if read => Refusal::Busy,
        _ => Refusal::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_the_caller_can_do() {
        for (codes, expected) in [
            (&[10028][..], Refusal::RateLimited),
            (&[10040, 10041, 10047, 10066, 13028], Refusal::Busy),
            (&[11051], Refusal::Maintenance),
            (&[11094, 13888], Refusal::Unknown),
            (&[10000, 13004, 13009, 13021], Refusal::Authentication),
            (&[10004, 10010, 11008, 11044], Refusal::NotFound),
            (
                &[10002, 10005, 10007, 10009, 10021, 10043, 11029, 11054, -32602],
                Refusal::Rejected,
            ),
        ] {
            for code in codes {
                assert_eq!(refusal(*code), expected, "{code}");
            }
        }
        assert_eq!(http(504, false), Refusal::Unknown);
    }
}
