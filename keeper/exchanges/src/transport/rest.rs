//! Requests to one venue for one account: reads are repeated, acts are sent once.
//!
//! See [`super`] for what an unknown outcome is and what is done about it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::credentials::Credentials;
use crate::error::{Refusal, ReplyError, RequestError, SignError, VenueError};
use crate::health::{CircuitOpen, Health};
use crate::model::{Instruments, Order, Text, Venue};
use crate::operation::{Empty, FillQuery, Operation, OrderRef, Reply};
use crate::protocol::{Context, Protocol};
use crate::request::{Request, Response};

use super::backoff::Backoff;
use super::clock::VenueClock;
use super::http::{Http, HttpError};
use super::ledger::{Intent, Ledger, LedgerError, Settlement, Written, orders_of, taken};
use super::limiter::{LimitError, Limiter};
use super::limits;
use super::random::Random;

/// Pages of one list that are read: more is a venue that does not end, or a question about too much.
const MAXIMUM_PAGES: u32 = 100;

/// What did not leave, and why: nothing was done at the venue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// It cannot be put into the venue's words.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The rate limit has no place for it.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The venue does not answer.
    #[error(transparent)]
    Circuit(#[from] CircuitOpen),
    /// It could not be written down first.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// No connection.
    #[error("{0}")]
    Connection(String),
    /// An order without an id of its owner: its outcome could not be asked for.
    #[error("{0} needs a client_order_id, or an unknown outcome could not be cleared up")]
    NoClientOrderId(&'static str),
    /// One before it in the same operation was not done.
    #[error("stopped: the request before it was not done")]
    Stopped,
    /// Writing it down, or what was sent before it, took so long that it could still be taken after the end of validity
    /// that was written.
    #[error("too late: it took too long to get to the sending")]
    TooLate,
    /// A read was given to [`Client::act`], or an act to [`Client::read`].
    #[error("{0} does not belong here: acts go to act, reads to read")]
    WrongDoor(&'static str),
}

/// Why it is not known whether an act was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCause {
    /// No reply, or not the whole of it.
    #[error("{0}")]
    NoReply(String),
    /// The reply cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The venue failed (5xx), was too busy, limited the rate, says it does not know, or knows the order's id already or
    /// not yet.
    #[error("{0}")]
    Venue(VenueError),
    /// An intent with this id is in the ledger: it may have been sent before.
    #[error("an intent with this client order id was written before")]
    WrittenBefore,
}

/// How an act ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an unknown outcome must be resolved before anything else is sent"]
pub enum Outcome {
    /// The venue did it.
    Done(Reply),
    /// The venue did not do it, for certain.
    Refused(VenueError),
    /// It may have done it: [`Client::resolve`] before anything else is sent for the same cause.
    Unknown(UnknownCause),
    /// It did not leave.
    NotSent(NotSent),
    /// One per order or request, in their order, where they did not all end the same way as [`Outcome::Done`].
    Several(Vec<Outcome>),
}

impl Outcome {
    /// It, or a part of it, is not known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Unknown(_) => true,
            Self::Several(parts) => parts.iter().any(Self::is_unknown),
            _ => false,
        }
    }
}

/// What became of an order whose outcome was unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Resolution {
    /// The venue has it.
    Found(Box<Order>),
    /// It filled, and the venue shows only the fills any more.
    Filled {
        /// The venue's id of the order.
        order_id: Text,
    },
    /// The venue does not have it and cannot take it any more: it is safe to send the next attempt.
    NeverArrived,
    /// Not known yet; ask again. Do not send anything for the same cause.
    Open,
}

/// Why a read gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It was not sent.
    #[error(transparent)]
    NotSent(#[from] NotSent),
    /// No reply.
    #[error("{0}")]
    NoReply(String),
    /// The venue refused or its reply cannot be read.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// The list did not end within the pages that are asked for: ask about one instrument, or about a shorter time.
    #[error("the list of {operation} does not end within {MAXIMUM_PAGES} pages")]
    TooLong {
        /// What was asked for.
        operation: &'static str,
    },
}

