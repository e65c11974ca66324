// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {IInsuranceFund} from "../interfaces/IInsuranceFund.sol";
import {IMasterRegistry} from "../interfaces/IMasterRegistry.sol";
import {IStrategyVault} from "../interfaces/IStrategyVault.sol";
import {IVenue} from "../interfaces/IVenue.sol";
import {Cause, Mandate, Mode, Status, Terms} from "../interfaces/LockstepTypes.sol";
import {Account, AccountLib, Profile} from "./AccountLib.sol";
import {FeeLib} from "./FeeLib.sol";
import {LedgerLib} from "./LedgerLib.sol";
import {LossLib} from "./LossLib.sol";
import {MathLib} from "./MathLib.sol";
import {NavLib} from "./NavLib.sol";
import {Position, PositionLib} from "./PositionLib.sol";
import {Sizing} from "./Sizing.sol";
import {TradeLib} from "./TradeLib.sol";
import {BPS, MarketState, SIZE_DUST, Snapshot, VaultState, WAD} from "./VaultState.sol";
import {VenueLib} from "./VenueLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @title FlowLib
/// @notice Everything that happens to one account outside a batch: mandates, money in and out, exits, forced closes,
/// fees.
library FlowLib {
    using MathLib for int256;
    using MathLib for uint256;

    /// @dev Smallest first deposit, USDC 1e6.
    uint256 internal constant MIN_DEPOSIT = 10e6;
    /// @dev Share of each deposit that stays in the vault, so that claims and small exits need no venue.
    uint256 internal constant BUFFER_BPS = 2000;
    /// @dev Time between two charges of the performance fee by `crystallise`.
    uint256 internal constant CRYSTALLISE_PERIOD = 30 days;
    /// @dev Margin kept above the venue's own maintenance requirement, bps of that.
    uint256 internal constant MAINTENANCE_BUFFER = 12_000;
    /// @dev Liquidation penalty, bps of the notional closed: half to the caller, half to insurance.
    uint256 internal constant LIQUIDATION_FEE = 100;
    /// @dev Worst fill of a forced close against the index, bps; a stop also keeps to what was signed. A price made in a thin
    /// market is not accepted.
    uint256 internal constant LIQUIDATION_SLIPPAGE = 500;

    /// @dev Put aside for the venue's fee when a follower closes, bps of notional.
    uint256 internal constant FEE_RESERVE = 50;
    /// @dev Cost of a position that the venue took and that could not be divided, bps.
    uint256 internal constant MISSING_LOSS = 300;
    /// @dev A position too large for one trade is tried whole, then a quarter, then a sixteenth of it.
    uint256 internal constant MAX_PARTS = 3;

    // ---------------------------------------------------------------- mandates and deposits

    /// @notice See `IStrategyVault.acceptMandate`.
    function accept(VaultState storage s, Mandate calldata mandate, bytes32 mandateHash)
        external
        returns (uint32 account)
    {
        if (mandate.strategy != address(this)) revert IStrategyVault.WrongStrategy(mandate.strategy);
        if (mandate.expiry <= block.timestamp) revert IStrategyVault.MandateExpired(mandate.expiry);
        if (s.woundUp && mandate.deposit != 0) revert IStrategyVault.StrategyWoundUp();

        account = s.accountOf[mandate.follower];
        if (account == 0) {
            if (mandate.deposit < MIN_DEPOSIT) revert IStrategyVault.MandateOutOfRange("deposit");
            if (s.accountCount == type(uint32).max) revert IStrategyVault.TooManyAccounts();
            account = ++s.accountCount;
            s.accountOf[mandate.follower] = account;
            emit IStrategyVault.AccountOpened(account, mandate.follower);
        }

        Snapshot memory snap = sync(s);
        Account a = bounded(s, s.accounts[account], mandate);
        a = forgetSignal(s, account, LedgerLib.sweep(s, account, a, today()));

        (int256 value,,) = LedgerLib.equity(s, account, a, snap);
        uint256 netDeposits = s.bases[account].netDeposits();
        // Coming back after a stop measures stop-loss and take-profit from here.
        if (a.status() != uint256(Status.Active)) {
            if (a.status() != uint256(Status.None)) netDeposits = value > 0 ? uint256(value) : 0;
            a = a.withStatus(Status.Active);
            emit IStrategyVault.StatusChanged(account, Status.Active);
        }

        uint256 lastCrystallised = s.profiles[account].lastCrystallised();
        if (lastCrystallised == 0) lastCrystallised = block.timestamp;
        s.profiles[account] =
            AccountLib.profile(mandate.follower, mandate.stopLossBps, mandate.takeProfitBps, lastCrystallised);

        uint256 deposit = mandate.deposit;
        if (deposit != 0) {
            NavLib.mint(s, NavLib.ledgerEquity(s, snap), deposit);
            a = LedgerLib.credit(s, a, deposit);
            s.idle += uint96(deposit);
            emit IStrategyVault.Deposited(account, deposit);
        }
        s.accounts[account] = a;
        s.bases[account] = AccountLib.basis(s.bases[account].highWaterMark() + deposit, netDeposits + deposit);
        emit IStrategyVault.MandateAccepted(account, mandateHash, mandate);
        if (deposit != 0) {
            VenueLib.stake(s, deposit - deposit * BUFFER_BPS / BPS);
            NavLib.record(s, snap);
        }
    }

    /// @dev Checks a mandate and writes its bounds, each rounded to the tighter side of its packed field.
    function bounded(VaultState storage s, Account a, Mandate calldata m) private view returns (Account) {
        uint256 sizing;
        if (m.mode == uint8(Mode.ProRata)) {
            if (m.ratioBps == 0 || m.ratioBps > 100_000) revert IStrategyVault.MandateOutOfRange("ratioBps");
            sizing = m.ratioBps;
        } else if (m.mode == uint8(Mode.Fixed)) {
            sizing = (uint256(m.fixedNotional) / 1e6).min(type(uint32).max);
            if (sizing == 0) revert IStrategyVault.MandateOutOfRange("fixedNotional");
        } else {
            revert IStrategyVault.UnsupportedMode(m.mode);
        }
        uint256 leverage = (uint256(m.maxLeverageBps) / 100).min(type(uint16).max);
        uint256 notional = (uint256(m.maxPositionNotional) / 1e6).min(type(uint32).max);
        uint256 turnover = (uint256(m.maxDailyTurnover) / 1e6).min(PositionLib.MAX_TURNOVER);
        if (leverage == 0) revert IStrategyVault.MandateOutOfRange("maxLeverageBps");
        if (notional == 0) revert IStrategyVault.MandateOutOfRange("maxPositionNotional");
        if (turnover == 0) revert IStrategyVault.MandateOutOfRange("maxDailyTurnover");
        if (m.maxSlippageBps > BPS) revert IStrategyVault.MandateOutOfRange("maxSlippageBps");
        if (m.stopLossBps >= BPS) revert IStrategyVault.MandateOutOfRange("stopLossBps");

        uint256 allowed;
        for (uint256 i = 0; i < m.allowedMarkets.length; ++i) {
            uint256 marketPlusOne = s.marketOf[keccak256(bytes(m.allowedMarkets[i]))];
            if (marketPlusOne == 0) revert IStrategyVault.MarketNotListed(m.allowedMarkets[i]);
            allowed |= uint256(1) << (marketPlusOne - 1);
        }
        if (allowed == 0) revert IStrategyVault.MandateOutOfRange("allowedMarkets");

        return a.withBounds(
            m.mode,
            sizing,
            leverage,
            m.maxSlippageBps,
            notional,
            turnover,
            uint256(m.expiry).min(type(uint32).max),
            allowed
        );
    }

    /// @dev A new mandate or deposit changes the target: the signal already applied may move the account again.
    function forgetSignal(VaultState storage s, uint256 account, Account a) private returns (Account) {
        uint256 count = s.marketCount;
        for (uint256 m = 0; m < count; ++m) {
            if (a.touchedMarkets() >> m & 1 == 0) continue;
            uint256 before = (uint256(s.markets[m].signals) + PositionLib.SIGNALS - 1) % PositionLib.SIGNALS;
            LedgerLib.store(s, account, m, LedgerLib.position(s, account, m).withSignal(before));
        }
        return a;
    }

    // ---------------------------------------------------------------- leaving

    /// @notice Stops an account: the next batches close it.
    function stop(VaultState storage s, uint256 account) external {
        setStatus(s, account, Status.Stopped);
    }

    /// @notice See `IStrategyVault.withdraw`.
    function withdraw(VaultState storage s, uint256 account, uint256 amount) external returns (uint256 paid) {
        if (amount == 0) revert IStrategyVault.AmountZero();
        Snapshot memory snap = sync(s);
        Account a = chargePerformance(s, snap, account, LedgerLib.sweep(s, account, s.accounts[account], today()));
        uint256 free = freeMargin(s, snap, account, a).min(s.idle + VenueLib.withdrawable(s));
        if (amount == type(uint256).max) amount = free;
        else if (amount > free) revert IStrategyVault.InsufficientFreeMargin(amount, free);
        paid = pay(s, snap, account, a, amount);
        NavLib.record(s, snap);
    }

    /// @notice See `IStrategyVault.exit`.
    function exit(VaultState storage s, uint256 account, uint256 maxSlippageBps) external returns (uint256 paid) {
        Snapshot memory snap = sync(s);
        setStatus(s, account, Status.Stopped);
        closeAll(s, snap, account, maxSlippageBps, Cause.Exit);
        Account a = LedgerLib.sweep(s, account, s.accounts[account], today());
        a = chargePerformance(s, snap, account, LossLib.settleDebt(s, account, a));
        uint256 free = freeMargin(s, snap, account, a).min(s.idle + VenueLib.withdrawable(s));
        paid = pay(s, snap, account, a, free);
        NavLib.record(s, snap);
    }

    /// @notice See `IStrategyVault.closePosition`.
    function closePosition(VaultState storage s, uint256 account, uint256 market, uint256 size, uint256 maxSlippageBps)
        external
    {
        if (market >= s.marketCount) revert IStrategyVault.UnknownMarketIndex(uint8(market));
        Snapshot memory snap = sync(s);
        (bool ok, bytes memory reason) = close(s, snap, account, market, size, maxSlippageBps, Cause.Exit);
        if (!ok) TradeLib.bubble(reason);
        NavLib.record(s, snap);
    }

    /// @notice See `IStrategyVault.forceClose`.
    function forceClose(VaultState storage s, uint256 account, Cause cause, address rewardTo)
        external
        returns (uint256 notional)
    {
        Snapshot memory snap = sync(s);
        Account a = s.accounts[account];
        (int256 value, uint256 exposure, bool stale) = LedgerLib.equity(s, account, a, snap);
        // Nobody is closed by force on a price that is not known.
        if (stale) revertStale(s, snap, a);

        uint256 slippage = LIQUIDATION_SLIPPAGE;
        bytes memory reason;
        if (cause == Cause.Liquidation) {
            uint256 maintenance = exposure * maintenanceBps(s) / BPS;
            if (value >= int256(maintenance)) {
                revert IStrategyVault.NotLiquidatable(uint32(account), value, maintenance);
            }
            setStatus(s, account, Status.Liquidated);
        } else {
            requireStop(s, account, a, cause, value);
            slippage = slippage.min(a.maxSlippageBps());
            setStatus(s, account, Status.StoppedOut);
        }

        (notional, reason) = closeAll(s, snap, account, slippage, cause);
        if (notional == 0 && exposure != 0) TradeLib.bubble(reason);
        a = LedgerLib.sweep(s, account, s.accounts[account], today());
        if (cause == Cause.Liquidation) a = payPenalty(s, account, a, notional, rewardTo);
        s.accounts[account] = LossLib.settleDebt(s, account, a);
        NavLib.record(s, snap);
    }

    // ---------------------------------------------------------------- fees

    /// @notice See `IStrategyVault.crystallise`.
    function crystallise(VaultState storage s, uint32[] calldata accounts) external {
        Snapshot memory snap = sync(s);
        for (uint256 i = 0; i < accounts.length; ++i) {
            uint256 account = accounts[i];
            if (account == 0 || account > s.accountCount) revert IStrategyVault.UnknownAccount(accounts[i]);
            Profile profile = s.profiles[account];
            if (block.timestamp < profile.lastCrystallised() + CRYSTALLISE_PERIOD) continue;
            s.profiles[account] = profile.withLastCrystallised(block.timestamp);
            s.accounts[account] =
                chargePerformance(s, snap, account, LedgerLib.sweep(s, account, s.accounts[account], today()));
        }
        NavLib.record(s, snap);
    }

    /// @notice See `IStrategyVault.claimFees`.
    function claim(VaultState storage s, address who) external returns (uint256 amount) {
        uint256 due = FeeLib.claimable(s, who);
        if (due > s.idle) {
            Snapshot memory snap = sync(s);
            VenueLib.pull(s, snap, due - s.idle);
        }
        amount = FeeLib.take(s, who, s.idle);
        if (amount == 0) revert IStrategyVault.NothingToClaim(who);
        s.idle -= uint96(amount);
        emit IStrategyVault.FeesClaimed(who, amount);
        if (who == s.insurance) {
            SafeTransferLib.safeApproveWithRetry(s.usdc, who, amount);
            IInsuranceFund(who).donate(amount);
        } else {
            SafeTransferLib.safeTransfer(s.usdc, who, amount);
        }
    }

    // ---------------------------------------------------------------- anyone

    /// @notice See `IStrategyVault.checkpoint`.
    function checkpoint(VaultState storage s) external returns (uint256 index) {
        index = NavLib.record(s, sync(s));
    }

    /// @notice See `IStrategyVault.reconcile`.
    function reconcile(VaultState storage s, uint256 market) external {
        if (market >= s.marketCount) revert IStrategyVault.UnknownMarketIndex(uint8(market));
        LossLib.reconcile(s);
        NavLib.record(s, VenueLib.read(s, 255));
    }

    // ---------------------------------------------------------------- views

    /// @notice Bps of exposure below which an account's equity may be liquidated: the venue's, and a fifth more.
    function maintenanceBps(VaultState storage s) internal view returns (uint256) {
        (, uint256 maintenance) = IVenue(s.venue).marginRequirementsBps();
        return maintenance * MAINTENANCE_BUFFER / BPS;
    }

    /// @notice USDC (1e6) the account could withdraw if the vault had it at hand: never more than its margin, and never
    /// so much that its positions would break the mandate's leverage or the venue's initial margin.
    function freeMargin(VaultState storage s, Snapshot memory snap, uint256 account, Account a)
        internal
        view
        returns (uint256)
    {
        (int256 value, uint256 exposure, bool stale) = LedgerLib.equity(s, account, a, snap);
        if (value <= 0) return 0;
        uint256 needed;
        if (stale) {
            // Nobody has confirmed the price: everything the position is worth stays behind.
            needed = exposure;
        } else if (exposure != 0) {
            (uint256 initial,) = IVenue(s.venue).marginRequirementsBps();
            needed = (exposure * initial).ceilDivision(BPS).max((exposure * 100).ceilDivision(a.maxLeverage()));
        }
        return LedgerLib.margin(s, a).min(uint256(value).floorSub(needed));
    }

    // ---------------------------------------------------------------- parts

    function today() private view returns (uint256) {
        return (block.timestamp / 1 days) & 0xff;
    }

    /// @dev Reads the venue; brings the ledger in line first when it is not.
    function sync(VaultState storage s) private returns (Snapshot memory snap) {
        snap = VenueLib.read(s, 255);
        if (snap.diverged) {
            LossLib.reconcile(s);
            snap = VenueLib.read(s, 255);
        }
    }

    function refresh(VaultState storage s, Snapshot memory snap) private view {
        Snapshot memory now_ = VenueLib.read(s, 255);
        snap.price = now_.price;
        snap.fundingIndex = now_.fundingIndex;
        snap.pending = now_.pending;
        snap.gap = now_.gap;
        snap.stale = now_.stale;
    }

    function setStatus(VaultState storage s, uint256 account, Status status) private {
        Account a = s.accounts[account];
        if (a.status() == uint256(status)) return;
        s.accounts[account] = a.withStatus(status);
        emit IStrategyVault.StatusChanged(uint32(account), status);
    }

    /// @dev Closes all positions of an account as far as the venue takes them: what is too large for one trade in parts,
    /// what is refused not at all. An exit reverts on a price worse than the follower asked for.
    function closeAll(VaultState storage s, Snapshot memory snap, uint256 account, uint256 maxSlippageBps, Cause cause)
        private
        returns (uint256 notional, bytes memory reason)
    {
        uint256 count = s.marketCount;
        for (uint256 m = 0; m < count; ++m) {
            if (s.accounts[account].touchedMarkets() >> m & 1 == 0) continue;
            uint256 held = LedgerLib.position(s, account, m).size().abs();
            uint256 part = held;
            for (uint256 attempt = 0; held != 0 && attempt < MAX_PARTS; ++attempt) {
                bool ok;
                (ok, reason) = close(s, snap, account, m, part, maxSlippageBps, cause);
                if (!ok) {
                    if (cause == Cause.Exit && worseThan(reason, snap.price[m], maxSlippageBps)) {
                        TradeLib.bubble(reason);
                    }
                    // The venue may have closed the market for good: then the ledger pays its closing price.
                    if (attempt == 0) {
                        LossLib.reconcile(s);
                        refresh(s, snap);
                    }
                    part /= 4;
                }
                uint256 left = LedgerLib.position(s, account, m).size().abs();
                if (ok) {
                    notional += (held - left) * snap.price[m] / 1e30;
                    part = left;
                }
                held = left;
            }
        }
    }

    /// @dev Whether a trade failed for a price further off the index than the caller accepts.
    function worseThan(bytes memory reason, uint256 index, uint256 maxSlippageBps) private pure returns (bool) {
        if (!TradeLib.isPriceLimit(reason)) return false;
        uint256 price = TradeLib.priceIn(reason);
        uint256 bound = maxSlippageBps.min(BPS);
        return price < index * (BPS - bound) / BPS || (bound != BPS && price > index * (BPS + bound) / BPS);
    }

    /// @dev Trades `size` (at most the position) out at the venue and books it to the account alone.
    function close(
        VaultState storage s,
        Snapshot memory snap,
        uint256 account,
        uint256 m,
        uint256 size,
        uint256 maxSlippageBps,
        Cause cause
    ) private returns (bool ok, bytes memory reason) {
        Position p = LedgerLib.position(s, account, m);
        int256 held = p.size();
        if (held == 0 || size == 0) return (true, reason);
        // At least one USDC's worth, or all of it.
        size = size.max(uint256(1e36).div(snap.price[m])).min(held.abs());

        int256 delta = held > 0 ? -int256(size) : int256(size);
        TradeLib.Result memory result = missing(snap, m, delta);
        if (result.ok) {
            snap.gap[m] += result.fill.size;
        } else {
            result = size < SIZE_DUST
                ? giveUp(delta, snap.price[m])
                : tradeOut(s, snap, account, m, delta, maxSlippageBps, cause);
        }
        if (!result.ok) return (false, result.reason);
        book(s, snap, account, m, p, result.fill, result.price, cause);
        return (true, reason);
    }

    /// @dev Inside the caller's bound, and never so bad that the account could not pay for it itself and still hold the
    /// margin of what stays open: a price made in a thin market must not cost anyone else, at once or in parts. Only a
    /// liquidation may leave a debt.
    function tradeOut(
        VaultState storage s,
        Snapshot memory snap,
        uint256 account,
        uint256 m,
        int256 delta,
        uint256 maxSlippageBps,
        Cause cause
    ) private returns (TradeLib.Result memory) {
        int256 index = int256(snap.price[m]);
        int256 slip = index * int256(maxSlippageBps.min(BPS)) / int256(BPS);
        if (delta > 0 && maxSlippageBps >= BPS) slip = type(int128).max;
        if (cause != Cause.Liquidation) {
            (int256 value, uint256 exposure,) = LedgerLib.equity(s, account, s.accounts[account], snap);
            uint256 traded = delta.abs() * snap.price[m];
            int256 own = index
                * Sizing.affordable(value, (exposure * 1e30).floorSub(traded), traded, maintenanceBps(s), FEE_RESERVE)
                / int256(BPS);
            if (own < slip) slip = own;
        }
        if (delta < 0) return TradeLib.trade(s, snap, m, delta, uint256((index - slip).positive()), type(uint256).max);
        return TradeLib.trade(s, snap, m, delta, 0, uint256((index + slip).positive()));
    }

    /// @dev What the ledger has and the venue has not, because it took it and no generation was left to divide it: closed
    /// against the cash that came with it, less what the venue kept.
    function missing(Snapshot memory snap, uint256 m, int256 delta)
        private
        pure
        returns (TradeLib.Result memory result)
    {
        int256 gap = snap.gap[m];
        if (gap.abs() <= SIZE_DUST || (gap > 0) != (delta < 0)) return result;
        uint256 size = gap.abs().min(delta.abs());
        uint256 price = snap.price[m];
        price = delta < 0 ? price * (BPS - MISSING_LOSS) / BPS : (price * (BPS + MISSING_LOSS)).ceilDivision(BPS);
        (result.ok, result.price) = (true, price);
        result.fill.size = delta < 0 ? -int256(size) : int256(size);
        result.fill.quote = delta < 0 ? int256(size * price / WAD) : -int256((size * price).ceilDivision(WAD));
    }

    /// @dev Too small for any venue: given up, and bought back at the index price when it is owed.
    function giveUp(int256 delta, uint256 price) private pure returns (TradeLib.Result memory result) {
        (result.ok, result.price, result.fill.size) = (true, price, delta);
        if (delta > 0) result.fill.quote = -int256((uint256(delta) * price).ceilDivision(WAD));
    }

    function book(
        VaultState storage s,
        Snapshot memory snap,
        uint256 account,
        uint256 m,
        Position p,
        IVenue.Fill memory fill,
        uint256 price,
        Cause cause
    ) private {
        int256 index = snap.fundingIndex[m];
        int256 size = p.size() + fill.size;
        uint256 fee = fill.fee.ceilDivision(1e12);
        int256 quoteDelta = fill.quote.divDown(1e12) - int256(fee) - p.pendingFunding(index);
        emit IStrategyVault.AccountFilled(
            uint32(account), uint8(m), cause, fill.size, quoteDelta, fee, price, snap.price[m], index
        );
        uint256 turnover = p.turnoverOn(today()) + (fill.size.abs() * snap.price[m]).ceilDivision(1e36);
        LedgerLib.store(
            s,
            account,
            m,
            PositionLib.pack(
                size,
                LedgerLib.clamp(p.quote() + quoteDelta),
                index,
                turnover.min(PositionLib.MAX_TURNOVER),
                PositionLib.tagOf(today(), s.markets[m].generation, p.signal())
            )
        );
        LedgerLib.moveSize(s.markets[m], p.size(), size);
        s.markets[m].fundingCost += size * index - p.size() * p.fundingIndex();
        s.totalQuote += int128(quoteDelta);
    }

    /// @dev Charges the performance fee on equity above the high-water mark, as far as the margin goes: the mark rises by
    /// the profit that was paid for, the rest of it stays due.
    function chargePerformance(VaultState storage s, Snapshot memory snap, uint256 account, Account a)
        private
        returns (Account)
    {
        (int256 value,, bool stale) = LedgerLib.equity(s, account, a, snap);
        uint256 mark = s.bases[account].highWaterMark();
        if (stale || value <= int256(mark)) return a;
        uint256 rate = IMasterRegistry(s.registry).termsOf(s.strategyId).performanceFeeBps;
        uint256 profit = uint256(value) - mark;
        uint256 fee = profit * rate / BPS;
        uint256 margin = LedgerLib.margin(s, a);
        if (fee > margin) (profit, fee) = (margin * BPS / rate, margin);
        if (fee == 0) return a;
        NavLib.burn(s, NavLib.ledgerEquity(s, snap), fee);
        a = LedgerLib.debit(s, a, fee);
        s.masterFees += uint80(fee);
        mark = mark + profit - fee;
        s.bases[account] = AccountLib.basis(mark, s.bases[account].netDeposits());
        emit IStrategyVault.PerformanceFeeCharged(uint32(account), profit, fee, mark);
        return a;
    }

    /// @dev Pays the follower, and nobody else, from idle cash first. Everything is booked before the token moves.
    function pay(VaultState storage s, Snapshot memory snap, uint256 account, Account a, uint256 amount)
        private
        returns (uint256 paid)
    {
        uint256 cost;
        if (amount > s.idle) {
            uint256 pulled = VenueLib.pull(s, snap, amount - s.idle);
            amount = amount.min(s.idle);
            // The venue rounds its books down by up to one unit at a withdrawal; who caused it bears it.
            if (pulled != 0) cost = 1;
        }
        (paid, cost) = (amount, amount + cost);
        if (cost > LedgerLib.margin(s, a)) (paid, cost) = (amount.floorSub(1), amount);
        if (cost != 0) {
            (int256 value,,) = LedgerLib.equity(s, account, a, snap);
            uint256 equity = value > 0 ? uint256(value) : 0;
            uint256 left = equity.floorSub(cost);
            uint256 mark = s.bases[account].highWaterMark();
            uint256 net = s.bases[account].netDeposits();
            if (equity != 0) {
                s.bases[account] = AccountLib.basis((mark * left).ceilDivision(equity), net * left / equity);
            }
            NavLib.burn(s, NavLib.ledgerEquity(s, snap), cost);
            a = LedgerLib.debit(s, a, cost);
        }
        s.accounts[account] = a;
        if (cost == 0) return 0;
        s.idle -= uint96(paid);
        address follower = s.profiles[account].follower();
        emit IStrategyVault.Withdrawn(uint32(account), follower, paid, cost);
        if (paid != 0) SafeTransferLib.safeTransfer(s.usdc, follower, paid);
    }

    /// @dev The penalty comes out of what the account has left: never out of anyone else's money.
    function payPenalty(VaultState storage s, uint256 account, Account a, uint256 notional, address rewardTo)
        private
        returns (Account)
    {
        uint256 penalty = (notional * LIQUIDATION_FEE / BPS).min(LedgerLib.margin(s, a));
        uint256 reward = penalty / 2;
        a = LedgerLib.debit(s, a, penalty);
        FeeLib.accrue(s, rewardTo, reward);
        s.insuranceFees += uint80(penalty - reward);
        emit IStrategyVault.AccountLiquidated(uint32(account), rewardTo, reward, penalty - reward);
        return a;
    }

    function requireStop(VaultState storage s, uint256 account, Account a, Cause cause, int256 value) private view {
        Profile profile = s.profiles[account];
        uint256 base = s.bases[account].netDeposits();
        bool reached;
        if (a.status() == uint256(Status.Active) && base != 0) {
            if (cause == Cause.StopLoss) {
                uint256 bps = profile.stopLossBps();
                reached = bps != 0 && value <= int256(base * (BPS - bps) / BPS);
            } else if (cause == Cause.TakeProfit) {
                uint256 bps = profile.takeProfitBps();
                reached = bps != 0 && value >= int256(base * (BPS + bps) / BPS);
            }
        }
        if (!reached) revert IStrategyVault.StopNotReached(uint32(account), value);
    }

    /// @dev Reverts with the reason of the first stale market the account has a position in.
    function revertStale(VaultState storage s, Snapshot memory snap, Account a) private view {
        uint256 stale = snap.stale & a.touchedMarkets();
        for (uint256 m = 0; m < s.marketCount; ++m) {
            if (stale >> m & 1 == 0) continue;
            bytes32 id = s.markets[m].venueMarket;
            (uint256 price,) = IVenue(s.venue).indexPrice(id);
            revert IVenue.PriceOutOfRange(id, price);
        }
    }
}
// forge-lint: disable-end(unsafe-typecast)
