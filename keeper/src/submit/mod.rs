//! Simulate, sign, write down, hand over. In that order: what is not in the journal is never sent, and what was sent is
//! in flight until the chain says otherwise.

pub mod fees;
pub mod key;
pub mod nonce;
pub mod sink;

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, Bytes};
use tracing::{error, info, warn};

use crate::chain::{Answer, Call, Rpc, RpcError, SendOutcome};
use crate::confirm::Flight;
use crate::journal::{Attempt, Job, JobId, JobState, Journal, JournalError, NewJob, SignalSeen, now_ms};
use crate::plan::GasModel;
use fees::Fees;
use key::{Key, KeyError, Unsigned};
use nonce::Nonces;

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The journal cannot be written: the keeper stops.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No endpoint answers.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// Signing failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What a simulation said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Simulated {
    /// Gas limit to sign with.
    Fits(u64),
    /// It works, but not in one transaction.
    TooLarge(u64),
    /// The chain would refuse it.
    Reverts(crate::chain::Revert),
}

/// Time since an observation, RPC round trips apart.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    started: Instant,
    rpc: Duration,
}

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self::since(Instant::now())
    }

    /// Started when the event was received.
    #[must_use]
    pub const fn since(started: Instant) -> Self {
        Self {
            started,
            rpc: Duration::ZERO,
        }
    }

    /// Counts an RPC round trip apart.
    pub async fn rpc<T>(&mut self, call: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let value = call.await;
        self.rpc += started.elapsed();
        value
    }

    /// The keeper's own time so far.
    #[must_use]
    pub fn own(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.rpc)
    }
}

/// See the module.
pub struct Submitter {
    rpc: Arc<dyn Rpc>,
    journal: Journal,
    key: Key,
    chain_id: u64,
    nonces: Nonces,
    policy: fees::Policy,
    gas: GasModel,
    quote: Fees,
}

impl Submitter {
    /// Resumes from what the chain and the journal know.
    ///
    /// # Errors
    /// When either does not answer.
    pub async fn resume(
        rpc: Arc<dyn Rpc>,
        journal: Journal,
        key: Key,
        chain_id: u64,
        policy: fees::Policy,
        gas: GasModel,
    ) -> Result<Self, SubmitError> {
        let nonces = Nonces::resume(rpc.nonce(key.address()).await?, journal.next_nonce().await?);
        let mut submitter = Self {
            rpc,
            journal,
            key,
            chain_id,
            nonces,
            policy,
            gas,
            quote: Fees::default(),
        };
        let head = submitter.rpc.head().await?;
        submitter.refresh_fees(head.base_fee).await;
        Ok(submitter)
    }

