//! Who listens to what, and the queues between.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::topic::Topic;
use crate::client::Client;
use crate::config::StreamConfig;
use crate::dto::status::BlockRef;
use crate::dto::stream::StreamMessage;

/// Most topics of one connection.
pub const MAX_TOPICS: usize = 64;

struct Listener {
    client: Client,
    topics: BTreeSet<Topic>,
    queue: mpsc::Sender<Utf8Bytes>,
    dropped: Arc<AtomicU64>,
}

#[derive(Default)]
struct Listeners {
    next: u64,
    by_id: HashMap<u64, Listener>,
    by_topic: HashMap<Topic, HashSet<u64>>,
    by_client: HashMap<Client, usize>,
    head: Option<BlockRef>,
}

/// See the module.
pub struct Hub {
    buffer: usize,
    max_connections: usize,
    max_per_client: usize,
    listeners: Mutex<Listeners>,
}

/// A connection's side of the hub; leaving it takes the connection out.
pub struct Seat {
    hub: Arc<Hub>,
    id: u64,
    /// Messages for this connection.
    pub queue: mpsc::Receiver<Utf8Bytes>,
    dropped: Arc<AtomicU64>,
}

impl Hub {
    /// As configured.
    #[must_use]
    pub fn new(config: &StreamConfig) -> Self {
        Self {
            buffer: config.buffer.max(1),
            max_connections: config.max_connections,
            max_per_client: config.max_connections_per_client,
            listeners: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a seat, if there is one for this client.
    pub fn join(self: &Arc<Self>, client: Client) -> Option<Seat> {
        let mut listeners = self.lock();
        let mine = listeners.by_client.get(&client).copied().unwrap_or(0);
        if listeners.by_id.len() >= self.max_connections || mine >= self.max_per_client {
            return None;
        }
        let id = listeners.next;
        listeners.next = listeners.next.wrapping_add(1);
        *listeners.by_client.entry(client).or_default() += 1;
        let (queue, receiver) = mpsc::channel(self.buffer);
        let dropped = Arc::new(AtomicU64::new(0));
        let listener = Listener {
            client,
            topics: BTreeSet::new(),
            queue,
            dropped: Arc::clone(&dropped),
        };
        listeners.by_id.insert(id, listener);
        gauge(listeners.by_id.len());
        Some(Seat {
            hub: Arc::clone(self),
            id,
            queue: receiver,
            dropped,
        })
    }

    /// Topics that someone listens to.
    #[must_use]
    pub fn wanted(&self) -> HashSet<Topic> {
        self.lock().by_topic.keys().copied().collect()
    }

    /// Newest block of the store, for heartbeats.
    #[must_use]
    pub fn head(&self) -> Option<BlockRef> {
        self.lock().head.clone()
    }

    /// Remembers the newest block of the store.
    pub fn set_head(&self, head: Option<BlockRef>) {
        self.lock().head = head;
    }

    /// Puts a message into the queues of those who listen to a topic.
    pub fn publish(&self, topic: Topic, message: &StreamMessage) {
        let Some(text) = encode(message) else { return };
        let listeners = self.lock();
        let ids = listeners.by_topic.get(&topic);
        for listener in ids.into_iter().flatten().filter_map(|id| listeners.by_id.get(id)) {
            listener.offer(&text);
        }
    }

    /// Puts a message into all queues.
    pub fn publish_to_all(&self, message: &StreamMessage) {
        let Some(text) = encode(message) else { return };
        for listener in self.lock().by_id.values() {
            listener.offer(&text);
        }
    }
}

fn gauge(connections: usize) {
    // Far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    metrics::gauge!("lockstep_api_stream_clients").set(connections as f64);
}

/// A message as it travels.
pub fn encode(message: &StreamMessage) -> Option<Utf8Bytes> {
    serde_json::to_string(message)
        .inspect_err(|error| tracing::error!(%error, "a message cannot be encoded"))
        .ok()
        .map(Into::into)
}

impl Listener {
    fn offer(&self, text: &Utf8Bytes) {
        // Once something was dropped, all is until the client has been told: no gap is papered over.
        let behind = self.dropped.load(Ordering::Acquire) > 0;
        if behind || matches!(self.queue.try_send(text.clone()), Err(TrySendError::Full(_))) {
            self.dropped.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Seat {
    /// Listens to more; the topics now, or why not.
    ///
    /// # Errors
    /// A sentence for the client.
    pub fn subscribe(&self, topics: &[Topic]) -> Result<Vec<Topic>, String> {
        let mut listeners = self.hub.lock();
        let Listeners { by_id, by_topic, .. } = &mut *listeners;
        let Some(listener) = by_id.get_mut(&self.id) else {
            return Ok(Vec::new());
        };
        let mut all = listener.topics.clone();
        all.extend(topics);
        if all.len() > MAX_TOPICS {
            return Err(format!("A connection has at most {MAX_TOPICS} topics."));
        }
        for topic in topics {
            by_topic.entry(*topic).or_default().insert(self.id);
        }
        listener.topics = all;
        Ok(listener.topics.iter().copied().collect())
    }

    /// Listens to less; the topics now.
    #[must_use]
    pub fn unsubscribe(&self, topics: &[Topic]) -> Vec<Topic> {
        let mut listeners = self.hub.lock();
        let Listeners { by_id, by_topic, .. } = &mut *listeners;
        let Some(listener) = by_id.get_mut(&self.id) else {
            return Vec::new();
        };
        for topic in topics {
            listener.topics.remove(topic);
            forget(by_topic, topic, self.id);
        }
        listener.topics.iter().copied().collect()
    }

    /// Messages dropped since the last time, and an empty queue, when there were any.
    pub fn lag(&mut self) -> Option<u64> {
        if self.dropped.load(Ordering::Acquire) == 0 {
            return None;
        }
        // While `dropped` is not zero nothing is added, so the queue can be emptied.
        let mut stale = 0u64;
        while self.queue.try_recv().is_ok() {
            stale = stale.saturating_add(1);
        }
        let dropped = self.dropped.swap(0, Ordering::AcqRel).saturating_add(stale);
        metrics::counter!("lockstep_api_stream_dropped_total").increment(dropped);
        Some(dropped)
    }
}

fn forget(by_topic: &mut HashMap<Topic, HashSet<u64>>, topic: &Topic, id: u64) {
    if let Some(ids) = by_topic.get_mut(topic) {
        ids.remove(&id);
        if ids.is_empty() {
            by_topic.remove(topic);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut listeners = self.hub.lock();
        let Listeners {
            by_id,
            by_topic,
            by_client,
            ..
        } = &mut *listeners;
        let Some(listener) = by_id.remove(&self.id) else {
            return;
        };
        for topic in &listener.topics {
            forget(by_topic, topic, self.id);
        }
        if let Some(count) = by_client.get_mut(&listener.client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_client.remove(&listener.client);
            }
        }
        gauge(by_id.len());
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{Extensions, HeaderMap};

    use super::*;

    fn hub(buffer: usize, max_connections: usize, per_client: usize) -> Arc<Hub> {
        Arc::new(Hub::new(&StreamConfig {
            buffer,
            max_connections,
            max_connections_per_client: per_client,
            ..StreamConfig::default()
        }))
    }

    fn client() -> Client {
        Client::of(&Extensions::new(), &HeaderMap::new(), &[])
    }

    #[test]
    fn a_message_reaches_those_who_listen_and_nobody_else() {
        let hub = hub(8, 10, 10);
        let (mut a, mut b) = (hub.join(client()).unwrap(), hub.join(client()).unwrap());
        a.subscribe(&[Topic::Strategies]).unwrap();
        b.subscribe(&[Topic::Strategy(1)]).unwrap();
        hub.publish(Topic::Strategies, &StreamMessage::Resync);
        assert!(a.queue.try_recv().is_ok() && b.queue.try_recv().is_err());
        hub.publish_to_all(&StreamMessage::Resync);
        assert!(a.queue.try_recv().is_ok() && b.queue.try_recv().is_ok());
    }

    #[test]
    fn a_full_queue_drops_all_that_follows_until_the_client_was_told() {
        let hub = hub(2, 10, 10);
        let mut seat = hub.join(client()).unwrap();
        seat.subscribe(&[Topic::Strategies]).unwrap();
        for _ in 0..5 {
            hub.publish(Topic::Strategies, &StreamMessage::Resync);
        }
        assert!(
            seat.queue.try_recv().is_ok(),
            "room again, but the gap is not told yet"
        );
        hub.publish(Topic::Strategies, &StreamMessage::Resync);
        assert_eq!(seat.lag(), Some(5), "4 were dropped and 1 was stale");
        assert_eq!(seat.lag(), None);
        hub.publish(Topic::Strategies, &StreamMessage::Resync);
        assert!(seat.queue.try_recv().is_ok());
    }

    #[test]
    fn seats_are_limited_and_given_back() {
        let hub = hub(1, 10, 2);
        let first = hub.join(client()).unwrap();
        first.subscribe(&[Topic::Strategies, Topic::Strategy(2)]).unwrap();
        let _second = hub.join(client()).unwrap();
        assert!(hub.join(client()).is_none());
        drop(first);
        assert!(hub.wanted().is_empty());
        assert!(hub.join(client()).is_some());
    }

    #[test]
    fn topics_are_limited_and_can_be_left() {
        let hub = hub(1, 1, 1);
        let seat = hub.join(client()).unwrap();
        let many: Vec<_> = (0..=64).map(Topic::Strategy).collect();
        assert!(seat.subscribe(&many).is_err());
        assert_eq!(
            seat.subscribe(&[Topic::Strategies, Topic::Strategy(1)])
                .unwrap()
                .len(),
            2
        );
        assert_eq!(seat.unsubscribe(&[Topic::Strategies]), [Topic::Strategy(1)]);
        assert_eq!(hub.wanted(), HashSet::from([Topic::Strategy(1)]));
    }
}
