//! Decoding reads everything the interfaces can say, and refuses what they cannot, with its place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolEvent;
use common::chain::raw;
use lockstep_contracts::bindings::{IMirrorEngine, IStrategyVault};
use lockstep_indexer::decode::{self, DecodeFault, Event, RawLog};
use lockstep_indexer::synthetic::Emitted;
use proptest::prelude::*;

fn log<E: SolEvent>(event: &E) -> RawLog {
    let emitted = Emitted {
        address: Address::repeat_byte(1),
        log: event.encode_log_data(),
    };
    raw(&emitted, 7, B256::repeat_byte(2), 3)
}

fn read(log: &RawLog) -> Result<Event, decode::DecodeError> {
    decode::decode(decode::speaker(&log.topics[0]).unwrap(), log)
}

fn batch(fills: Vec<u8>) -> RawLog {
    log(&IStrategyVault::BatchMirrored {
        batchId: 1,
        fills: Bytes::from(fills),
        ..Default::default()
    })
}

#[test]
fn every_event_of_the_interfaces_has_one_speaker() {
    let mut all = decode::signatures();
    assert!(all.iter().all(|signature| decode::speaker(signature).is_some()));
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(
        all.len(),
        count,
        "two contracts share an event: which one speaks?"
    );
}

#[test]
fn unknown_codes_are_errors_with_their_place() {
    let mut word = [0u8; 32];
    word[4] = 15;
    let error = read(&batch(word.to_vec())).unwrap_err();
    assert_eq!(
        (error.block, error.log_index, error.address),
        (7, 3, Address::repeat_byte(1))
    );
    assert!(matches!(error.fault, DecodeFault::Fills(_)), "{error}");
    assert!(error.to_string().contains("unknown outcome code 15"), "{error}");
    assert!(matches!(
        read(&batch(vec![0; 31])).unwrap_err().fault,
        DecodeFault::Fills(_)
    ));

    let status = read(&log(&IStrategyVault::StatusChanged {
        account: 1,
        status: 5,
    }))
    .unwrap_err();
    assert!(matches!(
        status.fault,
        DecodeFault::UnknownCode {
            field: "status",
            code: 5
        }
    ));
    let signal = IMirrorEngine::SignalAccepted {
        strategyId: U256::from(1),
        market: 0,
        sequence: 1,
        leverage: Default::default(),
        observedAt: 1,
        proof: 3,
    };
    assert!(matches!(
        read(&log(&signal)).unwrap_err().fault,
        DecodeFault::UnknownCode {
            field: "proof",
            code: 3
        }
    ));
}

#[test]
fn numbers_that_mean_nothing_are_errors() {
    let nav = IStrategyVault::NavRecorded {
        index: U256::MAX,
        time: 1,
        navIndex: U256::ZERO,
        totalEquity: U256::ZERO,
    };
    assert!(matches!(
        read(&log(&nav)).unwrap_err().fault,
        DecodeFault::Number { field: "index", .. }
    ));
    let nav = IStrategyVault::NavRecorded {
        index: U256::ZERO,
        time: 1,
        navIndex: U256::ZERO,
        totalEquity: U256::MAX,
    };
    assert!(matches!(
        read(&log(&nav)).unwrap_err().fault,
        DecodeFault::Number {
            field: "totalEquity",
            ..
        }
    ));
    let nav = IStrategyVault::NavRecorded {
        index: U256::ZERO,
        time: u64::MAX,
        navIndex: U256::ZERO,
        totalEquity: U256::ZERO,
    };
    assert!(matches!(
        read(&log(&nav)).unwrap_err().fault,
        DecodeFault::Number { field: "time", .. }
    ));
}

#[test]
fn a_log_without_its_place_is_refused() {
    let whole = serde_json::json!({
        "address": Address::ZERO, "topics": [], "data": "0x", "blockNumber": "0x1", "blockHash": B256::ZERO,
        "transactionHash": B256::ZERO, "logIndex": "0x0",
    });
    serde_json::from_value::<RawLog>(whole.clone()).unwrap();
    for field in ["blockNumber", "blockHash", "transactionHash", "logIndex"] {
        let mut log = whole.clone();
        log[field] = serde_json::Value::Null;
        assert!(
            serde_json::from_value::<RawLog>(log).is_err(),
            "{field} may be null"
        );
    }
}

proptest! {
    /// Truncated, overlong, random: an answer or an error, never a panic.
    #[test]
    fn any_bytes_are_read_or_refused(
        which in 0usize..64,
        topics in 0usize..4,
        data in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let signatures = decode::signatures();
        let mut all = vec![signatures[which % signatures.len()]];
        all.extend((0..topics).map(|n| B256::from(U256::from(n))));
        let mut log = batch(Vec::new());
        log.topics = all;
        log.data = Bytes::from(data);
        let _ = read(&log);
    }

    #[test]
    fn a_cut_batch_is_refused(cut in 1usize..300) {
        let mut log = batch(vec![0; 64]);
        let kept = log.data.len() - cut.min(log.data.len());
        log.data = Bytes::copy_from_slice(&log.data[..kept]);
        prop_assert!(read(&log).is_err());
    }
}
