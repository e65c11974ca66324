// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {Lockstep, LockstepConfig, LockstepDeployer} from "../../script/deploy/LockstepDeployer.sol";

/// @title {LockstepDeployer} as a contract of its own
/// @dev Compiled once, where inheriting the deployer would compile every contract again into every test contract.
contract LockstepFactory is LockstepDeployer {
    /// @dev The caller may still list and name: it owns the registry when `c.governance` says so.
    function deploy(LockstepConfig memory c) external returns (Lockstep memory) {
        return _deployLockstep(c, address(this));
    }
}
