//! One suite for both engines: what a store owes, whichever it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::float_arithmetic
)]

mod common;

use std::collections::HashSet;

use alloy::primitives::{Address, B256};
use common::chain::{Applier, CHAIN_ID, FakeChain, START, identity};
use common::{Scratch, postgres, reader, sqlite};
use lockstep_contracts::units::Usdc;
use lockstep_indexer::derive::nav::DAY;
use lockstep_indexer::model::{
    AccountStatus, BatchQuery, ChangeKind, FillCause, FillQuery, Finality, FollowerQuery, NavQuery,
    PageRequest, Series, StrategyOrder, StrategyQuery, Window,
};
use lockstep_indexer::store::{self, Heights, Identity, StoreError};
use lockstep_indexer::synthetic::World;

macro_rules! conformance {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::sqlite().await, super::sqlite().await).await; })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::postgres().await, super::postgres().await).await; })*
        }
    };
}

conformance!(
    rollback_is_as_if_never_applied,
    repeated_keys_in_one_range,
    final_blocks_are_never_taken_back,
    a_log_is_stored_once,
    a_second_indexer_is_refused,
    a_failed_commit_changes_nothing,
    another_deployment_is_refused,
    changes_are_told_once_and_in_order,
    what_is_read_is_what_was_written,
    pages_meet_without_overlap,
    curves_keep_their_extremes,
    finality_follows_the_heights,
    announced_terms_are_shown_until_they_lapse,
    a_reader_of_nothing_is_told_so,
    odd_texts_come_back,
);

fn page(after: Option<String>, limit: u32) -> PageRequest {
    PageRequest {
        after,
        limit: Some(limit),
    }
}

async fn rollback_is_as_if_never_applied(scratch: Scratch, reference: Scratch) {
    let mut chain = FakeChain::new(7);
    for _ in 0..30 {
        chain.push_anything(4);
    }
    let mut applier = Applier::new(scratch.store.clone()).await;
    applier.apply(&chain.blocks[..10], 0).await;
    applier.apply(&chain.blocks[10..], 0).await;
    let whole = scratch.store.dump().await.unwrap();

    let mut plain = Applier::new(reference.store.clone()).await;
    for block in &chain.blocks {
        plain.apply(std::slice::from_ref(block), 0).await;
    }
    assert_eq!(
        whole,
        reference.store.dump().await.unwrap(),
        "the cut into ranges shows"
    );

    applier.rollback(Some(chain.blocks[14].block)).await;
    plain.rollback(Some(chain.blocks[14].block)).await;
    assert_eq!(
        scratch.store.dump().await.unwrap(),
        reference.store.dump().await.unwrap()
    );
    applier.apply(&chain.blocks[15..], 0).await;
    assert_eq!(scratch.store.dump().await.unwrap(), whole);
    applier.rollback(None).await;
    assert_eq!(applier.store.cursor().await.unwrap(), None);
    assert_eq!(
        scratch.store.dump().await.unwrap(),
        vec!["cursor None".to_owned()]
    );
}

/// The same accounts, days and strategies many times in one transaction, against one block at a time.
async fn repeated_keys_in_one_range(scratch: Scratch, reference: Scratch) {
    let mut chain = FakeChain::new(3);
    chain.push(|world, _| world.register());
    chain.push(|world, _| (0..3).flat_map(|_| world.follow(0)).collect());
    for _ in 0..10 {
        chain.push(|world, time| (0..5).flat_map(|_| world.batch(0, 3, time)).collect());
    }
    let mut whole = Applier::new(scratch.store.clone()).await;
    whole.apply(&chain.blocks, 0).await;
    let mut single = Applier::new(reference.store.clone()).await;
    for block in &chain.blocks {
        single.apply(std::slice::from_ref(block), 0).await;
    }
    assert_eq!(
        scratch.store.dump().await.unwrap(),
        reference.store.dump().await.unwrap()
    );

    // Sums over rows are the sums in the documents.
    let reader = reader(&scratch).await;
    for account in reader
        .followers(1, &FollowerQuery::default(), &page(None, 10))
        .await
        .unwrap()
        .items
    {
        let query = FillQuery {
            follower: Some(account.follower),
            ..FillQuery::default()
        };
        let fills = reader.fills(&query, &page(None, 500)).await.unwrap().items;
        assert_eq!(fills.len() as u64, account.fills + account.skips);
        let fees: i128 = fills.iter().map(|fill| fill.fee.0).sum();
        assert_eq!(Usdc(fees), account.fees);
        for position in &account.positions {
            let of = fills.iter().filter(|fill| fill.market == position.market);
            let (size, quote) = of.fold((0, 0), |(size, quote), fill| {
                (size + fill.size_delta.0, quote + fill.quote_delta.0)
            });
            assert_eq!((size, quote), (position.size.0, position.quote.0));
        }
    }
}

