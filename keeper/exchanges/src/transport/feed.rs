//! From sockets to whoever reads them: bounded, and nothing of an account is ever dropped.
//!
//! What belongs to an account, and what says that a connection was lost or stands, waits for room: the socket reads no
//! further until there is some. Market data keeps the latest: when there is no room, a message replaces the one of the
//! same stream that waits, and the reader is told how many it has missed ([`Feed::Skipped`]).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::DecodeError;
use crate::model::{Event, Stream, Text};

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// It could not be made.
    Connect(String),
    /// It was closed by the venue or broke.
    Closed(String),
    /// Nothing came back in time after a heartbeat: half open.
    Silent,
    /// A stream gave no data for too long, although the connection answers.
    NoData(Stream),
    /// The login was not answered in time.
    LoginTimeout,
    /// No subscription was answered in time.
    SubscribeTimeout,
    /// The login was refused.
    LoginRefused {
        /// The venue's code.
        code: Text,
        /// The venue's words.
        message: Text,
    },
    /// The account stream's key could not be made, or is over.
    Session(String),
    /// The venue announced maintenance: we move before it does.
    Maintenance,
    /// It is near the venue's limit of 24 hours.
    Age,
    /// Somebody here asked for it: what the stream said was contradicted.
    Asked(String),
    /// It is not to be opened again.
    Stopped,
}

/// What a socket says.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are events: a box would cost each of them an allocation"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// It stands, logged in and subscribed: take a snapshot now.
    Connected {
        /// Every subscription was confirmed. Otherwise some answer is missing though the connection works.
        confirmed: bool,
    },
    /// The venue said something.
    Event {
        /// What.
        event: Event,
        /// When the frame was received.
        received_at: Instant,
        /// Which frame of this socket: events of one frame share it.
        frame: u64,
    },
    /// It does not stand any more: what is known from it is old from now on. It is being opened again unless
    /// [`Feed::Ended`] follows.
    Lost {
        /// Why.
        why: Lost,
    },
    /// A stream has given no data for longer than it may. It is not to be relied on until it gives some.
    Stale {
        /// Which.
        stream: Stream,
        /// How long.
        age: Duration,
    },
    /// A request on the socket was refused: a subscription may be missing.
    Refused {
        /// The venue's code.
        code: Text,
        /// The venue's words.
        message: Text,
    },
    /// A frame could not be read. On an account's socket something may have been missed: take a snapshot.
    Unreadable {
        /// Why.
        error: DecodeError,
    },
    /// The reader was too slow for market data: so many messages of a stream were replaced by newer ones. A book that is
    /// kept from changes is broken.
    Skipped {
        /// Which.
        stream: Stream,
        /// How many.
        count: u64,
    },
    /// Of a pair of sockets, so many stand.
    Redundancy {
        /// 0 to 2.
        alive: u8,
    },
    /// It will not be opened again without somebody's help.
    Ended {
        /// Why.
        why: Lost,
    },
}

/// Which socket of a [`channel`].
pub type SocketId = u32;

/// A message and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Which socket.
    pub socket: SocketId,
    /// What it says.
    pub feed: Feed,
}

#[derive(Debug)]
struct Waiting {
    message: Message,
    skipped: u64,
}

#[derive(Debug, Default)]
struct Queue {
    ready: VecDeque<Message>,
    // Newest of each stream there was no room for, in the order in which they came to wait.
    latest: HashMap<(SocketId, Stream), Waiting>,
    order: VecDeque<(SocketId, Stream)>,
    senders: usize,
    closed: bool,
}

#[derive(Debug)]
struct Shared {
    capacity: usize,
    queue: Mutex<Queue>,
    readable: Notify,
    writable: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A channel with room for `capacity` messages, and for one more of each stream of market data.
#[must_use]
pub fn channel(capacity: usize) -> (Sender, Receiver) {
    let shared = Arc::new(Shared {
        capacity: capacity.max(1),
        queue: Mutex::new(Queue {
            senders: 1,
            ..Queue::default()
        }),
        readable: Notify::new(),
        writable: Notify::new(),
    });
    (
        Sender {
            shared: shared.clone(),
        },
        Receiver { shared },
    )
}

/// The sockets' end.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
}

