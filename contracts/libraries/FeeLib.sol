// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {BPS, VaultState} from "./VaultState.sol";

/// @title FeeLib
/// @notice Fees accrue inside the vault and are pulled: nobody's payment can stop a batch.
library FeeLib {
    /// @dev Shares of the copy fee, bps; the rest is the master's.
    uint256 internal constant INSURANCE_SHARE = 2000;
    uint256 internal constant SENDER_SHARE = 1000;

    /// @notice 20 % to insurance, a bounded part to whoever sent the batch, the rest to the master.
    function accrueCopyFee(VaultState storage s, uint256 fee, address sender) internal {
        if (fee == 0) return;
        uint256 insured = fee * INSURANCE_SHARE / BPS;
        uint256 sent = fee * SENDER_SHARE / BPS;
        s.insuranceFees += uint80(insured);
        s.masterFees += uint80(fee - insured - sent);
        accrue(s, sender, sent);
    }

    function accrue(VaultState storage s, address who, uint256 fee) internal {
        if (fee == 0) return;
        s.fees[who] += fee;
        s.otherFees += uint96(fee);
    }

    function claimable(VaultState storage s, address who) internal view returns (uint256 amount) {
        amount = s.fees[who];
        if (who == s.master) amount += s.masterFees;
        if (who == s.insurance) amount += s.insuranceFees;
    }

    /// @notice Takes up to `most` of what `who` can claim off the books.
    function take(VaultState storage s, address who, uint256 most) internal returns (uint256 amount) {
        uint256 own = s.fees[who];
        if (own > most) own = most;
        s.fees[who] -= own;
        s.otherFees -= uint96(own);
        amount = own;
        if (who == s.master) {
            uint256 part = s.masterFees > most - amount ? most - amount : s.masterFees;
            s.masterFees -= uint80(part);
            amount += part;
        }
        if (who == s.insurance) {
            uint256 part = s.insuranceFees > most - amount ? most - amount : s.insuranceFees;
            s.insuranceFees -= uint80(part);
            amount += part;
        }
    }

    /// @notice Gives up to `most` of insurance's and the master's unclaimed fees for a loss.
    function giveUp(VaultState storage s, uint256 most) internal returns (uint256 amount) {
        amount = s.insuranceFees > most ? most : s.insuranceFees;
        s.insuranceFees -= uint80(amount);
        uint256 part = s.masterFees > most - amount ? most - amount : s.masterFees;
        s.masterFees -= uint80(part);
        amount += part;
    }

    /// @notice All fees not yet claimed, USDC 1e6.
    function total(VaultState storage s) internal view returns (uint256) {
        return uint256(s.otherFees) + s.masterFees + s.insuranceFees;
    }
}
// forge-lint: disable-end(unsafe-typecast)
