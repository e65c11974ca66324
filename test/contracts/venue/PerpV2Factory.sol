// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {PerpMarket, PerpV2, PerpV2Deployer} from "../../../script/deploy/PerpV2Deployer.sol";
import {SettableAggregator} from "../../../script/deploy/local/SettableAggregator.sol";

/// @title {PerpV2Deployer} as a contract of its own
/// @dev Compiled once, where inheriting the deployer would compile it again into every test contract.
contract PerpV2Factory is PerpV2Deployer {
    /// @notice Permit2, the venue, both markets, half an hour, liquidity.
    /// @param owner whose the venue is
    /// @param makerQuote liquidity per market (18)
    /// @param makerCollateral margin per market (6)
    function deploy(address owner, uint256 makerQuote, uint256 makerCollateral)
        external
        returns (PerpV2 memory, PerpMarket memory eth, PerpMarket memory btc, SettableAggregator sequencer)
    {
        if (vm.getBlockTimestamp() < 1e9) vm.warp(1_790_000_000);
        vm.etch(PERMIT2, _permit2Code());
        vm.startPrank(owner);
        _deployContracts(owner);
        vm.warp(vm.getBlockTimestamp() + PRICE_HISTORY + 1);
        _provideLiquidity(makerQuote, makerCollateral);
        vm.stopPrank();
        return (perp, ethMarket, btcMarket, sequencerFeed);
    }
}
