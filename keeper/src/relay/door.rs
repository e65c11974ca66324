//! The internal HTTP door: the API hands in signed items here, and asks what became of them. Health and metrics too.
//! Bound to a loopback address. Every error is `{"code": …, "detail": …}` with a stable code.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::B256;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use lockstep_contracts::relay::{RelayState, RelayStatus, SignedIntent, SignedMandate};
use lockstep_contracts::units::Wad;
use lockstep_exchanges::signal_door::MendError;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::validate::{ValidateError, Validator};
use crate::engine::{Command, Health, Seen, SignalRefused};
use crate::journal::{Journal, JournalError};
use crate::source::board::{Board, Shown};

/// Bodies are a few kilobytes; a contract account's signature may be larger.
const MAX_BODY: usize = 64 * 1024;
/// A look older than this means that the keeper does not keep up.
const READY_AGE: Duration = Duration::from_secs(30);
/// How long a signal may take to be written down before nothing is said of it.
const SIGNAL_WAIT: Duration = Duration::from_secs(5);

/// What the door needs.
#[derive(Clone)]
pub struct Door {
    /// Journal.
    pub journal: Journal,
    /// Checks.
    pub validator: Validator,
    /// To the loop.
    pub commands: mpsc::Sender<Command>,
    /// From the loop.
    pub health: watch::Receiver<Health>,
    /// Metrics.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// What the sources outside the chain show.
    pub board: Board,
    /// Bearer token.
    pub token: Option<SecretString>,
}

/// An error as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Problem {
    /// Stable.
    pub code: String,
    /// One sentence.
    pub detail: String,
}

struct Failure(StatusCode, Problem);

impl Failure {
    fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self(
            status,
            Problem {
                code: code.to_owned(),
                detail: detail.into(),
            },
        )
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl From<ValidateError> for Failure {
    fn from(error: ValidateError) -> Self {
        match error {
            ValidateError::Refused(refusal) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, &refusal.code, refusal.detail)
            }
            ValidateError::Rpc(error) => {
                warn!(%error, "the chain cannot be asked about a relayed item");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "chain-unavailable",
                    "the chain cannot be asked now",
                )
            }
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        warn!(%error, "a relayed item could not be written down");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "journal-unavailable",
            "it could not be written down, so it was not taken",
        )
    }
}

/// A signal attested by this keeper.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attest {
    strategy_id: u64,
    market: u8,
    leverage: Wad,
    observed_at: u64,
}

impl Door {
    /// Its routes.
    pub fn routes(self) -> Router {
        let guarded = Router::new()
            .route("/v1/relay/mandate", post(mandate))
            .route("/v1/relay/intent", post(intent))
            .route("/v1/relay/{id}", get(status))
            .route("/v1/signal", post(signal))
            .route("/v1/signal-sources/{name}/mend", post(mend))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(middleware::from_fn_with_state(self.clone(), authorise));
        Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(render))
            .merge(guarded)
            .with_state(self)
    }
}

async fn authorise(State(door): State<Door>, request: Request, next: Next) -> Response {
    let Some(token) = &door.token else {
        return next.run(request).await;
    };
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    if same(given.as_bytes(), token.expose_secret().as_bytes()) {
        next.run(request).await
    } else {
        Failure::new(
            StatusCode::UNAUTHORIZED,
            "unauthorised",
            "give the keeper's bearer token",
        )
        .into_response()
    }
}

/// Compares in a time that does not depend on where the difference is.
fn same(given: &[u8], wanted: &[u8]) -> bool {
    given.len() == wanted.len() && given.iter().zip(wanted).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, "malformed", error.to_string()))
}

async fn mandate(State(door): State<Door>, body: Bytes) -> Result<Response, Failure> {
    let signed: SignedMandate = parse(&body)?;
    let id = door.validator.mandate_id(&signed);
    if let Some(status) = door.known(id).await? {
        return Ok(accepted(status));
    }
    door.validator.mandate(&signed).await?;
    door.accept(id, "mandate", &body).await
}

async fn intent(State(door): State<Door>, body: Bytes) -> Result<Response, Failure> {
    let signed: SignedIntent = parse(&body)?;
    let id = door.validator.intent_id(&signed);
    if let Some(status) = door.known(id).await? {
        return Ok(accepted(status));
    }
    door.validator.intent(&signed).await?;
    door.accept(id, "intent", &body).await
}

fn accepted(status: RelayStatus) -> Response {
    (StatusCode::ACCEPTED, Json(status)).into_response()
}

impl Door {
    /// What is under way or done already; an item refused before may be tried again.
    async fn known(&self, id: B256) -> Result<Option<RelayStatus>, Failure> {
        let status = self.journal.status(id).await?;
        Ok(status.filter(|status| !matches!(status.state, RelayState::Rejected { .. })))
    }

