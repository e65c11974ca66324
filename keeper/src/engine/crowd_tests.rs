//! Strategies by the thousand that nobody follows, one that cannot be read, a falling market, a full queue: what one of
//! them costs the others.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall as _;
use lockstep_contracts::bindings::IMirrorEngine;
use lockstep_contracts::fills::encode_accounts;
use lockstep_contracts::relay::{Intent, RelayState, SignedIntent, SignedMandate};

use super::failing::Step;
use super::town::{Asked, Holder, Town, foreign_transaction, keeper, mandate, stopped, vault_of};
use super::{Engine, EngineError};
use crate::config::Pace;
use crate::state::EXPECTED;

/// Grows to one.
const FLAT: Holder = Holder {
    size: 0,
    stop_loss_bps: 0,
    due: false,
};
/// At its target.
const HELD: Holder = Holder { size: 1, ..FLAT };
/// Shrinks to one.
const LARGE: Holder = Holder { size: 2, ..FLAT };

/// One look at a new block.
async fn look(town: &Arc<Town>, engine: &mut Engine) -> Result<(), EngineError> {
    town.state().mine();
    engine.look().await
}

/// What a look costs once everything is read, with so many strategies that nobody follows.
async fn cost(empty: u64, refresh_seconds: u64) -> Asked {
    let directory = tempfile::tempdir().unwrap();
    let town = Town::new(2 + empty, &[&[HELD], &[HELD]]);
    let pace = Pace {
        refresh_seconds,
        checkpoint_seconds: 0,
        ..Pace::default()
    };
    let (mut engine, _) = keeper(&town, directory.path(), pace).await;
    look(&town, &mut engine).await.unwrap();
    assert_eq!(engine.book().strategies.len() as u64, 2 + empty);
    look(&town, &mut engine).await.unwrap();
    town.asked();
    look(&town, &mut engine).await.unwrap();
    town.asked()
}

#[tokio::test]
async fn five_thousand_empty_strategies_cost_a_look_nothing() {
    let (few, many) = (cost(0, 60).await, cost(5_000, 60).await);
    assert_eq!(few, many);
    assert!(few.requests > 0 && few.calls > 0 && few.filters > 0, "{few:?}");
}

/// At a refresh sleeping vaults are asked in turn, one batch of them however many there are.
#[tokio::test]
async fn a_refresh_asks_one_batch_of_the_empty_strategies() {
    let (few, many) = (cost(200, 0).await, cost(5_000, 0).await);
    assert_eq!(few, many);
}

#[tokio::test]
async fn reading_five_thousand_empty_strategies_takes_batches_not_questions() {
    let directory = tempfile::tempdir().unwrap();
    let town = Town::new(5_000, &[]);
    let (mut engine, _) = keeper(&town, directory.path(), Pace::default()).await;
    town.asked();
    look(&town, &mut engine).await.unwrap();
    let asked = town.asked();
    // Record, terms and number of accounts, 200 in a batch.
    assert!(asked.requests < 3 * 25 + 15, "{asked:?}");
    assert!(asked.calls < 3 * 5_000 + 15, "{asked:?}");
}

#[tokio::test]
async fn a_follower_wakes_an_empty_strategy_at_the_next_look() {
    let directory = tempfile::tempdir().unwrap();
    let town = Town::new(5_000, &[&[HELD]]);
    let (mut engine, _) = keeper(&town, directory.path(), Pace::default()).await;
    look(&town, &mut engine).await.unwrap();
    look(&town, &mut engine).await.unwrap();
    assert!(town.mirrored().is_empty());
    town.state().follow(&mandate(4_000, 1).mandate, 4_000, true);
    engine.look().await.unwrap();
    assert_eq!(town.mirrored(), [vault_of(4_000)]);
}

#[tokio::test]
async fn a_follower_whose_log_was_kept_back_is_found_in_turn() {
    let directory = tempfile::tempdir().unwrap();
    let town = Town::new(1_000, &[]);
    let pace = Pace {
        refresh_seconds: 0,
        ..Pace::default()
    };
    let (mut engine, _) = keeper(&town, directory.path(), pace).await;
    look(&town, &mut engine).await.unwrap();
    town.state().follow(&mandate(700, 1).mandate, 700, false);
    // Five turns of 200, and the one that was under way.
    for _ in 0..6 {
        look(&town, &mut engine).await.unwrap();
    }
    assert_eq!(town.mirrored(), [vault_of(700)]);
}

