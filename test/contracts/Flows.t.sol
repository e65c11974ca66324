// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// forge-lint: disable-start(unsafe-typecast)

import {IMirrorEngine} from "../../contracts/interfaces/IMirrorEngine.sol";
import {IStrategyVault} from "../../contracts/interfaces/IStrategyVault.sol";
import {Mandate, Mode, Status} from "../../contracts/interfaces/LockstepTypes.sol";
import {LockstepFixture} from "./LockstepFixture.sol";
import {VaultHarness} from "./invariant/VaultHarness.sol";

/// @notice Mandates, money in and out, fees, the NAV record.
contract FlowsTest is LockstepFixture {
    // ---------------------------------------------------------------- mandates

    function test_mandate_isStoredAsSigned() public {
        Mandate memory m = _mandate(vault, 1, 1000e6);
        (m.stopLossBps, m.takeProfitBps, m.maxLeverageBps) = (2500, 40_000, 12_345);
        m.maxDailyTurnover = type(uint64).max;
        uint32 account = _follow(_key(1), m);
        IStrategyVault.AccountView memory v = vault.accountView(account);
        assertEq(v.follower, _follower(1));
        assertEq(uint8(v.status), uint8(Status.Active));
        assertEq(v.ratioBps, m.ratioBps);
        assertEq(v.maxLeverageBps, 12_300); // steps of 100, rounded down
        assertEq(v.maxSlippageBps, m.maxSlippageBps);
        assertEq(v.maxPositionNotional, m.maxPositionNotional);
        assertEq(v.maxDailyTurnover, uint256((1 << 28) - 1) * 1e6); // what its field holds
        assertEq(v.stopLossBps, 2500);
        assertEq(v.takeProfitBps, 40_000);
        assertEq(v.allowedMarkets, 3);
        assertEq(v.expiry, m.expiry);
        assertEq(v.margin, 1000e6);
        assertEq(v.netDeposits, 1000e6);
        assertEq(v.highWaterMark, 1000e6);
    }

    function test_mandate_refused() public {
        _refused(_mandate(vault, 1, 9e6), abi.encodeWithSelector(IStrategyVault.MandateOutOfRange.selector, "deposit"));
        Mandate memory m = _mandate(vault, 1, 100e6);
        m.mode = uint8(Mode.DeltaNeutral);
        _refused(m, abi.encodeWithSelector(IStrategyVault.UnsupportedMode.selector, 2));
        m = _mandate(vault, 1, 100e6);
        m.ratioBps = 0;
        _refused(m, abi.encodeWithSelector(IStrategyVault.MandateOutOfRange.selector, "ratioBps"));
        m = _mandate(vault, 1, 100e6);
        m.maxLeverageBps = 99;
        _refused(m, abi.encodeWithSelector(IStrategyVault.MandateOutOfRange.selector, "maxLeverageBps"));
        m = _mandate(vault, 1, 100e6);
        m.allowedMarkets[1] = "DOGE-USD";
        _refused(m, abi.encodeWithSelector(IStrategyVault.MarketNotListed.selector, "DOGE-USD"));
        m = _mandate(vault, 1, 100e6);
        m.expiry = uint64(vm.getBlockTimestamp());
        _refused(m, abi.encodeWithSelector(IStrategyVault.MandateExpired.selector, m.expiry));
        assertEq(vault.accountCount(), 0);
    }

    function _refused(Mandate memory m, bytes memory reason) private {
        IMirrorEngine.SignedMandate memory signed = _sign(_key(1), m);
        perp.usdc.mint(m.follower, m.deposit);
        IMirrorEngine.TokenPermit memory permit = _tokenPermit(_key(1));
        vm.expectRevert(reason);
        lockstep.engine.follow(signed, permit);
    }

    function test_mandate_replayChangesNothing() public {
        Mandate memory m = _mandate(vault, 1, 1000e6);
        IMirrorEngine.SignedMandate memory signed = _sign(_key(1), m);
        perp.usdc.mint(m.follower, 5000e6);
        IMirrorEngine.TokenPermit memory permit = _tokenPermit(_key(1));
        lockstep.engine.follow(signed, permit);
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.NonceSpent.selector, m.follower, address(vault), m.nonce));
        lockstep.engine.follow(signed, permit);
        assertEq(vault.accountView(1).margin, 1000e6);
    }

    /// @dev Someone else has spent the token permit first.
    function test_tokenPermitAlreadySpent() public {
        Mandate memory m = _mandate(vault, 1, 1000e6);
        IMirrorEngine.SignedMandate memory signed = _sign(_key(1), m);
        perp.usdc.mint(m.follower, 1000e6);
        IMirrorEngine.TokenPermit memory p = _tokenPermit(_key(1));
        perp.usdc.permit(m.follower, PERMIT2, p.value, p.deadline, p.v, p.r, p.s);
        assertEq(lockstep.engine.follow(signed, p), 1);
    }

    function test_signedStopAndWithdraw() public {
        _follow(1, 1000e6);
        IMirrorEngine.Withdraw memory w =
            IMirrorEngine.Withdraw(_follower(1), address(vault), 400e6, 77, vm.getBlockTimestamp() + 1);
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Withdraw(address follower,address strategy,uint256 amount,uint256 nonce,uint256 deadline)"),
                w
            )
        );
        vm.prank(sender);
        assertEq(lockstep.engine.withdraw(w, _signDigest(_key(1), _digest(structHash))), 400e6);
        assertEq(perp.usdc.balanceOf(_follower(1)), 400e6);

        IMirrorEngine.Stop memory stop =
            IMirrorEngine.Stop(_follower(1), address(vault), 78, vm.getBlockTimestamp() + 1);
        structHash = keccak256(
            abi.encode(keccak256("Stop(address follower,address strategy,uint256 nonce,uint256 deadline)"), stop)
        );
        lockstep.engine.stop(stop, _signDigest(_key(1), _digest(structHash)));
        assertEq(uint8(vault.accountView(1).status), uint8(Status.Stopped));
        // A new mandate starts it again.
        _follow(_key(1), _mandate(vault, 1, 0));
        assertEq(uint8(vault.accountView(1).status), uint8(Status.Active));
    }

    // ---------------------------------------------------------------- money out

    function test_withdraw_leavesWhatThePositionNeeds() public {
        _follow(1, 10_000e6);
        Mandate memory m = _mandate(vault, 2, 10_000e6);
        m.maxLeverageBps = 40_000;
        _follow(_key(2), m);
        _trade(master, ethMarket, 1000e18);
        _mirror(ETH); // about 20,000 each

        uint256 free = vault.freeMarginOf(2);
        assertApproxEqRel(free, 5000e6, 0.02e18); // 4x at most
        vm.prank(_follower(2));
        vm.expectRevert(abi.encodeWithSelector(IStrategyVault.InsufficientFreeMargin.selector, free + 1, free));
        vault.withdraw(free + 1);
        vm.prank(_follower(2));
        assertEq(vault.withdraw(free), free);
        _assertSolvent(vault);
    }

    /// @dev More than what is idle comes out of the venue, with positions of others open.
    function test_withdraw_fromTheVenue() public {
        _follow(1, 10_000e6);
        uint32 idle = _follow(2, 50_000e6);
        vm.prank(_follower(2));
        vault.stop();
        _trade(master, ethMarket, 1000e18);
        _mirror(ETH);
        uint256 margin = vault.accountView(idle).margin;
        vm.prank(_follower(2));
        assertApproxEqAbs(vault.withdraw(type(uint256).max), margin, 1);
        _assertSolvent(vault);
        vm.prank(_follower(1));
        vault.exit(200);
        _assertSolvent(vault);
    }

    /// @dev What the vault counts at the venue is what it has there, with nobody reconciling.
    function test_cashBooks_areTheVenues() public {
        address implementation = vm.deployCode(
            "VaultHarness.sol:VaultHarness",
            abi.encode(lockstep.registry, lockstep.engine, lockstep.liquidator, lockstep.insurance, perp.usdc)
        );
        vm.prank(governance);
        lockstep.registry.setVaultImplementation(implementation);
        (strategyId, vault) = _register(master, master, _terms());

        _follow(1, 10_000e6);
        _follow(2, 50_000e6);
        _assertCashBooks("deposits");
        vm.prank(_follower(2));
        vault.stop();
        _trade(master, ethMarket, 1000e18);
        _mirror(ETH);
        _assertCashBooks("a batch");
        vm.prank(_follower(2));
        vault.withdraw(type(uint256).max);
        _assertCashBooks("a withdrawal");
        vm.prank(_follower(1));
        vault.exit(200);
        _assertCashBooks("an exit");
    }

    function _assertCashBooks(string memory after_) private view {
        int256 counted = VaultHarness(address(vault)).books().venueCash;
        assertApproxEqAbs(counted, lockstep.venue.cash(address(vault)), 1e13, after_);
    }

    // ---------------------------------------------------------------- fees

    function test_fees_sharesAndClaims() public {
        _follow(1, 10_000e6);
        _trade(master, ethMarket, 1000e18);
        Fill[] memory fills = _mirror(ETH);
        uint256 copyFee = fills[0].fees / 3; // 5 bps of 15: the venue takes 10
        assertApproxEqRel(vault.claimable(address(lockstep.insurance)), copyFee / 5, 0.01e18);
        assertApproxEqRel(vault.claimable(sender), copyFee / 10, 0.01e18);
        assertApproxEqRel(vault.claimable(master), copyFee * 7 / 10, 0.01e18);

        uint256 due = vault.claimable(address(lockstep.insurance));
        vault.claimFees(address(lockstep.insurance));
        assertEq(lockstep.insurance.balance(), due);
        due = vault.claimable(master);
        vault.claimFees(master);
        assertEq(perp.usdc.balanceOf(master), due);
        vm.expectRevert(abi.encodeWithSelector(IStrategyVault.NothingToClaim.selector, master));
        vault.claimFees(master);
        _assertSolvent(vault);
    }

    function test_performanceFee_onceAboveTheMark() public {
        _follow(1, 10_000e6);
        _trade(master, ethMarket, 500e18);
        _mirror(ETH);
        vault.claimFees(master);
        _setPrice(ethMarket, 2180e8);
        uint32[] memory accounts = new uint32[](1);
        accounts[0] = 1;
        vault.crystallise(accounts); // too early
        assertEq(vault.claimable(master), 0);

        _skip(30 days);
        uint256 profit = uint256(vault.equityOf(1)) - 10_000e6;
        (uint256 index,) = vault.nav();
        vault.crystallise(accounts);
        assertApproxEqAbs(vault.claimable(master), profit / 10, 1);
        (uint256 after_,) = vault.nav();
        assertApproxEqRel(after_, index, 1e9); // a flow, not a cost
        // Nothing more to charge on the way out.
        uint256 charged = vault.claimable(master);
        vm.prank(_follower(1));
        vault.exit(200);
        assertEq(vault.claimable(master), charged);
        _assertSolvent(vault);
    }

    // ---------------------------------------------------------------- NAV

    function test_nav_isBlindToFlows() public {
        _follow(1, 10_000e6);
        _trade(master, ethMarket, 1000e18);
        _mirror(ETH);
        _setPrice(ethMarket, 2090e8);
        vault.checkpoint();
        (uint256 index,) = vault.nav();
        _follow(2, 33_333e6);
        (uint256 after_,) = vault.nav();
        assertApproxEqRel(after_, index, 1e9);
        vm.prank(_follower(2));
        vault.withdraw(12_345e6);
        (after_,) = vault.nav();
        assertApproxEqRel(after_, index, 1e9);

        uint256 count = vault.navCount();
        (uint64 time, uint256 navIndex, uint256 equity) = vault.navAt(count - 1);
        assertEq(time, vm.getBlockTimestamp());
        assertEq(navIndex, after_);
        assertApproxEqAbs(int256(equity), vault.equityOf(1) + vault.equityOf(2), 3);
    }

    function test_nav_keepsItsValueWhileEmpty() public {
        _follow(1, 10_000e6);
        _trade(master, ethMarket, 1000e18);
        _mirror(ETH);
        _setPrice(ethMarket, 2200e8);
        vm.prank(_follower(1));
        vault.exit(200);
        (uint256 index,) = vault.nav();
        assertGt(index, 1.1e18);
        _follow(2, 500e6);
        (uint256 after_, uint256 equity) = vault.nav();
        assertApproxEqRel(after_, index, 1e9);
        assertEq(equity, 500e6);
    }
}
// forge-lint: disable-end(unsafe-typecast)
