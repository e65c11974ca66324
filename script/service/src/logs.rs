//! Logs, for a person or for a machine, on standard error: standard output is for what a command was asked to print.

use std::io::IsTerminal as _;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object per line.
    Json,
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one, e.g. `info,lockstep_keeper=debug` would be.
    #[error("log filter {filter:?}: {source}")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something has already set up logging in this process.
    #[error("logging was already started: {0}")]
    AlreadyStarted(Box<dyn std::error::Error + Send + Sync>),
}

/// Starts logging. `RUST_LOG`, when set, replaces `filter`.
///
/// # Errors
/// [`LogError`] when the filter does not parse or logging was started before.
pub fn init(format: Format, filter: &str) -> Result<(), LogError> {
    let text = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::try_new(&text).map_err(|source| LogError::Filter { filter: text, source })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        Format::Pretty => builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(LogError::AlreadyStarted)
}
