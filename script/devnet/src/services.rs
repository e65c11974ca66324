//! Configuration and start of keeper, indexer and API.

use std::path::{Path, PathBuf};

use url::Url;

use crate::chain::Account;
use crate::layout::Layout;
use crate::process::Program;

/// Where the parts of one stack keep their things and listen.
#[derive(Debug, Clone)]
pub struct Services {
    /// Databases, configuration files, logs.
    pub directory: PathBuf,
    /// `deployment.json`.
    pub deployment: PathBuf,
    /// RPC endpoints of the keeper, best first.
    pub keeper_rpc: Vec<Url>,
    /// RPC endpoints of the indexer, best first.
    pub indexer_rpc: Vec<Url>,
    /// RPC endpoint of the API.
    pub api_rpc: Url,
    /// Where a browser reaches the chain.
    pub public_rpc: Url,
    /// Port of the keeper's relay, health and metrics.
    pub keeper_port: u16,
    /// Port of the indexer's health and metrics.
    pub indexer_port: u16,
    /// Port of the API and the dashboard.
    pub api_port: u16,
    /// Log filter of all three.
    pub log_filter: String,
}

impl Services {
    /// Where the API is.
    ///
    /// # Errors
    /// Never for a real port.
    pub fn api_url(&self) -> anyhow::Result<Url> {
        Ok(Url::parse(&format!("http://127.0.0.1:{}/", self.api_port))?)
    }

    /// Where the keeper is.
    ///
    /// # Errors
    /// Never for a real port.
    pub fn keeper_url(&self) -> anyhow::Result<Url> {
        Ok(Url::parse(&format!("http://127.0.0.1:{}/", self.keeper_port))?)
    }

    /// The keeper's journal.
    #[must_use]
    pub fn keeper_database(&self) -> PathBuf {
        self.directory.join("keeper.db")
    }

    /// The indexer's store.
    #[must_use]
    pub fn indexer_database(&self) -> PathBuf {
        self.directory.join("indexer.db")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.directory.join("logs").join(format!("{name}.log"))
    }

    fn program(&self, layout: &Layout, name: &str) -> anyhow::Result<Program> {
        let config = self.directory.join(format!("{name}.toml"));
        Ok(Program::new(
            name,
            layout.program(&format!("lockstep-{name}"))?,
            layout.root(),
            self.log(name),
        )
        .arguments(["--config".to_owned(), config.to_string_lossy().into_owned()])
        .environment("RUST_LOG", self.log_filter.clone()))
    }

    /// Writes `keeper.toml` and gives the program that reads it. The key is in the environment, not in a file.
    ///
    /// # Errors
    /// When the file cannot be written or the program is not built.
    pub fn keeper(&self, layout: &Layout, account: &Account) -> anyhow::Result<Program> {
        let text = format!(
            "deployment = {}\n\
             journal = {}\n\
             listen = \"127.0.0.1:{}\"\n\
             \n\
             [rpc]\n\
             urls = {}\n",
            quoted(&self.deployment),
            quoted(&self.keeper_database()),
            self.keeper_port,
            list(&self.keeper_rpc),
        );
        std::fs::write(self.directory.join("keeper.toml"), text)?;
        Ok(self
            .program(layout, "keeper")?
            .environment("LOCKSTEP_KEEPER__KEY", account.secret()))
    }

    /// Writes `indexer.toml` and gives the program that reads it.
    ///
    /// # Errors
    /// As [`Services::keeper`].
    pub fn indexer(&self, layout: &Layout) -> anyhow::Result<Program> {
        let text = format!(
            "deployment = {}\n\
             store = {}\n\
             listen = \"127.0.0.1:{}\"\n\
             \n\
             [rpc]\n\
             urls = {}\n",
            quoted(&self.deployment),
            quoted_text(&format!("sqlite://{}", self.indexer_database().display())),
            self.indexer_port,
            list(&self.indexer_rpc),
        );
        std::fs::write(self.directory.join("indexer.toml"), text)?;
        self.program(layout, "indexer")
    }

    /// Writes `api.toml` and gives the program that reads it.
    ///
    /// # Errors
    /// As [`Services::keeper`].
    pub fn api(&self, layout: &Layout) -> anyhow::Result<Program> {
        let text = format!(
            "deployment = {}\n\
             store = {}\n\
             listen = \"127.0.0.1:{}\"\n\
             keeper = \"{}\"\n",
            quoted(&self.deployment),
            quoted_text(&format!("sqlite://{}", self.indexer_database().display())),
            self.api_port,
            self.keeper_url()?,
        );
        std::fs::write(self.directory.join("api.toml"), text)?;
        self.program(layout, "api")
    }
}

fn quoted(path: &Path) -> String {
    quoted_text(&path.to_string_lossy())
}

/// A TOML string.
fn quoted_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn list(urls: &[Url]) -> String {
    let urls: Vec<String> = urls.iter().map(|url| quoted_text(url.as_str())).collect();
    format!("[{}]", urls.join(", "))
}
