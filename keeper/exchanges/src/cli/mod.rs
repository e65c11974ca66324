//! The commands.

pub mod bench;
mod best;
pub mod best;
pub mod decode;
pub mod sign;
pub mod simulate;
pub mod watch;
