// What must hold of every frame, whoever sent it. Used by the short run of the test suite (`tests/fuzz.rs`) and by the
// targets of `cargo fuzz` (`fuzz/`).

use lockstep_exchanges::json::MAXIMUM_FRAME;
use lockstep_exchanges::model::{Decimal, Event, Fill, Instruments, Order, Scope, Side, Text, Trade, Venue};
use lockstep_exchanges::operation::{Empty, FillQuery, Maybe, OneInstrument, Operation, OrderRef, Reply};
use lockstep_exchanges::protocol::Protocol;
use lockstep_exchanges::request::{Access, Method, Request, Response};
use lockstep_exchanges::venues::{Generation, protocol_of};
use serde_json::Value;

/// What is decoded takes at most so many times the bytes it was decoded from: the smallest row that says anything, a trade
/// of six short members, has some forty bytes, the largest event some six hundred.
pub const MEMORY_FACTOR: usize = 32;
/// And so much beside that: a frame of one word may be an event.
pub const MEMORY_BASE: usize = 4 * 1024;

/// The words of a venue in all its generations.
pub fn protocols(venue: Venue) -> Vec<Box<dyn Protocol>> {
    let generations: &[Generation] = match venue {
        Venue::Bitget => &[Generation::Current, Generation::Next],
        Venue::Htx => &[Generation::Current, Generation::Legacy],
        _ => &[Generation::Current],
    };
    generations
        .iter()
        .map(|generation| protocol_of(venue, *generation))
        .collect()
}

/// Decodes a frame in every way and panics if anything is wrong with what it says.
pub fn check(protocol: &dyn Protocol, instruments: &Instruments, frame: &[u8]) {
    let mut events = Vec::new();
    for scope in [Scope::Private, Scope::Public] {
        events.clear();
        if protocol.decode(frame, scope, instruments, &mut events).is_err() {
            assert!(events.is_empty(), "events beside an error");
            continue;
        }
        let packed = frame.starts_with(&[0x1f, 0x8b]);
        // What is packed may be unpacked up to the longest frame.
        let read = if packed { MAXIMUM_FRAME } else { frame.len() };
        let memory: usize = events.iter().map(size).sum();
        assert!(
            memory <= read * MEMORY_FACTOR + MEMORY_BASE,
            "{} events of {memory} bytes from {read} bytes",
            events.len()
        );
        let sent = if packed {
            None
        } else {
            serde_json::from_slice::<Value>(frame).ok()
        };
        for event in &events {
            check_event(protocol.venue(), instruments, event, sent.as_ref());
        }
    }
    assert!(frame.len() <= MAXIMUM_FRAME || events.is_empty());
}

fn check_event(venue: Venue, instruments: &Instruments, event: &Event, sent: Option<&Value>) {
    match event {
        Event::Fill(fill) => {
            assert!(fill.size > Decimal::ZERO, "a fill of {}", fill.size);
            assert!(!fill.trade_id.is_empty() && !fill.instrument.is_empty());
            if let Some(sent) = sent {
                check_fill(venue, instruments, fill, sent);
            }
        }
        Event::Order(order) => {
            assert!(order.filled >= Decimal::ZERO);
            assert!(order.size.is_none_or(|size| size >= Decimal::ZERO));
            if let Some(sent) = sent {
                check_order(venue, order, sent);
            }
        }
        Event::Trade(trade) => {
            assert!(trade.size >= Decimal::ZERO);
            if let Some(sent) = sent {
                check_trade(venue, instruments, trade, sent);
            }
        }
        _ => {}
    }
    // What is said can be printed, for example on the command line.
    serde_json::to_string(event).unwrap();
}

/// Memory an event takes: itself and what it holds, by the text it prints as, which is longer.
fn size(event: &Event) -> usize {
    size_of::<Event>() + serde_json::to_string(event).map_or(0, |text| text.len())
}

/// Finds the object something was read from by its id, and reads its side from it a second time, in another way.
fn check_side<'a>(venue: Venue, id: &str, side: Side, sent: &'a Value) -> Vec<&'a Value> {
    let mut found = Vec::new();
    objects_with(sent, id, &mut found);
    let sides: Vec<Side> = found.iter().filter_map(|object| side_of(venue, object)).collect();
    assert!(
        sides.is_empty() || sides.contains(&side),
        "side {side:?} where {found:?} says {sides:?}"
    );
    found
}