async fn final_blocks_are_never_taken_back(scratch: Scratch, _: Scratch) {
    let mut chain = FakeChain::new(5);
    for _ in 0..20 {
        chain.push_anything(2);
    }
    let mut applier = Applier::new(scratch.store.clone()).await;
    let final_block = chain.blocks[9].block;
    for blocks in chain.blocks.chunks(4) {
        applier.apply(blocks, 0).await;
    }
    let heights = Heights {
        head: chain.head().number,
        finalized: final_block.number,
        seen_ms: 1,
    };
    scratch.store.observe(&heights).await.unwrap();
    let before = scratch.store.dump().await.unwrap();
    let error = scratch
        .store
        .rollback_to(Some(chain.blocks[8].block))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::BeyondFinalized { to, finalized, hash }
            if to == chain.blocks[8].block.number && finalized == final_block.number && hash == final_block.hash),
        "{error}"
    );
    assert!(matches!(
        scratch.store.rollback_to(None).await,
        Err(StoreError::BeyondFinalized { .. })
    ));
    assert_eq!(before, scratch.store.dump().await.unwrap());
    applier.rollback(Some(final_block)).await;
    // A node that is behind does not take finality back.
    scratch
        .store
        .observe(&Heights {
            finalized: 0,
            ..heights
        })
        .await
        .unwrap();
    assert!(matches!(
        scratch.store.rollback_to(None).await,
        Err(StoreError::BeyondFinalized { .. })
    ));
    // Nor does a block that the store never had become its end.
    let stranger = lockstep_indexer::model::BlockRef {
        hash: B256::ZERO,
        ..final_block
    };
    assert!(scratch.store.rollback_to(Some(stranger)).await.is_err());
}

async fn a_log_is_stored_once(scratch: Scratch, _: Scratch) {
    let mut chain = FakeChain::new(11);
    chain.push(|world, _| world.register());
    let mut applier = Applier::new(scratch.store.clone()).await;
    let mut commit = applier.commit(&chain.blocks, 0).await;
    let twice = commit.derived.facts.nav[0].clone();
    commit.derived.facts.nav.push(twice);
    assert!(matches!(
        scratch.store.apply(&commit).await,
        Err(StoreError::Duplicate { .. })
    ));
    assert_eq!(
        scratch.store.cursor().await.unwrap(),
        None,
        "half of it was written"
    );
    // Another point of the same log.
    let last = commit.derived.facts.nav.last_mut().unwrap();
    last.index += 1;
    last.strategy_index += 1;
    assert!(matches!(
        scratch.store.apply(&commit).await,
        Err(StoreError::Duplicate { .. })
    ));
}

async fn a_second_indexer_is_refused(scratch: Scratch, _: Scratch) {
    let mut chain = FakeChain::new(2);
    chain.push_anything(3);
    let mut first = Applier::new(scratch.store.clone()).await;
    let mut second = Applier::new(scratch.store.clone()).await;
    let commit = second.commit(&chain.blocks, 0).await;
    first.apply(&chain.blocks[..1], 0).await;
    assert!(matches!(
        scratch.store.apply(&commit).await,
        Err(StoreError::CursorMoved { .. })
    ));
}

