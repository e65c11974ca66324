//! A deployment with strategies, followers and batches, in a real store, behind the real router.

use std::time::{SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolStruct as _;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use lockstep_api::config::Config;
use lockstep_api::private::PrivateStore;
use lockstep_api::server;
use lockstep_api::state::App;
use lockstep_contracts::bindings::IMirrorEngine;
use lockstep_contracts::deployment::{Deployment, ListedMarket, PerpContracts};
use lockstep_contracts::fills::{Fill, Outcome};
use lockstep_contracts::relay::Mandate;
use lockstep_contracts::units::{Size, Usdc, Wad};
use lockstep_indexer::decode::Speaker;
use lockstep_indexer::decode::{BatchEvent, Cause, Event, FilledEvent};
use lockstep_indexer::derive::{Block, Deriver, Placed};
use lockstep_indexer::model::{BlockRef, Bounds, Mode, Proof, Terms};
use lockstep_indexer::store::{self, Commit, Heights, Identity, SharedWriter};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::schema;

pub const CHAIN: u64 = 31_337;
pub const START: u64 = 10;
pub const DAY: u64 = 86_400;

pub const VENUE: Address = Address::repeat_byte(0xa5);
pub const MASTER: Address = Address::repeat_byte(0x31);
/// The vault of strategy 1, whose signals are disclosed at once.
pub const ALPHA: Address = Address::repeat_byte(0xa1);
/// The first vault of strategy 2, whose signals are held back for a day.
pub const BETA: Address = Address::repeat_byte(0xb1);
/// Its second one.
pub const BETA_2: Address = Address::repeat_byte(0xb2);

pub fn alice() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(0x11)).unwrap()
}

pub fn bob() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(0x22)).unwrap()
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

pub fn deployment() -> Deployment {
    let market = |listing_id: u16, symbol: &str| ListedMarket {
        listing_id,
        symbol: symbol.to_owned(),
        venue_market: B256::repeat_byte(0xe0 + u8::try_from(listing_id).unwrap()),
    };
    Deployment {
        chain_id: CHAIN,
        deployment_block: START,
        registry: Address::repeat_byte(1),
        engine: Address::repeat_byte(2),
        liquidator: Address::repeat_byte(3),
        insurance: Address::repeat_byte(4),
        venue: VENUE,
        usdc: Address::repeat_byte(6),
        permit2: Address::repeat_byte(7),
        perp: PerpContracts {
            clearing_house: Address::ZERO,
            account_balance: Address::ZERO,
            vault: Address::ZERO,
            exchange: Address::ZERO,
        },
        markets: vec![market(0, "ETH-USD"), market(1, "BTC-USD")],
    }
}

/// Alice's mandate as the chain has accepted it.
pub fn accepted_mandate() -> Mandate {
    Mandate {
        follower: alice().address(),
        strategy: ALPHA,
        mode: 0,
        ratio_bps: 10_000,
        fixed_notional: 0,
        hedge_bps: 0,
        max_leverage_bps: 30_000,
        max_slippage_bps: 50,
        max_position_notional: 10_000_000_000,
        max_daily_turnover: 50_000_000_000,
        stop_loss_bps: 2_000,
        take_profit_bps: 0,
        allowed_markets: vec!["ETH-USD".into(), "BTC-USD".into()],
        deposit: 1_000_000_000,
        expiry: now() / DAY * DAY + 400 * DAY,
        nonce: alloy::primitives::U256::from(1),
    }
}

pub fn mandate_hash(mandate: &Mandate) -> B256 {
    IMirrorEngine::Mandate::from(mandate).eip712_hash_struct()
}

fn bounds(mandate: &Mandate, time: u64) -> Bounds {
    Bounds {
        mode: Mode::ProRata,
        ratio_bps: mandate.ratio_bps,
        fixed_notional: Usdc(mandate.fixed_notional.into()),
        hedge_bps: mandate.hedge_bps,
        max_leverage_bps: mandate.max_leverage_bps,
        max_slippage_bps: mandate.max_slippage_bps,
        max_position_notional: Usdc(mandate.max_position_notional.into()),
        max_daily_turnover: Usdc(mandate.max_daily_turnover.into()),
        stop_loss_bps: mandate.stop_loss_bps,
        take_profit_bps: mandate.take_profit_bps,
        allowed_markets: mandate.allowed_markets.clone(),
        expiry: mandate.expiry,
        mandate_hash: mandate_hash(mandate),
        accepted_at: time,
    }
}