impl ReadError {
    /// What the venue's refusal means, if it was one.
    #[must_use]
    pub const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Reply(ReplyError::Refused(error)) => Some(error.refusal),
            _ => None,
        }
    }
}

/// How a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often a read is sent in all.
    pub read_attempts: u32,
    /// First ceiling of the wait between them.
    pub first_backoff: Duration,
    /// How long a read waits for a place in the rate limit.
    pub limit_of_reads: Duration,
    /// How long an act does. Short: an order that is late is another order.
    pub limit_of_acts: Duration,
    /// How long an order that was taken may be missing from the venue's answers.
    pub lag: Duration,
    /// How long after its timestamp the venue may still take an act; none: without end.
    pub validity: Option<Duration>,
}

impl Patience {
    /// The usual, with the venue's documented validity.
    #[must_use]
    pub const fn of(venue: Venue) -> Self {
        Self {
            read_attempts: 4,
            first_backoff: Duration::from_millis(200),
            limit_of_reads: Duration::from_secs(10),
            limit_of_acts: Duration::from_secs(2),
            lag: limits::LAG,
            validity: limits::validity(venue),
        }
    }
}

/// What a client is made of.
pub struct Parts {
    /// The venue's words.
    pub protocol: Arc<dyn Protocol>,
    /// The wire.
    pub http: Arc<dyn Http>,
    /// Base address, without a trailing slash.
    pub rest: String,
    /// The account's key; none for public data only.
    pub credentials: Option<Credentials>,
    /// The venue's instruments.
    pub instruments: Instruments,
    /// The venue's clock.
    pub clock: VenueClock,
    /// The venue's limits.
    pub limiter: Limiter,
    /// The venue's health.
    pub health: Health,
    /// Where intents are written.
    pub ledger: Arc<dyn Ledger>,
    /// How it waits.
    pub patience: Patience,
    /// Jitter.
    pub random: Random,
}

struct Inner {
    parts: Parts,
    instruments: RwLock<Instruments>,
    random: Mutex<Random>,
}

/// A client of one venue for one account. Cheap to clone; clones share connections, limits and clock.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("venue", &self.venue())
            .field("rest", &self.inner.parts.rest)
            .finish_non_exhaustive()
    }
}

/// How one request ended.
enum Sent {
    Reply(Reply),
    Refused(VenueError),
    Unreadable(ReplyError, u16),
    Http(HttpError),
    NotSent(NotSent),
}

