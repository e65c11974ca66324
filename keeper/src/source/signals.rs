//! Private strategies: programs that post signed target states at a door of their own. Who may, and with which key, says
//! the configuration; what is taken becomes attested signals, on the same path as those of masters on exchanges.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use async_trait::async_trait;
use lockstep_contracts::units::Wad;
use lockstep_exchanges::signal_door::{Broken, Door, NotTaken, Sink, SourceKey, Standing, TargetState};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::hand_in::{Gone, market_of, signal, wad};
use crate::engine::{Command, Seen, SignalRefused};
use crate::journal::Journal;
use crate::state::{MarketIndex, StrategyId};

/// Where signal sources are heard.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignalDoor {
    /// Address of its own. Whoever reaches it and has a token is listened to.
    pub listen: SocketAddr,
}

impl Default for SignalDoor {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8092)),
        }
    }
}

/// A private strategy that posts its target states.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalSource {
    /// Its name in the address it posts to: small letters, digits, `-`, `_`.
    pub name: String,
    /// Registry id of the strategy. It must have no on-chain source.
    pub strategy: StrategyId,
    /// Its public key, RSA or Ed25519, in PEM.
    pub public_key: Option<String>,
    /// File that holds it.
    pub public_key_file: Option<PathBuf>,
    /// Environment variable that holds its token.
    pub token_env: Option<String>,
    /// File that holds its token.
    pub token_file: Option<PathBuf>,
    /// The strategy's markets that it moves, by their names on the chain. One it does not name is one it is out of.
    pub markets: Vec<String>,
}

/// Longest name of a source.
const NAME_LENGTH: usize = 64;

impl SignalSource {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// A sentence that names the source and what to give.
    pub fn check(&self) -> anyhow::Result<()> {
        let name = &self.name;
        anyhow::ensure!(
            !name.is_empty()
                && name.len() <= NAME_LENGTH
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_')),
            "signal source {name:?}: give a name of 1 to {NAME_LENGTH} small letters, digits, `-` and `_`"
        );
        anyhow::ensure!(
            !self.markets.is_empty(),
            "signal source {name:?}: `markets` is empty, so it could move nothing"
        );
        Ok(())
    }

    fn key(&self) -> anyhow::Result<SourceKey> {
        let name = &self.name;
        let public_key = match (&self.public_key, &self.public_key_file) {
            (Some(pem), _) => pem.clone(),
            (None, Some(path)) => std::fs::read_to_string(path)
                .with_context(|| format!("signal source {name:?}: `public_key_file` {}", path.display()))?,
            (None, None) => {
                anyhow::bail!("signal source {name:?} has no key: set `public_key` or `public_key_file`")
            }
        };
        let token = match (&self.token_env, &self.token_file) {
            (Some(variable), _) => std::env::var(variable)
                .with_context(|| format!("signal source {name:?}: environment variable {variable}"))?,
            (None, Some(path)) => std::fs::read_to_string(path)
                .with_context(|| format!("signal source {name:?}: `token_file` {}", path.display()))?,
            (None, None) => {
                anyhow::bail!("signal source {name:?} has no token: set `token_file` or `token_env`")
            }
        };
        SourceKey::new(&public_key, token.trim()).with_context(|| format!("signal source {name:?}"))
    }
}

/// The door of the signal sources, and what it tells of them.
#[derive(Clone)]
pub struct SignalSources {
    door: Arc<Door>,
    sources: Arc<BTreeMap<String, Moves>>,
}

/// A source as the internal door shows it.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignalSourceHealth {
    /// Name.
    pub name: String,
    /// Strategy.
    pub strategy: StrategyId,
    /// Sequence number of the state that was taken last.
    pub sequence: Option<u64>,
    /// Why nothing is taken from it.
    pub broken: Option<String>,
    /// Since when, Unix milliseconds.
    pub broken_since: Option<u64>,
}

impl SignalSources {
    /// Reads keys and tokens, and where the sources stood before.
    ///
    /// # Errors
    /// When a key, a token or the journal cannot be read.
    pub async fn open(
        sources: &[SignalSource],
        journal: &Journal,
        commands: mpsc::Sender<Command>,
    ) -> anyhow::Result<Self> {
        let keys: HashMap<String, SourceKey> = sources
            .iter()
            .map(|source| Ok((source.name.clone(), source.key()?)))
            .collect::<anyhow::Result<_>>()?;
        let moves: BTreeMap<String, Moves> = sources
            .iter()
            .map(|source| {
                let moves = Moves {
                    strategy: source.strategy,
                    markets: source.markets.clone(),
                };
                (source.name.clone(), moves)
            })
            .collect();
        let sources = Arc::new(moves);
        let standings = journal.signal_sources().await?;
        for (name, standing) in &standings {
            if let Some(broken) = standing.broken.as_ref().filter(|_| sources.contains_key(name)) {
                error!(
                    source = name,
                    reason = broken.reason,
                    "a signal source is still broken: nothing is taken from it until it is mended"
                );
            }
        }
        let sink = Attesting {
            journal: journal.clone(),
            commands,
            sources: Arc::clone(&sources),
        };
        Ok(Self {
            door: Arc::new(Door::new(keys, standings, Arc::new(sink), wall_clock_ms)),
            sources,
        })
    }

