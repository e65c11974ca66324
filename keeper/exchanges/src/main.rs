//! `exchanges`: the venues from the command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod cli;

#[derive(Debug, Parser)]
#[command(
    name = "exchanges",
    version,
    about = "Seven exchanges behind one model: sign, decode, watch, simulate"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads a request description as JSON on standard input and prints the signed request. Sends nothing.
    Sign(cli::sign::Sign),
    /// Reads raw frames, one per line, on standard input and prints normalised events as JSON lines.
    Decode(cli::decode::Decode),
    /// Prints normalised market data and account events as JSON lines.
    Watch(Box<cli::watch::Watch>),
    /// Measures: decode_latency, fill_to_order_latency (beside ccxt.pro), scan_rate, memory.
    Bench(cli::bench::Bench),
    #[command(hide = true)]
    React(cli::bench::React),
    /// Runs a test server that speaks a venue's wire protocol.
    Simulate(cli::simulate::Simulate),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Sign(command) => command.run(),
        Command::Decode(command) => command.run(),
        Command::Watch(command) => in_runtime(command.run()),
        Command::Bench(command) => command.run(),
        Command::React(command) => command.run(),
        Command::Simulate(command) => in_runtime(command.run()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn in_runtime(future: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(future)
}
