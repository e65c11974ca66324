//! A door for private strategies: an HTTP endpoint at which a program posts the target state of its strategy, signed.
//!
//! `POST /v1/sources/{name}` with `Authorization: Bearer <token>`, `X-Lockstep-Signature: <base64>` over the body byte for
//! byte, and the body [`TargetState`] as JSON. The signature is RSA-PSS with SHA-256 (key of 2,048 to 8,192 bits) or
//! Ed25519, whichever the source's public key is for.
//!
//! `GET` of the same address, with the token, answers [`Standing`]: who heard no answer to a post asks what was taken
//! instead of sending it again, since a sequence number is taken once.
//!
//! Who has no token learns nothing and breaks nothing. With a token, a state that does not fit (a signature that is wrong,
//! a sequence number that is not the next, a time more than 10 s from ours) means that somebody stands between or that the
//! program has gone wrong: the source is marked broken, an alarm is raised, and nothing is taken from it until an operator
//! mends it ([`Door::mend`]). What was taken before stands. Sequence numbers and broken marks are the [`Sink`]'s to keep:
//! the door is given them at the start, so that a restart accepts no state again and mends nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::signature::{
    ED25519, ParsedPublicKey, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rust_decimal::Decimal;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::crypto::{pem_body, sha256};

/// Largest difference between the time in a state and ours, milliseconds.
pub const TAMPER_WINDOW_MS: u64 = 10_000;
/// Longest body that is read, bytes: a few hundred markets.
const MAXIMUM_BODY: usize = 64 * 1024;

/// What a strategy wants to hold from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetState {
    /// One more than that of the state before; the first may be anything.
    pub sequence: u64,
    /// When it was made, Unix milliseconds.
    pub time_ms: u64,
    /// Every market of the strategy: a market that is missing is one the strategy is out of.
    pub targets: Vec<Target>,
}

/// What a strategy wants to hold in one market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Market by its name on chain, for example `ETH-USD`.
    pub market: String,
    /// Signed notional over equity; negative is short. A text, so that nobody makes a binary fraction of it.
    #[serde(with = "rust_decimal::serde::str")]
    pub leverage: Decimal,
}

/// A source as it is configured.
#[derive(Debug, Clone)]
pub struct SourceKey {
    algorithm: KeyAlgorithm,
    public_key: Vec<u8>,
    token: SecretString,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyAlgorithm {
    RsaPss,
    Ed25519,
}

impl KeyAlgorithm {
    fn verifier(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::RsaPss => &RSA_PSS_2048_8192_SHA256,
            Self::Ed25519 => &ED25519,
        }
    }
}

/// A source whose key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceKeyError {
    /// Not PEM of a public key.
    #[error("the public key is no PEM document (-----BEGIN PUBLIC KEY-----)")]
    NotPem,
    /// Another kind of key, or a private one.
    #[error("the key is no Ed25519 public key and no RSA public key of 2,048 to 8,192 bits")]
    Unusable,
    /// Too short to keep anybody out.
    #[error("the token has {0} characters; give it at least 32 random ones")]
    ShortToken(usize),
}

/// Length of an Ed25519 public key in its X.509 wrapping.
const ED25519_WRAPPED: usize = 44;
/// Length of an Ed25519 public key.
const ED25519_BARE: usize = 32;
/// Least length of a token.
const TOKEN_LENGTH: usize = 32;

