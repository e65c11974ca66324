use std::io::BufRead as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use lockstep_exchanges::error::DecodeError;
use lockstep_exchanges::model::{Event, Instrument, Instruments, Scope, Venue};
use lockstep_exchanges::protocol::Protocol;
use lockstep_exchanges::venues::{Generation, protocol_of};
use serde::Serialize;

/// `exchanges decode`.
#[derive(Debug, Args)]
pub struct Decode {
    /// Whose frames.
    venue: Venue,
    /// They come from an account's socket.
    #[arg(long)]
    private: bool,
    /// Which of the venue's interfaces: current, legacy (HTX before v5), next (Bitget v3).
    #[arg(long, default_value = "current", value_parser = super::generation)]
    generation: Generation,
    /// JSON list of instruments (as `watch --instruments` prints them); added to the well-known ones.
    #[arg(long)]
    instruments: Option<PathBuf>,
}

#[derive(Serialize)]
struct Refused<'a> {
    error: Description<'a>,
}

#[derive(Serialize)]
struct Description<'a> {
    code: &'a str,
    detail: String,
}

impl Decode {
    /// Reads standard input to its end.
    ///
    /// # Errors
    /// When standard input or output breaks or the list of instruments cannot be read. A frame that is refused is a line
    /// of output, not an error.
    pub fn run(self) -> anyhow::Result<()> {
        let venue = protocol_of(self.venue, self.generation);
        let mut instruments = venue.known_instruments();
        if let Some(path) = &self.instruments {
            let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let more: Vec<Instrument> = serde_json::from_slice(&text)
                .with_context(|| format!("{} is no list of instruments", path.display()))?;
            instruments = instruments.with(more);
        }
        let scope = if self.private {
            Scope::Private
        } else {
            Scope::Public
        };
        let mut output = std::io::stdout().lock();
        let mut events = Vec::new();
        let mut line = Vec::new();
        let mut input = std::io::stdin().lock();
        loop {
            line.clear();
            if input.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let frame = line.trim_ascii();
            if frame.is_empty() {
                continue;
            }
            events.clear();
            let result = decode(venue.as_ref(), frame, scope, &instruments, &mut events);
            print(&mut output, result, &events)?;
        }
    }
}

fn decode(
    venue: &dyn Protocol,
    frame: &[u8],
    scope: Scope,
    instruments: &Instruments,
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    venue.decode(frame, scope, instruments, events)
}

fn print(
    output: &mut impl std::io::Write,
    result: Result<(), DecodeError>,
    events: &[Event],
) -> anyhow::Result<()> {
    match result {
        Ok(()) => {
            for event in events {
                serde_json::to_writer(&mut *output, event)?;
                output.write_all(b"\n")?;
            }
        }
        Err(error) => {
            let refused = Refused {
                error: Description {
                    code: error.code(),
                    detail: error.to_string(),
                },
            };
            serde_json::to_writer(&mut *output, &refused)?;
            output.write_all(b"\n")?;
        }
    }
    output.flush()?;
    Ok(())
}
