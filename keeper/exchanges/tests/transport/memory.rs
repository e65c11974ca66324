//! A simulator in memory: the venue's wire format and the exchange behind it, over a network whose faults follow from a
//! seed. No sockets and no clock but tokio's, so that a seed gives the same run again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{sink, stream};
use lockstep_exchanges::model::Scope;
use lockstep_exchanges::request::{Response, SignedRequest};
use lockstep_exchanges::simulate::engine::{Engine, Update};
use lockstep_exchanges::simulate::wire::{Frame as Said, Incoming, Socket, Wire};
use lockstep_exchanges::transport::clock::LocalClock;
use lockstep_exchanges::transport::http::{Http, HttpError};
use lockstep_exchanges::transport::random::Random;
use lockstep_exchanges::transport::socket::{Connect, Link, LinkError};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_util::sync::CancellationToken;

/// How long a request is waited for, as the real client does.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How often what went wrong, so that a test can show that it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    pub connects: u32,
    pub refused_connects: u32,
    pub disconnects: u32,
    pub half_open: u32,
    pub lost: u32,
    pub late: u32,
    pub doubled: u32,
    pub requests: u32,
    pub failed_requests: u32,
}

impl std::ops::AddAssign for Faults {
    fn add_assign(&mut self, other: Self) {
        self.connects += other.connects;
        self.refused_connects += other.refused_connects;
        self.disconnects += other.disconnects;
        self.half_open += other.half_open;
        self.lost += other.lost;
        self.late += other.late;
        self.doubled += other.doubled;
        self.requests += other.requests;
        self.failed_requests += other.failed_requests;
    }
}

/// What goes to the client, and when it gets there.
type Delivery = (Instant, Result<Frame, LinkError>);

/// A client's socket as the venue has it.
struct Open {
    socket: Socket,
    to_client: mpsc::UnboundedSender<Delivery>,
    /// The venue has closed it.
    closed: CancellationToken,
    /// Nothing gets through any more, in either direction, and nobody is told.
    half_open: bool,
    /// Pushes stay away until then, though the socket answers.
    silent_until: Instant,
    /// Pushes that come after those that follow them.
    late: Vec<Said>,
}

impl Open {
    fn is_private(&self) -> bool {
        self.socket.account.is_some()
    }

    fn say(&self, said: Said, latency: Duration) {
        let (frame, end) = match said {
            Said::Text(text) => (Frame::text(text), false),
            Said::Binary(bytes) => (Frame::binary(bytes), false),
            Said::Close(..) => (Frame::Close(None), true),
        };
        if self.half_open {
            return;
        }
        tracing::debug!(path = self.socket.path, ?frame, "said");
        // Who has gone hears nothing: no error of the venue's.
        let _ = self.to_client.send((Instant::now() + latency, Ok(frame)));
        if end {
            self.closed.cancel();
        }
    }
}

struct State {
    engine: Engine,
    random: Random,
    /// Whether the network is at fault now.
    bad: bool,
    /// Nobody gets a connection.
    closed: bool,
    skew_ms: i64,
    sockets: BTreeMap<u64, Open>,
    next: u64,
    faults: Faults,
    /// What was sent and received and when, to compare two runs of a seed.
    trace: u64,
}

/// A venue in memory, and the network to it. Clones are the same venue.
#[derive(Clone)]
pub struct Memory {
    wire: Arc<dyn Wire>,
    clock: LocalClock,
    state: Arc<Mutex<State>>,
}

impl State {
    fn chance(&mut self, one_in: u64) -> bool {
        self.bad && self.random.up_to(one_in - 1) == 0
    }

    fn latency(&mut self, most_ms: u64) -> Duration {
        Duration::from_millis(self.random.up_to(most_ms))
    }

