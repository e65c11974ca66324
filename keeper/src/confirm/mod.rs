//! Follows every job until it is deep in the chain.
//!
//! | a job is | until | and then |
//! | --- | --- | --- |
//! | signed | it was handed over | submitted |
//! | submitted | an attempt of it has a receipt | included |
//! | submitted | nobody mines it for a while | its fee is raised, same nonce |
//! | submitted | no endpoint has it in its pool | the same bytes are sent again |
//! | submitted | its nonce is used, deep enough, by none of its attempts | usurped: what it carried is planned anew |
//! | included | its block left the chain | submitted again, same bytes |
//! | included | its block is deep enough | confirmed |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tracing::{info, warn};

use crate::chain::{Head, Receipt, Rpc, RpcError};
use crate::journal::{Inclusion, Job, JobId, JobState, Journal};
use crate::submit::{SubmitError, Submitter};

/// When to lose patience.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Patience {
    /// Blocks on top, its own included, after which a job is settled.
    pub confirmations: u64,
    /// Seconds without a receipt after which the fee is raised.
    pub stall_seconds: u64,
    /// Seconds after which a job that is not mined is looked for in the pool, and sent again when it is not there: a
    /// reorganisation of a block that was never seen drops it without a trace.
    pub resend_seconds: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            confirmations: 3,
            stall_seconds: 12,
            resend_seconds: 2,
        }
    }
}

/// A job under way.
#[derive(Debug, Clone)]
pub struct Flight {
    /// The job.
    pub job: Job,
    /// When its bytes were last handed over, or seen in a pool.
    pub sent: Instant,
    /// When its fee was set: a stall counts from here.
    pub priced: Instant,
    /// Block at which its nonce was first seen used with no receipt of ours.
    missing_since: Option<u64>,
}

impl Flight {
    /// A job that was just signed, or read back from the journal.
    #[must_use]
    pub fn new(job: Job) -> Self {
        Self {
            job,
            sent: Instant::now(),
            priced: Instant::now(),
            missing_since: None,
        }
    }
}

/// What a look at the chain found.
#[derive(Debug, Clone)]
pub enum News {
    /// In a block now. The receipt is to be read and written down with [`Tracker::settle`].
    Included {
        /// Which.
        job: Box<Job>,
        /// Its receipt.
        receipt: Box<Receipt>,
    },
    /// Deep enough.
    Confirmed(JobId),
    /// A reorganisation took it out; sent again.
    Returned(JobId),
    /// It can never be mined.
    Usurped(Box<Job>),
}

/// See the module.
pub struct Tracker {
    rpc: Arc<dyn Rpc>,
    journal: Journal,
    patience: Patience,
    flights: BTreeMap<u64, Flight>,
}

impl Tracker {
    /// Takes over what the journal says is unfinished. Nothing is sent yet.
    #[must_use]
    pub fn new(rpc: Arc<dyn Rpc>, journal: Journal, patience: Patience, unfinished: Vec<Job>) -> Self {
        let flights = unfinished
            .into_iter()
            .map(|job| (job.nonce, Flight::new(job)))
            .collect();
        Self {
            rpc,
            journal,
            patience,
            flights,
        }
    }

