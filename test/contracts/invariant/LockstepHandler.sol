// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {StrategyVault} from "../../../contracts/StrategyVault.sol";
import {IMirrorEngine} from "../../../contracts/interfaces/IMirrorEngine.sol";
import {IStrategyVault} from "../../../contracts/interfaces/IStrategyVault.sol";
import {IVenue} from "../../../contracts/interfaces/IVenue.sol";
import {
    Cause,
    Mandate,
    Mode,
    Outcome,
    Proof,
    Signal,
    Status,
    Terms
} from "../../../contracts/interfaces/LockstepTypes.sol";
import {IPerpClearingHouse} from "../../../contracts/venues/perp-v2/interfaces/IPerpV2.sol";
import {IPerpAdmin, PerpMarket} from "../../../script/deploy/PerpV2Deployer.sol";
import {LockstepFixture} from "../LockstepFixture.sol";
import {OwnedWallet} from "../incidents/Wallets.sol";
import {VaultHarness} from "./VaultHarness.sol";
import {Vm} from "forge-std/Test.sol";

/// @title Everything that can happen to two strategies on the real venue
/// @notice One strategy is followed by venue proofs, one by a keeper's. Five followers, one of them an ERC-1271 wallet,
/// are in both. Every action either succeeds or fails with an error that its own comment names; what must hold around
/// an action is asserted in it, what must hold always is asserted by `LockstepInvariants`.
contract LockstepHandler is LockstepFixture {
    uint256 public constant ACTORS = 5;
    uint256 internal constant WALLET = 5; // this actor is a contract
    /// @dev Stated dust of one flow, USDC 1e6.
    int256 internal constant FLOW_DUST = 5;

    VaultHarness[2] public vaults;
    OwnedWallet public wallet;
    address public outsider = makeAddr("outsider");
    address public hunter = makeAddr("hunter"); // liquidates, here and at the venue
    address internal arbitrageur = makeAddr("arbitrageur");
    address public keeperMaster = makeAddr("keeper master");

    uint64 internal keeperSequence;

    // --- ghosts

    /// @notice What each actor has been paid by both vaults.
    mapping(address actor => uint256) public received;
    /// @notice Fees each party has claimed.
    mapping(address who => uint256) public claimed;
    mapping(address vault => uint256) public giftsTo;
    mapping(address vault => uint256) public lastMarginIndex;
    mapping(address vault => uint256[]) internal navSeen;
    mapping(bytes32 action => uint256) public calls;
    mapping(bytes32 error => uint256) public failures;
    bool public btcClosed;

    modifier act(bytes32 name) {
        ++calls[name];
        _;
        _watch();
    }

    function setUp() public override {
        _deployVenue(400e6 * 1e18, 200e6 * 1e6);
        _deployAll();
        _useHarness();
        uint256 id;
        StrategyVault v;
        (strategyId, vault) = _register(master, master, _terms());
        vaults[0] = VaultHarness(address(vault));
        (id, v) = _register(keeperMaster, address(0), _terms());
        vaults[1] = VaultHarness(address(v));
        wallet = new OwnedWallet(vm.addr(_key(WALLET)));
        _fundMaster(master, 1_000_000e6);
        _fundMaster(outsider, 50_000_000e6);
        _fundMaster(hunter, 50_000_000e6);
        _fundMaster(arbitrageur, 2_000_000_000e6);
        for (uint256 v_ = 0; v_ < 2; ++v_) {
            lastMarginIndex[address(vaults[v_])] = 1e18;
            // Two are in from the start, so that no run is idle.
            for (uint256 i = 1; i <= 2; ++i) {
                Mandate memory m = _mandate(vaults[v_], i, uint64(20_000e6 * i));
                _follow(_key(i), m);
            }
        }
        _watch();
    }

    function _terms() internal pure override returns (Terms memory t) {
        t = super._terms();
        t.maxLeverageBps = 70_000;
    }

    function _useHarness() internal {
        // From its artifact: created here, the whole vault would be inside the handler's code.
        address implementation = vm.deployCode(
            "VaultHarness.sol:VaultHarness",
            abi.encode(
                address(lockstep.registry),
                address(lockstep.engine),
                address(lockstep.liquidator),
                address(lockstep.insurance),
                address(perp.usdc)
            )
        );
        vm.prank(governance);
        lockstep.registry.setVaultImplementation(implementation);
    }

    // ---------------------------------------------------------------- followers

    /// @dev Funds, follows or updates. Fails: StrategyWoundUp; MandateOutOfRange for an update of no account.
    function follow(uint256 actor, uint256 which, uint64 deposit, uint256 bounds) external act("follow") {
        (VaultHarness v, uint256 i) = (_vault(which), _actorIndex(actor));
        Mandate memory m = _mandate(v, i, uint64(bound(deposit, 10e6, 200_000e6)));
        if (bounds % 3 == 0 && v.accountOf(_actor(i)) != 0) m.deposit = 0;
        m.follower = _actor(i);
        m.mode = bounds % 4 == 1 ? uint8(Mode.Fixed) : uint8(Mode.ProRata);
        m.ratioBps = uint32(bound(uint256(keccak256(abi.encode(bounds, 1))), 100, 20_000));
        m.fixedNotional = uint64(bound(uint256(keccak256(abi.encode(bounds, 2))), 100e6, 100_000e6));
        m.maxLeverageBps = uint32(bound(uint256(keccak256(abi.encode(bounds, 3))), 1000, 100_000));
        m.maxSlippageBps = uint16(bound(uint256(keccak256(abi.encode(bounds, 4))), 5, 400));
        m.maxPositionNotional = uint64(bound(uint256(keccak256(abi.encode(bounds, 5))), 1000e6, 1_000_000e6));
        m.maxDailyTurnover = uint64(bound(uint256(keccak256(abi.encode(bounds, 6))), 5000e6, 5_000_000e6));
        m.stopLossBps = bounds % 5 == 0 ? 3000 : 0;
        m.takeProfitBps = bounds % 7 == 0 ? 2000 : 0;
        if (bounds % 6 == 0) {
            m.allowedMarkets = new string[](1);
            m.allowedMarkets[0] = "ETH-USD";
        }
        IMirrorEngine.SignedMandate memory signed = _sign(_key(i), m);
        if (m.deposit != 0) {
            perp.usdc.mint(m.follower, m.deposit);
            _approvePermit2(i);
        }
        uint256 before = _navIndex(v);
        vm.prank(sender);
        try lockstep.engine.follow(signed, _noPermit()) returns (uint32 account) {
            _assertNavKept(v, before, "a deposit moved the NAV index");
            assertEq(v.accountView(account).follower, m.follower);
            // A replayed mandate changes nothing.
            bytes32 hash = _stateHash(v);
            vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.NonceSpent.selector, m.follower, m.strategy, m.nonce));
            lockstep.engine.follow(signed, _noPermit());
            assertEq(_stateHash(v), hash, "a replayed mandate changed something");
        } catch (bytes memory reason) {
            _only(reason, IStrategyVault.StrategyWoundUp.selector, IStrategyVault.MandateOutOfRange.selector);
            if (m.deposit != 0) _burn(m.follower, m.deposit);
        }
    }

    /// @dev Never fails for who has an account.
    function stop(uint256 actor, uint256 which) external act("stop") {
        (VaultHarness v, uint256 i) = (_vault(which), _actorIndex(actor));
        if (v.accountOf(_actor(i)) == 0) return;
        _as(i, address(v), abi.encodeCall(v.stop, ()));
    }

    /// @dev Relayed or direct. Fails: InsufficientFreeMargin never, as the amount is bounded; a replay: NonceSpent.
    function withdraw(uint256 actor, uint256 which, uint256 amount, bool relayed) external act("withdraw") {
        (VaultHarness v, uint256 i) = (_vault(which), _actorIndex(actor));
        uint32 account = v.accountOf(_actor(i));
        if (account == 0) return;
        // What the sync of a diverged venue would make of it comes first.
        v.checkpoint();
        amount = amount % 4 == 0 ? type(uint256).max : bound(amount, 1, v.freeMarginOf(account) + 1);
        uint256 before = _navIndex(v);
        uint256 paid;
        if (relayed) {
            IMirrorEngine.Withdraw memory w = IMirrorEngine.Withdraw(
                _actor(i),
                address(v),
                amount,
                uint256(keccak256(abi.encode(gasleft(), calls["withdraw"]))),
                block.timestamp
            );
            bytes memory signature = _signDigest(
                _key(i),
                _digest(keccak256(abi.encode(WITHDRAW_TYPEHASH, w.follower, w.strategy, w.amount, w.nonce, w.deadline)))
            );
            try lockstep.engine.withdraw(w, signature) returns (uint256 paid_) {
                paid = paid_;
                vm.expectRevert(
                    abi.encodeWithSelector(IMirrorEngine.NonceSpent.selector, w.follower, w.strategy, w.nonce)
                );
                lockstep.engine.withdraw(w, signature);
            } catch (bytes memory reason) {
                _only(reason, IStrategyVault.InsufficientFreeMargin.selector);
            }
        } else {
            (bool ok, bytes memory result) = _try(i, address(v), abi.encodeCall(v.withdraw, (amount)));
            if (ok) paid = abi.decode(result, (uint256));
            else _only(result, IStrategyVault.InsufficientFreeMargin.selector);
        }
        received[_actor(i)] += paid;
        _assertNavKept(v, before, "a withdrawal moved the NAV index");
    }

    /// @dev Never fails at any price bound of 100 %.
    function exit(uint256 actor, uint256 which) external act("exit") {
        (VaultHarness v, uint256 i) = (_vault(which), _actorIndex(actor));
        if (v.accountOf(_actor(i)) == 0) return;
        bytes memory result = _as(i, address(v), abi.encodeCall(v.exit, (10_000)));
        received[_actor(i)] += abi.decode(result, (uint256));
    }

    /// @dev Fails: PriceLimit; the venue's refusals.
    function closePosition(uint256 actor, uint256 which, uint8 market, uint256 size, uint256 slippage)
        external
        act("closePosition")
    {
        (VaultHarness v, uint256 i) = (_vault(which), _actorIndex(actor));
        uint32 account = v.accountOf(_actor(i));
        if (account == 0) return;
        market %= 2;
        int256 held = v.sizeOf(account, market);
        // What leaves a dust behind, of the position or of the net of all: there roundings weigh most.
        if (size % 4 == 0) size = _over(_abs(held), size % 2e9);
        else if (size % 4 == 1) size = _netOf(v, market) + 1;
        else size = bound(size, 0, type(uint96).max);
        slippage = bound(slippage, 0, 10_000);
        (bool ok, bytes memory reason) = _try(i, address(v), abi.encodeCall(v.closePosition, (market, size, slippage)));
        if (!ok) _onlyVenue(reason, IStrategyVault.PriceLimit.selector);
        else assertLe(_abs(v.sizeOf(account, market)), _abs(held));
    }

    // ---------------------------------------------------------------- batches

    /// @dev Fails: stale price, the strategy's slippage limit, the venue's refusals.
    function mirrorVenue(uint8 market, uint256 subset) external act("mirrorVenue") {
        market %= 2;
        VaultHarness v = vaults[0];
        bytes memory accounts = _subset(v, subset);
        if (accounts.length == 0) return;
        int256[] memory sizes = _sizes(v, market);
        uint256[3] memory fees = _feesOf(v);
        vm.recordLogs();
        vm.prank(sender);
        try lockstep.engine.mirrorVenue(address(v), market, 0, accounts) {
            _checkBatch(v, market, accounts, sizes, fees);
        } catch (bytes memory reason) {
            _onlyVenue(reason, IStrategyVault.SlippageBeyondLimit.selector);
        }
    }

    /// @dev As {mirrorVenue}. The same signal again: SignalNotNewer; from the store: moves nobody it has moved.
    function mirrorKeeper(uint8 market, int256 leverage, uint256 subset) external act("mirrorKeeper") {
        market %= 2;
        VaultHarness v = vaults[1];
        bytes memory accounts = _subset(v, subset);
        if (accounts.length == 0) return;
        leverage = leverage % 5 == 0 ? int256(0) : bound(leverage, -8e18, 8e18);
        int256[] memory sizes = _sizes(v, market);
        uint256[3] memory fees = _feesOf(v);
        (Signal memory signal, bytes memory signature) = _signal(v.strategyId(), market, leverage, ++keeperSequence);
        vm.recordLogs();
        vm.prank(sender);
        try lockstep.engine.mirrorSigned(address(v), signal, Proof.Keeper, signature, accounts) {
            Fill[] memory fills = _checkBatch(v, market, accounts, sizes, fees);
            vm.expectRevert(
                abi.encodeWithSelector(IMirrorEngine.SignalNotNewer.selector, signal.sequence, signal.sequence)
            );
            lockstep.engine.mirrorSigned(address(v), signal, Proof.Keeper, signature, accounts);
            _replayStored(v, market, accounts, fills);
        } catch (bytes memory reason) {
            _onlyVenue(reason, IStrategyVault.SlippageBeyondLimit.selector);
        }
    }

    function _replayStored(VaultHarness v, uint8 market, bytes memory accounts, Fill[] memory first) private {
        vm.recordLogs();
        vm.prank(sender);
        try lockstep.engine.mirrorStored(address(v), market, accounts) {
            Fill[] memory again = _fills();
            for (uint256 i = 0; i < again.length; ++i) {
                if (first[i].size != 0) assertEq(again[i].size, 0, "a replayed signal moved an account");
            }
        } catch (bytes memory reason) {
            _onlyVenue(reason, IStrategyVault.SlippageBeyondLimit.selector);
        }
    }

    struct BatchEvent {
        int256 leverage;
        uint64 observedAt;
        uint256 index;
        uint256 price;
        int256 net;
        uint256 crossed;
        uint256 venueFee;
        uint256 copyFee;
        int256 fundingIndex;
        bytes fills;
    }

    /// @dev What a batch promises to each follower in it.
    function _checkBatch(
        VaultHarness v,
        uint8 market,
        bytes memory accounts,
        int256[] memory sizes,
        uint256[3] memory fees
    ) private returns (Fill[] memory fills) {
        BatchEvent memory e = _batchEvent(v);
        fills = _split(e.fills);
        assertEq(fills.length, accounts.length / 4, "one word per account");
        bool breaker = block.timestamp < lockstep.liquidator.breakerUntilOf(address(v));
        int256 sum;
        for (uint256 i = 0; i < fills.length; ++i) {
            Fill memory f = fills[i];
            if (f.size == 0) continue;
            sum += f.size;
            IStrategyVault.AccountView memory a = v.accountView(f.account);
            int256 size = v.sizeOf(f.account, market);
            bool grown = _abs(size) > _abs(sizes[f.account]);
            if (!grown && size * sizes[f.account] >= 0) continue;
            // A follower's exposure never exceeds its mandate right after a batch moved it.
            assertFalse(breaker, "grown while the breaker was on");
            assertEq(uint8(a.status), uint8(Status.Active), "grown though not active");
            assertGe(a.expiry, block.timestamp, "grown after expiry");
            assertTrue(a.allowedMarkets >> market & 1 == 1, "grown in a market that is not allowed");
            uint256 notional = _abs(size) * e.index / 1e30;
            assertLe(notional, a.maxPositionNotional, "position beyond its mandate");
            _checkLeverage(v, f, a, e);
            _checkTurnover(v, f.account, a);
            // The fill against the index.
            if (e.net != 0) {
                uint256 off = f.size > 0 ? _over(e.price, e.index) : _over(e.index, e.price);
                assertLe(off * 10_000, uint256(a.maxSlippageBps) * e.index + 10_000, "worse than the signed slippage");
            }
        }
        assertApproxEqAbs(sum, e.net, 1e9, "fills are not what the venue filled");
        if (e.net == 0) assertEq(e.venueFee, 0, "a crossed batch pays no venue fee");
        // 20 % of the copy fee to insurance, a tenth to the sender, the rest to the master.
        assertEq(v.claimable(address(lockstep.insurance)) - fees[0], e.copyFee * 2000 / 10_000, "insurance share");
        assertEq(v.claimable(sender) - fees[1], e.copyFee * 1000 / 10_000, "sender's share");
        assertEq(v.claimable(_masterOf(v)) - fees[2], e.copyFee - e.copyFee / 5 - e.copyFee / 10, "master's share");
    }

    /// @dev Equity before the trade carried it: what the trade cost is the difference to now.
    function _checkLeverage(VaultHarness v, Fill memory f, IStrategyVault.AccountView memory a, BatchEvent memory e)
        private
        view
    {
        uint256 exposure;
        for (uint8 m = 0; m < 2; ++m) {
            int256 size = v.sizeOf(f.account, m);
            if (size == 0) continue;
            (uint256 price,) = lockstep.venue.indexPrice(v.marketView(m).venueMarket);
            exposure += _abs(size) * price / 1e30;
        }
        int256 cost = int256(
            _abs(f.size) * _over(e.price > e.index ? e.price : e.index, e.price > e.index ? e.index : e.price) / 1e30
                + f.fees
        );
        int256 equityBefore = v.equityOf(f.account) + cost + 10;
        uint256 leverage = a.maxLeverageBps < 70_000 ? a.maxLeverageBps : 70_000;
        assertLe(exposure * 10_000, uint256(equityBefore) * leverage + 2e6 * 10_000, "leverage beyond its mandate");
    }

    /// @dev A day's turnover, room to close included, stays inside what was signed.
    function _checkTurnover(VaultHarness v, uint32 account, IStrategyVault.AccountView memory a) private view {
        uint256 used;
        for (uint8 m = 0; m < 2; ++m) {
            used += v.positionView(account, m).dayTurnover;
            int256 size = v.sizeOf(account, m);
            if (size == 0) continue;
            (uint256 price,) = lockstep.venue.indexPrice(v.marketView(m).venueMarket);
            used += _abs(size) * price / 1e30;
        }
        assertLe(used, uint256(a.maxDailyTurnover) + 3e6, "turnover beyond its mandate");
    }

    // ---------------------------------------------------------------- the market

    /// @dev Fails: the venue's refusals.
    function tradeMaster(uint8 market, int256 notional) external act("tradeMaster") {
        _venueTrade(master, market, bound(notional, -4_000_000e18, 4_000_000e18));
    }

    function tradeOutsider(uint8 market, int256 notional) external act("tradeOutsider") {
        _venueTrade(outsider, market, bound(notional, -12_000_000e18, 12_000_000e18));
    }

    function _venueTrade(address who, uint8 market, int256 notional) private {
        PerpMarket memory m = market % 2 == ETH ? ethMarket : btcMarket;
        int256 size = notional * 1e8 / m.aggregator.latestAnswer();
        if (_abs(size) < 1e12) return;
        try this.venueTrade(who, m, size) {}
        catch (bytes memory reason) {
            _onlyVenue(reason, bytes4(0));
        }
    }

    function venueTrade(address who, PerpMarket memory m, int256 size) external {
        require(msg.sender == address(this));
        _trade(who, m, size);
    }

    /// @dev Index and pool, or the index alone.
    function movePrice(uint8 market, int256 bps, bool arbitrage) external act("movePrice") {
        _movePrice(market, bound(bps, -800, 800), arbitrage);
    }

    /// @dev A fall or rise the venue's pool cannot follow at once.
    function crash(uint8 market, int256 bps) external act("crash") {
        bps = bound(bps, -2000, 2000);
        _movePrice(market, bps, true);
        _pass(20);
        PerpMarket memory m = market % 2 == ETH ? ethMarket : btcMarket;
        if (address(m.baseToken) == address(ethMarket.baseToken) || !btcClosed) _arbitrage(m);
    }

    function _movePrice(uint8 market, int256 bps, bool arbitrage) private {
        PerpMarket memory m = market % 2 == ETH ? ethMarket : btcMarket;
        int256 start = market % 2 == ETH ? int256(2000e8) : int256(60_000e8);
        int256 price = m.aggregator.latestAnswer() * (10_000 + bps) / 10_000;
        if (price < start * 2 / 5 || price > start * 5 / 2) return; // the maker's range
        if (arbitrage) _setPrice(m, price);
        else _setIndexPrice(m, price);
    }

    /// @dev An arbitrageur moves the pool to the index, as far as the venue allows at once.
    function _arbitrage(PerpMarket memory m) private {
        (uint160 current,,,,,,) = m.pool.slot0();
        uint256 target = perp.marketMaker.sqrtPriceX96(m.baseToken.getIndexPrice(0));
        uint256 lowest = uint256(current) * 956 / 1000;
        uint256 highest = uint256(current) * 1044 / 1000;
        if (target < lowest) target = lowest;
        if (target > highest) target = highest;
        if (target > current ? (target - current) * 1e6 < current : (current - target) * 1e6 < current) return;
        vm.prank(arbitrageur);
        try perp.clearingHouse
            .openPosition(
                IPerpClearingHouse.OpenPositionParams({
                    baseToken: address(m.baseToken),
                    isBaseToQuote: target < current,
                    isExactInput: true,
                    amount: type(uint96).max,
                    oppositeAmountBound: 0,
                    deadline: type(uint256).max,
                    // forge-lint: disable-next-line(unsafe-typecast) within 5 % of a uint160
                    sqrtPriceLimitX96: uint160(target),
                    referralCode: 0
                })
            ) {}
            catch {}
    }

    /// @dev Funding accrues; the oracles go on answering, or fall silent.
    function warp(uint256 time, uint256 silent) external act("warp") {
        time = bound(time, 1, silent % 3 == 0 ? 2 days : 1 hours);
        if (silent % 8 == 0) vm.warp(vm.getBlockTimestamp() + time);
        else _pass(time);
    }

    /// @dev Prices are fresh and the pools at them: most runs must stay alive.
    function calm() external act("calm") {
        _pass(60);
        _arbitrage(ethMarket);
        if (!btcClosed) _arbitrage(btcMarket);
        _pass(31 minutes);
    }

    /// @dev Rarely, the venue closes a market for good.
    function closeMarket(uint256 seed) external act("closeMarket") {
        if (seed % 8 != 0 || btcClosed) return;
        btcClosed = true;
        IPerpAdmin(address(btcMarket.baseToken)).pause();
        IPerpAdmin(address(btcMarket.baseToken)).close(uint256(btcMarket.aggregator.latestAnswer()) * 1e10);
    }

    // ---------------------------------------------------------------- force

    /// @dev The venue itself liquidates a vault. Fails: it has margin enough.
    function liquidateAtVenue(uint256 which, uint8 market) external act("liquidateAtVenue") {
        PerpMarket memory m = market % 2 == ETH ? ethMarket : btcMarket;
        vm.prank(hunter);
        try perp.clearingHouse.liquidate(address(_vault(which)), address(m.baseToken)) {
            ++calls["venue liquidations"];
        } catch {}
    }

    /// @dev Fails: NotLiquidatable, price limits, stale prices, the venue's refusals.
    function liquidate(uint256 which) external act("liquidate") {
        VaultHarness v = _vault(which);
        for (uint32 a = 1; a <= v.accountCount(); ++a) {
            vm.prank(hunter);
            try lockstep.liquidator.liquidate(address(v), a) {
                ++calls["liquidations"];
                assertEq(uint8(v.accountView(a).status), uint8(Status.Liquidated));
            } catch (bytes memory reason) {
                if (bytes4(reason) == IStrategyVault.NotLiquidatable.selector) continue;
                _onlyVenue(reason, IStrategyVault.PriceLimit.selector);
            }
        }
    }

    /// @dev Fails: StopNotReached, price limits, stale prices, the venue's refusals.
    function stopOut(uint256 which) external act("stopOut") {
        VaultHarness v = _vault(which);
        for (uint32 a = 1; a <= v.accountCount(); ++a) {
            try lockstep.liquidator.stopOut(address(v), a) {
                ++calls["stop-outs"];
            } catch (bytes memory reason) {
                if (bytes4(reason) == IStrategyVault.StopNotReached.selector) continue;
                _onlyVenue(reason, IStrategyVault.PriceLimit.selector);
            }
        }
    }

    /// @dev As if eleven liquidations had just happened.
    function tripBreaker(uint256 seed) external act("tripBreaker") {
        if (seed % 3 != 0) return;
        vm.store(address(lockstep.liquidator), 0, bytes32(vm.getBlockTimestamp() + 15 minutes));
        assertTrue(lockstep.liquidator.breakerActive());
    }

    // ---------------------------------------------------------------- anyone

    /// @dev Gifts change nobody's money.
    function donate(uint256 which, uint256 where, uint256 amount) external act("donate") {
        VaultHarness v = _vault(which);
        amount = bound(amount, 1, 10_000e6);
        v.checkpoint();
        (uint256 before,) = v.nav();
        perp.usdc.mint(address(this), amount);
        if (where % 4 == 0) {
            perp.usdc.transfer(address(v), amount);
            giftsTo[address(v)] += amount;
        } else if (where % 4 == 1) {
            perp.usdc.approve(address(perp.vault), amount);
            perp.vault.depositFor(address(v), address(perp.usdc), amount);
            v.checkpoint();
        } else if (where % 4 == 2) {
            perp.usdc.approve(address(lockstep.insurance), amount);
            lockstep.insurance.donate(amount);
        } else {
            perp.usdc.transfer(address(lockstep.insurance), amount);
        }
        (uint256 afterwards,) = v.nav();
        assertEq(afterwards, before, "a gift moved the NAV");
    }

    /// @dev Fails: NothingToClaim.
    function claimFees(uint256 which, uint256 who_) external act("claimFees") {
        VaultHarness v = _vault(which);
        address[4] memory payees = [address(lockstep.insurance), sender, hunter, _masterOf(v)];
        address who = payees[who_ % 4];
        uint256 fund = lockstep.insurance.balance();
        try v.claimFees(who) returns (uint256 amount) {
            claimed[who] += amount;
            if (who == address(lockstep.insurance)) assertEq(lockstep.insurance.balance(), fund + amount);
        } catch (bytes memory reason) {
            _only(reason, IStrategyVault.NothingToClaim.selector);
        }
    }

    function checkpoint(uint256 which) external act("checkpoint") {
        _vault(which).checkpoint();
    }

    function reconcile(uint256 which, uint8 market) external act("reconcile") {
        _vault(which).reconcile(market % 2);
    }

    function crystallise(uint256 which) external act("crystallise") {
        VaultHarness v = _vault(which);
        uint32[] memory accounts = new uint32[](v.accountCount());
        for (uint32 i = 0; i < accounts.length; ++i) {
            accounts[i] = i + 1;
        }
        v.checkpoint();
        uint256 before = _navIndex(v);
        v.crystallise(accounts);
        _assertNavKept(v, before, "the performance fee moved the NAV index");
    }

    // ---------------------------------------------------------------- for the invariants

    function actorCount() external pure returns (uint256) {
        return ACTORS;
    }

    function actorAt(uint256 i) external view returns (address) {
        return _actor(i + 1);
    }

    function usdc() external view returns (address) {
        return address(perp.usdc);
    }

    function parties(uint256 which) external view returns (address[5] memory) {
        return [address(lockstep.insurance), sender, hunter, _masterOf(vaults[which]), address(this)];
    }

    function insuranceBalances() external view returns (uint256 booked, uint256 held) {
        return (lockstep.insurance.balance(), perp.usdc.balanceOf(address(lockstep.insurance)));
    }

    function lockstepEngine() external view returns (address) {
        return address(lockstep.engine);
    }

    function lockstepLiquidator() external view returns (address) {
        return address(lockstep.liquidator);
    }

    function venueOf() external view returns (IVenue) {
        return lockstep.venue;
    }

    /// @notice What the venue account of a vault is worth at the ledger's prices, USDC 1e6.
    function atVenue(VaultHarness v) external view returns (int256 amount) {
        amount = lockstep.venue.cash(address(v));
        for (uint8 m = 0; m < v.marketCount(); ++m) {
            bytes32 id = v.marketView(m).venueMarket;
            IVenue.Holding memory h = lockstep.venue.holding(address(v), id);
            if (h.size == 0) continue;
            (uint256 price,) = lockstep.venue.indexPrice(id);
            amount += h.size * int256(price) / 1e18 - h.pendingFunding;
        }
        amount /= 1e12;
    }

    /// @notice Leaves with every account of a vault. Nothing of it may fail.
    function everyoneExits(VaultHarness v) external returns (uint256 refused) {
        for (uint256 i = 1; i <= ACTORS; ++i) {
            uint32 account = v.accountOf(_actor(i));
            if (account == 0) continue;
            uint256 before = perp.usdc.balanceOf(_actor(i));
            (bool ok, bytes memory result) = _try(i, address(v), abi.encodeCall(v.exit, (10_000)));
            if (!ok) {
                emit log_named_bytes("exit", result);
                ++refused;
                continue;
            }
            require(perp.usdc.balanceOf(_actor(i)) - before == abi.decode(result, (uint256)), "paid");
        }
    }

    /// @notice Fresh prices and the pools at them, in steps of what the venue allows at once.
    function settleDown() external {
        for (uint256 i = 0; i < 16; ++i) {
            _pass(60);
            _arbitrage(ethMarket);
            if (!btcClosed) _arbitrage(btcMarket);
        }
        _pass(31 minutes);
        // A vault below the venue's own margin can neither trade nor be left before the venue has liquidated it.
        for (uint256 i = 0; i < 2; ++i) {
            for (uint256 round = 0; round < 6; ++round) {
                vm.startPrank(hunter);
                try perp.clearingHouse.liquidate(address(vaults[i]), address(ethMarket.baseToken)) {} catch {}
                try perp.clearingHouse.liquidate(address(vaults[i]), address(btcMarket.baseToken)) {} catch {}
                vm.stopPrank();
            }
        }
    }

    // ---------------------------------------------------------------- watching

    /// @dev After every action: the NAV record only grows, the margin index only falls.
    function _watch() private {
        for (uint256 i = 0; i < 2; ++i) {
            VaultHarness v = vaults[i];
            uint256[] storage seen = navSeen[address(v)];
            uint256 count = v.navCount();
            assertGe(count, seen.length, "NAV points disappeared");
            if (seen.length != 0) {
                uint256 old = uint256(keccak256(abi.encode(count, i))) % seen.length;
                assertEq(_point(v, old), seen[old], "a NAV point was rewritten");
                assertEq(_point(v, seen.length - 1), seen[seen.length - 1], "a NAV point was rewritten");
            }
            for (uint256 n = seen.length; n < count; ++n) {
                seen.push(_point(v, n));
            }
            uint256 index = v.books().marginIndex;
            assertLe(index, lastMarginIndex[address(v)], "the margin index rose");
            lastMarginIndex[address(v)] = index;
        }
    }

    function _point(VaultHarness v, uint256 i) private view returns (uint256) {
        (uint64 time, uint256 index, uint256 equity) = v.navAt(i);
        return uint256(keccak256(abi.encode(time, index, equity)));
    }

    // ---------------------------------------------------------------- small things

    /// @dev Time passes and the oracles keep answering. Asks for the time anew, see {PerpV2Deployer-_wait}.
    function _pass(uint256 time) private {
        _wait(time);
        ethMarket.aggregator.set(ethMarket.aggregator.latestAnswer());
        if (!btcClosed) btcMarket.aggregator.set(btcMarket.aggregator.latestAnswer());
    }

    function _vault(uint256 which) private view returns (VaultHarness) {
        return vaults[which % 2];
    }

    function _masterOf(VaultHarness v) private view returns (address) {
        return address(v) == address(vaults[0]) ? master : keeperMaster;
    }

    function _actorIndex(uint256 seed) private pure returns (uint256) {
        return seed % ACTORS + 1;
    }

    function _actor(uint256 i) private view returns (address) {
        return i == WALLET ? address(wallet) : _follower(i);
    }

    function _approvePermit2(uint256 i) private {
        vm.prank(_actor(i));
        perp.usdc.approve(PERMIT2, type(uint256).max);
    }

    function _noPermit() private pure returns (IMirrorEngine.TokenPermit memory permit) {}

    function _burn(address who, uint256 amount) private {
        vm.prank(who);
        perp.usdc.transfer(address(0xdead), amount);
    }

    function _as(uint256 i, address target, bytes memory data) private returns (bytes memory result) {
        bool ok;
        (ok, result) = _try(i, target, data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(result, 0x20), mload(result))
            }
        }
    }

    function _try(uint256 i, address target, bytes memory data) private returns (bool ok, bytes memory result) {
        if (i == WALLET) {
            (ok, result) = address(wallet).call(abi.encodeCall(wallet.execute, (target, data)));
            if (ok) result = abi.decode(result, (bytes));
        } else {
            vm.prank(_actor(i));
            (ok, result) = target.call(data);
        }
    }

    function _subset(VaultHarness v, uint256 seed) private view returns (bytes memory accounts) {
        for (uint32 i = 1; i <= v.accountCount(); ++i) {
            if (seed % 4 == 0 && (seed >> (8 + i)) & 1 == 1) continue;
            accounts = bytes.concat(accounts, bytes4(i));
        }
    }

    function _sizes(VaultHarness v, uint8 market) private view returns (int256[] memory sizes) {
        sizes = new int256[](v.accountCount() + 1);
        for (uint32 i = 1; i < sizes.length; ++i) {
            sizes[i] = v.sizeOf(i, market);
        }
    }

    function _feesOf(VaultHarness v) private view returns (uint256[3] memory) {
        return [v.claimable(address(lockstep.insurance)), v.claimable(sender), v.claimable(_masterOf(v))];
    }

    function _batchEvent(VaultHarness v) private returns (BatchEvent memory e) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = logs.length; i > 0; --i) {
            if (logs[i - 1].emitter != address(v)) continue;
            if (logs[i - 1].topics[0] != IStrategyVault.BatchMirrored.selector) continue;
            // An event's data is the encoding of its fields, a struct's has an offset before it.
            return abi.decode(bytes.concat(bytes32(uint256(32)), logs[i - 1].data), (BatchEvent));
        }
        revert("no batch");
    }

    function _split(bytes memory words) private pure returns (Fill[] memory fills) {
        fills = new Fill[](words.length / 32);
        for (uint256 i = 0; i < fills.length; ++i) {
            uint256 word;
            assembly ("memory-safe") {
                word := mload(add(add(words, 0x20), mul(i, 0x20)))
            }
            fills[i] = Fill({
                account: uint32(word >> 224),
                outcome: Outcome(uint8(word >> 216)),
                size: int88(uint88(word >> 128)),
                quote: int56(uint56(word >> 72)),
                fees: uint48(word >> 24)
            });
        }
    }

    function _navIndex(VaultHarness v) private returns (uint256 index) {
        v.checkpoint();
        (index,) = v.nav();
    }

    /// @dev To one part in 10^9, or a millionth of a dollar on a small equity.
    function _assertNavKept(VaultHarness v, uint256 before, string memory what) private view {
        (uint256 index, uint256 equity) = v.nav();
        if (equity < 1e6) return;
        uint256 tolerance = before / 1e9 + before * 4 / equity + 2;
        assertApproxEqAbs(index, before, tolerance, what);
    }

    function _stateHash(VaultHarness v) private view returns (bytes32) {
        return keccak256(abi.encode(v.books(), v.accountCount(), v.navCount()));
    }

    function _netOf(VaultHarness v, uint8 market) private view returns (uint256) {
        IStrategyVault.MarketView memory view_ = v.marketView(market);
        return _abs(int256(view_.longSize) - int256(view_.shortSize));
    }

    function _abs(int256 x) private pure returns (uint256) {
        return uint256(x < 0 ? -x : x);
    }

    function _over(uint256 x, uint256 y) private pure returns (uint256) {
        return x > y ? x - y : 0;
    }

    function _only(bytes memory reason, bytes4 a) private {
        _only(reason, a, a);
    }

    function _only(bytes memory reason, bytes4 a, bytes4 b) private {
        bytes4 selector = bytes4(reason);
        ++failures[selector];
        if (selector == a || selector == b) return;
        _bubble(reason);
    }

    /// @dev The venue refuses with a text; a price that is not there has an error of its own.
    function _onlyVenue(bytes memory reason, bytes4 also) private {
        bytes4 selector = bytes4(reason);
        ++failures[selector];
        if (selector == also) return;
        if (selector == IVenue.StalePrice.selector) return;
        if (selector == bytes4(keccak256("Error(string)"))) {
            string memory text = abi.decode(_tail(reason), (string));
            ++failures[bytes32(bytes(text))];
            // The venue's own: EX_ exchange, CH_ clearing house, AB_/OB_/M_ its parts, OLD too little price history.
            bytes memory t = bytes(text);
            if (t.length > 2 && (t[2] == "_" || (t.length == 3 && t[0] == "O"))) return;
        }
        _bubble(reason);
    }

    function _tail(bytes memory reason) private pure returns (bytes memory tail) {
        tail = new bytes(reason.length - 4);
        for (uint256 i = 0; i < tail.length; ++i) {
            tail[i] = reason[i + 4];
        }
    }

    function _bubble(bytes memory reason) private pure {
        assembly ("memory-safe") {
            revert(add(reason, 0x20), mload(reason))
        }
    }
}
