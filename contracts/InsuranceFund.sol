// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {IInsuranceFund} from "./interfaces/IInsuranceFund.sol";
import {IMasterRegistry} from "./interfaces/IMasterRegistry.sol";
import {BPS} from "./libraries/VaultState.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @title InsuranceFund
/// @notice Pays bad debt of vaults, a capped share of the fund a day. Nobody can take money out of it for themselves, but
/// it believes what a registered vault says it is short of: the registry's owner, who names the code of future vaults,
/// could through false ones reach VAULT_CAP_BPS of it a vault and DAY_CAP_BPS in all a day.
contract InsuranceFund is IInsuranceFund {
    /// @notice Most one vault gets in a day, bps of the fund at the day's first payment.
    uint256 public constant VAULT_CAP_BPS = 2000;
    /// @notice Most all vaults get in a day together.
    uint256 public constant DAY_CAP_BPS = 5000;

    struct Day {
        uint64 number;
        uint192 paid;
    }

    IMasterRegistry public immutable registry;
    address public immutable usdc;

    /// @inheritdoc IInsuranceFund
    uint256 public balance;
    /// @notice Paid to all vaults on the day, and the fund as that day began.
    Day public total;
    uint256 public openingBalance;
    mapping(address vault => Day) public paidTo;

    constructor(address registry_, address usdc_) {
        (registry, usdc) = (IMasterRegistry(registry_), usdc_);
    }

    /// @inheritdoc IInsuranceFund
    function cover(uint256 amount) external returns (uint256 paid) {
        if (registry.strategyOf(msg.sender) == 0) revert OnlyVault(msg.sender);
        paid = FixedPointMathLib.min(amount, available(msg.sender));

        uint64 today = uint64(block.timestamp / 1 days);
        if (total.number != today) {
            (total, openingBalance) = (Day(today, 0), balance);
        }
        if (paidTo[msg.sender].number != today) paidTo[msg.sender] = Day(today, 0);
        total.paid += uint192(paid);
        paidTo[msg.sender].paid += uint192(paid);
        balance -= paid;
        emit Covered(msg.sender, amount, paid);
        if (paid != 0) SafeTransferLib.safeTransfer(usdc, msg.sender, paid);
    }

    /// @inheritdoc IInsuranceFund
    function donate(uint256 amount) external {
        balance += amount;
        emit Donated(msg.sender, amount);
        SafeTransferLib.safeTransferFrom(usdc, msg.sender, address(this), amount);
    }

    /// @inheritdoc IInsuranceFund
    function available(address vault) public view returns (uint256) {
        uint64 today = uint64(block.timestamp / 1 days);
        uint256 opening = total.number == today ? openingBalance : balance;
        uint256 paidToAll = total.number == today ? total.paid : 0;
        uint256 paidToVault = paidTo[vault].number == today ? paidTo[vault].paid : 0;
        uint256 left = FixedPointMathLib.zeroFloorSub(opening * VAULT_CAP_BPS / BPS, paidToVault);
        left = FixedPointMathLib.min(left, FixedPointMathLib.zeroFloorSub(opening * DAY_CAP_BPS / BPS, paidToAll));
        return FixedPointMathLib.min(left, balance);
    }
}
// forge-lint: disable-end(unsafe-typecast)
