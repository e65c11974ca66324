//! Follows every job until it is deep in the chain.
//!
//! | a job is | until | and then |
//! | --- | --- | --- |
//! | signed | it was handed over | submitted |
//! | submitted | an attempt of it has a receipt | included |
//! | submitted | a node holds it, blocks come, and nobody mines it for a while | its fee is raised, same nonce |
//! | submitted | no endpoint has it in its pool, or none took it | the same bytes are sent again |
//! | submitted | its nonce is used, deep enough, by none of its attempts | usurped: what it carried is planned anew |
//! | included | its block left the chain | submitted again, same bytes |
//! | included | its block is deep enough | confirmed |
//! | confirmed, usurped | its nonce is free again: the chain went back further than that | submitted again, same bytes |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::B256;
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
    /// Seconds without a receipt after which the fee is raised, if blocks were made meanwhile by nodes that hold it.
    pub stall_seconds: u64,
    /// Seconds after which a job that is not mined is looked for in the pool, and sent again when it is not there: a
    /// reorganisation of a block that was never seen drops it without a trace.
    pub resend_seconds: u64,
    /// Seconds, besides blocks, without a receipt after which a used nonce counts as used by another transaction.
    pub usurped_seconds: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            confirmations: 3,
            stall_seconds: 12,
            resend_seconds: 2,
            usurped_seconds: 60,
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
    /// Whether a node said that it holds the bytes handed over last. A job that none holds is not waiting for a higher
    /// fee, but for money, or for a node that takes it.
    pub held: bool,
    /// The first head seen since its fee was set: without a later one nobody could have mined it.
    priced_at: Option<u64>,
    /// Block and moment at which its nonce was first seen used with no receipt of ours.
    missing_since: Option<(u64, Instant)>,
}

impl Flight {
    /// Its fee was set just now.
    pub fn reprice(&mut self) {
        self.priced = Instant::now();
        self.priced_at = None;
    }

