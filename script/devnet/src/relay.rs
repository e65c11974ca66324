//! The API, as a dashboard uses it.

use std::time::Duration;

use alloy::primitives::{Address, B256};
use anyhow::{Context as _, bail};
use lockstep_contracts::relay::{RelayState, RelayStatus, SignedIntent, SignedMandate};
use lockstep_contracts::units::{Usdc, Wad};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::process::eventually;

/// A client of one API.
#[derive(Debug, Clone)]
pub struct Api {
    base: Url,
    client: reqwest::Client,
}

/// A refusal, as RFC 9457 describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Stable name of the kind.
    pub code: String,
    /// Codes of the wrong parts.
    pub fields: Vec<(String, String)>,
    /// What happened, for a person.
    pub detail: String,
}

/// A point of the NAV record as the API gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NavPoint {
    /// Index on the chain.
    pub index: u64,
    /// RFC 3339.
    pub time: String,
    /// 1e-18.
    pub nav_index: Wad,
    /// 1e-6.
    pub total_equity: Usdc,
}

impl Api {
    /// A client of the API at `base`, e.g. `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// When the TLS back end cannot start.
    pub fn new(base: Url) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(15))
            .build()?;
        Ok(Self { base, client })
    }

    /// Where it is.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.base
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn ready(&self, within: Duration) -> anyhow::Result<()> {
        eventually("the API to answer", within, async || {
            self.get::<Value>("api/v1/status").await.map(Some)
        })
        .await
        .map(|_| ())
    }

    /// GET of a path below the base.
    ///
    /// # Errors
    /// For anything but a success with the expected body.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let url = self.base.join(path)?;
        let response = self.client.get(url.clone()).send().await?;
        let status = response.status();
        if !status.is_success() {
            bail!("{url}: {status}: {}", response.text().await.unwrap_or_default());
        }
        response.json().await.with_context(|| url.to_string())
    }

    /// POST of any body: the answer, or the problem it gives.
    ///
    /// # Errors
    /// When the API does not answer, or with something that is neither.
    pub async fn post<T: Serialize + Sync>(
        &self,
        path: &str,
        body: &T,
    ) -> anyhow::Result<Result<RelayStatus, Problem>> {
        let url = self.base.join(path)?;
        let response = self.client.post(url.clone()).json(body).send().await?;
        let status = response.status();
        let text = response.text().await?;
        if status.is_success() {
            return Ok(Ok(
                serde_json::from_str(&text).with_context(|| format!("{url}: {text}"))?
            ));
        }
        let problem: Value =
            serde_json::from_str(&text).with_context(|| format!("{url}: {status}: {text}"))?;
        let part = |value: &Value, name: &str| {
            value
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let fields = problem
            .get("errors")
            .and_then(Value::as_array)
            .map(|errors| {
                errors
                    .iter()
                    .map(|error| (part(error, "field"), part(error, "code")))
                    .collect()
            })
            .unwrap_or_default();
        Ok(Err(Problem {
            status: status.as_u16(),
            code: part(&problem, "code"),
            fields,
            detail: part(&problem, "detail"),
        }))
    }

    /// Relays a mandate.
    ///
    /// # Errors
    /// As [`Api::post`].
    pub async fn relay_mandate(
        &self,
        signed: &SignedMandate,
    ) -> anyhow::Result<Result<RelayStatus, Problem>> {
        self.post("api/v1/relay/mandate", signed).await
    }

    /// Relays an intent.
    ///
    /// # Errors
    /// As [`Api::post`].
    pub async fn relay_intent(&self, signed: &SignedIntent) -> anyhow::Result<Result<RelayStatus, Problem>> {
        self.post("api/v1/relay/intent", signed).await
    }

    /// Relays a mandate, again and again while the API says that the keeper cannot be reached.
    ///
    /// # Errors
    /// When it is refused, or the keeper is not reached in time.
    pub async fn relay_until_taken(
        &self,
        signed: &SignedMandate,
        within: Duration,
    ) -> anyhow::Result<RelayStatus> {
        let follower = signed.mandate.follower;
        eventually("the relay to take a mandate", within, async || {
            match self.relay_mandate(signed).await? {
                Ok(status) => Ok(Some(Ok(status))),
                Err(problem) if problem.status == 503 => {
                    bail!("the relay does not take the mandate of {follower}: {problem:?}")
                }
                Err(problem) => Ok(Some(Err(anyhow::anyhow!(
                    "the relay refused the mandate of {follower}: {problem:?}"
                )))),
            }
        })
        .await?
    }

    /// Where a relayed item stands.
    ///
    /// # Errors
    /// When the API does not answer.
    pub async fn relay_status(&self, id: B256) -> anyhow::Result<RelayStatus> {
        self.get(&format!("api/v1/relay/{id}")).await
    }

    /// Waits until a relayed item is in a block or refused.
    ///
    /// # Errors
    /// When it is neither in time.
    pub async fn settled(&self, id: B256, within: Duration) -> anyhow::Result<RelayState> {
        eventually(&format!("relayed item {id} to settle"), within, async || {
            let state = self.relay_status(id).await?.state;
            Ok(match state {
                RelayState::Included { .. } | RelayState::Rejected { .. } => Some(state),
                RelayState::Queued | RelayState::Submitted { .. } => None,
            })
        })
        .await
    }

    /// The whole NAV record of one vault, as far as one answer holds it.
    ///
    /// # Errors
    /// When the API does not answer, or leaves points out.
    pub async fn nav(&self, strategy: u64, vault: Address) -> anyhow::Result<Vec<NavPoint>> {
        let path = format!("api/v1/strategies/{strategy}/nav?vault={vault}&points=5000");
        let series: Value = self.get(&path).await?;
        if series.get("exact") != Some(&Value::Bool(true)) {
            bail!("{path}: not every point is in the answer");
        }
        let points = series
            .get("points")
            .and_then(Value::as_array)
            .context("no points")?;
        points
            .iter()
            .map(|point| {
                let text = |name: &str| {
                    point
                        .get(name)
                        .and_then(Value::as_str)
                        .with_context(|| format!("NAV point without {name}"))
                };
                Ok(NavPoint {
                    index: point
                        .get("index")
                        .and_then(Value::as_u64)
                        .context("NAV point without index")?,
                    time: text("time")?.to_owned(),
                    nav_index: text("navIndex")?.parse()?,
                    total_equity: text("totalEquity")?.parse()?,
                })
            })
            .collect()
    }

    /// Height of the newest block in the store.
    ///
    /// # Errors
    /// When the API does not answer or nothing is indexed yet.
    pub async fn indexed(&self) -> anyhow::Result<u64> {
        let status: Value = self.get("api/v1/status").await?;
        status
            .pointer("/indexer/cursor/number")
            .and_then(Value::as_u64)
            .context("nothing is indexed yet")
    }
}
