//! A local chain whose contracts are emitters: it says whatever it is told to.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::rpc::client::{ClientBuilder, RpcClient};
use anyhow::Context as _;
use serde_json::json;
use tokio::process::{Child, Command};
use url::Url;

use crate::synthetic::{self, Emitted};

/// A running anvil; it ends when this is dropped.
#[derive(Debug)]
pub struct LocalChain {
    url: Url,
    client: RpcClient,
    sender: Address,
    coded: std::collections::HashSet<Address>,
    _process: Child,
}

impl LocalChain {
    /// Starts anvil on a free port: no mining by itself, blocks large enough for many logs.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(anvil: &Path) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new(anvil)
            .args([
                "--port",
                &port.to_string(),
                "--no-mining",
                "--hardfork",
                "cancun",
                "--accounts",
                "1",
            ])
            .args([
                "--gas-limit",
                "10000000000",
                "--order",
                "fifo",
                "--base-fee",
                "0",
                "--gas-price",
                "0",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {} (npm ci installs it)", anvil.display()))?;
        let url: Url = format!("http://127.0.0.1:{port}").parse()?;
        let client = ClientBuilder::default().http(url.clone());
        let mut accounts: Option<Vec<Address>> = None;
        for _ in 0..200 {
            if let Ok(found) = client.request_noparams::<Vec<Address>>("eth_accounts").await {
                accounts = Some(found);
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let sender = accounts
            .and_then(|list| list.first().copied())
            .context("anvil did not start")?;
        Ok(Self {
            url,
            client,
            sender,
            coded: std::collections::HashSet::new(),
            _process: process,
        })
    }

    /// Its endpoint.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Any call.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn call(
        &self,
        method: &'static str,
        params: serde_json::Value,
    ) -> anyhow::Result<serde_json::Value> {
        self.client.request(method, params).await.with_context(|| method)
    }

    /// EIP-155 chain id.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn chain_id(&self) -> anyhow::Result<u64> {
        Ok(self.client.request_noparams::<U64>("eth_chainId").await?.to())
    }

    /// Number and hash of the newest block.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn head(&self) -> anyhow::Result<(u64, B256)> {
        #[derive(Debug, serde::Deserialize)]
        struct Head {
            number: U64,
            hash: B256,
        }
        let head: Head = self
            .client
            .request("eth_getBlockByNumber", ("latest", false))
            .await?;
        Ok((head.number.to(), head.hash))
    }

    /// Lets an address speak.
    async fn code(&mut self, address: Address) -> anyhow::Result<()> {
        if self.coded.insert(address) {
            self.call("anvil_setCode", json!([address, synthetic::emitter()]))
                .await?;
        }
        Ok(())
    }

    /// Mines a block with these logs at this time, in their order: neighbours of one emitter share a transaction.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn emit(&mut self, logs: &[Emitted], time: u64) -> anyhow::Result<()> {
        for group in logs.chunk_by(|a, b| a.address == b.address) {
            let Some(first) = group.first() else { continue };
            self.code(first.address).await?;
            let data: Bytes = synthetic::calldata(group.iter().map(|emitted| &emitted.log));
            let gas = U256::from(200_000 + 40 * data.len() + 4_000 * group.len());
            let transaction = json!({
                "from": self.sender, "to": first.address, "input": data, "gas": gas, "gasPrice": "0x0",
            });
            self.call("eth_sendTransaction", json!([transaction])).await?;
        }
        self.mine(time).await
    }

    /// Mines one block at this time.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn mine(&self, time: u64) -> anyhow::Result<()> {
        self.call("evm_setNextBlockTimestamp", json!([time])).await?;
        self.call("evm_mine", json!([])).await?;
        Ok(())
    }
}
