//! What travels: every JSON shape the API answers with or accepts, and nothing else.
//!
//! Amounts are decimal strings whose unit is part of the schema (`x-unit`, `x-decimals`), times are RFC 3339 in UTC
//! with milliseconds, ids are strings. A shape here is a promise to clients; what the store or the keeper calls things
//! is translated by the handlers.

pub mod account;
pub mod batch;
pub mod deployment;
pub mod nav;
pub mod page;
pub mod problem;
pub mod relay;
pub mod scalar;
pub mod session;
pub mod statistic;
pub mod status;
pub mod strategy;
pub mod stream;
