//! Against a real local node: reorgs, endpoints that lag, fork, lie and die, and being killed anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use alloy::hex;
use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall as _;
use common::{Scratch, postgres, proxy, reader, sqlite};
use lockstep_contracts::bindings::IStrategyVault;
use lockstep_contracts::deployment::Deployment;
use lockstep_indexer::bench::chain::LocalChain;
use lockstep_indexer::derive::DeriveError;
use lockstep_indexer::follow::{FollowError, Follower, Options};
use lockstep_indexer::model::{ChangeKind, Series};
use lockstep_indexer::store::{Reader, StoreError};
use lockstep_indexer::synthetic::{self, Dice, Emitted, World};
use lockstep_indexer::verify::verify;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use url::Url;

struct Rig {
    chain: LocalChain,
    world: World,
    /// The world after each block.
    past: Vec<(u64, World)>,
    time: u64,
}

impl Rig {
    async fn new(seed: u64) -> Self {
        let chain = LocalChain::start(&common::anvil()).await.unwrap();
        let world = World::new(synthetic::deployment(chain.chain_id().await.unwrap(), 1), seed);
        let time = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs()
            + 100;
        let mut rig = Self {
            past: vec![(0, world.clone())],
            chain,
            world,
            time,
        };
        let mut start = rig.world.listings();
        start.extend(rig.world.register());
        start.extend(rig.world.follow(0));
        rig.mine(start).await;
        rig
    }

    async fn mine(&mut self, mut logs: Vec<Emitted>) {
        self.time += 700;
        synthetic::stamp(&mut logs, self.time);
        self.chain.emit(&logs, self.time).await.unwrap();
        self.past
            .push((self.chain.head().await.unwrap().0, self.world.clone()));
    }

    async fn anything(&mut self, blocks: usize) {
        for block in 0..blocks {
            let logs = if block % 3 == 2 {
                Vec::new()
            } else {
                let time = self.time + 700;
                (0..3).flat_map(|_| self.world.anything(time)).collect()
            };
            self.mine(logs).await;
        }
    }

    /// The last blocks become empty ones of another chain; the world is what it was before them.
    async fn reorg(&mut self, depth: u64, seed: u64) {
        let head = self.chain.head().await.unwrap().0;
        self.chain.call("anvil_reorg", json!([depth, []])).await.unwrap();
        self.past.retain(|(number, _)| *number <= head - depth);
        self.world = self.past.last().unwrap().1.clone();
        self.world.reseed(seed);
        let number = self.chain.head().await.unwrap().0;
        assert_eq!(number, head);
        self.past.push((number, self.world.clone()));
    }

    fn url(&self) -> &Url {
        self.chain.url()
    }

    fn deployment(&self) -> Deployment {
        synthetic::deployment(31_337, 1)
    }

    async fn follower(&self, scratch: &Scratch, urls: &[&Url]) -> Follower {
        Follower::new(self.deployment(), scratch.store.clone(), options(urls))
            .await
            .unwrap()
    }

    /// What a store says that never knew another chain, reading in other ranges.
    async fn reference(&self) -> Vec<String> {
        let scratch = sqlite().await;
        let options = Options {
            range: 7,
            max_range: 7,
            ..options(&[self.url()])
        };
        let mut follower = Follower::new(self.deployment(), scratch.store.clone(), options)
            .await
            .unwrap();
        follower.catch_up().await.unwrap();
        scratch.store.dump().await.unwrap()
    }
}

fn options(urls: &[&Url]) -> Options {
    Options {
        urls: urls.iter().map(|url| (*url).clone()).collect(),
        poll_interval: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        lag_patience: Duration::from_secs(3_600),
        ..Options::default()
    }
}

async fn rollbacks(reader: &Arc<dyn Reader>) -> usize {
    let changes = reader.changes_since(0, 10_000).await.unwrap();
    changes
        .iter()
        .filter(|change| change.kind == ChangeKind::RolledBack)
        .count()
}

