//! Several venues as one: best prices, failover, arbitrage, klines, scanning.
//!
//! A *symbol* here is a name that the caller gives to the same thing on several venues (`BTC-USDT`); which instrument of
//! each venue it is, is the caller's to say.

pub mod arbitrage;
pub mod best;
pub mod failover;
pub mod klines;
pub mod market;
pub mod scanner;
pub mod selection;
