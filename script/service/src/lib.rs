//! How every Lockstep process starts: configuration, logs, metrics, shutdown. The one place for it, so that all
//! processes are configured, logged, measured and stopped alike.
//!
//! ```no_run
//! use lockstep_service::{config, logs, metrics, panics, shutdown};
//!
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     listen: std::net::SocketAddr,
//! }
//!
//! # async fn start() -> anyhow::Result<()> {
//! logs::init(logs::Format::Pretty, "info")?;
//! let config: Config = config::load(Some("keeper.toml".as_ref()), "LOCKSTEP_KEEPER")?;
//! let stop = shutdown::on_signal()?;
//! panics::install(stop.clone());
//! let metrics = metrics::install(&[])?;
//! # let _ = (config.listen, metrics.render());
//! stop.cancelled().await;
//! # Ok(())
//! # }
//! ```

pub mod config;
pub mod logs;
pub mod metrics;
pub mod panics;
pub mod shutdown;
