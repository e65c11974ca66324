//! The account's state over REST, for [`crate::account::AccountState::finish_snapshot`].

use std::collections::BTreeSet;

use crate::account::Snapshot;
use crate::model::Text;
use crate::operation::{Empty, FillQuery, Maybe, Operation, Reply};

use super::rest::{Client, ReadError};

/// Which fills a snapshot asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FillsSince {
    /// Not before, Unix milliseconds on the venue's clock: some time before the newest fill that was seen.
    pub start_ms: Option<u64>,
    /// Instruments to ask about one by one, where the venue wants that
    /// ([`crate::protocol::Protocol::lists_fills_by_instrument`]), beside those with a position or an open order; elsewhere
    /// one question is about all.
    pub instruments: BTreeSet<Text>,
}

/// Reads positions, balances, open orders and fills. The time of asking is taken first, and fills are read last: a fill
/// that changed the positions read here is among them or comes by the stream.
///
/// # Errors
/// When one of them cannot be read: half a snapshot is none.
pub async fn take(client: &Client, fills: &FillsSince) -> Result<Snapshot, ReadError> {
    if client.clock().is_measurement_due()
        && let Err(error) = client.measure_clock().await
        && client.clock().offset().is_none()
    {
        return Err(error);
    }
    let mut snapshot = Snapshot {
        asked_ms: client.clock().certainly_passed_ms(),
        ..Snapshot::default()
    };
    match client.read(&Operation::Positions(Maybe::default())).await? {
        Reply::Positions(positions) => snapshot.positions = Some(positions),
        other => return Err(unexpected(&other)),
    }
    match client.read(&Operation::Balances(Empty {})).await? {
        Reply::Balances(balances) => snapshot.balances = Some(balances),
        other => return Err(unexpected(&other)),
    }
    match client.read(&Operation::OpenOrders(Maybe::default())).await? {
        Reply::Orders(orders) => snapshot.open_orders = Some(orders),
        other => return Err(unexpected(&other)),
    }
    let instruments: Vec<Option<Text>> = if client.lists_fills_by_instrument() {
        let positions = snapshot
            .positions
            .iter()
            .flatten()
            .map(|position| &position.instrument);
        let orders = snapshot
            .open_orders
            .iter()
            .flatten()
            .map(|order| &order.instrument);
        let all: BTreeSet<&Text> = fills.instruments.iter().chain(positions).chain(orders).collect();
        all.into_iter().cloned().map(Some).collect()
    } else {
        vec![None]
    };
    for instrument in instruments {
        let query = FillQuery {
            instrument,
            start_ms: fills.start_ms,
            limit: client.most_fills(),
        };
        match client.read(&Operation::Fills(query)).await? {
            Reply::Fills(more) => snapshot.fills.extend(more),
            other => return Err(unexpected(&other)),
        }
    }
    snapshot.fills.sort_by_key(|fill| fill.time_ms);
    Ok(snapshot)
}

fn unexpected(_: &Reply) -> ReadError {
    ReadError::NoReply("a reply of another kind than was asked for".to_owned())
}
