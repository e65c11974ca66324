// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// forge-lint: disable-start(unsafe-typecast)

import {StrategyVault} from "../../../contracts/StrategyVault.sol";
import {Mandate, Terms} from "../../../contracts/interfaces/LockstepTypes.sol";
import {LockstepFixture} from "../LockstepFixture.sol";

/// @notice What a batch leaves behind, in a market thin enough that somebody can make its price.
/// forge-config: default.fuzz.runs = 64
/// forge-config: long.fuzz.runs = 2000
contract BatchSolvencyFuzzTest is LockstepFixture {
    uint32 private constant FOLLOWERS = 5;
    int256 private constant INDEX = 2000e18;

    StrategyVault private v;
    address private attacker = makeAddr("attacker");
    uint64 private sequence;

    /// @param away how far the index goes against what was opened; off: how far somebody takes the pool's price from the
    /// index, against what is to be traded, bps
    struct Case {
        uint256 seed;
        bool long;
        uint256 first;
        uint256 second;
        uint256 away;
        uint256 off;
        uint256 copyFeeBps;
        uint256 maintenance;
    }

    function setUp() public override {
        _deployVenue(160e6 * 1e18, 80e6 * 1e6);
        _deployAll();
        _fundMaster(attacker, 50_000_000e6);
    }

    /// @dev Whoever a batch moves can pay for it alone: what is open afterwards is covered by the maintenance margin at the
    /// index, or was not before. Signals, mandates, copy fee, the venue's requirements, the index and the price that
    /// somebody makes are all free.
    function testFuzz_batch_leavesNobodyShort(Case memory c) public {
        Terms memory terms = _terms();
        (terms.maxLeverageBps, terms.maxSlippageBps, terms.minTradeNotional) = (70_000, 500, 1e6);
        terms.copyFeeBps = uint16(bound(c.copyFeeBps, 0, 100));
        int256 sign = c.long ? int256(1) : -1;
        int256 first = sign * int256(bound(c.first, 2e18, 7e18));
        // Most turn round.
        int256 second = -sign * int256(bound(c.second, 0, 8e18)) + (c.seed % 8 == 0 ? 2 * first : int256(0));
        (, v) = _register(attacker, address(0), terms);
        for (uint32 i = 1; i <= FOLLOWERS; ++i) {
            Mandate memory m = _mandate(v, i, uint64(bound(_random(c.seed, i), 1000e6, 60_000e6)));
            m.ratioBps = uint32(bound(_random(c.seed, 10 + i), 5000, 20_000));
            m.maxLeverageBps = uint32(bound(_random(c.seed, 20 + i), 30_000, 100_000));
            m.maxSlippageBps = uint16(bound(_random(c.seed, 30 + i), 100, 3000));
            _follow(_key(i), m);
        }
        _batch(ETH, first);
        if (c.seed % 5 == 0) _batch(BTC, second / 7);

        // The index goes against what is open, the pool's price against what comes.
        int256 price = INDEX * (10_000 - sign * int256(bound(c.away, 0, 1000))) / 10_000;
        _setPrice(ethMarket, price / 1e10);
        _skip(60);
        _push(uint256(price * (10_000 - sign * int256(bound(c.off, 0, 500))) / 10_000));
        // A venue that asks for more or less than when the terms were made.
        if (c.seed % 3 == 0) {
            vm.mockCall(
                address(lockstep.venue),
                abi.encodeWithSignature("marginRequirementsBps()"),
                abi.encode(1000, bound(c.maintenance, 100, 1250))
            );
        }

        _batch(ETH, second);
        _assertSolvent(v);
    }

    /// @dev Everything that moved is covered, or was not before.
    function _batch(uint8 market, int256 leverage) private {
        bool[] memory covered = new bool[](FOLLOWERS + 1);
        for (uint32 i = 1; i <= FOLLOWERS; ++i) {
            covered[i] = _covered(i);
        }
        try this.send(market, leverage) returns (Fill[] memory fills) {
            for (uint256 i = 0; i < fills.length; ++i) {
                if (fills[i].size == 0 || !covered[fills[i].account]) continue;
                assertTrue(_covered(fills[i].account), "left with less than the maintenance margin");
            }
        } catch {}
    }

    /// @dev From outside, so that a refusal can be caught.
    function send(uint8 market, int256 leverage) external returns (Fill[] memory) {
        return _mirrorSigned(v, market, leverage, ++sequence, _accounts(1, FOLLOWERS));
    }

    function _covered(uint32 account) private view returns (bool) {
        return v.equityOf(account) >= int256(v.maintenanceOf(account));
    }

    /// @dev Until the pool's price is past `target`, in steps that the venue allows.
    function _push(uint256 target) private {
        bool up = _poolPrice() < target;
        for (uint256 i = 0; i < 30 && (_poolPrice() < target) == up; ++i) {
            _trade(attacker, ethMarket, up ? int256(100e18) : -100e18);
            _skip(20);
        }
    }

    function _poolPrice() private view returns (uint256) {
        (uint160 sqrtPrice,,,,,,) = ethMarket.pool.slot0();
        return uint256(sqrtPrice) * sqrtPrice / (1 << 96) * 1e18 >> 96;
    }

    function _random(uint256 seed, uint256 i) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, i)));
    }
}
// forge-lint: disable-end(unsafe-typecast)
