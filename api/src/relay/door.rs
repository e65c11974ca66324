//! The keeper's internal door.

use std::time::{Duration, Instant};

use alloy::primitives::B256;
use lockstep_contracts::relay::{RelayStatus, SignedIntent, SignedMandate};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::KeeperConfig;

/// Seconds after which another attempt makes sense when the keeper does not say.
const RETRY_AFTER: u64 = 5;

/// Longest to wait for a word about its health.
const PROBE_PATIENCE: Duration = Duration::from_secs(1);

/// Largest answer that is read.
const MAX_ANSWER: usize = 64 * 1024;

/// What came back from the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The keeper has it, and this is where it stands.
    Status(RelayStatus),
    /// The keeper has nothing under this id, or no such path.
    NotFound,
    /// The keeper looked at it and does not take it.
    Refused {
        /// Its code.
        code: String,
        /// Its sentence.
        detail: String,
    },
    /// The keeper certainly does not have it: nobody listens, or it says that it takes nothing now.
    Unavailable {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// It may or may not have it: no answer in time, a broken one, or an error from inside.
    Unknown,
}

/// Errors of the door.
#[derive(Debug, Deserialize)]
struct Refusal {
    code: String,
    detail: String,
}

/// What the door says when it is not ready.
#[derive(Debug, Deserialize)]
struct Ailment {
    problem: Option<String>,
}

/// How the keeper is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoorHealth {
    /// Ready.
    Up,
    /// It answers, but not with all being well.
    Ailing(String),
    /// No answer.
    Down,
}

/// A client of the keeper's internal door.
#[derive(Debug, Clone)]
pub struct Door {
    client: reqwest::Client,
    url: Url,
    token: Option<SecretString>,
}

impl Door {
    /// A client for the configured door.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(config: &KeeperConfig) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_millis(config.timeout_ms))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        let mut url = config.url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self {
            client,
            url,
            token: config.token.clone(),
        })
    }

    /// Hands a mandate over.
    pub async fn mandate(&self, signed: &SignedMandate) -> Answer {
        self.post("v1/relay/mandate", signed).await
    }

    /// Hands an intent over.
    pub async fn intent(&self, signed: &SignedIntent) -> Answer {
        self.post("v1/relay/intent", signed).await
    }

    /// Asks where something stands.
    pub async fn status(&self, id: B256) -> Answer {
        match self.url.join(&format!("v1/relay/{id}")) {
            Ok(url) => self.send(self.client.get(url)).await,
            Err(_) => Answer::Unavailable {
                retry_after: RETRY_AFTER,
            },
        }
    }

    /// How the keeper is.
    pub async fn health(&self) -> DoorHealth {
        let Ok(url) = self.url.join("readyz") else {
            return DoorHealth::Down;
        };
        let request = self.authorized(self.client.get(url)).timeout(PROBE_PATIENCE);
        let Ok(response) = request.send().await else {
            return DoorHealth::Down;
        };
        if response.status().is_success() {
            return DoorHealth::Up;
        }
        let told = response
            .json::<Ailment>()
            .await
            .ok()
            .and_then(|ailment| ailment.problem);
        DoorHealth::Ailing(told.unwrap_or_else(|| "not ready".to_owned()))
    }

    async fn post<T: Serialize + Sync>(&self, path: &str, body: &T) -> Answer {
        match self.url.join(path) {
            Ok(url) => self.send(self.client.post(url).json(body)).await,
            Err(_) => Answer::Unavailable {
                retry_after: RETRY_AFTER,
            },
        }
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Answer {
        let started = Instant::now();
        let answer = self.read(self.authorized(request)).await;
        metrics::histogram!("lockstep_api_keeper_seconds").record(started.elapsed().as_secs_f64());
        answer
    }

    async fn read(&self, request: RequestBuilder) -> Answer {
        let response = match request.send().await {
            Ok(response) => response,
            // Nobody listens there: the request cannot have arrived.
            Err(error) if error.is_connect() => {
                tracing::warn!(%error, "keeper cannot be reached");
                return Answer::Unavailable {
                    retry_after: RETRY_AFTER,
                };
            }
            Err(error) => {
                tracing::warn!(%error, "keeper did not answer");
                return Answer::Unknown;
            }
        };
        let status = response.status();
        let retry_after = response
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .unwrap_or(RETRY_AFTER);
        let body = match response.bytes().await {
            Ok(body) if body.len() <= MAX_ANSWER => body,
            _ => return Answer::Unknown,
        };
        let refusal = serde_json::from_slice::<Refusal>(&body).ok();
        match (status, refusal) {
            (status, _) if status.is_success() => match serde_json::from_slice(&body) {
                Ok(answer) => Answer::Status(answer),
                Err(error) => {
                    tracing::error!(%error, "keeper's answer cannot be read");
                    Answer::Unknown
                }
            },
            (StatusCode::NOT_FOUND, _) => Answer::NotFound,
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
                tracing::error!(
                    "the keeper does not accept our token: is `keeper.token` the same on both sides?"
                );
                Answer::Unavailable { retry_after }
            }
            // These two say that nothing was taken, but only in the keeper's own words.
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(_)) => {
                Answer::Unavailable { retry_after }
            }
            (status, Some(Refusal { code, detail })) if status.is_client_error() => {
                Answer::Refused { code, detail }
            }
            (status, _) => {
                tracing::warn!(%status, "keeper failed");
                Answer::Unknown
            }
        }
    }
}