#[tokio::test]
async fn a_queued_mandate_wakes_its_strategy_before_it_is_mined() {
    let directory = tempfile::tempdir().unwrap();
    let town = Town::new(50, &[]);
    let (mut engine, _) = keeper(&town, directory.path(), Pace::default()).await;
    look(&town, &mut engine).await.unwrap();
    assert_eq!(engine.book().awake().count(), 0);
    hand_in(&engine, &mandate(9, 1)).await;
    engine.relays().await.unwrap();
    let awake: Vec<u64> = engine.book().awake().map(|strategy| strategy.id).collect();
    assert_eq!(awake, [9]);
    look(&town, &mut engine).await.unwrap();
    assert!(engine.book().strategies[&9].markets[0].leverage.is_some());
    // Nobody came after all: it sleeps again.
    let vault = engine.book_mut().vaults.get_mut(&vault_of(9)).unwrap();
    vault.expected = vault.expected.and_then(|since| since.checked_sub(EXPECTED));
    look(&town, &mut engine).await.unwrap();
    assert_eq!(engine.book().awake().count(), 0);
    assert!(engine.book().strategies[&9].markets[0].leverage.is_none());
}

/// Whatever is left open about one strategy, the others are mirrored, and it is, once it can be read.
#[tokio::test]
async fn what_one_strategy_leaves_open_is_left_open_for_it_alone() {
    for step in [Step::Record, Step::Accounts, Step::Markets, Step::Batch] {
        let directory = tempfile::tempdir().unwrap();
        let town = Town::new(3, &[&[FLAT], &[FLAT], &[FLAT]]);
        let (mut engine, health) = keeper(&town, directory.path(), Pace::default()).await;
        town.state().mute.insert((step, 2));
        for _ in 0..2 {
            let looked = look(&town, &mut engine).await;
            assert!(looked.is_ok(), "{step:?}: {looked:?}");
        }
        let mut mirrored = town.mirrored();
        mirrored.sort_unstable();
        mirrored.dedup();
        assert_eq!(mirrored, [vault_of(1), vault_of(3)], "{step:?}");
        engine.report(None);
        assert_eq!(health.borrow().strategies_failing, 1, "{step:?}");

        town.state().mute.clear();
        look(&town, &mut engine).await.unwrap();
        assert!(town.mirrored().contains(&vault_of(2)), "{step:?}");
        engine.report(None);
        assert_eq!(health.borrow().strategies_failing, 0, "{step:?}");
    }
}

/// However many vaults cannot be read any more, and although an endpoint is given up after a few, each of the others has
/// its turn.
#[tokio::test]
async fn vaults_that_cannot_be_read_use_up_nobody_s_patience() {
    let directory = tempfile::tempdir().unwrap();
    let holders: Vec<&[Holder]> = vec![&[HELD]; 12];
    let town = Town::new(12, &holders);
    let pace = Pace {
        refresh_seconds: 0,
        ..Pace::default()
    };
    let (mut engine, _) = keeper(&town, directory.path(), pace).await;
    look(&town, &mut engine).await.unwrap();
    {
        let mut state = town.state();
        state.mute.extend((1..=10).map(|id| (Step::Accounts, id)));
        state.holders.insert(11, vec![LARGE]);
        state.holders.insert(12, vec![LARGE]);
    }
    // Three of the ten in each of them, and one more.
    for _ in 0..5 {
        look(&town, &mut engine).await.unwrap();
    }
    assert_eq!(town.mirrored(), [vault_of(11), vault_of(12)]);
    assert_eq!(engine.failing.strategies(), (1..=10).collect());
}

#[tokio::test]
async fn a_strategy_whose_simulation_stays_open_comes_last() {
    let directory = tempfile::tempdir().unwrap();
    let town = Town::new(3, &[&[FLAT], &[HELD], &[HELD]]);
    let (mut engine, _) = keeper(&town, directory.path(), Pace::default()).await;
    town.state().mute.insert((Step::Batch, 1));
    look(&town, &mut engine).await.unwrap();
    let order: Vec<_> = engine.unanswered_last(engine.pairs());
    assert_eq!(order, [(2, 0), (3, 0), (1, 0)]);
}

