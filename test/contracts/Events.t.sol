// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// forge-lint: disable-start(unsafe-typecast)

import {IStrategyVault} from "../../contracts/interfaces/IStrategyVault.sol";
import {Mandate, Proof, Signal} from "../../contracts/interfaces/LockstepTypes.sol";
import {IPerpAdmin} from "../../script/deploy/PerpV2Deployer.sol";
import {LockstepFixture} from "./LockstepFixture.sol";
import {Vm} from "forge-std/Test.sol";

interface IPerpSlices {
    function liquidate(address trader, address baseToken, int256 positionSize) external;
}

/// @notice Whoever follows a vault's events has its books: every margin and every position, to the last unit. The books
/// are kept here a second time, from nothing but the events.
contract EventsTest is LockstepFixture {
    struct Held {
        int256 size;
        int256 quote;
        int256 index;
        /// The last change the venue made, and what it was applied to.
        uint256 generation;
        int256 sizeBefore;
        int256 quoteBefore;
        int256 indexBefore;
    }

    uint256 private _marginIndex = 1e18;
    mapping(uint256 account => uint256) private _shares;
    mapping(uint256 account => mapping(uint256 market => Held)) private _held;

    /// @dev Withdrawals that cost more than they paid, changes with funding owed, changes folded into the one before.
    uint256 private _rounded;
    uint256 private _withFunding;
    uint256 private _replaced;

    uint64 private _sequence;
    address private _taker = makeAddr("venue liquidator");

    function setUp() public override {
        super.setUp();
        (, vault) = _register(makeAddr("exchange master"), address(0), _terms());
        _fundMaster(_taker, 1_000_000e6);
        vm.recordLogs();
    }

    // ---------------------------------------------------------------- the books again

    function _compare() private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter == address(vault)) _apply(logs[i]);
        }
        for (uint32 a = 1; a <= vault.accountCount(); ++a) {
            assertEq(_shares[a] * _marginIndex / 1e18, vault.accountView(a).margin, "margin");
            for (uint8 m = 0; m < vault.marketCount(); ++m) {
                IStrategyVault.PositionView memory position = vault.positionView(a, m);
                assertEq(_held[a][m].size, position.size, "size");
                assertEq(_held[a][m].quote, position.quote, "quote");
            }
        }
    }

    function _apply(Vm.Log memory log) private {
        bytes32 kind = log.topics[0];
        uint256 a = log.topics.length > 1 ? uint256(log.topics[1]) : 0;
        if (kind == IStrategyVault.Deposited.selector) {
            _credit(a, abi.decode(log.data, (uint256)));
        } else if (kind == IStrategyVault.Withdrawn.selector) {
            (uint256 amount, uint256 debited) = abi.decode(log.data, (uint256, uint256));
            if (debited != amount) ++_rounded;
            _debit(a, debited);
        } else if (kind == IStrategyVault.PerformanceFeeCharged.selector) {
            (, uint256 fee,) = abi.decode(log.data, (uint256, uint256, uint256));
            _debit(a, fee);
        } else if (kind == IStrategyVault.AccountLiquidated.selector) {
            (uint256 reward, uint256 toInsurance) = abi.decode(log.data, (uint256, uint256));
            _debit(a, reward + toInsurance);
        } else if (kind == IStrategyVault.QuoteSwept.selector) {
            int256 amount = abi.decode(log.data, (int256));
            _held[a][uint256(log.topics[2])].quote -= amount;
            if (amount > 0) _credit(a, uint256(amount));
            else _debit(a, uint256(-amount));
        } else if (kind == IStrategyVault.BadDebt.selector) {
            (,,, _marginIndex) = abi.decode(log.data, (uint256, uint256, uint256, uint256));
            for (uint256 m = 0; a != 0 && m < vault.marketCount(); ++m) {
                _held[a][m].quote = 0;
            }
        } else if (kind == IStrategyVault.BatchMirrored.selector) {
            (,,,,,,,, int256 index,) = abi.decode(
                log.data, (int256, uint64, uint256, uint256, int256, uint256, uint256, uint256, int256, bytes)
            );
            Fill[] memory fills = _decode(log.data);
            for (uint256 i = 0; i < fills.length; ++i) {
                _fill(fills[i].account, uint256(log.topics[2]), fills[i].size, fills[i].quote, index);
            }
        } else if (kind == IStrategyVault.AccountFilled.selector) {
            (int256 size, int256 quote,,,, int256 index) =
                abi.decode(log.data, (int256, int256, uint256, uint256, uint256, int256));
            _fill(a, uint256(log.topics[2]), size, quote, index);
        } else if (kind == IStrategyVault.VenueDiverged.selector) {
            _change(a, log.data);
        }
    }

    function _credit(uint256 a, uint256 amount) private {
        _shares[a] += amount * 1e18 / _marginIndex;
    }

    function _debit(uint256 a, uint256 amount) private {
        uint256 shares = (amount * 1e18 + _marginIndex - 1) / _marginIndex;
        _shares[a] -= shares < _shares[a] ? shares : _shares[a];
    }

    function _fill(uint256 a, uint256 m, int256 size, int256 quote, int256 index) private {
        if (size == 0) return;
        Held storage h = _held[a][m];
        (h.size, h.quote, h.index) = (h.size + size, h.quote + quote, index);
    }

    function _change(uint256 m, bytes memory data) private {
        (uint8 generation, bool longSide, uint256 scale, int256 cash, int256 index) =
            abi.decode(data, (uint8, bool, uint256, int256, int256));
        for (uint256 a = 1; a <= vault.accountCount(); ++a) {
            Held storage h = _held[a][m];
            if (h.generation == generation) {
                ++_replaced;
            } else {
                if (h.size == 0) continue;
                (h.generation, h.sizeBefore, h.quoteBefore, h.indexBefore) = (generation, h.size, h.quote, h.index);
            }
            (int256 size, int256 quote) = (h.sizeBefore, h.quoteBefore);
            if (index != h.indexBefore) ++_withFunding;
            quote += _down(-size * (index - h.indexBefore), 1e21);
            if (size > 0 == longSide) {
                quote += _down((size > 0 ? size : -size) * cash, 1e30);
                size = size * int256(scale) / 1e18;
            }
            (h.size, h.quote, h.index) = (size, quote, index);
        }
    }

    function _down(int256 x, int256 d) private pure returns (int256) {
        return x / d - (x % d < 0 ? int256(1) : int256(0));
    }

    // ---------------------------------------------------------------- what happens

    function _signalTo(uint32 first, uint32 last, int256 leverage) private {
        (Signal memory signal, bytes memory signature) = _signal(vault.strategyId(), ETH, leverage, ++_sequence);
        vm.prank(sender);
        lockstep.engine.mirrorSigned(address(vault), signal, Proof.Keeper, signature, _accounts(first, last));
    }

    function _down7Percent(uint256 times) private {
        for (uint256 i = 0; i < times; ++i) {
            _wait(20);
            _setPrice(ethMarket, ethMarket.aggregator.latestAnswer() * 93 / 100);
        }
        _skip(31 minutes);
    }

    function _liquidatedByTheVenue(int256 size) private {
        vm.prank(_taker);
        IPerpSlices(address(perp.clearingHouse)).liquidate(address(vault), address(ethMarket.baseToken), size);
        vault.reconcile(ETH);
        _compare();
    }

    /// @dev Two longs and a short at 5, 4.5 and -0.25, and the vault below the venue's margin.
    function _belowTheVenuesMargin() private {
        _follow(1, 10_000e6);
        Mandate memory m = _mandate(vault, 2, 10_000e6);
        m.ratioBps = 9000;
        _follow(_key(2), m);
        m = _mandate(vault, 3, 1000e6);
        _follow(_key(3), m);
        uint32 first = vault.accountOf(_follower(1));
        _signalTo(first, first + 1, 5e18);
        // The market stays below the index for a while, and a trade settles with the venue: the first two are owed funding.
        _setIndexPrice(ethMarket, 2006e8);
        _skip(10 minutes);
        _signalTo(first + 2, first + 2, -0.25e18);
        _compare();
        _down7Percent(3);
    }

    // ---------------------------------------------------------------- tests

    function test_withdrawalsThatTheVenueRounds() public {
        _follow(1, 10_000e6);
        _follow(2, 50_000e6);
        vm.prank(_follower(2));
        vault.stop();
        _signalTo(1, 1, 1e18);
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(_follower(2));
            vault.withdraw(14_000e6 + i);
            _compare();
        }
        assertGt(_rounded, 0, "nothing was rounded");
        vm.prank(_follower(2));
        vault.withdraw(type(uint256).max);
        vm.prank(_follower(1));
        vault.exit(200);
        _compare();
    }

    function test_changesByTheVenue_oneByOneAndFolded() public {
        _belowTheVenuesMargin();
        // Nobody touches a position in between: all of them are one change.
        _liquidatedByTheVenue(1e15);
        _skip(10 minutes);
        _liquidatedByTheVenue(3e15);
        _skip(10 minutes);
        _liquidatedByTheVenue(7e15 + 1);
        assertEq(vault.marketView(ETH).generation, 1);
        assertGt(_replaced, 0, "nothing was folded");
        // One does: the next is another.
        _follow(_key(2), _mandate(vault, 2, 0));
        _compare();
        _skip(10 minutes);
        _liquidatedByTheVenue(5e15);
        assertEq(vault.marketView(ETH).generation, 2);
        _skip(10 minutes);
        _liquidatedByTheVenue(0);
        assertGt(_withFunding, 0, "no funding was owed");

        for (uint256 i = 1; i <= 3; ++i) {
            vm.prank(_follower(i));
            vault.exit(10_000);
            _compare();
        }
    }

    function test_badDebtAndWhatIsLeft() public {
        _follow(4, 50_000e6);
        _belowTheVenuesMargin();
        _down7Percent(1);
        lockstep.liquidator.liquidate(address(vault), vault.accountOf(_follower(1)));
        _compare();
        assertLt(_marginIndex, 1e18, "nothing was socialised");
        _follow(4, 5000e6);
        _compare();
        vm.prank(_follower(4));
        vault.withdraw(1234e6 + 567);
        vm.prank(_follower(3));
        vault.exit(10_000);
        _compare();
    }

    function test_closedMarket() public {
        _belowTheVenuesMargin();
        IPerpAdmin(address(ethMarket.baseToken)).pause();
        IPerpAdmin(address(ethMarket.baseToken)).close(1900e18);
        vault.reconcile(ETH);
        _compare();
        assertEq(vault.marketView(ETH).generation, 2, "two sides, two changes");
        for (uint256 i = 1; i <= 3; ++i) {
            vm.prank(_follower(i));
            vault.exit(200);
            _compare();
        }
    }
}
// forge-lint: disable-end(unsafe-typecast)
