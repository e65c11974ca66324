//! How every Lockstep process starts: configuration, logs, metrics, shutdown. The one place for it, so that all
//! processes are configured, logged, measured and stopped alike.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use lockstep_service::{config, ending, logs, metrics, panics, shutdown};
//!
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     listen: std::net::SocketAddr,
//! }
//!
//! fn main() -> ExitCode {
//!     let runtime = tokio::runtime::Runtime::new();
//!     let outcome = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(start()));
//!     ending::report(logs::Format::Pretty, outcome)
//! }
//!
//! async fn start() -> anyhow::Result<ExitCode> {
//!     logs::init(logs::Format::Pretty, "info")?;
//!     let config: Config = config::load(Some("keeper.toml".as_ref()), "LOCKSTEP_KEEPER")?;
//!     let stop = shutdown::on_signal()?;
//!     panics::install(stop.clone());
//!     let metrics = metrics::install(&[])?;
//! #   let _ = (config.listen, metrics.render());
//!     stop.cancelled().await;
//!     Ok(ExitCode::SUCCESS)
//! }
//! ```

pub mod config;
pub mod ending;
pub mod logs;
pub mod metrics;
pub mod panics;
pub mod shutdown;
