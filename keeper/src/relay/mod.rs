//! Followers' signatures on their way to the chain: [`door`] takes them in, [`validate`] refuses what the chain would
//! refuse, the journal keeps them, [`Relay`] sends them. Anyone else may relay the same item; that it is already done is
//! then not a failure.

mod done;
pub mod door;
pub mod validate;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall as _;
use futures_util::stream::{self, StreamExt as _};
use lockstep_contracts::bindings::IMirrorEngine;
use lockstep_contracts::deployment::Deployment;
use lockstep_contracts::relay::{Intent, SignedIntent, SignedMandate, TokenPermit};
use tracing::{debug, info, warn};

use crate::chain::{Call, Receipt, Revert, Rpc, RpcError, reverts};
use crate::confirm::{Flight, Tracker};
use crate::engine::outcome::{followed, relay_failures};
use crate::journal::{Journal, NewJob, Queued, RelayOutcome};
use crate::submit::sink::Wait;
use crate::submit::{Simulated, SubmitError, Submitter};

/// Gas of `followMany` besides its mandates.
const OVERHEAD: u64 = 60_000;

/// Estimates asked for at once: a full queue must not cost the trades their endpoint.
const ESTIMATES: usize = 8;

/// How long a mandate waits that a question was left open about, at first and at the most. Exits never wait.
const OPEN_FIRST: Duration = Duration::from_secs(5);
const OPEN_MOST: Duration = Duration::from_secs(120);

/// The code of an item whose nonce is used: by itself, or by something else.
const SPENT: &str = "nonce-spent";

/// Sends what is queued.
#[derive(Debug)]
pub struct Relay {
    engine: Address,
    /// Block of the deployment: nothing of ours is older.
    birth: u64,
    per_batch: usize,
    /// Mandates that a question was left open about, and until when they wait.
    open: HashMap<B256, Wait>,
}

/// A mandate ready to be sent.
struct Ready {
    id: B256,
    signed: SignedMandate,
    /// Gas of this mandate alone. `followMany` catches what a mandate does wrong, running out of gas included, so an
    /// estimate of the whole call would find the least gas with which all of them fail.
    gas: u64,
}

pub(crate) fn signed_mandate(signed: &SignedMandate) -> IMirrorEngine::SignedMandate {
    IMirrorEngine::SignedMandate {
        mandate: (&signed.mandate).into(),
        permitNonce: signed.permit_nonce,
        permitDeadline: signed.permit_deadline,
        signature: signed.signature.clone(),
    }
}

pub(crate) fn token_permit(permit: Option<&TokenPermit>) -> IMirrorEngine::TokenPermit {
    permit.map_or_else(
        || IMirrorEngine::TokenPermit {
            value: U256::ZERO,
            deadline: U256::ZERO,
            v: 0,
            r: B256::ZERO,
            s: B256::ZERO,
        },
        |permit| IMirrorEngine::TokenPermit {
            value: permit.value,
            deadline: permit.deadline,
            v: permit.v,
            r: permit.r,
            s: permit.s,
        },
    )
}

/// The call that carries an intent.
pub(crate) fn intent_call(signed: &SignedIntent) -> Bytes {
    let signature = signed.signature.clone();
    match signed.intent {
        Intent::Stop {
            follower,
            strategy,
            nonce,
            deadline,
        } => IMirrorEngine::stopCall {
            intent: IMirrorEngine::Stop {
                follower,
                strategy,
                nonce,
                deadline,
            },
            signature,
        }
        .abi_encode(),
        Intent::Withdraw {
            follower,
            strategy,
            amount,
            nonce,
            deadline,
        } => IMirrorEngine::withdrawCall {
            intent: IMirrorEngine::Withdraw {
                follower,
                strategy,
                amount,
                nonce,
                deadline,
            },
            signature,
        }
        .abi_encode(),
    }
    .into()
}