fn terms(disclosure_delay: u32) -> Terms {
    Terms {
        copy_fee_bps: 10,
        performance_fee_bps: 1_000,
        max_leverage_bps: 50_000,
        max_slippage_bps: 100,
        dead_band_bps: 50,
        min_trade_notional: Usdc(5_000_000),
        max_open_notional: Usdc(1_000_000_000_000),
        disclosure_delay,
    }
}

pub fn wad(text: &str) -> Wad {
    text.parse().unwrap()
}

pub fn size(text: &str) -> Size {
    text.parse().unwrap()
}

/// The chain and its store.
pub struct World {
    pub app: App,
    pub router: Router,
    pub writer: SharedWriter,
    deriver: Deriver,
    cursor: Option<BlockRef>,
    batches: u64,
    alpha_points: u64,
    _directory: TempDir,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The problem's code; panics when this is none.
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.text()
        );
        let problem = self.json();
        assert_eq!(problem["status"], status);
        problem
    }
}

pub fn config(directory: &std::path::Path, more: Value) -> Config {
    let mut base = json!({
        "database_url": format!("sqlite://{}", directory.join("store.db").display()),
        "deployment": directory.join("deployment.json"),
        "limits": { "enabled": false },
        "session": { "origins": ["https://lockstep.example"], "secret": "a secret of at least 32 characters" },
        "stream": { "poll_ms": 10 },
    });
    for (key, value) in more.as_object().unwrap() {
        base[key] = value.clone();
    }
    serde_json::from_value(base).unwrap()
}

impl World {
    pub async fn new() -> Self {
        Self::with(json!({})).await
    }

    /// With other configuration.
    pub async fn with(more: Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = config(directory.path(), more);
        let url = config.database_url.clone();
        let writer = store::open_writer(&url).await.unwrap();
        let deployment = deployment();
        let identity = Identity {
            chain_id: CHAIN,
            registry: deployment.registry,
            deployment_block: START,
            confirmations: 3,
        };
        writer.attach(&identity).await.unwrap();
        let private = PrivateStore::open(None).await.unwrap();
        let app = App::new(
            config,
            deployment.clone(),
            private,
            None,
            CancellationToken::new(),
        )
        .unwrap();
        let mut world = Self {
            router: server::router(&app).unwrap(),
            app,
            writer,
            deriver: Deriver::new(deployment, []),
            cursor: None,
            batches: 0,
            alpha_points: 0,
            _directory: directory,
        };
        world.history().await;
        world.app.set_reader(store::open_reader(&url).await.unwrap());
        world
    }

    /// Forty days of NAV, a position opened and closed, a skipped line, a second strategy that is reticent.
    async fn history(&mut self) {
        let start = now() - 40 * DAY;
        let d = deployment();
        let register = |strategy, name: &str, source, delay| {
            let event = Event::StrategyRegistered {
                strategy,
                master: MASTER,
                venue: VENUE,
                source,
                name: name.to_owned(),
                markets: vec![0, 1],
                terms: terms(delay),
            };
            (d.registry, event)
        };
        let vault = |strategy, vault, shard| {
            (
                d.registry,
                Event::VaultCreated {
                    strategy,
                    vault,
                    shard,
                },
            )
        };
        let listed = d.markets.iter().map(|market| {
            let event = Event::MarketListed {
                venue: VENUE,
                listing_id: market.listing_id,
                venue_market: market.venue_market,
                symbol: market.symbol.clone(),
            };
            (d.registry, event)
        });
        let mut events: Vec<_> = listed.collect();
        events.extend([
            register(1, "Alpha", Some(MASTER), 0),
            vault(1, ALPHA, 0),
            register(2, "=Beta, \"reticent\"", None, u32::try_from(DAY).unwrap()),
            vault(2, BETA, 0),
            vault(2, BETA_2, 1),
            (
                d.registry,
                Event::KeeperSet {
                    keeper: Address::repeat_byte(0x4e),
                    allowed: true,
                },
            ),
        ]);
        self.block(start, events).await;

        let mandate = accepted_mandate();
        let bobs = Mandate {
            follower: bob().address(),
            ..mandate.clone()
        };
        let mut events = Vec::new();
        for (account, mandate) in [(1, &mandate), (2, &bobs)] {
            events.push((
                ALPHA,
                Event::AccountOpened {
                    account,
                    follower: mandate.follower,
                },
            ));
            events.push((
                ALPHA,
                Event::MandateAccepted {
                    account,
                    bounds: Box::new(bounds(mandate, start + 60)),
                },
            ));
            events.push((
                ALPHA,
                Event::Deposited {
                    account,
                    amount: Usdc(1_000_000_000),
                },
            ));
        }
        events.push(self.nav_event(start + 60, "1.0", "2000"));
        self.block(start + 60, events).await;

        for day in 1..=36u64 {
            let index = 1.0 + 0.01 * (day as f64) - if day % 3 == 0 { 0.02 } else { 0.0 };
            let time = start + day * DAY;
            let event = self.nav_event(time, &format!("{index:.6}"), "2000");
            self.block(time, vec![event]).await;
        }
        self.batch(start + 37 * DAY, "1.5", "0.4", "2500").await;
        self.batch(start + 38 * DAY, "0", "-0.4", "2600").await;
        self.reticent_batch(now() - 20).await;
        let head = self.cursor.unwrap().number;
        self.observe(head, head - 2).await;
    }

