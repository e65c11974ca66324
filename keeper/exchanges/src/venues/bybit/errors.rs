//! What the venue's codes mean for the caller.

use crate::error::{Refusal, VenueError};
use crate::model::Venue;
use crate::operation::Operation;

/// Codes and what they mean. What is not listed was refused for good ([`Refusal::Rejected`]): parameters, prices, funds,
/// limits, reduce-only, modes that cannot change now, paused trading.
const CODES: [(i64, Refusal); 33] = [
    // May have been done: asked by client id before anything is sent again. 170001, 170032 and 500000 only say that
    // something went wrong inside: they are no proof that nothing was done.
    (10000, Refusal::Unknown),
    (10016, Refusal::Unknown),
    (170_007, Refusal::Unknown),
    (170_001, Refusal::Unknown),
    (170_032, Refusal::Unknown),
    (500_000, Refusal::Unknown),
    // Restarting: nothing is taken.
    (10019, Refusal::Busy),
    (10006, Refusal::RateLimited),
    (10018, Refusal::RateLimited),
    (10403, Refusal::RateLimited),
    (10429, Refusal::RateLimited),
    (20003, Refusal::RateLimited),
    (170_005, Refusal::RateLimited),
    (10002, Refusal::Clock),
    (10003, Refusal::Authentication),
    (10004, Refusal::Authentication),
    (10005, Refusal::Authentication),
    (10007, Refusal::Authentication),
    (10008, Refusal::Authentication),
    (10009, Refusal::Authentication),
    (10010, Refusal::Authentication),
    (33004, Refusal::Authentication),
    // Leverage, position mode, margin mode.
    (110_043, Refusal::AlreadyDone),
    (110_025, Refusal::AlreadyDone),
    (110_026, Refusal::AlreadyDone),
    // The client id, the request's id on the trading socket.
    (110_072, Refusal::Duplicate),
    (110_030, Refusal::Duplicate),
    (20006, Refusal::Duplicate),
    (110_001, Refusal::NotFound),
    // Ended before: see `refusal_of`.
    (110_008, Refusal::NotFound),
    (110_010, Refusal::NotFound),
    // Named although they are what the default says: these are what a copier meets.
    (10001, Refusal::Rejected),
    (110_017, Refusal::Rejected),
];

/// Whoever cancels an order that has ended has what was asked for.
const ENDED: [i64; 2] = [110_008, 110_010];

pub(super) fn refusal(code: i64) -> Refusal {
    CODES
        .iter()
        .find(|(listed, _)| *listed == code)
        .map_or(Refusal::Rejected, |(_, refusal)| *refusal)
}

/// What a code means to an operation.
pub(super) fn refusal_of(operation: &Operation, code: i64) -> Refusal {
    let cancels = matches!(
        operation,
        Operation::CancelOrder(_) | Operation::CancelOrders(_) | Operation::CancelConditionalOrder(_)
    );
    if cancels && ENDED.contains(&code) {
        return Refusal::AlreadyDone;
    }
    refusal(code)
}

/// A reply that is no answer of the interface: by its HTTP status.
pub(super) fn by_status(status: u16, body: &[u8]) -> VenueError {
    let meaning = match status {
        // 403 is "access too frequent": ten minutes of silence.
        403 | 429 => Refusal::RateLimited,
        401 => Refusal::Authentication,
        400 | 402 | 404..=407 | 409..=428 | 430..=499 => Refusal::Rejected,
        _ => Refusal::Unknown,
    };
    VenueError::new(
        Venue::Bybit,
        meaning,
        status.to_string(),
        &String::from_utf8_lossy(body),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::OrderRef;

    #[test]
    fn codes_mean_what_the_sheet_says() {
        for code in [10000, 10016, 170_007] {
            assert_eq!(refusal(code), Refusal::Unknown, "{code}");
        }
        for code in [10006, 10018, 10429, 20003] {
            assert_eq!(refusal(code), Refusal::RateLimited, "{code}");
        }
        for code in [10003, 10004, 10005, 10007, 10008, 10009, 10010, 33004] {
            assert_eq!(refusal(code), Refusal::Authentication, "{code}");
        }
        for code in [110_043, 110_025, 110_026] {
            assert_eq!(refusal(code), Refusal::AlreadyDone, "{code}");
        }
        for code in [110_072, 110_030] {
            assert_eq!(refusal(code), Refusal::Duplicate, "{code}");
        }
        for code in [
            10001, 110_003, 110_004, 110_007, 110_012, 110_045, 110_013, 110_017, 110_020, 110_023, 110_024,
            110_028, 110_094, 110_066,
        ] {
            assert_eq!(refusal(code), Refusal::Rejected, "{code}");
        }
        assert_eq!(refusal(10002), Refusal::Clock);
        assert_eq!(refusal(10019), Refusal::Busy);
    }

    #[test]
    fn cancelling_what_has_ended_is_done() {
        let cancel = Operation::CancelOrder(OrderRef::default());
        let ask = Operation::Order(OrderRef::default());
        assert_eq!(refusal_of(&cancel, 110_010), Refusal::AlreadyDone);
        assert_eq!(refusal_of(&cancel, 110_008), Refusal::AlreadyDone);
        // Not known: it may be late, or filled and forgotten.
        assert_eq!(refusal_of(&cancel, 110_001), Refusal::NotFound);
        assert_eq!(refusal_of(&ask, 110_010), Refusal::NotFound);
    }

    #[test]
    fn what_is_no_answer_is_told_by_its_status() {
        assert_eq!(by_status(403, b"").refusal, Refusal::RateLimited);
        assert_eq!(by_status(502, b"").refusal, Refusal::Unknown);
        assert_eq!(by_status(408, b"").refusal, Refusal::Unknown);
        assert_eq!(by_status(404, b"").refusal, Refusal::Rejected);
    }
}
