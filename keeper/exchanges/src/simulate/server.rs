//! The server around a wire and an engine: HTTP, sockets, limits, faults, and a door for tests.
//!
//! `POST /simulator/faults` takes a [`Fault`]; `POST /simulator/price` `{"instrument","price"}`; `POST /simulator/close`
//! `{"key","instrument","position_side","cause"}` lets the venue close a position; `GET /simulator/account?key=` is the
//! truth about an account in the model's words.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::engine::{Account, Engine, Update};
use super::faults::{Fault, Faults, index, take};
use super::wire::{Frame, Incoming, Limit, Socket, Used, Wire};
use crate::model::{Balance, Cause, Decimal, Fill, Order, Position, PositionSide, Scope, Text, Venue};
use crate::request::{Method, Response};

/// Longest request body that is read, bytes.
const MAXIMUM_BODY: usize = 1024 * 1024;
/// How long an answer that never comes is waited for before the connection is dropped.
const NEVER: Duration = Duration::from_secs(60);
/// Updates a slow socket may be behind before it is closed.
const BACKLOG: usize = 16_384;

/// What happens to all sockets at once.
#[derive(Debug, Clone)]
enum News {
    Updates(Arc<Vec<Update>>),
    Disconnect(Scope),
    Expire,
    Maintenance,
}

struct Inner {
    wire: Box<dyn Wire>,
    engine: Mutex<Engine>,
    faults: Mutex<Faults>,
    used: Mutex<HashMap<&'static str, (u64, u32)>>,
    news: broadcast::Sender<News>,
}

/// A running simulator. It ends when it is dropped.
pub struct Simulator {
    address: SocketAddr,
    inner: Arc<Inner>,
    stop: CancellationToken,
}

/// How it is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 for a free one.
    pub listen: SocketAddr,
    /// How often prices move; none: only on command.
    pub step: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            step: None,
        }
    }
}

/// The truth about an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Truth {
    /// Money.
    pub balance: Option<Balance>,
    /// Positions that are not flat.
    pub positions: Vec<Position>,
    /// All orders, oldest first.
    pub orders: Vec<Order>,
    /// All fills, oldest first.
    pub fills: Vec<Fill>,
}

fn system_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
        .unwrap_or_default()
}

impl Inner {
    fn engine(&self) -> std::sync::MutexGuard<'_, Engine> {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let skew = self.faults().skew_ms;
        engine.set_clock(system_ms().saturating_add_signed(skew));
        engine
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the engine and tells the sockets what came of it.
    fn act<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> T {
        let mut engine = self.engine();
        let result = act(&mut engine);
        let updates = engine.take_updates();
        if !updates.is_empty() {
            // Sent under the lock, so that sockets see updates in the engine's order. No sockets is no error.
            let _ = self.news.send(News::Updates(Arc::new(updates)));
        }
        result
    }

    fn too_many(&self, seconds: u64, banned: bool) -> Response {
        let now_ms = self.engine().now_ms();
        self.wire.too_many(seconds, banned, now_ms)
    }

    /// Charges a request; the buckets after it, and whether one is over.
    fn charge(&self, request: &Incoming) -> (Vec<Used>, bool) {
        let now_ms = system_ms();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut over = false;
        let all = self
            .wire
            .costs(request)
            .into_iter()
            .map(|cost| {
                let Limit {
                    bucket,
                    maximum,
                    window_ms,
                } = cost.limit;
                let window = now_ms / window_ms.max(1);
                let entry = used.entry(bucket).or_insert((window, 0));
                if entry.0 != window {
                    *entry = (window, 0);
                }
                entry.1 = entry.1.saturating_add(cost.weight);
                over |= entry.1 > maximum;
                Used {
                    limit: cost.limit,
                    weight: entry.1,
                    reset_ms: (window + 1) * window_ms,
                }
            })
            .collect();
        (all, over)
    }
}

