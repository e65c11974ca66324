//! What handlers share.

use std::sync::{Arc, OnceLock};

use alloy::primitives::Address;
use lockstep_contracts::deployment::Deployment;
use lockstep_contracts::digest::Domains;
use lockstep_indexer::model::{self, StrategyId};
use lockstep_indexer::store::{SharedReader, StoreError};
use lockstep_service::metrics::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::config::Config;
use crate::error::{ApiError, Kind, Result};
use crate::extract::strategy_not_found;
use crate::health::Probe;
use crate::limit::Limits;
use crate::nav::NavCache;
use crate::private::PrivateStore;
use crate::relay::door::Door;
use crate::routes::accounts::MAX_EXPORTS;
use crate::session::Sessions;
use crate::session::wallet::Wallets;
use crate::stream::hub::Hub;

/// What handlers share; cheap to clone.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

/// See [`App`].
pub struct Inner {
    reader: OnceLock<SharedReader>,
    /// Where Lockstep lives.
    pub deployment: Deployment,
    /// Signing domains.
    pub domains: Domains,
    /// Configuration.
    pub config: Config,
    /// What is private and not on the chain.
    pub private: PrivateStore,
    /// The keeper.
    pub door: Option<Door>,
    /// Login.
    pub sessions: Sessions,
    /// Judge of signatures.
    pub wallets: Wallets,
    /// Encoded curves.
    pub nav: NavCache,
    /// Rate limits.
    pub limits: Limits,
    /// Connections of the stream.
    pub hub: Arc<Hub>,
    /// CSV files that may be written now.
    pub exports: Arc<Semaphore>,
    /// What is known of the keeper's health.
    pub probe: Probe,
    /// Prometheus; none in tests.
    pub metrics: Option<Handle>,
    /// Cancelled when the process is to stop.
    pub stop: CancellationToken,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl App {
    /// Puts the parts together. The store comes by [`Self::set_reader`], when there is one.
    ///
    /// # Errors
    /// When a part of the configuration cannot be used.
    pub fn new(
        config: Config,
        deployment: Deployment,
        private: PrivateStore,
        metrics: Option<Handle>,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        config.check()?;
        let origins = origins(&config)?;
        Ok(Self {
            inner: Arc::new(Inner {
                reader: OnceLock::new(),
                domains: Domains::from(&deployment),
                door: config.keeper.as_ref().map(Door::new).transpose()?,
                sessions: Sessions::new(config.session.secret.as_ref(), origins, config.session.ttl_hours)?,
                wallets: Wallets::new(config.rpc_url.as_ref()),
                nav: NavCache::new(config.nav_cache_bytes),
                limits: Limits::new(&config.limits),
                hub: Arc::new(Hub::new(&config.stream)),
                exports: Arc::new(Semaphore::new(MAX_EXPORTS)),
                probe: Probe::default(),
                deployment,
                config,
                private,
                metrics,
                stop,
            }),
        })
    }

    /// Gives the store. Only the first one counts.
    pub fn set_reader(&self, reader: SharedReader) {
        if self.inner.reader.set(reader).is_err() {
            tracing::warn!("the store was given twice");
        }
    }

    /// The store.
    ///
    /// # Errors
    /// 503 while the indexer has not written anything.
    pub fn reader(&self) -> Result<&SharedReader> {
        self.reader.get().ok_or_else(|| StoreError::Empty.into())
    }

    /// A strategy that must exist.
    ///
    /// # Errors
    /// 404, or the store's.
    pub async fn strategy(&self, id: StrategyId, window: model::Window) -> Result<model::Strategy> {
        self.reader()?
            .strategy(id, window)
            .await?
            .ok_or_else(|| strategy_not_found(&id.to_string()))
    }

    /// Refuses a vault that is not the strategy's.
    ///
    /// # Errors
    /// 404, or the store's.
    pub async fn vault_of(&self, id: StrategyId, vault: Option<Address>) -> Result<Option<Address>> {
        let Some(vault) = vault else { return Ok(None) };
        if self.reader()?.strategy_of(vault).await? == Some(id) {
            Ok(Some(vault))
        } else {
            Err(ApiError::new(Kind::VaultNotFound)
                .detail(format!("{vault} is not a vault of strategy {id}.")))
        }
    }
}

/// Where the dashboard is reached: as configured, or this machine.
fn origins(config: &Config) -> anyhow::Result<Vec<Url>> {
    if !config.session.origins.is_empty() {
        return Ok(config.session.origins.clone());
    }
    let mut origins = Vec::new();
    for port in [config.listen.port(), 5_173] {
        for host in ["localhost", "127.0.0.1"] {
            origins.push(Url::parse(&format!("http://{host}:{port}"))?);
        }
    }
    Ok(origins)
}
