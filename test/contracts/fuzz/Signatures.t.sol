// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.30;

import {StrategyVault} from "../../../contracts/StrategyVault.sol";
import {IMirrorEngine} from "../../../contracts/interfaces/IMirrorEngine.sol";
import {IStrategyVault} from "../../../contracts/interfaces/IStrategyVault.sol";
import {Mandate, Proof, Signal, Status} from "../../../contracts/interfaces/LockstepTypes.sol";
import {LockstepFixture} from "../LockstepFixture.sol";
import {OwnedWallet} from "../incidents/Wallets.sol";

/// @notice Nothing is done on a signature that is not exactly the one it needs.
/// forge-config: default.fuzz.runs = 64
contract SignaturesFuzzTest is LockstepFixture {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    StrategyVault internal other;

    function setUp() public override {
        super.setUp();
        (, other) = _register(makeAddr("exchange master"), address(0), _terms());
        _follow(1, 1000e6);
        _follow(_key(1), _mandate(other, 1, 1000e6));
    }

    function _withdrawHash(IMirrorEngine.Withdraw memory w) private pure returns (bytes32) {
        return keccak256(abi.encode(WITHDRAW_TYPEHASH, w.follower, w.strategy, w.amount, w.nonce, w.deadline));
    }

    /// @dev The fixture has used the first few nonces.
    function _intent(uint256 nonce) private view returns (IMirrorEngine.Withdraw memory) {
        vm.assume(nonce > 1000);
        return IMirrorEngine.Withdraw(_follower(1), address(vault), 10e6, nonce, vm.getBlockTimestamp() + 60);
    }

    function testFuzz_wrongSigner(uint256 key, uint256 nonce) public {
        key = bound(key, 1, ORDER - 1);
        vm.assume(key != _key(1));
        IMirrorEngine.Withdraw memory w = _intent(nonce);
        bytes memory signature = _signDigest(key, _digest(_withdrawHash(w)));
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.BadSignature.selector, w.follower));
        lockstep.engine.withdraw(w, signature);
    }

    function testFuzz_anyOtherBytes(bytes calldata signature, uint256 nonce) public {
        IMirrorEngine.Withdraw memory w = _intent(nonce);
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.BadSignature.selector, w.follower));
        lockstep.engine.withdraw(w, signature);
    }

    function testFuzz_anotherChain(uint64 chain, uint256 nonce) public {
        // A number of its own: the compiler would read `block.chainid` again after it has changed.
        uint256 home = 31_337;
        vm.assume(chain != home && chain != 0);
        IMirrorEngine.Withdraw memory w = _intent(nonce);
        bytes memory signature = _signDigest(_key(1), _digest(_withdrawHash(w)));
        vm.chainId(chain);
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.BadSignature.selector, w.follower));
        lockstep.engine.withdraw(w, signature);
        vm.chainId(home);
        lockstep.engine.withdraw(w, signature);
    }

    /// @dev Each field of what was signed, changed after signing.
    function testFuzz_anotherField(uint256 field, uint256 value, uint256 nonce) public {
        IMirrorEngine.Withdraw memory w = _intent(nonce);
        bytes memory signature = _signDigest(_key(1), _digest(_withdrawHash(w)));
        field %= 4;
        if (field == 0) w.strategy = address(other);
        if (field == 1) w.amount = value == w.amount ? value + 1 : value;
        if (field == 2) w.nonce = (value | 1 << 255) == nonce ? nonce ^ 1 : value | 1 << 255;
        if (field == 3) w.deadline = bound(value, w.deadline + 1, type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.BadSignature.selector, w.follower));
        lockstep.engine.withdraw(w, signature);
    }

    /// @dev The other s, and the short form: the same signature to a curve, one use to the engine.
    function testFuzz_malleableSignatureIsNoSecondUse(uint256 nonce) public {
        IMirrorEngine.Withdraw memory w = _intent(nonce);
        bytes32 digest = _digest(_withdrawHash(w));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_key(1), digest);
        lockstep.engine.withdraw(w, abi.encodePacked(r, s, v));
        bytes[3] memory forms = [
            abi.encodePacked(r, s, v),
            abi.encodePacked(r, bytes32(ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27)),
            abi.encodePacked(r, bytes32(uint256(s) | (uint256(v - 27) << 255)))
        ];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.NonceSpent.selector, w.follower, w.strategy, w.nonce));
            lockstep.engine.withdraw(w, forms[i]);
        }
        assertEq(perp.usdc.balanceOf(_follower(1)), 10e6);
    }

    function testFuzz_cancelledNonce(uint256 nonce) public {
        IMirrorEngine.Withdraw memory w = _intent(nonce);
        bytes memory signature = _signDigest(_key(1), _digest(_withdrawHash(w)));
        vm.prank(_follower(1));
        lockstep.engine.cancelNonces(address(vault), nonce >> 8, uint256(1) << (nonce & 0xff));
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.NonceSpent.selector, w.follower, w.strategy, nonce));
        lockstep.engine.withdraw(w, signature);
    }

    /// @dev An EOA that delegated its code (EIP-7702) still signs with its key, whatever the code answers.
    function testFuzz_delegatedAccount(uint256 nonce, bool withWallet) public {
        IMirrorEngine.Withdraw memory w = _intent(nonce);
        bytes memory code = withWallet ? address(new OwnedWallet(_follower(2))).code : bytes(hex"00");
        vm.etch(_follower(1), code);
        lockstep.engine.withdraw(w, _signDigest(_key(1), _digest(_withdrawHash(w))));
        assertEq(perp.usdc.balanceOf(_follower(1)), 10e6);

        w.nonce ^= 1;
        bytes memory stranger = _signDigest(_key(3), _digest(_withdrawHash(w)));
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.BadSignature.selector, w.follower));
        lockstep.engine.withdraw(w, stranger);
    }

    function testFuzz_mandateUpdate_wrongSignerOrStrategy(uint256 key, bool elsewhere) public {
        key = bound(key, 1, ORDER - 1);
        vm.assume(key != _key(1));
        Mandate memory m = _mandate(vault, 1, 0);
        IMirrorEngine.SignedMandate memory signed = _sign(elsewhere ? _key(1) : key, m);
        if (elsewhere) signed.mandate.strategy = address(other);
        IMirrorEngine.TokenPermit memory none;
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.BadSignature.selector, m.follower));
        lockstep.engine.follow(signed, none);
    }

    /// @dev Every field of a funded mandate is under the token signature.
    function testFuzz_fundedMandate_anyChangeIsRefused(uint256 field, uint256 value) public {
        Mandate memory m = _mandate(vault, 3, 100e6);
        IMirrorEngine.SignedMandate memory signed = _sign(_key(3), m);
        perp.usdc.mint(m.follower, 1000e6);
        vm.prank(m.follower);
        perp.usdc.approve(PERMIT2, type(uint256).max);
        Mandate memory x = signed.mandate;
        field %= 9;
        if (field == 0) x.ratioBps = uint32(bound(value, 10_001, 100_000));
        if (field == 1) x.maxLeverageBps = uint32(bound(value, 50_001, 1_000_000));
        if (field == 2) x.maxSlippageBps = uint16(bound(value, 201, 10_000));
        if (field == 3) x.maxPositionNotional = uint64(bound(value, m.maxPositionNotional + 1, 1e15));
        if (field == 4) x.maxDailyTurnover = uint64(bound(value, m.maxDailyTurnover + 1, 1e15));
        if (field == 5) x.expiry = uint64(bound(value, m.expiry + 1, 1e12));
        if (field == 6) x.deposit = uint64(bound(value, 100e6 + 1, 900e6));
        if (field == 7) x.strategy = address(other);
        if (field == 8) x.stopLossBps = 5000;
        IMirrorEngine.TokenPermit memory none;
        vm.expectRevert();
        lockstep.engine.follow(signed, none);
        assertEq(perp.usdc.balanceOf(m.follower), 1000e6);
    }

    function testFuzz_keeperSignal_wrongSignerChainOrField(uint256 key, uint256 what, uint256 value) public {
        key = bound(key, 1, ORDER - 1);
        vm.assume(key != KEEPER_KEY);
        (Signal memory signal, bytes memory signature) = _signal(other.strategyId(), ETH, 2e18, 7);
        what %= 5;
        uint256 home = block.chainid;
        if (what == 0) {
            signature = _signDigest(
                key,
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
        }
        if (what == 1) vm.chainId(bound(value, 1, type(uint64).max - 1));
        if (what == 1 && block.chainid == home) vm.chainId(home + 1);
        if (what == 2) signal.leverage = bound(int256(value), 2e18 + 1, 100e18);
        if (what == 3) signal.sequence = uint64(bound(value, 8, lockstep.engine.MAX_SEQUENCE_STEP()));
        if (what == 4) signal.market = BTC;
        vm.expectPartialRevert(IMirrorEngine.NotKeeper.selector);
        lockstep.engine.mirrorSigned(address(other), signal, Proof.Keeper, signature, _accounts(1, 1));
        vm.chainId(home);
    }

    /// @dev A removed keeper is nobody.
    function test_removedKeeper() public {
        vm.prank(governance);
        lockstep.registry.setKeeper(keeper, false);
        (Signal memory signal, bytes memory signature) = _signal(other.strategyId(), ETH, 2e18, 7);
        vm.expectRevert(abi.encodeWithSelector(IMirrorEngine.NotKeeper.selector, keeper));
        lockstep.engine.mirrorSigned(address(other), signal, Proof.Keeper, signature, _accounts(1, 1));
    }
}