    fn nav_event(&mut self, time: u64, index: &str, equity: &str) -> (Address, Event) {
        let event = Event::Nav {
            index: self.alpha_points,
            time,
            nav_index: wad(index),
            total_equity: equity.parse().unwrap(),
        };
        self.alpha_points += 1;
        (ALPHA, event)
    }

    /// Another NAV point of Alpha in a block of its own.
    pub async fn nav_point(&mut self, index: &str) {
        let time = now();
        let event = self.nav_event(time, index, "2100");
        self.block(time, vec![event]).await;
    }

    /// A batch of Alpha in ETH: Alice is moved, Bob is left alone.
    pub async fn batch(&mut self, time: u64, leverage: &str, delta: &str, price: &str) {
        self.batches += 1;
        let delta = size(delta);
        let quote = -delta.0 * price.parse::<i128>().unwrap() / 1_000_000_000_000;
        let signal = Event::SignalAccepted {
            strategy: 1,
            market: 0,
            sequence: self.batches,
            leverage: wad(leverage),
            observed_at_ms: time * 1_000 - 1_500,
            proof: Proof::Venue,
        };
        let batch = Event::Batch(Box::new(BatchEvent {
            batch_id: self.batches,
            market: 0,
            sequence: self.batches,
            leverage: wad(leverage),
            observed_at_ms: time * 1_000 - 1_500,
            index_price: wad(price),
            fill_price: wad(price),
            net_size: delta,
            crossed_size: Size::ZERO,
            venue_fee: Usdc(500_000),
            copy_fee: Usdc(500_000),
            funding_index: 0,
            fills: vec![
                Fill {
                    account: 1,
                    outcome: Outcome::Moved,
                    size_delta: delta,
                    quote_delta: Usdc(quote - 1_000_000),
                    fee: Usdc(1_000_000),
                },
                Fill {
                    account: 2,
                    outcome: Outcome::Dust,
                    size_delta: Size::ZERO,
                    quote_delta: Usdc::ZERO,
                    fee: Usdc::ZERO,
                },
            ],
        }));
        let nav = self.nav_event(time, "1.3", "2100");
        self.block(time, vec![(deployment().engine, signal), (ALPHA, batch), nav])
            .await;
    }

    async fn reticent_batch(&mut self, time: u64) {
        let mandate = Mandate {
            follower: alice().address(),
            strategy: BETA,
            ..accepted_mandate()
        };
        let batch = Event::Batch(Box::new(BatchEvent {
            batch_id: 1,
            market: 1,
            sequence: 1,
            leverage: wad("-1"),
            observed_at_ms: time * 1_000 - 900,
            index_price: wad("60000"),
            fill_price: wad("59990"),
            net_size: size("-0.01"),
            crossed_size: Size::ZERO,
            venue_fee: Usdc::ZERO,
            copy_fee: Usdc::ZERO,
            funding_index: 0,
            fills: vec![Fill {
                account: 1,
                outcome: Outcome::Capped,
                size_delta: size("-0.01"),
                quote_delta: Usdc(599_900_000),
                fee: Usdc::ZERO,
            }],
        }));
        let signal = Event::SignalAccepted {
            strategy: 2,
            market: 1,
            sequence: 1,
            leverage: wad("-1"),
            observed_at_ms: time * 1_000 - 900,
            proof: Proof::Keeper,
        };
        let opened = vec![
            (
                BETA,
                Event::AccountOpened {
                    account: 1,
                    follower: alice().address(),
                },
            ),
            (
                BETA,
                Event::MandateAccepted {
                    account: 1,
                    bounds: Box::new(bounds(&mandate, time)),
                },
            ),
            (
                BETA,
                Event::Deposited {
                    account: 1,
                    amount: Usdc(500_000_000),
                },
            ),
            (deployment().engine, signal),
            (BETA, batch),
            (
                BETA,
                Event::Nav {
                    index: 0,
                    time,
                    nav_index: wad("1"),
                    total_equity: Usdc(500_000_000),
                },
            ),
        ];
        self.block(time, opened).await;
    }