    /// The keeper's address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.key.address()
    }

    /// The key, for signed signals.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// Fees are fetched ahead, so that they cost nothing when a master trades.
    pub async fn refresh_fees(&mut self, base_fee: u128) {
        let tip = match self.rpc.priority_fee().await {
            Ok(tip) => tip,
            Err(RpcError::Refused { .. }) => 0,
            Err(_) => self.quote.tip,
        };
        self.quote = self.policy.quote(base_fee, tip);
    }

    /// The chain's count of this key's transactions.
    pub fn seen_on_chain(&mut self, count: u64) {
        self.nonces.seen_on_chain(count);
    }

    /// The nonce of the next job.
    #[must_use]
    pub const fn next_nonce(&self) -> u64 {
        self.nonces.peek()
    }

    /// The chain went back below nonces that no job was written for: they are given out again.
    pub fn lower_nonce(&mut self, nonce: u64) {
        self.nonces.lower(nonce);
    }

    /// Uses up a nonce that no job holds, so that later ones are not stuck behind it: nothing, sent to ourselves.
    /// `None` when the chain would refuse even that.
    ///
    /// # Errors
    /// As [`Self::submit`], and when no endpoint answers.
    pub async fn fill(&mut self, nonce: u64) -> Result<Option<Flight>, SubmitError> {
        let (target, calldata) = (self.key.address(), Bytes::new());
        let Simulated::Fits(gas) = self.simulate(target, &calldata).await? else {
            warn!(
                nonce,
                "a transfer of nothing is refused; is the key's address a contract?"
            );
            return Ok(None);
        };
        let job = NewJob {
            kind: "fill",
            cause: format!("nonce {nonce} is free again and belongs to no job"),
            vault: None,
            market: None,
            target,
            calldata,
            gas,
            relays: Vec::new(),
        };
        self.submit_at(nonce, job, None, None).await.map(Some)
    }

    /// Gas limit for an estimate, `None` when it does not fit a transaction.
    #[must_use]
    pub fn gas_limit(&self, estimate: u64) -> Option<u64> {
        // A limit cut by the cap to less than the estimate needs as headroom is too little for calls that catch errors.
        self.gas
            .limit(estimate)
            .filter(|limit| *limit < crate::plan::TX_GAS_CAP)
    }

    /// Runs the call on the latest state, from the keeper's address.
    ///
    /// # Errors
    /// When no endpoint answers.
    pub async fn simulate(&self, to: Address, calldata: &Bytes) -> Result<Simulated, RpcError> {
        let call = Call {
            from: Some(self.key.address()),
            to,
            data: calldata.clone(),
        };
        let answer: Answer<u64> = self.rpc.estimate(&call).await?;
        Ok(match answer {
            Ok(estimate) => self
                .gas
                .limit(estimate)
                .map_or(Simulated::TooLarge(estimate), Simulated::Fits),
            Err(revert) => Simulated::Reverts(revert),
        })
    }

    /// Signs, writes down, hands over.
    ///
    /// # Errors
    /// When it could not be signed or written; then it was not sent.
    pub async fn submit(
        &mut self,
        job: NewJob,
        signal: Option<&SignalSeen>,
        watch: Option<Stopwatch>,
    ) -> Result<Flight, SubmitError> {
        self.submit_at(self.nonces.peek(), job, signal, watch).await
    }

    async fn submit_at(
        &mut self,
        nonce: u64,
        job: NewJob,
        signal: Option<&SignalSeen>,
        watch: Option<Stopwatch>,
    ) -> Result<Flight, SubmitError> {
        let unsigned = Unsigned {
            chain_id: self.chain_id,
            nonce,
            gas: job.gas,
            to: job.target,
            calldata: job.calldata.clone(),
        };
        let attempt = self.key.sign(&unsigned, self.quote)?;
        let id = self.journal.plan(&job, nonce, &attempt, signal).await?;
        self.nonces.taken(nonce);
        if let Some(watch) = watch {
            metrics::histogram!("keeper_event_to_submit_seconds").record(watch.own());
            metrics::histogram!("keeper_event_to_submit_rpc_seconds").record(watch.rpc);
        }
        metrics::counter!("keeper_jobs_total", "kind" => job.kind).increment(1);
        info!(job = id, nonce, kind = job.kind, cause = job.cause, transaction = %attempt.hash, gas = job.gas, "sending");
        let mut flight = Flight::new(Job {
            id,
            kind: job.kind.to_owned(),
            cause: job.cause,
            vault: job.vault,
            market: job.market,
            target: job.target,
            calldata: job.calldata,
            gas: job.gas,
            nonce,
            state: JobState::Signed,
            transaction: None,
            block: None,
            success: None,
            attempts: vec![attempt],
            created_at: now_ms(),
        });
        self.hand_over(&mut flight).await?;
        Ok(flight)
    }

    /// Sends the newest signed bytes of a job, again if need be: they can only ever be mined once.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn hand_over(&mut self, flight: &mut Flight) -> Result<(), SubmitError> {
        let Some(attempt) = flight.job.attempts.last() else {
            return Ok(());
        };
        let (job, nonce, hash) = (flight.job.id, flight.job.nonce, attempt.hash);
        flight.sent = Instant::now();
        let outcome = self.rpc.send(&attempt.raw).await;
        // Silence says nothing: the pool is asked later.
        flight.held = matches!(
            outcome,
            SendOutcome::Accepted | SendOutcome::AlreadyKnown | SendOutcome::Underpriced
        );
        match &outcome {
            SendOutcome::Accepted | SendOutcome::AlreadyKnown => {}
            SendOutcome::NonceUsed => info!(job, nonce, "nonce is used on chain; looking for the receipt"),
            SendOutcome::Underpriced => {
                info!(job, nonce, transaction = %hash, "fee too low for the pool; it is raised when it stalls");
            }
            SendOutcome::InsufficientFunds => {
                error!(job, nonce, keeper = %self.key.address(), "the keeper cannot pay for gas; fund it");
            }
            SendOutcome::Refused(reason) => error!(job, nonce, reason, "the node refuses; it is tried again"),
            SendOutcome::Unknown(reason) => {
                warn!(job, nonce, transaction = %hash, reason, "outcome unknown: in flight until the chain says otherwise");
            }
        }
        metrics::counter!("keeper_sends_total", "outcome" => label(&outcome)).increment(1);
        if flight.job.state == JobState::Signed
            && matches!(
                outcome,
                SendOutcome::Accepted | SendOutcome::AlreadyKnown | SendOutcome::Unknown(_)
            )
        {
            self.journal.submitted(job).await?;
            flight.job.state = JobState::Submitted;
        }
        Ok(())
    }

    /// Replaces a stalled job's bytes by the same transaction with a higher fee, same nonce. Returns false when the
    /// ceiling leaves no room; then the old bytes are sent again.
    ///
    /// # Errors
    /// When it could not be signed or written; then it was not sent.
    pub async fn replace(&mut self, flight: &mut Flight) -> Result<bool, SubmitError> {
        let Some(last) = flight.job.attempts.last() else {
            return Ok(false);
        };
        let old = Fees {
            max_fee: last.max_fee,
            tip: last.tip,
        };
        flight.reprice();
        let Some(fees) = self.policy.bump(old, self.quote) else {
            warn!(
                job = flight.job.id,
                nonce = flight.job.nonce,
                "stalled at the fee ceiling"
            );
            self.hand_over(flight).await?;
            return Ok(false);
        };
        let unsigned = Unsigned {
            chain_id: self.chain_id,
            nonce: flight.job.nonce,
            gas: flight.job.gas,
            to: flight.job.target,
            calldata: flight.job.calldata.clone(),
        };
        let attempt: Attempt = self.key.sign(&unsigned, fees)?;
        let job: JobId = flight.job.id;
        self.journal.replace(job, &attempt).await?;
        info!(job, nonce = flight.job.nonce, transaction = %attempt.hash, max_fee = fees.max_fee, "stalled: fee raised");
        metrics::counter!("keeper_replacements_total").increment(1);
        flight.job.attempts.push(attempt);
        self.hand_over(flight).await?;
        Ok(true)
    }
}

const fn label(outcome: &SendOutcome) -> &'static str {
    match outcome {
        SendOutcome::Accepted => "accepted",
        SendOutcome::AlreadyKnown => "already-known",
        SendOutcome::NonceUsed => "nonce-used",
        SendOutcome::Underpriced => "underpriced",
        SendOutcome::InsufficientFunds => "insufficient-funds",
        SendOutcome::Refused(_) => "refused",
        SendOutcome::Unknown(_) => "unknown",
    }
}
