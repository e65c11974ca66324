//! The keeper on a local chain with the real exchange: whom it moves, what it does unasked, what it attests, and whether
//! it computes what the contract computes.

mod common;
mod copying;
mod exchange_masters;
mod forced;
mod gas;
mod journal;
mod signal_sources;
mod signals;
mod sizing;
