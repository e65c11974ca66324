//! A made-up chain in memory: blocks of decoded events that can be applied, and other forks of it.

use alloy::primitives::{B256, keccak256};
use lockstep_indexer::decode::{self, RawLog};
use lockstep_indexer::derive::{Block, Deriver, Placed};
use lockstep_indexer::model::BlockRef;
use lockstep_indexer::store::{Commit, Identity, SharedWriter};
use lockstep_indexer::synthetic::{self, Emitted, World};

pub const CHAIN_ID: u64 = 31_337;
pub const START: u64 = 10;
pub const GENESIS_TIME: u64 = 1_700_000_000;

#[derive(Clone)]
pub struct FakeChain {
    pub blocks: Vec<Block>,
    worlds: Vec<World>,
    world: World,
    salt: u64,
    pub seconds_per_block: u64,
}

impl FakeChain {
    pub fn new(seed: u64) -> Self {
        let world = World::new(synthetic::deployment(CHAIN_ID, START), seed);
        let mut chain = Self {
            blocks: Vec::new(),
            worlds: Vec::new(),
            world,
            salt: seed,
            seconds_per_block: 600,
        };
        let listings = chain.world.listings();
        chain.push(|_, _| listings);
        chain
    }

    pub fn head(&self) -> BlockRef {
        self.blocks.last().unwrap().block
    }

    pub fn push(&mut self, events: impl FnOnce(&mut World, u64) -> Vec<Emitted>) {
        self.worlds.push(self.world.clone());
        let number = START + self.blocks.len() as u64;
        let time = GENESIS_TIME + number * self.seconds_per_block;
        let parent = self
            .blocks
            .last()
            .map(|block| block.block.hash)
            .unwrap_or_default();
        let hash = keccak256([parent.as_slice(), &self.salt.to_be_bytes(), &number.to_be_bytes()].concat());
        let mut logs = events(&mut self.world, time);
        synthetic::stamp(&mut logs, time);
        let events = logs
            .iter()
            .zip(0u64..)
            .map(|(log, index)| place(log, number, hash, index))
            .collect();
        self.blocks.push(Block {
            block: BlockRef { number, hash, time },
            events,
        });
    }

    /// A block with some of anything, more than one thing about the same keys.
    pub fn push_anything(&mut self, things: usize) {
        self.push(|world, time| (0..things).flat_map(|_| world.anything(time)).collect());
    }

    /// Takes `depth` blocks off and goes on differently.
    pub fn fork(&mut self, depth: usize, seed: u64) {
        let keep = self.blocks.len().saturating_sub(depth).max(1);
        self.blocks.truncate(keep);
        if let Some(world) = self.worlds.get(keep) {
            self.world = world.clone();
        }
        self.worlds.truncate(keep);
        self.world.reseed(seed);
        self.salt = seed;
    }
}

pub fn raw(log: &Emitted, number: u64, hash: B256, index: u64) -> RawLog {
    RawLog {
        address: log.address,
        topics: log.log.topics().to_vec(),
        data: log.log.data.clone(),
        block_number: number,
        block_hash: hash,
        transaction_hash: keccak256([hash.as_slice(), &index.to_be_bytes()].concat()),
        log_index: index,
        removed: false,
    }
}

fn place(log: &Emitted, number: u64, hash: B256, index: u64) -> Placed {
    let log = raw(log, number, hash, index);
    let speaker = decode::speaker(&log.topics[0]).unwrap();
    Placed {
        speaker,
        address: log.address,
        tx_hash: log.transaction_hash,
        log_index: index,
        event: decode::decode(speaker, &log),
    }
}

pub fn identity() -> Identity {
    let deployment = synthetic::deployment(CHAIN_ID, START);
    Identity {
        chain_id: deployment.chain_id,
        registry: deployment.registry,
        deployment_block: deployment.deployment_block,
        confirmations: 3,
    }
}

/// Derives and commits ranges of a chain as the follower does.
pub struct Applier {
    pub store: SharedWriter,
    pub deriver: Deriver,
    pub cursor: Option<BlockRef>,
}

impl Applier {
    pub async fn new(store: SharedWriter) -> Self {
        store.attach(&identity()).await.unwrap();
        let vaults = store.vaults().await.unwrap();
        let cursor = store.cursor().await.unwrap();
        let deriver = Deriver::new(synthetic::deployment(CHAIN_ID, START), vaults);
        Self {
            store,
            deriver,
            cursor,
        }
    }

    pub async fn commit(&mut self, blocks: &[Block], undo_above: u64) -> Commit {
        let needs = self.deriver.needs(blocks);
        let found = self.store.documents(&needs.keys).await.unwrap();
        self.deriver
            .load(found.into_iter().map(|(key, document)| (key, Some(document))));
        self.deriver.load(needs.keys.into_iter().map(|key| (key, None)));
        let derived = self.deriver.derive(blocks, undo_above).unwrap();
        let last = blocks.last().unwrap().block;
        Commit {
            after: self.cursor,
            from: blocks[0].block.number,
            to: last,
            blocks: blocks
                .iter()
                .filter(|block| !block.events.is_empty())
                .map(|block| block.block)
                .collect(),
            known: blocks.iter().map(|block| block.block).collect(),
            derived,
            undo_above,
        }
    }

    pub async fn apply(&mut self, blocks: &[Block], undo_above: u64) {
        let commit = self.commit(blocks, undo_above).await;
        self.store.apply(&commit).await.unwrap();
        self.cursor = Some(commit.to);
    }

    pub async fn rollback(&mut self, to: Option<BlockRef>) {
        self.store.rollback_to(to).await.unwrap();
        self.cursor = to;
        self.deriver.reset(self.store.vaults().await.unwrap());
    }
}
