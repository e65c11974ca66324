//! OKX's codes and what they mean for the caller.

use crate::error::{Refusal, VenueError};
use crate::model::Venue;

/// Codes by what they mean. A code that is not here is a plain refusal. 50113 is an invalid signature; some clients take it
/// for a limit and send again for ever.
const TABLE: &[(Refusal, &[&str])] = &[
    (Refusal::Unknown, &["50004", "50026"]),
    (Refusal::Busy, &["50005", "50013", "51410"]),
    (Refusal::RateLimited, &["50011", "50061", "51113"]),
    (Refusal::Maintenance, &["50001", "64008"]),
    (Refusal::Clock, &["50102"]),
    (
        Refusal::Authentication,
        &[
            "50007", "50008", "50009", "50027", "50100", "50101", "50103", "50104", "50105", "50106",
            "50107", "50110", "50111", "50112", "50113", "50114", "60001", "60002", "60003", "60004",
            "60005", "60006", "60007", "60009", "60024", "60032",
        ],
    ),
    (Refusal::Duplicate, &["51016", "51065"]),
    // Nothing to close, nothing to reduce, cancelled or filled before the cancellation came.
    (Refusal::AlreadyDone, &["51023", "51169", "51401", "51402"]),
    (Refusal::NotFound, &["51400", "51503", "51603"]),
];

/// What a code means. `read`: it answered a request that changes nothing, so that nothing is unknown about it.
pub(super) fn refusal(code: &str, read: bool) -> Refusal {
    let meant = TABLE
        .iter()
        .find(|(_, codes)| codes.contains(&code))
        .map_or(Refusal::Rejected, |(refusal, _)| *refusal);
    if read && meant == Refusal::Unknown {
        Refusal::Busy
    } else {
        meant
    }
}

/// What an HTTP status means when the body is none of OKX's.
pub(super) fn refusal_of_status(status: u16, read: bool) -> Refusal {
    match status {
        401 | 403 => Refusal::Authentication,
        429 => Refusal::RateLimited,
        408 | 500..=599 if read => Refusal::Busy,
        408 | 500..=599 => Refusal::Unknown,
        _ => Refusal::Rejected,
    }
}

/// A refusal in OKX's words.
pub(super) fn refused(code: &str, message: &str, read: bool) -> VenueError {
    VenueError::new(Venue::Okx, refusal(code, read), code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_stands_for_two_things() {
        let mut codes: Vec<_> = TABLE.iter().flat_map(|(_, codes)| codes.iter()).collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }

    #[test]
    fn codes_mean_what_the_fact_sheet_says() {
        for (code, meant) in [
            ("50004", Refusal::Unknown),
            ("50011", Refusal::RateLimited),
            ("50061", Refusal::RateLimited),
            ("50102", Refusal::Clock),
            ("50113", Refusal::Authentication),
            ("51008", Refusal::Rejected),
            ("51010", Refusal::Rejected),
            ("51016", Refusal::Duplicate),
            ("51020", Refusal::Rejected),
            ("51023", Refusal::AlreadyDone),
            ("51400", Refusal::NotFound),
            ("51603", Refusal::NotFound),
            ("54084", Refusal::Rejected),
            ("59000", Refusal::Rejected),
            ("99999", Refusal::Rejected),
        ] {
            assert_eq!(refusal(code, false), meant, "{code}");
        }
        // A read that timed out is simply asked again.
        assert_eq!(refusal("50004", true), Refusal::Busy);
        assert_eq!(refusal_of_status(502, false), Refusal::Unknown);
        assert_eq!(refusal_of_status(502, true), Refusal::Busy);
        assert_eq!(refusal_of_status(429, false), Refusal::RateLimited);
    }
}
