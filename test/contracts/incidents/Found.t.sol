// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {StrategyVault} from "../../../contracts/StrategyVault.sol";
import {IMirrorEngine} from "../../../contracts/interfaces/IMirrorEngine.sol";
import {IStrategyVault} from "../../../contracts/interfaces/IStrategyVault.sol";
import {IVenue} from "../../../contracts/interfaces/IVenue.sol";
import {Mandate, Outcome, Status, Terms} from "../../../contracts/interfaces/LockstepTypes.sol";
import {IPerpAdmin} from "../../../script/deploy/PerpV2Deployer.sol";
import {LockstepFixture} from "../LockstepFixture.sol";
import {GasBurner, RevertBomb} from "./Wallets.sol";
import {Vm} from "forge-std/Test.sol";

interface IPerpLiquidate {
    function liquidate(address trader, address baseToken, int256 positionSize) external;
    function quitMarket(address trader, address baseToken) external returns (uint256 base, uint256 quote);
}

abstract contract FoundFixture is LockstepFixture {
    address internal attacker = makeAddr("attacker");

    /// @dev Time passes and both oracles keep answering.
    function _pass(uint256 time) internal {
        _wait(time);
        ethMarket.aggregator.set(ethMarket.aggregator.latestAnswer());
        btcMarket.aggregator.set(btcMarket.aggregator.latestAnswer());
    }
}

