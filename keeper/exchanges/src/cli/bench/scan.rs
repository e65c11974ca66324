//! `scan_rate`: a condition over all symbols of all venues, on each update.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use lockstep_exchanges::aggregate::market::{Market, Quantity};
use lockstep_exchanges::aggregate::scanner::{Condition, Matches};
use lockstep_exchanges::model::{Decimal, Event, Funding, Mark, Text, Ticker, Venue};
use serde_json::json;

use super::{Figure, SYMBOLS};

/// Updates, and so evaluations of the whole table, per measurement.
const UPDATES: usize = 20_000;

/// The events a venue sends about a symbol. Prices have two decimals; the mark price of one symbol in `apart` is 0.2 %
/// above the middle, that of the others at it.
fn events(symbol: usize, apart: usize) -> anyhow::Result<[Event; 3]> {
    let instrument = name(symbol);
    let middle = Decimal::from(100 + symbol);
    let mark = if symbol.is_multiple_of(apart) {
        middle * Decimal::new(1_002, 3)
    } else {
        middle
    };
    let time_ms = u64::try_from(symbol)?;
    Ok([
        Event::Ticker(Ticker {
            instrument: instrument.clone(),
            bid: Some(middle - Decimal::new(1, 2)),
            ask: Some(middle + Decimal::new(1, 2)),
            time_ms,
            ..Ticker::default()
        }),
        Event::Mark(Mark {
            instrument: instrument.clone(),
            price: mark,
            index: None,
            time_ms,
        }),
        Event::Funding(Funding {
            instrument,
            rate: Decimal::new(1, 4),
            next_time_ms: None,
            interval_hours: Some(8),
            time_ms,
        }),
    ])
}

fn name(symbol: usize) -> Text {
    Text::from(format!("C{symbol:04}USDT"))
}

/// All symbols of all venues, fed with events as they come from the sockets.
fn market(apart: usize) -> anyhow::Result<Market> {
    let names: Vec<Text> = (0..SYMBOLS).map(name).collect();
    let mut market = Market::new(
        Venue::ALL
            .into_iter()
            .flat_map(|venue| names.iter().map(move |name| (venue, name.clone()))),
    );
    for venue in Venue::ALL {
        for symbol in 0..SYMBOLS {
            for event in events(symbol, apart)? {
                market.apply(venue, &event)?.context("a symbol of the table")?;
            }
        }
    }
    Ok(market)
}

/// The mark price is more than 0.1 % above the middle of bid and ask, and longs pay: `2000 mark > 1001 (bid + ask)`.
fn premium(market: &Market) -> anyhow::Result<Condition> {
    let column = |quantity| market.column(quantity);
    Ok(market.table().condition(
        &[
            (column(Quantity::Mark), 2_000),
            (column(Quantity::Bid), -1_001),
            (column(Quantity::Ask), -1_001),
        ],
        0,
    )?)
}

/// Symbols a second, and how many matched in each scan.
fn rate(apart: usize) -> anyhow::Result<(u64, usize)> {
    let mut market = market(apart)?;
    let condition = premium(&market)?;
    let symbols = market.len();
    // What arrives while it scans: best prices of one symbol after another, moved by a hundredth and back.
    let updates: Vec<(Venue, Event)> = (0..1_000)
        .map(|update| {
            let venue = *Venue::ALL.get(update % Venue::ALL.len()).context("a venue")?;
            let symbol = update * 7 % SYMBOLS;
            let middle = Decimal::from(100 + symbol);
            let half = Decimal::new(1 + i64::from(update % 2 == 0), 2);
            Ok((
                venue,
                Event::Ticker(Ticker {
                    instrument: name(symbol),
                    bid: Some(middle - half),
                    ask: Some(middle + half),
                    ..Ticker::default()
                }),
            ))
        })
        .collect::<anyhow::Result<_>>()?;
    let mut matches = Matches::default();
    let mut found = 0_usize;
    let begin = Instant::now();
    for (venue, event) in updates.iter().cycle().take(UPDATES) {
        market.apply(*venue, event)?;
        market.table().scan(black_box(&condition), &mut matches);
        // Whoever asked wants to know which they are.
        found += black_box(matches.rows().filter(|row| market.symbol(*row).is_some()).count());
    }
    let time = begin.elapsed();
    let expected = SYMBOLS.div_ceil(apart) * Venue::ALL.len();
    ensure!(
        found == expected * UPDATES,
        "{found} matches in {UPDATES} scans, not {expected} in each"
    );
    let evaluated = u128::try_from(symbols * UPDATES)?;
    let per_second = evaluated * 1_000_000_000 / time.as_nanos().max(1);
    Ok((u64::try_from(per_second)?, expected))
}

/// Once with few matches and once with every other row.
pub(super) fn measure() -> anyhow::Result<Vec<Figure>> {
    [100, 2]
        .into_iter()
        .map(|apart| {
            let (per_second, matches) = rate(apart)?;
            Ok(Figure::new(
                "scan_rate",
                per_second,
                "symbols/s",
                [
                    ("symbols", json!(SYMBOLS * Venue::ALL.len())),
                    ("matches", json!(matches)),
                    ("updates", json!(UPDATES)),
                ],
            ))
        })
        .collect()
}
