//! The commands.

pub mod decode;
pub mod sign;
pub mod simulate;