    /// A job that was just signed, or read back from the journal.
    #[must_use]
    pub fn new(job: Job) -> Self {
        Self {
            job,
            sent: Instant::now(),
            priced: Instant::now(),
            held: false,
            priced_at: None,
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

/// Looks in a row that must find a nonce free before that alone is believed: one answer may come from an endpoint that
/// lags.
const GAP_LOOKS: u32 = 3;
/// Nonces made good in one look.
const GAP_STEP: usize = 64;

/// Since when the chain has been saying that a nonce is free which nothing under way will use.
#[derive(Debug, Clone, Copy)]
struct Gap {
    since: Instant,
    looks: u32,
}

/// See the module.
pub struct Tracker {
    rpc: Arc<dyn Rpc>,
    journal: Journal,
    patience: Patience,
    flights: BTreeMap<u64, Flight>,
    gap: Option<Gap>,
    /// Head of the last look: with nothing under way, the nonce is asked once a block.
    looked_at: Option<B256>,
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
            gap: None,
            looked_at: None,
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

    /// Blocks after which what is in one is taken to stay there.
    #[must_use]
    pub const fn confirmations(&self) -> u64 {
        self.patience.confirmations
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
        if self.flights.is_empty() && self.gap.is_none() && self.looked_at == Some(head.hash) {
            return Ok(news);
        }
        let mined = self.rpc.nonce(submitter.address()).await?;
        submitter.seen_on_chain(mined);
        let returned = self.close_gap(head, mined, submitter).await?;
        news.extend(returned.into_iter().map(News::Returned));
        self.looked_at = Some(head.hash);
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
                    let (since, moment) = *flight
                        .missing_since
                        .get_or_insert_with(|| (head.number, Instant::now()));
                    // A fast chain makes many blocks while an endpoint catches up: time must have passed, too.
                    let blocks = head.number.saturating_sub(since);
                    if blocks >= self.patience.confirmations.max(3)
                        && moment.elapsed() >= Duration::from_secs(self.patience.usurped_seconds)
                    {
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
            wait_for(self.rpc.as_ref(), &self.patience, head, mined, flight, submitter).await?;
        }
        for nonce in settled {
            self.flights.remove(&nonce);
        }
        metrics::gauge!("keeper_jobs_in_flight").set(u32::try_from(self.flights.len()).unwrap_or(u32::MAX));
        Ok(news)
    }

    /// A nonce that the chain has not used and nothing under way will use stops every later job for good. It is free
    /// again when the chain went back further than a settled job is deep. Gives the jobs that are under way again.
    async fn close_gap(
        &mut self,
        head: &Head,
        mined: u64,
        submitter: &mut Submitter,
    ) -> Result<Vec<JobId>, SubmitError> {
        let mut back = Vec::new();
        let waits = |flight: &Flight| flight.job.state != JobState::Included;
        let free: Vec<u64> = (mined..submitter.next_nonce())
            .filter(|nonce| !self.flights.get(nonce).is_some_and(waits))
            .take(GAP_STEP)
            .collect();
        if free.is_empty() {
            self.gap = None;
            return Ok(back);
        }
        let gap = self.gap.get_or_insert_with(|| Gap {
            since: Instant::now(),
            looks: 0,
        });
        gap.looks = gap.looks.saturating_add(1);
        let lasts = |seconds| gap.looks >= GAP_LOOKS && gap.since.elapsed() >= Duration::from_secs(seconds);
        let (resend, fill) = (
            lasts(self.patience.resend_seconds),
            lasts(self.patience.stall_seconds),
        );
        for nonce in free {
            let job = match self.flights.get(&nonce) {
                Some(flight) => Some(flight.job.clone()),
                None => self.journal.job_at(nonce).await?,
            };
            if let Some(job) = job {
                let block = match job.block {
                    Some((number, hash)) => canonical(self.rpc.as_ref(), head, number)
                        .await?
                        .map(|now| now == hash),
                    None => None,
                };
                match block {
                    // Mined, and still there: whoever said that the nonce is free lags.
                    Some(true) => {
                        self.gap = None;
                        break;
                    }
                    Some(false) => {}
                    // No word of its block. The same bytes again do no harm, but one look is no reason.
                    None if resend => {}
                    None => continue,
                }
                back.push(job.id);
                self.take_back(job, submitter).await?;
            } else if fill {
                // Nobody's: another process used it, or another journal.
                let journalled = self.journal.next_nonce().await?.unwrap_or(0);
                if journalled <= nonce {
                    warn!(nonce, "the chain went back: nonces start here again");
                    metrics::counter!("keeper_nonce_gaps_total", "by" => "lowered").increment(1);
                    submitter.lower_nonce(nonce);
                    self.gap = None;
                    break;
                }
                if let Some(flight) = submitter.fill(nonce).await? {
                    warn!(nonce, "a free nonce that belongs to no job is used up");
                    metrics::counter!("keeper_nonce_gaps_total", "by" => "filled").increment(1);
                    self.track(flight);
                }
            }
        }
        Ok(back)
    }

    /// A job that was settled, or lost, is under way again with the same bytes.
    async fn take_back(&mut self, mut job: Job, submitter: &mut Submitter) -> Result<(), SubmitError> {
        warn!(
            job = job.id,
            nonce = job.nonce,
            kind = job.kind,
            state = ?job.state,
            "its nonce is free again; handed over again"
        );
        metrics::counter!("keeper_nonce_gaps_total", "by" => "returned").increment(1);
        self.journal.returned(job.id).await?;
        if job.state != JobState::Signed {
            job.state = JobState::Submitted;
        }
        (job.block, job.transaction, job.success) = (None, None, None);
        let mut flight = Flight::new(job);
        let handed = submitter.hand_over(&mut flight).await;
        self.track(flight);
        handed
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
    head: &Head,
    mined: u64,
    flight: &mut Flight,
    submitter: &mut Submitter,
) -> Result<(), SubmitError> {
    let is_next = flight.job.nonce == mined;
    let blocks_came = head.number > *flight.priced_at.get_or_insert(head.number);
    let stalled =
        is_next && blocks_came && flight.priced.elapsed() >= Duration::from_secs(patience.stall_seconds);
    if stalled && flight.held {
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
    flight.held = known;
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
async fn canonical(rpc: &dyn Rpc, head: &Head, number: u64) -> Result<Option<B256>, RpcError> {
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
