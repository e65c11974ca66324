//! The chain with the venue and Lockstep deployed, made once and loaded many times.
//!
//! Deploying the venue takes half an hour of chain time and some seconds of real time, so the state is kept in
//! `.lockstep/genesis/<hash>/`, under a hash of everything that goes into it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::{B256, Bytes, Keccak256};
use alloy::signers::local::PrivateKeySigner;
use anyhow::Context as _;
use lockstep_contracts::deployment::Deployment;

use crate::chain::{Account, Chain, ChainOptions, Mining, wall_clock, write_whole};
use crate::layout::Layout;
use crate::process::{Program, free_port, run};
use crate::venue::Venue;

/// Keys of the mnemonic "test test … junk" that every local chain gives 10,000 ether. Published, and worthless
/// anywhere else.
const FUNDED_KEYS: [&str; 10] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
];

/// Who holds which of the funded keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Deploys and owns the venue and Lockstep.
    Owner,
    /// Sends batches and attests signals.
    Keeper,
    /// Moves the oracle and takes the market along.
    Arbitrageur,
    /// The masters.
    Master(u8),
    /// Wallets for a person to import.
    Demo(u8),
}

impl Role {
    /// The key of the role.
    ///
    /// # Errors
    /// For more masters or demo wallets than there are keys.
    pub fn signer(self) -> anyhow::Result<PrivateKeySigner> {
        let index = match self {
            Self::Owner => 0,
            Self::Keeper => 1,
            Self::Arbitrageur => 2,
            Self::Master(n) if n < 4 => 3 + usize::from(n),
            Self::Demo(n) if n < 3 => 7 + usize::from(n),
            Self::Master(_) | Self::Demo(_) => FUNDED_KEYS.len(),
        };
        let key = FUNDED_KEYS
            .get(index)
            .with_context(|| format!("no funded key for {self:?}"))?;
        Ok(key.parse()?)
    }

    /// The account of the role.
    ///
    /// # Errors
    /// As [`Role::signer`].
    pub fn account(self) -> anyhow::Result<Account> {
        self.signer().map(Account::new)
    }
}

/// A deployed chain, not running.
#[derive(Debug, Clone)]
pub struct Genesis {
    /// The chain, for [`Chain::load`].
    pub state: Bytes,
    /// The exchange on it.
    pub venue: Venue,
    /// Lockstep on it.
    pub deployment: Deployment,
    /// Where it is kept: `venue.json`, `deployment.json`, `chain.state`.
    pub directory: PathBuf,
}

impl Genesis {
    /// Reads the kept one, or deploys and keeps it. Processes that want it at the same time wait for each other.
    /// LOCKSTEP_GENESIS names the directory of another one to read instead.
    ///
    /// # Errors
    /// When a deployment step fails; the error holds the end of its output.
    pub async fn prepare(layout: &Layout) -> anyhow::Result<Self> {
        if let Some(directory) = std::env::var_os("LOCKSTEP_GENESIS") {
            return Self::read(Path::new(&directory));
        }
        let directory = layout.deployed().join(fingerprint(layout)?);
        if let Ok(genesis) = Self::read(&directory) {
            return Ok(genesis);
        }
        std::fs::create_dir_all(&directory)?;
        let lock = File::create(directory.join("lock"))?;
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
        if Self::read(&directory).is_err() {
            make(layout, &directory).await?;
        }
        drop(lock);
        Self::read(&directory)
    }

    fn read(directory: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            state: std::fs::read(directory.join("chain.state"))?.into(),
            venue: Venue::read(&directory.join("venue.json"))?,
            deployment: read_deployment(&directory.join("deployment.json"))?,
            directory: directory.to_owned(),
        })
    }

    /// Names the sources that went into it.
    #[must_use]
    pub fn key(&self) -> String {
        self.directory
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// The key of the sources as they are now.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn current_key(layout: &Layout) -> anyhow::Result<String> {
        fingerprint(layout)
    }

    /// The file every process reads.
    #[must_use]
    pub fn deployment_file(&self) -> PathBuf {
        self.directory.join("deployment.json")
    }
}

/// Reads `deployment.json`.
///
/// # Errors
/// When it is missing or not such a file.
pub fn read_deployment(path: &Path) -> anyhow::Result<Deployment> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

async fn make(layout: &Layout, directory: &Path) -> anyhow::Result<()> {
    tracing::info!("deploying the exchange and Lockstep on a new local chain (once; kept for later starts)");
    let options = ChainOptions {
        port: free_port()?,
        mining: Mining::AtOnce,
        // The exchange needs half an hour of price history: the chain begins that long ago.
        genesis_time: Some(wall_clock() - 2_000),
    };
    let log = directory.join("deploy.log");
    let anvil = options.program(layout, log.clone()).start()?;
    let chain = Chain::new(options.url()?);
    chain.ready().await?;
    let result = deploy(layout, directory, &log, &chain).await;
    anvil.stop().await?;
    result
}

async fn deploy(layout: &Layout, directory: &Path, log: &Path, chain: &Chain) -> anyhow::Result<()> {
    let script = |name: &str, signature: &str| {
        let key = Role::Owner.signer()?.to_bytes().to_string();
        let program = Program::new(name, layout.tool("forge"), layout.root(), log.to_owned())
            .arguments([
                "script",
                &format!("script/deploy/{name}.s.sol"),
                "--sig",
                signature,
            ])
            .arguments([
                "--rpc-url",
                chain.url().as_str(),
                "--private-key",
                &key,
                "--broadcast",
            ])
            .environment("LOCKSTEP_VENUE", directory.join("venue.json").to_string_lossy())
            .environment(
                "LOCKSTEP_DEPLOYMENT",
                directory.join("deployment.json").to_string_lossy(),
            )
            .environment("LOCKSTEP_KEEPER", Role::Keeper.signer()?.address().to_string());
        anyhow::Ok(program)
    };
    run(&script("DeployLocalVenue", "run()")?).await?;
    run(&script("DeployLocalVenue", "seed()")?).await?;
    run(&script("DeployLockstep", "run()")?).await?;
    // The last block is mined before the state is taken.
    tokio::time::sleep(Duration::from_millis(50)).await;
    chain.mine(1).await?;
    write_whole(&directory.join("chain.state"), &chain.dump().await?)
}

/// Of all sources that end up on the chain.
fn fingerprint(layout: &Layout) -> anyhow::Result<String> {
    let mut files = Vec::new();
    for directory in ["contracts", "script/deploy"] {
        sources(&layout.root().join(directory), &mut files)?;
    }
    files.push(layout.root().join("foundry.toml"));
    files.push(layout.root().join("package-lock.json"));
    files.sort();
    let mut hash = Keccak256::new();
    for file in files {
        let relative = file.strip_prefix(layout.root()).unwrap_or(&file);
        hash.update(relative.to_string_lossy().as_bytes());
        hash.update(std::fs::read(&file).with_context(|| file.display().to_string())?);
    }
    let hash: B256 = hash.finalize();
    Ok(hash.to_string().chars().skip(2).take(16).collect())
}

fn sources(directory: &Path, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "sol") {
            into.push(path);
        }
    }
    Ok(())
}
