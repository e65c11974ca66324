//! The keeper's command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use lockstep_keeper::bench;
use lockstep_keeper::config::Config;
use lockstep_keeper::journal::Journal;
use lockstep_service::{config, ending, logs, metrics, panics, shutdown};

/// Watches masters and keeps their followers' accounts in step, inside the bounds each follower signed.
#[derive(Debug, Parser)]
#[command(name = "lockstep-keeper", version)]
struct Cli {
    /// Configuration file. Environment variables LOCKSTEP_KEEPER__… win over it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines look.
    #[arg(long, global = true, value_enum, default_value_t = logs::Format::Pretty)]
    log_format: logs::Format,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Runs the keeper (the default).
    Run,
    /// Prints what is not settled yet and the newest lines of the journal.
    Status {
        /// Lines of the journal.
        #[arg(long, default_value_t = 20)]
        lines: u32,
    },
    /// Prints the journal, oldest first.
    Journal {
        /// Newest lines only.
        #[arg(long, default_value_t = 1_000)]
        lines: u32,
    },
    /// Measures the keeper's own time from a master's trade to the batch handed to the RPC endpoint. Needs no chain.
    Bench {
        /// One JSON object per figure.
        #[arg(long)]
        json: bool,
        /// Trades per setting.
        #[arg(long, default_value_t = 1_000)]
        iterations: u32,
        /// Where the journals are written; a directory of the system's by default.
        #[arg(long)]
        directory: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.log_format;
    ending::report(format, start(cli).await.map(|()| ExitCode::SUCCESS))
}

async fn start(cli: Cli) -> anyhow::Result<()> {
    if let Some(Command::Bench {
        json,
        iterations,
        directory,
    }) = cli.command
    {
        return measure(json, iterations, directory).await;
    }
    let config: Config = config::load(cli.config.as_deref(), "LOCKSTEP_KEEPER")?;
    match cli.command.unwrap_or(Command::Run) {
        Command::Bench { .. } => Ok(()),
        Command::Run => {
            logs::init(cli.log_format, &config.log_filter)?;
            let stop = shutdown::on_signal()?;
            panics::install(stop.clone());
            let handle = metrics::install(&[]).context("metrics")?;
            lockstep_keeper::run::run(config, Arc::new(move || handle.render()), stop).await
        }
        Command::Status { lines } => {
            let journal = Journal::open(&config.journal, false).await?;
            let mut out = std::io::stdout().lock();
            let unfinished = journal.unfinished().await?;
            writeln!(out, "{} jobs under way", unfinished.len())?;
            for job in unfinished {
                let attempts = job.attempts.len();
                writeln!(
                    out,
                    "  job {} nonce {} {:?} {} ({attempts} attempts): {}",
                    job.id, job.nonce, job.state, job.kind, job.cause
                )?;
            }
            for (name, standing) in journal.signal_sources().await? {
                let sequence = standing
                    .sequence
                    .map_or("none".to_owned(), |last| last.to_string());
                match standing.broken {
                    None => writeln!(out, "signal source {name}: sequence {sequence}")?,
                    Some(broken) => writeln!(
                        out,
                        "signal source {name}: sequence {sequence}, BROKEN since {}: {}",
                        broken.since_ms, broken.reason
                    )?,
                }
            }
            print(&mut out, &journal, lines).await
        }
        Command::Journal { lines } => {
            let journal = Journal::open(&config.journal, false).await?;
            print(&mut std::io::stdout().lock(), &journal, lines).await
        }
    }
}

async fn print(out: &mut impl std::io::Write, journal: &Journal, lines: u32) -> anyhow::Result<()> {
    for line in journal.tail(lines).await? {
        writeln!(out, "{}  {}", line.at, line.text)?;
    }
    Ok(())
}

/// Prints `keeper_latency` and, apart from it, `keeper_rpc_latency` for 1 and 200 followers, p50 and p99, in milliseconds.
async fn measure(json: bool, iterations: u32, directory: Option<PathBuf>) -> anyhow::Result<()> {
    let parent = directory.unwrap_or_else(std::env::temp_dir);
    let scratch = parent.join(format!("lockstep-keeper-bench-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).with_context(|| format!("directory {}", scratch.display()))?;
    let mut out = std::io::stdout().lock();
    for followers in [1, 200] {
        let latency = bench::keeper_latency(&scratch, followers, iterations).await?;
        for percent in [50, 99] {
            // The endpoint answers at once here; what a real one takes is round trips times its answer.
            let trips = latency.round_trips;
            for (figure, value) in [
                ("keeper_latency", latency.percentile(percent)),
                ("keeper_rpc_latency", latency.rpc_percentile(percent)),
            ] {
                let value = bench::milliseconds(value);
                if json {
                    writeln!(
                        out,
                        r#"{{"figure":"{figure}","value":{value},"unit":"ms","parameters":{{"followers":{followers},"quantile":"p{percent}","round_trips":{trips}}}}}"#
                    )?;
                } else {
                    writeln!(
                        out,
                        "{figure:<18}  {followers:>3} followers  p{percent}  {value} ms  {trips} round trips"
                    )?;
                }
            }
        }
    }
    std::fs::remove_dir_all(&scratch)?;
    Ok(())
}
