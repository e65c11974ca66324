// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {IStrategyVault} from "../interfaces/IStrategyVault.sol";
import {FeeLib} from "./FeeLib.sol";
import {MathLib} from "./MathLib.sol";
import {MarketState, Snapshot, VaultState, WAD} from "./VaultState.sol";
import {VenueLib} from "./VenueLib.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title NavLib
/// @notice The strategy's equity, its NAV index and the record of it.
///
/// Total equity is what all accounts own together: margins + quote balances + net size x index price − funding owed.
/// It is the same sum as cash + venue account − unclaimed fees, less what belongs to nobody (rounding left over, gifts).
///
/// Units make the index blind to flows: a deposit mints units and a withdrawal or a performance fee burns units at the
/// index of that moment. Copy fees, venue fees and liquidation rewards are costs and lower the index. While there are
/// no units the index keeps its last value; after equity was wiped out with units outstanding the old units are void
/// and a new deposit starts again at 1e18. Units carry no claim: nobody's money depends on them.
library NavLib {
    using MathLib for int256;
    using MathLib for uint256;

    /// @dev With fewer units or less equity than this (0.001 USDC) the index ends: the rest is void.
    uint256 private constant DUST = 1000;
    /// @dev Units per unit of USDC at the index 1: fine enough that no deposit is lost to rounding and raises the index.
    uint256 private constant GRAIN = 1e6;

    /// @notice Sum of all accounts' equities, USDC 1e6, rounded down; negative under water.
    function ledgerEquity(VaultState storage s, Snapshot memory snap) internal view returns (int256 equity) {
        equity = ledgerCash(s);
        uint256 count = s.marketCount;
        for (uint256 m = 0; m < count; ++m) {
            MarketState storage market = s.markets[m];
            if (market.longSize | market.shortSize == 0) continue;
            int256 net = VenueLib.netSize(market);
            equity += (net * int256(snap.price[m])).divDown(1e30)
            - (net * snap.fundingIndex[m] - market.fundingCost).divUp(1e21);
        }
    }

    /// @notice Margins and quote balances, USDC 1e6.
    function ledgerCash(VaultState storage s) internal view returns (int256) {
        return int256(uint256(s.totalShares) * s.marginIndex / WAD) + s.totalQuote;
    }

    /// @notice What the vault has beyond what the accounts own, USDC 1e6; negative: it is short of that.
    /// @dev Sizes and cash are the venue's own: what the books do not know yet is in `Snapshot.gap` and `cashGap`.
    function surplus(VaultState storage s, Snapshot memory snap) internal view returns (int256 amount) {
        int256 atVenue = s.venueCash + snap.cashGap;
        amount = int256(uint256(s.idle)) - int256(FeeLib.total(s)) - ledgerCash(s);
        uint256 count = s.marketCount;
        for (uint256 m = 0; m < count; ++m) {
            MarketState storage market = s.markets[m];
            if (market.longSize | market.shortSize == 0) continue;
            atVenue -= snap.pending[m] + (snap.gap[m] * int256(snap.price[m])).divUp(WAD);
            amount += (VenueLib.netSize(market) * snap.fundingIndex[m] - market.fundingCost).divUp(1e21);
        }
        amount += atVenue.divDown(1e12);
    }

    /// @notice Equity as a number that is never negative, and the index for it.
    function indexOf(VaultState storage s, int256 equity)
        internal
        view
        returns (uint256 navIndex, uint256 totalEquity)
    {
        totalEquity = equity > 0 ? uint256(equity).min(type(uint104).max) : 0;
        uint256 units = s.units;
        navIndex = units == 0 ? s.lastIndex : (totalEquity * (WAD * GRAIN) / units).min(type(uint112).max);
    }

    /// @notice Mints the units of a deposit. Call before the deposit counts as equity.
    function mint(VaultState storage s, int256 equityBefore, uint256 amount) internal {
        uint256 units = s.units;
        if (units != 0 && equityBefore >= int256(DUST)) {
            s.units = uint128(units + FixedPointMathLib.fullMulDiv(amount, units, uint256(equityBefore)));
            return;
        }
        // Wiped out: the old units are worth nothing and must not eat the deposit.
        if (units != 0) s.lastIndex = uint128(WAD);
        // What was left behind counts at the same index: it is no gain of a small deposit.
        s.units = uint128((amount + uint256(equityBefore.positive())) * (WAD * GRAIN) / s.lastIndex);
    }

    /// @notice Burns the units of a withdrawal or a performance fee. Call before it leaves the equity.
    function burn(VaultState storage s, int256 equityBefore, uint256 amount) internal {
        uint256 units = s.units;
        if (units == 0 || amount == 0) return;
        (uint256 navIndex, uint256 equity) = indexOf(s, equityBefore);
        if (equity < DUST) return;
        uint256 burnt = FixedPointMathLib.fullMulDivUp(amount, units, equity);
        if (burnt + DUST * GRAIN >= units || amount + DUST >= equity) {
            (s.units, s.lastIndex) = (0, uint128(navIndex));
        } else {
            s.units = uint128(units - burnt);
        }
    }

    /// @notice Appends a point.
    function record(VaultState storage s, Snapshot memory snap) internal returns (uint256 index) {
        VenueLib.rememberPrices(s, snap);
        (uint256 navIndex, uint256 totalEquity) = indexOf(s, ledgerEquity(s, snap));
        index = s.navCount++;
        s.nav[index] = pack(block.timestamp, navIndex, totalEquity);
        emit IStrategyVault.NavRecorded(index, uint64(block.timestamp), navIndex, totalEquity);
    }

    /// @dev From the top: time uint40 | navIndex uint112 | totalEquity uint104.
    function pack(uint256 time, uint256 navIndex, uint256 totalEquity) internal pure returns (uint256) {
        return (time << 216) | (navIndex << 104) | totalEquity;
    }

    function unpack(uint256 point) internal pure returns (uint64 time, uint256 navIndex, uint256 totalEquity) {
        return (uint64(point >> 216), (point >> 104) & type(uint112).max, point & type(uint104).max);
    }
}
// forge-lint: disable-end(unsafe-typecast)