    /// Sends the newest bytes of every job that is not mined yet: what a restart does first, and a reorganisation asks for.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn resend(&mut self, submitter: &mut Submitter) -> Result<(), SubmitError> {
        for flight in self.flights.values_mut() {
            if matches!(flight.job.state, JobState::Signed | JobState::Submitted) {
                info!(
                    job = flight.job.id,
                    nonce = flight.job.nonce,
                    kind = flight.job.kind,
                    "handed over again"
                );
                submitter.hand_over(flight).await?;
            }
        }
        Ok(())
    }

    /// Adds a job that was just submitted.
    pub fn track(&mut self, flight: Flight) {
        self.flights.insert(flight.job.nonce, flight);
    }

    /// Jobs not mined yet.
    pub fn pending(&self) -> impl Iterator<Item = &Job> {
        self.flights
            .values()
            .map(|flight| &flight.job)
            .filter(|job| job.state != JobState::Included)
    }

    /// True when nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.flights.is_empty()
    }

    /// Looks at the chain at `head`.
    ///
    /// # Errors
    /// When no endpoint answers or the journal cannot be written; the next look carries on.
    pub async fn step(&mut self, head: &Head, submitter: &mut Submitter) -> Result<Vec<News>, SubmitError> {
        let mut news = Vec::new();
        if self.flights.is_empty() {
            return Ok(news);
        }
        let mined = self.rpc.nonce(submitter.address()).await?;
        submitter.seen_on_chain(mined);
        let nonces: Vec<u64> = self.flights.keys().copied().collect();
        let mut settled = Vec::new();
        for nonce in nonces {
            let Some(flight) = self.flights.get_mut(&nonce) else {
                continue;
            };
            if let (JobState::Included, Some((block, hash))) = (flight.job.state, flight.job.block) {
                match canonical(self.rpc.as_ref(), head, block).await? {
                    Some(now) if now == hash => {
                        if head.number.saturating_add(1) >= block.saturating_add(self.patience.confirmations)
                        {
                            self.journal.confirmed(flight.job.id).await?;
                            flight.job.state = JobState::Confirmed;
                            news.push(News::Confirmed(flight.job.id));
                            settled.push(nonce);
                        }
                    }
                    // A lagging endpoint has no such block yet: no evidence of anything.
                    None if head.number < block => {}
                    _ => {
                        warn!(job = flight.job.id, block, "reorganised away; sent again");
                        metrics::counter!("keeper_reorged_jobs_total").increment(1);
                        self.journal.returned(flight.job.id).await?;
                        flight.job.state = JobState::Submitted;
                        flight.job.block = None;
                        flight.job.transaction = None;
                        submitter.hand_over(flight).await?;
                        news.push(News::Returned(flight.job.id));
                    }
                }
                continue;
            }
            if nonce < mined {
                let receipt = find(self.rpc.as_ref(), &flight.job).await?;
                if let Some(receipt) = receipt {
                    flight.missing_since = None;
                    news.push(News::Included {
                        job: Box::new(flight.job.clone()),
                        receipt: Box::new(receipt),
                    });
                } else {
                    // Perhaps the receipt's endpoint lags behind the nonce's: wait until that is no longer possible.
                    let since = *flight.missing_since.get_or_insert(head.number);
                    if head.number >= since.saturating_add(self.patience.confirmations.max(3)) {
                        warn!(
                            job = flight.job.id,
                            nonce, "another transaction used this nonce; is a second keeper running?"
                        );
                        metrics::counter!("keeper_usurped_jobs_total").increment(1);
                        self.journal.usurped(flight.job.id).await?;
                        flight.job.state = JobState::Usurped;
                        news.push(News::Usurped(Box::new(flight.job.clone())));
                        settled.push(nonce);
                    }
                }
                continue;
            }
            flight.missing_since = None;
            wait_for(self.rpc.as_ref(), &self.patience, mined, flight, submitter).await?;
        }
        for nonce in settled {
            self.flights.remove(&nonce);
        }
        metrics::gauge!("keeper_jobs_in_flight").set(u32::try_from(self.flights.len()).unwrap_or(u32::MAX));
        Ok(news)
    }

    /// Marks an included job after its outcome was written down.
    pub fn settle(&mut self, nonce: u64, inclusion: &Inclusion) {
        if let Some(flight) = self.flights.get_mut(&nonce) {
            flight.job.state = JobState::Included;
            flight.job.transaction = Some(inclusion.transaction);
            flight.job.block = Some((inclusion.block, inclusion.block_hash));
            flight.job.success = Some(inclusion.success);
        }
    }
}

/// What a job that is not mined yet needs: its bytes again, a higher fee, or nothing but time.
async fn wait_for(
    rpc: &dyn Rpc,
    patience: &Patience,
    mined: u64,
    flight: &mut Flight,
    submitter: &mut Submitter,
) -> Result<(), SubmitError> {
    let is_next = flight.job.nonce == mined;
    if is_next && flight.priced.elapsed() >= Duration::from_secs(patience.stall_seconds) {
        submitter.replace(flight).await?;
        return Ok(());
    }
    if flight.sent.elapsed() < Duration::from_secs(patience.resend_seconds) {
        return Ok(());
    }
    let known = match flight.job.attempts.last() {
        Some(attempt) => rpc.knows(attempt.hash).await.unwrap_or(false),
        None => true,
    };
    if known {
        flight.sent = Instant::now();
    } else {
        info!(
            job = flight.job.id,
            nonce = flight.job.nonce,
            "in no pool; same bytes handed over again"
        );
        submitter.hand_over(flight).await?;
    }
    Ok(())
}

/// Hash of the canonical block at `number`.
async fn canonical(
    rpc: &dyn Rpc,
    head: &Head,
    number: u64,
) -> Result<Option<alloy::primitives::B256>, RpcError> {
    if head.number == number {
        return Ok(Some(head.hash));
    }
    Ok(rpc.block(number).await?.map(|block| block.hash))
}

/// The receipt of whichever attempt was mined, newest first.
async fn find(rpc: &dyn Rpc, job: &Job) -> Result<Option<Receipt>, RpcError> {
    for attempt in job.attempts.iter().rev() {
        if let Some(receipt) = rpc.receipt(attempt.hash).await? {
            return Ok(Some(receipt));
        }
    }
    Ok(None)
}
