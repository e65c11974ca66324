// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {Mandate, Proof, Signal} from "./LockstepTypes.sol";

/// @title IMirrorEngine
/// @notice Mandates, signals and their proofs, the batch.
/// @dev EIP-712 domain: name "Lockstep", version "1", chain id, this contract.
interface IMirrorEngine {
    /// @notice A mandate as it travels: the follower's Permit2 witness signature over it.
    /// @dev Permit2 `PermitWitnessTransferFrom` with token = USDC, amount = mandate.deposit, spender = this contract,
    /// nonce = `permitNonce`, witness = the mandate. A mandate with deposit 0 is signed in this contract's own domain
    /// instead (an *update*), and permitNonce and permitDeadline are ignored.
    struct SignedMandate {
        Mandate mandate;
        uint256 permitNonce;
        uint256 permitDeadline;
        bytes signature;
    }

    /// @notice EIP-2612 permit of USDC for Permit2, for a newcomer. A permit already spent is not an error.
    struct TokenPermit {
        uint256 value;
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @dev EIP-712: Stop(address follower,address strategy,uint256 nonce,uint256 deadline)
    struct Stop {
        address follower;
        address strategy;
        uint256 nonce;
        uint256 deadline;
    }

    /// @dev EIP-712: Withdraw(address follower,address strategy,uint256 amount,uint256 nonce,uint256 deadline)
    /// `amount` USDC 1e6, type(uint256).max = all that is free.
    struct Withdraw {
        address follower;
        address strategy;
        uint256 amount;
        uint256 nonce;
        uint256 deadline;
    }

    struct StoredSignal {
        int256 leverage; // 1e18
        uint64 sequence; // 0 = none yet
        uint64 observedAt; // unix ms
        Proof proof;
    }

    event Followed(
        address indexed follower, address indexed strategy, uint32 account, bytes32 mandateHash, uint256 nonce
    );
    event SignalAccepted(
        uint256 indexed strategyId,
        uint8 indexed market,
        uint64 indexed sequence,
        int256 leverage,
        uint64 observedAt,
        Proof proof
    );
    event NonceUsed(address indexed follower, address indexed strategy, uint256 nonce);
    event NonceWordCancelled(address indexed follower, address indexed strategy, uint256 word, uint256 mask);
    /// @notice One item of a relayed list failed; the others went on. `reason` is its revert data.
    event RelayFailed(uint256 indexed item, address indexed follower, bytes reason);

    error UnknownStrategy(address vault);
    error BadSignature(address signer);
    error NonceSpent(address follower, address strategy, uint256 nonce);
    error DeadlinePassed(uint256 deadline);
    error NotKeeper(address signer);
    error NoSource(uint256 strategyId);
    error SignalNotNewer(uint64 sequence, uint64 stored);
    error SequenceTooFar(uint64 sequence, uint64 stored);
    error SignalTooOld(uint64 observedAt, uint64 now_);
    error SignalFromFuture(uint64 observedAt, uint64 now_);
    error NoSignal(uint256 strategyId, uint8 market);
    error LeverageOutOfRange(int256 leverage);
    error UnsupportedProof(Proof proof);
    error OnlySelf();

    // ---------------------------------------------------------------- followers (anyone relays)

    /// @notice One signature funds the account and accepts the mandate. `permit.deadline` = 0: no token permit.
    function follow(SignedMandate calldata signed, TokenPermit calldata permit) external returns (uint32 account);

    /// @notice Many at once; a failing one is skipped with `RelayFailed` and never stops the others.
    function followMany(SignedMandate[] calldata signed, TokenPermit[] calldata permits)
        external
        returns (uint256 accepted);

    function stop(Stop calldata intent, bytes calldata signature) external;
    function withdraw(Withdraw calldata intent, bytes calldata signature) external returns (uint256 paid);

    /// @notice Cancels the caller's unused nonces `word * 256 + bit` for one strategy.
    function cancelNonces(address strategy, uint256 word, uint256 mask) external;

    // ---------------------------------------------------------------- batches (anyone sends)

    /// @notice Venue proof: reads the master's position from the venue, and moves the accounts. Anyone.
    /// @param observedAt unix ms at which the caller saw the master's trade; 0 = now, later than now is refused, earlier
    /// than the stored signal's counts as that. It only feeds the delay figure, never a size.
    function mirrorVenue(address vault, uint8 market, uint64 observedAt, bytes calldata accounts)
        external
        returns (uint64 batchId, uint256 moved);

    /// @notice Keeper proof: stores the attested signal and moves the accounts.
    function mirrorSigned(
        address vault,
        Signal calldata signal,
        Proof proof,
        bytes calldata signature,
        bytes calldata accounts
    ) external returns (uint64 batchId, uint256 moved);

    /// @notice Moves more accounts on the signal already stored (a batch that was cut, a follower who came late).
    /// @dev For a strategy with a source the venue is read again instead: use `mirrorVenue`. The signer is not looked at
    /// again: the signal of a key that was removed since stays usable until MAX_SIGNAL_AGE or the next signal.
    function mirrorStored(address vault, uint8 market, bytes calldata accounts)
        external
        returns (uint64 batchId, uint256 moved);

    // ---------------------------------------------------------------- views

    function signalOf(uint256 strategyId, uint8 market) external view returns (StoredSignal memory);
    function isNonceUsed(address follower, address strategy, uint256 nonce) external view returns (bool);
    function hashMandate(Mandate calldata mandate) external view returns (bytes32 structHash);
    function MAX_SIGNAL_AGE() external view returns (uint64);
}
