//! Whatever is applied and taken back, what remains is the canonical chain's, to the last row.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::chain::{Applier, FakeChain};
use common::{postgres, sqlite};
use lockstep_indexer::store::Heights;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Act {
    /// Blocks with so many things each, committed in ranges of a length.
    Grow { blocks: Vec<usize>, range: usize },
    /// The last blocks are replaced by others.
    Fork {
        depth: usize,
        seed: u64,
        blocks: Vec<usize>,
    },
    /// Everything but the last blocks becomes final.
    Settle { keep: usize },
    /// The process starts anew.
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let things = || proptest::collection::vec(0usize..5, 1..6);
    let act = prop_oneof![
        4 => (things(), 1usize..5).prop_map(|(blocks, range)| Act::Grow { blocks, range }),
        3 => (1usize..8, any::<u64>(), things()).prop_map(|(depth, seed, blocks)| Act::Fork { depth, seed, blocks }),
        1 => (1usize..9).prop_map(|keep| Act::Settle { keep }),
        1 => Just(Act::Restart),
    ];
    proptest::collection::vec(act, 1..12)
}

async fn play(acts: &[Act], seed: u64, scratch: common::Scratch, reference: common::Scratch) {
    let mut chain = FakeChain::new(seed);
    let mut applier = Applier::new(scratch.store.clone()).await;
    let mut applied = 0;
    let mut settled = 0;
    let mut undo_above = 0;
    for act in acts {
        match act {
            Act::Grow { blocks, range } => {
                blocks.iter().for_each(|things| chain.push_anything(*things));
                for blocks in chain.blocks[applied..].chunks(*range) {
                    applier.apply(blocks, undo_above).await;
                }
            }
            Act::Fork { depth, seed, blocks } => {
                let depth = (*depth).min(chain.blocks.len() - settled.max(1));
                if depth == 0 {
                    continue;
                }
                chain.fork(depth, *seed);
                applier.rollback(Some(chain.head())).await;
                let kept = chain.blocks.len();
                blocks.iter().for_each(|things| chain.push_anything(*things));
                applier.apply(&chain.blocks[kept..], undo_above).await;
            }
            Act::Settle { keep } => {
                settled = settled.max(chain.blocks.len().saturating_sub(*keep));
                if let Some(block) = settled.checked_sub(1).and_then(|last| chain.blocks.get(last))
                    && applier
                        .cursor
                        .is_some_and(|cursor| cursor.number >= block.block.number)
                {
                    undo_above = block.block.number;
                    let heights = Heights {
                        head: chain.head().number,
                        finalized: undo_above,
                        seen_ms: 1,
                    };
                    scratch.store.observe(&heights).await.unwrap();
                }
            }
            Act::Restart => applier = Applier::new(scratch.store.clone()).await,
        }
        applied = applier.cursor.map_or(0, |cursor| {
            chain
                .blocks
                .iter()
                .filter(|block| block.block.number <= cursor.number)
                .count()
        });
    }
    if applied == 0 {
        return;
    }
    let mut plain = Applier::new(reference.store.clone()).await;
    plain.apply(&chain.blocks[..applied], u64::MAX).await;
    assert_eq!(
        scratch.store.dump().await.unwrap(),
        reference.store.dump().await.unwrap()
    );
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_keeps_the_canonical_chain_only(acts in acts(), seed in 1u64..1_000) {
        runtime().block_on(async { play(&acts, seed, sqlite().await, sqlite().await).await });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn postgres_keeps_the_canonical_chain_only(acts in acts(), seed in 1u64..1_000) {
        runtime().block_on(async { play(&acts, seed, postgres().await, sqlite().await).await });
    }
}
