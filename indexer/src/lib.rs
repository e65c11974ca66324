//! The indexer: follows Lockstep's logs through reorgs into the store and derives NAV curves and statistics.
//!
//! ```text
//! follow ─> decode ─> derive ─> store <── readers (API)
//! ```

pub mod decode;
pub mod derive;
pub mod model;
pub mod store;
