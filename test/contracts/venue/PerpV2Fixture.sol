// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {PerpMarket, PerpV2} from "../../../script/deploy/PerpV2Deployer.sol";
import {SettableAggregator} from "../../../script/deploy/local/SettableAggregator.sol";
import {PerpV2Factory} from "./PerpV2Factory.sol";
import {CommonBase} from "forge-std/Base.sol";

/// @title The real Perp v2 for a test contract
/// @notice Inherit and call {_deployVenue}. The test contract owns the venue.
abstract contract PerpV2Fixture is CommonBase {
    address internal constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;

    PerpV2 internal perp;
    PerpMarket internal ethMarket;
    PerpMarket internal btcMarket;
    /// @dev Chainlink's L2 sequencer uptime feed: answer 0, up.
    SettableAggregator internal sequencerFeed;

    /// @notice Permit2, the venue, both markets, half an hour of history, fresh prices and deep liquidity: 10 M traded at
    /// once move the price by 0.25 %.
    function _deployVenue() internal {
        _deployVenue(4e9 * 1e18, 2e9 * 1e6);
    }

    /// @notice As {_deployVenue}, with a depth of one's own: quote (18) and maker's collateral (6) per market.
    function _deployVenue(uint256 makerQuote, uint256 makerCollateral) internal {
        PerpV2Factory factory = PerpV2Factory(vm.deployCode("PerpV2Factory.sol:PerpV2Factory"));
        (perp, ethMarket, btcMarket, sequencerFeed) = factory.deploy(address(this), makerQuote, makerCollateral);
    }

    /// @notice Sets the index price (8 decimals) one second from now and takes the market along.
    function _setPrice(PerpMarket memory market, int256 answer) internal {
        _wait(1);
        perp.marketMaker.setPrice(address(market.baseToken), market.aggregator, answer);
    }

    /// @notice Sets the index price (8 decimals) one second from now and leaves the market where it is.
    function _setIndexPrice(PerpMarket memory market, int256 answer) internal {
        _wait(1);
        perp.marketMaker.setIndexPrice(address(market.baseToken), market.aggregator, answer);
    }

    /// @notice Lets time pass. The IR optimiser takes `block.timestamp` for constant within a call and hoists it out of
    /// a loop: tests that warp must ask {Vm-getBlockTimestamp} instead.
    function _wait(uint256 time) internal {
        vm.warp(vm.getBlockTimestamp() + time);
    }
}
