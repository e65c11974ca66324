//! A range of blocks from one endpoint: its logs, and headers that prove which chain they are of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy::primitives::{Address, B256};
use alloy::sol_types::SolEvent as _;
use lockstep_contracts::bindings::IMasterRegistry;

use super::rpc::{Endpoint, Header, RpcFault};
use crate::decode::{self, Event, RawLog, Speaker};
use crate::derive::{Block, Placed};
use crate::model::BlockRef;

/// How much of the range's chain is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Every header is read and linked to the one before: for blocks that may still change.
    Linked,
    /// Headers of blocks with logs and of the last one: for final blocks.
    Sparse,
}

/// What a range holds.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// First block.
    pub from: u64,
    /// Last block.
    pub to: BlockRef,
    /// Parent of the first block, when linked.
    pub parent: Option<B256>,
    /// Blocks with logs.
    pub blocks: Vec<Block>,
    /// All headers that were read.
    pub known: Vec<BlockRef>,
    /// Logs in it.
    pub logs: u64,
    /// The range had to be cut to be answered.
    pub cut: bool,
}

/// Most addresses in one question.
const EMITTERS: usize = 100;

/// Whose logs are Lockstep's.
#[derive(Debug, Clone)]
pub struct Speakers {
    /// The registry, which names vaults.
    pub registry: Address,
    /// All contracts that are there once.
    pub contracts: Vec<Address>,
    /// Vaults of the blocks before `since`.
    pub vaults: Arc<[Address]>,
    /// First block whose vaults are not known.
    pub since: u64,
}

/// Reads a range. Logs whose block is not the one of the headers, a header that does not follow the one before, or a
/// block whose bloom speaks of logs that were not given, are [`RpcFault::Inconsistent`].
pub async fn fetch(
    endpoint: &Endpoint,
    from: u64,
    to: u64,
    proof: Proof,
    topics: &[B256],
    speakers: &Speakers,
) -> Result<Fetched, RpcFault> {
    let (mut logs, cut) = logs(endpoint, from, to, topics, speakers).await?;
    let numbers: Vec<u64> = match proof {
        Proof::Linked => (from..=to).collect(),
        Proof::Sparse => {
            let mut numbers: BTreeSet<u64> = logs.iter().map(|log| log.block_number).collect();
            numbers.insert(to);
            numbers.into_iter().collect()
        }
    };
    let mut headers: BTreeMap<u64, Header> = BTreeMap::new();
    for (number, header) in numbers.iter().zip(endpoint.headers(&numbers).await?) {
        let header = header.ok_or_else(|| RpcFault::Inconsistent(format!("it has no block {number}")))?;
        headers.insert(*number, header);
    }
    if proof == Proof::Linked {
        linked(&headers)?;
        let with_logs: BTreeSet<u64> = logs.iter().map(|log| log.block_number).collect();
        for (number, header) in &headers {
            if with_logs.contains(number) || !header.may_have(topics) {
                continue;
            }
            // The bloom may be wrong, the block by its hash is not.
            let hash = header.block().hash;
            let found = match endpoint.logs_of(hash, topics, None).await {
                Err(RpcFault::Refused { .. } | RpcFault::Timeout { .. }) => {
                    of_speakers(endpoint, *number, Some(hash), topics, speakers).await?
                }
                found => found?,
            };
            if !found.is_empty() {
                tracing::debug!(
                    block = number,
                    logs = found.len(),
                    endpoint = endpoint.name(),
                    "logs left out by range"
                );
            }
            logs.extend(found);
        }
    }
    let known: Vec<BlockRef> = headers.values().map(Header::block).collect();
    let last = known
        .last()
        .copied()
        .ok_or_else(|| RpcFault::Inconsistent("empty range".to_owned()))?;
    let parent = match proof {
        Proof::Linked => headers.get(&from).map(Header::parent),
        Proof::Sparse => None,
    };
    let count = logs.len() as u64;
    let blocks = place(logs, &headers, from, to)?;
    Ok(Fetched {
        from,
        to: last,
        parent,
        blocks,
        known,
        logs: count,
        cut,
    })
}

