// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {IStrategyVault} from "../interfaces/IStrategyVault.sol";
import {IVenue} from "../interfaces/IVenue.sol";
import {MathLib} from "./MathLib.sol";
import {Snapshot, VaultState} from "./VaultState.sol";
import {VenueLib} from "./VenueLib.sol";

/// @dev The vault's call to itself around a venue trade, so that a trade at too bad a price can be undone.
interface ITradeWithin {
    function tradeWithin(bytes32 market, int256 size, uint256 lowest, uint256 highest)
        external
        returns (IVenue.Fill memory fill, uint256 price);
}

/// @title TradeLib
/// @notice One trade at the venue, inside a price range.
library TradeLib {
    using MathLib for int256;

    /// @notice What came of a trade: the fill and its price, or the reason for none.
    struct Result {
        bool ok;
        uint256 price;
        IVenue.Fill fill;
        bytes reason;
    }

    /// @notice Runs inside the vault's call to itself: trades, then reverts with the price when it is out of range.
    function within(address venue, bytes32 market, int256 size, uint256 lowest, uint256 highest)
        internal
        returns (IVenue.Fill memory fill, uint256 price)
    {
        (bool ok, bytes memory result) = venue.delegatecall(abi.encodeCall(IVenue.trade, (market, size)));
        if (!ok) bubble(result);
        fill = abi.decode(result, (IVenue.Fill));
        // A fill on the wrong side, larger than asked or with a quote of the wrong sign is no fill.
        if (
            fill.size == 0 || (fill.size > 0) != (size > 0) || fill.size.abs() > size.abs()
                || (fill.quote > 0) == (fill.size > 0)
        ) revert IStrategyVault.PartialFill(size, fill.size);
        price = priceOf(fill);
        if (price < lowest) revert IStrategyVault.PriceLimit(price, lowest);
        if (price > highest) revert IStrategyVault.PriceLimit(price, highest);
    }

    /// @notice Average price without the fee, 1e18, rounded against whoever trades in the fill's direction.
    function priceOf(IVenue.Fill memory fill) internal pure returns (uint256) {
        uint256 scaled = fill.quote.abs() * 1e18;
        uint256 size = fill.size.abs();
        return fill.size > 0 ? MathLib.ceilDivision(scaled, size) : scaled / size;
    }

    /// @notice Trades and books what the venue did to the vault's cash. When the venue refuses for another reason than
    /// the price, it is tried once more with all idle cash as margin.
    function trade(
        VaultState storage s,
        Snapshot memory snap,
        uint256 market,
        int256 size,
        uint256 lowest,
        uint256 highest
    ) internal returns (Result memory result) {
        bytes32 id = s.markets[market].venueMarket;
        for (uint256 attempt = 0; attempt < 2; ++attempt) {
            try ITradeWithin(address(this)).tradeWithin(id, size, lowest, highest) returns (
                IVenue.Fill memory fill, uint256 price
            ) {
                VenueLib.settleFunding(s, snap, market);
                s.venueCash += int128(fill.quote - int256(fill.fee));
                (result.ok, result.price, result.fill) = (true, price, fill);
                return result;
            } catch (bytes memory reason) {
                result.reason = reason;
                if (isPriceLimit(reason) || !VenueLib.stake(s, s.idle)) return result;
            }
        }
    }

    function isPriceLimit(bytes memory reason) internal pure returns (bool) {
        return reason.length == 68 && bytes4(reason) == IStrategyVault.PriceLimit.selector;
    }

    /// @notice The price carried by a `PriceLimit` revert.
    function priceIn(bytes memory reason) internal pure returns (uint256 price) {
        assembly ("memory-safe") {
            price := mload(add(reason, 0x24))
        }
    }

    function bubble(bytes memory reason) internal pure {
        assembly ("memory-safe") {
            revert(add(reason, 0x20), mload(reason))
        }
    }
}
// forge-lint: disable-end(unsafe-typecast)
