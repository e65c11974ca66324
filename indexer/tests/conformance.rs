//! One suite for both engines: what a store owes, whichever it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::chain::{Applier, FakeChain, START, identity};
use common::{Scratch, postgres, reader, sqlite};

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
    let _ = (START, identity(), reader(&scratch).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_rollback_is_as_if_never_applied() {
    rollback_is_as_if_never_applied(sqlite().await, sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_rollback_is_as_if_never_applied() {
    rollback_is_as_if_never_applied(postgres().await, postgres().await).await;
}