impl Client {
    /// From its parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let instruments = RwLock::new(parts.instruments.clone());
        let random = Mutex::new(parts.random.clone());
        Self {
            inner: Arc::new(Inner {
                parts,
                instruments,
                random,
            }),
        }
    }

    /// Of which venue.
    #[must_use]
    pub fn venue(&self) -> Venue {
        self.inner.parts.protocol.venue()
    }

    /// See [`Protocol::lists_fills_by_instrument`].
    #[must_use]
    pub fn lists_fills_by_instrument(&self) -> bool {
        self.inner.parts.protocol.lists_fills_by_instrument()
    }

    /// See [`Protocol::most_fills`].
    #[must_use]
    pub fn most_fills(&self) -> Option<u32> {
        self.inner.parts.protocol.most_fills()
    }

    /// The venue's clock.
    #[must_use]
    pub fn clock(&self) -> &VenueClock {
        &self.inner.parts.clock
    }

    /// The venue's health.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.inner.parts.health
    }

    /// The instruments in use.
    #[must_use]
    pub fn instruments(&self) -> Instruments {
        self.inner
            .instruments
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Replaces them, after [`Operation::Instruments`] was read.
    pub fn set_instruments(&self, instruments: Instruments) {
        *self
            .inner
            .instruments
            .write()
            .unwrap_or_else(PoisonError::into_inner) = instruments;
    }

    /// Measures the venue's clock once.
    ///
    /// # Errors
    /// When the venue does not tell its time.
    pub async fn measure_clock(&self) -> Result<(), ReadError> {
        let operation = Operation::ServerTime(Empty {});
        let limit = self.inner.parts.patience.limit_of_reads;
        self.inner
            .parts
            .limiter
            .admit(&operation, limit)
            .await
            .map_err(NotSent::from)?;
        let requests = self.requests(&operation)?;
        for request in &requests {
            let sent = Instant::now();
            match self.send(&operation, request).await {
                Sent::Reply(Reply::Time(venue_ms)) => {
                    self.clock().sample(sent, Instant::now(), venue_ms);
                }
                Sent::Reply(_) => {}
                failed => return Err(failed.into_read_error()),
            }
        }
        Ok(())
    }

    /// Reads, with repetition where that may help.
    ///
    /// # Errors
    /// When all attempts failed, or the venue refused for good.
    pub async fn read(&self, operation: &Operation) -> Result<Reply, ReadError> {
        if !operation.is_read() {
            return Err(NotSent::WrongDoor(operation.name()).into());
        }
        let patience = &self.inner.parts.patience;
        let mut backoff = Backoff::new(patience.first_backoff, self.random());
        let mut resynchronised = false;
        loop {
            let error = match self.read_once(operation).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let again = match &error {
                ReadError::NoReply(_) => true,
                ReadError::NotSent(NotSent::Connection(_)) => true,
                ReadError::NotSent(_) | ReadError::TooLong { .. } => false,
                ReadError::Reply(ReplyError::Unreadable(_)) => true,
                ReadError::Reply(ReplyError::Refused(refused)) => match refused.refusal {
                    Refusal::Clock if resynchronised => false,
                    Refusal::Clock => {
                        resynchronised = true;
                        self.resynchronise().await;
                        true
                    }
                    Refusal::Busy | Refusal::Unknown | Refusal::RateLimited => true,
                    _ => false,
                },
            };
            let pause = backoff.after_failure();
            if !again || backoff.failures() >= patience.read_attempts {
                return Err(error);
            }
            tracing::debug!(venue = %self.venue(), operation = operation.name(), %error, ?pause, "reading again");
            sleep(pause).await;
        }
    }

    async fn read_once(&self, operation: &Operation) -> Result<Reply, ReadError> {
        let parts = &self.inner.parts;
        parts
            .limiter
            .admit(operation, parts.patience.limit_of_reads)
            .await
            .map_err(NotSent::from)?;
        parts.health.admit().map_err(NotSent::from)?;
        let mut whole = None;
        for request in self.requests(operation)? {
            let mut next = Some(request);
            let mut pages = 0;
            while let Some(request) = next.take() {
                if pages > 0 {
                    parts
                        .limiter
                        .admit(operation, parts.patience.limit_of_reads)
                        .await
                        .map_err(NotSent::from)?;
                }
                pages += 1;
                let (sent, more) = self.send_page(operation, &request).await;
                match sent {
                    Sent::Reply(reply) => whole = Some(join(whole, reply)),
                    failed => return Err(failed.into_read_error()),
                }
                if pages == MAXIMUM_PAGES && more.is_some() {
                    // Half a list would be taken for the whole.
                    return Err(ReadError::TooLong {
                        operation: operation.name(),
                    });
                }
                next = more;
            }
        }
        Ok(whole.unwrap_or(Reply::Done))
    }

    /// Acts. Each request is sent at most once, after its orders were written to the ledger.
    pub async fn act(&self, operation: &Operation) -> Outcome {
        let orders = orders_of(operation);
        // Closing what is closed does nothing, so a close may go without an id on venues that take none.
        let needs_id = !matches!(operation, Operation::ClosePosition(_));
        if operation.is_read() {
            return Outcome::NotSent(NotSent::WrongDoor(operation.name()));
        }
        if needs_id && orders.iter().any(|(_, id)| id.is_none()) {
            return Outcome::NotSent(NotSent::NoClientOrderId(operation.name()));
        }
        let parts = &self.inner.parts;
        if !operation.is_reducing()
            && let Err(open) = parts.health.admit()
        {
            return Outcome::NotSent(open.into());
        }
        if let Err(full) = parts.limiter.admit(operation, parts.patience.limit_of_acts).await {
            return Outcome::NotSent(full.into());
        }
        let requests = match self.requests(operation) {
            Ok(requests) => requests,
            Err(error) => return Outcome::NotSent(error),
        };
        let intents = self.intents(operation, &orders);
        if !intents.is_empty() {
            match parts.ledger.write(&intents).await {
                Ok(Written::New) => {}
                Ok(Written::Before) => return Outcome::Unknown(UnknownCause::WrittenBefore),
                Err(error) => return Outcome::NotSent(error.into()),
            }
        }
        let mut outcomes = Vec::with_capacity(requests.len());
        let mut stopped = false;
        for request in &requests {
            let outcome = if stopped {
                Outcome::NotSent(NotSent::Stopped)
            } else if self.is_too_late(&intents) {
                Outcome::NotSent(NotSent::TooLate)
            } else {
                let sent = self.send(operation, request).await;
                if matches!(&sent, Sent::Refused(error) if error.refusal == Refusal::Clock) {
                    // Certainly not done. Not sent again either: the caller decides with the clock put right.
                    self.resynchronise().await;
                }
                judge(operation, sent)
            };
            // What lessens exposure goes on: one order that cannot be cancelled must not keep the others alive.
            stopped |= !matches!(outcome, Outcome::Done(_)) && !operation.is_reducing();
            outcomes.push(outcome);
        }
        let outcome = gather(outcomes);
        if outcome.is_unknown() {
            tracing::warn!(venue = %self.venue(), operation = operation.name(), ?outcome, "outcome unknown");
        }
        self.settle(&intents, &outcome).await;
        outcome
    }

    fn intents(&self, operation: &Operation, orders: &[(Text, Option<Text>)]) -> Vec<Intent> {
        let now = self.clock().now_ms();
        let valid_until_ms = self.valid_until(now);
        orders
            .iter()
            .filter_map(|(instrument, id)| {
                Some(Intent {
                    venue: self.venue(),
                    client_order_id: id.clone()?,
                    instrument: instrument.clone(),
                    operation: operation.clone(),
                    written_ms: now,
                    valid_until_ms,
                })
            })
            .collect()
    }

    /// An act signed around `now_ms` cannot take effect after this. Twice the validity: the clock may be wrong by as much
    /// as the venue tolerates, and several requests are signed one after the other.
    fn valid_until(&self, now_ms: u64) -> Option<u64> {
        let validity = self.inner.parts.patience.validity?;
        let milliseconds = u64::try_from(validity.as_millis()).ok()?;
        now_ms.checked_add(milliseconds.checked_mul(2)?)
    }

    /// Signed now, it would be valid beyond what its intent says, and [`Self::resolve`] would call it safe too early.
    fn is_too_late(&self, intents: &[Intent]) -> bool {
        let Some(validity) = self.inner.parts.patience.validity else {
            return false;
        };
        let validity_ms = u64::try_from(validity.as_millis()).unwrap_or(u64::MAX);
        let end_ms = self.clock().now_ms().saturating_add(validity_ms);
        intents
            .iter()
            .filter_map(|intent| intent.valid_until_ms)
            .any(|until_ms| end_ms > until_ms)
    }

    /// Writes what is certain; what is not stays open in the ledger.
    async fn settle(&self, intents: &[Intent], outcome: &Outcome) {
        let certain = |part: &Outcome, index: usize| match part {
            Outcome::Done(Reply::Acknowledged(acknowledged)) => {
                let one = acknowledged.get(index).or(acknowledged.first())?;
                Some(Settlement::Taken {
                    order_id: one.as_ref().ok()?.order_id.clone(),
                })
            }
            Outcome::Done(_) => Some(Settlement::Taken { order_id: None }),
            Outcome::Refused(error) => Some(Settlement::Refused {
                code: error.code.clone(),
            }),
            Outcome::NotSent(_) => Some(Settlement::NotSent),
            Outcome::Unknown(_) | Outcome::Several(_) => None,
        };
        for (index, intent) in intents.iter().enumerate() {
            let settlement = match outcome {
                Outcome::Several(parts) if parts.len() == intents.len() => {
                    parts.get(index).and_then(|part| certain(part, 0))
                }
                Outcome::Several(_) => None,
                whole => certain(whole, index),
            };
            if let Some(settlement) = settlement {
                self.note(intent, &settlement).await;
            }
        }
    }

    async fn note(&self, intent: &Intent, settlement: &Settlement) {
        let written = self
            .inner
            .parts
            .ledger
            .settle(intent.venue, &intent.client_order_id, settlement)
            .await;
        if let Err(error) = written {
            // The intent stays open: it will be asked about again, which costs a question and no money.
            tracing::error!(venue = %intent.venue, id = %intent.client_order_id, %error, "cannot note a settlement");
        }
    }

    /// Finds out what became of an order, asking again with growing pauses for at most `patience`. Call it again with the
    /// same intent while it says [`Resolution::Open`].
    ///
    /// # Errors
    /// When the venue refuses to tell for a reason that time does not mend (key, rights).
    pub async fn resolve(&self, intent: &Intent, patience: Duration) -> Result<Resolution, VenueError> {
        let deadline = Instant::now() + patience;
        let mut backoff = Backoff::new(Duration::from_millis(250), self.random())
            .capped(self.inner.parts.patience.lag.max(Duration::from_secs(1)));
        loop {
            match self.ask(intent).await {
                Ok(Some(resolution)) => return Ok(resolution),
                Ok(None) => {}
                Err(ReadError::Reply(ReplyError::Refused(error)))
                    if matches!(error.refusal, Refusal::Authentication | Refusal::Rejected) =>
                {
                    return Err(error);
                }
                Err(error) => {
                    tracing::info!(venue = %self.venue(), id = %intent.client_order_id, %error, "cannot ask yet");
                }
            }
            let next = Instant::now() + backoff.after_failure().max(Duration::from_millis(50));
            if next >= deadline {
                return Ok(Resolution::Open);
            }
            sleep_until(next).await;
        }
    }

    /// Asks once; none where time must pass first.
    async fn ask(&self, intent: &Intent) -> Result<Option<Resolution>, ReadError> {
        let query = Operation::Order(OrderRef {
            instrument: intent.instrument.clone(),
            order_id: None,
            client_order_id: Some(intent.client_order_id.clone()),
        });
        // Before the question: an answer proves something about the moments before it was asked only.
        let asked_ms = self.clock().now_ms();
        let order = match self.read(&query).await {
            Ok(Reply::Order(order)) => Some(order),
            Ok(Reply::Orders(orders)) => orders
                .into_iter()
                .find(|order| order.client_order_id.as_ref() == Some(&intent.client_order_id))
                .map(Box::new),
            Ok(_) => None,
            Err(error) if error.refusal() == Some(Refusal::NotFound) => None,
            Err(error) => return Err(error),
        };
        if let Some(order) = order {
            self.note(intent, &taken(&order)).await;
            return Ok(Some(Resolution::Found(order)));
        }
        let lag_ms = u64::try_from(self.inner.parts.patience.lag.as_millis()).unwrap_or(u64::MAX);
        // The end of validity counts first, then the lag: an order taken in the last valid moment may be late to show.
        let Some(end) = intent.valid_until_ms else {
            return Ok(None);
        };
        if asked_ms < end.max(intent.written_ms).saturating_add(lag_ms) {
            return Ok(None);
        }
        // Some venues forget orders that filled at once sooner than their fills.
        let fills = self
            .read(&Operation::Fills(FillQuery {
                instrument: Some(intent.instrument.clone()),
                start_ms: Some(intent.written_ms),
                limit: None,
            }))
            .await?;
        let Reply::Fills(fills) = fills else {
            return Ok(None);
        };
        if let Some(fill) = fills
            .iter()
            .find(|fill| fill.client_order_id.as_ref() == Some(&intent.client_order_id))
        {
            let order_id = fill.order_id.clone();
            let settlement = Settlement::Taken {
                order_id: Some(order_id.clone()),
            };
            self.note(intent, &settlement).await;
            return Ok(Some(Resolution::Filled { order_id }));
        }
        self.note(intent, &Settlement::NeverArrived).await;
        Ok(Some(Resolution::NeverArrived))
    }

    async fn resynchronise(&self) {
        self.clock().distrust();
        if let Err(error) = self.measure_clock().await {
            tracing::warn!(venue = %self.venue(), %error, "cannot measure the venue's clock");
        }
    }

    fn random(&self) -> Random {
        let mut random = self.inner.random.lock().unwrap_or_else(PoisonError::into_inner);
        Random::seeded(random.bits())
    }

    fn requests(&self, operation: &Operation) -> Result<Vec<Request>, NotSent> {
        let instruments = self.instruments();
        let context = Context {
            instruments: &instruments,
            timestamp_ms: self.clock().now_ms(),
        };
        Ok(self.inner.parts.protocol.requests(operation, &context)?)
    }

    /// Signs and sends one request once, and lets limiter and health learn from what comes back.
    async fn send(&self, operation: &Operation, request: &Request) -> Sent {
        self.send_page(operation, request).await.0
    }

    /// Sends a request; also the request for the next page, if the reply is only the first.
    async fn send_page(&self, operation: &Operation, request: &Request) -> (Sent, Option<Request>) {
        let parts = &self.inner.parts;
        let signed = match parts.protocol.sign(
            request,
            &parts.rest,
            parts.credentials.as_ref(),
            self.clock().timestamp_ms(),
        ) {
            Ok(signed) => signed,
            Err(error) => return (Sent::NotSent(error.into()), None),
        };
        let start = Instant::now();
        let response = match parts.http.send(signed).await {
            Ok(response) => response,
            Err(error) => {
                parts.health.failed();
                let sent = match error {
                    HttpError::NotSent { detail } => Sent::NotSent(NotSent::Connection(detail)),
                    error @ HttpError::NoReply { .. } => Sent::Http(error),
                };
                return (sent, None);
            }
        };
        let reply = parts.protocol.reply(operation, &response, &self.instruments());
        self.learn(operation, &response, &reply, start.elapsed());
        let sent = match reply {
            // A venue that fails says nothing about what it did, whatever stands in the body.
            Ok(_) | Err(ReplyError::Refused(_)) if response.status >= 500 || is_too_many(response.status) => {
                let message = match reply {
                    Err(ReplyError::Refused(error)) => error.message,
                    _ => String::new(),
                };
                let refusal = if is_too_many(response.status) {
                    Refusal::RateLimited
                } else {
                    Refusal::Unknown
                };
                Sent::Refused(VenueError::new(
                    self.venue(),
                    refusal,
                    response.status.to_string(),
                    &message,
                ))
            }
            Ok(reply) => {
                let more = parts.protocol.next_page(operation, request, &response);
                return (Sent::Reply(reply), more);
            }
            Err(ReplyError::Refused(error)) => Sent::Refused(error),
            Err(error @ ReplyError::Unreadable(_)) => Sent::Unreadable(error, response.status),
        };
        (sent, None)
    }

    fn learn(
        &self,
        operation: &Operation,
        response: &Response,
        reply: &Result<Reply, ReplyError>,
        latency: Duration,
    ) {
        let parts = &self.inner.parts;
        let told = limits::feedback(
            self.venue(),
            operation,
            response,
            reply.as_ref().map(|_| ()),
            self.clock().now_ms(),
        );
        for feedback in told {
            parts.limiter.learn(feedback);
        }
        let ill = response.status >= 500
            || matches!(reply, Err(ReplyError::Unreadable(_)))
            || matches!(reply, Err(ReplyError::Refused(error))
                if matches!(error.refusal, Refusal::Maintenance | Refusal::Unknown));
        if ill {
            parts.health.failed();
        } else {
            parts.health.answered(latency);
        }
    }
}

