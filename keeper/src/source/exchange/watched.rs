//! What was heard of one master: the newest view, who caused the last trade, and how long it has been uncertain.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use lockstep_exchanges::follow::{Told, View};
use lockstep_exchanges::model::{Cause, Text};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{ALARM, ExchangeMaster, Followed, ForcedTrades};

/// What was heard of a master.
pub(super) struct Watched<'a> {
    followed: &'a Followed,
    view: View,
    uncertain_since: Instant,
    alarmed: bool,
    /// Instruments in which the exchange traded last, not the master, where that is not followed.
    held: BTreeSet<Text>,
}

impl<'a> Watched<'a> {
    /// Nothing was heard yet.
    pub(super) fn new(followed: &'a Followed) -> Self {
        Self {
            followed,
            view: View::default(),
            uncertain_since: Instant::now(),
            alarmed: false,
            held: BTreeSet::new(),
        }
    }

    /// The account as it was told last.
    pub(super) const fn view(&self) -> &View {
        &self.view
    }

    /// Whether nothing of this instrument is attested, because the exchange moved the position and not the master.
    pub(super) fn is_held(&self, instrument: &Text) -> bool {
        self.held.contains(instrument)
    }

    /// Breaks when the master is not followed any more.
    pub(super) fn hear(&mut self, message: Told) -> ControlFlow<()> {
        let Followed { master, board } = self.followed;
        match message {
            Told::View(new) => {
                if self.view.certain && !new.certain {
                    self.uncertain_since = Instant::now();
                }
                self.view = *new;
                board.set_certain(self.view.certain);
            }
            Told::Fill { fill, repaired } => {
                self.traded(&fill.instrument, fill.cause);
                metrics::counter!("keeper_exchange_fills_total", "venue" => master.venue.name(),
                    "repaired" => if repaired { "true" } else { "false" })
                .increment(1);
            }
            Told::Forced {
                instrument,
                order_id,
                cause,
            } => {
                warn!(strategy = master.strategy, %order_id, "what was taken for the master's trade was not");
                self.traded(&instrument, cause);
            }
            Told::Disagreement(_) => {
                metrics::counter!("keeper_exchange_disagreements_total", "venue" => master.venue.name())
                    .increment(1);
            }
            Told::Ended(why) => {
                error!(strategy = master.strategy, venue = %master.venue, why, "the master is not followed any more");
                board.ended();
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Takes note of who traded in an instrument last.
    fn traded(&mut self, instrument: &Text, cause: Cause) {
        let ExchangeMaster {
            strategy,
            forced_trades,
            ..
        } = self.followed.master;
        if cause == Cause::User {
            if self.held.remove(instrument) {
                info!(strategy, %instrument, "the master trades again: the state is followed again");
            }
            return;
        }
        warn!(strategy, %instrument, ?cause, "the exchange traded for the master, who did not wish it");
        if forced_trades == ForcedTrades::Hold && self.held.insert(instrument.clone()) {
            error!(strategy, %instrument, "followers keep their position until the master trades in it again");
        }
    }

    /// Whether the state may be attested; an alarm when it has not been known for too long.
    pub(super) fn is_certain(&mut self) -> bool {
        let master = &self.followed.master;
        if self.view.certain {
            self.alarmed = false;
        } else if !self.alarmed && self.uncertain_since.elapsed() > ALARM {
            self.alarmed = true;
            error!(strategy = master.strategy, venue = %master.venue, "the master's account has not been known for a minute: followers stay where they are");
        }
        self.view.certain
    }
}

#[cfg(test)]
mod tests {
    use lockstep_exchanges::health::{Health, Limits};
    use lockstep_exchanges::model::Venue;

    use super::*;
    use crate::source::board::{MasterBoard, ReadBy};

    /// Whether the market is held back after these trades.
    fn is_held(policy: &str, causes: &[Cause]) -> bool {
        let master: ExchangeMaster = serde_json::from_value(serde_json::json!({
            "strategy": 1, "venue": "okx", "key": "k", "forced_trades": policy, "markets": { "ETH-USD": "ETH" },
        }))
        .unwrap();
        let health = Health::new(Venue::Okx, Limits::default());
        let followed = Followed {
            board: MasterBoard::new(1, Venue::Okx, ReadBy::Account, health),
            master,
        };
        let mut watched = Watched::new(&followed);
        for cause in causes {
            watched.traded(&"ETH".into(), *cause);
        }
        watched.is_held(&"ETH".into())
    }

    #[tokio::test]
    async fn what_the_exchange_forced_is_followed_or_held_until_the_master_trades_again() {
        use Cause::{AutoDeleveraging, Liquidation, Settlement, User};
        for forced in [Liquidation, AutoDeleveraging, Settlement] {
            assert!(!is_held("follow", &[User, forced]));
            assert!(is_held("hold", &[User, forced]));
            assert!(!is_held("hold", &[forced, forced, User]));
        }
    }
}
