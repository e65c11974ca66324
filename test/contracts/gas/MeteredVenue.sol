// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {Vm} from "forge-std/Vm.sol";

/// @title A venue adapter with the gas meter stopped inside
/// @notice What a transaction costs through it is what it costs without the venue.
contract MeteredVenue {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    address private immutable inner;

    constructor(address inner_) {
        inner = inner_;
    }

    /// @dev Runs the adapter in whatever context this runs in: the vault's for trades, this contract's for views.
    fallback(bytes calldata data) external returns (bytes memory result) {
        VM.pauseGasMetering();
        bool ok;
        (ok, result) = inner.delegatecall(data);
        VM.resumeGasMetering();
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(result, 0x20), mload(result))
            }
        }
    }
}
