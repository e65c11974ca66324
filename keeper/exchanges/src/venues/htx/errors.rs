//! The venue's codes: numbers on contracts, words on its gateway.

use crate::error::{Refusal, VenueError};
use crate::model::Venue;

/// What a code means. One that is not listed was still an answer of the exchange: nothing was done.
pub(super) fn refusal(code: &str, message: &str) -> Refusal {
    match code {
        // Busy; that 1004, 1030, 1033 and 1035 mean it is unconfirmed.
        "1004" | "1030" | "1033" | "1035" => Refusal::Busy,
        "1032" | "429" | "base-request-exceed-frequency-limit" | "rate-too-many-requests" => {
            Refusal::RateLimited
        }
        // The gateway gave up: the exchange behind it may have done it.
        "timeout" | "gateway-internal-error" | "500" | "502" | "503" | "504" => Refusal::Unknown,
        "403" | "401" | "1003" | "1010" | "1220" => Refusal::Authentication,
        "1017" | "1051" | "1061" => Refusal::NotFound,
        // Unconfirmed.
        "1485" => Refusal::Duplicate,
        "system-maintenance" => Refusal::Maintenance,
        // The key is known to the signature rules but the clock is not right.
        "api-signature-expired" | "api-timestamp-expired" => Refusal::Clock,
        _ if code.starts_with("api-signature-") || code == "login-required" => Refusal::Authentication,
        _ if message.contains("request limit") => Refusal::RateLimited,
        _ => Refusal::Rejected,
    }
}

/// A refusal in the venue's words.
pub(super) fn refused(code: &str, message: &str) -> VenueError {
    VenueError::new(Venue::Htx, refusal(code, message), code, message)
}

/// What an HTTP status without a readable answer means. `read`: the operation changes nothing.
pub(super) fn http(status: u16, read: bool) -> Refusal {
    match status {
        429 => Refusal::RateLimited,
        // The firewall in front of the venue refuses this way; nothing got through.
        403 => Refusal::Busy,
        401 => Refusal::Authentication,
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
            (&["1047", "1041", "1094", "1461", "1067"][..], Refusal::Rejected),
            (&["1017", "1061", "1051"], Refusal::NotFound),
            (
                &["403", "1003", "api-signature-not-valid"],
                Refusal::Authentication,
            ),
            (&["timeout", "gateway-internal-error"], Refusal::Unknown),
            (
                &["base-request-exceed-frequency-limit", "rate-too-many-requests"],
                Refusal::RateLimited,
            ),
            (&["1485"], Refusal::Duplicate),
            (&["system-maintenance"], Refusal::Maintenance),
        ] {
            for code in codes {
                assert_eq!(refusal(code, ""), expected, "{code}");
            }
        }
        assert_eq!(
            refusal("invalid-parameter", "request limit"),
            Refusal::RateLimited
        );
        assert_eq!(http(502, false), Refusal::Unknown);
    }
}
