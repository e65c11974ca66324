//! Configuration and start of keeper, indexer and API.

use std::path::{Path, PathBuf};

use url::Url;

use crate::chain::Account;
use crate::layout::Layout;
use crate::process::Program;

/// Shared by the API and the keeper, which both listen on the loopback interface only.
const RELAY_TOKEN: &str = "local-relay-token-of-the-development-stack";

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
    /// More of the keeper's configuration, after its `[rpc]` table.
    pub keeper_extra: String,
    /// How often the indexer looks at the chain.
    pub indexer_poll_ms: u64,
    /// Whether the API limits how often one address may ask.
    pub api_limits: bool,
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
        .environment("RUST_LOG", self.log_filter.clone())
        // Of a panic a backtrace is wanted, of an error that is reported it only hides the message.
        .environment("RUST_LIB_BACKTRACE", "0"))
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
             urls = {}\n\
             ws_url = {}\n\
             {}",
            quoted(&self.deployment),
            quoted(&self.keeper_database()),
            self.keeper_port,
            list(&self.keeper_rpc),
            quoted_text(&self.public_rpc.as_str().replacen("http", "ws", 1)),
            self.keeper_extra,
        );
        std::fs::write(self.directory.join("keeper.toml"), text)?;
        Ok(self
            .program(layout, "keeper")?
            .environment("LOCKSTEP_KEEPER__KEY", account.secret())
            .environment("LOCKSTEP_KEEPER__TOKEN", RELAY_TOKEN))
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
             urls = {}\n\
             ws_url = {}\n\
             poll_ms = {}\n",
            quoted(&self.deployment),
            quoted_text(&format!("sqlite://{}", self.indexer_database().display())),
            self.indexer_port,
            list(&self.indexer_rpc),
            quoted_text(&self.public_rpc.as_str().replacen("http", "ws", 1)),
            self.indexer_poll_ms,
        );
        std::fs::write(self.directory.join("indexer.toml"), text)?;
        self.program(layout, "indexer")
    }

    /// Writes `api.toml` and gives the program that reads it.
    ///
    /// # Errors
    /// As [`Services::keeper`].
    pub fn api(&self, layout: &Layout) -> anyhow::Result<Program> {
        let dashboard = layout.root().join("api/web/dist");
        let dashboard = if dashboard.is_dir() {
            format!("web_dist = {}\n", quoted(&dashboard))
        } else {
            String::new()
        };
        let text = format!(
            "listen = \"127.0.0.1:{}\"\n\
             database_url = {}\n\
             state_file = {}\n\
             deployment = {}\n\
             public_rpc_url = \"{}\"\n\
             rpc_url = \"{}\"\n\
             {dashboard}\
             \n\
             [keeper]\n\
             url = \"{}\"\n\
             \n\
             # Everyone here has the same address.\n\
             [limits]\n\
             enabled = {}\n",
            self.api_port,
            quoted_text(&format!("sqlite://{}", self.indexer_database().display())),
            quoted(&self.directory.join("api.db")),
            quoted(&self.deployment),
            self.public_rpc,
            self.api_rpc,
            self.keeper_url()?,
            self.api_limits,
        );
        std::fs::write(self.directory.join("api.toml"), text)?;
        Ok(self
            .program(layout, "api")?
            .environment("LOCKSTEP_API__KEEPER__TOKEN", RELAY_TOKEN))
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
