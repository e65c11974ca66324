//! A door for private strategies: an HTTP endpoint at which a program posts the target state of its strategy, signed.
//!
//! `POST /v1/sources/{name}` with `Authorization: Bearer <token>`, `X-Lockstep-Signature: <base64>` over the body byte for
//! byte, and the body [`TargetState`] as JSON. The signature is RSA-PSS with SHA-256 (key of 2,048 to 8,192 bits) or
//! Ed25519, whichever the source's public key is for.
//!
//! Who has no token learns nothing and breaks nothing. With a token, a state that does not fit (a signature that is wrong,
//! a sequence number that is not the next, a time more than 10 s from ours) means that somebody stands between or that the
//! program has gone wrong: the source is marked broken, an alarm is raised, and nothing is taken from it until an operator
//! mends it ([`Door::mend`]). What was taken before stands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::signature::{ED25519, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
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
    /// Signed notional over equity; negative is short.
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

/// A source whose key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceKeyError {
    /// Not PEM of a public key.
    #[error("the public key is no PEM document (-----BEGIN PUBLIC KEY-----)")]
    NotPem,
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
    /// When the key is no PEM or the token is too short.
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
        Ok(Self {
            algorithm,
            public_key,
            token: SecretString::from(token),
        })
    }

    fn verifies(&self, body: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match self.algorithm {
            KeyAlgorithm::RsaPss => &RSA_PSS_2048_8192_SHA256,
            KeyAlgorithm::Ed25519 => &ED25519,
        };
        UnparsedPublicKey::new(algorithm, &self.public_key)
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
    /// Who takes the states cannot just now; the same state may be sent again.
    #[error("cannot be taken now: {0}")]
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
    /// Takes a state for good: when this returns, it must not be lost.
    ///
    /// # Errors
    /// Why it cannot be taken now.
    async fn take(&self, source: &str, state: &TargetState) -> Result<(), String>;

    /// A source was marked broken.
    async fn alarm(&self, source: &str, reason: &str);
}