/// The size is one of the numbers in the objects it was read from, in the venue's unit or in base units.
fn check_size(instruments: &Instruments, name: &Text, size: Decimal, price: Decimal, found: &[&Value]) {
    // Ids that are put together from several members are not found; recorded messages cover those.
    if found.is_empty() {
        return;
    }
    let Ok(instrument) = instruments.get(name) else {
        // Sizes in base units need no table.
        assert!(has_number(found, size), "size {size} is nowhere in {found:?}");
        return;
    };
    let fits = found.iter().flat_map(|object| numbers(object)).any(|number| {
        instrument
            .to_base(number, Some(price))
            .is_some_and(|base| base.abs() == size)
    });
    assert!(fits, "size {size} is nowhere in {found:?}");
}

fn check_fill(venue: Venue, instruments: &Instruments, fill: &Fill, sent: &Value) {
    let found = check_side(venue, &fill.trade_id, fill.side, sent);
    check_size(instruments, &fill.instrument, fill.size, fill.price, &found);
}

fn check_order(venue: Venue, order: &Order, sent: &Value) {
    check_side(venue, &order.order_id, order.side, sent);
}

fn check_trade(venue: Venue, instruments: &Instruments, trade: &Trade, sent: &Value) {
    let found = check_side(venue, &trade.trade_id, trade.side, sent);
    check_size(instruments, &trade.instrument, trade.size, trade.price, &found);
}

/// Reads a reply as the answer to every question we ask, and asks for the page after it.
pub fn check_reply(protocol: &dyn Protocol, instruments: &Instruments, body: &[u8]) {
    let response = Response::ok(body);
    let request = Request::new(Method::Get, "/", Access::Signed);
    let instrument: Text = "BTCUSDT".into();
    let of = || OneInstrument {
        instrument: instrument.clone(),
    };
    let operations = [
        Operation::ServerTime(Empty {}),
        Operation::Instruments(Empty {}),
        Operation::Ticker(of()),
        Operation::Mark(of()),
        Operation::Funding(of()),
        Operation::Balances(Empty {}),
        Operation::AccountMode(Empty {}),
        Operation::Positions(Maybe::default()),
        Operation::OpenOrders(Maybe::default()),
        Operation::Order(OrderRef {
            instrument: instrument.clone(),
            order_id: Some("1".into()),
            client_order_id: None,
        }),
        Operation::Fills(FillQuery::default()),
        Operation::CancelOrder(OrderRef {
            instrument: instrument.clone(),
            order_id: Some("1".into()),
            client_order_id: None,
        }),
    ];
    for operation in operations {
        let reply = protocol.reply(&operation, &response, instruments);
        let next = protocol.next_page(&operation, &request, &response);
        assert!(
            next.is_none_or(|next| next.path == request.path),
            "the next page is of another list"
        );
        if let Ok(Reply::Fills(fills)) = reply {
            for fill in fills {
                assert!(fill.size > Decimal::ZERO, "a fill of {}", fill.size);
            }
        }
    }
}

fn objects_with<'a>(value: &'a Value, id: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            if members.values().any(|member| is_text(member, id)) {
                found.push(value);
            }
            // The order around a fill names the side, the fill the size.
            let inner_has = members.values().any(|member| match member {
                Value::Array(list) => list.iter().any(|item| {
                    item.as_object()
                        .is_some_and(|item| item.values().any(|one| is_text(one, id)))
                }),
                _ => false,
            });
            if inner_has {
                found.push(value);
            }
            members
                .values()
                .for_each(|member| objects_with(member, id, found));
        }
        Value::Array(list) => list.iter().for_each(|item| objects_with(item, id, found)),
        _ => {}
    }
}

fn is_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(string) => string == text,
        Value::Number(number) => number.to_string() == text,
        _ => false,
    }
}

fn side_of(venue: Venue, object: &Value) -> Option<Side> {
    let word = |name: &str| object.get(name).and_then(Value::as_str);
    let side = ["S", "side", "direction"]
        .into_iter()
        .find_map(word)
        .and_then(|word| match word.to_ascii_lowercase().as_str() {
            "buy" | "b" => Some(Side::Buy),
            "sell" | "a" => Some(Side::Sell),
            _ => None,
        })?;
    // Bitget v2 names the side of the position in hedge mode, not that of the order.
    let hedge = word("posMode").is_some_and(|mode| mode == "hedge_mode");
    let closes = word("tradeSide").is_some_and(|trade| trade.contains("close"));
    if venue == Venue::Bitget && hedge && closes {
        None
    } else {
        Some(side)
    }
}

fn numbers(object: &Value) -> Vec<Decimal> {
    object
        .as_object()
        .into_iter()
        .flat_map(|members| members.values())
        .filter_map(|member| match member {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => {
                let text = number.to_string();
                text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
            }
            _ => None,
        })
        .collect()
}

fn has_number(objects: &[&Value], wanted: Decimal) -> bool {
    objects
        .iter()
        .flat_map(|object| numbers(object))
        .any(|number: Decimal| number.abs() == wanted)
}
