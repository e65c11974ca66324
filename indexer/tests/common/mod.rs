//! Stores, clusters and made-up chains for the tests.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod chain;
pub mod postgres;

use std::sync::Arc;

use lockstep_indexer::store::{self, SharedWriter};
use tempfile::TempDir;

/// An empty store and what keeps it alive.
pub struct Scratch {
    pub store: SharedWriter,
    pub url: String,
    _directory: Option<TempDir>,
}

pub async fn sqlite() -> Scratch {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("test.db").display());
    Scratch {
        store: store::open_writer(&url).await.unwrap(),
        url,
        _directory: Some(directory),
    }
}

pub async fn postgres() -> Scratch {
    let url = postgres::database();
    Scratch {
        store: store::open_writer(&url).await.unwrap(),
        url,
        _directory: None,
    }
}

/// Reader and writer of one store.
pub async fn reader(scratch: &Scratch) -> Arc<dyn store::Reader> {
    store::open_reader(&scratch.url).await.unwrap()
}
