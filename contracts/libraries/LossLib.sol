// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {IInsuranceFund} from "../interfaces/IInsuranceFund.sol";
import {IStrategyVault} from "../interfaces/IStrategyVault.sol";
import {IVenue} from "../interfaces/IVenue.sol";
import {Account} from "./AccountLib.sol";
import {FeeLib} from "./FeeLib.sol";
import {LedgerLib} from "./LedgerLib.sol";
import {MathLib} from "./MathLib.sol";
import {NavLib} from "./NavLib.sol";
import {Position} from "./PositionLib.sol";
import {Divergence, MAX_MARKETS, MarketState, SIZE_DUST, Snapshot, VaultState, WAD} from "./VaultState.sol";
import {VenueLib} from "./VenueLib.sol";

/// @title LossLib
/// @notice What happens to the ledger when the venue is not what the books say, and when an account owes more than it
/// has.
///
/// The venue is the truth and the ledger its division. A change of size belongs to the side of the market that it made
/// smaller: that side is scaled until the totals match again, and receives the cash that came with it. Cash lost with
/// no change of size belongs to everybody: insurance pays what it may, the rest lowers the margin index. Cash gained
/// with no change of size belongs to nobody: gifts do nothing.
library LossLib {
    using MathLib for int256;
    using MathLib for uint256;

    /// @dev Below this margin index the strategy takes no more deposits and opens nothing.
    uint256 internal constant MARGIN_INDEX_FLOOR = 1e15;
    /// @dev The margin index stops here: shares of 64 bits could not hold a margin at a lower one.
    uint256 internal constant MARGIN_INDEX_LAST = 1e12;
    /// @dev A market whose position the venue has changed this often takes no more deposits: a position counts 256.
    uint256 internal constant MAX_GENERATION = 200;
    /// @dev Shortfalls below this (0.001 USDC) are rounding, and the rounding of later trades makes up for them.
    int256 internal constant SHORTFALL_DUST = 1000;

    /// @notice Brings the ledger back in line with the venue, in all markets.
    function reconcile(VaultState storage s) external {
        IVenue venue = IVenue(s.venue);
        uint256 count = s.marketCount;
        Snapshot memory snap = VenueLib.read(s, 255);
        for (uint256 m = 0; m < count; ++m) {
            settleClosed(s, venue, snap, m);
        }

        (bool ok, int256 cash) = VenueLib.tryCash(venue);
        if (!ok) return;
        int256 unexplained = cash - s.venueCash;
        int256[MAX_MARKETS] memory freed; // cash that each change of size set free at the index price, 1e18
        int256[MAX_MARKETS] memory held;
        uint256 weight;
        uint256 changed;
        for (uint256 m = 0; m < count; ++m) {
            MarketState storage market = s.markets[m];
            if (market.longSize | market.shortSize == 0) continue;
            try venue.holding(address(this), market.venueMarket) returns (IVenue.Holding memory holding) {
                int256 gone = VenueLib.netSize(market) - holding.size;
                if (gone.abs() <= SIZE_DUST) continue;
                held[m] = holding.size;
                freed[m] = (gone * int256(snap.price[m])).divDown(WAD);
                unexplained -= freed[m];
                weight += freed[m].abs();
                changed |= uint256(1) << m;
            } catch {}
        }
        s.venueCash = int128(cash);
        for (uint256 m = 0; m < count; ++m) {
            if (changed >> m & 1 == 0) continue;
            int256 share = weight == 0 ? int256(0) : (unexplained * int256(freed[m].abs())).divDown(weight);
            applyChange(s, m, held[m], freed[m] + share);
        }

        int256 short = -NavLib.surplus(s, VenueLib.read(s, 255));
        if (short > SHORTFALL_DUST) socialise(s, 0, uint256(short));
    }

    /// @notice An account that is flat and still owes: the debt is booked, the account starts at zero.
    function settleDebt(VaultState storage s, uint256 account, Account a) external returns (Account) {
        uint256 owed;
        uint256 count = s.marketCount;
        for (uint256 m = 0; m < count; ++m) {
            if (a.touchedMarkets() >> m & 1 == 0) continue;
            Position p = LedgerLib.position(s, account, m);
            if (p.size() != 0) return a;
            if (p.quote() < 0) owed += uint256(-p.quote());
        }
        if (owed == 0) return a;
        for (uint256 m = 0; m < count; ++m) {
            if (a.touchedMarkets() >> m & 1 == 0) continue;
            uint256 key = LedgerLib.key(account, m);
            s.positions[key] = s.positions[key].withQuote(0);
        }
        s.totalQuote += int128(uint128(owed));
        // Saved first: absorbing calls the insurance fund.
        s.accounts[account] = a;
        socialise(s, account, owed);
        return a;
    }

    /// @dev A closed market pays both sides its closing price: two changes, one per side.
    function settleClosed(VaultState storage s, IVenue venue, Snapshot memory snap, uint256 m) private {
        MarketState storage market = s.markets[m];
        if (market.longSize | market.shortSize == 0) return;
        uint256 price;
        try venue.closedPrice(market.venueMarket) returns (uint256 price_) {
            price = price_;
        } catch {}
        if (price == 0) return;
        (bool ok,) = address(venue).delegatecall(abi.encodeCall(IVenue.settleClosed, (market.venueMarket)));
        if (!ok) return;
        VenueLib.settleFunding(s, snap, m);
        s.venueCash += int128((VenueLib.netSize(market) * int256(price)).divDown(WAD));
        scaleSide(s, m, true, 0, int256(price), market.fundingIndex);
        scaleSide(s, m, false, 0, -int256(price), market.fundingIndex);
    }

    /// @dev The venue made the net position of a market `size`; `cash` (1e18) came with it.
    function applyChange(VaultState storage s, uint256 m, int256 size, int256 cash) private {
        MarketState storage market = s.markets[m];
        bool longSide = VenueLib.netSize(market) > 0;
        uint256 other = longSide ? market.shortSize : market.longSize;
        uint256 side = longSide ? market.longSize : market.shortSize;
        int256 left = int256(other) + (longSide ? size : -size);
        if (left < 0) left = 0; // the venue turned the position round: the rest stays a difference
        uint256 scale = uint256(left) * WAD / side;
        if (scale > type(uint64).max) scale = type(uint64).max;
        // From the index of the last settlement: what has run up since is the venue's charge for what is left, and the
        // index will pass it on to that alone. Taken here, it would be taken twice.
        scaleSide(s, m, longSide, scale, (cash * int256(WAD)).divDown(side), market.fundingIndex);
    }

    /// @dev Settles everyone's funding to `index`, then scales one side. Positions follow when they are next touched.
    /// While no position has been written since the last change, a further change of the same side is folded into it:
    /// whoever makes the venue liquidate in slices cannot use up the generations that a position counts.
    function scaleSide(VaultState storage s, uint256 m, bool longSide, uint256 scale, int256 cashPerSize, int256 index)
        private
    {
        MarketState storage market = s.markets[m];
        uint256 generation = market.generation;
        Divergence memory last = s.divergences[LedgerLib.key(m, generation)];
        bool fold = generation != 0 && !market.generationUsed && last.longSide == longSide;
        // Out of generations: the difference stays, what it cost is everybody's, and leaving goes on.
        if (!fold && generation == type(uint8).max) return;

        cashPerSize = bounded(cashPerSize);
        uint256 side = longSide ? market.longSize : market.shortSize;
        s.totalQuote -= int128((VenueLib.netSize(market) * index - market.fundingCost).divUp(1e21));
        s.totalQuote += int128((int256(side) * cashPerSize).divDown(1e30));
        side = side * scale / WAD;
        if (longSide) market.longSize = uint128(side);
        else market.shortSize = uint128(side);
        market.fundingCost = VenueLib.netSize(market) * index;

        if (fold) {
            // The funding since the last change was owed on what that change had left.
            int256 kept = int256(uint256(last.scale));
            int256 funding = (index - last.fundingIndex) * 1e9 * (int256(WAD) - kept);
            last.cashPerSize =
                int112(bounded(last.cashPerSize + (kept * cashPerSize + (longSide ? funding : -funding)).divDown(WAD)));
            last.scale = uint64((uint256(last.scale) * scale / WAD).min(type(uint64).max));
            last.fundingIndex = int64(index);
        } else {
            ++generation;
            (market.generation, market.generationUsed) = (uint8(generation), false);
            if (generation >= MAX_GENERATION) s.woundUp = true;
            last = Divergence(int64(index), longSide, uint64(scale), int112(cashPerSize));
        }
        s.divergences[LedgerLib.key(m, generation)] = last;
        // The change as positions will apply it, so that whoever follows the events applies the same.
        emit IStrategyVault.VenueDiverged(
            uint8(m), uint8(generation), longSide, last.scale, last.cashPerSize, last.fundingIndex
        );
    }

    function bounded(int256 cashPerSize) private pure returns (int256) {
        if (cashPerSize > type(int112).max) return type(int112).max;
        if (cashPerSize < type(int112).min) return type(int112).min;
        return cashPerSize;
    }

    /// @dev Insurance first, the rest on everyone's margin. The shares of the account that owes are already gone.
    function socialise(VaultState storage s, uint256 account, uint256 amount) private {
        uint256 insured;
        try IInsuranceFund(s.insurance).cover(amount) returns (uint256 paid) {
            insured = paid.min(amount);
            s.idle += uint96(insured);
        } catch {}
        // Fees not yet claimed stand in front of followers' margins: insurance's own, then the master's.
        insured += FeeLib.giveUp(s, amount - insured);

        uint256 rest = amount - insured;
        uint256 index = s.marginIndex;
        uint256 margins = uint256(s.totalShares) * index / WAD;
        uint256 socialised;
        if (rest != 0 && margins != 0) {
            uint256 lowered = rest >= margins ? 0 : index * (margins - rest) / margins;
            if (lowered < MARGIN_INDEX_LAST) lowered = MARGIN_INDEX_LAST.min(index);
            socialised = margins - uint256(s.totalShares) * lowered / WAD;
            index = lowered;
            s.marginIndex = uint64(index);
        }
        // What nobody's margin could pay is a hole that a later deposit must not fill.
        if (index < MARGIN_INDEX_FLOOR || rest > socialised + uint256(SHORTFALL_DUST)) s.woundUp = true;
        emit IStrategyVault.BadDebt(uint32(account), amount, insured, socialised, index);
    }
}
// forge-lint: disable-end(unsafe-typecast)
