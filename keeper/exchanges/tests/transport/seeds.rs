//! Every venue's words, both ways, over a network whose faults follow from a seed: the simulator speaks the venue's wire
//! format, [`follow_in`] reads it as in production. Connections are refused, break and go half open, pushes are lost, late
//! or doubled, requests time out or fail, sessions expire, the venue's clock is off. After each seed what we know of the
//! account equals what the simulator knows: positions, balances, open orders, and every fill once.
//!
//! The venue of a seed is `seed % 7`. `LOCKSTEP_SEED=n` runs one seed, `LOCKSTEP_LONG=1` 10,000 of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockstep_exchanges::credentials::Credentials;
use lockstep_exchanges::follow::{FollowError, Options, Surroundings, follow_in};
use lockstep_exchanges::health::{Health, Limits};
use lockstep_exchanges::model::{
    Cause, ContractKind, Decimal, MarginMode, Order, OrderKind, PositionMode, PositionSide, Scope, Side,
    TimeInForce, Venue,
};
use lockstep_exchanges::operation::{AmendOrder, NewOrder, OrderRef};
use lockstep_exchanges::protocol::Protocol;
use lockstep_exchanges::simulate::engine::{Account, Engine, Quote};
use lockstep_exchanges::simulate::server::Truth;
use lockstep_exchanges::simulate::venues::{account, wire};
use lockstep_exchanges::transport::backoff::ConnectLimiter;
use lockstep_exchanges::transport::clock::LocalClock;
use lockstep_exchanges::transport::limiter::Limiter;
use lockstep_exchanges::transport::random::Random;
use lockstep_exchanges::transport::socket::Settings;
use lockstep_exchanges::venues::{Generation, protocol_of};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::memory::{Faults, Memory};
use crate::network::virtual_time;
use crate::support::{Heard, differences, endpoints, size_worth};

const NOW: u64 = 1_790_000_000_000;
/// Things that happen at the venue while the network is bad.
const HAPPENINGS: u32 = 90;
/// How long the network is good before the comparison: longer than it takes to notice a half-open socket, to connect
/// again after the longest pause, and to take two snapshots.
const QUIET: Duration = Duration::from_secs(150);

/// How one seed ended.
struct Run {
    faults: Faults,
    trace: u64,
    disagreements: u32,
    repaired: usize,
}

fn venue_of(seed: u64) -> Venue {
    Venue::ALL[usize::try_from(seed % 7).unwrap()]
}

fn generation_of(seed: u64) -> Generation {
    // The simulator of Bitget is a classic account; HTX's speaks both.
    if venue_of(seed) == Venue::Htx && (seed / 7) % 2 == 1 {
        Generation::Legacy
    } else {
        Generation::Current
    }
}

/// One member of a list by chance; none of an empty one.
fn any<'a, T>(list: &'a [T], random: &mut Random) -> Option<&'a T> {
    let last = u64::try_from(list.len().checked_sub(1)?).unwrap();
    list.get(usize::try_from(random.up_to(last)).unwrap())
}

fn open_orders(engine: &Engine, key: &str) -> Vec<Order> {
    engine
        .account(key)
        .unwrap()
        .orders()
        .filter(|order| !order.status.is_final())
        .cloned()
        .collect()
}