impl Simulator {
    /// Starts one.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(wire: Box<dyn Wire>, engine: Engine, options: Options) -> std::io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let (news, _) = broadcast::channel(BACKLOG);
        let inner = Arc::new(Inner {
            wire,
            engine: Mutex::new(engine),
            faults: Mutex::new(Faults::default()),
            used: Mutex::new(HashMap::new()),
            news,
        });
        let stop = CancellationToken::new();
        let router = Router::new()
            .route("/simulator/faults", post(set_fault))
            .route("/simulator/price", post(set_price))
            .route("/simulator/close", post(force_close))
            .route("/simulator/account", get(truth))
            .fallback(handle)
            .with_state(Arc::clone(&inner));
        let stopped = stop.clone();
        tokio::spawn(async move {
            // As venues do: what is written is sent, not kept until the message before it has arrived.
            let listener = listener.tap_io(|stream| {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection keeps Nagle's delay");
                }
            });
            let served = axum::serve(listener, router).with_graceful_shutdown(stopped.cancelled_owned());
            if let Err(error) = served.await {
                tracing::error!(%error, "the simulator's server ended");
            }
        });
        if let Some(step) = options.step {
            let (inner, stopped) = (Arc::clone(&inner), stop.clone());
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(step);
                while stopped.run_until_cancelled(ticks.tick()).await.is_some() {
                    inner.act(Engine::step);
                }
            });
        }
        Ok(Self { address, inner, stop })
    }

    /// Which venue it plays.
    #[must_use]
    pub fn venue(&self) -> Venue {
        self.inner.wire.venue()
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets a fault.
    pub fn fault(&self, fault: &Fault) {
        apply(&self.inner, fault);
    }

    /// Does something with the engine and tells the sockets what came of it.
    pub fn act<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> T {
        self.inner.act(act)
    }

    /// The truth about an account.
    #[must_use]
    pub fn truth(&self, key: &str) -> Option<Truth> {
        truth_of(&self.inner.engine(), key)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn truth_of(engine: &Engine, key: &str) -> Option<Truth> {
    let account = engine.account(key)?;
    let orders = account.orders().map(|order| in_base(engine, order)).collect();
    let fills = account.fills().iter().map(|fill| {
        let base = |size| engine.in_base(&fill.instrument, size, fill.price);
        Fill {
            size: base(fill.size),
            position_after: fill.position_after.map(base),
            ..fill.clone()
        }
    });
    let positions = engine.positions(key).into_iter().map(|position| {
        let mark = position.mark_price.unwrap_or_default();
        Position {
            // As the venue tells it: with eight decimals.
            size: engine
                .in_base(&position.instrument, position.size, mark)
                .round_dp(8)
                .normalize(),
            ..position
        }
    });
    Some(Truth {
        balance: engine.balance(key),
        positions: positions.collect(),
        orders,
        fills: fills.collect(),
    })
}

/// An order with its sizes in base units: those of an inverse instrument at the price it fills or was asked for.
fn in_base(engine: &Engine, order: &Order) -> Order {
    let mark = || engine.quote(&order.instrument).map(|quote| quote.price);
    let price = order.average_price.or(order.price).or(order.trigger_price);
    let price = price.or_else(mark).unwrap_or_default();
    let base = |size| engine.in_base(&order.instrument, size, price);
    Order {
        size: order.size.map(base),
        filled: base(order.filled),
        ..order.clone()
    }
}

fn apply(inner: &Inner, fault: &Fault) {
    let now_ms = system_ms();
    let mut faults = inner.faults();
    match fault {
        Fault::SilentStream { scope, milliseconds } => {
            faults.silent_until_ms[index(*scope)] = now_ms + milliseconds
        }
        Fault::HalfOpen { milliseconds } => faults.half_open_until_ms = now_ms + milliseconds,
        Fault::Gap { scope, count } => faults.gap[index(*scope)] = *count,
        Fault::Duplicate { scope, count } => faults.duplicate[index(*scope)] = *count,
        Fault::OutOfOrder { scope, count } => faults.out_of_order[index(*scope)] = *count,
        Fault::TooMany {
            count,
            retry_after_seconds,
        } => {
            faults.too_many = *count;
            faults.retry_after_seconds = *retry_after_seconds;
        }
        Fault::Ban { milliseconds } => faults.banned_until_ms = now_ms + milliseconds,
        Fault::TimeoutAfterAccept { count } => faults.timeout_after_accept = *count,
        Fault::ErrorAfterAccept { count } => faults.error_after_accept = *count,
        Fault::ErrorBeforeAccept { count } => faults.error_before_accept = *count,
        Fault::ClockSkew { milliseconds } => faults.skew_ms = *milliseconds,
        Fault::None => *faults = Faults::default(),
        Fault::Disconnect { scope } => {
            let _ = inner.news.send(News::Disconnect(*scope));
        }
        Fault::SessionExpiry => {
            let _ = inner.news.send(News::Expire);
        }
        Fault::Maintenance => {
            let _ = inner.news.send(News::Maintenance);
        }
    }
}

async fn set_fault(State(inner): State<Arc<Inner>>, axum::Json(fault): axum::Json<Fault>) -> StatusCode {
    apply(&inner, &fault);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct NewPrice {
    instrument: Text,
    price: Decimal,
}

async fn set_price(State(inner): State<Arc<Inner>>, axum::Json(new): axum::Json<NewPrice>) -> StatusCode {
    inner.act(|engine| engine.set_price(&new.instrument, new.price));
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct ForceClose {
    key: String,
    instrument: Text,
    #[serde(default)]
    position_side: PositionSide,
    cause: Cause,
}

async fn force_close(
    State(inner): State<Arc<Inner>>,
    axum::Json(close): axum::Json<ForceClose>,
) -> StatusCode {
    inner.act(|engine| engine.force_close(&close.key, &close.instrument, close.position_side, close.cause));
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Whose {
    key: String,
}

async fn truth(State(inner): State<Arc<Inner>>, Query(whose): Query<Whose>) -> HttpResponse {
    match truth_of(&inner.engine(), &whose.key) {
        Some(truth) => axum::Json(truth).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn header_pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}

async fn handle(State(inner): State<Arc<Inner>>, request: Request) -> HttpResponse {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let raw_query = parts.uri.query().unwrap_or_default().to_owned();
    let headers = header_pairs(&parts.headers);
    let host = headers
        .iter()
        .find(|(name, _)| name == "host")
        .map(|(_, value)| value.clone())
        .unwrap_or_default();
    if let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &inner).await {
        let socket = Socket {
            path,
            raw_query,
            host,
            ..Socket::default()
        };
        return upgrade.on_upgrade(move |stream| serve_socket(inner, stream, socket));
    }
    let method = match parts.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    let Ok(body) = to_bytes(body, MAXIMUM_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let incoming = Incoming {
        method,
        path,
        raw_query,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        host,
    };
    answer(&inner, &incoming).await
}

/// What the faults make of a request.
enum Fate {
    Answer,
    TooMany(u64),
    Banned(u64),
    Lost,
    TakenThenSilent,
    TakenThenError,
}

fn fate(inner: &Inner, request: &Incoming) -> Fate {
    let now_ms = system_ms();
    let mut faults = inner.faults();
    if faults.banned_until_ms > now_ms {
        return Fate::Banned((faults.banned_until_ms - now_ms).div_ceil(1_000));
    }
    if take(&mut faults.too_many) {
        return Fate::TooMany(faults.retry_after_seconds);
    }
    if !inner.wire.acts(request) {
        return Fate::Answer;
    }
    if take(&mut faults.error_before_accept) {
        Fate::Lost
    } else if take(&mut faults.timeout_after_accept) {
        Fate::TakenThenSilent
    } else if take(&mut faults.error_after_accept) {
        Fate::TakenThenError
    } else {
        Fate::Answer
    }
}

async fn answer(inner: &Arc<Inner>, request: &Incoming) -> HttpResponse {
    let fate = fate(inner, request);
    match fate {
        Fate::TooMany(seconds) => return http(inner.too_many(seconds, false), Vec::new()),
        Fate::Banned(seconds) => return http(inner.too_many(seconds, true), Vec::new()),
        Fate::Lost => return http(inner.wire.internal_error(), Vec::new()),
        Fate::Answer | Fate::TakenThenSilent | Fate::TakenThenError => {}
    }
    let (used, over) = inner.charge(request);
    if over {
        let now_ms = system_ms();
        let reset_ms = used.iter().map(|used| used.reset_ms).max().unwrap_or(now_ms);
        let seconds = reset_ms.saturating_sub(now_ms).div_ceil(1_000);
        return http(inner.too_many(seconds, false), inner.wire.limit_headers(&used));
    }
    let response = inner.act(|engine| inner.wire.rest(request, engine));
    match fate {
        Fate::TakenThenSilent => {
            tokio::time::sleep(NEVER).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Fate::TakenThenError => http(inner.wire.internal_error(), Vec::new()),
        _ => http(response, inner.wire.limit_headers(&used)),
    }
}

fn http(response: Response, more: Vec<(String, String)>) -> HttpResponse {
    let mut builder = HttpResponse::builder().status(response.status);
    let has_type = response.headers.iter().any(|(name, _)| name == "content-type");
    if !has_type {
        builder = builder.header("content-type", "application/json");
    }
    for (name, value) in response.headers.iter().chain(&more) {
        builder = builder.header(name, value);
    }
    builder
        .body(Body::from(response.body))
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn message(frame: Frame) -> Message {
    match frame {
        Frame::Text(text) => Message::Text(text.into()),
        Frame::Binary(bytes) => Message::Binary(bytes.into()),
        Frame::Close(code, reason) => Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        })),
    }
}

/// The scope of a socket, for faults: an account's once it has logged in.
const fn scope_of(socket: &Socket) -> Scope {
    if socket.account.is_some() {
        Scope::Private
    } else {
        Scope::Public
    }
}

async fn serve_socket(inner: Arc<Inner>, mut stream: WebSocket, mut socket: Socket) {
    let mut news = inner.news.subscribe();
    let first = inner.act(|engine| inner.wire.opened(&mut socket, engine));
    // A frame that is held back until the next one has gone out.
    let mut late: Option<Frame> = None;
    for frame in first {
        if stream.send(message(frame)).await.is_err() {
            return;
        }
    }
    let ping_every = |socket: &Socket| {
        inner
            .wire
            .server_ping(socket, system_ms())
            .map_or(NEVER, |(_, every)| Duration::from_millis(every))
    };
    let mut every = ping_every(&socket);
    let mut pings = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    loop {
        let wanted = ping_every(&socket);
        if wanted != every {
            every = wanted;
            pings = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
        }
        let out = tokio::select! {
            incoming = stream.recv() => match incoming {
                Some(Ok(Message::Text(text))) => {
                    if half_open(&inner) {
                        continue;
                    }
                    inner.act(|engine| inner.wire.message(&mut socket, text.as_str(), engine))
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            _ = pings.tick() => inner.wire.server_ping(&socket, system_ms()).map(|(frame, _)| frame).into_iter().collect(),
            item = news.recv() => match item {
                Ok(News::Updates(updates)) => pushed(&inner, &socket, &updates, &mut late),
                Ok(News::Disconnect(scope)) if scope == scope_of(&socket) => return,
                Ok(News::Disconnect(_)) => continue,
                Ok(News::Expire) => inner.act(|engine| inner.wire.expire_sessions(&mut socket, engine)),
                Ok(News::Maintenance) => inner.wire.maintenance(&socket).into_iter().collect(),
                // Too slow to be served: a venue closes such a socket too.
                Err(_) => return,
            },
        };
        if half_open(&inner) {
            continue;
        }
        for frame in out {
            let end = matches!(frame, Frame::Close(..));
            if stream.send(message(frame)).await.is_err() || end {
                return;
            }
        }
    }
}

fn half_open(inner: &Inner) -> bool {
    inner.faults().half_open_until_ms > system_ms()
}

fn pushed(inner: &Inner, socket: &Socket, updates: &[Update], late: &mut Option<Frame>) -> Vec<Frame> {
    let scope = scope_of(socket);
    let frames: Vec<Frame> = {
        let engine = inner.engine();
        updates
            .iter()
            .flat_map(|update| inner.wire.push(socket, update, &engine))
            .collect()
    };
    let mut faults = inner.faults();
    let at = index(scope);
    let mut out = Vec::with_capacity(frames.len());
    for frame in frames {
        if faults.silent_until_ms[at] > system_ms() || take(&mut faults.gap[at]) {
            continue;
        }
        if late.is_none() && take(&mut faults.out_of_order[at]) {
            *late = Some(frame);
            continue;
        }
        if take(&mut faults.duplicate[at]) {
            out.push(frame.clone());
        }
        out.push(frame);
        out.extend(late.take());
    }
    out
}

/// Accounts of a simulator that nobody configured: `key`/`secret`/`passphrase` with so much money.
#[must_use]
pub fn default_account(wallet: Decimal) -> Account {
    Account::new("test_api_key", "test_secret", "test_passphrase", wallet)
}