    fn note(&mut self, bytes: &[u8], at: Instant, clock: &LocalClock) {
        // FNV-1a: enough to tell two runs apart.
        for byte in clock.ms_at(at).to_be_bytes().iter().chain(bytes) {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn push(&mut self, wire: &dyn Wire, updates: &[Update]) {
        let ids: Vec<u64> = self.sockets.keys().copied().collect();
        for id in ids {
            let Some(open) = self.sockets.get(&id) else {
                continue;
            };
            let frames: Vec<Said> = updates
                .iter()
                .flat_map(|update| wire.push(&open.socket, update, &self.engine))
                .collect();
            for frame in frames {
                self.deliver(id, frame);
            }
        }
    }

    fn deliver(&mut self, id: u64, frame: Said) {
        let latency = self.latency(30);
        let fate = if self.bad { self.random.up_to(24) } else { u64::MAX };
        let flush = self.random.up_to(2) == 0;
        let Some(open) = self.sockets.get_mut(&id) else {
            return;
        };
        if open.silent_until > Instant::now() {
            self.faults.lost += 1;
            return;
        }
        match fate {
            // Never arrives, and nothing says so.
            0 => {
                self.faults.lost += 1;
                return;
            }
            // Arrives later than what follows it.
            1 | 2 => {
                self.faults.late += 1;
                open.late.push(frame);
                return;
            }
            // Arrives twice, the second time late.
            3 | 4 => {
                self.faults.doubled += 1;
                open.late.push(frame.clone());
            }
            _ => {}
        }
        open.say(frame, latency);
        if flush && !open.late.is_empty() {
            let late = open.late.remove(0);
            open.say(late, latency);
        }
    }
}

impl Memory {
    pub fn new(wire: Box<dyn Wire>, engine: Engine, clock: LocalClock, skew_ms: i64, seed: u64) -> Self {
        Self {
            wire: Arc::from(wire),
            clock,
            state: Arc::new(Mutex::new(State {
                engine,
                random: Random::seeded(seed),
                bad: false,
                closed: false,
                skew_ms,
                sockets: BTreeMap::new(),
                next: 0,
                faults: Faults::default(),
                trace: 0xcbf2_9ce4_8422_2325,
            })),
        }
    }

    /// The state with the exchange's clock set.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap();
        let now_ms = self.clock.now_ms().saturating_add_signed(state.skew_ms);
        state.engine.set_clock(now_ms);
        state
    }

    /// Does something with the exchange and tells the sockets what came of it.
    pub fn act<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> T {
        let mut state = self.state();
        let result = act(&mut state.engine);
        let updates = state.engine.take_updates();
        state.push(self.wire.as_ref(), &updates);
        result
    }

    pub fn faults(&self) -> Faults {
        self.state.lock().unwrap().faults
    }

    /// A number that two runs of a seed have in common, and two runs with different traffic have not.
    pub fn trace(&self) -> u64 {
        self.state.lock().unwrap().trace
    }

    /// From now on the network loses, delays and doubles.
    pub fn begin_faults(&self) {
        self.state().bad = true;
    }

    /// From now on it does not. What was late arrives; a half-open socket stays so until its client notices.
    pub fn end_faults(&self) {
        let mut state = self.state();
        state.bad = false;
        for open in state.sockets.values_mut() {
            open.silent_until = Instant::now();
            for late in std::mem::take(&mut open.late) {
                open.say(late, Duration::ZERO);
            }
        }
    }

    /// Whether sockets can be opened.
    pub fn let_in(&self, yes: bool) {
        self.state().closed = !yes;
    }

    /// The connections break: what was on the way is lost with some, and arrives with others.
    pub fn disconnect(&self, scope: Scope) {
        let mut state = self.state();
        let reset = state.random.up_to(1) == 0;
        let private = scope == Scope::Private;
        state.faults.disconnects += 1;
        for open in state.sockets.values().filter(|open| open.is_private() == private) {
            if reset && !open.half_open {
                let broken = Err(LinkError("reset by peer".to_owned()));
                let _ = open.to_client.send((Instant::now(), broken));
            }
            open.closed.cancel();
        }
    }

    pub fn half_open(&self, scope: Scope) {
        let mut state = self.state();
        state.faults.half_open += 1;
        let private = scope == Scope::Private;
        for open in state
            .sockets
            .values_mut()
            .filter(|open| open.is_private() == private)
        {
            open.half_open = true;
        }
    }

    /// Sockets stay open and answer, but no data comes.
    pub fn silence(&self, scope: Scope, length: Duration) {
        let private = scope == Scope::Private;
        for open in self
            .state()
            .sockets
            .values_mut()
            .filter(|open| open.is_private() == private)
        {
            open.silent_until = Instant::now() + length;
        }
    }

    pub fn expire_sessions(&self) {
        let mut state = self.state();
        let state = &mut *state;
        for open in state.sockets.values_mut() {
            for said in self.wire.expire_sessions(&mut open.socket, &mut state.engine) {
                open.say(said, Duration::ZERO);
            }
        }
    }

    pub fn announce_maintenance(&self) {
        for open in self.state().sockets.values() {
            if let Some(said) = self.wire.maintenance(&open.socket) {
                open.say(said, Duration::ZERO);
            }
        }
    }

    /// The venue's clock steps forward.
    pub fn step_clock(&self, milliseconds: i64) {
        self.state().skew_ms += milliseconds;
    }

    fn open(&self, url: &str, to_client: mpsc::UnboundedSender<Delivery>) -> (u64, CancellationToken) {
        let url = url::Url::parse(url).unwrap();
        let mut state = self.state();
        let state = &mut *state;
        let id = state.next;
        state.next += 1;
        state.faults.connects += 1;
        let mut open = Open {
            socket: Socket {
                path: url.path().to_owned(),
                raw_query: url.query().unwrap_or_default().to_owned(),
                host: url.host_str().unwrap_or_default().to_owned(),
                ..Socket::default()
            },
            to_client,
            closed: CancellationToken::new(),
            half_open: false,
            silent_until: Instant::now(),
            late: Vec::new(),
        };
        for said in self.wire.opened(&mut open.socket, &mut state.engine) {
            open.say(said, Duration::from_millis(5));
        }
        let closed = open.closed.clone();
        state.sockets.insert(id, open);
        (id, closed)
    }

    /// A frame of the client has arrived.
    fn receive(&self, id: u64, frame: &Frame) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.note(&frame.clone().into_data(), Instant::now(), &self.clock);
        let latency = state.latency(10);
        let Some(open) = state.sockets.get_mut(&id) else {
            return;
        };
        if open.half_open {
            return;
        }
        match frame {
            Frame::Text(text) => {
                for said in self
                    .wire
                    .message(&mut open.socket, text.as_str(), &mut state.engine)
                {
                    open.say(said, latency);
                }
            }
            Frame::Ping(payload) => {
                let pong = Ok(Frame::Pong(payload.clone()));
                let _ = open.to_client.send((Instant::now() + latency, pong));
            }
            Frame::Close(_) => open.closed.cancel(),
            _ => {}
        }
        let updates = state.engine.take_updates();
        state.push(self.wire.as_ref(), &updates);
    }

