//! Every recorded message decodes to the event that stands in its snapshot, or is refused by name. The messages come
//! from `tests/fixtures`, see `SOURCES.md` there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::path::Path;

use lockstep_exchanges::model::{Scope, Venue};
use lockstep_exchanges::venues::protocol;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    cases: Vec<Case<'a>>,
}

#[derive(Deserialize)]
struct Case<'a> {
    #[serde(rename = "fn")]
    function: String,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// One line of the message, then what it says, on an account's socket; and on a public one where that differs.
fn decoded(venue: Venue) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(venue.name())
        .join("ws.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let file: File<'_> = serde_json::from_str(&text).unwrap();
    assert!(!file.cases.is_empty());
    let protocol = protocol(venue);
    let instruments = protocol.known_instruments();
    let mut out = String::new();
    for (index, case) in file.cases.iter().enumerate() {
        let frame = case.payload.get();
        let one_line: serde_json::Value = serde_json::from_str(frame).unwrap();
        let one_line = one_line.to_string();
        writeln!(
            out,
            "{index} {} {}",
            case.function,
            one_line.chars().take(150).collect::<String>()
        )
        .unwrap();
        let says = |scope| {
            let mut events = Vec::new();
            match protocol.decode(frame.as_bytes(), scope, &instruments, &mut events) {
                Ok(()) => events
                    .iter()
                    .map(|event| format!("  {}\n", serde_json::to_string(event).unwrap()))
                    .collect::<String>(),
                Err(error) => {
                    assert!(events.is_empty(), "events beside an error: {frame}");
                    format!("  refused, {}: {error}\n", error.code())
                }
            }
        };
        let (private, public) = (says(Scope::Private), says(Scope::Public));
        out.push_str(&private);
        if public != private {
            writeln!(out, "  on a public socket:").unwrap();
            out.push_str(&public);
        }
    }
    out
}

macro_rules! snapshot {
    ($name:ident, $venue:ident) => {
        #[test]
        fn $name() {
            insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(Venue::$venue.name(), decoded(Venue::$venue));
            });
        }
    };
}

snapshot!(binance_messages_decode_as_recorded, Binance);
snapshot!(okx_messages_decode_as_recorded, Okx);
snapshot!(bybit_messages_decode_as_recorded, Bybit);
snapshot!(bitget_messages_decode_as_recorded, Bitget);
snapshot!(deribit_messages_decode_as_recorded, Deribit);
snapshot!(htx_messages_decode_as_recorded, Htx);
snapshot!(hyperliquid_messages_decode_as_recorded, Hyperliquid);