impl SourceKey {
    /// A source that signs with the key to this public key (PEM, `PUBLIC KEY`).
    ///
    /// # Errors
    /// When the key is none of a kind that is known, or the token is too short.
    pub fn new(public_key_pem: &str, token: impl Into<String>) -> Result<Self, SourceKeyError> {
        let token = token.into();
        if token.len() < TOKEN_LENGTH {
            return Err(SourceKeyError::ShortToken(token.len()));
        }
        let document = pem_body(public_key_pem).ok_or(SourceKeyError::NotPem)?;
        let (algorithm, public_key) = if document.len() == ED25519_WRAPPED {
            (
                KeyAlgorithm::Ed25519,
                document[ED25519_WRAPPED - ED25519_BARE..].to_vec(),
            )
        } else {
            (KeyAlgorithm::RsaPss, document)
        };
        // A key that verifies nothing would break its source with the first state.
        ParsedPublicKey::new(algorithm.verifier(), &public_key).map_err(|_| SourceKeyError::Unusable)?;
        Ok(Self {
            algorithm,
            public_key,
            token: SecretString::from(token),
        })
    }

    fn verifies(&self, body: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm.verifier(), &self.public_key)
            .verify(body, signature)
            .is_ok()
    }

    fn has_token(&self, token: &str) -> bool {
        // Compared as digests, so that neither content nor length shows in the time it takes.
        verify_slices_are_equal(
            &sha256(self.token.expose_secret().as_bytes()),
            &sha256(token.as_bytes()),
        )
        .is_ok()
    }
}

/// Why a state is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such source, or not its token. Which of both is not told.
    #[error("unknown source or wrong token")]
    Unauthorised,
    /// The source was broken before.
    #[error("the source is broken since {since_ms}: {reason}; an operator has to mend it")]
    Broken {
        /// Why.
        reason: String,
        /// Since when, Unix milliseconds.
        since_ms: u64,
    },
    /// It did not fit: the source is broken now.
    #[error("{0}: the source is marked broken")]
    Tampered(Tampering),
    /// The body is none that can be read. It was signed, so the program is wrong, not the channel; nothing is broken.
    #[error("malformed state: {0}")]
    Malformed(String),
    /// Who takes the states will not have this one, for example because of a market it does not know. It was signed, so
    /// nothing is broken, and its sequence number is still free.
    #[error("not taken: {0}")]
    Unacceptable(String),
    /// Who takes the states cannot just now; the same sequence number may be sent again, signed anew with the time of then.
    #[error("cannot be taken now: {0}")]
    Unavailable(String),
}

/// Why a [`Sink`] does not take a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It never will.
    #[error("{0}")]
    Unacceptable(String),
    /// It cannot now.
    #[error("{0}")]
    Unavailable(String),
}

/// What did not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Tampering {
    /// Not signed by the source.
    #[error("wrong signature")]
    Signature,
    /// Not the next one.
    #[error("sequence {got} after {last}")]
    Sequence {
        /// What came.
        got: u64,
        /// What was taken last.
        last: u64,
    },
    /// Too old or too new.
    #[error("made {0} ms from our clock")]
    Time(u64),
}

/// Who takes the states.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Takes a state for good, and its sequence number with it: when this returns, neither must be lost.
    ///
    /// # Errors
    /// Why it is not taken.
    async fn take(&self, source: &str, state: &TargetState) -> Result<(), NotTaken>;

    /// A source is broken: raises the alarm and keeps the mark. Called again at the next post when it fails.
    ///
    /// # Errors
    /// When the mark could not be kept. The door refuses the source all the same.
    async fn alarm(&self, source: &str, broken: &Broken) -> Result<(), String>;

    /// A source is mended: forgets the mark, and the sequence number too when `last` is none.
    ///
    /// # Errors
    /// When it could not be kept; the source stays broken then.
    async fn mended(&self, source: &str, last: Option<u64>) -> Result<(), String>;
}

/// Why a source is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// What did not fit.
    pub reason: String,
    /// Since when, Unix milliseconds.
    pub since_ms: u64,
}

/// Where a source stands.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Sequence number of the state that was taken last; none before the first.
    pub sequence: Option<u64>,
    /// Set while nothing is taken from it.
    pub broken: Option<Broken>,
}

#[derive(Debug, Default, Clone)]
struct Progress {
    standing: Standing,
    /// After a repair any later number is the next one: what was sent in between was refused.
    resuming: bool,
    /// The broken mark is not kept yet.
    unkept: bool,
}

