// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {StrategyVault} from "../../../contracts/StrategyVault.sol";
import {Mandate, Proof, Signal, Terms} from "../../../contracts/interfaces/LockstepTypes.sol";
import {LockstepFixture} from "../LockstepFixture.sol";

/// @notice "A stolen keeper can trade only inside mandates: per follower, the loss in a day is bounded by signed slippage
/// x signed daily turnover", and the fees in the terms. On the real venue, in a market thin enough to have slippage,
/// with a thief who signs anything and pushes the pool before each batch.
/// forge-config: default.fuzz.runs = 24
/// forge-config: long.fuzz.runs = 500
contract StolenKeeperFuzzTest is LockstepFixture {
    StrategyVault internal v;
    address internal thief = makeAddr("thief");

    function setUp() public override {
        _deployVenue(100e6 * 1e18, 50e6 * 1e6);
        _deployAll();
        Terms memory terms = _terms();
        terms.maxSlippageBps = 500;
        terms.deadBandBps = 0;
        (, v) = _register(makeAddr("exchange master"), address(0), terms);
        _fundMaster(thief, 100_000_000e6);
    }

    struct Signed {
        uint256 slippageBps;
        uint256 turnover;
        uint256 deposit;
    }

    function testFuzz_lossInADayIsBounded(uint256 seed, uint16 slippage, uint32 turnover, uint8 rounds) public {
        Signed memory x;
        x.slippageBps = bound(slippage, 5, 400);
        x.turnover = bound(turnover, 5000, 2_000_000) * 1e6;
        x.deposit = 50_000e6;
        // A fresh day, so that all signals fall into it.
        vm.warp((vm.getBlockTimestamp() / 1 days + 1) * 1 days);
        _tick();
        Mandate memory m = _mandate(v, 1, uint64(x.deposit));
        m.maxSlippageBps = uint16(x.slippageBps);
        m.maxDailyTurnover = uint64(x.turnover);
        _follow(_key(1), m);
        // Someone else whose turnover the thief can use too.
        _follow(_key(2), _mandate(v, 2, 200_000e6));

        uint256 n = bound(rounds, 3, 12);
        for (uint256 i = 1; i <= n; ++i) {
            uint256 r = uint256(keccak256(abi.encode(seed, i)));
            // The pool first, then the batch, then the pool again.
            int256 push = bound(int256(r % 1e24), -1000e18, 1000e18) * (r % 2 == 0 ? int256(1) : int256(-1));
            _attempt(push);
            _sign_(bound(int256(uint256(keccak256(abi.encode(r)))), -100e18, 100e18), uint64(i), r % 3);
            _attempt(-push);
            _tick();
        }

        // At the index, which has not moved: all that is lost is slippage, fees and funding.
        int256 equity = v.equityOf(1) + _funding();
        uint256 used = v.positionView(1, ETH).dayTurnover + v.positionView(1, BTC).dayTurnover;
        assertLe(used, x.turnover, "turnover beyond what was signed");
        uint256 fees = used * (5 + 11) / 10_000; // copy fee 5 bps, the venue's 10 bps of what is paid
        uint256 bound_ = x.turnover * x.slippageBps / 10_000 + fees + 10e6;
        assertGe(equity + int256(bound_), int256(x.deposit), "more than slippage x turnover is gone");
        _assertSolvent(v);
    }

    function _sign_(int256 leverage, uint64 sequence, uint256 who) private {
        (Signal memory signal, bytes memory signature) = _signal(v.strategyId(), ETH, leverage, sequence);
        signal.observedAt = uint64(vm.getBlockTimestamp()) * 1000;
        signature = _signDigest(
            KEEPER_KEY,
            _digest(
                keccak256(
                    abi.encode(
                        keccak256(
                            "Signal(uint256 strategyId,uint8 market,int256 leverage,uint64 sequence,uint64 observedAt)"
                        ),
                        signal
                    )
                )
            )
        );
        bytes memory accounts = who == 0 ? _accounts(1, 1) : _accounts(1, 2);
        vm.prank(thief);
        try lockstep.engine.mirrorSigned(address(v), signal, Proof.Keeper, signature, accounts) {} catch {}
    }

    function _attempt(int256 size) private {
        try this.tradeAs(thief, size) {} catch {}
    }

    function tradeAs(address who, int256 size) external {
        _trade(who, ethMarket, size);
    }

    /// @dev What the account has paid in funding is the market's, not the keeper's.
    function _funding() private pure returns (int256) {
        // A few seconds at a premium below 10 %: below 0.01 % of the notional in all.
        return 30e6;
    }

    function _tick() private {
        _wait(16);
        ethMarket.aggregator.set(ethMarket.aggregator.latestAnswer());
        btcMarket.aggregator.set(btcMarket.aggregator.latestAnswer());
        try perp.marketMaker.follow(address(ethMarket.baseToken)) {} catch {}
    }
}
