//! Frames that no venue sends: recorded messages with bytes flipped, parts cut, doubled and exchanged. Nothing panics, no
//! memory grows without bound, no side and no size is wrong. `LOCKSTEP_LONG=1` runs a hundred times as many; `cargo fuzz`
//! runs the same check with coverage (`fuzz/README.md`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "fuzz/check.rs"]
mod check;

use std::path::Path;

use lockstep_exchanges::error::DecodeError;
use lockstep_exchanges::json::MAXIMUM_FRAME;
use lockstep_exchanges::model::{Scope, Venue};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    cases: Vec<Case<'a>>,
}

#[derive(Deserialize)]
struct Case<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
}

fn recorded(venue: Venue, file: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(venue.name())
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let file: File<'_> = serde_json::from_str(&text).unwrap();
    file.cases
        .iter()
        .map(|case| {
            // On one line, as venues send it.
            let value: serde_json::Value = serde_json::from_str(case.payload.get()).unwrap();
            value.to_string().into_bytes()
        })
        .collect()
}

/// xorshift64: a run is repeated by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

/// What decoders stumble over.
const WORDS: [&[u8]; 18] = [
    b"null",
    b"0",
    b"-1",
    b"1e400",
    b"1e-30",
    b"\"\"",
    b"{}",
    b"[]",
    b"true",
    b"99999999999999999999999999999999",
    b"\"SELL\"",
    b"\"buy\"",
    b"\"Sell\"",
    b"-0.0",
    b"\"NaN\"",
    b"\"1e5\"",
    b"\"-5\"",
    b"\\u0000",
];

fn mutate(frames: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut frame = frames[random.below(frames.len())].clone();
    for _ in 0..=random.below(4) {
        if frame.is_empty() {
            return frame;
        }
        let at = random.below(frame.len());
        let until = (at + 1 + random.below(24)).min(frame.len());
        match random.below(8) {
            0 => frame[at] ^= 1 << random.below(8),
            1 => frame[at] = u8::try_from(random.below(256)).unwrap(),
            2 => drop(frame.drain(at..until)),
            3 => {
                let part = frame[at..until].to_vec();
                frame.splice(at..at, part);
            }
            4 => frame.truncate(at),
            // A value is exchanged for a word.
            5 | 6 => {
                if let Some(colon) = frame[at..].iter().position(|byte| *byte == b':') {
                    let start = at + colon + 1;
                    let length = frame[start..]
                        .iter()
                        .position(|byte| matches!(byte, b',' | b'}' | b']'))
                        .unwrap_or(0);
                    frame.splice(
                        start..start + length,
                        WORDS[random.below(WORDS.len())].iter().copied(),
                    );
                }
            }
            _ => {
                let other = &frames[random.below(frames.len())];
                let from = random.below(other.len());
                let to = (from + random.below(40)).min(other.len());
                frame.splice(at..until, other[from..to].iter().copied());
            }
        }
    }
    frame
}

fn fuzz(venue: Venue) {
    let rounds = if std::env::var_os("LOCKSTEP_LONG").is_some() {
        1_000_000
    } else {
        10_000
    };
    let frames = recorded(venue, "ws.json");
    let replies = recorded(venue, "rest.json");
    assert!(!frames.is_empty() && !replies.is_empty());
    for protocol in check::protocols(venue) {
        let instruments = protocol.known_instruments();
        for frame in &frames {
            check::check(protocol.as_ref(), &instruments, frame);
        }
        for reply in &replies {
            check::check_reply(protocol.as_ref(), &instruments, reply);
        }
        let mut random = Random(0x1234_5678_9abc_def1);
        for round in 0..rounds {
            // A reply is read as twelve answers: one in ten is enough for it.
            let reply = round % 10 == 0;
            let frame = mutate(if reply { &replies } else { &frames }, &mut random);
            let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                if reply {
                    check::check_reply(protocol.as_ref(), &instruments, &frame);
                } else {
                    check::check(protocol.as_ref(), &instruments, &frame);
                }
            }));
            assert!(
                tried.is_ok(),
                "{venue}, round {round}: {}",
                String::from_utf8_lossy(&frame)
            );
        }
    }
}

/// The longest frame is read, and what is longer is refused before anything is made of it.
#[test]
fn a_frame_that_is_too_long_is_refused() {
    let long = |length: usize| {
        let mut frame = vec![b' '; length];
        frame[0] = b'{';
        frame[length - 1] = b'}';
        frame
    };
    for venue in Venue::ALL {
        for protocol in check::protocols(venue) {
            let instruments = protocol.known_instruments();
            for scope in [Scope::Private, Scope::Public] {
                let mut events = Vec::new();
                let refused = protocol
                    .decode(&long(MAXIMUM_FRAME + 1), scope, &instruments, &mut events)
                    .unwrap_err();
                assert!(
                    matches!(refused, DecodeError::TooLarge { .. }),
                    "{venue}: {refused}"
                );
                assert!(events.is_empty());
                let read = protocol.decode(&long(MAXIMUM_FRAME), scope, &instruments, &mut events);
                assert!(!matches!(read, Err(DecodeError::TooLarge { .. })), "{venue}");
            }
        }
    }
}

macro_rules! fuzz {
    ($($name:ident: $venue:ident;)*) => {
        $(#[test]
        fn $name() {
            fuzz(Venue::$venue);
        })*
    };
}

fuzz! {
    no_frame_of_binance_is_misread: Binance;
    no_frame_of_okx_is_misread: Okx;
    no_frame_of_bybit_is_misread: Bybit;
    no_frame_of_bitget_is_misread: Bitget;
    no_frame_of_deribit_is_misread: Deribit;
    no_frame_of_htx_is_misread: Htx;
    no_frame_of_hyperliquid_is_misread: Hyperliquid;
}
