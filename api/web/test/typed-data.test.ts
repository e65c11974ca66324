import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeAbiParameters, hashTypedData, keccak256, concat, toHex, recoverTypedDataAddress, type Hex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, test } from 'vitest';
import {
  ALL,
  TYPES,
  fundedMandate,
  randomNonce,
  splitSignature,
  stopIntent,
  toWalletJson,
  tokenPermit,
  updatedMandate,
  withdrawIntent,
  type Domains,
  type Field,
  type Mandate,
  type TypedData,
} from '../src/chain/typed-data';

const CONTRACTS = join(import.meta.dirname, '../../../contracts');

const domains: Domains = {
  chainId: 31_337,
  engine: '0x00000000000000000000000000000000000e0e0e',
  permit2: '0x000000000022D473030F116dDEE9F6B43aC78BA3',
  usdc: '0x0000000000000000000000000000000000005dc0',
};

const mandate: Mandate = {
  follower: '0x00000000000000000000000000000000000f0110',
  strategy: '0x0000000000000000000000000000000000057a7e',
  mode: 0,
  ratioBps: 10_000,
  fixedNotional: 0n,
  hedgeBps: 0,
  maxLeverageBps: 50_000,
  maxSlippageBps: 50,
  maxPositionNotional: 25_000_000_000n,
  maxDailyTurnover: 100_000_000_000n,
  stopLossBps: 2_000,
  takeProfitBps: 0,
  allowedMarkets: ['ETH-USD', 'BTC-USD'],
  deposit: 1_000_000_000n,
  expiry: 1_900_000_000n,
  nonce: 7n,
};

/** EIP-712 `encodeType`. */
function encodeType(primary: string, types: Readonly<Record<string, readonly Field[]>>): string {
  const own = (name: string): string => `${name}(${(types[name] ?? []).map(({ type, name: field }) => `${type} ${field}`).join(',')})`;
  const referenced = new Set<string>();
  const visit = (name: string): void => {
    for (const { type } of types[name] ?? []) {
      const base = type.replace(/\[\]$/, '');
      if (types[base] !== undefined && !referenced.has(base)) {
        referenced.add(base);
        visit(base);
      }
    }
  };
  visit(primary);
  return own(primary) + [...referenced].sort().map(own).join('');
}

/** The digest of exactly what the wallet is handed. */
function walletDigest(data: TypedData): Hex {
  const { types, ...rest } = JSON.parse(toWalletJson(data)) as { types: Record<string, Field[]>; domain: TypedData['domain']; primaryType: string; message: Record<string, unknown> };
  return hashTypedData({ types, ...rest } as Parameters<typeof hashTypedData>[0]);
}

describe('types are those of the contracts', () => {
  test('Mandate, field by field, in LockstepTypes.sol', async () => {
    const source = await readFile(join(CONTRACTS, 'interfaces/LockstepTypes.sol'), 'utf8');
    const body = /struct Mandate \{([^}]*)\}/.exec(source)?.[1] ?? '';
    const declared = [...body.matchAll(/^\s*(\w+(?:\[\])?) (\w+);/gm)].map(([, type, name]) => ({ type, name }));
    expect(TYPES.Mandate).toEqual(declared);
  });

  test('and in the type string documented beside it', async () => {
    const source = await readFile(join(CONTRACTS, 'interfaces/LockstepTypes.sol'), 'utf8');
    const documented = source
      .split('\n')
      .filter((line) => line.startsWith('///'))
      .map((line) => line.slice(3).trim())
      .join('');
    expect(documented.replace(/, ?/g, ',')).toContain(encodeType('Mandate', TYPES));
  });

  test('Stop and Withdraw in IMirrorEngine.sol', async () => {
    const source = await readFile(join(CONTRACTS, 'interfaces/IMirrorEngine.sol'), 'utf8');
    expect(source).toContain(`EIP-712: ${encodeType('Stop', TYPES)}`);
    expect(source).toContain(`EIP-712: ${encodeType('Withdraw', TYPES)}`);
  });

  test('the witness type string is the one the engine gives Permit2', async () => {
    // Permit2, PermitHash.sol: _PERMIT_TRANSFER_FROM_WITNESS_TYPEHASH_STUB
    const stub = 'PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,';
    const source = await readFile(join(CONTRACTS, 'libraries/MandateLib.sol'), 'utf8');
    const witness = /WITNESS_TYPE =\s*"([^"]+)"/.exec(source)?.[1];
    expect(encodeType('PermitWitnessTransferFrom', TYPES)).toBe(`${stub}${witness ?? 'not found'}`);
  });
});

