//! From decoded events to rows.

pub mod statistics;
