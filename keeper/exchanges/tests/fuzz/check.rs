// What must hold of every frame, whoever sent it. Used by the short run of the test suite (`tests/fuzz.rs`) and by the
// targets of `cargo fuzz` (`fuzz/`).

use lockstep_exchanges::json::MAXIMUM_FRAME;
use lockstep_exchanges::model::{Decimal, Event, Fill, Instruments, Scope, Side, Venue};
use lockstep_exchanges::protocol::Protocol;
use lockstep_exchanges::venues::{Generation, protocol_of};
use serde_json::Value;

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
        // A list in a frame has at least a byte for each of its items; an item gives at most a handful of events.
        assert!(
            events.len() <= frame.len().max(16) * 4,
            "{} events from {} bytes",
            events.len(),
            frame.len()
        );
        let sent = if frame.starts_with(&[0x1f, 0x8b]) {
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
        }
        Event::Trade(trade) => assert!(trade.size >= Decimal::ZERO),
        _ => {}
    }
    // What is said can be printed, for example on the command line.
    serde_json::to_string(event).unwrap();
}

/// Finds the object a fill was read from by its trade id and reads side and size from it a second time, in another way.
fn check_fill(venue: Venue, instruments: &Instruments, fill: &Fill, sent: &Value) {
    let mut found = Vec::new();
    objects_with(sent, &fill.trade_id, &mut found);
    // Ids that are put together from several members are not found; recorded messages cover those.
    if found.is_empty() {
        return;
    }
    let sides: Vec<Side> = found.iter().filter_map(|object| side_of(venue, object)).collect();
    assert!(
        sides.is_empty() || sides.contains(&fill.side),
        "side {:?} where {found:?} says {sides:?}",
        fill.side
    );
    let Ok(instrument) = instruments.get(&fill.instrument) else {
        // Sizes in base units need no table.
        assert!(
            has_number(&found, fill.size),
            "size {} is nowhere in {found:?}",
            fill.size
        );
        return;
    };
    let fits = found.iter().flat_map(|object| numbers(object)).any(|number| {
        instrument
            .to_base(number, Some(fill.price))
            .is_some_and(|base| base.abs() == fill.size)
    });
    assert!(fits, "size {} is nowhere in {found:?}", fill.size);
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
