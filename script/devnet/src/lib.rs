//! A whole Lockstep on one machine: local L2, real venue, masters, followers.
//!
//! `script/up` is the binary; the end-to-end tests use the library to start isolated stacks on free ports.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`layout`] | where the repository's tools and files are |
//! | [`process`] | child processes: start, stop, kill, restart with backoff, free ports |
//! | [`chain`] | anvil: rules, state on disk, time, reorgs, sending transactions |
//! | [`genesis`] | the chain with the venue and Lockstep deployed, made once and loaded many times |
//! | [`venue`] | the exchange: prices, and a trader's account on it |
//! | [`masters`] | trading styles, as functions of the price history |
//! | [`followers`] | followers with different bounds, and what they sign |
//! | [`relay`] | the API's relay, as a dashboard uses it |
//! | [`services`] | configuration and start of keeper, indexer and API |
//! | [`stack`] | all of it, for tests |
//! | [`proxy`] | a JSON-RPC proxy that misbehaves on purpose |
//! | [`check`] | whether everyone who should have been moved was, and the indexer agrees with the chain |
//! | [`signals`] | Ctrl-C, once and twice |
//! | [`bench`] | gas and latency figures |

pub mod bench;
pub mod chain;
pub mod check;
pub mod followers;
pub mod genesis;
pub mod layout;
pub mod live;
pub mod masters;
pub mod process;
pub mod proxy;
pub mod random;
pub mod real_prices;
pub mod relay;
pub mod services;
pub mod setup;
pub mod signals;
pub mod stack;
pub mod up;
pub mod venue;
