use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use lockstep_exchanges::model::Venue;
use lockstep_exchanges::simulate::venues::{account, start};

/// `exchanges simulate`.
#[derive(Debug, Args)]
pub struct Simulate {
    /// Which venue's wire protocol.
    venue: Venue,
    /// Where it listens; port 0 for a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Milliseconds between price moves; 0: prices move only on command.
    #[arg(long, default_value_t = 250)]
    step_ms: u64,
    /// Chooses the price path.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Simulate {
    /// Runs until it is interrupted. The first line of output is the address.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn run(self) -> anyhow::Result<()> {
        let step = (self.step_ms > 0).then(|| Duration::from_millis(self.step_ms));
        let simulator = start(self.venue, self.listen, step, self.seed)
            .await
            .with_context(|| format!("cannot listen on {}", self.listen))?;
        println!("{}", simulator.url());
        let account = account(self.venue);
        let credentials = match self.venue {
            Venue::Hyperliquid => format!("address {}, private key {}", account.key, account.secret),
            _ => format!(
                "key {}, secret {}, passphrase {}",
                account.key, account.secret, account.passphrase
            ),
        };
        eprintln!(
            "{} simulated; {credentials}; faults: POST {}/simulator/faults",
            self.venue,
            simulator.url()
        );
        tokio::signal::ctrl_c().await?;
        Ok(())
    }
}
