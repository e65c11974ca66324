//! Watches masters, plans, submits and confirms batches.
//!
//! Data goes one way: [`source`] → [`state`] → [`guard`] → [`plan`] → [`submit`] → [`confirm`], with the [`journal`]
//! beside it and [`relay`] for what followers hand in. No step reaches back: what a later step learns comes back as a
//! new observation of the chain. [`engine`] is the one loop that owns them all.

pub mod bench;
pub mod chain;
pub mod config;
pub mod confirm;
pub mod engine;
pub mod guard;
pub mod journal;
pub mod plan;
pub mod relay;
pub mod run;
pub mod source;
pub mod state;
pub mod submit;