    /// How long until the venue asks whether the client lives.
    fn ping_every(&self, id: u64) -> Option<Duration> {
        let state = self.state();
        let open = state.sockets.get(&id)?;
        let (_, every) = self.wire.server_ping(&open.socket, state.engine.now_ms())?;
        Some(Duration::from_millis(every))
    }

    fn ping(&self, id: u64) {
        let state = self.state();
        let Some(open) = state.sockets.get(&id) else {
            return;
        };
        if let Some((said, _)) = self.wire.server_ping(&open.socket, state.engine.now_ms()) {
            open.say(said, Duration::ZERO);
        }
    }

    async fn serve(
        self,
        id: u64,
        closed: CancellationToken,
        mut from_client: mpsc::UnboundedReceiver<Frame>,
    ) {
        let mut asked = Instant::now();
        loop {
            let ping_at = self.ping_every(id).map(|every| asked + every);
            tokio::select! {
                biased;
                () = closed.cancelled() => break,
                frame = from_client.recv() => {
                    let Some(frame) = frame else { break };
                    let latency = self.state().latency(10);
                    sleep(latency).await;
                    self.receive(id, &frame);
                }
                () = async { sleep_until(ping_at.unwrap_or_else(Instant::now)).await }, if ping_at.is_some() => {
                    asked = Instant::now();
                    self.ping(id);
                }
            }
        }
        self.state().sockets.remove(&id);
    }
}

