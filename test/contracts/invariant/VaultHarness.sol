// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {StrategyVault} from "../../../contracts/StrategyVault.sol";
import {FeeLib} from "../../../contracts/libraries/FeeLib.sol";
import {LedgerLib} from "../../../contracts/libraries/LedgerLib.sol";

/// @title The vault with its books open
/// @notice Adds views for tests and changes nothing.
contract VaultHarness is StrategyVault {
    struct Books {
        uint256 idle;
        uint256 totalFees;
        int256 venueCash;
        int256 totalQuote;
        uint256 totalShares;
        uint256 marginIndex;
        uint256 units;
        bool woundUp;
    }

    constructor(address registry_, address engine_, address liquidator_, address insurance_, address usdc_)
        StrategyVault(registry_, engine_, liquidator_, insurance_, usdc_)
    {}

    function books() external view returns (Books memory b) {
        b.idle = state.idle;
        b.totalFees = FeeLib.total(state);
        b.venueCash = state.venueCash;
        b.totalQuote = state.totalQuote;
        b.totalShares = state.totalShares;
        b.marginIndex = state.marginIndex;
        b.units = state.units;
        b.woundUp = state.woundUp;
    }

    function sharesOf(uint32 account) external view returns (uint256) {
        return state.accounts[account].marginShares();
    }

    function quoteOf(uint32 account, uint8 market) external view returns (int256) {
        return LedgerLib.position(state, account, market).quote();
    }

    /// @notice As of the venue's last settlement, without what is pending there.
    function settledIndex(uint8 market) external view returns (int256) {
        return state.markets[market].fundingIndex;
    }

    function sizeOf(uint32 account, uint8 market) external view returns (int256) {
        return LedgerLib.position(state, account, market).size();
    }
}
