// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {IMasterRegistry} from "../interfaces/IMasterRegistry.sol";
import {IStrategyVault} from "../interfaces/IStrategyVault.sol";
import {Mode, Status} from "../interfaces/LockstepTypes.sol";
import {Account, Basis, Profile} from "./AccountLib.sol";
import {FlowLib} from "./FlowLib.sol";
import {LedgerLib} from "./LedgerLib.sol";
import {MathLib} from "./MathLib.sol";
import {NavLib} from "./NavLib.sol";
import {Position} from "./PositionLib.sol";
import {BPS, MarketState, Snapshot, VaultState} from "./VaultState.sol";
import {VenueLib} from "./VenueLib.sol";

/// @title ViewLib
/// @notice What anyone can read of a vault, outside the code that moves money.
library ViewLib {
    using MathLib for int256;
    using MathLib for uint256;

    function nav(VaultState storage s) external view returns (uint256 navIndex, uint256 totalEquity) {
        Snapshot memory snap = VenueLib.read(s, 255);
        int256 equity = NavLib.ledgerEquity(s, snap);
        // A change at the venue that no touch has divided yet is not hidden.
        if (snap.diverged) {
            int256 short = NavLib.surplus(s, snap);
            if (short < 0) equity += short;
        }
        return NavLib.indexOf(s, equity);
    }

    function accountView(VaultState storage s, uint32 account)
        external
        view
        returns (IStrategyVault.AccountView memory v)
    {
        Account a = s.accounts[account];
        Profile p = s.profiles[account];
        Basis b = s.bases[account];
        v.follower = p.follower();
        v.status = Status(uint8(a.status()));
        v.mode = uint8(a.mode());
        if (a.mode() == uint256(Mode.ProRata)) v.ratioBps = uint32(a.sizing());
        else v.fixedNotional = uint64(a.sizing() * 1e6);
        v.maxLeverageBps = uint32(a.maxLeverage() * 100);
        v.maxSlippageBps = uint16(a.maxSlippageBps());
        v.maxPositionNotional = uint64(a.maxPositionNotional() * 1e6);
        v.maxDailyTurnover = uint64(a.maxDailyTurnover() * 1e6);
        v.stopLossBps = uint16(p.stopLossBps());
        v.takeProfitBps = uint32(p.takeProfitBps());
        v.allowedMarkets = uint16(a.allowedMarkets());
        v.touchedMarkets = uint16(a.touchedMarkets());
        v.expiry = uint64(a.expiry());
        v.margin = LedgerLib.margin(s, a);
        v.highWaterMark = b.highWaterMark();
        v.netDeposits = b.netDeposits();
    }

    function positionView(VaultState storage s, uint32 account, uint8 market)
        external
        view
        returns (IStrategyVault.PositionView memory v)
    {
        Position p = LedgerLib.position(s, account, market);
        Snapshot memory snap = VenueLib.read(s, market);
        v.size = p.size();
        v.quote = p.quote();
        v.pendingFunding = p.pendingFunding(snap.fundingIndex[market]);
        v.dayTurnover = p.turnoverOn((block.timestamp / 1 days) & 0xff) * 1e6;
    }

    function marketView(VaultState storage s, uint8 market) external view returns (IStrategyVault.MarketView memory v) {
        if (market >= s.marketCount) revert IStrategyVault.UnknownMarketIndex(market);
        MarketState storage state = s.markets[market];
        IMasterRegistry registry = IMasterRegistry(s.registry);
        uint16 listingId = registry.strategy(s.strategyId).markets[market];
        v.venueMarket = state.venueMarket;
        v.symbol = registry.listing(s.venue, listingId).symbol;
        v.longSize = state.longSize;
        v.shortSize = state.shortSize;
        v.fundingIndex = VenueLib.read(s, market).fundingIndex[market];
        v.generation = state.generation;
    }

    function equityOf(VaultState storage s, uint32 account) external view returns (int256 value) {
        (value,,) = LedgerLib.equity(s, account, s.accounts[account], VenueLib.read(s, 255));
    }

    function maintenanceOf(VaultState storage s, uint32 account) external view returns (uint256) {
        (, uint256 exposure,) = LedgerLib.equity(s, account, s.accounts[account], VenueLib.read(s, 255));
        return exposure * FlowLib.maintenanceBps(s) / BPS;
    }

    function freeMarginOf(VaultState storage s, uint32 account) external view returns (uint256) {
        return FlowLib.freeMargin(s, VenueLib.read(s, 255), account, s.accounts[account])
            .min(s.idle + VenueLib.withdrawable(s));
    }
}
