//! What each venue allows, what each operation costs there, and how its replies tell what is left. The figures are those
//! of the fact sheets; where a sheet marks one as unsure, the lower one is used, and the venue's headers correct it.

use std::time::Duration;

use crate::error::{Refusal, ReplyError};
use crate::model::Venue;
use crate::operation::Operation;
use crate::request::Response;

use super::limiter::{Feedback, Kind, Rule};

/// The buckets of a venue.
#[must_use]
pub fn rules(venue: Venue) -> Vec<Rule> {
    let requests = |capacity, seconds| Rule::new(Kind::Requests, capacity, Duration::from_secs(seconds));
    let orders = |capacity, seconds| Rule::new(Kind::Orders, capacity, Duration::from_secs(seconds));
    match venue {
        Venue::Binance => vec![requests(2_400, 60), orders(300, 10), orders(1_200, 60)],
        // The narrowest reads; orders as if all were of one instrument.
        Venue::Okx => vec![requests(10, 2), orders(60, 2)],
        Venue::Bybit => vec![requests(600, 5), orders(10, 1)],
        Venue::Bitget => vec![requests(20, 1), requests(6_000, 60), orders(10, 1)],
        // 50,000 credits of 500, refilled at 10,000 a second; 20 orders, refilled at 5 a second.
        Venue::Deribit => vec![requests(100, 5), orders(20, 4)],
        Venue::Htx => vec![requests(36, 3), orders(36, 3)],
        Venue::Hyperliquid => vec![requests(1_200, 60)],
    }
}

/// What an operation takes from the buckets: weight of requests, number of orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Of [`Kind::Requests`].
    pub requests: u32,
    /// Of [`Kind::Orders`].
    pub orders: u32,
}

/// How many orders an operation sends, changes or cancels.
fn order_count(operation: &Operation) -> u32 {
    let many = |length: usize| u32::try_from(length.max(1)).unwrap_or(u32::MAX);
    match operation {
        Operation::PlaceOrders(orders) => many(orders.orders.len()),
        Operation::CancelOrders(orders) => many(orders.orders.len()),
        Operation::PlaceStopLadder(ladder) => many(ladder.rungs.len()),
        Operation::PlaceOrder(_)
        | Operation::AmendOrder(_)
        | Operation::CancelOrder(_)
        | Operation::CancelAllOrders(_)
        | Operation::ClosePosition(_)
        | Operation::PlaceConditionalOrder(_)
        | Operation::CancelConditionalOrder(_) => 1,
        _ => 0,
    }
}

/// The cost of an operation at a venue.
#[must_use]
pub fn cost(venue: Venue, operation: &Operation) -> Cost {
    let orders = order_count(operation);
    let requests = match venue {
        Venue::Binance => binance_weight(operation),
        Venue::Hyperliquid => hyperliquid_weight(operation, orders),
        // Orders have buckets of their own there.
        Venue::Okx | Venue::Deribit | Venue::Htx if orders > 0 => 0,
        _ => 1,
    };
    Cost { requests, orders }
}

fn binance_weight(operation: &Operation) -> u32 {
    match operation {
        Operation::Book(query) => match query.depth.unwrap_or(100) {
            0..=50 => 2,
            51..=100 => 5,
            101..=500 => 10,
            _ => 20,
        },
        Operation::Klines(query) => match query.limit.unwrap_or(500) {
            0..=99 => 1,
            100..=499 => 2,
            500..=1_000 => 5,
            _ => 10,
        },
        Operation::Balances(_) | Operation::Positions(_) | Operation::Fills(_) | Operation::Trades(_) => 5,
        Operation::OpenOrders(of) if of.instrument.is_none() => 40,
        Operation::AccountMode(_) => 30,
        Operation::PlaceOrder(_) => 4,
        Operation::PlaceOrders(_) => 5,
        Operation::CancelAllAfter(_) => 10,
        _ => 1,
    }
}

fn hyperliquid_weight(operation: &Operation, orders: u32) -> u32 {
    match operation {
        _ if orders > 0 => 1 + orders / 40,
        Operation::Ticker(_) | Operation::Book(_) | Operation::Order(_) => 2,
        Operation::Balances(_) | Operation::Positions(_) => 2,
        operation if !operation.is_read() => 1,
        // Fills and klines cost more the longer the answer is. Who names a time asks for what a gap left, rarely more than
        // 400 fills; otherwise the most it can be. What was booked too low the venue's refusals correct.
        Operation::Fills(query) if query.start_ms.is_some() => 40,
        Operation::Fills(_) | Operation::Klines(_) => 120,
        _ => 20,
    }
}

