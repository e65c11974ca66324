// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {TestUSDC} from "../../../script/deploy/local/TestUSDC.sol";
import {CommonBase} from "forge-std/Base.sol";

interface INotified {
    function onTransfer(address from, address to) external;
}

/// @title A collateral that calls out in the middle of every transfer
/// @notice Real USDC does not; a reentry cannot be caused otherwise.
contract HookUSDC is TestUSDC, CommonBase {
    INotified public immutable listener;

    constructor(INotified listener_) {
        listener = listener_;
    }

    function callAs(address who, address target, bytes calldata data) external returns (bool ok, bytes memory result) {
        vm.prank(who);
        return target.call(data);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        listener.onTransfer(from, to);
    }
}

/// @title A collateral with a list of blocked accounts, as USDC has
contract BlockingUSDC is TestUSDC {
    mapping(address who => bool) public blocked;

    function block_(address who, bool yes) external {
        blocked[who] = yes;
    }

    function _update(address from, address to, uint256 value) internal override {
        require(!blocked[from] && !blocked[to], "Blacklistable: account is blacklisted");
        super._update(from, to, value);
    }
}
