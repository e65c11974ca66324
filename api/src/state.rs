//! What handlers share.

use std::sync::Arc;

use alloy::primitives::Address;
use lockstep_contracts::deployment::Deployment;
use lockstep_contracts::digest::Domains;
use lockstep_indexer::model::{self, StrategyId};
use lockstep_indexer::store::SharedReader;

use crate::config::Config;
use crate::error::{ApiError, Kind, Result};
use crate::extract::strategy_not_found;

/// What handlers share; cheap to clone.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

/// See [`App`].
pub struct Inner {
    /// The store.
    pub reader: SharedReader,
    /// Where Lockstep lives.
    pub deployment: Deployment,
    /// Signing domains.
    pub domains: Domains,
    /// Configuration.
    pub config: Config,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(reader: SharedReader, deployment: Deployment, config: Config) -> Self {
        let domains = Domains::from(&deployment);
        Self {
            inner: Arc::new(Inner {
                reader,
                deployment,
                domains,
                config,
            }),
        }
    }

    /// A strategy that must exist.
    ///
    /// # Errors
    /// 404, or the store's.
    pub async fn strategy(&self, id: StrategyId, window: model::Window) -> Result<model::Strategy> {
        self.reader
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
        if self.reader.strategy_of(vault).await? == Some(id) {
            Ok(Some(vault))
        } else {
            Err(ApiError::new(Kind::VaultNotFound)
                .detail(format!("{vault} is not a vault of strategy {id}.")))
        }
    }
}
