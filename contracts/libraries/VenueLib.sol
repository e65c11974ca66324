// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {IVenue} from "../interfaces/IVenue.sol";
import {FundingLib} from "./FundingLib.sol";
import {MathLib} from "./MathLib.sol";
import {CASH_DUST, MAX_MARKETS, MarketState, SIZE_DUST, Snapshot, VaultState} from "./VaultState.sol";

/// @title VenueLib
/// @notice How a vault reads and moves what it has at the venue.
/// @dev Reading is tolerant: a silent oracle or a venue that does not answer never stops a flow. What must not happen
/// on a stale price checks `Snapshot.stale`.
library VenueLib {
    using MathLib for int256;

    /// @dev Prices of 2^96 and more are refused: the arithmetic of a batch relies on it.
    uint256 internal constant MAX_PRICE = type(uint96).max;

    /// @notice Reads prices, funding and truth of all markets that hold a position, and of `focus`.
    /// @param focus a market whose price is needed though it may be empty; 255 for none
    function read(VaultState storage s, uint256 focus) internal view returns (Snapshot memory snap) {
        IVenue venue = IVenue(s.venue);
        uint256 count = s.marketCount;
        for (uint256 m = 0; m < count; ++m) {
            MarketState storage market = s.markets[m];
            snap.fundingIndex[m] = market.fundingIndex;
            if (m != focus && market.longSize | market.shortSize == 0) continue;
            readMarket(venue, market, snap, m);
        }
        (bool ok, int256 cash) = tryCash(venue);
        if (!ok) return snap;
        snap.cashGap = cash - s.venueCash;
        if (snap.cashGap.abs() > CASH_DUST) snap.diverged = true;
    }

    function readMarket(IVenue venue, MarketState storage market, Snapshot memory snap, uint256 m) internal view {
        bytes32 id = market.venueMarket;
        snap.price[m] = market.lastPrice;
        bool fresh;
        try venue.indexPrice(id) returns (uint256 price, uint256) {
            if (price != 0 && price <= MAX_PRICE) (snap.price[m], fresh) = (price, true);
        } catch {}
        if (!fresh) snap.stale |= uint256(1) << m;

        int256 net = netSize(market);
        try venue.holding(address(this), id) returns (IVenue.Holding memory holding) {
            snap.gap[m] = net - holding.size;
            if (snap.gap[m].abs() > SIZE_DUST) snap.diverged = true;
            snap.pending[m] = holding.pendingFunding;
            snap.fundingIndex[m] = FundingLib.moved(snap.fundingIndex[m], holding.pendingFunding, holding.size, net);
        } catch {}
    }

    function tryCash(IVenue venue) internal view returns (bool ok, int256 cash) {
        try venue.cash(address(this)) returns (int256 cash_) {
            (ok, cash) = (true, cash_);
        } catch {}
    }

    function netSize(MarketState storage market) internal view returns (int256) {
        return int256(uint256(market.longSize)) - int256(uint256(market.shortSize));
    }

    /// @notice Remembers the fresh prices of a snapshot.
    function rememberPrices(VaultState storage s, Snapshot memory snap) internal {
        uint256 count = s.marketCount;
        for (uint256 m = 0; m < count; ++m) {
            uint256 price = snap.price[m];
            if (price == 0 || snap.stale >> m & 1 == 1) continue;
            MarketState storage market = s.markets[m];
            if (market.lastPrice != price) market.lastPrice = uint96(price);
        }
    }

    /// @notice Books that the venue has charged the pending funding of `market`: any trade in it does that.
    function settleFunding(VaultState storage s, Snapshot memory snap, uint256 market) internal {
        if (snap.pending[market] == 0) return;
        s.venueCash -= int128(snap.pending[market]);
        s.markets[market].fundingIndex = int64(snap.fundingIndex[market]);
        snap.pending[market] = 0;
    }

    /// @notice Moves `amount` USDC from the vault to the venue; a venue that takes none leaves it idle.
    function stake(VaultState storage s, uint256 amount) internal returns (bool ok) {
        if (amount == 0) return false;
        (ok,) = s.venue.delegatecall(abi.encodeCall(IVenue.deposit, (amount)));
        if (ok) {
            s.idle -= uint96(amount);
            s.venueCash += int128(uint128(amount * 1e12));
        }
    }

    /// @notice Takes up to `amount` USDC out of the venue; takes nothing when the venue does not let go.
    /// @dev A withdrawal makes the venue charge all pending funding, and rounds its books down by up to 1e-6 USDC.
    function pull(VaultState storage s, Snapshot memory snap, uint256 amount) internal returns (uint256 pulled) {
        pulled = MathLib.min(amount, withdrawable(s));
        if (pulled == 0) return 0;
        (bool ok,) = s.venue.delegatecall(abi.encodeCall(IVenue.withdraw, (pulled)));
        if (!ok) return 0;
        uint256 count = s.marketCount;
        for (uint256 m = 0; m < count; ++m) {
            settleFunding(s, snap, m);
        }
        s.idle += uint96(pulled);
        s.venueCash -= int128(uint128(pulled * 1e12));
    }

    function withdrawable(VaultState storage s) internal view returns (uint256) {
        try IVenue(s.venue).withdrawable(address(this)) returns (uint256 amount) {
            return amount;
        } catch {
            return 0;
        }
    }
}
// forge-lint: disable-end(unsafe-typecast)
