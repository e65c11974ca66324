// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {IVenue} from "../../../contracts/interfaces/IVenue.sol";
import {Mandate} from "../../../contracts/interfaces/LockstepTypes.sol";
import {LockstepFixture} from "../LockstepFixture.sol";

/// @notice Money in and out, funding and fees over random histories, on the real venue.
/// forge-config: default.fuzz.runs = 24
/// forge-config: long.fuzz.runs = 1000
contract FlowsFuzzTest is LockstepFixture {
    /// @dev What the venue asks for the vault's net position is what all accounts owe together, rounded up by less than
    /// a unit each.
    function testFuzz_funding_accountsOweWhatTheVenueAsks(
        uint64[4] memory deposits,
        int128 push,
        uint32 time,
        bool short
    ) public {
        for (uint256 i = 0; i < 4; ++i) {
            Mandate memory m = _mandate(vault, i + 1, uint64(bound(deposits[i], 100e6, 200_000e6)));
            m.ratioBps = uint32(bound(uint256(deposits[i]) % 7919, 500, 20_000));
            _follow(_key(i + 1), m);
        }
        _trade(master, ethMarket, short ? -900e18 : int256(900e18));
        _mirror(ETH);
        address outsider = makeAddr("outsider");
        _fundMaster(outsider, 100_000_000e6);
        int256 size = bound(push, -100_000e18, 100_000e18);
        if (size > 1e15 || size < -1e15) _trade(outsider, ethMarket, size);
        _pass(bound(time, 1, 6 hours));

        bytes32 id = vault.marketView(ETH).venueMarket;
        IVenue.Holding memory h = lockstep.venue.holding(address(vault), id);
        int256 owed;
        for (uint32 i = 1; i <= 4; ++i) {
            owed += vault.positionView(i, ETH).pendingFunding;
        }
        int256 asked = h.pendingFunding / 1e12;
        assertGe(owed, asked, "the vault pays for its followers");
        // One step of the index (1e-9 USDC per unit) for the whole size, and a unit per account.
        int256 step = (h.size > 0 ? h.size : -h.size) / 1e21 + 6;
        assertLe(owed, asked + step, "followers pay more than the venue asks");
        _assertSolvent(vault);
        // Charged, nothing appears and nothing is lost.
        vault.checkpoint();
        for (uint256 i = 1; i <= 4; ++i) {
            vm.prank(_follower(i));
            vault.exit(10_000);
        }
        _assertSolvent(vault);
    }

    /// @dev The performance fee is a share of what was earned above the highest point, once.
    function testFuzz_performanceFee_onlyAboveTheMark(uint256 seed, uint8 steps) public {
        uint256 deposited = 20_000e6;
        _follow(1, 20_000e6);
        _trade(master, ethMarket, 1000e18);
        _mirror(ETH);
        int256 price = 2000e8;
        int256 best;
        uint32[] memory accounts = new uint32[](1);
        accounts[0] = 1;
        uint256 n = bound(steps, 2, 10);
        uint256 fees;
        for (uint256 i = 0; i < n; ++i) {
            uint256 r = uint256(keccak256(abi.encode(seed, i)));
            price = price * int256(bound(r, 9500, 10_500)) / 10_000;
            _setPrice(ethMarket, price);
            _pass(60);
            if (r % 4 == 1) {
                _follow(_key(1), _mandate(vault, 1, 3000e6));
                deposited += 3000e6;
            }
            if (r % 4 == 2) _mirror(ETH);
            if (r % 4 == 3) {
                _pass(31 days);
                ethMarketFollow();
            }
            int256 profit = vault.equityOf(1) + int256(fees) - int256(deposited);
            if (profit > best) best = profit;
            uint256 before = vault.claimable(master);
            vault.crystallise(accounts);
            fees += vault.claimable(master) - before;
            assertLe(int256(fees), (best > 0 ? best : int256(0)) / 10 + 10, "a fee below the highest point");
        }
    }

    function ethMarketFollow() internal {
        try perp.marketMaker.follow(address(ethMarket.baseToken)) {} catch {}
    }

    /// @dev Someone else's flows change neither the index nor what one owns.
    function testFuzz_nav_flowsOfOthers(uint64[6] memory amounts, uint8 ways, int64 move) public {
        _follow(1, 10_000e6);
        _trade(master, ethMarket, 800e18);
        _mirror(ETH);
        _setPrice(ethMarket, bound(move, 1850e8, 2150e8));
        int256 mine = vault.equityOf(1);
        vault.checkpoint();
        (uint256 index,) = vault.nav();
        for (uint256 i = 0; i < 6; ++i) {
            if (ways >> i & 1 == 0) {
                _follow(_key(2), _mandate(vault, 2, uint64(bound(amounts[i], 10e6, 1_000_000e6))));
            } else if (vault.accountOf(_follower(2)) != 0) {
                uint256 free = vault.freeMarginOf(2);
                if (free == 0) continue;
                vm.prank(_follower(2));
                vault.withdraw(bound(amounts[i], 1, free));
            }
            assertApproxEqAbs(vault.equityOf(1), mine, 2, "someone else's flow changed what I own");
            (uint256 now_,) = vault.nav();
            assertApproxEqRel(now_, index, 1e9, "a flow moved the index");
        }
    }

    function _pass(uint256 time) private {
        _wait(time);
        ethMarket.aggregator.set(ethMarket.aggregator.latestAnswer());
        btcMarket.aggregator.set(btcMarket.aggregator.latestAnswer());
    }
}
