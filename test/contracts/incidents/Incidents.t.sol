// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {StrategyVault} from "../../../contracts/StrategyVault.sol";
import {IInsuranceFund} from "../../../contracts/interfaces/IInsuranceFund.sol";
import {IMasterRegistry} from "../../../contracts/interfaces/IMasterRegistry.sol";
import {IMirrorEngine} from "../../../contracts/interfaces/IMirrorEngine.sol";
import {IStrategyVault} from "../../../contracts/interfaces/IStrategyVault.sol";
import {Cause, Mandate, Outcome, Proof, Signal, Terms} from "../../../contracts/interfaces/LockstepTypes.sol";
import {MandateLib} from "../../../contracts/libraries/MandateLib.sol";
import {LockstepFixture} from "../LockstepFixture.sol";
import {BlockingUSDC, HookUSDC, INotified} from "./Tokens.sol";
import {OwnedWallet} from "./Wallets.sol";

/// @notice What happened to others on chain, one test or group of tests per incident.
contract IncidentsTest is LockstepFixture, INotified {
    address internal stranger = makeAddr("stranger");

    // ---------------------------------------------------------------- KiloEx, April 2025
    // An inherited public forwarder let anyone act as the trusted caller.

    /// @dev Every function of the compiled contracts that can change something, with who may call it. One that is added,
    /// or inherited, turns this red.
    function test_kiloEx_everyFunctionThatChangesSomethingIsListed() public view {
        string[] memory known = new string[](15);
        // anyone, about the caller's own account alone
        (known[0], known[1], known[2], known[3]) = ("closePosition", "exit", "stop", "withdraw");
        // anyone
        (known[4], known[5], known[6], known[7]) = ("checkpoint", "claimFees", "crystallise", "reconcile");
        // the engine
        (known[8], known[9], known[10], known[11]) = ("acceptMandate", "mirror", "stopFor", "withdrawFor");
        // the liquidator; the registry, once; the vault itself
        (known[12], known[13], known[14]) = ("forceClose", "initialize", "tradeWithin");
        _assertFunctions("StrategyVault", known);

        known = new string[](9);
        // anyone, on the follower's signature
        (known[0], known[1], known[2], known[3]) = ("follow", "followMany", "stop", "withdraw");
        // anyone, about their own nonces; the engine itself
        (known[4], known[5]) = ("cancelNonces", "followItem");
        // anyone, on the venue's word, a keeper's signature, or what was proved before
        (known[6], known[7], known[8]) = ("mirrorVenue", "mirrorSigned", "mirrorStored");
        _assertFunctions("MirrorEngine", known);

        known = new string[](2);
        (known[0], known[1]) = ("liquidate", "stopOut"); // anyone, where the vault agrees
        _assertFunctions("Liquidator", known);

        known = new string[](2);
        (known[0], known[1]) = ("cover", "donate"); // a vault; anyone
        _assertFunctions("InsuranceFund", known);

        known = new string[](13);
        // governance
        (known[0], known[1], known[2], known[3]) = ("listVenue", "listMarket", "setKeeper", "setVaultImplementation");
        (known[4], known[5], known[6]) = ("transferOwnership", "renounceOwnership", "completeOwnershipHandover");
        // who is to be governance
        (known[7], known[8]) = ("requestOwnershipHandover", "cancelOwnershipHandover");
        // anyone; the strategy's master; anyone, after the notice
        (known[9], known[10], known[11], known[12]) = ("register", "addVault", "scheduleTerms", "applyTerms");
        _assertFunctions("MasterRegistry", known);
    }

    function _assertFunctions(string memory name, string[] memory known) private view {
        string memory artifact = vm.readFile(string.concat("out/", name, ".sol/", name, ".json"));
        uint256 found;
        for (uint256 i = 0; vm.keyExistsJson(artifact, string.concat(".abi[", vm.toString(i), "]")); ++i) {
            string memory entry = string.concat(".abi[", vm.toString(i), "]");
            if (!_same(vm.parseJsonString(artifact, string.concat(entry, ".type")), "function")) continue;
            string memory mutability = vm.parseJsonString(artifact, string.concat(entry, ".stateMutability"));
            if (_same(mutability, "view") || _same(mutability, "pure")) continue;
            string memory function_ = vm.parseJsonString(artifact, string.concat(entry, ".name"));
            bool listed;
            for (uint256 k = 0; k < known.length; ++k) {
                if (_same(known[k], function_)) listed = true;
            }
            assertTrue(listed, string.concat(name, ".", function_, " is not listed with who may call it"));
            ++found;
        }
        assertEq(found, known.length, string.concat(name, ": a listed function is gone"));
    }

    function _same(string memory a, string memory b) private pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }

    function test_kiloEx_onlyTheEngineMovesPositions() public {
        Mandate memory m = _mandate(vault, 1, 100e6);
        IStrategyVault.MirrorOrder memory order;
        address[5] memory callers = [stranger, governance, master, keeper, address(lockstep.liquidator)];
        for (uint256 i = 0; i < callers.length; ++i) {
            bytes memory refusal = abi.encodeWithSelector(IStrategyVault.OnlyMirror.selector, callers[i]);
            vm.startPrank(callers[i]);
            vm.expectRevert(refusal);
            vault.acceptMandate(m, bytes32(0));
            vm.expectRevert(refusal);
            vault.mirror(order, hex"00000001");
            vm.expectRevert(refusal);
            vault.stopFor(_follower(1));
            vm.expectRevert(refusal);
            vault.withdrawFor(_follower(1), 1);
            vm.stopPrank();
        }
    }

    function test_kiloEx_onlyTheLiquidatorClosesByForce() public {
        _follow(1, 100e6);
        address[5] memory callers = [stranger, governance, master, keeper, address(lockstep.engine)];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.prank(callers[i]);
            vm.expectRevert(abi.encodeWithSelector(IStrategyVault.OnlyLiquidator.selector, callers[i]));
            vault.forceClose(1, Cause.Liquidation, callers[i]);
        }
    }

    function test_kiloEx_onlyTheVaultTradesWithin() public {
        address[6] memory callers =
            [stranger, governance, master, address(lockstep.engine), address(lockstep.liquidator), address(this)];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.prank(callers[i]);
            vm.expectRevert(StrategyVault.OnlySelf.selector);
            vault.tradeWithin(bytes32(uint256(uint160(address(ethMarket.baseToken)))), 1e18, 0, type(uint256).max);
        }
    }

    function test_kiloEx_aVaultIsInitialisedOnce() public {
        IMasterRegistry.Market[] memory markets = new IMasterRegistry.Market[](1);
        address[2] memory callers = [stranger, address(lockstep.registry)];
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(callers[i]);
            vm.expectRevert(abi.encodeWithSelector(StrategyVault.OnlyRegistry.selector, callers[i]));
            vault.initialize(1, address(lockstep.venue), callers[i], markets);
        }
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(StrategyVault.OnlyRegistry.selector, stranger));
        lockstep.vaultImplementation.initialize(1, address(lockstep.venue), stranger, markets);
    }

    function test_kiloEx_governanceAloneGoverns() public {
        address[3] memory callers = [stranger, master, keeper];
        bytes4 unauthorized = bytes4(keccak256("Unauthorized()"));
        for (uint256 i = 0; i < 3; ++i) {
            vm.startPrank(callers[i]);
            vm.expectRevert(unauthorized);
            lockstep.registry.setKeeper(stranger, true);
            vm.expectRevert(unauthorized);
            lockstep.registry.setVaultImplementation(stranger);
            vm.expectRevert(unauthorized);
            lockstep.registry.listVenue(address(this));
            vm.expectRevert(unauthorized);
            lockstep.registry.listMarket(address(lockstep.venue), bytes32(0), "X");
            vm.stopPrank();
        }
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMasterRegistry.NotMaster.selector, strategyId, stranger));
        lockstep.registry.scheduleTerms(strategyId, _terms());
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMasterRegistry.NotMaster.selector, strategyId, stranger));
        lockstep.registry.addVault(strategyId);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IInsuranceFund.OnlyVault.selector, stranger));
        lockstep.insurance.cover(1);
    }

    /// @dev A name the engine trusts inside `followMany` is not trusted from outside.
    function test_kiloEx_followItemIsTheEnginesOwn() public {
        IMirrorEngine.SignedMandate memory signed;
        IMirrorEngine.TokenPermit memory permit;
        vm.prank(stranger);
        vm.expectRevert(IMirrorEngine.OnlySelf.selector);
        lockstep.engine.followItem(signed, permit);
    }

    /// @dev A follower's money moves on the follower's signature: a relayed intent of someone else does nothing.
    function test_kiloEx_nobodyStopsOrWithdrawsForAnother() public {
        _follow(1, 100e6);
        IMirrorEngine.Withdraw memory w =
            IMirrorEngine.Withdraw(_follower(1), address(vault), 10e6, 900, block.timestamp + 1);
        bytes memory signature = _signDigest(
            _key(2),
            _digest(
                keccak256(
                    abi.encode(MandateLib.WITHDRAW_TYPEHASH, w.follower, w.strategy, w.amount, w.nonce, w.deadline)
                )
            )
        );
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.BadSignature.selector, _follower(1)));
        lockstep.engine.withdraw(w, signature);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IStrategyVault.OnlyFollower.selector, 0, stranger));
        vault.exit(10_000);
    }

    // ---------------------------------------------------------------- 1inch Fusion v1, March 2025
    // Forged batch calldata moved a decoder's pointer. (The random part is fuzz/Batches.t.sol.)

    function test_fusion_forgedLengthsAndOrders() public {
        _follow(1, 1000e6);
        _follow(2, 1000e6);
        _trade(master, ethMarket, 500e18);
        _refused(hex"", abi.encodeWithSelector(IStrategyVault.EmptyBatch.selector));
        _refused(hex"000001", abi.encodeWithSelector(IStrategyVault.MalformedAccounts.selector, 3));
        _refused(hex"0000000102", abi.encodeWithSelector(IStrategyVault.MalformedAccounts.selector, 5));
        _refused(hex"00000000", abi.encodeWithSelector(IStrategyVault.AccountsNotSorted.selector, 0));
        _refused(hex"0000000100000001", abi.encodeWithSelector(IStrategyVault.AccountsNotSorted.selector, 1));
        _refused(hex"0000000200000001", abi.encodeWithSelector(IStrategyVault.AccountsNotSorted.selector, 1));
        // Accounts nobody has are named as such and stop nobody.
        Fill[] memory fills = _mirror(ETH, hex"0000000100000007ffffffff");
        assertEq(uint8(fills[0].outcome), uint8(Outcome.Moved));
        assertEq(uint8(fills[1].outcome), uint8(Outcome.Inactive));
        assertEq(uint8(fills[2].outcome), uint8(Outcome.Inactive));
        assertEq(fills[2].account, type(uint32).max);
    }

    /// @dev The bytes' offset points outside, or back into the head, where the market and the vault stand.
    function test_fusion_forgedOffset() public {
        _follow(1, 1000e6);
        for (uint256 offset = 0; offset <= 0x200; offset += 4) {
            if (offset == 0x80) continue;
            bytes memory data = abi.encodePacked(
                IMirrorEngine.mirrorVenue.selector,
                abi.encode(address(vault), uint256(ETH), uint256(0), offset),
                abi.encode(uint256(4)),
                bytes4(uint32(1))
            );
            (bool ok,) = address(lockstep.engine).call(data);
            assertFalse(ok, "a forged offset was taken");
        }
        bytes memory huge = abi.encodePacked(
            IMirrorEngine.mirrorVenue.selector,
            abi.encode(address(vault), uint256(ETH), uint256(0), uint256(0x80), type(uint256).max - 3),
            bytes4(uint32(1))
        );
        (bool taken,) = address(lockstep.engine).call(huge);
        assertFalse(taken, "a forged length was taken");
    }

    function _refused(bytes memory accounts, bytes memory reason) private {
        vm.expectRevert(reason);
        lockstep.engine.mirrorVenue(address(vault), ETH, 0, accounts);
    }

    // ---------------------------------------------------------------- GMX v1, July 2025
    // Reentry while NAV was half updated; NAV cannot be read in the middle.

    /// @dev Callbacks seen, and those that could read or do something.
    uint256 internal notified;
    string internal leaked;
    bool internal reading;

    /// @dev The collateral calls out at every transfer: to the venue, from it, to the follower, to the fund.
    function test_gmx_nothingIsReadOrDoneInTheMiddle() public {
        _follow(1, 10_000e6);
        _follow(2, 10_000e6);
        deployCodeTo("Tokens.sol:HookUSDC", abi.encode(address(this)), address(perp.usdc));
        HookUSDC(address(perp.usdc)).mint(address(lockstep.insurance), 0);
        reading = true;
        _follow(3, 10_000e6);
        assertEq(leaked, "", "during a deposit");
        _trade(master, ethMarket, 1500e18);
        _mirror(ETH);
        assertEq(leaked, "", "during a batch");
        uint256 seen = notified;
        vm.prank(_follower(1));
        vault.withdraw(2500e6);
        assertGt(notified, seen, "a withdrawal transfers");
        assertEq(leaked, "", "during a withdrawal");
        seen = notified;
        vm.prank(_follower(2));
        vault.exit(10_000);
        assertGt(notified, seen, "an exit transfers");
        assertEq(leaked, "", "during an exit");
        seen = notified;
        vault.claimFees(address(lockstep.insurance));
        assertGt(notified, seen, "a claim transfers");
        assertEq(leaked, "", "during a claim");
        reading = false;
        _assertSolvent(vault);
    }

    /// @dev Called by the token inside a transfer.
    function onTransfer(address from, address to) external {
        if (!reading) return;
        // Only transfers made by the vault's own code: the relayer's Permit2 transfer comes before the vault is entered.
        if (from != address(vault) && from != address(perp.vault)) return;
        ++notified;
        to;
        _mustFail("nav", abi.encodeCall(vault.nav, ()));
        _mustFail("navCount", abi.encodeCall(vault.navCount, ()));
        _mustFail("navAt", abi.encodeCall(vault.navAt, (0)));
        _mustFail("equityOf", abi.encodeCall(vault.equityOf, (3)));
        _mustFail("accountView", abi.encodeCall(vault.accountView, (3)));
        _mustFail("positionView", abi.encodeCall(vault.positionView, (3, ETH)));
        _mustFail("freeMarginOf", abi.encodeCall(vault.freeMarginOf, (3)));
        _mustFail("maintenanceOf", abi.encodeCall(vault.maintenanceOf, (3)));
        _mustFail("marketView", abi.encodeCall(vault.marketView, (ETH)));
        _mustFail("checkpoint", abi.encodeCall(vault.checkpoint, ()));
        _mustFail("reconcile", abi.encodeCall(vault.reconcile, (ETH)));
        _mustFail("claimFees", abi.encodeCall(vault.claimFees, (sender)));
        _mustFail("crystallise", abi.encodeCall(vault.crystallise, (new uint32[](0))));
        _mustFailAs(_follower(3), "exit", abi.encodeCall(vault.exit, (10_000)));
        _mustFailAs(_follower(3), "withdraw", abi.encodeCall(vault.withdraw, (1)));
        _mustFailAs(_follower(3), "stop", abi.encodeCall(vault.stop, ()));
        _mustFailAs(_follower(3), "closePosition", abi.encodeCall(vault.closePosition, (ETH, 1, 10_000)));
        (bool ok,) = address(lockstep.engine)
            .call(abi.encodeCall(IMirrorEngine.mirrorVenue, (address(vault), ETH, 0, _accounts(3, 3))));
        if (ok) leaked = "mirrorVenue";
        (ok,) = address(lockstep.liquidator)
            .call(abi.encodeWithSignature("liquidate(address,uint32)", address(vault), uint32(3)));
        if (ok) leaked = "liquidate";
    }

    function _mustFail(string memory what, bytes memory data) private {
        (bool ok,) = address(vault).call(data);
        if (ok) leaked = what;
    }

    function _mustFailAs(address who, string memory what, bytes memory data) private {
        (bool ok, bytes memory reason) = HookUSDC(address(perp.usdc)).callAs(who, address(vault), data);
        if (ok || bytes4(reason) != bytes4(keccak256("Reentrancy()"))) leaked = what;
    }

    // ---------------------------------------------------------------- Resupply, June 2025
    // A donation to an empty vault rounded shares to zero.

    function test_resupply_giftsToAnEmptyVaultTakeNothing() public {
        uint256 gift = 1_000_000e6;
        perp.usdc.mint(stranger, 3 * gift);
        vm.startPrank(stranger);
        perp.usdc.transfer(address(vault), gift);
        perp.usdc.approve(address(perp.vault), gift);
        perp.vault.depositFor(address(vault), address(perp.usdc), gift);
        perp.usdc.transfer(address(lockstep.insurance), gift);
        vm.stopPrank();

        _follow(1, 10e6);
        (uint256 index, uint256 equity) = vault.nav();
        assertEq(index, 1e18);
        assertEq(equity, 10e6);
        assertEq(vault.equityOf(1), 10e6);
        _follow(2, 12_345_678);
        assertEq(vault.equityOf(2), 12_345_678, "the second depositor got less");
        vm.prank(_follower(1));
        assertApproxEqAbs(vault.withdraw(type(uint256).max), 10e6, 1);
        vm.prank(_follower(2));
        assertApproxEqAbs(vault.withdraw(type(uint256).max), 12_345_678, 1);
        assertEq(lockstep.insurance.balance(), 0, "a transfer is no donation");
    }

    /// @dev The last one out and a gift, then the first one in.
    function test_resupply_giftsBetweenTheLastAndTheFirst() public {
        _follow(1, 1000e6);
        vm.prank(_follower(1));
        vault.exit(0);
        perp.usdc.mint(stranger, 1_000_000e6);
        vm.prank(stranger);
        perp.usdc.transfer(address(vault), 1_000_000e6);
        _follow(2, 77e6);
        assertApproxEqAbs(vault.equityOf(2), 77e6, 1);
        (uint256 index,) = vault.nav();
        assertApproxEqAbs(index, 1e18, 1e12);
    }

    // ---------------------------------------------------------------- Hyperliquid JELLY, March 2025
    // A self-made price pushed a loss onto the backstop fund. (Followers' side: Found.t.sol.)

    /// @dev A strategy of its own cannot empty the fund: a share of it a day, and less than half for all together.
    function test_jelly_theFundIsCappedPerVaultAndDay() public {
        perp.usdc.mint(address(this), 100_000e6);
        perp.usdc.approve(address(lockstep.insurance), 100_000e6);
        lockstep.insurance.donate(100_000e6);
        uint256 paid;
        for (uint256 i = 0; i < 6; ++i) {
            vm.prank(makeAddr(string.concat("own master ", vm.toString(i))));
            (, address own) =
                lockstep.registry.register(address(lockstep.venue), address(0), "own", _markets(), _terms());
            vm.startPrank(own);
            uint256 first = lockstep.insurance.cover(1_000_000e6);
            assertLe(first, 20_000e6, "more than a vault's share");
            assertEq(lockstep.insurance.cover(1_000_000e6), 0, "twice on one day");
            vm.stopPrank();
            paid += first;
        }
        assertLe(paid, 50_000e6, "more than a day's share");
        assertEq(lockstep.insurance.balance(), 100_000e6 - paid);
    }

    /// @dev What a strategy may hold open is bounded by its terms, whatever the mandates say.
    function test_jelly_openNotionalIsCapped() public {
        Terms memory terms = _terms();
        terms.maxOpenNotional = 30_000e6;
        (, vault) = _register(master, master, terms);
        for (uint256 i = 1; i <= 3; ++i) {
            _follow(_key(i), _mandate(vault, i, 10_000e6));
        }
        _trade(master, ethMarket, 1000e18); // 2x
        _mirror(ETH);
        IStrategyVault.MarketView memory market = vault.marketView(ETH);
        assertLe(market.longSize * 2000 / 1e12, 30_000e6, "open notional beyond the cap");
    }

    function _markets() private pure returns (uint16[] memory markets) {
        markets = new uint16[](1);
    }

    // ---------------------------------------------------------------- ERC-1271 replay, 2023
    // One signature accepted by several accounts of one owner.

    function test_erc1271_oneSignatureOneAccount() public {
        OwnedWallet first = new OwnedWallet(_follower(1));
        OwnedWallet second = new OwnedWallet(_follower(1));
        for (uint256 i = 0; i < 2; ++i) {
            OwnedWallet w_ = i == 0 ? first : second;
            Mandate memory m = _mandate(vault, 1, 100e6);
            m.follower = address(w_);
            perp.usdc.mint(address(w_), 100e6);
            w_.execute(address(perp.usdc), abi.encodeCall(perp.usdc.approve, (PERMIT2, type(uint256).max)));
            IMirrorEngine.TokenPermit memory none;
            lockstep.engine.follow(_sign(_key(1), m), none);
        }

        // An update, a stop and a withdrawal signed for the first do nothing to the second.
        Mandate memory update = _mandate(vault, 1, 0);
        update.follower = address(first);
        IMirrorEngine.SignedMandate memory signed = _sign(_key(1), update);
        IMirrorEngine.TokenPermit memory permit;
        signed.mandate.follower = address(second);
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.BadSignature.selector, address(second)));
        lockstep.engine.follow(signed, permit);

        IMirrorEngine.Withdraw memory w =
            IMirrorEngine.Withdraw(address(first), address(vault), 10e6, 901, block.timestamp + 1);
        bytes memory signature = _signDigest(
            _key(1),
            _digest(
                keccak256(
                    abi.encode(MandateLib.WITHDRAW_TYPEHASH, w.follower, w.strategy, w.amount, w.nonce, w.deadline)
                )
            )
        );
        w.follower = address(second);
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.BadSignature.selector, address(second)));
        lockstep.engine.withdraw(w, signature);
        w.follower = address(first);
        lockstep.engine.withdraw(w, signature);
        assertEq(perp.usdc.balanceOf(address(first)), 10e6);
        assertEq(perp.usdc.balanceOf(address(second)), 0);
    }

    // ---------------------------------------------------------------- Copin's copy wallet
    // The executor picks price and size freely.

    /// @dev Whoever sends a batch names accounts and nothing else: the size is the contract's, the price inside what
    /// each follower signed, or they are left out.
    function test_copin_theSenderPicksNeitherSizeNorPrice() public {
        Mandate memory tight = _mandate(vault, 1, 10_000e6);
        tight.maxSlippageBps = 1;
        _follow(_key(1), tight);
        _follow(2, 10_000e6);
        _trade(master, ethMarket, 1000e18);
        // The sender moves the market first.
        _fundMaster(stranger, 20_000_000e6);
        _trade(stranger, ethMarket, 15_000e18);
        Fill[] memory fills = _mirror(ETH);
        assertEq(uint8(fills[0].outcome), uint8(Outcome.SlippageBound));
        assertEq(vault.positionView(1, ETH).size, 0);
        (int256 target,,) = vault.previewTarget(2, ETH, 2e18);
        assertApproxEqRel(fills[1].size, target, 0.03e18);
        int256 paid = -(fills[1].quote + int256(fills[1].fees));
        assertLe(paid, fills[1].size * 2000 * 10_200 / 10_000 / 1e12, "worse than signed");

        // Beyond the strategy's own limit nothing happens at all.
        vm.prank(_follower(2));
        vault.stop();
        for (uint256 i = 0; i < 4; ++i) {
            _trade(stranger, ethMarket, -20_000e18);
        }
        vm.expectPartialRevert(IStrategyVault.SlippageBeyondLimit.selector);
        lockstep.engine.mirrorVenue(address(vault), ETH, 0, _accounts(2, 2));
    }

    /// @dev A keeper's word is taken for a leverage, never for a master whose position the chain can read.
    function test_copin_aKeeperCannotSpeakForAMasterOnChain() public {
        _follow(1, 1000e6);
        (Signal memory signal, bytes memory signature) = _signal(strategyId, ETH, 3e18, 1);
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.UnsupportedProof.selector, Proof.Keeper));
        lockstep.engine.mirrorSigned(address(vault), signal, Proof.Keeper, signature, _accounts(1, 1));
    }

    // ---------------------------------------------------------------- UniswapX, CoW
    // One blacklisted payee or reverting order stops a settlement.

    function test_uniswapX_aBlockedFollowerStopsNobody() public {
        _follow(1, 10_000e6);
        _follow(2, 10_000e6);
        _trade(master, ethMarket, 1000e18);
        _mirror(ETH);
        deployCodeTo("Tokens.sol:BlockingUSDC", "", address(perp.usdc));
        BlockingUSDC(address(perp.usdc)).block_(_follower(1), true);
        BlockingUSDC(address(perp.usdc)).block_(sender, true);
        BlockingUSDC(address(perp.usdc)).block_(master, true);

        vm.prank(_follower(1));
        vm.expectRevert();
        vault.exit(10_000);
        // Without a payment it can still reduce its risk.
        vm.prank(_follower(1));
        vault.closePosition(ETH, type(uint128).max, 10_000);
        assertEq(vault.positionView(1, ETH).size, 0);

        _trade(master, ethMarket, -300e18);
        Fill[] memory fills = _mirror(ETH);
        assertEq(fills.length, 2);
        vm.expectRevert();
        vault.claimFees(sender);
        vault.claimFees(address(lockstep.insurance));
        vm.prank(_follower(2));
        assertGt(vault.exit(10_000), 9000e6);
        _assertSolvent(vault);

        BlockingUSDC(address(perp.usdc)).block_(_follower(1), false);
        vm.prank(_follower(1));
        assertGt(vault.exit(10_000), 9000e6, "nothing is lost meanwhile");
    }

    /// @dev Of a relayed list the bad items are named and the good ones happen.
    function test_uniswapX_aBadMandateStopsNobody() public {
        IMirrorEngine.SignedMandate[] memory signed = new IMirrorEngine.SignedMandate[](3);
        IMirrorEngine.TokenPermit[] memory permits = new IMirrorEngine.TokenPermit[](3);
        for (uint256 i = 0; i < 3; ++i) {
            Mandate memory m = _mandate(vault, i + 1, 100e6);
            if (i == 1) m.maxLeverageBps = 0;
            signed[i] = _sign(_key(i + 1), m);
            perp.usdc.mint(m.follower, 100e6);
            permits[i] = _tokenPermit(_key(i + 1));
        }
        assertEq(lockstep.engine.followMany(signed, permits), 2);
        assertEq(vault.accountOf(_follower(2)), 0);
        assertEq(perp.usdc.balanceOf(_follower(2)), 100e6, "its money stays where it was");
    }
}