async fn a_failed_commit_changes_nothing(scratch: Scratch, _: Scratch) {
    let mut chain = FakeChain::new(13);
    chain.push_anything(3);
    chain.push_anything(6);
    let mut applier = Applier::new(scratch.store.clone()).await;
    applier.apply(&chain.blocks[..2], 0).await;
    let before = (
        scratch.store.dump().await.unwrap(),
        scratch.store.status().await.unwrap(),
    );
    let mut commit = applier.commit(&chain.blocks[2..], 0).await;
    // A row that the schema refuses: time is never nothing.
    commit.known.push(lockstep_indexer::model::BlockRef {
        number: 9_999,
        hash: B256::repeat_byte(9),
        time: 0,
    });
    assert!(scratch.store.apply(&commit).await.is_err());
    assert_eq!(
        before,
        (
            scratch.store.dump().await.unwrap(),
            scratch.store.status().await.unwrap()
        )
    );
}

async fn another_deployment_is_refused(scratch: Scratch, _: Scratch) {
    Applier::new(scratch.store.clone()).await;
    scratch.store.attach(&identity()).await.unwrap();
    let other = Identity {
        chain_id: 1,
        ..identity()
    };
    let error = scratch.store.attach(&other).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::WrongDeployment {
                found_chain: CHAIN_ID,
                chain: 1,
                ..
            }
        ),
        "{error}"
    );
    let other = Identity {
        registry: Address::ZERO,
        ..identity()
    };
    assert!(matches!(
        scratch.store.attach(&other).await,
        Err(StoreError::WrongDeployment { .. })
    ));
}

