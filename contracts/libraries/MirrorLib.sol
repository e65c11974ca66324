// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {IMasterRegistry} from "../interfaces/IMasterRegistry.sol";
import {IStrategyVault} from "../interfaces/IStrategyVault.sol";
import {IVenue} from "../interfaces/IVenue.sol";
import {Outcome, Status, Terms} from "../interfaces/LockstepTypes.sol";
import {Account} from "./AccountLib.sol";
import {FeeLib} from "./FeeLib.sol";
import {FlowLib} from "./FlowLib.sol";
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
/// the tightest bounds of those who take part, and so near the index that it can leave nobody short of margin. When the
/// venue's price is further off, each account is looked at: who would have got a worse price than they signed, or than
/// they can pay for alone, is left out and it is tried again. SETTLE divides what was filled, at one price: orders of
/// opposite sign cross inside the batch and pay no venue fee, a partial fill is divided pro rata. A venue that fills
/// later keeps the plan instead of settling it.
library MirrorLib {
    using MathLib for int256;
    using MathLib for uint256;

    /// @dev Rounds of leaving followers out before the batch gives up.
    uint256 internal constant MAX_ROUNDS = 3;

    /// @dev Half of what a quote balance can hold: 18 billion USDC.
    uint256 private constant QUOTE_LIMIT = uint256(PositionLib.MAX_QUOTE) / 2;

    /// @dev Words of the plan per account: account slot, position slot, storage key of the position, and the fill word
    /// of the event, which until settlement holds account, outcome and order.
    uint256 private constant STRIDE = 0x80;

    /// @notice What commit leaves for execute and settle.
    /// @param at memory position of the first account's words
    /// @param buys sum of positive orders; sells: of negative ones, as a positive number
    /// @param buySlippage tightest signed slippage among the buyers, bps
    struct Plan {
        uint256 at;
        uint256 count;
        uint256 buys;
        uint256 sells;
        uint256 buySlippage;
        uint256 sellSlippage;
    }

    /// @notice How far off the index a batch may trade.
    /// @param most the strategy's bound, bps
    /// @param maintenance margin an account must keep, bps of exposure
    /// @param reserve for fees, bps of what is traded
    /// @param harmless what leaves nobody short, see `Sizing.harmless`
    struct Limits {
        uint256 market;
        uint256 index;
        uint256 most;
        uint256 maintenance;
        uint256 reserve;
        int256 harmless;
    }

    /// @notice What the venue did.
    /// @param wanted the net order; net: what was filled of it
    /// @param fee 1e18
    struct Execution {
        int256 wanted;
        int256 net;
        uint256 price;
        uint256 fee;
    }

    /// @notice Sums over all accounts moved.
    /// @param quote change of all quote balances
    /// @param cost change of the market's funding cost
    /// @param long change of the market's long size
    /// @param volume sizes traded
    struct Totals {
        int256 quote;
        int256 cost;
        int256 long;
        uint256 volume;
        uint256 moved;
        uint256 copyFee;
        uint256 venueFee;
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
        Sizing.Batch memory b =
            batchOf(s, snap, terms, market, order.leverage, countSignal(s.markets[market], order.sequence));
        if (order.reduceOnly || s.woundUp) onlyReduce(b);

        Plan memory plan = commit(s, snap, b, accounts);
        Execution memory done = execute(s, snap, b, plan, terms);
        if (done.net != done.wanted) share(plan, done);
        (Totals memory totals, bytes memory fills) = settle(s, b, plan, done, terms.copyFeeBps);
        if (totals.moved != 0) {
            bookTotals(s, market, done.net, totals);
            FeeLib.accrueCopyFee(s, totals.copyFee, order.sender);
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
        Sizing.Batch memory b = batchOf(s, snap, IMasterRegistry(s.registry).termsOf(s.strategyId), market, leverage, 0);
        if (s.woundUp) onlyReduce(b);
        b.tag = type(uint256).max; // no signal: nobody has applied it
        Position p = LedgerLib.position(s, account, market);
        uint256 code;
        (delta, code) = decide(s, snap, b, account, s.accounts[account], p);
        (target, outcome) = (p.size() + delta, Outcome(code));
    }

    // ---------------------------------------------------------------- commit

    /// @dev Counts a new signal; the same sequence again is the same signal.
    function countSignal(MarketState storage market, uint64 sequence) private returns (uint256 signal) {
        signal = market.signals;
        if (uint32(sequence) != market.lastSequence || signal == 0) {
            signal = (signal + 1) % PositionLib.SIGNALS;
            (market.signals, market.lastSequence) = (uint16(signal), uint32(sequence));
        }
    }

    /// @dev Everything the accounts of a batch have in common.
    function batchOf(
        VaultState storage s,
        Snapshot memory snap,
        Terms memory terms,
        uint256 market,
        int256 leverage,
        uint256 signal
    ) private view returns (Sizing.Batch memory b) {
        uint256 gross; // 1e36
        uint256 count = s.marketCount;
        for (uint256 m = 0; m < count; ++m) {
            MarketState storage state = s.markets[m];
            gross += (uint256(state.longSize) + state.shortSize) * snap.price[m];
        }
        b.price = snap.price[market];
        (b.leverage, b.speed) = (leverage, leverage.abs());
        b.fundingIndex = snap.fundingIndex[market];
        b.marginIndex = s.marginIndex;
        b.today = (block.timestamp / 1 days) & 0xff;
        b.generation = s.markets[market].generation;
        b.tag = PositionLib.tagOf(b.today, b.generation, signal);
        (b.gate, b.open) = Sizing.gateOf(market);
        b.others = 0xfff ^ (uint256(1) << market);
        b.time = block.timestamp;
        b.maxLeverageBps = terms.maxLeverageBps;
        b.deadBandBps = terms.deadBandBps;
        b.minTrade = uint256(terms.minTradeNotional) * 1e30;
        b.openRoom = (uint256(terms.maxOpenNotional) * 1e30).floorSub(gross);
        b.market = market;
    }

    function onlyReduce(Sizing.Batch memory b) private pure {
        (b.reduceOnly, b.time) = (true, type(uint64).max);
    }

    /// @dev Reads every account once and decides its order.
    function commit(VaultState storage s, Snapshot memory snap, Sizing.Batch memory b, bytes calldata accounts)
        private
        view
        returns (Plan memory plan)
    {
        // Sums of at most 2^30 sizes below 2^87 fit; indexes are bounded by the calldata's length.
        unchecked {
            uint256 at;
            uint256 end = accounts.length / 4;
            assembly ("memory-safe") {
                at := mload(0x40)
                mstore(0x40, add(at, mul(end, STRIDE)))
            }
            (plan.at, plan.count, plan.buySlippage, plan.sellSlippage) = (at, end, BPS, BPS);
            end = at + end * STRIDE;
            uint256 known = s.accountCount;
            uint256 next;
            assembly ("memory-safe") {
                next := accounts.offset
            }
            uint256 last = 0;
            for (; at != end; at += STRIDE) {
                uint256 account;
                assembly ("memory-safe") {
                    account := shr(224, calldataload(next))
                    next := add(next, 4)
                }
                if (account <= last) revert IStrategyVault.AccountsNotSorted((at - plan.at) / STRIDE);
                last = account;
                uint256 word = account << 224;
                if (account > known) {
                    word |= uint256(Outcome.Inactive) << 216;
                    assembly ("memory-safe") {
                        mstore(add(at, 0x60), word)
                    }
                    continue;
                }
                Account a = s.accounts[account];
                Position p;
                {
                    mapping(uint256 => Position) storage positions = s.positions;
                    uint256 key = LedgerLib.key(account, b.market);
                    assembly ("memory-safe") {
                        mstore(0x00, key)
                        mstore(0x20, positions.slot)
                        key := keccak256(0x00, 0x40)
                        p := sload(key)
                        mstore(add(at, 0x40), key)
                    }
                }
                if (p.generation() != b.generation) p = LedgerLib.caughtUp(s, b.market, p);
                (int256 delta, uint256 outcome) = decide(s, snap, b, account, a, p);
                if (delta > 0) {
                    plan.buys += uint256(delta);
                    if (a.maxSlippageBps() < plan.buySlippage) plan.buySlippage = a.maxSlippageBps();
                } else if (delta < 0) {
                    plan.sells += uint256(-delta);
                    if (a.maxSlippageBps() < plan.sellSlippage) plan.sellSlippage = a.maxSlippageBps();
                }
                assembly ("memory-safe") {
                    word := or(word, or(shl(216, outcome), shl(128, and(delta, 0xffffffffffffffffffffff))))
                    mstore(at, a)
                    mstore(add(at, 0x20), p)
                    mstore(add(at, 0x60), word)
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
    ) private view returns (int256 delta, uint256 outcome) {
        // Margin < 2^64; values below 2^75 (see PositionLib); turnover sums below 12 * 2^28.
        unchecked {
            if (p.tag() == b.tag && a.touchedMarkets() >> b.market & 1 == 1 && a.status() == uint256(Status.Active)) {
                return (0, uint256(Outcome.AlreadyApplied));
            }
            // A quote balance half full takes no further trade: the slot must hold whatever this one adds.
            if (p.quote().abs() > QUOTE_LIMIT) return (0, uint256(Outcome.SizeOverflow));
            int256 equity = int256(a.marginShares() * b.marginIndex / WAD) + p.value(b.price, b.fundingIndex);
            uint256 used = p.turnoverOn(b.today);
            uint256 others = Account.unwrap(a) & b.others;
            uint256 other;
            if (others != 0) {
                bool stale;
                (equity, other, used, stale) = withOthers(s, snap, account, others, b.today, equity, used);
                // Equity unknown: only what needs no equity is done, which is closing.
                if (stale && b.speed != 0 && Account.unwrap(a) & b.gate == b.open) {
                    return (0, uint256(Outcome.ReduceOnly));
                }
            }
            return Sizing.order(b, a, p.size(), equity, other, used);
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
            used += p.turnoverOn(today);
            if (p.size() == 0) continue;
            other += p.notional(snap.price[m]);
            if (snap.stale >> m & 1 == 1) stale = true;
        }
        return (equity, other, used, stale);
    }

    // ---------------------------------------------------------------- execute

    /// @dev One trade for all. The bounds hold for both sides: a seller that crosses gets the same price as the buyers.
    /// The first attempt keeps to what is harmless, so that nobody's books are read again while the market is deep.
    function execute(
        VaultState storage s,
        Snapshot memory snap,
        Sizing.Batch memory b,
        Plan memory plan,
        Terms memory terms
    ) private returns (Execution memory done) {
        uint256 index = b.price;
        done.price = index;
        if (plan.buys | plan.sells == 0) return done;

        Limits memory l = limitsOf(s, b, terms);
        uint256 most = l.most;
        if (l.harmless > 0) most = most.min(uint256(l.harmless));
        else leaveOut(s, snap, plan, l, index);
        for (uint256 round = 0;; ++round) {
            int256 net = absorbDust(plan);
            done.wanted = net;
            if (net == 0) return done;

            uint256 highest = index * (BPS + plan.buySlippage.min(most)) / BPS;
            uint256 lowest = index * (BPS - plan.sellSlippage.min(most).min(BPS)) / BPS;
            TradeLib.Result memory result = TradeLib.trade(s, snap, l.market, net, lowest, highest);
            if (result.ok) {
                (done.net, done.price, done.fee) = (result.fill.size, result.price, result.fill.fee);
                return done;
            }
            if (!TradeLib.isPriceLimit(result.reason)) TradeLib.bubble(result.reason);
            uint256 price = TradeLib.priceIn(result.reason);
            most = l.most;
            if (
                round == MAX_ROUNDS || price > index * (BPS + most) / BPS || price < index * (BPS - most.min(BPS)) / BPS
            ) revert IStrategyVault.SlippageBeyondLimit(price, index, most);
            leaveOut(s, snap, plan, l, price);
        }
    }

    function limitsOf(VaultState storage s, Sizing.Batch memory b, Terms memory terms)
        private
        view
        returns (Limits memory l)
    {
        (l.market, l.index, l.most) = (b.market, b.price, terms.maxSlippageBps);
        (l.maintenance, l.reserve) = (FlowLib.maintenanceBps(s), FlowLib.FEE_RESERVE + terms.copyFeeBps);
        l.harmless = Sizing.harmless(b.maxLeverageBps, l.maintenance, l.reserve);
    }

    /// @dev A net order too small for any venue is taken off the first order on its side.
    function absorbDust(Plan memory plan) private pure returns (int256 net) {
        net = int256(plan.buys) - int256(plan.sells);
        if (net == 0 || net.abs() >= SIZE_DUST) return net;
        uint256 end = plan.at + plan.count * STRIDE;
        for (uint256 at = plan.at; at != end; at += STRIDE) {
            int256 delta = orderAt(at);
            if ((delta > 0) != (net > 0) || delta.abs() <= net.abs()) continue;
            setOrder(at, delta - net);
            if (net > 0) plan.buys -= uint256(net);
            else plan.sells -= uint256(-net);
            return 0;
        }
    }

    /// @dev Leaves out everyone for whom `price` is worse than they signed or can pay for.
    function leaveOut(VaultState storage s, Snapshot memory snap, Plan memory plan, Limits memory l, uint256 price)
        private
        view
    {
        (plan.buys, plan.sells, plan.buySlippage, plan.sellSlippage) = (0, 0, BPS, BPS);
        uint256 end = plan.at + plan.count * STRIDE;
        for (uint256 at = plan.at; at != end; at += STRIDE) {
            int256 delta = orderAt(at);
            if (delta == 0) continue;
            int256 own = boundOf(s, snap, l, at, delta);
            uint256 bound = uint256(own.positive());
            if (
                own < 0
                    || (delta > 0
                            ? price > l.index * (BPS + bound) / BPS
                            : price < l.index * (BPS - bound.min(BPS)) / BPS)
            ) {
                setOrder(at, 0);
                setOutcome(at, Outcome.SlippageBound);
            } else if (delta > 0) {
                plan.buys += uint256(delta);
                plan.buySlippage = plan.buySlippage.min(bound);
            } else {
                plan.sells += uint256(-delta);
                plan.sellSlippage = plan.sellSlippage.min(bound);
            }
        }
    }

    /// @dev The slippage one account has signed, or the smaller one that it can pay for alone; negative when that is none.
    /// Never below what is harmless: only an account that had less than its maintenance margin before can pay for less than
    /// that, and it may be closed by anyone at a worse price.
    function boundOf(VaultState storage s, Snapshot memory snap, Limits memory l, uint256 at, int256 delta)
        private
        view
        returns (int256 bound)
    {
        Account a = accountAt(at);
        bound = int256(a.maxSlippageBps());
        if (bound <= l.harmless) return bound;
        uint256 account;
        Position p;
        assembly ("memory-safe") {
            account := shr(224, mload(add(at, 0x60)))
            p := mload(add(at, 0x20))
        }
        (int256 equity, uint256 exposure,) = LedgerLib.equity(s, account, a, snap);
        // Exposure is rounded up, so that it is no less than what the account holds in this market.
        uint256 left = exposure * 1e30 - p.size().abs() * l.index + (p.size() + delta).abs() * l.index;
        int256 own = Sizing.affordable(equity, left, delta.abs() * l.index, l.maintenance, l.reserve);
        if (own < l.harmless) own = l.harmless;
        if (own < bound) bound = own;
    }

    /// @dev A partial fill: the orders on the net's side get the fill and what crosses, pro rata. The division
    /// telescopes, so the parts add up exactly. The same signal may move these accounts again.
    function share(Plan memory plan, Execution memory done) private pure {
        bool buying = done.wanted > 0;
        uint256 total = buying ? plan.buys : plan.sells;
        uint256 filled = total - done.wanted.abs() + done.net.abs();
        uint256 seen;
        uint256 given;
        uint256 end = plan.at + plan.count * STRIDE;
        for (uint256 at = plan.at; at != end; at += STRIDE) {
            int256 delta = orderAt(at);
            if (delta == 0 || (delta > 0) != buying) continue;
            seen += delta.abs();
            uint256 upTo = seen * filled / total;
            setOrder(at, buying ? int256(upTo - given) : -int256(upTo - given));
            setOutcome(at, Outcome.Capped);
            given = upTo;
        }
        (plan.buys, plan.sells) = buying ? (filled, plan.sells) : (plan.buys, filled);
    }

    // ---------------------------------------------------------------- settle

    /// @dev Divides the execution and writes every account once. A quote change is one division, rounded down; what is
    /// left over belongs to nobody.
    function settle(
        VaultState storage s,
        Sizing.Batch memory b,
        Plan memory plan,
        Execution memory done,
        uint256 copyFeeBps
    ) private returns (Totals memory t, bytes memory fills) {
        int256 price = int256(done.price);
        // Fees per base unit, 1e18, rounded up: everyone pays the copy fee, the net's side also the venue's.
        uint256 buyRate = (done.price * copyFeeBps).ceilDivision(BPS);
        uint256 sellRate = buyRate;
        if (done.net > 0) buyRate += (done.fee * WAD).ceilDivision(plan.buys);
        else if (done.net < 0) sellRate += (done.fee * WAD).ceilDivision(plan.sells);

        if (plan.buys | plan.sells != 0 && !s.markets[b.market].generationUsed) {
            s.markets[b.market].generationUsed = true;
        }
        // Not wholly filled: the same signal may move the net's side again.
        uint256 tag = b.tag;
        if (done.net != done.wanted) tag = tag & ~(PositionLib.SIGNALS - 1) | (tag - 1) & (PositionLib.SIGNALS - 1);

        fills = new bytes(plan.count * 32);
        // |order|, |size| < 2^87, price < 2^97, rates < 2^98, funding < 2^56 * 1e9: the sum of the three products is
        // below 2^188, and 2^30 of them fit.
        unchecked {
            int256 funding = b.fundingIndex;
            uint256 index = b.price;
            uint256 today = b.today;
            uint256 bit = uint256(1) << b.market;
            uint256 at = plan.at;
            uint256 end = at + plan.count * STRIDE;
            uint256 out;
            assembly ("memory-safe") {
                out := add(fills, 0x20)
            }
            for (; at != end; at += STRIDE) {
                uint256 word;
                int256 delta;
                Position p;
                assembly ("memory-safe") {
                    word := mload(add(at, 0x60))
                    delta := signextend(10, shr(128, word))
                    p := mload(add(at, 0x20))
                }
                if (delta != 0) {
                    uint256 volume = delta.abs();
                    int256 size = p.size();
                    int256 before = p.fundingIndex();
                    uint256 fees = volume * (delta > 0 ? buyRate : sellRate);
                    int256 quote = (-delta * price - int256(fees) - size * (funding - before) * 1e9).divDown(1e30);
                    t.volume += volume;
                    t.quote += quote;
                    t.cost -= size * before;
                    t.long -= size.positive();
                    size += delta;
                    t.cost += size * funding;
                    t.long += size.positive();
                    volume = p.turnoverOn(today) + (volume * index).ceilDivision(1e36);
                    if (volume > PositionLib.MAX_TURNOVER) volume = PositionLib.MAX_TURNOVER;
                    p = PositionLib.pack(size, p.quote() + quote, funding, volume, tag);
                    fees = fees.ceilDivision(1e30);
                    ++t.moved;
                    assembly ("memory-safe") {
                        sstore(mload(add(at, 0x40)), p)
                        word := or(word, or(shl(72, and(quote, 0xffffffffffffff)), shl(24, fees)))
                    }
                    Account a = accountAt(at);
                    if (a.touchedMarkets() & bit == 0) s.accounts[word >> 224] = a.touch(b.market);
                }
                assembly ("memory-safe") {
                    mstore(out, word)
                    out := add(out, 0x20)
                }
            }
        }
        t.copyFee = t.volume * done.price * copyFeeBps / 1e34;
        t.venueFee = done.fee.ceilDivision(1e12);
    }

    function bookTotals(VaultState storage s, uint256 market, int256 net, Totals memory t) private {
        MarketState storage state = s.markets[market];
        // What is left of a size after venue-made changes may be a few wei more than the accounts' sum.
        int256 long = int256(uint256(state.longSize)) + t.long;
        int256 short = int256(uint256(state.shortSize)) + t.long - net;
        state.longSize = long > 0 ? uint128(uint256(long)) : 0;
        state.shortSize = short > 0 ? uint128(uint256(short)) : 0;
        state.fundingCost += t.cost;
        s.totalQuote += int128(t.quote);
    }

    // ---------------------------------------------------------------- the plan's words

    function accountAt(uint256 at) private pure returns (Account a) {
        assembly ("memory-safe") {
            a := mload(at)
        }
    }

    function orderAt(uint256 at) private pure returns (int256 delta) {
        assembly ("memory-safe") {
            delta := signextend(10, shr(128, mload(add(at, 0x60))))
        }
    }

    function setOrder(uint256 at, int256 delta) private pure {
        assembly ("memory-safe") {
            let word := mload(add(at, 0x60))
            mstore(add(at, 0x60), or(shl(216, shr(216, word)), shl(128, and(delta, 0xffffffffffffffffffffff))))
        }
    }

    function setOutcome(uint256 at, Outcome outcome) private pure {
        assembly ("memory-safe") {
            let word := mload(add(at, 0x60))
            mstore(add(at, 0x60), or(and(word, not(shl(216, 0xff))), shl(216, outcome)))
        }
    }

    function crossed(Plan memory plan) private pure returns (uint256) {
        return plan.buys.min(plan.sells);
    }
}
// forge-lint: disable-end(unsafe-typecast)
