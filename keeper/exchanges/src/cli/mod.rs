//! The commands.

pub mod bench;
pub mod decode;
pub mod sign;
pub mod simulate;
pub mod watch;
