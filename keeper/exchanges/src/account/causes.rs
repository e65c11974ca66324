//! Who caused a fill, where the fill itself does not say: HTX's v5 socket names the cause on the order alone, and the two
//! messages come in either order.

use std::collections::{HashMap, VecDeque};

use crate::model::{Cause, Fill, Order, Text};

/// Orders remembered. The oldest makes room.
const ORDERS: usize = 4_096;

#[derive(Debug, Default)]
struct Known {
    cause: Option<Cause>,
    /// A fill of it was told as the owner's.
    told_as_user: bool,
}

/// What is known of the orders behind fills. Memory is bounded.
#[derive(Debug, Default)]
pub(super) struct Causes {
    orders: HashMap<Text, Known>,
    oldest_first: VecDeque<Text>,
}

impl Causes {
    /// The cause to tell with a fill: its own, or its order's where that is known to be another's than the owner's.
    pub(super) fn of(&mut self, fill: &Fill) -> Cause {
        if fill.cause != Cause::User || fill.order_id.is_empty() {
            return fill.cause;
        }
        let known = self.entry(&fill.order_id);
        let cause = known.cause.unwrap_or(Cause::User);
        known.told_as_user |= cause == Cause::User;
        cause
    }

    /// Takes an order's word for it. Some when fills of this order were told as the owner's and were not.
    pub(super) fn learn(&mut self, order: &Order) -> Option<Cause> {
        if order.cause == Cause::User {
            return None;
        }
        let known = self.entry(&order.order_id);
        known.cause = Some(order.cause);
        std::mem::take(&mut known.told_as_user).then_some(order.cause)
    }

    fn entry(&mut self, order_id: &Text) -> &mut Known {
        if !self.orders.contains_key(order_id) {
            if self.oldest_first.len() == ORDERS
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.orders.remove(&oldest);
            }
            self.oldest_first.push_back(order_id.clone());
        }
        self.orders.entry(order_id.clone()).or_default()
    }
}