#[derive(Debug, Default, Clone)]
struct Progress {
    last: Option<u64>,
    broken: Option<(String, u64)>,
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
    /// A door for these sources. `clock` gives Unix milliseconds. `last` are the sequence numbers taken before a restart.
    #[must_use]
    pub fn new(
        sources: HashMap<String, SourceKey>,
        last: &HashMap<String, u64>,
        sink: Arc<dyn Sink>,
        clock: fn() -> u64,
    ) -> Self {
        let progress = last
            .iter()
            .map(|(name, last)| {
                let progress = Progress {
                    last: Some(*last),
                    broken: None,
                };
                (name.clone(), progress)
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

    /// Takes from a source again. The next state's sequence number may be anything.
    pub fn mend(&self, source: &str) {
        if let Some(progress) = self.lock().get_mut(source) {
            *progress = Progress::default();
        }
    }

    /// Why a source is broken, if it is.
    #[must_use]
    pub fn broken(&self, source: &str) -> Option<String> {
        self.lock()
            .get(source)?
            .broken
            .as_ref()
            .map(|(reason, _)| reason.clone())
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
        if let Some((reason, since_ms)) = progress.broken {
            return Err(Refused::Broken { reason, since_ms });
        }
        let state = match self.examine(source, &progress, signature, body) {
            Err(Refused::Tampered(tampering)) => {
                let reason = tampering.to_string();
                self.lock().entry(name.to_owned()).or_default().broken =
                    Some((reason.clone(), (self.clock)()));
                tracing::error!(
                    source = name,
                    reason,
                    "a signal source is broken: nothing is taken from it"
                );
                self.sink.alarm(name, &reason).await;
                return Err(Refused::Tampered(tampering));
            }
            other => other?,
        };
        self.sink.take(name, &state).await.map_err(Refused::Unavailable)?;
        self.lock().entry(name.to_owned()).or_default().last = Some(state.sequence);
        Ok(())
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
        if let Some(last) = progress.last
            && last.checked_add(1) != Some(state.sequence)
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

    /// Its HTTP side.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/v1/sources/{name}", post(receive))
            .layer(DefaultBodyLimit::max(MAXIMUM_BODY))
            .with_state(self)
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
            Self::Unavailable(_) => "unavailable",
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::Broken { .. } | Self::Tampered(_) => StatusCode::CONFLICT,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
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
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let token = header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    let signature = header("x-lockstep-signature")
        .and_then(|value| STANDARD.decode(value).ok())
        .unwrap_or_default();
    match door.post(&name, token, &signature, &body).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(refused) => {
            let problem = serde_json::json!({ "code": refused.code(), "detail": refused.to_string() });
            (refused.status(), axum::Json(problem)).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair as RsaPair, KeySize};
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PSS_SHA256};

    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[derive(Default)]
    struct Taken {
        states: Mutex<Vec<TargetState>>,
        alarms: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Sink for Taken {
        async fn take(&self, _source: &str, state: &TargetState) -> Result<(), String> {
            self.states.lock().unwrap().push(state.clone());
            Ok(())
        }
        async fn alarm(&self, _source: &str, reason: &str) {
            self.alarms.lock().unwrap().push(reason.to_owned());
        }
    }

    fn pem(document: &[u8]) -> String {
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(document)
        )
    }

    fn ed25519() -> (Ed25519KeyPair, SourceKey) {
        let pair = Ed25519KeyPair::generate().unwrap();
        let wrapped = [
            &[
                0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
            ][..],
            pair.public_key().as_ref(),
        ]
        .concat();
        (pair, SourceKey::new(&pem(&wrapped), TOKEN).unwrap())
    }

    fn door(key: SourceKey) -> (Door, Arc<Taken>) {
        let taken = Arc::new(Taken::default());
        let sources = HashMap::from([("alpha".to_owned(), key)]);
        let sink: Arc<dyn Sink> = taken.clone();
        (Door::new(sources, &HashMap::new(), sink, || NOW_MS), taken)
    }

    fn body(sequence: u64, time_ms: u64) -> Vec<u8> {
        format!(
            r#"{{"sequence":{sequence},"time_ms":{time_ms},"targets":[{{"market":"ETH-USD","leverage":"-1.5"}}]}}"#
        )
        .into_bytes()
    }

    #[tokio::test]
    async fn a_signed_state_is_taken_whichever_key_the_source_has() {
        let (pair, key) = ed25519();
        let (door, taken) = door(key);
        let state = body(1, NOW_MS);
        door.post("alpha", TOKEN, pair.sign(&state).as_ref(), &state)
            .await
            .unwrap();
        assert_eq!(
            taken.states.lock().unwrap()[0].targets[0].leverage,
            Decimal::new(-15, 1)
        );

        let pair = RsaPair::generate(KeySize::Rsa2048).unwrap();
        let document = pair.public_key().as_der().unwrap();
        let (door, taken) = super::tests::door(SourceKey::new(&pem(document.as_ref()), TOKEN).unwrap());
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), &state, &mut signature)
            .unwrap();
        door.post("alpha", TOKEN, &signature, &state).await.unwrap();
        assert_eq!(taken.states.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn without_the_token_nothing_is_learnt_and_nothing_breaks() {
        let (_, key) = ed25519();
        let (door, taken) = door(key);
        assert_eq!(
            door.post("alpha", "wrong", &[], b"x").await,
            Err(Refused::Unauthorised)
        );
        assert_eq!(
            door.post("beta", TOKEN, &[], b"x").await,
            Err(Refused::Unauthorised)
        );
        assert_eq!(door.broken("alpha"), None);
        assert!(taken.alarms.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_does_not_fit_breaks_the_source_until_it_is_mended() {
        let (pair, key) = ed25519();
        for (state, signed, fits) in [
            (body(1, NOW_MS), body(2, NOW_MS), false),
            (body(2, NOW_MS), body(2, NOW_MS), true),
            (body(1, NOW_MS), body(1, NOW_MS), false),
            (body(3, NOW_MS), body(3, NOW_MS), false),
            (body(2, NOW_MS - 10_001), body(2, NOW_MS - 10_001), false),
            (body(2, NOW_MS + 10_000), body(2, NOW_MS + 10_000), true),
        ] {
            let (door, taken) = door(key.clone());
            let first = body(1, NOW_MS);
            door.post("alpha", TOKEN, pair.sign(&first).as_ref(), &first)
                .await
                .unwrap();
            let result = door
                .post("alpha", TOKEN, pair.sign(&signed).as_ref(), &state)
                .await;
            assert_eq!(result.is_ok(), fits, "{result:?}");
            if fits {
                continue;
            }
            assert_eq!(taken.alarms.lock().unwrap().len(), 1);
            let next = body(2, NOW_MS);
            let refused = door.post("alpha", TOKEN, pair.sign(&next).as_ref(), &next).await;
            assert!(matches!(refused, Err(Refused::Broken { .. })));
            door.mend("alpha");
            door.post("alpha", TOKEN, pair.sign(&next).as_ref(), &next)
                .await
                .unwrap();
        }
    }

    #[test]
    fn a_short_token_or_no_key_is_refused_at_the_start() {
        assert_eq!(SourceKey::new("x", TOKEN).unwrap_err(), SourceKeyError::NotPem);
        assert_eq!(
            SourceKey::new("x", "short").unwrap_err(),
            SourceKeyError::ShortToken(5)
        );
    }
}