/// The reader's end.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
}

impl Clone for Sender {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.senders -= 1;
        let last = queue.senders == 0;
        drop(queue);
        if last {
            self.shared.readable.notify_one();
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.writable.notify_waiters();
    }
}

/// Whether a message found room.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer {
    /// It did, or it replaced an older one.
    Taken,
    /// There is none, and it may not be dropped: offer it again when there is ([`Sender::room`]).
    Full(Box<Message>),
    /// Nobody reads any more.
    Closed,
}

/// The stream of market data that a message may be replaced within; none for what must not be dropped.
#[must_use]
pub fn replaceable(feed: &Feed) -> Option<Stream> {
    match feed {
        Feed::Event { event, .. } => {
            stream_of(event).filter(|stream| !matches!(stream, Stream::Account | Stream::User { .. }))
        }
        _ => None,
    }
}

/// The stream an event belongs to; none for controls.
#[must_use]
pub fn stream_of(event: &Event) -> Option<Stream> {
    let instrument = |text: &Text| text.clone();
    Some(match event {
        Event::Fill(fill) => match &fill.user {
            Some(user) => Stream::User { user: user.clone() },
            None => Stream::Account,
        },
        Event::Order(_) | Event::Position(_) | Event::Balance(_) => Stream::Account,
        Event::Ticker(ticker) => Stream::Ticker {
            instrument: instrument(&ticker.instrument),
        },
        Event::Book(book) => Stream::Book {
            instrument: instrument(&book.instrument),
        },
        Event::Trade(trade) => Stream::Trades {
            instrument: instrument(&trade.instrument),
        },
        Event::Kline(kline) => Stream::Klines {
            instrument: instrument(&kline.instrument),
            interval: kline.interval,
        },
        Event::Mark(mark) => Stream::Mark {
            instrument: instrument(&mark.instrument),
        },
        Event::Funding(funding) => Stream::Mark {
            instrument: instrument(&funding.instrument),
        },
        Event::Control(_) => return None,
    })
}

impl Sender {
    /// Puts a message in, if there is room or it may replace an older one.
    #[must_use]
    pub fn offer(&self, message: Message) -> Offer {
        let stream = replaceable(&message.feed);
        let mut queue = self.shared.lock();
        if queue.closed {
            return Offer::Closed;
        }
        match stream {
            Some(stream) => {
                let key = (message.socket, stream);
                if let Some(waiting) = queue.latest.get_mut(&key) {
                    waiting.message = message;
                    waiting.skipped = waiting.skipped.saturating_add(1);
                    return Offer::Taken;
                }
                if queue.ready.len() < self.shared.capacity {
                    queue.ready.push_back(message);
                } else {
                    queue.order.push_back(key.clone());
                    queue.latest.insert(key, Waiting { message, skipped: 0 });
                    return Offer::Taken;
                }
            }
            None if queue.ready.len() < self.shared.capacity => queue.ready.push_back(message),
            None => return Offer::Full(Box::new(message)),
        }
        drop(queue);
        self.shared.readable.notify_one();
        Offer::Taken
    }

    /// Returns when there may be room, or nobody reads any more.
    pub async fn room(&self) {
        loop {
            let woken = self.shared.writable.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            {
                let queue = self.shared.lock();
                if queue.closed || queue.ready.len() < self.shared.capacity {
                    return;
                }
            }
            woken.await;
        }
    }

    /// Puts a message in, waiting for room. False when nobody reads any more.
    pub async fn send(&self, message: Message) -> bool {
        let mut message = message;
        loop {
            match self.offer(message) {
                Offer::Taken => return true,
                Offer::Closed => return false,
                Offer::Full(back) => message = *back,
            }
            self.room().await;
        }
    }
}