impl Sent {
    fn into_read_error(self) -> ReadError {
        match self {
            Self::Refused(error) => ReplyError::Refused(error).into(),
            Self::Unreadable(error, _) => error.into(),
            Self::Http(error) => ReadError::NoReply(error.to_string()),
            Self::NotSent(error) => error.into(),
            Self::Reply(_) => ReadError::NoReply("a reply of another kind".to_owned()),
        }
    }
}

const fn is_too_many(status: u16) -> bool {
    matches!(status, 418 | 429)
}

/// What an act's reply means. Only what is certain is called done or refused.
fn judge(operation: &Operation, sent: Sent) -> Outcome {
    match sent {
        Sent::Reply(Reply::Acknowledged(mut all)) => {
            if all.iter().all(Result::is_ok) {
                return Outcome::Done(Reply::Acknowledged(all));
            }
            if all.len() == 1
                && let Some(Err(error)) = all.pop()
            {
                return refused(operation, error);
            }
            Outcome::Several(
                all.into_iter()
                    .map(|one| match one {
                        Ok(taken) => Outcome::Done(Reply::Acknowledged(vec![Ok(taken)])),
                        Err(error) => refused(operation, error),
                    })
                    .collect(),
            )
        }
        Sent::Reply(reply) => Outcome::Done(reply),
        Sent::Refused(error) => refused(operation, error),
        Sent::Unreadable(error, status) => {
            Outcome::Unknown(UnknownCause::Unreadable(format!("HTTP {status}: {error}")))
        }
        Sent::Http(error) => Outcome::Unknown(UnknownCause::NoReply(error.to_string())),
        Sent::NotSent(error) => Outcome::NotSent(error),
    }
}