    async fn accept(&self, id: B256, kind: &str, body: &[u8]) -> Result<Response, Failure> {
        let status = self
            .journal
            .accept(id, kind, &String::from_utf8_lossy(body))
            .await?;
        info!(%id, kind, "taken in");
        metrics::counter!("keeper_relayed_total", "kind" => kind.to_owned()).increment(1);
        // A full queue is no loss: the loop looks into the journal anyway.
        let _ = self.commands.try_send(Command::Relay);
        Ok(accepted(status))
    }
}

async fn status(State(door): State<Door>, Path(id): Path<String>) -> Result<Json<RelayStatus>, Failure> {
    let id: B256 = id
        .parse()
        .map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "malformed", "the id is 32 bytes of hex"))?;
    let status = door.journal.status(id).await?;
    status
        .map(Json)
        .ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "unknown-item", "nothing with this id"))
}

/// Only with a token: what comes in here is attested by the keeper's key. 202 means that it is written down.
async fn signal(State(door): State<Door>, body: Bytes) -> Result<StatusCode, Failure> {
    if door.token.is_none() {
        let detail = "signals are taken only by a keeper that has a token";
        return Err(Failure::new(StatusCode::FORBIDDEN, "signals-off", detail));
    }
    let attest: Attest = parse(&body)?;
    let (answer, taken) = oneshot::channel();
    let seen = Seen {
        strategy: attest.strategy_id,
        market: attest.market,
        leverage: attest.leverage,
        observed_at: attest.observed_at,
    };
    door.commands
        .try_send(Command::Signal {
            seen,
            exchange: None,
            answer,
        })
        .map_err(|_| unavailable("busy", "the keeper is busy; send it again"))?;
    match tokio::time::timeout(SIGNAL_WAIT, taken).await {
        Ok(Ok(Ok(()))) => Ok(StatusCode::ACCEPTED),
        Ok(Ok(Err(refused))) => Err(refused.into()),
        Ok(Err(_)) | Err(_) => Err(unavailable(
            "unknown",
            "the keeper may or may not have taken it; sending the same signal again is safe",
        )),
    }
}

fn unavailable(code: &str, detail: &str) -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
}

impl From<SignalRefused> for Failure {
    fn from(refused: SignalRefused) -> Self {
        let (status, code) = match refused {
            SignalRefused::UnknownStrategy => (StatusCode::UNPROCESSABLE_ENTITY, "unknown-strategy"),
            SignalRefused::ProvenByVenue => (StatusCode::UNPROCESSABLE_ENTITY, "proven-by-venue"),
            SignalRefused::UnknownMarket => (StatusCode::UNPROCESSABLE_ENTITY, "unknown-market"),
            SignalRefused::FromTheFuture => (StatusCode::UNPROCESSABLE_ENTITY, "from-the-future"),
            SignalRefused::Superseded => (StatusCode::CONFLICT, "superseded"),
        };
        Self::new(status, code, refused.to_string())
    }
}

/// How a signal source is mended.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Mend {
    forget_sequence: bool,
}

/// Takes from a broken signal source again. Only with a token: it decides who moves followers.
async fn mend(
    State(door): State<Door>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Failure> {
    if door.token.is_none() {
        let detail = "signal sources are mended only at a keeper that has a token";
        return Err(Failure::new(StatusCode::FORBIDDEN, "signals-off", detail));
    }
    let mend: Mend = if body.is_empty() {
        Mend::default()
    } else {
        parse(&body)?
    };
    let Some(signals) = &door.board.signals else {
        return Err(MendError::Unknown(name).into());
    };
    signals.mend(&name, mend.forget_sequence).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<MendError> for Failure {
    fn from(error: MendError) -> Self {
        let (status, code) = match error {
            MendError::Unknown(_) => (StatusCode::NOT_FOUND, "unknown-source"),
            MendError::NotBroken(_) => (StatusCode::CONFLICT, "not-broken"),
            MendError::NotKept { .. } => (StatusCode::SERVICE_UNAVAILABLE, "journal-unavailable"),
        };
        Self::new(status, code, error.to_string())
    }
}

/// What the loop tells, and the sources outside the chain.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    health: Health,
    #[serde(flatten)]
    sources: Shown,
}

impl Door {
    fn report(&self, health: Health) -> Json<Report> {
        Json(Report {
            health,
            sources: self.board.shown(),
        })
    }
}

async fn healthz(State(door): State<Door>) -> Json<Report> {
    let health = door.health.borrow().clone();
    door.report(health)
}

async fn readyz(State(door): State<Door>) -> (StatusCode, Json<Report>) {
    let health = door.health.borrow().clone();
    let ready = health.problem.is_none() && health.looked.is_some_and(|at| at.elapsed() < READY_AGE);
    (
        if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        },
        door.report(health),
    )
}

async fn render(State(door): State<Door>) -> String {
    door.board.gauges();
    (door.metrics)()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_compared_whole() {
        assert!(same(b"abc", b"abc"));
        for wrong in [&b"ab"[..], b"abd", b"abcd", b""] {
            assert!(!same(wrong, b"abc"));
        }
    }
}
