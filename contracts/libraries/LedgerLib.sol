// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {IStrategyVault} from "../interfaces/IStrategyVault.sol";
import {Account} from "./AccountLib.sol";
import {MathLib} from "./MathLib.sol";
import {Position, PositionLib} from "./PositionLib.sol";
import {Divergence, MarketState, Snapshot, VaultState, WAD} from "./VaultState.sol";

/// @title LedgerLib
/// @notice One account's margin, equity and positions.
library LedgerLib {
    using MathLib for int256;
    using MathLib for uint256;

    // ---------------------------------------------------------------- positions

    function key(uint256 account, uint256 market) internal pure returns (uint256) {
        return (account << 8) | market;
    }

    /// @notice The position with every change the venue made since its last touch.
    function position(VaultState storage s, uint256 account, uint256 market) internal view returns (Position p) {
        p = s.positions[key(account, market)];
        if (p.generation() != s.markets[market].generation) p = caughtUp(s, market, p);
    }

    /// @notice Writes a position, which from then on is at the market's generation.
    function store(VaultState storage s, uint256 account, uint256 market, Position p) internal {
        if (!s.markets[market].generationUsed) s.markets[market].generationUsed = true;
        s.positions[key(account, market)] = p;
    }

    /// @dev Funding to the moment of the change, then the change; sizes towards zero, cash against the account.
    function caughtUp(VaultState storage s, uint256 market, Position p) internal view returns (Position) {
        uint256 generation = s.markets[market].generation;
        int256 size = p.size();
        int256 quote = p.quote();
        int256 index = p.fundingIndex();
        if (size != 0) {
            for (uint256 g = p.generation() + 1; g <= generation; ++g) {
                Divergence memory d = s.divergences[key(market, g)];
                quote -= (size * (d.fundingIndex - index)).divUp(1e21);
                index = d.fundingIndex;
                if (size != 0 && (size > 0) == d.longSide) {
                    quote += (int256(size.abs()) * d.cashPerSize).divDown(1e30);
                    size = size * int256(uint256(d.scale)) / int256(WAD);
                }
            }
        }
        return PositionLib.pack(
            size, clamp(quote), index, p.dayTurnover(), PositionLib.tagOf(p.day(), generation, p.signal())
        );
    }

    /// @dev A quote balance saturates at the edge of its field (36 billion USDC): leaving must never revert.
    function clamp(int256 quote) internal pure returns (int256) {
        if (quote > PositionLib.MAX_QUOTE) return PositionLib.MAX_QUOTE;
        if (quote < -PositionLib.MAX_QUOTE) return -PositionLib.MAX_QUOTE;
        return quote;
    }

    /// @notice Moves the size sums from one position of an account to the next.
    function moveSize(MarketState storage market, int256 from, int256 to) internal {
        market.longSize = uint128((market.longSize + uint256(to.positive())).floorSub(uint256(from.positive())));
        market.shortSize = uint128((market.shortSize + uint256((-to).positive())).floorSub(uint256((-from).positive())));
    }

    // ---------------------------------------------------------------- margin

    function margin(VaultState storage s, Account a) internal view returns (uint256) {
        return a.marginShares() * s.marginIndex / WAD;
    }

    /// @notice Adds to an account's margin, rounded down.
    function credit(VaultState storage s, Account a, uint256 amount) internal returns (Account) {
        uint256 shares = amount * WAD / s.marginIndex;
        s.totalShares += uint96(shares);
        return a.withMarginShares(fit(a.marginShares() + shares));
    }

    /// @notice Takes from an account's margin, rounded up; at most all of it.
    function debit(VaultState storage s, Account a, uint256 amount) internal returns (Account) {
        uint256 shares = (amount * WAD).ceilDivision(s.marginIndex).min(a.marginShares());
        s.totalShares -= uint96(shares);
        return a.withMarginShares(a.marginShares() - shares);
    }

    function fit(uint256 shares) internal pure returns (uint256) {
        if (shares > type(uint64).max) revert IStrategyVault.MandateOutOfRange("deposit");
        return shares;
    }

    /// @notice Moves the quote balances of flat positions into the margin and forgets the slots that are done with.
    /// Gains first; a loss beyond the margin stays in its slot.
    function sweep(VaultState storage s, uint256 account, Account a, uint256 today) internal returns (Account) {
        uint256 count = s.marketCount;
        for (uint256 pass = 0; pass < 2; ++pass) {
            for (uint256 m = 0; m < count; ++m) {
                if (a.touchedMarkets() >> m & 1 == 0) continue;
                Position p = position(s, account, m);
                if (p.size() != 0) continue;
                int256 quote = p.quote();
                if (quote > 0) {
                    a = credit(s, a, uint256(quote));
                } else if (quote < 0) {
                    if (pass == 0) continue;
                    quote = -int256(uint256(-quote).min(margin(s, a)));
                    a = debit(s, a, uint256(-quote));
                }
                if (quote != 0) {
                    s.totalQuote -= int128(quote);
                    p = p.withQuote(p.quote() - quote);
                    emit IStrategyVault.QuoteSwept(uint32(account), uint8(m), quote);
                }
                if (p.quote() == 0 && p.turnoverOn(today) == 0) {
                    a = a.untouch(m);
                    p = Position.wrap(0);
                }
                store(s, account, m, p);
            }
        }
        return a;
    }

    // ---------------------------------------------------------------- equity

    /// @notice Equity (rounded down) and gross exposure (rounded up) at the snapshot's prices, USDC 1e6.
    function equity(VaultState storage s, uint256 account, Account a, Snapshot memory snap)
        internal
        view
        returns (int256 value, uint256 exposure, bool stale)
    {
        value = int256(margin(s, a));
        uint256 count = s.marketCount;
        for (uint256 m = 0; m < count; ++m) {
            if (a.touchedMarkets() >> m & 1 == 0) continue;
            Position p = position(s, account, m);
            value += p.value(snap.price[m], snap.fundingIndex[m]);
            if (p.size() != 0) {
                exposure += p.notional(snap.price[m]);
                if (snap.stale >> m & 1 == 1) stale = true;
            }
        }
    }
}
// forge-lint: disable-end(unsafe-typecast)
