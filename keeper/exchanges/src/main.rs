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
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Sign(command) => command.run(),
        Command::Decode(command) => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