#[tokio::test]
async fn what_is_left_open_about_every_strategy_fails_the_look() {
    for step in [Step::Markets, Step::Batch] {
        let directory = tempfile::tempdir().unwrap();
        let town = Town::new(2, &[&[FLAT], &[FLAT]]);
        let (mut engine, _) = keeper(&town, directory.path(), Pace::default()).await;
        town.state().mute.extend([(step, 1), (step, 2)]);
        let looked = look(&town, &mut engine).await;
        assert!(matches!(looked, Err(EngineError::Rpc(_))), "{step:?}: {looked:?}");
    }
}

#[tokio::test]
async fn growth_under_way_keeps_no_reduction_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let town = Town::new(3, &[&[FLAT], &[FLAT], &[FLAT, LARGE]]);
    town.state().mines = false;
    let pace = Pace {
        max_in_flight: 1,
        checkpoint_seconds: 0,
        ..Pace::default()
    };
    let (mut engine, _) = keeper(&town, directory.path(), pace).await;
    look(&town, &mut engine).await.unwrap();
    assert_eq!(
        town.mirrored(),
        [vault_of(1), vault_of(3)],
        "one grows, the next waits, the reduction does not"
    );
    let last = town.state().sent.last().unwrap().2.clone();
    let call = IMirrorEngine::mirrorVenueCall::abi_decode(&last).unwrap();
    assert_eq!(
        call.accounts.to_vec(),
        encode_accounts(&[2].into()),
        "who grows waits"
    );
    // With room again, the others grow too.
    town.state().mines = true;
    for _ in 0..4 {
        look(&town, &mut engine).await.unwrap();
    }
    assert_eq!(town.mirrored()[2..], [vault_of(2), vault_of(3)]);
}

/// `count` accounts close to their stop, the last of which is there.
fn falling(count: usize) -> Vec<Holder> {
    let close = Holder {
        stop_loss_bps: 1_000,
        ..HELD
    };
    let mut holders = vec![close; count];
    holders.last_mut().unwrap().due = true;
    holders
}

#[tokio::test]
async fn a_thousand_accounts_close_to_their_stop_are_asked_in_batches() {
    let directory = tempfile::tempdir().unwrap();
    let town = Town::new(1, &[&falling(1_000)]);
    let (mut engine, _) = keeper(&town, directory.path(), Pace::default()).await;
    town.most.store(0, Ordering::SeqCst);
    town.asked();
    look(&town, &mut engine).await.unwrap();
    let asked = town.asked();
    assert!(asked.requests < 60, "{asked:?}");
    let most = town.most.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most} batches at once");
    let stops: Vec<_> = stopped(&town.state()).into_iter().collect();
    assert_eq!(stops, [(1_000, 1)]);
}

#[tokio::test]
async fn a_stop_left_open_is_asked_at_the_next_look_and_keeps_no_other_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let mut holders = falling(120);
    holders[0].due = true;
    let town = Town::new(1, &[&holders]);
    let (mut engine, _) = keeper(&town, directory.path(), Pace::default()).await;
    town.state().silent_stops = 50;
    assert!(
        look(&town, &mut engine).await.is_err(),
        "what was left open is told"
    );
    assert_eq!(stopped(&town.state()).keys().collect::<Vec<_>>(), [&120]);
    town.state().silent_stops = 0;
    look(&town, &mut engine).await.unwrap();
    assert!(stopped(&town.state()).contains_key(&1));
}

async fn hand_in(engine: &Engine, signed: &SignedMandate) -> B256 {
    let id = engine.domains.mandate(signed);
    let body = serde_json::to_string(signed).unwrap();
    engine.journal.accept(id, "mandate", &body).await.unwrap();
    id
}

async fn state_of(engine: &Engine, id: B256) -> RelayState {
    engine.journal.status(id).await.unwrap().unwrap().state
}

