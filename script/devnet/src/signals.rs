//! Ctrl-C here: the first asks everything to stop, a second ends what is left at once.
//!
//! Not as in the services (`lockstep_service::shutdown`), which only have themselves to end: the children are in process
//! groups of their own, and would stay behind.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::process::{kill_all, running};

/// What a shell calls a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// The two requests to stop.
#[derive(Debug, Clone)]
pub struct Signals {
    /// Cancelled by the first SIGINT or SIGTERM.
    pub stop: CancellationToken,
    at_once: CancellationToken,
}

impl Signals {
    /// Listens. Call inside a Tokio runtime, once, before work starts.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn listen() -> std::io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let signals = Self {
            stop: CancellationToken::new(),
            at_once: CancellationToken::new(),
        };
        let Self { stop, at_once } = signals.clone();
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = interrupt.recv() => "SIGINT",
                    _ = terminate.recv() => "SIGTERM",
                }
            };
            let name = next().await;
            tracing::info!(signal = name, "stopping; a second signal stops at once");
            stop.cancel();
            next().await;
            at_once.cancel();
        });
        Ok(signals)
    }

    /// Does the work, unless a second signal comes: then the work is dropped, its children are killed and waited for, and
    /// one line says so.
    pub async fn or_at_once(&self, work: impl Future<Output = ExitCode>) -> ExitCode {
        let second = async {
            self.at_once.cancelled().await;
            // Before the work is dropped: who drops a child no longer tells of it.
            running()
        };
        let left = tokio::select! {
            biased;
            left = second => left,
            ended = work => return ended,
        };
        match kill_all(&left).await {
            Ok(()) if left.is_empty() => eprintln!("Stopped at once; nothing was running any more."),
            Ok(()) => {
                let names: Vec<_> = left.iter().map(|one| one.name()).collect();
                eprintln!("Stopped at once: {} killed.", names.join(", "));
            }
            Err(error) => eprintln!("error: {error:#}"),
        }
        ExitCode::from(INTERRUPTED)
    }
}
