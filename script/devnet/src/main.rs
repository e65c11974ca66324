//! `script/up` and `script/bench`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lockstep_devnet::bench;
use lockstep_devnet::genesis::Genesis;
use lockstep_devnet::layout::Layout;
use lockstep_devnet::signals::Signals;
use lockstep_devnet::up::{UpOptions, up};
use lockstep_service::logs;
use tokio_util::sync::CancellationToken;

/// A whole Lockstep on one machine.
#[derive(Debug, Parser)]
#[command(name = "lockstep-devnet", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs everything until Ctrl-C; the next start continues.
    Up {
        /// Start over: delete the local chain, databases and logs.
        #[arg(long)]
        fresh: bool,
        /// Check that every follower follows and every NAV point agrees, then stop.
        #[arg(long)]
        check: bool,
        /// Port of the dashboard and the API.
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Followers over all masters.
        #[arg(long, default_value_t = 200)]
        followers: u64,
        /// Prices, followers and their bounds follow from it.
        #[arg(long, default_value_t = 2026)]
        seed: u64,
        /// Prices follow those of real exchanges while the internet reaches them.
        #[arg(long)]
        live: bool,
    },
    /// Deploys the chain that the tests and new stacks load, unless that is done.
    Prepare,
    /// Measures, and prints one table; benchmarks are gas, keeper_latency, indexer_rate and end_to_end_latency.
    Bench {
        /// Only benchmarks whose name or figure contains this.
        name: Option<String>,
        /// One JSON object per figure instead of the table.
        #[arg(long)]
        json: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return failure(&error.into()),
    };
    let work = async {
        match run(arguments, signals.stop.clone()).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failure(&error),
        }
    };
    signals.or_at_once(work).await
}

fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

async fn run(arguments: Arguments, stop: CancellationToken) -> anyhow::Result<()> {
    // `up --live` says in its own words whether exchanges answer; each attempt at each of them would drown that.
    logs::init(logs::Format::Pretty, "info,lockstep_exchanges=error")?;
    let layout = Layout::find()?;
    match arguments.command {
        Command::Up {
            fresh,
            check,
            port,
            followers,
            seed,
            live,
        } => {
            let options = UpOptions {
                fresh,
                check,
                port,
                followers,
                seed,
                live,
            };
            up(&layout, &options, stop).await
        }
        Command::Prepare => {
            let genesis = Genesis::prepare(&layout).await?;
            println!("{}", genesis.directory.display());
            Ok(())
        }
        Command::Bench { name, json } => {
            let measured = bench::run(&layout, name.as_deref(), |figure| {
                if json {
                    println!("{}", serde_json::to_string(&figure).unwrap_or_default());
                } else {
                    println!("{}", bench::line(&figure));
                }
            });
            tokio::select! {
                outcome = measured => outcome,
                () = stop.cancelled() => Ok(()),
            }
        }
    }
}