/// @notice Faults found by reading the contracts as an attacker would, each with the harm it does as a test.
contract FoundTest is FoundFixture {
    /// @dev The venue lets a liquidator choose the size. A vault below the venue's margin could be cut into hundreds of
    /// slices, each a change of its own, until the count of changes in a position overflows.
    function test_venueLiquidatesInSlices_everyoneStillLeaves() public {
        _follow(1, 10_000e6);
        _follow(2, 10_000e6);
        _trade(master, ethMarket, 2500e18); // 5x
        _mirror(ETH);
        _setPrice(ethMarket, 1850e8);
        _pass(60);
        _setPrice(ethMarket, 1700e8);
        _pass(60);
        _setPrice(ethMarket, 1620e8);
        _pass(31 minutes);

        _fundMaster(attacker, 1_000_000e6);
        for (uint256 i = 0; i < 260; ++i) {
            vm.prank(attacker);
            IPerpLiquidate(address(perp.clearingHouse)).liquidate(address(vault), address(ethMarket.baseToken), 1e10);
            try vault.reconcile(ETH) {} catch {}
        }
        _everyoneLeaves();
    }

    /// @dev Leaving never fails; once the venue has liquidated what it will, nothing is left open.
    function _everyoneLeaves() private {
        for (uint256 i = 1; i <= 2; ++i) {
            vm.prank(_follower(i));
            vault.exit(10_000);
        }
        for (uint256 i = 0; i < 6; ++i) {
            vm.prank(attacker);
            try IPerpLiquidate(address(perp.clearingHouse))
                .liquidate(address(vault), address(ethMarket.baseToken), 0) {}
                catch {}
        }
        for (uint256 i = 1; i <= 2; ++i) {
            vm.prank(_follower(i));
            vault.exit(10_000);
            assertEq(vault.positionView(uint32(i), ETH).size, 0, "still open");
        }
    }

    /// @dev The same by someone who is a follower too, and writes a position of their own between the slices.
    function test_venueLiquidatesInSlices_byAFollower_everyoneStillLeaves() public {
        _follow(1, 10_000e6);
        _follow(2, 10_000e6);
        _trade(master, ethMarket, 2500e18); // 5x
        _mirror(ETH);
        _setPrice(ethMarket, 1850e8);
        _pass(60);
        _setPrice(ethMarket, 1700e8);
        _pass(60);
        _setPrice(ethMarket, 1620e8);
        _pass(31 minutes);

        _fundMaster(attacker, 1_000_000e6);
        for (uint256 i = 0; i < 300; ++i) {
            vm.prank(attacker);
            IPerpLiquidate(address(perp.clearingHouse)).liquidate(address(vault), address(ethMarket.baseToken), 1e10);
            vm.prank(_follower(2));
            try vault.closePosition(ETH, 100, 10_000) {} catch {}
        }
        _everyoneLeaves();
        _assertSolvent(vault);
    }

    /// @dev A change that arrives when a position can count no more of them is not divided by position. Everybody's margin
    /// bears the venue's penalty for it, never the size that is gone, and everyone still leaves.
    function test_venueLiquidates_outOfGenerations_everyoneStillLeaves() public {
        _follow(1, 10_000e6);
        _follow(2, 10_000e6);
        Mandate memory m = _mandate(vault, 3, 500e6);
        m.allowedMarkets = new string[](1);
        m.allowedMarkets[0] = "BTC-USD";
        _follow(_key(3), m);
        _trade(master, ethMarket, 2500e18); // 5x
        _mirror(ETH);
        _setPrice(ethMarket, 1850e8);
        _pass(60);
        _setPrice(ethMarket, 1700e8);
        _pass(60);
        _setPrice(ethMarket, 1620e8);
        _pass(31 minutes);

        _fundMaster(attacker, 1_000_000e6);
        // A mandate without a deposit writes the position: each slice is a change of its own.
        for (uint256 i = 0; i < type(uint8).max; ++i) {
            vm.prank(attacker);
            IPerpLiquidate(address(perp.clearingHouse)).liquidate(address(vault), address(ethMarket.baseToken), 1e10);
            _follow(_key(2), _mandate(vault, 2, 0));
        }
        assertEq(vault.marketView(ETH).generation, type(uint8).max);

        uint256 before = _margins();
        vm.prank(attacker);
        IPerpLiquidate(address(perp.clearingHouse)).liquidate(address(vault), address(ethMarket.baseToken), 0);
        vault.reconcile(ETH);
        assertEq(vault.marketView(ETH).generation, type(uint8).max);
        int256 gone = int256(vault.marketView(ETH).longSize)
            - lockstep.venue.holding(address(vault), vault.marketView(ETH).venueMarket).size;
        assertGt(gone, 10e18, "the venue took nothing");
        // 2.5 %, and the pool a little off the index.
        assertLe(before - _margins(), uint256(gone) * 1620 * 3 / 100 / 1e12, "more than the penalty was shared");

        vm.prank(_follower(3));
        assertGt(vault.exit(10_000), 400e6);
        _everyoneLeaves();
        _assertSolvent(vault);
    }

    function _margins() private view returns (uint256 sum) {
        for (uint32 a = 1; a <= vault.accountCount(); ++a) {
            sum += vault.accountView(a).margin;
        }
    }

    /// @dev A stranger's batch "observed now" must not stop the keeper, who states the master's earlier time.
    function test_observedNowByAStranger_stopsNoHonestBatch() public {
        _follow(1, 10_000e6);
        _trade(master, ethMarket, 1000e18);
        vm.prank(attacker);
        lockstep.engine.mirrorVenue(address(vault), ETH, 0, _accounts(1, 1));
        uint64 now_ = uint64(vm.getBlockTimestamp()) * 1000;
        lockstep.engine.mirrorVenue(address(vault), ETH, now_ - 5000, _accounts(1, 1));
        assertEq(lockstep.engine.signalOf(strategyId, ETH).observedAt, now_, "time never runs back");
    }

    /// @dev A position remembers the sequence that moved it by its last byte.
    function test_aSequence256Later_stillMovesTheAccount() public {
        (, StrategyVault keeperVault) = _register(makeAddr("exchange master"), address(0), _terms());
        _follow(_key(1), _mandate(keeperVault, 1, 10_000e6));
        _mirrorSigned(keeperVault, ETH, 2e18, 1, _accounts(1, 1));
        assertGt(keeperVault.positionView(1, ETH).size, 0);
        // The exchange's own numbering may jump: the master is flat now.
        _mirrorSigned(keeperVault, ETH, 0, 257, _accounts(1, 1));
        assertEq(keeperVault.positionView(1, ETH).size, 0, "the master has closed");
    }

    /// @dev After an updated mandate the last sequence is marked by flipping its high bit.
    function test_aSequence128Later_movesTheAccountAfterAnUpdate() public {
        (, StrategyVault keeperVault) = _register(makeAddr("exchange master"), address(0), _terms());
        _follow(_key(1), _mandate(keeperVault, 1, 10_000e6));
        _mirrorSigned(keeperVault, ETH, 2e18, 1, _accounts(1, 1));
        _follow(_key(1), _mandate(keeperVault, 1, 0));
        _mirrorSigned(keeperVault, ETH, 0, 129, _accounts(1, 1));
        assertEq(keeperVault.positionView(1, ETH).size, 0, "the master has closed");
    }

    /// @dev A follower's wallet that burns all gas costs its own place in the list, not everyone's after it.
    function test_followMany_aWalletThatBurnsGas_stopsNobodyElse() public {
        GasBurner burner = new GasBurner();
        IMirrorEngine.SignedMandate[] memory signed = new IMirrorEngine.SignedMandate[](3);
        IMirrorEngine.TokenPermit[] memory permits = new IMirrorEngine.TokenPermit[](3);
        Mandate memory bad = _mandate(vault, 1, 100e6);
        bad.follower = address(burner);
        signed[0] = _sign(_key(1), bad);
        bad.nonce += 1000;
        signed[1] = _sign(_key(1), bad);
        Mandate memory good = _mandate(vault, 2, 100e6);
        signed[2] = _sign(_key(2), good);
        perp.usdc.mint(good.follower, good.deposit);
        permits[2] = _tokenPermit(_key(2));
        uint256 accepted = lockstep.engine.followMany{gas: 1 << 24}(signed, permits);
        assertEq(accepted, 1);
        assertEq(vault.accountOf(good.follower), 1);
    }

    /// @dev A follower's wallet that answers with a megabyte of revert data: it is cut short, costs what one item may, and
    /// those after it are taken. Once asked by Permit2, once by the engine itself.
    function test_followMany_aWalletThatAnswersAtLength_stopsNobodyElse() public {
        RevertBomb bomb = new RevertBomb();
        IMirrorEngine.SignedMandate[] memory signed = new IMirrorEngine.SignedMandate[](3);
        IMirrorEngine.TokenPermit[] memory permits = new IMirrorEngine.TokenPermit[](3);
        Mandate memory bad = _mandate(vault, 1, 100e6);
        bad.follower = address(bomb);
        signed[0] = _sign(_key(1), bad);
        (bad.deposit, bad.nonce) = (0, bad.nonce + 1000);
        signed[1] = _sign(_key(1), bad);
        Mandate memory good = _mandate(vault, 2, 100e6);
        signed[2] = _sign(_key(2), good);
        perp.usdc.mint(good.follower, good.deposit);
        permits[2] = _tokenPermit(_key(2));

        vm.recordLogs();
        uint256 gas = gasleft();
        uint256 accepted = lockstep.engine.followMany{gas: 1 << 24}(signed, permits);
        gas -= gasleft();
        assertEq(accepted, 1);
        assertEq(vault.accountOf(good.follower), 1);
        // Two items at their limit and an ordinary one.
        assertLt(gas, 2 * 5_000_000 + 1_500_000, "more than its own share");
        uint256 failed;
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IMirrorEngine.RelayFailed.selector) continue;
            assertEq(address(uint160(uint256(logs[i].topics[2]))), address(bomb));
            assertLe(abi.decode(logs[i].data, (bytes)).length, 512, "the reason was not cut");
            ++failed;
        }
        assertEq(failed, 2);
    }

    /// @dev The same from the venue, about a market that no order is in: it is not copied, and a batch and an exit in the
    /// other market go on.
    function test_anotherMarketsView_thatAnswersAtLength_stopsNobody() public {
        _follow(1, 10_000e6);
        _follow(2, 10_000e6);
        _trade(master, ethMarket, 500e18);
        _trade(master, btcMarket, 1e18);
        _mirror(ETH);
        _mirror(BTC, _accounts(2, 2));
        _trade(master, ethMarket, 250e18);
        bytes32 id = vault.marketView(BTC).venueMarket;
        this.answerAtLength(id);

        uint256 gas = gasleft();
        Fill[] memory fills = _mirror(ETH, _accounts(1, 1));
        gas -= gasleft();
        assertEq(uint8(fills[0].outcome), uint8(Outcome.Moved));
        // A copy of a megabyte alone takes two million.
        assertLt(gas, 2_000_000, "it was copied");
        vm.prank(_follower(1));
        gas = gasleft();
        vault.exit(200);
        gas -= gasleft();
        assertLt(gas, 4_000_000, "it was copied"); // 3.4 million with a market that answers
        assertEq(vault.positionView(1, ETH).size, 0);
    }

    /// @dev From outside: a megabyte in the test's own memory would be in its measure.
    function answerAtLength(bytes32 id) external {
        bytes memory noise = new bytes(1_000_000);
        vm.mockCallRevert(address(lockstep.venue), abi.encodeCall(IVenue.indexPrice, (id)), noise);
        vm.mockCallRevert(address(lockstep.venue), abi.encodeCall(IVenue.holding, (address(vault), id)), noise);
    }

    /// @dev Anyone may quit a closed market for the vault before the vault does.
    function test_closedMarket_quitByAStranger_everyoneIsPaid() public {
        _follow(1, 10_000e6);
        Mandate memory m = _mandate(vault, 2, 10_000e6);
        m.ratioBps = 5000;
        _follow(_key(2), m);
        _trade(master, btcMarket, 30e18);
        _mirror(BTC);
        int256 first = vault.equityOf(1);
        int256 second = vault.equityOf(2);
        IPerpAdmin(address(btcMarket.baseToken)).pause();
        IPerpAdmin(address(btcMarket.baseToken)).close(60_000e18);
        vm.prank(attacker);
        IPerpLiquidate(address(perp.clearingHouse)).quitMarket(address(vault), address(btcMarket.baseToken));

        vm.prank(_follower(1));
        assertApproxEqAbs(int256(vault.exit(10_000)), first, 1000);
        vm.prank(_follower(2));
        assertApproxEqAbs(int256(vault.exit(10_000)), second, 1000);
        assertEq(vault.positionView(1, BTC).size, 0);
    }

    /// @dev A silent oracle of one market must not keep a stopped account in another.
    function test_anotherMarketsSilentOracle_doesNotStopAReduction() public {
        _follow(1, 10_000e6);
        _trade(master, ethMarket, 1000e18);
        _trade(master, btcMarket, 10e18);
        _mirror(ETH);
        _mirror(BTC);
        vm.prank(_follower(1));
        vault.stop();
        vm.warp(vm.getBlockTimestamp() + 2 hours);
        ethMarket.aggregator.set(ethMarket.aggregator.latestAnswer());
        Fill[] memory fills = _mirror(ETH);
        assertEq(vault.positionView(1, ETH).size, 0, "stopped: closed by the next batch");
        assertLt(fills[0].size, 0);
    }

    /// @dev Money that covers a position is not paid out at a price nobody has confirmed for hours.
    function test_silentOracle_withdrawalLeavesTheLossWithTheFollower() public {
        Terms memory terms = _terms();
        terms.maxLeverageBps = 70_000;
        (, StrategyVault v) = _register(master, master, terms);
        Mandate memory m = _mandate(v, 1, 100_000e6);
        m.maxLeverageBps = 1_000_000;
        _follow(_key(1), m);
        m = _mandate(v, 2, 100_000e6);
        m.ratioBps = 100;
        _follow(_key(2), m);
        _trade(master, ethMarket, 2500e18); // 5x
        vm.prank(sender);
        lockstep.engine.mirrorVenue(address(v), ETH, 0, _accounts(1, 2));

        // The oracle is silent while the price has fallen by 15 %.
        vm.warp(vm.getBlockTimestamp() + 61 minutes);
        int256 honest = v.equityOf(2);
        vm.prank(_follower(1));
        try v.withdraw(type(uint256).max) {} catch {}
        _setPrice(ethMarket, 1850e8);
        _pass(60);
        _setPrice(ethMarket, 1700e8);
        int256 fall = honest - v.equityOf(2);
        try lockstep.liquidator.liquidate(address(v), 1) {} catch {}
        assertApproxEqAbs(honest - v.equityOf(2), fall, 1e6, "others paid for it");
    }
}