/// A source cannot be mended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MendError {
    /// No such source.
    #[error("no signal source is called {0:?}: the configuration names them")]
    Unknown(String),
    /// Nothing to mend.
    #[error("signal source {0:?} is not broken")]
    NotBroken(String),
    /// It could not be kept.
    #[error("signal source {name:?} stays broken, because the repair cannot be written down: {why}")]
    NotKept {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
}

/// The door.
pub struct Door {
    sources: HashMap<String, SourceKey>,
    progress: Mutex<HashMap<String, Progress>>,
    /// One state of a source at a time, so that sequence numbers are compared with what was really taken.
    turns: HashMap<String, tokio::sync::Mutex<()>>,
    sink: Arc<dyn Sink>,
    clock: fn() -> u64,
}

impl Door {
    /// A door for these sources. `clock` gives Unix milliseconds. `standings` are those of before a restart.
    #[must_use]
    pub fn new(
        sources: HashMap<String, SourceKey>,
        standings: HashMap<String, Standing>,
        sink: Arc<dyn Sink>,
        clock: fn() -> u64,
    ) -> Self {
        let progress = standings
            .into_iter()
            .map(|(name, standing)| {
                let progress = Progress {
                    standing,
                    ..Progress::default()
                };
                (name, progress)
            })
            .collect();
        Self {
            turns: sources
                .keys()
                .map(|name| (name.clone(), tokio::sync::Mutex::default()))
                .collect(),
            sources,
            progress: Mutex::new(progress),
            sink,
            clock,
        }
    }

    /// Takes from a source again. The next state's sequence number must be later than the last one taken, or may be
    /// anything with `forget_sequence`: for a program that lost count.
    ///
    /// # Errors
    /// When it is unknown, not broken, or the repair cannot be kept.
    pub async fn mend(&self, name: &str, forget_sequence: bool) -> Result<(), MendError> {
        let turn = self
            .turns
            .get(name)
            .ok_or_else(|| MendError::Unknown(name.to_owned()))?;
        let _turn = turn.lock().await;
        let standing = self.standing(name);
        if standing.broken.is_none() {
            return Err(MendError::NotBroken(name.to_owned()));
        }
        let last = standing.sequence.filter(|_| !forget_sequence);
        let kept = self.sink.mended(name, last).await;
        kept.map_err(|why| MendError::NotKept {
            name: name.to_owned(),
            why,
        })?;
        let progress = Progress {
            standing: Standing {
                sequence: last,
                broken: None,
            },
            resuming: true,
            unkept: false,
        };
        self.lock().insert(name.to_owned(), progress);
        tracing::warn!(source = name, forget_sequence, "a signal source was mended");
        Ok(())
    }

    /// Where a source stands.
    #[must_use]
    pub fn standing(&self, source: &str) -> Standing {
        self.lock()
            .get(source)
            .map(|progress| progress.standing.clone())
            .unwrap_or_default()
    }