/// How long to stay away when a venue says "too many" without saying how long.
const UNTOLD: Duration = Duration::from_secs(2);
/// Bybit closes its doors to an address for ten minutes.
const BYBIT_ADDRESS_BAN: Duration = Duration::from_secs(600);
/// A ban nobody put a time to: the shortest Binance documents.
const BAN: Duration = Duration::from_secs(120);

/// What a reply says of the limits. `now_ms` is the venue's time, Unix milliseconds.
#[must_use]
pub fn feedback(
    venue: Venue,
    operation: &Operation,
    response: &Response,
    reply: Result<(), &ReplyError>,
    now_ms: u64,
) -> Vec<Feedback> {
    let mut told = Vec::new();
    let number = |name: &str| {
        response
            .header(name)
            .and_then(|value| value.trim().parse::<u64>().ok())
    };
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let kind = if order_count(operation) > 0 && venue != Venue::Hyperliquid {
        Kind::Orders
    } else {
        Kind::Requests
    };
    match venue {
        Venue::Binance => {
            let mut used = |header: &str, kind, seconds| {
                if let Some(used) = number(header) {
                    told.push(Feedback::Used {
                        kind,
                        window: Duration::from_secs(seconds),
                        used: small(used),
                    });
                }
            };
            used("x-mbx-used-weight-1m", Kind::Requests, 60);
            used("x-mbx-order-count-10s", Kind::Orders, 10);
            used("x-mbx-order-count-1m", Kind::Orders, 60);
        }
        // Bybit counts each path by itself: what is left of an order's path is what is left for orders. Paths that read
        // have more than the bucket, which counts the address.
        Venue::Bybit if kind == Kind::Orders => {
            if let Some(left) = number("x-bapi-limit-status") {
                told.push(Feedback::Left {
                    kind,
                    left: small(left),
                    until: number("x-bapi-limit-reset-timestamp").map(|at| until(at, now_ms)),
                });
            }
        }
        Venue::Htx => {
            if let Some(left) = number("ratelimit-remaining") {
                told.push(Feedback::Left {
                    kind,
                    left: small(left),
                    until: number("ratelimit-reset").map(|at| until(at, now_ms)),
                });
            }
        }
        Venue::Bitget if kind == Kind::Orders => {
            if let Some(left) = number("x-mbx-used-remain-limit") {
                told.push(Feedback::Left {
                    kind,
                    left: small(left),
                    until: None,
                });
            }
        }
        _ => {}
    }
    if let Some(closed) = closed(venue, kind, response, reply, now_ms) {
        told.push(closed);
    }
    told
}

fn until(at_ms: u64, now_ms: u64) -> Duration {
    Duration::from_millis(at_ms.saturating_sub(now_ms))
}

fn closed(
    venue: Venue,
    kind: Kind,
    response: &Response,
    reply: Result<(), &ReplyError>,
    now_ms: u64,
) -> Option<Feedback> {
    let number = |name: &str| {
        response
            .header(name)
            .and_then(|value| value.trim().parse::<u64>().ok())
    };
    // Nobody is told to stay away for longer than Binance's longest ban, three days: more is a broken header.
    let longest = Duration::from_secs(3 * 86_400);
    let retry_after = number("retry-after").map(|seconds| Duration::from_secs(seconds).min(longest));
    if response.status == 418 {
        return Some(Feedback::Banned {
            wait: retry_after.unwrap_or(BAN),
        });
    }
    if venue == Venue::Bybit && response.status == 403 {
        return Some(Feedback::Banned {
            wait: BYBIT_ADDRESS_BAN,
        });
    }
    let refused = matches!(
        reply,
        Err(ReplyError::Refused(error)) if error.refusal == Refusal::RateLimited
    );
    if response.status != 429 && !refused {
        return None;
    }
    let told = retry_after.or_else(|| {
        let reset = match venue {
            Venue::Bybit => number("x-bapi-limit-reset-timestamp"),
            Venue::Htx => number("ratelimit-reset"),
            _ => None,
        }?;
        Some(until(reset, now_ms).min(longest))
    });
    Some(Feedback::Closed {
        // Binance counts orders and weight and does not say which was too much.
        kind: (venue != Venue::Binance).then_some(kind),
        wait: told.unwrap_or(UNTOLD),
    })
}

