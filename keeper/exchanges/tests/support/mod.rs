//! What the tests against simulators share: what was told of an account, and whether that is what the venue knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use lockstep_exchanges::follow::{Told, View};
use lockstep_exchanges::model::{Balance, Cause, Decimal, Fill, Instrument, Order, Position, Venue};
use lockstep_exchanges::protocol::{Endpoints, Environment, Protocol};
use lockstep_exchanges::simulate::server::Truth;
use lockstep_exchanges::venues::Generation;

/// What the follower told.
#[derive(Default)]
pub struct Heard {
    pub view: View,
    pub fills: Vec<Fill>,
    pub disagreements: u32,
    pub ended: Option<String>,
}

impl Heard {
    pub fn note(&mut self, told: Told) {
        match told {
            Told::View(view) => self.view = *view,
            Told::Fill { fill, .. } => self.fills.push(*fill),
            Told::Forced { order_id, cause, .. } => {
                for fill in self.fills.iter_mut().filter(|fill| fill.order_id == order_id) {
                    fill.cause = cause;
                }
            }
            Told::Disagreement(_) => self.disagreements += 1,
            Told::Ended(why) => self.ended = Some(why),
        }
    }
}

/// The venue's own paths at another address: `host:port`.
pub fn endpoints(protocol: &dyn Protocol, host: &str) -> Endpoints {
    protocol
        .endpoints(Environment::Main)
        .moved_to(&format!("http://{host}"))
}

/// A size worth about so much of the quote asset, as the instrument takes it.
pub fn size_worth(instrument: &Instrument, price: Decimal, worth: u64) -> Decimal {
    let units = instrument
        .from_base(Decimal::from(worth) / price, Some(price))
        .unwrap();
    let least = instrument.minimum_size.max(instrument.lot);
    let units = instrument.round_to_lot(units).max(least);
    instrument.to_base(units, Some(price)).unwrap()
}

/// As far as the venue says who caused a fill.
fn told_cause(generation: Generation, venue: Venue, cause: Cause) -> &'static str {
    match (venue, generation, cause) {
        // The socket of HTX v5 does not say it, only the message about the order, which comes after.
        (Venue::Htx, Generation::Current, _) => "anybody",
        (_, _, Cause::User) => "its owner",
        // One word for both.
        (Venue::Deribit | Venue::Htx, ..) => "the venue",
        (_, _, Cause::Liquidation) => "liquidation",
        _ => "deleveraging",
    }
}

type Compared<T> = BTreeMap<String, T>;

/// What is in one and not the other, one line each.
fn compare<T: PartialEq + std::fmt::Debug>(
    what: &str,
    ours: &Compared<T>,
    theirs: &Compared<T>,
    out: &mut String,
) {
    for (name, value) in theirs {
        match ours.get(name) {
            Some(same) if same == value => {}
            other => writeln!(out, "  {what} {name}: venue {value:?}, we {other:?}").unwrap(),
        }
    }
    for (name, value) in ours.iter().filter(|(name, _)| !theirs.contains_key(*name)) {
        writeln!(out, "  {what} {name}: venue nothing, we {value:?}").unwrap();
    }
}

/// What is known of an account and what the venue knows, where they are not the same, one line each. Of the venue's fills
/// the first `before` are from before anybody followed.
pub fn differences(
    venue: Venue,
    generation: Generation,
    truth: &Truth,
    before: usize,
    heard: &Heard,
) -> String {
    let mut out = String::new();
    if let Some(why) = &heard.ended {
        writeln!(out, "  not followed any more: {why}").unwrap();
    }
    if !heard.view.certain {
        writeln!(out, "  not certain").unwrap();
    }
    let position = |position: &Position| {
        (
            format!("{} {:?}", position.instrument, position.position_side),
            position.size.normalize(),
        )
    };
    compare(
        "position",
        &heard.view.positions.iter().map(position).collect(),
        &truth.positions.iter().map(position).collect(),
        &mut out,
    );
    let order = |order: &Order| {
        (
            order.order_id.to_string(),
            (
                order.instrument.clone(),
                order.side,
                order.size.map(|size| size.normalize()),
                order.filled.normalize(),
                order.price.map(|price| price.normalize()),
                order.status,
            ),
        )
    };
    compare(
        "order",
        &heard.view.orders.iter().map(order).collect(),
        &truth
            .orders
            .iter()
            .filter(|order| !order.status.is_final())
            .map(order)
            .collect(),
        &mut out,
    );
    // Hyperliquid tells what the account is worth with its positions, to six places each; elsewhere the wallet itself.
    let inexact = if venue == Venue::Hyperliquid {
        Decimal::new(1, 5)
    } else {
        Decimal::new(1, 6)
    };
    let wallet = |balance: &Balance| (balance.asset.to_string(), balance.wallet.normalize());
    let held = |balance: &Balance| match &truth.balance {
        Some(told) if (told.wallet - balance.wallet).abs() <= inexact => wallet(told),
        _ => wallet(balance),
    };
    compare(
        "wallet",
        // Some venues list currencies the account has nothing of.
        &heard
            .view
            .balances
            .iter()
            .filter(|balance| !balance.wallet.is_zero())
            // The truth is told of the asset that most instruments settle in; the account may have others.
            .filter(|balance| {
                truth
                    .balance
                    .as_ref()
                    .is_none_or(|told| told.asset == balance.asset)
            })
            .map(held)
            .collect(),
        &truth.balance.iter().map(wallet).collect(),
        &mut out,
    );
    // Wires print trade ids of their own, so fills are counted by what they say, and told apart by our ids.
    let ids: BTreeSet<_> = heard
        .fills
        .iter()
        .map(|fill| (&fill.instrument, &fill.trade_id))
        .collect();
    if ids.len() != heard.fills.len() {
        writeln!(out, "  {} fills were told twice", heard.fills.len() - ids.len()).unwrap();
    }
    let count = |fills: &[Fill]| -> Compared<u32> {
        let mut counted = Compared::new();
        for fill in fills {
            let said = format!(
                "{} {} {:?} {} at {} by {}, {}",
                fill.instrument,
                fill.order_id,
                fill.side,
                fill.size.normalize(),
                fill.price.normalize(),
                told_cause(generation, venue, fill.cause),
                fill.time_ms
            );
            *counted.entry(said).or_default() += 1;
        }
        counted
    };
    compare(
        "fill",
        &count(&heard.fills),
        &count(&truth.fills[before..]),
        &mut out,
    );
    out
}