    /// What a source with this token may know of itself.
    fn asked(&self, name: &str, token: &str) -> Result<Standing, Refused> {
        self.sources
            .get(name)
            .filter(|source| source.has_token(token))
            .map(|_| self.standing(name))
            .ok_or(Refused::Unauthorised)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks a state and hands it on.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn post(&self, name: &str, token: &str, signature: &[u8], body: &[u8]) -> Result<(), Refused> {
        let (source, turn) = self
            .sources
            .get(name)
            .zip(self.turns.get(name))
            .filter(|(source, _)| source.has_token(token))
            .ok_or(Refused::Unauthorised)?;
        let _turn = turn.lock().await;
        let progress = self.lock().get(name).cloned().unwrap_or_default();
        if let Some(broken) = progress.standing.broken {
            if progress.unkept {
                self.keep_mark(name, &broken).await;
            }
            let Broken { reason, since_ms } = broken;
            return Err(Refused::Broken { reason, since_ms });
        }
        let state = match self.examine(source, &progress, signature, body) {
            Err(Refused::Tampered(tampering)) => {
                let broken = Broken {
                    reason: tampering.to_string(),
                    since_ms: (self.clock)(),
                };
                self.lock().entry(name.to_owned()).or_default().standing.broken = Some(broken.clone());
                tracing::error!(
                    source = name,
                    reason = broken.reason,
                    "a signal source is broken: nothing is taken from it"
                );
                self.keep_mark(name, &broken).await;
                return Err(Refused::Tampered(tampering));
            }
            other => other?,
        };
        self.sink.take(name, &state).await?;
        let mut all = self.lock();
        let progress = all.entry(name.to_owned()).or_default();
        progress.standing.sequence = Some(state.sequence);
        progress.resuming = false;
        Ok(())
    }

    async fn keep_mark(&self, name: &str, broken: &Broken) {
        let kept = self.sink.alarm(name, broken).await;
        if let Err(why) = &kept {
            tracing::error!(
                source = name,
                why,
                "a broken mark could not be kept: it is tried again at the next post"
            );
        }
        self.lock().entry(name.to_owned()).or_default().unkept = kept.is_err();
    }

    fn examine(
        &self,
        source: &SourceKey,
        progress: &Progress,
        signature: &[u8],
        body: &[u8],
    ) -> Result<TargetState, Refused> {
        if !source.verifies(body, signature) {
            return Err(Refused::Tampered(Tampering::Signature));
        }
        let state: TargetState =
            serde_json::from_slice(body).map_err(|error| Refused::Malformed(error.to_string()))?;
        if let Some(last) = progress.standing.sequence
            && !progress.follows(last, state.sequence)
        {
            return Err(Refused::Tampered(Tampering::Sequence {
                got: state.sequence,
                last,
            }));
        }
        let distance = (self.clock)().abs_diff(state.time_ms);
        if distance > TAMPER_WINDOW_MS {
            return Err(Refused::Tampered(Tampering::Time(distance)));
        }
        Ok(state)
    }

    /// Its HTTP side. Mount it where private strategies reach it, behind TLS when that is not this machine: the token is
    /// in the header.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/v1/sources/{name}", post(receive).get(tell))
            .layer(DefaultBodyLimit::max(MAXIMUM_BODY))
            .with_state(self)
    }
}

impl Progress {
    fn follows(&self, last: u64, got: u64) -> bool {
        if self.resuming {
            got > last
        } else {
            last.checked_add(1) == Some(got)
        }
    }
}

impl From<NotTaken> for Refused {
    fn from(not_taken: NotTaken) -> Self {
        match not_taken {
            NotTaken::Unacceptable(why) => Self::Unacceptable(why),
            NotTaken::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl Refused {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthorised => "unauthorised",
            Self::Broken { .. } => "source-broken",
            Self::Tampered(_) => "tampered",
            Self::Malformed(_) => "malformed",
            Self::Unacceptable(_) => "unacceptable",
            Self::Unavailable(_) => "unavailable",
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::Broken { .. } | Self::Tampered(_) => StatusCode::CONFLICT,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unacceptable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

async fn receive(
    State(door): State<Arc<Door>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let signature = header(&headers, "x-lockstep-signature")
        .and_then(|value| STANDARD.decode(value).ok())
        .unwrap_or_default();
    match door.post(&name, token(&headers), &signature, &body).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn tell(State(door): State<Arc<Door>>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    match door.asked(&name, token(&headers)) {
        Ok(standing) => axum::Json(standing).into_response(),
        Err(refused) => refused.into_response(),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn token(headers: &HeaderMap) -> &str {
    header(headers, "authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default()
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let problem = serde_json::json!({ "code": self.code(), "detail": self.to_string() });
        (self.status(), axum::Json(problem)).into_response()
    }
}

#[cfg(test)]
mod tests;
