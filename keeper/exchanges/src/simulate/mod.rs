//! Simulators: test servers that speak a venue's wire protocol, with accounts, a moving price, rate limits, and faults on
//! command. `engine` is the exchange, `wire` what a venue's words have to say, `server` the HTTP and sockets around them.

pub mod engine;
pub mod faults;
pub mod money;
pub mod server;
pub mod venues;
pub mod wire;
