// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

// Every narrowing cast is of a value that fits: the ranges are listed in contracts/README.md.
// forge-lint: disable-start(unsafe-typecast)

import {ILiquidator} from "./interfaces/ILiquidator.sol";
import {IMasterRegistry} from "./interfaces/IMasterRegistry.sol";
import {IMirrorEngine} from "./interfaces/IMirrorEngine.sol";
import {IPermit2} from "./interfaces/IPermit2.sol";
import {IStrategyVault} from "./interfaces/IStrategyVault.sol";
import {IVenue} from "./interfaces/IVenue.sol";
import {Mandate, Proof, Signal} from "./interfaces/LockstepTypes.sol";
import {MandateLib} from "./libraries/MandateLib.sol";
import {ECDSA} from "solady/utils/ECDSA.sol";
import {EIP712} from "solady/utils/EIP712.sol";
import {LibCall} from "solady/utils/LibCall.sol";
import {SignatureCheckerLib} from "solady/utils/SignatureCheckerLib.sol";

interface IERC20Permit {
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external;
}

/// @title MirrorEngine
/// @notice Verifies what was signed and what was observed, then lets the vault do it.
///
/// SIGNATURES. Every struct names the follower who signs it; who sends it does not matter and gets nothing it does not
/// say. An address with code may still be an EOA (EIP-7702): the key is tried first, ERC-1271 after. Nonces are
/// unordered, in a group per strategy.
///
/// SIGNALS. The venue proof reads the master's position itself. The keeper proof is an attestation by a key that
/// governance named, not older than `MAX_SIGNAL_AGE` and newer than the last. Neither names a size, a price or a
/// recipient.
///
/// The engine holds no money and has no owner.
contract MirrorEngine is IMirrorEngine, EIP712 {
    /// @inheritdoc IMirrorEngine
    uint64 public constant MAX_SIGNAL_AGE = 15 minutes;
    /// @notice How far a keeper's clock may run ahead of the chain's, seconds.
    uint64 public constant MAX_CLOCK_AHEAD = 5;
    /// @notice How far a signal's sequence may be above the stored one's: 2^44 of them would have to be signed and mined to
    /// reach the last number.
    uint64 public constant MAX_SEQUENCE_STEP = 1 << 20;
    /// @notice Largest leverage a signal can carry; a venue proof is cut to it.
    int256 public constant MAX_LEVERAGE = 100e18;

    /// @dev What one item of `followMany` may use and say: a follower's own wallet runs in it.
    uint256 internal constant ITEM_GAS = 5_000_000;
    uint16 internal constant ITEM_REASON = 512;

    IMasterRegistry public immutable registry;
    ILiquidator public immutable liquidator;
    IPermit2 public immutable permit2;
    address public immutable usdc;

    /// @dev `StoredSignal` in one slot.
    struct PackedSignal {
        int112 leverage;
        uint64 sequence;
        uint64 observedAt;
        Proof proof;
    }

    mapping(uint256 strategyId => mapping(uint8 market => PackedSignal)) internal signals;
    mapping(address follower => mapping(address strategy => mapping(uint256 word => uint256 bits))) internal nonces;

    constructor(address registry_, address liquidator_, address permit2_, address usdc_) {
        registry = IMasterRegistry(registry_);
        liquidator = ILiquidator(liquidator_);
        permit2 = IPermit2(permit2_);
        usdc = usdc_;
    }

    // ---------------------------------------------------------------- followers

    /// @inheritdoc IMirrorEngine
    function follow(SignedMandate calldata signed, TokenPermit calldata permit) external returns (uint32 account) {
        return _follow(signed, permit);
    }

    /// @inheritdoc IMirrorEngine
    function followMany(SignedMandate[] calldata signed, TokenPermit[] calldata permits)
        external
        returns (uint256 accepted)
    {
        for (uint256 i = 0; i < signed.length; ++i) {
            (bool ok,, bytes memory reason) = LibCall.tryCall(
                address(this), 0, ITEM_GAS, ITEM_REASON, abi.encodeCall(this.followItem, (signed[i], permits[i]))
            );
            if (ok) ++accepted;
            else emit RelayFailed(i, signed[i].mandate.follower, reason);
        }
    }

    /// @notice One item of `followMany`, called by this contract alone.
    function followItem(SignedMandate calldata signed, TokenPermit calldata permit) external {
        if (msg.sender != address(this)) revert OnlySelf();
        _follow(signed, permit);
    }

    /// @inheritdoc IMirrorEngine
    function stop(Stop calldata intent, bytes calldata signature) external {
        _checkDeadline(intent.deadline);
        _checkVault(intent.strategy);
        _useNonce(intent.follower, intent.strategy, intent.nonce);
        bytes32 structHash = keccak256(
            abi.encode(MandateLib.STOP_TYPEHASH, intent.follower, intent.strategy, intent.nonce, intent.deadline)
        );
        _checkSignature(intent.follower, structHash, signature);
        IStrategyVault(intent.strategy).stopFor(intent.follower);
    }

    /// @inheritdoc IMirrorEngine
    function withdraw(Withdraw calldata intent, bytes calldata signature) external returns (uint256 paid) {
        _checkDeadline(intent.deadline);
        _checkVault(intent.strategy);
        _useNonce(intent.follower, intent.strategy, intent.nonce);
        bytes32 structHash = keccak256(
            abi.encode(
                MandateLib.WITHDRAW_TYPEHASH,
                intent.follower,
                intent.strategy,
                intent.amount,
                intent.nonce,
                intent.deadline
            )
        );
        _checkSignature(intent.follower, structHash, signature);
        return IStrategyVault(intent.strategy).withdrawFor(intent.follower, intent.amount);
    }

    /// @inheritdoc IMirrorEngine
    function cancelNonces(address strategy, uint256 word, uint256 mask) external {
        nonces[msg.sender][strategy][word] |= mask;
        emit NonceWordCancelled(msg.sender, strategy, word, mask);
    }

    // ---------------------------------------------------------------- batches

    /// @inheritdoc IMirrorEngine
    function mirrorVenue(address vault, uint8 market, uint64 observedAt, bytes calldata accounts)
        external
        returns (uint64 batchId, uint256 moved)
    {
        uint256 strategyId = _checkVault(vault);
        (address venue, address source, bytes32 venueMarket) = registry.sourceOf(strategyId, market);
        if (source == address(0)) revert NoSource(strategyId);

        PackedSignal memory signal = signals[strategyId][market];
        uint64 nowMs = uint64(block.timestamp) * 1000;
        if (observedAt == 0) observedAt = nowMs;
        if (observedAt > nowMs) revert SignalFromFuture(observedAt, nowMs);
        // Never before the signal it replaces, and never a reason to refuse: whoever sends a batch "observed now" each
        // block could otherwise stop everyone who states the master's true, earlier time.
        if (observedAt < signal.observedAt) observedAt = signal.observedAt;

        (int256 leverage,) = IVenue(venue).leverageOf(source, venueMarket);
        if (leverage > MAX_LEVERAGE) leverage = MAX_LEVERAGE;
        if (leverage < -MAX_LEVERAGE) leverage = -MAX_LEVERAGE;
        signal = PackedSignal(int112(leverage), signal.sequence + 1, observedAt, Proof.Venue);
        _store(strategyId, market, signal);
        return _mirror(vault, market, signal, accounts);
    }

    /// @inheritdoc IMirrorEngine
    function mirrorSigned(
        address vault,
        Signal calldata signal,
        Proof proof,
        bytes calldata signature,
        bytes calldata accounts
    ) external returns (uint64 batchId, uint256 moved) {
        uint256 strategyId = _checkVault(vault);
        if (strategyId != signal.strategyId) revert UnknownStrategy(vault);
        if (proof != Proof.Keeper) revert UnsupportedProof(proof);
        // A master whose position the chain can read is never taken at a keeper's word.
        (, address source,) = registry.sourceOf(strategyId, signal.market);
        if (source != address(0)) revert UnsupportedProof(proof);
        if (signal.leverage > MAX_LEVERAGE || signal.leverage < -MAX_LEVERAGE) {
            revert LeverageOutOfRange(signal.leverage);
        }

        uint64 stored = signals[strategyId][signal.market].sequence;
        if (signal.sequence <= stored) revert SignalNotNewer(signal.sequence, stored);
        // A stolen key must not be able to use up all numbers with one signature.
        if (signal.sequence - stored > MAX_SEQUENCE_STEP) revert SequenceTooFar(signal.sequence, stored);
        _checkAge(signal.observedAt);
        uint64 nowMs = uint64(block.timestamp) * 1000;
        if (signal.observedAt > nowMs + MAX_CLOCK_AHEAD * 1000) revert SignalFromFuture(signal.observedAt, nowMs);

        address signer = ECDSA.tryRecoverCalldata(_hashTypedData(MandateLib.hash(signal)), signature);
        if (signer == address(0) || !registry.isKeeper(signer)) revert NotKeeper(signer);

        PackedSignal memory packed =
            PackedSignal(int112(signal.leverage), signal.sequence, signal.observedAt, Proof.Keeper);
        _store(strategyId, signal.market, packed);
        return _mirror(vault, signal.market, packed, accounts);
    }

    /// @inheritdoc IMirrorEngine
    function mirrorStored(address vault, uint8 market, bytes calldata accounts)
        external
        returns (uint64 batchId, uint256 moved)
    {
        uint256 strategyId = _checkVault(vault);
        PackedSignal memory signal = signals[strategyId][market];
        if (signal.sequence == 0) revert NoSignal(strategyId, market);
        if (signal.proof == Proof.Venue) revert UnsupportedProof(Proof.Venue);
        _checkAge(signal.observedAt);
        return _mirror(vault, market, signal, accounts);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IMirrorEngine
    function signalOf(uint256 strategyId, uint8 market) external view returns (StoredSignal memory) {
        PackedSignal memory signal = signals[strategyId][market];
        return StoredSignal(signal.leverage, signal.sequence, signal.observedAt, signal.proof);
    }

    /// @inheritdoc IMirrorEngine
    function isNonceUsed(address follower, address strategy, uint256 nonce) external view returns (bool) {
        return nonces[follower][strategy][nonce >> 8] >> (nonce & 0xff) & 1 == 1;
    }

    /// @inheritdoc IMirrorEngine
    function hashMandate(Mandate calldata mandate) external pure returns (bytes32 structHash) {
        return MandateLib.hash(mandate);
    }

    /// @notice Domain separator of everything signed for this contract.
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparator();
    }

    // ---------------------------------------------------------------- internal

    function _follow(SignedMandate calldata signed, TokenPermit calldata permit) private returns (uint32 account) {
        Mandate calldata mandate = signed.mandate;
        _checkVault(mandate.strategy);
        _useNonce(mandate.follower, mandate.strategy, mandate.nonce);
        bytes32 mandateHash = MandateLib.hash(mandate);

        if (mandate.deposit == 0) {
            _checkSignature(mandate.follower, mandateHash, signed.signature);
        } else {
            if (permit.deadline != 0) {
                // Someone may have spent it already; then the allowance is there, or the transfer below fails.
                try IERC20Permit(usdc)
                    .permit(
                        mandate.follower, address(permit2), permit.value, permit.deadline, permit.v, permit.r, permit.s
                    ) {}
                    catch {}
            }
            permit2.permitWitnessTransferFrom(
                IPermit2.PermitTransferFrom(
                    IPermit2.TokenPermissions(usdc, mandate.deposit), signed.permitNonce, signed.permitDeadline
                ),
                IPermit2.SignatureTransferDetails(mandate.strategy, mandate.deposit),
                mandate.follower,
                mandateHash,
                MandateLib.WITNESS_TYPE,
                signed.signature
            );
        }
        account = IStrategyVault(mandate.strategy).acceptMandate(mandate, mandateHash);
        emit Followed(mandate.follower, mandate.strategy, account, mandateHash, mandate.nonce);
    }

    function _mirror(address vault, uint8 market, PackedSignal memory signal, bytes calldata accounts)
        private
        returns (uint64 batchId, uint256 moved)
    {
        return IStrategyVault(vault)
            .mirror(
                IStrategyVault.MirrorOrder({
                market: market,
                leverage: signal.leverage,
                sequence: signal.sequence,
                observedAt: signal.observedAt,
                reduceOnly: block.timestamp < liquidator.breakerUntilOf(vault),
                sender: msg.sender
            }),
                accounts
            );
    }

    function _store(uint256 strategyId, uint8 market, PackedSignal memory signal) private {
        signals[strategyId][market] = signal;
        emit SignalAccepted(strategyId, market, signal.sequence, signal.leverage, signal.observedAt, signal.proof);
    }

    function _useNonce(address follower, address strategy, uint256 nonce) private {
        uint256 bit = uint256(1) << (nonce & 0xff);
        uint256 word = nonces[follower][strategy][nonce >> 8];
        if (word & bit != 0) revert NonceSpent(follower, strategy, nonce);
        nonces[follower][strategy][nonce >> 8] = word | bit;
        emit NonceUsed(follower, strategy, nonce);
    }

    /// @dev The key first: an address with code may be an EOA that delegated (EIP-7702).
    function _checkSignature(address signer, bytes32 structHash, bytes calldata signature) private view {
        bytes32 digest = _hashTypedData(structHash);
        address recovered = ECDSA.tryRecoverCalldata(digest, signature);
        if (recovered != address(0) && recovered == signer) return;
        if (
            signer.code.length == 0
                || !SignatureCheckerLib.isValidERC1271SignatureNowCalldata(signer, digest, signature)
        ) revert BadSignature(signer);
    }

    function _checkVault(address vault) private view returns (uint256 strategyId) {
        strategyId = registry.strategyOf(vault);
        if (strategyId == 0) revert UnknownStrategy(vault);
    }

    function _checkDeadline(uint256 deadline) private view {
        if (block.timestamp > deadline) revert DeadlinePassed(deadline);
    }

    function _checkAge(uint64 observedAt) private view {
        uint64 nowMs = uint64(block.timestamp) * 1000;
        if (uint256(observedAt) + uint256(MAX_SIGNAL_AGE) * 1000 < nowMs) revert SignalTooOld(observedAt, nowMs);
    }

    function _domainNameAndVersion() internal pure override returns (string memory name, string memory version) {
        (name, version) = ("Lockstep", "1");
    }
}
// forge-lint: disable-end(unsafe-typecast)
