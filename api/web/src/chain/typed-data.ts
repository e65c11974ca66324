/**
 * Everything a follower signs. The structs are those of `contracts/interfaces/LockstepTypes.sol` and
 * `IMirrorEngine.sol`; `test/typed-data.test.ts` holds them against those files.
 */
import type { Address, Hex } from 'viem';

export interface Field {
  readonly name: string;
  readonly type: string;
}

/** Numbers as raw integers; they leave this page as decimal strings. */
export interface Mandate {
  readonly follower: Address;
  readonly strategy: Address;
  readonly mode: number;
  readonly ratioBps: number;
  readonly fixedNotional: bigint;
  readonly hedgeBps: number;
  readonly maxLeverageBps: number;
  readonly maxSlippageBps: number;
  readonly maxPositionNotional: bigint;
  readonly maxDailyTurnover: bigint;
  readonly stopLossBps: number;
  readonly takeProfitBps: number;
  readonly allowedMarkets: readonly string[];
  readonly deposit: bigint;
  readonly expiry: bigint;
  readonly nonce: bigint;
}

export interface Stop {
  readonly follower: Address;
  readonly strategy: Address;
  readonly nonce: bigint;
  readonly deadline: bigint;
}

export interface Withdraw extends Stop {
  readonly amount: bigint;
}

/** `Mode` of `LockstepTypes.sol`, as far as the contracts accept it. */
export const MODE = { proRata: 0, fixed: 1 } as const;

/** `Withdraw.amount` that means "all that is free". */
export const ALL = 2n ** 256n - 1n;

/** What wallets are handed, in the order their screens show it. */
export interface TypedData {
  readonly domain: {
    readonly name: string;
    readonly version?: string;
    readonly chainId: number;
    readonly verifyingContract: Address;
  };
  readonly types: Readonly<Record<string, readonly Field[]>>;
  readonly primaryType: string;
  readonly message: Readonly<Record<string, unknown>>;
}

/** The addresses signatures are made for. */
export interface Domains {
  readonly chainId: number;
  readonly engine: Address;
  readonly permit2: Address;
  readonly usdc: Address;
}

const fields = (list: string): readonly Field[] =>
  list.split(',').map((entry) => {
    const [type = '', name = ''] = entry.trim().split(' ');
    return { name, type };
  });

export const TYPES = {
  Mandate: fields(
    'address follower,address strategy,uint8 mode,uint32 ratioBps,uint64 fixedNotional,uint16 hedgeBps,' +
      'uint32 maxLeverageBps,uint16 maxSlippageBps,uint64 maxPositionNotional,uint64 maxDailyTurnover,' +
      'uint16 stopLossBps,uint32 takeProfitBps,string[] allowedMarkets,uint64 deposit,uint64 expiry,uint256 nonce',
  ),
  Stop: fields('address follower,address strategy,uint256 nonce,uint256 deadline'),
  Withdraw: fields('address follower,address strategy,uint256 amount,uint256 nonce,uint256 deadline'),
  TokenPermissions: fields('address token,uint256 amount'),
  PermitWitnessTransferFrom: fields(
    'TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Mandate witness',
  ),
  Permit: fields('address owner,address spender,uint256 value,uint256 nonce,uint256 deadline'),
} as const;

/** The engine's own domain. */
function engineDomain(domains: Domains): TypedData['domain'] {
  return { name: 'Lockstep', version: '1', chainId: domains.chainId, verifyingContract: domains.engine };
}

/** One signature that funds the account and accepts the mandate. */
export function fundedMandate(domains: Domains, mandate: Mandate, nonce: bigint, deadline: bigint): TypedData {
  return {
    // Permit2's domain has no version.
    domain: { name: 'Permit2', chainId: domains.chainId, verifyingContract: domains.permit2 },
    types: {
      PermitWitnessTransferFrom: TYPES.PermitWitnessTransferFrom,
      TokenPermissions: TYPES.TokenPermissions,
      Mandate: TYPES.Mandate,
    },
    primaryType: 'PermitWitnessTransferFrom',
    message: {
      permitted: { token: domains.usdc, amount: mandate.deposit },
      spender: domains.engine,
      nonce,
      deadline,
      witness: mandate,
    },
  };
}

/** New bounds without a deposit. */
export function updatedMandate(domains: Domains, mandate: Mandate): TypedData {
  if (mandate.deposit !== 0n) throw new RangeError('an update moves no money');
  return {
    domain: engineDomain(domains),
    types: { Mandate: TYPES.Mandate },
    primaryType: 'Mandate',
    message: { ...mandate },
  };
}

export function stopIntent(domains: Domains, stop: Stop): TypedData {
  return { domain: engineDomain(domains), types: { Stop: TYPES.Stop }, primaryType: 'Stop', message: { ...stop } };
}

export function withdrawIntent(domains: Domains, withdraw: Withdraw): TypedData {
  return {
    domain: engineDomain(domains),
    types: { Withdraw: TYPES.Withdraw },
    primaryType: 'Withdraw',
    message: { ...withdraw },
  };
}

export interface TokenDomain {
  readonly name: string;
  readonly version: string;
}

/** EIP-2612: lets Permit2 take `value` USDC of `owner`, and no more. */
export function tokenPermit(
  domains: Domains,
  token: TokenDomain,
  permit: { readonly owner: Address; readonly value: bigint; readonly nonce: bigint; readonly deadline: bigint },
): TypedData {
  return {
    domain: { ...token, chainId: domains.chainId, verifyingContract: domains.usdc },
    types: { Permit: TYPES.Permit },
    primaryType: 'Permit',
    message: {
      owner: permit.owner,
      spender: domains.permit2,
      value: permit.value,
      nonce: permit.nonce,
      deadline: permit.deadline,
    },
  };
}

const DOMAIN_FIELDS: readonly Field[] = fields('string name,string version,uint256 chainId,address verifyingContract');

/** The JSON of `eth_signTypedData_v4`: with the domain's own type, and numbers as decimal strings. */
export function toWalletJson(data: TypedData): string {
  const domainType = DOMAIN_FIELDS.filter(({ name }) => name in data.domain);
  return JSON.stringify(
    {
      types: { EIP712Domain: domainType, ...data.types },
      domain: data.domain,
      primaryType: data.primaryType,
      message: data.message,
    },
    (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value),
  );
}

/** An unordered nonce nobody else has used: 248 random bits name the word, 8 the bit in it. */
export function randomNonce(): bigint {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** Splits a 65-byte signature. `undefined` for any other length: a contract's signature has no v, r and s. */
export function splitSignature(signature: Hex): { v: number; r: Hex; s: Hex } | undefined {
  if (!/^0x[0-9a-fA-F]{130}$/.test(signature)) return undefined;
  const recovery = Number.parseInt(signature.slice(130), 16);
  return {
    r: `0x${signature.slice(2, 66)}`,
    s: `0x${signature.slice(66, 130)}`,
    // Some wallets still answer 0 or 1.
    v: recovery < 27 ? recovery + 27 : recovery,
  };
}