/// The account's owner or the venue does something. What the exchange refuses has not happened.
fn happen(engine: &mut Engine, key: &str, random: &mut Random) {
    // A position in an inverse contract changes in base units with the price, and no message tells of that: what is known of
    // it is not what is true a moment later.
    let quotes: Vec<Quote> = engine
        .quotes()
        .filter(|quote| quote.instrument.kind == ContractKind::Linear)
        .cloned()
        .collect();
    let quote = any(&quotes, random).unwrap();
    let instrument = quote.instrument.instrument.clone();
    let hedge = engine.account(key).unwrap().position_mode == PositionMode::Hedge;
    match random.up_to(15) {
        0..=3 => {
            let ticks = Decimal::from(random.up_to(60)) - Decimal::from(30);
            engine.set_price(&instrument, quote.price + (quote.ask() - quote.price) * ticks);
        }
        number @ 4..=10 => {
            let side = if random.up_to(1) == 0 {
                Side::Buy
            } else {
                Side::Sell
            };
            let limit = number < 8;
            let tick = quote.ask() - quote.price;
            let away = tick * Decimal::from(random.up_to(40));
            let price = match side {
                Side::Buy => quote.price + tick * Decimal::TWO - away,
                Side::Sell => quote.price - tick * Decimal::TWO + away,
            };
            let position_side = match (hedge, random.up_to(1)) {
                (false, _) => PositionSide::Net,
                (true, 0) => PositionSide::Long,
                (true, _) => PositionSide::Short,
            };
            let in_force = match random.up_to(9) {
                0 => TimeInForce::ImmediateOrCancel,
                1 => TimeInForce::FillOrKill,
                2 => TimeInForce::PostOnly,
                _ => TimeInForce::GoodTilCancelled,
            };
            // The largest take several prices of the book: an order with several fills.
            let worth = any(&[500, 3_000, 20_000, 250_000], random).unwrap();
            let order = NewOrder {
                instrument,
                side,
                size: size_worth(&quote.instrument, quote.price, *worth),
                order_kind: if limit {
                    OrderKind::Limit
                } else {
                    OrderKind::Market
                },
                price: limit.then_some(price),
                time_in_force: limit.then_some(in_force),
                reduce_only: false,
                position_side,
                margin_mode: MarginMode::Cross,
                leverage: None,
                client_order_id: None,
            };
            let _ = engine.place_or_end(key, &order);
        }
        11 | 12 => {
            if let Some(order) = any(&open_orders(engine, key), random) {
                let wanted = OrderRef {
                    instrument: order.instrument.clone(),
                    order_id: Some(order.order_id.clone()),
                    client_order_id: None,
                };
                let _ = engine.cancel(key, &wanted);
            }
        }
        13 => {
            if let Some(order) = any(&open_orders(engine, key), random) {
                let change = AmendOrder {
                    instrument: order.instrument.clone(),
                    order_id: Some(order.order_id.clone()),
                    client_order_id: None,
                    side: Some(order.side),
                    size: order.size.map(|size| size * Decimal::TWO),
                    price: order.price,
                    reduce_only: false,
                };
                let _ = engine.amend(key, &change);
            }
        }
        14 => {
            if let Some(position) = any(&engine.positions(key), random) {
                let _ = engine.close_position(key, &position.instrument, position.position_side);
            }
        }
        _ => {
            let causes = [Cause::Liquidation, Cause::AutoDeleveraging];
            let cause = *any(&causes, random).unwrap();
            if let Some(position) = any(&engine.positions(key), random) {
                engine.force_close(key, &position.instrument, position.position_side, cause);
            } else {
                engine.cancel_all(key, None, false);
            }
        }
    }
}

/// What goes wrong beside single pushes and requests.
fn harm(memory: &Memory, random: &mut Random) {
    let scope = if random.up_to(4) == 0 {
        Scope::Public
    } else {
        Scope::Private
    };
    match random.up_to(119) {
        0..=4 => memory.disconnect(scope),
        5..=8 => memory.half_open(scope),
        9..=11 => memory.silence(scope, Duration::from_millis(random.up_to(8_000))),
        12 => memory.expire_sessions(),
        13 => memory.announce_maintenance(),
        14 => memory.step_clock(1_200),
        15 => memory.step_clock(8_000),
        _ => {}
    }
}

/// An account that is followed as in production, but for the network and the clock.
struct Following {
    heard: Arc<Mutex<Heard>>,
    stop: CancellationToken,
    following: JoinHandle<Result<(), FollowError>>,
    listening: JoinHandle<()>,
}