    /// Serves until `stop`.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn listen(&self, listen: SocketAddr, stop: CancellationToken) -> anyhow::Result<()> {
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("cannot listen on {listen}: set `signal_door.listen` to a free address")
        })?;
        if !listen.ip().is_loopback() {
            warn!(%listen, "the signal door speaks plain HTTP beyond this machine: put TLS in front of it, its tokens are in the headers");
        }
        info!(address = %listener.local_addr()?, sources = self.sources.len(), "signal door is open");
        let router = Arc::clone(&self.door).router();
        tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
            if let Err(error) = served.await {
                error!(%error, "the signal door is shut");
            }
        });
        Ok(())
    }

    /// Takes from a source again.
    ///
    /// # Errors
    /// When it is unknown, not broken, or the repair cannot be written down.
    pub async fn mend(
        &self,
        name: &str,
        forget_sequence: bool,
    ) -> Result<(), lockstep_exchanges::signal_door::MendError> {
        self.door.mend(name, forget_sequence).await
    }

    /// Where all of them stand.
    #[must_use]
    pub fn health(&self) -> Vec<SignalSourceHealth> {
        let health = self.sources.iter().map(|(name, moves)| {
            let Standing { sequence, broken } = self.door.standing(name);
            let (broken, broken_since) = broken.map(|broken| (broken.reason, broken.since_ms)).unzip();
            SignalSourceHealth {
                name: name.clone(),
                strategy: moves.strategy,
                sequence,
                broken,
                broken_since,
            }
        });
        health.collect()
    }
}

fn wall_clock_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// What a source moves.
#[derive(Debug)]
struct Moves {
    strategy: StrategyId,
    markets: Vec<String>,
}

impl Moves {
    /// The leverage of every market: zero where the state names none.
    fn complete(&self, state: &TargetState) -> Result<Vec<(&str, Wad)>, NotTaken> {
        let mut wanted: BTreeMap<&str, Wad> = self
            .markets
            .iter()
            .map(|market| (market.as_str(), Wad(0)))
            .collect();
        let mut named = std::collections::BTreeSet::new();
        for target in &state.targets {
            let market = target.market.as_str();
            let unacceptable = |why: &str| NotTaken::Unacceptable(format!("market {market:?} {why}"));
            let Some(leverage) = wanted.get_mut(market) else {
                return Err(unacceptable("is none of the source's `markets`"));
            };
            if !named.insert(market) {
                return Err(unacceptable("is named twice"));
            }
            *leverage = wad(target.leverage)
                .ok_or_else(|| unacceptable("has a leverage that the contract cannot hold"))?;
        }
        Ok(wanted.into_iter().collect())
    }
}

/// Turns states into attested signals.
struct Attesting {
    journal: Journal,
    commands: mpsc::Sender<Command>,
    sources: Arc<BTreeMap<String, Moves>>,
}

impl Attesting {
    async fn attest(&self, moves: &Moves, state: &TargetState) -> Result<(), NotTaken> {
        let strategy = moves.strategy;
        // All markets are looked up before the first state is handed in: half a state is taken only if the keeper ends.
        let mut seen = Vec::new();
        for (market, leverage) in moves.complete(state)? {
            let index: MarketIndex = market_of(strategy, market, &self.commands)
                .await
                .map_err(gone)?
                .ok_or_else(|| {
                    NotTaken::Unavailable(format!(
                        "strategy {strategy} has no market {market:?} on the chain, as far as this keeper has read it"
                    ))
                })?;
            seen.push(Seen {
                strategy,
                market: index,
                leverage,
                observed_at: state.time_ms,
            });
        }
        for seen in seen {
            let taken = signal(seen, None, &self.commands).await.map_err(gone)?;
            taken.map_err(|refused| match refused {
                // The keeper reads the chain, and the chain's clock goes on.
                SignalRefused::UnknownStrategy
                | SignalRefused::UnknownMarket
                | SignalRefused::FromTheFuture => NotTaken::Unavailable(refused.to_string()),
                SignalRefused::ProvenByVenue | SignalRefused::Superseded => {
                    NotTaken::Unacceptable(refused.to_string())
                }
            })?;
        }
        Ok(())
    }
}

fn gone(_: Gone) -> NotTaken {
    NotTaken::Unavailable("the keeper is ending".to_owned())
}

fn unwritten(error: &crate::journal::JournalError) -> String {
    // The detail names files of this machine; it is for the log.
    error!(%error, "a signal source's standing could not be written down");
    "it could not be written down".to_owned()
}

#[async_trait]
impl Sink for Attesting {
    async fn take(&self, source: &str, state: &TargetState) -> Result<(), NotTaken> {
        let moves = self
            .sources
            .get(source)
            .ok_or_else(|| NotTaken::Unacceptable("unknown source".to_owned()))?;
        self.attest(moves, state).await?;
        // After the states: a crash in between takes the same states again, the other way round it would lose them.
        self.journal
            .signal_taken(source, state.sequence)
            .await
            .map_err(|error| NotTaken::Unavailable(unwritten(&error)))?;
        info!(
            source,
            strategy = moves.strategy,
            sequence = state.sequence,
            targets = state.targets.len(),
            "a signed target state was taken"
        );
        metrics::counter!("keeper_signal_states_total", "source" => source.to_owned()).increment(1);
        Ok(())
    }

    async fn alarm(&self, source: &str, broken: &Broken) -> Result<(), String> {
        metrics::counter!("keeper_signal_source_alarms_total", "source" => source.to_owned()).increment(1);
        self.journal
            .signal_source_broken(source, broken)
            .await
            .map_err(|error| unwritten(&error))
    }

    async fn mended(&self, source: &str, last: Option<u64>) -> Result<(), String> {
        self.journal
            .signal_source_mended(source, last)
            .await
            .map_err(|error| unwritten(&error))
    }
}