fn refused(operation: &Operation, error: VenueError) -> Outcome {
    match error.refusal {
        Refusal::AlreadyDone => Outcome::Done(Reply::Done),
        Refusal::Rejected | Refusal::Clock | Refusal::Authentication => Outcome::Refused(error),
        // A new order is not looked for by the venue: it cannot be "not found" but for what it refers to.
        Refusal::NotFound if !orders_of(operation).is_empty() => Outcome::Refused(error),
        Refusal::NotFound
        | Refusal::Unknown
        | Refusal::Busy
        | Refusal::RateLimited
        | Refusal::Duplicate
        | Refusal::Maintenance => Outcome::Unknown(UnknownCause::Venue(error)),
    }
}

fn gather(mut outcomes: Vec<Outcome>) -> Outcome {
    if outcomes.len() == 1
        && let Some(only) = outcomes.pop()
    {
        return only;
    }
    let mut whole = None;
    for outcome in &outcomes {
        let Outcome::Done(reply) = outcome else {
            return Outcome::Several(outcomes);
        };
        whole = Some(join(whole, reply.clone()));
    }
    Outcome::Done(whole.unwrap_or(Reply::Done))
}

/// Replies to the requests of one operation as one.
fn join(before: Option<Reply>, next: Reply) -> Reply {
    macro_rules! lists {
        ($($kind:ident),*) => {
            match (before, next) {
                $((Some(Reply::$kind(mut all)), Reply::$kind(more)) => {
                    all.extend(more);
                    Reply::$kind(all)
                })*
                (Some(before), Reply::Done) => before,
                (_, next) => next,
            }
        };
    }
    lists!(
        Instruments,
        Balances,
        Positions,
        Leverage,
        Orders,
        Fills,
        Acknowledged,
        Trades,
        Klines
    )
}