async fn changes_are_told_once_and_in_order(scratch: Scratch, _: Scratch) {
    let mut chain = FakeChain::new(17);
    chain.push(|world, _| world.register());
    chain.push(|world, _| world.follow(0));
    chain.push(|_, _| Vec::new());
    let mut applier = Applier::new(scratch.store.clone()).await;
    for block in &chain.blocks {
        applier.apply(std::slice::from_ref(block), 0).await;
    }
    applier.rollback(Some(chain.blocks[1].block)).await;
    let reader = reader(&scratch).await;
    let changes = reader.changes_since(0, 100).await.unwrap();
    assert_eq!(
        changes.iter().map(|change| change.seq).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    assert!(changes.iter().all(|change| !change.everything));
    assert_eq!(changes[1].strategies, [1]);
    assert_eq!(changes[2].followers, [World::follower_address(0)]);
    assert!(changes[3].strategies.is_empty());
    let back = &changes[4];
    assert_eq!(back.kind, ChangeKind::RolledBack);
    assert_eq!((back.from_block, back.to_block), (START + 2, START + 3));
    assert_eq!(
        (back.strategies.as_slice(), back.followers.as_slice()),
        ([1].as_slice(), [World::follower_address(0)].as_slice())
    );
    assert_eq!(reader.changes_since(4, 100).await.unwrap().len(), 1);
    assert_eq!(reader.changes_since(5, 100).await.unwrap(), []);
    assert_eq!(
        reader
            .changes_since(1, 2)
            .await
            .unwrap()
            .iter()
            .map(|change| change.seq)
            .collect::<Vec<_>>(),
        [2, 3]
    );
    assert_eq!(reader.status().await.unwrap().seq, 5);
}

async fn what_is_read_is_what_was_written(scratch: Scratch, _: Scratch) {
    let mut chain = FakeChain::new(23);
    chain.push(|world, _| world.register());
    chain.push(|world, _| (0..4).flat_map(|_| world.follow(0)).collect());
    for _ in 0..6 {
        chain.push(|world, time| world.batch(0, 4, time));
    }
    let mut applier = Applier::new(scratch.store.clone()).await;
    let commit = applier.commit(&chain.blocks, 0).await;
    scratch.store.apply(&commit).await.unwrap();
    let heights = Heights {
        head: chain.head().number + 1,
        finalized: START + 4,
        seen_ms: 5,
    };
    scratch.store.observe(&heights).await.unwrap();
    let reader = reader(&scratch).await;
    let status = reader.status().await.unwrap();
    let facts = &commit.derived.facts;
    let finality = |mut origin: lockstep_indexer::model::Origin| {
        origin.finality = status.finality(origin.block);
        origin
    };

    let mut batches = reader
        .batches(&BatchQuery::default(), &page(None, 100))
        .await
        .unwrap()
        .items;
    batches.reverse();
    let mut written = facts.batches.clone();
    written
        .iter_mut()
        .for_each(|batch| batch.origin = finality(batch.origin));
    assert_eq!(batches, written);
    assert_eq!(
        reader.batch(written[2].vault, 3).await.unwrap().as_ref(),
        Some(&written[2])
    );
    assert_eq!(reader.batch(written[2].vault, 99).await.unwrap(), None);

    let mut fills = reader
        .fills(&FillQuery::default(), &page(None, 100))
        .await
        .unwrap()
        .items;
    fills.reverse();
    let written: Vec<_> = facts
        .fills
        .iter()
        .map(|(_, fill)| {
            let mut fill = fill.clone();
            fill.origin = finality(fill.origin);
            fill
        })
        .collect();
    assert_eq!(fills, written);
    let vault = World::vault_address(0);
    let query = FillQuery {
        vault: Some(vault),
        batch_id: Some(2),
        ..FillQuery::default()
    };
    let of_batch = reader.fills(&query, &page(None, 100)).await.unwrap().items;
    assert_eq!(of_batch.len(), 4);
    assert!(
        of_batch
            .iter()
            .all(|fill| matches!(fill.cause, FillCause::Batch { batch_id: 2, .. }))
    );
    let query = FillQuery {
        vault: Some(vault),
        account: Some(2),
        traded_only: true,
        ..FillQuery::default()
    };
    let of_account = reader.fills(&query, &page(None, 100)).await.unwrap().items;
    assert!(!of_account.is_empty());
    assert!(
        of_account
            .iter()
            .all(|fill| fill.account == 2 && fill.size_delta.0 != 0)
    );

    let points = reader.nav_points(Series::Vault(vault), 0, 1_000).await.unwrap();
    assert_eq!(points.len(), facts.nav.len());
    for (point, row) in points.iter().zip(&facts.nav) {
        assert_eq!(
            (point.index, point.time, point.nav_index, point.total_equity),
            (row.index, row.time, row.nav_index, row.total_equity)
        );
        assert_eq!(point.origin, finality(row.origin));
    }
    let strategy = reader.nav_points(Series::Strategy(1), 0, 1_000).await.unwrap();
    assert_eq!(strategy, points, "with one shard both series are one");
    assert_eq!(
        reader.nav_latest(Series::Vault(vault)).await.unwrap().as_ref(),
        points.last()
    );

    let signals = reader.signals(1, None, &page(None, 100)).await.unwrap().items;
    assert_eq!(signals.len(), facts.signals.len());
    let found = reader.strategy(1, Window::All).await.unwrap().unwrap();
    assert_eq!((found.followers, found.accounts), (4, 4));
    assert_eq!(found.total_equity, Usdc(40_000_000_000));
    assert_eq!(found.vaults, [vault]);
    assert!(found.signals.iter().all(|latest| signals.contains(latest)));
    assert_eq!(found.statistics.delay_ms.samples, 6);
    assert_eq!(found.statistics.sharpe.value, None, "too few days");
    assert_eq!(reader.strategy(2, Window::All).await.unwrap(), None);
    assert_eq!(reader.strategy_of(vault).await.unwrap(), Some(1));
    assert_eq!(reader.terms(1).await.unwrap(), Some(found.terms.clone()));
    assert_eq!(reader.terms(2).await.unwrap(), None);
    assert_eq!(reader.strategies_of(found.master).await.unwrap(), [1]);
    assert!(reader.strategies_of(vault).await.unwrap().is_empty());

    let follower = World::follower_address(1);
    let account = &reader.accounts_of(follower).await.unwrap()[0];
    assert_eq!((account.account, account.margin), (2, Usdc(10_000_000_000)));
    assert_eq!(account.strategy_name, "strategy 1");
    assert_eq!(reader.account(vault, 2).await.unwrap().as_ref(), Some(account));
    assert_eq!(reader.account(vault, 99).await.unwrap(), None);
    let entries = reader
        .account_entries(follower, &page(None, 10))
        .await
        .unwrap()
        .items;
    assert_eq!(entries.len(), 3);
    assert_eq!(reader.system().await.unwrap().accounts, 4);
    let query = FollowerQuery {
        status: Some(AccountStatus::Stopped),
        vault: Some(vault),
    };
    assert!(
        reader
            .followers(1, &query, &page(None, 10))
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

async fn pages_meet_without_overlap(scratch: Scratch, _: Scratch) {
    let mut chain = FakeChain::new(29);
    chain.push(|world, _| (0..7).flat_map(|_| world.register()).collect());
    chain.push(|world, _| {
        (0..5)
            .flat_map(|_| world.follow(0))
            .chain((0..6).flat_map(|_| Vec::new()))
            .collect()
    });
    for _ in 0..8 {
        chain.push(|world, time| (0..2).flat_map(|_| world.batch(0, 5, time)).collect());
    }
    let mut applier = Applier::new(scratch.store.clone()).await;
    applier.apply(&chain.blocks[..8], 0).await;
    let reader = reader(&scratch).await;

    let query = FillQuery {
        strategy: Some(1),
        ..FillQuery::default()
    };
    let first = reader.fills(&query, &page(None, 7)).await.unwrap();
    // Rows that come in between do not move what follows.
    applier.apply(&chain.blocks[8..], 0).await;
    let all_before: Vec<_> = {
        let query = FillQuery {
            to_block: Some(chain.blocks[7].block.number),
            ..query.clone()
        };
        reader.fills(&query, &page(None, 500)).await.unwrap().items
    };
    let mut seen = first.items;
    let mut next = first.next;
    while let Some(after) = next {
        let more = reader.fills(&query, &page(Some(after), 7)).await.unwrap();
        seen.extend(more.items);
        next = more.next;
    }
    assert_eq!(seen, all_before);

    let mut ids = HashSet::new();
    for order in [
        StrategyOrder::Equity,
        StrategyOrder::Newest,
        StrategyOrder::Return,
        StrategyOrder::Drawdown,
    ] {
        let query = StrategyQuery {
            order,
            ..StrategyQuery::default()
        };
        let mut request = page(None, 2);
        loop {
            let found = reader.strategies(&query, &request).await.unwrap();
            for strategy in &found.items {
                assert!(ids.insert((order as u8, strategy.id)));
            }
            match found.next {
                Some(next) => request.after = Some(next),
                None => break,
            }
        }
    }
    assert_eq!(ids.len(), 4 * 7);
    let search = StrategyQuery {
        search: Some("STRATEGY 3".into()),
        ..StrategyQuery::default()
    };
    assert_eq!(
        reader
            .strategies(&search, &page(None, 10))
            .await
            .unwrap()
            .items
            .len(),
        1
    );

    let mut accounts = Vec::new();
    let mut request = page(None, 2);
    loop {
        let found = reader
            .followers(1, &FollowerQuery::default(), &request)
            .await
            .unwrap();
        accounts.extend(found.items.into_iter().map(|account| account.account));
        match found.next {
            Some(next) => request.after = Some(next),
            None => break,
        }
    }
    assert_eq!(accounts, [1, 2, 3, 4, 5]);
    let bad = reader
        .fills(&FillQuery::default(), &page(Some("nonsense".into()), 2))
        .await;
    assert!(matches!(bad, Err(StoreError::BadCursor)));
}

async fn curves_keep_their_extremes(scratch: Scratch, _: Scratch) {
    let mut chain = FakeChain::new(31);
    chain.seconds_per_block = 7_000;
    chain.push(|world, _| world.register());
    chain.push(|world, _| (0..2).flat_map(|_| world.follow(0)).collect());
    for _ in 0..300 {
        chain.push(|world, time| (0..3).flat_map(|_| world.batch(0, 1, time)).collect());
    }
    let mut applier = Applier::new(scratch.store.clone()).await;
    applier.apply(&chain.blocks, 0).await;
    let reader = reader(&scratch).await;
    let series = Series::Strategy(1);
    let all = reader.nav_points(series, 0, 10_000).await.unwrap();
    let whole = reader
        .nav_curve(
            series,
            &NavQuery {
                points: Some(5_000),
                ..NavQuery::default()
            },
        )
        .await
        .unwrap();
    assert!(whole.exact && whole.points == all);
    let thin = reader
        .nav_curve(
            series,
            &NavQuery {
                points: Some(40),
                ..NavQuery::default()
            },
        )
        .await
        .unwrap();
    assert!(!thin.exact && thin.points.len() <= 40 && thin.samples == all.len() as u64);
    let extreme = |points: &[lockstep_indexer::model::NavPoint]| {
        (
            points.iter().map(|point| point.nav_index).min(),
            points.iter().map(|point| point.nav_index).max(),
        )
    };
    assert_eq!(extreme(&thin.points), extreme(&all));
    assert_eq!(
        (thin.points.first(), thin.points.last()),
        (all.first(), all.last())
    );
    assert!(thin.points.windows(2).all(|pair| pair[0].index < pair[1].index));
    let (from, to) = (all[100].time, all[500].time);
    let query = NavQuery {
        from: Some(from),
        to: Some(to),
        points: Some(5_000),
    };
    let part = reader.nav_curve(series, &query).await.unwrap();
    let expected: Vec<_> = all
        .iter()
        .filter(|point| point.time >= from && point.time <= to)
        .cloned()
        .collect();
    assert_eq!(part.points, expected);

    // The drawdown is that of every point, not of the days or of the curve.
    let found = reader.statistics(1, Window::All).await.unwrap().unwrap();
    let drawdown = found.max_drawdown.value.unwrap();
    let (mut peak, mut worst) = (0, (1, 1));
    for point in &all {
        peak = peak.max(point.nav_index.0);
        if (peak - point.nav_index.0) / 1_000 * worst.1 > worst.0 * (peak / 1_000) || worst == (1, 1) {
            worst = ((peak - point.nav_index.0) / 1_000, peak / 1_000);
        }
    }
    assert!((worst.0 as f64 / worst.1 as f64 - drawdown.depth.0 as f64 / 1e18).abs() < 1e-9);
    let days = (chain.head().time / DAY) - all[0].time / DAY - 1;
    assert_eq!(found.sharpe.samples, days);
    assert_eq!(found.max_drawdown.samples, all.len() as u64);
    let week = reader.statistics(1, Window::Days7).await.unwrap().unwrap();
    assert!(week.max_drawdown.samples < found.max_drawdown.samples);
    assert_eq!(week.from % DAY, 0);
}

async fn finality_follows_the_heights(scratch: Scratch, _: Scratch) {
    let mut chain = FakeChain::new(37);
    for _ in 0..12 {
        chain.push(|world, _| world.register());
    }
    let mut applier = Applier::new(scratch.store.clone()).await;
    applier.apply(&chain.blocks, 0).await;
    let head = chain.head().number;
    scratch
        .store
        .observe(&Heights {
            head,
            finalized: head - 6,
            seen_ms: 9,
        })
        .await
        .unwrap();
    let reader = reader(&scratch).await;
    let status = reader.status().await.unwrap();
    assert_eq!(
        (status.head, status.lag_blocks, status.head_seen_ms),
        (head, 0, 9)
    );
    assert_eq!(status.finality(head), Finality::Pending);
    assert_eq!(status.finality(head - 3), Finality::Confirmed);
    assert_eq!(status.finality(head - 6), Finality::Finalized);
    let newest = reader.nav_latest(Series::Strategy(12)).await.unwrap().unwrap();
    assert_eq!(newest.origin.finality, Finality::Pending);
    let oldest = reader.nav_latest(Series::Strategy(1)).await.unwrap().unwrap();
    assert_eq!(oldest.origin.finality, Finality::Finalized);
}

/// Nothing on the chain says that announced terms have lapsed: the time of its newest block does.
async fn announced_terms_are_shown_until_they_lapse(scratch: Scratch, _: Scratch) {
    let mut chain = FakeChain::new(43);
    chain.seconds_per_block = DAY / 2;
    chain.push(|world, _| world.register());
    let mut effective_at = 0;
    chain.push(|world, time| {
        effective_at = time + DAY / 2;
        world.announce(1, effective_at)
    });
    // In the third block after that the last moment has come, in the fourth it has passed.
    for _ in 0..4 {
        chain.push(|_, _| Vec::new());
    }
    let mut applier = Applier::new(scratch.store.clone()).await;
    let reader = reader(&scratch).await;
    let mut told = Vec::new();
    for block in &chain.blocks {
        applier.apply(std::slice::from_ref(block), 0).await;
        let one = reader.strategy(1, Window::All).await.unwrap();
        let query = StrategyQuery::default();
        let list = reader.strategies(&query, &page(None, 10)).await.unwrap();
        let pending = one.and_then(|strategy| strategy.pending_terms);
        assert_eq!(
            list.items
                .first()
                .and_then(|strategy| strategy.pending_terms.clone()),
            pending,
            "the list and the strategy disagree"
        );
        told.push(pending.map(|pending| (pending.effective_at, pending.lapses_at())));
    }
    let announced = Some((effective_at, effective_at + DAY));
    assert_eq!(
        told,
        [None, None, announced, announced, announced, announced, None]
    );

    let before = chain.blocks[5].block;
    applier.rollback(Some(before)).await;
    let again = reader.strategy(1, Window::All).await.unwrap().unwrap();
    assert!(again.pending_terms.is_some(), "a reorg has set the clock back");
}

async fn a_reader_of_nothing_is_told_so(scratch: Scratch, _: Scratch) {
    // The schema is there, but no indexer has claimed it.
    let reader = reader(&scratch).await;
    assert!(matches!(reader.status().await, Err(StoreError::Empty)));
    assert!(matches!(
        store::open_reader("mysql://x").await.err(),
        Some(StoreError::UnknownEngine)
    ));
    let nowhere = store::open_reader("sqlite:///nowhere/at/all.db").await.err();
    assert!(matches!(nowhere, Some(StoreError::Empty)), "{nowhere:?}");
    let nobody = store::open_reader("postgres://x@127.0.0.1:1/x").await.err();
    assert!(matches!(nobody, Some(StoreError::Unavailable(_))), "{nobody:?}");
}

/// Masters choose their names.
async fn odd_texts_come_back(scratch: Scratch, _: Scratch) {
    let name = "a\tb\\n\n'\"; DROP TABLE fills;--\u{1F600}\0";
    let mut chain = FakeChain::new(41);
    chain.push(|world, _| world.register());
    let mut applier = Applier::new(scratch.store.clone()).await;
    let mut commit = applier.commit(&chain.blocks, 0).await;
    for (_, document) in &mut commit.derived.documents {
        if let lockstep_indexer::derive::documents::Document::Strategy(document) = document {
            document.name = name.to_owned();
        }
    }
    scratch.store.apply(&commit).await.unwrap();
    let found = reader(&scratch)
        .await
        .strategy(1, Window::All)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.name, name);
}
