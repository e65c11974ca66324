// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// forge-lint: disable-start(unsafe-typecast)

import {Outcome} from "../../contracts/interfaces/LockstepTypes.sol";
import {LockstepFixture} from "./LockstepFixture.sol";

/// @notice One walk through everything, on the real venue.
contract SmokeTest is LockstepFixture {
    function test_followMirrorExit() public {
        uint32 a = _follow(1, 10_000e6);
        uint32 b = _follow(2, 2000e6);
        assertEq(a, 1);
        assertEq(b, 2);
        (uint256 index, uint256 equity) = vault.nav();
        assertEq(index, 1e18);
        assertEq(equity, 12_000e6);

        _trade(master, ethMarket, 1000e18); // 2x
        Fill[] memory fills = _mirror(ETH);
        assertEq(uint8(fills[0].outcome), uint8(Outcome.Moved));
        assertEq(uint8(fills[1].outcome), uint8(Outcome.Moved));
        assertApproxEqRel(fills[0].size, 10e18, 0.02e18);
        assertApproxEqRel(fills[0].size, 5 * fills[1].size, 1e12);
        _assertSolvent(vault);

        _setPrice(ethMarket, 2200e8);
        assertApproxEqRel(vault.equityOf(a), 12_000e6, 0.01e18);

        _trade(master, ethMarket, -1500e18);
        _mirror(ETH);
        assertLt(vault.positionView(a, ETH).size, 0);
        _assertSolvent(vault);

        int256 before = vault.equityOf(a);
        vm.prank(_follower(1));
        uint256 paid = vault.exit(200);
        assertEq(perp.usdc.balanceOf(_follower(1)), paid);
        assertApproxEqRel(int256(paid), before, 0.03e18);
        _assertSolvent(vault);

        vm.prank(_follower(2));
        vault.exit(200);
        _assertSolvent(vault);
        emit log_named_int("left", vault.equityOf(a) + vault.equityOf(b));
        emit log_named_int("assets", _assets(vault));
    }
}
// forge-lint: disable-end(unsafe-typecast)
