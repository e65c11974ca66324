//! Simulators.
pub mod engine;
