// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// forge-lint: disable-start(unsafe-typecast)

import {StrategyVault} from "../../../contracts/StrategyVault.sol";
import {Mandate} from "../../../contracts/interfaces/LockstepTypes.sol";
import {LockstepFixture} from "../LockstepFixture.sol";
import {MeteredVenue} from "./MeteredVenue.sol";

/// @notice Gas of whole batch transactions on the real venue, every call a transaction of its own with cold storage.
/// forge-config: default.isolate = true
contract BatchGasTest is LockstepFixture {
    /// @dev EIP-7825.
    uint256 private constant TRANSACTION_LIMIT = 1 << 24;
    /// @dev What a follower may cost in a batch of 200 that have traded the market before, the venue's own gas aside.
    uint256 private constant WARM_FOLLOWER = 12_000;

    StrategyVault private metered;

    function setUp() public override {
        super.setUp();
        // A second strategy whose adapter is the same code with the meter stopped.
        MeteredVenue meter =
            MeteredVenue(vm.deployCode("MeteredVenue.sol:MeteredVenue", abi.encode(address(lockstep.venue))));
        address venue = address(meter);
        vm.startPrank(governance);
        lockstep.registry.listVenue(venue);
        lockstep.registry.listMarket(venue, bytes32(uint256(uint160(address(ethMarket.baseToken)))), "ETH-USD");
        lockstep.registry.listMarket(venue, bytes32(uint256(uint160(address(btcMarket.baseToken)))), "BTC-USD");
        vm.stopPrank();
        uint16[] memory markets = new uint16[](2);
        markets[1] = 1;
        vm.prank(master);
        (, address created) = lockstep.registry.register(venue, master, "metered", markets, _terms());
        metered = StrategyVault(created);
    }

    function test_gas_1() public {
        _measure(1);
    }

    function test_gas_10() public {
        _measure(10);
    }

    function test_gas_50() public {
        _measure(50);
    }

    function test_gas_200() public {
        (uint256 warm, uint256 total) = _measure(200);
        assertLe(warm / 200, WARM_FOLLOWER, "gas per follower");
        assertLt(total, TRANSACTION_LIMIT, "transaction limit");
    }

    /// @dev A venue that asks for so much margin that no price is harmless: every account is looked at before the trade. In
    /// a thin market that comes after one attempt, so a second trade of the venue must fit in as well.
    function test_gas_200_everyAccountIsLookedAt() public {
        _open(vault, 200);
        bytes memory accounts = _accounts(1, 200);
        _trade(master, ethMarket, 500e18);
        vm.mockCall(address(lockstep.venue), abi.encodeWithSignature("marginRequirementsBps()"), abi.encode(5000, 2500));
        uint256 first = _batch(vault, accounts);
        _skip(60);
        _trade(master, ethMarket, 250e18);
        uint256 warm = _batch(vault, accounts);
        emit log_named_uint("first: transaction", first);
        emit log_named_uint("warm: transaction", warm);
        assertLt(first + 1_000_000, TRANSACTION_LIMIT, "transaction limit");
    }

    function _measure(uint256 count) private returns (uint256 warmWithout, uint256 warmWith) {
        _open(vault, count);
        _open(metered, count);
        bytes memory accounts = _accounts(1, count);

        _trade(master, ethMarket, 500e18);
        uint256 firstWith = _batch(vault, accounts);
        uint256 firstWithout = _batch(metered, accounts);

        _skip(60);
        _trade(master, ethMarket, 250e18);
        warmWith = _batch(vault, accounts);
        warmWithout = _batch(metered, accounts);

        emit log_named_uint("followers", count);
        emit log_named_uint("first: transaction", firstWith);
        emit log_named_uint("first: per follower, venue aside", firstWithout / count);
        emit log_named_uint("warm: transaction", warmWith);
        emit log_named_uint("warm: per follower, all in", warmWith / count);
        emit log_named_uint("warm: per follower, venue aside", warmWithout / count);
        emit log_named_uint("venue", warmWith - warmWithout);
    }

    function _batch(StrategyVault v, bytes memory accounts) private returns (uint256 gas) {
        vm.prank(sender);
        (, uint256 moved) = lockstep.engine.mirrorVenue(address(v), ETH, 0, accounts);
        gas = vm.lastCallGas().gasTotalUsed;
        assertEq(moved, accounts.length / 4, "moved");
    }

    function _open(StrategyVault v, uint256 count) private {
        for (uint256 i = 1; i <= count; ++i) {
            Mandate memory m = _mandate(v, i, uint64(1000e6 + i * 1e6));
            _follow(_key(i), m);
        }
    }
}
// forge-lint: disable-end(unsafe-typecast)