/// Logs of a range, cut into halves while the endpoint refuses it whole.
async fn logs(
    endpoint: &Endpoint,
    from: u64,
    to: u64,
    topics: &[B256],
    speakers: &Speakers,
) -> Result<(Vec<RawLog>, bool), RpcFault> {
    let mut found = Vec::new();
    let mut todo = vec![(from, to)];
    let mut cut = false;
    while let Some((from, to)) = todo.pop() {
        match endpoint.logs(from, to, topics, None).await {
            Ok(logs) => found.extend(logs),
            // Providers word their limits differently; a smaller question is right for all of them.
            Err(RpcFault::Refused { .. } | RpcFault::Timeout { .. }) if from < to => {
                cut = true;
                todo.extend(halves(from, to));
            }
            // Anyone can fill a block with logs that look like ours, up to what the endpoint gives out.
            Err(fault @ (RpcFault::Refused { .. } | RpcFault::Timeout { .. })) => {
                tracing::debug!(block = from, endpoint = endpoint.name(), %fault, "asking by address");
                found.extend(of_speakers(endpoint, from, None, topics, speakers).await?);
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok((found, cut))
}

/// The two halves of a range, the later one first: they are taken from the end.
const fn halves(from: u64, to: u64) -> [(u64, u64); 2] {
    let middle = from + (to - from) / 2;
    [(middle + 1, to), (from, middle)]
}

/// Logs of one block, by number or by hash, of Lockstep's own contracts alone.
async fn of_speakers(
    endpoint: &Endpoint,
    block: u64,
    hash: Option<B256>,
    topics: &[B256],
    speakers: &Speakers,
) -> Result<Vec<RawLog>, RpcFault> {
    let mut emitters: BTreeSet<Address> = speakers
        .contracts
        .iter()
        .chain(&*speakers.vaults)
        .copied()
        .collect();
    // Vaults that are not written down yet, those of this block included.
    let mut todo = vec![(speakers.since.min(block), block)];
    while let Some((from, to)) = todo.pop() {
        let births = [IMasterRegistry::VaultCreated::SIGNATURE_HASH];
        match endpoint.logs(from, to, &births, Some(&[speakers.registry])).await {
            Ok(logs) => {
                emitters.extend(
                    logs.iter()
                        .filter_map(|log| match decode::decode(Speaker::Registry, log) {
                            Ok(Event::VaultCreated { vault, .. }) => Some(vault),
                            _ => None,
                        }),
                )
            }
            Err(RpcFault::Refused { .. } | RpcFault::Timeout { .. }) if from < to => {
                todo.extend(halves(from, to));
            }
            Err(fault) => return Err(fault),
        }
    }
    let emitters: Vec<Address> = emitters.into_iter().collect();
    let mut found = Vec::new();
    for emitters in emitters.chunks(EMITTERS) {
        found.extend(match hash {
            Some(hash) => endpoint.logs_of(hash, topics, Some(emitters)).await?,
            None => endpoint.logs(block, block, topics, Some(emitters)).await?,
        });
    }
    Ok(found)
}

fn linked(headers: &BTreeMap<u64, Header>) -> Result<(), RpcFault> {
    let mut before: Option<&Header> = None;
    for header in headers.values() {
        if let Some(before) = before
            && header.parent() != before.block().hash
        {
            let number = header.block().number;
            return Err(RpcFault::Inconsistent(format!(
                "block {number} does not follow the block before it"
            )));
        }
        before = Some(header);
    }
    Ok(())
}

/// Groups logs by block, in order, after holding each against its header; decodes them.
fn place(
    mut logs: Vec<RawLog>,
    headers: &BTreeMap<u64, Header>,
    from: u64,
    to: u64,
) -> Result<Vec<Block>, RpcFault> {
    logs.sort_by_key(|log| (log.block_number, log.log_index));
    let mut blocks: Vec<Block> = Vec::new();
    let mut last = None;
    for log in logs {
        let number = log.block_number;
        if log.removed || number < from || number > to {
            return Err(RpcFault::Inconsistent(format!(
                "it gave a log of block {number} for {from}..={to}"
            )));
        }
        let header = headers
            .get(&number)
            .map(Header::block)
            .filter(|header| header.hash == log.block_hash)
            .ok_or_else(|| {
                RpcFault::Inconsistent(format!(
                    "logs of block {number} are of another block than its header"
                ))
            })?;
        if last.replace((number, log.log_index)) == Some((number, log.log_index)) {
            return Err(RpcFault::Inconsistent(format!(
                "log {} of block {number} came twice",
                log.log_index
            )));
        }
        let Some(speaker) = log.topics.first().and_then(decode::speaker) else {
            return Err(RpcFault::Inconsistent(format!(
                "log {} of block {number} was not asked for",
                log.log_index
            )));
        };
        let placed = Placed {
            speaker,
            address: log.address,
            tx_hash: log.transaction_hash,
            log_index: log.log_index,
            event: decode::decode(speaker, &log),
        };
        match blocks.last_mut() {
            Some(block) if block.block.number == number => block.events.push(placed),
            _ => blocks.push(Block {
                block: header,
                events: vec![placed],
            }),
        }
    }
    Ok(blocks)
}
