//! Bindings of the Solidity interfaces, from the ABI files that `script/abi` writes and checks.
#![allow(missing_docs, clippy::too_many_arguments)]

use alloy::sol;

sol!(
    #[sol(rpc, all_derives)]
    #[derive(serde::Serialize, serde::Deserialize)]
    IMirrorEngine,
    "abi/IMirrorEngine.json"
);
sol!(
    #[sol(rpc, all_derives)]
    IStrategyVault,
    "abi/IStrategyVault.json"
);
sol!(
    #[sol(rpc, all_derives)]
    IMasterRegistry,
    "abi/IMasterRegistry.json"
);
sol!(
    #[sol(rpc, all_derives)]
    ILiquidator,
    "abi/ILiquidator.json"
);
sol!(
    #[sol(rpc, all_derives)]
    IInsuranceFund,
    "abi/IInsuranceFund.json"
);
sol!(
    #[sol(rpc, all_derives)]
    IVenue,
    "abi/IVenue.json"
);
