//! The keeper's command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use lockstep_keeper::config::Config;
use lockstep_keeper::journal::Journal;
use lockstep_service::{config, logs, metrics, panics, shutdown};

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
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let config: Config = config::load(cli.config.as_deref(), "LOCKSTEP_KEEPER")?;
    match cli.command.unwrap_or(Command::Run) {
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
