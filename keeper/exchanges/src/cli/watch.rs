use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use lockstep_exchanges::credentials::Credentials;
use lockstep_exchanges::health::{Health, Limits};
use lockstep_exchanges::model::{Event, Instruments, Interval, Stream, Text, Venue};
use lockstep_exchanges::operation::{Empty, Operation, Reply};
use lockstep_exchanges::protocol::{Endpoints, Environment, Protocol};
use lockstep_exchanges::transport::backoff::ConnectLimiter;
use lockstep_exchanges::transport::clock::{LocalClock, VenueClock};
use lockstep_exchanges::transport::feed::{Feed, channel};
use lockstep_exchanges::transport::http::Pool;
use lockstep_exchanges::transport::ledger::MemoryLedger;
use lockstep_exchanges::transport::limiter::Limiter;
use lockstep_exchanges::transport::random::Random;
use lockstep_exchanges::transport::rest::{Client, Parts, Patience};
use lockstep_exchanges::transport::socket::{Plan, SessionKeys, Settings, plan, start};
use lockstep_exchanges::transport::websocket::WebSockets;
use lockstep_exchanges::venues::{Generation, protocol_of};
use serde_json::json;

/// `exchanges watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// Which venue.
    #[arg(required_unless_present = "best", conflicts_with = "best")]
    venue: Option<Venue>,
    /// Best bid and ask of this base asset's linear perpetuals over several venues, and which venue is chosen.
    #[arg(long, value_name = "ASSET", requires = "venues",
          conflicts_with_all = ["ticker", "book", "trades", "klines", "mark", "user", "credentials", "instruments"])]
    best: Option<String>,
    /// The venues to choose from, the preferred first: binance,okx,bybit.
    #[arg(long, value_delimiter = ',', requires = "best")]
    venues: Vec<Venue>,
    /// Best prices of these instruments, in the venue's words.
    #[arg(long)]
    ticker: Vec<String>,
    /// Books of these instruments.
    #[arg(long)]
    book: Vec<String>,
    /// Public trades of these instruments.
    #[arg(long)]
    trades: Vec<String>,
    /// One-minute klines of these instruments.
    #[arg(long)]
    klines: Vec<String>,
    /// Mark prices and funding of these instruments.
    #[arg(long)]
    mark: Vec<String>,
    /// Fills of these addresses (Hyperliquid).
    #[arg(long)]
    user: Vec<String>,
    /// JSON file `{"key", "secret", "passphrase"?}`: the account's events too.
    #[arg(long)]
    credentials: Option<PathBuf>,
    /// The venue's test world.
    #[arg(long)]
    test: bool,
    /// JSON file `{"rest", "public_socket", "market_socket", "private_socket"}` instead of the venue's addresses; with
    /// --best one such object per venue, under its name.
    #[arg(long)]
    endpoints: Option<PathBuf>,
    /// Address of a simulator (`exchanges simulate`) or a proxy instead of the venue's: http://127.0.0.1:PORT
    #[arg(long, value_name = "URL", conflicts_with_all = ["endpoints", "best"])]
    at: Option<String>,
    /// Which of the venue's interfaces: current, legacy (HTX before v5), next (Bitget v3).
    #[arg(long, default_value = "current", value_parser = super::generation)]
    generation: Generation,
    /// Prints the venue's instruments as a JSON list and ends.
    #[arg(long)]
    instruments: bool,
}

fn from_file<T: serde::de::DeserializeOwned>(path: &PathBuf) -> anyhow::Result<T> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} has another form", path.display()))
}

impl Watch {
    fn streams(&self) -> Vec<Stream> {
        let of = |names: &[String], stream: fn(Text) -> Stream| -> Vec<Stream> {
            names.iter().map(|name| stream(Text::new(name))).collect()
        };
        let mut streams = of(&self.ticker, |instrument| Stream::Ticker { instrument });
        streams.extend(of(&self.book, |instrument| Stream::Book { instrument }));
        streams.extend(of(&self.trades, |instrument| Stream::Trades { instrument }));
        streams.extend(of(&self.klines, |instrument| Stream::Klines {
            instrument,
            interval: Interval::Minute,
        }));
        streams.extend(of(&self.mark, |instrument| Stream::Mark { instrument }));
        streams.extend(of(&self.user, |user| Stream::User { user }));
        if self.credentials.is_some() {
            streams.push(Stream::Account);
        }
        streams
    }