/// Runs a follower for a while.
async fn run_for(follower: &mut Follower, time: Duration) -> Result<(), FollowError> {
    let stop = CancellationToken::new();
    let timer = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        timer.cancel();
    });
    follower.run(stop).await
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_and_live_meet_without_seam() {
    let mut rig = Rig::new(1).await;
    rig.anything(80).await;
    let scratch = sqlite().await;
    let mut follower = rig.follower(&scratch, &[rig.url()]).await;
    follower.catch_up().await.unwrap();
    for _ in 0..5 {
        rig.anything(3).await;
        follower.catch_up().await.unwrap();
    }
    assert_eq!(scratch.store.dump().await.unwrap(), rig.reference().await);
    let reader = reader(&scratch).await;
    assert_eq!(rollbacks(&reader).await, 0);
    let report = follower.health().report();
    assert_eq!((report.lag_blocks, report.problem), (Some(0), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn reorgs_leave_the_canonical_chain_only_in_sqlite() {
    reorgs_leave_the_canonical_chain_only(sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reorgs_leave_the_canonical_chain_only_in_postgres() {
    reorgs_leave_the_canonical_chain_only(postgres().await).await;
}

async fn reorgs_leave_the_canonical_chain_only(scratch: Scratch) {
    let mut rig = Rig::new(2).await;
    rig.anything(10).await;
    let mut follower = rig.follower(&scratch, &[rig.url()]).await;
    follower.catch_up().await.unwrap();
    let mut dice = Dice::new(5);
    for round in 0..6 {
        rig.anything(4).await;
        if round % 2 == 0 {
            follower.catch_up().await.unwrap();
        }
        rig.reorg(1 + dice.below(4), 100 + round).await;
        if round % 3 == 0 {
            follower.catch_up().await.unwrap();
        }
        rig.anything(2).await;
        follower.catch_up().await.unwrap();
        assert_eq!(
            scratch.store.dump().await.unwrap(),
            rig.reference().await,
            "round {round}"
        );
    }
    assert!(rollbacks(&reader(&scratch).await).await >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_beyond_finality_stops_and_takes_nothing_back() {
    let mut rig = Rig::new(3).await;
    rig.anything(90).await;
    let scratch = sqlite().await;
    let mut follower = rig.follower(&scratch, &[rig.url()]).await;
    follower.catch_up().await.unwrap();
    let before = scratch.store.dump().await.unwrap();
    rig.reorg(80, 9).await;
    rig.anything(1).await;
    let error = run_for(&mut follower, Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(error, FollowError::BeyondFinalized { .. }), "{error}");
    assert_eq!(before, scratch.store.dump().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_lags_is_no_reorg() {
    let mut rig = Rig::new(4).await;
    rig.anything(12).await;
    let lagging = proxy::start(rig.url()).await;
    let scratch = sqlite().await;
    let mut follower = rig.follower(&scratch, &[&lagging.url]).await;
    let cursor = follower.catch_up().await.unwrap();
    lagging.set(|faults| faults.height = Some(cursor.number - 5));
    run_for(&mut follower, Duration::from_millis(300)).await.unwrap();
    assert_eq!(follower.cursor(), Some(cursor));
    assert!(
        follower
            .health()
            .report()
            .problem
            .unwrap()
            .contains("below the cursor")
    );

    // With another endpoint it goes on there.
    let mut follower = rig.follower(&scratch, &[&lagging.url, rig.url()]).await;
    rig.anything(3).await;
    follower.catch_up().await.unwrap();
    assert_eq!(follower.cursor().unwrap().number, cursor.number + 3);
    assert_eq!(rollbacks(&reader(&scratch).await).await, 0);
    assert_eq!(scratch.store.dump().await.unwrap(), rig.reference().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_on_a_fork_is_avoided() {
    let mut rig = Rig::new(5).await;
    rig.anything(6).await;
    let mut fork = Rig::new(6).await;
    fork.anything(20).await;
    let forked = proxy::start(rig.url()).await;
    let scratch = sqlite().await;
    let mut follower = rig.follower(&scratch, &[&forked.url, rig.url()]).await;
    follower.catch_up().await.unwrap();
    // As high as the good one, with other blocks.
    let height = rig.chain.head().await.unwrap().0;
    forked.set(|faults| {
        faults.other = Some(fork.url().clone());
        faults.height = Some(height);
    });
    rig.anything(2).await;
    run_for(&mut follower, Duration::from_millis(500)).await.unwrap();
    assert_eq!(rollbacks(&reader(&scratch).await).await, 0);
    assert_eq!(scratch.store.dump().await.unwrap(), rig.reference().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_lies_writes_nothing() {
    let mut rig = Rig::new(7).await;
    rig.anything(6).await;
    let liar = proxy::start(rig.url()).await;
    let scratch = sqlite().await;
    let mut follower = rig.follower(&scratch, &[&liar.url]).await;
    let cursor = follower.catch_up().await.unwrap();
    rig.anything(4).await;
    let before = scratch.store.dump().await.unwrap();
    for lie in 0..3 {
        liar.set(|faults| {
            *faults = proxy::Faults::default();
            match lie {
                0 => faults.false_log_hash = true,
                1 => faults.false_height = true,
                _ => faults.dead = true,
            }
        });
        run_for(&mut follower, Duration::from_millis(150)).await.unwrap();
        assert_eq!(follower.cursor(), Some(cursor), "lie {lie}");
        assert!(follower.health().report().problem.is_some());
    }
    assert_eq!(before, scratch.store.dump().await.unwrap());
    liar.set(|faults| *faults = proxy::Faults::default());
    follower.catch_up().await.unwrap();
    assert_eq!(scratch.store.dump().await.unwrap(), rig.reference().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_left_out_are_missed_and_found() {
    let mut rig = Rig::new(8).await;
    rig.anything(4).await;
    let liar = proxy::start(rig.url()).await;
    let scratch = sqlite().await;
    let mut follower = rig.follower(&scratch, &[&liar.url]).await;
    follower.catch_up().await.unwrap();
    // Out of the range, but the block's bloom speaks of them.
    let next = rig.chain.head().await.unwrap().0 + 1;
    liar.set(|faults| faults.without_logs = vec![next]);
    let logs = rig.world.batch(0, 1, rig.time + 700);
    rig.mine(logs).await;
    follower.catch_up().await.unwrap();
    assert_eq!(scratch.store.dump().await.unwrap(), rig.reference().await);

    // Out of every answer: found by the gap that the next batch leaves, and repaired once the node has them.
    let next = rig.chain.head().await.unwrap().0 + 1;
    liar.set(|faults| {
        faults.without_logs = vec![next];
        faults.without_logs_by_hash = true;
    });
    let logs = rig.world.batch(0, 1, rig.time + 700);
    rig.mine(logs).await;
    follower.catch_up().await.unwrap();
    let logs = rig.world.batch(0, 1, rig.time + 700);
    rig.mine(logs).await;
    liar.set(|faults| *faults = proxy::Faults::default());
    follower.catch_up().await.unwrap();
    assert_eq!(scratch.store.dump().await.unwrap(), rig.reference().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_ranges_are_cut() {
    let mut rig = Rig::new(9).await;
    rig.anything(90).await;
    let strict = proxy::start(rig.url()).await;
    strict.set(|faults| faults.max_range = Some(6));
    let scratch = sqlite().await;
    let mut follower = rig.follower(&scratch, &[&strict.url]).await;
    follower.catch_up().await.unwrap();
    assert_eq!(scratch.store.dump().await.unwrap(), rig.reference().await);
}

/// A stranger fills blocks with logs that look like ours, up to what the endpoint gives out: in old blocks and in new ones,
/// with a vault's birth among them, and where nothing is ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_full_of_look_alikes_is_read_by_address() {
    const MOST: usize = 30;
    let mut rig = Rig::new(16).await;
    let scratch = sqlite().await;
    let strict = proxy::start(rig.url()).await;
    strict.set(|faults| faults.most_logs = Some(MOST));
    let mut follower = rig.follower(&scratch, &[&strict.url]).await;
    for round in 0..2 {
        for births in [false, true] {
            let like = rig.world.clone().batch(0, 1, rig.time + 700);
            let mut flood = like.last().unwrap().clone();
            flood.address = Address::repeat_byte(0x77);
            let mut logs = Vec::new();
            if births {
                logs.extend(rig.world.register());
                logs.extend(rig.world.follow(round + 1));
            }
            logs.extend(std::iter::repeat_n(flood, MOST + 1));
            rig.mine(logs).await;
        }
        rig.anything(80 * (1 - round)).await;
        follower.catch_up().await.unwrap();
        assert_eq!(follower.cursor().unwrap().hash, rig.chain.head().await.unwrap().1);
    }
    let (ours, all) = (scratch.store.dump().await.unwrap(), rig.reference().await);
    let without = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|row| !those.contains(row)).cloned().collect()
    };
    assert_eq!(without(&ours, &all), Vec::<String>::new());
    // A block in which nothing is ours has a row only for who was given the stranger's logs.
    let missing = without(&all, &ours);
    assert_eq!(missing.len(), 2, "{missing:#?}");
    assert!(
        missing.iter().all(|row| row.starts_with("block ")),
        "{missing:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_ignored_and_own_nonsense_stops() {
    let mut rig = Rig::new(10).await;
    let scratch = sqlite().await;
    let nonsense = |address: Address, logs: &[Emitted]| {
        let mut log = logs.last().unwrap().clone();
        log.address = address;
        log.log.data = Bytes::from_static(b"too short");
        log
    };
    let logs = rig.world.clone().batch(0, 1, rig.time);
    rig.mine(vec![nonsense(Address::repeat_byte(0x77), &logs)]).await;
    let mut follower = rig.follower(&scratch, &[rig.url()]).await;
    let cursor = follower.catch_up().await.unwrap();
    rig.mine(vec![nonsense(World::vault_address(0), &logs)]).await;
    let error = run_for(&mut follower, Duration::from_secs(10)).await.unwrap_err();
    assert!(
        matches!(error, FollowError::Derive(DeriveError::Decode(_))),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains(&format!("block {}", cursor.number + 1)),
        "{error}"
    );
    assert_eq!(scratch.store.cursor().await.unwrap(), Some(cursor));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_chain_is_refused() {
    let rig = Rig::new(11).await;
    let scratch = sqlite().await;
    let mut deployment = rig.deployment();
    deployment.chain_id = 10;
    let mut follower = Follower::new(deployment, scratch.store.clone(), options(&[rig.url()]))
        .await
        .unwrap();
    let error = run_for(&mut follower, Duration::from_secs(10)).await.unwrap_err();
    assert!(
        matches!(
            error,
            FollowError::WrongChain {
                found: 31_337,
                expected: 10,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_chain_that_stays_is_a_reorg() {
    let mut rig = Rig::new(14).await;
    rig.anything(12).await;
    let scratch = sqlite().await;
    let options = Options {
        lag_patience: Duration::from_millis(200),
        ..options(&[rig.url()])
    };
    let mut follower = Follower::new(rig.deployment(), scratch.store.clone(), options)
        .await
        .unwrap();
    let before = follower.catch_up().await.unwrap();
    // Another block where one was, and nothing on it.
    rig.chain.call("anvil_rollback", json!([5])).await.unwrap();
    rig.chain.mine(rig.time + 3).await.unwrap();
    assert!(rig.chain.head().await.unwrap().0 < before.number);
    run_for(&mut follower, Duration::from_millis(1_500))
        .await
        .unwrap();
    assert_eq!(follower.cursor().unwrap().hash, rig.chain.head().await.unwrap().1);
    assert_eq!(scratch.store.dump().await.unwrap(), rig.reference().await);
}

/// Connections are cut wherever they are, also between a commit and its answer.
#[tokio::test(flavor = "multi_thread")]
async fn cut_off_from_the_database_it_goes_on() {
    let mut rig = Rig::new(15).await;
    rig.anything(80).await;
    let scratch = postgres().await;
    let options = Options {
        range: 2,
        max_range: 2,
        ..options(&[rig.url()])
    };
    let mut follower = Follower::new(rig.deployment(), scratch.store.clone(), options)
        .await
        .unwrap();
    let pool = sqlx::PgPool::connect(&scratch.url).await.unwrap();
    let cutting = tokio::spawn(async move {
        let mut dice = Dice::new(4);
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_millis(30 + dice.below(120))).await;
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
            sqlx::query(cut).execute(&pool).await.unwrap();
        }
    });
    run_for(&mut follower, Duration::from_secs(8)).await.unwrap();
    cutting.await.unwrap();
    run_for(&mut follower, Duration::from_secs(3)).await.unwrap();
    assert_eq!(scratch.store.dump().await.unwrap(), rig.reference().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_indexers_on_one_store_spoil_nothing() {
    let mut rig = Rig::new(17).await;
    rig.anything(50).await;
    let scratch = sqlite().await;
    let other = lockstep_indexer::store::open_writer(&scratch.url).await.unwrap();
    let options = Options {
        range: 2,
        max_range: 2,
        ..options(&[rig.url()])
    };
    let mut one = Follower::new(rig.deployment(), scratch.store.clone(), options.clone())
        .await
        .unwrap();
    let mut two = Follower::new(rig.deployment(), other, options).await.unwrap();
    let time = Duration::from_secs(3);
    let (one, two) = tokio::join!(run_for(&mut one, time), run_for(&mut two, time));
    for ended in [one, two] {
        assert!(
            matches!(
                ended,
                Ok(()) | Err(FollowError::Store(StoreError::CursorMoved { .. }))
            ),
            "{ended:?}"
        );
    }
    rig.follower(&scratch, &[rig.url()])
        .await
        .catch_up()
        .await
        .unwrap();
    assert_eq!(scratch.store.dump().await.unwrap(), rig.reference().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_the_first_difference() {
    let mut rig = Rig::new(16).await;
    let logs = (0..4)
        .flat_map(|_| rig.world.batch(0, 1, rig.time + 700))
        .collect();
    rig.mine(logs).await;
    let scratch = sqlite().await;
    rig.follower(&scratch, &[rig.url()])
        .await
        .catch_up()
        .await
        .unwrap();
    let reader = reader(&scratch).await;
    let vault = World::vault_address(0);
    let points = reader.nav_points(Series::Vault(vault), 0, 100).await.unwrap();

    let speaker = proxy::start(rig.url()).await;
    let say = |data: Vec<u8>, words: &[U256]| {
        let answer: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect();
        speaker.set(|faults| {
            faults
                .calls
                .insert(hex::encode_prefixed(data), hex::encode_prefixed(answer));
        });
    };
    let count = IStrategyVault::navCountCall {}.abi_encode();
    let nav_at = |i: u64| IStrategyVault::navAtCall { i: U256::from(i) }.abi_encode();
    let word = |value: i128| U256::from(value.unsigned_abs());
    let truth = |point: &lockstep_indexer::model::NavPoint| {
        [
            U256::from(point.time),
            word(point.nav_index.0),
            word(point.total_equity.0),
        ]
    };
    say(count.clone(), &[U256::from(points.len())]);
    for point in &points {
        say(nav_at(point.index), &truth(point));
    }
    let done = verify(reader.as_ref(), &speaker.url, false).await.unwrap();
    assert_eq!(
        (done.difference, done.points, done.vaults),
        (None, points.len() as u64, 1)
    );

    // One unit in the last place of one point.
    let mut other = truth(&points[3]);
    other[1] += U256::from(1);
    say(nav_at(3), &other);
    let difference = verify(reader.as_ref(), &speaker.url, false)
        .await
        .unwrap()
        .difference
        .unwrap();
    assert!(
        difference.starts_with(&format!("NAV point 3 of {vault}")),
        "{difference}"
    );
    say(nav_at(3), &truth(&points[3]));
    say(count, &[U256::from(points.len() + 1)]);
    let difference = verify(reader.as_ref(), &speaker.url, false)
        .await
        .unwrap()
        .difference
        .unwrap();
    assert!(
        difference.starts_with(&format!("NAV points of {vault}")),
        "{difference}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_anywhere_it_ends_where_it_would_have_in_sqlite() {
    stopped_anywhere_it_ends_where_it_would_have(sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_anywhere_it_ends_where_it_would_have_in_postgres() {
    stopped_anywhere_it_ends_where_it_would_have(postgres().await).await;
}

async fn stopped_anywhere_it_ends_where_it_would_have(scratch: Scratch) {
    let mut rig = Rig::new(12).await;
    rig.anything(60).await;
    let mut dice = Dice::new(3);
    for round in 0..25u64 {
        let options = Options {
            range: 3,
            max_range: 3,
            ..options(&[rig.url()])
        };
        let mut follower = Follower::new(rig.deployment(), scratch.store.clone(), options)
            .await
            .unwrap();
        // The future is dropped wherever it is.
        let _ = tokio::time::timeout(Duration::from_millis(dice.below(25)), follower.catch_up()).await;
        if round % 8 == 5 {
            rig.reorg(2, round).await;
        }
    }
    rig.anything(2).await;
    rig.follower(&scratch, &[rig.url()])
        .await
        .catch_up()
        .await
        .unwrap();
    assert_eq!(scratch.store.dump().await.unwrap(), rig.reference().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_it_ends_where_it_would_have() {
    let mut rig = Rig::new(13).await;
    rig.anything(60).await;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    std::fs::write(
        file("deployment.json"),
        serde_json::to_string(&rig.deployment()).unwrap(),
    )
    .unwrap();
    let port = lockstep_devnet::process::free_port().unwrap();
    let config = format!(
        "deployment = {:?}\nstore = \"sqlite://{}\"\nlisten = \"127.0.0.1:{port}\"\n[rpc]\nurls = [\"{}\"]\n\
         ws_url = \"{}\"\nrange = 3\nmax_range = 3\npoll_ms = 50\n",
        file("deployment.json"),
        file("index.db").display(),
        rig.url(),
        rig.url().as_str().replace("http", "ws"),
    );
    std::fs::write(file("indexer.toml"), config).unwrap();
    let start = || {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_lockstep-indexer"))
            .arg("--config")
            .arg(file("indexer.toml"))
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    };
    let mut dice = Dice::new(8);
    for round in 0..12u64 {
        let mut process = start();
        tokio::time::sleep(Duration::from_millis(30 + dice.below(120))).await;
        process.kill().await.unwrap();
        if round % 4 == 3 {
            rig.reorg(1 + round % 3, round).await;
            rig.anything(1).await;
        }
    }
    let mut process = start();
    let url = format!("http://127.0.0.1:{port}");
    let mut ready = false;
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Ok(answer) = reqwest::get(format!("{url}/readyz")).await
            && answer.status().is_success()
            && answer.json::<serde_json::Value>().await.unwrap()["lagBlocks"] == 0
        {
            ready = true;
            break;
        }
    }
    assert!(ready, "it never became ready");
    assert_eq!(
        reqwest::get(format!("{url}/healthz"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "ok\n"
    );
    let metrics = reqwest::get(format!("{url}/metrics"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for name in [
        "lockstep_indexer_head",
        "lockstep_indexer_cursor",
        "lockstep_indexer_commit_seconds",
    ] {
        assert!(metrics.contains(name), "{name} is not in {metrics}");
    }
    // A polite end.
    let id = process.id().unwrap().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    assert!(process.wait().await.unwrap().success());

    let store = lockstep_indexer::store::open_writer(&format!("sqlite://{}", file("index.db").display()))
        .await
        .unwrap();
    assert_eq!(store.dump().await.unwrap(), rig.reference().await);
    let points = store.nav_points(Series::Strategy(1), 0, 10_000).await.unwrap();
    assert!(
        points
            .iter()
            .zip(0..)
            .all(|(point, index)| point.index == index && point.time > 0)
    );
}
