//! Whether a mandate whose nonce is used was carried out itself. A nonce can also be used up by a cancellation or by
//! another item, and bounds that look alike say nothing of a deposit: only the engine's own log of exactly this mandate
//! counts.

use alloy::primitives::{Address, B256};
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::{SolEvent as _, SolStruct as _};
use lockstep_contracts::bindings::IMirrorEngine;
use lockstep_contracts::relay::Mandate;

use crate::chain::{Rpc, RpcError};
use crate::state::load::LOG_RANGE;

/// Requests for logs at the most, of [`LOG_RANGE`] blocks each: more than a day of a chain with a block every two
/// seconds. An item is checked when it is handed in, so what has been carried out since is not older than the item.
const REQUESTS: usize = 12;

/// Where a mandate was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    /// The transaction.
    pub(super) transaction: B256,
    /// Its block.
    pub(super) block: u64,
}

/// Looks for a mandate in the blocks from `birth` to `newest`, the newest first.
pub(super) async fn find(
    rpc: &dyn Rpc,
    engine: Address,
    birth: u64,
    newest: u64,
    mandate: &Mandate,
) -> Result<Option<Done>, RpcError> {
    let hash = IMirrorEngine::Mandate::from(mandate).eip712_hash_struct();
    let mut to = newest;
    for _ in 0..REQUESTS {
        let from = to.saturating_sub(LOG_RANGE - 1).max(birth);
        let filter = Filter::new()
            .address(engine)
            .event_signature(IMirrorEngine::Followed::SIGNATURE_HASH)
            .topic1(mandate.follower.into_word())
            .topic2(mandate.strategy.into_word())
            .from_block(from)
            .to_block(to);
        let logs = rpc.logs(&filter).await?;
        if let Some(done) = logs.iter().find_map(|log| read(log, mandate, hash)) {
            return Ok(Some(done));
        }
        if from <= birth {
            break;
        }
        to = from - 1;
    }
    Ok(None)
}

fn read(log: &Log, mandate: &Mandate, hash: B256) -> Option<Done> {
    let event = IMirrorEngine::Followed::decode_log(&log.inner).ok()?;
    let same = (event.follower, event.strategy, event.nonce, event.mandateHash)
        == (mandate.follower, mandate.strategy, mandate.nonce, hash);
    (same && !log.removed).then_some(Done {
        transaction: log.transaction_hash?,
        block: log.block_number?,
    })
}