/// The call that carries one mandate, for a simulation of it alone.
pub(crate) fn follow_call(signed: &SignedMandate) -> Bytes {
    let permit = token_permit(signed.token_permit.as_ref());
    IMirrorEngine::followCall {
        signed: signed_mandate(signed),
        permit,
    }
    .abi_encode()
    .into()
}

impl Relay {
    /// For one deployment.
    #[must_use]
    pub fn new(deployment: &Deployment, per_batch: usize) -> Self {
        Self {
            engine: deployment.engine,
            birth: deployment.deployment_block,
            open: HashMap::new(),
            per_batch: per_batch.max(1),
        }
    }

    /// Sends everything queued. What the chain would refuse now is rejected with its reason. Exits go first: nobody who
    /// joins keeps anybody from leaving.
    ///
    /// # Errors
    /// When a question about an item went unanswered or the journal fails; that item stays queued, the others are sent
    /// all the same, and what was sent is tracked.
    pub async fn send(
        &mut self,
        rpc: &dyn Rpc,
        journal: &Journal,
        submitter: &mut Submitter,
        tracker: &mut Tracker,
        queued: Vec<Queued>,
    ) -> Result<(), SubmitError> {
        let mut mandates = Vec::new();
        let mut open = None;
        for item in queued {
            match parse(&item) {
                // A wallet whose check takes a node too long would cost every look a timeout.
                Some(Parsed::Mandate(_)) if self.open.get(&item.id).is_some_and(|wait| !wait.is_over()) => {}
                Some(Parsed::Mandate(signed)) => mandates.push(Ready {
                    id: item.id,
                    signed: *signed,
                    gas: 0,
                }),
                Some(Parsed::Intent(signed)) => {
                    let sent = self.intent(journal, submitter, item.id, &signed).await;
                    if let Some(flight) = unless_unanswered(sent, &mut open)?.flatten() {
                        tracker.track(flight);
                    }
                }
                None => {
                    journal
                        .reject(item.id, "malformed", "the journal holds no readable item")
                        .await?
                }
            }
        }
        let deep = tracker.confirmations();
        let mandates = self
            .refuse_early(rpc, journal, submitter, mandates, deep, &mut open)
            .await?;
        for batch in mandates.chunks(self.per_batch) {
            self.follow_many(submitter, tracker, batch).await?;
        }
        open.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn refuse_early(
        &mut self,
        rpc: &dyn Rpc,
        journal: &Journal,
        submitter: &Submitter,
        mandates: Vec<Ready>,
        deep: u64,
        open: &mut Option<RpcError>,
    ) -> Result<Vec<Ready>, SubmitError> {
        if mandates.is_empty() {
            return Ok(mandates);
        }
        let asked = stream::iter(mandates.iter().map(async |ready| {
            let call = Call {
                from: Some(submitter.address()),
                to: self.engine,
                data: follow_call(&ready.signed),
            };
            rpc.estimate(&call).await
        }));
        let estimates: Vec<_> = asked.buffered(ESTIMATES).collect().await;
        let mut good = Vec::with_capacity(mandates.len());
        for (mut ready, estimate) in mandates.into_iter().zip(estimates) {
            let id = ready.id;
            let settled = match estimate {
                Ok(Ok(gas)) => {
                    ready.gas = gas;
                    good.push(ready);
                    Ok(())
                }
                Ok(Err(revert)) => self.refused(rpc, journal, &ready, &revert, deep).await,
                Err(error) => Err(error.into()),
            };
            if unless_unanswered(settled, open)?.is_some() {
                self.open.remove(&id);
            } else {
                let wait = Wait::longer(self.open.get(&id), OPEN_FIRST, OPEN_MOST);
                self.open.insert(id, wait);
            }
        }
        Ok(good)
    }

    /// What the chain would refuse: it is in a block already, or it is refused.
    async fn refused(
        &self,
        rpc: &dyn Rpc,
        journal: &Journal,
        ready: &Ready,
        revert: &Revert,
        deep: u64,
    ) -> Result<(), SubmitError> {
        let (id, mandate) = (ready.id, &ready.signed.mandate);
        let code = reverts::code(revert);
        if code == SPENT {
            let head = rpc.head().await?.number;
            if let Some(done) = done::find(rpc, self.engine, self.birth, head, mandate).await? {
                // Not deep yet: what a reorganisation takes back would never be sent again. The next look asks again.
                if head.saturating_add(1) >= done.block.saturating_add(deep) {
                    info!(%id, follower = %mandate.follower, block = done.block, "followed already");
                    journal.done(id, done.transaction, done.block).await?;
                }
                return Ok(());
            }
        }
        let reason = reverts::detail(revert);
        info!(%id, follower = %mandate.follower, reason, "mandate refused");
        Ok(journal.reject(id, &code, &reason).await?)
    }

    /// What became of the items a mined job carried, in call order.
    ///
    /// # Errors
    /// When the chain cannot be asked whether somebody else carried one before.
    pub(crate) async fn outcomes(
        &self,
        rpc: &dyn Rpc,
        items: &[Queued],
        receipt: &Receipt,
    ) -> Result<Vec<(B256, RelayOutcome)>, RpcError> {
        let mut outcomes = outcomes(items, receipt);
        for (item, (_, outcome)) in items.iter().zip(&mut outcomes) {
            let spent = matches!(outcome, RelayOutcome::Rejected { code, .. } if code == SPENT);
            let Some(Parsed::Mandate(signed)) = parse(item).filter(|_| spent) else {
                continue;
            };
            let (birth, block) = (self.birth, receipt.block);
            if let Some(done) = done::find(rpc, self.engine, birth, block, &signed.mandate).await? {
                *outcome = RelayOutcome::Done {
                    transaction: done.transaction,
                    block: done.block,
                };
            }
        }
        Ok(outcomes)
    }

    async fn follow_many(
        &self,
        submitter: &mut Submitter,
        tracker: &mut Tracker,
        batch: &[Ready],
    ) -> Result<(), SubmitError> {
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let calldata: Bytes = IMirrorEngine::followManyCall {
                signed: part.iter().map(|ready| signed_mandate(&ready.signed)).collect(),
                permits: part
                    .iter()
                    .map(|ready| token_permit(ready.signed.token_permit.as_ref()))
                    .collect(),
            }
            .abi_encode()
            .into();
            let estimate = part
                .iter()
                .fold(OVERHEAD, |sum, ready| sum.saturating_add(ready.gas));
            match submitter.gas_limit(estimate) {
                Some(gas) => {
                    let job = NewJob {
                        kind: "follow",
                        cause: format!("{} mandates", part.len()),
                        vault: None,
                        market: None,
                        target: self.engine,
                        calldata,
                        gas,
                        relays: part.iter().map(|ready| ready.id).collect(),
                    };
                    tracker.track(submitter.submit(job, None, None).await?);
                }
                None if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push(second);
                    parts.push(first);
                }
                None => warn!(estimate, "a mandate does not fit a transaction; it stays queued"),
            }
        }
        Ok(())
    }

    async fn intent(
        &self,
        journal: &Journal,
        submitter: &mut Submitter,
        id: B256,
        signed: &SignedIntent,
    ) -> Result<Option<Flight>, SubmitError> {
        let (kind, follower, vault) = match signed.intent {
            Intent::Stop {
                follower, strategy, ..
            } => ("stop", follower, strategy),
            Intent::Withdraw {
                follower, strategy, ..
            } => ("withdraw", follower, strategy),
        };
        let calldata = intent_call(signed);
        match submitter.simulate(self.engine, &calldata).await? {
            Simulated::Fits(gas) => {
                let job = NewJob {
                    kind,
                    cause: format!("{kind} of {follower}"),
                    vault: Some(vault),
                    market: None,
                    target: self.engine,
                    calldata,
                    gas,
                    relays: vec![id],
                };
                Ok(Some(submitter.submit(job, None, None).await?))
            }
            Simulated::TooLarge(gas) => {
                warn!(%id, gas, "an intent does not fit a transaction; it stays queued");
                Ok(None)
            }
            Simulated::Reverts(revert) => {
                info!(%id, %follower, reason = reverts::detail(&revert), "intent refused");
                journal
                    .reject(id, &reverts::code(&revert), &reverts::detail(&revert))
                    .await?;
                Ok(None)
            }
        }
    }
}

