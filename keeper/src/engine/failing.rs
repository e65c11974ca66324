//! What is left open about one strategy counts for that strategy alone: it is told with its id, counted, and asked again
//! at the next look, while the others go on.

use std::collections::{BTreeMap, BTreeSet};

use tracing::{debug, info, warn};

use crate::chain::RpcError;
use crate::state::StrategyId;

/// What is asked about a strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Its record, terms and markets.
    Record,
    /// Its vaults and their accounts.
    Accounts,
    /// Prices and the master's leverage.
    Markets,
    /// What a batch would do.
    Batch,
}

impl Step {
    const fn label(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Accounts => "accounts",
            Self::Markets => "markets",
            Self::Batch => "batch",
        }
    }
}

/// What was left open in one step, by strategy.
pub(super) type Open = BTreeMap<StrategyId, RpcError>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Failing(BTreeMap<(Step, StrategyId), RpcError>);

impl Failing {
    /// A step was taken for these strategies, or for all of them when `None`, and left these open.
    pub(super) fn settle(&mut self, step: Step, asked: Option<&BTreeSet<StrategyId>>, open: Open) {
        self.0.retain(|(of, strategy), _| {
            let answered = *of == step
                && asked.is_none_or(|asked| asked.contains(strategy))
                && !open.contains_key(strategy);
            if answered {
                info!(
                    strategy,
                    step = step.label(),
                    "questions about this strategy are answered again"
                );
            }
            !answered
        });
        for (strategy, error) in open {
            let step_name = step.label();
            metrics::counter!("keeper_strategy_failures_total", "step" => step_name).increment(1);
            // A lasting one is not said at every look.
            if self.0.contains_key(&(step, strategy)) {
                debug!(strategy, step = step_name, %error, "still left open");
            } else {
                warn!(strategy, step = step_name, %error, "left open for this strategy; the others go on, and the next look asks again");
            }
            self.0.insert((step, strategy), error);
        }
    }

    /// Strategies something is left open about.
    pub(super) fn strategies(&self) -> BTreeSet<StrategyId> {
        self.0.keys().map(|(_, strategy)| *strategy).collect()
    }

    /// Whether a step was left open for a strategy.
    pub(super) fn is_open(&self, step: Step, strategy: StrategyId) -> bool {
        self.0.contains_key(&(step, strategy))
    }

    /// What was left open, when it concerns every one of these: then it is the endpoint, not a strategy.
    pub(super) fn of_all(&self, mut strategies: impl Iterator<Item = StrategyId>) -> Option<RpcError> {
        let open = self.strategies();
        let error = self.0.values().next()?;
        strategies.all(|id| open.contains(&id)).then(|| error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_every_strategy_is_the_endpoint_s() {
        let error = RpcError::Unreadable { what: "test" };
        let mut failing = Failing::default();
        failing.settle(Step::Markets, None, Open::from([(1, error.clone())]));
        assert_eq!(failing.of_all([1].into_iter()), Some(error.clone()));
        assert_eq!(failing.of_all([1, 2].into_iter()), None);
        // Another strategy's answer says nothing about this one.
        failing.settle(Step::Markets, Some(&BTreeSet::from([2])), Open::new());
        assert!(failing.is_open(Step::Markets, 1));
        failing.settle(Step::Batch, None, Open::new());
        assert!(failing.is_open(Step::Markets, 1));
        failing.settle(Step::Markets, None, Open::new());
        assert_eq!(failing.of_all([1].into_iter()), None);
    }
}