/// However many want to join, and whatever is left open about them, who leaves is sent.
#[tokio::test]
async fn who_joins_keeps_nobody_from_leaving() {
    let directory = tempfile::tempdir().unwrap();
    let town = Town::new(1, &[&[HELD]]);
    town.state().silent_follows = true;
    let (mut engine, _) = keeper(&town, directory.path(), Pace::default()).await;
    for follower in 0..501 {
        hand_in(&engine, &mandate(1, follower)).await;
    }
    let signed = SignedIntent {
        intent: Intent::Stop {
            follower: Address::repeat_byte(5),
            strategy: vault_of(1),
            nonce: U256::ZERO,
            deadline: U256::MAX,
        },
        signature: vec![1].into(),
    };
    let id = engine.domains.signed_intent(&signed);
    let body = serde_json::to_string(&signed).unwrap();
    engine.journal.accept(id, "intent", &body).await.unwrap();
    town.asked();
    assert!(engine.relays().await.is_err(), "the mandates were left open");
    let state = state_of(&engine, id).await;
    assert!(matches!(state, RelayState::Submitted { .. }), "{state:?}");
    // Nor is every look held up by asking for them again, and it is complete without them.
    assert!(town.asked().requests > 400);
    look(&town, &mut engine).await.unwrap();
    let asked = town.asked();
    assert!(asked.requests < 100, "{asked:?}");
}

#[tokio::test]
async fn a_queued_follow_that_the_chain_has_already_is_told_as_done_once_it_is_deep() {
    let directory = tempfile::tempdir().unwrap();
    let town = Town::new(1, &[]);
    let (mut engine, _) = keeper(&town, directory.path(), Pace::default()).await;
    look(&town, &mut engine).await.unwrap();
    let signed = mandate(1, 1);
    town.state().follow(&signed.mandate, 1, true);
    let block = town.state().block;
    let id = hand_in(&engine, &signed).await;
    engine.look().await.unwrap();
    assert_eq!(
        state_of(&engine, id).await,
        RelayState::Queued,
        "a reorganisation may take it back"
    );
    look(&town, &mut engine).await.unwrap();
    let transaction = foreign_transaction();
    assert_eq!(
        state_of(&engine, id).await,
        RelayState::Included { transaction, block }
    );
}

/// A nonce used up by something else is no follow, however much the bounds look alike.
#[tokio::test]
async fn a_follow_whose_nonce_was_used_by_something_else_is_refused() {
    for another in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let town = Town::new(1, &[&[HELD]]);
        let (mut engine, _) = keeper(&town, directory.path(), Pace::default()).await;
        let signed = mandate(1, 1);
        let id = hand_in(&engine, &signed).await;
        {
            let mut state = town.state();
            state.used.insert((signed.mandate.follower, signed.mandate.nonce));
            state.mine();
            if another {
                state.followed(&signed.mandate, 1, B256::repeat_byte(1));
            }
        }
        look(&town, &mut engine).await.unwrap();
        let state = state_of(&engine, id).await;
        assert!(
            matches!(&state, RelayState::Rejected { code, .. } if code == "nonce-spent"),
            "{another}: {state:?}"
        );
    }
}

/// Somebody else relays the same mandate in the same moment: the batch that comes too late carries nothing that failed.
#[tokio::test]
async fn a_follow_that_somebody_else_carried_first_is_told_as_done() {
    let directory = tempfile::tempdir().unwrap();
    let town = Town::new(1, &[]);
    let (mut engine, _) = keeper(&town, directory.path(), Pace::default()).await;
    look(&town, &mut engine).await.unwrap();
    let (first, second) = (mandate(1, 1), mandate(1, 2));
    let ids = [hand_in(&engine, &first).await, hand_in(&engine, &second).await];
    engine.relays().await.unwrap();
    // In one block: the other's transaction, then ours, in which both fail.
    town.state().follow(&first.mandate, 1, true);
    let block = town.state().block;
    engine.look().await.unwrap();
    let transaction = foreign_transaction();
    assert_eq!(
        state_of(&engine, ids[0]).await,
        RelayState::Included { transaction, block }
    );
    let state = state_of(&engine, ids[1]).await;
    assert!(
        matches!(&state, RelayState::Rejected { code, .. } if code == "nonce-spent"),
        "{state:?}"
    );
}
