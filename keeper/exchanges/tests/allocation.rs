//! Decoding a fill allocates nothing but what the event itself owns: text that is longer than fits into it, such as an
//! address of 42 characters. Counted by the allocator, per thread.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use lockstep_exchanges::model::{Event, Fee, Fill, Instruments, Order, Position, Scope, Text, Venue};
use lockstep_exchanges::protocol::Protocol;
use lockstep_exchanges::venues::{Generation, protocol_of};
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

fn recorded(venue: Venue) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(venue.name())
        .join("ws.json");
    std::fs::read_to_string(path).unwrap()
}

fn on_the_heap<'a>(texts: impl IntoIterator<Item = Option<&'a Text>>) -> u64 {
    texts
        .into_iter()
        .flatten()
        .map(|text| u64::from(text.is_heap_allocated()))
        .sum()
}

/// How many pieces of the heap an event owns.
fn owned(event: &Event) -> u64 {
    match event {
        Event::Fill(Fill {
            instrument,
            trade_id,
            order_id,
            client_order_id,
            fee,
            user,
            ..
        }) => on_the_heap([
            Some(instrument),
            Some(trade_id),
            Some(order_id),
            client_order_id.as_ref(),
            fee.as_ref().map(|Fee { asset, .. }| asset),
            user.as_ref(),
        ]),
        Event::Order(Order {
            instrument,
            order_id,
            client_order_id,
            venue_status,
            ..
        }) => on_the_heap([
            Some(instrument),
            Some(order_id),
            client_order_id.as_ref(),
            Some(venue_status),
        ]),
        Event::Position(Position { instrument, .. }) => on_the_heap([Some(instrument)]),
        other => panic!("not beside a fill: {other:?}"),
    }
}

/// Allocations while a frame is decoded into a list that has room.
fn allocations(
    protocol: &dyn Protocol,
    instruments: &Instruments,
    frame: &[u8],
    events: &mut Vec<Event>,
) -> u64 {
    events.clear();
    let counted = allocation_counter::measure(|| {
        protocol
            .decode(frame, Scope::Private, instruments, events)
            .unwrap();
    });
    counted.count_total
}

/// Every recorded frame with a fill of a venue; how many there were.
fn check(venue: Venue, generation: Generation, form: fn(&[u8]) -> Vec<u8>) -> usize {
    let protocol = protocol_of(venue, generation);
    let instruments = protocol.known_instruments();
    let text = recorded(venue);
    let file: File<'_> = serde_json::from_str(&text).unwrap();
    let mut events = Vec::with_capacity(64);
    let mut fills = 0;
    for case in &file.cases {
        let frame = form(case.payload.get().as_bytes());
        events.clear();
        // The first time, too, so that what a thread keeps is there.
        if protocol
            .decode(&frame, Scope::Private, &instruments, &mut events)
            .is_err()
            || !events.iter().any(|event| matches!(event, Event::Fill(_)))
        {
            continue;
        }
        let counted = allocations(protocol.as_ref(), &instruments, &frame, &mut events);
        let expected: u64 = events.iter().map(owned).sum();
        assert_eq!(
            counted,
            expected,
            "{venue}: allocations beyond what the events own, of {}",
            case.payload.get()
        );
        fills += 1;
    }
    fills
}

#[test]
fn decoding_a_fill_allocates_nothing_but_what_the_event_owns() {
    for venue in Venue::ALL {
        let fills = check(venue, Generation::Current, <[u8]>::to_vec);
        // Of these two no fill of a perpetual was recorded: theirs are below.
        let documented = matches!(venue, Venue::Binance | Venue::Okx);
        assert!(fills > 0 || documented, "{venue}: no recorded fill");
    }
}

#[test]
fn neither_does_inflating_it() {
    let gzip = |frame: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(frame).unwrap();
        encoder.finish().unwrap()
    };
    assert!(check(Venue::Htx, Generation::Current, gzip) > 0);
}

#[test]
fn neither_do_the_documented_fills() {
    let binance = include_str!("fixtures/fills/binance.json").trim();
    let combined = format!(r#"{{"stream":"key@orderTradeUpdate","data":{binance}}}"#);
    // Binance's fast message about the same fill.
    let fast = r#"{"e":"TRADE_LITE","E":1721895408092,"T":1721895408214,"s":"BTCUSDT","q":"0.001","p":"0","m":false,"c":"z8hcUoOsqEdKMeKPSABslD","S":"BUY","L":"64089.20","l":"0.040","t":109100866,"i":8886774}"#;
    let okx = include_str!("fixtures/fills/okx.json");
    for (venue, frame) in [
        (Venue::Binance, binance),
        (Venue::Binance, &combined),
        (Venue::Binance, fast),
        (Venue::Okx, okx),
    ] {
        let protocol = protocol_of(venue, Generation::Current);
        let instruments = protocol.known_instruments();
        let mut events = Vec::with_capacity(4);
        assert_eq!(
            allocations(protocol.as_ref(), &instruments, frame.as_bytes(), &mut events),
            0,
            "{frame}"
        );
        assert!(matches!(events.first(), Some(Event::Fill(_))), "{events:?}");
    }
}

/// The count counts: an id of 25 characters is one allocation in the fill and one in the order, a shorter one none.
#[test]
fn a_long_id_is_the_events_own_allocation() {
    let protocol = protocol_of(Venue::Okx, Generation::Current);
    let instruments = protocol.known_instruments();
    let mut events = Vec::with_capacity(4);
    for (id, expected) in [("twenty-four-characters-x", 0), ("twenty-five-characters-xx", 2)] {
        let frame = format!(
            r#"{{"arg":{{"channel":"orders","instType":"SWAP"}},"data":[{{"instType":"SWAP","instId":"BTC-USDT-SWAP","ordId":"1","clOrdId":"{id}","side":"buy","posSide":"net","ordType":"market","sz":"1","px":"","state":"filled","accFillSz":"1","avgPx":"50000","category":"normal","uTime":"1700000000000","tradeId":"7","fillSz":"1","fillPx":"50000","fillTime":"1700000000000","execType":"T","fillFee":"-0.1","fillFeeCcy":"USDT"}}]}}"#
        );
        let counted = allocations(protocol.as_ref(), &instruments, frame.as_bytes(), &mut events);
        assert_eq!(events.len(), 2);
        assert_eq!(counted, expected, "{id}");
        assert_eq!(events.iter().map(owned).sum::<u64>(), expected);
    }
}