    /// Prints what the venue says, as JSON lines, until it is interrupted. What happens to the connections goes to
    /// standard error.
    ///
    /// # Errors
    /// When a file cannot be read, nothing is named to watch, or the venue's instruments cannot be read.
    pub async fn run(self) -> anyhow::Result<()> {
        let environment = if self.test {
            Environment::Test
        } else {
            Environment::Main
        };
        if let Some(symbol) = &self.best {
            let endpoints = self.endpoints.as_ref().map(from_file).transpose()?;
            return super::best::run(symbol, &self.venues, environment, endpoints.unwrap_or_default()).await;
        }
        match self.venue {
            Some(venue) => self.run_one(venue, environment).await,
            None => anyhow::bail!("name a venue, or several with --best and --venues"),
        }
    }

    async fn run_one(&self, venue: Venue, environment: Environment) -> anyhow::Result<()> {
        let protocol: Arc<dyn Protocol> = Arc::from(protocol_of(venue, self.generation));
        let own = protocol.endpoints(environment);
        let endpoints: Endpoints = match (&self.endpoints, &self.at) {
            (Some(path), _) => from_file(path)?,
            (None, Some(base)) => own.moved_to(base.trim_end_matches('/')),
            (None, None) => own,
        };
        let credentials: Option<Credentials> = self.credentials.as_ref().map(from_file).transpose()?;
        let client = client(&protocol, &endpoints, credentials.clone())?;
        let Reply::Instruments(list) = client
            .read(&Operation::Instruments(Empty {}))
            .await
            .with_context(|| format!("the instruments of {venue} cannot be read"))?
        else {
            anyhow::bail!("{venue} answered with something else than its instruments");
        };
        if self.instruments {
            println!("{}", serde_json::to_string_pretty(&list)?);
            return Ok(());
        }
        let streams = self.streams();
        anyhow::ensure!(
            !streams.is_empty(),
            "nothing to watch: name it with --ticker, --book, --trades, … (--help)"
        );
        client.measure_clock().await?;
        let keys: Arc<dyn SessionKeys> = Arc::new(client.clone());
        let whole = Plan {
            endpoints,
            streams,
            index: 0,
            credentials,
            keys: protocol.listen_key_renewal().is_some().then_some(keys),
            instruments: Instruments::new(venue, list),
            clock: client.clock().clone(),
            settings: Settings::default(),
            protocol,
        };
        let (sender, mut receiver) = channel(4_096);
        let connects = ConnectLimiter::of_process();
        let sockets = Arc::new(WebSockets::new()?);
        let _handles: Vec<_> = (0..)
            .zip(plan(&whole)?)
            .map(|(id, plan)| {
                start(
                    plan,
                    id,
                    sockets.clone(),
                    connects.clone(),
                    client.health().clone(),
                    sender.clone(),
                    Random::from_process(),
                )
            })
            .collect();
        drop(sender);
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return Ok(()),
                message = receiver.receive() => match message {
                    Some(message) => print(venue, &message.feed)?,
                    None => return Ok(()),
                },
            }
        }
    }
}

fn client(
    protocol: &Arc<dyn Protocol>,
    endpoints: &Endpoints,
    credentials: Option<Credentials>,
) -> anyhow::Result<Client> {
    let venue = protocol.venue();
    Ok(Client::new(Parts {
        protocol: protocol.clone(),
        http: Arc::new(Pool::new(std::time::Duration::from_secs(10))?),
        rest: endpoints.rest.trim_end_matches('/').to_owned(),
        credentials,
        instruments: protocol.known_instruments(),
        clock: VenueClock::new(venue, LocalClock::start()),
        limiter: Limiter::of_process(venue, &endpoints.rest),
        health: Health::new(venue, Limits::default()),
        ledger: Arc::new(MemoryLedger::default()),
        patience: Patience::of(venue),
        random: Random::from_process(),
    }))
}

fn print(venue: Venue, feed: &Feed) -> anyhow::Result<()> {
    match feed {
        Feed::Event { event, .. } => {
            let mut line = serde_json::to_value::<&Event>(event)?;
            if let Some(members) = line.as_object_mut() {
                members.insert("venue".to_owned(), json!(venue));
            }
            println!("{line}");
        }
        Feed::Unreadable { error } => {
            println!(
                "{}",
                json!({ "error": { "code": error.code(), "detail": error.to_string() } })
            );
        }
        other => eprintln!("{other:?}"),
    }
    Ok(())
}