describe('digests', () => {
  test('a deposit is signed in Permit2’s domain, without a version', () => {
    const data = fundedMandate(domains, mandate, 5n, 1_800_000_000n);
    expect(walletDigest(data)).toBe(
      hashTypedData({
        domain: { name: 'Permit2', chainId: 31_337, verifyingContract: domains.permit2 },
        types: {
          PermitWitnessTransferFrom: TYPES.PermitWitnessTransferFrom,
          TokenPermissions: TYPES.TokenPermissions,
          Mandate: TYPES.Mandate,
        },
        primaryType: 'PermitWitnessTransferFrom',
        message: {
          permitted: { token: domains.usdc, amount: 1_000_000_000n },
          spender: domains.engine,
          nonce: 5n,
          deadline: 1_800_000_000n,
          witness: { ...mandate },
        },
      }),
    );
    expect(JSON.parse(toWalletJson(data)).types.EIP712Domain).toEqual([
      { name: 'name', type: 'string' },
      { name: 'chainId', type: 'uint256' },
      { name: 'verifyingContract', type: 'address' },
    ]);
  });

  test('by hand, for a stop', () => {
    const separator = keccak256(
      encodeAbiParameters(
        [{ type: 'bytes32' }, { type: 'bytes32' }, { type: 'bytes32' }, { type: 'uint256' }, { type: 'address' }],
        [
          keccak256(toHex('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)')),
          keccak256(toHex('Lockstep')),
          keccak256(toHex('1')),
          31_337n,
          domains.engine,
        ],
      ),
    );
    const struct = keccak256(
      encodeAbiParameters(
        [{ type: 'bytes32' }, { type: 'address' }, { type: 'address' }, { type: 'uint256' }, { type: 'uint256' }],
        [keccak256(toHex('Stop(address follower,address strategy,uint256 nonce,uint256 deadline)')), mandate.follower, mandate.strategy, 3n, 4n],
      ),
    );
    const data = stopIntent(domains, { follower: mandate.follower, strategy: mandate.strategy, nonce: 3n, deadline: 4n });
    expect(walletDigest(data)).toBe(keccak256(concat(['0x1901', separator, struct])));
  });

  test('every signed fact changes the digest', () => {
    const base = walletDigest(fundedMandate(domains, mandate, 0n, 0n));
    const others = [
      fundedMandate(domains, { ...mandate, allowedMarkets: ['ETH-USD'] }, 0n, 0n),
      fundedMandate(domains, { ...mandate, maxSlippageBps: 51 }, 0n, 0n),
      fundedMandate(domains, mandate, 1n, 0n),
      fundedMandate(domains, mandate, 0n, 1n),
      fundedMandate({ ...domains, chainId: 1 }, mandate, 0n, 0n),
      updatedMandate(domains, { ...mandate, deposit: 0n }),
    ];
    expect(new Set([base, ...others.map(walletDigest)]).size).toBe(others.length + 1);
  });

  test('an update never carries money', () => {
    expect(() => updatedMandate(domains, mandate)).toThrow('moves no money');
  });

  test('what a wallet signs recovers to the signer', async () => {
    const account = privateKeyToAccount('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80');
    const data = withdrawIntent(domains, { follower: account.address, strategy: mandate.strategy, amount: ALL, nonce: 9n, deadline: 10n });
    const handed = JSON.parse(toWalletJson(data)) as Parameters<typeof recoverTypedDataAddress>[0];
    const signature = await account.signTypedData(handed as Parameters<typeof account.signTypedData>[0]);
    expect(await recoverTypedDataAddress({ ...handed, signature })).toBe(account.address);
    expect(JSON.parse(toWalletJson(data)).message.amount).toBe(ALL.toString());
  });

  test('a token permit names Permit2 and the exact amount', () => {
    const data = tokenPermit(domains, { name: 'USD Coin', version: '2' }, { owner: mandate.follower, value: 10n, nonce: 0n, deadline: 1n });
    expect(data.domain).toEqual({ name: 'USD Coin', version: '2', chainId: 31_337, verifyingContract: domains.usdc });
    expect(data.message).toMatchObject({ spender: domains.permit2, value: 10n });
    expect(encodeType('Permit', data.types)).toBe('Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)');
  });
});

test('signatures split into v, r, s, also with a recovery id of 0 or 1', () => {
  const [r, s] = ['11'.repeat(32), '22'.repeat(32)];
  expect(splitSignature(`0x${r}${s}1c`)).toEqual({ r: `0x${r}`, s: `0x${s}`, v: 28 });
  expect(splitSignature(`0x${r}${s}00`)?.v).toBe(27);
  expect(splitSignature(`0x${r}${s}`)).toBeUndefined();
  expect(splitSignature(`0x${'00'.repeat(96)}`)).toBeUndefined();
});

test('nonces fill 256 bits and do not repeat', () => {
  const nonces = Array.from({ length: 200 }, randomNonce);
  expect(new Set(nonces).size).toBe(200);
  expect(nonces.every((nonce) => nonce >= 0n && nonce < 2n ** 256n)).toBe(true);
  expect(nonces.some((nonce) => nonce > 2n ** 250n)).toBe(true);
});
