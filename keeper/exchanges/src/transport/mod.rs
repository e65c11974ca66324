//! TODO

pub mod backoff;
pub mod clock;
pub mod identity;
pub mod limiter;
pub mod limits;
pub mod random;
