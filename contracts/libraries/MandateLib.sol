// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {Mandate, Signal} from "../interfaces/LockstepTypes.sol";

/// @title MandateLib
/// @notice EIP-712 struct hashes of everything that is signed.
library MandateLib {
    string internal constant MANDATE_TYPE =
        "Mandate(address follower,address strategy,uint8 mode,uint32 ratioBps,uint64 fixedNotional,uint16 hedgeBps,uint32 maxLeverageBps,uint16 maxSlippageBps,uint64 maxPositionNotional,uint64 maxDailyTurnover,uint16 stopLossBps,uint32 takeProfitBps,string[] allowedMarkets,uint64 deposit,uint64 expiry,uint256 nonce)";

    /// @dev What Permit2 appends to its own type: the witness, then all types in alphabetical order.
    string internal constant WITNESS_TYPE =
        "Mandate witness)Mandate(address follower,address strategy,uint8 mode,uint32 ratioBps,uint64 fixedNotional,uint16 hedgeBps,uint32 maxLeverageBps,uint16 maxSlippageBps,uint64 maxPositionNotional,uint64 maxDailyTurnover,uint16 stopLossBps,uint32 takeProfitBps,string[] allowedMarkets,uint64 deposit,uint64 expiry,uint256 nonce)TokenPermissions(address token,uint256 amount)";

    bytes32 internal constant MANDATE_TYPEHASH = keccak256(bytes(MANDATE_TYPE));
    bytes32 internal constant SIGNAL_TYPEHASH =
        keccak256("Signal(uint256 strategyId,uint8 market,int256 leverage,uint64 sequence,uint64 observedAt)");
    bytes32 internal constant STOP_TYPEHASH =
        keccak256("Stop(address follower,address strategy,uint256 nonce,uint256 deadline)");
    bytes32 internal constant WITHDRAW_TYPEHASH =
        keccak256("Withdraw(address follower,address strategy,uint256 amount,uint256 nonce,uint256 deadline)");

    function hash(Mandate calldata m) internal pure returns (bytes32) {
        bytes32[] memory symbols = new bytes32[](m.allowedMarkets.length);
        for (uint256 i = 0; i < symbols.length; ++i) {
            symbols[i] = keccak256(bytes(m.allowedMarkets[i]));
        }
        // Two encodings put together: all members are static words.
        return keccak256(
            bytes.concat(
                abi.encode(
                    MANDATE_TYPEHASH,
                    m.follower,
                    m.strategy,
                    m.mode,
                    m.ratioBps,
                    m.fixedNotional,
                    m.hedgeBps,
                    m.maxLeverageBps,
                    m.maxSlippageBps
                ),
                abi.encode(
                    m.maxPositionNotional,
                    m.maxDailyTurnover,
                    m.stopLossBps,
                    m.takeProfitBps,
                    keccak256(abi.encodePacked(symbols)),
                    m.deposit,
                    m.expiry,
                    m.nonce
                )
            )
        );
    }

    function hash(Signal calldata s) internal pure returns (bytes32) {
        return keccak256(abi.encode(SIGNAL_TYPEHASH, s.strategyId, s.market, s.leverage, s.sequence, s.observedAt));
    }
}
