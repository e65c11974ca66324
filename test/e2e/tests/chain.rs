//! The contracts on a real node, without any of the services.

use std::collections::BTreeSet;

use lockstep_contracts::bindings::{IMirrorEngine, IStrategyVault};
use lockstep_contracts::fills::encode_accounts;
use lockstep_devnet::chain::TRANSACTION_GAS_LIMIT;
use lockstep_devnet::followers::follow_call;
use lockstep_devnet::stack::{Stack, StackOptions};

fn chain_only() -> StackOptions {
    StackOptions {
        keeper: false,
        indexer: false,
        api: false,
        ..StackOptions::default()
    }
}

#[tokio::test]
async fn anyone_can_do_the_keepers_work() -> anyhow::Result<()> {
    let stack = Stack::with(chain_only()).await?;
    let master = stack.master(0).await?;
    let follower = stack.follower(1)?;
    let signed = stack
        .sign_funded(&follower, stack.mandate(&follower, &master, 1_000))
        .await?;
    let call = follow_call(&signed);
    stack
        .chain
        .execute(&stack.arbitrageur, stack.deployment.engine, &call, 2_000_000)
        .await?;
    master.trade(&stack, "ETH-USD", 20_000).await?;

    let call = IMirrorEngine::mirrorVenueCall {
        vault: master.vault,
        market: 0,
        observedAt: 0,
        accounts: encode_accounts(&BTreeSet::from([1])).into(),
    };
    let receipt = stack
        .chain
        .execute(&stack.arbitrageur, stack.deployment.engine, &call, 5_000_000)
        .await?;
    assert!(receipt.gas_used < TRANSACTION_GAS_LIMIT);
    let vault = IStrategyVault::new(master.vault, stack.chain.provider());
    let position = vault.positionView(1, 0).call().await?;
    assert!(position.size.is_positive());
    Ok(())
}
