//! Stores, clusters and made-up chains for the tests.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod chain;
pub mod proxy;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use lockstep_indexer::bench::postgres::Cluster;
use lockstep_indexer::store::{self, SharedWriter};
use tempfile::TempDir;

/// An empty store and what keeps it alive.
pub struct Scratch {
    pub store: SharedWriter,
    pub url: String,
    directory: Option<TempDir>,
}

impl Scratch {
    pub fn file(&self) -> PathBuf {
        PathBuf::from(self.url.strip_prefix("sqlite://").unwrap())
    }
}

pub async fn sqlite() -> Scratch {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("test.db").display());
    Scratch {
        store: store::open_writer(&url).await.unwrap(),
        url,
        directory: Some(directory),
    }
}

pub fn postgres_url() -> String {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER
        .get_or_init(|| Cluster::start().unwrap())
        .database()
        .unwrap()
}

pub async fn postgres() -> Scratch {
    let url = postgres_url();
    Scratch {
        store: store::open_writer(&url).await.unwrap(),
        url,
        directory: None,
    }
}

/// The read side of a store.
pub async fn reader(scratch: &Scratch) -> Arc<dyn store::Reader> {
    store::open_reader(&scratch.url).await.unwrap()
}

pub fn anvil() -> PathBuf {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../node_modules/.bin/anvil"));
    assert!(path.exists(), "{} is missing: run `npm ci`", path.display());
    path
}
