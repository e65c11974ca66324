//! The commands.

pub mod bench;
pub mod best;
pub mod decode;
pub mod sign;
pub mod simulate;
pub mod watch;

use lockstep_exchanges::venues::Generation;

/// Reads a generation as the configuration spells it.
fn generation(text: &str) -> Result<Generation, String> {
    match text {
        "current" => Ok(Generation::Current),
        "legacy" => Ok(Generation::Legacy),
        "next" => Ok(Generation::Next),
        _ => Err("one of current, legacy, next".to_owned()),
    }
}
