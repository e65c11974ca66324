//! The chain sink: turns decisions into `mirror…` transactions. Also remembers who is not worth naming again for a
//! while, so that an account the chain will not move does not cost a batch every block.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolCall as _;
use async_trait::async_trait;
use lockstep_contracts::bindings::IMirrorEngine;
use lockstep_contracts::fills::{Fill, encode_accounts};
use tracing::{debug, warn};

use super::{Simulated, Stopwatch, SubmitError, Submitter};
use crate::chain::reverts;
use crate::confirm::Tracker;
use crate::journal::{NewJob, SignalSeen};
use crate::plan::{Decision, Order, Sink};
use crate::state::{AccountIndex, MarketIndex, StrategyId};

/// How a batch proves the signal it answers.
#[derive(Debug, Clone)]
pub enum ProofPath {
    /// The contract reads the venue.
    Venue,
    /// The signal is already stored.
    Stored,
    /// A signal signed just now.
    Signed {
        /// The signal.
        signal: IMirrorEngine::Signal,
        /// Who signed.
        proof: u8,
        /// The signature.
        signature: Bytes,
    },
}

/// Waits that double from one failure to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    until: Instant,
    failures: u32,
}

impl Wait {
    pub(crate) fn longer(before: Option<&Self>, first: Duration, most: Duration) -> Self {
        let failures = before.map_or(0, |wait| wait.failures.saturating_add(1));
        Self {
            until: Instant::now() + first.saturating_mul(1 << failures.min(16)).min(most),
            failures,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// Who waits, and for how long.
#[derive(Debug, Default)]
pub struct Patience {
    accounts: HashMap<(Address, MarketIndex, AccountIndex), Wait>,
    batches: HashMap<(Address, MarketIndex), Wait>,
}

impl Patience {
    /// True while the account is not worth naming.
    #[must_use]
    pub fn waits(&self, vault: Address, market: MarketIndex, account: AccountIndex) -> bool {
        self.accounts
            .get(&(vault, market, account))
            .is_some_and(|wait| !wait.is_over())
    }

    /// True while batches for the market keep failing.
    #[must_use]
    pub fn batch_waits(&self, vault: Address, market: MarketIndex) -> bool {
        self.batches
            .get(&(vault, market))
            .is_some_and(|wait| !wait.is_over())
    }

    /// Learns from what a batch did.
    pub fn learn(&mut self, vault: Address, market: MarketIndex, fills: &[Fill]) {
        self.batches.remove(&(vault, market));
        for fill in fills {
            let key = (vault, market, fill.account);
            if fill.outcome.traded() {
                self.accounts.remove(&key);
            } else {
                let wait = Wait::longer(
                    self.accounts.get(&key),
                    Duration::from_secs(15),
                    Duration::from_secs(30 * 60),
                );
                self.accounts.insert(key, wait);
            }
        }
    }

    /// A batch would revert, or did.
    pub fn failed(&mut self, vault: Address, market: MarketIndex) {
        let key = (vault, market);
        let wait = Wait::longer(
            self.batches.get(&key),
            Duration::from_secs(2),
            Duration::from_secs(120),
        );
        self.batches.insert(key, wait);
    }

    /// The master traded: everyone is worth naming again.
    pub fn forget(&mut self, vaults: &[Address], market: MarketIndex) {
        self.accounts
            .retain(|(vault, of, _), _| *of != market || !vaults.contains(vault));
        self.batches
            .retain(|(vault, of), _| *of != market || !vaults.contains(vault));
    }
}

/// What became of a decision.
#[derive(Debug, Default)]
pub struct Taken {
    /// Batches sent.
    pub sent: usize,
    /// Batches the chain would refuse.
    pub refused: usize,
}

/// See the module.
pub struct ChainSink<'a> {
    /// Signs and sends.
    pub submitter: &'a mut Submitter,
    /// Follows what was sent.
    pub tracker: &'a mut Tracker,
    /// Who waits.
    pub patience: &'a mut Patience,
    /// The engine contract.
    pub engine: Address,
    /// How the signal is proved.
    pub proof: ProofPath,
    /// Latency of this decision so far.
    pub watch: Option<Stopwatch>,
}

#[async_trait]
impl Sink for ChainSink<'_> {
    type Taken = Result<Taken, SubmitError>;

    async fn take(&mut self, decision: &Decision) -> Self::Taken {
        let mut taken = Taken::default();
        // A batch that does not fit or is refused is halved a few times: a thin market may take half of it.
        let mut orders: Vec<(Order, u32)> = decision
            .orders
            .iter()
            .rev()
            .map(|order| (order.clone(), 0))
            .collect();
        let mut observed_at = decision.observed_at;
        while let Some((order, halvings)) = orders.pop() {
            let calldata = self.calldata(&order, observed_at);
            let simulated = match self.watch.as_mut() {
                Some(watch) => watch.rpc(self.submitter.simulate(self.engine, &calldata)).await?,
                None => self.submitter.simulate(self.engine, &calldata).await?,
            };
            match simulated {
                Simulated::Fits(gas) => {
                    self.send(decision, &order, observed_at, calldata, gas).await?;
                    taken.sent += 1;
                }
                Simulated::Reverts(revert)
                    if observed_at != 0
                        && matches!(
                            reverts::name(&revert),
                            Some("SignalTooOld" | "SignalNotNewer" | "SignalFromFuture")
                        ) =>
                {
                    // The time of the trade only feeds the delay figure: without it the batch says "now".
                    debug!(reason = reverts::detail(&revert), "time of the trade left out");
                    observed_at = 0;
                    orders.push((order, halvings));
                }
                Simulated::TooLarge(_) | Simulated::Reverts(_)
                    if order.accounts.len() > 1 && halvings < 3 =>
                {
                    if let Simulated::Reverts(revert) = &simulated {
                        debug!(vault = %order.vault, reason = reverts::detail(revert), "batch refused; halved");
                    }
                    let (first, second) = halve(&order);
                    orders.push((second, halvings + 1));
                    orders.push((first, halvings + 1));
                }
                Simulated::TooLarge(gas) => {
                    warn!(vault = %order.vault, market = order.market, gas, "one account alone does not fit a transaction");
                    self.patience.failed(order.vault, order.market);
                    taken.refused += 1;
                }
                Simulated::Reverts(revert) => {
                    let reason = reverts::detail(&revert);
                    warn!(
                        strategy = decision.strategy, vault = %order.vault, market = order.market,
                        accounts = order.accounts.len(), reason, "the chain would refuse this batch"
                    );
                    metrics::counter!("keeper_batches_refused_total", "code" => reverts::code(&revert))
                        .increment(1);
                    self.patience.failed(order.vault, order.market);
                    taken.refused += 1;
                }
            }
        }
        Ok(taken)
    }
}

impl ChainSink<'_> {
    fn calldata(&self, order: &Order, observed_at: u64) -> Bytes {
        let accounts = Bytes::from(encode_accounts(&order.accounts));
        let (vault, market) = (order.vault, order.market);
        match &self.proof {
            ProofPath::Venue => IMirrorEngine::mirrorVenueCall {
                vault,
                market,
                observedAt: observed_at,
                accounts,
            }
            .abi_encode(),
            ProofPath::Stored => IMirrorEngine::mirrorStoredCall {
                vault,
                market,
                accounts,
            }
            .abi_encode(),
            ProofPath::Signed {
                signal,
                proof,
                signature,
            } => IMirrorEngine::mirrorSignedCall {
                vault,
                signal: signal.clone(),
                proof: *proof,
                signature: signature.clone(),
                accounts,
            }
            .abi_encode(),
        }
        .into()
    }

