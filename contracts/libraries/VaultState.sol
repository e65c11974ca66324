// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {Account, Basis, Profile} from "./AccountLib.sol";
import {Position} from "./PositionLib.sol";

/// @dev Markets per strategy: the width of the bitmaps in the account slot.
uint256 constant MAX_MARKETS = 12;

/// @dev Sizes closer than this to the venue's are the same (1e-9 base units).
uint256 constant SIZE_DUST = 1e9;
/// @dev Cash closer than this to the venue's is the same (1e-5 USDC, 1e18): each venue withdrawal rounds down.
uint256 constant CASH_DUST = 1e13;

uint256 constant BPS = 10_000;
uint256 constant WAD = 1e18;

/// @notice One market of a vault.
/// @param fundingIndex 1e9 per base unit, as of the venue's last settlement
/// @param generation counts changes the venue itself made to the position
/// @param generationUsed a position has been written at this generation: the next change needs a new one
/// @param lastPrice last index price seen fresh, 1e18; what flows fall back to while the oracle is silent
/// @param signals counts the signals this market has been mirrored to, modulo 2^12
/// @param lastSequence low bits of the last one's sequence: the same sequence is the same signal
/// @param fundingCost sum over accounts of size x funding index; with the index it gives all that is owed at once
struct MarketState {
    bytes32 venueMarket;
    uint128 longSize;
    uint128 shortSize;
    int64 fundingIndex;
    uint8 generation;
    bool generationUsed;
    uint96 lastPrice;
    uint16 signals;
    uint32 lastSequence;
    int256 fundingCost;
}

/// @notice A change the venue itself made, applied lazily to each position whose generation is behind.
/// @param fundingIndex funding is settled to here first
/// @param scale the side's positions keep scale/1e18 of their size
/// @param cashPerSize USDC 1e18 per old base unit
struct Divergence {
    int64 fundingIndex;
    bool longSide;
    uint64 scale;
    int112 cashPerSize;
}

/// @notice All storage of a vault.
/// @param navCount points recorded in `nav`
/// @param idle USDC (1e6) in the vault by its own books
/// @param masterFees the master's accrued fees, USDC 1e6; insuranceFees the fund's; otherFees the sum of `fees`
/// @param venueCash the venue's cash as last seen or computed, 1e18
/// @param totalQuote sum of all quote balances, USDC 1e6
/// @param totalShares sum of all margin shares
/// @param marginIndex margin = shares x marginIndex / 1e18; only ever falls
/// @param units NAV units outstanding; lastIndex is the NAV index while there are none
/// @param fees accrued to batch senders and liquidators, USDC 1e6
struct VaultState {
    address venue;
    uint64 strategyId;
    uint8 marketCount;
    bool woundUp;
    address master;
    uint32 accountCount;
    uint32 batches;
    uint32 navCount;
    address registry;
    address insurance;
    address usdc;
    uint96 idle;
    uint80 masterFees;
    uint80 insuranceFees;
    int128 venueCash;
    int128 totalQuote;
    uint96 totalShares;
    uint64 marginIndex;
    uint96 otherFees;
    uint128 units;
    uint128 lastIndex;
    MarketState[MAX_MARKETS] markets;
    mapping(bytes32 symbolHash => uint256 marketPlusOne) marketOf;
    mapping(uint256 account => Account) accounts;
    mapping(uint256 account => Profile) profiles;
    mapping(uint256 account => Basis) bases;
    mapping(uint256 accountAndMarket => Position) positions;
    mapping(uint256 marketAndGeneration => Divergence) divergences;
    mapping(address follower => uint32 account) accountOf;
    mapping(address who => uint256 amount) fees;
    mapping(uint256 index => uint256 point) nav;
}

/// @notice Prices and funding of every market at one moment. A market without positions has price 0 unless it is the
/// one looked at.
/// @param pending 1e18 USDC the venue has not charged yet
/// @param gap how much larger the ledger's net size is than the venue's, 1e18
/// @param cashGap how much more cash the venue has than the books say, 1e18
/// @param stale bitmap of markets whose price is the last good one, because the oracle is silent
/// @param diverged true when the venue's sizes or cash are not what the books say
struct Snapshot {
    uint256[MAX_MARKETS] price;
    int256[MAX_MARKETS] fundingIndex;
    int256[MAX_MARKETS] pending;
    int256[MAX_MARKETS] gap;
    int256 cashGap;
    uint256 stale;
    bool diverged;
}
