//! Bindings, EIP-712 types and units: the one language all sides share.

pub mod bindings;
pub mod deployment;
pub mod digest;
pub mod fills;
pub mod relay;
pub mod units;
