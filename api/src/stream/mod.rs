//! What is new, as it happens: a feed reads the store's commits and tells the hub, the hub puts messages into the queue
//! of each connection that wants them, and a socket empties its queue at its client's pace.
//!
//! Nothing waits for a client. A queue that is full drops what comes, and the client is told that it lags and has to
//! read again: state, not deltas, is what repairs.

pub mod feed;
pub mod hub;
pub mod socket;
pub mod topic;
