//! `decode_latency`: a frame of a venue's socket to the event in the model.

use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use lockstep_exchanges::model::{Event, Instruments, Scope, Venue};
use lockstep_exchanges::protocol::Protocol;
use lockstep_exchanges::venues::protocol;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Figure, PERCENTILES, nanoseconds, percentile};

/// Measured rounds per message, and those before them while caches and branches warm up.
const ROUNDS: usize = 200_000;
const WARM: usize = 20_000;

/// Recorded messages.
#[derive(Deserialize)]
struct Recorded<'a> {
    #[serde(borrow)]
    cases: Vec<Case<'a>>,
}

#[derive(Deserialize)]
struct Case<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Fill,
    Ticker,
    Book,
}

impl Message {
    const ALL: [Self; 3] = [Self::Fill, Self::Ticker, Self::Book];

    const fn name(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::Ticker => "ticker",
            Self::Book => "book",
        }
    }

    const fn scope(self) -> Scope {
        match self {
            Self::Fill => Scope::Private,
            Self::Ticker | Self::Book => Scope::Public,
        }
    }

    fn is(self, event: &Event) -> bool {
        matches!(
            (self, event),
            (Self::Fill, Event::Fill(_)) | (Self::Ticker, Event::Ticker(_)) | (Self::Book, Event::Book(_))
        )
    }
}

const fn recorded(venue: Venue) -> &'static str {
    match venue {
        Venue::Binance => include_str!("../../../tests/fixtures/binance/ws.json"),
        Venue::Okx => include_str!("../../../tests/fixtures/okx/ws.json"),
        Venue::Bybit => include_str!("../../../tests/fixtures/bybit/ws.json"),
        Venue::Bitget => include_str!("../../../tests/fixtures/bitget/ws.json"),
        Venue::Deribit => include_str!("../../../tests/fixtures/deribit/ws.json"),
        Venue::Htx => include_str!("../../../tests/fixtures/htx/ws.json"),
        Venue::Hyperliquid => include_str!("../../../tests/fixtures/hyperliquid/ws.json"),
    }
}

/// Where no recorded frame holds a fill of a perpetual: the venue's documentation's, with all members of a recorded one.
const fn documented_fill(venue: Venue) -> Option<&'static str> {
    match venue {
        Venue::Binance => Some(include_str!("../../../tests/fixtures/fills/binance.json")),
        Venue::Okx => Some(include_str!("../../../tests/fixtures/fills/okx.json")),
        _ => None,
    }
}

/// As it goes over the socket: the recordings are laid out for people, the order of their members is the venue's.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_text, mut escaped) = (false, false);
    for character in json.chars() {
        if in_text || !character.is_ascii_whitespace() {
            out.push(character);
        }
        match character {
            '"' if !escaped => in_text = !in_text,
            _ => {}
        }
        escaped = in_text && character == '\\' && !escaped;
    }
    out
}

fn gzip(frame: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(frame)?;
    Ok(encoder.finish()?)
}

/// The longest recorded frame that holds one such event.
fn frame(
    venue: Venue,
    message: Message,
    protocol: &dyn Protocol,
    instruments: &Instruments,
) -> anyhow::Result<Option<Vec<u8>>> {
    let recorded: Recorded<'_> = serde_json::from_str(recorded(venue))?;
    let mut events = Vec::new();
    Ok(recorded
        .cases
        .iter()
        .map(|case| compact(case.payload.get()))
        .filter(|frame| {
            events.clear();
            protocol
                .decode(frame.as_bytes(), message.scope(), instruments, &mut events)
                .is_ok()
                && events.iter().filter(|event| message.is(event)).count() == 1
        })
        .max_by_key(String::len)
        .or_else(|| {
            documented_fill(venue)
                .filter(|_| message == Message::Fill)
                .map(compact)
        })
        .map(String::into_bytes))
}

/// Times of single decodings, sorted, nanoseconds.
fn times(
    protocol: &dyn Protocol,
    instruments: &Instruments,
    frame: &[u8],
    scope: Scope,
) -> anyhow::Result<Vec<u64>> {
    let mut events = Vec::with_capacity(16);
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..WARM + ROUNDS {
        events.clear();
        let begin = Instant::now();
        protocol.decode(black_box(frame), scope, instruments, &mut events)?;
        let time = begin.elapsed();
        black_box(&events);
        if round >= WARM {
            times.push(nanoseconds(time));
        }
    }
    times.sort_unstable();
    Ok(times)
}

/// Each venue's messages, as text, and compressed where the venue compresses them.
pub(super) fn measure() -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for venue in Venue::ALL {
        let protocol = protocol(venue);
        let instruments = protocol.known_instruments();
        for message in Message::ALL {
            let Some(frame) = frame(venue, message, protocol.as_ref(), &instruments)? else {
                anyhow::ensure!(message != Message::Fill, "no recorded fill of {venue}");
                continue;
            };
            let mut forms = vec![("text", frame.clone())];
            if venue == Venue::Htx {
                forms.push(("gzip", gzip(&frame)?));
            }
            for (form, frame) in forms {
                let times = times(protocol.as_ref(), &instruments, &frame, message.scope())?;
                for (name, percent) in PERCENTILES {
                    figures.push(Figure::new(
                        "decode_latency",
                        percentile(&times, percent).context("no times")?,
                        "ns",
                        [
                            ("venue", json!(venue)),
                            ("message", json!(message.name())),
                            ("form", json!(form)),
                            ("percentile", json!(name)),
                            ("bytes", json!(frame.len())),
                        ],
                    ));
                }
            }
        }
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_between_the_parts_is_left_out() {
        assert_eq!(
            compact("{ \"a b\" :\n [1, \"x \\\" y\", \"\\\\\" ] }"),
            r#"{"a b":[1,"x \" y","\\"]}"#
        );
    }

    #[test]
    fn every_venue_has_a_recorded_fill() {
        for venue in Venue::ALL {
            let protocol = protocol(venue);
            let instruments = protocol.known_instruments();
            let fill = frame(venue, Message::Fill, protocol.as_ref(), &instruments).unwrap();
            assert!(fill.is_some(), "{venue}");
        }
    }
}