impl Following {
    fn start(seed: u64, memory: &Memory, clock: LocalClock, random: &mut Random) -> Self {
        let venue = venue_of(seed);
        let Account {
            key,
            secret,
            passphrase,
            ..
        } = account(venue);
        let protocol: Arc<dyn Protocol> = Arc::from(protocol_of(venue, generation_of(seed)));
        let passphrase = (!passphrase.is_empty()).then_some(passphrase);
        let options = Options {
            endpoints: endpoints(protocol.as_ref(), "memory"),
            health: Health::new(protocol.venue(), Limits::default()),
            protocol,
            credentials: Credentials::new(key, secret, passphrase),
            marks: wire(venue)
                .1
                .into_iter()
                .map(|(instrument, _)| instrument.instrument)
                .collect(),
            snapshot_every: Duration::from_secs(20),
            settings: Settings {
                maximum_connection_age: Duration::from_secs(60 + random.up_to(120)),
                ..Settings::default()
            },
        };
        let surroundings = Surroundings {
            http: Arc::new(memory.clone()),
            connect: Arc::new(memory.clone()),
            clock,
            connects: ConnectLimiter::new(3, Duration::from_secs(1)),
            limiter: Limiter::new(venue),
            random: Random::seeded(random.bits()),
        };
        let (sender, mut told) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let following = tokio::spawn(follow_in(options, surroundings, sender, stop.clone()));
        let heard = Arc::new(Mutex::new(Heard::default()));
        let listening = {
            let heard = heard.clone();
            tokio::spawn(async move {
                while let Some(one) = told.recv().await {
                    heard.lock().unwrap().note(one);
                }
            })
        };
        Self {
            heard,
            stop,
            following,
            listening,
        }
    }

    async fn stop(self) -> Arc<Mutex<Heard>> {
        self.stop.cancel();
        self.following.await.unwrap().unwrap();
        self.listening.await.unwrap();
        self.heard
    }
}

async fn run(seed: u64) -> Run {
    let venue = venue_of(seed);
    let mut random = Random::seeded(seed);
    let clock = LocalClock::at(NOW);
    let (words, listed) = wire(venue);
    let key = account(venue).key;
    let mut engine = Engine::new(venue, listed, seed);
    engine.add_account(account(venue));
    let hedges = !matches!(venue, Venue::Deribit | Venue::Hyperliquid);
    if hedges && random.up_to(2) == 0 {
        engine.set_position_mode(&key, PositionMode::Hedge).unwrap();
    }
    let skew_ms = i64::try_from(random.up_to(40_000)).unwrap() - 20_000;
    // What the account did before anybody followed it.
    engine.set_clock(NOW.saturating_add_signed(skew_ms) - 5_000);
    for _ in 0..random.up_to(30) {
        happen(&mut engine, &key, &mut random);
    }
    engine.take_updates();
    let before = engine.account(&key).unwrap().fills().len();

    let memory = Memory::new(words, engine, clock, skew_ms, random.bits());
    let following = Following::start(seed, &memory, clock, &mut random);
    // Instruments and clock are read first: what a master did before is nobody's business.
    sleep(Duration::from_secs(2)).await;
    memory.begin_faults();
    for _ in 0..HAPPENINGS {
        sleep(Duration::from_millis(random.up_to(700))).await;
        memory.act(|engine| happen(engine, &key, &mut random));
        // Several things within a millisecond.
        for _ in 0..random.up_to(3).saturating_sub(1) {
            memory.act(|engine| happen(engine, &key, &mut random));
        }
        harm(&memory, &mut random);
    }
    memory.end_faults();
    let deadline = Instant::now() + QUIET;
    sleep_until(deadline).await;
    // A planned reconnect may fall on this moment: the state is looked at when it is whole again.
    while !following.heard.lock().unwrap().view.certain && Instant::now() < deadline + QUIET {
        sleep(Duration::from_millis(100)).await;
    }
    let heard = following.stop().await;
    let heard = heard.lock().unwrap();
    let truth = memory.act(|engine| Truth {
        balance: engine.balance(&key),
        positions: engine.positions(&key),
        orders: engine.account(&key).unwrap().orders().cloned().collect(),
        fills: engine.account(&key).unwrap().fills().to_vec(),
    });
    let differences = differences(venue, generation_of(seed), &truth, before, &heard);
    assert!(
        differences.is_empty(),
        "seed {seed} ({venue}): what we know is not what the venue knows; LOCKSTEP_SEED={seed} repeats it\n{differences}"
    );
    Run {
        faults: memory.faults(),
        trace: memory.trace(),
        disagreements: heard.disagreements,
        repaired: heard.fills.len(),
    }
}