/// How long an act that was sent may still take effect at a venue, by the timestamp it was signed with: after that the
/// venue itself refuses it, however late it arrives.
#[must_use]
pub const fn validity(venue: Venue) -> Option<Duration> {
    match venue {
        // recvWindow, when the request names none.
        Venue::Binance | Venue::Bybit => Some(Duration::from_secs(5)),
        Venue::Okx | Venue::Bitget => Some(Duration::from_secs(30)),
        Venue::Htx => Some(Duration::from_secs(300)),
        // A request without an end of its own (`valid_until`, `expiresAfter`) has none that is documented.
        Venue::Deribit | Venue::Hyperliquid => None,
    }
}

/// How long an order that was taken may be missing from the answers to queries. No venue documents a figure; Binance
/// writes that it happens.
pub const LAG: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::VenueError;
    use crate::operation::{Empty, Maybe, OrderRef};

    fn response(status: u16, headers: &[(&str, &str)]) -> Response {
        Response {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: Vec::new(),
        }
    }

    fn read() -> Operation {
        Operation::ServerTime(Empty {})
    }

    fn cancel() -> Operation {
        Operation::CancelOrder(OrderRef::default())
    }

    #[test]
    fn binance_tells_what_was_used_in_each_window() {
        let headers = [("x-mbx-used-weight-1m", "77"), ("x-mbx-order-count-10s", "9")];
        let told = feedback(Venue::Binance, &read(), &response(200, &headers), Ok(()), 0);
        assert_eq!(
            told,
            [
                Feedback::Used {
                    kind: Kind::Requests,
                    window: Duration::from_secs(60),
                    used: 77
                },
                Feedback::Used {
                    kind: Kind::Orders,
                    window: Duration::from_secs(10),
                    used: 9
                },
            ]
        );
    }

    #[test]
    fn a_ban_closes_everything_for_the_told_time() {
        let told = feedback(
            Venue::Binance,
            &read(),
            &response(418, &[("retry-after", "180")]),
            Ok(()),
            0,
        );
        assert_eq!(
            told,
            [Feedback::Banned {
                wait: Duration::from_secs(180)
            }]
        );
        let told = feedback(Venue::Bybit, &read(), &response(403, &[]), Ok(()), 0);
        assert_eq!(
            told,
            [Feedback::Banned {
                wait: Duration::from_secs(600)
            }]
        );
    }

    #[test]
    fn too_many_is_understood_by_status_and_by_code() {
        let told = feedback(
            Venue::Bybit,
            &cancel(),
            &response(
                200,
                &[
                    ("x-bapi-limit-status", "0"),
                    ("x-bapi-limit-reset-timestamp", "1700000000500"),
                ],
            ),
            Err(&ReplyError::Refused(VenueError::new(
                Venue::Bybit,
                Refusal::RateLimited,
                "10006",
                "Too many visits",
            ))),
            1_700_000_000_000,
        );
        let wait = Duration::from_millis(500);
        assert_eq!(
            told,
            [
                Feedback::Left {
                    kind: Kind::Orders,
                    left: 0,
                    until: Some(wait)
                },
                Feedback::Closed {
                    kind: Some(Kind::Orders),
                    wait
                },
            ]
        );
        let told = feedback(Venue::Okx, &read(), &response(429, &[]), Ok(()), 0);
        assert_eq!(
            told,
            [Feedback::Closed {
                kind: Some(Kind::Requests),
                wait: UNTOLD
            }]
        );
    }

    #[test]
    fn a_broken_header_closes_nothing_for_ever() {
        let headers = [("retry-after", "99999999999999")];
        let told = feedback(Venue::Okx, &read(), &response(429, &headers), Ok(()), 0);
        assert_eq!(
            told,
            [Feedback::Closed {
                kind: Some(Kind::Requests),
                wait: Duration::from_secs(259_200)
            }]
        );
    }

    #[test]
    fn every_operation_fits_in_every_bucket_of_its_venue() {
        let all_orders = Operation::OpenOrders(Maybe::default());
        for venue in Venue::ALL {
            for rule in rules(venue) {
                let cost = cost(venue, &all_orders);
                let taken = match rule.kind {
                    Kind::Requests => cost.requests,
                    Kind::Orders => cost.orders,
                };
                assert!(taken <= rule.capacity - rule.reserve_for_acts, "{venue}");
            }
        }
    }
}