    async fn send(
        &mut self,
        decision: &Decision,
        order: &Order,
        observed_at: u64,
        calldata: Bytes,
        gas: u64,
    ) -> Result<(), SubmitError> {
        let seen = self.signal(decision, observed_at);
        let job = NewJob {
            kind: "mirror",
            cause: format!(
                "strategy {} market {} to leverage {}, {} accounts",
                decision.strategy,
                decision.market,
                decision.leverage,
                order.accounts.len()
            ),
            vault: Some(order.vault),
            market: Some(order.market),
            target: self.engine,
            calldata,
            gas,
            relays: Vec::new(),
        };
        let flight = self.submitter.submit(job, Some(&seen), self.watch).await?;
        self.tracker.track(flight);
        // Only one batch can carry a new signed signal; the next ones use it as stored, and the next look sends them.
        if let ProofPath::Signed { .. } = self.proof {
            self.proof = ProofPath::Stored;
        }
        Ok(())
    }

    fn signal(&self, decision: &Decision, observed_at: u64) -> SignalSeen {
        let (sequence, signature) = match &self.proof {
            ProofPath::Signed {
                signal, signature, ..
            } => (Some(signal.sequence), Some(signature.clone())),
            _ => (None, None),
        };
        SignalSeen {
            strategy: decision.strategy,
            market: decision.market,
            leverage: decision.leverage,
            sequence,
            observed_at,
            signature,
        }
    }
}

fn halve(order: &Order) -> (Order, Order) {
    let all: Vec<AccountIndex> = order.accounts.iter().copied().collect();
    let (first, second) = all.split_at(all.len() / 2);
    let part = |accounts: &[AccountIndex]| Order {
        accounts: accounts.iter().copied().collect::<BTreeSet<_>>(),
        ..order.clone()
    };
    (part(first), part(second))
}

/// A strategy's local market.
pub type Pair = (StrategyId, MarketIndex);

#[cfg(test)]
mod tests {
    use lockstep_contracts::fills::Outcome;
    use lockstep_contracts::units::{Size, Usdc};

    use super::*;

    fn fill(account: u32, outcome: Outcome) -> Fill {
        Fill {
            account,
            outcome,
            size_delta: Size(0),
            quote_delta: Usdc(0),
            fee: Usdc(0),
        }
    }

    #[test]
    fn an_account_the_chain_does_not_move_waits_until_the_master_trades() {
        let vault = Address::repeat_byte(1);
        let mut patience = Patience::default();
        patience.learn(
            vault,
            0,
            &[fill(1, Outcome::SlippageBound), fill(2, Outcome::Moved)],
        );
        assert!(patience.waits(vault, 0, 1));
        assert!(!patience.waits(vault, 0, 2));
        assert!(!patience.waits(vault, 1, 1));
        patience.forget(&[vault], 0);
        assert!(!patience.waits(vault, 0, 1));
    }

    #[test]
    fn halves_hold_everyone_once() {
        let order = Order {
            vault: Address::ZERO,
            market: 0,
            accounts: (1..=7).collect(),
            reduces: false,
        };
        let (first, second) = halve(&order);
        assert!(first.accounts.is_disjoint(&second.accounts));
        assert_eq!(first.accounts.len() + second.accounts.len(), 7);
    }
}