/// The seeds of one venue.
fn seeds(venue: u64) {
    if let Some(seed) = std::env::var("LOCKSTEP_SEED")
        .ok()
        .and_then(|seed| seed.parse::<u64>().ok())
    {
        if seed % 7 == venue {
            // One seed is run to see what goes on in it.
            let _ = tracing_subscriber::fmt()
                .with_max_level(tracing::Level::DEBUG)
                .with_test_writer()
                .try_init();
            virtual_time(run(seed));
        }
        return;
    }
    let long = std::env::var_os("LOCKSTEP_LONG").is_some_and(|value| value == "1");
    let count = if long { 10_000 } else { 140 };
    let mut faults = Faults::default();
    let (mut disagreements, mut fills, mut failures) = (0, 0, Vec::new());
    for seed in (venue..count).step_by(7) {
        let ended = std::panic::catch_unwind(|| virtual_time(run(seed)));
        match ended {
            Ok(run) => {
                faults += run.faults;
                disagreements += run.disagreements;
                fills += run.repaired;
            }
            Err(_) => failures.push(seed),
        }
    }
    println!(
        "{}: {} seeds, {fills} fills, {disagreements} disagreements, {faults:?}",
        venue_of(venue),
        (venue..count).step_by(7).count()
    );
    assert!(
        failures.is_empty(),
        "{} seeds failed: {failures:?}",
        failures.len()
    );
    // Each kind of fault did occur.
    let Faults {
        connects,
        refused_connects,
        disconnects,
        half_open,
        lost,
        late,
        doubled,
        requests,
        failed_requests,
    } = faults;
    let all = [
        connects,
        refused_connects,
        disconnects,
        half_open,
        lost,
        late,
        doubled,
        requests,
        failed_requests,
    ];
    assert!(all.iter().all(|count| *count > 0), "{faults:?}");
}

macro_rules! seeds {
    ($($name:ident: $venue:literal;)*) => {
        $(#[test]
        fn $name() {
            seeds($venue);
        })*
    };
}

seeds! {
    after_any_faults_our_state_is_that_of_binance: 0;
    after_any_faults_our_state_is_that_of_okx: 1;
    after_any_faults_our_state_is_that_of_bybit: 2;
    after_any_faults_our_state_is_that_of_bitget: 3;
    after_any_faults_our_state_is_that_of_deribit: 4;
    after_any_faults_our_state_is_that_of_htx: 5;
    after_any_faults_our_state_is_that_of_hyperliquid: 6;
}

#[test]
fn a_seed_repeats_itself() {
    for seed in 0..7 {
        let (one, two) = (virtual_time(run(seed)), virtual_time(run(seed)));
        assert_eq!(
            (one.trace, one.faults),
            (two.trace, two.faults),
            "{}",
            venue_of(seed)
        );
        assert_ne!(one.trace, virtual_time(run(seed + 7)).trace, "{}", venue_of(seed));
    }
}

#[tokio::test(start_paused = true)]
async fn without_its_stream_an_account_is_not_certain_though_snapshots_can_be_taken() {
    for seed in 0..7 {
        let venue = venue_of(seed);
        let clock = LocalClock::at(NOW);
        let (words, listed) = wire(venue);
        let mut engine = Engine::new(venue, listed, seed);
        engine.add_account(account(venue));
        let memory = Memory::new(words, engine, clock, 0, seed);
        let following = Following::start(seed, &memory, clock, &mut Random::seeded(seed));
        let certain = || following.heard.lock().unwrap().view.certain;
        sleep(Duration::from_secs(5)).await;
        assert!(certain(), "{venue}");
        memory.let_in(false);
        memory.disconnect(Scope::Private);
        // Longer than snapshots are apart.
        for _ in 0..30 {
            sleep(Duration::from_secs(1)).await;
            assert!(!certain(), "{venue}");
        }
        memory.let_in(true);
        // Longer than the longest pause before a connect.
        sleep(Duration::from_secs(70)).await;
        assert!(certain(), "{venue}");
        following.stop().await;
    }
}