impl Receiver {
    /// The next message; none when no socket is left.
    pub async fn receive(&mut self) -> Option<Message> {
        let shared = self.shared.clone();
        loop {
            let woken = shared.readable.notified();
            match self.take() {
                Ok(message) => return Some(message),
                Err(true) => return None,
                Err(false) => woken.await,
            }
        }
    }

    /// The next message if there is one.
    pub fn try_receive(&mut self) -> Option<Message> {
        self.take().ok()
    }

    /// The next message, or whether there will never be one.
    fn take(&mut self) -> Result<Message, bool> {
        let mut queue = self.shared.lock();
        if let Some(message) = queue.ready.pop_front() {
            // What waited longest moves up behind what is queued, unless it is preceded by the news that some are missing.
            if let Some(key) = queue.order.pop_front()
                && let Some(waiting) = queue.latest.remove(&key)
            {
                if waiting.skipped > 0 {
                    queue.ready.push_back(Message {
                        socket: key.0,
                        feed: Feed::Skipped {
                            stream: key.1,
                            count: waiting.skipped,
                        },
                    });
                }
                queue.ready.push_back(waiting.message);
            }
            let room = queue.ready.len() < self.shared.capacity;
            drop(queue);
            if room {
                self.shared.writable.notify_waiters();
            }
            return Ok(message);
        }
        Err(queue.senders == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Balance, Decimal, Ticker};

    fn ticker(instrument: &str, time_ms: u64) -> Feed {
        event(Event::Ticker(Ticker {
            instrument: instrument.into(),
            time_ms,
            ..Ticker::default()
        }))
    }

    fn balance(time_ms: u64) -> Feed {
        event(Event::Balance(Balance {
            asset: "USDT".into(),
            wallet: Decimal::ONE,
            equity: None,
            available: None,
            time_ms,
        }))
    }

    fn event(event: Event) -> Feed {
        Feed::Event {
            event,
            received_at: Instant::now(),
            frame: 0,
        }
    }

    fn of(feed: Feed) -> Message {
        Message { socket: 0, feed }
    }

    fn time(feed: &Feed) -> u64 {
        match feed {
            Feed::Event {
                event: Event::Ticker(ticker),
                ..
            } => ticker.time_ms,
            Feed::Event {
                event: Event::Balance(balance),
                ..
            } => balance.time_ms,
            _ => 0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn market_data_keeps_the_latest_and_says_what_is_missing() {
        let (sender, mut receiver) = channel(1);
        for number in 1..=5 {
            assert_eq!(sender.offer(of(ticker("A", number))), Offer::Taken);
        }
        assert_eq!(sender.offer(of(ticker("B", 9))), Offer::Taken);
        let mut seen = Vec::new();
        while let Some(message) = receiver.try_receive() {
            seen.push(message.feed);
        }
        assert_eq!(seen.len(), 4);
        assert_eq!(time(&seen[0]), 1);
        assert!(matches!(&seen[1], Feed::Skipped { count: 3, .. }));
        assert_eq!((time(&seen[2]), time(&seen[3])), (5, 9));
    }

    #[tokio::test(start_paused = true)]
    async fn what_belongs_to_an_account_waits_and_none_is_lost() {
        let (sender, mut receiver) = channel(2);
        let writer = tokio::spawn(async move {
            for number in 1..=100 {
                assert!(sender.send(of(balance(number))).await);
            }
        });
        let mut next = 1;
        while let Some(message) = receiver.receive().await {
            assert_eq!(time(&message.feed), next);
            next += 1;
            tokio::task::yield_now().await;
        }
        assert_eq!(next, 101);
        writer.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_is_told_that_nobody_reads() {
        let (sender, receiver) = channel(1);
        assert!(sender.send(of(balance(1))).await);
        let writer = tokio::spawn(async move { sender.send(of(balance(2))).await });
        tokio::task::yield_now().await;
        drop(receiver);
        assert!(!writer.await.unwrap());
    }
}
