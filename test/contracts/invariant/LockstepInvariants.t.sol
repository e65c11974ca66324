// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {IStrategyVault} from "../../../contracts/interfaces/IStrategyVault.sol";
import {IVenue} from "../../../contracts/interfaces/IVenue.sol";
import {LockstepHandler} from "./LockstepHandler.sol";
import {VaultHarness} from "./VaultHarness.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";

/// @title What holds in every state that the handler can reach
/// @notice Each invariant is named after the sentence it protects. An invariant may itself act (bring a vault in line
/// with its venue, leave with everyone): nothing it does is kept.
contract LockstepInvariants is Test {
    /// @dev Shortfalls below 0.001 USDC are rounding of the venue's withdrawals (`LossLib.SHORTFALL_DUST`), a unit per
    /// account and position on top.
    int256 internal constant DUST = 1000 + 20;
    uint256 internal constant SIZE_DUST = 1e9;
    uint256 internal constant CASH_DUST = 1e13;

    /// @dev A tenth of 1,000,000 USDC, 1e9 per unit.
    uint256 internal constant MAX_DAILY_FUNDING = 100_000e9;

    LockstepHandler internal h;
    uint256 internal started;

    function setUp() public {
        h = new LockstepHandler();
        h.setUp();
        started = vm.getBlockTimestamp();
        bytes4[] memory selectors = new bytes4[](26);
        selectors[0] = h.follow.selector;
        selectors[1] = h.follow.selector;
        selectors[2] = h.mirrorVenue.selector;
        selectors[3] = h.mirrorVenue.selector;
        selectors[4] = h.mirrorKeeper.selector;
        selectors[5] = h.mirrorKeeper.selector;
        selectors[6] = h.tradeMaster.selector;
        selectors[7] = h.tradeOutsider.selector;
        selectors[8] = h.movePrice.selector;
        selectors[9] = h.crash.selector;
        selectors[10] = h.warp.selector;
        selectors[11] = h.calm.selector;
        selectors[12] = h.closeMarket.selector;
        selectors[13] = h.liquidateAtVenue.selector;
        selectors[14] = h.liquidate.selector;
        selectors[15] = h.stopOut.selector;
        selectors[16] = h.tripBreaker.selector;
        selectors[17] = h.donate.selector;
        selectors[18] = h.claimFees.selector;
        selectors[19] = h.checkpoint.selector;
        selectors[20] = h.reconcile.selector;
        selectors[21] = h.crystallise.selector;
        selectors[22] = h.stop.selector;
        selectors[23] = h.withdraw.selector;
        selectors[24] = h.exit.selector;
        selectors[25] = h.closePosition.selector;
        targetContract(address(h));
        targetSelector(FuzzSelector({addr: address(h), selectors: selectors}));
    }

    /// @notice All of them in one campaign: each would otherwise need its own.
    function invariant_everything() public {
        _equitiesNeverExceedAssets();
        _sizesSumToTheVenues();
        _cashBooks();
        _fundingIsTheVenues();
        _nobodyElseReceivesMargin();
        _insuranceBooks();
        _navPointIsTheNav();
    }

    /// @notice "The sum of account equities never exceeds what the vault holds plus its venue account value."
    /// @dev Less unclaimed fees and gifts, once the vault has looked at its venue. A market without a price counts at
    /// the last one in the ledger, which the venue cannot be asked for: skipped until it answers again.
    function _equitiesNeverExceedAssets() private {
        for (uint256 i = 0; i < 2; ++i) {
            VaultHarness v = h.vaults(i);
            v.reconcile(0);
            VaultHarness.Books memory b = v.books();
            int256 owned;
            for (uint32 a = 1; a <= v.accountCount(); ++a) {
                owned += v.equityOf(a);
            }
            try h.atVenue(v) returns (int256 atVenue) {
                if (b.marginIndex <= 1e12) continue; // wiped out: nothing is left to lower
                assertLe(owned, int256(b.idle) - int256(b.totalFees) + atVenue + DUST, "equities exceed assets");
            } catch {}
        }
    }

    /// @notice "Sizes of all accounts always sum to the venue's, to the dust."
    function _sizesSumToTheVenues() private {
        for (uint256 i = 0; i < 2; ++i) {
            VaultHarness v = h.vaults(i);
            v.reconcile(0);
            for (uint8 m = 0; m < v.marketCount(); ++m) {
                IStrategyVault.MarketView memory market = v.marketView(m);
                uint256 long;
                uint256 short;
                for (uint32 a = 1; a <= v.accountCount(); ++a) {
                    int256 size = v.sizeOf(a, m);
                    if (size > 0) long += uint256(size);
                    else short += uint256(-size);
                }
                assertLe(long, market.longSize, "longs exceed their sum");
                assertLe(short, market.shortSize, "shorts exceed their sum");
                assertApproxEqAbs(long, market.longSize, SIZE_DUST, "longs");
                assertApproxEqAbs(short, market.shortSize, SIZE_DUST, "shorts");
                int256 held = h.venueOf().holding(address(v), market.venueMarket).size;
                assertApproxEqAbs(int256(market.longSize) - int256(market.shortSize), held, 2 * SIZE_DUST, "net");
            }
        }
    }

    /// @notice "No unit pays or receives more funding than the venue charges for one."
    /// @dev What is pending is the venue's own figure per unit of its own size; what is settled is at most a tenth of the
    /// price a day, the venue's cap, at a price no market here reaches.
    function _fundingIsTheVenues() private {
        for (uint256 i = 0; i < 2; ++i) {
            VaultHarness v = h.vaults(i);
            v.reconcile(0);
            for (uint8 m = 0; m < v.marketCount(); ++m) {
                IStrategyVault.MarketView memory market = v.marketView(m);
                IVenue.Holding memory held = h.venueOf().holding(address(v), market.venueMarket);
                uint256 moved = _abs(market.fundingIndex - v.settledIndex(m));
                uint256 size = _abs(held.size);
                assertLe(moved * size, _abs(held.pendingFunding) * 1e9 + size, "more than the venue's charge");
                uint256 most = (vm.getBlockTimestamp() - started) * MAX_DAILY_FUNDING / 1 days;
                assertLe(_abs(v.settledIndex(m)), most, "more than the venue ever charged");
            }
        }
    }

    function _abs(int256 x) private pure returns (uint256) {
        return uint256(x < 0 ? -x : x);
    }

    /// @notice "Cash of all accounts always sums to the venue's; balances of tokens are never read."
    function _cashBooks() private {
        address usdc = h.usdc();
        for (uint256 i = 0; i < 2; ++i) {
            VaultHarness v = h.vaults(i);
            v.reconcile(0);
            VaultHarness.Books memory b = v.books();
            assertEq(b.idle + h.giftsTo(address(v)), IERC20(usdc).balanceOf(address(v)), "idle is what is there");
            assertApproxEqAbs(b.venueCash, h.venueOf().cash(address(v)), CASH_DUST, "venue cash");
            uint256 fees;
            address[5] memory parties = h.parties(i);
            for (uint256 p = 0; p < parties.length; ++p) {
                fees += v.claimable(parties[p]);
            }
            assertEq(fees, b.totalFees, "fees are what is claimable");
            uint256 shares;
            int256 quote;
            for (uint32 a = 1; a <= v.accountCount(); ++a) {
                shares += v.sharesOf(a);
                for (uint8 m = 0; m < v.marketCount(); ++m) {
                    quote += v.quoteOf(a, m);
                }
            }
            assertEq(shares, b.totalShares, "margin shares");
            // Rounding always favours the vault: the sum of the parts is never more than the whole.
            assertLe(quote, b.totalQuote + 1, "quotes exceed their sum");
            assertApproxEqAbs(quote, b.totalQuote, 2000, "quotes");
        }
    }

    /// @notice "Nobody but the follower receives a follower's margin."
    function _nobodyElseReceivesMargin() private view {
        IERC20 usdc = IERC20(h.usdc());
        for (uint256 i = 0; i < h.actorCount(); ++i) {
            address actor = h.actorAt(i);
            assertEq(usdc.balanceOf(actor), h.received(actor), "an actor has what it was paid");
        }
        for (uint256 i = 0; i < 2; ++i) {
            address[5] memory parties = h.parties(i);
            for (uint256 p = 1; p < 4; ++p) {
                assertEq(usdc.balanceOf(parties[p]), h.claimed(parties[p]), "others have their fees alone");
            }
        }
        assertEq(usdc.balanceOf(address(h.lockstepEngine())), 0, "the engine holds nothing");
        assertEq(usdc.balanceOf(address(h.lockstepLiquidator())), 0, "the liquidator holds nothing");
    }

    /// @notice "The insurance fund is money apart, by its own books."
    function _insuranceBooks() private view {
        (uint256 booked, uint256 held) = h.insuranceBalances();
        assertLe(booked, held);
    }

    /// @notice "The last NAV point is what the chain says now, when nothing moved."
    function _navPointIsTheNav() private {
        for (uint256 i = 0; i < 2; ++i) {
            VaultHarness v = h.vaults(i);
            uint256 index = v.checkpoint();
            (uint64 time, uint256 navIndex, uint256 equity) = v.navAt(index);
            (uint256 nowIndex, uint256 nowEquity) = v.nav();
            assertEq(time, vm.getBlockTimestamp());
            assertEq(navIndex, nowIndex);
            assertEq(equity, nowEquity);
            assertEq(index + 1, v.navCount());
            // Total equity is the accounts' equities: none is missing, none counted twice.
            int256 owned;
            for (uint32 a = 1; a <= v.accountCount(); ++a) {
                owned += v.equityOf(a);
            }
            if (owned > 0) assertApproxEqAbs(uint256(owned), equity, 2000, "NAV is not the accounts'");
        }
    }

    /// @notice "The follower can always exit by themselves."
    /// @dev At the end of every run, in the state as it is; then once more when the market has calmed, when everything
    /// must have become flat and paid.
    function afterInvariant() public {
        for (uint256 i = 0; i < 2; ++i) {
            assertEq(h.everyoneExits(h.vaults(i)), 0, "an exit failed");
        }
        h.settleDown();
        for (uint256 i = 0; i < 2; ++i) {
            VaultHarness v = h.vaults(i);
            assertEq(h.everyoneExits(v), 0, "an exit failed in a calm market");
            for (uint32 a = 1; a <= v.accountCount(); ++a) {
                for (uint8 m = 0; m < v.marketCount(); ++m) {
                    assertEq(v.sizeOf(a, m), 0, "not flat");
                }
                assertLe(v.freeMarginOf(a), 2, "not paid");
            }
        }
    }
}
