//! The commands.

pub mod bench;
pub mod best;
pub mod decode;
pub mod sign;
pub mod simulate;
pub mod watch;