/// @notice The same in a market as thin as those that incidents happened in.
contract FoundInThinMarketTest is FoundFixture {
    function setUp() public override {
        _deployVenue(160e6 * 1e18, 80e6 * 1e6);
        _deployAll();
        Terms memory terms = _terms();
        terms.maxLeverageBps = 70_000;
        (strategyId, vault) = _register(master, master, terms);
        _fundMaster(master, 1_000_000e6);
        _fundMaster(attacker, 20_000_000e6);

        Mandate memory m = _mandate(vault, 1, 100_000e6);
        m.maxLeverageBps = 70_000;
        _follow(_key(1), m);
        m = _mandate(vault, 2, 100_000e6);
        m.ratioBps = 100;
        _follow(_key(2), m);
        _trade(master, ethMarket, 3400e18);
        _pass(60);
        _setPrice(ethMarket, 2000e8);
        _mirror(ETH);
        // As far down as it goes before the account may be liquidated.
        _setPrice(ethMarket, 1868e8);
        _pass(60);
        assertGt(vault.equityOf(1), int256(vault.maintenanceOf(1)));
    }

    /// @dev Moves the pool about 9 % below the index.
    function _pushDown() internal {
        _pushTo(1868e18 * 911 / 1000);
    }

    /// @dev In steps that the venue allows.
    function _pushTo(uint256 target) internal {
        while (_poolPrice() > target) {
            _trade(attacker, ethMarket, -500e18);
            _pass(20);
        }
    }

    function _poolPrice() internal view returns (uint256) {
        (uint160 sqrtPrice,,,,,,) = ethMarket.pool.slot0();
        return uint256(sqrtPrice) * sqrtPrice / (1 << 96) * 1e18 >> 96;
    }

    /// @dev A follower who leaves at a price they made themselves bears it themselves.
    function test_selfMadePrice_exitCostsNobodyElse() public {
        _pushDown();
        int256 honest = vault.equityOf(2);
        vm.prank(_follower(1));
        try vault.exit(10_000) {} catch {}
        assertApproxEqAbs(vault.equityOf(2), honest, 1e6, "a loss was pushed onto others");
    }

    /// @dev A stop is tried by anyone at any moment: never at a price worse than signed, nor worse than a liquidation's.
    function test_selfMadePrice_stopsNobodyOut() public {
        Mandate memory m = _mandate(vault, 3, 10_000e6);
        (m.stopLossBps, m.maxSlippageBps) = (100, 2000);
        uint32 wide = _follow(_key(3), m);
        m = _mandate(vault, 4, 10_000e6);
        (m.stopLossBps, m.maxSlippageBps) = (100, 100);
        uint32 narrow = _follow(_key(4), m);
        _setPrice(ethMarket, 1868e8);
        _pass(60);
        _mirror(ETH, _accounts(wide, narrow));
        assertGt(vault.positionView(wide, ETH).size, 0);
        _setPrice(ethMarket, 1820e8);
        _pass(60);

        _pushTo(1820e18 * 97 / 100);
        vm.expectPartialRevert(IStrategyVault.PriceLimit.selector);
        lockstep.liquidator.stopOut(address(vault), narrow);
        _pushTo(1820e18 * 93 / 100);
        vm.expectPartialRevert(IStrategyVault.PriceLimit.selector);
        lockstep.liquidator.stopOut(address(vault), wide);

        // Back at the index both are due.
        _setPrice(ethMarket, 1820e8);
        _pass(60);
        lockstep.liquidator.stopOut(address(vault), narrow);
        lockstep.liquidator.stopOut(address(vault), wide);
        assertEq(vault.positionView(narrow, ETH).size, 0);
        assertEq(vault.positionView(wide, ETH).size, 0);
    }

    function test_selfMadePrice_closePositionCostsNobodyElse() public {
        _pushDown();
        int256 honest = vault.equityOf(2);
        vm.prank(_follower(1));
        try vault.closePosition(ETH, type(uint128).max, 10_000) {} catch {}
        try lockstep.liquidator.liquidate(address(vault), 1) {} catch {}
        assertApproxEqAbs(vault.equityOf(2), honest, 1e6, "a loss was pushed onto others");
    }
}

