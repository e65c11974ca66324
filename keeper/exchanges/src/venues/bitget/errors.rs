//! Bitget's codes and what they mean for the caller.

use crate::error::{Refusal, VenueError};
use crate::model::Venue;

/// Codes by what they mean. A code that is not here is a plain refusal. The older and the newer interface share the codes,
/// save for a few: 25204 is the newer one's order that does not exist. That these are all is unconfirmed.
const TABLE: &[(Refusal, &[&str])] = &[
    // 40010 is a request that timed out; an older list calls it a wrong signature. Unknown is right for both: the order is
    // asked for before anything else is sent.
    (Refusal::Unknown, &["40010", "40015", "40725", "45001"]),
    (Refusal::Busy, &["40604", "500"]),
    (Refusal::RateLimited, &["429", "1001", "30006", "30007", "30014"]),
    (Refusal::Maintenance, &["40200", "40308"]),
    (Refusal::Clock, &["40004", "40005", "40008"]),
    (
        Refusal::Authentication,
        &[
            "40001", "40002", "40003", "40006", "40009", "40011", "40012", "40014", "40016", "40018",
            "40031",
            "40037", // The account is of the other interface: a classic one was asked as a unified one or the reverse.
            "40084", "40085",
        ],
    ),
    (Refusal::Duplicate, &["40786"]),
    // Nothing to close.
    (Refusal::AlreadyDone, &["22002"]),
    (
        Refusal::NotFound,
        &[
            "40768", "80011", "40819", "43020", "43025", "43001", "45057", "31007", "43033", "40109",
            "24056", "25204",
        ],
    ),
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

/// What an HTTP status means when the body is none of Bitget's.
pub(super) fn refusal_of_status(status: u16, read: bool) -> Refusal {
    match status {
        401 | 403 => Refusal::Authentication,
        429 => Refusal::RateLimited,
        408 | 500..=599 if read => Refusal::Busy,
        408 | 500..=599 => Refusal::Unknown,
        _ => Refusal::Rejected,
    }
}

/// A refusal in Bitget's words.
pub(super) fn refused(code: &str, message: &str, read: bool) -> VenueError {
    VenueError::new(Venue::Bitget, refusal(code, read), code, message)
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
            ("40010", Refusal::Unknown),
            ("40015", Refusal::Unknown),
            ("40725", Refusal::Unknown),
            ("45001", Refusal::Unknown),
            ("429", Refusal::RateLimited),
            ("1001", Refusal::RateLimited),
            ("40200", Refusal::Maintenance),
            ("40008", Refusal::Clock),
            ("40018", Refusal::Authentication),
            ("40085", Refusal::Authentication),
            ("40754", Refusal::Rejected),
            ("40762", Refusal::Rejected),
            ("40774", Refusal::Rejected),
            ("40786", Refusal::Duplicate),
            ("22002", Refusal::AlreadyDone),
            ("45110", Refusal::Rejected),
            ("43001", Refusal::NotFound),
            ("25204", Refusal::NotFound),
            ("99999", Refusal::Rejected),
        ] {
            assert_eq!(refusal(code, false), meant, "{code}");
        }
        assert_eq!(refusal("40725", true), Refusal::Busy);
        assert_eq!(refusal_of_status(504, false), Refusal::Unknown);
    }
}