    /// Bob leaves by himself: a fill outside a batch.
    pub async fn exit(&mut self) {
        let filled = |delta: &str, quote, cause| {
            Event::Filled(Box::new(FilledEvent {
                account: 2,
                market: 0,
                cause,
                size_delta: size(delta),
                quote_delta: Usdc(quote),
                fee: Usdc(100_000),
                fill_price: wad("2500"),
                index_price: wad("2501"),
                funding_index: 0,
            }))
        };
        let events = vec![
            (ALPHA, filled("0.1", -250_100_000, Cause::Exit)),
            (ALPHA, filled("-0.1", 249_900_000, Cause::StopLoss)),
        ];
        self.block(now(), events).await;
    }

    /// The master announces another copy fee, in a block a minute before it may apply.
    pub async fn announce(&mut self, strategy: u64, copy_fee_bps: u16, effective_at: u64) {
        let event = Event::TermsScheduled {
            strategy,
            terms: Terms {
                copy_fee_bps,
                ..terms(0)
            },
            effective_at,
        };
        self.block(effective_at - 60, vec![(deployment().registry, event)])
            .await;
    }

    pub async fn block(&mut self, time: u64, events: Vec<(Address, Event)>) {
        let number = self.cursor.map_or(START, |cursor| cursor.number + 1);
        let hash = keccak256([&number.to_be_bytes()[..], &time.to_be_bytes()].concat());
        let block = BlockRef { number, hash, time };
        let d = deployment();
        let events = events
            .into_iter()
            .zip(0u64..)
            .map(|((address, event), log_index)| Placed {
                speaker: match address {
                    a if a == d.registry => Speaker::Registry,
                    a if a == d.engine => Speaker::Engine,
                    _ => Speaker::Vault,
                },
                address,
                tx_hash: keccak256([hash.as_slice(), b"tx"].concat()),
                log_index,
                event: Ok(event),
            })
            .collect();
        let blocks = [Block { block, events }];
        let needs = self.deriver.needs(&blocks);
        let found = self.writer.documents(&needs.keys).await.unwrap();
        self.deriver
            .load(found.into_iter().map(|(key, document)| (key, Some(document))));
        self.deriver.load(needs.keys.into_iter().map(|key| (key, None)));
        let derived = self.deriver.derive(&blocks, 0).unwrap();
        let commit = Commit {
            after: self.cursor,
            from: number,
            to: block,
            blocks: vec![block],
            known: vec![block],
            derived,
            undo_above: 0,
        };
        self.writer.apply(&commit).await.unwrap();
        self.cursor = Some(block);
        if self.app.reader().is_ok() {
            self.observe(number, number.saturating_sub(2)).await;
        }
    }

    pub async fn observe(&self, head: u64, finalized: u64) {
        self.writer
            .observe(&Heights {
                head,
                finalized,
                seen_ms: now_ms(),
            })
            .await
            .unwrap();
    }

    /// Takes the newest block back.
    pub async fn reorg(&mut self) {
        let last = self.cursor.unwrap();
        let known = self.writer.blocks_down_from(last.number - 1, 1).await.unwrap();
        self.writer.rollback_to(Some(known[0])).await.unwrap();
        self.cursor = Some(known[0]);
        self.deriver.reset(self.writer.vaults().await.unwrap());
    }

    pub fn head(&self) -> BlockRef {
        self.cursor.unwrap()
    }

    /// Sends a request; whatever comes back must fit the OpenAPI document.
    pub async fn send(&self, request: Request<Body>) -> Reply {
        let (method, path) = (request.method().to_string(), request.uri().to_string());
        let reply = self.send_unchecked(request).await;
        if reply.headers.get("content-encoding").is_none() && method != "HEAD" {
            schema::check(
                &method,
                &path,
                reply.status.as_u16(),
                reply.header("content-type"),
                &reply.bytes,
            );
        }
        reply
    }

    pub async fn send_unchecked(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Reply {
            status: parts.status,
            headers: parts.headers,
            bytes,
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// GET that must succeed.
    pub async fn read(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(
            Request::post(path)
                .header("content-type", "application/json")
                .body(Body::from(body.to_string()))
                .unwrap(),
        )
        .await
    }
}