#[async_trait]
impl Connect for Memory {
    async fn connect(&self, url: &str) -> Result<Link, LinkError> {
        let (delay, refused, hangs) = {
            let mut state = self.state();
            state.note(url.as_bytes(), Instant::now(), &self.clock);
            let refused = state.chance(4) || state.closed;
            let hangs = state.chance(25);
            state.faults.refused_connects += u32::from(refused || hangs);
            (state.latency(50), refused, hangs)
        };
        sleep(delay).await;
        if hangs {
            std::future::pending::<()>().await;
        }
        if refused {
            return Err(LinkError("refused".to_owned()));
        }
        let (to_client, from_server) = mpsc::unbounded_channel();
        let (to_server, from_client) = mpsc::unbounded_channel();
        let (id, closed) = self.open(url, to_client);
        tokio::spawn(self.clone().serve(id, closed, from_client));
        Ok(Link {
            outgoing: Box::pin(sink::unfold(to_server, |to_server, frame| async move {
                to_server
                    .send(frame)
                    .map_err(|_| LinkError("broken".to_owned()))?;
                Ok(to_server)
            })),
            incoming: Box::pin(stream::unfold(from_server, |mut from_server| async move {
                let (at, frame): Delivery = from_server.recv().await?;
                sleep_until(at).await;
                Some((frame, from_server))
            })),
        })
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    NeverSent,
    /// It does not arrive.
    Lost,
    /// It arrives, its answer does not.
    Unanswered,
    TooMany,
    /// The venue fails.
    Failed,
}

#[async_trait]
impl Http for Memory {
    async fn send(&self, request: SignedRequest) -> Result<Response, HttpError> {
        let url = url::Url::parse(&request.url).unwrap();
        let incoming = Incoming {
            method: request.method,
            path: url.path().to_owned(),
            raw_query: url.query().unwrap_or_default().to_owned(),
            headers: request
                .headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                .collect(),
            body: request.body,
            host: url.host_str().unwrap_or_default().to_owned(),
        };
        let no_reply = || HttpError::NoReply {
            detail: "operation timed out".to_owned(),
        };
        let (there, back, fate) = {
            let mut state = self.state();
            state.note(incoming.path.as_bytes(), Instant::now(), &self.clock);
            let fate = match state.random.up_to(59) {
                _ if !state.bad => Fate::Answered,
                0 => Fate::NeverSent,
                1 => Fate::Lost,
                2 => Fate::Unanswered,
                3 => Fate::TooMany,
                4 => Fate::Failed,
                _ => Fate::Answered,
            };
            state.faults.requests += 1;
            state.faults.failed_requests += u32::from(fate != Fate::Answered);
            (state.latency(150), state.latency(150), fate)
        };
        sleep(there).await;
        let response = match fate {
            Fate::NeverSent => {
                return Err(HttpError::NotSent {
                    detail: "connection refused".to_owned(),
                });
            }
            Fate::Lost => {
                sleep(REQUEST_TIMEOUT).await;
                return Err(no_reply());
            }
            Fate::TooMany => {
                let now_ms = self.state().engine.now_ms();
                self.wire.too_many(1, false, now_ms)
            }
            Fate::Failed => self.wire.internal_error(),
            Fate::Answered | Fate::Unanswered => self.act(|engine| self.wire.rest(&incoming, engine)),
        };
        if fate == Fate::Unanswered {
            sleep(REQUEST_TIMEOUT).await;
            return Err(no_reply());
        }
        tracing::debug!(
            path = incoming.path,
            query = incoming.raw_query,
            status = response.status,
            body = %String::from_utf8_lossy(&response.body),
            "answered"
        );
        sleep(back).await;
        Ok(response)
    }
}