/// Keeps what one item left open, and lets the others go on.
fn unless_unanswered<T>(
    result: Result<T, SubmitError>,
    open: &mut Option<RpcError>,
) -> Result<Option<T>, SubmitError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(SubmitError::Rpc(error)) => {
            warn!(%error, "left open about one item: it stays queued, the others go on");
            metrics::counter!("keeper_relays_open_total").increment(1);
            open.get_or_insert(error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The vaults that mandates name: somebody comes.
pub(crate) fn vaults(queued: &[Queued]) -> BTreeSet<Address> {
    let mandates = queued.iter().filter_map(|item| match parse(item) {
        Some(Parsed::Mandate(signed)) => Some(signed.mandate.strategy),
        _ => None,
    });
    mandates.collect()
}

enum Parsed {
    Mandate(Box<SignedMandate>),
    Intent(SignedIntent),
}

fn parse(item: &Queued) -> Option<Parsed> {
    match item.kind.as_str() {
        "mandate" => serde_json::from_str(&item.body)
            .ok()
            .map(|signed| Parsed::Mandate(Box::new(signed))),
        "intent" => serde_json::from_str(&item.body).ok().map(Parsed::Intent),
        _ => None,
    }
}

/// What became of the items a mined job carried, in call order, as its receipt tells.
fn outcomes(items: &[Queued], receipt: &Receipt) -> Vec<(B256, RelayOutcome)> {
    let reverted = || RelayOutcome::Rejected {
        code: "reverted".into(),
        detail: "the transaction was included and reverted; nothing was moved".into(),
    };
    let (accepted, failures) = (followed(receipt), relay_failures(receipt));
    items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let outcome = match parse(item) {
                _ if !receipt.success => reverted(),
                Some(Parsed::Mandate(signed)) => {
                    let mandate = &signed.mandate;
                    let done = accepted.iter().any(|event| {
                        (event.follower, event.strategy, event.nonce)
                            == (mandate.follower, mandate.strategy, mandate.nonce)
                    });
                    if done {
                        RelayOutcome::Included
                    } else {
                        failures
                            .iter()
                            .find(|event| {
                                event.item == U256::from(index) && event.follower == mandate.follower
                            })
                            .map_or_else(reverted, |event| {
                                let revert = Revert {
                                    data: event.reason.clone(),
                                    message: String::new(),
                                };
                                RelayOutcome::Rejected {
                                    code: reverts::code(&revert),
                                    detail: reverts::detail(&revert),
                                }
                            })
                    }
                }
                _ => RelayOutcome::Included,
            };
            (item.id, outcome)
        })
        .collect()
}

/// Simulates and sends one call; the inner error says why the chain would refuse it.
pub(crate) async fn send_one(
    submitter: &mut Submitter,
    kind: &'static str,
    cause: String,
    vault: Option<Address>,
    target: Address,
    calldata: Bytes,
) -> Result<Result<Flight, String>, SubmitError> {
    match submitter.simulate(target, &calldata).await? {
        Simulated::Fits(gas) => {
            let job = NewJob {
                kind,
                cause,
                vault,
                market: None,
                target,
                calldata,
                gas,
                relays: Vec::new(),
            };
            Ok(Ok(submitter.submit(job, None, None).await?))
        }
        Simulated::TooLarge(gas) => Ok(Err(format!("{gas} gas do not fit a transaction"))),
        Simulated::Reverts(revert) => {
            debug!(kind, reason = reverts::detail(&revert), "the chain would refuse");
            Ok(Err(reverts::detail(&revert)))
        }
    }
}
