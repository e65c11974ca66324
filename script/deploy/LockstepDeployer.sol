// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {InsuranceFund} from "../../contracts/InsuranceFund.sol";
import {Liquidator} from "../../contracts/Liquidator.sol";
import {MasterRegistry} from "../../contracts/MasterRegistry.sol";
import {MirrorEngine} from "../../contracts/MirrorEngine.sol";
import {StrategyVault} from "../../contracts/StrategyVault.sol";
import {PerpV2Venue} from "../../contracts/venues/PerpV2Venue.sol";

/// @dev A whole Lockstep.
struct Lockstep {
    MasterRegistry registry;
    MirrorEngine engine;
    Liquidator liquidator;
    InsuranceFund insurance;
    PerpV2Venue venue;
    StrategyVault vaultImplementation;
}

/// @dev What Lockstep is built on.
struct LockstepConfig {
    address usdc;
    address permit2;
    address clearingHouse;
    address marketRegistry;
    /// Oldest oracle answer that is still a price, seconds.
    uint256 maxPriceAge;
    /// Zero on chains without a sequencer feed.
    address sequencerFeed;
    /// Owner of the registry in the end.
    address governance;
    /// Zero: none yet.
    address keeper;
    string[] symbols;
    /// The venue's base tokens, in the order of `symbols`.
    address[] baseTokens;
}

/// @title Deploys Lockstep on an existing Perp v2
/// @notice For tests and for the script, so that both deploy the same.
abstract contract LockstepDeployer {
    Lockstep internal lockstep;

    /// @param deployer who makes the calls: owns the registry until everything is listed
    function _deployLockstep(LockstepConfig memory c, address deployer) internal returns (Lockstep memory l) {
        l.registry = new MasterRegistry(deployer);
        l.liquidator = new Liquidator(address(l.registry));
        l.insurance = new InsuranceFund(address(l.registry), c.usdc);
        l.engine = new MirrorEngine(address(l.registry), address(l.liquidator), c.permit2, c.usdc);
        l.vaultImplementation = new StrategyVault(
            address(l.registry), address(l.engine), address(l.liquidator), address(l.insurance), c.usdc
        );
        l.venue = new PerpV2Venue(c.clearingHouse, c.marketRegistry, c.maxPriceAge, c.sequencerFeed);

        l.registry.setVaultImplementation(address(l.vaultImplementation));
        l.registry.listVenue(address(l.venue));
        for (uint256 i = 0; i < c.symbols.length; ++i) {
            l.registry.listMarket(address(l.venue), bytes32(uint256(uint160(c.baseTokens[i]))), c.symbols[i]);
        }
        if (c.keeper != address(0)) l.registry.setKeeper(c.keeper, true);
        if (c.governance != deployer) l.registry.transferOwnership(c.governance);
        lockstep = l;
    }
}
