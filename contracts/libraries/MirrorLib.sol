// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {IMasterRegistry} from "../interfaces/IMasterRegistry.sol";
import {IStrategyVault} from "../interfaces/IStrategyVault.sol";
import {IVenue} from "../interfaces/IVenue.sol";
import {Outcome, Status, Terms} from "../interfaces/LockstepTypes.sol";
import {Account} from "./AccountLib.sol";
import {LedgerLib} from "./LedgerLib.sol";
import {LossLib} from "./LossLib.sol";
import {MathLib} from "./MathLib.sol";
import {NavLib} from "./NavLib.sol";
import {Position, PositionLib} from "./PositionLib.sol";
import {Sizing} from "./Sizing.sol";
import {TradeLib} from "./TradeLib.sol";
import {BPS, MarketState, SIZE_DUST, Snapshot, VaultState, WAD} from "./VaultState.sol";
import {VenueLib} from "./VenueLib.sol";

/// @title MirrorLib
/// @notice The batch, in two halves with a plan in memory between them.
///
/// COMMIT reads each account once, decides its order and nets them all. EXECUTE sends the net order to the venue within
/// the tightest bounds of those who take part; who would have got a worse price than they signed is left out and it is
/// tried again. SETTLE divides what was filled, at one price: orders of opposite sign cross inside the batch and pay no
/// venue fee, a partial fill is divided pro rata. A venue that fills later keeps the plan instead of settling it.
library MirrorLib {
    using MathLib for int256;
    using MathLib for uint256;

    /// @dev Rounds of leaving followers out before the batch gives up.
    uint256 internal constant MAX_ROUNDS = 3;

    /// @dev Shares of the copy fee, bps.
    uint256 internal constant INSURANCE_SHARE = 2000;
    uint256 internal constant SENDER_SHARE = 1000;

    /// @dev Words of the plan per account: account slot, position slot, and order = delta int88 | account uint32 |
    /// outcome uint8 from the top.
    uint256 private constant STRIDE = 0x60;

    /// @notice What commit leaves for execute and settle.
    /// @param at memory position of the first account's words
    /// @param buys sum of positive deltas; sells: of negative ones, as a positive number
    /// @param buySlippage tightest signed slippage among the buyers, bps
    struct Plan {
        uint256 at;
        uint256 count;
        uint256 buys;
        uint256 sells;
        uint256 buySlippage;
        uint256 sellSlippage;
    }

    /// @notice What the venue did.
    struct Execution {
        int256 net;
        uint256 price;
        uint256 fee; // 1e18
        int256 wanted;
    }

    struct Totals {
        int256 quote;
        int256 cost;
        int256 size;
        uint256 longUp;
        uint256 longDown;
        uint256 shortUp;
        uint256 shortDown;
        uint256 copyFee;
        uint256 venueFee;
        uint256 moved;
        uint256 cumulated;
        uint256 given;
    }

    /// @notice See `IStrategyVault.mirror`.
    function mirror(VaultState storage s, IStrategyVault.MirrorOrder calldata order, bytes calldata accounts)
        external
        returns (uint64 batchId, uint256 moved)
    {
        uint256 market = order.market;
        if (market >= s.marketCount) revert IStrategyVault.UnknownMarketIndex(order.market);
        if (accounts.length == 0) revert IStrategyVault.EmptyBatch();
        if (accounts.length % 4 != 0) revert IStrategyVault.MalformedAccounts(accounts.length);

        Snapshot memory snap = VenueLib.read(s, market);
        if (snap.diverged) {
            LossLib.reconcile(s);
            snap = VenueLib.read(s, market);
        }
        // A stale price of the batch's own market reverts with the venue's reason.
        if (snap.stale >> market & 1 == 1) {
            (uint256 bad,) = IVenue(s.venue).indexPrice(s.markets[market].venueMarket);
            revert IVenue.PriceOutOfRange(s.markets[market].venueMarket, bad);
        }

        Terms memory terms = IMasterRegistry(s.registry).termsOf(s.strategyId);
        Sizing.Batch memory b = batchOf(s, snap, terms, market, order.leverage, order.sequence);
        b.reduceOnly = order.reduceOnly || s.woundUp;

        Plan memory plan = commit(s, snap, b, accounts, market);
        Execution memory done = execute(s, snap, plan, market, terms.maxSlippageBps);
        (Totals memory totals, bytes memory fills) = settle(s, b, plan, done, market, terms.copyFeeBps);

        {
            MarketState storage state = s.markets[market];
            if (totals.moved != 0) {
                state.longSize = uint128(uint256(state.longSize) + totals.longUp - totals.longDown);
                state.shortSize = uint128(uint256(state.shortSize) + totals.shortUp - totals.shortDown);
                state.fundingCost += totals.cost + totals.size * b.fundingIndex;
                s.totalQuote += totals.quote;
                accrueCopyFee(s, totals.copyFee, order.sender);
            }
        }
        moved = totals.moved;
        batchId = ++s.batches;
        NavLib.record(s, snap);
        emit IStrategyVault.BatchMirrored(
            batchId,
            order.market,
            order.sequence,
            order.leverage,
            order.observedAt,
            b.price,
            done.price,
            done.net,
            crossed(plan),
            totals.venueFee,
            totals.copyFee,
            b.fundingIndex,
            fills
        );
    }

    /// @notice See `IStrategyVault.previewTarget`.
    function preview(VaultState storage s, uint256 account, uint256 market, int256 leverage)
        external
        view
        returns (int256 target, int256 delta, Outcome outcome)
    {
        if (market >= s.marketCount) revert IStrategyVault.UnknownMarketIndex(uint8(market));
        if (account == 0 || account > s.accountCount) return (0, 0, Outcome.Inactive);
        Snapshot memory snap = VenueLib.read(s, market);
        Sizing.Batch memory b =
            batchOf(s, snap, IMasterRegistry(s.registry).termsOf(s.strategyId), market, leverage, type(uint64).max);
        b.reduceOnly = s.woundUp;
        b.sequence = 256; // no signal: nobody has applied it
        Position p = LedgerLib.position(s, account, market);
        (delta, outcome) = decide(s, snap, b, account, s.accounts[account], p);
        target = p.size() + delta;
    }

    // ---------------------------------------------------------------- commit

    /// @dev Everything the accounts of a batch have in common.
    function batchOf(
        VaultState storage s,
        Snapshot memory snap,
        Terms memory terms,
        uint256 market,
        int256 leverage,
        uint256 sequence
    ) private view returns (Sizing.Batch memory b) {
        uint256 gross;
        uint256 count = s.marketCount;
        for (uint256 m = 0; m < count; ++m) {
            MarketState storage state = s.markets[m];
            gross += (uint256(state.longSize) + state.shortSize) * snap.price[m] / 1e30;
        }
        b.price = snap.price[market];
        b.leverage = leverage;
        b.fundingIndex = snap.fundingIndex[market];
        b.marginIndex = s.marginIndex;
        b.time = block.timestamp;
        b.today = (block.timestamp / 1 days) & 0xff;
        b.sequence = sequence & 0xff;
        b.marketBit = uint256(1) << market;
        b.maxLeverageBps = terms.maxLeverageBps;
        b.deadBandBps = terms.deadBandBps;
        b.minTrade = terms.minTradeNotional;
        b.openRoom = uint256(terms.maxOpenNotional).floorSub(gross);
    }

    function commit(
        VaultState storage s,
        Snapshot memory snap,
        Sizing.Batch memory b,
        bytes calldata accounts,
        uint256 market
    ) private view returns (Plan memory plan) {
        // Sums of at most 2^30 sizes below 2^87 fit; indexes are bounded by the calldata's length.
        unchecked {
            uint256 count = accounts.length / 4;
            uint256 at;
            assembly ("memory-safe") {
                at := mload(0x40)
                mstore(0x40, add(at, mul(count, STRIDE)))
            }
            plan.at = at;
            plan.count = count;
            plan.buySlippage = BPS;
            plan.sellSlippage = BPS;
            uint256 known = s.accountCount;
            uint256 generation = s.markets[market].generation;
            uint256 last = 0;
            for (uint256 i = 0; i < count; ++i) {
                uint256 account;
                assembly ("memory-safe") {
                    account := shr(224, calldataload(add(accounts.offset, shl(2, i))))
                }
                if (account <= last) revert IStrategyVault.AccountsNotSorted(i);
                last = account;

                Account a;
                Position p;
                int256 delta;
                Outcome outcome = Outcome.Inactive;
                if (account <= known) {
                    a = s.accounts[account];
                    p = s.positions[LedgerLib.key(account, market)];
                    if (p.generation() != generation) p = LedgerLib.caughtUp(s, market, p);
                    (delta, outcome) = decide(s, snap, b, account, a, p);
                }
                if (delta > 0) {
                    plan.buys += uint256(delta);
                    if (a.maxSlippageBps() < plan.buySlippage) plan.buySlippage = a.maxSlippageBps();
                } else if (delta < 0) {
                    plan.sells += uint256(-delta);
                    if (a.maxSlippageBps() < plan.sellSlippage) plan.sellSlippage = a.maxSlippageBps();
                }
                assembly ("memory-safe") {
                    mstore(at, a)
                    mstore(add(at, 0x20), p)
                    mstore(add(at, 0x40), or(shl(168, delta), or(shl(136, account), shl(128, outcome))))
                    at := add(at, STRIDE)
                }
            }
        }
    }

    function decide(
        VaultState storage s,
        Snapshot memory snap,
        Sizing.Batch memory b,
        uint256 account,
        Account a,
        Position p
    ) private view returns (int256 delta, Outcome outcome) {
        // Margin < 2^64 * 1e18 / 1e18; values below 2^75 (see PositionLib); turnover sums below 12 * 2^32 * 1e6.
        unchecked {
            uint256 touched = a.touchedMarkets();
            if (
                p.lastSequence() == b.sequence && p.day() == b.today && touched & b.marketBit != 0
                    && a.status() == uint256(Status.Active)
            ) return (0, Outcome.AlreadyApplied);

            uint256 used = p.turnoverOn(b.today) * 1e6;
            uint256 other;
            int256 equity = int256(a.marginShares() * b.marginIndex / WAD) + p.value(b.price, b.fundingIndex);
            touched &= ~b.marketBit;
            if (touched != 0) {
                bool stale;
                (equity, other, used, stale) = withOthers(s, snap, account, touched, b.today, equity, used);
                if (stale && b.leverage != 0) return (0, Outcome.ReduceOnly);
            }
            int256 target;
            int256 size = p.size();
            (target, outcome) = Sizing.order(b, a, size, equity, other, used);
            if (outcome <= Outcome.Capped) {
                delta = target - size;
                uint256 grown = target.abs().floorSub(size.abs());
                if (grown != 0) b.openRoom = b.openRoom.floorSub(grown * b.price / 1e30);
            }
        }
    }

    /// @dev Adds what an account has in the other markets.
    function withOthers(
        VaultState storage s,
        Snapshot memory snap,
        uint256 account,
        uint256 touched,
        uint256 today,
        int256 equity,
        uint256 used
    ) private view returns (int256, uint256 other, uint256, bool stale) {
        uint256 count = s.marketCount;
        for (uint256 m = 0; m < count; ++m) {
            if (touched >> m & 1 == 0) continue;
            Position p = LedgerLib.position(s, account, m);
            equity += p.value(snap.price[m], snap.fundingIndex[m]);
            used += p.turnoverOn(today) * 1e6;
            if (p.size() == 0) continue;
            other += p.notional(snap.price[m]);
            if (snap.stale >> m & 1 == 1) stale = true;
        }
        return (equity, other, used, stale);
    }

    // ---------------------------------------------------------------- execute

    /// @dev One trade for all. The bounds hold for both sides: a seller that crosses gets the same price as the buyers.
    function execute(VaultState storage s, Snapshot memory snap, Plan memory plan, uint256 market, uint256 limitBps)
        private
        returns (Execution memory done)
    {
        uint256 index = snap.price[market];
        done.price = index;
        for (uint256 round = 0;; ++round) {
            int256 net = absorbDust(plan);
            done.wanted = net;
            if (net == 0) return done;

            uint256 highest = index * (BPS + plan.buySlippage.min(limitBps)) / BPS;
            uint256 lowest = index * (BPS - plan.sellSlippage.min(limitBps).min(BPS)) / BPS;
            (bool ok, IVenue.Fill memory fill, uint256 price, bytes memory reason) =
                TradeLib.trade(s, snap, market, net, lowest, highest);
            if (ok) {
                (done.net, done.price, done.fee) = (fill.size, price, fill.fee);
                return done;
            }
            if (!TradeLib.isPriceLimit(reason)) TradeLib.bubble(reason);
            price = TradeLib.priceIn(reason);
            if (
                round == MAX_ROUNDS || price > index * (BPS + limitBps) / BPS
                    || price < index * (BPS - limitBps.min(BPS)) / BPS
            ) revert IStrategyVault.SlippageBeyondLimit(price, index, limitBps);
            leaveOut(plan, index, price);
        }
    }

    /// @dev A net order too small for any venue is taken off the first order on its side.
    function absorbDust(Plan memory plan) private pure returns (int256 net) {
        net = int256(plan.buys) - int256(plan.sells);
        if (net == 0 || net.abs() >= SIZE_DUST) return net;
        uint256 at = plan.at;
        for (uint256 i = 0; i < plan.count; ++i) {
            int256 delta;
            uint256 word;
            assembly ("memory-safe") {
                word := mload(add(at, 0x40))
                delta := sar(168, word)
            }
            if ((delta > 0) == (net > 0) && delta.abs() > net.abs()) {
                delta -= net;
                assembly ("memory-safe") {
                    mstore(add(at, 0x40), or(shl(168, delta), shr(88, shl(88, word))))
                }
                if (net > 0) plan.buys -= uint256(net);
                else plan.sells -= uint256(-net);
                return 0;
            }
            at += STRIDE;
        }
    }

    /// @dev Leaves out everyone for whom `price` is worse than they signed.
    function leaveOut(Plan memory plan, uint256 index, uint256 price) private pure {
        (plan.buys, plan.sells, plan.buySlippage, plan.sellSlippage) = (0, 0, BPS, BPS);
        uint256 at = plan.at;
        for (uint256 i = 0; i < plan.count; ++i) {
            Account a;
            int256 delta;
            uint256 word;
            assembly ("memory-safe") {
                a := mload(at)
                word := mload(add(at, 0x40))
                delta := sar(168, word)
            }
            uint256 bound = a.maxSlippageBps();
            if (delta > 0) {
                if (price > index * (BPS + bound) / BPS) {
                    delta = 0;
                } else {
                    plan.buys += uint256(delta);
                    plan.buySlippage = plan.buySlippage.min(bound);
                }
            } else if (delta < 0) {
                if (price < index * (BPS - bound.min(BPS)) / BPS) {
                    delta = 0;
                } else {
                    plan.sells += uint256(-delta);
                    plan.sellSlippage = plan.sellSlippage.min(bound);
                }
            }
            if (delta == 0 && word >> 168 != 0) {
                uint256 account = (word >> 136) & type(uint32).max;
                word = (account << 136) | (uint256(Outcome.SlippageBound) << 128);
                assembly ("memory-safe") {
                    mstore(add(at, 0x40), word)
                }
            }
            at += STRIDE;
        }
    }

    // ---------------------------------------------------------------- settle

    /// @dev Divides the execution. Quote changes round down, fees up: what is left over belongs to nobody.
    function settle(
        VaultState storage s,
        Sizing.Batch memory b,
        Plan memory plan,
        Execution memory done,
        uint256 market,
        uint256 copyFeeBps
    ) private returns (Totals memory t, bytes memory fills) {
        fills = new bytes(plan.count * 32);
        uint256 at = plan.at;
        uint256 generation = s.markets[market].generation;
        // The net side's total and what of it could be filled: the venue's fill plus what crossed.
        uint256 sideTotal = done.wanted > 0 ? plan.buys : plan.sells;
        uint256 sideFilled = sideTotal - done.wanted.abs() + done.net.abs();
        if (done.wanted == 0) sideTotal = sideFilled = 0;

        // |delta|, |size| < 2^87, price < 2^97, quote sums < 2^30 * 2^55: nothing below can overflow.
        unchecked {
            for (uint256 i = 0; i < plan.count; ++i) {
                uint256 word;
                int256 delta;
                Position p;
                assembly ("memory-safe") {
                    word := mload(add(at, 0x40))
                    p := mload(add(at, 0x20))
                    delta := sar(168, word)
                }
                uint256 fillWord = ((word >> 136) & type(uint32).max) << 224 | ((word >> 128) & 0xff) << 216;
                if (delta != 0) {
                    bool paying = sideTotal != 0 && (delta > 0) == (done.wanted > 0);
                    if (paying && sideFilled != sideTotal) {
                        // Telescoping division: the parts add up to the fill exactly.
                        t.cumulated += delta.abs();
                        uint256 upTo = t.cumulated * sideFilled / sideTotal;
                        delta = delta > 0 ? int256(upTo - t.given) : -int256(upTo - t.given);
                        t.given = upTo;
                    }
                    (int256 quoteDelta, uint256 fees) =
                        settleOne(t, b, done, p, delta, paying ? sideFilled : 0, copyFeeBps);
                    uint256 account = (word >> 136) & type(uint32).max;
                    {
                        uint256 sequence = b.sequence;
                        // Not wholly filled: the same signal may move it again.
                        if (sideFilled != sideTotal && paying) sequence ^= 0x80;
                        uint256 turnover = p.turnoverOn(b.today) + (delta.abs() * b.price + (1e36 - 1)) / 1e36;
                        if (turnover > type(uint32).max) turnover = type(uint32).max;
                        s.positions[LedgerLib.key(account, market)] = PositionLib.pack(
                            p.size() + delta,
                            p.quote() + quoteDelta,
                            b.fundingIndex,
                            turnover,
                            b.today,
                            generation,
                            sequence
                        );
                    }
                    Account a;
                    assembly ("memory-safe") {
                        a := mload(at)
                    }
                    if (a.touchedMarkets() & b.marketBit == 0) s.accounts[account] = a.touch(market);
                    fillWord |= (uint256(delta) & ((1 << 88) - 1)) << 128 | (uint256(quoteDelta) & ((1 << 56) - 1))
                        << 72 | fees << 24;
                }
                assembly ("memory-safe") {
                    mstore(add(add(fills, 0x20), shl(5, i)), fillWord)
                    at := add(at, STRIDE)
                }
            }
        }
    }

    /// @dev The change of one account's quote balance, and the sums.
    function settleOne(
        Totals memory t,
        Sizing.Batch memory b,
        Execution memory done,
        Position p,
        int256 delta,
        uint256 sideFilled,
        uint256 copyFeeBps
    ) private pure returns (int256 quoteDelta, uint256 fees) {
        unchecked {
            uint256 moved = delta.abs();
            uint256 copyFee = (moved * done.price * copyFeeBps + (1e34 - 1)) / 1e34;
            t.copyFee += copyFee;
            fees = copyFee;
            if (sideFilled != 0) {
                uint256 venueFee = (done.fee * moved).ceilDivision(sideFilled * 1e12);
                t.venueFee += venueFee;
                fees += venueFee;
            }
            int256 size = p.size();
            quoteDelta = (-delta * int256(done.price)).divDown(1e30) - int256(fees) - p.pendingFunding(b.fundingIndex);

            t.quote += quoteDelta;
            t.cost -= size * p.fundingIndex();
            if (size > 0) t.longDown += uint256(size);
            else t.shortDown += uint256(-size);
            size += delta;
            t.size += size;
            if (size > 0) t.longUp += uint256(size);
            else t.shortUp += uint256(-size);
            ++t.moved;
        }
    }

    function crossed(Plan memory plan) private pure returns (uint256) {
        return plan.buys.min(plan.sells);
    }

    /// @dev 20 % to insurance, a bounded part to whoever sent the batch, the rest to the master.
    function accrueCopyFee(VaultState storage s, uint256 fee, address sender) private {
        if (fee == 0) return;
        uint256 insured = fee * INSURANCE_SHARE / BPS;
        uint256 sent = fee * SENDER_SHARE / BPS;
        s.claimable[s.insurance] += insured;
        s.claimable[sender] += sent;
        s.claimable[s.master] += fee - insured - sent;
        s.totalFees += uint128(fee);
    }
}
