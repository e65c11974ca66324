//! The keeper on a local chain with the real exchange: what it does unasked, what it attests, and whether it computes
//! what the contract computes.

mod common;
mod forced;
mod signals;
mod sizing;
