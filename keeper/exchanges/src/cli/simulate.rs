use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use lockstep_exchanges::model::Venue;
use lockstep_exchanges::simulate::engine::Engine;
use lockstep_exchanges::simulate::server::{Options, Simulator};
use lockstep_exchanges::simulate::venues::{account, lengthened, wire};

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
    /// Instruments in all: beside the usual ones, more that are named after assets C0004, C0005, ….
    #[arg(long, default_value_t = 0)]
    symbols: usize,
    /// Prices on each side of every book.
    #[arg(long, default_value_t = 20)]
    levels: u32,
}

impl Simulate {
    /// Runs until it is interrupted. The first line of output is the address.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn run(self) -> anyhow::Result<()> {
        let step = (self.step_ms > 0).then(|| Duration::from_millis(self.step_ms));
        let account = account(self.venue);
        let (wire, listing) = wire(self.venue);
        let mut engine = Engine::new(self.venue, lengthened(listing, self.symbols), self.seed)
            .with_book_levels(self.levels);
        engine.add_account(account.clone());
        let options = Options {
            listen: self.listen,
            step,
        };
        let simulator = Simulator::start(wire, engine, options)
            .await
            .with_context(|| format!("cannot listen on {}", self.listen))?;
        println!("{}", simulator.url());
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
