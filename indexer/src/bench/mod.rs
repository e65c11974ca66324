//! `lockstep-indexer bench`: events per second from a local chain into a store.

/// Of `bench`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {}

/// Runs it.
///
/// # Errors
/// When anvil or the store cannot be started.
pub async fn run(_arguments: &Arguments) -> anyhow::Result<()> {
    Ok(())
}