/// @notice An account too large to be closed in one trade.
contract FoundWhaleTest is FoundFixture {
    function setUp() public override {
        _deployVenue(20e6 * 1e18, 10e6 * 1e6);
        _deployAll();
        (strategyId, vault) = _register(master, master, _terms());
        _fundMaster(master, 1_000_000e6);
    }

    /// @dev The liquidation of a large account goes in parts rather than not at all.
    function test_liquidation_tooLargeForOneTrade() public {
        Mandate memory m = _mandate(vault, 1, 500_000e6);
        _follow(_key(1), m);
        for (uint256 i = 1; i <= 6; ++i) {
            _trade(master, ethMarket, 420e18);
            _pass(60);
            _setPrice(ethMarket, 2000e8);
            _mirror(ETH);
            _pass(60);
            _setPrice(ethMarket, 2000e8);
        }
        int256 size = vault.positionView(1, ETH).size;
        for (int256 p = 1900; p >= 700; p -= 100) {
            _setPrice(ethMarket, p * 1e8);
            _pass(60);
            if (vault.equityOf(1) < int256(vault.maintenanceOf(1))) break;
        }
        assertLt(vault.equityOf(1), int256(vault.maintenanceOf(1)));
        lockstep.liquidator.liquidate(address(vault), 1);
        assertLt(vault.positionView(1, ETH).size, size);
        assertEq(uint8(vault.accountView(1).status), uint8(Status.Liquidated));
    }
}
