//! Faults on command: `POST /simulator/faults` with one of these as JSON.

use serde::{Deserialize, Serialize};

use crate::model::Scope;

/// A fault. Durations are milliseconds from now; counts are how many more times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Sockets stay open and answer pings, but no data comes. What would have come is lost.
    SilentStream {
        /// Which sockets.
        scope: Scope,
        /// How long.
        milliseconds: u64,
    },
    /// Sockets stay open and nothing at all comes or is answered.
    HalfOpen {
        /// How long.
        milliseconds: u64,
    },
    /// So many pushes are lost.
    Gap {
        /// Which sockets.
        scope: Scope,
        /// How many.
        count: u32,
    },
    /// So many pushes come twice.
    Duplicate {
        /// Which sockets.
        scope: Scope,
        /// How many.
        count: u32,
    },
    /// So many pushes come after the one that follows them.
    OutOfOrder {
        /// Which sockets.
        scope: Scope,
        /// How many.
        count: u32,
    },
    /// All sockets are closed.
    Disconnect {
        /// Which sockets.
        scope: Scope,
    },
    /// So many requests are answered with 429.
    TooMany {
        /// How many.
        count: u32,
        /// What the answer says to wait, seconds.
        retry_after_seconds: u64,
    },
    /// Every request is answered with a ban (418) for a time.
    Ban {
        /// How long.
        milliseconds: u64,
    },
    /// So many acting requests are taken and never answered.
    TimeoutAfterAccept {
        /// How many.
        count: u32,
    },
    /// So many acting requests are taken and answered with the venue's internal error.
    ErrorAfterAccept {
        /// How many.
        count: u32,
    },
    /// So many acting requests are lost before they arrive and answered with the venue's internal error.
    ErrorBeforeAccept {
        /// How many.
        count: u32,
    },
    /// Sessions and listen keys end.
    SessionExpiry,
    /// The venue's clock is off from now on.
    ClockSkew {
        /// By so many milliseconds, ahead if positive.
        milliseconds: i64,
    },
    /// The venue says that it will close soon.
    Maintenance,
    /// All of them end.
    None,
}

/// The faults that are on.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    pub(super) silent_until_ms: [u64; 2],
    pub(super) half_open_until_ms: u64,
    pub(super) gap: [u32; 2],
    pub(super) duplicate: [u32; 2],
    pub(super) out_of_order: [u32; 2],
    pub(super) too_many: u32,
    pub(super) retry_after_seconds: u64,
    pub(super) banned_until_ms: u64,
    pub(super) timeout_after_accept: u32,
    pub(super) error_after_accept: u32,
    pub(super) error_before_accept: u32,
    pub(super) skew_ms: i64,
}

/// Where a scope's faults are kept.
pub(super) const fn index(scope: Scope) -> usize {
    match scope {
        Scope::Public => 0,
        Scope::Private => 1,
    }
}

/// Uses one up, if there is one.
pub(super) const fn take(count: &mut u32) -> bool {
    if *count == 0 {
        return false;
    }
    *count -= 1;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_named_as_the_readme_says() {
        let fault: Fault = serde_json::from_str(r#"{"fault":"gap","scope":"private","count":2}"#).unwrap();
        assert_eq!(
            fault,
            Fault::Gap {
                scope: Scope::Private,
                count: 2
            }
        );
        let mut left = 1;
        assert!(take(&mut left) && !take(&mut left));
    }
}
