//! The indexer: follows Lockstep's logs through reorgs into the store and derives NAV curves and statistics.
//!
//! ```text
//! follow ─> decode ─> derive ─> store <── readers (API)
//! ```

pub mod bench;
pub mod config;
pub mod decode;
pub mod derive;
pub mod follow;
pub mod http;
pub mod model;
pub mod store;
pub mod synthetic;
pub mod verify;
